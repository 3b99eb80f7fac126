/* The vote journal: what was synced comes back, in order; a turn that was cut off at any byte leaves
 * the turns before it; damage, roll-back and loss are told apart and refuse the vote; failing writes
 * and syncs stop the process; pruning keeps what it must. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "storage/checksum.h"
#include "storage/file_io.h"
#include "storage/journal_internal.h"
#include "tests/lib/temp_dir.h"

enum { EVENTS_MAX = 4096 };

struct heard {
    size_t count;
    struct {
        enum journal_record type;
        uint64_t view;
        uint8_t signer; /* of a vote */
        size_t body;
    } items[EVENTS_MAX];
    size_t refuse_at; /* 0: none */
};

struct setting {
    char directory[TEMP_PATH_SIZE];
    char spare[TEMP_PATH_SIZE];
    struct journal_config config;
};

static struct heard heard;
static char problem[160];

static bool hear(void *context, const struct journal_entry *entry)
{
    struct heard *out = context;
    assert_true(out->count < EVENTS_MAX);
    out->items[out->count].type = entry->type;
    out->items[out->count].view = entry->view;
    out->items[out->count].signer = entry->vote.signer;
    out->items[out->count].body = entry->body.size;
    for (size_t i = 0; i < entry->body.size; i++) {
        assert_int_equal(entry->body.data[i], (uint8_t)(entry->view + i));
    }
    out->count++;
    return out->refuse_at == 0 || out->count < out->refuse_at;
}

static int setup(void **state)
{
    struct setting *setting = calloc(1, sizeof *setting);
    temp_dir_make(setting->directory);
    temp_dir_make(setting->spare);
    setting->config.directory = setting->directory;
    memset(setting->config.genesis.bytes, 7, HASH_SIZE);
    setting->config.epoch = 3;
    *state = setting;
    return 0;
}

static int teardown(void **state)
{
    struct setting *setting = *state;
    temp_dir_remove(setting->directory);
    temp_dir_remove(setting->spare);
    free(setting);
    return 0;
}

static enum journal_result open_at(struct journal **journal, const struct journal_config *config)
{
    memset(&heard, 0, sizeof heard);
    return journal_open(journal, config, hear, &heard, problem);
}

static struct journal *open_good(const struct setting *setting)
{
    struct journal *journal = NULL;
    assert_int_equal(open_at(&journal, &setting->config), JOURNAL_OK);
    assert_non_null(journal);
    return journal;
}

static struct vote make_vote(enum vote_kind kind, uint64_t view)
{
    struct vote vote;
    memset(&vote, 0, sizeof vote);
    vote.kind = (uint8_t)kind;
    vote.epoch = 3;
    vote.view = view;
    if (kind != VOTE_NULLIFY) {
        memset(vote.block_id.bytes, (int)view, HASH_SIZE);
    }
    memset(vote.signature.bytes, 0x5a, SIGNATURE_SIZE);
    return vote;
}

static void append_vote(struct journal *journal, enum vote_kind kind, uint64_t view)
{
    const struct vote vote = make_vote(kind, view);
    journal_append_vote(journal, &vote);
}

static void append_block(struct journal *journal, uint64_t view, size_t size)
{
    struct block_header header;
    uint8_t *body = malloc(size + 1);
    memset(&header, 0, sizeof header);
    header.version = BLOCK_HEADER_VERSION;
    header.view = view;
    header.height = view;
    for (size_t i = 0; i < size; i++) {
        body[i] = (uint8_t)(view + i);
    }
    journal_append_block(journal, &header, bytes_view_of(body, size));
    free(body);
}

static void append_certificate(struct journal *journal, uint64_t view)
{
    struct certificate certificate;
    memset(&certificate, 0, sizeof certificate);
    certificate.kind = VOTE_NOTARIZE;
    certificate.epoch = 3;
    certificate.view = view;
    certificate.block_id.bytes[0] = 1;
    certificate.count = 3;
    for (uint8_t i = 0; i < 3; i++) {
        certificate.entries[i].signer = i;
    }
    journal_append_certificate(journal, &certificate);
}

