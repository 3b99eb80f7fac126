/* What the archive keeps and what it forgets: secrets, erasing to the last byte on disk, batches whose
 * paths lead to their roots, revisions, and a local clock that goes both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "crypto/merkle.h"
#include "tests/lib/random.h"
#include "tests/lib/tools/meter_world.h"

static struct meter_world world;

/* --- clocks -------------------------------------------------------------------------------- */

static void test_changes_of_the_clock(void **state)
{
    (void)state;
    /* As the Official Journal announces them. */
    static const struct {
        const char *day;
        int64_t intervals;
    } days[] = {{"2021-03-28", 92}, {"2021-10-31", 100}, {"2022-03-27", 92}, {"2022-10-30", 100},
                {"2023-03-26", 92}, {"2023-10-29", 100}, {"2024-03-31", 92}, {"2024-10-27", 100},
                {"2025-03-30", 92}, {"2025-10-26", 100}, {"2026-03-29", 92}, {"2026-10-25", 100},
                {"2025-03-29", 96}, {"2025-10-25", 96},  {"2024-02-29", 96}, {"2025-12-31", 96},
                {"2000-03-26", 92}, {"2000-10-29", 100}, {"2100-03-28", 92}};
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        for (int zone = ZONE_UTC; zone < ZONE_COUNT; zone++) {
            int64_t start, length;
            zone_day(&start, &length, (enum meter_zone)zone,
                     timestamp_ms(world_time(days[i].day)) / MS_PER_DAY);
            assert_int_equal(length / 900000, zone == ZONE_UTC ? 96 : days[i].intervals);
        }
    }
}

static void test_every_instant_has_its_local_time(void **state)
{
    (void)state;
    const int64_t from = timestamp_ms(world_time("2023-12-30"));
    for (int zone = ZONE_UTC; zone < ZONE_COUNT; zone++) {
        int64_t hours[3] = {0};
        for (int64_t at = from; at < from + 800 * (int64_t)MS_PER_DAY; at += 900000) {
            int64_t back[2];
            const int64_t local = at + zone_offset_ms((enum meter_zone)zone, at);
            const unsigned count = zone_instants(back, (enum meter_zone)zone, local);
            assert_true(count == 1 || count == 2);
            assert_true(back[0] == at || (count == 2 && back[1] == at));
            assert_true(count == 1 || back[0] < back[1]);
            hours[count]++;
            /* And what no clock shows has no instant. */
            hours[0] += zone_instants(back, (enum meter_zone)zone, at) == 0;
        }
        /* Two autumns with an hour twice, each told from both sides; two springs with one less. */
        assert_int_equal(hours[2], zone == ZONE_UTC ? 0 : 2 * 2 * 4);
        assert_int_equal(hours[0], zone == ZONE_UTC ? 0 : 2 * 4);
    }
}

/* --- what is on the disk -------------------------------------------------------------------- */

static uint64_t count_in_file(const char *path, const void *needle, size_t size)
{
    size_t length;
    uint64_t found = 0;
    char *text = files_read(path, (size_t)1 << 30, &length);
    assert_non_null(text);
    for (size_t i = 0; i + size <= length; i++) {
        found += text[i] == *(const char *)needle && memcmp(text + i, needle, size) == 0;
    }
    free(text);
    return found;
}

/* How often the bytes stand in any file under the service's directory. */
static uint64_t count_on_disk(const void *needle, size_t size)
{
    static const char *const folders[] = {"secrets", "database"};
    uint64_t found = 0;
    for (size_t i = 0; i < 2; i++) {
        char folder[TEMP_PATH_SIZE * 2], path[TEMP_PATH_SIZE * 4];
        snprintf(folder, sizeof folder, "%s/meterd/%s", world.home, folders[i]);
        DIR *directory = opendir(folder);
        assert_non_null(directory);
        const struct dirent *entry;
        while ((entry = readdir(directory)) != NULL) {
            if (entry->d_name[0] != '.') {
                snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
                found += count_in_file(path, needle, size);
            }
        }
        closedir(directory);
    }
    return found;
}

