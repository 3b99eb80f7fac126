/* Links between honest nodes over real loopback TLS: frames of every size, order and priority, four
 * nodes at once, dialling at the same moment, slow readers, restarts, stopping in the middle. */
#include <arpa/inet.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "p2p/frame.h"
#include "tests/lib/p2p/consortium.h"

static struct consortium consortium;

/* Tries again while the budget is spent. */
static void send_surely(uint32_t from, uint32_t to, enum p2p_class class, uint64_t mark,
                        size_t size)
{
    for (int tries = 0; tries < 5000; tries++) {
        if (send_pattern(&consortium, from, to, class, mark, size)) {
            return;
        }
        sleep_ms(1);
    }
    fail_msg("no room for 5 s");
}

static void start_pair(void)
{
    consortium_make(&consortium, 2);
    consortium_start(&consortium, 0, NULL);
    consortium_start(&consortium, 1, NULL);
    assert_true(wait_up(&consortium, 0, 1, 5000));
    assert_true(wait_up(&consortium, 1, 0, 5000));
}

static void frames_of_every_size_arrive_whole_and_in_order(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        1,     2,      3,       4,     5,     7,      8,       100,     4096,
        16379, 16380,  16381,   16384, 16385, 65531,  65532,   65533,   65536,
        65537, 131072, 1000003, 1,     8,     524288, 2097152, 4194303, LIMIT_FRAME_BYTES,
        9};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    start_pair();
    for (uint32_t i = 0; i < COUNT; i++) {
        send_surely(0, 1, P2P_SYNC, 1000 + i, sizes[i]);
        send_surely(1, 0, P2P_BLOCK, 2000 + i, sizes[i]);
    }
    for (uint32_t node = 0; node < 2; node++) {
        struct test_node *hearer = &consortium.nodes[node];
        assert_true(wait_frames(hearer, COUNT, 10000));
        assert_int_equal(frames_of(&consortium, node), COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_true(heard_pattern(&hearer->frames[i], (node == 1 ? 1000 : 2000) + i, sizes[i]));
        }
    }
    assert_int_equal(p2p_up_count(consortium.nodes[0].p2p), 1);
    assert_true(p2p_peer_is_up(consortium.nodes[1].p2p, 0));
    consortium_remove(&consortium);
}

/* The lowest four bytes of a mark count, the next say the class. */
static void check_order_per_class(const struct test_node *node, uint32_t peers, uint32_t each)
{
    uint64_t next[TEST_NODES_MAX][P2P_CLASS_COUNT] = {{0}};
    assert_int_equal(node->frame_count, peers * each * P2P_CLASS_COUNT);
    for (uint32_t i = 0; i < node->frame_count; i++) {
        const struct heard_frame *frame = &node->frames[i];
        uint64_t class = frame->mark >> 32;
        assert_true(frame->peer < peers && class < P2P_CLASS_COUNT);
        assert_int_equal(frame->mark & UINT32_MAX, next[frame->peer][class]);
        next[frame->peer][class]++;
    }
}

static void four_nodes_reach_each_other_and_keep_the_order(void **state)
{
    (void)state;
    enum { NODES = 4, EACH = 100 };
    consortium_make(&consortium, NODES);
    for (uint32_t i = 0; i < NODES; i++) {
        consortium_start(&consortium, i, NULL);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        for (uint32_t j = 0; j < NODES; j++) {
            assert_true(i == j || wait_up(&consortium, i, j, 5000));
        }
    }
    for (uint64_t k = 0; k < EACH; k++) {
        for (uint32_t i = 0; i < NODES; i++) {
            for (uint32_t j = 0; j < NODES; j++) {
                for (uint64_t class = 0; i != j && class < P2P_CLASS_COUNT; class ++) {
                    send_surely(i, j, (enum p2p_class) class, class << 32 | k, 8 + k * 37);
                }
            }
        }
    }
    for (uint32_t i = 0; i < NODES; i++) {
        struct test_node *node = &consortium.nodes[i];
        assert_true(wait_frames(node, (NODES - 1) * EACH * P2P_CLASS_COUNT, 10000));
        check_order_per_class(node, NODES - 1, EACH);
    }
    consortium_remove(&consortium);
}

