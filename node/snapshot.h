/* The format of a snapshot, and the proof that it is the chain's (docs/spec/snapshot.md).
 *
 * A snapshot of height H is a manifest, one epoch record for each epoch that ended below H, and the
 * state as chunks: all entries under one prefix of the state tree each, with the path to the root. The
 * manifest's core is a function of the chain alone, so all nodes that make a snapshot of H make the
 * same one; its hash is the snapshot's id.
 *
 * All of it is verified from the genesis on: epoch records in their order, each finalized by the set
 * that the one before has proven; the manifest's header by the last of these sets; each chunk by the
 * header's state root. Whoever sent a part that does not verify has lied, or its disk has.
 *
 * `problem` holds SNAPSHOT_PROBLEM_SIZE bytes and is filled on false. No pointer may be NULL. */
#ifndef FLEX_NODE_SNAPSHOT_H
#define FLEX_NODE_SNAPSHOT_H

#include "contracts/genesis.h"
#include "crypto/merkle.h"
#include "crypto/state_part.h"
#include "storage/store.h"

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_PROBLEM_SIZE = 160,
    /* Prefixes are split until the entries of a chunk take no more than a limit, which grows with the
     * state from the first to the second: small chunks let many peers help and cost little when one
     * is bad; many of them would make the manifest large. */
    SNAPSHOT_CHUNK_BYTES_MIN = 64 * 1024,
    SNAPSHOT_CHUNK_BYTES_MAX = 2 * 1024 * 1024,
    SNAPSHOT_CHUNKS_AIM = 4096,
    /* A split leaves chunks a quarter full in the worst case that hashes give in practice. */
    SNAPSHOT_CHUNKS_MAX = 4 * SNAPSHOT_CHUNKS_AIM,
    /* As many as the proofs of the API lead through (node/boundaries.h). */
    SNAPSHOT_EPOCHS_MAX = 1024,
    /* u8 depth, u32 size. */
    SNAPSHOT_LAYOUT_BYTES = 5,
    SNAPSHOT_ENTRY_HEAD = 4, /* u16 key size, u16 value size */
    SNAPSHOT_CHUNK_HEAD = 1 + 8 + 4,
    SNAPSHOT_PATH_BYTES_MAX = STATE_PART_DEPTH_MAX * (1 + 2 * HASH_SIZE),
    SNAPSHOT_PART_BYTES_MAX =
        SNAPSHOT_CHUNK_BYTES_MAX + SNAPSHOT_CHUNK_HEAD + SNAPSHOT_PATH_BYTES_MAX
};
/* What SNAPSHOT_CHUNKS_AIM chunks of the largest size hold: some forty million records. */
static const uint64_t snapshot_state_bytes_max =
    (uint64_t)SNAPSHOT_CHUNKS_AIM * SNAPSHOT_CHUNK_BYTES_MAX;

_Static_assert(SNAPSHOT_PART_BYTES_MAX > 4 + 32 + BLOCK_HEADER_SIZE + MERKLE_DEPTH_MAX * 32 + 4 +
                                             SNAPSHOT_CHUNKS_MAX * SNAPSHOT_LAYOUT_BYTES +
                                             CERTIFICATE_BYTES_MAX +
                                             LIMIT_VIEW_WINDOW * BLOCK_HEADER_SIZE,
               "the largest manifest is a part");
_Static_assert(SNAPSHOT_PART_BYTES_MAX > 1 + 2 * BLOCK_HEADER_SIZE + FINALITY_BYTES_MAX,
               "the largest epoch record is a part");
_Static_assert(SNAPSHOT_PART_BYTES_MAX + 64 < LIMIT_FRAME_BYTES, "a part fits a frame");

enum snapshot_part_kind { SNAPSHOT_MANIFEST = 0, SNAPSHOT_EPOCH = 1, SNAPSHOT_CHUNK = 2 };
enum { SNAPSHOT_PART_KINDS = 3 };

/* --- the manifest ----------------------------------------------------------------------------- */

