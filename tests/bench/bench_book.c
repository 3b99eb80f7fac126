/* What an order costs the ledger: orders per second on one core, from the first action of a block to the end
 * of its calls, against state in memory and in LMDB; and what the state root and the commit add to that.
 * Usage: bench_book [BLOCKS]
 *
 * Orders come as an aggregator's portfolio does, 128 to a transaction, 8192 to a block, over 16 books.
 * "rest": nothing crosses. "trade": half of them cross and make deals. Signatures and decoding are outside:
 * worker threads check those before a transaction reaches the ledger. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "consensus/header.h"
#include "contracts/ledger.h"
#include "contracts/terms.h"
#include "storage/store.h"
#include "tests/lib/temp_dir.h"

enum {
    BLOCKS_DEFAULT = 12,
    TRANSACTIONS = 64,
    ORDERS_PER_TX = 128,
    TRADERS = 16, /* of each side */
    BOOKS = 16,
    ENVELOPE_BYTES = LIMIT_TX_BYTES + 1024
};
#define GENESIS_MS INT64_C(1767571200000)
#define QUARTER_MS INT64_C(900000)

struct workload {
    const char *name;
    uint8_t mechanism;
    bool crosses;
};
static const struct workload workloads[] = {
    {"batch, all rest", MECHANISM_BOOK_BATCH, false},
    {"batch, half trade", MECHANISM_BOOK_BATCH, true},
    {"sequential, all rest", MECHANISM_BOOK_SEQUENTIAL, false},
    {"sequential, half trade", MECHANISM_BOOK_SEQUENTIAL, true},
};

struct world {
    struct genesis genesis;
    struct hash genesis_id;
    struct ledger *ledger;
    struct overlay *overlay;
    struct memory_base *memory; /* or */
    struct store *store;
    struct store_tip tip;
    struct block_context context;
    uint64_t nonces[64]; /* by participant of the genesis record */
    uint64_t random;
    uint8_t (*envelopes)[ENVELOPE_BYTES];
    struct transaction transactions[TRANSACTIONS];
    union action_record records[ORDERS_PER_TX];
    uint64_t refused;
};

