/* Dispatch: instructions to a device, and the acknowledgement of whoever runs it (feature 38; D5.5
 * 3.2.6; GOFLEX 1.5.4; docs/spec/plans.md 2, docs/adr/0045).
 *
 * The chain holds a salted hash of the set-points, who sent them, for which deal, and by when which
 * answer came; the set-points travel beside it (tools/plan_file.h). Nothing happens when no answer comes:
 * a record without one past its deadline says so by itself. NULL is never valid. */
#ifndef FLEX_CONTRACTS_DISPATCH_H
#define FLEX_CONTRACTS_DISPATCH_H

#include "contracts/forecast.h"

enum dispatch_answer { DISPATCH_UNANSWERED = 0, DISPATCH_ACCEPTED = 1, DISPATCH_REFUSED = 2 };
enum { DISPATCH_ANSWER_COUNT = 3 };
extern const char *const dispatch_answer_names[DISPATCH_ANSWER_COUNT];

/* Instructions for one device and start, one after the other: one an hour for a day. */
enum { DISPATCH_REVISIONS_MAX = 24 };

/* For a deal: by its buyer or seller, within its period, for its device. Without one: by the
 * device's owner, or its manager over all of it. Before it starts, with a deadline in between. */
struct dispatch_send {
    struct name device;
    struct timestamp start;
    struct duration interval;
    uint32_t count;    /* set-points, at most LIMIT_INTERVALS_PER_PERIOD */
    uint32_t revision; /* 0 the first time; the newest holds */
    uint64_t deal;     /* 0: none */
    struct timestamp deadline;
    struct hash setpoints; /* dispatch_hash */
};
/* By whoever runs the device (its manager over all of it, else its owner), until the deadline, once. */
struct dispatch_ack {
    struct name device;
    struct timestamp start;
    uint32_t revision;
    uint8_t accepted; /* 0: it can't or won't */
};
/* Key: device, start, revision. */
struct dispatch_record {
    struct name sender;
    uint64_t deal;
    struct duration interval;
    uint32_t count;
    struct hash setpoints;
    struct timestamp sent;
    struct timestamp deadline;
    uint8_t answer;
    struct name answered_by;   /* empty while unanswered */
    struct timestamp answered; /* zero while unanswered */
};
struct event_dispatch {
    struct name device;
    struct timestamp start;
    uint32_t revision;
    uint8_t answer; /* unanswered: it was sent just now */
    struct name by; /* who sent or answered */
};

extern const struct codec_record dispatch_send_codec;
extern const struct codec_record dispatch_ack_codec;
extern const struct codec_record dispatch_record_codec;
extern const struct codec_record dispatch_key_codec;
extern const struct codec_record event_dispatch_codec;

/* H(SERIES, 1, salt, sender, the action without its hash, each set-point: the net energy in Wh that the
 * device is to take in that interval). `setpoints` has sent->count. */
void dispatch_hash(struct hash *out, const uint8_t salt[PLAN_SALT_SIZE], const struct name *sender,
                   const struct dispatch_send *sent, const struct energy *setpoints);

#endif
