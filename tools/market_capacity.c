/* What could have been offered at a gate closure (docs/spec/surveillance.md 3).
 *
 * Invariants: computed on the state after the last block before the gate, in which every order that
 * a participant could still place or cancel stands as it chose; each book is closed once; a device
 * counts for whoever had the right to offer it for the whole delivery period, and only if it was
 * prequalified, enrolled and in the market's zone.
 *
 * Deliberately absent: what a device could physically do, beyond its registered power and capacity.
 * Meters don't stand on the chain. */
#include <string.h>

#include "base/fatal.h"
#include "tools/market_history.h"

/* The most power that is committed in a quarter hour of the period. False if one of them is promised in
 * units of another length, in either direction: the ledger would have taken no offer for it. */
static bool committed_most(struct power *most, const struct state_base *state,
                           const struct name *device, const struct history_book *book)
{
    struct timestamp at = book->start;
    *most = power_of(0);
    /* Ends: a period has at most LIMIT_INTERVALS_PER_PERIOD units of an hour at most. */
    while (timestamp_compare(at, book->end) < 0) {
        for (uint8_t direction = DIRECTION_UP; direction <= DIRECTION_DOWN; direction++) {
            struct state_key key = state_key_unit(STATE_COMMITMENT, device, at, direction);
            struct commitment_record committed;
            if (!history_read(state, &key, &commitment_record_codec, &committed)) {
                continue;
            }
            if (duration_ms(committed.mtu) != duration_ms(book->unit)) {
                return false;
            }
            if (direction == book->direction && power_w(committed.power) > power_w(*most)) {
                *most = committed.power;
            }
        }
        MUST(timestamp_add(&at, at, duration_of(COMMITMENT_SLOT_MS)));
    }
    return true;
}

static void potential_of(struct energy *potential, struct energy *spare,
                         const struct state_base *state, const struct name *id,
                         const struct device_record *device, const struct history_book *book)
{
    struct duration length;
    struct energy committed;
    struct power most;
    MUST(timestamp_until(&length, book->start, book->end));
    MUST(power_times_duration_floor(potential, device->max_power, length));
    if (energy_wh(device->capacity) > 0) {
        *potential = energy_min(*potential, device->capacity);
    }
    *spare = energy_of(0);
    if (committed_most(&most, state, id, book)) {
        MUST(power_times_duration_floor(&committed, most, length));
        MUST(energy_sub(spare, *potential, committed));
    }
    if (energy_wh(*spare) < 0) {
        *spare = energy_of(0); /* more was sold than the store holds: none of it was held back */
    }
}

static struct history_share *share_of(struct market_history *history, uint32_t book,
                                      const struct name *who)
{
    struct history_book *owner = &history->books[book];
    for (uint32_t i = 0; i < owner->share_count; i++) {
        struct history_share *share = &history->shares[owner->first_share + i];
        if (name_compare(&share->who, who) == 0) {
            return share;
        }
    }
    MUST(owner->first_share + owner->share_count == history->share_count);
    history->shares = history_room(history->shares, &history->share_room, history->share_count,
                                   sizeof *history->shares);
    struct history_share *share = &history->shares[history->share_count++];
    *share = (struct history_share){.book = book, .who = *who};
    owner->share_count++;
    return share;
}

static bool manages(const struct device_record *device, const struct history_book *book)
{
    return !name_is_empty(&device->manager) &&
           timestamp_compare(device->managed_from, book->start) <= 0 &&
           timestamp_compare(device->managed_until, book->end) >= 0;
}

static void add_device(struct market_history *history, const struct state_base *state,
                       uint32_t number, const struct name *id, const struct market_create *terms)
{
    const struct history_book *book = &history->books[number];
    struct state_key key = state_key_name(STATE_DEVICE, id);
    struct device_record device;
    struct energy potential, spare;
    if (!history_read(state, &key, &device_record_codec, &device) ||
        device.status != STATUS_ACTIVE || !market_covers(terms, &device.zone)) {
        return;
    }
    /* Outside of its validity nobody can offer an alias, and the device behind it has others. */
    struct state_key alias = state_key_name(STATE_ALIAS, id);
    struct alias_record record;
    if (!manages(&device, book) && history_read(state, &alias, &alias_record_codec, &record)) {
        return;
    }
    potential_of(&potential, &spare, state, id, &device, book);
    const struct name *who = manages(&device, book) ? &device.manager : &device.owner;
    struct state_key who_key = state_key_name(STATE_PARTICIPANT, who);
    struct participant_record participant;
    if (!history_read(state, &who_key, &participant_record_codec, &participant) ||
        participant.status != STATUS_ACTIVE) {
        return; /* a suspended participant's orders are refused */
    }
    struct history_share *share = share_of(history, number, who);
    share->devices++;
    MUST(energy_add(&share->potential, share->potential, potential));
    MUST(energy_add(&share->free, share->free, spare));
}

/* Every device that is enrolled in the book's market. */
static void close_book(struct market_history *history, const struct state_base *state,
                       uint32_t number)
{
    uint8_t prefix_byte = STATE_ENROLMENT;
    struct bytes_view prefix = bytes_view_of(&prefix_byte, 1);
    struct bytes_view after = {0};
    uint8_t keys[2][LIMIT_STATE_KEY_BYTES];
    struct history_book *book = &history->books[number];
    struct state_key market_key = state_key_name(STATE_MARKET, &book->market);
    struct market_record market;
    book->closed = true;
    book->first_share = (uint32_t)history->share_count;
    if (book->sells_capacity) {
        return;
    }
    if (!history_read(state, &market_key, &market_record_codec, &market)) {
        return; /* made by this very block: nobody could have been enrolled before */
    }
    for (unsigned turn = 0;; turn ^= 1) {
        struct name device, enrolled_in;
        struct bytes_view value;
        size_t size;
        bool found;
        if (!state->next(state->context, prefix, after, &found, keys[turn], &size, &value)) {
            fatal_environment("the audited state can't be read");
        }
        if (!found) {
            return;
        }
        MUST(size == 1 + 2 * NAME_SIZE);
        after = bytes_view_of(keys[turn], size);
        memcpy(device.text, keys[turn] + 1, NAME_SIZE);
        memcpy(enrolled_in.text, keys[turn] + 1 + NAME_SIZE, NAME_SIZE);
        if (name_compare(&enrolled_in, &book->market) == 0) {
            add_device(history, state, number, &device, &market.terms);
        }
    }
}

void history_close_books(struct market_history *history, const struct state_base *before,
                         struct timestamp now)
{
    if (!history->any_gate || timestamp_compare(now, history->next_gate) < 0) {
        return;
    }
    history->any_gate = false;
    for (size_t i = 0; i < history->book_count; i++) {
        struct history_book *book = &history->books[i];
        if (!book->closed && timestamp_compare(book->gate, now) <= 0) {
            close_book(history, before, (uint32_t)i);
        }
        if (!book->closed &&
            (!history->any_gate || timestamp_compare(book->gate, history->next_gate) < 0)) {
            history->next_gate = book->gate;
            history->any_gate = true;
        }
    }
}
