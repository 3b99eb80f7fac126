/* Reads a clearing problem (tools/clear/clear_problem.h). Everything that the text can get wrong is
 * found here or in clear_check; nothing is guessed: an unknown key, a number where an amount should
 * be text, an equal id is a fault with its place.
 *
 * Absent on purpose: network and links of the mechanism `coupled`, which are in
 * coupled_problem.c. */
#include "tools/clear/clear_problem.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/clear/clear_read.h"
#include "tools/clear/coupled_text.h"

const char *const clear_payment_names[CLEAR_PAYMENT_COUNT] = {
    [CLEAR_PAY_AS_BID] = "pay_as_bid", [CLEAR_PAY_UNIFORM] = "uniform",
    [CLEAR_PAY_VCG] = "vcg",           [CLEAR_PAY_VCG_SELLERS] = "vcg_sellers",
    [CLEAR_PAY_SHAPLEY] = "shapley",
};

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* What reading needs beside the result. */
struct reader {
    struct clear_text *out;
    struct clear_text_fault *fault;
    struct clear_named *sorted; /* one per bid */
    struct clear_named *tree;   /* nodes, by name */
    struct clear_named *roots;  /* parents that the tree does not limit, by name */
    uint32_t root_count;
    uint32_t *interval; /* per bid */
    const char **agent; /* per bid */
    const char **node;  /* per bid; coupled only */
    const char **carrier;
};

static bool read_bid(struct reader *reader, const cJSON *item, uint32_t at)
{
    static const char *const known[] = {"id",    "agent",    "side", "quantity",     "price",
                                        "order", "interval", "node", "min_quantity", "indivisible",
                                        "kind",  "carrier",  NULL};
    static const char *const sides[] = {"buy", "sell"};
    static const char *const kinds[] = {"limit", "all_or_none", "fill_and_kill"};
    static const char *const carriers[] = {"el"};
    struct clear_bid *bid = &reader->out->bids[at];
    struct clear_text_fault *fault = reader->fault;
    char where[32];
    int side = 0, kind = 0, carrier = 0;
    snprintf(where, sizeof where, "bids[%u]", (unsigned)at);
    if (!clear_read_known(item, known, where, fault)) {
        return false;
    }
    reader->out->bid_id[at] = clear_read_id(item, "id", where, fault);
    reader->agent[at] =
        reader->out->bid_id[at] == NULL ? NULL : clear_read_id(item, "agent", where, fault);
    if (reader->agent[at] == NULL ||
        !clear_read_choice(&side, item, "side", sides, 2, -1, where, fault) ||
        !clear_read_amount(&bid->quantity, item, "quantity", true, where, fault) ||
        !clear_read_amount(&bid->price, item, "price", true, where, fault) ||
        !clear_read_amount(&bid->min_quantity, item, "min_quantity", false, where, fault) ||
        !clear_read_flag(&bid->indivisible, item, "indivisible", where, fault) ||
        !clear_read_number(&bid->order, item, "order", where, fault) ||
        !clear_read_number(&reader->interval[at], item, "interval", where, fault) ||
        !clear_read_choice(&kind, item, "kind", kinds, 3, CLEAR_LIMIT, where, fault) ||
        (reader->out->coupled == NULL &&
         !clear_read_choice(&carrier, item, "carrier", carriers, 1, 0, where, fault))) {
        return false;
    }
    bid->buy = side == 0;
    bid->kind = (enum clear_kind)kind;
    bid->node = CLEAR_NODE_NONE;
    if (reader->out->coupled != NULL) {
        bool named = cJSON_GetObjectItemCaseSensitive(item, "carrier") != NULL;
        reader->carrier[at] = named ? clear_read_id(item, "carrier", where, fault) : "el";
        reader->node[at] = clear_read_id(item, "node", where, fault);
        return reader->carrier[at] != NULL && reader->node[at] != NULL;
    }
    bool has_node = cJSON_GetObjectItemCaseSensitive(item, "node") != NULL;
    bool capacity = reader->out->problem.mechanism == CLEAR_CAPACITY;
    const char *node = has_node || capacity ? clear_read_id(item, "node", where, fault) : "";
    if (node == NULL || !capacity) {
        return node != NULL;
    }
    const struct clear_named *found =
        clear_named_find(node, reader->tree, reader->out->problem.node_count);
    if (found == NULL && clear_named_find(node, reader->roots, reader->root_count) == NULL) {
        return clear_text_fail(fault, "is not in the tree", "%s.node", where);
    }
    bid->node = found != NULL ? (int32_t)found->at : CLEAR_NODE_NONE;
    return true;
}

