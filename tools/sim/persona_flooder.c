/* Floods (scenario 50): questions for blocks, ranges and certificates, votes of far views, votes that
 * make evidence without end. */
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/persona.h"

enum { BURST = 24 };

static void ask(struct sim *sim, struct byte_writer *writer, const struct sim_node *node)
{
    struct hash id;
    uint64_t salt = sim_random_u64(&sim->random);
    hash_bytes(&id, HASH_DOMAIN_BLOCK_ID, &salt, sizeof salt);
    switch (sim_below(sim, 4)) {
    case 0:
        message_encode_get_block(writer, &id);
        break;
    case 1:
        message_encode_get_range(writer,
                                 &(struct message_get_range){1 + sim_below(sim, 20), 64, 1});
        break;
    case 2:
        message_encode_get_cert(writer, sim_below(sim, node->core->view + 100));
        break;
    default:
        message_encode_get_high_vote(writer, &sim->set.validators[0].key, 0);
        break;
    }
}

static void flood(struct sim *sim, struct sim_node *node)
{
    uint64_t way = sim_below(sim, 3);
    int victim = (int)sim_below(sim, sim->config.validators);
    for (int i = 0; i < BURST; i++) {
        uint8_t bytes[512];
        struct byte_writer writer;
        byte_writer_init(&writer, bytes, sizeof bytes);
        if (way == 0) {
            ask(sim, &writer, node);
        } else {
            struct vote vote;
            struct hash id;
            uint64_t salt = sim_random_u64(&sim->random);
            uint64_t ahead = way == 1 ? 1 + sim_below(sim, 100000) : sim_below(sim, 2);
            hash_bytes(&id, HASH_DOMAIN_BLOCK_ID, &salt, sizeof salt);
            sim_persona_vote(sim, node, &vote, (uint8_t)sim_below(sim, VOTE_KIND_COUNT),
                             node->core->view + ahead, &id);
            message_encode_vote(&writer, &vote);
        }
        MUST(!writer.failed);
        sim_send_now(sim, node, victim, bytes_view_of(bytes, writer.size));
    }
}

const struct sim_persona sim_persona_flooder = {
    .name = "flooder", .text = "floods with questions, far votes and evidence", .act = flood};