/* A turn with one record of each kind: five. */
static void full_turn(struct journal *journal, uint64_t view)
{
    const struct vote peer = make_vote(VOTE_NOTARIZE, view);
    const struct hash id = {{1}};
    append_block(journal, view, 40);
    append_vote(journal, VOTE_NOTARIZE, view);
    journal_append_peer_vote(journal, &peer);
    append_certificate(journal, view);
    journal_append_certified(journal, view, &id);
    assert_true(journal_sync(journal));
}

static void segment_path_name(char out[JOURNAL_NAME_SIZE], uint64_t number)
{
    journal_segment_name(out, number);
}

/* --- what is there comes back ------------------------------------------------------------------ */

static void test_synced_records_come_back_in_order(void **state)
{
    const struct setting *setting = *state;
    const enum journal_record order[] = {JOURNAL_BLOCK, JOURNAL_VOTE, JOURNAL_PEER_VOTE,
                                         JOURNAL_CERTIFICATE, JOURNAL_CERTIFIED};
    struct journal *journal = open_good(setting);
    assert_int_equal(heard.count, 0);
    for (uint64_t view = 1; view <= 3; view++) {
        full_turn(journal, view);
    }
    append_vote(journal, VOTE_NULLIFY, 4); /* never synced: dropped with the process */
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard.count, 15);
    for (size_t i = 0; i < heard.count; i++) {
        assert_int_equal(heard.items[i].type, order[i % 5]);
        assert_int_equal(heard.items[i].view, 1 + i / 5);
    }
    full_turn(journal, 4);
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard.count, 20);
    journal_close(journal);
}

static void test_full_blocks_fit_and_rotate_segments(void **state)
{
    struct setting *setting = *state;
    setting->config.segment_bytes = 3 << 20;
    struct journal *journal = open_good(setting);
    /* One turn of more than the buffer, then single ones. */
    for (uint64_t view = 1; view <= 6; view++) {
        append_block(journal, view, LIMIT_BLOCK_BODY_BYTES);
    }
    assert_true(journal_sync(journal));
    for (uint64_t view = 7; view <= 12; view++) {
        append_block(journal, view, LIMIT_BLOCK_BODY_BYTES);
        append_vote(journal, VOTE_NOTARIZE, view);
        assert_true(journal_sync(journal));
    }
    assert_int_equal(journal->segment_count, 5);
    assert_true(journal_bytes(journal) > (uint64_t)12 * LIMIT_BLOCK_BODY_BYTES);
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard.count, 18);
    journal_close(journal);
}

static void test_a_refused_record_fails_the_opening(void **state)
{
    const struct setting *setting = *state;
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    journal_close(journal);
    memset(&heard, 0, sizeof heard);
    heard.refuse_at = 2;
    assert_int_equal(journal_open(&journal, &setting->config, hear, &heard, problem),
                     JOURNAL_FAULT);
    assert_null(journal);
    assert_non_null(strstr(problem, "refused"));
}

static void test_two_processes_never_share_it(void **state)
{
    const struct setting *setting = *state;
    struct journal *journal = open_good(setting);
    struct journal *second = NULL;
    assert_int_equal(open_at(&second, &setting->config), JOURNAL_FAULT);
    assert_null(second);
    journal_close(journal);
    journal_close(open_good(setting));
}

static void test_other_chains_and_epochs_are_a_mismatch(void **state)
{
    const struct setting *setting = *state;
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    journal_close(journal);
    struct journal_config other = setting->config;
    other.epoch = 4;
    assert_int_equal(open_at(&journal, &other), JOURNAL_MISMATCH);
    assert_null(journal);
    other = setting->config;
    other.genesis.bytes[0] ^= 1;
    assert_int_equal(open_at(&journal, &other), JOURNAL_MISMATCH);
    assert_null(journal);
}

/* --- torn tails -------------------------------------------------------------------------------- */

/* Two turns were synced, a third of five records was being written. Whatever prefix of it is on the
 * disk, followed by nothing or by zeros: exactly the two turns come back, or whole records of the
 * third, and the journal goes on. */
