/* Watching orders and deals (tools/watch.h).
 *
 *   list what is open -> stream from the block behind -> per block: which of ours does it name? -> their
 *   records, proven -> a line for each that changed
 *
 * Invariants: a line is printed of a record that was proven and that differs from what was printed of it last;
 * what the stream leaves out is found when the stream names the record again, at the latest when it is
 * watched anew; an interrupt ends the command well, between two lines.
 *
 * Deliberately absent: the events themselves (flex order events has them, by the node's word). */
#include "tools/watch.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "contracts/records.h"
#include "tools/session.h"
#include "tools/value.h"
#include "tools/wait.h"

/* Nodes say that they are alive every 15 seconds. */
enum { SILENT_MS = 45 * 1000 };

const struct cli_option watch_options[WATCH_OPTIONS] = {
    {"market", CLI_NAME, offsetof(struct watch, market), "in this market only", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"participant", CLI_NAME, offsetof(struct watch, participant),
     "whose, if not this wallet's own", CLI_OPTIONAL, NULL, NULL, 0},
    {"from-height", CLI_U64, offsetof(struct watch, from_height),
     "also what has changed since this block", CLI_OPTIONAL, NULL, NULL, 0},
    {"until-closed", CLI_SWITCH, offsetof(struct watch, until_closed),
     "end when all that is watched has ended", CLI_OPTIONAL, NULL, NULL, 0},
};

/* What orders and deals differ in. */
struct watched_kind {
    const char *kind;
    const char *plural;
    const char *head;
    bool (*is_ours)(const struct cJSON *record, const char *participant);
    bool (*is_closed)(const struct cJSON *record);
    void (*say)(struct cli *cli, const struct cJSON *record);
};

struct watched {
    char id[24];
    bool closed;
    char *said; /* the record as it was printed last; NULL: not yet */
};

