/* The API's door: who asks, and may they (docs/spec/api.md, "Signed requests", "Who sees what").
 *
 *   open node            everybody sees all
 *   by role              header -> time -> signature -> key's participant -> seen before? -> route
 *
 * Invariants: nothing about the ledger is looked at for a request whose signature is bad; whether a key is
 * unknown or a signature wrong is the same answer; a request is remembered before it is answered, so the
 * same one is never answered twice; what a filtered list goes on with says nothing of what was left out.
 *
 * Deliberately absent: sessions and passwords. A key on the ledger is what a participant is. */
#include <cjson/cJSON.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/api_internal.h"

struct api_gate {
    bool by_role;
    struct read_guard *guard;
    /* Of this process: what a filtered list goes on with is nobody's to read or make. */
    uint8_t seal[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
};

struct api_gate *api_gate_create(struct node *node)
{
    struct api_gate *gate = calloc(1, sizeof *gate);
    if (gate == NULL)
        return NULL;
    gate->by_role = node_config_reads_by_role(&node->config);
    gate->guard = read_guard_create(timestamp_ms(node_clock_wall(&node->clock)));
    random_bytes(gate->seal, sizeof gate->seal);
    if (gate->guard == NULL) {
        free(gate);
        return NULL;
    }
    return gate;
}

void api_gate_destroy(struct api_gate *gate)
{
    if (gate == NULL)
        return;
    read_guard_destroy(gate->guard);
    sodium_memzero(gate->seal, sizeof gate->seal);
    free(gate);
}

/* --- who asks --------------------------------------------------------------------------------- */

static void challenge(const struct api_request *request, struct api_reply *reply, const char *code,
                      const char *reason)
{
    const struct read_challenge challenge = {
        .genesis = request->node->genesis_hash,
        .node = request->node->key,
        .time_ms = timestamp_ms(node_clock_wall(&request->node->clock)),
    };
    read_challenge_print(reply->challenge, &challenge);
    api_reply_error(reply, MHD_HTTP_UNAUTHORIZED, code, reason);
}

static bool refuse_guard(const struct api_request *request, struct api_reply *reply,
                         enum read_guard_result result)
{
    switch (result) {
    case READ_GUARD_NEW:
        return true;
    case READ_GUARD_CLOCK:
        challenge(
            request, reply, "signature_clock",
            "the request's time is more than 30 seconds from this node's clock, or older than "
            "what it remembers; take the time from WWW-Authenticate");
        return false;
    case READ_GUARD_REPLAYED:
        challenge(request, reply, "signature_replayed",
                  "this very request has been served; every request needs a nonce of its own");
        return false;
    case READ_GUARD_FULL:
        api_reply_error(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
                        "too many signed requests within a minute; try again");
        return false;
    }
    MUST(false);
    return false;
}

/* The reader of a signature that is good; false with the reply filled. */
static bool resolve(struct api_request *request, struct api_reply *reply,
                    const struct public_key *key)
{
    struct store_snapshot *snapshot = api_snapshot(request, reply);
    if (snapshot == NULL)
        return false;
    bool good =
        access_resolve(&request->access, &request->node->config, store_snapshot_base(snapshot),
                       store_snapshot_tip(snapshot)->time, key);
    store_snapshot_end(snapshot);
    if (!good)
        challenge(request, reply, "signature_wrong",
                  "the signature is not that of a participant of this chain over this request");
    return good;
}

/* True if the header stands there once, and is whole. */
static bool take_header(const struct api_request *request, struct api_reply *reply,
                        struct read_request *signed_by)
{
    const char *text = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_AUTHORIZATION);
    if (text == NULL) {
        challenge(request, reply, "signature_required",
                  "this node gives reads by role: sign the request with a participant's key "
                  "(docs/spec/api.md, \"Signed requests\"); the wallet flex does so by itself");
        return false;
    }
    if (!read_request_parse(signed_by, text)) {
        challenge(request, reply, "signature_malformed",
                  "Authorization must be: Flexledger key=\"HEX\", time=\"MS\", nonce=\"HEX\", "
                  "signature=\"HEX\"");
        return false;
    }
    return true;
}

