/* New certificates, addresses and peers while links live (p2p_reload).
 *
 *   p2p_reload, any thread: files are checked, everything that nng needs is made -> struct renewal
 *   keeper: dialers and listener change over; then, link by link, ended and made anew
 *
 * Invariants:
 * 1. What fails, fails before anything has changed, but for a port that somebody else takes in the moment
 *    between the old listener and the new one; that is tried again until it is free.
 * 2. At most one link is down for a reload at any time. If one does not come back the others are left
 *    alone: a certificate that a peer refuses costs one link, not the quorum.
 * 3. Peers keep their indices; new ones stand behind them.
 *
 * Deliberately absent: watching the files. Who has put new ones there says so. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "p2p/keeper.h"

enum { PROBLEM_SIZE = 160, LISTEN_RETRY_MS = 100 };

/* --- any thread ------------------------------------------------------------------------------ */

void renewal_free(struct renewal *renewal)
{
    if (renewal == NULL) {
        return;
    }
    for (uint32_t i = 0; i < P2P_PEERS_MAX; i++) {
        if (renewal->dialers[i] != NULL) {
            nng_stream_dialer_close(renewal->dialers[i]);
            nng_stream_dialer_free(renewal->dialers[i]);
        }
    }
    if (renewal->server != NULL) {
        nng_tls_config_free(renewal->server);
    }
    free(renewal);
}

static bool keeps_peers(const struct p2p *p2p, const struct p2p_config *config,
                        char problem[PROBLEM_SIZE])
{
    const uint32_t known = p2p->peer_count;
    bool keeps = config->peer_count >= known;
    for (uint32_t i = 0; keeps && i < known; i++) {
        keeps = public_key_equal(&config->peers[i].key, &p2p->peers[i].key);
    }
    if (!keeps) {
        snprintf(problem, PROBLEM_SIZE, "peers can be added while running, not removed");
    }
    return keeps;
}

static void stamp_files(struct file_stamp out[TLS_FILES], const struct p2p_config *config)
{
    const char *const files[TLS_FILES] = {config->ca_file, config->certificate_file,
                                          config->key_file};
    memset(out, 0, TLS_FILES * sizeof(out[0]));
    for (int i = 0; i < TLS_FILES; i++) {
        struct stat status;
        if (stat(files[i], &status) == 0) {
            out[i].device = status.st_dev;
            out[i].inode = status.st_ino;
            out[i].size = (uint64_t)status.st_size;
            out[i].seconds = status.st_mtim.tv_sec;
            out[i].nanoseconds = status.st_mtim.tv_nsec;
        }
    }
}

