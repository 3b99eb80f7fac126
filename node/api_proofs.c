/* Proof files over HTTP (docs/spec/api.md, "A proof file"; docs/spec/state.md).
 *
 * A proof is header, certificate and path, all of one snapshot, so whoever holds the genesis can
 * check it offline. Before it is handed out it is checked here: a node that hands out a proof that
 * does not verify has a fault of its own, and should say so rather than let wallets find out.
 *
 * Deliberately absent: proofs at older heights. The state tree is of the tip; a receipt's proof,
 * which is of its own block, needs that block's own certificate or the next one's. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "node/api_internal.h"
#include "node/boundaries.h"
#include "verify/proof.h"

enum {
    PROOF_BYTES_MAX = 2 + STATE_TREE_DEPTH_MAX * HASH_SIZE + 1 + 2 * HASH_SIZE,
    KEY_TEXT_MAX = 512
};

static void fault(struct api_reply *reply)
{
    api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "store_fault",
                    "the store cannot be read; see the node's log");
}

static void retry(struct api_reply *reply)
{
    api_reply_retry(reply, "that block's certificate is not here yet; ask again in a moment");
}

static void add_header(cJSON *list, const uint8_t *bytes)
{
    char hex[2 * BLOCK_HEADER_SIZE + 1];
    hex_encode(hex, bytes, BLOCK_HEADER_SIZE);
    (void)api_add_item(list, cJSON_CreateString(hex));
}

/* The stored certificate, and the headers that lead to its block behind those in `descendants`. */
static bool add_finality(cJSON *root, cJSON *descendants, struct bytes_view stored)
{
    struct finality finality;
    uint8_t bytes[CERTIFICATE_BYTES_MAX];
    if (!finality_decode(&finality, stored))
        return false;
    for (size_t at = 0; at < finality.headers.size; at += BLOCK_HEADER_SIZE) {
        if (descendants == NULL)
            descendants = cJSON_AddArrayToObject(root, "descendants");
        add_header(descendants, finality.headers.data + at);
    }
    api_add_hex(root, "certificate", bytes, certificate_encode(bytes, &finality.certificate));
    return true;
}

/* Adds the certificate that makes the block final: its own, or that of the next block that has one,
 * with the headers that lead there. False if there is none yet. */
static bool add_certificate(cJSON *root, struct store_snapshot *snapshot,
                            const struct store_block *block)
{
    if (block->certificate.size > 0)
        return add_finality(root, NULL, block->certificate);
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    cJSON *descendants = cJSON_AddArrayToObject(root, "descendants");
    for (uint32_t i = 1; i <= LIMIT_VIEW_WINDOW && block->height + i <= tip; i++) {
        struct store_block next;
        if (store_snapshot_header(snapshot, block->height + i, &next) != STORE_OK ||
            next.header.size != BLOCK_HEADER_SIZE)
            return false;
        add_header(descendants, next.header.data);
        if (next.certificate.size > 0)
            return add_finality(root, descendants, next.certificate);
    }
    return false;
}

/* --- epochs: from the genesis set to the set that signed --------------------------------------- */

bool api_each_boundary(struct store_snapshot *snapshot, uint64_t epoch, api_boundary_fn visit,
                       void *context)
{
    if (epoch == 0)
        return true;
    struct boundaries *boundaries = api_allocate(sizeof *boundaries);
    bool good =
        boundaries != NULL && boundaries_find(boundaries, snapshot) && boundaries->count >= epoch;
    for (uint32_t i = 0; good && i < epoch; i++) {
        struct store_block block;
        struct finality finality;
        good = store_snapshot_header(snapshot, boundaries->heights[i], &block) == STORE_OK &&
               finality_decode(&finality, block.certificate) && finality.ends_epoch &&
               visit(context, &block, &finality);
    }
    free(boundaries);
    return good;
}

static bool add_epoch(void *context, const struct store_block *block,
                      const struct finality *finality)
{
    uint8_t set[VALIDATOR_SET_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, set, sizeof set);
    codec_encode(&validator_set_record, &finality->next_set, &writer);
    cJSON *entry = api_add_item(context, cJSON_CreateObject());
    api_add_hex(entry, "header", block->header.data, block->header.size);
    api_add_hex(entry, "set", set, writer.size);
    return add_finality(entry, NULL, block->certificate);
}

