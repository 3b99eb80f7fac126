/* Peers that are not what they should be, over real loopback TLS: strangers, members that pose as
 * others, and members that break the framing. Each test has an honest link beside it, to show that
 * what is refused is refused for what is wrong with it, and that the others don't notice. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "p2p/certificate.h"
#include "p2p/keeper.h"
#include "tests/lib/p2p/raw_stream.h"

/* Nodes 0 and 1 run and are linked; node 2 is a member whose place the intruder takes. */
enum { NODES = 3, INTRUDER = 2 };

static struct consortium consortium;

static int start(void **state)
{
    (void)state;
    consortium_make(&consortium, NODES);
    consortium_start(&consortium, 0, NULL);
    consortium_start(&consortium, 1, NULL);
    assert_true(wait_up(&consortium, 0, 1, 5000));
    assert_true(wait_up(&consortium, 1, 0, 5000));
    return 0;
}

/* The honest link has never faltered and still carries frames. */
static int finish(void **state)
{
    (void)state;
    uint32_t heard = frames_of(&consortium, 1);
    assert_true(send_pattern(&consortium, 0, 1, P2P_VOTE, 99, 100));
    assert_true(wait_frames(&consortium.nodes[1], heard + 1, 2000));
    assert_int_equal(downs_of(&consortium, 0, 1), 0);
    consortium_remove(&consortium);
    return 0;
}

static uint32_t intruder_ups(void)
{
    return ups_of(&consortium, 0, INTRUDER);
}

