/* flex alias: names of devices that lead nobody to the device (market-rules 9, Privacy; docs/spec/privacy.md).
 *
 *   request (manager) -> key (meter operator) -> issue (DSO) -> ... deal ... -> readings (meter operator)
 *   and at any time: audit (whoever was given the openings)
 *
 * One file goes from hand to hand and never onto the ledger: it is what links household and deal. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/alias_ledger.h"
#include "tools/meter_batch.h"
#include "tools/nouns.h"
#include "tools/reveal.h"

static int read_all(struct cli *cli, struct alias_list *list)
{
    int status = CLI_DONE;
    for (size_t i = 0; i < cli->word_count && status == CLI_DONE; i++) {
        status = alias_read(cli, list, cli->words[i]);
    }
    return status == CLI_DONE && list->count == 0
               ? cli_fail(cli, CLI_USAGE, "no_aliases", "there are no openings in these files")
               : status;
}

static int said_count(struct cli *cli, uint32_t count, const char *file)
{
    json_add_u32(cli->result, "aliases", count);
    cJSON_AddStringToObject(cli->result, "file", file);
    noun_say_result(cli);
    return CLI_DONE;
}

/* --- request ---------------------------------------------------------------------------------- */

struct request {
    struct name device;
    struct alias_issue issue; /* market, validity, power, capacity, node, connection */
    const char *out;
};

static const struct cli_option request_options[] = {
    {"DEVICE", CLI_NAME, offsetof(struct request, device), "what is to be offered", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"market", CLI_NAME, offsetof(struct request, issue.market), "where", CLI_REQUIRED, NULL, NULL,
     0},
    {"from", CLI_TIME, offsetof(struct request, issue.from), "start of the delivery", CLI_REQUIRED,
     NULL, NULL, 0},
    {"until", CLI_TIME, offsetof(struct request, issue.until), "its end (not included)",
     CLI_REQUIRED, NULL, NULL, 0},
    {"max-power-w", CLI_I64, offsetof(struct request, issue.max_power),
     "how much of the device's power; a round figure that others ask for, too", CLI_REQUIRED, NULL,
     NULL, 0},
    {"capacity-wh", CLI_I64, offsetof(struct request, issue.capacity), "how much of its capacity",
     CLI_OPTIONAL, "0", NULL, 0},
    {"connection-w", CLI_I64, offsetof(struct request, issue.connection),
     "what its connection is said to carry; the device's own without it", CLI_OPTIONAL, NULL, NULL,
     0},
    {"grid-node", CLI_NAME, offsetof(struct request, issue.node),
     "where the grid check is to see it; its feeder without it", CLI_OPTIONAL, NULL, NULL, 0},
    {"out", CLI_FILE, offsetof(struct request, out), "openings file to make or to add to",
     CLI_REQUIRED, NULL, NULL, 0},
};

/* What the device's record says, where the command line says nothing. */
static int complete_request(struct session *session, struct request *wanted)
{
    struct device_record device;
    struct proof proof = {0};
    char text[NAME_SIZE + 1];
    bool absent;
    int status = session_record(session, "asset", name_to_text(text, &wanted->device), &device,
                                &absent, &proof);
    proof_release(&proof);
    if (status == CLI_DONE && absent) {
        status =
            cli_fail(session->cli, CLI_REFUSED, "unknown_device", "there is no device %s", text);
    }
    if (status != CLI_DONE) {
        return status;
    }
    struct alias_issue *issue = &wanted->issue;
    issue->type = device.type;
    issue->zone = device.zone;
    issue->feeder = device.feeder;
    if (power_w(issue->connection) == 0) {
        issue->connection = device.connection;
    }
    if (name_is_empty(&issue->node)) {
        issue->node = device.feeder;
    }
    return session_participant(session, &issue->manager, NULL);
}

static int sign_request(struct session *session, struct alias_opening *opening)
{
    struct secret_key secret;
    struct public_key key;
    struct hash message;
    int status = session_secret_key(session->cli, &secret, &key);
    if (status != CLI_DONE) {
        return status;
    }
    alias_request_message(&message, &session->trust.genesis, opening);
    bool good = schnorr_sign(&opening->signature, &secret, &message);
    secret_key_wipe(&secret);
    return good ? CLI_DONE
                : cli_fail(session->cli, CLI_USAGE, "key_malformed", "this key can't sign");
}

