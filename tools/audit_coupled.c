/* flex audit coupled: the coupled auctions of an export, each checked anew, and given out as files that
 * flexclear --verify checks with nothing of the ledger at hand (docs/spec/coupled.md 8 and 16).
 *
 * The export is re-executed first, so records and pages are what the chain came to. Then each cleared auction's
 * pages are held against its record (digest of the problem, hash of the solution), the solution against the
 * problem by coupled_check, and what it is worth against what the record says. Auctions that did not clear are
 * listed with their state: nothing is left out.
 *
 * Deliberately absent: a solver. An auditor has to know that a clearing keeps the rules and how far it can be
 * from the best, not to find a better one. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "contracts/coupled.h"
#include "contracts/ledger.h"
#include "tools/audit_command.h"
#include "tools/coupled_file.h"

enum {
    COUPLED_ROOM = 64 * 1024 * 1024, /* a problem of the ledger's limits with its structure */
    FILE_NAME_SIZE = 4096,
    NEUR_PER_UEUR = 1000
};

const struct cli_option coupled_query_options[COUPLED_QUERY_OPTIONS] = {
    {"dir", CLI_DIR, offsetof(struct coupled_query, dir), "the export's directory", CLI_REQUIRED,
     NULL, NULL, 0},
    {"out", CLI_DIR, offsetof(struct coupled_query, out),
     "write each problem and result there, for flexclear --verify", CLI_OPTIONAL, NULL, NULL, 0},
};

/* All auctions while they are gone through. */
struct sweep {
    struct cli *cli;
    const char *out; /* NULL: no files */
    const struct state_base *state;
    struct audit_table table;
    struct clear_arena arena;
    uint32_t checked; /* cleared auctions, which alone have something to check */
    int status;
};

/* One auction. */
struct subject {
    const char *id;
    struct name market;
    struct timestamp start;
    uint8_t direction;
    struct coupled_record record;
    struct coupled_auction_problem auction;
    struct coupled_draft draft;
};

static bool read_page(void *context, const struct state_key *key, struct coupled_page_record *page)
{
    const struct state_base *state = context;
    struct bytes_view value;
    bool found;
    return state->get(state->context, bytes_view_of(key->bytes, key->size), &found, &value) &&
           found && codec_decode_all(&coupled_page_record_codec, page, value);
}

