/* Records that a block reads over and over, kept decoded: the market, the device, the enrolment and the
 * participant behind each of its orders; counters, balances, what a book and its owners' shares hold, what
 * devices have promised.
 *
 * Invariants:
 * 1. An entry equals what decoding the state's record would give, since it was decoded from the same bytes;
 *    a removal forgets it, a rollback after a write forgets everything, and so does each block.
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

/* Where a key's entry stands: FNV-1a over words of eight bytes, whose high half takes part. Whoever makes keys collide slows down reads of its own. */
static struct recall_entry *entry_of(struct recall *recall, const struct state_key *key)
{
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
    return &recall->entries[(hash ^ hash >> 32) % RECALL_ENTRIES];
}

static bool entry_is(const struct recall *recall, const struct recall_entry *entry,
                     const struct state_key *key)
{
    return entry->era == recall->era && entry->key.size == key->size &&
           memcmp(entry->key.bytes, key->bytes, key->size) == 0;
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

static void entry_take(struct recall *recall, struct recall_entry *entry,
                       const struct state_key *key)
{
    entry->era = recall->era;
    entry->key.size = key->size;
    memcpy(entry->key.bytes, key->bytes, key->size);
}

void recall_wrote(struct recall *recall, const struct state_key *key,
                  const struct codec_record *codec, struct bytes_view bytes)
{
    if (!is_recalled(key)) {
        return;
    }
    struct recall_entry *entry = entry_of(recall, key);
    MUST(codec->struct_size <= sizeof entry->record);
    MUST(codec_decode_all(codec, &entry->record, bytes));
    entry_take(recall, entry, key);
    recall->written = true;
}

void recall_removed(struct recall *recall, const struct state_key *key)
{
    if (!is_recalled(key)) {
        return;
    }
    struct recall_entry *entry = entry_of(recall, key);
    if (entry_is(recall, entry, key)) {
        entry->era = 0;
    }
    recall->written = true;
}

bool recall_read(struct recall *recall, struct state_view *view, const struct state_key *key,
                 const struct codec_record *codec, void *record)
{
    if (view->fault || !is_recalled(key)) {
        return ledger_read(view, key, codec, record);
    }
    struct recall_entry *entry = entry_of(recall, key);
    MUST(codec->struct_size <= sizeof entry->record);
    if (entry_is(recall, entry, key)) {
        memcpy(record, &entry->record, codec->struct_size);
        return true;
    }
    if (!ledger_read(view, key, codec, record)) {
        return false;
    }
    memcpy(&entry->record, record, codec->struct_size);
    entry_take(recall, entry, key);
    return true;
}
