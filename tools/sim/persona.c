/* The list of Byzantine personas, and what they share (persona.h). */
#include "tools/sim/persona.h"

#include <string.h>

#include "base/fatal.h"

static const struct sim_persona *const personas[] = {
    &sim_persona_silent,   &sim_persona_conflicter, &sim_persona_equivocator,
    &sim_persona_nuller,   &sim_persona_latecomer,  &sim_persona_withholder,
    &sim_persona_liar,     &sim_persona_amnesiac,   &sim_persona_twin,
    &sim_persona_censor,   &sim_persona_forger,     &sim_persona_flooder,
    &sim_persona_ancestry, &sim_persona_invalid,    &sim_persona_garbler,
    &sim_persona_colluder, &sim_persona_spammer,    &sim_persona_replacer,
};

enum { PERSONAS = sizeof personas / sizeof personas[0] };

int sim_persona_count(void)
{
    return PERSONAS;
}

const struct sim_persona *sim_persona_at(int index)
{
    return index >= 0 && index < PERSONAS ? personas[index] : NULL;
}

int sim_persona_by_name(const char *name)
{
    for (int i = 0; i < PERSONAS; i++)
        if (strcmp(personas[i]->name, name) == 0)
            return i;
    return -1;
}

const char *sim_persona_name(int index)
{
    return index >= 0 && index < PERSONAS ? personas[index]->name : NULL;
}

const char *sim_persona_text(int index)
{
    return index >= 0 && index < PERSONAS ? personas[index]->text : NULL;
}

enum message_type sim_send_type(const struct sim_send *send)
{
    MUST(send->frame->size > 0);
    return (enum message_type)send->frame->bytes[0];
}

void sim_persona_vote(struct sim *sim, const struct sim_node *node, struct vote *out, uint8_t kind,
                      uint64_t view, const struct hash *id)
{
    struct hash message;
    memset(out, 0, sizeof *out);
    out->kind = kind;
    out->view = view;
    out->epoch = node->epoch;
    if (kind != VOTE_NULLIFY)
        out->block_id = *id;
    int place = node->place;
    /* One that has left votes on in the epoch in which it last could; a newcomer makes up a place. */
    while (place < 0 && out->epoch > 0)
        place = sim_place(sim, --out->epoch, node->validator);
    if (place < 0) {
        out->epoch = node->epoch;
        place = (int)sim->set.count - 1;
    }
    out->signer = (uint8_t)place;
    vote_message(&message, &sim->genesis_id, kind, out->epoch, view, &out->block_id);
    sim->signing.sign(&out->signature, &sim->seeds[node->validator], &message);
}

void sim_persona_scatter(struct sim *sim, struct sim_node *node, struct bytes_view frame,
                         uint32_t permille)
{
    struct sim_frame *shared = sim_frame_new(frame);
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].validator != node->validator && sim_chance(sim, permille))
            sim_network_send(sim, node->slot, (int)i, shared, 0);
    sim_frame_release(shared);
}

void sim_persona_send_vote(struct sim *sim, struct sim_node *node, uint8_t kind, uint64_t view,
                           const struct hash *id, uint32_t permille)
{
    struct vote vote;
    uint8_t bytes[512];
    struct byte_writer writer;
    sim_persona_vote(sim, node, &vote, kind, view, id);
    byte_writer_init(&writer, bytes, sizeof bytes);
    message_encode_vote(&writer, &vote);
    MUST(!writer.failed);
    sim_persona_scatter(sim, node, bytes_view_of(bytes, writer.size), permille);
}

bool sim_persona_proposal(const struct sim_send *send, struct message_proposal *out)
{
    return sim_send_type(send) == MESSAGE_PROPOSAL &&
           message_decode_proposal(out,
                                   bytes_view_of(send->frame->bytes + 1, send->frame->size - 1));
}

void sim_persona_resign(struct sim *sim, struct sim_node *node, struct message_proposal *proposal)
{
    struct hash id;
    block_header_id(&id, &proposal->header);
    sim_persona_vote(sim, node, &proposal->vote, VOTE_NOTARIZE, proposal->header.view, &id);
}

bool sim_persona_rebuild(struct sim *sim, struct sim_node *node, struct message_proposal *proposal,
                         bool empty, int64_t later_ms)
{
    const struct mempool_limits limits = {0, 0};
    struct block_header header, kept;
    struct bytes_view body;
    struct hash id;
    struct mempool *nothing = empty ? mempool_create(&limits) : NULL;
    struct timestamp time = timestamp_of(timestamp_ms(proposal->header.time) + later_ms);
    bool built = chain_build(node->chain, empty ? nothing : node->mempool, &header, node->epoch,
                             proposal->header.view, proposal->header.parent_view,
                             &proposal->header.parent_id, time);
    mempool_destroy(nothing);
    if (!built)
        return false;
    block_header_id(&id, &header);
    MUST(chain_body(node->chain, &id, &kept, &body));
    proposal->header = header;
    proposal->body = body;
    sim_persona_resign(sim, node, proposal);
    return true;
}

struct bytes_view sim_persona_encode(struct sim *sim, const struct message_proposal *proposal)
{
    struct byte_writer writer;
    byte_writer_init(&writer, sim->scratch, sizeof sim->scratch);
    message_encode_proposal(&writer, proposal);
    return bytes_view_of(sim->scratch, writer.failed ? 0 : writer.size);
}
