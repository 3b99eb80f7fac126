/* Frames as data: whatever way the bytes are cut, and whatever order frames are queued in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2p/frame.h"

/* A small generator, so that a failing run can be run again. */
static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Puts up to `size` bytes in; how many fitted. */
static size_t feed(struct frame_reader *reader, const uint8_t *data, size_t size)
{
    size_t room;
    uint8_t *at = frame_reader_room(reader, true, &room);
    assert_non_null(at);
    size_t part = size < room ? size : room;
    memcpy(at, data, part);
    frame_reader_add(reader, part);
    assert_true(reader->capacity <= FRAME_HEADER_SIZE + LIMIT_FRAME_BYTES);
    return part;
}

static void a_stream_cut_anywhere_gives_the_same_frames(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 5, 65531, 65532, 65533, 200000, 3, 70000, 70000, 12};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]), STREAM_MAX = 1024 * 1024 };
    uint8_t *stream = malloc(STREAM_MAX);
    assert_non_null(stream);
    struct byte_writer writer;
    byte_writer_init(&writer, stream, STREAM_MAX);
    for (size_t i = 0; i < COUNT; i++) {
        byte_write_u32(&writer, 0); /* a heartbeat before each */
        byte_write_u32(&writer, (uint32_t)sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            byte_write_u8(&writer, (uint8_t)(i * 31 + k));
        }
    }
    assert_false(writer.failed);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct frame_reader reader;
        assert_true(frame_reader_init(&reader));
        uint64_t random = seed;
        size_t at = 0, frames = 0, heartbeats = 0;
        while (at < writer.size || frames < COUNT) {
            size_t cut = 1 + next_random(&random) % (seed % 2 == 0 ? 9000 : 100000);
            at += feed(&reader, stream + at, cut < writer.size - at ? cut : writer.size - at);
            struct bytes_view frame;
            enum frame_kind kind;
            while ((kind = frame_reader_peek(&reader, &frame)) != FRAME_INCOMPLETE) {
                assert_int_not_equal(kind, FRAME_TOO_LARGE);
                if (kind == FRAME_WHOLE) {
                    assert_int_equal(frame.size, sizes[frames]);
                    for (size_t k = 0; k < frame.size; k++) {
                        assert_true(frame.data[k] == (uint8_t)(frames * 31 + k));
                    }
                }
                frames += kind == FRAME_WHOLE ? 1 : 0;
                heartbeats += kind == FRAME_HEARTBEAT ? 1 : 0;
                frame_reader_drop(&reader);
            }
        }
        assert_int_equal(frames, COUNT);
        assert_int_equal(heartbeats, COUNT);
        /* What a large frame took is given back. */
        size_t room;
        assert_non_null(frame_reader_room(&reader, true, &room));
        assert_int_equal(reader.capacity, FRAME_READER_LIVE_BYTES);
        frame_reader_free(&reader);
    }
    free(stream);
}

static void a_size_over_the_limit_is_seen_from_its_header(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        enum frame_kind kind;
    } rows[] = {{0, FRAME_HEARTBEAT},
                {1, FRAME_INCOMPLETE},
                {LIMIT_FRAME_BYTES, FRAME_INCOMPLETE},
                {LIMIT_FRAME_BYTES + 1, FRAME_TOO_LARGE},
                {UINT32_MAX, FRAME_TOO_LARGE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct frame_reader reader;
        struct bytes_view frame;
        uint8_t header[4];
        struct byte_writer writer;
        assert_true(frame_reader_init(&reader));
        byte_writer_init(&writer, header, sizeof(header));
        byte_write_u32(&writer, rows[i].size);
        assert_int_equal(feed(&reader, header, 3), 3);
        assert_int_equal(frame_reader_peek(&reader, &frame), FRAME_INCOMPLETE);
        assert_int_equal(feed(&reader, header + 3, 1), 1);
        assert_int_equal(frame_reader_peek(&reader, &frame), rows[i].kind);
        frame_reader_free(&reader);
    }
}

static void a_stranger_gets_no_more_room_than_a_handshake_needs(void **state)
{
    (void)state;
    struct frame_reader reader;
    size_t room, total = 0;
    assert_true(frame_reader_init(&reader));
    while (frame_reader_room(&reader, false, &room) != NULL) {
        memset(reader.data + reader.size, 0xff, room);
        frame_reader_add(&reader, room);
        total += room;
        assert_true(total <= FRAME_READER_PENDING_BYTES);
    }
    assert_int_equal(total, FRAME_READER_PENDING_BYTES);
    frame_reader_free(&reader);
}

/* Bytes that are frames of random sizes, then random bytes: never more memory than the limit, and
 * whatever is called a frame lies within what was read. */
