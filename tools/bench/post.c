/* A thread that hands transactions over, in their order, on several connections to each validator
 * (tools/bench/bench.h).
 *
 * With a rate, the k-th is due at begin + k / rate, and that is the time that latency is counted from,
 * whether or not it could be handed over just then: a generator that waits for a slow server must not
 * hide what users would feel. Without a rate, at most WINDOW are on their way.
 *
 * A validator whose mempool is full (429) is asked again after a short pause, as wallets do. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "tools/bench/bench.h"

enum {
    LINKS_PER_VALIDATOR = 8,
    LINKS_MAX = LINKS_PER_VALIDATOR * LIMIT_VALIDATORS,
    ACTIONS_WINDOW = 32768, /* on their way; some seconds of the fastest ledger there is */
    WINDOW_MAX = 8192,      /* transactions on their way: what the mempools hold is more */
    ANSWER_ROOM = 4096,
    BUSY_PAUSE_NS = 2000000,
    STATUS_TAKEN = 202,
    STATUS_BUSY = 429
};

/* Of one validator: the places of its transactions in the list, in order. */
struct lane {
    uint32_t *places;
    uint32_t count;
    uint32_t next;
    uint64_t pause_until_ns;
};

struct link {
    struct bench_http http;
    uint32_t lane;
    struct bench_transaction *carries; /* NULL: idle */
    size_t written;
    bool again; /* what it carries goes out for the second time */
};

struct bench_poster {
    struct bench_world *world;
    struct bench_list *list;
    uint32_t rate;
    uint32_t window;
    uint64_t begin_ns;
    _Atomic uint64_t end_ns; /* UINT64_MAX: when all are handed over */
    struct lane lanes[LIMIT_VALIDATORS];
    struct link links[LINKS_MAX];
    uint32_t link_count;
    int poll;
    pthread_t thread;
    atomic_uint final;
    atomic_uint posted;
    atomic_uint refused;
    atomic_bool ended;
    atomic_bool broken;
    char refusal[160]; /* the first refusal's answer; the thread's until it has ended */
};

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t due_ns(const struct bench_poster *poster, const struct bench_transaction *item)
{
    if (poster->rate == 0)
        return 0;
    uint64_t place = (uint64_t)(item - poster->list->items);
    return poster->begin_ns + place * 1000000000U / poster->rate;
}

/* Writes on; false if the connection is broken. */
static bool write_on(struct link *link)
{
    while (link->written < link->carries->size) {
        ssize_t done = send(link->http.descriptor, link->carries->request + link->written,
                            link->carries->size - link->written, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        link->written += (size_t)done;
    }
    return true;
}

/* Gives an idle link its next transaction, if one may go. False if the connection is broken. */
static bool hand_over(struct bench_poster *poster, struct link *link, uint64_t now)
{
    struct lane *lane = &poster->lanes[link->lane];
    if (lane->next == lane->count || now < lane->pause_until_ns || now >= poster->end_ns)
        return true;
    const uint32_t posted = atomic_load(&poster->posted);
    if (posted - atomic_load(&poster->final) >= poster->window)
        return true;
    struct bench_transaction *item = &poster->list->items[lane->places[lane->next]];
    const uint64_t due = due_ns(poster, item);
    if (now < due)
        return true;
    lane->next++;
    item->posted_ns = due != 0 ? due : now;
    link->carries = item;
    link->again = false;
    link->written = 0;
    bench_http_next(&link->http);
    atomic_store(&poster->posted, posted + 1);
    return write_on(link);
}

static bool take_answer(struct bench_poster *poster, struct link *link, uint64_t now)
{
    int status = 0;
    int whole = bench_http_read(&link->http, &status);
    if (whole <= 0)
        return whole == 0;
    struct lane *lane = &poster->lanes[link->lane];
    if (status == STATUS_BUSY) {
        /* The same once more, later; the order of a sender's nonces does not suffer: they wait. */
        lane->pause_until_ns = now + BUSY_PAUSE_NS;
        link->written = 0;
        bench_http_next(&link->http);
        return write_on(link);
    }
    if (status != STATUS_TAKEN) {
        link->carries->refused = true;
        if (poster->refusal[0] == '\0')
            snprintf(poster->refusal, sizeof poster->refusal, "%d %.*s", status,
                     (int)(link->http.length < 140 ? link->http.length : 140),
                     (const char *)link->http.bytes + link->http.body);
        atomic_fetch_add(&poster->refused, 1);
    }
    link->carries = NULL;
    return true;
}

static bool all_handed_over(const struct bench_poster *poster, uint64_t now)
{
    for (uint32_t i = 0; i < poster->link_count; i++)
        if (poster->links[i].carries != NULL)
            return false;
    if (now >= poster->end_ns)
        return true;
    for (uint32_t i = 0; i < poster->world->options->validators; i++)
        if (poster->lanes[i].next < poster->lanes[i].count)
            return false;
    return true;
}

static bool open_link(struct bench_poster *poster, struct link *link)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = link}};
    const uint16_t port = poster->world->devnet.nodes[link->lane].api_port;
    return bench_http_open(&link->http, port, ANSWER_ROOM, false) &&
           epoll_ctl(poster->poll, EPOLL_CTL_ADD, link->http.descriptor, &event) == 0;
}

