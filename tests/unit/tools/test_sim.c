/* The simulator's own machinery, without a cluster in it: equal seeds give equal chance, virtual time
 * is in order, and a power cut takes from a disk what no sync had made safe, and nothing else. */
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
        cmocka_unit_test(equal_configurations_give_equal_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
