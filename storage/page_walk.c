/* A walk over LMDB's pages that trusts none of them (page_walk.h).
 *
 * Layout (lmdb 0.9, mdb.c; 64-bit, little-endian):
 *
 *   page    u64 number | u16 pad | u16 flags | u16 lower, u16 upper (or u32 count of overflow pages)
 *   meta    page head | u32 magic | u32 version | u64 address | u64 map size | tree free |
 *           tree main | u64 last page | u64 transaction          (pages 0 and 1, written in turn)
 *   tree    u32 pad | u16 flags | u16 depth | u64 branch pages | u64 leaf pages |
 *           u64 overflow pages | u64 entries | u64 root          (pad of "free": the page size)
 *   node    u16 low, u16 high, u16 flags, u16 key size, key, data
 *           in a branch, low | high << 16 | flags << 32 is the child; in a leaf, low | high << 16 is
 *           the data's size, and with BIG the data is the first of its overflow pages
 *
 * Between `upper` and the end of a page its nodes stand without a gap, each on an even offset, and
 * the offsets from the head to `lower` point to them in key order. Main holds one record per table.
 *
 * Invariants:
 *  1. No number from the file is used as an offset, a size or a page before it was compared with the
 *     bounds of what it points into.
 *  2. A walk ends: each page is entered once at most (the bitmap), and a tree is at most
 *     DEPTH_MAX deep.
 *  3. A page that does not fit is one finding; the walk goes on beside it.
 *
 * Deliberately absent: writing, sub-databases with duplicates, which we have none of, and big-endian
 * machines, where the walk says FOREIGN and the caller goes without. */
#include "storage/page_walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD_SIZE = 16,
    NODE_HEAD_SIZE = 8,
    TREE_SIZE = 48,
    META_SIZE = HEAD_SIZE + 4 + 4 + 8 + 8 + 2 * TREE_SIZE + 8 + 8,
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 32768, /* a bigger one has no 16-bit offsets */
    DEPTH_MAX = 32,        /* LMDB's own */
    TABLE_NAME_MAX = 64,
    PROGRESS_PAGES = 4096
};
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };
enum { NODE_BIG = 1, NODE_TABLE = 2 };
enum { TREE_INTEGER_KEYS = 8 };
static const uint32_t meta_magic = 0xBEEFC0DE;
static const uint32_t meta_version = 1;
static const uint64_t no_page = UINT64_MAX;
/* A value's size has 32 bits; ours are far smaller than this. */
static const uint32_t value_size_max = (uint32_t)1 << 30;

struct tree {
    uint32_t pad;
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t entries;
    uint64_t root;
};

struct meta {
    struct tree free;
    struct tree main;
    uint64_t last_page;
    uint64_t transaction;
};

struct node {
    uint64_t child; /* in a branch */
    uint32_t size;  /* of the data, in a leaf */
    uint16_t flags;
    struct bytes_view key;
    struct bytes_view data; /* inside the page */
};

struct walk {
    int fd;
    size_t page_size;
    uint64_t file_pages;
    struct meta meta;
    uint8_t *used; /* a bit per page up to the last */
    uint8_t *free;
    uint8_t *covered; /* a bit per two bytes of one page: which nodes have claimed them */
    uint8_t *value;   /* of the last big record */
    size_t value_capacity;
    const struct page_visitor *visitor;
    struct page_totals *totals;
    uint64_t visited;
};

enum table_kind { TABLE_OF_TABLES, TABLE_OF_RECORDS, TABLE_OF_FREE };

/* One tree on its way: what was counted is compared with what its record says. */
struct table_walk {
    struct walk *walk;
    const char *name;
    enum table_kind kind;
    const struct tree *tree;
    struct tree counted;
    bool whole;  /* the leaves too */
    bool failed; /* memory ran out */
};

/* --- numbers --------------------------------------------------------------------------------- */

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)u16_at(at) | (uint32_t)u16_at(at + 2) << 16;
}

static uint64_t u64_at(const uint8_t *at)
{
    return (uint64_t)u32_at(at) | (uint64_t)u32_at(at + 4) << 32;
}

