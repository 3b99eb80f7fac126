/* libflexverify: the light client of a Flexledger, as a library (man flexverify(3); docs/adr/0024).
 *
 * Nobody has to trust the node that answers. From a genesis file that you have from elsewhere, these
 * functions walk over every change of the validator set to a header, and from there to a record of the
 * state (a balance, a device, an order, a deal ...), its absence, a receipt, an earlier block, an
 * earlier size of the log, or the digest of a day. Where the bytes came from does not matter: they are
 * the caller's to fetch, and are not believed.
 *
 * No files, no network, no clock, no floating point, no threads of its own. Allocation: each `_open`
 * and `_read` with an out-parameter allocates one object that its `_close` frees; reading a proof
 * takes up to some 30 times the file's size while it runs, and a file is at most 8 MiB. A broken
 * invariant of the library's own aborts the process.
 *
 * Call flexverify_open once before other threads use the library; after that all functions may be
 * called from any thread, a trust and a proof also from several at once, as they do not change.
 * NULL is valid only where a comment says so. Links: libsodium, libcjson, libsecp256k1. */
#ifndef FLEXVERIFY_H
#define FLEXVERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    FLEXVERIFY_HASH_SIZE = 32,
    FLEXVERIFY_NAME_SIZE = 25,     /* a name and its NUL */
    FLEXVERIFY_DATE_SIZE = 16,     /* "2025-01-15" and its NUL */
    FLEXVERIFY_PROBLEM_SIZE = 160, /* a sentence and its NUL */
    FLEXVERIFY_WITNESSES_MAX = 64
};

enum flexverify_result {
    FLEXVERIFY_OK = 0,
    FLEXVERIFY_UNPROVEN = 1,     /* the file does not verify; `problem` says why */
    FLEXVERIFY_BAD_INPUT = 2,    /* the genesis file or a witness's key is not one */
    FLEXVERIFY_NO_MEMORY = 3,    /* memory ran out; nothing is known about the file */
    FLEXVERIFY_TWO_HISTORIES = 4 /* both are signed by a quorum, and not of one history */
};

/* "0.1.0" */
const char *flexverify_version(void);

/* --- what is trusted ------------------------------------------------------------------------- */

struct flexverify_trust;

/* From the bytes of genesis.json. */
enum flexverify_result flexverify_open(struct flexverify_trust **out, const char *genesis,
                                       size_t size, char problem[FLEXVERIFY_PROBLEM_SIZE]);
/* NULL is fine. */
void flexverify_close(struct flexverify_trust *trust);
/* The hash to compare with the operators, and the chain's name. */
void flexverify_chain(const struct flexverify_trust *trust, uint8_t hash[FLEXVERIFY_HASH_SIZE],
                      char name[FLEXVERIFY_NAME_SIZE]);

/* --- proof files (docs/spec/api.md) ---------------------------------------------------------- */

struct flexverify_proof;

/* A proof file as `flex proof get` keeps it or GET /v1/proofs/KIND/ID answers it. */
enum flexverify_result flexverify_proof_read(struct flexverify_proof **out,
                                             const struct flexverify_trust *trust, const char *text,
                                             size_t size, char problem[FLEXVERIFY_PROBLEM_SIZE]);
/* NULL is fine. Everything that was got from the proof goes with it. */
void flexverify_proof_close(struct flexverify_proof *proof);

/* What it is about: "pot", "asset", "deal", "transaction", "block", "log" ..., and which one:
 * "balance/dso". A caller that asked for one thing compares both. */
const char *flexverify_proof_kind(const struct flexverify_proof *proof);
const char *flexverify_proof_id(const struct flexverify_proof *proof);
/* Of which block it is true. */
uint64_t flexverify_proof_height(const struct flexverify_proof *proof);
int64_t flexverify_proof_time_ms(const struct flexverify_proof *proof);
void flexverify_proof_block(const struct flexverify_proof *proof, uint8_t id[FLEXVERIFY_HASH_SIZE]);
/* False: it is proven that there is no such record. True for kinds that are no records. */
bool flexverify_proof_present(const struct flexverify_proof *proof);
/* The record's canonical bytes (docs/spec/state.md); NULL and 0 if there are none. */
const uint8_t *flexverify_proof_value(const struct flexverify_proof *proof, size_t *size);
/* All that is proven, decoded, as one JSON object: {"kind","id","height","time_ms","block",...}, with
 * "present" and "record", or "status", "fee_ueur" and "events", or "earlier_header", or "old_size",
 * "old_root", "size", "root". 64-bit integers are decimal strings. */
const char *flexverify_proof_json(const struct flexverify_proof *proof);

/* --- digests (docs/spec/digest.md) ----------------------------------------------------------- */

struct flexverify_digest {
    int64_t day; /* since 1970-01-01 */
    char date[FLEXVERIFY_DATE_SIZE];
    uint64_t height; /* of the day's last block */
    uint64_t size;   /* of the log: blocks 0 to size - 1 */
    uint8_t root[FLEXVERIFY_HASH_SIZE];
    uint32_t validators;   /* votes that were checked */
    uint32_t cosignatures; /* of witnesses given, checked */
    uint32_t unknown;      /* signature lines of others, passed over */
    uint64_t cosigned_s;   /* time of the newest checked cosignature; 0 if there is none */
};

/* A signed note. `witnesses` are public keys as "NAME+ID+KEY"; it may be NULL if there are none.
 * Signatures by others make the note fail, unless allow_unknown. */
enum flexverify_result flexverify_digest_read(struct flexverify_digest *out,
                                              const struct flexverify_trust *trust,
                                              const char *text, size_t size,
                                              const char *const *witnesses, uint32_t witness_count,
                                              bool allow_unknown,
                                              char problem[FLEXVERIFY_PROBLEM_SIZE]);
/* That the log of `older` is a prefix of that of `newer`. `proof` is of kind "log" between the two
 * sizes; it may be NULL if they are equal. TWO_HISTORIES is evidence against more than f validators;
 * UNPROVEN says that the proof is not that of these sizes. */
enum flexverify_result flexverify_digest_continues(const struct flexverify_digest *older,
                                                   const struct flexverify_digest *newer,
                                                   const struct flexverify_proof *proof,
                                                   char problem[FLEXVERIFY_PROBLEM_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
