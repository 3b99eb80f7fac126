/* A bill: what one participant bid, traded, delivered, metered, paid and got in a period, reconciled to the
 * token ledger (docs/billing.md; D5.5 3.2.6; market-rules 9).
 *
 * The parts come from a node, proven (tools/bill_node.c), or from a verified export (tools/bill_export.c);
 * what they add up to and how they are shown is the same (tools/bill.c). Functions that return int return
 * an exit code, as those of session.h. NULL is valid only where a comment says so. */
#ifndef FLEX_TOOLS_BILL_H
#define FLEX_TOOLS_BILL_H

#include "contracts/delivery.h"
#include "contracts/ledger.h"
#include "contracts/statement.h"
#include "tools/cli.h"

struct cJSON;

/* Where a receipt stands. */
struct bill_place {
    uint64_t height;
    struct timestamp time;
    uint32_t position;
    struct hash tx_id; /* zero at the block's end */
};

struct bill_line {
    struct bill_place at;
    uint32_t event; /* in its receipt; of a fee 0 */
    uint8_t kind;   /* enum statement_kind */
    struct money amount;
    char other[STATEMENT_POT_TEXT_SIZE];
};

/* Sums over the deals whose delivery starts in the period, and the orders for it. */
struct bill_totals {
    int64_t orders;
    int64_t ordered_wh;
    int64_t deals;
    int64_t contracted_wh;
    int64_t delivered_wh;
    int64_t bought_wh;     /* credited, as buyer */
    int64_t sold_wh;       /* credited, as seller */
    int64_t paid_ueur;     /* as buyer */
    int64_t received_ueur; /* as seller, before the deals' fees */
    int64_t refunded_ueur; /* as buyer */
    int64_t fees_ueur;     /* as seller */
    int64_t penalty_paid_ueur;
    int64_t penalty_received_ueur;
    int64_t escrow_ueur; /* of deals that are not settled, as buyer */
};

/* Certified readings of one device in the period. */
struct bill_meter {
    struct name device;
    struct duration interval;
    uint32_t readings;
    int64_t imported_wh; /* sum of the positive intervals */
    int64_t exported_wh; /* of the negative ones, as a positive number */
};

struct bill {
    struct cli *cli;
    struct name who;
    int64_t from_ms;
    int64_t until_ms;
    /* Lines of blocks first to last, and the balance after the last; those before `from_ms` are not there,
     * those from `until_ms` on are, to get from that balance to the closing one. */
    uint64_t first;
    uint64_t last;
    struct money balance;
    struct bill_line *lines;
    size_t line_count, line_room;
    struct money opening; /* bill_reconcile */
    struct money closing;
    size_t period_lines; /* those of the period: the first ones */
    uint64_t receipts_proven;
    uint64_t receipts_listed; /* taken at the word of a node that may not show them whole */
    struct bill_totals totals;
    struct cJSON *orders;
    struct cJSON *deals;
    struct bill_meter *meters;
    size_t meter_count, meter_room;
    struct meter_reading *readings; /* by device, meter and time, each once */
    uint32_t reading_count;
};

void bill_open(struct bill *bill, struct cli *cli, const struct name *who, int64_t from_ms,
               int64_t until_ms);
void bill_close(struct bill *bill);

/* Adds the lines of `who` that the receipt tells; `paid`: it signed the transaction. CLI_UNPROVEN if the
 * events are not what they should be. */
int bill_take_receipt(struct bill *bill, const struct bill_place *at, const struct receipt *receipt,
                      bool paid);
/* Opening + lines = closing, never below zero in between, nothing before block 1; else CLI_UNPROVEN
 * ("not_reconciled"). Fills opening, closing and period_lines. */
int bill_reconcile(struct bill *bill);

bool bill_has_period(const struct bill *bill, struct timestamp start);
int bill_add_order(struct bill *bill, const char *id, const struct order_record *order);
/* `terms`: those that the deal was made under. After the readings. */
int bill_add_deal(struct bill *bill, const char *id, const struct deal_record *deal,
                  const struct market_create *terms);
/* Reads flexreadings/1 and flexreveal/1 files. The caller looks up each device, adds it, and then
 * calls bill_sum_readings. */
int bill_read_readings(struct bill *bill, const char *const *files, size_t count);
/* Signatures by the device's keys, one length of interval, nothing twice and nothing of somebody else's. */
int bill_check_readings(struct bill *bill, const struct name *device,
                        const struct device_record *record);
int bill_sum_readings(struct bill *bill);

/* Puts the bill into the result, says it to people, writes the files that were asked for: `csv` the deals
 * alone, `directory` every table; either may be NULL. */
int bill_print(struct bill *bill, const char *csv, const char *directory);

/* --- sources ------------------------------------------------------------------------------- */

struct bill_query {
    struct name who;
    int64_t from_ms;
    int64_t until_ms;
    const char *csv;
    const char *directory;
    const char *dir; /* of an export */
};
/* `flex bill show` (tools/bill_node.c) and `flex bill audit` (tools/bill_export.c). */
int bill_from_node(struct cli *cli, const struct bill_query *query);
int bill_from_export(struct cli *cli, const struct bill_query *query);

#endif
