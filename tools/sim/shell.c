/* A turn of a simulated node: the contract at the top of consensus/bft.h, kept as the daemon's shell
 * keeps it (node/bft_shell.c: collect, sync, send, perform, in that order), with a place to die at
 * each boundary of a write.
 *
 * Not shared with the daemon's: that one is woven into threads, metrics and sockets; what the two
 * have in common is the order of six steps, which this file states again. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/core_feed.h"
#include "tools/sim/persona.h"
#include "tools/sim/sim_internal.h"

struct sim_shell *sim_shell_new(void)
{
    struct sim_shell *shell = calloc(1, sizeof *shell);
    MUST(shell != NULL);
    /* Not zeroed: a request is written whole, and the ring is far larger than what runs use. */
    shell->requests = malloc(SIM_REQUESTS_MAX * sizeof shell->requests[0]);
    shell->retry_at_ms = UINT64_MAX;
    MUST(shell->requests != NULL);
    return shell;
}

static void request_pop(struct sim_shell *shell)
{
    MUST(shell->request_count > 0);
    struct sim_request *request = &shell->requests[shell->request_head];
    free(request->certificate);
    free(request->proof_headers);
    request->certificate = NULL;
    request->proof_headers = NULL;
    shell->request_head = (shell->request_head + 1) % SIM_REQUESTS_MAX;
    shell->request_count--;
}

void sim_shell_free(struct sim_shell *shell)
{
    if (shell == NULL)
        return;
    for (uint32_t i = 0; i < shell->send_count; i++)
        sim_frame_release(shell->outbox[i].frame);
    while (shell->request_count > 0)
        request_pop(shell);
    free(shell->requests);
    free(shell);
}

struct bft_input sim_input(enum bft_input_kind kind)
{
    struct bft_input input;
    memset(&input, 0, sizeof input);
    input.kind = kind;
    input.from = BFT_PEER_NONE;
    input.reply_to = -1;
    return input;
}

struct bft_input sim_input_from(const struct sim *sim, const struct sim_node *node,
                                enum bft_input_kind kind, int slot)
{
    struct bft_input input = sim_input(kind);
    MUST(slot >= 0 && slot < (int)sim->node_count);
    int place = sim_place(sim, node->epoch, sim->nodes[slot].validator);
    if (place >= 0)
        input.from = place;
    input.reply_to = slot;
    return input;
}

/* --- what is welcome (as in node/bft_shell.c) ------------------------------------------------------ */

static void remember_asked(struct sim *sim, struct sim_node *node, const struct bft_effect *effect)
{
    struct sim_shell *shell = node->shell;
    if (effect->kind == BFT_SEND_GET_BLOCK) {
        shell->asked_blocks[shell->asked_next] = effect->block_id;
        shell->asked_next = (shell->asked_next + 1) % SIM_ASKED_MAX;
        return;
    }
    int key = effect->to >= 0 ? sim_key_at(sim, node->epoch, (uint32_t)effect->to) : -1;
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (effect->to == BFT_PEER_ALL || (effect->to >= 0 && sim->nodes[i].validator == key) ||
            (effect->to == BFT_PEER_NONE && (int)i == effect->reply_to))
            shell->asked_range[i] = effect->height;
}

bool sim_wants_block(struct sim_node *node, const struct hash *id)
{
    for (uint32_t i = 0; i < SIM_ASKED_MAX; i++) {
        if (hash_equal(&node->shell->asked_blocks[i], id)) {
            memset(&node->shell->asked_blocks[i], 0, sizeof node->shell->asked_blocks[i]);
            return true;
        }
    }
    return false;
}

bool sim_wants_range(struct sim_node *node, int slot)
{
    bool wanted = node->shell->asked_range[slot] != 0;
    node->shell->asked_range[slot] = 0;
    return wanted;
}

