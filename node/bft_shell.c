/* The consensus core's shell (shell.h; consensus/bft.h; consensus.md 3, the write rule).
 *
 * Invariants:
 *  S1 nothing that the core built leaves this node before the journal records of the same turn are
 *     synced: sends wait in the outbox, requests in the queue, until journal_sync has returned;
 *  S2 effects point into the core, so each is encoded or copied before the next step;
 *  S3 requests are performed in the order in which the core made them, one at a time, each answer
 *     being fed before the next one starts;
 *  S4 while the store is full the head of the queue stays where it is, and BUILD is refused at
 * once, so that the view does not wait for this leader.
 *
 * Deliberately absent: a second thread for execution. A block's execution is shorter than the round
 * trip that it would overlap with, and one owner of the state is worth more (architecture.md). */
#include "node/shell.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api.h"
#include "node/core_feed.h"
#include "node/snapshots.h"

enum {
    /* Settled early from here on, so that one batch of inputs can't pile up sends. */
    OUTBOX_SOFT_MAX = 512,
    /* What one answer can add on top. */
    OUTBOX_MAX = OUTBOX_SOFT_MAX + 4 * BFT_EFFECTS_MAX,
    /* A decided chain may be as long as the window of views. */
    REQUESTS_MAX = LIMIT_VIEW_WINDOW + 4 * BFT_EFFECTS_MAX,
    /* Blocks that are fetched at the same time; the core asks again after a timeout. */
    ASKED_BLOCKS_MAX = 256,
    /* Two prove that a leader equivocates; one more for a repetition (consensus.md 7). */
    PROPOSALS_PER_VIEW_MAX = 3,
    /* Questions of hours to a peer that never answers must not let it answer all at once. */
    ANSWERS_DUE_MAX = 64
};

struct shell_send {
    int to; /* validator index or BFT_PEER_ALL; BFT_PEER_NONE: peer `reply_to` */
    int reply_to;
    enum p2p_class class;
    uint8_t *frame;
    size_t size;
};

struct shell_request {
    enum bft_effect_kind kind;
    struct block_header header;
    struct hash block_id;
    uint64_t view;
    uint64_t parent_view;
    uint64_t height;
    struct certificate *certificate; /* DECIDE: malloc'ed copy, or NULL */
    uint8_t *proof_headers;          /* DECIDE that ends an epoch: malloc'ed copy, or NULL */
    size_t proof_size;
    bool answered; /* a BUILD that was refused while the store was full */
};

struct shell {
    struct node *node;
    bool persist;
    uint32_t send_count;
    struct shell_send outbox[OUTBOX_MAX];
    uint32_t request_head; /* ring of REQUESTS_MAX */
    uint32_t request_count;
    struct shell_request *requests;
    bool store_full;
    uint64_t retry_at_ms;
    /* What was asked for lately: answers to nothing are not let into the body cache. */
    struct hash asked_blocks[ASKED_BLOCKS_MAX];
    uint32_t asked_next;
    uint32_t answers_due[P2P_PEERS_MAX]; /* BLOCK and RANGE that each peer may still send */
    /* By view: a leader that alternates between two of its views gains nothing. */
    struct proposals_seen {
        uint64_t epoch;
        uint64_t view;
        uint32_t count;
    } proposals[LIMIT_VIEW_WINDOW];
    bool committed;
    bool epoch_over; /* the boundary block is committed: the next epoch may begin */
    bool epoch_new;  /* since the loop last asked */
    bool halted;     /* a final block contradicted us: no more execution, no more commits */
    bool failed;
    struct bft_effects effects;
    uint8_t scratch[LIMIT_FRAME_BYTES];
};

struct shell *shell_create(struct node *node)
{
    struct shell *shell = calloc(1, sizeof *shell);
    if (shell == NULL)
        return NULL;
    shell->node = node;
    shell->requests = calloc(REQUESTS_MAX, sizeof shell->requests[0]);
    shell->retry_at_ms = UINT64_MAX;
    if (shell->requests == NULL) {
        free(shell);
        return NULL;
    }
    return shell;
}

static struct shell_request *request_front(struct shell *shell)
{
    return &shell->requests[shell->request_head];
}

static void request_pop(struct shell *shell)
{
    MUST(shell->request_count > 0);
    free(request_front(shell)->certificate);
    request_front(shell)->certificate = NULL;
    free(request_front(shell)->proof_headers);
    request_front(shell)->proof_headers = NULL;
    shell->request_head = (shell->request_head + 1) % REQUESTS_MAX;
    shell->request_count--;
}

