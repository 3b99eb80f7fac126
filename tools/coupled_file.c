/* See coupled_file.h. A result is read by flexclear's own reader against the problem as flexclear reads it
 * (tools/clear/), and carried over by names: flexclear numbers nodes, carriers and intervals as they come.
 *
 * Deliberately absent: judging anything; contracts/ does that. */
#include "tools/coupled_file.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "contracts/records.h"
#include "tools/clear/clear_read.h"
#include "tools/clear/coupled_text.h"

enum { WHERE_SIZE = 64, ID_SIZE = 24 };

/* --- portfolios ----------------------------------------------------------------------------- */

static bool read_name(struct name *out, const cJSON *object, const char *key, const char *otherwise,
                      const char *where, struct clear_text_fault *fault)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    const char *text = item == NULL ? otherwise : json_string(object, key);
    if (item == NULL && otherwise == NULL) {
        *out = (struct name){{0}};
        return true;
    }
    return (text != NULL && name_from_text(out, text, strlen(text))) ||
           clear_text_fail(fault, "must be a name", "%s.%s", where, key);
}

static bool read_small(uint16_t *out, const cJSON *object, const char *key, const char *where,
                       struct clear_text_fault *fault)
{
    uint32_t number;
    if (!clear_read_number(&number, object, key, where, fault)) {
        return false;
    }
    *out = (uint16_t)number;
    return number <= UINT16_MAX || clear_text_fail(fault, "is over 65535", "%s.%s", where, key);
}

static bool read_bid(struct portfolio_bid *out, bool *declared, struct energy *schedule,
                     const cJSON *item, const char *where, struct clear_text_fault *fault)
{
    static const char *const known[] = {"id",    "side",     "interval", "quantity", "min_quantity",
                                        "price", "node",     "carrier",  "device",   "indivisible",
                                        "order", "schedule", NULL};
    int side;
    int64_t quantity, least, price, net = 0;
    bool whole;
    *declared = cJSON_GetObjectItemCaseSensitive(item, "schedule") != NULL;
    if (!clear_read_known(item, known, where, fault) ||
        clear_read_id(item, "id", where, fault) == NULL ||
        !clear_read_choice(&side, item, "side", order_side_names, 2, -1, where, fault) ||
        !read_small(&out->interval, item, "interval", where, fault) ||
        !read_small(&out->rank, item, "order", where, fault) ||
        !clear_read_amount(&quantity, item, "quantity", true, where, fault) ||
        !clear_read_amount(&least, item, "min_quantity", false, where, fault) ||
        !clear_read_amount(&price, item, "price", true, where, fault) ||
        !clear_read_amount(&net, item, "schedule", false, where, fault) ||
        !clear_read_flag(&whole, item, "indivisible", where, fault) ||
        !read_name(&out->node, item, "node", NULL, where, fault) ||
        !read_name(&out->device, item, "device", NULL, where, fault) ||
        !read_name(&out->carrier, item, "carrier", "el", where, fault)) {
        return false;
    }
    out->side = (uint8_t)side;
    out->quantity = energy_of(quantity);
    out->min_quantity = energy_of(least);
    out->price = energy_price_of(price);
    out->indivisible = whole;
    *schedule = energy_of(net);
    return true;
}

/* What no market takes, said here with its place: the ledger's refusal would name no bid. */
static bool check_bid(const struct portfolio_bid *bid, const cJSON *bids, const cJSON *item,
                      bool declared, const char *where, struct clear_text_fault *fault)
{
    const char *id = json_string(item, "id");
    for (const cJSON *other = bids->child; other != item; other = other->next) {
        const char *name = json_string(other, "id");
        if (name != NULL && strcmp(name, id) == 0) {
            return clear_text_fail(fault, "another bid has this id", "%s.id", where);
        }
    }
    if (energy_wh(bid->quantity) <= 0) {
        return clear_text_fail(fault, "must be above 0", "%s.quantity", where);
    }
    if (energy_wh(bid->min_quantity) < 0 || energy_compare(bid->min_quantity, bid->quantity) > 0) {
        return clear_text_fail(fault, "lies between 0 and the quantity", "%s.min_quantity", where);
    }
    if (bid->side == SIDE_SELL && name_is_empty(&bid->device)) {
        return clear_text_fail(fault, "is missing: a sell names the device that delivers",
                               "%s.device", where);
    }
    if (name_is_empty(&bid->device) == name_is_empty(&bid->node)) {
        return clear_text_fail(fault, "a bid names either a device, which has a node, or a node",
                               "%s.node", where);
    }
    return !declared || bid->side == SIDE_SELL ||
           clear_text_fail(fault, "only sells declare one", "%s.schedule", where);
}

