/* Meter mode: a meter operator's quarter hours (tools/bench/bench.h; docs/performance.md, "Meters on the
 * ledger").
 *
 * What runs is flexmeterd's own code in this process (ingest, commit, post, disclose) against the cluster's
 * validators: readings in a CSV file, each signed by its meter, become sealed readings, batches, signed
 * transactions, and records that are proven against the genesis; of a sample, single readings are disclosed
 * with their paths and looked up on the ledger, as a wallet does it.
 *
 * Invariants:
 *  1. All CPU time of both sides counts, but for making and signing the files: meters do that.
 *  2. A fingerprint counts once the archive holds it as proven.
 *  3. The share of the machine is that of a quarter hour: work, and what idle validators use in 15 minutes.
 *
 * Deliberately absent: flexmeterd's HTTP side, and registering all meters on the ledger within what is
 * measured: a device is registered once in its life. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "tools/bench/bench.h"
#include "tools/copy_verify.h"
#include "tools/meterd/commit.h"
#include "tools/meterd/disclose.h"
#include "tools/meterd/ingest.h"
#include "tools/meterd/post.h"
#include "tools/meterd/registry.h"
#include "tools/session.h"
#include "tools/wallet.h"

enum {
    THREADS_MAX = 16,
    REGISTER_TOGETHER = 50000, /* devices in one transaction of the archive */
    IDLE_SECONDS = 5,
    LATENCIES_MAX = 65536,
    NET_SPREAD_WH = 3000,
    NET_LEAST_WH = -600
};

struct operation {
    struct bench_world *world;
    struct bench_meter *out;
    char home[FILES_PATH_SIZE];
    char file[FILES_PATH_SIZE];
    struct cli cli; /* the meter operator's */
    FILE *silence;
    struct meter_archive archive;
    struct poster poster;
    uint32_t threads;
    struct secret_key *secrets; /* of the meters, by number */
    struct public_key *keys;
    struct timestamp first; /* the first quarter hour */
};

/* From the signed bytes to the proven receipt, one after the other: post_all sends one at a time. */
static struct {
    uint64_t kept_ns;
    uint32_t count;
    uint64_t spans_ns[LATENCIES_MAX];
} latencies;

static void on_posting(const char *where)
{
    if (strcmp(where, "kept") == 0) {
        latencies.kept_ns = bench_now_ns();
    } else if (strcmp(where, "sent") == 0 && latencies.count < LATENCIES_MAX) {
        latencies.spans_ns[latencies.count++] = bench_now_ns() - latencies.kept_ns;
    }
}

static double own_cpu_s(void)
{
    struct timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    return (double)own.tv_sec + (double)own.tv_nsec * 1e-9;
}

