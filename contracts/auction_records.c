/* The records of auctions (contracts/records.h; docs/spec/auctions.md).
 *
 * 1. As in records.c, a field's place in its table is its place in the stored value, for good.
 *
 * Deliberately absent: their rules (auction.c, auction_pay.c). */
#include "contracts/records.h"

const char *const deal_basis_names[DEAL_BASIS_COUNT] = {"by_price", "by_amount"};
const char *const auction_state_names[AUCTION_STATE_COUNT] = {"open", "cleared", "void"};
const char *const auction_fallback_names[AUCTION_FALLBACK_COUNT] = {
    "none", "reserve_exceeded", "over_utility", "not_rational", "limits_exceeded"};

static const struct codec_field auction_record_codec_fields[] = {
    {.name = "state",
     .offset = offsetof(struct auction_record, state),
     .type = CODEC_ENUM,
     .limit = AUCTION_STATE_COUNT,
     .names = auction_state_names},
    {.name = "requests", .offset = offsetof(struct auction_record, requests), .type = CODEC_U32},
    {.name = "offers", .offset = offsetof(struct auction_record, offers), .type = CODEC_U32},
    {.name = "buyer", .offset = offsetof(struct auction_record, buyer), .type = CODEC_NAME_EMPTY},
    {.name = "height", .offset = offsetof(struct auction_record, height), .type = CODEC_U64},
    {.name = "version", .offset = offsetof(struct auction_record, version), .type = CODEC_U32},
    {.name = "agents", .offset = offsetof(struct auction_record, agents), .type = CODEC_U32},
    {.name = "quantity_wh", .offset = offsetof(struct auction_record, quantity), .type = CODEC_I64},
    {.name = "priced", .offset = offsetof(struct auction_record, priced), .type = CODEC_BOOL},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct auction_record, price),
     .type = CODEC_I64},
    {.name = "price_lower_ueur_per_kwh",
     .offset = offsetof(struct auction_record, price_lower),
     .type = CODEC_I64},
    {.name = "price_upper_ueur_per_kwh",
     .offset = offsetof(struct auction_record, price_upper),
     .type = CODEC_I64},
    {.name = "welfare_ueur", .offset = offsetof(struct auction_record, welfare), .type = CODEC_I64},
    {.name = "welfare_neur",
     .offset = offsetof(struct auction_record, welfare_neur),
     .type = CODEC_U16},
    {.name = "payment",
     .offset = offsetof(struct auction_record, payment),
     .type = CODEC_ENUM,
     .limit = PAYMENT_COUNT,
     .names = market_payment_names},
    {.name = "fallback",
     .offset = offsetof(struct auction_record, fallback),
     .type = CODEC_ENUM,
     .limit = AUCTION_FALLBACK_COUNT,
     .names = auction_fallback_names},
    {.name = "bought_ueur", .offset = offsetof(struct auction_record, bought), .type = CODEC_I64},
    {.name = "sold_ueur", .offset = offsetof(struct auction_record, sold), .type = CODEC_I64},
    {.name = "given_ueur", .offset = offsetof(struct auction_record, given), .type = CODEC_I64},
    {.name = "reserve_used_ueur",
     .offset = offsetof(struct auction_record, reserve_used),
     .type = CODEC_I64},
    {.name = "pool_ueur", .offset = offsetof(struct auction_record, pool), .type = CODEC_I64},
    {.name = "first_deal",
     .offset = offsetof(struct auction_record, first_deal),
     .type = CODEC_U64},
    {.name = "deals", .offset = offsetof(struct auction_record, deals), .type = CODEC_U32},
    {.name = "proven", .offset = offsetof(struct auction_record, proven), .type = CODEC_BOOL},
    {.name = "bound_quantity_wh",
     .offset = offsetof(struct auction_record, bound_quantity),
     .type = CODEC_I64},
    {.name = "bound_welfare_ueur",
     .offset = offsetof(struct auction_record, bound_welfare),
     .type = CODEC_I64},
    {.name = "estimated", .offset = offsetof(struct auction_record, estimated), .type = CODEC_BOOL},
    {.name = "error_ueur", .offset = offsetof(struct auction_record, error), .type = CODEC_I64},
    {.name = "seed",
     .offset = offsetof(struct auction_record, seed),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
const struct codec_record auction_record_codec = {
    .name = "auction",
    .struct_size = sizeof(struct auction_record),
    .fields = auction_record_codec_fields,
    .field_count = sizeof auction_record_codec_fields / sizeof auction_record_codec_fields[0],
};

static const struct codec_field auction_bidder_record_codec_fields[] = {
    {.name = "requests",
     .offset = offsetof(struct auction_bidder_record, requests),
     .type = CODEC_U32},
    {.name = "offers", .offset = offsetof(struct auction_bidder_record, offers), .type = CODEC_U32},
    {.name = "rank", .offset = offsetof(struct auction_bidder_record, rank), .type = CODEC_U16},
    {.name = "before_ueur_per_kwh",
     .offset = offsetof(struct auction_bidder_record, before),
     .type = CODEC_I64},
    {.name = "dearest_ueur_per_kwh",
     .offset = offsetof(struct auction_bidder_record, dearest),
     .type = CODEC_I64},
};
const struct codec_record auction_bidder_record_codec = {
    .name = "auction_bidder",
    .struct_size = sizeof(struct auction_bidder_record),
    .fields = auction_bidder_record_codec_fields,
    .field_count =
        sizeof auction_bidder_record_codec_fields / sizeof auction_bidder_record_codec_fields[0],
};

static const struct codec_field auction_total_record_codec_fields[] = {
    {.name = "pending",
     .offset = offsetof(struct auction_total_record, pending),
     .type = CODEC_U32},
    {.name = "cleared",
     .offset = offsetof(struct auction_total_record, cleared),
     .type = CODEC_U64},
    {.name = "reserve_used_ueur",
     .offset = offsetof(struct auction_total_record, reserve_used),
     .type = CODEC_I64},
    {.name = "reserve_owner",
     .offset = offsetof(struct auction_total_record, reserve_owner),
     .type = CODEC_NAME_EMPTY},
};
const struct codec_record auction_total_record_codec = {
    .name = "auction_total",
    .struct_size = sizeof(struct auction_total_record),
    .fields = auction_total_record_codec_fields,
    .field_count =
        sizeof auction_total_record_codec_fields / sizeof auction_total_record_codec_fields[0],
};
