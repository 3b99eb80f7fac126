/* Certificates as files: what is in them, who accepts them, and what p2p_start says of wrong ones. */
#include <fcntl.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "p2p/certificate.h"
#include "tests/lib/p2p/raw_stream.h"

static struct consortium consortium, stranger;

/* The clock of this process, mbedTLS included: certificates can be issued long ago. */
static int64_t clock_offset_s;

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time_t result = now.tv_sec + clock_offset_s;
    if (out != NULL) {
        *out = result;
    }
    return result;
}

static int set_up(void **state)
{
    (void)state;
    consortium_make(&consortium, 2);
    consortium_make(&stranger, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    consortium_remove(&consortium);
    consortium_remove(&stranger);
    return 0;
}

static unsigned mode_of(const char *file)
{
    struct stat status;
    assert_int_equal(stat(file, &status), 0);
    return status.st_mode & 0777;
}

static void only_keys_are_secret(void **state)
{
    (void)state;
    const struct test_node *node = &consortium.nodes[0];
    char beside[160];
    assert_int_equal(mode_of(consortium.ca_key_file), 0600);
    assert_int_equal(mode_of(node->key_file), 0600);
    assert_int_equal(mode_of(consortium.ca_file), 0644);
    assert_int_equal(mode_of(node->certificate_file), 0644);
    snprintf(beside, sizeof(beside), "%s.new", node->key_file);
    assert_int_not_equal(access(beside, F_OK), 0);
}

static void a_certificate_names_its_node_and_its_uses(void **state)
{
    (void)state;
    const struct test_node *node = &consortium.nodes[0];
    mbedtls_x509_crt ca, own;
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&own);
    assert_int_equal(mbedtls_x509_crt_parse_file(&ca, consortium.ca_file), 0);
    assert_int_equal(mbedtls_x509_crt_parse_file(&own, node->certificate_file), 0);
    assert_int_equal(own.version, 3);
    assert_int_equal(own.ca_istrue, 0);
    assert_int_equal(ca.ca_istrue, 1);
    assert_int_equal(ca.max_pathlen, 1); /* mbedTLS adds one: no CA below this one */
    assert_int_equal(mbedtls_pk_get_bitlen(&own.pk), 256);
    assert_int_equal(mbedtls_x509_crt_check_key_usage(&own, MBEDTLS_X509_KU_DIGITAL_SIGNATURE), 0);
    assert_int_not_equal(mbedtls_x509_crt_check_key_usage(&own, MBEDTLS_X509_KU_KEY_CERT_SIGN), 0);
    assert_int_equal(mbedtls_x509_crt_check_key_usage(&ca, MBEDTLS_X509_KU_KEY_CERT_SIGN), 0);
    static const struct {
        const char *oid;
        size_t size;
        bool allowed;
    } uses[] = {{MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH), true},
                {MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH), true},
                {MBEDTLS_OID_CODE_SIGNING, MBEDTLS_OID_SIZE(MBEDTLS_OID_CODE_SIGNING), false}};
    for (size_t i = 0; i < 3; i++) {
        int code = mbedtls_x509_crt_check_extended_key_usage(&own, uses[i].oid, uses[i].size);
        assert_int_equal(code == 0, uses[i].allowed);
    }
    char hex[65], name[CERTIFICATE_NAME_SIZE], subject[256];
    hex_encode(hex, node->key.bytes, PUBLIC_KEY_SIZE);
    certificate_dns_name(name, &node->key);
    assert_int_equal(strlen(name), 76);
    assert_memory_equal(name, hex, 32);
    assert_memory_equal(name + 33, hex + 32, 32);
    assert_true(mbedtls_x509_dn_gets(subject, sizeof(subject), &own.subject) > 0);
    assert_non_null(strstr(subject, hex));
    assert_int_equal(own.subject_alt_names.buf.len, strlen(name));
    assert_memory_equal(own.subject_alt_names.buf.p, name, strlen(name));
    assert_null(own.subject_alt_names.next);
    mbedtls_x509_crt_free(&own);
    mbedtls_x509_crt_free(&ca);
}

