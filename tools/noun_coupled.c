/* flex coupled: portfolios of linked bids, and solutions of coupled auctions (market-rules 7;
 * docs/spec/coupled.md 10 to 14; docs/wallet.md).
 *
 * The pages of a problem need no proof of their own: their digest stands in the auction's record, which is
 * proven. Those of a solution hash, with the auction's seed, to what the record says too.
 *
 * Invariant: the salt of every declared schedule is on disk before the portfolio that commits to it leaves
 * this machine.
 *
 * Deliberately absent: solving. flexclear solves the file that `problem` writes, and `propose` sends what
 * it found; a node with a solver does both by itself. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "contracts/coupled.h"
#include "crypto/sign.h"
#include "tools/clear/clear_problem.h"
#include "tools/coupled_file.h"
#include "tools/nouns.h"
#include "tools/order_check.h"
#include "tools/schedule.h"
#include "tools/value.h"

struct which {
    struct name market;
    struct timestamp start;
    uint8_t direction;
    const char *file;
};

/* `file` stands last: commands that have none take what is before it. */
static const struct cli_option sending_options[] = {
    {"MARKET", CLI_NAME, offsetof(struct which, market), "the market", CLI_POSITIONAL, NULL, NULL,
     0},
    {"START", CLI_TIME, offsetof(struct which, start), "start of the auction's first interval",
     CLI_POSITIONAL, NULL, NULL, 0},
    {"FILE", CLI_FILE, offsetof(struct which, file), "JSON, as docs/wallet.md says", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"direction", CLI_CHOICE, offsetof(struct which, direction), "of the market", CLI_OPTIONAL,
     "up", direction_names, 2},
};
static const struct cli_option reading_options[] = {
    {"MARKET", CLI_NAME, offsetof(struct which, market), "the market", CLI_POSITIONAL, NULL, NULL,
     0},
    {"START", CLI_TIME, offsetof(struct which, start), "start of the auction's first interval",
     CLI_POSITIONAL, NULL, NULL, 0},
    {"direction", CLI_CHOICE, offsetof(struct which, direction), "of the market", CLI_OPTIONAL,
     "up", direction_names, 2},
    {"out", CLI_FILE, offsetof(struct which, file), "where to write it", CLI_OPTIONAL, NULL, NULL,
     0},
};
enum { SHOWING_OPTIONS = 3, ID_SIZE = 2 * NAME_SIZE + 32 };

/* --- placing -------------------------------------------------------------------------------- */

static int bad_file(struct cli *cli, const char *path, const struct clear_text_fault *fault)
{
    return cli_fail(cli, CLI_USAGE, "bad_file", "%s: %s%s%s", path, fault->where,
                    fault->where[0] == '\0' ? "" : ": ", fault->what);
}

/* The declared schedules into the bids, as salted hashes, kept for the proof. */
static int declare(struct cli *cli, struct portfolio_place *action, const bool *declared,
                   const struct energy *schedules, const struct market_create *terms)
{
    static struct schedule schedule;
    int status = CLI_DONE;
    for (uint32_t i = 0; i < action->bid_count; i++) {
        if (action->bids[i].side == SIDE_SELL && declared[i] != order_needs_schedule(terms)) {
            return cli_fail(cli, CLI_USAGE, "bad_schedule",
                            declared[i] ? "bids[%u].schedule: the market measures against no "
                                          "schedule: leave it out"
                                        : "bids[%u].schedule: is missing: the market measures "
                                          "delivery against the net consumption declared here",
                            (unsigned)i);
        }
    }
    for (uint32_t i = 0; i < action->bid_count && status == CLI_DONE; i++) {
        if (!declared[i]) {
            continue;
        }
        int64_t length = duration_ms(terms->times.mtu) * terms->times.mtus_per_period;
        schedule.device = action->bids[i].device;
        schedule.count = 1;
        schedule.units[0] = schedules[i];
        if (!timestamp_add(&schedule.period_start, action->start,
                           duration_of(length * action->bids[i].interval))) {
            return cli_fail(cli, CLI_USAGE, "bad_period", "there is no such time");
        }
        random_bytes(schedule.salt, sizeof schedule.salt);
        schedule_compute_hash(&action->bids[i].schedule_hash, &schedule);
        status = cli->dry_run ? CLI_DONE : schedule_keep(cli, &schedule);
    }
    return status;
}

