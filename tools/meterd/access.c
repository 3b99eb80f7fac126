/* Requests and rights (access.h).
 *
 * Invariants: rights come from proven records of the ledger alone; a request is remembered on disk before
 * it is answered, so a restart opens no window for a replay; what is remembered is bounded, because a
 * request is remembered only after a participant of the ledger signed it.
 *
 * Deliberately absent: passwords, sessions, tokens, and any right that the ledger doesn't tell of. */
#include "tools/meterd/access.h"

#include <string.h>

#include "base/fatal.h"

enum { PURGE_MAX = 1024, SEEN_KEY_SIZE = 8 + HASH_SIZE };

const char *const access_purpose_names[ACCESS_PURPOSE_COUNT] = {"read", "erase"};

static const struct codec_field request_fields[] = {
    {.name = "purpose",
     .type = CODEC_ENUM,
     .limit = ACCESS_PURPOSE_COUNT,
     .names = access_purpose_names,
     .offset = offsetof(struct access_request, purpose)},
    {.name = "genesis",
     .type = CODEC_FIXED,
     .limit = HASH_SIZE,
     .offset = offsetof(struct access_request, genesis)},
    {.name = "service", .type = CODEC_NAME, .offset = offsetof(struct access_request, service)},
    {.name = "asker", .type = CODEC_NAME, .offset = offsetof(struct access_request, asker)},
    {.name = "device", .type = CODEC_NAME, .offset = offsetof(struct access_request, device)},
    {.name = "meter",
     .type = CODEC_ENUM,
     .limit = METER_KIND_COUNT,
     .names = meter_kind_names,
     .offset = offsetof(struct access_request, meter)},
    {.name = "from_ms", .type = CODEC_I64, .offset = offsetof(struct access_request, from)},
    {.name = "until_ms", .type = CODEC_I64, .offset = offsetof(struct access_request, until)},
    {.name = "before_ms", .type = CODEC_I64, .offset = offsetof(struct access_request, before)},
    {.name = "deal", .type = CODEC_U64, .offset = offsetof(struct access_request, deal)},
    {.name = "time_ms", .type = CODEC_I64, .offset = offsetof(struct access_request, time)},
    {.name = "nonce",
     .type = CODEC_FIXED,
     .limit = ACCESS_NONCE_SIZE,
     .offset = offsetof(struct access_request, nonce)},
    {.name = "signature",
     .type = CODEC_FIXED,
     .limit = SIGNATURE_SIZE,
     .offset = offsetof(struct access_request, signature)},
};
const struct codec_record access_request_record = {
    .name = "meter_request",
    .struct_size = sizeof(struct access_request),
    .fields = request_fields,
    .field_count = sizeof request_fields / sizeof request_fields[0],
};

const char *const access_verdict_names[ACCESS_VERDICT_COUNT] = {
    [ACCESS_GRANTED] = NULL,
    [ACCESS_MALFORMED] = "malformed",
    [ACCESS_OTHER_LEDGER] = "other_ledger",
    [ACCESS_OTHER_SERVICE] = "other_service",
    [ACCESS_STALE] = "stale",
    [ACCESS_UNKNOWN_ASKER] = "unknown_participant",
    [ACCESS_BAD_SIGNATURE] = "bad_signature",
    [ACCESS_REPLAYED] = "replayed",
    [ACCESS_BUSY] = "busy",
    [ACCESS_NOT_PERMITTED] = "not_permitted",
    [ACCESS_BAD_PERIOD] = "bad_period",
    [ACCESS_UNAVAILABLE] = "unavailable",
    [ACCESS_FAULT] = "fault",
};

const char *access_verdict_reason(enum access_verdict verdict)
{
    static const char *const reasons[ACCESS_VERDICT_COUNT] = {
        [ACCESS_GRANTED] = "",
        [ACCESS_MALFORMED] = "the body is not a canonical signed request",
        [ACCESS_OTHER_LEDGER] = "the request is signed for another ledger",
        [ACCESS_OTHER_SERVICE] = "the request is signed for another meter operator",
        [ACCESS_STALE] = "the request's time is more than a minute from this service's clock",
        [ACCESS_UNKNOWN_ASKER] = "the ledger has you suspended or retired",
        [ACCESS_BAD_SIGNATURE] =
            "the request is not signed by the key of a participant of that name",
        [ACCESS_REPLAYED] = "this very request has been answered before",
        [ACCESS_BUSY] = "too many requests at a time; try again in a minute",
        [ACCESS_NOT_PERMITTED] = "the ledger gives you no right to these readings",
        [ACCESS_BAD_PERIOD] = "the period is empty or too long; to erase, whole days that are over",
        [ACCESS_UNAVAILABLE] = "no node proves now what you may see; try again",
        [ACCESS_FAULT] = "the service's disk fails",
    };
    return reasons[verdict];
}