static void serial_numbers_differ(void **state)
{
    (void)state;
    mbedtls_x509_crt a, b;
    mbedtls_x509_crt_init(&a);
    mbedtls_x509_crt_init(&b);
    assert_int_equal(mbedtls_x509_crt_parse_file(&a, consortium.nodes[0].certificate_file), 0);
    assert_int_equal(mbedtls_x509_crt_parse_file(&b, consortium.nodes[1].certificate_file), 0);
    assert_int_equal(a.serial.len, 16);
    assert_int_equal(b.serial.len, 16);
    assert_memory_not_equal(a.serial.p, b.serial.p, 16);
    mbedtls_x509_crt_free(&a);
    mbedtls_x509_crt_free(&b);
}

static void a_set_of_files_must_belong_together(void **state)
{
    (void)state;
    const struct test_node *node = &consortium.nodes[0], *other = &consortium.nodes[1];
    const char *ca = consortium.ca_file;
    char problem[160] = "";
    assert_true(certificate_check(ca, node->certificate_file, node->key_file, &node->key, problem));
    const struct {
        const char *ca, *certificate, *key;
        const struct public_key *node_key;
        const char *says;
    } rows[] = {
        {stranger.ca_file, node->certificate_file, node->key_file, &node->key, "not under the CA"},
        {ca, node->certificate_file, node->key_file, &other->key, "issued for another node"},
        {ca, node->certificate_file, other->key_file, &node->key, "not the certificate's key"},
        {ca, other->certificate_file, other->key_file, &node->key, "issued for another node"},
        {ca, consortium.ca_file, consortium.ca_key_file, &node->key, "issued for another node"},
        {ca, "/nonexistent", node->key_file, &node->key, "can't read certificate"},
        {ca, node->key_file, node->key_file, &node->key, "can't read certificate"},
        {ca, node->certificate_file, node->certificate_file, &node->key, "can't read key"},
        {"/dev/null", node->certificate_file, node->key_file, &node->key, "can't read certificate"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        problem[0] = '\0';
        assert_false(certificate_check(rows[i].ca, rows[i].certificate, rows[i].key,
                                       rows[i].node_key, problem));
        if (strstr(problem, rows[i].says) == NULL) {
            fail_msg("row %zu says: %s", i, problem);
        }
    }
}

/* A certificate from before its time or after it is refused, by its owner's p2p_start and by those
 * it dials. */
static void a_certificate_has_its_time(void **state)
{
    (void)state;
    enum { DAY_S = 86400 };
    struct test_node *node = &consortium.nodes[0];
    static const struct {
        int64_t issued_s;
        const char *says; /* NULL: valid */
    } rows[] = {{-40 * DAY_S, "expired"},
                {-31 * DAY_S, "expired"},
                {-29 * DAY_S, NULL},
                {40 * DAY_S, "not valid yet"},
                {DAY_S / 2, NULL}};
    consortium_start(&consortium, 1, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char problem[160] = "";
        clock_offset_s = rows[i].issued_s;
        assert_true(p2p_certificate_issue(node->certificate_file, node->key_file,
                                          consortium.ca_file, consortium.ca_key_file, &node->key,
                                          30, problem));
        clock_offset_s = 0;
        bool valid = certificate_check(consortium.ca_file, node->certificate_file, node->key_file,
                                       &node->key, problem);
        assert_int_equal(valid, rows[i].says == NULL);
        assert_true(valid || strstr(problem, rows[i].says) != NULL);
        struct raw_stream raw;
        struct handshake_hello ours, theirs;
        assert_int_equal(raw_join(&raw, &consortium, 0, 1, &ours, &theirs), valid);
        raw_close(&raw);
    }
    consortium_stop(&consortium, 1);
}

static void what_cant_be_made_is_explained(void **state)
{
    (void)state;
    const struct public_key *key = &consortium.nodes[0].key;
    char problem[160] = "", file[128], key_file[128];
    snprintf(file, sizeof(file), "%s/x.pem", consortium.dir);
    snprintf(key_file, sizeof(key_file), "%s/x.key", consortium.dir);
    static const char *const names[] = {"", "a,CN=b", "a=b", "line\nbreak", " a", "quote\""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_false(p2p_ca_create(file, key_file, names[i], problem));
        assert_non_null(strstr(problem, "CA's name"));
    }
    assert_false(p2p_ca_create("/nonexistent/ca.pem", "/nonexistent/ca.key", "ca", problem));
    assert_non_null(strstr(problem, "No such file"));
    assert_false(p2p_certificate_issue(file, key_file, consortium.ca_file, consortium.ca_key_file,
                                       key, 0, problem));
    assert_false(p2p_certificate_issue(file, key_file, consortium.ca_file, consortium.ca_key_file,
                                       key, 3651, problem));
    assert_non_null(strstr(problem, "days"));
    assert_false(p2p_certificate_issue(file, key_file, consortium.ca_file, stranger.ca_key_file,
                                       key, 30, problem));
    assert_non_null(strstr(problem, "not the key of this CA"));
    assert_false(p2p_certificate_issue(file, key_file, consortium.nodes[1].certificate_file,
                                       consortium.nodes[1].key_file, key, 30, problem));
    assert_non_null(strstr(problem, "not a CA's certificate"));
    assert_int_not_equal(access(file, F_OK), 0); /* nothing is left behind */
    assert_int_not_equal(access(key_file, F_OK), 0);
}

static bool ignore_event(void *context, const struct p2p_event *event)
{
    (void)context;
    (void)event;
    return true;
}

static void a_wrong_configuration_does_not_start(void **state)
{
    (void)state;
    struct p2p_config right, config;
    char problem[160];
    consortium_config(&consortium, 0, &right);
    for (int i = 0; i < 8; i++) {
        static const char *const says[] = {
            "at most",         "heartbeat",       "this node itself",        "the same key",
            "can't listen on", "can't listen on", "issued for another node", "can't dial"};
        config = right;
        switch (i) {
        case 0:
            config.peer_count = P2P_PEERS_MAX + 1;
            break;
        case 1:
            config.heartbeat_ms = 1;
            break;
        case 2:
            config.peers[0].key = consortium.nodes[0].key;
            break;
        case 3:
            config.peers[1] = config.peers[0];
            config.peer_count = 2;
            break;
        case 4:
            snprintf(config.listen, sizeof(config.listen), "203.0.113.1:9");
            break;
        case 5:
            snprintf(config.listen, sizeof(config.listen), "127.0.0.1:99999");
            break;
        case 6:
            config.seed = consortium.nodes[1].seed;
            config.peer_count = 0;
            break;
        default:
            snprintf(config.peers[0].address, sizeof(config.peers[0].address), "no port");
            break;
        }
        problem[0] = '\0';
        struct p2p *p2p = p2p_start(&config, ignore_event, NULL, problem);
        if (p2p != NULL || strstr(problem, says[i]) == NULL) {
            fail_msg("row %d says: %s", i, problem);
        }
    }
    struct p2p *p2p = p2p_start(&right, ignore_event, NULL, problem);
    assert_non_null(p2p);
    /* A port that is taken. */
    snprintf(config.listen, sizeof(config.listen), "127.0.0.1:%u", p2p_port(p2p));
    config.peers[0].address[0] = '\0';
    assert_null(p2p_start(&config, ignore_event, NULL, problem));
    assert_non_null(strstr(problem, "can't listen on"));
    p2p_stop(p2p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_keys_are_secret),
        cmocka_unit_test(a_certificate_names_its_node_and_its_uses),
        cmocka_unit_test(serial_numbers_differ),
        cmocka_unit_test(a_set_of_files_must_belong_together),
        cmocka_unit_test(a_certificate_has_its_time),
        cmocka_unit_test(what_cant_be_made_is_explained),
        cmocka_unit_test(a_wrong_configuration_does_not_start),
    };
    log_open(stdout, "test", LOG_DEBUG, false);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
