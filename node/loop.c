/* The loop: one thread that owns core, chain, mempool and journal (architecture.md, "Threads").
 *
 *   wait until an event, a timer of the core, or a second has passed
 *   -> intake of at most INBOX_BATCH_MAX events -> tick -> settle (one sync) -> ranges -> pending? -> board
 *
 * The core's timers run on the monotonic clock. Everything that others may see of this thread's
 * work they see on the board, on the wire, or in a snapshot of the store.
 *
 * Deliberately absent: sleeping, polling, and locks around the core. */
#include "base/fatal.h"
#include "base/log.h"
#include "node/api.h"
#include "node/shell.h"
#include "node/snapshots.h"

#include <stdio.h>
#include <string.h>

enum {
    /* Journal segments are looked at for pruning when the floor has risen that far. */
    PRUNE_VIEWS = 64
};

struct loop_state {
    struct node *node;
    bool pending;         /* what the core was told last */
    bool pending_changed; /* mempool or state have changed since that was worked out */
    uint64_t housekeeping_at_ms;
    uint64_t pruned_view;
    uint64_t last_view;
    uint64_t last_height;
    bool prune_failed;
};

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void intake_all(struct loop_state *loop, struct node_event *event)
{
    struct node *node = loop->node;
    uint32_t count = 0;
    while (event != NULL) {
        MUST(++count <= INBOX_BATCH_MAX);
        struct node_event *next = event->next;
        /* One more can't make nothing of what is there; looking costs a walk over all senders. */
        if (event->kind == NODE_EVENT_TRANSACTION && !loop->pending)
            loop->pending_changed = true;
        int peer = event->peer;
        node_intake(node, event);
        if (inbox_release(&node->inbox, event))
            p2p_resume(node->p2p, (uint32_t)peer);
        event = next;
    }
    node_gossip_flush(node);
}

static void tick(struct loop_state *loop)
{
    struct node *node = loop->node;
    if (node_clock_monotonic_ms() < bft_deadline_ms(node->core))
        return;
    struct bft_input input = shell_input(BFT_INPUT_TICK);
    shell_feed(node->shell, &input);
}

/* Tells the core when proposing becomes worth while or stops being so. */
static void feed_pending(struct loop_state *loop)
{
    struct node *node = loop->node;
    if (shell_take_committed(node->shell))
        loop->pending_changed = true;
    if (shell_take_new_epoch(node->shell)) {
        loop->pending = false;
        loop->pending_changed = true;
    }
    if (!loop->pending_changed || !node_is_validator(node))
        return;
    loop->pending_changed = false;
    bool pending = !shell_store_is_full(node->shell) && node_has_pending(node);
    if (pending == loop->pending)
        return;
    loop->pending = pending;
    struct bft_input input = shell_input(BFT_INPUT_PENDING);
    input.pending = pending;
    shell_feed(node->shell, &input);
    shell_settle(node->shell);
}

static void count_links(const struct node *node, struct node_status *status)
{
    status->validators_up = node_is_validator(node) ? 1 : 0;
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
        if (!p2p_peer_is_up(node->p2p, peer))
            continue;
        status->peers_up++;
        if (node->peer_validator[peer] != NODE_NO_VALIDATOR)
            status->validators_up++;
    }
}

