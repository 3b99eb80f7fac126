/* From an auction's result to deals and money (market-rules 3, 5 and 6; D2.3 4.2.3; docs/spec/auctions.md 7
 * and 8).
 *
 * Accepted bids and asks are paired first with first, each side in its priority. A deal is worth an amount:
 * its share of what its seller gets for everything that it delivers. Shares are running floors: with A the
 * whole and w the weights, the n-th deal gets floor(A (w1 + .. + wn) / W) - floor(A (w1 + .. + wn-1) / W),
 * so they add up to A and each is within one micro-euro of its own part. A seller's weights are the deals'
 * values where the payment has prices, else their quantities; a buyer's are what its deals' sellers get, so
 * that it covers all of them or none.
 *
 * Invariants:
 * 1. Escrows + what is given at once + what the fee pool gains = what the buyers pay + what the reserve
 *    adds.
 * 2. A deal's escrow covers its seller's whole amount. What is over is the buyer's until the energy has
 *    been delivered; what others added goes back to them if it is not.
 * 3. A buyer's pots, one for each of its requests, cover what it pays; the rest is free at once.
 * A fault of the view answers "absent" to everything; code here then gives up quietly.
 *
 * Deliberately absent: what happens to a deal afterwards (deal.c, settlement.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/auction_internal.h"
#include "contracts/coupled.h"
#include "contracts/deal.h"

enum { NEUR_PER_UEUR = 1000 };

/* --- pairs ---------------------------------------------------------------------------------- */

static bool better(const struct auction_bid *x, const struct auction_bid *y)
{
    return x->buys ? x->price > y->price : x->price < y->price;
}

/* The priority of clear_index: a buyer's ranks, then price, then time. Ranks are 0 but in ordered demand,
 * where all bids are one buyer's. */
static bool priority_before(const void *context, uint32_t a, uint32_t b)
{
    const struct auction_bid *bids = context;
    const struct auction_bid *x = &bids[a];
    const struct auction_bid *y = &bids[b];
    if (x->buys && x->rank != y->rank) {
        return x->rank < y->rank;
    }
    return x->price != y->price ? better(x, y) : a < b;
}

static uint32_t accepted_side(const struct auction_scratch *scratch, uint32_t *out, bool buys)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < scratch->count; i++) {
        if (scratch->bids[i].buys == buys && scratch->accepted[i] > 0) {
            out[count++] = i;
        }
    }
    call_sort(out, count, priority_before, scratch->bids);
    return count;
}

static void pair(struct auction_scratch *scratch)
{
    uint32_t i = 0;
    uint32_t j = 0;
    int64_t buy_done = 0;
    int64_t sell_done = 0;
    scratch->buy_count = accepted_side(scratch, scratch->buys, true);
    scratch->sell_count = accepted_side(scratch, scratch->sells, false);
    scratch->deal_count = 0;
    while (i < scratch->buy_count && j < scratch->sell_count) {
        int64_t buy_rest = scratch->accepted[scratch->buys[i]] - buy_done;
        int64_t sell_rest = scratch->accepted[scratch->sells[j]] - sell_done;
        int64_t step = buy_rest < sell_rest ? buy_rest : sell_rest;
        MUST(step > 0 && scratch->deal_count < AUCTION_BIDS_MAX);
        scratch->deals[scratch->deal_count++] = (struct auction_deal){
            .buy = scratch->buys[i], .sell = scratch->sells[j], .quantity = step};
        buy_done += step;
        sell_done += step;
        if (step == buy_rest) {
            i++;
            buy_done = 0;
        }
        if (step == sell_rest) {
            j++;
            sell_done = 0;
        }
    }
    MUST(i == scratch->buy_count && j == scratch->sell_count && buy_done == 0 && sell_done == 0);
}

/* --- shares --------------------------------------------------------------------------------- */

static struct auction_agent *agent_of(struct auction_scratch *scratch, uint32_t bid)
{
    return &scratch->agents[scratch->bids[bid].agent];
}

/* The next running floor of `amount` by weight; the caller has added up the agent's weights. */
static int64_t next_share(struct auction_agent *agent, int64_t amount, int64_t weight)
{
    MUST(amount >= 0 && weight >= 0 && weight <= agent->weight - agent->weight_done);
    if (agent->weight == 0) {
        MUST(amount == 0);
        return 0;
    }
    int128 before = div_floor_i128(product_i128(amount, agent->weight_done), agent->weight);
    agent->weight_done += weight;
    int128 after = div_floor_i128(product_i128(amount, agent->weight_done), agent->weight);
    return (int64_t)(after - before);
}

