/* The records of governance: epochs, proposals, validators' terms, evidence (contracts/records.h).
 *
 * 1. As in records.c, a field's place in its table is its place in the stored value, for good.
 *
 * Deliberately absent: their rules (governance.c). */
#include "contracts/records.h"

const char *const proposal_status_names[PROPOSAL_STATUS_COUNT] = {"open", "passed", "rejected",
                                                                  "withdrawn", "expired"};

static const struct codec_field governance_open_record_fields[] = {
    {.name = "id", .offset = offsetof(struct governance_open, id), .type = CODEC_U64},
};
static const struct codec_record governance_open_record = {
    .name = "open_proposal",
    .struct_size = sizeof(struct governance_open),
    .fields = governance_open_record_fields,
    .field_count = sizeof governance_open_record_fields / sizeof governance_open_record_fields[0],
};

static const struct codec_field governance_record_codec_fields[] = {
    {.name = "epoch", .offset = offsetof(struct governance_record, epoch), .type = CODEC_U64},
    {.name = "epoch_height",
     .offset = offsetof(struct governance_record, epoch_height),
     .type = CODEC_U64},
    {.name = "proposals",
     .offset = offsetof(struct governance_record, proposals),
     .type = CODEC_U64},
    {.name = "open",
     .offset = offsetof(struct governance_record, open),
     .type = CODEC_ARRAY,
     .limit = LIMIT_VALIDATORS,
     .count_offset = offsetof(struct governance_record, open_count),
     .record = &governance_open_record},
    {.name = "rules", .offset = offsetof(struct governance_record, rules), .type = CODEC_U32},
    {.name = "next_rules",
     .offset = offsetof(struct governance_record, next_rules),
     .type = CODEC_U32},
    {.name = "rules_height",
     .offset = offsetof(struct governance_record, rules_height),
     .type = CODEC_U64},
};
const struct codec_record governance_record_codec = {
    .name = "governance",
    .struct_size = sizeof(struct governance_record),
    .fields = governance_record_codec_fields,
    .field_count = sizeof governance_record_codec_fields / sizeof governance_record_codec_fields[0],
};

static const struct codec_field proposal_record_codec_fields[] = {
    {.name = "terms",
     .offset = offsetof(struct proposal_record, terms),
     .type = CODEC_RECORD,
     .record = &governance_propose_record},
    {.name = "proposer", .offset = offsetof(struct proposal_record, proposer), .type = CODEC_NAME},
    {.name = "status",
     .offset = offsetof(struct proposal_record, status),
     .type = CODEC_ENUM,
     .limit = PROPOSAL_STATUS_COUNT,
     .names = proposal_status_names},
    {.name = "height", .offset = offsetof(struct proposal_record, height), .type = CODEC_U64},
    {.name = "expires_ms", .offset = offsetof(struct proposal_record, expires), .type = CODEC_I64},
    {.name = "approvals", .offset = offsetof(struct proposal_record, approvals), .type = CODEC_U32},
    {.name = "rejections",
     .offset = offsetof(struct proposal_record, rejections),
     .type = CODEC_U32},
    {.name = "decided_height",
     .offset = offsetof(struct proposal_record, decided_height),
     .type = CODEC_U64},
};
const struct codec_record proposal_record_codec = {
    .name = "proposal",
    .struct_size = sizeof(struct proposal_record),
    .fields = proposal_record_codec_fields,
    .field_count = sizeof proposal_record_codec_fields / sizeof proposal_record_codec_fields[0],
};

static const struct codec_field validator_record_codec_fields[] = {
    {.name = "operator",
     .offset = offsetof(struct validator_record, operator_name),
     .type = CODEC_NAME},
    {.name = "from_epoch",
     .offset = offsetof(struct validator_record, from_epoch),
     .type = CODEC_U64},
    {.name = "until_epoch",
     .offset = offsetof(struct validator_record, until_epoch),
     .type = CODEC_U64},
    {.name = "evidence", .offset = offsetof(struct validator_record, evidence), .type = CODEC_U32},
};
const struct codec_record validator_record_codec = {
    .name = "validator",
    .struct_size = sizeof(struct validator_record),
    .fields = validator_record_codec_fields,
    .field_count = sizeof validator_record_codec_fields / sizeof validator_record_codec_fields[0],
};

static const struct codec_field evidence_record_codec_fields[] = {
    {.name = "operator",
     .offset = offsetof(struct evidence_record, operator_name),
     .type = CODEC_NAME},
    {.name = "reporter", .offset = offsetof(struct evidence_record, reporter), .type = CODEC_NAME},
    {.name = "first",
     .offset = offsetof(struct evidence_record, first),
     .type = CODEC_RECORD,
     .record = &evidence_vote_record},
    {.name = "second",
     .offset = offsetof(struct evidence_record, second),
     .type = CODEC_RECORD,
     .record = &evidence_vote_record},
    {.name = "height", .offset = offsetof(struct evidence_record, height), .type = CODEC_U64},
};
const struct codec_record evidence_record_codec = {
    .name = "evidence",
    .struct_size = sizeof(struct evidence_record),
    .fields = evidence_record_codec_fields,
    .field_count = sizeof evidence_record_codec_fields / sizeof evidence_record_codec_fields[0],
};
