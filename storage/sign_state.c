/* The sign-state file: the highest own vote, outside the journal, so that a journal that was lost or
 * put back from a copy is noticed (consensus.md 3c, 9).
 *
 * Two slots of 512 bytes are written in turn, each with a sequence number and a checksum; the valid
 * one of the higher sequence counts, so a torn write costs one step at most. No sync of its own: it
 * lags the journal by at most what the operating system holds back, and never leads it.
 *
 * Deliberately absent: secrets. A copy of this file tells nobody how to sign. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "storage/checksum.h"
#include "storage/file_io.h"
#include "storage/journal_internal.h"

static const char file_name[] = "sign-state";
static const uint8_t magic[8] = {'F', 'L', 'E', 'X', 'S', 'I', 'G', 'N'};

enum { SLOT_USED = 8 + 8 + 1 + 8 + VOTE_BYTES + 32 + CHECKSUM_SIZE };
_Static_assert((int)SLOT_USED <= (int)SIGN_STATE_SLOT_SIZE, "a slot is one disk sector");

static void slot_encode(uint8_t out[SLOT_USED], const struct sign_state *state,
                        const struct hash *genesis)
{
    static const uint8_t no_vote[VOTE_BYTES];
    struct byte_writer writer;
    byte_writer_init(&writer, out, SLOT_USED);
    byte_write_raw(&writer, magic, sizeof magic);
    byte_write_u64(&writer, state->sequence);
    byte_write_u8(&writer, state->has_vote ? 1 : 0);
    byte_write_u64(&writer, state->first_segment);
    if (state->has_vote) {
        codec_encode(&vote_record, &state->vote, &writer);
    } else {
        byte_write_raw(&writer, no_vote, sizeof no_vote);
    }
    byte_write_raw(&writer, genesis->bytes, HASH_SIZE);
    byte_write_u64(&writer, journal_checksum(state->sequence, 0, out, writer.size));
    MUST(!writer.failed && writer.size == SLOT_USED);
}

static bool slot_decode(struct sign_state *out, struct hash *genesis,
                        const uint8_t bytes[SLOT_USED])
{
    struct byte_reader reader;
    uint8_t found[8];
    memset(out, 0, sizeof *out);
    byte_reader_init(&reader, bytes, SLOT_USED);
    byte_read_raw(&reader, found, sizeof found);
    out->sequence = byte_read_u64(&reader);
    out->has_vote = byte_read_u8(&reader) == 1;
    out->first_segment = byte_read_u64(&reader);
    const struct bytes_view vote = byte_read_view(&reader, VOTE_BYTES);
    byte_read_raw(&reader, genesis->bytes, HASH_SIZE);
    const uint64_t checksum = byte_read_u64(&reader);
    out->exists = true;
    return byte_reader_done(&reader) && memcmp(found, magic, sizeof magic) == 0 &&
           checksum == journal_checksum(out->sequence, 0, bytes, SLOT_USED - CHECKSUM_SIZE) &&
           (!out->has_vote || codec_decode_all(&vote_record, &out->vote, vote));
}

enum journal_result sign_state_load(struct sign_state *out, int directory_fd,
                                    const struct hash *genesis, bool read_only, int *fd)
{
    memset(out, 0, sizeof *out);
    *fd = openat(directory_fd, file_name, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (*fd < 0) {
        return errno == ENOENT ? JOURNAL_OK : JOURNAL_FAULT;
    }
    bool any_bytes = false;
    for (int slot = 0; slot < SIGN_STATE_SLOTS; slot++) {
        static const uint8_t zero[SLOT_USED];
        uint8_t bytes[SLOT_USED] = {0};
        struct sign_state state;
        struct hash chain;
        const ssize_t got = pread(*fd, bytes, sizeof bytes, (off_t)slot * SIGN_STATE_SLOT_SIZE);
        if (got < 0) {
            return JOURNAL_FAULT;
        }
        any_bytes = any_bytes || memcmp(bytes, zero, sizeof bytes) != 0;
        if (got != (ssize_t)sizeof bytes || !slot_decode(&state, &chain, bytes)) {
            continue;
        }
        if (!hash_equal(&chain, genesis)) {
            return JOURNAL_MISMATCH;
        }
        if (!out->exists || state.sequence > out->sequence) {
            *out = state;
        }
    }
    /* Empty or all zero: its first write was lost with the power. */
    return any_bytes && !out->exists ? JOURNAL_DAMAGED : JOURNAL_OK;
}

int sign_state_write(struct sign_state *state, int *fd, int directory_fd,
                     const struct hash *genesis)
{
    uint8_t bytes[SLOT_USED];
    struct sign_state next = *state;
    if (*fd < 0) {
        *fd = openat(directory_fd, file_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (*fd < 0) {
            return errno;
        }
        if (storage_file_io->fsync(directory_fd) != 0) {
            fatal_system("journal: sign-state's directory cannot be synced", errno);
        }
    }
    next.sequence++;
    next.exists = true;
    slot_encode(bytes, &next, genesis);
    const off_t at = (off_t)(next.sequence % SIGN_STATE_SLOTS) * SIGN_STATE_SLOT_SIZE;
    const ssize_t wrote = storage_file_io->pwrite(*fd, bytes, sizeof bytes, at);
    if (wrote != (ssize_t)sizeof bytes) {
        return wrote < 0 ? errno : ENOSPC;
    }
    *state = next;
    return 0;
}