static bool machine_is_little_endian(void)
{
    const uint16_t probe = 1;
    uint8_t first;
    memcpy(&first, &probe, 1);
    return first == 1 && sizeof(size_t) == 8;
}

static bool bit_get(const uint8_t *bits, uint64_t index)
{
    return (bits[index / 8] >> (index % 8) & 1) != 0;
}

/* False if it was set already. */
static bool bit_set(uint8_t *bits, uint64_t index)
{
    const bool was = bit_get(bits, index);
    bits[index / 8] |= (uint8_t)(1u << (index % 8));
    return !was;
}

static void find(struct walk *walk, uint64_t page, const char *table, struct bytes_view key,
                 const char *what)
{
    const struct page_finding finding = {.page = page, .table = table, .key = key, .what = what};
    walk->visitor->finding(walk->visitor->context, &finding);
}

static void find_in(struct table_walk *table, uint64_t page, struct bytes_view key,
                    const char *what)
{
    find(table->walk, page, table->name, key, what);
}

/* --- reading --------------------------------------------------------------------------------- */

static bool read_bytes(struct walk *walk, uint8_t *out, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t got = pread(walk->fd, out + done, size - done, (off_t)(offset + done));
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    walk->totals->bytes_read += size;
    return true;
}

/* Claims `count` pages from `first` on. False, and said, if one is out of range or owned already. */
static bool claim(struct table_walk *table, uint64_t first, uint64_t count, struct bytes_view key)
{
    struct walk *walk = table->walk;
    if (first < 2 || first > walk->meta.last_page || count > walk->meta.last_page - first + 1) {
        find_in(table, first, key, "a pointer leads outside the file");
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!bit_set(walk->used, first + i)) {
            find_in(table, first + i, key, "two places own the same page");
            return false;
        }
    }
    walk->visited += count;
    if (walk->visitor->progress != NULL && walk->visited % PROGRESS_PAGES < count) {
        walk->visitor->progress(walk->visitor->context, walk->visited, walk->meta.last_page + 1);
    }
    return true;
}

static struct tree tree_at(const uint8_t *at)
{
    return (struct tree){.pad = u32_at(at),
                         .flags = u16_at(at + 4),
                         .depth = u16_at(at + 6),
                         .branch_pages = u64_at(at + 8),
                         .leaf_pages = u64_at(at + 16),
                         .overflow_pages = u64_at(at + 24),
                         .entries = u64_at(at + 32),
                         .root = u64_at(at + 40)};
}

/* --- one page -------------------------------------------------------------------------------- */

/* The `index`-th node; false if it is not wholly inside the page's node space. */
static bool node_at(const struct walk *walk, const uint8_t *page, uint32_t index, struct node *out)
{
    const uint16_t at = u16_at(page + HEAD_SIZE + 2 * (size_t)index);
    const uint16_t upper = u16_at(page + 14);
    const bool branch = u16_at(page + 10) == PAGE_BRANCH;
    if (at < upper || at % 2 != 0 || (size_t)at + NODE_HEAD_SIZE > walk->page_size) {
        return false;
    }
    const uint8_t *node = page + at;
    const size_t room = walk->page_size - at - NODE_HEAD_SIZE;
    const size_t key_size = u16_at(node + 6);
    memset(out, 0, sizeof *out);
    size_t data_size = 0;
    if (branch) {
        out->child = u32_at(node) | (uint64_t)u16_at(node + 4) << 32;
    } else {
        out->size = u32_at(node);
        out->flags = u16_at(node + 4);
        data_size = (out->flags & NODE_BIG) != 0 ? 8 : out->size;
    }
    if (key_size > room || data_size > room - key_size) {
        return false;
    }
    out->key = bytes_view_of(node + NODE_HEAD_SIZE, key_size);
    out->data = bytes_view_of(node + NODE_HEAD_SIZE + key_size, data_size);
    return true;
}

/* Claims the node's bytes; false if another node has them. Returns its size, made even, in *size. */
static bool cover(const struct walk *walk, const uint8_t *page, uint32_t index,
                  const struct node *node, size_t *size)
{
    const uint16_t at = u16_at(page + HEAD_SIZE + 2 * (size_t)index);
    *size = (NODE_HEAD_SIZE + node->key.size + node->data.size + 1) / 2 * 2;
    for (size_t i = 0; i < *size / 2; i++) {
        if (!bit_set(walk->covered, at / 2 + i)) {
            return false;
        }
    }
    return true;
}

