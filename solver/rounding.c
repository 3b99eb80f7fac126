/* Mends rounded quantities (solver/rounding.h). In rounds, as turning one bid off can break
 * another link; what still doesn't hold after the last is for the check to refuse.
 *
 * Deliberately absent: any care for welfare; the engine's polish comes after it. */
#include "solver/rounding.h"

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

/* Conversions of conversions of blocks: as deep as they may be, and once more to see that all hold. */
enum { ROUNDING_ROUNDS_MAX = 2 * COUPLED_CONVERT_DEPTH_MAX };

static int64_t lower(const struct coupled_problem *problem, uint32_t bid, int64_t quantity)
{
    return quantity < coupled_least(&problem->bids[bid]) ? 0 : quantity;
}

static bool keep_steps(int64_t *accepted, const struct coupled_plan *plan, uint32_t sequence)
{
    const struct coupled_bid *bids = plan->problem->bids;
    bool changed = false, open = true;
    uint32_t last = 0;
    for (uint32_t at = plan->sequence_start[sequence]; at < plan->sequence_start[sequence + 1];
         at++) {
        uint32_t bid = plan->sequence_bid[at];
        if (!open && bids[bid].order > last && accepted[bid] > 0) {
            accepted[bid] = 0;
            changed = true;
        }
        if (open && accepted[bid] < bids[bid].quantity) {
            open = false;
            last = bids[bid].order;
        }
    }
    return changed;
}

static uint32_t count_on(const int64_t *accepted, const uint32_t *members, uint32_t count)
{
    uint32_t on = 0;
    for (uint32_t i = 0; i < count; i++) {
        on += accepted[members[i]] > 0;
    }
    return on;
}

static bool keep_conversion(int64_t *accepted, const struct coupled_problem *problem,
                            const struct coupled_link *link)
{
    uint32_t in = problem->members[link->first], out = problem->members[link->first + 1];
    int128 made = product_i128(accepted[in], link->num) / link->den;
    if (made == accepted[out]) {
        return false;
    }
    bool fits = made <= problem->bids[out].quantity && lower(problem, out, (int64_t)made) == made;
    accepted[in] = fits ? accepted[in] : 0;
    accepted[out] = fits ? (int64_t)made : 0;
    return true;
}

/* What one member may keep: all of it, or nothing, or a block's common quantity. */
static bool keep_link(int64_t *accepted, const struct coupled_problem *problem,
                      const struct coupled_link *link)
{
    const uint32_t *members = problem->members + link->first;
    uint32_t on = count_on(accepted, members, link->count);
    uint32_t best = members[0];
    int64_t least = accepted[best];
    bool changed = false;
    for (uint32_t i = 0; i < link->count; i++) {
        best = accepted[members[i]] > accepted[best] ? members[i] : best;
        least = accepted[members[i]] < least ? accepted[members[i]] : least;
    }
    for (uint32_t i = 0; link->type == COUPLED_BLOCK && i < link->count; i++) {
        least = lower(problem, members[i], least);
    }
    for (uint32_t i = 0; i < link->count; i++) {
        int64_t *quantity = &accepted[members[i]];
        int64_t before = *quantity;
        switch (link->type) {
        case COUPLED_AND:
            *quantity = on < link->count ? 0 : before;
            break;
        case COUPLED_OR:
            *quantity = i == 0 && on < 2 ? 0 : before;
            break;
        case COUPLED_XOR:
            *quantity = members[i] == best ? before : 0;
            break;
        case COUPLED_BLOCK:
            *quantity = least;
            break;
        case COUPLED_SUM:
        case COUPLED_CONVERT:
            break;
        }
        changed = changed || *quantity != before;
    }
    return changed;
}

void rounding_keep_links(struct coupled_draft *draft, const struct coupled_plan *plan)
{
    const struct coupled_problem *problem = plan->problem;
    bool changed = true;
    for (int round = 0; round < ROUNDING_ROUNDS_MAX && changed; round++) {
        changed = false;
        for (uint32_t i = 0; i < plan->sequence_count; i++) {
            changed = keep_steps(draft->accepted, plan, i) || changed;
        }
        for (uint32_t i = 0; i < problem->link_count; i++) {
            const struct coupled_link *link = &problem->links[i];
            changed =
                (link->type == COUPLED_CONVERT ? keep_conversion(draft->accepted, problem, link)
                                               : keep_link(draft->accepted, problem, link)) ||
                changed;
        }
    }
}

void rounding_drop_fractions(struct coupled_draft *draft, const struct coupled_problem *problem)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        draft->accepted[i] = lower(problem, i, draft->accepted[i]);
    }
}
