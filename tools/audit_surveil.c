/* flex audit report: the ledger's totals and deals, and the surveillance report, out of a verified
 * export (docs/spec/surveillance.md).
 *
 * Invariants: what is printed follows from the export, the list of owners and the thresholds, all of
 * which the report names; nothing is rounded but by the floors that the specification names. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/audit_command.h"
#include "tools/csv.h"

const struct cli_option surveillance_query_options[SURVEILLANCE_QUERY_OPTIONS] = {
    {"dir", CLI_DIR, offsetof(struct surveillance_query, dir), "the export's directory",
     CLI_REQUIRED, NULL, NULL, 0},
    {"from", CLI_TIME, offsetof(struct surveillance_query, from_ms),
     "deliveries that start at or after it", CLI_OPTIONAL, NULL, NULL, 0},
    {"to", CLI_TIME, offsetof(struct surveillance_query, to_ms), "deliveries that start before it",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"owners", CLI_FILE, offsetof(struct surveillance_query, owners),
     "CSV with columns participant,owner: who belongs to whom", CLI_OPTIONAL, NULL, NULL, 0},
    {"csv", CLI_DIR, offsetof(struct surveillance_query, csv),
     "write concentration.csv, findings.csv and conduct.csv there", CLI_OPTIONAL, NULL, NULL, 0},
    {"cycle-window", CLI_DURATION, offsetof(struct surveillance_query, cycle_window_ms),
     "from the first to the last trade of a circle", CLI_OPTIONAL, "1d", NULL, 0},
    {"layer-window", CLI_DURATION, offsetof(struct surveillance_query, spoof_window_ms),
     "from a fill to a withdrawal on the other side", CLI_OPTIONAL, "10m", NULL, 0},
    {"late", CLI_DURATION, offsetof(struct surveillance_query, late_ms),
     "a withdrawal that long before the gate is late", CLI_OPTIONAL, "5m", NULL, 0},
    {"layer-count", CLI_U32, offsetof(struct surveillance_query, spoof_count),
     "withdrawals that make a repetition", CLI_OPTIONAL, "3", NULL, 0},
    {"layer-permille", CLI_U32, offsetof(struct surveillance_query, spoof_permille),
     "withdrawn to filled, at least", CLI_OPTIONAL, "2000", NULL, 0},
    {"withheld-permille", CLI_U32, offsetof(struct surveillance_query, withheld_permille),
     "free to potential capacity, at least", CLI_OPTIONAL, "200", NULL, 0},
    {"price-permille", CLI_U32, offsetof(struct surveillance_query, price_permille),
     "dearest deal to the market's cap, at least", CLI_OPTIONAL, "800", NULL, 0},
};

/* --- who belongs to whom ------------------------------------------------------------------- */

static int compare_participants(const void *left, const void *right)
{
    return name_compare(&((const struct surveillance_owner *)left)->participant,
                        &((const struct surveillance_owner *)right)->participant);
}

static bool fill_owners(struct surveillance_owner *owners, const struct csv_table *table,
                        char problem[CSV_PROBLEM_SIZE])
{
    uint32_t columns[2];
    if (!csv_column(&columns[0], table, "participant", problem) ||
        !csv_column(&columns[1], table, "owner", problem)) {
        return false;
    }
    for (uint32_t row = 0; row < table->rows; row++) {
        struct name *into[2] = {&owners[row].participant, &owners[row].owner};
        for (int i = 0; i < 2; i++) {
            const char *text = csv_field(table, row, columns[i]);
            if (!name_from_text(into[i], text, strlen(text))) {
                snprintf(problem, CSV_PROBLEM_SIZE, "%.100s: row %u: '%.40s' is no name",
                         table->name, row + 1, text);
                return false;
            }
        }
    }
    qsort(owners, table->rows, sizeof *owners, compare_participants);
    for (uint32_t row = 1; row < table->rows; row++) {
        if (compare_participants(&owners[row - 1], &owners[row]) == 0) {
            char text[NAME_SIZE + 1];
            snprintf(problem, CSV_PROBLEM_SIZE, "%.100s: %s has two owners", table->name,
                     name_to_text(text, &owners[row].participant));
            return false;
        }
    }
    return true;
}