static bool check_ids(struct reader *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        reader->sorted[i] = (struct clear_named){reader->out->bid_id[i], i};
    }
    qsort(reader->sorted, count, sizeof *reader->sorted, clear_named_compare);
    for (uint32_t i = 1; i < count; i++) {
        if (strcmp(reader->sorted[i - 1].name, reader->sorted[i].name) == 0) {
            return clear_text_fail(reader->fault, "another bid has this id", "bids[%u].id",
                                   (unsigned)reader->sorted[i].at);
        }
    }
    return true;
}

/* Numbers the agents in order of first appearance. */
static void number_agents(struct reader *reader, uint32_t count)
{
    struct clear_text *out = reader->out;
    for (uint32_t i = 0; i < count; i++) {
        reader->sorted[i] = (struct clear_named){reader->agent[i], i};
    }
    qsort(reader->sorted, count, sizeof *reader->sorted, clear_named_compare);
    /* The first bid of each name stands for it. */
    for (uint32_t i = 0, first = 0; i < count; i++) {
        if (i > 0 && strcmp(reader->sorted[i - 1].name, reader->sorted[i].name) != 0) {
            first = i;
        }
        out->bids[reader->sorted[i].at].agent = reader->sorted[first].at;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = out->bids[i].agent;
        if (first == i) {
            out->agent_name[out->problem.agent_count] = reader->agent[i];
            out->bids[i].agent = out->problem.agent_count++;
        } else {
            out->bids[i].agent = out->bids[first].agent;
        }
    }
}

static void number_slots(struct reader *reader, uint32_t count)
{
    struct clear_text *out = reader->out;
    memcpy(out->interval, reader->interval, count * sizeof *out->interval);
    qsort(out->interval, count, sizeof *out->interval, compare_u32);
    uint32_t slots = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || out->interval[i] != out->interval[i - 1]) {
            out->interval[slots++] = out->interval[i];
        }
    }
    out->problem.slot_count = slots;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *found =
            bsearch(&reader->interval[i], out->interval, slots, sizeof *out->interval, compare_u32);
        out->bids[i].slot = (uint32_t)(found - out->interval);
    }
}

static bool read_bids(struct reader *reader, const cJSON *bids)
{
    struct clear_text *out = reader->out;
    const cJSON *item;
    uint32_t at = 0;
    uint32_t count = 0;
    cJSON_ArrayForEach(item, bids)
    {
        count++;
    }
    if (count > CLEAR_BIDS_MAX) {
        return clear_text_fail(reader->fault, "more than 1000000 bids", "bids");
    }
    out->bids = calloc((size_t)count + 1, sizeof *out->bids);
    out->bid_id = calloc((size_t)count + 1, sizeof *out->bid_id);
    out->agent_name = calloc((size_t)count + 1, sizeof *out->agent_name);
    out->interval = calloc((size_t)count + 1, sizeof *out->interval);
    reader->sorted = calloc((size_t)count + 1, sizeof *reader->sorted);
    reader->interval = calloc((size_t)count + 1, sizeof *reader->interval);
    reader->agent = calloc((size_t)count + 1, sizeof *reader->agent);
    reader->node = calloc((size_t)count + 1, sizeof *reader->node);
    reader->carrier = calloc((size_t)count + 1, sizeof *reader->carrier);
    if (out->bids == NULL || out->bid_id == NULL || out->agent_name == NULL ||
        out->interval == NULL || reader->sorted == NULL || reader->interval == NULL ||
        reader->agent == NULL || reader->node == NULL || reader->carrier == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "bids");
    }
    cJSON_ArrayForEach(item, bids)
    {
        if (!read_bid(reader, item, at++)) {
            return false;
        }
    }
    out->problem.bids = out->bids;
    out->problem.bid_count = count;
    if (!check_ids(reader, count)) {
        return false;
    }
    number_agents(reader, count);
    number_slots(reader, count);
    return true;
}

