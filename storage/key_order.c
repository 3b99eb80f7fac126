/* The order of keys.
 *
 * Invariant: bytes_view_order is the order of LMDB's default comparison and of ordered_map, so that
 * a walk over overlays and database merges without sorting. */
#include "storage/key_order.h"

#include <string.h>

int bytes_view_order(struct bytes_view a, struct bytes_view b)
{
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size ? 1 : 0;
}

bool bytes_view_starts_with(struct bytes_view bytes, struct bytes_view prefix)
{
    return bytes.size >= prefix.size &&
           (prefix.size == 0 || memcmp(bytes.data, prefix.data, prefix.size) == 0);
}
