/* A bare TLS stream with blocking calls, for peers that misbehave in ways that p2p itself can't be
 * made to: wrong names, half a handshake, frames that lie about their size. */
#ifndef FLEX_TESTS_LIB_P2P_RAW_STREAM_H
#define FLEX_TESTS_LIB_P2P_RAW_STREAM_H

#include <nng/nng.h>

#include "p2p/handshake.h"
#include "tests/lib/p2p/consortium.h"

struct raw_stream {
    nng_stream *stream;
    nng_aio *aio;
};

struct raw_listener {
    nng_stream_listener *listener;
    nng_aio *aio;
    uint16_t port;
};

/* Files of the one who dials or listens. */
struct raw_identity {
    const char *ca_file;
    const char *certificate_file;
    const char *key_file;
    bool old_tls; /* speak nothing newer than TLS 1.1 */
};

struct raw_identity raw_identity_of(const struct consortium *consortium, uint32_t node);

/* The TCP connection must come about; what TLS says shows at the first send or receive.
 * `server_name` NULL: whatever certificate the other side has is taken. */
void raw_dial(struct raw_stream *raw, const char *address, struct raw_identity identity,
              const char *server_name);
/* Whole buffers; false if the stream has ended or `timeout_ms` has passed. */
bool raw_send(struct raw_stream *raw, const void *data, size_t size);
bool raw_receive(struct raw_stream *raw, void *data, size_t size, uint32_t timeout_ms);
/* True if the other side closes the stream in that time, whatever it says before. */
bool raw_closes(struct raw_stream *raw, uint32_t timeout_ms);
/* True if it closes without a word. */
bool raw_closes_silently(struct raw_stream *raw, uint32_t timeout_ms);
void raw_close(struct raw_stream *raw);

void raw_listen(struct raw_listener *listener, struct raw_identity identity);
bool raw_accept(struct raw_listener *listener, struct raw_stream *raw, uint32_t timeout_ms);
void raw_listener_close(struct raw_listener *listener);

/* Dials as `from`, which is not running, and does everything right. Both HELLOs are kept. */
bool raw_join(struct raw_stream *raw, const struct consortium *consortium, uint32_t from,
              uint32_t to, struct handshake_hello *ours, struct handshake_hello *theirs);
/* The listener's side of it, on a stream that was accepted; `from` is the node we are. */
bool raw_answer(struct raw_stream *raw, const struct consortium *consortium, uint32_t from,
                uint32_t to);
/* Sends our HELLO and receives theirs. */
bool raw_hello(struct raw_stream *raw, const struct handshake_hello *ours,
               struct handshake_hello *theirs);

#endif
