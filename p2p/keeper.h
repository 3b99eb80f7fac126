/* The inside of struct p2p: what setup.c builds, keeper.c keeps, session.c gives meaning to.
 *
 * One thread, the keeper, owns every link and peer and calls the handler; so the handler is never
 * called twice at a time, and needs no lock. Other threads reach in at a few fields only, all under
 * the doorbell's lock and marked so below. */
#ifndef FLEX_P2P_KEEPER_H
#define FLEX_P2P_KEEPER_H

#include <nng/nng.h>
/* Needs the header above it. */
#include <nng/supplemental/tls/tls.h>

#include "p2p/link.h"

enum {
    /* Accepted links that have not authenticated yet: twice the largest consortium. */
    KEEPER_PENDING_MAX = 64,
    /* A live and a dialling link per peer, the pending ones, and those that are being closed. */
    KEEPER_LINKS_MAX = 4 * P2P_PEERS_MAX + KEEPER_PENDING_MAX,
    /* From dialling or accepting until both have proven who they are. Some ten round trips of a
     * slow mobile line. */
    KEEPER_HANDSHAKE_MS = 5000,
    KEEPER_TICK_MS = 25,
    /* What must be free before a connection is made: two of nng's buffers of a TLS record each, several
     * times over. */
    KEEPER_PROBE_BYTES = 128 * 1024,
    KEEPER_BACKOFF_MS_MIN = 50,
    KEEPER_BACKOFF_MS_MAX = 5000,
    /* A link that lives this long wipes out the failures before it. */
    KEEPER_STABLE_MS = 5000,
    KEEPER_HEARTBEAT_MS_DEFAULT = 2000,
    KEEPER_HEARTBEATS_SILENT = 3,
    /* A peer that was struck is let in again after 250 ms, doubled with each strike up to a minute.
     * A minute without one takes one back. */
    KEEPER_STRIKE_MS_MIN = 250,
    KEEPER_STRIKE_MS_MAX = 60000,
    KEEPER_STRIKE_MS_FORGIVEN = 60000,
    /* Refused strangers that make a log line, per second. */
    KEEPER_REFUSALS_LOGGED = 5,
    /* After a reload: so long a link may take to come back before the next one is made anew. */
    KEEPER_RENEW_MS = 10000
};

/* How a file looked when it was read: another one in its place, or another content, shows. */
struct file_stamp {
    uint64_t device, inode, size;
    int64_t seconds, nanoseconds;
};
enum { TLS_FILES = 3 }; /* CA, certificate, key */

/* What p2p_reload has made and the keeper has not taken over yet. */
struct renewal {
    struct p2p_config config;
    nng_tls_config *server; /* NULL: doesn't listen */
    nng_stream_dialer *dialers[P2P_PEERS_MAX];
};

struct peer {
    struct public_key key;
    nng_stream_dialer *dialer; /* NULL: it dials us */
    struct link *live;
    struct link *dialling;
    int64_t dial_ms;   /* not before */
    int64_t refuse_ms; /* until then no link of its, ours or theirs */
    int64_t struck_ms;
    uint32_t failures;
    uint32_t strikes;
    bool has_queued; /* collected from the queue */

    /* Under the doorbell's lock: */
    struct frame_queue queue;
    bool up;
    bool resume;
    bool strike;
    char strike_why[80];
};

struct p2p {
    struct p2p_config config;
    struct public_key key;
    p2p_handler handler;
    void *context;
    pthread_t keeper;
    bool has_keeper;

    nng_stream_listener *listener; /* NULL: doesn't listen */
    nng_aio *accept_aio;
    bool accepting;
    bool accept_ready;
    int64_t accept_ms; /* not before */
    uint16_t port;

    int64_t tick_ms;
    int64_t refusals_second;
    uint32_t refusals;
    /* Of the peers; grows only, and is stored after what it counts. */
    _Atomic uint32_t peer_count;
    /* A reload that is under way: links older than that are made anew, one at a time. */
    int64_t renew_ms;    /* 0: none is */
    uint32_t renew_peer; /* whose link was ended for it; LINK_NO_PEER: nobody's */
    int64_t renew_deadline_ms;
    nng_tls_config *listen_tls; /* a listener that has yet to find its port free; NULL: none has */
    int64_t listen_ms;          /* not before */
    uint32_t link_count;
    struct link *links[KEEPER_LINKS_MAX];
    struct peer peers[P2P_PEERS_MAX];

    struct doorbell doorbell;
    /* Under its lock: */
    bool accept_done;
    bool stopping;
    struct renewal *renewal; /* or NULL */
    struct file_stamp stamps[TLS_FILES];
    uint32_t asked_count; /* peers of the last configuration that was taken, and its peers */
    struct p2p_peer_config asked[P2P_PEERS_MAX];
};

/* --- setup.c -------------------------------------------------------------------------------- */

/* A nng callback: a connection has come in. */
void keeper_note_accept(void *argument);

/* A TLS configuration for one direction out of the files of `config`; NULL with the reason. */
nng_tls_config *setup_tls(const struct p2p_config *config, nng_tls_mode mode,
                          const char *server_name, char problem[160]);
/* A dialer to config->peers[index], NULL in *out if it has no address. False with the reason. */
bool setup_dialer(nng_stream_dialer **out, const struct p2p_config *config, uint32_t index,
                  char problem[160]);
/* Listens with `tls`, on the port that was found the first time. False with the reason. */
bool setup_listener(struct p2p *p2p, nng_tls_config *tls, char problem[160]);
/* Whether keys, peers and files belong together. */
bool setup_check(const struct p2p_config *config, const struct public_key *own, char problem[160]);

/* --- renew.c: new certificates while links live --------------------------------------------- */

/* Notes what p2p_start was given, so that a reload of the same changes nothing. */
void renew_note(struct p2p *p2p);
/* Takes over what p2p_reload has left, and goes on with what it began. */
void renew_step(struct p2p *p2p, int64_t now_ms);
void renewal_free(struct renewal *renewal);

/* --- keeper.c ------------------------------------------------------------------------------- */

void *keeper_main(void *argument);
/* Frees the links that are closed. */
void keeper_reap(struct p2p *p2p);
int64_t keeper_now_ms(void);

/* --- session.c: what the bytes of a link mean ----------------------------------------------- */

/* Acts on what was collected for the link. */
void session_step(struct p2p *p2p, struct link *link, int64_t now_ms);
/* Heartbeats and deadlines. */
void session_tick(struct p2p *p2p, struct link *link, int64_t now_ms);
/* Acts on what other threads have asked for this peer. */
void session_peer_step(struct p2p *p2p, uint32_t peer, int64_t now_ms);
/* Closes the link, tells the handler if it was the live one, sets when to dial again. */
void session_end(struct p2p *p2p, struct link *link, int64_t now_ms, const char *why);

#endif
