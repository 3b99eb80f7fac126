/* The proof of reserves, checked pot by pot (docs/spec/state.md, "Proof of reserves"; D2.3 4.2.3).
 *
 * What the supply record says is compared with sums that are made here, over the records themselves, by
 * code that has no part in moving money. Where the records come from is the caller's affair: a state
 * that was re-executed, or a snapshot that the state root binds. NULL is never valid. */
#ifndef FLEX_TOOLS_RESERVES_H
#define FLEX_TOOLS_RESERVES_H

#include "contracts/genesis.h"
#include "contracts/records.h"

enum { RESERVES_PROBLEM_SIZE = 160 };

struct reserves {
    struct supply_record supply; /* as the record says */
    bool has_supply;
    int128 held[POT_KIND_COUNT]; /* as the pots say */
    int128 minted;               /* as the receipts' references say */
    int128 burned;
    uint64_t pots;
    uint64_t references;
};

/* One entry of the state; what is no supply, pot, order, deal or receipt passes. False with the reason if
 * it is malformed, or a pot is below zero. All zero is the beginning. */
bool reserves_take(struct reserves *reserves, struct bytes_view key, struct bytes_view value,
                   char problem[RESERVES_PROBLEM_SIZE]);
/* After the last entry: each total is that of its pots, minted and burned are those of the receipts, and
 * what is held is minted less burned. False with the first that is not. */
bool reserves_check(const struct reserves *reserves, char problem[RESERVES_PROBLEM_SIZE]);
/* What the record alone can show: no total is below zero, and their sum is minted less burned. */
bool reserves_record_adds_up(const struct supply_record *supply);

/* Where a snapshot's parts come from. *bytes is malloc'ed and the walk's to free; false: the walk ends,
 * and whoever gave it has said why. */
struct reserves_parts {
    bool (*read)(void *context, int kind, uint32_t index, struct bytes_view *bytes);
    void *context;
};
enum reserves_walk {
    RESERVES_WALKED,
    RESERVES_UNREAD,   /* a part could not be had */
    RESERVES_UNPROVEN, /* a part does not lead to the genesis: `problem` */
    RESERVES_WRONG     /* all of it is the chain's, and the sums are not right: `problem` */
};
/* All entries of a snapshot, each chunk bound by the state root of a header that a quorum finalized, from
 * the genesis set on (docs/spec/snapshot.md); *height and *state_root are the snapshot's. */
enum reserves_walk reserves_walk(struct reserves *out, uint64_t *height, struct hash *state_root,
                                 const struct genesis *genesis, const struct reserves_parts *parts,
                                 char problem[RESERVES_PROBLEM_SIZE]);

#endif
