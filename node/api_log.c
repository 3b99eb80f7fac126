/* The history log over HTTP: proofs of earlier blocks and of earlier sizes, and daily digests as signed
 * notes (docs/spec/api.md, digest.md).
 *
 * Invariant: what is handed out has been verified here, as whoever gets it will: a note from the
 * genesis file, a path against the log root of its header.
 *
 * Deliberately absent: notes that are kept. A note is made of two headers and a certificate whenever
 * somebody asks. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "base/log.h"
#include "node/api_internal.h"
#include "verify/digest.h"

struct log_source {
    struct store_snapshot *snapshot;
    const struct hash *genesis;
};

static bool header_of(struct block_header *out, struct store_snapshot *snapshot, uint64_t height)
{
    struct store_block block;
    return store_snapshot_header(snapshot, height, &block) == STORE_OK &&
           block_header_decode(out, block.header);
}

static bool leaf_of(void *context, struct hash *out, uint64_t height)
{
    const struct log_source *source = context;
    struct hash id = *source->genesis;
    struct block_header header;
    if (height > 0) {
        if (!header_of(&header, source->snapshot, height))
            return false;
        block_header_id(&id, &header);
    }
    hash_bytes(out, HASH_DOMAIN_LOG_LEAF, id.bytes, HASH_SIZE);
    return true;
}

/* `first`: the lowest height from which this node has all headers. */
static void not_here(struct api_reply *reply, enum history_result result, uint64_t first)
{
    char reason[200];
    switch (result) {
    case HISTORY_BUSY:
        api_reply_retry(reply, "the node is still reading its log; ask again in a moment");
        return;
    case HISTORY_BELOW:
        (void)snprintf(
            reason, sizeof reason,
            "this node began with a snapshot and proves blocks from %llu on only; ask an "
            "audit node, which has all headers",
            (unsigned long long)first);
        api_reply_error(reply, MHD_HTTP_GONE, "pruned", reason);
        return;
    case HISTORY_OK:
    case HISTORY_ABSENT:
        break;
    }
    api_reply_not_found(reply, "this node does not have the headers that this takes");
}

/* --- proofs ------------------------------------------------------------------------------- */

/* Decimal, canonical, not zero, up to the byte `end`. */
static bool take_size(uint64_t *out, const char **text, char end)
{
    const char *at = *text;
    *out = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (*out > UINT64_MAX / 10 - 1)
            return false;
        *out = *out * 10 + (uint64_t)(*at - '0');
    }
    bool good = at != *text && **text != '0' && *at == end;
    *text = at + (end != '\0');
    return good;
}

static void add_path(cJSON *root, const struct merkle_proof *proof)
{
    api_add_hex(root, "proof", proof->siblings[0].bytes, (size_t)proof->count * HASH_SIZE);
}

/* The earlier block's header, and its path; HISTORY_BUSY also stands for a certificate that is not
 * here yet. */
static enum history_result block_proof(const struct api_request *request,
                                       struct store_snapshot *snapshot, const char *id,
                                       uint64_t height, cJSON **root)
{
    struct log_source context = {snapshot, &request->node->genesis_hash};
    struct history_source source = {leaf_of, &context};
    struct store_block tip, earlier;
    struct block_header header;
    struct merkle_proof proof;
    struct hash leaf;
    const uint64_t count = store_snapshot_tip(snapshot)->height;
    if (store_snapshot_header(snapshot, count, &tip) != STORE_OK ||
        !block_header_decode(&header, tip.header) ||
        store_snapshot_header(snapshot, height, &earlier) != STORE_OK)
        return HISTORY_ABSENT;
    enum history_result result =
        node_history_prove_block(&request->node->history, &source, &proof, count, height);
    if (result != HISTORY_OK)
        return result;
    if (!leaf_of(&context, &leaf, height) ||
        !merkle_verify(&proof, &leaf, height, count, &header.log_root)) {
        log_line(LOG_BROKEN, "the log does not lead to the log root of block %llu",
                 (unsigned long long)count);
        return HISTORY_ABSENT;
    }
    *root = api_proof_begin("block", id, count, &tip);
    api_add_hex(*root, "block", earlier.header.data, earlier.header.size);
    add_path(*root, &proof);
    return api_proof_add_finality(*root, snapshot, &tip) ? HISTORY_OK : HISTORY_BUSY;
}

