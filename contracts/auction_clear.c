/* What an auction comes to: who trades how much and what each agent pays (market-rules 5 and 6; D2.3 3.4;
 * docs/spec/auctions.md 4 to 6). All of it is what contracts/clear.h and clear_pay.h compute, asked twice:
 * quantities in whole steps of the market, so that everything accepted splits over the period's units;
 * payments over the same bids in Wh, so that sums are exact in neur.
 *
 * Invariants:
 * 1. The result is a function of bids, terms, reserve and the parent block's id; the order in which the
 *    bids of one block stood there is not in it.
 * 2. Nobody pays over its bid or gets less than its ask, and a deficit is covered: where the market's
 *    payment rule would break that, another one is paid and the record says why.
 * 3. Steps of arithmetic are bounded before they are taken, and count as work.
 *
 * Deliberately absent: deals, orders, money (auction_deal.c). */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/auction_internal.h"

enum { NEUR_PER_UEUR = 1000, ARENA_SPARE_AGENTS = CLEAR_SHAPLEY_AGENTS_EXACT };

/* The larger of what an auction of the most bids asks for and what the most agents of an exact game do. */
static size_t arena_bytes(void)
{
    struct clear_problem wide = {
        .bid_count = AUCTION_BIDS_MAX, .agent_count = AUCTION_BIDS_MAX, .slot_count = 1};
    struct clear_problem deep = {
        .bid_count = AUCTION_BIDS_MAX, .agent_count = ARENA_SPARE_AGENTS, .slot_count = 1};
    size_t a = clear_arena_bytes(&wide);
    size_t b = clear_arena_bytes(&deep);
    return a > b ? a : b;
}

struct auction_scratch *auction_scratch_create(void)
{
    struct auction_scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL) {
        return NULL;
    }
    scratch->arena_size = arena_bytes();
    scratch->arena = malloc(scratch->arena_size);
    if (scratch->arena == NULL) {
        free(scratch);
        return NULL;
    }
    return scratch;
}

void auction_scratch_destroy(struct auction_scratch *scratch)
{
    if (scratch != NULL) {
        free(scratch->arena);
    }
    free(scratch);
}

/* --- loading -------------------------------------------------------------------------------- */

static bool time_before(const void *context, uint32_t a, uint32_t b)
{
    const struct auction_bid *bids = context;
    const struct auction_bid *x = &bids[a];
    const struct auction_bid *y = &bids[b];
    if (x->height != y->height) {
        return x->height < y->height;
    }
    return x->tie != y->tie ? x->tie < y->tie : x->id < y->id;
}

static bool name_before(const void *context, uint32_t a, uint32_t b)
{
    const struct auction_bid *bids = context;
    int compared = name_compare(&bids[a].participant, &bids[b].participant);
    return compared != 0 ? compared < 0 : a < b;
}

static void load_side(struct contract_call *call, struct auction_scratch *scratch,
                      const struct book_id *book, const struct market_create *terms, uint8_t side)
{
    struct state_key at = {.size = 0};
    for (uint32_t i = 0; i < LIMIT_OPEN_ORDERS_PER_BOOK; i++) {
        struct order_record order;
        if (!book_side_next(call, book, side, &at) ||
            !book_read_order(call, book_index_order(&at), &order)) {
            return;
        }
        if (!book_may_trade(call, &order, terms)) {
            continue;
        }
        MUST(scratch->count < AUCTION_BIDS_MAX);
        scratch->bids[scratch->count++] = (struct auction_bid){
            .id = book_index_order(&at),
            .participant = order.participant,
            .height = order.height,
            .tie = order.tie,
            .rank = order.options.rank,
            .buys = side == SIDE_BUY,
            .whole = order.options.indivisible != 0,
            .price = energy_price_ueur_per_kwh(order.price),
            .quantity = energy_wh(order.open),
            .open = energy_wh(order.open),
            .place = book_grid_place(call, ledger_grid(call->ledger), terms, &order),
            .limiter = GRID_PLACE_NONE,
            .least = energy_wh(order.options.min_quantity),
        };
    }
}

