/* The digest of a day: one hash for the whole history up to its last block, as a signed note that
 * anybody with the genesis file can check offline (docs/spec/digest.md; docs/adr/0023; D5.5 3.2.6).
 *
 *   flexledger/CHAIN/GENESIS       origin
 *   SIZE                           leaves: blocks 0 to SIZE - 1
 *   ROOT                           base64, log root over them
 *   day YYYY-MM-DD                 UTC
 *   epoch HEADER SET CERTIFICATE [HEADER...]     per change of the validator set, in order
 *   last HEADER                    the day's last block, number SIZE - 1
 *   next HEADER                    block SIZE, of a later day: its log_root is ROOT
 *   then HEADER                    0 or more: from there to the block whose votes follow
 *
 *   - VALIDATOR base64(key id, Ed25519 signature of its finalize vote)       a quorum, in set order
 *   - WITNESS base64(key id, time, signature)                                0 or more
 *
 * The validators sign nothing but what they sign anyway: their votes for the block `next`, or for a
 * descendant. Its id covers the header, and that the root. */
#ifndef FLEX_VERIFY_DIGEST_H
#define FLEX_VERIFY_DIGEST_H

#include "verify/note.h"
#include "verify/trust.h"

enum {
    DIGEST_PROBLEM_SIZE = 160,
    DIGEST_DAY_MAX = 2932896,
    DIGEST_DATE_SIZE = 16,
    DIGEST_ORIGIN_SIZE = 128
};

struct digest {
    int64_t day; /* days since the Unix epoch */
    char date[DIGEST_DATE_SIZE];
    uint64_t size;
    struct hash root;
    struct block_header last;
    struct hash last_id;
    struct block_header next;
    uint32_t validators;    /* votes that were checked */
    uint32_t cosignatures;  /* by witnesses that the caller knows, checked */
    uint32_t unknown;       /* signature lines of others, not checked */
    uint64_t time_s;        /* of the newest checked cosignature; 0 if there is none */
    struct bytes_view text; /* what witnesses sign; into the input */
};

struct digest_rules {
    const struct note_witness *witnesses; /* whom the caller knows; may be NULL if count is 0 */
    uint32_t witness_count;
    /* Signature lines of others are passed over and counted; else they make the note fail, so that
     * no byte of it goes unchecked. */
    bool allow_unknown;
};

/* False with the reason in `problem`. Allocates nothing but what cosignatures need (note.h). */
bool digest_verify(struct digest *out, const struct proof_trust *trust,
                   const struct digest_rules *rules, const char *text, size_t size,
                   char problem[DIGEST_PROBLEM_SIZE]);

/* Writing one, as a node does. Lines in this order; writer->failed if it does not fit. */
void digest_write_head(struct byte_writer *writer, const struct proof_trust *trust,
                       const struct block_header *last, const struct block_header *next);
/* `header` is a boundary block's, `finality` what was stored with it. */
void digest_write_epoch(struct byte_writer *writer, struct bytes_view header,
                        const struct finality *finality);
void digest_write_blocks(struct byte_writer *writer, const struct block_header *last,
                         const struct block_header *next);
void digest_write_descendants(struct byte_writer *writer, struct bytes_view headers);
/* The empty line and the votes; `set` is that of the epoch of `next`. */
void digest_write_votes(struct byte_writer *writer, const struct certificate *certificate,
                        const struct validator_set *set);

/* "2025-01-15"; the days of the years 1970 to 9999. */
void digest_date_text(char out[DIGEST_DATE_SIZE], int64_t day);
/* False if it is no day of those years. */
bool digest_day_of_text(int64_t *day, const char *text);
int64_t digest_day_of(struct timestamp time);

#endif
