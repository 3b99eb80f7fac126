/* What the bytes of a link mean: handshake, which of two links stays, frames, heartbeats, strikes.
 *
 *   DIALLING -> HELLO -> AUTH -> LIVE -> CLOSED      (any phase may go to CLOSED)
 *
 * Invariants:
 * 1. The listener speaks only to what has checked out so far: it answers a HELLO that is right, and
 *    signs only for a dialler that has proven its key. A stranger learns nothing from us.
 * 2. The listener decides on the peer's slot before it sends AUTH, so a dialler that is turned away
 *    never takes the link for live.
 * 3. A peer has at most one live link; the handler hears UP before its first frame, DOWN after its
 *    last, and DOWN before the next UP.
 *
 * Deliberately absent: bans of addresses. An address proves nothing, and whoever can make
 * connections from a neighbour's address could have it banned. */
#include "p2p/keeper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"

static int64_t heartbeat_ms(const struct p2p *p2p)
{
    return p2p->config.heartbeat_ms;
}

static const char *peer_text(const struct p2p *p2p, uint32_t index, char out[9])
{
    hex_encode(out, p2p->peers[index].key.bytes, 4);
    return out;
}

static bool tell(struct p2p *p2p, enum p2p_event_kind kind, uint32_t peer, struct bytes_view frame)
{
    struct p2p_event event = {.kind = kind, .peer = peer, .frame = frame};
    return p2p->handler(p2p->context, &event);
}

/* Half of the delay is fixed, half random, so that nodes that lost each other together don't meet
 * again in step. */
static int64_t backoff_ms(uint32_t failures)
{
    int64_t delay = KEEPER_BACKOFF_MS_MIN;
    for (uint32_t i = 0; i < failures && delay < KEEPER_BACKOFF_MS_MAX; i++) {
        delay *= 2;
    }
    if (delay > KEEPER_BACKOFF_MS_MAX) {
        delay = KEEPER_BACKOFF_MS_MAX;
    }
    uint32_t noise;
    random_bytes(&noise, sizeof(noise));
    return delay / 2 + noise % (delay / 2 + 1);
}

/* Strangers can fail as often as they like; their log lines are rationed. */
static void log_refusal(struct p2p *p2p, const struct link *link, int64_t now_ms, const char *why)
{
    if (p2p->refusals_second != now_ms / 1000) {
        if (p2p->refusals > KEEPER_REFUSALS_LOGGED) {
            log_line(LOG_INFO, "p2p %" PRIu32 " more connections refused -> not logged",
                     p2p->refusals - KEEPER_REFUSALS_LOGGED);
        }
        p2p->refusals_second = now_ms / 1000;
        p2p->refusals = 0;
    }
    p2p->refusals++;
    if (p2p->refusals <= KEEPER_REFUSALS_LOGGED) {
        log_line(LOG_INFO, "p2p connection from %s > %s -> closed", link->address, why);
    }
}

static void peer_set_up(struct p2p *p2p, uint32_t index, bool up)
{
    struct peer *peer = &p2p->peers[index];
    pthread_mutex_lock(&p2p->doorbell.lock);
    peer->up = up;
    frame_queue_clear(&peer->queue);
    pthread_mutex_unlock(&p2p->doorbell.lock);
    peer->has_queued = false;
}

void session_end(struct p2p *p2p, struct link *link, int64_t now_ms, const char *why)
{
    if (link->phase == LINK_CLOSED) {
        return;
    }
    if (link->peer == LINK_NO_PEER ||
        (link->phase != LINK_LIVE && link->role == HANDSHAKE_LISTENER)) {
        log_refusal(p2p, link, now_ms, why);
        link_close(link);
        return;
    }
    uint32_t index = link->peer;
    struct peer *peer = &p2p->peers[index];
    char name[9];
    link_close(link);
    if (peer->dialling == link) {
        peer->dialling = NULL;
        peer->failures++;
        peer->dial_ms = now_ms + backoff_ms(peer->failures);
        /* The first, second, fourth, eighth ... in a row, so that a peer that is away fills no log. */
        bool shows = (peer->failures & (peer->failures - 1)) == 0;
        log_line(shows ? LOG_INFO : LOG_DEBUG,
                 "p2p dialling %s > %s -> failure %" PRIu32 ", again in %" PRId64 " ms",
                 peer_text(p2p, index, name), why, peer->failures, peer->dial_ms - now_ms);
    }
    if (peer->live == link) {
        peer->live = NULL;
        peer->failures = now_ms - link->live_ms >= KEEPER_STABLE_MS ? 0 : peer->failures + 1;
        peer->dial_ms = now_ms + backoff_ms(peer->failures);
        log_line(LOG_INFO, "p2p link to %s > %s -> down", peer_text(p2p, index, name), why);
        peer_set_up(p2p, index, false);
        tell(p2p, P2P_PEER_DOWN, index, (struct bytes_view){0});
    }
}