void shell_destroy(struct shell *shell)
{
    for (uint32_t i = 0; i < shell->send_count; i++)
        free(shell->outbox[i].frame);
    while (shell->request_count > 0)
        request_pop(shell);
    free(shell->requests);
    free(shell);
}

struct bft_input shell_input(enum bft_input_kind kind)
{
    struct bft_input input;
    memset(&input, 0, sizeof input);
    input.kind = kind;
    input.from = BFT_PEER_NONE;
    input.reply_to = INBOX_NO_PEER;
    return input;
}

struct bft_input shell_input_from(const struct node *node, enum bft_input_kind kind, int peer)
{
    struct bft_input input = shell_input(kind);
    MUST(peer >= 0 && peer < P2P_PEERS_MAX);
    if (node->peer_validator[peer] != NODE_NO_VALIDATOR)
        input.from = node->peer_validator[peer];
    input.reply_to = peer;
    return input;
}

void node_send(struct node *node, uint32_t peer, enum p2p_class class, struct bytes_view frame)
{
    bool sent = p2p_send(node->p2p, peer, class, frame);
    metric_add_frame(&node->metrics, sent, frame.size);
}

/* --- collecting effects ------------------------------------------------------------------- */

static void journal_effect(struct shell *shell, const struct bft_effect *effect)
{
    struct journal *journal = shell->node->journal;
    struct block_header header;
    struct bytes_view body;
    struct hash id;
    shell->persist = true;
    if (effect->kind == BFT_PERSIST_BLOCK) {
        block_header_id(&id, &effect->header);
        MUST(chain_body(shell->node->chain, &id, &header, &body));
        journal_append_block(journal, &effect->header, body);
    } else if (effect->kind == BFT_PERSIST_VOTE) {
        journal_append_vote(journal, &effect->vote);
        figures_vote(&shell->node->figures, effect->vote.signer, effect->vote.view);
        if (effect->vote.kind == VOTE_NULLIFY)
            metric_add(&shell->node->metrics.views_nullified, 1);
    } else if (effect->kind == BFT_PERSIST_PEER_VOTE) {
        journal_append_peer_vote(journal, &effect->vote);
    } else if (effect->kind == BFT_PERSIST_CERTIFICATE) {
        journal_append_certificate(journal, effect->certificate);
    } else {
        MUST(effect->kind == BFT_PERSIST_CERTIFIED);
        journal_append_certified(journal, effect->view, &effect->block_id);
    }
}

/* Encodes a SEND effect and says in which class it travels. */
static enum p2p_class encode_send(struct shell *shell, struct byte_writer *writer,
                                  const struct bft_effect *effect)
{
    core_encode_send(writer, shell->node->chain, effect);
    if (effect->kind == BFT_SEND_VOTE)
        metric_add(&shell->node->metrics.votes_sent, 1);
    if (effect->kind != BFT_SEND_PROPOSAL)
        return P2P_VOTE;
    if (writer->size == 0)
        log_line(LOG_UNUSUAL, "own proposal of view %llu has no body here -> not sent",
                 (unsigned long long)effect->proposal->header.view);
    return P2P_BLOCK;
}

static void queue_send(struct shell *shell, const struct bft_effect *effect)
{
    struct byte_writer writer;
    MUST(shell->send_count < OUTBOX_MAX);
    byte_writer_init(&writer, shell->scratch, sizeof shell->scratch);
    enum p2p_class class = encode_send(shell, &writer, effect);
    MUST(!writer.failed);
    if (writer.size == 0)
        return;
    struct shell_send *send = &shell->outbox[shell->send_count];
    send->frame = malloc(writer.size);
    if (send->frame == NULL)
        fatal_environment("out of memory for a frame");
    memcpy(send->frame, shell->scratch, writer.size);
    send->size = writer.size;
    send->to = effect->to;
    send->reply_to = effect->reply_to;
    send->class = class;
    shell->send_count++;
}

void shell_expect_answer(struct shell *shell, uint32_t peer)
{
    MUST(peer < P2P_PEERS_MAX);
    if (shell->answers_due[peer] < ANSWERS_DUE_MAX)
        shell->answers_due[peer]++;
}

