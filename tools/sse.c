/* Framing of server-sent events (tools/watch.h; docs/spec/api.md): lines "id: HEIGHT" and "data: JSON", a blank
 * line behind each event, comments that begin with a colon.
 *
 * Invariants: what is kept is bounded by WATCH_EVENT_BYTES_MAX, whatever comes; an event without an id or
 * without data is none; cutting the bytes elsewhere changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "tools/watch.h"

void sse_release(struct sse_reader *reader)
{
    free(reader->line);
    free(reader->data);
    memset(reader, 0, sizeof *reader);
}

static bool add_to_line(struct sse_reader *reader, const char *bytes, size_t size)
{
    if (size > WATCH_EVENT_BYTES_MAX - reader->line_size) {
        return false;
    }
    if (reader->line_size + size + 1 > reader->line_room) {
        const size_t room = 2 * (reader->line_size + size) + 256;
        char *grown = realloc(reader->line, room);
        if (grown == NULL) {
            return false;
        }
        reader->line = grown;
        reader->line_room = room;
    }
    memcpy(reader->line + reader->line_size, bytes, size);
    reader->line_size += size;
    reader->line[reader->line_size] = '\0';
    return true;
}

/* The value behind "name:" and one blank; NULL if it is another field. */
static const char *value_of(const char *line, const char *name)
{
    const size_t length = strlen(name);
    if (strncmp(line, name, length) != 0 || line[length] != ':') {
        return NULL;
    }
    return line + length + 1 + (line[length + 1] == ' ');
}

static bool end_event(struct sse_reader *reader, sse_event_fn event, void *context)
{
    bool ok = true;
    if (reader->has_id && reader->data != NULL) {
        ok = event(context, reader->id, reader->data, reader->data_size);
    }
    free(reader->data);
    reader->data = NULL;
    reader->has_id = false;
    return ok;
}

static bool take_line(struct sse_reader *reader, sse_event_fn event, void *context)
{
    const char *line = reader->line;
    const char *value;
    if (strlen(line) != reader->line_size) {
        return false; /* a zero byte */
    }
    if (reader->line_size == 0) {
        return end_event(reader, event, context);
    }
    if ((value = value_of(line, "id")) != NULL) {
        reader->has_id = uint64_from_text(&reader->id, value);
        return reader->has_id;
    }
    if ((value = value_of(line, "data")) != NULL) {
        /* A node sends one line of data per event. */
        if (reader->data != NULL) {
            return false;
        }
        reader->data = strdup(value);
        reader->data_size = strlen(value);
        return reader->data != NULL;
    }
    return true; /* a comment, or a field that means nothing here */
}

bool sse_feed(struct sse_reader *reader, const char *bytes, size_t size, sse_event_fn event,
              void *context)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(bytes + at, '\n', size - at);
        const size_t part = end != NULL ? (size_t)(end - bytes) - at : size - at;
        if (!add_to_line(reader, bytes + at, part)) {
            return false;
        }
        at += part;
        if (end != NULL) {
            at++;
            if (!take_line(reader, event, context)) {
                return false;
            }
            reader->line_size = 0;
        }
    }
    return true;
}
