/* Names and reasons of everything that the ledger refuses (docs/spec/errors.md).
 *
 * 1. A name never changes: wallets and scripts match on it. A reason may be put better.
 * 2. A reason says what is wrong and, where the sender can do something, what.
 *
 * Deliberately absent: which action answers which error when. docs/spec/errors.md has that. */
#include "contracts/errors.h"

#include <string.h>

#include "base/fatal.h"

struct error_text {
    const char *name;
    const char *reason;
};

static const struct error_text texts[CONTRACT_ERROR_COUNT] = {
    [CONTRACT_OK] = {"ok", "Done."},
    [CONTRACT_TX_MALFORMED] = {"tx_malformed", "The bytes are not a canonical transaction."},
    [CONTRACT_TX_OVERSIZED] =
        {"tx_oversized", "The transaction or its witness is larger than the limit; split it."},
    [CONTRACT_TX_WRONG_CHAIN] = {"tx_wrong_chain", "The transaction was made for another ledger."},
    [CONTRACT_TX_BAD_SIGNATURE] = {"tx_bad_signature",
                                   "The signature does not fit the sender's key and the bytes."},
    [CONTRACT_TX_BAD_WITNESS] =
        {"tx_bad_witness",
         "The witness is missing, not called for, or not the one that was signed."},
    [CONTRACT_TX_UNKNOWN_KEY] = {"tx_unknown_key",
                                 "No participant signs with this key, or it is no longer in use."},
    [CONTRACT_TX_NONCE_USED] = {"tx_nonce_used",
                                "The nonce was used before; sign again with the next one."},
    [CONTRACT_TX_EXPIRED] = {"tx_expired", "valid_until has passed; sign again with a later one."},
    [CONTRACT_TX_NONCE_GAP] = {"tx_nonce_gap",
                               "Transactions with lower nonces are missing; send those first."},
    [CONTRACT_TX_FEE_UNAFFORDABLE] = {"tx_fee_unaffordable",
                                      "The balance does not cover the transaction's fee."},
    [CONTRACT_TX_FEE_LIMIT] = {"tx_fee_limit",
                               "The fee is above the transaction's fee_limit; allow more."},
    [CONTRACT_TX_EXPIRY_TOO_FAR] = {"tx_expiry_too_far",
                                    "valid_until is further ahead than transactions may live."},
    [CONTRACT_MEMPOOL_FULL] = {"mempool_full",
                               "This node has no room for more of your transactions; try again."},
    [CONTRACT_NOT_PERMITTED] = {"not_permitted", "Your role does not allow this."},
    [CONTRACT_SUSPENDED] = {"suspended", "The participant or device is suspended or retired."},
    [CONTRACT_AMOUNT_NOT_POSITIVE] = {"amount_not_positive",
                                      "The amount or quantity must be more than zero."},
    [CONTRACT_OVERFLOW] = {"overflow", "The amount leaves the range of exact arithmetic."},
    [CONTRACT_INSUFFICIENT_FUNDS] = {"insufficient_funds", "The balance does not cover it."},
    [CONTRACT_UNKNOWN_PARTICIPANT] = {"unknown_participant", "No participant has this name."},
    [CONTRACT_UNKNOWN_DEVICE] = {"unknown_device", "No device has this name."},
    [CONTRACT_UNKNOWN_MARKET] = {"unknown_market", "No market has this name."},
    [CONTRACT_UNKNOWN_ORDER] = {"unknown_order", "No order has this number."},
    [CONTRACT_UNKNOWN_DEAL] = {"unknown_deal", "No deal has this number."},
    [CONTRACT_UNKNOWN_BATCH] = {"unknown_batch",
                                "No fingerprint of readings was posted for that interval."},
    [CONTRACT_EXISTS_ALREADY] = {"exists_already",
                                 "The name, key, reference or record is taken already."},
    [CONTRACT_NOT_OWNER] = {"not_owner", "Only the device's owner may do this."},
    [CONTRACT_NOT_YOURS_TO_OFFER] = {"not_yours_to_offer",
                                     "You neither own nor manage the device for all of that time."},
    [CONTRACT_NO_PENDING_REQUEST] = {"no_pending_request",
                                     "Nothing was offered to you that you could accept."},
    [CONTRACT_NOT_PREQUALIFIED] = {"not_prequalified",
                                   "The DSO has not prequalified the device yet."},
    [CONTRACT_NOT_ENROLLED] = {"not_enrolled", "The device is not enrolled in this market."},
    [CONTRACT_WRONG_ZONE] = {"wrong_zone", "The device is not in the market's zone."},
    [CONTRACT_OVER_DEVICE_POWER] =
        {"over_device_power",
         "The device can't give that much on top of what it has sold already."},
    [CONTRACT_MARKET_NOT_OPEN] = {"market_not_open",
                                  "The market is suspended, closed, or has not opened yet."},
    [CONTRACT_GATE_CLOSED] = {"gate_closed", "The gate of that delivery period has closed."},
    [CONTRACT_BAD_PERIOD] =
        {"bad_period", "That is not a whole delivery period, or not one that this is allowed for."},
    [CONTRACT_BAD_GRANULARITY] = {"bad_granularity",
                                  "Not a multiple of the market's quantity or price step."},
    [CONTRACT_OUT_OF_RANGE] = {"out_of_range",
                               "Below the least or above the most that the market allows."},
    [CONTRACT_BOOK_FULL] = {"book_full", "The order book of that delivery period is full."},
    [CONTRACT_ORDER_NOT_OPEN] = {"order_not_open", "The order is filled, cancelled or expired."},
    [CONTRACT_DEAL_NOT_OPEN] = {"deal_not_open", "The deal is settled or refunded already."},
    [CONTRACT_TOO_EARLY] = {"too_early", "What this needs has not happened or ended yet."},
    [CONTRACT_TOO_LATE] = {"too_late", "The deadline for this has passed."},
    [CONTRACT_BAD_PROOF] = {"bad_proof", "A Merkle path does not lead to the posted fingerprint."},
    [CONTRACT_BAD_READING] = {"bad_reading",
                              "A reading is malformed, or of the wrong device, interval or order."},
    [CONTRACT_BAD_METER_SIGNATURE] = {"bad_meter_signature",
                                      "A reading is not signed by the device's meter."},
    [CONTRACT_BAD_SCHEDULE] = {"bad_schedule",
                               "The revealed schedule is not the one that was declared."},
    [CONTRACT_BAD_KEY] = {"bad_key", "Not a public key, or its possession is not proven."},
    [CONTRACT_BAD_PARAMETER] = {"bad_parameter", "A parameter is outside what makes sense."},
    [CONTRACT_BAD_REVISION] = {"bad_revision",
                               "A correction must name the next revision and a reason."},
    [CONTRACT_TOO_MANY_EVENTS] = {"too_many_events",
                                  "The transaction does more than one may; split it."},
    [CONTRACT_UNKNOWN_PROPOSAL] = {"unknown_proposal", "There is no proposal with that number."},
    [CONTRACT_UNKNOWN_VALIDATOR] = {"unknown_validator",
                                    "That key is not a validator's, or was not one's then."},
    [CONTRACT_PROPOSAL_NOT_OPEN] = {"proposal_not_open",
                                    "The proposal is decided, withdrawn or expired."},
    [CONTRACT_BAD_EVIDENCE] = {"bad_evidence",
                               "The two votes do not exclude each other, or are not signed by that "
                               "key."},
    [CONTRACT_BAD_TERM_MTU] =
        {"bad_term_mtu",
         "The market time unit is not 15, 30 or 60 minutes, or a period not 1 to 100 of them."},
    [CONTRACT_BAD_TERM_HOURS] =
        {"bad_term_hours", "The market opens before 1970, or closes when it opens or earlier."},
    [CONTRACT_BAD_TERM_GATE] =
        {"bad_term_gate", "Gates close 0 to 366 days before delivery, and open before they close."},
    [CONTRACT_BAD_TERM_DEADLINE] =
        {"bad_term_deadline",
         "Deadlines for proof, correction or dispute are out of range or order."},
    [CONTRACT_BAD_TERM_QUANTITY] =
        {"bad_term_quantity", "Quantity step, least and most do not fit each other or the period."},
    [CONTRACT_BAD_TERM_PRICE] = {"bad_term_price",
                                 "Price step, least and most do not fit each other."},
    [CONTRACT_BAD_TERM_ORDER_LIMIT] =
        {"bad_term_order_limit",
         "A participant may have 1 to 20000 orders in a book, and no negative budget."},
    [CONTRACT_BAD_TERM_DIRECTIONS] = {"bad_term_directions",
                                      "A cap is always up, a floor always down."},
    [CONTRACT_BAD_TERM_MECHANISM] =
        {"bad_term_mechanism",
         "capacity clears capacity_allocation and nothing else does; coupled clears energy."},
    [CONTRACT_BAD_TERM_TIE] = {"bad_term_tie",
                               "This mechanism has no use for a tie rule; leave it at pro_rata."},
    [CONTRACT_BAD_TERM_TRADE_PRICE] =
        {"bad_term_trade_price", "Only a sequential book has a trade price; leave it at resting."},
    [CONTRACT_BAD_TERM_SHARING] =
        {"bad_term_sharing",
         "Only the capacity mechanism has a sharing rule; leave it at premium."},
    [CONTRACT_BAD_TERM_PAYMENT] =
        {"bad_term_payment",
         "A book pays uniform, merit order and ordered demand by any rule, one-sided by any but "
         "uniform."},
    [CONTRACT_BAD_TERM_RESERVE] = {"bad_term_reserve",
                                   "A VCG market names an account with a reserve, a coupled one "
                                   "the account of its surplus, and "
                                   "no other market does."},
    [CONTRACT_BAD_TERM_METHOD] = {"bad_term_method",
                                  "This product is not delivered by this method."},
    [CONTRACT_BAD_TERM_CREDIT] =
        {"bad_term_credit",
         "The tolerance is 1 to 1000 permille, the floor at most the tolerance."},
    [CONTRACT_BAD_TERM_PENALTY] =
        {"bad_term_penalty", "The penalty price is out of range, or missing beside a deposit."},
    [CONTRACT_BAD_TERM_DEPOSIT] =
        {"bad_term_deposit",
         "The deposit is out of range, given twice, or missing beside a penalty."},
    [CONTRACT_BAD_TERM_BASELINE] = {"bad_term_baseline",
                                    "The baseline is out of range, asks for more readings than a "
                                    "proof holds, or has no use here."},
    [CONTRACT_BAD_TERM_LINKS] =
        {"bad_term_links",
         "Parent, lead time or obligation have no use for this product or are out of range."},
    [CONTRACT_BAD_TERM_SEALING] = {"bad_term_sealing",
                                   "The gate of sealed bids is out of range, or bids are open."},
    [CONTRACT_UNSUPPORTED_PRODUCT] = {"unsupported_product",
                                      "The engine does not trade this product yet."},
    [CONTRACT_UNSUPPORTED_MECHANISM] =
        {"unsupported_mechanism", "Not answered any more: the engine clears by every mechanism."},
    [CONTRACT_UNSUPPORTED_PAYMENT] = {"unsupported_payment",
                                      "Not answered any more: auctions pay by every rule."},
    [CONTRACT_UNSUPPORTED_DISPUTES] =
        {"unsupported_disputes",
         "Not answered any more: markets have dispute windows and correction deadlines."},
    [CONTRACT_UNSUPPORTED_LINKS] =
        {"unsupported_links",
         "Not answered any more: markets have parents; bad_term_links says what does not fit."},
    [CONTRACT_UNSUPPORTED_NETWORK] =
        {"unsupported_network",
         "Not answered any more: matched quantities keep the limits of their market's network."},
    [CONTRACT_UNSUPPORTED_SEALING] = {"unsupported_sealing", "The engine has no sealed bids yet."},
    [CONTRACT_UNSUPPORTED_ORDER] =
        {"unsupported_order",
         "This market does not carry out what the order asks for beyond quantity and price."},
    [CONTRACT_TERM_IS_FIXED] =
        {"term_is_fixed", "One of these terms never changes; that takes a market of its own."},
    [CONTRACT_NOTHING_TO_CHANGE] = {"nothing_to_change",
                                    "The terms are the ones in force, and there is no draft."},
    [CONTRACT_CHANGE_PENDING] =
        {"change_pending", "A vote has decided on other terms from a height on; wait for it."},
    [CONTRACT_BAD_DRAFT] =
        {"bad_draft", "The market has no such draft, or it was drawn up against other terms."},
    [CONTRACT_GATE_NOT_OPEN] = {"gate_not_open",
                                "Orders for that delivery period are not taken yet."},
    [CONTRACT_WRONG_DIRECTION] = {"wrong_direction", "The market has no orders of this direction."},
    [CONTRACT_TOO_MANY_ORDERS] =
        {"too_many_orders", "You have as many orders open in this book as the market allows."},
    [CONTRACT_OVER_BUDGET] =
        {"over_budget", "Your open orders in this book would lock more than the market allows."},
    [CONTRACT_NO_BASELINE] =
        {"no_baseline", "Too few comparable days without an activation lie before the delivery."},
    [CONTRACT_OVER_CONNECTION] =
        {"over_connection",
         "The limit that this promises lies outside the connection of the device."},
    [CONTRACT_UNSUPPORTED_METHOD] = {"unsupported_method",
                                     "Not answered any more: the engine settles by every method."},
    [CONTRACT_NO_NEWER_READINGS] =
        {"no_newer_readings",
         "The deal is proven by these fingerprints already; a correction must come"
         " before another proof."},
    [CONTRACT_UNKNOWN_CALL] = {"unknown_call",
                               "Nobody has called that reservation in this market for"
                               " that period."},
    [CONTRACT_OVER_RESERVATION] = {"over_reservation",
                                   "More than was reserved, or than was called of it."},
    [CONTRACT_NOT_METERED] =
        {"not_metered", "A reservation is not proven by readings; it is paid unless a call fails."},
    [CONTRACT_BAD_TERM_NETWORK] = {"bad_term_network",
                                   "Grid capacity needs a network; it is the parent's too, and "
                                   "periods last at most 25 hours."},
    [CONTRACT_UNKNOWN_NETWORK] = {"unknown_network", "There is no network of that name."},
    [CONTRACT_UNKNOWN_NODE] = {"unknown_node",
                               "The network has no such node, or the device stands at none of it."},
    [CONTRACT_NETWORK_FULL] = {"network_full", "The network has no room for a node there."},
    [CONTRACT_CAPACITY_SOLD] =
        {"capacity_sold", "More than that is sold already; enforce the publication to stop sales."},
    [CONTRACT_VALIDATOR_TRADES] =
        {"validator_trades",
         "Who operates a validator decides the order in a block, so it has none in a sequential"
         " book."},
    [CONTRACT_ONE_BUYER] = {"one_buyer",
                            "This auction takes one buyer, a one-sided one a single request, and"
                            " there is another."},
    [CONTRACT_BOTH_SIDES] =
        {"both_sides", "You have orders on the other side of this auction; cancel them first."},
    [CONTRACT_BAD_RANK] =
        {"bad_rank",
         "Ordered offers come in the order of their ranks, and a later one is not cheaper."},
    [CONTRACT_OVER_RESERVE] = {"over_reserve",
                               "More than the market's terms let the account lock."},
    [CONTRACT_BAD_TERM_COUPLING] =
        {"bad_term_coupling",
         "A coupled market clears 1 to 96 intervals of one unit and of 1 Wh steps in one direction,"
         " names its network and the account of its surplus, and no other market has such terms."},
    [CONTRACT_BAD_LINK] = {"bad_link", "The links contradict themselves, each other, or taking"
                                       " nothing at all."},
    [CONTRACT_UNKNOWN_CARRIER] = {"unknown_carrier",
                                  "No line or row of the network is for this carrier."},
    [CONTRACT_UNKNOWN_AUCTION] = {"unknown_auction", "No coupled auction starts there."},
    [CONTRACT_NOT_SOLVING] = {"not_solving",
                              "The auction takes no solutions: its gate is open, or it is over."},
    [CONTRACT_OTHER_PROBLEM] = {"other_problem",
                                "The solution is for another problem than the auction's."},
    [CONTRACT_TOO_MANY_STRIKES] = {"too_many_strikes",
                                   "You have sent too many wrong solutions for this auction."},
    [CONTRACT_BAD_TERM_ZONES] = {"bad_term_zones",
                                 "Further zones need a network, and are listed once each, by name, "
                                 "without the market's own."},
    [CONTRACT_RESERVE_IN_USE] = {"reserve_in_use",
                                 "An auction of the market that may need it has not cleared yet."},
};

const char *contract_error_name(enum contract_error error)
{
    MUST((unsigned)error < CONTRACT_ERROR_COUNT);
    return texts[error].name;
}

const char *contract_error_reason(enum contract_error error)
{
    MUST((unsigned)error < CONTRACT_ERROR_COUNT);
    return texts[error].reason;
}

enum contract_error contract_error_from_name(const char *name)
{
    unsigned error = 0;
    while (error < CONTRACT_ERROR_COUNT && strcmp(texts[error].name, name) != 0)
        error++;
    return (enum contract_error)error;
}
