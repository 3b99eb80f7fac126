/* A whole snapshot on disk: verifying it, and loading it into an empty store (node/sync.h).
 *
 * Invariant: nothing is loaded that has not been read from its file, checked by its checksum and
 * verified from the genesis on in this very call, whoever may have written the directory.
 *
 * Deliberately absent: peers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/records.h"
#include "node/sync.h"

static bool refuse(char problem[SNAPSHOT_PROBLEM_SIZE], const char *why)
{
    (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "%s", why);
    return false;
}

/* Puts the part's name before what is wrong with it. */
static bool blame(char problem[SNAPSHOT_PROBLEM_SIZE], enum snapshot_part_kind kind, uint32_t index,
                  const char *why)
{
    char name[SNAPSHOT_NAME_SIZE];
    char reason[SNAPSHOT_PROBLEM_SIZE];
    (void)snprintf(reason, sizeof reason, "%s", why); /* it may be `problem` itself */
    snapshot_part_name(name, kind, index);
    (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "%s: %.110s", name, reason);
    return false;
}

static bool read_part(const char *directory, enum snapshot_part_kind kind, uint32_t index,
                      struct bytes_view *bytes, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    switch (snapshot_part_read(directory, kind, index, bytes)) {
    case SNAPSHOT_READ_OK:
        return true;
    case SNAPSHOT_READ_ABSENT:
        return blame(problem, kind, index, "is missing");
    case SNAPSHOT_READ_DAMAGED:
        return blame(problem, kind, index, "does not match its checksum");
    }
    return false;
}

bool snapshot_manifest_load(struct snapshot_manifest *out, struct bytes_view *bytes,
                            const char *directory, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    if (!read_part(directory, SNAPSHOT_MANIFEST, 0, bytes, problem))
        return false;
    if (snapshot_manifest_decode(out, *bytes, problem))
        return true;
    snapshot_bytes_free(*bytes);
    return blame(problem, SNAPSHOT_MANIFEST, 0, problem);
}

/* The block and the one before it, unless that is the last of the epoch before, which is there. */
static enum store_result load_epoch(struct store *store, const struct snapshot_epoch *epoch,
                                    uint64_t began_at)
{
    struct block_header parent;
    enum store_result result = STORE_OK;
    if (epoch->parent.size > 0) {
        MUST(block_header_decode(&parent, epoch->parent)); /* it was, when it was verified */
        if (parent.height > began_at)
            result = store_load_header(store, epoch->parent, bytes_view_of(NULL, 0));
    }
    return result == STORE_OK ? store_load_header(store, epoch->header, epoch->finality) : result;
}

/* Verifies the epoch records one after the other; each goes into the store if there is one. */
static bool walk_epochs(struct snapshot_trust *trust, const struct snapshot_manifest *manifest,
                        const char *directory, struct store *store,
                        char problem[SNAPSHOT_PROBLEM_SIZE])
{
    for (uint32_t i = 0; i < manifest->header.epoch; i++) {
        struct bytes_view bytes;
        struct snapshot_epoch epoch;
        const uint64_t began_at = trust->height;
        if (!read_part(directory, SNAPSHOT_EPOCH, i, &bytes, problem))
            return false;
        bool good = snapshot_trust_epoch(trust, &epoch, bytes, problem) ||
                    blame(problem, SNAPSHOT_EPOCH, i, problem);
        if (good && store != NULL) {
            const enum store_result result = load_epoch(store, &epoch, began_at);
            good =
                result == STORE_OK || blame(problem, SNAPSHOT_EPOCH, i, store_result_text(result));
        }
        snapshot_bytes_free(bytes);
        if (!good)
            return false;
    }
    return snapshot_trust_manifest(trust, manifest, problem) ||
           blame(problem, SNAPSHOT_MANIFEST, 0, problem);
}

bool snapshot_trust_load(struct snapshot_trust *trust, const struct snapshot_manifest *manifest,
                         const char *directory, const struct genesis *genesis,
                         char problem[SNAPSHOT_PROBLEM_SIZE])
{
    if (!snapshot_trust_begin(trust, genesis))
        return refuse(problem, "the genesis is not sound");
    return walk_epochs(trust, manifest, directory, NULL, problem);
}