static int run_place(struct cli *cli, void *arguments)
{
    const struct which *which = arguments;
    static struct portfolio_place action;
    static bool declared[LIMIT_PORTFOLIO_BIDS];
    static struct energy schedules[LIMIT_PORTFOLIO_BIDS];
    struct clear_text_fault fault = {{0}, {0}};
    struct market_record market;
    char problem[160];
    char name[NAME_SIZE + 1];
    action = (struct portfolio_place){
        .market = which->market, .direction = which->direction, .start = which->start};
    struct cJSON *file = files_read_json(which->file, problem);
    if (file == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_file", "%s", problem);
    }
    bool good = coupled_file_portfolio(&action, declared, schedules, file, &fault);
    cJSON_Delete(file);
    if (!good) {
        return bad_file(cli, which->file, &fault);
    }
    int status = noun_fetch(cli, "market", name_to_text(name, &which->market), &market,
                            "unknown_market", "there is no market of that name");
    if (status == CLI_DONE) {
        status = declare(cli, &action, declared, schedules, &market.terms);
    }
    return status == CLI_DONE ? submit_one(cli, ACTION_PORTFOLIO_PLACE, &action) : status;
}

/* --- fetching ------------------------------------------------------------------------------- */

static const char *id_of(char out[ID_SIZE], const struct which *which)
{
    struct state_key key =
        state_key_coupled(STATE_COUPLED, &which->market, which->start, which->direction);
    MUST(state_key_to_text(out, ID_SIZE, STATE_COUPLED, bytes_view_of(key.bytes, key.size)));
    return out;
}

static int fetch_record(struct cli *cli, struct coupled_record *out, const struct which *which)
{
    char id[ID_SIZE];
    return noun_fetch(cli, "coupled", id_of(id, which), out, "unknown_auction",
                      "no coupled auction starts there, or nobody has placed a bid in it; flex "
                      "coupled list has all");
}

/* Why an auction has no problem, and where to look instead. */
static int no_problem(struct cli *cli, const struct which *which,
                      const struct coupled_record *record)
{
    char text[VALUE_TEXT_SIZE], market[NAME_SIZE + 1];
    const char *name = name_to_text(market, &which->market);
    switch ((enum coupled_state)record->state) {
    case COUPLED_BOUND:
        value_time_text(text, timestamp_ms(record->bound_by));
        return cli_fail(cli, CLI_REFUSED, "not_solving",
                        "an earlier auction has bound this one with its own: its problem and "
                        "result are those of %s %s",
                        name, text);
    case COUPLED_VOID:
        return cli_fail(cli, CLI_REFUSED, "not_solving",
                        "the auction is void, and has no problem: %s",
                        coupled_reason_names[record->reason]);
    case COUPLED_OPEN:
    case COUPLED_SOLVING:
    case COUPLED_CLEARED:
        break;
    }
    return cli_fail(cli, CLI_REFUSED, "not_solving",
                    "the auction has no problem before its gate has closed");
}

/* What the files are worth: said where they are written. */
static void say_trust(const struct session *session, const struct which *which, const char *what)
{
    struct cli *cli = session->cli;
    cJSON_AddBoolToObject(cli->result, "matches_record", true);
    if (which->file != NULL && !cli->json) {
        cli_say(cli, "The %s is in %s: its digest is that of the auction's record%s.\n", what,
                which->file,
                cli->no_verify ? ", which is NOT VERIFIED: the node's word only"
                               : ", which is proven from the genesis file");
    }
}

