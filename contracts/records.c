/* The state's records: one table per record, from which storage, API, proofs and audit follow
 * (house rule 11). docs/spec/state.md prints them; state_key.c has their keys.
 *
 * 1. A field's place in its table is its place in the stored value; neither ever changes without an
 *    ADR, since every state root depends on it.
 * 2. Every encoding stays within LIMIT_STATE_VALUE_BYTES; a unit test computes it from the tables.
 *
 * Deliberately absent: what a record's values may be to one another. The modules keep that. */
#include "contracts/records.h"

const char *const pot_kind_names[POT_KIND_COUNT] = {"balance",     "order_escrow", "deal_escrow",
                                                    "fees",        "deal_deposit", "market_reserve",
                                                    "dispute_bond"};

bool pot_kind_has_record(enum pot_kind kind)
{
    switch (kind) {
    case POT_BALANCE:
    case POT_FEES:
    case POT_MARKET_RESERVE:
    case POT_DISPUTE_BOND:
        return true;
    case POT_ORDER_ESCROW:
    case POT_DEAL_ESCROW:
    case POT_DEAL_DEPOSIT:
        return false;
    }
    return false;
}

const char *const order_side_names[2] = {"buy", "sell"};
const char *const order_status_names[4] = {"open", "filled", "cancelled", "expired"};
const char *const deal_state_names[DEAL_STATE_COUNT] = {"matched",  "settled", "partial",
                                                        "refunded", "proven",  "disputed"};

