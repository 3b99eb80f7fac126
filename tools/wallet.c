/* The key file (tools/wallet.h).
 *
 *   {"format":"flexkey/1","public_key":HEX,"secret":HEX}                               unencrypted
 *   {"format":"flexkey/1","public_key":HEX,"kdf":"argon2id13","operations":"3",
 *    "memory_bytes":"268435456","salt":HEX,"check":HEX,"nonce":HEX,"box":HEX}          encrypted
 *   {"format":"flexwatch/1","public_key":HEX}                                           watch only
 *
 * Invariants: a file with a secret is replaced only by one with the same secret; a secret stays in memory that is wiped on every
 * way out; a file whose public key does not belong to its secret is refused, so nobody can make an
 * owner sign under, or be paid to, a key that is not theirs. */
#include "tools/wallet.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"

enum {
    SALT_SIZE = crypto_pwhash_SALTBYTES,
    NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    BOX_SIZE = SECRET_KEY_SIZE + crypto_aead_xchacha20poly1305_ietf_ABYTES,
    DERIVED_SIZE = 32,
    OPERATIONS_MAX = 64
};
static const uint64_t MEMORY_BYTES_MAX = 2147483648u;

/* Whose key it is: a participant's (BIP340) or a node's (Ed25519). */
enum key_kind { KEY_PARTICIPANT, KEY_NODE, KEY_KIND_COUNT };
static const char *const key_formats[KEY_KIND_COUNT] = {"flexkey/1", "flexnodekey/1"};

struct key_box {
    enum key_kind kind;
    struct public_key public_key;
    bool encrypted;
    bool watches;
    struct secret_key secret; /* unencrypted only */
    struct wallet_cost cost;
    uint8_t salt[SALT_SIZE];
    uint8_t check[DERIVED_SIZE];
    uint8_t nonce[NONCE_SIZE];
    uint8_t box[BOX_SIZE];
};

struct wallet_cost wallet_cost_default(void)
{
    return (struct wallet_cost){.operations = crypto_pwhash_argon2id_OPSLIMIT_MODERATE,
                                .memory_bytes = crypto_pwhash_argon2id_MEMLIMIT_MODERATE};
}

const char *wallet_result_text(enum wallet_result result)
{
    switch (result) {
    case WALLET_OK:
        return "all is well";
    case WALLET_ABSENT:
        return "there is no key here yet: flex key new";
    case WALLET_EXISTS:
        return "there is a key already, and a key is never overwritten";
    case WALLET_NEEDS_PASSPHRASE:
        return "the key is encrypted and needs its passphrase";
    case WALLET_WRONG_PASSPHRASE:
        return "the passphrase is wrong";
    case WALLET_WATCHES:
        return "this wallet only watches: it has no secret, so nothing can be signed with it";
    case WALLET_MALFORMED:
        return "the key file is damaged or is none";
    case WALLET_FAULT:
        return "the key file can't be read or written, or memory ran out";
    }
    return "";
}

void wallet_wipe(void *data, size_t size)
{
    sodium_memzero(data, size);
}

void *wallet_secrets_new(size_t size)
{
    const struct rlimit none = {0, 0};
    MUST(setrlimit(RLIMIT_CORE, &none) == 0);
    void *secrets = sodium_malloc(size);
    MUST(secrets != NULL);
    memset(secrets, 0, size);
    return secrets;
}

void wallet_secrets_free(void *secrets)
{
    sodium_free(secrets);
}