struct paging {
    struct session *session;
    int status;
    uint8_t bytes[COUPLED_PAGE_BYTES];
};

static bool fetch_page(void *context, const struct state_key *key, struct coupled_page_record *page)
{
    struct paging *paging = context;
    struct cJSON *object = NULL;
    char id[2 * ID_SIZE];
    MUST(
        state_key_to_text(id, sizeof id, STATE_COUPLED_PAGE, bytes_view_of(key->bytes, key->size)));
    paging->status = session_get(paging->session, &object, "/v1/coupled_pages/%s", id);
    const char *hex = paging->status == CLI_DONE ? json_string(object, "bytes") : NULL;
    size_t size = hex == NULL ? 0 : strlen(hex) / 2;
    bool good = hex != NULL && size <= sizeof paging->bytes && hex_decode(paging->bytes, size, hex);
    page->bytes = bytes_view_of(paging->bytes, size);
    cJSON_Delete(object);
    return good;
}

/* Fetched anew for every page: pages are few. The caller frees the bytes; NULL with a status. */
static uint8_t *fetch_pages(struct session *session, const struct which *which,
                            enum coupled_page_of what, size_t size, int *status)
{
    struct paging *paging = calloc(1, sizeof *paging);
    uint8_t *bytes = malloc(size + 1);
    MUST(paging != NULL && bytes != NULL);
    paging->session = session;
    bool good = coupled_pages_read(bytes, size, &which->market, which->start, which->direction,
                                   what, fetch_page, paging);
    *status = paging->status;
    if (!good) {
        *status = *status == CLI_DONE ? cli_fail(session->cli, CLI_UNPROVEN, "bad_page",
                                                 "the node's pages are not those of the auction")
                                      : *status;
        free(bytes);
        bytes = NULL;
    }
    free(paging);
    return bytes;
}

/* An auction's problem, checked against its record. `arena` is the caller's to free. */
static int fetch_problem(struct session *session, struct coupled_auction_problem *out,
                         const struct which *which, const struct coupled_record *record,
                         struct clear_arena *arena)
{
    struct hash digest;
    int status;
    if (hash_is_zero(&record->problem) || record->problem_bytes > COUPLED_PROBLEM_BYTES_MAX) {
        return no_problem(session->cli, which, record);
    }
    uint8_t *bytes =
        fetch_pages(session, which, COUPLED_PAGE_PROBLEM, record->problem_bytes, &status);
    if (bytes == NULL) {
        return status;
    }
    const struct bytes_view view = bytes_view_of(bytes, record->problem_bytes);
    coupled_problem_digest(&digest, view);
    bool good = hash_equal(&digest, &record->problem) && coupled_problem_decode(out, view, arena);
    free(bytes);
    return good ? CLI_DONE
                : cli_fail(session->cli, CLI_UNPROVEN, "bad_page",
                           "the node's pages are not the problem that the ledger's record names");
}

/* --- what commands do with them ------------------------------------------------------------- */

/* Into the file, or the result; people see it only in a file. */
static int give_out(struct cli *cli, const char *path, const char *key, char *text)
{
    if (path != NULL && !files_write(path, text, strlen(text), 0644)) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
    }
    if (path == NULL) {
        char problem[JSON_PROBLEM_SIZE];
        cJSON_AddItemToObject(cli->result, key, json_parse_strict(text, strlen(text), problem));
    }
    if (path == NULL) {
        noun_say_result(cli);
    }
    return CLI_DONE;
}

static void arena_open(struct clear_arena *arena)
{
    /* A problem of the ledger's limits with its structure; what is not used costs nothing. */
    *arena = (struct clear_arena){.size = (size_t)64 * 1024 * 1024};
    arena->bytes = malloc(arena->size);
    MUST(arena->bytes != NULL);
}

