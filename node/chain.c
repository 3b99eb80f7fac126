/* The chain: the cache of unfinal blocks, and commits.
 *
 * Every cached block above the committed height has a body whose transactions decode and whose
 * signatures are good. An executed one has a sealed overlay that stands on its parent's, down to the
 * committed state:
 *
 *   committed state <- overlay of height h+1 <- overlay of height h+2 ...
 *                   <- overlay of another h+1 (a fork; one of them will be dropped)
 *
 * Invariants:
 *  1. An overlay's parent is sealed, and lives as long as any overlay stands on it.
 *  2. A commit makes one child of the committed state the committed state: it goes down to the
 *     backend, its children stand on the base from then on, and all blocks that do not descend from
 *     it are dropped with their overlays.
 *  3. Cached bodies are bounded in number and bytes (CHAIN_BLOCKS_MAX, CHAIN_BODY_BYTES_MAX); what
 *     is executed is never thrown away before a commit makes it obsolete.
 *
 * Deliberately absent: fetching, journalling and voting, which are the core's and the shell's. */
#include "node/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/body.h"
#include "contracts/rules.h"
#include "contracts/witness.h"
#include "node/chain_internal.h"

/* --- the cache ------------------------------------------------------------------------------- */

static uint32_t index_of(const struct chain *chain, const struct hash *block_id)
{
    uint32_t i = 0;
    while (i < chain->block_count && !hash_equal(&chain->blocks[i]->id, block_id)) {
        i++;
    }
    return i;
}

struct cached_block *chain_find(const struct chain *chain, const struct hash *block_id)
{
    const uint32_t i = index_of(chain, block_id);
    return i < chain->block_count ? chain->blocks[i] : NULL;
}

struct overlay *chain_take_overlay(struct chain *chain)
{
    if (chain->free_overlay_count > 0) {
        return chain->free_overlays[--chain->free_overlay_count];
    }
    struct overlay *overlay = overlay_create(CHAIN_OVERLAY_BYTES);
    if (overlay == NULL) {
        fatal_environment("no address space for an overlay");
    }
    return overlay;
}

void chain_give_overlay(struct chain *chain, struct overlay *overlay)
{
    /* A few are kept warm; more than that only a long time without finality has needed. */
    if (chain->free_overlay_count == CHAIN_FREE_OVERLAYS_MAX) {
        overlay_destroy(overlay);
        return;
    }
    chain->free_overlays[chain->free_overlay_count++] = overlay;
}

static void block_destroy(struct chain *chain, struct cached_block *block)
{
    if (block == NULL) {
        return;
    }
    if (block->overlay != NULL) {
        chain_give_overlay(chain, block->overlay);
    }
    free(block->body);
    free(block->tx_ids);
    free(block->receipts);
    free(block);
}

/* Takes the block at `index` out of the cache; it is the caller's then. */
static struct cached_block *cache_take(struct chain *chain, uint32_t index)
{
    struct cached_block *block = chain->blocks[index];
    MUST(chain->body_bytes >= block->body_size);
    chain->body_bytes -= block->body_size;
    chain->blocks[index] = chain->blocks[--chain->block_count];
    return block;
}

static bool cache_has_room(const struct chain *chain, size_t size)
{
    return chain->block_count < CHAIN_BLOCKS_MAX &&
           chain->body_bytes + size <= CHAIN_BODY_BYTES_MAX;
}

bool chain_cache(struct chain *chain, const struct block_header *header, struct bytes_view body,
                 struct cached_block **out)
{
    struct hash id;
    block_header_id(&id, header);
    *out = chain_find(chain, &id);
    if (*out != NULL) {
        return true;
    }
    /* What is known to be invalid is of use to nobody, unless room is plenty. */
    for (uint32_t i = 0; i < chain->block_count && !cache_has_room(chain, body.size);) {
        if (chain->blocks[i]->state == CACHED_INVALID) {
            block_destroy(chain, cache_take(chain, i));
        } else {
            i++;
        }
    }
    if (!cache_has_room(chain, body.size)) {
        log_line(LOG_UNUSUAL, "block cache is full (%u blocks, %zu MiB) -> block refused",
                 chain->block_count, chain->body_bytes >> 20);
        return false;
    }
    struct cached_block *block = calloc(1, sizeof *block);
    uint8_t *copy = malloc(body.size + 1);
    if (block == NULL || copy == NULL) {
        fatal_environment("out of memory for a block");
    }
    memcpy(copy, body.data, body.size);
    block->id = id;
    block->header = *header;
    block->body = copy;
    block->body_size = body.size;
    chain->blocks[chain->block_count++] = block;
    chain->body_bytes += body.size;
    *out = block;
    return true;
}

