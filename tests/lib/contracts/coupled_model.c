/* Brute force over small coupled auctions (tests/lib/contracts/coupled_model.h). Nothing here is
 * clever on purpose: all quantities, all flows, rules as sentences. */
#include "tests/lib/contracts/coupled_model.h"

#include <string.h>

/* Random problems are smaller than what can be tried. */
enum { DRAWN_BIDS = 7, DRAWN_SLOTS = 2 };

static int64_t draw(struct test_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)test_random_below(random, (uint64_t)(high - low + 1));
}

static void draw_bids(struct small_problem *out, struct test_random *random,
                      const struct small_kinds *kinds)
{
    for (uint32_t i = 0; i < out->problem.bid_count; i++) {
        struct coupled_bid *bid = &out->bids[i];
        *bid = (struct coupled_bid){
            .quantity = draw(random, draw(random, 0, 9) == 0 ? 0 : 1, 4),
            .price = draw(random, -3, 12) * draw(random, 1, 3),
            .agent = (uint32_t)draw(random, 0, out->problem.agent_count - 1),
            .slot = (uint32_t)draw(random, 0, out->problem.slot_count - 1),
            .place = (uint32_t)draw(random, 0, out->problem.place_count - 1),
            .buy = draw(random, 0, 1) == 0,
        };
        if (kinds->lumps && draw(random, 0, 2) == 0) {
            bid->indivisible = draw(random, 0, 1) == 0;
            bid->min_quantity = draw(random, 0, bid->quantity);
        }
        bid->price += bid->buy ? 4 : 0;
        bid->order = kinds->steps ? (uint32_t)draw(random, 0, 2) : 0;
    }
}

static void draw_network(struct small_problem *out, struct test_random *random,
                         const struct small_kinds *kinds)
{
    struct coupled_problem *problem = &out->problem;
    for (uint32_t i = 1; kinds->lines && i < problem->place_count; i++) {
        out->lines[problem->line_count++] =
            (struct coupled_line){(uint32_t)draw(random, 0, i - 1), i, draw(random, 0, 3)};
    }
    if (kinds->meshed && problem->place_count > 2) {
        out->lines[problem->line_count++] =
            (struct coupled_line){problem->place_count - 1, 0, draw(random, 0, 2)};
    }
    for (uint32_t i = 0; kinds->rows && i < (uint32_t)draw(random, 1, MODEL_ROWS); i++) {
        struct coupled_row *row = &out->rows[problem->row_count++];
        *row = (struct coupled_row){problem->coef_count, 0, (enum coupled_op)draw(random, 0, 8),
                                    draw(random, -1, 6)};
        row->op = row->op > COUPLED_EQUAL ? COUPLED_AT_MOST : row->op;
        row->rhs = row->op == COUPLED_AT_LEAST ? -row->rhs : row->rhs;
        row->rhs = row->op == COUPLED_EQUAL ? 0 : row->rhs;
        for (uint32_t place = 0; place < problem->place_count; place++) {
            if (draw(random, 0, 1) == 0 && problem->coef_count < MODEL_COEFS) {
                out->coefs[problem->coef_count++] =
                    (struct coupled_coef){place, draw(random, -3, 3)};
                row->count++;
            }
        }
    }
}

static void draw_link(struct small_problem *out, struct test_random *random,
                      const struct small_kinds *kinds)
{
    struct coupled_problem *problem = &out->problem;
    uint32_t agent = (uint32_t)draw(random, 0, problem->agent_count - 1);
    struct coupled_link link = {.first = problem->member_count, .den = 1};
    static const enum coupled_link_type plain[] = {COUPLED_AND, COUPLED_OR, COUPLED_XOR,
                                                   COUPLED_BLOCK};
    link.type = plain[draw(random, 0, 3)];
    if (kinds->sums && (!kinds->links || draw(random, 0, 2) == 0)) {
        link.type = COUPLED_SUM;
        link.op = (enum coupled_op)draw(random, 0, 2);
        link.quantity = draw(random, 0, link.op == COUPLED_AT_MOST ? 6 : 2);
    } else if (kinds->converts && draw(random, 0, 1) == 0) {
        link.type = COUPLED_CONVERT;
        link.num = draw(random, 0, 7);
        link.den = draw(random, 1, 4);
    }
    for (uint32_t turn = 0; turn < 2 * problem->bid_count; turn++) {
        uint32_t bid = (uint32_t)draw(random, 0, problem->bid_count - 1);
        bool good = out->bids[bid].agent == agent && link.count < 4;
        good = good && !(link.type == COUPLED_CONVERT && link.count == 2);
        for (uint32_t i = 0; i < link.count; i++) {
            good = good && out->members[link.first + i] != bid;
        }
        if (good && problem->member_count < MODEL_MEMBERS) {
            out->members[problem->member_count++] = bid;
            link.count++;
        }
    }
    if (link.count < 2) {
        problem->member_count = link.first;
        return;
    }
    out->links[problem->link_count++] = link;
}