/* Whether these are the bytes of the solution that the record names. */
static bool is_best(struct coupled_draft *draft, const struct coupled_auction_problem *auction,
                    struct bytes_view bytes, const struct coupled_record *record,
                    struct clear_arena *arena)
{
    struct coupled_fault refused;
    struct hash hash;
    const struct coupled_plan *plan = coupled_prepare(&auction->problem, &refused, arena);
    if (plan == NULL || !coupled_solution_decode(draft, &auction->problem, bytes, arena)) {
        return false;
    }
    const struct coupled_solution solution = coupled_draft_view(draft);
    coupled_solution_hash(&hash, plan, &solution, &record->seed);
    return hash_equal(&hash, &record->best.solution);
}

static int write_problem(struct session *session, const struct which *which,
                         const struct coupled_record *record, struct clear_arena *arena)
{
    struct coupled_auction_problem auction;
    int status = fetch_problem(session, &auction, which, record, arena);
    if (status != CLI_DONE) {
        return status;
    }
    char *text = coupled_file_problem(&auction);
    MUST(text != NULL);
    status = give_out(session->cli, which->file, "problem", text);
    if (status == CLI_DONE) {
        say_trust(session, which, "problem");
    }
    free(text);
    return status;
}

/* The best solution, checked against problem and record, as flexclear's result. */
static int write_result(struct session *session, const struct which *which,
                        const struct coupled_record *record, struct clear_arena *arena)
{
    struct cli *cli = session->cli;
    struct coupled_auction_problem auction;
    struct coupled_draft draft;
    struct clear_text_fault fault = {{0}, {0}};
    int status = fetch_problem(session, &auction, which, record, arena);
    if (status != CLI_DONE) {
        return status;
    }
    uint8_t *bytes =
        fetch_pages(session, which, COUPLED_PAGE_SOLUTION, record->best.bytes, &status);
    if (bytes == NULL) {
        return status;
    }
    bool good = is_best(&draft, &auction, bytes_view_of(bytes, record->best.bytes), record, arena);
    free(bytes);
    char *text =
        good ? coupled_file_result(&auction, &draft, name_is_empty(&record->best.proposer), &fault)
             : NULL;
    if (text == NULL) {
        return cli_fail(cli, CLI_UNPROVEN, "bad_page", "the node's pages are no solution: %s %s",
                        fault.where, fault.what);
    }
    cJSON_AddItemToObject(cli->result, "auction", codec_to_json(&coupled_record_codec, record));
    status = give_out(cli, which->file, "result", text);
    if (status == CLI_DONE) {
        say_trust(session, which, "result");
    }
    free(text);
    return status;
}

static int propose(struct session *session, const struct which *which,
                   const struct coupled_record *record, struct clear_arena *arena)
{
    static uint8_t bytes[LIMIT_SOLUTION_BYTES];
    struct cli *cli = session->cli;
    struct coupled_auction_problem auction;
    struct coupled_draft draft;
    struct clear_text_fault fault = {{0}, {0}};
    struct byte_writer writer;
    size_t size;
    int status = fetch_problem(session, &auction, which, record, arena);
    if (status != CLI_DONE) {
        return status;
    }
    char *text = files_read(which->file, JSON_SIZE_MAX, &size);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", which->file, strerror(errno));
    }
    bool good = coupled_file_solution(&draft, &auction, text, size, arena, &fault);
    free(text);
    if (!good) {
        return bad_file(cli, which->file, &fault);
    }
    const struct coupled_solution solution = coupled_draft_view(&draft);
    byte_writer_init(&writer, bytes, sizeof bytes);
    coupled_solution_encode(&writer, &auction.problem, &solution);
    if (writer.failed) {
        return cli_fail(cli, CLI_USAGE, "too_large", "the solution is over %d bytes",
                        LIMIT_SOLUTION_BYTES);
    }
    const struct solution_propose action = {.market = which->market,
                                            .direction = which->direction,
                                            .start = which->start,
                                            .problem = record->problem,
                                            .solution = bytes_view_of(writer.data, writer.size)};
    return submit_one(cli, ACTION_SOLUTION_PROPOSE, &action);
}

