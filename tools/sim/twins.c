/* Numbering of the twins campaign's scenarios (twins.h): mixed radix over what a scenario consists of,
 * and combinatorial numbers for pairs and multisets. Nothing here knows of a cluster. */
#include "tools/sim/twins.h"

#include <string.h>

#include "base/checked.h"
#include "base/fatal.h"

/* Of one choice of twinned leaders. */
struct shape {
    uint64_t columns;     /* 2^rounds */
    uint64_t pairs;       /* unordered, with repetition */
    uint32_t leaders;     /* validators that lead a round */
    uint32_t twin_mask;   /* bit i: the i-th of them is twinned */
    uint32_t other_twins; /* twinned, lead no round */
    uint32_t other_honest;
    bool possible;
};

static bool times(uint64_t *product, uint64_t factor)
{
    uint128 wide = (uint128)*product * factor;
    *product = (uint64_t)wide;
    return wide == *product;
}

/* Multisets of `size` out of `kinds`: (kinds + size - 1 over size), each step exact. */
static bool multisets(uint64_t *out, uint64_t kinds, uint64_t size)
{
    uint128 count = 1;
    for (uint64_t i = 1; i <= size; i++) {
        count = count * (kinds + i - 1) / i;
        if (count > UINT64_MAX)
            return false;
    }
    *out = (uint64_t)count;
    return true;
}

static struct shape shape_of(const struct sim_twins *twins, uint32_t twin_mask)
{
    uint32_t leaders = twins->rounds < twins->validators ? twins->rounds : twins->validators;
    uint32_t of_them = (uint32_t)__builtin_popcount(twin_mask);
    uint64_t columns = UINT64_C(1) << twins->rounds;
    struct shape shape = {.columns = columns,
                          .pairs = columns * (columns + 1) / 2,
                          .leaders = leaders,
                          .twin_mask = twin_mask};
    shape.possible =
        of_them <= twins->twinned && twins->twinned - of_them <= twins->validators - leaders;
    if (shape.possible) {
        shape.other_twins = twins->twinned - of_them;
        shape.other_honest = twins->validators - leaders - shape.other_twins;
    }
    return shape;
}

/* The sides have no names, so the first honest leader's column is zero; where all leaders are twinned,
 * the first host's of the first of them. */
static uint64_t leader_choices(const struct shape *shape, uint32_t leader)
{
    uint32_t honest = ~shape->twin_mask & ((UINT32_C(1) << shape->leaders) - 1);
    bool is_twin = (shape->twin_mask >> leader & 1) != 0;
    if (honest == 0)
        return leader == 0 ? shape->columns : shape->pairs;
    if (is_twin)
        return shape->pairs;
    return (honest & ((UINT32_C(1) << leader) - 1)) == 0 ? 1 : shape->columns;
}

static bool shape_count(const struct shape *shape, uint64_t *out)
{
    uint64_t twins = 0, honest = 0;
    *out = 0;
    if (!shape->possible)
        return true;
    *out = 1;
    for (uint32_t leader = 0; leader < shape->leaders; leader++)
        if (!times(out, leader_choices(shape, leader)))
            return false;
    return multisets(&twins, shape->pairs, shape->other_twins) &&
           multisets(&honest, shape->columns, shape->other_honest) && times(out, twins) &&
           times(out, honest);
}

static uint32_t masks_of(const struct sim_twins *twins)
{
    MUST(twins->validators >= LIMIT_VALIDATORS_MIN && twins->validators <= SIM_TWINS_NODES_MAX);
    MUST(twins->rounds >= 1 && twins->rounds <= SIM_TWINS_ROUNDS_MAX);
    MUST(twins->twinned < twins->validators);
    uint32_t leaders = twins->rounds < twins->validators ? twins->rounds : twins->validators;
    return UINT32_C(1) << leaders;
}

bool sim_twins_count(const struct sim_twins *twins, uint64_t *out)
{
    uint32_t masks = masks_of(twins);
    *out = 0;
    for (uint32_t mask = 0; mask < masks; mask++) {
        struct shape shape = shape_of(twins, mask);
        uint64_t count = 0;
        if (!shape_count(&shape, &count) || !checked_add_u64(out, *out, count))
            return false;
    }
    return true;
}

/* --- from a number to a scenario ------------------------------------------------------------------ */

