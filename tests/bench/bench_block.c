/* What a transaction costs a validator beside its signature: microseconds of one thread to build a block of
 * them, to take and execute one that somebody else built, and to commit it to LMDB with its sync.
 * Usage: bench_block [BLOCKS [ACCOUNTS [WORKLOAD]]]
 *
 * Two chains with a database each, as two validators have them: the first builds, the second executes, both
 * commit. The state before is that of flexbench: accounts, a market with devices, open orders. Workloads:
 * "transfer", "single" (one order in a transaction, buys and sells that meet), "batch" (100 orders in one).
 * Signing is outside, and so is verifying: worker threads do that before a body comes to the chain. The
 * measured_ functions stand alone so that a profiler can be told to look at nothing else. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/terms.h"
#include "node/chain.h"
#include "storage/store.h"
#include "tests/lib/node/chain_world.h"
#include "tests/lib/temp_dir.h"

enum {
    BLOCKS_DEFAULT = 8,
    ACCOUNTS_DEFAULT = 20000,
    WALLETS = 1000, /* of the accounts: the even ones buy, the odd ones sell */
    OPEN_ORDERS = 2000,
    BATCH_ORDERS = 100,
    BLOCK_TRANSACTIONS = CHAIN_BUILD_TX_MAX,
    BLOCK_BATCHES = CHAIN_BUILD_ACTIONS_MAX / BATCH_ORDERS + 1,
    PERIODS = 96,
    PERIOD_MS = 15 * 60 * 1000,
    ENVELOPE_BYTES = LIMIT_TX_BYTES + 1024
};

enum workload { TRANSFER, SINGLE, BATCH, WORKLOADS };
static const char *const workload_names[WORKLOADS] = {"transfer", "single", "batch"};

struct node {
    char directory[TEMP_PATH_SIZE];
    struct store *store;
    struct chain *chain;
};

struct wallet {
    struct name id;
    struct name device;
    struct secret_key secret;
    struct public_key key;
    uint64_t nonce;
};

struct world {
    struct genesis genesis;
    struct hash genesis_id;
    struct node leader;
    struct node follower;
    struct mempool *mempool;
    struct wallet *wallets;
    struct wallet operator_wallet;
    struct wallet treasurer;
    struct wallet dso;
    uint64_t view;
    uint32_t orders;  /* drawn so far */
    uint64_t waiting; /* transactions in the mempool */
    union action_record records[LIMIT_ACTIONS_PER_TX];
};

struct cost {
    double build;
    double take;
    double execute;
    double commit;
    uint64_t transactions;
};

