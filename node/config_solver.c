/* The "solver" object of flexd.json: whether this node looks for solutions of coupled auctions, with what
 * key it proposes them, and how much its process may use (docs/spec/config.md, "solver"; docs/adr/0051).
 *
 * Deliberately absent: a passphrase for the key, for the reason in node/keys.c. It is an account's, with as
 * much money as its operator puts there for fees, and nothing hangs on it that a validator's key does. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "node/config_internal.h"
#include "solver/solver.h"

static const char key_default[] = "solver.key";
enum { SOLVER_SECONDS_DEFAULT = 300, SOLVER_SECONDS_MAX = SOLVER_WINDOW_MS_MAX / 1000 };

void node_config_solver_init(struct node_config_solver *solver)
{
    memset(solver, 0, sizeof *solver);
    (void)snprintf(solver->key, sizeof solver->key, "%s", key_default);
    solver->memory_mb = SOLVER_MEMORY_MB_DEFAULT;
    solver->seconds = SOLVER_SECONDS_DEFAULT;
}

static bool take_number(const cJSON *object, const char *key, uint32_t min, uint32_t max,
                        uint32_t *out, char problem[NODE_PROBLEM_SIZE])
{
    if (cJSON_GetObjectItemCaseSensitive(object, key) == NULL ||
        (json_u32(out, object, key) && *out >= min && *out <= max))
        return true;
    return node_config_refuse(problem, "solver.%s must be a number from %u to %u", key, min, max);
}

bool node_config_solver_parse(struct node_config_solver *solver, const cJSON *root,
                              bool is_validator, char problem[NODE_PROBLEM_SIZE])
{
    static const char *const known[] = {"enabled", "key", "program", "memory_mb", "seconds", NULL};
    if (cJSON_GetObjectItemCaseSensitive(root, "solver") == NULL)
        return true;
    const cJSON *object = json_object(root, "solver");
    if (object == NULL)
        return node_config_refuse(problem, "\"solver\" must be an object");
    const char *unknown = json_unknown_key(object, known);
    if (unknown != NULL)
        return node_config_refuse(problem, "unknown key \"%.64s\" in \"solver\"", unknown);
    if (!json_bool(&solver->enabled, object, "enabled"))
        return node_config_refuse(problem, "solver.enabled must be true or false");
    if (solver->enabled && !is_validator)
        return node_config_refuse(problem, "an audit node proposes nothing: no \"solver\"");
    if (!node_config_take_file(object, "solver", "key", solver->key, problem) ||
        !node_config_take_file(object, "solver", "program", solver->program, problem))
        return false;
    if (solver->program[0] != '\0' && solver->program[0] != '/')
        return node_config_refuse(problem, "solver.program must be an absolute path");
    return take_number(object, "memory_mb", SOLVER_MEMORY_MB_MIN, NODE_SOLVER_MEMORY_MB_MAX,
                       &solver->memory_mb, problem) &&
           take_number(object, "seconds", 1, SOLVER_SECONDS_MAX, &solver->seconds, problem);
}

void node_config_solver_add(cJSON *root, const struct node_config_solver *solver)
{
    struct node_config_solver usual;
    node_config_solver_init(&usual);
    if (memcmp(solver, &usual, sizeof usual) == 0)
        return;
    cJSON *object = cJSON_AddObjectToObject(root, "solver");
    cJSON_AddBoolToObject(object, "enabled", solver->enabled);
    if (strcmp(solver->key, usual.key) != 0)
        cJSON_AddStringToObject(object, "key", solver->key);
    if (solver->program[0] != '\0')
        cJSON_AddStringToObject(object, "program", solver->program);
    if (solver->memory_mb != usual.memory_mb)
        cJSON_AddNumberToObject(object, "memory_mb", solver->memory_mb);
    if (solver->seconds != usual.seconds)
        cJSON_AddNumberToObject(object, "seconds", solver->seconds);
}
