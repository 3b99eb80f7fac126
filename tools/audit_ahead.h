/* Signatures and certificates, checked on all processors ahead of the execution that needs them.
 *
 * One thread (the owner) pushes blocks in order, takes them back in the same order, and executes
 * them; worker threads check what lies between. While the owner waits for a block it checks too, so
 * that no processor idles. A block's transactions are cut into parts, so that one large block keeps
 * all threads busy.
 *
 *   push -> | ring of blocks, each in parts: transactions' signatures, tx root, certificate | -> take
 *
 * NULL is never valid. */
#ifndef FLEX_TOOLS_AUDIT_AHEAD_H
#define FLEX_TOOLS_AUDIT_AHEAD_H

#include "tools/audit_tiles.h"
#include "verify/proof.h"

/* Blocks between push and take: one tile's worth, so that at most two tiles are open. */
enum { AUDIT_AHEAD_BLOCKS = AUDIT_TILE_BLOCKS };

struct audit_ahead;

/* Starts as many threads as there are processors, less the owner's; fewer if no more can be had.
 * NULL if memory ran out. Certificates are checked against `trust` in `epoch` until
 * audit_ahead_trust says otherwise; *trust is copied. */
struct audit_ahead *audit_ahead_start(const struct proof_trust *trust, uint64_t epoch);
/* Ends the threads, whatever is left in the ring. */
void audit_ahead_stop(struct audit_ahead *ahead);
uint32_t audit_ahead_threads(const struct audit_ahead *ahead);

/* Blocks in the ring: 0 to AUDIT_AHEAD_BLOCKS. */
uint32_t audit_ahead_count(const struct audit_ahead *ahead);
/* Takes one more; there is room (the caller has asked). Its bytes live until it has been taken. */
void audit_ahead_push(struct audit_ahead *ahead, const struct audit_block *block);
/* Waits until the oldest block has been checked and gives it back; there is one. NULL if all of it is
 * good: header and body decode, the body is the one that the header names, every signature in it is
 * valid, and so is the certificate if there is one. Else what is wrong, a text that lives for ever,
 * of the first thing that is in the order certificate, then transactions. Which block follows on
 * which is not looked at. */
const char *audit_ahead_take(struct audit_ahead *ahead, struct audit_block *out);
/* The blocks behind the one that was taken last are of another epoch and signed by another set. */
void audit_ahead_trust(struct audit_ahead *ahead, const struct proof_trust *trust, uint64_t epoch);

#endif
