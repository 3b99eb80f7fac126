/* flexbench: what a consortium on this machine carries, with every signature checked and every block
 * synced (docs/performance.md, "Load"; interfaces: flexbench).
 *
 * Exit codes: 0 measured; 1 the ledger refused or lost something, or a proof did not verify; 2 usage;
 * 3 no node answered. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/bench/bench.h"
#include "tools/client.h"
#include "verify/proof.h"

enum {
    VERIFIED = 10000,
    SAMPLE = 20,
    PROOF_ROOM = 1024 * 1024,
    RATE_GUESS = 20000,
    OPEN_DIRECTORIES = 8
};

const char *const bench_mode_names[BENCH_MODE_COUNT] = {"single", "batch"};

static const char usage[] =
    "usage: flexbench [--validators 4] [--seconds 20] [--mode single|batch] [--rate R]\n"
    "                 [--accounts 100000] [--orders 10000] [--wallets 1000] [--keep DIR] [--json]\n"
    "\n"
    "Starts that many flexd processes on loopback with their default durability, fills their "
    "state,\n"
    "and posts signed transactions for that many seconds: R a second, or as many as go in. Each\n"
    "counts once its receipt is proven against the genesis. batch: 100 orders in one transaction.\n"
    "--keep leaves the cluster's files in DIR. The whole takes some two minutes more than the "
    "load.\n";

static int bad_usage(const char *what, const char *value)
{
    fprintf(stderr, "flexbench: %s: %s\n%s", what, value, usage);
    return CLI_USAGE;
}

struct setting {
    const char *option;
    size_t offset;
    uint32_t least;
    uint32_t most;
};

static const struct setting settings[] = {
    {"--validators", offsetof(struct bench_options, validators), LIMIT_VALIDATORS_MIN,
     LIMIT_VALIDATORS},
    {"--seconds", offsetof(struct bench_options, seconds), 1, BENCH_SECONDS_MAX},
    {"--rate", offsetof(struct bench_options, rate), 1, 1000000},
    {"--accounts", offsetof(struct bench_options, accounts), 2, 10000000},
    {"--orders", offsetof(struct bench_options, orders), 0, 1000000},
    {"--wallets", offsetof(struct bench_options, wallets), 2, BENCH_WALLETS_MAX},
};

static bool parse_setting(struct bench_options *options, const char *option, const char *value,
                          bool *good)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        uint64_t number = 0;
        if (strcmp(option, settings[i].option) != 0)
            continue;
        *good = uint64_from_text(&number, value) && number >= settings[i].least &&
                number <= settings[i].most;
        const uint32_t fits = (uint32_t)number;
        memcpy((uint8_t *)options + settings[i].offset, &fits, sizeof fits);
        return true;
    }
    return false;
}

static bool parse_mode(struct bench_options *options, const char *value)
{
    for (int i = 0; i < BENCH_MODE_COUNT; i++) {
        if (strcmp(value, bench_mode_names[i]) == 0) {
            options->mode = (enum bench_mode)i;
            return true;
        }
    }
    return false;
}

static int parse(struct bench_options *options, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        bool good = true;
        if (strcmp(arguments[i], "--json") == 0) {
            options->json = true;
            continue;
        }
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--mode") == 0)
            good = parse_mode(options, value);
        else if (strcmp(arguments[i], "--keep") == 0)
            options->keep = value;
        else if (!parse_setting(options, arguments[i], value, &good))
            return bad_usage("unknown option", arguments[i]);
        if (i + 1 == count || !good)
            return bad_usage(arguments[i], i + 1 == count ? "a value is missing" : value);
        i++;
    }
    if (options->wallets > options->accounts || options->wallets % 2 != 0)
        return bad_usage("--wallets", "an even number, at most that of --accounts");
    return CLI_DONE;
}

/* --- figures ------------------------------------------------------------------------------------ */

struct figures {
    double verify_us;
    double transactions_s;
    double actions_s;
    double bound_s;
    double p50_ms;
    double p99_ms;
    double bytes_per_transaction;
    uint32_t proofs;
};

static int compare_u64(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static bool counts(const struct bench_transaction *item, const struct bench_run *run)
{
    return item->final_ns != 0 && item->status == CONTRACT_OK &&
           item->final_ns >= run->count_from_ns && item->final_ns < run->count_until_ns;
}

static bool fill_rates(struct figures *out, const struct bench_list *list,
                       const struct bench_run *run)
{
    const double seconds = (double)(run->count_until_ns - run->count_from_ns) * 1e-9;
    uint64_t *times = calloc(list->count + 1, sizeof times[0]);
    uint32_t found = 0;
    uint64_t actions = 0;
    if (times == NULL)
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct bench_transaction *item = &list->items[i];
        if (!counts(item, run))
            continue;
        times[found++] = item->final_ns - item->posted_ns;
        actions += item->actions;
    }
    qsort(times, found, sizeof times[0], compare_u64);
    out->transactions_s = found / seconds;
    out->actions_s = (double)actions / seconds;
    out->p50_ms = found > 0 ? (double)times[found / 2] * 1e-6 : 0;
    out->p99_ms = found > 0 ? (double)times[found - 1 - found / 100] * 1e-6 : 0;
    free(times);
    return true;
}

