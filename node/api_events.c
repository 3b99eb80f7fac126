/* Server-sent events: one per block, from any height on (docs/spec/api.md).
 *
 * A stream is a cursor: the height that comes next. Its callback runs on the daemon's threads, reads
 * one block from the store when that height is committed, and else suspends its connection; the loop
 * wakes all suspended streams after a commit. So a slow reader costs one buffer and holds up nobody.
 *
 * Invariants: a stream that is marked `waiting` is suspended, and whoever unmarks it resumes it; both
 * happen under the lock, so none is resumed twice and none is forgotten. After api_streams_end none
 * suspends itself any more.
 *
 * One reader has so many streams as the configuration says, counted by its address and, where requests are
 * signed, by its key: who hides behind many addresses has one key, who has many keys one address.
 *
 * On a node that gives reads by role each block is told as its reader may see it then; a reader whose key
 * or membership has ended is told nothing more.
 *
 * Deliberately absent: other filters. Who wants some of its own deals only reads and skips. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/api_internal.h"

struct stream {
    struct api_streams *owner;
    struct MHD_Connection *connection;
    uint64_t next;
    bool whole; /* all is for this reader; else what `reader` may see */
    struct public_key reader;
    bool is_signed; /* `reader` is whose key it is */
    uint8_t address[API_ADDRESS_ID_MAX];
    size_t address_size; /* 0: it is not counted */
    uint64_t written_at_ms;
    bool probed; /* a comment is due, whatever the time */
    bool waiting;
    char *text;     /* what is being sent; NULL: nothing */
    size_t charged; /* to the budget, for the text */
    size_t size;
    size_t at;
};

struct api_streams {
    struct node *node;
    struct api_budget *budget;
    pthread_mutex_t lock;
    uint64_t height; /* the last that is committed */
    bool ending;
    struct stream *streams[API_STREAMS_MAX];
};

struct api_streams *api_streams_create(struct node *node, struct api_budget *budget)
{
    struct api_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL)
        return NULL;
    streams->node = node;
    streams->budget = budget;
    streams->height = store_tip(node->store)->height;
    MUST(pthread_mutex_init(&streams->lock, NULL) == 0);
    return streams;
}

void api_streams_destroy(struct api_streams *streams)
{
    for (size_t i = 0; i < API_STREAMS_MAX; i++)
        MUST(streams->streams[i] == NULL); /* the daemon has freed every response by now */
    MUST(pthread_mutex_destroy(&streams->lock) == 0);
    free(streams);
}

static void lock(struct api_streams *streams)
{
    MUST(pthread_mutex_lock(&streams->lock) == 0);
}

static void unlock(struct api_streams *streams)
{
    MUST(pthread_mutex_unlock(&streams->lock) == 0);
}

/* With the lock held. */
static void wake(struct stream *stream)
{
    if (stream->waiting) {
        stream->waiting = false;
        MHD_resume_connection(stream->connection);
    }
}

/* With the lock held. A connection that nothing is written to is not seen to be gone. */
static void probe(struct stream *stream)
{
    stream->probed = true;
    wake(stream);
}

/* With the lock held. */
static void wake_all(struct api_streams *streams)
{
    for (size_t i = 0; i < API_STREAMS_MAX; i++) {
        if (streams->streams[i] != NULL)
            wake(streams->streams[i]);
    }
}

static bool same_address(const struct stream *a, const struct stream *b)
{
    return a->address_size > 0 && a->address_size == b->address_size &&
           memcmp(a->address, b->address, a->address_size) == 0;
}

static bool same_key(const struct stream *a, const struct stream *b)
{
    return a->is_signed && b->is_signed && public_key_equal(&a->reader, &b->reader);
}

/* With the lock held. True if the reader of `stream` has as many as it may; those are written to, so that
 * the ones whose connection is gone see that and make room for it when it comes back. */
static bool reader_is_full(struct api_streams *streams, const struct stream *stream)
{
    const uint32_t limit = streams->node->config.api.streams;
    uint32_t of_address = 0;
    uint32_t of_key = 0;
    for (size_t i = 0; i < API_STREAMS_MAX; i++) {
        const struct stream *other = streams->streams[i];
        of_address += other != NULL && same_address(other, stream);
        of_key += other != NULL && same_key(other, stream);
    }
    if (of_address < limit && of_key < limit)
        return false;
    for (size_t i = 0; i < API_STREAMS_MAX; i++) {
        struct stream *other = streams->streams[i];
        if (other != NULL && (same_address(other, stream) || same_key(other, stream)))
            probe(other);
    }
    return true;
}

static void drop_text(struct stream *stream)
{
    api_budget_give(stream->owner->budget, stream->charged);
    stream->charged = 0;
    free(stream->text);
    stream->text = NULL;
}

/* Takes `text` (malloc'ed, may be NULL) as what is sent next. */
static void send_text(struct stream *stream, char *text, size_t size)
{
    drop_text(stream);
    stream->text = text;
    stream->size = text != NULL ? size : 0;
    stream->at = 0;
    stream->written_at_ms = node_clock_monotonic_ms();
}

/* The event of the next block, framed. False if it can't be read now. */
static bool prepare_event(struct stream *stream)
{
    api_reply_begin();
    char *data =
        api_block_event(stream->owner->node, stream->next, stream->whole ? NULL : &stream->reader);
    if (data == NULL)
        return false;
    size_t room = strlen(data) + 64;
    char *text = malloc(room);
    int size = 0;
    if (text != NULL)
        size =
            snprintf(text, room, "id: %llu\ndata: %s\n\n", (unsigned long long)stream->next, data);
    free(data);
    /* No room among the answers that wait: the stream ends here and its reader comes back later. */
    size_t charged = 0;
    if (text == NULL || size <= 0 ||
        !api_budget_take(stream->owner->budget, (size_t)size, &charged)) {
        free(text);
        return false;
    }
    send_text(stream, text, (size_t)size);
    stream->charged = charged;
    stream->next++;
    return true;
}

