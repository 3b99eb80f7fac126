/* Fingerprints of meter readings: what a meter operator posts about one interval's readings, corrects,
 * and what a proof may lead to (D5.5 3.2.6; market-rules 9; docs/spec/delivery.md 3).
 *
 * Invariants:
 * 1. A fingerprint is replaced only by its next revision, with a reason, while it can still matter.
 * 2. Every revision stays, the newest under the batch and the others under their numbers, so that one
 *    that comes after a market's correction deadline takes nothing from who can prove by the one before.
 *
 * Deliberately absent: the readings themselves, which pass through in a witness and the state never
 * holds; and what a revision does to deals (delivery.c). */
#include "base/fatal.h"
#include "contracts/delivery_internal.h"

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
    bool next = batch->revision == before->revision + 1 && batch->revision < LIMIT_BATCH_REVISIONS;
    if (!next || batch->reason.size == 0) {
        return CONTRACT_BAD_REVISION;
    }
    /* A batch is about the same interval whatever its revision. */
    return duration_ms(batch->interval) == duration_ms(before->interval) ? CONTRACT_OK
                                                                         : CONTRACT_BAD_PARAMETER;
}

enum contract_error fingerprint_batch_apply(struct contract_call *call, const void *record)
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
    if (present) {
        struct state_key superseded = state_key_fingerprint(&call->sender, &batch->id,
                                                            batch->interval_start, before.revision);
        contract_write(call, &superseded, &batch_record_codec, &before);
    }
    struct batch_record posted = {.interval = batch->interval,
                                  .count = batch->count,
                                  .root = batch->root,
                                  .revision = batch->revision,
                                  .posted = call->context->time};
    contract_write(call, &key, &batch_record_codec, &posted);
    return CONTRACT_OK;
}

bool fingerprint_read(const struct contract_call *call, const struct revealed_reading *revealed,
                      const struct timestamp *before, struct batch_record *out)
{
    const struct meter_reading *reading = &revealed->reading;
    struct state_key key =
        state_key_batch(&revealed->meter_operator, &revealed->batch, reading->interval_start);
    if (!contract_read(call, &key, &batch_record_codec, out)) {
        return false;
    }
    if (before == NULL) {
        return true;
    }
    for (uint32_t i = 0; i < LIMIT_BATCH_REVISIONS; i++) {
        if (timestamp_compare(out->posted, *before) < 0) {
            return true;
        }
        if (out->revision == 0) {
            return false;
        }
        key = state_key_fingerprint(&revealed->meter_operator, &revealed->batch,
                                    reading->interval_start, out->revision - 1);
        if (!book_read(call, &key, &batch_record_codec, out)) {
            return false;
        }
    }
    return false;
}
