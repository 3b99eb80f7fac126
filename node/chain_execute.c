/* Running the state machine over a block: to check one, and to build one.
 *
 * Both go through the same struct run, so a leader's own block can't come out differently on its
 * followers: begin (overlay on the parent's), one apply per transaction, end (block end,
 * conservation of value, seal, roots).
 *
 * Invariants:
 *  1. A block's roots depend on its transactions, its parent's state, and the header's height, time,
 *     parent and log root; on nothing else that this node knows.
 *  2. Signatures were verified before a body or a transaction came here (chain_add_body; the mempool's
 *     door).
 *  3. A fault of the state is no verdict: the process stops (architecture.md).
 *  4. What is built is cached as executed; it is not run a second time.
 *
 * Deliberately absent: threads, and any part of a verdict that depends on how long a run took. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/body.h"
#include "contracts/rules.h"
#include "node/chain_internal.h"

struct run {
    struct chain *chain;
    struct overlay *overlay;
    struct state_view *view;
    struct byte_writer receipts;
    uint32_t tx_count;
    uint32_t action_count;
    size_t tx_receipt_bytes;
    struct hash receipt_root;
    struct hash state_root;
    struct hash next_set;
};

/* A count of zero. */
enum { EMPTY_BODY_SIZE = 4 };
/* A receipt's fixed part and its length: well below this. */
enum { RECEIPT_OVERHEAD = 128 };
/* Candidates that do not fit the space left, after which a builder stops looking for smaller ones. */
enum { MISFITS_MAX = 64 };

static void stop_on_fault(const struct state_view *view)
{
    if (view->fault) {
        fatal_environment("the state cannot be read, or a block outgrew its overlay");
    }
}

static bool is_tx_error(enum contract_error error)
{
    return error >= CONTRACT_TX_MALFORMED && error <= CONTRACT_MEMPOOL_FULL;
}

static void write_count(uint8_t out[4], uint32_t count)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, 4);
    byte_write_u32(&writer, count);
    MUST(!writer.failed);
}

static void run_begin(struct run *run, struct chain *chain, const struct chain_parent *parent,
                      const struct block_header *header)
{
    const struct block_context context = {.genesis = header->genesis,
                                          .height = header->height,
                                          .time = header->time,
                                          .parent_id = header->parent_id,
                                          .log_root = header->log_root};
    memset(run, 0, sizeof *run);
    run->chain = chain;
    run->overlay = chain_take_overlay(chain);
    overlay_reset(run->overlay, parent->overlay, chain->backend.base);
    run->view = overlay_view(run->overlay);
    byte_writer_init(&run->receipts, chain->receipts, CHAIN_RECEIPTS_BYTES);
    byte_write_u32(&run->receipts, 0); /* the count, known at the end */
    ledger_block_begin(chain->ledger, run->view, &context);
    stop_on_fault(run->view);
}

static void append_receipt(struct run *run, const struct receipt *receipt)
{
    struct byte_writer *writer = &run->receipts;
    const size_t start = writer->size;
    byte_write_u32(writer, 0);
    codec_encode(&receipt_record, receipt, writer);
    MUST(!writer->failed);
    write_count(writer->data + start, (uint32_t)(writer->size - start - 4));
    receipt_leaf(&run->chain->leaves[run->tx_count], receipt);
}

/* CONTRACT_OK (its receipt is appended), or a TX_ error and nothing has changed. */
static enum contract_error run_apply(struct run *run, const struct transaction *transaction)
{
    struct receipt receipt;
    MUST(run->tx_count < LIMIT_TX_PER_BLOCK);
    const enum contract_error error =
        ledger_transaction_apply(run->chain->ledger, transaction, &receipt);
    stop_on_fault(run->view);
    if (is_tx_error(error)) {
        return error;
    }
    append_receipt(run, &receipt);
    run->chain->tx_ids[run->tx_count] = transaction->id;
    run->tx_count++;
    run->action_count += transaction->action_count;
    run->tx_receipt_bytes = run->receipts.size;
    return CONTRACT_OK;
}

