/* One real BFT core among hostile peers, for the target fuzz_bft. Every other validator's key is in the
 * input's hands: any vote, certificate, block or range can be said with a valid signature. The own
 * shell keeps its contract (consensus/bft.h): it journals what it is told, answers what it was asked,
 * in any order and as late as the input says. After every step the world checks what must hold
 * whoever lies, and however many. */
#ifndef FLEX_TESTS_FUZZ_WORLD_H
#define FLEX_TESTS_FUZZ_WORLD_H

#include "consensus/bft_internal.h"
#include "tests/fuzz/lib/fuzz.h"

enum {
    WORLD_BLOCKS = 128,
    WORLD_RECORDS = 2048,
    WORLD_OWN_VOTES = 640,
    WORLD_ASKS = 64,
    WORLD_STEPS_MAX = 400
};

struct world_block {
    struct hash id;
    struct block_header header;
    bool executed; /* since the last start */
    bool valid;    /* what execution says, always the same */
};

struct world_record {
    enum bft_effect_kind kind;
    struct vote vote;
    struct certificate *certificate;
    uint64_t view;
    struct hash id;
    int block;
};

struct world {
    struct bft *core;
    struct bft_effects effects;
    struct bft_config config;
    struct secret_key seeds[LIMIT_VALIDATORS];
    uint32_t count;
    int self; /* -1: an observer */
    uint64_t now_ms;
    int64_t skew_ms;
    bool alarmed;
    bool ended; /* a block that ends the epoch is decided */
    struct hash set_hash;

    uint32_t block_count;
    struct world_block blocks[WORLD_BLOCKS];
    /* What the shell owes. */
    uint32_t build_count;
    struct bft_effect builds[WORLD_ASKS];
    uint32_t execute_count;
    struct hash executes[WORLD_ASKS];
    bool owes_persisted;
    /* The decided chain, genesis first; the committed part survives a restart. */
    uint32_t decided; /* height */
    uint32_t committed;
    struct hash chain[WORLD_BLOCKS + 1];
    uint64_t chain_view[WORLD_BLOCKS + 1];
    struct timestamp chain_time[WORLD_BLOCKS + 1];
    /* The journal. */
    uint32_t record_count;
    struct world_record records[WORLD_RECORDS];
    /* Every own vote ever said, over all restarts. */
    uint32_t own_count;
    struct vote own[WORLD_OWN_VOTES];
    uint64_t last_view;
    uint64_t last_final_view;
};

/* A world of 4 or 31 validators with the core started; `self` of -1 makes it an observer. */
void world_open(struct world *world, uint32_t validators, int self);
void world_close(struct world *world);
/* Destroys the core and makes it again out of the journal, as after a crash. False if the epoch has
 * ended for good: what comes then is another core's life. */
bool world_restart(struct world *world);
/* One input, its effects carried out, everything checked. False once a bound of this world itself is
 * reached and the run should end. */
bool world_step(struct world *world, struct bft_input *input);

/* -1 if there is no room. */
int world_block_add(struct world *world, const struct block_header *header, bool valid);
int world_block_find(const struct world *world, const struct hash *id);
/* Signed by `signer`, who is not the core itself. */
void world_vote_sign(const struct world *world, struct vote *vote);

#endif
