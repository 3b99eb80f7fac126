/* What a meter signs, what a fingerprint covers, what a witness holds (docs/spec/delivery.md).
 *
 * 1. A reading's signature covers every field but itself, so one signature can't serve two intervals.
 * 2. A leaf is salted, so nobody can guess a reading from the hashes next to a revealed one.
 * 3. The leaf covers the signature too: an operator can't put one reading under two leaves.
 *
 * Deliberately absent: making salts and trees, which meter operators do (tools), and every rule about
 * what a reading must say (delivery.c). */
#include "base/fatal.h"
#include "contracts/delivery.h"

const char *const meter_kind_names[METER_KIND_COUNT] = {"certified", "sub", "delivered"};

static const struct codec_field meter_reading_fields[] = {
    {.name = "device", .type = CODEC_NAME, .offset = offsetof(struct meter_reading, device)},
    {.name = "meter",
     .type = CODEC_ENUM,
     .limit = METER_KIND_COUNT,
     .names = meter_kind_names,
     .offset = offsetof(struct meter_reading, meter)},
    {.name = "interval_start_ms",
     .type = CODEC_I64,
     .offset = offsetof(struct meter_reading, interval_start)},
    {.name = "interval_ms", .type = CODEC_I64, .offset = offsetof(struct meter_reading, interval)},
    {.name = "net_wh", .type = CODEC_I64, .offset = offsetof(struct meter_reading, net)},
    {.name = "signature",
     .type = CODEC_FIXED,
     .limit = SIGNATURE_SIZE,
     .offset = offsetof(struct meter_reading, signature)},
};
const struct codec_record meter_reading_record = {
    .name = "meter_reading",
    .struct_size = sizeof(struct meter_reading),
    .fields = meter_reading_fields,
    .field_count = sizeof meter_reading_fields / sizeof meter_reading_fields[0],
};

static const struct codec_field sibling_fields[] = {
    {.name = "hash",
     .type = CODEC_FIXED,
     .limit = HASH_SIZE,
     .offset = offsetof(struct hash, bytes)},
};
static const struct codec_record sibling_record = {
    .name = "sibling",
    .struct_size = sizeof(struct hash),
    .fields = sibling_fields,
    .field_count = sizeof sibling_fields / sizeof sibling_fields[0],
};

static const struct codec_field revealed_reading_fields[] = {
    {.name = "reading",
     .type = CODEC_RECORD,
     .record = &meter_reading_record,
     .offset = offsetof(struct revealed_reading, reading)},
    {.name = "salt",
     .type = CODEC_FIXED,
     .limit = READING_SALT_SIZE,
     .offset = offsetof(struct revealed_reading, salt)},
    {.name = "meter_operator",
     .type = CODEC_NAME,
     .offset = offsetof(struct revealed_reading, meter_operator)},
    {.name = "batch", .type = CODEC_NAME, .offset = offsetof(struct revealed_reading, batch)},
    {.name = "index", .type = CODEC_U32, .offset = offsetof(struct revealed_reading, index)},
    {.name = "path",
     .type = CODEC_ARRAY,
     .limit = LIMIT_MERKLE_PATH,
     .record = &sibling_record,
     .offset = offsetof(struct revealed_reading, path),
     .count_offset = offsetof(struct revealed_reading, path_count)},
};
static const struct codec_record revealed_reading_record = {
    .name = "revealed_reading",
    .struct_size = sizeof(struct revealed_reading),
    .fields = revealed_reading_fields,
    .field_count = sizeof revealed_reading_fields / sizeof revealed_reading_fields[0],
};

static const struct codec_field declared_unit_fields[] = {
    {.name = "net_wh", .type = CODEC_I64, .offset = offsetof(struct declared_unit, net)},
};
static const struct codec_record declared_unit_record = {
    .name = "declared_unit",
    .struct_size = sizeof(struct declared_unit),
    .fields = declared_unit_fields,
    .field_count = sizeof declared_unit_fields / sizeof declared_unit_fields[0],
};

static const struct codec_field delivery_witness_fields[] = {
    {.name = "schedule_salt",
     .type = CODEC_FIXED,
     .limit = SCHEDULE_SALT_SIZE,
     .offset = offsetof(struct delivery_witness, schedule_salt)},
    {.name = "units",
     .type = CODEC_ARRAY,
     .limit = LIMIT_INTERVALS_PER_PERIOD,
     .record = &declared_unit_record,
     .offset = offsetof(struct delivery_witness, units),
     .count_offset = offsetof(struct delivery_witness, unit_count)},
    {.name = "readings",
     .type = CODEC_ARRAY,
     .limit = LIMIT_READINGS_PER_PROOF,
     .record = &revealed_reading_record,
     .offset = offsetof(struct delivery_witness, readings),
     .count_offset = offsetof(struct delivery_witness, reading_count)},
};
const struct codec_record delivery_witness_record = {
    .name = "delivery_witness",
    .struct_size = sizeof(struct delivery_witness),
    .fields = delivery_witness_fields,
    .field_count = sizeof delivery_witness_fields / sizeof delivery_witness_fields[0],
};

enum { READING_BYTES_MAX = 256 };

/* D5.5 3.2.6: what pairs a trade with metered energy must not be open to change unnoticed. */
void meter_reading_message(struct hash *out, const struct meter_reading *reading)
{
    uint8_t bytes[READING_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, reading->device.text, NAME_SIZE);
    byte_write_u8(&writer, reading->meter);
    byte_write_i64(&writer, timestamp_ms(reading->interval_start));
    byte_write_i64(&writer, duration_ms(reading->interval));
    byte_write_i64(&writer, energy_wh(reading->net));
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_READING_SIGN, bytes, writer.size);
}

void meter_reading_leaf(struct hash *out, const uint8_t salt[READING_SALT_SIZE],
                        const struct meter_reading *reading)
{
    uint8_t bytes[READING_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, salt, READING_SALT_SIZE);
    codec_encode(&meter_reading_record, reading, &writer);
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_READING, bytes, writer.size);
}

void schedule_hash(struct hash *out, const uint8_t salt[SCHEDULE_SALT_SIZE],
                   const struct name *device, struct timestamp period_start,
                   const struct energy *units, uint32_t count)
{
    uint8_t bytes[SCHEDULE_SALT_SIZE + NAME_SIZE + 8 + 4 + 8 * LIMIT_INTERVALS_PER_PERIOD];
    struct byte_writer writer;
    MUST(count <= LIMIT_INTERVALS_PER_PERIOD);
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, salt, SCHEDULE_SALT_SIZE);
    byte_write_raw(&writer, device->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(period_start));
    byte_write_u32(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        byte_write_i64(&writer, energy_wh(units[i]));
    }
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_SCHEDULE, bytes, writer.size);
}