static void test_a_torn_turn_is_cut_at_every_byte(void **state)
{
    const struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    size_t before = 0;
    size_t after = 0;
    struct journal *journal = open_good(setting);
    segment_path_name(name, 1);
    full_turn(journal, 1);
    full_turn(journal, 2);
    before = (size_t)journal_bytes(journal);
    const struct vote late = make_vote(VOTE_NULLIFY, 3); /* sign-state is not written yet */
    append_block(journal, 3, 40);
    journal_append_peer_vote(journal, &late);
    append_certificate(journal, 3);
    assert_true(journal_sync(journal));
    journal_close(journal);
    unsigned char *whole = temp_file_read(setting->directory, name, &after);
    assert_true(after > before + 300);
    for (size_t cut = before; cut < after; cut++) {
        for (int zeros = 0; zeros < 2; zeros++) {
            unsigned char *torn = calloc(1, after);
            memcpy(torn, whole, cut);
            temp_file_write(setting->directory, name, torn, zeros ? after : cut);
            free(torn);
            journal = open_good(setting);
            assert_true(heard.count >= 10 && heard.count < 13);
            append_vote(journal, VOTE_NULLIFY, 4);
            assert_true(journal_sync(journal));
            journal_close(journal);
            const size_t expected = heard.count + 1;
            journal = open_good(setting);
            assert_int_equal(heard.count, expected);
            assert_int_equal(heard.items[expected - 1].view, 4);
            journal_close(journal);
            /* The next round starts from a sign-state that knows of view 2 alone. */
            temp_file_write(setting->directory, "sign-state", "", 0);
        }
    }
    free(whole);
}

/* Pages of one turn reach the disk in any order: records of the same turn may stand behind the hole. */
static void test_a_hole_in_the_last_turn_is_torn_not_damaged(void **state)
{
    const struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    size_t size = 0;
    struct journal *journal = open_good(setting);
    segment_path_name(name, 1);
    full_turn(journal, 1);
    const size_t before = (size_t)journal_bytes(journal);
    append_block(journal, 2, 6000);
    append_certificate(journal, 2);
    assert_true(journal_sync(journal));
    journal_close(journal);
    unsigned char *bytes = temp_file_read(setting->directory, name, &size);
    memset(bytes + before + 1000, 0, 4096);
    temp_file_write(setting->directory, name, bytes, size);
    free(bytes);
    journal = open_good(setting);
    assert_int_equal(heard.count, 5);
    assert_int_equal(journal_bytes(journal), before);
    journal_close(journal);
}

static void test_garbage_behind_the_last_record_is_cut(void **state)
{
    const struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    size_t size = 0;
    struct journal *journal = open_good(setting);
    segment_path_name(name, 1);
    full_turn(journal, 1);
    journal_close(journal);
    unsigned char *bytes = temp_file_read(setting->directory, name, &size);
    unsigned char *longer = malloc(size + 50000);
    uint32_t noise = 1;
    memcpy(longer, bytes, size);
    for (size_t i = 0; i < 50000; i++) {
        noise = noise * 1664525 + 1013904223;
        longer[size + i] = (unsigned char)(noise >> 24);
    }
    temp_file_write(setting->directory, name, longer, size + 50000);
    journal = open_good(setting);
    assert_int_equal(heard.count, 5);
    assert_int_equal(journal_bytes(journal), size);
    journal_close(journal);
    free(bytes);
    free(longer);
}

static void test_a_torn_new_segment_is_made_again(void **state)
{
    struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    unsigned char header[SEGMENT_HEADER_SIZE];
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    assert_int_equal(journal->segment_count, 2);
    journal_close(journal);
    journal_segment_header(header, &setting->config, 2, 0);
    segment_path_name(name, 2);
    for (size_t cut = 0; cut < sizeof header; cut++) {
        temp_file_write(setting->directory, name, header, cut);
        journal = open_good(setting);
        assert_int_equal(heard.count, 5);
        assert_int_equal(journal->segment_count, 2);
        journal_close(journal);
    }
}

/* --- damage ------------------------------------------------------------------------------------ */

