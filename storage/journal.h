/* The vote journal: what a validator must never forget (consensus.md 3, 9).
 *
 * Append-only segments of length-framed, checksummed records in a directory of their own. One turn
 * of the node appends any number of records and then calls journal_sync: one fdatasync. A failed
 * sync, and a write that fails for anything but want of room, abort the process; they are never tried
 * again (fsyncgate). Want of room is waited for (journal_on_full).
 *
 * Beside the segments `sign-state` holds the highest own vote (no sync of its own, written after the
 * journal's); a journal that knows less than it was rolled back. Layouts and durability invariants:
 * journal.c and docs/spec/storage.md. */
#ifndef FLEX_STORAGE_JOURNAL_H
#define FLEX_STORAGE_JOURNAL_H

#include "base/checked.h"
#include "consensus/vote.h"

struct journal;

enum journal_record {
    JOURNAL_VOTE = 1,      /* own vote */
    JOURNAL_PEER_VOTE = 2, /* somebody's highest vote */
    JOURNAL_CERTIFICATE = 3,
    JOURNAL_CERTIFIED = 4, /* view, block id */
    JOURNAL_BLOCK = 5      /* header, sized body */
};

enum journal_result {
    JOURNAL_OK,
    JOURNAL_DAMAGED,     /* a bad record followed by good ones: refuse to vote */
    JOURNAL_ROLLED_BACK, /* sign-state knows a later own vote: refuse to vote */
    JOURNAL_MISSING,     /* sign-state exists, the journal doesn't: refuse to vote */
    JOURNAL_MISMATCH,    /* another chain, epoch or version */
    JOURNAL_FAULT        /* cannot be read, created or locked, or `replay` refused a record */
};

struct journal_config {
    const char *directory;
    struct hash genesis;
    uint64_t epoch;
    size_t segment_bytes; /* a new segment after that many; 0 = 16 MiB */
};

/* One call per record, in order. The views live during the call. */
struct journal_entry {
    enum journal_record type;
    struct vote vote;
    struct certificate certificate;
    uint64_t view;
    struct hash block_id;
    struct block_header header;
    struct bytes_view body;
};
typedef bool (*journal_replay_fn)(void *context, const struct journal_entry *entry);

/* Opens or creates (the directory's parent must exist), replays every record, truncates a torn tail (and only a tail). On DAMAGED,
 * ROLLED_BACK or MISSING *out is still a journal that can be appended to, so that an observer can
 * go on; `problem` (of 160 bytes) says what was found. */
enum journal_result journal_open(struct journal **out, const struct journal_config *config,
                                 journal_replay_fn replay, void *context, char problem[160]);
void journal_close(struct journal *journal);

struct journal_report {
    uint32_t segments;
    uint64_t records;
    uint64_t bytes;
    bool torn; /* the newest segment has a torn tail, which the next start will cut: no damage */
};
/* Reads a whole journal as journal_open does, and changes nothing. FAULT with a sentence in `problem`
 * if a node has it open; MISSING also if there is no directory. */
enum journal_result journal_check(struct journal_report *report,
                                  const struct journal_config *config, char problem[160]);

/* Appending only fills a buffer; nothing counts before journal_sync returns. */
void journal_append_vote(struct journal *journal, const struct vote *vote);
void journal_append_peer_vote(struct journal *journal, const struct vote *vote);
void journal_append_certificate(struct journal *journal, const struct certificate *certificate);
void journal_append_certified(struct journal *journal, uint64_t view, const struct hash *block_id);
void journal_append_block(struct journal *journal, const struct block_header *header,
                          struct bytes_view body);
/* One write and one fdatasync for all that was appended since the last; nothing if nothing was.
 * Aborts the process on failure. False if the wait for room was given up: then nothing that was appended
 * since the last sync counts, nothing more can be written, and the caller must stop. */
MUST_USE bool journal_sync(struct journal *journal);
/* Called with `full` true each time that a write finds no room (ENOSPC, EDQUOT): it waits a while and
 * returns true to try again, or false to give up; with `full` false once there was room again. Without
 * one, and while the journal is being opened, a full disk is a failure like any other. */
typedef bool (*journal_full_fn)(void *context, bool full);
void journal_on_full(struct journal *journal, journal_full_fn on_full, void *context);
/* Records at or below `floor_view` may go; call only when the chain database has synced it, and with
 * nothing appended since the last sync. Whole segments from the oldest on are deleted, never the one
 * that holds the latest own vote. */
void journal_prune(struct journal *journal, uint64_t floor_view);
/* Bytes on disk and in the buffer. */
uint64_t journal_bytes(const struct journal *journal);

#endif
