/* The API's inner face: exchanges, replies, and the one table that routes, documents and
 * dispatches. Only node/api_*.c include this. */
#ifndef FLEX_NODE_API_INTERNAL_H
#define FLEX_NODE_API_INTERNAL_H

#include <microhttpd.h>

#include "node/access.h"
#include "node/api.h"
#include "node/node.h"
#include "node/read_guard.h"

struct cJSON;

enum {
    API_CONNECTIONS_MAX = 512,
    API_CONNECTIONS_CROWDED = 448, /* from here on a new one ends the oldest without a request */
    API_STREAMS_MAX = NODE_API_STREAMS_MAX,
    API_THREADS = 2,
    API_TIMEOUT_SECONDS = 30,
    API_CONNECTION_BYTES = 32 * 1024, /* request line and headers */
    /* What must be free before a connection is taken: several times what a TLS handshake holds. */
    API_PROBE_BYTES = 256 * 1024,
    /* An envelope: sized body, signature, sized witness. */
    API_BODY_BYTES_MAX = LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES + 256,
    API_PATH_BYTES_MAX = 256,
    API_HEADERS_MAX = 64,
    /* Of a body that is too long so much is read, so that its sender gets an answer. */
    API_BODY_READ_MAX = 4 * 1024 * 1024,
    /* A request that is not complete by then is not coming: longer than API_TIMEOUT_SECONDS, which says
     * how long a connection may be silent. */
    API_REQUEST_MS = 60000,
    /* An answer of 4 MiB over 56 kbit/s takes ten minutes. */
    API_ANSWER_MS_MAX = 600000,
    /* Connections that wait to be accepted, where the kernel allows so many. */
    API_BACKLOG = 1024,
    API_ARGUMENTS_MAX = 2,
    API_QUERIES_MAX = 7,
    API_LIST_DEFAULT = 100,
    API_LIST_MAX = 1000,
    API_EXPORT_BLOCKS_MAX = 4096,
    API_EXPORT_BYTES_MAX = 4 * 1024 * 1024,
    API_KEEPALIVE_SECONDS = 15,
    API_KEEPALIVE_MS = 1000 * API_KEEPALIVE_SECONDS,
    API_ADDRESS_ID_MAX = 8,
    /* Answers and events that wait for their readers, all together, beyond the small ones: sixteen
     * pages of an export. Whoever asks and doesn't read must not make the node grow. */
    API_ANSWERS_BYTES_MAX = 64 * 1024 * 1024,
    /* Up to this size an answer is always given: 512 connections hold 32 MiB of them at most. */
    API_ANSWER_BYTES_SMALL = 64 * 1024,
    /* So long a reader may take over an answer while others are kept out. */
    API_ANSWER_MS = 10000,
    /* Records that one page of a filtered list looks at: some 20 ms. */
    API_FILTER_RECORDS_MAX = 16384,
    /* A place in a list that only this node can read, as text with its NUL. */
    API_SEALED_BYTES_MAX = LIMIT_STATE_KEY_BYTES,
    API_SEALED_SIZE = 8 + 2 * (24 + 16 + API_SEALED_BYTES_MAX)
};

/* Bytes of large answers that wait. All zero is empty. */
struct api_budget {
    _Atomic size_t bytes;
};
/* True if an answer of `size` bytes may be kept; *charged is what is to be given back for it. */
bool api_budget_take(struct api_budget *budget, size_t size, size_t *charged);
void api_budget_give(struct api_budget *budget, size_t charged);

enum api_action {
    API_READ,   /* route->read fills the reply */
    API_SUBMIT, /* POST of a transaction */
    API_LOOKUP, /* one transaction, pending ones included */
    API_STREAM  /* server-sent events */
};

struct api_reply {
    unsigned status;
    const char *content_type;
    char *body; /* malloc'ed */
    size_t size;
    const char *allow;      /* for 405 */
    const char *methods;    /* for a browser that asks before it asks; NULL else */
    uint32_t retry_seconds; /* for 429 and 503; 0: not known */
    bool ends;              /* the connection: where its next request begins is in doubt */
    char challenge[READ_REQUEST_TEXT_SIZE]; /* for 401; empty else */
};

struct api_gate;
struct api_limits;
struct api_tls;
struct api_streams;
struct api_connections;

struct api {
    struct node *node;
    struct MHD_Daemon *daemon;
    struct api_streams *streams;
    struct api_connections *connections;
    struct api_gate *gate;
    struct api_limits *limits;
    struct api_tls *tls; /* NULL: plain HTTP */
    struct api_budget budget;
    pthread_mutex_t lock; /* held while a call is handed out */
    bool stopping;
};