static uint64_t digit(uint64_t *index, uint64_t radix)
{
    uint64_t value = *index % radix;
    *index /= radix;
    return value;
}

/* The pair with that number: (0, 0), (0, 1), ..., (1, 1), (1, 2), ... */
static void pair_of(uint64_t number, uint64_t columns, uint8_t *first, uint8_t *second)
{
    uint64_t low = 0;
    for (; number >= columns - low; low++)
        number -= columns - low;
    MUST(low < columns);
    *first = (uint8_t)low;
    *second = (uint8_t)(low + number);
}

/* The multiset with that number, its members ascending. */
static void multiset_of(uint64_t number, uint64_t kinds, uint32_t size, uint64_t *members)
{
    uint64_t least = 0;
    for (uint32_t i = 0; i < size; i++) {
        uint64_t below = 0;
        for (;; least++) {
            MUST(least < kinds && multisets(&below, kinds - least, size - i - 1));
            if (number < below)
                break;
            number -= below;
        }
        members[i] = least;
    }
    MUST(number == 0);
}

static void fill(const struct sim_twins *twins, const struct shape *shape, uint64_t index,
                 struct sim_twins_scenario *out)
{
    uint8_t second[SIM_TWINS_NODES_MAX] = {0};
    uint64_t members[SIM_TWINS_NODES_MAX], count = 0;
    bool all_twinned = shape->twin_mask + 1 == UINT32_C(1) << shape->leaders;
    for (uint32_t leader = 0; leader < shape->leaders; leader++) {
        uint32_t validator = (SIM_TWINS_FIRST_VIEW + leader) % twins->validators;
        uint64_t number = digit(&index, leader_choices(shape, leader));
        out->is_twinned[validator] = (shape->twin_mask >> leader & 1) != 0;
        if (out->is_twinned[validator] && !(all_twinned && leader == 0))
            pair_of(number, shape->columns, &out->sides[validator], &second[validator]);
        else if (out->is_twinned[validator])
            second[validator] = (uint8_t)number;
        else
            out->sides[validator] = (uint8_t)number;
    }
    /* Those who lead no round follow the last leader, the twinned ones first. */
    uint32_t next = SIM_TWINS_FIRST_VIEW + shape->leaders;
    MUST(multisets(&count, shape->pairs, shape->other_twins));
    multiset_of(digit(&index, count), shape->pairs, shape->other_twins, members);
    for (uint32_t i = 0; i < shape->other_twins; i++, next++) {
        uint32_t validator = next % twins->validators;
        out->is_twinned[validator] = true;
        pair_of(members[i], shape->columns, &out->sides[validator], &second[validator]);
    }
    MUST(multisets(&count, shape->columns, shape->other_honest));
    multiset_of(digit(&index, count), shape->columns, shape->other_honest, members);
    for (uint32_t i = 0; i < shape->other_honest; i++, next++)
        out->sides[next % twins->validators] = (uint8_t)members[i];
    MUST(index == 0);
    uint32_t host = twins->validators;
    for (uint32_t validator = 0; validator < twins->validators; validator++)
        if (out->is_twinned[validator])
            out->sides[host++] = second[validator];
}

void sim_twins_scenario(const struct sim_twins *twins, uint64_t index,
                        struct sim_twins_scenario *out)
{
    uint32_t masks = masks_of(twins);
    memset(out, 0, sizeof *out);
    for (uint32_t mask = 0; mask < masks; mask++) {
        struct shape shape = shape_of(twins, mask);
        uint64_t count = 0;
        MUST(shape_count(&shape, &count));
        if (index < count) {
            fill(twins, &shape, index, out);
            return;
        }
        index -= count;
    }
    MUST(!"an index below the count");
}

/* --- samples -------------------------------------------------------------------------------------- */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint64_t sim_twins_sample(uint64_t total, uint64_t i)
{
    /* Multiples of the golden section leave gaps of two or three lengths only (Steinhaus); a step that
     * has no divisor in common with the total meets every index. */
    const uint64_t golden = UINT64_C(0x9E3779B97F4A7C15); /* 2^64 times 0.618... */
    MUST(i < total);
    uint64_t step = (uint64_t)((uint128)total * golden >> 64) | 1;
    while (common_divisor(step, total) != 1)
        step++;
    return (uint64_t)((uint128)i * step % total);
}
