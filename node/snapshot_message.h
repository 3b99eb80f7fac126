/* What nodes say to each other about snapshots and pruned blocks (docs/spec/snapshot.md, "Wire").
 *
 * One frame = u8 type, then the payload as below; numbers from 32 on, consensus/message.h has those
 * before. Decoders are strict; false means a strike against the sender.
 *
 *   GET_SNAPSHOTS       -
 *   SNAPSHOTS           u32 count, count x (u64 height, id), heights ascending
 *   GET_SNAPSHOT_PART   id, u8 kind, u32 index
 *   SNAPSHOT_PART       id, u8 kind, u32 index, u8 answer; the part's bytes if it is HERE
 *   PRUNED              u64 the first height of which this node has the body: its answer to
 *                       GET_RANGE and GET_BLOCK below it */
#ifndef FLEX_NODE_SNAPSHOT_MESSAGE_H
#define FLEX_NODE_SNAPSHOT_MESSAGE_H

#include "node/snapshot_files.h"

enum snapshot_message {
    MESSAGE_GET_SNAPSHOTS = 32,
    MESSAGE_SNAPSHOTS = 33,
    MESSAGE_GET_SNAPSHOT_PART = 34,
    MESSAGE_SNAPSHOT_PART = 35,
    MESSAGE_PRUNED = 36
};

enum { SNAPSHOT_FRAME_SMALL = 256 };

struct snapshot_offer {
    uint64_t height;
    struct hash id;
};

struct snapshot_offers {
    uint32_t count;
    struct snapshot_offer offers[SNAPSHOT_KEPT_MAX];
};

/* Which part of which snapshot. */
struct snapshot_wanted {
    struct hash id;
    enum snapshot_part_kind kind;
    uint32_t index;
};

enum snapshot_answer {
    SNAPSHOT_HERE = 0,
    SNAPSHOT_GONE = 1, /* no such snapshot or part here */
    SNAPSHOT_BUSY = 2  /* ask again in a moment */
};

struct snapshot_part {
    struct snapshot_wanted of;
    enum snapshot_answer answer;
    struct bytes_view bytes; /* HERE; into the frame */
};

void snapshot_encode_get(struct byte_writer *writer);
void snapshot_encode_offers(struct byte_writer *writer, const struct snapshot_offers *offers);
void snapshot_encode_wanted(struct byte_writer *writer, const struct snapshot_wanted *wanted);
void snapshot_encode_part(struct byte_writer *writer, const struct snapshot_part *part);
void snapshot_encode_pruned(struct byte_writer *writer, uint64_t height);

bool snapshot_decode_offers(struct snapshot_offers *out, struct bytes_view payload);
bool snapshot_decode_wanted(struct snapshot_wanted *out, struct bytes_view payload);
bool snapshot_decode_part(struct snapshot_part *out, struct bytes_view payload);
bool snapshot_decode_pruned(uint64_t *height, struct bytes_view payload);

#endif