struct api_request {
    struct api *api;
    struct node *node;
    const struct api_route *route;
    /* What stands in the place of the path's {names}, in their order; NULL if absent. */
    const char *arguments[API_ARGUMENTS_MAX];
    struct MHD_Connection *connection;
    const char *target; /* as it stands in the request line */
    const char *method;
    const char *origin;   /* of the web page that asks, if its scripts may read; NULL else */
    struct access access; /* who asks; set before the route is served */
    struct api_gate *gate;
};

typedef void (*api_read_fn)(const struct api_request *request, struct api_reply *reply);

struct api_route {
    const char *method;  /* "GET" (and so HEAD) or "POST" */
    const char *path;    /* "/v1/blocks/{height}"; "{id...}" takes the rest with its slashes */
    const char *summary; /* for people, in /openapi.json */
    enum api_action action;
    enum access_route access;
    api_read_fn read;
    enum state_kind kind;                   /* of the lists and records */
    const char *query[API_QUERIES_MAX + 1]; /* names of the query parameters that it knows */
    const char *content_type;               /* of the answer; NULL: application/json */
};

extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* The route of a path and method. NULL: *allow is NULL if no route has that path, else what methods
 * it takes. `arguments` point into `path`, which is cut up for them. */
const struct api_route *api_route_find(const char *method, char *path,
                                       const char *arguments[API_ARGUMENTS_MAX],
                                       const char **allow);

/* --- api_reply.c */
/* Before the daemon's threads run: from then on cJSON's failures to allocate are noticed. */
void api_reply_watch_memory(void);
/* An answer begins: of which no part has lacked memory as yet. */
void api_reply_begin(void);
/* Whether all parts of it found memory so far. */
bool api_reply_is_whole(void);
/* Zeroed; if it is NULL, the answer that is being made will say so. */
void *api_allocate(size_t size);
/* Takes the item over; NULL if it found no place, and the answer will say so. */
struct cJSON *api_add_item(struct cJSON *array, struct cJSON *item);
void api_put_item(struct cJSON *object, const char *key, struct cJSON *item);
/* Takes the object over. What an allocation is missing of is not sent: it is a 500 then. */
void api_reply_json(struct api_reply *reply, unsigned status, struct cJSON *object);
void api_reply_error(struct api_reply *reply, unsigned status, const char *code,
                     const char *reason);
/* 503 `retry`, with Retry-After: what is asked for will be here with the next block or so. */
void api_reply_retry(struct api_reply *reply, const char *reason);
void api_reply_not_found(struct api_reply *reply, const char *what);
/* 410 `pruned`: it was there, and names the first height that still is. */
void api_reply_pruned(struct api_reply *reply, uint64_t first);
/* The first height of which the node has the body, as of now. */
uint64_t api_first_body(struct node *node);
/* Takes malloc'ed bytes over. */
void api_reply_bytes(struct api_reply *reply, const char *content_type, char *body, size_t size);

/* --- api_rules.c: what a request must keep before its route is looked for (docs/spec/api.md, "Limits"). */
struct api_limits;
struct api_limits *api_limits_create(const struct node_config_api *config);
void api_limits_destroy(struct api_limits *limits);
/* libmicrohttpd's MHD_AcceptPolicyCallback; `context` is the limits. */
enum MHD_Result api_limits_accept(void *context, const struct sockaddr *address,
                                  socklen_t address_size);
/* One request of the connection's address, or of a key; false with the reply filled. */
bool api_limits_take_address(struct api_limits *limits, const struct api_request *request,
                             struct api_reply *reply);
/* What counts as one address: its id, or 0 if this one is not counted. */
size_t api_limits_address(const struct api_limits *limits, const struct api_request *request,
                          uint8_t id[API_ADDRESS_ID_MAX]);
bool api_limits_take_reader(struct api_limits *limits, const struct public_key *key,
                            struct api_reply *reply);
bool api_limits_take_key(struct api_limits *limits, const struct public_key *key,
                         uint32_t *retry_seconds);
void api_reply_limited(struct api_reply *reply, uint32_t retry_seconds);
/* Request line and headers; sets request->origin. False with the reply filled. */
bool api_rules_check(struct api_request *request, struct api_reply *reply, const char *version);
/* True if a web page asks whether it may ask: answered with that alone. */
bool api_rules_is_preflight(const struct api_request *request);
/* The text of a request line between method and version. */
bool api_target_is_clean(const char *target);
/* "NAME", "ADDRESS" or "[ADDRESS]", with or without ":PORT": is it one of the names, an address or
 * localhost? `any`: any name will do. */
enum api_host { API_HOST_GOOD, API_HOST_MALFORMED, API_HOST_ANOTHERS };
enum api_host api_host_of(const char *text, const struct node_config_api *config, bool any);