static bool signatures_are_good(struct bytes_view body)
{
    struct body_reader reader;
    struct bytes_view envelope;
    if (!body_open(&reader, body)) {
        return false;
    }
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK ||
            !transaction_signature_is_valid(&transaction)) {
            return false;
        }
    }
    return body_is_whole(&reader);
}

bool chain_add_body(struct chain *chain, const struct block_header *header, struct bytes_view body,
                    bool verified)
{
    struct hash root;
    /* The root first: a body that isn't the header's costs hashes alone. */
    if (!body_tx_root(&root, body, chain->tx_leaves) || !hash_equal(&root, &header->tx_root)) {
        return false;
    }
    if (!verified && !signatures_are_good(body)) {
        return false;
    }
    return chain_add_checked_body(chain, header, body);
}

bool chain_add_final_body(struct chain *chain, const struct block_header *header,
                          struct bytes_view body, bool verified, struct timestamp now)
{
    struct hash root;
    struct body_witnesses witnesses;
    if (!body_kept_root(&root, &witnesses, body, &header->receipt_root, chain->tx_leaves) ||
        !hash_equal(&root, &header->tx_root) || timestamp_compare(witnesses.last_final, now) > 0) {
        return false;
    }
    if (!verified && !signatures_are_good(body)) {
        return false;
    }
    return chain_add_checked_body(chain, header, body);
}

bool chain_add_checked_body(struct chain *chain, const struct block_header *header,
                            struct bytes_view body)
{
    struct cached_block *block;
    return header->height <= chain_tip(chain)->height || chain_cache(chain, header, body, &block);
}

bool chain_has_room(const struct chain *chain, size_t body_size)
{
    uint32_t blocks = chain->block_count;
    size_t bytes = chain->body_bytes;
    for (uint32_t i = 0; i < chain->block_count; i++) {
        if (chain->blocks[i]->state == CACHED_INVALID) { /* gives way (chain_cache) */
            blocks--;
            bytes -= chain->blocks[i]->body_size;
        }
    }
    return blocks < CHAIN_BLOCKS_MAX && bytes + body_size <= CHAIN_BODY_BYTES_MAX;
}

bool chain_has_body(const struct chain *chain, const struct hash *block_id)
{
    return chain_find(chain, block_id) != NULL;
}

bool chain_body(const struct chain *chain, const struct hash *block_id, struct block_header *header,
                struct bytes_view *body)
{
    const struct cached_block *block = chain_find(chain, block_id);
    if (block == NULL) {
        return false;
    }
    *header = block->header;
    *body = bytes_view_of(block->body, block->body_size);
    return true;
}

bool chain_find_parent(const struct chain *chain, const struct hash *parent_id,
                       struct chain_parent *out)
{
    const struct store_tip *tip = chain_tip(chain);
    memset(out, 0, sizeof *out);
    out->id = *parent_id;
    if (hash_equal(parent_id, &tip->block_id)) {
        out->height = tip->height;
        out->view = tip->view;
        out->time = tip->time;
        out->log = tip->log;
        out->epoch = chain_next_epoch(chain);
        return true;
    }
    const struct cached_block *block = chain_find(chain, parent_id);
    if (block == NULL || block->state != CACHED_VALID) {
        return false;
    }
    out->overlay = block->overlay;
    out->height = block->header.height;
    out->view = block->header.view;
    out->epoch = block->header.epoch;
    out->ends_epoch = chain_epoch_of(overlay_view(block->overlay)) != block->header.epoch;
    out->time = block->header.time;
    out->log = block->log;
    return true;
}

