/* The set of verified signatures: two open-addressed tables, younger and older.
 *
 * Invariants:
 *  1. A table is at most half full, so a search ends at an empty slot.
 *  2. The zero hash marks an empty slot; it is never a member.
 *
 * Deliberately absent: removal, and any way to say that a signature is bad. */
#include "node/verified.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { SLOTS = 2 * VERIFIED_PER_GENERATION };
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "slots are found by masking");

struct generation {
    size_t count;
    struct hash slots[SLOTS];
};

struct verified {
    struct generation *younger;
    struct generation *older;
};

struct verified *verified_create(void)
{
    struct verified *verified = calloc(1, sizeof *verified);
    if (verified == NULL) {
        return NULL;
    }
    verified->younger = calloc(1, sizeof *verified->younger);
    verified->older = calloc(1, sizeof *verified->older);
    if (verified->younger == NULL || verified->older == NULL) {
        verified_destroy(verified);
        return NULL;
    }
    return verified;
}

void verified_destroy(struct verified *verified)
{
    if (verified != NULL) {
        free(verified->younger);
        free(verified->older);
        free(verified);
    }
}

/* The slot that holds the leaf, or the empty one where it belongs. */
static size_t slot_of(const struct generation *generation, const struct hash *leaf)
{
    uint32_t at;
    memcpy(&at, leaf->bytes, sizeof at);
    at &= SLOTS - 1;
    while (!hash_is_zero(&generation->slots[at]) && !hash_equal(&generation->slots[at], leaf)) {
        at = (at + 1) & (SLOTS - 1);
    }
    return at;
}

bool verified_has(const struct verified *verified, const struct hash *leaf)
{
    return !hash_is_zero(leaf) &&
           (!hash_is_zero(&verified->younger->slots[slot_of(verified->younger, leaf)]) ||
            !hash_is_zero(&verified->older->slots[slot_of(verified->older, leaf)]));
}

void verified_add(struct verified *verified, const struct hash *leaf)
{
    if (hash_is_zero(leaf)) {
        return;
    }
    if (verified->younger->count == VERIFIED_PER_GENERATION) {
        struct generation *oldest = verified->older;
        verified->older = verified->younger;
        verified->younger = oldest;
        memset(oldest, 0, sizeof *oldest);
    }
    struct generation *younger = verified->younger;
    const size_t slot = slot_of(younger, leaf);
    if (hash_is_zero(&younger->slots[slot])) {
        younger->slots[slot] = *leaf;
        younger->count++;
    }
    MUST(younger->count <= VERIFIED_PER_GENERATION);
}
