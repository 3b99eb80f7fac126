/* When coupled auctions are fixed and cleared (contracts/coupled.h; docs/spec/coupled.md 12 to 14).
 *
 *   first portfolio ---> open --- gate ---> solving --- window over ---> cleared: deals, the rest expires
 *                         |         |          '------> void, if the market is not open or delivery has
 *                         |         '-----------------> void, for the same, or if there is no problem
 *                         |--- an earlier one binds it ---> bound: its deals are among that one's
 *                         '--- last portfolio taken back: as if it had never been
 *
 * Invariants:
 * 1. An open auction has its one entry in the index of gates, one that takes solutions in that of windows.
 * 2. Bids of an auction don't change from its gate on, however late the block is that fixes it.
 * 3. Auctions whose horizons overlap are fixed in their order, and one of them at a time takes solutions: a
 *    gate waits while an earlier auction that reaches it takes solutions, or waits itself.
 * 4. Work is bounded: before an auction is begun the block has some of its share left, and each auction
 *    costs at most what its limits say. The first one of a block always fits.
 *
 * Deliberately absent: judging (coupled_propose.c), deals (coupled_deal.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/book_gate.h"
#include "contracts/coupled_internal.h"

/* A step of the floor visits a node or line, and takes as long as four of other arithmetic. */
enum { FLOOR_STEP_COST = 4, FLOOR_STEPS_LEAST = 200000, FLOOR_STEPS_PER_BID = 2000 };
enum {
    SLOT_EVENTS_BYTES = COUPLED_AUCTION_SLOTS_MAX * LIMIT_NETWORK_CARRIERS * 192,
    BOUND_EVENTS_BYTES = COUPLED_AUCTION_SLOTS_MAX * 1024,
    /* Of bids that took no part and end with others of their portfolio's: a portfolio reaches at most one
     * horizon beyond, and two horizons hold no more than two problems. */
    CHANGED_EVENTS_BYTES = 2 * COUPLED_AUCTION_BIDS_MAX * BOOK_END_EVENT_BYTES
};
_Static_assert(COUPLED_AUCTION_BIDS_MAX *(BOOK_TRADE_EVENT_BYTES + 2 * BOOK_END_EVENT_BYTES) +
                       SLOT_EVENTS_BYTES + BOUND_EVENTS_BYTES + CHANGED_EVENTS_BYTES +
                       BOOK_EVENTS_RESERVE + CONTRACT_EVENT_BYTES_MAX <=
                   LEDGER_BLOCK_EVENTS_BYTES_MAX,
               "the first clearing of a block always has room for its events");

/* --- records -------------------------------------------------------------------------------- */

static void store(const struct contract_call *call, const struct coupled_id *id,
                  const struct coupled_record *record)
{
    struct state_key key = coupled_key(STATE_COUPLED, id);
    contract_write(call, &key, &coupled_record_codec, record);
}

static void report(const struct contract_call *call, const struct coupled_id *id,
                   const struct coupled_record *record)
{
    struct event_coupled event = {
        .market = id->market, .start = id->start, .direction = id->direction, .auction = *record};
    contract_event(call, EVENT_COUPLED, &event);
}

/* --- whose bids are over ---------------------------------------------------------------------- */

static void note_portfolio(const struct contract_call *call, uint64_t order)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct coupled_bid_record bid;
    struct state_key key = state_key_u64(STATE_COUPLED_BID, order);
    if (contract_read(call, &key, &coupled_bid_record_codec, &bid)) {
        MUST(scratch->changed_count < COUPLED_CHANGED_MAX);
        scratch->changed[scratch->changed_count++] = bid.portfolio;
    }
}