/* Any flipped bit in a turn that a later turn follows is found and refuses the vote. */
static void test_a_flipped_bit_in_the_middle_is_damage(void **state)
{
    const struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    size_t size = 0;
    struct journal *journal = open_good(setting);
    segment_path_name(name, 1);
    full_turn(journal, 1);
    const size_t first_end = (size_t)journal_bytes(journal);
    full_turn(journal, 2);
    journal_close(journal);
    temp_dir_copy(setting->directory, setting->spare);
    unsigned char *bytes = temp_file_read(setting->directory, name, &size);
    for (size_t at = 0; at < first_end; at++) {
        temp_dir_copy(setting->spare, setting->directory);
        bytes[at] ^= (unsigned char)(1u << (at % 8));
        temp_file_write(setting->directory, name, bytes, size);
        bytes[at] ^= (unsigned char)(1u << (at % 8));
        journal = NULL;
        assert_int_equal(open_at(&journal, &setting->config), JOURNAL_DAMAGED);
        assert_non_null(journal);
        assert_true(problem[0] != '\0');
        /* It can be appended to, in a segment of its own, and stays damaged. */
        append_certificate(journal, 9);
        assert_true(journal_sync(journal));
        journal_prune(journal, 1000);
        journal_close(journal);
        assert_int_equal(open_at(&journal, &setting->config), JOURNAL_DAMAGED);
        journal_close(journal);
    }
    free(bytes);
}

static void test_damage_in_a_closed_segment_is_never_torn(void **state)
{
    struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    size_t size = 0;
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    segment_path_name(name, 1);
    full_turn(journal, 1);
    full_turn(journal, 2);
    journal_close(journal);
    unsigned char *bytes = temp_file_read(setting->directory, name, &size);
    temp_file_write(setting->directory, name, bytes, size - 1);
    free(bytes);
    assert_int_equal(open_at(&journal, &setting->config), JOURNAL_DAMAGED);
    journal_close(journal);
}

static void test_a_rolled_back_journal_is_noticed(void **state)
{
    const struct setting *setting = *state;
    size_t size = 0;
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    journal_close(journal);
    temp_dir_copy(setting->directory, setting->spare);
    journal = open_good(setting);
    append_vote(journal, VOTE_FINALIZE, 1); /* the same view: a later kind counts as later */
    assert_true(journal_sync(journal));
    journal_close(journal);
    /* The old journal comes back from a copy, sign-state does not. */
    unsigned char *sign = temp_file_read(setting->directory, "sign-state", &size);
    temp_dir_copy(setting->spare, setting->directory);
    temp_file_write(setting->directory, "sign-state", sign, size);
    free(sign);
    /* Still so after an observer has gone on in it. */
    for (size_t i = 0; i < 2; i++) {
        journal = NULL;
        assert_int_equal(open_at(&journal, &setting->config), JOURNAL_ROLLED_BACK);
        assert_non_null(journal);
        assert_int_equal(heard.count, 5 + i);
        append_certificate(journal, 9);
        assert_true(journal_sync(journal));
        journal_close(journal);
    }
}

static void test_a_missing_journal_is_noticed(void **state)
{
    struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    char path[TEMP_PATH_SIZE * 2];
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    full_turn(journal, 2);
    journal_close(journal);
    temp_dir_copy(setting->directory, setting->spare);
    /* A gap in the middle, the first one gone, all of them gone. */
    for (uint64_t gone = 1; gone <= 3; gone++) {
        temp_dir_copy(setting->spare, setting->directory);
        for (uint64_t number = 1; number <= 3; number++) {
            segment_path_name(name, number);
            (void)snprintf(path, sizeof path, "%s/%s", setting->directory, name);
            if (number == gone || gone == 3) {
                assert_int_equal(unlink(path), 0);
            }
        }
        assert_int_equal(open_at(&journal, &setting->config), JOURNAL_MISSING);
        assert_non_null(journal);
        journal_close(journal);
    }
    assert_int_equal(open_at(&journal, &setting->config), JOURNAL_ROLLED_BACK);
    journal_close(journal);
}

static void test_a_torn_sign_state_leaves_the_other_slot(void **state)
{
    const struct setting *setting = *state;
    size_t size = 0;
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    full_turn(journal, 2);
    journal_close(journal);
    unsigned char *good = temp_file_read(setting->directory, "sign-state", &size);
    for (size_t slot = 0; slot < 2; slot++) {
        unsigned char *torn = malloc(size);
        memcpy(torn, good, size);
        torn[slot * SIGN_STATE_SLOT_SIZE + 20] ^= 1;
        temp_file_write(setting->directory, "sign-state", torn, size);
        journal_close(open_good(setting));
        if (slot == 1) {
            torn[20] ^= 1;
            temp_file_write(setting->directory, "sign-state", torn, size);
            assert_int_equal(open_at(&journal, &setting->config), JOURNAL_DAMAGED);
            journal_close(journal);
        }
        free(torn);
    }
    free(good);
}

