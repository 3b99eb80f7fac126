/* The chain stage of a check: format, tip, and every block with all that refers to it (store_check.h).
 *
 * A header is bound to the one before it by the parent's id and the history log, to its transactions
 * and receipts by their roots, and to the validators by certificates; the walk goes up from genesis and
 * follows the sets through the ends of epochs. Counting the tables then shows that nothing stands
 * beside what the walk has seen.
 *
 * Bodies that were pruned are not missed, nor are the headers that a snapshot did not bring
 * (docs/spec/snapshot.md): below its floor such a store has the ends of epochs alone, which is enough to
 * follow the sets; the history log is then taken up from the headers, not from genesis.
 *
 * Invariants:
 *  1. Certificates are checked with every signature, under the set that the chain itself has led to.
 *  2. A block without a certificate of its own is final by a later one's, through parent ids; the
 *     newest may still wait for its own (a commit is one height).
 *
 * Deliberately absent: execution. That the state is right follows from its root in a certified header;
 * whoever doubts the validators' arithmetic runs flex audit verify. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contracts/body.h"
#include "contracts/ledger.h"
#include "contracts/witness.h"
#include "storage/store_check_internal.h"

struct chain_walk {
    struct check *check;
    struct validator_set set;
    struct hash set_hash;
    uint64_t epoch;
    struct hash parent_id;
    uint64_t parent_view;
    struct timestamp parent_time;
    struct merkle_frontier log;
    struct store_floor floor;
    bool linked;    /* the block below the one at hand is here */
    bool log_known; /* all blocks from genesis on, or from the floor on, have been here */
    uint64_t headers;
    uint64_t bodies;
    struct hash *leaves; /* LIMIT_TX_PER_BLOCK + 1 */
};

__attribute__((format(printf, 3, 4))) static void find_at(struct chain_walk *walk, uint64_t height,
                                                          const char *what, ...)
{
    char text[160];
    va_list list;
    va_start(list, what);
    (void)vsnprintf(text, sizeof text, what, list);
    va_end(list);
    check_find(walk->check, "block %llu: %s", (unsigned long long)height, text);
}

/* --- parts of a block ------------------------------------------------------------------------ */

static void check_header(struct chain_walk *walk, const struct block_header *header)
{
    struct hash log_root;
    merkle_frontier_root(&log_root, &walk->log);
    if (header->version != BLOCK_HEADER_VERSION ||
        !hash_equal(&header->genesis, &walk->check->config->genesis)) {
        find_at(walk, header->height, "its header is of another chain or version");
    }
    if (header->epoch != walk->epoch) {
        find_at(walk, header->height, "its epoch is not the one that the blocks below led to");
    }
    if (walk->log_known && !hash_equal(&header->log_root, &log_root)) {
        find_at(walk, header->height, "its history log is not that of the blocks below it");
    }
    if (!walk->linked) {
        return;
    }
    if (!hash_equal(&header->parent_id, &walk->parent_id)) {
        find_at(walk, header->height, "its parent is not the block below it");
    }
    if (header->parent_view != walk->parent_view || header->view <= walk->parent_view) {
        find_at(walk, header->height, "its view does not follow on its parent's");
    }
    if (timestamp_compare(header->time, walk->parent_time) <= 0) {
        find_at(walk, header->height, "its time is not above its parent's");
    }
}

/* The index leads from the transaction's id back to where it stands. */
static void check_index(struct chain_walk *walk, const struct hash *tx_id, uint64_t height,
                        uint32_t index)
{
    const struct store *store = &walk->check->store;
    struct bytes_view bytes;
    struct byte_reader reader;
    const enum store_result result =
        store_get(store->reader.txn, store->tables[TABLE_TRANSACTIONS], hash_view(tx_id), &bytes);
    if (result != STORE_OK) {
        check_find_record(walk->check, store_table_name(TABLE_TRANSACTIONS), hash_view(tx_id),
                          store_result_text(result));
        return;
    }
    byte_reader_init(&reader, bytes.data, bytes.size);
    const uint64_t at_height = byte_read_u64(&reader);
    const uint32_t at_index = byte_read_u32(&reader);
    if (!byte_reader_done(&reader) || at_height != height || at_index != index) {
        check_find_record(walk->check, store_table_name(TABLE_TRANSACTIONS), hash_view(tx_id),
                          "does not lead to where the transaction stands");
    }
}

