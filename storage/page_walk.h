/* Reads LMDB's file (data format 1, little-endian, as every LMDB 0.9 writes it) without LMDB, which
 * trusts every page that it maps: a flipped bit in a page's head or in a pointer makes it answer
 * wrongly or crash. This walk believes nothing: every number is checked before it is followed.
 *
 * What it finds, besides pages that are not what their parents say: keys out of order or outside the
 * range that the branch above gives them, pages that two places own, pages that are in use and free
 * at once, counts that do not add up. A file without a finding is one in which LMDB's look-ups and
 * walks give the answers that the records on its pages say.
 *
 * Memory: two bits per page, one page per level of a tree, one value. Nothing is written. */
#ifndef FLEX_STORAGE_PAGE_WALK_H
#define FLEX_STORAGE_PAGE_WALK_H

#include "base/bytes.h"

/* A finding. `page` is where; `table` and `key` name what is nearest, as far as they are known
 * (table "" is the file itself, "free" the list of free pages). Live during the call. */
struct page_finding {
    uint64_t page;
    const char *table;
    struct bytes_view key;
    const char *what;
};

struct page_visitor {
    void *context;
    /* Every record of every table, in key order within a table. May be NULL. */
    void (*record)(void *context, const char *table, struct bytes_view key,
                   struct bytes_view value);
    void (*finding)(void *context, const struct page_finding *finding);
    /* False for a table of which the branches alone are to be read: its leaves are neither visited nor
     * counted, and what they point to is not known to be in use. NULL: every table whole. */
    bool (*wants)(void *context, const char *table);
    /* Now and then: pages visited so far. May be NULL. */
    void (*progress)(void *context, uint64_t pages, uint64_t pages_all);
};

struct page_totals {
    uint64_t pages; /* in the file, as its newest meta page says */
    uint64_t pages_free;
    uint64_t pages_lost; /* neither used nor free: wasted, harmless */
    uint64_t bytes_read;
    uint64_t records;
    uint64_t transaction; /* LMDB's number of the last commit */
};

enum page_walk_result {
    PAGE_WALK_DONE,    /* to the end, with or without findings */
    PAGE_WALK_NO_FILE, /* there is none, or it is empty */
    PAGE_WALK_FOREIGN, /* not LMDB's, or a version or a byte order that this code does not know */
    PAGE_WALK_FAULT    /* memory, or the file cannot be opened */
};

/* Walks the newest commit in `path`. Nobody may write to the file meanwhile. */
enum page_walk_result page_walk(const char *path, const struct page_visitor *visitor,
                                struct page_totals *totals);

#endif
