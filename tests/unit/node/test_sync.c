/* The machine of state sync against peers of every kind, on virtual time: it ends with the honest ones'
 * snapshot, whoever lies is struck by its own index and nobody else is, and what is on disk is taken up
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/sync.h"
#include "storage/store_check.h"
#include "storage/store_internal.h"
#include "tests/lib/node/snapshot_world.h"
#include "tests/lib/temp_dir.h"

enum { PEERS = 6, ANSWERS_MAX = 64, STEP_MS = 50 };

enum persona {
    HONEST,
    DOWN,
    FLIPS,     /* one bit of each chunk */
    FLIPS_ALL, /* one bit of whatever part */
    CUTS,
    SILENT,    /* takes requests and says nothing: dripping looks the same from here */
    GONE,      /* offers, and then has nothing: "height high, then low" */
    BUSY,      /* for ever */
    EMPTY,     /* has none */
    HIGH,      /* offers a height that nobody has, and serves the true manifest for it */
    OTHER,     /* another chain's history of the same height */
    MALFORMED, /* offers that are none */
    FLOODS,    /* parts that nobody asked for */
    PUTS_OFF,  /* offers what nobody else has, and is busy when asked for it, for ever */
    WITHDRAWS, /* the same, but says that it is gone, and offers it again */
    ENDLESS    /* a manifest whose chunks never end the key space */
};

struct answer {
    uint32_t peer;
    uint8_t *bytes;
    size_t size;
};

struct setting {
    char store[TEMP_PATH_SIZE];
    char snapshots[TEMP_PATH_SIZE];
    char other_store[TEMP_PATH_SIZE];
    char other_snapshots[TEMP_PATH_SIZE];
    char target[TEMP_PATH_SIZE];
    char incoming[SNAPSHOT_PATH_SIZE];
    struct snapshot_world world;
    struct snapshot_world other;
    struct snapshot_offer offer;
    struct snapshot_offer other_offer;
    struct p2p_peer_config peers[PEERS];
    enum persona personas[PEERS];
    bool struck[PEERS];
    struct answer answers[ANSWERS_MAX];
    uint32_t answer_count;
    uint64_t now_ms;
    uint64_t parts_asked[PEERS];
    struct sync *sync;
};

/* --- the peers ------------------------------------------------------------------------------------ */

static void answer(struct setting *setting, uint32_t peer, const struct byte_writer *writer)
{
    assert_true(setting->answer_count < ANSWERS_MAX);
    assert_false(writer->failed);
    struct answer *slot = &setting->answers[setting->answer_count++];
    slot->peer = peer;
    slot->size = writer->size;
    slot->bytes = malloc(writer->size + 1);
    memcpy(slot->bytes, writer->data, writer->size);
}

static uint8_t frame_bytes[LIMIT_FRAME_BYTES];

static void answer_part(struct setting *setting, uint32_t peer, const struct snapshot_part *part)
{
    struct byte_writer writer;
    byte_writer_init(&writer, frame_bytes, sizeof frame_bytes);
    snapshot_encode_part(&writer, part);
    answer(setting, peer, &writer);
}

static void offer(struct setting *setting, uint32_t peer)
{
    struct byte_writer writer;
    struct snapshot_offers offers = {.count = 1, .offers = {setting->offer}};
    const enum persona persona = setting->personas[peer];
    byte_writer_init(&writer, frame_bytes, sizeof frame_bytes);
    if (persona == EMPTY) {
        offers.count = 0;
    } else if (persona == HIGH) {
        offers.offers[0].height = UINT64_MAX / 3;
    } else if (persona == OTHER) {
        offers.offers[0] = setting->other_offer;
    } else if (persona == ENDLESS || persona == PUTS_OFF || persona == WITHDRAWS) {
        memset(offers.offers[0].id.bytes, 9, HASH_SIZE);
        offers.offers[0].height++;
    }
    snapshot_encode_offers(&writer, &offers);
    if (persona == MALFORMED) {
        writer.size--;
    }
    answer(setting, peer, &writer);
}

