/* What a day of meters costs a meter operator: readings per second into the archive and into batches, bytes
 * on the chain per reading, the size of proofs, and how long it takes to find one changed digit in a copy
 * of all of it. Each reading is signed by a key of its own meter. Usage: bench_meter [METERS [THREADS]]
 *
 * Exit 1 if a sampled proof does not lead to its fingerprint, the copy is not found whole, the changed
 * digit is not named by its line, or the chain holds a byte per reading or more. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "contracts/transaction.h"
#include "tests/lib/random.h"
#include "tests/lib/tools/meter_world.h"
#include "tools/meterd/post.h"

enum { METERS_DEFAULT = 2000, INTERVALS = 96, SAMPLES = 1000, GROUP = ARCHIVE_GROUP_SIZE_DEFAULT };

struct bench {
    struct meter_world world;
    uint32_t meters;
    uint32_t threads;
    struct secret_key *secrets;
    int64_t start_ms;
    double made, ingested, committed; /* seconds */
    uint64_t batches;
    uint64_t chain_bytes;
};

static double now(void)
{
    struct timespec time;
    MUST(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void device_name(char out[NAME_SIZE], uint32_t meter)
{
    MUST(snprintf(out, NAME_SIZE, "meter-%07u", meter) < NAME_SIZE);
}

static void make_devices(struct bench *bench)
{
    char problem[ARCHIVE_PROBLEM_SIZE], text[NAME_SIZE];
    struct registry_report report = {0};
    bench->secrets = calloc(bench->meters, sizeof *bench->secrets);
    MUST(bench->secrets != NULL);
    struct meter_txn *txn = meter_txn_begin(bench->world.archive.db, true);
    MUST(txn != NULL);
    for (uint32_t i = 0; i < bench->meters; i++) {
        struct device_record record;
        memset(&record, 0, sizeof record);
        device_name(text, i);
        record.owner = world_name("owner");
        record.connection = power_of(11000);
        meter_world_key(&bench->secrets[i], &record.meter_key, text, METER_CERTIFIED);
        const struct name name = world_name(text);
        registry_take(txn, &name, &record, false, bench->world.now, &report);
    }
    MUST(meter_txn_commit(txn, problem));
}

/* Meters that one thread signs for. */
struct slice {
    const struct bench *bench;
    struct meter_reading *readings; /* of all meters */
    uint32_t from, until;
};

static void *sign_slice(void *context)
{
    const struct slice *slice = context;
    for (uint32_t i = slice->from; i < slice->until; i++) {
        struct hash message;
        meter_reading_message(&message, &slice->readings[i]);
        MUST(schnorr_sign(&slice->readings[i].signature, &slice->bench->secrets[i], &message));
    }
    return NULL;
}

static void sign_all(const struct bench *bench, struct meter_reading *readings)
{
    pthread_t threads[INGEST_THREADS_MAX];
    struct slice slices[INGEST_THREADS_MAX];
    for (uint32_t i = 0; i < bench->threads; i++) {
        slices[i] = (struct slice){bench, readings,
                                   (uint32_t)((uint64_t)bench->meters * i / bench->threads),
                                   (uint32_t)((uint64_t)bench->meters * (i + 1) / bench->threads)};
        MUST(pthread_create(&threads[i], NULL, sign_slice, &slices[i]) == 0);
    }
    for (uint32_t i = 0; i < bench->threads; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
    }
}

/* One quarter hour of all meters, in the order in which a head-end would poll them: by meter. */
static void write_interval(struct bench *bench, uint32_t interval)
{
    FILE *out = fopen(bench->world.file, "w");
    struct meter_reading *readings = calloc(bench->meters, sizeof *readings);
    struct test_random random = {interval};
    char text[NAME_SIZE], hex[2 * SIGNATURE_SIZE + 1];
    MUST(out != NULL && readings != NULL);
    for (uint32_t i = 0; i < bench->meters; i++) {
        device_name(text, i);
        readings[i] = (struct meter_reading){
            .device = world_name(text),
            .meter = METER_CERTIFIED,
            .interval_start = timestamp_of(bench->start_ms + (int64_t)interval * 900000),
            .interval = duration_of(900000),
            .net = energy_of((int64_t)test_random_below(&random, 3000) - 600)};
    }
    sign_all(bench, readings);
    meter_world_header(out);
    for (uint32_t i = 0; i < bench->meters; i++) {
        device_name(text, i);
        hex_encode(hex, readings[i].signature.bytes, SIGNATURE_SIZE);
        fprintf(out, "%s,certified,%" PRId64 ",%" PRId64 ",%s\n", text,
                timestamp_ms(readings[i].interval_start), energy_wh(readings[i].net), hex);
    }
    free(readings);
    MUST(fclose(out) == 0);
}

static void ingest_day(struct bench *bench)
{
    const struct ingest_options options = {.now = bench->world.now, .threads = bench->threads};
    for (uint32_t interval = 0; interval < INTERVALS; interval++) {
        static struct ingest_report report;
        char problem[ARCHIVE_PROBLEM_SIZE];
        double began = now();
        write_interval(bench, interval);
        bench->made += now() - began;
        began = now();
        MUST(ingest_file(&bench->world.archive, &report, bench->world.file, &options, problem));
        bench->ingested += now() - began;
        MUST(report.counts[INGEST_STORED] == bench->meters);
        if (interval % 12 == 11) {
            fprintf(stderr, "%u of %u quarter hours\n", interval + 1, INTERVALS);
        }
    }
}

/* The signed transactions, as the service would send them. */
static void weigh_transactions(struct bench *bench)
{
    static struct transaction_draft draft;
    static struct meter_batch actions[POST_BATCHES_PER_TX];
    static uint8_t bytes[LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES];
    struct meter_world *world = &bench->world;
    for (uint32_t first = 0; first < world->fingerprint_count; first += POST_BATCHES_PER_TX) {
        struct byte_writer writer;
        memset(&draft, 0, sizeof draft);
        draft.nonce = first + 1;
        draft.fee_limit = money_of(1);
        for (uint32_t i = first;
             i < world->fingerprint_count && draft.action_count < POST_BATCHES_PER_TX; i++) {
            const struct world_fingerprint *found = &world->fingerprints[i];
            actions[draft.action_count] = (struct meter_batch){.id = found->batch,
                                                               .interval_start = found->start,
                                                               .interval = found->record.interval,
                                                               .count = found->record.count,
                                                               .root = found->record.root,
                                                               .reason = bytes_view_of("", 0)};
            draft.actions[draft.action_count].type = ACTION_METER_BATCH;
            draft.actions[draft.action_count].record = &actions[draft.action_count];
            draft.action_count++;
        }
        byte_writer_init(&writer, bytes, sizeof bytes);
        MUST(transaction_sign(&writer, &draft, &bench->secrets[0]));
        bench->chain_bytes += writer.size;
    }
}

static bool sample_proofs(struct bench *bench)
{
    struct meter_world *world = &bench->world;
    const struct copy_ledger ledger = meter_world_ledger(world);
    struct test_random random = {7};
    struct disclosed found = {.readings = calloc(DISCLOSE_READINGS_MAX, sizeof *found.readings)};
    uint64_t readings = 0, bytes = 0;
    double disclosing = 0, verifying = 0;
    bool ok = true;
    MUST(found.readings != NULL);
    for (uint32_t i = 0; i < SAMPLES / 10 && ok; i++) {
        char problem[ARCHIVE_PROBLEM_SIZE], text[NAME_SIZE];
        static uint8_t encoded[8192];
        struct copy_verdict verdict;
        device_name(text, (uint32_t)test_random_below(&random, bench->meters));
        const struct disclosure wanted = {.device = world_name(text),
                                          .from = timestamp_of(bench->start_ms),
                                          .until = timestamp_of(bench->start_ms + MS_PER_DAY)};
        double began = now();
        MUST(disclose_readings(&world->archive, &found, &wanted, problem));
        disclosing += now() - began;
        began = now();
        MUST(copy_verify_revealed(&verdict, &ledger, found.readings, found.count) == CLI_DONE);
        verifying += now() - began;
        ok = verdict.code == NULL && found.count == INTERVALS;
        readings += found.count;
        for (uint32_t k = 0; k < found.count; k++) {
            struct byte_writer writer;
            byte_writer_init(&writer, encoded, sizeof encoded);
            codec_encode(reveal_reading_codec(), &found.readings[k], &writer);
            MUST(!writer.failed);
            bytes += writer.size;
        }
    }
    printf(
        "proofs of %u meters' days      %s: %.2f ms to make a day, %.2f ms to check, %.0f bytes a "
        "reading\n",
        SAMPLES / 10, ok ? "all lead to the fingerprints" : "WRONG",
        disclosing * 1e3 / (SAMPLES / 10), verifying * 1e3 / (SAMPLES / 10),
        (double)bytes / (double)readings);
    free(found.readings);
    return ok;
}

/* The place of the last digit of a line's net Wh, and its number, somewhere behind the middle. */
static off_t pick_digit(const char *path, uint64_t *line)
{
    char text[1024];
    FILE *in = fopen(path, "rb");
    struct stat status;
    off_t at = -1;
    MUST(in != NULL && fstat(fileno(in), &status) == 0);
    *line = 0;
    for (off_t from = 0; at < 0 && fgets(text, sizeof text, in) != NULL; from = ftello(in)) {
        (*line)++;
        if (from < status.st_size / 3 * 2) {
            continue;
        }
        const char *field = text;
        for (int i = 0; i < 8; i++) {
            field = strchr(field, ',');
            MUST(field != NULL);
            field++;
        }
        at = from + (field - text) - 2;
    }
    MUST(fclose(in) == 0 && at >= 0);
    return at;
}

static double verify_copy(struct bench *bench, const char *path, struct copy_verdict *verdict)
{
    const struct copy_ledger ledger = meter_world_ledger(&bench->world);
    const double began = now();
    FILE *in = fopen(path, "rb");
    MUST(in != NULL && copy_verify_batches(verdict, &ledger, in) == CLI_DONE);
    MUST(fclose(in) == 0);
    return now() - began;
}

static bool find_one_digit(struct bench *bench)
{
    char path[TEMP_PATH_SIZE * 2], problem[ARCHIVE_PROBLEM_SIZE], digit;
    struct copy_verdict verdict;
    uint64_t lines, line;
    const uint64_t readings = (uint64_t)bench->meters * INTERVALS;
    snprintf(path, sizeof path, "%s/copy.csv", bench->world.home);
    FILE *out = fopen(path, "wb");
    MUST(out != NULL);
    double began = now();
    MUST(disclose_copy(&bench->world.archive, out, timestamp_of(0), timestamp_of(INT64_MAX), false,
                       &lines, problem) &&
         fclose(out) == 0);
    printf("copy of the day              %.0f readings/s written\n",
           (double)lines / (now() - began));
    double seconds = verify_copy(bench, path, &verdict);
    const bool whole = verdict.code == NULL && verdict.readings == readings;
    printf("flex meter verify            %s: %.0f readings/s\n",
           whole ? "the copy is the ledger's" : "WRONG", (double)readings / seconds);
    const off_t at = pick_digit(path, &line);
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    MUST(descriptor >= 0 && pread(descriptor, &digit, 1, at) == 1 && digit >= '0' && digit <= '9');
    digit = digit == '9' ? '0' : (char)(digit + 1);
    MUST(pwrite(descriptor, &digit, 1, at) == 1 && close(descriptor) == 0);
    seconds = verify_copy(bench, path, &verdict);
    const bool named = verdict.code != NULL && verdict.line == line;
    printf("one digit changed            line %" PRIu64 " %s in %.1f s\n", line,
           named ? "named" : "NOT NAMED", seconds);
    return whole && named;
}

static double verify_us(const struct bench *bench)
{
    struct public_key key;
    struct signature signature;
    struct hash message = {{1}};
    MUST(schnorr_public_key(&key, &bench->secrets[0]) &&
         schnorr_sign(&signature, &bench->secrets[0], &message));
    const double began = now();
    for (int i = 0; i < 2000; i++) {
        MUST(schnorr_verify(&signature, &key, &message));
    }
    return (now() - began) * 1e6 / 2000;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.meters = METERS_DEFAULT, .threads = 2};
    struct commit_report committed;
    struct rusage usage;
    uint64_t number;
    if ((argc > 1 && (!uint64_from_text(&number, argv[1]) || number < 1 || number > 1000000)) ||
        argc > 3) {
        fprintf(stderr, "usage: bench_meter [METERS [THREADS]]\n");
        return 2;
    }
    bench.meters = argc > 1 ? (uint32_t)number : METERS_DEFAULT;
    if (argc > 2 && uint64_from_text(&number, argv[2]) && number >= 1 &&
        number <= INGEST_THREADS_MAX) {
        bench.threads = (uint32_t)number;
    }
    meter_world_make(&bench.world, GROUP, ZONE_UTC, 0, "2025-01-17");
    bench.start_ms = timestamp_ms(world_time("2025-01-15"));
    make_devices(&bench);
    const double readings = (double)bench.meters * INTERVALS;
    const double signature_us = verify_us(&bench);
    ingest_day(&bench);
    double began = now();
    meter_world_post(&bench.world, &committed);
    bench.committed = now() - began;
    weigh_transactions(&bench);
    MUST(getrusage(RUSAGE_SELF, &usage) == 0);
    printf("%u meters, %.0f readings, %u threads; %.1f us verify a signature\n", bench.meters,
           readings, bench.threads, signature_us);
    printf("ingest                       %.0f readings/s; signatures alone allow %.0f\n",
           readings / bench.ingested, 1e6 * bench.threads / signature_us);
    printf("commit                       %.0f readings/s, %" PRIu64 " batches\n",
           readings / bench.committed, committed.batches);
    printf("on the chain                 %" PRIu64 " bytes, %.4f per reading\n", bench.chain_bytes,
           (double)bench.chain_bytes / readings);
    printf("(making the signed files     %.0f s, not counted; %ld MiB of memory)\n", bench.made,
           usage.ru_maxrss / 1024);
    bool ok = sample_proofs(&bench);
    ok = find_one_digit(&bench) && ok;
    ok = ok && (double)bench.chain_bytes < readings;
    meter_world_remove(&bench.world);
    return ok ? 0 : 1;
}
