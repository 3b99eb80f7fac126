/* flex bill: what one participant bid, traded, delivered, paid and got in a period (D5.5 3.2.6;
 * market-rules 9), out of the ledger's own records, as text, JSON or CSV for a billing system.
 *
 * Invariants: deals and orders belong to the period that their delivery starts in; every one on the
 * bill has been proven from the genesis file unless --no-verify says otherwise, is there once, and is
 * that participant's and of that period by the proven record; all sums are checked.
 *
 * Absent on purpose: fees per transaction. They stand in receipts, not in the state; what is shown
 * as fees is the deals' own. A list's completeness is the node's word; an export proves it. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "contracts/deal.h"
#include "tools/nouns.h"

struct bill {
    struct name who;
    int64_t from_ms;
    int64_t until_ms;
    const char *csv;
};

static const struct cli_option show_options[] = {
    {"NAME", CLI_NAME, offsetof(struct bill, who), "whose; without it, this wallet's", CLI_WORD,
     NULL, NULL, 0},
    {"from", CLI_TIME, offsetof(struct bill, from_ms), "start of the period", CLI_REQUIRED, NULL,
     NULL, 0},
    {"to", CLI_TIME, offsetof(struct bill, until_ms), "its end (not included)", CLI_REQUIRED, NULL,
     NULL, 0},
    {"csv", CLI_FILE, offsetof(struct bill, csv), "also write the deals into this file",
     CLI_OPTIONAL, NULL, NULL, 0},
};

/* The sums of a bill; each is added to with an overflow check. */
struct totals {
    int64_t orders;
    int64_t ordered_wh;
    int64_t deals;
    int64_t contracted_wh;
    int64_t delivered_wh;
    int64_t paid_ueur;     /* as buyer */
    int64_t received_ueur; /* as seller, before the deals' fees */
    int64_t refunded_ueur; /* as buyer */
    int64_t fees_ueur;     /* as seller */
    int64_t escrow_ueur;   /* of deals that are not settled, as buyer */
};

static bool add(int64_t *sum, int64_t more)
{
    return checked_add_i64(sum, *sum, more);
}

static bool in_period(const struct bill *bill, int64_t start_ms)
{
    return start_ms >= bill->from_ms && start_ms < bill->until_ms;
}

static int too_much(struct cli *cli)
{
    return cli_fail(cli, CLI_UNPROVEN, "overflow", "the sums are more than can be counted");
}

static int not_on_bill(struct cli *cli, const char *kind, const char *id)
{
    return cli_fail(
        cli, CLI_UNPROVEN, "proof_failed",
        "the node lists %s %s as one of this bill, and the ledger has it as another's or "
        "of another time",
        kind, id);
}

static int sum_order(struct cli *cli, struct totals *totals, const struct order_record *order)
{
    return add(&totals->orders, 1) && add(&totals->ordered_wh, energy_wh(order->quantity))
               ? CLI_DONE
               : too_much(cli);
}

/* The node's list says which orders to look at; what counts is each one's own record, proven. */
static int add_orders(struct session *session, const struct bill *bill, const struct name *who,
                      struct totals *totals)
{
    struct cJSON *orders;
    char text[NAME_SIZE + 1];
    name_to_text(text, who);
    int status = session_list(session, &orders, "orders");
    const struct cJSON *listed;
    cJSON_ArrayForEach(listed, orders)
    {
        const char *id = json_string(listed, "id");
        const char *participant = json_string(listed, "participant");
        struct order_record order;
        struct proof proof;
        bool absent;
        int64_t start;
        if (status != CLI_DONE) {
            break;
        }
        if (participant == NULL || strcmp(participant, text) != 0 ||
            !json_i64(&start, listed, "period_start_ms") || !in_period(bill, start)) {
            continue;
        }
        MUST(id != NULL); /* session_list */
        status = session_record(session, "order", id, &order, &absent, &proof);
        if (status != CLI_DONE) {
            break;
        }
        proof_release(&proof);
        /* It may be gone since it was listed. */
        if (!absent) {
            status = name_compare(&order.participant, who) == 0 &&
                             in_period(bill, timestamp_ms(order.period_start))
                         ? sum_order(session->cli, totals, &order)
                         : not_on_bill(session->cli, "order", id);
        }
    }
    cJSON_Delete(orders);
    return status;
}

/* The deal's own record, proven. */
static int read_deal(struct session *session, const struct cJSON *listed, struct deal_record *deal)
{
    struct proof proof;
    bool absent;
    const char *id = json_string(listed, "id");
    if (id == NULL) {
        return cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "a deal has no id");
    }
    int status = session_record(session, "deal", id, deal, &absent, &proof);
    if (status == CLI_DONE) {
        proof_release(&proof);
    }
    if (status == CLI_DONE && absent) {
        status = cli_fail(session->cli, CLI_UNPROVEN, "proof_failed",
                          "the node lists deal %s, but the ledger has none", id);
    }
    return status;
}

static bool sum_deal(struct totals *totals, const struct deal_record *deal, bool buyer, bool seller)
{
    bool ok = add(&totals->deals, 1) && add(&totals->contracted_wh, energy_wh(deal->contracted)) &&
              add(&totals->delivered_wh, energy_wh(deal->delivered));
    /* What a proof that is not final would pay has not been paid: all of it is still in escrow. */
    if (deal_is_open(deal)) {
        return ok && (!buyer || add(&totals->escrow_ueur, money_ueur(deal->escrow)));
    }
    if (buyer) {
        ok = ok && add(&totals->paid_ueur, money_ueur(deal->paid)) &&
             add(&totals->refunded_ueur, money_ueur(deal->refunded));
    }
    if (seller) {
        ok = ok && add(&totals->received_ueur, money_ueur(deal->paid)) &&
             add(&totals->fees_ueur, money_ueur(deal->fee));
    }
    return ok;
}

