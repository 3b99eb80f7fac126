/* What must hold, whatever goes wrong (docs/simulator.md lists the oracles by number). The oracles
 * see what honest nodes journal, say and commit, and share no code with the core. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/body.h"
#include "tools/sim/sim_internal.h"

enum { TX_SEEN_MAX = 8192, SKEW_MS_MAX = 200 };

bool sim_failed(const struct sim *sim)
{
    return sim->result->outcome != SIM_HELD;
}

void sim_fail(struct sim *sim, enum sim_outcome outcome, const char *format, ...)
{
    if (sim_failed(sim))
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sim->result->failure, SIM_FAILURE_SIZE, format, arguments);
    va_end(arguments);
    sim->result->outcome = outcome;
    sim_story(sim, NULL, "FAILS: %s", sim->result->failure);
}

/* Do enough peers to be in every quorum of answers hold the latest vote of this key, on disk? What only
 * their memories hold goes with their next crash [C-ROLLBACK.KEEP]. */
bool sim_oracle_is_known(const struct sim *sim, const struct sim_node *node)
{
    const struct vote *latest = &node->latest_vote;
    uint32_t known = 0;
    for (uint32_t i = 0; node->place >= 0 && i < sim->keyed; i++) {
        const struct sim_node *peer = &sim->nodes[i];
        if (peer->faulty || !peer->up || peer->epoch != node->epoch || peer->place < 0 ||
            !peer->core->has_high[node->place] ||
            (peer->core->high_unsaved >> node->place & 1) != 0)
            continue;
        known += !journal_vote_is_later(latest, &peer->core->high[node->place]);
    }
    return node->has_voted && known > sim_faults_of(sim->epochs[node->epoch].members);
}

/* A disk was put back as a whole: from now on the rolled-back-disk rule alone keeps the key from saying
 * anything twice, if enough peers know what it has said. */
void sim_oracle_rolled_back(struct sim *sim, struct sim_node *node)
{
    node->rolled_back = sim_oracle_is_known(sim, node);
    if (node->rolled_back)
        sim_story(sim, node, "enough peers hold its latest vote: it may not vote twice");
}

/* O3: what an honest key has said, across restarts. A damaged disk is an excuse, but not one that was
 * put back as a whole and must be found out by asking. */
void sim_oracle_vote(struct sim *sim, struct sim_node *node, const struct vote *vote)
{
    unsigned long long view = vote->view;
    bool excused = node->faulty && !node->rolled_back;
    if (!sim_node_is_honest(node) || node->validator < 0)
        return;
    if (vote->view >= SIM_VIEWS_MAX || vote->kind >= VOTE_KIND_COUNT ||
        vote->epoch != node->epoch ||
        sim_place(sim, vote->epoch, node->validator) != vote->signer) {
        sim_fail(sim, SIM_SAFETY, "node %d votes out of all bounds, or of its place", node->slot);
        return;
    }
    sim_upgrade_votes(sim, node, vote);
    if (node->ballots[vote->epoch] == NULL) {
        node->ballots[vote->epoch] = calloc(SIM_VIEWS_MAX, sizeof *node->ballots[0]);
        MUST(node->ballots[vote->epoch] != NULL);
    }
    struct sim_ballot *ballots = node->ballots[vote->epoch][vote->view];
    struct sim_ballot *ballot = &ballots[vote->kind];
    if (!node->has_voted || journal_vote_is_later(vote, &node->latest_vote))
        node->latest_vote = *vote;
    node->has_voted = true;
    if (!excused && ballot->has && !hash_equal(&ballot->id, &vote->block_id))
        sim_fail(sim, SIM_SAFETY, "honest node %d voted twice in view %llu (kind %d)", node->slot,
                 view, vote->kind);
    ballot->has = true;
    ballot->id = vote->block_id;
    if (!excused && ballots[VOTE_NULLIFY].has && ballots[VOTE_FINALIZE].has)
        sim_fail(sim, SIM_SAFETY, "honest node %d nullified and finalized view %llu", node->slot,
                 view);
}

