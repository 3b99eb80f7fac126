/* A bare TLS stream with blocking calls (raw_stream.h). */
#include "tests/lib/p2p/raw_stream.h"

#include <nng/supplemental/tls/tls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RAW_TIMEOUT_MS = 3000 };

struct raw_identity raw_identity_of(const struct consortium *consortium, uint32_t node)
{
    return (struct raw_identity){.ca_file = consortium->ca_file,
                                 .certificate_file = consortium->nodes[node].certificate_file,
                                 .key_file = consortium->nodes[node].key_file};
}

static char *text_of(const char *file)
{
    enum { SIZE_MAX_TEXT = 8192 };
    char *text = calloc(1, SIZE_MAX_TEXT);
    FILE *stream = fopen(file, "rb");
    assert_non_null(stream);
    assert_non_null(text);
    assert_true(fread(text, 1, SIZE_MAX_TEXT - 1, stream) > 0);
    fclose(stream);
    return text;
}

static nng_tls_config *tls_of(struct raw_identity identity, nng_tls_mode mode,
                              nng_tls_auth_mode auth, const char *server_name)
{
    nng_tls_config *tls;
    char *ca = text_of(identity.ca_file);
    assert_int_equal(nng_tls_config_alloc(&tls, mode), 0);
    assert_int_equal(nng_tls_config_ca_chain(tls, ca, NULL), 0);
    if (identity.certificate_file != NULL) {
        char *certificate = text_of(identity.certificate_file);
        char *key = text_of(identity.key_file);
        assert_int_equal(nng_tls_config_own_cert(tls, certificate, key, NULL), 0);
        free(certificate);
        free(key);
    }
    assert_int_equal(nng_tls_config_auth_mode(tls, auth), 0);
    if (identity.old_tls) {
        assert_int_equal(nng_tls_config_version(tls, NNG_TLS_1_0, NNG_TLS_1_1), 0);
    }
    if (server_name != NULL) {
        assert_int_equal(nng_tls_config_server_name(tls, server_name), 0);
    }
    free(ca);
    return tls;
}

static void raw_init(struct raw_stream *raw)
{
    *raw = (struct raw_stream){0};
    assert_int_equal(nng_aio_alloc(&raw->aio, NULL, NULL), 0);
}

void raw_dial(struct raw_stream *raw, const char *address, struct raw_identity identity,
              const char *server_name)
{
    raw_init(raw);
    nng_tls_config *tls = tls_of(
        identity, NNG_TLS_MODE_CLIENT,
        server_name != NULL ? NNG_TLS_AUTH_MODE_REQUIRED : NNG_TLS_AUTH_MODE_NONE, server_name);
    char url[128];
    snprintf(url, sizeof(url), "tls+tcp://%s", address);
    nng_stream_dialer *dialer;
    assert_int_equal(nng_stream_dialer_alloc(&dialer, url), 0);
    assert_int_equal(nng_stream_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls), 0);
    nng_tls_config_free(tls);
    nng_aio_set_timeout(raw->aio, RAW_TIMEOUT_MS);
    nng_stream_dialer_dial(dialer, raw->aio);
    nng_aio_wait(raw->aio);
    assert_int_equal(nng_aio_result(raw->aio), 0);
    raw->stream = nng_aio_get_output(raw->aio, 0);
    nng_stream_dialer_free(dialer);
}

bool raw_send(struct raw_stream *raw, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        nng_iov part = {.iov_buf = (void *)(uintptr_t)at, .iov_len = size};
        nng_aio_set_timeout(raw->aio, RAW_TIMEOUT_MS);
        assert_int_equal(nng_aio_set_iov(raw->aio, 1, &part), 0);
        nng_stream_send(raw->stream, raw->aio);
        nng_aio_wait(raw->aio);
        if (nng_aio_result(raw->aio) != 0) {
            return false;
        }
        at += nng_aio_count(raw->aio);
        size -= nng_aio_count(raw->aio);
    }
    return true;
}

/* 0 and some bytes, or why there are none. */
static int receive_some(struct raw_stream *raw, void *data, size_t *size, uint32_t timeout_ms)
{
    nng_iov part = {.iov_buf = data, .iov_len = *size};
    nng_aio_set_timeout(raw->aio, (nng_duration)timeout_ms);
    assert_int_equal(nng_aio_set_iov(raw->aio, 1, &part), 0);
    nng_stream_recv(raw->stream, raw->aio);
    nng_aio_wait(raw->aio);
    *size = nng_aio_count(raw->aio);
    return nng_aio_result(raw->aio);
}

bool raw_receive(struct raw_stream *raw, void *data, size_t size, uint32_t timeout_ms)
{
    uint8_t *at = data;
    while (size > 0) {
        size_t part = size;
        if (receive_some(raw, at, &part, timeout_ms) != 0) {
            return false;
        }
        at += part;
        size -= part;
    }
    return true;
}

bool raw_closes(struct raw_stream *raw, uint32_t timeout_ms)
{
    int64_t end = monotonic_ms() + timeout_ms;
    for (int64_t now = monotonic_ms(); now < end; now = monotonic_ms()) {
        uint8_t bytes[1024];
        size_t size = sizeof(bytes);
        int code = receive_some(raw, bytes, &size, (uint32_t)(end - now));
        if (code != 0) {
            return code != NNG_ETIMEDOUT;
        }
    }
    return false;
}

