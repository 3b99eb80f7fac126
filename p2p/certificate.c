/* The consortium's CA and its nodes' certificates, made with mbedTLS (docs/adr/0003).
 *
 * ECDSA on P-256 with SHA-256, X.509 version 3. The CA is critical CA:true with path length 0 and
 * may sign certificates and revocation lists, nothing else. A node's certificate may sign
 * handshakes, as server and as client, and names the node key: in full as common name, for people,
 * and as DNS name in two labels, which is what the dialling side checks.
 *
 * Invariants:
 * 1. A private key never touches the disk under a mode other than 0600, and is wiped from memory.
 * 2. A file appears whole or not at all: it is written beside its place, synced and renamed.
 *
 * Deliberately absent: renewal and revocation. A certificate that must go is replaced by leaving
 * its node key out of every node's list of peers, which ends its links at the next handshake. */
#include "p2p/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "p2p/p2p.h"

enum {
    PEM_SIZE = 4096, /* a certificate of ours takes some 900 bytes */
    NAME_TEXT_SIZE = 160,
    SERIAL_SIZE = 16,
    DAYS_MAX = 3650,
    CA_DAYS = 3650,
    SECONDS_PER_DAY = 86400,
    PROBLEM_SIZE = 160
};

_Static_assert(MBEDTLS_X509_RFC5280_UTC_TIME_LEN == 15, "YYYYMMDDhhmmss and NUL");

/* mbedTLS asks for randomness through this; the operating system's never fails (crypto/sign.h). */
static int system_random(void *context, unsigned char *out, size_t size)
{
    (void)context;
    random_bytes(out, size);
    return 0;
}

static bool failed(char problem[PROBLEM_SIZE], const char *what, const char *file, int code)
{
    char reason[96] = "";
    if (code != 0) {
        mbedtls_strerror(code, reason, sizeof(reason));
        reason[strcspn(reason, ",")] = '\0'; /* What follows are examples, too long for here. */
    }
    snprintf(problem, PROBLEM_SIZE, "%.30s %.70s%s%.50s", what, file, code != 0 ? ": " : "",
             reason);
    return false;
}

void certificate_dns_name(char out[CERTIFICATE_NAME_SIZE], const struct public_key *node_key)
{
    char first[33], last[33];
    hex_encode(first, node_key->bytes, 16);
    hex_encode(last, node_key->bytes + 16, 16);
    int size = snprintf(out, CERTIFICATE_NAME_SIZE, "%s.%s.flexledger", first, last);
    MUST(size == CERTIFICATE_NAME_SIZE - 1);
}

/* --- files ---------------------------------------------------------------------------------- */

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        data += written;
        size -= (size_t)written;
    }
    return true;
}

static bool sync_directory_of(const char *file)
{
    char path[512];
    snprintf(path, sizeof(path), "%s", file);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

static bool write_file(const char *file, mode_t mode, const char *text, char problem[PROBLEM_SIZE])
{
    char beside[512];
    if (snprintf(beside, sizeof(beside), "%s.new", file) >= (int)sizeof(beside)) {
        return failed(problem, "path too long", file, 0);
    }
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    bool ok = fd >= 0 && fchmod(fd, mode) == 0 &&
              write_all(fd, (const uint8_t *)text, strlen(text)) && fsync(fd) == 0;
    int fault = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (ok && (rename(beside, file) != 0 || !sync_directory_of(file))) {
        ok = false;
        fault = errno;
    }
    if (!ok) {
        unlink(beside);
        snprintf(problem, PROBLEM_SIZE, "can't write %.90s: %.40s", file, strerror(fault));
    }
    return ok;
}

/* --- making --------------------------------------------------------------------------------- */

/* A new P-256 key; the caller has initialised `key` and frees it. */
static int key_make(mbedtls_pk_context *key)
{
    int code = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (code != 0) {
        return code;
    }
    return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), system_random, NULL);
}