/* O1, O2, O6 (forged ones): every certificate that an honest node believes. */
void sim_oracle_certificate(struct sim *sim, const struct certificate *certificate)
{
    unsigned long long view = certificate->view;
    if (certificate->view >= SIM_VIEWS_MAX || certificate->kind >= VOTE_KIND_COUNT ||
        certificate->epoch >= sim->epoch_count) {
        sim_fail(sim, SIM_SAFETY, "a certificate out of all bounds");
        return;
    }
    uint32_t n = sim->epochs[certificate->epoch].set.count;
    struct sim_ballot *held = sim->epochs[certificate->epoch].certificates[certificate->view];
    struct sim_ballot *one = &held[certificate->kind];
    if (one->has && hash_equal(&one->id, &certificate->block_id) &&
        certificate->count >= n - (n - 1) / 3)
        return;
    if (certificate->count < n - (n - 1) / 3)
        sim_fail(sim, SIM_SAFETY, "a certificate of %u votes in view %llu", certificate->count,
                 view);
    for (uint32_t i = 0; i < certificate->count; i++) {
        uint8_t signer = certificate->entries[i].signer;
        struct hash message;
        vote_message(&message, &sim->genesis_id, certificate->kind, certificate->epoch,
                     certificate->view, &certificate->block_id);
        struct signature mine;
        bool good = signer < n && (i == 0 || certificate->entries[i - 1].signer < signer);
        if (good && !sim->config.ed25519) {
            int key = sim_key_at(sim, certificate->epoch, signer);
            sim->signing.sign(&mine, &sim->seeds[key], &message);
            good = memcmp(mine.bytes, certificate->entries[i].signature.bytes, SIGNATURE_SIZE) == 0;
        }
        if (!good)
            sim_fail(sim, SIM_SAFETY, "an honest node believes a forged certificate of view %llu",
                     view);
    }
    if (one->has && !hash_equal(&one->id, &certificate->block_id))
        sim_fail(sim, SIM_SAFETY, "two certificates of kind %d in view %llu", certificate->kind,
                 view);
    *one = (struct sim_ballot){.has = true, .id = certificate->block_id};
    if (held[VOTE_NULLIFY].has && held[VOTE_FINALIZE].has)
        sim_fail(sim, SIM_SAFETY, "view %llu is both nullified and finalized", view);
    if (held[VOTE_NOTARIZE].has && held[VOTE_FINALIZE].has &&
        !hash_equal(&held[VOTE_NOTARIZE].id, &held[VOTE_FINALIZE].id))
        sim_fail(sim, SIM_SAFETY, "view %llu finalizes another block than it notarized", view);
}

/* O9 */
void sim_oracle_evidence(struct sim *sim, struct sim_node *node, const struct bft_effect *effect)
{
    uint32_t signer = effect->vote.signer;
    const struct sim_node *accused =
        sim_node_of_key(sim, sim_key_at(sim, effect->vote.epoch, signer));
    if (!sim_node_is_honest(node))
        return;
    sim->result->evidence++;
    sim_story(sim, node, "evidence against validator %u: kinds %u and %u in view %llu", signer,
              effect->vote.kind, effect->vote2.kind, (unsigned long long)effect->vote.view);
    if (accused == NULL || !accused->faulty)
        sim_fail(sim, SIM_SAFETY, "evidence against honest validator %u of epoch %llu", signer,
                 (unsigned long long)effect->vote.epoch);
}

void sim_oracle_alarm(struct sim *sim, struct sim_node *node, const char *text)
{
    sim_story(sim, node, "ALARM: %s", text);
    if (!node->faulty)
        sim_fail(sim, SIM_SAFETY, "honest node %d alarms: %s", node->slot, text);
}

/* --- commits ------------------------------------------------------------------------------------- */