static double now(void)
{
    struct timespec time;
    MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- transactions ---------------------------------------------------------------------------- */

/* Into the mempool: `count` of world->records. */
static void post(struct world *world, struct wallet *sender, uint8_t type, uint32_t count)
{
    static uint8_t bytes[ENVELOPE_BYTES];
    struct transaction_draft draft = {.genesis = world->genesis_id,
                                      .nonce = ++sender->nonce,
                                      .fee_limit = money_of(1000000),
                                      .action_count = count};
    struct byte_writer writer;
    struct transaction transaction;
    MUST(timestamp_add(&draft.valid_until, chain_tip(world->leader.chain)->time,
                       duration_of(MS_PER_HOUR)));
    for (uint32_t i = 0; i < count; i++) {
        draft.actions[i].type = type;
        draft.actions[i].record = &world->records[i];
    }
    byte_writer_init(&writer, bytes, sizeof bytes);
    MUST(transaction_sign(&writer, &draft, &sender->secret));
    MUST(transaction_decode(&transaction, bytes_view_of(bytes, writer.size)) == CONTRACT_OK);
    MUST(mempool_add(world->mempool, &transaction) == CONTRACT_OK);
    world->waiting++;
}

static struct name numbered(const char *stem, uint32_t number)
{
    char text[NAME_SIZE + 1];
    snprintf(text, sizeof text, "%s-%u", stem, number);
    return world_name(text);
}

/* --- blocks ---------------------------------------------------------------------------------- */

__attribute__((noinline)) static void
measured_build(struct world *world, struct block_header *header, struct timestamp time)
{
    struct chain *chain = world->leader.chain;
    const struct store_tip *tip = chain_tip(chain);
    MUST(chain_build(chain, world->mempool, header, 0, world->view, tip->view, &tip->block_id,
                     time));
}

__attribute__((noinline)) static void
measured_take(struct world *world, const struct block_header *header, struct bytes_view body)
{
    MUST(chain_add_body(world->follower.chain, header, body, true));
}

__attribute__((noinline)) static void measured_execute(struct world *world, const struct hash *id)
{
    MUST(chain_execute(world->follower.chain, id) == BFT_VERDICT_VALID);
}

__attribute__((noinline)) static void measured_commit(struct node *validator,
                                                      const struct block_header *header)
{
    MUST(chain_commit(validator->chain, header, NULL) == STORE_OK);
}

/* All of its actions succeeded. */
static void check_receipts(const struct chain *chain)
{
    const struct bytes_view receipts = chain_last_commit(chain)->receipts;
    struct byte_reader reader;
    byte_reader_init(&reader, receipts.data, receipts.size);
    const uint32_t count = byte_read_u32(&reader);
    for (uint32_t i = 0; i < count; i++) {
        struct receipt receipt;
        MUST(codec_decode_all(&receipt_record, &receipt, byte_read_sized(&reader, 1u << 30)));
        if (receipt.status != CONTRACT_OK) {
            fprintf(stderr, "refused: %s\n",
                    contract_error_name((enum contract_error)receipt.status));
        }
        MUST(receipt.status == CONTRACT_OK);
    }
}

static struct timestamp next_time(const struct world *world)
{
    struct timestamp time;
    MUST(timestamp_add(&time, chain_tip(world->leader.chain)->time, duration_of(100)));
    return time;
}

static void close_block(struct world *world, uint64_t transactions_before)
{
    chain_tell_mempool(world->leader.chain, world->mempool);
    check_receipts(world->follower.chain);
    const uint64_t done = chain_tip(world->leader.chain)->transactions - transactions_before;
    MUST(done <= world->waiting);
    world->waiting -= done;
}

static void run_block(struct world *world, struct cost *cost)
{
    struct block_header header;
    struct block_header found;
    struct bytes_view body;
    const uint64_t before = chain_tip(world->leader.chain)->transactions;
    const struct timestamp time = next_time(world);
    world->view++;
    const double start = now();
    measured_build(world, &header, time);
    const double built = now();
    const struct hash id = world_id(&header);
    MUST(chain_body(world->leader.chain, &id, &found, &body));
    const double copied = now();
    measured_take(world, &header, body);
    const double taken = now();
    measured_execute(world, &id);
    const double executed = now();
    measured_commit(&world->leader, &header);
    measured_commit(&world->follower, &header);
    const double committed = now();
    close_block(world, before);
    cost->build += built - start;
    cost->take += taken - copied;
    cost->execute += executed - taken;
    cost->commit += (committed - executed) / 2;
    cost->transactions += chain_tip(world->leader.chain)->transactions - before;
}

/* The same, of what only prepares. */
static void settle(struct world *world)
{
    while (world->waiting > 0) {
        struct block_header header;
        struct bytes_view body;
        const struct store_tip *tip = chain_tip(world->leader.chain);
        const uint64_t before = tip->transactions;
        MUST(chain_build(world->leader.chain, world->mempool, &header, 0, ++world->view, tip->view,
                         &tip->block_id, next_time(world)));
        const struct hash id = world_id(&header);
        MUST(chain_body(world->leader.chain, &id, &header, &body));
        MUST(chain_add_body(world->follower.chain, &header, body, true));
        MUST(chain_commit(world->follower.chain, &header, NULL) == STORE_OK);
        MUST(chain_commit(world->leader.chain, &header, NULL) == STORE_OK);
        close_block(world, before);
    }
}

/* --- the state before ------------------------------------------------------------------------ */

static void make_accounts(struct world *world, uint32_t count)
{
    for (uint32_t at = 0; at < count; at += LIMIT_ACTIONS_PER_TX) {
        const uint32_t some = count - at < LIMIT_ACTIONS_PER_TX ? count - at : LIMIT_ACTIONS_PER_TX;
        for (uint32_t i = 0; i < some; i++) {
            struct wallet *wallet = &world->wallets[at + i];
            wallet->id = numbered("w", at + i);
            wallet->device = numbered("dev", at + i);
            char text[NAME_SIZE + 1];
            snprintf(text, sizeof text, "w-%u", at + i);
            wallet->secret = world_secret(text);
            MUST(schnorr_public_key(&wallet->key, &wallet->secret));
            world->records[i].participant_register =
                (struct participant_register){.id = wallet->id,
                                              .key = wallet->key,
                                              .roles = at + i >= WALLETS   ? ROLE_PROSUMER
                                                       : (at + i) % 2 == 1 ? ROLE_AGGREGATOR
                                                                           : ROLE_DSO};
        }
        post(world, &world->operator_wallet, ACTION_PARTICIPANT_REGISTER, some);
        settle(world);
        for (uint32_t i = 0; i < some; i++) {
            struct token_mint *mint = &world->records[i].token_mint;
            *mint = (struct token_mint){.to = world->wallets[at + i].id,
                                        .amount = money_of(INT64_C(10000000000))};
            const uint32_t number = at + i;
            hash_bytes(&mint->receipt, HASH_DOMAIN_RECEIPT, &number, sizeof number);
        }
        post(world, &world->treasurer, ACTION_TOKEN_MINT, some);
        settle(world);
    }
}

static void make_market(struct world *world)
{
    const int64_t day = (int64_t)MS_PER_DAY;
    struct market_create *terms = &world->records[0].market_create;
    *terms = (struct market_create){
        .id = world_name("flex"), .zone = world_name("z1"), .directions = DIRECTIONS_BOTH};
    terms->times.mtu = duration_of(PERIOD_MS);
    terms->times.mtus_per_period = 1;
    terms->times.opens = timestamp_of(WORLD_TIME_MS / day * day);
    terms->times.closes = timestamp_of((WORLD_TIME_MS / day + 30) * day);
    terms->times.gate_closure = duration_of(PERIOD_MS);
    terms->times.proof_deadline = duration_of(2 * day);
    terms->limits.quantity_step = energy_of(1);
    terms->limits.quantity_min = energy_of(1);
    terms->limits.quantity_max = energy_of(1000000);
    terms->limits.price_step = energy_price_of(1);
    terms->limits.price_max = energy_price_of(1000000);
    terms->limits.orders_per_participant = LIMIT_OPEN_ORDERS_PER_BOOK;
    terms->delivery.tolerance_permille = 950;
    post(world, &world->operator_wallet, ACTION_MARKET_CREATE, 1);
    settle(world);
}

static void make_devices(struct world *world)
{
    for (int step = 0; step < 3; step++) {
        for (uint32_t i = 1; i < WALLETS; i += 2) {
            struct wallet *wallet = &world->wallets[i];
            if (step == 0) {
                world->records[0].device_register =
                    (struct device_register){.id = wallet->device,
                                             .type = DEVICE_STORAGE,
                                             .max_power = power_of(INT64_C(1000000000)),
                                             .connection = power_of(INT64_C(1000000000)),
                                             .node = world_name("n1"),
                                             .feeder = world_name("f1"),
                                             .zone = world_name("z1"),
                                             .meter_key = wallet->key};
                post(world, wallet, ACTION_DEVICE_REGISTER, 1);
            } else if (step == 1) {
                world->records[0].device_status =
                    (struct device_status){wallet->device, STATUS_ACTIVE};
                post(world, &world->dso, ACTION_DEVICE_STATUS, 1);
            } else {
                world->records[0].device_enrol =
                    (struct device_enrol){wallet->device, world_name("flex"), 1};
                post(world, wallet, ACTION_DEVICE_ENROL, 1);
            }
        }
        settle(world);
    }
}

static void fill_request(struct request_place *out, uint32_t number, uint8_t direction,
                         int64_t ueur)
{
    const int64_t day = (int64_t)MS_PER_DAY;
    *out = (struct request_place){
        .market = world_name("flex"),
        .direction = direction,
        .period_start =
            timestamp_of((WORLD_TIME_MS / day + 2) * day + (int64_t)(number % PERIODS) * PERIOD_MS),
        .quantity = energy_of(1000),
        .price = energy_price_of(ueur)};
}

static void make_orders(struct world *world)
{
    for (uint32_t at = 0; at < OPEN_ORDERS; at += BATCH_ORDERS) {
        for (uint32_t i = 0; i < BATCH_ORDERS; i++) {
            fill_request(&world->records[i].request_place, at + i, DIRECTION_DOWN, 100000);
        }
        post(world, &world->wallets[at / BATCH_ORDERS * 2 % WALLETS], ACTION_REQUEST_PLACE,
             BATCH_ORDERS);
    }
    settle(world);
}

/* --- the load -------------------------------------------------------------------------------- */

static void post_orders(struct world *world, uint32_t transaction, uint32_t each)
{
    struct wallet *wallet = &world->wallets[transaction % WALLETS];
    const bool sells = transaction % 2 == 1;
    for (uint32_t i = 0; i < each; i++) {
        const uint32_t number =
            transaction / 2 * each + i; /* the same for a buyer and its seller */
        struct request_place request;
        fill_request(&request, number, DIRECTION_UP, sells ? 200000 : 250000);
        if (sells) {
            world->records[i].offer_place =
                (struct offer_place){.market = request.market,
                                     .direction = request.direction,
                                     .period_start = request.period_start,
                                     .quantity = request.quantity,
                                     .price = request.price,
                                     .device = wallet->device};
        } else {
            world->records[i].request_place = request;
        }
    }
    post(world, wallet, sells ? ACTION_OFFER_PLACE : ACTION_REQUEST_PLACE, each);
}

static void post_load(struct world *world, enum workload workload, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t transaction = world->orders++;
        switch (workload) {
        case TRANSFER:
            world->records[0].token_transfer = (struct token_transfer){
                .to = world->wallets[(transaction * 7 + 1) % WALLETS].id, .amount = money_of(1)};
            if (transaction % WALLETS == (transaction * 7 + 1) % WALLETS) {
                world->records[0].token_transfer.to = world->dso.id;
            }
            post(world, &world->wallets[transaction % WALLETS], ACTION_TOKEN_TRANSFER, 1);
            break;
        case SINGLE:
            post_orders(world, transaction, 1);
            break;
        case BATCH:
            post_orders(world, transaction, BATCH_ORDERS);
            break;
        case WORKLOADS:
            break;
        }
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static void open_validator(struct world *world, struct node *validator)
{
    char problem[160];
    temp_dir_make(validator->directory);
    const struct store_config config = {.directory = validator->directory,
                                        .genesis = world->genesis_id,
                                        .map_bytes = (size_t)8 << 30,
                                        .disk_reserve = 1 << 20};
    MUST(store_open(&validator->store, &config) == STORE_OK);
    const struct chain_backend backend = chain_backend_of_store(validator->store);
    validator->chain = chain_open(&world->genesis, &backend, problem);
    MUST(validator->chain != NULL);
}

static void close_validator(struct node *validator)
{
    chain_close(validator->chain);
    store_close(validator->store);
    temp_dir_remove(validator->directory);
}

static void open_founder(struct wallet *wallet, const char *name)
{
    wallet->id = world_name(name);
    wallet->secret = world_secret(name);
    wallet->key = world_key(name);
}

static void fund(struct world *world, const struct name *id, uint32_t number)
{
    struct token_mint *mint = &world->records[0].token_mint;
    *mint = (struct token_mint){.to = *id, .amount = money_of(INT64_C(1000000000000))};
    hash_bytes(&mint->receipt, HASH_DOMAIN_WITNESS, &number, sizeof number);
    post(world, &world->treasurer, ACTION_TOKEN_MINT, 1);
    settle(world);
}

static void open_world(struct world *world, uint32_t accounts)
{
    const struct mempool_limits limits = {0};
    memset(world, 0, sizeof *world);
    world_genesis(&world->genesis);
    world->genesis_id = world_genesis_id();
    open_validator(world, &world->leader);
    open_validator(world, &world->follower);
    world->mempool = mempool_create(&limits);
    world->wallets = calloc(accounts, sizeof *world->wallets);
    MUST(world->mempool != NULL && world->wallets != NULL);
    open_founder(&world->operator_wallet, "operator");
    open_founder(&world->treasurer, "treasurer");
    open_founder(&world->dso, "dso");
    fund(world, &world->operator_wallet.id, 0);
    fund(world, &world->dso.id, 1);
    make_accounts(world, accounts);
    make_market(world);
    make_devices(world);
    make_orders(world);
}

static void close_world(struct world *world)
{
    mempool_destroy(world->mempool);
    close_validator(&world->leader);
    close_validator(&world->follower);
    free(world->wallets);
}

static void run(enum workload workload, uint32_t blocks, uint32_t accounts)
{
    static struct world world;
    struct cost cost = {0};
    open_world(&world, accounts);
    const uint32_t each = workload == BATCH ? BLOCK_BATCHES : BLOCK_TRANSACTIONS;
    for (uint32_t i = 0; i < blocks; i++) {
        post_load(&world, workload, each);
        run_block(&world, &cost);
        MUST(world.waiting == 0);
    }
    const double per = 1e6 / (double)cost.transactions / (workload == BATCH ? BATCH_ORDERS : 1);
    printf("block: %-8s %8" PRIu64
           " transactions of %u accounts; us of CPU for each %s: build %.1f, "
           "take %.1f, execute %.1f, commit %.1f\n",
           workload_names[workload], cost.transactions, accounts,
           workload == BATCH ? "order" : "transaction", cost.build * per, cost.take * per,
           cost.execute * per, cost.commit * per);
    close_world(&world);
}

int main(int count, char **arguments)
{
    const uint32_t blocks = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : BLOCKS_DEFAULT;
    const uint32_t accounts =
        count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : ACCOUNTS_DEFAULT;
    const char *only = count > 3 ? arguments[3] : NULL;
    log_open(stderr, "bench", LOG_BROKEN, false);
    MUST(crypto_init() && blocks > 0 && accounts >= WALLETS);
    for (int i = 0; i < WORKLOADS; i++) {
        if (only == NULL || strcmp(only, workload_names[i]) == 0) {
            run((enum workload)i, blocks, accounts);
        }
    }
    return 0;
}
