/* flex meter: simulated meters, the meter operator's batches, and revealing to a party.
 *
 * A meter signs with a key of its own (D5.5: the verification service of the meter data); the
 * operator can batch readings but can't make them. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "tools/meter_batch.h"
#include "tools/noun_meter_check.h"
#include "tools/nouns.h"
#include "tools/schedule.h"
#include "tools/wallet.h"

struct new_key {
    const char *out;
};

static const struct cli_option new_key_options[] = {
    {"out", CLI_FILE, offsetof(struct new_key, out), "the file to make", CLI_REQUIRED, NULL, NULL,
     0},
};

/* A meter's key file has the form of an unencrypted wallet's. */
static int run_new_key(struct cli *cli, void *arguments)
{
    const struct new_key *wanted = arguments;
    struct secret_key secret;
    struct public_key key;
    struct wallet_cost cost = {0};
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    do {
        secret_key_random(&secret);
    } while (!schnorr_public_key(&key, &secret));
    enum wallet_result result = wallet_create(wanted->out, &secret, NULL, cost);
    secret_key_wipe(&secret);
    if (result != WALLET_OK) {
        return cli_fail(cli, CLI_USAGE, "key_not_made", "%s: %s", wanted->out,
                        wallet_result_text(result));
    }
    hex_encode(hex, key.bytes, PUBLIC_KEY_SIZE);
    cJSON_AddStringToObject(cli->result, "public_key", hex);
    cJSON_AddStringToObject(cli->result, "file", wanted->out);
    noun_say_result(cli);
    return CLI_DONE;
}

struct read {
    const char *key;
    struct name device;
    struct timestamp start;
    int64_t interval_ms;
    const char *net_wh;
    const char *profile;
    const char *out;
    uint8_t meter;
};

static const struct cli_option read_options[] = {
    {"key", CLI_FILE, offsetof(struct read, key), "the meter's key file", CLI_REQUIRED, NULL, NULL,
     0},
    {"device", CLI_NAME, offsetof(struct read, device), "what it measures", CLI_REQUIRED, NULL,
     NULL, 0},
    {"start", CLI_TIME, offsetof(struct read, start), "start of the (first) interval", CLI_REQUIRED,
     NULL, NULL, 0},
    {"interval", CLI_DURATION, offsetof(struct read, interval_ms), "its length", CLI_OPTIONAL,
     "15m", NULL, 0},
    {"net-wh", CLI_TEXT, offsetof(struct read, net_wh), "net consumption; import is positive",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"profile", CLI_FILE, offsetof(struct read, profile),
     "file with the net Wh of intervals in a row, instead of --net-wh", CLI_OPTIONAL, NULL, NULL,
     0},
    {"meter", CLI_CHOICE, offsetof(struct read, meter),
     "the certified meter of the connection, or one at the device itself", CLI_OPTIONAL,
     "certified", meter_kind_names, METER_KIND_COUNT},
    {"out", CLI_FILE, offsetof(struct read, out), "readings file to make or to add to",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int read_values(struct cli *cli, const struct read *wanted, struct schedule *values)
{
    int64_t net;
    if ((wanted->net_wh != NULL) == (wanted->profile != NULL)) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "give either --net-wh or --profile");
    }
    if (wanted->profile != NULL) {
        return schedule_read_units(cli, values, wanted->profile);
    }
    if (!int64_from_text(&net, wanted->net_wh)) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--net-wh wants a whole number");
    }
    values->units[0] = energy_of(net);
    values->count = 1;
    return CLI_DONE;
}

static int sign_readings(struct cli *cli, const struct read *wanted, const struct schedule *values,
                         const struct secret_key *secret)
{
    struct meter_reading readings[LIMIT_INTERVALS_PER_PERIOD];
    struct hash message;
    for (uint32_t i = 0; i < values->count; i++) {
        int64_t offset;
        struct meter_reading *reading = &readings[i];
        *reading = (struct meter_reading){.device = wanted->device,
                                          .meter = wanted->meter,
                                          .interval = duration_of(wanted->interval_ms),
                                          .net = values->units[i]};
        if (!checked_mul_i64(&offset, wanted->interval_ms, i) ||
            !timestamp_add(&reading->interval_start, wanted->start, duration_of(offset))) {
            return cli_fail(cli, CLI_USAGE, "bad_value", "the intervals reach too far");
        }
        meter_reading_message(&message, reading);
        if (!schnorr_sign(&reading->signature, secret, &message)) {
            return cli_fail(cli, CLI_USAGE, "key_malformed", "the meter's key can't sign");
        }
    }
    return reveal_append_readings(cli, wanted->out, readings, values->count);
}

static int run_read(struct cli *cli, void *arguments)
{
    const struct read *wanted = arguments;
    static struct schedule values;
    struct secret_key secret;
    struct public_key key;
    int status = read_values(cli, wanted, &values);
    if (status != CLI_DONE) {
        return status;
    }
    enum wallet_result result = wallet_open(&secret, &key, wanted->key, NULL);
    if (result != WALLET_OK) {
        return cli_fail(cli, CLI_USAGE, "key_unreadable", "%s: %s", wanted->key,
                        wallet_result_text(result));
    }
    status = sign_readings(cli, wanted, &values, &secret);
    secret_key_wipe(&secret);
    if (status == CLI_DONE) {
        json_add_u64(cli->result, "readings", values.count);
        cJSON_AddStringToObject(cli->result, "file", wanted->out);
        noun_say_result(cli);
    }
    return status;
}

