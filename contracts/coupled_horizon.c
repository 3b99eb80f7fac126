/* The rolling horizon of coupled auctions on the ledger (D2.3 3.3 and figure 3-3; docs/spec/coupled.md 17;
 * docs/adr/0062-joint-horizon.md).
 *
 * An auction's problem holds the bids of its own intervals and of those of `forecast` auctions after it. What
 * its solution takes in its own intervals binds, and in those of auctions that links tie to it; the rest is a
 * forecast, and its bids stand again at the next gate, with what is left of their links:
 *
 *   sum <=             what has traded is taken off its quantity
 *   xor                once one has traded, the others are over
 *   or                 once another one has traded, the first is free; without any left, it is over
 *   and block convert  once one is over, so are the others
 *
 * Invariants:
 * 1. A bid binds once at most, within what its owner signed: quantity, minimum, links.
 * 2. An open auction's record counts the bids that stand in its intervals, and the links whose last bid is
 *    there; each auction has its share of what one problem may hold, so a horizon is never over it.
 * 3. A portfolio has a record for as long as one of its bids may still trade.
 *
 * Deliberately absent: which quantities bind (clear_coupled_bind.c), when (coupled_gate.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/coupled_internal.h"

/* A portfolio's bids as they are now: the unit is an auction, counted from the portfolio's own. */
struct shape {
    bool alive[LIMIT_PORTFOLIO_BIDS]; /* may still trade */
    bool ends[LIMIT_PORTFOLIO_BIDS];  /* is alive, and over by what has become of others */
    uint32_t unit[LIMIT_PORTFOLIO_BIDS];
    int64_t traded[LIMIT_PORTFOLIO_BIDS];
};
struct tally {
    uint32_t bids;
    uint32_t links;
    uint32_t members;
};

/* --- times ---------------------------------------------------------------------------------- */

uint32_t coupled_auctions_of(const struct market_create *terms)
{
    return 1 + (uint32_t)terms->coupling.forecast;
}

uint32_t coupled_horizon(const struct market_create *terms)
{
    return terms->coupling.intervals * coupled_auctions_of(terms);
}

bool coupled_id_ahead(struct coupled_id *out, const struct coupled_id *id,
                      const struct market_create *terms, int64_t auctions)
{
    int64_t length = duration_ms(coupled_period(terms)) * terms->coupling.intervals;
    *out = *id;
    return timestamp_add(&out->start, id->start, duration_of(length * auctions));
}

static uint32_t unit_of(const struct market_create *terms, struct timestamp start,
                        struct timestamp period)
{
    int64_t length = duration_ms(coupled_period(terms)) * terms->coupling.intervals;
    int64_t unit = (timestamp_ms(period) - timestamp_ms(start)) / length;
    MUST(unit >= 0 && unit < COUPLED_AUCTION_SLOTS_MAX);
    return (uint32_t)unit;
}

/* Nobody leaves, and no other gate closes, while a solution is looked for that may bind it. */
bool coupled_is_being_solved(const struct contract_call *call, const struct coupled_id *id,
                             const struct market_create *terms)
{
    for (uint32_t back = 0; back < coupled_auctions_of(terms); back++) {
        struct coupled_id before;
        struct coupled_record record;
        if (!coupled_id_ahead(&before, id, terms, -(int64_t)back)) {
            return false;
        }
        struct state_key key = coupled_key(STATE_COUPLED, &before);
        if (contract_read(call, &key, &coupled_record_codec, &record) &&
            record.state == COUPLED_SOLVING) {
            return true;
        }
    }
    return false;
}

/* Gates before this one have closed, so what is still open there only waits for its turn. */
bool coupled_must_wait(const struct contract_call *call, const struct coupled_id *id,
                       const struct market_create *terms)
{
    for (uint32_t back = 1; back < coupled_auctions_of(terms); back++) {
        struct coupled_id before;
        struct coupled_record record;
        if (!coupled_id_ahead(&before, id, terms, -(int64_t)back)) {
            return false;
        }
        struct state_key key = coupled_key(STATE_COUPLED, &before);
        if (contract_read(call, &key, &coupled_record_codec, &record) &&
            (record.state == COUPLED_OPEN || record.state == COUPLED_SOLVING)) {
            return true;
        }
    }
    return false;
}

