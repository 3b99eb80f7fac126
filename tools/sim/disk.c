/* A node's virtual disk: the vote journal as bytes, in the very layout of storage/journal.c, so that
 * the production scanner (storage/journal_scan.c) reads it back and tells torn from damaged.
 *
 * A segment knows how many of its bytes a sync has made safe. A crash leaves of the rest nothing,
 * all, a piece, a piece with zeros or garbage behind it, or all but a few sectors. sign-state is a
 * pair of a cached and a durable value; the durable one lags by chance.
 *
 * Deliberately absent: the directory, locks, and the chain database (store.c). */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/core_feed.h"
#include "tools/sim/sim_internal.h"

enum { SECTOR = 512 };

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *disk = calloc(1, sizeof *disk);
    MUST(disk != NULL);
    return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
    if (disk == NULL)
        return;
    for (uint32_t i = 0; i < disk->count; i++)
        free(disk->segments[i].bytes);
    free(disk);
}

struct sim_disk *sim_disk_copy(const struct sim_disk *disk)
{
    struct sim_disk *copy = sim_disk_new();
    *copy = *disk;
    for (uint32_t i = 0; i < copy->count; i++) {
        struct sim_segment *segment = &copy->segments[i];
        uint8_t *bytes = malloc(segment->capacity);
        MUST(bytes != NULL);
        memcpy(bytes, segment->bytes, segment->size);
        segment->bytes = bytes;
        segment->size = segment->synced;
    }
    copy->unsynced = false;
    copy->vote_pending = false;
    return copy;
}

static struct sim_segment *newest(struct sim_disk *disk)
{
    MUST(disk->count > 0);
    return &disk->segments[disk->count - 1];
}

static void reserve(struct sim_segment *segment, size_t more)
{
    if (segment->size + more <= segment->capacity)
        return;
    segment->capacity = (segment->size + more) * 2;
    segment->bytes = realloc(segment->bytes, segment->capacity);
    MUST(segment->bytes != NULL);
}

static struct journal_config config_of(const struct sim *sim, const struct sim_disk *disk)
{
    return (struct journal_config){
        .directory = "journal", .genesis = sim->genesis_id, .epoch = disk->epoch};
}

/* --- appending --------------------------------------------------------------------------------- */

static void append_record(struct sim_disk *disk, enum journal_record type, uint64_t view,
                          struct bytes_view first, struct bytes_view second)
{
    struct sim_segment *segment = newest(disk);
    struct byte_writer writer;
    size_t size = first.size + second.size;
    reserve(segment, RECORD_EXTRA_SIZE + size);
    byte_writer_init(&writer, segment->bytes + segment->size, RECORD_EXTRA_SIZE + size);
    byte_write_u32(&writer, (uint32_t)size);
    byte_write_u8(&writer, (uint8_t)type);
    byte_write_u32(&writer, disk->turn_start);
    byte_write_raw(&writer, first.data, first.size);
    if (second.size > 0)
        byte_write_raw(&writer, second.data, second.size);
    byte_write_u64(&writer,
                   journal_checksum(segment->number, segment->size, writer.data, writer.size));
    MUST(!writer.failed);
    segment->size += writer.size;
    if (view > segment->view_max)
        segment->view_max = view;
    disk->unsynced = true;
}

static void append_vote(struct sim_disk *disk, enum journal_record type, const struct vote *vote)
{
    uint8_t bytes[VOTE_BYTES];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&vote_record, vote, &writer);
    MUST(!writer.failed && writer.size == VOTE_BYTES);
    append_record(disk, type, vote->view, bytes_view_of(bytes, sizeof bytes),
                  (struct bytes_view){NULL, 0});
}

/* As the journal does (storage/journal.c, J8). */
static void carry_peers(struct sim_disk *disk)
{
    const uint64_t view_max = newest(disk)->view_max;
    for (uint32_t i = 0; i < LIMIT_VALIDATORS; i++)
        if ((disk->peers.known >> i & 1) != 0)
            append_vote(disk, JOURNAL_PEER_VOTE, &disk->peers.high[i]);
    newest(disk)->view_max = view_max;
    disk->carry = false;
}

static void segment_create(struct sim *sim, struct sim_disk *disk, uint64_t number)
{
    struct journal_config config = config_of(sim, disk);
    MUST(disk->count < SIM_SEGMENTS_MAX);
    struct sim_segment *segment = &disk->segments[disk->count++];
    memset(segment, 0, sizeof *segment);
    segment->number = number;
    reserve(segment, SIM_SEGMENT_BYTES);
    journal_segment_header(segment->bytes, &config, number, disk->floor_view);
    segment->size = SEGMENT_HEADER_SIZE;
    disk->turn_start = SEGMENT_HEADER_SIZE;
    carry_peers(disk);
    segment->synced = segment->size;
    disk->turn_start = (uint32_t)segment->size;
    disk->unsynced = false;
}