static void run_end(struct run *run)
{
    struct receipt receipt;
    ledger_block_end(run->chain->ledger, &receipt);
    stop_on_fault(run->view);
    append_receipt(run, &receipt);
    write_count(run->receipts.data, run->tx_count + 1);
    merkle_root(&run->receipt_root, run->chain->leaves, (size_t)run->tx_count + 1);
    const bool conserved = ledger_conserves_value(run->view);
    stop_on_fault(run->view);
    MUST(conserved);
    chain_next_set(&run->next_set, run->view);
    if (!overlay_seal(run->overlay, &run->state_root)) {
        stop_on_fault(run->view);
    }
}

static void *copy_of(const void *data, size_t size)
{
    void *copy = malloc(size + 1);
    if (copy == NULL) {
        fatal_environment("out of memory for a block");
    }
    memcpy(copy, data, size);
    return copy;
}

/* The run's result becomes the block's. */
static void run_keep(struct run *run, struct cached_block *block, const struct chain_parent *parent)
{
    struct hash leaf;
    block->overlay = run->overlay;
    block->tx_count = run->tx_count;
    block->tx_ids = copy_of(run->chain->tx_ids, run->tx_count * sizeof *block->tx_ids);
    block->receipts_size = run->receipts.size;
    block->receipts = copy_of(run->receipts.data, run->receipts.size);
    block->log = parent->log;
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, block->id.bytes, HASH_SIZE);
    merkle_frontier_append(&block->log, &leaf);
    MUST(block->log.count == block->header.height + 1);
    block->state = CACHED_VALID;
}

/* --- checking a block ------------------------------------------------------------------------ */

/* NULL if the header fits its parent, else what does not. */
static const char *header_fault(const struct chain *chain, const struct block_header *header,
                                const struct chain_parent *parent)
{
    struct hash log_root;
    merkle_frontier_root(&log_root, &parent->log);
    if (header->version != BLOCK_HEADER_VERSION) {
        return "version";
    }
    if (!hash_equal(&header->genesis, &chain->genesis)) {
        return "genesis";
    }
    if (header->height != parent->height + 1) {
        return "height";
    }
    if (header->parent_view != parent->view || header->view <= header->parent_view) {
        return "view";
    }
    if (header->epoch != parent->epoch) {
        return "epoch";
    }
    if (timestamp_compare(header->time, parent->time) <= 0) {
        return "time";
    }
    return hash_equal(&header->log_root, &log_root) ? NULL : "log root";
}

static const char *root_fault(const struct run *run, const struct block_header *header)
{
    if (!hash_equal(&header->state_root, &run->state_root)) {
        return "state root";
    }
    if (!hash_equal(&header->receipt_root, &run->receipt_root)) {
        return "receipt root";
    }
    return hash_equal(&header->next_set, &run->next_set) ? NULL : "next set";
}

/* Applies every transaction of the body; NULL, or why the block is invalid. */
static const char *run_body(struct run *run, struct bytes_view body)
{
    struct body_reader reader;
    struct bytes_view envelope;
    MUST(body_open(&reader, body)); /* checked when it was cached */
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        MUST(transaction_decode_kept(&transaction, envelope) == CONTRACT_OK);
        if (run->tx_receipt_bytes > LIMIT_RECEIPTS_BYTES_PER_BLOCK) {
            return "receipts over the limit";
        }
        if (ledger_block_is_full(run->chain->ledger)) {
            return "work over the limit";
        }
        const enum contract_error error = run_apply(run, &transaction);
        if (error != CONTRACT_OK) {
            return contract_error_name(error);
        }
    }
    MUST(body_is_whole(&reader));
    return run->tx_receipt_bytes > LIMIT_RECEIPTS_BYTES_PER_BLOCK ? "receipts over the limit"
                                                                  : NULL;
}