/* The true part, or the other chain's; malloc'ed. */
static struct bytes_view read_part(const struct setting *setting, uint32_t peer,
                                   const struct snapshot_wanted *wanted)
{
    const bool other = setting->personas[peer] == OTHER;
    char path[SNAPSHOT_PATH_SIZE];
    struct bytes_view bytes;
    assert_true(snapshot_height_path(path, other ? setting->other_snapshots : setting->snapshots,
                                     other ? setting->other_offer.height : setting->offer.height));
    assert_int_equal(snapshot_part_read(path, wanted->kind, wanted->index, &bytes),
                     SNAPSHOT_READ_OK);
    return bytes;
}

static void spoil(const struct setting *setting, uint32_t peer, struct snapshot_part *part,
                  uint8_t *copy)
{
    const enum persona persona = setting->personas[peer];
    if (persona == FLIPS_ALL || (persona == FLIPS && part->of.kind == SNAPSHOT_CHUNK)) {
        copy[setting->now_ms % part->bytes.size] ^= 0x10;
    } else if (persona == CUTS) {
        part->bytes.size -= 1 + setting->now_ms % (part->bytes.size - 1);
    } else if (persona == ENDLESS && part->of.kind == SNAPSHOT_MANIFEST) {
        /* The depth of the first chunk, behind version, genesis, header, peaks and count. */
        const size_t at = 4 + HASH_SIZE + BLOCK_HEADER_SIZE +
                          HASH_SIZE * (size_t)__builtin_popcountll(setting->offer.height) + 4;
        copy[at] = 40;
    }
}

static void serve(struct setting *setting, uint32_t peer, const struct snapshot_wanted *wanted)
{
    struct snapshot_part part = {.of = *wanted};
    const enum persona persona = setting->personas[peer];
    setting->parts_asked[peer]++;
    if (persona == SILENT) {
        return;
    }
    if (persona == BUSY || persona == GONE || persona == PUTS_OFF || persona == WITHDRAWS) {
        part.answer = persona == BUSY || persona == PUTS_OFF ? SNAPSHOT_BUSY : SNAPSHOT_GONE;
        answer_part(setting, peer, &part);
        return;
    }
    const struct bytes_view bytes = read_part(setting, peer, wanted);
    uint8_t *copy = malloc(bytes.size);
    memcpy(copy, bytes.data, bytes.size);
    part.bytes = bytes_view_of(copy, bytes.size);
    spoil(setting, peer, &part, copy);
    answer_part(setting, peer, &part);
    if (persona == FLOODS) {
        part.of.kind = SNAPSHOT_CHUNK;
        part.of.index = SNAPSHOT_CHUNKS_MAX - 1;
        for (int i = 0; i < 3; i++) {
            answer_part(setting, peer, &part);
        }
    }
    free(copy);
    snapshot_bytes_free(bytes);
}

/* Struck for being slow, these link up again. */
static bool comes_back(enum persona persona)
{
    return persona == SILENT || persona == PUTS_OFF || persona == WITHDRAWS;
}

static void net_send(void *context, uint32_t peer, struct bytes_view frame)
{
    struct setting *setting = context;
    struct snapshot_wanted wanted;
    if (setting->struck[peer] && comes_back(setting->personas[peer])) {
        return; /* its link is just going down */
    }
    assert_false(setting->struck[peer]);
    if (frame.data[0] == MESSAGE_GET_SNAPSHOTS) {
        assert_int_equal(frame.size, 1);
        offer(setting, peer);
        return;
    }
    assert_int_equal(frame.data[0], MESSAGE_GET_SNAPSHOT_PART);
    assert_true(snapshot_decode_wanted(&wanted, bytes_view_of(frame.data + 1, frame.size - 1)));
    serve(setting, peer, &wanted);
}

/* As p2p does it: the link drops; it comes back for those who may. */
static void net_strike(void *context, uint32_t peer, const char *why)
{
    struct setting *setting = context;
    assert_true(why[0] != '\0');
    setting->struck[peer] = true;
}

/* --- running ------------------------------------------------------------------------------------- */