/* --- api_tls.c: certificate and key, which may change while connections stand. */
struct api_tls;
/* NULL with the reason: unreadable, not a pair. */
struct api_tls *api_tls_create(const struct node_config *config, char problem[NODE_PROBLEM_SIZE]);
void api_tls_destroy(struct api_tls *tls);
/* Reads the files again; false, and the old ones stay, with the reason. Any thread. */
bool api_tls_reload(struct api_tls *tls, const struct node_config *config,
                    char problem[NODE_PROBLEM_SIZE]);
/* What versions and ciphers are spoken, in GnuTLS's words. */
const char *api_tls_priorities(const struct node_config_api *config);
/* The daemon's certificate callback takes no context: there is one API in a process. */
void *api_tls_callback(struct api_tls *tls);

/* --- api_http.c: libmicrohttpd's callbacks; `context` is the api. */
enum MHD_Result api_handle(void *context, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *data, size_t *size,
                           void **state);
void api_completed(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code);
void *api_note_target(void *context, const char *target, struct MHD_Connection *connection);
/* What every answer to a web page says. */
void api_add_cors(const struct api_request *request, struct MHD_Response *response);

/* A query parameter; NULL if absent. */
const char *api_query(const struct api_request *request, const char *name);
/* False, with the reply filled, if it is there and is not a decimal number. */
bool api_query_u64(const struct api_request *request, struct api_reply *reply, const char *name,
                   uint64_t *value);
/* A snapshot, or NULL with the reply filled. */
struct store_snapshot *api_snapshot(const struct api_request *request, struct api_reply *reply);
void api_add_hex(struct cJSON *object, const char *key, const void *bytes, size_t size);
void api_add_hash(struct cJSON *object, const char *key, const struct hash *hash);

/* api_access.c: the door, of one daemon. */
struct api_gate *api_gate_create(struct node *node);
void api_gate_destroy(struct api_gate *gate);
/* Sets request->access; false with the reply filled if the request may not be served. */
bool api_admit(struct api_request *request, struct api_reply *reply, const char *method,
               struct bytes_view body);
/* Says of an answer that holds only what the reader may see that it does. */
void api_add_filtered(const struct api_request *request, struct cJSON *root);
/* A place in a list as text that tells its reader nothing and is good for this reader and route alone;
 * false if it is too long. */
bool api_seal(const struct api_request *request, char out[API_SEALED_SIZE],
              struct bytes_view place);
bool api_is_sealed(const char *text);
/* False if the text isn't what api_seal gave this reader for this route, since the node's start. */
bool api_unseal(const struct api_request *request, uint8_t out[API_SEALED_BYTES_MAX], size_t *size,
                const char *text);

/* api_scope.c: transactions and events, to those who may see them. */
enum api_scope { API_SCOPE_HIDDEN, API_SCOPE_PARTS, API_SCOPE_WHOLE };
/* The sender of `envelope` sees all of a transaction, others the events that are theirs, if any. */
enum api_scope api_scope_transaction(const struct access *access, const struct state_base *base,
                                     struct bytes_view envelope, const struct receipt *receipt);
/* Appends the events that the reader may see; false as show_events. */
bool api_scope_events(struct cJSON *list, const struct access *access,
                      const struct state_base *base, struct bytes_view events);
/* The ids of those transactions of a block, and if `events` isn't NULL the events. False if the block can't
 * be told whole: it can't be read, or memory ran out. */
bool api_scope_block(struct cJSON *ids, struct cJSON *events, const struct access *access,
                     const struct state_base *base, const struct store_block *block);
/* The envelope at `index` of a body; false if there is none. */
bool api_envelope_at(struct bytes_view body, uint32_t index, struct bytes_view *envelope);

/* api_status.c */
void api_read_evidence(const struct api_request *request, struct api_reply *reply);
void api_read_status(const struct api_request *request, struct api_reply *reply);
void api_read_health(const struct api_request *request, struct api_reply *reply);
void api_read_ready(const struct api_request *request, struct api_reply *reply);
void api_read_metrics(const struct api_request *request, struct api_reply *reply);
void api_read_genesis(const struct api_request *request, struct api_reply *reply);
/* api_openapi.c */
void api_read_openapi(const struct api_request *request, struct api_reply *reply);
/* api_records.c */
void api_read_list(const struct api_request *request, struct api_reply *reply);
void api_read_record(const struct api_request *request, struct api_reply *reply);
void api_read_accounts(const struct api_request *request, struct api_reply *reply);
void api_read_account(const struct api_request *request, struct api_reply *reply);
void api_read_key(const struct api_request *request, struct api_reply *reply);
/* api_chain.c */
void api_read_block(const struct api_request *request, struct api_reply *reply);
void api_read_receipts(const struct api_request *request, struct api_reply *reply);
void api_read_export(const struct api_request *request, struct api_reply *reply);
/* False if the store doesn't have the transaction (the reply is untouched). */
bool api_read_committed(const struct api_request *request, struct api_reply *reply,
                        const struct hash *tx_id);
