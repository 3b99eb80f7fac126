/* The simulator's own machinery: equal seeds give equal chance, virtual time is in order, a power cut
 * takes from a disk what no sync had made safe, and nothing else; the scenarios of the twins campaign
 * are as many as a count by hand finds, and all different. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tools/sim/sim_internal.h"

static struct sim *new_sim(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof *sim);
    assert_non_null(sim);
    sim->result = calloc(1, sizeof *sim->result);
    assert_non_null(sim->result);
    sim_random_seed(&sim->random, seed);
    sim->config.validators = LIMIT_VALIDATORS_MIN;
    sim_keys_prepare(sim);
    sim->node_count = 3;
    sim->gst_ms = 1000;
    sim->weather.delay_ms_max = 50;
    sim->weather.slow_node = -1;
    sim->weather.future_node = -1;
    return sim;
}

static void free_sim(struct sim *sim)
{
    sim_queue_free(sim);
    sim_network_free(sim);
    free(sim->result);
    free(sim);
}

static void chance_follows_the_seed(void **state)
{
    struct sim_random first, second, other;
    int equal = 0;
    (void)state;
    sim_random_seed(&first, 42);
    sim_random_seed(&second, 42);
    sim_random_seed(&other, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t drawn = sim_random_u64(&first);
        assert_true(drawn == sim_random_u64(&second));
        equal += drawn == sim_random_u64(&other);
    }
    assert_int_equal(equal, 0);
}

static void chance_stays_within_its_bounds(void **state)
{
    struct sim *sim = new_sim(7);
    int least = 0, most = 0, often = 0;
    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint64_t drawn = sim_between(sim, 3, 6);
        assert_in_range(drawn, 3, 6);
        least += drawn == 3;
        most += drawn == 6;
        often += sim_chance(sim, 250);
        assert_false(sim_chance(sim, 0));
        assert_true(sim_chance(sim, 1000));
    }
    assert_in_range(least, 400, 600);
    assert_in_range(most, 400, 600);
    assert_in_range(often, 400, 600);
    free_sim(sim);
}

static void events_come_by_time_then_by_age(void **state)
{
    struct sim *sim = new_sim(9);
    struct sim_event event;
    uint64_t last_ms = 0, last_order = 0;
    (void)state;
    for (uint64_t i = 0; i < 500; i++) {
        struct sim_event planned = {.kind = SIM_EVENT_TICK, .node = 0, .peer = -1, .number = i};
        sim_at(sim, sim_below(sim, 40), &planned);
    }
    for (int i = 0; i < 500; i++) {
        assert_true(sim_next(sim, &event));
        assert_true(event.at_ms > last_ms ||
                    (event.at_ms == last_ms && event.number >= last_order));
        last_order = event.number;
        last_ms = event.at_ms;
    }
    assert_false(sim_next(sim, &event));
    free_sim(sim);
}

static uint64_t frames_that_arrive(struct sim *sim)
{
    struct sim_event event;
    uint64_t count = 0;
    while (sim_next(sim, &event)) {
        assert_int_equal(event.kind, SIM_EVENT_FRAME);
        assert_int_equal(event.peer, 0);
        assert_int_equal(event.node, 1);
        sim->now_ms = event.at_ms;
        sim_frame_release(event.frame);
        count++;
    }
    return count;
}

static void send_some(struct sim *sim, int count)
{
    static const uint8_t bytes[] = {MESSAGE_STATUS, 1, 2, 3};
    struct sim_frame *frame = sim_frame_new(bytes_view_of(bytes, sizeof bytes));
    for (int i = 0; i < count; i++)
        sim_network_send(sim, 0, 1, frame, 0);
    sim_frame_release(frame);
}

static void links_block_clog_and_lose(void **state)
{
    struct sim *sim = new_sim(11);
    (void)state;
    send_some(sim, 100);
    assert_int_equal(frames_that_arrive(sim), 100);
    sim->blocked[0][1] = true;
    send_some(sim, 100);
    assert_int_equal(frames_that_arrive(sim), 0);
    sim_network_open(sim);
    sim->clogged[0][1] = true;
    send_some(sim, SIM_CLOG_MAX + 10);
    assert_int_equal(frames_that_arrive(sim), 0);
    sim_network_unclog(sim, 0, 1);
    assert_int_equal(frames_that_arrive(sim), SIM_CLOG_MAX);
    sim->weather.loss_permille = 300;
    send_some(sim, 1000);
    assert_in_range(frames_that_arrive(sim), 600, 800);
    sim->weather.healed = true; /* after GST nothing is lost, whatever the weather was */
    send_some(sim, 100);
    assert_int_equal(frames_that_arrive(sim), 100);
    free_sim(sim);
}

