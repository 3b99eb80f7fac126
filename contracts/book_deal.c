/* Deals: how two orders of a book become one, and what each of them puts into it (market-rules 3 and 4;
 * D2.3 4.2.3; docs/spec/market.md 6).
 *
 * Whatever finds that two orders trade, the call of a batch or a walk along a sequential book, makes the
 * deal here.
 *
 * Invariants:
 * 1. A deal's price lies between the two limits, its parties differ, and its quantity is open in both.
 * 2. What a trade frees of an order's pot goes to the deal, as much as the deal can need, and back to its
 *    owner; nothing else takes from it. Afterwards the pot holds what the rest of the order locks.
 * A fault of the view answers "absent" to everything; code here then gives up quietly.
 *
 * Deliberately absent: who trades with whom and at what price. */
#include "base/fatal.h"
#include "contracts/book_internal.h"
#include "contracts/deal.h"

bool book_read_order(const struct contract_call *call, uint64_t id, struct order_record *order)
{
    struct state_key key = state_key_u64(STATE_ORDER, id);
    if (!book_read(call, &key, &order_record_codec, order)) {
        return false;
    }
    MUST(order->status == ORDER_OPEN && energy_wh(order->open) > 0);
    return true;
}

/* Moves a request's escrow to its deal. The order's pot goes from ceil(p x open) to ceil(p x rest),
 * which frees at least floor(p x traded), so the deal can always be paid at a price not above p.
 * What the price leaves over goes back to the buyer at once. Where the order's one rounding-up is
 * used up, the deal's escrow is rounded down. */
static void fund_deal(struct contract_call *call, uint64_t order_id, struct order_record *order,
                      struct event_deal *event, struct energy rest)
{
    struct deal_record *deal = &event->deal;
    struct money freed;
    MUST(money_compare(order->held, book_escrow(order->price, order->open)) == 0);
    MUST(money_sub(&freed, order->held, book_escrow(order->price, rest)));
    deal->escrow = money_min(book_escrow(deal->price, deal->contracted), freed);
    struct money payable;
    struct money trimmed;
    MUST(money_from_neur_floor(&payable, energy_price_times_neur(deal->price, deal->contracted)));
    MUST(money_compare(deal->escrow, payable) >= 0);
    MUST(money_sub(&trimmed, freed, deal->escrow));
    book_move(call, purse_of_order(order_id, order), purse_of_deal(event->id, deal), deal->escrow);
    book_move(call, purse_of_order(order_id, order), purse_of_balance(&order->participant),
              trimmed);
}

/* A pot that was rounded up as a whole frees at least the floor, and what the parts' own rounding leaves
 * goes back at once. */
void book_fund_deposit(struct contract_call *call, uint64_t order_id, struct order_record *order,
                       struct event_deal *event, struct energy rest)
{
    struct deal_record *deal = &event->deal;
    struct money freed;
    struct money trimmed;
    MUST(money_compare(order->held, book_escrow(order->deposit_price, order->open)) == 0);
    MUST(money_sub(&freed, order->held, book_escrow(order->deposit_price, rest)));
    deal->deposit = money_min(book_escrow(order->deposit_price, deal->contracted), freed);
    MUST(money_sub(&trimmed, freed, deal->deposit));
    book_move(call, purse_of_order(order_id, order), purse_of_deposit(event->id, deal),
              deal->deposit);
    book_move(call, purse_of_order(order_id, order), purse_of_balance(&order->participant),
              trimmed);
}

void book_keep_rest(struct contract_call *call, uint64_t id, struct order_record *order,
                    const struct market_create *terms, struct energy rest)
{
    MUST(energy_wh(rest) >= 0);
    book_share_moves(call, order, order->open, rest);
    order->open = rest;
    if (energy_wh(rest) == 0) {
        book_leave(call, id, order, terms, ORDER_FILLED);
        return;
    }
    struct state_key key = state_key_u64(STATE_ORDER, id);
    contract_write(call, &key, &order_record_codec, order);
}

uint64_t book_next_deal_id(struct contract_call *call)
{
    struct counters_record counters = {0};
    struct state_key key = state_key_single(STATE_COUNTERS);
    (void)book_read(call, &key, &counters_record_codec, &counters);
    counters.deals++;
    contract_write(call, &key, &counters_record_codec, &counters);
    return counters.deals;
}

void book_make_deal(struct contract_call *call, const struct market_record *market, uint64_t buy_id,
                    uint64_t sell_id, struct energy traded, struct energy_price price)
{
    const struct market_create *terms = &market->terms;
    struct order_record buy;
    struct order_record sell;
    if (!book_read_order(call, buy_id, &buy) || !book_read_order(call, sell_id, &sell)) {
        return;
    }
    MUST(name_compare(&buy.participant, &sell.participant) != 0);
    MUST(energy_price_compare(sell.price, price) <= 0);
    MUST(energy_price_compare(price, buy.price) <= 0);
    struct energy buy_rest;
    struct energy sell_rest;
    MUST(energy_sub(&buy_rest, buy.open, traded));
    MUST(energy_sub(&sell_rest, sell.open, traded));
    struct book_times times;
    MUST(book_times_of(&times, terms, buy.period_start));

    uint64_t id = book_next_deal_id(call);
    struct event_deal event = {
        .id = id,
        .deal = {.market = buy.market,
                 .direction = buy.direction,
                 .state = DEAL_MATCHED,
                 .buyer = buy.participant,
                 .seller = sell.participant,
                 .device = sell.device,
                 .buy_order = buy_id,
                 .sell_order = sell_id,
                 .period_start = buy.period_start,
                 .contracted = traded,
                 .price = price,
                 .schedule_hash = sell.schedule_hash,
                 .matched_height = call->context->height,
                 .proof_deadline = times.proof,
                 .version = market->version,
                 .reservation = sell.reservation},
    };
    fund_deal(call, buy_id, &buy, &event, buy_rest);
    book_fund_deposit(call, sell_id, &sell, &event, sell_rest);
    book_keep_rest(call, buy_id, &buy, terms, buy_rest);
    book_keep_rest(call, sell_id, &sell, terms, sell_rest);
    struct state_key key = state_key_u64(STATE_DEAL, id);
    contract_write(call, &key, &deal_record_codec, &event.deal);
    struct deadline deadline = deal_deadline(&event);
    deadline_add(call, &deadline);
    contract_event(call, EVENT_DEAL_MATCHED, &event);
}
