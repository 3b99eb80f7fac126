/* A table of orders, as people keep them: CSV, a row for each (docs/wallet.md, "Many orders at once").
 *
 *   side,market,direction,start,quantity_wh,price[,device,schedule,reservation,kind,min_quantity_wh,
 *   indivisible,rank]
 *
 * Columns stand in any order; those in brackets may be missing, and their fields empty. `side` is request or
 * offer; the others are what the options of flex order request and offer take. A column of another name is
 * an error, so that a misspelt one is not taken for one that is left out. Every row is read, whatever is
 * wrong with those before it. NULL is never valid. */
#ifndef FLEX_TOOLS_ORDER_SHEET_H
#define FLEX_TOOLS_ORDER_SHEET_H

#include "contracts/actions.h"
#include "tools/csv.h"

enum {
    ORDER_ROWS_MAX = 10000,
    ORDER_FAULTS_MAX = 100, /* that are told; all are counted */
    ORDER_FAULT_SIZE = 200
};

struct order_row {
    uint32_t line;        /* in the file, the header's is 1 */
    bool offers;          /* which of the two it is */
    const char *schedule; /* an offer's file, or NULL */
    struct request_place request;
    struct offer_place offer; /* its hash is zero until a schedule has been read and salted */
    uint8_t digest[32];       /* of what the row says */
};

struct order_sheet {
    struct csv_table table;
    uint32_t count;
    struct order_row *rows;
};

/* What is wrong, in the order of the file. */
struct order_faults {
    uint32_t count;
    struct {
        uint32_t line;
        char text[ORDER_FAULT_SIZE];
    } first[ORDER_FAULTS_MAX];
};
void order_fault(struct order_faults *faults, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* False if anything is wrong: with the file as a whole (`problem` then says it, and no fault is told), or with
 * rows. Release it in any case. */
bool order_sheet_read(struct order_sheet *out, const char *path, bool ueur,
                      struct order_faults *faults, char problem[CSV_PROBLEM_SIZE]);
void order_sheet_release(struct order_sheet *sheet);
/* The digest of `count` rows from `from` on. */
void order_sheet_digest(uint8_t out[32], const struct order_sheet *sheet, uint32_t from,
                        uint32_t count);

#endif
