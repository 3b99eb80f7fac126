/* See meter_world.h. Keys follow from names, so a run repeats; secrets are random all the same, since the
 * service draws them itself. */
#include "tests/lib/tools/meter_world.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "tools/value.h"

struct timestamp world_time(const char *text)
{
    int64_t ms;
    MUST(value_time(&ms, text));
    return timestamp_of(ms);
}

struct name world_name(const char *text)
{
    struct name name;
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

void meter_world_make(struct meter_world *world, uint32_t group_size, enum meter_zone zone,
                      int64_t modulus_wh, const char *now)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    memset(world, 0, sizeof *world);
    MUST(crypto_init());
    temp_dir_make(world->home);
    snprintf(world->file, sizeof world->file, "%s/file.csv", world->home);
    world->meter_operator = world_name("meters");
    world->now = world_time(now);
    const struct meter_settings settings = {.meter_operator = world->meter_operator,
                                            .prefix = world_name("w"),
                                            .interval = duration_of(900000),
                                            .group_size = group_size,
                                            .zone = zone,
                                            .register_modulus = energy_of(modulus_wh),
                                            .grace = duration_of(0)};
    MUST(archive_open(&world->archive, world->home, &settings, problem));
    world->silence = fopen("/dev/null", "w");
    MUST(world->silence != NULL);
    cli_init(&world->cli, world->silence, world->silence);
    world->cli.home = world->home;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void meter_world_remove(struct meter_world *world)
{
    archive_close(&world->archive);
    MUST(fclose(world->silence) == 0);
    MUST(nftw(world->home, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* --- devices ------------------------------------------------------------------------------- */

void meter_world_key(struct secret_key *secret, struct public_key *key, const char *device,
                     uint8_t meter)
{
    const struct name name = world_name(device);
    struct hash hash;
    const struct bytes_view kind = bytes_view_of(&meter, 1);
    /* A delivered series is signed by the certified meter's key. */
    const uint8_t certified = METER_CERTIFIED;
    hash_pair(&hash, HASH_DOMAIN_SCHEDULE, bytes_view_of(name.text, NAME_SIZE),
              meter == METER_DELIVERED ? bytes_view_of(&certified, 1) : kind);
    memcpy(secret->bytes, hash.bytes, SECRET_KEY_SIZE);
    MUST(schnorr_public_key(key, secret));
}

static struct device_record record_of(const char *device, bool sub)
{
    struct secret_key secret;
    struct device_record record;
    memset(&record, 0, sizeof record);
    record.owner = world_name("owner");
    record.connection = power_of(11000);
    meter_world_key(&secret, &record.meter_key, device, METER_CERTIFIED);
    if (sub) {
        meter_world_key(&secret, &record.submeter_key, device, METER_SUB);
    }
    return record;
}

void meter_world_device(struct meter_world *world, const char *device, bool sub)
{
    struct registry_report report = {0};
    char problem[ARCHIVE_PROBLEM_SIZE];
    const struct name name = world_name(device);
    const struct device_record record = record_of(device, sub);
    struct meter_txn *txn = meter_txn_begin(world->archive.db, true);
    MUST(txn != NULL);
    registry_take(txn, &name, &record, false, world->now, &report);
    MUST(meter_txn_commit(txn, problem));
}

/* --- readings ------------------------------------------------------------------------------ */

void meter_world_header(FILE *out)
{
    fputs("device,meter,start,net_wh,signature\n", out);
}

void meter_world_row(FILE *out, const char *device, uint8_t meter, struct timestamp start,
                     int64_t net_wh)
{
    struct secret_key secret;
    struct public_key key;
    struct hash message;
    char hex[2 * SIGNATURE_SIZE + 1];
    struct meter_reading reading = {.device = world_name(device),
                                    .meter = meter,
                                    .interval_start = start,
                                    .interval = duration_of(900000),
                                    .net = energy_of(net_wh)};
    meter_world_key(&secret, &key, device, meter);
    meter_reading_message(&message, &reading);
    MUST(schnorr_sign(&reading.signature, &secret, &message));
    hex_encode(hex, reading.signature.bytes, SIGNATURE_SIZE);
    fprintf(out, "%s,%s,%" PRId64 ",%" PRId64 ",%s\n", device, meter_kind_names[meter],
            timestamp_ms(start), net_wh, hex);
}

void meter_world_ingest(struct meter_world *world, struct ingest_report *report,
                        const char *correction)
{
    char problem[ARCHIVE_PROBLEM_SIZE] = "";
    const struct ingest_options options = {
        .correction = correction, .now = world->now, .threads = 2};
    MUST(ingest_file(&world->archive, report, world->file, &options, problem));
}

/* --- the ledger ---------------------------------------------------------------------------- */

struct posting {
    struct meter_world *world;
    struct batch_place places[WORLD_FINGERPRINTS_MAX];
    uint32_t count;
};

static bool take_place(void *context, struct bytes_view key, struct bytes_view value)
{
    struct posting *posting = context;
    struct byte_reader reader;
    struct batch_place *place = &posting->places[posting->count++];
    (void)value;
    byte_reader_init(&reader, key.data, key.size);
    place->group = byte_read_u32(&reader);
    place->start = timestamp_of(byte_read_i64(&reader));
    place->revision = byte_read_u32(&reader);
    MUST(byte_reader_done(&reader));
    return posting->count < WORLD_FINGERPRINTS_MAX;
}

static void finalize(struct meter_world *world, struct meter_txn *txn,
                     const struct batch_place *place)
{
    struct sealed_batch batch;
    struct meter_group group;
    const struct meter_key key = archive_key_batch(place);
    MUST(archive_batch(txn, &batch, place) && archive_group(txn, &group, place->group));
    batch.state = BATCH_FINAL;
    batch.posted = world->now;
    archive_put_batch(txn, place, &batch);
    meter_delete(txn, METER_TABLE_QUEUE, archive_key_view(&key));
    MUST(world->fingerprint_count < WORLD_FINGERPRINTS_MAX);
    world->fingerprints[world->fingerprint_count++] = (struct world_fingerprint){
        .batch = archive_batch_name(&world->archive, place->group, group.meter),
        .start = place->start,
        .record = {.interval = world->archive.settings.interval,
                   .count = batch.count,
                   .root = batch.root,
                   .revision = place->revision,
                   .posted = world->now}};
}

void meter_world_post(struct meter_world *world, struct commit_report *report)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    struct posting *posting = calloc(1, sizeof *posting);
    MUST(posting != NULL && commit_due(&world->archive, report, world->now, false, problem));
    struct meter_txn *txn = meter_txn_begin(world->archive.db, true);
    MUST(txn != NULL);
    meter_walk(txn, METER_TABLE_QUEUE, bytes_view_of(NULL, 0), take_place, posting);
    for (uint32_t i = 0; i < posting->count; i++) {
        finalize(world, txn, &posting->places[i]);
    }
    MUST(meter_txn_commit(txn, problem));
    free(posting);
}

static int find_batch(void *context, struct batch_record *out, bool *absent,
                      const struct name *meter_operator, const struct name *batch,
                      struct timestamp start, const uint32_t *revision)
{
    const struct meter_world *world = context;
    *absent = true;
    for (uint32_t i = 0; i < world->fingerprint_count; i++) {
        const struct world_fingerprint *found = &world->fingerprints[i];
        if (name_compare(meter_operator, &world->meter_operator) == 0 &&
            name_compare(batch, &found->batch) == 0 &&
            timestamp_compare(start, found->start) == 0 &&
            (revision == NULL || *revision == found->record.revision)) {
            /* Later entries are later revisions. */
            *out = found->record;
            *absent = false;
        }
    }
    return CLI_DONE;
}

static int find_device(void *context, struct device_record *out, bool *absent,
                       const struct name *device)
{
    struct meter_world *world = context;
    struct meter_device record;
    char text[NAME_SIZE + 1];
    struct meter_txn *txn = meter_txn_begin(world->archive.db, false);
    MUST(txn != NULL);
    *absent = !archive_device(txn, &record, device, METER_CERTIFIED);
    meter_txn_abort(txn);
    *out = record_of(name_to_text(text, device), true);
    return CLI_DONE;
}

struct copy_ledger meter_world_ledger(struct meter_world *world)
{
    return (struct copy_ledger){world, find_batch, find_device};
}

struct disclosed meter_world_disclose(struct meter_world *world, const char *device, uint8_t meter,
                                      const char *from, const char *until)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    struct disclosed found = {.readings = calloc(DISCLOSE_READINGS_MAX, sizeof *found.readings)};
    const struct disclosure wanted = {.device = world_name(device),
                                      .meter = meter,
                                      .from = world_time(from),
                                      .until = world_time(until)};
    MUST(found.readings != NULL && disclose_readings(&world->archive, &found, &wanted, problem));
    return found;
}