/* *out is the caller's to free. */
static int load_owners(struct cli *cli, struct surveillance_owner **out, uint32_t *count,
                       const char *path_or_null)
{
    struct csv_table table;
    char problem[CSV_PROBLEM_SIZE];
    *out = NULL;
    *count = 0;
    if (path_or_null == NULL) {
        return CLI_DONE;
    }
    if (!csv_read(&table, path_or_null, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_owners", "%s", problem);
    }
    bool good = table.rows <= SURVEILLANCE_OWNERS_MAX;
    snprintf(problem, sizeof problem, "%.200s: more than %d rows", path_or_null,
             SURVEILLANCE_OWNERS_MAX);
    *out = calloc(table.rows + 1, sizeof **out);
    MUST(*out != NULL);
    good = good && fill_owners(*out, &table, problem);
    *count = table.rows;
    csv_free(&table);
    return good ? CLI_DONE : cli_fail(cli, CLI_USAGE, "bad_owners", "%s", problem);
}

/* --- rows ---------------------------------------------------------------------------------- */

/* An index that has no value stays out of the row: empty in CSV, absent in JSON. */
static void add_index(struct cJSON *row, const char *key, int64_t value)
{
    if (value >= 0) {
        json_add_i64(row, key, value);
    }
}

static const char *grade(int64_t hhi)
{
    return hhi < 0                           ? "none"
           : hhi > SURVEILLANCE_HHI_HIGH     ? "high"
           : hhi > SURVEILLANCE_HHI_MODERATE ? "moderate"
                                             : "low";
}

static struct cJSON *concentration_row(const struct concentration *from)
{
    struct cJSON *row = cJSON_CreateObject();
    audit_add_name(row, "market", &from->market);
    cJSON_AddStringToObject(row, "direction", from->all ? "all" : direction_names[from->direction]);
    if (!from->all) {
        json_add_i64(row, "period_start_ms", timestamp_ms(from->start));
    }
    cJSON_AddBoolToObject(row, "closed", from->closed);
    json_add_u32(row, "suppliers", from->suppliers);
    json_add_i64(row, "requested_wh", from->requested_wh);
    json_add_i64(row, "offered_wh", from->offered_wh);
    json_add_i64(row, "traded_wh", from->traded_wh);
    json_add_i64(row, "available_wh", from->available_wh);
    add_index(row, "hhi_traded", from->hhi_traded);
    add_index(row, "hhi_offered", from->hhi_offered);
    cJSON_AddStringToObject(row, "concentration", grade(from->hhi_offered));
    add_index(row, "rsi_permille", from->rsi_permille);
    add_index(row, "rsi3_permille", from->rsi3_permille);
    add_index(row, "rsi_available_permille", from->rsi_available_permille);
    json_add_u32(row, "pivotal", from->pivotal);
    audit_add_name(row, "largest", &from->largest);
    return row;
}

static void add_path(struct cJSON *row, const struct finding *finding)
{
    char text[SURVEILLANCE_PATH_MAX * (NAME_SIZE + 1) + 1] = "";
    char name[NAME_SIZE + 1];
    size_t used = 0;
    for (uint32_t i = 0; i < finding->path_count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? ">" : "",
                                 name_to_text(name, &finding->path[i]));
    }
    MUST(used < sizeof text);
    cJSON_AddStringToObject(row, "path", text);
}

static struct cJSON *finding_row(const struct market_history *history, const struct finding *from)
{
    const struct history_book *book = &history->books[from->book];
    struct cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "finding", finding_names[from->kind]);
    audit_add_name(row, "market", &book->market);
    cJSON_AddStringToObject(row, "direction", direction_names[book->direction]);
    json_add_i64(row, "period_start_ms", timestamp_ms(book->start));
    audit_add_name(row, "owner", &from->owner);
    cJSON_AddStringToObject(row, "side",
                            from->kind == FINDING_LAYERING ? order_side_names[from->side] : "");
    json_add_u64(row, "deal", from->deal);
    json_add_u32(row, "count", from->count);
    json_add_u32(row, "late", from->late);
    json_add_i64(row, "quantity_wh", from->quantity_wh);
    json_add_i64(row, "against_wh", from->against_wh);
    json_add_i64(row, "permille", from->permille);
    add_index(row, "price_ueur_per_kwh", from->price_ueur_per_kwh);
    add_path(row, from);
    return row;
}

