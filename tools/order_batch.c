/* Placing a table of orders (tools/order_batch.h).
 *
 *   read all -> what the journal says of it -> settle the open transaction -> check the rest against the
 *   markets and the balance -> per transaction: sign -> journal -> send -> proven -> journal
 *
 * Invariants:
 * 1. Nothing is signed before every row that is left has been checked, and none is if one is wrong.
 * 2. A transaction's bytes are on disk before they are sent, and only they are sent again.
 * 3. Rows are signed a second time only if a proven state shows that the first can't be executed any more and
 *    never was; where that can't be shown the command stops, or takes its owner's word (--sign-again).
 * 4. Of two commands on one table the second stops, also if the table has been replaced in between.
 *
 * Deliberately absent: orders that depend on each other, and retries of what the ledger refused. */
#include "tools/order_batch.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/order_check.h"
#include "tools/order_journal.h"
#include "tools/schedule.h"
#include "tools/session.h"
#include "tools/value.h"

enum { MARKETS_MAX = 256 };

struct known_market {
    struct name id;
    bool absent;
    struct market_record record;
};

/* What the rows left come to. */
struct order_sums {
    uint32_t requests;
    uint32_t offers;
    int64_t request_wh;
    int64_t offer_wh;
    int64_t escrow_ueur;
    int64_t deposits_ueur;
    int64_t fees_ueur;
    bool overflows;
};

/* One command while it runs. */
struct batch {
    struct cli *cli;
    const struct order_batch *wanted;
    struct session session; /* held to the end, so that a passphrase is asked for once */
    struct order_sheet sheet;
    struct order_faults faults;
    struct order_journal journal;
    struct name sender;
    struct timestamp now; /* of the chain, proven */
    struct params_record params;
    struct money balance;
    uint32_t market_count;
    struct known_market markets[MARKETS_MAX];
    uint32_t device_count; /* those that are known to be there */
    struct name devices[ORDER_ROWS_MAX];
    struct order_sums sums;
    struct cJSON *transactions; /* of the result */
    struct secret_key secret;
    struct public_key key;
    struct schedule schedules[LIMIT_ACTIONS_PER_TX];
    struct submit submit;
};

/* --- what is on the ledger ------------------------------------------------------------------ */

static int fetch(struct batch *batch, const char *kind, const char *id, void *record, bool *absent)
{
    struct proof proof = {0};
    int status = session_record(&batch->session, kind, id, record, absent, &proof);
    if (status == CLI_DONE && !batch->cli->no_verify &&
        timestamp_compare(proof.header.time, batch->now) > 0) {
        batch->now = proof.header.time;
    }
    proof_release(&proof);
    return status;
}

/* Sender, its balance, the fees; chain time on the way. */
static int fetch_sender(struct batch *batch)
{
    char pot_id[NAME_SIZE + 16], name[NAME_SIZE + 1];
    struct pot_record pot = {.amount = money_of(0)};
    bool absent = false;
    int status = session_participant(&batch->session, &batch->sender, NULL);
    if (status == CLI_DONE) {
        snprintf(pot_id, sizeof pot_id, "balance/%s", name_to_text(name, &batch->sender));
        status = fetch(batch, "pot", pot_id, &pot, &absent);
        batch->balance = absent ? money_of(0) : pot.amount;
    }
    if (status == CLI_DONE) {
        status = fetch(batch, "params", "params", &batch->params, &absent);
    }
    if (status == CLI_DONE && absent) {
        status = cli_fail(batch->cli, CLI_UNPROVEN, "proof_failed", "the ledger has no parameters");
    }
    if (status == CLI_DONE && batch->cli->no_verify) {
        struct cJSON *answer;
        int64_t now = 0;
        status = session_get(&batch->session, &answer, "/v1/status");
        if (status == CLI_DONE && json_i64(&now, answer, "time_ms")) {
            batch->now = timestamp_of(now);
        }
        cJSON_Delete(answer);
    }
    return status;
}

static int fetch_market(struct batch *batch, const struct known_market **out, const struct name *id)
{
    char name[NAME_SIZE + 1];
    for (uint32_t i = 0; i < batch->market_count; i++) {
        if (name_compare(&batch->markets[i].id, id) == 0) {
            *out = &batch->markets[i];
            return CLI_DONE;
        }
    }
    if (batch->market_count == MARKETS_MAX) {
        return cli_fail(batch->cli, CLI_USAGE, "too_many_markets",
                        "a table may name %d markets: cut it", MARKETS_MAX);
    }
    struct known_market *market = &batch->markets[batch->market_count];
    market->id = *id;
    int status = fetch(batch, "market", name_to_text(name, id), &market->record, &market->absent);
    batch->market_count += status == CLI_DONE;
    *out = market;
    return status;
}

