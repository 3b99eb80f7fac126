/* A bounded list of evidence under a lock: the loop writes, API threads read (node/evidence.h).
 *
 * 1. An item is the very action that an operator submits, in the one order that contracts take.
 * 2. At most two items per validator, the first and the latest: a liar can neither drive out what is held
 *    against others nor keep out what comes later.
 *
 * Deliberately absent: the disk. After a restart a node knows only what it sees then; the chain is
 * the place where evidence lasts. */
#include "node/evidence.h"

#include <string.h>

#include "base/fatal.h"

void node_evidence_open(struct node_evidence *evidence)
{
    memset(evidence, 0, sizeof *evidence);
    MUST(pthread_mutex_init(&evidence->lock, NULL) == 0);
}

void node_evidence_close(struct node_evidence *evidence)
{
    MUST(pthread_mutex_destroy(&evidence->lock) == 0);
}

static struct evidence_vote half(const struct vote *vote)
{
    struct evidence_vote out;
    memset(&out, 0, sizeof out);
    out.kind = vote->kind;
    out.block_id = vote->block_id;
    out.signature = vote->signature;
    return out;
}

/* U before F; of one kind, the lower block id first. */
static bool stands_first(const struct vote *a, const struct vote *b)
{
    if (a->kind != b->kind)
        return a->kind == VOTE_NULLIFY;
    return hash_compare(&a->block_id, &b->block_id) < 0;
}

void node_evidence_add(struct node_evidence *evidence, const struct validator_set *set,
                       const struct vote *a, const struct vote *b)
{
    struct governance_evidence item;
    if (a->signer >= set->count || a->signer != b->signer || a->view != b->view ||
        a->epoch != b->epoch)
        return;
    memset(&item, 0, sizeof item);
    item.key = set->validators[a->signer].key;
    item.epoch = a->epoch;
    item.view = a->view;
    bool in_order = stands_first(a, b);
    item.first = half(in_order ? a : b);
    item.second = half(in_order ? b : a);
    MUST(pthread_mutex_lock(&evidence->lock) == 0);
    uint32_t place = evidence->count, held = 0;
    bool known = false;
    for (uint32_t i = 0; i < evidence->count && !known; i++) {
        const struct governance_evidence *other = &evidence->items[i];
        if (!public_key_equal(&other->key, &item.key))
            continue;
        known = other->epoch == item.epoch && other->view == item.view;
        if (++held == NODE_EVIDENCE_PER_VALIDATOR)
            place = i;
    }
    if (!known && place < NODE_EVIDENCE_MAX) {
        evidence->items[place] = item;
        evidence->count += place == evidence->count;
    }
    MUST(pthread_mutex_unlock(&evidence->lock) == 0);
}

uint32_t node_evidence_read(struct node_evidence *evidence,
                            struct governance_evidence out[NODE_EVIDENCE_MAX])
{
    MUST(pthread_mutex_lock(&evidence->lock) == 0);
    uint32_t count = evidence->count;
    memcpy(out, evidence->items, count * sizeof out[0]);
    MUST(pthread_mutex_unlock(&evidence->lock) == 0);
    return count;
}
