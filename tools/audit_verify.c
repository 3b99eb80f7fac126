/* Offline verification of a whole history (tools/audit_verify.h).
 *
 *   tile -> signatures and certificates on all processors -> block by block: header, execution,
 *   roots -> commit into memory -> next
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

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "contracts/body.h"
#include "node/chain.h"
#include "tools/wait.h"
#include "verify/proof.h"

enum { THREADS_MAX = 16 };

struct audit {
    struct proof_trust trust;
    struct memory_base *memory;
    struct chain *chain;
    struct store_tip tip;
    uint64_t certified; /* the highest block that a certificate covers */
    uint64_t wanted;    /* height that export.json names */
    struct audit_outcome *outcome;
    FILE *progress;
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

/* --- signatures ---------------------------------------------------------------------------- */

/* One tile's blocks, and what the threads that look at them have found. */
struct check {
    const struct proof_trust *trust;
    const struct audit_block *blocks;
    uint32_t count;
    uint32_t threads;
};
struct check_thread {
    const struct check *check;
    uint32_t index;
    uint32_t bad; /* the first bad block of this thread's share; count if none */
    const char *why;
};

static const char *check_block(const struct check *check, const struct audit_block *block)
{
    struct block_header header;
    struct finality finality;
    if (!block_header_decode(&header, block->header)) {
        return "the header is malformed";
    }
    if (block->certificate.size > 0) {
        if (!finality_decode(&finality, block->certificate) ||
            !finality_follow(&header, finality.headers)) {
            return "the certificate is malformed";
        }
        const char *problem =
            proof_certificate_problem(check->trust, &header, &finality.certificate);
        if (problem != NULL) {
            return problem;
        }
    }
    struct body_reader reader;
    struct bytes_view envelope;
    struct transaction transaction;
    if (!body_open(&reader, block->body)) {
        return "the body is malformed";
    }
    while (body_next(&reader, &envelope)) {
        if (transaction_decode(&transaction, envelope) != CONTRACT_OK) {
            return "a transaction is malformed, or its witness is not the one it names";
        }
        if (!transaction_signature_is_valid(&transaction)) {
            return "a transaction's signature is not valid";
        }
    }
    return body_is_whole(&reader) ? NULL : "the body is malformed";
}

static void *check_share(void *context)
{
    struct check_thread *self = context;
    for (uint32_t i = self->index; i < self->check->count; i += self->check->threads) {
        self->why = check_block(self->check, &self->check->blocks[i]);
        if (self->why != NULL) {
            self->bad = i;
            return NULL;
        }
    }
    return NULL;
}

/* Index of the first block with a bad signature or certificate; `count` if there is none. */
static uint32_t check_signatures(const struct check *check, const char **why)
{
    struct check_thread threads[THREADS_MAX];
    pthread_t handles[THREADS_MAX];
    bool started[THREADS_MAX] = {false};
    for (uint32_t i = 0; i < check->threads; i++) {
        threads[i] = (struct check_thread){.check = check, .index = i, .bad = check->count};
        /* The first share is this thread's own; so is one for which no thread could be had. */
        started[i] = i > 0 && pthread_create(&handles[i], NULL, check_share, &threads[i]) == 0;
    }
    for (uint32_t i = 0; i < check->threads; i++) {
        if (!started[i]) {
            check_share(&threads[i]);
        }
    }
    uint32_t bad = check->count;
    for (uint32_t i = 0; i < check->threads; i++) {
        if (started[i]) {
            pthread_join(handles[i], NULL);
        }
        if (threads[i].bad < bad) {
            bad = threads[i].bad;
            *why = threads[i].why;
        }
    }
    return bad;
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
    if (!chain_add_body(audit->chain, &header, block->body, true)) {
        return fail(audit, height, "the body is not the one that the header names");
    }
    if (chain_execute(audit->chain, &id) != BFT_VERDICT_VALID) {
        return fail(audit, height, "executing the block does not lead to the header's roots");
    }
    struct finality finality;
    bool certified = block->certificate.size > 0;
    if (certified && !finality_decode(&finality, block->certificate)) {
        return fail(audit, height, "the certificate is malformed");
    }
    problem = boundary_problem(audit, &header, certified ? &finality : NULL);
    if (problem != NULL) {
        return fail(audit, height, problem);
    }
    bool ends = certified && finality.ends_epoch;
    enum store_result result =
        ends ? chain_commit_boundary(audit->chain, &header, &finality.certificate, finality.headers)
             : chain_commit(audit->chain, &header, certified ? &finality.certificate : NULL);
    if (result != STORE_OK) {
        return fail(audit, height, "memory ran out");
    }
    audit->certified = certified ? height : audit->certified;
    if (ends) {
        audit->trust.set = finality.next_set;
    }
    return true;
}

static void tell_progress(struct audit *audit, bool last)
{
    int64_t now = wait_now_ms();
    if (audit->progress == NULL || (!last && now - audit->told_ms < 200)) {
        return;
    }
    int64_t span = now - audit->started_ms;
    uint64_t rate = span > 0 ? audit->tip.transactions * 1000 / (uint64_t)span : 0;
    fprintf(audit->progress,
            "\rblock %" PRIu64 " of %" PRIu64 ", %" PRIu64 " transactions, %" PRIu64 "/s%s",
            audit->tip.height, audit->wanted, audit->tip.transactions, rate, last ? "\n" : "");
    fflush(audit->progress);
    audit->told_ms = now;
}

