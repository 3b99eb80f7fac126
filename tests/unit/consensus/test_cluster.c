/* Clusters of production cores under faults, seed by seed (consensus.md 12-14); the mutants that
 * show the oracles awake. `FLEX_SEEDS=first:count` runs others for n = 4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/consensus/cluster.h"

static struct cluster_result run(struct cluster_config config)
{
    struct cluster_result result;
    cluster_run(&config, &result);
    return result;
}

static void must_hold(struct cluster_config config)
{
    struct cluster_result result = run(config);
    if (result.failure[0] != '\0')
        fail_msg("n=%u seed=%llu persona=%d observer=%d: %s (%s)", config.validators,
                 (unsigned long long)config.seed, config.persona, config.observer, result.failure,
                 result.safety ? "safety" : "liveness");
}

static void seeds_hold(uint32_t validators, uint64_t first, uint64_t count, int persona)
{
    uint64_t worst = 0, steps = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct cluster_config config = {
            .validators = validators, .seed = seed, .observer = seed % 4 == 0, .persona = persona};
        struct cluster_result result = run(config);
        if (result.failure[0] != '\0')
            must_hold(config);
        if (result.healed_ms > worst)
            worst = result.healed_ms;
        steps += result.steps;
    }
    print_message("n=%u: %llu seeds, worst healing %llu ms, %llu events\n", validators,
                  (unsigned long long)count, (unsigned long long)worst, (unsigned long long)steps);
}

static void four_validators(void **state)
{
    (void)state;
    const char *chosen = getenv("FLEX_SEEDS");
    unsigned long long first = 0, count = 300;
    if (chosen != NULL)
        assert_int_equal(sscanf(chosen, "%llu:%llu", &first, &count), 2);
    seeds_hold(4, first, count, -1);
}

static void five_and_six_validators(void **state)
{
    (void)state;
    seeds_hold(5, 0, 40, -1);
    seeds_hold(6, 0, 40, -1);
}

static void seven_validators(void **state)
{
    (void)state;
    seeds_hold(7, 0, 60, -1);
}

/* With one faulty validator of each kind in every run. */
static void every_persona(void **state)
{
    (void)state;
    for (int persona = PERSONA_HONEST; persona < PERSONA_COUNT; persona++)
        seeds_hold(4, 10000, 40, persona);
    seeds_hold(10, 0, 12, -1);
}

static void thirty_one_validators(void **state)
{
    (void)state;
    seeds_hold(31, 0, 1, PERSONA_EQUIVOCATOR);
}

/* --- epochs ----------------------------------------------------------------------------------- */

/* Four validators, a fifth comes, two leave, three come. */
static struct cluster_config growing(uint64_t seed, int persona)
{
    return (struct cluster_config){
        .validators = 7,
        .epoch_count = 4,
        .epochs = {{0, 0, 4}, {3, 0, 5}, {6, 1, 4}, {9, 0, 7}},
        .seed = seed,
        .persona = persona,
        .observer = seed % 4 == 0,
    };
}

/* Also with boundaries that follow each other at once, and with members that change places. */
static struct cluster_config replacing(uint64_t seed, int persona)
{
    return (struct cluster_config){
        .validators = 6,
        .epoch_count = 4,
        .epochs = {{0, 0, 4}, {1, 1, 4}, {2, 2, 4}, {8, 1, 5}},
        .seed = seed,
        .persona = persona,
        .late = seed % 5 == 0,
    };
}

static void sets_change(void **state)
{
    (void)state;
    uint32_t by_descendants = 0;
    for (uint64_t seed = 0; seed < 80; seed++) {
        struct cluster_config configs[] = {growing(seed, -1), replacing(seed, -1)};
        for (size_t i = 0; i < 2; i++) {
            struct cluster_result result = run(configs[i]);
            if (result.failure[0] != '\0')
                must_hold(configs[i]);
            by_descendants += result.proven_by_descendants;
        }
    }
    /* Runs in which the boundary was notarized, but only a block above it finalized. */
    print_message("%u boundaries proven by descendants\n", by_descendants);
    assert_true(by_descendants > 0);
}

static void sets_change_under_every_persona(void **state)
{
    (void)state;
    for (int persona = PERSONA_HONEST; persona < PERSONA_COUNT; persona++)
        for (uint64_t seed = 500; seed < 515; seed++) {
            must_hold(growing(seed, persona));
            must_hold(replacing(seed, persona));
        }
}

/* A node that was away during three changes comes back, in the last set or as a follower. */
static void straggler_crosses_epochs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct cluster_config config = growing(seed, PERSONA_HONEST);
        config.calm_ms = 12000;
        config.late = true;
        must_hold(config);
        struct cluster_result result = run(config);
        assert_true(result.heights > 20);
        assert_true(result.healed_ms < 10000);
        assert_int_equal(result.evidence, 0);
    }
}

