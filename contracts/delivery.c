/* Proofs of delivery (D5.5 3.2.6; D2.3 4.2.2 to 4.2.6;
 * market-rules 9; docs/spec/delivery.md; docs/spec/deal.md).
 *
 * Invariants:
 * 1. A watt-hour of a device, market time unit and direction is credited to one deal at most: what
 *    the first proof takes, the next one finds gone. In one unit a device is credited for regulation in
 *    one direction only, whatever schedules its offers declared; limits stand on one another instead.
 * 2. A deal that is proven again, by newer fingerprints, first gives back what it had taken.
 *
 * Deliberately absent: the readings themselves, which pass through in a witness and the state never
 * holds; fingerprints (fingerprint.c), how money moves (deal.c), disputes (dispute.c), what time ends (deadline.c). What records look
 * like is in delivery_records.c. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/alias.h"
#include "contracts/capacity.h"
#include "contracts/delivery_internal.h"
#include "contracts/witness.h"
#include "crypto/merkle.h"

/* --- the proof ---------------------------------------------------------------------------- */

/* What an earlier proof of the deal took, where there was one; and which fingerprints count in this
 * one. A disputed deal is decided by whatever the meter operator says last. */
static void open_revision(const struct contract_call *call, struct proof *out)
{
    const struct deal_record *deal = &out->ended.deal;
    struct state_key key = state_key_u64(STATE_DISPUTE, out->ended.id);
    if (deal->state != DEAL_MATCHED) {
        (void)book_read(call, &key, &dispute_record_codec, &out->dispute);
    }
    out->has_cutoff =
        deal->state != DEAL_DISPUTED && duration_ms(out->terms.times.correction_deadline) > 0;
    if (out->has_cutoff) {
        MUST(timestamp_add(&out->cutoff, out->times.end, out->terms.times.correction_deadline));
    }
}

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
    if (!deal_is_open(deal)) {
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
    if (out->terms.product == PRODUCT_RESERVATION) {
        return CONTRACT_NOT_METERED;
    }
    MUST(book_times_of(&out->times, &out->terms, deal->period_start));
    if (timestamp_compare(call->context->time, out->times.end) < 0) {
        return CONTRACT_TOO_EARLY;
    }
    out->derived = out->terms.delivery.method == DELIVERY_BASELINE && alias_is(call, &deal->device);
    open_revision(call, out);
    struct timestamp last =
        deal->state == DEAL_MATCHED ? deal->proof_deadline : deal->dispute_deadline;
    return timestamp_compare(call->context->time, last) < 0 ? CONTRACT_OK : CONTRACT_TOO_LATE;
}

struct timestamp proof_unit_start(const struct proof *proof, int32_t unit)
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

static struct state_key used_key(const struct proof *proof, uint32_t unit, uint8_t direction)
{
    return state_key_unit(STATE_USED, &proof->ended.deal.device,
                          proof_unit_start(proof, (int32_t)unit), direction);
}

static struct energy used_before(const struct contract_call *call, const struct proof *proof,
                                 uint32_t unit, uint8_t direction)
{
    struct used_record used = {.quantity = energy_of(0)};
    struct state_key key = used_key(proof, unit, direction);
    (void)contract_read(call, &key, &used_record_codec, &used);
    return used.quantity;
}

static bool is_limit(const struct proof *proof)
{
    return proof->terms.delivery.method == DELIVERY_CAPACITY_CAP ||
           proof->terms.delivery.method == DELIVERY_CAPACITY_FLOOR;
}

/* What a unit's reading is held against: the reference, declared or computed, or the limit. Limits of one
 * device stand on one another in the order of their proofs. A cap is the connection's capacity, rounded
 * down, so that the seller may import less than a watt-hour too little, less what other caps were
 * credited with and what was sold of this one. A floor is what other floors were credited with, and what
 * was sold of this one on top. */
