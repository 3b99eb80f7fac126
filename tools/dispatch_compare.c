/* Trade, set-point and meter of one deal (tools/dispatch_compare.h).
 *
 * Invariants: each column is checked before it is shown: the deal, its terms, the device and the instruction
 * are proven records, the set-points and the schedule have the hashes that those name, each reading its
 * meter's signature. What is not there stands empty and is never taken for zero.
 *
 * Deliberately absent: a judgement. What the deal earns its settlement says. */
#include "tools/dispatch_compare.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/bill.h"
#include "tools/csv_write.h"
#include "tools/nouns.h"
#include "tools/plan_file.h"
#include "tools/schedule.h"

struct comparing {
    struct session session;
    struct deal_record deal;
    struct market_create terms;
    struct device_record device;
    struct bill readings; /* only its readings are used */
    bool has_schedule;
    struct schedule schedule;
    bool has_plan;
    bool superseded;
    struct plan plan;
    struct dispatch_record sent;
};

static int read_one(struct comparing *comparing, const char *kind, const char *id, void *record)
{
    struct proof proof = {0};
    bool absent = false;
    int status = session_record(&comparing->session, kind, id, record, &absent, &proof);
    proof_release(&proof);
    return status == CLI_DONE && absent ? cli_fail(comparing->session.cli, CLI_REFUSED,
                                                   "unknown_record", "there is no %s %s", kind, id)
                                        : status;
}

static int read_records(struct comparing *comparing, uint64_t deal)
{
    char name[NAME_SIZE + 1];
    char id[NAME_SIZE + 32];
    snprintf(id, sizeof id, "%" PRIu64, deal);
    int status = read_one(comparing, "deal", id, &comparing->deal);
    if (status == CLI_DONE) {
        snprintf(id, sizeof id, "%s/%" PRIu32, name_to_text(name, &comparing->deal.market),
                 comparing->deal.version);
        status = read_one(comparing, "terms", id, &comparing->terms);
    }
    return status == CLI_DONE
               ? read_one(comparing, "asset", name_to_text(name, &comparing->deal.device),
                          &comparing->device)
               : status;
}

/* --- the sources ------------------------------------------------------------------------------ */

static int read_plan(struct comparing *comparing, const char *path, uint64_t deal)
{
    struct cli *cli = comparing->session.cli;
    int status = plan_read(cli, &comparing->plan, PLAN_DISPATCH, path);
    if (status != CLI_DONE) {
        return status;
    }
    comparing->has_plan = true;
    if (comparing->plan.dispatch.deal != deal ||
        duration_ms(comparing->terms.times.mtu) % duration_ms(comparing->plan.dispatch.interval) !=
            0) {
        return cli_fail(cli, CLI_USAGE, "bad_file",
                        "%s: an instruction for another deal, or in intervals that do not make up "
                        "the market's",
                        path);
    }
    return plan_check(&comparing->session, &comparing->sent, &comparing->superseded,
                      &comparing->plan);
}

/* The seller's, if it is at hand: a buyer need not have it. */
static int read_schedule(struct comparing *comparing, const char *path)
{
    char home[FILES_PATH_SIZE];
    char hex[2 * HASH_SIZE + 1];
    const struct hash *wanted = &comparing->deal.schedule_hash;
    if (hash_is_zero(wanted)) {
        return CLI_DONE;
    }
    hex_encode(hex, wanted->bytes, HASH_SIZE);
    int size =
        snprintf(home, sizeof home, "%s/schedules/%s.json", comparing->session.cli->home, hex);
    if (path == NULL && (size < 0 || size >= FILES_PATH_SIZE || !files_exists(home))) {
        return CLI_DONE;
    }
    comparing->has_schedule = true;
    return schedule_find(comparing->session.cli, &comparing->schedule, wanted, path);
}

static int read_readings(struct comparing *comparing)
{
    struct cli *cli = comparing->session.cli;
    int64_t start = timestamp_ms(comparing->deal.period_start);
    int64_t length;
    MUST(checked_mul_i64(&length, duration_ms(comparing->terms.times.mtu),
                         comparing->terms.times.mtus_per_period));
    bill_open(&comparing->readings, cli, &comparing->deal.seller, start, start + length);
    int status = bill_read_readings(&comparing->readings, cli->words, cli->word_count);
    return status == CLI_DONE ? bill_check_readings(&comparing->readings, &comparing->deal.device,
                                                    &comparing->device)
                              : status;
}

/* --- one unit --------------------------------------------------------------------------------- */

static bool unit_setpoint(const struct comparing *comparing, int64_t *out, int64_t start,
                          int64_t length)
{
    const struct dispatch_send *sent = &comparing->plan.dispatch;
    int64_t step = duration_ms(sent->interval);
    *out = 0;
    if (!comparing->has_plan) {
        return false;
    }
    for (int64_t at = start; at < start + length; at += step) {
        int64_t index = (at - timestamp_ms(sent->start)) / step;
        if (at < timestamp_ms(sent->start) || (at - timestamp_ms(sent->start)) % step != 0 ||
            index >= sent->count ||
            !checked_add_i64(out, *out, energy_wh(comparing->plan.values[index]))) {
            return false;
        }
    }
    return true;
}

