/* What a bill adds up to, and how it is shown (tools/bill.h; docs/billing.md).
 *
 * Invariants:
 * 1. Opening + lines = closing, to the micro-euro, and no line leaves the balance below zero: else there is
 *    no bill.
 * 2. A deal's fee and penalty stand where they were paid: on the seller's bill.
 * 3. All sums are checked; none is shown that could not be counted.
 *
 * Deliberately absent: where the parts come from and what proves them; readings (bill_meter.c). */
#include "tools/bill.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "contracts/deal.h"
#include "tools/csv_write.h"
#include "tools/market_history.h"
#include "tools/nouns.h"
#include "tools/value.h"

void bill_open(struct bill *bill, struct cli *cli, const struct name *who, int64_t from_ms,
               int64_t until_ms)
{
    *bill = (struct bill){.cli = cli, .who = *who, .from_ms = from_ms, .until_ms = until_ms};
    bill->orders = cJSON_CreateArray();
    bill->deals = cJSON_CreateArray();
    MUST(bill->orders != NULL && bill->deals != NULL);
}

void bill_close(struct bill *bill)
{
    free(bill->lines);
    free(bill->meters);
    free(bill->readings);
    cJSON_Delete(bill->orders);
    cJSON_Delete(bill->deals);
    memset(bill, 0, sizeof *bill);
}

static bool add(int64_t *sum, int64_t more)
{
    return checked_add_i64(sum, *sum, more);
}

static int too_much(struct bill *bill)
{
    return cli_fail(bill->cli, CLI_UNPROVEN, "overflow", "the sums are more than can be counted");
}

/* --- lines ---------------------------------------------------------------------------------- */

/* The deal that the line is about ends in the same receipt, a few events further on. */
static bool know_deal(struct statement_line *line, struct bytes_view events, size_t cursor)
{
    struct event_deal ended;
    struct bytes_view record;
    uint8_t type;
    while (event_next(events, &cursor, &type, &record)) {
        if (type == EVENT_DEAL_ENDED && codec_decode_all(event_codec(type), &ended, record) &&
            ended.id == line->other.id) {
            statement_know_deal(line, &ended.deal);
            return true;
        }
    }
    return false;
}

static void add_line(struct bill *bill, const struct bill_place *at, uint32_t event,
                     const struct statement_line *line)
{
    bill->lines =
        history_room(bill->lines, &bill->line_room, bill->line_count, sizeof *bill->lines);
    struct bill_line *out = &bill->lines[bill->line_count++];
    *out =
        (struct bill_line){.at = *at, .event = event, .kind = line->kind, .amount = line->amount};
    statement_pot_text(out->other, &line->other);
}

int bill_take_receipt(struct bill *bill, const struct bill_place *at, const struct receipt *receipt,
                      bool paid)
{
    struct statement_line lines[STATEMENT_LINES_PER_EVENT];
    struct bytes_view record;
    size_t cursor = 0;
    uint8_t type;
    bool good = true;
    if (paid && money_ueur(receipt->fee) != 0) {
        lines[0] = statement_of_fee(&bill->who, receipt->fee);
        add_line(bill, at, 0, &lines[0]);
    }
    for (uint32_t event = 0; good && event_next(receipt->events, &cursor, &type, &record);
         event++) {
        bool broken;
        uint32_t count = statement_of_event(lines, &broken, type, record);
        good = !broken;
        for (uint32_t i = 0; good && i < count; i++) {
            if (name_compare(&lines[i].who, &bill->who) != 0) {
                continue;
            }
            good =
                !statement_needs_deal(&lines[i]) || know_deal(&lines[i], receipt->events, cursor);
            add_line(bill, at, event, &lines[i]);
        }
    }
    return good && cursor == receipt->events.size
               ? CLI_DONE
               : cli_fail(bill->cli, CLI_UNPROVEN, "proof_failed",
                          "block %llu: a receipt tells of money in a form that this version does "
                          "not know",
                          (unsigned long long)at->height);
}

