/* Reading one segment of the vote journal: replay, and telling a torn tail from damage.
 *
 * A power cut in the middle of a turn leaves any mixture of that turn's pages: whole records may
 * stand behind a torn one. All of them belong to a turn whose sync never returned, so nobody has
 * seen what they say, and they may go. Damage is something else: a record that was synced is not
 * whole any more. The two are told apart by each record's turn start, the offset before which
 * everything had been synced when the record was written:
 *
 *   bad record at offset o, a whole one behind it with turn start > o:   damage
 *   bad record at offset o, none such behind it, in the last segment:    torn tail, cut at o
 *   bad record in a segment that has a successor:                        damage (a segment is closed
 *                                                                        by a sync)
 *
 * Damage to the very last turn looks like a torn tail; sign-state and the other validators' memory
 * (the rolled-back disk rule of consensus.md) catch that.
 *
 * Deliberately absent: any repair. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "storage/checksum.h"
#include "storage/journal_internal.h"

uint64_t journal_checksum(uint64_t number, uint64_t offset, const uint8_t *record, size_t size)
{
    uint8_t place[16];
    struct byte_writer writer;
    byte_writer_init(&writer, place, sizeof place);
    byte_write_u64(&writer, number);
    byte_write_u64(&writer, offset);
    MUST(!writer.failed);
    return checksum_end(
        checksum_update(checksum_update(checksum_begin(), place, sizeof place), record, size));
}

/* Is that a size that a record of this type can have? */
static bool size_is_possible(uint8_t type, uint32_t size)
{
    switch (type) {
    case JOURNAL_VOTE:
    case JOURNAL_PEER_VOTE:
        return size == VOTE_BYTES;
    case JOURNAL_CERTIFICATE:
        return size > 0 && size <= CERTIFICATE_BYTES_MAX;
    case JOURNAL_CERTIFIED:
        return size == CERTIFIED_BYTES;
    case JOURNAL_BLOCK:
        return size >= BLOCK_HEADER_SIZE + 4 && size <= RECORD_PAYLOAD_MAX;
    }
    return false;
}

/* A whole record at `offset`: its type, payload, turn start and end; false if there is none. */
static bool record_at(struct bytes_view bytes, uint64_t number, uint64_t offset, uint8_t *type,
                      struct bytes_view *payload, uint64_t *turn_start)
{
    struct byte_reader reader;
    byte_reader_init(&reader, bytes.data + offset, bytes.size - offset);
    const uint32_t size = byte_read_u32(&reader);
    *type = byte_read_u8(&reader);
    *turn_start = byte_read_u32(&reader);
    if (reader.failed || !size_is_possible(*type, size)) {
        return false;
    }
    *payload = byte_read_view(&reader, size);
    const uint64_t checksum = byte_read_u64(&reader);
    return !reader.failed && *turn_start <= offset &&
           checksum == journal_checksum(number, offset, bytes.data + offset,
                                        RECORD_HEAD_SIZE + (size_t)size);
}

/* Is there a whole record after `offset` that was written when `offset` had been synced? */
static bool later_turn_follows(struct bytes_view bytes, uint64_t number, uint64_t offset)
{
    for (uint64_t at = offset + 1; at + RECORD_EXTRA_SIZE <= bytes.size; at++) {
        uint8_t type;
        struct bytes_view payload;
        uint64_t turn_start;
        if (record_at(bytes, number, at, &type, &payload, &turn_start) && turn_start > offset) {
            return true;
        }
    }
    return false;
}

static bool decode_entry(struct journal_entry *entry, uint8_t type, struct bytes_view payload)
{
    struct byte_reader reader;
    memset(entry, 0, sizeof *entry);
    entry->type = (enum journal_record)type;
    byte_reader_init(&reader, payload.data, payload.size);
    switch (entry->type) {
    case JOURNAL_VOTE:
    case JOURNAL_PEER_VOTE:
        if (!codec_decode_all(&vote_record, &entry->vote, payload)) {
            return false;
        }
        entry->view = entry->vote.view;
        return true;
    case JOURNAL_CERTIFICATE:
        if (!certificate_decode(&entry->certificate, payload)) {
            return false;
        }
        entry->view = entry->certificate.view;
        return true;
    case JOURNAL_CERTIFIED:
        entry->view = byte_read_u64(&reader);
        byte_read_raw(&reader, entry->block_id.bytes, HASH_SIZE);
        return byte_reader_done(&reader);
    case JOURNAL_BLOCK: {
        const struct bytes_view header = byte_read_view(&reader, BLOCK_HEADER_SIZE);
        entry->body = byte_read_sized(&reader, LIMIT_BLOCK_BODY_BYTES);
        if (!byte_reader_done(&reader) || !block_header_decode(&entry->header, header)) {
            return false;
        }
        entry->view = entry->header.view;
        return true;
    }
    }
    return false;
}

