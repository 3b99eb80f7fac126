/* flexsim: runs a whole cluster under faults, seed by seed (docs/simulator.md).
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
#include "tools/sim/guard.h"
#include "tools/sim/sim.h"

enum { EXIT_HELD = 0, EXIT_SAFETY = 1, EXIT_USAGE = 2, EXIT_LIVENESS = 3, EXIT_CRASH = 4 };

struct options {
    struct sim_config config;
    uint64_t seeds;
    bool has_seed;
    bool json;
    const char *persona;
};

struct totals {
    uint64_t seeds, safety, liveness, crash;
    uint64_t events, heights, transactions, crashes, evidence, healed_ms_max;
    uint64_t deals, settled, partial, refunds, cancelled, expired;
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
    "               [--byzantine COUNT] [--mutant NAME] [--ed25519] [--calm] [--trace] [--json] "
    "[--list]\n";

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
    if (strcmp(option, "--mutant") == 0) {
        options->config.mutant = sim_mutant_by_name(value);
        return options->config.mutant != 0;
    }
    *known = false;
    return false;
}

static bool parse_flag(struct options *options, const char *option)
{
    if (strcmp(option, "--json") == 0)
        options->json = true;
    else if (strcmp(option, "--ed25519") == 0)
        options->config.ed25519 = true;
    else if (strcmp(option, "--calm") == 0)
        options->config.calm = true;
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
static void print_reproduction(const struct options *options, uint64_t seed)
{
    char byzantine[32] = "";
    if (options->config.byzantine >= 0)
        (void)snprintf(byzantine, sizeof byzantine, " --byzantine %d", options->config.byzantine);
    fprintf(stderr, "  reproduce: flexsim --seed %llu --nodes %u --persona %s%s%s%s%s%s --trace\n",
            (unsigned long long)seed, options->config.validators, options->persona, byzantine,
            options->config.mutant != 0 ? " --mutant " : "",
            options->config.mutant != 0 ? sim_mutant_name(options->config.mutant) : "",
            options->config.ed25519 ? " --ed25519" : "", options->config.calm ? " --calm" : "");
}

static void count(struct totals *totals, const struct options *options, uint64_t seed,
                  const struct sim_result *result)
{
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
    totals->deals += result->deals;
    totals->settled += result->settled;
    totals->partial += result->partial;
    totals->refunds += result->refunds;
    totals->cancelled += result->cancelled;
    totals->expired += result->expired;
    if (result->healed_ms > totals->healed_ms_max)
        totals->healed_ms_max = result->healed_ms;
    hash_update(&totals->digest, result->digest.bytes, HASH_SIZE);
    if (result->outcome == SIM_HELD)
        return;
    fprintf(stderr, "seed %llu: %s: %s\n", (unsigned long long)seed, names[result->outcome],
            result->failure);
    print_reproduction(options, seed);
    if (totals->first_failure[0] == '\0') {
        totals->first_seed = seed;
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
    printf(",\"deals\":%llu,\"settled\":%llu,\"partial\":%llu,\"refunds\":%llu"
           ",\"cancelled\":%llu,\"expired\":%llu",
           (unsigned long long)totals->deals, (unsigned long long)totals->settled,
           (unsigned long long)totals->partial, (unsigned long long)totals->refunds,
           (unsigned long long)totals->cancelled, (unsigned long long)totals->expired);
    if (totals->first_failure[0] != '\0') {
        printf(",\"first_failure\":{\"seed\":%llu,\"what\":",
               (unsigned long long)totals->first_seed);
        print_string(totals->first_failure);
        printf("}");
    }
    printf(",\"digest\":\"%s\"}\n", digest);
}

static int run(const struct options *options)
{
    static struct totals totals;
    static struct sim_result result;
    struct hash digest;
    char hex[2 * HASH_SIZE + 1];
    hash_begin(&totals.digest, HASH_DOMAIN_LOG_LEAF);
    for (uint64_t i = 0; i < options->seeds; i++) {
        struct sim_config config = options->config;
        config.seed += i;
        sim_run(&config, &result);
        count(&totals, options, config.seed, &result);
        if (config.mutant != 0 && result.outcome != SIM_HELD)
            break;
    }
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
    int mistake = parse(&options, argument_count, arguments);
    if (mistake != 0)
        return mistake;
    if (options.config.byzantine > 0 &&
        (options.config.persona == SIM_PERSONA_NONE ||
         options.config.byzantine >= (int)options.config.validators))
        return bad_usage("--byzantine wants a persona, and at least one honest validator", NULL);
    if (!options.has_seed) {
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
    int code = run(&options);
    if (fflush(stdout) != 0)
        code = code == EXIT_HELD ? EXIT_CRASH : code;
    fclose(nowhere);
    return code;
}