bool raw_closes_silently(struct raw_stream *raw, uint32_t timeout_ms)
{
    uint8_t byte;
    size_t size = sizeof(byte);
    int code = receive_some(raw, &byte, &size, timeout_ms);
    return code != 0 && code != NNG_ETIMEDOUT;
}

void raw_close(struct raw_stream *raw)
{
    if (raw->stream != NULL) {
        nng_stream_close(raw->stream);
        nng_aio_stop(raw->aio);
        nng_stream_free(raw->stream);
    }
    nng_aio_free(raw->aio);
    *raw = (struct raw_stream){0};
}

void raw_listen(struct raw_listener *listener, struct raw_identity identity)
{
    *listener = (struct raw_listener){0};
    nng_tls_config *tls = tls_of(identity, NNG_TLS_MODE_SERVER, NNG_TLS_AUTH_MODE_REQUIRED, NULL);
    int port;
    assert_int_equal(nng_aio_alloc(&listener->aio, NULL, NULL), 0);
    assert_int_equal(nng_stream_listener_alloc(&listener->listener, "tls+tcp://127.0.0.1:0"), 0);
    assert_int_equal(nng_stream_listener_set_ptr(listener->listener, NNG_OPT_TLS_CONFIG, tls), 0);
    assert_int_equal(nng_stream_listener_listen(listener->listener), 0);
    assert_int_equal(nng_stream_listener_get_int(listener->listener, NNG_OPT_TCP_BOUND_PORT, &port),
                     0);
    listener->port = (uint16_t)port;
    nng_tls_config_free(tls);
}

bool raw_accept(struct raw_listener *listener, struct raw_stream *raw, uint32_t timeout_ms)
{
    nng_aio_set_timeout(listener->aio, (nng_duration)timeout_ms);
    nng_stream_listener_accept(listener->listener, listener->aio);
    nng_aio_wait(listener->aio);
    if (nng_aio_result(listener->aio) != 0) {
        return false;
    }
    raw_init(raw);
    raw->stream = nng_aio_get_output(listener->aio, 0);
    return true;
}

void raw_listener_close(struct raw_listener *listener)
{
    nng_stream_listener_close(listener->listener);
    nng_aio_stop(listener->aio);
    nng_aio_free(listener->aio);
    nng_stream_listener_free(listener->listener);
}

bool raw_hello(struct raw_stream *raw, const struct handshake_hello *ours,
               struct handshake_hello *theirs)
{
    uint8_t bytes[HANDSHAKE_HELLO_SIZE];
    handshake_hello_encode(bytes, ours);
    return raw_send(raw, bytes, sizeof(bytes)) &&
           raw_receive(raw, bytes, sizeof(bytes), RAW_TIMEOUT_MS) &&
           handshake_hello_check(theirs, ours, bytes_view_of(bytes, sizeof(bytes))) == HANDSHAKE_OK;
}

bool raw_join(struct raw_stream *raw, const struct consortium *consortium, uint32_t from,
              uint32_t to, struct handshake_hello *ours, struct handshake_hello *theirs)
{
    const struct test_node *self = &consortium->nodes[from];
    raw_dial(raw, consortium->nodes[to].address, raw_identity_of(consortium, from), NULL);
    handshake_hello_make(ours, HANDSHAKE_DIALLER, &consortium->genesis, &self->key,
                         &consortium->nodes[to].key);
    uint8_t auth[HANDSHAKE_AUTH_SIZE];
    if (!raw_hello(raw, ours, theirs)) {
        return false;
    }
    handshake_auth_make(auth, &self->seed, ours, theirs);
    return raw_send(raw, auth, sizeof(auth)) &&
           raw_receive(raw, auth, sizeof(auth), RAW_TIMEOUT_MS) &&
           handshake_auth_check(theirs, ours, bytes_view_of(auth, sizeof(auth))) == HANDSHAKE_OK;
}

bool raw_answer(struct raw_stream *raw, const struct consortium *consortium, uint32_t from,
                uint32_t to)
{
    const struct test_node *self = &consortium->nodes[from];
    struct handshake_hello ours, theirs;
    uint8_t bytes[HANDSHAKE_HELLO_SIZE], auth[HANDSHAKE_AUTH_SIZE];
    handshake_hello_make(&ours, HANDSHAKE_LISTENER, &consortium->genesis, &self->key,
                         &consortium->nodes[to].key);
    if (!raw_receive(raw, bytes, sizeof(bytes), RAW_TIMEOUT_MS) ||
        handshake_hello_check(&theirs, &ours, bytes_view_of(bytes, sizeof(bytes))) !=
            HANDSHAKE_OK) {
        return false;
    }
    handshake_hello_encode(bytes, &ours);
    if (!raw_send(raw, bytes, sizeof(bytes)) ||
        !raw_receive(raw, auth, sizeof(auth), RAW_TIMEOUT_MS) ||
        handshake_auth_check(&theirs, &ours, bytes_view_of(auth, sizeof(auth))) != HANDSHAKE_OK) {
        return false;
    }
    handshake_auth_make(auth, &self->seed, &ours, &theirs);
    return raw_send(raw, auth, sizeof(auth));
}