static void random_bytes_never_break_the_reader(void **state)
{
    (void)state;
    enum { CHUNK = 8192 };
    uint8_t chunk[CHUNK];
    uint64_t random = 20240229;
    size_t too_large = 0, heartbeats = 0, frames = 0;
    for (int run = 0; run < 1000; run++) {
        for (size_t i = 0; i < CHUNK; i++) {
            chunk[i] = (uint8_t)next_random(&random);
        }
        size_t at = 0;
        for (uint64_t left = next_random(&random) % 40; left > 0 && at + 512 < CHUNK; left--) {
            struct byte_writer header;
            byte_writer_init(&header, chunk + at, FRAME_HEADER_SIZE);
            uint32_t size = (uint32_t)(next_random(&random) % 300 * (left % 3));
            byte_write_u32(&header, size);
            at += FRAME_HEADER_SIZE + size;
        }
        struct frame_reader reader;
        enum frame_kind kind = FRAME_INCOMPLETE;
        assert_true(frame_reader_init(&reader));
        for (at = 0; at < CHUNK && kind != FRAME_TOO_LARGE;) {
            at += feed(&reader, chunk + at, 1 + next_random(&random) % (CHUNK - at));
            struct bytes_view frame;
            while ((kind = frame_reader_peek(&reader, &frame)) == FRAME_WHOLE ||
                   kind == FRAME_HEARTBEAT) {
                if (kind == FRAME_WHOLE) {
                    frames++;
                    assert_true(frame.size > 0 && frame.size <= LIMIT_FRAME_BYTES);
                    assert_true(frame.data + frame.size <= reader.data + reader.size);
                } else {
                    heartbeats++;
                }
                frame_reader_drop(&reader);
            }
        }
        too_large += kind == FRAME_TOO_LARGE ? 1 : 0;
        frame_reader_free(&reader);
    }
    /* The inputs reach every verdict. */
    assert_true(too_large > 500 && heartbeats > 1000 && frames > 1000);
}

static struct frame *frame_of(uint8_t mark, size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, mark, size);
    struct frame *frame = frame_new(bytes_view_of(bytes, size));
    free(bytes);
    assert_non_null(frame);
    return frame;
}

static void the_most_urgent_class_leaves_first(void **state)
{
    (void)state;
    static const enum p2p_class order_in[] = {P2P_SYNC,  P2P_TRANSACTION, P2P_VOTE,       P2P_SYNC,
                                              P2P_BLOCK, P2P_VOTE,        P2P_TRANSACTION};
    static const uint8_t order_out[] = {2, 5, 4, 1, 6, 0, 3};
    struct frame_queue queue = {0};
    for (uint8_t i = 0; i < 7; i++) {
        frame_queue_push(&queue, order_in[i], frame_of(i, 10 + i));
    }
    for (size_t i = 0; i < 7; i++) {
        const struct frame *first = frame_queue_first(&queue);
        struct frame *frame = frame_queue_pop(&queue);
        assert_ptr_equal(first, frame);
        assert_int_equal(frame->size, FRAME_HEADER_SIZE + 10 + order_out[i]);
        assert_int_equal(frame->bytes[3], 10 + order_out[i]);
        assert_int_equal(frame->bytes[4], order_out[i]);
        free(frame);
    }
    assert_null(frame_queue_pop(&queue));
    for (size_t i = 0; i < P2P_CLASS_COUNT; i++) {
        assert_int_equal(queue.spent[i], 0);
    }
}

static void budgets_bound_large_and_tiny_frames(void **state)
{
    (void)state;
    static const size_t budgets[] = {FRAME_BUDGET_VOTE, FRAME_BUDGET_BLOCK,
                                     FRAME_BUDGET_TRANSACTION, FRAME_BUDGET_SYNC};
    for (size_t i = 0; i < P2P_CLASS_COUNT; i++) {
        enum p2p_class class = (enum p2p_class)i;
        struct frame_queue queue = {0};
        assert_true(frame_queue_has_room(&queue, class, LIMIT_FRAME_BYTES));
        size_t count = 0;
        for (; frame_queue_has_room(&queue, class, 1); count++) {
            frame_queue_push(&queue, class, frame_of(1, 1));
        }
        assert_int_equal(count, budgets[i] / (1 + FRAME_OVERHEAD_BYTES));
        /* A full class takes no room from the others. */
        for (size_t other = 0; other < P2P_CLASS_COUNT; other++) {
            assert_int_equal(frame_queue_has_room(&queue, (enum p2p_class)other, LIMIT_FRAME_BYTES),
                             other != i);
        }
        free(frame_queue_pop(&queue));
        assert_true(frame_queue_has_room(&queue, class, 1));
        frame_queue_clear(&queue);
        assert_int_equal(queue.spent[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_cut_anywhere_gives_the_same_frames),
        cmocka_unit_test(a_size_over_the_limit_is_seen_from_its_header),
        cmocka_unit_test(a_stranger_gets_no_more_room_than_a_handshake_needs),
        cmocka_unit_test(random_bytes_never_break_the_reader),
        cmocka_unit_test(the_most_urgent_class_leaves_first),
        cmocka_unit_test(budgets_bound_large_and_tiny_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
