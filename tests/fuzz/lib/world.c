/* The world around one BFT core (tests/fuzz/lib/world.h): life, the shell's side of the contract, and
 * the checks after each step. The checks share no code with the core.
 *
 * What is not checked here because it needs honest peers: agreement between cores and liveness. The
 * cluster tests and the model (docs/spec/consensus-model.md) do that. */
#include "tests/fuzz/lib/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/lib/consensus/cluster.h"

static const int64_t world_epoch_ms = 1700000000000;

/* --- blocks and votes -------------------------------------------------------------------------- */

int world_block_find(const struct world *world, const struct hash *id)
{
    for (uint32_t i = 0; i < world->block_count; i++)
        if (hash_equal(&world->blocks[i].id, id))
            return (int)i;
    return -1;
}

int world_block_add(struct world *world, const struct block_header *header, bool valid)
{
    struct hash id;
    block_header_id(&id, header);
    const int known = world_block_find(world, &id);
    if (known >= 0)
        return known;
    if (world->block_count == WORLD_BLOCKS)
        return -1;
    world->blocks[world->block_count] =
        (struct world_block){.id = id, .header = *header, .valid = valid};
    return (int)world->block_count++;
}

void world_vote_sign(const struct world *world, struct vote *vote)
{
    struct hash message;
    MUST((int)vote->signer != world->self && vote->signer < world->count);
    vote_message(&message, &world->config.genesis, vote->kind, vote->epoch, vote->view,
                 &vote->block_id);
    cluster_signing()->sign(&vote->signature, &world->seeds[vote->signer], &message);
}

static bool vote_is_genuine(const struct world *world, const struct vote *vote)
{
    struct hash message;
    if (vote->signer >= world->count || vote->kind >= VOTE_KIND_COUNT)
        return false;
    vote_message(&message, &world->config.genesis, vote->kind, vote->epoch, vote->view,
                 &vote->block_id);
    return cluster_signing()->verify(&vote->signature,
                                     &world->config.set.validators[vote->signer].key, &message);
}

static void check_certificate(const struct world *world, const struct certificate *certificate)
{
    const uint32_t quorum = world->count - (world->count - 1) / 3;
    MUST(certificate != NULL && certificate->kind < VOTE_KIND_COUNT);
    MUST(certificate->count >= quorum && certificate->count <= world->count);
    for (uint32_t i = 0; i < certificate->count; i++) {
        const struct vote vote = {.kind = certificate->kind,
                                  .epoch = certificate->epoch,
                                  .view = certificate->view,
                                  .block_id = certificate->block_id,
                                  .signer = certificate->entries[i].signer,
                                  .signature = certificate->entries[i].signature};
        MUST(vote_is_genuine(world, &vote));
        MUST(i == 0 || certificate->entries[i - 1].signer < vote.signer);
    }
}

/* --- own votes --------------------------------------------------------------------------------- */

static const struct vote *own_find(const struct world *world, uint8_t kind, uint64_t view)
{
    for (uint32_t i = 0; i < world->own_count; i++)
        if (world->own[i].kind == kind && world->own[i].view == view)
            return &world->own[i];
    return NULL;
}

/* Journaled: at most one of each kind and view, never U and F, never N after U. */
static void own_journaled(struct world *world, const struct vote *vote)
{
    MUST(world->self >= 0 && (int)vote->signer == world->self && vote_is_genuine(world, vote));
    MUST((vote->kind == VOTE_NULLIFY) == hash_is_zero(&vote->block_id));
    MUST(own_find(world, vote->kind, vote->view) == NULL);
    if (vote->kind != VOTE_NULLIFY)
        MUST(own_find(world, VOTE_NULLIFY, vote->view) == NULL);
    else
        MUST(own_find(world, VOTE_FINALIZE, vote->view) == NULL);
    MUST(!world->alarmed && !world->ended);
    MUST(world->own_count < WORLD_OWN_VOTES);
    world->own[world->own_count++] = *vote;
}

