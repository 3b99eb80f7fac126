/* How fast `flex audit verify` goes, against the bound that the signatures alone set.
 *
 * Makes an export of COUNT transfers among PEOPLE participants with the real contracts, then in
 * turns: every signature once on all processors and nothing else (the bound: processors x 10^6 /
 * verify_us), and the whole verification. Neighbours on the machine disturb both alike, so the
 * median of the rounds' ratios is a figure that means the same everywhere; it fails below half
 * (docs/performance.md). The clocks are used to print rates, never to judge one. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "contracts/body.h"
#include "tests/lib/random.h"
#include "tests/lib/tools/audit_world.h"
#include "tools/audit_verify.h"

enum { PEOPLE = 2000, ROUNDS = 5, THREADS_MAX = 16, PERMILLE_MIN = 500 };

struct options {
    uint32_t count;     /* of transfers */
    uint32_t per_block; /* of them */
};

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* --- the chain ------------------------------------------------------------------------------- */

static const char *person(char out[16], uint32_t number)
{
    snprintf(out, 16, "p-%u", number);
    return out;
}

static void make_people(struct audit_world *world)
{
    char id[16];
    for (uint32_t i = 0; i < PEOPLE; i++) {
        audit_world_add(world, person(id, i), ROLE_PROSUMER);
        if (i % 100 == 99) {
            audit_world_turn(world, 1000);
        }
    }
    for (uint32_t i = 0; i < PEOPLE; i++) {
        audit_world_mint(world, person(id, i), 1000000000);
        if (i % 500 == 499) {
            audit_world_turn(world, 1000);
        }
    }
}

static void make_chain(const char *directory, struct genesis *genesis,
                       const struct options *options)
{
    char from[16], to[16];
    struct test_random random = {11};
    struct audit_world *world = audit_world_create(directory);
    audit_world_mint(world, "operator", 1000000000);
    audit_world_turn(world, 1000);
    make_people(world);
    for (uint32_t i = 0; i < options->count; i++) {
        uint32_t payee = (i + 1 + (uint32_t)test_random_below(&random, PEOPLE - 1)) % PEOPLE;
        struct token_transfer transfer = {
            .to = audit_world_name(person(to, payee)),
            .amount = money_of(1 + (int64_t)test_random_below(&random, 1000))};
        audit_world_send(world, person(from, i % PEOPLE), ACTION_TOKEN_TRANSFER, &transfer);
        if (i % options->per_block == options->per_block - 1 || i == options->count - 1) {
            audit_world_turn(world, 200);
        }
    }
    audit_world_finish(world);
    *genesis = *audit_world_genesis(world);
    audit_world_destroy(world);
}

/* --- the bound ------------------------------------------------------------------------------- */

struct signatures {
    struct transaction *transactions;
    uint32_t count;
    uint32_t threads;
    uint32_t next; /* taken atomically, some at a time, as the audit's threads do */
};

enum { SIGNATURES_AT_ONCE = 64 };

static void *check_some(void *context)
{
    struct signatures *signatures = context;
    for (;;) {
        uint32_t from = __atomic_fetch_add(&signatures->next, SIGNATURES_AT_ONCE, __ATOMIC_RELAXED);
        uint32_t to = from + SIGNATURES_AT_ONCE < signatures->count ? from + SIGNATURES_AT_ONCE
                                                                    : signatures->count;
        for (uint32_t i = from; i < to; i++) {
            MUST(transaction_signature_is_valid(&signatures->transactions[i]));
        }
        if (to == signatures->count) {
            return NULL;
        }
    }
}

/* Seconds to verify every signature once on all processors; *cpu gets the processors' seconds. */
static double check_signatures(struct signatures *signatures, double *cpu)
{
    pthread_t threads[THREADS_MAX];
    double cpu_before = now(CLOCK_PROCESS_CPUTIME_ID);
    double before = now(CLOCK_MONOTONIC);
    signatures->next = 0;
    for (uint32_t i = 1; i < signatures->threads; i++) {
        MUST(pthread_create(&threads[i], NULL, check_some, signatures) == 0);
    }
    check_some(signatures);
    for (uint32_t i = 1; i < signatures->threads; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
    }
    *cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
    return now(CLOCK_MONOTONIC) - before;
}