static uint32_t thread_count(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > THREADS_MAX ? THREADS_MAX : (uint32_t)online;
}

/* Blocks of a tile that has been cut into records, all of one epoch. */
static bool take_run(struct audit *audit, const struct audit_block *blocks, uint32_t count)
{
    const char *why = NULL;
    struct check check = {&audit->trust, blocks, count, thread_count()};
    uint32_t good = check_signatures(&check, &why);
    for (uint32_t i = 0; i < good; i++) {
        if (!take_block(audit, &blocks[i])) {
            return false;
        }
        tell_progress(audit, false);
    }
    return good == count || fail(audit, audit->tip.height + 1, why);
}

static uint64_t epoch_of(const struct audit_block *block)
{
    struct block_header header;
    return block_header_decode(&header, block->header) ? header.epoch : UINT64_MAX;
}

/* Epoch by epoch: which signatures are good, the state after each boundary block says. */
static bool take_blocks(struct audit *audit, const struct audit_block *blocks, uint32_t count)
{
    for (uint32_t from = 0; from < count;) {
        uint32_t to = from + 1;
        while (to < count && epoch_of(&blocks[to]) == epoch_of(&blocks[from])) {
            to++;
        }
        if (!take_run(audit, &blocks[from], to - from)) {
            return false;
        }
        from = to;
    }
    return true;
}

/* The `expected` blocks of the tile behind the tip. */
static bool take_tile(struct audit *audit, const struct audit_tile *tile, uint32_t expected)
{
    struct audit_block blocks[AUDIT_TILE_BLOCKS];
    struct byte_reader reader;
    uint32_t count = 0;
    byte_reader_init(&reader, tile->data, tile->size);
    while (count < expected && audit_block_read(&blocks[count], &reader)) {
        count++;
    }
    bool whole = byte_reader_done(&reader) && count == expected;
    if (!take_blocks(audit, blocks, count)) {
        return false;
    }
    return whole || fail(audit, audit->tip.height + 1,
                         count < expected ? "a record is cut off or too long"
                                          : "there are bytes behind the last block");
}

static bool take_tiles(struct audit *audit, const char *directory)
{
    while (audit->tip.height < audit->wanted) {
        uint64_t first = audit->tip.height + 1;
        uint64_t left = audit->wanted - audit->tip.height;
        struct audit_tile tile;
        if (!audit_tile_open(&tile, directory, audit_tile_of(first))) {
            return fail(audit, first, "the block's tile is missing or can't be read");
        }
        bool ok =
            take_tile(audit, &tile, left < AUDIT_TILE_BLOCKS ? (uint32_t)left : AUDIT_TILE_BLOCKS);
        audit_tile_close(&tile);
        if (!ok) {
            return false;
        }
    }
    struct audit_tile extra;
    uint64_t next = (audit->wanted + AUDIT_TILE_BLOCKS - 1) / AUDIT_TILE_BLOCKS;
    if (audit_tile_open(&extra, directory, next)) {
        audit_tile_close(&extra);
        return fail(audit, audit->wanted + 1, "there is a tile beyond the height of export.json");
    }
    if (audit->certified != audit->wanted) {
        return fail(audit, audit->certified + 1, "no finalization covers the block");
    }
    return true;
}

/* --- the whole ----------------------------------------------------------------------------- */

static bool run(struct audit *audit, const char *directory, const struct genesis *genesis)
{
    char problem[AUDIT_PROBLEM_SIZE];
    if (!audit_manifest_read(&audit->wanted, directory, genesis, problem)) {
        return fail(audit, 0, problem);
    }
    if (!audit_genesis_copy_is_whole(directory, genesis)) {
        return fail(audit, 0, "the export's copy of the genesis is not the one that is trusted");
    }
    if (!take_tiles(audit, directory)) {
        return false;
    }
    struct audit_totals totals;
    if (!audit_totals(&totals, audit_state(audit), problem)) {
        return fail(audit, audit->tip.height, problem);
    }
    return true;
}

struct audit *audit_verify(struct audit_outcome *outcome, const char *directory,
                           const struct genesis *genesis, FILE *progress)
{
    char problem[160] = "its validators are not a valid set";
    memset(outcome, 0, sizeof *outcome);
    struct audit *audit = calloc(1, sizeof *audit);
    MUST(audit != NULL);
    audit->outcome = outcome;
    audit->progress = progress;
    audit->started_ms = wait_now_ms();
    audit->memory = memory_base_create();
    MUST(audit->memory != NULL);
    struct chain_backend backend = {.context = audit,
                                    .base = memory_base_face(audit->memory),
                                    .commit = memory_commit,
                                    .tip = memory_tip};
    if (proof_trust_from_genesis(&audit->trust, genesis)) {
        audit->chain = chain_open(genesis, &backend, problem);
    }
    if (audit->chain == NULL) {
        snprintf(outcome->reason, sizeof outcome->reason, "genesis: %s", problem);
        audit_close(audit);
        return NULL;
    }
    outcome->ok = run(audit, directory, genesis);
    if (outcome->ok) {
        outcome->height = audit->tip.height;
    }
    outcome->state_root = audit->tip.state_root;
    outcome->transactions = audit->tip.transactions;
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
    free(audit);
}