void chain_set_of(struct validator_set *out, struct state_view *view)
{
    const struct state_key key = state_key_single(STATE_PARAMS);
    struct params_record params;
    if (!ledger_read(view, &key, &params_record_codec, &params)) {
        fatal_environment("the state cannot be read, or lacks its parameters");
    }
    memset(out, 0, sizeof *out);
    out->count = params.validator_count;
    for (uint32_t i = 0; i < params.validator_count; i++) {
        out->validators[i].key = params.validators[i].key;
        out->validators[i].operator_name = params.validators[i].operator_name;
    }
    MUST(validator_set_is_valid(out));
}

void chain_next_set(struct hash *out, struct state_view *view)
{
    struct validator_set set;
    chain_set_of(&set, view);
    validator_set_hash(out, &set);
}

uint64_t chain_epoch_of(struct state_view *view)
{
    const struct state_key key = state_key_single(STATE_GOVERNANCE);
    struct governance_record governance;
    bool found = ledger_read(view, &key, &governance_record_codec, &governance);
    if (view->fault) {
        fatal_environment("the state cannot be read");
    }
    return found ? governance.epoch : 0;
}

uint64_t chain_next_epoch(const struct chain *chain)
{
    return chain_epoch_of(overlay_view(chain->committed));
}

void chain_next_validators(const struct chain *chain, struct validator_set *out)
{
    chain_set_of(out, overlay_view(chain->committed));
}

/* --- commits --------------------------------------------------------------------------------- */

const struct store_tip *chain_tip(const struct chain *chain)
{
    return chain->backend.tip(chain->backend.context);
}

struct state_view *chain_committed_view(struct chain *chain)
{
    return overlay_view(chain->committed);
}

void chain_next_context(const struct chain *chain, struct timestamp now,
                        struct block_context *context)
{
    const struct store_tip *tip = chain_tip(chain);
    memset(context, 0, sizeof *context);
    context->genesis = chain->genesis;
    context->height = tip->height + 1;
    context->time = timestamp_compare(now, tip->time) > 0 ? now : tip->time;
    context->parent_id = tip->block_id;
    merkle_frontier_root(&context->log_root, &tip->log);
}

/* The committed state changed: a fresh, empty overlay on it. False if the tree's root is not the
 * tip's. */
static bool refresh_committed(struct chain *chain)
{
    struct hash root;
    overlay_reset(chain->committed, NULL, chain->backend.base);
    return overlay_seal(chain->committed, &root) &&
           hash_equal(&root, &chain_tip(chain)->state_root);
}

/* At the commit that voted it in, and at every start before its height. */
static void tell_rules(const struct chain *chain, uint32_t waiting, uint64_t height)
{
    if (waiting == 0 && chain->rules < chain->rules_waiting) {
        log_line(LOG_INFO, "the upgrade to rules %u is taken back", chain->rules_waiting);
    } else if (waiting > chain->rules_last) {
        log_line(
            LOG_UNUSUAL,
            "rules %u hold from block %llu on, this program has those up to %u -> it will stop in "
            "front of that block; install a newer flexd before",
            waiting, (unsigned long long)height, chain->rules_last);
    } else if (waiting != 0) {
        log_line(LOG_INFO, "rules %u hold from block %llu on, this program has them", waiting,
                 (unsigned long long)height);
    } else {
        log_line(LOG_INFO, "rules %u hold from the next block on", chain->rules);
    }
}

/* Reads the versions that are voted in; can the next block be executed here? */
static void note_rules(struct chain *chain)
{
    const uint64_t next = chain_tip(chain)->height + 1;
    const struct state_key key = state_key_single(STATE_GOVERNANCE);
    struct state_view *view = overlay_view(chain->committed);
    struct governance_record governance;
    if (!ledger_read(view, &key, &governance_record_codec, &governance)) {
        memset(&governance, 0, sizeof governance);
    }
    if (view->fault) {
        fatal_environment("the state cannot be read");
    }
    const bool waits = governance.next_rules != 0 && governance.rules_height > next;
    const uint32_t waiting = waits ? governance.next_rules : 0;
    const uint64_t height = waits ? governance.rules_height : 0;
    chain->rules = ledger_rules_of(&governance, next);
    if (waiting != chain->rules_waiting || height != chain->rules_height) {
        tell_rules(chain, waiting, height);
    }
    chain->rules_waiting = waiting;
    chain->rules_height = height;
    if (chain->rules > chain->rules_last) {
        chain->rules_missing = chain->rules;
    }
}