/* A device, or an alias of one. */
static int check_device(struct batch *batch, const struct order_row *row)
{
    static _Alignas(16) uint8_t record[16384];
    char name[NAME_SIZE + 1];
    bool absent = false;
    for (uint32_t i = 0; i < batch->device_count; i++) {
        if (name_compare(&batch->devices[i], &row->offer.device) == 0) {
            return CLI_DONE;
        }
    }
    name_to_text(name, &row->offer.device);
    int status = fetch(batch, "asset", name, record, &absent);
    if (status == CLI_DONE && absent) {
        status = fetch(batch, "alias", name, record, &absent);
    }
    if (status == CLI_DONE && absent) {
        order_fault(&batch->faults, row->line, "unknown_device: there is no device %s", name);
    } else if (status == CLI_DONE) {
        batch->devices[batch->device_count++] = row->offer.device;
    }
    return status;
}

/* --- checking ------------------------------------------------------------------------------- */

/* Reads the row's schedule with a voice of its own, so that what is wrong is told with its line. */
static bool read_schedule(struct batch *batch, const struct order_row *row, struct schedule *out)
{
    struct cli quiet = *batch->cli;
    char *said = NULL;
    size_t size = 0;
    quiet.result = cJSON_CreateObject();
    quiet.err = open_memstream(&said, &size);
    MUST(quiet.result != NULL && quiet.err != NULL);
    memset(out, 0, sizeof *out);
    out->device = row->offer.device;
    out->period_start = row->offer.period_start;
    const bool ok = schedule_read_units(&quiet, out, row->schedule) == CLI_DONE;
    if (!ok) {
        const char *reason = json_string(json_object(quiet.result, "error"), "reason");
        order_fault(&batch->faults, row->line, "schedule: %s",
                    reason != NULL ? reason : "not read");
    }
    fclose(quiet.err);
    free(said);
    cJSON_Delete(quiet.result);
    return ok;
}

static void check_schedule(struct batch *batch, const struct order_row *row,
                           const struct market_create *terms)
{
    static struct schedule schedule;
    const bool needed = row->offers && order_needs_schedule(terms);
    if (needed != (row->schedule != NULL)) {
        order_fault(&batch->faults, row->line, "schedule: the market %s",
                    needed ? "measures against one, and none is named"
                           : "measures against none: leave it out");
    } else if (needed && read_schedule(batch, row, &schedule) &&
               schedule.count != terms->times.mtus_per_period) {
        order_fault(&batch->faults, row->line,
                    "schedule: %.80s has %u numbers, a delivery period has %u time units",
                    row->schedule, schedule.count, terms->times.mtus_per_period);
    }
}

static void add_sums(struct order_sums *sums, const struct order_row *row,
                     const struct market_record *market)
{
    struct money locked = money_of(0);
    int64_t *wh = row->offers ? &sums->offer_wh : &sums->request_wh;
    int64_t *locks = row->offers ? &sums->deposits_ueur : &sums->escrow_ueur;
    sums->requests += !row->offers;
    sums->offers += row->offers;
    if (!order_locks(&locked, row, market) ||
        !checked_add_i64(wh, *wh, energy_wh(row->offer.quantity)) ||
        !checked_add_i64(locks, *locks, money_ueur(locked))) {
        sums->overflows = true;
    }
}

static int check_row(struct batch *batch, const struct order_row *row)
{
    const struct known_market *market = NULL;
    char name[NAME_SIZE + 1];
    int status = fetch_market(batch, &market, &row->offer.market);
    if (status != CLI_DONE) {
        return status;
    }
    if (market->absent) {
        order_fault(&batch->faults, row->line, "unknown_market: there is no market %s",
                    name_to_text(name, &row->offer.market));
        return CLI_DONE;
    }
    const enum contract_error error = order_check(row, &market->record, batch->now);
    if (error != CONTRACT_OK) {
        order_fault(&batch->faults, row->line, "%s: %s", contract_error_name(error),
                    contract_error_reason(error));
        return CLI_DONE;
    }
    check_schedule(batch, row, &market->record.terms);
    add_sums(&batch->sums, row, &market->record);
    return name_is_empty(&row->offer.device) ? CLI_DONE : check_device(batch, row);
}