static void append_vote(struct sim *sim, struct sim_node *node, uint64_t view)
{
    struct bft_effect *effect = calloc(1, sizeof *effect);
    assert_non_null(effect);
    effect->kind = BFT_PERSIST_VOTE;
    effect->vote.kind = VOTE_NULLIFY;
    effect->vote.view = view;
    sim_disk_append(sim, node, effect, (struct bytes_view){NULL, 0});
    free(effect);
}

static void open_fresh(struct sim *sim, struct sim_node *node)
{
    memset(node, 0, sizeof *node);
    node->disk = sim_disk_new();
    assert_int_equal(sim_disk_open(sim, node), JOURNAL_OK);
}

static void a_power_cut_takes_unsynced_bytes_only(void **state)
{
    struct sim *sim = new_sim(13);
    bool some_lost = false, some_kept = false;
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct sim_node node;
        open_fresh(sim, &node);
        append_vote(sim, &node, 1);
        sim_disk_sync(sim, &node);
        size_t safe = node.disk->segments[0].size;
        uint8_t *before = malloc(safe);
        assert_non_null(before);
        memcpy(before, node.disk->segments[0].bytes, safe);
        append_vote(sim, &node, 2);
        size_t whole = node.disk->segments[0].size;
        assert_true(whole > safe);
        sim_disk_crash(sim, &node);
        size_t left = node.disk->segments[0].size;
        assert_in_range(left, safe, whole);
        assert_memory_equal(node.disk->segments[0].bytes, before, safe);
        some_lost = some_lost || left < whole;
        some_kept = some_kept || left == whole;
        free(before);
        sim_disk_free(node.disk);
    }
    assert_true(some_lost && some_kept);
    free_sim(sim);
}

static void a_copy_of_a_disk_stays_as_it_was(void **state)
{
    struct sim *sim = new_sim(15);
    struct sim_node node;
    (void)state;
    open_fresh(sim, &node);
    append_vote(sim, &node, 1);
    sim_disk_sync(sim, &node);
    append_vote(sim, &node, 2); /* not yet safe: not in the copy */
    struct sim_disk *copy = sim_disk_copy(node.disk);
    assert_int_equal(copy->segments[0].size, node.disk->segments[0].synced);
    uint64_t bytes = sim_disk_bytes(copy);
    sim_disk_sync(sim, &node);
    append_vote(sim, &node, 3);
    sim_disk_sync(sim, &node);
    assert_int_equal(sim_disk_bytes(copy), bytes);
    assert_true(sim_disk_bytes(node.disk) > bytes);
    sim_disk_free(copy);
    sim_disk_free(node.disk);
    free_sim(sim);
}

/* --- one node with its disks, and no peers ------------------------------------------------------- */

static void open_node(struct sim *sim, struct sim_node *node)
{
    sim->node_count = 1;
    sim->keyed = sim->config.validators;
    sim_audit_open(sim);
    sim_epochs_open(sim);
    node->disk = sim_disk_new();
    sim_store_open(sim, &node->store, 0);
    sim_node_start(sim, node);
    assert_true(node->up);
}

static bool has_nullified_view_1(const struct sim_node *node)
{
    return node->ballots[0] != NULL && node->ballots[0][1][VOTE_NULLIFY].has;
}

static void close_node(struct sim *sim, struct sim_node *node)
{
    if (node->up)
        sim_node_free(node);
    sim_disk_free(node->disk);
    sim_store_free(&node->store);
    free(node->ballots[0]);
    sim_epochs_free(sim);
    sim_audit_free(sim);
}

/* As if a quorum had answered and view 1 had brought nothing for long. */
static void give_up_view_1(struct sim *sim, struct sim_node *node)
{
    struct bft_input tick = sim_input(BFT_INPUT_TICK);
    node->core->trusted = true;
    sim->now_ms += 5000;
    sim_feed(sim, node, &tick);
    sim_settle(sim, node);
}

/* Until a sync returns, a crash can make a vote unsaid: it is nobody's, and another one may follow. */
static void a_vote_whose_sync_fails_is_nobodys(void **state)
{
    struct sim *sim = new_sim(17);
    struct sim_node *node = &sim->nodes[0];
    (void)state;
    open_node(sim, node);
    node->sync_fails = true;
    give_up_view_1(sim, node);
    assert_false(node->up);
    assert_false(has_nullified_view_1(node));
    sim_disk_free(node->disk); /* of the unsynced turn nothing reached it */
    node->disk = sim_disk_new();
    sim_node_start(sim, node);
    give_up_view_1(sim, node);
    assert_true(node->up);
    assert_true(has_nullified_view_1(node));
    assert_false(sim_failed(sim));
    close_node(sim, node);
    free_sim(sim);
}

