/* Frames in and out, as data structures without threads or sockets (docs/spec/wire.md 4).
 *
 * Invariants:
 * 1. A reader never holds more than FRAME_HEADER_SIZE + LIMIT_FRAME_BYTES, and not more than
 *    FRAME_READER_LIVE_BYTES unless a frame that is larger stands at its head.
 * 2. A queue never spends more than the budget of each class; frames of a class leave in the order
 *    in which they came, and no frame leaves while one of a more urgent class waits.
 *
 * Deliberately absent: compression, fragments, acknowledgements. A frame goes out whole, so a vote
 * may wait behind one block that is already on its way, and behind no more than that. */
#include "p2p/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

_Static_assert((size_t)FRAME_BUDGET_VOTE >= LIMIT_FRAME_BYTES + FRAME_OVERHEAD_BYTES,
               "the largest frame fits into an empty queue of any class");
_Static_assert(FRAME_BUDGET_TRANSACTION >= FRAME_BUDGET_VOTE, "and so on");
_Static_assert(FRAME_BUDGET_BLOCK >= FRAME_BUDGET_VOTE, "and so on");
_Static_assert(FRAME_BUDGET_SYNC >= FRAME_BUDGET_VOTE, "and so on");

static const size_t class_budget[P2P_CLASS_COUNT] = {
    [P2P_VOTE] = FRAME_BUDGET_VOTE,
    [P2P_BLOCK] = FRAME_BUDGET_BLOCK,
    [P2P_TRANSACTION] = FRAME_BUDGET_TRANSACTION,
    [P2P_SYNC] = FRAME_BUDGET_SYNC,
};

bool frame_reader_init(struct frame_reader *reader)
{
    *reader = (struct frame_reader){.data = malloc(FRAME_READER_PENDING_BYTES),
                                    .capacity = FRAME_READER_PENDING_BYTES};
    return reader->data != NULL;
}

void frame_reader_free(struct frame_reader *reader)
{
    free(reader->data);
    *reader = (struct frame_reader){0};
}

/* Size of the frame whose header is at the head; false if the header isn't whole. */
static bool head_size(const struct frame_reader *reader, size_t *size)
{
    if (reader->size - reader->at < FRAME_HEADER_SIZE) {
        return false;
    }
    struct byte_reader header;
    byte_reader_init(&header, reader->data + reader->at, FRAME_HEADER_SIZE);
    *size = byte_read_u32(&header);
    return true;
}

static bool reader_resize(struct frame_reader *reader, size_t capacity)
{
    size_t left = reader->size - reader->at;
    MUST(left <= capacity);
    uint8_t *data = malloc(capacity);
    if (data == NULL) {
        return false;
    }
    memcpy(data, reader->data + reader->at, left);
    free(reader->data);
    *reader = (struct frame_reader){.data = data, .capacity = capacity, .size = left};
    return true;
}

uint8_t *frame_reader_room(struct frame_reader *reader, bool live, size_t *room)
{
    size_t left = reader->size - reader->at;
    size_t wanted = live ? FRAME_READER_LIVE_BYTES : FRAME_READER_PENDING_BYTES;
    size_t size;
    if (live && head_size(reader, &size) && size <= LIMIT_FRAME_BYTES &&
        FRAME_HEADER_SIZE + size > wanted) {
        wanted = FRAME_HEADER_SIZE + size;
    }
    if (wanted != reader->capacity && left < wanted) {
        if (!reader_resize(reader, wanted)) {
            return NULL;
        }
    } else if (reader->at > 0) {
        memmove(reader->data, reader->data + reader->at, left);
        reader->at = 0;
        reader->size = left;
    }
    *room = reader->capacity - reader->size;
    return *room > 0 ? reader->data + reader->size : NULL;
}

void frame_reader_add(struct frame_reader *reader, size_t size)
{
    MUST(size <= reader->capacity - reader->size);
    reader->size += size;
}

