/* A leader whose blocks are signed well and valid never (scenarios 45, 55): wrong roots, a transaction
 * twice, a time out of bounds or at the edge, a body too large or of another block. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/body.h"
#include "tools/sim/persona.h"

/* The same transaction twice, under a true tx_root. */
static uint8_t *repeat_first(struct message_proposal *proposal)
{
    static struct hash leaves[LIMIT_TX_PER_BLOCK];
    struct body_reader reader;
    struct bytes_view envelope;
    struct byte_writer writer;
    if (!body_open(&reader, proposal->body) || !body_next(&reader, &envelope))
        return NULL;
    size_t size = 4 + 2 * (4 + envelope.size);
    uint8_t *bytes = malloc(size);
    MUST(bytes != NULL);
    byte_writer_init(&writer, bytes, size);
    byte_write_u32(&writer, 2);
    byte_write_sized(&writer, envelope.data, envelope.size);
    byte_write_sized(&writer, envelope.data, envelope.size);
    MUST(!writer.failed);
    proposal->body = bytes_view_of(bytes, size);
    MUST(body_tx_root(&proposal->header.tx_root, proposal->body, leaves));
    return bytes;
}

static uint8_t *oversize(struct message_proposal *proposal)
{
    size_t size = LIMIT_BLOCK_BODY_BYTES + 1;
    uint8_t *bytes = calloc(1, size);
    MUST(bytes != NULL);
    proposal->body = bytes_view_of(bytes, size);
    return bytes;
}

static void shift_time(struct sim *sim, struct sim_node *node, struct message_proposal *proposal)
{
    static const int64_t shifts[] = {
        BFT_CLOCK_SLACK_MS - 1, BFT_CLOCK_SLACK_MS + 400, 5000, 3600000, -1000, -60000};
    int64_t shift = shifts[sim_below(sim, sizeof shifts / sizeof shifts[0])];
    if (!sim_persona_rebuild(sim, node, proposal, false, shift) || shift < 0)
        proposal->header.time = timestamp_of(timestamp_ms(proposal->header.time) + shift);
}

static bool spoil(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    static struct message_proposal proposal;
    uint8_t *made = NULL;
    if (!sim_persona_proposal(send, &proposal))
        return false;
    struct block_header *header = &proposal.header;
    switch (sim_below(sim, 8)) {
    case 0:
        header->state_root.bytes[0] ^= 1;
        break;
    case 1:
        header->receipt_root.bytes[0] ^= 1;
        break;
    case 2:
        header->height += 1 + sim_below(sim, 3);
        break;
    case 3:
        header->next_set.bytes[0] ^= 1;
        break;
    case 4:
        made = repeat_first(&proposal);
        break;
    case 5:
        made = sim_chance(sim, 100) ? oversize(&proposal) : NULL;
        header->tx_root.bytes[0] ^= 1;
        break;
    default:
        shift_time(sim, node, &proposal);
        break;
    }
    sim_persona_resign(sim, node, &proposal);
    struct bytes_view frame = sim_persona_encode(sim, &proposal);
    if (frame.size > 0)
        sim_persona_scatter(sim, node, frame, 900);
    free(made);
    return true;
}

const struct sim_persona sim_persona_invalid = {
    .name = "invalid-block", .text = "as a leader proposes invalid blocks", .send = spoil};