/* O5: once only. */
static void see_transaction(struct sim *sim, const struct hash *id)
{
    uint32_t at = ((uint32_t)id->bytes[0] << 8 | id->bytes[1]) % TX_SEEN_MAX;
    while (!hash_is_zero(&sim->tx_seen[at])) {
        if (hash_equal(&sim->tx_seen[at], id)) {
            sim_fail(sim, SIM_SAFETY, "a transaction is in the final chain twice");
            return;
        }
        at = (at + 1) % TX_SEEN_MAX;
    }
    MUST(++sim->tx_seen_count < TX_SEEN_MAX / 2);
    sim->tx_seen[at] = *id;
    sim->result->transactions++;
}

static void credit_wallets(struct sim *sim, struct bytes_view body)
{
    struct body_reader reader;
    struct bytes_view envelope;
    MUST(body_open(&reader, body));
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        MUST(transaction_decode(&transaction, envelope) == CONTRACT_OK);
        for (uint32_t w = 0; w <= SIM_WALLETS; w++) {
            uint64_t nonce = transaction.nonce;
            bool replaced = false;
            if (nonce > sim->wallets[w].offered ||
                !sim_is_transaction(sim, &transaction, w, nonce, &replaced))
                continue;
            sim->result->replaced += replaced ? 1 : 0;
            if (nonce <= sim->wallets[w].committed)
                sim_fail(sim, SIM_SAFETY, "wallet %u: nonce %llu is in the final chain twice", w,
                         (unsigned long long)nonce);
            sim->wallets[w].committed = nonce;
            if (w == SIM_WALLETS && nonce == sim->probe_nonce)
                sim->probe_done = true;
        }
    }
}

/* Scenario 51: an honest leader who had the probe must have built it in. */
static void count_probe_slot(struct sim *sim, const struct block_header *header)
{
    const struct sim_epoch *epoch = &sim->epochs[header->epoch];
    uint32_t place = validator_set_leader(&epoch->set, header->epoch, header->view);
    const struct sim_node *leader = sim_node_of_key(sim, sim_key_at(sim, header->epoch, place));
    int64_t given = SIM_GENESIS_MS + 1000 + (int64_t)sim->probe_ms + sim->leap_ms + SKEW_MS_MAX;
    if (sim->probe_nonce == 0 || sim->probe_done || leader->faulty ||
        timestamp_ms(header->time) <= given)
        return;
    sim->probe_slots++;
    if (sim->probe_slots > sim_faults_of(epoch->members) + 1)
        sim_fail(sim, SIM_LIVENESS, "a transaction was passed over in %u blocks of honest leaders",
                 sim->probe_slots);
}

/* O1: extends the one chain; every view that it skips was nullified. */
static void check_link(struct sim *sim, const struct block_header *header)
{
    const struct sim_final *parent = &sim->finals[header->height - 1];
    unsigned long long height = header->height;
    int64_t latest = SIM_GENESIS_MS + 1000 + (int64_t)sim->now_ms + sim->leap_ms + SKEW_MS_MAX;
    if (!hash_equal(&header->parent_id, &parent->id) || header->view >= SIM_VIEWS_MAX)
        sim_fail(sim, SIM_SAFETY, "height %llu does not extend the final chain", height);
    if (header->epoch != sim->epoch_count - 1) {
        sim_fail(sim, SIM_SAFETY, "height %llu is of epoch %llu, not of the newest one", height,
                 (unsigned long long)header->epoch);
        return;
    }
    struct sim_ballot(*certificates)[VOTE_KIND_COUNT] = sim->epochs[header->epoch].certificates;
    for (uint64_t v = header->parent_view + 1; v < header->view && v < SIM_VIEWS_MAX; v++)
        if (!certificates[v][VOTE_NULLIFY].has)
            sim_fail(sim, SIM_SAFETY, "height %llu skips view %llu, which nobody nullified", height,
                     (unsigned long long)v);
    if (header->view < SIM_VIEWS_MAX && !certificates[header->view][VOTE_NOTARIZE].has &&
        !certificates[header->view][VOTE_FINALIZE].has)
        sim_fail(sim, SIM_SAFETY, "height %llu is final without a certificate of its view", height);
    if (timestamp_ms(header->time) > latest + BFT_CLOCK_SLACK_MS)
        sim_fail(sim, SIM_SAFETY, "height %llu bears a time of the future", height);
}