bool coupled_is_open(const struct contract_call *call, const struct coupled_id *id)
{
    struct coupled_record record;
    struct state_key key = coupled_key(STATE_COUPLED, id);
    return contract_read(call, &key, &coupled_record_codec, &record) &&
           record.state == COUPLED_OPEN;
}

/* --- counting ------------------------------------------------------------------------------- */

static void count(struct tally *out, const struct portfolio_record *portfolio,
                  const struct shape *shape)
{
    memset(out, 0, COUPLED_AUCTION_SLOTS_MAX * sizeof *out);
    for (uint32_t i = 0; i < portfolio->bids; i++) {
        out[shape->unit[i]].bids += shape->alive[i];
    }
    for (uint32_t i = 0; i < portfolio->link_count; i++) {
        const struct portfolio_link *link = &portfolio->links[i];
        uint32_t last = 0;
        for (uint32_t at = 0; at < link->member_count; at++) {
            uint32_t unit = shape->unit[link->members[at].bid];
            last = unit > last ? unit : last;
        }
        out[last].links++;
        out[last].members += link->member_count;
    }
}

/* BOOK_FULL if it grows beyond the auction's share. */
static enum contract_error count_auction(const struct contract_call *call,
                                         const struct coupled_id *id,
                                         const struct market_create *terms,
                                         const struct tally *before, const struct tally *after)
{
    const uint32_t share = coupled_auctions_of(terms);
    struct coupled_record record = {0};
    struct state_key key = coupled_key(STATE_COUPLED, id);
    struct state_key due = coupled_gate_key(terms, id);
    bool there = contract_read(call, &key, &coupled_record_codec, &record);
    if (there && record.state != COUPLED_OPEN) {
        return CONTRACT_GATE_CLOSED; /* what is over counts no more; nothing enters there */
    }
    MUST(record.bids >= before->bids && record.links >= before->links &&
         record.members >= before->members);
    record.bids = record.bids - before->bids + after->bids;
    record.links = record.links - before->links + after->links;
    record.members = record.members - before->members + after->members;
    if (record.bids == 0) {
        MUST(record.links == 0 && record.members == 0);
        contract_remove(call, &due);
        contract_remove(call, &key);
        return CONTRACT_OK;
    }
    if (!there) {
        contract_write_index(call, &due);
    }
    contract_write(call, &key, &coupled_record_codec, &record);
    return record.bids <= COUPLED_AUCTION_BIDS_MAX / share &&
                   record.links <= COUPLED_AUCTION_LINKS_MAX / share &&
                   record.members <= COUPLED_AUCTION_MEMBERS_MAX / share
               ? CONTRACT_OK
               : CONTRACT_BOOK_FULL;
}

static enum contract_error recount(const struct contract_call *call,
                                   const struct portfolio_record *portfolio,
                                   const struct market_create *terms, const struct tally *before,
                                   const struct tally *after)
{
    const struct coupled_id own = {portfolio->market, portfolio->start, portfolio->direction};
    enum contract_error error = CONTRACT_OK;
    for (uint32_t i = 0; i < coupled_auctions_of(terms); i++) {
        struct coupled_id id;
        if (memcmp(&before[i], &after[i], sizeof before[i]) == 0) {
            continue;
        }
        enum contract_error found = coupled_id_ahead(&id, &own, terms, i)
                                        ? count_auction(call, &id, terms, &before[i], &after[i])
                                        : CONTRACT_BAD_PERIOD;
        error = error == CONTRACT_OK ? found : error;
    }
    return error;
}

