/* What has been placed of a table of orders, in a file beside it (docs/wallet.md, "Many orders at once").
 *
 *   flexplaced/1  {"format","genesis","key","transactions":[{"rows","digest","id","nonce","valid_until_ms",
 *                  "envelope"}]}
 *
 * A transaction that is final has no nonce, time and envelope any more; only the last may have them. The file
 * is written and synced before a transaction is sent. Functions that return int return an exit code. NULL is
 * never valid. */
#ifndef FLEX_TOOLS_ORDER_JOURNAL_H
#define FLEX_TOOLS_ORDER_JOURNAL_H

#include "tools/order_sheet.h"
#include "tools/submit.h"

struct order_journal_entry {
    uint32_t rows; /* of the table, behind those of the entries before */
    uint8_t digest[32];
    struct hash id;
};

struct order_journal {
    char path[1024];
    struct hash genesis;
    struct public_key key;
    uint32_t count;
    struct order_journal_entry entries[ORDER_ROWS_MAX];
    bool open;                      /* the last entry is not known to be final */
    struct submit_signed signed_as; /* it */
    uint8_t envelope[SUBMIT_ENVELOPE_BYTES_MAX];
};

/* Reads TABLE.placed, if there is one, into *out, whose genesis and key are set: "other_wallet" if they are
 * others, "bad_journal" if it is damaged, "placed_rows_changed" if rows that were placed are not what they
 * were. */
int order_journal_read(struct cli *cli, struct order_journal *out, const char *table,
                       const struct order_sheet *sheet);
/* Rows that are placed, or may be. */
uint32_t order_journal_rows(const struct order_journal *journal);
int order_journal_write(struct cli *cli, const struct order_journal *journal);

#endif
