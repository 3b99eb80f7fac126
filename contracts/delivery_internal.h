/* What the files of delivery share, and nobody else sees. */
#ifndef FLEX_CONTRACTS_DELIVERY_INTERNAL_H
#define FLEX_CONTRACTS_DELIVERY_INTERNAL_H

#include "contracts/book.h"
#include "contracts/deal.h"
#include "contracts/delivery.h"
#include "contracts/market.h"

/* What a proof is about, read before anything is checked against it. */
struct proof {
    struct event_deal ended; /* the deal as it will end */
    struct market_create terms;
    struct device_record device;
    /* The readings say what was delivered, derived by the meter operator: an alias, by baseline. */
    bool derived;
    struct book_times times;
    struct dispute_record dispute; /* of an earlier proof; zero if there was none */
    /* Only fingerprints posted before `cutoff` count, if has_cutoff. */
    bool has_cutoff;
    struct timestamp cutoff;
    struct timestamp fingerprints; /* when the newest that this proof led to was posted */
};

/* The methods of contracts/fingerprint.c and contracts/dispute.c; see struct contract_method_entry. */
enum contract_error fingerprint_batch_apply(struct contract_call *call, const void *record);
enum contract_error dispute_apply(struct contract_call *call, const void *record);

/* The newest fingerprint of the reading's batch that was posted before `before`, or at all if that is
 * NULL; false if there is none. */
bool fingerprint_read(const struct contract_call *call, const struct revealed_reading *revealed,
                      const struct timestamp *before, struct batch_record *out);

/* A reading that the proof needs, of the unit that starts then: the cheap checks come before path and
 * signature. BAD_READING, UNKNOWN_BATCH, BAD_PROOF, BAD_METER_SIGNATURE. */
enum contract_error proof_check_reading(const struct contract_call *call, struct proof *proof,
                                        struct timestamp start,
                                        const struct revealed_reading *revealed);
/* Start of the n-th unit from the deal's first; n may be below zero. */
struct timestamp proof_unit_start(const struct proof *proof, int32_t unit);

/* contracts/baseline_days.c: chooses the comparable days, checks that the witness shows exactly what the
 * baseline needs, and computes the reference of each unit. NO_BASELINE if too few days are left;
 * BAD_READING if the witness shows others. */
enum contract_error baseline_of_witness(const struct contract_call *call, struct proof *proof,
                                        const struct delivery_witness *witness,
                                        struct energy reference[LIMIT_INTERVALS_PER_PERIOD]);

#endif