/* Adds "epochs", the boundary blocks before this one, if there are any; and "parent", the header
 * before, if the block itself ends an epoch: only it shows that it is the first one to. */
static bool add_epochs(cJSON *root, struct store_snapshot *snapshot,
                       const struct store_block *block)
{
    struct block_header header;
    struct store_block parent;
    struct finality finality;
    if (!block_header_decode(&header, block->header))
        return false;
    if (header.height > 1 && block->certificate.size > 0) {
        if (!finality_decode(&finality, block->certificate))
            return false;
        if (finality.ends_epoch) {
            if (store_snapshot_header(snapshot, header.height - 1, &parent) != STORE_OK)
                return false;
            api_add_hex(root, "parent", parent.header.data, parent.header.size);
        }
    }
    return header.epoch == 0 || api_each_boundary(snapshot, header.epoch, add_epoch,
                                                  cJSON_AddArrayToObject(root, "epochs"));
}

bool api_proof_add_finality(cJSON *root, struct store_snapshot *snapshot,
                            const struct store_block *block)
{
    return add_certificate(root, snapshot, block) && add_epochs(root, snapshot, block);
}

cJSON *api_proof_begin(const char *kind, const char *id, uint64_t height,
                       const struct store_block *block)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "format", "flexproof/1");
    cJSON_AddStringToObject(root, "kind", kind);
    cJSON_AddStringToObject(root, "id", id);
    json_add_u64(root, "height", height);
    api_add_hex(root, "header", block->header.data, block->header.size);
    return root;
}

/* --- records ------------------------------------------------------------------------------ */

static bool node_get(void *context, struct state_tree_node *out, const struct state_tree_path *path)
{
    const struct state_base *base = context;
    return base->node_get(base->context, out, path);
}

/* Proofs only read. */
static bool node_put(void *context, const struct state_tree_path *path,
                     const struct state_tree_node *node)
{
    (void)context;
    (void)path;
    (void)node;
    return false;
}

struct state_proof {
    bool found;
    struct bytes_view value;
    struct state_tree_proof proof;
};

/* Value and proof of a key, checked against the tip's root. */
static bool state_prove(struct store_snapshot *snapshot, const struct state_key *key,
                        struct state_proof *out)
{
    const struct state_base *base = store_snapshot_base(snapshot);
    struct state_base copy = *base;
    struct state_tree_store tree = {.context = &copy, .get = node_get, .put = node_put};
    struct hash key_hash;
    struct hash value_hash;
    hash_bytes(&key_hash, HASH_DOMAIN_STATE_KEY, key->bytes, key->size);
    if (!base->get(base->context, bytes_view_of(key->bytes, key->size), &out->found, &out->value) ||
        !state_tree_prove(&tree, &out->proof, &key_hash))
        return false;
    if (out->found)
        hash_bytes(&value_hash, HASH_DOMAIN_STATE_VALUE, out->value.data, out->value.size);
    bool good = state_tree_verify(&out->proof, &store_snapshot_tip(snapshot)->state_root, &key_hash,
                                  out->found ? &value_hash : NULL);
    if (!good)
        log_line(LOG_BROKEN, "state: a proof does not lead to the tip's root");
    return good;
}

static cJSON *record_proof(struct store_snapshot *snapshot, const char *kind, const char *id,
                           const struct state_key *key, const struct store_block *block)
{
    uint8_t bytes[PROOF_BYTES_MAX];
    struct byte_writer writer;
    struct state_proof *proof = api_allocate(sizeof *proof);
    cJSON *root = NULL;
    if (proof != NULL && state_prove(snapshot, key, proof)) {
        byte_writer_init(&writer, bytes, sizeof bytes);
        state_tree_proof_encode(&proof->proof, &writer);
        root = api_proof_begin(kind, id, store_snapshot_tip(snapshot)->height, block);
        if (!api_proof_add_finality(root, snapshot, block)) {
            cJSON_Delete(root);
            free(proof);
            return NULL;
        }
        api_add_hex(root, "key", key->bytes, key->size);
        if (proof->found)
            api_add_hex(root, "value", proof->value.data, proof->value.size);
        else
            cJSON_AddNullToObject(root, "value");
        api_add_hex(root, "proof", bytes, writer.size);
    }
    free(proof);
    return root;
}