static int refuse_rows(struct batch *batch)
{
    struct cli *cli = batch->cli;
    struct cJSON *list = cJSON_AddArrayToObject(cli->result, "faults");
    for (uint32_t i = 0; i < batch->faults.count && i < ORDER_FAULTS_MAX; i++) {
        struct cJSON *item = cJSON_CreateObject();
        json_add_u64(item, "line", batch->faults.first[i].line);
        cJSON_AddStringToObject(item, "reason", batch->faults.first[i].text);
        cJSON_AddItemToArray(list, item);
        fprintf(cli->err, "%s:%u: %s\n", batch->wanted->csv, batch->faults.first[i].line,
                batch->faults.first[i].text);
    }
    return cli_fail(cli, CLI_USAGE, "bad_rows", "%u faults in %s; nothing was sent",
                    batch->faults.count, batch->wanted->csv);
}

static bool add_fees(struct batch *batch, uint32_t rows)
{
    const uint32_t per = batch->wanted->per_transaction;
    int64_t transactions, actions;
    return checked_mul_i64(&transactions, money_ueur(batch->params.fee_per_tx),
                           (rows + per - 1) / per) &&
           checked_mul_i64(&actions, money_ueur(batch->params.fee_per_action), rows) &&
           checked_add_i64(&batch->sums.fees_ueur, transactions, actions);
}

static void say_sums(struct batch *batch, uint32_t rows, uint32_t before)
{
    struct cJSON *result = batch->cli->result;
    const struct order_sums *sums = &batch->sums;
    json_add_u64(result, "rows", rows);
    json_add_u64(result, "placed_before", before);
    json_add_u64(result, "requests", sums->requests);
    json_add_i64(result, "request_wh", sums->request_wh);
    json_add_i64(result, "escrow_ueur", sums->escrow_ueur);
    json_add_u64(result, "offers", sums->offers);
    json_add_i64(result, "offer_wh", sums->offer_wh);
    json_add_i64(result, "deposits_ueur", sums->deposits_ueur);
    json_add_i64(result, "fees_ueur", sums->fees_ueur);
    json_add_i64(result, "balance_ueur", money_ueur(batch->balance));
    cJSON_AddBoolToObject(result, "proof_verified", !batch->cli->no_verify);
    if (!batch->cli->json) {
        cli_say_object(batch->cli, result);
    }
}

/* Every row from `from` on, and whether the balance bears them. */
static int check_rest(struct batch *batch, uint32_t from)
{
    const uint32_t rows = batch->sheet.count - from;
    int status = fetch_sender(batch);
    for (uint32_t i = from; i < batch->sheet.count && status == CLI_DONE; i++) {
        status = check_row(batch, &batch->sheet.rows[i]);
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (batch->faults.count > 0) {
        return refuse_rows(batch);
    }
    int64_t needed = 0;
    const struct order_sums *sums = &batch->sums;
    if (sums->overflows || !add_fees(batch, rows) ||
        !checked_add_i64(&needed, sums->escrow_ueur, sums->deposits_ueur) ||
        !checked_add_i64(&needed, needed, sums->fees_ueur)) {
        return cli_fail(batch->cli, CLI_USAGE, "bad_rows", "the sums of the table overflow");
    }
    json_add_i64(batch->cli->result, "needed_ueur", needed);
    say_sums(batch, rows, from);
    if (needed > money_ueur(batch->balance)) {
        char short_of[VALUE_TEXT_SIZE];
        return cli_fail(
            batch->cli, CLI_REFUSED, "insufficient_funds",
            "the balance is %s EUR short of escrow, deposits and fees; nothing was sent",
            value_eur_text(short_of, needed - money_ueur(batch->balance)));
    }
    return CLI_DONE;
}

/* --- placing -------------------------------------------------------------------------------- */

static void say_placed(struct batch *batch, const struct cJSON *said)
{
    const struct order_journal *journal = &batch->journal;
    const uint32_t rows = journal->entries[journal->count - 1].rows;
    const uint32_t until = order_journal_rows(journal);
    struct cJSON *item = cJSON_CreateObject();
    MUST(item != NULL);
    json_add_u64(item, "from_line", until - rows + 2);
    json_add_u64(item, "to_line", until + 1);
    const char *id = json_string(said, "id");
    cJSON_AddStringToObject(item, "id", id != NULL ? id : "");
    struct cJSON *orders = cJSON_AddArrayToObject(item, "orders");
    const struct cJSON *event;
    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(said, "events"))
    {
        const char *type = json_string(event, "type");
        const char *order = json_string(event, "id");
        if (type != NULL && order != NULL && strcmp(type, "order_placed") == 0) {
            cJSON_AddItemToArray(orders, cJSON_CreateString(order));
        }
    }
    cli_say(batch->cli, "lines %u to %u: placed, %d orders\n", until - rows + 2, until + 1,
            cJSON_GetArraySize(orders));
    cJSON_AddItemToArray(batch->transactions, item);
}