static int with_auction(struct cli *cli, const struct which *which,
                        int (*run)(struct session *session, const struct which *which,
                                   const struct coupled_record *record, struct clear_arena *arena))
{
    struct session session;
    struct clear_arena arena;
    struct coupled_record record;
    int status = fetch_record(cli, &record, which);
    if (status != CLI_DONE) {
        return status;
    }
    arena_open(&arena);
    status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = run(&session, which, &record, &arena);
    }
    session_close(&session);
    free(arena.bytes);
    return status;
}

static int run_problem(struct cli *cli, void *arguments)
{
    return with_auction(cli, arguments, write_problem);
}

static int run_result(struct cli *cli, void *arguments)
{
    return with_auction(cli, arguments, write_result);
}

static int run_propose(struct cli *cli, void *arguments)
{
    return with_auction(cli, arguments, propose);
}

static int run_show(struct cli *cli, void *arguments)
{
    char id[ID_SIZE];
    return noun_show(cli, "coupled", id_of(id, arguments), "unknown_auction");
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "coupled_auctions", "id state bids solutions wrong deals");
}

static const struct cli_command commands[] = {
    {.verb = "place",
     .summary = "place a portfolio of linked bids in an auction",
     .teach = "All bids of the file become orders, or none does; cancelling one of them takes all\n"
              "back. Bids and links are written as in a problem of flexclear: docs/wallet.md.\n"
              "In a market with a horizon (--forecast) intervals go on past this auction's own.\n"
              "  flex coupled place west 2025-01-15T18:00Z evening.json",
     .options = sending_options,
     .option_count = sizeof sending_options / sizeof sending_options[0],
     .arguments_size = sizeof(struct which),
     .sends = true,
     .run = run_place},
    {.verb = "problem",
     .summary = "the problem of an auction whose gate has closed, as flexclear reads it",
     .teach =
         "Its bytes are checked against the digest in the auction's record, which is proven; they\n"
         "have no proof of their own. flexclear solves it, flex coupled propose sends\n"
         "what it found:\n"
         "  flex coupled problem west 2025-01-15T18:00Z --out problem.json\n"
         "  flexclear problem.json > result.json\n"
         "  flex coupled propose west 2025-01-15T18:00Z result.json",
     .options = reading_options,
     .option_count = sizeof reading_options / sizeof reading_options[0],
     .arguments_size = sizeof(struct which),
     .run = run_problem},
    {.verb = "propose",
     .summary = "propose a solution, a result of flexclear",
     .options = sending_options,
     .option_count = sizeof sending_options / sizeof sending_options[0],
     .arguments_size = sizeof(struct which),
     .sends = true,
     .run = run_propose},
    {.verb = "result",
     .summary = "the best solution so far, or the one that cleared, with its certificate",
     .teach = "Its bytes are checked against the hash in the auction's record, which is proven.\n"
              "flexclear --verify PROBLEM RESULT checks it again. Of an auction with a horizon\n"
              "quantities and welfare include later intervals, a forecast where they do not bind.",
     .options = reading_options,
     .option_count = sizeof reading_options / sizeof reading_options[0],
     .arguments_size = sizeof(struct which),
     .run = run_result},
    {.verb = "show",
     .summary = "an auction's record, proven",
     .options = reading_options,
     .option_count = SHOWING_OPTIONS,
     .arguments_size = sizeof(struct which),
     .run = run_show},
    {.verb = "list",
     .summary = "all coupled auctions",
     .teach =
         "Each is proven, as in every list of at most 1000; that none is missing is the node's\n"
         "word. The number in an id is its start in ms, which is good as START.",
     .run = run_list},
};

const struct cli_noun coupled_noun = {"coupled", "coupled auctions: linked bids, and solutions",
                                      commands, sizeof commands / sizeof commands[0]};