/* --- one link per pair ---------------------------------------------------------------------- */

static bool dialled_by_smaller(const struct p2p *p2p, const struct link *link)
{
    bool we_are_smaller = public_key_compare(&p2p->key, &p2p->peers[link->peer].key) < 0;
    return we_are_smaller == (link->role == HANDSHAKE_DIALLER);
}

/* Whether a link that has just authenticated takes its peer's slot (docs/spec/wire.md 5). A peer
 * that dials us has no link that it believes in, so a new one replaces the old one; unless both
 * have dialled at once: then both ends keep the one that the smaller key has dialled. That one is
 * given up too once nothing has been heard on it for longer than a heartbeat takes. */
static bool takes_slot(const struct p2p *p2p, const struct link *link, int64_t now_ms)
{
    const struct link *old = p2p->peers[link->peer].live;
    if (old == NULL || dialled_by_smaller(p2p, link) || !dialled_by_smaller(p2p, old)) {
        return true;
    }
    return now_ms - old->heard_ms > heartbeat_ms(p2p) + heartbeat_ms(p2p) / 2;
}

static void go_live(struct p2p *p2p, struct link *link, int64_t now_ms)
{
    uint32_t index = link->peer;
    struct peer *peer = &p2p->peers[index];
    if (peer->dialling == link) {
        peer->dialling = NULL;
    }
    if (peer->live != NULL) {
        session_end(p2p, peer->live, now_ms, "replaced by a newer link");
    }
    MUST(peer->live == NULL);
    peer->live = link;
    link->phase = LINK_LIVE;
    link->live_ms = now_ms;
    char name[9];
    log_line(LOG_INFO, "p2p link to %s > %s %s -> up", peer_text(p2p, index, name),
             link->role == HANDSHAKE_DIALLER ? "dialled" : "dialled by", link->address);
    peer_set_up(p2p, index, true);
    tell(p2p, P2P_PEER_UP, index, (struct bytes_view){0});
}

/* --- handshake ------------------------------------------------------------------------------ */

static void stage_hello(struct p2p *p2p, struct link *link, const struct public_key *target)
{
    uint8_t bytes[HANDSHAKE_HELLO_SIZE];
    handshake_hello_make(&link->ours, link->role, &p2p->config.genesis, &p2p->key, target);
    handshake_hello_encode(bytes, &link->ours);
    link_stage(link, bytes, sizeof(bytes));
}

/* False, and the link has ended, if there is no signature. */
static bool stage_auth(struct p2p *p2p, struct link *link, int64_t now_ms)
{
    uint8_t bytes[HANDSHAKE_AUTH_SIZE];
    struct signature signature;
    if (p2p->config.sign == NULL) {
        handshake_auth_make(bytes, &p2p->config.seed, &link->ours, &link->theirs);
    } else if (p2p->config.sign(p2p->config.sign_context, &signature, &link->ours, &link->theirs)) {
        memcpy(bytes, signature.bytes, sizeof(bytes));
    } else {
        session_end(p2p, link, now_ms, "the signer does not answer");
        return false;
    }
    link_stage(link, bytes, sizeof(bytes));
    return true;
}

static uint32_t find_peer(const struct p2p *p2p, const struct public_key *key)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        if (public_key_equal(&p2p->peers[i].key, key)) {
            return i;
        }
    }
    return LINK_NO_PEER;
}

static void hear_hello(struct p2p *p2p, struct link *link, struct bytes_view bytes, int64_t now_ms)
{
    if (link->role == HANDSHAKE_LISTENER) {
        link->ours = (struct handshake_hello){
            .role = HANDSHAKE_LISTENER, .genesis = p2p->config.genesis, .key = p2p->key};
    }
    enum handshake_result result = handshake_hello_check(&link->theirs, &link->ours, bytes);
    if (result != HANDSHAKE_OK) {
        session_end(p2p, link, now_ms, handshake_result_text(result));
        return;
    }
    if (link->role == HANDSHAKE_DIALLER) {
        if (stage_auth(p2p, link, now_ms)) {
            link->phase = LINK_AUTH;
        }
        return;
    }
    link->peer = find_peer(p2p, &link->theirs.key);
    if (link->peer == LINK_NO_PEER) {
        session_end(p2p, link, now_ms, "a node key that is no peer's");
    } else if (now_ms < p2p->peers[link->peer].refuse_ms) {
        session_end(p2p, link, now_ms, "a peer that was struck lately");
    } else {
        stage_hello(p2p, link, &link->theirs.key);
        link->phase = LINK_AUTH;
    }
}

