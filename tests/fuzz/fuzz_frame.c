/* The reader of frames (docs/spec/wire.md 4): whatever the pieces in which a stream arrives, it shows
 * the frames that the bytes say and nothing else. The first byte chooses whether the peer has
 * authenticated; the sizes of the pieces follow from the bytes themselves. */
#include <string.h>

#include "base/fatal.h"
#include "p2p/frame.h"
#include "tests/fuzz/lib/fuzz.h"

/* The next frame of the whole stream, read plainly; what the reader must agree with. */
static enum frame_kind plain(struct bytes_view stream, size_t at, struct bytes_view *frame)
{
    if (stream.size - at < FRAME_HEADER_SIZE)
        return FRAME_INCOMPLETE;
    size_t size = 0;
    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        size = size << 8 | stream.data[at + i];
    if (size == 0)
        return FRAME_HEARTBEAT;
    if (size > LIMIT_FRAME_BYTES)
        return FRAME_TOO_LARGE;
    if (stream.size - at - FRAME_HEADER_SIZE < size)
        return FRAME_INCOMPLETE;
    *frame = bytes_view_of(stream.data + at + FRAME_HEADER_SIZE, size);
    return FRAME_WHOLE;
}

/* Takes out what is whole; false if the stream can't go on. */
static bool drain(struct frame_reader *reader, struct bytes_view stream, size_t *at, size_t arrived)
{
    struct bytes_view frame = bytes_view_of(NULL, 0), expected = bytes_view_of(NULL, 0);
    for (;;) {
        const enum frame_kind kind = frame_reader_peek(reader, &frame);
        MUST(kind == plain(bytes_view_of(stream.data, arrived), *at, &expected));
        if (kind == FRAME_INCOMPLETE)
            return true;
        if (kind == FRAME_TOO_LARGE)
            return false;
        if (kind == FRAME_WHOLE)
            MUST(bytes_view_equal(frame, expected));
        *at += FRAME_HEADER_SIZE + (kind == FRAME_WHOLE ? frame.size : 0);
        frame_reader_drop(reader);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const bool live = fuzz_take_u8(&source) % 2 == 1;
    const struct bytes_view stream = fuzz_take_rest(&source);
    struct frame_reader reader;
    MUST(frame_reader_init(&reader));
    size_t arrived = 0, at = 0;
    bool goes_on = true;
    while (goes_on && arrived < stream.size) {
        size_t room = 0, piece = 1 + stream.data[arrived] % 61u;
        uint8_t *out = frame_reader_room(&reader, live, &room);
        if (out == NULL) {
            /* Full, and nobody whom we know. */
            MUST(!live && arrived - at >= FRAME_READER_PENDING_BYTES);
            break;
        }
        MUST(room >= 1 && reader.capacity <= FRAME_HEADER_SIZE + LIMIT_FRAME_BYTES);
        MUST(live || reader.capacity <= FRAME_READER_PENDING_BYTES);
        if (piece > room)
            piece = room;
        if (piece > stream.size - arrived)
            piece = stream.size - arrived;
        memcpy(out, stream.data + arrived, piece);
        frame_reader_add(&reader, piece);
        arrived += piece;
        goes_on = drain(&reader, stream, &at, arrived);
    }
    frame_reader_free(&reader);
    return 0;
}
