/* flex bill audit: a bill out of a re-executed export, where nothing is anybody's word (tools/bill.h).
 *
 * Invariants: every receipt from block 1 on has been looked at; the lines lead from zero to the balance in
 * the state that the re-execution ended in; orders and deals are all that the state has.
 *
 * Deliberately absent: a checkpoint. A statement that begins in the middle could hide what came before. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "consensus/header.h"
#include "contracts/body.h"
#include "tools/audit_command.h"
#include "tools/bill.h"

struct collecting {
    struct bill bill;
    int64_t before_ueur; /* what the lines before the period add up to */
    int status;
};

static bool signs(const struct audit_seen *seen, const struct name *who, struct bytes_view envelope)
{
    struct transaction transaction;
    struct key_record record;
    MUST(transaction_decode_kept(&transaction, envelope) == CONTRACT_OK);
    struct state_key key = state_key_hash(STATE_KEY, transaction.sender.bytes);
    MUST(ledger_read(seen->after, &key, &key_record_codec, &record));
    return name_compare(name_is_empty(&record.participant) ? &record.former : &record.participant,
                        who) == 0;
}

/* Lines before the period are counted and forgotten. */
static void forget(struct collecting *collecting, size_t from)
{
    struct bill *bill = &collecting->bill;
    for (size_t i = from; i < bill->line_count; i++) {
        MUST(checked_add_i64(&collecting->before_ueur, collecting->before_ueur,
                             money_ueur(bill->lines[i].amount)));
    }
    bill->line_count = from;
}

static void watch(void *context, const struct audit_seen *seen)
{
    struct collecting *collecting = context;
    struct bill *bill = &collecting->bill;
    struct byte_reader receipts;
    struct body_reader body;
    MUST(body_open(&body, seen->block->body));
    byte_reader_init(&receipts, seen->block->receipts.data, seen->block->receipts.size);
    const uint32_t count = byte_read_u32(&receipts);
    for (uint32_t i = 0; i < count && collecting->status == CLI_DONE; i++) {
        struct receipt receipt;
        struct bytes_view envelope = {0};
        struct bytes_view bytes = byte_read_sized(&receipts, seen->block->receipts.size);
        MUST(!receipts.failed && codec_decode_all(&receipt_record, &receipt, bytes));
        bool paid = i + 1 < count && body_next(&body, &envelope) && money_ueur(receipt.fee) != 0 &&
                    signs(seen, &bill->who, envelope);
        struct bill_place at = {.height = seen->header->height,
                                .time = seen->header->time,
                                .position = i,
                                .tx_id = receipt.tx_id};
        size_t before = bill->line_count;
        collecting->status = bill_take_receipt(bill, &at, &receipt, paid);
        bill->receipts_proven += bill->line_count > before;
        if (timestamp_ms(at.time) < bill->from_ms) {
            forget(collecting, before);
        } else if (bill->first == 0) {
            bill->first = at.height;
        }
    }
    bill->last = seen->header->height;
}

/* --- records ---------------------------------------------------------------------------------- */

static bool read_state(const struct state_base *state, void *out, const struct state_key *key,
                       const struct codec_record *codec)
{
    struct bytes_view value;
    bool found = false;
    return state->get(state->context, bytes_view_of(key->bytes, key->size), &found, &value) &&
           found && codec_decode_all(codec, out, value);
}

struct visiting {
    struct bill *bill;
    const struct state_base *state;
    int status;
};

static bool visit_order(void *context, const char *id, struct bytes_view key,
                        struct bytes_view value)
{
    struct visiting *visiting = context;
    struct order_record order;
    (void)key;
    MUST(codec_decode_all(&order_record_codec, &order, value));
    if (name_compare(&order.participant, &visiting->bill->who) == 0 &&
        bill_has_period(visiting->bill, order.period_start)) {
        visiting->status = bill_add_order(visiting->bill, id, &order);
    }
    return visiting->status == CLI_DONE;
}

