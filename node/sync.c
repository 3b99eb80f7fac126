/* The machine of state sync (node/sync.h).
 *
 *   offers -> choice -> manifest -> epochs in order -> manifest believed -> chunks, from all at once
 *
 * Invariants:
 *  1. A part is on disk only after it has been verified, and counts only as that. Chunks are verified
 *     against the state root of a header that a quorum finalized, so a false one names its sender.
 *  2. A peer has one part to deliver at a time, by a deadline; when it is over, goes down or lies,
 *     the part is free to be asked of another.
 *  3. All that peers can make this node keep is bounded: SNAPSHOT_KEPT_MAX offers per peer, one
 *     manifest, parts of the size and number that a manifest can name.
 *
 * Deliberately absent: judging peers by speed beyond the deadline, and mixing two snapshots. */
#include "node/sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fatal.h"
#include "base/log.h"

enum chunk_state { CHUNK_MISSING, CHUNK_ASKED, CHUNK_HERE };

struct sync_peer {
    bool up;
    bool out;          /* lied, or was slow too often */
    bool offers_known; /* since the link came up */
    uint64_t offers_at_ms;
    struct snapshot_offers offers;
    bool asked;
    struct snapshot_wanted wanted;
    uint64_t deadline_ms;
    uint64_t aside_until_ms;
    uint64_t put_off_ms; /* how long it has had us wait by its own word since it last delivered */
    uint32_t slow;
    uint32_t unasked;
};

struct sync {
    struct sync_config config;
    struct sync_peer peers[P2P_PEERS_MAX];
    uint64_t first_up_ms;   /* 0: nobody yet */
    uint64_t none_since_ms; /* 0: somebody has one, or hasn't said */
    bool fault;
    /* The chosen snapshot. */
    bool chosen;
    struct snapshot_offer target;
    uint64_t lost_since_ms;            /* 0: somebody has it */
    struct bytes_view manifest_bytes;  /* malloc'ed; empty: not here */
    int manifest_peer;                 /* who sent it, or -1 */
    struct snapshot_manifest manifest; /* if it is here */
    struct snapshot_trust trust;
    uint32_t epochs_here;
    bool trusted; /* the manifest's header is final: chunks can be verified */
    struct snapshot_place *places;
    uint8_t *chunks; /* enum chunk_state of each */
    uint32_t chunks_here;
    uint32_t cursor; /* no chunk below it is MISSING */
};

static void peer_name(const struct sync *sync, uint32_t peer, char out[16])
{
    char key[2 * PUBLIC_KEY_SIZE + 1];
    hex_encode(key, sync->config.peers[peer].key.bytes, PUBLIC_KEY_SIZE);
    (void)snprintf(out, 16, "%.12s", key);
}

/* --- the target -------------------------------------------------------------------------------- */

static void forget_manifest(struct sync *sync)
{
    snapshot_bytes_free(sync->manifest_bytes);
    sync->manifest_bytes = bytes_view_of(NULL, 0);
    free(sync->places);
    free(sync->chunks);
    sync->places = NULL;
    sync->chunks = NULL;
    sync->chunks_here = 0;
    sync->cursor = 0;
    sync->trusted = false;
    sync->manifest_peer = -1;
}

static bool begin_trust(struct sync *sync)
{
    sync->epochs_here = 0;
    return snapshot_trust_begin(&sync->trust, sync->config.genesis);
}

/* Nothing of it is kept: another snapshot has other chunks. */
static void drop_target(struct sync *sync)
{
    char problem[SNAPSHOT_PROBLEM_SIZE];
    forget_manifest(sync);
    MUST(begin_trust(sync)); /* it was sound before */
    sync->chosen = false;
    sync->lost_since_ms = 0;
    for (uint32_t i = 0; i < sync->config.peer_count; i++)
        sync->peers[i].asked = false;
    if (!snapshot_make_directory(sync->config.directory, problem)) {
        log_line(LOG_UNUSUAL, "sync: %s -> stop", problem);
        sync->fault = true;
    }
}

/* Gives back what the peer was to deliver. */
static void release(struct sync *sync, struct sync_peer *peer)
{
    if (!peer->asked)
        return;
    peer->asked = false;
    if (peer->wanted.kind == SNAPSHOT_CHUNK && sync->chunks != NULL &&
        peer->wanted.index < sync->manifest.chunk_count &&
        sync->chunks[peer->wanted.index] == CHUNK_ASKED) {
        sync->chunks[peer->wanted.index] = CHUNK_MISSING;
        if (peer->wanted.index < sync->cursor)
            sync->cursor = peer->wanted.index;
    }
}

