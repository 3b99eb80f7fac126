/* The index of deadlines, and the sweep over it at the end of each block (contracts/deadline.h).
 *
 * A record of the index holds up to DEADLINE_GROUP deadlines of one time and kind, a bit for each of so many
 * numbers in a row: deals that a book makes in one call have one deadline and numbers in a row, so that most
 * deals cost the index no record of their own. Walking records by key, and the bits of each from the lowest,
 * is walking deadlines in the order of time, kind and number.
 *
 * Orders have no entries: all of a book's end at its gate, so a book with open orders has one
 * (contracts/book_gate.c), and the sweep takes the earlier of the two; at equal times orders end first.
 *
 * Invariants:
 * 1. A record has a bit, or is not there.
 * 2. What the sweep ends has lost its bit, or its place in its book, before the sweep looks again.
 *
 * Deliberately absent: what ending means; deal.c, dispute.c, reservation.c and book.c know. */
#include "contracts/deadline.h"

#include "base/fatal.h"
#include "contracts/book_gate.h"
#include "contracts/deal.h"

/* Bits of deadline_record.ids. */
enum { DEADLINE_GROUP = 64 };

static struct state_key key_of(const struct deadline *deadline)
{
    return state_key_deadline(deadline->time, deadline->what, deadline->id / DEADLINE_GROUP);
}

static uint64_t bit_of(const struct deadline *deadline)
{
    return UINT64_C(1) << deadline->id % DEADLINE_GROUP;
}

void deadline_add(const struct contract_call *call, const struct deadline *deadline)
{
    struct state_key key = key_of(deadline);
    struct deadline_record record = {0};
    (void)contract_read(call, &key, &deadline_record_codec, &record);
    record.ids |= bit_of(deadline);
    contract_write(call, &key, &deadline_record_codec, &record);
}

void deadline_remove(const struct contract_call *call, const struct deadline *deadline)
{
    struct state_key key = key_of(deadline);
    struct deadline_record record;
    if (!book_read(call, &key, &deadline_record_codec, &record)) {
        return;
    }
    MUST((record.ids & bit_of(deadline)) != 0);
    record.ids &= ~bit_of(deadline);
    if (record.ids == 0) {
        contract_remove(call, &key);
    } else {
        contract_write(call, &key, &deadline_record_codec, &record);
    }
}

static bool is_there(const struct contract_call *call, const struct deadline *deadline)
{
    struct state_key key = key_of(deadline);
    struct deadline_record record;
    return contract_read(call, &key, &deadline_record_codec, &record) &&
           (record.ids & bit_of(deadline)) != 0;
}

static uint64_t lowest_bit(uint64_t ids)
{
    uint64_t bit = 0;
    MUST(ids != 0);
    while ((ids >> bit & 1) == 0) {
        bit++;
    }
    return bit;
}

/* The one that is due first; false if there is none. */
static bool first_deadline(const struct contract_call *call, struct deadline *out)
{
    struct state_key prefix = state_key_single(STATE_DEADLINE);
    struct state_key key;
    struct bytes_view value;
    struct deadline_record record;
    if (!contract_next(call, bytes_view_of(prefix.bytes, prefix.size), bytes_view_of(NULL, 0), &key,
                       &value)) {
        return false;
    }
    MUST(codec_decode_all(&deadline_record_codec, &record, value));
    struct byte_reader reader;
    byte_reader_init(&reader, key.bytes + prefix.size, key.size - prefix.size);
    out->time = timestamp_of(byte_read_i64(&reader));
    out->what = byte_read_u8(&reader);
    out->id = byte_read_u64(&reader) * DEADLINE_GROUP + lowest_bit(record.ids);
    MUST(byte_reader_done(&reader));
    return true;
}

static void end_due(struct contract_call *call, const struct deadline *due)
{
    switch ((enum deadline_what)due->what) {
    case DEADLINE_PROOF:
        deal_proof_is_due(call, due->id);
        return;
    case DEADLINE_DISPUTE:
        dispute_is_due(call, due->id);
        return;
    case DEADLINE_CALL:
        deadline_remove(call, due);
        reservation_call_is_due(call, due->id);
        return;
    }
    MUST(false);
}

/* Ends the next thing that is due. False if nothing is, or what is first has to wait. */
static bool end_next(struct contract_call *call)
{
    struct deadline due;
    struct book_gate gate;
    bool any = first_deadline(call, &due);
    if (book_gate_first(call, &gate) && (!any || timestamp_compare(gate.time, due.time) <= 0)) {
        return timestamp_compare(gate.time, call->context->time) <= 0 &&
               book_gate_expire_one(call, &gate);
    }
    if (!any || timestamp_compare(due.time, call->context->time) > 0) {
        return false;
    }
    end_due(call, &due);
    MUST(!is_there(call, &due) || call->view->fault);
    return true;
}

void deadline_sweep(struct contract_call *call)
{
    const uint64_t work_before = contract_work(call);
    for (uint32_t i = 0; i < DEADLINES_PER_BLOCK_MAX; i++) {
        if (contract_event_room(call) < BOOK_EVENTS_RESERVE / 2 || call->view->fault ||
            contract_work(call) - work_before > LIMIT_WORK_OF_SWEEP || !end_next(call)) {
            return;
        }
    }
}
