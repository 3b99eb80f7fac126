/* flex bill show: a bill out of what a node says and proves (tools/bill.h; docs/billing.md, "What is
 * proven").
 *
 * The node names the receipts that moved the participant's money; each is then proven from the genesis
 * file, and the lines are taken from the proof, not from the node's word. Balance, orders, deals, terms and
 * devices are proven records.
 *
 * Invariants:
 * 1. What the node listed and what the receipts tell is the same, line by line.
 * 2. The lines lead from zero, or from an opening balance, to a balance that is proven; so what a node can
 *    hide is only receipts whose lines cancel out. flex bill audit finds those too.
 * 3. The block before the first one is proven to be older than the period.
 *
 * A node that gives reads by role shows a receipt whole to its sender alone: then the lines of the others are
 * the node's word, as many as `receipts_listed` says, within a sum that is proven.
 *
 * Deliberately absent: trust in a list's completeness for orders and deals; an export proves that. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/bill.h"
#include "tools/session.h"

/* Transactions and block ends that one bill proves; a longer account takes shorter periods, or an export. */
enum { BILL_RECEIPTS_MAX = 65536, PAGE_ROWS = 1000, BILL_PAGES_MAX = 1000000 };

struct billing {
    struct session session;
    struct bill bill;
    bool
        filtered; /* the node shows others' receipts, and those of block ends, to a regulator alone */
};

static int bad_answer(struct billing *billing, const char *what)
{
    return cli_fail(billing->session.cli, CLI_NO_NODE, "bad_answer", "the node's %s", what);
}

/* --- where the period begins ----------------------------------------------------------------- */

static int block_time(struct billing *billing, int64_t *time_ms, uint64_t height)
{
    struct cJSON *block;
    int status = session_get(&billing->session, &block, "/v1/blocks/%" PRIu64, height);
    if (status == CLI_DONE && !json_i64(time_ms, json_object(block, "header"), "time_ms")) {
        status = bad_answer(billing, "block has no time");
    }
    cJSON_Delete(block);
    return status;
}

