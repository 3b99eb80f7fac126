/* What must hold in every run (consensus.md 12, 14). The oracles see certificates, journaled votes
 * of honest nodes and decisions; they share no code with the core. */
#include "tests/lib/consensus/cluster_internal.h"

#include <string.h>

void oracle_vote(struct cluster *cluster, int node, const struct vote *vote)
{
    if (vote->view >= CLUSTER_VIEWS) {
        cluster_fail(cluster, true, "view out of the harness's range");
        return;
    }
    struct cluster_seen *seen = &cluster->seen[vote->epoch];
    bool *has = &seen->has_vote[node][vote->kind][vote->view];
    struct hash *id = &seen->voted[node][vote->kind][vote->view];
    if (*has && !hash_equal(id, &vote->block_id))
        cluster_fail(cluster, true, "node %d voted twice in view %llu (kind %d)", node,
                     (unsigned long long)vote->view, vote->kind);
    *has = true;
    *id = vote->block_id;
    if (seen->has_vote[node][VOTE_NULLIFY][vote->view] &&
        seen->has_vote[node][VOTE_FINALIZE][vote->view])
        cluster_fail(cluster, true, "node %d nullified and finalized view %llu", node,
                     (unsigned long long)vote->view);
}

void oracle_certificate(struct cluster *cluster, const struct certificate *certificate)
{
    uint64_t view = certificate->view;
    unsigned long long shown = view;
    if (view >= CLUSTER_VIEWS) {
        cluster_fail(cluster, true, "view out of the harness's range");
        return;
    }
    struct cluster_seen *seen = &cluster->seen[certificate->epoch];
    uint32_t members = cluster->config.epochs[certificate->epoch].count;
    if (certificate->count < members - (members - 1) / 3)
        cluster_fail(cluster, true, "certificate of %u votes", certificate->count);
    for (uint32_t i = 1; i < certificate->count; i++)
        if (certificate->entries[i - 1].signer >= certificate->entries[i].signer)
            cluster_fail(cluster, true, "signers not ascending in view %llu", shown);
    bool *has = &seen->has_certificate[certificate->kind][view];
    struct hash *id = &seen->certified[certificate->kind][view];
    if (*has && !hash_equal(id, &certificate->block_id) && !cluster_is_beyond(cluster))
        cluster_fail(cluster, true, "two certificates of kind %d in view %llu", certificate->kind,
                     shown);
    *has = true;
    *id = certificate->block_id;
    if (cluster_is_beyond(cluster))
        return;
    if (seen->has_certificate[VOTE_NULLIFY][view] && seen->has_certificate[VOTE_FINALIZE][view])
        cluster_fail(cluster, true, "view %llu is nullified and finalized", shown);
    if (seen->has_certificate[VOTE_NOTARIZE][view] && seen->has_certificate[VOTE_FINALIZE][view] &&
        !hash_equal(&seen->certified[VOTE_NOTARIZE][view], &seen->certified[VOTE_FINALIZE][view]))
        cluster_fail(cluster, true, "view %llu finalizes another block than it notarized", shown);
}

void oracle_decide(struct cluster *cluster, int node, const struct block_header *header,
                   const struct hash *id)
{
    uint64_t height = header->height;
    unsigned long long shown = height;
    struct node *self = &cluster->node[node];
    if (height >= CLUSTER_VIEWS || height != self->height + 1) {
        cluster_fail(cluster, true, "node %d decides height %llu after %llu", node, shown,
                     (unsigned long long)self->height);
        return;
    }
    if (cluster->has_decided[height] && !hash_equal(&cluster->decided[height], id))
        cluster_fail(cluster, true, "fork: two blocks at height %llu", shown);
    if (height > 1 && !hash_equal(&cluster->decided[height - 1], &header->parent_id))
        cluster_fail(cluster, true, "height %llu does not extend its parent", shown);
    if (header->epoch != cluster_epoch_after(cluster, height - 1))
        cluster_fail(cluster, true, "height %llu is decided in the wrong epoch", shown);
    struct hash parent, expected;
    if (!cluster_parent_state(cluster, header, &parent)) {
        cluster_fail(cluster, true, "height %llu has an unknown parent", shown);
        return;
    }
    cluster_state_root(&expected, &parent, &header->tx_root);
    if (!hash_equal(&expected, &header->state_root))
        cluster_fail(cluster, true, "invalid block decided at height %llu", shown);
    for (uint64_t view = header->parent_view + 1; view < header->view; view++)
        if (!cluster->seen[header->epoch].has_certificate[VOTE_NULLIFY][view])
            cluster_fail(cluster, true, "view %llu was skipped without nullification",
                         (unsigned long long)view);
    cluster->has_decided[height] = true;
    cluster->decided[height] = *id;
    cluster->decided_view[height] = header->view;
    if (height > cluster->result->heights)
        cluster->result->heights = height;
}

/* Does the block stand on the chain, or, in its epoch, above the block that ended that epoch? */
static bool oracle_is_behind_chain(const struct cluster *cluster, const struct hash *id)
{
    struct hash at = *id;
    for (int block = cluster_block_find(cluster, &at); block >= 0;
         block = cluster_block_find(cluster, &at)) {
        const struct block_header *header = &cluster->blocks[block].header;
        uint64_t boundary = header->epoch + 1 < cluster->config.epoch_count
                                ? cluster->config.epochs[header->epoch + 1].boundary
                                : UINT64_MAX;
        if (header->height <= boundary)
            return cluster->has_decided[header->height] &&
                   hash_equal(&cluster->decided[header->height], &at);
        at = header->parent_id;
    }
    return false;
}

void oracle_end(struct cluster *cluster)
{
    /* Every finalization of an epoch up to its last decided view names a block of the one chain, or
     * one that was dropped with its epoch. */
    uint64_t top = cluster->result->heights;
    uint64_t last = top == 0 ? 0 : cluster->decided_view[top];
    for (uint32_t epoch = 0; epoch < cluster->config.epoch_count; epoch++) {
        const struct cluster_seen *seen = &cluster->seen[epoch];
        for (uint64_t view = 1; view <= last && view < CLUSTER_VIEWS; view++)
            if (seen->has_certificate[VOTE_FINALIZE][view] &&
                !oracle_is_behind_chain(cluster, &seen->certified[VOTE_FINALIZE][view]))
                cluster_fail(cluster, true, "finalized view %llu is not on the chain",
                             (unsigned long long)view);
    }
}
