/* From orders, portfolios and a network to the problem of a coupled auction (docs/spec/coupled.md 10;
 * market-rules 7).
 *
 * Bids stand in the order of time: block, lot, number; those of one portfolio are of one block and lot and
 * have consecutive numbers, so they stand together, and its links are found by the place of its first.
 *
 * Invariants:
 * 1. The problem is a function of what stands in the state: nothing of it depends on when it is asked for
 *    but who may trade.
 * 2. A portfolio's bids that still stand are all in it, or none.
 * 3. A bid whose owner may not trade any more stays in its place with a quantity of 0, so that links find
 *    what they name; and nothing at all is still a solution.
 * 4. Right sides and capacities in W become Wh of an interval, rounded to the side that allows less.
 *
 * Deliberately absent: whether it is a problem that makes sense (clear_coupled.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/coupled_internal.h"

/* Where the tables grow while they are read; the problem then points to them. */
struct loading {
    struct contract_call *call;
    const struct market_create *terms;
    struct auction_scratch *bids;
    struct coupled_auction_problem *out;
    struct clear_arena *arena;
    struct name *nodes;
    struct coupled_line *lines;
    struct coupled_row *rows;
    struct coupled_coef *coefs;
    struct coupled_link *links;
    uint32_t *members;
};

/* --- the network ---------------------------------------------------------------------------- */

static struct name second_name(const struct state_key *key)
{
    struct name name;
    struct byte_reader reader;
    byte_reader_init(&reader, key->bytes, key->size);
    (void)byte_read_view(&reader, 1 + NAME_SIZE);
    byte_read_raw(&reader, name.text, NAME_SIZE);
    MUST(byte_reader_done(&reader));
    return name;
}

/* In the order of keys, which is that of names. */
static void load_nodes(struct loading *loading)
{
    struct state_key prefix = state_key_name(STATE_NETWORK_NODE, &loading->terms->network);
    struct state_key at = {.size = 0};
    struct bytes_view value;
    uint32_t count = 0;
    loading->nodes = clear_take(loading->arena, LIMIT_NETWORK_NODES, sizeof *loading->nodes);
    while (count < LIMIT_NETWORK_NODES &&
           contract_next(loading->call, book_key_view(&prefix), book_key_view(&at), &at, &value)) {
        loading->nodes[count++] = second_name(&at);
    }
    loading->out->nodes = loading->nodes;
    loading->out->node_count = count;
}