/* A bid by its id in the file. */
static bool add_member(struct portfolio_link *link, const cJSON *bids, const char *id,
                       const char *where, struct clear_text_fault *fault)
{
    uint8_t at = 0;
    for (const cJSON *bid = bids->child; bid != NULL && id != NULL; bid = bid->next, at++) {
        const char *name = json_string(bid, "id");
        if (name != NULL && strcmp(name, id) == 0) {
            if (link->member_count == LIMIT_PORTFOLIO_BIDS) {
                return clear_text_fail(fault, "names more than 100 bids", "%s", where);
            }
            link->members[link->member_count++].bid = at;
            return true;
        }
    }
    return clear_text_fail(fault, "names a bid that is not in this file", "%s", where);
}

static bool read_link(struct portfolio_link *out, const cJSON *bids, const cJSON *item,
                      const char *where, struct clear_text_fault *fault)
{
    static const char *const known[] = {"type", "bids", "op",  "quantity", "in",
                                        "out",  "num",  "den", NULL};
    int type, op;
    int64_t quantity;
    if (!clear_read_known(item, known, where, fault) ||
        !clear_read_choice(&type, item, "type", link_type_names, LINK_TYPE_COUNT, -1, where,
                           fault) ||
        !clear_read_choice(&op, item, "op", row_op_names, ROW_OP_COUNT,
                           type == LINK_SUM ? -1 : ROW_AT_MOST, where, fault) ||
        !clear_read_amount(&quantity, item, "quantity", type == LINK_SUM, where, fault) ||
        !clear_read_amount(&out->num, item, "num", type == LINK_CONVERT, where, fault) ||
        !clear_read_amount(&out->den, item, "den", type == LINK_CONVERT, where, fault)) {
        return false;
    }
    out->type = (uint8_t)type;
    out->op = (uint8_t)op;
    out->quantity = energy_of(quantity);
    if (type == LINK_CONVERT) {
        return add_member(out, bids, json_string(item, "in"), where, fault) &&
               add_member(out, bids, json_string(item, "out"), where, fault);
    }
    const cJSON *list = json_array(item, "bids");
    if (list == NULL) {
        return clear_text_fail(fault, "is missing or no array", "%s.bids", where);
    }
    for (const cJSON *id = list->child; id != NULL; id = id->next) {
        if (!add_member(out, bids, cJSON_IsString(id) ? id->valuestring : NULL, where, fault)) {
            return false;
        }
    }
    return true;
}

