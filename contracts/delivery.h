/* Delivery proofs and the arithmetic of settlement (market-rules 9; D5.5 3.2.6; D2.3 4.2.2-4.2.6).
 *
 * A reading leaves its meter signed, is salted and put under a batch's Merkle root by the meter
 * operator, and stays off the chain. A proof reveals the readings of one deal's delivery period, in
 * a transaction's witness, and nothing else about the household. */
#ifndef FLEX_CONTRACTS_DELIVERY_H
#define FLEX_CONTRACTS_DELIVERY_H

#include "contracts/records.h"

enum { READING_SALT_SIZE = 16, SCHEDULE_SALT_SIZE = 32 };

/* The certified meter of the connection, or a sub-meter at the device itself: kept apart by their keys
 * and by what they sign. `delivered` is no meter's register: the meter operator derives it from readings
 * that stay where they are, for an alias in a market that settles by baseline (docs/spec/privacy.md). */
enum meter_kind { METER_CERTIFIED = 0, METER_SUB = 1, METER_DELIVERED = 2 };
enum { METER_KIND_COUNT = 3 };
extern const char *const meter_kind_names[METER_KIND_COUNT];

/* Net consumption of one device over one interval: import positive. */
struct meter_reading {
    struct name device;
    uint8_t meter; /* enum meter_kind */
    struct timestamp interval_start;
    struct duration interval;
    struct energy net;
    struct signature signature; /* BIP340 by the meter over H(READING_SIGN, the fields above) */
};
extern const struct codec_record meter_reading_record;

void meter_reading_message(struct hash *out, const struct meter_reading *reading);
/* The leaf of a batch: H(READING, salt, canonical reading). */
void meter_reading_leaf(struct hash *out, const uint8_t salt[READING_SALT_SIZE],
                        const struct meter_reading *reading);

/* What offer_place.schedule_hash covers: H(SCHEDULE, salt, device, period start, u32 count,
 * i64 net Wh of each unit). */
void schedule_hash(struct hash *out, const uint8_t salt[SCHEDULE_SALT_SIZE],
                   const struct name *device, struct timestamp period_start,
                   const struct energy *units, uint32_t count);

/* One revealed reading with its way to a fingerprint. */
struct revealed_reading {
    struct meter_reading reading;
    uint8_t salt[READING_SALT_SIZE];
    struct name meter_operator;
    struct name batch;
    uint32_t index;
    uint32_t path_count;
    struct hash path[LIMIT_MERKLE_PATH];
};

struct declared_unit {
    struct energy net;
};

/* The witness of ACTION_DELIVERY_PROVE: one reading per market time unit, in order; under a baseline
 * then the window of the adjustment, and for each candidate day, the earliest first, its units and its
 * window. Salt and units of a schedule where the market's method has one, else zeros and none. */
struct delivery_witness {
    uint8_t schedule_salt[SCHEDULE_SALT_SIZE];
    uint32_t unit_count;
    struct declared_unit units[LIMIT_INTERVALS_PER_PERIOD];
    uint32_t reading_count;
    struct revealed_reading readings[LIMIT_READINGS_PER_PROOF];
};
extern const struct codec_record delivery_witness_record;

/* --- settlement arithmetic, pure ---------------------------------------------------------- */

struct settlement_terms {
    struct energy_price price;
    struct energy_price penalty_price;
    struct money deposit;
    struct money escrow;
    uint8_t basis;        /* enum deal_basis; by amount, the price says nothing */
    struct money payment; /* by amount: earned by full delivery; 0 or more, at most the escrow */
    struct money added;   /* of the escrow, what the buyer did not pay; at most the payment */
    uint16_t tolerance_permille;
    uint16_t floor_permille;
    uint32_t count;
    struct energy contracted[LIMIT_INTERVALS_PER_PERIOD];
    struct energy delivered[LIMIT_INTERVALS_PER_PERIOD];
};

struct settlement_result {
    struct energy credited[LIMIT_INTERVALS_PER_PERIOD];
    bool full;             /* every interval credited whole */
    struct money paid;     /* sum of price x credited, rounded down, to the provider */
    struct money refunded; /* to the buyer: the rest of the escrow, or nothing if full */
    struct money
        remainder; /* to the fee pool: escrow - paid if full, else nothing; by amount also its
                               share of what the escrow holds over the payment */
    struct money returned; /* of what was added, its share of what was not credited */
    struct money penalty;  /* from the deposit, rounded up, to the buyer */
};

enum settlement_error {
    SETTLEMENT_OK,
    SETTLEMENT_BAD_TERMS,   /* count out of range, energy not positive, money negative */
    SETTLEMENT_ESCROW_SHORT /* the provider has earned more than the escrow holds */
};

/* Delivered energy against a reference: up r - a, down a - r. False on overflow. */
bool delivery_against_reference(struct energy *out, enum direction direction,
                                struct energy reference, struct energy actual);
/* Delivered energy against a limit of the net import: contracted less what the limit was passed by,
 * which may be more than was contracted. False on overflow. */
bool delivery_against_cap(struct energy *out, struct energy contracted, struct energy limit,
                          struct energy actual);
bool delivery_against_floor(struct energy *out, struct energy contracted, struct energy limit,
                            struct energy actual);
/* By method: `against` is the reference or the limit, whichever the method has; the direction means
 * nothing to capacity limits. False on overflow. */
bool delivery_measured(struct energy *out, enum delivery_method method, enum direction direction,
                       struct energy contracted, struct energy against, struct energy actual);
/* Credited energy of one interval: 1000 d >= tolerance x c counts as c; 1000 d < floor x c as 0;
 * else max(0, min(d, c)). contracted > 0. */
struct energy delivery_credited(struct energy contracted, struct energy delivered,
                                uint16_t tolerance_permille, uint16_t floor_permille);
/* On an error *out says nothing. */
enum settlement_error settlement_compute(struct settlement_result *out,
                                         const struct settlement_terms *terms);

#endif
