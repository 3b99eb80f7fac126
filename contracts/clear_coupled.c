/* Coupled auctions: what a problem must be, and its structure (contracts/clear_coupled.h;
 * market-rules 7; docs/spec/coupled.md 1 and 2).
 *
 * A problem is refused here, by name, if it names bids or places that are not there, links bids of
 * two agents, converts in a circle, asks a sum for more than its bids have, or holds numbers whose
 * sums can leave their types. What is left can be without any solution all the same (rows and sums
 * that contradict each other); that is found by who looks for one.
 *
 * Deliberately absent: text, state, owners, money on accounts. */
#include "contracts/clear_coupled.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

static bool refuse(struct coupled_fault *fault, enum coupled_item item, uint32_t at,
                   const char *field, const char *what)
{
    *fault = (struct coupled_fault){item, at, field, what};
    return false;
}

size_t coupled_arena_bytes(const struct coupled_problem *problem)
{
    /* Generous sums of what the files of this module take, each with CLEAR_ALIGN lost per table. */
    size_t slots = problem->slot_count;
    size_t cells = slots * problem->place_count;
    size_t line_cells = slots * problem->line_count;
    size_t row_cells = slots * problem->row_count;
    if (cells > COUPLED_CELLS_MAX || line_cells > COUPLED_CELLS_MAX ||
        row_cells > COUPLED_CELLS_MAX) {
        cells = line_cells = row_cells = 0; /* refused before any of it is used */
    }
    return 65536 + 1024 * (size_t)problem->bid_count + 192 * cells + 96 * line_cells +
           96 * row_cells + 128 * (size_t)problem->place_count + 64 * (size_t)problem->line_count +
           64 * (size_t)problem->row_count + 32 * (size_t)problem->coef_count +
           128 * (size_t)problem->link_count + 32 * (size_t)problem->member_count +
           64 * (size_t)problem->agent_count + 64 * slots;
}

static bool check_sizes(const struct coupled_problem *problem, struct coupled_fault *fault)
{
    uint64_t slots = problem->slot_count;
    const struct {
        uint64_t count;
        uint64_t most;
        const char *field;
        const char *what;
    } sizes[] = {
        {problem->bid_count, COUPLED_BIDS_MAX, "bids", "more than 100000 bids"},
        {slots, COUPLED_SLOTS_MAX, "bids", "more than 1000 intervals"},
        {problem->place_count, COUPLED_PLACES_MAX, "network", "more than 20000 nodes of carriers"},
        {problem->line_count, COUPLED_LINES_MAX, "network", "more than 40000 lines"},
        {problem->row_count, COUPLED_ROWS_MAX, "network", "more than 20000 rows"},
        {problem->coef_count, COUPLED_COEFS_MAX, "network", "more than 1000000 coefficients"},
        {problem->link_count, COUPLED_LINKS_MAX, "links", "more than 100000 links"},
        {problem->member_count, COUPLED_MEMBERS_MAX, "links", "name more than 400000 bids"},
        {slots * problem->place_count, COUPLED_CELLS_MAX, "network",
         "nodes times intervals are over 1000000"},
        {slots * problem->line_count, COUPLED_CELLS_MAX, "network",
         "lines times intervals are over 1000000"},
        {slots * problem->row_count, COUPLED_CELLS_MAX, "network",
         "rows times intervals are over 1000000"},
        {slots * problem->coef_count, 10 * (uint64_t)COUPLED_CELLS_MAX, "network",
         "coefficients times intervals are over 10000000"},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].count > sizes[i].most) {
            return refuse(fault, COUPLED_NO_ITEM, 0, sizes[i].field, sizes[i].what);
        }
    }
    return true;
}

static bool check_bids(const struct coupled_problem *problem, struct coupled_fault *fault)
{
    int64_t quantity = 0;
    int128 value = 0;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        MUST(bid->agent < problem->agent_count && bid->slot < problem->slot_count);
        MUST(bid->place < problem->place_count);
        if (bid->quantity < 0) {
            return refuse(fault, COUPLED_BID, i, "quantity", "must not be negative");
        }
        if (bid->min_quantity < 0 || bid->min_quantity > bid->quantity) {
            return refuse(fault, COUPLED_BID, i, "min_quantity",
                          bid->min_quantity < 0 ? "must not be negative" : "is over the quantity");
        }
        if (!checked_add_i64(&quantity, quantity, bid->quantity) || quantity > INT64_MAX / 2) {
            return refuse(fault, COUPLED_BID, i, "quantity",
                          "the quantities up to here add up past 2^62-1");
        }
        int128 worth = product_i128(bid->price, bid->quantity);
        if (!checked_add_i128(&value, value, worth < 0 ? -worth : worth) ||
            value >= CLEAR_VALUE_MAX) {
            return refuse(fault, COUPLED_BID, i, "price",
                          "price x quantity up to here adds up past 2^120 neur");
        }
    }
    return true;
}