/* Whether the reader may know what stands at the key, or that nothing does. */
static bool may_prove(const struct api_request *request, struct store_snapshot *snapshot,
                      enum state_kind kind, const struct state_key *key)
{
    const struct state_base *base = store_snapshot_base(snapshot);
    const struct bytes_view view = bytes_view_of(key->bytes, key->size);
    struct bytes_view value = {NULL, 0};
    bool found = false;
    return request->access.all || (base->get(base->context, view, &found, &value) &&
                                   access_record(&request->access, base, kind, view,
                                                 found ? value : bytes_view_of(NULL, 0)));
}

static void read_record_proof(const struct api_request *request, struct api_reply *reply,
                              const struct state_kind_info *info, const char *id)
{
    struct state_key key;
    if (!state_key_from_text(&key, info->kind, id)) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_id", "that is not an id of this kind");
        return;
    }
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    if (!may_prove(request, snapshot, info->kind, &key)) {
        store_snapshot_end(snapshot);
        api_reply_not_found(reply, "there is no such record that you may see");
        return;
    }
    struct store_block block;
    const uint64_t height = store_snapshot_tip(snapshot)->height;
    enum store_result result =
        height == 0 ? STORE_ABSENT : store_snapshot_header(snapshot, height, &block);
    cJSON *root = NULL;
    bool ready = result == STORE_OK && block.certificate.size > 0;
    if (ready)
        root = record_proof(snapshot, info->name, id, &key, &block);
    store_snapshot_end(snapshot);
    if (root != NULL)
        api_reply_json(reply, MHD_HTTP_OK, root);
    else if (!ready && (result == STORE_OK || result == STORE_ABSENT))
        retry(reply);
    else
        fault(reply);
}

/* --- receipts ----------------------------------------------------------------------------- */

/* All leaves of a block's receipts; NULL if they are not receipts. */
static struct hash *receipt_leaves(struct bytes_view receipts, uint32_t *count)
{
    struct receipt receipt;
    if (!api_receipt_at(receipts, 0, &receipt, count))
        return NULL;
    struct hash *leaves = api_allocate((size_t)*count * sizeof leaves[0]);
    struct byte_reader reader;
    byte_reader_init(&reader, receipts.data, receipts.size);
    (void)byte_read_u32(&reader);
    for (uint32_t i = 0; leaves != NULL && i < *count; i++) {
        struct bytes_view bytes = byte_read_sized(&reader, receipts.size);
        if (reader.failed || !codec_decode_all(&receipt_record, &receipt, bytes)) {
            free(leaves);
            return NULL;
        }
        receipt_leaf(&leaves[i], &receipt);
    }
    return leaves;
}

/* Half of what a proof file may be, less its other parts: events are written as hex. */
enum { PROVEN_RECEIPT_BYTES_MAX = PROOF_FILE_BYTES_MAX / 2 - 256 * 1024 };

/* `index` UINT32_MAX: the block's end. */
static cJSON *receipt_proof(const struct store_block *block, const char *kind, const char *id,
                            uint64_t height, uint32_t index)
{
    uint32_t count = 0;
    struct block_header header;
    struct merkle_proof proof;
    struct receipt receipt;
    struct hash *leaves = receipt_leaves(block->receipts, &count);
    cJSON *root = NULL;
    if (index == UINT32_MAX)
        index = count - 1;
    if (leaves != NULL && index < count && block_header_decode(&header, block->header) &&
        api_receipt_at(block->receipts, index, &receipt, &count)) {
        merkle_prove(&proof, leaves, count, index);
        if (merkle_verify(&proof, &leaves[index], index, count, &header.receipt_root)) {
            const size_t room = receipt.events.size + 256;
            uint8_t *bytes = room <= PROVEN_RECEIPT_BYTES_MAX ? api_allocate(room) : NULL;
            struct byte_writer writer;
            if (bytes != NULL) {
                byte_writer_init(&writer, bytes, room);
                codec_encode(&receipt_record, &receipt, &writer);
                root = api_proof_begin(kind, id, height, block);
                api_add_hex(root, "receipt", bytes, writer.failed ? 0 : writer.size);
                cJSON_AddNumberToObject(root, "index", index);
                cJSON_AddNumberToObject(root, "count", count);
                api_add_hex(root, "proof", proof.siblings[0].bytes,
                            (size_t)proof.count * HASH_SIZE);
            }
            free(bytes);
        } else {
            log_line(LOG_BROKEN, "block %llu: its receipts do not lead to its receipts root",
                     (unsigned long long)height);
        }
    }
    free(leaves);
    return root;
}

