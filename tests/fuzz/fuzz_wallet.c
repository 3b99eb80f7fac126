/* A wallet's key file (tools/wallet.h): whatever stands in it, opening gives a key only if the secret
 * and the public key belong together. Passphrases are left out: each try costs Argon2id's price,
 * and what comes before and behind it is the same code. */
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/wallet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(bytes_view_of(data, size));
    struct wallet_file file;
    struct secret_key secret;
    struct public_key key, expected;
    const enum wallet_result peeked = wallet_peek(&file, path);
    const enum wallet_result opened = wallet_open(&secret, &key, path, NULL);
    MUST(peeked == WALLET_OK || peeked == WALLET_MALFORMED);
    MUST(wallet_result_text(opened)[0] != '\0');
    if (peeked != WALLET_OK)
        MUST(opened == WALLET_MALFORMED);
    else if (file.watches)
        MUST(opened == WALLET_WATCHES && schnorr_key_is_valid(&file.public_key));
    else if (file.encrypted)
        MUST(opened == WALLET_NEEDS_PASSPHRASE);
    else
        MUST(opened == WALLET_OK || opened == WALLET_MALFORMED);
    if (opened == WALLET_OK) {
        MUST(schnorr_public_key(&expected, &secret) && public_key_equal(&key, &expected) &&
             public_key_equal(&key, &file.public_key));
    }
    return 0;
}