static void forget_weights(struct auction_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->agent_count; i++) {
        scratch->agents[i].weight = 0;
        scratch->agents[i].weight_done = 0;
        scratch->agents[i].neur_done = 0;
    }
}

/* By price where the payment has one: the deal's own value in neur, floored as a running sum. */
static int64_t priced_share(const struct auction_scratch *scratch, struct auction_agent *agent,
                            const struct auction_deal *deal, enum market_payment payment)
{
    int64_t price =
        payment == PAYMENT_UNIFORM ? scratch->price.price : scratch->bids[deal->sell].price;
    int128 before = div_floor_i128(agent->neur_done, NEUR_PER_UEUR);
    agent->neur_done += product_i128(price, deal->quantity);
    return (int64_t)(div_floor_i128(agent->neur_done, NEUR_PER_UEUR) - before);
}

static void share_among_sellers(struct auction_scratch *scratch, enum market_payment payment)
{
    bool priced = payment == PAYMENT_UNIFORM || payment == PAYMENT_PAY_AS_BID;
    forget_weights(scratch);
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        struct auction_agent *seller = agent_of(scratch, scratch->deals[i].sell);
        seller->weight += scratch->deals[i].quantity;
        seller->sells = true;
    }
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        struct auction_deal *deal = &scratch->deals[i];
        struct auction_agent *seller = agent_of(scratch, deal->sell);
        deal->sold = priced ? priced_share(scratch, seller, deal, payment)
                            : next_share(seller, seller->receives, deal->quantity);
        MUST(deal->sold >= 0);
    }
}

/* A buyer whose sellers get nothing at all shares by quantity. */
static void share_among_buyers(struct auction_scratch *scratch)
{
    forget_weights(scratch);
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        agent_of(scratch, scratch->deals[i].buy)->weight += scratch->deals[i].sold;
    }
    for (uint32_t i = 0; i < scratch->agent_count; i++) {
        scratch->agents[i].neur_done = scratch->agents[i].weight == 0; /* by quantity */
    }
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        struct auction_agent *buyer = agent_of(scratch, scratch->deals[i].buy);
        buyer->weight += buyer->neur_done != 0 ? scratch->deals[i].quantity : 0;
    }
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        struct auction_deal *deal = &scratch->deals[i];
        struct auction_agent *buyer = agent_of(scratch, deal->buy);
        int64_t amount = buyer->receives < 0 ? -buyer->receives : 0;
        deal->bought =
            next_share(buyer, amount, buyer->neur_done != 0 ? deal->quantity : deal->sold);
    }
}

/* What is over once every seller is sure of its amount stays with the deals whose buyers paid more than
 * their sellers get, in proportion, until they are delivered; fractions go to the pool. */
struct money auction_keep_surplus(struct auction_scratch *scratch, int128 net)
{
    int128 over = 0;
    int128 kept = 0;
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        const struct auction_deal *deal = &scratch->deals[i];
        over += deal->bought > deal->sold ? deal->bought - deal->sold : 0;
    }
    for (uint32_t i = 0; i < scratch->deal_count && net > 0; i++) {
        struct auction_deal *deal = &scratch->deals[i];
        if (deal->bought > deal->sold) {
            MUST(net <= over);
            /* Both factors are at most all the money there is, under 2^63. */
            deal->kept = (int64_t)div_floor_i128((deal->bought - deal->sold) * net, over);
            kept += deal->kept;
        }
    }
    int64_t pool;
    MUST(checked_narrow_i64(&pool, net > 0 ? net - kept : (int128)0) && pool >= 0);
    return money_of(pool);
}

int64_t auction_average_price(const struct auction_deal *plan)
{
    int64_t average;
    if (!checked_narrow_i64(
            &average, div_floor_i128(product_i128(plan->sold, NEUR_PER_UEUR), plan->quantity))) {
        average = INT64_MAX;
    }
    return average;
}

static int64_t price_of(const struct auction_scratch *scratch, const struct auction_deal *plan,
                        enum market_payment payment)
{
    switch (payment) {
    case PAYMENT_UNIFORM:
        return scratch->price.price;
    case PAYMENT_PAY_AS_BID:
        return scratch->bids[plan->sell].price;
    case PAYMENT_VCG:
    case PAYMENT_SELLER_VCG:
    case PAYMENT_SHAPLEY:
        break;
    }
    return auction_average_price(plan);
}