static void a_member_that_does_it_right_gets_in(void **state)
{
    (void)state;
    struct raw_stream raw;
    struct handshake_hello ours, theirs;
    static const uint8_t frames[] = {0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c'};
    assert_true(raw_join(&raw, &consortium, INTRUDER, 0, &ours, &theirs));
    assert_true(wait_up(&consortium, 0, INTRUDER, 2000));
    assert_true(raw_send(&raw, frames, sizeof(frames)));
    assert_true(wait_frames(&consortium.nodes[0], 1, 2000));
    assert_int_equal(consortium.nodes[0].frames[0].size, 3);
    /* And hears a frame, after any heartbeats. */
    uint8_t heard[6] = {0};
    assert_true(send_pattern(&consortium, 0, INTRUDER, P2P_VOTE, 0x4241, 2));
    do {
        assert_true(raw_receive(&raw, heard, 4, 2000));
    } while (heard[3] == 0);
    assert_true(raw_receive(&raw, heard + 4, 2, 2000));
    assert_memory_equal(heard, "\0\0\0\2AB", 6);
    raw_close(&raw);
    assert_true(wait_down(&consortium, 0, INTRUDER, 2000));
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    (void)state;
    static struct consortium other;
    struct raw_stream raw;
    struct handshake_hello ours, theirs;
    consortium_make(&other, 1);
    struct raw_identity identity = raw_identity_of(&other, 0);
    raw_dial(&raw, consortium.nodes[0].address, identity, NULL);
    handshake_hello_make(&ours, HANDSHAKE_DIALLER, &consortium.genesis,
                         &consortium.nodes[INTRUDER].key, &consortium.nodes[0].key);
    assert_false(raw_hello(&raw, &ours, &theirs));
    raw_close(&raw);
    /* Nor does one without any certificate get in. */
    identity.certificate_file = NULL;
    raw_dial(&raw, consortium.nodes[0].address, identity, NULL);
    assert_false(raw_hello(&raw, &ours, &theirs));
    raw_close(&raw);
    assert_int_equal(intruder_ups(), 0);
    consortium_remove(&other);
}

static void an_old_tls_is_refused(void **state)
{
    (void)state;
    struct handshake_hello ours, theirs;
    handshake_hello_make(&ours, HANDSHAKE_DIALLER, &consortium.genesis,
                         &consortium.nodes[INTRUDER].key, &consortium.nodes[0].key);
    for (int i = 0; i < 2; i++) {
        struct raw_stream raw;
        struct raw_identity identity = raw_identity_of(&consortium, INTRUDER);
        identity.old_tls = i == 0;
        raw_dial(&raw, consortium.nodes[0].address, identity, NULL);
        assert_int_equal(raw_hello(&raw, &ours, &theirs), i == 1);
        raw_close(&raw);
    }
}

/* Starts node 2 with the intruder's listener as the address of peer 0. */
static void start_node_that_dials(uint16_t port)
{
    struct p2p_config config;
    consortium_config(&consortium, INTRUDER, &config);
    config.listen[0] = '\0';
    config.peers[1].address[0] = '\0';
    snprintf(config.peers[0].address, sizeof(config.peers[0].address), "127.0.0.1:%u", port);
    consortium_start(&consortium, INTRUDER, &config);
}

static void a_listener_with_another_members_certificate_is_not_believed(void **state)
{
    (void)state;
    struct raw_listener listener;
    struct raw_stream raw;
    uint8_t byte;
    raw_listen(&listener, raw_identity_of(&consortium, 1));
    start_node_that_dials(listener.port); /* it wants node 0 there and meets node 1 */
    for (int i = 0; i < 2; i++) {
        assert_true(raw_accept(&listener, &raw, 3000));
        assert_true(raw_closes_silently(&raw, 2000)); /* not even a HELLO */
        raw_close(&raw);
    }
    assert_int_equal(p2p_up_count(consortium.nodes[INTRUDER].p2p), 0);
    consortium_stop(&consortium, INTRUDER);
    raw_listener_close(&listener);

    /* With the right certificate it says HELLO: it was the name that was wrong. */
    raw_listen(&listener, raw_identity_of(&consortium, 0));
    start_node_that_dials(listener.port);
    assert_true(raw_accept(&listener, &raw, 3000));
    assert_true(raw_receive(&raw, &byte, 1, 2000));
    raw_close(&raw);
    consortium_stop(&consortium, INTRUDER);
    raw_listener_close(&listener);
}

static void a_member_without_the_node_key_is_refused(void **state)
{
    (void)state;
    struct raw_stream raw;
    struct handshake_hello ours, theirs;
    uint8_t auth[HANDSHAKE_AUTH_SIZE];
    /* Node 1's certificate and seed, node 2's name. */
    raw_dial(&raw, consortium.nodes[0].address, raw_identity_of(&consortium, 1), NULL);
    handshake_hello_make(&ours, HANDSHAKE_DIALLER, &consortium.genesis,
                         &consortium.nodes[INTRUDER].key, &consortium.nodes[0].key);
    assert_true(raw_hello(&raw, &ours, &theirs));
    handshake_auth_make(auth, &consortium.nodes[1].seed, &ours, &theirs);
    assert_true(raw_send(&raw, auth, sizeof(auth)));
    assert_true(raw_closes(&raw, 2000));
    raw_close(&raw);
    assert_int_equal(intruder_ups(), 0);
}

static void a_hello_that_is_wrong_gets_no_answer(void **state)
{
    (void)state;
    struct handshake_hello right, hello;
    struct public_key stranger = {{1, 2, 3}};
    handshake_hello_make(&right, HANDSHAKE_DIALLER, &consortium.genesis,
                         &consortium.nodes[INTRUDER].key, &consortium.nodes[0].key);
    for (int i = 0; i < 6; i++) {
        struct raw_stream raw;
        uint8_t bytes[HANDSHAKE_HELLO_SIZE];
        hello = right;
        hello.version = i == 0 ? 2 : hello.version;
        hello.role = i == 1 ? HANDSHAKE_LISTENER : hello.role;
        hello.genesis.bytes[0] ^= i == 2 ? 1 : 0;
        hello.target = i == 3 ? consortium.nodes[1].key : hello.target;
        hello.key = i == 4 ? stranger : i == 5 ? consortium.nodes[0].key : hello.key;
        handshake_hello_encode(bytes, &hello);
        raw_dial(&raw, consortium.nodes[0].address, raw_identity_of(&consortium, INTRUDER), NULL);
        assert_true(raw_send(&raw, bytes, sizeof(bytes)));
        assert_true(raw_closes_silently(&raw, 2000));
        raw_close(&raw);
    }
    assert_int_equal(intruder_ups(), 0);
}

/* Mallory, a member, is dialled by node 2 and passes on what it hears to node 0, as if node 2 had
 * dialled node 0 (docs/spec/wire.md 3.3). */
static void a_member_in_the_middle_cant_pass_a_proof_on(void **state)
{
    (void)state;
    enum { MALLORY = 1 };
    struct raw_listener listener;
    struct raw_stream from_victim, to_target;
    struct handshake_hello victim, target, to_say;
    uint8_t bytes[HANDSHAKE_HELLO_SIZE], auth[HANDSHAKE_AUTH_SIZE];
    struct p2p_config config;
    raw_listen(&listener, raw_identity_of(&consortium, MALLORY));
    consortium_config(&consortium, INTRUDER, &config);
    config.listen[0] = '\0';
    config.peers[0].address[0] = '\0';
    snprintf(config.peers[1].address, sizeof(config.peers[1].address), "127.0.0.1:%u",
             listener.port);
    consortium_start(&consortium, INTRUDER, &config);

    assert_true(raw_accept(&listener, &from_victim, 3000));
    assert_true(raw_receive(&from_victim, bytes, sizeof(bytes), 2000));
    struct handshake_hello mallory = {.role = HANDSHAKE_LISTENER,
                                      .genesis = consortium.genesis,
                                      .key = consortium.nodes[MALLORY].key};
    assert_int_equal(handshake_hello_check(&victim, &mallory, bytes_view_of(bytes, sizeof(bytes))),
                     HANDSHAKE_OK);

    /* To the target it says what the victim said, with the target's name in it. */
    to_say = victim;
    to_say.target = consortium.nodes[0].key;
    raw_dial(&to_target, consortium.nodes[0].address, raw_identity_of(&consortium, MALLORY), NULL);
    assert_true(raw_hello(&to_target, &to_say, &target));

    /* To the victim it says its own name, with the target's nonce. */
    to_say = target;
    to_say.key = consortium.nodes[MALLORY].key;
    handshake_hello_encode(bytes, &to_say);
    assert_true(raw_send(&from_victim, bytes, sizeof(bytes)));
    assert_true(raw_receive(&from_victim, auth, sizeof(auth), 2000));
    assert_int_equal(handshake_auth_check(&victim, &to_say, bytes_view_of(auth, sizeof(auth))),
                     HANDSHAKE_OK);
    assert_true(raw_send(&to_target, auth, sizeof(auth)));
    assert_true(raw_closes(&to_target, 2000));
    assert_int_equal(intruder_ups(), 0);

    raw_close(&to_target);
    raw_close(&from_victim);
    raw_listener_close(&listener);
    consortium_stop(&consortium, INTRUDER);
}

/* A plain TCP connection to node 0. */
static int connect_plain(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(p2p_port(consortium.nodes[0].p2p)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool plain_closes(int fd, int seconds)
{
    struct timeval limit = {.tv_sec = seconds};
    char bytes[512];
    ssize_t size;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    while ((size = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
    }
    return size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void bytes_that_are_no_tls_close_the_connection(void **state)
{
    (void)state;
    uint64_t random = 77;
    for (int i = 0; i < 20; i++) {
        uint8_t bytes[3000];
        for (size_t k = 0; k < sizeof(bytes); k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[k] = (uint8_t)(random >> 56);
        }
        if (i % 2 == 0) {
            memcpy(bytes, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11); /* almost TLS */
        }
        int fd = connect_plain();
        assert_true(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0);
        assert_true(plain_closes(fd, 3));
        close(fd);
    }
}

static void half_open_connections_are_few_and_short_lived(void **state)
{
    (void)state;
    enum { COUNT = KEEPER_PENDING_MAX + 16 };
    int fds[COUNT];
    int64_t began = monotonic_ms();
    for (int i = 0; i < COUNT; i++) {
        fds[i] = connect_plain();
    }
    /* Only so many are kept: the oldest give way, long before their time is up. */
    for (int i = 0; i < COUNT - KEEPER_PENDING_MAX; i++) {
        assert_true(plain_closes(fds[i], 2));
    }
    assert_true(monotonic_ms() - began < KEEPER_HANDSHAKE_MS / 2);
    /* A member gets in past them. */
    struct raw_stream raw;
    struct handshake_hello ours, theirs;
    assert_true(raw_join(&raw, &consortium, INTRUDER, 0, &ours, &theirs));
    assert_true(wait_up(&consortium, 0, INTRUDER, 2000));
    raw_close(&raw);
    /* The rest is closed in time. */
    assert_true(plain_closes(fds[COUNT - 1], 7));
    assert_in_range(monotonic_ms() - began, KEEPER_HANDSHAKE_MS - 100, KEEPER_HANDSHAKE_MS + 1500);
    for (int i = 0; i < COUNT; i++) {
        close(fds[i]);
    }
}

static void a_frame_over_the_limit_is_a_strike(void **state)
{
    (void)state;
    static const uint8_t header[] = {0, 0x40, 0, 1}; /* LIMIT_FRAME_BYTES + 1 */
    struct raw_stream raw;
    struct handshake_hello ours, theirs;
    assert_true(raw_join(&raw, &consortium, INTRUDER, 0, &ours, &theirs));
    assert_true(wait_up(&consortium, 0, INTRUDER, 2000));
    assert_true(raw_send(&raw, header, sizeof(header)));
    assert_true(raw_closes(&raw, 2000));
    assert_true(wait_down(&consortium, 0, INTRUDER, 2000));
    raw_close(&raw);
    /* Shut out for a moment, by its key and not by its address; then it may come again. */
    assert_false(raw_join(&raw, &consortium, INTRUDER, 0, &ours, &theirs));
    raw_close(&raw);
    sleep_ms(KEEPER_STRIKE_MS_MIN + 50);
    assert_true(raw_join(&raw, &consortium, INTRUDER, 0, &ours, &theirs));
    raw_close(&raw);
}

static void a_link_that_breaks_inside_a_frame_delivers_nothing_of_it(void **state)
{
    (void)state;
    static const uint8_t half[] = {0, 0, 1, 0, 'h', 'a', 'l', 'f'};
    struct raw_stream raw;
    struct handshake_hello ours, theirs;
    assert_true(raw_join(&raw, &consortium, INTRUDER, 0, &ours, &theirs));
    assert_true(wait_up(&consortium, 0, INTRUDER, 2000));
    assert_true(raw_send(&raw, half, sizeof(half)));
    sleep_ms(50);
    raw_close(&raw);
    assert_true(wait_down(&consortium, 0, INTRUDER, 2000));
    assert_int_equal(frames_of(&consortium, 0), 0);
}

static void a_silent_peer_loses_its_link_and_a_new_link_replaces_it(void **state)
{
    (void)state;
    struct raw_stream first, second;
    struct handshake_hello ours, theirs;
    assert_true(raw_join(&first, &consortium, INTRUDER, 0, &ours, &theirs));
    assert_true(wait_up(&consortium, 0, INTRUDER, 2000));
    /* The peer has lost its end without a word (it dials again): the slot isn't held. */
    assert_true(raw_join(&second, &consortium, INTRUDER, 0, &ours, &theirs));
    assert_true(raw_closes(&first, 2000));
    assert_true(wait_up(&consortium, 0, INTRUDER, 2000));
    assert_int_equal(intruder_ups(), 2);
    /* Nothing is said on the second: heartbeats missed, down. */
    int64_t began = monotonic_ms();
    assert_true(raw_closes(&second, 3000));
    assert_in_range(monotonic_ms() - began, TEST_HEARTBEAT_MS * 2, TEST_HEARTBEAT_MS * 6);
    assert_true(wait_down(&consortium, 0, INTRUDER, 1000));
    raw_close(&first);
    raw_close(&second);
}

/* The rule of docs/spec/wire.md 5, case by case, on the node with the smaller key: it has dialled,
 * and the peer dials back. */
static void a_second_link_waits_until_the_first_is_silent(void **state)
{
    (void)state;
    enum { HEARTBEAT_MS = 800 };
    static struct consortium pair;
    consortium_make(&pair, 2);
    uint32_t small = public_key_compare(&pair.nodes[0].key, &pair.nodes[1].key) < 0 ? 0 : 1;
    uint32_t large = 1 - small;
    struct raw_listener listener;
    struct raw_stream dialled, back;
    struct handshake_hello ours, theirs;
    struct p2p_config config;
    raw_listen(&listener, raw_identity_of(&pair, large));
    consortium_config(&pair, small, &config);
    snprintf(config.peers[0].address, sizeof(config.peers[0].address), "127.0.0.1:%u",
             listener.port);
    config.heartbeat_ms = HEARTBEAT_MS;
    consortium_start(&pair, small, &config);
    assert_true(raw_accept(&listener, &dialled, 3000));
    assert_true(raw_answer(&dialled, &pair, large, small));
    assert_true(wait_up(&pair, small, large, 2000));

    static const uint8_t heartbeat[4] = {0};
    assert_true(raw_send(&dialled, heartbeat, sizeof(heartbeat)));
    sleep_ms(20);
    assert_false(raw_join(&back, &pair, large, small, &ours, &theirs));
    raw_close(&back);
    assert_int_equal(ups_of(&pair, small, large), 1);
    /* Silent for one and a half heartbeats, and not for so long that it is dropped. */
    sleep_ms(HEARTBEAT_MS * 8 / 5);
    assert_int_equal(downs_of(&pair, small, large), 0);
    assert_true(raw_join(&back, &pair, large, small, &ours, &theirs));
    assert_true(raw_closes(&dialled, 2000));
    assert_true(wait_up(&pair, small, large, 2000));
    assert_int_equal(ups_of(&pair, small, large), 2);
    raw_close(&back);
    raw_close(&dialled);
    raw_listener_close(&listener);
    consortium_remove(&pair);
}

#define INTRUDER_TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INTRUDER_TEST(a_member_that_does_it_right_gets_in),
        INTRUDER_TEST(a_certificate_of_another_ca_is_refused),
        INTRUDER_TEST(an_old_tls_is_refused),
        INTRUDER_TEST(a_listener_with_another_members_certificate_is_not_believed),
        INTRUDER_TEST(a_member_without_the_node_key_is_refused),
        INTRUDER_TEST(a_hello_that_is_wrong_gets_no_answer),
        INTRUDER_TEST(a_member_in_the_middle_cant_pass_a_proof_on),
        INTRUDER_TEST(bytes_that_are_no_tls_close_the_connection),
        INTRUDER_TEST(half_open_connections_are_few_and_short_lived),
        INTRUDER_TEST(a_frame_over_the_limit_is_a_strike),
        INTRUDER_TEST(a_link_that_breaks_inside_a_frame_delivers_nothing_of_it),
        INTRUDER_TEST(a_silent_peer_loses_its_link_and_a_new_link_replaces_it),
        INTRUDER_TEST(a_second_link_waits_until_the_first_is_silent),
    };
    log_open(stdout, "test", LOG_DEBUG, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
