/* One epoch of a node: its set, its core, its journal (consensus/bft.h, "Epochs"; C-EPOCH.SWITCH).
 *
 * At a start and after each boundary block alike, everything follows from the committed state: the
 * epoch, the set, the block to go on from. Each epoch has a journal directory of its own: "journal"
 * for epoch 0, then "journal-1" and so on, since a vote of one epoch means nothing in another.
 *
 * Invariants:
 *  1. The journal of an epoch is closed only after the store has synced the epoch's boundary block.
 *  2. A node whose key is not in the set follows the chain without a vote, and goes on doing so until
 *     a boundary brings it in. One whose role is audit never votes.
 *
 * Deliberately absent: links to new validators, which come from the configuration; and deleting old
 * journals, which are small and may be evidence. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/core_feed.h"
#include "node/restored.h"
#include "node/shell.h"

enum { JOURNAL_RETRY_MS = 250 };

void node_fill_peer_tables(struct node *node)
{
    for (int v = 0; v < LIMIT_VALIDATORS; v++)
        node->validator_peer[v] = INBOX_NO_PEER;
    for (uint32_t peer = 0; peer < P2P_PEERS_MAX; peer++) {
        int index = peer < node->config.peer_count
                        ? validator_set_index(&node->set, &node->config.peers[peer].key)
                        : -1;
        atomic_store(&node->peer_validator[peer], index < 0 ? NODE_NO_VALIDATOR : index);
        if (index >= 0)
            node->validator_peer[index] = (int)peer;
    }
    for (uint32_t v = 0; v < node->set.count; v++) {
        char key[2 * PUBLIC_KEY_SIZE + 1];
        if (node->validator_peer[v] != INBOX_NO_PEER ||
            public_key_equal(&node->set.validators[v].key, &node->key))
            continue;
        hex_encode(key, node->set.validators[v].key.bytes, PUBLIC_KEY_SIZE);
        log_line(LOG_UNUSUAL,
                 "validator %s is not among the peers of flexd.json -> no link to it; flexd join "
                 "--peer and a reload add one",
                 key);
    }
}

static bool create_core(struct node *node, char problem[NODE_PROBLEM_SIZE])
{
    const struct genesis *genesis = node->genesis;
    const struct store_tip *tip = chain_tip(node->chain);
    struct bft_config config = {.genesis = node->genesis_hash,
                                .set = node->set,
                                .epoch = node->epoch,
                                .seed = node->seed,
                                .sign = node->signer != NULL ? signer_sign_vote : NULL,
                                .sign_context = node->signer,
                                .key = node->key,
                                .observer = !node_is_validator(node),
                                .timing = {.delta_ms = genesis->delta_ms,
                                           .block_interval_ms = genesis->block_interval_ms,
                                           .max_idle_ms = genesis->max_idle_ms,
                                           .exec_budget_ms = genesis->exec_budget_ms,
                                           .timeout_cap_ms = genesis->timeout_cap_ms,
                                           .backoff_permille = genesis->backoff_permille},
                                .final_height = tip->height,
                                .final_view = tip->view,
                                .final_id = tip->block_id,
                                .final_time = tip->time};
    random_bytes(&config.jitter_seed, sizeof config.jitter_seed);
    node->core_memory = malloc(bft_size(node->set.count));
    node->core = node->core_memory != NULL ? bft_create(node->core_memory, &config) : NULL;
    secret_key_wipe(&config.seed);
    if (node->core == NULL)
        snprintf(problem, NODE_PROBLEM_SIZE, "out of memory, or the set or timing is not legal");
    return node->core != NULL;
}

/* One journal record into the core. A record that contradicts another stops the voting, not the
 * node. */
static bool replay(void *context, const struct journal_entry *entry)
{
    struct node *node = context;
    if (!core_replay(node->core, node->chain, entry))
        log_line(LOG_UNUSUAL, "journal: a record of type %d contradicts those before it",
                 (int)entry->type);
    return true;
}

/* While the journal's disk is full this node casts no votes, for none may leave before it is written;
 * the loop waits here, and what is read goes on. */
static bool wait_for_journal_room(void *context, bool full)
{
    struct node *node = context;
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = JOURNAL_RETRY_MS * 1000000L};
    if (!full) {
        atomic_store(&node->journal_full, false);
        log_line(LOG_INFO, "the journal's disk has room again -> voting goes on");
        return true;
    }
    if (!atomic_exchange(&node->journal_full, true)) {
        metric_add(&node->metrics.journal_full, 1);
        log_line(LOG_UNUSUAL,
                 "the journal's disk is full -> no votes, no transactions, trying again");
    }
    (void)nanosleep(&pause, NULL);
    return !inbox_is_stopping(&node->inbox);
}

static bool journal_path(char path[NODE_PATH_MAX], const struct node *node, uint64_t epoch)
{
    char name[40];
    if (epoch == 0)
        snprintf(name, sizeof name, "journal");
    else
        snprintf(name, sizeof name, "journal-%llu", (unsigned long long)epoch);
    return node_config_path(path, &node->config, name);
}

/* Each node, voting or not, makes the journal of an epoch before its first block there is committed. Where
 * such a block is and the journal isn't, it was lost; unless that block came with a snapshot, just now. */
static bool journal_was_lost(const struct node *node, const char *path)
{
    struct store_block last;
    struct block_header header;
    const uint64_t height = chain_tip(node->chain)->height;
    if (access(path, F_OK) == 0 || height == 0 || height < store_floor(node->store).bodies)
        return false;
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    bool inside = snapshot != NULL && store_snapshot_header(snapshot, height, &last) == STORE_OK &&
                  block_header_decode(&header, last.header) && header.epoch == node->epoch;
    if (snapshot != NULL)
        store_snapshot_end(snapshot);
    return inside;
}

