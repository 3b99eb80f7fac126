/* The key store of a wallet: one BIP340 secret in HOME/key.json, mode 0600; or of one that only watches, a
 * public key whose secret is elsewhere.
 *
 * Encrypted with XChaCha20-Poly1305 under a key that Argon2id makes from a passphrase. That cipher
 * does not commit to its key (two keys could open one box), so a second value derived from the same
 * Argon2id output is kept beside the box and compared first. The public key is authenticated with
 * it. Only an explicit wish at creation makes an unencrypted file. */
#ifndef FLEX_TOOLS_WALLET_H
#define FLEX_TOOLS_WALLET_H

#include "crypto/sign.h"

enum { WALLET_PASSPHRASE_MAX = 1024 };

/* What Argon2id may cost. Read from the file, so it is bounded when read. */
struct wallet_cost {
    uint64_t operations;
    uint64_t memory_bytes;
};
/* libsodium's "moderate": 256 MiB and some 0.7 s, on an attacker's machine too. */
struct wallet_cost wallet_cost_default(void);

enum wallet_result {
    WALLET_OK,
    WALLET_ABSENT,           /* there is no key file */
    WALLET_EXISTS,           /* there is one already, and it is never overwritten */
    WALLET_NEEDS_PASSPHRASE, /* the file is encrypted and no passphrase was given */
    WALLET_WRONG_PASSPHRASE,
    WALLET_WATCHES,   /* it has a public key and no secret */
    WALLET_MALFORMED, /* not a key file, or one that somebody has changed */
    WALLET_FAULT      /* errno says what the system refused, or memory ran out */
};
const char *wallet_result_text(enum wallet_result result);

struct wallet_file {
    struct public_key public_key;
    bool encrypted;
    bool watches; /* there is no secret */
};

/* Makes a file with this secret. `passphrase` NULL: unencrypted. */
enum wallet_result wallet_create(const char *path, const struct secret_key *secret,
                                 const char *passphrase, struct wallet_cost cost);
/* Seals the secret anew in place of the file that holds it, whole or not at all: whenever the process ends,
 * the old file or the new one is there. `passphrase` NULL: unencrypted. WALLET_MALFORMED if the file is
 * another key's. A symbolic link stays one. */
enum wallet_result wallet_seal_again(const char *path, const struct secret_key *secret,
                                     const char *passphrase, struct wallet_cost cost);
/* Makes a file that watches this key. Replaces one that watches another, never one with a secret. */
enum wallet_result wallet_watch(const char *path, const struct public_key *key);
/* What can be read without a passphrase. */
enum wallet_result wallet_peek(struct wallet_file *out, const char *path);
/* The secret is the caller's to wipe. `passphrase` may be NULL for an unencrypted file. */
enum wallet_result wallet_open(struct secret_key *secret, struct public_key *key, const char *path,
                               const char *passphrase);

/* The same store for a node's Ed25519 seed (docs/spec/signer.md 5): a format of its own, so that neither
 * kind of key is ever taken for the other. Always encrypted. */
enum wallet_result wallet_create_node_key(const char *path, const struct secret_key *seed,
                                          const char *passphrase, struct wallet_cost cost);
/* The same file under another passphrase, by rename: after a crash the old file or the new one is there. */
enum wallet_result wallet_seal_node_key_again(const char *path, const struct secret_key *seed,
                                              const char *passphrase, struct wallet_cost cost);
enum wallet_result wallet_peek_node_key(struct public_key *key, const char *path);
enum wallet_result wallet_open_node_key(struct secret_key *seed, struct public_key *key,
                                        const char *path, const char *passphrase);

/* Asks on the terminal, without echo; a signal that ends the process leaves the terminal as it was. How many
 * bytes were typed, or -1 with the reason in `problem`; `instead` is the option that needs no terminal. `out`
 * holds WALLET_PASSPHRASE_MAX + 1 bytes and is the caller's to wipe. */
int wallet_ask(char *out, const char *prompt, const char *instead, char problem[160]);
/* Reads a passphrase from `descriptor` (up to a newline or the end), or from the terminal if it is -1; with
 * `confirm` it is a new one, and asked for twice. False with the reason in `problem`. `out` holds
 * WALLET_PASSPHRASE_MAX + 1 bytes and is the caller's to wipe. */
bool wallet_read_passphrase(char *out, int descriptor, bool confirm, char problem[160]);
/* The same for the words of a backup (tools/mnemonic.h), never asked twice. `out` holds
 * WALLET_PASSPHRASE_MAX + 1 bytes. */
bool wallet_read_words(char *out, int descriptor, char problem[160]);
void wallet_wipe(void *data, size_t size);
/* Zeroed memory for secrets between guard pages, never swapped out as far as the system lets pages be
 * locked; from then on a crash of this process leaves no core. Never NULL. */
void *wallet_secrets_new(size_t size);
/* Wipes it, and gives it back. */
void wallet_secrets_free(void *secrets);

#endif