/* The first block of the period, by the node's word; last + 1 if there is none. */
static int find_first(struct billing *billing)
{
    struct bill *bill = &billing->bill;
    uint64_t low = 1, high = bill->last + 1;
    int status = CLI_DONE;
    while (status == CLI_DONE && low < high) {
        uint64_t middle = low + (high - low) / 2;
        int64_t time_ms;
        status = block_time(billing, &time_ms, middle);
        if (status == CLI_DONE && time_ms >= bill->from_ms) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    bill->first = low;
    return status;
}

/* That no block of the period stands before it. `tip_ms`: the time of block `last`, which is proven. */
static int prove_first(struct billing *billing, int64_t tip_ms)
{
    struct bill *bill = &billing->bill;
    struct proof proof;
    char id[24];
    if (bill->first == 1 || billing->session.cli->no_verify) {
        return CLI_DONE;
    }
    int64_t before_ms = tip_ms;
    if (bill->first <= bill->last) {
        snprintf(id, sizeof id, "%" PRIu64, bill->first - 1);
        int status = session_proof(&billing->session, "block", id, &proof, NULL);
        if (status != CLI_DONE) {
            return status;
        }
        before_ms = timestamp_ms(proof.earlier.time);
        proof_release(&proof);
    }
    return before_ms < bill->from_ms
               ? CLI_DONE
               : cli_fail(billing->session.cli, CLI_UNPROVEN, "proof_failed",
                          "block %" PRIu64 " is of the period, and the node left it out",
                          bill->first - 1);
}

/* The balance after the last block that is looked at. */
static int read_balance(struct billing *billing, int64_t *tip_ms)
{
    struct bill *bill = &billing->bill;
    struct pot_record pot = {.amount = money_of(0)};
    struct proof proof;
    bool absent;
    char name[NAME_SIZE + 1];
    char id[NAME_SIZE + 16];
    snprintf(id, sizeof id, "balance/%s", name_to_text(name, &bill->who));
    int status = session_record(&billing->session, "pot", id, &pot, &absent, &proof);
    if (status != CLI_DONE) {
        return status;
    }
    bill->last = proof.header.height;
    *tip_ms = timestamp_ms(proof.header.time);
    if (proof.storage != NULL) {
        proof_release(&proof);
    }
    if (absent) {
        return cli_fail(billing->session.cli, CLI_REFUSED, "unknown_participant",
                        "%s has no account", name);
    }
    bill->balance = pot.amount;
    return CLI_DONE;
}

/* Without proofs: balance and height in one answer. */
static int read_balance_unproven(struct billing *billing)
{
    struct bill *bill = &billing->bill;
    struct cJSON *account;
    int64_t balance = 0;
    char name[NAME_SIZE + 1];
    int status =
        session_get(&billing->session, &account, "/v1/accounts/%s", name_to_text(name, &bill->who));
    if (status == CLI_DONE && (!json_i64(&balance, account, "balance_ueur") ||
                               !json_u64(&bill->last, account, "height"))) {
        status = bad_answer(billing, "account is not one");
    }
    bill->balance = money_of(balance);
    cJSON_Delete(account);
    return status;
}

/* --- lines ------------------------------------------------------------------------------------ */

/* The lines that one receipt has by the node's word. */
struct listed {
    struct bill_line *lines;
    size_t count, room;
};

static bool line_from_json(struct bill_line *out, const struct cJSON *item)
{
    const char *kind = json_string(item, "kind");
    const char *other = json_string(item, "other");
    const char *id = json_string(item, "transaction");
    int64_t time_ms, amount;
    *out = (struct bill_line){0};
    if (kind == NULL || other == NULL || id == NULL || strlen(other) >= sizeof out->other ||
        !json_u64(&out->at.height, item, "height") || !json_i64(&time_ms, item, "time_ms") ||
        !json_u32(&out->at.position, item, "position") || !json_u32(&out->event, item, "event") ||
        !json_i64(&amount, item, "amount_ueur") ||
        (id[0] != '\0' && !hex_decode(out->at.tx_id.bytes, HASH_SIZE, id))) {
        return false;
    }
    for (uint8_t i = 1; i < STATEMENT_KIND_COUNT; i++) {
        if (strcmp(statement_kind_names[i], kind) == 0) {
            out->kind = i;
        }
    }
    memcpy(out->other, other, strlen(other) + 1);
    out->at.time = timestamp_of(time_ms);
    out->amount = money_of(amount);
    return out->kind != STATEMENT_NONE;
}

static bool same_receipt(const struct bill_line *a, const struct bill_line *b)
{
    return a->at.height == b->at.height && a->at.position == b->at.position;
}

static bool same_line(const struct bill_line *a, const struct bill_line *b)
{
    return a->kind == b->kind && a->event == b->event && a->at.height == b->at.height &&
           timestamp_compare(a->at.time, b->at.time) == 0 &&
           money_compare(a->amount, b->amount) == 0 && strcmp(a->other, b->other) == 0;
}

/* Rows come in the order of the chain, each once. */
static bool comes_after(const struct bill_line *line, const struct bill_line *last)
{
    if (line->at.height != last->at.height) {
        return line->at.height > last->at.height;
    }
    if (line->at.position != last->at.position) {
        return line->at.position > last->at.position;
    }
    return line->event > last->event ||
           (last->kind == STATEMENT_TRANSACTION_FEE && line->kind != last->kind);
}

static void keep_listed(struct bill *bill, const struct listed *listed, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        bill->lines = realloc(bill->lines, (bill->line_count + 1) * sizeof *bill->lines);
        MUST(bill->lines != NULL);
        bill->lines[bill->line_count++] = listed->lines[i];
    }
}

/* Takes the lines of one receipt from its proof. */
static int prove_receipt(struct billing *billing, const struct listed *listed, size_t first,
                         size_t count)
{
    struct bill *bill = &billing->bill;
    const struct bill_line *line = &listed->lines[first];
    bool of_end = hash_is_zero(&line->at.tx_id);
    char id[2 * HASH_SIZE + 1];
    struct proof proof;
    size_t before = bill->line_count;
    if (of_end) {
        snprintf(id, sizeof id, "%" PRIu64, line->at.height);
    } else {
        hex_encode(id, line->at.tx_id.bytes, HASH_SIZE);
    }
    int status =
        session_proof(&billing->session, of_end ? "block_end" : "transaction", id, &proof, NULL);
    if (status != CLI_DONE) {
        return status;
    }
    struct bill_place at = line->at;
    at.height = proof.header.height;
    at.time = proof.header.time;
    status = bill_take_receipt(bill, &at, &proof.receipt, line->kind == STATEMENT_TRANSACTION_FEE);
    proof_release(&proof);
    bool same = bill->line_count - before == count;
    for (size_t i = 0; same && i < count; i++) {
        same = same_line(&bill->lines[before + i], &listed->lines[first + i]);
    }
    bill->receipts_proven++;
    if (status == CLI_DONE && !same) {
        status = cli_fail(billing->session.cli, CLI_UNPROVEN, "proof_failed",
                          "%s %s: the node lists other movements than the receipt tells",
                          of_end ? "the end of block" : "transaction", id);
    }
    return status;
}

