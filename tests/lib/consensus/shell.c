/* One node's shell in the harness: the turn (step, journal, sync, send), bodies, a fake executor,
 * the chain database, and the crashes at the turn's write boundaries. */
#include "tests/lib/consensus/cluster_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { SHELL_RANGE_BLOCKS = 8, SHELL_SEGMENT_RECORDS = 20 };

static const int64_t shell_epoch_ms = 1700000000000;

struct timestamp shell_wall(const struct cluster *cluster, int node)
{
    return timestamp_of(shell_epoch_ms + (int64_t)cluster->now_ms + cluster->node[node].skew_ms);
}

static bool shell_may_crash(struct cluster *cluster, int node)
{
    return cluster->now_ms < cluster->gst_ms && cluster->node[node].persona == PERSONA_HONEST &&
           cluster_chance(cluster, cluster->crash_permille);
}

/* --- journal ---------------------------------------------------------------------------------- */

static struct record *journal_new(struct node *node, enum record_kind kind, uint64_t view)
{
    if (node->journal_count == node->journal_capacity) {
        node->journal_capacity = node->journal_capacity == 0 ? 256 : node->journal_capacity * 2;
        node->journal = realloc(node->journal, node->journal_capacity * sizeof *node->journal);
        MUST(node->journal != NULL);
    }
    struct record *record = &node->journal[node->journal_count++];
    *record = (struct record){.kind = kind, .view = view, .block = -1};
    return record;
}

static struct certificate *certificate_copy(const struct certificate *certificate)
{
    if (certificate == NULL)
        return NULL;
    struct certificate *copy = malloc(sizeof *copy);
    MUST(copy != NULL);
    *copy = *certificate;
    return copy;
}

static void journal_append(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    struct node *node = &cluster->node[index];
    if (effect->kind == BFT_PERSIST_BLOCK) {
        struct record *record = journal_new(node, RECORD_BLOCK, effect->header.view);
        record->block = cluster_block_of(cluster, &effect->header);
        if (!node->body[record->block])
            cluster_fail(cluster, true, "node %d journals a block whose body it lacks", index);
        node->durable_body[record->block] = 1;
    } else if (effect->kind == BFT_PERSIST_VOTE) {
        if (node->persona == PERSONA_HONEST)
            oracle_vote(cluster, index, &effect->vote);
        if (cluster->config.lose_vote_records && cluster_chance(cluster, 500))
            return;
        journal_new(node, RECORD_VOTE, effect->vote.view)->vote = effect->vote;
    } else if (effect->kind == BFT_PERSIST_PEER_VOTE) {
        journal_new(node, RECORD_PEER_VOTE, effect->vote.view)->vote = effect->vote;
    } else if (effect->kind == BFT_PERSIST_CERTIFICATE) {
        if (node->persona == PERSONA_HONEST)
            oracle_certificate(cluster, effect->certificate);
        journal_new(node, RECORD_CERTIFICATE, effect->certificate->view)->certificate =
            certificate_copy(effect->certificate);
    } else {
        journal_new(node, RECORD_CERTIFIED, effect->view)->id = effect->block_id;
    }
}

/* Whole segments from the front whose every record is at or below the floor. */
static void journal_prune(struct node *node, uint64_t floor_view)
{
    while (node->journal_count >= SHELL_SEGMENT_RECORDS) {
        for (size_t i = 0; i < SHELL_SEGMENT_RECORDS; i++)
            if (node->journal[i].view > floor_view)
                return;
        for (size_t i = 0; i < SHELL_SEGMENT_RECORDS; i++)
            free(node->journal[i].certificate);
        node->journal_count -= SHELL_SEGMENT_RECORDS;
        memmove(node->journal, node->journal + SHELL_SEGMENT_RECORDS,
                node->journal_count * sizeof *node->journal);
    }
}

