/* Where epochs have ended, and what makes a block final, as the store has them: what proofs and
 * snapshots are made of. Any thread, through a snapshot of its own. */
#ifndef FLEX_NODE_BOUNDARIES_H
#define FLEX_NODE_BOUNDARIES_H

#include "storage/store.h"

/* Some 7 KiB each in a proof file of at most 8 MiB (verify/proof.h). */
enum { BOUNDARIES_MAX = 1024 };

struct boundaries {
    uint32_t count;
    uint64_t heights[BOUNDARIES_MAX]; /* ascending: of epoch 0, 1, ... */
};
/* False on a fault of the store, or if there are more. */
bool boundaries_find(struct boundaries *out, struct store_snapshot *snapshot);

enum finality_found { FINALITY_FOUND, FINALITY_NOT_YET, FINALITY_FAULT };
/* The certificate that makes the block of `height` final: its own, or that of the next block that has
 * one; `headers` (room for LIMIT_VIEW_WINDOW of them) get those that lead from the block to the one
 * that the certificate names. NOT_YET: no block above has one yet. */
enum finality_found finality_find(struct store_snapshot *snapshot, uint64_t height,
                                  struct certificate *certificate, uint8_t *headers,
                                  uint32_t *header_count);

#endif
