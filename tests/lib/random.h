/* Seeded random numbers for tests (SplitMix64): the same seed gives the same run everywhere.
 * Header only, so that the tests of every module can include it. */
#ifndef FLEX_TESTS_LIB_RANDOM_H
#define FLEX_TESTS_LIB_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct test_random {
    uint64_t state;
};

static inline uint64_t test_random_u64(struct test_random *random)
{
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 to bound-1; bound > 0. */
static inline uint64_t test_random_below(struct test_random *random, uint64_t bound)
{
    return test_random_u64(random) % bound;
}

static inline void test_random_bytes(struct test_random *random, void *out, size_t size)
{
    uint8_t *at = out;
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)test_random_u64(random);
    }
}

#endif