static int run_request(struct cli *cli, void *arguments)
{
    struct request *wanted = arguments;
    struct session session;
    struct alias_list list = {0};
    struct alias_opening opening;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        status = complete_request(&session, wanted);
    }
    if (status == CLI_DONE && files_exists(wanted->out)) {
        status = alias_read(cli, &list, wanted->out);
    }
    if (status == CLI_DONE) {
        alias_draw(&opening, &wanted->issue, &wanted->device);
        status = sign_request(&session, &opening);
    }
    if (status == CLI_DONE) {
        char text[NAME_SIZE + 1];
        alias_add(&list, &opening);
        status = alias_write(cli, wanted->out, &list);
        cJSON_AddStringToObject(cli->result, "alias", name_to_text(text, &opening.issue.id));
    }
    session_close(&session);
    const uint32_t count = list.count;
    alias_list_release(&list);
    return status == CLI_DONE ? said_count(cli, count, wanted->out) : status;
}

/* --- key -------------------------------------------------------------------------------------- */

struct fill {
    const char *out;
    bool submeter;
};

static const struct cli_option key_options[] = {
    {"out", CLI_FILE, offsetof(struct fill, out), "the file to write", CLI_REQUIRED, NULL, NULL, 0},
    {"submeter", CLI_SWITCH, offsetof(struct fill, submeter),
     "keys for readings of a meter at the device itself, too", CLI_OPTIONAL, NULL, NULL, 0},
};

static void fill_key(struct public_key *out, const uint8_t master[METER_SECRET_SIZE],
                     const struct name *alias, enum meter_kind meter)
{
    struct secret_key secret;
    alias_meter_secret(&secret, master, alias, meter);
    MUST(schnorr_public_key(out, &secret));
    secret_key_wipe(&secret);
}

static int run_key(struct cli *cli, void *arguments)
{
    const struct fill *wanted = arguments;
    struct alias_list list = {0};
    uint8_t master[METER_SECRET_SIZE];
    int status = read_all(cli, &list);
    if (status == CLI_DONE) {
        status = meter_master(cli, master);
    }
    for (uint32_t i = 0; i < list.count && status == CLI_DONE; i++) {
        struct alias_issue *issue = &list.items[i].issue;
        fill_key(&issue->meter_key, master, &issue->id, METER_CERTIFIED);
        if (wanted->submeter) {
            fill_key(&issue->submeter_key, master, &issue->id, METER_SUB);
        }
    }
    sodium_memzero(master, sizeof master);
    if (status == CLI_DONE) {
        status = alias_write(cli, wanted->out, &list);
    }
    const uint32_t count = list.count;
    alias_list_release(&list);
    return status == CLI_DONE ? said_count(cli, count, wanted->out) : status;
}

/* --- issue ------------------------------------------------------------------------------------ */

struct issue {
    uint32_t crowd;
    int64_t power_step;
};

static const struct cli_option issue_options[] = {
    {"crowd", CLI_U32, offsetof(struct issue, crowd),
     "the fewest devices that an alias may be one of", CLI_OPTIONAL, "5", NULL, 0},
    {"power-step-w", CLI_I64, offsetof(struct issue, power_step),
     "powers are multiples of that, so that none gives its device away", CLI_OPTIONAL, "500", NULL,
     0},
};

static int book_path(struct cli *cli, char out[FILES_PATH_SIZE])
{
    return files_join(out, cli->home, "aliases.json") && files_make_directory(cli->home)
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, "bad_path", "%s cannot be used", cli->home);
}

static int refuse(struct cli *cli, const struct alias_opening *opening, const char *problem)
{
    char alias[NAME_SIZE + 1], device[NAME_SIZE + 1];
    return cli_fail(cli, CLI_REFUSED, problem, "alias %s of %s: %s; none was issued",
                    name_to_text(alias, &opening->issue.id), name_to_text(device, &opening->device),
                    problem);
}