static void idle_links_live_on_heartbeats(void **state)
{
    (void)state;
    start_pair();
    sleep_ms(5 * TEST_HEARTBEAT_MS);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(ups_of(&consortium, i, 1 - i), 1);
        assert_int_equal(downs_of(&consortium, i, 1 - i), 0);
        assert_int_equal(frames_of(&consortium, i), 0);
    }
    consortium_remove(&consortium);
}

static void nodes_that_dial_at_once_keep_the_same_link(void **state)
{
    (void)state;
    start_pair(); /* so that both have ports that the other knows */
    uint32_t larger =
        public_key_compare(&consortium.nodes[0].key, &consortium.nodes[1].key) > 0 ? 0 : 1;
    for (uint32_t lead_ms = 130; lead_ms <= 160; lead_ms += 10) {
        consortium_stop(&consortium, 0);
        consortium_stop(&consortium, 1);
        /* The larger key waits 150 ms before its first dial. */
        consortium_start(&consortium, larger, NULL);
        sleep_ms(lead_ms);
        consortium_start(&consortium, 1 - larger, NULL);
        assert_true(wait_up(&consortium, 0, 1, 3000));
        assert_true(wait_up(&consortium, 1, 0, 3000));
        sleep_ms(120);
        uint32_t ups[2] = {ups_of(&consortium, 0, 1), ups_of(&consortium, 1, 0)};
        uint32_t heard[2] = {frames_of(&consortium, 0), frames_of(&consortium, 1)};
        assert_true(send_pattern(&consortium, 0, 1, P2P_VOTE, lead_ms, 64));
        assert_true(send_pattern(&consortium, 1, 0, P2P_VOTE, lead_ms, 64));
        assert_true(wait_frames(&consortium.nodes[0], heard[0] + 1, 1000));
        assert_true(wait_frames(&consortium.nodes[1], heard[1] + 1, 1000));
        assert_int_equal(ups_of(&consortium, 0, 1), ups[0]);
        assert_int_equal(ups_of(&consortium, 1, 0), ups[1]);
    }
    consortium_remove(&consortium);
}

/* Fills the queue of a class towards a node that takes nothing; how many frames fitted. */
static uint32_t fill_up(uint32_t from, uint32_t to, enum p2p_class class, size_t size)
{
    uint32_t sent = 0;
    /* What is on its way in sockets and buffers drains for a moment; then it is full for good. */
    for (uint32_t refusals = 0; refusals < 50; sleep_ms(refusals > 0 ? 2 : 0)) {
        if (send_pattern(&consortium, from, to, class, sent, size)) {
            sent++;
            refusals = 0;
        } else {
            refusals++;
        }
        assert_true(sent < 200);
    }
    return sent;
}

static void set_refuse(uint32_t node, bool refuse)
{
    struct test_node *hearer = &consortium.nodes[node];
    pthread_mutex_lock(&hearer->lock);
    hearer->refuse = refuse;
    pthread_mutex_unlock(&hearer->lock);
    if (!refuse) {
        p2p_resume(hearer->p2p, 0);
    }
}

static void a_slow_reader_costs_bounded_memory_and_loses_nothing(void **state)
{
    (void)state;
    enum { MEBIBYTE = 1024 * 1024, VOTES = 3 };
    start_pair();
    set_refuse(1, true);
    uint32_t sent = fill_up(0, 1, P2P_SYNC, MEBIBYTE);
    assert_true(wait_refused(&consortium.nodes[1], 1, 1000));
    /* The budget, one frame that is being written, and what two sockets' buffers hold. */
    assert_in_range(sent, FRAME_BUDGET_SYNC / MEBIBYTE - 1, FRAME_BUDGET_SYNC / MEBIBYTE + 32);
    for (uint64_t i = 0; i < VOTES; i++) {
        assert_true(send_pattern(&consortium, 0, 1, P2P_VOTE, 1000 + i, 200));
    }
    /* Deaf for longer than a silent link lives; still the link stays, and the refused frame comes
     * once per resume. */
    sleep_ms(4 * TEST_HEARTBEAT_MS);
    assert_int_equal(downs_of(&consortium, 0, 1) + downs_of(&consortium, 1, 0), 0);
    assert_int_equal(refused_of(&consortium, 1), 1);
    p2p_resume(consortium.nodes[1].p2p, 0);
    assert_true(wait_refused(&consortium.nodes[1], 2, 1000));
    assert_int_equal(frames_of(&consortium, 1), 0);

    set_refuse(1, false);
    assert_true(wait_frames(&consortium.nodes[1], sent + VOTES, 10000));
    uint64_t next_sync = 0, next_vote = 1000;
    uint32_t after_votes = 0;
    for (uint32_t i = 0; i < sent + VOTES; i++) {
        const struct heard_frame *frame = &consortium.nodes[1].frames[i];
        if (frame->size == 200) {
            assert_int_equal(frame->mark, next_vote);
            next_vote++;
        } else {
            assert_true(heard_pattern(frame, next_sync, MEBIBYTE));
            next_sync++;
            after_votes += next_vote == 1000 + VOTES ? 1 : 0;
        }
    }
    /* Votes were sent last and overtook all that was still queued. */
    assert_true(after_votes >= FRAME_BUDGET_SYNC / MEBIBYTE - 2);
    consortium_remove(&consortium);
}

