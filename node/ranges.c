/* Ranges of final blocks: the core's questions, those that are asked ahead of it, and the answers
 * (ranges.h; consensus.md [C-RANGE.FLOW], ADR 65).
 *
 *   core wants a range -> kept already?            -> to the core, as its sender's word
 *                      -> asked of somebody?       -> waits until that is late
 *                      -> else                     -> to the peer that the core chose
 *   an answer comes    -> wanted now, or not ahead -> to the core
 *                      -> asked ahead              -> kept
 *
 * The core's timer runs all the while, and a question that it repeats goes out at once. Questions leave
 * after the turn's sync like every other message ([C-WRITE]); they carry a height, a count, and the first block that is lacking.
 *
 * Deliberately absent: any trust in what was kept. Workers have checked its signatures, as of every body;
 * hashes and finalization are checked when the core gets it, and the lie is its sender's. */
#include "node/ranges.h"

#include <stdlib.h>

#include "base/fatal.h"
#include "node/core_feed.h"
#include "node/shell.h"

static uint64_t decided_height(const struct node *node)
{
    struct bft_view_status status;
    bft_status(node->core, &status);
    return status.final_height;
}

void node_ranges_want(struct node *node, const struct bft_effect *effect)
{
    struct node_ranges *ranges = &node->ranges;
    MUST(effect->kind == BFT_SEND_GET_RANGE && effect->to >= 0);
    ranges->wants = true;
    ranges->height = effect->height;
    ranges->count = effect->count;
    ranges->peer =
        effect->to < (int)node->set.count ? node->validator_peer[effect->to] : RANGE_AHEAD_NO_PEER;
}

void node_ranges_forget(struct node *node)
{
    node->ranges.wants = false;
}

static void send_question(struct node *node, const struct range_ahead_question *question)
{
    uint8_t bytes[32];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    message_encode_get_range(&writer, &(struct message_get_range){question->height, question->count,
                                                                  node->ranges.height});
    MUST(!writer.failed);
    shell_expect_answer(node->shell, question->peer);
    node_send(node, question->peer, P2P_VOTE, bytes_view_of(bytes, writer.size));
}

/* False if it can only be the peer's fault. */
static bool deliver(struct node *node, int peer, const struct message_range *range)
{
    const uint64_t decided = decided_height(node);
    /* An answer that leads to no finalization, or not to the next block, leaves nothing behind here; the
     * core says what it thinks of it. Its headers are the peer's invention, so they could fill the cache
     * for good. */
    const struct timestamp now = core_range_time(range, node_clock_wall(&node->clock));
    const bool kept =
        bft_takes_range(node->core, range) && range->blocks[0].header.height <= decided + 1;
    for (uint32_t i = 0; kept && i < range->block_count; i++) {
        bool at_fault = false;
        if (!node_take_body(node, &range->blocks[i].header, range->blocks[i].body, &now, &at_fault))
            return !at_fault;
    }
    struct bft_input input = shell_input_from(node, BFT_INPUT_RANGE, peer);
    input.range = range;
    shell_feed(node->shell, &input);
    if (!shell_has_failed(node->shell) && decided_height(node) > decided)
        metric_add(&node->metrics.sync_ranges[peer], 1);
    return true;
}

bool node_take_range(struct node *node, int peer, struct bytes_view payload)
{
    struct message_range range;
    if (!message_decode_range(&range, payload) || !shell_takes_answer(node->shell, peer))
        return false;
    const uint64_t height = range.block_count > 0 ? range.blocks[0].header.height : 0;
    switch (range_ahead_answer(&node->ranges.ahead, (uint32_t)peer, height, range.block_count,
                               payload, node_clock_monotonic_ms())) {
    case RANGE_AHEAD_TO_CORE:
        return deliver(node, peer, &range);
    case RANGE_AHEAD_KEPT:
    case RANGE_AHEAD_DROPPED:
        return true;
    }
    return true;
}

/* What was kept goes to the core. */
static void deliver_kept(struct node *node, struct range_ahead_kept *kept)
{
    struct message_range range;
    MUST(message_decode_range(&range, bytes_view_of(kept->bytes, kept->size))); /* as it came */
    metric_add(&node->metrics.sync_ranges_ahead, 1);
    if (!deliver(node, (int)kept->peer, &range))
        node_strike(node, (int)kept->peer, "a range with a body that is not its header's");
    free(kept->bytes);
    kept->bytes = NULL;
}

static void ask_peer(struct node *node, uint64_t height, uint32_t count, int peer)
{
    if (peer < 0)
        return;
    const struct range_ahead_question question = {(uint32_t)peer, height, count};
    send_question(node, &question);
}

static void meet_want(struct node *node)
{
    struct node_ranges *ranges = &node->ranges;
    const uint64_t height = ranges->height;
    const uint64_t epoch = node->epoch;
    const int peer = ranges->peer;
    uint32_t count = ranges->count;
    struct range_ahead_kept kept;
    ranges->wants = false;
    switch (
        range_ahead_want(&ranges->ahead, &kept, height, &count, peer, node_clock_monotonic_ms())) {
    case RANGE_AHEAD_WAIT:
        break;
    case RANGE_AHEAD_ASK:
        ask_peer(node, height, count, peer);
        break;
    case RANGE_AHEAD_TAKE:
        deliver_kept(node, &kept);
        shell_settle(node->shell); /* what it wrote is synced before anything leaves */
        if (shell_has_failed(node->shell) || node->epoch != epoch || ranges->wants ||
            decided_height(node) >= height)
            break;
        /* It was worth nothing: as if it had never been there. */
        range_ahead_asked(&ranges->ahead, height, count, peer, node_clock_monotonic_ms());
        ask_peer(node, height, count, peer);
        break;
    }
}

void node_ranges_turn(struct node *node)
{
    struct node_ranges *ranges = &node->ranges;
    if (shell_has_failed(node->shell))
        return;
    if (ranges->wants)
        meet_want(node);
    if (!ranges->ahead.active || shell_has_failed(node->shell))
        return;
    struct range_ahead_question question;
    const uint64_t now_ms = node_clock_monotonic_ms();
    range_ahead_passed(&ranges->ahead, decided_height(node), now_ms);
    for (int i = 0; i < RANGE_AHEAD_SLOTS && range_ahead_next(&ranges->ahead, &question, now_ms);
         i++)
        send_question(node, &question);
}

uint64_t node_ranges_deadline_ms(const struct node *node)
{
    return node->ranges.wants ? 0 : range_ahead_deadline_ms(&node->ranges.ahead);
}