/* --- failing disks ------------------------------------------------------------------------------ */

static size_t writes_left;
static size_t bytes_left;
static const struct file_io *real;

static ssize_t counting_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (writes_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    writes_left--;
    return real->pwrite(fd, data, size, offset);
}

/* Writes up to so many bytes, then the power goes. */
static ssize_t cutting_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (bytes_left < size) {
        (void)real->pwrite(fd, data, bytes_left, offset);
        _exit(42);
    }
    bytes_left -= size;
    return real->pwrite(fd, data, size, offset);
}

/* As a signal or a nearly full disk may have it: less than was asked for. */
static ssize_t short_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return real->pwrite(fd, data, size > 100 ? 100 : size, offset);
}

static int failing_sync(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

static void replace_io(struct file_io *io)
{
    real = storage_file_io;
    *io = *real;
    storage_file_io = io;
}

static void child_full_disk(void *context)
{
    static struct file_io io;
    struct journal *journal = open_good(context);
    replace_io(&io);
    io.pwrite = counting_pwrite;
    full_turn(journal, 2);
}

static void child_failing_sync(void *context)
{
    static struct file_io io;
    struct journal *journal = open_good(context);
    replace_io(&io);
    io.fdatasync = failing_sync;
    full_turn(journal, 2);
}

static void child_failing_rotation(void *context)
{
    static struct file_io io;
    struct journal *journal = open_good(context);
    replace_io(&io);
    io.fsync = failing_sync;
    full_turn(journal, 2);
}

static void test_failing_writes_and_syncs_stop_the_process(void **state)
{
    struct setting *setting = *state;
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    append_vote(journal, VOTE_NOTARIZE, 1);
    assert_true(journal_sync(journal));
    journal_close(journal);
    temp_dir_copy(setting->directory, setting->spare);
    /* The records, sign-state, the next segment's header. */
    for (writes_left = 0; writes_left < 3; writes_left++) {
        temp_dir_copy(setting->spare, setting->directory);
        assert_int_equal(temp_fork(child_full_disk, setting), -SIGABRT);
    }
    assert_int_equal(temp_fork(child_failing_sync, setting), -SIGABRT);
    temp_dir_copy(setting->spare, setting->directory);
    assert_int_equal(temp_fork(child_failing_rotation, setting), -SIGABRT);
    journal = open_good(setting);
    journal_close(journal);
}

struct full_disk {
    uint32_t waits;      /* calls of the callback with a full disk */
    uint32_t waits_most; /* then there is room, or it gives up */
    uint32_t room;       /* calls that said there is room again */
    bool gives_up;
};

static bool on_full(void *context, bool full)
{
    struct full_disk *disk = context;
    if (!full) {
        disk->room++;
        return true;
    }
    if (++disk->waits == disk->waits_most) {
        writes_left = 1000;
        return !disk->gives_up;
    }
    return true;
}

static void append_turn(struct journal *journal, uint64_t view)
{
    append_block(journal, view, 40);
    append_vote(journal, VOTE_NOTARIZE, view);
    append_certificate(journal, view);
}

/* No room for the records, for sign-state, for the next segment's header: each is waited for, and then
 * everything is there. Given up, nothing that was synced before is lost, and the journal is sound. */
static void test_want_of_room_is_waited_for(void **state)
{
    struct setting *setting = *state;
    setting->config.segment_bytes = 512;
    for (size_t round = 0; round < 6; round++) {
        struct full_disk disk = {.waits_most = 3, .gives_up = round >= 3};
        struct file_io io;
        temp_dir_empty(setting->directory);
        struct journal *journal = open_good(setting);
        append_vote(journal, VOTE_NOTARIZE, 1);
        assert_true(journal_sync(journal));
        journal_on_full(journal, on_full, &disk);
        replace_io(&io);
        io.pwrite = counting_pwrite;
        writes_left = round % 3;
        append_turn(journal, 2);
        assert_int_equal(journal_sync(journal), !disk.gives_up);
        if (!disk.gives_up) {
            append_turn(journal, 3);
            assert_true(journal_sync(journal));
        } else {
            assert_false(journal_sync(journal));
        }
        storage_file_io = real;
        assert_int_equal(disk.waits, 3);
        assert_int_equal(disk.room, disk.gives_up ? 0 : 1);
        journal_close(journal);
        journal = open_good(setting);
        assert_int_equal(heard.count, !disk.gives_up ? 7 : round == 3 ? 1 : 4);
        append_vote(journal, VOTE_NULLIFY, 9);
        assert_true(journal_sync(journal));
        journal_close(journal);
    }
}

static void test_short_writes_are_completed(void **state)
{
    const struct setting *setting = *state;
    struct file_io io;
    struct journal *journal = open_good(setting);
    replace_io(&io);
    io.pwrite = short_pwrite;
    for (uint64_t view = 1; view <= 3; view++) {
        append_block(journal, view, 5000);
    }
    assert_true(journal_sync(journal));
    storage_file_io = real;
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard.count, 3);
    journal_close(journal);
}

