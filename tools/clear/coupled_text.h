/* The mechanism `coupled` in text: its part of "flexclear/1" and its result (docs/spec/coupled.md 1
 * and 8). */
#ifndef FLEX_TOOLS_COUPLED_TEXT_H
#define FLEX_TOOLS_COUPLED_TEXT_H

#include <stdio.h>

#include "contracts/clear_coupled.h"
#include "tools/clear/clear_problem.h"

/* How payments of a coupled auction are named, in the order of the bits of coupled_text.payments. */
enum { COUPLED_PAYMENT_COUNT = 2 };
extern const char *const coupled_payment_names[COUPLED_PAYMENT_COUNT];

/* The problem with its names; owned by the clear_text that it belongs to. */
struct coupled_text {
    struct coupled_problem problem;
    struct coupled_bid *bids;
    struct coupled_line *lines;
    struct coupled_row *rows;
    struct coupled_coef *coefs;
    struct coupled_link *links;
    uint32_t *members;
    uint32_t *auction;         /* per slot */
    int64_t *right;            /* [slot][row]; NULL: no row has limits of its own for an interval */
    const char **node_name;    /* place = carrier x node_count + node */
    const char **carrier_name; /* `el` first */
    uint32_t node_count;
    uint32_t carrier_count;
    uint32_t payment_count;
    uint32_t payments[COUPLED_PAYMENT_COUNT];
};

/* Reads network and links of `top` after its bids, which are in `text` already: each with the names
 * of its node and carrier in these arrays. False with the fault; coupled_text_free either way. */
bool coupled_text_read(struct coupled_text *out, const struct clear_text *text,
                       const struct cJSON *top, const char *const *bid_node,
                       const char *const *bid_carrier, struct clear_text_fault *fault);
void coupled_text_free(struct coupled_text *coupled);

/* Where a solution came from. */
struct coupled_origin {
    const char *from; /* "floor" or "solver" */
    const char *why;  /* of a floor: why no better one; NULL if there is nothing to say */
};

/* Writes the result of a solution that has been checked. False with the fault. */
bool coupled_text_print(FILE *out, const struct clear_text *text, const struct coupled_plan *plan,
                        const struct coupled_solution *solution, const struct coupled_claim *claim,
                        const struct coupled_origin *origin, struct clear_arena *arena,
                        struct clear_text_fault *fault);

/* Says in the problem's own words where a rule is broken, or a problem is none. */
bool coupled_text_broken(const struct clear_text *text, const struct coupled_break *broken,
                         struct clear_text_fault *fault);
bool coupled_text_refused(const struct coupled_fault *refused, struct clear_text_fault *fault);

/* Reads the quantities, flows and multipliers of a result. Where it has no `flow`, flows are looked
 * for that fit the quantities. False with the first thing that is missing or no number. */
bool coupled_text_solution(struct coupled_draft *out, const struct clear_text *text,
                           const struct coupled_plan *plan, const struct cJSON *result,
                           struct clear_arena *arena, struct clear_text_fault *fault);

/* Checks a result of a coupled problem in exact integers: all rules of quantities and multipliers,
 * then every value of the result that follows from them. Needs no solver. */
bool coupled_text_verify(const struct clear_text *text, const char *result, size_t size,
                         struct clear_text_fault *fault);

/* Clears by the floor and, for up to `window_ms`, a solver; 0 asks none. One line of JSON that the
 * caller frees; NULL with the fault. */
char *coupled_text_run(const struct clear_text *text, uint32_t window_ms, size_t *size,
                       struct clear_text_fault *fault);

#endif