/* Proof files of some of the transactions, as a wallet asks for them. */
static int check_proofs(struct bench_world *world, const struct bench_list *list,
                        struct figures *out)
{
    struct bench_http http;
    int status = CLI_DONE;
    if (!bench_http_open(&http, world->devnet.nodes[1].api_port, PROOF_ROOM, true))
        return cli_fail(world->cli, CLI_NO_NODE, "no_node", "a validator takes no connections");
    for (uint32_t i = 0; i < SAMPLE && status == CLI_DONE; i++) {
        const struct bench_transaction *item = &list->items[(uint64_t)i * list->count / SAMPLE];
        char hex[2 * HASH_SIZE + 1];
        char path[128];
        char problem[PROOF_PROBLEM_SIZE] = "no answer";
        struct proof proof;
        if (item->final_ns == 0)
            continue;
        hex_encode(hex, item->id.bytes, HASH_SIZE);
        snprintf(path, sizeof path, "/v1/proofs/transaction/%s", hex);
        bool good = bench_http_get(&http, path) == 200 &&
                    proof_verify(&proof, &world->trust, (const char *)http.bytes + http.body,
                                 http.length, problem);
        if (!good) {
            status = cli_fail(world->cli, CLI_REFUSED, "unproven", "%s: %s", hex, problem);
            break;
        }
        if (!hash_equal(&proof.transaction, &item->id) || proof.receipt.status != item->status)
            status = cli_fail(world->cli, CLI_REFUSED, "unproven", "%s: another receipt", hex);
        proof_release(&proof);
        out->proofs++;
    }
    bench_http_close(&http);
    return status;
}

/* --- report ------------------------------------------------------------------------------------- */

static void add_fixed(struct cJSON *object, const char *key, double value, int digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    cJSON_AddRawToObject(object, key, text);
}

static void print_json(const struct bench_options *options, const struct figures *figures,
                       const struct bench_run *run, long cores)
{
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "mode", bench_mode_names[options->mode]);
    json_add_u32(object, "validators", options->validators);
    json_add_u32(object, "cores", (uint32_t)cores);
    add_fixed(object, "tx_per_s", figures->transactions_s, 1);
    add_fixed(object, "actions_per_s", figures->actions_s, 1);
    struct cJSON *latency = cJSON_AddObjectToObject(object, "latency_ms");
    add_fixed(latency, "p50", figures->p50_ms, 2);
    add_fixed(latency, "p99", figures->p99_ms, 2);
    add_fixed(object, "verify_us", figures->verify_us, 2);
    add_fixed(object, "signature_bound_tx_per_s", figures->bound_s, 1);
    add_fixed(object, "ratio", figures->transactions_s / figures->bound_s, 4);
    add_fixed(object, "anon_mb_max", (double)run->anon_kb_max / 1024, 1);
    add_fixed(object, "mapped_mb_max", (double)run->mapped_kb_max / 1024, 1);
    add_fixed(object, "ledger_bytes_per_tx", figures->bytes_per_transaction, 1);
    json_add_u32(object, "ok", run->final_ok);
    json_add_u32(object, "failed", run->final_failed);
    json_add_u32(object, "refused", run->refused);
    json_add_u32(object, "unfinished", run->unfinished);
    json_add_u32(object, "proofs_checked", figures->proofs);
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void print_text(const struct bench_options *options, const struct figures *figures,
                       const struct bench_run *run, long cores)
{
    printf("%s, %u validators, %ld processors\n", bench_mode_names[options->mode],
           options->validators, cores);
    printf("  transactions a second   %10.0f\n", figures->transactions_s);
    printf("  actions a second        %10.0f\n", figures->actions_s);
    printf("  latency p50, p99        %10.1f %.1f ms\n", figures->p50_ms, figures->p99_ms);
    printf("  one signature           %10.1f us -> bound %.0f a second, ratio %.3f\n",
           figures->verify_us, figures->bound_s, figures->transactions_s / figures->bound_s);
    printf("  memory of a validator   %10.1f MB anonymous, %.1f MB mapped\n",
           (double)run->anon_kb_max / 1024, (double)run->mapped_kb_max / 1024);
    printf("  disk                    %10.0f bytes a transaction\n",
           figures->bytes_per_transaction);
    printf("  carried out %u, failed %u, refused %u, unfinished %u; %u proofs checked\n",
           run->final_ok, run->final_failed, run->refused, run->unfinished, figures->proofs);
}