static bool check_network(const struct coupled_problem *problem, struct coupled_fault *fault)
{
    for (uint32_t i = 0; i < problem->line_count; i++) {
        const struct coupled_line *line = &problem->lines[i];
        MUST(line->from < problem->place_count && line->to < problem->place_count);
        if (line->capacity < 0) {
            return refuse(fault, COUPLED_LINE, i, "capacity", "must not be negative");
        }
        if (line->from == line->to) {
            return refuse(fault, COUPLED_LINE, i, "to", "is the node that the line comes from");
        }
    }
    for (uint32_t i = 0; i < problem->row_count; i++) {
        const struct coupled_row *row = &problem->rows[i];
        MUST((uint64_t)row->first + row->count <= problem->coef_count);
        for (uint32_t at = row->first; at < row->first + row->count; at++) {
            MUST(problem->coefs[at].place < problem->place_count);
            MUST(at == row->first || problem->coefs[at - 1].place < problem->coefs[at].place);
        }
    }
    return true;
}

/* The bids of a sum can't reach what it asks for, whatever else holds. */
static bool sum_contradicts(const struct coupled_problem *problem, const struct coupled_link *link)
{
    int64_t most = 0;
    for (uint32_t at = link->first; at < link->first + link->count; at++) {
        most += problem->bids[problem->members[at]].quantity; /* all bids together fit */
    }
    switch (link->op) {
    case COUPLED_AT_MOST:
        return link->quantity < 0;
    case COUPLED_AT_LEAST:
        return link->quantity > most;
    case COUPLED_EQUAL:
        return link->quantity < 0 || link->quantity > most;
    }
    MUST(false);
    return true;
}

static bool check_members(const struct coupled_problem *problem, uint32_t at, uint32_t *seen,
                          struct coupled_fault *fault)
{
    const struct coupled_link *link = &problem->links[at];
    MUST((uint64_t)link->first + link->count <= problem->member_count);
    for (uint32_t i = 0; i < link->count; i++) {
        uint32_t bid = problem->members[link->first + i];
        MUST(bid < problem->bid_count);
        if (seen[bid] == at + 1) {
            return refuse(fault, COUPLED_LINK, at, "bids", "names a bid twice");
        }
        seen[bid] = at + 1;
        if (problem->bids[bid].agent != problem->bids[problem->members[link->first]].agent) {
            return refuse(fault, COUPLED_LINK, at, "bids", "joins bids of two agents");
        }
    }
    return true;
}

static bool check_links(const struct coupled_problem *problem, struct coupled_fault *fault,
                        struct clear_arena *arena)
{
    size_t mark = arena->used;
    uint32_t *seen = clear_take(arena, problem->bid_count, sizeof *seen);
    arena->used = mark;
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        uint32_t least = link->type == COUPLED_SUM ? 1 : 2;
        if (link->count < least) {
            return refuse(fault, COUPLED_LINK, i, "bids",
                          least == 1 ? "must name a bid" : "must name two bids or more");
        }
        if (!check_members(problem, i, seen, fault)) {
            return false;
        }
        if (link->type == COUPLED_CONVERT) {
            MUST(link->count == 2);
            if (link->num < 0 || link->den < 1) {
                return refuse(fault, COUPLED_LINK, i, link->num < 0 ? "num" : "den",
                              link->num < 0 ? "must not be negative" : "must be above 0");
            }
        }
        if (link->type == COUPLED_SUM && sum_contradicts(problem, link)) {
            return refuse(fault, COUPLED_LINK, i, "quantity", "is out of reach of its bids");
        }
    }
    return true;
}

