/* Verifies a result of a coupled auction (tools/clear/coupled_text.h; docs/spec/coupled.md 8). A
 * coupled auction is not computed again: its quantities and multipliers are read, the contract's own
 * checker says whether they keep the rules and what they are worth, and all else that the result
 * says must be what follows from them.
 *
 * Deliberately absent: any solver. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/clear/clear_read.h"
#include "tools/clear/coupled_text.h"

enum { WHERE_SIZE = 192 };

static bool item_amount(int64_t *out, const cJSON *item, const char *where,
                        struct clear_text_fault *fault)
{
    if (item == NULL || !cJSON_IsString(item) || !int64_from_text(out, item->valuestring)) {
        return clear_text_fail(
            fault, item == NULL ? "is missing" : "must be a decimal integer of 64 bits in a string",
            "%s", where);
    }
    return true;
}

static bool read_accepted(struct coupled_draft *out, const struct clear_text *text,
                          const cJSON *result, struct clear_text_fault *fault)
{
    const cJSON *list = json_array(result, "accepted");
    const cJSON *item = list == NULL ? NULL : list->child;
    if (list == NULL) {
        return clear_text_fail(fault, "is missing or no array", "accepted");
    }
    for (uint32_t i = 0; i < text->problem.bid_count; i++) {
        char where[WHERE_SIZE];
        const char *id = item == NULL ? NULL : json_string(item, "id");
        if (id == NULL || strcmp(id, text->bid_id[i]) != 0) {
            return clear_text_fail(fault, "every bid is listed, in the order of the problem",
                                   "accepted[%u].id", (unsigned)i);
        }
        (void)snprintf(where, sizeof where, "accepted[%u].quantity", (unsigned)i);
        if (!item_amount(&out->accepted[i], cJSON_GetObjectItemCaseSensitive(item, "quantity"),
                         where, fault)) {
            return false;
        }
        item = item->next;
    }
    return item == NULL || clear_text_fail(fault, "lists more than the problem's bids", "accepted");
}

static void interval_key(char key[16], const struct clear_text *text, uint32_t slot)
{
    (void)snprintf(key, 16, "%u", (unsigned)text->interval[slot]);
}

static bool read_flows(struct coupled_draft *out, const struct clear_text *text, const cJSON *flow,
                       struct clear_text_fault *fault)
{
    const struct coupled_problem *problem = &text->coupled->problem;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        char key[16], where[WHERE_SIZE];
        interval_key(key, text, slot);
        const cJSON *list = json_array(flow, key);
        const cJSON *item = list == NULL ? NULL : list->child;
        for (uint32_t i = 0; i < problem->line_count; i++) {
            (void)snprintf(where, sizeof where, "flow.%s[%u]", key, (unsigned)i);
            if (!item_amount(&out->flow[(size_t)slot * problem->line_count + i], item, where,
                             fault)) {
                return false;
            }
            item = item->next;
        }
    }
    return true;
}

/* A result from elsewhere may leave the flows out: any that fit the quantities prove as much. */
static bool find_flows(struct coupled_draft *out, const struct coupled_plan *plan,
                       struct clear_arena *arena, uint32_t bids, struct clear_text_fault *fault)
{
    size_t mark = arena->used;
    int64_t *said = clear_take(arena, bids, sizeof *said);
    memcpy(said, out->accepted, bids * sizeof *said);
    struct coupled_claim claim;
    struct coupled_break broken;
    struct coupled_solution solution = coupled_draft_view(out);
    /* Only what is within its bounds may move through the network's own arithmetic. */
    bool bounded = coupled_check_quantities(&claim, &broken, plan, &solution, arena) ||
                   (broken.rule >= COUPLED_BROKEN_BALANCE && broken.rule <= COUPLED_OVERFLOW);
    bool fits = !bounded || (coupled_repair(out, plan, arena) &&
                             memcmp(said, out->accepted, bids * sizeof *said) == 0);
    memcpy(out->accepted, said, bids * sizeof *said);
    arena->used = mark;
    return fits || clear_text_fail(fault, "no flows within the capacities fit these quantities",
                                   "accepted");
}

