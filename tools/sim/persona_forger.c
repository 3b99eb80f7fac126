/* Sends certificates that are none (scenario 46): q - 1 signers, one signer twice, an index outside
 * the set, signers out of order, signatures of its own in others' names. */
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/persona.h"

static void forge(struct sim *sim, struct sim_node *node)
{
    struct certificate forged;
    struct vote vote;
    struct hash id;
    uint8_t bytes[1 + CERTIFICATE_BYTES_MAX];
    struct byte_writer writer;
    uint32_t q = validator_set_quorum(&sim->set);
    uint64_t view = node->core->view + sim_below(sim, 2);
    uint8_t kind = (uint8_t)sim_below(sim, VOTE_KIND_COUNT);
    uint64_t salt = sim_random_u64(&sim->random);
    memset(&forged, 0, sizeof forged);
    hash_bytes(&id, HASH_DOMAIN_BLOCK_ID, &salt, sizeof salt);
    sim_persona_vote(sim, node, &vote, kind, view, &id);
    forged.kind = kind;
    forged.view = view;
    forged.epoch = vote.epoch;
    forged.block_id = vote.block_id;
    forged.count = q;
    for (uint32_t i = 0; i < q; i++) {
        forged.entries[i].signer = (uint8_t)i;
        forged.entries[i].signature = vote.signature;
    }
    switch (sim_below(sim, 5)) {
    case 0:
        forged.count = q - 1;
        break;
    case 1:
        for (uint32_t i = 0; i < q; i++)
            forged.entries[i].signer = vote.signer;
        break;
    case 2:
        forged.entries[q - 1].signer = (uint8_t)(sim->set.count + sim_below(sim, 200));
        break;
    case 3:
        forged.entries[0].signer = (uint8_t)(q - 1);
        break;
    default:
        break;
    }
    byte_writer_init(&writer, bytes, sizeof bytes);
    message_encode_certificate(&writer, &forged);
    if (!writer.failed)
        sim_persona_scatter(sim, node, bytes_view_of(bytes, writer.size), 500);
}

const struct sim_persona sim_persona_forger = {
    .name = "forger", .text = "sends certificates that nobody signed", .act = forge};
