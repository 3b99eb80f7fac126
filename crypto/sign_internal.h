/* The start of the signature library, called by crypto_init once and by nobody else. */
#ifndef FLEX_CRYPTO_SIGN_INTERNAL_H
#define FLEX_CRYPTO_SIGN_INTERNAL_H

#include <stdbool.h>

/* After sodium_init. False if libsecp256k1's context can't be made. */
bool sign_init(void);

#endif
