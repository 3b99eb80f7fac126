/* flex deal: what has been agreed, and proof of its delivery (market-rules 9; D5.5 3.2.6).
 *
 * `deal prove` gathers what the ledger wants to see: the schedule that the seller declared, with its
 * salt, and one signed, salted reading per market time unit with its path to the meter operator's
 * fingerprint. Nothing else about the household leaves the files. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/market_pages.h"
#include "tools/noun_meter_check.h"
#include "tools/nouns.h"
#include "tools/reveal.h"
#include "tools/schedule.h"
#include "tools/watch.h"

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "deal", wanted->id, "unknown_deal");
}

/* What a list is cut down to. Their places in the table are those of their bits in `given`. */
enum { FILTER_STATE, FILTER_MARKET, FILTER_SIDE, FILTER_SINCE };
struct filter {
    uint8_t state;
    struct name market;
    uint8_t side;
    struct timestamp since;
    uint64_t given;
    struct name self;
};

static const struct cli_option list_options[] = {
    {"state", CLI_CHOICE, offsetof(struct filter, state), "only those", CLI_OPTIONAL, NULL,
     deal_state_names, DEAL_STATE_COUNT},
    {"market", CLI_NAME, offsetof(struct filter, market), "in this market only", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"side", CLI_CHOICE, offsetof(struct filter, side), "those in which this wallet buys, or sells",
     CLI_OPTIONAL, NULL, order_side_names, 2},
    {"since", CLI_TIME, offsetof(struct filter, since), "for deliveries that start then or later",
     CLI_OPTIONAL, NULL, NULL, 0},
};

static bool filter_has(const struct filter *filter, int option)
{
    return (filter->given >> option & 1) != 0;
}

static const char *text_of(const struct cJSON *record, const char *key)
{
    const char *text = json_string(record, key);
    return text != NULL ? text : "";
}

static bool keep(const struct cJSON *record, const void *context)
{
    const struct filter *filter = context;
    char market[NAME_SIZE + 1];
    int64_t start = INT64_MIN;
    if (filter_has(filter, FILTER_SIDE)) {
        char self[NAME_SIZE + 1];
        name_to_text(self, &filter->self);
        if (strcmp(text_of(record, filter->side == SIDE_BUY ? "buyer" : "seller"), self) != 0) {
            return false;
        }
    }
    (void)json_i64(&start, record, "period_start_ms");
    return (!filter_has(filter, FILTER_STATE) ||
            strcmp(text_of(record, "state"), deal_state_names[filter->state]) == 0) &&
           (!filter_has(filter, FILTER_MARKET) ||
            strcmp(text_of(record, "market"), name_to_text(market, &filter->market)) == 0) &&
           (!filter_has(filter, FILTER_SINCE) || start >= timestamp_ms(filter->since));
}

