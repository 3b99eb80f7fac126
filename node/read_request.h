/* Signed requests to a node's API: who asks (docs/spec/api.md, "Signed requests").
 *
 *   Authorization: Flexledger key="64 hex", time="ms", nonce="32 hex", signature="128 hex"
 *
 * The signature is BIP340 by a participant's key over H(READ_REQUEST, genesis, node key, time, nonce,
 * method, target, body): it is worth something at one node of one chain, for one request, for as long as
 * the node remembers nonces. Node and wallet share this file. NULL is never valid. */
#ifndef FLEX_NODE_READ_REQUEST_H
#define FLEX_NODE_READ_REQUEST_H

#include "crypto/sign.h"

enum {
    READ_REQUEST_NONCE_SIZE = 16,
    READ_REQUEST_METHOD_MAX = 16,
    READ_REQUEST_TARGET_MAX = 2048,
    /* The header's value with its NUL: the words, the digits of an int64. */
    READ_REQUEST_TEXT_SIZE = 384,
    /* How far a request's time may be from the node's clock, either way. */
    READ_REQUEST_SKEW_MS = 30000
};

struct read_request {
    struct public_key key;
    int64_t time_ms; /* not below zero */
    uint8_t nonce[READ_REQUEST_NONCE_SIZE];
    struct signature signature;
};

/* What is asked, of whom. */
struct read_target {
    const struct hash *genesis;
    const struct public_key *node;
    const char *method;     /* "GET"; at most READ_REQUEST_METHOD_MAX bytes */
    const char *target;     /* path and query as they stand in the request line */
    struct bytes_view body; /* empty of a GET */
};

/* Strict: lower-case digits, these words in this order, one blank behind each comma, nothing else. */
bool read_request_parse(struct read_request *out, const char *text);
void read_request_print(char out[READ_REQUEST_TEXT_SIZE], const struct read_request *request);
/* False if method, target or body is longer than a request may be. */
bool read_request_message(struct hash *out, const struct read_request *request,
                          const struct read_target *target);
/* With key, time and nonce set, fills the signature. False as above, or if the secret is none. */
bool read_request_sign(struct read_request *request, const struct secret_key *secret,
                       const struct read_target *target);
bool read_request_verify(const struct read_request *request, const struct read_target *target);

/* What a node answers an unsigned request with, for the header WWW-Authenticate:
 *   Flexledger genesis="64 hex", node="64 hex", time="ms" */
struct read_challenge {
    struct hash genesis;
    struct public_key node;
    int64_t time_ms; /* of the node's clock, which is simulated on some chains */
};
bool read_challenge_parse(struct read_challenge *out, const char *text);
void read_challenge_print(char out[READ_REQUEST_TEXT_SIZE], const struct read_challenge *challenge);

#endif
