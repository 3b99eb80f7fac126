/* BLAKE2b-256 with a domain tag, so that no two kinds of hashed bytes can be taken for each other.
 *
 * The tag is BLAKE2's own personalisation parameter (RFC 7693, 2.5): 16 bytes, zero-padded. */
#ifndef FLEX_CRYPTO_HASH_H
#define FLEX_CRYPTO_HASH_H

#include "base/bytes.h"

enum { HASH_SIZE = 32 };

struct hash {
    uint8_t bytes[HASH_SIZE];
};

/* Every domain in use; docs/spec/encoding.md says what each one's input is. */
enum hash_domain {
    HASH_DOMAIN_BLOCK_ID,        /* canonical block header */
    HASH_DOMAIN_TX_ID,           /* canonical transaction body */
    HASH_DOMAIN_TX_LEAF,         /* body and signature; leaf of tx_root */
    HASH_DOMAIN_WITNESS,         /* witness bytes */
    HASH_DOMAIN_RECEIPT,         /* canonical receipt; leaf of receipt_root */
    HASH_DOMAIN_LOG_LEAF,        /* block id as leaf of the history log */
    HASH_DOMAIN_MERKLE_NODE,     /* left, right */
    HASH_DOMAIN_STATE_KEY,       /* state key */
    HASH_DOMAIN_STATE_VALUE,     /* state value */
    HASH_DOMAIN_STATE_LEAF,      /* key hash, value hash */
    HASH_DOMAIN_STATE_NODE,      /* left, right */
    HASH_DOMAIN_GENESIS,         /* canonical genesis record */
    HASH_DOMAIN_VALIDATOR_SET,   /* canonical validator set */
    HASH_DOMAIN_VOTE,            /* what a vote's signature covers */
    HASH_DOMAIN_TX_SIGN,         /* what a transaction's signature covers */
    HASH_DOMAIN_HANDSHAKE,       /* what a peer's proof of identity covers */
    HASH_DOMAIN_READING,         /* salted meter reading; leaf of a batch */
    HASH_DOMAIN_READING_SIGN,    /* what a meter signs */
    HASH_DOMAIN_SCHEDULE,        /* salted declared schedule */
    HASH_DOMAIN_ORDER_TIE,       /* order of equals inside a batch */
    HASH_DOMAIN_KEY_PROOF,       /* proof of possession of a new key */
    HASH_DOMAIN_SNAPSHOT,        /* what all nodes' manifests of one snapshot agree on */
    HASH_DOMAIN_METER_REQUEST,   /* what who asks for meter data signs */
    HASH_DOMAIN_ALIAS,           /* what an alias's commitment hides */
    HASH_DOMAIN_ALIAS_REQUEST,   /* what a manager signs who asks for an alias */
    HASH_DOMAIN_COUPLED,         /* salt, then a solution of a coupled auction */
    HASH_DOMAIN_COUPLED_PROBLEM, /* canonical problem of a coupled auction */
    HASH_DOMAIN_SERIES,          /* salted forecast or set-points */
    HASH_DOMAIN_SHEET,           /* salted field of a data sheet, and the sheet over its fields */
    HASH_DOMAIN_FILE_SIGN,       /* what a participant's signature of a file covers */
    HASH_DOMAIN_READ_REQUEST,    /* what a signed request to a node's API covers */
    HASH_DOMAIN_COUNT
};

/* Must be called once per process before anything else in crypto/ and before other threads start;
 * false if libsodium or libsecp256k1 won't start. */
bool crypto_init(void);

void hash_bytes(struct hash *out, enum hash_domain domain, const void *data, size_t size);
/* Hash of the concatenation a || b. */
void hash_pair(struct hash *out, enum hash_domain domain, struct bytes_view a, struct bytes_view b);

/* Streaming form, for inputs in many parts. */
struct hash_state {
    _Alignas(64) uint8_t opaque[384];
};
void hash_begin(struct hash_state *state, enum hash_domain domain);
void hash_update(struct hash_state *state, const void *data, size_t size);
void hash_end(struct hash_state *state, struct hash *out);

bool hash_equal(const struct hash *a, const struct hash *b);
int hash_compare(const struct hash *a, const struct hash *b);
bool hash_is_zero(const struct hash *hash);
struct bytes_view hash_view(const struct hash *hash);

#endif
