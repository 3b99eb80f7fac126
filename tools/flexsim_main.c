/* flexsim: runs a whole cluster under faults, seed by seed, or scenario by scenario of the twins
 * campaign (docs/simulator.md).
 *
 * Exit codes: 0 every oracle held; 1 a safety oracle fired; 3 no progress after healing; 4 crash;
 * 2 usage. Crash outweighs safety, safety outweighs liveness. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"
#include "base/limits.h"
#include "base/log.h"
#include "contracts/rules.h"
#include "tools/sim/guard.h"
#include "tools/sim/sim.h"

enum { EXIT_HELD = 0, EXIT_SAFETY = 1, EXIT_USAGE = 2, EXIT_LIVENESS = 3, EXIT_CRASH = 4 };

struct options {
    struct sim_config config;
    uint64_t seeds;
    bool has_seed;
    bool json;
    const char *persona;
    bool has_from; /* of the twins campaign */
    bool has_count;
    uint64_t from;
    uint64_t count;
};

/* What of the twins campaign is run. */
struct plan {
    uint64_t total;
    uint64_t runs;
};

struct totals {
    uint64_t seeds, safety, liveness, crash;
    uint64_t epochs, epochs_before, proven_by_descendants;
    uint64_t events, heights, transactions, crashes, evidence, healed_ms_max;
    uint64_t halts, laggards;
    uint64_t deals, settled, partial, refunds, cancelled, expired, stripped;
    struct hash_state digest;
    char first_failure[SIM_FAILURE_SIZE];
    uint64_t first_seed;
};

/* The linker takes these before those of base/fatal.c. */
_Noreturn void fatal_assertion(const char *condition, const char *file, int line,
                               const char *function)
{
    sim_guard_assertion(condition, file, line, function);
}

_Noreturn void fatal_environment(const char *what)
{
    sim_guard_environment(what);
}

static const char usage[] =
    "usage: flexsim [--seed S] [--seeds COUNT] [--nodes N] [--persona NAME|random|none]\n"
    "               [--epochs random|none|always|tour] [--upgrade]\n"
    "               [--byzantine COUNT] [--mutant NAME] [--ed25519] [--calm] [--trace] [--json]\n"
    "       flexsim --twins ROUNDS [--from I] [--count K] [--nodes N] [--byzantine COUNT]\n"
    "               [--seed S] [--mutant NAME] [--ed25519] [--trace] [--json]\n"
    "       flexsim --list | --help\n";

static int bad_usage(const char *what, const char *value)
{
    fprintf(stderr, "flexsim: %s%s%s\n%s", what, value != NULL ? ": " : "",
            value != NULL ? value : "", usage);
    return EXIT_USAGE;
}

static int list(void)
{
    for (int i = 0; sim_persona_name(i) != NULL; i++)
        printf("persona %-24s %s\n", sim_persona_name(i), sim_persona_text(i));
    for (uint32_t i = 1; sim_mutant_name(i) != NULL; i++)
        printf("mutant  %-24s %s\n", sim_mutant_name(i), sim_mutant_text(i));
    return EXIT_HELD;
}

static bool parse_number(uint64_t *out, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return false;
    *out = value;
    return true;
}

static bool parse_persona(struct options *options, const char *name)
{
    options->persona = name;
    if (strcmp(name, "random") == 0)
        options->config.persona = SIM_PERSONA_RANDOM;
    else if (strcmp(name, "none") == 0)
        options->config.persona = SIM_PERSONA_NONE;
    else
        options->config.persona = sim_persona_by_name(name);
    return options->config.persona != -1 || strcmp(name, "random") == 0;
}

static bool parse_campaign(struct options *options, const char *option, const char *value,
                           bool *known)
{
    uint64_t number = 0;
    bool good = parse_number(&number, value);
    if (strcmp(option, "--twins") == 0) {
        good = good && number >= 1 && number <= SIM_TWINS_ROUNDS_MAX;
        options->config.twins_rounds = good ? (uint32_t)number : 0;
        return good;
    }
    if (strcmp(option, "--from") == 0) {
        options->has_from = true;
        options->from = number;
        return good;
    }
    if (strcmp(option, "--count") == 0) {
        options->has_count = true;
        options->count = number;
        return good && number > 0;
    }
    *known = false;
    return false;
}

