/* The actions' encodings: one table per action, from which decode, print, wallet input and fuzzing
 * follow (house rule 11). docs/spec/encoding.md prints them.
 *
 * 1. A field's place in its table is its place on the wire; neither ever changes. A new field is a
 *    new action type.
 * 2. Every encoding stays within action_bytes_max; a unit test computes it from the tables.
 *
 * Deliberately absent: what an action means. That is in the modules' methods. */
#include "contracts/actions.h"

#include <string.h>

const char *const role_names[ROLE_COUNT] = {"dso",
                                            "tso",
                                            "aggregator",
                                            "retailer",
                                            "prosumer",
                                            "meter_operator",
                                            "market_operator",
                                            "regulator",
                                            "treasurer"};
const char *const status_names[4] = {"registered", "active", "suspended", "retired"};
const char *const device_type_names[5] = {"storage", "generation", "load", "ev", "heat_pump"};
const char *const order_kind_names[ORDER_KIND_COUNT] = {"limit", "all_or_none", "fill_and_kill"};
const char *const direction_names[2] = {"up", "down"};
const char *const proposal_kind_names[PROPOSAL_KIND_COUNT] = {
    "add_validator",  "remove_validator", "replace_validator", "set_fees", "set_market",
    "decide_dispute", "upgrade"};
const char *const market_state_names[3] = {"open", "suspended", "closed"};