/* No honest node sends that. */
static void lied(struct sync *sync, uint32_t index, const char *what)
{
    struct sync_peer *peer = &sync->peers[index];
    char name[16];
    peer_name(sync, index, name);
    log_line(LOG_UNUSUAL, "sync: peer %s: %s -> asked for nothing more", name, what);
    release(sync, peer);
    peer->out = true;
    sync->config.net.strike(sync->config.net.context, index, what);
}

/* Both: else a false height would make the true manifest look false, and its sender a liar. */
static bool is_same_offer(const struct snapshot_offer *a, const struct snapshot_offer *b)
{
    return a->height == b->height && hash_equal(&a->id, &b->id);
}

static bool offers_target(const struct sync *sync, const struct sync_peer *peer)
{
    for (uint32_t i = 0; i < peer->offers.count; i++) {
        if (is_same_offer(&peer->offers.offers[i], &sync->target))
            return true;
    }
    return false;
}

static uint32_t offered_by(const struct sync *sync, const struct snapshot_offer *offer)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < sync->config.peer_count; p++) {
        const struct sync_peer *peer = &sync->peers[p];
        for (uint32_t i = 0; peer->up && !peer->out && i < peer->offers.count; i++)
            count += is_same_offer(&peer->offers.offers[i], offer) ? 1 : 0;
    }
    return count;
}

/* What two offer goes before what one alone does; then the higher one. */
static bool find_best(const struct sync *sync, struct snapshot_offer *best)
{
    uint32_t best_count = 0;
    for (uint32_t p = 0; p < sync->config.peer_count; p++) {
        const struct sync_peer *peer = &sync->peers[p];
        for (uint32_t i = 0; peer->up && !peer->out && i < peer->offers.count; i++) {
            const struct snapshot_offer *offer = &peer->offers.offers[i];
            uint32_t count = offered_by(sync, offer);
            count = count > 2 ? 2 : count;
            if (count > best_count || (count == best_count && offer->height > best->height)) {
                best_count = count;
                *best = *offer;
            }
        }
    }
    return best_count > 0;
}

static bool everybody_has_spoken(const struct sync *sync)
{
    bool any = false;
    for (uint32_t p = 0; p < sync->config.peer_count; p++) {
        const struct sync_peer *peer = &sync->peers[p];
        if (!peer->up || peer->out)
            continue;
        if (!peer->offers_known)
            return false;
        any = true;
    }
    return any;
}

static void choose(struct sync *sync, uint64_t now_ms)
{
    struct snapshot_offer best = {0, {{0}}};
    if (sync->first_up_ms == 0 ||
        (!everybody_has_spoken(sync) && now_ms < sync->first_up_ms + SYNC_CHOICE_MS) ||
        !find_best(sync, &best))
        return;
    sync->chosen = true;
    sync->target = best;
    log_line(LOG_INFO, "sync: snapshot of block %llu, offered by %u peers -> fetched",
             (unsigned long long)best.height, offered_by(sync, &best));
}

static void look_for_the_lost(struct sync *sync, uint64_t now_ms)
{
    struct snapshot_offer other;
    if (offered_by(sync, &sync->target) > 0 || !find_best(sync, &other)) {
        sync->lost_since_ms = 0;
        return;
    }
    if (sync->lost_since_ms == 0)
        sync->lost_since_ms = now_ms;
    if (now_ms - sync->lost_since_ms < SYNC_LOST_MS)
        return;
    log_line(LOG_INFO, "sync: nobody has the snapshot of block %llu any more -> another one",
             (unsigned long long)sync->target.height);
    drop_target(sync);
}

/* --- what comes in ------------------------------------------------------------------------------ */

static bool keep(struct sync *sync, const struct snapshot_wanted *of, struct bytes_view bytes)
{
    char problem[SNAPSHOT_PROBLEM_SIZE];
    if (snapshot_part_write(sync->config.directory, of->kind, of->index, bytes, true, problem))
        return true;
    log_line(LOG_UNUSUAL, "sync: %s -> stop", problem);
    sync->fault = true;
    return false;
}