/* Whether this program has the rules of the block that follows this parent. If not, it has no verdict on
 * the block, and will stop in front of it: once the parent is final, for until then the others may need
 * its vote (chain_rules_missing). */
static bool has_rules(struct chain *chain, const struct chain_parent *parent)
{
    struct overlay *state = parent->overlay != NULL ? parent->overlay : chain->committed;
    const uint32_t version = ledger_rules_at(overlay_view(state), parent->height + 1);
    stop_on_fault(overlay_view(state));
    if (version <= chain->rules_last)
        return true;
    if (chain->rules_lacking != parent->height + 1) {
        chain->rules_lacking = parent->height + 1;
        log_line(LOG_UNUSUAL,
                 "a block of height %llu is under rules %u, this program has those up to %u -> no "
                 "verdict; stops when block %llu is final",
                 (unsigned long long)parent->height + 1, version, chain->rules_last,
                 (unsigned long long)parent->height);
    }
    return false;
}

/* Runs a block whose parent is ready. */
static void execute_one(struct chain *chain, struct cached_block *block,
                        const struct chain_parent *parent)
{
    struct run run;
    const char *fault = header_fault(chain, &block->header, parent);
    if (fault == NULL && parent->ends_epoch && block->body_size != EMPTY_BODY_SIZE) {
        fault = "transactions above a boundary block that is not final"; /* [C-EPOCH.EMPTY] */
    }
    MUST(block->state == CACHED_UNKNOWN && block->overlay == NULL);
    if (fault == NULL) {
        run_begin(&run, chain, parent, &block->header);
        fault = run_body(&run, bytes_view_of(block->body, block->body_size));
        if (fault == NULL) {
            run_end(&run);
            fault = root_fault(&run, &block->header);
        }
        if (fault == NULL) {
            run_keep(&run, block, parent);
            return;
        }
        chain_give_overlay(chain, run.overlay);
    }
    block->state = CACHED_INVALID;
    log_line(LOG_UNUSUAL, "block of height %llu view %llu: %s -> invalid",
             (unsigned long long)block->header.height, (unsigned long long)block->header.view,
             fault);
}

enum bft_verdict chain_execute(struct chain *chain, const struct hash *block_id)
{
    struct cached_block *block = chain_find(chain, block_id);
    if (block == NULL) {
        /* Committed already: it was valid. Anything else is asked for by a bug. */
        MUST(hash_equal(block_id, &chain_tip(chain)->block_id));
        return BFT_VERDICT_VALID;
    }
    /* Ends: each round settles one block of a cache of at most CHAIN_BLOCKS_MAX. */
    while (block->state == CACHED_UNKNOWN) {
        struct chain_parent parent;
        struct cached_block *lowest = block;
        while (!chain_find_parent(chain, &lowest->header.parent_id, &parent)) {
            struct cached_block *above = chain_find(chain, &lowest->header.parent_id);
            if (above == NULL) {
                log_line(LOG_UNUSUAL, "block of height %llu has no parent here -> not run",
                         (unsigned long long)lowest->header.height);
                return BFT_VERDICT_INVALID;
            }
            if (above->state == CACHED_INVALID) {
                lowest->state = CACHED_INVALID;
                break;
            }
            lowest = above;
        }
        if (lowest->state == CACHED_UNKNOWN && !has_rules(chain, &parent)) {
            return BFT_VERDICT_NOT_YET;
        }
        if (lowest->state == CACHED_UNKNOWN) {
            execute_one(chain, lowest, &parent);
        }
    }
    return block->state == CACHED_VALID ? BFT_VERDICT_VALID : BFT_VERDICT_INVALID;
}

/* --- building a block ------------------------------------------------------------------------ */