/* The open bids of one auction are over: due from now on at its own gate, and at once if that has not come. */
static void expire_bids(struct contract_call *call, const struct coupled_id *id,
                        const struct market_create *terms, bool at_gate)
{
    for (uint32_t slot = 0; slot < terms->coupling.intervals; slot++) {
        const struct book_id book = {id->market, id->direction,
                                     coupled_slot_start(terms, id, slot)};
        struct state_key size = book_key(STATE_BOOK_SIZE, &book);
        if (at_gate && contract_exists(call, &size)) {
            book_gate_add(call, &book, terms);
        }
        for (uint8_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
            struct state_key at = {.size = 0};
            for (uint32_t i = 0; i < COUPLED_AUCTION_BIDS_MAX; i++) {
                struct order_record order;
                if (!book_side_next(call, &book, side, &at) ||
                    !book_read_order(call, book_index_order(&at), &order)) {
                    break;
                }
                note_portfolio(call, book_index_order(&at));
                if (!at_gate) {
                    book_end_order(call, book_index_order(&at), &order, terms, ORDER_EXPIRED);
                }
            }
        }
    }
}

static bool id_before(const void *context, uint32_t a, uint32_t b)
{
    const uint64_t *ids = context;
    return ids[a] != ids[b] ? ids[a] < ids[b] : a < b;
}

/* What is left of each portfolio that was noted, once. */
static void keep_portfolios(struct contract_call *call, const struct market_create *terms,
                            bool all_end)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    uint32_t *order = scratch->changed_order;
    uint64_t before = 0;
    for (uint32_t i = 0; i < scratch->changed_count; i++) {
        order[i] = i;
    }
    call_sort(order, scratch->changed_count, id_before, scratch->changed);
    for (uint32_t i = 0; i < scratch->changed_count; i++) {
        const uint64_t first = scratch->changed[order[i]];
        if (first != before) {
            coupled_keep_portfolio(call, first, terms, all_end, ORDER_EXPIRED);
        }
        before = first;
    }
    scratch->changed_count = 0;
}

/* Nobody enters any more, so nobody needs to know who stands on which side. */
static void forget_sides(struct contract_call *call, const struct coupled_id *id,
                         const struct market_create *terms)
{
    for (uint32_t slot = 0; slot < terms->coupling.intervals; slot++) {
        struct state_key prefix = state_key_coupled(
            STATE_COUPLED_SIDE, &id->market, coupled_slot_start(terms, id, slot), id->direction);
        for (uint32_t i = 0; i < COUPLED_AUCTION_BIDS_MAX; i++) {
            struct state_key key;
            struct bytes_view value;
            if (!contract_next(call, book_key_view(&prefix), bytes_view_of(NULL, 0), &key,
                               &value)) {
                break;
            }
            contract_remove(call, &key);
        }
    }
}

static void end_void(struct contract_call *call, const struct coupled_id *id,
                     struct coupled_record *record, const struct market_record *market,
                     enum coupled_reason reason)
{
    record->state = COUPLED_VOID;
    record->reason = (uint8_t)reason;
    record->height = call->context->height;
    record->version = record->version == 0 ? market->version : record->version;
    record->fixed_height = record->fixed_height == 0 ? call->context->height : record->fixed_height;
    store(call, id, record);
    ledger_coupled_scratch(call->ledger)->changed_count = 0;
    expire_bids(call, id, &market->terms, true);
    keep_portfolios(call, &market->terms, false);
    report(call, id, record);
}

/* Nobody is bound to a delivery that has begun, or by a market that its operator has stopped. */
static enum coupled_reason may_clear(const struct contract_call *call, const struct coupled_id *id,
                                     const struct market_record *market)
{
    if (market->state != MARKET_OPEN) {
        return COUPLED_REASON_MARKET;
    }
    return timestamp_compare(call->context->time, id->start) < 0 ? COUPLED_REASON_NONE
                                                                 : COUPLED_REASON_LATE;
}

