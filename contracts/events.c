/* Events and receipts: their encodings, their walk, a receipt's leaf under receipt_root.
 *
 * 1. An event with its head of three bytes stays within CONTRACT_EVENT_BYTES_MAX; a unit test
 *    computes it from the tables.
 * 2. Type numbers and field places never change: receipt roots depend on them.
 *
 * Deliberately absent: writing events. contract_event (ledger.c) does that, into the block's own
 * memory. */
#include "contracts/events.h"
#include "base/fatal.h"
#include "contracts/ledger.h"

static const char *const event_pot_kind_names[POT_OUTSIDE + 1] = {
    "balance",      "order_escrow",   "deal_escrow",  "fees",
    "deal_deposit", "market_reserve", "dispute_bond", "outside"};

static const struct codec_field pot_id_codec_fields[] = {
    {.name = "kind",
     .offset = offsetof(struct pot_id, kind),
     .type = CODEC_ENUM,
     .limit = POT_OUTSIDE + 1,
     .names = event_pot_kind_names},
    {.name = "participant",
     .offset = offsetof(struct pot_id, participant),
     .type = CODEC_NAME_EMPTY},
    {.name = "id", .offset = offsetof(struct pot_id, id), .type = CODEC_U64},
};
const struct codec_record pot_id_codec = {
    .name = "pot_id",
    .struct_size = sizeof(struct pot_id),
    .fields = pot_id_codec_fields,
    .field_count = sizeof pot_id_codec_fields / sizeof pot_id_codec_fields[0],
};

static const struct codec_field event_order_placed_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_order_placed, id), .type = CODEC_U64},
    {.name = "order",
     .offset = offsetof(struct event_order_placed, order),
     .type = CODEC_RECORD,
     .record = &order_record_codec},
};
static const struct codec_record event_order_placed_codec = {
    .name = "order_placed",
    .struct_size = sizeof(struct event_order_placed),
    .fields = event_order_placed_codec_fields,
    .field_count =
        sizeof event_order_placed_codec_fields / sizeof event_order_placed_codec_fields[0],
};

static const struct codec_field event_order_cancelled_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_order_ended, id), .type = CODEC_U64},
};
static const struct codec_record event_order_cancelled_codec = {
    .name = "order_cancelled",
    .struct_size = sizeof(struct event_order_ended),
    .fields = event_order_cancelled_codec_fields,
    .field_count =
        sizeof event_order_cancelled_codec_fields / sizeof event_order_cancelled_codec_fields[0],
};

static const struct codec_field event_order_expired_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_order_ended, id), .type = CODEC_U64},
};
static const struct codec_record event_order_expired_codec = {
    .name = "order_expired",
    .struct_size = sizeof(struct event_order_ended),
    .fields = event_order_expired_codec_fields,
    .field_count =
        sizeof event_order_expired_codec_fields / sizeof event_order_expired_codec_fields[0],
};

static const struct codec_field event_order_reduced_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_order_reduced, id), .type = CODEC_U64},
    {.name = "withdrawn_wh",
     .offset = offsetof(struct event_order_reduced, withdrawn),
     .type = CODEC_I64},
    {.name = "open_wh", .offset = offsetof(struct event_order_reduced, open), .type = CODEC_I64},
};
static const struct codec_record event_order_reduced_codec = {
    .name = "order_reduced",
    .struct_size = sizeof(struct event_order_reduced),
    .fields = event_order_reduced_codec_fields,
    .field_count =
        sizeof event_order_reduced_codec_fields / sizeof event_order_reduced_codec_fields[0],
};

static const struct codec_field event_deal_matched_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_deal, id), .type = CODEC_U64},
    {.name = "deal",
     .offset = offsetof(struct event_deal, deal),
     .type = CODEC_RECORD,
     .record = &deal_record_codec},
};
static const struct codec_record event_deal_matched_codec = {
    .name = "deal_matched",
    .struct_size = sizeof(struct event_deal),
    .fields = event_deal_matched_codec_fields,
    .field_count =
        sizeof event_deal_matched_codec_fields / sizeof event_deal_matched_codec_fields[0],
};

static const struct codec_field event_deal_ended_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_deal, id), .type = CODEC_U64},
    {.name = "deal",
     .offset = offsetof(struct event_deal, deal),
     .type = CODEC_RECORD,
     .record = &deal_record_codec},
};
static const struct codec_record event_deal_ended_codec = {
    .name = "deal_ended",
    .struct_size = sizeof(struct event_deal),
    .fields = event_deal_ended_codec_fields,
    .field_count = sizeof event_deal_ended_codec_fields / sizeof event_deal_ended_codec_fields[0],
};

