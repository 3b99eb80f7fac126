/* flex meter fetch, erase, verify, settle; flex deal verify: readings asked for, and held against the
 * ledger (D5.5 3.2.6; docs/spec/meter.md). */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/meter_settle.h"
#include "tools/meterd/access.h"
#include "tools/noun_meter_check.h"
#include "tools/nouns.h"
#include "tools/trade_copy.h"

/* --- asking a meter operator --------------------------------------------------------------- */

struct ask {
    const char *service;
    struct name meter_operator;
    struct name device;
    uint8_t meter;
    int64_t from_ms;
    int64_t until_ms;
    int64_t before_ms;
    uint64_t deal;
    const char *out;
};
_Static_assert(sizeof(struct ask) <= METER_ASK_SIZE, "the command table knows how large it is");

const struct cli_option meter_fetch_options[METER_FETCH_OPTIONS] = {
    {"service", CLI_URL, offsetof(struct ask, service), "the meter operator's service",
     CLI_REQUIRED, NULL, NULL, 0},
    {"operator", CLI_NAME, offsetof(struct ask, meter_operator), "the meter operator's name",
     CLI_REQUIRED, NULL, NULL, 0},
    {"device", CLI_NAME, offsetof(struct ask, device), "whose readings", CLI_REQUIRED, NULL, NULL,
     0},
    {"meter", CLI_CHOICE, offsetof(struct ask, meter), "which of its meters", CLI_REQUIRED,
     "certified", meter_kind_names, METER_KIND_COUNT},
    {"from", CLI_TIME, offsetof(struct ask, from_ms), "the first interval's start", CLI_REQUIRED,
     NULL, NULL, 0},
    {"until", CLI_TIME, offsetof(struct ask, until_ms), "the end (not included)", CLI_REQUIRED,
     NULL, NULL, 0},
    {"deal", CLI_U64, offsetof(struct ask, deal), "as this deal's buyer or seller", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"before", CLI_TIME, offsetof(struct ask, before_ms),
     "only fingerprints posted before that: a market's correction deadline", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"out", CLI_FILE, offsetof(struct ask, out), "the file to write", CLI_REQUIRED, NULL, NULL, 0},
};

const struct cli_option meter_erase_options[METER_ERASE_OPTIONS] = {
    {"service", CLI_URL, offsetof(struct ask, service), "the meter operator's service",
     CLI_REQUIRED, NULL, NULL, 0},
    {"operator", CLI_NAME, offsetof(struct ask, meter_operator), "the meter operator's name",
     CLI_REQUIRED, NULL, NULL, 0},
    {"device", CLI_NAME, offsetof(struct ask, device), "whose readings; its owner asks",
     CLI_REQUIRED, NULL, NULL, 0},
    {"meter", CLI_CHOICE, offsetof(struct ask, meter), "which of its meters", CLI_REQUIRED,
     "certified", meter_kind_names, METER_KIND_COUNT},
    {"from", CLI_TIME, offsetof(struct ask, from_ms), "the first day (UTC)", CLI_REQUIRED, NULL,
     NULL, 0},
    {"until", CLI_TIME, offsetof(struct ask, until_ms), "the day behind the last", CLI_REQUIRED,
     NULL, NULL, 0},
};

