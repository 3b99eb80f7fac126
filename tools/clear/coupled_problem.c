/* Reads network and links of a coupled problem (tools/clear/coupled_text.h). A node is known if it is
 * the slack or the end of a line of any carrier; every carrier has all nodes, and lines of its own.
 *
 * Deliberately absent: any default of a network; a bid at a node that is not there is a fault. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/clear/clear_read.h"
#include "tools/clear/coupled_text.h"

const char *const coupled_payment_names[COUPLED_PAYMENT_COUNT] = {"node", "pay_as_bid"};
static const char *const op_names[] = {"<=", ">=", "="};

enum { WHERE_SIZE = 64 };

/* What reading needs beside the result. */
struct reader {
    struct coupled_text *out;
    const struct clear_text *text;
    struct clear_text_fault *fault;
    struct clear_named *nodes;    /* sorted */
    struct clear_named *carriers; /* sorted */
    struct clear_named *bids;     /* sorted */
};

static size_t count_items(const cJSON *list)
{
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        count++;
    }
    return count;
}

/* An array under `key`, or NULL where there is none; false if it is something else. */
static bool find_list(const cJSON **out, const cJSON *object, const char *key, const char *where,
                      struct clear_text_fault *fault)
{
    *out = cJSON_GetObjectItemCaseSensitive(object, key);
    return *out == NULL || cJSON_IsArray(*out) ||
           clear_text_fail(fault, "must be an array", "%s%s%s", where, where[0] != '\0' ? "." : "",
                           key);
}

/* Sorts names and keeps the first of equals; numbers them in the order in which they came. */
static uint32_t number_names(struct clear_named *sorted, uint32_t count, const char **names)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        sorted[i].at = i;
    }
    qsort(sorted, count, sizeof *sorted, clear_named_compare);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(sorted[kept - 1].name, sorted[i].name) != 0) {
            sorted[kept++] = sorted[i];
        }
    }
    /* `at` is the first place of each name; the rank among those is its number. */
    for (uint32_t i = 0; i < count; i++) {
        names[i] = NULL;
    }
    for (uint32_t i = 0; i < kept; i++) {
        names[sorted[i].at] = sorted[i].name;
    }
    uint32_t *number = calloc((size_t)count + 1, sizeof *number);
    if (number == NULL) {
        return UINT32_MAX;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (names[i] != NULL) {
            number[i] = used;
            names[used++] = names[i];
        }
    }
    for (uint32_t i = 0; i < kept; i++) {
        sorted[i].at = number[sorted[i].at];
    }
    free(number);
    return kept;
}

static bool read_nodes(struct reader *reader, const cJSON *network, const cJSON *lines)
{
    static const char *const known[] = {"from", "to", "capacity", "carrier", NULL};
    struct coupled_text *out = reader->out;
    size_t count = 2 * count_items(lines) + 1;
    reader->nodes = calloc(count, sizeof *reader->nodes);
    out->node_name = calloc(count, sizeof *out->node_name);
    if (reader->nodes == NULL || out->node_name == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "network");
    }
    const cJSON *item;
    uint32_t used = 0;
    unsigned at = 0;
    reader->nodes[used].name = clear_read_id(network, "slack", "network", reader->fault);
    if (reader->nodes[used++].name == NULL) {
        return false;
    }
    cJSON_ArrayForEach(item, lines)
    {
        char where[WHERE_SIZE];
        (void)snprintf(where, sizeof where, "network.lines[%u]", at++);
        if (!clear_read_known(item, known, where, reader->fault)) {
            return false;
        }
        for (int end = 0; end < 2; end++) {
            const char *name = clear_read_id(item, end == 0 ? "from" : "to", where, reader->fault);
            if (name == NULL) {
                return false;
            }
            reader->nodes[used++].name = name;
        }
    }
    out->node_count = number_names(reader->nodes, used, out->node_name);
    return out->node_count != UINT32_MAX ||
           clear_text_fail(reader->fault, "out of memory", "network");
}