/* Union and find over bids; a group is named by its first bid. */
static uint32_t group_of(uint32_t *parent, uint32_t bid)
{
    while (parent[bid] != bid) {
        parent[bid] = parent[parent[bid]];
        bid = parent[bid];
    }
    return bid;
}

static void group_join(uint32_t *parent, uint32_t a, uint32_t b)
{
    a = group_of(parent, a);
    b = group_of(parent, b);
    if (a != b) {
        parent[a < b ? b : a] = a < b ? a : b;
    }
}

static uint32_t *groups_create(uint32_t count, struct clear_arena *arena)
{
    uint32_t *parent = clear_take(arena, count, sizeof *parent);
    for (uint32_t i = 0; i < count; i++) {
        parent[i] = i;
    }
    return parent;
}

static bool step_before(const void *context, uint32_t a, uint32_t b)
{
    const struct coupled_bid *bids = ((const struct coupled_problem *)context)->bids;
    if (bids[a].agent != bids[b].agent) {
        return bids[a].agent < bids[b].agent;
    }
    if (bids[a].slot != bids[b].slot) {
        return bids[a].slot < bids[b].slot;
    }
    return bids[a].order != bids[b].order ? bids[a].order < bids[b].order : a < b;
}

/* Buyers' sequences: runs of one agent and slot with more than one step. */
static void plan_sequences(struct coupled_plan *plan, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    uint32_t *buys = clear_take(arena, problem->bid_count, sizeof *buys);
    uint32_t count = 0;
    plan->sequence_bid = clear_take(arena, problem->bid_count, sizeof *plan->sequence_bid);
    plan->sequence_start =
        clear_take(arena, (size_t)problem->bid_count + 1, sizeof *plan->sequence_start);
    plan->sequence_of = clear_take(arena, problem->bid_count, sizeof *plan->sequence_of);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        plan->sequence_of[i] = COUPLED_NONE;
        if (problem->bids[i].buy) {
            buys[count++] = i;
        }
    }
    call_sort(buys, count, step_before, problem);
    uint32_t used = 0;
    for (uint32_t first = 0, next; first < count; first = next) {
        const struct coupled_bid *head = &problem->bids[buys[first]];
        next = first + 1;
        while (next < count && problem->bids[buys[next]].agent == head->agent &&
               problem->bids[buys[next]].slot == head->slot) {
            next++;
        }
        if (problem->bids[buys[next - 1]].order == head->order) {
            continue;
        }
        plan->sequence_start[plan->sequence_count] = used;
        for (uint32_t i = first; i < next; i++) {
            plan->sequence_of[buys[i]] = plan->sequence_count;
            plan->sequence_bid[used++] = buys[i];
        }
        plan->sequence_count++;
    }
    plan->sequence_start[plan->sequence_count] = used;
}

/* Classes of blocks with the quantities that all their bids take. */
static void plan_classes(struct coupled_plan *plan, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    plan->class_of = groups_create(problem->bid_count, arena);
    plan->least = clear_take(arena, problem->bid_count, sizeof *plan->least);
    plan->most = clear_take(arena, problem->bid_count, sizeof *plan->most);
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        for (uint32_t at = 1; link->type == COUPLED_BLOCK && at < link->count; at++) {
            group_join(plan->class_of, problem->members[link->first],
                       problem->members[link->first + at]);
        }
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        uint32_t class = group_of(plan->class_of, i);
        int64_t least = coupled_least(&problem->bids[i]);
        int64_t most = problem->bids[i].quantity;
        plan->class_of[i] = class;
        plan->least[class] = class == i || least > plan->least[class] ? least : plan->least[class];
        plan->most[class] = class == i || most < plan->most[class] ? most : plan->most[class];
    }
}

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b != 0) { /* Euclid: under 100 steps for 63 bits */
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Conversions make a forest of classes, and each tree is small. */
static bool plan_conversions(struct coupled_plan *plan, struct coupled_fault *fault,
                             struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    uint32_t *tree_size = clear_take(arena, problem->bid_count, sizeof *tree_size);
    plan->made_from = clear_take(arena, problem->bid_count, sizeof *plan->made_from);
    plan->made_num = clear_take(arena, problem->bid_count, sizeof *plan->made_num);
    plan->made_den = clear_take(arena, problem->bid_count, sizeof *plan->made_den);
    plan->driver_of = clear_take(arena, problem->bid_count, sizeof *plan->driver_of);
    memset(plan->made_from, 0xff, problem->bid_count * sizeof *plan->made_from);
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        if (link->type != COUPLED_CONVERT) {
            continue;
        }
        uint32_t out = plan->class_of[problem->members[link->first + 1]];
        if (plan->made_from[out] != COUPLED_NONE) {
            return refuse(fault, COUPLED_LINK, i, "out", "is made by another conversion already");
        }
        int64_t divisor = greatest_common_divisor(link->den, link->num);
        plan->made_from[out] = plan->class_of[problem->members[link->first]];
        plan->made_num[out] = link->num / divisor;
        plan->made_den[out] = link->den / divisor;
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        uint32_t class = plan->class_of[problem->members[link->first]];
        for (int depth = 1; link->type == COUPLED_CONVERT && plan->made_from[class] != COUPLED_NONE;
             class = plan->made_from[class]) {
            if (++depth > COUPLED_CONVERT_DEPTH_MAX) {
                return refuse(fault, COUPLED_LINK, i, "in",
                              "goes round in a circle or through more than 8 conversions");
            }
        }
        if (link->type == COUPLED_CONVERT && ++tree_size[class] >= COUPLED_TREE_CLASSES_MAX) {
            return refuse(fault, COUPLED_LINK, i, "in", "feeds more than 15 conversions");
        }
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        uint32_t class = plan->class_of[i];
        while (plan->made_from[class] != COUPLED_NONE) {
            class = plan->made_from[class];
        }
        plan->driver_of[i] = class;
    }
    return true;
}