static bool same_file(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

static void note(struct p2p *p2p, const struct p2p_config *config,
                 const struct file_stamp stamps[TLS_FILES])
{
    memcpy(p2p->stamps, stamps, sizeof(p2p->stamps));
    p2p->asked_count = config->peer_count;
    memcpy(p2p->asked, config->peers, sizeof(p2p->asked));
}

void renew_note(struct p2p *p2p)
{
    struct file_stamp stamps[TLS_FILES];
    stamp_files(stamps, &p2p->config);
    note(p2p, &p2p->config, stamps);
}

/* Log files are reopened by the same signal every day; that must not cost a link. */
static bool nothing_new(struct p2p *p2p, const struct p2p_config *config,
                        const struct file_stamp stamps[TLS_FILES])
{
    pthread_mutex_lock(&p2p->doorbell.lock);
    bool same = config->peer_count == p2p->asked_count;
    for (int i = 0; i < TLS_FILES; i++) {
        same = same && same_file(&stamps[i], &p2p->stamps[i]);
    }
    for (uint32_t i = 0; same && i < config->peer_count; i++) {
        same = public_key_equal(&config->peers[i].key, &p2p->asked[i].key) &&
               strcmp(config->peers[i].address, p2p->asked[i].address) == 0;
    }
    pthread_mutex_unlock(&p2p->doorbell.lock);
    return same;
}

bool p2p_reload(struct p2p *p2p, const struct p2p_config *config, char problem[PROBLEM_SIZE])
{
    struct file_stamp stamps[TLS_FILES];
    stamp_files(stamps, config); /* before they are read: what changes later is news again */
    if (nothing_new(p2p, config, stamps)) {
        return true;
    }
    if (!setup_check(config, &p2p->key, problem) || !keeps_peers(p2p, config, problem)) {
        return false;
    }
    struct renewal *renewal = calloc(1, sizeof(*renewal));
    if (renewal == NULL) {
        snprintf(problem, PROBLEM_SIZE, "no memory");
        return false;
    }
    renewal->config = *config;
    secret_key_wipe(&renewal->config.seed);
    bool ok = true;
    if (p2p->config.listen[0] != '\0') {
        renewal->server = setup_tls(config, NNG_TLS_MODE_SERVER, NULL, problem);
        ok = renewal->server != NULL;
    }
    for (uint32_t i = 0; ok && i < config->peer_count; i++) {
        ok = setup_dialer(&renewal->dialers[i], config, i, problem);
    }
    if (!ok) {
        renewal_free(renewal);
        return false;
    }
    pthread_mutex_lock(&p2p->doorbell.lock);
    struct renewal *before = p2p->renewal; /* one that the keeper has not even seen */
    p2p->renewal = renewal;
    note(p2p, config, stamps);
    doorbell_ring(&p2p->doorbell);
    pthread_mutex_unlock(&p2p->doorbell.lock);
    renewal_free(before);
    return true;
}

/* --- the keeper ------------------------------------------------------------------------------ */

static void close_listener(struct p2p *p2p)
{
    if (p2p->listener == NULL) {
        return;
    }
    nng_stream_listener_close(p2p->listener);
    nng_aio_stop(p2p->accept_aio);
    if (p2p->accepting && nng_aio_result(p2p->accept_aio) == 0) {
        nng_stream_free(nng_aio_get_output(p2p->accept_aio, 0)); /* it may come again */
    }
    nng_aio_free(p2p->accept_aio); /* an aio that was stopped takes no more operations */
    nng_stream_listener_free(p2p->listener);
    p2p->accept_aio = NULL;
    p2p->listener = NULL;
    p2p->accepting = p2p->accept_ready = false;
    pthread_mutex_lock(&p2p->doorbell.lock);
    p2p->accept_done = false;
    pthread_mutex_unlock(&p2p->doorbell.lock);
}

static void step_listener(struct p2p *p2p, int64_t now_ms)
{
    char problem[PROBLEM_SIZE];
    if (p2p->listen_tls == NULL || now_ms < p2p->listen_ms) {
        return;
    }
    if (!setup_listener(p2p, p2p->listen_tls, problem)) {
        log_line(LOG_UNUSUAL, "p2p after a reload: %s -> again soon", problem);
        p2p->listen_ms = now_ms + LISTEN_RETRY_MS;
        return;
    }
    nng_tls_config_free(p2p->listen_tls);
    p2p->listen_tls = NULL;
}

static void change_dialer(struct p2p *p2p, uint32_t index, nng_stream_dialer *dialer,
                          int64_t now_ms)
{
    struct peer *peer = &p2p->peers[index];
    if (peer->dialling != NULL) {
        session_end(p2p, peer->dialling, now_ms, "new certificates");
    }
    nng_stream_dialer *old = peer->dialer;
    peer->dialer = dialer;
    peer->dial_ms = now_ms;
    if (old != NULL) {
        nng_stream_dialer_close(old);
        keeper_reap(p2p); /* nobody dials with it any more */
        nng_stream_dialer_free(old);
    }
}

static void adopt(struct p2p *p2p, struct renewal *renewal, int64_t now_ms)
{
    const struct p2p_config *config = &renewal->config;
    const uint32_t known = p2p->peer_count;
    for (uint32_t i = 0; i < config->peer_count; i++) {
        if (i >= known) { /* those before are read by other threads */
            p2p->peers[i].key = config->peers[i].key;
        }
        p2p->config.peers[i] = config->peers[i];
        change_dialer(p2p, i, renewal->dialers[i], now_ms);
        renewal->dialers[i] = NULL;
    }
    memcpy(p2p->config.ca_file, config->ca_file, sizeof(p2p->config.ca_file));
    memcpy(p2p->config.certificate_file, config->certificate_file,
           sizeof(p2p->config.certificate_file));
    memcpy(p2p->config.key_file, config->key_file, sizeof(p2p->config.key_file));
    atomic_store(&p2p->peer_count, config->peer_count);
    if (renewal->server != NULL) {
        close_listener(p2p);
        if (p2p->listen_tls != NULL) {
            nng_tls_config_free(p2p->listen_tls);
        }
        p2p->listen_tls = renewal->server;
        renewal->server = NULL;
        p2p->listen_ms = now_ms;
    }
    p2p->renew_ms = now_ms;
    p2p->renew_peer = LINK_NO_PEER;
    log_line(LOG_INFO,
             "p2p reload > new certificate files, %u peers, %u of them new -> links are made "
             "anew one by one",
             (unsigned)config->peer_count, (unsigned)(config->peer_count - known));
}

static bool is_old(const struct p2p *p2p, uint32_t index)
{
    const struct link *live = p2p->peers[index].live;
    return live != NULL && live->live_ms <= p2p->renew_ms;
}

static void renew_links(struct p2p *p2p, int64_t now_ms)
{
    if (p2p->renew_peer != LINK_NO_PEER && p2p->peers[p2p->renew_peer].live == NULL) {
        char name[9];
        if (now_ms < p2p->renew_deadline_ms) {
            return;
        }
        hex_encode(name, p2p->peers[p2p->renew_peer].key.bytes, 4);
        log_line(
            LOG_UNUSUAL,
            "p2p reload > the link to %s has not come back -> the others stay on the old files; "
            "look at certificate and CA on both sides",
            name);
        p2p->renew_ms = 0;
        p2p->renew_peer = LINK_NO_PEER;
        return;
    }
    for (uint32_t i = 0; i < p2p->peer_count; i++) {
        if (is_old(p2p, i)) {
            p2p->renew_peer = i;
            p2p->renew_deadline_ms = now_ms + KEEPER_RENEW_MS;
            session_end(p2p, p2p->peers[i].live, now_ms, "new certificates");
            return;
        }
    }
    log_line(LOG_INFO, "p2p reload > every link is made anew -> done");
    p2p->renew_ms = 0;
    p2p->renew_peer = LINK_NO_PEER;
}

void renew_step(struct p2p *p2p, int64_t now_ms)
{
    pthread_mutex_lock(&p2p->doorbell.lock);
    struct renewal *renewal = p2p->renewal;
    p2p->renewal = NULL;
    pthread_mutex_unlock(&p2p->doorbell.lock);
    if (renewal != NULL) {
        adopt(p2p, renewal, now_ms);
        renewal_free(renewal);
    }
    step_listener(p2p, now_ms);
    if (p2p->renew_ms != 0 && p2p->listen_tls == NULL) {
        renew_links(p2p, now_ms);
    }
}
