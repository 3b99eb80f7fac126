/* Does the time that signing takes depend on the secret (house rule 24)? Run under valgrind
 * (tests/ct/run.sh), which tracks every bit that stems from memory marked as undefined: the secret is
 * so marked, and a branch on it, or an address made from it, is an error. What a function gives away
 * on purpose (a signature, a public key) is marked as defined again.
 *
 * Checked is our own code and, as far as it runs inside, libsecp256k1's and libsodium's. Verdicts that
 * are public are listed in tests/ct/public.supp, each with its reason.
 *
 * With the argument "leak" a comparison that does depend on the secret runs instead: the check must
 * find it, or it proves nothing. Without valgrind the program says so and fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

#include "base/fatal.h"
#include "crypto/sign.h"
#include "tools/wallet.h"

static struct secret_key secret;
static struct signature signature;
static struct public_key key;

static void draw(void)
{
    secret_key_random(&secret);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&secret, sizeof secret);
}

static void publish(void *data, size_t size)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(data, size);
}

static void schnorr(void)
{
    const struct hash message = {.bytes = {1}};
    bool good = schnorr_public_key(&key, &secret);
    publish(&good, sizeof good);
    publish(&key, sizeof key);
    MUST(good);
    good = schnorr_sign(&signature, &secret, &message);
    publish(&good, sizeof good);
    publish(&signature, sizeof signature);
    MUST(good && schnorr_verify(&signature, &key, &message));
}

static void ed25519(void)
{
    const struct hash message = {.bytes = {2}};
    ed25519_public_key(&key, &secret);
    publish(&key, sizeof key);
    ed25519_sign(&signature, &secret, &message);
    publish(&signature, sizeof signature);
    MUST(ed25519_verify(&signature, &key, &message));
}

/* Key files hold secrets in hex. */
static void hex(void)
{
    char text[2 * SECRET_KEY_SIZE + 1];
    hex_encode(text, secret.bytes, SECRET_KEY_SIZE);
    publish(text, sizeof text);
    MUST(strlen(text) == sizeof text - 1);
}

/* Sealing under a passphrase, which itself is not under test: Argon2id's second half is made to look
 * up by data. A key file without a passphrase is not under test either: its secret goes through a JSON
 * printer, on the owner's own machine, when it is made and when it is read. */
static void wallet(void)
{
    char path[] = "/tmp/flex-ct-XXXXXX";
    struct wallet_file file;
    const struct wallet_cost cheap = {.operations = 1, .memory_bytes = 8192};
    MUST(mkdtemp(path) != NULL);
    char name[64];
    (void)snprintf(name, sizeof name, "%s/key.json", path);
    MUST(wallet_create(name, &secret, "passphrase", cheap) == WALLET_OK);
    MUST(wallet_peek(&file, name) == WALLET_OK && file.encrypted);
    struct secret_key again;
    MUST(wallet_open(&again, &key, name, "passphrase") == WALLET_OK);
    publish(&secret, sizeof secret);
    MUST(memcmp(&again, &secret, sizeof secret) == 0);
    (void)unlink(name);
    (void)rmdir(path);
}

static int leak(void)
{
    static const struct secret_key other = {.bytes = {3}};
    return memcmp(&secret, &other, sizeof secret) == 0 ? 3 : 0;
}

int main(int argc, char **argv)
{
    if (RUNNING_ON_VALGRIND == 0) {
        (void)fprintf(stderr, "ct_keys checks nothing without valgrind: make ctime\n");
        return 2;
    }
    MUST(crypto_init());
    draw();
    if (argc > 1 && strcmp(argv[1], "leak") == 0)
        return leak();
    schnorr();
    ed25519();
    hex();
    wallet();
    secret_key_wipe(&secret);
    publish(&secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret.bytes; i++)
        MUST(secret.bytes[i] == 0);
    return 0;
}