/* The carrier of a line or row, `el` where none is named; NULL with the fault. */
static const char *carrier_of(const cJSON *item, const char *where, struct clear_text_fault *fault)
{
    bool named = cJSON_GetObjectItemCaseSensitive(item, "carrier") != NULL;
    return named ? clear_read_id(item, "carrier", where, fault) : "el";
}

static bool read_carriers(struct reader *reader, const cJSON *lines, const cJSON *rows,
                          const char *const *bid_carrier)
{
    struct coupled_text *out = reader->out;
    uint32_t bids = reader->text->problem.bid_count;
    size_t most = 1 + count_items(lines) + count_items(rows) + bids;
    reader->carriers = calloc(most, sizeof *reader->carriers);
    out->carrier_name = calloc(most, sizeof *out->carrier_name);
    if (reader->carriers == NULL || out->carrier_name == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "network");
    }
    uint32_t used = 0;
    reader->carriers[used++].name = "el";
    for (int side = 0; side < 2; side++) {
        const cJSON *item;
        const cJSON *list = side == 0 ? lines : rows;
        unsigned at = 0;
        cJSON_ArrayForEach(item, list)
        {
            char where[WHERE_SIZE];
            (void)snprintf(where, sizeof where, "network.%s[%u]", side == 0 ? "lines" : "rows",
                           at++);
            const char *name = carrier_of(item, where, reader->fault);
            if (name == NULL) {
                return false;
            }
            reader->carriers[used++].name = name;
        }
    }
    for (uint32_t i = 0; i < bids; i++) {
        reader->carriers[used++].name = bid_carrier[i];
    }
    out->carrier_count = number_names(reader->carriers, used, out->carrier_name);
    if (out->carrier_count == UINT32_MAX) {
        return clear_text_fail(reader->fault, "out of memory", "network");
    }
    uint64_t places = (uint64_t)out->carrier_count * out->node_count;
    if (places > COUPLED_PLACES_MAX) {
        return clear_text_fail(reader->fault, "more than 20000 nodes of carriers", "network");
    }
    out->problem.place_count = (uint32_t)places;
    return true;
}

/* The place of a node of a carrier; both are known names. UINT32_MAX if the node is not. */
static uint32_t place_of(const struct reader *reader, const char *carrier, const char *node)
{
    const struct clear_named *found =
        clear_named_find(node, reader->nodes, reader->out->node_count);
    const struct clear_named *own =
        clear_named_find(carrier, reader->carriers, reader->out->carrier_count);
    return found == NULL ? UINT32_MAX : own->at * reader->out->node_count + found->at;
}

static bool read_lines(struct reader *reader, const cJSON *lines)
{
    struct coupled_text *out = reader->out;
    size_t count = count_items(lines);
    if (count > COUPLED_LINES_MAX) {
        return clear_text_fail(reader->fault, "more than 40000 lines", "network.lines");
    }
    out->lines = calloc(count + 1, sizeof *out->lines);
    if (out->lines == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "network.lines");
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, lines)
    {
        char where[WHERE_SIZE];
        struct coupled_line *line = &out->lines[out->problem.line_count];
        (void)snprintf(where, sizeof where, "network.lines[%u]",
                       (unsigned)out->problem.line_count++);
        const char *carrier = carrier_of(item, where, reader->fault);
        if (carrier == NULL ||
            !clear_read_amount(&line->capacity, item, "capacity", true, where, reader->fault)) {
            return false;
        }
        line->from = place_of(reader, carrier, json_string(item, "from"));
        line->to = place_of(reader, carrier, json_string(item, "to"));
    }
    out->problem.lines = out->lines;
    return true;
}

static int compare_coefs(const void *left, const void *right)
{
    uint32_t a = ((const struct coupled_coef *)left)->place;
    uint32_t b = ((const struct coupled_coef *)right)->place;
    return (a > b) - (a < b);
}

