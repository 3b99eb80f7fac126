/* Where the state trees' nodes are, and how long they stay (storage/forest.h).
 *
 * Nodes are 72 bytes in segments that never move. Free places form a list through the nodes themselves.
 * A commit's dead nodes belong to trees before it: they are freed when no such tree is pinned.
 *
 *   made by an update -> discarded with its batch -> free
 *                     -> committed -> replaced by a later commit -> waits for pins -> free
 *
 * Invariants:
 *  1 The owner thread alone takes and frees places. A reader only follows nodes of a tree that it has
 *    pinned, which nobody writes.
 *  2 A tree is published before anybody can see its height in the database, and is pinned under the same
 *    lock under which the owner looks for pins. So no node that a pin reaches is ever freed.
 *  3 The scratch file's blocks are allocated before they are mapped: a full disk is met there, and answered
 *    with memory, never with a signal.
 *
 * Deliberately absent: durability, and any format on disk: the file has no name and goes with the process. */
#include "storage/forest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/forest_internal.h"

enum { SEGMENT_BYTES = FOREST_SEGMENT_NODES * sizeof(struct forest_node), LIST_ROOM_FIRST = 64 };
_Static_assert(sizeof(struct forest_node) == 72,
               "docs/adr/0052 and docs/performance.md say 72 bytes");
_Static_assert(SEGMENT_BYTES % 4096 == 0, "segments are mapped one by one");

/* --- places ---------------------------------------------------------------------------------- */

static struct forest_node *map_scratch(struct forest *forest)
{
    const off_t at = (off_t)forest->segment_count * SEGMENT_BYTES;
    if (forest->file < 0) {
        return NULL;
    }
    const int code = posix_fallocate(forest->file, at, SEGMENT_BYTES);
    if (code == 0) {
        void *mapped =
            mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, forest->file, at);
        if (mapped != MAP_FAILED) {
            return mapped;
        }
    }
    log_line(LOG_UNUSUAL, "store: no room for the tree's scratch file (%s) -> in memory",
             strerror(code != 0 ? code : errno));
    return NULL;
}