static int sign_request(struct session *session, struct access_request *out, const struct ask *ask,
                        enum access_purpose purpose)
{
    struct timespec now;
    struct secret_key secret;
    struct public_key key;
    MUST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    *out = (struct access_request){
        .purpose = (uint8_t)purpose,
        .genesis = session->trust.genesis,
        .service = ask->meter_operator,
        .device = ask->device,
        .meter = ask->meter,
        .from = timestamp_of(ask->from_ms),
        .until = timestamp_of(ask->until_ms),
        .before = timestamp_of(ask->before_ms),
        .deal = ask->deal,
        .time = timestamp_of((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000),
    };
    int status = session_participant(session, &out->asker, NULL);
    if (status == CLI_DONE) {
        status = session_secret_key(session->cli, &secret, &key);
    }
    if (status != CLI_DONE) {
        return status;
    }
    const bool done = access_request_sign(out, &secret);
    secret_key_wipe(&secret);
    return done ? CLI_DONE
                : cli_fail(session->cli, CLI_USAGE, "key_malformed", "the wallet's key can't sign");
}

/* The service's answer; the caller releases it. */
static int ask_service(struct cli *cli, struct session *session, const struct ask *ask,
                       enum access_purpose purpose, struct client_answer *answer)
{
    struct access_request request;
    uint8_t bytes[ACCESS_REQUEST_BYTES_MAX];
    struct byte_writer writer;
    memset(answer, 0, sizeof *answer);
    int status = session_trust(session);
    if (status == CLI_DONE) {
        status = sign_request(session, &request, ask, purpose);
    }
    if (status != CLI_DONE) {
        return status;
    }
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&access_request_record, &request, &writer);
    MUST(!writer.failed);
    struct session service = {.cli = cli, .client = client_open(ask->service, cli->timeout_ms)};
    if (service.client == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_address", "'%s' is not an http or https address",
                        ask->service);
    }
    client_set_ca(service.client, cli->ca_file);
    client_post(service.client, answer, purpose == ACCESS_READ ? "/v1/readings" : "/v1/erase",
                bytes_view_of(bytes, writer.size));
    if (answer->status != 200) {
        status = session_refusal(&service, answer);
        client_answer_release(answer);
    }
    client_close(service.client);
    return status;
}

/* Of the interval's readings that were not handed out, and why: the service's word, which nothing proves. */
static void add_missing(struct cli *cli, const struct client_answer *answer)
{
    static const char *const names[] = {"erased", "pending"};
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *object =
        json_parse_strict(answer->body != NULL ? answer->body : "", answer->size, problem);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint32_t count;
        if (json_u32(&count, object, names[i])) {
            json_add_u32(cli->result, names[i], count);
        }
    }
    cJSON_Delete(object);
}

/* What was answered is kept only if all of it leads to the ledger. */
static int keep_answer(struct cli *cli, struct session *session, const struct ask *ask,
                       const struct client_answer *answer)
{
    struct copy_verdict verdict;
    const struct copy_ledger ledger = copy_ledger_of_session(session);
    if (!files_write(ask->out, answer->body != NULL ? answer->body : "", answer->size, 0600)) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", ask->out, strerror(errno));
    }
    int status = copy_verify(cli, &verdict, &ledger, ask->out, NULL);
    if (status == CLI_DONE && verdict.code != NULL) {
        status = cli_fail(cli, CLI_UNPROVEN, verdict.code, "reading %" PRIu64 ": %s", verdict.line,
                          verdict.reason);
    }
    if (status != CLI_DONE) {
        (void)unlink(ask->out);
        return status;
    }
    json_add_u64(cli->result, "readings", verdict.readings);
    add_missing(cli, answer);
    cJSON_AddStringToObject(cli->result, "file", ask->out);
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    noun_say_result(cli);
    return CLI_DONE;
}

int meter_fetch_run(struct cli *cli, void *arguments)
{
    const struct ask *ask = arguments;
    struct session session;
    struct client_answer answer;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = ask_service(cli, &session, ask, ACCESS_READ, &answer);
    }
    if (status == CLI_DONE) {
        status = keep_answer(cli, &session, ask, &answer);
        client_answer_release(&answer);
    }
    session_close(&session);
    return status;
}

int meter_erase_run(struct cli *cli, void *arguments)
{
    const struct ask *ask = arguments;
    struct session session;
    struct client_answer answer;
    char problem[JSON_PROBLEM_SIZE];
    uint64_t readings;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = ask_service(cli, &session, ask, ACCESS_ERASE, &answer);
    }
    if (status == CLI_DONE) {
        struct cJSON *object =
            json_parse_strict(answer.body != NULL ? answer.body : "", answer.size, problem);
        if (json_u64(&readings, object, "erased_readings")) {
            json_add_u64(cli->result, "erased_readings", readings);
            noun_say_result(cli);
        } else {
            status = cli_fail(cli, CLI_NO_NODE, "bad_answer", "the service's answer is not one");
        }
        cJSON_Delete(object);
        client_answer_release(&answer);
    }
    session_close(&session);
    return status;
}

/* --- copies -------------------------------------------------------------------------------- */

struct verify {
    const char *readings;
};

const struct cli_option meter_verify_options[METER_VERIFY_OPTIONS] = {
    {"readings", CLI_FILE, offsetof(struct verify, readings),
     "of a copy without salts: the file that reveals its readings", CLI_OPTIONAL, NULL, NULL, 0},
};

