/* Records that a block reads over and over, kept decoded: the market, the device, the enrolment and the
 * participant behind each of its orders.
 *
 * Invariants:
 * 1. An entry equals what decoding the state's record would give: writes and removals forget it, a
 *    rollback after such a write forgets everything, and so does each block.
 * 2. So nothing depends on what is remembered but time; reads are not counted as work.
 * 3. Under a fault of the view nothing is remembered: the view answers "absent" to everything.
 *
 * Deliberately absent: that a record is not there; kinds that change as often as they are read. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/ledger_internal.h"

static bool is_recalled(const struct state_key *key)
{
    const uint8_t kind = key->bytes[0];
    return kind == STATE_MARKET || kind == STATE_DEVICE || kind == STATE_ENROLMENT ||
           kind == STATE_PARTICIPANT;
}

/* Where a key's entry stands: FNV-1a. Whoever makes keys collide slows down reads of its own. */
static struct recall_entry *entry_of(struct recall *recall, const struct state_key *key)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < key->size; i++) {
        hash = (hash ^ key->bytes[i]) * UINT32_C(16777619);
    }
    return &recall->entries[(hash ^ hash >> 16) % RECALL_ENTRIES];
}

static bool entry_is(const struct recall_entry *entry, const struct state_key *key)
{
    return entry->key.size == key->size && memcmp(entry->key.bytes, key->bytes, key->size) == 0;
}

void recall_forget_all(struct recall *recall)
{
    for (size_t i = 0; i < RECALL_ENTRIES; i++) {
        recall->entries[i].key.size = 0;
    }
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

void recall_forget(struct recall *recall, const struct state_key *key)
{
    if (!is_recalled(key)) {
        return;
    }
    struct recall_entry *entry = entry_of(recall, key);
    if (entry_is(entry, key)) {
        entry->key.size = 0;
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
    if (entry_is(entry, key)) {
        memcpy(record, &entry->record, codec->struct_size);
        return true;
    }
    if (!ledger_read(view, key, codec, record)) {
        return false;
    }
    entry->key = *key;
    memcpy(&entry->record, record, codec->struct_size);
    return true;
}