/* Into the order of time, in place: index[i] is where the i-th bid stands; each cycle is walked once. */
void auction_sort_bids(struct auction_scratch *scratch)
{
    uint32_t *index = scratch->index;
    for (uint32_t i = 0; i < scratch->count; i++) {
        index[i] = i;
    }
    call_sort(index, scratch->count, time_before, scratch->bids);
    for (uint32_t start = 0; start < scratch->count; start++) {
        struct auction_bid kept = scratch->bids[start];
        uint32_t at = start;
        while (index[at] != start && index[at] != at) {
            uint32_t from = index[at];
            scratch->bids[at] = scratch->bids[from];
            index[at] = at;
            at = from;
        }
        if (index[at] == start) {
            scratch->bids[at] = kept;
            index[at] = at;
        }
    }
}

/* Agents are numbered as they first appear. */
void auction_number_agents(struct auction_scratch *scratch)
{
    uint32_t *index = scratch->index;
    for (uint32_t i = 0; i < scratch->count; i++) {
        index[i] = i;
    }
    call_sort(index, scratch->count, name_before, scratch->bids);
    for (uint32_t i = 0; i < scratch->count; i++) {
        struct auction_bid *bid = &scratch->bids[index[i]];
        const struct auction_bid *before = i == 0 ? NULL : &scratch->bids[index[i - 1]];
        bool same = before != NULL && name_compare(&before->participant, &bid->participant) == 0;
        bid->agent = same ? before->agent : index[i]; /* the place of its first bid */
    }
    scratch->agent_count = 0;
    for (uint32_t i = 0; i < scratch->count; i++) {
        struct auction_bid *bid = &scratch->bids[i];
        bool first = bid->agent == i;
        MUST(first || bid->agent < i);
        bid->agent = first ? scratch->agent_count : scratch->bids[bid->agent].agent;
        if (first) {
            scratch->agents[scratch->agent_count++] =
                (struct auction_agent){.bid = i, .buys = bid->buys};
        }
    }
}

static bool cheaper_before(const void *context, uint32_t a, uint32_t b)
{
    const struct auction_bid *bids = context;
    return bids[a].price != bids[b].price ? bids[a].price < bids[b].price : a < b;
}

static struct energy least_of(const struct auction_bid *bid)
{
    return energy_of(bid->whole ? bid->quantity : bid->least);
}

/* The most that any offer can sell: all that is asked for. */
static struct energy requested(const struct auction_scratch *scratch)
{
    struct energy sum = energy_of(0);
    for (uint32_t i = 0; i < scratch->count; i++) {
        if (scratch->bids[i].buys) {
            MUST(energy_add(&sum, sum, energy_of(scratch->bids[i].quantity)));
        }
    }
    return sum;
}

/* Offers take their room in the grid in their priority: what no node could carry is not offered. An offer
 * that gets none stays among the bids with nothing to sell. One that sells only more
 * than is asked for takes no room: a cheap one that cannot trade would else keep others from trading. */
static void admit_offers(struct contract_call *call, struct auction_scratch *scratch)
{
    struct energy most = requested(scratch);
    uint32_t count = 0;
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct auction_bid *bid = &scratch->bids[i];
        if (!bid->buys && bid->place != GRID_PLACE_NONE &&
            energy_compare(least_of(bid), most) <= 0) {
            scratch->index[count++] = i;
        }
    }
    call_sort(scratch->index, count, cheaper_before, scratch->bids);
    for (uint32_t i = 0; i < count; i++) {
        struct auction_bid *bid = &scratch->bids[scratch->index[i]];
        bid->quantity = energy_wh(grid_admit(call, ledger_grid(call->ledger), bid->place,
                                             energy_of(bid->open), least_of(bid), &bid->limiter));
        bid->least = bid->quantity == 0 ? 0 : bid->least;
    }
    grid_forget(ledger_grid(call->ledger));
}

