/* The right to trade, looked at again when orders meet (MFX III.A; market-rules 2; docs/spec/market.md 2).
 *
 * An order is admitted by the rights of the moment in which it is placed, and may rest for weeks. By the
 * time somebody meets it, its device may have been transferred, suspended or retired, a delegation may
 * have been replaced, the enrolment taken back, or the participant suspended. Such an order is passed
 * over: it keeps its place and its pot, trades again if the right comes back, and ends at the gate.
 *
 * Deliberately absent: what it has booked of its device. That stays until its owner takes it back or the
 * gate closes; nobody else's walk over the state should pay for it. */
#include "contracts/book.h"

bool book_may_trade(const struct contract_call *call, const struct order_record *order,
                    const struct market_create *terms)
{
    struct participant_record participant;
    struct device_record device;
    struct book_times times;
    if (membership_require_active(call, &order->participant, &participant) != CONTRACT_OK) {
        return false;
    }
    return name_is_empty(&order->device) ||
           (book_times_of(&times, terms, order->period_start) &&
            assets_right_of(call, &order->participant, &order->device, terms, order->period_start,
                            times.end, &device) == CONTRACT_OK);
}
