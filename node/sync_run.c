/* Fetching a snapshot before anything else runs (sync_run.h).
 *
 *   p2p's thread -> sync_inbox -> this thread: sync machine -> store -> snapshots/HEIGHT
 *
 * Consensus, API and workers are not there yet: a node without a state has nothing to say. The loop
 * begins once the state is loaded, as after any start; it knows of the links from the ordinary inbox,
 * which hears of them all the time.
 *
 * Invariants:
 *  1. A peer's frames that wait are bounded (SYNC_PEER_FRAMES_MAX); a peer beyond that is not read.
 *  2. Nothing but frames about snapshots is kept; whoever sends others loses nothing but time.
 *
 * Deliberately absent: a way back. Once the store has a tip, a node only follows blocks. */
#include "node/sync_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/node.h"
#include "node/snapshots.h"
#include "node/sync.h"

enum { STEP_MS = 50, REPORT_MS = 5000 };

struct sync_frame {
    struct sync_frame *next;
    uint32_t peer;
    size_t size;
    uint8_t bytes[];
};

/* --- the inbox ---------------------------------------------------------------------------------- */

void sync_inbox_open(struct sync_inbox *inbox)
{
    memset(inbox, 0, sizeof *inbox);
    MUST(pthread_mutex_init(&inbox->lock, NULL) == 0);
    MUST(pthread_cond_init(&inbox->filled, NULL) == 0);
}

static void drop_frames(struct sync_inbox *inbox)
{
    while (inbox->head != NULL) {
        struct sync_frame *next = inbox->head->next;
        free(inbox->head);
        inbox->head = next;
    }
    inbox->tail = NULL;
}

void sync_inbox_close(struct sync_inbox *inbox)
{
    drop_frames(inbox);
    (void)pthread_cond_destroy(&inbox->filled);
    (void)pthread_mutex_destroy(&inbox->lock);
}

static bool is_about_snapshots(struct bytes_view frame)
{
    return frame.size > 0 && frame.data[0] >= MESSAGE_GET_SNAPSHOTS &&
           frame.data[0] <= MESSAGE_SNAPSHOT_PART;
}

/* With the lock held. False: no room. */
static bool push_frame(struct sync_inbox *inbox, uint32_t peer, struct bytes_view bytes)
{
    if (!is_about_snapshots(bytes))
        return true;
    struct sync_frame *frame =
        inbox->frames[peer] < SYNC_PEER_FRAMES_MAX ? malloc(sizeof *frame + bytes.size) : NULL;
    if (frame == NULL) {
        inbox->stalled[peer] = true;
        return false;
    }
    frame->next = NULL;
    frame->peer = peer;
    frame->size = bytes.size;
    memcpy(frame->bytes, bytes.data, bytes.size);
    if (inbox->tail != NULL)
        inbox->tail->next = frame;
    else
        inbox->head = frame;
    inbox->tail = frame;
    inbox->frames[peer]++;
    return true;
}

bool sync_inbox_take(struct sync_inbox *inbox, const struct p2p_event *event, bool *room)
{
    *room = true;
    MUST(pthread_mutex_lock(&inbox->lock) == 0);
    const bool taken = inbox->open;
    if (taken) {
        switch (event->kind) {
        case P2P_PEER_UP:
        case P2P_PEER_DOWN:
            inbox->up[event->peer] = event->kind == P2P_PEER_UP;
            inbox->changed[event->peer] = true;
            break;
        case P2P_FRAME:
            *room = push_frame(inbox, event->peer, event->frame);
            break;
        }
        MUST(pthread_cond_signal(&inbox->filled) == 0);
    }
    MUST(pthread_mutex_unlock(&inbox->lock) == 0);
    return taken;
}

/* --- the run ------------------------------------------------------------------------------------ */

static void net_send(void *context, uint32_t peer, struct bytes_view frame)
{
    struct node *node = context;
    const bool sent = p2p_send(node->p2p, peer, P2P_SYNC, frame);
    metric_add_frame(&node->metrics, sent, frame.size);
}

static void net_strike(void *context, uint32_t peer, const char *why)
{
    struct node *node = context;
    metric_add(&node->metrics.strikes, 1);
    p2p_strike(node->p2p, peer, why);
}

/* Waits for something to do, at most STEP_MS; takes all frames out. */
static struct sync_frame *wait_for_frames(struct sync_inbox *inbox)
{
    struct timespec until;
    MUST(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_nsec += STEP_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    MUST(pthread_mutex_lock(&inbox->lock) == 0);
    if (inbox->head == NULL)
        (void)pthread_cond_timedwait(&inbox->filled, &inbox->lock, &until);
    struct sync_frame *frames = inbox->head;
    inbox->head = NULL;
    inbox->tail = NULL;
    MUST(pthread_mutex_unlock(&inbox->lock) == 0);
    return frames;
}

static void tell_links(struct node *node, struct sync *sync, uint64_t now_ms)
{
    struct sync_inbox *inbox = &node->sync_inbox;
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
        MUST(pthread_mutex_lock(&inbox->lock) == 0);
        const bool changed = inbox->changed[peer];
        const bool up = inbox->up[peer];
        inbox->changed[peer] = false;
        MUST(pthread_mutex_unlock(&inbox->lock) == 0);
        if (changed)
            sync_link(sync, peer, up, now_ms);
    }
}

