/* Coupled auctions on the ledger: portfolios, from placing them to taking them back
 * (contracts/coupled.h; market-rules 7; docs/spec/coupled.md 12).
 *
 * Invariants:
 * 1. A portfolio's bids are orders with consecutive numbers, all of one auction; they enter together and,
 *    before their gate, leave together.
 * 2. What links them was found to be a problem by itself that taking nothing solves, by the code that
 *    solves the auction; so links never make an auction impossible.
 * 3. An auction that takes bids has a record that counts them, and one entry in the index of gates; when the
 *    last one goes, both go (coupled_horizon.c).
 * 4. All bids of one participant for one interval, direction and carrier are on one side.
 *
 * Deliberately absent: the gate and after (coupled_gate.c); orders placed one by one (market.c), which a
 * coupled market refuses. */
#include "contracts/coupled.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/coupled_internal.h"
#include "contracts/grid.h"
#include "contracts/market.h"

/* --- times and keys ------------------------------------------------------------------------- */

bool market_is_coupled(const struct market_create *terms)
{
    return terms->clearing.mechanism == MECHANISM_COUPLED;
}

struct duration coupled_period(const struct market_create *terms)
{
    return duration_of(duration_ms(terms->times.mtu) * terms->times.mtus_per_period);
}

struct timestamp coupled_start_of(const struct market_create *terms, struct timestamp period_start)
{
    /* Terms whose period or count is 0 are refused before, and no period is asked for then. */
    int64_t length = duration_ms(coupled_period(terms)) * terms->coupling.intervals;
    int64_t start = timestamp_ms(period_start);
    return !market_is_coupled(terms) || start < 0 || length <= 0
               ? period_start
               : timestamp_of(start - start % length);
}

struct timestamp coupled_slot_start(const struct market_create *terms, const struct coupled_id *id,
                                    uint32_t slot)
{
    struct timestamp at;
    MUST(timestamp_add(&at, id->start, duration_of(duration_ms(coupled_period(terms)) * slot)));
    return at;
}

struct state_key coupled_due_key(enum coupled_due what, int64_t at, const struct coupled_id *id)
{
    struct state_key key;
    struct byte_writer writer;
    memset(&key, 0, sizeof key);
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u8(&writer, STATE_COUPLED_DUE);
    byte_write_u8(&writer, (uint8_t)what);
    byte_write_i64(&writer, at);
    byte_write_raw(&writer, id->market.text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(id->start));
    byte_write_u8(&writer, id->direction);
    MUST(!writer.failed);
    key.size = writer.size;
    return key;
}

struct state_key coupled_gate_key(const struct market_create *terms, const struct coupled_id *id)
{
    struct book_times times;
    MUST(book_times_of(&times, terms, id->start));
    return coupled_due_key(COUPLED_DUE_GATE, timestamp_ms(times.gate), id);
}

/* --- working memory ------------------------------------------------------------------------- */

/* The largest problem of the limits asks for most when all its cells are places. */
static size_t arena_bytes(void)
{
    const struct coupled_problem largest = {.bid_count = COUPLED_AUCTION_BIDS_MAX,
                                            .agent_count = COUPLED_AUCTION_BIDS_MAX,
                                            .slot_count = 1,
                                            .place_count = COUPLED_AUCTION_CELLS_MAX,
                                            .line_count = LIMIT_NETWORK_LINES,
                                            .row_count = COUPLED_AUCTION_ROWS_MAX,
                                            .coef_count = COUPLED_AUCTION_COEFS_MAX,
                                            .link_count = COUPLED_AUCTION_LINKS_MAX,
                                            .member_count = COUPLED_AUCTION_MEMBERS_MAX};
    /* The problem itself, its structure and what is worked out of it, and drafts of solutions. */
    return 2 * (size_t)COUPLED_AUCTION_ARENA_BYTES + coupled_arena_bytes(&largest);
}

struct coupled_scratch *coupled_scratch_create(void)
{
    struct coupled_scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL) {
        return NULL;
    }
    scratch->arena.size = arena_bytes();
    scratch->arena.bytes = malloc(scratch->arena.size);
    scratch->loading.size = COUPLED_AUCTION_ARENA_BYTES;
    scratch->loading.bytes = malloc(scratch->loading.size);
    scratch->problem_bytes = malloc(COUPLED_PROBLEM_BYTES_MAX);
    scratch->solution_bytes = malloc(COUPLED_SOLUTION_BYTES_MAX);
    if (scratch->arena.bytes == NULL || scratch->loading.bytes == NULL ||
        scratch->problem_bytes == NULL || scratch->solution_bytes == NULL) {
        coupled_scratch_destroy(scratch);
        return NULL;
    }
    return scratch;
}

