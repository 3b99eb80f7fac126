/* A node's market data as a table (tools/market_pages.h).
 *
 * Invariants: the rows are the node's word, and the result says so (`proof_verified` false; people are
 * warned): an audit of an export is what verifies them. A cursor that does not move on ends the command,
 * so that no node keeps it asking for ever.
 *
 * Deliberately absent: sums. Who adds up what a node says adds up an export (flex audit). */
#include "tools/market_pages.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "node/market_scan.h"
#include "tools/audit_command.h"
#include "tools/session.h"

/* A place that only the node can read is some 130 digits long (docs/spec/api.md, "Who sees what"). */
enum { PAGE_ROWS = 1000, CURSOR_SIZE = 192 };

const struct cli_option market_pages_options[MARKET_PAGES_OPTIONS] = {
    {"market", CLI_NAME, offsetof(struct market_pages, market), "of this market only", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"participant", CLI_NAME, offsetof(struct market_pages, participant),
     "of this participant only", CLI_OPTIONAL, NULL, NULL, 0},
    {"from-height", CLI_U64, offsetof(struct market_pages, from_height), "no block below",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"to-height", CLI_U64, offsetof(struct market_pages, to_height), "no block above", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"after", CLI_TEXT, offsetof(struct market_pages, after),
     "the next page: what the last one called `next`", CLI_OPTIONAL, NULL, NULL, 0},
    {"limit", CLI_U64, offsetof(struct market_pages, limit), "at most so many rows", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"csv", CLI_SWITCH, offsetof(struct market_pages, csv), "print CSV", CLI_OPTIONAL, NULL, NULL,
     0},
    {"order", CLI_U64, offsetof(struct market_pages, order), "of this order only", CLI_OPTIONAL,
     NULL, NULL, 0},
};

struct table {
    const char *path;
    const char *columns;
    const char *shown;
};

/* One command while it runs. */
struct paging {
    const struct market_pages *wanted;
    const struct table *table;
    struct session session;
    struct audit_table out;
    uint64_t rows;
    uint64_t rows_max;
    uint64_t height; /* of the node, when it gave the last page */
    bool more;
    bool filtered;          /* only what this wallet may see */
    char next[CURSOR_SIZE]; /* empty: from the start */
};

static void add_number(char *path, size_t size, const char *name, uint64_t value)
{
    size_t used = strlen(path);
    int added = snprintf(path + used, size - used, "&%s=%" PRIu64, name, value);
    MUST(added > 0 && (size_t)added < size - used);
}

static void add_text(char *path, size_t size, const char *name, const char *value)
{
    size_t used = strlen(path);
    int added = snprintf(path + used, size - used, "&%s=%s", name, value);
    MUST(added > 0 && (size_t)added < size - used);
}

static void path_of(const struct paging *paging, char *path, size_t size)
{
    const struct market_pages *wanted = paging->wanted;
    uint64_t left = paging->rows_max - paging->rows;
    char name[NAME_SIZE + 1];
    int used = snprintf(path, size, "%s?limit=%" PRIu64, paging->table->path,
                        left < PAGE_ROWS ? left : PAGE_ROWS);
    MUST(used > 0 && (size_t)used < size);
    if (!name_is_empty(&wanted->market)) {
        add_text(path, size, "market", name_to_text(name, &wanted->market));
    }
    if (!name_is_empty(&wanted->participant)) {
        add_text(path, size, "participant", name_to_text(name, &wanted->participant));
    }
    if (wanted->order != 0) {
        add_number(path, size, "order", wanted->order);
    }
    if (wanted->from_height != 0) {
        add_number(path, size, "from_height", wanted->from_height);
    }
    if (wanted->to_height != 0) {
        add_number(path, size, "to_height", wanted->to_height);
    }
    if (paging->next[0] != '\0') {
        add_text(path, size, "cursor", paging->next);
    }
}

/* "S-" and hex digits, to a reader who may not see all rows. */
static bool is_sealed(const char *text)
{
    const size_t length = strlen(text);
    return length > 2 && length < CURSOR_SIZE && strncmp(text, "S-", 2) == 0 &&
           strspn(text + 2, "0123456789abcdef") == length - 2;
}

/* Whether `next` is a place, and behind the last one; of sealed ones only the node knows, and the count
 * of requests is bounded. */
static bool goes_on(const char *before, const char *next)
{
    struct market_cursor last = {0};
    struct market_cursor at;
    if (is_sealed(next)) {
        return strcmp(before, next) != 0;
    }
    return market_cursor_from_text(&at, next) &&
           (before[0] == '\0' || is_sealed(before) || market_cursor_from_text(&last, before)) &&
           (at.height > last.height || (at.height == last.height && at.row > last.row));
}