static struct cJSON *conduct_row(const struct conduct *from)
{
    struct cJSON *row = cJSON_CreateObject();
    audit_add_name(row, "market", &from->market);
    audit_add_name(row, "owner", &from->owner);
    cJSON_AddStringToObject(row, "side", order_side_names[from->side]);
    json_add_u32(row, "orders", from->orders);
    json_add_u32(row, "withdrawals", from->withdrawals);
    json_add_u32(row, "late", from->late);
    json_add_i64(row, "placed_wh", from->placed_wh);
    json_add_i64(row, "traded_wh", from->traded_wh);
    json_add_i64(row, "withdrawn_wh", from->withdrawn_wh);
    json_add_i64(row, "expired_wh", from->expired_wh);
    return row;
}

static const struct audit_table tables[] = {
    {.name = "concentration",
     .columns =
         "market direction period_start_ms closed suppliers requested_wh offered_wh traded_wh "
         "available_wh hhi_traded hhi_offered concentration rsi_permille rsi3_permille "
         "rsi_available_permille pivotal largest",
     .shown = "market direction period_start_ms suppliers requested_wh offered_wh traded_wh "
              "hhi_traded hhi_offered concentration rsi_permille pivotal"},
    {.name = "findings",
     .columns = "finding market direction period_start_ms owner side deal count late quantity_wh "
                "against_wh permille price_ueur_per_kwh path",
     .shown = "finding market direction period_start_ms owner deal count late quantity_wh "
              "against_wh permille path"},
    {.name = "conduct",
     .columns = "market owner side orders withdrawals late placed_wh traded_wh withdrawn_wh "
                "expired_wh",
     .shown = "market owner side orders withdrawals late placed_wh traded_wh withdrawn_wh "
              "expired_wh"},
};

static struct cJSON *row_of(const struct surveillance *found, const struct market_history *history,
                            unsigned table, size_t index)
{
    switch (table) {
    case 0:
        return index < found->concentration_count ? concentration_row(&found->concentrations[index])
                                                  : NULL;
    case 1:
        return index < found->finding_count ? finding_row(history, &found->findings[index]) : NULL;
    default:
        return index < found->conduct_count ? conduct_row(&found->conducts[index]) : NULL;
    }
}

static int print_tables(struct cli *cli, const struct surveillance_query *wanted,
                        const struct surveillance *found, const struct market_history *history)
{
    int status = CLI_DONE;
    for (unsigned i = 0; status == CLI_DONE && i < sizeof tables / sizeof tables[0]; i++) {
        struct audit_table table = tables[i];
        struct cJSON *row;
        table.cli = cli;
        if (wanted->csv == NULL && !cli->json) {
            cli_say(cli, "\n%s\n", table.name);
        }
        status = audit_table_begin(&table, false, wanted->csv);
        for (size_t r = 0; status == CLI_DONE && (row = row_of(found, history, i, r)) != NULL;
             r++) {
            audit_table_row(&table, row);
        }
        status = status == CLI_DONE ? audit_table_end(&table) : status;
    }
    return status;
}

/* --- totals and deals ---------------------------------------------------------------------- */

static bool add_deal(void *context, const char *id, struct bytes_view key, struct bytes_view value)
{
    struct deal_record deal;
    (void)key;
    if (!codec_decode_all(state_kind_info(STATE_DEAL)->codec, &deal, value)) {
        return false;
    }
    struct cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "id", id);
    cJSON_AddStringToObject(item, "state", deal_state_names[deal.state]);
    audit_add_name(item, "buyer", &deal.buyer);
    audit_add_name(item, "seller", &deal.seller);
    json_add_i64(item, "contracted_wh", energy_wh(deal.contracted));
    json_add_i64(item, "delivered_wh", energy_wh(deal.delivered));
    json_add_i64(item, "paid_ueur", money_ueur(deal.paid));
    json_add_i64(item, "refunded_ueur", money_ueur(deal.refunded));
    cJSON_AddItemToArray(context, item);
    return true;
}