static void check_body(struct chain_walk *walk, const struct store_block *block,
                       const struct block_header *header, uint32_t *count)
{
    struct body_reader reader;
    struct bytes_view envelope;
    struct hash root;
    struct body_witnesses witnesses;
    *count = 0;
    if (!body_kept_root(&root, &witnesses, block->body, &header->receipt_root, walk->leaves) ||
        !hash_equal(&root, &header->tx_root) || !body_open(&reader, block->body)) {
        find_at(walk, block->height, "its body is not the one that its header names");
        return;
    }
    while (body_next(&reader, &envelope)) {
        struct transaction transaction;
        if (transaction_decode_kept(&transaction, envelope) != CONTRACT_OK) {
            find_at(walk, block->height, "transaction %u is malformed", (unsigned)*count);
            return;
        }
        check_index(walk, &transaction.id, block->height, *count);
        (*count)++;
    }
    walk->check->report->transactions += *count;
}

static void check_receipts(struct chain_walk *walk, const struct store_block *block,
                           const struct block_header *header, uint32_t tx_count)
{
    struct byte_reader reader;
    struct hash root;
    byte_reader_init(&reader, block->receipts.data, block->receipts.size);
    const uint32_t count = byte_read_u32(&reader);
    bool good = !reader.failed && count == tx_count + 1;
    for (uint32_t i = 0; good && i < count; i++) {
        struct receipt receipt;
        const struct bytes_view bytes = byte_read_sized(&reader, block->receipts.size);
        good = !reader.failed && codec_decode_all(&receipt_record, &receipt, bytes);
        if (good) {
            receipt_leaf(&walk->leaves[i], &receipt);
        }
    }
    if (good) {
        merkle_root(&root, walk->leaves, count);
    }
    if (!good || !byte_reader_done(&reader) || !hash_equal(&root, &header->receipt_root)) {
        find_at(walk, block->height, "its receipts are not those that its header names");
    }
}

/* NULL if what stands behind the header makes the block final, or is nothing. */
static const char *finality_problem(struct chain_walk *walk, const struct store_block *block,
                                    const struct block_header *header, bool ends)
{
    struct finality finality;
    struct block_header last = *header;
    struct hash id;
    if (block->certificate.size == 0) {
        return ends ? "it ends an epoch and has no certificate" : NULL;
    }
    if (!finality_decode(&finality, block->certificate) ||
        !finality_follow(&last, finality.headers)) {
        return "its certificate is malformed";
    }
    block_header_id(&id, &last);
    if (!hash_equal(&finality.certificate.block_id, &id) ||
        finality.certificate.kind != VOTE_FINALIZE || finality.certificate.view != last.view ||
        finality.certificate.epoch != walk->epoch) {
        return "its certificate is another block's";
    }
    if (!certificate_verify(&finality.certificate, &walk->check->config->genesis, &walk->set)) {
        return "its certificate does not hold under the validators of its epoch";
    }
    walk->check->report->certificates++;
    if (finality.ends_epoch != ends) {
        return "its certificate ends an epoch where none ends, or fails to";
    }
    if (!ends) {
        return NULL;
    }
    validator_set_hash(&walk->set_hash, &finality.next_set);
    if (!hash_equal(&walk->set_hash, &header->next_set) ||
        !validator_set_is_valid(&finality.next_set)) {
        return "the validators behind its certificate are not those that its header names";
    }
    walk->set = finality.next_set;
    walk->epoch++;
    return NULL;
}

/* --- the walk -------------------------------------------------------------------------------- */

static void check_genesis_block(struct chain_walk *walk)
{
    const struct store *store = &walk->check->store;
    struct bytes_view bytes;
    const struct hash *genesis = &walk->check->config->genesis;
    const enum store_result result =
        store_get(store->reader.txn, store->tables[TABLE_IDS], hash_view(genesis), &bytes);
    static const uint8_t zero[8];
    if (result != STORE_OK || !bytes_view_equal(bytes, bytes_view_of(zero, sizeof zero))) {
        find_at(walk, 0, "the genesis hash is not indexed as height 0");
    }
}

static void append_to_log(struct chain_walk *walk, const struct hash *id)
{
    struct hash leaf;
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, id->bytes, HASH_SIZE);
    merkle_frontier_append(&walk->log, &leaf);
}