void coupled_scratch_destroy(struct coupled_scratch *scratch)
{
    if (scratch != NULL) {
        free(scratch->arena.bytes);
        free(scratch->loading.bytes);
        free(scratch->problem_bytes);
        free(scratch->solution_bytes);
    }
    free(scratch);
}

/* --- links ---------------------------------------------------------------------------------- */

/* What its type does not use is zero, and a member is a bid of the portfolio. */
static bool link_is_canonical(const struct portfolio_link *link, uint32_t bids)
{
    bool sum = link->type == LINK_SUM;
    bool convert = link->type == LINK_CONVERT;
    for (uint32_t i = 0; i < link->member_count; i++) {
        if (link->members[i].bid >= bids) {
            return false;
        }
    }
    return (sum || (link->op == ROW_AT_MOST && energy_wh(link->quantity) == 0)) &&
           (convert || (link->num == 0 && link->den == 0));
}

static void take_link(struct coupled_link *out, uint32_t *members, uint32_t *member_count,
                      const struct portfolio_link *link)
{
    *out = (struct coupled_link){.type = (enum coupled_link_type)link->type,
                                 .first = *member_count,
                                 .count = link->member_count,
                                 .op = (enum coupled_op)link->op,
                                 .quantity = energy_wh(link->quantity),
                                 .num = link->num,
                                 .den = link->den};
    for (uint32_t i = 0; i < link->member_count; i++) {
        members[(*member_count)++] = link->members[i].bid;
    }
}

/* The portfolio as a problem of its own, at one place: what is wrong with its links in the auction is wrong
 * with them there. Links know neither places nor carriers. */
static bool links_hold(struct contract_call *call, const struct portfolio_place *action)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct coupled_bid bids[LIMIT_PORTFOLIO_BIDS] = {{0}};
    struct coupled_link links[LIMIT_PORTFOLIO_LINKS];
    uint32_t members[LIMIT_PORTFOLIO_LINKS * LIMIT_PORTFOLIO_BIDS];
    struct coupled_problem problem = {.bid_count = action->bid_count,
                                      .agent_count = 1,
                                      .slot_count = COUPLED_AUCTION_SLOTS_MAX,
                                      .place_count = 1,
                                      .link_count = action->link_count,
                                      .bids = bids,
                                      .links = links,
                                      .members = members};
    for (uint32_t i = 0; i < action->bid_count; i++) {
        const struct portfolio_bid *bid = &action->bids[i];
        bids[i].quantity = energy_wh(bid->quantity);
        bids[i].price = energy_price_ueur_per_kwh(bid->price);
        bids[i].min_quantity = energy_wh(bid->min_quantity);
        bids[i].slot = bid->interval;
        bids[i].order = bid->rank;
        bids[i].buy = bid->side == SIDE_BUY;
        bids[i].indivisible = bid->indivisible != 0;
    }
    for (uint32_t i = 0; i < action->link_count; i++) {
        if (!link_is_canonical(&action->links[i], action->bid_count)) {
            return false;
        }
        take_link(&links[i], members, &problem.member_count, &action->links[i]);
    }
    struct coupled_fault fault;
    struct coupled_break broken;
    memset(&scratch->open, 0, sizeof scratch->open);
    scratch->arena.used = 0;
    MUST(coupled_arena_bytes(&problem) <= scratch->arena.size);
    const struct coupled_plan *plan = coupled_prepare(&problem, &fault, &scratch->arena);
    return plan != NULL && coupled_rest_is_solution(plan, &broken);
}

/* --- placing -------------------------------------------------------------------------------- */

static bool carrier_is_known(const struct network_record *network, const struct name *carrier)
{
    for (uint32_t i = 0; i < network->carrier_count; i++) {
        if (name_compare(&network->carriers[i].name, carrier) == 0) {
            return true;
        }
    }
    return false;
}

static struct state_key side_key(const struct order_record *order, const struct name *carrier)
{
    struct state_key key = state_key_coupled(STATE_COUPLED_SIDE, &order->market,
                                             order->period_start, order->direction);
    MUST(key.size + 2 * NAME_SIZE <= sizeof key.bytes);
    memcpy(key.bytes + key.size, carrier->text, NAME_SIZE);
    memcpy(key.bytes + key.size + NAME_SIZE, order->participant.text, NAME_SIZE);
    key.size += 2 * NAME_SIZE;
    return key;
}

/* BOTH_SIDES: nobody trades with itself. */
static enum contract_error take_side(const struct contract_call *call,
                                     const struct order_record *order, const struct name *carrier)
{
    struct coupled_side_record record = {.side = order->side};
    struct state_key key = side_key(order, carrier);
    (void)contract_read(call, &key, &coupled_side_record_codec, &record);
    if (record.side != order->side) {
        return CONTRACT_BOTH_SIDES;
    }
    record.bids++;
    contract_write(call, &key, &coupled_side_record_codec, &record);
    return CONTRACT_OK;
}