void small_problem_draw(struct small_problem *out, struct test_random *random,
                        const struct small_kinds *kinds)
{
    *out = (struct small_problem){0};
    struct coupled_problem *problem = &out->problem;
    problem->bid_count = (uint32_t)draw(random, draw(random, 1, DRAWN_BIDS), DRAWN_BIDS);
    problem->agent_count = (uint32_t)draw(random, 1, 3);
    problem->slot_count = (uint32_t)draw(random, 1, DRAWN_SLOTS);
    problem->place_count = (uint32_t)draw(random, 1, kinds->lines ? MODEL_PLACES : 2);
    draw_bids(out, random, kinds);
    draw_network(out, random, kinds);
    uint32_t links =
        kinds->links || kinds->sums || kinds->converts ? (uint32_t)draw(random, 1, MODEL_LINKS) : 0;
    for (uint32_t i = 0; i < links; i++) {
        draw_link(out, random, kinds);
    }
    problem->bids = out->bids;
    problem->lines = out->lines;
    problem->rows = out->rows;
    problem->coefs = out->coefs;
    problem->links = out->links;
    problem->members = out->members;
}

static bool compare(enum coupled_op op, int64_t left, int64_t right)
{
    return op == COUPLED_AT_MOST ? left <= right
                                 : (op == COUPLED_AT_LEAST ? left >= right : left == right);
}

static bool link_is_kept(const struct coupled_problem *problem, const struct coupled_link *link,
                         const int64_t *accepted)
{
    const uint32_t *bids = problem->members + link->first;
    uint32_t on = 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < link->count; i++) {
        on += accepted[bids[i]] > 0 ? 1 : 0;
        sum += accepted[bids[i]];
    }
    if (link->type == COUPLED_AND) {
        return on == 0 || on == link->count;
    }
    if (link->type == COUPLED_OR) {
        return accepted[bids[0]] == 0 || on >= 2;
    }
    if (link->type == COUPLED_XOR) {
        return on < 2;
    }
    if (link->type == COUPLED_SUM) {
        return compare(link->op, sum, link->quantity);
    }
    if (link->type == COUPLED_CONVERT) {
        int64_t made = accepted[bids[0]] * link->num;
        return accepted[bids[1]] == (made - made % link->den) / link->den;
    }
    for (uint32_t i = 1; i < link->count; i++) {
        if (accepted[bids[i]] != accepted[bids[i - 1]]) {
            return false;
        }
    }
    return true;
}

bool model_rules_hold(const struct coupled_problem *problem, const int64_t *accepted)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        if (accepted[i] < 0 || accepted[i] > bid->quantity) {
            return false;
        }
        if (accepted[i] != 0 && (accepted[i] < bid->min_quantity ||
                                 (bid->indivisible && accepted[i] != bid->quantity))) {
            return false;
        }
        for (uint32_t k = 0; k < problem->bid_count && bid->buy; k++) {
            const struct coupled_bid *other = &problem->bids[k];
            if (other->buy && other->agent == bid->agent && other->slot == bid->slot &&
                other->order < bid->order && accepted[i] > 0 && accepted[k] < other->quantity) {
                return false;
            }
        }
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        if (!link_is_kept(problem, &problem->links[i], accepted)) {
            return false;
        }
    }
    return true;
}

static int64_t injection(const struct coupled_problem *problem, const int64_t *accepted,
                         uint32_t slot, uint32_t place)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        if (problem->bids[i].slot == slot && problem->bids[i].place == place) {
            sum += problem->bids[i].buy ? -accepted[i] : accepted[i];
        }
    }
    return sum;
}

static bool rows_hold(const struct coupled_problem *problem, const int64_t *accepted, uint32_t slot)
{
    for (uint32_t i = 0; i < problem->row_count; i++) {
        int64_t sum = 0;
        for (uint32_t k = 0; k < problem->rows[i].count; k++) {
            const struct coupled_coef *coef = &problem->coefs[problem->rows[i].first + k];
            sum += coef->value * injection(problem, accepted, slot, coef->place);
        }
        if (!compare(problem->rows[i].op, sum, problem->rows[i].rhs)) {
            return false;
        }
    }
    return true;
}

static bool slot_balances(const struct coupled_problem *problem, const int64_t *accepted,
                          uint32_t slot, const int64_t *flow)
{
    for (uint32_t place = 0; place < problem->place_count; place++) {
        int64_t net = injection(problem, accepted, slot, place);
        for (uint32_t i = 0; i < problem->line_count; i++) {
            net += problem->lines[i].to == place ? flow[i] : 0;
            net -= problem->lines[i].from == place ? flow[i] : 0;
        }
        if (net != 0) {
            return false;
        }
    }
    return true;
}

