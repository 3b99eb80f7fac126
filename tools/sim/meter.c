/* What the simulated meters read and what can be made of it: batches of fingerprints by the meter
 * operator, and witnesses of delivery by the buyer.
 *
 * The devices are those of the aggregators' wallets; each has declared one schedule and one reading
 * per delivery period, so that witness and batch follow from device and period alone and are signed
 * once per process. What they deliver is more than some deals hold and less than others, and several
 * deals may share it: they end settled, partial and refunded. */
#include <string.h>

#include "base/fatal.h"
#include "crypto/merkle.h"
#include "tools/sim/sim_internal.h"

enum { DECLARED_WH = 5000, DEVICES = 2, FIRST_DEVICE = 2 };

static const uint8_t schedule_salt[SCHEDULE_SALT_SIZE] = {0x5c};

static struct timestamp start_of(uint32_t period)
{
    return timestamp_of(SIM_GENESIS_MS + SIM_PERIOD_MS * (int64_t)period);
}

static void meter_secret(uint32_t device, struct secret_key *out)
{
    *out = (struct secret_key){{(uint8_t)device, 0x33}};
}

void sim_meter_key(uint32_t device, struct public_key *out)
{
    struct secret_key secret;
    meter_secret(device, &secret);
    MUST(schnorr_public_key(out, &secret));
}

void sim_meter_schedule(uint32_t device, uint32_t period, struct hash *out)
{
    struct name name = sim_label("device", device);
    struct energy declared = energy_of(DECLARED_WH);
    schedule_hash(out, schedule_salt, &name, start_of(period), &declared, 1);
}

static void read_meter(struct meter_reading *out, uint32_t device, uint32_t period)
{
    struct hash message;
    struct secret_key secret;
    int64_t delivered = device == FIRST_DEVICE ? 70 : 30 * (int64_t)period;
    *out = (struct meter_reading){.device = sim_label("device", device),
                                  .interval_start = start_of(period),
                                  .interval = duration_of(SIM_PERIOD_MS),
                                  .net = energy_of(DECLARED_WH - delivered)};
    meter_reading_message(&message, out);
    meter_secret(device, &secret);
    MUST(schnorr_sign(&out->signature, &secret, &message));
}

static void read_all(struct meter_reading readings[DEVICES], struct hash leaves[DEVICES],
                     uint32_t period)
{
    static const uint8_t salt[READING_SALT_SIZE] = {0};
    for (uint32_t i = 0; i < DEVICES; i++) {
        read_meter(&readings[i], FIRST_DEVICE + i, period);
        meter_reading_leaf(&leaves[i], salt, &readings[i]);
    }
}

void sim_meter_batch(struct meter_batch *out, uint32_t period)
{
    struct meter_reading readings[DEVICES];
    struct hash leaves[DEVICES];
    read_all(readings, leaves, period);
    *out = (struct meter_batch){.id = sim_label("meters", 0),
                                .interval_start = start_of(period),
                                .interval = duration_of(SIM_PERIOD_MS),
                                .count = DEVICES};
    merkle_root(&out->root, leaves, DEVICES);
}

struct bytes_view sim_meter_witness(uint32_t device, uint32_t period)
{
    static uint8_t bytes[SIM_ENVELOPE_MAX];
    static struct delivery_witness witness;
    struct meter_reading readings[DEVICES];
    struct hash leaves[DEVICES];
    struct merkle_proof path;
    struct byte_writer writer;
    uint32_t index = device - FIRST_DEVICE;
    MUST(index < DEVICES);
    read_all(readings, leaves, period);
    merkle_prove(&path, leaves, DEVICES, index);
    memset(&witness, 0, sizeof witness);
    memcpy(witness.schedule_salt, schedule_salt, sizeof schedule_salt);
    witness.unit_count = 1;
    witness.units[0].net = energy_of(DECLARED_WH);
    witness.reading_count = 1;
    struct revealed_reading *revealed = &witness.readings[0];
    revealed->reading = readings[index];
    revealed->meter_operator = sim_label("wallet", SIM_METER_OPERATOR);
    revealed->batch = sim_label("meters", 0);
    revealed->index = index;
    revealed->path_count = path.count;
    memcpy(revealed->path, path.siblings, path.count * sizeof path.siblings[0]);
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&delivery_witness_record, &witness, &writer);
    MUST(!writer.failed);
    return bytes_view_of(bytes, writer.size);
}

/* --- what can be proven now ---------------------------------------------------------------------- */

static bool is_posted(struct state_view *view, struct timestamp period_start)
{
    struct batch_record batch;
    struct name sender = sim_label("wallet", SIM_METER_OPERATOR);
    struct name id = sim_label("meters", 0);
    struct state_key key = state_key_batch(&sender, &id, period_start);
    return ledger_read(view, &key, &batch_record_codec, &batch);
}

static bool is_provable(struct state_view *view, struct timestamp now,
                        const struct deal_record *deal)
{
    int64_t end = timestamp_ms(deal->period_start) + SIM_PERIOD_MS;
    return deal->state == DEAL_MATCHED && timestamp_ms(now) >= end &&
           timestamp_compare(now, deal->proof_deadline) < 0 && is_posted(view, deal->period_start);
}

bool sim_meter_find(struct sim *sim, uint64_t round, struct sim_delivery *out)
{
    struct state_view *view = chain_committed_view(sim->audit);
    struct timestamp now = chain_tip(sim->audit)->time;
    struct sim_delivery found[SIM_DEALS_MAX];
    struct deal_record deal;
    uint32_t count = 0;
    for (uint32_t id = 1; id <= SIM_DEALS_MAX; id++) {
        struct state_key key = state_key_u64(STATE_DEAL, id);
        if (!ledger_read(view, &key, &deal_record_codec, &deal))
            break;
        if (!is_provable(view, now, &deal))
            continue;
        struct name first = sim_label("device", FIRST_DEVICE);
        found[count++] = (struct sim_delivery){
            .deal = id,
            .device = name_compare(&deal.device, &first) == 0 ? FIRST_DEVICE : FIRST_DEVICE + 1,
            .period =
                (uint32_t)((timestamp_ms(deal.period_start) - SIM_GENESIS_MS) / SIM_PERIOD_MS)};
    }
    if (count > 0)
        *out = found[round % count];
    return count > 0;
}