void chain_next_rules(const struct chain *chain, uint32_t *in_force, uint32_t *waiting,
                      uint64_t *height)
{
    *in_force = chain->rules;
    *waiting = chain->rules_waiting;
    *height = chain->rules_height;
}

uint32_t chain_rules_missing(const struct chain *chain)
{
    return chain->rules_missing;
}

void chain_limit_rules(struct chain *chain, uint32_t last)
{
    MUST(last >= LEDGER_RULES_FIRST && last <= ledger_rules_count);
    chain->rules_last = last;
    note_rules(chain);
}

/* Views rise along a chain and begin anew with an epoch, so no block of that view or an earlier one
 * can follow `final` any more. Height and parent are what the block's maker says, and prove nothing
 * while the parent isn't here. */
static bool is_passed(const struct block_header *header, const struct block_header *final)
{
    return header->height <= final->height || header->epoch < final->epoch ||
           (header->epoch == final->epoch && header->view <= final->view);
}

/* Drops all that cannot become final any more: what is passed, and what stands on it. */
static void drop_obsolete(struct chain *chain, const struct block_header *final)
{
    /* A block whose parent isn't here may just have come before it, so forks are followed upwards
     * from the blocks that go. Ends: every round but the last drops a block. */
    bool dropped = true;
    struct hash *gone = chain->gone;
    uint32_t gone_count = 0;
    while (dropped) {
        dropped = false;
        for (uint32_t i = 0; i < chain->block_count;) {
            const struct cached_block *block = chain->blocks[i];
            bool obsolete = is_passed(&block->header, final);
            for (uint32_t g = 0; g < gone_count && !obsolete; g++) {
                obsolete = hash_equal(&block->header.parent_id, &gone[g]);
            }
            if (obsolete) {
                gone[gone_count++] = block->id;
                block_destroy(chain, cache_take(chain, i));
                dropped = true;
            } else {
                i++;
            }
        }
    }
}

static void after_commit(struct chain *chain, uint32_t index)
{
    struct cached_block *block = cache_take(chain, index);
    for (uint32_t i = 0; i < chain->block_count; i++) {
        struct cached_block *child = chain->blocks[i];
        if (child->overlay != NULL && hash_equal(&child->header.parent_id, &block->id)) {
            overlay_detach(child->overlay);
        }
    }
    chain_give_overlay(chain, block->overlay);
    block->overlay = NULL;
    drop_obsolete(chain, &block->header);
    block_destroy(chain, chain->last);
    chain->last = block;
    if (!refresh_committed(chain)) {
        fatal_environment("the committed state's root is not the one that was committed");
    }
    note_rules(chain);
}

/* Encoded as finality_decode reads it, with the next set if the block ends its epoch; valid until the
 * next commit. */
static struct bytes_view keep_finality(struct chain *chain, const struct cached_block *block,
                                       const struct certificate *certificate,
                                       struct bytes_view proof_headers)
{
    const size_t needed = CERTIFICATE_BYTES_MAX + VALIDATOR_SET_BYTES_MAX + proof_headers.size;
    struct state_view *view = overlay_view(block->overlay);
    const bool ends = chain_epoch_of(view) != block->header.epoch;
    struct validator_set next;
    struct byte_writer writer;
    if (chain->last_finality_capacity < needed) {
        free(chain->last_finality);
        chain->last_finality = malloc(needed);
        chain->last_finality_capacity = needed;
        if (chain->last_finality == NULL) {
            fatal_environment("out of memory for a certificate");
        }
    }
    MUST(ends || proof_headers.size == 0);
    if (ends) {
        chain_set_of(&next, view);
    }
    byte_writer_init(&writer, chain->last_finality, needed);
    finality_encode(&writer, certificate, ends ? &next : NULL, proof_headers);
    MUST(!writer.failed);
    return bytes_view_of(chain->last_finality, writer.size);
}