bool coupled_file_portfolio(struct portfolio_place *out, bool declared[LIMIT_PORTFOLIO_BIDS],
                            struct energy schedule[LIMIT_PORTFOLIO_BIDS], const cJSON *file,
                            struct clear_text_fault *fault)
{
    static const char *const known[] = {"bids", "links", NULL};
    char where[WHERE_SIZE];
    const cJSON *bids = json_array(file, "bids");
    const cJSON *links = cJSON_GetObjectItemCaseSensitive(file, "links");
    if (!cJSON_IsObject(file)) {
        return clear_text_fail(fault, "must be an object", "%s", "");
    }
    if (!clear_read_known(file, known, "problem", fault)) {
        return false;
    }
    if (links != NULL && !cJSON_IsArray(links)) {
        return clear_text_fail(fault, "must be an array", "links");
    }
    if (bids == NULL || bids->child == NULL) {
        return clear_text_fail(fault, "is missing, empty or no array", "bids");
    }
    for (const cJSON *item = bids->child; item != NULL; item = item->next) {
        const uint32_t at = out->bid_count;
        snprintf(where, sizeof where, "bids[%u]", (unsigned)at);
        if (at == LIMIT_PORTFOLIO_BIDS) {
            return clear_text_fail(fault, "a portfolio has at most 100 bids", "%s", where);
        }
        if (!read_bid(&out->bids[at], &declared[at], &schedule[at], item, where, fault) ||
            !check_bid(&out->bids[at], bids, item, declared[at], where, fault)) {
            return false;
        }
        out->bid_count++;
    }
    for (const cJSON *item = links == NULL ? NULL : links->child; item != NULL; item = item->next) {
        snprintf(where, sizeof where, "links[%u]", (unsigned)out->link_count);
        if (out->link_count == LIMIT_PORTFOLIO_LINKS) {
            return clear_text_fail(fault, "a portfolio has at most 24 links", "%s", where);
        }
        if (!read_link(&out->links[out->link_count], bids, item, where, fault)) {
            return false;
        }
        out->link_count++;
    }
    return true;
}

/* --- problems ------------------------------------------------------------------------------- */

static const char *name_at(char out[NAME_SIZE + 1], const struct name *names, uint32_t at)
{
    return name_to_text(out, &names[at]);
}

static cJSON *order_item(const struct coupled_auction_problem *auction, uint32_t bid)
{
    char id[ID_SIZE];
    snprintf(id, sizeof id, "%" PRIu64, auction->orders[bid]);
    return cJSON_CreateString(id);
}

static void add_bid(cJSON *list, const struct coupled_auction_problem *auction, uint32_t at)
{
    const struct coupled_bid *bid = &auction->problem.bids[at];
    char text[NAME_SIZE + 1];
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToObject(item, "id", order_item(auction, at));
    snprintf(text, sizeof text, "a%u", (unsigned)bid->agent + 1);
    cJSON_AddStringToObject(item, "agent", text);
    cJSON_AddStringToObject(item, "side", bid->buy ? "buy" : "sell");
    json_add_i64(item, "quantity", bid->quantity);
    json_add_i64(item, "price", bid->price);
    json_add_u32(item, "interval", bid->slot);
    cJSON_AddStringToObject(item, "node",
                            name_at(text, auction->nodes, bid->place % auction->node_count));
    cJSON_AddStringToObject(item, "carrier",
                            name_at(text, auction->carriers, bid->place / auction->node_count));
    if (bid->min_quantity != 0) {
        json_add_i64(item, "min_quantity", bid->min_quantity);
    }
    if (bid->order != 0) {
        json_add_u32(item, "order", bid->order);
    }
    if (bid->indivisible) {
        cJSON_AddBoolToObject(item, "indivisible", true);
    }
    cJSON_AddItemToArray(list, item);
}

static void add_line(cJSON *list, const struct coupled_auction_problem *auction, uint32_t from,
                     uint32_t to, int64_t capacity)
{
    char text[NAME_SIZE + 1];
    const uint32_t nodes = auction->node_count;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "from", name_at(text, auction->nodes, from % nodes));
    cJSON_AddStringToObject(item, "to", name_at(text, auction->nodes, to % nodes));
    json_add_i64(item, "capacity", capacity);
    cJSON_AddStringToObject(item, "carrier", name_at(text, auction->carriers, from / nodes));
    cJSON_AddItemToArray(list, item);
}

/* Lines of need, then one of capacity 0 to each node that no line touches, so that flexclear knows it. */
static void add_lines(cJSON *network, const struct coupled_auction_problem *auction)
{
    const struct coupled_problem *problem = &auction->problem;
    bool touched[LIMIT_NETWORK_NODES] = {false};
    cJSON *list = cJSON_AddArrayToObject(network, "lines");
    for (uint32_t i = 0; i < problem->line_count; i++) {
        const struct coupled_line *line = &problem->lines[i];
        touched[line->from % auction->node_count] = true;
        touched[line->to % auction->node_count] = true;
        add_line(list, auction, line->from, line->to, line->capacity);
    }
    for (uint32_t node = 1; node < auction->node_count; node++) {
        if (!touched[node]) {
            add_line(list, auction, 0, node, 0);
        }
    }
}