int64_t coupled_class_quantity(const struct coupled_plan *plan, uint32_t class, int64_t root)
{
    uint32_t path[COUPLED_CONVERT_DEPTH_MAX + 1];
    uint32_t length = 0;
    for (; plan->made_from[class] != COUPLED_NONE; class = plan->made_from[class]) {
        MUST(length <= COUPLED_CONVERT_DEPTH_MAX);
        path[length++] = class;
    }
    int64_t quantity = root;
    while (length > 0) {
        uint32_t out = path[--length];
        int128 made = product_i128(quantity, plan->made_num[out]) / plan->made_den[out];
        quantity = made > INT64_MAX ? INT64_MAX : (int64_t)made;
    }
    return quantity;
}

/* Turns counts per item, each in start[item + 1], into places. */
static void lists_place(struct coupled_lists *lists, uint32_t items)
{
    for (uint32_t i = 0; i < items; i++) {
        lists->start[i + 1] += lists->start[i];
    }
}

static void plan_links(struct coupled_plan *plan, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    struct coupled_lists *lists = &plan->links;
    lists->start = clear_take(arena, (size_t)problem->bid_count + 1, sizeof *lists->start);
    lists->list = clear_take(arena, problem->member_count, sizeof *lists->list);
    uint32_t *used = clear_take(arena, problem->bid_count, sizeof *used);
    for (uint32_t i = 0; i < problem->link_count; i++) {
        for (uint32_t at = 0; at < problem->links[i].count; at++) {
            lists->start[problem->members[problem->links[i].first + at] + 1]++;
        }
    }
    lists_place(lists, problem->bid_count);
    for (uint32_t i = 0; i < problem->link_count; i++) {
        for (uint32_t at = 0; at < problem->links[i].count; at++) {
            uint32_t bid = problem->members[problem->links[i].first + at];
            lists->list[lists->start[bid] + used[bid]++] = i;
        }
    }
}