static int add_totals(struct cli *cli, struct audit *audit)
{
    struct audit_totals totals;
    char reason[AUDIT_PROBLEM_SIZE];
    if (!audit_totals(&totals, audit_state(audit), reason)) {
        return cli_fail(cli, CLI_UNPROVEN, "audit_failed", "%s", reason);
    }
    json_add_i64(cli->result, "minted_ueur", money_ueur(totals.minted));
    json_add_i64(cli->result, "burned_ueur", money_ueur(totals.burned));
    json_add_i64(cli->result, "balances_ueur", money_ueur(totals.balances));
    json_add_i64(cli->result, "escrow_ueur", money_ueur(totals.escrow));
    json_add_i64(cli->result, "fees_ueur", money_ueur(totals.fees));
    struct cJSON *deals = cJSON_AddArrayToObject(cli->result, "deals");
    if (!audit_each(audit_state(audit), STATE_DEAL, add_deal, deals)) {
        return cli_fail(cli, CLI_UNPROVEN, "audit_failed", "a deal's record is malformed");
    }
    if (!cli->json) {
        cli_say_object(cli, cli->result);
    }
    return CLI_DONE;
}

/* The thresholds that the findings rest on, so that the report can be made again. */
static void add_terms(struct cli *cli, const struct surveillance_query *wanted)
{
    struct cJSON *terms = cJSON_AddObjectToObject(cli->result, "thresholds");
    json_add_i64(terms, "from_ms", wanted->from_ms);
    json_add_i64(terms, "to_ms", wanted->to_ms);
    json_add_i64(terms, "cycle_window_ms", wanted->cycle_window_ms);
    json_add_i64(terms, "layer_window_ms", wanted->spoof_window_ms);
    json_add_i64(terms, "late_ms", wanted->late_ms);
    json_add_u32(terms, "layer_count", wanted->spoof_count);
    json_add_u32(terms, "layer_permille", wanted->spoof_permille);
    json_add_u32(terms, "withheld_permille", wanted->withheld_permille);
    json_add_u32(terms, "price_permille", wanted->price_permille);
}

static struct surveillance_terms terms_of(const struct surveillance_query *wanted)
{
    struct surveillance_terms terms;
    surveillance_defaults(&terms);
    terms.from = timestamp_of(wanted->from_ms);
    terms.to = timestamp_of(wanted->to_ms == 0 ? INT64_MAX : wanted->to_ms);
    terms.cycle_window = duration_of(wanted->cycle_window_ms);
    terms.spoof_window = duration_of(wanted->spoof_window_ms);
    terms.late = duration_of(wanted->late_ms);
    terms.spoof_count = wanted->spoof_count;
    terms.spoof_permille = wanted->spoof_permille;
    terms.withheld_permille = wanted->withheld_permille;
    terms.price_permille = wanted->price_permille;
    return terms;
}

int surveillance_query_run(struct cli *cli, void *arguments)
{
    const struct surveillance_query *wanted = arguments;
    struct surveillance_terms terms = terms_of(wanted);
    struct surveillance found = {0};
    struct surveillance_owner *owners;
    struct audit *audit = NULL;
    struct market_history *history = history_create();
    struct audit_options options = {.watch = history_watch, .watch_context = history};
    int status = load_owners(cli, &owners, &terms.owner_count, wanted->owners);
    terms.owners = owners;
    if (status == CLI_DONE) {
        status = audit_command_verify(cli, &audit, wanted->dir, &options);
    }
    if (status == CLI_DONE) {
        status = add_totals(cli, audit);
    }
    if (status == CLI_DONE) {
        add_terms(cli, wanted);
        surveillance_run(&found, history, &terms);
        status = print_tables(cli, wanted, &found, history);
    }
    if (audit != NULL) {
        audit_close(audit);
    }
    surveillance_free(&found);
    history_destroy(history);
    free(owners);
    return status;
}
