/* What the files of clearing share: bids sorted once by interval, side and priority, and the value
 * of one interval for any set of agents (the v(S) of market-rules 6). */
#ifndef FLEX_CONTRACTS_CLEAR_INTERNAL_H
#define FLEX_CONTRACTS_CLEAR_INTERNAL_H

#include "contracts/clear.h"

/* Places of bids, grouped: all buys of slot 0 from best to worst, its sells from best to worst, the
 * buys of slot 1, and so on. Bids of quantity 0 are left out. */
struct clear_index {
    const struct clear_problem *problem;
    uint32_t *place;
    uint32_t *buy_start; /* slot_count + 1 entries; sells start at sell_start */
    uint32_t *sell_start;
    struct clear_search *search; /* one-sided only */
    uint64_t search_steps;       /* what is left of the budget */
    bool exhausted;              /* the budget ended before some proof */
};

struct clear_search;

void clear_index_build(struct clear_index *index, const struct clear_problem *problem,
                       struct clear_arena *arena);

/* Welfare of one slot with the bids of those agents alone that `member` marks; NULL means all. */
int128 clear_slot_value(struct clear_index *index, uint32_t slot, const uint8_t *member);

/* The mechanisms. Each fills `accepted` of the slot's bids. */
void clear_merit_slot(const struct clear_index *index, struct clear_result *out, uint32_t slot,
                      struct clear_arena *arena);
int128 clear_merit_value(const struct clear_index *index, uint32_t slot, const uint8_t *member);
void clear_ordered_slot(const struct clear_index *index, struct clear_result *out, uint32_t slot,
                        struct clear_arena *arena);
int128 clear_ordered_value(const struct clear_index *index, uint32_t slot, const uint8_t *member,
                           int64_t *volume);
bool clear_ordered_check(const struct clear_problem *problem, struct clear_fault *fault,
                         struct clear_arena *arena);
struct clear_search *clear_search_create(const struct clear_problem *problem,
                                         struct clear_arena *arena);
void clear_one_sided_slot(struct clear_index *index, struct clear_result *out, uint32_t slot);
int128 clear_one_sided_value(struct clear_index *index, uint32_t slot, const uint8_t *member);
bool clear_continuous(const struct clear_index *index, struct clear_result *out,
                      struct clear_arena *arena);
void clear_capacity(const struct clear_index *index, struct clear_result *out,
                    struct clear_arena *arena);

static inline bool clear_is_member(const uint8_t *member, uint32_t agent)
{
    return member == NULL || member[agent] != 0;
}

/* In a one-shot clearing all_or_none says what `indivisible` says, and there is nothing that
 * fill_and_kill could leave behind. */
static inline bool clear_is_whole(const struct clear_bid *bid)
{
    return bid->indivisible || bid->kind == CLEAR_ALL_OR_NONE;
}

#endif
