/* What the node says of itself: /v1/status, /health, /ready, /metrics, /v1/genesis.
 *
 * All but the genesis come from the loop's board and the counters; none touches the store, so they
 * answer while it is busy, and none needs a signature.
 *
 * Deliberately absent: labels with peers' names, which would tell whoever scrapes who is whom. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "contracts/rules.h"
#include "node/api_internal.h"
#include "node/version.h"

static void read_board(struct node *node, struct node_status *status)
{
    node_board_read(&node->board, status);
    status->journal_full = atomic_load(&node->journal_full);
    if (status->journal_full)
        status->voting = false;
}

void api_read_status(const struct api_request *request, struct api_reply *reply)
{
    struct node *node = request->node;
    struct node_status status;
    char text[NAME_SIZE + 1];
    read_board(node, &status);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "chain", name_to_text(text, &node->genesis->chain));
    api_add_hash(root, "genesis", &node->genesis_hash);
    cJSON_AddStringToObject(root, "role", node_role_name(node->config.role));
    cJSON_AddStringToObject(root, "name", node_config_name(text, &node->config));
    api_add_hex(root, "key", node->key.bytes, PUBLIC_KEY_SIZE);
    json_add_u64(root, "height", status.height);
    json_add_u64(root, "epoch", status.epoch);
    cJSON_AddNumberToObject(root, "validators", status.validators);
    json_add_u64(root, "view", status.view);
    json_add_u64(root, "final_view", status.final_view);
    api_add_hash(root, "block_id", &status.tip_id);
    api_add_hash(root, "state_root", &status.state_root);
    json_add_i64(root, "time_ms", timestamp_ms(node_clock_wall(&node->clock)));
    json_add_i64(root, "block_time_ms", timestamp_ms(status.block_time));
    cJSON_AddNumberToObject(root, "peers", status.peers_up);
    cJSON_AddNumberToObject(root, "pending_transactions", status.pending_transactions);
    json_add_u64(root, "transactions", status.transactions);
    json_add_u64(root, "first_block", status.first_block);
    json_add_u64(root, "snapshot_height", status.snapshot_height);
    cJSON_AddNumberToObject(root, "rules", status.rules);
    if (status.next_rules != 0) {
        cJSON_AddNumberToObject(root, "next_rules", status.next_rules);
        json_add_u64(root, "rules_height", status.rules_height);
    }
    cJSON_AddBoolToObject(root, "voting", status.voting);
    if (status.refusal[0] != '\0')
        cJSON_AddStringToObject(root, "refusal", status.refusal);
    cJSON_AddBoolToObject(root, "syncing", status.final_view > status.tip_view);
    cJSON_AddStringToObject(root, "version", FLEX_VERSION);
    api_reply_json(reply, MHD_HTTP_OK, root);
}

void api_read_evidence(const struct api_request *request, struct api_reply *reply)
{
    struct governance_evidence held[NODE_EVIDENCE_MAX];
    uint32_t count = node_evidence_read(&request->node->evidence, held);
    cJSON *root = cJSON_CreateObject();
    cJSON *items = cJSON_AddArrayToObject(root, "items");
    for (uint32_t i = 0; i < count; i++)
        (void)api_add_item(items,
                           codec_to_json(action_codec(ACTION_GOVERNANCE_EVIDENCE), &held[i]));
    api_reply_json(reply, MHD_HTTP_OK, root);
}

void api_read_health(const struct api_request *request, struct api_reply *reply)
{
    (void)request;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddBoolToObject(root, "alive", true);
    api_reply_json(reply, MHD_HTTP_OK, root);
}

void api_read_ready(const struct api_request *request, struct api_reply *reply)
{
    struct node *node = request->node;
    struct node_status status;
    read_board(node, &status);
    const char *reason = node_status_unready(&status, node_is_validator(node), node->quorum);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddBoolToObject(root, "ready", reason == NULL);
    if (reason != NULL)
        cJSON_AddStringToObject(root, "reason", reason);
    json_add_u64(root, "height", status.height);
    api_reply_json(reply, reason == NULL ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, root);
}

void api_read_genesis(const struct api_request *request, struct api_reply *reply)
{
    const struct node *node = request->node;
    char *copy = api_allocate(node->genesis_text_size + 1);
    if (copy == NULL) {
        api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "out_of_memory", "try again");
        return;
    }
    memcpy(copy, node->genesis_text, node->genesis_text_size);
    api_reply_bytes(reply, "application/json", copy, node->genesis_text_size);
}

struct metric_line {
    const char *name;
    const char *type;
    const char *help;
    uint64_t value;
};

enum {
    METRIC_LINES_MAX = 128,
    METRIC_LINE_BYTES = 320,
    SYNC_RANGES_TEXT_BYTES = 256 + 64 * P2P_PEERS_MAX
};

static size_t gauges(struct metric_line *lines, const struct api_request *request)
{
    struct node *node = request->node;
    struct node_status status;
    read_board(node, &status);
    bool ready = node_status_unready(&status, node_is_validator(node), node->quorum) == NULL;
    const struct metric_line values[] = {
        {"height", "gauge", "Height of the last committed block", status.height},
        {"view", "gauge", "View that consensus is in", status.view},
        {"final_view", "gauge", "View of the highest finalization known", status.final_view},
        {"transactions_total", "counter", "Transactions committed since genesis",
         status.transactions},
        {"peers_up", "gauge", "Links that are up", status.peers_up},
        {"validators_up", "gauge", "Validators linked, itself included", status.validators_up},
        {"pending_transactions", "gauge", "Transactions in the mempool",
         status.pending_transactions},
        {"pending_bytes", "gauge", "Bytes of transactions in the mempool", status.pending_bytes},
        {"journal_bytes", "gauge", "Bytes of the vote journal", status.journal_bytes},
        {"voting", "gauge", "1 if this node votes", status.voting},
        {"ready", "gauge", "1 if /ready is 200", ready},
        {"store_full", "gauge", "1 while no block can be committed for want of room",
         status.store_full},
        {"journal_full", "gauge", "1 while no vote can be written for want of room",
         status.journal_full},
        {"store_damaged_reads", "counter", "Reads of the database that found a record damaged",
         status.damaged_reads},
        {"first_block", "gauge", "Height of the first block whose body is here",
         status.first_block},
        {"snapshot_height", "gauge", "Height of the newest snapshot; 0: none",
         status.snapshot_height},
        {"rules", "gauge", "Version of the ledger's rules that the next block is under",
         status.rules},
        {"rules_next", "gauge", "Version that is voted in for a later height; 0: none",
         status.next_rules},
        {"rules_next_height", "gauge", "Height from which it holds", status.rules_height},
        {"rules_known", "gauge", "Newest version that this program has", ledger_rules_count},
        {"signer_up", "gauge", "1 if the signer answers, or the key needs none",
         node->signer == NULL || signer_is_up(node->signer)},
        {"http_streams", "gauge", "Event streams that are open",
         api_streams_count(request->api->streams)},
        {"log_broken_lines", "counter", "Log lines of level broken", log_broken_count()},
    };
    _Static_assert(sizeof values / sizeof values[0] <= METRIC_LINES_MAX / 2, "room for all");
    memcpy(lines, values, sizeof values);
    return sizeof values / sizeof values[0];
}

static size_t counters(struct metric_line *lines, const struct node_metrics *m)
{
    const struct metric_line values[] = {
        {"blocks_committed", "counter", "Blocks committed by this process",
         metric_read(&m->blocks_committed)},
        {"blocks_built", "counter", "Blocks proposed by this process",
         metric_read(&m->blocks_built)},
        {"transactions_committed", "counter", "Transactions committed by this process",
         metric_read(&m->transactions_committed)},
        {"transactions_received", "counter", "Transactions from peers",
         metric_read(&m->transactions_received)},
        {"transactions_posted", "counter", "Transactions from the API",
         metric_read(&m->transactions_posted)},
        {"transactions_refused", "counter", "Transactions that the mempool did not take",
         metric_read(&m->transactions_refused)},
        {"transactions_overload", "counter", "Transactions dropped: too many in flight",
         metric_read(&m->transactions_overload)},
        {"signatures_verified", "counter", "Transaction signatures verified",
         metric_read(&m->signatures_verified)},
        {"signatures_cached", "counter", "Verifications saved, the signature being known",
         metric_read(&m->signatures_cached)},
        {"journal_syncs", "counter", "Syncs of the vote journal", metric_read(&m->journal_syncs)},
        {"journal_full_waits", "counter", "Times that the journal found no room",
         metric_read(&m->journal_full)},
        {"votes_sent", "counter", "Vote messages built", metric_read(&m->votes_sent)},
        {"views_entered", "counter", "Views entered", metric_read(&m->views_entered)},
        {"views_nullified", "counter", "Views that this node voted to nullify",
         metric_read(&m->views_nullified)},
        {"frames_received", "counter", "Frames from peers, transactions apart",
         metric_read(&m->frames_received)},
        {"frames_sent", "counter", "Frames queued for peers", metric_read(&m->frames_sent)},
        {"frame_bytes_sent", "counter", "Bytes of frames queued for peers, before TLS",
         metric_read(&m->frame_bytes_sent)},
        {"frames_dropped", "counter", "Frames not queued: peer down or its queue full",
         metric_read(&m->frames_dropped)},
        {"strikes", "counter", "Links dropped for breaking the protocol", metric_read(&m->strikes)},
        {"evidence", "counter", "Proofs that a validator broke a rule", metric_read(&m->evidence)},
        {"alarms", "counter", "Alarms: an operator must act", metric_read(&m->alarms)},
        {"store_full_retries", "counter", "Commits that found the store full",
         metric_read(&m->store_full)},
        {"http_requests", "counter", "HTTP requests", metric_read(&m->http_requests)},
        {"http_limited", "counter", "HTTP requests answered 429 for their address or key",
         metric_read(&m->http_limited)},
        {"http_ended", "counter", "HTTP connections ended for taking too long, or for want of room",
         metric_read(&m->http_ended)},
        {"sync_ranges_ahead", "counter", "Ranges of blocks that were here before they were needed",
         metric_read(&m->sync_ranges_ahead)},
        {"snapshots_made", "counter", "Snapshots made by this process",
         metric_read(&m->snapshots_made)},
        {"solver_starts", "counter", "Processes started to solve coupled auctions",
         metric_read(&m->solver_starts)},
        {"solver_failures", "counter", "Solvers that would not start, died or talked nonsense",
         metric_read(&m->solver_failures)},
        {"solver_timeouts", "counter", "Solvers that said nothing in their time",
         metric_read(&m->solver_timeouts)},
        {"solver_wrong", "counter", "Solutions of solvers that the check refused",
         metric_read(&m->solver_wrong)},
        {"solver_proposals", "counter", "Solutions proposed to the chain",
         metric_read(&m->solver_proposals)},
        {"signer_votes", "counter", "Votes that the signer signed", metric_read(&m->signer_votes)},
        {"signer_wait_us", "counter", "Microseconds that votes waited for the signer",
         metric_read(&m->signer_wait_us)},
        {"signer_refusals", "counter", "Votes that the signer refused",
         metric_read(&m->signer_refusals)},
        {"signer_losses", "counter", "Times that the signer stopped answering",
         metric_read(&m->signer_losses)},
    };
    _Static_assert(sizeof values / sizeof values[0] <= METRIC_LINES_MAX / 2, "room for all");
    memcpy(lines, values, sizeof values);
    return sizeof values / sizeof values[0];
}

/* By the peer's place in this node's configuration, from 0: whoever scrapes learns no names. */
static size_t print_sync_ranges(char out[SYNC_RANGES_TEXT_BYTES], struct node_metrics *metrics)
{
    static const struct metric_line rows[] = {
        {"sync_ranges", "counter", "Answers of each peer with ranges of blocks that led on", 0},
    };
    const struct metric_line line = rows[0];
    int size = snprintf(out, SYNC_RANGES_TEXT_BYTES, "# HELP flexd_%s %s\n# TYPE flexd_%s %s\n",
                        line.name, line.help, line.name, line.type);
    for (int peer = 0; peer < P2P_PEERS_MAX; peer++) {
        const uint64_t value = metric_read(&metrics->sync_ranges[peer]);
        if (value != 0)
            size += snprintf(out + size, SYNC_RANGES_TEXT_BYTES - (size_t)size,
                             "flexd_%s{peer=\"%d\"} %" PRIu64 "\n", line.name, peer, value);
    }
    MUST(size > 0 && size < SYNC_RANGES_TEXT_BYTES);
    return (size_t)size;
}

void api_read_metrics(const struct api_request *request, struct api_reply *reply)
{
    struct metric_line lines[METRIC_LINES_MAX];
    size_t count = gauges(lines, request);
    count += counters(lines + count, &request->node->metrics);
    char *text = api_allocate((size_t)METRIC_LINES_MAX * METRIC_LINE_BYTES + FIGURES_TEXT_BYTES +
                              STAGES_TEXT_BYTES + SYNC_RANGES_TEXT_BYTES);
    if (text == NULL) {
        api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "out_of_memory", "try again");
        return;
    }
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        int written = snprintf(text + size, METRIC_LINE_BYTES,
                               "# HELP flexd_%s %s\n# TYPE flexd_%s %s\nflexd_%s %" PRIu64 "\n",
                               lines[i].name, lines[i].help, lines[i].name, lines[i].type,
                               lines[i].name, lines[i].value);
        if (written > 0 && written < METRIC_LINE_BYTES)
            size += (size_t)written;
    }
    size += figures_print(&request->node->figures, text + size);
    size += stages_print(&request->node->metrics.stages, text + size);
    size += print_sync_ranges(text + size, &request->node->metrics);
    api_reply_bytes(reply, "text/plain; version=0.0.4", text, size);
}
