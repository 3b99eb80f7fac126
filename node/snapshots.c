/* The node's snapshots and their two threads (snapshots.h).
 *
 *   loop: commit of a due height -> store snapshot -> maker: makes, publishes, removes old ones
 *   loop: GET_SNAPSHOT_PART -> one slot per peer   -> server: reads the part, sends it
 *
 * Invariants:
 *  1. At most one snapshot is being made, one part per peer waits to be served.
 *  2. The list of what is offered holds only finished snapshots; one whose part turns out damaged is
 *     taken off the list and removed before anything of it is sent.
 *  3. A snapshot that a peer has asked parts of lately is not removed, up to SNAPSHOT_KEPT_MAX - 1.
 *
 * Deliberately absent: answers out of a cache. The files are in the page cache if they are hot. */
#include "node/snapshots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/shell.h"
#include "node/snapshot_make.h"
#include "node/sync.h"

const char snapshots_directory[] = "snapshots";
const char snapshots_wanted[] = "wanted";
const char snapshots_incoming[] = "incoming";

enum { MAKER_NICE = 10 };

struct kept {
    struct snapshot_offer offer;
    uint64_t used_ms; /* when a part was last asked for; 0: never */
};

struct asked {
    bool waits;
    struct snapshot_wanted wanted;
};

struct snapshots {
    struct node *node;
    char directory[SNAPSHOT_PATH_SIZE];
    pthread_t maker;
    pthread_t server;
    _Atomic bool stop;
    /* The loop thread's. */
    bool due;
    struct merkle_frontier log; /* of the tip */
    uint64_t looked_ms;
    /* Shared. */
    pthread_mutex_t lock;
    pthread_cond_t job_there;
    pthread_cond_t ask_there;
    bool making; /* a job waits or is at work */
    struct store_snapshot *job;
    struct merkle_frontier job_log;
    uint32_t kept_count; /* heights ascending */
    struct kept kept[SNAPSHOT_KEPT_MAX + 1];
    struct asked asked[P2P_PEERS_MAX];
    uint32_t ask_next;                          /* in turn */
    struct serve_budget budgets[P2P_PEERS_MAX]; /* the server's */
    uint8_t frame[LIMIT_FRAME_BYTES];           /* the server's */
};

static void lock(struct snapshots *snapshots)
{
    MUST(pthread_mutex_lock(&snapshots->lock) == 0);
}

static void unlock(struct snapshots *snapshots)
{
    MUST(pthread_mutex_unlock(&snapshots->lock) == 0);
}

/* --- the list ----------------------------------------------------------------------------------- */

static bool id_of(const struct snapshots *snapshots, uint64_t height, struct hash *id)
{
    char path[SNAPSHOT_PATH_SIZE];
    char problem[SNAPSHOT_PROBLEM_SIZE];
    struct bytes_view bytes;
    struct snapshot_manifest *manifest = calloc(1, sizeof *manifest);
    bool good = manifest != NULL && snapshot_height_path(path, snapshots->directory, height) &&
                snapshot_manifest_load(manifest, &bytes, path, problem);
    if (good) {
        good = manifest->header.height == height &&
               hash_equal(&manifest->genesis, &snapshots->node->genesis_hash);
        *id = manifest->id;
        snapshot_bytes_free(bytes);
    }
    free(manifest);
    return good;
}

static void add(struct snapshots *snapshots, uint64_t height)
{
    struct hash id;
    if (!id_of(snapshots, height, &id)) {
        log_line(LOG_UNUSUAL, "snapshot %llu: its manifest is not this chain's -> removed",
                 (unsigned long long)height);
        (void)snapshot_retire(snapshots->directory, height);
        return;
    }
    lock(snapshots);
    MUST(snapshots->kept_count <= SNAPSHOT_KEPT_MAX);
    snapshots->kept[snapshots->kept_count++] = (struct kept){.offer = {.height = height, .id = id}};
    unlock(snapshots);
}

/* Takes one off the list, so that nobody is offered it any more, then removes it. */
static void drop(struct snapshots *snapshots, uint64_t height)
{
    lock(snapshots);
    uint32_t left = 0;
    for (uint32_t i = 0; i < snapshots->kept_count; i++) {
        if (snapshots->kept[i].offer.height != height)
            snapshots->kept[left++] = snapshots->kept[i];
    }
    snapshots->kept_count = left;
    unlock(snapshots);
    if (snapshot_retire(snapshots->directory, height))
        log_line(LOG_INFO, "snapshot %llu removed", (unsigned long long)height);
    else
        log_line(LOG_UNUSUAL, "snapshot %llu cannot be removed: %s", (unsigned long long)height,
                 strerror(errno));
}