static bool take_manifest_bytes(struct sync *sync, struct bytes_view bytes, int peer,
                                char problem[SNAPSHOT_PROBLEM_SIZE])
{
    uint8_t *copy = malloc(bytes.size + 1);
    if (copy == NULL)
        fatal_environment("out of memory for a manifest");
    memcpy(copy, bytes.data, bytes.size);
    forget_manifest(sync);
    sync->manifest_bytes = bytes_view_of(copy, bytes.size);
    if (!snapshot_manifest_decode(&sync->manifest, sync->manifest_bytes, problem)) {
        forget_manifest(sync);
        return false;
    }
    if (sync->chosen && (!hash_equal(&sync->manifest.id, &sync->target.id) ||
                         sync->manifest.header.height != sync->target.height)) {
        forget_manifest(sync);
        (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "the manifest is not the one offered");
        return false;
    }
    sync->manifest_peer = peer;
    sync->places = calloc(sync->manifest.chunk_count, sizeof *sync->places);
    sync->chunks = calloc(sync->manifest.chunk_count, 1);
    if (sync->places == NULL || sync->chunks == NULL)
        fatal_environment("out of memory for a manifest");
    snapshot_manifest_places(&sync->manifest, sync->places);
    return true;
}

static bool chunk_is_good(const struct sync *sync, uint32_t index, struct bytes_view bytes,
                          char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct snapshot_chunk chunk;
    if (!snapshot_chunk_open(&chunk, bytes, &sync->places[index].prefix,
                             &sync->manifest.header.state_root, problem))
        return false;
    snapshot_chunk_close(&chunk);
    return true;
}

/* Once all epochs are here: is the manifest's header final? */
static void try_trust(struct sync *sync)
{
    char problem[SNAPSHOT_PROBLEM_SIZE];
    if (sync->manifest_bytes.size == 0 || sync->trusted ||
        sync->epochs_here < sync->manifest.header.epoch)
        return;
    if (snapshot_trust_manifest(&sync->trust, &sync->manifest, problem)) {
        sync->trusted = true;
        log_line(LOG_INFO, "sync: block %llu is proven from genesis through %u epochs -> %u chunks",
                 (unsigned long long)sync->target.height, sync->epochs_here,
                 sync->manifest.chunk_count);
        return;
    }
    if (sync->manifest_peer >= 0)
        lied(sync, (uint32_t)sync->manifest_peer, problem);
    forget_manifest(sync);
}

static bool take_here(struct sync *sync, uint32_t peer, const struct snapshot_part *part,
                      char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct snapshot_epoch epoch;
    switch (part->of.kind) {
    case SNAPSHOT_MANIFEST:
        if (!take_manifest_bytes(sync, part->bytes, (int)peer, problem))
            return false;
        (void)keep(sync, &part->of, part->bytes);
        break;
    case SNAPSHOT_EPOCH:
        if (part->of.index != sync->epochs_here)
            break; /* another peer was faster */
        if (!snapshot_trust_epoch(&sync->trust, &epoch, part->bytes, problem))
            return false;
        if (keep(sync, &part->of, part->bytes))
            sync->epochs_here++;
        break;
    case SNAPSHOT_CHUNK:
        if (!sync->trusted || part->of.index >= sync->manifest.chunk_count ||
            sync->chunks[part->of.index] == CHUNK_HERE)
            break;
        if (part->bytes.size != sync->places[part->of.index].size) {
            (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "a chunk of another size than offered");
            return false;
        }
        if (!chunk_is_good(sync, part->of.index, part->bytes, problem))
            return false;
        if (keep(sync, &part->of, part->bytes)) {
            sync->chunks[part->of.index] = CHUNK_HERE;
            sync->chunks_here++;
        }
        break;
    }
    try_trust(sync);
    return true;
}

static bool is_same(const struct snapshot_wanted *a, const struct snapshot_wanted *b)
{
    return a->kind == b->kind && a->index == b->index && hash_equal(&a->id, &b->id);
}

static void forget_offer(struct sync_peer *peer, const struct hash *id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < peer->offers.count; i++) {
        if (!hash_equal(&peer->offers.offers[i].id, id))
            peer->offers.offers[kept++] = peer->offers.offers[i];
    }
    peer->offers.count = kept;
}