static int check_new(struct session *session, const struct issue *wanted,
                     const struct alias_list *book, const struct alias_opening *opening,
                     const struct cJSON *assets)
{
    struct cli *cli = session->cli;
    const char *problem = NULL;
    uint32_t crowd = 0;
    int status = alias_check(session, book, opening, false, &problem);
    if (status == CLI_DONE && problem != NULL) {
        return refuse(cli, opening, problem);
    }
    if (status == CLI_DONE &&
        (wanted->power_step <= 0 || power_w(opening->issue.max_power) % wanted->power_step != 0)) {
        return cli_fail(cli, CLI_REFUSED, "odd_power",
                        "an alias of %" PRId64 " W gives its device away: powers are multiples of "
                        "%" PRId64 " W here; none was issued",
                        power_w(opening->issue.max_power), wanted->power_step);
    }
    if (status == CLI_DONE) {
        status = alias_crowd(session, assets, opening, &crowd);
    }
    return status == CLI_DONE && crowd < wanted->crowd
               ? cli_fail(cli, CLI_REFUSED, "small_crowd",
                          "only %" PRIu32 " devices of that manager, zone, feeder, type and power "
                          "could be meant, fewer than --crowd %" PRIu32 "; none was issued",
                          crowd, wanted->crowd)
               : status;
}

static int by_alias(const void *a, const void *b)
{
    const struct alias_opening *left = a, *right = b;
    return name_compare(&left->issue.id, &right->issue.id);
}

/* Sorted by names that mean nothing, so that the order of a batch says nothing of devices either. */
static int send_issues(struct cli *cli, struct alias_list *list)
{
    static struct submit submit;
    int status = CLI_DONE;
    qsort(list->items, list->count, sizeof *list->items, by_alias);
    for (uint32_t first = 0; first < list->count && status == CLI_DONE;) {
        memset(&submit, 0, sizeof submit);
        while (submit.count < LIMIT_ACTIONS_PER_TX && first < list->count) {
            submit.actions[submit.count].type = ACTION_ALIAS_ISSUE;
            submit.actions[submit.count].record = &list->items[first].issue;
            submit.count++;
            first++;
        }
        /* Several transactions, one result: what the last one says about itself stays. */
        while (cli->result->child != NULL) {
            cJSON_Delete(cJSON_DetachItemViaPointer(cli->result, cli->result->child));
        }
        status = submit_run(cli, &submit);
    }
    return status;
}

/* The book is on disk before anything is sent: what was issued can't be forgotten. */
static int keep_book(struct cli *cli, struct alias_list *book, const struct alias_list *list)
{
    char path[FILES_PATH_SIZE];
    int status = book_path(cli, path);
    return status == CLI_DONE && !cli->dry_run && list->count > 0 ? alias_write(cli, path, book)
                                                                  : status;
}

static int check_all(struct session *session, const struct issue *wanted, struct alias_list *book,
                     const struct alias_list *list)
{
    char path[FILES_PATH_SIZE];
    struct cJSON *assets = NULL;
    int status = book_path(session->cli, path);
    if (status == CLI_DONE && files_exists(path)) {
        status = alias_read(session->cli, book, path);
    }
    for (uint32_t i = 0; i < list->count && status == CLI_DONE; i++) {
        /* It may have been tried before; whether it was issued then, the ledger says. */
        if (alias_find(book, &list->items[i].issue.id) == NULL) {
            alias_add(book, &list->items[i]);
        }
    }
    if (status == CLI_DONE) {
        status = session_list(session, &assets, "assets");
    }
    for (uint32_t i = 0; i < list->count && status == CLI_DONE; i++) {
        status = check_new(session, wanted, book, &list->items[i], assets);
    }
    cJSON_Delete(assets);
    return status;
}

static int run_issue(struct cli *cli, void *arguments)
{
    const struct issue *wanted = arguments;
    struct session session;
    struct alias_list list = {0}, book = {0};
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        status = read_all(cli, &list);
    }
    if (status == CLI_DONE) {
        status = check_all(&session, wanted, &book, &list);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        status = keep_book(cli, &book, &list);
    }
    if (status == CLI_DONE) {
        status = send_issues(cli, &list);
    }
    if (status == CLI_DONE) {
        json_add_u32(cli->result, "aliases", list.count);
        cli_say(cli, "aliases issued: %u\n", list.count);
    }
    alias_list_release(&list);
    alias_list_release(&book);
    return status;
}

/* --- audit ------------------------------------------------------------------------------------ */