/* An option with a value. False: the value is not good; *known says whether the option is. */
static bool parse_valued(struct options *options, const char *option, const char *value,
                         bool *known)
{
    uint64_t number = 0;
    *known = true;
    if (strcmp(option, "--seed") == 0) {
        options->has_seed = true;
        return parse_number(&options->config.seed, value);
    }
    if (strcmp(option, "--seeds") == 0)
        return parse_number(&options->seeds, value) && options->seeds > 0;
    if (strcmp(option, "--nodes") == 0) {
        bool good = parse_number(&number, value) && number >= LIMIT_VALIDATORS_MIN &&
                    number <= LIMIT_VALIDATORS;
        options->config.validators = good ? (uint32_t)number : 0;
        return good;
    }
    if (strcmp(option, "--persona") == 0)
        return parse_persona(options, value);
    if (strcmp(option, "--byzantine") == 0) {
        bool good = parse_number(&number, value) && number <= LIMIT_VALIDATORS;
        options->config.byzantine = good ? (int)number : SIM_BYZANTINE_RANDOM;
        return good;
    }
    if (strcmp(option, "--epochs") == 0) {
        options->config.epochs = sim_epochs_by_name(value);
        return options->config.epochs != SIM_EPOCHS_COUNT;
    }
    if (strcmp(option, "--mutant") == 0) {
        options->config.mutant = sim_mutant_by_name(value);
        return options->config.mutant != 0;
    }
    return parse_campaign(options, option, value, known);
}

static bool parse_flag(struct options *options, const char *option)
{
    if (strcmp(option, "--json") == 0)
        options->json = true;
    else if (strcmp(option, "--ed25519") == 0)
        options->config.ed25519 = true;
    else if (strcmp(option, "--calm") == 0)
        options->config.calm = true;
    else if (strcmp(option, "--upgrade") == 0)
        options->config.upgrade = true;
    else if (strcmp(option, "--trace") == 0)
        options->config.trace = true;
    else
        return false;
    return true;
}

/* The exit code of a mistake, or 0. */
static int parse(struct options *options, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        bool known = false;
        if (parse_flag(options, arguments[i]))
            continue;
        const char *value = i + 1 < count ? arguments[i + 1] : NULL;
        bool good = parse_valued(options, arguments[i], value != NULL ? value : "", &known);
        if (!known)
            return bad_usage("unknown option", arguments[i]);
        if (value == NULL)
            return bad_usage("a value is missing after", arguments[i]);
        if (!good)
            return bad_usage(arguments[i], value);
        i++;
    }
    return 0;
}

/* The line that brings this very run back. */
static void print_reproduction(const struct options *options, uint64_t seed, uint64_t index)
{
    char byzantine[32] = "", what[96];
    const enum sim_epochs epochs = options->config.epochs;
    if (options->config.byzantine >= 0)
        (void)snprintf(byzantine, sizeof byzantine, " --byzantine %d", options->config.byzantine);
    if (options->config.twins_rounds > 0)
        (void)snprintf(what, sizeof what, "--twins %u --from %llu --count 1",
                       options->config.twins_rounds, (unsigned long long)index);
    else
        (void)snprintf(what, sizeof what, "--persona %s%s%s", options->persona,
                       epochs != SIM_EPOCHS_RANDOM ? " --epochs " : "",
                       epochs != SIM_EPOCHS_RANDOM ? sim_epochs_name(epochs) : "");
    fprintf(stderr, "  reproduce: flexsim --seed %llu --nodes %u %s%s%s%s%s%s%s --trace\n",
            (unsigned long long)seed, options->config.validators, what, byzantine,
            options->config.mutant != 0 ? " --mutant " : "",
            options->config.mutant != 0 ? sim_mutant_name(options->config.mutant) : "",
            options->config.ed25519 ? " --ed25519" : "", options->config.calm ? " --calm" : "",
            options->config.upgrade ? " --upgrade" : "");
}

static void count(struct totals *totals, const struct options *options,
                  const struct sim_config *config, const struct sim_result *result)
{
    bool campaign = config->twins_rounds > 0;
    unsigned long long number = campaign ? config->twins_index : config->seed;
    static const char *const names[] = {
        [SIM_HELD] = "held",
        [SIM_SAFETY] = "safety",
        [SIM_LIVENESS] = "liveness",
        [SIM_CRASH] = "crash",
    };
    totals->seeds++;
    totals->safety += result->outcome == SIM_SAFETY;
    totals->liveness += result->outcome == SIM_LIVENESS;
    totals->crash += result->outcome == SIM_CRASH;
    totals->events += result->events;
    totals->heights += result->heights;
    totals->transactions += result->transactions;
    totals->crashes += result->crashes;
    totals->evidence += result->evidence;
    totals->epochs += result->epochs;
    totals->epochs_before += result->epochs_before;
    totals->proven_by_descendants += result->proven_by_descendants;
    totals->halts += result->halts;
    totals->laggards += result->laggards;
    totals->deals += result->deals;
    totals->settled += result->settled;
    totals->partial += result->partial;
    totals->stripped += result->stripped;
    totals->refunds += result->refunds;
    totals->cancelled += result->cancelled;
    totals->expired += result->expired;
    if (result->healed_ms > totals->healed_ms_max)
        totals->healed_ms_max = result->healed_ms;
    hash_update(&totals->digest, result->digest.bytes, HASH_SIZE);
    if (result->outcome == SIM_HELD)
        return;
    fprintf(stderr, "%s %llu: %s: %s\n", campaign ? "scenario" : "seed", number,
            names[result->outcome], result->failure);
    print_reproduction(options, config->seed, config->twins_index);
    if (totals->first_failure[0] == '\0') {
        totals->first_seed = number;
        memcpy(totals->first_failure, result->failure, SIM_FAILURE_SIZE);
    }
}