/* Right sides that hold in one interval alone. */
static void add_limits(cJSON *item, const struct coupled_problem *problem, uint32_t row)
{
    cJSON *limits = NULL;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        int64_t right = coupled_right(problem, slot, row);
        if (right != problem->rows[row].rhs) {
            char interval[ID_SIZE];
            limits = limits == NULL ? cJSON_AddObjectToObject(item, "limits") : limits;
            snprintf(interval, sizeof interval, "%u", (unsigned)slot);
            json_add_i64(limits, interval, right);
        }
    }
}

static void add_rows(cJSON *network, const struct coupled_auction_problem *auction)
{
    const struct coupled_problem *problem = &auction->problem;
    char text[NAME_SIZE + 1];
    cJSON *list = cJSON_AddArrayToObject(network, "rows");
    for (uint32_t i = 0; i < problem->row_count; i++) {
        const struct coupled_row *row = &problem->rows[i];
        cJSON *item = cJSON_CreateObject();
        cJSON *coefs = cJSON_AddObjectToObject(item, "coef");
        for (uint32_t at = row->first; at < row->first + row->count; at++) {
            uint32_t place = problem->coefs[at].place;
            json_add_i64(coefs, name_at(text, auction->nodes, place % auction->node_count),
                         problem->coefs[at].value);
        }
        cJSON_AddStringToObject(item, "op", row_op_names[row->op]);
        json_add_i64(item, "rhs", row->rhs);
        add_limits(item, problem, i);
        cJSON_AddStringToObject(item, "carrier",
                                name_at(text, auction->carriers,
                                        problem->coefs[row->first].place / auction->node_count));
        cJSON_AddItemToArray(list, item);
    }
}

static void add_links(cJSON *top, const struct coupled_auction_problem *auction)
{
    const struct coupled_problem *problem = &auction->problem;
    cJSON *list = cJSON_AddArrayToObject(top, "links");
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        const uint32_t *members = &problem->members[link->first];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "type", link_type_names[link->type]);
        if (link->type == COUPLED_CONVERT) {
            cJSON_AddItemToObject(item, "in", order_item(auction, members[0]));
            cJSON_AddItemToObject(item, "out", order_item(auction, members[1]));
            json_add_i64(item, "num", link->num);
            json_add_i64(item, "den", link->den);
        } else {
            cJSON *bids = cJSON_AddArrayToObject(item, "bids");
            for (uint32_t at = 0; at < link->count; at++) {
                cJSON_AddItemToArray(bids, order_item(auction, members[at]));
            }
        }
        if (link->type == COUPLED_SUM) {
            cJSON_AddStringToObject(item, "op", row_op_names[link->op]);
            json_add_i64(item, "quantity", link->quantity);
        }
        cJSON_AddItemToArray(list, item);
    }
}

char *coupled_file_problem(const struct coupled_auction_problem *auction)
{
    char text[NAME_SIZE + 1];
    cJSON *top = cJSON_CreateObject();
    cJSON_AddStringToObject(top, "format", "flexclear/1");
    cJSON_AddStringToObject(top, "mechanism", "coupled");
    cJSON *bids = cJSON_AddArrayToObject(top, "bids");
    for (uint32_t i = 0; i < auction->problem.bid_count; i++) {
        add_bid(bids, auction, i);
    }
    cJSON *network = cJSON_AddObjectToObject(top, "network");
    cJSON_AddStringToObject(network, "slack", name_at(text, auction->nodes, 0));
    add_lines(network, auction);
    add_rows(network, auction);
    add_links(top, auction);
    if (auction->binding < auction->problem.slot_count) {
        json_add_u32(top, "binding", auction->binding);
    }
    char *out = cJSON_PrintUnformatted(top);
    cJSON_Delete(top);
    return out;
}