static void start(struct setting *setting)
{
    char problem[SNAPSHOT_PROBLEM_SIZE];
    const struct sync_config config = {.genesis = &setting->world.genesis,
                                       .directory = setting->incoming,
                                       .peer_count = PEERS,
                                       .peers = setting->peers,
                                       .net = {setting, net_send, net_strike}};
    setting->sync = sync_create(&config, problem);
    assert_non_null(setting->sync);
    for (uint32_t peer = 0; peer < PEERS; peer++) {
        setting->struck[peer] = false;
        if (setting->personas[peer] != DOWN) {
            sync_link(setting->sync, peer, true, setting->now_ms);
        }
    }
}

static void deliver(struct setting *setting)
{
    struct answer answers[ANSWERS_MAX];
    const uint32_t count = setting->answer_count;
    memcpy(answers, setting->answers, sizeof answers);
    setting->answer_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!setting->struck[answers[i].peer]) {
            sync_frame(setting->sync, answers[i].peer,
                       bytes_view_of(answers[i].bytes, answers[i].size), setting->now_ms);
        }
        free(answers[i].bytes);
    }
}

static enum sync_state run(struct setting *setting, uint64_t seconds, uint32_t parts)
{
    enum sync_state state = SYNC_FETCHES;
    struct sync_progress progress;
    const uint64_t until_ms = setting->now_ms + seconds * 1000;
    while (state == SYNC_FETCHES && setting->now_ms < until_ms) {
        setting->now_ms += STEP_MS;
        for (uint32_t peer = 0; peer < PEERS; peer++) {
            if (setting->struck[peer] && comes_back(setting->personas[peer])) {
                setting->struck[peer] = false; /* the link came back; the machine knows better */
                sync_link(setting->sync, peer, false, setting->now_ms);
                sync_link(setting->sync, peer, true, setting->now_ms);
            }
        }
        deliver(setting);
        state = sync_step(setting->sync, setting->now_ms);
        sync_progress(setting->sync, &progress);
        if (parts != 0 && progress.parts_here >= parts) {
            break;
        }
    }
    return state;
}

static void stop(struct setting *setting)
{
    sync_destroy(setting->sync);
    setting->sync = NULL;
    for (uint32_t i = 0; i < setting->answer_count; i++) {
        free(setting->answers[i].bytes);
    }
    setting->answer_count = 0;
}

static void check_store(struct setting *setting, struct store_check_report *report)
{
    struct snapshot_trust trust;
    assert_true(snapshot_trust_begin(&trust, &setting->world.genesis));
    const struct store_check_config config = {
        .directory = setting->target, .genesis = setting->world.genesis_hash, .set = &trust.set};
    assert_int_equal(store_check(report, &config), STORE_OK);
}