/* A database that is full from the first moment still takes the genesis state, with which the node's
 * home was made; what it refuses is blocks. */
static void a_full_chain_database_has_its_genesis(void **state)
{
    struct sim *sim = new_sim(19);
    struct sim_store store;
    struct store_block block;
    char problem[160];
    (void)state;
    sim_store_open(sim, &store, 0);
    store.full = true;
    struct chain_backend backend = sim_store_face(&store);
    struct chain *chain = chain_open(sim->genesis, &backend, problem);
    assert_non_null(chain);
    assert_true(store.tip.has_genesis);
    memset(&block, 0, sizeof block);
    block.height = 1;
    assert_int_equal(backend.commit(backend.context, &block), STORE_FULL);
    chain_close(chain);
    sim_store_free(&store);
    free_sim(sim);
}

/* --- the twins campaign ---------------------------------------------------------------------------- */

enum { VALIDATORS = 4, HOSTS = VALIDATORS + 1, ROUNDS = 2, COLUMNS = 1 << ROUNDS };

/* The scenario's one name, whatever its sides and its twin's hosts are called: the least of all numbers
 * that renaming gives. With two rounds, led by validators 2 and 3, validators 0 and 1 are alike. */
static uint32_t canonical(const struct sim_twins_scenario *scenario)
{
    static const uint8_t orders[][VALIDATORS] = {{0, 1, 2, 3}, {1, 0, 2, 3}};
    uint32_t least = UINT32_MAX;
    for (uint32_t names = 0; names < 2 * 2 * COLUMNS; names++) {
        const uint8_t *order = orders[names & 1];
        bool swapped = (names & 2) != 0;
        uint8_t sides = (uint8_t)(names >> 2);
        uint32_t number = 0;
        uint8_t second = 0;
        for (uint32_t i = 0; i < VALIDATORS; i++) {
            bool twinned = scenario->is_twinned[order[i]];
            uint8_t mine = scenario->sides[order[i]], other = scenario->sides[VALIDATORS];
            number = number * 2 + twinned;
            number = number * COLUMNS + ((twinned && swapped ? other : mine) ^ sides);
            if (twinned)
                second = (uint8_t)((swapped ? mine : other) ^ sides);
        }
        number = number * COLUMNS + second;
        least = number < least ? number : least;
    }
    return least;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return first < second ? -1 : first > second;
}

static uint32_t distinct(uint32_t *numbers, uint32_t count)
{
    uint32_t kept = 0;
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            numbers[kept++] = numbers[i];
    return kept;
}

/* Every scenario is there, and once. */
static void scenarios_of_twins_are_all_and_differ(void **state)
{
    const struct sim_twins twins = {.validators = VALIDATORS, .twinned = 1, .rounds = ROUNDS};
    static uint32_t by_hand[VALIDATORS << (ROUNDS * HOSTS)],
        numbered[VALIDATORS << (ROUNDS * HOSTS)];
    struct sim_twins_scenario scenario;
    uint32_t count = 0;
    uint64_t total = 0;
    (void)state;
    for (uint32_t twin = 0; twin < VALIDATORS; twin++)
        for (uint32_t all = 0; all < 1U << (ROUNDS * HOSTS); all++) {
            memset(&scenario, 0, sizeof scenario);
            scenario.is_twinned[twin] = true;
            for (uint32_t host = 0; host < HOSTS; host++)
                scenario.sides[host] = (uint8_t)(all >> (ROUNDS * host) & (COLUMNS - 1));
            by_hand[count++] = canonical(&scenario);
        }
    count = distinct(by_hand, count);
    assert_true(sim_twins_count(&twins, &total));
    assert_int_equal(total, count);
    for (uint32_t i = 0; i < total; i++) {
        sim_twins_scenario(&twins, i, &scenario);
        numbered[i] = canonical(&scenario);
    }
    assert_int_equal(distinct(numbered, count), count);
    assert_memory_equal(numbered, by_hand, count * sizeof by_hand[0]);
}