static void add_problem(struct cJSON *problems, const struct alias_opening *opening,
                        const char *problem)
{
    char text[NAME_SIZE + 1];
    struct cJSON *item = cJSON_CreateObject();
    MUST(item != NULL);
    cJSON_AddStringToObject(item, "alias", name_to_text(text, &opening->issue.id));
    cJSON_AddStringToObject(item, "device", name_to_text(text, &opening->device));
    cJSON_AddStringToObject(item, "problem", problem);
    cJSON_AddItemToArray(problems, item);
}

/* Aliases on the ledger of which no opening was given. */
static int count_unopened(struct session *session, const struct alias_list *list, uint32_t *out)
{
    struct cJSON *aliases = NULL;
    const struct cJSON *item;
    *out = 0;
    int status = session_list(session, &aliases, "aliases");
    cJSON_ArrayForEach(item, aliases)
    {
        struct name alias;
        const char *id = json_string(item, "id");
        bool opened = id != NULL && name_from_text(&alias, id, strlen(id)) &&
                      alias_find(list, &alias) != NULL;
        *out += !opened;
    }
    cJSON_Delete(aliases);
    return status;
}

static int audit_openings(struct session *session, const struct alias_list *list)
{
    struct cli *cli = session->cli;
    struct cJSON *problems = cJSON_AddArrayToObject(cli->result, "problems");
    uint32_t unopened = 0;
    int status = CLI_DONE;
    for (uint32_t i = 0; i < list->count && status == CLI_DONE; i++) {
        const char *problem = NULL;
        status = alias_check(session, list, &list->items[i], true, &problem);
        if (status == CLI_DONE && problem != NULL) {
            add_problem(problems, &list->items[i], problem);
        }
    }
    if (status == CLI_DONE) {
        status = count_unopened(session, list, &unopened);
    }
    if (status != CLI_DONE) {
        return status;
    }
    const int found = cJSON_GetArraySize(problems);
    json_add_u32(cli->result, "checked", list->count);
    json_add_u32(cli->result, "unopened", unopened);
    cli_say(cli, "%u openings checked, %d with a problem; %u aliases on the ledger not opened\n",
            list->count, found, unopened);
    if (!cli->json) {
        cli_say_table(cli, problems, "alias device problem");
    }
    return found == 0 ? CLI_DONE
                      : cli_fail(cli, CLI_REFUSED, "aliases_wrong",
                                 "%d of %u openings do not stand", found, list->count);
}

static int run_audit(struct cli *cli, void *arguments)
{
    struct session session;
    struct alias_list list = {0};
    (void)arguments;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        status = read_all(cli, &list);
    }
    if (status == CLI_DONE) {
        status = audit_openings(&session, &list);
    }
    session_close(&session);
    alias_list_release(&list);
    return status;
}

/* --- readings --------------------------------------------------------------------------------- */

struct derive {
    uint64_t deal;
    const char *openings;
    const char *out;
    const char *check;
};

static const struct cli_option readings_options[] = {
    {"deal", CLI_U64, offsetof(struct derive, deal), "the deal that they are to prove",
     CLI_REQUIRED, NULL, NULL, 0},
    {"openings", CLI_FILE, offsetof(struct derive, openings),
     "openings of the device's aliases, all of them", CLI_REQUIRED, NULL, NULL, 0},
    {"out", CLI_FILE, offsetof(struct derive, out), "readings file to make or to add to",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"check", CLI_FILE, offsetof(struct derive, check),
     "instead of writing: whether this file's readings are what these lead to", CLI_OPTIONAL, NULL,
     NULL, 0},
};

/* What is known of the deal, all of it proven. */
struct derived {
    struct alias_list list;
    const struct alias_opening *opening;
    struct deal_record deal;
    struct market_create terms;
    struct device_record device;
    struct meter_reading *readings;
    uint32_t reading_count;
    int64_t *activated;
    uint32_t activated_count;
    struct meter_reading out[LIMIT_INTERVALS_PER_PERIOD];
    uint32_t out_count;
};

static int fetch(struct session *session, const char *kind, const char *id, void *record)
{
    struct proof proof = {0};
    bool absent;
    int status = session_record(session, kind, id, record, &absent, &proof);
    proof_release(&proof);
    return status == CLI_DONE && absent
               ? cli_fail(session->cli, CLI_REFUSED, "absent", "there is no %s %s", kind, id)
               : status;
}