static void first_commit(struct sim *sim, const struct store_block *block,
                         const struct block_header *header, const struct finality *finality)
{
    struct sim_final *final = &sim->finals[header->height];
    check_link(sim, header);
    if (sim_failed(sim))
        return;
    final->header = *header;
    final->id = block->tip.block_id;
    final->body = malloc(block->body.size);
    MUST(final->body != NULL);
    memcpy(final->body, block->body.data, block->body.size);
    final->body_size = block->body.size;
    final->at_ms = sim->now_ms;
    sim->final_count = header->height;
    sim->result->heights = header->height;
    for (uint32_t i = 0; i < block->tx_count; i++)
        see_transaction(sim, &block->tx_ids[i]);
    credit_wallets(sim, block->body);
    count_probe_slot(sim, header);
    sim_audit_block(sim, final, finality);
    if (sim_failed(sim) || chain_next_epoch(sim->audit) == header->epoch)
        return;
    sim_epoch_begins(sim, header);
    if (finality == NULL)
        sim_fail(sim, SIM_SAFETY, "height %llu ends an epoch without proof",
                 (unsigned long long)header->height);
    else
        sim->result->proven_by_descendants += finality->headers.size > 0;
}

/* The block itself is finalized, or, if it ends its epoch, the last of its descendants' headers. */
static void check_proof(struct sim *sim, struct sim_node *node, const struct store_block *block,
                        const struct finality *finality)
{
    struct hash id = block->tip.block_id;
    const struct certificate *certificate = &finality->certificate;
    bool good = certificate->kind == VOTE_FINALIZE;
    for (size_t at = 0; at < finality->headers.size; at += BLOCK_HEADER_SIZE) {
        struct block_header header;
        good = good &&
               block_header_decode(&header,
                                   bytes_view_of(finality->headers.data + at, BLOCK_HEADER_SIZE)) &&
               hash_equal(&header.parent_id, &id) && header.epoch == certificate->epoch;
        block_header_id(&id, &header);
    }
    if (!good || !hash_equal(&certificate->block_id, &id) ||
        (finality->headers.size > 0 && !finality->ends_epoch))
        sim_fail(sim, SIM_SAFETY, "node %d commits height %llu with a foreign certificate",
                 node->slot, (unsigned long long)block->height);
}

/* O1, O4: the same bytes on every node. */
void sim_oracle_commit(struct sim *sim, struct sim_node *node, const struct store_block *block)
{
    struct block_header header;
    struct finality finality;
    struct hash receipts;
    bool certified = block->certificate.size > 0;
    MUST(block_header_decode(&header, block->header) && header.height == block->height);
    sim_trace_commit(sim, node, block);
    sim_upgrade_commits(sim, node, block->height);
    if (certified) {
        MUST(finality_decode(&finality, block->certificate));
        sim_oracle_certificate(sim, &finality.certificate);
        check_proof(sim, node, block, &finality);
    }
    if (sim_failed(sim))
        return;
    if (block->height == sim->final_count + 1)
        first_commit(sim, block, &header, certified ? &finality : NULL);
    if (sim_failed(sim))
        return;
    const struct sim_final *final = &sim->finals[block->height];
    hash_bytes(&receipts, HASH_DOMAIN_RECEIPT, block->receipts.data, block->receipts.size);
    if (!hash_equal(&final->id, &block->tip.block_id))
        sim_fail(sim, SIM_SAFETY, "FORK: node %d commits another block at height %llu", node->slot,
                 (unsigned long long)block->height);
    else if (!hash_equal(&final->header.state_root, &block->tip.state_root) ||
             !hash_equal(&final->receipts, &receipts) ||
             !bytes_view_equal(bytes_view_of(final->body, final->body_size), block->body))
        sim_fail(sim, SIM_SAFETY, "node %d commits other bytes at height %llu", node->slot,
                 (unsigned long long)block->height);
}