static const struct codec_field params_validator_record_fields[] = {
    {.name = "key",
     .offset = offsetof(struct params_validator, key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "operator",
     .offset = offsetof(struct params_validator, operator_name),
     .type = CODEC_NAME},
};
static const struct codec_record params_validator_record = {
    .name = "validator",
    .struct_size = sizeof(struct params_validator),
    .fields = params_validator_record_fields,
    .field_count = sizeof params_validator_record_fields / sizeof params_validator_record_fields[0],
};

static const struct codec_field params_record_codec_fields[] = {
    {.name = "fee_per_tx_ueur",
     .offset = offsetof(struct params_record, fee_per_tx),
     .type = CODEC_I64},
    {.name = "fee_per_action_ueur",
     .offset = offsetof(struct params_record, fee_per_action),
     .type = CODEC_I64},
    {.name = "fee_per_deal_ueur",
     .offset = offsetof(struct params_record, fee_per_deal),
     .type = CODEC_I64},
    {.name = "fee_period_ms",
     .offset = offsetof(struct params_record, fee_period),
     .type = CODEC_I64},
    {.name = "tx_lifetime_ms",
     .offset = offsetof(struct params_record, tx_lifetime),
     .type = CODEC_I64},
    {.name = "validators",
     .offset = offsetof(struct params_record, validators),
     .type = CODEC_ARRAY,
     .limit = LIMIT_VALIDATORS,
     .count_offset = offsetof(struct params_record, validator_count),
     .record = &params_validator_record},
};
const struct codec_record params_record_codec = {
    .name = "params",
    .struct_size = sizeof(struct params_record),
    .fields = params_record_codec_fields,
    .field_count = sizeof params_record_codec_fields / sizeof params_record_codec_fields[0],
};

static const struct codec_field participant_record_codec_fields[] = {
    {.name = "key",
     .offset = offsetof(struct participant_record, key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "roles",
     .offset = offsetof(struct participant_record, roles),
     .type = CODEC_FLAGS,
     .limit = ROLE_COUNT,
     .names = role_names},
    {.name = "status",
     .offset = offsetof(struct participant_record, status),
     .type = CODEC_ENUM,
     .limit = 4,
     .names = status_names},
    {.name = "nonce", .offset = offsetof(struct participant_record, nonce), .type = CODEC_U64},
};
const struct codec_record participant_record_codec = {
    .name = "participant",
    .struct_size = sizeof(struct participant_record),
    .fields = participant_record_codec_fields,
    .field_count =
        sizeof participant_record_codec_fields / sizeof participant_record_codec_fields[0],
};

static const struct codec_field key_record_codec_fields[] = {
    {.name = "participant",
     .offset = offsetof(struct key_record, participant),
     .type = CODEC_NAME_EMPTY},
    {.name = "former", .offset = offsetof(struct key_record, former), .type = CODEC_NAME_EMPTY},
};
const struct codec_record key_record_codec = {
    .name = "key",
    .struct_size = sizeof(struct key_record),
    .fields = key_record_codec_fields,
    .field_count = sizeof key_record_codec_fields / sizeof key_record_codec_fields[0],
};

static const struct codec_field pot_record_codec_fields[] = {
    {.name = "amount_ueur", .offset = offsetof(struct pot_record, amount), .type = CODEC_I64},
};
const struct codec_record pot_record_codec = {
    .name = "pot",
    .struct_size = sizeof(struct pot_record),
    .fields = pot_record_codec_fields,
    .field_count = sizeof pot_record_codec_fields / sizeof pot_record_codec_fields[0],
};

static const struct codec_field supply_record_codec_fields[] = {
    {.name = "minted_ueur", .offset = offsetof(struct supply_record, minted), .type = CODEC_I64},
    {.name = "burned_ueur", .offset = offsetof(struct supply_record, burned), .type = CODEC_I64},
    {.name = "held_balance_ueur",
     .offset = offsetof(struct supply_record, held[POT_BALANCE]),
     .type = CODEC_I64},
    {.name = "held_order_escrow_ueur",
     .offset = offsetof(struct supply_record, held[POT_ORDER_ESCROW]),
     .type = CODEC_I64},
    {.name = "held_deal_escrow_ueur",
     .offset = offsetof(struct supply_record, held[POT_DEAL_ESCROW]),
     .type = CODEC_I64},
    {.name = "held_fees_ueur",
     .offset = offsetof(struct supply_record, held[POT_FEES]),
     .type = CODEC_I64},
    {.name = "held_deal_deposit_ueur",
     .offset = offsetof(struct supply_record, held[POT_DEAL_DEPOSIT]),
     .type = CODEC_I64},
    {.name = "held_market_reserve_ueur",
     .offset = offsetof(struct supply_record, held[POT_MARKET_RESERVE]),
     .type = CODEC_I64},
    {.name = "held_dispute_bond_ueur",
     .offset = offsetof(struct supply_record, held[POT_DISPUTE_BOND]),
     .type = CODEC_I64},
};
_Static_assert(sizeof supply_record_codec_fields / sizeof supply_record_codec_fields[0] ==
                   2 + POT_KIND_COUNT,
               "every kind of pot has its total");
const struct codec_record supply_record_codec = {
    .name = "supply",
    .struct_size = sizeof(struct supply_record),
    .fields = supply_record_codec_fields,
    .field_count = sizeof supply_record_codec_fields / sizeof supply_record_codec_fields[0],
};

static const struct codec_field receipt_reference_codec_fields[] = {
    {.name = "treasurer",
     .offset = offsetof(struct receipt_reference, treasurer),
     .type = CODEC_NAME},
    {.name = "amount_ueur",
     .offset = offsetof(struct receipt_reference, amount),
     .type = CODEC_I64},
};
const struct codec_record receipt_reference_codec = {
    .name = "receipt_reference",
    .struct_size = sizeof(struct receipt_reference),
    .fields = receipt_reference_codec_fields,
    .field_count = sizeof receipt_reference_codec_fields / sizeof receipt_reference_codec_fields[0],
};

static const struct codec_field device_record_codec_fields[] = {
    {.name = "owner", .offset = offsetof(struct device_record, owner), .type = CODEC_NAME},
    {.name = "manager",
     .offset = offsetof(struct device_record, manager),
     .type = CODEC_NAME_EMPTY},
    {.name = "managed_from_ms",
     .offset = offsetof(struct device_record, managed_from),
     .type = CODEC_I64},
    {.name = "managed_until_ms",
     .offset = offsetof(struct device_record, managed_until),
     .type = CODEC_I64},
    {.name = "pending_manager",
     .offset = offsetof(struct device_record, pending_manager),
     .type = CODEC_NAME_EMPTY},
    {.name = "pending_from_ms",
     .offset = offsetof(struct device_record, pending_from),
     .type = CODEC_I64},
    {.name = "pending_until_ms",
     .offset = offsetof(struct device_record, pending_until),
     .type = CODEC_I64},
    {.name = "pending_owner",
     .offset = offsetof(struct device_record, pending_owner),
     .type = CODEC_NAME_EMPTY},
    {.name = "device_type",
     .offset = offsetof(struct device_record, type),
     .type = CODEC_ENUM,
     .limit = 5,
     .names = device_type_names},
    {.name = "max_power_w", .offset = offsetof(struct device_record, max_power), .type = CODEC_I64},
    {.name = "capacity_wh", .offset = offsetof(struct device_record, capacity), .type = CODEC_I64},
    {.name = "connection_w",
     .offset = offsetof(struct device_record, connection),
     .type = CODEC_I64},
    {.name = "node", .offset = offsetof(struct device_record, node), .type = CODEC_NAME},
    {.name = "feeder", .offset = offsetof(struct device_record, feeder), .type = CODEC_NAME},
    {.name = "zone", .offset = offsetof(struct device_record, zone), .type = CODEC_NAME},
    {.name = "meter_key",
     .offset = offsetof(struct device_record, meter_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "submeter_key",
     .offset = offsetof(struct device_record, submeter_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "address_hash",
     .offset = offsetof(struct device_record, address_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "status",
     .offset = offsetof(struct device_record, status),
     .type = CODEC_ENUM,
     .limit = 4,
     .names = status_names},
};
const struct codec_record device_record_codec = {
    .name = "device",
    .struct_size = sizeof(struct device_record),
    .fields = device_record_codec_fields,
    .field_count = sizeof device_record_codec_fields / sizeof device_record_codec_fields[0],
};

static const struct codec_field enrolment_record_codec_fields[] = {
    {.name = "participant",
     .offset = offsetof(struct enrolment_record, participant),
     .type = CODEC_NAME},
};
const struct codec_record enrolment_record_codec = {
    .name = "enrolment",
    .struct_size = sizeof(struct enrolment_record),
    .fields = enrolment_record_codec_fields,
    .field_count = sizeof enrolment_record_codec_fields / sizeof enrolment_record_codec_fields[0],
};

static const struct codec_field commitment_record_codec_fields[] = {
    {.name = "power_w", .offset = offsetof(struct commitment_record, power), .type = CODEC_I64},
    {.name = "reserved_w",
     .offset = offsetof(struct commitment_record, reserved),
     .type = CODEC_I64},
    {.name = "limited_w", .offset = offsetof(struct commitment_record, limited), .type = CODEC_I64},
    {.name = "mtu_ms", .offset = offsetof(struct commitment_record, mtu), .type = CODEC_I64},
};
const struct codec_record commitment_record_codec = {
    .name = "commitment",
    .struct_size = sizeof(struct commitment_record),
    .fields = commitment_record_codec_fields,
    .field_count = sizeof commitment_record_codec_fields / sizeof commitment_record_codec_fields[0],
};

static const struct codec_field market_record_codec_fields[] = {
    {.name = "terms",
     .offset = offsetof(struct market_record, terms),
     .type = CODEC_RECORD,
     .record = &market_create_record},
    {.name = "state",
     .offset = offsetof(struct market_record, state),
     .type = CODEC_ENUM,
     .limit = 3,
     .names = market_state_names},
    {.name = "operator",
     .offset = offsetof(struct market_record, operator_name),
     .type = CODEC_NAME},
    {.name = "version", .offset = offsetof(struct market_record, version), .type = CODEC_U32},
    {.name = "change_height",
     .offset = offsetof(struct market_record, change_height),
     .type = CODEC_U64},
};
const struct codec_record market_record_codec = {
    .name = "market",
    .struct_size = sizeof(struct market_record),
    .fields = market_record_codec_fields,
    .field_count = sizeof market_record_codec_fields / sizeof market_record_codec_fields[0],
};

static const struct codec_field draft_record_codec_fields[] = {
    {.name = "terms",
     .offset = offsetof(struct draft_record, terms),
     .type = CODEC_RECORD,
     .record = &market_create_record},
    {.name = "version", .offset = offsetof(struct draft_record, version), .type = CODEC_U32},
    {.name = "operator",
     .offset = offsetof(struct draft_record, operator_name),
     .type = CODEC_NAME},
};
const struct codec_record draft_record_codec = {
    .name = "draft",
    .struct_size = sizeof(struct draft_record),
    .fields = draft_record_codec_fields,
    .field_count = sizeof draft_record_codec_fields / sizeof draft_record_codec_fields[0],
};

static const struct codec_field order_record_codec_fields[] = {
    {.name = "held_ueur", .offset = offsetof(struct order_record, held), .type = CODEC_I64},
    {.name = "market", .offset = offsetof(struct order_record, market), .type = CODEC_NAME},
    {.name = "participant",
     .offset = offsetof(struct order_record, participant),
     .type = CODEC_NAME},
    {.name = "side",
     .offset = offsetof(struct order_record, side),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = order_side_names},
    {.name = "direction",
     .offset = offsetof(struct order_record, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "status",
     .offset = offsetof(struct order_record, status),
     .type = CODEC_ENUM,
     .limit = 4,
     .names = order_status_names},
    {.name = "period_start_ms",
     .offset = offsetof(struct order_record, period_start),
     .type = CODEC_I64},
    {.name = "quantity_wh", .offset = offsetof(struct order_record, quantity), .type = CODEC_I64},
    {.name = "open_wh", .offset = offsetof(struct order_record, open), .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct order_record, price),
     .type = CODEC_I64},
    {.name = "device", .offset = offsetof(struct order_record, device), .type = CODEC_NAME_EMPTY},
    {.name = "schedule_hash",
     .offset = offsetof(struct order_record, schedule_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "height", .offset = offsetof(struct order_record, height), .type = CODEC_U64},
    {.name = "tie", .offset = offsetof(struct order_record, tie), .type = CODEC_U64},
    {.name = "options",
     .offset = offsetof(struct order_record, options),
     .type = CODEC_RECORD,
     .record = &order_options_record},
    {.name = "deposit_price_ueur_per_kwh",
     .offset = offsetof(struct order_record, deposit_price),
     .type = CODEC_I64},
    {.name = "reservation",
     .offset = offsetof(struct order_record, reservation),
     .type = CODEC_U64},
};
const struct codec_record order_record_codec = {
    .name = "order",
    .struct_size = sizeof(struct order_record),
    .fields = order_record_codec_fields,
    .field_count = sizeof order_record_codec_fields / sizeof order_record_codec_fields[0],
};

static const struct codec_field deal_record_codec_fields[] = {
    {.name = "held_escrow_ueur",
     .offset = offsetof(struct deal_record, held_escrow),
     .type = CODEC_I64},
    {.name = "held_deposit_ueur",
     .offset = offsetof(struct deal_record, held_deposit),
     .type = CODEC_I64},
    {.name = "market", .offset = offsetof(struct deal_record, market), .type = CODEC_NAME},
    {.name = "direction",
     .offset = offsetof(struct deal_record, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "state",
     .offset = offsetof(struct deal_record, state),
     .type = CODEC_ENUM,
     .limit = DEAL_STATE_COUNT,
     .names = deal_state_names},
    {.name = "buyer", .offset = offsetof(struct deal_record, buyer), .type = CODEC_NAME},
    {.name = "seller", .offset = offsetof(struct deal_record, seller), .type = CODEC_NAME},
    {.name = "device", .offset = offsetof(struct deal_record, device), .type = CODEC_NAME},
    {.name = "buy_order", .offset = offsetof(struct deal_record, buy_order), .type = CODEC_U64},
    {.name = "sell_order", .offset = offsetof(struct deal_record, sell_order), .type = CODEC_U64},
    {.name = "period_start_ms",
     .offset = offsetof(struct deal_record, period_start),
     .type = CODEC_I64},
    {.name = "contracted_wh",
     .offset = offsetof(struct deal_record, contracted),
     .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct deal_record, price),
     .type = CODEC_I64},
    {.name = "escrow_ueur", .offset = offsetof(struct deal_record, escrow), .type = CODEC_I64},
    {.name = "schedule_hash",
     .offset = offsetof(struct deal_record, schedule_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "matched_height",
     .offset = offsetof(struct deal_record, matched_height),
     .type = CODEC_U64},
    {.name = "proof_deadline_ms",
     .offset = offsetof(struct deal_record, proof_deadline),
     .type = CODEC_I64},
    {.name = "version", .offset = offsetof(struct deal_record, version), .type = CODEC_U32},
    {.name = "deposit_ueur", .offset = offsetof(struct deal_record, deposit), .type = CODEC_I64},
    {.name = "reservation", .offset = offsetof(struct deal_record, reservation), .type = CODEC_U64},
    {.name = "dispute_deadline_ms",
     .offset = offsetof(struct deal_record, dispute_deadline),
     .type = CODEC_I64},
    {.name = "delivered_wh", .offset = offsetof(struct deal_record, delivered), .type = CODEC_I64},
    {.name = "credited_wh", .offset = offsetof(struct deal_record, credited), .type = CODEC_I64},
    {.name = "paid_ueur", .offset = offsetof(struct deal_record, paid), .type = CODEC_I64},
    {.name = "refunded_ueur", .offset = offsetof(struct deal_record, refunded), .type = CODEC_I64},
    {.name = "fee_ueur", .offset = offsetof(struct deal_record, fee), .type = CODEC_I64},
    {.name = "penalty_ueur", .offset = offsetof(struct deal_record, penalty), .type = CODEC_I64},
    {.name = "settled_height",
     .offset = offsetof(struct deal_record, settled_height),
     .type = CODEC_U64},
    {.name = "basis",
     .offset = offsetof(struct deal_record, basis),
     .type = CODEC_ENUM,
     .limit = DEAL_BASIS_COUNT,
     .names = deal_basis_names},
    {.name = "payment_ueur", .offset = offsetof(struct deal_record, payment), .type = CODEC_I64},
    {.name = "added_ueur", .offset = offsetof(struct deal_record, added), .type = CODEC_I64},
    {.name = "returned_ueur", .offset = offsetof(struct deal_record, returned), .type = CODEC_I64},
};
const struct codec_record deal_record_codec = {
    .name = "deal",
    .struct_size = sizeof(struct deal_record),
    .fields = deal_record_codec_fields,
    .field_count = sizeof deal_record_codec_fields / sizeof deal_record_codec_fields[0],
};

static const struct codec_field batch_record_codec_fields[] = {
    {.name = "interval_ms", .offset = offsetof(struct batch_record, interval), .type = CODEC_I64},
    {.name = "count", .offset = offsetof(struct batch_record, count), .type = CODEC_U32},
    {.name = "root",
     .offset = offsetof(struct batch_record, root),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "revision", .offset = offsetof(struct batch_record, revision), .type = CODEC_U32},
    {.name = "posted_ms", .offset = offsetof(struct batch_record, posted), .type = CODEC_I64},
};
const struct codec_record batch_record_codec = {
    .name = "batch",
    .struct_size = sizeof(struct batch_record),
    .fields = batch_record_codec_fields,
    .field_count = sizeof batch_record_codec_fields / sizeof batch_record_codec_fields[0],
};

static const struct codec_field digest_record_codec_fields[] = {
    {.name = "height", .offset = offsetof(struct digest_record, height), .type = CODEC_U64},
    {.name = "log_root",
     .offset = offsetof(struct digest_record, log_root),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "transactions",
     .offset = offsetof(struct digest_record, transactions),
     .type = CODEC_U64},
};
const struct codec_record digest_record_codec = {
    .name = "digest",
    .struct_size = sizeof(struct digest_record),
    .fields = digest_record_codec_fields,
    .field_count = sizeof digest_record_codec_fields / sizeof digest_record_codec_fields[0],
};

static const struct codec_field counters_record_codec_fields[] = {
    {.name = "orders", .offset = offsetof(struct counters_record, orders), .type = CODEC_U64},
    {.name = "deals", .offset = offsetof(struct counters_record, deals), .type = CODEC_U64},
    {.name = "transactions",
     .offset = offsetof(struct counters_record, transactions),
     .type = CODEC_U64},
};
const struct codec_record counters_record_codec = {
    .name = "counters",
    .struct_size = sizeof(struct counters_record),
    .fields = counters_record_codec_fields,
    .field_count = sizeof counters_record_codec_fields / sizeof counters_record_codec_fields[0],
};

static const struct codec_field clock_record_codec_fields[] = {
    {.name = "time_ms", .offset = offsetof(struct clock_record, time), .type = CODEC_I64},
    {.name = "fees_split_ms",
     .offset = offsetof(struct clock_record, fees_split),
     .type = CODEC_I64},
};
const struct codec_record clock_record_codec = {
    .name = "clock",
    .struct_size = sizeof(struct clock_record),
    .fields = clock_record_codec_fields,
    .field_count = sizeof clock_record_codec_fields / sizeof clock_record_codec_fields[0],
};

static const struct codec_field used_record_codec_fields[] = {
    {.name = "quantity_wh", .offset = offsetof(struct used_record, quantity), .type = CODEC_I64},
};
const struct codec_record used_record_codec = {
    .name = "used",
    .struct_size = sizeof(struct used_record),
    .fields = used_record_codec_fields,
    .field_count = sizeof used_record_codec_fields / sizeof used_record_codec_fields[0],
};

static const struct codec_field deadline_record_codec_fields[] = {
    {.name = "ids", .offset = offsetof(struct deadline_record, ids), .type = CODEC_U64},
};
const struct codec_record deadline_record_codec = {
    .name = "deadline",
    .struct_size = sizeof(struct deadline_record),
    .fields = deadline_record_codec_fields,
    .field_count = sizeof deadline_record_codec_fields / sizeof deadline_record_codec_fields[0],
};

static const struct codec_field book_size_record_codec_fields[] = {
    {.name = "open", .offset = offsetof(struct book_size_record, open), .type = CODEC_U32},
};
const struct codec_record book_size_record_codec = {
    .name = "book_size",
    .struct_size = sizeof(struct book_size_record),
    .fields = book_size_record_codec_fields,
    .field_count = sizeof book_size_record_codec_fields / sizeof book_size_record_codec_fields[0],
};

static const struct codec_field book_share_record_codec_fields[] = {
    {.name = "open", .offset = offsetof(struct book_share_record, open), .type = CODEC_U32},
    {.name = "locked_ueur",
     .offset = offsetof(struct book_share_record, locked),
     .type = CODEC_I64},
};
const struct codec_record book_share_record_codec = {
    .name = "book_share",
    .struct_size = sizeof(struct book_share_record),
    .fields = book_share_record_codec_fields,
    .field_count = sizeof book_share_record_codec_fields / sizeof book_share_record_codec_fields[0],
};

static const struct codec_field book_late_record_codec_fields[] = {
    {.name = "since", .offset = offsetof(struct book_late_record, since), .type = CODEC_U64},
    {.name = "ended", .offset = offsetof(struct book_late_record, ended), .type = CODEC_U64},
};
const struct codec_record book_late_record_codec = {
    .name = "book_late",
    .struct_size = sizeof(struct book_late_record),
    .fields = book_late_record_codec_fields,
    .field_count = sizeof book_late_record_codec_fields / sizeof book_late_record_codec_fields[0],
};
