/* Clusters of production cores under faults, seed by seed (consensus.md 12-14); the mutants that
 * show the oracles awake; named regressions. `FLEX_SEEDS=first:count` runs others for n = 4. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_validators),
        cmocka_unit_test(five_and_six_validators),
        cmocka_unit_test(seven_validators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
