/* Dispatch on the ledger: an instruction to a device and its answer (contracts/dispatch.h;
 * docs/spec/plans.md 2; feature 38; docs/adr/0045).
 *
 *   sent --- accepted or refused, by the deadline, once ---> answered
 *     '---- nothing: the record says so, and nothing else happens
 *
 * Invariants:
 * 1. The instructions for one device and start are numbered from 0 without gaps; none is ever removed.
 * 2. An answer stands between the instruction and its deadline, and never changes.
 *
 * Deliberately absent: money, commitments, deadlines in the index. What a deal earns is decided by its
 * meter alone; an instruction shows who asked for what, and whether the device's side had agreed. */
#include "contracts/dispatch.h"
#include "contracts/book.h"
#include "contracts/market.h"
#include "contracts/module.h"

/* --- sending -------------------------------------------------------------------------------- */

static enum contract_error check_times(const struct contract_call *call,
                                       const struct dispatch_send *action, struct timestamp *end)
{
    int64_t length;
    if (timestamp_ms(action->start) < 0 || duration_ms(action->interval) <= 0 ||
        duration_ms(action->interval) > MS_PER_DAY || action->count == 0 ||
        action->count > LIMIT_INTERVALS_PER_PERIOD || hash_is_zero(&action->setpoints) ||
        !checked_mul_i64(&length, duration_ms(action->interval), action->count) ||
        !timestamp_add(end, action->start, duration_of(length)) ||
        timestamp_compare(action->deadline, action->start) > 0) {
        return CONTRACT_BAD_PARAMETER;
    }
    return timestamp_compare(call->context->time, action->deadline) < 0 ? CONTRACT_OK
                                                                        : CONTRACT_TOO_LATE;
}

/* For a deal: its parties, its device, and nothing outside its period. */
static enum contract_error check_deal(const struct contract_call *call,
                                      const struct dispatch_send *action, struct timestamp end)
{
    struct deal_record deal;
    struct market_create terms;
    struct book_times times;
    struct state_key key = state_key_u64(STATE_DEAL, action->deal);
    if (!contract_read(call, &key, &deal_record_codec, &deal)) {
        return CONTRACT_UNKNOWN_DEAL;
    }
    if (name_compare(&call->sender, &deal.buyer) != 0 &&
        name_compare(&call->sender, &deal.seller) != 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    if (deal.state != DEAL_MATCHED) {
        return CONTRACT_DEAL_NOT_OPEN;
    }
    if (name_compare(&deal.device, &action->device) != 0) {
        return CONTRACT_UNKNOWN_DEVICE;
    }
    if (!market_terms_read(call, &deal.market, deal.version, &terms) ||
        !book_times_of(&times, &terms, deal.period_start) ||
        timestamp_compare(action->start, deal.period_start) < 0 ||
        timestamp_compare(end, times.end) > 0) {
        return CONTRACT_BAD_PERIOD;
    }
    return CONTRACT_OK;
}

static enum contract_error check_revision(const struct contract_call *call,
                                          const struct dispatch_send *action)
{
    if (action->revision >= DISPATCH_REVISIONS_MAX) {
        return CONTRACT_BAD_REVISION;
    }
    struct state_key key = state_key_dispatch(&action->device, action->start, action->revision);
    if (contract_exists(call, &key)) {
        return CONTRACT_EXISTS_ALREADY;
    }
    if (action->revision == 0) {
        return CONTRACT_OK;
    }
    key = state_key_dispatch(&action->device, action->start, action->revision - 1);
    return contract_exists(call, &key) ? CONTRACT_OK : CONTRACT_BAD_REVISION;
}

static void tell(const struct contract_call *call, const struct name *device,
                 struct timestamp start, uint32_t revision, enum dispatch_answer answer)
{
    struct event_dispatch event = {.device = *device,
                                   .start = start,
                                   .revision = revision,
                                   .answer = (uint8_t)answer,
                                   .by = call->sender};
    contract_event(call, EVENT_DISPATCH, &event);
}

static enum contract_error send_apply(struct contract_call *call, const void *record)
{
    const struct dispatch_send *action = record;
    struct timestamp end;
    enum contract_error error = check_times(call, action, &end);
    if (error == CONTRACT_OK) {
        error = action->deal != 0
                    ? check_deal(call, action, end)
                    : assets_may_use_device(call, &action->device, action->start, end);
    }
    if (error == CONTRACT_OK) {
        error = check_revision(call, action);
    }
    if (error != CONTRACT_OK) {
        return error;
    }
    struct dispatch_record sent = {.sender = call->sender,
                                   .deal = action->deal,
                                   .interval = action->interval,
                                   .count = action->count,
                                   .setpoints = action->setpoints,
                                   .sent = call->context->time,
                                   .deadline = action->deadline};
    struct state_key key = state_key_dispatch(&action->device, action->start, action->revision);
    contract_write(call, &key, &dispatch_record_codec, &sent);
    tell(call, &action->device, action->start, action->revision, DISPATCH_UNANSWERED);
    return CONTRACT_OK;
}

/* --- answering ------------------------------------------------------------------------------ */

static enum contract_error ack_apply(struct contract_call *call, const void *record)
{
    const struct dispatch_ack *action = record;
    struct dispatch_record sent;
    struct timestamp end;
    int64_t length;
    struct state_key key = state_key_dispatch(&action->device, action->start, action->revision);
    if (!contract_read(call, &key, &dispatch_record_codec, &sent)) {
        return CONTRACT_NO_PENDING_REQUEST;
    }
    /* Checked when it was sent. */
    if (!checked_mul_i64(&length, duration_ms(sent.interval), sent.count) ||
        !timestamp_add(&end, action->start, duration_of(length))) {
        return CONTRACT_BAD_PARAMETER;
    }
    enum contract_error error = assets_runs_device(call, &action->device, action->start, end);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (sent.answer != DISPATCH_UNANSWERED) {
        return CONTRACT_EXISTS_ALREADY;
    }
    if (timestamp_compare(call->context->time, sent.deadline) >= 0) {
        return CONTRACT_TOO_LATE;
    }
    sent.answer = action->accepted ? DISPATCH_ACCEPTED : DISPATCH_REFUSED;
    sent.answered_by = call->sender;
    sent.answered = call->context->time;
    contract_write(call, &key, &dispatch_record_codec, &sent);
    tell(call, &action->device, action->start, action->revision, (enum dispatch_answer)sent.answer);
    return CONTRACT_OK;
}

static const struct contract_method_entry methods[] = {
    {ACTION_DISPATCH_SEND, send_apply},
    {ACTION_DISPATCH_ACK, ack_apply},
};

const struct contract_module dispatch_module = {
    .name = "dispatch",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
};