/* Too slow to help, or dripping on purpose. */
static void set_aside(struct sync *sync, uint32_t index, uint64_t now_ms, const char *why)
{
    struct sync_peer *peer = &sync->peers[index];
    char name[16];
    release(sync, peer);
    peer->put_off_ms = 0;
    peer->aside_until_ms = now_ms + SYNC_SLOW_MS;
    peer->out = ++peer->slow >= SYNC_SLOW_MAX;
    peer_name(sync, index, name);
    log_line(LOG_UNUSUAL, "sync: peer %s %s -> %s", name, why,
             peer->out ? "asked for nothing more" : "others first");
    sync->config.net.strike(sync->config.net.context, index, "slow with a snapshot part");
}

/* It has no part for us now, it says. Whoever says so for ever would hold up a target that it alone
 * offers. */
static void put_off(struct sync *sync, uint32_t index, uint64_t span_ms, uint64_t now_ms)
{
    struct sync_peer *peer = &sync->peers[index];
    release(sync, peer);
    peer->aside_until_ms = now_ms + span_ms;
    peer->put_off_ms += span_ms;
    if (peer->put_off_ms >= SYNC_PUT_OFF_MS)
        set_aside(sync, index, now_ms, "offers a snapshot and delivers none of it");
}

static void take_part(struct sync *sync, uint32_t index, struct bytes_view payload, uint64_t now_ms)
{
    struct sync_peer *peer = &sync->peers[index];
    struct snapshot_part part;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    if (!snapshot_decode_part(&part, payload)) {
        lied(sync, index, "malformed snapshot part");
        return;
    }
    if (!peer->asked || !is_same(&peer->wanted, &part.of)) {
        if (++peer->unasked > SYNC_UNASKED_MAX)
            lied(sync, index, "sends snapshot parts that nobody asked for");
        return;
    }
    switch (part.answer) {
    case SNAPSHOT_HERE:
        if (!take_here(sync, index, &part, problem)) {
            lied(sync, index, problem);
        } else {
            peer->put_off_ms = 0;
            release(sync, peer);
        }
        break;
    case SNAPSHOT_GONE:
        forget_offer(peer, &part.of.id);
        put_off(sync, index, SYNC_GONE_MS, now_ms);
        break;
    case SNAPSHOT_BUSY:
        put_off(sync, index, SYNC_BUSY_MS, now_ms);
        break;
    }
}

static void take_offers(struct sync *sync, uint32_t index, struct bytes_view payload)
{
    struct sync_peer *peer = &sync->peers[index];
    if (!snapshot_decode_offers(&peer->offers, payload)) {
        peer->offers.count = 0;
        lied(sync, index, "malformed offer of snapshots");
        return;
    }
    peer->offers_known = true;
}

static void say(struct sync *sync, uint32_t peer, const struct byte_writer *writer)
{
    MUST(!writer->failed);
    sync->config.net.send(sync->config.net.context, peer,
                          bytes_view_of(writer->data, writer->size));
}

/* Somebody else who is new asks: there is nothing here yet. */
static void refuse_request(struct sync *sync, uint32_t peer, struct bytes_view frame)
{
    uint8_t bytes[SNAPSHOT_FRAME_SMALL];
    struct byte_writer writer;
    struct snapshot_part part = {.answer = SNAPSHOT_GONE};
    static const struct snapshot_offers none;
    byte_writer_init(&writer, bytes, sizeof bytes);
    if (frame.data[0] == MESSAGE_GET_SNAPSHOTS) {
        snapshot_encode_offers(&writer, &none);
    } else {
        if (!snapshot_decode_wanted(&part.of, bytes_view_of(frame.data + 1, frame.size - 1)))
            return;
        snapshot_encode_part(&writer, &part);
    }
    say(sync, peer, &writer);
}

void sync_frame(struct sync *sync, uint32_t peer, struct bytes_view frame, uint64_t now_ms)
{
    MUST(peer < sync->config.peer_count);
    if (frame.size == 0 || sync->peers[peer].out || !sync->peers[peer].up)
        return;
    const struct bytes_view payload = bytes_view_of(frame.data + 1, frame.size - 1);
    if (frame.data[0] == MESSAGE_SNAPSHOTS)
        take_offers(sync, peer, payload);
    else if (frame.data[0] == MESSAGE_SNAPSHOT_PART)
        take_part(sync, peer, payload, now_ms);
    else if (frame.data[0] == MESSAGE_GET_SNAPSHOTS || frame.data[0] == MESSAGE_GET_SNAPSHOT_PART)
        refuse_request(sync, peer, frame);
}

