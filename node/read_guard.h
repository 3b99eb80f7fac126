/* Which signed requests have been served: none is served twice (docs/spec/api.md, "Signed requests").
 *
 * It remembers every nonce for as long as its request's time is near enough to the node's clock, in
 * memory that is bounded and given once. Any thread. NULL is never valid. */
#ifndef FLEX_NODE_READ_GUARD_H
#define FLEX_NODE_READ_GUARD_H

#include "node/read_request.h"

enum {
    /* Requests of a minute that are remembered: a thousand a second. 32 bytes each. */
    READ_GUARD_ENTRIES_MAX = 65536,
    /* Of those, by one key; so one reader alone never keeps the others out. */
    READ_GUARD_ENTRIES_PER_KEY = 16384,
    READ_GUARD_SECONDS = 64 /* a power of two over 2 x skew + 2 */
};
_Static_assert(2 * READ_REQUEST_SKEW_MS / 1000 + 2 < READ_GUARD_SECONDS, "every second its slot");

enum read_guard_result {
    READ_GUARD_NEW,
    READ_GUARD_CLOCK, /* its time is too far from the node's clock, or below what is forgotten */
    READ_GUARD_REPLAYED,
    READ_GUARD_FULL /* too many of a minute, of all or of this key; later there is room */
};

struct read_guard;
/* Takes nothing that is older than `now_ms`: an earlier run of the node may have served it. NULL if memory
 * ran out. */
struct read_guard *read_guard_create(int64_t now_ms);
void read_guard_destroy(struct read_guard *guard);
/* Only whether the time is near enough: cheap, before the signature is looked at. Changes nothing. */
bool read_guard_is_near(int64_t time_ms, int64_t now_ms);
/* Takes a request whose signature is good. `now_ms`: the node's clock. A clock that goes backwards brings
 * no request back: what is older than anything that was forgotten is CLOCK. */
enum read_guard_result read_guard_take(struct read_guard *guard, const struct read_request *request,
                                       int64_t now_ms);

#endif
