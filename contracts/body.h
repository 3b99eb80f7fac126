/* A block's body: its transactions in order, and the roots that the header carries.
 *
 * Encoding: u32 count, then count x sized envelope (transaction.h). */
#ifndef FLEX_CONTRACTS_BODY_H
#define FLEX_CONTRACTS_BODY_H

#include "contracts/transaction.h"

struct body_reader {
    struct byte_reader reader;
    uint32_t count;
    uint32_t at;
};

/* False if the body is over LIMIT_BLOCK_BODY_BYTES or names more than LIMIT_TX_PER_BLOCK. */
bool body_open(struct body_reader *out, struct bytes_view body);
/* The next envelope; false at the end or on a fault (then body_is_whole is false). */
bool body_next(struct body_reader *reader, struct bytes_view *envelope);
/* After the last: nothing failed, nothing is left over. */
bool body_is_whole(const struct body_reader *reader);
/* Decodes every transaction and computes tx_root; false if any is malformed. `leaves` is scratch
 * for LIMIT_TX_PER_BLOCK hashes. */
bool body_tx_root(struct hash *out, struct bytes_view body, struct hash *leaves);

#endif
