/* Signatures that this node has verified, so that none is verified twice (architecture.md, "One
 * transaction's way through"): at the door for the mempool, then again in the block that holds it.
 *
 * The key is the transaction's leaf, H(TX_LEAF, body, signature), and not its id: the id leaves the
 * signature out, and a block that pairs a known body with a forged signature must still be refused.
 *
 * Bounded: two generations of VERIFIED_PER_GENERATION leaves each; when the younger is full, the older
 * is forgotten. What was forgotten is verified again, no more. */
#ifndef FLEX_NODE_VERIFIED_H
#define FLEX_NODE_VERIFIED_H

#include "crypto/hash.h"

/* A mempool of 64 MiB holds at most some 160,000 transactions of 400 bytes with bookkeeping. */
enum { VERIFIED_PER_GENERATION = 131072 };

struct verified;

/* NULL if memory ran out. */
struct verified *verified_create(void);
void verified_destroy(struct verified *verified);
void verified_add(struct verified *verified, const struct hash *leaf);
bool verified_has(const struct verified *verified, const struct hash *leaf);

#endif
