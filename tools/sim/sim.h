/* The whole-cluster simulator: one thread, one seed, virtual clock, network and disks; the production
 * consensus core, chain, mempool and contracts run in it unmodified (docs/simulator.md).
 *
 * Until a moment picked by the seed (GST) the network loses, delays and splits, nodes crash at the
 * boundaries of a turn's write, disks lie and clocks jump. Then it heals, and every honest node that
 * can must commit further heights within a bound worked out from the timeouts. What must hold is
 * checked as things happen; the first broken rule ends the run. Equal configurations give equal
 * digests on every machine. */
#ifndef FLEX_TOOLS_SIM_H
#define FLEX_TOOLS_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "tools/sim/twins.h"

enum {
    SIM_FAILURE_SIZE = 240,
    SIM_PERSONA_RANDOM = -1,
    SIM_PERSONA_NONE = -2,
    SIM_BYZANTINE_RANDOM = -1
};

enum sim_epochs {
    SIM_EPOCHS_RANDOM, /* in one run of eleven, by its seed */
    SIM_EPOCHS_NONE,
    SIM_EPOCHS_ALWAYS, /* one to three changes of the set */
    SIM_EPOCHS_TOUR,   /* from 4 validators to 7, 31, 7 and 4, one by one */
    SIM_EPOCHS_COUNT
};

enum sim_outcome { SIM_HELD, SIM_SAFETY, SIM_LIVENESS, SIM_CRASH };

struct sim_config {
    uint64_t seed;
    uint32_t validators; /* LIMIT_VALIDATORS_MIN to LIMIT_VALIDATORS */
    int persona;         /* an index of sim_persona_by_name, or one of the two above */
    int byzantine;       /* how many; SIM_BYZANTINE_RANDOM: as the persona says, at most f */
    enum sim_epochs epochs;
    uint32_t mutant;       /* 0 none, else from sim_mutant_by_name */
    bool ed25519;          /* real signatures of votes instead of a keyed hash */
    bool calm;             /* no faults of network, disk, clock or power */
    bool trace;            /* tell the story on standard output */
    bool upgrade;          /* new rules are voted in; wants a program that has two versions */
    uint32_t twins_rounds; /* above 0: a scenario of the twins campaign, `byzantine` are twinned */
    uint64_t twins_index;
};

struct sim_result {
    enum sim_outcome outcome;
    char failure[SIM_FAILURE_SIZE]; /* empty if every oracle held */
    uint64_t healed_ms;             /* from GST until the goal was reached */
    uint64_t heights;
    uint64_t transactions;
    uint64_t replaced; /* of them, ones that their owner put in the place of earlier ones */
    uint64_t events;
    uint32_t evidence;
    uint32_t crashes;
    uint32_t epochs;                /* boundaries crossed */
    uint32_t epochs_before;         /* of them before GST */
    uint32_t proven_by_descendants; /* boundary blocks whose proof a descendant's finalization is */
    uint64_t deals; /* on the final ledger; those that have ended, by how; orders likewise */
    uint64_t settled;
    uint64_t partial;
    uint64_t stripped; /* blocks executed again without their witnesses */
    uint64_t refunds;
    uint64_t cancelled;
    uint64_t expired;
    uint32_t halts;    /* programs that stopped in front of rules that they lack */
    uint32_t laggards; /* nodes that stayed old until all others had reached the goal */
    struct hash digest;
};

/* Runs one seed. An assertion of the core that fails ends that run, not the process. */
void sim_run(const struct sim_config *config, struct sim_result *result);
/* -1 if there is no such persona; sim_persona_name counts from 0 to NULL. */
int sim_persona_by_name(const char *name);
const char *sim_persona_name(int index);
const char *sim_persona_text(int index);
/* SIM_EPOCHS_COUNT if there is no such word. */
enum sim_epochs sim_epochs_by_name(const char *name);
const char *sim_epochs_name(enum sim_epochs epochs);
/* 0 if there is no such mutant; sim_mutant_name counts from 1 to NULL. */
uint32_t sim_mutant_by_name(const char *name);
const char *sim_mutant_name(uint32_t mutant);
const char *sim_mutant_text(uint32_t mutant);

#endif
