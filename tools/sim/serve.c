/* Answers to peers that lack blocks, from the cache or from the chain database (node/serve.c): a
 * range ends in a certificate that the asker can check, its own or that of a header behind it. */
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

enum { RANGE_BLOCKS = 8 };

void sim_send_now(struct sim *sim, struct sim_node *node, int slot, struct bytes_view bytes)
{
    if (slot < 0 || slot == node->slot)
        return;
    struct sim_frame *frame = sim_frame_new(bytes);
    sim_network_send(sim, node->slot, slot, frame, 0);
    sim_frame_release(frame);
}

void sim_serve_block(struct sim *sim, struct sim_node *node, int slot, const struct hash *id)
{
    struct message_block block;
    struct byte_writer writer;
    bool found = chain_body(node->chain, id, &block.header, &block.body);
    for (uint64_t h = chain_tip(node->chain)->height; !found && h > 0; h--) {
        if (hash_equal(&sim->finals[h].id, id)) {
            block.header = sim->finals[h].header;
            block.body = bytes_view_of(sim->finals[h].body, sim->finals[h].body_size);
            found = true;
        }
    }
    if (!found)
        return;
    byte_writer_init(&writer, sim->scratch, sizeof sim->scratch);
    message_encode_block(&writer, &block);
    MUST(!writer.failed);
    sim_send_now(sim, node, slot, bytes_view_of(sim->scratch, writer.size));
}

void sim_serve_range(struct sim *sim, struct sim_node *node, int slot, uint64_t height,
                     uint32_t count)
{
    static struct message_range range;
    static uint8_t headers[(SIM_HEIGHTS_MAX + LIMIT_VIEW_WINDOW) * BLOCK_HEADER_SIZE];
    const uint64_t tip = chain_tip(node->chain)->height;
    struct certificate *const *certificates = node->store.certificates;
    if (height == 0 || count == 0 || height > tip)
        return;
    uint64_t last = height + (count < RANGE_BLOCKS ? count : RANGE_BLOCKS) - 1;
    last = last > tip ? tip : last;
    const uint64_t epoch = sim->finals[height].header.epoch;
    while (sim->finals[last].header.epoch != epoch) /* [C-EPOCH.RANGE] */
        last--;
    uint64_t proof = last;
    while (proof <= tip && certificates[proof] == NULL)
        proof++;
    if (proof > tip) { /* nothing above is proven: back to what is */
        for (proof = last; proof >= height && certificates[proof] == NULL; proof--)
            ;
        if (proof < height)
            return;
        last = proof;
    }
    range.block_count = 0;
    range.header_count = 0;
    for (uint64_t h = height; h <= last; h++)
        range.blocks[range.block_count++] = (struct message_block){
            .header = sim->finals[h].header,
            .body = bytes_view_of(sim->finals[h].body, sim->finals[h].body_size)};
    for (uint64_t h = last + 1; h <= proof; h++)
        block_header_encode(headers + (size_t)range.header_count++ * BLOCK_HEADER_SIZE,
                            &sim->finals[h].header);
    bool boundary = epoch + 1 < sim->epoch_count && sim->epochs[epoch + 1].height == proof;
    uint32_t behind = boundary ? node->store.proof_count[epoch] : 0;
    if (behind > 0)
        memcpy(headers + (size_t)range.header_count * BLOCK_HEADER_SIZE,
               node->store.proof_headers[epoch], (size_t)behind * BLOCK_HEADER_SIZE);
    range.header_count += behind;
    range.headers = bytes_view_of(headers, (size_t)range.header_count * BLOCK_HEADER_SIZE);
    range.finalization = *certificates[proof];
    struct byte_writer writer;
    byte_writer_init(&writer, sim->scratch, sizeof sim->scratch);
    message_encode_range(&writer, &range);
    MUST(!writer.failed);
    sim_send_now(sim, node, slot, bytes_view_of(sim->scratch, writer.size));
}