/* The oldest that may go now; 0: none. */
static uint64_t oldest_to_drop(struct snapshots *snapshots, uint64_t now_ms)
{
    uint64_t height = 0;
    lock(snapshots);
    if (snapshots->kept_count > SNAPSHOTS_KEPT) {
        const struct kept *oldest = &snapshots->kept[0];
        if (snapshots->kept_count >= SNAPSHOT_KEPT_MAX || oldest->used_ms == 0 ||
            now_ms > oldest->used_ms + SNAPSHOTS_USED_MS)
            height = oldest->offer.height;
    }
    unlock(snapshots);
    return height;
}

static void drop_old(struct snapshots *snapshots)
{
    for (int i = 0; i < SNAPSHOT_KEPT_MAX; i++) {
        const uint64_t height = oldest_to_drop(snapshots, node_clock_monotonic_ms());
        if (height == 0)
            return;
        drop(snapshots, height);
    }
}

void snapshots_offers(struct snapshots *snapshots, struct snapshot_offers *out)
{
    memset(out, 0, sizeof *out);
    lock(snapshots);
    for (uint32_t i = 0; i < snapshots->kept_count && i < SNAPSHOT_KEPT_MAX; i++)
        out->offers[out->count++] = snapshots->kept[i].offer;
    unlock(snapshots);
}

uint64_t snapshots_oldest(struct snapshots *snapshots)
{
    lock(snapshots);
    const uint64_t height = snapshots->kept_count > 0 ? snapshots->kept[0].offer.height : 0;
    unlock(snapshots);
    return height;
}

bool snapshots_path(struct snapshots *snapshots, uint64_t height, char out[SNAPSHOT_PATH_SIZE])
{
    bool found = false;
    lock(snapshots);
    for (uint32_t i = 0; i < snapshots->kept_count; i++) {
        if (snapshots->kept[i].offer.height == height) {
            snapshots->kept[i].used_ms = node_clock_monotonic_ms();
            found = true;
        }
    }
    unlock(snapshots);
    return found && snapshot_height_path(out, snapshots->directory, height);
}

/* --- making ------------------------------------------------------------------------------------- */

static void make(struct snapshots *snapshots, struct store_snapshot *at,
                 const struct merkle_frontier *log)
{
    const struct snapshot_making making = {.directory = snapshots->directory,
                                           .store = snapshots->node->store,
                                           .genesis = snapshots->node->genesis_hash,
                                           .log = *log,
                                           .stop = &snapshots->stop};
    char problem[SNAPSHOT_PROBLEM_SIZE];
    char path[SNAPSHOT_PATH_SIZE];
    uint64_t height = store_snapshot_tip(at)->height;
    struct stat status;
    if (snapshot_height_path(path, snapshots->directory, height) && stat(path, &status) == 0) {
        store_snapshot_end(at); /* asked for twice at one height */
        return;
    }
    const uint64_t began_ms = node_clock_monotonic_ms();
    if (!snapshot_make(&making, at, &height, problem)) {
        log_line(LOG_UNUSUAL, "snapshot %llu: %s -> none made", (unsigned long long)height,
                 problem);
        return;
    }
    log_line(LOG_INFO, "snapshot %llu made in %llu ms", (unsigned long long)height,
             (unsigned long long)(node_clock_monotonic_ms() - began_ms));
    add(snapshots, height);
    metric_add(&snapshots->node->metrics.snapshots_made, 1);
}

