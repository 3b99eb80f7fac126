/* Allocations that fail, one after another, in the API's threads while they speak TLS (fault scenario 74):
 * the first, the second, the third and so on, of a connection, its handshake, a request, its answer and the
 * end, until a connection passes that makes no more than that. With TLS 1.3 and 1.2, certificates by elliptic
 * curves and RSA.
 *
 * Whatever fails, the process lives; the answer is the true one, an error, or none; the next client is
 * served; and under a sanitizer no more leaks than the few KiB that GnuTLS is known to leave. Beyond the
 * first thirty allocations every 37th is tried, or as STRIDE=n says: `make api-memory` tries every one.
 *
 * Spared are the allocations of libtasn1 and GMP, which take the process along if one fails; the door's probe
 * makes that unlikely, and nothing here could catch it (docs/adr/0053). SPARE_NONE=1 shows it.
 *
 * The client is this thread's and GnuTLS's too; its allocations don't fail. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <gmp.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "base/fatal.h"
#include "base/log.h"
#include "tests/lib/allocator/failing.h"
#include "tests/lib/node/api_world.h"

enum {
    STRIDE_DEFAULT = 37,
    EVERY_ONE = 30,
    ANSWER_MAX = 64 * 1024,
    PEM_MAX = 16 * 1024,
    LEAK_KNOWN_BYTES = 4 * 1024
};

static struct {
    struct api_world world;
    char directory[TEMP_PATH_SIZE];
    gnutls_certificate_credentials_t nobody;
    char answer[ANSWER_MAX];
    char truth[ANSWER_MAX];
    bool whole; /* the answer ended as TLS ends */
    long tried;
    long refused;
} it;

/* --- what is spared ------------------------------------------------------------------------------ */

static void *gmp_allocate(size_t size)
{
    failing_pause();
    void *memory = malloc(size);
    failing_resume();
    return memory;
}

static void *gmp_again(void *memory, size_t old_size, size_t size)
{
    (void)old_size;
    failing_pause();
    void *grown = realloc(memory, size);
    failing_resume();
    return grown;
}

static void gmp_free(void *memory, size_t size)
{
    (void)size;
    free(memory);
}

/* --- a certificate ------------------------------------------------------------------------------ */

static void make_certificate(gnutls_pk_algorithm_t kind, unsigned bits)
{
    static const uint8_t serial[] = {7};
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    char text[PEM_MAX];
    size_t size = sizeof text;
    const time_t now = time(NULL);
    MUST(gnutls_x509_privkey_init(&key) == 0 &&
         gnutls_x509_privkey_generate(key, kind, bits, 0) == 0);
    MUST(gnutls_x509_crt_init(&certificate) == 0 &&
         gnutls_x509_crt_set_version(certificate, 3) == 0);
    MUST(gnutls_x509_crt_set_key(certificate, key) == 0);
    MUST(gnutls_x509_crt_set_serial(certificate, serial, sizeof serial) == 0);
    MUST(gnutls_x509_crt_set_dn(certificate, "CN=localhost", NULL) == 0);
    MUST(gnutls_x509_crt_set_activation_time(certificate, now - 3600) == 0);
    MUST(gnutls_x509_crt_set_expiration_time(certificate, now + 30 * 86400) == 0);
    MUST(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0) == 0);
    MUST(gnutls_x509_crt_export(certificate, GNUTLS_X509_FMT_PEM, text, &size) == 0);
    temp_file_write(it.directory, "api.pem", text, size);
    size = sizeof text;
    MUST(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, text, &size) == 0);
    temp_file_write(it.directory, "api.key", text, size);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

static void with_tls(struct node_config *config)
{
    config->api.key_rate = 0;
    MUST(snprintf(config->api.certificate, sizeof config->api.certificate, "%s/api.pem",
                  it.directory) < (int)sizeof config->api.certificate);
    MUST(snprintf(config->api.key, sizeof config->api.key, "%s/api.key", it.directory) <
         (int)sizeof config->api.key);
}

/* --- a client ----------------------------------------------------------------------------------- */