void auction_plan(struct auction_scratch *scratch, struct auction_record *record)
{
    int128 bought = 0;
    int128 sold = 0;
    int128 given = 0;
    pair(scratch);
    share_among_sellers(scratch, (enum market_payment)record->payment);
    share_among_buyers(scratch);
    for (uint32_t i = 0; i < scratch->agent_count; i++) {
        const struct auction_agent *agent = &scratch->agents[i];
        bought += agent->receives < 0 ? -agent->receives : 0;
        sold += agent->sells ? agent->receives : 0;
        given += agent->receives > 0 && !agent->sells ? agent->receives : 0;
    }
    int128 dealt = 0;
    int128 paid = 0;
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        dealt += scratch->deals[i].sold;
        paid += scratch->deals[i].bought;
    }
    MUST(dealt == sold && paid == bought);
    int128 net = bought - sold - given;
    record->pool = auction_keep_surplus(scratch, net);
    int64_t narrow[3];
    MUST(checked_narrow_i64(&narrow[0], bought) && checked_narrow_i64(&narrow[1], sold) &&
         checked_narrow_i64(&narrow[2], given));
    record->bought = money_of(narrow[0]);
    record->sold = money_of(narrow[1]);
    record->given = money_of(narrow[2]);
    record->reserve_used = money_of(net < 0 ? (int64_t)-net : 0);
    record->deals = scratch->deal_count;
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        scratch->deals[i].price =
            price_of(scratch, &scratch->deals[i], (enum market_payment)record->payment);
    }
}

/* Says whom the grid cut, as far as a call would (contracts/book_grid.c). */
static void tell_cuts(struct contract_call *call, const struct auction_scratch *scratch)
{
    uint32_t told = 0;
    for (uint32_t i = 0; i < scratch->count && told < BOOK_GRID_EVENTS_MAX; i++) {
        const struct auction_bid *bid = &scratch->bids[i];
        if (bid->quantity < bid->open) {
            book_grid_tell(call, ledger_grid(call->ledger), bid->id, bid->limiter,
                           energy_of(bid->open), energy_of(bid->quantity));
            told++;
        }
    }
}

bool auction_events_fit(const struct contract_call *call, const struct auction_scratch *scratch)
{
    size_t need = (size_t)scratch->deal_count * BOOK_TRADE_EVENT_BYTES +
                  (size_t)scratch->count * 2 * BOOK_END_EVENT_BYTES + CONTRACT_EVENT_BYTES_MAX +
                  (size_t)BOOK_GRID_EVENTS_MAX * BOOK_GRID_EVENT_BYTES + BOOK_EVENTS_RESERVE;
    return contract_event_room(call) >= need;
}

/* --- money and orders ----------------------------------------------------------------------- */

/* A request is over: what it locked is free, and what was accepted of it is paid from there. */
void auction_end_request(struct contract_call *call, const struct auction_scratch *scratch,
                         uint32_t at, const struct market_create *terms)
{
    uint64_t id = scratch->bids[at].id;
    struct order_record order;
    if (!book_read_order(call, id, &order)) {
        return;
    }
    MUST(money_compare(order.held, book_escrow(order.price, order.open)) == 0);
    book_move(call, purse_of_order(id, &order), purse_of_balance(&order.participant), order.held);
    book_share_moves(call, &order, order.open, energy_of(0));
    MUST(energy_sub(&order.open, order.open, energy_of(scratch->accepted[at])));
    bool filled = energy_wh(order.open) == 0;
    MUST(energy_wh(order.open) >= 0);
    book_leave(call, id, &order, terms, filled ? ORDER_FILLED : ORDER_EXPIRED);
}

/* After its deals, so that whoever reads the events knows by then what was left to expire. */
void auction_tell_expired(struct contract_call *call, const struct auction_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->buy_count; i++) {
        uint32_t at = scratch->buys[i];
        if (scratch->accepted[at] < scratch->bids[at].open) {
            struct event_order_ended event = {.id = scratch->bids[at].id};
            contract_event(call, EVENT_ORDER_EXPIRED, &event);
        }
    }
}

/* Fills a deal's escrow: the buyer's part first, what it lacks from the pool, where what other buyers paid
 * beyond their deals, and the reserve, have gone before. */
