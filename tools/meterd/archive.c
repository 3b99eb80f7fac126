/* Settings, devices, batches, and the keys of all tables (archive.h); readings are archive_readings.c.
 *
 * Invariants: keys are big-endian, so tables sort by group, then by time; a value that doesn't decode is
 * our own bug or a broken disk, and is never taken for an absent one. */
#include "tools/meterd/archive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"

const char *const batch_state_names[BATCH_STATE_COUNT] = {"sealed", "sent", "final", "refused"};

/* Address space, not disk: a year of a million meters fits. */
static const uint64_t map_bytes = UINT64_C(1) << 42;
static const uint8_t format = 1;
enum { SETTINGS_BYTES_MAX = 128, DEVICE_BYTES_MAX = 128, BATCH_BYTES_MAX = 256 };

/* --- settings ------------------------------------------------------------------------------ */

static void write_settings(struct byte_writer *writer, const struct meter_settings *settings)
{
    byte_write_u8(writer, format);
    byte_write_raw(writer, settings->meter_operator.text, NAME_SIZE);
    byte_write_raw(writer, settings->prefix.text, NAME_SIZE);
    byte_write_i64(writer, duration_ms(settings->interval));
    byte_write_u32(writer, settings->group_size);
    byte_write_u8(writer, (uint8_t)settings->zone);
    byte_write_i64(writer, energy_wh(settings->register_modulus));
    byte_write_i64(writer, duration_ms(settings->grace));
}

static bool read_settings(struct meter_settings *out, struct bytes_view bytes)
{
    struct byte_reader reader;
    byte_reader_init(&reader, bytes.data, bytes.size);
    bool ok = byte_read_u8(&reader) == format;
    byte_read_raw(&reader, out->meter_operator.text, NAME_SIZE);
    byte_read_raw(&reader, out->prefix.text, NAME_SIZE);
    out->interval = duration_of(byte_read_i64(&reader));
    out->group_size = byte_read_u32(&reader);
    const uint8_t zone = byte_read_u8(&reader);
    out->zone = (enum meter_zone)zone;
    out->register_modulus = energy_of(byte_read_i64(&reader));
    out->grace = duration_of(byte_read_i64(&reader));
    return ok && byte_reader_done(&reader) && zone < ZONE_COUNT;
}

static bool load_settings(struct meter_archive *archive, const struct meter_settings *wanted,
                          char problem[ARCHIVE_PROBLEM_SIZE])
{
    uint8_t bytes[SETTINGS_BYTES_MAX];
    struct byte_writer writer;
    struct bytes_view found;
    const struct bytes_view key = bytes_view_of("settings", 8);
    struct meter_txn *txn = meter_txn_begin(archive->db, wanted != NULL);
    if (txn == NULL) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the database does not open a transaction");
        return false;
    }
    const bool there = meter_get(txn, &found, METER_TABLE_META, key);
    if (wanted == NULL) {
        const bool ok = there && read_settings(&archive->settings, found);
        meter_txn_abort(txn);
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "%s", ok ? "" : "not initialised, or damaged");
        return ok;
    }
    if (there) {
        meter_txn_abort(txn);
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "it has been initialised already");
        return false;
    }
    archive->settings = *wanted;
    byte_writer_init(&writer, bytes, sizeof bytes);
    write_settings(&writer, wanted);
    MUST(!writer.failed);
    meter_put(txn, METER_TABLE_META, key, bytes_view_of(bytes, writer.size));
    return meter_txn_commit(txn, problem);
}

bool archive_open(struct meter_archive *out, const char *home,
                  const struct meter_settings *settings, char problem[ARCHIVE_PROBLEM_SIZE])
{
    char place[FILES_PATH_SIZE], secrets[FILES_PATH_SIZE], database[FILES_PATH_SIZE];
    memset(out, 0, sizeof *out);
    if (!files_join(place, home, "meterd") || !files_join(secrets, place, "secrets") ||
        !files_join(database, place, "database")) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the home directory's path is too long");
        return false;
    }
    if (settings == NULL && !files_exists(database)) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "not initialised: flexmeterd init");
        return false;
    }
    if (!files_make_directory(database)) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the database's directory: %s", strerror(errno));
        return false;
    }
    out->secrets = meter_secrets_open(secrets);
    if (out->secrets == NULL) {
        snprintf(problem, ARCHIVE_PROBLEM_SIZE, "the secrets' directory: %s", strerror(errno));
        return false;
    }
    out->db = meter_db_open(database, map_bytes, problem);
    if (out->db == NULL || !load_settings(out, settings, problem)) {
        archive_close(out);
        return false;
    }
    return true;
}

