/* Making a snapshot (snapshot_make.h).
 *
 *   state in key order -> 256 buckets by hash -> sorted, split into chunks -> the tree above them
 *   -> root compared with the header's -> paths appended -> certificate -> manifest -> final name
 *
 * Invariants:
 *  1. The chunks are a function of the entries alone: a prefix is split if its entries take more than
 *     the limit, and the limit follows from what all of them take. So every node makes the same.
 *  2. The root is computed from the entries that go out. If it is not the header's, this node's state
 *     is damaged, and no snapshot comes to be.
 *
 * Deliberately absent: increments from one snapshot to the next, compression. */
#include "node/snapshot_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/boundaries.h"

enum {
    BUCKETS = 256,
    BUCKET_DEPTH = 8,
    /* Hashes spread the largest legal state (8 GiB) so that none comes near. */
    BUCKET_BYTES_MAX = 128 * 1024 * 1024,
    ENTRY_BYTES_MAX = SNAPSHOT_ENTRY_HEAD + LIMIT_STATE_KEY_BYTES + LIMIT_STATE_VALUE_BYTES,
    /* Entries between two looks at whether somebody waits for the store or for our end. */
    ENTRIES_PER_LOOK = 1024,
    /* For the certificate of a block that is final already. */
    PROOF_TRIES_MAX = 600,
    PROOF_WAIT_MS = 200
};
/* What stays free on the disk besides: the store has a reserve of its own below it. */
static const uint64_t disk_reserve = (uint64_t)256 << 20;

struct made_entry {
    struct hash hash;
    struct bytes_view key;
    struct bytes_view value;
};

struct work {
    const struct snapshot_making *making;
    char *problem;
    char directory[SNAPSHOT_PATH_SIZE];
    struct block_header header;
    uint8_t header_bytes[BLOCK_HEADER_SIZE];
    uint64_t bucket_bytes[BUCKETS];
    uint64_t bytes;
    size_t limit;
    uint8_t *part; /* SNAPSHOT_PART_BYTES_MAX */
    struct state_part_tree *tree;
    struct snapshot_place *places; /* SNAPSHOT_CHUNKS_MAX */
    uint32_t chunk_count;
};

static bool refuse(struct work *work, const char *why)
{
    (void)snprintf(work->problem, SNAPSHOT_PROBLEM_SIZE, "%s", why);
    return false;
}

static bool is_stopped(const struct work *work)
{
    return atomic_load(work->making->stop);
}

static bool bucket_path(const struct work *work, char out[SNAPSHOT_PATH_SIZE], unsigned bucket)
{
    char name[SNAPSHOT_NAME_SIZE];
    (void)snprintf(name, sizeof name, "bucket-%03u", bucket);
    return snapshot_path(out, work->directory, name);
}

/* --- reading the state ------------------------------------------------------------------------ */

static bool put_bucket(struct work *work, FILE **buckets, struct bytes_view key,
                       struct bytes_view value)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct byte_writer writer;
    struct hash hash;
    char path[SNAPSHOT_PATH_SIZE];
    hash_bytes(&hash, HASH_DOMAIN_STATE_KEY, key.data, key.size);
    const unsigned bucket = hash.bytes[0];
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_chunk_encode_entry(&writer, key, value);
    MUST(!writer.failed);
    if (buckets[bucket] == NULL && bucket_path(work, path, bucket))
        buckets[bucket] = fopen(path, "wbe");
    if (buckets[bucket] == NULL || fwrite(bytes, 1, writer.size, buckets[bucket]) != writer.size)
        return refuse(work, strerror(errno));
    work->bucket_bytes[bucket] += writer.size;
    work->bytes += writer.size;
    return true;
}