static bool take_chunk(const char *directory, uint32_t index, const struct snapshot_place *place,
                       const struct hash *root, struct store *store, uint64_t *entries,
                       char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct bytes_view bytes;
    struct snapshot_chunk chunk;
    if (!read_part(directory, SNAPSHOT_CHUNK, index, &bytes, problem))
        return false;
    bool good = bytes.size == place->size ||
                blame(problem, SNAPSHOT_CHUNK, index, "is not of the size that the manifest says");
    if (good && !snapshot_chunk_open(&chunk, bytes, &place->prefix, root, problem))
        good = blame(problem, SNAPSHOT_CHUNK, index, problem);
    if (good) {
        const enum store_result result =
            store == NULL ? STORE_OK : store_load_entries(store, chunk.entries, chunk.count);
        *entries += chunk.count;
        if (result != STORE_OK)
            good = blame(problem, SNAPSHOT_CHUNK, index, store_result_text(result));
        snapshot_chunk_close(&chunk);
    }
    snapshot_bytes_free(bytes);
    return good;
}

static bool walk_chunks(const struct snapshot_manifest *manifest, const char *directory,
                        struct store *store, uint64_t *entries, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct snapshot_place *places = calloc(manifest->chunk_count, sizeof *places);
    bool good = places != NULL;
    *entries = 0;
    if (!good)
        return refuse(problem, "out of memory");
    snapshot_manifest_places(manifest, places);
    for (uint32_t i = 0; good && i < manifest->chunk_count; i++)
        good = take_chunk(directory, i, &places[i], &manifest->header.state_root, store, entries,
                          problem);
    free(places);
    return good;
}

bool snapshot_verify_directory(const char *directory, const struct genesis *genesis,
                               uint64_t *height, uint64_t *entries,
                               char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct snapshot_manifest *manifest = calloc(1, sizeof *manifest);
    struct snapshot_trust trust;
    struct bytes_view bytes = {NULL, 0};
    bool good = manifest != NULL || refuse(problem, "out of memory");
    good = good && snapshot_manifest_load(manifest, &bytes, directory, problem);
    if (good) {
        *height = manifest->header.height;
        good = snapshot_trust_load(&trust, manifest, directory, genesis, problem) &&
               walk_chunks(manifest, directory, NULL, entries, problem);
        snapshot_bytes_free(bytes);
    }
    free(manifest);
    return good;
}

/* --- loading ------------------------------------------------------------------------------------ */

/* How many transactions there have been is in the state itself. */
static bool transactions_of(struct store *store, uint64_t *out, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    const struct state_base *base = store_state_base(store);
    const struct state_key key = state_key_single(STATE_COUNTERS);
    struct counters_record counters;
    struct bytes_view value;
    bool found = false;
    if (!base->get(base->context, bytes_view_of(key.bytes, key.size), &found, &value) || !found ||
        !codec_decode_all(state_kind_info(STATE_COUNTERS)->codec, &counters, value))
        return refuse(problem, "the state holds no counters");
    *out = counters.transactions;
    return true;
}

static bool finish(const struct snapshot_manifest *manifest, struct store *store,
                   char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct store_tip tip;
    struct hash leaf;
    uint8_t finality[CERTIFICATE_BYTES_MAX];
    struct byte_writer writer;
    memset(&tip, 0, sizeof tip);
    tip.height = manifest->header.height;
    tip.view = manifest->header.view;
    block_header_id(&tip.block_id, &manifest->header);
    tip.state_root = manifest->header.state_root;
    tip.time = manifest->header.time;
    tip.log = manifest->log;
    tip.has_genesis = true;
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, tip.block_id.bytes, HASH_SIZE);
    merkle_frontier_append(&tip.log, &leaf);
    if (!transactions_of(store, &tip.transactions, problem))
        return false;
    /* A certificate of a descendant comes again with the descendant. */
    byte_writer_init(&writer, finality, sizeof finality);
    if (manifest->proof_headers.size == 0)
        finality_encode(&writer, &manifest->certificate, NULL, bytes_view_of(NULL, 0));
    MUST(!writer.failed);
    const enum store_result result = store_load_finish(
        store, &tip, &manifest->log, manifest->header_bytes, bytes_view_of(finality, writer.size));
    return result == STORE_OK || refuse(problem, store_result_text(result));
}

bool sync_install(const char *directory, const struct genesis *genesis, struct store *store,
                  char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct snapshot_manifest *manifest = calloc(1, sizeof *manifest);
    struct snapshot_trust trust;
    struct bytes_view bytes = {NULL, 0};
    uint64_t entries = 0;
    bool good = manifest != NULL || refuse(problem, "out of memory");
    good = good && snapshot_manifest_load(manifest, &bytes, directory, problem);
    if (good) {
        good = (snapshot_trust_begin(&trust, genesis) ||
                refuse(problem, "the genesis is not sound")) &&
               walk_epochs(&trust, manifest, directory, store, problem) &&
               walk_chunks(manifest, directory, store, &entries, problem) &&
               finish(manifest, store, problem);
        snapshot_bytes_free(bytes);
    }
    free(manifest);
    return good;
}
