/* A consortium on loopback (consortium.h). Every wait has an end, so that a defect shows as a failed
 * assertion and not as a test that hangs. */
#include "tests/lib/p2p/consortium.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/p2p/ports.h"

/* nng counts references in atomics, which ThreadSanitizer can't see in a library that it hasn't
 * built; so it reports the last holder's pthread_mutex_destroy. Nothing else is hidden. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:pthread_mutex_destroy\n";
}

void sleep_ms(uint32_t ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&span, NULL);
}

int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void node_make(struct consortium *consortium, uint32_t index)
{
    struct test_node *node = &consortium->nodes[index];
    char problem[160] = "";
    secret_key_random(&node->seed);
    ed25519_public_key(&node->key, &node->seed);
    snprintf(node->certificate_file, sizeof(node->certificate_file), "%s/node%u.pem",
             consortium->dir, index);
    snprintf(node->key_file, sizeof(node->key_file), "%s/node%u.key", consortium->dir, index);
    if (!p2p_certificate_issue(node->certificate_file, node->key_file, consortium->ca_file,
                               consortium->ca_key_file, &node->key, 30, problem)) {
        fail_msg("%s", problem);
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&node->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&node->lock, NULL);
}

void consortium_make(struct consortium *consortium, uint32_t count)
{
    char problem[160] = "";
    assert_true(crypto_init());
    memset(consortium, 0, sizeof(*consortium));
    assert_true(count <= TEST_NODES_MAX);
    consortium->count = count;
    snprintf(consortium->dir, sizeof(consortium->dir), "/tmp/flex-p2p-XXXXXX");
    assert_non_null(mkdtemp(consortium->dir));
    snprintf(consortium->ca_file, sizeof(consortium->ca_file), "%s/ca.pem", consortium->dir);
    snprintf(consortium->ca_key_file, sizeof(consortium->ca_key_file), "%s/ca.key",
             consortium->dir);
    if (!p2p_ca_create(consortium->ca_file, consortium->ca_key_file, "test consortium", problem)) {
        fail_msg("%s", problem);
    }
    random_bytes(consortium->genesis.bytes, sizeof(consortium->genesis.bytes));
    for (uint32_t i = 0; i < count; i++) {
        node_make(consortium, i);
    }
}

void consortium_remove(struct consortium *consortium)
{
    for (uint32_t i = 0; i < consortium->count; i++) {
        struct test_node *node = &consortium->nodes[i];
        if (node->p2p != NULL) {
            consortium_stop(consortium, i);
        }
        assert_int_equal(node->disorder, 0);
        unlink(node->certificate_file);
        unlink(node->key_file);
        pthread_mutex_destroy(&node->lock);
        pthread_cond_destroy(&node->changed);
    }
    unlink(consortium->ca_file);
    unlink(consortium->ca_key_file);
    rmdir(consortium->dir);
}

void consortium_config(const struct consortium *consortium, uint32_t index,
                       struct p2p_config *config)
{
    const struct test_node *node = &consortium->nodes[index];
    memset(config, 0, sizeof(*config));
    if (node->address[0] != '\0') {
        snprintf(config->listen, sizeof(config->listen), "%s", node->address);
    } else {
        snprintf(config->listen, sizeof(config->listen), "127.0.0.1:%u", test_port());
    }
    snprintf(config->ca_file, sizeof(config->ca_file), "%s", consortium->ca_file);
    snprintf(config->certificate_file, sizeof(config->certificate_file), "%s",
             node->certificate_file);
    snprintf(config->key_file, sizeof(config->key_file), "%s", node->key_file);
    config->seed = node->seed;
    config->genesis = consortium->genesis;
    config->heartbeat_ms = TEST_HEARTBEAT_MS;
    for (uint32_t i = 0; i < consortium->count; i++) {
        if (i != index) {
            struct p2p_peer_config *peer = &config->peers[config->peer_count];
            peer->key = consortium->nodes[i].key;
            snprintf(peer->address, sizeof(peer->address), "%s", consortium->nodes[i].address);
            config->peer_count++;
        }
    }
}

static bool on_event(void *context, const struct p2p_event *event)
{
    struct test_node *node = context;
    bool taken = true;
    pthread_mutex_lock(&node->lock);
    node->disorder += node->inside ? 1 : 0;
    node->inside = true;
    pthread_mutex_unlock(&node->lock);
    struct heard_frame frame = {.peer = event->peer, .size = event->frame.size};
    if (event->kind == P2P_FRAME) {
        hash_bytes(&frame.hash, HASH_DOMAIN_WITNESS, event->frame.data, event->frame.size);
        memcpy(&frame.mark, event->frame.data,
               event->frame.size < sizeof(frame.mark) ? event->frame.size : sizeof(frame.mark));
    }
    pthread_mutex_lock(&node->lock);
    switch (event->kind) {
    case P2P_PEER_UP:
        node->disorder += node->is_up[event->peer] ? 1 : 0;
        node->is_up[event->peer] = true;
        node->ups[event->peer]++;
        break;
    case P2P_PEER_DOWN:
        node->disorder += node->is_up[event->peer] ? 0 : 1;
        node->is_up[event->peer] = false;
        node->downs[event->peer]++;
        break;
    case P2P_FRAME:
        node->disorder += node->is_up[event->peer] ? 0 : 1;
        taken = !node->refuse && node->frame_count < TEST_FRAMES_MAX;
        if (taken) {
            node->frames[node->frame_count] = frame;
            node->frame_count++;
        } else {
            node->refused++;
        }
        break;
    }
    node->inside = false;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
    return taken;
}

void consortium_start(struct consortium *consortium, uint32_t index,
                      const struct p2p_config *config_or_null)
{
    struct test_node *node = &consortium->nodes[index];
    struct p2p_config config;
    char problem[160] = "";
    assert_null(node->p2p);
    if (config_or_null == NULL) {
        consortium_config(consortium, index, &config);
        config_or_null = &config;
    }
    memset(node->is_up, 0, sizeof(node->is_up));
    node->p2p = p2p_start(config_or_null, on_event, node, problem);
    if (node->p2p == NULL) {
        fail_msg("%s", problem);
    }
    if (config_or_null->listen[0] != '\0') {
        snprintf(node->address, sizeof(node->address), "127.0.0.1:%u", p2p_port(node->p2p));
    }
}

void consortium_stop(struct consortium *consortium, uint32_t index)
{
    struct test_node *node = &consortium->nodes[index];
    p2p_stop(node->p2p);
    node->p2p = NULL;
}

uint32_t consortium_peer(const struct consortium *consortium, uint32_t node, uint32_t other)
{
    assert_true(node != other && other < consortium->count);
    return other < node ? other : other - 1;
}

/* --- waiting -------------------------------------------------------------------------------- */

