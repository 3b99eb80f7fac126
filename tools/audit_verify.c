/* Offline verification of a whole history (tools/audit_verify.h).
 *
 *   tiles -> ring: signatures and certificates on all processors (tools/audit_ahead.h)
 *         -> block by block: header, execution, roots -> commit into memory
 *
 * Invariants:
 *  1. A block is reported as bad only after all before it have been found good, so the height in the
 *     outcome is the first offending one.
 *  2. Each block is covered by a finalization: its own, or a later block's through parent ids. The
 *     last block has its own.
 *  3. Nothing of the export is believed but what hashes and signatures bind to the genesis.
 *  4. At the end the sum of all pots is minted less burned, counted anew from the state itself.
 *
 * Absent on purpose: any use of the node's store or network code. */
#include "tools/audit_verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/witness.h"
#include "node/chain.h"
#include "tools/audit_ahead.h"
#include "tools/audit_checkpoint.h"
#include "tools/audit_digests.h"
#include "tools/wait.h"
#include "verify/proof.h"

struct audit {
    struct proof_trust trust;
    struct audit_digests digests;
    struct memory_base *memory;
    struct chain *chain;
    struct audit_ahead *ahead;
    struct audit_reader reader;
    struct store_tip tip;
    const struct block_header *executing; /* while a block is committed */
    struct block_header last;             /* of the tip, unless that is genesis */
    struct merkle_frontier before_last;   /* history log up to the block before the tip */
    uint64_t transactions_before;         /* at the checkpoint */
    uint64_t certified;                   /* the highest block that a certificate covers */
    uint64_t wanted;                      /* height that export.json names */
    struct audit_gone *gone;
    uint64_t gone_count;
    uint64_t gone_room;
    struct timestamp gone_final; /* the latest time at which a deal without readings was final */
    uint64_t gone_height;        /* and the block of its proof */
    struct audit_outcome *outcome;
    struct audit_options options;
    int64_t started_ms;
    int64_t told_ms;
};

static bool fail(struct audit *audit, uint64_t height, const char *why)
{
    audit->outcome->ok = false;
    audit->outcome->height = height;
    snprintf(audit->outcome->reason, AUDIT_PROBLEM_SIZE, "%s", why);
    return false;
}

/* --- the backend: a state in memory -------------------------------------------------------- */

static enum store_result memory_commit(void *context, const struct store_block *block)
{
    struct audit *audit = context;
    if (audit->options.watch != NULL && block->height > 0) {
        /* A sealed overlay answers reads and refuses writes. */
        struct audit_seen seen = {audit->executing, block, memory_base_face(audit->memory),
                                  overlay_view((struct overlay *)(uintptr_t)block->state)};
        audit->options.watch(audit->options.watch_context, &seen);
    }
    if (!memory_base_commit(audit->memory, block->state)) {
        return STORE_FULL;
    }
    audit->tip = block->tip;
    return STORE_OK;
}

static const struct store_tip *memory_tip(void *context)
{
    return &((struct audit *)context)->tip;
}

/* --- blocks -------------------------------------------------------------------------------- */

/* What consensus checks before it votes, as far as a finished chain shows it. */
static const char *header_problem(const struct audit *audit, const struct block_header *header)
{
    if (header->version != BLOCK_HEADER_VERSION) {
        return "the header has a version that is not known here";
    }
    if (header->epoch != chain_next_epoch(audit->chain)) {
        return "the header has another epoch than the state before it";
    }
    if (!hash_equal(&header->genesis, &audit->trust.genesis)) {
        return "the header belongs to another chain";
    }
    if (header->height != audit->tip.height + 1 ||
        !hash_equal(&header->parent_id, &audit->tip.block_id)) {
        return "the block does not follow on the one before it";
    }
    if (header->parent_view != audit->tip.view || header->view <= audit->tip.view) {
        return "the view does not follow on the parent's";
    }
    if (timestamp_compare(header->time, audit->tip.time) <= 0) {
        return "the time is not above the parent's";
    }
    return NULL;
}

/* A block that ends its epoch comes with the next set and a certificate that leads to it; no other
 * block has more than a certificate of its own. */