void auction_load(struct contract_call *call, struct auction_scratch *scratch,
                  const struct book_id *book, const struct market_create *terms)
{
    scratch->count = 0;
    load_side(call, scratch, book, terms, SIDE_BUY);
    load_side(call, scratch, book, terms, SIDE_SELL);
    auction_sort_bids(scratch);
    auction_number_agents(scratch);
    admit_offers(call, scratch);
}

/* --- the problem ---------------------------------------------------------------------------- */

static enum clear_mechanism mechanism_of(const struct market_create *terms)
{
    switch ((enum market_mechanism)terms->clearing.mechanism) {
    case MECHANISM_MERIT_ORDER:
        return CLEAR_MERIT_ORDER;
    case MECHANISM_ORDERED_DEMAND:
        return CLEAR_ORDERED_DEMAND;
    case MECHANISM_ONE_SIDED:
        return CLEAR_ONE_SIDED;
    case MECHANISM_BOOK_BATCH:
    case MECHANISM_BOOK_SEQUENTIAL:
    case MECHANISM_CAPACITY:
    case MECHANISM_COUPLED:
        break;
    }
    MUST(false);
    return CLEAR_MERIT_ORDER;
}

static enum clear_payment payment_of(uint8_t payment)
{
    switch ((enum market_payment)payment) {
    case PAYMENT_UNIFORM:
        return CLEAR_PAY_UNIFORM;
    case PAYMENT_PAY_AS_BID:
        return CLEAR_PAY_AS_BID;
    case PAYMENT_VCG:
        return CLEAR_PAY_VCG;
    case PAYMENT_SELLER_VCG:
        return CLEAR_PAY_VCG_SELLERS;
    case PAYMENT_SHAPLEY:
        return CLEAR_PAY_SHAPLEY;
    }
    MUST(false);
    return CLEAR_PAY_AS_BID;
}

/* The auction's bids as clearing takes them, with quantities in units of `step` Wh. */
static struct clear_problem make_problem(struct auction_scratch *scratch,
                                         const struct market_create *terms, int64_t step)
{
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct auction_bid *bid = &scratch->bids[i];
        MUST(bid->quantity % step == 0 && bid->least % step == 0);
        scratch->problem_bids[i] = (struct clear_bid){
            .quantity = bid->quantity / step,
            .price = bid->price,
            .min_quantity = bid->least / step,
            .agent = bid->agent,
            .order = bid->rank,
            .node = CLEAR_NODE_NONE,
            .kind = CLEAR_LIMIT,
            .buy = bid->buys,
            .indivisible = bid->whole,
        };
    }
    return (struct clear_problem){
        .mechanism = mechanism_of(terms),
        .tie = terms->clearing.tie == TIE_TIME ? CALL_TIE_TIME : CALL_TIE_PRO_RATA,
        .search_steps = auction_search_steps_max,
        .bid_count = scratch->count,
        .agent_count = scratch->agent_count,
        .slot_count = 1,
        .bids = scratch->problem_bids,
    };
}

static struct clear_arena arena_of(struct auction_scratch *scratch)
{
    return (struct clear_arena){.bytes = scratch->arena, .size = scratch->arena_size};
}

/* --- work ----------------------------------------------------------------------------------- */

static bool needs_search(const struct auction_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->count; i++) {
        if (scratch->bids[i].whole || scratch->bids[i].least > 0) {
            return true;
        }
    }
    return false;
}

/* The most steps that the auction's arithmetic can take, as if all of them were taken. */
static uint64_t steps_of(const struct auction_scratch *scratch, enum clear_payment payment)
{
    enum { STEPS_PER_BID = 64 }; /* sorts of 2^14 bids, a few passes */
    uint64_t bids = scratch->count;
    uint64_t agents = scratch->agent_count;
    uint64_t searched = needs_search(scratch) ? auction_search_steps_max : 0;
    uint64_t steps = bids * STEPS_PER_BID + searched;
    switch (payment) {
    case CLEAR_PAY_AS_BID:
    case CLEAR_PAY_UNIFORM:
        return steps;
    case CLEAR_PAY_VCG:
    case CLEAR_PAY_VCG_SELLERS:
        return steps + agents * bids + searched;
    case CLEAR_PAY_SHAPLEY:
        return steps + searched +
               (agents <= CLEAR_SHAPLEY_AGENTS_EXACT ? (uint64_t)1 << agents
                                                     : (uint64_t)CLEAR_PERMUTATIONS * agents) *
                   (bids + 1);
    case CLEAR_PAYMENT_COUNT:
        break;
    }
    MUST(false);
    return steps;
}

