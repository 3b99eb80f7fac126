/* The face of p2p: checking the configuration, setting up TLS and nng, starting and stopping the
 * keeper, and the few calls through which other threads reach it.
 *
 * Invariants:
 * 1. Calls from other threads touch a peer's queue and its flags, under the doorbell's lock, and
 *    nothing else; the keeper acts on them.
 * 2. p2p_stop returns after the keeper has ended and nng has no operation of ours left; no handler
 *    is called from then on.
 *
 * Deliberately absent: removing peers while it runs. Indices stay what they are; who has left the
 * validator set is told nothing that an observer is not told. */
#include "p2p/p2p.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "p2p/certificate.h"
#include "p2p/keeper.h"

enum {
    PROBLEM_SIZE = 160,
    PEM_FILE_BYTES_MAX = 64 * 1024, /* a chain of dozens of certificates */
    /* The larger key waits a moment before it dials, so that pairs rarely dial at once. */
    FIRST_DIAL_MS = 150,
    HEARTBEAT_MS_MIN = 20,
    HEARTBEAT_MS_MAX = 60000
};

/* --- setting up ----------------------------------------------------------------------------- */

static bool nng_failed(char problem[PROBLEM_SIZE], const char *what, const char *about, int code)
{
    snprintf(problem, PROBLEM_SIZE, "%.40s %.70s: %.40s", what, about, nng_strerror(code));
    return false;
}

bool setup_check(const struct p2p_config *config, const struct public_key *own,
                 char problem[PROBLEM_SIZE])
{
    if (config->peer_count > P2P_PEERS_MAX) {
        snprintf(problem, PROBLEM_SIZE, "at most %d peers", P2P_PEERS_MAX);
        return false;
    }
    if (config->heartbeat_ms != 0 &&
        (config->heartbeat_ms < HEARTBEAT_MS_MIN || config->heartbeat_ms > HEARTBEAT_MS_MAX)) {
        snprintf(problem, PROBLEM_SIZE, "a heartbeat every %d to %d ms", HEARTBEAT_MS_MIN,
                 HEARTBEAT_MS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < config->peer_count; i++) {
        const struct public_key *key = &config->peers[i].key;
        char hex[2 * PUBLIC_KEY_SIZE + 1];
        hex_encode(hex, key->bytes, PUBLIC_KEY_SIZE);
        if (public_key_equal(key, own)) {
            snprintf(problem, PROBLEM_SIZE, "peer %u is this node itself: %s", (unsigned)i, hex);
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (public_key_equal(key, &config->peers[j].key)) {
                snprintf(problem, PROBLEM_SIZE, "peers %u and %u have the same key: %s",
                         (unsigned)j, (unsigned)i, hex);
                return false;
            }
        }
    }
    return certificate_check(config->ca_file, config->certificate_file, config->key_file, own,
                             problem);
}

/* The file's text, NUL at its end; the caller frees it. NULL with the reason in `problem`. */
static char *read_text(const char *file, char problem[PROBLEM_SIZE])
{
    FILE *stream = fopen(file, "rb");
    char *text = malloc(PEM_FILE_BYTES_MAX + 1);
    size_t size = 0;
    bool ok = stream != NULL && text != NULL;
    if (ok) {
        size = fread(text, 1, PEM_FILE_BYTES_MAX + 1, stream);
        ok = !ferror(stream) && size <= PEM_FILE_BYTES_MAX;
    }
    if (stream != NULL) {
        fclose(stream);
    }
    if (!ok) {
        snprintf(problem, PROBLEM_SIZE, "can't read %.120s", file);
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

/* The private key is in memory three times while nng starts; here its text is wiped. */
static void free_secret(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, PEM_FILE_BYTES_MAX + 1);
        free(text);
    }
}

/* A TLS configuration for one direction: the consortium's CA alone is trusted, both sides must show
 * a certificate under it, and `server_name` (dialling only) must be a name in it. */
nng_tls_config *setup_tls(const struct p2p_config *config, nng_tls_mode mode,
                          const char *server_name, char problem[PROBLEM_SIZE])
{
    nng_tls_config *tls = NULL;
    char *ca = read_text(config->ca_file, problem);
    char *certificate = ca != NULL ? read_text(config->certificate_file, problem) : NULL;
    char *key = certificate != NULL ? read_text(config->key_file, problem) : NULL;
    int code = 0;
    if (key != NULL && (code = nng_tls_config_alloc(&tls, mode)) == 0) {
        if ((code = nng_tls_config_ca_chain(tls, ca, NULL)) == 0 &&
            (code = nng_tls_config_own_cert(tls, certificate, key, NULL)) == 0 &&
            (code = nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED)) == 0 &&
            (code = nng_tls_config_version(tls, NNG_TLS_1_2, NNG_TLS_1_2)) == 0 &&
            server_name != NULL) {
            code = nng_tls_config_server_name(tls, server_name);
        }
    }
    free(ca);
    free(certificate);
    free_secret(key);
    if (code != 0) {
        nng_failed(problem, "TLS with", config->certificate_file, code);
        if (tls != NULL) {
            nng_tls_config_free(tls);
            tls = NULL;
        }
    }
    return tls;
}