static bool read_auction(const struct contract_call *call, const struct coupled_id *id,
                         struct coupled_record *record, struct market_record *market)
{
    struct state_key market_key = state_key_name(STATE_MARKET, &id->market);
    struct state_key key = coupled_key(STATE_COUPLED, id);
    return book_read(call, &market_key, &market_record_codec, market) &&
           book_read(call, &key, &coupled_record_codec, record);
}

/* --- the floor ------------------------------------------------------------------------------ */

/* Loads, encodes and opens an auction's problem. */
static enum coupled_reason open_problem(struct contract_call *call, const struct coupled_id *id,
                                        const struct market_create *terms, struct hash *digest,
                                        struct bytes_view *bytes)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct coupled_auction_problem loaded;
    struct byte_writer writer;
    enum coupled_reason reason = coupled_load(call, &loaded, id, terms);
    if (reason != COUPLED_REASON_NONE) {
        return reason;
    }
    byte_writer_init(&writer, scratch->problem_bytes, COUPLED_PROBLEM_BYTES_MAX);
    coupled_problem_encode(&writer, &loaded);
    MUST(!writer.failed);
    *bytes = bytes_view_of(scratch->problem_bytes, writer.size);
    coupled_problem_digest(digest, *bytes);
    contract_spend(call, coupled_work_of_check(&loaded.problem));
    return coupled_open(scratch, digest, *bytes) ? COUPLED_REASON_NONE : COUPLED_REASON_PROBLEM;
}

/* The floor of the open problem, with what it is worth. False if its own multipliers leave 128 bits with
 * the network's coefficients: then there is nothing to start from. */
static bool make_floor(struct contract_call *call, struct coupled_draft *draft,
                       struct coupled_claim *claim, uint64_t steps)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct coupled_break broken;
    contract_spend(call, steps * FLOOR_STEP_COST / AUCTION_STEPS_PER_WORK);
    coupled_draft_take(draft, &scratch->auction.problem, &scratch->arena);
    if (!coupled_rest_is_solution(scratch->plan, &broken) ||
        !coupled_floor(draft, &broken, scratch->plan, steps, &scratch->arena)) {
        return false;
    }
    const struct coupled_solution solution = coupled_draft_view(draft);
    return coupled_check(claim, &broken, scratch->plan, &solution, &scratch->arena) &&
           coupled_settles(scratch, &solution);
}

/* --- the gate ------------------------------------------------------------------------------- */

/* More bids, more steps, up to the most of an auction. */
static uint64_t floor_steps(uint32_t bids)
{
    uint64_t steps = FLOOR_STEPS_LEAST + FLOOR_STEPS_PER_BID * (uint64_t)bids;
    return steps < coupled_floor_steps_of_auction ? steps : coupled_floor_steps_of_auction;
}

/* The problem and its floor into the record and their pages. */
static enum coupled_reason fix(struct contract_call *call, const struct coupled_id *id,
                               struct coupled_record *record, const struct market_record *market)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct coupled_draft draft;
    struct coupled_claim claim;
    struct bytes_view bytes;
    struct byte_writer writer;
    struct hash hash;
    enum coupled_reason reason = open_problem(call, id, &market->terms, &record->problem, &bytes);
    if (reason != COUPLED_REASON_NONE) {
        memset(&record->problem, 0, sizeof record->problem);
        return reason;
    }
    if (!make_floor(call, &draft, &claim, floor_steps(scratch->auction.problem.bid_count))) {
        memset(&record->problem, 0, sizeof record->problem);
        return COUPLED_REASON_PROBLEM;
    }
    const struct coupled_problem *problem = &scratch->auction.problem;
    const struct coupled_solution solution = coupled_draft_view(&draft);
    byte_writer_init(&writer, scratch->solution_bytes, COUPLED_SOLUTION_BYTES_MAX);
    coupled_solution_encode(&writer, problem, &solution);
    MUST(!writer.failed && claim.welfare >= 0);
    record->state = COUPLED_SOLVING;
    record->fixed_height = call->context->height;
    record->closes_height = call->context->height + market->terms.coupling.window;
    record->version = market->version;
    record->problem_bytes = (uint32_t)bytes.size;
    record->agents = problem->agent_count;
    record->places = problem->place_count;
    record->lines = problem->line_count;
    record->rows = problem->row_count;
    record->seed = call->context->parent_id;
    coupled_solution_hash(&hash, scratch->plan, &solution, &record->seed);
    record->best = (struct coupled_best){.height = call->context->height};
    coupled_best_of(&record->best, &claim, &hash, bytes_view_of(writer.data, writer.size));
    record->floor_welfare = record->best.welfare;
    coupled_pages_write(call, id, COUPLED_PAGE_PROBLEM, bytes, 0);
    coupled_pages_write(call, id, COUPLED_PAGE_SOLUTION, bytes_view_of(writer.data, writer.size),
                        0);
    return COUPLED_REASON_NONE;
}