static bool add_segment(struct forest *forest)
{
    if (forest->segment_count == FOREST_SEGMENTS_MAX) {
        return false;
    }
    struct forest_node *segment = map_scratch(forest);
    if (segment == NULL) {
        segment =
            mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (segment == MAP_FAILED) {
        return false;
    }
    forest->segments[forest->segment_count++] = segment;
    return true;
}

uint32_t forest_take(struct forest *forest)
{
    uint32_t place = forest->freed;
    if (place != FOREST_NONE) {
        forest->freed = forest_at(forest, place)->left;
    } else {
        if (forest->used / FOREST_SEGMENT_NODES == forest->segment_count && !add_segment(forest)) {
            return FOREST_NONE;
        }
        place = forest->used++;
    }
    forest->count++;
    return place;
}

void forest_give(struct forest *forest, uint32_t place)
{
    MUST(place != FOREST_NONE && forest->count > 0);
    forest_at(forest, place)->left = forest->freed;
    forest->freed = place;
    forest->count--;
}

bool forest_list_add(struct forest_list *list, uint32_t place)
{
    if (list->count == list->room) {
        const size_t room = list->room == 0 ? LIST_ROOM_FIRST : 2 * list->room;
        uint32_t *items = realloc(list->items, room * sizeof items[0]);
        if (items == NULL) {
            return false;
        }
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = place;
    return true;
}

/* --- life ------------------------------------------------------------------------------------ */

static int open_scratch(int directory_fd)
{
    static const char name[] = "tree-scratch";
    const int file =
        directory_fd < 0
            ? -1
            : openat(directory_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file >= 0 && unlinkat(directory_fd, name, 0) != 0) {
        (void)close(file);
        return -1;
    }
    return file;
}

struct forest *forest_create(int directory_fd)
{
    struct forest *forest = calloc(1, sizeof *forest);
    if (forest == NULL) {
        return NULL;
    }
    MUST(pthread_mutex_init(&forest->mutex, NULL) == 0);
    forest->holders = 1;
    forest->file = open_scratch(directory_fd);
    forest->used = FOREST_NONE + 1;
    if (!add_segment(forest)) {
        forest_release(forest);
        return NULL;
    }
    return forest;
}

void forest_share(struct forest *forest)
{
    forest->holders++;
}

void forest_release(struct forest *forest)
{
    MUST(forest->holders > 0);
    if (--forest->holders > 0) {
        return;
    }
    MUST(forest->pin_count == 0);
    for (uint32_t i = 0; i < forest->segment_count; i++) {
        (void)munmap(forest->segments[i], SEGMENT_BYTES);
    }
    for (size_t i = 0; i < forest->waiting_count; i++) {
        free(forest->waiting[(forest->waiting_head + i) % forest->waiting_room].items);
    }
    if (forest->file >= 0) {
        (void)close(forest->file);
    }
    free(forest->waiting);
    MUST(pthread_mutex_destroy(&forest->mutex) == 0);
    free(forest);
}

/* --- batches that end ------------------------------------------------------------------------ */

static void give_all(struct forest *forest, const uint32_t *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        forest_give(forest, places[i]);
    }
}

void forest_discard(struct forest *forest, struct forest_batch *batch)
{
    give_all(forest, batch->born.items, batch->born.count);
    batch->born.count = 0;
    batch->dead.count = 0;
    batch->before = (struct forest_tree){0};
    batch->tree = (struct forest_tree){0};
}

void forest_batch_free(struct forest_batch *batch)
{
    MUST(batch->born.count == 0 && batch->dead.count == 0);
    free(batch->born.items);
    free(batch->dead.items);
    memset(batch, 0, sizeof *batch);
}

/* The lowest height that somebody reads, UINT64_MAX if nobody does. */
static uint64_t lowest_pin(struct forest *forest)
{
    uint64_t lowest = UINT64_MAX;
    MUST(pthread_mutex_lock(&forest->mutex) == 0);
    for (uint32_t i = 0; i < forest->pin_count; i++) {
        lowest = forest->pins[i] < lowest ? forest->pins[i] : lowest;
    }
    /* What is known can still be pinned. */
    if (forest->known_count > 0 && forest->known[0].height < lowest) {
        lowest = forest->known[0].height;
    }
    MUST(pthread_mutex_unlock(&forest->mutex) == 0);
    return lowest;
}

static void free_waiting(struct forest *forest)
{
    const uint64_t lowest = forest->waiting_count > 0 ? lowest_pin(forest) : 0;
    while (forest->waiting_count > 0 && forest->waiting[forest->waiting_head].height <= lowest) {
        struct forest_waiting *oldest = &forest->waiting[forest->waiting_head];
        give_all(forest, oldest->items, oldest->count);
        free(oldest->items);
        forest->waiting_head = (forest->waiting_head + 1) % forest->waiting_room;
        forest->waiting_count--;
    }
}

static bool waiting_reserve(struct forest *forest)
{
    if (forest->waiting_count < forest->waiting_room) {
        return true;
    }
    const size_t room = forest->waiting_room == 0 ? LIST_ROOM_FIRST : 2 * forest->waiting_room;
    struct forest_waiting *larger =
        room > FOREST_WAITING_MAX ? NULL : calloc(room, sizeof larger[0]);
    if (larger == NULL) {
        return false;
    }
    for (size_t i = 0; i < forest->waiting_count; i++) {
        larger[i] = forest->waiting[(forest->waiting_head + i) % forest->waiting_room];
    }
    free(forest->waiting);
    forest->waiting = larger;
    forest->waiting_head = 0;
    forest->waiting_room = room;
    return true;
}

void forest_commit(struct forest *forest, struct forest_batch *batch)
{
    batch->born.count = 0;
    if (forest->known_count == 0) { /* nobody has ever been able to pin a tree */
        give_all(forest, batch->dead.items, batch->dead.count);
        batch->dead.count = 0;
        return;
    }
    if (batch->dead.count > 0 && waiting_reserve(forest)) {
        const size_t at = (forest->waiting_head + forest->waiting_count) % forest->waiting_room;
        forest->waiting[at] = (struct forest_waiting){
            .height = forest->height, .items = batch->dead.items, .count = batch->dead.count};
        forest->waiting_count++;
        batch->dead = (struct forest_list){0}; /* they are the queue's now */
    }
    batch->dead.count = 0;
    free_waiting(forest);
}

/* --- trees that others read ------------------------------------------------------------------- */

void forest_publish(struct forest *forest, uint64_t height, const struct forest_tree *tree)
{
    MUST(pthread_mutex_lock(&forest->mutex) == 0);
    MUST(forest->known_count == 0 || height > forest->known[forest->known_count - 1].height);
    if (forest->known_count == FOREST_RECENT) {
        memmove(forest->known, forest->known + 1, (FOREST_RECENT - 1) * sizeof forest->known[0]);
        forest->known_count--;
    }
    forest->known[forest->known_count++] = (struct forest_known){.height = height, .tree = *tree};
    MUST(pthread_mutex_unlock(&forest->mutex) == 0);
    forest->height = height;
}

void forest_withdraw(struct forest *forest, uint64_t height)
{
    MUST(pthread_mutex_lock(&forest->mutex) == 0);
    MUST(forest->known_count > 0 && forest->known[forest->known_count - 1].height == height);
    forest->known_count--;
    MUST(pthread_mutex_unlock(&forest->mutex) == 0);
}

bool forest_pin(struct forest *forest, uint64_t height, struct forest_tree *out)
{
    bool found = false;
    MUST(pthread_mutex_lock(&forest->mutex) == 0);
    for (uint32_t i = 0; i < forest->known_count && forest->pin_count < FOREST_PINS_MAX; i++) {
        if (forest->known[i].height == height) {
            *out = forest->known[i].tree;
            forest->pins[forest->pin_count++] = height;
            found = true;
            break;
        }
    }
    MUST(pthread_mutex_unlock(&forest->mutex) == 0);
    return found;
}

void forest_unpin(struct forest *forest, uint64_t height)
{
    MUST(pthread_mutex_lock(&forest->mutex) == 0);
    uint32_t at = 0;
    while (at < forest->pin_count && forest->pins[at] != height) {
        at++;
    }
    MUST(at < forest->pin_count);
    forest->pins[at] = forest->pins[--forest->pin_count];
    MUST(pthread_mutex_unlock(&forest->mutex) == 0);
}

void forest_node(const struct forest *forest, const struct forest_tree *tree,
                 struct state_tree_node *out, const struct state_tree_path *path)
{
    const unsigned depth = (unsigned)path->bytes[0] << 8 | path->bytes[1];
    uint32_t place = tree->root;
    MUST(depth <= STATE_TREE_DEPTH_MAX && path->size == 2 + (depth + 7) / 8);
    for (unsigned at = 0; at < depth && place != FOREST_NONE; at++) {
        const struct forest_node *node = forest_at(forest, place);
        const bool right = (path->bytes[2 + at / 8] >> (7 - at % 8) & 1u) != 0;
        place = forest_is_leaf(node) ? FOREST_NONE : right ? node->right : node->left;
    }
    memset(out, 0, sizeof *out);
    out->kind = STATE_TREE_EMPTY;
    if (place != FOREST_NONE) {
        const struct forest_node *node = forest_at(forest, place);
        out->kind = forest_is_leaf(node) ? STATE_TREE_LEAF : STATE_TREE_BRANCH;
        out->a = node->a;
        out->b = node->b;
    }
}

size_t forest_count(const struct forest *forest)
{
    return forest->count;
}