/* By the meter that the market settles by. */
static bool unit_metered(const struct comparing *comparing, int64_t *out, int64_t start,
                         int64_t length)
{
    uint8_t meter =
        comparing->terms.delivery.method == DELIVERY_SUBMETER ? METER_SUB : METER_CERTIFIED;
    int64_t covered = 0;
    *out = 0;
    for (uint32_t i = 0; i < comparing->readings.reading_count; i++) {
        const struct meter_reading *reading = &comparing->readings.readings[i];
        int64_t at = timestamp_ms(reading->interval_start);
        if (reading->meter != meter ||
            name_compare(&reading->device, &comparing->deal.device) != 0 || at < start ||
            at + duration_ms(reading->interval) > start + length) {
            continue;
        }
        covered += duration_ms(reading->interval);
        if (!checked_add_i64(out, *out, energy_wh(reading->net))) {
            return false;
        }
    }
    return covered == length;
}

static void add_difference(struct cJSON *row, const char *key, int64_t a, int64_t b)
{
    int64_t difference;
    if (checked_sub_i64(&difference, a, b)) {
        json_add_i64(row, key, difference);
    }
}

static struct cJSON *unit_row(const struct comparing *comparing, uint32_t unit)
{
    struct cJSON *row = cJSON_CreateObject();
    int64_t length = duration_ms(comparing->terms.times.mtu);
    int64_t start = timestamp_ms(comparing->deal.period_start) + (int64_t)unit * length;
    int64_t setpoint, metered;
    bool has_setpoint = unit_setpoint(comparing, &setpoint, start, length);
    bool has_metered = unit_metered(comparing, &metered, start, length);
    bool has_declared = comparing->has_schedule && unit < comparing->schedule.count;
    int64_t declared = has_declared ? energy_wh(comparing->schedule.units[unit]) : 0;
    json_add_i64(row, "start_ms", start);
    json_add_i64(row, "traded_wh",
                 energy_wh(comparing->deal.contracted) / comparing->terms.times.mtus_per_period);
    if (has_declared) {
        json_add_i64(row, "declared_wh", declared);
    }
    if (has_setpoint) {
        json_add_i64(row, "setpoint_wh", setpoint);
    }
    if (has_metered) {
        json_add_i64(row, "metered_wh", metered);
    }
    if (has_setpoint && has_metered) {
        add_difference(row, "setpoint_error_wh", metered, setpoint);
    }
    if (has_declared && has_metered) {
        bool up = comparing->deal.direction == DIRECTION_UP;
        add_difference(row, "delivered_wh", up ? declared : metered, up ? metered : declared);
    }
    return row;
}

/* --- all of them ------------------------------------------------------------------------------ */

static const char columns[] = "start_ms traded_wh declared_wh setpoint_wh metered_wh "
                              "setpoint_error_wh delivered_wh";

static int show(struct comparing *comparing, const struct dispatch_compare *wanted)
{
    struct cli *cli = comparing->session.cli;
    char name[NAME_SIZE + 1];
    json_add_u64(cli->result, "deal", wanted->deal);
    cJSON_AddStringToObject(cli->result, "device", name_to_text(name, &comparing->deal.device));
    cJSON_AddStringToObject(cli->result, "direction", direction_names[comparing->deal.direction]);
    cJSON_AddStringToObject(cli->result, "state", deal_state_names[comparing->deal.state]);
    if (comparing->has_plan) {
        struct cJSON *sent = codec_to_json(&dispatch_record_codec, &comparing->sent);
        cJSON_AddBoolToObject(sent, "superseded", comparing->superseded);
        cJSON_AddItemToObject(cli->result, "instruction", sent);
    }
    struct cJSON *units = cJSON_AddArrayToObject(cli->result, "units");
    for (uint32_t unit = 0; unit < comparing->terms.times.mtus_per_period; unit++) {
        cJSON_AddItemToArray(units, unit_row(comparing, unit));
    }
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    if (!cli->json) {
        cli_say(cli, "deal %" PRIu64 ", device %s\n", wanted->deal, name);
        if (comparing->has_plan) {
            cli_say(cli, "instruction %s%s\n", dispatch_answer_names[comparing->sent.answer],
                    comparing->superseded ? ", superseded" : "");
        }
        cli_say_table(cli, units, columns);
    }
    return wanted->csv != NULL ? csv_write(cli, wanted->csv, columns, units) : CLI_DONE;
}

int dispatch_compare_run(struct cli *cli, void *arguments)
{
    const struct dispatch_compare *wanted = arguments;
    static struct comparing comparing;
    memset(&comparing, 0, sizeof comparing);
    int status = session_open(&comparing.session, cli);
    if (status == CLI_DONE) {
        status = read_records(&comparing, wanted->deal);
    }
    if (status == CLI_DONE && wanted->setpoints != NULL) {
        status = read_plan(&comparing, wanted->setpoints, wanted->deal);
    }
    if (status == CLI_DONE) {
        status = read_schedule(&comparing, wanted->schedule);
    }
    if (status == CLI_DONE) {
        status = read_readings(&comparing);
    }
    session_close(&comparing.session);
    if (status == CLI_DONE) {
        status = show(&comparing, wanted);
    }
    plan_release(&comparing.plan);
    bill_close(&comparing.readings);
    return status;
}
