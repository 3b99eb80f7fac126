/* A chain for tests of snapshots: a store whose blocks carry state entries of the test's choosing and
 * true certificates, through any number of epochs. It executes nothing: what a state means is no
 * business of snapshots. Anything unexpected aborts the test. */
#ifndef FLEX_TESTS_SNAPSHOT_WORLD_H
#define FLEX_TESTS_SNAPSHOT_WORLD_H

#include "contracts/genesis.h"
#include "node/snapshot_make.h"
#include "storage/store.h"
#include "tests/lib/random.h"

enum { SNAPSHOT_WORLD_VALIDATORS = 12 };

struct snapshot_world {
    struct genesis genesis;
    struct hash genesis_hash;
    struct store *store;
    struct overlay *overlay;
    struct test_random random;
    struct validator_set set; /* of the next block */
    uint64_t epoch;
    uint64_t proposals;
    bool motions; /* each block also passes proposals of every kind that changes no set */
    struct block_header last; /* zero before the first block */
    struct merkle_frontier log_before_tip;
    _Atomic bool stop;
};

void snapshot_world_open(struct snapshot_world *world, const char *store_directory, uint64_t seed);
void snapshot_world_close(struct snapshot_world *world);
/* One more block, with up to `entries` new state entries of up to `value_max` bytes; some older ones
 * go. `boundary`: it ends its epoch, a validator joins. `certified`: it has a certificate. */
void snapshot_world_block(struct snapshot_world *world, uint32_t entries, uint32_t value_max,
                          bool boundary, bool certified);
/* A certificate of the header by the set (indices from `skip` on; a quorum of them). */
void snapshot_world_sign(struct certificate *out, const struct block_header *header,
                         const struct validator_set *set, const struct hash *genesis,
                         uint32_t count);
struct secret_key snapshot_world_seed(const struct public_key *key);
/* Makes the snapshot of the tip below `directory`. */
bool snapshot_world_make(struct snapshot_world *world, const char *directory, uint64_t *height,
                         char problem[SNAPSHOT_PROBLEM_SIZE]);
struct store *snapshot_world_empty_store(const struct snapshot_world *world, const char *directory);

#endif