static void remember_asked(struct shell *shell, const struct bft_effect *effect)
{
    const struct node *node = shell->node;
    shell->asked_blocks[shell->asked_next] = effect->block_id;
    shell->asked_next = (shell->asked_next + 1) % ASKED_BLOCKS_MAX;
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
        if (effect->to == BFT_PEER_ALL ||
            (effect->to >= 0 && node->peer_validator[peer] == effect->to) ||
            (effect->to == BFT_PEER_NONE && (int)peer == effect->reply_to))
            shell_expect_answer(shell, peer);
    }
}

bool shell_takes_answer(struct shell *shell, int peer)
{
    MUST(peer >= 0 && peer < P2P_PEERS_MAX);
    if (shell->answers_due[peer] == 0)
        return false;
    shell->answers_due[peer]--;
    return true;
}

bool shell_wants_block(struct shell *shell, const struct hash *id)
{
    for (uint32_t i = 0; i < ASKED_BLOCKS_MAX; i++) {
        if (hash_equal(&shell->asked_blocks[i], id)) {
            memset(&shell->asked_blocks[i], 0, sizeof shell->asked_blocks[i]);
            return true;
        }
    }
    return false;
}

bool shell_wants_proposal(struct shell *shell, int peer, const struct block_header *header)
{
    const struct node *node = shell->node;
    int leader = node->peer_validator[peer];
    struct bft_view_status status;
    bft_status(node->core, &status);
    if (leader == NODE_NO_VALIDATOR || !hash_equal(&header->genesis, &node->genesis_hash) ||
        header->epoch != node->epoch || header->view <= status.final_view ||
        header->view > status.view + 1 ||
        (int)validator_set_leader(&node->set, node->epoch, header->view) != leader)
        return false;
    struct proposals_seen *seen = &shell->proposals[header->view % LIMIT_VIEW_WINDOW];
    if (seen->epoch != header->epoch || seen->view != header->view) {
        seen->epoch = header->epoch;
        seen->view = header->view;
        seen->count = 0;
    }
    seen->count++;
    return seen->count <= PROPOSALS_PER_VIEW_MAX;
}

static void queue_request(struct shell *shell, const struct bft_effect *effect)
{
    MUST(shell->request_count < REQUESTS_MAX);
    uint32_t at = (shell->request_head + shell->request_count) % REQUESTS_MAX;
    struct shell_request *request = &shell->requests[at];
    memset(request, 0, sizeof *request);
    request->kind = effect->kind;
    request->header = effect->header;
    request->block_id = effect->block_id;
    request->view = effect->view;
    request->parent_view = effect->parent_view;
    request->height = effect->height;
    if (effect->kind == BFT_DECIDE && effect->certificate != NULL) {
        request->certificate = malloc(sizeof *request->certificate);
        if (request->certificate == NULL)
            fatal_environment("out of memory for a certificate");
        *request->certificate = *effect->certificate;
    }
    if (effect->proof_headers.size > 0) {
        request->proof_headers = malloc(effect->proof_headers.size);
        if (request->proof_headers == NULL)
            fatal_environment("out of memory for headers");
        memcpy(request->proof_headers, effect->proof_headers.data, effect->proof_headers.size);
        request->proof_size = effect->proof_headers.size;
    }
    shell->request_count++;
}

static void report_evidence(struct shell *shell, const struct bft_effect *effect)
{
    char key[2 * PUBLIC_KEY_SIZE + 1] = "?";
    if (effect->vote.signer < shell->node->set.count)
        hex_encode(key, shell->node->set.validators[effect->vote.signer].key.bytes,
                   PUBLIC_KEY_SIZE);
    metric_add(&shell->node->metrics.evidence, 1);
    node_evidence_add(&shell->node->evidence, &shell->node->set, &effect->vote, &effect->vote2);
    log_line(LOG_UNUSUAL, "evidence: validator %s signed kinds %u and %u in view %llu", key,
             effect->vote.kind, effect->vote2.kind, (unsigned long long)effect->vote.view);
}

static void strike_validator(struct shell *shell, const struct bft_effect *effect)
{
    struct node *node = shell->node;
    int peer = effect->reply_to;
    if (effect->to >= 0 && effect->to < (int)node->set.count)
        peer = node->validator_peer[effect->to];
    metric_add(&node->metrics.strikes, 1);
    if (peer >= 0 && peer < (int)node->config.peer_count)
        p2p_strike(node->p2p, (uint32_t)peer,
                   effect->text != NULL ? effect->text : "sent what no honest peer sends");
}

