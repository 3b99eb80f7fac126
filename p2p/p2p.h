/* Authenticated links between nodes: TLS streams of nng with our own framing (docs/adr/0003).
 *
 * Each link: mutual TLS under the consortium's CA; the dialling side checks that the certificate
 * carries the name of the validator that it wants (its key in hex); then both sides prove their node
 * key by a signature over both nonces, both keys and who dialled (docs/spec/wire.md). Two nodes keep
 * one link. Frames: u32 size, bytes. Heartbeats, reconnects with backoff, and per-peer queues with
 * byte budgets are in here; callers see peers come and go, and whole frames.
 *
 * Delivery is best effort: a frame that was queued may be lost when the link drops. */
#ifndef FLEX_P2P_P2P_H
#define FLEX_P2P_P2P_H

#include "base/limits.h"
#include "base/name.h"
#include "crypto/sign.h"

struct p2p;

enum { P2P_PEERS_MAX = 64 };

/* Votes go before blocks, blocks before transactions, transactions before sync. */
enum p2p_class { P2P_VOTE, P2P_BLOCK, P2P_TRANSACTION, P2P_SYNC, P2P_CLASS_COUNT };

struct p2p_peer_config {
    struct public_key key; /* Ed25519 node key: a validator's, or an observer's */
    char address[96];      /* host:port to dial; empty: it dials us */
};

/* Signs the proof of a link (p2p/handshake.h) where the node's key is in another process; called from p2p's
 * own thread. False: there is no signature now, and the link ends. */
struct handshake_hello;
typedef bool (*p2p_sign_fn)(void *context, struct signature *out,
                            const struct handshake_hello *ours,
                            const struct handshake_hello *theirs);

struct p2p_config {
    char listen[96];   /* host:port; port 0 picks one; empty: don't listen */
    char ca_file[256]; /* PEM: the consortium's CA */
    char certificate_file[256];
    char key_file[256];
    struct secret_key seed; /* this node's Ed25519 seed; not used with `sign` */
    p2p_sign_fn sign;       /* NULL: the seed signs; else `key` is the node's */
    void *sign_context;
    struct public_key key;
    struct hash genesis;
    uint32_t peer_count;
    struct p2p_peer_config peers[P2P_PEERS_MAX];
    uint32_t heartbeat_ms; /* 0 = 2000; a link silent for three of them is dropped */
};

/* Calls below that take a peer's index take any below P2P_PEERS_MAX: one that is not configured is down. */
enum p2p_event_kind { P2P_PEER_UP, P2P_PEER_DOWN, P2P_FRAME };

struct p2p_event {
    enum p2p_event_kind kind;
    uint32_t peer;           /* index in the configuration's peers */
    struct bytes_view frame; /* valid during the call */
};

/* Called from p2p's own thread, one call at a time. Must not block, nor call p2p_stop; may call
 * everything else here. Returning false for a FRAME means "no room": the link stops reading until
 * p2p_resume(peer). The refused frame is delivered again then. Frames are never empty. UP comes
 * before a peer's first frame, DOWN after its last; there is no DOWN for what p2p_stop closes. */
typedef bool (*p2p_handler)(void *context, const struct p2p_event *event);

/* NULL on failure with the reason in `problem`. crypto_init must have been called. The first events
 * may come before it returns. */
struct p2p *p2p_start(const struct p2p_config *config, p2p_handler handler, void *context,
                      char problem[160]);
/* Takes CA, certificate and key anew from the files, new addresses of peers, and peers behind those that are
 * known (which keep their indices: their keys must be the same, in the same order). False, with the reason
 * and nothing changed, if the files don't belong together. From then on every handshake uses the new files,
 * and links made before are made anew, one after the other; if one does not come back within 10 s, the rest
 * stay as they are and a line of level unusual says so. If files and peers are what they were, nothing
 * happens. Any thread. */
bool p2p_reload(struct p2p *p2p, const struct p2p_config *config, char problem[160]);
/* Closes every link, waits for its callbacks, frees: the handler is not called once it returns. */
void p2p_stop(struct p2p *p2p);
/* The port that is listened on. */
uint16_t p2p_port(const struct p2p *p2p);
/* Copies the frame, 1 to LIMIT_FRAME_BYTES bytes, into the peer's queue. False if the peer is down,
 * its budget for that class is spent or memory ran out: the frame is dropped, which callers must
 * survive. An empty queue takes any one frame. Any thread. */
bool p2p_send(struct p2p *p2p, uint32_t peer, enum p2p_class class, struct bytes_view frame);
/* There is room again. Any thread, at any time; the refused frame comes from p2p's own thread. */
void p2p_resume(struct p2p *p2p, uint32_t peer);
/* The peer broke the protocol: drop the link, count, and have no link with it for a while (250 ms,
 * doubled by each strike up to a minute). Any thread. */
void p2p_strike(struct p2p *p2p, uint32_t peer, const char *why);
bool p2p_peer_is_up(const struct p2p *p2p, uint32_t peer);
uint32_t p2p_up_count(const struct p2p *p2p);

/* --- certificates, made with mbedTLS (p2p/certificate.c) ------------------------------------ */

/* A new CA: ECDSA P-256, `name` as its subject; files are made 0600 (key) and 0644. */
bool p2p_ca_create(const char *certificate_file, const char *key_file, const char *name,
                   char problem[160]);
/* A node's TLS key and certificate under that CA, with the node key in hex as common name and as
 * DNS subject alternative names in two labels of 32 digits, valid for `days`. */
bool p2p_certificate_issue(const char *certificate_file, const char *key_file,
                           const char *ca_certificate_file, const char *ca_key_file,
                           const struct public_key *node_key, int days, char problem[160]);

#endif
