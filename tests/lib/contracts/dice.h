/* Random numbers for tests: the same seed gives the same run, on every machine. */
#ifndef FLEX_TESTS_CONTRACTS_DICE_H
#define FLEX_TESTS_CONTRACTS_DICE_H

#include <stdint.h>

struct dice {
    uint64_t state;
};
uint64_t dice_next(struct dice *dice);
/* least <= result <= most. */
int64_t dice_between(struct dice *dice, int64_t least, int64_t most);

#endif