/* Nobody here remembers what this key has said in this epoch, and no later start will. The note is written
 * before the new journal is made, which would else be believed. With a signer the memory is there. */
static bool check_memory(struct node *node, const char *journal, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX], wanted[32], mark[NODE_PROBLEM_SIZE];
    size_t size = 0;
    if (!node_is_validator(node) || node->signer != NULL)
        return true;
    /* A restored home has no journal and says so itself: its mark, not this note, lets it vote again. */
    if (restored_look(&node->config, chain_tip(node->chain)->time, mark) == RESTORED_WAITS)
        return true;
    if (!node_config_path(path, &node->config, "votes-lost")) {
        snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
        return false;
    }
    snprintf(wanted, sizeof wanted, "epoch %llu\n", (unsigned long long)node->epoch);
    char fault[NODE_PROBLEM_SIZE];
    char *text = node_file_read(path, sizeof wanted, &size, fault);
    /* A note that is there and can't be read is taken for this epoch's. */
    bool lost = text != NULL ? strcmp(text, wanted) == 0 : access(path, F_OK) == 0;
    free(text);
    if (!lost && journal_was_lost(node, journal)) {
        if (!node_file_write(path, wanted, strlen(wanted), 0600, problem))
            return false;
        lost = true;
    }
    if (!lost)
        return true;
    bft_refuse_to_vote(node->core, "the vote journal is missing");
    log_line(
        LOG_UNUSUAL,
        "journal: %s was lost with the votes in it -> this node follows the chain and casts no "
        "vote in this epoch; rotate the validator key (docs/operator.md)",
        journal);
    return true;
}

static bool open_journal(struct node *node, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    char fault[160] = "";
    if (!journal_path(path, node, node->epoch)) {
        snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
        return false;
    }
    /* A restored home has no journal yet, and a mark that says more than its absence. */
    if (!node->restored && !check_memory(node, path, problem))
        return false;
    struct journal_config config = {
        .directory = path, .genesis = node->genesis_hash, .epoch = node->epoch};
    enum journal_result result = journal_open(&node->journal, &config, replay, node, fault);
    if (node->journal != NULL)
        journal_on_full(node->journal, wait_for_journal_room, node);
    switch (result) {
    case JOURNAL_OK:
        return true;
    case JOURNAL_DAMAGED:
        bft_refuse_to_vote(node->core, "the vote journal is damaged");
        break;
    case JOURNAL_ROLLED_BACK:
        bft_refuse_to_vote(node->core, "the vote journal is older than votes made from it");
        break;
    case JOURNAL_MISSING:
        bft_refuse_to_vote(node->core, "the vote journal is missing");
        break;
    case JOURNAL_MISMATCH:
    case JOURNAL_FAULT:
        snprintf(problem, NODE_PROBLEM_SIZE, "%.80s: %.150s", path, fault);
        return false;
    }
    log_line(LOG_UNUSUAL,
             "journal: %s -> this node follows the chain and casts no vote in this epoch; "
             "rotate the validator key",
             fault);
    return true;
}

/* The own place in the set; an audit node has none, whatever the set says. */
static int own_place(const struct node *node)
{
    int index = validator_set_index(&node->set, &node->key);
    return index < 0 || node->config.role == NODE_AUDIT ? NODE_NO_VALIDATOR : index;
}

/* A home out of a backup has no memory of its last votes; false if the mark of that cannot be removed. */
static bool heed_restore(struct node *node, char problem[NODE_PROBLEM_SIZE])
{
    char text[NODE_PROBLEM_SIZE];
    const struct store_tip *tip = chain_tip(node->chain);
    node->restored = false;
    switch (restored_look(&node->config, tip->time, text)) {
    case RESTORED_NO:
        return true;
    case RESTORED_PASSED:
        log_line(LOG_INFO,
                 "this home was restored from a backup; block %llu was made since -> it may vote",
                 (unsigned long long)tip->height);
        return restored_forget(&node->config, problem);
    case RESTORED_WAITS:
    case RESTORED_FAULT:
        break;
    }
    node->restored = true;
    if (node_is_validator(node)) {
        log_line(LOG_UNUSUAL, "%s -> no votes", text);
        bft_refuse_to_vote(node->core, "restored from a backup: start it again a minute later");
    }
    return true;
}

bool node_epoch_open(struct node *node, char problem[NODE_PROBLEM_SIZE])
{
    MUST(node->core == NULL && node->journal == NULL);
    node->epoch = chain_next_epoch(node->chain);
    chain_next_validators(node->chain, &node->set);
    atomic_store(&node->quorum, validator_set_quorum(&node->set));
    atomic_store(&node->own_index, own_place(node));
    figures_begin_epoch(&node->figures, &node->set);
    node_fill_peer_tables(node);
    if (node->own_index == NODE_NO_VALIDATOR && node->config.role == NODE_VALIDATOR)
        log_line(
            LOG_UNUSUAL,
            "this node's key is not in the validator set of epoch %llu -> it follows the chain",
            (unsigned long long)node->epoch);
    return create_core(node, problem) && heed_restore(node, problem) && open_journal(node, problem);
}

void node_epoch_close(struct node *node)
{
    if (node->core != NULL)
        bft_destroy(node->core);
    node->core = NULL;
    free(node->core_memory);
    node->core_memory = NULL;
    if (node->journal != NULL)
        journal_close(node->journal);
    node->journal = NULL;
}
