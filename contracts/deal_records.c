/* The records of a deal's life after it was made: calls of a reservation, disputes, a provider's record
 * (contracts/records.h; docs/spec/deal.md).
 *
 * 1. As in records.c, a field's place in its table is its place in the stored value, for good.
 *
 * Deliberately absent: their rules (delivery.c, dispute.c, reservation.c). */
#include "contracts/records.h"

const char *const dispute_outcome_names[DISPUTE_OUTCOME_COUNT] = {"none", "open", "corrected",
                                                                  "voted", "lapsed"};

static const struct codec_field reservation_call_codec_fields[] = {
    {.name = "request", .offset = offsetof(struct reservation_call, request), .type = CODEC_U64},
    {.name = "market", .offset = offsetof(struct reservation_call, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct reservation_call, period_start),
     .type = CODEC_I64},
    {.name = "quantity_wh",
     .offset = offsetof(struct reservation_call, quantity),
     .type = CODEC_I64},
    {.name = "offered_wh", .offset = offsetof(struct reservation_call, offered), .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct reservation_call, price),
     .type = CODEC_I64},
};
const struct codec_record reservation_call_codec = {
    .name = "call",
    .struct_size = sizeof(struct reservation_call),
    .fields = reservation_call_codec_fields,
    .field_count = sizeof reservation_call_codec_fields / sizeof reservation_call_codec_fields[0],
};

static const struct codec_field reservation_record_codec_fields[] = {
    {.name = "calls",
     .offset = offsetof(struct reservation_record, calls),
     .type = CODEC_ARRAY,
     .limit = LIMIT_CALLS_PER_RESERVATION,
     .count_offset = offsetof(struct reservation_record, call_count),
     .record = &reservation_call_codec},
};
const struct codec_record reservation_record_codec = {
    .name = "reservation",
    .struct_size = sizeof(struct reservation_record),
    .fields = reservation_record_codec_fields,
    .field_count =
        sizeof reservation_record_codec_fields / sizeof reservation_record_codec_fields[0],
};

static const struct codec_field dispute_unit_record_fields[] = {
    {.name = "taken_wh", .offset = offsetof(struct dispute_unit, taken), .type = CODEC_I64},
};
static const struct codec_record dispute_unit_record = {
    .name = "unit",
    .struct_size = sizeof(struct dispute_unit),
    .fields = dispute_unit_record_fields,
    .field_count = sizeof dispute_unit_record_fields / sizeof dispute_unit_record_fields[0],
};

static const struct codec_field dispute_record_codec_fields[] = {
    {.name = "outcome",
     .offset = offsetof(struct dispute_record, outcome),
     .type = CODEC_ENUM,
     .limit = DISPUTE_OUTCOME_COUNT,
     .names = dispute_outcome_names},
    {.name = "opener", .offset = offsetof(struct dispute_record, opener), .type = CODEC_NAME_EMPTY},
    {.name = "evidence",
     .offset = offsetof(struct dispute_record, evidence),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "bond_ueur", .offset = offsetof(struct dispute_record, bond), .type = CODEC_I64},
    {.name = "paid_before_ueur",
     .offset = offsetof(struct dispute_record, paid_before),
     .type = CODEC_I64},
    {.name = "opened_ms", .offset = offsetof(struct dispute_record, opened), .type = CODEC_I64},
    {.name = "fingerprints_ms",
     .offset = offsetof(struct dispute_record, fingerprints),
     .type = CODEC_I64},
    {.name = "units",
     .offset = offsetof(struct dispute_record, units),
     .type = CODEC_ARRAY,
     .limit = LIMIT_INTERVALS_PER_PERIOD,
     .count_offset = offsetof(struct dispute_record, unit_count),
     .record = &dispute_unit_record},
};
const struct codec_record dispute_record_codec = {
    .name = "dispute",
    .struct_size = sizeof(struct dispute_record),
    .fields = dispute_record_codec_fields,
    .field_count = sizeof dispute_record_codec_fields / sizeof dispute_record_codec_fields[0],
};

static const struct codec_field reliability_record_codec_fields[] = {
    {.name = "deals", .offset = offsetof(struct reliability_record, deals), .type = CODEC_U64},
    {.name = "settled", .offset = offsetof(struct reliability_record, settled), .type = CODEC_U64},
    {.name = "partial", .offset = offsetof(struct reliability_record, partial), .type = CODEC_U64},
    {.name = "refunded",
     .offset = offsetof(struct reliability_record, refunded),
     .type = CODEC_U64},
    {.name = "unproven",
     .offset = offsetof(struct reliability_record, unproven),
     .type = CODEC_U64},
    {.name = "calls_missed",
     .offset = offsetof(struct reliability_record, calls_missed),
     .type = CODEC_U64},
    {.name = "disputes_lost",
     .offset = offsetof(struct reliability_record, disputes_lost),
     .type = CODEC_U64},
    {.name = "contracted_wh",
     .offset = offsetof(struct reliability_record, contracted),
     .type = CODEC_I64},
    {.name = "credited_wh",
     .offset = offsetof(struct reliability_record, credited),
     .type = CODEC_I64},
    {.name = "penalties_ueur",
     .offset = offsetof(struct reliability_record, penalties),
     .type = CODEC_I64},
};
const struct codec_record reliability_record_codec = {
    .name = "reliability",
    .struct_size = sizeof(struct reliability_record),
    .fields = reliability_record_codec_fields,
    .field_count =
        sizeof reliability_record_codec_fields / sizeof reliability_record_codec_fields[0],
};