int bill_reconcile(struct bill *bill)
{
    int64_t balance = money_ueur(bill->balance);
    bool good = true;
    bill->closing = bill->balance;
    bill->period_lines = 0;
    /* Backwards from the balance that is proven; what it was before each line is never below zero. */
    for (size_t i = bill->line_count; good && i > 0; i--) {
        const struct bill_line *line = &bill->lines[i - 1];
        bool inside = timestamp_ms(line->at.time) < bill->until_ms;
        if (inside && bill->period_lines == 0) {
            bill->period_lines = i;
            bill->closing = money_of(balance);
        }
        good = timestamp_ms(line->at.time) >= bill->from_ms &&
               checked_sub_i64(&balance, balance, money_ueur(line->amount)) && balance >= 0;
        if (!inside) {
            bill->closing = money_of(balance);
        }
    }
    bill->opening = money_of(balance);
    good = good && (bill->first > 1 || balance == 0);
    return good ? CLI_DONE
                : cli_fail(bill->cli, CLI_UNPROVEN, "not_reconciled",
                           "the lines from block %llu to block %llu do not lead to the balance: "
                           "some are missing, or some are not true",
                           (unsigned long long)bill->first, (unsigned long long)bill->last);
}

/* --- orders and deals ----------------------------------------------------------------------- */

bool bill_has_period(const struct bill *bill, struct timestamp start)
{
    return timestamp_ms(start) >= bill->from_ms && timestamp_ms(start) < bill->until_ms;
}

int bill_add_order(struct bill *bill, const char *id, const struct order_record *order)
{
    struct cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "id", id);
    noun_merge(item, codec_to_json(&order_record_codec, order));
    cJSON_AddItemToArray(bill->orders, item);
    return add(&bill->totals.orders, 1) && add(&bill->totals.ordered_wh, energy_wh(order->quantity))
               ? CLI_DONE
               : too_much(bill);
}

static bool sum_buyer(struct bill_totals *totals, const struct deal_record *deal)
{
    return add(&totals->bought_wh, energy_wh(deal->credited)) &&
           add(&totals->paid_ueur, money_ueur(deal->paid)) &&
           add(&totals->refunded_ueur, money_ueur(deal->refunded)) &&
           add(&totals->penalty_received_ueur, money_ueur(deal->penalty));
}

static bool sum_seller(struct bill_totals *totals, const struct deal_record *deal)
{
    return add(&totals->sold_wh, energy_wh(deal->credited)) &&
           add(&totals->received_ueur, money_ueur(deal->paid)) &&
           add(&totals->fees_ueur, money_ueur(deal->fee)) &&
           add(&totals->penalty_paid_ueur, money_ueur(deal->penalty));
}

static bool sum_deal(struct bill_totals *totals, const struct deal_record *deal, bool buys,
                     bool sells)
{
    bool ok = add(&totals->deals, 1) && add(&totals->contracted_wh, energy_wh(deal->contracted)) &&
              add(&totals->delivered_wh, energy_wh(deal->delivered));
    /* What a proof that is not final would pay has not been paid: all of it is still in escrow. */
    if (deal_is_open(deal)) {
        return ok && (!buys || add(&totals->escrow_ueur, money_ueur(deal->escrow)));
    }
    return ok && (!buys || sum_buyer(totals, deal)) && (!sells || sum_seller(totals, deal));
}

/* The device's certified net consumption over the deal's period; false if a reading is missing. */
static bool metered(const struct bill *bill, int64_t *net_wh, const struct deal_record *deal,
                    int64_t length_ms)
{
    int64_t start = timestamp_ms(deal->period_start);
    int64_t covered = 0;
    *net_wh = 0;
    for (uint32_t i = 0; i < bill->reading_count; i++) {
        const struct meter_reading *reading = &bill->readings[i];
        int64_t at = timestamp_ms(reading->interval_start);
        if (reading->meter == METER_CERTIFIED &&
            name_compare(&reading->device, &deal->device) == 0 && at >= start &&
            at + duration_ms(reading->interval) <= start + length_ms) {
            covered += duration_ms(reading->interval);
            if (!add(net_wh, energy_wh(reading->net))) {
                return false;
            }
        }
    }
    return covered == length_ms;
}