static void child_power_cut(void *context)
{
    static struct file_io io;
    struct journal *journal = open_good(context);
    replace_io(&io);
    io.pwrite = cutting_pwrite;
    full_turn(journal, 2);
    full_turn(journal, 3);
}

/* The power goes after every k-th byte that is written: the process's own files at that moment. */
static void test_power_cuts_at_every_byte_of_two_turns(void **state)
{
    struct setting *setting = *state;
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    journal_close(journal);
    temp_dir_copy(setting->directory, setting->spare);
    int status = 42;
    for (bytes_left = 0; status == 42; bytes_left += 7) {
        temp_dir_copy(setting->spare, setting->directory);
        status = temp_fork(child_power_cut, setting);
        assert_true(status == 42 || status == 0);
        journal = open_good(setting);
        /* Five of each turn, and the peer's vote again in the segment that follows it. */
        assert_true(heard.count >= 5 + 1 && heard.count <= 15 + 3);
        assert_true(status == 42 || heard.count == 15 + 3);
        append_vote(journal, VOTE_NULLIFY, 9);
        assert_true(journal_sync(journal));
        journal_close(journal);
    }
    assert_true(bytes_left > 1500);
}

static void child_votes_in_a_refused_journal(void *context)
{
    const struct setting *setting = context;
    struct journal *journal = NULL;
    if (open_at(&journal, &setting->config) == JOURNAL_MISSING) {
        append_vote(journal, VOTE_NOTARIZE, 5);
    }
}

static void test_own_votes_in_a_refused_journal_are_our_bug(void **state)
{
    const struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    char path[TEMP_PATH_SIZE * 2];
    struct journal *journal = open_good(setting);
    full_turn(journal, 1);
    journal_close(journal);
    segment_path_name(name, 1);
    (void)snprintf(path, sizeof path, "%s/%s", setting->directory, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(temp_fork(child_votes_in_a_refused_journal, *state), -SIGABRT);
}

/* --- pruning ------------------------------------------------------------------------------------ */

static void test_pruning_keeps_what_is_above_the_floor(void **state)
{
    struct setting *setting = *state;
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    for (uint64_t view = 1; view <= 8; view++) {
        full_turn(journal, view); /* a segment each */
    }
    assert_int_equal(journal->segment_count, 9);
    const uint64_t before = journal_bytes(journal);
    journal_prune(journal, 5);
    assert_int_equal(journal->segment_count, 4);
    assert_true(journal_bytes(journal) < before);
    journal_prune(journal, 3); /* a lower floor changes nothing */
    assert_int_equal(journal->segment_count, 4);
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard.count, 15 + 4);
    assert_int_equal(heard.items[0].view, 5); /* the peer's vote before it, carried on */
    assert_int_equal(heard.items[1].view, 6);
    /* Everything is final, but the segment of the latest own vote stays. */
    journal_prune(journal, 100);
    assert_int_equal(journal->segment_count, 2);
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard.count, 5 + 2);
    assert_int_equal(heard.items[1].view, 8);
    full_turn(journal, 101);
    journal_prune(journal, 100);
    assert_int_equal(journal->segment_count, 2);
    journal_close(journal);
    journal_close(open_good(setting));
}