static bool key_write(const char *file, mbedtls_pk_context *key, char problem[PROBLEM_SIZE])
{
    unsigned char pem[PEM_SIZE];
    int code = mbedtls_pk_write_key_pem(key, pem, sizeof(pem));
    bool ok = code == 0 ? write_file(file, 0600, (const char *)pem, problem)
                        : failed(problem, "can't encode", file, code);
    mbedtls_platform_zeroize(pem, sizeof(pem));
    return ok;
}

static bool utc_text(char out[MBEDTLS_X509_RFC5280_UTC_TIME_LEN + 1], time_t when)
{
    struct tm utc;
    return gmtime_r(&when, &utc) != NULL &&
           strftime(out, MBEDTLS_X509_RFC5280_UTC_TIME_LEN + 1, "%Y%m%d%H%M%S", &utc) == 14;
}

/* Valid from a day ago, so that a node whose clock is behind accepts it too. */
static int set_validity(mbedtls_x509write_cert *certificate, int days)
{
    char from[MBEDTLS_X509_RFC5280_UTC_TIME_LEN + 1];
    char until[MBEDTLS_X509_RFC5280_UTC_TIME_LEN + 1];
    time_t now = time(NULL);
    if (!utc_text(from, now - SECONDS_PER_DAY) ||
        !utc_text(until, now + (time_t)days * SECONDS_PER_DAY)) {
        return MBEDTLS_ERR_X509_BAD_INPUT_DATA;
    }
    return mbedtls_x509write_crt_set_validity(certificate, from, until);
}