static const struct codec_field event_token_moved_codec_fields[] = {
    {.name = "from",
     .offset = offsetof(struct event_token_moved, from),
     .type = CODEC_RECORD,
     .record = &pot_id_codec},
    {.name = "to",
     .offset = offsetof(struct event_token_moved, to),
     .type = CODEC_RECORD,
     .record = &pot_id_codec},
    {.name = "amount_ueur",
     .offset = offsetof(struct event_token_moved, amount),
     .type = CODEC_I64},
};
static const struct codec_record event_token_moved_codec = {
    .name = "token_moved",
    .struct_size = sizeof(struct event_token_moved),
    .fields = event_token_moved_codec_fields,
    .field_count = sizeof event_token_moved_codec_fields / sizeof event_token_moved_codec_fields[0],
};

static const struct codec_field event_fees_split_codec_fields[] = {
    {.name = "operator",
     .offset = offsetof(struct event_fees_split, operator_name),
     .type = CODEC_NAME},
    {.name = "amount_ueur", .offset = offsetof(struct event_fees_split, amount), .type = CODEC_I64},
};
static const struct codec_record event_fees_split_codec = {
    .name = "fees_split",
    .struct_size = sizeof(struct event_fees_split),
    .fields = event_fees_split_codec_fields,
    .field_count = sizeof event_fees_split_codec_fields / sizeof event_fees_split_codec_fields[0],
};

static const struct codec_field event_digest_codec_fields[] = {
    {.name = "day", .offset = offsetof(struct event_digest, day), .type = CODEC_I64},
    {.name = "digest",
     .offset = offsetof(struct event_digest, digest),
     .type = CODEC_RECORD,
     .record = &digest_record_codec},
};
static const struct codec_record event_digest_codec = {
    .name = "digest",
    .struct_size = sizeof(struct event_digest),
    .fields = event_digest_codec_fields,
    .field_count = sizeof event_digest_codec_fields / sizeof event_digest_codec_fields[0],
};

static const struct codec_field receipt_record_fields[] = {
    {.name = "tx_id",
     .offset = offsetof(struct receipt, tx_id),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "status", .offset = offsetof(struct receipt, status), .type = CODEC_U16},
    {.name = "fee_ueur", .offset = offsetof(struct receipt, fee), .type = CODEC_I64},
    {.name = "events",
     .offset = offsetof(struct receipt, events),
     .type = CODEC_BYTES,
     .limit = LEDGER_BLOCK_EVENTS_BYTES_MAX},
};
const struct codec_record receipt_record = {
    .name = "receipt",
    .struct_size = sizeof(struct receipt),
    .fields = receipt_record_fields,
    .field_count = sizeof receipt_record_fields / sizeof receipt_record_fields[0],
};

static const struct codec_field event_proposal_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_proposal, id), .type = CODEC_U64},
    {.name = "kind",
     .offset = offsetof(struct event_proposal, kind),
     .type = CODEC_ENUM,
     .limit = PROPOSAL_KIND_COUNT,
     .names = proposal_kind_names},
    {.name = "status",
     .offset = offsetof(struct event_proposal, status),
     .type = CODEC_ENUM,
     .limit = PROPOSAL_STATUS_COUNT,
     .names = proposal_status_names},
};
static const struct codec_record event_proposal_codec = {
    .name = "proposal",
    .struct_size = sizeof(struct event_proposal),
    .fields = event_proposal_codec_fields,
    .field_count = sizeof event_proposal_codec_fields / sizeof event_proposal_codec_fields[0],
};

static const struct codec_field event_epoch_codec_fields[] = {
    {.name = "epoch", .offset = offsetof(struct event_epoch, epoch), .type = CODEC_U64},
    {.name = "validators", .offset = offsetof(struct event_epoch, validators), .type = CODEC_U32},
};
static const struct codec_record event_epoch_codec = {
    .name = "epoch",
    .struct_size = sizeof(struct event_epoch),
    .fields = event_epoch_codec_fields,
    .field_count = sizeof event_epoch_codec_fields / sizeof event_epoch_codec_fields[0],
};

static const struct codec_field event_market_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct event_market, market), .type = CODEC_NAME},
    {.name = "state",
     .offset = offsetof(struct event_market, state),
     .type = CODEC_ENUM,
     .limit = 3,
     .names = market_state_names},
    {.name = "version", .offset = offsetof(struct event_market, version), .type = CODEC_U32},
    {.name = "drafted", .offset = offsetof(struct event_market, drafted), .type = CODEC_BOOL},
    {.name = "change_height",
     .offset = offsetof(struct event_market, change_height),
     .type = CODEC_U64},
};
static const struct codec_record event_market_codec = {
    .name = "market",
    .struct_size = sizeof(struct event_market),
    .fields = event_market_codec_fields,
    .field_count = sizeof event_market_codec_fields / sizeof event_market_codec_fields[0],
};

