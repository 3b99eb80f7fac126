/* The bucket of bytes behind answers to peers (serve_budget.h).
 *
 * Invariants: never more than SERVE_BYTES_MAX in it; an answer may take it below zero by one frame,
 * so its size need not be known before it is made.
 *
 * Deliberately absent: a bound over all peers together. There are as many as the configuration
 * names, and each has authenticated. */
#include "node/serve_budget.h"

#include "base/fatal.h"

bool serve_budget_allows(struct serve_budget *budget, uint64_t now_ms)
{
    if (!budget->used) {
        *budget = (struct serve_budget){SERVE_BYTES_MAX, now_ms, true};
    }
    uint64_t passed_ms = now_ms > budget->filled_ms ? now_ms - budget->filled_ms : 0;
    /* From empty by a frame to full takes less than that. */
    const uint64_t whole_ms = 2 * SERVE_BYTES_MAX / SERVE_BYTES_PER_MS;
    if (passed_ms > whole_ms) {
        passed_ms = whole_ms;
    }
    budget->filled_ms = now_ms;
    budget->bytes += (int64_t)passed_ms * SERVE_BYTES_PER_MS;
    if (budget->bytes > SERVE_BYTES_MAX) {
        budget->bytes = SERVE_BYTES_MAX;
    }
    return budget->bytes > 0;
}

void serve_budget_charge(struct serve_budget *budget, size_t size)
{
    MUST(budget->used && size <= LIMIT_FRAME_BYTES);
    budget->bytes -= size > SERVE_COST_MIN ? (int64_t)size : SERVE_COST_MIN;
}