/* Every transaction of the export, decoded; the tiles stay mapped. */
static void read_signatures(struct signatures *out, const char *directory, uint32_t capacity)
{
    struct audit_tile tile;
    struct audit_block block;
    struct byte_reader reader;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    memset(out, 0, sizeof *out);
    out->threads = online < 1 ? 1 : online > THREADS_MAX ? THREADS_MAX : (uint32_t)online;
    out->transactions = calloc(capacity, sizeof *out->transactions);
    MUST(out->transactions != NULL);
    for (uint64_t number = 0; audit_tile_open(&tile, directory, number); number++) {
        byte_reader_init(&reader, tile.data, tile.size);
        while (audit_block_read(&block, &reader)) {
            struct body_reader body;
            struct bytes_view envelope;
            MUST(body_open(&body, block.body));
            while (body_next(&body, &envelope)) {
                MUST(out->count < capacity);
                MUST(transaction_decode(&out->transactions[out->count++], envelope) == CONTRACT_OK);
            }
        }
    }
}

/* --- the whole ------------------------------------------------------------------------------- */

static int compare_double(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, compare_double);
    return values[count / 2];
}

static bool run(const char *directory, const struct options *options)
{
    static struct genesis genesis;
    struct signatures signatures;
    double ratios[ROUNDS], rates[ROUNDS], bounds[ROUNDS], costs[ROUNDS], shares[ROUNDS];
    make_chain(directory, &genesis, options);
    read_signatures(&signatures, directory, options->count + 3 * PEOPLE);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct audit_outcome outcome;
        double signature_cpu;
        double bound = check_signatures(&signatures, &signature_cpu);
        double cpu_before = now(CLOCK_PROCESS_CPUTIME_ID);
        double before = now(CLOCK_MONOTONIC);
        struct audit *audit = audit_verify(&outcome, directory, &genesis, NULL);
        double whole = now(CLOCK_MONOTONIC) - before;
        double whole_cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
        MUST(audit != NULL && outcome.ok && outcome.transactions == signatures.count);
        audit_close(audit);
        rates[round] = signatures.count / whole;
        bounds[round] = signatures.count / bound;
        ratios[round] = bound / whole;
        costs[round] = signature_cpu * 1e6 / signatures.count;
        shares[round] = signature_cpu / whole_cpu;
    }
    double ratio = median(ratios, ROUNDS);
    printf("bench-audit: %u transactions, %u a block, %u processors\n", signatures.count,
           options->per_block, signatures.threads);
    printf("  verify_us                     %8.1f\n", median(costs, ROUNDS));
    printf("  bound, signatures only        %8.0f /s\n", median(bounds, ROUNDS));
    printf("  flex audit verify             %8.0f /s\n", median(rates, ROUNDS));
    printf("  verify : bound                %8.3f (at least %.3f)\n", ratio, PERMILLE_MIN / 1000.0);
    printf("  signatures' share of the work %8.3f\n", median(shares, ROUNDS));
    free(signatures.transactions);
    return ratio * 1000.0 >= PERMILLE_MIN;
}

int main(int argc, char **argv)
{
    struct options options = {argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 40000,
                              argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 500};
    char directory[] = "/tmp/flex-bench-audit-XXXXXX";
    char command[64 + sizeof directory];
    if (options.count == 0 || options.per_block == 0 || options.per_block > 4000 ||
        !crypto_init() || mkdtemp(directory) == NULL) {
        fprintf(stderr, "usage: bench_audit [TRANSACTIONS [PER_BLOCK]]\n");
        return 2;
    }
    bool good = run(directory, &options);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (getenv("KEEP") == NULL && system(command) != 0) {
        fprintf(stderr, "bench-audit: %s is left over\n", directory);
    }
    if (!good) {
        fprintf(stderr, "bench-audit: slower than the bound allows\n");
    }
    return good ? 0 : 1;
}