static const char *boundary_problem(const struct audit *audit, const struct block_header *header,
                                    const struct finality *finality_or_null)
{
    struct hash set;
    validator_set_hash(&set, &audit->trust.set);
    bool ends = !hash_equal(&header->next_set, &set);
    if (finality_or_null == NULL) {
        return ends ? "the last block of an epoch has no certificate" : NULL;
    }
    if (finality_or_null->ends_epoch != ends) {
        return "the certificate ends an epoch where none ends, or fails to";
    }
    validator_set_hash(&set, &finality_or_null->next_set);
    return !ends || hash_equal(&set, &header->next_set)
               ? NULL
               : "the set behind the certificate is not the one that the header names";
}

/* The history log up to `height` has that root. */
static void note_root(struct audit *audit, const struct hash *root, uint64_t height)
{
    const struct hash *expected = audit->options.expected_root;
    if (expected != NULL && hash_equal(expected, root)) {
        audit->outcome->expected_found = height;
    }
}

/* --- deleted witnesses --------------------------------------------------------------------- */

static void add_gone(struct audit *audit, const struct transaction *transaction)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    while (transaction_next_action(transaction, &cursor, &type, &record)) {
        struct delivery_prove prove;
        if (type != ACTION_DELIVERY_PROVE ||
            !codec_decode_all(action_codec(type), &prove, record)) {
            continue;
        }
        if (audit->gone_count == audit->gone_room) {
            audit->gone_room = audit->gone_room == 0 ? 64 : 2 * audit->gone_room;
            audit->gone = realloc(audit->gone, audit->gone_room * sizeof *audit->gone);
            MUST(audit->gone != NULL);
        }
        audit->gone[audit->gone_count++] =
            (struct audit_gone){.height = audit->tip.height + 1, .deal = prove.deal};
    }
}

/* Each stand-in was held against the header before (audit_ahead.c). */
static void note_gone(struct audit *audit, const struct audit_block *block)
{
    struct body_reader reader;
    struct bytes_view envelope;
    if (!body_has_stand_in(block->body)) {
        return;
    }
    MUST(body_open(&reader, block->body));
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        struct stand_in_outcome outcome;
        MUST(transaction_decode_kept(&transaction, envelope) == CONTRACT_OK);
        if (transaction.stand_in.size == 0) {
            continue;
        }
        add_gone(audit, &transaction);
        MUST(stand_in_outcome(&outcome, transaction.stand_in));
        if (outcome.measured && timestamp_compare(outcome.event.final, audit->gone_final) > 0) {
            audit->gone_final = outcome.event.final;
            audit->gone_height = audit->tip.height + 1;
        }
    }
}

const struct audit_gone *audit_gone(const struct audit *audit, uint64_t *count)
{
    *count = audit->gone_count;
    return audit->gone;
}

static bool take_block(struct audit *audit, const struct audit_block *block)
{
    struct block_header header;
    struct hash id;
    uint64_t height = audit->tip.height + 1;
    if (!block_header_decode(&header, block->header)) {
        return fail(audit, height, "the header is malformed");
    }
    const char *problem = header_problem(audit, &header);
    if (problem != NULL) {
        return fail(audit, height, problem);
    }
    block_header_id(&id, &header);
    MUST(chain_add_checked_body(audit->chain, &header, block->body));
    note_gone(audit, block);
    audit->executing = &header;
    const enum bft_verdict verdict = chain_execute(audit->chain, &id);
    if (verdict == BFT_VERDICT_NOT_YET) {
        return fail(
            audit, height,
            "the block is under newer rules than this program has: verify with a newer flex");
    }
    if (verdict != BFT_VERDICT_VALID) {
        return fail(audit, height, "executing the block does not lead to the header's roots");
    }
    struct finality finality;
    struct merkle_frontier log = audit->tip.log;
    bool certified = block->certificate.size > 0;
    if (certified && !finality_decode(&finality, block->certificate)) {
        return fail(audit, height, "the certificate is malformed");
    }
    problem = boundary_problem(audit, &header, certified ? &finality : NULL);
    if (problem != NULL) {
        return fail(audit, height, problem);
    }
    char digest_problem[AUDIT_PROBLEM_SIZE];
    if (!audit_digests_take(&audit->digests, audit->tip.time, &header, digest_problem)) {
        return fail(audit, height, digest_problem);
    }
    bool ends = certified && finality.ends_epoch;
    enum store_result result =
        ends ? chain_commit_boundary(audit->chain, &header, &finality.certificate, finality.headers)
             : chain_commit(audit->chain, &header, certified ? &finality.certificate : NULL);
    if (result != STORE_OK) {
        return fail(audit, height, "memory ran out");
    }
    audit->certified = certified ? height : audit->certified;
    audit->before_last = log;
    audit->last = header;
    note_root(audit, &header.log_root, height - 1);
    if (ends) {
        audit->trust.set = finality.next_set;
        audit_ahead_trust(audit->ahead, &audit->trust, chain_next_epoch(audit->chain));
    }
    return true;
}

