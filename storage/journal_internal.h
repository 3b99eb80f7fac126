/* Layouts that the journal's writer and its scanner share. Not for anyone outside storage/ (and its
 * tests). */
#ifndef FLEX_STORAGE_JOURNAL_INTERNAL_H
#define FLEX_STORAGE_JOURNAL_INTERNAL_H

#include "storage/journal.h"

enum {
    JOURNAL_VERSION = 1,
    /* magic 8 | u32 version | genesis 32 | u64 epoch | u64 number | u64 floor view | checksum 8 */
    SEGMENT_HEADER_SIZE = 8 + 4 + 32 + 8 + 8 + 8 + 8,
    /* u32 payload size | u8 type | u32 turn start, then the payload, then the checksum */
    RECORD_HEAD_SIZE = 4 + 1 + 4,
    RECORD_EXTRA_SIZE = RECORD_HEAD_SIZE + 8,
    VOTE_BYTES = 1 + 8 + 8 + 32 + 1 + 64,
    CERTIFIED_BYTES = 8 + 32,
    RECORD_PAYLOAD_MAX = BLOCK_HEADER_SIZE + 4 + LIMIT_BLOCK_BODY_BYTES,
    /* Blocks of the view window, two per view, in segments of at least 16 MiB; a journal that has
     * more is not being pruned, and the node must stop before the disk is full of it. */
    JOURNAL_SEGMENTS_MAX = 4096,
    JOURNAL_NAME_SIZE = 32,
    /* What one turn appends before it is written without waiting for the sync: four full blocks. */
    JOURNAL_BUFFER_BYTES = 4 * (RECORD_PAYLOAD_MAX + RECORD_EXTRA_SIZE),
    /* Two slots, so that a torn write of one leaves the other. */
    SIGN_STATE_SLOTS = 2,
    SIGN_STATE_SLOT_SIZE = 512
};

struct segment {
    uint64_t number;
    uint64_t size;     /* bytes that count */
    uint64_t view_max; /* highest view of any record */
};

/* What `sign-state` says. Slot layout: magic 8 | u64 sequence | u8 has vote | u64 first segment | vote (VOTE_BYTES, zero if none) | genesis 32 | checksum 8; the valid slot of the higher
 * sequence counts. */
struct sign_state {
    bool exists;
    bool has_vote;
    uint64_t sequence;
    uint64_t first_segment; /* older ones were pruned */
    struct vote vote;
};

/* The highest vote of each validator that peer-vote records have named. */
struct journal_peers {
    uint32_t known; /* bit per validator */
    struct vote high[LIMIT_VALIDATORS];
};

struct journal {
    struct journal_config config;
    int directory_fd;
    int lock_fd;
    int fd; /* the newest segment */
    int sign_fd;
    size_t segment_bytes;
    uint64_t floor_view;      /* of the last prune, written into new segments for people to see */
    struct segment *segments; /* oldest first; room for JOURNAL_SEGMENTS_MAX */
    uint32_t segment_count;
    uint8_t *buffer; /* of JOURNAL_BUFFER_BYTES: appended, not yet written */
    size_t buffered;
    bool read_only;      /* journal_check's: nothing is made, cut, synced or deleted */
    bool torn;           /* a torn tail was found at opening */
    bool refused;        /* opened with a finding: no own votes, and nothing is deleted */
    bool unsynced;       /* something was appended since the last sync */
    uint32_t turn_start; /* offset in the newest segment where this turn's records begin */
    struct journal_peers peers;
    bool carry;            /* the newest segment was found without some of them (J8) */
    bool vote_pending;     /* this turn appended an own vote that is the latest: `sign.vote` */
    uint64_t vote_segment; /* where the latest own vote stands; 0 if there is none */
    struct sign_state sign;
    journal_full_fn on_full; /* NULL: no waiting */
    void *full_context;
    bool waited;   /* since on_full was told that there is room */
    bool given_up; /* on_full said so: nothing is written any more */
};

void journal_segment_name(char out[JOURNAL_NAME_SIZE], uint64_t number);
void journal_segment_header(uint8_t out[SEGMENT_HEADER_SIZE], const struct journal_config *config,
                            uint64_t number, uint64_t floor_view);
/* Checksum over u64 segment number, u64 offset, then `size` bytes of head and payload. */
uint64_t journal_checksum(uint64_t number, uint64_t offset, const uint8_t *record, size_t size);
/* True if own vote `a` was given after `b`: by view, then N before U and F. */
bool journal_vote_is_later(const struct vote *a, const struct vote *b);

void journal_peers_note(struct journal_peers *peers, const struct vote *vote);

/* sign_state.c */
enum journal_result sign_state_load(struct sign_state *out, int directory_fd,
                                    const struct hash *genesis, bool read_only, int *fd);
/* Writes the next slot; no sync. 0, or the errno of a failure: then `state` is as it was. */
int sign_state_write(struct sign_state *state, int *fd, int directory_fd,
                     const struct hash *genesis);

/* journal_scan.c: replays one segment's bytes. */
struct segment_scan {
    const struct journal_config *config;
    uint64_t number;
    bool is_last;
    journal_replay_fn replay;
    void *context;
    /* Filled in. */
    uint64_t good_bytes; /* up to the first record that is not whole */
    uint64_t view_max;
    bool has_own_vote;
    struct vote own_vote;
    struct journal_peers peers;
    uint32_t peers_here; /* whose highest vote stands in this segment */
    bool torn;           /* the last segment has a torn tail from good_bytes on */
};
enum journal_result journal_scan_segment(struct segment_scan *scan, struct bytes_view bytes,
                                         char problem[160]);

#endif