enum frame_kind frame_reader_peek(const struct frame_reader *reader, struct bytes_view *frame)
{
    size_t size;
    if (!head_size(reader, &size)) {
        return FRAME_INCOMPLETE;
    }
    if (size > LIMIT_FRAME_BYTES) {
        return FRAME_TOO_LARGE;
    }
    if (size == 0) {
        return FRAME_HEARTBEAT;
    }
    if (reader->size - reader->at - FRAME_HEADER_SIZE < size) {
        return FRAME_INCOMPLETE;
    }
    *frame = bytes_view_of(reader->data + reader->at + FRAME_HEADER_SIZE, size);
    return FRAME_WHOLE;
}

void frame_reader_drop(struct frame_reader *reader)
{
    size_t size;
    MUST(head_size(reader, &size));
    MUST(reader->size - reader->at - FRAME_HEADER_SIZE >= size);
    reader->at += FRAME_HEADER_SIZE + size;
}

bool frame_reader_take(struct frame_reader *reader, struct bytes_view *out, size_t size)
{
    if (reader->size - reader->at < size) {
        return false;
    }
    *out = bytes_view_of(reader->data + reader->at, size);
    reader->at += size;
    return true;
}

static size_t cost(size_t size)
{
    return size + FRAME_OVERHEAD_BYTES;
}

struct frame *frame_new(struct bytes_view bytes)
{
    MUST(bytes.size > 0 && bytes.size <= LIMIT_FRAME_BYTES);
    struct frame *frame = malloc(sizeof(*frame) + FRAME_HEADER_SIZE + bytes.size);
    if (frame == NULL) {
        return NULL;
    }
    frame->next = NULL;
    frame->size = FRAME_HEADER_SIZE + bytes.size;
    struct byte_writer writer;
    byte_writer_init(&writer, frame->bytes, frame->size);
    byte_write_u32(&writer, (uint32_t)bytes.size);
    byte_write_raw(&writer, bytes.data, bytes.size);
    MUST(!writer.failed && writer.size == frame->size);
    return frame;
}

bool frame_queue_has_room(const struct frame_queue *queue, enum p2p_class class, size_t size)
{
    MUST(class < P2P_CLASS_COUNT);
    return cost(size) <= class_budget[class] - queue->spent[class];
}

void frame_queue_push(struct frame_queue *queue, enum p2p_class class, struct frame *frame)
{
    size_t size = frame->size - FRAME_HEADER_SIZE;
    MUST(frame_queue_has_room(queue, class, size));
    MUST(frame->next == NULL);
    queue->spent[class] += cost(size);
    if (queue->tail[class] != NULL) {
        queue->tail[class]->next = frame;
    } else {
        queue->head[class] = frame;
    }
    queue->tail[class] = frame;
}

/* The most urgent class that has a frame; P2P_CLASS_COUNT if none has. */
static size_t first_class(const struct frame_queue *queue)
{
    size_t i = 0;
    while (i < P2P_CLASS_COUNT && queue->head[i] == NULL) {
        i++;
    }
    return i;
}

const struct frame *frame_queue_first(const struct frame_queue *queue)
{
    size_t i = first_class(queue);
    return i < P2P_CLASS_COUNT ? queue->head[i] : NULL;
}

struct frame *frame_queue_pop(struct frame_queue *queue)
{
    size_t i = first_class(queue);
    if (i == P2P_CLASS_COUNT) {
        return NULL;
    }
    struct frame *frame = queue->head[i];
    size_t spent = cost(frame->size - FRAME_HEADER_SIZE);
    MUST(spent <= queue->spent[i]);
    queue->spent[i] -= spent;
    queue->head[i] = frame->next;
    if (frame->next == NULL) {
        queue->tail[i] = NULL;
    }
    frame->next = NULL;
    return frame;
}

void frame_queue_clear(struct frame_queue *queue)
{
    struct frame *frame;
    while ((frame = frame_queue_pop(queue)) != NULL) {
        free(frame);
    }
}
