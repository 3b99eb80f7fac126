/* Auctions: which bids stand, and when they are cleared (contracts/auction.h; market-rules 5;
 * docs/spec/auctions.md).
 *
 *   first bid ---> open --- gate closure ---> cleared: deals, payments, everything else expires
 *                   |              '--------> void, if the market is not open or delivery has begun
 *                   '--- last bid cancelled: as if it had never been
 *
 * Invariants:
 * 1. An auction that is open has its one entry in the index of those that are due, and a cleared or void
 *    one has none.
 * 2. Bids change until the gate closes and not after, however late the block is that clears them: so
 *    being late changes nothing.
 * 3. A bid that stands is one that the mechanism takes: nothing is refused when an auction clears.
 * 4. Bids have no entry in the index of deadlines until their auction is over; what is left of them then
 *    is swept like any order whose gate has closed.
 *
 * Deliberately absent: the clearing itself (auction_clear.c), deals and money (auction_deal.c), sealed
 * bids. */
#include "contracts/auction.h"
#include "contracts/book_gate.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/auction_internal.h"
#include "contracts/coupled.h"

bool market_is_auction(const struct market_create *terms)
{
    switch ((enum market_mechanism)terms->clearing.mechanism) {
    case MECHANISM_MERIT_ORDER:
    case MECHANISM_ORDERED_DEMAND:
    case MECHANISM_ONE_SIDED:
        return true;
    case MECHANISM_BOOK_BATCH:
    case MECHANISM_BOOK_SEQUENTIAL:
    case MECHANISM_CAPACITY:
    case MECHANISM_COUPLED:
        return false;
    }
    return false;
}

bool market_is_gated(const struct market_create *terms)
{
    return market_is_auction(terms) || market_is_coupled(terms);
}

bool auction_takes_options(const struct market_create *terms, const struct order_options *options)
{
    bool one_sided = terms->clearing.mechanism == MECHANISM_ONE_SIDED;
    bool ordered = terms->clearing.mechanism == MECHANISM_ORDERED_DEMAND;
    bool divisible = options->indivisible == 0 && energy_wh(options->min_quantity) == 0;
    return options->kind == ORDER_LIMIT && (ordered || options->rank == 0) &&
           (one_sided || divisible);
}

bool auction_gate_has_closed(const struct contract_call *call, const struct market_create *terms,
                             struct timestamp period_start)
{
    struct book_times times;
    return market_is_gated(terms) && book_times_of(&times, terms, period_start) &&
           timestamp_compare(call->context->time, times.gate) >= 0;
}

/* --- keys ----------------------------------------------------------------------------------- */

static struct book_id book_of(const struct order_record *order)
{
    return (struct book_id){order->market, order->direction, order->period_start};
}

static struct state_key bidder_key(const struct book_id *book, const struct name *participant)
{
    struct state_key key = book_key(STATE_AUCTION_BIDDER, book);
    MUST(key.size + NAME_SIZE <= sizeof key.bytes);
    memcpy(key.bytes + key.size, participant->text, NAME_SIZE);
    key.size += NAME_SIZE;
    return key;
}

static struct timestamp gate_of(const struct market_create *terms, struct timestamp period_start)
{
    struct book_times times;
    MUST(book_times_of(&times, terms, period_start));
    return times.gate;
}

static struct state_key due_key(const struct order_record *order, const struct market_create *terms)
{
    return state_key_due(STATE_AUCTION_DUE, gate_of(terms, order->period_start), &order->market,
                         order->period_start, order->direction);
}

/* --- entering and leaving ------------------------------------------------------------------- */

static uint32_t bids_max(const struct market_create *terms)
{
    switch ((enum market_payment)terms->clearing.payment) {
    case PAYMENT_UNIFORM:
    case PAYMENT_PAY_AS_BID:
        return AUCTION_BIDS_MAX;
    case PAYMENT_VCG:
    case PAYMENT_SELLER_VCG:
        return AUCTION_BIDS_MAX_VCG;
    case PAYMENT_SHAPLEY:
        return AUCTION_BIDS_MAX_SHAPLEY;
    }
    MUST(false);
    return 0;
}

/* An estimate of Shapley's values promises nothing where welfare may fall as agents come. */
static bool agents_are_full(const struct market_create *terms, const struct auction_record *record)
{
    return terms->clearing.mechanism == MECHANISM_ONE_SIDED &&
           terms->clearing.payment == PAYMENT_SHAPLEY &&
           record->agents >= CLEAR_SHAPLEY_AGENTS_EXACT;
}

/* One-sided: the request; ordered demand: one buyer's requests. */
static bool buyer_fits(const struct market_create *terms, const struct auction_record *record,
                       const struct name *buyer)
{
    switch ((enum market_mechanism)terms->clearing.mechanism) {
    case MECHANISM_ONE_SIDED:
        return record->requests == 0;
    case MECHANISM_ORDERED_DEMAND:
        return record->requests == 0 || name_compare(&record->buyer, buyer) == 0;
    case MECHANISM_MERIT_ORDER:
    case MECHANISM_BOOK_BATCH:
    case MECHANISM_BOOK_SEQUENTIAL:
    case MECHANISM_CAPACITY:
    case MECHANISM_COUPLED:
        return true;
    }
    return false;
}