static const struct codec_field participant_register_record_fields[] = {
    {.name = "id", .offset = offsetof(struct participant_register, id), .type = CODEC_NAME},
    {.name = "key",
     .offset = offsetof(struct participant_register, key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "roles",
     .offset = offsetof(struct participant_register, roles),
     .type = CODEC_FLAGS,
     .limit = ROLE_COUNT,
     .names = role_names},
};
static const struct codec_record participant_register_record = {
    .name = "participant_register",
    .struct_size = sizeof(struct participant_register),
    .fields = participant_register_record_fields,
    .field_count =
        sizeof participant_register_record_fields / sizeof participant_register_record_fields[0],
};

static const struct codec_field participant_status_record_fields[] = {
    {.name = "id", .offset = offsetof(struct participant_status, id), .type = CODEC_NAME},
    {.name = "status",
     .offset = offsetof(struct participant_status, status),
     .type = CODEC_ENUM,
     .limit = 4,
     .names = status_names},
};
static const struct codec_record participant_status_record = {
    .name = "participant_status",
    .struct_size = sizeof(struct participant_status),
    .fields = participant_status_record_fields,
    .field_count =
        sizeof participant_status_record_fields / sizeof participant_status_record_fields[0],
};

static const struct codec_field participant_rotate_key_record_fields[] = {
    {.name = "new_key",
     .offset = offsetof(struct participant_rotate_key, new_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "proof",
     .offset = offsetof(struct participant_rotate_key, proof),
     .type = CODEC_FIXED,
     .limit = SIGNATURE_SIZE},
};
static const struct codec_record participant_rotate_key_record = {
    .name = "participant_rotate_key",
    .struct_size = sizeof(struct participant_rotate_key),
    .fields = participant_rotate_key_record_fields,
    .field_count = sizeof participant_rotate_key_record_fields /
                   sizeof participant_rotate_key_record_fields[0],
};

static const struct codec_field device_register_record_fields[] = {
    {.name = "id", .offset = offsetof(struct device_register, id), .type = CODEC_NAME},
    {.name = "device_type",
     .offset = offsetof(struct device_register, type),
     .type = CODEC_ENUM,
     .limit = 5,
     .names = device_type_names},
    {.name = "max_power_w",
     .offset = offsetof(struct device_register, max_power),
     .type = CODEC_I64},
    {.name = "capacity_wh",
     .offset = offsetof(struct device_register, capacity),
     .type = CODEC_I64},
    {.name = "connection_w",
     .offset = offsetof(struct device_register, connection),
     .type = CODEC_I64},
    {.name = "node", .offset = offsetof(struct device_register, node), .type = CODEC_NAME},
    {.name = "feeder", .offset = offsetof(struct device_register, feeder), .type = CODEC_NAME},
    {.name = "zone", .offset = offsetof(struct device_register, zone), .type = CODEC_NAME},
    {.name = "meter_key",
     .offset = offsetof(struct device_register, meter_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "submeter_key",
     .offset = offsetof(struct device_register, submeter_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "address_hash",
     .offset = offsetof(struct device_register, address_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
static const struct codec_record device_register_record = {
    .name = "device_register",
    .struct_size = sizeof(struct device_register),
    .fields = device_register_record_fields,
    .field_count = sizeof device_register_record_fields / sizeof device_register_record_fields[0],
};

static const struct codec_field device_delegate_record_fields[] = {
    {.name = "device", .offset = offsetof(struct device_delegate, device), .type = CODEC_NAME},
    {.name = "manager", .offset = offsetof(struct device_delegate, manager), .type = CODEC_NAME},
    {.name = "from_ms", .offset = offsetof(struct device_delegate, from), .type = CODEC_I64},
    {.name = "until_ms", .offset = offsetof(struct device_delegate, until), .type = CODEC_I64},
};
static const struct codec_record device_delegate_record = {
    .name = "device_delegate",
    .struct_size = sizeof(struct device_delegate),
    .fields = device_delegate_record_fields,
    .field_count = sizeof device_delegate_record_fields / sizeof device_delegate_record_fields[0],
};

static const struct codec_field device_delegate_accept_record_fields[] = {
    {.name = "device",
     .offset = offsetof(struct device_delegate_accept, device),
     .type = CODEC_NAME},
};
static const struct codec_record device_delegate_accept_record = {
    .name = "device_delegate_accept",
    .struct_size = sizeof(struct device_delegate_accept),
    .fields = device_delegate_accept_record_fields,
    .field_count = sizeof device_delegate_accept_record_fields /
                   sizeof device_delegate_accept_record_fields[0],
};

static const struct codec_field device_transfer_record_fields[] = {
    {.name = "device", .offset = offsetof(struct device_transfer, device), .type = CODEC_NAME},
    {.name = "new_owner",
     .offset = offsetof(struct device_transfer, new_owner),
     .type = CODEC_NAME},
};
static const struct codec_record device_transfer_record = {
    .name = "device_transfer",
    .struct_size = sizeof(struct device_transfer),
    .fields = device_transfer_record_fields,
    .field_count = sizeof device_transfer_record_fields / sizeof device_transfer_record_fields[0],
};

static const struct codec_field device_transfer_accept_record_fields[] = {
    {.name = "device",
     .offset = offsetof(struct device_transfer_accept, device),
     .type = CODEC_NAME},
};
static const struct codec_record device_transfer_accept_record = {
    .name = "device_transfer_accept",
    .struct_size = sizeof(struct device_transfer_accept),
    .fields = device_transfer_accept_record_fields,
    .field_count = sizeof device_transfer_accept_record_fields /
                   sizeof device_transfer_accept_record_fields[0],
};

static const struct codec_field device_status_record_fields[] = {
    {.name = "device", .offset = offsetof(struct device_status, device), .type = CODEC_NAME},
    {.name = "status",
     .offset = offsetof(struct device_status, status),
     .type = CODEC_ENUM,
     .limit = 4,
     .names = status_names},
};
static const struct codec_record device_status_record = {
    .name = "device_status",
    .struct_size = sizeof(struct device_status),
    .fields = device_status_record_fields,
    .field_count = sizeof device_status_record_fields / sizeof device_status_record_fields[0],
};

static const struct codec_field device_enrol_record_fields[] = {
    {.name = "device", .offset = offsetof(struct device_enrol, device), .type = CODEC_NAME},
    {.name = "market", .offset = offsetof(struct device_enrol, market), .type = CODEC_NAME},
    {.name = "enrolled", .offset = offsetof(struct device_enrol, enrolled), .type = CODEC_BOOL},
};
static const struct codec_record device_enrol_record = {
    .name = "device_enrol",
    .struct_size = sizeof(struct device_enrol),
    .fields = device_enrol_record_fields,
    .field_count = sizeof device_enrol_record_fields / sizeof device_enrol_record_fields[0],
};

static const struct codec_field device_sheet_record_fields[] = {
    {.name = "device", .offset = offsetof(struct device_sheet, device), .type = CODEC_NAME},
    {.name = "address_hash",
     .offset = offsetof(struct device_sheet, address_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
static const struct codec_record device_sheet_record = {
    .name = "device_sheet",
    .struct_size = sizeof(struct device_sheet),
    .fields = device_sheet_record_fields,
    .field_count = sizeof device_sheet_record_fields / sizeof device_sheet_record_fields[0],
};

static const struct codec_field token_mint_record_fields[] = {
    {.name = "to", .offset = offsetof(struct token_mint, to), .type = CODEC_NAME},
    {.name = "amount_ueur", .offset = offsetof(struct token_mint, amount), .type = CODEC_I64},
    {.name = "receipt",
     .offset = offsetof(struct token_mint, receipt),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
static const struct codec_record token_mint_record = {
    .name = "token_mint",
    .struct_size = sizeof(struct token_mint),
    .fields = token_mint_record_fields,
    .field_count = sizeof token_mint_record_fields / sizeof token_mint_record_fields[0],
};

static const struct codec_field token_burn_record_fields[] = {
    {.name = "amount_ueur", .offset = offsetof(struct token_burn, amount), .type = CODEC_I64},
    {.name = "receipt",
     .offset = offsetof(struct token_burn, receipt),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
static const struct codec_record token_burn_record = {
    .name = "token_burn",
    .struct_size = sizeof(struct token_burn),
    .fields = token_burn_record_fields,
    .field_count = sizeof token_burn_record_fields / sizeof token_burn_record_fields[0],
};

static const struct codec_field token_transfer_record_fields[] = {
    {.name = "to", .offset = offsetof(struct token_transfer, to), .type = CODEC_NAME},
    {.name = "amount_ueur", .offset = offsetof(struct token_transfer, amount), .type = CODEC_I64},
};
static const struct codec_record token_transfer_record = {
    .name = "token_transfer",
    .struct_size = sizeof(struct token_transfer),
    .fields = token_transfer_record_fields,
    .field_count = sizeof token_transfer_record_fields / sizeof token_transfer_record_fields[0],
};

static const struct codec_field market_update_record_fields[] = {
    {.name = "terms",
     .offset = offsetof(struct market_update, terms),
     .type = CODEC_RECORD,
     .record = &market_create_record},
};
static const struct codec_record market_update_record = {
    .name = "market_update",
    .struct_size = sizeof(struct market_update),
    .fields = market_update_record_fields,
    .field_count = sizeof market_update_record_fields / sizeof market_update_record_fields[0],
};

static const struct codec_field market_set_state_record_fields[] = {
    {.name = "id", .offset = offsetof(struct market_set_state, id), .type = CODEC_NAME},
    {.name = "state",
     .offset = offsetof(struct market_set_state, state),
     .type = CODEC_ENUM,
     .limit = 3,
     .names = market_state_names},
};
static const struct codec_record market_set_state_record = {
    .name = "market_state",
    .struct_size = sizeof(struct market_set_state),
    .fields = market_set_state_record_fields,
    .field_count = sizeof market_set_state_record_fields / sizeof market_set_state_record_fields[0],
};

static const struct codec_field order_options_record_fields[] = {
    {.name = "kind",
     .offset = offsetof(struct order_options, kind),
     .type = CODEC_ENUM,
     .limit = ORDER_KIND_COUNT,
     .names = order_kind_names},
    {.name = "indivisible",
     .offset = offsetof(struct order_options, indivisible),
     .type = CODEC_BOOL},
    {.name = "rank", .offset = offsetof(struct order_options, rank), .type = CODEC_U16},
    {.name = "min_quantity_wh",
     .offset = offsetof(struct order_options, min_quantity),
     .type = CODEC_I64},
};
const struct codec_record order_options_record = {
    .name = "order_options",
    .struct_size = sizeof(struct order_options),
    .fields = order_options_record_fields,
    .field_count = sizeof order_options_record_fields / sizeof order_options_record_fields[0],
};

static const struct codec_field market_reserve_record_fields[] = {
    {.name = "market", .offset = offsetof(struct market_reserve, market), .type = CODEC_NAME},
    {.name = "amount_ueur", .offset = offsetof(struct market_reserve, amount), .type = CODEC_I64},
};
static const struct codec_record market_reserve_record = {
    .name = "market_reserve",
    .struct_size = sizeof(struct market_reserve),
    .fields = market_reserve_record_fields,
    .field_count = sizeof market_reserve_record_fields / sizeof market_reserve_record_fields[0],
};

static const struct codec_field request_place_record_fields[] = {
    {.name = "market", .offset = offsetof(struct request_place, market), .type = CODEC_NAME},
    {.name = "direction",
     .offset = offsetof(struct request_place, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "period_start_ms",
     .offset = offsetof(struct request_place, period_start),
     .type = CODEC_I64},
    {.name = "quantity_wh", .offset = offsetof(struct request_place, quantity), .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct request_place, price),
     .type = CODEC_I64},
    {.name = "device", .offset = offsetof(struct request_place, device), .type = CODEC_NAME_EMPTY},
    {.name = "options",
     .offset = offsetof(struct request_place, options),
     .type = CODEC_RECORD,
     .record = &order_options_record},
};
static const struct codec_record request_place_record = {
    .name = "request_place",
    .struct_size = sizeof(struct request_place),
    .fields = request_place_record_fields,
    .field_count = sizeof request_place_record_fields / sizeof request_place_record_fields[0],
};

static const struct codec_field offer_place_record_fields[] = {
    {.name = "market", .offset = offsetof(struct offer_place, market), .type = CODEC_NAME},
    {.name = "direction",
     .offset = offsetof(struct offer_place, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "period_start_ms",
     .offset = offsetof(struct offer_place, period_start),
     .type = CODEC_I64},
    {.name = "quantity_wh", .offset = offsetof(struct offer_place, quantity), .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct offer_place, price),
     .type = CODEC_I64},
    {.name = "device", .offset = offsetof(struct offer_place, device), .type = CODEC_NAME},
    {.name = "schedule_hash",
     .offset = offsetof(struct offer_place, schedule_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "reservation", .offset = offsetof(struct offer_place, reservation), .type = CODEC_U64},
    {.name = "options",
     .offset = offsetof(struct offer_place, options),
     .type = CODEC_RECORD,
     .record = &order_options_record},
};
static const struct codec_record offer_place_record = {
    .name = "offer_place",
    .struct_size = sizeof(struct offer_place),
    .fields = offer_place_record_fields,
    .field_count = sizeof offer_place_record_fields / sizeof offer_place_record_fields[0],
};

static const struct codec_field order_cancel_record_fields[] = {
    {.name = "order", .offset = offsetof(struct order_cancel, order), .type = CODEC_U64},
};
static const struct codec_record order_cancel_record = {
    .name = "order_cancel",
    .struct_size = sizeof(struct order_cancel),
    .fields = order_cancel_record_fields,
    .field_count = sizeof order_cancel_record_fields / sizeof order_cancel_record_fields[0],
};

static const struct codec_field order_replace_record_fields[] = {
    {.name = "order", .offset = offsetof(struct order_replace, order), .type = CODEC_U64},
    {.name = "quantity_wh", .offset = offsetof(struct order_replace, quantity), .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct order_replace, price),
     .type = CODEC_I64},
    {.name = "schedule_hash",
     .offset = offsetof(struct order_replace, schedule_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "options",
     .offset = offsetof(struct order_replace, options),
     .type = CODEC_RECORD,
     .record = &order_options_record},
};
static const struct codec_record order_replace_record = {
    .name = "order_replace",
    .struct_size = sizeof(struct order_replace),
    .fields = order_replace_record_fields,
    .field_count = sizeof order_replace_record_fields / sizeof order_replace_record_fields[0],
};

static const struct codec_field meter_batch_record_fields[] = {
    {.name = "id", .offset = offsetof(struct meter_batch, id), .type = CODEC_NAME},
    {.name = "interval_start_ms",
     .offset = offsetof(struct meter_batch, interval_start),
     .type = CODEC_I64},
    {.name = "interval_ms", .offset = offsetof(struct meter_batch, interval), .type = CODEC_I64},
    {.name = "count", .offset = offsetof(struct meter_batch, count), .type = CODEC_U32},
    {.name = "root",
     .offset = offsetof(struct meter_batch, root),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "revision", .offset = offsetof(struct meter_batch, revision), .type = CODEC_U32},
    {.name = "reason",
     .offset = offsetof(struct meter_batch, reason),
     .type = CODEC_TEXT,
     .limit = METER_BATCH_REASON_MAX},
};
static const struct codec_record meter_batch_record = {
    .name = "meter_batch",
    .struct_size = sizeof(struct meter_batch),
    .fields = meter_batch_record_fields,
    .field_count = sizeof meter_batch_record_fields / sizeof meter_batch_record_fields[0],
};

static const struct codec_field delivery_prove_record_fields[] = {
    {.name = "deal", .offset = offsetof(struct delivery_prove, deal), .type = CODEC_U64},
};
static const struct codec_record delivery_prove_record = {
    .name = "delivery_prove",
    .struct_size = sizeof(struct delivery_prove),
    .fields = delivery_prove_record_fields,
    .field_count = sizeof delivery_prove_record_fields / sizeof delivery_prove_record_fields[0],
};

static const struct codec_field deal_dispute_record_fields[] = {
    {.name = "deal", .offset = offsetof(struct deal_dispute, deal), .type = CODEC_U64},
    {.name = "evidence",
     .offset = offsetof(struct deal_dispute, evidence),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
static const struct codec_record deal_dispute_record = {
    .name = "deal_dispute",
    .struct_size = sizeof(struct deal_dispute),
    .fields = deal_dispute_record_fields,
    .field_count = sizeof deal_dispute_record_fields / sizeof deal_dispute_record_fields[0],
};

static const struct codec_field reservation_call_record_fields[] = {
    {.name = "deal", .offset = offsetof(struct reservation_call_place, deal), .type = CODEC_U64},
    {.name = "market",
     .offset = offsetof(struct reservation_call_place, market),
     .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct reservation_call_place, period_start),
     .type = CODEC_I64},
    {.name = "quantity_wh",
     .offset = offsetof(struct reservation_call_place, quantity),
     .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct reservation_call_place, price),
     .type = CODEC_I64},
};
static const struct codec_record reservation_call_record = {
    .name = "reservation_call",
    .struct_size = sizeof(struct reservation_call_place),
    .fields = reservation_call_record_fields,
    .field_count = sizeof reservation_call_record_fields / sizeof reservation_call_record_fields[0],
};

static const struct codec_field governance_propose_record_fields[] = {
    {.name = "kind",
     .offset = offsetof(struct governance_propose, kind),
     .type = CODEC_ENUM,
     .limit = PROPOSAL_KIND_COUNT,
     .names = proposal_kind_names},
    {.name = "old_key",
     .offset = offsetof(struct governance_propose, old_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "new_key",
     .offset = offsetof(struct governance_propose, new_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "operator",
     .offset = offsetof(struct governance_propose, operator_name),
     .type = CODEC_NAME_EMPTY},
    {.name = "proof",
     .offset = offsetof(struct governance_propose, proof),
     .type = CODEC_FIXED,
     .limit = SIGNATURE_SIZE},
    {.name = "fee_per_tx_ueur",
     .offset = offsetof(struct governance_propose, fee_per_tx),
     .type = CODEC_I64},
    {.name = "fee_per_action_ueur",
     .offset = offsetof(struct governance_propose, fee_per_action),
     .type = CODEC_I64},
    {.name = "fee_per_deal_ueur",
     .offset = offsetof(struct governance_propose, fee_per_deal),
     .type = CODEC_I64},
    {.name = "market",
     .offset = offsetof(struct governance_propose, market),
     .type = CODEC_NAME_EMPTY},
    {.name = "draft",
     .offset = offsetof(struct governance_propose, draft),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "height", .offset = offsetof(struct governance_propose, height), .type = CODEC_U64},
    {.name = "deal", .offset = offsetof(struct governance_propose, deal), .type = CODEC_U64},
    {.name = "credited_wh",
     .offset = offsetof(struct governance_propose, credited),
     .type = CODEC_I64},
    {.name = "rules", .offset = offsetof(struct governance_propose, rules), .type = CODEC_U32},
};
const struct codec_record governance_propose_record = {
    .name = "governance_propose",
    .struct_size = sizeof(struct governance_propose),
    .fields = governance_propose_record_fields,
    .field_count =
        sizeof governance_propose_record_fields / sizeof governance_propose_record_fields[0],
};

static const struct codec_field governance_vote_record_fields[] = {
    {.name = "proposal", .offset = offsetof(struct governance_vote, proposal), .type = CODEC_U64},
    {.name = "approve", .offset = offsetof(struct governance_vote, approve), .type = CODEC_BOOL},
};
static const struct codec_record governance_vote_record = {
    .name = "governance_vote",
    .struct_size = sizeof(struct governance_vote),
    .fields = governance_vote_record_fields,
    .field_count = sizeof governance_vote_record_fields / sizeof governance_vote_record_fields[0],
};

static const struct codec_field evidence_vote_record_fields[] = {
    {.name = "kind",
     .offset = offsetof(struct evidence_vote, kind),
     .type = CODEC_ENUM,
     .limit = VOTE_KIND_COUNT,
     .names = vote_kind_names},
    {.name = "block_id",
     .offset = offsetof(struct evidence_vote, block_id),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "signature",
     .offset = offsetof(struct evidence_vote, signature),
     .type = CODEC_FIXED,
     .limit = SIGNATURE_SIZE},
};
const struct codec_record evidence_vote_record = {
    .name = "evidence_vote",
    .struct_size = sizeof(struct evidence_vote),
    .fields = evidence_vote_record_fields,
    .field_count = sizeof evidence_vote_record_fields / sizeof evidence_vote_record_fields[0],
};

static const struct codec_field governance_evidence_record_fields[] = {
    {.name = "key",
     .offset = offsetof(struct governance_evidence, key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "epoch", .offset = offsetof(struct governance_evidence, epoch), .type = CODEC_U64},
    {.name = "view", .offset = offsetof(struct governance_evidence, view), .type = CODEC_U64},
    {.name = "first",
     .offset = offsetof(struct governance_evidence, first),
     .type = CODEC_RECORD,
     .record = &evidence_vote_record},
    {.name = "second",
     .offset = offsetof(struct governance_evidence, second),
     .type = CODEC_RECORD,
     .record = &evidence_vote_record},
};
static const struct codec_record governance_evidence_record = {
    .name = "governance_evidence",
    .struct_size = sizeof(struct governance_evidence),
    .fields = governance_evidence_record_fields,
    .field_count =
        sizeof governance_evidence_record_fields / sizeof governance_evidence_record_fields[0],
};

static const struct codec_record *const codecs[ACTION_TYPE_LIMIT] = {
    [ACTION_PARTICIPANT_REGISTER] = &participant_register_record,
    [ACTION_PARTICIPANT_STATUS] = &participant_status_record,
    [ACTION_PARTICIPANT_ROTATE_KEY] = &participant_rotate_key_record,
    [ACTION_DEVICE_REGISTER] = &device_register_record,
    [ACTION_DEVICE_DELEGATE] = &device_delegate_record,
    [ACTION_DEVICE_DELEGATE_ACCEPT] = &device_delegate_accept_record,
    [ACTION_DEVICE_TRANSFER] = &device_transfer_record,
    [ACTION_DEVICE_TRANSFER_ACCEPT] = &device_transfer_accept_record,
    [ACTION_DEVICE_STATUS] = &device_status_record,
    [ACTION_DEVICE_ENROL] = &device_enrol_record,
    [ACTION_ALIAS_ISSUE] = &alias_issue_record,
    [ACTION_DEVICE_SHEET] = &device_sheet_record,
    [ACTION_TOKEN_MINT] = &token_mint_record,
    [ACTION_TOKEN_BURN] = &token_burn_record,
    [ACTION_TOKEN_TRANSFER] = &token_transfer_record,
    [ACTION_MARKET_CREATE] = &market_create_record,
    [ACTION_MARKET_STATE] = &market_set_state_record,
    [ACTION_MARKET_UPDATE] = &market_update_record,
    [ACTION_MARKET_RESERVE] = &market_reserve_record,
    [ACTION_NETWORK_CREATE] = &network_create_record,
    [ACTION_NETWORK_NODE] = &network_node_record,
    [ACTION_CAPACITY_PUBLISH] = &capacity_publish_record,
    [ACTION_NETWORK_LINE] = &network_line_codec,
    [ACTION_NETWORK_ROW] = &network_row_codec,
    [ACTION_PORTFOLIO_PLACE] = &portfolio_place_codec,
    [ACTION_SOLUTION_PROPOSE] = &solution_propose_codec,
    [ACTION_REQUEST_PLACE] = &request_place_record,
    [ACTION_OFFER_PLACE] = &offer_place_record,
    [ACTION_ORDER_CANCEL] = &order_cancel_record,
    [ACTION_ORDER_REPLACE] = &order_replace_record,
    [ACTION_METER_BATCH] = &meter_batch_record,
    [ACTION_DELIVERY_PROVE] = &delivery_prove_record,
    [ACTION_DEAL_DISPUTE] = &deal_dispute_record,
    [ACTION_RESERVATION_CALL] = &reservation_call_record,
    [ACTION_FORECAST_PUBLISH] = &forecast_publish_codec,
    [ACTION_DISPATCH_SEND] = &dispatch_send_codec,
    [ACTION_DISPATCH_ACK] = &dispatch_ack_codec,
    [ACTION_GOVERNANCE_PROPOSE] = &governance_propose_record,
    [ACTION_GOVERNANCE_VOTE] = &governance_vote_record,
    [ACTION_GOVERNANCE_EVIDENCE] = &governance_evidence_record,
};

const struct codec_record *action_codec(uint8_t type)
{
    return type < ACTION_TYPE_LIMIT ? codecs[type] : NULL;
}

size_t action_bytes_max(uint8_t type)
{
    if (type == ACTION_PORTFOLIO_PLACE) {
        return LIMIT_PORTFOLIO_BYTES;
    }
    if (type == ACTION_SOLUTION_PROPOSE) {
        return LIMIT_SOLUTION_ACTION_BYTES;
    }
    if (type == ACTION_MARKET_CREATE || type == ACTION_MARKET_UPDATE) {
        return LIMIT_TERMS_BYTES;
    }
    return type == ACTION_NETWORK_ROW ? LIMIT_ROW_BYTES : LIMIT_ACTION_BYTES;
}

uint8_t action_from_name(const char *name)
{
    for (unsigned type = 0; type < ACTION_TYPE_LIMIT; type++)
        if (codecs[type] != NULL && strcmp(codecs[type]->name, name) == 0)
            return (uint8_t)type;
    return 0;
}
