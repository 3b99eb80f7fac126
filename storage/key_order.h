/* The order of state keys, and what they begin with. */
#ifndef FLEX_STORAGE_KEY_ORDER_H
#define FLEX_STORAGE_KEY_ORDER_H

#include "base/bytes.h"

/* The order of keys everywhere in storage: memcmp, the shorter first on a tie. */
int bytes_view_order(struct bytes_view a, struct bytes_view b);
bool bytes_view_starts_with(struct bytes_view bytes, struct bytes_view prefix);

#endif
