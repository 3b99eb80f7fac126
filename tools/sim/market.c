/* What the simulated wallets do on the ledger: a market operator, a DSO and two aggregators with a
 * device each, of which one may admit its own and so trades early. A transaction's actions follow from its wallet and nonce alone, so that each is signed
 * once per process; steps that need another wallet's to come first (a device must be registered before
 * it is prequalified, prequalified before it is enrolled) come round again, because faults may turn
 * their order.
 *
 * Gates of the markets close some seconds after genesis, one after the other; everybody's clock may
 * leap over the rest of a delivery (SIM_EVENT_LEAP), and past the time for its proof or not: behind it
 * the meters' fingerprints are posted, and deals are proven (meter.c) or refunded. The one thing that
 * does not follow from wallet and nonce is which deal the DSO proves: a run chooses it by its ledger. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

enum {
    OPERATOR = SIM_METER_OPERATOR,
    DSO = SIM_DSO,
    BATTERY = 2,
    OTHER = 3,
    MARKETS = 3,
    STEP_WH = 20,
    ROUND = 8
};

enum { PROOF_MS_MAX = 600000, PROOF_MS_MIN = 1000 }; /* one market leaves hardly any time */

struct name sim_label(const char *kind, uint32_t number)
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
        terms->id = sim_label("market", i);
        terms->zone = sim_label("zone", 0);
        terms->times.mtu = duration_of(SIM_PERIOD_MS);
        terms->times.mtus_per_period = 1;
        terms->times.opens = timestamp_of(SIM_GENESIS_MS);
        terms->times.closes = timestamp_of(SIM_GENESIS_MS + MS_PER_DAY);
        terms->times.gate_closure = duration_of(SIM_PERIOD_MS - 4000 - 2500 * (int64_t)i);
        terms->times.proof_deadline = duration_of(i == 1 ? PROOF_MS_MIN : PROOF_MS_MAX);
        terms->limits.quantity_step = energy_of(STEP_WH);
        terms->limits.quantity_min = energy_of(STEP_WH);
        terms->limits.quantity_max = energy_of(1000);
        terms->limits.price_step = energy_price_of(1);
        terms->limits.price_max = energy_price_of(1000000);
        terms->limits.orders_per_participant = 1000;
        terms->delivery.tolerance_permille = 950;
    }
}

static void register_device(struct transaction_draft *draft, struct sim_actions *kept,
                            uint32_t wallet)
{
    struct device_register *device = &add(draft, kept, ACTION_DEVICE_REGISTER)->device_register;
    device->id = sim_label("device", wallet);
    device->type = DEVICE_STORAGE;
    device->max_power = power_of(50000);
    device->capacity = energy_of(13500);
    device->connection = power_of(60000);
    device->node = sim_label("node", wallet);
    device->feeder = sim_label("feeder", 0);
    device->zone = sim_label("zone", 0);
    sim_meter_key(wallet, &device->meter_key);
}

static void admit_device(struct transaction_draft *draft, struct sim_actions *kept, uint32_t device)
{
    struct device_status *status = &add(draft, kept, ACTION_DEVICE_STATUS)->device_status;
    status->device = sim_label("device", device);
    status->status = STATUS_ACTIVE;
}

static void enrol_device(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet)
{
    for (uint32_t i = 0; i < MARKETS; i++) {
        struct device_enrol *enrol = &add(draft, kept, ACTION_DEVICE_ENROL)->device_enrol;
        enrol->device = sim_label("device", wallet);
        enrol->market = sim_label("market", i);
        enrol->enrolled = 1;
    }
}

static void place_orders(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet,
                         uint64_t nonce)
{
    for (uint32_t i = 0; i < MARKETS; i++) {
        uint32_t period = 1 + (uint32_t)(nonce + i) % 4 % SIM_PERIODS;
        struct timestamp start = timestamp_of(SIM_GENESIS_MS + SIM_PERIOD_MS * (int64_t)period);
        struct energy quantity = energy_of(STEP_WH * (int64_t)(1 + (nonce * 7 + i) % 5));
        struct energy_price price = energy_price_of(100000 + (int64_t)(nonce % 16) * 1000);
        uint8_t direction = nonce % 5 == 0 ? DIRECTION_DOWN : DIRECTION_UP;
        if (wallet == DSO) {
            add(draft, kept, ACTION_REQUEST_PLACE)->request_place =
                (struct request_place){.market = sim_label("market", i),
                                       .direction = direction,
                                       .period_start = start,
                                       .quantity = quantity,
                                       .price = price};
            continue;
        }
        struct offer_place *offer = &add(draft, kept, ACTION_OFFER_PLACE)->offer_place;
        *offer = (struct offer_place){.market = sim_label("market", i),
                                      .direction = direction,
                                      .period_start = start,
                                      .quantity = quantity,
                                      .price = price,
                                      .device = sim_label("device", wallet)};
        sim_meter_schedule(wallet, period, &offer->schedule_hash);
    }
}

static void transfer(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet,
                     uint64_t nonce)
{
    struct token_transfer *record = &add(draft, kept, ACTION_TOKEN_TRANSFER)->token_transfer;
    record->to =
        sim_label("wallet", (wallet + 1 + (uint32_t)nonce % (SIM_WALLETS - 1)) % SIM_WALLETS);
    /* On both sides of what tests/lib/preview makes the least amount. */
    record->amount = money_of(nonce % 2 == 0 ? 1000 + (int64_t)nonce : 999 - (int64_t)nonce);
}

bool sim_market_may_prove(uint32_t wallet, uint64_t nonce)
{
    uint64_t step = (nonce - 1) % ROUND;
    return wallet == DSO && step > 2;
}

void sim_market_actions(struct transaction_draft *draft, struct sim_actions *kept, uint32_t wallet,
                        uint64_t nonce, const struct sim_delivery *proof)
{
    uint64_t step = (nonce - 1) % ROUND;
    if (proof->deal != 0) {
        add(draft, kept, ACTION_DELIVERY_PROVE)->delivery_prove.deal = proof->deal;
        draft->witness = sim_meter_witness(proof->device, proof->period);
    } else if (wallet == OPERATOR && nonce == 1) {
        create_markets(draft, kept);
    } else if (wallet == OPERATOR && nonce % 4 != 1) {
        sim_meter_batch(&add(draft, kept, ACTION_METER_BATCH)->meter_batch,
                        1 + (uint32_t)nonce % 2);
    } else if (wallet == OPERATOR || step == ROUND - 1) {
        transfer(draft, kept, wallet, nonce);
    } else if (wallet == DSO && step == 2) {
        admit_device(draft, kept, OTHER);
    } else if (wallet == BATTERY && nonce <= 2) {
        register_device(draft, kept, wallet);
        admit_device(draft, kept, wallet);
        enrol_device(draft, kept, wallet);
    } else if (wallet == OTHER && nonce == 1) {
        register_device(draft, kept, wallet);
    } else if (wallet == OTHER && (step == 2 || step == 3)) {
        enrol_device(draft, kept, wallet);
    } else if (step == ROUND - 2) {
        /* Ids count from 1 in the chain's order, which a wallet that signs beforehand can't know:
         * many of these hit another's order or none and are refused. */
        add(draft, kept, ACTION_ORDER_CANCEL)->order_cancel.order = 1 + wallet + nonce;
    } else {
        place_orders(draft, kept, wallet, nonce);
    }
}
