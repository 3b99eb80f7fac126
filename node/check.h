/* What `flexd check` and a start say about the data of a home: the chain database (storage/store_check.h)
 * and the vote journals (storage/journal.h). */
#ifndef FLEX_NODE_CHECK_H
#define FLEX_NODE_CHECK_H

#include "contracts/genesis.h"
#include "node/config.h"
#include "storage/store_check.h"

struct cJSON;

struct node_check {
    const struct node_config *config;
    const struct genesis *genesis;
    struct hash genesis_hash;
    struct store_check_report store;
    enum store_result result;        /* of store_check */
    char problem[NODE_PROBLEM_SIZE]; /* why there is no verdict, or what was found first */
    uint64_t journal_findings;
    uint32_t torn_journals;
    uint64_t milliseconds; /* of the database's check */
};

/* Checks the database, and the journals unless `quick`; `progress` goes to stderr. An exit code of
 * commands.h: DONE also where there is no database yet; DAMAGED, ALREADY_RUNS or FAILED with
 * check->problem. Fills `out`, unless NULL, with the members "store" and "journals". */
int node_check_data(struct node_check *check, struct cJSON *out, bool quick, bool progress);
/* The same for people, on stdout. */
void node_check_print(const struct node_check *check);

#endif