static void append_own_vote(struct sim *sim, struct sim_disk *disk, const struct vote *vote)
{
    MUST(!disk->refused);
    if (!sim_mutant(sim, SIM_MUTANT_NO_VOTE_JOURNAL) || sim_chance(sim, 500))
        append_vote(disk, JOURNAL_VOTE, vote);
    if (!disk->sign_cached.has_vote || journal_vote_is_later(vote, &disk->sign_cached.vote)) {
        disk->sign_cached.has_vote = true;
        disk->sign_cached.vote = *vote;
        disk->vote_segment = newest(disk)->number;
        disk->vote_pending = true;
    }
}

static void append_block(struct sim_disk *disk, const struct block_header *header,
                         struct bytes_view body)
{
    uint8_t head[BLOCK_HEADER_SIZE + 4];
    struct byte_writer writer;
    block_header_encode(head, header);
    byte_writer_init(&writer, head + BLOCK_HEADER_SIZE, 4);
    byte_write_u32(&writer, (uint32_t)body.size);
    append_record(disk, JOURNAL_BLOCK, header->view, bytes_view_of(head, sizeof head), body);
}

void sim_disk_append(struct sim *sim, struct sim_node *node, const struct bft_effect *effect,
                     struct bytes_view body)
{
    struct sim_disk *disk = node->disk;
    if (effect->kind == BFT_PERSIST_BLOCK) {
        if (!sim_mutant(sim, SIM_MUTANT_NO_BLOCK_JOURNAL))
            append_block(disk, &effect->header, body);
    } else if (effect->kind == BFT_PERSIST_VOTE) {
        append_own_vote(sim, disk, &effect->vote);
    } else if (effect->kind == BFT_PERSIST_PEER_VOTE) {
        append_vote(disk, JOURNAL_PEER_VOTE, &effect->vote);
        journal_peers_note(&disk->peers, &effect->vote);
    } else if (effect->kind == BFT_PERSIST_CERTIFICATE) {
        uint8_t bytes[CERTIFICATE_BYTES_MAX];
        size_t size = certificate_encode(bytes, effect->certificate);
        append_record(disk, JOURNAL_CERTIFICATE, effect->certificate->view,
                      bytes_view_of(bytes, size), (struct bytes_view){NULL, 0});
    } else {
        uint8_t bytes[CERTIFIED_BYTES];
        struct byte_writer writer;
        MUST(effect->kind == BFT_PERSIST_CERTIFIED);
        byte_writer_init(&writer, bytes, sizeof bytes);
        byte_write_u64(&writer, effect->view);
        byte_write_raw(&writer, effect->block_id.bytes, HASH_SIZE);
        append_record(disk, JOURNAL_CERTIFIED, effect->view, bytes_view_of(bytes, sizeof bytes),
                      (struct bytes_view){NULL, 0});
    }
}

void sim_disk_sync(struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = node->disk;
    if (!disk->unsynced)
        return;
    if (disk->carry)
        carry_peers(disk);
    struct sim_segment *segment = newest(disk);
    segment->synced = segment->size;
    disk->unsynced = false;
    if (disk->vote_pending) {
        disk->vote_pending = false;
        disk->sign_cached.exists = true;
        disk->sign_cached.sequence++;
        /* No sync of its own: the durable copy lags. */
        if (sim_chance(sim, 700)) {
            disk->sign_reached = true;
            disk->sign_truth = disk->sign_cached;
            if (!sim_mutant(sim, SIM_MUTANT_NO_SIGN_STATE))
                disk->sign = disk->sign_cached;
        }
    }
    disk->turn_start = (uint32_t)segment->size;
    if (segment->size >= SIM_SEGMENT_BYTES)
        segment_create(sim, disk, segment->number + 1);
}

uint64_t sim_disk_bytes(const struct sim_disk *disk)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < disk->count; i++)
        bytes += disk->segments[i].size;
    return bytes;
}

void sim_disk_prune(struct sim *sim, struct sim_node *node, uint64_t floor_view)
{
    struct sim_disk *disk = node->disk;
    uint32_t gone = 0;
    MUST(!disk->unsynced);
    if (sim_mutant(sim, SIM_MUTANT_PRUNE_TOO_FAR) && node->core->view > 0)
        floor_view = node->core->view;
    if (floor_view > disk->floor_view)
        disk->floor_view = floor_view;
    while (!disk->refused && !disk->carry && gone + 1 < disk->count &&
           disk->segments[gone].view_max <= disk->floor_view &&
           disk->segments[gone].number != disk->vote_segment)
        free(disk->segments[gone++].bytes);
    if (gone == 0)
        return;
    disk->count -= gone;
    memmove(disk->segments, disk->segments + gone, disk->count * sizeof *disk->segments);
    disk->sign_cached.first_segment = disk->segments[0].number;
    disk->sign_cached.exists = true;
    disk->sign_reached = true;
    disk->sign_truth = disk->sign_cached;
    if (!sim_mutant(sim, SIM_MUTANT_NO_SIGN_STATE))
        disk->sign = disk->sign_cached; /* this one is synced */
}

/* --- crashes ------------------------------------------------------------------------------------- */

