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
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/bench/bench.h"
#include "tools/client.h"
#include "verify/proof.h"

enum {
    VERIFIED = 10000,
    SAMPLE = 20,
    BEHIND_TRIES = 100,
    PROOF_ROOM = 1024 * 1024,
    RATE_GUESS = 20000,
    OPEN_DIRECTORIES = 8
};

/* Of a million meters; docs/performance.md, "Meters on the ledger". */
static const double SHARE_MOST = 0.1;

const char *const bench_mode_names[BENCH_MODE_COUNT] = {"single", "batch", "meter"};

static const char usage[] =
    "usage: flexbench [--validators 4] [--seconds 20] [--mode single|batch|meter] [--rate R]\n"
    "                 [--accounts 100000] [--orders 10000] [--wallets 1000] [--meters 1000000]\n"
    "                 [--devices 1000] [--quarters 1] [--samples 100] [--series FILE]\n"
    "                 [--keep DIR] [--json]\n"
    "\n"
    "Starts that many flexd processes on loopback with their default durability, fills their "
    "state,\n"
    "and posts signed transactions for that many seconds: R a second, or as many as go in. Each\n"
    "counts once its receipt is proven against the genesis. batch: 100 orders in one transaction.\n"
    "meter: a meter operator with --meters meters, --devices of them on the ledger, plays "
    "--quarters\n"
    "quarter hours: every reading is verified and fingerprinted, and of each quarter hour "
    "--samples\n"
    "readings are proven; the share of the machine is that of 15 minutes.\n"
    "--series writes rate, latency, memory and disk every five seconds as CSV.\n"
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
    {"--meters", offsetof(struct bench_options, meters), 1, BENCH_METERS_MAX},
    {"--devices", offsetof(struct bench_options, devices), 1, BENCH_METERS_MAX},
    {"--quarters", offsetof(struct bench_options, quarters), 1, BENCH_QUARTERS_MAX},
    {"--samples", offsetof(struct bench_options, samples), 1, 100000},
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
        else if (strcmp(arguments[i], "--series") == 0)
            options->series = value;
        else if (!parse_setting(options, arguments[i], value, &good))
            return bad_usage("unknown option", arguments[i]);
        if (i + 1 == count || !good)
            return bad_usage(arguments[i], i + 1 == count ? "a value is missing" : value);
        i++;
    }
    if (options->wallets > options->accounts || options->wallets % 2 != 0)
        return bad_usage("--wallets", "an even number, at most that of --accounts");
    if (options->devices > options->meters)
        return bad_usage("--devices", "more than --meters");
    return CLI_DONE;
}

/* --- a load ------------------------------------------------------------------------------------- */

/* That node may be some blocks behind the one whose blocks were watched. */
static int get_proof(struct bench_http *http, const char *path)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    int status = bench_http_get(http, path);
    for (int i = 0; i < BEHIND_TRIES && (status == 404 || status == 503); i++) {
        (void)nanosleep(&pause, NULL);
        status = bench_http_get(http, path);
    }
    return status;
}

/* Proof files of some of the transactions, as a wallet asks for them. */
static int check_proofs(struct bench_world *world, const struct bench_list *list,
                        struct bench_figures *out)
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
        const int answered = get_proof(&http, path);
        if (answered != 200)
            snprintf(problem, sizeof problem, "HTTP %d", answered);
        bool good = answered == 200 &&
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

/* --- the whole ---------------------------------------------------------------------------------- */

/* What one validator spends on the whole load, and for each transaction. */
static void fill_costs(struct bench_figures *out, const struct bench_options *options,
                       const struct bench_sample *before, const struct bench_sample *after,
                       const struct bench_run *run)
{
    const double seconds = bench_sample_seconds(before, after);
    const double flexbench =
        bench_stage_s(&after->threads, "flexbench") - bench_stage_s(&before->threads, "flexbench");
    const double each =
        (after->processes_s - before->processes_s - flexbench) / options->validators;
    out->validator_cpu = each / seconds;
    if (run->final_ok > 0) {
        out->validator_us = each * 1e6 / run->final_ok;
        out->sent_per_transaction =
            (after->sent_bytes - before->sent_bytes) / options->validators / run->final_ok;
    }
}