static void hear_auth(struct p2p *p2p, struct link *link, struct bytes_view bytes, int64_t now_ms)
{
    enum handshake_result result = handshake_auth_check(&link->theirs, &link->ours, bytes);
    if (result != HANDSHAKE_OK) {
        session_end(p2p, link, now_ms, handshake_result_text(result));
        return;
    }
    if (!takes_slot(p2p, link, now_ms)) {
        session_end(p2p, link, now_ms, "a second link to the same peer");
        return;
    }
    if (link->role == HANDSHAKE_LISTENER && !stage_auth(p2p, link, now_ms)) {
        return;
    }
    go_live(p2p, link, now_ms);
}

/* --- frames --------------------------------------------------------------------------------- */

static void strike_peer(struct p2p *p2p, uint32_t index, int64_t now_ms, const char *why)
{
    struct peer *peer = &p2p->peers[index];
    int64_t forgiven = (now_ms - peer->struck_ms) / KEEPER_STRIKE_MS_FORGIVEN;
    peer->strikes = forgiven < peer->strikes ? peer->strikes - (uint32_t)forgiven : 0;
    int64_t delay = KEEPER_STRIKE_MS_MIN;
    for (uint32_t i = 0; i < peer->strikes && delay < KEEPER_STRIKE_MS_MAX; i++) {
        delay *= 2;
    }
    if (delay > KEEPER_STRIKE_MS_MAX) {
        delay = KEEPER_STRIKE_MS_MAX;
    }
    peer->strikes++;
    peer->struck_ms = now_ms;
    peer->refuse_ms = now_ms + delay;
    char name[9];
    log_line(LOG_UNUSUAL, "p2p peer %s > %s -> strike %" PRIu32 ", shut out for %" PRId64 " ms",
             peer_text(p2p, index, name), why, peer->strikes, delay);
    if (peer->dialling != NULL) {
        session_end(p2p, peer->dialling, now_ms, "struck");
    }
    if (peer->live != NULL) {
        session_end(p2p, peer->live, now_ms, "struck");
    }
}

/* Acts on a strike that another thread, or the handler just now, has asked for. */
static void take_strike(struct p2p *p2p, uint32_t index, int64_t now_ms)
{
    struct peer *peer = &p2p->peers[index];
    char why[sizeof(peer->strike_why)];
    pthread_mutex_lock(&p2p->doorbell.lock);
    bool strike = peer->strike;
    peer->strike = false;
    memcpy(why, peer->strike_why, sizeof(why));
    pthread_mutex_unlock(&p2p->doorbell.lock);
    if (strike) {
        strike_peer(p2p, index, now_ms, why);
    }
}

static void deliver(struct p2p *p2p, struct link *link, int64_t now_ms)
{
    while (link->phase == LINK_LIVE && !link->paused) {
        struct bytes_view frame;
        switch (frame_reader_peek(&link->reader, &frame)) {
        case FRAME_INCOMPLETE:
            return;
        case FRAME_TOO_LARGE:
            strike_peer(p2p, link->peer, now_ms, "a frame over the limit");
            return;
        case FRAME_HEARTBEAT:
            frame_reader_drop(&link->reader);
            break;
        case FRAME_WHOLE:
            if (tell(p2p, P2P_FRAME, link->peer, frame)) {
                frame_reader_drop(&link->reader);
            } else {
                link->paused = true;
            }
            take_strike(p2p, link->peer, now_ms);
            break;
        }
    }
}

/* Moves the most urgent frames from the peer's queue to its link: as many small ones as share a
 * record, or one large one. What is still queued can be overtaken, so no more than that. */
static void refill(struct p2p *p2p, struct link *link)
{
    struct peer *peer = &p2p->peers[link->peer];
    if (!peer->has_queued || !link_is_drained(link)) {
        return;
    }
    pthread_mutex_lock(&p2p->doorbell.lock);
    const struct frame *first;
    while ((first = frame_queue_first(&peer->queue)) != NULL &&
           first->size <= link_stage_room(link)) {
        struct frame *frame = frame_queue_pop(&peer->queue);
        link_stage(link, frame->bytes, frame->size);
        free(frame);
    }
    if (link_is_drained(link)) {
        link->large = frame_queue_pop(&peer->queue);
    }
    peer->has_queued = frame_queue_first(&peer->queue) != NULL;
    pthread_mutex_unlock(&p2p->doorbell.lock);
}