unsigned access_verdict_http(enum access_verdict verdict)
{
    switch (verdict) {
    case ACCESS_GRANTED:
        return 200;
    case ACCESS_MALFORMED:
    case ACCESS_BAD_PERIOD:
        return 400;
    case ACCESS_OTHER_LEDGER:
    case ACCESS_OTHER_SERVICE:
    case ACCESS_STALE:
    case ACCESS_UNKNOWN_ASKER:
    case ACCESS_BAD_SIGNATURE:
        return 401;
    case ACCESS_NOT_PERMITTED:
        return 403;
    case ACCESS_REPLAYED:
        return 409;
    case ACCESS_BUSY:
    case ACCESS_UNAVAILABLE:
        return 503;
    case ACCESS_FAULT:
    case ACCESS_VERDICT_COUNT:
        return 500;
    }
    return 500;
}

void access_request_message(struct hash *out, const struct access_request *request)
{
    uint8_t bytes[ACCESS_REQUEST_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&access_request_record, request, &writer);
    MUST(!writer.failed && writer.size > SIGNATURE_SIZE);
    hash_bytes(out, HASH_DOMAIN_METER_REQUEST, bytes, writer.size - SIGNATURE_SIZE);
}

bool access_request_sign(struct access_request *request, const struct secret_key *secret)
{
    struct hash message;
    random_bytes(request->nonce, sizeof request->nonce);
    access_request_message(&message, request);
    return schnorr_sign(&request->signature, secret, &message);
}

/* --- once ---------------------------------------------------------------------------------- */

static struct meter_key seen_key(struct timestamp time, const struct hash *message)
{
    struct meter_key key;
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_i64(&writer, timestamp_ms(time));
    byte_write_raw(&writer, message->bytes, HASH_SIZE);
    MUST(!writer.failed && writer.size == SEEN_KEY_SIZE);
    key.size = writer.size;
    return key;
}

/* Forgets what is too old to be taken anyhow. */
static void purge(struct meter_txn *txn, struct timestamp now)
{
    const struct meter_key from = archive_key_u64(0);
    struct bytes_view key, value;
    for (int i = 0; i < PURGE_MAX; i++) {
        if (!meter_seek(txn, &key, &value, METER_TABLE_SEEN, archive_key_view(&from))) {
            return;
        }
        struct byte_reader reader;
        byte_reader_init(&reader, key.data, key.size);
        if (byte_read_i64(&reader) >= timestamp_ms(now) - 2 * ACCESS_WINDOW_MS) {
            return;
        }
        struct meter_key old = {.size = key.size};
        memcpy(old.bytes, key.data, key.size);
        meter_delete(txn, METER_TABLE_SEEN, archive_key_view(&old));
    }
}

static enum access_verdict remember(struct meter_archive *archive,
                                    const struct access_request *request,
                                    const struct hash *message, struct timestamp now)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    struct bytes_view found;
    const struct meter_key key = seen_key(request->time, message);
    struct meter_txn *txn = meter_txn_begin(archive->db, true);
    if (txn == NULL) {
        return ACCESS_FAULT;
    }
    purge(txn, now);
    enum access_verdict verdict = ACCESS_GRANTED;
    if (meter_get(txn, &found, METER_TABLE_SEEN, archive_key_view(&key))) {
        verdict = ACCESS_REPLAYED;
    } else if (meter_count(txn, METER_TABLE_SEEN) >= ACCESS_SEEN_MAX) {
        verdict = ACCESS_BUSY;
    } else {
        const uint8_t nothing = 0;
        meter_put(txn, METER_TABLE_SEEN, archive_key_view(&key), bytes_view_of(&nothing, 1));
    }
    return meter_txn_commit(txn, problem) ? verdict : ACCESS_FAULT;
}

/* --- rights -------------------------------------------------------------------------------- */

static bool is_same(const struct name *a, const struct name *b)
{
    return !name_is_empty(a) && name_compare(a, b) == 0;
}

/* Since when the asker's ownership reaches back, as this service has seen it. An alias, which alone has
 * derived readings, is its issuer's in name only: what is read under it is somebody's household, and the
 * proof of a deal, which the issuer may be the buyer of. */
static struct timestamp owner_since(struct meter_archive *archive,
                                    const struct access_request *request)
{
    struct meter_device device;
    struct timestamp since = timestamp_of(0);
    struct meter_txn *txn = meter_txn_begin(archive->db, false);
    if (txn == NULL) {
        return timestamp_of(INT64_MAX);
    }
    if (archive_device(txn, &device, &request->device, METER_DELIVERED)) {
        since = timestamp_of(INT64_MAX);
    } else if (archive_device(txn, &device, &request->device, request->meter)) {
        /* The registry's copy may be older than what was proven just now. */
        since =
            is_same(&device.owner, &request->asker) ? device.owner_since : timestamp_of(INT64_MAX);
    }
    meter_txn_abort(txn);
    return since;
}