static bool read_row(struct reader *reader, const cJSON *item, struct coupled_row *row,
                     const char *where)
{
    static const char *const known[] = {"coef", "op", "rhs", "carrier", "limits", NULL};
    struct coupled_text *out = reader->out;
    int op = 0;
    if (!clear_read_known(item, known, where, reader->fault)) {
        return false;
    }
    const cJSON *coefs = cJSON_GetObjectItemCaseSensitive(item, "coef");
    const char *carrier = carrier_of(item, where, reader->fault);
    if (!cJSON_IsObject(coefs)) {
        return clear_text_fail(reader->fault, coefs == NULL ? "is missing" : "must be an object",
                               "%s.coef", where);
    }
    if (carrier == NULL ||
        !clear_read_choice(&op, item, "op", op_names, 3, -1, where, reader->fault) ||
        !clear_read_amount(&row->rhs, item, "rhs", true, where, reader->fault)) {
        return false;
    }
    row->op = (enum coupled_op)op;
    row->first = out->problem.coef_count;
    const cJSON *coef;
    cJSON_ArrayForEach(coef, coefs)
    {
        struct coupled_coef *next = &out->coefs[out->problem.coef_count++];
        next->place = place_of(reader, carrier, coef->string);
        if (next->place == UINT32_MAX) {
            return clear_text_fail(reader->fault, "is not in the network", "%s.coef.%.64s", where,
                                   coef->string);
        }
        if (!cJSON_IsString(coef) || !int64_from_text(&next->value, coef->valuestring)) {
            return clear_text_fail(reader->fault,
                                   "must be a decimal integer of 64 bits in a string",
                                   "%s.coef.%.64s", where, coef->string);
        }
    }
    row->count = out->problem.coef_count - row->first;
    if (row->count > 0) {
        qsort(out->coefs + row->first, row->count, sizeof *out->coefs, compare_coefs);
    }
    return true;
}

/* `limits` of a row: right sides that hold in one interval alone. An interval without bids is none. */
static bool read_limits(struct reader *reader, const cJSON *item, uint32_t row, const char *where)
{
    struct coupled_text *out = reader->out;
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(item, "limits"), *limit;
    if (limits != NULL && !cJSON_IsObject(limits)) {
        return clear_text_fail(reader->fault, "must be an object", "%s.limits", where);
    }
    cJSON_ArrayForEach(limit, limits)
    {
        int64_t interval, right;
        if (!int64_from_text(&interval, limit->string) || interval < 0 || !cJSON_IsString(limit) ||
            !int64_from_text(&right, limit->valuestring)) {
            return clear_text_fail(reader->fault, "must be a number of an interval: a number",
                                   "%s.limits.%.64s", where, limit->string);
        }
        for (uint32_t slot = 0; slot < reader->text->problem.slot_count; slot++) {
            if (reader->text->interval[slot] == interval) {
                out->right[(size_t)slot * out->problem.row_count + row] = right;
            }
        }
    }
    return true;
}

static bool read_all_limits(struct reader *reader, const cJSON *rows)
{
    struct coupled_text *out = reader->out;
    const uint32_t slots = reader->text->problem.slot_count;
    uint32_t row = 0;
    bool any = false;
    const cJSON *item;
    cJSON_ArrayForEach(item, rows)
    {
        any = any || cJSON_GetObjectItemCaseSensitive(item, "limits") != NULL;
    }
    if (!any || (uint64_t)slots * out->problem.row_count > COUPLED_CELLS_MAX) {
        return true; /* too many are refused by coupled_prepare */
    }
    out->right = calloc((size_t)slots * out->problem.row_count + 1, sizeof *out->right);
    if (out->right == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "network.rows");
    }
    for (size_t i = 0; i < (size_t)slots * out->problem.row_count; i++) {
        out->right[i] = out->rows[i % out->problem.row_count].rhs;
    }
    cJSON_ArrayForEach(item, rows)
    {
        char where[WHERE_SIZE];
        (void)snprintf(where, sizeof where, "network.rows[%u]", (unsigned)row);
        if (!read_limits(reader, item, row++, where)) {
            return false;
        }
    }
    out->problem.right = out->right;
    return true;
}

