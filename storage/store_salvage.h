/* Reading what can be read of a damaged chain database, for a repair (node/repair.h). */
#ifndef FLEX_STORAGE_STORE_SALVAGE_H
#define FLEX_STORAGE_STORE_SALVAGE_H

#include "base/bytes.h"

/* As stored: a header, what makes it final or nothing, a body. Nothing of it was compared with
 * anything but its checksum; the views live during the call. */
struct salvaged_block {
    struct bytes_view header;
    struct bytes_view certificate;
    struct bytes_view body;
};

/* Calls `take` with each block from height 1 on, until one is not there, is damaged, or `take` returns
 * false. LMDB may crash on a damaged page, so this is called in a process of its own, whose caller holds
 * the database's lock. */
void store_salvage(const char *directory,
                   bool (*take)(void *context, const struct salvaged_block *block), void *context);

#endif
