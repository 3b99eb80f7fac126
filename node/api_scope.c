/* Blocks as a reader may see them: whose transactions, which events (node/access.h).
 *
 * A transaction is its sender's; to others it is there as far as an event of it is theirs. On an open
 * node all is everybody's, and nothing is looked up.
 *
 * Invariants: an id, an event or a count is told only where the rules let it be; the state that decides is
 * the snapshot's own, so one answer is of one height.
 *
 * Deliberately absent: the block's end as a transaction. Its events are told, it has no id. */
#include <cjson/cJSON.h>

#include "contracts/body.h"
#include "node/api_internal.h"
#include "verify/show.h"

bool api_envelope_at(struct bytes_view body, uint32_t index, struct bytes_view *envelope)
{
    struct body_reader reader;
    if (!body_open(&reader, body) || index >= reader.count)
        return false;
    for (uint32_t i = 0; i <= index; i++) {
        if (!body_next(&reader, envelope))
            return false;
    }
    return true;
}

static bool is_sender(const struct access *access, const struct state_base *base,
                      const struct transaction *transaction)
{
    struct state_key key = state_key_hash(STATE_KEY, transaction->sender.bytes);
    struct key_record owner;
    return public_key_equal(&transaction->sender, &access->key) ||
           (access_read(base, &key, &key_record_codec, &owner) &&
            (access_is(access, &owner.participant) || access_is(access, &owner.former)));
}

static bool sees_an_event(const struct access *access, const struct state_base *base,
                          struct bytes_view events)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    while (event_next(events, &cursor, &type, &record)) {
        if (access_event(access, base, type, record))
            return true;
    }
    return false;
}

enum api_scope api_scope_transaction(const struct access *access, const struct state_base *base,
                                     struct bytes_view envelope, const struct receipt *receipt)
{
    struct transaction transaction;
    if (access->all)
        return API_SCOPE_WHOLE;
    if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK)
        return API_SCOPE_HIDDEN;
    if (is_sender(access, base, &transaction))
        return API_SCOPE_WHOLE;
    return sees_an_event(access, base, receipt->events) ? API_SCOPE_PARTS : API_SCOPE_HIDDEN;
}

bool api_scope_events(cJSON *list, const struct access *access, const struct state_base *base,
                      struct bytes_view events)
{
    size_t cursor = 0;
    size_t begin = 0;
    uint8_t type;
    struct bytes_view record;
    if (access->all)
        return show_events(list, events);
    while (event_next(events, &cursor, &type, &record)) {
        if (access_event(access, base, type, record) &&
            !show_events(list, bytes_view_of(events.data + begin, cursor - begin)))
            return false;
        begin = cursor;
    }
    return cursor == events.size;
}

bool api_scope_block(cJSON *ids, cJSON *events, const struct access *access,
                     const struct state_base *base, const struct store_block *block)
{
    struct body_reader body;
    struct byte_reader receipts;
    byte_reader_init(&receipts, block->receipts.data, block->receipts.size);
    const uint32_t count = byte_read_u32(&receipts);
    if (!body_open(&body, block->body) || receipts.failed || count != body.count + 1)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct receipt receipt;
        struct bytes_view envelope = {NULL, 0};
        struct bytes_view bytes = byte_read_sized(&receipts, block->receipts.size);
        const bool is_end = i + 1 == count;
        if (receipts.failed || !codec_decode_all(&receipt_record, &receipt, bytes) ||
            (!is_end && !body_next(&body, &envelope)))
            return false;
        const enum api_scope scope =
            is_end ? API_SCOPE_PARTS : api_scope_transaction(access, base, envelope, &receipt);
        if (scope == API_SCOPE_HIDDEN)
            continue;
        if (!is_end) {
            char id[2 * HASH_SIZE + 1];
            hex_encode(id, receipt.tx_id.bytes, HASH_SIZE);
            (void)api_add_item(ids, cJSON_CreateString(id));
        }
        if (events == NULL)
            continue;
        const bool good = scope == API_SCOPE_WHOLE
                              ? show_events(events, receipt.events)
                              : api_scope_events(events, access, base, receipt.events);
        if (!good)
            return false;
    }
    return true;
}