static enum access_verdict check_deal(const struct meter_registry *registry,
                                      const struct access_request *request)
{
    struct deal_record deal;
    struct market_create terms;
    struct timestamp end;
    int64_t length;
    bool absent;
    if (!registry->deal(registry->context, &deal, &terms, &absent, request->deal)) {
        return ACCESS_UNAVAILABLE;
    }
    /* Availability is paid for without a reading, often of weeks: none of them settles it. */
    if (absent || terms.product == PRODUCT_RESERVATION ||
        !checked_mul_i64(&length, duration_ms(terms.times.mtu),
                         (int64_t)terms.times.mtus_per_period) ||
        !timestamp_add(&end, deal.period_start, duration_of(length))) {
        return ACCESS_NOT_PERMITTED;
    }
    /* What settles the deal, and nothing else about the household. */
    const bool sub = terms.delivery.method == DELIVERY_SUBMETER;
    const bool meter_fits =
        request->meter == METER_DELIVERED || (request->meter == METER_SUB) == sub;
    const bool party =
        is_same(&deal.buyer, &request->asker) || is_same(&deal.seller, &request->asker);
    const bool inside = timestamp_compare(request->from, deal.period_start) >= 0 &&
                        timestamp_compare(request->until, end) <= 0;
    return party && inside && meter_fits && is_same(&deal.device, &request->device)
               ? ACCESS_GRANTED
               : ACCESS_NOT_PERMITTED;
}

static enum access_verdict check_device(struct meter_archive *archive,
                                        const struct meter_registry *registry,
                                        const struct access_request *request)
{
    struct device_record device;
    bool absent;
    if (!registry->device(registry->context, &device, &absent, &request->device)) {
        return ACCESS_UNAVAILABLE;
    }
    if (absent) {
        return ACCESS_NOT_PERMITTED;
    }
    if (is_same(&device.owner, &request->asker) &&
        timestamp_compare(owner_since(archive, request), request->from) <= 0) {
        return ACCESS_GRANTED;
    }
    const bool manages = is_same(&device.manager, &request->asker) &&
                         timestamp_compare(device.managed_from, request->from) <= 0 &&
                         timestamp_compare(request->until, device.managed_until) <= 0;
    return manages && request->purpose == ACCESS_READ ? ACCESS_GRANTED : ACCESS_NOT_PERMITTED;
}

static enum access_verdict check_rights(struct meter_archive *archive,
                                        const struct meter_registry *registry,
                                        const struct access_request *request,
                                        const struct participant_record *asker)
{
    if (request->purpose == ACCESS_ERASE) {
        return request->deal != 0 ? ACCESS_NOT_PERMITTED : check_device(archive, registry, request);
    }
    if ((asker->roles & ROLE_REGULATOR) != 0) {
        return ACCESS_GRANTED;
    }
    return request->deal != 0 ? check_deal(registry, request)
                              : check_device(archive, registry, request);
}

static bool period_fits(const struct access_request *request, struct timestamp now)
{
    const int64_t from = timestamp_ms(request->from), until = timestamp_ms(request->until);
    if (from < 0 || until <= from || timestamp_ms(request->before) < 0) {
        return false;
    }
    return request->purpose == ACCESS_READ ||
           (from % MS_PER_DAY == 0 && until % MS_PER_DAY == 0 && until <= timestamp_ms(now) &&
            (until - from) / MS_PER_DAY <= ACCESS_ERASE_DAYS_MAX);
}

enum access_verdict access_check(struct meter_archive *archive,
                                 const struct meter_registry *registry, const struct hash *genesis,
                                 struct bytes_view bytes, struct timestamp now,
                                 struct access_request *out)
{
    struct participant_record asker;
    struct hash message;
    struct duration apart;
    bool absent;
    if (!codec_decode_all(&access_request_record, out, bytes)) {
        return ACCESS_MALFORMED;
    }
    if (!hash_equal(&out->genesis, genesis)) {
        return ACCESS_OTHER_LEDGER;
    }
    if (name_compare(&out->service, &archive->settings.meter_operator) != 0) {
        return ACCESS_OTHER_SERVICE;
    }
    if (!timestamp_until(&apart, now, out->time) || duration_ms(apart) > ACCESS_WINDOW_MS ||
        duration_ms(apart) < -ACCESS_WINDOW_MS) {
        return ACCESS_STALE;
    }
    if (!registry->participant(registry->context, &asker, &absent, &out->asker)) {
        return ACCESS_UNAVAILABLE;
    }
    access_request_message(&message, out);
    /* One answer for both, or anybody could ask who takes part, and who is suspended. */
    if (absent || !schnorr_verify(&out->signature, &asker.key, &message)) {
        return ACCESS_BAD_SIGNATURE;
    }
    if (asker.status != STATUS_ACTIVE) {
        return ACCESS_UNKNOWN_ASKER;
    }
    const enum access_verdict once = remember(archive, out, &message, now);
    if (once != ACCESS_GRANTED) {
        return once;
    }
    return period_fits(out, now) ? check_rights(archive, registry, out, &asker) : ACCESS_BAD_PERIOD;
}