static enum history_result prefix_proof(const struct api_request *request,
                                        struct store_snapshot *snapshot, const char *id,
                                        uint64_t old_size, uint64_t size, cJSON **root)
{
    struct log_source context = {snapshot, &request->node->genesis_hash};
    struct history_source source = {leaf_of, &context};
    struct store_block block;
    struct block_header header;
    struct merkle_proof proof;
    struct hash old_root;
    if (store_snapshot_header(snapshot, size, &block) != STORE_OK ||
        !block_header_decode(&header, block.header))
        return HISTORY_ABSENT;
    enum history_result result = node_history_prove_prefix(&request->node->history, &source, &proof,
                                                           &old_root, size, old_size);
    if (result != HISTORY_OK)
        return result;
    if (!merkle_verify_consistency(&proof, old_size, &old_root, size, &header.log_root)) {
        log_line(LOG_BROKEN, "the log does not lead to the log root of block %llu",
                 (unsigned long long)size);
        return HISTORY_ABSENT;
    }
    *root = api_proof_begin("log", id, size, &block);
    api_add_hash(*root, "old_root", &old_root);
    add_path(*root, &proof);
    return api_proof_add_finality(*root, snapshot, &block) ? HISTORY_OK : HISTORY_BUSY;
}

void api_read_log_proof(const struct api_request *request, struct api_reply *reply, bool of_block,
                        const char *id)
{
    uint64_t old = 0, size = 0;
    const char *at = id;
    bool good = of_block ? take_size(&old, &at, '\0')
                         : take_size(&old, &at, '/') && take_size(&size, &at, '\0') && old <= size;
    if (!good) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_id",
                        of_block ? "a block's id is its height, 1 or more"
                                 : "two sizes of the log, OLD/NEW, each 1 or more");
        return;
    }
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    cJSON *root = NULL;
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    const uint64_t first = store_snapshot_floor(snapshot).headers;
    enum history_result result = HISTORY_ABSENT;
    if (old < first)
        result = HISTORY_BELOW;
    else if (of_block && old < tip)
        result = block_proof(request, snapshot, id, old, &root);
    else if (of_block && old == tip)
        result = HISTORY_BUSY; /* the next block's log has it */
    else if (!of_block && size <= tip)
        result = prefix_proof(request, snapshot, id, old, size, &root);
    store_snapshot_end(snapshot);
    if (result == HISTORY_OK) {
        api_reply_json(reply, MHD_HTTP_OK, root);
        return;
    }
    cJSON_Delete(root);
    not_here(reply, result, first);
}

/* --- notes -------------------------------------------------------------------------------- */

struct note_making {
    struct byte_writer writer;
    struct validator_set set; /* of the epoch that has been reached */
    size_t size;              /* of what has been seen, in the note's text */
    bool measuring;
};

/* Four characters for three bytes, and some words. */
static size_t text_size(const struct store_block *block)
{
    return (block->header.size + block->certificate.size) / 3 * 4 + block->certificate.size / 64 +
           256;
}

static bool take_boundary(void *context, const struct store_block *block,
                          const struct finality *finality)
{
    struct note_making *making = context;
    if (making->measuring)
        making->size += text_size(block);
    else
        digest_write_epoch(&making->writer, block->header, finality);
    making->set = finality->next_set;
    return true;
}

/* The headers from `next` to the block that a certificate names, and that certificate. */
static bool add_votes(struct note_making *making, struct store_snapshot *snapshot, uint64_t height)
{
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    for (uint32_t i = 0; i <= LIMIT_VIEW_WINDOW && height + i <= tip; i++) {
        struct store_block block;
        struct finality finality;
        if (store_snapshot_header(snapshot, height + i, &block) != STORE_OK)
            return false;
        if (i > 0)
            digest_write_descendants(&making->writer, block.header);
        if (block.certificate.size == 0)
            continue;
        if (!finality_decode(&finality, block.certificate))
            return false;
        digest_write_descendants(&making->writer, finality.headers);
        digest_write_votes(&making->writer, &finality.certificate, &making->set);
        return !making->writer.failed;
    }
    return false;
}