static bool journal_replay(struct cluster *cluster, struct node *node)
{
    bool good = true;
    for (size_t i = 0; i < node->journal_count && good; i++) {
        const struct record *record = &node->journal[i];
        switch (record->kind) {
        case RECORD_VOTE:
            good = bft_replay_vote(node->core, &record->vote);
            break;
        case RECORD_PEER_VOTE:
            good = bft_replay_peer_vote(node->core, &record->vote);
            break;
        case RECORD_CERTIFICATE:
            good = bft_replay_certificate(node->core, record->certificate);
            break;
        case RECORD_CERTIFIED:
            good = bft_replay_certified(node->core, record->view, &record->id);
            break;
        case RECORD_BLOCK:
            good = bft_replay_block(node->core, &cluster->blocks[record->block].header);
            break;
        }
    }
    return good;
}

/* --- answers of the shell --------------------------------------------------------------------- */

static bool shell_is_decided(const struct node *node, const struct cluster *cluster,
                             const struct hash *id)
{
    if (node->height == 0)
        return hash_equal(id, &cluster->genesis);
    return hash_equal(id, &cluster->blocks[node->chain[node->height]].id);
}

/* Above an undecided boundary block only empty blocks are valid. */
static bool shell_must_be_empty(const struct cluster *cluster, uint64_t epoch, uint64_t height)
{
    return cluster_epoch_after(cluster, height - 1) != epoch;
}

static void shell_next_set(const struct cluster *cluster, uint64_t height, struct hash *out)
{
    struct validator_set set;
    cluster_set_of(cluster, cluster_epoch_after(cluster, height), &set);
    validator_set_hash(out, &set);
}

static void shell_build(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    struct node *node = &cluster->node[index];
    int parent = cluster_block_find(cluster, &effect->block_id);
    struct timestamp wall = shell_wall(cluster, index);
    struct timestamp parent_time =
        parent < 0 ? timestamp_of(shell_epoch_ms) : cluster->blocks[parent].header.time;
    if (timestamp_compare(wall, parent_time) <= 0)
        wall = timestamp_of(timestamp_ms(parent_time) + 1);
    struct block_header header = {.version = BLOCK_HEADER_VERSION,
                                  .genesis = cluster->genesis,
                                  .epoch = cluster_epoch_of(cluster, index),
                                  .height = effect->height,
                                  .view = effect->view,
                                  .parent_view = effect->parent_view,
                                  .parent_id = effect->block_id,
                                  .time = wall};
    uint64_t salt[2] = {effect->view, (uint64_t)index};
    if (!shell_must_be_empty(cluster, header.epoch, header.height))
        hash_bytes(&header.tx_root, HASH_DOMAIN_TX_LEAF, salt, sizeof salt);
    shell_next_set(cluster, header.height, &header.next_set);
    struct hash parent_state;
    if (!cluster_parent_state(cluster, &header, &parent_state) ||
        (parent >= 0 && !node->executed[parent] &&
         !shell_is_decided(node, cluster, &effect->block_id))) {
        cluster_fail(cluster, true, "node %d builds on a block that it has not executed", index);
        return;
    }
    cluster_state_root(&header.state_root, &parent_state, &header.tx_root);
    if (cluster->config.script != NULL && script_differs(cluster, node))
        header.state_root.bytes[0] ^= 1;
    struct event event = {.kind = EVENT_BUILT,
                          .node = index,
                          .generation = node->generation,
                          .block = cluster_block_of(cluster, &header),
                          .number = cluster_chance(cluster, 20)};
    cluster_at(cluster, &event, cluster_random(cluster, 10));
}

static void shell_execute(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    struct node *node = &cluster->node[index];
    int block = cluster_block_find(cluster, &effect->block_id);
    if (block < 0 || !node->body[block]) {
        cluster_fail(cluster, true, "node %d is to execute a block whose body it lacks", index);
        return;
    }
    const struct block_header *header = &cluster->blocks[block].header;
    int parent = cluster_block_find(cluster, &header->parent_id);
    if (!shell_is_decided(node, cluster, &header->parent_id) &&
        (parent < 0 || !node->executed[parent]))
        cluster_fail(cluster, true, "node %d is to execute a block before its parent", index);
    struct event event = {
        .kind = EVENT_EXECUTED, .node = index, .generation = node->generation, .block = block};
    cluster_at(cluster, &event, 1 + cluster_random(cluster, 10));
}