/* Sorts the nodes' names and refuses equal ones. */
static bool sort_nodes(struct reader *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        reader->tree[i] = (struct clear_named){reader->out->node_name[i], i};
    }
    qsort(reader->tree, count, sizeof *reader->tree, clear_named_compare);
    for (uint32_t i = 1; i < count; i++) {
        if (strcmp(reader->tree[i - 1].name, reader->tree[i].name) == 0) {
            return clear_text_fail(reader->fault, "another entry has this node", "tree[%u].node",
                                   (unsigned)reader->tree[i].at);
        }
    }
    return true;
}

/* A parent with no entry of its own is a root without a limit. */
static bool read_parents(struct reader *reader, const cJSON *tree)
{
    const cJSON *item;
    uint32_t at = 0;
    uint32_t count = reader->out->problem.node_count;
    cJSON_ArrayForEach(item, tree)
    {
        char where[32];
        struct clear_node *node = &reader->out->nodes[at];
        const cJSON *parent = cJSON_GetObjectItemCaseSensitive(item, "parent");
        snprintf(where, sizeof where, "tree[%u]", (unsigned)at++);
        node->parent = CLEAR_NODE_NONE;
        if (parent == NULL || cJSON_IsNull(parent)) {
            continue;
        }
        const char *name = clear_read_id(item, "parent", where, reader->fault);
        if (name == NULL) {
            return false;
        }
        const struct clear_named *found = clear_named_find(name, reader->tree, count);
        if (found != NULL) {
            node->parent = (int32_t)found->at;
        } else {
            reader->roots[reader->root_count++] = (struct clear_named){name, 0};
        }
    }
    if (reader->root_count > 0) {
        qsort(reader->roots, reader->root_count, sizeof *reader->roots, clear_named_compare);
    }
    return true;
}

static bool read_tree(struct reader *reader, const cJSON *tree)
{
    static const char *const known[] = {"node", "parent", "capacity", NULL};
    struct clear_text *out = reader->out;
    const cJSON *item;
    uint32_t count = 0;
    uint32_t at = 0;
    cJSON_ArrayForEach(item, tree)
    {
        count++;
    }
    if (count > CLEAR_NODES_MAX) {
        return clear_text_fail(reader->fault, "more than 100000 nodes", "tree");
    }
    out->nodes = calloc((size_t)count + 1, sizeof *out->nodes);
    out->node_name = calloc((size_t)count + 1, sizeof *out->node_name);
    reader->tree = calloc((size_t)count + 1, sizeof *reader->tree);
    reader->roots = calloc((size_t)count + 1, sizeof *reader->roots);
    if (out->nodes == NULL || out->node_name == NULL || reader->tree == NULL ||
        reader->roots == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "tree");
    }
    cJSON_ArrayForEach(item, tree)
    {
        char where[32];
        snprintf(where, sizeof where, "tree[%u]", (unsigned)at);
        if (!clear_read_known(item, known, where, reader->fault)) {
            return false;
        }
        out->node_name[at] = clear_read_id(item, "node", where, reader->fault);
        if (out->node_name[at] == NULL ||
            !clear_read_amount(&out->nodes[at].capacity, item, "capacity", true, where,
                               reader->fault)) {
            return false;
        }
        if (out->nodes[at].capacity < 0) {
            return clear_text_fail(reader->fault, "must not be negative", "%s.capacity", where);
        }
        at++;
    }
    out->problem.nodes = out->nodes;
    out->problem.node_count = count;
    return sort_nodes(reader, count) && read_parents(reader, tree);
}

static bool read_payments(struct clear_text *out, const cJSON *top, struct clear_text_fault *fault)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(top, "payments");
    const cJSON *item;
    unsigned at = 0;
    if (list == NULL) {
        return true;
    }
    if (!cJSON_IsArray(list)) {
        return clear_text_fail(fault, "must be an array", "payments");
    }
    cJSON_ArrayForEach(item, list)
    {
        const char *name = cJSON_GetStringValue(item);
        int payment = 0;
        while (payment < CLEAR_PAYMENT_COUNT &&
               (name == NULL || strcmp(name, clear_payment_names[payment]) != 0)) {
            payment++;
        }
        if (payment == CLEAR_PAYMENT_COUNT) {
            return clear_text_fail(fault,
                                   "must be one of pay_as_bid uniform vcg vcg_sellers shapley",
                                   "payments[%u]", at);
        }
        for (uint32_t i = 0; i < out->payment_count; i++) {
            if (out->payments[i] == (enum clear_payment)payment) {
                return clear_text_fail(fault, "is there twice", "payments[%u]", at);
            }
        }
        out->payments[out->payment_count++] = (enum clear_payment)payment;
        at++;
    }
    return true;
}

