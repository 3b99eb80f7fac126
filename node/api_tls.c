/* TLS of the HTTP API: GnuTLS, which libmicrohttpd speaks (docs/adr/0055).
 *
 * The files are read, compared and kept as bytes; each handshake makes its certificate and key of them
 * anew and owns what it made. So a reload swaps two byte strings under a lock, and nothing that a
 * connection still uses is ever freed under it.
 *
 * Invariants: what is kept is a certificate and the key that it names; a reload that fails changes
 * nothing; the key's bytes are wiped when they go. There is one API, and so one of these, in a process:
 * the callback takes no context.
 *
 * Deliberately absent: certificates of clients. Who asks is what a signed request says (ADR 0038). */
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api_internal.h"

enum { PEM_BYTES_MAX = 64 * 1024, CHAIN_MAX = 8 };

struct pem {
    char *text;
    size_t size;
};

struct api_tls {
    pthread_mutex_t lock;
    struct pem certificate;
    struct pem key;
};

static struct api_tls *served;

const char *api_tls_priorities(const struct node_config_api *config)
{
    /* SECURE128 leaves out what is below 128 bits; session tickets would outlive a key that is replaced. */
    return config->tls13_only ? "SECURE128:-VERS-ALL:+VERS-TLS1.3:%NO_TICKETS"
                              : "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%NO_TICKETS:%"
                                "SAFE_RENEGOTIATION";
}

static void drop(struct pem *pem)
{
    if (pem->text != NULL)
        sodium_memzero(pem->text, pem->size);
    free(pem->text);
    *pem = (struct pem){NULL, 0};
}

static bool read_pem(struct pem *pem, const struct node_config *config, const char *name,
                     char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    if (!node_config_path(path, config, name)) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "%.100s: the name is too long", name);
        return false;
    }
    pem->text = node_file_read(path, PEM_BYTES_MAX, &pem->size, problem);
    return pem->text != NULL;
}

static gnutls_datum_t datum_of(const struct pem *pem)
{
    return (gnutls_datum_t){(unsigned char *)pem->text, (unsigned)pem->size};
}

/* An expired certificate is served all the same: it is for its clients to refuse, and for us to say. */
static void say_term(const gnutls_datum_t *certificate)
{
    gnutls_x509_crt_t first;
    char day[32];
    struct tm date;
    if (gnutls_x509_crt_init(&first) != 0)
        return;
    if (gnutls_x509_crt_import(first, certificate, GNUTLS_X509_FMT_PEM) == 0) {
        const time_t end = gnutls_x509_crt_get_expiration_time(first);
        if (gmtime_r(&end, &date) != NULL && strftime(day, sizeof day, "%F %T", &date) > 0)
            log_line(end < time(NULL) ? LOG_UNUSUAL : LOG_INFO, "api: certificate %s %s UTC",
                     end < time(NULL) ? "expired at" : "good until", day);
    }
    gnutls_x509_crt_deinit(first);
}

/* Whether the two belong together, by the library that will use them. */
static bool check_pair(const struct pem *certificate, const struct pem *key,
                       char problem[NODE_PROBLEM_SIZE])
{
    gnutls_certificate_credentials_t pair;
    const gnutls_datum_t certificate_datum = datum_of(certificate);
    const gnutls_datum_t key_datum = datum_of(key);
    int status = gnutls_certificate_allocate_credentials(&pair);
    if (status == 0) {
        status = gnutls_certificate_set_x509_key_mem(pair, &certificate_datum, &key_datum,
                                                     GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(pair);
    }
    if (status < 0) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "api.certificate and api.key: %.120s",
                       gnutls_strerror(status));
        return false;
    }
    say_term(&certificate_datum);
    return true;
}

static bool load(struct pem *certificate, struct pem *key, const struct node_config *config,
                 char problem[NODE_PROBLEM_SIZE])
{
    if (read_pem(certificate, config, config->api.certificate, problem) &&
        read_pem(key, config, config->api.key, problem) && check_pair(certificate, key, problem))
        return true;
    drop(certificate);
    drop(key);
    return false;
}

struct api_tls *api_tls_create(const struct node_config *config, char problem[NODE_PROBLEM_SIZE])
{
    struct api_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "out of memory");
        return NULL;
    }
    if (!load(&tls->certificate, &tls->key, config, problem)) {
        free(tls);
        return NULL;
    }
    MUST(pthread_mutex_init(&tls->lock, NULL) == 0);
    return tls;
}

void api_tls_destroy(struct api_tls *tls)
{
    if (tls == NULL)
        return;
    if (served == tls)
        served = NULL;
    drop(&tls->certificate);
    drop(&tls->key);
    MUST(pthread_mutex_destroy(&tls->lock) == 0);
    free(tls);
}

bool api_tls_reload(struct api_tls *tls, const struct node_config *config,
                    char problem[NODE_PROBLEM_SIZE])
{
    struct pem certificate = {NULL, 0};
    struct pem key = {NULL, 0};
    if (!load(&certificate, &key, config, problem))
        return false;
    MUST(pthread_mutex_lock(&tls->lock) == 0);
    struct pem old_certificate = tls->certificate;
    struct pem old_key = tls->key;
    tls->certificate = certificate;
    tls->key = key;
    MUST(pthread_mutex_unlock(&tls->lock) == 0);
    drop(&old_certificate);
    drop(&old_key);
    return true;
}

/* What one handshake owns; false, and nothing is left, if memory ran out. */
static bool make_pair(const struct api_tls *tls, gnutls_pcert_st **chain, unsigned *count,
                      gnutls_privkey_t *key)
{
    const gnutls_datum_t certificate_datum = datum_of(&tls->certificate);
    const gnutls_datum_t key_datum = datum_of(&tls->key);
    *count = CHAIN_MAX;
    *chain = gnutls_calloc(CHAIN_MAX, sizeof **chain);
    if (*chain == NULL)
        return false;
    if (gnutls_pcert_list_import_x509_raw(*chain, count, &certificate_datum, GNUTLS_X509_FMT_PEM,
                                          0) != 0) {
        gnutls_free(*chain);
        return false;
    }
    if (gnutls_privkey_init(key) == 0) {
        if (gnutls_privkey_import_x509_raw(*key, &key_datum, GNUTLS_X509_FMT_PEM, NULL, 0) == 0)
            return true;
        gnutls_privkey_deinit(*key);
    }
    for (unsigned i = 0; i < *count; i++)
        gnutls_pcert_deinit(&(*chain)[i]);
    gnutls_free(*chain);
    return false;
}

static int retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                    gnutls_pcert_st **chain, unsigned *count, gnutls_ocsp_data_st **ocsp,
                    unsigned *ocsp_count, gnutls_privkey_t *key, unsigned *flags)
{
    (void)session;
    (void)info;
    *ocsp = NULL;
    *ocsp_count = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    MUST(served != NULL);
    MUST(pthread_mutex_lock(&served->lock) == 0);
    const bool good = make_pair(served, chain, count, key);
    MUST(pthread_mutex_unlock(&served->lock) == 0);
    return good ? 0 : -1;
}

void *api_tls_callback(struct api_tls *tls)
{
    MUST(served == NULL);
    served = tls;
    /* libmicrohttpd takes the function by way of its variable arguments. */
    gnutls_certificate_retrieve_function3 *callback = retrieve;
    void *pointer = NULL;
    _Static_assert(sizeof pointer == sizeof callback, "POSIX: a function's address is a pointer");
    memcpy(&pointer, &callback, sizeof pointer);
    return pointer;
}