static enum bft_verdict shell_verdict(struct cluster *cluster, struct node *node, int block)
{
    const struct block_header *header = &cluster->blocks[block].header;
    struct hash parent_state, expected;
    if (!cluster_parent_state(cluster, header, &parent_state))
        return BFT_VERDICT_INVALID;
    cluster_state_root(&expected, &parent_state, &header->tx_root);
    if (!hash_equal(&expected, &header->state_root) ||
        (cluster->config.script != NULL && script_differs(cluster, node)))
        return BFT_VERDICT_INVALID;
    shell_next_set(cluster, header->height, &expected);
    if (!hash_equal(&expected, &header->next_set) ||
        (shell_must_be_empty(cluster, header->epoch, header->height) &&
         !hash_is_zero(&header->tx_root)))
        return BFT_VERDICT_INVALID;
    node->executed[block] = 1;
    return BFT_VERDICT_VALID;
}

/* A boundary block comes with its proof: what a light client would check, and stragglers get. */
static void shell_keep_proof(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    struct node *node = &cluster->node[index];
    struct hash id = effect->block_id;
    uint32_t epoch = (uint32_t)effect->header.epoch;
    uint32_t count = (uint32_t)(effect->proof_headers.size / BLOCK_HEADER_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        struct block_header header;
        MUST(block_header_decode(
            &header, bytes_view_of(effect->proof_headers.data + (size_t)i * BLOCK_HEADER_SIZE,
                                   BLOCK_HEADER_SIZE)));
        if (!hash_equal(&header.parent_id, &id))
            cluster_fail(cluster, true, "node %d proves a boundary with a gap", index);
        block_header_id(&id, &header);
    }
    if (effect->certificate == NULL || !hash_equal(&effect->certificate->block_id, &id) ||
        effect->certificate->kind != VOTE_FINALIZE)
        cluster_fail(cluster, true, "node %d ends an epoch without proof", index);
    if (count > 0)
        cluster->result->proven_by_descendants++;
    free(node->proof_headers[epoch]);
    node->proof_headers[epoch] = malloc(effect->proof_headers.size + 1);
    MUST(node->proof_headers[epoch] != NULL);
    memcpy(node->proof_headers[epoch], effect->proof_headers.data, effect->proof_headers.size);
    node->proof_count[epoch] = count;
}

static void shell_decide(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    struct node *node = &cluster->node[index];
    int block = cluster_block_of(cluster, &effect->header);
    if (node->persona == PERSONA_HONEST)
        oracle_decide(cluster, index, &effect->header, &effect->block_id);
    if (cluster->result->failure[0] != '\0')
        return;
    if (!node->body[block])
        cluster_fail(cluster, true, "node %d decides a block whose body it lacks", index);
    if (effect->epoch_ends != (cluster_epoch_after(cluster, effect->height) !=
                               cluster_epoch_after(cluster, effect->height - 1)))
        cluster_fail(cluster, true, "node %d ends an epoch where none ends", index);
    else if (effect->epoch_ends)
        shell_keep_proof(cluster, index, effect);
    else if (effect->certificate != NULL &&
             (effect->certificate->kind != VOTE_FINALIZE ||
              !hash_equal(&effect->certificate->block_id, &effect->block_id)))
        cluster_fail(cluster, true, "node %d decides with a foreign certificate", index);
    node->height = effect->height;
    node->chain[node->height] = block;
    node->chain_certificate[node->height] = certificate_copy(effect->certificate);
    struct event event = {.kind = EVENT_COMMITTED,
                          .node = index,
                          .generation = node->generation,
                          .number = node->height};
    cluster_at(cluster, &event, cluster_random(cluster, 6));
}

static void shell_answer_block(struct cluster *cluster, int index, const struct wire *question)
{
    struct node *node = &cluster->node[index];
    int block = cluster_block_find(cluster, &question->id);
    if (block < 0 || !node->body[block])
        return;
    struct wire *wire = wire_new(index, MESSAGE_BLOCK);
    wire->block = block;
    wire->header = cluster->blocks[block].header;
    cluster_send(cluster, wire, question->from);
    wire_release(wire);
}