/* --- solutions ------------------------------------------------------------------------------ */

/* Where flexclear's reading of the problem has our intervals and places; UINT32_MAX: nowhere. */
struct carry {
    struct clear_text text;
    uint32_t slot[COUPLED_AUCTION_SLOTS_MAX];
    uint32_t place[COUPLED_AUCTION_PLACES_MAX];
};

static uint32_t find_text(const char *const *names, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

static bool carry_open(struct carry *carry, const struct coupled_auction_problem *auction,
                       struct clear_text_fault *fault)
{
    char name[NAME_SIZE + 1];
    char *problem = coupled_file_problem(auction);
    bool good = problem != NULL && clear_text_read(&carry->text, problem, strlen(problem), fault);
    free(problem);
    if (!good) {
        return false;
    }
    const struct coupled_text *coupled = carry->text.coupled;
    for (uint32_t slot = 0; slot < auction->problem.slot_count; slot++) {
        carry->slot[slot] = UINT32_MAX;
        for (uint32_t i = 0; i < coupled->problem.slot_count; i++) {
            carry->slot[slot] = carry->text.interval[i] == slot ? i : carry->slot[slot];
        }
    }
    for (uint32_t place = 0; place < auction->problem.place_count; place++) {
        const char *node = name_at(name, auction->nodes, place % auction->node_count);
        uint32_t at = find_text(coupled->node_name, coupled->node_count, node);
        const char *text = name_at(name, auction->carriers, place / auction->node_count);
        uint32_t carrier = find_text(coupled->carrier_name, coupled->carrier_count, text);
        carry->place[place] = at == UINT32_MAX || carrier == UINT32_MAX
                                  ? UINT32_MAX
                                  : carrier * coupled->node_count + at;
    }
    return true;
}

/* Either way, as `to_text` says; what one side lacks is 0. */
static void carry_over(const struct carry *carry, const struct coupled_auction_problem *auction,
                       struct coupled_draft *ours, struct coupled_draft *theirs, bool to_text)
{
    const struct coupled_problem *problem = &auction->problem;
    const struct coupled_problem *text = &carry->text.coupled->problem;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        const size_t there = carry->slot[slot];
        for (uint32_t i = 0; i < problem->line_count && there != UINT32_MAX; i++) {
            int64_t *a = &ours->flow[(size_t)slot * problem->line_count + i];
            int64_t *b = &theirs->flow[there * text->line_count + i];
            *(to_text ? b : a) = *(to_text ? a : b);
        }
        for (uint32_t i = 0; i < problem->row_count && there != UINT32_MAX; i++) {
            int64_t *a = &ours->row[(size_t)slot * problem->row_count + i];
            int64_t *b = &theirs->row[there * text->row_count + i];
            *(to_text ? b : a) = *(to_text ? a : b);
        }
        for (uint32_t i = 0; i < problem->place_count && there != UINT32_MAX; i++) {
            if (carry->place[i] != UINT32_MAX) {
                int64_t *a = &ours->node[(size_t)slot * problem->place_count + i];
                int64_t *b = &theirs->node[there * text->place_count + carry->place[i]];
                *(to_text ? b : a) = *(to_text ? a : b);
            }
        }
    }
    const struct coupled_draft *from = to_text ? ours : theirs;
    struct coupled_draft *to = to_text ? theirs : ours;
    memcpy(to->accepted, from->accepted, problem->bid_count * sizeof *to->accepted);
    memcpy(to->sum, from->sum, problem->link_count * sizeof *to->sum);
    to->den = from->den;
}

