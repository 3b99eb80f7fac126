/* Judging solutions of coupled auctions (docs/spec/coupled.md 13; market-rules 7).
 *
 * Anybody proposes, every node checks, in exact integers and within counted steps. Of two solutions the one
 * with more welfare is the better; of equals the one with the lower bound, whose prices support it better;
 * of those the one with the lower hash of seed and solution.
 *
 * Invariants:
 * 1. Whatever is wrong with a solution, the auction stays as it was, but for the count of strikes.
 * 2. The best solution keeps all rules, and its welfare never falls.
 * 3. A sender with COUPLED_STRIKES_MAX strikes is refused before anything is worked out.
 *
 * Deliberately absent: the fee of the transaction, which it pays as any does. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/coupled_internal.h"
#include "contracts/market.h"

enum { NEUR_PER_UEUR = 1000 };

/* The largest number stands for all that are larger, and the least for all that are less: bounds are as bad
 * as their multipliers, and who sells dear to who bids nothing has a welfare as low as it likes. */
static int64_t saturated(int128 value)
{
    if (value > INT64_MAX) {
        return INT64_MAX;
    }
    return value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

void coupled_best_of(struct coupled_best *out, const struct coupled_claim *claim,
                     const struct hash *solution, struct bytes_view bytes)
{
    /* At most what buyers have locked, so of one that can become the best it is exact. */
    const int128 welfare = div_floor_i128(claim->welfare, NEUR_PER_UEUR);
    out->solution = *solution;
    out->bytes = (uint32_t)bytes.size;
    out->quantity = energy_of(saturated(claim->quantity));
    out->welfare = money_of(saturated(welfare));
    out->welfare_neur = (uint16_t)(claim->welfare - welfare * NEUR_PER_UEUR);
    out->bound = money_of(saturated(div_ceil_i128(claim->bound, NEUR_PER_UEUR)));
    out->gap_neur = saturated(claim->gap);
    out->relaxed_sets = claim->relaxed_sets;
}

/* Gaps say what bounds say, in neur, where the welfare is the same. */
static bool is_better(const struct coupled_best *a, const struct coupled_best *b)
{
    int order = money_compare(a->welfare, b->welfare);
    if (order != 0) {
        return order > 0;
    }
    if (a->welfare_neur != b->welfare_neur) {
        return a->welfare_neur > b->welfare_neur;
    }
    if (a->gap_neur != b->gap_neur) {
        return a->gap_neur < b->gap_neur;
    }
    return hash_compare(&a->solution, &b->solution) < 0;
}

/* Fills all of the event but who and where. */
static enum solution_verdict judge(struct event_solution *event, struct coupled_best *candidate,
                                   struct coupled_scratch *scratch, struct bytes_view bytes,
                                   const struct coupled_record *record)
{
    struct coupled_draft draft;
    struct coupled_claim claim;
    struct coupled_break broken;
    if (!coupled_solution_decode(&draft, &scratch->auction.problem, bytes, &scratch->arena)) {
        return SOLUTION_UNREADABLE;
    }
    const struct coupled_solution solution = coupled_draft_view(&draft);
    if (!coupled_check(&claim, &broken, scratch->plan, &solution, &scratch->arena)) {
        event->rule = (uint8_t)broken.rule;
        event->item = broken.item;
        event->slot = broken.slot;
        return SOLUTION_BROKEN;
    }
    /* What can't be paid out in 128 bits is no better than what can't be summed up. */
    if (!coupled_settles(scratch, &solution)) {
        event->rule = COUPLED_OVERFLOW;
        return SOLUTION_BROKEN;
    }
    struct hash hash;
    coupled_solution_hash(&hash, scratch->plan, &solution, &record->seed);
    coupled_best_of(candidate, &claim, &hash, bytes);
    event->welfare = candidate->welfare;
    event->bound = candidate->bound;
    event->solution = hash;
    return is_better(candidate, &record->best) ? SOLUTION_BEST : SOLUTION_NOT_BETTER;
}

/* What the verdict does to the sender: strikes, and what judging costs. */
static enum contract_error charge(struct contract_call *call, struct coupled_record *record,
                                  struct coupled_solver_record *solver,
                                  enum solution_verdict verdict, struct money fee)
{
    bool wrong = verdict == SOLUTION_UNREADABLE || verdict == SOLUTION_BROKEN;
    solver->solutions++;
    record->solutions++;
    solver->strikes += wrong;
    record->wrong += wrong;
    if (verdict == SOLUTION_BEST || money_ueur(fee) == 0) {
        return CONTRACT_OK;
    }
    if (!money_add(&solver->fees, solver->fees, fee)) {
        solver->fees = money_of(INT64_MAX);
    }
    return token_move(call, pot_balance(&call->sender), pot_fees(), fee);
}

/* Whether the solution is looked at at all; the cheapest reason first. */
static enum contract_error admit(const struct contract_call *call,
                                 const struct solution_propose *action,
                                 const struct coupled_record *record,
                                 const struct coupled_solver_record *solver, struct money fee)
{
    if (record->state != COUPLED_SOLVING || call->context->height > record->closes_height) {
        return CONTRACT_NOT_SOLVING;
    }
    if (!hash_equal(&record->problem, &action->problem)) {
        return CONTRACT_OTHER_PROBLEM;
    }
    if (solver->strikes >= COUPLED_STRIKES_MAX) {
        return CONTRACT_TOO_MANY_STRIKES;
    }
    return money_compare(token_amount(call, pot_balance(&call->sender)), fee) < 0
               ? CONTRACT_INSUFFICIENT_FUNDS
               : CONTRACT_OK;
}

static struct state_key solver_key(const struct coupled_id *id, const struct name *solver)
{
    struct state_key key = coupled_key(STATE_COUPLED_SOLVER, id);
    MUST(key.size + NAME_SIZE <= sizeof key.bytes);
    memcpy(key.bytes + key.size, solver->text, NAME_SIZE);
    key.size += NAME_SIZE;
    return key;
}

enum contract_error solution_propose_apply(struct contract_call *call, const void *record)
{
    const struct solution_propose *action = record;
    const struct coupled_id id = {action->market, action->start, action->direction};
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct coupled_record auction;
    struct coupled_solver_record solver = {0};
    struct market_create terms;
    struct state_key key = coupled_key(STATE_COUPLED, &id);
    struct state_key own_key = solver_key(&id, &call->sender);
    if (!contract_read(call, &key, &coupled_record_codec, &auction)) {
        return CONTRACT_UNKNOWN_AUCTION;
    }
    if (auction.state != COUPLED_SOLVING ||
        !market_terms_read(call, &id.market, auction.version, &terms)) {
        return CONTRACT_NOT_SOLVING;
    }
    (void)contract_read(call, &own_key, &coupled_solver_record_codec, &solver);
    enum contract_error error = admit(call, action, &auction, &solver, terms.coupling.fee);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (!coupled_open_fixed(call, &id, &auction)) {
        return CONTRACT_NOT_SOLVING;
    }
    contract_spend(call, coupled_work_of_check(&scratch->auction.problem));
    struct event_solution event = {.market = id.market,
                                   .start = id.start,
                                   .direction = id.direction,
                                   .proposer = call->sender};
    struct coupled_best candidate = {.proposer = call->sender, .height = call->context->height};
    const size_t mark = scratch->arena.used;
    enum solution_verdict verdict = judge(&event, &candidate, scratch, action->solution, &auction);
    scratch->arena.used = mark;
    event.verdict = (uint8_t)verdict;
    if (verdict == SOLUTION_BEST) {
        coupled_pages_write(call, &id, COUPLED_PAGE_SOLUTION, action->solution, auction.best.bytes);
        auction.best = candidate;
    }
    error = charge(call, &auction, &solver, verdict, terms.coupling.fee);
    contract_write(call, &key, &coupled_record_codec, &auction);
    contract_write(call, &own_key, &coupled_solver_record_codec, &solver);
    contract_event(call, EVENT_SOLUTION, &event);
    return error;
}