static void tell_progress(struct audit *audit, bool last)
{
    int64_t now = wait_now_ms();
    if (audit->options.progress == NULL || (!last && now - audit->told_ms < 200)) {
        return;
    }
    int64_t span = now - audit->started_ms;
    uint64_t rate =
        span > 0 ? (audit->tip.transactions - audit->transactions_before) * 1000 / (uint64_t)span
                 : 0;
    fprintf(audit->options.progress,
            "\rblock %" PRIu64 " of %" PRIu64 ", %" PRIu64 " transactions, %" PRIu64 "/s%s",
            audit->tip.height, audit->wanted, audit->tip.transactions, rate, last ? "\n" : "");
    fflush(audit->options.progress);
    audit->told_ms = now;
}

/* Keeps the ring full: what stands in it is checked while a block is executed. */
static void fill(struct audit *audit)
{
    struct audit_block block;
    while (audit_ahead_count(audit->ahead) < AUDIT_AHEAD_BLOCKS &&
           audit_reader_next(&audit->reader, &block)) {
        audit_ahead_push(audit->ahead, &block);
    }
}

static bool take_blocks(struct audit *audit)
{
    for (;;) {
        struct audit_block block;
        fill(audit);
        if (audit_ahead_count(audit->ahead) == 0) {
            break;
        }
        const char *why = audit_ahead_take(audit->ahead, &block);
        if (why != NULL) {
            return fail(audit, audit->tip.height + 1, why);
        }
        if (!take_block(audit, &block)) {
            return false;
        }
        tell_progress(audit, false);
    }
    if (audit->reader.fault != NULL) {
        return fail(audit, audit->tip.height + 1, audit->reader.fault);
    }
    MUST(audit->tip.height == audit->wanted);
    if (audit->certified != audit->wanted) {
        return fail(audit, audit->certified + 1, "no finalization covers the block");
    }
    return true;
}

/* --- the whole ----------------------------------------------------------------------------- */

/* The export's own block at the checkpoint's height must be the one that was verified. */
static bool meet_checkpoint(struct audit *audit)
{
    struct audit_block block;
    struct block_header header;
    struct hash id;
    uint64_t height = audit->tip.height;
    if (audit->wanted < height) {
        return fail(audit, audit->wanted, "the export ends before the checkpoint");
    }
    if (!audit_reader_next(&audit->reader, &block)) {
        return fail(audit, height, audit->reader.fault);
    }
    if (!block_header_decode(&header, block.header)) {
        return fail(audit, height, "the header is malformed");
    }
    block_header_id(&id, &header);
    return hash_equal(&id, &audit->tip.block_id) ||
           fail(audit, height, "the block is not the one of the checkpoint");
}

static bool take_export(struct audit *audit, const char *directory)
{
    uint64_t height = audit->tip.height;
    audit_reader_open(&audit->reader, directory, height == 0 ? 0 : height - 1, audit->wanted);
    if (height > 0 && !meet_checkpoint(audit)) {
        audit_reader_close(&audit->reader);
        return false;
    }
    audit->ahead = audit_ahead_start(&audit->trust, chain_next_epoch(audit->chain));
    MUST(audit->ahead != NULL);
    bool good = take_blocks(audit);
    audit_ahead_stop(audit->ahead);
    audit_reader_close(&audit->reader);
    return good;
}

