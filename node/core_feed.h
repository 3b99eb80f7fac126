/* What stands between the consensus core, the chain and the mempool and is the same wherever the core
 * runs: the daemon (node/bft_shell.c) and the simulator (tools/sim/shell.c) call this very code, so
 * that what is simulated is what runs (consensus.md, "Shell"). No threads, no sockets, no clock. */
#ifndef FLEX_NODE_CORE_FEED_H
#define FLEX_NODE_CORE_FEED_H

#include "consensus/bft.h"
#include "node/chain.h"
#include "node/mempool.h"
#include "storage/journal.h"

/* Writes the frame of a SEND effect. Nothing is written for an own proposal whose body the chain has
 * dropped: it would be worth nothing to its receivers, and losing one is legal. */
void core_encode_send(struct byte_writer *writer, const struct chain *chain,
                      const struct bft_effect *effect);

/* The time by which deals in a range of final blocks may be over: this node's clock, or that of the range's
 * last block, which a quorum agreed on, if the clock is behind. */
struct timestamp core_range_time(const struct message_range *range, struct timestamp wall);

/* One record of the journal back into the core, a block into the chain as well. False: it contradicts
 * those before it, and the core will not vote any more. */
bool core_replay(struct bft *core, struct chain *chain, const struct journal_entry *entry);

/* Is there a transaction that could go into the next block? Looks at a bounded number of senders.
 * `view` is the committed state, `now` this node's clock. */
bool core_has_pending(struct mempool *mempool, const struct chain *chain, struct state_view *view,
                      struct timestamp now);

#endif
