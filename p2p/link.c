/* One TLS stream of nng: operations, their completions, the bytes on their way (link.h).
 *
 * Invariants:
 * 1. At most one receive and one send are under way. While a receive is, the keeper leaves the
 *    reader alone; while a send is, it leaves alone the bytes between stage_at and stage_size, or
 *    the large frame; it may append behind stage_size.
 * 2. nng writes at most one TLS record per operation and says how much that was; so what is left is
 *    tracked here, and an operation that failed ends the link.
 * 3. A link's memory goes only after nng_aio_stop has returned for both operations: no callback
 *    can find it gone.
 *
 * Deliberately absent: nng's sockets and protocols. They drop messages on reconnect without saying
 * so, and a second peer on a pair socket is refused while a half-open first one holds it. */
#include "p2p/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

bool doorbell_init(struct doorbell *doorbell)
{
    pthread_condattr_t attributes;
    *doorbell = (struct doorbell){0};
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&doorbell->rung, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return ok && pthread_mutex_init(&doorbell->lock, NULL) == 0;
}

void doorbell_free(struct doorbell *doorbell)
{
    pthread_cond_destroy(&doorbell->rung);
    pthread_mutex_destroy(&doorbell->lock);
}

void doorbell_ring(struct doorbell *doorbell)
{
    if (!doorbell->ringing) {
        doorbell->ringing = true;
        pthread_cond_signal(&doorbell->rung);
    }
}

static void note_receive(void *argument)
{
    struct link *link = argument;
    pthread_mutex_lock(&link->doorbell->lock);
    link->receive_done = true;
    doorbell_ring(link->doorbell);
    pthread_mutex_unlock(&link->doorbell->lock);
}

static void note_send(void *argument)
{
    struct link *link = argument;
    pthread_mutex_lock(&link->doorbell->lock);
    link->send_done = true;
    doorbell_ring(link->doorbell);
    pthread_mutex_unlock(&link->doorbell->lock);
}

static void describe_address(struct link *link)
{
    nng_sockaddr address;
    snprintf(link->address, sizeof(link->address), "unknown address");
    if (nng_stream_get_addr(link->stream, NNG_OPT_REMADDR, &address) != 0) {
        return;
    }
    if (address.s_family == NNG_AF_INET) {
        const uint8_t *ip = (const uint8_t *)&address.s_in.sa_addr;
        const uint8_t *port = (const uint8_t *)&address.s_in.sa_port;
        snprintf(link->address, sizeof(link->address), "%u.%u.%u.%u:%u", ip[0], ip[1], ip[2], ip[3],
                 (unsigned)port[0] << 8 | port[1]);
    } else if (address.s_family == NNG_AF_INET6) {
        char hex[33];
        hex_encode(hex, address.s_in6.sa_addr, 16);
        const uint8_t *port = (const uint8_t *)&address.s_in6.sa_port;
        snprintf(link->address, sizeof(link->address), "[%s]:%u", hex,
                 (unsigned)port[0] << 8 | port[1]);
    }
}

void link_set_stream(struct link *link, nng_stream *stream)
{
    MUST(stream != NULL && link->stream == NULL);
    link->stream = stream;
    describe_address(link);
}

struct link *link_new(struct doorbell *doorbell, enum handshake_role role, int64_t now_ms)
{
    struct link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return NULL;
    }
    link->doorbell = doorbell;
    link->role = role;
    link->phase = role == HANDSHAKE_DIALLER ? LINK_DIALLING : LINK_HELLO;
    link->peer = LINK_NO_PEER;
    link->born_ms = link->heard_ms = link->said_ms = now_ms;
    if (!frame_reader_init(&link->reader) ||
        nng_aio_alloc(&link->receive_aio, note_receive, link) != 0 ||
        nng_aio_alloc(&link->send_aio, note_send, link) != 0) {
        link_free(link);
        return NULL;
    }
    return link;
}

void link_close(struct link *link)
{
    if (link->stream != NULL) {
        nng_stream_close(link->stream);
    }
    link->phase = LINK_CLOSED;
}

