/* A deterministic cluster of consensus cores: virtual time, network, journals and executor, one
 * thread, one seed. The production core runs in it unmodified, except for a cheap signature scheme
 * (a keyed hash) unless `real_signatures` asks for Ed25519.
 *
 * Until a random moment (GST) the network loses, delays, duplicates and splits, and nodes crash at
 * the boundaries of a turn's write: before it, after the sync, between two sends. Then it heals, and
 * every honest node must decide three more heights within a bound. The oracles of consensus.md 14
 * are checked as things happen; the first broken one ends the run. */
#ifndef FLEX_TESTS_CLUSTER_H
#define FLEX_TESTS_CLUSTER_H

#include "consensus/bft_internal.h"

enum { CLUSTER_NODES = 32, CLUSTER_VIEWS = 4096, CLUSTER_BLOCKS = 8192, CLUSTER_FAILURE = 160 };
enum { CLUSTER_EPOCHS = 4 };

enum cluster_persona {
    PERSONA_HONEST,
    PERSONA_SILENT,      /* receives, never says a word */
    PERSONA_EQUIVOCATOR, /* two blocks for two halves, votes for both, random votes, amnesia */
    PERSONA_NULLIFIER,   /* nullifies every view, also those that it votes to finalize */
    PERSONA_LIAR,        /* proposes blocks with a wrong state root or a time out of bounds */
    PERSONA_COUNT,
    PERSONA_SCRIPTED /* as honest, but for what a script makes it say; never by seed */
};

/* The set of an epoch: a run of the nodes' keys. */
struct cluster_epoch {
    uint64_t boundary; /* height of the block that ends the epoch before; 0 for the first */
    uint32_t first;
    uint32_t count;
};

struct cluster_config {
    uint32_t validators;  /* nodes with a key; in the set as `epochs` says */
    uint32_t epoch_count; /* 0: one epoch with all of them */
    struct cluster_epoch epochs[CLUSTER_EPOCHS];
    uint64_t seed;
    uint32_t mutants;       /* enum bft_mutant, in every honest core */
    bool lose_vote_records; /* the journal forgets half of the own votes */
    bool real_signatures;
    bool observer;         /* one more node that only follows */
    int persona;           /* of the faulty ones; -1: by seed */
    uint64_t calm_ms;      /* GST, with no faults before it; 0: by seed, with faults */
    struct script *script; /* NULL: faults by seed; else no chance at all (script.h) */
    bool late;             /* the last node (observer, else validator) starts at GST */
};

struct cluster_result {
    char failure[CLUSTER_FAILURE]; /* empty: every oracle held */
    bool safety;                   /* what failed is safety, not liveness */
    uint64_t healed_ms;            /* from GST until everybody had decided three more heights */
    uint64_t heights;
    uint64_t steps;
    uint32_t evidence;
    uint32_t proven_by_descendants; /* boundary blocks without a finalization of their own */
    struct hash trace;              /* over every effect: equal seeds give equal traces */
};

void cluster_run(const struct cluster_config *config, struct cluster_result *result);
/* Keys, set and a configuration for tests that drive one core by hand. */
void cluster_keys(struct validator_set *set, struct secret_key *seeds, uint32_t validators);
void cluster_config_for(struct bft_config *out, uint32_t validators, int self);
const struct bft_signing *cluster_signing(void);

#endif