static void prepare_keepalive(struct stream *stream)
{
    static const char comment[] = ": alive\n\n";
    char *text = malloc(sizeof comment);
    if (text != NULL)
        memcpy(text, comment, sizeof comment);
    send_text(stream, text, sizeof comment - 1);
}

/* What to do when nothing is left to send: true if there is something new. */
static bool prepare(struct stream *stream)
{
    struct api_streams *owner = stream->owner;
    lock(owner);
    bool ready = stream->next <= owner->height;
    bool quiet =
        stream->probed || node_clock_monotonic_ms() - stream->written_at_ms >= API_KEEPALIVE_MS;
    stream->probed = false;
    if (!ready && !quiet && !owner->ending) {
        stream->waiting = true;
        MHD_suspend_connection(stream->connection);
    }
    unlock(owner);
    if (ready)
        return prepare_event(stream);
    if (quiet)
        prepare_keepalive(stream);
    return stream->text != NULL;
}

static ssize_t stream_read(void *context, uint64_t position, char *buffer, size_t max)
{
    struct stream *stream = context;
    (void)position;
    lock(stream->owner);
    bool ending = stream->owner->ending;
    unlock(stream->owner);
    if (ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (stream->text == NULL && !prepare(stream)) {
        lock(stream->owner);
        /* Committed but unreadable: end, and let the reader come back where it stopped. */
        bool broken = stream->next <= stream->owner->height && !stream->waiting;
        unlock(stream->owner);
        return broken ? MHD_CONTENT_READER_END_OF_STREAM : 0;
    }
    if (stream->text == NULL)
        return 0;
    size_t size = stream->size - stream->at;
    if (size > max)
        size = max;
    memcpy(buffer, stream->text + stream->at, size);
    stream->at += size;
    if (stream->at == stream->size)
        drop_text(stream);
    return (ssize_t)size;
}

static void stream_free(void *context)
{
    struct stream *stream = context;
    struct api_streams *owner = stream->owner;
    lock(owner);
    for (size_t i = 0; i < API_STREAMS_MAX; i++) {
        if (owner->streams[i] == stream)
            owner->streams[i] = NULL;
    }
    unlock(owner);
    drop_text(stream);
    free(stream);
}

static struct stream *make_stream(struct api_streams *streams, const struct api_request *request)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    const struct access *access = &request->access;
    stream->owner = streams;
    stream->connection = request->connection;
    /* A regulator's role may end too: only an open node's streams are asked no more. */
    stream->is_signed = !name_is_empty(&access->who);
    stream->whole = access->all && !stream->is_signed;
    stream->reader = access->key;
    stream->address_size = api_limits_address(request->api->limits, request, stream->address);
    stream->written_at_ms = node_clock_monotonic_ms();
    return stream;
}

/* With the lock held: gives the stream a place, if there is one for it. */
static enum api_stream_result take_place(struct api_streams *streams, struct stream *stream)
{
    if (reader_is_full(streams, stream))
        return API_STREAM_READER_FULL;
    size_t slot = 0;
    while (slot < API_STREAMS_MAX && streams->streams[slot] != NULL)
        slot++;
    if (slot == API_STREAMS_MAX || streams->ending) {
        for (size_t i = 0; i < API_STREAMS_MAX; i++)
            if (streams->streams[i] != NULL)
                probe(streams->streams[i]); /* as above */
        return API_STREAM_NO_ROOM;
    }
    streams->streams[slot] = stream;
    return API_STREAM_OPEN;
}

enum api_stream_result api_streams_open(struct api_streams *streams, struct MHD_Response **response,
                                        const struct api_request *request, uint64_t height)
{
    struct stream *stream = make_stream(streams, request);
    if (stream == NULL)
        return API_STREAM_NO_ROOM;
    lock(streams);
    stream->next = height > 0 ? height : streams->height + 1;
    const enum api_stream_result result = take_place(streams, stream);
    unlock(streams);
    if (result != API_STREAM_OPEN) {
        free(stream);
        return result;
    }
    /* A first byte at once, so that the reader knows that it is connected. */
    prepare_keepalive(stream);
    *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, (size_t)16 * 1024, stream_read,
                                                  stream, stream_free);
    if (*response != NULL)
        return API_STREAM_OPEN;
    stream_free(stream);
    return API_STREAM_NO_ROOM;
}

uint32_t api_streams_count(struct api_streams *streams)
{
    uint32_t count = 0;
    lock(streams);
    for (size_t i = 0; i < API_STREAMS_MAX; i++)
        count += streams->streams[i] != NULL;
    unlock(streams);
    return count;
}

void api_streams_publish(struct api_streams *streams, uint64_t height)
{
    lock(streams);
    if (height > streams->height)
        streams->height = height;
    wake_all(streams);
    unlock(streams);
}

void api_streams_housekeeping(struct api_streams *streams)
{
    uint64_t now = node_clock_monotonic_ms();
    lock(streams);
    for (size_t i = 0; i < API_STREAMS_MAX; i++) {
        struct stream *stream = streams->streams[i];
        if (stream != NULL && now - stream->written_at_ms >= API_KEEPALIVE_MS)
            wake(stream);
    }
    unlock(streams);
}

void api_streams_end(struct api_streams *streams)
{
    lock(streams);
    streams->ending = true;
    wake_all(streams);
    unlock(streams);
}