/* The block's line of the event stream, as `reader` may see it now; NULL for `reader`: all. NULL if there
 * is no such block, or the reader is none any more. malloc'ed. */
char *api_block_event(struct node *node, uint64_t height, const struct public_key *reader);
/* The `index`-th stored receipt, and how many there are; false if the bytes are not receipts. */
bool api_receipt_at(struct bytes_view receipts, uint32_t index, struct receipt *out,
                    uint32_t *count);
/* api_market.c */
void api_read_order_events(const struct api_request *request, struct api_reply *reply);
void api_read_trades(const struct api_request *request, struct api_reply *reply);
void api_read_fees(const struct api_request *request, struct api_reply *reply);
void api_read_movements(const struct api_request *request, struct api_reply *reply);
/* api_depth.c */
enum {
    API_DEPTH_PARTICIPANTS = 3
}; /* others, that a sum must hold to be told to who sees no orders */
/* Appends what is open in a market's books from the period `from` on, of `limit` periods at most; *next is
 * the period that it did not come to, if *more. False on a fault. */
bool api_depth_list(const struct access *access, const struct state_base *base, struct cJSON *items,
                    const struct name *market, int64_t from, uint64_t limit, bool *more,
                    int64_t *next);
void api_read_depth(const struct api_request *request, struct api_reply *reply);
/* api_snapshots.c */
void api_read_snapshots(const struct api_request *request, struct api_reply *reply);
void api_read_snapshot_part(const struct api_request *request, struct api_reply *reply);
/* api_proofs.c */
void api_read_proof(const struct api_request *request, struct api_reply *reply);
/* A proof file's first fields, and what finalizes its block, from the genesis set on. */
struct cJSON *api_proof_begin(const char *kind, const char *id, uint64_t height,
                              const struct store_block *block);
/* False if the certificate is not here yet, or the store can't be read. */
bool api_proof_add_finality(struct cJSON *root, struct store_snapshot *snapshot,
                            const struct store_block *block);
/* Visits the boundary blocks of the epochs before `epoch`, in order; header and certificate are
 * filled. False if one is not here or the visitor says so. */
typedef bool (*api_boundary_fn)(void *context, const struct store_block *block,
                                const struct finality *finality);
bool api_each_boundary(struct store_snapshot *snapshot, uint64_t epoch, api_boundary_fn visit,
                       void *context);
/* api_log.c: proofs of kind "block" and "log", and digests as notes. */
void api_read_log_proof(const struct api_request *request, struct api_reply *reply, bool of_block,
                        const char *id);
void api_read_note(const struct api_request *request, struct api_reply *reply);

/* api_events.c: the streams of one daemon. */
struct api_streams;
struct api_streams *api_streams_create(struct node *node, struct api_budget *budget);
void api_streams_destroy(struct api_streams *streams);
enum api_stream_result {
    API_STREAM_OPEN,
    API_STREAM_READER_FULL, /* the reader's address, or its key, has as many as it may */
    API_STREAM_NO_ROOM      /* all readers together have, or memory ran out */
};
/* *response streams from `height` (0: the next block) what the reader may see, asked anew at every block;
 * it is set if the result is API_STREAM_OPEN. */
enum api_stream_result api_streams_open(struct api_streams *streams, struct MHD_Response **response,
                                        const struct api_request *request, uint64_t height);
/* How many there are. */
uint32_t api_streams_count(struct api_streams *streams);
void api_streams_publish(struct api_streams *streams, uint64_t height);
void api_streams_housekeeping(struct api_streams *streams);
/* Ends every stream, and those that would begin. */
void api_streams_end(struct api_streams *streams);

/* api_connections.c: who is connected. `notify` is libmicrohttpd's MHD_NotifyConnectionCallback. */
struct api_connections;
struct api_connections *api_connections_create(struct node_metrics *metrics);
void api_connections_destroy(struct api_connections *all);
void api_connections_notify(void *context, struct MHD_Connection *connection, void **place,
                            enum MHD_ConnectionNotificationCode code);
/* Its answer is on its way from now on; how long the reader takes is its own affair while there is
 * room for others. */
void api_connections_answered(struct api_connections *all, struct MHD_Connection *connection);
/* Ends those whose request, or the reading of whose answer, takes too long. */
void api_connections_housekeeping(struct api_connections *all);
/* served: the connection's request is complete and must be answered; false: it has been. */
void api_connections_mark(struct api_connections *all, struct MHD_Connection *connection,
                          bool served);

#endif