static void feed(struct node *node, struct sync *sync, struct sync_frame *frames)
{
    struct sync_inbox *inbox = &node->sync_inbox;
    while (frames != NULL) {
        struct sync_frame *next = frames->next;
        const uint32_t peer = frames->peer;
        sync_frame(sync, peer, bytes_view_of(frames->bytes, frames->size),
                   node_clock_monotonic_ms());
        free(frames);
        MUST(pthread_mutex_lock(&inbox->lock) == 0);
        inbox->frames[peer]--;
        const bool resume = inbox->stalled[peer];
        inbox->stalled[peer] = false;
        MUST(pthread_mutex_unlock(&inbox->lock) == 0);
        if (resume)
            p2p_resume(node->p2p, peer);
        frames = next;
    }
}

static bool signal_waits(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

static void report(const struct sync *sync, uint64_t *reported_ms, uint64_t now_ms)
{
    struct sync_progress progress;
    if (now_ms < *reported_ms + REPORT_MS)
        return;
    *reported_ms = now_ms;
    sync_progress(sync, &progress);
    if (progress.height == 0)
        log_line(LOG_INFO, "sync: waits for a peer that offers a snapshot");
    else
        log_line(LOG_INFO, "sync: snapshot of block %llu: %u of %u parts",
                 (unsigned long long)progress.height, progress.parts_here, progress.parts);
}

static enum sync_state run(struct node *node, struct sync *sync)
{
    uint64_t reported_ms = node_clock_monotonic_ms();
    enum sync_state state = SYNC_FETCHES;
    while (state == SYNC_FETCHES && !signal_waits()) {
        struct sync_frame *frames = wait_for_frames(&node->sync_inbox);
        tell_links(node, sync, node_clock_monotonic_ms());
        feed(node, sync, frames);
        state = sync_step(sync, node_clock_monotonic_ms());
        report(sync, &reported_ms, node_clock_monotonic_ms());
    }
    return state;
}

static bool incoming_path(const struct node *node, char parent[NODE_PATH_MAX],
                          char out[SNAPSHOT_PATH_SIZE])
{
    return node_config_path(parent, &node->config, snapshots_directory) &&
           snapshot_path(out, parent, snapshots_incoming);
}

bool node_sync_is_due(const struct node *node)
{
    return node->config.sync_snapshot && !store_tip(node->store)->has_genesis;
}

static bool install(struct node *node, const char *parent, const char *incoming,
                    char problem[NODE_PROBLEM_SIZE])
{
    char why[SNAPSHOT_PROBLEM_SIZE] = "";
    const uint64_t began_ms = node_clock_monotonic_ms();
    if (!sync_install(incoming, node->genesis, node->store, why)) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "loading the snapshot: %s", why);
        return false;
    }
    const uint64_t height = store_tip(node->store)->height;
    log_line(LOG_INFO, "sync: state of block %llu loaded in %llu ms -> blocks follow",
             (unsigned long long)height,
             (unsigned long long)(node_clock_monotonic_ms() - began_ms));
    /* From here on others may have it from us. */
    if (!snapshot_publish(parent, incoming, height, why))
        log_line(LOG_UNUSUAL, "sync: %s -> the snapshot is not offered to others", why);
    return true;
}

/* The machine's last word. */
static enum sync_outcome conclude(struct node *node, enum sync_state state, const char *parent,
                                  const char *incoming, char problem[NODE_PROBLEM_SIZE])
{
    switch (state) {
    case SYNC_FETCHES:
        return SYNC_STOPPED;
    case SYNC_COMPLETE:
        return install(node, parent, incoming, problem) ? SYNC_DONE : SYNC_FAILED;
    case SYNC_NONE:
        log_line(LOG_INFO, "sync: no peer has a snapshot -> all blocks are replayed");
        (void)snapshot_remove(incoming);
        return SYNC_DONE;
    case SYNC_FAULT:
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "the disk failed; see the log");
        return SYNC_FAILED;
    }
    return SYNC_FAILED;
}

enum sync_outcome node_sync(struct node *node, char problem[NODE_PROBLEM_SIZE])
{
    char parent[NODE_PATH_MAX];
    char incoming[SNAPSHOT_PATH_SIZE];
    char why[SNAPSHOT_PROBLEM_SIZE] = "";
    if (!incoming_path(node, parent, incoming) || (mkdir(parent, 0700) != 0 && errno != EEXIST)) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "the directory for snapshots: %s",
                       strerror(errno));
        return SYNC_FAILED;
    }
    const struct sync_config config = {.genesis = node->genesis,
                                       .directory = incoming,
                                       .peer_count = node->config.peer_count,
                                       .peers = node->config.peers,
                                       .net = {node, net_send, net_strike}};
    struct sync *sync = sync_create(&config, why);
    if (sync == NULL) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "%s", why);
        return SYNC_FAILED;
    }
    const enum sync_state state = run(node, sync);
    sync_destroy(sync);
    return conclude(node, state, parent, incoming, problem);
}