void link_free(struct link *link)
{
    link_close(link);
    if (link->receive_aio != NULL) {
        nng_aio_stop(link->receive_aio);
        if (link->stream == NULL && link->receiving && nng_aio_result(link->receive_aio) == 0) {
            /* Dialling succeeded just before it was given up. */
            link->stream = nng_aio_get_output(link->receive_aio, 0);
        }
        nng_aio_free(link->receive_aio);
    }
    if (link->send_aio != NULL) {
        nng_aio_stop(link->send_aio);
        nng_aio_free(link->send_aio);
    }
    if (link->stream != NULL) {
        nng_stream_free(link->stream);
    }
    frame_reader_free(&link->reader);
    free(link->large);
    free(link);
}

void link_dial(struct link *link, nng_stream_dialer *dialer)
{
    MUST(link->phase == LINK_DIALLING && !link->receiving);
    link->receiving = true;
    nng_stream_dialer_dial(dialer, link->receive_aio);
}

bool link_dialled(struct link *link)
{
    MUST(link->phase == LINK_DIALLING && link->receive_ready);
    link->receive_ready = false;
    link->receiving = false;
    link->fault = nng_aio_result(link->receive_aio);
    if (link->fault != 0) {
        return false;
    }
    link_set_stream(link, nng_aio_get_output(link->receive_aio, 0));
    return true;
}

void link_collect(struct link *link)
{
    link->receive_ready = link->receive_ready || link->receive_done;
    link->send_ready = link->send_ready || link->send_done;
    link->receive_done = link->send_done = false;
}

bool link_received(struct link *link, size_t *size)
{
    MUST(link->receive_ready && link->receiving);
    link->receive_ready = link->receiving = false;
    link->fault = nng_aio_result(link->receive_aio);
    if (link->fault != 0) {
        return false;
    }
    *size = nng_aio_count(link->receive_aio);
    frame_reader_add(&link->reader, *size);
    return *size > 0;
}

bool link_sent(struct link *link)
{
    MUST(link->send_ready && link->sending);
    link->send_ready = link->sending = false;
    link->fault = nng_aio_result(link->send_aio);
    if (link->fault != 0) {
        return false;
    }
    size_t size = nng_aio_count(link->send_aio);
    if (link->stage_size > 0) {
        MUST(size <= link->stage_size - link->stage_at);
        link->stage_at += size;
        if (link->stage_at == link->stage_size) {
            link->stage_at = link->stage_size = 0;
        }
    } else {
        MUST(link->large != NULL && size <= link->large->size - link->large_at);
        link->large_at += size;
        if (link->large_at == link->large->size) {
            free(link->large);
            link->large = NULL;
            link->large_at = 0;
        }
    }
    return true;
}

bool link_receive(struct link *link)
{
    if (link->receiving || link->phase == LINK_CLOSED) {
        return true;
    }
    nng_iov part;
    part.iov_buf = frame_reader_room(&link->reader, link->phase == LINK_LIVE, &part.iov_len);
    if (part.iov_buf == NULL || nng_aio_set_iov(link->receive_aio, 1, &part) != 0) {
        return false;
    }
    link->receiving = true;
    nng_stream_recv(link->stream, link->receive_aio);
    return true;
}

void link_send(struct link *link)
{
    if (link->sending || link->phase == LINK_CLOSED || link_is_drained(link)) {
        return;
    }
    nng_iov part;
    if (link->stage_size > 0) {
        part.iov_buf = link->stage + link->stage_at;
        part.iov_len = link->stage_size - link->stage_at;
    } else {
        part.iov_buf = link->large->bytes + link->large_at;
        part.iov_len = link->large->size - link->large_at;
    }
    int code = nng_aio_set_iov(link->send_aio, 1, &part);
    MUST(code == 0); /* up to four parts need no memory */
    link->sending = true;
    nng_stream_send(link->stream, link->send_aio);
}

void link_stage(struct link *link, const void *data, size_t size)
{
    MUST(link->large == NULL && size <= link_stage_room(link));
    memcpy(link->stage + link->stage_size, data, size);
    link->stage_size += size;
}

size_t link_stage_room(const struct link *link)
{
    return sizeof(link->stage) - link->stage_size;
}

bool link_is_drained(const struct link *link)
{
    return link->stage_size == 0 && link->large == NULL;
}
