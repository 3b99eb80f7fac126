/* A state_view over a sorted array, for tests: simple enough to be seen to be right, and strict where
 * the real overlay is merely allowed to be.
 *
 * What `get` and `next` lend is freed at the next write or rollback, so that a contract that holds on
 * to it too long is caught by the address sanitizer. Savepoints that nest, or are left open, abort. */
#ifndef FLEX_TESTS_MEMORY_STATE_H
#define FLEX_TESTS_MEMORY_STATE_H

#include "contracts/state.h"
#include "crypto/hash.h"

struct memory_state;

struct memory_state *memory_state_create(void);
void memory_state_destroy(struct memory_state *state);
struct state_view *memory_state_view(struct memory_state *state);
/* What `changes` compares with, from now on. */
void memory_state_begin_block(struct memory_state *state);
/* Entries with this prefix. */
size_t memory_state_count(const struct memory_state *state, struct bytes_view prefix);
/* Over all entries, in order: equal states have equal digests. */
void memory_state_digest(const struct memory_state *state, struct hash *out);
/* The view faults at the n-th call from now, for good; 0: never. */
void memory_state_fail_at(struct memory_state *state, uint64_t calls);
/* Calls of the view so far. */
uint64_t memory_state_calls(const struct memory_state *state);

#endif