/* How many intervals bind together; the others by the same number are auctions that come after. */
static bool read_binding(struct reader *reader, const cJSON *top)
{
    struct coupled_text *out = reader->out;
    const uint32_t slots = reader->text->problem.slot_count;
    uint32_t binding;
    if (cJSON_GetObjectItemCaseSensitive(top, "binding") == NULL) {
        return true;
    }
    if (!json_u32(&binding, top, "binding") || binding == 0) {
        return clear_text_fail(reader->fault, "must be a whole number from 1 to 4294967295",
                               "binding");
    }
    out->auction = calloc((size_t)slots + 1, sizeof *out->auction);
    if (out->auction == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "binding");
    }
    for (uint32_t slot = 0; slot < slots; slot++) {
        out->auction[slot] = reader->text->interval[slot] / binding;
        if (out->auction[slot] >= COUPLED_SLOTS_MAX) {
            return clear_text_fail(reader->fault, "leaves more than 1000 auctions", "binding");
        }
    }
    out->problem.auction = out->auction;
    return true;
}

static bool read_rows(struct reader *reader, const cJSON *rows)
{
    struct coupled_text *out = reader->out;
    size_t count = count_items(rows), coefs = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, rows)
    {
        coefs += count_items(cJSON_GetObjectItemCaseSensitive(item, "coef"));
    }
    if (count > COUPLED_ROWS_MAX || coefs > COUPLED_COEFS_MAX) {
        return clear_text_fail(reader->fault, "more than 20000 rows or 1000000 coefficients",
                               "network.rows");
    }
    out->rows = calloc(count + 1, sizeof *out->rows);
    out->coefs = calloc(coefs + 1, sizeof *out->coefs);
    if (out->rows == NULL || out->coefs == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "network.rows");
    }
    cJSON_ArrayForEach(item, rows)
    {
        char where[WHERE_SIZE];
        (void)snprintf(where, sizeof where, "network.rows[%u]", (unsigned)out->problem.row_count);
        if (!read_row(reader, item, &out->rows[out->problem.row_count], where)) {
            return false;
        }
        out->problem.row_count++;
    }
    out->problem.rows = out->rows;
    out->problem.coefs = out->coefs;
    return read_all_limits(reader, rows);
}

static bool read_network(struct reader *reader, const cJSON *top, const char *const *bid_carrier)
{
    static const char *const known[] = {"slack", "lines", "rows", NULL};
    const cJSON *network = cJSON_GetObjectItemCaseSensitive(top, "network");
    const cJSON *lines, *rows;
    if (network == NULL) {
        return clear_text_fail(reader->fault, "is missing", "network");
    }
    if (!clear_read_known(network, known, "network", reader->fault) ||
        !find_list(&lines, network, "lines", "network", reader->fault) ||
        !find_list(&rows, network, "rows", "network", reader->fault) ||
        !read_nodes(reader, network, lines)) {
        return false;
    }
    return read_carriers(reader, lines, rows, bid_carrier) && read_lines(reader, lines) &&
           read_rows(reader, rows);
}

