/* The best reduced surplus of one linked set over its own integer rules (market-rules 7;
 * docs/spec/coupled.md 4): the one part of the bound that is a search.
 *
 * A set falls into drivers: quantities that determine all others by blocks and conversions. What a
 * driver can do is a short list of candidates, one for each pattern of what is on and full; over
 * them goes a depth-first search with a bound, best candidates first. A buyer's steps alone need no
 * search.
 *
 * Invariants: 1. the answer is never under the true best: where steps run out, what is open counts
 * with its bound, and the set is marked as relaxed. 2. Taking nothing is always allowed, so the
 * answer is 0 or more. 3. Counters of links and steps are back at rest after each set.
 *
 * Sums are priced by their multipliers. One over a few bids in lumps that stand in nothing else is
 * searched as well: a branch ends when no quantities of its pattern keep the sum, and a pattern is
 * worth the best quantities that keep it.
 *
 * Deliberately absent: a search over larger sums, which would join a whole portfolio. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

enum {
    SET_CONVERT_PERIOD_MAX = 4096, /* remainders of a conversion that are tried one by one */
    SET_BREAKS_MAX = 4 * COUPLED_TREE_CLASSES_MAX + 4
};

/* A choice and the sum of all best choices stay under this, so that sums of two of them and one
 * branch fit. */
#define SET_VALUE_MAX ((int128)1 << 124)

struct candidate {
    int128 value;
    int64_t root; /* a quantity of the driver that has this value, or shows the pattern */
};
struct driver {
    uint32_t first_bid; /* in set_bid */
    uint32_t bid_count;
    uint32_t first; /* in candidates */
    uint32_t count;
};
struct link_state {
    uint32_t seen;
    uint32_t on;
    bool first_on;
    /* A sum that is searched: the least and the most of what is on, and of what is yet to be seen. */
    int64_t low;
    int64_t high;
    int64_t room;
};
struct step_state {
    int64_t last_on;    /* the latest step with a quantity, or -1 */
    int64_t first_open; /* the earliest that is not full, or INT64_MAX */
};

struct coupled_search {
    const struct coupled_plan *plan;
    const int128 *reduced;
    struct driver *drivers;
    uint32_t driver_count;
    struct candidate *candidates;
    uint32_t candidate_count;
    struct link_state *links;
    struct step_state *steps;
    struct step_state *undo;        /* per bid of the set: what its buyer's steps were before it */
    int128 *prefix;                 /* per depth: value of what is chosen so far */
    int128 *rest;                   /* per depth: the most that the drivers from there on can add */
    uint32_t *next;                 /* per depth: the candidate to try */
    const struct coupled_link *sum; /* the sum of the set at hand, if it is searched */
    uint32_t by_worth[COUPLED_SUM_SEARCHED_MAX]; /* its drivers, best reduced surplus first */
    int64_t filled[COUPLED_SUM_SEARCHED_MAX];    /* per driver: its quantity in the last pattern */
    int64_t *choice; /* per bid of the problem, or NULL: where the best quantities go */
    bool relaxed;
    bool overflow;
};

struct coupled_search *coupled_search_create(const struct coupled_plan *plan,
                                             struct clear_arena *arena)
{
    struct coupled_search *search = clear_take(arena, 1, sizeof *search);
    size_t most = (size_t)plan->set_most + 1;
    search->plan = plan;
    search->drivers = clear_take(arena, most, sizeof *search->drivers);
    search->candidates = clear_take(arena, 5 * most + 4, sizeof *search->candidates);
    search->links = clear_take(arena, plan->problem->link_count, sizeof *search->links);
    search->steps = clear_take(arena, plan->sequence_count, sizeof *search->steps);
    search->undo = clear_take(arena, most, sizeof *search->undo);
    search->prefix = clear_take(arena, most, sizeof *search->prefix);
    search->rest = clear_take(arena, most, sizeof *search->rest);
    search->next = clear_take(arena, most, sizeof *search->next);
    for (uint32_t i = 0; i < plan->sequence_count; i++) {
        search->steps[i] = (struct step_state){-1, INT64_MAX};
    }
    for (uint32_t i = 0; i < plan->problem->link_count; i++) {
        const struct coupled_link *link = &plan->problem->links[i];
        for (uint32_t at = 0; at < link->count && plan->sum_searched[i]; at++) {
            const uint32_t *members = plan->problem->members + link->first;
            search->links[i].room += plan->problem->bids[members[at]].quantity;
        }
    }
    return search;
}

