/* The twins campaign: every way in which the network can divide a cluster, some of whose validators
 * run on two hosts with one key, in each of a few rounds (fault scenario 47; docs/simulator.md).
 *
 * A scenario says which validators are twinned and, for each round, on which of two sides each host
 * stands. Scenarios are numbered; those that differ by names alone are one:
 *   - the two sides of a round have no names;
 *   - the two hosts of a twin have none;
 *   - validators that lead none of the rounds have none, twinned or not.
 * So a number stands for: which leaders are twinned; a column (its sides, a bit per round) for each
 * honest leader, the first one's being zero; an unordered pair of columns for each twinned leader;
 * a multiset of pairs for the other twins, and a multiset of columns for the other honest ones. */
#ifndef FLEX_TOOLS_SIM_TWINS_H
#define FLEX_TOOLS_SIM_TWINS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

enum {
    SIM_TWINS_ROUNDS_MAX = 5,
    SIM_TWINS_NODES_MAX = 10,
    SIM_TWINS_HOSTS_MAX = 2 * SIM_TWINS_NODES_MAX,
    SIM_TWINS_FIRST_VIEW = 2 /* the view of the first round: view 1 lets all cores start */
};

struct sim_twins {
    uint32_t validators; /* LIMIT_VALIDATORS_MIN to SIM_TWINS_NODES_MAX */
    uint32_t twinned;    /* below validators */
    uint32_t rounds;     /* 1 to SIM_TWINS_ROUNDS_MAX */
};

/* Hosts 0 to validators - 1 are the validators' own; one more for each twin, in their order. */
struct sim_twins_scenario {
    bool is_twinned[SIM_TWINS_NODES_MAX];
    uint8_t sides[SIM_TWINS_HOSTS_MAX]; /* bit r: the side in round r */
};

/* How many there are; false if they can't be numbered by 64 bits. */
bool sim_twins_count(const struct sim_twins *twins, uint64_t *out);
/* index < count. */
void sim_twins_scenario(const struct sim_twins *twins, uint64_t index,
                        struct sim_twins_scenario *out);
/* The index of the i-th scenario of a sample: spread evenly over all of them however many are taken,
 * and none comes twice before all have come. i < total. */
uint64_t sim_twins_sample(uint64_t total, uint64_t i);

#endif