/* Sends the open transaction, or waits for it. CLI_DONE: it is final and well. Otherwise the failure is told;
 * a transaction that the ledger has executed and refused is forgotten, and its rows are free again. */
static int send_open(struct batch *batch, bool known)
{
    struct cli *cli = batch->cli;
    struct order_journal *journal = &batch->journal;
    struct cli quiet = *cli;
    char id[2 * HASH_SIZE + 1];
    enum submit_fate fate = SUBMIT_OPEN;
    quiet.result = cJSON_CreateObject();
    MUST(quiet.result != NULL);
    hex_encode(id, journal->signed_as.id.bytes, HASH_SIZE);
    int status =
        known ? submit_wait(&quiet, id)
              : submit_envelope(&quiet, bytes_view_of(journal->envelope, journal->signed_as.size));
    if (status == CLI_DONE) {
        journal->open = false;
        status = order_journal_write(cli, journal);
        say_placed(batch, quiet.result);
    } else {
        const uint32_t until = order_journal_rows(journal);
        const uint32_t rows = journal->entries[journal->count - 1].rows;
        struct cJSON *error = cJSON_DetachItemFromObjectCaseSensitive(quiet.result, "error");
        cJSON_AddItemToObject(cli->result, "error", error != NULL ? error : cJSON_CreateObject());
        if (status == CLI_REFUSED &&
            submit_fate_of(&quiet, &fate, &journal->signed_as, &batch->sender) == CLI_DONE &&
            fate == SUBMIT_KNOWN) {
            journal->count--;
            journal->open = false;
            (void)order_journal_write(cli, journal);
        }
        fprintf(
            cli->err, "%s: lines %u to %u: %s\n", batch->wanted->csv, until - rows + 2, until + 1,
            fate == SUBMIT_KNOWN ? "none of them was placed"
                                 : "not known to be placed; the same command goes on from here");
    }
    cJSON_Delete(quiet.result);
    return status;
}

/* What an earlier run signed and did not see final. */
static int settle_open(struct batch *batch)
{
    struct cli *cli = batch->cli;
    struct order_journal *journal = &batch->journal;
    enum submit_fate fate = SUBMIT_OPEN;
    int status = session_participant(&batch->session, &batch->sender, NULL);
    if (status == CLI_DONE) {
        status = submit_fate_of(cli, &fate, &journal->signed_as, &batch->sender);
    }
    if (status != CLI_DONE) {
        return status;
    }
    switch (fate) {
    case SUBMIT_KNOWN:
        return send_open(batch, true);
    case SUBMIT_OPEN:
        return send_open(batch, false);
    case SUBMIT_SPENT:
        if (!batch->wanted->sign_again) {
            return cli_fail(
                cli, CLI_REFUSED, "fate_unknown",
                "the last %u rows that were signed may have been placed: their nonce is used, and "
                "this node does not know the transaction; ask an audit node (--node), look at flex "
                "order list, and say --sign-again only if they are not there",
                journal->entries[journal->count - 1].rows);
        }
        break;
    case SUBMIT_EXPIRED:
        break;
    }
    journal->count--;
    journal->open = false;
    return order_journal_write(cli, journal);
}

/* Fills in the actions of the next transaction, its salts drawn and kept. */
static int draft(struct batch *batch, uint32_t from, uint32_t count)
{
    struct submit *submit = &batch->submit;
    memset(submit, 0, sizeof *submit);
    submit->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct order_row *row = &batch->sheet.rows[from + i];
        struct schedule *schedule = &batch->schedules[i];
        submit->actions[i].type = row->offers ? ACTION_OFFER_PLACE : ACTION_REQUEST_PLACE;
        submit->actions[i].record = row->offers ? (void *)&row->offer : (void *)&row->request;
        if (row->schedule == NULL) {
            continue;
        }
        if (!read_schedule(batch, row, schedule)) {
            return refuse_rows(batch); /* it was there when it was checked */
        }
        random_bytes(schedule->salt, sizeof schedule->salt);
        schedule_compute_hash(&row->offer.schedule_hash, schedule);
        int status = schedule_keep(batch->cli, schedule);
        if (status != CLI_DONE) {
            return status;
        }
    }
    return CLI_DONE;
}