/* --- clearing ------------------------------------------------------------------------------- */

static bool events_fit(const struct contract_call *call)
{
    const struct auction_scratch *deals = ledger_auction_scratch(call->ledger);
    return contract_event_room(call) >= (size_t)deals->deal_count * BOOK_TRADE_EVENT_BYTES +
                                            (size_t)deals->count * 2 * BOOK_END_EVENT_BYTES +
                                            SLOT_EVENTS_BYTES + BOUND_EVENTS_BYTES +
                                            CHANGED_EVENTS_BYTES + BOOK_EVENTS_RESERVE +
                                            CONTRACT_EVENT_BYTES_MAX;
}

/* Bids that are filled are in no book any more when the others expire. */
static void note_traded(const struct contract_call *call, const struct market_record *market)
{
    const struct auction_scratch *deals = ledger_auction_scratch(call->ledger);
    (void)market;
    ledger_coupled_scratch(call->ledger)->changed_count = 0;
    for (uint32_t i = 0; i < deals->count; i++) {
        if (deals->accepted[i] > 0) {
            note_portfolio(call, deals->bids[i].id);
        }
    }
}

/* Later auctions that links tied to this one are over with it. */
static void bind_auctions(struct contract_call *call, const struct coupled_id *id,
                          const struct coupled_record *record, const struct market_record *market)
{
    const struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    const struct market_create *terms = &market->terms;
    for (uint32_t i = 1; i < coupled_auctions_of(terms); i++) {
        struct coupled_id ahead;
        struct coupled_record bound;
        if (!scratch->bound[i * terms->coupling.intervals] ||
            !coupled_id_ahead(&ahead, id, terms, i)) {
            continue;
        }
        struct state_key key = coupled_key(STATE_COUPLED, &ahead);
        struct state_key due = coupled_gate_key(terms, &ahead);
        if (!contract_read(call, &key, &coupled_record_codec, &bound)) {
            continue; /* nobody is there */
        }
        MUST(bound.state == COUPLED_OPEN);
        contract_remove(call, &due);
        bound.state = COUPLED_BOUND;
        bound.height = call->context->height;
        bound.fixed_height = record->fixed_height;
        bound.version = record->version;
        bound.bound_by = id->start;
        store(call, &ahead, &bound);
        forget_sides(call, &ahead, terms);
        expire_bids(call, &ahead, terms, false);
        report(call, &ahead, &bound);
    }
}

/* Of the open problem, but for portfolios that had a bid at a gate which has closed, too, because the block is
 * late: what stood there stays. */
