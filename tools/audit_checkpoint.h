/* A verified checkpoint: the state that a verification ended in, kept so that the next one starts
 * there (docs/auditor.md, "Daily").
 *
 *   "FLEXCKPT" | u32 version 1 | genesis hash | header of the block | u32 count of peaks, peaks of the
 *   history log before it (consensus.md) | u64 count x (sized key, sized value), keys ascending |
 *   CRC-64 of all before
 *
 * Reading believes nothing but that this block was verified: the records must make the header's state
 * root, the peaks its log root. That it was verified is the word of whoever keeps the file; the
 * header is compared with the export's own. */
#ifndef FLEX_TOOLS_AUDIT_CHECKPOINT_H
#define FLEX_TOOLS_AUDIT_CHECKPOINT_H

#include "storage/store.h"
#include "tools/audit_tiles.h"

/* Writes the state at `tip`, whose block has that header; the file is replaced whole. */
bool audit_checkpoint_write(const char *path, const struct hash *genesis,
                            const struct block_header *header, const struct merkle_frontier *before,
                            const struct state_base *state, char problem[AUDIT_PROBLEM_SIZE]);
/* Fills the empty `memory`, *tip, *header and the log before it. False with the reason; `memory` may then hold part of
 * it. */
bool audit_checkpoint_read(const char *path, const struct hash *genesis, struct memory_base *memory,
                           struct store_tip *tip, struct block_header *header,
                           struct merkle_frontier *before, char problem[AUDIT_PROBLEM_SIZE]);

#endif