static bool distribute(struct work *work, FILE **buckets, struct store_snapshot *at)
{
    const struct state_base *base = store_snapshot_base(at);
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t size = 0;
    struct bytes_view value;
    bool found = true;
    for (uint64_t count = 0; work->bytes <= snapshot_state_bytes_max; count++) {
        if (!base->next(base->context, bytes_view_of(NULL, 0), bytes_view_of(key, size), &found,
                        key, &size, &value))
            return refuse(work, "the state cannot be read");
        if (!found)
            return true;
        if (!snapshot_entry_fits(bytes_view_of(key, size), value))
            return refuse(work, "an entry of the state is out of bounds");
        if (!put_bucket(work, buckets, bytes_view_of(key, size), value))
            return false;
        if (count % ENTRIES_PER_LOOK == 0 && (is_stopped(work) || store_snapshot_is_in_the_way(at)))
            return refuse(work, "given up: the store has to grow, or the node stops");
    }
    return refuse(work, "the state is larger than a snapshot can be");
}

static bool read_state(struct work *work, struct store_snapshot *at)
{
    FILE *buckets[BUCKETS] = {NULL};
    bool good = distribute(work, buckets, at);
    for (unsigned i = 0; i < BUCKETS; i++) {
        if (buckets[i] != NULL && fclose(buckets[i]) != 0 && good)
            good = refuse(work, strerror(errno));
    }
    return good;
}

static bool write_epoch(struct work *work, struct store_snapshot *at, uint32_t index,
                        uint64_t height)
{
    struct store_block block;
    struct store_block parent;
    struct byte_writer writer;
    memset(&parent, 0, sizeof parent);
    if ((height > 1 && store_snapshot_header(at, height - 1, &parent) != STORE_OK) ||
        store_snapshot_header(at, height, &block) != STORE_OK)
        return refuse(work, "the last block of an epoch cannot be read");
    const struct snapshot_epoch epoch = {parent.header, block.header, block.certificate};
    byte_writer_init(&writer, work->part, SNAPSHOT_PART_BYTES_MAX);
    snapshot_epoch_encode(&writer, &epoch);
    MUST(!writer.failed);
    return snapshot_part_write(work->directory, SNAPSHOT_EPOCH, index,
                               bytes_view_of(writer.data, writer.size), true, work->problem);
}

static bool write_epochs(struct work *work, struct store_snapshot *at)
{
    struct boundaries *boundaries = calloc(1, sizeof *boundaries);
    bool good = boundaries != NULL && boundaries_find(boundaries, at);
    if (!good)
        (void)refuse(work, "the ends of epochs cannot be read");
    else if (boundaries->count != work->header.epoch)
        good = refuse(work, "the block ends its epoch");
    for (uint32_t i = 0; good && i < boundaries->count; i++)
        good = write_epoch(work, at, i, boundaries->heights[i]);
    free(boundaries);
    return good;
}

/* All that has to be read at the very height. */
static bool read_all(struct work *work, struct store_snapshot *at)
{
    const uint64_t height = store_snapshot_tip(at)->height;
    struct store_block block;
    if (height == 0 || store_snapshot_header(at, height, &block) != STORE_OK ||
        !block_header_decode(&work->header, block.header))
        return refuse(work, "the block's header cannot be read");
    memcpy(work->header_bytes, block.header.data, BLOCK_HEADER_SIZE);
    return write_epochs(work, at) && read_state(work, at);
}

/* --- chunks ----------------------------------------------------------------------------------- */

/* Twice the smallest limit, and so on, until SNAPSHOT_CHUNKS_AIM chunks hold it all. */
static size_t limit_of(uint64_t bytes)
{
    size_t limit = SNAPSHOT_CHUNK_BYTES_MIN;
    while (limit < SNAPSHOT_CHUNK_BYTES_MAX && bytes > (uint64_t)limit * SNAPSHOT_CHUNKS_AIM)
        limit *= 2;
    return limit;
}

static bool node_of(struct work *work, struct state_tree_node *out,
                    const struct made_entry *entries, size_t count, unsigned depth)
{
    struct state_tree_change *leaves = calloc(count + 1, sizeof *leaves);
    if (leaves == NULL)
        return refuse(work, "out of memory");
    for (size_t i = 0; i < count; i++) {
        leaves[i].key = entries[i].hash;
        hash_bytes(&leaves[i].value, HASH_DOMAIN_STATE_VALUE, entries[i].value.data,
                   entries[i].value.size);
    }
    state_part_node(out, leaves, count, depth);
    free(leaves);
    return true;
}