/* What is wrong with the page's head and with where its nodes stand; NULL if nothing. */
static const char *page_problem(struct walk *walk, const uint8_t *page, uint64_t number)
{
    const uint16_t flags = u16_at(page + 10);
    const uint16_t lower = u16_at(page + 12);
    const uint16_t upper = u16_at(page + 14);
    size_t taken = 0;
    if (u64_at(page) != number) {
        return "the page has another page's number";
    }
    if (flags != PAGE_BRANCH && flags != PAGE_LEAF) {
        return "the page is neither branch nor leaf";
    }
    if (lower < HEAD_SIZE || lower % 2 != 0 || lower > upper || upper > walk->page_size) {
        return "the page's bounds are impossible";
    }
    const uint32_t count = (lower - HEAD_SIZE) / 2u;
    if (count < (flags == PAGE_BRANCH ? 2u : 1u)) {
        return "the page has too few keys";
    }
    memset(walk->covered, 0, walk->page_size / 16);
    for (uint32_t i = 0; i < count; i++) {
        struct node node;
        size_t size = 0;
        if (!node_at(walk, page, i, &node)) {
            return "a record's place is outside its page";
        }
        if (!cover(walk, page, i, &node, &size)) {
            return "two records claim the same bytes";
        }
        taken += size;
    }
    return taken == walk->page_size - upper ? NULL : "the page holds bytes that no record owns";
}

/* LMDB's order: integers in the list of free pages, bytes elsewhere. */
static int compare_keys(const struct table_walk *table, struct bytes_view a, struct bytes_view b)
{
    if (table->kind == TABLE_OF_FREE && a.size == 8 && b.size == 8) {
        const uint64_t x = u64_at(a.data);
        const uint64_t y = u64_at(b.data);
        return x < y ? -1 : x > y ? 1 : 0;
    }
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size ? 1 : 0;
}

/* Keys rise, within [low, high) of the branch above; the first key of a branch means nothing. */
static const char *order_problem(const struct table_walk *table, const uint8_t *page,
                                 const struct bytes_view *low, const struct bytes_view *high,
                                 struct bytes_view *at)
{
    const uint32_t count = (u16_at(page + 12) - HEAD_SIZE) / 2u;
    const bool branch = u16_at(page + 10) == PAGE_BRANCH;
    struct node before = {0};
    for (uint32_t i = branch ? 1 : 0; i < count; i++) {
        struct node node;
        if (!node_at(table->walk, page, i, &node)) {
            return "a record's place is outside its page";
        }
        *at = node.key;
        if (node.key.size == 0 || (table->kind == TABLE_OF_FREE && node.key.size != 8)) {
            return "a key has an impossible size";
        }
        if (before.key.data != NULL && compare_keys(table, before.key, node.key) >= 0) {
            return "keys are out of order";
        }
        if ((low != NULL && compare_keys(table, node.key, *low) < 0) ||
            (high != NULL && compare_keys(table, node.key, *high) >= 0)) {
            return "a key is outside the range of its page";
        }
        before = node;
    }
    return NULL;
}

/* --- records --------------------------------------------------------------------------------- */

/* A value on pages of its own. False if it cannot be had; said. */
static bool big_value(struct table_walk *table, uint64_t page, const struct node *node,
                      struct bytes_view *value)
{
    struct walk *walk = table->walk;
    uint8_t head[HEAD_SIZE];
    const uint64_t first = u64_at(node->data.data);
    if (node->size > value_size_max) {
        find_in(table, page, node->key, "a value's size is impossible");
        return false;
    }
    const uint64_t needed = ((uint64_t)HEAD_SIZE + node->size - 1) / walk->page_size + 1;
    if (first < 2 || first > walk->meta.last_page ||
        !read_bytes(walk, head, sizeof head, first * walk->page_size)) {
        find_in(table, page, node->key, "a value's pages are outside the file or cannot be read");
        return false;
    }
    const uint64_t count = u32_at(head + 12);
    if (u64_at(head) != first || u16_at(head + 10) != PAGE_OVERFLOW || count < needed) {
        find_in(table, first, node->key, "a value's pages are not what its record says");
        return false;
    }
    if (!claim(table, first, count, node->key)) {
        return false;
    }
    table->counted.overflow_pages += count;
    if (walk->value_capacity < node->size) {
        free(walk->value);
        walk->value = malloc(node->size);
        walk->value_capacity = walk->value != NULL ? node->size : 0;
        if (walk->value == NULL) {
            table->failed = true;
            return false;
        }
    }
    if (!read_bytes(walk, walk->value, node->size, first * walk->page_size + HEAD_SIZE)) {
        find_in(table, first, node->key, "a value's pages cannot be read");
        return false;
    }
    *value = bytes_view_of(walk->value, node->size);
    return true;
}