static int prove_lines(struct billing *billing, const struct listed *listed)
{
    int status = CLI_DONE;
    uint64_t receipts = 0;
    for (size_t i = 0, count; status == CLI_DONE && i < listed->count; i += count) {
        for (count = 1; i + count < listed->count &&
                        same_receipt(&listed->lines[i], &listed->lines[i + count]);
             count++) {
        }
        /* Who paid its fee may see a receipt whole. */
        bool own = listed->lines[i].kind == STATEMENT_TRANSACTION_FEE;
        if (billing->session.cli->no_verify || (billing->filtered && !own)) {
            keep_listed(&billing->bill, listed, i, count);
            billing->bill.receipts_listed++;
        } else if (++receipts > BILL_RECEIPTS_MAX) {
            status = cli_fail(billing->session.cli, CLI_REFUSED, "too_long",
                              "over %d receipts from the period's start to now; flex bill audit "
                              "takes any number, from an export",
                              BILL_RECEIPTS_MAX);
        } else {
            status = prove_receipt(billing, listed, i, count);
        }
    }
    return status;
}

/* Moves one page's rows into the list, and where the next one begins into `next`: empty at the end. False if
 * it is not a page that leads on. A place is the node's to name and tells its reader nothing. */
static bool take_page(struct billing *billing, struct listed *listed, char *next, size_t next_size,
                      const struct cJSON *page)
{
    const struct bill *bill = &billing->bill;
    const struct cJSON *items = json_array(page, "items");
    const char *cursor = json_string(page, "next");
    const struct cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        struct bill_line line;
        if (!line_from_json(&line, item) || line.at.height < bill->first ||
            line.at.height > bill->last ||
            (listed->count > 0 && !comes_after(&line, &listed->lines[listed->count - 1]))) {
            return false;
        }
        if (listed->count == listed->room) {
            listed->room = listed->room == 0 ? PAGE_ROWS : 2 * listed->room;
            listed->lines = realloc(listed->lines, listed->room * sizeof *listed->lines);
            MUST(listed->lines != NULL);
        }
        listed->lines[listed->count++] = line;
    }
    billing->filtered =
        billing->filtered || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(page, "filtered"));
    if (cursor == NULL) {
        next[0] = '\0';
        return items != NULL;
    }
    if (items == NULL || strlen(cursor) >= next_size || !client_path_is_plain(cursor) ||
        strcmp(cursor, next) == 0) {
        return false;
    }
    memcpy(next, cursor, strlen(cursor) + 1);
    return true;
}

static int list_lines(struct billing *billing, struct listed *listed)
{
    struct bill *bill = &billing->bill;
    char next[CLIENT_PATH_SIZE / 2] = "";
    char name[NAME_SIZE + 1];
    uint32_t pages = 0;
    int status = CLI_DONE;
    name_to_text(name, &bill->who);
    if (bill->first > bill->last) {
        return CLI_DONE;
    }
    do {
        struct cJSON *page;
        status = session_get(&billing->session, &page,
                             "/v1/movements?participant=%s&from_height=%" PRIu64
                             "&to_height=%" PRIu64 "&limit=%d%s%s",
                             name, bill->first, bill->last, PAGE_ROWS,
                             next[0] != '\0' ? "&cursor=" : "", next);
        if (status == CLI_DONE &&
            (!take_page(billing, listed, next, sizeof next, page) || ++pages == BILL_PAGES_MAX)) {
            status = bad_answer(billing, "list of movements is not one, or not in order");
        }
        cJSON_Delete(page);
    } while (status == CLI_DONE && next[0] != '\0');
    return status;
}

/* --- orders, deals, readings ------------------------------------------------------------------ */

static int not_on_bill(struct billing *billing, const char *kind, const char *id)
{
    return cli_fail(billing->session.cli, CLI_UNPROVEN, "proof_failed",
                    "the node lists %s %s as one of this bill, and the ledger has it as another's "
                    "or of another time",
                    kind, id);
}

/* Whether the list's item claims to be of this bill. */
static bool claims(const struct bill *bill, const struct cJSON *listed, const char *role,
                   const char *name)
{
    const char *claimed = json_string(listed, role);
    int64_t start;
    return claimed != NULL && strcmp(claimed, name) == 0 &&
           json_i64(&start, listed, "period_start_ms") &&
           bill_has_period(bill, timestamp_of(start));
}

/* The node's list says which orders to look at; what counts is each one's own record, proven. */
static int add_order(struct billing *billing, const char *id)
{
    struct bill *bill = &billing->bill;
    struct order_record order;
    struct proof proof;
    bool absent;
    int status = session_record(&billing->session, "order", id, &order, &absent, &proof);
    if (status != CLI_DONE) {
        return status;
    }
    proof_release(&proof);
    if (absent) {
        return CLI_DONE; /* It may be gone since it was listed. */
    }
    return name_compare(&order.participant, &bill->who) == 0 &&
                   bill_has_period(bill, order.period_start)
               ? bill_add_order(bill, id, &order)
               : not_on_bill(billing, "order", id);
}