bool sim_wants_proposal(struct sim *sim, struct sim_node *node, int slot,
                        const struct block_header *header)
{
    const struct validator_set *set = sim_set_of(sim, node);
    int leader = sim_place(sim, node->epoch, sim->nodes[slot].validator);
    struct bft_view_status status;
    bft_status(node->core, &status);
    if (leader < 0 || !hash_equal(&header->genesis, &sim->genesis_id) ||
        header->epoch != node->epoch || header->view <= status.final_view ||
        header->view > status.view + 1 ||
        (int)validator_set_leader(set, node->epoch, header->view) != leader)
        return false;
    if (node->shell->proposals[leader].view != header->view) {
        node->shell->proposals[leader].view = header->view;
        node->shell->proposals[leader].count = 0;
    }
    return ++node->shell->proposals[leader].count <= SIM_PROPOSALS_PER_VIEW_MAX;
}

/* --- collecting ------------------------------------------------------------------------------------ */

static void collect_record(struct sim *sim, struct sim_node *node, const struct bft_effect *effect)
{
    struct bytes_view body = {NULL, 0};
    struct block_header header;
    struct hash id;
    if (effect->kind == BFT_PERSIST_BLOCK) {
        block_header_id(&id, &effect->header);
        if (!chain_body(node->chain, &id, &header, &body)) {
            sim_fail(sim, SIM_SAFETY,
                     "node %d would keep a block of view %llu that it has not seen", node->slot,
                     (unsigned long long)effect->header.view);
            return;
        }
    }
    if (sim_node_is_honest(node)) {
        if (effect->kind == BFT_PERSIST_VOTE) {
            MUST(node->shell->said_count < BFT_EFFECTS_MAX);
            node->shell->said[node->shell->said_count++] = effect->vote;
        }
        if (effect->kind == BFT_PERSIST_BLOCK)
            sim_kin_add(sim, &effect->header, &id);
        if (effect->kind == BFT_PERSIST_CERTIFICATE)
            sim_oracle_certificate(sim, effect->certificate);
    }
    node->shell->persist = true;
    sim_disk_append(sim, node, effect, body);
}

static void collect_send(struct sim *sim, struct sim_node *node, const struct bft_effect *effect)
{
    struct sim_shell *shell = node->shell;
    struct byte_writer writer;
    MUST(shell->send_count < SIM_OUTBOX_MAX);
    byte_writer_init(&writer, sim->scratch, sizeof sim->scratch);
    core_encode_send(&writer, node->chain, effect);
    MUST(!writer.failed);
    if (writer.size == 0)
        return;
    int to = effect->to >= 0 ? sim_key_at(sim, node->epoch, (uint32_t)effect->to) : effect->to;
    MUST(effect->to < 0 || to >= 0);
    shell->outbox[shell->send_count++] =
        (struct sim_send){.to = to,
                          .reply_to = effect->reply_to,
                          .frame = sim_frame_new(bytes_view_of(sim->scratch, writer.size))};
}

static void collect_request(struct sim_node *node, const struct bft_effect *effect)
{
    struct sim_shell *shell = node->shell;
    MUST(shell->request_count < SIM_REQUESTS_MAX);
    uint32_t at = (shell->request_head + shell->request_count++) % SIM_REQUESTS_MAX;
    struct sim_request *request = &shell->requests[at];
    *request = (struct sim_request){.kind = effect->kind,
                                    .header = effect->header,
                                    .block_id = effect->block_id,
                                    .view = effect->view,
                                    .parent_view = effect->parent_view};
    if (effect->kind == BFT_DECIDE && effect->certificate != NULL) {
        request->certificate = malloc(sizeof *request->certificate);
        MUST(request->certificate != NULL);
        *request->certificate = *effect->certificate;
    }
    if (effect->kind == BFT_DECIDE && effect->proof_headers.size > 0) {
        request->proof_size = effect->proof_headers.size;
        request->proof_headers = malloc(request->proof_size);
        MUST(request->proof_headers != NULL);
        memcpy(request->proof_headers, effect->proof_headers.data, request->proof_size);
    }
}

