/* What the simulated wallets do on the ledger: a market operator, a DSO and two aggregators with a
 * device each. A transaction's actions follow from its wallet and nonce alone, so that each is signed
 * once per process; steps that need another wallet's to come first (a device must be registered before
 * it is prequalified, prequalified before it is enrolled) come round again, because faults may turn
 * their order.
 *
 * Gates of the markets close some seconds after genesis, one after the other; everybody's clock may
 * leap over the rest of the delivery (SIM_EVENT_LEAP), behind which every deal is refunded.
 *
 * Deliberately absent: meters and proofs of delivery, whose witnesses are too dear for this loop. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

enum { OPERATOR = 0, DSO = 1, MARKETS = 3, PERIOD_MS = 900000, STEP_WH = 20, ROUND = 8 };

static struct name label(const char *kind, uint32_t number)
{
    char text[NAME_SIZE];
    struct name name;
    (void)snprintf(text, sizeof text, "%s%u", kind, number);
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

static union action_record *add(struct transaction_draft *draft, struct sim_actions *kept,
                                enum action_type type)
{
    union action_record *record = &kept->records[draft->action_count];
    memset(record, 0, sizeof *record);
    draft->actions[draft->action_count].type = (uint8_t)type;
    draft->actions[draft->action_count].record = record;
    draft->action_count++;
    return record;
}

static void create_markets(struct transaction_draft *draft, struct sim_actions *kept)
{
    for (uint32_t i = 0; i < MARKETS; i++) {
        struct market_create *terms = &add(draft, kept, ACTION_MARKET_CREATE)->market_create;
        terms->id = label("market", i);
        terms->zone = label("zone", 0);
        terms->mtu = duration_of(PERIOD_MS);
        terms->mtus_per_period = 1;
        terms->opens = timestamp_of(SIM_GENESIS_MS);
        terms->closes = timestamp_of(SIM_GENESIS_MS + MS_PER_DAY);
        terms->gate_closure = duration_of(PERIOD_MS - 4000 - 2500 * (int64_t)i);
        terms->proof_deadline = duration_of(1000);
        terms->quantity_step = energy_of(STEP_WH);
        terms->quantity_min = energy_of(STEP_WH);
        terms->quantity_max = energy_of(1000);
        terms->price_step = energy_price_of(1);
        terms->price_max = energy_price_of(1000000);
        terms->tolerance_permille = 950;
    }
}

static void register_device(struct transaction_draft *draft, struct sim_actions *kept,
                            uint32_t wallet)
{
    struct device_register *device = &add(draft, kept, ACTION_DEVICE_REGISTER)->device_register;
    struct secret_key secret = {{(uint8_t)wallet, 0x33}};
    device->id = label("device", wallet);
    device->type = DEVICE_STORAGE;
    device->max_power = power_of(50000);
    device->capacity = energy_of(13500);
    device->connection = power_of(60000);
    device->node = label("node", wallet);
    device->feeder = label("feeder", 0);
    device->zone = label("zone", 0);
    MUST(schnorr_public_key(&device->meter_key, &secret));
}

static void enrol_device(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet)
{
    for (uint32_t i = 0; i < MARKETS; i++) {
        struct device_enrol *enrol = &add(draft, kept, ACTION_DEVICE_ENROL)->device_enrol;
        enrol->device = label("device", wallet);
        enrol->market = label("market", i);
        enrol->enrolled = 1;
    }
}

static void place_orders(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet,
                         uint64_t nonce)
{
    for (uint32_t i = 0; i < MARKETS; i++) {
        struct timestamp start =
            timestamp_of(SIM_GENESIS_MS + PERIOD_MS * (int64_t)(1 + (nonce + i) % 3));
        struct energy quantity = energy_of(STEP_WH * (int64_t)(1 + (nonce * 7 + i) % 5));
        struct energy_price price = energy_price_of(100000 + (int64_t)(nonce % 16) * 1000);
        uint8_t direction = nonce % 5 == 0 ? DIRECTION_DOWN : DIRECTION_UP;
        if (wallet == DSO) {
            add(draft, kept, ACTION_REQUEST_PLACE)->request_place =
                (struct request_place){.market = label("market", i),
                                       .direction = direction,
                                       .period_start = start,
                                       .quantity = quantity,
                                       .price = price};
            continue;
        }
        struct offer_place *offer = &add(draft, kept, ACTION_OFFER_PLACE)->offer_place;
        *offer = (struct offer_place){.market = label("market", i),
                                      .direction = direction,
                                      .period_start = start,
                                      .quantity = quantity,
                                      .price = price,
                                      .device = label("device", wallet)};
        memset(offer->schedule_hash.bytes, 0x5c, HASH_SIZE);
    }
}

static void transfer(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet,
                     uint64_t nonce)
{
    struct token_transfer *record = &add(draft, kept, ACTION_TOKEN_TRANSFER)->token_transfer;
    record->to = label("wallet", (wallet + 1 + (uint32_t)nonce % (SIM_WALLETS - 1)) % SIM_WALLETS);
    record->amount = money_of(1000 + (int64_t)nonce);
}

void sim_market_actions(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet,
                        uint64_t nonce)
{
    uint64_t step = (nonce - 1) % ROUND;
    if (wallet == OPERATOR && nonce == 1) {
        create_markets(draft, kept);
    } else if (wallet == OPERATOR || step == ROUND - 1) {
        transfer(draft, kept, wallet, nonce);
    } else if (wallet == DSO && step < 2) {
        struct device_status *status = &add(draft, kept, ACTION_DEVICE_STATUS)->device_status;
        status->device = label("device", 2 + (uint32_t)step);
        status->status = STATUS_ACTIVE;
    } else if (wallet != DSO && nonce == 1) {
        register_device(draft, kept, wallet);
    } else if (wallet != DSO && (step == 1 || step == 2)) {
        enrol_device(draft, kept, wallet);
    } else if (step == ROUND - 2) {
        /* Ids count from 1 in the chain's order, which a wallet that signs beforehand can't know:
         * many of these hit another's order or none and are refused. */
        add(draft, kept, ACTION_ORDER_CANCEL)->order_cancel.order = 1 + wallet + nonce;
    } else {
        place_orders(draft, kept, wallet, nonce);
    }
}