static bool admit_signed(struct api_request *request, struct api_reply *reply, const char *method,
                         struct bytes_view body)
{
    struct read_request signed_by;
    const struct node *node = request->node;
    const struct read_target target = {&node->genesis_hash, &node->key, method, request->target,
                                       body};
    if (!take_header(request, reply, &signed_by))
        return false;
    const int64_t now = timestamp_ms(node_clock_wall(&request->node->clock));
    if (!read_guard_is_near(signed_by.time_ms, now))
        return refuse_guard(request, reply, READ_GUARD_CLOCK);
    if (!read_request_verify(&signed_by, &target)) {
        challenge(request, reply, "signature_wrong",
                  "the signature is not that of a participant of this chain over this request");
        return false;
    }
    if (!resolve(request, reply, &signed_by.key) ||
        !refuse_guard(request, reply, read_guard_take(request->gate->guard, &signed_by, now)))
        return false;
    /* Behind the guard: what somebody plays again costs its signer nothing. */
    if (!api_limits_take_reader(request->api->limits, &signed_by.key, reply)) {
        metric_add(&request->node->metrics.http_limited, 1);
        return false;
    }
    if (access_may_use(&request->access, request->route->access))
        return true;
    api_reply_error(reply, MHD_HTTP_FORBIDDEN, "not_permitted",
                    "this route is a regulator's; what you may read the other routes tell");
    return false;
}

bool api_admit(struct api_request *request, struct api_reply *reply, const char *method,
               struct bytes_view body)
{
    const enum access_route route = request->route->access;
    request->access = access_open();
    if (!request->gate->by_role || route == ACCESS_PUBLIC)
        return true;
    /* Nothing is read for whoever sends a transaction: its envelope says who it is. */
    if (route == ACCESS_ENVELOPE)
        return true;
    return admit_signed(request, reply, method, body);
}

void api_add_filtered(const struct api_request *request, cJSON *root)
{
    /* Whether or not anything was left out: that would be telling. */
    if (!request->access.all)
        cJSON_AddBoolToObject(root, "filtered", true);
}

/* --- where a filtered list goes on -------------------------------------------------------------- */

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES
};
static const char seal_mark[] = "S-";
_Static_assert(API_SEALED_SIZE >
                   sizeof seal_mark + 2 * (NONCE + TAG + (size_t)API_SEALED_BYTES_MAX),
               "a sealed place fits");

/* A place is sealed for one reader and one route. */
static size_t seal_context(const struct api_request *request, uint8_t out[NAME_SIZE + HASH_SIZE])
{
    struct hash route;
    hash_bytes(&route, HASH_DOMAIN_READ_REQUEST, request->route->path,
               strlen(request->route->path));
    memcpy(out, request->access.who.text, NAME_SIZE);
    memcpy(out + NAME_SIZE, route.bytes, HASH_SIZE);
    return NAME_SIZE + HASH_SIZE;
}

bool api_seal(const struct api_request *request, char out[API_SEALED_SIZE], struct bytes_view place)
{
    uint8_t box[NONCE + TAG + API_SEALED_BYTES_MAX];
    uint8_t context[NAME_SIZE + HASH_SIZE];
    unsigned long long size = 0;
    if (place.size > API_SEALED_BYTES_MAX)
        return false;
    random_bytes(box, NONCE);
    MUST(crypto_aead_xchacha20poly1305_ietf_encrypt(box + NONCE, &size, place.data, place.size,
                                                    context, seal_context(request, context), NULL,
                                                    box, request->gate->seal) == 0);
    memcpy(out, seal_mark, sizeof seal_mark - 1);
    hex_encode(out + sizeof seal_mark - 1, box, NONCE + (size_t)size);
    return true;
}

bool api_is_sealed(const char *text)
{
    return strncmp(text, seal_mark, sizeof seal_mark - 1) == 0;
}

bool api_unseal(const struct api_request *request, uint8_t out[API_SEALED_BYTES_MAX], size_t *size,
                const char *text)
{
    uint8_t box[NONCE + TAG + API_SEALED_BYTES_MAX];
    uint8_t context[NAME_SIZE + HASH_SIZE];
    unsigned long long plain = 0;
    if (!api_is_sealed(text))
        return false;
    text += sizeof seal_mark - 1;
    const size_t length = strlen(text) / 2;
    if (length < NONCE + TAG || length > sizeof box || !hex_decode(box, length, text) ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(out, &plain, NULL, box + NONCE, length - NONCE,
                                                   context, seal_context(request, context), box,
                                                   request->gate->seal) != 0)
        return false;
    *size = (size_t)plain;
    return true;
}
