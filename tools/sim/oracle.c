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

/* A disk was put back as a whole. Enough peers to be in every quorum of answers hold the latest vote of
 * this key: from now on the rolled-back-disk rule alone keeps the key from saying anything twice. */
void sim_oracle_rolled_back(struct sim *sim, struct sim_node *node)
{
    const struct vote *latest = &node->latest_vote;
    uint32_t known = 0;
    for (uint32_t i = 0; i < sim->set.count; i++) {
        const struct sim_node *peer = &sim->nodes[i];
        if (peer->faulty || !peer->up || !peer->core->has_high[node->validator])
            continue;
        known += !journal_vote_is_later(latest, &peer->core->high[node->validator]);
    }
    node->rolled_back = node->has_voted && known > (sim->set.count - 1) / 3;
    if (node->rolled_back)
        sim_story(sim, node, "%u peers hold its latest vote: it may not vote twice", known);
}

/* O3: what an honest key has said, across restarts. A damaged disk is an excuse, but not one that was
 * put back as a whole and must be found out by asking. */
void sim_oracle_vote(struct sim *sim, struct sim_node *node, const struct vote *vote)
{
    unsigned long long view = vote->view;
    bool excused = node->faulty && !node->rolled_back;
    if (!sim_node_is_honest(node) || node->validator < 0)
        return;
    if (vote->view >= SIM_VIEWS_MAX || vote->kind >= VOTE_KIND_COUNT) {
        sim_fail(sim, SIM_SAFETY, "node %d votes out of all bounds", node->slot);
        return;
    }
    struct sim_ballot *ballots = node->ballots[vote->view];
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
    uint32_t n = sim->set.count;
    if (certificate->view >= SIM_VIEWS_MAX || certificate->kind >= VOTE_KIND_COUNT) {
        sim_fail(sim, SIM_SAFETY, "a certificate out of all bounds");
        return;
    }
    struct sim_ballot *held = sim->certificates[certificate->view];
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
            sim->signing.sign(&mine, &sim->seeds[signer], &message);
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
    if (!sim_node_is_honest(node))
        return;
    sim->result->evidence++;
    sim_story(sim, node, "evidence against validator %u: kinds %u and %u in view %llu", signer,
              effect->vote.kind, effect->vote2.kind, (unsigned long long)effect->vote.view);
    if (signer >= sim->set.count || !sim->nodes[signer].faulty)
        sim_fail(sim, SIM_SAFETY, "evidence against honest validator %u", signer);
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
            if (nonce > sim->wallets[w].offered ||
                !bytes_view_equal(sim_transaction(sim, w, nonce), envelope))
                continue;
            sim->wallets[w].committed = nonce;
            if (w == SIM_WALLETS && nonce == sim->probe_nonce)
                sim->probe_done = true;
        }
    }
}

/* Scenario 51: an honest leader who had the probe must have built it in. */
static void count_probe_slot(struct sim *sim, const struct block_header *header)
{
    uint32_t leader = validator_set_leader(&sim->set, 0, header->view);
    int64_t given = SIM_GENESIS_MS + 1000 + (int64_t)sim->probe_ms + sim->leap_ms + SKEW_MS_MAX;
    if (sim->probe_nonce == 0 || sim->probe_done || sim->nodes[leader].faulty ||
        timestamp_ms(header->time) <= given)
        return;
    sim->probe_slots++;
    if (sim->probe_slots > (sim->set.count - 1) / 3 + 1)
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
    for (uint64_t v = header->parent_view + 1; v < header->view && v < SIM_VIEWS_MAX; v++)
        if (!sim->certificates[v][VOTE_NULLIFY].has)
            sim_fail(sim, SIM_SAFETY, "height %llu skips view %llu, which nobody nullified", height,
                     (unsigned long long)v);
    if (header->view < SIM_VIEWS_MAX && !sim->certificates[header->view][VOTE_NOTARIZE].has &&
        !sim->certificates[header->view][VOTE_FINALIZE].has)
        sim_fail(sim, SIM_SAFETY, "height %llu is final without a certificate of its view", height);
    if (timestamp_ms(header->time) > latest + BFT_CLOCK_SLACK_MS)
        sim_fail(sim, SIM_SAFETY, "height %llu bears a time of the future", height);
}