/* Without its path, which the other chunks decide. */
static bool emit(struct work *work, const struct made_entry *entries, size_t count,
                 const struct state_part_prefix *prefix)
{
    struct byte_writer writer;
    struct state_tree_node node;
    if (work->chunk_count == SNAPSHOT_CHUNKS_MAX)
        return refuse(work, "the state makes more chunks than a snapshot can have");
    byte_writer_init(&writer, work->part, SNAPSHOT_PART_BYTES_MAX - SNAPSHOT_PATH_BYTES_MAX);
    snapshot_chunk_encode_head(&writer, prefix, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        snapshot_chunk_encode_entry(&writer, entries[i].key, entries[i].value);
    MUST(!writer.failed);
    if (!node_of(work, &node, entries, count, prefix->depth))
        return false;
    MUST(state_part_tree_add(work->tree, prefix, &node));
    work->places[work->chunk_count] = (struct snapshot_place){*prefix, 0};
    return snapshot_part_write(work->directory, SNAPSHOT_CHUNK, work->chunk_count++,
                               bytes_view_of(writer.data, writer.size), false, work->problem);
}

static size_t bytes_of(const struct made_entry *entries, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += SNAPSHOT_ENTRY_HEAD + entries[i].key.size + entries[i].value.size;
    return bytes;
}

static struct state_part_prefix half_of(const struct state_part_prefix *prefix, bool right)
{
    const uint64_t bit = (uint64_t)1 << (63 - prefix->depth);
    return (struct state_part_prefix){(uint8_t)(prefix->depth + 1),
                                      prefix->bits | (right ? bit : 0)};
}

/* At most one call per bit of the prefix deep. */
static bool split(struct work *work, const struct made_entry *entries, size_t count,
                  const struct state_part_prefix *prefix)
{
    if (bytes_of(entries, count) <= work->limit)
        return emit(work, entries, count, prefix);
    if (prefix->depth == STATE_PART_DEPTH_MAX)
        return refuse(work, "too many keys have nearly the same hash");
    const struct state_part_prefix left = half_of(prefix, false);
    const struct state_part_prefix right = half_of(prefix, true);
    size_t middle = 0;
    while (middle < count && state_part_holds(&left, &entries[middle].hash))
        middle++;
    return split(work, entries, middle, &left) &&
           split(work, entries + middle, count - middle, &right);
}

static int compare_entries(const void *a, const void *b)
{
    return hash_compare(&((const struct made_entry *)a)->hash,
                        &((const struct made_entry *)b)->hash);
}

/* Reads buckets [first, first + count) into `bytes`, which has the room. */
static bool load_buckets(struct work *work, uint8_t *bytes, unsigned first, unsigned count)
{
    size_t at = 0;
    for (unsigned i = first; i < first + count; i++) {
        const size_t size = (size_t)work->bucket_bytes[i];
        char path[SNAPSHOT_PATH_SIZE];
        if (size == 0)
            continue;
        FILE *file = bucket_path(work, path, i) ? fopen(path, "rbe") : NULL;
        const bool good = file != NULL && fread(bytes + at, 1, size, file) == size;
        if (file != NULL)
            (void)fclose(file);
        if (!good)
            return refuse(work, "a bucket cannot be read back");
        (void)remove(path);
        at += size;
    }
    return true;
}

static bool parse_entries(struct work *work, struct bytes_view bytes, struct made_entry **entries,
                          size_t *count)
{
    struct byte_reader reader;
    const size_t room = bytes.size / (SNAPSHOT_ENTRY_HEAD + 1) + 1;
    *count = 0;
    *entries = calloc(room, sizeof **entries);
    if (*entries == NULL)
        return refuse(work, "out of memory");
    byte_reader_init(&reader, bytes.data, bytes.size);
    while (reader.at < reader.size && !reader.failed && *count < room) {
        struct made_entry *entry = &(*entries)[(*count)++];
        entry->key = byte_read_view(&reader, byte_read_u16(&reader));
        entry->value = byte_read_view(&reader, byte_read_u16(&reader));
        hash_bytes(&entry->hash, HASH_DOMAIN_STATE_KEY, entry->key.data, entry->key.size);
    }
    if (!byte_reader_done(&reader))
        return refuse(work, "a bucket reads back otherwise than it was written");
    qsort(*entries, *count, sizeof **entries, compare_entries);
    return true;
}

static bool cut_buckets(struct work *work, unsigned first, unsigned count, size_t size,
                        const struct state_part_prefix *prefix)
{
    uint8_t *bytes = malloc(size + 1);
    struct made_entry *entries = NULL;
    size_t entry_count = 0;
    const bool good = bytes == NULL ? refuse(work, "out of memory")
                                    : load_buckets(work, bytes, first, count) &&
                                          parse_entries(work, bytes_view_of(bytes, size), &entries,
                                                        &entry_count) &&
                                          split(work, entries, entry_count, prefix);
    free(entries);
    free(bytes);
    return good;
}

/* Buckets [first, first + count) are what lies under the prefix. */
static bool cut(struct work *work, unsigned first, unsigned count,
                const struct state_part_prefix *prefix)
{
    uint64_t size = 0;
    for (unsigned i = first; i < first + count; i++)
        size += work->bucket_bytes[i];
    if (is_stopped(work))
        return refuse(work, "given up: the node stops");
    if (size <= work->limit || count == 1) {
        return size <= BUCKET_BYTES_MAX ? cut_buckets(work, first, count, (size_t)size, prefix)
                                        : refuse(work, "too many keys have nearly the same hash");
    }
    const struct state_part_prefix left = half_of(prefix, false);
    const struct state_part_prefix right = half_of(prefix, true);
    return cut(work, first, count / 2, &left) && cut(work, first + count / 2, count / 2, &right);
}

static bool add_paths(struct work *work)
{
    for (uint32_t i = 0; i < work->chunk_count; i++) {
        struct bytes_view body;
        struct byte_writer writer;
        struct state_part_path path;
        if (is_stopped(work))
            return refuse(work, "given up: the node stops");
        if (snapshot_part_read(work->directory, SNAPSHOT_CHUNK, i, &body) != SNAPSHOT_READ_OK)
            return refuse(work, "a chunk cannot be read back");
        byte_writer_init(&writer, work->part, SNAPSHOT_PART_BYTES_MAX);
        byte_write_raw(&writer, body.data, body.size);
        snapshot_bytes_free(body);
        state_part_tree_path(work->tree, &path, i);
        state_part_path_encode(&writer, &path);
        MUST(!writer.failed);
        work->places[i].size = (uint32_t)writer.size;
        if (!snapshot_part_write(work->directory, SNAPSHOT_CHUNK, i,
                                 bytes_view_of(writer.data, writer.size), true, work->problem))
            return false;
    }
    return true;
}

static bool make_chunks(struct work *work)
{
    const struct state_part_prefix whole = {0, 0};
    struct hash root;
    struct statvfs disk;
    if (statvfs(work->directory, &disk) == 0 &&
        (uint64_t)disk.f_bavail * disk.f_frsize < work->bytes + disk_reserve)
        return refuse(work, "not enough room on the disk");
    work->limit = limit_of(work->bytes);
    if (!cut(work, 0, BUCKETS, &whole))
        return false;
    MUST(state_part_tree_root(work->tree, &root));
    if (!hash_equal(&root, &work->header.state_root)) {
        log_line(LOG_BROKEN, "snapshot %llu: the state's entries do not have their block's root",
                 (unsigned long long)work->header.height);
        return refuse(work, "this node's state is damaged: it does not have its block's root");
    }
    return add_paths(work);
}

/* --- the manifest ------------------------------------------------------------------------------ */

static bool find_proof(struct work *work, struct snapshot_manifest *manifest, uint8_t *headers)
{
    for (int i = 0; i < PROOF_TRIES_MAX && !is_stopped(work); i++) {
        uint32_t count = 0;
        struct store_snapshot *now = store_snapshot_begin(work->making->store);
        const enum finality_found found =
            now == NULL
                ? FINALITY_NOT_YET
                : finality_find(now, work->header.height, &manifest->certificate, headers, &count);
        if (now != NULL)
            store_snapshot_end(now);
        if (found == FINALITY_FAULT)
            return refuse(work, "the block's certificate cannot be read");
        manifest->proof_headers = bytes_view_of(headers, (size_t)count * BLOCK_HEADER_SIZE);
        if (found == FINALITY_FOUND)
            return true;
        const struct timespec wait = {.tv_nsec = PROOF_WAIT_MS * 1000000L};
        (void)nanosleep(&wait, NULL);
    }
    return refuse(work, "no certificate of the block came in time");
}

static bool write_manifest(struct work *work, struct snapshot_manifest *manifest)
{
    struct byte_writer layout;
    struct byte_writer writer;
    bool good = false;
    uint8_t *layout_bytes = malloc((size_t)work->chunk_count * SNAPSHOT_LAYOUT_BYTES);
    uint8_t *headers = malloc((size_t)LIMIT_VIEW_WINDOW * BLOCK_HEADER_SIZE);
    if (layout_bytes != NULL && headers != NULL && find_proof(work, manifest, headers)) {
        byte_writer_init(&layout, layout_bytes, (size_t)work->chunk_count * SNAPSHOT_LAYOUT_BYTES);
        for (uint32_t i = 0; i < work->chunk_count; i++) {
            byte_write_u8(&layout, work->places[i].prefix.depth);
            byte_write_u32(&layout, work->places[i].size);
        }
        manifest->genesis = work->making->genesis;
        manifest->header = work->header;
        manifest->header_bytes = bytes_view_of(work->header_bytes, BLOCK_HEADER_SIZE);
        manifest->log = work->making->log;
        manifest->chunk_count = work->chunk_count;
        manifest->layout = bytes_view_of(layout.data, layout.size);
        byte_writer_init(&writer, work->part, SNAPSHOT_PART_BYTES_MAX);
        snapshot_manifest_encode(&writer, manifest);
        MUST(!writer.failed && !layout.failed);
        good = snapshot_part_write(work->directory, SNAPSHOT_MANIFEST, 0,
                                   bytes_view_of(writer.data, writer.size), true, work->problem);
    }
    free(headers);
    free(layout_bytes);
    return good;
}

static bool publish(struct work *work)
{
    struct snapshot_manifest *manifest = calloc(1, sizeof *manifest);
    if (manifest == NULL)
        return refuse(work, "out of memory");
    const bool good =
        write_manifest(work, manifest) && snapshot_publish(work->making->directory, work->directory,
                                                           work->header.height, work->problem);
    free(manifest);
    return good;
}

bool snapshot_make(const struct snapshot_making *making, struct store_snapshot *at,
                   uint64_t *height, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct work *work = calloc(1, sizeof *work);
    bool good = work != NULL;
    problem[0] = '\0';
    *height = store_snapshot_tip(at)->height;
    if (good) {
        work->making = making;
        work->problem = problem;
        work->part = malloc(SNAPSHOT_PART_BYTES_MAX);
        work->places = calloc(SNAPSHOT_CHUNKS_MAX, sizeof *work->places);
        work->tree = state_part_tree_create(SNAPSHOT_CHUNKS_MAX);
        good = work->part != NULL && work->places != NULL && work->tree != NULL;
    }
    if (!good)
        (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "out of memory");
    good = good && snapshot_path(work->directory, making->directory, "making") &&
           snapshot_make_directory(work->directory, problem) && read_all(work, at);
    store_snapshot_end(at);
    good = good && make_chunks(work) && publish(work);
    if (work != NULL) {
        if (!good)
            (void)snapshot_remove(work->directory);
        free(work->part);
        free(work->places);
        state_part_tree_destroy(work->tree);
        free(work);
    }
    return good;
}
