/* Blocks, transactions and receipts over HTTP, and the line of the event stream.
 *
 * A transaction's JSON comes from its stored receipt, so what a wallet reads is what the receipts
 * root covers; the proof of it is another route (api_proofs.c).
 *
 * Deliberately absent: decoding actions for people. The wallet has the transaction and the tables.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "contracts/body.h"
#include "node/api_internal.h"
#include "verify/show.h"

static void fault(struct api_reply *reply)
{
    api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "store_fault",
                    "the store cannot be read; see the node's log");
}

bool api_receipt_at(struct bytes_view receipts, uint32_t index, struct receipt *out,
                    uint32_t *count)
{
    struct byte_reader reader;
    byte_reader_init(&reader, receipts.data, receipts.size);
    *count = byte_read_u32(&reader);
    if (reader.failed || *count > LIMIT_TX_PER_BLOCK + 1 || index >= *count)
        return false;
    for (uint32_t i = 0; i < index; i++)
        (void)byte_read_sized(&reader, receipts.size);
    struct bytes_view bytes = byte_read_sized(&reader, receipts.size);
    return !reader.failed && codec_decode_all(&receipt_record, out, bytes);
}

static cJSON *block_json(const struct api_request *request, const struct state_base *base,
                         const struct store_block *block)
{
    struct block_header header;
    struct finality finality;
    struct hash id;
    if (!block_header_decode(&header, block->header))
        return NULL;
    block_header_id(&id, &header);
    cJSON *root = cJSON_CreateObject();
    json_add_u64(root, "height", header.height);
    api_add_hash(root, "id", &id);
    api_put_item(root, "header", codec_to_json(&block_header_record, &header));
    if (!api_scope_block(cJSON_AddArrayToObject(root, "transactions"), NULL, &request->access, base,
                         block)) {
        cJSON_Delete(root);
        return NULL;
    }
    api_add_filtered(request, root);
    if (block->certificate.size > 0 && finality_decode(&finality, block->certificate))
        api_put_item(root, "certificate",
                     codec_to_json(&certificate_record, &finality.certificate));
    else
        cJSON_AddNullToObject(root, "certificate");
    return root;
}

void api_read_block(const struct api_request *request, struct api_reply *reply)
{
    uint64_t height = 0;
    if (!uint64_from_text(&height, request->arguments[0]) || height == 0) {
        api_reply_not_found(reply, "blocks have heights from 1 up; the genesis is /v1/genesis");
        return;
    }
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    struct store_block block;
    enum store_result result = height > store_snapshot_tip(snapshot)->height
                                   ? STORE_ABSENT
                                   : store_snapshot_block(snapshot, height, &block);
    cJSON *root =
        result == STORE_OK ? block_json(request, store_snapshot_base(snapshot), &block) : NULL;
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    store_snapshot_end(snapshot);
    if (root != NULL)
        api_reply_json(reply, MHD_HTTP_OK, root);
    else if (result == STORE_ABSENT)
        api_reply_not_found(reply, "no block has that height yet");
    else if (result == STORE_PRUNED)
        api_reply_pruned(reply, first);
    else
        fault(reply);
}

/* What of a committed transaction the reader may see. */
struct sight {
    enum api_scope scope;
    const struct access *access;
    const struct state_base *base;
};