void archive_close(struct meter_archive *archive)
{
    if (archive->db != NULL) {
        meter_db_close(archive->db);
    }
    if (archive->secrets != NULL) {
        meter_secrets_close(archive->secrets);
    }
    memset(archive, 0, sizeof *archive);
}

/* --- keys ---------------------------------------------------------------------------------- */

struct bytes_view archive_key_view(const struct meter_key *key)
{
    return bytes_view_of(key->bytes, key->size);
}

static struct meter_key key_done(struct meter_key key, const struct byte_writer *writer)
{
    MUST(!writer->failed);
    key.size = writer->size;
    return key;
}

struct meter_key archive_key_u64(uint64_t number)
{
    struct meter_key key;
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u64(&writer, number);
    return key_done(key, &writer);
}

static struct meter_key key_u32(uint32_t number)
{
    struct meter_key key;
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u32(&writer, number);
    return key_done(key, &writer);
}

struct meter_key archive_key_interval(uint32_t group, struct timestamp start)
{
    struct meter_key key;
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u32(&writer, group);
    byte_write_i64(&writer, timestamp_ms(start));
    return key_done(key, &writer);
}

struct meter_key archive_key_batch(const struct batch_place *place)
{
    struct meter_key key = archive_key_interval(place->group, place->start);
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes + key.size, sizeof key.bytes - key.size);
    byte_write_u32(&writer, place->revision);
    key.size += writer.size;
    return key;
}

static struct meter_key key_device(const struct name *device, uint8_t meter)
{
    struct meter_key key;
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_raw(&writer, device->text, NAME_SIZE);
    byte_write_u8(&writer, meter);
    return key_done(key, &writer);
}

uint64_t archive_next(struct meter_txn *txn, const char *counter)
{
    struct bytes_view found;
    uint8_t bytes[8];
    uint64_t value = 0;
    const struct bytes_view key = bytes_view_of(counter, strlen(counter));
    if (meter_get(txn, &found, METER_TABLE_META, key)) {
        struct byte_reader reader;
        byte_reader_init(&reader, found.data, found.size);
        value = byte_read_u64(&reader);
        MUST(byte_reader_done(&reader));
    }
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_u64(&writer, value + 1);
    meter_put(txn, METER_TABLE_META, key, bytes_view_of(bytes, sizeof bytes));
    return value;
}

/* --- devices ------------------------------------------------------------------------------- */

bool archive_device(struct meter_txn *txn, struct meter_device *out, const struct name *device,
                    uint8_t meter)
{
    struct bytes_view found;
    struct byte_reader reader;
    const struct meter_key key = key_device(device, meter);
    if (!meter_get(txn, &found, METER_TABLE_DEVICES, archive_key_view(&key))) {
        return false;
    }
    byte_reader_init(&reader, found.data, found.size);
    out->index = byte_read_u32(&reader);
    out->group = byte_read_u32(&reader);
    byte_read_raw(&reader, out->key.bytes, PUBLIC_KEY_SIZE);
    out->connection = power_of(byte_read_i64(&reader));
    byte_read_raw(&reader, out->owner.text, NAME_SIZE);
    out->owner_since = timestamp_of(byte_read_i64(&reader));
    MUST(byte_reader_done(&reader));
    return true;
}

void archive_put_device(struct meter_txn *txn, const struct name *device, uint8_t meter,
                        const struct meter_device *record)
{
    uint8_t bytes[DEVICE_BYTES_MAX];
    struct byte_writer writer;
    const struct meter_key key = key_device(device, meter);
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_u32(&writer, record->index);
    byte_write_u32(&writer, record->group);
    byte_write_raw(&writer, record->key.bytes, PUBLIC_KEY_SIZE);
    byte_write_i64(&writer, power_w(record->connection));
    byte_write_raw(&writer, record->owner.text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(record->owner_since));
    MUST(!writer.failed);
    meter_put(txn, METER_TABLE_DEVICES, archive_key_view(&key), bytes_view_of(bytes, writer.size));
}

bool archive_group(struct meter_txn *txn, struct meter_group *out, uint32_t group)
{
    struct bytes_view found;
    struct byte_reader reader;
    const struct meter_key key = key_u32(group);
    if (!meter_get(txn, &found, METER_TABLE_GROUPS, archive_key_view(&key))) {
        return false;
    }
    byte_reader_init(&reader, found.data, found.size);
    out->meter = byte_read_u8(&reader);
    out->members = byte_read_u32(&reader);
    MUST(byte_reader_done(&reader));
    return true;
}