/* Ranks are one buyer's free choice; of a seller, the mechanism is exact only if its steps rise. */
static bool rank_fits(const struct auction_bidder_record *bidder, const struct order_record *order)
{
    struct energy_price floor =
        order->options.rank > bidder->rank ? bidder->dearest : bidder->before;
    return bidder->offers == 0 ||
           (order->options.rank >= bidder->rank && energy_price_compare(order->price, floor) >= 0);
}

enum contract_error auction_admit(const struct contract_call *call,
                                  const struct order_record *order,
                                  const struct market_create *terms)
{
    if (!market_is_auction(terms)) {
        return CONTRACT_OK;
    }
    struct book_id book = book_of(order);
    struct state_key key = book_key(STATE_AUCTION, &book);
    struct state_key own_key = bidder_key(&book, &order->participant);
    struct auction_record record = {0};
    struct auction_bidder_record bidder = {0};
    (void)contract_read(call, &key, &auction_record_codec, &record);
    bool known = contract_read(call, &own_key, &auction_bidder_record_codec, &bidder);
    MUST(record.state == AUCTION_OPEN || call->view->fault);
    if (order->side == SIDE_BUY ? bidder.offers > 0 : bidder.requests > 0) {
        return CONTRACT_BOTH_SIDES;
    }
    if (order->side == SIDE_BUY && !buyer_fits(terms, &record, &order->participant)) {
        return CONTRACT_ONE_BUYER;
    }
    if (order->side == SIDE_SELL && !rank_fits(&bidder, order)) {
        return CONTRACT_BAD_RANK;
    }
    bool full = record.requests + record.offers >= bids_max(terms) ||
                (!known && agents_are_full(terms, &record));
    return full ? CONTRACT_BOOK_FULL : CONTRACT_OK;
}

static void count_pending(const struct contract_call *call, const struct name *market, bool more)
{
    struct auction_total_record total;
    auction_total_read(call, market, &total);
    MUST(more || total.pending > 0 || call->view->fault);
    total.pending = more ? total.pending + 1 : total.pending - 1;
    auction_total_write(call, market, &total);
}

static void count_offer(struct auction_bidder_record *bidder, const struct order_record *order)
{
    if (bidder->offers == 0) {
        bidder->rank = order->options.rank;
        bidder->before = energy_price_of(0);
        bidder->dearest = order->price;
    } else if (order->options.rank > bidder->rank) {
        bidder->rank = order->options.rank;
        bidder->before = bidder->dearest;
    }
    if (energy_price_compare(order->price, bidder->dearest) > 0) {
        bidder->dearest = order->price;
    }
    bidder->offers++;
}

void auction_entered(const struct contract_call *call, const struct order_record *order,
                     const struct market_create *terms)
{
    struct book_id book = book_of(order);
    struct state_key key = book_key(STATE_AUCTION, &book);
    struct state_key own_key = bidder_key(&book, &order->participant);
    struct auction_record record = {0};
    struct auction_bidder_record bidder = {0};
    if (!contract_read(call, &key, &auction_record_codec, &record)) {
        struct state_key due = due_key(order, terms);
        contract_write_index(call, &due);
        count_pending(call, &order->market, true);
    }
    bool known = contract_read(call, &own_key, &auction_bidder_record_codec, &bidder);
    record.agents += !known;
    if (order->side == SIDE_BUY) {
        bool one = terms->clearing.mechanism != MECHANISM_MERIT_ORDER;
        record.buyer = one ? order->participant : record.buyer;
        record.requests++;
        bidder.requests++;
    } else {
        record.offers++;
        count_offer(&bidder, order);
    }
    contract_write(call, &key, &auction_record_codec, &record);
    contract_write(call, &own_key, &auction_bidder_record_codec, &bidder);
}

/* False if it was the last of this participant's. */
static bool bidder_stays(const struct contract_call *call, const struct state_key *key,
                         const struct order_record *order)
{
    struct auction_bidder_record bidder;
    if (!book_read(call, key, &auction_bidder_record_codec, &bidder)) {
        return true;
    }
    uint32_t *side = order->side == SIDE_BUY ? &bidder.requests : &bidder.offers;
    MUST(*side > 0);
    (*side)--;
    if (bidder.requests + bidder.offers == 0) {
        contract_remove(call, key);
        return false;
    }
    contract_write(call, key, &auction_bidder_record_codec, &bidder);
    return true;
}