static void shell_answer_range(struct cluster *cluster, int index, const struct wire *question)
{
    struct node *node = &cluster->node[index];
    uint64_t first = question->height, last = first + SHELL_RANGE_BLOCKS - 1;
    if (first == 0 || first > node->height)
        return;
    /* [C-EPOCH.RANGE] Within one epoch. */
    uint64_t top = node->height;
    uint32_t epoch = cluster_epoch_after(cluster, first - 1);
    if (epoch + 1 < cluster->config.epoch_count && cluster->config.epochs[epoch + 1].boundary < top)
        top = cluster->config.epochs[epoch + 1].boundary;
    if (last > top)
        last = top;
    uint64_t proof = last;
    while (proof <= top && node->chain_certificate[proof] == NULL)
        proof++;
    if (proof > top) { /* no finalization above: back to the last one below */
        for (proof = last; proof >= first && node->chain_certificate[proof] == NULL; proof--)
            ;
        if (proof < first)
            return;
        last = proof;
    }
    struct wire *wire = wire_new(index, MESSAGE_RANGE);
    wire->range = calloc(1, sizeof *wire->range);
    bool ends = cluster_epoch_after(cluster, proof) != epoch;
    uint32_t behind = ends ? node->proof_count[epoch] : 0;
    wire->range_headers = malloc((proof - last + 1 + behind) * BLOCK_HEADER_SIZE);
    MUST(wire->range != NULL && wire->range_headers != NULL);
    for (uint64_t h = first; h <= last; h++)
        wire->range->blocks[wire->range->block_count++].header =
            cluster->blocks[node->chain[h]].header;
    for (uint64_t h = last + 1; h <= proof; h++)
        block_header_encode(wire->range_headers +
                                (size_t)wire->range->header_count++ * BLOCK_HEADER_SIZE,
                            &cluster->blocks[node->chain[h]].header);
    if (behind > 0)
        memcpy(wire->range_headers + (size_t)wire->range->header_count * BLOCK_HEADER_SIZE,
               node->proof_headers[epoch], (size_t)behind * BLOCK_HEADER_SIZE);
    wire->range->header_count += behind;
    wire->range->headers =
        bytes_view_of(wire->range_headers, (size_t)wire->range->header_count * BLOCK_HEADER_SIZE);
    wire->range->finalization = *node->chain_certificate[proof];
    cluster_send(cluster, wire, question->from);
    wire_release(wire);
}

/* --- effects ---------------------------------------------------------------------------------- */

static void shell_send(struct cluster *cluster, int index, struct wire *wire,
                       const struct bft_effect *effect)
{
    int to = effect->to == BFT_PEER_NONE ? effect->reply_to : effect->to;
    if (effect->to >= 0)
        to += (int)cluster->config.epochs[cluster_epoch_of(cluster, index)].first;
    bool dealt =
        cluster->node[index].persona != PERSONA_HONEST && persona_send(cluster, index, wire, to);
    if (!dealt && to >= 0)
        cluster_send(cluster, wire, to);
    for (uint32_t i = cluster->config.validators; !dealt && effect->to >= 0 && i < cluster->nodes;
         i++)
        if (cluster->node[i].key == to)
            cluster_send(cluster, wire, (int)i);
    for (uint32_t i = 0; !dealt && to == BFT_PEER_ALL && i < cluster->nodes; i++)
        cluster_send(cluster, wire, (int)i);
    wire_release(wire);
}

static enum message_type shell_type_of(enum bft_effect_kind kind)
{
    static const enum message_type types[] = {
        [BFT_SEND_PROPOSAL] = MESSAGE_PROPOSAL,
        [BFT_SEND_VOTE] = MESSAGE_VOTE,
        [BFT_SEND_CERTIFICATE] = MESSAGE_CERTIFICATE,
        [BFT_SEND_GET_CERT] = MESSAGE_GET_CERT,
        [BFT_SEND_GET_BLOCK] = MESSAGE_GET_BLOCK,
        [BFT_SEND_GET_RANGE] = MESSAGE_GET_RANGE,
        [BFT_SEND_STATUS] = MESSAGE_STATUS,
        [BFT_SEND_GET_HIGH_VOTE] = MESSAGE_GET_HIGH_VOTE,
        [BFT_SEND_HIGH_VOTE] = MESSAGE_HIGH_VOTE,
    };
    return types[kind];
}