static void plan_network(struct coupled_plan *plan, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    uint32_t places = problem->place_count;
    uint32_t *used = clear_take(arena, places, sizeof *used);
    plan->arcs.start = clear_take(arena, (size_t)places + 1, sizeof *plan->arcs.start);
    plan->arcs.list = clear_take(arena, 2 * (size_t)problem->line_count, sizeof *plan->arcs.list);
    plan->row_coef.start = clear_take(arena, (size_t)places + 1, sizeof *plan->row_coef.start);
    plan->row_coef.list = clear_take(arena, problem->coef_count, sizeof *plan->row_coef.list);
    plan->coef_row = clear_take(arena, problem->coef_count, sizeof *plan->coef_row);
    for (uint32_t i = 0; i < problem->line_count; i++) {
        plan->arcs.start[problem->lines[i].from + 1]++;
        plan->arcs.start[problem->lines[i].to + 1]++;
    }
    for (uint32_t i = 0; i < problem->row_count; i++) {
        for (uint32_t at = 0; at < problem->rows[i].count; at++) {
            plan->coef_row[problem->rows[i].first + at] = i;
            plan->row_coef.start[problem->coefs[problem->rows[i].first + at].place + 1]++;
        }
    }
    lists_place(&plan->arcs, places);
    lists_place(&plan->row_coef, places);
    for (uint32_t i = 0; i < problem->line_count; i++) {
        uint32_t from = problem->lines[i].from, to = problem->lines[i].to;
        plan->arcs.list[plan->arcs.start[from] + used[from]++] = 2 * i;
        plan->arcs.list[plan->arcs.start[to] + used[to]++] = 2 * i + 1;
    }
    memset(used, 0, places * sizeof *used);
    for (uint32_t i = 0; i < problem->row_count; i++) {
        for (uint32_t at = 0; at < problem->rows[i].count; at++) {
            uint32_t coef = problem->rows[i].first + at;
            uint32_t place = problem->coefs[coef].place;
            plan->row_coef.list[plan->row_coef.start[place] + used[place]++] = coef;
        }
    }
}

static int compare_cell_price(const struct coupled_problem *problem, uint32_t a, uint32_t b,
                              bool falling)
{
    const struct coupled_bid *x = &problem->bids[a], *y = &problem->bids[b];
    if (x->slot != y->slot || x->place != y->place) {
        return coupled_cell(problem, x) < coupled_cell(problem, y) ? -1 : 1;
    }
    int by_price = (x->price > y->price) - (x->price < y->price);
    if (by_price != 0) {
        return falling ? -by_price : by_price;
    }
    return (a > b) - (a < b);
}

static bool rising_before(const void *context, uint32_t a, uint32_t b)
{
    return compare_cell_price(context, a, b, false) < 0;
}

static bool falling_before(const void *context, uint32_t a, uint32_t b)
{
    return compare_cell_price(context, a, b, true) < 0;
}

static void plan_cells(struct coupled_plan *plan, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    plan->cell_start = clear_take(arena, plan->cells + 1, sizeof *plan->cell_start);
    plan->rising = clear_take(arena, problem->bid_count, sizeof *plan->rising);
    plan->falling = clear_take(arena, problem->bid_count, sizeof *plan->falling);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        plan->cell_start[coupled_cell(problem, &problem->bids[i]) + 1]++;
        plan->rising[i] = plan->falling[i] = i;
    }
    for (size_t cell = 0; cell < plan->cells; cell++) {
        plan->cell_start[cell + 1] += plan->cell_start[cell];
    }
    call_sort(plan->rising, problem->bid_count, rising_before, problem);
    call_sort(plan->falling, problem->bid_count, falling_before, problem);
}

/* What the order of bids within and between sets needs. */
struct set_order {
    const struct coupled_plan *plan;
    const uint32_t *step; /* per driver: the first step among its bids */
};

static bool set_before(const void *context, uint32_t a, uint32_t b)
{
    const struct set_order *order = context;
    const struct coupled_plan *plan = order->plan;
    uint32_t x = plan->driver_of[a], y = plan->driver_of[b];
    if (plan->set_of[a] != plan->set_of[b]) {
        return plan->set_of[a] < plan->set_of[b];
    }
    if (order->step[x] != order->step[y]) {
        return order->step[x] < order->step[y];
    }
    return x != y ? x < y : a < b;
}

/* A sum whose bids stand in no other rule of several bids, where lumps leave less than prices can
 * say. Alone, its search can only better the bound: at worst it ends with what prices say. */
static bool sum_is_searched(const struct coupled_plan *plan, const struct coupled_link *link)
{
    bool lumps = false, alone = link->type == COUPLED_SUM;
    for (uint32_t at = 0; at < link->count && alone; at++) {
        uint32_t bid = plan->problem->members[link->first + at];
        alone = plan->sequence_of[bid] == COUPLED_NONE &&
                plan->links.start[bid + 1] - plan->links.start[bid] == 1;
        lumps = lumps || coupled_least(&plan->problem->bids[bid]) > 1;
    }
    return alone && lumps && link->count <= COUPLED_SUM_SEARCHED_MAX;
}