/* Should the builder stop before it tries another one? */
static bool is_full(const struct run *run)
{
    return run->tx_count == CHAIN_BUILD_TX_MAX || run->action_count >= CHAIN_BUILD_ACTIONS_MAX ||
           run->receipts.size + LIMIT_EVENTS_BYTES_PER_TX + RECEIPT_OVERHEAD >
               LIMIT_RECEIPTS_BYTES_PER_BLOCK ||
           ledger_block_is_full(run->chain->ledger);
}

/* Takes what fits and applies, in the mempool's order. Returns the body's size. */
static size_t fill_body(struct run *run, struct mempool *mempool)
{
    struct byte_writer body;
    struct bytes_view envelope;
    uint32_t misfits = 0;
    byte_writer_init(&body, run->chain->body, LIMIT_BLOCK_BODY_BYTES);
    byte_write_u32(&body, 0);
    mempool_walk_begin(mempool);
    while (!is_full(run) && misfits < MISFITS_MAX && mempool_walk_next(mempool, &envelope)) {
        struct transaction transaction;
        if (body.capacity - body.size < 4 + envelope.size) {
            misfits++;
            mempool_walk_skip_sender(mempool);
            continue;
        }
        MUST(transaction_decode(&transaction, envelope) == CONTRACT_OK);
        const enum contract_error error = run_apply(run, &transaction);
        if (error == CONTRACT_OK) {
            transaction_leaf(&run->chain->tx_leaves[run->tx_count - 1], &transaction);
            byte_write_sized(&body, envelope.data, envelope.size);
        } else if (error != CONTRACT_TX_NONCE_USED && error != CONTRACT_TX_EXPIRED) {
            /* A stale one does not stop those behind it; any other leaves a gap that does. */
            mempool_walk_skip_sender(mempool);
        }
    }
    MUST(!body.failed);
    write_count(body.data, run->tx_count);
    return body.size;
}

bool chain_build(struct chain *chain, struct mempool *mempool, struct block_header *header,
                 uint64_t epoch, uint64_t view, uint64_t parent_view, const struct hash *parent_id,
                 struct timestamp now)
{
    struct chain_parent parent;
    struct cached_block *block = NULL;
    struct timestamp least;
    struct run run;
    if (chain_find(chain, parent_id) != NULL &&
        chain_execute(chain, parent_id) != BFT_VERDICT_VALID) {
        return false;
    }
    if (!chain_find_parent(chain, parent_id, &parent) || parent.view != parent_view ||
        parent.epoch != epoch || !timestamp_add(&least, parent.time, duration_of(1)) ||
        !has_rules(chain, &parent)) {
        return false;
    }
    memset(header, 0, sizeof *header);
    header->version = BLOCK_HEADER_VERSION;
    header->genesis = chain->genesis;
    header->epoch = epoch;
    header->height = parent.height + 1;
    header->view = view;
    header->parent_view = parent_view;
    header->parent_id = *parent_id;
    header->time = timestamp_compare(now, least) > 0 ? now : least;
    merkle_frontier_root(&header->log_root, &parent.log);

    run_begin(&run, chain, &parent, header);
    size_t body_size = EMPTY_BODY_SIZE;
    write_count(chain->body, 0);
    if (!parent.ends_epoch && parent.height - chain_tip(chain)->height < CHAIN_FULL_DEPTH_MAX) {
        body_size = fill_body(&run, mempool);
    }
    merkle_root(&header->tx_root, chain->tx_leaves, run.tx_count);
    run_end(&run);
    header->state_root = run.state_root;
    header->receipt_root = run.receipt_root;
    header->next_set = run.next_set;
    if (!chain_cache(chain, header, bytes_view_of(chain->body, body_size), &block)) {
        chain_give_overlay(chain, run.overlay);
        return false;
    }
    if (block->state == CACHED_VALID) {
        /* The very same block was built before. */
        chain_give_overlay(chain, run.overlay);
        return true;
    }
    run_keep(&run, block, &parent);
    return true;
}
