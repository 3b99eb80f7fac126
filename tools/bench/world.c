/* The state before a load, and the load itself (tools/bench/bench.h).
 *
 * A market of quarter hours in one zone. Every second wallet buys (a DSO), every other sells (an
 * aggregator with one device). Buyers pay more than sellers ask and both come in the same order for the
 * same quarter hours, so the load trades; what has not met its other side yet rests in its book. The open
 * orders of the preloaded state stand in books of the other direction, where nobody sells.
 *
 * Deliberately absent: settling. Delivery lies days ahead of the load. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/actions.h"
#include "contracts/delivery.h"
#include "tools/bench/bench.h"
#include "tools/wallet.h"

enum {
    READY_MS = 60000,
    PERIODS = 96,
    PERIOD_MS = 15 * 60 * 1000,
    QUANTITY_WH = 1000,
    BUY_UEUR = 250000,
    SELL_UEUR = 200000,
    REST_UEUR = 100000,
    METER_CONNECTION_W = 11000,
    SETUP_WINDOW = 48, /* one sender's nonces may run 64 ahead */
    REQUEST_BYTES = 512,
    ACTION_BYTES = 160
};

static struct name name_of(const char *text)
{
    struct name name = {{0}};
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

/* A secret that only has to be valid and different from all others. */
static void derive(struct bench_wallet *wallet, uint32_t kind, uint32_t number)
{
    uint8_t seed[8];
    struct byte_writer writer;
    struct hash hash;
    byte_writer_init(&writer, seed, sizeof seed);
    byte_write_u32(&writer, kind);
    byte_write_u32(&writer, number);
    hash_bytes(&hash, HASH_DOMAIN_SCHEDULE, seed, sizeof seed);
    memcpy(wallet->secret.bytes, hash.bytes, sizeof wallet->secret.bytes);
    MUST(schnorr_public_key(&wallet->key, &wallet->secret));
}

/* --- the cluster -------------------------------------------------------------------------------- */

static int open_founder(struct bench_world *world, struct bench_wallet *wallet, const char *name)
{
    char path[FILES_PATH_SIZE];
    snprintf(path, sizeof path, "%s/wallets/%s/key.json", world->devnet.directory, name);
    wallet->id = name_of(name);
    enum wallet_result result = wallet_open(&wallet->secret, &wallet->key, path, NULL);
    return result == WALLET_OK ? CLI_DONE
                               : cli_fail(world->cli, CLI_USAGE, "no_wallet", "%s: %s", path,
                                          wallet_result_text(result));
}

static int read_genesis(struct bench_world *world)
{
    char path[FILES_PATH_SIZE];
    char problem[160] = "unreadable";
    size_t size = 0;
    snprintf(path, sizeof path, "%s/genesis.json", world->devnet.directory);
    char *text = files_read(path, FILES_TEXT_BYTES_MAX, &size);
    bool good = text != NULL && genesis_from_json(&world->genesis, text, size, problem) &&
                genesis_hash(&world->genesis_id, &world->genesis) &&
                proof_trust_from_genesis(&world->trust, &world->genesis);
    free(text);
    return good ? CLI_DONE
                : cli_fail(world->cli, CLI_USAGE, "bad_genesis", "%s: %s", path, problem);
}

int bench_world_open(struct bench_world *world, const struct bench_options *options,
                     struct cli *cli, const char *directory)
{
    const struct devnet_plan plan = {.validators = options->validators};
    memset(world, 0, sizeof *world);
    world->options = options;
    world->cli = cli;
    world->wallets = calloc(options->wallets, sizeof world->wallets[0]);
    if (world->wallets == NULL)
        return cli_fail(cli, CLI_USAGE, "out_of_memory", "out of memory");
    int status = devnet_set_directory(cli, &world->devnet, directory);
    if (status == CLI_DONE)
        status = devnet_make(cli, &world->devnet, &plan);
    if (status == CLI_DONE)
        status = devnet_start(cli, &world->devnet, READY_MS, true);
    if (status == CLI_DONE)
        status = read_genesis(world);
    if (status == CLI_DONE)
        status = open_founder(world, &world->market_operator, "operator");
    if (status == CLI_DONE)
        status = open_founder(world, &world->treasurer, "treasurer");
    if (status == CLI_DONE)
        status = open_founder(world, &world->dso, "dso");
    return status;
}

void bench_world_close(struct bench_world *world)
{
    (void)devnet_stop(&world->devnet, DEVNET_STOP_MS);
    free(world->wallets);
}

/* --- filling ------------------------------------------------------------------------------------ */

/* Runs a list of preparations, all of which must succeed, and empties it. */
static int settle(struct bench_world *world, struct bench_list *list, const char *what)
{
    struct bench_run run;
    list->window = SETUP_WINDOW;
    int status = list->count > 0 ? bench_run(world, list, 0, 0, &run) : CLI_DONE;
    for (uint32_t i = 0; status == CLI_DONE && i < list->count; i++) {
        const struct bench_transaction *item = &list->items[i];
        if (item->refused || item->final_ns == 0 || item->status != CONTRACT_OK)
            status = cli_fail(world->cli, CLI_REFUSED, "setup_refused", "%s: %s", what,
                              item->refused ? "refused at the door"
                                            : contract_error_reason(item->status));
    }
    bench_list_close(list);
    return status;
}

static int open_setup(struct bench_world *world, struct bench_list *list, uint32_t transactions,
                      uint32_t actions)
{
    const size_t bytes = (size_t)transactions * REQUEST_BYTES + (size_t)actions * ACTION_BYTES;
    if (bench_list_open(list, transactions + 1, bytes + LIMIT_TX_BYTES))
        return CLI_DONE;
    return cli_fail(world->cli, CLI_USAGE, "out_of_memory", "out of memory");
}

static uint32_t transactions_for(uint32_t actions, uint32_t each)
{
    return (actions + each - 1) / each;
}

static void mint(struct bench_world *world, struct bench_list *list, const struct name *names,
                 uint32_t count, int64_t ueur)
{
    static struct token_mint mints[LIMIT_ACTIONS_PER_TX];
    static struct transaction_draft_action actions[LIMIT_ACTIONS_PER_TX];
    for (uint32_t i = 0; i < count; i++) {
        mints[i] = (struct token_mint){.to = names[i], .amount = money_of(ueur)};
        random_bytes(&mints[i].receipt, sizeof mints[i].receipt);
        actions[i] = (struct transaction_draft_action){ACTION_TOKEN_MINT, &mints[i]};
    }
    bench_list_add(list, world, &world->treasurer, 0, actions, count);
}

static int fund_founders(struct bench_world *world)
{
    struct bench_list list;
    const struct name names[] = {world->market_operator.id, world->dso.id, name_of("meters")};
    int status = open_setup(world, &list, 1, 3);
    if (status != CLI_DONE)
        return status;
    mint(world, &list, names, 3, INT64_C(1000000000000));
    return settle(world, &list, "funding the operators");
}

/* Everybody with an account: first the wallets of the load, then those that only have money. */
static void describe(struct bench_world *world, uint32_t number, struct participant_register *out)
{
    char text[NAME_SIZE + 1];
    struct bench_wallet other;
    struct bench_wallet *wallet =
        number < world->options->wallets ? &world->wallets[number] : &other;
    memset(wallet, 0, sizeof *wallet);
    snprintf(text, sizeof text, "w-%u", number);
    derive(wallet, 0, number);
    wallet->id = name_of(text);
    wallet->sells = number % 2 == 1;
    snprintf(text, sizeof text, "dev-%u", number);
    wallet->device = name_of(text);
    *out = (struct participant_register){.id = wallet->id,
                                         .key = wallet->key,
                                         .roles = number >= world->options->wallets ? ROLE_PROSUMER
                                                  : wallet->sells ? ROLE_AGGREGATOR
                                                                  : ROLE_DSO};
}

static int make_accounts(struct bench_world *world)
{
    static struct participant_register entries[LIMIT_ACTIONS_PER_TX];
    static struct transaction_draft_action actions[LIMIT_ACTIONS_PER_TX];
    static struct name names[LIMIT_ACTIONS_PER_TX];
    const uint32_t total = world->options->accounts;
    struct bench_list list;
    struct bench_list money;
    int status = open_setup(world, &list, transactions_for(total, LIMIT_ACTIONS_PER_TX), total);
    if (status != CLI_DONE)
        return status;
    status = open_setup(world, &money, transactions_for(total, LIMIT_ACTIONS_PER_TX), total);
    if (status != CLI_DONE) {
        bench_list_close(&list);
        return status;
    }
    for (uint32_t at = 0; at < total; at += LIMIT_ACTIONS_PER_TX) {
        uint32_t count = total - at < LIMIT_ACTIONS_PER_TX ? total - at : LIMIT_ACTIONS_PER_TX;
        for (uint32_t i = 0; i < count; i++) {
            describe(world, at + i, &entries[i]);
            names[i] = entries[i].id;
            actions[i] =
                (struct transaction_draft_action){ACTION_PARTICIPANT_REGISTER, &entries[i]};
        }
        bench_list_add(&list, world, &world->market_operator, 0, actions, count);
        mint(world, &money, names, count, INT64_C(10000000000));
    }
    status = settle(world, &list, "registering accounts");
    if (status != CLI_DONE) {
        bench_list_close(&money);
        return status;
    }
    return settle(world, &money, "funding accounts");
}

static int make_market(struct bench_world *world)
{
    struct bench_list list;
    const int64_t now = timestamp_ms(world->genesis.time);
    const int64_t day = (int64_t)MS_PER_DAY;
    struct market_create terms = {
        .id = name_of("flex"), .zone = name_of("z1"), .directions = DIRECTIONS_BOTH};
    world->day = timestamp_of((now / day + 2) * day);
    terms.times.mtu = duration_of(PERIOD_MS);
    terms.times.mtus_per_period = 1;
    terms.times.opens = timestamp_of(now / day * day);
    terms.times.closes = timestamp_of((now / day + 30) * day);
    terms.times.gate_closure = duration_of(PERIOD_MS);
    terms.times.proof_deadline = duration_of(2 * day);
    terms.limits.quantity_step = energy_of(1);
    terms.limits.quantity_min = energy_of(1);
    terms.limits.quantity_max = energy_of(1000000);
    terms.limits.price_step = energy_price_of(1);
    terms.limits.price_max = energy_price_of(1000000);
    terms.limits.orders_per_participant = LIMIT_OPEN_ORDERS_PER_BOOK;
    terms.delivery.tolerance_permille = 950;
    int status = open_setup(world, &list, 1, 1 + (LIMIT_ACTION_BYTES / ACTION_BYTES));
    if (status != CLI_DONE)
        return status;
    const struct transaction_draft_action action = {ACTION_MARKET_CREATE, &terms};
    bench_list_add(&list, world, &world->market_operator, 0, &action, 1);
    return settle(world, &list, "creating the market");
}

/* Each seller registers its device, the DSO prequalifies all, each seller enrols its own. */
static int make_devices(struct bench_world *world)
{
    const uint32_t wallets = world->options->wallets;
    struct bench_list list;
    int status = CLI_DONE;
    for (int step = 0; step < 3 && status == CLI_DONE; step++) {
        status = open_setup(world, &list, wallets, 3 * wallets);
        for (uint32_t i = 1; status == CLI_DONE && i < wallets; i += 2) {
            struct bench_wallet *wallet = &world->wallets[i];
            const struct device_register entry = {.id = wallet->device,
                                                  .type = DEVICE_STORAGE,
                                                  .max_power = power_of(INT64_C(1000000000)),
                                                  .connection = power_of(INT64_C(1000000000)),
                                                  .node = name_of("n1"),
                                                  .feeder = name_of("f1"),
                                                  .zone = name_of("z1"),
                                                  .meter_key = wallet->key};
            const struct device_status active = {wallet->device, STATUS_ACTIVE};
            const struct device_enrol enrol = {wallet->device, name_of("flex"), 1};
            const struct transaction_draft_action actions[] = {{ACTION_DEVICE_REGISTER, &entry},
                                                               {ACTION_DEVICE_STATUS, &active},
                                                               {ACTION_DEVICE_ENROL, &enrol}};
            bench_list_add(&list, world, step == 1 ? &world->dso : wallet, 0, &actions[step], 1);
        }
        if (status == CLI_DONE)
            status = settle(world, &list, "registering devices");
    }
    return status;
}

int bench_world_devices(struct bench_world *world, uint32_t count, struct name (*name)(uint32_t),
                        const struct public_key *keys)
{
    static struct device_register entries[LIMIT_ACTIONS_PER_TX];
    static struct transaction_draft_action actions[LIMIT_ACTIONS_PER_TX];
    struct bench_wallet *owner = &world->wallets[1];
    struct bench_list list;
    int status = open_setup(world, &list, transactions_for(count, LIMIT_ACTIONS_PER_TX), 2 * count);
    for (uint32_t at = 0; status == CLI_DONE && at < count; at += LIMIT_ACTIONS_PER_TX) {
        uint32_t some = count - at < LIMIT_ACTIONS_PER_TX ? count - at : LIMIT_ACTIONS_PER_TX;
        for (uint32_t i = 0; i < some; i++) {
            entries[i] = (struct device_register){.id = name(at + i),
                                                  .type = DEVICE_STORAGE,
                                                  .max_power = power_of(5000),
                                                  .connection = power_of(METER_CONNECTION_W),
                                                  .node = name_of("n1"),
                                                  .feeder = name_of("f1"),
                                                  .zone = name_of("z1"),
                                                  .meter_key = keys[at + i]};
            actions[i] = (struct transaction_draft_action){ACTION_DEVICE_REGISTER, &entries[i]};
        }
        bench_list_add(&list, world, owner, 0, actions, some);
    }
    return status == CLI_DONE ? settle(world, &list, "registering metered devices") : status;
}

static struct timestamp period(const struct bench_world *world, uint32_t number)
{
    return timestamp_of(timestamp_ms(world->day) + (int64_t)(number % PERIODS) * PERIOD_MS);
}

static void fill_request(const struct bench_world *world, struct request_place *out,
                         uint32_t number, enum direction direction, int64_t ueur)
{
    *out = (struct request_place){.market = name_of("flex"),
                                  .direction = (uint8_t)direction,
                                  .period_start = period(world, number),
                                  .quantity = energy_of(QUANTITY_WH),
                                  .price = energy_price_of(ueur)};
}

static void fill_offer(const struct bench_world *world, const struct bench_wallet *wallet,
                       struct offer_place *out, uint32_t number)
{
    const uint8_t salt[SCHEDULE_SALT_SIZE] = {1};
    const struct energy unit = energy_of(0);
    *out = (struct offer_place){.market = name_of("flex"),
                                .direction = DIRECTION_UP,
                                .period_start = period(world, number),
                                .quantity = energy_of(QUANTITY_WH),
                                .price = energy_price_of(SELL_UEUR),
                                .device = wallet->device};
    schedule_hash(&out->schedule_hash, salt, &out->device, out->period_start, &unit, 1);
}

static int make_orders(struct bench_world *world)
{
    static struct request_place requests[BENCH_BATCH_ORDERS];
    static struct transaction_draft_action actions[BENCH_BATCH_ORDERS];
    const uint32_t total = world->options->orders;
    struct bench_list list;
    int status = open_setup(world, &list, transactions_for(total, BENCH_BATCH_ORDERS), total);
    uint32_t buyer = 0;
    for (uint32_t at = 0; status == CLI_DONE && at < total; at += BENCH_BATCH_ORDERS) {
        uint32_t count = total - at < BENCH_BATCH_ORDERS ? total - at : BENCH_BATCH_ORDERS;
        for (uint32_t i = 0; i < count; i++) {
            fill_request(world, &requests[i], at + i, DIRECTION_DOWN, REST_UEUR);
            actions[i] = (struct transaction_draft_action){ACTION_REQUEST_PLACE, &requests[i]};
        }
        bench_list_add(&list, world, &world->wallets[buyer], 0, actions, count);
        buyer = (buyer + 2) % world->options->wallets;
        buyer -= buyer % 2;
    }
    return status == CLI_DONE ? settle(world, &list, "placing open orders") : status;
}

int bench_world_fill(struct bench_world *world)
{
    int status = fund_founders(world);
    if (status == CLI_DONE)
        status = make_accounts(world);
    if (status == CLI_DONE)
        status = make_market(world);
    if (status == CLI_DONE)
        status = make_devices(world);
    return status == CLI_DONE ? make_orders(world) : status;
}

/* --- the load ----------------------------------------------------------------------------------- */

int bench_world_sign(struct bench_world *world, struct bench_list *out, uint32_t count)
{
    static struct request_place requests[BENCH_BATCH_ORDERS];
    static struct offer_place offers[BENCH_BATCH_ORDERS];
    static struct transaction_draft_action actions[BENCH_BATCH_ORDERS];
    const uint32_t each = world->options->mode == BENCH_BATCH ? BENCH_BATCH_ORDERS : 1;
    const size_t bytes = (size_t)count * (REQUEST_BYTES + (size_t)each * ACTION_BYTES);
    if (!bench_list_open(out, count, bytes + LIMIT_TX_BYTES))
        return cli_fail(world->cli, CLI_USAGE, "out_of_memory", "out of memory for %u transactions",
                        count);
    for (uint32_t at = 0; at < count; at++) {
        struct bench_wallet *wallet = &world->wallets[at % world->options->wallets];
        for (uint32_t i = 0; i < each; i++) {
            const uint32_t number = at / 2 * each + i; /* the same for a buyer and its seller */
            if (wallet->sells)
                fill_offer(world, wallet, &offers[i], number);
            else
                fill_request(world, &requests[i], number, DIRECTION_UP, BUY_UEUR);
            actions[i] =
                wallet->sells
                    ? (struct transaction_draft_action){ACTION_OFFER_PLACE, &offers[i]}
                    : (struct transaction_draft_action){ACTION_REQUEST_PLACE, &requests[i]};
        }
        /* A wallet stays with one validator, so that its nonces come in their order. */
        bench_list_add(out, world, wallet,
                       at % world->options->wallets / 2 % world->options->validators, actions,
                       each);
    }
    return CLI_DONE;
}