static void return_bids(struct contract_call *call, const struct coupled_id *id,
                        const struct market_create *terms)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    const struct coupled_problem *problem = &scratch->auction.problem;
    uint64_t portfolio = 0; /* of the bid before: those of one stand together */
    scratch->changed_count = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const uint32_t slot = problem->bids[i].slot;
        struct coupled_bid_record bid;
        struct state_key key = state_key_u64(STATE_COUPLED_BID, scratch->auction.orders[i]);
        if (!contract_read(call, &key, &coupled_bid_record_codec, &bid)) {
            continue;
        }
        const bool closed =
            !scratch->bound[slot] &&
            auction_gate_has_closed(call, terms, coupled_slot_start(terms, id, slot));
        if (portfolio != bid.portfolio) {
            scratch->changed[scratch->changed_count++] = bid.portfolio;
            portfolio = bid.portfolio;
        }
        if (closed) {
            scratch->changed[scratch->changed_count - 1] = 0; /* none */
        }
    }
    keep_portfolios(call, terms, true);
}

/* What the solution says of all intervals, those that do not bind as a forecast; and where the market's terms
 * say so, bids that a forecast was made of end with it. */
static void tell_and_return(struct contract_call *call, const struct coupled_id *id,
                            const struct coupled_record *record, const struct market_create *terms)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct coupled_draft draft;
    if (!coupled_open_fixed(call, id, record)) {
        MUST(call->view->fault);
        return;
    }
    /* The problem stays open, and each round of consensus clears it again. */
    const size_t mark = scratch->arena.used;
    if (coupled_read_best(call, &draft, id, record)) {
        const struct coupled_solution solution = coupled_draft_view(&draft);
        coupled_tell_slots(call, id, terms, &solution);
    }
    scratch->arena.used = mark;
    if (terms->coupling.later == LATER_RETURNED) {
        return_bids(call, id, terms);
    }
}

/* False if the block has no room left for its events; then nothing has changed. */
static bool clear(struct contract_call *call, const struct coupled_id *id,
                  struct coupled_record *record, const struct market_record *market)
{
    enum coupled_reason reason = may_clear(call, id, market);
    if (reason != COUPLED_REASON_NONE) {
        end_void(call, id, record, market, reason);
        return true;
    }
    if (!coupled_open_fixed(call, id, record) || !coupled_plan_deals(call, id, record, market)) {
        return false;
    }
    if (!events_fit(call)) {
        return false;
    }
    record->state = COUPLED_CLEARED;
    record->height = call->context->height;
    note_traded(call, market);
    coupled_settle_deals(call, record, market);
    store(call, id, record);
    expire_bids(call, id, &market->terms, true);
    bind_auctions(call, id, record, market);
    keep_portfolios(call, &market->terms, false);
    report(call, id, record);
    tell_and_return(call, id, record, &market->terms);
    return true;
}

/* --- due ------------------------------------------------------------------------------------ */

/* What became of something that was due: it waits for another, or the block has no room for it. */
enum due_end { DUE_IS_OVER, DUE_WAITS, DUE_STOPS };

static enum due_end gate_is_due(struct contract_call *call, const struct coupled_id *id)
{
    struct market_record market;
    struct coupled_record record;
    if (!read_auction(call, id, &record, &market)) {
        return DUE_STOPS;
    }
    MUST(record.state == COUPLED_OPEN);
    /* An earlier one may still bind bids of this one, or holds the other half of what is linked to them. */
    if (coupled_must_wait(call, id, &market.terms)) {
        return DUE_WAITS;
    }
    /* What ends it in this very block needs room. */
    if (contract_event_room(call) < (size_t)LEDGER_BLOCK_EVENTS_BYTES_MAX / 2) {
        return DUE_STOPS;
    }
    forget_sides(call, id, &market.terms);
    enum coupled_reason reason = may_clear(call, id, &market);
    if (reason == COUPLED_REASON_NONE) {
        reason = fix(call, id, &record, &market);
    }
    if (call->view->fault) {
        return DUE_STOPS;
    }
    if (reason != COUPLED_REASON_NONE) {
        end_void(call, id, &record, &market, reason);
        return DUE_IS_OVER;
    }
    store(call, id, &record);
    report(call, id, &record);
    struct state_key window =
        coupled_due_key(COUPLED_DUE_WINDOW, (int64_t)record.closes_height, id);
    contract_write_index(call, &window);
    return DUE_IS_OVER;
}