static void collect(struct sim *sim, struct sim_node *node, const struct bft_effect *effect)
{
    switch (effect->kind) {
    case BFT_PERSIST_BLOCK:
    case BFT_PERSIST_VOTE:
    case BFT_PERSIST_PEER_VOTE:
    case BFT_PERSIST_CERTIFICATE:
    case BFT_PERSIST_CERTIFIED:
        collect_record(sim, node, effect);
        break;
    case BFT_SEND_GET_BLOCK:
    case BFT_SEND_GET_RANGE:
        remember_asked(sim, node, effect);
        collect_send(sim, node, effect);
        break;
    case BFT_SEND_PROPOSAL:
    case BFT_SEND_VOTE:
    case BFT_SEND_CERTIFICATE:
    case BFT_SEND_GET_CERT:
    case BFT_SEND_STATUS:
    case BFT_SEND_GET_HIGH_VOTE:
    case BFT_SEND_HIGH_VOTE:
        collect_send(sim, node, effect);
        break;
    case BFT_BUILD:
    case BFT_EXECUTE:
    case BFT_DECIDE:
        collect_request(node, effect);
        break;
    case BFT_EVIDENCE:
        sim_oracle_evidence(sim, node, effect);
        break;
    case BFT_STRIKE:
        sim_strike(sim, node, effect->reply_to, effect->text);
        break;
    case BFT_ALARM:
        sim_oracle_alarm(sim, node, effect->text);
        break;
    }
}

void sim_feed(struct sim *sim, struct sim_node *node, struct bft_input *input)
{
    if (node->shell->send_count > SIM_OUTBOX_MAX - 2 * BFT_EFFECTS_MAX) {
        const uint64_t epoch = node->epoch;
        sim_settle(sim, node);
        if (!node->up || node->epoch != epoch)
            return; /* its indices are of the set before */
    }
    input->now_ms = sim_node_mono(sim, node);
    input->wall = sim_node_wall(sim, node);
    if (sim_mutant(sim, SIM_MUTANT_NO_CLOCK_CHECK)) {
        if (input->proposal != NULL &&
            timestamp_ms(input->proposal->header.time) > node->believed_ms)
            node->believed_ms = timestamp_ms(input->proposal->header.time);
        if (node->believed_ms > timestamp_ms(input->wall))
            input->wall = timestamp_of(node->believed_ms);
    }
    sim->effects.count = 0;
    bft_step(node->core, input, &sim->effects);
    for (uint32_t i = 0; i < sim->effects.count; i++) {
        sim_trace_effect(sim, node, &sim->effects.items[i]);
        collect(sim, node, &sim->effects.items[i]);
    }
}

/* --- sending ---------------------------------------------------------------------------------------- */

static void send_one(struct sim *sim, struct sim_node *node, const struct sim_send *send,
                     uint64_t extra_ms)
{
    if (node->persona != NULL && node->persona->send != NULL &&
        node->persona->send(sim, node, send))
        return;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        const struct sim_node *peer = &sim->nodes[i];
        bool meant = send->to == BFT_PEER_ALL || (send->to >= 0 && peer->validator == send->to) ||
                     (send->to == BFT_PEER_NONE && (int)i == send->reply_to);
        if (meant && peer != node && (peer->validator < 0 || peer->validator != node->validator))
            sim_network_send(sim, node->slot, (int)i, send->frame, extra_ms);
    }
}

/* False if the node died between two sends. */
static bool flush(struct sim *sim, struct sim_node *node)
{
    struct sim_shell *shell = node->shell;
    uint64_t extra = node->busy_until_ms > sim->now_ms ? node->busy_until_ms - sim->now_ms : 0;
    /* Until now a crash could have made them unsaid. */
    for (uint32_t i = 0; i < shell->said_count; i++)
        sim_oracle_vote(sim, node, &shell->said[i]);
    shell->said_count = 0;
    for (uint32_t i = 0; i < shell->send_count; i++) {
        send_one(sim, node, &shell->outbox[i], extra);
        sim_frame_release(shell->outbox[i].frame);
        shell->outbox[i].frame = NULL;
        if (i + 1 < shell->send_count && i < 8 && sim_node_dies(sim, node, "between two sends"))
            return false;
    }
    shell->send_count = 0;
    return true;
}

/* --- performing -------------------------------------------------------------------------------------- */