/* Decoded; views point into the bytes that it was decoded from. */
struct snapshot_manifest {
    struct hash id; /* H(SNAPSHOT, core) */
    struct hash genesis;
    struct block_header header;
    struct bytes_view header_bytes;
    struct merkle_frontier log; /* over the ids of all blocks before this one */
    uint32_t chunk_count;
    struct bytes_view layout; /* chunk_count x SNAPSHOT_LAYOUT_BYTES */
    uint64_t state_bytes;     /* of all chunks together */
    /* The proof, which may differ from node to node: finalizes the header, or the last of these. */
    struct certificate certificate;
    struct bytes_view proof_headers;
};

struct snapshot_place {
    struct state_part_prefix prefix;
    uint32_t size; /* of the whole chunk, in bytes */
};

/* Strict: also the prefixes must divide the key space, and the log must be the header's. Says nothing
 * of signatures. */
bool snapshot_manifest_decode(struct snapshot_manifest *out, struct bytes_view bytes,
                              char problem[SNAPSHOT_PROBLEM_SIZE]);
/* Core and proof; writer->failed if it doesn't fit SNAPSHOT_PART_BYTES_MAX. `id` is not read. */
void snapshot_manifest_encode(struct byte_writer *writer, const struct snapshot_manifest *manifest);
/* Where the chunks are; `out` holds chunk_count of them. */
void snapshot_manifest_places(const struct snapshot_manifest *manifest, struct snapshot_place *out);

/* --- the chain of trust ----------------------------------------------------------------------- */

struct snapshot_trust {
    struct hash genesis;
    struct validator_set set; /* of `epoch` */
    uint64_t epoch;
    uint64_t height; /* of the block that began it; 0: genesis */
};

/* An epoch record: u8 has parent, the parent's header if so, the header of the epoch's last block,
 * then what made it final, as it is stored. */
struct snapshot_epoch {
    struct bytes_view parent; /* empty if the block is the first of the chain */
    struct bytes_view header;
    struct bytes_view finality;
};

/* False if the genesis is not sound. */
bool snapshot_trust_begin(struct snapshot_trust *out, const struct genesis *genesis);
void snapshot_epoch_encode(struct byte_writer *writer, const struct snapshot_epoch *epoch);
/* Verifies the record of the epoch that has been reached, and goes on to the next. On false the trust
 * is as it was. */
bool snapshot_trust_epoch(struct snapshot_trust *trust, struct snapshot_epoch *out,
                          struct bytes_view bytes, char problem[SNAPSHOT_PROBLEM_SIZE]);
/* True if a quorum of the set of the epoch that has been reached finalized the manifest's header, and
 * the header is of that epoch and doesn't end it. */
bool snapshot_trust_manifest(const struct snapshot_trust *trust,
                             const struct snapshot_manifest *manifest,
                             char problem[SNAPSHOT_PROBLEM_SIZE]);

/* --- chunks ----------------------------------------------------------------------------------- */

/* u8 depth, u64 prefix, u32 count, count x (u16 size, key, u16 size, value) in the order of the key
 * hashes, then the path (crypto/state_part.h). */
struct snapshot_chunk {
    struct state_part_prefix prefix;
    uint32_t count;
    struct store_entry *entries; /* malloc'ed; they point into the chunk's bytes */
    struct state_part_path path;
};

/* Bounds of one entry, as the state has them. */
bool snapshot_entry_fits(struct bytes_view key, struct bytes_view value);
void snapshot_chunk_encode_head(struct byte_writer *writer, const struct state_part_prefix *prefix,
                                uint32_t count);
void snapshot_chunk_encode_entry(struct byte_writer *writer, struct bytes_view key,
                                 struct bytes_view value);
/* Decodes and verifies against the root alone: these are all entries under the prefix `expected`. On
 * false nothing is to be closed. */
bool snapshot_chunk_open(struct snapshot_chunk *out, struct bytes_view bytes,
                         const struct state_part_prefix *expected, const struct hash *state_root,
                         char problem[SNAPSHOT_PROBLEM_SIZE]);
void snapshot_chunk_close(struct snapshot_chunk *chunk);

#endif