static double now(void)
{
    struct timespec time;
    MUST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct name name_of(const char *stem, uint32_t number)
{
    char text[NAME_SIZE];
    struct name name;
    snprintf(text, sizeof text, "%s%u", stem, number);
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

static int64_t random_below(struct world *world, int64_t bound)
{
    world->random = world->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (int64_t)((world->random >> 33) % (uint64_t)bound);
}

/* --- the world ------------------------------------------------------------------------------ */

static struct secret_key secret_of(uint32_t participant)
{
    struct hash hash;
    struct secret_key secret;
    hash_bytes(&hash, HASH_DOMAIN_KEY_PROOF, &participant, sizeof participant);
    memcpy(secret.bytes, hash.bytes, SECRET_KEY_SIZE);
    return secret;
}

static int by_key(const void *a, const void *b)
{
    const struct params_validator *left = a;
    const struct params_validator *right = b;
    return public_key_compare(&left->key, &right->key);
}

/* Number 0 operates markets and validators and is the treasurer; then buyers, then sellers. */
static void make_genesis(struct genesis *genesis)
{
    memset(genesis, 0, sizeof *genesis);
    genesis->chain = name_of("bench", 0);
    genesis->time = timestamp_of(GENESIS_MS);
    genesis->simulated_time = 1;
    genesis->delta_ms = 100;
    genesis->block_interval_ms = 50;
    genesis->max_idle_ms = 1000;
    genesis->exec_budget_ms = 200;
    genesis->timeout_cap_ms = 30000;
    genesis->backoff_permille = 1300;
    genesis->params.fee_period = duration_of(MS_PER_DAY);
    genesis->params.tx_lifetime = duration_of(MS_PER_DAY);
    genesis->params.validator_count = 4;
    genesis->participant_count = 1 + 2 * TRADERS;
    for (uint32_t i = 0; i < genesis->participant_count; i++) {
        struct genesis_participant *one = &genesis->participants[i];
        struct secret_key secret = secret_of(i);
        one->id = name_of(i == 0 ? "operator" : i <= TRADERS ? "buyer" : "seller", i);
        one->roles = i == 0         ? ROLE_MARKET_OPERATOR | ROLE_TREASURER | ROLE_DSO
                     : i <= TRADERS ? ROLE_DSO
                                    : ROLE_AGGREGATOR;
        MUST(schnorr_public_key(&one->key, &secret));
    }
    for (uint32_t i = 0; i < 4; i++) {
        struct secret_key seed;
        memset(seed.bytes, (int)i + 1, sizeof seed.bytes);
        ed25519_public_key(&genesis->params.validators[i].key, &seed);
        genesis->params.validators[i].operator_name = genesis->participants[0].id;
    }
    qsort(genesis->params.validators, 4, sizeof genesis->params.validators[0], by_key);
}

static const struct state_base *base_of(const struct world *world)
{
    return world->store != NULL ? store_state_base(world->store) : memory_base_face(world->memory);
}

/* Down to the base, as a node does with a final block. */
static void commit(struct world *world)
{
    if (world->store == NULL) {
        MUST(memory_base_commit(world->memory, world->overlay));
        return;
    }
    static const uint8_t nothing[4];
    struct block_header header;
    uint8_t bytes[BLOCK_HEADER_SIZE];
    struct store_block block;
    memset(&block, 0, sizeof block);
    block.height = world->context.height;
    block.state = world->overlay;
    block.receipts = bytes_view_of(nothing, sizeof nothing);
    block.tip = world->tip;
    block.tip.has_genesis = true;
    block.tip.height = block.height;
    block.tip.state_root = *overlay_root(world->overlay);
    block.tip.block_id = world->genesis_id;
    if (block.height > 0) {
        memset(&header, 0, sizeof header);
        header.version = BLOCK_HEADER_VERSION;
        header.genesis = world->genesis_id;
        header.height = block.height;
        header.view = block.height;
        header.parent_id = world->tip.block_id;
        header.time = world->context.time;
        header.state_root = block.tip.state_root;
        merkle_frontier_root(&header.log_root, &world->tip.log);
        block_header_encode(bytes, &header);
        block.header = bytes_view_of(bytes, sizeof bytes);
        block_header_id(&block.tip.block_id, &header);
        block.tip.view = block.height;
        block.tip.time = header.time;
    }
    merkle_frontier_append(&block.tip.log, &block.tip.block_id);
    MUST(store_commit(world->store, &block) == STORE_OK);
    world->tip = *store_tip(world->store);
}

static void begin_block(struct world *world)
{
    world->context.height++;
    MUST(timestamp_add(&world->context.time, world->context.time, duration_of(100)));
    hash_bytes(&world->context.parent_id, HASH_DOMAIN_BLOCK_ID, &world->context.height,
               sizeof world->context.height);
    overlay_reset(world->overlay, NULL, base_of(world));
    ledger_block_begin(world->ledger, overlay_view(world->overlay), &world->context);
}

static void end_block(struct world *world)
{
    struct receipt receipt;
    ledger_block_end(world->ledger, &receipt);
    MUST(!overlay_view(world->overlay)->fault);
}

static void sign(struct world *world, uint32_t slot, uint32_t sender, uint8_t type, uint32_t count)
{
    struct transaction_draft draft;
    struct byte_writer writer;
    const struct secret_key secret = secret_of(sender);
    memset(&draft, 0, sizeof draft);
    draft.genesis = world->genesis_id;
    draft.nonce = ++world->nonces[sender];
    draft.fee_limit = money_of(1000000);
    draft.action_count = count;
    MUST(timestamp_add(&draft.valid_until, world->context.time, duration_of(MS_PER_HOUR)));
    for (uint32_t i = 0; i < count; i++) {
        draft.actions[i].type = type;
        draft.actions[i].record = &world->records[i];
    }
    byte_writer_init(&writer, world->envelopes[slot], ENVELOPE_BYTES);
    MUST(transaction_sign(&writer, &draft, &secret));
    MUST(transaction_decode(&world->transactions[slot],
                            bytes_view_of(world->envelopes[slot], writer.size)) == CONTRACT_OK);
}

static void apply(struct world *world, uint32_t slot)
{
    struct receipt receipt;
    MUST(ledger_transaction_apply(world->ledger, &world->transactions[slot], &receipt) ==
         CONTRACT_OK);
    if (receipt.status != CONTRACT_OK) {
        fprintf(stderr, "refused: %s\n", contract_error_name((enum contract_error)receipt.status));
        world->refused++;
    }
}

/* One action, alone. */
static void act(struct world *world, uint32_t sender, uint8_t type)
{
    sign(world, 0, sender, type, 1);
    apply(world, 0);
    MUST(world->refused == 0);
}

static void make_market(struct world *world, uint8_t mechanism)
{
    struct market_create *terms = &world->records[0].market_create;
    memset(terms, 0, sizeof *terms);
    terms->id = name_of("market", 0);
    terms->zone = name_of("zone", 0);
    terms->times.mtu = duration_of(QUARTER_MS);
    terms->times.mtus_per_period = 1;
    terms->times.opens = timestamp_of(GENESIS_MS);
    terms->times.closes = timestamp_of(GENESIS_MS + 30 * (int64_t)MS_PER_DAY);
    terms->times.gate_closure = duration_of(QUARTER_MS);
    terms->times.proof_deadline = duration_of(MS_PER_DAY);
    terms->limits.quantity_step = energy_of(10);
    terms->limits.quantity_min = energy_of(10);
    terms->limits.quantity_max = energy_of(1000000);
    terms->limits.price_step = energy_price_of(1);
    terms->limits.price_max = energy_price_of(1000000);
    terms->limits.orders_per_participant = LIMIT_OPEN_ORDERS_PER_BOOK;
    terms->clearing.mechanism = mechanism;
    terms->delivery.tolerance_permille = 950;
    act(world, 0, ACTION_MARKET_CREATE);
}

static void make_trader(struct world *world, uint32_t number)
{
    struct token_mint *mint = &world->records[0].token_mint;
    memset(mint, 0, sizeof *mint);
    mint->to = world->genesis.participants[number].id;
    mint->amount = money_of(INT64_C(1000000000000000));
    hash_bytes(&mint->receipt, HASH_DOMAIN_RECEIPT, &number, sizeof number);
    act(world, 0, ACTION_TOKEN_MINT);
    if (number <= TRADERS) {
        return;
    }
    struct device_register *device = &world->records[0].device_register;
    struct secret_key meter = secret_of(1000 + number);
    memset(device, 0, sizeof *device);
    device->id = name_of("device", number);
    device->type = DEVICE_STORAGE;
    device->max_power = power_of(INT64_C(100000000000));
    device->connection = power_of(INT64_C(100000000000));
    device->node = name_of("node", 0);
    device->feeder = name_of("feeder", 0);
    device->zone = name_of("zone", 0);
    MUST(schnorr_public_key(&device->meter_key, &meter));
    act(world, number, ACTION_DEVICE_REGISTER);
    world->records[0].device_status =
        (struct device_status){.device = name_of("device", number), .status = STATUS_ACTIVE};
    act(world, 0, ACTION_DEVICE_STATUS);
    world->records[0].device_enrol = (struct device_enrol){
        .device = name_of("device", number), .market = name_of("market", 0), .enrolled = 1};
    act(world, number, ACTION_DEVICE_ENROL);
}

static void open_world(struct world *world, uint8_t mechanism, struct store *store)
{
    memset(world, 0, sizeof *world);
    make_genesis(&world->genesis);
    MUST(genesis_hash(&world->genesis_id, &world->genesis));
    world->store = store;
    world->memory = store == NULL ? memory_base_create() : NULL;
    world->ledger = ledger_create();
    world->overlay = overlay_create((size_t)512 << 20);
    world->envelopes = malloc(TRANSACTIONS * sizeof *world->envelopes);
    MUST(world->ledger != NULL && world->overlay != NULL && world->envelopes != NULL);
    world->random = 1;
    world->context.genesis = world->genesis_id;
    world->context.time = world->genesis.time;
    struct hash root;
    overlay_reset(world->overlay, NULL, base_of(world));
    MUST(ledger_genesis(overlay_view(world->overlay), &world->genesis));
    MUST(overlay_seal(world->overlay, &root));
    commit(world);
    begin_block(world);
    make_market(world, mechanism);
    for (uint32_t i = 1; i <= 2 * TRADERS; i++) {
        make_trader(world, i);
    }
    end_block(world);
    MUST(overlay_seal(world->overlay, &root));
    commit(world);
}

static void close_world(struct world *world)
{
    ledger_destroy(world->ledger);
    overlay_destroy(world->overlay);
    if (world->memory != NULL) {
        memory_base_destroy(world->memory);
    }
    free(world->envelopes);
}

/* --- the work ------------------------------------------------------------------------------- */

static void draw_orders(struct world *world, uint32_t slot, bool crosses)
{
    const bool buys = slot % 2 == 0;
    const uint32_t sender = (buys ? 1 : 1 + TRADERS) + slot / 2 % TRADERS;
    for (uint32_t i = 0; i < ORDERS_PER_TX; i++) {
        const struct timestamp start =
            timestamp_of(GENESIS_MS + (100 + random_below(world, BOOKS)) * QUARTER_MS);
        const struct energy quantity = energy_of(10 * (1 + random_below(world, 10)));
        /* Of bids in [100000, 200000) and asks in [0, 100000) + 100000 half meet somebody. */
        const int64_t away = crosses ? 75000 : 100000;
        const struct energy_price price = energy_price_of(
            buys ? random_below(world, 100000) : away + random_below(world, 100000));
        memset(&world->records[i], 0, sizeof world->records[i]);
        if (buys) {
            world->records[i].request_place = (struct request_place){
                .market = name_of("market", 0),
                .period_start = start,
                .quantity = quantity,
                .price = energy_price_of(energy_price_ueur_per_kwh(price) + (crosses ? 50000 : 0))};
        } else {
            world->records[i].offer_place =
                (struct offer_place){.market = name_of("market", 0),
                                     .period_start = start,
                                     .quantity = quantity,
                                     .price = price,
                                     .device = name_of("device", sender)};
        }
    }
    sign(world, slot, sender, buys ? ACTION_REQUEST_PLACE : ACTION_OFFER_PLACE, ORDERS_PER_TX);
}

struct cost {
    double actions; /* seconds in transactions */
    double calls;   /* in the block's end */
    double root;
    double commit;
    double orders;
    uint64_t deals;
};

static void run_block(struct world *world, bool crosses, struct cost *cost)
{
    struct hash root;
    for (uint32_t i = 0; i < TRANSACTIONS; i++) {
        draw_orders(world, i, crosses);
    }
    double before = now();
    begin_block(world);
    for (uint32_t i = 0; i < TRANSACTIONS; i++) {
        apply(world, i);
    }
    double after = now();
    cost->actions += after - before;
    before = after;
    end_block(world);
    after = now();
    cost->calls += after - before;
    before = after;
    MUST(overlay_seal(world->overlay, &root));
    after = now();
    cost->root += after - before;
    before = after;
    commit(world);
    cost->commit += now() - before;
    cost->orders += TRANSACTIONS * ORDERS_PER_TX;
}

static uint64_t deals_of(struct world *world)
{
    struct counters_record counters;
    struct bytes_view value;
    const struct state_key key = state_key_single(STATE_COUNTERS);
    overlay_reset(world->overlay, NULL, base_of(world));
    struct state_view *view = overlay_view(world->overlay);
    MUST(view->ops->get(view, bytes_view_of(key.bytes, key.size), &value));
    MUST(codec_decode_all(&counters_record_codec, &counters, value));
    return counters.deals;
}

static double run(const struct workload *workload, uint32_t blocks, struct store *store)
{
    static struct world world;
    struct cost cost = {0};
    open_world(&world, workload->mechanism, store);
    for (uint32_t i = 0; i < blocks; i++) {
        run_block(&world, workload->crosses, &cost);
    }
    MUST(world.refused == 0);
    cost.deals = deals_of(&world);
    MUST((cost.deals > 0) == workload->crosses);
    close_world(&world);
    const double book = cost.actions + cost.calls;
    const double whole = book + cost.root + cost.commit;
    printf(
        "book: %-22s %-6s %8.0f orders/s (actions %.2f us, calls %.2f us an order; %.2f deals an "
        "order); with root and commit %7.0f/s (%.2f + %.2f us)\n",
        workload->name, store == NULL ? "memory" : "LMDB", cost.orders / book,
        cost.actions / cost.orders * 1e6, cost.calls / cost.orders * 1e6,
        (double)cost.deals / cost.orders, cost.orders / whole, cost.root / cost.orders * 1e6,
        cost.commit / cost.orders * 1e6);
    return cost.orders / book;
}

static void run_on_disk(const struct workload *workload, uint32_t blocks)
{
    char directory[TEMP_PATH_SIZE];
    struct store *store = NULL;
    struct genesis genesis;
    temp_dir_make(directory);
    make_genesis(&genesis);
    struct store_config config = {
        .directory = directory, .map_bytes = (size_t)8 << 30, .disk_reserve = 1 << 20};
    MUST(genesis_hash(&config.genesis, &genesis));
    MUST(store_open(&store, &config) == STORE_OK);
    (void)run(workload, blocks, store);
    store_close(store);
    temp_dir_remove(directory);
}

int main(int count, char **arguments)
{
    const uint32_t blocks = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : BLOCKS_DEFAULT;
    log_open(stderr, "bench", LOG_BROKEN, false);
    MUST(crypto_init() && blocks > 0);
    const size_t only = count > 2 ? strtoul(arguments[2], NULL, 10) : SIZE_MAX;
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        if (only != SIZE_MAX && i != only) {
            continue;
        }
        (void)run(&workloads[i], blocks, NULL);
        run_on_disk(&workloads[i], blocks);
    }
    return 0;
}