/* Malloc'ed; NULL if a certificate is not here yet, or memory ran out. */
static char *make_note(const struct node *node, struct store_snapshot *snapshot,
                       const struct proof_trust *trust, const struct block_header *last,
                       const struct block_header *next, size_t *size)
{
    struct note_making making = {.set = trust->set, .size = (size_t)64 * 1024, .measuring = true};
    if (!api_each_boundary(snapshot, next->epoch, take_boundary, &making))
        return NULL;
    /* At worst the window's headers stand between the block and its certificate. */
    size_t capacity = making.size + (size_t)(LIMIT_VIEW_WINDOW + 1) * 2 * BLOCK_HEADER_SIZE;
    uint8_t *bytes = capacity <= NOTE_BYTES_MAX ? api_allocate(capacity) : NULL;
    if (bytes == NULL)
        return NULL;
    byte_writer_init(&making.writer, bytes, capacity);
    making.measuring = false;
    making.set = trust->set;
    digest_write_head(&making.writer, trust, last, next);
    bool good = api_each_boundary(snapshot, next->epoch, take_boundary, &making);
    digest_write_blocks(&making.writer, last, next);
    good = good && add_votes(&making, snapshot, next->height);
    struct digest digest;
    struct digest_rules rules = {0};
    char problem[DIGEST_PROBLEM_SIZE] = "";
    if (good &&
        !digest_verify(&digest, trust, &rules, (char *)bytes, making.writer.size, problem)) {
        log_line(LOG_BROKEN, "%s: the digest's note does not verify: %s", node->config.listen_api,
                 problem);
        good = false;
    }
    *size = making.writer.size;
    if (!good) {
        free(bytes);
        return NULL;
    }
    /* Most of the room was for the worst case. */
    uint8_t *shrunk = realloc(bytes, making.writer.size);
    return (char *)(shrunk != NULL ? shrunk : bytes);
}

static bool digest_of(struct store_snapshot *snapshot, int64_t day, struct digest_record *out,
                      bool *found)
{
    const struct state_base *base = store_snapshot_base(snapshot);
    struct state_key key = state_key_day(day);
    struct bytes_view value;
    return base->get(base->context, bytes_view_of(key.bytes, key.size), found, &value) &&
           (!*found || codec_decode_all(&digest_record_codec, out, value));
}

void api_read_note(const struct api_request *request, struct api_reply *reply)
{
    const struct node *node = request->node;
    struct digest_record record;
    struct proof_trust trust;
    int64_t day;
    bool found = false;
    size_t size = 0;
    if (!digest_day_of_text(&day, request->arguments[0])) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_id", "a day is a date like 2025-01-15");
        return;
    }
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    bool read = digest_of(snapshot, day, &record, &found) &&
                proof_trust_from_genesis(&trust, node->genesis);
    struct block_header last, next;
    bool here = read && found && header_of(&last, snapshot, record.height) &&
                header_of(&next, snapshot, record.height + 1);
    const uint64_t first = store_snapshot_floor(snapshot).headers;
    char *note = here ? make_note(node, snapshot, &trust, &last, &next, &size) : NULL;
    store_snapshot_end(snapshot);
    if (note != NULL)
        api_reply_bytes(reply, "text/plain; charset=utf-8", note, size);
    else if (read && !found)
        api_reply_error(reply, MHD_HTTP_NOT_FOUND, "no_digest",
                        "there is no digest of that day: it is not over, or had no block");
    else if (read)
        not_here(reply,
                 here                    ? HISTORY_BUSY
                 : record.height < first ? HISTORY_BELOW
                                         : HISTORY_ABSENT,
                 first);
    else
        api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "store_fault",
                        "the store cannot be read; see the node's log");
}