static int fetch_all(struct session *session, struct derived *derived, const struct derive *wanted)
{
    char id[NAME_SIZE + 1 + INT128_TEXT_SIZE], name[NAME_SIZE + 1];
    int128_to_text(id, wanted->deal);
    int status = fetch(session, "deal", id, &derived->deal);
    if (status != CLI_DONE) {
        return status;
    }
    derived->opening = alias_find(&derived->list, &derived->deal.device);
    if (derived->opening == NULL) {
        return cli_fail(session->cli, CLI_REFUSED, "not_its_deal",
                        "no opening here is of %s, the device of deal %s",
                        name_to_text(name, &derived->deal.device), id);
    }
    snprintf(id, sizeof id, "%s/%u", name_to_text(name, &derived->deal.market),
             derived->deal.version);
    status = fetch(session, "terms", id, &derived->terms);
    if (status == CLI_DONE) {
        status = fetch(session, "asset", name_to_text(name, &derived->opening->device),
                       &derived->device);
    }
    return status == CLI_DONE && derived->terms.delivery.method == DELIVERY_BASELINE
               ? alias_activated_days(session, &derived->list, &derived->opening->device,
                                      &derived->activated, &derived->activated_count)
               : status;
}

static int derive(struct session *session, struct derived *derived, const struct derive *wanted)
{
    struct cli *cli = session->cli;
    int status = alias_read(cli, &derived->list, wanted->openings);
    for (size_t i = 0; i < cli->word_count && status == CLI_DONE; i++) {
        status =
            reveal_read_readings(cli, &derived->readings, &derived->reading_count, cli->words[i]);
    }
    if (status == CLI_DONE) {
        status = fetch_all(session, derived, wanted);
    }
    if (status != CLI_DONE) {
        return status;
    }
    const struct alias_task task = {.opening = derived->opening,
                                    .deal = &derived->deal,
                                    .terms = &derived->terms,
                                    .device = &derived->device,
                                    .readings = derived->readings,
                                    .reading_count = derived->reading_count,
                                    .activated = derived->activated,
                                    .activated_count = derived->activated_count};
    const char *problem = alias_derive(derived->out, &derived->out_count, &task);
    return problem == NULL
               ? CLI_DONE
               : cli_fail(cli, CLI_REFUSED, problem,
                          "the readings do not say what the deal delivered: %s", problem);
}

static int sign_derived(struct cli *cli, struct derived *derived)
{
    struct secret_key secret;
    struct public_key key;
    uint8_t master[METER_SECRET_SIZE];
    const struct alias_issue *issue = &derived->opening->issue;
    const bool sub = derived->out[0].meter == METER_SUB;
    int status = meter_master(cli, master);
    if (status != CLI_DONE) {
        return status;
    }
    alias_meter_secret(&secret, master, &issue->id, sub ? METER_SUB : METER_CERTIFIED);
    sodium_memzero(master, sizeof master);
    if (!schnorr_public_key(&key, &secret) ||
        !public_key_equal(&key, sub ? &issue->submeter_key : &issue->meter_key)) {
        status = cli_fail(cli, CLI_REFUSED, "bad_key",
                          "the alias's meter key was not made in this home");
    }
    for (uint32_t i = 0; i < derived->out_count && status == CLI_DONE; i++) {
        struct hash message;
        meter_reading_message(&message, &derived->out[i]);
        MUST(schnorr_sign(&derived->out[i].signature, &secret, &message));
    }
    secret_key_wipe(&secret);
    return status;
}

/* Whether each unit is in the file, once, with that value; the signature is the ledger's to check. */
static int check_derived(struct cli *cli, const struct derived *derived, const char *path)
{
    struct meter_reading *given = NULL;
    uint32_t count = 0;
    int status = reveal_read_readings(cli, &given, &count, path);
    for (uint32_t i = 0; i < derived->out_count && status == CLI_DONE; i++) {
        const struct meter_reading *wanted = &derived->out[i];
        uint32_t equal = 0, same_unit = 0;
        for (uint32_t j = 0; j < count; j++) {
            bool unit = name_compare(&given[j].device, &wanted->device) == 0 &&
                        timestamp_compare(given[j].interval_start, wanted->interval_start) == 0;
            same_unit += unit;
            equal += unit && given[j].meter == wanted->meter &&
                     energy_compare(given[j].net, wanted->net) == 0;
        }
        if (equal != 1 || same_unit != 1) {
            status = cli_fail(cli, CLI_REFUSED, "differs",
                              "%s: time unit %u is not what the readings lead to", path, i + 1);
        }
    }
    free(given);
    return status;
}