/* Body, receipts and indexes of a block, unless they were pruned. */
static void check_contents(struct chain_walk *walk, const struct store_block *block,
                           const struct block_header *header)
{
    uint32_t tx_count = 0;
    if (block->height < walk->floor.bodies) {
        return;
    }
    walk->bodies++;
    check_body(walk, block, header, &tx_count);
    check_receipts(walk, block, header, tx_count);
}

/* False if there is no going on from this block. */
static bool check_block(struct chain_walk *walk, uint64_t height)
{
    const struct store_reader *reader = &walk->check->store.reader;
    struct store_block block;
    struct block_header header;
    struct hash id = walk->check->config->genesis;
    const bool whole = height == 0 || height >= walk->floor.bodies;
    const enum store_result result = whole ? store_reader_block(reader, height, &block)
                                           : store_reader_header(reader, height, &block);
    if (result != STORE_OK) {
        find_at(walk, height, "%s",
                result == STORE_ABSENT ? "it is missing"
                                       : "a part is missing, or its id is not indexed");
        return false;
    }
    walk->headers++;
    if (height == 0) {
        walk->bodies++;
        check_genesis_block(walk);
        append_to_log(walk, &id);
        return true;
    }
    if (!block_header_decode(&header, block.header)) {
        find_at(walk, height, "its header is malformed");
        return false;
    }
    block_header_id(&id, &header);
    check_header(walk, &header);
    check_contents(walk, &block, &header);
    const bool ends = !hash_equal(&header.next_set, &walk->set_hash);
    const char *problem = finality_problem(walk, &block, &header, ends);
    if (problem != NULL) {
        find_at(walk, height, "%s", problem);
    }
    append_to_log(walk, &id);
    walk->parent_id = id;
    walk->parent_view = header.view;
    walk->parent_time = header.time;
    walk->check->report->blocks++;
    if (height == walk->check->report->tip.height &&
        !hash_equal(&header.state_root, &walk->check->report->tip.state_root)) {
        find_at(walk, height, "its state root is not the tip's");
    }
    return problem == NULL || !ends;
}

/* The tip is the last block that the walk has seen. */
static void check_tip(struct chain_walk *walk)
{
    const struct store_check_report *report = walk->check->report;
    const struct store_tip *tip = &report->tip;
    struct hash log_root;
    struct hash tip_log_root;
    merkle_frontier_root(&log_root, &walk->log);
    merkle_frontier_root(&tip_log_root, &tip->log);
    if (!hash_equal(&tip->block_id, &walk->parent_id) || tip->view != walk->parent_view ||
        (tip->height > 0 && timestamp_compare(tip->time, walk->parent_time) != 0)) {
        check_find(walk->check, "the tip is not the highest block");
    }
    if (tip->log.count != tip->height + 1 ||
        (walk->log_known && !hash_equal(&log_root, &tip_log_root))) {
        check_find(walk->check, "the tip's history log is not that of the blocks");
    }
    if (tip->transactions < report->transactions ||
        (walk->floor.bodies <= 1 && tip->transactions != report->transactions)) {
        check_find(walk->check, "the tip counts %llu transactions, the blocks hold %llu",
                   (unsigned long long)tip->transactions, (unsigned long long)report->transactions);
    }
}

static uint64_t entries_of(struct chain_walk *walk, enum store_table table)
{
    const struct store *store = &walk->check->store;
    MDB_stat stat;
    if (mdb_stat(store->reader.txn, store->tables[table], &stat) != MDB_SUCCESS) {
        walk->check->fault = true;
        return 0;
    }
    return stat.ms_entries;
}

/* What the walk has not seen must not be there. Of pruned bodies the index of transactions stays, and a
 * snapshot brings none, so there it can only be held to bounds. */
static void check_counts(struct chain_walk *walk)
{
    const struct store_check_report *report = walk->check->report;
    const struct {
        enum store_table table;
        uint64_t least;
        uint64_t most;
    } wanted[] = {{TABLE_BLOCKS, walk->headers, walk->headers},
                  {TABLE_IDS, walk->headers, walk->headers},
                  {TABLE_BODIES, walk->bodies, walk->bodies},
                  {TABLE_RECEIPTS, walk->bodies, walk->bodies},
                  {TABLE_TRANSACTIONS,
                   walk->floor.headers <= 1 ? report->tip.transactions : report->transactions,
                   report->tip.transactions}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const uint64_t found = entries_of(walk, wanted[i].table);
        if (found < wanted[i].least || found > wanted[i].most) {
            check_find(walk->check, "table %s holds %llu records instead of %llu",
                       store_table_name(wanted[i].table), (unsigned long long)found,
                       (unsigned long long)wanted[i].least);
        }
    }
}