static void fill_day(uint32_t devices, uint32_t intervals, const char *day)
{
    struct ingest_report report;
    FILE *out = fopen(world.file, "w");
    assert_non_null(out);
    meter_world_header(out);
    for (uint32_t interval = 0; interval < intervals; interval++) {
        for (uint32_t device = 0; device < devices; device++) {
            char name[NAME_SIZE];
            snprintf(name, sizeof name, "dev-%03u", device);
            meter_world_row(out, name, METER_CERTIFIED,
                            timestamp_of(timestamp_ms(world_time(day)) + interval * 900000LL),
                            (int64_t)device * 1000 + interval);
        }
    }
    assert_int_equal(fclose(out), 0);
    meter_world_ingest(&world, &report, NULL);
    assert_int_equal(report.counts[INGEST_STORED] + report.counts[INGEST_LATE],
                     (uint64_t)devices * intervals);
}

static void make_devices(uint32_t devices)
{
    for (uint32_t device = 0; device < devices; device++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "dev-%03u", device);
        meter_world_device(&world, name, false);
    }
}

static void reopen(void)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    archive_close(&world.archive);
    assert_true(archive_open(&world.archive, world.home, NULL, problem));
}

static void test_what_is_erased_is_gone_from_every_byte(void **state)
{
    (void)state;
    struct commit_report committed;
    uint8_t secret[METER_SECRET_BYTES], other[METER_SECRET_BYTES], salt[READING_SALT_SIZE];
    char problem[ARCHIVE_PROBLEM_SIZE];
    uint64_t erased;
    meter_world_make(&world, 64, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    make_devices(5);
    fill_day(5, 8, "2025-01-15");
    fill_day(5, 8, "2025-01-16");
    meter_world_post(&world, &committed);
    assert_int_equal(committed.readings, 80);
    const int64_t day = timestamp_ms(world_time("2025-01-15")) / MS_PER_DAY;
    assert_int_equal(meter_secret_read(world.archive.secrets, secret, day, 2), SECRET_PRESENT);
    assert_int_equal(meter_secret_read(world.archive.secrets, other, day, 3), SECRET_PRESENT);
    struct disclosed before =
        meter_world_disclose(&world, "dev-002", METER_CERTIFIED, "2025-01-15", "2025-01-16");
    assert_int_equal(before.count, 8);
    memcpy(salt, before.readings[0].salt, sizeof salt);
    reopen();
    /* Were the secret not found while it is there, not finding it later would say nothing. */
    assert_int_equal(count_on_disk(secret, sizeof secret), 1);
    assert_int_equal(count_on_disk(other, sizeof other), 1);
    /* In clear neither salts nor what meters signed ever stand there. */
    assert_int_equal(count_on_disk(salt, sizeof salt), 0);
    assert_int_equal(count_on_disk(before.readings[0].reading.signature.bytes, SIGNATURE_SIZE), 0);

    const struct name name = world_name("dev-002");
    assert_true(
        archive_erase(&world.archive, &name, METER_CERTIFIED, day, day + 1, &erased, problem));
    assert_int_equal(erased, 8);
    assert_int_equal(count_on_disk(secret, sizeof secret), 0);
    reopen();
    assert_int_equal(count_on_disk(secret, sizeof secret), 0);
    assert_int_equal(count_on_disk(other, sizeof other), 1);
    uint8_t now[METER_SECRET_BYTES];
    assert_int_equal(meter_secret_read(world.archive.secrets, now, day, 2), SECRET_ERASED);
    assert_int_equal(meter_secret_make(world.archive.secrets, now, day, 2), SECRET_ERASED);

    /* The day is gone; the day after, the neighbours, and the fingerprints are not. */
    struct disclosed after =
        meter_world_disclose(&world, "dev-002", METER_CERTIFIED, "2025-01-15", "2025-01-17");
    assert_int_equal(after.count, 8);
    assert_int_equal(after.erased, 8);
    struct disclosed neighbour =
        meter_world_disclose(&world, "dev-003", METER_CERTIFIED, "2025-01-15", "2025-01-16");
    struct copy_verdict verdict;
    const struct copy_ledger ledger = meter_world_ledger(&world);
    assert_int_equal(copy_verify_revealed(&verdict, &ledger, neighbour.readings, neighbour.count),
                     CLI_DONE);
    assert_null(verdict.code);
    assert_int_equal(verdict.readings, 8);
    free(before.readings);
    free(after.readings);
    free(neighbour.readings);
    meter_world_remove(&world);
}

static void test_what_is_erased_does_not_come_back(void **state)
{
    (void)state;
    struct ingest_report report;
    struct commit_report committed;
    char problem[ARCHIVE_PROBLEM_SIZE];
    uint64_t erased;
    meter_world_make(&world, 64, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    make_devices(2);
    fill_day(2, 4, "2025-01-15");
    const int64_t day = timestamp_ms(world_time("2025-01-15")) / MS_PER_DAY;
    const struct name name = world_name("dev-001");
    const struct name stranger = world_name("dev-100");
    assert_true(archive_has_meter(&world.archive, &name, METER_CERTIFIED));
    assert_false(archive_has_meter(&world.archive, &name, METER_SUB));
    assert_false(archive_has_meter(&world.archive, &stranger, METER_CERTIFIED));
    assert_true(
        archive_erase(&world.archive, &name, METER_CERTIFIED, day, day + 1, &erased, problem));
    assert_int_equal(erased, 4);
    meter_world_ingest(&world, &report, "again");
    assert_int_equal(report.counts[INGEST_ERASED], 4);
    assert_int_equal(report.counts[INGEST_DUPLICATE], 4);
    /* A batch is committed without it. */
    meter_world_post(&world, &committed);
    assert_int_equal(committed.readings, 4);
    /* All of an interval's readings erased: nothing is left to commit. */
    fill_day(2, 2, "2025-01-16");
    for (uint32_t device = 0; device < 2; device++) {
        char text[NAME_SIZE];
        snprintf(text, sizeof text, "dev-%03u", device);
        const struct name each = world_name(text);
        assert_true(archive_erase(&world.archive, &each, METER_CERTIFIED, day + 1, day + 2, &erased,
                                  problem));
    }
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 0);
    meter_world_remove(&world);
}

/* --- batches --------------------------------------------------------------------------------- */

/* The root by RFC 6962's own recursion, over leaves that are computed here from what was disclosed. */
static void slow_root(struct hash *out, const struct hash *leaves, size_t count)
{
    struct hash left, right;
    size_t split = 1;
    if (count == 1) {
        *out = leaves[0];
        return;
    }
    while (2 * split < count) {
        split *= 2;
    }
    slow_root(&left, leaves, split);
    slow_root(&right, leaves + split, count - split);
    hash_pair(out, HASH_DOMAIN_MERKLE_NODE, hash_view(&left), hash_view(&right));
}

static void test_roots_against_a_slow_model(void **state)
{
    (void)state;
    struct commit_report committed;
    enum { DEVICES = 13, INTERVALS = 3 };
    meter_world_make(&world, 5, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    make_devices(DEVICES);
    fill_day(DEVICES, INTERVALS, "2025-01-15");
    meter_world_post(&world, &committed);
    /* 13 meters in groups of 5: three batches an interval. */
    assert_int_equal(committed.batches, 3 * INTERVALS);
    assert_int_equal(committed.readings, DEVICES * INTERVALS);
    struct hash leaves[3 * INTERVALS][5];
    uint32_t counts[3 * INTERVALS] = {0};
    for (uint32_t device = 0; device < DEVICES; device++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "dev-%03u", device);
        struct disclosed found =
            meter_world_disclose(&world, name, METER_CERTIFIED, "2025-01-15", "2025-01-16");
        assert_int_equal(found.count, INTERVALS);
        for (uint32_t i = 0; i < found.count; i++) {
            const uint32_t batch = device / 5 * INTERVALS + i;
            assert_int_equal(energy_wh(found.readings[i].reading.net), device * 1000 + i);
            meter_reading_leaf(&leaves[batch][found.readings[i].index], found.readings[i].salt,
                               &found.readings[i].reading);
            counts[batch]++;
        }
        free(found.readings);
    }
    for (uint32_t batch = 0; batch < 3 * INTERVALS; batch++) {
        struct hash root;
        slow_root(&root, leaves[batch], counts[batch]);
        bool found = false;
        for (uint32_t i = 0; i < world.fingerprint_count; i++) {
            found = found || (hash_equal(&root, &world.fingerprints[i].record.root) &&
                              world.fingerprints[i].record.count == counts[batch]);
        }
        assert_true(found);
    }
    meter_world_remove(&world);
}

static void test_a_leafs_place_says_nothing(void **state)
{
    (void)state;
    struct commit_report committed;
    uint32_t first = 0;
    enum { DEVICES = 16, INTERVALS = 64 };
    meter_world_make(&world, DEVICES, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    make_devices(DEVICES);
    fill_day(DEVICES, INTERVALS, "2025-01-15");
    meter_world_post(&world, &committed);
    struct disclosed found =
        meter_world_disclose(&world, "dev-000", METER_CERTIFIED, "2025-01-15", "2025-01-16");
    assert_int_equal(found.count, INTERVALS);
    for (uint32_t i = 0; i < found.count; i++) {
        first += found.readings[i].index == 0;
    }
    /* Of 64 draws with a chance of 1/16 each, over 24 first places would come once in 10^12 runs; in the
     * order of names or arrival it would be all 64. */
    assert_true(first <= 24);
    free(found.readings);
    meter_world_remove(&world);
}

static void correct(int64_t wh, struct ingest_report *report)
{
    FILE *out = fopen(world.file, "w");
    meter_world_header(out);
    meter_world_row(out, "dev-000", METER_CERTIFIED, world_time("2025-01-15"), wh);
    assert_int_equal(fclose(out), 0);
    meter_world_ingest(&world, report, "test");
}

static void test_revisions_and_their_end(void **state)
{
    (void)state;
    struct ingest_report report;
    struct commit_report committed;
    meter_world_make(&world, 4, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    make_devices(3);
    fill_day(3, 1, "2025-01-15");
    meter_world_post(&world, &committed);
    for (int i = 1; i < LIMIT_BATCH_REVISIONS; i++) {
        world.now = timestamp_of(timestamp_ms(world.now) + 1000);
        correct(100 + i, &report);
        assert_int_equal(report.counts[INGEST_CORRECTED], 1);
        meter_world_post(&world, &committed);
        assert_int_equal(committed.corrections, 1);
    }
    correct(-5, &report);
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 0);
    assert_int_equal(committed.exhausted, 1);
    /* What a market's correction deadline cuts off is disclosed as it was. */
    struct disclosed found = {.readings = calloc(DISCLOSE_READINGS_MAX, sizeof *found.readings)};
    char problem[ARCHIVE_PROBLEM_SIZE];
    struct disclosure wanted = {.device = world_name("dev-000"),
                                .meter = METER_CERTIFIED,
                                .from = world_time("2025-01-15"),
                                .until = world_time("2025-01-16")};
    assert_true(disclose_readings(&world.archive, &found, &wanted, problem));
    assert_int_equal(energy_wh(found.readings[0].reading.net), 100 + LIMIT_BATCH_REVISIONS - 1);
    wanted.before = timestamp_of(timestamp_ms(world_time("2025-01-18T12:00:10Z")));
    assert_true(disclose_readings(&world.archive, &found, &wanted, problem));
    assert_int_equal(energy_wh(found.readings[0].reading.net), 109);
    wanted.before = world_time("2025-01-18T12:00:00Z");
    assert_true(disclose_readings(&world.archive, &found, &wanted, problem));
    assert_int_equal(found.count, 0);
    free(found.readings);
    meter_world_remove(&world);
}

static void *commit_aside(void *context)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    assert_true(commit_due(&world.archive, context, world.now, true, problem));
    return NULL;
}

/* Lets a commit find what is due, and changes it before the commit gets to write: `reason` weighs more than
 * what was there, or, if NULL, another process has sealed it. */
static void commit_while_it_changes(struct commit_report *committed, const char *reason)
{
    pthread_t thread;
    char problem[ARCHIVE_PROBLEM_SIZE];
    const struct world_fingerprint *first = &world.fingerprints[0];
    const struct meter_key key = archive_key_interval(0, first->start);
    struct bytes_view found;
    struct meter_txn *txn = meter_txn_begin(world.archive.db, true);
    assert_non_null(txn);
    assert_true(meter_get(txn, &found, METER_TABLE_DIRTY, archive_key_view(&key)));
    assert_int_equal(pthread_create(&thread, NULL, commit_aside, committed), 0);
    /* Long enough for it to wait at the one writer's door. If it isn't there yet it sees what is new, and
     * the test tells nothing. */
    usleep(200000);
    if (reason != NULL) {
        archive_mark_dirty(txn, 0, first->start, DIRTY_CORRECTED, reason);
    } else {
        meter_delete(txn, METER_TABLE_DIRTY, archive_key_view(&key));
    }
    assert_true(meter_txn_commit(txn, problem));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A service and a command at one home, or a commit and an ingest. */
static void test_what_is_due_is_looked_at_again(void **state)
{
    (void)state;
    struct commit_report committed;
    struct ingest_report report;
    meter_world_make(&world, 4, ZONE_UTC, 0, "2025-01-18T12:00:00Z");
    make_devices(2);
    fill_day(1, 1, "2025-01-15");
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 1);
    for (int device = 0; device < 2; device++) {
        FILE *out = fopen(world.file, "w");
        meter_world_header(out);
        meter_world_row(out, "dev-001", METER_CERTIFIED, world_time("2025-01-15"), 7 + device);
        assert_int_equal(fclose(out), 0);
        meter_world_ingest(&world, &report, device == 0 ? NULL : "once more");
        assert_int_equal(report.counts[device == 0 ? INGEST_LATE : INGEST_CORRECTED], 1);
        if (device == 0) {
            struct batch_place place = {0, world.fingerprints[0].start, 0};
            struct sealed_batch batch;
            commit_while_it_changes(&committed, "meter swapped");
            assert_int_equal(committed.corrections, 1);
            struct meter_txn *txn = meter_txn_begin(world.archive.db, false);
            assert_true(archive_newest_batch(txn, &batch, &place));
            meter_txn_abort(txn);
            assert_int_equal(place.revision, 1);
            assert_int_equal(batch.reason_size, strlen("meter swapped"));
            assert_memory_equal(batch.reason, "meter swapped", batch.reason_size);
            meter_world_post(&world, &committed);
        } else {
            commit_while_it_changes(&committed, NULL);
            assert_int_equal(committed.batches, 0);
        }
    }
    meter_world_remove(&world);
}

static void test_an_interval_waits_for_its_grace(void **state)
{
    (void)state;
    struct commit_report committed;
    meter_world_make(&world, 4, ZONE_UTC, 0, "2025-01-15T01:00:00Z");
    make_devices(2);
    fill_day(2, 2, "2025-01-15");
    /* A third meter has been heard of, and is missing in the second interval. */
    make_devices(3);
    FILE *out = fopen(world.file, "w");
    meter_world_header(out);
    meter_world_row(out, "dev-002", METER_CERTIFIED, world_time("2025-01-15"), 1);
    assert_int_equal(fclose(out), 0);
    struct ingest_report report;
    meter_world_ingest(&world, &report, NULL);
    world.archive.settings.grace = duration_of(3600000);
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 1);
    assert_int_equal(committed.waiting, 1);
    world.now = world_time("2025-01-15T01:29:59Z");
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 0);
    world.now = world_time("2025-01-15T01:30:00Z");
    meter_world_post(&world, &committed);
    assert_int_equal(committed.batches, 1);
    assert_int_equal(world.fingerprints[1].record.count, 2);
    meter_world_remove(&world);
}