void sync_link(struct sync *sync, uint32_t index, bool up, uint64_t now_ms)
{
    MUST(index < sync->config.peer_count);
    struct sync_peer *peer = &sync->peers[index];
    release(sync, peer);
    peer->up = up;
    peer->offers_known = false;
    peer->offers_at_ms = 0;
    peer->offers.count = 0;
    if (up && sync->first_up_ms == 0)
        sync->first_up_ms = now_ms;
}

/* --- asking ------------------------------------------------------------------------------------ */

static bool is_asked_of_somebody(const struct sync *sync, const struct snapshot_wanted *wanted)
{
    for (uint32_t p = 0; p < sync->config.peer_count; p++) {
        if (sync->peers[p].asked && is_same(&sync->peers[p].wanted, wanted))
            return true;
    }
    return false;
}

/* What is to be asked for next; false if nothing is. */
static bool next_wanted(struct sync *sync, struct snapshot_wanted *out, size_t *size)
{
    *out = (struct snapshot_wanted){.id = sync->target.id, .kind = SNAPSHOT_MANIFEST};
    *size = SNAPSHOT_PART_BYTES_MAX;
    if (sync->manifest_bytes.size > 0 && !sync->trusted) {
        out->kind = SNAPSHOT_EPOCH;
        out->index = sync->epochs_here;
    }
    if (!sync->trusted)
        return !is_asked_of_somebody(sync, out);
    while (sync->cursor < sync->manifest.chunk_count && sync->chunks[sync->cursor] != CHUNK_MISSING)
        sync->cursor++;
    if (sync->cursor == sync->manifest.chunk_count)
        return false;
    out->kind = SNAPSHOT_CHUNK;
    out->index = sync->cursor;
    *size = sync->places[sync->cursor].size;
    return true;
}

static void ask(struct sync *sync, uint32_t index, uint64_t now_ms)
{
    struct sync_peer *peer = &sync->peers[index];
    uint8_t bytes[SNAPSHOT_FRAME_SMALL];
    struct byte_writer writer;
    size_t size = 0;
    if (peer->asked || now_ms < peer->aside_until_ms || !offers_target(sync, peer) ||
        !next_wanted(sync, &peer->wanted, &size))
        return;
    peer->asked = true;
    peer->deadline_ms = now_ms + SYNC_PART_MS + size * 1000 / SYNC_BYTES_PER_SECOND;
    if (peer->wanted.kind == SNAPSHOT_CHUNK)
        sync->chunks[peer->wanted.index] = CHUNK_ASKED;
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_wanted(&writer, &peer->wanted);
    say(sync, index, &writer);
}

static void ask_for_offers(struct sync *sync, uint32_t index, uint64_t now_ms)
{
    struct sync_peer *peer = &sync->peers[index];
    uint8_t bytes[SNAPSHOT_FRAME_SMALL];
    struct byte_writer writer;
    if (peer->offers_at_ms != 0 && now_ms < peer->offers_at_ms + SYNC_OFFERS_MS)
        return;
    peer->offers_at_ms = now_ms;
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_get(&writer);
    say(sync, index, &writer);
}

static void give_up_waiting(struct sync *sync, uint32_t index, uint64_t now_ms)
{
    const struct sync_peer *peer = &sync->peers[index];
    if (peer->asked && now_ms >= peer->deadline_ms)
        set_aside(sync, index, now_ms, "did not deliver in time");
}

static bool nobody_has_one(struct sync *sync, uint64_t now_ms)
{
    struct snapshot_offer any;
    if (sync->chosen || !everybody_has_spoken(sync) || find_best(sync, &any)) {
        sync->none_since_ms = 0;
        return false;
    }
    if (sync->none_since_ms == 0)
        sync->none_since_ms = now_ms;
    return now_ms - sync->none_since_ms >= SYNC_NONE_MS;
}