/* Another log below the floor, under a right checksum. */
static void forge_frontier(struct setting *setting)
{
    uint8_t bytes[STORE_FRONTIER_BYTES_MAX];
    struct merkle_frontier log = setting->world.log_before_tip;
    struct byte_writer writer;
    MDB_txn *txn = NULL;
    log.peaks[0].bytes[3] ^= 1;
    byte_writer_init(&writer, bytes, sizeof bytes);
    store_frontier_write(&writer, &log);
    struct store *store = snapshot_world_empty_store(&setting->world, setting->target);
    assert_int_equal(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    assert_int_equal(store_put(txn, store->tables[TABLE_META], store_frontier_key,
                               bytes_view_of(bytes, writer.size), bytes_view_of(NULL, 0), 0),
                     0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_close(store);
}

/* What was loaded is sound; a log below the floor that is not the headers' is found. */
static void check_installed(struct setting *setting)
{
    struct store_check_report report;
    check_store(setting, &report);
    assert_string_equal(report.finding[0], "");
    forge_frontier(setting);
    check_store(setting, &report);
    assert_non_null(strstr(report.finding[0], "its history log is not that of the blocks below"));
}

static void assert_installs(struct setting *setting)
{
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    struct store *store = snapshot_world_empty_store(&setting->world, setting->target);
    if (!sync_install(setting->incoming, &setting->world.genesis, store, problem)) {
        fail_msg("%s", problem);
    }
    assert_memory_equal(&store_tip(store)->state_root, &store_tip(setting->world.store)->state_root,
                        HASH_SIZE);
    store_close(store);
    check_installed(setting);
    temp_dir_empty(setting->target);
}

static void make_snapshot(struct snapshot_world *world, const char *directory,
                          struct snapshot_offer *offered)
{
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    char path[SNAPSHOT_PATH_SIZE];
    struct snapshot_manifest manifest;
    struct bytes_view bytes;
    if (!snapshot_world_make(world, directory, &offered->height, problem)) {
        fail_msg("%s", problem);
    }
    assert_true(snapshot_height_path(path, directory, offered->height));
    assert_true(snapshot_manifest_load(&manifest, &bytes, path, problem));
    assert_true(manifest.chunk_count >= 8);
    offered->id = manifest.id;
    snapshot_bytes_free(bytes);
}

static int setup(void **state)
{
    struct setting *setting = calloc(1, sizeof *setting);
    temp_dir_make(setting->store);
    temp_dir_make(setting->snapshots);
    temp_dir_make(setting->other_store);
    temp_dir_make(setting->other_snapshots);
    temp_dir_make(setting->target);
    assert_true(snapshot_path(setting->incoming, setting->snapshots, "incoming"));
    snapshot_world_open(&setting->world, setting->store, 1);
    snapshot_world_open(&setting->other, setting->other_store, 2);
    for (int i = 0; i < 3; i++) {
        snapshot_world_block(&setting->world, 150, 4000, i == 1, true);
        snapshot_world_block(&setting->other, 150, 4000, i == 1, true);
    }
    make_snapshot(&setting->world, setting->snapshots, &setting->offer);
    make_snapshot(&setting->other, setting->other_snapshots, &setting->other_offer);
    for (uint32_t peer = 0; peer < PEERS; peer++) {
        memset(setting->peers[peer].key.bytes, (int)peer + 1, PUBLIC_KEY_SIZE);
        setting->personas[peer] = DOWN;
    }
    setting->now_ms = 1000000;
    *state = setting;
    return 0;
}

static int teardown(void **state)
{
    struct setting *setting = *state;
    stop(setting);
    snapshot_world_close(&setting->world);
    snapshot_world_close(&setting->other);
    (void)snapshot_remove(setting->incoming);
    assert_true(snapshot_retire(setting->snapshots, setting->offer.height));
    assert_true(snapshot_retire(setting->other_snapshots, setting->other_offer.height));
    temp_dir_remove(setting->store);
    temp_dir_remove(setting->snapshots);
    temp_dir_remove(setting->other_store);
    temp_dir_remove(setting->other_snapshots);
    temp_dir_remove(setting->target);
    free(setting);
    return 0;
}

/* --- tests ----------------------------------------------------------------------------------------- */

static void test_honest_peers_share_the_work(void **state)
{
    struct setting *setting = *state;
    setting->personas[0] = setting->personas[1] = setting->personas[2] = HONEST;
    start(setting);
    assert_int_equal(run(setting, 60, 0), SYNC_COMPLETE);
    for (uint32_t peer = 0; peer < 3; peer++) {
        assert_true(setting->parts_asked[peer] >= 2);
        assert_false(setting->struck[peer]);
    }
    assert_installs(setting);
}

static void test_each_liar_is_struck_and_nobody_else(void **state)
{
    struct setting *setting = *state;
    static const enum persona liars[] = {FLIPS, FLIPS_ALL, CUTS, MALFORMED, FLOODS};
    for (size_t i = 0; i < sizeof liars / sizeof liars[0]; i++) {
        setting->personas[0] = liars[i];
        setting->personas[1] = HONEST;
        start(setting);
        assert_int_equal(run(setting, 120, 0), SYNC_COMPLETE);
        assert_true(setting->struck[0]);
        assert_false(setting->struck[1]);
        assert_installs(setting);
        stop(setting);
        assert_true(snapshot_remove(setting->incoming));
    }
}

static void test_false_offers_lead_nowhere(void **state)
{
    struct setting *setting = *state;
    static const enum persona liars[] = {HIGH, OTHER, ENDLESS};
    for (size_t i = 0; i < sizeof liars / sizeof liars[0]; i++) {
        /* Two of them together look well attested; they are found out one by one. */
        setting->personas[0] = setting->personas[1] = liars[i];
        setting->personas[2] = HONEST;
        start(setting);
        assert_int_equal(run(setting, 120, 0), SYNC_COMPLETE);
        assert_false(setting->struck[2]);
        assert_installs(setting);
        stop(setting);
        assert_true(snapshot_remove(setting->incoming));
    }
}

static void test_the_slow_and_the_absent_do_not_hold_it_up(void **state)
{
    struct setting *setting = *state;
    setting->personas[0] = SILENT;
    setting->personas[1] = GONE;
    setting->personas[2] = BUSY;
    setting->personas[3] = EMPTY;
    setting->personas[4] = HONEST;
    start(setting);
    assert_int_equal(run(setting, 120, 0), SYNC_COMPLETE);
    assert_false(setting->struck[1] || setting->struck[2] || setting->struck[3] ||
                 setting->struck[4]);
    assert_installs(setting);
}

/* The first peer to link up is the only one to choose from; its offer leads nowhere, and no part of it
 * is ever false or late. */
static void test_an_offer_that_is_put_off_for_ever_is_given_up(void **state)
{
    struct setting *setting = *state;
    static const enum persona liars[] = {PUTS_OFF, WITHDRAWS};
    for (size_t i = 0; i < sizeof liars / sizeof liars[0]; i++) {
        struct sync_progress progress;
        setting->personas[0] = liars[i];
        setting->personas[1] = DOWN;
        start(setting);
        assert_int_equal(run(setting, 5, 0), SYNC_FETCHES);
        sync_progress(setting->sync, &progress);
        assert_int_equal(progress.height, setting->offer.height + 1);
        setting->personas[1] = HONEST;
        sync_link(setting->sync, 1, true, setting->now_ms);
        assert_int_equal(run(setting, 600, 0), SYNC_COMPLETE);
        sync_progress(setting->sync, &progress);
        assert_int_equal(progress.peers_out, 1);
        assert_false(setting->struck[1]);
        assert_installs(setting);
        stop(setting);
        assert_true(snapshot_remove(setting->incoming));
    }
}

/* Asked so many times and not once more. */
static void test_who_never_delivers_is_left_out(void **state)
{
    struct setting *setting = *state;
    struct sync_progress progress;
    setting->personas[0] = SILENT;
    start(setting);
    assert_int_equal(run(setting, 600, 0), SYNC_FETCHES);
    assert_int_equal(setting->parts_asked[0], SYNC_SLOW_MAX);
    sync_progress(setting->sync, &progress);
    assert_int_equal(progress.peers_out, 1);
}

static void test_none_is_believed_when_all_say_so(void **state)
{
    struct setting *setting = *state;
    setting->personas[0] = setting->personas[1] = EMPTY;
    start(setting);
    const uint64_t began_ms = setting->now_ms;
    assert_int_equal(run(setting, 60, 0), SYNC_NONE);
    assert_true(setting->now_ms - began_ms >= SYNC_NONE_MS);
    stop(setting);
    /* Nobody is up: nothing is known, and it waits. */
    setting->personas[0] = setting->personas[1] = DOWN;
    start(setting);
    assert_int_equal(run(setting, 600, 0), SYNC_FETCHES);
}

static void test_it_goes_on_where_it_was(void **state)
{
    struct setting *setting = *state;
    struct sync_progress progress;
    setting->personas[0] = HONEST;
    start(setting);
    assert_int_equal(run(setting, 60, 7), SYNC_FETCHES);
    sync_progress(setting->sync, &progress);
    const uint32_t here = progress.parts_here;
    stop(setting);
    /* One of the files is damaged meanwhile: it alone is fetched again. */
    size_t size = 0;
    unsigned char *file = temp_file_read(setting->incoming, "chunk-00001", &size);
    file[size / 2] ^= 1;
    temp_file_write(setting->incoming, "chunk-00001", file, size);
    free(file);
    start(setting);
    sync_progress(setting->sync, &progress);
    assert_int_equal(progress.parts_here, here - 1);
    const uint64_t asked = setting->parts_asked[0];
    assert_int_equal(run(setting, 60, 0), SYNC_COMPLETE);
    assert_int_equal(setting->parts_asked[0] - asked, progress.parts - (here - 1));
    assert_installs(setting);
}

static void test_a_snapshot_that_nobody_has_any_more_is_given_up(void **state)
{
    struct setting *setting = *state;
    struct sync_progress progress;
    setting->personas[0] = HONEST;
    start(setting);
    assert_int_equal(run(setting, 60, 5), SYNC_FETCHES);
    stop(setting);
    const struct snapshot_offer old = setting->offer;
    snapshot_world_block(&setting->world, 10, 400, false, true);
    make_snapshot(&setting->world, setting->snapshots, &setting->offer);
    assert_true(setting->offer.height > old.height);
    assert_true(snapshot_retire(setting->snapshots, old.height));
    start(setting);
    sync_progress(setting->sync, &progress);
    assert_int_equal(progress.height, old.height);
    assert_int_equal(run(setting, 120, 0), SYNC_COMPLETE);
    sync_progress(setting->sync, &progress);
    assert_int_equal(progress.height, setting->offer.height);
    assert_installs(setting);
}

static void test_messages_lead_back(void **state)
{
    (void)state;
    uint8_t bytes[512];
    struct byte_writer writer;
    struct snapshot_offers offers = {.count = 2, .offers = {{7, {{1}}}, {9, {{2}}}}};
    struct snapshot_offers offers_again;
    struct snapshot_part part = {.of = {{{3}}, SNAPSHOT_EPOCH, 5},
                                 .answer = SNAPSHOT_HERE,
                                 .bytes = bytes_view_of("abc", 3)};
    struct snapshot_part part_again;
    struct snapshot_wanted wanted;
    uint64_t height = 0;
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_offers(&writer, &offers);
    for (size_t size = 0; size < writer.size - 1; size++) {
        assert_false(snapshot_decode_offers(&offers_again, bytes_view_of(bytes + 1, size)));
    }
    assert_true(snapshot_decode_offers(&offers_again, bytes_view_of(bytes + 1, writer.size - 1)));
    assert_memory_equal(&offers, &offers_again, sizeof offers);
    bytes[1 + 4 + 7] = 9; /* the first height as high as the second */
    assert_false(snapshot_decode_offers(&offers_again, bytes_view_of(bytes + 1, writer.size - 1)));
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_part(&writer, &part);
    assert_true(snapshot_decode_part(&part_again, bytes_view_of(bytes + 1, writer.size - 1)));
    assert_true(bytes_view_equal(part_again.bytes, part.bytes));
    assert_false(snapshot_decode_part(&part_again, bytes_view_of(bytes + 1, writer.size - 4)));
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_wanted(&writer, &part.of);
    assert_true(snapshot_decode_wanted(&wanted, bytes_view_of(bytes + 1, writer.size - 1)));
    assert_int_equal(wanted.index, 5);
    bytes[1 + HASH_SIZE] = SNAPSHOT_PART_KINDS;
    assert_false(snapshot_decode_wanted(&wanted, bytes_view_of(bytes + 1, writer.size - 1)));
    byte_writer_init(&writer, bytes, sizeof bytes);
    snapshot_encode_pruned(&writer, 77);
    assert_true(snapshot_decode_pruned(&height, bytes_view_of(bytes + 1, writer.size - 1)));
    assert_int_equal(height, 77);
    assert_false(snapshot_decode_pruned(&height, bytes_view_of(bytes + 1, writer.size - 2)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_honest_peers_share_the_work),
        TEST(test_each_liar_is_struck_and_nobody_else),
        TEST(test_false_offers_lead_nowhere),
        TEST(test_the_slow_and_the_absent_do_not_hold_it_up),
        TEST(test_an_offer_that_is_put_off_for_ever_is_given_up),
        TEST(test_who_never_delivers_is_left_out),
        TEST(test_none_is_believed_when_all_say_so),
        TEST(test_it_goes_on_where_it_was),
        TEST(test_a_snapshot_that_nobody_has_any_more_is_given_up),
        cmocka_unit_test(test_messages_lead_back),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