static void perform_build(struct sim *sim, struct sim_node *node, const struct sim_request *request)
{
    struct sim_shell *shell = node->shell;
    const struct mempool_limits limits = {0, 0};
    struct block_header header;
    struct bft_input input = sim_input(BFT_INPUT_BUILT);
    bool censor = (node->persona != NULL && node->persona->censors) ||
                  sim_mutant(sim, SIM_MUTANT_LEADER_IGNORES_MEMPOOL);
    struct mempool *nothing = censor ? mempool_create(&limits) : NULL;
    memset(&header, 0, sizeof header);
    sim_weather_proposes(sim, node);
    input.view = request->view;
    input.failed = shell->store_full || shell->halted ||
                   !chain_build(node->chain, censor ? nothing : node->mempool, &header, node->epoch,
                                request->view, request->parent_view, &request->block_id,
                                sim_node_wall(sim, node));
    input.header = &header;
    mempool_destroy(nothing);
    sim_feed(sim, node, &input);
}

static void perform_execute(struct sim *sim, struct sim_node *node,
                            const struct sim_request *request)
{
    struct bft_input input = sim_input(BFT_INPUT_EXECUTED);
    struct block_header header;
    struct bytes_view body;
    bool known = chain_body(node->chain, &request->block_id, &header, &body);
    input.block_id = request->block_id;
    input.view = request->view;
    input.verdict = BFT_VERDICT_VALID;
    if (known)
        input.verdict = chain_execute(node->chain, &request->block_id);
    else if (!hash_equal(&request->block_id, &chain_tip(node->chain)->block_id))
        input.verdict = BFT_VERDICT_INVALID;
    if (known && node->differs && header.height >= node->differs_from)
        input.verdict = BFT_VERDICT_INVALID;
    if (input.verdict == BFT_VERDICT_NOT_YET && sim_mutant(sim, SIM_MUTANT_HALT_EARLY))
        node->shell->out_of_rules = true;
    if (input.verdict == BFT_VERDICT_NOT_YET && sim_mutant(sim, SIM_MUTANT_JUDGE_UNKNOWN))
        input.verdict = BFT_VERDICT_INVALID;
    if (sim_mutant(sim, SIM_MUTANT_IGNORE_VERDICT))
        input.verdict = BFT_VERDICT_VALID;
    sim_feed(sim, node, &input);
}

static void commit_failed(struct sim *sim, struct sim_node *node, enum store_result result)
{
    struct sim_shell *shell = node->shell;
    if (result == STORE_FULL) {
        shell->store_full = true;
        shell->retry_at_ms = sim->now_ms + SIM_STORE_RETRY_MS;
        sim_node_at(sim, node, SIM_EVENT_SETTLE, SIM_STORE_RETRY_MS, 0);
        return;
    }
    sim_fail(sim, SIM_SAFETY, "node %d cannot commit a final block: %s", node->slot,
             store_result_text(result));
}

static void perform_decide(struct sim *sim, struct sim_node *node,
                           const struct sim_request *request)
{
    struct sim_shell *shell = node->shell;
    struct hash id;
    block_header_id(&id, &request->header);
    MUST(chain_has_body(node->chain, &id));
    bool differs = node->differs && request->header.height >= node->differs_from;
    if (differs || chain_execute(node->chain, &id) != BFT_VERDICT_VALID) {
        if (!differs)
            sim_fail(sim, SIM_SAFETY, "node %d: the final block of height %llu is not valid",
                     node->slot, (unsigned long long)request->header.height);
        bft_refuse_to_vote(node->core, "a final block executes differently on this node");
        shell->halted = true;
        return;
    }
    enum store_result result =
        request->proof_size == 0
            ? chain_commit(node->chain, &request->header, request->certificate)
            : chain_commit_boundary(node->chain, &request->header, request->certificate,
                                    bytes_view_of(request->proof_headers, request->proof_size));
    if (result != STORE_OK) {
        commit_failed(sim, node, result);
        return;
    }
    shell->store_full = false;
    shell->retry_at_ms = UINT64_MAX;
    shell->pending_changed = true;
    chain_tell_mempool(node->chain, node->mempool);
    if (sim_node_dies(sim, node, "between the commit and its announcement"))
        return;
    struct bft_input input = sim_input(BFT_INPUT_COMMITTED);
    input.height = request->header.height;
    input.block_id = id;
    shell->out_of_rules = chain_rules_missing(node->chain) != 0;
    sim_feed(sim, node, &input);
    if (!node->up)
        return;
    struct bft_view_status status;
    bft_status(node->core, &status);
    shell->epoch_over = status.epoch_ended && status.committed_height == status.final_height;
    if (!shell->persist)
        sim_disk_prune(sim, node, status.floor_view);
}

