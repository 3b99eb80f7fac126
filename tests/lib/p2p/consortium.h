/* A consortium on loopback for the tests of p2p: a CA and certificates in a directory of their own,
 * nodes that write down what their handler hears, and waiting with an end. */
#ifndef FLEX_TESTS_LIB_P2P_CONSORTIUM_H
#define FLEX_TESTS_LIB_P2P_CONSORTIUM_H

#include <pthread.h>

#include "p2p/p2p.h"

enum { TEST_NODES_MAX = 6, TEST_FRAMES_MAX = 4096, TEST_HEARTBEAT_MS = 200 };

/* A frame as it came in: its size, its first eight bytes, a hash of it all. */
struct heard_frame {
    uint32_t peer;
    size_t size;
    uint64_t mark;
    struct hash hash;
};

struct test_node {
    struct secret_key seed;
    struct public_key key;
    char certificate_file[128];
    char key_file[128];
    struct p2p *p2p; /* NULL while it is stopped */
    char address[32];
    uint32_t peer_count;
    uint32_t peer_node[TEST_NODES_MAX]; /* which node each peer is */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t ups[TEST_NODES_MAX]; /* by peer index */
    uint32_t downs[TEST_NODES_MAX];
    bool is_up[TEST_NODES_MAX];
    bool inside; /* the handler runs */
    bool refuse; /* no room for frames */
    uint32_t refused;
    uint32_t disorder; /* events that came in an impossible order */
    uint32_t frame_count;
    struct heard_frame frames[TEST_FRAMES_MAX];
};

struct consortium {
    char dir[64];
    char ca_file[128];
    char ca_key_file[128];
    struct hash genesis;
    uint32_t count;
    struct test_node nodes[TEST_NODES_MAX];
};

/* Makes the directory, the CA and a certificate per node; starts nothing. */
void consortium_make(struct consortium *consortium, uint32_t count);
/* Stops what runs and removes the directory. */
void consortium_remove(struct consortium *consortium);
/* The configuration of one node, with every other node as peer in order, dialled where it listens;
 * a node that has not been started yet has no address. */
void consortium_config(const struct consortium *consortium, uint32_t node,
                       struct p2p_config *config);
/* Starts a node with that configuration (NULL: the one above); its port stays the same when it is
 * started again. */
void consortium_start(struct consortium *consortium, uint32_t node,
                      const struct p2p_config *config_or_null);
void consortium_stop(struct consortium *consortium, uint32_t node);
/* Index of `other` among the peers of `node`. */
uint32_t consortium_peer(const struct consortium *consortium, uint32_t node, uint32_t other);

/* Wait up to `timeout_ms`; false when it has passed. */
bool wait_up(struct consortium *consortium, uint32_t node, uint32_t other, uint32_t timeout_ms);
bool wait_down(struct consortium *consortium, uint32_t node, uint32_t other, uint32_t timeout_ms);
bool wait_frames(struct test_node *node, uint32_t count, uint32_t timeout_ms);
bool wait_refused(struct test_node *node, uint32_t count, uint32_t timeout_ms);

/* What a node's handler has counted, read while it runs. `other` picks the peer. */
uint32_t ups_of(struct consortium *consortium, uint32_t node, uint32_t other);
uint32_t downs_of(struct consortium *consortium, uint32_t node, uint32_t other);
uint32_t frames_of(struct consortium *consortium, uint32_t node);
uint32_t refused_of(struct consortium *consortium, uint32_t node);

void sleep_ms(uint32_t ms);
int64_t monotonic_ms(void);
/* `size` bytes that follow from `mark`, which leads them (as far as they reach); the caller frees. */
uint8_t *pattern_new(uint64_t mark, size_t size);
/* Sends a pattern; false as p2p_send. */
bool send_pattern(struct consortium *consortium, uint32_t from, uint32_t to, enum p2p_class class,
                  uint64_t mark, size_t size);
bool heard_pattern(const struct heard_frame *frame, uint64_t mark, size_t size);

#endif