static void shell_send_effect(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    struct wire *wire = wire_new(index, shell_type_of(effect->kind));
    wire->header = effect->header;
    wire->vote = effect->vote;
    wire->has_vote = effect->has_vote;
    wire->status = effect->status;
    wire->key = effect->key;
    wire->id = effect->block_id;
    wire->question = effect->question;
    wire->epoch = effect->epoch;
    wire->view = effect->view;
    wire->height = effect->height;
    wire->count = effect->count;
    if (effect->certificate != NULL)
        wire->certificate = *effect->certificate;
    if (effect->proposal != NULL) {
        wire->proposal = malloc(sizeof *wire->proposal);
        MUST(wire->proposal != NULL);
        *wire->proposal = *effect->proposal;
        wire->block = cluster_block_of(cluster, &effect->header);
    }
    shell_send(cluster, index, wire, effect);
}

static void shell_accuse(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    if (effect->kind == BFT_EVIDENCE) {
        cluster->result->evidence++;
        uint32_t first = cluster->config.epochs[effect->vote.epoch].first;
        if (cluster->node[first + effect->vote.signer].persona == PERSONA_HONEST)
            cluster_fail(cluster, true, "evidence against honest node %d", effect->vote.signer);
        return;
    }
    if (effect->kind == BFT_ALARM && cluster->config.script != NULL)
        return;
    if (effect->kind == BFT_ALARM)
        cluster_fail(cluster, true, "node %d alarms: %s", index, effect->text);
    else if (effect->reply_to < (int)cluster->nodes &&
             cluster->node[effect->reply_to].persona == PERSONA_HONEST)
        cluster_fail(cluster, true, "node %d strikes honest node %d: %s", index, effect->reply_to,
                     effect->text);
}

static void shell_perform(struct cluster *cluster, int index, const struct bft_effect *effect)
{
    switch (effect->kind) {
    case BFT_PERSIST_BLOCK:
    case BFT_PERSIST_VOTE:
    case BFT_PERSIST_PEER_VOTE:
    case BFT_PERSIST_CERTIFICATE:
    case BFT_PERSIST_CERTIFIED:
        cluster_fail(cluster, true, "node %d: a record behind a message", index);
        break;
    case BFT_SEND_PROPOSAL:
    case BFT_SEND_VOTE:
    case BFT_SEND_CERTIFICATE:
    case BFT_SEND_GET_CERT:
    case BFT_SEND_GET_BLOCK:
    case BFT_SEND_GET_RANGE:
    case BFT_SEND_STATUS:
    case BFT_SEND_GET_HIGH_VOTE:
    case BFT_SEND_HIGH_VOTE:
        shell_send_effect(cluster, index, effect);
        break;
    case BFT_BUILD:
        shell_build(cluster, index, effect);
        break;
    case BFT_EXECUTE:
        shell_execute(cluster, index, effect);
        break;
    case BFT_DECIDE:
        shell_decide(cluster, index, effect);
        break;
    case BFT_EVIDENCE:
    case BFT_STRIKE:
    case BFT_ALARM:
        if (cluster->node[index].persona == PERSONA_HONEST)
            shell_accuse(cluster, index, effect);
        break;
    }
}

static void shell_trace(struct cluster *cluster, int index, const struct bft_effects *effects)
{
    for (uint32_t i = 0; i < effects->count; i++) {
        const struct bft_effect *effect = &effects->items[i];
        uint64_t line[6] = {cluster->now_ms,        (uint64_t)index,
                            (uint64_t)effect->kind, (uint64_t)(int64_t)effect->to,
                            effect->view,           effect->height};
        hash_update(&cluster->trace, line, sizeof line);
        hash_update(&cluster->trace, &effect->block_id, HASH_SIZE);
        hash_update(&cluster->trace, &effect->vote.signature, SIGNATURE_SIZE);
        if (cluster->config.script != NULL)
            script_trace(cluster, index, effect);
    }
}

