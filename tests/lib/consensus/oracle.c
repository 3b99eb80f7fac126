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
    bool *has = &cluster->has_vote[node][vote->kind][vote->view];
    struct hash *id = &cluster->voted[node][vote->kind][vote->view];
    if (*has && !hash_equal(id, &vote->block_id))
        cluster_fail(cluster, true, "node %d voted twice in view %llu (kind %d)", node,
                     (unsigned long long)vote->view, vote->kind);
    *has = true;
    *id = vote->block_id;
    if (cluster->has_vote[node][VOTE_NULLIFY][vote->view] &&
        cluster->has_vote[node][VOTE_FINALIZE][vote->view])
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
    if (certificate->count < cluster->set.count - (cluster->set.count - 1) / 3)
        cluster_fail(cluster, true, "certificate of %u votes", certificate->count);
    for (uint32_t i = 1; i < certificate->count; i++)
        if (certificate->entries[i - 1].signer >= certificate->entries[i].signer)
            cluster_fail(cluster, true, "signers not ascending in view %llu", shown);
    bool *has = &cluster->has_certificate[certificate->kind][view];
    struct hash *id = &cluster->certified[certificate->kind][view];
    if (*has && !hash_equal(id, &certificate->block_id))
        cluster_fail(cluster, true, "two certificates of kind %d in view %llu", certificate->kind,
                     shown);
    *has = true;
    *id = certificate->block_id;
    if (cluster->has_certificate[VOTE_NULLIFY][view] &&
        cluster->has_certificate[VOTE_FINALIZE][view])
        cluster_fail(cluster, true, "view %llu is nullified and finalized", shown);
    if (cluster->has_certificate[VOTE_NOTARIZE][view] &&
        cluster->has_certificate[VOTE_FINALIZE][view] &&
        !hash_equal(&cluster->certified[VOTE_NOTARIZE][view],
                    &cluster->certified[VOTE_FINALIZE][view]))
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
    struct hash parent, expected;
    if (!cluster_parent_state(cluster, header, &parent)) {
        cluster_fail(cluster, true, "height %llu has an unknown parent", shown);
        return;
    }
    cluster_state_root(&expected, &parent, &header->tx_root);
    if (!hash_equal(&expected, &header->state_root))
        cluster_fail(cluster, true, "invalid block decided at height %llu", shown);
    for (uint64_t view = header->parent_view + 1; view < header->view; view++)
        if (!cluster->has_certificate[VOTE_NULLIFY][view])
            cluster_fail(cluster, true, "view %llu was skipped without nullification",
                         (unsigned long long)view);
    cluster->has_decided[height] = true;
    cluster->decided[height] = *id;
    cluster->decided_view[height] = header->view;
    if (height > cluster->result->heights)
        cluster->result->heights = height;
}

void oracle_end(struct cluster *cluster)
{
    /* Every finalization up to the last decided view names a block of the one chain. */
    uint64_t top = cluster->result->heights, height = 1;
    uint64_t last = top == 0 ? 0 : cluster->decided_view[top];
    for (uint64_t view = 1; view <= last && view < CLUSTER_VIEWS; view++) {
        while (height < top && cluster->decided_view[height] < view)
            height++;
        if (cluster->has_certificate[VOTE_FINALIZE][view] &&
            (cluster->decided_view[height] != view ||
             !hash_equal(&cluster->decided[height], &cluster->certified[VOTE_FINALIZE][view])))
            cluster_fail(cluster, true, "finalized view %llu is not on the chain",
                         (unsigned long long)view);
    }
}
