/* The digest over all that happened, and the story for people.
 *
 * Each effect of each core and each commit goes into the digest as fixed-width numbers, so that it is
 * the same on every machine. A line of the story reads `time node height/view > what`. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/sim/sim_internal.h"

static const char *const effect_names[] = {
    [BFT_PERSIST_BLOCK] = "journals block",
    [BFT_PERSIST_VOTE] = "journals vote",
    [BFT_PERSIST_PEER_VOTE] = "journals peer's vote",
    [BFT_PERSIST_CERTIFICATE] = "journals certificate",
    [BFT_PERSIST_CERTIFIED] = "certifies",
    [BFT_SEND_PROPOSAL] = "proposes",
    [BFT_SEND_VOTE] = "sends vote",
    [BFT_SEND_CERTIFICATE] = "sends certificate",
    [BFT_SEND_GET_CERT] = "asks for certificate",
    [BFT_SEND_GET_BLOCK] = "asks for block",
    [BFT_SEND_GET_RANGE] = "asks for range",
    [BFT_SEND_STATUS] = "sends status",
    [BFT_SEND_GET_HIGH_VOTE] = "asks for its highest vote",
    [BFT_SEND_HIGH_VOTE] = "answers with highest vote",
    [BFT_BUILD] = "builds",
    [BFT_EXECUTE] = "executes",
    [BFT_DECIDE] = "decides",
    [BFT_EVIDENCE] = "has evidence",
    [BFT_STRIKE] = "strikes",
    [BFT_ALARM] = "alarms",
};

static const char *const kind_names[] = {
    [VOTE_NOTARIZE] = "N", [VOTE_NULLIFY] = "U", [VOTE_FINALIZE] = "F"};

static void add(struct sim *sim, const uint64_t *numbers, size_t count, const struct hash *id)
{
    uint8_t bytes[8 * 8 + HASH_SIZE];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    for (size_t i = 0; i < count; i++)
        byte_write_u64(&writer, numbers[i]);
    byte_write_raw(&writer, id->bytes, HASH_SIZE);
    hash_update(&sim->digest, bytes, writer.size);
}

static bool is_vote(enum bft_effect_kind kind)
{
    return kind == BFT_PERSIST_VOTE || kind == BFT_SEND_VOTE || kind == BFT_PERSIST_PEER_VOTE;
}

void sim_trace_effect(struct sim *sim, const struct sim_node *node, const struct bft_effect *effect)
{
    uint64_t view = is_vote(effect->kind) ? effect->vote.view : effect->view;
    uint64_t numbers[] = {sim->now_ms,
                          (uint64_t)node->slot,
                          (uint64_t)effect->kind,
                          (uint64_t)(int64_t)effect->to,
                          view,
                          effect->height,
                          is_vote(effect->kind) ? effect->vote.kind : 0};
    const struct hash *id = &effect->block_id;
    if (is_vote(effect->kind))
        id = &effect->vote.block_id;
    if (effect->certificate != NULL) {
        numbers[4] = effect->certificate->view;
        numbers[6] = effect->certificate->kind;
        id = &effect->certificate->block_id;
    }
    add(sim, numbers, sizeof numbers / sizeof numbers[0], id);
    if (!sim->config.trace)
        return;
    const char *kind = is_vote(effect->kind) || effect->certificate != NULL
                           ? kind_names[numbers[6] < VOTE_KIND_COUNT ? numbers[6] : 0]
                           : "";
    uint64_t shown = effect->header.view > 0 ? effect->header.view : numbers[4];
    sim_story(sim, node, "%s %s view %llu %02x%02x to %d", effect_names[effect->kind], kind,
              (unsigned long long)shown, id->bytes[0], id->bytes[1], effect->to);
}

void sim_trace_commit(struct sim *sim, const struct sim_node *node, const struct store_block *block)
{
    uint64_t numbers[] = {sim->now_ms,   (uint64_t)node->slot, 1000,
                          block->height, block->tip.view,      block->tx_count};
    add(sim, numbers, sizeof numbers / sizeof numbers[0], &block->tip.block_id);
    add(sim, numbers, 0, &block->tip.state_root);
    sim_story(sim, node, "commits height %llu of view %llu, %u transactions, %02x%02x",
              (unsigned long long)block->height, (unsigned long long)block->tip.view,
              block->tx_count, block->tip.block_id.bytes[0], block->tip.block_id.bytes[1]);
}

void sim_story(const struct sim *sim, const struct sim_node *node_or_null, const char *format, ...)
{
    if (!sim->config.trace)
        return;
    va_list arguments;
    printf("%7llu ", (unsigned long long)sim->now_ms);
    if (node_or_null == NULL)
        printf("       - > ");
    else
        printf("%2d%c %3llu/%-3llu > ", node_or_null->slot,
               node_or_null->persona != NULL ? '*'
               : node_or_null->faulty        ? '+'
                                             : ' ',
               (unsigned long long)node_or_null->store.tip.height,
               (unsigned long long)(node_or_null->core != NULL ? node_or_null->core->view : 0));
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}
