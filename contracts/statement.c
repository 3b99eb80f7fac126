/* What each movement of money is called on an account statement (contracts/statement.h; docs/billing.md).
 *
 * Invariants:
 * 1. Each event type stands in one switch without a default, so a new one that nobody has asked whether it
 *    moves money does not compile.
 * 2. Each pot stands in one table; the unit test fails on a pot that a balance can reach and that has no
 *    line in both directions.
 *
 * Deliberately absent: sums and state. Who asks brings receipts, and a deal's record where the name of a
 * line depends on it. */
#include "contracts/statement.h"

#include <string.h>

#include "base/fatal.h"

const char *const statement_kind_names[STATEMENT_KIND_COUNT] = {
    [STATEMENT_NONE] = "none",
    [STATEMENT_MINTED] = "minted",
    [STATEMENT_BURNED] = "burned",
    [STATEMENT_TRANSFER_SENT] = "transfer_sent",
    [STATEMENT_TRANSFER_RECEIVED] = "transfer_received",
    [STATEMENT_TRANSACTION_FEE] = "transaction_fee",
    [STATEMENT_FEE_SHARE] = "fee_share",
    [STATEMENT_ORDER_LOCKED] = "order_locked",
    [STATEMENT_ORDER_RETURNED] = "order_returned",
    [STATEMENT_DEAL_LOCKED] = "deal_locked",
    [STATEMENT_DEAL_PAID] = "deal_paid",
    [STATEMENT_DEAL_REFUNDED] = "deal_refunded",
    [STATEMENT_DEPOSIT_RETURNED] = "deposit_returned",
    [STATEMENT_PENALTY_RECEIVED] = "penalty_received",
    [STATEMENT_BOND_LOCKED] = "bond_locked",
    [STATEMENT_BOND_RECEIVED] = "bond_received",
    [STATEMENT_RESERVE_LOCKED] = "reserve_locked",
    [STATEMENT_RESERVE_RETURNED] = "reserve_returned",
    [STATEMENT_AUCTION_PAID] = "auction_paid",
    [STATEMENT_AUCTION_RECEIVED] = "auction_received",
    [STATEMENT_ADDITION_RETURNED] = "addition_returned"};

/* By the other pot: what a balance pays into it, and gets out of it. A deposit is filled from the order's pot,
 * never from a balance; fees of transactions and shares of the pool are no such event. */
static const struct {
    enum statement_kind paid;
    enum statement_kind got;
} pot_lines[POT_OUTSIDE + 1] = {
    [POT_BALANCE] = {STATEMENT_TRANSFER_SENT, STATEMENT_TRANSFER_RECEIVED},
    [POT_ORDER_ESCROW] = {STATEMENT_ORDER_LOCKED, STATEMENT_ORDER_RETURNED},
    [POT_DEAL_ESCROW] = {STATEMENT_DEAL_LOCKED, STATEMENT_DEAL_PAID},
    [POT_FEES] = {STATEMENT_AUCTION_PAID, STATEMENT_AUCTION_RECEIVED},
    [POT_DEAL_DEPOSIT] = {STATEMENT_NONE, STATEMENT_DEPOSIT_RETURNED},
    [POT_MARKET_RESERVE] = {STATEMENT_RESERVE_LOCKED, STATEMENT_RESERVE_RETURNED},
    [POT_DISPUTE_BOND] = {STATEMENT_BOND_LOCKED, STATEMENT_BOND_RECEIVED},
    [POT_OUTSIDE] = {STATEMENT_BURNED, STATEMENT_MINTED},
};

bool statement_event_moves(uint8_t type)
{
    switch ((enum event_type)type) {
    case EVENT_TOKEN_MOVED:
    case EVENT_FEES_SPLIT:
        return true;
    /* These tell what was agreed, decided or written; the money of it has events of its own. */
    case EVENT_ORDER_PLACED:
    case EVENT_ORDER_CANCELLED:
    case EVENT_ORDER_EXPIRED:
    case EVENT_DEAL_MATCHED:
    case EVENT_DEAL_ENDED:
    case EVENT_DEAL_PROVEN:
    case EVENT_DEAL_DISPUTED:
    case EVENT_CALLED:
    case EVENT_DIGEST:
    case EVENT_PROPOSAL:
    case EVENT_EPOCH:
    case EVENT_MARKET:
    case EVENT_FORECAST:
    case EVENT_DISPATCH:
    case EVENT_CAPACITY_PUBLISHED:
    case EVENT_ALLOCATED:
    case EVENT_GRID_LIMITED:
    case EVENT_ORDER_REDUCED:
    case EVENT_AUCTION:
    case EVENT_COUPLED:
    case EVENT_SOLUTION:
    case EVENT_COUPLED_SLOT:
    case EVENT_MEASURED:
    case EVENT_TYPE_LIMIT:
        return false;
    }
    return false;
}