/* Sent: one that was journaled, to the byte. */
static void own_sent(const struct world *world, const struct vote *vote)
{
    const struct vote *known = own_find(world, vote->kind, vote->view);
    MUST((int)vote->signer == world->self && known != NULL &&
         hash_equal(&known->block_id, &vote->block_id) &&
         memcmp(&known->signature, &vote->signature, sizeof vote->signature) == 0);
}

/* --- effects ----------------------------------------------------------------------------------- */

static void journal(struct world *world, const struct bft_effect *effect)
{
    MUST(world->record_count < WORLD_RECORDS);
    struct world_record *record = &world->records[world->record_count++];
    *record = (struct world_record){.kind = effect->kind, .block = -1};
    if (effect->kind == BFT_PERSIST_VOTE || effect->kind == BFT_PERSIST_PEER_VOTE) {
        record->vote = effect->vote;
        if (effect->kind == BFT_PERSIST_VOTE)
            own_journaled(world, &effect->vote);
        else
            MUST((int)effect->vote.signer != world->self && vote_is_genuine(world, &effect->vote));
    } else if (effect->kind == BFT_PERSIST_CERTIFICATE) {
        check_certificate(world, effect->certificate);
        record->certificate = malloc(sizeof *record->certificate);
        MUST(record->certificate != NULL);
        *record->certificate = *effect->certificate;
    } else if (effect->kind == BFT_PERSIST_CERTIFIED) {
        record->view = effect->view;
        record->id = effect->block_id;
    } else {
        struct hash id;
        block_header_id(&id, &effect->header);
        record->block = world_block_find(world, &id);
        MUST(record->block >= 0); /* its body is in the cache */
    }
    world->owes_persisted = true;
}

/* The end of an epoch is proven to the next one's validators: headers lead from the block to one that
 * the certificate finalizes. */
static void check_boundary(struct world *world, const struct bft_effect *effect)
{
    struct hash id;
    struct block_header last = effect->header, header;
    MUST(effect->certificate != NULL && effect->proof_headers.size % BLOCK_HEADER_SIZE == 0);
    MUST(!hash_equal(&effect->header.next_set, &world->set_hash));
    block_header_id(&id, &last);
    for (size_t at = 0; at < effect->proof_headers.size; at += BLOCK_HEADER_SIZE) {
        MUST(block_header_decode(
            &header, bytes_view_of(effect->proof_headers.data + at, BLOCK_HEADER_SIZE)));
        MUST(hash_equal(&header.parent_id, &id) && header.height == last.height + 1);
        last = header;
        block_header_id(&id, &last);
    }
    check_certificate(world, effect->certificate);
    MUST(effect->certificate->kind == VOTE_FINALIZE &&
         hash_equal(&effect->certificate->block_id, &id));
    world->ended = true;
}

static void check_decided(struct world *world, const struct bft_effect *effect)
{
    struct hash id;
    block_header_id(&id, &effect->header);
    MUST(world_block_find(world, &id) >= 0);
    MUST(effect->header.height == world->decided + 1);
    MUST(hash_equal(&effect->header.parent_id, &world->chain[world->decided]));
    MUST(effect->header.view > world->chain_view[world->decided] && !world->ended);
    if (effect->epoch_ends) {
        check_boundary(world, effect);
    } else {
        MUST(hash_equal(&effect->header.next_set, &world->set_hash));
    }
    if (effect->certificate != NULL && !effect->epoch_ends) {
        check_certificate(world, effect->certificate);
        MUST(effect->certificate->kind == VOTE_FINALIZE &&
             hash_equal(&effect->certificate->block_id, &id));
    }
    MUST(world->decided < WORLD_BLOCKS);
    world->decided++;
    world->chain[world->decided] = id;
    world->chain_view[world->decided] = effect->header.view;
    world->chain_time[world->decided] = effect->header.time;
}

static bool is_decided(const struct world *world, const struct hash *id)
{
    for (uint32_t height = 0; height <= world->decided; height++)
        if (hash_equal(&world->chain[height], id))
            return true;
    return false;
}

