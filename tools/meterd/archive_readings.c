/* Readings, sealed (archive.h): what is on disk opens only with the device's secret of the day.
 *
 *   secret (32, per device and day)
 *     +- BLAKE2b(secret, "seal")                     -> key of XChaCha20-Poly1305
 *     +- BLAKE2b(secret, "salt" | start | revision)  -> salt of the leaf, 16 bytes
 *
 * Invariants: a sealed reading is bound to its place (group, start, device, version) as associated
 * data, so none can stand for another; nonces are random, so that no two readings share one even if a
 * transaction was lost in a crash; nothing in clear of a reading is ever written; copies of secrets are
 * wiped. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/meterd/archive.h"

enum {
    PLAIN_SIZE = 8 + SIGNATURE_SIZE,
    NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    SEALED_SIZE = NONCE_SIZE + PLAIN_SIZE + TAG_SIZE,
    READING_KEY_SIZE = 4 + 8 + 4 + 2
};
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == METER_SECRET_BYTES,
               "a hash is a key");

static int64_t day_of(struct timestamp start)
{
    return timestamp_ms(start) / MS_PER_DAY;
}

static struct meter_key key_reading(const struct reading_place *place, uint16_t version)
{
    struct meter_key key = archive_key_interval(place->group, place->start);
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes + key.size, sizeof key.bytes - key.size);
    byte_write_u32(&writer, place->index);
    byte_write_u16(&writer, version);
    key.size += writer.size;
    MUST(key.size == READING_KEY_SIZE);
    return key;
}

static enum archive_result result_of(enum secret_state state)
{
    switch (state) {
    case SECRET_PRESENT:
        return ARCHIVE_OK;
    case SECRET_ABSENT:
        return ARCHIVE_ABSENT;
    case SECRET_ERASED:
        return ARCHIVE_ERASED;
    case SECRET_FAULT:
        return ARCHIVE_FAULT;
    }
    return ARCHIVE_FAULT;
}

static void derive_seal_key(uint8_t out[METER_SECRET_BYTES],
                            const uint8_t secret[METER_SECRET_BYTES])
{
    (void)crypto_generichash(out, METER_SECRET_BYTES, (const uint8_t *)"seal", 4, secret,
                             METER_SECRET_BYTES);
}

enum archive_result archive_salt(const struct meter_archive *archive,
                                 uint8_t out[READING_SALT_SIZE], uint32_t index,
                                 struct timestamp start, uint32_t revision)
{
    uint8_t secret[METER_SECRET_BYTES];
    uint8_t text[4 + 8 + 4];
    enum archive_result result =
        result_of(meter_secret_read(archive->secrets, secret, day_of(start), index));
    if (result == ARCHIVE_OK) {
        struct byte_writer writer;
        byte_writer_init(&writer, text, sizeof text);
        byte_write_raw(&writer, "salt", 4);
        byte_write_i64(&writer, timestamp_ms(start));
        byte_write_u32(&writer, revision);
        (void)crypto_generichash(out, READING_SALT_SIZE, text, writer.size, secret, sizeof secret);
    }
    sodium_memzero(secret, sizeof secret);
    return result;
}

enum archive_result archive_open_sealed(const struct meter_archive *archive,
                                        struct stored_reading *out,
                                        const struct reading_place *place, uint16_t version,
                                        struct bytes_view sealed)
{
    uint8_t secret[METER_SECRET_BYTES], seal_key[METER_SECRET_BYTES], plain[PLAIN_SIZE];
    enum archive_result result =
        result_of(meter_secret_read(archive->secrets, secret, day_of(place->start), place->index));
    if (result != ARCHIVE_OK) {
        /* A reading is there: a secret that is not was not erased by us. */
        return result == ARCHIVE_ABSENT ? ARCHIVE_FAULT : result;
    }
    const struct meter_key key = key_reading(place, version);
    derive_seal_key(seal_key, secret);
    if (sealed.size != SEALED_SIZE ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed.data + NONCE_SIZE,
                                                   sealed.size - NONCE_SIZE, key.bytes, key.size,
                                                   sealed.data, seal_key) != 0) {
        result = ARCHIVE_FAULT;
    } else {
        struct byte_reader reader;
        byte_reader_init(&reader, plain, sizeof plain);
        out->net = energy_of(byte_read_i64(&reader));
        byte_read_raw(&reader, out->signature.bytes, SIGNATURE_SIZE);
        MUST(byte_reader_done(&reader));
        out->version = version;
    }
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(seal_key, sizeof seal_key);
    sodium_memzero(plain, sizeof plain);
    return result;
}

enum archive_result archive_reading(const struct meter_archive *archive, struct meter_txn *txn,
                                    struct stored_reading *out, const struct reading_place *place,
                                    const uint16_t *version)
{
    struct bytes_view key, sealed;
    uint16_t found = version != NULL ? *version : 0;
    if (version != NULL) {
        const struct meter_key wanted = key_reading(place, *version);
        if (!meter_get(txn, &sealed, METER_TABLE_READINGS, archive_key_view(&wanted))) {
            return ARCHIVE_ABSENT;
        }
    } else {
        const struct meter_key until = key_reading(place, UINT16_MAX);
        if (!meter_before(txn, &key, &sealed, METER_TABLE_READINGS, archive_key_view(&until)) ||
            key.size != until.size || memcmp(key.data, until.bytes, until.size - 2) != 0) {
            return ARCHIVE_ABSENT;
        }
        found = (uint16_t)(key.data[key.size - 2] << 8 | key.data[key.size - 1]);
    }
    return archive_open_sealed(archive, out, place, found, sealed);
}

