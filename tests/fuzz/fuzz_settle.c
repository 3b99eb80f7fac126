/* Problems of flexsettle (docs/spec/delivery.md 10): what is refused is refused in one printable line;
 * what is settled shares out the escrow and no more, credits no more than was contracted, and prints
 * a result that can be read back. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/settle/problem.h"

static void check_printable(const char *text)
{
    MUST(text[0] != '\0');
    for (; *text != '\0'; text++)
        MUST(*text >= ' ' && *text <= '~');
}

static void check_solution(const struct settle_problem *problem,
                           const struct settle_solution *solution)
{
    const struct settlement_terms *terms = &problem->terms;
    const struct settlement_result *result = &solution->result;
    int64_t paid = money_ueur(result->paid), refunded = money_ueur(result->refunded);
    int64_t remainder = money_ueur(result->remainder), penalty = money_ueur(result->penalty);
    MUST(paid >= 0 && refunded >= 0 && remainder >= 0);
    MUST((int128)paid + refunded + remainder == money_ueur(terms->escrow));
    MUST(penalty >= 0 && penalty <= money_ueur(terms->deposit));
    bool whole = true;
    for (uint32_t i = 0; i < solution->count; i++) {
        MUST(energy_wh(result->credited[i]) >= 0);
        MUST(energy_compare(result->credited[i], terms->contracted[i]) <= 0);
        whole = whole && energy_compare(result->credited[i], terms->contracted[i]) == 0;
    }
    MUST(whole == result->full && (whole ? refunded == 0 : remainder == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settle_problem problem;
    static struct settle_solution solution;
    struct settle_fault fault = {"", ""};
    char *line = settle_text(&fault, (const char *)data, size);
    char why[JSON_PROBLEM_SIZE];
    cJSON *root = json_parse_strict((const char *)data, size, why);
    bool settled = root != NULL && settle_problem_read(&problem, &fault, root) &&
                   settle_solve(&solution, &fault, &problem);
    MUST((line != NULL) == settled);
    if (settled) {
        check_solution(&problem, &solution);
        size_t length = strlen(line);
        MUST(strchr(line, '\n') == line + length - 1);
        cJSON *result = json_parse_strict(line, length, why);
        int64_t paid;
        MUST(result != NULL && json_i64(&paid, result, "paid_ueur"));
        MUST(paid == money_ueur(solution.result.paid));
        cJSON_Delete(result);
    } else {
        check_printable(fault.where);
        check_printable(fault.what);
    }
    cJSON_Delete(root);
    free(line);
    return 0;
}