/* The host and port of the configuration; once port 0 has found one, it stays. */
static void listen_url(char url[128], const struct p2p *p2p)
{
    const char *address = p2p->config.listen;
    const char *colon = strrchr(address, ':');
    if (p2p->port == 0 || colon == NULL) {
        snprintf(url, 128, "tls+tcp://%s", address);
    } else {
        snprintf(url, 128, "tls+tcp://%.*s:%u", (int)(colon - address), address,
                 (unsigned)p2p->port);
    }
}

bool setup_listener(struct p2p *p2p, nng_tls_config *tls, char problem[PROBLEM_SIZE])
{
    char url[128];
    listen_url(url, p2p);
    int port = 0;
    int code = nng_stream_listener_alloc(&p2p->listener, url);
    if (code == 0 &&
        (code = nng_stream_listener_set_ptr(p2p->listener, NNG_OPT_TLS_CONFIG, tls)) == 0 &&
        (p2p->accept_aio != NULL ||
         (code = nng_aio_alloc(&p2p->accept_aio, keeper_note_accept, p2p)) == 0) &&
        (code = nng_stream_listener_listen(p2p->listener)) == 0) {
        code = nng_stream_listener_get_int(p2p->listener, NNG_OPT_TCP_BOUND_PORT, &port);
    }
    if (code == 0) {
        p2p->port = (uint16_t)port;
        return true;
    }
    if (p2p->listener != NULL) {
        nng_stream_listener_close(p2p->listener);
        nng_stream_listener_free(p2p->listener);
        p2p->listener = NULL;
    }
    return nng_failed(problem, "can't listen on", p2p->config.listen, code);
}

static bool start_listening(struct p2p *p2p, char problem[PROBLEM_SIZE])
{
    if (p2p->config.listen[0] == '\0') {
        return true;
    }
    nng_tls_config *tls = setup_tls(&p2p->config, NNG_TLS_MODE_SERVER, NULL, problem);
    if (tls == NULL) {
        return false;
    }
    bool ok = setup_listener(p2p, tls, problem);
    nng_tls_config_free(tls);
    return ok;
}

bool setup_dialer(nng_stream_dialer **out, const struct p2p_config *config, uint32_t index,
                  char problem[PROBLEM_SIZE])
{
    const struct p2p_peer_config *peer = &config->peers[index];
    *out = NULL;
    if (peer->address[0] == '\0') {
        return true;
    }
    char name[CERTIFICATE_NAME_SIZE];
    certificate_dns_name(name, &peer->key);
    nng_tls_config *tls = setup_tls(config, NNG_TLS_MODE_CLIENT, name, problem);
    if (tls == NULL) {
        return false;
    }
    char url[128];
    snprintf(url, sizeof(url), "tls+tcp://%s", peer->address);
    int code = nng_stream_dialer_alloc(out, url);
    if (code == 0) {
        code = nng_stream_dialer_set_ptr(*out, NNG_OPT_TLS_CONFIG, tls);
    }
    nng_tls_config_free(tls);
    if (code != 0 && *out != NULL) {
        nng_stream_dialer_free(*out);
        *out = NULL;
    }
    return code == 0 || nng_failed(problem, "can't dial", peer->address, code);
}

static bool make_dialer(struct p2p *p2p, uint32_t index, char problem[PROBLEM_SIZE])
{
    struct peer *peer = &p2p->peers[index];
    peer->key = p2p->config.peers[index].key;
    peer->dial_ms = keeper_now_ms();
    if (public_key_compare(&p2p->key, &peer->key) > 0) {
        peer->dial_ms += FIRST_DIAL_MS;
    }
    return setup_dialer(&peer->dialer, &p2p->config, index, problem);
}

/* What is left once the keeper has ended, or was never started. */
static void destroy(struct p2p *p2p)
{
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        struct peer *peer = &p2p->peers[i];
        frame_queue_clear(&peer->queue);
        if (peer->dialer != NULL) {
            nng_stream_dialer_close(peer->dialer);
            nng_stream_dialer_free(peer->dialer);
        }
    }
    if (p2p->listener != NULL) {
        nng_stream_listener_close(p2p->listener);
        nng_stream_listener_free(p2p->listener);
    }
    if (p2p->accept_aio != NULL) {
        nng_aio_free(p2p->accept_aio);
    }
    if (p2p->listen_tls != NULL) {
        nng_tls_config_free(p2p->listen_tls);
    }
    renewal_free(p2p->renewal);
    secret_key_wipe(&p2p->config.seed);
    doorbell_free(&p2p->doorbell);
    free(p2p);
}

static bool start_keeper(struct p2p *p2p, char problem[PROBLEM_SIZE])
{
    if (pthread_create(&p2p->keeper, NULL, keeper_main, p2p) != 0) {
        snprintf(problem, PROBLEM_SIZE, "can't start a thread");
        return false;
    }
    p2p->has_keeper = true;
    return true;
}