enum archive_result archive_put_reading(const struct meter_archive *archive, struct meter_txn *txn,
                                        const struct reading_place *place,
                                        const struct stored_reading *reading)
{
    uint8_t secret[METER_SECRET_BYTES], seal_key[METER_SECRET_BYTES];
    uint8_t plain[PLAIN_SIZE], sealed[SEALED_SIZE];
    enum archive_result result =
        result_of(meter_secret_make(archive->secrets, secret, day_of(place->start), place->index));
    if (result != ARCHIVE_OK) {
        return result;
    }
    MUST(reading->version < UINT16_MAX);
    const struct meter_key key = key_reading(place, reading->version);
    struct byte_writer writer;
    byte_writer_init(&writer, plain, sizeof plain);
    byte_write_i64(&writer, energy_wh(reading->net));
    byte_write_raw(&writer, reading->signature.bytes, SIGNATURE_SIZE);
    MUST(!writer.failed);
    derive_seal_key(seal_key, secret);
    randombytes_buf(sealed, NONCE_SIZE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE_SIZE, NULL, plain, sizeof plain,
                                                     key.bytes, key.size, NULL, sealed, seal_key);
    meter_put(txn, METER_TABLE_READINGS, archive_key_view(&key),
              bytes_view_of(sealed, sizeof sealed));
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(seal_key, sizeof seal_key);
    sodium_memzero(plain, sizeof plain);
    return ARCHIVE_OK;
}

/* --- walks --------------------------------------------------------------------------------- */

/* Versions follow each other in the table: an entry is the newest if the next one is another device's. */
struct interval_walk {
    struct meter_key prefix;
    archive_reading_fn visit;
    void *context;
    bool held;
    uint32_t index;
    uint16_t version;
    struct bytes_view sealed;
};

static bool visit_version(void *context, struct bytes_view key, struct bytes_view value)
{
    struct interval_walk *walk = context;
    if (key.size != READING_KEY_SIZE ||
        memcmp(key.data, walk->prefix.bytes, walk->prefix.size) != 0) {
        return false;
    }
    struct byte_reader reader;
    byte_reader_init(&reader, key.data + walk->prefix.size, key.size - walk->prefix.size);
    const uint32_t index = byte_read_u32(&reader);
    const uint16_t version = byte_read_u16(&reader);
    if (walk->held && walk->index != index &&
        !walk->visit(walk->context, walk->index, walk->version, walk->sealed)) {
        walk->held = false;
        return false;
    }
    walk->held = true;
    walk->index = index;
    walk->version = version;
    walk->sealed = value;
    return true;
}

void archive_walk_interval(struct meter_txn *txn, uint32_t group, struct timestamp start,
                           archive_reading_fn visit, void *context)
{
    struct interval_walk walk = {
        .prefix = archive_key_interval(group, start), .visit = visit, .context = context};
    meter_walk(txn, METER_TABLE_READINGS, archive_key_view(&walk.prefix), visit_version, &walk);
    if (walk.held) {
        (void)visit(context, walk.index, walk.version, walk.sealed);
    }
}

/* --- erasing ------------------------------------------------------------------------------- */

/* All versions of one reading; the number of readings (0 or 1). */
static uint64_t remove_versions(struct meter_txn *txn, const struct reading_place *place)
{
    const struct meter_key from = key_reading(place, 0);
    struct bytes_view key, value;
    uint64_t removed = 0;
    while (meter_seek(txn, &key, &value, METER_TABLE_READINGS, archive_key_view(&from)) &&
           key.size == from.size && memcmp(key.data, from.bytes, from.size - 2) == 0) {
        struct meter_key found = {.size = key.size};
        memcpy(found.bytes, key.data, key.size);
        meter_delete(txn, METER_TABLE_READINGS, archive_key_view(&found));
        removed++;
    }
    return removed > 0;
}

bool archive_has_meter(struct meter_archive *archive, const struct name *device, uint8_t meter)
{
    struct meter_device record;
    struct meter_txn *txn = meter_txn_begin(archive->db, false);
    const bool has = txn != NULL && archive_device(txn, &record, device, meter);
    if (txn != NULL) {
        meter_txn_abort(txn);
    }
    return has;
}

bool archive_erase(struct meter_archive *archive, const struct name *device, uint8_t meter,
                   int64_t from_day, int64_t until_day, uint64_t *readings,
                   char problem[ARCHIVE_PROBLEM_SIZE])
{
    struct meter_device record;
    *readings = 0;
    struct meter_txn *txn = meter_txn_begin(archive->db, true);
    if (txn == NULL) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the database does not open a transaction");
        return false;
    }
    if (!archive_device(txn, &record, device, meter) || record.index == DEVICE_UNNUMBERED) {
        meter_txn_abort(txn);
        return true;
    }
    const int64_t interval_ms = duration_ms(archive->settings.interval);
    for (int64_t day = from_day; day < until_day; day++) {
        /* The secret first: readings that are left behind by a crash are noise without it. */
        if (!meter_secret_erase(archive->secrets, day, record.index)) {
            meter_txn_abort(txn);
            snprintf(problem, ARCHIVE_PROBLEM_SIZE, "a secret could not be overwritten");
            return false;
        }
        for (int64_t at = day * MS_PER_DAY; at < (day + 1) * MS_PER_DAY; at += interval_ms) {
            const struct reading_place place = {record.group, record.index, timestamp_of(at)};
            *readings += remove_versions(txn, &place);
        }
    }
    return meter_txn_commit(txn, problem);
}
