/* What the ledger does for a block as a whole: its first state, the books that it touched, the split
 * of fees, the check that no money came or went.
 *
 * 1. The fee pool is split at most once per block, into equal whole parts; what can't be divided
 *    stays in the pool for the next time. (MFX IV: who keeps the platform is paid for it.)
 * 2. The clock record is written last: until then it holds the time of the block before.
 * 3. ledger_conserves_value looks at the view's changes and at nothing that moved the money. What
 *    the supply record says is held is kept by whoever moves money, and checked here against the pots.
 *
 * Deliberately absent: clearing and settlement, which are the modules' hooks. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/ledger_internal.h"

/* --- genesis -------------------------------------------------------------------------------- */

static void write_participant(struct state_view *view, const struct genesis_participant *one)
{
    struct participant_record record;
    memset(&record, 0, sizeof record);
    record.key = one->key;
    record.roles = one->roles;
    record.status = STATUS_ACTIVE;
    struct state_key key = state_key_name(STATE_PARTICIPANT, &one->id);
    ledger_write(view, &key, &participant_record_codec, &record);

    struct key_record owner = {.participant = one->id};
    key = state_key_hash(STATE_KEY, one->key.bytes);
    ledger_write(view, &key, &key_record_codec, &owner);

    struct pot_record pot = {.amount = money_of(0)};
    key = state_key_pot(POT_BALANCE, &one->id, 0);
    ledger_write(view, &key, &pot_record_codec, &pot);
}

bool ledger_genesis(struct state_view *view, const struct genesis *genesis)
{
    if (genesis_problem(genesis) != NULL)
        return false;
    struct state_key key = state_key_single(STATE_PARAMS);
    ledger_write(view, &key, &params_record_codec, &genesis->params);
    for (uint32_t i = 0; i < genesis->participant_count; i++)
        write_participant(view, &genesis->participants[i]);

    struct counters_record counters = {0};
    key = state_key_single(STATE_COUNTERS);
    ledger_write(view, &key, &counters_record_codec, &counters);

    struct clock_record clock = {.time = genesis->time, .fees_split = genesis->time};
    key = state_key_single(STATE_CLOCK);
    ledger_write(view, &key, &clock_record_codec, &clock);

    struct supply_record supply;
    memset(&supply, 0, sizeof supply);
    key = state_key_single(STATE_SUPPLY);
    ledger_write(view, &key, &supply_record_codec, &supply);
    return !view->fault;
}

/* --- touched books -------------------------------------------------------------------------- */

bool ledger_touch_book(struct ledger *ledger, const struct state_key *book_prefix)
{
    uint32_t low = 0;
    uint32_t high = ledger->touched_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = state_key_compare(&ledger->touched[ledger->touched_order[middle]], book_prefix);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (ledger->touched_count == LEDGER_BOOKS_PER_BLOCK_MAX)
        return false;
    memmove(&ledger->touched_order[low + 1], &ledger->touched_order[low],
            (ledger->touched_count - low) * sizeof ledger->touched_order[0]);
    ledger->touched_order[low] = (uint16_t)ledger->touched_count;
    ledger->touched[ledger->touched_count] = *book_prefix;
    ledger->touched_count++;
    return true;
}

void ledger_untouch_books(struct ledger *ledger, uint32_t count)
{
    MUST(count <= ledger->touched_count);
    if (count == ledger->touched_count)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ledger->touched_count; i++)
        if (ledger->touched_order[i] < count)
            ledger->touched_order[kept++] = ledger->touched_order[i];
    MUST(kept == count);
    ledger->touched_count = count;
}

uint32_t ledger_touched_count(const struct ledger *ledger)
{
    return ledger->touched_count;
}

const struct state_key *ledger_touched_book(const struct ledger *ledger, uint32_t index)
{
    MUST(index < ledger->touched_count);
    return &ledger->touched[ledger->touched_order[index]];
}

/* --- counters, fees, clock ------------------------------------------------------------------ */

