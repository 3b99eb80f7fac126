/* The shell around the consensus core: it keeps the contract at the top of consensus/bft.h.
 *
 * A turn: any number of shell_feed, then shell_settle, which journals and syncs once, sends, performs
 * what the core asked for (build, execute, commit), feeds the answers back, and goes on until the
 * core is quiet. Loop thread only. */
#ifndef FLEX_NODE_SHELL_H
#define FLEX_NODE_SHELL_H

#include "node/node.h"

/* NULL if memory ran out. */
struct shell *shell_create(struct node *node);
void shell_destroy(struct shell *shell);
/* One input; kind-specific fields set by the caller, clocks by this call. */
void shell_feed(struct shell *shell, struct bft_input *input);
/* An empty input of that kind from nobody. */
struct bft_input shell_input(enum bft_input_kind kind);
/* An input of that kind from configured peer `peer`. */
struct bft_input shell_input_from(const struct node *node, enum bft_input_kind kind, int peer);
/* Tells the core whether the signer answers, if there is one. */
void shell_feed_signer(struct shell *shell);
void shell_settle(struct shell *shell);
/* The last commit failed for want of room and is to be tried again. */
bool shell_store_is_full(const struct shell *shell);
/* Monotonic time of that; UINT64_MAX if there is nothing to retry. */
uint64_t shell_retry_at_ms(const struct shell *shell);
/* A block was committed since the last call. */
bool shell_take_committed(struct shell *shell);
/* A new core has started since the last call: it knows nothing of pending transactions. */
bool shell_take_new_epoch(struct shell *shell);
/* The store failed for good: the node must stop. */
bool shell_has_failed(const struct shell *shell);
/* Bodies that nobody asked for stay out of the cache (consensus.md 7), and cost their sender a strike
 * where no honest peer could have sent them.
 *
 * Is an answer (BLOCK or RANGE) due from that peer? Honest ones answer each question once at most. */
void shell_expect_answer(struct shell *shell, uint32_t peer);
bool shell_takes_answer(struct shell *shell, int peer);
/* Was this very block asked for, and not answered yet by another peer? */
bool shell_wants_block(struct shell *shell, const struct hash *id);
/* Is the sender the view's leader, the view near the current one, and the leader within the few
 * different blocks that are worth keeping as evidence? */
bool shell_wants_proposal(struct shell *shell, int peer, const struct block_header *header);
/* Sends a frame to one peer and counts it. */
void node_send(struct node *node, uint32_t peer, enum p2p_class class, struct bytes_view frame);

#endif