static bool convert_bids(struct reader *reader, const char *const *bid_node,
                         const char *const *bid_carrier)
{
    const struct clear_problem *from = &reader->text->problem;
    struct coupled_text *out = reader->out;
    out->bids = calloc((size_t)from->bid_count + 1, sizeof *out->bids);
    reader->bids = calloc((size_t)from->bid_count + 1, sizeof *reader->bids);
    if (out->bids == NULL || reader->bids == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "bids");
    }
    for (uint32_t i = 0; i < from->bid_count; i++) {
        const struct clear_bid *bid = &from->bids[i];
        uint32_t place = place_of(reader, bid_carrier[i], bid_node[i]);
        if (place == UINT32_MAX) {
            return clear_text_fail(reader->fault, "is not in the network", "bids[%u].node",
                                   (unsigned)i);
        }
        /* An auction takes bids at one moment: nothing can be left over to fill and kill. */
        out->bids[i] = (struct coupled_bid){
            .quantity = bid->quantity,
            .price = bid->price,
            .min_quantity = bid->min_quantity,
            .agent = bid->agent,
            .slot = bid->slot,
            .place = place,
            .order = bid->order,
            .buy = bid->buy,
            .indivisible = bid->indivisible || bid->kind == CLEAR_ALL_OR_NONE,
        };
        reader->bids[i] = (struct clear_named){reader->text->bid_id[i], i};
    }
    if (from->bid_count > 0) {
        qsort(reader->bids, from->bid_count, sizeof *reader->bids, clear_named_compare);
    }
    out->problem.bids = out->bids;
    out->problem.bid_count = from->bid_count;
    out->problem.agent_count = from->agent_count;
    out->problem.slot_count = from->slot_count;
    return true;
}

/* Adds the bid of that name to the link at hand. */
static bool add_member(struct reader *reader, const char *id, const char *where)
{
    struct coupled_text *out = reader->out;
    const struct clear_named *found =
        id == NULL ? NULL : clear_named_find(id, reader->bids, out->problem.bid_count);
    if (found == NULL) {
        return clear_text_fail(reader->fault, id == NULL ? "must be a string" : "is no bid's id",
                               "%s", where);
    }
    out->members[out->problem.member_count++] = found->at;
    return true;
}

static bool read_members(struct reader *reader, const cJSON *item, struct coupled_link *link,
                         const char *where)
{
    char place[WHERE_SIZE + 32];
    unsigned at = 0;
    link->first = reader->out->problem.member_count;
    if (link->type == COUPLED_CONVERT) {
        for (int side = 0; side < 2; side++) {
            const char *key = side == 0 ? "in" : "out";
            (void)snprintf(place, sizeof place, "%s.%s", where, key);
            if (!add_member(reader, json_string(item, key), place)) {
                return false;
            }
        }
        link->count = 2;
        return clear_read_amount(&link->num, item, "num", true, where, reader->fault) &&
               clear_read_amount(&link->den, item, "den", true, where, reader->fault);
    }
    const cJSON *bids, *bid;
    if (!find_list(&bids, item, "bids", where, reader->fault)) {
        return false;
    }
    if (bids == NULL) {
        return clear_text_fail(reader->fault, "is missing", "%s.bids", where);
    }
    cJSON_ArrayForEach(bid, bids)
    {
        (void)snprintf(place, sizeof place, "%s.bids[%u]", where, at++);
        if (!add_member(reader, cJSON_GetStringValue(bid), place)) {
            return false;
        }
    }
    link->count = at;
    return true;
}

static bool read_link(struct reader *reader, const cJSON *item, struct coupled_link *link,
                      const char *where)
{
    static const char *const types[] = {"and", "or", "xor", "sum", "block", "convert"};
    static const char *const plain[] = {"type", "bids", NULL};
    static const char *const sums[] = {"type", "bids", "op", "quantity", NULL};
    static const char *const converts[] = {"type", "in", "out", "num", "den", NULL};
    int type = 0, op = 0;
    if (!cJSON_IsObject(item)) {
        return clear_text_fail(reader->fault, "must be an object", "%s", where);
    }
    if (!clear_read_choice(&type, item, "type", types, 6, -1, where, reader->fault)) {
        return false;
    }
    *link = (struct coupled_link){.type = (enum coupled_link_type)type, .den = 1};
    bool sum = link->type == COUPLED_SUM;
    const char *const *known = sum ? sums : link->type == COUPLED_CONVERT ? converts : plain;
    if (!clear_read_known(item, known, where, reader->fault)) {
        return false;
    }
    if (sum &&
        (!clear_read_choice(&op, item, "op", op_names, 3, -1, where, reader->fault) ||
         !clear_read_amount(&link->quantity, item, "quantity", true, where, reader->fault))) {
        return false;
    }
    link->op = (enum coupled_op)op;
    return read_members(reader, item, link, where);
}