void ledger_count_transactions(const struct contract_call *call, uint64_t transactions)
{
    struct state_key key = state_key_single(STATE_COUNTERS);
    struct counters_record counters;
    if (!contract_read(call, &key, &counters_record_codec, &counters)) {
        MUST(call->view->fault);
        return;
    }
    MUST(checked_add_u64(&counters.transactions, counters.transactions, transactions));
    contract_write(call, &key, &counters_record_codec, &counters);
}

static void pay_operators(const struct contract_call *call)
{
    const struct params_record *params = &call->ledger->params;
    /* Floor: the pool keeps what is left over. */
    int64_t share = money_ueur(token_amount(call, pot_fees())) / params->validator_count;
    if (share == 0)
        return;
    for (uint32_t i = 0; i < params->validator_count; i++) {
        const struct name *operator_name = &params->validators[i].operator_name;
        enum contract_error error =
            token_move_quiet(call, pot_fees(), pot_balance(operator_name), money_of(share));
        if (error != CONTRACT_OK) {
            MUST(call->view->fault);
            return;
        }
        struct event_fees_split event = {.operator_name = *operator_name,
                                         .amount = money_of(share)};
        contract_event(call, EVENT_FEES_SPLIT, &event);
    }
}

void ledger_split_fees(const struct contract_call *call)
{
    struct state_key key = state_key_single(STATE_CLOCK);
    struct clock_record clock;
    if (!contract_read(call, &key, &clock_record_codec, &clock)) {
        MUST(call->view->fault);
        return;
    }
    struct duration since;
    int64_t period = duration_ms(call->ledger->params.fee_period);
    MUST(timestamp_until(&since, clock.fees_split, call->context->time));
    if (duration_ms(since) >= period) {
        pay_operators(call);
        /* Whole periods, so that a pause of the chain does not shift the ends of later ones. */
        struct duration whole = duration_of(duration_ms(since) - duration_ms(since) % period);
        MUST(timestamp_add(&clock.fees_split, clock.fees_split, whole));
    }
    clock.time = call->context->time;
    contract_write(call, &key, &clock_record_codec, &clock);
}

/* --- proof of reserves ----------------------------------------------------------------------- */

void ledger_pot_changed(const struct contract_call *call, uint8_t kind, struct money before,
                        struct money after)
{
    int64_t difference;
    MUST(kind < POT_KIND_COUNT);
    int64_t *change = &call->ledger->held_change[kind];
    MUST(checked_sub_i64(&difference, money_ueur(after), money_ueur(before)));
    /* No kind holds more than was ever minted, so none changes by more than that. */
    MUST(checked_add_i64(change, *change, difference));
}

void ledger_write_held(const struct contract_call *call)
{
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    bool changed = false;
    for (int kind = 0; kind < POT_KIND_COUNT; kind++)
        changed = changed || call->ledger->held_change[kind] != 0;
    if (!changed)
        return;
    if (!contract_read(call, &key, &supply_record_codec, &supply)) {
        MUST(call->view->fault);
        return;
    }
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        struct money change = money_of(call->ledger->held_change[kind]);
        MUST(money_add(&supply.held[kind], supply.held[kind], change));
    }
    contract_write(call, &key, &supply_record_codec, &supply);
}

/* --- conservation --------------------------------------------------------------------------- */

/* What the pots' own bytes say that the supply record must say, and then what it says is taken off. */
struct conservation {
    int128 moved[POT_KIND_COUNT]; /* of what the pots of a kind hold */
    int128 issued;                /* minted less burned; then less what is held */
    bool sound;
};

/* Reads the stored bytes themselves: a fault in the tables must not hide itself. What a record holds is
 * what it begins with; `amounts` of them, by kind. */