enum contract_error coupled_count_in(const struct contract_call *call,
                                     const struct portfolio_record *portfolio,
                                     const struct portfolio_bid *bids,
                                     const struct market_create *terms)
{
    static const struct tally nothing[COUPLED_AUCTION_SLOTS_MAX];
    struct tally all[COUPLED_AUCTION_SLOTS_MAX];
    struct shape shape = {0};
    for (uint32_t i = 0; i < portfolio->bids; i++) {
        shape.alive[i] = true;
        shape.unit[i] = bids[i].interval / terms->coupling.intervals;
    }
    count(all, portfolio, &shape);
    return recount(call, portfolio, terms, nothing, all);
}

/* --- what is left of links ------------------------------------------------------------------ */

static bool is_left(const struct shape *shape, const struct portfolio_member *member)
{
    return shape->alive[member->bid] && !shape->ends[member->bid];
}

static void end_members(struct shape *shape, const struct portfolio_link *link)
{
    for (uint32_t i = 0; i < link->member_count; i++) {
        shape->ends[link->members[i].bid] = shape->alive[link->members[i].bid];
    }
}

/* Whoever is over leaves the link. */
static void keep_members(const struct shape *shape, struct portfolio_link *link)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < link->member_count; i++) {
        if (is_left(shape, &link->members[i])) {
            link->members[kept++] = link->members[i];
        }
    }
    memset(&link->members[kept], 0, (link->member_count - kept) * sizeof link->members[0]);
    link->member_count = kept;
}

/* One whose first bid asks for another: false if it is over. */
static bool keep_or(struct shape *shape, struct portfolio_link *link, int64_t traded)
{
    if (!is_left(shape, &link->members[0]) || traded > 0) {
        return false;
    }
    keep_members(shape, link);
    if (link->member_count == 1) {
        end_members(shape, link);
    }
    return link->member_count > 1;
}

static bool keep_sum(const struct shape *shape, struct portfolio_link *link, int64_t traded)
{
    /* What has traded was within the sum, and one that asks for no more than 0 asks for nothing. */
    MUST(link->op == ROW_AT_LEAST || energy_wh(link->quantity) >= traded);
    MUST(energy_sub(&link->quantity, link->quantity, energy_of(traded)));
    keep_members(shape, link);
    return link->member_count > 0 && link->op != ROW_AT_LEAST;
}

/* What remains of a link some of whose bids are over; false: nothing. */
static bool keep_link(struct shape *shape, struct portfolio_link *link, int64_t traded)
{
    switch ((enum coupled_link_type)link->type) {
    case COUPLED_AND:
    case COUPLED_BLOCK:
    case COUPLED_CONVERT:
        end_members(shape, link);
        return false;
    case COUPLED_OR:
        return keep_or(shape, link, traded);
    case COUPLED_XOR:
        if (traded > 0) {
            end_members(shape, link);
        }
        keep_members(shape, link);
        return link->member_count > 1;
    case COUPLED_SUM:
        return keep_sum(shape, link, traded);
    }
    MUST(false);
    return false;
}

/* One round over all links; whether anything of them went. */
static bool keep_links(struct shape *shape, struct portfolio_record *portfolio)
{
    uint32_t kept = 0;
    bool changed = false;
    for (uint32_t i = 0; i < portfolio->link_count; i++) {
        struct portfolio_link link = portfolio->links[i];
        uint32_t over = 0;
        int64_t traded = 0;
        for (uint32_t at = 0; at < link.member_count; at++) {
            bool left = is_left(shape, &link.members[at]);
            over += !left;
            traded += left ? 0 : shape->traded[link.members[at].bid];
        }
        changed = changed || over > 0;
        if (over == 0 || keep_link(shape, &link, traded)) {
            portfolio->links[kept++] = link;
        }
    }
    memset(&portfolio->links[kept], 0, (portfolio->link_count - kept) * sizeof portfolio->links[0]);
    portfolio->link_count = kept;
    return changed;
}

/* --- ending --------------------------------------------------------------------------------- */