int bill_add_deal(struct bill *bill, const char *id, const struct deal_record *deal,
                  const struct market_create *terms)
{
    bool buys = name_compare(&deal->buyer, &bill->who) == 0;
    bool sells = name_compare(&deal->seller, &bill->who) == 0;
    int64_t length_ms;
    int64_t net_wh;
    MUST(buys || sells);
    /* The record holds both sides; on one side's bill stands what that side paid. */
    struct deal_record shown = *deal;
    if (!sells) {
        shown.fee = money_of(0);
    }
    struct cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "id", id);
    cJSON_AddStringToObject(item, "role", buys && sells ? "both" : buys ? "buyer" : "seller");
    cJSON_AddStringToObject(item, "product", market_product_names[terms->product]);
    noun_merge(item, codec_to_json(&deal_record_codec, &shown));
    if (checked_mul_i64(&length_ms, duration_ms(terms->times.mtu), terms->times.mtus_per_period) &&
        metered(bill, &net_wh, deal, length_ms)) {
        json_add_i64(item, "metered_net_wh", net_wh);
    }
    cJSON_AddItemToArray(bill->deals, item);
    return sum_deal(&bill->totals, deal, buys, sells) ? CLI_DONE : too_much(bill);
}

/* --- showing -------------------------------------------------------------------------------- */

static void add_totals(struct cJSON *result, const struct bill_totals *totals)
{
    struct cJSON *object = cJSON_AddObjectToObject(result, "totals");
    json_add_i64(object, "orders", totals->orders);
    json_add_i64(object, "ordered_wh", totals->ordered_wh);
    json_add_i64(object, "deals", totals->deals);
    json_add_i64(object, "contracted_wh", totals->contracted_wh);
    json_add_i64(object, "delivered_wh", totals->delivered_wh);
    json_add_i64(object, "paid_ueur", totals->paid_ueur);
    json_add_i64(object, "received_ueur", totals->received_ueur);
    json_add_i64(object, "refunded_ueur", totals->refunded_ueur);
    json_add_i64(object, "fees_ueur", totals->fees_ueur);
    json_add_i64(object, "penalty_paid_ueur", totals->penalty_paid_ueur);
    json_add_i64(object, "penalty_received_ueur", totals->penalty_received_ueur);
    json_add_i64(object, "escrow_ueur", totals->escrow_ueur);
}

/* Local against grid: what was bought and sold on the ledger's markets beside what went over the meters;
 * those are there only with readings. */
static int add_energy(struct bill *bill)
{
    struct cJSON *object = cJSON_AddObjectToObject(bill->cli->result, "energy");
    struct cJSON *meters = cJSON_AddArrayToObject(bill->cli->result, "meters");
    int64_t imported = 0, exported = 0;
    for (size_t i = 0; i < bill->meter_count; i++) {
        const struct bill_meter *meter = &bill->meters[i];
        int64_t period = bill->until_ms - bill->from_ms;
        struct cJSON *item = cJSON_CreateObject();
        char text[NAME_SIZE + 1];
        cJSON_AddStringToObject(item, "device", name_to_text(text, &meter->device));
        json_add_i64(item, "interval_ms", duration_ms(meter->interval));
        json_add_u32(item, "readings", meter->readings);
        json_add_i64(item, "missing", period / duration_ms(meter->interval) - meter->readings);
        json_add_i64(item, "imported_wh", meter->imported_wh);
        json_add_i64(item, "exported_wh", meter->exported_wh);
        cJSON_AddItemToArray(meters, item);
        if (!add(&imported, meter->imported_wh) || !add(&exported, meter->exported_wh)) {
            return too_much(bill);
        }
    }
    json_add_i64(object, "bought_locally_wh", bill->totals.bought_wh);
    json_add_i64(object, "sold_locally_wh", bill->totals.sold_wh);
    if (bill->meter_count > 0) {
        json_add_i64(object, "imported_wh", imported);
        json_add_i64(object, "exported_wh", exported);
    }
    return CLI_DONE;
}