static int measure(struct bench_world *world, struct bench_list *list)
{
    const struct bench_options *options = world->options;
    struct bench_figures figures = {0};
    struct bench_sample before;
    struct bench_sample after;
    struct bench_run run;
    figures.verify_us = bench_verify_us(list, VERIFIED);
    bench_sample_take(world, &before);
    const int64_t disk = bench_sample_disk(world);
    fprintf(stderr, "flexbench: %u s of load\n", options->seconds);
    int status = bench_run(world, list, options->seconds, options->rate, &run);
    bench_sample_take(world, &after);
    if (status != CLI_DONE)
        return status;
    if (run.refused > 0)
        fprintf(stderr, "flexbench: the first refusal: %s\n", run.refusal);
    if (run.final_ok > 0)
        figures.bytes_per_transaction = (double)(bench_sample_disk(world) - disk) / run.final_ok;
    fill_costs(&figures, options, &before, &after, &run);
    if (!bench_report_rates(&figures, list, &run))
        return cli_fail(world->cli, CLI_USAGE, "out_of_memory", "out of memory");
    status = check_proofs(world, list, &figures);
    if (status != CLI_DONE)
        return status;
    bench_report_stages(stderr, &before, &after);
    bench_report_load(options, &figures, &run);
    return run.unfinished == 0 && run.final_ok > 0 ? CLI_DONE : CLI_REFUSED;
}

static int run_load(struct bench_world *world)
{
    const struct bench_options *options = world->options;
    struct bench_list list = {0};
    uint64_t rate = options->rate != 0 ? options->rate : RATE_GUESS;
    if (options->mode == BENCH_BATCH && options->rate == 0)
        rate /= 10;
    uint64_t count = rate * options->seconds;
    count = count < BENCH_TRANSACTIONS_MAX ? count : BENCH_TRANSACTIONS_MAX;
    fprintf(stderr, "flexbench: signing %llu transactions\n", (unsigned long long)count);
    int status = bench_world_sign(world, &list, (uint32_t)count);
    if (status == CLI_DONE)
        status = measure(world, &list);
    bench_list_close(&list);
    return status;
}

/* A million meters are not under a tenth of the machine: measured, but not as it should be. */
static int run_meters(struct bench_world *world)
{
    struct bench_meter meter;
    struct bench_list
        list; /* of which only the signatures are verified, on a machine that is idle */
    struct bench_sample before;
    struct bench_sample after;
    bench_sample_take(world, &before);
    int status = bench_meter_run(world, &meter);
    if (status != CLI_DONE)
        return status;
    bench_sample_take(world, &after);
    bench_report_stages(stderr, &before, &after);
    status = bench_world_sign(world, &list, VERIFIED);
    if (status != CLI_DONE)
        return status;
    bench_report_meter(world->options, &meter, bench_verify_us(&list, VERIFIED));
    bench_list_close(&list);
    return meter.share < SHARE_MOST ? CLI_DONE : CLI_REFUSED;
}

static int run_in(const struct bench_options *options, struct cli *cli, const char *directory)
{
    static struct bench_world world;
    fprintf(stderr, "flexbench: starting %u validators in %s\n", options->validators, directory);
    int status = bench_world_open(&world, options, cli, directory);
    if (status == CLI_DONE) {
        fprintf(stderr, "flexbench: %u accounts and %u orders go in\n", options->accounts,
                options->orders);
        status = bench_world_fill(&world);
    }
    if (status == CLI_DONE)
        status = options->mode == BENCH_METER ? run_meters(&world) : run_load(&world);
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
    struct bench_options options = {.validators = 4,
                                    .seconds = 20,
                                    .accounts = 100000,
                                    .orders = 10000,
                                    .wallets = 1000,
                                    .meters = 1000000,
                                    .devices = 1000,
                                    .quarters = 1,
                                    .samples = 100};
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