/* The scheme of production instead of the harness's keyed hash. */
static void real_signatures(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++)
        must_hold((struct cluster_config){.validators = 4,
                                          .seed = seed,
                                          .persona = PERSONA_EQUIVOCATOR,
                                          .real_signatures = true});
}

/* A node that starts 20 s late, validator or observer, catches up by ranges. */
static void late_joiner(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct cluster_config config = {.validators = 4,
                                        .seed = seed,
                                        .persona = PERSONA_HONEST,
                                        .observer = seed % 2 == 0,
                                        .calm_ms = 20000,
                                        .late = true};
        must_hold(config);
        struct cluster_result result = run(config);
        assert_true(result.heights > 40);
        assert_true(result.healed_ms < 6000);
    }
}

static void same_seed_same_trace(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed < 25; seed++) {
        struct cluster_config config = {.validators = 4, .seed = seed, .persona = -1};
        struct cluster_result first = run(config), second = run(config);
        assert_memory_equal(&first.trace, &second.trace, sizeof first.trace);
        config.seed += 1000;
        struct cluster_result other = run(config);
        assert_memory_not_equal(&first.trace, &other.trace, sizeof first.trace);
    }
}

/* Without faults a cluster decides a height per view: the fast path is the path taken. */
static void calm_cluster_wastes_no_view(void **state)
{
    (void)state;
    struct cluster_config config = {
        .validators = 4, .seed = 1, .persona = PERSONA_HONEST, .calm_ms = 5000};
    struct cluster_result result = run(config);
    assert_string_equal(result.failure, "");
    assert_true(result.heights >= 20);
    assert_int_equal(result.evidence, 0);
}

/* --- mutants: a run that cannot fail proves nothing ------------------------------------------- */

/* Seeds until an oracle of the wanted kind objects. */
static uint64_t caught_after(struct cluster_config config, bool safety, uint64_t seeds)
{
    for (config.seed = 0; config.seed < seeds; config.seed++) {
        struct cluster_result result = run(config);
        if (result.failure[0] != '\0' && result.safety == safety) {
            print_message("caught by seed %llu: %s\n", (unsigned long long)config.seed,
                          result.failure);
            return config.seed + 1;
        }
    }
    return 0;
}

static void mutant_finalize_after_nullify(void **state)
{
    (void)state;
    struct cluster_config config = {
        .validators = 4, .mutants = BFT_MUTANT_FINALIZE_AFTER_NULLIFY, .persona = -1};
    assert_in_range(caught_after(config, true, 50), 1, 50);
}

static void mutant_skip_ancestry(void **state)
{
    (void)state;
    struct cluster_config config = {
        .validators = 4, .mutants = BFT_MUTANT_SKIP_ANCESTRY, .persona = PERSONA_LIAR};
    assert_in_range(caught_after(config, true, 300), 1, 300);
}

static void mutant_no_refeed(void **state)
{
    (void)state;
    struct cluster_config config = {
        .validators = 4, .mutants = BFT_MUTANT_NO_REFEED, .persona = -1};
    assert_in_range(caught_after(config, false, 300), 1, 300);
}

static void mutant_no_fetch_no_standstill(void **state)
{
    (void)state;
    struct cluster_config config = {
        .validators = 4, .mutants = BFT_MUTANT_NO_FETCH_NO_STANDSTILL, .persona = -1};
    assert_in_range(caught_after(config, false, 30), 1, 30);
}

static void mutant_past_boundary(void **state)
{
    (void)state;
    struct cluster_config config = growing(0, PERSONA_HONEST);
    config.mutants = BFT_MUTANT_PAST_BOUNDARY;
    assert_in_range(caught_after(config, true, 3), 1, 3);
}

static void mutant_no_vote_journal(void **state)
{
    (void)state;
    struct cluster_config config = {.validators = 4, .lose_vote_records = true, .persona = -1};
    assert_in_range(caught_after(config, true, 30), 1, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_validators),
        cmocka_unit_test(five_and_six_validators),
        cmocka_unit_test(seven_validators),
        cmocka_unit_test(every_persona),
        cmocka_unit_test(thirty_one_validators),
        cmocka_unit_test(sets_change),
        cmocka_unit_test(sets_change_under_every_persona),
        cmocka_unit_test(straggler_crosses_epochs),
        cmocka_unit_test(real_signatures),
        cmocka_unit_test(late_joiner),
        cmocka_unit_test(same_seed_same_trace),
        cmocka_unit_test(calm_cluster_wastes_no_view),
        cmocka_unit_test(mutant_finalize_after_nullify),
        cmocka_unit_test(mutant_skip_ancestry),
        cmocka_unit_test(mutant_no_refeed),
        cmocka_unit_test(mutant_no_fetch_no_standstill),
        cmocka_unit_test(mutant_past_boundary),
        cmocka_unit_test(mutant_no_vote_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