static void put_group(struct meter_txn *txn, uint32_t group, const struct meter_group *record)
{
    uint8_t bytes[5];
    struct byte_writer writer;
    const struct meter_key key = key_u32(group);
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_u8(&writer, record->meter);
    byte_write_u32(&writer, record->members);
    meter_put(txn, METER_TABLE_GROUPS, archive_key_view(&key), bytes_view_of(bytes, writer.size));
}

/* The newest group of each kind of meter is remembered under a name of its own, since groups of all kinds
 * are counted together. */
static struct bytes_view open_group_key(uint8_t meter)
{
    static const char *const keys[METER_KIND_COUNT] = {
        [METER_CERTIFIED] = "open group certified",
        [METER_SUB] = "open group sub",
        [METER_DELIVERED] = "open group delivered",
    };
    MUST(meter < METER_KIND_COUNT);
    return bytes_view_of(keys[meter], strlen(keys[meter]));
}

bool archive_number_device(const struct meter_archive *archive, struct meter_txn *txn,
                           const struct name *device, uint8_t meter, struct meter_device *record,
                           bool new_group)
{
    MUST(record->index == DEVICE_UNNUMBERED);
    struct bytes_view found;
    struct meter_group group = {.meter = meter};
    bool open = meter_get(txn, &found, METER_TABLE_META, open_group_key(meter));
    if (open) {
        struct byte_reader reader;
        byte_reader_init(&reader, found.data, found.size);
        record->group = byte_read_u32(&reader);
        open = archive_group(txn, &group, record->group) && !new_group &&
               group.members < archive->settings.group_size;
    }
    if (!open) {
        const uint64_t number = archive_next(txn, "groups");
        uint8_t bytes[4];
        struct byte_writer writer;
        if (number >= ARCHIVE_GROUPS_MAX) {
            return false;
        }
        record->group = (uint32_t)number;
        group = (struct meter_group){.meter = meter};
        byte_writer_init(&writer, bytes, sizeof bytes);
        byte_write_u32(&writer, record->group);
        meter_put(txn, METER_TABLE_META, open_group_key(meter), bytes_view_of(bytes, sizeof bytes));
    }
    group.members++;
    put_group(txn, record->group, &group);
    record->index = (uint32_t)archive_next(txn, "devices");
    MUST(record->index < DEVICE_UNNUMBERED);
    archive_put_device(txn, device, meter, record);
    uint8_t bytes[NAME_SIZE + 5];
    struct byte_writer writer;
    const struct meter_key key = key_u32(record->index);
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, device->text, NAME_SIZE);
    byte_write_u8(&writer, meter);
    byte_write_u32(&writer, record->group);
    meter_put(txn, METER_TABLE_NAMES, archive_key_view(&key), bytes_view_of(bytes, writer.size));
    return true;
}

bool archive_place(struct meter_txn *txn, struct meter_place *out, uint32_t index)
{
    struct bytes_view found;
    struct byte_reader reader;
    const struct meter_key key = key_u32(index);
    if (!meter_get(txn, &found, METER_TABLE_NAMES, archive_key_view(&key))) {
        return false;
    }
    byte_reader_init(&reader, found.data, found.size);
    byte_read_raw(&reader, out->device.text, NAME_SIZE);
    out->meter = byte_read_u8(&reader);
    out->group = byte_read_u32(&reader);
    MUST(byte_reader_done(&reader));
    return true;
}

struct name archive_batch_name(const struct meter_archive *archive, uint32_t group, uint8_t meter)
{
    static const char letters[METER_KIND_COUNT] = {'c', 's', 'd'};
    char prefix[NAME_SIZE + 1];
    char text[2 * NAME_SIZE];
    struct name name;
    MUST(meter < METER_KIND_COUNT);
    int length = snprintf(text, sizeof text, "%s-%c-%05u",
                          name_to_text(prefix, &archive->settings.prefix), letters[meter], group);
    MUST(length > 0 && name_from_text(&name, text, (size_t)length));
    return name;
}

/* --- batches ------------------------------------------------------------------------------- */