static struct statement_line paid_line(const struct event_token_moved *moved)
{
    struct statement_line line = {.kind = (uint8_t)pot_lines[moved->to.kind].paid,
                                  .who = moved->from.participant,
                                  .other = moved->to};
    /* No amount is negative. */
    MUST(money_sub(&line.amount, money_of(0), moved->amount));
    return line;
}

static struct statement_line got_line(const struct event_token_moved *moved)
{
    return (struct statement_line){.kind = (uint8_t)pot_lines[moved->from.kind].got,
                                   .who = moved->to.participant,
                                   .amount = moved->amount,
                                   .other = moved->from};
}

uint32_t statement_of_event(struct statement_line out[STATEMENT_LINES_PER_EVENT], bool *broken,
                            uint8_t type, struct bytes_view record)
{
    struct event_token_moved moved;
    struct event_fees_split split;
    uint32_t count = 0;
    *broken = false;
    if (!statement_event_moves(type)) {
        return 0;
    }
    if (type == EVENT_FEES_SPLIT) {
        *broken = !codec_decode_all(event_codec(EVENT_FEES_SPLIT), &split, record);
        out[0] = (struct statement_line){.kind = STATEMENT_FEE_SHARE,
                                         .who = split.operator_name,
                                         .amount = split.amount,
                                         .other = {.kind = POT_FEES}};
        return *broken ? 0 : 1;
    }
    MUST(type == EVENT_TOKEN_MOVED);
    *broken = !codec_decode_all(event_codec(EVENT_TOKEN_MOVED), &moved, record) ||
              money_ueur(moved.amount) < 0;
    if (*broken) {
        return 0;
    }
    if (moved.from.kind == POT_BALANCE) {
        out[count++] = paid_line(&moved);
    }
    if (moved.to.kind == POT_BALANCE) {
        out[count++] = got_line(&moved);
    }
    return count;
}

struct statement_line statement_of_fee(const struct name *who, struct money fee)
{
    struct statement_line line = {
        .kind = STATEMENT_TRANSACTION_FEE, .who = *who, .other = {.kind = POT_FEES}};
    MUST(money_ueur(fee) >= 0 && money_sub(&line.amount, money_of(0), fee));
    return line;
}

bool statement_needs_deal(const struct statement_line *line)
{
    return line->kind == STATEMENT_DEAL_PAID || line->kind == STATEMENT_DEPOSIT_RETURNED;
}

void statement_know_deal(struct statement_line *line, const struct deal_record *deal)
{
    MUST(statement_needs_deal(line));
    bool paid = line->kind == STATEMENT_DEAL_PAID;
    if (name_compare(&line->who, &deal->buyer) == 0) {
        line->kind = paid ? STATEMENT_DEAL_REFUNDED : STATEMENT_PENALTY_RECEIVED;
    } else if (paid && name_compare(&line->who, &deal->seller) != 0) {
        line->kind = STATEMENT_ADDITION_RETURNED;
    }
}

static void put_text(char text[STATEMENT_POT_TEXT_SIZE], size_t *at, const char *more)
{
    size_t size = strlen(more);
    MUST(*at + size < STATEMENT_POT_TEXT_SIZE);
    memcpy(text + *at, more, size + 1);
    *at += size;
}

void statement_pot_text(char text[STATEMENT_POT_TEXT_SIZE], const struct pot_id *pot)
{
    char name[NAME_SIZE + 1];
    char digits[21];
    size_t at = 0;
    size_t from = sizeof digits - 1;
    uint64_t id = pot->id;
    put_text(text, &at, pot->kind < POT_OUTSIDE ? pot_kind_names[pot->kind] : "outside");
    if (!name_is_empty(&pot->participant)) {
        put_text(text, &at, "/");
        put_text(text, &at, name_to_text(name, &pot->participant));
    }
    digits[from] = '\0';
    for (; id != 0; id /= 10) {
        digits[--from] = (char)('0' + id % 10);
    }
    if (digits[from] != '\0') {
        put_text(text, &at, "/");
        put_text(text, &at, digits + from);
    }
}
