/* Problems and solutions of coupled auctions in the state: in pages, and opened again from there
 * (docs/spec/coupled.md 11).
 *
 * Invariants:
 * 1. The pages of a problem never change once its auction is fixed, and hash to the digest in its record.
 * 2. The pages of a solution are the best one's so far: as many as its record's size needs, and no other.
 * 3. A problem that is open is the one of its digest, so it may be kept from block to block and from state
 *    to state: what it holds is decided by its name.
 *
 * Deliberately absent: which solution is the best (coupled_propose.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/coupled_internal.h"

static uint32_t page_count(size_t size)
{
    return (uint32_t)((size + COUPLED_PAGE_BYTES - 1) / COUPLED_PAGE_BYTES);
}

void coupled_pages_write(const struct contract_call *call, const struct coupled_id *id,
                         enum coupled_page_of what, struct bytes_view bytes, size_t size_before)
{
    for (uint32_t i = 0; i < page_count(bytes.size); i++) {
        size_t from = (size_t)i * COUPLED_PAGE_BYTES;
        size_t left = bytes.size - from;
        struct coupled_page_record page = {bytes_view_of(
            bytes.data + from, left < COUPLED_PAGE_BYTES ? left : COUPLED_PAGE_BYTES)};
        struct state_key key =
            state_key_coupled_page(&id->market, id->start, id->direction, what, i);
        contract_write(call, &key, &coupled_page_record_codec, &page);
    }
    for (uint32_t i = page_count(bytes.size); i < page_count(size_before); i++) {
        struct state_key key =
            state_key_coupled_page(&id->market, id->start, id->direction, what, i);
        contract_remove(call, &key);
    }
}

bool coupled_pages_read(uint8_t *out, size_t size, const struct name *market,
                        struct timestamp start, uint8_t direction, enum coupled_page_of what,
                        bool (*read)(void *context, const struct state_key *key,
                                     struct coupled_page_record *page),
                        void *context)
{
    size_t at = 0;
    for (uint32_t i = 0; i < page_count(size); i++) {
        struct coupled_page_record page;
        struct state_key key = state_key_coupled_page(market, start, direction, what, i);
        size_t wanted = size - at < COUPLED_PAGE_BYTES ? size - at : COUPLED_PAGE_BYTES;
        if (!read(context, &key, &page) || page.bytes.size != wanted) {
            return false;
        }
        memcpy(out + at, page.bytes.data, wanted);
        at += wanted;
    }
    return true;
}

static bool read_page(void *context, const struct state_key *key, struct coupled_page_record *page)
{
    const struct contract_call *call = context;
    return contract_read(call, key, &coupled_page_record_codec, page);
}

static bool read_bytes(const struct contract_call *call, uint8_t *out, size_t size,
                       const struct coupled_id *id, enum coupled_page_of what)
{
    struct contract_call copy = *call;
    bool there = coupled_pages_read(out, size, &id->market, id->start, id->direction, what,
                                    read_page, &copy);
    MUST(there || call->view->fault);
    return there;
}

void coupled_binding_part(struct coupled_solution *out, bool *bound,
                          const struct coupled_problem *problem,
                          const struct coupled_solution *solution, struct clear_arena *arena)
{
    const size_t flows = (size_t)problem->slot_count * problem->line_count;
    struct coupled_draft part = {.accepted =
                                     clear_take(arena, problem->bid_count, sizeof *part.accepted),
                                 .flow = clear_take(arena, flows, sizeof *part.flow)};
    memcpy(part.accepted, solution->accepted, problem->bid_count * sizeof *part.accepted);
    memcpy(part.flow, solution->flow, flows * sizeof *part.flow);
    coupled_bound_slots(bound, problem, part.accepted, arena);
    coupled_draft_clear(&part, problem, bound, false);
    *out = *solution;
    out->accepted = part.accepted;
    out->flow = part.flow;
}

bool coupled_settles(struct coupled_scratch *scratch, const struct coupled_solution *solution)
{
    bool bound[COUPLED_AUCTION_SLOTS_MAX];
    struct coupled_settlement paid;
    struct coupled_solution binding;
    const size_t mark = scratch->arena.used;
    coupled_binding_part(&binding, bound, &scratch->auction.problem, solution, &scratch->arena);
    bool settles = coupled_settle(&paid, scratch->plan, &binding, &scratch->arena);
    scratch->arena.used = mark;
    return settles;
}

uint64_t coupled_work_of_check(const struct coupled_problem *problem)
{
    enum { STEPS_PER_BID = 64, STEPS_PER_CELL = 16 };
    uint64_t cells = ((uint64_t)problem->place_count + problem->line_count + problem->row_count +
                      problem->coef_count) *
                     problem->slot_count;
    uint64_t steps = STEPS_PER_BID * (uint64_t)problem->bid_count + STEPS_PER_CELL * cells +
                     (problem->link_count > 0 ? coupled_check_steps_max : 0);
    return 1 + steps / AUCTION_STEPS_PER_WORK;
}

bool coupled_open(struct coupled_scratch *scratch, const struct hash *digest,
                  struct bytes_view bytes)
{
    struct coupled_fault fault;
    memset(&scratch->open, 0, sizeof scratch->open);
    scratch->arena.used = 0;
    if (!coupled_problem_decode(&scratch->auction, bytes, &scratch->arena)) {
        return false;
    }
    MUST(scratch->arena.used <= COUPLED_AUCTION_ARENA_BYTES);
    MUST(coupled_arena_bytes(&scratch->auction.problem) + COUPLED_AUCTION_ARENA_BYTES <=
         scratch->arena.size - scratch->arena.used);
    scratch->plan = coupled_prepare(&scratch->auction.problem, &fault, &scratch->arena);
    if (scratch->plan == NULL) {
        return false;
    }
    scratch->open = *digest;
    return true;
}

bool coupled_open_fixed(const struct contract_call *call, const struct coupled_id *id,
                        const struct coupled_record *record)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    struct hash digest;
    MUST(record->state != COUPLED_OPEN && !hash_is_zero(&record->problem));
    MUST(record->problem_bytes <= COUPLED_PROBLEM_BYTES_MAX);
    contract_spend(call, 2 * page_count(record->problem_bytes));
    if (hash_equal(&scratch->open, &record->problem)) {
        return true;
    }
    if (!read_bytes(call, scratch->problem_bytes, record->problem_bytes, id,
                    COUPLED_PAGE_PROBLEM)) {
        return false;
    }
    struct bytes_view bytes = bytes_view_of(scratch->problem_bytes, record->problem_bytes);
    coupled_problem_digest(&digest, bytes);
    MUST(hash_equal(&digest, &record->problem));
    MUST(coupled_open(scratch, &digest, bytes));
    return true;
}

bool coupled_read_best(const struct contract_call *call, struct coupled_draft *out,
                       const struct coupled_id *id, const struct coupled_record *record)
{
    struct coupled_scratch *scratch = ledger_coupled_scratch(call->ledger);
    MUST(hash_equal(&scratch->open, &record->problem));
    MUST(record->best.bytes <= COUPLED_SOLUTION_BYTES_MAX);
    if (!read_bytes(call, scratch->solution_bytes, record->best.bytes, id, COUPLED_PAGE_SOLUTION)) {
        return false;
    }
    MUST(coupled_solution_decode(out, &scratch->auction.problem,
                                 bytes_view_of(scratch->solution_bytes, record->best.bytes),
                                 &scratch->arena));
    return true;
}