/* The cipher's key and the value that commits to it, both out of one Argon2id run. */
static bool derive(uint8_t key[DERIVED_SIZE], uint8_t check[DERIVED_SIZE], const char *passphrase,
                   const struct key_box *box)
{
    uint8_t master[crypto_kdf_KEYBYTES];
    if (crypto_pwhash(master, sizeof master, passphrase, strlen(passphrase), box->salt,
                      box->cost.operations, (size_t)box->cost.memory_bytes,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return false;
    }
    crypto_kdf_derive_from_key(key, DERIVED_SIZE, 1, "flexkey1", master);
    crypto_kdf_derive_from_key(check, DERIVED_SIZE, 2, "flexkey1", master);
    sodium_memzero(master, sizeof master);
    return true;
}

static void add_hex(struct cJSON *object, const char *name, const uint8_t *data, size_t size)
{
    char text[2 * BOX_SIZE + 1];
    MUST(size <= BOX_SIZE);
    hex_encode(text, data, size);
    MUST(cJSON_AddStringToObject(object, name, text) != NULL);
    sodium_memzero(text, sizeof text);
}

/* cJSON keeps strings of its own; the secret's is the only one that matters. */
static void wipe_secret_string(struct cJSON *object)
{
    struct cJSON *secret = cJSON_GetObjectItemCaseSensitive(object, "secret");
    if (cJSON_IsString(secret)) {
        sodium_memzero(secret->valuestring, strlen(secret->valuestring));
    }
}

static enum wallet_result write_box(const char *path, const struct key_box *box, bool replace)
{
    struct cJSON *object = cJSON_CreateObject();
    MUST(object != NULL);
    cJSON_AddStringToObject(object, "format",
                            box->watches ? "flexwatch/1" : key_formats[box->kind]);
    add_hex(object, "public_key", box->public_key.bytes, PUBLIC_KEY_SIZE);
    if (box->watches) {
        /* That is all. */
    } else if (box->encrypted) {
        cJSON_AddStringToObject(object, "kdf", "argon2id13");
        json_add_u64(object, "operations", box->cost.operations);
        json_add_u64(object, "memory_bytes", box->cost.memory_bytes);
        add_hex(object, "salt", box->salt, sizeof box->salt);
        add_hex(object, "check", box->check, sizeof box->check);
        add_hex(object, "nonce", box->nonce, sizeof box->nonce);
        add_hex(object, "box", box->box, sizeof box->box);
    } else {
        add_hex(object, "secret", box->secret.bytes, SECRET_KEY_SIZE);
    }
    char text[2048];
    bool ok = cJSON_PrintPreallocated(object, text, sizeof text - 1, 0);
    MUST(ok);
    size_t size = strlen(text);
    text[size] = '\n';
    ok = replace ? files_write(path, text, size + 1, 0600)
                 : files_create(path, text, size + 1, 0600);
    int fault = errno;
    sodium_memzero(text, sizeof text);
    wipe_secret_string(object);
    cJSON_Delete(object);
    errno = fault;
    return ok ? WALLET_OK : fault == EEXIST ? WALLET_EXISTS : WALLET_FAULT;
}

static bool public_key_of(struct public_key *out, enum key_kind kind,
                          const struct secret_key *secret)
{
    if (kind == KEY_PARTICIPANT) {
        return schnorr_public_key(out, secret);
    }
    ed25519_public_key(out, secret);
    return true;
}

static enum wallet_result seal(const char *path, bool replace, enum key_kind kind,
                               const struct secret_key *secret, const char *passphrase,
                               struct wallet_cost cost)
{
    struct key_box box = {.kind = kind, .encrypted = passphrase != NULL, .cost = cost};
    if (!public_key_of(&box.public_key, kind, secret)) {
        return WALLET_MALFORMED;
    }
    if (passphrase == NULL) {
        box.secret = *secret;
    } else {
        uint8_t key[DERIVED_SIZE];
        randombytes_buf(box.salt, sizeof box.salt);
        randombytes_buf(box.nonce, sizeof box.nonce);
        if (!derive(key, box.check, passphrase, &box)) {
            errno = ENOMEM;
            return WALLET_FAULT;
        }
        crypto_aead_xchacha20poly1305_ietf_encrypt(box.box, NULL, secret->bytes, SECRET_KEY_SIZE,
                                                   box.public_key.bytes, PUBLIC_KEY_SIZE, NULL,
                                                   box.nonce, key);
        sodium_memzero(key, sizeof key);
    }
    enum wallet_result result = write_box(path, &box, replace);
    sodium_memzero(&box, sizeof box);
    return result;
}

enum wallet_result wallet_create(const char *path, const struct secret_key *secret,
                                 const char *passphrase, struct wallet_cost cost)
{
    return seal(path, false, KEY_PARTICIPANT, secret, passphrase, cost);
}

enum wallet_result wallet_create_node_key(const char *path, const struct secret_key *seed,
                                          const char *passphrase, struct wallet_cost cost)
{
    return passphrase == NULL ? WALLET_NEEDS_PASSPHRASE
                              : seal(path, false, KEY_NODE, seed, passphrase, cost);
}

enum wallet_result wallet_seal_node_key_again(const char *path, const struct secret_key *seed,
                                              const char *passphrase, struct wallet_cost cost)
{
    char real[PATH_MAX];
    if (passphrase == NULL)
        return WALLET_NEEDS_PASSPHRASE;
    return realpath(path, real) != NULL ? seal(real, true, KEY_NODE, seed, passphrase, cost)
                                        : WALLET_FAULT;
}

static bool read_hex(const struct cJSON *object, const char *name, uint8_t *out, size_t size)
{
    const char *text = json_string(object, name);
    return text != NULL && hex_decode(out, size, text);
}

static bool parse_box(struct key_box *out, const struct cJSON *object)
{
    static const char *const plain_keys[] = {"format", "public_key", "secret", NULL};
    static const char *const watch_keys[] = {"format", "public_key", NULL};
    static const char *const sealed_keys[] = {"format",       "public_key", "kdf",   "operations",
                                              "box",          "salt",       "nonce", "check",
                                              "memory_bytes", NULL};
    const char *format = json_string(object, "format");
    out->watches =
        out->kind == KEY_PARTICIPANT && format != NULL && strcmp(format, "flexwatch/1") == 0;
    if (format == NULL || (!out->watches && strcmp(format, key_formats[out->kind]) != 0) ||
        !read_hex(object, "public_key", out->public_key.bytes, PUBLIC_KEY_SIZE)) {
        return false;
    }
    if (out->watches) {
        return json_unknown_key(object, watch_keys) == NULL &&
               schnorr_key_is_valid(&out->public_key);
    }
    const char *kdf = json_string(object, "kdf");
    out->encrypted = kdf != NULL;
    if (!out->encrypted) {
        return json_unknown_key(object, plain_keys) == NULL &&
               read_hex(object, "secret", out->secret.bytes, SECRET_KEY_SIZE);
    }
    return json_unknown_key(object, sealed_keys) == NULL && strcmp(kdf, "argon2id13") == 0 &&
           json_u64(&out->cost.operations, object, "operations") &&
           out->cost.operations >= crypto_pwhash_argon2id_OPSLIMIT_MIN &&
           out->cost.operations <= OPERATIONS_MAX &&
           json_u64(&out->cost.memory_bytes, object, "memory_bytes") &&
           out->cost.memory_bytes >= crypto_pwhash_argon2id_MEMLIMIT_MIN &&
           out->cost.memory_bytes <= MEMORY_BYTES_MAX &&
           /* Argon2 counts in KiB: other numbers would say the same in several ways. */
           out->cost.memory_bytes % 1024 == 0 &&
           read_hex(object, "salt", out->salt, sizeof out->salt) &&
           read_hex(object, "check", out->check, sizeof out->check) &&
           read_hex(object, "nonce", out->nonce, sizeof out->nonce) &&
           read_hex(object, "box", out->box, sizeof out->box);
}

static enum wallet_result read_box(struct key_box *out, enum key_kind kind, const char *path)
{
    memset(out, 0, sizeof *out);
    out->kind = kind;
    if (!files_exists(path)) {
        return WALLET_ABSENT;
    }
    char problem[JSON_PROBLEM_SIZE];
    size_t size;
    char *text = files_read(path, FILES_TEXT_BYTES_MAX, &size);
    struct cJSON *object = text != NULL ? json_parse_strict(text, size, problem) : NULL;
    if (text != NULL) {
        sodium_memzero(text, size);
        free(text);
    }
    bool ok = object != NULL && parse_box(out, object);
    wipe_secret_string(object);
    cJSON_Delete(object);
    return ok ? WALLET_OK : WALLET_MALFORMED;
}

enum wallet_result wallet_peek(struct wallet_file *out, const char *path)
{
    struct key_box box;
    enum wallet_result result = read_box(&box, KEY_PARTICIPANT, path);
    out->public_key = box.public_key;
    out->encrypted = box.encrypted;
    out->watches = box.watches;
    sodium_memzero(&box, sizeof box);
    return result;
}

enum wallet_result wallet_peek_node_key(struct public_key *key, const char *path)
{
    struct key_box box;
    enum wallet_result result = read_box(&box, KEY_NODE, path);
    if (result == WALLET_OK && !box.encrypted) {
        result = WALLET_MALFORMED;
    }
    *key = box.public_key;
    sodium_memzero(&box, sizeof box);
    return result;
}

static enum wallet_result open_box(struct secret_key *secret, const struct key_box *box,
                                   const char *passphrase)
{
    if (box->watches) {
        return WALLET_WATCHES;
    }
    if (!box->encrypted) {
        *secret = box->secret;
        return WALLET_OK;
    }
    if (passphrase == NULL) {
        return WALLET_NEEDS_PASSPHRASE;
    }
    uint8_t key[DERIVED_SIZE];
    uint8_t check[DERIVED_SIZE];
    if (!derive(key, check, passphrase, box)) {
        errno = ENOMEM;
        return WALLET_FAULT;
    }
    enum wallet_result result = WALLET_OK;
    if (sodium_memcmp(check, box->check, sizeof check) != 0) {
        result = WALLET_WRONG_PASSPHRASE;
    } else if (crypto_aead_xchacha20poly1305_ietf_decrypt(secret->bytes, NULL, NULL, box->box,
                                                          sizeof box->box, box->public_key.bytes,
                                                          PUBLIC_KEY_SIZE, box->nonce, key) != 0) {
        result = WALLET_MALFORMED;
    }
    sodium_memzero(key, sizeof key);
    sodium_memzero(check, sizeof check);
    return result;
}

static enum wallet_result open_kind(struct secret_key *secret, struct public_key *key,
                                    enum key_kind kind, const char *path, const char *passphrase)
{
    struct key_box box;
    enum wallet_result result = read_box(&box, kind, path);
    if (result == WALLET_OK && kind == KEY_NODE && !box.encrypted) {
        result = WALLET_MALFORMED;
    }
    if (result == WALLET_OK) {
        result = open_box(secret, &box, passphrase);
    }
    if (result == WALLET_OK) {
        struct public_key own;
        if (!public_key_of(&own, kind, secret) || !public_key_equal(&own, &box.public_key)) {
            result = WALLET_MALFORMED;
            secret_key_wipe(secret);
        }
        *key = box.public_key;
    }
    sodium_memzero(&box, sizeof box);
    return result;
}

enum wallet_result wallet_watch(const char *path, const struct public_key *key)
{
    struct key_box old, box = {.public_key = *key, .watches = true};
    if (!schnorr_key_is_valid(key)) {
        return WALLET_MALFORMED;
    }
    enum wallet_result result = read_box(&old, KEY_PARTICIPANT, path);
    const bool replace = result == WALLET_OK && old.watches;
    sodium_memzero(&old, sizeof old);
    return result == WALLET_ABSENT || replace ? write_box(path, &box, replace) : WALLET_EXISTS;
}

enum wallet_result wallet_seal_again(const char *path, const struct secret_key *secret,
                                     const char *passphrase, struct wallet_cost cost)
{
    char real[PATH_MAX];
    struct key_box old;
    struct public_key own;
    enum wallet_result result = read_box(&old, KEY_PARTICIPANT, path);
    if (result == WALLET_OK && old.watches) {
        result = WALLET_WATCHES;
    } else if (result == WALLET_OK &&
               (!schnorr_public_key(&own, secret) || !public_key_equal(&own, &old.public_key))) {
        result = WALLET_MALFORMED;
    }
    sodium_memzero(&old, sizeof old);
    if (result != WALLET_OK) {
        return result;
    }
    /* A rename would put a file where the link is, and leave the old one where it leads. */
    return realpath(path, real) != NULL
               ? seal(real, true, KEY_PARTICIPANT, secret, passphrase, cost)
               : WALLET_FAULT;
}

enum wallet_result wallet_open(struct secret_key *secret, struct public_key *key, const char *path,
                               const char *passphrase)
{
    return open_kind(secret, key, KEY_PARTICIPANT, path, passphrase);
}

enum wallet_result wallet_open_node_key(struct secret_key *seed, struct public_key *key,
                                        const char *path, const char *passphrase)
{
    return open_kind(seed, key, KEY_NODE, path, passphrase);
}

/* --- passphrases -------------------------------------------------------------------------- */

/* Which signal ends the question; 0 as long as none does. */
static volatile sig_atomic_t ended_by;

static void on_end(int number)
{
    ended_by = number;
}

/* Up to a newline or the end: how many bytes, or -1 if they are too many, hold a NUL, or can't be read to
 * their end; a part of a passphrase must not pass for the whole. */
static int read_line(char *out, int descriptor)
{
    size_t used = 0;
    for (;;) {
        char c;
        ssize_t got = read(descriptor, &c, 1);
        if (got < 0 && errno == EINTR && ended_by == 0) {
            continue;
        }
        if (got == 0 || (got > 0 && c == '\n')) {
            break;
        }
        if (got < 0 || c == '\0' || used == WALLET_PASSPHRASE_MAX) {
            sodium_memzero(out, used);
            return -1;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    return (int)used;
}

static int ask_silently(char *out, int terminal, const char *prompt)
{
    struct termios before;
    if (tcgetattr(terminal, &before) != 0) {
        return -1;
    }
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    bool asked = write(terminal, prompt, strlen(prompt)) >= 0 &&
                 tcsetattr(terminal, TCSAFLUSH, &silent) == 0;
    int size = asked ? read_line(out, terminal) : -1;
    tcsetattr(terminal, TCSAFLUSH, &before);
    return write(terminal, "\n", 1) >= 0 ? size : -1;
}

/* The signals that end a process wait until the terminal is as it was. */
static int ask_terminal(char *out, int terminal, const char *prompt)
{
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    enum { ENDS = sizeof ends / sizeof ends[0] };
    const struct sigaction action = {.sa_handler = on_end};
    struct sigaction before[ENDS];
    ended_by = 0;
    for (size_t i = 0; i < ENDS; i++) {
        sigaction(ends[i], &action, &before[i]);
    }
    int size = ask_silently(out, terminal, prompt);
    for (size_t i = 0; i < ENDS; i++) {
        sigaction(ends[i], &before[i], NULL);
    }
    if (ended_by != 0) {
        sodium_memzero(out, WALLET_PASSPHRASE_MAX + 1);
        size = -1;
        raise(ended_by);
        ended_by = 0;
    }
    return size;
}

/* From a descriptor that is not -1. */
static bool read_given(char *out, int descriptor, const char *what, char problem[160])
{
    if (read_line(out, descriptor) <= 0) {
        snprintf(problem, 160, "no %s on file descriptor %d", what, descriptor);
        return false;
    }
    return true;
}

int wallet_ask(char *out, const char *prompt, const char *instead, char problem[160])
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        snprintf(problem, 160, "there is no terminal to ask on; use %s", instead);
        return -1;
    }
    int size = ask_terminal(out, terminal, prompt);
    close(terminal);
    if (size < 0) {
        snprintf(problem, 160, "what was typed can't be read, or is far too long");
    }
    return size;
}

bool wallet_read_words(char *out, int descriptor, char problem[160])
{
    if (descriptor >= 0) {
        return read_given(out, descriptor, "words", problem);
    }
    int size =
        wallet_ask(out, "The words, in one line (they are not shown): ", "--mnemonic-fd", problem);
    if (size == 0) {
        snprintf(problem, 160, "nothing was typed");
    }
    return size > 0;
}

bool wallet_read_passphrase(char *out, int descriptor, bool confirm, char problem[160])
{
    if (descriptor >= 0) {
        return read_given(out, descriptor, "passphrase", problem);
    }
    static const char instead[] = "--passphrase-fd";
    int size = wallet_ask(out, confirm ? "New passphrase: " : "Passphrase: ", instead, problem);
    if (size > 0 && confirm) {
        char *again = wallet_secrets_new(WALLET_PASSPHRASE_MAX + 1);
        size = wallet_ask(again, "Once more: ", instead, problem);
        if (size >= 0 && strcmp(out, again) != 0) {
            snprintf(problem, 160, "the passphrase was not repeated");
            size = -1;
        }
        wallet_secrets_free(again);
    }
    if (size == 0) {
        snprintf(problem, 160, "the passphrase is empty");
    }
    return size > 0;
}