static int read_terms(struct billing *billing, struct market_create *terms,
                      const struct deal_record *deal)
{
    struct proof proof;
    bool absent;
    char name[NAME_SIZE + 1];
    char id[NAME_SIZE + 16];
    snprintf(id, sizeof id, "%s/%" PRIu32, name_to_text(name, &deal->market), deal->version);
    int status = session_record(&billing->session, "terms", id, terms, &absent, &proof);
    if (status != CLI_DONE) {
        return status;
    }
    proof_release(&proof);
    return !absent ? CLI_DONE : not_on_bill(billing, "the terms", id);
}

static int add_deal(struct billing *billing, const char *id)
{
    struct bill *bill = &billing->bill;
    struct deal_record deal;
    struct market_create terms;
    struct proof proof;
    bool absent;
    int status = session_record(&billing->session, "deal", id, &deal, &absent, &proof);
    if (status != CLI_DONE) {
        return status;
    }
    proof_release(&proof);
    if (absent ||
        (name_compare(&deal.buyer, &bill->who) != 0 &&
         name_compare(&deal.seller, &bill->who) != 0) ||
        !bill_has_period(bill, deal.period_start)) {
        return not_on_bill(billing, "deal", id);
    }
    status = read_terms(billing, &terms, &deal);
    return status == CLI_DONE ? bill_add_deal(bill, id, &deal, &terms) : status;
}

static int add_records(struct billing *billing, bool deals)
{
    struct cJSON *list;
    char name[NAME_SIZE + 1];
    name_to_text(name, &billing->bill.who);
    int status = session_list(&billing->session, &list, deals ? "deals" : "orders");
    const struct cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *id = json_string(item, "id");
        if (status != CLI_DONE) {
            break;
        }
        MUST(id != NULL); /* session_list */
        if (!deals && claims(&billing->bill, item, "participant", name)) {
            status = add_order(billing, id);
        } else if (deals && (claims(&billing->bill, item, "buyer", name) ||
                             claims(&billing->bill, item, "seller", name))) {
            status = add_deal(billing, id);
        }
    }
    cJSON_Delete(list);
    return status;
}

static int add_readings(struct billing *billing)
{
    struct bill *bill = &billing->bill;
    struct cli *cli = billing->session.cli;
    int status = bill_read_readings(bill, cli->words, cli->word_count);
    for (uint32_t i = 0; i < bill->reading_count && status == CLI_DONE; i++) {
        const struct name *device = &bill->readings[i].device;
        struct device_record record;
        struct proof proof;
        bool absent;
        char id[NAME_SIZE + 1];
        if (i > 0 && name_compare(device, &bill->readings[i - 1].device) == 0) {
            continue;
        }
        status = session_record(&billing->session, "asset", name_to_text(id, device), &record,
                                &absent, &proof);
        if (status != CLI_DONE) {
            break;
        }
        proof_release(&proof);
        status = absent ? cli_fail(cli, CLI_REFUSED, "unknown_device", "no device %s", id)
                        : bill_check_readings(bill, device, &record);
    }
    return status == CLI_DONE ? bill_sum_readings(bill) : status;
}

/* --- all of it -------------------------------------------------------------------------------- */

static int add_account(struct billing *billing)
{
    struct listed listed = {0};
    int64_t tip_ms = 0;
    int status = billing->session.cli->no_verify ? read_balance_unproven(billing)
                                                 : read_balance(billing, &tip_ms);
    if (status == CLI_DONE) {
        status = find_first(billing);
    }
    if (status == CLI_DONE) {
        status = prove_first(billing, tip_ms);
    }
    if (status == CLI_DONE) {
        status = list_lines(billing, &listed);
    }
    if (status == CLI_DONE) {
        status = prove_lines(billing, &listed);
    }
    free(listed.lines);
    return status == CLI_DONE ? bill_reconcile(&billing->bill) : status;
}

int bill_from_node(struct cli *cli, const struct bill_query *query)
{
    struct billing billing = {0};
    struct name who;
    int status = session_open(&billing.session, cli);
    if (status == CLI_DONE) {
        status = session_participant(&billing.session, &who, &query->who);
    }
    if (status != CLI_DONE) {
        session_close(&billing.session);
        return status;
    }
    bill_open(&billing.bill, cli, &who, query->from_ms, query->until_ms);
    status = add_account(&billing);
    if (status == CLI_DONE) {
        status = add_readings(&billing);
    }
    if (status == CLI_DONE) {
        status = add_records(&billing, false);
    }
    if (status == CLI_DONE) {
        status = add_records(&billing, true);
    }
    session_close(&billing.session);
    if (status == CLI_DONE) {
        cJSON_AddBoolToObject(cli->result, "proof_verified",
                              billing.bill.receipts_listed == 0 && !cli->no_verify);
        status = bill_print(&billing.bill, query->csv, query->directory);
    }
    bill_close(&billing.bill);
    return status;
}