/* All campaigns that the manual names can be numbered, to the last scenario. */
static void campaigns_of_ten_validators_are_numbered(void **state)
{
    (void)state;
    for (uint32_t n = LIMIT_VALIDATORS_MIN; n <= SIM_TWINS_NODES_MAX; n++)
        for (uint32_t rounds = 1; rounds <= SIM_TWINS_ROUNDS_MAX; rounds++) {
            const struct sim_twins twins = {n, (n - 1) / 3, rounds};
            struct sim_twins_scenario scenario;
            uint64_t total = 0;
            uint32_t twinned = 0;
            assert_true(sim_twins_count(&twins, &total));
            sim_twins_scenario(&twins, total - 1, &scenario);
            for (uint32_t i = 0; i < n; i++)
                twinned += scenario.is_twinned[i];
            assert_int_equal(twinned, twins.twinned);
            for (uint32_t i = 0; i < n + twinned; i++)
                assert_true(scenario.sides[i] < 1U << rounds);
        }
}

static void a_sample_is_even_and_repeats_nothing(void **state)
{
    static const uint64_t totals[] = {1, 2, 12, 1000, 9216, 139264};
    (void)state;
    for (size_t t = 0; t < sizeof totals / sizeof totals[0]; t++) {
        uint64_t total = totals[t];
        bool *seen = calloc(total, sizeof *seen);
        assert_non_null(seen);
        for (uint64_t i = 0; i < total; i++) {
            uint64_t index = sim_twins_sample(total, i);
            assert_true(index < total && !seen[index]);
            seen[index] = true;
            if (i + 1 != 100 || total < 9216)
                continue;
            uint64_t gap = 0; /* of a hundred, no two neighbours are two average gaps apart */
            for (uint64_t k = 0; k < total; k++) {
                gap = seen[k] ? 0 : gap + 1;
                assert_true(gap < 2 * total / 100);
            }
        }
        free(seen);
    }
}

/* One and the same scenario: one split that no quorum survives, and it goes on behind it. */
static void a_scenario_of_twins_is_played_the_same_twice(void **state)
{
    struct sim_config config = {.seed = 3,
                                .validators = 4,
                                .persona = SIM_PERSONA_RANDOM,
                                .byzantine = 1,
                                .twins_rounds = 3,
                                .twins_index = 5000};
    struct sim_result first, second, other;
    (void)state;
    sim_run(&config, &first);
    sim_run(&config, &second);
    config.twins_index++;
    sim_run(&config, &other);
    assert_int_equal(first.outcome, SIM_HELD);
    assert_true(first.heights >= SIM_GOAL);
    assert_true(hash_equal(&first.digest, &second.digest));
    assert_false(hash_equal(&first.digest, &other.digest));
}

/* Mempools that hold different versions of a nonce: one of them becomes final, and all else goes on. */
static void a_nonce_that_is_replaced_over_and_over_is_final_once(void **state)
{
    uint64_t replaced = 0, transactions = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct sim_config config = {.seed = seed,
                                    .validators = 4,
                                    .persona = sim_persona_by_name("replacer"),
                                    .byzantine = 1};
        struct sim_result result;
        sim_run(&config, &result);
        assert_int_equal(result.outcome, SIM_HELD);
        replaced += result.replaced;
        transactions += result.transactions;
    }
    assert_true(replaced > 0 && replaced < transactions);
}

static void equal_configurations_give_equal_runs(void **state)
{
    struct sim_config config = {.seed = 5,
                                .validators = LIMIT_VALIDATORS_MIN,
                                .persona = SIM_PERSONA_NONE,
                                .byzantine = SIM_BYZANTINE_RANDOM};
    struct sim_result first, second, other;
    (void)state;
    sim_run(&config, &first);
    sim_run(&config, &second);
    config.seed = 6;
    sim_run(&config, &other);
    assert_int_equal(first.outcome, SIM_HELD);
    assert_true(hash_equal(&first.digest, &second.digest));
    assert_int_equal(first.events, second.events);
    assert_false(hash_equal(&first.digest, &other.digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chance_follows_the_seed),
        cmocka_unit_test(chance_stays_within_its_bounds),
        cmocka_unit_test(events_come_by_time_then_by_age),
        cmocka_unit_test(links_block_clog_and_lose),
        cmocka_unit_test(a_power_cut_takes_unsynced_bytes_only),
        cmocka_unit_test(a_copy_of_a_disk_stays_as_it_was),
        cmocka_unit_test(a_vote_whose_sync_fails_is_nobodys),
        cmocka_unit_test(a_full_chain_database_has_its_genesis),
        cmocka_unit_test(scenarios_of_twins_are_all_and_differ),
        cmocka_unit_test(campaigns_of_ten_validators_are_numbered),
        cmocka_unit_test(a_sample_is_even_and_repeats_nothing),
        cmocka_unit_test(a_scenario_of_twins_is_played_the_same_twice),
        cmocka_unit_test(a_nonce_that_is_replaced_over_and_over_is_final_once),
        cmocka_unit_test(equal_configurations_give_equal_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