static enum due_end window_is_due(struct contract_call *call, const struct coupled_id *id)
{
    struct market_record market;
    struct coupled_record record;
    if (!read_auction(call, id, &record, &market)) {
        return DUE_STOPS;
    }
    MUST(record.state == COUPLED_SOLVING);
    /* As it was fixed, whatever has been voted since: its bids could not leave any more. */
    market.version = record.version;
    if (!market_terms_read(call, &id->market, record.version, &market.terms)) {
        return DUE_STOPS;
    }
    if (!clear(call, id, &record, &market)) {
        return DUE_STOPS;
    }
    if (record.solutions > 0) {
        struct state_key release =
            coupled_due_key(COUPLED_DUE_RELEASE, (int64_t)call->context->height, id);
        contract_write_index(call, &release);
    }
    return DUE_IS_OVER;
}

/* Strikes count while solutions are taken; what was judged is in the history of events. */
static enum due_end release_is_due(struct contract_call *call, const struct coupled_id *id)
{
    struct state_key prefix = coupled_key(STATE_COUPLED_SOLVER, id);
    for (uint32_t i = 0; i < COUPLED_RELEASES_MAX; i++) {
        struct state_key key;
        struct bytes_view value;
        if (!contract_next(call, book_key_view(&prefix), bytes_view_of(NULL, 0), &key, &value)) {
            return DUE_IS_OVER;
        }
        contract_remove(call, &key);
        contract_spend(call, 1);
    }
    return DUE_STOPS; /* goes on in the next block */
}

static struct coupled_id id_of_due(const struct state_key *key, int64_t *at)
{
    struct coupled_id id;
    struct byte_reader reader;
    byte_reader_init(&reader, key->bytes, key->size);
    (void)byte_read_view(&reader, 2);
    *at = byte_read_i64(&reader);
    byte_read_raw(&reader, id.market.text, NAME_SIZE);
    id.start = timestamp_of(byte_read_i64(&reader));
    id.direction = byte_read_u8(&reader);
    MUST(byte_reader_done(&reader));
    return id;
}

/* Whatever of one kind is due at `now`, the longest due first. */
static void run_due(struct contract_call *call, enum coupled_due what, int64_t now,
                    uint64_t work_before,
                    enum due_end (*run)(struct contract_call *call, const struct coupled_id *id))
{
    struct state_key prefix = state_key_single(STATE_COUPLED_DUE);
    prefix.bytes[prefix.size++] = (uint8_t)what;
    struct state_key after = {.size = 0}; /* the last one that waits */
    for (uint32_t i = 0; i < COUPLED_AUCTIONS_PER_BLOCK_MAX; i++) {
        struct state_key key;
        struct bytes_view value;
        int64_t at;
        if (contract_work(call) - work_before > AUCTION_WORK_MAX ||
            !contract_next(call, book_key_view(&prefix), book_key_view(&after), &key, &value)) {
            return;
        }
        const struct coupled_id id = id_of_due(&key, &at);
        const enum due_end end = at > now ? DUE_STOPS : run(call, &id);
        if (end == DUE_STOPS) {
            return;
        }
        if (end == DUE_WAITS) {
            after = key;
        } else {
            contract_remove(call, &key);
        }
    }
}

/* Windows last, so that an auction without one is over in the block that fixes it. */
void coupled_block_end(struct contract_call *call)
{
    const uint64_t work_before = contract_work(call);
    run_due(call, COUPLED_DUE_GATE, timestamp_ms(call->context->time), work_before, gate_is_due);
    run_due(call, COUPLED_DUE_WINDOW, (int64_t)call->context->height, work_before, window_is_due);
    run_due(call, COUPLED_DUE_RELEASE, (int64_t)call->context->height, work_before, release_is_due);
}
