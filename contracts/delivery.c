/* Fingerprints of meter readings, proofs of delivery, and the end of every deal (D5.5 3.2.6; D2.3
 * 4.2.2 to 4.2.6; market-rules 9; docs/spec/delivery.md).
 *
 *   matched --- proof, credited in full ----------------------------> settled
 *      |------- proof, credited in part ----------------------------> partial
 *      '------- proof, nothing credited; or no proof by deadline ---> refunded
 *
 * Invariants:
 * 1. A deal is in the deadline index if and only if it is matched; so every escrow ends, by a proof
 *    or by the sweep at the end of a block.
 * 2. When a deal ends, its whole escrow leaves its pot: to seller, fee pool and buyer; and so does the
 *    provider's deposit: the penalty to the buyer, the rest to the seller.
 * 3. A watt-hour of a device, market time unit and direction is credited to one deal at most: what
 *    the first proof takes, the next one finds gone. In one unit a device is credited for one
 *    direction only, whatever schedules its offers declared.
 * 4. A fingerprint is replaced only by its next revision, with a reason, while it can still matter.
 *
 * Deliberately absent: disputes and baselines on the ledger, and the readings themselves: they pass through in a
 * witness, and the state never holds them. What records look like is in delivery_records.c. */
#include "contracts/delivery.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/book.h"
#include "contracts/market.h"
#include "crypto/merkle.h"

/* --- fingerprints ------------------------------------------------------------------------- */

static enum contract_error check_batch(const struct contract_call *call,
                                       const struct meter_batch *batch)
{
    struct timestamp end;
    struct timestamp last;
    if (timestamp_ms(batch->interval_start) < 0 || duration_ms(batch->interval) <= 0 ||
        duration_ms(batch->interval) > MS_PER_DAY ||
        timestamp_ms(batch->interval_start) % duration_ms(batch->interval) != 0 ||
        batch->count == 0 || batch->count > 1u << LIMIT_MERKLE_PATH ||
        !timestamp_add(&end, batch->interval_start, batch->interval) ||
        !timestamp_add(&last, end, duration_of(limit_meter_batch_ms))) {
        return CONTRACT_BAD_PARAMETER;
    }
    if (timestamp_compare(call->context->time, end) < 0) {
        return CONTRACT_TOO_EARLY;
    }
    return timestamp_compare(call->context->time, last) < 0 ? CONTRACT_OK : CONTRACT_TOO_LATE;
}

static enum contract_error check_revision(const struct meter_batch *batch,
                                          const struct batch_record *before)
{
    if (before == NULL) {
        return batch->revision == 0 && batch->reason.size == 0 ? CONTRACT_OK
                                                               : CONTRACT_BAD_REVISION;
    }
    bool next = before->revision < UINT32_MAX && batch->revision == before->revision + 1;
    if (!next || batch->reason.size == 0) {
        return CONTRACT_BAD_REVISION;
    }
    /* A batch is about the same interval whatever its revision. */
    return duration_ms(batch->interval) == duration_ms(before->interval) ? CONTRACT_OK
                                                                         : CONTRACT_BAD_PARAMETER;
}

static enum contract_error meter_batch(struct contract_call *call, const void *record)
{
    const struct meter_batch *batch = record;
    if (!contract_has_role(call, ROLE_METER_OPERATOR)) {
        return CONTRACT_NOT_PERMITTED;
    }
    enum contract_error error = check_batch(call, batch);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct state_key key = state_key_batch(&call->sender, &batch->id, batch->interval_start);
    struct batch_record before;
    bool present = contract_read(call, &key, &batch_record_codec, &before);
    error = check_revision(batch, present ? &before : NULL);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct batch_record posted = {.interval = batch->interval,
                                  .count = batch->count,
                                  .root = batch->root,
                                  .revision = batch->revision,
                                  .posted = call->context->time};
    contract_write(call, &key, &batch_record_codec, &posted);
    return CONTRACT_OK;
}

/* --- how a deal ends ---------------------------------------------------------------------- */

static void pay_from(const struct contract_call *call, struct pot_id from, struct pot_id to,
                     struct money amount)
{
    if (money_ueur(amount) > 0) {
        enum contract_error error = token_move(call, from, to, amount);
        MUST(error == CONTRACT_OK || call->view->fault);
    }
}

static void pay(const struct contract_call *call, uint64_t deal, struct pot_id to,
                struct money amount)
{
    pay_from(call, pot_deal_escrow(deal), to, amount);
}