/* UINT32_MAX if the network has no such node or carrier: under a fault of the view alone. */
static uint32_t place_of(const struct loading *loading, const struct name *node,
                         const struct name *carrier)
{
    const struct coupled_auction_problem *out = loading->out;
    uint32_t low = 0;
    uint32_t high = out->node_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (name_compare(&loading->nodes[middle], node) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < out->node_count && name_compare(&loading->nodes[low], node) == 0;
    for (uint32_t i = 0; found && i < out->carrier_count; i++) {
        if (name_compare(&out->carriers[i], carrier) == 0) {
            return i * out->node_count + low;
        }
    }
    MUST(loading->call->view->fault);
    return UINT32_MAX;
}

/* value x period / hour, exact in 128 bits, towards minus infinity or away from it. */
static int64_t per_interval(const struct loading *loading, int64_t value, bool up)
{
    int64_t out;
    int128 scaled = product_i128(value, duration_ms(coupled_period(loading->terms)));
    /* A period is at most an hour, so nothing grows. */
    MUST(checked_narrow_i64(&out, up ? div_ceil_i128(scaled, MS_PER_HOUR)
                                     : div_floor_i128(scaled, MS_PER_HOUR)));
    return out;
}

/* Lines that carry something here. */
static bool load_lines(struct loading *loading)
{
    struct state_key prefix = state_key_name(STATE_NETWORK_LINE, &loading->terms->network);
    struct state_key at = {.size = 0};
    struct bytes_view value;
    struct coupled_problem *problem = &loading->out->problem;
    loading->lines = clear_take(loading->arena, LIMIT_NETWORK_LINES, sizeof *loading->lines);
    for (uint32_t i = 0; i < LIMIT_NETWORK_LINES; i++) {
        struct network_line line;
        if (!contract_next(loading->call, book_key_view(&prefix), book_key_view(&at), &at,
                           &value)) {
            break;
        }
        MUST(codec_decode_all(&network_line_codec, &line, value));
        int64_t capacity = per_interval(loading, power_w(line.capacity), false);
        if (capacity == 0 || (line.tie != 0 && loading->terms->coupling.zones == ZONES_SEPARATE)) {
            continue;
        }
        struct coupled_line *out = &loading->lines[problem->line_count++];
        *out = (struct coupled_line){.from = place_of(loading, &line.from, &line.carrier),
                                     .to = place_of(loading, &line.to, &line.carrier),
                                     .capacity = capacity};
        if (out->from == UINT32_MAX || out->to == UINT32_MAX) {
            return false;
        }
    }
    problem->lines = loading->lines;
    return true;
}

/* Down-regulation draws: what sells inject in the auction's sense, they take from the grid in the row's. */
static bool take_row(struct loading *loading, const struct network_row *row)
{
    struct coupled_problem *problem = &loading->out->problem;
    bool down = loading->terms->directions == DIRECTIONS_DOWN;
    struct coupled_row *out = &loading->rows[problem->row_count++];
    *out = (struct coupled_row){.first = problem->coef_count,
                                .count = row->coef_count,
                                .op = (enum coupled_op)row->op,
                                .rhs = per_interval(loading, row->rhs, row->op == ROW_AT_LEAST)};
    for (uint32_t i = 0; i < row->coef_count; i++) {
        struct coupled_coef *coef = &loading->coefs[problem->coef_count++];
        coef->place = place_of(loading, &row->coefs[i].node, &row->carrier);
        coef->value = down ? -row->coefs[i].value : row->coefs[i].value;
        if (coef->place == UINT32_MAX) {
            return false;
        }
    }
    return true;
}

static bool load_rows(struct loading *loading)
{
    struct state_key prefix = state_key_name(STATE_NETWORK_ROW, &loading->terms->network);
    struct state_key at = {.size = 0};
    struct bytes_view value;
    loading->rows = clear_take(loading->arena, LIMIT_NETWORK_ROWS, sizeof *loading->rows);
    loading->coefs = clear_take(loading->arena, COUPLED_AUCTION_COEFS_MAX, sizeof *loading->coefs);
    for (uint32_t i = 0; i < LIMIT_NETWORK_ROWS; i++) {
        struct network_row row;
        if (!contract_next(loading->call, book_key_view(&prefix), book_key_view(&at), &at,
                           &value)) {
            break;
        }
        MUST(codec_decode_all(&network_row_codec, &row, value));
        if (!take_row(loading, &row)) {
            return false;
        }
    }
    loading->out->problem.rows = loading->rows;
    loading->out->problem.coefs = loading->coefs;
    return true;
}

static bool load_network(struct loading *loading)
{
    struct network_record network;
    if (!network_read(loading->call, &loading->terms->network, &network)) {
        MUST(loading->call->view->fault);
        return false;
    }
    struct name *carriers = clear_take(loading->arena, LIMIT_NETWORK_CARRIERS, sizeof *carriers);
    for (uint32_t i = 0; i < network.carrier_count; i++) {
        carriers[i] = network.carriers[i].name;
    }
    loading->out->carriers = carriers;
    loading->out->carrier_count = network.carrier_count;
    load_nodes(loading);
    loading->out->problem.place_count = loading->out->node_count * network.carrier_count;
    return load_lines(loading) && load_rows(loading);
}

/* --- bids ----------------------------------------------------------------------------------- */

static bool take_bid(struct loading *loading, uint64_t id, uint32_t slot, struct timestamp last)
{
    struct auction_scratch *scratch = loading->bids;
    struct order_record order;
    struct coupled_bid_record bid;
    struct state_key key = state_key_u64(STATE_COUPLED_BID, id);
    if (!book_read_order(loading->call, id, &order) ||
        !book_read(loading->call, &key, &coupled_bid_record_codec, &bid)) {
        return false;
    }
    if (timestamp_compare(bid.last, last) > 0) {
        return true;
    }
    uint32_t place = place_of(loading, &bid.node, &bid.carrier);
    if (place == UINT32_MAX) {
        return false;
    }
    MUST(scratch->count < COUPLED_AUCTION_BIDS_MAX);
    bool trades = book_may_trade(loading->call, &order, loading->terms);
    contract_spend(loading->call, COUPLED_WORK_PER_BID);
    scratch->bids[scratch->count++] = (struct auction_bid){
        .id = id,
        .participant = order.participant,
        .height = order.height,
        .tie = order.tie,
        .rank = order.options.rank,
        .buys = order.side == SIDE_BUY,
        .whole = order.options.indivisible != 0,
        .price = energy_price_ueur_per_kwh(order.price),
        .quantity = trades ? energy_wh(order.open) : 0,
        .open = energy_wh(order.open),
        .least = trades ? energy_wh(order.options.min_quantity) : 0,
        .place = (int32_t)place,
        .slot = slot,
        .portfolio = bid.portfolio,
    };
    return true;
}

/* A portfolio takes part as a whole: from the gate on whose horizon reaches its last bid. */
static bool load_bids(struct loading *loading, const struct coupled_id *id)
{
    const struct market_create *terms = loading->terms;
    const struct timestamp last = coupled_slot_start(terms, id, coupled_horizon(terms) - 1);
    loading->bids->count = 0;
    for (uint32_t slot = 0; slot < coupled_horizon(terms); slot++) {
        struct coupled_id of;
        const struct book_id book = {id->market, id->direction,
                                     coupled_slot_start(terms, id, slot)};
        /* One that was bound, or has ended void, has bids that only wait to expire. */
        if (!coupled_id_ahead(&of, id, terms, slot / terms->coupling.intervals) ||
            !coupled_is_open(loading->call, &of)) {
            continue;
        }
        for (uint8_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
            struct state_key at = {.size = 0};
            for (uint32_t i = 0; i < COUPLED_AUCTION_BIDS_MAX; i++) {
                if (!book_side_next(loading->call, &book, side, &at)) {
                    break;
                }
                if (!take_bid(loading, book_index_order(&at), slot, last)) {
                    return false;
                }
            }
        }
    }
    auction_sort_bids(loading->bids);
    auction_number_agents(loading->bids);
    return true;
}

static void take_bids(struct loading *loading)
{
    const struct auction_scratch *scratch = loading->bids;
    struct coupled_problem *problem = &loading->out->problem;
    struct coupled_bid *bids = clear_take(loading->arena, scratch->count, sizeof *bids);
    uint64_t *orders = clear_take(loading->arena, scratch->count, sizeof *orders);
    for (uint32_t i = 0; i < scratch->count; i++) {
        const struct auction_bid *bid = &scratch->bids[i];
        orders[i] = bid->id;
        bids[i] = (struct coupled_bid){.quantity = bid->quantity,
                                       .price = bid->price,
                                       .min_quantity = bid->least,
                                       .agent = bid->agent,
                                       .slot = bid->slot,
                                       .place = (uint32_t)bid->place,
                                       .order = bid->rank,
                                       .buy = bid->buys,
                                       .indivisible = bid->whole};
    }
    problem->bids = bids;
    problem->bid_count = scratch->count;
    problem->agent_count = scratch->agent_count;
    loading->out->orders = orders;
}

/* Where a portfolio's bid is that still stands, from its first one on. */
static uint32_t member_at(const struct auction_scratch *bids, uint32_t first, uint64_t id)
{
    for (uint32_t i = first; i < bids->count && i < first + LIMIT_PORTFOLIO_BIDS; i++) {
        if (bids->bids[i].id == id) {
            return i;
        }
    }
    MUST(false);
    return UINT32_MAX;
}

/* The links of the portfolio whose first bid that still stands is there; the bids stand together. */
static bool take_links(struct loading *loading, uint32_t first)
{
    struct coupled_problem *problem = &loading->out->problem;
    struct portfolio_record portfolio;
    struct state_key key = state_key_u64(STATE_PORTFOLIO, loading->bids->bids[first].portfolio);
    if (!book_read(loading->call, &key, &portfolio_record_codec, &portfolio)) {
        return false;
    }
    for (uint32_t i = 0; i < portfolio.link_count; i++) {
        const struct portfolio_link *link = &portfolio.links[i];
        MUST(problem->link_count < COUPLED_AUCTION_LINKS_MAX);
        loading->links[problem->link_count++] =
            (struct coupled_link){.type = (enum coupled_link_type)link->type,
                                  .first = problem->member_count,
                                  .count = link->member_count,
                                  .op = (enum coupled_op)link->op,
                                  .quantity = energy_wh(link->quantity),
                                  .num = link->num,
                                  .den = link->den};
        for (uint32_t at = 0; at < link->member_count; at++) {
            MUST(problem->member_count < COUPLED_AUCTION_MEMBERS_MAX);
            loading->members[problem->member_count++] = member_at(
                loading->bids, first, loading->bids->bids[first].portfolio + link->members[at].bid);
        }
    }
    return true;
}

static bool load_links(struct loading *loading)
{
    const struct auction_scratch *scratch = loading->bids;
    loading->links = clear_take(loading->arena, COUPLED_AUCTION_LINKS_MAX, sizeof *loading->links);
    loading->members =
        clear_take(loading->arena, COUPLED_AUCTION_MEMBERS_MAX, sizeof *loading->members);
    for (uint32_t i = 0; i < scratch->count; i++) {
        bool first = i == 0 || scratch->bids[i].portfolio != scratch->bids[i - 1].portfolio;
        if (first && !take_links(loading, i)) {
            return false;
        }
    }
    loading->out->problem.links = loading->links;
    loading->out->problem.members = loading->members;
    return true;
}

static bool is_within_limits(const struct coupled_auction_problem *auction)
{
    const struct coupled_problem *problem = &auction->problem;
    uint64_t per_slot = (uint64_t)problem->place_count + problem->line_count + problem->row_count;
    return per_slot * problem->slot_count <= COUPLED_AUCTION_CELLS_MAX;
}

enum coupled_reason coupled_load(struct contract_call *call, struct coupled_auction_problem *out,
                                 const struct coupled_id *id, const struct market_create *terms)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct loading loading = {.call = call,
                              .terms = terms,
                              .bids = ledger_auction_scratch(call->ledger),
                              .out = out,
                              .arena = &scratch->loading};
    scratch->loading.used = 0;
    *out = (struct coupled_auction_problem){.problem.slot_count = coupled_horizon(terms),
                                            .binding = terms->coupling.intervals};
    if (!load_network(&loading) || !load_bids(&loading, id)) {
        MUST(call->view->fault);
        return COUPLED_REASON_PROBLEM;
    }
    coupled_problem_auctions(out, loading.arena);
    take_bids(&loading);
    if (!load_links(&loading)) {
        MUST(call->view->fault);
        return COUPLED_REASON_PROBLEM;
    }
    return is_within_limits(out) ? COUPLED_REASON_NONE : COUPLED_REASON_LIMITS;
}