static int place_next(struct batch *batch, uint32_t from)
{
    struct order_journal *journal = &batch->journal;
    const uint32_t left = batch->sheet.count - from;
    const uint32_t count =
        left < batch->wanted->per_transaction ? left : batch->wanted->per_transaction;
    int status = draft(batch, from, count);
    if (status == CLI_DONE) {
        status = submit_sign(batch->cli, &journal->signed_as, journal->envelope, &batch->submit,
                             &batch->secret, &batch->key);
    }
    if (status != CLI_DONE) {
        return status;
    }
    struct order_journal_entry *entry = &journal->entries[journal->count++];
    *entry = (struct order_journal_entry){.rows = count, .id = journal->signed_as.id};
    order_sheet_digest(entry->digest, &batch->sheet, from, count);
    journal->open = true;
    status = order_journal_write(batch->cli, journal);
    return status == CLI_DONE ? send_open(batch, false) : status;
}

static int place_all(struct batch *batch)
{
    struct cli *cli = batch->cli;
    int status = session_trust(&batch->session);
    if (status == CLI_DONE) {
        status = cli->dry_run ? session_public_key(cli, &batch->key)
                              : session_secret_key(cli, &batch->secret, &batch->key);
    }
    if (status == CLI_DONE) {
        batch->journal.genesis = batch->session.trust.genesis;
        batch->journal.key = batch->key;
        status = order_journal_read(cli, &batch->journal, batch->wanted->csv, &batch->sheet);
    }
    batch->transactions = cJSON_AddArrayToObject(cli->result, "transactions");
    if (status == CLI_DONE && batch->journal.open && !cli->dry_run) {
        status = settle_open(batch);
    }
    if (status == CLI_DONE && batch->journal.open) {
        fprintf(cli->err,
                "flex: warning: the last %u rows of those placed before are not known to "
                "be final; without --dry-run that is found out first\n",
                batch->journal.entries[batch->journal.count - 1].rows);
    }
    uint32_t from = order_journal_rows(&batch->journal);
    if (status == CLI_DONE) {
        status = check_rest(batch, from);
    }
    for (; status == CLI_DONE && !cli->dry_run && from < batch->sheet.count;
         from = order_journal_rows(&batch->journal)) {
        status = place_next(batch, from);
    }
    return status;
}

/* One command per table. The lock is beside the table, since editors replace the table itself; it goes with
 * the process, and the file stays, since nobody knows who waits for it. A dry run writes nothing. */
static int lock_table(struct cli *cli, const char *path)
{
    char beside[FILES_PATH_SIZE];
    if (access(path, R_OK) != 0) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    if (cli->dry_run) {
        return CLI_DONE;
    }
    const int length = snprintf(beside, sizeof beside, "%s.placed.lock", path);
    if (length < 0 || (size_t)length >= sizeof beside) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "the table's path is too long");
    }
    const int lock = open(beside, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", beside, strerror(errno));
    }
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        return CLI_DONE;
    }
    const int fault = errno;
    close(lock);
    return fault == EWOULDBLOCK
               ? cli_fail(cli, CLI_USAGE, "busy", "%s is being placed by another command", path)
               : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", beside, strerror(fault));
}

int order_batch_run(struct cli *cli, void *arguments)
{
    static struct batch batch;
    char problem[CSV_PROBLEM_SIZE];
    memset(&batch, 0, sizeof batch);
    batch.cli = cli;
    batch.wanted = arguments;
    if (batch.wanted->per_transaction == 0 ||
        batch.wanted->per_transaction > LIMIT_ACTIONS_PER_TX || cli->save_envelope != NULL) {
        return cli->save_envelope != NULL
                   ? cli_fail(cli, CLI_USAGE, "bad_option",
                              "the table's journal keeps what is signed")
                   : cli_fail(cli, CLI_USAGE, "bad_value", "--per-transaction: 1 to %d",
                              LIMIT_ACTIONS_PER_TX);
    }
    int status = lock_table(cli, batch.wanted->csv);
    if (status != CLI_DONE) {
        return status;
    }
    if (!order_sheet_read(&batch.sheet, batch.wanted->csv, cli->ueur, &batch.faults, problem)) {
        status = batch.faults.count > 0 ? refuse_rows(&batch)
                                        : cli_fail(cli, CLI_USAGE, "bad_table", "%s", problem);
    } else {
        status = session_open(&batch.session, cli);
        if (status == CLI_DONE) {
            status = place_all(&batch);
        }
        secret_key_wipe(&batch.secret);
        session_close(&batch.session);
    }
    order_sheet_release(&batch.sheet);
    return status;
}
