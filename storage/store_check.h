/* Checking a chain database at rest: everything that is provable about it, without writing a byte.
 *
 * Three stages, each on the ground that the one before has found firm:
 *
 *   pages    LMDB's own structure and free list (page_walk.h), and each record's checksum
 *   chain    format and tip; block by block: id, parent, epoch, history log, transactions, receipts,
 *            the indexes, the certificate under the set of its epoch; nothing beside that
 *   state    each state record against the tree and the tree against the tip's state root; no node and
 *            no record beside them
 *
 * A store with a finding in one stage is not looked at in the next: LMDB may not be trusted with a
 * damaged page, and one missing record would be told again by everything that refers to it. */
#ifndef FLEX_STORAGE_STORE_CHECK_H
#define FLEX_STORAGE_STORE_CHECK_H

#include "storage/store.h"

enum { STORE_FINDING_SIZE = 256, STORE_FINDINGS_KEPT = 16 };

enum store_check_stage { STORE_CHECK_PAGES, STORE_CHECK_CHAIN, STORE_CHECK_STATE };
const char *store_check_stage_name(enum store_check_stage stage);

struct store_check_config {
    const char *directory;
    struct hash genesis;
    const struct validator_set *set; /* of epoch 0 */
    /* What a start can afford on a long chain: of the pages stage, what the state, its tree and the
     * tip stand on, and of all other tables the branches. */
    bool quick;
    /* Now and then; may be NULL. */
    void (*progress)(void *context, enum store_check_stage stage, uint64_t done, uint64_t all);
    void *context;
};

struct store_check_report {
    enum store_check_stage stage; /* the last one that was entered */
    uint64_t findings;
    uint32_t kept;
    char finding[STORE_FINDINGS_KEPT][STORE_FINDING_SIZE]; /* the first ones, a sentence each */
    bool has_tip;
    struct store_tip tip;
    uint64_t pages;
    uint64_t bytes;        /* read of the file by the pages stage */
    uint64_t records;      /* of all tables */
    uint64_t blocks;       /* genesis not counted */
    uint64_t transactions; /* found in bodies */
    uint64_t certificates; /* with their signatures */
    uint64_t state_records;
    uint64_t tree_nodes;
};

/* OK: looked at, with report->findings or none. ABSENT: there is no database. LOCKED: a node has it
 * open; nobody may open it until this returns. MISMATCH: another chain's, or a version or machine that
 * this code does not know. FAULT: memory, or the file cannot be opened. */
enum store_result store_check(struct store_check_report *report,
                              const struct store_check_config *config);

#endif