static int tell_verdict(struct cli *cli, const char *path, const char *code, uint64_t line,
                        const char *reason)
{
    cJSON_AddBoolToObject(cli->result, "as_fingerprinted", code == NULL);
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    if (code == NULL) {
        return CLI_DONE;
    }
    json_add_u64(cli->result, "line", line);
    return cli_fail(cli, CLI_UNPROVEN, code, "%s, line %" PRIu64 ": %s", path, line, reason);
}

int meter_verify_run(struct cli *cli, void *arguments)
{
    const struct verify *wanted = arguments;
    struct session session;
    uint64_t readings = 0, batches = 0, erased = 0;
    if (cli->word_count == 0) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "name the files to verify");
    }
    int status = session_open(&session, cli);
    const struct copy_ledger ledger = copy_ledger_of_session(&session);
    for (size_t i = 0; i < cli->word_count && status == CLI_DONE; i++) {
        struct copy_verdict verdict;
        status = copy_verify(cli, &verdict, &ledger, cli->words[i], wanted->readings);
        readings += verdict.readings;
        batches += verdict.batches;
        erased += verdict.erased;
        if (status == CLI_DONE && (verdict.code != NULL || i + 1 == cli->word_count)) {
            status = tell_verdict(cli, cli->words[i], verdict.code, verdict.line, verdict.reason);
        }
    }
    session_close(&session);
    json_add_u64(cli->result, "readings", readings);
    json_add_u64(cli->result, "batches", batches);
    json_add_u64(cli->result, "erased", erased);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}

int deal_verify_run(struct cli *cli, void *arguments)
{
    struct session session;
    uint64_t trades = 0;
    (void)arguments;
    if (cli->word_count == 0) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "name the files to verify");
    }
    int status = session_open(&session, cli);
    const struct trade_ledger ledger = trade_ledger_of_session(&session);
    for (size_t i = 0; i < cli->word_count && status == CLI_DONE; i++) {
        struct trade_verdict verdict;
        status = trade_copy_verify(cli, &verdict, &ledger, cli->words[i], NULL, NULL);
        trades += verdict.trades;
        if (status == CLI_DONE && (verdict.code != NULL || i + 1 == cli->word_count)) {
            cJSON_AddStringToObject(cli->result, "not_checked", verdict.not_checked);
            status = tell_verdict(cli, cli->words[i], verdict.code, verdict.line, verdict.reason);
        }
    }
    session_close(&session);
    json_add_u64(cli->result, "trades", trades);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}

/* --- traded against metered ---------------------------------------------------------------- */

struct settle_wanted {
    const char *trades;
    struct energy_price price;
};
_Static_assert(sizeof(struct settle_wanted) <= METER_ASK_SIZE, "fits");

const struct cli_option meter_settle_options[METER_SETTLE_OPTIONS] = {
    {"trades", CLI_FILE, offsetof(struct settle_wanted, trades),
     "a copy of the trades (flex deal trades --csv)", CLI_REQUIRED, NULL, NULL, 0},
    {"price", CLI_EUR, offsetof(struct settle_wanted, price),
     "price per kWh of the differences; without it they have no amounts", CLI_OPTIONAL, NULL, NULL,
     0},
};

struct settling {
    struct cli *cli;
    struct session *session;
    struct trade_ledger trades;
    struct copy_ledger readings;
    struct settle settle;
};

static bool settle_one_trade(void *context, uint64_t id, const struct deal_record *deal)
{
    struct settling *settling = context;
    struct market_create terms;
    if (settling->trades.terms(settling->trades.context, &terms, deal) != CLI_DONE) {
        return false;
    }
    const enum settle_result result = settle_trade(&settling->settle, deal, &terms);
    if (result != SETTLE_OK) {
        cli_fail(settling->cli, CLI_USAGE, "not_settled", "deal %" PRIu64 ": %s", id,
                 settle_result_text(result));
    }
    return result == SETTLE_OK;
}

static int settle_trades(struct settling *settling, const char *path)
{
    struct trade_verdict verdict;
    int status = trade_copy_verify(settling->cli, &verdict, &settling->trades, path,
                                   settle_one_trade, settling);
    if (status == CLI_DONE && verdict.code != NULL) {
        status = cli_fail(settling->cli, CLI_UNPROVEN, verdict.code, "%s, line %" PRIu64 ": %s",
                          path, verdict.line, verdict.reason);
    }
    return status;
}