static struct energy against_of(const struct contract_call *call, const struct proof *proof,
                                uint32_t unit, struct energy reference, struct energy contracted)
{
    struct energy limit;
    struct energy stacked;
    if (!is_limit(proof)) {
        return reference;
    }
    /* Admission keeps the sum of all limits within the connection. */
    MUST(energy_add(&stacked, contracted,
                    used_before(call, proof, unit, proof->ended.deal.direction)));
    if (proof->terms.delivery.method == DELIVERY_CAPACITY_FLOOR) {
        return stacked;
    }
    MUST(energy_sub(&limit, market_connection_unit(&proof->terms, &proof->device), stacked));
    return limit;
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

enum contract_error proof_check_reading(const struct contract_call *call, struct proof *proof,
                                        struct timestamp start,
                                        const struct revealed_reading *revealed)
{
    const struct meter_reading *reading = &revealed->reading;
    bool sub = proof->terms.delivery.method == DELIVERY_SUBMETER;
    const uint8_t meter = proof->derived ? METER_DELIVERED : sub ? METER_SUB : METER_CERTIFIED;
    if (name_compare(&reading->device, &proof->ended.deal.device) != 0 || reading->meter != meter ||
        timestamp_compare(reading->interval_start, start) != 0 ||
        duration_ms(reading->interval) != duration_ms(proof->terms.times.mtu)) {
        return CONTRACT_BAD_READING;
    }
    struct batch_record batch;
    if (!fingerprint_read(call, revealed, proof->has_cutoff ? &proof->cutoff : NULL, &batch)) {
        return CONTRACT_UNKNOWN_BATCH;
    }
    if (duration_ms(batch.interval) != duration_ms(reading->interval)) {
        return CONTRACT_BAD_READING;
    }
    if (timestamp_compare(batch.posted, proof->fingerprints) > 0) {
        proof->fingerprints = batch.posted;
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

static void set_used(const struct contract_call *call, const struct proof *proof, uint32_t unit,
                     struct energy quantity)
{
    struct state_key key = used_key(proof, unit, proof->ended.deal.direction);
    struct used_record used = {.quantity = quantity};
    if (energy_wh(quantity) == 0) {
        contract_remove(call, &key);
    } else {
        contract_write(call, &key, &used_record_codec, &used);
    }
}

/* What the deal's earlier proof took is there again. */
static void give_back(const struct contract_call *call, struct proof *proof)
{
    for (uint32_t i = 0; i < proof->dispute.unit_count; i++) {
        struct energy rest;
        const struct energy taken = proof->dispute.units[i].taken;
        if (energy_wh(taken) > 0) {
            MUST(
                energy_sub(&rest, used_before(call, proof, i, proof->ended.deal.direction), taken));
            MUST(energy_wh(rest) >= 0 || call->view->fault);
            set_used(call, proof, i, rest);
        }
    }
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
                                   const struct energy *reference, struct settlement_terms *terms)
{
    struct deal_record *deal = &proof->ended.deal;
    deal_begin_settlement(terms, deal, &proof->terms);
    deal->delivered = energy_of(0);
    for (uint32_t i = 0; i < terms->count; i++) {
        struct energy *delivered = &terms->delivered[i];
        const struct energy against =
            against_of(call, proof, i, reference[i], terms->contracted[i]);
        *delivered = witness->readings[i].reading.net;
        bool measured =
            proof->derived ||
            delivery_measured(delivered, (enum delivery_method)proof->terms.delivery.method,
                              (enum direction)deal->direction, terms->contracted[i], against,
                              witness->readings[i].reading.net);
        if (!measured || (!is_limit(proof) && !left_of(call, proof, i, delivered)) ||
            !energy_add(&deal->delivered, deal->delivered, *delivered)) {
            return CONTRACT_BAD_READING;
        }
    }
    return CONTRACT_OK;
}

/* Takes what was credited off what later proofs find; returns the sum of it. Within the tolerance
 * more is credited than was delivered, and only what was delivered is taken. */
static struct energy use_up(const struct contract_call *call, struct proof *proof,
                            const struct settlement_terms *terms,
                            const struct settlement_result *result)
{
    struct energy sum = energy_of(0);
    proof->dispute.unit_count = terms->count;
    for (uint32_t i = 0; i < terms->count; i++) {
        MUST(energy_add(&sum, sum, result->credited[i]));
        struct energy taken = energy_min(result->credited[i], terms->delivered[i]);
        proof->dispute.units[i].taken = energy_of(0);
        if (energy_wh(taken) <= 0) {
            continue;
        }
        struct energy used;
        MUST(energy_add(&used, used_before(call, proof, i, proof->ended.deal.direction), taken));
        set_used(call, proof, i, used);
        proof->dispute.units[i].taken = taken;
    }
    return sum;
}

/* Everything that the witness has to show, and the reference of each unit. */
static enum contract_error check_witness(const struct contract_call *call, struct proof *proof,
                                         const struct delivery_witness *witness,
                                         struct energy reference[LIMIT_INTERVALS_PER_PERIOD])
{
    const uint32_t units = proof->terms.times.mtus_per_period;
    const bool baseline = proof->terms.delivery.method == DELIVERY_BASELINE && !proof->derived;
    enum contract_error error = check_schedule(proof, witness);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (baseline ? witness->reading_count < units : witness->reading_count != units) {
        return CONTRACT_BAD_READING;
    }
    for (uint32_t i = 0; i < units; i++) {
        reference[i] = witness->units[i].net;
        error = proof_check_reading(call, proof, proof_unit_start(proof, (int32_t)i),
                                    &witness->readings[i]);
        if (error != CONTRACT_OK) {
            return error;
        }
    }
    if (baseline) {
        error = baseline_of_witness(call, proof, witness, reference);
    }
    bool newer = proof->ended.deal.state == DEAL_MATCHED ||
                 timestamp_compare(proof->fingerprints, proof->dispute.fingerprints) > 0;
    return error == CONTRACT_OK && !newer ? CONTRACT_NO_NEWER_READINGS : error;
}

/* From readings: the witness checked, and what it says was delivered. */
static enum contract_error measure_witness(const struct contract_call *call, struct proof *proof,
                                           struct settlement_terms *terms)
{
    struct delivery_witness witness;
    if (!codec_decode_all(&delivery_witness_record, &witness, call->transaction->witness)) {
        return CONTRACT_BAD_READING;
    }
    struct energy reference[LIMIT_INTERVALS_PER_PERIOD];
    enum contract_error error = check_witness(call, proof, &witness, reference);
    if (error != CONTRACT_OK) {
        return error;
    }
    give_back(call, proof);
    return measure(call, proof, &witness, reference, terms);
}

/* From what stands in for readings that are deleted: the outcome that their block's receipt root binds. A
 * stand-in that does not fit its deal never gets here (body_kept_root), and is refused all the same. */
static enum contract_error measure_stand_in(const struct contract_call *call, struct proof *proof,
                                            struct settlement_terms *terms)
{
    struct stand_in_outcome outcome;
    struct deal_record *deal = &proof->ended.deal;
    if (!stand_in_outcome(&outcome, call->transaction->stand_in)) {
        return CONTRACT_BAD_READING;
    }
    if (!outcome.measured) {
        bool failed =
            outcome.status >= CONTRACT_NOT_PERMITTED && outcome.status < CONTRACT_ERROR_COUNT;
        return failed ? (enum contract_error)outcome.status : CONTRACT_BAD_READING;
    }
    give_back(call, proof);
    deal_begin_settlement(terms, deal, &proof->terms);
    deal->delivered = energy_of(0);
    if (outcome.event.id != proof->ended.id || outcome.event.unit_count != terms->count) {
        return CONTRACT_BAD_READING;
    }
    for (uint32_t i = 0; i < terms->count; i++) {
        terms->delivered[i] = outcome.event.units[i].delivered;
        if (!energy_add(&deal->delivered, deal->delivered, terms->delivered[i])) {
            return CONTRACT_BAD_READING;
        }
    }
    proof->fingerprints = outcome.event.fingerprints;
    return CONTRACT_OK;
}

static void tell_measured(const struct contract_call *call, const struct proof *proof,
                          const struct settlement_terms *terms)
{
    struct event_measured event = {.id = proof->ended.id,
                                   .final = call->context->time,
                                   .fingerprints = proof->fingerprints,
                                   .unit_count = terms->count};
    if (proof->ended.deal.state != DEAL_DISPUTED) {
        MUST(timestamp_add(&event.final, call->context->time, proof->terms.times.dispute_window));
    }
    for (uint32_t i = 0; i < terms->count; i++) {
        event.units[i].delivered = terms->delivered[i];
    }
    contract_event(call, EVENT_MEASURED, &event);
}

static enum contract_error delivery_prove(struct contract_call *call, const void *record)
{
    const struct delivery_prove *prove = record;
    struct proof proof;
    enum contract_error error = open_proof(call, prove->deal, &proof);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct settlement_terms terms;
    error = call->transaction->stand_in.size > 0 ? measure_stand_in(call, &proof, &terms)
                                                 : measure_witness(call, &proof, &terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    struct settlement_result result;
    /* Admission bounded price and quantity, and the book funded the deal for the whole of them. */
    MUST(settlement_compute(&result, &terms) == SETTLEMENT_OK);
    /* It held price x contracted, rounded: the fee pool gains a rounding and no more. */
    MUST(terms.basis == DEAL_BY_AMOUNT || money_ueur(result.remainder) <= 1);
    /* A batch gets a revision for any reading in it. One that says the same of this deal decides no
     * dispute: else the accused would end it with the first, and win the bond. */
    if (proof.ended.deal.state == DEAL_DISPUTED &&
        money_compare(result.paid, proof.ended.deal.paid) == 0) {
        return CONTRACT_NO_NEWER_READINGS;
    }
    tell_measured(call, &proof, &terms);
    struct energy credited = use_up(call, &proof, &terms, &result);
    deal_set_result(&proof.ended.deal, &result, credited);
    if (duration_ms(proof.terms.times.dispute_window) == 0) {
        deal_pay_out(call, &proof.ended);
    } else {
        proof.dispute.fingerprints = proof.fingerprints;
        dispute_after_proof(call, &proof.ended, &proof.dispute, proof.terms.times.dispute_window);
    }
    return CONTRACT_OK;
}

static const struct contract_method_entry delivery_methods[] = {
    {ACTION_METER_BATCH, fingerprint_batch_apply},
    {ACTION_DELIVERY_PROVE, delivery_prove},
    {ACTION_DEAL_DISPUTE, dispute_apply},
};

const struct contract_module delivery_module = {
    .name = "delivery",
    .methods = delivery_methods,
    .method_count = sizeof delivery_methods / sizeof delivery_methods[0],
    .block_end = deadline_sweep,
};