/* Full before the step that begins at `first`, in it what gains, nothing from `end` on. */
static void choose_steps(int64_t *choice, const struct coupled_plan *plan,
                         const struct coupled_set *set, const int128 *reduced, uint32_t first,
                         uint32_t end)
{
    for (uint32_t at = set->first; at < set->first + set->count; at++) {
        uint32_t bid = plan->set_bid[at];
        bool on = at < first || (at < end && reduced[bid] > 0);
        choice[bid] = on ? plan->problem->bids[bid].quantity : 0;
    }
}

/* One buyer's steps: full up to some step, free within it, nothing after it. */
static bool best_of_steps(int128 *best, const struct coupled_plan *plan,
                          const struct coupled_set *set, const int128 *reduced, int64_t *choice)
{
    const struct coupled_bid *bids = plan->problem->bids;
    struct coupled_sum full = {0};
    uint32_t best_first = set->first, best_end = set->first;
    *best = 0;
    for (uint32_t first = set->first, next; first < set->first + set->count; first = next) {
        struct coupled_sum open = full;
        uint32_t order = bids[plan->set_bid[first]].order;
        for (next = first;
             next < set->first + set->count && bids[plan->set_bid[next]].order == order; next++) {
            uint32_t bid = plan->set_bid[next];
            coupled_add_product(&full, reduced[bid], bids[bid].quantity);
            if (reduced[bid] > 0) {
                coupled_add_product(&open, reduced[bid], bids[bid].quantity);
            }
        }
        if (full.overflow || open.overflow) {
            return false;
        }
        if (open.value > *best) {
            *best = open.value;
            best_first = first;
            best_end = next;
        }
    }
    if (choice != NULL) {
        choose_steps(choice, plan, set, reduced, best_first, best_end);
    }
    return true;
}

static int64_t bid_quantity(const struct coupled_plan *plan, uint32_t bid, int64_t root)
{
    return coupled_class_quantity(plan, plan->class_of[bid], root);
}

/* Reduced surplus of a whole driver with this quantity at its root. */
static int128 driver_value(struct coupled_search *search, const struct driver *driver, int64_t root)
{
    struct coupled_sum sum = {0};
    for (uint32_t at = 0; at < driver->bid_count; at++) {
        uint32_t bid = search->plan->set_bid[driver->first_bid + at];
        coupled_add_product(&sum, search->reduced[bid], bid_quantity(search->plan, bid, root));
    }
    search->overflow = search->overflow || sum.overflow;
    return sum.value;
}

static bool driver_allows(const struct coupled_search *search, const struct driver *driver,
                          int64_t root)
{
    const struct coupled_plan *plan = search->plan;
    for (uint32_t at = 0; at < driver->bid_count; at++) {
        uint32_t class = plan->class_of[plan->set_bid[driver->first_bid + at]];
        int64_t quantity = coupled_class_quantity(plan, class, root);
        if (quantity != 0 && (quantity < plan->least[class] || quantity > plan->most[class])) {
            return false;
        }
    }
    return true;
}

static void add_candidate(struct coupled_search *search, struct driver *driver, int128 value,
                          int64_t root)
{
    search->overflow = search->overflow || value > SET_VALUE_MAX || value < -SET_VALUE_MAX;
    uint32_t at = driver->first + driver->count++;
    for (; at > driver->first && search->candidates[at - 1].value < value; at--) {
        search->candidates[at] = search->candidates[at - 1];
    }
    search->candidates[at] = (struct candidate){value, root};
}