static void collect(struct shell *shell, const struct bft_effect *effect)
{
    switch (effect->kind) {
    case BFT_PERSIST_BLOCK:
    case BFT_PERSIST_VOTE:
    case BFT_PERSIST_PEER_VOTE:
    case BFT_PERSIST_CERTIFICATE:
    case BFT_PERSIST_CERTIFIED:
        journal_effect(shell, effect);
        break;
    case BFT_SEND_PROPOSAL:
    case BFT_SEND_VOTE:
    case BFT_SEND_CERTIFICATE:
    case BFT_SEND_GET_CERT:
    case BFT_SEND_STATUS:
    case BFT_SEND_GET_HIGH_VOTE:
    case BFT_SEND_HIGH_VOTE:
        queue_send(shell, effect);
        break;
    case BFT_SEND_GET_BLOCK:
        remember_asked(shell, effect);
        queue_send(shell, effect);
        break;
    case BFT_SEND_GET_RANGE:
        node_ranges_want(shell->node, effect);
        break;
    case BFT_BUILD:
    case BFT_EXECUTE:
    case BFT_DECIDE:
        queue_request(shell, effect);
        break;
    case BFT_EVIDENCE:
        report_evidence(shell, effect);
        break;
    case BFT_STRIKE:
        strike_validator(shell, effect);
        break;
    case BFT_ALARM:
        metric_add(&shell->node->metrics.alarms, 1);
        log_line(LOG_BROKEN, "alarm: %s -> voting has stopped; an operator must act",
                 effect->text != NULL ? effect->text : "no reason given");
        break;
    }
}

void shell_feed(struct shell *shell, struct bft_input *input)
{
    if (shell->send_count > OUTBOX_SOFT_MAX) {
        const uint64_t epoch = shell->node->epoch;
        shell_settle(shell);
        if (shell->node->epoch != epoch)
            return; /* its indices are of the set before; what it said is void or comes again */
    }
    if (shell->failed)
        return; /* there may be no core any more */
    input->now_ms = node_clock_monotonic_ms();
    input->wall = node_clock_wall(&shell->node->clock);
    shell->effects.count = 0;
    bft_step(shell->node->core, input, &shell->effects);
    MUST(shell->effects.count <= BFT_EFFECTS_MAX);
    for (uint32_t i = 0; i < shell->effects.count; i++)
        collect(shell, &shell->effects.items[i]);
}

void shell_feed_signer(struct shell *shell)
{
    struct node *node = shell->node;
    if (node->signer == NULL)
        return;
    struct bft_input input = shell_input(BFT_INPUT_SIGNER);
    input.available = signer_is_up(node->signer);
    shell_feed(shell, &input);
}

/* --- performing --------------------------------------------------------------------------- */

static void flush_outbox(struct shell *shell)
{
    struct node *node = shell->node;
    for (uint32_t i = 0; i < shell->send_count; i++) {
        struct shell_send *send = &shell->outbox[i];
        struct bytes_view frame = bytes_view_of(send->frame, send->size);
        if (send->to == BFT_PEER_ALL) {
            for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
                if (p2p_peer_is_up(node->p2p, peer))
                    node_send(node, peer, send->class, frame);
            }
        } else {
            int peer = send->to >= 0 && send->to < (int)node->set.count
                           ? node->validator_peer[send->to]
                           : send->reply_to;
            if (peer >= 0 && peer < (int)node->config.peer_count)
                node_send(node, (uint32_t)peer, send->class, frame);
        }
        free(send->frame);
        send->frame = NULL;
    }
    shell->send_count = 0;
}

static void perform_build(struct shell *shell, const struct shell_request *request)
{
    struct node *node = shell->node;
    struct block_header header;
    struct bft_input input = shell_input(BFT_INPUT_BUILT);
    memset(&header, 0, sizeof header);
    input.view = request->view;
    input.failed =
        shell->store_full || shell->halted ||
        !chain_build(node->chain, node->mempool, &header, node->epoch, request->view,
                     request->parent_view, &request->block_id, node_clock_wall(&node->clock));
    input.header = &header;
    if (!input.failed)
        metric_add(&node->metrics.blocks_built, 1);
    shell_feed(shell, &input);
}