static void fund(struct contract_call *call, uint64_t id, const struct auction_deal *plan,
                 struct deal_record *deal)
{
    int64_t escrow = plan->sold + plan->kept;
    int64_t own = plan->bought < escrow ? plan->bought : escrow;
    deal->escrow = money_of(escrow);
    deal->payment = money_of(plan->sold);
    deal->added = money_of(escrow - own);
    book_move(call, purse_of_balance(&deal->buyer), purse_of_deal(id, deal), money_of(own));
    book_move(call, purse_of_pot(pot_fees()), purse_of_deal(id, deal), deal->added);
}

void auction_make_deal(struct contract_call *call, const struct auction_scratch *scratch,
                       const struct auction_deal *plan, const struct market_record *market)
{
    uint64_t sell_id = scratch->bids[plan->sell].id;
    const struct auction_bid *buy = &scratch->bids[plan->buy];
    struct order_record sell;
    struct book_times times;
    struct energy rest;
    if (!book_read_order(call, sell_id, &sell)) {
        return;
    }
    MUST(name_compare(&buy->participant, &sell.participant) != 0);
    MUST(energy_sub(&rest, sell.open, energy_of(plan->quantity)) && energy_wh(rest) >= 0);
    MUST(book_times_of(&times, &market->terms, sell.period_start));
    uint64_t id = book_next_deal_id(call);
    struct event_deal event = {
        .id = id,
        .deal = {.market = sell.market,
                 .direction = sell.direction,
                 .state = DEAL_MATCHED,
                 .buyer = buy->participant,
                 .seller = sell.participant,
                 .device = sell.device,
                 .buy_order = buy->id,
                 .sell_order = sell_id,
                 .period_start = sell.period_start,
                 .contracted = energy_of(plan->quantity),
                 .price = energy_price_of(plan->price),
                 .schedule_hash = sell.schedule_hash,
                 .matched_height = call->context->height,
                 .proof_deadline = times.proof,
                 .version = market->version,
                 .reservation = sell.reservation,
                 .basis = DEAL_BY_AMOUNT},
    };
    fund(call, id, plan, &event.deal);
    book_fund_deposit(call, sell_id, &sell, &event, rest);
    book_keep_rest(call, sell_id, &sell, &market->terms, rest);
    if (!market_is_coupled(&market->terms)) {
        grid_sell(ledger_grid(call->ledger), scratch->bids[plan->sell].place,
                  energy_of(plan->quantity));
    }
    struct state_key key = state_key_u64(STATE_DEAL, id);
    contract_write(call, &key, &deal_record_codec, &event.deal);
    struct deadline deadline = deal_deadline(&event);
    deadline_add(call, &deadline);
    contract_event(call, EVENT_DEAL_MATCHED, &event);
}

/* Into the pool what buyers pay beyond their own deals, and what the reserve adds: from there the other
 * deals are filled, and whoever sells nothing is given its share. */
void auction_collect(struct contract_call *call, const struct auction_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        const struct auction_deal *plan = &scratch->deals[i];
        int64_t beyond = plan->bought - plan->sold - plan->kept;
        if (beyond > 0) {
            book_move(call, purse_of_balance(&scratch->bids[plan->buy].participant),
                      purse_of_pot(pot_fees()), money_of(beyond));
        }
    }
}

void auction_settle(struct contract_call *call, struct auction_scratch *scratch,
                    struct auction_record *record, const struct market_record *market)
{
    struct counters_record counters = {0};
    struct state_key key = state_key_single(STATE_COUNTERS);
    if (!book_read(call, &key, &counters_record_codec, &counters)) {
        return;
    }
    tell_cuts(call, scratch);
    record->first_deal = scratch->deal_count > 0 ? counters.deals + 1 : 0;
    for (uint32_t i = 0; i < scratch->buy_count; i++) {
        auction_end_request(call, scratch, scratch->buys[i], &market->terms);
    }
    auction_collect(call, scratch);
    book_move(call, purse_of_pot(pot_market_reserve(&market->terms.id)), purse_of_pot(pot_fees()),
              record->reserve_used);
    for (uint32_t i = 0; i < scratch->deal_count; i++) {
        auction_make_deal(call, scratch, &scratch->deals[i], market);
    }
    auction_tell_expired(call, scratch);
    for (uint32_t i = 0; i < scratch->agent_count; i++) {
        const struct auction_agent *agent = &scratch->agents[i];
        if (agent->receives > 0 && !agent->sells) {
            book_move(call, purse_of_pot(pot_fees()),
                      purse_of_balance(&scratch->bids[agent->bid].participant),
                      money_of(agent->receives));
        }
    }
}