static struct timespec look_again_at(void)
{
    struct timespec until;
    MUST(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_sec += SNAPSHOTS_LOOK_MS / 1000;
    return until;
}

static void *maker_main(void *context)
{
    (void)pthread_setname_np(pthread_self(), "flexd-snapshots");
    struct snapshots *snapshots = context;
    /* Of this thread alone, as Linux has it: whatever else runs goes first. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), MAKER_NICE);
    while (!atomic_load(&snapshots->stop)) {
        drop_old(snapshots);
        const struct timespec until = look_again_at();
        lock(snapshots);
        if (snapshots->job == NULL && !atomic_load(&snapshots->stop))
            (void)pthread_cond_timedwait(&snapshots->job_there, &snapshots->lock, &until);
        struct store_snapshot *at = snapshots->job;
        snapshots->job = NULL;
        unlock(snapshots);
        if (at == NULL)
            continue;
        make(snapshots, at, &snapshots->job_log);
        lock(snapshots);
        snapshots->making = false;
        unlock(snapshots);
    }
    return NULL;
}

/* An operator's wish; looked at once a second at most. */
static bool is_wanted(struct snapshots *snapshots)
{
    char path[SNAPSHOT_PATH_SIZE];
    const uint64_t now_ms = node_clock_monotonic_ms();
    if (now_ms < snapshots->looked_ms + SNAPSHOTS_LOOK_MS)
        return false;
    snapshots->looked_ms = now_ms;
    return snapshot_path(path, snapshots->directory, snapshots_wanted) && unlink(path) == 0;
}

static void begin_job(struct snapshots *snapshots)
{
    lock(snapshots);
    const bool busy = snapshots->making;
    unlock(snapshots);
    if (busy) {
        log_line(LOG_INFO, "snapshot: the one before is still being made -> this one is left out");
        return;
    }
    struct store_snapshot *at = store_snapshot_begin(snapshots->node->store);
    if (at == NULL)
        return;
    lock(snapshots);
    snapshots->making = true;
    snapshots->job = at;
    snapshots->job_log = snapshots->log;
    MUST(pthread_cond_signal(&snapshots->job_there) == 0);
    unlock(snapshots);
}

void snapshots_committed(struct snapshots *snapshots)
{
    const struct node *node = snapshots->node;
    const struct store_tip *tip = store_tip(node->store);
    const uint64_t every = node->config.snapshot_blocks;
    if ((every != 0 && tip->height % every == 0) || is_wanted(snapshots))
        snapshots->due = true;
    /* Not of the last block of an epoch: then of the first of the next, here as everywhere. */
    if (snapshots->due && chain_next_epoch(node->chain) == node->epoch) {
        snapshots->due = false;
        begin_job(snapshots);
    }
    snapshots->log = tip->log;
}

/* --- serving ------------------------------------------------------------------------------------ */

static bool send_part(struct snapshots *snapshots, uint32_t peer, const struct snapshot_part *part)
{
    struct node *node = snapshots->node;
    struct byte_writer writer;
    byte_writer_init(&writer, snapshots->frame, sizeof snapshots->frame);
    snapshot_encode_part(&writer, part);
    MUST(!writer.failed);
    /* A short answer does not wait behind the parts that fill the other queue. */
    const bool sent =
        p2p_send(node->p2p, peer, part->answer == SNAPSHOT_HERE ? P2P_SYNC : P2P_TRANSACTION,
                 bytes_view_of(writer.data, writer.size));
    metric_add_frame(&node->metrics, sent, writer.size);
    return sent;
}

static bool height_of(struct snapshots *snapshots, const struct hash *id, uint64_t *height)
{
    bool found = false;
    lock(snapshots);
    for (uint32_t i = 0; i < snapshots->kept_count; i++) {
        if (hash_equal(&snapshots->kept[i].offer.id, id)) {
            *height = snapshots->kept[i].offer.height;
            snapshots->kept[i].used_ms = node_clock_monotonic_ms();
            found = true;
        }
    }
    unlock(snapshots);
    return found;
}

static void serve(struct snapshots *snapshots, uint32_t peer, const struct snapshot_wanted *wanted)
{
    struct snapshot_part part = {.of = *wanted, .answer = SNAPSHOT_GONE};
    char path[SNAPSHOT_PATH_SIZE];
    uint64_t height = 0;
    struct serve_budget *budget = &snapshots->budgets[peer];
    if (!serve_budget_allows(budget, node_clock_monotonic_ms())) {
        part.answer = SNAPSHOT_BUSY;
        (void)send_part(snapshots, peer, &part);
        return;
    }
    enum snapshot_read found = SNAPSHOT_READ_ABSENT;
    if (height_of(snapshots, &wanted->id, &height) &&
        snapshot_height_path(path, snapshots->directory, height))
        found = snapshot_part_read(path, wanted->kind, wanted->index, &part.bytes);
    if (found == SNAPSHOT_READ_DAMAGED) {
        log_line(LOG_UNUSUAL, "snapshot %llu: part %d/%u is damaged on disk -> not served",
                 (unsigned long long)height, (int)wanted->kind, wanted->index);
        drop(snapshots, height);
    }
    if (found == SNAPSHOT_READ_OK)
        part.answer = SNAPSHOT_HERE;
    serve_budget_charge(budget, part.bytes.size);
    if (!send_part(snapshots, peer, &part) && found == SNAPSHOT_READ_OK) {
        const struct snapshot_part later = {.of = *wanted, .answer = SNAPSHOT_BUSY};
        (void)send_part(snapshots, peer, &later);
    }
    snapshot_bytes_free(part.bytes);
}

/* With the lock held: the next peer in turn that waits; P2P_PEERS_MAX if nobody does. */
static uint32_t next_asked(struct snapshots *snapshots)
{
    for (uint32_t i = 0; i < P2P_PEERS_MAX; i++) {
        const uint32_t peer = (snapshots->ask_next + i) % P2P_PEERS_MAX;
        if (snapshots->asked[peer].waits) {
            snapshots->ask_next = peer + 1;
            return peer;
        }
    }
    return P2P_PEERS_MAX;
}

static void *server_main(void *context)
{
    (void)pthread_setname_np(pthread_self(), "flexd-serve");
    struct snapshots *snapshots = context;
    lock(snapshots);
    while (!atomic_load(&snapshots->stop)) {
        const uint32_t peer = next_asked(snapshots);
        if (peer == P2P_PEERS_MAX) {
            MUST(pthread_cond_wait(&snapshots->ask_there, &snapshots->lock) == 0);
            continue;
        }
        const struct snapshot_wanted wanted = snapshots->asked[peer].wanted;
        snapshots->asked[peer].waits = false;
        unlock(snapshots);
        serve(snapshots, peer, &wanted);
        lock(snapshots);
    }
    unlock(snapshots);
    return NULL;
}

void snapshots_ask(struct snapshots *snapshots, uint32_t peer, const struct snapshot_wanted *wanted)
{
    uint8_t bytes[SNAPSHOT_FRAME_SMALL];
    struct byte_writer writer;
    MUST(peer < P2P_PEERS_MAX);
    lock(snapshots);
    const bool taken = !snapshots->asked[peer].waits;
    if (taken) {
        snapshots->asked[peer] = (struct asked){true, *wanted};
        MUST(pthread_cond_signal(&snapshots->ask_there) == 0);
    }
    unlock(snapshots);
    if (taken)
        return;
    const struct snapshot_part busy = {.of = *wanted, .answer = SNAPSHOT_BUSY};
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_part(&writer, &busy);
    MUST(!writer.failed);
    node_send(snapshots->node, peer, P2P_TRANSACTION, bytes_view_of(bytes, writer.size));
}

/* --- life --------------------------------------------------------------------------------------- */

static bool open_directory(struct snapshots *snapshots, char problem[NODE_PROBLEM_SIZE])
{
    static const char *const leftovers[] = {"making", "going", snapshots_incoming};
    char home_path[NODE_PATH_MAX];
    uint64_t heights[SNAPSHOT_KEPT_MAX];
    if (!node_config_path(home_path, &snapshots->node->config, snapshots_directory)) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "the home's name is too long");
        return false;
    }
    (void)snprintf(snapshots->directory, sizeof snapshots->directory, "%s", home_path);
    if (mkdir(home_path, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "%.150s: %s", home_path, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++) {
        char path[SNAPSHOT_PATH_SIZE];
        if (snapshot_path(path, snapshots->directory, leftovers[i]))
            (void)snapshot_remove(path);
    }
    const uint32_t count = snapshot_heights(snapshots->directory, heights);
    for (uint32_t i = 0; i < count; i++)
        add(snapshots, heights[i]);
    return true;
}

struct snapshots *snapshots_start(struct node *node, char problem[NODE_PROBLEM_SIZE])
{
    struct snapshots *snapshots = calloc(1, sizeof *snapshots);
    if (snapshots == NULL) {
        (void)snprintf(problem, NODE_PROBLEM_SIZE, "out of memory");
        return NULL;
    }
    snapshots->node = node;
    snapshots->log = store_tip(node->store)->log;
    MUST(pthread_mutex_init(&snapshots->lock, NULL) == 0);
    MUST(pthread_cond_init(&snapshots->job_there, NULL) == 0);
    MUST(pthread_cond_init(&snapshots->ask_there, NULL) == 0);
    if (!open_directory(snapshots, problem)) {
        free(snapshots);
        return NULL;
    }
    if (pthread_create(&snapshots->maker, NULL, maker_main, snapshots) != 0)
        fatal_environment("cannot start the snapshot maker's thread");
    if (pthread_create(&snapshots->server, NULL, server_main, snapshots) != 0)
        fatal_environment("cannot start the snapshot server's thread");
    return snapshots;
}

void snapshots_stop(struct snapshots *snapshots)
{
    atomic_store(&snapshots->stop, true);
    lock(snapshots);
    MUST(pthread_cond_broadcast(&snapshots->job_there) == 0);
    MUST(pthread_cond_broadcast(&snapshots->ask_there) == 0);
    unlock(snapshots);
    MUST(pthread_join(snapshots->maker, NULL) == 0);
    MUST(pthread_join(snapshots->server, NULL) == 0);
    if (snapshots->job != NULL)
        store_snapshot_end(snapshots->job);
    snapshots->job = NULL;
}

void snapshots_close(struct snapshots *snapshots)
{
    MUST(pthread_cond_destroy(&snapshots->job_there) == 0);
    MUST(pthread_cond_destroy(&snapshots->ask_there) == 0);
    MUST(pthread_mutex_destroy(&snapshots->lock) == 0);
    free(snapshots);
}