static const struct codec_field event_deal_proven_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_deal, id), .type = CODEC_U64},
    {.name = "deal",
     .offset = offsetof(struct event_deal, deal),
     .type = CODEC_RECORD,
     .record = &deal_record_codec},
};
static const struct codec_record event_deal_proven_codec = {
    .name = "deal_proven",
    .struct_size = sizeof(struct event_deal),
    .fields = event_deal_proven_codec_fields,
    .field_count = sizeof event_deal_proven_codec_fields / sizeof event_deal_proven_codec_fields[0],
};

static const struct codec_field event_dispute_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_dispute, id), .type = CODEC_U64},
    {.name = "outcome",
     .offset = offsetof(struct event_dispute, outcome),
     .type = CODEC_ENUM,
     .limit = DISPUTE_OUTCOME_COUNT,
     .names = dispute_outcome_names},
    {.name = "opener", .offset = offsetof(struct event_dispute, opener), .type = CODEC_NAME},
    {.name = "evidence",
     .offset = offsetof(struct event_dispute, evidence),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "bond_ueur", .offset = offsetof(struct event_dispute, bond), .type = CODEC_I64},
    {.name = "deadline_ms", .offset = offsetof(struct event_dispute, deadline), .type = CODEC_I64},
};
static const struct codec_record event_dispute_codec = {
    .name = "deal_disputed",
    .struct_size = sizeof(struct event_dispute),
    .fields = event_dispute_codec_fields,
    .field_count = sizeof event_dispute_codec_fields / sizeof event_dispute_codec_fields[0],
};

static const struct codec_field event_called_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_called, id), .type = CODEC_U64},
    {.name = "call",
     .offset = offsetof(struct event_called, call),
     .type = CODEC_RECORD,
     .record = &reservation_call_codec},
};
static const struct codec_record event_called_codec = {
    .name = "reservation_called",
    .struct_size = sizeof(struct event_called),
    .fields = event_called_codec_fields,
    .field_count = sizeof event_called_codec_fields / sizeof event_called_codec_fields[0],
};

static const struct codec_field event_capacity_codec_fields[] = {
    {.name = "network", .offset = offsetof(struct event_capacity, network), .type = CODEC_NAME},
    {.name = "node", .offset = offsetof(struct event_capacity, node), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct event_capacity, start), .type = CODEC_I64},
    {.name = "interval_ms", .offset = offsetof(struct event_capacity, interval), .type = CODEC_I64},
    {.name = "intervals", .offset = offsetof(struct event_capacity, intervals), .type = CODEC_U32},
    {.name = "oversold", .offset = offsetof(struct event_capacity, oversold), .type = CODEC_U32},
};
static const struct codec_record event_capacity_codec = {
    .name = "capacity_published",
    .struct_size = sizeof(struct event_capacity),
    .fields = event_capacity_codec_fields,
    .field_count = sizeof event_capacity_codec_fields / sizeof event_capacity_codec_fields[0],
};

static const struct codec_field event_allocated_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_allocated, id), .type = CODEC_U64},
    {.name = "allocation",
     .offset = offsetof(struct event_allocated, allocation),
     .type = CODEC_RECORD,
     .record = &allocation_record_codec},
};
static const struct codec_record event_allocated_codec = {
    .name = "capacity_allocated",
    .struct_size = sizeof(struct event_allocated),
    .fields = event_allocated_codec_fields,
    .field_count = sizeof event_allocated_codec_fields / sizeof event_allocated_codec_fields[0],
};

static const struct codec_field event_grid_limited_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_grid_limited, id), .type = CODEC_U64},
    {.name = "network", .offset = offsetof(struct event_grid_limited, network), .type = CODEC_NAME},
    {.name = "node", .offset = offsetof(struct event_grid_limited, node), .type = CODEC_NAME},
    {.name = "open_wh", .offset = offsetof(struct event_grid_limited, open), .type = CODEC_I64},
    {.name = "admitted_wh",
     .offset = offsetof(struct event_grid_limited, admitted),
     .type = CODEC_I64},
};
static const struct codec_record event_grid_limited_codec = {
    .name = "grid_limited",
    .struct_size = sizeof(struct event_grid_limited),
    .fields = event_grid_limited_codec_fields,
    .field_count =
        sizeof event_grid_limited_codec_fields / sizeof event_grid_limited_codec_fields[0],
};

static const struct codec_field event_auction_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct event_auction, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct event_auction, period_start),
     .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct event_auction, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "auction",
     .offset = offsetof(struct event_auction, auction),
     .type = CODEC_RECORD,
     .record = &auction_record_codec},
};
static const struct codec_record event_auction_codec = {
    .name = "auction_cleared",
    .struct_size = sizeof(struct event_auction),
    .fields = event_auction_codec_fields,
    .field_count = sizeof event_auction_codec_fields / sizeof event_auction_codec_fields[0],
};

