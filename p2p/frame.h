/* Frames: u32 size (big-endian), then that many bytes; size 0 is a heartbeat. The two ends of it as
 * plain data structures: a buffer that bytes are read into and frames are taken out of, and a queue
 * of frames to be sent. Neither locks; neither does input or output. Implements
 * docs/spec/wire.md 4.
 *
 * All sizes are in bytes. */
#ifndef FLEX_P2P_FRAME_H
#define FLEX_P2P_FRAME_H

#include "base/bytes.h"
#include "base/limits.h"
#include "p2p/p2p.h"

enum {
    FRAME_HEADER_SIZE = 4,

    /* What an unauthenticated peer can make us hold: the whole handshake and slack. */
    FRAME_READER_PENDING_BYTES = 1024,
    /* Four TLS records. A frame that is larger gets a buffer of its own size while it comes in. */
    FRAME_READER_LIVE_BYTES = 64 * 1024,

    /* What a queued frame costs beyond its bytes, so that budgets bound tiny frames too. */
    FRAME_OVERHEAD_BYTES = 64,
    /* Votes of every validator for a thousand views, or one frame of the largest size. */
    FRAME_BUDGET_VOTE = LIMIT_FRAME_BYTES + 1024 * 1024,
    /* Two full blocks and a range answer. */
    FRAME_BUDGET_BLOCK = 2 * LIMIT_FRAME_BYTES + FRAME_OVERHEAD_BYTES * 64,
    FRAME_BUDGET_TRANSACTION = LIMIT_FRAME_BYTES + 1024 * 1024,
    FRAME_BUDGET_SYNC = 2 * LIMIT_FRAME_BYTES + FRAME_OVERHEAD_BYTES * 64
};

/* --- in ------------------------------------------------------------------------------------- */

struct frame_reader {
    uint8_t *data;
    size_t capacity;
    size_t at;   /* first byte that was not taken yet */
    size_t size; /* end of what was read */
};

enum frame_kind {
    FRAME_INCOMPLETE, /* more bytes are needed */
    FRAME_HEARTBEAT,
    FRAME_WHOLE,
    FRAME_TOO_LARGE /* its size is over LIMIT_FRAME_BYTES: nothing after it can be read */
};

/* False if memory ran out. */
bool frame_reader_init(struct frame_reader *reader);
void frame_reader_free(struct frame_reader *reader);
/* Where the next bytes go, at least one: *room says how many fit. `live` lets the buffer grow to
 * what the frame at its head needs, never beyond LIMIT_FRAME_BYTES and its header, and lets it
 * shrink again. NULL if memory ran out, or if the buffer is full and may not grow. Moves what is in
 * it: views are void. */
uint8_t *frame_reader_room(struct frame_reader *reader, bool live, size_t *room);
/* `size` bytes were written there. */
void frame_reader_add(struct frame_reader *reader, size_t size);
/* The frame at the head, which stays there. `frame` is set for FRAME_WHOLE. */
enum frame_kind frame_reader_peek(const struct frame_reader *reader, struct bytes_view *frame);
/* Drops the heartbeat or whole frame that peek has shown. */
void frame_reader_drop(struct frame_reader *reader);
/* Exactly `size` bytes without framing (the handshake); false if there are fewer yet. */
bool frame_reader_take(struct frame_reader *reader, struct bytes_view *out, size_t size);

/* --- out ------------------------------------------------------------------------------------ */

struct frame {
    struct frame *next;
    size_t size; /* with the header */
    uint8_t bytes[];
};

struct frame_queue {
    struct frame *head[P2P_CLASS_COUNT];
    struct frame *tail[P2P_CLASS_COUNT];
    size_t spent[P2P_CLASS_COUNT]; /* bytes of the class's budget */
};

/* A copy with its header in front; 0 < size <= LIMIT_FRAME_BYTES. NULL if memory ran out. */
struct frame *frame_new(struct bytes_view bytes);
/* Whether a frame of `size` bytes (without header) fits into the class's budget. */
bool frame_queue_has_room(const struct frame_queue *queue, enum p2p_class class, size_t size);
/* Takes the frame. It must fit. */
void frame_queue_push(struct frame_queue *queue, enum p2p_class class, struct frame *frame);
/* The frame that goes next: the oldest of the most urgent class. NULL if there is none. */
const struct frame *frame_queue_first(const struct frame_queue *queue);
/* Takes that frame out; it is the caller's to free. NULL if there is none. */
struct frame *frame_queue_pop(struct frame_queue *queue);
void frame_queue_clear(struct frame_queue *queue);

#endif