static void write_board(struct loop_state *loop, bool stopping)
{
    struct node *node = loop->node;
    const struct store_tip *tip = chain_tip(node->chain);
    struct bft_view_status view;
    struct node_status status;
    memset(&status, 0, sizeof status);
    memset(&view, 0, sizeof view);
    if (node->core != NULL) /* the next epoch's may have failed to start */
        bft_status(node->core, &view);
    status.height = tip->height;
    status.tip_view = tip->view;
    status.tip_id = tip->block_id;
    status.state_root = tip->state_root;
    status.block_time = tip->time;
    status.transactions = tip->transactions;
    status.view = view.view;
    status.epoch = node->epoch;
    status.validators = node->set.count;
    status.final_view = view.final_view;
    status.decided_height = view.final_height;
    chain_next_rules(node->chain, &status.rules, &status.next_rules, &status.rules_height);
    status.voting = view.voting;
    if (view.refusal != NULL)
        snprintf(status.refusal, sizeof status.refusal, "%s", view.refusal);
    else if (node->signer != NULL && node_is_validator(node) && !signer_is_up(node->signer))
        snprintf(status.refusal, sizeof status.refusal, "%s", "the signer does not answer");
    if (node->mempool != NULL) {
        status.pending_transactions = (uint32_t)mempool_count(node->mempool);
        status.pending_bytes = mempool_bytes(node->mempool);
    }
    status.journal_bytes = node->journal != NULL ? journal_bytes(node->journal) : 0;
    struct snapshot_offers offers;
    snapshots_offers(node->snapshots, &offers);
    status.snapshot_height = offers.count > 0 ? offers.offers[offers.count - 1].height : 0;
    status.first_block = store_floor(node->store).bodies;
    status.store_full = shell_store_is_full(node->shell);
    struct store_damage damage;
    store_damage(node->store, &damage);
    status.damaged_reads = damage.count;
    status.started = true;
    status.stopping = stopping;
    count_links(node, &status);
    node_board_write(&node->board, &status);
    if (status.view > loop->last_view)
        metric_add(&node->metrics.views_entered, status.view - loop->last_view);
    if (status.height > loop->last_height)
        log_line(LOG_DEBUG, "committed %llu", (unsigned long long)status.height);
    loop->last_view = status.view;
    loop->last_height = status.height;
    log_at(status.height, status.view);
}

static void housekeeping(struct loop_state *loop)
{
    struct node *node = loop->node;
    uint64_t now = node_clock_monotonic_ms();
    if (now < loop->housekeeping_at_ms)
        return;
    loop->housekeeping_at_ms = now + NODE_HOUSEKEEPING_MS;
    loop->pending_changed = true; /* transactions expire, nonces come due */
    struct bft_view_status view;
    bft_status(node->core, &view);
    /* The floor that the core names is of a block that the store has synced (shell: COMMITTED). */
    if (view.floor_view >= loop->pruned_view + PRUNE_VIEWS) {
        loop->pruned_view = view.floor_view;
        journal_prune(node->journal, view.floor_view);
    }
    api_housekeeping(node->api);
    if (!node_prune(node) || !node_strip(node)) {
        log_line(LOG_BROKEN, "the store failed while pruning -> stopping");
        loop->prune_failed = true;
    }
}

void *node_loop_main(void *context)
{
    (void)pthread_setname_np(pthread_self(), "flexd-loop");
    struct node *node = context;
    struct loop_state loop = {.node = node, .pending_changed = true};
    struct bft_input start = shell_input(BFT_INPUT_START);
    shell_feed(node->shell, &start);
    shell_feed_signer(node->shell);
    shell_settle(node->shell);
    write_board(&loop, false);
    while (!inbox_is_stopping(&node->inbox) && !shell_has_failed(node->shell) &&
           !loop.prune_failed && chain_rules_missing(node->chain) == 0) {
        uint64_t deadline = earliest(bft_deadline_ms(node->core), loop.housekeeping_at_ms);
        deadline = earliest(deadline, shell_retry_at_ms(node->shell));
        deadline = earliest(deadline, node_ranges_deadline_ms(node));
        atomic_store(&node->loop_turn_ms, node_clock_monotonic_ms());
        intake_all(&loop, inbox_take(&node->inbox, deadline));
        if (!shell_has_failed(node->shell))
            tick(&loop);
        shell_settle(node->shell);
        node_ranges_turn(node);
        feed_pending(&loop);
        write_board(&loop, false);
        if (!shell_has_failed(node->shell))
            housekeeping(&loop);
    }
    write_board(&loop, true);
    node->rules_missing = chain_rules_missing(node->chain);
    /* Stopped while it waited for room is no failure. */
    node->failed =
        (shell_has_failed(node->shell) && !atomic_load(&node->journal_full)) || loop.prune_failed;
    atomic_store(&node->loop_ended, true);
    return NULL;
}