/* A crash between the note in sign-state and the deletion leaves segments that count no more. */
static void test_leftovers_of_a_prune_are_dropped(void **state)
{
    struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    size_t size = 0;
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    for (uint64_t view = 1; view <= 4; view++) {
        full_turn(journal, view);
    }
    segment_path_name(name, 2);
    unsigned char *second = temp_file_read(setting->directory, name, &size);
    journal_prune(journal, 3);
    journal_close(journal);
    temp_file_write(setting->directory, name, second, size);
    free(second);
    journal = open_good(setting);
    assert_int_equal(heard.count, 5 + 2);
    assert_int_equal(heard.items[1].view, 4);
    journal_close(journal);
}

static uint32_t heard_of_signer(uint8_t signer)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < heard.count; i++) {
        count += heard.items[i].type == JOURNAL_PEER_VOTE && heard.items[i].signer == signer;
    }
    return count;
}

/* J8: a validator that has said nothing for long, and whose disk is put back, is still told what it said. */
static void test_the_votes_of_others_outlive_their_segments(void **state)
{
    struct setting *setting = *state;
    char name[JOURNAL_NAME_SIZE];
    setting->config.segment_bytes = 512;
    struct journal *journal = open_good(setting);
    struct vote silent = make_vote(VOTE_FINALIZE, 1);
    silent.signer = 2;
    journal_append_peer_vote(journal, &silent);
    for (uint64_t view = 1; view <= 6; view++) {
        full_turn(journal, view);
        journal_prune(journal, view - 1);
    }
    assert_int_equal(journal->segment_count, 2);
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard_of_signer(2), 2);
    journal_close(journal);

    /* The power went after the head of a new segment: nothing is deleted before that has them. */
    segment_path_name(name, 7);
    size_t size = 0;
    unsigned char *bytes = temp_file_read(setting->directory, name, &size);
    temp_file_write(setting->directory, name, bytes, SEGMENT_HEADER_SIZE);
    free(bytes);
    journal = open_good(setting);
    assert_int_equal(heard_of_signer(2), 1);
    append_vote(journal, VOTE_NULLIFY, 7);
    assert_true(journal_sync(journal));
    journal_prune(journal, 100);
    assert_int_equal(journal->segment_count, 1);
    journal_close(journal);
    journal = open_good(setting);
    assert_int_equal(heard_of_signer(2), 1);
    journal_close(journal);
}

/* --- the checksum -------------------------------------------------------------------------------- */

static void test_the_checksum_is_crc64_xz(void **state)
{
    (void)state;
    /* The catalogue's check value for "123456789". */
    const uint64_t check = checksum_end(checksum_update(checksum_begin(), "123456789", 9));
    assert_true(check == UINT64_C(0x995DC9BBDF1939FA));
    const char text[] = "The same bytes in one piece or in many give the same sum.";
    const uint64_t whole = checksum_end(checksum_update(checksum_begin(), text, sizeof text));
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        const uint64_t first = checksum_update(checksum_begin(), text, cut);
        assert_true(checksum_end(checksum_update(first, text + cut, sizeof text - cut)) == whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_synced_records_come_back_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_blocks_fit_and_rotate_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_record_fails_the_opening, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_processes_never_share_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_chains_and_epochs_are_a_mismatch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_turn_is_cut_at_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_hole_in_the_last_turn_is_torn_not_damaged, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_garbage_behind_the_last_record_is_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_new_segment_is_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit_in_the_middle_is_damage, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damage_in_a_closed_segment_is_never_torn, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_rolled_back_journal_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_journal_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_sign_state_leaves_the_other_slot, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_failing_writes_and_syncs_stop_the_process, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_want_of_room_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_writes_are_completed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_power_cuts_at_every_byte_of_two_turns, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_own_votes_in_a_refused_journal_are_our_bug, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_pruning_keeps_what_is_above_the_floor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_leftovers_of_a_prune_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_votes_of_others_outlive_their_segments, setup,
                                        teardown),
        cmocka_unit_test(test_the_checksum_is_crc64_xz),
    };
    log_open(stderr, "test", LOG_BROKEN, false);
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
