/* Ranges of final blocks that a node which is far behind asks of several peers at once ([C-RANGE.FLOW],
 * ADR 65).
 *
 * The core asks one peer for one range. This asks other peers, one range each, for those that follow,
 * and keeps their answers until the core asks for a range that begins where one of them does. What is
 * kept is believed no more than what comes from the wire: the core judges it when it gets it, as its
 * sender's word.
 *
 * Pure: requests and answers go in, questions come out; no clock, no sockets. */
#ifndef FLEX_NODE_RANGE_AHEAD_H
#define FLEX_NODE_RANGE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "p2p/p2p.h"

enum {
    /* Ranges held or in flight, and their bytes; one in flight counts as a whole frame. */
    RANGE_AHEAD_SLOTS = 16,
    RANGE_AHEAD_BYTES = 6 * LIMIT_FRAME_BYTES,
    /* How long an answer may take before another peer is asked as well: three times what the fastest of the
     * others takes, between these two; the middle one as long as nobody has been measured. */
    RANGE_AHEAD_WAIT_MIN_MS = 100,
    RANGE_AHEAD_WAIT_FIRST_MS = 500,
    RANGE_AHEAD_WAIT_MAX_MS = 5000,
    /* Who was too late is asked for nothing ahead for that long. A question so old counts as refused. */
    RANGE_AHEAD_REST_MS = 5000,
    /* The core has asked for nothing for that long: nothing is kept any more. */
    RANGE_AHEAD_IDLE_MS = 30000,
    RANGE_AHEAD_NO_PEER = -1
};

struct range_ahead_peer {
    bool up;
    uint64_t claims;   /* its height, as it says */
    uint64_t first;    /* below it, it has no bodies */
    uint32_t owes;     /* answers */
    uint64_t asked_ms; /* the last time */
    uint64_t rest_until_ms;
    bool measured;
    uint64_t takes_ms; /* an answer, smoothed */
    uint32_t stride;   /* blocks that its answers hold */
};

struct range_ahead_slot {
    bool in_use;
    bool late;     /* nobody who was asked has answered in time */
    uint64_t from; /* heights [from, until) */
    uint64_t until;
    uint64_t asked;    /* bit per peer that was asked for it, and is up since */
    uint64_t asked_ms; /* the last of them */
    uint32_t peer;     /* that one; of what is kept, its sender */
    uint8_t *bytes;    /* NULL: nothing as yet */
    size_t size;
};

struct range_ahead {
    struct range_ahead_slot slots[RANGE_AHEAD_SLOTS];
    struct range_ahead_peer peers[P2P_PEERS_MAX];
    bool active; /* the core has asked of late */
    uint64_t wanted_ms;
    uint64_t wanted; /* by the core, last: what begins there is never kept once it has come */
    uint64_t next;   /* the first height that is not decided */
};

struct range_ahead_question {
    uint32_t peer;
    uint64_t height;
    uint32_t count;
};

void range_ahead_init(struct range_ahead *ahead);
void range_ahead_close(struct range_ahead *ahead);
/* Of a peer that went, nothing is kept: it may have been struck. */
void range_ahead_link(struct range_ahead *ahead, uint32_t peer, bool up);
void range_ahead_claim(struct range_ahead *ahead, uint32_t peer, uint64_t height);
void range_ahead_pruned(struct range_ahead *ahead, uint32_t peer, uint64_t first);

struct range_ahead_kept {
    uint8_t *bytes; /* the caller's to free */
    size_t size;
    uint32_t peer;
};

enum range_ahead_word {
    RANGE_AHEAD_ASK,  /* send the question to the peer that the core chose */
    RANGE_AHEAD_WAIT, /* somebody else has been asked for the same, and is not late yet */
    RANGE_AHEAD_TAKE  /* the answer is here */
};

/* The core asks `peer`, or somebody who is not configured, for [height, height + *count); *count is cut
 * so that the answer ends where another begins. For TAKE, *out is filled in; if that turns out to be
 * worth nothing, the question goes to the peer after all: range_ahead_asked. */
enum range_ahead_word range_ahead_want(struct range_ahead *ahead, struct range_ahead_kept *out,
                                       uint64_t height, uint32_t *count, int peer, uint64_t now_ms);
/* The core's question goes to that peer now. */
void range_ahead_asked(struct range_ahead *ahead, uint64_t height, uint32_t count, int peer,
                       uint64_t now_ms);

enum range_ahead_fate { RANGE_AHEAD_TO_CORE, RANGE_AHEAD_KEPT, RANGE_AHEAD_DROPPED };

/* An answer that was due has come from that peer, of `count` blocks from `height` on; KEPT: it was copied.
 * Whatever was not asked ahead is the core's to judge, as ever. */
enum range_ahead_fate range_ahead_answer(struct range_ahead *ahead, uint32_t peer, uint64_t height,
                                         uint32_t count, struct bytes_view payload,
                                         uint64_t now_ms);
/* The core has decided up to `height`. */
void range_ahead_passed(struct range_ahead *ahead, uint64_t height, uint64_t now_ms);
/* The next question to send to a peer other than the core's choice; to be called until it is false. Who is
 * late is found out here, so what has come should have been taken in before. */
bool range_ahead_next(struct range_ahead *ahead, struct range_ahead_question *out, uint64_t now_ms);
/* When somebody may be late; UINT64_MAX: nobody is waited for. */
uint64_t range_ahead_deadline_ms(const struct range_ahead *ahead);
/* Bytes kept, and a frame for each answer that is waited for and would be kept. */
size_t range_ahead_bytes(const struct range_ahead *ahead);

#endif