/* One turn. True if it wrote to the journal, so that PERSISTED has to follow. */
static bool shell_turn(struct cluster *cluster, int index, struct bft_input *input)
{
    static struct bft_effects effects;
    struct node *node = &cluster->node[index];
    input->now_ms = cluster->now_ms;
    input->wall = shell_wall(cluster, index);
    bft_step(node->core, input, &effects);
    shell_trace(cluster, index, &effects);
    uint32_t records = 0;
    while (records < effects.count && effects.items[records].kind <= BFT_PERSIST_CERTIFIED)
        records++;
    if (records > 0 && shell_may_crash(cluster, index)) { /* before the append */
        shell_stop(cluster, index);
        return false;
    }
    for (uint32_t i = 0; i < records; i++)
        journal_append(cluster, index, &effects.items[i]);
    if (records > 0 && shell_may_crash(cluster, index)) { /* durable, nothing said */
        shell_stop(cluster, index);
        return false;
    }
    for (uint32_t i = records; i < effects.count; i++) {
        shell_perform(cluster, index, &effects.items[i]);
        if (cluster->crash_permille >= 10 && cluster_chance(cluster, 200) &&
            shell_may_crash(cluster, index)) { /* between two sends */
            shell_stop(cluster, index);
            return false;
        }
    }
    return records > 0;
}