/* A list of free pages: u64 count, the pages. */
static void take_free_list(struct table_walk *table, uint64_t page, struct bytes_view key,
                           struct bytes_view value)
{
    struct walk *walk = table->walk;
    const uint64_t count = value.size >= 8 ? u64_at(value.data) : UINT64_MAX;
    if (value.size % 8 != 0 || count > value.size / 8 - 1) {
        find_in(table, page, key, "a list of free pages has an impossible length");
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t number = u64_at(value.data + 8 * (i + 1));
        if (number < 2 || number > walk->meta.last_page || !bit_set(walk->free, number)) {
            find_in(table, page, key,
                    "a list of free pages names a page twice, or none of the file");
            return;
        }
        walk->totals->pages_free++;
    }
}

static void walk_table(struct walk *walk, const char *name, enum table_kind kind,
                       const struct tree *tree, bool *failed);

static void take_table(struct table_walk *table, uint64_t page, const struct node *node)
{
    char name[TABLE_NAME_MAX];
    if (node->flags != NODE_TABLE || node->size != TREE_SIZE || node->key.size >= sizeof name) {
        find_in(table, page, node->key, "a table's record is not one");
        return;
    }
    memcpy(name, node->key.data, node->key.size);
    name[node->key.size] = '\0';
    const struct tree tree = tree_at(node->data.data);
    walk_table(table->walk, name, TABLE_OF_RECORDS, &tree, &table->failed);
}

static void take_record(struct table_walk *table, uint64_t page, const struct node *node)
{
    struct walk *walk = table->walk;
    struct bytes_view value = node->data;
    if (table->kind == TABLE_OF_TABLES) {
        take_table(table, page, node);
        return;
    }
    if (node->flags != 0 && node->flags != NODE_BIG) {
        find_in(table, page, node->key, "a record's flags are impossible");
        return;
    }
    if (node->flags == NODE_BIG && !big_value(table, page, node, &value)) {
        return;
    }
    if (table->kind == TABLE_OF_FREE) {
        take_free_list(table, page, node->key, value);
        return;
    }
    walk->totals->records++;
    if (walk->visitor->record != NULL) {
        walk->visitor->record(walk->visitor->context, table->name, node->key, value);
    }
}

/* --- trees ----------------------------------------------------------------------------------- */

static void walk_page(struct table_walk *table, uint64_t number, uint16_t depth,
                      const struct bytes_view *low, const struct bytes_view *high);

static void walk_children(struct table_walk *table, const uint8_t *page, uint64_t number,
                          uint16_t depth, const struct bytes_view *low,
                          const struct bytes_view *high)
{
    const uint32_t count = (u16_at(page + 12) - HEAD_SIZE) / 2u;
    const bool branch = u16_at(page + 10) == PAGE_BRANCH;
    for (uint32_t i = 0; i < count && !table->failed; i++) {
        struct node node;
        struct node next;
        if (!node_at(table->walk, page, i, &node)) {
            return;
        }
        if (!branch) {
            table->counted.entries++;
            take_record(table, number, &node);
            continue;
        }
        const bool last = i + 1 == count;
        if (!last && !node_at(table->walk, page, i + 1, &next)) {
            return;
        }
        walk_page(table, node.child, (uint16_t)(depth + 1), i == 0 ? low : &node.key,
                  last ? high : &next.key);
    }
}