void auction_left(const struct contract_call *call, const struct order_record *order,
                  const struct market_create *terms)
{
    struct book_id book = book_of(order);
    struct state_key key = book_key(STATE_AUCTION, &book);
    struct state_key own_key = bidder_key(&book, &order->participant);
    bool stays = bidder_stays(call, &own_key, order);
    struct auction_record record;
    if (!book_read(call, &key, &auction_record_codec, &record) || record.state != AUCTION_OPEN) {
        return;
    }
    uint32_t *side = order->side == SIDE_BUY ? &record.requests : &record.offers;
    MUST(*side > 0 && record.agents > 0);
    (*side)--;
    record.agents -= !stays;
    if (record.requests == 0) {
        record.buyer = (struct name){{0}};
    }
    if (record.requests + record.offers > 0) {
        contract_write(call, &key, &auction_record_codec, &record);
        return;
    }
    struct state_key due = due_key(order, terms);
    contract_remove(call, &key);
    contract_remove(call, &due);
    count_pending(call, &order->market, false);
}

/* --- the gate ------------------------------------------------------------------------------- */

/* The bids that are still open are due from now on. */
static void expire_bids(const struct contract_call *call, const struct book_id *book,
                        const struct market_create *terms)
{
    struct state_key key = book_key(STATE_BOOK_SIZE, book);
    if (contract_exists(call, &key)) {
        book_gate_add(call, book, terms);
    }
}

static void store(struct contract_call *call, const struct book_id *book,
                  const struct auction_record *record)
{
    struct state_key key = book_key(STATE_AUCTION, book);
    contract_write(call, &key, &auction_record_codec, record);
}

static void report(struct contract_call *call, const struct book_id *book,
                   const struct auction_record *record)
{
    struct event_auction event = {.market = book->market,
                                  .period_start = book->period_start,
                                  .direction = book->direction,
                                  .auction = *record};
    contract_event(call, EVENT_AUCTION, &event);
}

static void count_cleared(const struct contract_call *call, const struct auction_record *record,
                          const struct name *market)
{
    struct auction_total_record total;
    auction_total_read(call, market, &total);
    MUST(total.pending > 0 || call->view->fault);
    total.pending--;
    total.cleared += record->state == AUCTION_CLEARED;
    if (!money_add(&total.reserve_used, total.reserve_used, record->reserve_used)) {
        total.reserve_used = money_of(INT64_MAX);
    }
    if (money_ueur(token_amount(call, pot_market_reserve(market))) == 0) {
        total.reserve_owner = (struct name){{0}};
    }
    auction_total_write(call, market, &total);
}

/* Nobody is bound to a delivery that has begun, or by a market that its operator has stopped. */
static bool may_clear(const struct contract_call *call, const struct book_id *book,
                      const struct market_record *market)
{
    return market->state == MARKET_OPEN &&
           timestamp_compare(call->context->time, book->period_start) < 0;
}

/* False if the block has no room left for it; then nothing has changed. */
static bool clear_auction(struct contract_call *call, const struct book_id *book)
{
    struct market_record market;
    struct auction_record record;
    struct auction_scratch *scratch = ledger_auction_scratch(call->ledger);
    struct state_key market_key = state_key_name(STATE_MARKET, &book->market);
    struct state_key key = book_key(STATE_AUCTION, book);
    if (!book_read(call, &market_key, &market_record_codec, &market) ||
        !book_read(call, &key, &auction_record_codec, &record)) {
        return false;
    }
    MUST(record.state == AUCTION_OPEN);
    scratch->count = 0;
    scratch->deal_count = 0;
    bool clears = may_clear(call, book, &market);
    struct grid *grid = ledger_grid(call->ledger);
    grid_open(call, grid, &market.terms, book->period_start, (enum direction)book->direction,
              GRID_UNPUBLISHED_IS_FREE);
    if (clears) {
        auction_load(call, scratch, book, &market.terms);
        auction_compute(call, scratch, &record, &market.terms);
        auction_plan(scratch, &record);
    }
    if (!auction_events_fit(call, scratch)) {
        grid_close(call, grid);
        return false;
    }
    record.state = clears ? AUCTION_CLEARED : AUCTION_VOID;
    record.height = call->context->height;
    record.version = market.version;
    store(call, book, &record);
    if (clears) {
        auction_settle(call, scratch, &record, &market);
        store(call, book, &record);
    }
    grid_close(call, grid);
    expire_bids(call, book, &market.terms);
    count_cleared(call, &record, &book->market);
    report(call, book, &record);
    return true;
}

void auction_clear_due(struct contract_call *call)
{
    struct state_key prefix = state_key_single(STATE_AUCTION_DUE);
    const uint64_t work_before = contract_work(call);
    for (uint32_t i = 0; i < AUCTIONS_PER_BLOCK_MAX; i++) {
        struct state_key key;
        struct bytes_view value;
        struct timestamp gate;
        if (contract_work(call) - work_before > AUCTION_WORK_MAX ||
            !contract_next(call, book_key_view(&prefix), bytes_view_of(NULL, 0), &key, &value)) {
            return;
        }
        struct book_id book = book_of_due(&key, &gate);
        if (timestamp_compare(call->context->time, gate) < 0 || !clear_auction(call, &book)) {
            return;
        }
        contract_remove(call, &key);
    }
}