static bool read_solution(struct coupled_draft *out, const struct carry *carry,
                          const struct coupled_auction_problem *auction, const cJSON *result,
                          struct clear_text_fault *fault)
{
    const struct coupled_problem *text = &carry->text.coupled->problem;
    struct coupled_fault refused;
    struct coupled_draft theirs;
    struct clear_arena arena = {.size = 2 * coupled_arena_bytes(text)};
    arena.bytes = malloc(arena.size);
    MUST(arena.bytes != NULL);
    const struct coupled_plan *plan = coupled_prepare(text, &refused, &arena);
    bool good = plan != NULL || coupled_text_refused(&refused, fault);
    if (good) {
        coupled_draft_take(&theirs, text, &arena);
        good = coupled_text_solution(&theirs, &carry->text, plan, result, &arena, fault);
    }
    if (good) {
        carry_over(carry, auction, out, &theirs, false);
    }
    free(arena.bytes);
    return good;
}

bool coupled_file_solution(struct coupled_draft *out, const struct coupled_auction_problem *auction,
                           const char *result, size_t size, struct clear_arena *arena,
                           struct clear_text_fault *fault)
{
    char problem[JSON_PROBLEM_SIZE];
    struct carry *carry = calloc(1, sizeof *carry);
    MUST(carry != NULL);
    coupled_draft_take(out, &auction->problem, arena);
    cJSON *given = json_parse_strict_up_to(clear_text_size_max, result, size, problem);
    bool good = given != NULL || clear_text_fail(fault, problem, "result");
    const char *format = good ? json_string(given, "format") : NULL;
    if (good && (format == NULL || strcmp(format, "flexclear-result/1") != 0)) {
        good = clear_text_fail(
            fault, "must be flexclear-result/1: flexclear PROBLEM > RESULT makes it of a problem",
            "format");
    }
    good = good && carry_open(carry, auction, fault) &&
           read_solution(out, carry, auction, given, fault);
    for (uint32_t i = 0; i < auction->problem.bid_count && good; i++) {
        good = out->accepted[i] >= 0 ||
               clear_text_fail(fault, "is below 0", "accepted[%u]", (unsigned)i);
    }
    if (good && out->den < 1) {
        good = clear_text_fail(fault, "is below 1", "certificate.duals.den");
    }
    clear_text_free(&carry->text);
    free(carry);
    cJSON_Delete(given);
    return good;
}

static char *print_result(const struct carry *carry, const struct coupled_auction_problem *auction,
                          struct coupled_draft *ours, bool floor, struct clear_text_fault *fault)
{
    const struct coupled_problem *text = &carry->text.coupled->problem;
    const struct coupled_origin origin = {floor ? "floor" : "solver", NULL};
    struct coupled_fault refused;
    struct coupled_break broken;
    struct coupled_claim claim;
    struct coupled_draft theirs;
    struct clear_arena arena = {.size = 2 * coupled_arena_bytes(text)};
    arena.bytes = malloc(arena.size);
    MUST(arena.bytes != NULL);
    char *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&json, &size);
    MUST(out != NULL);
    const struct coupled_plan *plan = coupled_prepare(text, &refused, &arena);
    bool good = plan != NULL || coupled_text_refused(&refused, fault);
    if (good) {
        coupled_draft_take(&theirs, text, &arena);
        carry_over(carry, auction, ours, &theirs, true);
        const struct coupled_solution solution = coupled_draft_view(&theirs);
        good = coupled_check(&claim, &broken, plan, &solution, &arena)
                   ? coupled_text_print(out, &carry->text, plan, &solution, &claim, &origin, &arena,
                                        fault)
                   : coupled_text_broken(&carry->text, &broken, fault);
    }
    MUST(fclose(out) == 0);
    free(arena.bytes);
    if (!good) {
        free(json);
        json = NULL;
    }
    return json;
}

char *coupled_file_result(const struct coupled_auction_problem *auction,
                          struct coupled_draft *solution, bool floor,
                          struct clear_text_fault *fault)
{
    struct carry *carry = calloc(1, sizeof *carry);
    MUST(carry != NULL);
    char *out = carry_open(carry, auction, fault)
                    ? print_result(carry, auction, solution, floor, fault)
                    : NULL;
    clear_text_free(&carry->text);
    free(carry);
    return out;
}