static void fill_commit(struct chain *chain, const struct cached_block *block,
                        const struct certificate *certificate, struct bytes_view proof_headers,
                        struct store_block *out)
{
    const struct store_tip *tip = chain_tip(chain);
    memset(out, 0, sizeof *out);
    block_header_encode(chain->last_header, &block->header);
    out->height = block->header.height;
    out->header = bytes_view_of(chain->last_header, BLOCK_HEADER_SIZE);
    out->body = bytes_view_of(block->body, block->body_size);
    out->receipts = bytes_view_of(block->receipts, block->receipts_size);
    if (certificate != NULL) {
        out->certificate = keep_finality(chain, block, certificate, proof_headers);
    }
    out->tx_ids = block->tx_ids;
    out->tx_count = block->tx_count;
    out->state = block->overlay;
    out->tip.height = block->header.height;
    out->tip.view = block->header.view;
    out->tip.block_id = block->id;
    out->tip.state_root = block->header.state_root;
    out->tip.time = block->header.time;
    out->tip.transactions = tip->transactions + block->tx_count;
    out->tip.log = block->log;
    out->tip.has_genesis = true;
}

static enum store_result commit(struct chain *chain, const struct block_header *header,
                                const struct certificate *certificate_or_null,
                                struct bytes_view proof_headers)
{
    struct hash id;
    struct store_block block;
    block_header_id(&id, header);
    if (header->height <= chain_tip(chain)->height) {
        return STORE_OK;
    }
    MUST(header->height == chain_tip(chain)->height + 1);
    MUST(certificate_or_null == NULL || proof_headers.size > 0 ||
         hash_equal(&certificate_or_null->block_id, &id));
    uint32_t index = index_of(chain, &id);
    MUST(index < chain->block_count); /* the shell keeps every body until it is decided */
    if (!hash_equal(&header->parent_id, &chain_tip(chain)->block_id) ||
        chain_execute(chain, &id) != BFT_VERDICT_VALID) {
        log_line(LOG_BROKEN, "final block of height %llu is not valid here -> stop",
                 (unsigned long long)header->height);
        return STORE_CORRUPT;
    }
    fill_commit(chain, chain->blocks[index], certificate_or_null, proof_headers, &block);
    const enum store_result result = chain->backend.commit(chain->backend.context, &block);
    if (result != STORE_OK) {
        return result;
    }
    if (chain->watch != NULL) {
        chain->watch(chain->watch_context, overlay_view(chain->blocks[index]->overlay));
    }
    block.state = NULL;
    chain->last_view = block;
    after_commit(chain, index);
    return STORE_OK;
}

void chain_watch(struct chain *chain, void (*watch)(void *context, struct state_view *view),
                 void *context)
{
    chain->watch = watch;
    chain->watch_context = context;
}

enum store_result chain_commit(struct chain *chain, const struct block_header *header,
                               const struct certificate *certificate_or_null)
{
    return commit(chain, header, certificate_or_null, bytes_view_of(NULL, 0));
}

enum store_result chain_commit_boundary(struct chain *chain, const struct block_header *header,
                                        const struct certificate *certificate,
                                        struct bytes_view proof_headers)
{
    MUST(certificate != NULL && proof_headers.size % BLOCK_HEADER_SIZE == 0);
    return commit(chain, header, certificate, proof_headers);
}

const struct store_block *chain_last_commit(const struct chain *chain)
{
    return chain->last == NULL ? NULL : &chain->last_view;
}

void chain_tell_mempool(const struct chain *chain, struct mempool *mempool)
{
    struct body_reader reader;
    struct bytes_view envelope;
    if (chain->last == NULL) {
        return;
    }
    MUST(body_open(&reader, chain->last_view.body));
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        MUST(transaction_decode_kept(&transaction, envelope) == CONTRACT_OK);
        mempool_forget(mempool, &transaction.sender, transaction.nonce);
    }
    mempool_expire(mempool, chain->last_view.tip.time);
}

/* --- life ------------------------------------------------------------------------------------ */

static enum store_result store_backend_commit(void *context, const struct store_block *block)
{
    return store_commit(context, block);
}

static const struct store_tip *store_backend_tip(void *context)
{
    return store_tip(context);
}

struct chain_backend chain_backend_of_store(struct store *store)
{
    return (struct chain_backend){.context = store,
                                  .base = store_state_base(store),
                                  .commit = store_backend_commit,
                                  .tip = store_backend_tip};
}