static void shell_step(struct cluster *cluster, int index, struct bft_input *input)
{
    struct node *node = &cluster->node[index];
    bool wrote = shell_turn(cluster, index, input);
    if (wrote && cluster_chance(cluster, 300)) { /* a turn of several inputs: the answer is late */
        struct event event = {
            .kind = EVENT_PERSISTED, .node = index, .generation = node->generation};
        cluster_at(cluster, &event, cluster_random(cluster, 8));
        wrote = false;
    }
    for (int i = 0; wrote && i < 1000; i++) {
        struct bft_input persisted = {.kind = BFT_INPUT_PERSISTED, .from = BFT_PEER_NONE};
        wrote = shell_turn(cluster, index, &persisted);
    }
    if (!node->up)
        return;
    uint64_t deadline = bft_deadline_ms(node->core);
    if (deadline < cluster->now_ms)
        deadline = cluster->now_ms;
    if (deadline != UINT64_MAX && (node->tick_ms <= cluster->now_ms || deadline < node->tick_ms)) {
        struct event event = {.kind = EVENT_TICK, .node = index, .generation = node->generation};
        node->tick_ms = deadline;
        cluster_at(cluster, &event, deadline - cluster->now_ms);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

void shell_stop(struct cluster *cluster, int index)
{
    struct node *node = &cluster->node[index];
    node->up = false;
    node->generation++;
    if (cluster->config.script != NULL)
        return;
    struct event event = {.kind = EVENT_RESTART, .node = index};
    cluster_at(cluster, &event, 50 + cluster_random(cluster, 1450));
}

static void journal_clear(struct node *node)
{
    for (size_t i = 0; i < node->journal_count; i++)
        free(node->journal[i].certificate);
    node->journal_count = 0;
}

static void copy_clear(struct node *node)
{
    for (size_t i = 0; i < node->copy_count; i++)
        free(node->copy[i].certificate);
    free(node->copy);
    node->copy = NULL;
    node->copy_count = 0;
}

void shell_copy(struct cluster *cluster, int index)
{
    struct node *node = &cluster->node[index];
    copy_clear(node);
    node->copy = malloc((node->journal_count + 1) * sizeof *node->copy);
    MUST(node->copy != NULL);
    for (; node->copy_count < node->journal_count; node->copy_count++) {
        struct record *record = &node->copy[node->copy_count];
        *record = node->journal[node->copy_count];
        record->certificate = certificate_copy(record->certificate);
    }
    node->copy_epoch = node->journal_epoch;
    node->copy_height = node->height;
}

void shell_restore(struct cluster *cluster, int index)
{
    struct node *node = &cluster->node[index];
    MUST(!node->up && node->copy != NULL);
    journal_clear(node);
    for (size_t i = 0; i < node->copy_count; i++) {
        struct record *record = journal_new(node, node->copy[i].kind, node->copy[i].view);
        *record = node->copy[i];
        record->certificate = certificate_copy(record->certificate);
    }
    for (; node->height > node->copy_height; node->height--) {
        free(node->chain_certificate[node->height]);
        node->chain_certificate[node->height] = NULL;
    }
    node->journal_epoch = node->copy_epoch;
}

void shell_free(struct node *node)
{
    journal_clear(node);
    free(node->journal);
    copy_clear(node);
}

void shell_start(struct cluster *cluster, int index)
{
    struct node *node = &cluster->node[index];
    struct bft_config config;
    uint32_t epoch = cluster_epoch_after(cluster, node->height);
    bool member = cluster_index_of(cluster, epoch, index) >= 0;
    cluster_config_for(&config, cluster->config.validators, member ? node->key : -1);
    cluster_set_of(cluster, epoch, &config.set);
    config.epoch = epoch;
    if (node->journal_epoch != epoch)
        journal_clear(node);
    node->journal_epoch = epoch;
    config.jitter_seed += cluster->config.seed;
    if (node->height > 0) {
        const struct cluster_block *tip = &cluster->blocks[node->chain[node->height]];
        config.final_height = node->height;
        config.final_view = tip->header.view;
        config.final_id = tip->id;
        config.final_time = tip->header.time;
    }
    MUST(bft_create(node->core, &config) != NULL);
    node->core->signing = cluster->signing;
    if (node->persona == PERSONA_HONEST)
        node->core->mutants = cluster->config.mutants;
    memcpy(node->body, node->durable_body, sizeof node->body);
    for (uint64_t h = 1; h <= node->height; h++)
        node->body[node->chain[h]] = 1;
    memset(node->executed, 0, sizeof node->executed);
    if (!journal_replay(cluster, node)) {
        cluster_fail(cluster, true, "node %d cannot replay its own journal", index);
        return;
    }
    node->up = true;
    node->tick_ms = 0;
    struct bft_input input = {.kind = BFT_INPUT_START, .from = BFT_PEER_NONE};
    shell_step(cluster, index, &input);
    for (uint32_t peer = 0; peer < cluster->nodes; peer++) {
        if ((int)peer == index || !cluster->node[peer].up)
            continue;
        struct event event = {.kind = EVENT_PEER_UP, .node = index, .number = peer};
        cluster_at(cluster, &event, 1 + cluster_random(cluster, 50));
        event = (struct event){.kind = EVENT_PEER_UP, .node = (int)peer, .number = (uint64_t)index};
        cluster_at(cluster, &event, 1 + cluster_random(cluster, 50));
    }
}

static bool input_kind_of(enum message_type type, enum bft_input_kind *kind)
{
    switch (type) {
    case MESSAGE_PROPOSAL:
        *kind = BFT_INPUT_PROPOSAL;
        return true;
    case MESSAGE_VOTE:
        *kind = BFT_INPUT_VOTE;
        return true;
    case MESSAGE_CERTIFICATE:
        *kind = BFT_INPUT_CERTIFICATE;
        return true;
    case MESSAGE_GET_CERT:
        *kind = BFT_INPUT_GET_CERT;
        return true;
    case MESSAGE_BLOCK:
        *kind = BFT_INPUT_BLOCK;
        return true;
    case MESSAGE_RANGE:
        *kind = BFT_INPUT_RANGE;
        return true;
    case MESSAGE_STATUS:
        *kind = BFT_INPUT_STATUS;
        return true;
    case MESSAGE_GET_HIGH_VOTE:
        *kind = BFT_INPUT_GET_HIGH_VOTE;
        return true;
    case MESSAGE_HIGH_VOTE:
        *kind = BFT_INPUT_HIGH_VOTE;
        return true;
    case MESSAGE_GET_BLOCK:
    case MESSAGE_GET_RANGE:
    case MESSAGE_TRANSACTIONS:
        break;
    }
    return false;
}

static void shell_deliver(struct cluster *cluster, int index, const struct wire *wire)
{
    struct node *node = &cluster->node[index];
    if (wire->oversized) /* refused by its size, before anybody looks inside */
        return;
    if (wire->block >= 0)
        node->body[wire->block] = 1;
    if (wire->type == MESSAGE_GET_BLOCK)
        shell_answer_block(cluster, index, wire);
    if (wire->type == MESSAGE_GET_RANGE)
        shell_answer_range(cluster, index, wire);
    for (uint32_t i = 0; wire->range != NULL && i < wire->range->block_count; i++)
        node->body[cluster_block_of(cluster, &wire->range->blocks[i].header)] = 1;
    struct bft_input input = {
        .from = cluster_index_of(cluster, cluster_epoch_of(cluster, index), wire->from),
        .reply_to = wire->from,
        .header = &wire->header,
        .vote = wire->type == MESSAGE_HIGH_VOTE && !wire->has_vote ? NULL : &wire->vote,
        .certificate = &wire->certificate,
        .proposal = wire->proposal,
        .range = wire->range,
        .status = &wire->status,
        .key = wire->key,
        .block_id = wire->id,
        .question = wire->question,
        .epoch = wire->epoch,
        .view = wire->view};
    if (input_kind_of(wire->type, &input.kind))
        shell_step(cluster, index, &input);
}

void shell_event(struct cluster *cluster, const struct event *event)
{
    int index = event->node;
    struct node *node = &cluster->node[index];
    bool local = event->kind == EVENT_TICK || event->kind == EVENT_EXECUTED ||
                 event->kind == EVENT_BUILT || event->kind == EVENT_COMMITTED ||
                 event->kind == EVENT_PERSISTED;
    struct bft_input input = {.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE};
    if (event->kind == EVENT_PENDING) {
        struct event again = *event;
        cluster_at(cluster, &again, 200 + cluster_random(cluster, 3000));
    }
    if (!node->up || (local && event->generation != node->generation))
        return;
    if (event->kind == EVENT_DELIVER) {
        shell_deliver(cluster, index, event->wire);
        return;
    }
    if (event->kind == EVENT_TICK && event->at_ms != node->tick_ms)
        return;
    if (event->kind == EVENT_EXECUTED) {
        input.kind = BFT_INPUT_EXECUTED;
        input.block_id = cluster->blocks[event->block].id;
        input.verdict = shell_verdict(cluster, node, event->block);
    } else if (event->kind == EVENT_BUILT) {
        input.kind = BFT_INPUT_BUILT;
        input.view = cluster->blocks[event->block].header.view;
        input.failed = event->number != 0;
        input.header = input.failed ? NULL : &cluster->blocks[event->block].header;
        node->body[event->block] = 1;
        node->executed[event->block] = 1;
    } else if (event->kind == EVENT_COMMITTED) {
        input.kind = BFT_INPUT_COMMITTED;
        input.height = event->number;
    } else if (event->kind == EVENT_PERSISTED) {
        input.kind = BFT_INPUT_PERSISTED;
    } else if (event->kind == EVENT_PEER_UP) {
        input.kind = BFT_INPUT_PEER_UP;
        input.from =
            cluster_index_of(cluster, cluster_epoch_of(cluster, index), (int)event->number);
        input.reply_to = (int)event->number;
    } else if (event->kind == EVENT_PENDING) {
        input.kind = BFT_INPUT_PENDING;
        input.pending = cluster_chance(cluster, 500);
    }
    shell_step(cluster, index, &input);
    if (event->kind == EVENT_COMMITTED && node->up) {
        struct bft_view_status status;
        bft_status(node->core, &status);
        journal_prune(node, status.floor_view);
        if (status.epoch_ended && status.committed_height == status.final_height) {
            node->generation++;
            node->up = false;
            bft_destroy(node->core);
            if (cluster->config.script != NULL)
                script_epoch(cluster, index);
            shell_start(cluster, index); /* [C-EPOCH.SWITCH] */
        }
    }
}