struct watcher {
    struct cli *cli;
    const struct watch *wanted;
    const struct watched_kind *kind;
    struct session session;
    struct session stream; /* of its own: one connection is busy streaming */
    struct sse_reader reader;
    char participant[NAME_SIZE + 1]; /* empty: only what was named */
    char market[NAME_SIZE + 1];      /* empty: every one */
    uint64_t next_height;
    uint64_t changes;
    int status; /* of what went wrong while the stream came in */
    bool heard; /* since the last connection */
    size_t count;
    struct watched *items;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static const char *text_of(const struct cJSON *record, const char *key)
{
    const char *text = json_string(record, key);
    return text != NULL ? text : "-";
}

static int64_t number_of(const struct cJSON *record, const char *key)
{
    int64_t value = 0;
    (void)json_i64(&value, record, key);
    return value;
}

/* --- the two kinds -------------------------------------------------------------------------- */

static bool order_is_ours(const struct cJSON *record, const char *participant)
{
    return strcmp(text_of(record, "participant"), participant) == 0;
}

static bool order_is_closed(const struct cJSON *record)
{
    return strcmp(text_of(record, "status"), order_status_names[ORDER_OPEN]) != 0;
}

static void say_order(struct cli *cli, const struct cJSON *record)
{
    char start[VALUE_TEXT_SIZE], price[VALUE_TEXT_SIZE], open[VALUE_TEXT_SIZE * 2];
    snprintf(open, sizeof open, "%s/%s", text_of(record, "open_wh"),
             text_of(record, "quantity_wh"));
    cli_say(cli, "%8s  %-10s %-16s %-4s %-5s %-20s %14s %12s\n", text_of(record, "id"),
            text_of(record, "status"), text_of(record, "market"), text_of(record, "side"),
            text_of(record, "direction"),
            value_time_text(start, number_of(record, "period_start_ms")), open,
            value_eur_text(price, number_of(record, "price_ueur_per_kwh")));
}

static bool deal_is_ours(const struct cJSON *record, const char *participant)
{
    return strcmp(text_of(record, "buyer"), participant) == 0 ||
           strcmp(text_of(record, "seller"), participant) == 0;
}

static bool deal_is_closed(const struct cJSON *record)
{
    const char *state = text_of(record, "state");
    return strcmp(state, deal_state_names[DEAL_SETTLED]) == 0 ||
           strcmp(state, deal_state_names[DEAL_PARTIAL]) == 0 ||
           strcmp(state, deal_state_names[DEAL_REFUNDED]) == 0;
}

static void say_deal(struct cli *cli, const struct cJSON *record)
{
    char start[VALUE_TEXT_SIZE], paid[VALUE_TEXT_SIZE], back[VALUE_TEXT_SIZE];
    cli_say(cli, "%8s  %-10s %-16s %-12s %-12s %-20s %10s %10s %10s\n", text_of(record, "id"),
            text_of(record, "state"), text_of(record, "market"), text_of(record, "buyer"),
            text_of(record, "seller"), value_time_text(start, number_of(record, "period_start_ms")),
            text_of(record, "contracted_wh"), value_eur_text(paid, number_of(record, "paid_ueur")),
            value_eur_text(back, number_of(record, "refunded_ueur")));
}

static const struct watched_kind order_kind = {
    "order",
    "orders",
    "      id  status     market           side dir   "
    "start                   open/of (Wh)      EUR/kWh\n",
    order_is_ours,
    order_is_closed,
    say_order};
static const struct watched_kind deal_kind = {
    "deal",
    "deals",
    "      id  state      market           buyer        seller       "
    "start                        Wh   paid EUR   back EUR\n",
    deal_is_ours,
    deal_is_closed,
    say_deal};

/* --- what is watched ------------------------------------------------------------------------ */

static struct watched *find(const struct watcher *watcher, const char *id)
{
    for (size_t i = 0; i < watcher->count; i++) {
        if (strcmp(watcher->items[i].id, id) == 0) {
            return &watcher->items[i];
        }
    }
    return NULL;
}

static struct watched *add(struct watcher *watcher, const char *id)
{
    if (watcher->count == WATCHED_MAX || strlen(id) >= sizeof watcher->items[0].id) {
        watcher->status = cli_fail(watcher->cli, CLI_USAGE, "too_many",
                                   "more than %d are watched: name some", WATCHED_MAX);
        return NULL;
    }
    struct watched *item = &watcher->items[watcher->count++];
    memset(item, 0, sizeof *item);
    memcpy(item->id, id, strlen(id) + 1);
    return item;
}

/* Prints the record if it is not as it was. Takes it over. */
static void tell(struct watcher *watcher, struct watched *item, struct cJSON *record,
                 uint64_t height)
{
    struct cli *cli = watcher->cli;
    char *text = cJSON_PrintUnformatted(record);
    MUST(text != NULL);
    item->closed = watcher->kind->is_closed(record);
    if (item->said != NULL && strcmp(item->said, text) == 0) {
        cJSON_free(text);
        cJSON_Delete(record);
        return;
    }
    free(item->said);
    item->said = strdup(text);
    MUST(item->said != NULL);
    cJSON_free(text);
    if (cli->json) {
        json_add_u64(record, "proven_height", height);
        cJSON_AddBoolToObject(record, "proof_verified", !cli->no_verify);
        char *line = cJSON_PrintUnformatted(record);
        MUST(line != NULL);
        fprintf(cli->out, "%s\n", line);
        cJSON_free(line);
    } else {
        watcher->kind->say(cli, record);
    }
    cJSON_Delete(record);
    watcher->changes++;
    if (fflush(cli->out) != 0) {
        watcher->status = cli_fail(cli, CLI_NO_NODE, "output_lost", "nobody reads any more");
    }
}

/* Fetches a record with its proof and tells what is new; one that is not there is told once. */
static void look(struct watcher *watcher, struct watched *item)
{
    static _Alignas(16) uint8_t bytes[16384];
    const struct state_kind_info *info = state_kind_by_name(watcher->kind->kind);
    struct proof proof = {0};
    bool absent = false;
    MUST(info->codec->struct_size <= sizeof bytes);
    int status = session_record(&watcher->session, info->name, item->id, bytes, &absent, &proof);
    if (status == CLI_DONE && absent) {
        status = cli_fail(watcher->cli, CLI_REFUSED,
                          watcher->kind == &order_kind ? "unknown_order" : "unknown_deal",
                          "there is no %s %s", info->name, item->id);
    }
    if (status == CLI_DONE) {
        struct cJSON *record = cJSON_CreateObject();
        struct cJSON *fields = codec_to_json(info->codec, bytes);
        MUST(record != NULL && fields != NULL);
        cJSON_AddStringToObject(record, "id", item->id);
        while (fields->child != NULL) {
            struct cJSON *field = cJSON_DetachItemViaPointer(fields, fields->child);
            cJSON_AddItemToObject(record, field->string, field);
        }
        cJSON_Delete(fields);
        tell(watcher, item, record, proof.header.height);
    } else {
        watcher->status = status;
    }
    proof_release(&proof);
}

static bool is_wanted(const struct watcher *watcher, const struct cJSON *record)
{
    return watcher->participant[0] != '\0' &&
           watcher->kind->is_ours(record, watcher->participant) &&
           (watcher->market[0] == '\0' || strcmp(text_of(record, "market"), watcher->market) == 0);
}

static bool all_closed(const struct watcher *watcher)
{
    for (size_t i = 0; i < watcher->count; i++) {
        if (!watcher->items[i].closed) {
            return false;
        }
    }
    return true;
}

static bool is_over(const struct watcher *watcher)
{
    return interrupted != 0 || watcher->status != CLI_DONE ||
           (watcher->wanted->until_closed && all_closed(watcher));
}

/* --- the stream ----------------------------------------------------------------------------- */

/* Looks at `id` if it is watched, or if the event's own record says that it is to be. */
static void named(struct watcher *watcher, const char *id, const struct cJSON *record)
{
    struct watched *item = id != NULL ? find(watcher, id) : NULL;
    if (item == NULL && id != NULL && record != NULL && is_wanted(watcher, record)) {
        item = add(watcher, id);
    }
    if (item != NULL && watcher->status == CLI_DONE) {
        look(watcher, item);
    }
}

static bool take_block(void *context, uint64_t height, const char *data, size_t size)
{
    struct watcher *watcher = context;
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *block = json_parse_strict(data, size, problem);
    const struct cJSON *event;
    if (block == NULL || height < watcher->next_height) {
        cJSON_Delete(block);
        return false; /* taken up again; a node that goes on like that is given up */
    }
    cJSON_ArrayForEach(event, json_array(block, "events"))
    {
        const char *type = json_string(event, "type");
        const struct cJSON *deal = json_object(event, "deal");
        if (type == NULL || is_over(watcher)) {
            continue;
        }
        if (watcher->kind == &deal_kind) {
            if (strncmp(type, "deal_", 5) == 0) {
                named(watcher, json_string(event, "id"), deal);
            }
        } else if (strncmp(type, "order_", 6) == 0 || strcmp(type, "allocated") == 0) {
            named(watcher, json_string(event, "id"), json_object(event, "order"));
        } else if (deal != NULL) {
            named(watcher, json_string(deal, "buy_order"), NULL);
            named(watcher, json_string(deal, "sell_order"), NULL);
        }
    }
    cJSON_Delete(block);
    watcher->heard = true;
    watcher->next_height = height + 1;
    return !is_over(watcher);
}

static bool take_bytes(void *context, const char *data, size_t size)
{
    struct watcher *watcher = context;
    return sse_feed(&watcher->reader, data, size, take_block, watcher) && !is_over(watcher);
}

/* Also when whoever reads standard output has gone: the next change may be hours away. */
static bool wants_stop(void *context)
{
    struct watcher *watcher = context;
    struct pollfd out = {.fd = fileno(watcher->cli->out), .events = 0};
    if (watcher->status == CLI_DONE && out.fd >= 0 && poll(&out, 1, 0) > 0 &&
        (out.revents & POLLERR) != 0) {
        watcher->status =
            cli_fail(watcher->cli, CLI_NO_NODE, "output_lost", "nobody reads any more");
    }
    return is_over(watcher);
}

/* Follows until it is over, taking up a stream that breaks; no block within --timeout is no node. */
static int follow(struct watcher *watcher)
{
    const struct client_stream stream = {take_bytes, wants_stop, watcher, SILENT_MS};
    struct wait wait;
    wait_begin(&wait, watcher->cli->timeout_ms);
    while (!is_over(watcher)) {
        struct client_answer answer;
        char path[CLIENT_PATH_SIZE];
        snprintf(path, sizeof path, "/v1/events?from=%" PRIu64, watcher->next_height);
        watcher->heard = false;
        client_follow(watcher->stream.client, &answer, path, &stream);
        sse_release(&watcher->reader);
        if (watcher->heard) {
            wait_begin(&wait, watcher->cli->timeout_ms);
        }
        /* 429: the place of a stream that broke may still be taken by it. */
        const bool refused = answer.status != 0 && answer.status != 200 && answer.status != 503 &&
                             answer.status != 429;
        if (!is_over(watcher) && (refused || !wait_more(&wait))) {
            watcher->status = session_refusal(&watcher->stream, &answer);
        }
        client_answer_release(&answer);
    }
    return watcher->status;
}

/* --- the command ---------------------------------------------------------------------------- */

static int read_tip(struct watcher *watcher)
{
    struct cJSON *answer;
    int status = session_get(&watcher->session, &answer, "/v1/status");
    if (status == CLI_DONE && !json_u64(&watcher->next_height, answer, "height")) {
        status =
            cli_fail(watcher->cli, CLI_NO_NODE, "bad_answer", "the node's status has no height");
    }
    cJSON_Delete(answer);
    watcher->next_height++;
    if (watcher->wanted->from_height != 0) {
        watcher->next_height = watcher->wanted->from_height;
    }
    return status;
}

/* What was named; or what is open of the participant's. */
static int begin_with(struct watcher *watcher)
{
    struct cli *cli = watcher->cli;
    struct cJSON *items = NULL;
    const struct cJSON *item;
    for (size_t i = 0; i < cli->word_count && watcher->status == CLI_DONE; i++) {
        if (find(watcher, cli->words[i]) == NULL && add(watcher, cli->words[i]) != NULL) {
            look(watcher, &watcher->items[watcher->count - 1]);
        }
    }
    if (cli->word_count > 0 || watcher->status != CLI_DONE) {
        return watcher->status;
    }
    struct name participant;
    int status =
        session_participant(&watcher->session, &participant, &watcher->wanted->participant);
    if (status == CLI_DONE) {
        name_to_text(watcher->participant, &participant);
        status = session_list(&watcher->session, &items, watcher->kind->plural);
    }
    cJSON_ArrayForEach(item, items)
    {
        if (status == CLI_DONE && is_wanted(watcher, item) && !watcher->kind->is_closed(item)) {
            struct watched *known = add(watcher, text_of(item, "id"));
            if (known != NULL) {
                look(watcher, known);
            }
            status = watcher->status;
        }
    }
    cJSON_Delete(items);
    return status;
}

static int run(struct cli *cli, const struct watch *wanted, const struct watched_kind *kind)
{
    static struct watcher watcher;
    struct sigaction action = {.sa_handler = on_signal}, before[2];
    memset(&watcher, 0, sizeof watcher);
    watcher.cli = cli;
    watcher.wanted = wanted;
    watcher.kind = kind;
    name_to_text(watcher.market, &wanted->market);
    watcher.items = calloc(WATCHED_MAX, sizeof *watcher.items);
    MUST(watcher.items != NULL);
    interrupted = 0;
    sigaction(SIGINT, &action, &before[0]);
    sigaction(SIGTERM, &action, &before[1]);
    int status = session_open(&watcher.session, cli);
    if (status == CLI_DONE) {
        status = session_open(&watcher.stream, cli);
    }
    if (status == CLI_DONE) {
        status = read_tip(&watcher);
    }
    if (status == CLI_DONE) {
        cli_say(cli, "%s", cli->json ? "" : kind->head);
        status = begin_with(&watcher);
    }
    if (status == CLI_DONE) {
        status = follow(&watcher);
    }
    json_add_u64(cli->result, "changes", watcher.changes);
    json_add_u64(cli->result, "next_height", watcher.next_height);
    cJSON_AddStringToObject(cli->result, "ended",
                            status != CLI_DONE ? "failed"
                            : interrupted      ? "signal"
                                               : "closed");
    session_close(&watcher.stream);
    session_close(&watcher.session);
    for (size_t i = 0; i < watcher.count; i++) {
        free(watcher.items[i].said);
    }
    free(watcher.items);
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    return status;
}

int watch_orders(struct cli *cli, void *arguments)
{
    return run(cli, arguments, &order_kind);
}

int watch_deals(struct cli *cli, void *arguments)
{
    return run(cli, arguments, &deal_kind);
}