/* CPU time under load, by thread name, as shares of one processor. */
static void print_stages(FILE *out, const struct bench_stages *before,
                         const struct bench_stages *after, double seconds)
{
    fprintf(out, "CPU by thread, all validators together, in percent of one processor:\n");
    for (uint32_t i = 0; i < after->count; i++) {
        double spent = after->stages[i].seconds;
        for (uint32_t j = 0; j < before->count; j++)
            if (strcmp(before->stages[j].name, after->stages[i].name) == 0)
                spent -= before->stages[j].seconds;
        fprintf(out, "  %-16s %6.1f\n", after->stages[i].name, 100 * spent / seconds);
    }
}

/* --- the whole ---------------------------------------------------------------------------------- */

static int measure(struct bench_world *world, struct bench_list *list)
{
    const struct bench_options *options = world->options;
    struct figures figures = {0};
    struct bench_stages before;
    struct bench_stages after;
    struct bench_run run;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    figures.verify_us = bench_verify_us(list, VERIFIED);
    figures.bound_s = (double)cores * 1e6 / (options->validators * figures.verify_us);
    bench_sample_stages(world, &before);
    const int64_t disk = bench_sample_disk(world);
    fprintf(stderr, "flexbench: %u s of load\n", options->seconds);
    int status = bench_run(world, list, options->seconds, options->rate, &run);
    bench_sample_stages(world, &after);
    if (status != CLI_DONE)
        return status;
    if (run.refused > 0)
        fprintf(stderr, "flexbench: the first refusal: %s\n", run.refusal);
    if (run.final_ok > 0)
        figures.bytes_per_transaction = (double)(bench_sample_disk(world) - disk) / run.final_ok;
    if (!fill_rates(&figures, list, &run))
        return cli_fail(world->cli, CLI_USAGE, "out_of_memory", "out of memory");
    status = check_proofs(world, list, &figures);
    if (status != CLI_DONE)
        return status;
    print_stages(stderr, &before, &after, (double)(run.until_ns - run.from_ns) * 1e-9);
    if (options->json)
        print_json(options, &figures, &run, cores);
    else
        print_text(options, &figures, &run, cores);
    return run.unfinished == 0 && run.final_ok > 0 ? CLI_DONE : CLI_REFUSED;
}

static int run_in(const struct bench_options *options, struct cli *cli, const char *directory)
{
    static struct bench_world world;
    struct bench_list list = {0};
    fprintf(stderr, "flexbench: starting %u validators in %s\n", options->validators, directory);
    int status = bench_world_open(&world, options, cli, directory);
    if (status == CLI_DONE) {
        fprintf(stderr, "flexbench: %u accounts and %u orders go in\n", options->accounts,
                options->orders);
        status = bench_world_fill(&world);
    }
    if (status == CLI_DONE) {
        uint64_t rate = options->rate != 0 ? options->rate : RATE_GUESS;
        if (options->mode == BENCH_BATCH && options->rate == 0)
            rate /= 10;
        uint64_t count = rate * options->seconds;
        count = count < BENCH_TRANSACTIONS_MAX ? count : BENCH_TRANSACTIONS_MAX;
        fprintf(stderr, "flexbench: signing %llu transactions\n", (unsigned long long)count);
        status = bench_world_sign(&world, &list, (uint32_t)count);
    }
    if (status == CLI_DONE)
        status = measure(&world, &list);
    bench_list_close(&list);
    bench_world_close(&world);
    return status;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

int main(int argument_count, char **arguments)
{
    struct bench_options options = {
        .validators = 4, .seconds = 20, .accounts = 100000, .orders = 10000, .wallets = 1000};
    char made[] = "/tmp/flexbench-XXXXXX";
    static struct cli cli;
    if (argument_count == 2 && strcmp(arguments[1], "--help") == 0)
        return fputs(usage, stdout) < 0 ? CLI_USAGE : CLI_DONE;
    int mistake = parse(&options, argument_count, arguments);
    if (mistake != CLI_DONE)
        return mistake;
    if (!crypto_init())
        return CLI_USAGE;
    cli_init(&cli, stderr, stderr);
    cli.result = cJSON_CreateObject();
    /* The cluster outlives its parent unless somebody stops it. */
    const struct sigaction stop = {.sa_handler = bench_interrupt};
    if (sigaction(SIGINT, &stop, NULL) != 0 || sigaction(SIGTERM, &stop, NULL) != 0)
        return CLI_USAGE;
    const char *directory = options.keep;
    if (directory == NULL)
        directory = mkdtemp(made);
    else if (!files_make_directory(directory))
        directory = NULL;
    if (directory == NULL) {
        fprintf(stderr, "flexbench: no directory: %s\n", strerror(errno));
        return CLI_USAGE;
    }
    int status = run_in(&options, &cli, directory);
    if (options.keep == NULL &&
        nftw(made, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "flexbench: %s is left over: %s\n", made, strerror(errno));
    cJSON_Delete(cli.result);
    return status;
}
