/* The daily digest: one hash for the whole history up to the last block of a day (D5.5 3.2.6;
 * market-rules 9; docs/spec/delivery.md).
 *
 * A day's last block is known only when the next block opens a later day, so that block writes the
 * digest. Days are UTC, counted from the Unix epoch. A day without blocks has no digest.
 *
 * Invariant: a digest, once written, is never written again.
 *
 * Deliberately absent: signatures and anchoring elsewhere. The digest is part of the state, so the
 * certificate over any later block proves it. */
#include "base/fatal.h"
#include "contracts/module.h"

static int64_t day_of(struct timestamp time)
{
    return (int64_t)div_floor_i128(timestamp_ms(time), MS_PER_DAY);
}

static void keep_counters_before(void *context, struct bytes_view key, struct bytes_view before,
                                 struct bytes_view after)
{
    struct counters_record *counters = context;
    (void)key;
    (void)after;
    if (before.data != NULL) {
        MUST(codec_decode_all(&counters_record_codec, counters, before));
    } else {
        *counters = (struct counters_record){0};
    }
}

/* What the counters were before this block: the running block's own transactions count for today. */
static uint64_t transactions_before(const struct contract_call *call)
{
    struct counters_record counters = {0};
    struct state_key key = state_key_single(STATE_COUNTERS);
    (void)contract_read(call, &key, &counters_record_codec, &counters);
    call->view->ops->changes(call->view, bytes_view_of(key.bytes, key.size), &counters,
                             keep_counters_before);
    return counters.transactions;
}

static void digest_block_end(struct contract_call *call)
{
    struct clock_record clock;
    struct state_key clock_key = state_key_single(STATE_CLOCK);
    /* Height 0 is the genesis state, which no block made. */
    if (call->context->height <= 1 ||
        !contract_read(call, &clock_key, &clock_record_codec, &clock)) {
        return;
    }
    int64_t day = day_of(clock.time);
    if (day_of(call->context->time) <= day) {
        return;
    }
    struct event_digest event = {.day = day,
                                 .digest = {.height = call->context->height - 1,
                                            .log_root = call->context->log_root,
                                            .transactions = transactions_before(call)}};
    struct state_key key = state_key_day(day);
    MUST(!contract_exists(call, &key));
    contract_write(call, &key, &digest_record_codec, &event.digest);
    contract_event(call, EVENT_DIGEST, &event);
}

const struct contract_module digest_module = {
    .name = "digest",
    .block_end = digest_block_end,
};
