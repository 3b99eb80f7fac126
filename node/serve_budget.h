/* How much a peer may have us read and send it: a bucket of bytes per peer that fills with time
 * (consensus.md R11, "rate-limit").
 *
 * A request is 13 bytes long, its answer up to LIMIT_FRAME_BYTES, and the loop makes it. Without a
 * bound one peer that does nothing but ask would keep the loop from everybody's votes. Who is refused
 * asks somebody else after its timeout, as with any answer that does not come. */
#ifndef FLEX_NODE_SERVE_BUDGET_H
#define FLEX_NODE_SERVE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

enum {
    /* Four full range answers at once, then two a second: 8 MiB/s for each of thirty peers are 240
     * MiB/s of copying, a fifth of one core at most. */
    SERVE_BYTES_MAX = 4 * LIMIT_FRAME_BYTES,
    SERVE_BYTES_PER_MS = 2 * LIMIT_FRAME_BYTES / 1000,
    /* What the smallest answer, or none, costs in look-ups: at most 512 requests a second. */
    SERVE_COST_MIN = 16 * 1024
};

struct serve_budget {
    int64_t bytes; /* below zero after an answer that was larger than what was left */
    uint64_t filled_ms;
    bool used; /* all zero is a full bucket */
};

/* Fills up to `now_ms` (monotonic) and says whether a request may be served now. */
bool serve_budget_allows(struct serve_budget *budget, uint64_t now_ms);
/* Charges an answer of `size` bytes, 0 if there was none. */
void serve_budget_charge(struct serve_budget *budget, size_t size);

#endif