static int add_deals(struct session *session, const struct bill *bill, const struct name *who,
                     struct totals *totals, struct cJSON *list)
{
    struct cJSON *deals;
    char text[NAME_SIZE + 1];
    name_to_text(text, who);
    int status = session_list(session, &deals, "deals");
    const struct cJSON *listed;
    cJSON_ArrayForEach(listed, deals)
    {
        struct deal_record deal;
        const char *buyer = json_string(listed, "buyer");
        const char *seller = json_string(listed, "seller");
        int64_t start;
        if (status != CLI_DONE) {
            break;
        }
        if (buyer == NULL || seller == NULL || !json_i64(&start, listed, "period_start_ms") ||
            (strcmp(buyer, text) != 0 && strcmp(seller, text) != 0) || !in_period(bill, start)) {
            continue;
        }
        status = read_deal(session, listed, &deal);
        if (status != CLI_DONE) {
            break;
        }
        bool buys = name_compare(&deal.buyer, who) == 0;
        bool sells = name_compare(&deal.seller, who) == 0;
        if ((!buys && !sells) || !in_period(bill, timestamp_ms(deal.period_start))) {
            status = not_on_bill(session->cli, "deal", json_string(listed, "id"));
        }
        if (status == CLI_DONE && !sum_deal(totals, &deal, buys, sells)) {
            status = too_much(session->cli);
        }
        if (status == CLI_DONE) {
            struct cJSON *item = cJSON_CreateObject();
            cJSON_AddStringToObject(item, "id", json_string(listed, "id"));
            cJSON_AddStringToObject(item, "role",
                                    buys && sells ? "both"
                                    : buys        ? "buyer"
                                                  : "seller");
            noun_merge(item, codec_to_json(state_kind_info(STATE_DEAL)->codec, &deal));
            cJSON_AddItemToArray(list, item);
        }
    }
    cJSON_Delete(deals);
    return status;
}

static void add_totals(struct cJSON *result, const struct totals *totals)
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
    json_add_i64(object, "escrow_ueur", totals->escrow_ueur);
}

/* Names, enums and integers only, so no field needs quotes. */
static int write_csv(struct cli *cli, const char *path, const struct cJSON *deals)
{
    static const char *const columns[] = {"id",
                                          "role",
                                          "state",
                                          "market",
                                          "direction",
                                          "device",
                                          "buyer",
                                          "seller",
                                          "period_start_ms",
                                          "contracted_wh",
                                          "delivered_wh",
                                          "credited_wh",
                                          "price_ueur_per_kwh",
                                          "paid_ueur",
                                          "refunded_ueur",
                                          "fee_ueur"};
    const size_t count = sizeof columns / sizeof columns[0];
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    MUST(stream != NULL);
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%s%s", columns[i], i + 1 == count ? "\n" : ",");
    }
    const struct cJSON *deal;
    cJSON_ArrayForEach(deal, deals)
    {
        for (size_t i = 0; i < count; i++) {
            const char *value = json_string(deal, columns[i]);
            fprintf(stream, "%s%s", value != NULL ? value : "", i + 1 == count ? "\n" : ",");
        }
    }
    fclose(stream);
    MUST(text != NULL);
    bool ok = files_write(path, text, size, 0644);
    int fault = errno;
    free(text);
    return ok ? CLI_DONE : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(fault));
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct bill *bill = arguments;
    struct session session;
    struct totals totals = {0};
    struct name who;
    char text[NAME_SIZE + 1];
    if (bill->until_ms <= bill->from_ms) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--to must be after --from");
    }
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_participant(&session, &who, &bill->who);
    }
    if (status == CLI_DONE) {
        cJSON_AddStringToObject(cli->result, "participant", name_to_text(text, &who));
        json_add_i64(cli->result, "from_ms", bill->from_ms);
        json_add_i64(cli->result, "until_ms", bill->until_ms);
        status = add_orders(&session, bill, &who, &totals);
    }
    if (status == CLI_DONE) {
        status =
            add_deals(&session, bill, &who, &totals, cJSON_AddArrayToObject(cli->result, "deals"));
    }
    session_close(&session);
    if (status != CLI_DONE) {
        return status;
    }
    const struct cJSON *deals = json_array(cli->result, "deals");
    add_totals(cli->result, &totals);
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    if (!cli->json) {
        cli_say(cli, "bill of %s\n\n", text);
        cli_say_table(cli, deals,
                      "id role state period_start_ms direction device contracted_wh delivered_wh "
                      "price_ueur_per_kwh paid_ueur refunded_ueur fee_ueur");
        cli_say(cli, "\n");
        cli_say_object(cli, json_object(cli->result, "totals"));
    }
    return bill->csv != NULL ? write_csv(cli, bill->csv, deals) : CLI_DONE;
}

static const struct cli_command commands[] = {
    {.verb = "show",
     .summary = "one participant's period: bids, trades, delivery, money",
     .teach = "  flex bill show agg-a --from 2025-01-01 --to 2025-02-01 --csv january.csv",
     .options = show_options,
     .option_count = sizeof show_options / sizeof show_options[0],
     .arguments_size = sizeof(struct bill),
     .run = run_show},
};

const struct cli_noun bill_noun = {"bill", "bills from the ledger's records", commands,
                                   sizeof commands / sizeof commands[0]};
