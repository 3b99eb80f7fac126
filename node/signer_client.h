/* The node's side of a signer in a process of its own (docs/spec/signer.md 3; docs/adr/0056).
 *
 * A thread of its own keeps the connection: it connects, asks for the signer's state once a second, and
 * backs off while there is no answer. Votes and proofs of links are asked for by whoever needs them, each
 * with a deadline; an answer that fails to come, or that is not the key's, closes the connection, and until
 * the thread has another one every question is answered AWAY at once. So a dead signer costs nobody time,
 * and a hung one SIGNER_TIMEOUT_MS at a time. */
#ifndef FLEX_NODE_SIGNER_CLIENT_H
#define FLEX_NODE_SIGNER_CLIENT_H

#include "consensus/bft.h"
#include "node/metrics.h"
#include "p2p/handshake.h"

struct signer;

enum {
    SIGNER_PATH_MAX = 107, /* of a Unix socket, without the NUL */
    /* A vote waits so long for the signer's disk. Longer than a sync takes on any disk that a validator
     * should have; well below a view's timeout. */
    SIGNER_TIMEOUT_MS = 1000,
    SIGNER_ASK_STATE_MS = 1000,
    SIGNER_BACKOFF_MS_MIN = 50,
    SIGNER_BACKOFF_MS_MAX = 5000
};

struct signer_config {
    const char *socket;
    struct hash genesis;
    struct public_key key; /* that the signer must have */
    struct node_metrics *metrics;
    /* The signer came or went: called from its own thread, or from a caller's below. Must not block. */
    void (*changed)(void *context);
    void *context;
};

/* NULL if memory or threads ran out. `config` is copied, the socket's name too. */
struct signer *signer_open(const struct signer_config *config);
void signer_close(struct signer *signer);
/* Did it answer last time? Any thread. */
bool signer_is_up(struct signer *signer);
/* A bft_sign_fn; `context` is the struct signer. */
enum bft_sign_result signer_sign_vote(void *context, struct vote *vote);
/* A p2p_sign_fn. False: there is no signature now. */
bool signer_sign_link(void *context, struct signature *out, const struct handshake_hello *ours,
                      const struct handshake_hello *theirs);

/* One question on a connection of its own, for `flexsignd status`: false with the reason. */
bool signer_ask_state(struct public_key *key, uint64_t *epoch, uint64_t *view, const char *socket,
                      char problem[160]);

#endif