void coupled_leave_side(const struct contract_call *call, const struct order_record *order,
                        const struct name *carrier)
{
    struct coupled_side_record record;
    struct state_key key = side_key(order, carrier);
    if (!book_read(call, &key, &coupled_side_record_codec, &record)) {
        return;
    }
    MUST(record.side == order->side && record.bids > 0);
    record.bids--;
    if (record.bids == 0) {
        contract_remove(call, &key);
    } else {
        contract_write(call, &key, &coupled_side_record_codec, &record);
    }
}

/* Where a device stands in the network; UNKNOWN_NODE if nowhere. */
static enum contract_error device_node(const struct contract_call *call, struct name *node,
                                       const struct market_create *terms, const struct name *device)
{
    struct device_record record;
    struct state_key key = state_key_name(STATE_DEVICE, device);
    if (!contract_read(call, &key, &device_record_codec, &record)) {
        return CONTRACT_UNKNOWN_DEVICE;
    }
    return grid_node_of(call, &terms->network, &record, node) ? CONTRACT_OK : CONTRACT_UNKNOWN_NODE;
}

/* A buy names a device that its sender may use, or, by a DSO, a node. */
static enum contract_error check_buy(struct contract_call *call, struct name *node,
                                     const struct portfolio_bid *bid,
                                     const struct order_record *order,
                                     const struct market_create *terms)
{
    struct device_record device;
    struct timestamp end;
    if (!hash_is_zero(&bid->schedule_hash)) {
        return CONTRACT_BAD_SCHEDULE;
    }
    if (name_is_empty(&bid->device)) {
        struct state_key key = state_key_pair(STATE_NETWORK_NODE, &terms->network, &bid->node);
        *node = bid->node;
        if (!contract_has_role(call, ROLE_DSO)) {
            return CONTRACT_NOT_PERMITTED;
        }
        return !name_is_empty(&bid->node) && contract_exists(call, &key) ? CONTRACT_OK
                                                                         : CONTRACT_UNKNOWN_NODE;
    }
    MUST(timestamp_add(&end, order->period_start, coupled_period(terms)));
    enum contract_error error =
        assets_right_to_offer(call, &bid->device, terms, order->period_start, end, &device);
    return error == CONTRACT_OK ? device_node(call, node, terms, &bid->device) : error;
}

static enum contract_error check_sell(struct contract_call *call, struct name *node,
                                      const struct portfolio_bid *bid, struct order_record *order,
                                      const struct market_create *terms)
{
    const struct offer_place offer = {.market = order->market,
                                      .direction = order->direction,
                                      .period_start = order->period_start,
                                      .quantity = bid->quantity,
                                      .price = bid->price,
                                      .device = bid->device,
                                      .schedule_hash = bid->schedule_hash};
    if (bid->rank != 0) {
        return CONTRACT_UNSUPPORTED_ORDER; /* steps are a buyer's */
    }
    if (!market_schedule_fits(terms, &bid->schedule_hash)) {
        return CONTRACT_BAD_SCHEDULE;
    }
    enum contract_error error = market_commit_offer(call, &offer, terms);
    order->schedule_hash = bid->schedule_hash;
    order->deposit_price = market_deposit_rate(terms, bid->price);
    return error == CONTRACT_OK ? device_node(call, node, terms, &bid->device) : error;
}

/* When the last interval begins in which a portfolio has a bid. */
static struct timestamp last_period(const struct portfolio_place *action,
                                    const struct market_create *terms)
{
    const struct coupled_id id = {action->market, action->start, action->direction};
    uint16_t last = 0;
    for (uint32_t i = 0; i < action->bid_count; i++) {
        last = action->bids[i].interval > last ? action->bids[i].interval : last;
    }
    return coupled_slot_start(terms, &id, last);
}

