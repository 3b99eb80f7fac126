/* The keeper thread: sleeps on the doorbell, collects what happened, acts, frees what has closed.
 *
 * Invariants:
 * 1. The handler is called by this thread only, and never with a lock held.
 * 2. Everything that is collected is acted on in the same round; a round's work is bounded by the
 *    number of links and the size of their buffers.
 * 3. Accepted links that have not authenticated number KEEPER_PENDING_MAX at most. The oldest gives
 *    way to a new one: an honest handshake takes milliseconds, so it is rarely the oldest, while
 *    somebody who only holds connections open loses them.
 *
 * Deliberately absent: epoll. nng's threads do the TLS and wake this one. */
#include "p2p/keeper.h"

#include <stdlib.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"

int64_t keeper_now_ms(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sleeps until the bell rings or the next tick is due, then collects. False: the end has come. */
static bool sleep_and_collect(struct p2p *p2p)
{
    struct timespec until = {.tv_sec = p2p->tick_ms / 1000,
                             .tv_nsec = p2p->tick_ms % 1000 * 1000000};
    pthread_mutex_lock(&p2p->doorbell.lock);
    while (!p2p->doorbell.ringing && !p2p->stopping) {
        if (pthread_cond_timedwait(&p2p->doorbell.rung, &p2p->doorbell.lock, &until) != 0) {
            break;
        }
    }
    p2p->doorbell.ringing = false;
    bool goes_on = !p2p->stopping;
    p2p->accept_ready = p2p->accept_ready || p2p->accept_done;
    p2p->accept_done = false;
    for (uint32_t i = 0; i < p2p->link_count; i++) {
        link_collect(p2p->links[i]);
    }
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        p2p->peers[i].has_queued = frame_queue_first(&p2p->peers[i].queue) != NULL;
    }
    pthread_mutex_unlock(&p2p->doorbell.lock);
    return goes_on;
}

static void add_link(struct p2p *p2p, struct link *link, int64_t now_ms)
{
    MUST(p2p->link_count < KEEPER_LINKS_MAX);
    link->deadline_ms = now_ms + KEEPER_HANDSHAKE_MS;
    p2p->links[p2p->link_count] = link;
    p2p->link_count++;
}

static bool is_pending(const struct link *link)
{
    return link->role == HANDSHAKE_LISTENER &&
           (link->phase == LINK_HELLO || link->phase == LINK_AUTH);
}

/* Makes room for one more pending link. */
static void bound_pending(struct p2p *p2p, int64_t now_ms)
{
    struct link *oldest = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < p2p->link_count; i++) {
        struct link *link = p2p->links[i];
        if (is_pending(link)) {
            count++;
            if (oldest == NULL || link->born_ms < oldest->born_ms) {
                oldest = link;
            }
        }
    }
    MUST(count <= KEEPER_PENDING_MAX);
    if (count == KEEPER_PENDING_MAX) {
        session_end(p2p, oldest, now_ms, "gave way to a newer connection");
    }
}

static void accept_link(struct p2p *p2p, nng_stream *stream, int64_t now_ms)
{
    bound_pending(p2p, now_ms);
    struct link *link = link_new(&p2p->doorbell, HANDSHAKE_LISTENER, now_ms);
    if (link == NULL) {
        nng_stream_free(stream);
        return;
    }
    link_set_stream(link, stream);
    add_link(p2p, link, now_ms);
    if (!link_receive(link)) {
        session_end(p2p, link, now_ms, "no memory");
    }
}

/* Before nng makes a connection of its own: where it gets its first bytes and not the buffers behind them, it
 * tears down what was never set up, and the process with it (nng 1.5.2 to 1.8, tls_common.c: tls_alloc calls
 * tls_free before it has set `ops`; docs/adr/0053). Memory that a moment ago was there mostly still is. */
static bool has_memory(void)
{
    void *probe = malloc(KEEPER_PROBE_BYTES);
    /* Else a compiler may see that nobody looks at it. */
    __asm__ volatile("" : : "r"(probe) : "memory");
    free(probe);
    return probe != NULL;
}