static bool read_places(int64_t *node, const struct clear_text *text, const cJSON *table,
                        uint32_t carrier, const char *where, struct clear_text_fault *fault)
{
    const struct coupled_text *coupled = text->coupled;
    for (uint32_t slot = 0; slot < coupled->problem.slot_count; slot++) {
        char key[16], place[WHERE_SIZE];
        interval_key(key, text, slot);
        const cJSON *nodes = json_object(table, key);
        const cJSON *at = nodes == NULL ? NULL : nodes->child;
        for (uint32_t i = 0; i < coupled->node_count; i++) {
            size_t cell =
                (size_t)slot * coupled->problem.place_count + carrier * coupled->node_count + i;
            (void)snprintf(place, sizeof place, "%.60s.%s.%.64s", where, key,
                           coupled->node_name[i]);
            if (!item_amount(&node[cell], clear_read_next(nodes, &at, coupled->node_name[i]), place,
                             fault)) {
                return false;
            }
        }
    }
    return true;
}

static bool read_limits(struct coupled_draft *out, const struct clear_text *text,
                        const cJSON *duals, struct clear_text_fault *fault)
{
    const struct coupled_problem *problem = &text->coupled->problem;
    const cJSON *list = json_array(duals, "row");
    const cJSON *item = list == NULL ? NULL : list->child;
    char where[WHERE_SIZE], key[16];
    for (uint32_t i = 0; i < problem->row_count; i++) {
        for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
            interval_key(key, text, slot);
            (void)snprintf(where, sizeof where, "certificate.duals.row[%u].%s", (unsigned)i, key);
            if (!item_amount(&out->row[(size_t)slot * problem->row_count + i],
                             cJSON_GetObjectItemCaseSensitive(item, key), where, fault)) {
                return false;
            }
        }
        item = item == NULL ? NULL : item->next;
    }
    list = json_array(duals, "sum");
    item = list == NULL ? NULL : list->child;
    for (uint32_t i = 0, sums = 0; i < problem->link_count; i++) {
        out->sum[i] = 0;
        if (problem->links[i].type == COUPLED_SUM) {
            (void)snprintf(where, sizeof where, "certificate.duals.sum[%u]", (unsigned)sums++);
            if (!item_amount(&out->sum[i], item, where, fault)) {
                return false;
            }
            item = item->next;
        }
    }
    return true;
}

bool coupled_text_solution(struct coupled_draft *out, const struct clear_text *text,
                           const struct coupled_plan *plan, const cJSON *result,
                           struct clear_arena *arena, struct clear_text_fault *fault)
{
    const struct coupled_text *coupled = text->coupled;
    const cJSON *certificate = json_object(result, "certificate");
    const cJSON *duals = json_object(certificate, "duals");
    const cJSON *flow = cJSON_GetObjectItemCaseSensitive(result, "flow");
    if (duals == NULL) {
        return clear_text_fail(fault, "is missing", "certificate.duals");
    }
    if (!item_amount(&out->den, cJSON_GetObjectItemCaseSensitive(duals, "den"),
                     "certificate.duals.den", fault) ||
        !read_accepted(out, text, result, fault) ||
        !read_places(out->node, text, json_object(duals, "node"), 0, "certificate.duals.node",
                     fault) ||
        !read_limits(out, text, duals, fault)) {
        return false;
    }
    const cJSON *others = json_object(duals, "carrier_node");
    for (uint32_t carrier = 1; carrier < coupled->carrier_count; carrier++) {
        if (!read_places(out->node, text, json_object(others, coupled->carrier_name[carrier]),
                         carrier, "certificate.duals.carrier_node", fault)) {
            return false;
        }
    }
    return flow != NULL ? read_flows(out, text, flow, fault)
                        : find_flows(out, plan, arena, coupled->problem.bid_count, fault);
}