static uint64_t now_us(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void perform_execute(struct shell *shell, const struct shell_request *request)
{
    struct bft_input input = shell_input(BFT_INPUT_EXECUTED);
    input.block_id = request->block_id;
    input.view = request->view;
    /* A commit may have made the block obsolete since it was asked for: then it stands beside the
     * final chain, and whatever it says is void. */
    struct chain *chain = shell->node->chain;
    bool known = chain_has_body(chain, &request->block_id) ||
                 hash_equal(&request->block_id, &chain_tip(chain)->block_id);
    const uint64_t begun = now_us();
    input.verdict = known ? chain_execute(chain, &request->block_id) : BFT_VERDICT_INVALID;
    if (known)
        figures_processing(&shell->node->figures, now_us() - begun);
    shell_feed(shell, &input);
}

/* A finalized block that our own execution contradicts: at least f+1 honest validators differ from
 * us (R5). This node's state can't be trusted to grow any further; what it has stays readable. */
static void halt_on_contradiction(struct shell *shell, const struct shell_request *request)
{
    log_line(LOG_BROKEN, "block %llu is final but executes differently here -> halted, reads go on",
             (unsigned long long)request->header.height);
    metric_add(&shell->node->metrics.alarms, 1);
    bft_refuse_to_vote(shell->node->core, "a final block executes differently on this node");
    shell->halted = true;
}

/* What a failed commit means for the node: wait for room, or stop. */
static void commit_failed(struct shell *shell, uint64_t height, enum store_result result)
{
    if (result == STORE_FULL) {
        if (!shell->store_full)
            log_line(LOG_UNUSUAL, "store full -> no transactions are taken; trying again");
        metric_add(&shell->node->metrics.store_full, 1);
        shell->store_full = true;
        shell->retry_at_ms = node_clock_monotonic_ms() + NODE_STORE_RETRY_MS;
        return;
    }
    log_line(LOG_BROKEN, "commit of block %llu: %s -> stopping", (unsigned long long)height,
             store_result_text(result));
    shell->failed = true;
}

static void commit_done(struct shell *shell, const struct shell_request *request,
                        const struct hash *id)
{
    struct node *node = shell->node;
    const struct store_block *block = chain_last_commit(node->chain);
    if (shell->store_full)
        log_line(LOG_INFO, "store takes blocks again");
    shell->store_full = false;
    shell->retry_at_ms = UINT64_MAX;
    shell->committed = true;
    if (block != NULL && block->height == request->header.height) {
        metric_add(&node->metrics.transactions_committed, block->tx_count);
        metric_add(&node->metrics.blocks_committed, 1);
        const struct figures_block figures = {.view = request->header.view,
                                              .parent_view = request->header.parent_view,
                                              .time = request->header.time,
                                              .now = node_clock_wall(&node->clock),
                                              .body_size = block->body.size,
                                              .transactions = block->tx_count};
        figures_block(&node->figures, &figures);
    }
    if (node->mempool != NULL)
        chain_tell_mempool(node->chain, node->mempool);
    snapshots_committed(node->snapshots);
    api_block_committed(node->api, request->header.height);
    struct bft_input input = shell_input(BFT_INPUT_COMMITTED);
    input.height = request->header.height;
    input.block_id = *id;
    shell_feed(shell, &input);
    struct bft_view_status status;
    bft_status(node->core, &status);
    shell->epoch_over =
        status.epoch_ended && status.committed_height == status.final_height && !shell->failed;
}

static void perform_decide(struct shell *shell, const struct shell_request *request)
{
    struct node *node = shell->node;
    struct hash id;
    block_header_id(&id, &request->header);
    MUST(chain_has_body(node->chain, &id)); /* kept until it is decided (consensus/bft.h) */
    const enum bft_verdict verdict = chain_execute(node->chain, &id);
    /* Nothing is decided above a commit that ended this program's rules (perform_next). */
    MUST(verdict != BFT_VERDICT_NOT_YET);
    if (verdict != BFT_VERDICT_VALID) {
        halt_on_contradiction(shell, request);
        return;
    }
    enum store_result result =
        request->proof_size == 0
            ? chain_commit(node->chain, &request->header, request->certificate)
            : chain_commit_boundary(node->chain, &request->header, request->certificate,
                                    bytes_view_of(request->proof_headers, request->proof_size));
    if (result == STORE_OK)
        commit_done(shell, request, &id);
    else
        commit_failed(shell, request->header.height, result);
}

/* While the queue waits for the store, the views go on without this node's proposals. */
static bool refuse_waiting_build(struct shell *shell)
{
    for (uint32_t i = 0; i < shell->request_count; i++) {
        struct shell_request *request = &shell->requests[(shell->request_head + i) % REQUESTS_MAX];
        if (request->kind == BFT_BUILD && !request->answered) {
            request->answered = true;
            perform_build(shell, request);
            return true;
        }
    }
    return false;
}

static void perform_timed(struct shell *shell, const struct shell_request *request)
{
    struct node_stages *stages = &shell->node->metrics.stages;
    const uint64_t from_ns = stage_now_ns();
    if (request->kind == BFT_BUILD && !request->answered) {
        perform_build(shell, request);
        stage_add(stages, STAGE_PROPOSE, from_ns);
    } else if (request->kind == BFT_EXECUTE && !shell->halted) {
        perform_execute(shell, request);
        stage_add(stages, STAGE_EXECUTE, from_ns);
    } else if (request->kind == BFT_DECIDE && !shell->halted) {
        perform_decide(shell, request);
        stage_add(stages, STAGE_COMMIT, from_ns);
    }
}

/* Performs the oldest request. False if there is none or it has to wait. */
static bool perform_next(struct shell *shell)
{
    if (shell->request_count == 0 || chain_rules_missing(shell->node->chain) != 0)
        return false;
    if (shell->store_full && node_clock_monotonic_ms() < shell->retry_at_ms)
        return refuse_waiting_build(shell);
    /* Answers queue more behind it; the slot itself stays ours until it is popped. */
    struct shell_request *request = request_front(shell);
    perform_timed(shell, request);
    if (shell->store_full || shell->failed)
        return false;
    request_pop(shell);
    return true;
}

/* [C-EPOCH.SWITCH] The old core has nothing more to say; what it still asked for is void. */
static void begin_epoch(struct shell *shell)
{
    struct node *node = shell->node;
    char problem[NODE_PROBLEM_SIZE];
    MUST(shell->send_count == 0 && !shell->persist);
    while (shell->request_count > 0)
        request_pop(shell);
    memset(shell->proposals, 0, sizeof shell->proposals);
    node_ranges_forget(node);
    shell->epoch_over = false;
    shell->epoch_new = true;
    node_epoch_close(node);
    if (!node_epoch_open(node, problem)) {
        log_line(LOG_BROKEN, "epoch %llu: %s -> stopping", (unsigned long long)node->epoch,
                 problem);
        shell->failed = true;
        return;
    }
    log_line(LOG_INFO, "epoch %llu begins above block %llu with %u validators -> this node %s",
             (unsigned long long)node->epoch, (unsigned long long)chain_tip(node->chain)->height,
             node->set.count, node_is_validator(node) ? "is one of them" : "follows");
    struct bft_input start = shell_input(BFT_INPUT_START);
    shell_feed(shell, &start);
    shell_feed_signer(shell);
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
        if (!p2p_peer_is_up(node->p2p, peer))
            continue;
        struct bft_input up = shell_input_from(node, BFT_INPUT_PEER_UP, (int)peer);
        shell_feed(shell, &up);
    }
}