static void check_execute(struct world *world, const struct hash *id)
{
    const int block = world_block_find(world, id);
    MUST(block >= 0 && world->execute_count < WORLD_ASKS);
    const struct hash *parent = &world->blocks[block].header.parent_id;
    const int before = world_block_find(world, parent);
    MUST(is_decided(world, parent) || (before >= 0 && world->blocks[before].executed));
    world->executes[world->execute_count++] = *id;
}

static void check_build(struct world *world, const struct bft_effect *effect)
{
    MUST(world->self >= 0 && effect->parent_view < effect->view && effect->height > 0);
    const int parent = world_block_find(world, &effect->block_id);
    MUST(is_decided(world, &effect->block_id) ||
         (parent >= 0 && world->blocks[parent].header.height + 1 == effect->height));
    MUST(world->build_count < WORLD_ASKS);
    world->builds[world->build_count++] = *effect;
}

static void check_evidence(const struct world *world, const struct bft_effect *effect)
{
    const struct vote *a = &effect->vote, *b = &effect->vote2;
    MUST(vote_is_genuine(world, a) && vote_is_genuine(world, b));
    MUST(a->signer == b->signer && a->view == b->view && a->epoch == b->epoch);
    MUST((int)a->signer != world->self);
    const bool twice =
        a->kind == b->kind && a->kind != VOTE_NULLIFY && !hash_equal(&a->block_id, &b->block_id);
    const bool both = (a->kind == VOTE_NULLIFY && b->kind == VOTE_FINALIZE) ||
                      (a->kind == VOTE_FINALIZE && b->kind == VOTE_NULLIFY);
    MUST(twice || both);
}

static void carry_out(struct world *world, const struct bft_input *input,
                      const struct bft_effect *effect)
{
    MUST(effect->to >= BFT_PEER_NONE && effect->to < (int)world->count);
    MUST(effect->to != world->self || effect->to == BFT_PEER_ALL);
    switch (effect->kind) {
    case BFT_PERSIST_BLOCK:
    case BFT_PERSIST_VOTE:
    case BFT_PERSIST_PEER_VOTE:
    case BFT_PERSIST_CERTIFICATE:
    case BFT_PERSIST_CERTIFIED:
        journal(world, effect);
        break;
    case BFT_SEND_PROPOSAL:
        MUST(effect->proposal != NULL);
        own_sent(world, &effect->proposal->vote);
        break;
    case BFT_SEND_VOTE:
        own_sent(world, &effect->vote);
        break;
    case BFT_SEND_CERTIFICATE:
        check_certificate(world, effect->certificate);
        break;
    case BFT_SEND_GET_RANGE:
        MUST(effect->count > 0 && effect->count <= LIMIT_RANGE_BLOCKS);
        break;
    case BFT_SEND_HIGH_VOTE:
        MUST(!effect->has_vote || vote_is_genuine(world, &effect->vote));
        break;
    case BFT_BUILD:
        check_build(world, effect);
        break;
    case BFT_EXECUTE:
        check_execute(world, &effect->block_id);
        break;
    case BFT_DECIDE:
        check_decided(world, effect);
        break;
    case BFT_EVIDENCE:
        check_evidence(world, effect);
        break;
    case BFT_STRIKE:
        MUST(effect->to == input->from && effect->text != NULL);
        break;
    case BFT_ALARM:
        MUST(!world->alarmed && effect->text != NULL);
        world->alarmed = true;
        break;
    case BFT_SEND_GET_CERT:
    case BFT_SEND_GET_BLOCK:
    case BFT_SEND_STATUS:
    case BFT_SEND_GET_HIGH_VOTE:
        break;
    }
}

static void check_status(struct world *world)
{
    struct bft_view_status status;
    bft_status(world->core, &status);
    MUST(status.view >= world->last_view && status.view > status.final_view);
    MUST(status.final_view >= world->last_final_view);
    MUST(status.final_height == world->decided && status.committed_height == world->committed);
    MUST(status.floor_view <= status.final_view);
    MUST(status.epoch_ended == world->ended);
    MUST((status.refusal != NULL) == world->alarmed && !(status.voting && world->alarmed));
    world->last_view = status.view;
    world->last_final_view = status.final_view;
}

