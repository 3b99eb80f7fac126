/* HTTP to a node (docs/spec/api.md), on libcurl.
 *
 * Every answer is bounded in size and time. Nothing that a node says is believed here: what has to
 * be true is checked with proofs (verify/proof.h). A client belongs to one thread. */
#ifndef FLEX_TOOLS_CLIENT_H
#define FLEX_TOOLS_CLIENT_H

#include "crypto/sign.h"

struct client;

enum { CLIENT_ANSWER_BYTES_MAX = 16 * 1024 * 1024, CLIENT_PATH_SIZE = 512 };

struct client_answer {
    int status; /* HTTP; 0: nobody answered, and `problem` says why */
    char *body; /* ends in NUL beyond `size`; NULL if empty */
    size_t size;
    char problem[160];
};

/* `url` as in http://127.0.0.1:8400. NULL if it is not an http or https address. Call it before any
 * other thread runs: libcurl starts itself with the first one. */
struct client *client_open(const char *url, int64_t timeout_ms);
void client_close(struct client *client);
/* The only certificates that an https node may be trusted by: a PEM file, whose name must live as long as
 * the client; NULL: those that the machine trusts. A name or address that is not in the node's certificate
 * is refused either way. */
void client_set_ca(struct client *client, const char *file);
/* Who signs requests for a node that asks for it (docs/spec/api.md, "Signed requests"). Called at most
 * once, with the first challenge, for the chain that the node says it is of: false if it has no key or doesn't want to; then the node's refusal is
 * the answer. `simulated`: the chain's time is, so requests bear the node's time and not this
 * computer's. */
typedef bool (*client_signer_fn)(void *context, const struct hash *genesis,
                                 struct secret_key *secret, struct public_key *key,
                                 bool *simulated);
/* Without one, nothing is ever signed. `context` must live as long as the client. */
void client_set_signer(struct client *client, client_signer_fn signer, void *context);
/* `path` starts with '/'. The answer is the caller's to release, whatever its status. */
void client_get(struct client *client, struct client_answer *out, const char *path);
void client_post(struct client *client, struct client_answer *out, const char *path,
                 struct bytes_view body);
/* GET of an answer that doesn't end by itself. Each piece goes to `take`, which ends it by returning false, as
 * does `stop`, which is asked about once a second; so do `silent_ms` without a byte. *out gets the status, and
 * the body only of one that is not 200; 200 with an empty `problem` is the end, by whomever. */
typedef bool (*client_take_fn)(void *context, const char *data, size_t size);
typedef bool (*client_stop_fn)(void *context);
struct client_stream {
    client_take_fn take;
    client_stop_fn stop;
    void *context;
    int64_t silent_ms;
};
void client_follow(struct client *client, struct client_answer *out, const char *path,
                   const struct client_stream *stream);
void client_answer_release(struct client_answer *answer);
/* True if `text` can stand in a path as it is: letters, digits and - _ . / only. */
bool client_path_is_plain(const char *text);

#endif