static void print_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < 0x20 ? ' ' : *text);
    }
    putchar('"');
}

static void print_json(const struct options *options, const struct totals *totals,
                       const char *digest)
{
    printf("{\"seed\":%llu,\"seeds\":%llu,\"nodes\":%u,\"persona\":",
           (unsigned long long)options->config.seed, (unsigned long long)totals->seeds,
           options->config.validators);
    print_string(options->persona);
    printf(",\"mutant\":");
    print_string(sim_mutant_name(options->config.mutant));
    printf(",\"safety\":%llu,\"liveness\":%llu,\"crash\":%llu", (unsigned long long)totals->safety,
           (unsigned long long)totals->liveness, (unsigned long long)totals->crash);
    printf(",\"events\":%llu,\"heights\":%llu,\"transactions\":%llu,\"crashes\":%llu"
           ",\"evidence\":%llu,\"healed_ms_max\":%llu",
           (unsigned long long)totals->events, (unsigned long long)totals->heights,
           (unsigned long long)totals->transactions, (unsigned long long)totals->crashes,
           (unsigned long long)totals->evidence, (unsigned long long)totals->healed_ms_max);
    printf(",\"stripped\":%llu", (unsigned long long)totals->stripped);
    printf(",\"deals\":%llu,\"settled\":%llu,\"partial\":%llu,\"refunds\":%llu"
           ",\"cancelled\":%llu,\"expired\":%llu",
           (unsigned long long)totals->deals, (unsigned long long)totals->settled,
           (unsigned long long)totals->partial, (unsigned long long)totals->refunds,
           (unsigned long long)totals->cancelled, (unsigned long long)totals->expired);
    printf(",\"epochs\":%llu,\"epochs_before_healing\":%llu,\"proven_by_descendants\":%llu",
           (unsigned long long)totals->epochs, (unsigned long long)totals->epochs_before,
           (unsigned long long)totals->proven_by_descendants);
    printf(",\"halts\":%llu,\"laggards\":%llu", (unsigned long long)totals->halts,
           (unsigned long long)totals->laggards);
    if (totals->first_failure[0] != '\0') {
        printf(",\"first_failure\":{\"seed\":%llu,\"what\":",
               (unsigned long long)totals->first_seed);
        print_string(totals->first_failure);
        printf("}");
    }
    printf(",\"digest\":\"%s\"}\n", digest);
}

/* --- the twins campaign ------------------------------------------------------------------------ */

/* False: there is no such campaign. */
static bool plan_campaign(struct options *options, struct plan *out)
{
    struct sim_config *config = &options->config;
    if (config->byzantine == SIM_BYZANTINE_RANDOM)
        config->byzantine = (int)(config->validators - 1) / 3;
    if (config->validators > SIM_TWINS_NODES_MAX || config->calm ||
        config->persona != SIM_PERSONA_RANDOM || options->seeds != 1 ||
        config->byzantine >= (int)config->validators)
        return false;
    struct sim_twins twins = {.validators = config->validators,
                              .twinned = (uint32_t)config->byzantine,
                              .rounds = config->twins_rounds};
    if (!sim_twins_count(&twins, &out->total) || options->from >= out->total)
        return false;
    uint64_t left = out->total - options->from;
    out->runs = options->has_count && options->count < left ? options->count : left;
    return true;
}

static uint64_t plan_index(const struct options *options, const struct plan *plan, uint64_t i)
{
    if (options->has_count && !options->has_from)
        return sim_twins_sample(plan->total, i);
    return options->from + i;
}