static int run_list(struct cli *cli, void *arguments)
{
    struct filter *filter = arguments;
    filter->given = cli->given;
    const int status =
        filter_has(filter, FILTER_MARKET) ? noun_check_market(cli, &filter->market) : CLI_DONE;
    if (status != CLI_DONE) {
        return status;
    }
    return noun_list_some(cli, "deals",
                          "id state buyer seller device direction period_start_ms contracted_wh "
                          "delivered_wh price_ueur_per_kwh paid_ueur refunded_ueur",
                          keep, filter, filter_has(filter, FILTER_SIDE) ? &filter->self : NULL);
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

/* The deal and the terms that it was made under, both proven. */
static int fetch_deal(struct session *session, uint64_t id, struct deal_record *deal,
                      struct market_create *terms)
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
    char version[NAME_SIZE + 1 + INT128_TEXT_SIZE];
    snprintf(version, sizeof version, "%s/%u", name_to_text(name, &deal->market), deal->version);
    status = session_record(session, "terms", version, terms, &absent, &proof);
    proof_release(&proof);
    if (status == CLI_DONE && absent) {
        return cli_fail(cli, CLI_UNPROVEN, "proof_failed", "the deal's terms do not exist");
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

/* What has been chosen for a witness so far. */
struct chooser {
    struct delivery_witness *out;
    const struct deal_record *deal;
    const struct market_create *terms;
    const struct revealed_reading *readings;
    uint32_t count;
    uint8_t meter; /* whose readings it takes */
};

/* Takes the readings of `count` units from `unit` on, so many days back; false, and nothing is taken, if
 * one of them is missing. */
static bool take_units(struct chooser *chooser, int32_t unit, uint32_t count, uint32_t days_back,
                       uint32_t *missing)
{
    const uint32_t before = chooser->out->reading_count;
    for (uint32_t i = 0; i < count; i++) {
        struct timestamp start;
        int64_t offset_ms = duration_ms(chooser->terms->times.mtu) * (unit + (int64_t)i) -
                            (int64_t)days_back * MS_PER_DAY;
        const struct revealed_reading *reading = NULL;
        if (timestamp_add(&start, chooser->deal->period_start, duration_of(offset_ms))) {
            reading = find_reading(chooser->readings, chooser->count, &chooser->deal->device,
                                   chooser->meter, start);
        }
        if (reading == NULL || chooser->out->reading_count == LIMIT_READINGS_PER_PROOF) {
            chooser->out->reading_count = before;
            *missing = i;
            return false;
        }
        chooser->out->readings[chooser->out->reading_count++] = *reading;
    }
    return true;
}

static bool is_weekend(int64_t day)
{
    int64_t weekday = (day + 4) % 7; /* 1970-01-01 was a Thursday */
    return weekday == 0 || weekday == 6;
}

/* Of a baseline: the window of the delivery's own day, then the days of its class that the file has whole,
 * the nearest first, so many as the market looks at. Which days were activated the ledger knows better
 * than any file; it refuses a wrong choice, so the file should hold no other days. */
static bool take_baseline(struct chooser *chooser, uint32_t *missing)
{
    const struct market_delivery *delivery = &chooser->terms->delivery;
    const uint32_t units = chooser->terms->times.mtus_per_period;
    const int32_t window_from = -(int32_t)delivery->baseline_window - delivery->baseline_gap;
    const int64_t day = timestamp_ms(chooser->deal->period_start) / MS_PER_DAY;
    uint32_t back[LIMIT_PROOF_DAYS];
    uint32_t count = 0;
    if (!take_units(chooser, window_from, delivery->baseline_window, 0, missing)) {
        return false;
    }
    const uint32_t days_from = chooser->out->reading_count;
    for (uint32_t i = 1; i <= LIMIT_PROOF_DAYS && count < delivery->baseline_days; i++) {
        uint32_t ignored;
        if (is_weekend(day - (int64_t)i) == is_weekend(day) &&
            take_units(chooser, 0, units, i, &ignored) &&
            take_units(chooser, window_from, delivery->baseline_window, i, &ignored)) {
            back[count++] = i;
        }
        chooser->out->reading_count = days_from;
    }
    /* Earliest first. */
    while (count > 0) {
        count--;
        MUST(take_units(chooser, 0, units, back[count], missing));
        MUST(take_units(chooser, window_from, delivery->baseline_window, back[count], missing));
    }
    return true;
}

static int build_witness(struct cli *cli, struct delivery_witness *out,
                         const struct deal_record *deal, const struct market_create *terms,
                         const struct schedule *schedule, const struct prove *wanted)
{
    struct revealed_reading *readings;
    uint32_t count;
    uint32_t missing = 0;
    int status = reveal_read(cli, &readings, &count, wanted->readings);
    if (status != CLI_DONE) {
        return status;
    }
    memset(out, 0, sizeof *out);
    memcpy(out->schedule_salt, schedule->salt, SCHEDULE_SALT_SIZE);
    out->unit_count = schedule->count;
    for (uint32_t i = 0; i < schedule->count; i++) {
        out->units[i].net = schedule->units[i];
    }
    const bool baseline = terms->delivery.method == DELIVERY_BASELINE;
    struct chooser chooser = {out, deal, terms, readings, count, METER_CERTIFIED};
    if (terms->delivery.method == DELIVERY_SUBMETER) {
        chooser.meter = METER_SUB;
    }
    /* Of an alias the meter operator gives what was delivered, and no day to compare with. */
    const bool derived = baseline && find_reading(readings, count, &deal->device, METER_DELIVERED,
                                                  deal->period_start) != NULL;
    if (derived) {
        chooser.meter = METER_DELIVERED;
    }
    if (!take_units(&chooser, 0, terms->times.mtus_per_period, 0, &missing)) {
        status = cli_fail(cli, CLI_USAGE, "reading_missing",
                          "%s has no reading of the deal's device for time unit %u of %u",
                          wanted->readings, missing + 1, terms->times.mtus_per_period);
    } else if (baseline && !derived && !take_baseline(&chooser, &missing)) {
        status = cli_fail(cli, CLI_USAGE, "reading_missing",
                          "%s has no reading of the deal's device for interval %u of %u before it",
                          wanted->readings, missing + 1, terms->delivery.baseline_window);
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
    struct market_create terms;
    int status = fetch_deal(session, id, &deal, &terms);
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
    struct market_create terms;
    struct session session;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = fetch_deal(&session, wanted->deal, &deal, &terms);
    }
    /* A limit has no schedule: its witness shows none. */
    memset(&schedule, 0, sizeof schedule);
    if (status == CLI_DONE && !hash_is_zero(&deal.schedule_hash)) {
        status = schedule_find(cli, &schedule, &deal.schedule_hash, wanted->schedule);
    }
    if (status == CLI_DONE) {
        status = build_witness(cli, &witness, &deal, &terms, &schedule, wanted);
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

static const struct cli_option dispute_options[] = {
    {"deal", CLI_U64, offsetof(struct deal_dispute, deal), "a proven one", CLI_REQUIRED, NULL, NULL,
     0},
    {"evidence", CLI_HEX32, offsetof(struct deal_dispute, evidence),
     "hash of the document that shows it, as sha256sum prints it", CLI_REQUIRED, NULL, NULL, 0},
};

static const struct cli_option call_options[] = {
    {"deal", CLI_U64, offsetof(struct reservation_call_place, deal), "the reservation",
     CLI_REQUIRED, NULL, NULL, 0},
    {"market", CLI_NAME, offsetof(struct reservation_call_place, market),
     "where it is activated: a market whose parent the reservation's is", CLI_REQUIRED, NULL, NULL,
     0},
    {"start", CLI_TIME, offsetof(struct reservation_call_place, period_start), "start of delivery",
     CLI_REQUIRED, NULL, NULL, 0},
    {"quantity-wh", CLI_I64, offsetof(struct reservation_call_place, quantity),
     "energy over that market's delivery period", CLI_REQUIRED, NULL, NULL, 0},
    {"price", CLI_EUR, offsetof(struct reservation_call_place, price), "the most to pay, per kWh",
     CLI_REQUIRED, NULL, NULL, 0},
};

static const struct cli_command commands[] = {
    {.verb = "list",
     .summary = "deals, each proven; all, or some",
     .teach = "  flex deal list --state matched --market west-1h --side buy --since 2025-01-15",
     .options = list_options,
     .option_count = sizeof list_options / sizeof list_options[0],
     .arguments_size = sizeof(struct filter),
     .run = run_list},
    {.verb = "watch",
     .summary = "deals as they change, live and proven",
     .teach = "Prints what has not ended, then every deal that is made, proven, disputed or ended, "
              "with\n"
              "its proof, until Ctrl-C or (--until-closed) until all have ended. Under --json one\n"
              "object per line.\n"
              "  flex deal watch --market west-1h",
     .options = watch_options,
     .option_count = WATCH_OPTIONS,
     .arguments_size = sizeof(struct watch),
     .more_words = "ID...",
     .run = watch_deals},
    {.verb = "trades",
     .summary = "deals as they were matched, in the order of the chain, by a node's word",
     .teach = "  flex deal trades --market west-1h --from-height 1200 --csv",
     .options = market_pages_options,
     .option_count = MARKET_PAGES_OPTIONS,
     .arguments_size = sizeof(struct market_pages),
     .run = market_pages_trades},
    {.verb = "verify",
     .summary = "whether copies of trades are what the ledger holds",
     .teach =
         "CSV or JSON as trades and list print them, or with fewer columns. Names the first wrong\n"
         "line; exit 4.\n"
         "  flex deal verify trades.csv",
     .more_words = "FILE...",
     .run = deal_verify_run},
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
    {.verb = "dispute",
     .summary = "hold a proven deal's money until it is decided (buyer or seller)",
     .teach =
         "Locks a tenth of the escrow as a bond. Without a decision in 30 days the proof stands.\n"
         "  flex deal dispute --deal 7 --evidence $(sha256sum report.pdf | cut -c-64)",
     .options = dispute_options,
     .option_count = sizeof dispute_options / sizeof dispute_options[0],
     .arguments_size = sizeof(struct deal_dispute),
     .action = ACTION_DEAL_DISPUTE},
    {.verb = "call",
     .summary = "activate a reservation (its buyer)",
     .teach =
         "Places a request in the market below and locks its price; the provider answers with\n"
         "flex order offer --reservation. Its deals must be due before the reservation is paid, "
         "so\n"
         "the market below has a shorter proof deadline (bad_period else).\n"
         "  flex deal call --deal 7 --market west-15m --start 2025-01-07T18:00Z \\\n"
         "       --quantity-wh 1000 --price 0.40",
     .options = call_options,
     .option_count = sizeof call_options / sizeof call_options[0],
     .arguments_size = sizeof(struct reservation_call_place),
     .action = ACTION_RESERVATION_CALL},
};

const struct cli_noun deal_noun = {"deal", "agreements, delivery, settlement", commands,
                                   sizeof commands / sizeof commands[0]};