/* One file of readings: of one device or several, each answered for by its owner on the ledger. */
static int settle_readings(struct settling *settling, const char *path)
{
    struct cli *cli = settling->cli;
    struct revealed_reading *readings;
    struct copy_verdict verdict;
    uint32_t count;
    int status = reveal_read(cli, &readings, &count, path);
    if (status != CLI_DONE) {
        return status;
    }
    status = copy_verify_revealed(&verdict, &settling->readings, readings, count);
    if (status == CLI_DONE && verdict.code != NULL) {
        status = cli_fail(cli, CLI_UNPROVEN, verdict.code, "%s, reading %" PRIu64 ": %s", path,
                          verdict.line, verdict.reason);
    }
    struct device_record device;
    memset(&device, 0, sizeof device);
    for (uint32_t i = 0; i < count && status == CLI_DONE; i++) {
        const struct meter_reading *reading = &readings[i].reading;
        bool absent = false;
        if (i == 0 || name_compare(&reading->device, &readings[i - 1].reading.device) != 0) {
            status = settling->readings.device(settling->readings.context, &device, &absent,
                                               &reading->device);
        }
        const enum settle_result result =
            status == CLI_DONE && !absent
                ? settle_reading(&settling->settle, reading, &device.owner)
                : SETTLE_OK;
        if (status == CLI_DONE && (absent || result != SETTLE_OK)) {
            status = cli_fail(cli, CLI_USAGE, "not_settled", "%s, reading %" PRIu32 ": %s", path,
                              i + 1, absent ? "no such device" : settle_result_text(result));
        }
    }
    free(readings);
    return status;
}

static void tell_rows(struct cli *cli, const struct settle *settle, bool priced)
{
    struct cJSON *items = cJSON_AddArrayToObject(cli->result, "items");
    uint64_t incomplete = 0;
    for (uint32_t i = 0; i < settle->row_count; i++) {
        const struct settle_row *row = &settle->rows[i];
        char name[NAME_SIZE + 1];
        struct cJSON *item = cJSON_CreateObject();
        MUST(item != NULL && items != NULL);
        cJSON_AddItemToArray(items, item);
        cJSON_AddStringToObject(item, "participant", name_to_text(name, &row->participant));
        json_add_i64(item, "start_ms", timestamp_ms(row->start));
        json_add_i64(item, "bought_wh", energy_wh(row->bought));
        json_add_i64(item, "sold_wh", energy_wh(row->sold));
        if (row->complete) {
            json_add_i64(item, "metered_wh", energy_wh(row->metered));
            json_add_i64(item, "difference_wh", energy_wh(row->difference));
        }
        if (row->complete && priced) {
            json_add_i64(item, "amount_ueur", money_ueur(row->amount));
        }
        cJSON_AddBoolToObject(item, "complete", row->complete);
        incomplete += !row->complete;
    }
    json_add_u64(cli->result, "incomplete", incomplete);
    cli_say_table(cli, items,
                  priced ? "participant start_ms bought_wh sold_wh metered_wh difference_wh "
                           "amount_ueur complete"
                         : "participant start_ms bought_wh sold_wh metered_wh difference_wh "
                           "complete");
}

int meter_settle_run(struct cli *cli, void *arguments)
{
    const struct settle_wanted *wanted = arguments;
    const bool priced = (cli->given & 2) != 0;
    struct session session;
    struct settling settling = {.cli = cli, .session = &session};
    int status = session_open(&session, cli);
    settling.trades = trade_ledger_of_session(&session);
    settling.readings = copy_ledger_of_session(&session);
    settle_init(&settling.settle);
    if (status == CLI_DONE) {
        status = settle_trades(&settling, wanted->trades);
    }
    for (size_t i = 0; i < cli->word_count && status == CLI_DONE; i++) {
        status = settle_readings(&settling, cli->words[i]);
    }
    if (status == CLI_DONE) {
        const enum settle_result result =
            settle_finish(&settling.settle, priced ? &wanted->price : NULL);
        if (result != SETTLE_OK) {
            status = cli_fail(cli, CLI_USAGE, "not_settled", "%s", settle_result_text(result));
        } else {
            tell_rows(cli, &settling.settle, priced);
        }
    }
    settle_release(&settling.settle);
    session_close(&session);
    return status;
}
