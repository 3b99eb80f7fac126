/* `flex order watch` and `flex deal watch`: what becomes of orders and deals, as it happens.
 *
 * A node's stream of blocks (server-sent events) says when to look; what is printed are the records
 * themselves, each with its proof. A stream that breaks is taken up behind the last block that was seen. A
 * table for people; under --json one object per line, and a last one that says how it ended. */
#ifndef FLEX_TOOLS_WATCH_H
#define FLEX_TOOLS_WATCH_H

#include "tools/cli.h"

struct watch {
    struct name market;
    struct name participant; /* empty: the wallet's own */
    uint64_t from_height;    /* 0: from now on */
    bool until_closed;
};
/* Records that one command follows; blocks' events that are longer end it. */
enum { WATCHED_MAX = 65536, WATCH_EVENT_BYTES_MAX = 16 * 1024 * 1024 };

enum { WATCH_OPTIONS = 4 };
extern const struct cli_option watch_options[WATCH_OPTIONS];
/* The ids are cli->words; none: all of the participant's that are open, and those that come. */
int watch_orders(struct cli *cli, void *arguments);
int watch_deals(struct cli *cli, void *arguments);

/* The framing of server-sent events (docs/spec/api.md), for the command and for its fuzz target. */
struct sse_reader {
    char *line; /* that is coming in */
    size_t line_size;
    size_t line_room;
    char *data; /* of the event that is coming in, NUL-terminated; NULL: none yet */
    size_t data_size;
    uint64_t id;
    bool has_id;
};
/* `event` gets each whole event; false from it, or false returned here, ends the stream: too long, or not a
 * stream of blocks. */
typedef bool (*sse_event_fn)(void *context, uint64_t id, const char *data, size_t size);
bool sse_feed(struct sse_reader *reader, const char *bytes, size_t size, sse_event_fn event,
              void *context);
void sse_release(struct sse_reader *reader);

#endif