/* --- the end -------------------------------------------------------------------------------------- */

/* Does this node have to get there? */
static bool must_progress(const struct sim_node *node)
{
    return sim_node_is_honest(node) && !node->differs && !node->gone && !node->lags;
}

bool sim_oracle_reached(const struct sim *sim)
{
    uint64_t begun = sim->epochs[sim->epoch_count - 1].height;
    uint64_t goal = begun + SIM_GOAL > sim->goal && begun > 0 ? begun + SIM_GOAL : sim->goal;
    if (sim->goal == 0 || !sim->probe_done || !sim_governance_is_done(sim))
        return false;
    if (sim_upgrade_goal(sim) > goal)
        goal = sim_upgrade_goal(sim);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (must_progress(node) && (!node->up || node->store.tip.height < goal))
            return false;
    }
    return true;
}

/* From the timeouts: leave the view (2 caps), spread the proofs (2 standstills), fetch what is missing
 * (2 longest waits of a fetch), pass f + 1 leaders at the cap, then goal and probe at their base. */
uint64_t sim_oracle_bound_ms(const struct sim *sim)
{
    uint64_t f = sim->faults_max;
    uint64_t standstill = 10 * SIM_DELTA_MS + 100, cap = SIM_CAP_MS;
    uint64_t fetch = BFT_RETRY_CAP_MS, store = SIM_STORE_RETRY_MS;
    uint64_t calm_view = 1000;
    uint64_t change =
        4 * (f + 1) * calm_view; /* proposal, votes, boundary, the first of an epoch */
    return 2 * cap + 2 * standstill + 2 * fetch + (f + 1) * 2 * cap +
           (SIM_GOAL + f + 2) * (f + 1) * calm_view + 2 * store + sim->change_count * change +
           sim_upgrade_bound_ms(sim);
}

/* O8: what a healthy node keeps. */
static void check_bounds(struct sim *sim, const struct sim_node *node)
{
    uint64_t journal = sim_disk_bytes(node->disk);
    if (journal > SIM_JOURNAL_QUIET_BYTES)
        sim_fail(sim, SIM_SAFETY, "node %d keeps a journal of %llu bytes", node->slot,
                 (unsigned long long)journal);
    if (mempool_count(node->mempool) >
        (size_t)(SIM_WALLETS + 1 + SIM_GOVERNORS) * SIM_WALLET_NONCES)
        sim_fail(sim, SIM_SAFETY, "node %d keeps %zu transactions", node->slot,
                 mempool_count(node->mempool));
}

/* O1: what an epoch finalized is in the chain up to its boundary, and above it only what proves it. */
static void check_epoch(struct sim *sim, uint32_t number)
{
    const struct sim_epoch *epoch = &sim->epochs[number];
    const bool over = number + 1 < sim->epoch_count;
    const uint64_t top = over ? sim->epochs[number + 1].height : sim->final_count;
    const uint64_t last = sim->finals[top].header.view;
    uint64_t height = epoch->height + 1;
    for (uint64_t view = 1; view < SIM_VIEWS_MAX && (over || view <= last); view++) {
        const struct sim_ballot *final = &epoch->certificates[view][VOTE_FINALIZE];
        while (height < top && sim->finals[height].header.view < view)
            height++;
        if (!final->has)
            continue;
        bool good = view > last ? sim_kin_descends(sim, &final->id, &sim->finals[top].id)
                                : height <= top && sim->finals[height].header.view == view &&
                                      hash_equal(&sim->finals[height].id, &final->id);
        if (!good)
            sim_fail(sim, SIM_SAFETY,
                     "the finalized block of view %llu, epoch %u is not in the chain",
                     (unsigned long long)view, number);
    }
}

void sim_oracle_end(struct sim *sim)
{
    for (uint32_t epoch = 0; epoch < sim->epoch_count; epoch++)
        check_epoch(sim, epoch);
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].up && !sim->nodes[i].faulty)
            check_bounds(sim, &sim->nodes[i]);
    sim_audit_end(sim);
}