static void test_a_flipped_bit_is_found(void **state)
{
    (void)state;
    struct meter_txn *txn;
    struct bytes_view key, value;
    char problem[ARCHIVE_PROBLEM_SIZE];
    struct stored_reading stored;
    meter_world_make(&world, 4, ZONE_UTC, 0, "2025-01-15T01:00:00Z");
    make_devices(1);
    fill_day(1, 1, "2025-01-15");
    const struct reading_place place = {0, 0, world_time("2025-01-15")};
    for (size_t byte = 0; byte < 112; byte += 7) {
        uint8_t copy[256], flipped[256];
        struct meter_key at;
        const uint8_t zero = 0;
        txn = meter_txn_begin(world.archive.db, true);
        assert_true(meter_seek(txn, &key, &value, METER_TABLE_READINGS, bytes_view_of(&zero, 1)));
        assert_int_equal(value.size, 112);
        memcpy(at.bytes, key.data, key.size);
        at.size = key.size;
        memcpy(copy, value.data, value.size);
        memcpy(flipped, value.data, value.size);
        flipped[byte] ^= 0x10;
        meter_put(txn, METER_TABLE_READINGS, archive_key_view(&at), bytes_view_of(flipped, 112));
        assert_int_equal(archive_reading(&world.archive, txn, &stored, &place, NULL),
                         ARCHIVE_FAULT);
        meter_put(txn, METER_TABLE_READINGS, archive_key_view(&at), bytes_view_of(copy, 112));
        assert_int_equal(archive_reading(&world.archive, txn, &stored, &place, NULL), ARCHIVE_OK);
        assert_true(meter_txn_commit(txn, problem));
    }
    meter_world_remove(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_of_the_clock),
        cmocka_unit_test(test_every_instant_has_its_local_time),
        cmocka_unit_test(test_what_is_erased_is_gone_from_every_byte),
        cmocka_unit_test(test_what_is_erased_does_not_come_back),
        cmocka_unit_test(test_roots_against_a_slow_model),
        cmocka_unit_test(test_a_leafs_place_says_nothing),
        cmocka_unit_test(test_revisions_and_their_end),
        cmocka_unit_test(test_what_is_due_is_looked_at_again),
        cmocka_unit_test(test_an_interval_waits_for_its_grace),
        cmocka_unit_test(test_a_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