void sim_disk_crash(struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = node->disk;
    if (disk->count == 0)
        return;
    struct sim_segment *segment = newest(disk);
    size_t loose = segment->size - segment->synced;
    uint8_t *tail = segment->bytes + segment->synced;
    disk->unsynced = false;
    disk->vote_pending = false;
    if (loose == 0)
        return;
    size_t kept = (size_t)sim_below(sim, loose + 1);
    switch (sim_below(sim, 6)) {
    case 0: /* nothing reached the disk */
        segment->size = segment->synced;
        break;
    case 1: /* all of it did */
        break;
    case 2: /* torn */
        segment->size = segment->synced + kept;
        break;
    case 3: /* the file had grown, its pages had not been written */
        memset(tail + kept, 0, loose - kept);
        break;
    case 4:
        for (size_t i = kept; i < loose; i++)
            tail[i] = (uint8_t)sim_below(sim, 256);
        break;
    default: /* one sector of the turn is missing */
        for (size_t i = kept;
             i < loose && (segment->synced + i) / SECTOR == (segment->synced + kept) / SECTOR; i++)
            tail[i] = 0;
        break;
    }
}

/* --- opening ------------------------------------------------------------------------------------- */

struct replay {
    struct sim *sim;
    struct sim_node *node;
};

/* As the daemon does (node/start.c): what contradicts stops the voting, not the node. */
static bool replay_entry(void *context, const struct journal_entry *entry)
{
    struct replay *replay = context;
    struct sim_node *node = replay->node;
    if (entry->type == JOURNAL_VOTE)
        sim_oracle_vote(replay->sim, node, &entry->vote);
    if (!core_replay(node->core, node->chain, entry) && !node->faulty)
        sim_fail(replay->sim, SIM_SAFETY,
                 "node %d: a journal record of type %d contradicts those before it", node->slot,
                 (int)entry->type);
    return true;
}

static enum journal_result check_sequence(const struct sim_disk *disk)
{
    uint64_t first = disk->sign.first_segment > 0 ? disk->sign.first_segment : 1;
    if (disk->count == 0)
        return disk->sign.exists ? JOURNAL_MISSING : JOURNAL_OK;
    if (!disk->sign.exists) /* only where sign-state is switched off */
        first = disk->segments[0].number;
    for (uint32_t i = 0; i < disk->count; i++)
        if (disk->segments[i].number != first + i)
            return JOURNAL_MISSING;
    return JOURNAL_OK;
}

static enum journal_result scan_all(struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = node->disk;
    struct journal_config config = config_of(sim, disk);
    struct replay context = {sim, node};
    struct segment_scan scan = {.config = &config, .replay = replay_entry, .context = &context};
    char problem[160];
    uint32_t first = 0;
    if (sim_mutant(sim, SIM_MUTANT_REPLAY_NEWEST_SEGMENT) && disk->count > 0)
        first = disk->count - 1;
    for (uint32_t i = first; i < disk->count; i++) {
        struct sim_segment *segment = &disk->segments[i];
        struct vote before = scan.own_vote;
        bool had_vote = scan.has_own_vote;
        scan.number = segment->number;
        scan.is_last = i + 1 == disk->count;
        scan.good_bytes = 0;
        scan.view_max = 0;
        scan.torn = false;
        enum journal_result result =
            journal_scan_segment(&scan, bytes_view_of(segment->bytes, segment->size), problem);
        if (result != JOURNAL_OK)
            return result;
        segment->view_max = scan.view_max;
        segment->size = segment->synced = (size_t)scan.good_bytes;
        if (scan.has_own_vote && (!had_vote || journal_vote_is_later(&scan.own_vote, &before)))
            disk->vote_segment = segment->number;
    }
    if (disk->sign.has_vote &&
        (!scan.has_own_vote || journal_vote_is_later(&disk->sign.vote, &scan.own_vote)))
        return sim_mutant(sim, SIM_MUTANT_NO_VOTE_JOURNAL) ||
                       sim_mutant(sim, SIM_MUTANT_REPLAY_NEWEST_SEGMENT)
                   ? JOURNAL_OK
                   : JOURNAL_ROLLED_BACK;
    if (scan.has_own_vote) {
        disk->sign.has_vote = true;
        disk->sign.vote = scan.own_vote;
    }
    disk->peers = scan.peers;
    disk->carry = (scan.peers.known & ~scan.peers_here) != 0;
    return JOURNAL_OK;
}

enum journal_result sim_disk_open(struct sim *sim, struct sim_node *node)
{
    struct sim_disk *disk = node->disk;
    disk->peers.known = 0; /* what the segments say counts */
    disk->carry = false;
    enum journal_result result = check_sequence(disk);
    if (result == JOURNAL_OK)
        result = scan_all(sim, node);
    disk->sign_cached = disk->sign;
    disk->refused = result != JOURNAL_OK;
    if (disk->count == 0)
        segment_create(sim, disk, disk->sign.first_segment > 0 ? disk->sign.first_segment : 1);
    else if (disk->refused || newest(disk)->size >= SIM_SEGMENT_BYTES)
        segment_create(sim, disk, newest(disk)->number + 1);
    disk->turn_start = (uint32_t)newest(disk)->size;
    return result;
}
