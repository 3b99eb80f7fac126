/* SplitMix64, as published by Steele, Lea and Flood: small, and good enough to find bugs with. */
#include "tests/lib/contracts/dice.h"

uint64_t dice_next(struct dice *dice)
{
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = dice->state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

int64_t dice_between(struct dice *dice, int64_t least, int64_t most)
{
    uint64_t span = (uint64_t)most - (uint64_t)least + 1;
    uint64_t drawn = dice_next(dice);
    return (int64_t)((uint64_t)least + (span == 0 ? drawn : drawn % span));
}