/* Bids were admitted under the terms of their moment; a vote may have changed the payment since. */
static bool within_limits(const struct auction_scratch *scratch, const struct market_create *terms,
                          enum clear_payment payment)
{
    switch (payment) {
    case CLEAR_PAY_AS_BID:
    case CLEAR_PAY_UNIFORM:
        return true;
    case CLEAR_PAY_VCG:
    case CLEAR_PAY_VCG_SELLERS:
        return scratch->count <= AUCTION_BIDS_MAX_VCG;
    case CLEAR_PAY_SHAPLEY:
        return scratch->count <= AUCTION_BIDS_MAX_SHAPLEY &&
               (terms->clearing.mechanism != MECHANISM_ONE_SIDED ||
                scratch->agent_count <= CLEAR_SHAPLEY_AGENTS_EXACT);
    case CLEAR_PAYMENT_COUNT:
        break;
    }
    MUST(false);
    return false;
}

/* --- quantities ----------------------------------------------------------------------------- */

static int64_t narrow(int128 value)
{
    int64_t out;
    MUST(checked_narrow_i64(&out, value));
    return out;
}

/* Floor of neur in ueur, and what is over. */
static struct money ueur_floor(int128 neur)
{
    return money_of(narrow(div_floor_i128(neur, NEUR_PER_UEUR)));
}

static struct money ueur_ceil(int128 neur)
{
    return money_of(narrow(div_ceil_i128(neur, NEUR_PER_UEUR)));
}

static void allocate(struct auction_scratch *scratch, struct auction_record *record,
                     const struct market_create *terms)
{
    int64_t step = energy_wh(terms->limits.quantity_step);
    struct clear_problem problem = make_problem(scratch, terms, step);
    struct clear_arena arena = arena_of(scratch);
    struct clear_fault fault;
    struct clear_result result;
    MUST(clear_check(&problem, &fault, &arena));
    MUST(clear_run(&result, &problem, &arena));
    for (uint32_t i = 0; i < scratch->count; i++) {
        scratch->accepted[i] = result.accepted[i] * step;
    }
    scratch->price = (struct clear_slot_price){0};
    if (result.prices != NULL) {
        scratch->price = result.prices[0];
    }
    int128 welfare = result.welfare * step;
    record->agents = scratch->agent_count;
    record->quantity = energy_of(narrow(result.quantity * step));
    record->priced = scratch->price.traded;
    record->price = energy_price_of(scratch->price.price);
    record->price_lower = energy_price_of(scratch->price.lower);
    record->price_upper = energy_price_of(scratch->price.upper);
    record->welfare = ueur_floor(welfare);
    record->welfare_neur =
        (uint16_t)(welfare - (int128)money_ueur(record->welfare) * NEUR_PER_UEUR);
    record->proven = result.proven;
    if (!result.proven) {
        record->bound_quantity = energy_of(narrow(result.bound_quantity * step));
        record->bound_welfare = ueur_ceil(result.bound_welfare * step);
    }
}

/* --- payments ------------------------------------------------------------------------------- */

/* Whether everybody is at least as well off as by its own bids: a buyer pays its utility at most, a seller
 * gets its cost at least, and who trades nothing pays nothing. */
static bool is_rational(struct auction_scratch *scratch)
{
    for (uint32_t agent = 0; agent < scratch->agent_count; agent++) {
        scratch->agents[agent].neur_done = 0;
    }
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct auction_bid *bid = &scratch->bids[i];
        int128 value = product_i128(bid->price, scratch->accepted[i]);
        scratch->agents[bid->agent].neur_done += bid->buys ? -value : value;
    }
    for (uint32_t agent = 0; agent < scratch->agent_count; agent++) {
        int128 least = div_floor_i128(scratch->agents[agent].neur_done, NEUR_PER_UEUR);
        if (scratch->agent_ueur[agent] < least) {
            return false;
        }
    }
    return true;
}