/* The next height above `height` that the table of blocks has; the floor of headers at most. */
static uint64_t next_height(struct chain_walk *walk, uint64_t height)
{
    const struct store *store = &walk->check->store;
    uint8_t bytes[STORE_HEIGHT_KEY_SIZE];
    MDB_val key = store_val(store_height_key(bytes, height + 1));
    MDB_val value;
    MDB_cursor *cursor = NULL;
    struct byte_reader reader;
    if (height + 1 >= walk->floor.headers) {
        return height + 1;
    }
    if (mdb_cursor_open(store->reader.txn, store->tables[TABLE_BLOCKS], &cursor) != MDB_SUCCESS) {
        walk->check->fault = true;
        return walk->floor.headers;
    }
    const int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    byte_reader_init(&reader, key.mv_data, key.mv_size);
    const uint64_t next = byte_read_u64(&reader);
    return code == MDB_SUCCESS && byte_reader_done(&reader) && next < walk->floor.headers
               ? next
               : walk->floor.headers;
}

static bool check_format(struct check *check)
{
    const struct store *store = &check->store;
    uint8_t expected[STORE_FORMAT_BYTES];
    struct bytes_view found;
    store_format_encode(expected, &check->config->genesis);
    enum store_result result =
        store_get(store->reader.txn, store->tables[TABLE_META], store_format_key, &found);
    if (result != STORE_OK || !bytes_view_equal(found, bytes_view_of(expected, sizeof expected))) {
        check_find(check, "the database was made for another chain or by another version");
        return false;
    }
    result = store_reader_tip(&store->reader, &check->report->tip);
    check->report->has_tip = result == STORE_OK;
    /* Without a tip nothing counts: what a load has left behind goes at the next start. */
    if (result != STORE_OK && result != STORE_ABSENT) {
        check_find(check, "the tip cannot be read: %s", store_result_text(result));
    }
    return check->report->has_tip;
}

static bool check_floor(struct chain_walk *walk)
{
    const struct store_tip *tip = &walk->check->report->tip;
    if (store_reader_floor(&walk->check->store.reader, &walk->floor) == STORE_OK &&
        walk->floor.headers <= walk->floor.bodies && walk->floor.headers <= tip->height + 1 &&
        walk->floor.bodies <= tip->height + 1 && walk->floor.witnesses <= tip->height + 1) {
        return true;
    }
    check_find(walk->check, "the floor of pruned blocks is impossible");
    return false;
}

/* At the floor of a store that was loaded the log goes on from what the load has left of it. */
static void take_frontier(struct chain_walk *walk)
{
    const enum store_result result = store_reader_frontier(&walk->check->store.reader, &walk->log);
    walk->log_known = result == STORE_OK;
    if (result != STORE_OK) {
        check_find(walk->check, "the history log below block %llu cannot be read: %s",
                   (unsigned long long)walk->floor.headers, store_result_text(result));
    }
}

static void check_heights(struct chain_walk *walk)
{
    const uint64_t tip = walk->check->report->tip.height;
    uint64_t height = 0;
    walk->linked = walk->log_known = true;
    while (height <= tip) {
        if (!check_block(walk, height)) {
            return;
        }
        check_progress(walk->check, height, tip);
        const uint64_t next = next_height(walk, height);
        walk->linked = next == height + 1;
        walk->log_known = walk->log_known && walk->linked;
        if (next == walk->floor.headers && next > 1) {
            take_frontier(walk);
        }
        height = next;
    }
    check_tip(walk);
    check_counts(walk);
}

void check_chain(struct check *check)
{
    struct chain_walk walk = {.check = check, .set = *check->config->set};
    if (!check_format(check) || !check_floor(&walk)) {
        return;
    }
    walk.leaves = calloc(LIMIT_TX_PER_BLOCK + 1, sizeof *walk.leaves);
    if (walk.leaves == NULL) {
        check->fault = true;
        return;
    }
    validator_set_hash(&walk.set_hash, &walk.set);
    walk.parent_id = check->config->genesis;
    walk.parent_time = timestamp_of(INT64_MIN);
    merkle_frontier_init(&walk.log);
    check_heights(&walk);
    free(walk.leaves);
}