bool coupled_text_broken(const struct clear_text *text, const struct coupled_break *broken,
                         struct clear_text_fault *fault)
{
    const struct coupled_text *coupled = text->coupled;
    const char *words = coupled_rule_words(broken->rule);
    uint32_t nodes = coupled->node_count;
    unsigned slot = coupled->problem.slot_count == 0 ? 0 : text->interval[broken->slot];
    switch (broken->rule) {
    case COUPLED_BROKEN_BOUNDS:
    case COUPLED_BROKEN_MINIMUM:
    case COUPLED_BROKEN_INDIVISIBLE:
    case COUPLED_BROKEN_ORDER:
        return clear_text_fail(fault, words, "accepted[%u]", (unsigned)broken->item);
    case COUPLED_BROKEN_LINK:
    case COUPLED_BROKEN_SUM:
        return clear_text_fail(fault, words, "links[%u]", (unsigned)broken->item);
    case COUPLED_BROKEN_CAPACITY:
        return clear_text_fail(fault, words, "flow.%u[%u]", slot, (unsigned)broken->item);
    case COUPLED_BROKEN_BALANCE:
        return clear_text_fail(fault, words, "interval %u, %.40s node %.64s", slot,
                               coupled->carrier_name[broken->item / nodes],
                               coupled->node_name[broken->item % nodes]);
    case COUPLED_BROKEN_ROW:
        return clear_text_fail(fault, words, "interval %u, network.rows[%u]", slot,
                               (unsigned)broken->item);
    case COUPLED_BROKEN_DENOMINATOR:
    case COUPLED_BROKEN_SIGN:
        return clear_text_fail(fault, words, "certificate.duals");
    case COUPLED_BROKEN_BINDING:
        return clear_text_fail(fault, words, "accepted");
    case COUPLED_KEPT:
    case COUPLED_OVERFLOW:
    case COUPLED_RULE_COUNT:
        break;
    }
    return clear_text_fail(fault, words, "certificate");
}

/* Without what only says where a solution came from, and without flows if the result has none. */
static char *print_right(const struct clear_text *text, const struct coupled_plan *plan,
                         const struct coupled_solution *solution, const struct coupled_claim *claim,
                         struct clear_arena *arena, size_t *size, struct clear_text_fault *fault)
{
    char *json = NULL;
    FILE *out = open_memstream(&json, size);
    if (out == NULL) {
        clear_text_fail(fault, "out of memory", "result");
        return NULL;
    }
    bool good = coupled_text_print(out, text, plan, solution, claim, NULL, arena, fault);
    if (fclose(out) != 0 && good) {
        good = clear_text_fail(fault, "out of memory", "result");
    }
    if (!good) {
        free(json);
        return NULL;
    }
    return json;
}

static bool verify_result(const struct clear_text *text, cJSON *result, struct clear_arena *arena,
                          struct clear_text_fault *fault)
{
    struct coupled_fault refused;
    struct coupled_break broken;
    struct coupled_claim claim;
    struct coupled_draft draft;
    const struct coupled_problem *problem = &text->coupled->problem;
    const struct coupled_plan *plan = coupled_prepare(problem, &refused, arena);
    if (plan == NULL) {
        return coupled_text_refused(&refused, fault);
    }
    coupled_draft_take(&draft, problem, arena);
    if (!coupled_text_solution(&draft, text, plan, result, arena, fault)) {
        return false;
    }
    struct coupled_solution solution = coupled_draft_view(&draft);
    if (!coupled_check(&claim, &broken, plan, &solution, arena)) {
        return coupled_text_broken(text, &broken, fault);
    }
    size_t size = 0;
    char *right = print_right(text, plan, &solution, &claim, arena, &size, fault);
    if (right == NULL) {
        return false;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(result, "proposed");
    bool whole = cJSON_GetObjectItemCaseSensitive(result, "flow") != NULL;
    bool good = clear_text_compare(result, right, size,
                                   whole || problem->line_count == 0 ? NULL : "flow", fault);
    free(right);
    return good;
}

bool coupled_text_verify(const struct clear_text *text, const char *result, size_t size,
                         struct clear_text_fault *fault)
{
    char problem[JSON_PROBLEM_SIZE];
    cJSON *given = json_parse_strict_up_to(clear_text_size_max, result, size, problem);
    if (given == NULL) {
        return clear_text_fail(fault, problem, "result");
    }
    if (!cJSON_IsObject(given)) {
        cJSON_Delete(given);
        return clear_text_fail(fault, "must be an object", "result");
    }
    struct clear_arena arena = {0};
    arena.size = coupled_arena_bytes(&text->coupled->problem);
    arena.bytes = malloc(arena.size);
    bool good = arena.bytes != NULL ? verify_result(text, given, &arena, fault)
                                    : clear_text_fail(fault, "out of memory", "result");
    free(arena.bytes);
    cJSON_Delete(given);
    return good;
}