static int dial(void)
{
    const struct timeval patience = {.tv_sec = 60};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(it.world.port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    MUST(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static bool say(gnutls_session_t session, const char *text)
{
    const size_t size = strlen(text);
    size_t done = 0;
    while (done < size) {
        const ssize_t count = gnutls_record_send(session, text + done, size - done);
        if (count < 0 && gnutls_error_is_fatal((int)count) != 0)
            return false;
        done += count > 0 ? (size_t)count : 0;
    }
    return true;
}

static void hear(gnutls_session_t session)
{
    size_t got = 0;
    it.whole = false;
    while (got + 1 < sizeof it.answer) {
        const ssize_t count =
            gnutls_record_recv(session, it.answer + got, sizeof it.answer - 1 - got);
        it.whole = count == 0;
        if (count == 0 || (count < 0 && gnutls_error_is_fatal((int)count) != 0))
            break;
        got += count > 0 ? (size_t)count : 0;
    }
    it.answer[got] = '\0';
}

/* One connection from its first byte to its last; what was answered is in it.answer. */
static void talk(const char *versions, const char *request)
{
    gnutls_session_t session;
    const int fd = dial();
    int code = GNUTLS_E_AGAIN;
    it.answer[0] = '\0';
    MUST(gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) == 0);
    MUST(gnutls_priority_set_direct(session, versions, NULL) == 0);
    MUST(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, it.nobody) == 0);
    gnutls_transport_set_int(session, fd);
    while (code != 0 && gnutls_error_is_fatal(code) == 0)
        code = gnutls_handshake(session);
    if (code == 0 && say(session, request))
        hear(session);
    gnutls_deinit(session);
    MUST(close(fd) == 0);
}

static int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

static const char *body_of(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    return body != NULL ? body : "";
}

/* --- the test ----------------------------------------------------------------------------------- */

static const char request[] =
    "GET /v1/blocks/3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

static bool try_one(const char *versions, long fail)
{
    failing_arm(fail);
    talk(versions, request);
    failing_disarm();
    const int status = status_of(it.answer);
    it.tried++;
    it.refused += status != status_of(it.truth);
    if (status == status_of(it.truth)) {
        /* One that is cut short is known by its Content-Length. */
        const char *body = body_of(it.answer);
        if (strncmp(body, body_of(it.truth), strlen(body)) != 0)
            fail_msg("allocation %ld: a wrong answer: %s instead of %s", fail, it.answer, it.truth);
    } else if (it.whole && it.answer[0] != '\0' && status != 500 && status != 503) {
        fail_msg("allocation %ld: %s", fail, it.answer);
    }
    return failing_reached();
}

static size_t bytes_after_honest(const char *versions)
{
    enum { HONEST = 20 };
    for (int i = 0; i < HONEST; i++)
        talk(versions, request);
    return failing_bytes_in_use();
}

/* The last connections are still being taken down when their clients have gone. */
static void nothing_is_left(size_t before)
{
    enum { TRIES_MAX = 3000, TRY_US = 10000 };
    size_t after = failing_bytes_in_use();
    for (int tries = 0; after > before + LEAK_KNOWN_BYTES && tries < TRIES_MAX; tries++) {
        (void)usleep(TRY_US);
        after = failing_bytes_in_use();
    }
    if (after > before + LEAK_KNOWN_BYTES)
        fail_msg("%zu bytes leaked", after - before);
}

static void all_of(gnutls_pk_algorithm_t kind, unsigned bits, const char *versions)
{
    const char *text = getenv("STRIDE");
    const long stride = text != NULL ? atol(text) : STRIDE_DEFAULT;
    long highest = 0;
    temp_dir_make(it.directory);
    make_certificate(kind, bits);
    api_world_start(&it.world, with_tls);
    it.tried = it.refused = 0;
    talk(versions, request);
    if (status_of(it.answer) != 200)
        fail_msg("without a fault: %s", it.answer);
    memcpy(it.truth, it.answer, sizeof it.truth);
    const size_t before = bytes_after_honest(versions);
    for (long fail = 1; try_one(versions, fail); fail += fail > EVERY_ONE ? stride : 1) {
        highest = fail;
        talk(versions, request);
        if (status_of(it.answer) != 200 || strcmp(body_of(it.answer), body_of(it.truth)) != 0)
            fail_msg("after allocation %ld: %s", fail, it.answer);
    }
    if (highest < EVERY_ONE)
        fail_msg("only %ld allocations; the allocator is not in its way", highest);
    assert_true(it.refused > 0);
    nothing_is_left(before);
    print_message(
        "%ld connections with a failing allocation of %ld, %ld got no answer or an error\n",
        it.tried, highest, it.refused);
    api_world_stop(&it.world);
    temp_dir_remove(it.directory);
}

static void tls_1_3(void **state)
{
    (void)state;
    all_of(GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
           "NORMAL:-VERS-ALL:+VERS-TLS1.3");
}

static void tls_1_2(void **state)
{
    (void)state;
    all_of(GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
           "NORMAL:-VERS-ALL:+VERS-TLS1.2");
}

static void tls_1_3_rsa(void **state)
{
    (void)state;
    all_of(GNUTLS_PK_RSA, 2048, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
}

/* What is left is counted above; at the end of the process nobody needs to say it again. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libgnutls.so\n";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_1_3),
        cmocka_unit_test(tls_1_2),
        cmocka_unit_test(tls_1_3_rsa),
    };
    if (!crypto_init() || gnutls_certificate_allocate_credentials(&it.nobody) != 0)
        return 1;
    failing_threads("MHD-");
    if (getenv("SPARE_NONE") == NULL) {
        mp_set_memory_functions(gmp_allocate, gmp_again, gmp_free);
        if (!failing_spare("libtasn1.so", 0))
            return 1;
    }
    log_open(stderr, "memory", LOG_BROKEN, false);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gnutls_certificate_free_credentials(it.nobody);
    return failed;
}