static bool write_genesis(struct chain *chain, const struct genesis *genesis, char problem[160])
{
    static const uint8_t no_records[4]; /* a count of zero: an empty body, and no receipts */
    struct overlay *overlay = chain_take_overlay(chain);
    struct store_block block;
    struct hash leaf;
    memset(&block, 0, sizeof block);
    overlay_reset(overlay, NULL, chain->backend.base);
    if (!ledger_genesis(overlay_view(overlay), genesis) ||
        !overlay_seal(overlay, &block.tip.state_root)) {
        chain_give_overlay(chain, overlay);
        (void)snprintf(problem, 160, "the genesis state cannot be made");
        return false;
    }
    block.body = bytes_view_of(no_records, sizeof no_records);
    block.receipts = bytes_view_of(no_records, sizeof no_records);
    block.state = overlay;
    block.tip.block_id = chain->genesis;
    block.tip.time = genesis->time;
    block.tip.has_genesis = true;
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, chain->genesis.bytes, HASH_SIZE);
    merkle_frontier_init(&block.tip.log);
    merkle_frontier_append(&block.tip.log, &leaf);
    const enum store_result result = chain->backend.commit(chain->backend.context, &block);
    chain_give_overlay(chain, overlay);
    if (result != STORE_OK) {
        (void)snprintf(problem, 160, "the genesis state cannot be stored: %s",
                       store_result_text(result));
    }
    return result == STORE_OK;
}

static bool allocate(struct chain *chain)
{
    chain->ledger = ledger_create();
    chain->blocks = calloc(CHAIN_BLOCKS_MAX, sizeof *chain->blocks);
    chain->gone = calloc(CHAIN_BLOCKS_MAX, sizeof *chain->gone);
    chain->leaves = calloc(LIMIT_TX_PER_BLOCK + 1, sizeof *chain->leaves);
    chain->tx_leaves = calloc(LIMIT_TX_PER_BLOCK, sizeof *chain->tx_leaves);
    chain->tx_ids = calloc(LIMIT_TX_PER_BLOCK, sizeof *chain->tx_ids);
    chain->receipts = malloc(CHAIN_RECEIPTS_BYTES);
    chain->body = malloc(LIMIT_BLOCK_BODY_BYTES);
    chain->committed = overlay_create(CHAIN_COMMITTED_BYTES);
    return chain->ledger != NULL && chain->blocks != NULL && chain->gone != NULL &&
           chain->leaves != NULL && chain->tx_leaves != NULL && chain->tx_ids != NULL &&
           chain->receipts != NULL && chain->body != NULL && chain->committed != NULL;
}

struct chain *chain_open(const struct genesis *genesis, const struct chain_backend *backend,
                         char problem[160])
{
    struct chain *chain = calloc(1, sizeof *chain);
    problem[0] = '\0';
    if (chain == NULL) {
        (void)snprintf(problem, 160, "out of memory");
        return NULL;
    }
    chain->backend = *backend;
    chain->rules_last = ledger_rules_count;
    bool good = allocate(chain);
    if (!good) {
        (void)snprintf(problem, 160, "out of memory");
    } else if (genesis_problem(genesis) != NULL || !genesis_hash(&chain->genesis, genesis)) {
        (void)snprintf(problem, 160, "the genesis record is not sound");
        good = false;
    } else if (!chain_tip(chain)->has_genesis) {
        good = write_genesis(chain, genesis, problem);
    }
    if (good && !refresh_committed(chain)) {
        (void)snprintf(problem, 160, "the stored state does not have the root that its block says");
        good = false;
    }
    if (!good) {
        chain_close(chain);
        return NULL;
    }
    note_rules(chain);
    return chain;
}

void chain_close(struct chain *chain)
{
    if (chain == NULL) {
        return;
    }
    while (chain->block_count > 0) {
        block_destroy(chain, cache_take(chain, chain->block_count - 1));
    }
    block_destroy(chain, chain->last);
    while (chain->free_overlay_count > 0) {
        overlay_destroy(chain->free_overlays[--chain->free_overlay_count]);
    }
    overlay_destroy(chain->committed);
    ledger_destroy(chain->ledger);
    free(chain->blocks);
    free(chain->gone);
    free(chain->leaves);
    free(chain->tx_leaves);
    free(chain->tx_ids);
    free(chain->receipts);
    free(chain->body);
    free(chain->last_finality);
    free(chain);
}