static struct name device_name(uint32_t meter)
{
    struct name name = {{0}};
    char text[NAME_SIZE + 1];
    snprintf(text, sizeof text, "meter-%07u", meter);
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

/* Spread over the meters' numbers by a multiplication, so that runs repeat. */
static int64_t net_wh(uint32_t meter, uint32_t quarter)
{
    const uint64_t mixed = ((uint64_t)meter << 8 | quarter) * 0x9E3779B97F4A7C15U;
    return (int64_t)(mixed >> 40) % NET_SPREAD_WH + NET_LEAST_WH;
}

static int failed(const struct operation *operation, const char *problem)
{
    return cli_fail(operation->world->cli, CLI_REFUSED, "meters", "%s", problem);
}

/* --- all meters, on several threads --------------------------------------------------------------- */

struct slice {
    struct operation *operation;
    void (*work)(const struct slice *slice, uint32_t meter);
    struct meter_reading *readings; /* of all meters, or NULL */
    uint32_t quarter;
    uint32_t from;
    uint32_t until;
};

static void *run_slice(void *context)
{
    const struct slice *slice = context;
    for (uint32_t meter = slice->from; meter < slice->until; meter++)
        slice->work(slice, meter);
    return NULL;
}

static void for_all_meters(const struct slice *plan)
{
    const uint64_t meters = plan->operation->world->options->meters;
    const uint32_t count = plan->operation->threads;
    pthread_t threads[THREADS_MAX];
    struct slice slices[THREADS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        slices[i] = *plan;
        slices[i].from = (uint32_t)(meters * i / count);
        slices[i].until = (uint32_t)(meters * (i + 1) / count);
        MUST(pthread_create(&threads[i], NULL, run_slice, &slices[i]) == 0);
    }
    for (uint32_t i = 0; i < count; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
}

static void make_key(const struct slice *slice, uint32_t meter)
{
    struct operation *operation = slice->operation;
    const struct name name = device_name(meter);
    struct hash hash;
    hash_bytes(&hash, HASH_DOMAIN_SCHEDULE, name.text, NAME_SIZE);
    memcpy(operation->secrets[meter].bytes, hash.bytes, SECRET_KEY_SIZE);
    MUST(schnorr_public_key(&operation->keys[meter], &operation->secrets[meter]));
}

static struct timestamp quarter_start(const struct operation *operation, uint32_t quarter)
{
    return timestamp_of(timestamp_ms(operation->first) + (int64_t)quarter * BENCH_QUARTER_MS);
}

static void make_reading(const struct slice *slice, uint32_t meter)
{
    struct meter_reading *reading = &slice->readings[meter];
    struct hash message;
    *reading =
        (struct meter_reading){.device = device_name(meter),
                               .meter = METER_CERTIFIED,
                               .interval_start = quarter_start(slice->operation, slice->quarter),
                               .interval = duration_of(BENCH_QUARTER_MS),
                               .net = energy_of(net_wh(meter, slice->quarter))};
    meter_reading_message(&message, reading);
    MUST(schnorr_sign(&reading->signature, &slice->operation->secrets[meter], &message));
}

/* What a head-end would hand over: one quarter hour of all meters. */
static int write_file(struct operation *operation, uint32_t quarter)
{
    const uint32_t meters = operation->world->options->meters;
    struct meter_reading *readings = calloc(meters, sizeof *readings);
    FILE *file = readings != NULL ? fopen(operation->file, "we") : NULL;
    if (file == NULL) {
        free(readings);
        return failed(operation, "no memory or no place for the readings' file");
    }
    for_all_meters(&(struct slice){
        .operation = operation, .work = make_reading, .readings = readings, .quarter = quarter});
    fputs("device,meter,start,net_wh,signature\n", file);
    for (uint32_t i = 0; i < meters; i++) {
        char name[NAME_SIZE + 1];
        char hex[2 * SIGNATURE_SIZE + 1];
        hex_encode(hex, readings[i].signature.bytes, SIGNATURE_SIZE);
        fprintf(file, "%s,%s,%" PRId64 ",%" PRId64 ",%s\n", name_to_text(name, &readings[i].device),
                meter_kind_names[METER_CERTIFIED], timestamp_ms(readings[i].interval_start),
                energy_wh(readings[i].net), hex);
    }
    free(readings);
    return fclose(file) == 0 ? CLI_DONE : failed(operation, "the readings' file is not written");
}

/* --- beginning ------------------------------------------------------------------------------------- */

static int open_archive(struct operation *operation)
{
    char problem[ARCHIVE_PROBLEM_SIZE] = "no wallet";
    const struct meter_settings settings = {.interval = duration_of(BENCH_QUARTER_MS),
                                            .group_size = ARCHIVE_GROUP_SIZE_DEFAULT,
                                            .zone = ZONE_UTC,
                                            .register_modulus = energy_of(0),
                                            .grace = duration_of(0)};
    struct meter_settings made = settings;
    char path[FILES_PATH_SIZE + 16];
    MUST(name_from_text(&made.meter_operator, "meters", 6) && name_from_text(&made.prefix, "w", 1));
    snprintf(path, sizeof path, "%s/key.json", operation->home);
    if (wallet_open(&operation->poster.secret, &operation->poster.key, path, NULL) != WALLET_OK ||
        !archive_open(&operation->archive, operation->home, &made, problem))
        return failed(operation, problem);
    operation->poster.cli = &operation->cli;
    operation->poster.archive = &operation->archive;
    operation->poster.crash_point = on_posting;
    return CLI_DONE;
}

/* The operator's registry, as a node's list would fill it (tools/meterd/registry.h). */
static int fill_registry(struct operation *operation)
{
    const uint32_t meters = operation->world->options->meters;
    const struct timestamp now = timestamp_of(devnet_real_ms());
    struct registry_report report = {0};
    char problem[ARCHIVE_PROBLEM_SIZE];
    for (uint32_t at = 0; at < meters; at += REGISTER_TOGETHER) {
        struct meter_txn *txn = meter_txn_begin(operation->archive.db, true);
        if (txn == NULL)
            return failed(operation, "the archive takes no transaction");
        for (uint32_t i = at; i < meters && i < at + REGISTER_TOGETHER; i++) {
            const struct name name = device_name(i);
            struct device_record record;
            memset(&record, 0, sizeof record);
            record.owner = operation->world->wallets[1].id;
            record.connection = power_of(11000);
            record.meter_key = operation->keys[i];
            registry_take(txn, &name, &record, false, now, &report);
        }
        if (!meter_txn_commit(txn, problem))
            return failed(operation, problem);
    }
    return CLI_DONE;
}

static int begin(struct operation *operation, struct bench_world *world, struct bench_meter *out)
{
    static char node[DEVNET_ADDRESS_SIZE];
    const struct bench_options *options = world->options;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t now = devnet_real_ms();
    operation->world = world;
    operation->out = out;
    operation->threads = cores < THREADS_MAX ? (uint32_t)cores : THREADS_MAX;
    operation->first =
        timestamp_of((now / BENCH_QUARTER_MS - (int64_t)options->quarters) * BENCH_QUARTER_MS);
    snprintf(operation->home, sizeof operation->home, "%s/wallets/meters", world->devnet.directory);
    snprintf(operation->file, sizeof operation->file, "%s/readings.csv", world->devnet.directory);
    operation->secrets = calloc(options->meters, sizeof *operation->secrets);
    operation->keys = calloc(options->meters, sizeof *operation->keys);
    operation->silence = fopen("/dev/null", "we");
    if (operation->secrets == NULL || operation->keys == NULL || operation->silence == NULL)
        return failed(operation, "out of memory");
    cli_init(&operation->cli, operation->silence, stderr);
    devnet_node_api(node, &world->devnet.nodes[0]);
    operation->cli.node = node;
    operation->cli.home = operation->home;
    operation->cli.result = world->cli->result;
    for_all_meters(&(struct slice){.operation = operation, .work = make_key});
    int status = bench_world_devices(world, options->devices, device_name, operation->keys);
    if (status == CLI_DONE)
        status = open_archive(operation);
    return status == CLI_DONE ? fill_registry(operation) : status;
}

/* What the validators use while nothing happens. */
static void measure_idle(struct operation *operation)
{
    const struct timespec pause = {.tv_sec = IDLE_SECONDS};
    const double before = bench_sample_validators_s(operation->world);
    (void)nanosleep(&pause, NULL);
    operation->out->idle_share =
        (bench_sample_validators_s(operation->world) - before) / IDLE_SECONDS;
}

static void end(struct operation *operation)
{
    if (operation->archive.db != NULL)
        archive_close(&operation->archive);
    if (operation->silence != NULL)
        fclose(operation->silence);
    secret_key_wipe(&operation->poster.secret);
    free(operation->secrets);
    free(operation->keys);
}

/* --- a quarter hour -------------------------------------------------------------------------------- */

static int ingest(struct operation *operation)
{
    static struct ingest_report report;
    char problem[ARCHIVE_PROBLEM_SIZE];
    const struct ingest_options options = {.now = timestamp_of(devnet_real_ms()),
                                           .threads = operation->threads};
    memset(&report, 0, sizeof report);
    if (!ingest_file(&operation->archive, &report, operation->file, &options, problem))
        return failed(operation, problem);
    operation->out->readings += report.counts[INGEST_STORED];
    return report.counts[INGEST_STORED] == operation->world->options->meters
               ? CLI_DONE
               : failed(operation, "not every reading was stored");
}

static int fingerprint(struct operation *operation)
{
    struct commit_report report;
    char problem[ARCHIVE_PROBLEM_SIZE];
    return commit_due(&operation->archive, &report, timestamp_of(devnet_real_ms()), true, problem)
               ? CLI_DONE
               : failed(operation, problem);
}

static int post(struct operation *operation)
{
    const uint64_t began = bench_now_ns();
    int status = post_all(&operation->poster);
    operation->out->posting_s += (double)(bench_now_ns() - began) * 1e-9;
    if (status == CLI_DONE && operation->poster.report.refused > 0)
        status = failed(operation, "the ledger refused a fingerprint");
    return status;
}

static void weigh(struct bench_meter *out, const struct disclosed *found)
{
    static uint8_t bytes[8192];
    for (uint32_t i = 0; i < found->count; i++) {
        struct byte_writer writer;
        byte_writer_init(&writer, bytes, sizeof bytes);
        codec_encode(reveal_reading_codec(), &found->readings[i], &writer);
        MUST(!writer.failed);
        out->proof_bytes += writer.size;
    }
    out->proofs += found->count;
}

/* One reading of each of the sample's meters, with its path, as the ledger has it. */
static int prove(struct operation *operation, uint32_t quarter)
{
    const struct bench_options *options = operation->world->options;
    const struct timestamp start = quarter_start(operation, quarter);
    const struct timestamp until = quarter_start(operation, quarter + 1);
    struct disclosed found = {.readings = calloc(DISCLOSE_READINGS_MAX, sizeof *found.readings)};
    struct session session;
    if (found.readings == NULL)
        return failed(operation, "out of memory");
    int status = session_open(&session, &operation->cli);
    if (status == CLI_DONE)
        status = session_trust(&session);
    const struct copy_ledger ledger = copy_ledger_of_session(&session);
    for (uint32_t i = 0; i < options->samples && status == CLI_DONE; i++) {
        const uint32_t meter = (uint32_t)((uint64_t)i * options->devices / options->samples);
        const struct disclosure wanted = {
            .device = device_name(meter), .from = start, .until = until};
        struct copy_verdict verdict;
        char problem[ARCHIVE_PROBLEM_SIZE];
        if (!disclose_readings(&operation->archive, &found, &wanted, problem)) {
            status = failed(operation, problem);
            break;
        }
        status = copy_verify_revealed(&verdict, &ledger, found.readings, found.count);
        if (status == CLI_DONE &&
            (verdict.code != NULL || found.count != 1 ||
             energy_wh(found.readings[0].reading.net) != net_wh(meter, quarter)))
            status = failed(operation, verdict.code != NULL ? verdict.reason
                                                            : "not the reading that was sent");
        if (status == CLI_DONE)
            weigh(operation->out, &found);
    }
    session_close(&session);
    free(found.readings);
    return status;
}

static int play_quarter(struct operation *operation, uint32_t quarter)
{
    struct bench_meter *out = operation->out;
    int64_t anon = 0;
    int64_t mapped = 0;
    int status = write_file(operation, quarter);
    const uint64_t began = bench_now_ns();
    const double validators = bench_sample_validators_s(operation->world);
    double cpu[5] = {own_cpu_s()};
    if (status == CLI_DONE)
        status = ingest(operation);
    cpu[1] = own_cpu_s();
    if (status == CLI_DONE)
        status = fingerprint(operation);
    cpu[2] = own_cpu_s();
    if (status == CLI_DONE)
        status = post(operation);
    cpu[3] = own_cpu_s();
    if (status == CLI_DONE)
        status = prove(operation, quarter);
    cpu[4] = own_cpu_s();
    out->ingest_s += cpu[1] - cpu[0];
    out->fingerprint_s += cpu[2] - cpu[1];
    out->post_s += cpu[3] - cpu[2];
    out->prove_s += cpu[4] - cpu[3];
    out->validators_s += bench_sample_validators_s(operation->world) - validators;
    const double seconds = (double)(bench_now_ns() - began) * 1e-9;
    out->quarter_s = seconds > out->quarter_s ? seconds : out->quarter_s;
    bench_sample_memory(operation->world, &anon, &mapped);
    out->anon_kb_max = anon > out->anon_kb_max ? anon : out->anon_kb_max;
    out->mapped_kb_max = mapped > out->mapped_kb_max ? mapped : out->mapped_kb_max;
    return status;
}

/* --- the whole ------------------------------------------------------------------------------------- */

static int compare_u64(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void conclude(const struct operation *operation)
{
    struct bench_meter *out = operation->out;
    const uint32_t count = latencies.count;
    const double quarter_s = BENCH_QUARTER_MS / 1000.0;
    const double work =
        out->ingest_s + out->fingerprint_s + out->post_s + out->prove_s + out->validators_s;
    const double cores = (double)sysconf(_SC_NPROCESSORS_ONLN);
    qsort(latencies.spans_ns, count, sizeof latencies.spans_ns[0], compare_u64);
    out->p50_ms = count > 0 ? (double)latencies.spans_ns[count / 2] * 1e-6 : 0;
    out->p99_ms = count > 0 ? (double)latencies.spans_ns[count - 1 - count / 100] * 1e-6 : 0;
    out->fingerprints = operation->poster.report.final;
    out->transactions = operation->poster.report.transactions;
    out->transaction_bytes = operation->poster.report.bytes;
    out->share =
        (work / (operation->world->options->quarters * quarter_s) + out->idle_share) / cores;
}

int bench_meter_run(struct bench_world *world, struct bench_meter *out)
{
    static struct operation operation;
    memset(&operation, 0, sizeof operation);
    memset(out, 0, sizeof *out);
    latencies.count = 0;
    fprintf(stderr, "flexbench: %u meters, %u of them on the ledger\n", world->options->meters,
            world->options->devices);
    int status = begin(&operation, world, out);
    if (status == CLI_DONE) {
        measure_idle(&operation);
        const int64_t disk = bench_sample_disk(world);
        for (uint32_t i = 0; i < world->options->quarters && status == CLI_DONE; i++) {
            fprintf(stderr, "flexbench: quarter hour %u of %u\n", i + 1, world->options->quarters);
            status = play_quarter(&operation, i);
        }
        out->disk_bytes = bench_sample_disk(world) - disk;
        conclude(&operation);
    }
    end(&operation);
    return status;
}
