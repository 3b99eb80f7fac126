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

/* In one pass: a full block has 8192 receipts, and many streams may ask for its events. */
static void add_events_of_block(cJSON *list, struct bytes_view receipts)
{
    struct byte_reader reader;
    struct receipt receipt;
    byte_reader_init(&reader, receipts.data, receipts.size);
    const uint32_t count = byte_read_u32(&reader);
    for (uint32_t i = 0; !reader.failed && i < count && i <= LIMIT_TX_PER_BLOCK; i++) {
        struct bytes_view bytes = byte_read_sized(&reader, receipts.size);
        if (reader.failed || !codec_decode_all(&receipt_record, &receipt, bytes) ||
            !show_events(list, receipt.events))
            return;
    }
}

static cJSON *transaction_ids(struct bytes_view body)
{
    cJSON *list = cJSON_CreateArray();
    struct body_reader reader;
    struct bytes_view envelope;
    struct transaction transaction;
    if (!body_open(&reader, body))
        return list;
    while (body_next(&reader, &envelope)) {
        char id[2 * HASH_SIZE + 1];
        if (transaction_decode(&transaction, envelope) != CONTRACT_OK)
            break;
        hex_encode(id, transaction.id.bytes, HASH_SIZE);
        cJSON_AddItemToArray(list, cJSON_CreateString(id));
    }
    return list;
}

static cJSON *block_json(const struct store_block *block)
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
    cJSON_AddItemToObject(root, "header", codec_to_json(&block_header_record, &header));
    cJSON_AddItemToObject(root, "transactions", transaction_ids(block->body));
    if (block->certificate.size > 0 && finality_decode(&finality, block->certificate))
        cJSON_AddItemToObject(root, "certificate",
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
    cJSON *root = result == STORE_OK ? block_json(&block) : NULL;
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

static cJSON *receipt_json(const struct hash *tx_id, uint64_t height, uint32_t index,
                           const struct receipt *receipt)
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
    if (!show_events(events, receipt->events)) {
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
    const uint64_t first = store_snapshot_floor(snapshot).bodies;
    if (result == STORE_OK)
        result = store_snapshot_block(snapshot, height, &block);
    if (result == STORE_OK && api_receipt_at(block.receipts, index, &receipt, &count) &&
        hash_equal(&receipt.tx_id, tx_id))
        root = receipt_json(tx_id, height, index, &receipt);
    store_snapshot_end(snapshot);
    if (root != NULL)
        api_reply_json(reply, MHD_HTTP_OK, root);
    else if (result == STORE_PRUNED)
        api_reply_pruned(reply, first);
    else
        fault(reply);
    return true;
}

char *api_block_event(struct node *node, uint64_t height)
{
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    if (snapshot == NULL)
        return NULL;
    struct store_block block;
    struct block_header header;
    char *text = NULL;
    if (height > 0 && store_snapshot_block(snapshot, height, &block) == STORE_OK &&
        block_header_decode(&header, block.header)) {
        cJSON *root = cJSON_CreateObject();
        json_add_u64(root, "height", height);
        json_add_i64(root, "time_ms", timestamp_ms(header.time));
        cJSON_AddItemToObject(root, "transactions", transaction_ids(block.body));
        add_events_of_block(cJSON_AddArrayToObject(root, "events"), block.receipts);
        text = cJSON_PrintUnformatted(root);
        cJSON_Delete(root);
    }
    store_snapshot_end(snapshot);
    return text;
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
    char *bytes = malloc(API_EXPORT_BYTES_MAX);
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