static cJSON *receipt_json(const struct hash *tx_id, uint64_t height, uint32_t index,
                           const struct receipt *receipt, const struct sight *sight)
{
    enum contract_error code = (enum contract_error)receipt->status;
    cJSON *root = cJSON_CreateObject();
    api_add_hash(root, "id", tx_id);
    cJSON_AddStringToObject(root, "status", code == CONTRACT_OK ? "ok" : "failed");
    cJSON_AddStringToObject(root, "code", contract_error_name(code));
    cJSON_AddStringToObject(root, "reason", contract_error_reason(code));
    json_add_u64(root, "height", height);
    cJSON_AddNumberToObject(root, "index", index);
    json_add_i64(root, "fee_ueur", money_ueur(receipt->fee));
    cJSON *events = cJSON_AddArrayToObject(root, "events");
    if (sight->scope == API_SCOPE_PARTS)
        cJSON_AddBoolToObject(root, "filtered", true);
    const bool good = sight->scope == API_SCOPE_PARTS
                          ? api_scope_events(events, sight->access, sight->base, receipt->events)
                          : show_events(events, receipt->events);
    if (!good) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

bool api_read_committed(const struct api_request *request, struct api_reply *reply,
                        const struct hash *tx_id)
{
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return true;
    uint64_t height = 0;
    uint32_t index = 0;
    uint32_t count = 0;
    struct store_block block;
    struct receipt receipt;
    enum store_result result = store_snapshot_transaction(snapshot, tx_id, &height, &index);
    if (result == STORE_ABSENT) {
        store_snapshot_end(snapshot);
        return false;
    }
    cJSON *root = NULL;
    struct bytes_view envelope;
    const struct state_base *base = store_snapshot_base(snapshot);
    struct sight sight = {API_SCOPE_HIDDEN, &request->access, base};
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    if (result == STORE_OK)
        result = store_snapshot_block(snapshot, height, &block);
    if (result == STORE_OK && api_receipt_at(block.receipts, index, &receipt, &count) &&
        hash_equal(&receipt.tx_id, tx_id) && api_envelope_at(block.body, index, &envelope)) {
        sight.scope = api_scope_transaction(&request->access, base, envelope, &receipt);
        if (sight.scope != API_SCOPE_HIDDEN)
            root = receipt_json(tx_id, height, index, &receipt, &sight);
    }
    store_snapshot_end(snapshot);
    if (result == STORE_OK && root == NULL && sight.scope == API_SCOPE_HIDDEN &&
        !request->access.all)
        return false;
    /* Whose a transaction was is pruned with it: to a reader who must not see all it is not there. */
    if (result == STORE_PRUNED && !request->access.all)
        return false;
    if (root != NULL)
        api_reply_json(reply, MHD_HTTP_OK, root);
    else if (result == STORE_PRUNED)
        api_reply_pruned(reply, first);
    else
        fault(reply);
    return true;
}

char *api_block_event(struct node *node, uint64_t height, const struct public_key *reader)
{
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    if (snapshot == NULL)
        return NULL;
    struct store_block block;
    struct block_header header;
    char *text = NULL;
    const struct state_base *base = store_snapshot_base(snapshot);
    struct access access = access_open();
    const bool may = reader == NULL || access_resolve(&access, &node->config, base,
                                                      store_snapshot_tip(snapshot)->time, reader);
    if (may && height > 0 && store_snapshot_block(snapshot, height, &block) == STORE_OK &&
        block_header_decode(&header, block.header)) {
        cJSON *root = cJSON_CreateObject();
        json_add_u64(root, "height", height);
        json_add_i64(root, "time_ms", timestamp_ms(header.time));
        cJSON *ids = cJSON_AddArrayToObject(root, "transactions");
        cJSON *events = cJSON_AddArrayToObject(root, "events");
        const bool whole = api_scope_block(ids, events, &access, base, &block);
        if (!access.all)
            cJSON_AddBoolToObject(root, "filtered", true);
        if (whole && api_reply_is_whole())
            text = cJSON_PrintUnformatted(root);
        cJSON_Delete(root);
    }
    store_snapshot_end(snapshot);
    return text;
}

/* A block's receipts in binary, with what they hang on: a reader checks the certificate, hashes the
 * receipts, and knows for certain what became of every transaction. */
void api_read_receipts(const struct api_request *request, struct api_reply *reply)
{
    uint64_t height = 0;
    if (!uint64_from_text(&height, request->arguments[0]) || height == 0) {
        api_reply_not_found(reply, "blocks have heights from 1 up");
        return;
    }
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    struct store_block block;
    struct byte_writer writer;
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    char *bytes = NULL;
    enum store_result result = height > store_snapshot_tip(snapshot)->height
                                   ? STORE_ABSENT
                                   : store_snapshot_block(snapshot, height, &block);
    if (result == STORE_OK) {
        const size_t size =
            3 * sizeof(uint32_t) + block.header.size + block.certificate.size + block.receipts.size;
        bytes = api_allocate(size);
        byte_writer_init(&writer, (uint8_t *)bytes, bytes != NULL ? size : 0);
        byte_write_sized(&writer, block.header.data, block.header.size);
        byte_write_sized(&writer, block.certificate.data, block.certificate.size);
        byte_write_sized(&writer, block.receipts.data, block.receipts.size);
    }
    store_snapshot_end(snapshot);
    if (bytes != NULL && !writer.failed) {
        api_reply_bytes(reply, "application/octet-stream", bytes, writer.size);
        return;
    }
    free(bytes);
    if (result == STORE_ABSENT)
        api_reply_not_found(reply, "no block has that height yet");
    else if (result == STORE_PRUNED)
        api_reply_pruned(reply, first);
    else
        fault(reply);
}

/* --- export ------------------------------------------------------------------------------- */

static void write_block(struct byte_writer *writer, const struct store_block *block)
{
    byte_write_sized(writer, block->header.data, block->header.size);
    byte_write_sized(writer, block->body.data, block->body.size);
    byte_write_sized(writer, block->certificate.data, block->certificate.size);
}

void api_read_export(const struct api_request *request, struct api_reply *reply)
{
    uint64_t from = 1;
    uint64_t count = API_EXPORT_BLOCKS_MAX;
    if (!api_query_u64(request, reply, "from", &from) ||
        !api_query_u64(request, reply, "count", &count))
        return;
    if (from < 1 || count < 1 || count > API_EXPORT_BLOCKS_MAX) {
        api_reply_error(reply, MHD_HTTP_BAD_REQUEST, "bad_range",
                        "from is 1 or more, count is 1 to 4096");
        return;
    }
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return;
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    if (from < first) {
        store_snapshot_end(snapshot);
        api_reply_pruned(reply, first);
        return;
    }
    char *bytes = api_allocate(API_EXPORT_BYTES_MAX);
    struct byte_writer writer;
    bool good = bytes != NULL;
    if (good)
        byte_writer_init(&writer, (uint8_t *)bytes, API_EXPORT_BYTES_MAX);
    for (uint64_t i = 0; good && i < count && from + i >= from && from + i <= tip; i++) {
        struct store_block block;
        good = store_snapshot_block(snapshot, from + i, &block) == STORE_OK;
        if (!good)
            break;
        /* A whole block or none of it: the page ends before one that doesn't fit. */
        struct byte_writer before = writer;
        write_block(&writer, &block);
        if (writer.failed) {
            writer = before;
            break;
        }
    }
    store_snapshot_end(snapshot);
    if (good) {
        api_reply_bytes(reply, "application/octet-stream", bytes, writer.size);
    } else {
        free(bytes);
        fault(reply);
    }
}
