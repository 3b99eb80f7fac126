/* Coupled auctions as files: a portfolio from JSON, an auction's problem as flexclear/1, a result of
 * flexclear as a solution of the auction (docs/spec/coupled.md 1, 8, 11 and 12; docs/wallet.md).
 *
 * All fail with the place and the reason in *fault. NULL is never a valid argument. */
#ifndef FLEX_TOOLS_COUPLED_FILE_H
#define FLEX_TOOLS_COUPLED_FILE_H

#include "contracts/actions.h"
#include "contracts/coupled_problem.h"
#include "tools/clear/clear_problem.h"

/* {"bids":[{"id","side","interval","quantity","price","carrier","node" or "device", ...}],"links":[...]}
 * with amounts and links as in a problem of flexclear. Where a bid has a "schedule", its net consumption in
 * Wh, `declared` says so; the salted hash is the caller's to make. */
bool coupled_file_portfolio(struct portfolio_place *out, bool declared[LIMIT_PORTFOLIO_BIDS],
                            struct energy schedule[LIMIT_PORTFOLIO_BIDS], const struct cJSON *file,
                            struct clear_text_fault *fault);

/* The problem as flexclear reads it: bids named by their orders, agents a1, a2, ... The caller frees it;
 * NULL if memory ran out. Nodes that no line touches get one of capacity 0, behind the others. */
char *coupled_file_problem(const struct coupled_auction_problem *auction);

/* What a result of flexclear for that very file says, as the auction's solution. */
bool coupled_file_solution(struct coupled_draft *out, const struct coupled_auction_problem *auction,
                           const char *result, size_t size, struct clear_arena *arena,
                           struct clear_text_fault *fault);
/* The reverse: a solution that keeps all rules, as flexclear would print it. The caller frees it. */
char *coupled_file_result(const struct coupled_auction_problem *auction,
                          struct coupled_draft *solution, bool floor,
                          struct clear_text_fault *fault);

#endif