static bool visit_deal(void *context, const char *id, struct bytes_view key,
                       struct bytes_view value)
{
    struct visiting *visiting = context;
    struct bill *bill = visiting->bill;
    struct deal_record deal;
    struct market_create terms;
    (void)key;
    MUST(codec_decode_all(&deal_record_codec, &deal, value));
    bool own =
        name_compare(&deal.buyer, &bill->who) == 0 || name_compare(&deal.seller, &bill->who) == 0;
    if (own && bill_has_period(bill, deal.period_start)) {
        struct state_key terms_key = state_key_terms(&deal.market, deal.version);
        MUST(read_state(visiting->state, &terms, &terms_key, &market_create_record));
        visiting->status = bill_add_deal(bill, id, &deal, &terms);
    }
    return visiting->status == CLI_DONE;
}

static int add_readings(struct bill *bill, const struct state_base *state)
{
    int status = bill_read_readings(bill, bill->cli->words, bill->cli->word_count);
    for (uint32_t i = 0; i < bill->reading_count && status == CLI_DONE; i++) {
        const struct name *device = &bill->readings[i].device;
        struct device_record record;
        char name[NAME_SIZE + 1];
        if (i > 0 && name_compare(device, &bill->readings[i - 1].device) == 0) {
            continue;
        }
        struct state_key key = state_key_name(STATE_DEVICE, device);
        status = read_state(state, &record, &key, &device_record_codec)
                     ? bill_check_readings(bill, device, &record)
                     : cli_fail(bill->cli, CLI_REFUSED, "unknown_device", "no device %s",
                                name_to_text(name, device));
    }
    return status == CLI_DONE ? bill_sum_readings(bill) : status;
}

static int finish(struct collecting *collecting, const struct state_base *state)
{
    struct bill *bill = &collecting->bill;
    struct pot_record pot;
    struct state_key key = state_key_pot(POT_BALANCE, &bill->who, 0);
    char name[NAME_SIZE + 1];
    if (!read_state(state, &pot, &key, &pot_record_codec)) {
        return cli_fail(bill->cli, CLI_REFUSED, "unknown_participant", "%s has no account",
                        name_to_text(name, &bill->who));
    }
    bill->balance = pot.amount;
    bill->first = bill->first == 0 ? bill->last + 1 : bill->first;
    int status = bill_reconcile(bill);
    if (status == CLI_DONE && money_ueur(bill->opening) != collecting->before_ueur) {
        status = cli_fail(bill->cli, CLI_UNPROVEN, "not_reconciled",
                          "what came before the period does not add up to the opening balance");
    }
    struct visiting visiting = {.bill = bill, .state = state, .status = status};
    if (visiting.status == CLI_DONE) {
        visiting.status = add_readings(bill, state);
    }
    if (visiting.status == CLI_DONE) {
        (void)audit_each(state, STATE_ORDER, visit_order, &visiting);
    }
    if (visiting.status == CLI_DONE) {
        (void)audit_each(state, STATE_DEAL, visit_deal, &visiting);
    }
    return visiting.status;
}

int bill_from_export(struct cli *cli, const struct bill_query *query)
{
    struct collecting collecting = {.status = CLI_DONE};
    struct audit_options options = {.watch = watch, .watch_context = &collecting};
    struct audit *audit;
    bill_open(&collecting.bill, cli, &query->who, query->from_ms, query->until_ms);
    int status = audit_command_verify(cli, &audit, query->dir, &options);
    if (status == CLI_DONE) {
        status = collecting.status;
    }
    if (status == CLI_DONE) {
        status = finish(&collecting, audit_state(audit));
    }
    if (audit != NULL) {
        audit_close(audit);
    }
    if (status == CLI_DONE) {
        status = bill_print(&collecting.bill, query->csv, query->directory);
    }
    bill_close(&collecting.bill);
    return status;
}