enum sync_state sync_step(struct sync *sync, uint64_t now_ms)
{
    for (uint32_t p = 0; p < sync->config.peer_count; p++) {
        give_up_waiting(sync, p, now_ms);
        if (sync->peers[p].up && !sync->peers[p].out)
            ask_for_offers(sync, p, now_ms);
    }
    if (sync->chosen)
        look_for_the_lost(sync, now_ms);
    if (!sync->chosen)
        choose(sync, now_ms);
    if (sync->fault)
        return SYNC_FAULT;
    if (sync->trusted && sync->chunks_here == sync->manifest.chunk_count)
        return SYNC_COMPLETE;
    if (nobody_has_one(sync, now_ms))
        return SYNC_NONE;
    for (uint32_t p = 0; sync->chosen && p < sync->config.peer_count; p++) {
        if (sync->peers[p].up && !sync->peers[p].out)
            ask(sync, p, now_ms);
    }
    return SYNC_FETCHES;
}

void sync_progress(const struct sync *sync, struct sync_progress *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t p = 0; p < sync->config.peer_count; p++)
        out->peers_out += sync->peers[p].out ? 1 : 0;
    if (!sync->chosen)
        return;
    out->height = sync->target.height;
    if (sync->manifest_bytes.size == 0)
        return;
    out->parts = 1 + (uint32_t)sync->manifest.header.epoch + sync->manifest.chunk_count;
    out->parts_here = 1 + sync->epochs_here + sync->chunks_here;
}

/* --- life --------------------------------------------------------------------------------------- */

static void resume_epochs(struct sync *sync)
{
    while (sync->epochs_here < sync->manifest.header.epoch) {
        struct bytes_view bytes;
        struct snapshot_epoch epoch;
        char problem[SNAPSHOT_PROBLEM_SIZE];
        if (snapshot_part_read(sync->config.directory, SNAPSHOT_EPOCH, sync->epochs_here, &bytes) !=
            SNAPSHOT_READ_OK)
            return;
        const bool good = snapshot_trust_epoch(&sync->trust, &epoch, bytes, problem);
        snapshot_bytes_free(bytes);
        if (!good)
            return;
        sync->epochs_here++;
    }
}

static void resume_chunks(struct sync *sync)
{
    for (uint32_t i = 0; sync->trusted && i < sync->manifest.chunk_count; i++) {
        struct bytes_view bytes;
        char problem[SNAPSHOT_PROBLEM_SIZE];
        if (snapshot_part_read(sync->config.directory, SNAPSHOT_CHUNK, i, &bytes) !=
            SNAPSHOT_READ_OK)
            continue;
        if (bytes.size == sync->places[i].size && chunk_is_good(sync, i, bytes, problem)) {
            sync->chunks[i] = CHUNK_HERE;
            sync->chunks_here++;
        }
        snapshot_bytes_free(bytes);
    }
}

/* What is on disk counts if it verifies, like what comes from a peer. */
static void resume(struct sync *sync)
{
    struct bytes_view bytes;
    char problem[SNAPSHOT_PROBLEM_SIZE];
    if (snapshot_part_read(sync->config.directory, SNAPSHOT_MANIFEST, 0, &bytes) !=
        SNAPSHOT_READ_OK)
        return;
    if (take_manifest_bytes(sync, bytes, -1, problem)) {
        sync->chosen = true;
        sync->target = (struct snapshot_offer){sync->manifest.header.height, sync->manifest.id};
        resume_epochs(sync);
        try_trust(sync);
        resume_chunks(sync);
        if (sync->manifest_bytes.size > 0)
            log_line(LOG_INFO, "sync: %u of %u chunks of block %llu are here already -> goes on",
                     sync->chunks_here, sync->manifest.chunk_count,
                     (unsigned long long)sync->target.height);
    }
    snapshot_bytes_free(bytes);
}

struct sync *sync_create(const struct sync_config *config, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct sync *sync = calloc(1, sizeof *sync);
    MUST(config->peer_count <= P2P_PEERS_MAX);
    if (sync == NULL) {
        (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "out of memory");
        return NULL;
    }
    sync->config = *config;
    sync->manifest_peer = -1;
    if (!begin_trust(sync)) {
        (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "the genesis is not sound");
        free(sync);
        return NULL;
    }
    if (mkdir(config->directory, 0755) != 0 && errno != EEXIST) {
        (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "%.100s: %.40s", config->directory,
                       strerror(errno));
        free(sync);
        return NULL;
    }
    resume(sync);
    return sync;
}

void sync_destroy(struct sync *sync)
{
    if (sync != NULL) {
        forget_manifest(sync);
        free(sync);
    }
}