static int set_serial(mbedtls_x509write_cert *certificate)
{
    uint8_t bytes[SERIAL_SIZE];
    random_bytes(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and always of full length */
    mbedtls_mpi serial;
    mbedtls_mpi_init(&serial);
    int code = mbedtls_mpi_read_binary(&serial, bytes, sizeof(bytes));
    if (code == 0) {
        code = mbedtls_x509write_crt_set_serial(certificate, &serial);
    }
    mbedtls_mpi_free(&serial);
    return code;
}

/* Puts tag and length in front of the `size` bytes at *at; how many bytes that took. The buffers
 * below are sized for what goes into them, so that a failure is our own bug. */
static size_t wrap(unsigned char **at, unsigned char *start, size_t size, unsigned char tag)
{
    int length = mbedtls_asn1_write_len(at, start, size);
    MUST(length > 0);
    int tags = mbedtls_asn1_write_tag(at, start, tag);
    MUST(tags > 0);
    return (size_t)length + (size_t)tags;
}

/* GeneralNames ::= SEQUENCE OF [2] IMPLICIT IA5String (RFC 5280, 4.2.1.6), written backwards as
 * mbedTLS does it: 2.28 has no helper for this extension. */
static int set_dns_name(mbedtls_x509write_cert *certificate, const char *name)
{
    unsigned char der[CERTIFICATE_NAME_SIZE + 16];
    unsigned char *at = der + sizeof(der);
    size_t size = strlen(name);
    MUST(size < 128); /* so that every length below is one byte: der is large enough */
    int code = mbedtls_asn1_write_raw_buffer(&at, der, (const unsigned char *)name, size);
    MUST(code == (int)size);
    size += wrap(&at, der, size, MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_X509_SAN_DNS_NAME);
    size += wrap(&at, der, size, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    return mbedtls_x509write_crt_set_extension(certificate, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                               at, size);
}

/* ExtKeyUsageSyntax ::= SEQUENCE OF OBJECT IDENTIFIER (RFC 5280, 4.2.1.12): both sides of TLS. */
static int set_extended_usage(mbedtls_x509write_cert *certificate)
{
    unsigned char der[32];
    unsigned char *at = der + sizeof(der);
    int client = mbedtls_asn1_write_oid(&at, der, MBEDTLS_OID_CLIENT_AUTH,
                                        MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
    MUST(client > 0);
    int server = mbedtls_asn1_write_oid(&at, der, MBEDTLS_OID_SERVER_AUTH,
                                        MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH));
    MUST(server > 0);
    size_t size = (size_t)client + (size_t)server;
    size += wrap(&at, der, size, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    return mbedtls_x509write_crt_set_extension(certificate, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0,
                                               at, size);
}

/* What differs between a CA's certificate and a node's. */
struct certificate_plan {
    const char *subject;
    const char *issuer;
    mbedtls_pk_context *key;
    mbedtls_pk_context *issuer_key;
    const char *dns_name; /* NULL: this is the CA */
    int days;
};

static int fill(mbedtls_x509write_cert *certificate, const struct certificate_plan *plan)
{
    bool is_ca = plan->dns_name == NULL;
    mbedtls_x509write_crt_set_version(certificate, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(certificate, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(certificate, plan->key);
    mbedtls_x509write_crt_set_issuer_key(certificate, plan->issuer_key);
    int code = mbedtls_x509write_crt_set_subject_name(certificate, plan->subject);
    if (code == 0) {
        code = mbedtls_x509write_crt_set_issuer_name(certificate, plan->issuer);
    }
    if (code == 0) {
        code = set_serial(certificate);
    }
    if (code == 0) {
        code = set_validity(certificate, plan->days);
    }
    if (code == 0) {
        code = mbedtls_x509write_crt_set_basic_constraints(certificate, is_ca, is_ca ? 0 : -1);
    }
    if (code == 0) {
        code = mbedtls_x509write_crt_set_key_usage(
            certificate, is_ca ? MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN
                               : MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    }
    if (code == 0) {
        code = mbedtls_x509write_crt_set_subject_key_identifier(certificate);
    }
    if (code == 0) {
        code = mbedtls_x509write_crt_set_authority_key_identifier(certificate);
    }
    if (code == 0 && !is_ca) {
        code = set_dns_name(certificate, plan->dns_name);
    }
    if (code == 0 && !is_ca) {
        code = set_extended_usage(certificate);
    }
    return code;
}

static bool certificate_write(const char *file, const struct certificate_plan *plan,
                              char problem[PROBLEM_SIZE])
{
    mbedtls_x509write_cert certificate;
    mbedtls_x509write_crt_init(&certificate);
    unsigned char pem[PEM_SIZE];
    int code = fill(&certificate, plan);
    if (code == 0) {
        code = mbedtls_x509write_crt_pem(&certificate, pem, sizeof(pem), system_random, NULL);
    }
    mbedtls_x509write_crt_free(&certificate);
    return code == 0 ? write_file(file, 0644, (const char *)pem, problem)
                     : failed(problem, "can't make certificate", file, code);
}

/* Characters that a distinguished name holds without escapes. */
static bool is_plain(const char *name)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .-_";
    size_t size = strlen(name);
    return size > 0 && size <= 64 && strspn(name, plain) == size && name[0] != ' ' &&
           name[size - 1] != ' ';
}

bool p2p_ca_create(const char *certificate_file, const char *key_file, const char *name,
                   char problem[PROBLEM_SIZE])
{
    if (!is_plain(name)) {
        snprintf(problem, PROBLEM_SIZE,
                 "a CA's name has 1 to 64 letters, digits, spaces, dots, hyphens, underscores");
        return false;
    }
    char subject[NAME_TEXT_SIZE];
    snprintf(subject, sizeof(subject), "CN=%s,O=flexledger", name);
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    int code = key_make(&key);
    struct certificate_plan plan = {
        .subject = subject, .issuer = subject, .key = &key, .issuer_key = &key, .days = CA_DAYS};
    bool ok = code == 0 ? key_write(key_file, &key, problem) &&
                              certificate_write(certificate_file, &plan, problem)
                        : failed(problem, "can't make key", key_file, code);
    mbedtls_pk_free(&key);
    return ok;
}

/* The CA as read from its two files. */
struct certificate_authority {
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    char name[NAME_TEXT_SIZE];
};

static bool authority_load(struct certificate_authority *ca, const char *certificate_file,
                           const char *key_file, char problem[PROBLEM_SIZE])
{
    int code = mbedtls_x509_crt_parse_file(&ca->certificate, certificate_file);
    if (code != 0) {
        return failed(problem, "can't read certificate", certificate_file, code);
    }
    code = mbedtls_pk_parse_keyfile(&ca->key, key_file, NULL);
    if (code != 0) {
        return failed(problem, "can't read key", key_file, code);
    }
    code = mbedtls_pk_check_pair(&ca->certificate.pk, &ca->key);
    if (code != 0) {
        return failed(problem, "not the key of this CA:", key_file, code);
    }
    if (!ca->certificate.ca_istrue) {
        return failed(problem, "not a CA's certificate:", certificate_file, 0);
    }
    code = mbedtls_x509_dn_gets(ca->name, sizeof(ca->name), &ca->certificate.subject);
    return code > 0 || failed(problem, "can't read the name of", certificate_file, code);
}

bool p2p_certificate_issue(const char *certificate_file, const char *key_file,
                           const char *ca_certificate_file, const char *ca_key_file,
                           const struct public_key *node_key, int days, char problem[PROBLEM_SIZE])
{
    if (days < 1 || days > DAYS_MAX) {
        snprintf(problem, PROBLEM_SIZE, "a certificate is valid for 1 to %d days", DAYS_MAX);
        return false;
    }
    char hex[2 * PUBLIC_KEY_SIZE + 1], dns_name[CERTIFICATE_NAME_SIZE], subject[NAME_TEXT_SIZE];
    hex_encode(hex, node_key->bytes, PUBLIC_KEY_SIZE);
    certificate_dns_name(dns_name, node_key);
    snprintf(subject, sizeof(subject), "CN=%s,O=flexledger", hex);

    struct certificate_authority ca;
    mbedtls_x509_crt_init(&ca.certificate);
    mbedtls_pk_init(&ca.key);
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    bool ok = authority_load(&ca, ca_certificate_file, ca_key_file, problem);
    if (ok) {
        int code = key_make(&key);
        struct certificate_plan plan = {.subject = subject,
                                        .issuer = ca.name,
                                        .key = &key,
                                        .issuer_key = &ca.key,
                                        .dns_name = dns_name,
                                        .days = days};
        ok = code == 0 ? key_write(key_file, &key, problem) &&
                             certificate_write(certificate_file, &plan, problem)
                       : failed(problem, "can't make key", key_file, code);
    }
    mbedtls_pk_free(&key);
    mbedtls_pk_free(&ca.key);
    mbedtls_x509_crt_free(&ca.certificate);
    return ok;
}

/* --- checking ------------------------------------------------------------------------------- */

bool certificate_check(const char *ca_file, const char *certificate_file, const char *key_file,
                       const struct public_key *node_key, char problem[PROBLEM_SIZE])
{
    char name[CERTIFICATE_NAME_SIZE];
    certificate_dns_name(name, node_key);
    mbedtls_x509_crt ca, own;
    mbedtls_pk_context key;
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&own);
    mbedtls_pk_init(&key);
    uint32_t flags = 0;
    int code;
    bool ok = false;
    if ((code = mbedtls_x509_crt_parse_file(&ca, ca_file)) != 0) {
        failed(problem, "can't read certificate", ca_file, code);
    } else if ((code = mbedtls_x509_crt_parse_file(&own, certificate_file)) != 0) {
        failed(problem, "can't read certificate", certificate_file, code);
    } else if ((code = mbedtls_pk_parse_keyfile(&key, key_file, NULL)) != 0) {
        failed(problem, "can't read key", key_file, code);
    } else if ((code = mbedtls_pk_check_pair(&own.pk, &key)) != 0) {
        failed(problem, "not the certificate's key:", key_file, code);
    } else if (mbedtls_x509_crt_verify(&own, &ca, NULL, name, &flags, NULL, NULL) != 0) {
        const char *why = (flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0  ? "expired:"
                          : (flags & MBEDTLS_X509_BADCERT_FUTURE) != 0 ? "not valid yet:"
                          : (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0
                              ? "issued for another node:"
                              : "not under the CA:";
        failed(problem, why, certificate_file, 0);
    } else {
        ok = true;
    }
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&own);
    mbedtls_x509_crt_free(&ca);
    return ok;
}