static struct cJSON *line_json(const struct bill_line *line, int64_t balance)
{
    char hex[2 * HASH_SIZE + 1] = "";
    struct cJSON *item = cJSON_CreateObject();
    if (!hash_is_zero(&line->at.tx_id)) {
        hex_encode(hex, line->at.tx_id.bytes, HASH_SIZE);
    }
    json_add_u64(item, "height", line->at.height);
    json_add_i64(item, "time_ms", timestamp_ms(line->at.time));
    json_add_u32(item, "position", line->at.position);
    json_add_u32(item, "event", line->event);
    cJSON_AddStringToObject(item, "transaction", hex);
    cJSON_AddStringToObject(item, "kind", statement_kind_names[line->kind]);
    cJSON_AddStringToObject(item, "other", line->other);
    json_add_i64(item, "amount_ueur", money_ueur(line->amount));
    json_add_i64(item, "balance_ueur", balance);
    return item;
}

/* The statement, and beside it the sum of each kind of line that it has. */
static void add_statement(struct bill *bill)
{
    struct cJSON *result = bill->cli->result;
    struct cJSON *object = cJSON_AddObjectToObject(result, "statement");
    json_add_i64(object, "opening_ueur", money_ueur(bill->opening));
    json_add_i64(object, "closing_ueur", money_ueur(bill->closing));
    json_add_u64(object, "first_block", bill->first);
    json_add_u64(object, "last_block", bill->last);
    json_add_u64(object, "receipts_proven", bill->receipts_proven);
    json_add_u64(object, "receipts_listed", bill->receipts_listed);
    struct cJSON *kinds = cJSON_AddArrayToObject(result, "by_kind");
    struct cJSON *lines = cJSON_AddArrayToObject(result, "lines");
    int64_t sums[STATEMENT_KIND_COUNT] = {0};
    uint64_t counts[STATEMENT_KIND_COUNT] = {0};
    int64_t balance = money_ueur(bill->opening);
    for (size_t i = 0; i < bill->period_lines; i++) {
        const struct bill_line *line = &bill->lines[i];
        /* bill_reconcile has walked the same sums; what one kind adds up to can be no more than turnover,
         * which an int64 of micro-euro holds for any chain that is not a test of this line. */
        MUST(add(&balance, money_ueur(line->amount)));
        MUST(add(&sums[line->kind], money_ueur(line->amount)));
        counts[line->kind]++;
        cJSON_AddItemToArray(lines, line_json(line, balance));
    }
    MUST(balance == money_ueur(bill->closing));
    for (int kind = 0; kind < STATEMENT_KIND_COUNT; kind++) {
        if (counts[kind] > 0) {
            struct cJSON *item = cJSON_CreateObject();
            cJSON_AddStringToObject(item, "kind", statement_kind_names[kind]);
            json_add_u64(item, "lines", counts[kind]);
            json_add_i64(item, "amount_ueur", sums[kind]);
            cJSON_AddItemToArray(kinds, item);
        }
    }
}

static void say(struct bill *bill)
{
    struct cli *cli = bill->cli;
    char who[NAME_SIZE + 1];
    char from[VALUE_TEXT_SIZE], until[VALUE_TEXT_SIZE];
    cli_say(cli, "bill of %s, %s to %s\n\n", name_to_text(who, &bill->who),
            value_time_text(from, bill->from_ms), value_time_text(until, bill->until_ms));
    if (cJSON_GetArraySize(json_array(cli->result, "deals")) > 0) {
        cli_say_table(
            cli, json_array(cli->result, "deals"),
            "id role state period_start_ms device contracted_wh credited_wh price_ueur_per_kwh "
            "paid_ueur refunded_ueur fee_ueur penalty_ueur");
        cli_say(cli, "\n");
    }
    cli_say_object(cli, json_object(cli->result, "totals"));
    cli_say(cli, "\n");
    cli_say_object(cli, json_object(cli->result, "energy"));
    cli_say(cli, "\naccount\n");
    cli_say_object(cli, json_object(cli->result, "statement"));
    cli_say(cli, "\n");
    cli_say_table(cli, json_array(cli->result, "by_kind"), "kind lines amount_ueur");
}