bool world_step(struct world *world, struct bft_input *input)
{
    input->now_ms = world->now_ms;
    input->wall = timestamp_of(world_epoch_ms + (int64_t)world->now_ms + world->skew_ms);
    bft_step(world->core, input, &world->effects);
    MUST(world->effects.count <= BFT_EFFECTS_MAX);
    bool records_over = false;
    for (uint32_t i = 0; i < world->effects.count; i++) {
        const bool record = world->effects.items[i].kind <= BFT_PERSIST_CERTIFIED;
        MUST(!record || !records_over);
        records_over = records_over || !record;
        carry_out(world, input, &world->effects.items[i]);
    }
    check_status(world);
    return world->record_count + BFT_EFFECTS_MAX < WORLD_RECORDS &&
           world->own_count + BFT_EFFECTS_MAX < WORLD_OWN_VOTES &&
           world->build_count < WORLD_ASKS - BFT_PASSES / 2 &&
           world->execute_count < WORLD_ASKS - BFT_EXECUTIONS;
}

/* --- life -------------------------------------------------------------------------------------- */

static void *core_memory(uint32_t validators)
{
    static void *memory[2];
    void **slot = &memory[validators > LIMIT_VALIDATORS_MIN];
    if (*slot == NULL)
        *slot = malloc(bft_size(validators));
    MUST(*slot != NULL);
    return *slot;
}

static void start(struct world *world)
{
    world->core = bft_create(core_memory(world->count), &world->config);
    MUST(world->core != NULL);
    world->core->signing = *cluster_signing();
    world->last_view = 0;
    world->last_final_view = world->config.final_view;
}

static void first_input(struct world *world)
{
    struct bft_input input = {.kind = BFT_INPUT_START, .from = BFT_PEER_NONE};
    (void)world_step(world, &input);
}

void world_open(struct world *world, uint32_t validators, int self)
{
    memset(world, 0, sizeof *world);
    world->count = validators;
    world->self = self;
    cluster_config_for(&world->config, validators, self);
    cluster_keys(&world->config.set, world->seeds, validators);
    validator_set_hash(&world->set_hash, &world->config.set);
    world->chain[0] = world->config.final_id;
    world->chain_time[0] = world->config.final_time;
    start(world);
    first_input(world);
}

void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->record_count; i++)
        free(world->records[i].certificate);
    bft_destroy(world->core);
}

static bool replay(struct world *world, const struct world_record *record)
{
    if (record->kind == BFT_PERSIST_VOTE)
        return bft_replay_vote(world->core, &record->vote);
    if (record->kind == BFT_PERSIST_PEER_VOTE)
        return bft_replay_peer_vote(world->core, &record->vote);
    if (record->kind == BFT_PERSIST_CERTIFICATE)
        return bft_replay_certificate(world->core, record->certificate);
    if (record->kind == BFT_PERSIST_CERTIFIED)
        return bft_replay_certified(world->core, record->view, &record->id);
    return bft_replay_block(world->core, &world->blocks[record->block].header);
}

bool world_restart(struct world *world)
{
    if (world->ended && world->committed == world->decided)
        return false;
    bft_destroy(world->core);
    world->config.final_height = world->committed;
    world->config.final_view = world->chain_view[world->committed];
    world->config.final_id = world->chain[world->committed];
    world->config.final_time = world->chain_time[world->committed];
    world->decided = world->committed;
    world->build_count = world->execute_count = 0;
    world->owes_persisted = world->ended = false;
    for (uint32_t i = 0; i < world->block_count; i++)
        world->blocks[i].executed = false;
    start(world);
    /* A core that had seen proof of too many liars sees it again in its journal, and stays silent. */
    const bool was_alarmed = world->alarmed;
    world->alarmed = false;
    bool good = true;
    for (uint32_t i = 0; i < world->record_count && good; i++)
        good = replay(world, &world->records[i]);
    MUST(good || was_alarmed);
    if (was_alarmed)
        bft_refuse_to_vote(world->core, "it had refused before");
    first_input(world);
    return true;
}
