/* flex deal: what has been agreed, and proof of its delivery (market-rules 9; D5.5 3.2.6).
 *
 * `deal prove` gathers what the ledger wants to see: the schedule that the seller declared, with its
 * salt, and one signed, salted reading per market time unit with its path to the meter operator's
 * fingerprint. Nothing else about the household leaves the files. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/nouns.h"
#include "tools/reveal.h"
#include "tools/schedule.h"

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "deal", wanted->id, "unknown_deal");
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "deals",
                     "id state buyer seller device direction period_start_ms contracted_wh "
                     "delivered_wh price_ueur_per_kwh paid_ueur refunded_ueur");
}

struct prove {
    uint64_t deal;
    const char *readings;
    const char *schedule;
};

static const struct cli_option prove_options[] = {
    {"deal", CLI_U64, offsetof(struct prove, deal), "which one", CLI_REQUIRED, NULL, NULL, 0},
    {"readings", CLI_FILE, offsetof(struct prove, readings),
     "what the meter operator gave you (flex meter reveal)", CLI_REQUIRED, NULL, NULL, 0},
    {"schedule", CLI_FILE, offsetof(struct prove, schedule),
     "the seller's schedule file, if it is not in HOME/schedules", CLI_OPTIONAL, NULL, NULL, 0},
};

/* The deal and its market's terms, both proven. */
static int fetch_deal(struct session *session, uint64_t id, struct deal_record *deal,
                      struct market_record *market)
{
    struct cli *cli = session->cli;
    char text[INT128_TEXT_SIZE];
    char name[NAME_SIZE + 1];
    struct proof proof = {0};
    bool absent = false;
    int128_to_text(text, id);
    int status = session_record(session, "deal", text, deal, &absent, &proof);
    proof_release(&proof);
    if (status != CLI_DONE) {
        return status;
    }
    if (absent) {
        return cli_fail(cli, CLI_REFUSED, "unknown_deal", "there is no deal %s", text);
    }
    status = session_record(session, "market", name_to_text(name, &deal->market), market, &absent,
                            &proof);
    proof_release(&proof);
    if (status == CLI_DONE && absent) {
        return cli_fail(cli, CLI_UNPROVEN, "proof_failed", "the deal's market does not exist");
    }
    return status;
}

/* The reading of `unit` among those revealed; NULL if it is not there. */
static const struct revealed_reading *find_reading(const struct revealed_reading *readings,
                                                   uint32_t count, const struct name *device,
                                                   uint8_t meter, struct timestamp start)
{
    for (uint32_t i = 0; i < count; i++) {
        if (name_compare(&readings[i].reading.device, device) == 0 &&
            readings[i].reading.meter == meter &&
            timestamp_compare(readings[i].reading.interval_start, start) == 0) {
            return &readings[i];
        }
    }
    return NULL;
}

static int build_witness(struct cli *cli, struct delivery_witness *out,
                         const struct deal_record *deal, const struct market_record *market,
                         const struct schedule *schedule, const struct prove *wanted)
{
    struct revealed_reading *readings;
    uint32_t count;
    int status = reveal_read(cli, &readings, &count, wanted->readings);
    if (status != CLI_DONE) {
        return status;
    }
    memset(out, 0, sizeof *out);
    memcpy(out->schedule_salt, schedule->salt, SCHEDULE_SALT_SIZE);
    out->unit_count = schedule->count;
    out->reading_count = market->terms.times.mtus_per_period;
    MUST(out->reading_count <= LIMIT_INTERVALS_PER_PERIOD);
    for (uint32_t i = 0; i < schedule->count; i++) {
        out->units[i].net = schedule->units[i];
    }
    for (uint32_t i = 0; i < out->reading_count && status == CLI_DONE; i++) {
        struct timestamp start;
        int64_t offset_ms = duration_ms(market->terms.times.mtu) * (int64_t)i;
        bool in_range = timestamp_add(&start, deal->period_start, duration_of(offset_ms));
        const struct revealed_reading *reading =
            in_range
                ? find_reading(readings, count, &deal->device,
                               market->terms.delivery.method == DELIVERY_SUBMETER ? METER_SUB
                                                                                  : METER_CERTIFIED,
                               start)
                : NULL;
        if (reading == NULL) {
            status = cli_fail(cli, CLI_USAGE, "reading_missing",
                              "%s has no reading of the deal's device for time unit %u of %u",
                              wanted->readings, i + 1, out->reading_count);
        } else {
            out->readings[i] = *reading;
        }
    }
    free(readings);
    return status;
}

static int send_witness(struct cli *cli, uint64_t deal, const struct delivery_witness *witness)
{
    static struct submit submit;
    static uint8_t bytes[LIMIT_WITNESS_BYTES];
    struct delivery_prove action = {.deal = deal};
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&delivery_witness_record, witness, &writer);
    if (writer.failed) {
        return cli_fail(cli, CLI_USAGE, "not_encodable", "the readings are too many or too large");
    }
    memset(&submit, 0, sizeof submit);
    submit.count = 1;
    submit.actions[0].type = ACTION_DELIVERY_PROVE;
    submit.actions[0].record = &action;
    submit.witness = bytes_view_of(bytes, writer.size);
    return submit_run(cli, &submit);
}

/* What became of the deal, for the user who has just proven its delivery. */
static int show_outcome(struct session *session, uint64_t id)
{
    struct deal_record deal;
    struct market_record market;
    int status = fetch_deal(session, id, &deal, &market);
    if (status != CLI_DONE) {
        return status;
    }
    struct cli *cli = session->cli;
    struct cJSON *object = codec_to_json(state_kind_by_name("deal")->codec, &deal);
    MUST(object != NULL);
    cJSON_AddItemToObject(cli->result, "deal", object);
    if (!cli->json) {
        cli_say_object(cli, object);
    }
    return CLI_DONE;
}

static int run_prove(struct cli *cli, void *arguments)
{
    const struct prove *wanted = arguments;
    static struct delivery_witness witness;
    static struct schedule schedule;
    struct deal_record deal;
    struct market_record market;
    struct session session;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = fetch_deal(&session, wanted->deal, &deal, &market);
    }
    /* A limit has no schedule: its witness shows none. */
    memset(&schedule, 0, sizeof schedule);
    if (status == CLI_DONE && !hash_is_zero(&deal.schedule_hash)) {
        status = schedule_find(cli, &schedule, &deal.schedule_hash, wanted->schedule);
    }
    if (status == CLI_DONE) {
        status = build_witness(cli, &witness, &deal, &market, &schedule, wanted);
    }
    if (status == CLI_DONE) {
        status = send_witness(cli, wanted->deal, &witness);
    }
    if (status == CLI_DONE && !cli->dry_run) {
        status = show_outcome(&session, wanted->deal);
    }
    session_close(&session);
    return status;
}

static const struct cli_command commands[] = {
    {.verb = "list", .summary = "all deals", .run = run_list},
    {.verb = "show",
     .summary = "one deal, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "prove",
     .summary = "prove its delivery (buyer or seller)",
     .teach = "  flex meter reveal --device battery-7 --from T --until T --out readings.json\n"
              "  flex deal prove --deal 7 --readings readings.json",
     .options = prove_options,
     .option_count = sizeof prove_options / sizeof prove_options[0],
     .arguments_size = sizeof(struct prove),
     .sends = true,
     .run = run_prove},
};

const struct cli_noun deal_noun = {"deal", "agreements, delivery, settlement", commands,
                                   sizeof commands / sizeof commands[0]};