void shell_settle(struct shell *shell)
{
    bool moved = true;
    while (moved && !shell->failed) {
        bool persisted = shell->persist;
        if (persisted) {
            const uint64_t from_ns = stage_now_ns();
            shell->persist = false;
            if (!journal_sync(shell->node->journal)) {
                shell->failed = true; /* stopped while it waited for room: nothing was sent */
                return;
            }
            stage_add(&shell->node->metrics.stages, STAGE_JOURNAL, from_ns);
            metric_add(&shell->node->metrics.journal_syncs, 1);
        }
        flush_outbox(shell);
        if (persisted) {
            struct bft_input input = shell_input(BFT_INPUT_PERSISTED);
            shell_feed(shell, &input);
        } else if (shell->epoch_over) {
            begin_epoch(shell);
        } else {
            moved = perform_next(shell);
        }
    }
}

bool shell_store_is_full(const struct shell *shell)
{
    return shell->store_full;
}

uint64_t shell_retry_at_ms(const struct shell *shell)
{
    return shell->retry_at_ms;
}

bool shell_take_committed(struct shell *shell)
{
    bool committed = shell->committed;
    shell->committed = false;
    return committed;
}

bool shell_take_new_epoch(struct shell *shell)
{
    bool is_new = shell->epoch_new;
    shell->epoch_new = false;
    return is_new;
}

bool shell_has_failed(const struct shell *shell)
{
    return shell->failed;
}