static enum journal_result check_segment_header(struct segment_scan *scan, struct bytes_view bytes,
                                                char problem[160])
{
    uint8_t expected[SEGMENT_HEADER_SIZE];
    const size_t identity = 8 + 4 + 32 + 8 + 8; /* all but the floor and the checksum */
    const uint8_t *sum = bytes.data + SEGMENT_HEADER_SIZE - CHECKSUM_SIZE;
    if (bytes.size < SEGMENT_HEADER_SIZE ||
        checksum_read(sum) !=
            journal_checksum(0, 0, bytes.data, SEGMENT_HEADER_SIZE - CHECKSUM_SIZE)) {
        /* The header is synced before the first record is written. */
        if (scan->is_last && bytes.size <= SEGMENT_HEADER_SIZE) {
            scan->torn = true;
            return JOURNAL_OK;
        }
        (void)snprintf(problem, 160, "segment %llu has a damaged header",
                       (unsigned long long)scan->number);
        return JOURNAL_DAMAGED;
    }
    journal_segment_header(expected, scan->config, scan->number, 0);
    if (memcmp(bytes.data, expected, identity) != 0) {
        (void)snprintf(problem, 160, "segment %llu was written for another chain, epoch or version",
                       (unsigned long long)scan->number);
        return JOURNAL_MISMATCH;
    }
    scan->good_bytes = SEGMENT_HEADER_SIZE;
    return JOURNAL_OK;
}

static enum journal_result judge_bad_record(struct segment_scan *scan, struct bytes_view bytes,
                                            char problem[160])
{
    if (scan->is_last && !later_turn_follows(bytes, scan->number, scan->good_bytes)) {
        scan->torn = true;
        return JOURNAL_OK;
    }
    (void)snprintf(problem, 160, "segment %llu: the record at byte %llu is damaged",
                   (unsigned long long)scan->number, (unsigned long long)scan->good_bytes);
    return JOURNAL_DAMAGED;
}

enum journal_result journal_scan_segment(struct segment_scan *scan, struct bytes_view bytes,
                                         char problem[160])
{
    struct journal_entry entry;
    scan->peers_here = 0;
    const enum journal_result result = check_segment_header(scan, bytes, problem);
    if (result != JOURNAL_OK || scan->torn) {
        return result;
    }
    while (scan->good_bytes < bytes.size) {
        uint8_t type;
        struct bytes_view payload;
        uint64_t turn_start;
        if (!record_at(bytes, scan->number, scan->good_bytes, &type, &payload, &turn_start)) {
            return judge_bad_record(scan, bytes, problem);
        }
        /* The checksum fits, so these are bytes that we wrote, and we write canonical ones. */
        if (!decode_entry(&entry, type, payload)) {
            (void)snprintf(problem, 160, "segment %llu: the record at byte %llu is not canonical",
                           (unsigned long long)scan->number, (unsigned long long)scan->good_bytes);
            return JOURNAL_DAMAGED;
        }
        if (entry.view > scan->view_max) {
            scan->view_max = entry.view;
        }
        if (type == JOURNAL_VOTE) {
            if (!scan->has_own_vote || journal_vote_is_later(&entry.vote, &scan->own_vote)) {
                scan->own_vote = entry.vote;
            }
            scan->has_own_vote = true;
        }
        if (type == JOURNAL_PEER_VOTE) {
            journal_peers_note(&scan->peers, &entry.vote);
            if (entry.vote.signer < LIMIT_VALIDATORS &&
                !journal_vote_is_later(&scan->peers.high[entry.vote.signer], &entry.vote)) {
                scan->peers_here |= UINT32_C(1) << entry.vote.signer;
            }
        }
        if (!scan->replay(scan->context, &entry)) {
            (void)snprintf(problem, 160, "segment %llu: the record at byte %llu was refused",
                           (unsigned long long)scan->number, (unsigned long long)scan->good_bytes);
            return JOURNAL_FAULT;
        }
        scan->good_bytes += RECORD_EXTRA_SIZE + payload.size;
    }
    return JOURNAL_OK;
}