static bool run(struct audit *audit, const char *directory, const struct genesis *genesis)
{
    char problem[AUDIT_PROBLEM_SIZE];
    if (!audit_manifest_read(&audit->wanted, directory, genesis, problem)) {
        return fail(audit, 0, problem);
    }
    if (!audit_genesis_copy_is_whole(directory, genesis)) {
        return fail(audit, 0, "the export's copy of the genesis is not the one that is trusted");
    }
    audit_digests_begin(&audit->digests, directory, genesis, audit->tip.time);
    if (!take_export(audit, directory)) {
        return false;
    }
    if (!audit_digests_finish(&audit->digests, problem)) {
        return fail(audit, 0, problem);
    }
    if (timestamp_compare(audit->gone_final, audit->tip.time) > 0) {
        return fail(audit, audit->gone_height,
                    "the readings of a deal that could still be disputed are missing");
    }
    struct audit_totals totals;
    if (!audit_totals(&totals, audit_state(audit), problem)) {
        return fail(audit, audit->tip.height, problem);
    }
    if (audit->options.checkpoint != NULL && audit->tip.height > 0 &&
        !audit_checkpoint_write(audit->options.checkpoint, &audit->trust.genesis, &audit->last,
                                &audit->before_last, audit_state(audit), problem)) {
        return fail(audit, audit->tip.height, problem);
    }
    return true;
}

/* Starts where the checkpoint ends, if there is one. */
static bool begin_at_checkpoint(struct audit *audit, char problem[AUDIT_PROBLEM_SIZE])
{
    const char *path = audit->options.checkpoint;
    if (path == NULL || !files_exists(path)) {
        return true;
    }
    if (!audit_checkpoint_read(path, &audit->trust.genesis, audit->memory, &audit->tip,
                               &audit->last, &audit->before_last, problem)) {
        return false;
    }
    audit->certified = audit->tip.height;
    audit->transactions_before = audit->tip.transactions;
    audit->outcome->from = audit->tip.height;
    return true;
}

static bool begin(struct audit *audit, const struct genesis *genesis,
                  const struct chain_backend *backend)
{
    char *reason = audit->outcome->reason;
    char problem[160] = "its validators are not a valid set";
    if (proof_trust_from_genesis(&audit->trust, genesis)) {
        if (!begin_at_checkpoint(audit, reason)) {
            audit->outcome->bad_checkpoint = true;
            return false;
        }
        audit->chain = chain_open(genesis, backend, problem);
    }
    if (audit->chain == NULL) {
        snprintf(reason, AUDIT_PROBLEM_SIZE, "genesis: %s", problem);
        return false;
    }
    if (audit->tip.height > 0) {
        chain_next_validators(audit->chain, &audit->trust.set);
    }
    return true;
}

struct audit *audit_verify(struct audit_outcome *outcome, const char *directory,
                           const struct genesis *genesis, FILE *progress)
{
    struct audit_options options = {.progress = progress};
    return audit_run(outcome, directory, genesis, &options);
}

struct audit *audit_run(struct audit_outcome *outcome, const char *directory,
                        const struct genesis *genesis, const struct audit_options *options)
{
    memset(outcome, 0, sizeof *outcome);
    struct audit *audit = calloc(1, sizeof *audit);
    MUST(audit != NULL);
    audit->outcome = outcome;
    audit->options = *options;
    audit->started_ms = wait_now_ms();
    audit->memory = memory_base_create();
    MUST(audit->memory != NULL);
    struct chain_backend backend = {.context = audit,
                                    .base = memory_base_face(audit->memory),
                                    .commit = memory_commit,
                                    .tip = memory_tip};
    if (!begin(audit, genesis, &backend)) {
        audit_close(audit);
        return NULL;
    }
    outcome->ok = run(audit, directory, genesis);
    if (outcome->ok) {
        outcome->height = audit->tip.height;
    }
    outcome->state_root = audit->tip.state_root;
    merkle_frontier_root(&outcome->log_root, &audit->tip.log);
    note_root(audit, &outcome->log_root, audit->tip.height);
    outcome->transactions = audit->tip.transactions;
    outcome->not_reexecuted = audit->gone_count;
    outcome->milliseconds = (uint64_t)(wait_now_ms() - audit->started_ms);
    tell_progress(audit, true);
    return audit;
}

const struct state_base *audit_state(struct audit *audit)
{
    return memory_base_face(audit->memory);
}

void audit_close(struct audit *audit)
{
    if (audit->chain != NULL) {
        chain_close(audit->chain);
    }
    memory_base_destroy(audit->memory);
    free(audit->gone);
    free(audit);
}