/* The smallest quantity of the root from `from` to `to` that makes the class at least `quantity`;
 * to + 1 if none does. Floors of products only rise. */
static int64_t first_root(const struct coupled_plan *plan, uint32_t class, int64_t quantity,
                          int64_t from, int64_t to)
{
    int64_t low = from, high = to + 1;
    while (low < high) { /* halves 63 bits */
        int64_t middle = low + (high - low) / 2;
        if (coupled_class_quantity(plan, class, middle) >= quantity) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static uint32_t insert_break(int64_t *breaks, uint32_t count, int64_t value)
{
    uint32_t at = count;
    MUST(count < SET_BREAKS_MAX);
    for (; at > 0 && breaks[at - 1] > value; at--) {
        breaks[at] = breaks[at - 1];
    }
    breaks[at] = value;
    return count + 1;
}

/* Where the pattern of what is on, allowed and full changes along the quantities of the root. */
static uint32_t list_breaks(int64_t *breaks, const struct coupled_search *search,
                            const struct driver *driver, int64_t from, int64_t to)
{
    const struct coupled_plan *plan = search->plan;
    uint32_t count = insert_break(breaks, 0, from);
    count = insert_break(breaks, count, to + 1);
    for (uint32_t at = 0; at < driver->bid_count; at++) {
        uint32_t class = plan->set_bid[driver->first_bid + at];
        if (plan->class_of[class] != class) {
            continue;
        }
        int64_t marks[4] = {1, plan->least[class], plan->most[class], plan->most[class] + 1};
        for (int i = 0; i < 4; i++) {
            int64_t place = first_root(plan, class, marks[i], from, to);
            if (place > from && place <= to) {
                count = insert_break(breaks, count, place);
            }
        }
    }
    return count;
}

/* After that many units more at the root all floors have risen by whole numbers; 0 if too many. */
static int64_t driver_period(const struct coupled_plan *plan, const struct driver *driver)
{
    int64_t period = 1;
    for (uint32_t at = 0; at < driver->bid_count; at++) {
        uint32_t class = plan->set_bid[driver->first_bid + at];
        if (plan->class_of[class] != class || plan->made_from[class] == COUPLED_NONE) {
            continue;
        }
        if (plan->made_den[class] > SET_CONVERT_PERIOD_MAX / period) {
            return 0;
        }
        period *= plan->made_den[class];
    }
    return period;
}

/* By how much, at most, a class stays behind its share of the root in fractions. */
static int128 class_lag(struct coupled_search *search, uint32_t class)
{
    const struct coupled_plan *plan = search->plan;
    uint32_t path[COUPLED_CONVERT_DEPTH_MAX + 1];
    uint32_t length = 0;
    int128 lag = 0;
    for (; plan->made_from[class] != COUPLED_NONE; class = plan->made_from[class]) {
        path[length++] = class;
    }
    while (length > 0) {
        uint32_t out = path[--length];
        int128 grown;
        if (!checked_mul_i128(&grown, lag, plan->made_num[out]) || grown > INT64_MAX) {
            search->overflow = true;
            return 0;
        }
        lag = div_ceil_i128(grown, plan->made_den[out]) + 1;
    }
    return lag;
}

/* What lies between two quantities can't pass the larger of their values by more than this. */
static int128 driver_slack(struct coupled_search *search, const struct driver *driver)
{
    struct coupled_sum slack = {0};
    for (uint32_t at = 0; at < driver->bid_count; at++) {
        uint32_t bid = search->plan->set_bid[driver->first_bid + at];
        int128 reduced = search->reduced[bid];
        coupled_add_product(&slack, reduced < 0 ? -reduced : reduced,
                            class_lag(search, search->plan->class_of[bid]));
    }
    search->overflow = search->overflow || slack.overflow;
    return slack.value;
}

/* The best of one stretch of quantities with one pattern: all remainders at both of its ends, as in
 * between the value is a line for each of them; or a bound where the remainders are too many. */
static void add_stretch(struct coupled_search *search, struct driver *driver, int64_t from,
                        int64_t to, uint64_t *steps)
{
    int64_t period = driver_period(search->plan, driver);
    uint64_t cost = 2 * (uint64_t)period * driver->bid_count;
    int128 best = driver_value(search, driver, from);
    int128 other = driver_value(search, driver, to);
    int64_t root = other > best ? to : from;
    best = other > best ? other : best;
    if (period == 0 || cost > *steps) {
        struct coupled_sum sum = {best, false};
        if (to - from > 1) {
            coupled_add(&sum, driver_slack(search, driver));
            search->relaxed = true;
        }
        search->overflow = search->overflow || sum.overflow;
        add_candidate(search, driver, sum.value, root);
        return;
    }
    *steps -= cost;
    for (int64_t i = 1; i < period && i < to - from; i++) {
        int128 low = driver_value(search, driver, from + i);
        int128 high = driver_value(search, driver, to - i);
        root = low > best ? from + i : root;
        best = low > best ? low : best;
        root = high > best ? to - i : root;
        best = high > best ? high : best;
    }
    add_candidate(search, driver, best, root);
}

/* Quantities of a pattern may add up all that loses, where no branch's bound looks. */
static bool too_large_for_sum(int128 most, int128 least)
{
    int128 limit = SET_VALUE_MAX / COUPLED_SUM_SEARCHED_MAX;
    return most > limit || most < -limit || least > limit || least < -limit;
}

static void list_candidates(struct coupled_search *search, struct driver *driver, uint64_t *steps)
{
    const struct coupled_plan *plan = search->plan;
    uint32_t root = plan->driver_of[plan->set_bid[driver->first_bid]];
    int64_t from = plan->least[root], to = plan->most[root];
    bool converts = false;
    for (uint32_t at = 0; at < driver->bid_count; at++) {
        uint32_t class = plan->class_of[plan->set_bid[driver->first_bid + at]];
        converts = converts || class != root;
    }
    driver->first = search->candidate_count;
    driver->count = 0;
    add_candidate(search, driver, 0, 0);
    if (to > 0 && from <= to && !converts) {
        int128 most = driver_value(search, driver, to), least = driver_value(search, driver, from);
        search->overflow =
            search->overflow || (search->sum != NULL && too_large_for_sum(most, least));
        if (search->sum == NULL || most >= least) {
            add_candidate(search, driver, most, to);
        }
        if (search->sum == NULL ? from < to : most < least) { /* of a sum one is the pattern */
            add_candidate(search, driver, least, from);
        }
    } else if (to > 0 && from <= to) {
        int64_t breaks[SET_BREAKS_MAX];
        uint32_t count = list_breaks(breaks, search, driver, from, to);
        for (uint32_t i = 0; i + 1 < count; i++) {
            if (breaks[i] < breaks[i + 1] && driver_allows(search, driver, breaks[i])) {
                add_stretch(search, driver, breaks[i], breaks[i + 1] - 1, steps);
            }
        }
    }
    search->candidate_count += driver->count;
}

static void list_drivers(struct coupled_search *search, const struct coupled_set *set,
                         uint64_t *steps)
{
    const struct coupled_plan *plan = search->plan;
    search->driver_count = 0;
    search->candidate_count = 0;
    for (uint32_t at = set->first; at < set->first + set->count;) {
        struct driver *driver = &search->drivers[search->driver_count++];
        uint32_t root = plan->driver_of[plan->set_bid[at]];
        *driver = (struct driver){.first_bid = at};
        while (at < set->first + set->count && plan->driver_of[plan->set_bid[at]] == root) {
            driver->bid_count++;
            at++;
        }
        list_candidates(search, driver, steps);
    }
    struct coupled_sum rest = {0};
    search->rest[search->driver_count] = 0;
    for (uint32_t i = search->driver_count; i-- > 0;) {
        coupled_add(&rest, search->candidates[search->drivers[i].first].value);
        search->rest[i] = rest.value;
    }
    search->overflow = search->overflow || rest.overflow || rest.value > SET_VALUE_MAX;
}

static bool sum_can_hold(const struct coupled_link *link, const struct link_state *state)
{
    bool under = state->low <= link->quantity;
    bool over = state->high + state->room >= link->quantity;
    switch (link->op) {
    case COUPLED_AT_MOST:
        return under;
    case COUPLED_AT_LEAST:
        return over;
    case COUPLED_EQUAL:
        return under && over;
    }
    MUST(false);
    return false;
}

static bool link_can_hold(const struct coupled_link *link, const struct link_state *state,
                          bool searched)
{
    switch (link->type) {
    case COUPLED_AND:
        return state->on == 0 || state->on == state->seen;
    case COUPLED_OR:
        return !(state->first_on && state->seen == link->count && state->on == 1);
    case COUPLED_XOR:
        return state->on <= 1;
    case COUPLED_SUM:
        return !searched || sum_can_hold(link, state);
    case COUPLED_BLOCK:
    case COUPLED_CONVERT:
        return true;
    }
    MUST(false);
    return false;
}

static void move_sum(struct link_state *state, const struct coupled_plan *plan, uint32_t bid,
                     bool on, int64_t turn)
{
    state->low += on ? turn * plan->least[bid] : 0;
    state->high += on ? turn * plan->most[bid] : 0;
    state->room -= turn * plan->problem->bids[bid].quantity;
}

/* Puts one driver at a quantity, or takes it back (`turn` 1 or -1 in the counters). */
static void move_driver(struct coupled_search *search, const struct driver *driver, int64_t root,
                        uint32_t turn, uint32_t first_of_set)
{
    const struct coupled_plan *plan = search->plan;
    for (uint32_t i = 0; i < driver->bid_count; i++) {
        /* Steps are undone in the reverse order of doing them. */
        uint32_t at = driver->first_bid + (turn == 1 ? i : driver->bid_count - 1 - i);
        uint32_t bid = plan->set_bid[at];
        int64_t quantity = bid_quantity(plan, bid, root);
        for (uint32_t k = plan->links.start[bid]; k < plan->links.start[bid + 1]; k++) {
            const struct coupled_link *link = &plan->problem->links[plan->links.list[k]];
            struct link_state *state = &search->links[plan->links.list[k]];
            state->seen += turn;
            state->on += quantity > 0 ? turn : 0;
            if (quantity > 0 && plan->problem->members[link->first] == bid) {
                state->first_on = turn == 1;
            }
            if (plan->sum_searched[plan->links.list[k]]) {
                move_sum(state, plan, bid, quantity > 0, turn == 1 ? 1 : -1);
            }
        }
        if (plan->sequence_of[bid] == COUPLED_NONE) {
            continue;
        }
        struct step_state *steps = &search->steps[plan->sequence_of[bid]];
        int64_t order = plan->problem->bids[bid].order;
        if (turn != 1) {
            *steps = search->undo[at - first_of_set];
            continue;
        }
        search->undo[at - first_of_set] = *steps;
        if (quantity > 0 && order > steps->last_on) {
            steps->last_on = order;
        }
        if (quantity < plan->problem->bids[bid].quantity && order < steps->first_open) {
            steps->first_open = order;
        }
    }
}

static bool driver_fits(const struct coupled_search *search, const struct driver *driver)
{
    const struct coupled_plan *plan = search->plan;
    for (uint32_t at = driver->first_bid; at < driver->first_bid + driver->bid_count; at++) {
        uint32_t bid = plan->set_bid[at];
        for (uint32_t k = plan->links.start[bid]; k < plan->links.start[bid + 1]; k++) {
            uint32_t link = plan->links.list[k];
            if (!link_can_hold(&plan->problem->links[link], &search->links[link],
                               plan->sum_searched[link])) {
                return false;
            }
        }
        if (plan->sequence_of[bid] != COUPLED_NONE) {
            const struct step_state *steps = &search->steps[plan->sequence_of[bid]];
            if (steps->last_on > steps->first_open) {
                return false;
            }
        }
    }
    return true;
}

/* The searched sum of a set: its bids stand in nothing else. */
static void begin_sum(struct coupled_search *search, const struct coupled_set *set)
{
    const struct coupled_plan *plan = search->plan;
    uint32_t first = plan->set_bid[set->first];
    bool linked = plan->links.start[first] < plan->links.start[first + 1];
    uint32_t link = linked ? plan->links.list[plan->links.start[first]] : 0;
    search->sum = NULL;
    if (!linked || !plan->sum_searched[link]) {
        return;
    }
    MUST(set->count <= COUPLED_SUM_SEARCHED_MAX);
    search->sum = &plan->problem->links[link];
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t at = i;
        int128 worth = search->reduced[plan->set_bid[set->first + i]];
        for (; at > 0 &&
               search->reduced[plan->set_bid[set->first + search->by_worth[at - 1]]] < worth;
             at--) {
            search->by_worth[at] = search->by_worth[at - 1];
        }
        search->by_worth[at] = i;
    }
}

/* The best quantities of a pattern that keep the searched sum, and their value: from the least of
 * all that is on, the worthiest rises first, as long as it gains or the sum asks for more. */
static int128 fill_pattern(struct coupled_search *search, uint32_t first_of_set)
{
    const struct coupled_plan *plan = search->plan;
    const struct coupled_link *link = search->sum;
    int64_t total = 0;
    int128 value = 0;
    for (uint32_t i = 0; i < search->driver_count; i++) {
        const struct driver *driver = &search->drivers[i];
        uint32_t bid = plan->set_bid[first_of_set + i];
        bool on = search->candidates[driver->first + search->next[i] - 1].root > 0;
        search->filled[i] = on ? plan->least[bid] : 0;
        total += search->filled[i];
    }
    for (uint32_t i = 0; i < search->driver_count; i++) {
        uint32_t place = search->by_worth[i];
        uint32_t bid = plan->set_bid[first_of_set + place];
        int64_t *quantity = &search->filled[place];
        int64_t room = *quantity > 0 ? plan->most[bid] - *quantity : 0;
        int64_t missing = link->quantity - total;
        if (missing < room && link->op != COUPLED_AT_LEAST) {
            room = missing > 0 ? missing : 0;
        }
        if (search->reduced[bid] <= 0) { /* loses, so no more than is asked for */
            int64_t asked = link->op == COUPLED_AT_MOST || missing < 0 ? 0 : missing;
            room = asked < room ? asked : room;
        }
        *quantity += room;
        total += room;
        value += search->reduced[bid] * *quantity;
    }
    return value;
}

/* What a whole choice is worth: it has been walked to the end. */
static int128 leaf_value(struct coupled_search *search, uint32_t first_of_set)
{
    return search->sum != NULL ? fill_pattern(search, first_of_set)
                               : search->prefix[search->driver_count];
}

/* A pattern of a searched sum costs a pass over its bids. */
static bool pay_leaf(const struct coupled_search *search, uint64_t *steps)
{
    const uint64_t cost = search->sum != NULL ? search->driver_count : 0;
    if (*steps < cost) {
        return false;
    }
    *steps -= cost;
    return true;
}

/* Writes down the quantities of the choice at hand, for who asked for them. */
static void keep_choice(struct coupled_search *search, uint32_t first_of_set)
{
    for (uint32_t i = 0; i < search->driver_count && search->choice != NULL; i++) {
        const struct driver *driver = &search->drivers[i];
        int64_t root = search->candidates[driver->first + search->next[i] - 1].root;
        for (uint32_t at = driver->first_bid; at < driver->first_bid + driver->bid_count; at++) {
            uint32_t bid = search->plan->set_bid[at];
            search->choice[bid] = search->sum != NULL ? search->filled[at - first_of_set]
                                                      : bid_quantity(search->plan, bid, root);
        }
    }
}

/* The most that may still lie on branches that were not looked at. */
static int128 open_bound(const struct coupled_search *search, uint32_t depth, int128 best)
{
    for (uint32_t i = 0; i <= depth && i < search->driver_count; i++) {
        const struct driver *driver = &search->drivers[i];
        if (search->next[i] < driver->count) {
            int128 most = search->prefix[i] +
                          search->candidates[driver->first + search->next[i]].value +
                          search->rest[i + 1];
            best = most > best ? most : best;
        }
    }
    return best;
}

/* A branch is followed only while it can still pass 0, so no prefix is under -rest[0], and sums stay
 * within a few times SET_VALUE_MAX. */
static int128 walk(struct coupled_search *search, uint32_t first_of_set, uint64_t *steps)
{
    int128 best = 0;
    uint32_t depth = 0;
    search->next[0] = 0;
    search->prefix[0] = 0;
    for (;;) {
        if (depth == search->driver_count) {
            if (!pay_leaf(search, steps)) {
                search->relaxed = true;
                best = search->prefix[depth] > best ? search->prefix[depth] : best;
                best = open_bound(search, depth, best);
                break;
            }
            int128 value = leaf_value(search, first_of_set);
            if (value > best) {
                best = value;
                keep_choice(search, first_of_set);
            }
        } else {
            const struct driver *driver = &search->drivers[depth];
            const struct candidate *candidate =
                &search->candidates[driver->first + search->next[depth]];
            bool any = search->next[depth] < driver->count;
            if (any && search->prefix[depth] + candidate->value + search->rest[depth + 1] > best) {
                if (*steps < driver->bid_count) {
                    search->relaxed = true;
                    best = open_bound(search, depth, best);
                    break;
                }
                *steps -= driver->bid_count;
                search->next[depth]++;
                move_driver(search, driver, candidate->root, 1, first_of_set);
                if (driver_fits(search, driver)) {
                    search->prefix[depth + 1] = search->prefix[depth] + candidate->value;
                    search->next[++depth] = 0;
                } else {
                    move_driver(search, driver, candidate->root, UINT32_MAX, first_of_set);
                }
                continue;
            }
        }
        if (depth == 0) {
            return best;
        }
        depth--;
        const struct driver *driver = &search->drivers[depth];
        move_driver(search, driver,
                    search->candidates[driver->first + search->next[depth] - 1].root, UINT32_MAX,
                    first_of_set);
    }
    while (depth-- > 0) {
        const struct driver *driver = &search->drivers[depth];
        move_driver(search, driver,
                    search->candidates[driver->first + search->next[depth] - 1].root, UINT32_MAX,
                    first_of_set);
    }
    return best;
}

bool coupled_set_choose(int128 *best, bool *relaxed, int64_t *choice, struct coupled_search *search,
                        const struct coupled_set *set, const int128 *reduced, uint64_t *steps)
{
    uint64_t mine = *steps < coupled_set_steps_max ? *steps : coupled_set_steps_max;
    uint64_t left = mine;
    *relaxed = false;
    if (set->steps_only) {
        return best_of_steps(best, search->plan, set, reduced, choice);
    }
    for (uint32_t at = set->first; at < set->first + set->count && choice != NULL; at++) {
        choice[search->plan->set_bid[at]] = 0;
    }
    search->choice = choice;
    search->reduced = reduced;
    search->relaxed = false;
    search->overflow = false;
    begin_sum(search, set);
    list_drivers(search, set, &left);
    if (search->overflow) {
        return false;
    }
    *best = walk(search, set->first, &left);
    *relaxed = search->relaxed;
    *steps -= mine - left;
    return true;
}

bool coupled_set_best(int128 *best, bool *relaxed, struct coupled_search *search,
                      const struct coupled_set *set, const int128 *reduced, uint64_t *steps)
{
    return coupled_set_choose(best, relaxed, NULL, search, set, reduced, steps);
}