/* One bid of a portfolio whose first order is *first; 0 before that one. */
static enum contract_error place_bid(struct contract_call *call, uint64_t *first,
                                     const struct portfolio_place *action,
                                     const struct portfolio_bid *bid,
                                     const struct market_record *market,
                                     const struct network_record *network)
{
    const struct market_create *terms = &market->terms;
    const struct coupled_id id = {action->market, action->start, action->direction};
    struct order_record order = {.market = action->market,
                                 .participant = call->sender,
                                 .side = bid->side,
                                 .direction = action->direction,
                                 .period_start = coupled_slot_start(terms, &id, bid->interval),
                                 .quantity = bid->quantity,
                                 .price = bid->price,
                                 .device = bid->device,
                                 .options = {.indivisible = bid->indivisible,
                                             .rank = bid->rank,
                                             .min_quantity = bid->min_quantity}};
    const struct market_order asked = {bid->quantity, bid->price, order.period_start,
                                       action->direction, &order.options};
    struct coupled_bid_record record = {
        .start = action->start, .last = last_period(action, terms), .carrier = bid->carrier};
    uint64_t number;
    enum contract_error error = market_check_order(call, terms, &asked);
    if (error == CONTRACT_OK && !name_is_empty(&bid->device) && !name_is_empty(&bid->node)) {
        error = CONTRACT_BAD_PARAMETER; /* the device says where it is */
    }
    if (error == CONTRACT_OK && !carrier_is_known(network, &bid->carrier)) {
        error = CONTRACT_UNKNOWN_CARRIER;
    }
    if (error == CONTRACT_OK) {
        error = bid->side == SIDE_BUY ? check_buy(call, &record.node, bid, &order, terms)
                                      : check_sell(call, &record.node, bid, &order, terms);
    }
    if (error == CONTRACT_OK) {
        error = take_side(call, &order, &bid->carrier);
    }
    if (error == CONTRACT_OK) {
        error = market_enter_order(call, &number, &order, market);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    *first = *first == 0 ? number : *first;
    record.portfolio = *first;
    struct state_key key = state_key_u64(STATE_COUPLED_BID, number);
    contract_write(call, &key, &coupled_bid_record_codec, &record);
    return CONTRACT_OK;
}

static enum contract_error check_portfolio(const struct portfolio_place *action,
                                           const struct market_create *terms)
{
    if (!market_is_coupled(terms)) {
        return CONTRACT_UNSUPPORTED_ORDER;
    }
    if (timestamp_ms(action->start) < 0 ||
        timestamp_compare(coupled_start_of(terms, action->start), action->start) != 0) {
        return CONTRACT_BAD_PERIOD;
    }
    if (action->bid_count == 0) {
        return CONTRACT_BAD_PARAMETER;
    }
    for (uint32_t i = 0; i < action->bid_count; i++) {
        if (action->bids[i].interval >= coupled_horizon(terms)) {
            return CONTRACT_BAD_PERIOD;
        }
    }
    return CONTRACT_OK;
}

/* Links are looked at after the bids' own amounts, which bound what they add up to. */
static enum contract_error portfolio_apply(struct contract_call *call, const void *record)
{
    const struct portfolio_place *action = record;
    struct market_record market;
    struct network_record network;
    uint64_t first = 0;
    enum contract_error error = market_require_open(call, &action->market, &market);
    if (error == CONTRACT_OK) {
        error = check_portfolio(action, &market.terms);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    if (!network_read(call, &market.terms.network, &network)) {
        MUST(call->view->fault);
        return CONTRACT_UNKNOWN_NETWORK;
    }
    for (uint32_t i = 0; i < action->bid_count && error == CONTRACT_OK; i++) {
        error = place_bid(call, &first, action, &action->bids[i], &market, &network);
    }
    if (error == CONTRACT_OK && action->link_count > 0) {
        contract_spend(call, action->link_count + action->bid_count);
        error = links_hold(call, action) ? CONTRACT_OK : CONTRACT_BAD_LINK;
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    struct portfolio_record portfolio = {.market = action->market,
                                         .participant = call->sender,
                                         .direction = action->direction,
                                         .start = action->start,
                                         .bids = action->bid_count,
                                         .link_count = action->link_count};
    memcpy(portfolio.links, action->links, sizeof portfolio.links);
    struct state_key key = state_key_u64(STATE_PORTFOLIO, first);
    contract_write(call, &key, &portfolio_record_codec, &portfolio);
    return coupled_count_in(call, &portfolio, action->bids, &market.terms);
}

/* --- taking back ---------------------------------------------------------------------------- */

enum contract_error coupled_take_back(struct contract_call *call, uint64_t order,
                                      const struct market_create *terms)
{
    struct order_record record;
    struct coupled_bid_record bid;
    struct state_key key = state_key_u64(STATE_COUPLED_BID, order);
    if (!book_read_order(call, order, &record) ||
        !book_read(call, &key, &coupled_bid_record_codec, &bid)) {
        return CONTRACT_UNKNOWN_ORDER;
    }
    const struct coupled_id id = {record.market, coupled_start_of(terms, record.period_start),
                                  record.direction};
    if (coupled_is_being_solved(call, &id, terms) || !coupled_is_open(call, &id) ||
        coupled_stands_at_gate(call, bid.portfolio, terms)) {
        return CONTRACT_GATE_CLOSED;
    }
    coupled_keep_portfolio(call, bid.portfolio, terms, true, ORDER_CANCELLED);
    return CONTRACT_OK;
}

static const struct contract_method_entry methods[] = {
    {ACTION_PORTFOLIO_PLACE, portfolio_apply},
    {ACTION_SOLUTION_PROPOSE, solution_propose_apply},
};

const struct contract_module coupled_module = {
    .name = "coupled",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