/* The buyer gets the penalty, the seller what is left of its deposit. */
static void end_deposit(const struct contract_call *call, struct event_deal *ended,
                        struct money penalty)
{
    struct deal_record *deal = &ended->deal;
    struct money rest;
    MUST(money_sub(&rest, deal->deposit, penalty) && money_ueur(rest) >= 0);
    deal->penalty = penalty;
    pay_from(call, pot_deal_deposit(ended->id), pot_balance(&deal->buyer), penalty);
    pay_from(call, pot_deal_deposit(ended->id), pot_balance(&deal->seller), rest);
}

/* Stores the deal's end once its escrow has been paid out. */
static void end_deal(struct contract_call *call, struct event_deal *ended, enum deal_state state)
{
    MUST(ended->deal.state == DEAL_MATCHED && state != DEAL_MATCHED);
    MUST(money_ueur(token_amount(call, pot_deal_escrow(ended->id))) == 0 || call->view->fault);
    MUST(money_ueur(token_amount(call, pot_deal_deposit(ended->id))) == 0 || call->view->fault);
    ended->deal.state = (uint8_t)state;
    ended->deal.settled_height = call->context->height;
    struct state_key key = state_key_u64(STATE_DEAL, ended->id);
    contract_write(call, &key, &deal_record_codec, &ended->deal);
    struct state_key deadline =
        state_key_deadline(ended->deal.proof_deadline, DEADLINE_PROOF, ended->id);
    contract_remove(call, &deadline);
    contract_event(call, EVENT_DEAL_ENDED, ended);
}

static struct money deal_fee(const struct contract_call *call, struct money paid)
{
    struct params_record params;
    struct state_key key = state_key_single(STATE_PARAMS);
    if (!book_read(call, &key, &params_record_codec, &params)) {
        return money_of(0);
    }
    return money_min(params.fee_per_deal, paid);
}

/* The seller gets what it earned less the deal's fee, the fee pool the fee and the rounding, the
 * buyer the rest. */
static void settle_deal(struct contract_call *call, struct event_deal *ended,
                        const struct settlement_result *result, struct energy credited)
{
    struct deal_record *deal = &ended->deal;
    struct money net;
    struct money pool;
    deal->credited = credited;
    deal->paid = result->paid;
    deal->refunded = result->refunded;
    deal->fee = deal_fee(call, result->paid);
    MUST(money_sub(&net, result->paid, deal->fee));
    MUST(money_add(&pool, deal->fee, result->remainder));
    pay(call, ended->id, pot_balance(&deal->seller), net);
    pay(call, ended->id, pot_fees(), pool);
    pay(call, ended->id, pot_balance(&deal->buyer), result->refunded);
    end_deposit(call, ended, result->penalty);
    enum deal_state state = result->full              ? DEAL_SETTLED
                            : energy_wh(credited) > 0 ? DEAL_PARTIAL
                                                      : DEAL_REFUNDED;
    end_deal(call, ended, state);
}

/* All of the terms but what was delivered, which is zero. */
static void begin_settlement(struct settlement_terms *out, const struct deal_record *deal,
                             const struct market_create *market)
{
    int64_t per_unit = energy_wh(deal->contracted) / market->times.mtus_per_period;
    *out = (struct settlement_terms){.price = deal->price,
                                     .penalty_price = market->delivery.penalty_price,
                                     .deposit = deal->deposit,
                                     .escrow = deal->escrow,
                                     .tolerance_permille = market->delivery.tolerance_permille,
                                     .floor_permille = market->delivery.floor_permille,
                                     .count = market->times.mtus_per_period};
    for (uint32_t i = 0; i < out->count; i++) {
        out->contracted[i] = energy_of(per_unit);
    }
}

static void refund_deal(struct contract_call *call, uint64_t id)
{
    struct event_deal ended = {.id = id};
    struct state_key key = state_key_u64(STATE_DEAL, id);
    if (!book_read(call, &key, &deal_record_codec, &ended.deal)) {
        return;
    }
    struct settlement_terms terms;
    struct settlement_result result;
    struct market_create market;
    if (!market_terms_read(call, &ended.deal.market, ended.deal.version, &market)) {
        return;
    }
    /* What nobody has proven was not delivered: the same arithmetic, with nothing in every unit. */
    begin_settlement(&terms, &ended.deal, &market);
    MUST(settlement_compute(&result, &terms) == SETTLEMENT_OK);
    MUST(money_compare(result.refunded, ended.deal.escrow) == 0);
    ended.deal.refunded = result.refunded;
    pay(call, id, pot_balance(&ended.deal.buyer), result.refunded);
    end_deposit(call, &ended, result.penalty);
    end_deal(call, &ended, DEAL_REFUNDED);
}