typedef bool (*node_condition)(const struct test_node *node, uint32_t argument);

static bool wait_for(struct test_node *node, node_condition holds, uint32_t argument,
                     uint32_t timeout_ms)
{
    int64_t end = monotonic_ms() + timeout_ms;
    struct timespec until = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
    pthread_mutex_lock(&node->lock);
    bool ok;
    while (!(ok = holds(node, argument)) &&
           pthread_cond_timedwait(&node->changed, &node->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&node->lock);
    return ok;
}

static bool holds_up(const struct test_node *node, uint32_t peer)
{
    return node->is_up[peer];
}

static bool holds_down(const struct test_node *node, uint32_t peer)
{
    return !node->is_up[peer];
}

static bool holds_frames(const struct test_node *node, uint32_t count)
{
    return node->frame_count >= count;
}

static bool holds_refused(const struct test_node *node, uint32_t count)
{
    return node->refused >= count;
}

bool wait_up(struct consortium *consortium, uint32_t node, uint32_t other, uint32_t timeout_ms)
{
    return wait_for(&consortium->nodes[node], holds_up, consortium_peer(consortium, node, other),
                    timeout_ms);
}

bool wait_down(struct consortium *consortium, uint32_t node, uint32_t other, uint32_t timeout_ms)
{
    return wait_for(&consortium->nodes[node], holds_down, consortium_peer(consortium, node, other),
                    timeout_ms);
}

bool wait_frames(struct test_node *node, uint32_t count, uint32_t timeout_ms)
{
    return wait_for(node, holds_frames, count, timeout_ms);
}

bool wait_refused(struct test_node *node, uint32_t count, uint32_t timeout_ms)
{
    return wait_for(node, holds_refused, count, timeout_ms);
}

/* --- reading while it runs ------------------------------------------------------------------ */

static uint32_t read_counter(struct test_node *node, const uint32_t *counter)
{
    pthread_mutex_lock(&node->lock);
    uint32_t value = *counter;
    pthread_mutex_unlock(&node->lock);
    return value;
}

uint32_t ups_of(struct consortium *consortium, uint32_t node, uint32_t other)
{
    struct test_node *self = &consortium->nodes[node];
    return read_counter(self, &self->ups[consortium_peer(consortium, node, other)]);
}

uint32_t downs_of(struct consortium *consortium, uint32_t node, uint32_t other)
{
    struct test_node *self = &consortium->nodes[node];
    return read_counter(self, &self->downs[consortium_peer(consortium, node, other)]);
}

uint32_t frames_of(struct consortium *consortium, uint32_t node)
{
    return read_counter(&consortium->nodes[node], &consortium->nodes[node].frame_count);
}

uint32_t refused_of(struct consortium *consortium, uint32_t node)
{
    return read_counter(&consortium->nodes[node], &consortium->nodes[node].refused);
}

/* --- patterns ------------------------------------------------------------------------------- */

uint8_t *pattern_new(uint64_t mark, size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    uint64_t state = mark;
    for (size_t i = 0; i < size; i++) {
        if (i < sizeof(mark)) {
            bytes[i] = (uint8_t)(mark >> (8 * i));
        } else {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(state >> 56);
        }
    }
    return bytes;
}

bool send_pattern(struct consortium *consortium, uint32_t from, uint32_t to, enum p2p_class class,
                  uint64_t mark, size_t size)
{
    uint8_t *bytes = pattern_new(mark, size);
    bool sent = p2p_send(consortium->nodes[from].p2p, consortium_peer(consortium, from, to), class,
                         bytes_view_of(bytes, size));
    free(bytes);
    return sent;
}

bool heard_pattern(const struct heard_frame *frame, uint64_t mark, size_t size)
{
    uint8_t *bytes = pattern_new(mark, size);
    struct hash hash;
    hash_bytes(&hash, HASH_DOMAIN_WITNESS, bytes, size);
    free(bytes);
    return frame->size == size && hash_equal(&frame->hash, &hash);
}
