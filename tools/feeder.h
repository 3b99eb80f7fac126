/* How loaded is a feeder's transformer, and what must the DSO ask for? From SimBench-format tables
 * (Load, LoadProfile, RES, RESProfile, Transformer, TransformerType), in integers.
 *
 * Per quarter hour t: P = sum of pLoad x profile - sum of pRES x profile + stress, Q alike from
 * qLoad; the transformer is overloaded where P^2 + Q^2 > (sR x loadingMax)^2. Losses and the
 * voltage dependence of loads are left out: on one low-voltage feeder they are a few percent, and
 * the need is a request to a market, not a protection setting.
 *
 * The stress is what the declared cars and heat pumps add at every load node, times a whole factor;
 * the factor is the smallest that overloads the transformer (0 if it is so without any). */
#ifndef FLEX_TOOLS_FEEDER_H
#define FLEX_TOOLS_FEEDER_H

#include "base/name.h"
#include "base/units.h"
#include "tools/csv.h"

enum {
    FEEDER_INTERVALS = 96,
    FEEDER_STRESS_MAX = 16,
    FEEDER_NODES_MAX = 4096,
    FEEDER_FACTOR_MAX = 1000
};

struct feeder_paths {
    const char *loads;
    const char *load_profile; /* columns <NAME>_pload and <NAME>_qload; rows are quarter hours */
    const char *load_profile_name;
    const char *res;
    const char *res_profile;
    const char *res_profile_name;
    const char *transformers;
    const char *transformer_types;
    const char *stress;    /* kind;power_w;from;until (HH:MM), for each load node */
    const char *registers; /* NULL, or cumulative kWh registers of one household */
};

struct feeder_stress {
    struct name kind;
    struct power power; /* consumption while it runs */
    uint32_t from;      /* first quarter hour of the day that it runs in */
    uint32_t until;     /* first in which it does not */
};

struct feeder_outlook {
    uint32_t node_count;
    struct name nodes[FEEDER_NODES_MAX]; /* where loads stand, in the table's order */
    uint32_t stress_count;
    struct feeder_stress stress[FEEDER_STRESS_MAX];
    int64_t rating_va;
    uint32_t factor;
    int64_t active_w[FEEDER_INTERVALS];
    int64_t reactive_var[FEEDER_INTERVALS];
    int64_t loading_permille[FEEDER_INTERVALS]; /* apparent power over rating, rounded up */
    /* What must go for the rating to be kept, with the reactive power as it is: positive = less
     * consumption (up-regulation), negative = less export (down-regulation), 0 = it is kept. */
    int64_t excess_w[FEEDER_INTERVALS];
    bool has_household;
    int64_t household_wh[FEEDER_INTERVALS]; /* grid import less export of the register file */
};

/* False with place and reason in `problem`. */
bool feeder_outlook(struct feeder_outlook *out, const struct feeder_paths *paths,
                    char problem[CSV_PROBLEM_SIZE]);
/* floor(sqrt(value)), exact. */
uint64_t integer_sqrt(uint128 value);
/* A node's name on the ledger: lower case, blanks as '-'. False if that is no name. */
bool feeder_node_name(struct name *out, const char *text);
/* "HH:MM" on a quarter hour, 24:00 included, as the number of quarter hours since midnight. */
bool feeder_quarter_of(uint32_t *out, const char *text);
/* Cumulative registers (columns utc_timestamp, grid_import_kwh, grid_export_kwh), 97 rows a quarter
 * hour apart: the net consumption in Wh of each quarter hour, by its place in the day. */
bool feeder_registers(int64_t net_wh[FEEDER_INTERVALS], const char *path,
                      char problem[CSV_PROBLEM_SIZE]);

#endif