static const struct codec_field measured_unit_fields[] = {
    {.name = "delivered_wh",
     .offset = offsetof(struct measured_unit, delivered),
     .type = CODEC_I64},
};
static const struct codec_record measured_unit_codec = {
    .name = "measured_unit",
    .struct_size = sizeof(struct measured_unit),
    .fields = measured_unit_fields,
    .field_count = sizeof measured_unit_fields / sizeof measured_unit_fields[0],
};

static const struct codec_field event_measured_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct event_measured, id), .type = CODEC_U64},
    {.name = "final_ms", .offset = offsetof(struct event_measured, final), .type = CODEC_I64},
    {.name = "fingerprints_ms",
     .offset = offsetof(struct event_measured, fingerprints),
     .type = CODEC_I64},
    {.name = "units",
     .offset = offsetof(struct event_measured, units),
     .type = CODEC_ARRAY,
     .limit = LIMIT_INTERVALS_PER_PERIOD,
     .record = &measured_unit_codec,
     .count_offset = offsetof(struct event_measured, unit_count)},
};
static const struct codec_record event_measured_codec = {
    .name = "measured",
    .struct_size = sizeof(struct event_measured),
    .fields = event_measured_codec_fields,
    .field_count = sizeof event_measured_codec_fields / sizeof event_measured_codec_fields[0],
};

static const struct codec_record *const codecs[EVENT_TYPE_LIMIT] = {
    [EVENT_ORDER_PLACED] = &event_order_placed_codec,
    [EVENT_ORDER_CANCELLED] = &event_order_cancelled_codec,
    [EVENT_ORDER_EXPIRED] = &event_order_expired_codec,
    [EVENT_DEAL_MATCHED] = &event_deal_matched_codec,
    [EVENT_DEAL_ENDED] = &event_deal_ended_codec,
    [EVENT_TOKEN_MOVED] = &event_token_moved_codec,
    [EVENT_FEES_SPLIT] = &event_fees_split_codec,
    [EVENT_DIGEST] = &event_digest_codec,
    [EVENT_PROPOSAL] = &event_proposal_codec,
    [EVENT_EPOCH] = &event_epoch_codec,
    [EVENT_MARKET] = &event_market_codec,
    [EVENT_DEAL_PROVEN] = &event_deal_proven_codec,
    [EVENT_MEASURED] = &event_measured_codec,
    [EVENT_DEAL_DISPUTED] = &event_dispute_codec,
    [EVENT_CALLED] = &event_called_codec,
    [EVENT_AUCTION] = &event_auction_codec,
    [EVENT_COUPLED] = &event_coupled_codec,
    [EVENT_SOLUTION] = &event_solution_codec,
    [EVENT_COUPLED_SLOT] = &event_coupled_slot_codec,
    [EVENT_ORDER_REDUCED] = &event_order_reduced_codec,
    [EVENT_FORECAST] = &event_forecast_codec,
    [EVENT_DISPATCH] = &event_dispatch_codec,
    [EVENT_CAPACITY_PUBLISHED] = &event_capacity_codec,
    [EVENT_ALLOCATED] = &event_allocated_codec,
    [EVENT_GRID_LIMITED] = &event_grid_limited_codec,
};

const struct codec_record *event_codec(uint8_t type)
{
    return type < EVENT_TYPE_LIMIT ? codecs[type] : NULL;
}

bool event_next(struct bytes_view events, size_t *cursor, uint8_t *type, struct bytes_view *record)
{
    MUST(*cursor <= events.size);
    struct byte_reader reader;
    byte_reader_init(&reader, events.data, events.size);
    reader.at = *cursor;
    uint8_t found = byte_read_u8(&reader);
    uint16_t size = byte_read_u16(&reader);
    struct bytes_view bytes = byte_read_view(&reader, size);
    if (reader.failed || event_codec(found) == NULL)
        return false;
    *type = found;
    *record = bytes;
    *cursor = reader.at;
    return true;
}

void receipt_leaf(struct hash *out, const struct receipt *receipt)
{
    /* Streamed, since a block end's events are too large for a second copy. */
    uint8_t head[HASH_SIZE + 2 + 8 + 4];
    struct byte_writer writer;
    byte_writer_init(&writer, head, sizeof head);
    byte_write_raw(&writer, receipt->tx_id.bytes, HASH_SIZE);
    byte_write_u16(&writer, receipt->status);
    byte_write_i64(&writer, money_ueur(receipt->fee));
    MUST(receipt->events.size <= LEDGER_BLOCK_EVENTS_BYTES_MAX);
    byte_write_u32(&writer, (uint32_t)receipt->events.size);
    MUST(!writer.failed && writer.size == sizeof head);
    hash_pair(out, HASH_DOMAIN_RECEIPT, bytes_view_of(head, sizeof head), receipt->events);
}