static int hex_digit(char digit)
{
    char lower = (char)(digit | 0x20);
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* 1 to 32 bytes; a shorter seed stands at the front, zeros follow. */
static bool read_seed(struct clear_text *out, const cJSON *top, struct clear_text_fault *fault)
{
    if (cJSON_GetObjectItemCaseSensitive(top, "seed") == NULL) {
        return true;
    }
    const char *text = json_string(top, "seed");
    size_t size = text == NULL ? 0 : strlen(text);
    bool good = size > 0 && size % 2 == 0 && size <= 2 * CLEAR_SEED_BYTES;
    for (size_t i = 0; good && i < size; i++) {
        int digit = hex_digit(text[i]);
        good = digit >= 0;
        out->seed[i / 2] = (uint8_t)(out->seed[i / 2] << 4 | (digit & 15));
    }
    out->seeded = good;
    return good || clear_text_fail(fault, "must be 1 to 32 bytes in hex", "seed");
}

/* Keys that only another mechanism gives a meaning to: what they ask for can't be left out. */
static bool refuse_foreign(const cJSON *top, bool capacity, struct clear_text_fault *fault)
{
    static const char *const coupled[] = {"network", "links", "lines", "rows", "binding", NULL};
    for (int i = 0; coupled[i] != NULL; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(top, coupled[i]);
        bool empty =
            item == NULL || (cJSON_IsArray(item) && cJSON_GetArraySize(item) == 0 && i > 0);
        if (!empty) {
            return clear_text_fail(fault, "belongs to the mechanism coupled", "%s", coupled[i]);
        }
    }
    bool rule = cJSON_GetObjectItemCaseSensitive(top, "rule") != NULL;
    if (!capacity && (rule || cJSON_GetObjectItemCaseSensitive(top, "tree") != NULL)) {
        return clear_text_fail(fault, "belongs to the mechanism capacity", "%s",
                               rule ? "rule" : "tree");
    }
    return true;
}

/* Everything of a coupled problem. What only other mechanisms have a meaning for is refused. */
static bool read_coupled(struct reader *reader, const cJSON *top)
{
    static const char *const foreign[] = {"lines", "rows", "rule", "tree", "seed"};
    static const char *const ties[] = {"time", "pro_rata"};
    static const char *const prices[] = {"resting", "bid", "ask", "midpoint"};
    const cJSON *bids = cJSON_GetObjectItemCaseSensitive(top, "bids");
    int unused = 0; /* said of every problem; here only the spelling counts */
    for (int i = 0; i < 5; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(top, foreign[i]);
        if (item != NULL && !(cJSON_IsArray(item) && cJSON_GetArraySize(item) == 0)) {
            return clear_text_fail(reader->fault,
                                   i < 2 ? "stands in network" : "has no meaning in coupled", "%s",
                                   foreign[i]);
        }
    }
    if (!clear_read_choice(&unused, top, "tie", ties, 2, 0, "", reader->fault) ||
        !clear_read_choice(&unused, top, "trade_price", prices, 4, 0, "", reader->fault) ||
        !clear_read_flag(&reader->out->excess, top, "excess", "", reader->fault)) {
        return false;
    }
    if (reader->out->excess) {
        return clear_text_fail(reader->fault, "has no meaning in coupled", "excess");
    }
    if (!cJSON_IsArray(bids)) {
        return clear_text_fail(reader->fault, bids == NULL ? "is missing" : "must be an array",
                               "bids");
    }
    reader->out->coupled = calloc(1, sizeof *reader->out->coupled);
    if (reader->out->coupled == NULL) {
        return clear_text_fail(reader->fault, "out of memory", "problem");
    }
    return read_bids(reader, bids) &&
           coupled_text_read(reader->out->coupled, reader->out, top, reader->node, reader->carrier,
                             reader->fault);
}

static bool read_top(struct reader *reader, const cJSON *top)
{
    static const char *const known[] = {
        "format", "mechanism", "tie",     "trade_price", "payments", "excess", "bids",    "links",
        "lines",  "rows",      "network", "rule",        "tree",     "seed",   "binding", NULL};
    static const char *const formats[] = {"flexclear/1"};
    static const char *const mechanisms[] = {"merit_order", "ordered_demand", "one_sided",
                                             "continuous",  "capacity",       "coupled"};
    static const char *const ties[] = {"time", "pro_rata"};
    static const char *const prices[] = {"resting", "bid", "ask", "midpoint"};
    static const char *const rules[] = {"premium", "first_come", "highest_demand"};
    struct clear_text *out = reader->out;
    struct clear_text_fault *fault = reader->fault;
    int format = 0, mechanism = 0, tie = 0, price = 0;
    int rule = CLEAR_PREMIUM;
    const char *given = json_string(top, "format");
    if (given != NULL && strcmp(given, "flexclear-result/1") == 0) {
        return clear_text_fail(fault, "is that of a result; the problem is wanted", "format");
    }
    if (!clear_read_known(top, known, "problem", fault) ||
        !clear_read_choice(&format, top, "format", formats, 1, -1, "", fault) ||
        !clear_read_choice(&mechanism, top, "mechanism", mechanisms, 6, -1, "", fault)) {
        return false;
    }
    if (mechanism == 5) {
        return read_coupled(reader, top);
    }
    bool capacity = mechanism == CLEAR_CAPACITY;
    const cJSON *bids = cJSON_GetObjectItemCaseSensitive(top, "bids");
    const cJSON *tree = cJSON_GetObjectItemCaseSensitive(top, "tree");
    out->problem.mechanism = (enum clear_mechanism)mechanism;
    if (!clear_read_choice(&tie, top, "tie", ties, 2, 0, "", fault) ||
        !clear_read_choice(&price, top, "trade_price", prices, 4, 0, "", fault) ||
        !refuse_foreign(top, capacity, fault) || !read_payments(out, top, fault) ||
        !clear_read_flag(&out->excess, top, "excess", "", fault) || !read_seed(out, top, fault) ||
        (capacity && !clear_read_choice(&rule, top, "rule", rules, 3, -1, "", fault))) {
        return false;
    }
    out->problem.tie = tie == 0 ? CALL_TIE_TIME : CALL_TIE_PRO_RATA;
    out->problem.trade_price = (enum clear_trade_price)price;
    out->problem.rule = (enum clear_rule)rule;
    if (!cJSON_IsArray(bids)) {
        return clear_text_fail(fault, bids == NULL ? "is missing" : "must be an array", "bids");
    }
    if (capacity && !cJSON_IsArray(tree)) {
        return clear_text_fail(fault, tree == NULL ? "is missing" : "must be an array", "tree");
    }
    return (!capacity || read_tree(reader, tree)) && read_bids(reader, bids);
}

bool clear_text_read(struct clear_text *out, const char *text, size_t size,
                     struct clear_text_fault *fault)
{
    char problem[JSON_PROBLEM_SIZE];
    *out = (struct clear_text){
        .tree = json_parse_strict_up_to(clear_text_size_max, text, size, problem)};
    if (out->tree == NULL) {
        /* The reader's words are "line 3 column 5: reason". */
        char *colon = strstr(problem, ": ");
        if (colon != NULL) {
            *colon = '\0';
        }
        return clear_text_fail(fault, colon != NULL ? colon + 2 : "is not JSON", "%s", problem);
    }
    struct reader reader = {.out = out, .fault = fault};
    bool good = read_top(&reader, out->tree);
    free(reader.sorted);
    free(reader.tree);
    free(reader.roots);
    free(reader.interval);
    free(reader.agent);
    free(reader.node);
    free(reader.carrier);
    return good;
}

void clear_text_free(struct clear_text *text)
{
    coupled_text_free(text->coupled);
    free(text->bids);
    free(text->nodes);
    free(text->bid_id);
    free(text->agent_name);
    free(text->node_name);
    free(text->interval);
    cJSON_Delete(text->tree);
    *text = (struct clear_text){0};
}
