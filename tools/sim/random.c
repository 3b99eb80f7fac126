/* Random numbers of a run: xoshiro256** seeded by SplitMix64, both public domain designs by Blackman
 * and Vigna, written down from their description. A run asks nothing else for chance, so the seed
 * says it all. */
#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void sim_random_seed(struct sim_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        random->word[i] = split_mix(&seed);
}

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t sim_random_u64(struct sim_random *random)
{
    uint64_t *w = random->word;
    uint64_t result = rotate(w[1] * 5, 7) * 9;
    uint64_t shifted = w[1] << 17;
    w[2] ^= w[0];
    w[3] ^= w[1];
    w[1] ^= w[2];
    w[0] ^= w[3];
    w[2] ^= shifted;
    w[3] = rotate(w[3], 45);
    return result;
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    MUST(bound > 0);
    return sim_random_u64(&sim->random) % bound;
}

uint64_t sim_between(struct sim *sim, uint64_t least, uint64_t most)
{
    MUST(least <= most);
    return least + sim_below(sim, most - least + 1);
}

bool sim_chance(struct sim *sim, uint32_t permille)
{
    return sim_below(sim, 1000) < permille;
}