static void walk_page(struct table_walk *table, uint64_t number, uint16_t depth,
                      const struct bytes_view *low, const struct bytes_view *high)
{
    struct walk *walk = table->walk;
    struct bytes_view at = low != NULL ? *low : bytes_view_of(NULL, 0);
    if (depth > DEPTH_MAX || depth > table->tree->depth) {
        find_in(table, number, at, "the tree is deeper than its record says");
        return;
    }
    if (!claim(table, number, 1, at)) {
        return;
    }
    if (!table->whole && depth == table->tree->depth) {
        table->counted.leaf_pages++;
        return;
    }
    uint8_t *page = malloc(walk->page_size);
    if (page == NULL) {
        table->failed = true;
        return;
    }
    const char *what = "the page cannot be read";
    if (read_bytes(walk, page, walk->page_size, number * walk->page_size)) {
        what = page_problem(walk, page, number);
    }
    if (what == NULL) {
        const bool branch = u16_at(page + 10) == PAGE_BRANCH;
        table->counted.branch_pages += branch ? 1 : 0;
        table->counted.leaf_pages += branch ? 0 : 1;
        what = branch == (depth < table->tree->depth)
                   ? order_problem(table, page, low, high, &at)
                   : "the page stands at another depth than its tree's leaves";
    }
    if (what == NULL) {
        walk_children(table, page, number, depth, low, high);
    } else {
        find_in(table, number, at, what);
    }
    free(page);
}

static void walk_table(struct walk *walk, const char *name, enum table_kind kind,
                       const struct tree *tree, bool *failed)
{
    const struct page_visitor *visitor = walk->visitor;
    const struct bytes_view none = {NULL, 0};
    struct table_walk table = {.walk = walk, .name = name, .kind = kind, .tree = tree};
    table.whole = kind != TABLE_OF_RECORDS || visitor->wants == NULL ||
                  visitor->wants(visitor->context, name);
    const uint16_t flags = kind == TABLE_OF_FREE ? TREE_INTEGER_KEYS : 0;
    if (tree->flags != flags || (kind == TABLE_OF_RECORDS && tree->pad != 0)) {
        find(walk, 0, name, none, "the table's record has impossible flags");
        return;
    }
    if (tree->root == no_page) {
        table.counted.depth = 0;
    } else {
        table.counted.depth = tree->depth;
        walk_page(&table, tree->root, 1, NULL, NULL);
    }
    if (!table.whole) {
        table.counted.overflow_pages = tree->overflow_pages;
        table.counted.entries = tree->entries;
    }
    if (tree->depth != table.counted.depth || tree->branch_pages != table.counted.branch_pages ||
        tree->leaf_pages != table.counted.leaf_pages ||
        tree->overflow_pages != table.counted.overflow_pages ||
        tree->entries != table.counted.entries) {
        find(walk, tree->root, name, none,
             "the table's pages or records are not as many as it says");
    }
    *failed = *failed || table.failed;
}

/* --- meta pages ------------------------------------------------------------------------------ */

/* What is wrong with the meta page in `bytes`; NULL if nothing. */
static const char *meta_read(struct meta *out, const uint8_t *bytes, uint64_t number)
{
    const uint8_t *meta = bytes + HEAD_SIZE;
    if (u64_at(bytes) != number || u16_at(bytes + 10) != PAGE_META) {
        return "the page is no meta page";
    }
    if (u32_at(meta) != meta_magic || u32_at(meta + 4) != meta_version) {
        return "the meta page's magic number or version is another one";
    }
    out->free = tree_at(meta + 24);
    out->main = tree_at(meta + 24 + TREE_SIZE);
    out->last_page = u64_at(meta + 24 + 2 * TREE_SIZE);
    out->transaction = u64_at(meta + 32 + 2 * TREE_SIZE);
    /* Transaction N is written to page N mod 2. */
    if (out->transaction % 2 != number && out->transaction != 0) {
        return "the meta page has a transaction of the other one's";
    }
    return NULL;
}

