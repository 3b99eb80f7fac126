/* Who is connected to the API, so that half a request never costs somebody else a whole one.
 *
 * libmicrohttpd takes no connection beyond API_CONNECTIONS_MAX, and lets one that says nothing live
 * for API_TIMEOUT_SECONDS: that many half-open connections, from anywhere, would shut the API for as
 * long. So from API_CONNECTIONS_CROWDED on, each new connection ends the oldest one that has no
 * complete request: one that is idle between requests, or still sending (docs/spec/api.md).
 *
 * If there is none, the one goes that has been reading its answer for longest, over API_ANSWER_MS.
 *
 * Without any crowd, too, a connection ends that sends a request byte by byte for API_REQUEST_MS, or takes
 * its answer so for API_ANSWER_MS_MAX.
 *
 * Invariants: a request that waits for its answer, and a stream, is never ended from here; a
 * socket is shut down only while its entry is in use, which is until libmicrohttpd has said that
 * the connection is closed, so its number cannot be another's by then.
 *
 * Deliberately absent: limits per address, which api_rules.c has. */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api_internal.h"

struct api_connection {
    bool used;
    bool served; /* a complete request is being answered */
    int socket;
    uint64_t since;       /* order of becoming idle */
    uint64_t since_ms;    /* monotonic: waits for a whole request since then */
    uint64_t answered_ms; /* the answer is on its way since then; 0: it isn't */
};

struct api_connections {
    struct node_metrics *metrics;
    pthread_mutex_t lock;
    uint32_t count;
    uint64_t clock; /* counts changes; enough to tell older from younger */
    struct api_connection entries[API_CONNECTIONS_MAX];
};

struct api_connections *api_connections_create(struct node_metrics *metrics)
{
    struct api_connections *all = calloc(1, sizeof *all);
    if (all == NULL)
        return NULL;
    all->metrics = metrics;
    MUST(pthread_mutex_init(&all->lock, NULL) == 0);
    return all;
}

void api_connections_destroy(struct api_connections *all)
{
    MUST(pthread_mutex_destroy(&all->lock) == 0);
    free(all);
}

/* NULL if every reader is still within its time. */
static struct api_connection *slowest_reader(struct api_connections *all)
{
    const uint64_t now_ms = node_clock_monotonic_ms();
    struct api_connection *slowest = NULL;
    for (uint32_t i = 0; i < API_CONNECTIONS_MAX; i++) {
        struct api_connection *entry = &all->entries[i];
        if (entry->used && entry->answered_ms != 0 && now_ms - entry->answered_ms > API_ANSWER_MS &&
            (slowest == NULL || entry->answered_ms < slowest->answered_ms))
            slowest = entry;
    }
    return slowest;
}

/* Its thread of libmicrohttpd sees the end of the stream and closes it. */
static void end(struct api_connections *all, struct api_connection *entry)
{
    entry->served = true; /* ended once is enough */
    entry->answered_ms = 0;
    (void)shutdown(entry->socket, SHUT_RDWR);
    metric_add(&all->metrics->http_ended, 1);
}

static void end_oldest(struct api_connections *all)
{
    struct api_connection *oldest = NULL;
    for (uint32_t i = 0; i < API_CONNECTIONS_MAX; i++) {
        struct api_connection *entry = &all->entries[i];
        if (entry->used && !entry->served && (oldest == NULL || entry->since < oldest->since))
            oldest = entry;
    }
    if (oldest == NULL)
        oldest = slowest_reader(all);
    if (oldest == NULL)
        return;
    end(all, oldest);
    log_line(LOG_DEBUG, "http: crowded -> the oldest connection without a whole request ended");
}

static void enter(struct api_connections *all, struct MHD_Connection *connection, void **place)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    MUST(info != NULL);
    if (all->count >= API_CONNECTIONS_CROWDED)
        end_oldest(all);
    for (uint32_t i = 0; i < API_CONNECTIONS_MAX; i++) {
        if (!all->entries[i].used) {
            all->entries[i] = (struct api_connection){.used = true,
                                                      .socket = info->connect_fd,
                                                      .since = ++all->clock,
                                                      .since_ms = node_clock_monotonic_ms()};
            all->count++;
            *place = &all->entries[i];
            return;
        }
    }
    *place =
        NULL; /* the daemon's own limit is the table's size: only in its moment of closing one */
}

void api_connections_notify(void *context, struct MHD_Connection *connection, void **place,
                            enum MHD_ConnectionNotificationCode code)
{
    struct api_connections *all = context;
    MUST(pthread_mutex_lock(&all->lock) == 0);
    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        enter(all, connection, place);
        break;
    case MHD_CONNECTION_NOTIFY_CLOSED: {
        struct api_connection *entry = *place;
        if (entry != NULL) {
            entry->used = false;
            all->count--;
        }
        break;
    }
    }
    MUST(pthread_mutex_unlock(&all->lock) == 0);
}

void api_connections_housekeeping(struct api_connections *all)
{
    const uint64_t now_ms = node_clock_monotonic_ms();
    MUST(pthread_mutex_lock(&all->lock) == 0);
    for (uint32_t i = 0; i < API_CONNECTIONS_MAX; i++) {
        struct api_connection *entry = &all->entries[i];
        const bool dawdles = !entry->served && now_ms - entry->since_ms > API_REQUEST_MS;
        const bool reads_on =
            entry->answered_ms != 0 && now_ms - entry->answered_ms > API_ANSWER_MS_MAX;
        if (entry->used && (dawdles || reads_on))
            end(all, entry);
    }
    MUST(pthread_mutex_unlock(&all->lock) == 0);
}

static struct api_connection *entry_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

void api_connections_mark(struct api_connections *all, struct MHD_Connection *connection,
                          bool served)
{
    struct api_connection *entry = entry_of(connection);
    if (entry == NULL)
        return;
    MUST(pthread_mutex_lock(&all->lock) == 0);
    entry->served = served;
    entry->since = ++all->clock;
    entry->since_ms = node_clock_monotonic_ms();
    entry->answered_ms = 0;
    MUST(pthread_mutex_unlock(&all->lock) == 0);
}

void api_connections_answered(struct api_connections *all, struct MHD_Connection *connection)
{
    struct api_connection *entry = entry_of(connection);
    if (entry == NULL)
        return;
    MUST(pthread_mutex_lock(&all->lock) == 0);
    entry->answered_ms = node_clock_monotonic_ms();
    MUST(pthread_mutex_unlock(&all->lock) == 0);
}