static const char deal_columns[] =
    "id role state market product direction device buyer seller period_start_ms contracted_wh "
    "delivered_wh credited_wh metered_net_wh price_ueur_per_kwh escrow_ueur paid_ueur "
    "refunded_ueur "
    "fee_ueur penalty_ueur";

/* One row with the sums, for systems that want no more than that. */
static struct cJSON *summary_rows(const struct bill *bill)
{
    const struct cJSON *result = bill->cli->result;
    static const char *const parts[] = {"totals", "energy", "statement"};
    struct cJSON *rows = cJSON_CreateArray();
    struct cJSON *row = cJSON_CreateObject();
    char who[NAME_SIZE + 1];
    cJSON_AddStringToObject(row, "participant", name_to_text(who, &bill->who));
    json_add_i64(row, "from_ms", bill->from_ms);
    json_add_i64(row, "until_ms", bill->until_ms);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        noun_merge(row, cJSON_Duplicate(json_object(result, parts[i]), true));
    }
    cJSON_AddItemToArray(rows, row);
    return rows;
}

static int write_tables(struct bill *bill, const char *directory)
{
    struct cli *cli = bill->cli;
    static const struct {
        const char *name, *columns;
    } tables[] = {
        {"deals", deal_columns},
        {"orders",
         "id market side direction status period_start_ms quantity_wh open_wh price_ueur_per_kwh "
         "device height"},
        {"lines", "height time_ms position event transaction kind other amount_ueur balance_ueur"},
        {"meters", "device interval_ms readings missing imported_wh exported_wh"},
    };
    struct cJSON *summary = summary_rows(bill);
    int status = csv_write_in(
        cli, directory, "bill",
        "participant from_ms until_ms orders ordered_wh deals contracted_wh delivered_wh paid_ueur "
        "received_ueur refunded_ueur fees_ueur penalty_paid_ueur penalty_received_ueur escrow_ueur "
        "bought_locally_wh sold_locally_wh imported_wh exported_wh opening_ueur closing_ueur "
        "first_block last_block",
        summary);
    cJSON_Delete(summary);
    for (size_t i = 0; status == CLI_DONE && i < sizeof tables / sizeof tables[0]; i++) {
        status = csv_write_in(cli, directory, tables[i].name, tables[i].columns,
                              json_array(cli->result, tables[i].name));
    }
    return status;
}

int bill_print(struct bill *bill, const char *csv, const char *directory)
{
    struct cli *cli = bill->cli;
    char who[NAME_SIZE + 1];
    cJSON_AddStringToObject(cli->result, "participant", name_to_text(who, &bill->who));
    json_add_i64(cli->result, "from_ms", bill->from_ms);
    json_add_i64(cli->result, "until_ms", bill->until_ms);
    cJSON_AddItemToObject(cli->result, "orders", bill->orders);
    cJSON_AddItemToObject(cli->result, "deals", bill->deals);
    bill->orders = NULL;
    bill->deals = NULL;
    add_totals(cli->result, &bill->totals);
    add_statement(bill);
    int status = add_energy(bill);
    if (status == CLI_DONE && !cli->json) {
        say(bill);
    }
    if (status == CLI_DONE && directory != NULL) {
        status = write_tables(bill, directory);
    }
    return status == CLI_DONE && csv != NULL
               ? csv_write(cli, csv, deal_columns, json_array(cli->result, "deals"))
               : status;
}
