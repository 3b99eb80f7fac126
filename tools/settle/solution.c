/* From a problem to its result: the contracts' functions in the order in which a delivery asks for
 * them, and the JSON of what they say (tools/settle/problem.h).
 *
 * Deliberately absent: arithmetic. A number that this file prints was computed in contracts/. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/settle/problem.h"

static bool fail_at(struct settle_fault *fault, const char *key, uint32_t index, const char *what)
{
    (void)snprintf(fault->where, sizeof fault->where, "%s[%u]", key, index);
    (void)snprintf(fault->what, sizeof fault->what, "%s", what);
    return false;
}

static bool solve_baseline(struct settle_problem *problem, struct settle_fault *fault)
{
    struct baseline_days days = {.interval_count = problem->terms.count,
                                 .candidate_count = problem->candidate_count,
                                 .candidates = problem->candidates};
    memcpy(days.actual_window, problem->actual_window, sizeof days.actual_window);
    struct baseline_result result;
    enum baseline_error error = baseline_compute(&result, &problem->baseline, &days);
    if (error == BASELINE_OVERFLOW) {
        return fail_at(fault, "reference_wh", result.fault_interval,
                       "the adjusted baseline does not fit 64 bits");
    }
    /* Counts and parameters were checked where they were read. */
    MUST(error == BASELINE_OK);
    memcpy(problem->against, result.reference, sizeof problem->against);
    return true;
}

bool settle_solve(struct settle_solution *out, struct settle_fault *fault,
                  struct settle_problem *problem)
{
    struct settlement_terms *terms = &problem->terms;
    memset(out, 0, sizeof *out);
    out->count = terms->count;
    if (problem->method == DELIVERY_BASELINE && !solve_baseline(problem, fault)) {
        return false;
    }
    if (problem->method != DELIVERY_CAPACITY_CAP && problem->method != DELIVERY_CAPACITY_FLOOR) {
        out->reference_count = terms->count;
        memcpy(out->reference, problem->against, sizeof out->reference);
    }
    for (uint32_t i = 0; i < terms->count; i++) {
        if (!delivery_measured(&terms->delivered[i], problem->method, problem->direction,
                               terms->contracted[i], problem->against[i], problem->actual[i])) {
            return fail_at(fault, "actual_wh", i, "what was delivered does not fit 64 bits");
        }
    }
    memcpy(out->delivered, terms->delivered, sizeof out->delivered);
    enum settlement_error error = settlement_compute(&out->result, terms);
    if (error == SETTLEMENT_ESCROW_SHORT) {
        (void)snprintf(fault->where, sizeof fault->where, "escrow_ueur");
        (void)snprintf(fault->what, sizeof fault->what,
                       "is less than price x credited: an escrow holds price x contracted");
        return false;
    }
    MUST(error == SETTLEMENT_OK);
    return true;
}

static void add_energies(struct cJSON *object, const char *key, const struct energy *values,
                         uint32_t count)
{
    struct cJSON *array = cJSON_AddArrayToObject(object, key);
    for (uint32_t i = 0; array != NULL && i < count; i++) {
        char text[INT128_TEXT_SIZE];
        int128_to_text(text, energy_wh(values[i]));
        cJSON_AddItemToArray(array, cJSON_CreateString(text));
    }
}

struct cJSON *settle_solution_json(const struct settle_solution *solution)
{
    struct cJSON *object = cJSON_CreateObject();
    if (object == NULL) {
        return NULL;
    }
    const struct settlement_result *result = &solution->result;
    cJSON_AddStringToObject(object, "format", "flexsettle-result/1");
    add_energies(object, "reference_wh", solution->reference, solution->reference_count);
    add_energies(object, "delivered_wh", solution->delivered, solution->count);
    add_energies(object, "credited_wh", result->credited, solution->count);
    json_add_i64(object, "paid_ueur", money_ueur(result->paid));
    json_add_i64(object, "refunded_ueur", money_ueur(result->refunded));
    json_add_i64(object, "penalty_ueur", money_ueur(result->penalty));
    return object;
}

/* One line; NULL if memory ran out on the way. An object that lost a key on the way is as bad. */
static char *print_line(const struct settle_solution *solution)
{
    enum { RESULT_KEYS = 7 };
    struct cJSON *object = settle_solution_json(solution);
    char *line = NULL;
    if (object != NULL && cJSON_GetArraySize(object) == RESULT_KEYS) {
        char *text = cJSON_PrintUnformatted(object);
        size_t size = text == NULL ? 0 : strlen(text);
        line = text == NULL ? NULL : realloc(text, size + 2);
        if (line != NULL) {
            memcpy(line + size, "\n", 2);
        } else {
            free(text);
        }
    }
    cJSON_Delete(object);
    return line;
}

/* The strict reader's "line 3 column 7: what" becomes place and reason. */
static void take_apart(struct settle_fault *fault, const char *problem)
{
    const char *colon = strstr(problem, ": ");
    MUST(colon != NULL);
    (void)snprintf(fault->where, sizeof fault->where, "%.*s", (int)(colon - problem), problem);
    (void)snprintf(fault->what, sizeof fault->what, "%s", colon + 2);
}

char *settle_text(struct settle_fault *fault, const char *text, size_t size)
{
    char why[JSON_PROBLEM_SIZE];
    struct cJSON *root = json_parse_strict(text, size, why);
    if (root == NULL) {
        take_apart(fault, why);
        return NULL;
    }
    char *line = NULL;
    struct settle_solution solution;
    struct settle_problem *problem = malloc(sizeof *problem);
    if (problem == NULL) {
        take_apart(fault, "problem: out of memory");
    } else if (settle_problem_read(problem, fault, root) &&
               settle_solve(&solution, fault, problem)) {
        line = print_line(&solution);
        if (line == NULL) {
            take_apart(fault, "result: out of memory");
        }
    }
    free(problem);
    cJSON_Delete(root);
    return line;
}