static uint32_t open_descriptors(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static void a_peer_that_restarts_is_found_again(void **state)
{
    (void)state;
    enum { FLAPS = 5 };
    start_pair();
    uint32_t descriptors = open_descriptors();
    for (uint32_t i = 0; i < FLAPS; i++) {
        /* Something is always on its way when the link breaks. */
        for (uint64_t k = 0; k < 4; k++) {
            send_pattern(&consortium, 0, 1, P2P_BLOCK, k, 500000);
            send_pattern(&consortium, 1, 0, P2P_TRANSACTION, k, 700);
        }
        consortium_stop(&consortium, 1);
        assert_true(wait_down(&consortium, 0, 1, 2000));
        assert_false(send_pattern(&consortium, 0, 1, P2P_VOTE, 1, 8));
        assert_int_equal(p2p_up_count(consortium.nodes[0].p2p), 0);
        consortium_start(&consortium, 1, NULL);
        assert_true(wait_up(&consortium, 0, 1, 6000));
        assert_true(wait_up(&consortium, 1, 0, 6000));
    }
    uint32_t heard = frames_of(&consortium, 1);
    send_surely(0, 1, P2P_VOTE, 77, 8);
    assert_true(wait_frames(&consortium.nodes[1], heard + 1, 2000));
    sleep_ms(200); /* nng frees streams in its own time */
    assert_true(open_descriptors() <= descriptors + 2);
    consortium_remove(&consortium);
}

static void what_was_queued_goes_with_its_link(void **state)
{
    (void)state;
    start_pair();
    set_refuse(1, true);
    fill_up(0, 1, P2P_SYNC, 1024 * 1024);
    consortium_stop(&consortium, 1);
    assert_true(wait_down(&consortium, 0, 1, 2000));
    consortium.nodes[1].refuse = false;
    consortium_start(&consortium, 1, NULL);
    assert_true(wait_up(&consortium, 0, 1, 6000));
    /* The budget is whole again, and the new link starts with what was sent on it. */
    assert_true(send_pattern(&consortium, 0, 1, P2P_SYNC, 4711, LIMIT_FRAME_BYTES));
    assert_true(wait_frames(&consortium.nodes[1], 1, 5000));
    assert_true(heard_pattern(&consortium.nodes[1].frames[0], 4711, LIMIT_FRAME_BYTES));
    consortium_remove(&consortium);
}

static void a_peer_without_an_address_dials_in(void **state)
{
    (void)state;
    consortium_make(&consortium, 2);
    struct p2p_config config;
    consortium_config(&consortium, 0, &config);
    assert_string_equal(config.peers[0].address, "");
    consortium_start(&consortium, 0, &config);
    consortium_config(&consortium, 1, &config);
    config.listen[0] = '\0';
    consortium_start(&consortium, 1, &config);
    assert_int_equal(p2p_port(consortium.nodes[1].p2p), 0);
    assert_true(wait_up(&consortium, 0, 1, 5000));
    assert_true(wait_up(&consortium, 1, 0, 5000));
    send_surely(0, 1, P2P_VOTE, 5, 50);
    assert_true(wait_frames(&consortium.nodes[1], 1, 2000));
    consortium_remove(&consortium);
}

static void a_struck_peer_waits_longer_each_time(void **state)
{
    (void)state;
    start_pair();
    static const int64_t at_least_ms[] = {250, 500};
    for (uint32_t i = 0; i < 2; i++) {
        int64_t struck = monotonic_ms();
        p2p_strike(consortium.nodes[0].p2p, 0, "test");
        assert_false(p2p_peer_is_up(consortium.nodes[0].p2p, 0));
        assert_true(wait_down(&consortium, 0, 1, 1000));
        assert_true(wait_up(&consortium, 0, 1, 6000));
        assert_true(monotonic_ms() - struck >= at_least_ms[i]);
    }
    assert_true(wait_up(&consortium, 1, 0, 1000));
    consortium_remove(&consortium);
}

static void stopping_amid_traffic_leaves_nothing_behind(void **state)
{
    (void)state;
    enum { NODES = 3 };
    consortium_make(&consortium, NODES);
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < NODES; i++) {
            consortium_start(&consortium, i, NULL);
        }
        /* The first rounds end while handshakes are under way. */
        sleep_ms(round * 40);
        for (uint32_t i = 0; i < NODES; i++) {
            for (uint32_t j = 0; j < NODES; j++) {
                for (uint64_t k = 0; i != j && k < 3; k++) {
                    send_pattern(&consortium, i, j, P2P_BLOCK, k, 300000);
                }
            }
        }
        for (uint32_t i = 0; i < NODES; i++) {
            consortium_stop(&consortium, i);
            uint32_t heard = frames_of(&consortium, i);
            sleep_ms(5);
            assert_int_equal(frames_of(&consortium, i), heard); /* nothing comes after the stop */
        }
    }
    consortium_remove(&consortium);
}

