/* Epochs of a run: which keys were in the set when, and how a node goes from one epoch into the next
 * (docs/spec/consensus.md, "Epochs"; node/epoch.c is the daemon's part).
 *
 * The succession of sets is an oracle of its own: what a boundary block's state names as the next set
 * must be the set before it, changed as the governors wanted (governance.c), and the block's header
 * must name that set's hash.
 *
 * Blocks above a boundary block prove it final and are dropped with their epoch. So that the oracles can
 * tell them from a fork, `kin` remembers every header that an honest node journaled, by its id. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/actions.h"
#include "tools/sim/sim_internal.h"

enum { KIN_MAX = 16384, KIN_DEPTH_MAX = SIM_VIEWS_MAX };

struct sim_kin {
    struct hash id; /* zero: free */
    struct hash parent;
};

/* --- sets ---------------------------------------------------------------------------------------- */

uint32_t sim_faults_of(uint64_t members)
{
    return ((uint32_t)__builtin_popcountll(members) - 1) / 3;
}

int sim_place(const struct sim *sim, uint64_t epoch, int key)
{
    if (key < 0 || epoch >= sim->epoch_count)
        return -1;
    uint64_t members = sim->epochs[epoch].members;
    if ((members >> key & 1) == 0)
        return -1;
    return __builtin_popcountll(members & ((UINT64_C(1) << key) - 1));
}

int sim_key_at(const struct sim *sim, uint64_t epoch, uint32_t place)
{
    uint64_t members = epoch < sim->epoch_count ? sim->epochs[epoch].members : 0;
    for (; members != 0; members &= members - 1)
        if (place-- == 0)
            return __builtin_ctzll(members);
    return -1;
}

struct sim_node *sim_node_of_key(struct sim *sim, int key)
{
    for (uint32_t i = 0; key >= 0 && i < sim->keyed; i++)
        if (sim->nodes[i].validator == key)
            return &sim->nodes[i];
    return NULL;
}

const struct validator_set *sim_set_of(const struct sim *sim, const struct sim_node *node)
{
    MUST(node->epoch < sim->epoch_count);
    return &sim->epochs[node->epoch].set;
}

uint64_t sim_members_after(uint64_t members, const struct sim_change *change)
{
    if (change->leaves >= 0)
        members &= ~(UINT64_C(1) << change->leaves);
    if (change->comes >= 0)
        members |= UINT64_C(1) << change->comes;
    return members;
}

static uint64_t members_of(const struct validator_set *set)
{
    uint64_t members = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        int key = sim_key_number(&set->validators[i].key);
        MUST(key >= 0);
        members |= UINT64_C(1) << key;
    }
    return members;
}

static void add_epoch(struct sim *sim, const struct validator_set *set, uint64_t height)
{
    MUST(sim->epoch_count < SIM_EPOCHS_MAX);
    struct sim_epoch *epoch = &sim->epochs[sim->epoch_count++];
    epoch->set = *set;
    epoch->members = members_of(set);
    epoch->height = height;
    epoch->certificates = calloc(SIM_VIEWS_MAX, sizeof *epoch->certificates);
    MUST(epoch->certificates != NULL);
    sim->set = *set;
}

void sim_epochs_open(struct sim *sim)
{
    struct validator_set set;
    chain_next_validators(sim->audit, &set);
    MUST(chain_next_epoch(sim->audit) == 0 && set.count == sim->config.validators);
    add_epoch(sim, &set, 0);
    if (sim->changes_set) {
        sim->kin = calloc(KIN_MAX, sizeof *sim->kin);
        MUST(sim->kin != NULL);
    }
}

void sim_epochs_free(struct sim *sim)
{
    for (uint32_t e = 0; e < sim->epoch_count; e++)
        free(sim->epochs[e].certificates);
    free(sim->kin);
}

void sim_epoch_begins(struct sim *sim, const struct block_header *boundary)
{
    const struct sim_epoch *before = &sim->epochs[sim->epoch_count - 1];
    const uint32_t done = sim->epoch_count - 1;
    struct validator_set set;
    struct hash hash;
    chain_next_validators(sim->audit, &set);
    validator_set_hash(&hash, &set);
    if (!hash_equal(&hash, &boundary->next_set) ||
        chain_next_epoch(sim->audit) != boundary->epoch + 1)
        sim_fail(sim, SIM_SAFETY, "the boundary block of height %llu names another set or epoch",
                 (unsigned long long)boundary->height);
    else if (done >= sim->change_count ||
             members_of(&set) != sim_members_after(before->members, &sim->changes[done]))
        sim_fail(sim, SIM_SAFETY, "height %llu changes the set as nobody voted",
                 (unsigned long long)boundary->height);
    if (sim_failed(sim))
        return;
    sim_story(sim, NULL, "epoch %u begins above height %llu with %u validators", sim->epoch_count,
              (unsigned long long)boundary->height, set.count);
    add_epoch(sim, &set, boundary->height);
    sim->result->epochs++;
    sim->result->epochs_before += !sim->weather.healed;
}

/* --- nodes ---------------------------------------------------------------------------------------- */

void sim_node_enter(struct sim *sim, struct sim_node *node)
{
    struct validator_set set;
    node->epoch = chain_next_epoch(node->chain);
    MUST(node->epoch < sim->epoch_count);
    chain_next_validators(node->chain, &set);
    if (members_of(&set) != sim->epochs[node->epoch].members)
        sim_fail(sim, SIM_SAFETY, "node %d enters epoch %llu with another set", node->slot,
                 (unsigned long long)node->epoch);
    node->place = sim_place(sim, node->epoch, node->validator);
    if (node->disk->epoch == node->epoch)
        return;
    /* The journal before says nothing in this epoch; one that was damaged there is no damage here. */
    sim_disk_free(node->disk);
    node->disk = sim_disk_new();
    node->disk->epoch = node->epoch;
    node->follower = false;
    node->has_voted = false;
    node->rolled_back = false;
}

/* --- kin ------------------------------------------------------------------------------------------ */

static struct sim_kin *kin_at(const struct sim *sim, const struct hash *id)
{
    uint32_t at = ((uint32_t)id->bytes[0] << 8 | id->bytes[1]) % KIN_MAX;
    uint32_t looked = 0;
    while (!hash_is_zero(&sim->kin[at].id) && !hash_equal(&sim->kin[at].id, id)) {
        at = (at + 1) % KIN_MAX;
        MUST(++looked < KIN_MAX);
    }
    return &sim->kin[at];
}

void sim_kin_add(struct sim *sim, const struct block_header *header, const struct hash *id)
{
    if (sim->kin == NULL)
        return;
    struct sim_kin *kin = kin_at(sim, id);
    kin->id = *id;
    kin->parent = header->parent_id;
}

bool sim_kin_descends(const struct sim *sim, const struct hash *id, const struct hash *ancestor)
{
    struct hash at = *id;
    for (int i = 0; i < KIN_DEPTH_MAX; i++) {
        const struct sim_kin *kin = kin_at(sim, &at);
        if (hash_is_zero(&kin->id))
            return false;
        if (hash_equal(&kin->parent, ancestor))
            return true;
        at = kin->parent;
    }
    return false;
}
