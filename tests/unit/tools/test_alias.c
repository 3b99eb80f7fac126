/* Aliases off the ledger: files and their faults, what is wrong with an opening, overlap in time, meter keys,
 * and what stands for a device's readings. Against the ledger they are held in tests/e2e/test_alias.sh, and
 * what is derived against the ledger's own computation in test_rival. */
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
#include "tools/alias.h"

enum { UNITS = 4 };
#define HOUR_MS INT64_C(3600000)
#define START_MS (INT64_C(1767571200000) + 20 * MS_PER_DAY + 12 * HOUR_MS) /* a Sunday, noon */

struct suite {
    struct cli cli;
    char *out_text;
    char *err_text;
    size_t size;
    char path[64];
};

static int set_up(void **state)
{
    struct suite *suite = calloc(1, sizeof *suite);
    assert_true(crypto_init());
    snprintf(suite->path, sizeof suite->path, "/tmp/flex-test-alias-XXXXXX");
    int file = mkstemp(suite->path);
    assert_true(file >= 0);
    close(file);
    cli_init(&suite->cli, open_memstream(&suite->out_text, &suite->size),
             open_memstream(&suite->err_text, &suite->size));
    suite->cli.result = cJSON_CreateObject();
    *state = suite;
    return 0;
}

static int tear_down(void **state)
{
    struct suite *suite = *state;
    unlink(suite->path);
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

static void key_pair(struct secret_key *secret, struct public_key *key, uint8_t seed)
{
    memset(secret->bytes, seed, sizeof secret->bytes);
    assert_true(schnorr_public_key(key, secret));
}

static struct hash chain_of(uint8_t byte)
{
    struct hash hash;
    memset(hash.bytes, byte, sizeof hash.bytes);
    return hash;
}

static struct device_record device(void)
{
    struct device_record record = {.owner = name_of("agg"),
                                   .type = DEVICE_STORAGE,
                                   .max_power = power_of(5000),
                                   .capacity = energy_of(9000),
                                   .connection = power_of(11000),
                                   .feeder = name_of("f1"),
                                   .zone = name_of("west"),
                                   .status = STATUS_REGISTERED};
    struct secret_key secret;
    key_pair(&secret, &record.meter_key, 3);
    return record;
}

static struct alias_opening opening(void)
{
    struct alias_opening out;
    struct secret_key secret;
    struct public_key key;
    struct hash message;
    const struct hash genesis = chain_of(1);
    const struct alias_issue issue = {.manager = name_of("agg"),
                                      .market = name_of("market"),
                                      .from = timestamp_of(START_MS),
                                      .until = timestamp_of(START_MS + HOUR_MS),
                                      .type = DEVICE_STORAGE,
                                      .max_power = power_of(2000),
                                      .capacity = energy_of(4000),
                                      .connection = power_of(11000),
                                      .node = name_of("f1"),
                                      .feeder = name_of("f1"),
                                      .zone = name_of("west")};
    const struct name battery = name_of("battery");
    alias_draw(&out, &issue, &battery);
    key_pair(&secret, &key, 2);
    alias_request_message(&message, &genesis, &out);
    assert_true(schnorr_sign(&out.signature, &secret, &message));
    return out;
}

static const char *problem_of(const struct alias_opening *what, const struct device_record *of)
{
    struct secret_key secret;
    struct public_key key;
    const struct hash genesis = chain_of(1);
    key_pair(&secret, &key, 2);
    return alias_problem(what, &genesis, &key, of);
}

static void sign_again(struct alias_opening *out)
{
    struct secret_key secret;
    struct public_key key;
    struct hash message;
    const struct hash genesis = chain_of(1);
    key_pair(&secret, &key, 2);
    alias_request_message(&message, &genesis, out);
    assert_true(schnorr_sign(&out->signature, &secret, &message));
}

static void test_problems(void **state)
{
    (void)state;
    const struct alias_opening good = opening();
    const struct device_record of = device();
    assert_null(problem_of(&good, &of));
    struct alias_opening bad = good;
    bad.device = name_of("battery-2");
    assert_string_equal(problem_of(&bad, &of), "wrong_commitment");
    bad = good;
    bad.nonce[31] ^= 1;
    assert_string_equal(problem_of(&bad, &of), "wrong_commitment");
    bad = good;
    bad.issue.until = timestamp_of(START_MS + 2 * HOUR_MS);
    assert_string_equal(problem_of(&bad, &of), "bad_signature");
    /* The meter operator fills the keys in afterwards. */
    bad = good;
    memset(&bad.issue.meter_key, 7, sizeof bad.issue.meter_key);
    assert_null(problem_of(&bad, &of));
    bad = good;
    bad.issue.max_power = power_of(5001);
    sign_again(&bad);
    assert_string_equal(problem_of(&bad, &of), "too_large");
    struct device_record other = of;
    other.feeder = name_of("f2");
    assert_string_equal(problem_of(&good, &other), "wrong_place");
    other = of;
    other.owner = name_of("anna");
    assert_string_equal(problem_of(&good, &other), "not_managers");
    other.manager = name_of("agg");
    other.managed_from = timestamp_of(START_MS);
    other.managed_until = timestamp_of(START_MS + HOUR_MS - 1);
    assert_string_equal(problem_of(&good, &other), "not_managers");
    other.managed_until = timestamp_of(START_MS + HOUR_MS);
    assert_null(problem_of(&good, &other));
}

static void test_carving_twice(void **state)
{
    (void)state;
    const struct alias_opening first = opening();
    struct alias_opening second = opening();
    assert_int_not_equal(name_compare(&first.issue.id, &second.issue.id), 0);
    assert_memory_not_equal(first.nonce, second.nonce, sizeof first.nonce);
    assert_true(alias_carves_twice(&first, &second));
    assert_false(alias_carves_twice(&first, &first));
    second.issue.from = first.issue.until;
    second.issue.until = timestamp_of(timestamp_ms(first.issue.until) + 1);
    assert_false(alias_carves_twice(&first, &second));
    second.issue.from = timestamp_of(timestamp_ms(first.issue.until) - 1);
    assert_true(alias_carves_twice(&first, &second));
    second.device = name_of("battery-2");
    assert_false(alias_carves_twice(&first, &second));
}

static void test_files(void **state)
{
    struct suite *suite = *state;
    struct alias_list list = {0}, again = {0};
    const struct alias_opening one = opening(), two = opening();
    alias_add(&list, &one);
    alias_add(&list, &two);
    assert_int_equal(alias_write(&suite->cli, suite->path, &list), CLI_DONE);
    assert_int_equal(alias_read(&suite->cli, &again, suite->path), CLI_DONE);
    assert_int_equal(again.count, 2);
    for (int i = 0; i < 2; i++) {
        struct hash left, right;
        const struct hash genesis = chain_of(1);
        alias_request_message(&left, &genesis, &list.items[i]);
        alias_request_message(&right, &genesis, &again.items[i]);
        assert_true(hash_equal(&left, &right));
        assert_memory_equal(&list.items[i].signature, &again.items[i].signature, SIGNATURE_SIZE);
    }
    assert_ptr_equal(alias_find(&again, &two.issue.id), &again.items[1]);
    /* The same aliases once more are a mistake, and so is any other file. */
    assert_int_equal(alias_read(&suite->cli, &again, suite->path), CLI_USAGE);
    static const char *const bad[] = {"", "[]", "{\"format\":\"flexalias/2\",\"openings\":[]}",
                                      "{\"format\":\"flexalias/1\"}",
                                      "{\"format\":\"flexalias/1\",\"openings\":[{}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(files_write(suite->path, bad[i], strlen(bad[i]), 0600));
        assert_int_equal(alias_read(&suite->cli, &list, suite->path), CLI_USAGE);
    }
    alias_list_release(&list);
    alias_list_release(&again);
}

static void test_meter_keys(void **state)
{
    (void)state;
    const uint8_t master[ALIAS_MASTER_SIZE] = {1}, other[ALIAS_MASTER_SIZE] = {2};
    const struct name a = name_of("a-1"), b = name_of("a-2");
    struct secret_key keys[5];
    alias_meter_secret(&keys[0], master, &a, METER_CERTIFIED);
    alias_meter_secret(&keys[1], master, &a, METER_SUB);
    alias_meter_secret(&keys[2], master, &b, METER_CERTIFIED);
    alias_meter_secret(&keys[3], other, &a, METER_CERTIFIED);
    alias_meter_secret(&keys[4], master, &a, METER_CERTIFIED);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(keys[i].bytes, keys[j].bytes, SECRET_KEY_SIZE);
    assert_memory_equal(keys[0].bytes, keys[4].bytes, SECRET_KEY_SIZE);
}

/* --- what stands for the readings -------------------------------------------------------------- */

static struct meter_reading readings[UNITS];

static void sign_reading(struct meter_reading *reading, uint8_t seed)
{
    struct secret_key secret;
    struct public_key key;
    struct hash message;
    key_pair(&secret, &key, seed);
    meter_reading_message(&message, reading);
    assert_true(schnorr_sign(&reading->signature, &secret, &message));
}

static const char *derived(struct meter_reading *out, const struct name *of_deal, int method)
{
    static struct market_create terms;
    static struct deal_record deal;
    static struct device_record of;
    static struct alias_opening what;
    uint32_t count;
    memset(&terms, 0, sizeof terms);
    terms.times.mtu = duration_of(900000);
    terms.times.mtus_per_period = UNITS;
    terms.delivery.method = (uint8_t)method;
    terms.delivery.baseline_days = 2;
    terms.delivery.baseline_highest = 2;
    what = opening();
    deal = (struct deal_record){.device = of_deal != NULL ? *of_deal : what.issue.id,
                                .period_start = timestamp_of(START_MS)};
    of = device();
    const struct alias_task task = {.opening = &what,
                                    .deal = &deal,
                                    .terms = &terms,
                                    .device = &of,
                                    .readings = readings,
                                    .reading_count = UNITS};
    const char *problem = alias_derive(out, &count, &task);
    if (problem == NULL) {
        assert_int_equal(count, UNITS);
        for (int i = 0; i < UNITS; i++)
            assert_int_equal(name_compare(&out[i].device, &what.issue.id), 0);
    }
    return problem;
}

static void test_derived(void **state)
{
    (void)state;
    struct meter_reading out[LIMIT_INTERVALS_PER_PERIOD];
    for (int i = 0; i < UNITS; i++) {
        readings[i] =
            (struct meter_reading){.device = name_of("battery"),
                                   .interval_start = timestamp_of(START_MS + i * INT64_C(900000)),
                                   .interval = duration_of(900000),
                                   .net = energy_of(-300 + i)};
        sign_reading(&readings[i], 3);
    }
    assert_null(derived(out, NULL, DELIVERY_SCHEDULE));
    for (int i = 0; i < UNITS; i++) {
        assert_int_equal(energy_wh(out[i].net), -300 + i);
        assert_int_equal(out[i].meter, METER_CERTIFIED);
        assert_int_equal(timestamp_ms(out[i].interval_start), START_MS + i * INT64_C(900000));
    }
    const struct name other = name_of("a-other");
    assert_string_equal(derived(out, &other, DELIVERY_SCHEDULE), "not_its_deal");
    assert_string_equal(derived(out, NULL, DELIVERY_SUBMETER), "reading_missing");
    /* Two Saturdays and Sundays would be looked at, and nothing is left out for want of a reading. */
    assert_string_equal(derived(out, NULL, DELIVERY_BASELINE), "reading_missing");
    sign_reading(&readings[2], 4);
    assert_string_equal(derived(out, NULL, DELIVERY_SCHEDULE), "bad_meter_signature");
    readings[2].interval = duration_of(3600000);
    sign_reading(&readings[2], 3);
    assert_string_equal(derived(out, NULL, DELIVERY_SCHEDULE), "reading_missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_problems, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_carving_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_meter_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_derived, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