static bool read_shape(struct contract_call *call, struct shape *out, uint64_t first,
                       const struct portfolio_record *portfolio, const struct market_create *terms)
{
    const struct coupled_id own = {portfolio->market, portfolio->start, portfolio->direction};
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < portfolio->bids; i++) {
        struct order_record order;
        struct coupled_id id;
        struct state_key key = state_key_u64(STATE_ORDER, first + i);
        if (!book_read(call, &key, &order_record_codec, &order)) {
            return false;
        }
        out->unit[i] = unit_of(terms, portfolio->start, order.period_start);
        out->traded[i] = energy_wh(order.quantity) - energy_wh(order.open);
        out->alive[i] = order.status == ORDER_OPEN &&
                        coupled_id_ahead(&id, &own, terms, out->unit[i]) &&
                        coupled_is_open(call, &id);
    }
    contract_spend(call, portfolio->bids);
    return true;
}

bool coupled_stands_at_gate(struct contract_call *call, uint64_t first,
                            const struct market_create *terms)
{
    struct portfolio_record portfolio;
    struct shape shape;
    struct state_key key = state_key_u64(STATE_PORTFOLIO, first);
    if (!book_read(call, &key, &portfolio_record_codec, &portfolio) ||
        !read_shape(call, &shape, first, &portfolio, terms)) {
        return true;
    }
    const struct coupled_id own = {portfolio.market, portfolio.start, portfolio.direction};
    for (uint32_t i = 0; i < portfolio.bids; i++) {
        struct coupled_id id;
        if (shape.alive[i] && coupled_id_ahead(&id, &own, terms, shape.unit[i]) &&
            auction_gate_has_closed(call, terms, id.start)) {
            return true;
        }
    }
    return false;
}

/* Takes those that end out of their books, and everybody who is over out of the state. */
static bool end_bids(struct contract_call *call, struct shape *shape, uint64_t first,
                     const struct portfolio_record *portfolio, const struct market_create *terms,
                     enum order_status status)
{
    bool any = false;
    for (uint32_t i = 0; i < portfolio->bids; i++) {
        struct order_record order;
        struct coupled_bid_record bid;
        struct state_key key = state_key_u64(STATE_COUPLED_BID, first + i);
        if (shape->alive[i] && !shape->ends[i]) {
            any = true;
            continue;
        }
        if (!contract_read(call, &key, &coupled_bid_record_codec, &bid)) {
            continue; /* over since an earlier gate */
        }
        if (shape->ends[i]) {
            if (!book_read_order(call, first + i, &order)) {
                return true;
            }
            coupled_leave_side(call, &order, &bid.carrier);
            book_end_order(call, first + i, &order, terms, status);
            shape->alive[i] = false;
        }
        contract_remove(call, &key);
    }
    return any;
}

void coupled_keep_portfolio(struct contract_call *call, uint64_t first,
                            const struct market_create *terms, bool all_end,
                            enum order_status status)
{
    struct portfolio_record portfolio;
    struct tally before[COUPLED_AUCTION_SLOTS_MAX];
    struct tally after[COUPLED_AUCTION_SLOTS_MAX];
    struct shape shape;
    struct state_key key = state_key_u64(STATE_PORTFOLIO, first);
    if (!book_read(call, &key, &portfolio_record_codec, &portfolio) ||
        !read_shape(call, &shape, first, &portfolio, terms)) {
        return;
    }
    count(before, &portfolio, &shape);
    if (all_end) {
        memcpy(shape.ends, shape.alive, sizeof shape.ends);
    }
    /* Each round that changes anything takes a link or a bid away from it. */
    for (uint32_t i = 0; i < LIMIT_PORTFOLIO_LINKS * LIMIT_PORTFOLIO_BIDS; i++) {
        if (!keep_links(&shape, &portfolio)) {
            break;
        }
    }
    bool any = end_bids(call, &shape, first, &portfolio, terms, status);
    if (call->view->fault) {
        return;
    }
    count(after, &portfolio, &shape);
    /* An auction that is over has forgotten its bids, and whoever leaves is never one too many. */
    (void)recount(call, &portfolio, terms, before, after);
    if (any) {
        contract_write(call, &key, &portfolio_record_codec, &portfolio);
    } else {
        contract_remove(call, &key);
    }
}