static uint32_t *plan_groups(struct coupled_plan *plan, bool sums, struct clear_arena *arena)
{
    const struct coupled_problem *problem = plan->problem;
    uint32_t *group = groups_create(problem->bid_count, arena);
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        bool joins = sums || link->type != COUPLED_SUM || plan->sum_searched[i];
        for (uint32_t at = 1; at < link->count && joins; at++) {
            group_join(group, problem->members[link->first], problem->members[link->first + at]);
        }
    }
    for (uint32_t i = 0; i < plan->sequence_count; i++) {
        for (uint32_t at = plan->sequence_start[i] + 1; at < plan->sequence_start[i + 1]; at++) {
            group_join(group, plan->sequence_bid[at - 1], plan->sequence_bid[at]);
        }
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        group[i] = group_of(group, i);
    }
    return group;
}

static bool has_logic(const struct coupled_plan *plan, uint32_t bid)
{
    for (uint32_t at = plan->links.start[bid]; at < plan->links.start[bid + 1]; at++) {
        uint32_t link = plan->links.list[at];
        if (plan->problem->links[link].type != COUPLED_SUM || plan->sum_searched[link]) {
            return true;
        }
    }
    return false;
}

static void plan_sets(struct coupled_plan *plan, struct clear_arena *arena)
{
    uint32_t count = plan->problem->bid_count;
    uint32_t *size = clear_take(arena, count, sizeof *size);
    uint32_t *step = clear_take(arena, count, sizeof *step);
    uint32_t members = 0;
    plan->sum_searched = clear_take(arena, plan->problem->link_count, sizeof *plan->sum_searched);
    for (uint32_t i = 0; i < plan->problem->link_count; i++) {
        plan->sum_searched[i] = sum_is_searched(plan, &plan->problem->links[i]);
    }
    plan->unit_of = plan_groups(plan, true, arena);
    plan->set_of = plan_groups(plan, false, arena);
    plan->set_bid = clear_take(arena, count, sizeof *plan->set_bid);
    memset(step, 0xff, count * sizeof *step);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *first = &step[plan->driver_of[i]];
        uint32_t order = plan->sequence_of[i] == COUPLED_NONE ? 0 : plan->problem->bids[i].order;
        *first = order < *first ? order : *first;
        size[plan->set_of[i]]++;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (size[plan->set_of[i]] > 1) {
            plan->set_bid[members++] = i;
        }
    }
    struct set_order order = {plan, step};
    call_sort(plan->set_bid, members, set_before, &order);
    plan->sets = clear_take(arena, members / 2 + 1, sizeof *plan->sets);
    for (uint32_t first = 0; first < members;) {
        uint32_t group = plan->set_of[plan->set_bid[first]];
        struct coupled_set *set = &plan->sets[plan->set_count++];
        *set = (struct coupled_set){first, size[group], true};
        for (uint32_t at = first; at < first + set->count; at++) {
            set->steps_only = set->steps_only && !has_logic(plan, plan->set_bid[at]);
        }
        plan->set_most = set->count > plan->set_most ? set->count : plan->set_most;
        first += set->count;
    }
    for (uint32_t i = 0; i < count; i++) {
        plan->set_of[i] = COUPLED_NONE;
    }
    for (uint32_t i = 0; i < plan->set_count; i++) {
        for (uint32_t at = 0; at < plan->sets[i].count; at++) {
            plan->set_of[plan->set_bid[plan->sets[i].first + at]] = i;
        }
    }
}

const struct coupled_plan *coupled_prepare(const struct coupled_problem *problem,
                                           struct coupled_fault *fault, struct clear_arena *arena)
{
    if (!check_sizes(problem, fault) || !check_bids(problem, fault) ||
        !check_network(problem, fault) || !check_links(problem, fault, arena)) {
        return NULL;
    }
    struct coupled_plan *plan = clear_take(arena, 1, sizeof *plan);
    plan->problem = problem;
    plan->cells = (size_t)problem->slot_count * problem->place_count;
    plan_sequences(plan, arena);
    plan_classes(plan, arena);
    plan_links(plan, arena);
    if (!plan_conversions(plan, fault, arena)) {
        return NULL;
    }
    plan_sets(plan, arena);
    plan_network(plan, arena);
    plan_cells(plan, arena);
    MUST(arena->used <= COUPLED_ARENA_BYTES_MAX);
    return plan;
}
