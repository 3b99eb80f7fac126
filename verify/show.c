/* What a verified proof states, as JSON (verify/proof.h, verify/show.h).
 *
 * Invariant: everything that is printed comes from bytes that the proof has bound to the header; no
 * word of the file that was not checked gets here.
 *
 * Absent on purpose: amounts in EUR, dates, tables: whoever prints for people does that. */
#include "verify/show.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "contracts/events.h"
#include "verify/proof.h"

bool show_events(struct cJSON *list, struct bytes_view events)
{
    struct byte_reader reader;
    byte_reader_init(&reader, events.data, events.size);
    while (reader.at < reader.size) {
        uint8_t type = byte_read_u8(&reader);
        uint16_t size = byte_read_u16(&reader);
        struct bytes_view bytes = byte_read_view(&reader, size);
        const struct codec_record *codec = event_codec(type);
        if (reader.failed || codec == NULL) {
            return false;
        }
        void *record = calloc(1, codec->struct_size);
        struct cJSON *body = record != NULL && codec_decode_all(codec, record, bytes)
                                 ? codec_to_json(codec, record)
                                 : NULL;
        free(record);
        if (body == NULL) {
            return false;
        }
        /* A record's own "type" would be taken for the event's, so it is called kind. */
        struct cJSON *event = cJSON_CreateObject();
        cJSON_AddStringToObject(event, "type", codec->name);
        struct cJSON *field = body->child;
        while (field != NULL) {
            struct cJSON *next = field->next;
            struct cJSON *part = cJSON_DetachItemViaPointer(body, field);
            if (!cJSON_AddItemToObject(
                    event, strcmp(part->string, "type") == 0 ? "kind" : part->string, part))
                cJSON_Delete(part); /* no memory; whoever gives out answers sees to that */
            field = next;
        }
        cJSON_Delete(body);
        if (!cJSON_AddItemToArray(list, event)) {
            cJSON_Delete(event);
            return false;
        }
    }
    return true;
}

static void add_hash(struct cJSON *object, const char *key, const struct hash *hash)
{
    char hex[2 * HASH_SIZE + 1];
    hex_encode(hex, hash->bytes, HASH_SIZE);
    cJSON_AddStringToObject(object, key, hex);
}

static bool add_record(struct cJSON *object, const struct proof *proof)
{
    const struct codec_record *codec = proof->kind->codec;
    cJSON_AddBoolToObject(object, "present", proof->present);
    if (!proof->present || codec == NULL) {
        return true;
    }
    void *record = calloc(1, codec->struct_size);
    struct cJSON *fields = record != NULL && codec_decode_all(codec, record, proof->value)
                               ? codec_to_json(codec, record)
                               : NULL;
    free(record);
    return fields != NULL && cJSON_AddItemToObject(object, "record", fields);
}

static bool add_receipt(struct cJSON *object, const struct proof *proof)
{
    const char *name = contract_error_name((enum contract_error)proof->receipt.status);
    cJSON_AddStringToObject(object, "status", name != NULL ? name : "unknown");
    json_add_i64(object, "fee_ueur", money_ueur(proof->receipt.fee));
    struct cJSON *events = cJSON_AddArrayToObject(object, "events");
    return events != NULL && show_events(events, proof->receipt.events);
}

static bool add_statement(struct cJSON *object, const struct proof *proof)
{
    switch (proof->type) {
    case PROOF_STATE:
        return add_record(object, proof);
    case PROOF_RECEIPT:
    case PROOF_BLOCK_END:
        return add_receipt(object, proof);
    case PROOF_BLOCK: {
        add_hash(object, "earlier_block", &proof->earlier_id);
        struct cJSON *header = codec_to_json(&block_header_record, &proof->earlier);
        return header != NULL && cJSON_AddItemToObject(object, "earlier_header", header);
    }
    case PROOF_LOG:
        json_add_u64(object, "old_size", proof->old_size);
        add_hash(object, "old_root", &proof->old_root);
        json_add_u64(object, "size", proof->header.height);
        add_hash(object, "root", &proof->header.log_root);
        return true;
    }
    MUST(false);
}

struct cJSON *proof_to_json(const struct proof *proof)
{
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "kind", proof_kind_name(proof));
    cJSON_AddStringToObject(object, "id", proof->id);
    json_add_u64(object, "height", proof->header.height);
    json_add_i64(object, "time_ms", timestamp_ms(proof->header.time));
    add_hash(object, "block", &proof->block_id);
    if (object == NULL || !add_statement(object, proof)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}