/* The newest of both meta pages. False after a finding that leaves nothing to walk. */
static bool metas_open(struct walk *walk)
{
    const struct bytes_view none = {NULL, 0};
    uint8_t bytes[META_SIZE];
    struct meta metas[2];
    if (!read_bytes(walk, bytes, sizeof bytes, 0)) {
        find(walk, 0, "", none, "the file is cut off");
        return false;
    }
    walk->page_size = u32_at(bytes + HEAD_SIZE + 24);
    if (walk->page_size < PAGE_SIZE_MIN || walk->page_size > PAGE_SIZE_MAX ||
        (walk->page_size & (walk->page_size - 1)) != 0) {
        find(walk, 0, "", none, "the page size is impossible");
        return false;
    }
    for (uint64_t i = 0; i < 2; i++) {
        const char *what = "the meta page cannot be read";
        if (read_bytes(walk, bytes, sizeof bytes, i * walk->page_size)) {
            what = meta_read(&metas[i], bytes, i);
        }
        if (what == NULL && metas[i].free.pad != walk->page_size) {
            what = "the meta pages differ in page size";
        }
        if (what != NULL) {
            find(walk, i, "", none, what);
            return false;
        }
    }
    const bool first = metas[0].transaction > metas[1].transaction;
    walk->meta = first ? metas[0] : metas[1];
    const uint64_t older = first ? metas[1].transaction : metas[0].transaction;
    if (walk->meta.transaction != older + 1 && walk->meta.transaction != 0) {
        find(walk, first ? 0 : 1, "", none,
             "the meta pages' transactions do not follow each other");
        return false;
    }
    return true;
}

/* Pages that are used and free at once would be written over by a later commit. */
static void compare_maps(struct walk *walk)
{
    const struct bytes_view none = {NULL, 0};
    for (uint64_t page = 2; page <= walk->meta.last_page; page++) {
        const bool used = bit_get(walk->used, page);
        const bool is_free = bit_get(walk->free, page);
        if (used && is_free) {
            find(walk, page, "free", none, "a page in use is in the list of free pages");
        }
        walk->totals->pages_lost += !used && !is_free ? 1 : 0;
    }
}

static enum page_walk_result walk_all(struct walk *walk)
{
    bool failed = false;
    walk->totals->pages = walk->meta.last_page + 1;
    walk->totals->transaction = walk->meta.transaction;
    if (walk->meta.last_page < 1 || walk->meta.last_page >= walk->file_pages) {
        find(walk, walk->meta.last_page, "", bytes_view_of(NULL, 0),
             "the file is shorter than its meta page says");
        return PAGE_WALK_DONE;
    }
    const size_t map_size = (size_t)(walk->meta.last_page / 8 + 1);
    walk->used = calloc(1, map_size);
    walk->free = calloc(1, map_size);
    walk->covered = calloc(1, walk->page_size / 16 + 1);
    if (walk->used == NULL || walk->free == NULL || walk->covered == NULL) {
        return PAGE_WALK_FAULT;
    }
    walk_table(walk, "free", TABLE_OF_FREE, &walk->meta.free, &failed);
    walk_table(walk, "", TABLE_OF_TABLES, &walk->meta.main, &failed);
    if (failed) {
        return PAGE_WALK_FAULT;
    }
    compare_maps(walk);
    return PAGE_WALK_DONE;
}

enum page_walk_result page_walk(const char *path, const struct page_visitor *visitor,
                                struct page_totals *totals)
{
    struct walk walk = {.visitor = visitor, .totals = totals};
    struct stat status;
    memset(totals, 0, sizeof *totals);
    if (!machine_is_little_endian()) {
        return PAGE_WALK_FOREIGN;
    }
    walk.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (walk.fd < 0 || fstat(walk.fd, &status) != 0 || status.st_size == 0) {
        const bool absent = walk.fd >= 0 || access(path, F_OK) != 0;
        if (walk.fd >= 0) {
            (void)close(walk.fd);
        }
        return absent ? PAGE_WALK_NO_FILE : PAGE_WALK_FAULT;
    }
    enum page_walk_result result = PAGE_WALK_DONE;
    if (metas_open(&walk)) {
        walk.file_pages = (uint64_t)status.st_size / walk.page_size;
        result = walk_all(&walk);
    }
    (void)close(walk.fd);
    free(walk.used);
    free(walk.free);
    free(walk.covered);
    free(walk.value);
    return result;
}