bool model_network_holds(const struct coupled_problem *problem, const int64_t *accepted,
                         const int64_t *flow)
{
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        const int64_t *here = flow + (size_t)slot * problem->line_count;
        for (uint32_t i = 0; i < problem->line_count; i++) {
            if (here[i] > problem->lines[i].capacity || -here[i] > problem->lines[i].capacity) {
                return false;
            }
        }
        if (!slot_balances(problem, accepted, slot, here) || !rows_hold(problem, accepted, slot)) {
            return false;
        }
    }
    return true;
}

bool model_can_flow(const struct coupled_problem *problem, const int64_t *accepted, int64_t *flow)
{
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        int64_t *here = flow + (size_t)slot * problem->line_count;
        bool found = false;
        if (!rows_hold(problem, accepted, slot)) {
            return false;
        }
        for (uint32_t i = 0; i < problem->line_count; i++) {
            here[i] = -problem->lines[i].capacity;
        }
        for (bool more = true; more && !found;) {
            found = slot_balances(problem, accepted, slot, here);
            more = false;
            for (uint32_t i = 0; !found && !more && i < problem->line_count; i++) {
                more = here[i] < problem->lines[i].capacity;
                here[i] = more ? here[i] + 1 : -problem->lines[i].capacity;
            }
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

int128 model_welfare(const struct coupled_problem *problem, const int64_t *accepted)
{
    int128 sum = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        sum += (problem->bids[i].buy ? 1 : -1) * (int128)problem->bids[i].price * accepted[i];
    }
    return sum;
}

/* The next vector of quantities, like a counter; false after the last. */
static bool next_quantities(const struct coupled_problem *problem, int64_t *accepted)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        if (accepted[i] < problem->bids[i].quantity) {
            accepted[i]++;
            return true;
        }
        accepted[i] = 0;
    }
    return false;
}

bool model_solve(const struct coupled_problem *problem, int128 *welfare, int64_t *accepted,
                 int64_t *flow)
{
    int64_t quantity[MODEL_BIDS] = {0}, try_flow[MODEL_SLOTS * MODEL_LINES];
    bool found = false;
    do {
        int128 worth = model_welfare(problem, quantity);
        int64_t sum[MODEL_SLOTS] = {0};
        bool even = true;
        for (uint32_t i = 0; i < problem->bid_count; i++) {
            sum[problem->bids[i].slot] += problem->bids[i].buy ? -quantity[i] : quantity[i];
        }
        for (uint32_t i = 0; i < problem->slot_count; i++) {
            even = even && sum[i] == 0;
        }
        if (even && (!found || worth > *welfare) && model_rules_hold(problem, quantity) &&
            model_can_flow(problem, quantity, try_flow)) {
            found = true;
            *welfare = worth;
            memcpy(accepted, quantity, problem->bid_count * sizeof *accepted);
            memcpy(flow, try_flow,
                   (size_t)problem->slot_count * problem->line_count * sizeof *flow);
        }
    } while (next_quantities(problem, quantity));
    return found;
}

int128 model_set_best(const struct coupled_problem *problem, const uint32_t *set, uint32_t count,
                      const int128 *reduced, bool sums)
{
    int64_t quantity[MODEL_BIDS] = {0};
    struct coupled_problem own = *problem;
    struct coupled_link links[MODEL_LINKS];
    struct coupled_bid bids[MODEL_BIDS];
    int128 best = 0;
    memcpy(bids, problem->bids, problem->bid_count * sizeof *bids);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        bool inside = false;
        for (uint32_t k = 0; k < count; k++) {
            inside = inside || set[k] == i;
        }
        bids[i].quantity = inside ? bids[i].quantity : 0;
        bids[i].min_quantity = inside ? bids[i].min_quantity : 0;
    }
    own.bids = bids;
    own.links = links;
    own.link_count = 0;
    for (uint32_t i = 0; i < problem->link_count; i++) {
        bool inside = false;
        for (uint32_t k = 0; k < count; k++) {
            inside = inside || set[k] == problem->members[problem->links[i].first];
        }
        if (inside && (sums || problem->links[i].type != COUPLED_SUM)) {
            links[own.link_count++] = problem->links[i];
        }
    }
    do {
        int128 worth = 0;
        for (uint32_t i = 0; i < problem->bid_count; i++) {
            worth += reduced[i] * quantity[i];
        }
        if (worth > best && model_rules_hold(&own, quantity)) {
            best = worth;
        }
    } while (next_quantities(&own, quantity));
    return best;
}