static bool read_batch(struct sealed_batch *out, struct bytes_view bytes)
{
    struct byte_reader reader;
    memset(out, 0, sizeof *out);
    byte_reader_init(&reader, bytes.data, bytes.size);
    out->state = byte_read_u8(&reader);
    out->error = byte_read_u16(&reader);
    out->count = byte_read_u32(&reader);
    byte_read_raw(&reader, out->root.bytes, HASH_SIZE);
    out->posted = timestamp_of(byte_read_i64(&reader));
    struct bytes_view reason = byte_read_sized(&reader, METER_BATCH_REASON_MAX);
    out->reason_size = (uint32_t)reason.size;
    memcpy(out->reason, reason.data != NULL ? reason.data : (const uint8_t *)"", reason.size);
    return byte_reader_done(&reader) && out->state < BATCH_STATE_COUNT;
}

bool archive_batch(struct meter_txn *txn, struct sealed_batch *out, const struct batch_place *place)
{
    struct bytes_view found;
    const struct meter_key key = archive_key_batch(place);
    if (!meter_get(txn, &found, METER_TABLE_BATCHES, archive_key_view(&key))) {
        return false;
    }
    MUST(read_batch(out, found));
    return true;
}

void archive_put_batch(struct meter_txn *txn, const struct batch_place *place,
                       const struct sealed_batch *batch)
{
    uint8_t bytes[BATCH_BYTES_MAX];
    struct byte_writer writer;
    const struct meter_key key = archive_key_batch(place);
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_u8(&writer, batch->state);
    byte_write_u16(&writer, batch->error);
    byte_write_u32(&writer, batch->count);
    byte_write_raw(&writer, batch->root.bytes, HASH_SIZE);
    byte_write_i64(&writer, timestamp_ms(batch->posted));
    byte_write_sized(&writer, batch->reason, batch->reason_size);
    MUST(!writer.failed);
    meter_put(txn, METER_TABLE_BATCHES, archive_key_view(&key), bytes_view_of(bytes, writer.size));
}

bool archive_newest_batch(struct meter_txn *txn, struct sealed_batch *out,
                          struct batch_place *place)
{
    const struct batch_place last = {place->group, place->start, UINT32_MAX};
    const struct meter_key until = archive_key_batch(&last);
    const struct meter_key prefix = archive_key_interval(place->group, place->start);
    struct bytes_view key, value;
    if (!meter_before(txn, &key, &value, METER_TABLE_BATCHES, archive_key_view(&until)) ||
        key.size != until.size || memcmp(key.data, prefix.bytes, prefix.size) != 0) {
        return false;
    }
    struct byte_reader reader;
    byte_reader_init(&reader, key.data + prefix.size, key.size - prefix.size);
    place->revision = byte_read_u32(&reader);
    MUST(byte_reader_done(&reader) && read_batch(out, value));
    return true;
}

bool archive_leaves(struct meter_txn *txn, struct bytes_view *out, const struct batch_place *place)
{
    const struct meter_key key = archive_key_batch(place);
    return meter_get(txn, out, METER_TABLE_LEAVES, archive_key_view(&key));
}

struct batch_leaf archive_leaf_at(struct bytes_view leaves, uint32_t position)
{
    struct batch_leaf leaf;
    struct byte_reader reader;
    byte_reader_init(&reader, leaves.data, leaves.size);
    (void)byte_read_view(&reader, (size_t)position * ARCHIVE_LEAF_BYTES);
    leaf.index = byte_read_u32(&reader);
    leaf.version = byte_read_u16(&reader);
    byte_read_raw(&reader, leaf.leaf.bytes, HASH_SIZE);
    MUST(!reader.failed);
    return leaf;
}

void archive_mark_dirty(struct meter_txn *txn, uint32_t group, struct timestamp start,
                        enum dirty_why why, const char *reason)
{
    uint8_t bytes[1 + METER_BATCH_REASON_MAX];
    struct bytes_view found;
    const struct meter_key key = archive_key_interval(group, start);
    const size_t size = strlen(reason);
    MUST(size <= METER_BATCH_REASON_MAX);
    /* What weighs more stays: a correction's reason is not lost to a late reading beside it. */
    if (meter_get(txn, &found, METER_TABLE_DIRTY, archive_key_view(&key)) && found.size > 0 &&
        found.data[0] >= (uint8_t)why) {
        return;
    }
    bytes[0] = (uint8_t)why;
    memcpy(bytes + 1, reason, size);
    meter_put(txn, METER_TABLE_DIRTY, archive_key_view(&key), bytes_view_of(bytes, 1 + size));
}
