/* flexd check --repair: a database made anew from what is good in a damaged one. */
#ifndef FLEX_NODE_REPAIR_H
#define FLEX_NODE_REPAIR_H

#include "contracts/genesis.h"
#include "node/config.h"

struct node_repair {
    uint64_t height; /* up to which the new database goes; the rest comes from the others */
    char stopped[NODE_PROBLEM_SIZE]; /* why not further: a sentence */
    char kept[NODE_PATH_MAX];        /* where the damaged database is now */
};

/* Re-executes every block of HOME/data from genesis on, as long as header, body and certificate are good,
 * into a new database, and puts that in its place; the old one is kept beside it. Nothing is believed of
 * the old one but what the genesis leads to. False with a sentence in `problem`, and HOME/data as it was,
 * if another process has it open, if it has no bodies from genesis on (pruned, or begun with a snapshot),
 * or if the disk has no room. No other thread may run: it forks. */
bool node_repair(struct node_repair *out, const struct node_config *config,
                 const struct genesis *genesis, const struct hash *genesis_hash,
                 char problem[NODE_PROBLEM_SIZE]);

#endif