/* The bytes are the caller's to free; NULL: they are not all there. */
static uint8_t *read_pages(const struct sweep *sweep, const struct subject *subject,
                           enum coupled_page_of what, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    MUST(bytes != NULL);
    if (!coupled_pages_read(bytes, size, &subject->market, subject->start, subject->direction, what,
                            read_page, (void *)(uintptr_t)sweep->state)) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static bool read_problem(struct sweep *sweep, struct subject *subject)
{
    const struct coupled_record *record = &subject->record;
    struct hash digest;
    uint8_t *bytes = read_pages(sweep, subject, COUPLED_PAGE_PROBLEM, record->problem_bytes);
    if (bytes == NULL) {
        return false;
    }
    const struct bytes_view view = bytes_view_of(bytes, record->problem_bytes);
    coupled_problem_digest(&digest, view);
    bool good = hash_equal(&digest, &record->problem) &&
                coupled_problem_decode(&subject->auction, view, &sweep->arena);
    free(bytes);
    return good;
}

/* The solution that cleared, against problem and record. NULL: it holds; else what does not. */
static const char *check_solution(struct sweep *sweep, struct subject *subject)
{
    const struct coupled_best *best = &subject->record.best;
    struct coupled_fault fault;
    struct coupled_break broken;
    struct coupled_claim claim;
    struct hash hash;
    const struct coupled_plan *plan =
        coupled_prepare(&subject->auction.problem, &fault, &sweep->arena);
    uint8_t *bytes = read_pages(sweep, subject, COUPLED_PAGE_SOLUTION, best->bytes);
    bool good = plan != NULL && bytes != NULL &&
                coupled_solution_decode(&subject->draft, &subject->auction.problem,
                                        bytes_view_of(bytes, best->bytes), &sweep->arena);
    free(bytes);
    if (!good) {
        return "its pages are no solution of its problem";
    }
    const struct coupled_solution solution = coupled_draft_view(&subject->draft);
    coupled_solution_hash(&hash, plan, &solution, &subject->record.seed);
    if (!hash_equal(&hash, &best->solution)) {
        return "its pages are not the solution that its record names";
    }
    if (!coupled_check(&claim, &broken, plan, &solution, &sweep->arena)) {
        return coupled_rule_words(broken.rule);
    }
    const int128 welfare = (int128)money_ueur(best->welfare) * NEUR_PER_UEUR + best->welfare_neur;
    bool equal = claim.welfare == welfare &&
                 (claim.gap == best->gap_neur ||
                  (claim.gap > best->gap_neur && best->gap_neur == INT64_MAX)) &&
                 claim.relaxed_sets == best->relaxed_sets;
    return equal ? NULL : "its welfare or bound is not what its record says";
}

/* DIR/MARKET-START-DIRECTION.KIND.json. */
static bool write_file(struct sweep *sweep, const struct subject *subject, const char *kind,
                       const char *text)
{
    char path[FILE_NAME_SIZE], market[NAME_SIZE + 1];
    int size =
        snprintf(path, sizeof path, "%s/%s-%lld-%s.%s.json", sweep->out,
                 name_to_text(market, &subject->market), (long long)timestamp_ms(subject->start),
                 direction_names[subject->direction], kind);
    bool good = size > 0 && size < FILE_NAME_SIZE && files_write(path, text, strlen(text), 0644);
    if (!good) {
        sweep->status =
            cli_fail(sweep->cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
    }
    return good;
}

static bool write_files(struct sweep *sweep, struct subject *subject)
{
    struct clear_text_fault fault = {{0}, {0}};
    char *problem = coupled_file_problem(&subject->auction);
    char *result = coupled_file_result(&subject->auction, &subject->draft,
                                       name_is_empty(&subject->record.best.proposer), &fault);
    MUST(problem != NULL);
    bool good = result != NULL && write_file(sweep, subject, "problem", problem) &&
                write_file(sweep, subject, "result", result);
    if (result == NULL) {
        sweep->status = cli_fail(sweep->cli, CLI_UNPROVEN, "bad_clearing", "%s: %s %s", subject->id,
                                 fault.where, fault.what);
    }
    free(problem);
    free(result);
    return good;
}

static void add_row(struct sweep *sweep, const struct subject *subject)
{
    const struct coupled_record *record = &subject->record;
    struct cJSON *row = cJSON_CreateObject();
    audit_add_name(row, "market", &subject->market);
    json_add_i64(row, "start_ms", timestamp_ms(subject->start));
    cJSON_AddStringToObject(row, "direction", direction_names[subject->direction]);
    cJSON_AddStringToObject(row, "state", coupled_state_names[record->state]);
    cJSON_AddStringToObject(row, "reason", coupled_reason_names[record->reason]);
    json_add_i64(row, "bound_by_ms", timestamp_ms(record->bound_by));
    audit_add_name(row, "proposer", &record->best.proposer);
    json_add_u32(row, "bids", record->bids);
    json_add_i64(row, "welfare_ueur", money_ueur(record->best.welfare));
    json_add_i64(row, "gap_neur", record->best.gap_neur);
    json_add_u32(row, "solutions", record->solutions);
    json_add_u32(row, "wrong", record->wrong);
    audit_table_row(&sweep->table, row);
}

static bool visit(void *context, const char *id, struct bytes_view key, struct bytes_view value)
{
    struct sweep *sweep = context;
    struct subject subject = {.id = id};
    struct byte_reader reader;
    byte_reader_init(&reader, key.data, key.size);
    (void)byte_read_u8(&reader);
    byte_read_raw(&reader, subject.market.text, NAME_SIZE);
    subject.start = timestamp_of(byte_read_i64(&reader));
    subject.direction = byte_read_u8(&reader);
    MUST(byte_reader_done(&reader) &&
         codec_decode_all(&coupled_record_codec, &subject.record, value));
    if (subject.record.state != COUPLED_CLEARED) {
        add_row(sweep, &subject);
        return true;
    }
    sweep->checked++;
    sweep->arena.used = 0;
    const char *wrong = read_problem(sweep, &subject)
                            ? check_solution(sweep, &subject)
                            : "its pages are not the problem that its record names";
    if (wrong != NULL) {
        sweep->status = cli_fail(sweep->cli, CLI_UNPROVEN, "bad_clearing",
                                 "auction %s does not hold: %s", id, wrong);
        return false;
    }
    if (sweep->out != NULL && !write_files(sweep, &subject)) {
        return false;
    }
    add_row(sweep, &subject);
    return true;
}

int coupled_query_run(struct cli *cli, void *arguments)
{
    static const char columns[] =
        "market start_ms direction state reason bound_by_ms proposer bids welfare_ueur gap_neur "
        "solutions wrong";
    const struct coupled_query *wanted = arguments;
    struct audit_options options = {0};
    struct audit *audit;
    int status = audit_command_verify(cli, &audit, wanted->dir, &options);
    if (status == CLI_DONE && wanted->out != NULL && mkdir(wanted->out, 0755) != 0 &&
        errno != EEXIST) {
        status = cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", wanted->out, strerror(errno));
    }
    if (status == CLI_DONE) {
        struct sweep sweep = {.cli = cli, .out = wanted->out, .state = audit_state(audit)};
        sweep.arena = (struct clear_arena){malloc(COUPLED_ROOM), COUPLED_ROOM, 0};
        MUST(sweep.arena.bytes != NULL);
        sweep.table = (struct audit_table){
            .cli = cli, .name = "auctions", .columns = columns, .shown = columns};
        status = audit_table_begin(&sweep.table, false, NULL);
        if (status == CLI_DONE) {
            bool read = audit_each(sweep.state, STATE_COUPLED, visit, &sweep);
            MUST(read || sweep.status != CLI_DONE);
            json_add_u32(cli->result, "checked", sweep.checked);
            int end = audit_table_end(&sweep.table);
            if (sweep.status == CLI_DONE && !cli->json) {
                cli_say(cli, "%u cleared auctions checked, from the export alone.\n",
                        (unsigned)sweep.checked);
            }
            status = sweep.status != CLI_DONE ? sweep.status : end;
        }
        free(sweep.arena.bytes);
    }
    if (audit != NULL) {
        audit_close(audit);
    }
    return status;
}