static void count_pots(struct conservation *sum, const uint8_t *kinds, uint32_t amounts,
                       struct bytes_view value, bool is_after)
{
    struct byte_reader reader;
    byte_reader_init(&reader, value.data, value.size);
    for (uint32_t i = 0; i < amounts; i++) {
        const int64_t amount = byte_read_i64(&reader);
        sum->sound = sum->sound && (!is_after || amount >= 0);
        sum->moved[kinds[i]] += is_after ? amount : -(int128)amount;
    }
    sum->sound = sum->sound && !reader.failed;
}

static void visit_pot(void *context, struct bytes_view key, struct bytes_view before,
                      struct bytes_view after)
{
    struct conservation *sum = context;
    const uint8_t kind = key.size > 1 ? key.data[1] : POT_KIND_COUNT;
    if (kind >= POT_KIND_COUNT || !pot_kind_has_record((enum pot_kind)kind)) {
        sum->sound = false;
        return;
    }
    const bool whole = (before.data == NULL || before.size == sizeof(int64_t)) &&
                       (after.data == NULL || after.size == sizeof(int64_t));
    sum->sound = sum->sound && whole;
    if (before.data != NULL)
        count_pots(sum, &kind, 1, before, false);
    if (after.data != NULL)
        count_pots(sum, &kind, 1, after, true);
}

/* An order, and a deal, which holds two: neither ever goes away. */
static void visit_order(void *context, struct bytes_view key, struct bytes_view before,
                        struct bytes_view after)
{
    static const uint8_t kinds[] = {POT_ORDER_ESCROW};
    (void)key;
    if (before.data != NULL)
        count_pots(context, kinds, 1, before, false);
    count_pots(context, kinds, 1, after, true);
}

static void visit_deal(void *context, struct bytes_view key, struct bytes_view before,
                       struct bytes_view after)
{
    static const uint8_t kinds[] = {POT_DEAL_ESCROW, POT_DEAL_DEPOSIT};
    (void)key;
    if (before.data != NULL)
        count_pots(context, kinds, 2, before, false);
    count_pots(context, kinds, 2, after, true);
}

static void visit_supply(void *context, struct bytes_view key, struct bytes_view before,
                         struct bytes_view after)
{
    struct conservation *sum = context;
    struct byte_reader reader;
    (void)key;
    if (before.data != NULL) {
        byte_reader_init(&reader, before.data, before.size);
        (void)byte_read_i64(&reader);
        (void)byte_read_i64(&reader);
        for (int kind = 0; kind < POT_KIND_COUNT; kind++)
            sum->moved[kind] += byte_read_i64(&reader);
        sum->sound = sum->sound && byte_reader_done(&reader);
    }
    byte_reader_init(&reader, after.data, after.data == NULL ? 0 : after.size);
    int64_t minted = byte_read_i64(&reader);
    int64_t burned = byte_read_i64(&reader);
    sum->issued = (int128)minted - burned;
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        int64_t held = byte_read_i64(&reader);
        sum->moved[kind] -= held;
        sum->issued -= held;
        sum->sound = sum->sound && held >= 0;
    }
    sum->sound = sum->sound && byte_reader_done(&reader) && burned >= 0 && minted >= burned;
}

bool ledger_conserves_value(struct state_view *view)
{
    static const uint8_t pots[] = {STATE_POT};
    static const uint8_t orders[] = {STATE_ORDER};
    static const uint8_t deals[] = {STATE_DEAL};
    static const uint8_t supply[] = {STATE_SUPPLY};
    struct conservation sum = {.sound = true};
    view->ops->changes(view, bytes_view_of(pots, sizeof pots), &sum, visit_pot);
    view->ops->changes(view, bytes_view_of(orders, sizeof orders), &sum, visit_order);
    view->ops->changes(view, bytes_view_of(deals, sizeof deals), &sum, visit_deal);
    view->ops->changes(view, bytes_view_of(supply, sizeof supply), &sum, visit_supply);
    bool good = sum.sound && sum.issued == 0;
    for (int kind = 0; kind < POT_KIND_COUNT; kind++)
        good = good && sum.moved[kind] == 0;
    return good && !view->fault;
}
