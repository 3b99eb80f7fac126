/* Meter data files: salts, batches, what is revealed, and what a damaged file does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "crypto/merkle.h"
#include "tools/meter_batch.h"
#include "tools/schedule.h"

struct suite {
    struct cli cli;
    char *out_text;
    char *err_text;
    size_t size;
    char directory[64];
    char path[FILES_PATH_SIZE];
};

static int set_up(void **state)
{
    struct suite *suite = calloc(1, sizeof *suite);
    assert_true(crypto_init());
    snprintf(suite->directory, sizeof suite->directory, "/tmp/flex-test-meter-XXXXXX");
    assert_non_null(mkdtemp(suite->directory));
    assert_true(files_join(suite->path, suite->directory, "file.json"));
    cli_init(&suite->cli, open_memstream(&suite->out_text, &suite->size),
             open_memstream(&suite->err_text, &suite->size));
    suite->cli.home = suite->directory;
    suite->cli.result = cJSON_CreateObject();
    *state = suite;
    return 0;
}

static int tear_down(void **state)
{
    struct suite *suite = *state;
    char path[FILES_PATH_SIZE];
    unlink(suite->path);
    assert_true(files_join(path, suite->directory, "meter-master.key"));
    unlink(path);
    rmdir(suite->directory);
    fclose(suite->cli.out);
    fclose(suite->cli.err);
    free(suite->out_text);
    free(suite->err_text);
    cJSON_Delete(suite->cli.result);
    free(suite);
    return 0;
}

static struct name name_of(const char *text)
{
    struct name name;
    assert_true(name_from_text(&name, text, strlen(text)));
    return name;
}

static void test_salts_differ_in_every_part(void **state)
{
    (void)state;
    uint8_t master[METER_SECRET_SIZE] = {1}, other[METER_SECRET_SIZE] = {2};
    struct name a = name_of("a"), b = name_of("b");
    uint8_t salts[6][READING_SALT_SIZE];
    meter_salt(salts[0], master, &a, timestamp_of(0), 0);
    meter_salt(salts[1], other, &a, timestamp_of(0), 0);
    meter_salt(salts[2], master, &b, timestamp_of(0), 0);
    meter_salt(salts[3], master, &a, timestamp_of(900000), 0);
    meter_salt(salts[4], master, &a, timestamp_of(0), 1);
    meter_salt(salts[5], master, &a, timestamp_of(MS_PER_DAY), 0);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(salts[i], salts[j], READING_SALT_SIZE);
        }
    }
    uint8_t again[READING_SALT_SIZE];
    meter_salt(again, master, &a, timestamp_of(0), 0);
    assert_memory_equal(again, salts[0], READING_SALT_SIZE);
}

static void test_master_is_made_once(void **state)
{
    struct suite *suite = *state;
    uint8_t first[METER_SECRET_SIZE], second[METER_SECRET_SIZE];
    assert_int_equal(meter_master(&suite->cli, first), CLI_DONE);
    assert_int_equal(meter_master(&suite->cli, second), CLI_DONE);
    assert_memory_equal(first, second, sizeof first);
    char path[FILES_PATH_SIZE];
    assert_true(files_join(path, suite->directory, "meter-master.key"));
    assert_true(files_write(path, "short", 5, 0600));
    assert_int_equal(meter_master(&suite->cli, second), CLI_USAGE);
}

static void fill_batch(struct meter_batch_file *batch, uint32_t count)
{
    memset(batch, 0, sizeof *batch);
    batch->meter_operator = name_of("meters");
    batch->id = name_of("west");
    batch->interval_start = timestamp_of(1736935200000);
    batch->interval = duration_of(900000);
    batch->entries = calloc(count, sizeof *batch->entries);
    for (uint32_t i = 0; i < count; i++) {
        char text[NAME_SIZE];
        snprintf(text, sizeof text, "dev-%03u", i);
        struct meter_reading *reading = &batch->entries[i].reading;
        reading->device = name_of(text);
        reading->interval_start = batch->interval_start;
        reading->interval = batch->interval;
        reading->net = energy_of((int64_t)i - 5);
        batch->entries[i].salt[0] = (uint8_t)i;
        batch->count++;
    }
    assert_true(reveal_batch_root(&batch->root, batch));
}

static void test_revealed_entries_lead_to_the_root(void **state)
{
    struct suite *suite = *state;
    for (uint32_t count = 1; count <= 20; count++) {
        struct meter_batch_file batch, back;
        struct revealed_reading revealed[20], *again;
        uint32_t read;
        fill_batch(&batch, count);
        assert_int_equal(reveal_write_batch(&suite->cli, suite->path, &batch), CLI_DONE);
        assert_int_equal(reveal_read_batch(&suite->cli, &back, suite->path), CLI_DONE);
        assert_int_equal(back.count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(reveal_entry(&revealed[i], &back, i));
        }
        assert_int_equal(reveal_write(&suite->cli, suite->path, &batch.id, revealed, count),
                         CLI_DONE);
        assert_int_equal(reveal_read(&suite->cli, &again, &read, suite->path), CLI_DONE);
        assert_int_equal(read, count);
        for (uint32_t i = 0; i < count; i++) {
            struct merkle_proof proof = {.count = again[i].path_count};
            struct hash leaf;
            memcpy(proof.siblings, again[i].path, proof.count * sizeof proof.siblings[0]);
            meter_reading_leaf(&leaf, again[i].salt, &again[i].reading);
            assert_true(merkle_verify(&proof, &leaf, again[i].index, count, &batch.root));
        }
        free(again);
        reveal_batch_release(&back);
        reveal_batch_release(&batch);
    }
}

static void test_a_damaged_batch_is_refused(void **state)
{
    struct suite *suite = *state;
    struct meter_batch_file batch, back;
    size_t size;
    fill_batch(&batch, 3);
    assert_int_equal(reveal_write_batch(&suite->cli, suite->path, &batch), CLI_DONE);
    char *text = files_read(suite->path, 65536, &size);
    const char *const parts[] = {"\"net_wh\":\"-5\"", "\"salt\":\"00", "\"root\":\"", "dev-000"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *at = strstr(text, parts[i]);
        assert_non_null(at);
        at += strlen(parts[i]) - (parts[i][strlen(parts[i]) - 1] == '"' ? 2 : 1);
        char before = *at;
        *at = before == '1' || before == 'a' ? '2' : '1';
        assert_true(files_write(suite->path, text, size, 0600));
        assert_int_equal(reveal_read_batch(&suite->cli, &back, suite->path), CLI_USAGE);
        *at = before;
    }
    assert_true(files_write(suite->path, text, size, 0600));
    assert_int_equal(reveal_read_batch(&suite->cli, &back, suite->path), CLI_DONE);
    reveal_batch_release(&back);
    reveal_batch_release(&batch);
    free(text);
}

static void test_readings_are_appended(void **state)
{
    struct suite *suite = *state;
    struct meter_reading readings[3] = {0}, *back = NULL;
    uint32_t count = 0;
    unlink(suite->path);
    for (uint32_t i = 0; i < 3; i++) {
        readings[i].device = name_of("bat");
        readings[i].interval_start = timestamp_of(900000 * (int64_t)i);
        readings[i].interval = duration_of(900000);
        readings[i].net = energy_of(-(int64_t)i);
    }
    assert_int_equal(reveal_append_readings(&suite->cli, suite->path, readings, 2), CLI_DONE);
    assert_int_equal(reveal_append_readings(&suite->cli, suite->path, readings + 2, 1), CLI_DONE);
    assert_int_equal(reveal_read_readings(&suite->cli, &back, &count, suite->path), CLI_DONE);
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(energy_wh(back[i].net), -(int64_t)i);
    }
    free(back);
}

static void test_schedule_files(void **state)
{
    struct suite *suite = *state;
    static const struct {
        const char *text;
        int status;
        uint32_t count;
    } rows[] = {{"1 2 3", CLI_DONE, 3},
                {"# net Wh\n-5\n\n7, 8;9\n", CLI_DONE, 4},
                {"", CLI_USAGE, 0},
                {"# nothing\n", CLI_USAGE, 0},
                {"1.5", CLI_USAGE, 0},
                {"1 two", CLI_USAGE, 0},
                {"99999999999999999999", CLI_USAGE, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct schedule schedule = {0};
        assert_true(files_write(suite->path, rows[i].text, strlen(rows[i].text), 0600));
        assert_int_equal(schedule_read_units(&suite->cli, &schedule, suite->path), rows[i].status);
        if (rows[i].status == CLI_DONE) {
            assert_int_equal(schedule.count, rows[i].count);
        }
    }
}

static void test_schedules_are_found_by_hash(void **state)
{
    struct suite *suite = *state;
    struct schedule schedule = {.count = 2}, back;
    struct hash hash;
    char path[FILES_PATH_SIZE], hex[2 * HASH_SIZE + 1];
    schedule.device = name_of("bat");
    schedule.units[0] = energy_of(-5);
    schedule.units[1] = energy_of(6);
    random_bytes(schedule.salt, sizeof schedule.salt);
    schedule_compute_hash(&hash, &schedule);
    assert_int_equal(schedule_keep(&suite->cli, &schedule), CLI_DONE);
    assert_int_equal(schedule_find(&suite->cli, &back, &hash, NULL), CLI_DONE);
    assert_int_equal(back.count, 2);
    assert_memory_equal(back.salt, schedule.salt, sizeof back.salt);
    hex_encode(hex, hash.bytes, HASH_SIZE);
    snprintf(path, sizeof path, "%s/schedules/%s.json", suite->directory, hex);
    hash.bytes[0] ^= 1;
    assert_int_equal(schedule_find(&suite->cli, &back, &hash, NULL), CLI_USAGE);
    assert_int_equal(schedule_find(&suite->cli, &back, &hash, path), CLI_USAGE);
    unlink(path);
    snprintf(path, sizeof path, "%s/schedules", suite->directory);
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_salts_differ_in_every_part),
        cmocka_unit_test(test_master_is_made_once),
        cmocka_unit_test(test_revealed_entries_lead_to_the_root),
        cmocka_unit_test(test_a_damaged_batch_is_refused),
        cmocka_unit_test(test_readings_are_appended),
        cmocka_unit_test(test_schedule_files),
        cmocka_unit_test(test_schedules_are_found_by_hash),
    };
    return cmocka_run_group_tests_name("meter", tests, set_up, tear_down);
}