static bool read_links(struct reader *reader, const cJSON *top)
{
    struct coupled_text *out = reader->out;
    const cJSON *links, *item;
    if (!find_list(&links, top, "links", "", reader->fault)) {
        return false;
    }
    size_t count = count_items(links), members = 0;
    cJSON_ArrayForEach(item, links)
    {
        members += 2 + count_items(cJSON_GetObjectItemCaseSensitive(item, "bids"));
    }
    if (count > COUPLED_LINKS_MAX || members > 2 * (size_t)COUPLED_MEMBERS_MAX) {
        return clear_text_fail(reader->fault, "more than 100000 links or 400000 bids in them",
                               "links");
    }
    out->links = calloc(count + 1, sizeof *out->links);
    out->members = calloc(members + 1, sizeof *out->members);
    if (out->links == NULL || out->members == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "links");
    }
    cJSON_ArrayForEach(item, links)
    {
        char where[WHERE_SIZE];
        (void)snprintf(where, sizeof where, "links[%u]", (unsigned)out->problem.link_count);
        if (!read_link(reader, item, &out->links[out->problem.link_count], where)) {
            return false;
        }
        out->problem.link_count++;
    }
    out->problem.links = out->links;
    out->problem.members = out->members;
    return true;
}

static bool read_payments(struct reader *reader, const cJSON *top)
{
    const cJSON *list, *item;
    struct coupled_text *out = reader->out;
    unsigned at = 0;
    if (!find_list(&list, top, "payments", "", reader->fault)) {
        return false;
    }
    cJSON_ArrayForEach(item, list)
    {
        const char *name = cJSON_GetStringValue(item);
        uint32_t payment = 0;
        while (payment < COUPLED_PAYMENT_COUNT &&
               (name == NULL || strcmp(name, coupled_payment_names[payment]) != 0)) {
            payment++;
        }
        if (payment == COUPLED_PAYMENT_COUNT) {
            return clear_text_fail(reader->fault, "must be one of node pay_as_bid", "payments[%u]",
                                   at);
        }
        if (out->payment_count > 0 && out->payments[out->payment_count - 1] == payment) {
            return clear_text_fail(reader->fault, "is there twice", "payments[%u]", at);
        }
        if (out->payment_count == COUPLED_PAYMENT_COUNT) {
            return clear_text_fail(reader->fault, "is there twice", "payments[%u]", at);
        }
        out->payments[out->payment_count++] = payment;
        at++;
    }
    return true;
}

bool coupled_text_read(struct coupled_text *out, const struct clear_text *text,
                       const struct cJSON *top, const char *const *bid_node,
                       const char *const *bid_carrier, struct clear_text_fault *fault)
{
    struct reader reader = {.out = out, .text = text, .fault = fault};
    bool good = read_payments(&reader, top) && read_network(&reader, top, bid_carrier) &&
                convert_bids(&reader, bid_node, bid_carrier) && read_links(&reader, top) &&
                read_binding(&reader, top);
    free(reader.nodes);
    free(reader.carriers);
    free(reader.bids);
    return good;
}

void coupled_text_free(struct coupled_text *coupled)
{
    if (coupled == NULL) {
        return;
    }
    free(coupled->bids);
    free(coupled->lines);
    free(coupled->rows);
    free(coupled->coefs);
    free(coupled->links);
    free(coupled->members);
    free(coupled->auction);
    free(coupled->right);
    free(coupled->node_name);
    free(coupled->carrier_name);
    free(coupled);
}

bool coupled_text_refused(const struct coupled_fault *refused, struct clear_text_fault *fault)
{
    static const char *const items[] = {"", "bids", "network.lines", "network.rows", "links"};
    if (refused->item == COUPLED_NO_ITEM) {
        return clear_text_fail(fault, refused->what, "%s", refused->field);
    }
    return clear_text_fail(fault, refused->what, "%s[%u].%s", items[refused->item],
                           (unsigned)refused->at, refused->field);
}