static int run_readings(struct cli *cli, void *arguments)
{
    const struct derive *wanted = arguments;
    struct session session;
    static struct derived derived;
    memset(&derived, 0, sizeof derived);
    if ((wanted->out == NULL) == (wanted->check == NULL)) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "give either --out or --check");
    }
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_trust(&session);
    }
    if (status == CLI_DONE) {
        status = derive(&session, &derived, wanted);
    }
    session_close(&session);
    if (status == CLI_DONE && wanted->check != NULL) {
        status = check_derived(cli, &derived, wanted->check);
    } else if (status == CLI_DONE) {
        status = sign_derived(cli, &derived);
        if (status == CLI_DONE) {
            status = reveal_append_readings(cli, wanted->out, derived.out, derived.out_count);
        }
    }
    if (status == CLI_DONE) {
        json_add_u32(cli->result, "readings", derived.out_count);
        noun_say_result(cli);
    }
    alias_list_release(&derived.list);
    free(derived.readings);
    free(derived.activated);
    return status;
}

/* --- the commands ----------------------------------------------------------------------------- */

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "aliases", "id issuer manager market from_ms until_ms");
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "alias", wanted->id, "unknown_alias");
}

static const struct cli_command commands[] = {
    {.verb = "request",
     .summary = "ask for a name under which to offer a device once (its manager)",
     .teach =
         "One alias per deal. The file links it to the device: it goes to the meter operator and\n"
         "the DSO, and never anywhere else.\n"
         "  flex alias request battery-7 --market west --from 2026-01-07T18:00Z\n"
         "       --until 2026-01-07T19:00Z --max-power-w 2000 --out aliases.json",
     .options = request_options,
     .option_count = sizeof request_options / sizeof request_options[0],
     .arguments_size = sizeof(struct request),
     .sends = true,
     .run = run_request},
    {.verb = "key",
     .summary = "give each alias a meter key of its own (the meter operator)",
     .options = key_options,
     .option_count = sizeof key_options / sizeof key_options[0],
     .arguments_size = sizeof(struct fill),
     .more_words = "FILE...",
     .run = run_key},
    {.verb = "issue",
     .summary = "put aliases on the ledger, after checking what they are of (a DSO)",
     .teach = "All or none. What was issued is kept in HOME/aliases.json, and no device gets two\n"
              "aliases for one time.",
     .options = issue_options,
     .option_count = sizeof issue_options / sizeof issue_options[0],
     .arguments_size = sizeof(struct issue),
     .sends = true,
     .more_words = "FILE...",
     .run = run_issue},
    {.verb = "readings",
     .summary = "put a deal's readings under its alias (the meter operator)",
     .teach =
         "FILE are the device's own readings; what is written goes to flex meter batch. Under a\n"
         "baseline it is what was delivered, and no reading at all. A regulator repeats it with\n"
         "--check.\n"
         "  flex alias readings --deal 7 --openings aliases.json --out proof.json day*.json",
     .options = readings_options,
     .option_count = sizeof readings_options / sizeof readings_options[0],
     .arguments_size = sizeof(struct derive),
     .more_words = "FILE...",
     .run = run_readings},
    {.verb = "audit",
     .summary = "hold openings against the ledger (whoever was given them)",
     .teach = "Names every alias that is not what its opening says, of a device that is not the\n"
              "manager's or not so large, or that was carved out or sold twice.",
     .more_words = "FILE...",
     .run = run_audit},
    {.verb = "show",
     .summary = "one alias, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "list", .summary = "all aliases", .run = run_list},
};

const struct cli_noun alias_noun = {"alias",
                                    "names of devices for one deal, that lead to no device",
                                    commands, sizeof commands / sizeof commands[0]};