/* The API closes what is idle for long, and may do so just when a request goes out. An idle link opens
 * anew; a request that nothing was answered to goes out again, once: its id keeps it from counting twice. */
static bool again(struct bench_poster *poster, struct link *link)
{
    if (link->carries != NULL && (link->again || link->http.filled > 0))
        return false;
    bench_http_close(&link->http);
    if (!open_link(poster, link))
        return false;
    link->again = link->carries != NULL;
    link->written = 0;
    return link->carries == NULL || write_on(link);
}

static bool step(struct bench_poster *poster)
{
    struct epoll_event events[LINKS_MAX];
    int count = epoll_wait(poster->poll, events, LINKS_MAX, 1);
    uint64_t now = bench_now_ns();
    for (int i = 0; i < count; i++) {
        struct link *link = events[i].data.ptr;
        bool whole = link->carries != NULL;
        if (whole)
            whole = link->written < link->carries->size ? write_on(link)
                                                        : take_answer(poster, link, now);
        if (!whole && !again(poster, link))
            return false;
    }
    for (uint32_t i = 0; i < poster->link_count; i++) {
        struct link *link = &poster->links[i];
        if (link->carries == NULL && !hand_over(poster, link, now) && !again(poster, link))
            return false;
    }
    return true;
}

static void *run(void *context)
{
    struct bench_poster *poster = context;
    while (!all_handed_over(poster, bench_now_ns())) {
        if (!step(poster)) {
            atomic_store(&poster->broken, true);
            break;
        }
    }
    atomic_store(&poster->ended, true);
    return NULL;
}

/* --- beginning and end -------------------------------------------------------------------------- */

static bool make_lanes(struct bench_poster *poster)
{
    const uint32_t validators = poster->world->options->validators;
    for (uint32_t i = 0; i < validators; i++) {
        poster->lanes[i].places = calloc(poster->list->count + 1, sizeof(uint32_t));
        if (poster->lanes[i].places == NULL)
            return false;
    }
    for (uint32_t i = 0; i < poster->list->count; i++) {
        struct lane *lane = &poster->lanes[poster->list->items[i].validator % validators];
        lane->places[lane->count++] = i;
    }
    return true;
}

static bool open_links(struct bench_poster *poster)
{
    poster->poll = epoll_create1(EPOLL_CLOEXEC);
    if (poster->poll < 0)
        return false;
    for (uint32_t lane = 0; lane < poster->world->options->validators; lane++) {
        for (uint32_t i = 0; i < LINKS_PER_VALIDATOR; i++) {
            struct link *link = &poster->links[poster->link_count];
            link->lane = lane;
            poster->link_count++; /* to be closed, even if it is not whole */
            if (!open_link(poster, link))
                return false;
        }
    }
    return true;
}

static void free_all(struct bench_poster *poster)
{
    for (uint32_t i = 0; i < poster->link_count; i++)
        bench_http_close(&poster->links[i].http);
    for (uint32_t i = 0; i < poster->world->options->validators; i++)
        free(poster->lanes[i].places);
    if (poster->poll >= 0)
        close(poster->poll);
    free(poster);
}

struct bench_poster *bench_post_begin(struct bench_world *world, struct bench_list *list,
                                      uint32_t seconds, uint32_t rate)
{
    struct bench_poster *poster = calloc(1, sizeof *poster);
    if (poster == NULL)
        return NULL;
    uint32_t actions = list->count > 0 ? list->items[0].actions : 1;
    poster->world = world;
    poster->list = list;
    poster->rate = rate;
    poster->window = ACTIONS_WINDOW / actions < WINDOW_MAX ? ACTIONS_WINDOW / actions : WINDOW_MAX;
    if (list->window != 0)
        poster->window = list->window;
    poster->poll = -1;
    poster->begin_ns = bench_now_ns();
    poster->end_ns = seconds == 0 ? UINT64_MAX : poster->begin_ns + seconds * 1000000000ULL;
    if (!make_lanes(poster) || !open_links(poster) ||
        pthread_create(&poster->thread, NULL, run, poster) != 0) {
        free_all(poster);
        return NULL;
    }
    return poster;
}

void bench_post_final(struct bench_poster *poster, uint32_t final)
{
    atomic_store(&poster->final, final + atomic_load(&poster->refused));
}

bool bench_post_ended(struct bench_poster *poster)
{
    return atomic_load(&poster->ended);
}

void bench_post_stop(struct bench_poster *poster)
{
    atomic_store(&poster->end_ns, 0);
}

void bench_post_end(struct bench_poster *poster, struct bench_run *out)
{
    MUST(pthread_join(poster->thread, NULL) == 0);
    out->from_ns = poster->begin_ns;
    out->posted = atomic_load(&poster->posted);
    out->refused = atomic_load(&poster->refused);
    memcpy(out->refusal, poster->refusal, sizeof out->refusal);
    if (atomic_load(&poster->broken))
        snprintf(out->problem, sizeof out->problem, "a connection to a validator broke");
    free_all(poster);
}