static enum market_payment paid_by(enum clear_payment payment)
{
    switch (payment) {
    case CLEAR_PAY_AS_BID:
        return PAYMENT_PAY_AS_BID;
    case CLEAR_PAY_UNIFORM:
        return PAYMENT_UNIFORM;
    case CLEAR_PAY_VCG:
        return PAYMENT_VCG;
    case CLEAR_PAY_VCG_SELLERS:
        return PAYMENT_SELLER_VCG;
    case CLEAR_PAY_SHAPLEY:
        return PAYMENT_SHAPLEY;
    case CLEAR_PAYMENT_COUNT:
        break;
    }
    MUST(false);
    return PAYMENT_PAY_AS_BID;
}

/* Pays by one rule; says what stands against it, or NONE. */
static enum auction_fallback try_payment(const struct contract_call *call,
                                         struct auction_scratch *scratch,
                                         struct auction_record *record,
                                         const struct market_create *terms,
                                         enum clear_payment payment)
{
    struct clear_problem problem = make_problem(scratch, terms, 1);
    struct clear_arena arena = arena_of(scratch);
    struct clear_result cleared = {
        .accepted = scratch->accepted,
        .prices = terms->clearing.mechanism == MECHANISM_MERIT_ORDER ? &scratch->price : NULL};
    struct clear_payment_result paid;
    struct clear_fault fault;
    if (!within_limits(scratch, terms, payment)) {
        return AUCTION_FALLBACK_LIMITS;
    }
    MUST(clear_pay_check(&problem, payment, true, &fault, &arena));
    if (!clear_pay(&paid, &problem, &cleared, payment, call->context->parent_id.bytes, &arena)) {
        return AUCTION_FALLBACK_LIMITS;
    }
    memcpy(scratch->agent_ueur, paid.agent_ueur,
           scratch->agent_count * sizeof scratch->agent_ueur[0]);
    record->payment = (uint8_t)paid_by(paid.paid);
    record->estimated = paid.estimated;
    record->error = paid.estimated ? ueur_ceil(paid.error_neur) : money_of(0);
    record->seed = paid.estimated ? call->context->parent_id : (struct hash){{0}};
    if (paid.fell_back) {
        return AUCTION_FALLBACK_UTILITY;
    }
    if (!is_rational(scratch)) {
        return AUCTION_FALLBACK_RATIONAL;
    }
    MUST(payment == CLEAR_PAY_VCG || paid.balance_ueur <= 0);
    int64_t reserve = money_ueur(auction_reserve_of(call, terms));
    return paid.balance_ueur > reserve ? AUCTION_FALLBACK_RESERVE : AUCTION_FALLBACK_NONE;
}

void auction_compute(const struct contract_call *call, struct auction_scratch *scratch,
                     struct auction_record *record, const struct market_create *terms)
{
    enum clear_payment payment = payment_of(terms->clearing.payment);
    uint64_t steps = within_limits(scratch, terms, payment) ? steps_of(scratch, payment)
                                                            : steps_of(scratch, CLEAR_PAY_AS_BID);
    contract_spend(call, steps / AUCTION_STEPS_PER_WORK);
    allocate(scratch, record, terms);
    enum auction_fallback fallback = try_payment(call, scratch, record, terms, payment);
    record->fallback = (uint8_t)fallback;
    if (fallback != AUCTION_FALLBACK_NONE) {
        enum clear_payment other = terms->clearing.mechanism == MECHANISM_MERIT_ORDER
                                       ? CLEAR_PAY_UNIFORM
                                       : CLEAR_PAY_AS_BID;
        MUST(try_payment(call, scratch, record, terms, other) == AUCTION_FALLBACK_NONE);
    }
    for (uint32_t agent = 0; agent < scratch->agent_count; agent++) {
        scratch->agents[agent].receives = narrow(scratch->agent_ueur[agent]);
    }
}