/* Moves the rows out and takes the cursor over; false if the page is not one. */
static bool take_page(struct paging *paging, struct cJSON *page)
{
    struct cJSON *items = cJSON_GetObjectItemCaseSensitive(page, "items");
    const struct cJSON *next = cJSON_GetObjectItemCaseSensitive(page, "next");
    const char *height = json_string(page, "height");
    if (!cJSON_IsArray(items) || (next != NULL && !cJSON_IsString(next)) || height == NULL ||
        !uint64_from_text(&paging->height, height)) {
        return false;
    }
    while (items->child != NULL) {
        if (paging->rows == paging->rows_max || !cJSON_IsObject(items->child)) {
            return false;
        }
        audit_table_row(&paging->out, cJSON_DetachItemViaPointer(items, items->child));
        paging->rows++;
    }
    paging->more = next != NULL;
    paging->filtered = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(page, "filtered"));
    if (next == NULL) {
        return true;
    }
    if (!goes_on(paging->next, next->valuestring)) {
        return false;
    }
    snprintf(paging->next, sizeof paging->next, "%s", next->valuestring);
    return true;
}

static int fetch_pages(struct paging *paging)
{
    struct cli *cli = paging->session.cli;
    int status = CLI_DONE;
    uint32_t requests = 0;
    do {
        char path[CLIENT_PATH_SIZE];
        struct cJSON *page;
        path_of(paging, path, sizeof path);
        status = session_get(&paging->session, &page, "%s", path);
        if (status == CLI_DONE && !take_page(paging, page)) {
            status = cli_fail(cli, CLI_NO_NODE, "bad_answer", "%s%s: not a page of rows", cli->node,
                              path);
        }
        cJSON_Delete(page);
    } while (status == CLI_DONE && paging->more && paging->rows < paging->rows_max &&
             ++requests < MARKET_PAGES_REQUESTS_MAX);
    return status;
}

static void say_more(struct paging *paging)
{
    struct cli *cli = paging->session.cli;
    json_add_u64(cli->result, "height", paging->height);
    cJSON_AddBoolToObject(cli->result, "proof_verified", false);
    if (paging->filtered) {
        cJSON_AddBoolToObject(cli->result, "filtered", true);
        fprintf(cli->err, "only what this wallet may see\n");
    }
    if (!cli->no_verify) {
        fprintf(cli->err, "flex: warning: the node's word, NOT VERIFIED; flex audit verifies\n");
    }
    if (paging->more) {
        cJSON_AddStringToObject(cli->result, "next", paging->next);
        fprintf(cli->err, "there is more: --after %s\n", paging->next);
    }
}

static int run(struct cli *cli, const struct market_pages *wanted, const struct table *table)
{
    struct paging paging = {
        .wanted = wanted,
        .table = table,
        .rows_max = wanted->limit == 0 || wanted->limit > MARKET_PAGES_ROWS_MAX
                        ? MARKET_PAGES_ROWS_MAX
                        : wanted->limit,
        .out = {.cli = cli, .name = "items", .columns = table->columns, .shown = table->shown}};
    if (wanted->after != NULL && goes_on("", wanted->after)) {
        snprintf(paging.next, sizeof paging.next, "%s", wanted->after);
    } else if (wanted->after != NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_cursor",
                        "--after takes what an earlier answer called "
                        "`next`, like 120-3");
    }
    int status = session_open(&paging.session, cli);
    if (status == CLI_DONE) {
        status = audit_table_begin(&paging.out, wanted->csv, NULL);
    }
    if (status == CLI_DONE) {
        status = fetch_pages(&paging);
    }
    if (status == CLI_DONE) {
        status = audit_table_end(&paging.out);
    }
    if (status == CLI_DONE) {
        say_more(&paging);
    }
    session_close(&paging.session);
    return status;
}

int market_pages_order_events(struct cli *cli, void *arguments)
{
    static const struct table table = {
        "/v1/order-events",
        "height time_ms position event transaction kind order other against market direction "
        "period_start_ms participant side quantity_wh price_ueur_per_kwh device",
        "height time_ms kind order other participant side direction period_start_ms quantity_wh "
        "price_ueur_per_kwh"};
    return run(cli, arguments, &table);
}

int market_pages_trades(struct cli *cli, void *arguments)
{
    static const struct table table = {
        "/v1/trades",
        "height time_ms position event transaction deal market direction period_start_ms buyer "
        "seller device buy_order sell_order quantity_wh price_ueur_per_kwh escrow_ueur",
        "height time_ms deal market direction period_start_ms buyer seller device quantity_wh "
        "price_ueur_per_kwh"};
    return run(cli, arguments, &table);
}

int market_pages_fees(struct cli *cli, void *arguments)
{
    static const struct table table = {
        "/v1/fees",
        "height time_ms position event transaction kind participant key deal amount_ueur",
        "height time_ms position kind participant deal amount_ueur"};
    return run(cli, arguments, &table);
}

int market_pages_movements(struct cli *cli, void *arguments)
{
    static const struct table table = {
        "/v1/movements",
        "height time_ms position event transaction kind participant amount_ueur other",
        "height time_ms kind participant amount_ueur other"};
    return run(cli, arguments, &table);
}