static void step_accept(struct p2p *p2p, int64_t now_ms)
{
    if (p2p->accept_ready) {
        p2p->accept_ready = p2p->accepting = false;
        if (nng_aio_result(p2p->accept_aio) == 0) {
            accept_link(p2p, nng_aio_get_output(p2p->accept_aio, 0), now_ms);
        } else {
            /* Mostly no file descriptors: trying at once would spin. */
            log_line(LOG_UNUSUAL, "p2p accepting failed > %s -> again soon",
                     nng_strerror(nng_aio_result(p2p->accept_aio)));
            p2p->accept_ms = now_ms + 4 * (int64_t)KEEPER_TICK_MS;
        }
    }
    if (p2p->listener != NULL && !p2p->accepting && now_ms >= p2p->accept_ms) {
        if (!has_memory()) {
            p2p->accept_ms = now_ms + 4 * (int64_t)KEEPER_TICK_MS;
            return;
        }
        p2p->accepting = true;
        nng_stream_listener_accept(p2p->listener, p2p->accept_aio);
    }
}

static void step_dial(struct p2p *p2p, uint32_t index, int64_t now_ms)
{
    struct peer *peer = &p2p->peers[index];
    if (peer->dialer == NULL || peer->live != NULL || peer->dialling != NULL ||
        now_ms < peer->dial_ms || now_ms < peer->refuse_ms) {
        return;
    }
    struct link *link = has_memory() ? link_new(&p2p->doorbell, HANDSHAKE_DIALLER, now_ms) : NULL;
    if (link == NULL) {
        peer->dial_ms = now_ms + 4 * (int64_t)KEEPER_TICK_MS;
        return;
    }
    link->peer = index;
    peer->dialling = link;
    add_link(p2p, link, now_ms);
    link_dial(link, peer->dialer);
}

static void tick(struct p2p *p2p, int64_t now_ms)
{
    /* If this thread was not run for long, the silence was ours and not the peers'. */
    bool overslept = now_ms - p2p->tick_ms >= (int64_t)p2p->config.heartbeat_ms;
    for (uint32_t i = 0; i < p2p->link_count; i++) {
        if (overslept) {
            p2p->links[i]->heard_ms = now_ms;
        }
        session_tick(p2p, p2p->links[i], now_ms);
    }
    p2p->tick_ms = now_ms + KEEPER_TICK_MS;
}

void keeper_reap(struct p2p *p2p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p2p->link_count; i++) {
        if (p2p->links[i]->phase == LINK_CLOSED) {
            link_free(p2p->links[i]);
        } else {
            p2p->links[kept] = p2p->links[i];
            kept++;
        }
    }
    p2p->link_count = kept;
}

/* What is left when the end has come. The handler is not called for it. */
static void close_all(struct p2p *p2p)
{
    if (p2p->listener != NULL) {
        nng_stream_listener_close(p2p->listener);
        nng_aio_stop(p2p->accept_aio);
        if (p2p->accepting && nng_aio_result(p2p->accept_aio) == 0) {
            nng_stream_free(nng_aio_get_output(p2p->accept_aio, 0));
        }
    }
    for (uint32_t i = 0; i < p2p->link_count; i++) {
        link_close(p2p->links[i]);
    }
    keeper_reap(p2p);
    MUST(p2p->link_count == 0);
}

void *keeper_main(void *argument)
{
    (void)pthread_setname_np(pthread_self(), "flexd-links");
    struct p2p *p2p = argument;
    p2p->tick_ms = keeper_now_ms();
    while (sleep_and_collect(p2p)) {
        int64_t now_ms = keeper_now_ms();
        renew_step(p2p, now_ms);
        step_accept(p2p, now_ms);
        for (uint32_t i = 0; i < p2p->peer_count; i++) {
            session_peer_step(p2p, i, now_ms);
        }
        for (uint32_t i = 0; i < p2p->link_count; i++) {
            session_step(p2p, p2p->links[i], now_ms);
        }
        if (now_ms >= p2p->tick_ms) {
            tick(p2p, now_ms);
        }
        keeper_reap(p2p);
        for (uint32_t i = 0; i < p2p->peer_count; i++) {
            step_dial(p2p, i, now_ms);
        }
    }
    close_all(p2p);
    return NULL;
}