static bool refuse_waiting_build(struct sim *sim, struct sim_node *node)
{
    struct sim_shell *shell = node->shell;
    for (uint32_t i = 0; i < shell->request_count; i++) {
        struct sim_request *request =
            &shell->requests[(shell->request_head + i) % SIM_REQUESTS_MAX];
        if (request->kind == BFT_BUILD && !request->answered) {
            request->answered = true;
            perform_build(sim, node, request);
            return true;
        }
    }
    return false;
}

static bool perform_next(struct sim *sim, struct sim_node *node)
{
    struct sim_shell *shell = node->shell;
    if (shell->request_count == 0 || shell->out_of_rules)
        return false;
    if (shell->store_full && sim->now_ms < shell->retry_at_ms)
        return refuse_waiting_build(sim, node);
    struct sim_request *request = &shell->requests[shell->request_head];
    if (request->kind == BFT_BUILD && !request->answered)
        perform_build(sim, node, request);
    else if (request->kind == BFT_EXECUTE && !shell->halted)
        perform_execute(sim, node, request);
    else if (request->kind == BFT_DECIDE && !shell->halted)
        perform_decide(sim, node, request);
    if (!node->up || node->shell->store_full || sim_failed(sim))
        return false;
    request_pop(shell);
    return true;
}

/* Journal and sync; false if the node died. */
static bool write_turn(struct sim *sim, struct sim_node *node)
{
    struct sim_shell *shell = node->shell;
    if (node->sync_fails) {
        /* EIO: the process aborts, and what the disk has of the turn is anybody's guess. */
        sim_story(sim, node, "sync fails with EIO: aborts");
        sim_node_stop(sim, node, 200 + sim_below(sim, 1000));
        return false;
    }
    if (sim_node_dies(sim, node, "before the sync"))
        return false;
    if (sim_mutant(sim, SIM_MUTANT_SEND_BEFORE_SYNC)) {
        if (!flush(sim, node) || sim_node_dies(sim, node, "before the sync"))
            return false;
    }
    sim_disk_sync(sim, node);
    shell->persist = false;
    if (node->sync_ms_max > 0 && !sim->weather.healed) {
        uint64_t from = node->busy_until_ms > sim->now_ms ? node->busy_until_ms : sim->now_ms;
        node->busy_until_ms = from + sim_below(sim, node->sync_ms_max);
    }
    return !sim_node_dies(sim, node, "after the sync");
}

/* The old core has nothing more to say; what it still asked for is void. */
static void begin_epoch(struct sim *sim, struct sim_node *node)
{
    struct sim_shell *shell = node->shell;
    MUST(shell->send_count == 0 && !shell->persist);
    while (shell->request_count > 0)
        request_pop(shell);
    memset(shell->proposals, 0, sizeof shell->proposals);
    shell->epoch_over = false;
    shell->pending = false; /* the new core knows nothing of pending transactions */
    shell->pending_changed = true;
    if (sim_node_dies(sim, node, "between two epochs"))
        return;
    sim_node_switch(sim, node);
}

void sim_settle(struct sim *sim, struct sim_node *node)
{
    bool moved = true;
    while (moved && node->up && !sim_failed(sim)) {
        bool persisted = node->shell->persist;
        if (persisted && !write_turn(sim, node))
            return;
        if (!flush(sim, node))
            return;
        if (persisted) {
            struct bft_input input = sim_input(BFT_INPUT_PERSISTED);
            sim_feed(sim, node, &input);
        } else if (node->shell->epoch_over) {
            begin_epoch(sim, node);
        } else {
            moved = perform_next(sim, node);
        }
    }
    if (node->up && node->shell->out_of_rules && !sim_failed(sim))
        sim_upgrade_halt(sim, node);
}