struct p2p *p2p_start(const struct p2p_config *config, p2p_handler handler, void *context,
                      char problem[PROBLEM_SIZE])
{
    struct public_key own = config->key;
    if (config->sign == NULL) {
        ed25519_public_key(&own, &config->seed);
    }
    if (!setup_check(config, &own, problem)) {
        return NULL;
    }
    struct p2p *p2p = calloc(1, sizeof(*p2p));
    if (p2p == NULL || !doorbell_init(&p2p->doorbell)) {
        free(p2p);
        snprintf(problem, PROBLEM_SIZE, "no memory");
        return NULL;
    }
    p2p->config = *config;
    if (config->heartbeat_ms == 0) {
        p2p->config.heartbeat_ms = KEEPER_HEARTBEAT_MS_DEFAULT;
    }
    p2p->key = own;
    p2p->handler = handler;
    p2p->context = context;
    p2p->renew_peer = LINK_NO_PEER;
    p2p->peer_count = config->peer_count;
    renew_note(p2p);
    bool ok = start_listening(p2p, problem);
    for (uint32_t i = 0; ok && i < config->peer_count; i++) {
        ok = make_dialer(p2p, i, problem);
    }
    if (!ok || !start_keeper(p2p, problem)) {
        destroy(p2p);
        return NULL;
    }
    return p2p;
}

void p2p_stop(struct p2p *p2p)
{
    MUST(!pthread_equal(pthread_self(), p2p->keeper)); /* the handler must not stop its caller */
    pthread_mutex_lock(&p2p->doorbell.lock);
    p2p->stopping = true;
    doorbell_ring(&p2p->doorbell);
    pthread_mutex_unlock(&p2p->doorbell.lock);
    MUST(pthread_join(p2p->keeper, NULL) == 0);
    destroy(p2p);
}

void keeper_note_accept(void *argument)
{
    struct p2p *p2p = argument;
    pthread_mutex_lock(&p2p->doorbell.lock);
    p2p->accept_done = true;
    doorbell_ring(&p2p->doorbell);
    pthread_mutex_unlock(&p2p->doorbell.lock);
}

/* --- calls from other threads --------------------------------------------------------------- */

uint16_t p2p_port(const struct p2p *p2p)
{
    return p2p->port;
}

static bool can_queue(struct p2p *p2p, uint32_t peer, enum p2p_class class, size_t size)
{
    return p2p->peers[peer].up && frame_queue_has_room(&p2p->peers[peer].queue, class, size);
}

bool p2p_send(struct p2p *p2p, uint32_t peer, enum p2p_class class, struct bytes_view frame)
{
    MUST(peer < P2P_PEERS_MAX && class < P2P_CLASS_COUNT);
    MUST(frame.size > 0 && frame.size <= LIMIT_FRAME_BYTES);
    pthread_mutex_lock(&p2p->doorbell.lock);
    bool fits = can_queue(p2p, peer, class, frame.size);
    pthread_mutex_unlock(&p2p->doorbell.lock);
    /* Megabytes are copied without the lock; so whether there is room is asked again after it. */
    struct frame *copy = fits ? frame_new(frame) : NULL;
    if (copy == NULL) {
        return false;
    }
    pthread_mutex_lock(&p2p->doorbell.lock);
    fits = can_queue(p2p, peer, class, frame.size);
    if (fits) {
        frame_queue_push(&p2p->peers[peer].queue, class, copy);
        doorbell_ring(&p2p->doorbell);
    }
    pthread_mutex_unlock(&p2p->doorbell.lock);
    if (!fits) {
        free(copy);
    }
    return fits;
}

void p2p_resume(struct p2p *p2p, uint32_t peer)
{
    MUST(peer < P2P_PEERS_MAX);
    pthread_mutex_lock(&p2p->doorbell.lock);
    p2p->peers[peer].resume = true;
    doorbell_ring(&p2p->doorbell);
    pthread_mutex_unlock(&p2p->doorbell.lock);
}

void p2p_strike(struct p2p *p2p, uint32_t peer, const char *why)
{
    MUST(peer < P2P_PEERS_MAX);
    struct peer *struck = &p2p->peers[peer];
    pthread_mutex_lock(&p2p->doorbell.lock);
    struck->strike = true;
    struck->up = false;
    snprintf(struck->strike_why, sizeof(struck->strike_why), "%s", why);
    doorbell_ring(&p2p->doorbell);
    pthread_mutex_unlock(&p2p->doorbell.lock);
}

/* The lock is no part of what `const` promises the caller. */
static struct doorbell *doorbell_of(const struct p2p *p2p)
{
    return &((struct p2p *)p2p)->doorbell;
}

bool p2p_peer_is_up(const struct p2p *p2p, uint32_t peer)
{
    MUST(peer < P2P_PEERS_MAX);
    pthread_mutex_lock(&doorbell_of(p2p)->lock);
    bool up = p2p->peers[peer].up;
    pthread_mutex_unlock(&doorbell_of(p2p)->lock);
    return up;
}

uint32_t p2p_up_count(const struct p2p *p2p)
{
    uint32_t count = 0;
    pthread_mutex_lock(&doorbell_of(p2p)->lock);
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        count += p2p->peers[i].up ? 1 : 0;
    }
    pthread_mutex_unlock(&doorbell_of(p2p)->lock);
    return count;
}