/* A port whose queue of connections is full: further ones hang in SYN. */
static uint16_t full_port(int fds[4])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (i > 0 ? SOCK_NONBLOCK : 0), 0);
        assert_true(fds[i] >= 0);
        if (i == 0) {
            assert_int_equal(bind(fds[0], (struct sockaddr *)&address, size), 0);
            assert_int_equal(listen(fds[0], 0), 0);
            assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &size), 0);
        } else {
            (void)connect(fds[i], (struct sockaddr *)&address, size);
        }
    }
    return ntohs(address.sin_port);
}

static void dials_that_hang_or_fail_dont_hold_up_anything(void **state)
{
    (void)state;
    int fds[4];
    struct p2p_config config;
    consortium_make(&consortium, 4);
    consortium_start(&consortium, 1, NULL);
    consortium_config(&consortium, 0, &config);
    snprintf(config.peers[1].address, sizeof(config.peers[1].address), "127.0.0.1:%u",
             full_port(fds));
    snprintf(config.peers[2].address, sizeof(config.peers[2].address), "no-such-host.invalid:9");
    consortium_start(&consortium, 0, &config);
    assert_true(wait_up(&consortium, 0, 1, 2000));
    sleep_ms(200);
    assert_int_equal(p2p_up_count(consortium.nodes[0].p2p), 1);
    int64_t began = monotonic_ms();
    consortium_stop(&consortium, 0);
    assert_true(monotonic_ms() - began < 1000);
    for (int i = 0; i < 4; i++) {
        close(fds[i]);
    }
    consortium_remove(&consortium);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_every_size_arrive_whole_and_in_order),
        cmocka_unit_test(four_nodes_reach_each_other_and_keep_the_order),
        cmocka_unit_test(idle_links_live_on_heartbeats),
        cmocka_unit_test(nodes_that_dial_at_once_keep_the_same_link),
        cmocka_unit_test(a_slow_reader_costs_bounded_memory_and_loses_nothing),
        cmocka_unit_test(a_peer_that_restarts_is_found_again),
        cmocka_unit_test(what_was_queued_goes_with_its_link),
        cmocka_unit_test(a_peer_without_an_address_dials_in),
        cmocka_unit_test(a_struck_peer_waits_longer_each_time),
        cmocka_unit_test(dials_that_hang_or_fail_dont_hold_up_anything),
        cmocka_unit_test(stopping_amid_traffic_leaves_nothing_behind),
    };
    log_open(stdout, "test", LOG_DEBUG, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
