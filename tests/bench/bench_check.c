/* What flexd check costs: records per second, on a store that is made here, and how that
 * stands to what nobody can do without, one verification of each signature in its certificates.
 * Usage: bench_check [BLOCKS [TRANSACTIONS-PER-BLOCK]] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/store_check.h"
#include "tests/lib/node/chain_world.h"
#include "tests/lib/temp_dir.h"

enum { BLOCKS_DEFAULT = 300, TRANSACTIONS_DEFAULT = 40, SENDERS = 5, SIGNERS = 3 };
static const char *const senders[SENDERS] = {"dso", "agg", "agg2", "alice", "bob"};

struct world {
    struct genesis genesis;
    struct hash id;
    struct validator_set set;
    struct secret_key seeds[LIMIT_VALIDATORS]; /* in the set's order */
    struct chain *chain;
    struct mempool *mempool;
    uint64_t nonces[SENDERS];
    uint64_t view;
    double signature_seconds; /* of one verification */
};

static double now(void)
{
    struct timespec time;
    MUST(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void make_set(struct world *world)
{
    world->set.count = world->genesis.params.validator_count;
    for (uint32_t i = 0; i < world->set.count; i++) {
        world->set.validators[i].key = world->genesis.params.validators[i].key;
        world->set.validators[i].operator_name = world->genesis.params.validators[i].operator_name;
        for (int number = 1; number <= 4; number++) {
            struct secret_key seed;
            struct public_key key;
            memset(seed.bytes, number, sizeof seed.bytes);
            ed25519_public_key(&key, &seed);
            if (public_key_equal(&key, &world->set.validators[i].key)) {
                world->seeds[i] = seed;
            }
        }
    }
}

static void certify(const struct world *world, struct certificate *out,
                    const struct block_header *header)
{
    struct hash message;
    memset(out, 0, sizeof *out);
    out->kind = VOTE_FINALIZE;
    out->epoch = header->epoch;
    out->view = header->view;
    out->block_id = world_id(header);
    out->count = SIGNERS;
    vote_message(&message, &world->id, VOTE_FINALIZE, out->epoch, out->view, &out->block_id);
    for (uint8_t i = 0; i < SIGNERS; i++) {
        out->entries[i].signer = i;
        ed25519_sign(&out->entries[i].signature, &world->seeds[i], &message);
    }
}

static void submit(struct world *world, const struct world_tx *tx)
{
    MUST(mempool_add(world->mempool, &tx->transaction) == CONTRACT_OK);
}

static void make_block(struct world *world)
{
    struct certificate certificate;
    world->view++;
    const struct block_header header = world_build(world->chain, world->mempool, NULL, world->view);
    certify(world, &certificate, &header);
    const double before = now();
    MUST(certificate_verify(&certificate, &world->id, &world->set));
    world->signature_seconds += (now() - before) / SIGNERS;
    MUST(chain_commit(world->chain, &header, &certificate) == STORE_OK);
    chain_tell_mempool(world->chain, world->mempool);
}

static void make_chain(struct world *world, uint32_t blocks, uint32_t transactions)
{
    struct world_tx tx;
    for (uint32_t i = 0; i < SENDERS; i++) {
        world->nonces[i] = 1;
        world_mint(&tx, i + 1, senders[i], INT64_C(1000000000000));
        submit(world, &tx);
    }
    make_block(world);
    for (uint32_t height = 2; height <= blocks; height++) {
        for (uint32_t i = 0; i < transactions; i++) {
            const uint32_t from = i % SENDERS;
            world_transfer(&tx, senders[from], world->nonces[from]++, senders[(from + 1) % SENDERS],
                           1 + height);
            submit(world, &tx);
        }
        make_block(world);
    }
}

static double check(const struct world *world, struct store_check_report *report,
                    const char *directory, bool quick)
{
    const struct store_check_config config = {
        .directory = directory, .genesis = world->id, .set = &world->set, .quick = quick};
    const double before = now();
    MUST(store_check(report, &config) == STORE_OK && report->findings == 0);
    return now() - before;
}

static void report_times(const struct world *world, const char *directory)
{
    struct store_check_report whole;
    struct store_check_report quick;
    const double quick_seconds = check(world, &quick, directory, true);
    const double seconds = check(world, &whole, directory, false);
    const double signatures =
        world->signature_seconds / (double)world->view * SIGNERS * (double)whole.certificates;
    printf("check: %" PRIu64 " records, %" PRIu64 " blocks, %" PRIu64 " transactions, %" PRIu64
           " state records, %.1f MB\n",
           whole.records, whole.blocks, whole.transactions, whole.state_records,
           (double)whole.bytes / 1e6);
    printf("check: whole %.3f s, %.0f records/s, %.0f blocks/s; of that the certificates' "
           "signatures %.0f %%\n",
           seconds, (double)whole.records / seconds, (double)whole.blocks / seconds,
           100 * signatures / seconds);
    printf("check: quick (every start) %.4f s, %.0f records/s\n", quick_seconds,
           (double)quick.records / quick_seconds);
    MUST(quick_seconds < seconds);
}

int main(int count, char **arguments)
{
    const uint32_t blocks = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : BLOCKS_DEFAULT;
    const uint32_t transactions =
        count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : TRANSACTIONS_DEFAULT;
    const struct mempool_limits limits = {0, 0};
    struct world *world = calloc(1, sizeof *world);
    struct store *store = NULL;
    char directory[TEMP_PATH_SIZE];
    char problem[160];
    log_open(stderr, "bench", LOG_BROKEN, false);
    MUST(world != NULL && crypto_init() && blocks > 1);
    temp_dir_make(directory);
    world_genesis(&world->genesis);
    world->id = world_genesis_id();
    make_set(world);
    const struct store_config config = {.directory = directory,
                                        .map_bytes = (size_t)4 << 30,
                                        .genesis = world->id,
                                        .disk_reserve = 1 << 20};
    MUST(store_open(&store, &config) == STORE_OK);
    const struct chain_backend backend = chain_backend_of_store(store);
    world->chain = chain_open(&world->genesis, &backend, problem);
    world->mempool = mempool_create(&limits);
    MUST(world->chain != NULL && world->mempool != NULL);
    make_chain(world, blocks, transactions);
    chain_close(world->chain);
    mempool_destroy(world->mempool);
    store_close(store);
    report_times(world, directory);
    temp_dir_remove(directory);
    free(world);
    return 0;
}