static void first_commit(struct sim *sim, const struct store_block *block,
                         const struct block_header *header)
{
    struct sim_final *final = &sim->finals[header->height];
    struct certificate certificate;
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
    bool certified =
        block->certificate.size > 0 && certificate_decode(&certificate, block->certificate);
    sim_audit_block(sim, final, certified ? &certificate : NULL);
}

/* O1, O4: the same bytes on every node. */
void sim_oracle_commit(struct sim *sim, struct sim_node *node, const struct store_block *block)
{
    struct block_header header;
    struct certificate certificate;
    struct hash receipts;
    MUST(block_header_decode(&header, block->header) && header.height == block->height);
    sim_trace_commit(sim, node, block);
    if (block->certificate.size > 0) {
        MUST(certificate_decode(&certificate, block->certificate));
        sim_oracle_certificate(sim, &certificate);
        if (certificate.kind != VOTE_FINALIZE ||
            !hash_equal(&certificate.block_id, &block->tip.block_id))
            sim_fail(sim, SIM_SAFETY, "node %d commits height %llu with a foreign certificate",
                     node->slot, (unsigned long long)block->height);
    }
    if (block->height == sim->final_count + 1)
        first_commit(sim, block, &header);
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
    return sim_node_is_honest(node) && !node->differs && !node->gone;
}

bool sim_oracle_reached(const struct sim *sim)
{
    if (sim->goal == 0 || !sim->probe_done)
        return false;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (must_progress(node) && (!node->up || node->store.tip.height < sim->goal))
            return false;
    }
    return true;
}

/* From the timeouts: leave the view (2 caps), spread the proofs (2 standstills), fetch what is missing
 * (2 longest waits of a fetch), pass f + 1 leaders at the cap, then goal and probe at their base. */
uint64_t sim_oracle_bound_ms(const struct sim *sim)
{
    uint64_t f = (sim->set.count - 1) / 3;
    uint64_t standstill = 10 * SIM_DELTA_MS + 100;
    uint64_t calm_view = 1000;
    return 2 * SIM_CAP_MS + 2 * standstill + 2 * BFT_RETRY_CAP_MS + (f + 1) * 2 * SIM_CAP_MS +
           (SIM_GOAL + f + 2) * (f + 1) * calm_view + 2 * SIM_STORE_RETRY_MS;
}

/* O8: what a healthy node keeps. */
static void check_bounds(struct sim *sim, const struct sim_node *node)
{
    uint64_t journal = sim_disk_bytes(node->disk);
    if (journal > SIM_JOURNAL_QUIET_BYTES)
        sim_fail(sim, SIM_SAFETY, "node %d keeps a journal of %llu bytes", node->slot,
                 (unsigned long long)journal);
    if (mempool_count(node->mempool) > (SIM_WALLETS + 1) * SIM_WALLET_NONCES)
        sim_fail(sim, SIM_SAFETY, "node %d keeps %zu transactions", node->slot,
                 mempool_count(node->mempool));
}

void sim_oracle_end(struct sim *sim)
{
    uint64_t height = 1;
    uint64_t last = sim->finals[sim->final_count].header.view;
    for (uint64_t view = 1; view <= last && view < SIM_VIEWS_MAX; view++) {
        while (height < sim->final_count && sim->finals[height].header.view < view)
            height++;
        if (sim->certificates[view][VOTE_FINALIZE].has &&
            (sim->finals[height].header.view != view ||
             !hash_equal(&sim->finals[height].id, &sim->certificates[view][VOTE_FINALIZE].id)))
            sim_fail(sim, SIM_SAFETY, "the finalized block of view %llu is not in the chain",
                     (unsigned long long)view);
    }
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].up && !sim->nodes[i].faulty)
            check_bounds(sim, &sim->nodes[i]);
    sim_audit_end(sim);
}
