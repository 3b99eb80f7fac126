/* One TLS stream of nng with its buffers: bytes in, bytes out, completions. It knows nothing of
 * peers, handshakes or time; p2p.c decides what the bytes mean.
 *
 * Threads: a link belongs to the keeper thread. nng's threads do one thing only: they note a
 * completion under the doorbell's lock and ring it. The keeper collects these notes and acts. So no
 * state of a link but the three `done` flags is ever shared. */
#ifndef FLEX_P2P_LINK_H
#define FLEX_P2P_LINK_H

#include <nng/nng.h>
#include <pthread.h>

#include "p2p/frame.h"
#include "p2p/handshake.h"

/* What the keeper sleeps on. */
struct doorbell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool ringing; /* under lock */
};

/* Once; false if the system has no locks to give. */
bool doorbell_init(struct doorbell *doorbell);
void doorbell_free(struct doorbell *doorbell);
/* The caller holds the lock. */
void doorbell_ring(struct doorbell *doorbell);

enum link_phase {
    LINK_DIALLING, /* no stream yet */
    LINK_HELLO,    /* waits for the peer's HELLO */
    LINK_AUTH,     /* waits for the peer's AUTH */
    LINK_LIVE,     /* authenticated and the peer's one link */
    LINK_CLOSED    /* to be freed */
};

/* 16 KiB is one TLS record: small frames that go out together share one. */
enum { LINK_STAGE_BYTES = 16 * 1024 };

struct link {
    struct doorbell *doorbell;
    enum link_phase phase;
    enum handshake_role role;
    uint32_t peer; /* LINK_NO_PEER until the dialler has said who it is */
    struct handshake_hello ours;
    struct handshake_hello theirs;

    int64_t born_ms;
    int64_t deadline_ms; /* of the handshake */
    int64_t live_ms;
    int64_t heard_ms;
    int64_t said_ms;
    bool paused; /* the handler had no room: nothing is read */

    nng_stream *stream;
    char address[64];     /* of the other end, for the log */
    int fault;            /* what nng said of the operation that failed */
    nng_aio *receive_aio; /* also dials, before there is a stream */
    nng_aio *send_aio;
    bool receive_done, send_done;   /* under the doorbell's lock */
    bool receive_ready, send_ready; /* what the keeper has collected of them */
    bool receiving, sending;        /* an operation is under way */

    struct frame_reader reader;
    struct frame *large; /* goes out straight from its own memory */
    size_t large_at;
    size_t stage_at, stage_size;
    uint8_t stage[LINK_STAGE_BYTES];
};

enum { LINK_NO_PEER = P2P_PEERS_MAX };

/* NULL if memory ran out. */
struct link *link_new(struct doorbell *doorbell, enum handshake_role role, int64_t now_ms);
/* Waits for the callbacks of its operations, then frees everything. The doorbell's lock must not be
 * held. */
void link_free(struct link *link);
/* Ends every operation soon; the phase becomes CLOSED. Any number of times. */
void link_close(struct link *link);

/* Starts dialling. */
void link_dial(struct link *link, nng_stream_dialer *dialer);
/* Whether dialling has succeeded; then the link has its stream. Only once receive_ready is set. */
bool link_dialled(struct link *link);

/* Takes the notes of nng's threads. The caller holds the doorbell's lock. */
void link_collect(struct link *link);
/* After receive_ready: *size bytes more are in the reader. False: the stream is at its end. */
bool link_received(struct link *link, size_t *size);
/* After send_ready. False: the stream is at its end. */
bool link_sent(struct link *link);
/* Starts reading if it isn't under way. False if memory ran out or the peer sends more than a
 * handshake before it has authenticated. */
bool link_receive(struct link *link);
/* Starts writing what is staged, if anything and if no write is under way. */
void link_send(struct link *link);
/* Puts bytes behind those that are staged; they must fit. */
void link_stage(struct link *link, const void *data, size_t size);
size_t link_stage_room(const struct link *link);
/* True if nothing waits to be written. */
bool link_is_drained(const struct link *link);
/* Gives the link its stream, which it owns from then on. */
void link_set_stream(struct link *link, nng_stream *stream);

#endif