/* A proof shows the whole receipt, so it is its sender's alone, and that of a block's end nobody's. */
static bool may_prove_receipt(const struct api_request *request, struct store_snapshot *snapshot,
                              enum store_result result, const struct store_block *block,
                              uint32_t index)
{
    struct bytes_view envelope;
    struct receipt receipt;
    uint32_t count;
    return request->access.all ||
           (result == STORE_OK && api_envelope_at(block->body, index, &envelope) &&
            api_receipt_at(block->receipts, index, &receipt, &count) &&
            api_scope_transaction(&request->access, store_snapshot_base(snapshot), envelope,
                                  &receipt) == API_SCOPE_WHOLE);
}

/* Of a transaction, or of the end of a block, whose id is its height. */
static void read_receipt_proof(const struct api_request *request, struct api_reply *reply,
                               const char *id, bool of_end)
{
    struct hash tx_id;
    uint64_t height = 0;
    if (of_end && (!uint64_from_text(&height, id) || height == 0)) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_id", "a block's id is its height");
        return;
    }
    if (!of_end && !hex_decode(tx_id.bytes, HASH_SIZE, id)) {
        api_reply_not_found(reply, "a transaction's id is 64 lower-case hex digits");
        return;
    }
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    uint32_t index = UINT32_MAX;
    struct store_block block;
    enum store_result result = STORE_OK;
    if (of_end)
        result = height > store_snapshot_tip(snapshot)->height ? STORE_ABSENT : STORE_OK;
    else
        result = store_snapshot_transaction(snapshot, &tx_id, &height, &index);
    bool absent = result == STORE_ABSENT;
    if (result == STORE_OK)
        result = store_snapshot_block(snapshot, height, &block);
    if (!absent && !may_prove_receipt(request, snapshot, result, &block, index)) {
        absent = true;
        result = STORE_ABSENT;
    }
    cJSON *root = result == STORE_OK ? receipt_proof(&block, of_end ? "block_end" : "transaction",
                                                     id, height, index)
                                     : NULL;
    bool ready = root != NULL && api_proof_add_finality(root, snapshot, &block);
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    store_snapshot_end(snapshot);
    if (root != NULL && !ready) {
        cJSON_Delete(root);
        retry(reply);
        return;
    }
    if (root != NULL)
        api_reply_json(reply, MHD_HTTP_OK, root);
    else if (absent)
        api_reply_not_found(reply, of_end ? "there is no such block yet"
                                          : "no block holds that transaction");
    else if (result == STORE_PRUNED)
        api_reply_pruned(reply, first);
    else
        fault(reply);
}

void api_read_proof(const struct api_request *request, struct api_reply *reply)
{
    const char *kind = request->arguments[0];
    const char *id = request->arguments[1] != NULL ? request->arguments[1] : "";
    if (strcmp(kind, "transaction") == 0 || strcmp(kind, "transactions") == 0) {
        read_receipt_proof(request, reply, id, false);
        return;
    }
    if (strcmp(kind, "block_end") == 0) {
        read_receipt_proof(request, reply, id, true);
        return;
    }
    if (strcmp(kind, "block") == 0 || strcmp(kind, "log") == 0) {
        api_read_log_proof(request, reply, strcmp(kind, "block") == 0, id);
        return;
    }
    const struct state_kind_info *info = state_kind_by_name(kind);
    if (info == NULL) {
        api_reply_not_found(reply, "no kind of record has that name");
        return;
    }
    read_record_proof(request, reply, info, id);
}
