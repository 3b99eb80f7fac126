/* Records that a block reads over and over, kept decoded: its orders, which are read again when they trade;
 * the market, the device, the enrolment and the participant behind each of them; counters, balances, what a
 * book and its owners' shares hold, what devices have promised.
 *
 * Invariants:
 * 1. An entry equals, field by field, what decoding the state's record would give: it was decoded from it,
 *    or the record was encoded from it, and encoder and decoder take the same values (base/codec.h). None of
 *    these records has views into its bytes. A removal forgets it, a rollback after a write forgets everything, and so does each block.
 * 2. So nothing depends on what is remembered but time; reads are not counted as work.
 * 3. Under a fault of the view nothing is remembered: the view answers "absent" to everything.
 *
 * Deliberately absent: that a record is not there; what is read once for each time that it is written. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/ledger_internal.h"

static bool is_recalled(const struct state_key *key)
{
    switch (key->bytes[0]) {
    case STATE_ORDER:
    case STATE_MARKET:
    case STATE_DEVICE:
    case STATE_ENROLMENT:
    case STATE_PARTICIPANT:
    case STATE_COMMITMENT:
    case STATE_COUNTERS:
    case STATE_DEADLINE:
    case STATE_BOOK_SIZE:
    case STATE_BOOK_SHARE:
        return true;
    case STATE_POT:
        return key->size > 1 && key->bytes[1] == POT_BALANCE;
    }
    return false;
}

/* A key's place: whose era it is, which key it has, where its record stands and how much fits there. */
struct slot {
    uint64_t *era;
    struct state_key *key;
    void *record;
    size_t room;
};

/* FNV-1a over words of eight bytes, whose high half takes part; orders by their numbers. Whoever makes keys
 * collide slows down reads of its own. */
static struct slot slot_of(struct recall *recall, const struct state_key *key)
{
    if (key->bytes[0] == STATE_ORDER) {
        const size_t low = (size_t)key->bytes[key->size - 2] << 8 | key->bytes[key->size - 1];
        struct recall_order *order = &recall->orders[low % RECALL_ORDERS];
        return (struct slot){&order->era, &order->key, &order->order, sizeof order->order};
    }
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < key->size; i += sizeof hash) {
        const size_t left = key->size - i;
        uint64_t word = 0;
        if (left >= sizeof word) {
            memcpy(&word, &key->bytes[i], sizeof word);
        } else {
            memcpy(&word, &key->bytes[i], left);
        }
        hash = (hash ^ word) * UINT64_C(1099511628211);
        hash ^= hash >> 32;
    }
    struct recall_entry *entry = &recall->entries[(hash ^ hash >> 32) % RECALL_ENTRIES];
    return (struct slot){&entry->era, &entry->key, &entry->record, sizeof entry->record};
}

static bool slot_is(const struct recall *recall, const struct slot *slot,
                    const struct state_key *key)
{
    return *slot->era == recall->era && slot->key->size == key->size &&
           memcmp(slot->key->bytes, key->bytes, key->size) == 0;
}

/* Eras count from 1, so that an entry of zeros is of none. */
void recall_forget_all(struct recall *recall)
{
    recall->era++;
    recall->written = false;
}

void recall_begin_transaction(struct recall *recall)
{
    recall->written = false;
}

void recall_rolled_back(struct recall *recall)
{
    if (recall->written) {
        recall_forget_all(recall);
    }
}

static void slot_take(const struct recall *recall, const struct slot *slot,
                      const struct state_key *key, const struct codec_record *codec,
                      const void *record)
{
    MUST(codec->struct_size <= slot->room);
    memcpy(slot->record, record, codec->struct_size);
    *slot->era = recall->era;
    slot->key->size = key->size;
    memcpy(slot->key->bytes, key->bytes, key->size);
}

void recall_wrote(struct recall *recall, const struct state_key *key,
                  const struct codec_record *codec, const void *record)
{
    if (!is_recalled(key)) {
        return;
    }
    const struct slot slot = slot_of(recall, key);
    slot_take(recall, &slot, key, codec, record);
    recall->written = true;
}

void recall_removed(struct recall *recall, const struct state_key *key)
{
    if (!is_recalled(key)) {
        return;
    }
    const struct slot slot = slot_of(recall, key);
    if (slot_is(recall, &slot, key)) {
        *slot.era = 0;
    }
    recall->written = true;
}

bool recall_read(struct recall *recall, struct state_view *view, const struct state_key *key,
                 const struct codec_record *codec, void *record)
{
    if (view->fault || !is_recalled(key)) {
        return ledger_read(view, key, codec, record);
    }
    const struct slot slot = slot_of(recall, key);
    if (slot_is(recall, &slot, key)) {
        MUST(codec->struct_size <= slot.room);
        memcpy(record, slot.record, codec->struct_size);
        return true;
    }
    if (!ledger_read(view, key, codec, record)) {
        return false;
    }
    slot_take(recall, &slot, key, codec, record);
    return true;
}
