/* Faulty validators: each runs the production core for its knowledge of the chain, and this file
 * falsifies what it says. */
#include "tests/lib/consensus/cluster_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

void persona_sign(struct cluster *cluster, int node, struct vote *vote)
{
    struct hash message;
    vote->epoch = cluster_epoch_of(cluster, node);
    vote->signer = (uint8_t)cluster_index_of(cluster, (uint32_t)vote->epoch, node);
    if (vote->kind == VOTE_NULLIFY)
        memset(&vote->block_id, 0, sizeof vote->block_id);
    vote_message(&message, &cluster->genesis, vote->kind, vote->epoch, vote->view, &vote->block_id);
    cluster->signing.sign(&vote->signature, &cluster->seeds[cluster->node[node].key], &message);
}

/* A vote of its own making, to each node by chance. */
static void persona_vote(struct cluster *cluster, int node, uint8_t kind, uint64_t view,
                         const struct hash *id, uint32_t permille)
{
    if (cluster_index_of(cluster, cluster_epoch_of(cluster, node), node) < 0)
        return;
    struct wire *wire = wire_new(node, MESSAGE_VOTE);
    wire->vote = (struct vote){.kind = kind, .view = view, .block_id = *id};
    persona_sign(cluster, node, &wire->vote);
    for (uint32_t i = 0; i < cluster->nodes; i++)
        if (cluster_chance(cluster, permille))
            cluster_send(cluster, wire, (int)i);
    wire_release(wire);
}

/* An older parent than the honest one, as if the views between had been nullified (scenario 43). */
static void persona_reparent(struct cluster *cluster, struct block_header *header)
{
    uint64_t skip = cluster_random(cluster, 3);
    const struct cluster_seen *seen = &cluster->seen[header->epoch];
    for (uint64_t view = header->view - 1; view > 0; view--) {
        if (!seen->has_certificate[VOTE_NOTARIZE][view] || skip-- > 0)
            continue;
        int parent = cluster_block_find(cluster, &seen->certified[VOTE_NOTARIZE][view]);
        MUST(parent >= 0);
        header->parent_view = view;
        header->parent_id = cluster->blocks[parent].id;
        header->height = cluster->blocks[parent].header.height + 1;
        return;
    }
    header->parent_view = 0;
    header->parent_id = cluster->genesis;
    header->height = 1;
}

/* Another block of the same view with its own leader's vote. */
static struct wire *persona_twin(struct cluster *cluster, int node, const struct wire *original,
                                 bool valid)
{
    struct wire *wire = wire_new(node, MESSAGE_PROPOSAL);
    wire->proposal = malloc(sizeof *wire->proposal);
    MUST(wire->proposal != NULL);
    *wire->proposal = *original->proposal;
    struct block_header *header = &wire->proposal->header;
    struct hash parent_state;
    uint64_t salt = cluster_random(cluster, UINT64_MAX);
    hash_bytes(&header->tx_root, HASH_DOMAIN_TX_LEAF, &salt, sizeof salt);
    bool reparented = cluster_chance(cluster, 500);
    if (reparented)
        persona_reparent(cluster, header);
    if (cluster_parent_state(cluster, header, &parent_state))
        cluster_state_root(&header->state_root, &parent_state, &header->tx_root);
    if (!valid && !reparented) {
        uint64_t way = cluster_random(cluster, 5);
        if (way == 0)
            header->state_root.bytes[0] ^= 1;
        else if (way == 1)
            header->time = timestamp_of(timestamp_ms(header->time) + 100000);
        else if (way == 2)
            header->time = timestamp_of(1);
        else if (way == 3)
            header->parent_view = header->view;
        else
            header->height++;
    }
    wire->block = cluster_block_of(cluster, header);
    wire->header = *header;
    wire->proposal->vote.block_id = cluster->blocks[wire->block].id;
    persona_sign(cluster, node, &wire->proposal->vote);
    return wire;
}

static void persona_equivocate(struct cluster *cluster, int node, struct wire *wire)
{
    struct wire *twin = persona_twin(cluster, node, wire, true);
    for (uint32_t i = 0; i < cluster->nodes; i++) {
        uint64_t which = cluster_random(cluster, 4);
        if (which == 0 || which == 2)
            cluster_send(cluster, wire, (int)i);
        if (which == 1 || which == 2)
            cluster_send(cluster, twin, (int)i);
    }
    persona_vote(cluster, node, VOTE_NOTARIZE, wire->proposal->vote.view,
                 &twin->proposal->vote.block_id, 600);
    persona_vote(cluster, node, VOTE_NOTARIZE, wire->proposal->vote.view,
                 &wire->proposal->vote.block_id, 600);
    wire_release(twin);
}

/* Some votes go astray, others appear that nobody cast. */
static void persona_scramble(struct cluster *cluster, int node, struct wire *wire)
{
    for (uint32_t i = 0; i < cluster->nodes; i++)
        if (cluster_chance(cluster, 600))
            cluster_send(cluster, wire, (int)i);
    for (int k = 0; k < 2; k++) {
        int block = cluster->block_count - 1 - (int)cluster_random(cluster, 3);
        if (block >= 0 && cluster_chance(cluster, 500))
            persona_vote(cluster, node, (uint8_t)cluster_random(cluster, VOTE_KIND_COUNT),
                         cluster->blocks[block].header.view, &cluster->blocks[block].id, 500);
    }
}

bool persona_send(struct cluster *cluster, int node, struct wire *wire, int to)
{
    static const struct hash no_block;
    switch (cluster->node[node].persona) {
    case PERSONA_SILENT:
        return true;
    case PERSONA_EQUIVOCATOR:
        if (wire->type == MESSAGE_PROPOSAL) {
            persona_equivocate(cluster, node, wire);
            return true;
        }
        if (wire->type == MESSAGE_VOTE && to == BFT_PEER_ALL) {
            persona_scramble(cluster, node, wire);
            return true;
        }
        return false;
    case PERSONA_NULLIFIER:
        if (wire->type == MESSAGE_VOTE)
            persona_vote(cluster, node, VOTE_NULLIFY, wire->vote.view, &no_block, 1000);
        if (wire->type == MESSAGE_PROPOSAL)
            persona_vote(cluster, node, VOTE_NULLIFY, wire->proposal->vote.view, &no_block, 1000);
        return false;
    case PERSONA_LIAR:
        if (wire->type == MESSAGE_PROPOSAL) {
            struct wire *lie = persona_twin(cluster, node, wire, false);
            for (uint32_t i = 0; i < cluster->nodes; i++)
                cluster_send(cluster, lie, (int)i);
            wire_release(lie);
            return true;
        }
        return false;
    case PERSONA_SCRIPTED:
        return script_send(cluster, node, wire);
    case PERSONA_HONEST:
    case PERSONA_COUNT:
        break;
    }
    return false;
}