static void print_plan(const struct options *options, const struct plan *plan, uint64_t run_count)
{
    printf("twins: %llu scenarios of %u validators, %d twinned, %u rounds; %llu run, %s\n",
           (unsigned long long)plan->total, options->config.validators, options->config.byzantine,
           options->config.twins_rounds, (unsigned long long)run_count,
           run_count == plan->total                   ? "which is all"
           : options->has_count && !options->has_from ? "evenly spread"
                                                      : "in order");
}

static int run(const struct options *options, const struct plan *plan)
{
    static struct totals totals;
    static struct sim_result result;
    struct hash digest;
    char hex[2 * HASH_SIZE + 1];
    hash_begin(&totals.digest, HASH_DOMAIN_LOG_LEAF);
    uint64_t runs = options->config.twins_rounds > 0 ? plan->runs : options->seeds;
    for (uint64_t i = 0; i < runs; i++) {
        struct sim_config config = options->config;
        if (config.twins_rounds > 0)
            config.twins_index = plan_index(options, plan, i);
        else
            config.seed += i;
        sim_run(&config, &result);
        count(&totals, options, &config, &result);
        if (config.mutant != 0 && result.outcome != SIM_HELD)
            break;
    }
    if (options->config.twins_rounds > 0)
        print_plan(options, plan, totals.seeds);
    hash_end(&totals.digest, &digest);
    hex_encode(hex, digest.bytes, HASH_SIZE);
    if (options->json)
        print_json(options, &totals, hex);
    printf("flexsim: %llu seeds, %llu safety, %llu liveness, %llu crash, digest %s\n",
           (unsigned long long)totals.seeds, (unsigned long long)totals.safety,
           (unsigned long long)totals.liveness, (unsigned long long)totals.crash, hex);
    if (totals.crash > 0)
        return EXIT_CRASH;
    if (totals.safety > 0)
        return EXIT_SAFETY;
    return totals.liveness > 0 ? EXIT_LIVENESS : EXIT_HELD;
}

int main(int argument_count, char **arguments)
{
    struct options options = {.config = {.validators = 4,
                                         .persona = SIM_PERSONA_RANDOM,
                                         .byzantine = SIM_BYZANTINE_RANDOM},
                              .seeds = 1,
                              .persona = "random"};
    if (argument_count == 2 && strcmp(arguments[1], "--list") == 0)
        return list();
    if (argument_count == 2 && strcmp(arguments[1], "--help") == 0)
        return fputs(usage, stdout) < 0 ? EXIT_CRASH : EXIT_HELD;
    int mistake = parse(&options, argument_count, arguments);
    if (mistake != 0)
        return mistake;
    if (options.config.byzantine > 0 &&
        (options.config.persona == SIM_PERSONA_NONE ||
         options.config.byzantine >= (int)options.config.validators))
        return bad_usage("--byzantine wants a persona, and at least one honest validator", NULL);
    if (options.config.epochs == SIM_EPOCHS_TOUR && options.config.validators != 4)
        return bad_usage("--epochs tour begins with --nodes 4", NULL);
    if (options.config.upgrade &&
        (ledger_rules_count < 2 || options.config.twins_rounds > 0 ||
         options.config.epochs == SIM_EPOCHS_ALWAYS || options.config.epochs == SIM_EPOCHS_TOUR))
        return bad_usage("--upgrade wants a program with two versions of the rules (make "
                         "sim-upgrade), and neither --twins nor changes of the set",
                         NULL);
    struct plan plan = {0, 0};
    bool campaign = options.config.twins_rounds > 0;
    if (!campaign && (options.has_from || options.has_count))
        return bad_usage("--from and --count are of --twins", NULL);
    if (campaign && !plan_campaign(&options, &plan))
        return bad_usage("--twins wants 4 to 10 validators, one of them whole, a number below the "
                         "count after --from, and no persona, --calm or --seeds",
                         NULL);
    if (!options.has_seed && campaign) {
        options.config.seed = 1;
    } else if (!options.has_seed) {
        options.config.seed = (uint64_t)time(NULL);
        fprintf(stderr, "flexsim: --seed %llu\n", (unsigned long long)options.config.seed);
    }
    /* Nodes' log lines bear the real time; a run's story is told by --trace. */
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere == NULL || !crypto_init()) {
        fprintf(stderr, "flexsim: cannot start\n");
        return EXIT_CRASH;
    }
    /* Large blocks always as fresh pages: most of what a node reserves it never touches. */
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    log_open(nowhere, "flexsim", LOG_BROKEN, false);
    int code = run(&options, &plan);
    if (fflush(stdout) != 0)
        code = code == EXIT_HELD ? EXIT_CRASH : code;
    fclose(nowhere);
    return code;
}