struct batch {
    struct name id;
    const char *reason;
};

static const struct cli_option batch_options[] = {
    {"id", CLI_NAME, offsetof(struct batch, id), "your name for this group of meters", CLI_REQUIRED,
     NULL, NULL, 0},
    {"reason", CLI_TEXT, offsetof(struct batch, reason), "why a batch is corrected", CLI_OPTIONAL,
     NULL, NULL, 0},
};

static int run_batch(struct cli *cli, void *arguments)
{
    const struct batch *wanted = arguments;
    struct meter_post post = {wanted->id, wanted->reason, cli->words, cli->word_count};
    return meter_batch_post(cli, &post);
}

static const struct cli_option reveal_options[] = {
    {"id", CLI_NAME, offsetof(struct meter_reveal, id), "the group of meters", CLI_REQUIRED, NULL,
     NULL, 0},
    {"device", CLI_NAME, offsetof(struct meter_reveal, device), "whose readings", CLI_REQUIRED,
     NULL, NULL, 0},
    {"from", CLI_TIME, offsetof(struct meter_reveal, from_ms), "the first interval's start",
     CLI_REQUIRED, NULL, NULL, 0},
    {"until", CLI_TIME, offsetof(struct meter_reveal, until_ms), "the end (not included)",
     CLI_REQUIRED, NULL, NULL, 0},
    {"out", CLI_FILE, offsetof(struct meter_reveal, out), "the file to write", CLI_REQUIRED, NULL,
     NULL, 0},
};

static int run_reveal(struct cli *cli, void *arguments)
{
    return meter_batch_reveal(cli, arguments);
}

static const struct cli_command commands[] = {
    {.verb = "new-key",
     .summary = "make a simulated meter's key",
     .options = new_key_options,
     .option_count = 1,
     .arguments_size = sizeof(struct new_key),
     .run = run_new_key},
    {.verb = "read",
     .summary = "sign readings as that meter",
     .teach = "  flex meter read --key battery-7.meter --device battery-7 \\\n"
              "       --start 2025-01-15T17:00Z --net-wh -1250 --out readings.json",
     .options = read_options,
     .option_count = sizeof read_options / sizeof read_options[0],
     .arguments_size = sizeof(struct read),
     .run = run_read},
    {.verb = "batch",
     .summary = "post the fingerprints of readings (a meter operator)",
     .teach =
         "One batch per interval found in the files. Readings and salts stay in HOME/batches.\n"
         "  flex meter batch --id west readings.json",
     .options = batch_options,
     .option_count = sizeof batch_options / sizeof batch_options[0],
     .arguments_size = sizeof(struct batch),
     .sends = true,
     .more_words = "FILE...",
     .run = run_batch},
    {.verb = "reveal",
     .summary = "give a party one device's readings of one period",
     .teach = "Write --from and --until as the deal's delivery period: nothing else is revealed.",
     .options = reveal_options,
     .option_count = sizeof reveal_options / sizeof reveal_options[0],
     .arguments_size = sizeof(struct meter_reveal),
     .run = run_reveal},
    {.verb = "fetch",
     .summary = "ask a meter operator's service for readings that the ledger lets you have",
     .teach = "What comes back is kept only if every reading leads to the ledger's fingerprint.\n"
              "  flex meter fetch --service http://meters.example:8480 --operator meters \\\n"
              "       --device battery-7 --from 2025-01-15 --until 2025-01-16 --out readings.json",
     .options = meter_fetch_options,
     .option_count = METER_FETCH_OPTIONS,
     .arguments_size = METER_ASK_SIZE,
     .sends = true,
     .run = meter_fetch_run},
    {.verb = "erase",
     .summary = "have your device's readings of whole days destroyed at a meter operator's service",
     .teach = "For ever: a deal whose delivery is not proven yet can't be proven any more.",
     .options = meter_erase_options,
     .option_count = METER_ERASE_OPTIONS,
     .arguments_size = METER_ASK_SIZE,
     .sends = true,
     .run = meter_erase_run},
    {.verb = "verify",
     .summary = "whether copies of readings are what the ledger fingerprinted",
     .teach =
         "Takes files of flexmeterd export (CSV with salts), of fetch and reveal (JSON), of batch\n"
         "(JSON), and with --readings any CSV with device, start and net_wh. Names the first "
         "wrong\n"
         "line; exit 4.\n"
         "  flex meter verify 2025-01-15.csv",
     .options = meter_verify_options,
     .option_count = METER_VERIFY_OPTIONS,
     .arguments_size = METER_ASK_SIZE,
     .more_words = "FILE...",
     .run = meter_verify_run},
    {.verb = "settle",
     .summary = "what was traded against what was metered, per participant and time unit",
     .teach = "Both are verified first. FILEs are those of fetch or reveal.\n"
              "  flex deal trades --market energy --csv >trades.csv\n"
              "  flex meter settle --trades trades.csv --price 0.12 house-1.json house-2.json",
     .options = meter_settle_options,
     .option_count = METER_SETTLE_OPTIONS,
     .arguments_size = METER_ASK_SIZE,
     .more_words = "FILE...",
     .run = meter_settle_run},
};

const struct cli_noun meter_noun = {"meter", "meters, readings, fingerprints", commands,
                                    sizeof commands / sizeof commands[0]};