/* --- the proof ---------------------------------------------------------------------------- */

/* What a proof is about, read before anything is checked against it. */
struct proof {
    struct event_deal ended; /* the deal as it will end */
    struct market_create terms;
    struct device_record device;
};

static enum contract_error open_proof(const struct contract_call *call, uint64_t id,
                                      struct proof *out)
{
    *out = (struct proof){.ended = {.id = id}};
    struct deal_record *deal = &out->ended.deal;
    struct state_key key = state_key_u64(STATE_DEAL, id);
    if (!contract_read(call, &key, &deal_record_codec, deal)) {
        return CONTRACT_UNKNOWN_DEAL;
    }
    if (name_compare(&call->sender, &deal->buyer) != 0 &&
        name_compare(&call->sender, &deal->seller) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (deal->state != DEAL_MATCHED) {
        return CONTRACT_DEAL_NOT_OPEN;
    }
    /* One proof per transaction: its witness speaks of one deal, and it bounds the signatures that
     * a block of small transactions can ask for. */
    if (call->transaction->action_count != 1) {
        return CONTRACT_BAD_PARAMETER;
    }
    struct state_key device_key = state_key_name(STATE_DEVICE, &deal->device);
    if (!market_terms_read(call, &deal->market, deal->version, &out->terms) ||
        !book_read(call, &device_key, &device_record_codec, &out->device)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    struct book_times times;
    MUST(book_times_of(&times, &out->terms, deal->period_start));
    if (timestamp_compare(call->context->time, times.end) < 0) {
        return CONTRACT_TOO_EARLY;
    }
    return timestamp_compare(call->context->time, deal->proof_deadline) < 0 ? CONTRACT_OK
                                                                            : CONTRACT_TOO_LATE;
}

static struct timestamp unit_start(const struct proof *proof, uint32_t unit)
{
    struct timestamp start;
    struct duration offset = duration_of(duration_ms(proof->terms.times.mtu) * unit);
    MUST(timestamp_add(&start, proof->ended.deal.period_start, offset));
    return start;
}

static bool has_schedule(const struct proof *proof)
{
    return proof->terms.delivery.method == DELIVERY_SCHEDULE ||
           proof->terms.delivery.method == DELIVERY_SUBMETER;
}

/* What a unit's reading is held against: the declared value, or the limit. A cap is the connection's
 * capacity less what was sold of it, rounded down: the seller may import less than a watt-hour too
 * little. A floor is what was sold. */
static struct energy against_of(const struct proof *proof, const struct delivery_witness *witness,
                                uint32_t unit, struct energy contracted)
{
    struct energy limit;
    switch ((enum delivery_method)proof->terms.delivery.method) {
    case DELIVERY_SCHEDULE:
    case DELIVERY_SUBMETER:
        return witness->units[unit].net;
    case DELIVERY_CAPACITY_CAP:
        MUST(energy_sub(&limit, market_connection_unit(&proof->terms, &proof->device), contracted));
        return limit;
    case DELIVERY_CAPACITY_FLOOR:
        return contracted;
    case DELIVERY_BASELINE:
        break;
    }
    MUST(false);
    return energy_of(0);
}

static enum contract_error check_schedule(const struct proof *proof,
                                          const struct delivery_witness *witness)
{
    const struct deal_record *deal = &proof->ended.deal;
    static const uint8_t no_salt[SCHEDULE_SALT_SIZE];
    if (!has_schedule(proof)) {
        bool none = witness->unit_count == 0 &&
                    memcmp(witness->schedule_salt, no_salt, sizeof no_salt) == 0;
        return none ? CONTRACT_OK : CONTRACT_BAD_SCHEDULE;
    }
    if (witness->unit_count != proof->terms.times.mtus_per_period) {
        return CONTRACT_BAD_SCHEDULE;
    }
    struct energy units[LIMIT_INTERVALS_PER_PERIOD];
    for (uint32_t i = 0; i < witness->unit_count; i++) {
        units[i] = witness->units[i].net;
    }
    struct hash hash;
    schedule_hash(&hash, witness->schedule_salt, &deal->device, deal->period_start, units,
                  witness->unit_count);
    return hash_equal(&hash, &deal->schedule_hash) ? CONTRACT_OK : CONTRACT_BAD_SCHEDULE;
}

/* The cheap checks come before the signature and the path. */
static enum contract_error check_reading(const struct contract_call *call,
                                         const struct proof *proof, uint32_t unit,
                                         const struct revealed_reading *revealed)
{
    const struct meter_reading *reading = &revealed->reading;
    struct timestamp start = unit_start(proof, unit);
    bool sub = proof->terms.delivery.method == DELIVERY_SUBMETER;
    if (name_compare(&reading->device, &proof->ended.deal.device) != 0 ||
        reading->meter != (sub ? METER_SUB : METER_CERTIFIED) ||
        timestamp_compare(reading->interval_start, start) != 0 ||
        duration_ms(reading->interval) != duration_ms(proof->terms.times.mtu)) {
        return CONTRACT_BAD_READING;
    }
    struct batch_record batch;
    struct state_key key = state_key_batch(&revealed->meter_operator, &revealed->batch, start);
    if (!contract_read(call, &key, &batch_record_codec, &batch)) {
        return CONTRACT_UNKNOWN_BATCH;
    }
    if (duration_ms(batch.interval) != duration_ms(reading->interval)) {
        return CONTRACT_BAD_READING;
    }
    struct merkle_proof path = {.count = revealed->path_count};
    for (uint32_t i = 0; i < revealed->path_count; i++) {
        path.siblings[i] = revealed->path[i];
    }
    struct hash hash;
    meter_reading_leaf(&hash, revealed->salt, reading);
    if (revealed->index >= batch.count ||
        !merkle_verify(&path, &hash, revealed->index, batch.count, &batch.root)) {
        return CONTRACT_BAD_PROOF;
    }
    meter_reading_message(&hash, reading);
    return schnorr_verify(&reading->signature,
                          sub ? &proof->device.submeter_key : &proof->device.meter_key, &hash)
               ? CONTRACT_OK
               : CONTRACT_BAD_METER_SIGNATURE;
}

static struct state_key used_key(const struct proof *proof, uint32_t unit, uint8_t direction)
{
    return state_key_unit(STATE_USED, &proof->ended.deal.device, unit_start(proof, unit),
                          direction);
}

static struct energy used_before(const struct contract_call *call, const struct proof *proof,
                                 uint32_t unit, uint8_t direction)
{
    struct used_record used = {.quantity = energy_of(0)};
    struct state_key key = used_key(proof, unit, direction);
    (void)contract_read(call, &key, &used_record_codec, &used);
    return used.quantity;
}

/* What a deal finds of the energy that its schedule says was delivered in a unit. Each offer declares
 * its own schedule, so two of them could have one device regulate up and down at once; what was
 * credited the one way was, seen the other way, delivered less than nothing. False on overflow. */
static bool left_of(const struct contract_call *call, const struct proof *proof, uint32_t unit,
                    struct energy *delivered)
{
    const uint8_t direction = proof->ended.deal.direction;
    const uint8_t opposite = direction == DIRECTION_UP ? DIRECTION_DOWN : DIRECTION_UP;
    struct energy most;
    if (!energy_sub(delivered, *delivered, used_before(call, proof, unit, direction))) {
        return false;
    }
    struct energy other_way = used_before(call, proof, unit, opposite);
    if (energy_wh(other_way) > 0) {
        MUST(energy_sub(&most, energy_of(0), other_way));
        *delivered = energy_min(*delivered, most);
    }
    return true;
}

/* Fills the settlement's terms: per unit what was contracted, and what was delivered and no other
 * deal has been credited with. */
static enum contract_error measure(const struct contract_call *call, struct proof *proof,
                                   const struct delivery_witness *witness,
                                   struct settlement_terms *terms)
{
    struct deal_record *deal = &proof->ended.deal;
    begin_settlement(terms, deal, &proof->terms);
    deal->delivered = energy_of(0);
    for (uint32_t i = 0; i < terms->count; i++) {
        struct energy *delivered = &terms->delivered[i];
        const struct energy against = against_of(proof, witness, i, terms->contracted[i]);
        if (!delivery_measured(delivered, (enum delivery_method)proof->terms.delivery.method,
                               (enum direction)deal->direction, terms->contracted[i], against,
                               witness->readings[i].reading.net) ||
            !left_of(call, proof, i, delivered) ||
            !energy_add(&deal->delivered, deal->delivered, *delivered)) {
            return CONTRACT_BAD_READING;
        }
    }
    return CONTRACT_OK;
}

/* Takes what was credited off what later proofs find; returns the sum of it. Within the tolerance
 * more is credited than was delivered, and only what was delivered is taken. */
static struct energy use_up(const struct contract_call *call, const struct proof *proof,
                            const struct settlement_terms *terms,
                            const struct settlement_result *result)
{
    struct energy sum = energy_of(0);
    for (uint32_t i = 0; i < terms->count; i++) {
        MUST(energy_add(&sum, sum, result->credited[i]));
        struct energy taken = energy_min(result->credited[i], terms->delivered[i]);
        if (energy_wh(taken) <= 0) {
            continue;
        }
        struct used_record used;
        const uint8_t direction = proof->ended.deal.direction;
        MUST(energy_add(&used.quantity, used_before(call, proof, i, direction), taken));
        struct state_key key = used_key(proof, i, direction);
        contract_write(call, &key, &used_record_codec, &used);
    }
    return sum;
}

static enum contract_error delivery_prove(struct contract_call *call, const void *record)
{
    const struct delivery_prove *prove = record;
    struct proof proof;
    enum contract_error error = open_proof(call, prove->deal, &proof);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct delivery_witness witness;
    if (!codec_decode_all(&delivery_witness_record, &witness, call->transaction->witness)) {
        return CONTRACT_BAD_READING;
    }
    error = check_schedule(&proof, &witness);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (witness.reading_count != proof.terms.times.mtus_per_period) {
        return CONTRACT_BAD_READING;
    }
    for (uint32_t i = 0; i < witness.reading_count; i++) {
        error = check_reading(call, &proof, i, &witness.readings[i]);
        if (error != CONTRACT_OK) {
            return error;
        }
    }
    struct settlement_terms terms;
    error = measure(call, &proof, &witness, &terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct settlement_result result;
    /* Admission bounded price and quantity, and the book funded the deal for the whole of them. */
    MUST(settlement_compute(&result, &terms) == SETTLEMENT_OK);
    /* It held price x contracted, rounded: the fee pool gains a rounding and no more. */
    MUST(money_ueur(result.remainder) <= 1);
    struct energy credited = use_up(call, &proof, &terms, &result);
    settle_deal(call, &proof.ended, &result, credited);
    return CONTRACT_OK;
}

/* --- deadlines ---------------------------------------------------------------------------- */

static void expire_order(struct contract_call *call, uint64_t id)
{
    struct order_record order;
    struct market_record market;
    struct state_key key = state_key_u64(STATE_ORDER, id);
    if (!book_read(call, &key, &order_record_codec, &order)) {
        return;
    }
    struct state_key market_key = state_key_name(STATE_MARKET, &order.market);
    if (book_read(call, &market_key, &market_record_codec, &market)) {
        book_end_order(call, id, &order, &market.terms, ORDER_EXPIRED);
    }
}

/* Ends what is due, the longest due first: open orders at gate closure, matched deals without a
 * proof. One sweep for both, since they share one index. */
static void sweep_deadlines(struct contract_call *call)
{
    struct state_key prefix = state_key_single(STATE_DEADLINE);
    struct bytes_view all = bytes_view_of(prefix.bytes, prefix.size);
    const uint64_t work_before = contract_work(call);
    for (uint32_t i = 0; i < BOOK_DEADLINES_PER_BLOCK_MAX; i++) {
        struct state_key key;
        struct bytes_view value;
        if (contract_event_room(call) < BOOK_EVENTS_RESERVE / 2 || call->view->fault ||
            contract_work(call) - work_before > LIMIT_WORK_OF_SWEEP ||
            !contract_next(call, all, bytes_view_of(NULL, 0), &key, &value)) {
            return;
        }
        struct byte_reader reader;
        byte_reader_init(&reader, key.bytes + prefix.size, key.size - prefix.size);
        struct timestamp due = timestamp_of(byte_read_i64(&reader));
        uint8_t what = byte_read_u8(&reader);
        uint64_t id = byte_read_u64(&reader);
        MUST(byte_reader_done(&reader));
        if (timestamp_compare(due, call->context->time) > 0) {
            return;
        }
        MUST(what == DEADLINE_ORDER || what == DEADLINE_PROOF);
        if (what == DEADLINE_ORDER) {
            expire_order(call, id);
        } else {
            refund_deal(call, id);
        }
        MUST(!contract_exists(call, &key) || call->view->fault);
    }
}

static const struct contract_method_entry delivery_methods[] = {
    {ACTION_METER_BATCH, meter_batch},
    {ACTION_DELIVERY_PROVE, delivery_prove},
};

const struct contract_module delivery_module = {
    .name = "delivery",
    .methods = delivery_methods,
    .method_count = sizeof delivery_methods / sizeof delivery_methods[0],
    .block_end = sweep_deadlines,
};
