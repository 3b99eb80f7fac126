/* Trades against metered volumes, for a market in which energy itself is traded (D5.5 2.2.6 "pairs trades
 * with metered energy"; features 18; docs/spec/meter.md 8).
 *
 * Per participant and market time unit: what it bought and sold, what its meters read, and the difference
 * that its retailer or the balance group has to make up. */
#ifndef FLEX_TOOLS_METER_SETTLE_H
#define FLEX_TOOLS_METER_SETTLE_H

#include "contracts/records.h"
#include "tools/reveal.h"

enum { SETTLE_ROWS_MAX = 1000000, SETTLE_METERS_MAX = 100000 };

struct settle_row {
    struct name participant;
    struct timestamp start;
    struct energy bought;
    struct energy sold;
    struct energy metered;    /* net import of the participant's meters */
    struct duration covered;  /* by readings, summed over its meters */
    bool complete;            /* every one of its meters covers the whole unit */
    struct energy difference; /* metered - (bought - sold); positive: took more than it bought */
    struct money amount;      /* what it pays for that (negative: gets), if there is a price */
};

struct settle_meter {
    struct name device;
    struct name participant;
};

struct settle_seen {
    uint32_t meter;
    struct timestamp start;
};

struct settle {
    struct duration unit; /* of the trades; 0 before the first */
    uint32_t row_count;
    uint32_t row_room;
    struct settle_row *rows;
    uint32_t meter_count;
    struct settle_meter *meters;
    uint32_t reading_count;
    uint32_t reading_room;
    struct settle_seen *readings; /* to find those that come twice */
};

enum settle_result {
    SETTLE_OK,
    SETTLE_MIXED_UNITS, /* trades of markets with different time units */
    SETTLE_UNEVEN, /* a quantity that its units do not share evenly, or an interval across units */
    SETTLE_TWICE,  /* one meter's interval in two readings */
    SETTLE_TOO_LARGE /* over a limit, or out of 64 bits */
};
const char *settle_result_text(enum settle_result result);

void settle_init(struct settle *settle);
void settle_release(struct settle *settle);
enum settle_result settle_trade(struct settle *settle, const struct deal_record *deal,
                                const struct market_create *terms);
/* `participant` answers for the meter. Certified meters only: a sub-meter's energy is in the
 * connection's already. */
enum settle_result settle_reading(struct settle *settle, const struct meter_reading *reading,
                                  const struct name *participant);
/* Sorts the rows and computes the differences; `price` NULL: no amounts. A unit in which one of the
 * participant's meters has a hole is not complete and has no difference. */
enum settle_result settle_finish(struct settle *settle, const struct energy_price *price);

#endif