/* --- steps ---------------------------------------------------------------------------------- */

/* nng has many words for a stream that the other side has closed, "connection refused" among them. */
static const char *fault_text(const struct link *link)
{
    bool closed = link->fault == 0 || link->fault == NNG_ECLOSED || link->fault == NNG_ECONNSHUT ||
                  link->fault == NNG_ECONNRESET || link->fault == NNG_ECONNREFUSED;
    return closed && link->phase != LINK_DIALLING ? "closed by the peer"
                                                  : nng_strerror(link->fault);
}

static void end_by_fault(struct p2p *p2p, struct link *link, int64_t now_ms, const char *what)
{
    char why[96];
    snprintf(why, sizeof(why), "%s (%s)", what, fault_text(link));
    session_end(p2p, link, now_ms, why);
}

/* False if the link has ended. */
static bool take_completions(struct p2p *p2p, struct link *link, int64_t now_ms)
{
    bool live = link->phase == LINK_LIVE;
    if (link->send_ready) {
        if (!link_sent(link)) {
            end_by_fault(p2p, link, now_ms, live ? "writing failed" : "handshake failed");
            return false;
        }
        link->said_ms = now_ms;
    }
    if (!link->receive_ready) {
        return true;
    }
    link->heard_ms = now_ms;
    if (link->phase == LINK_DIALLING) {
        if (!link_dialled(link)) {
            end_by_fault(p2p, link, now_ms, "no connection");
            return false;
        }
        link->phase = LINK_HELLO;
        stage_hello(p2p, link, &p2p->peers[link->peer].key);
        return true;
    }
    size_t size;
    if (!link_received(link, &size)) {
        end_by_fault(p2p, link, now_ms, live ? "reading failed" : "handshake failed");
        return false;
    }
    return true;
}

void session_step(struct p2p *p2p, struct link *link, int64_t now_ms)
{
    if (link->phase == LINK_CLOSED || !take_completions(p2p, link, now_ms)) {
        return;
    }
    if (link->phase == LINK_DIALLING) {
        return;
    }
    /* A receive that is under way owns the reader, and what it holds was looked at before. */
    if (!link->receiving) {
        struct bytes_view bytes;
        if (link->phase == LINK_HELLO &&
            frame_reader_take(&link->reader, &bytes, HANDSHAKE_HELLO_SIZE)) {
            hear_hello(p2p, link, bytes, now_ms);
        }
        if (link->phase == LINK_AUTH &&
            frame_reader_take(&link->reader, &bytes, HANDSHAKE_AUTH_SIZE)) {
            hear_auth(p2p, link, bytes, now_ms);
        }
        deliver(p2p, link, now_ms);
        if (!link->paused && !link_receive(link)) {
            session_end(p2p, link, now_ms, "no memory, or too much said before authenticating");
        }
    }
    if (link->phase == LINK_LIVE) {
        refill(p2p, link);
    }
    link_send(link);
}

void session_tick(struct p2p *p2p, struct link *link, int64_t now_ms)
{
    switch (link->phase) {
    case LINK_DIALLING:
    case LINK_HELLO:
    case LINK_AUTH:
        if (now_ms >= link->deadline_ms) {
            session_end(p2p, link, now_ms, "handshake timed out");
        }
        break;
    case LINK_LIVE:
        /* While we don't read we can't tell silence from our own deafness. */
        if (!link->paused &&
            now_ms - link->heard_ms > KEEPER_HEARTBEATS_SILENT * heartbeat_ms(p2p)) {
            session_end(p2p, link, now_ms, "silent");
        } else if (link_is_drained(link) && now_ms - link->said_ms >= heartbeat_ms(p2p)) {
            static const uint8_t heartbeat[FRAME_HEADER_SIZE] = {0};
            link_stage(link, heartbeat, sizeof(heartbeat));
            link_send(link);
        }
        break;
    case LINK_CLOSED:
        break;
    }
}

void session_peer_step(struct p2p *p2p, uint32_t index, int64_t now_ms)
{
    struct peer *peer = &p2p->peers[index];
    pthread_mutex_lock(&p2p->doorbell.lock);
    bool resume = peer->resume;
    bool strike = peer->strike;
    peer->resume = false;
    pthread_mutex_unlock(&p2p->doorbell.lock);
    if (strike) {
        take_strike(p2p, index, now_ms);
    }
    if (resume && peer->live != NULL && peer->live->paused) {
        /* Silence counts from here on: until now it was ours. */
        peer->live->paused = false;
        peer->live->heard_ms = now_ms;
    }
}
