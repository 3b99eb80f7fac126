/* Checking a store at rest, on a real chain: sound stores are good; whatever a flipped bit does is found,
 * or has changed nothing that can be read; records that were forged under right checksums are found by
 * what they are bound to; and a store that a start would accept gives right answers or none.
 * FLIPS=n tries n random bits instead of 300. */
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "base/log.h"
#include "storage/checksum.h"
#include "storage/store_check.h"
#include "storage/store_internal.h"
#include "tests/lib/node/chain_world.h"
#include "tests/lib/random.h"
#include "tests/lib/temp_dir.h"

enum { HEIGHTS = 24, BUSY_HEIGHT = 5, BUSY_TX = 24, RECORDS_MAX = 4096, FLIPS_DEFAULT = 300 };

/* A copy of one record, for comparing. */
struct record {
    int table;
    struct hash content; /* of key and value */
};

struct setting {
    char good[TEMP_PATH_SIZE]; /* never changed */
    char directory[TEMP_PATH_SIZE];
    struct store_config config;
    struct genesis genesis;
    struct validator_set set;
    struct hash tx_ids[HEIGHTS + BUSY_TX];
    uint32_t tx_count;
    struct record *records;
    uint32_t record_count;
    unsigned char *file; /* data.mdb of the good store */
    size_t file_size;
};

/* --- a chain ------------------------------------------------------------------------------------- */

static void certify(const struct setting *setting, struct certificate *out,
                    const struct block_header *header)
{
    struct hash message;
    memset(out, 0, sizeof *out);
    out->kind = VOTE_FINALIZE;
    out->epoch = header->epoch;
    out->view = header->view;
    out->block_id = world_id(header);
    vote_message(&message, &setting->config.genesis, VOTE_FINALIZE, out->epoch, out->view,
                 &out->block_id);
    for (uint32_t signer = 0; signer < 3; signer++) {
        for (int number = 1; number <= 4; number++) {
            struct secret_key seed;
            struct public_key key;
            memset(seed.bytes, number, sizeof seed.bytes);
            ed25519_public_key(&key, &seed);
            if (public_key_equal(&key, &setting->set.validators[signer].key)) {
                out->entries[out->count].signer = (uint8_t)signer;
                ed25519_sign(&out->entries[out->count++].signature, &seed, &message);
            }
        }
    }
}

static void submit(struct setting *setting, struct mempool *mempool, const struct world_tx *tx)
{
    assert_int_equal(mempool_add(mempool, &tx->transaction), CONTRACT_OK);
    setting->tx_ids[setting->tx_count++] = tx->transaction.id;
}

static void make_chain(struct setting *setting)
{
    const struct mempool_limits limits = {0, 0};
    struct mempool *mempool = mempool_create(&limits);
    struct store *store = NULL;
    char problem[160];
    uint64_t nonce = 1;
    assert_int_equal(store_open(&store, &setting->config), STORE_OK);
    const struct chain_backend backend = chain_backend_of_store(store);
    struct chain *chain = chain_open(&setting->genesis, &backend, problem);
    assert_non_null(chain);
    for (uint64_t height = 1; height <= HEIGHTS; height++) {
        struct world_tx tx;
        struct certificate certificate;
        const uint64_t wanted = height == BUSY_HEIGHT ? BUSY_TX : 1;
        for (uint64_t i = 0; i < wanted; i++) {
            world_mint(&tx, nonce, nonce % 3 == 0 ? "alice" : "bob", 1000 + (int64_t)nonce);
            submit(setting, mempool, &tx);
            nonce++;
        }
        const struct block_header header = world_build(chain, mempool, NULL, 2 * height);
        certify(setting, &certificate, &header);
        assert_int_equal(chain_commit(chain, &header, height % 3 == 0 ? NULL : &certificate),
                         STORE_OK);
        chain_tell_mempool(chain, mempool);
    }
    chain_close(chain);
    store_close(store);
    mempool_destroy(mempool);
}

/* --- reading it all, apart from the product's reader ----------------------------------------------- */

static void take_table(MDB_txn *txn, int table, struct record *out, uint32_t *count)
{
    MDB_dbi dbi;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    if (mdb_dbi_open(txn, store_table_name((enum store_table)table), 0, &dbi) != MDB_SUCCESS ||
        mdb_cursor_open(txn, dbi, &cursor) != MDB_SUCCESS) {
        return;
    }
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS && *count < RECORDS_MAX) {
        struct record *record = &out[(*count)++];
        record->table = table;
        hash_pair(&record->content, HASH_DOMAIN_READING, bytes_view_of(key.mv_data, key.mv_size),
                  bytes_view_of(value.mv_data, value.mv_size));
    }
    mdb_cursor_close(cursor);
}

static uint32_t take_all(const char *directory, struct record *out)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    uint32_t count = 0;
    MUST(mdb_env_create(&env) == MDB_SUCCESS && mdb_env_set_maxdbs(env, 16) == MDB_SUCCESS);
    MUST(mdb_env_set_mapsize(env, (size_t)1 << 30) == MDB_SUCCESS);
    MUST(mdb_env_open(env, directory, MDB_RDONLY | MDB_NOLOCK, 0600) == MDB_SUCCESS);
    MUST(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == MDB_SUCCESS);
    for (int table = 0; table < STORE_TABLES; table++) {
        take_table(txn, table, out, &count);
    }
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return count;
}

static void child_compares(void *context)
{
    const struct setting *setting = context;
    struct record *found = calloc(RECORDS_MAX, sizeof *found);
    const uint32_t count = take_all(setting->directory, found);
    _exit(count == setting->record_count &&
                  memcmp(found, setting->records, count * sizeof *found) == 0
              ? 0
              : 1);
}

/* Changes one record under a right checksum, or removes it (value.data NULL). */
static void forge(const struct setting *setting, enum store_table table, struct bytes_view key,
                  struct bytes_view value)
{
    struct store *store = NULL;
    MDB_txn *txn = NULL;
    assert_int_equal(store_open(&store, &setting->config), STORE_OK);
    assert_int_equal(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    MDB_val at = store_val(key);
    assert_int_equal(value.data != NULL ? store_put(txn, store->tables[table], key, value,
                                                    bytes_view_of(NULL, 0), 0)
                                        : mdb_del(txn, store->tables[table], &at, NULL),
                     0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_close(store);
}

/* --- life ------------------------------------------------------------------------------------------ */

static int setup(void **state)
{
    struct setting *setting = calloc(1, sizeof *setting);
    temp_dir_make(setting->good);
    temp_dir_make(setting->directory);
    world_genesis(&setting->genesis);
    setting->config = (struct store_config){.directory = setting->good,
                                            .map_bytes = (size_t)64 << 20,
                                            .genesis = world_genesis_id(),
                                            .disk_reserve = 1 << 20};
    setting->set.count = setting->genesis.params.validator_count;
    for (uint32_t i = 0; i < setting->set.count; i++) {
        setting->set.validators[i].key = setting->genesis.params.validators[i].key;
        setting->set.validators[i].operator_name =
            setting->genesis.params.validators[i].operator_name;
    }
    make_chain(setting);
    setting->records = calloc(RECORDS_MAX, sizeof *setting->records);
    setting->record_count = take_all(setting->good, setting->records);
    setting->file = temp_file_read(setting->good, "data.mdb", &setting->file_size);
    setting->config.directory = setting->directory;
    *state = setting;
    return 0;
}

static int teardown(void **state)
{
    struct setting *setting = *state;
    temp_dir_remove(setting->good);
    temp_dir_remove(setting->directory);
    free(setting->records);
    free(setting->file);
    free(setting);
    return 0;
}

static enum store_result check(const struct setting *setting, struct store_check_report *report,
                               bool quick)
{
    const struct store_check_config config = {.directory = setting->directory,
                                              .genesis = setting->config.genesis,
                                              .set = &setting->set,
                                              .quick = quick};
    return store_check(report, &config);
}

static void restore(const struct setting *setting)
{
    temp_dir_copy(setting->good, setting->directory);
}

/* --- sound stores ---------------------------------------------------------------------------------- */

static void test_a_sound_store_is_good(void **state)
{
    struct setting *setting = *state;
    struct store_check_report report;
    restore(setting);
    assert_int_equal(check(setting, &report, false), STORE_OK);
    assert_string_equal(report.finding[0], "");
    assert_int_equal(report.findings, 0);
    assert_int_equal(report.stage, STORE_CHECK_STATE);
    assert_int_equal(report.blocks, HEIGHTS);
    assert_int_equal(report.certificates, HEIGHTS - HEIGHTS / 3);
    assert_int_equal(report.transactions, setting->tx_count);
    assert_int_equal(report.records, setting->record_count);
    assert_true(report.tree_nodes >= report.state_records && report.state_records > 20);
    assert_int_equal(check(setting, &report, true), STORE_OK);
    assert_int_equal(report.findings, 0);
    assert_int_equal(report.stage, STORE_CHECK_PAGES);
    /* Nothing was written. */
    size_t size = 0;
    unsigned char *after = temp_file_read(setting->directory, "data.mdb", &size);
    assert_int_equal(size, setting->file_size);
    assert_memory_equal(after, setting->file, size);
    free(after);
}

static void test_a_pruned_store_is_good(void **state)
{
    struct setting *setting = *state;
    struct store_check_report report;
    struct store *store = NULL;
    bool more = false;
    restore(setting);
    assert_int_equal(store_open(&store, &setting->config), STORE_OK);
    assert_int_equal(store_prune(store, 10, &more), STORE_OK);
    store_close(store);
    assert_int_equal(check(setting, &report, false), STORE_OK);
    assert_string_equal(report.finding[0], "");
    assert_int_equal(report.stage, STORE_CHECK_STATE);
    assert_int_equal(report.blocks, HEIGHTS);
    assert_int_equal(report.transactions, HEIGHTS - 9);
}

static void test_who_may_check(void **state)
{
    struct setting *setting = *state;
    struct store_check_report report;
    struct store *store = NULL;
    restore(setting);
    assert_int_equal(store_open(&store, &setting->config), STORE_OK);
    assert_int_equal(check(setting, &report, false), STORE_LOCKED);
    store_close(store);
    temp_dir_empty(setting->directory);
    assert_int_equal(check(setting, &report, false), STORE_ABSENT);
    temp_file_write(setting->directory, "data.mdb", "This is no database at all.", 27);
    assert_int_equal(check(setting, &report, false), STORE_OK);
    assert_int_equal(report.findings, 1);
    restore(setting);
    setting->config.genesis.bytes[0] ^= 1;
    assert_int_equal(check(setting, &report, false), STORE_OK);
    assert_non_null(strstr(report.finding[0], "another chain"));
    setting->config.genesis.bytes[0] ^= 1;
}

/* --- flipped bits ---------------------------------------------------------------------------------- */

static void flip(struct setting *setting, size_t bit)
{
    setting->file[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    temp_file_write(setting->directory, "data.mdb", setting->file, setting->file_size);
    setting->file[bit / 8] ^= (unsigned char)(1u << (bit % 8));
}

/* True if the check finds it; if not, LMDB must read every record as before. */
static bool is_found(struct setting *setting, size_t bit)
{
    struct store_check_report report;
    flip(setting, bit);
    assert_int_equal(check(setting, &report, false), STORE_OK);
    if (report.findings > 0) {
        assert_int_equal(report.stage, STORE_CHECK_PAGES);
        assert_true(strlen(report.finding[0]) > 10);
        return true;
    }
    const int code = temp_fork(child_compares, setting);
    if (code != 0) {
        print_error("byte %zu bit %zu of data.mdb: not found, and LMDB reads otherwise (%d)\n",
                    bit / 8, bit % 8, code);
    }
    assert_int_equal(code, 0);
    return false;
}

static size_t flips_wanted(void)
{
    const char *text = getenv("FLIPS");
    return text != NULL ? strtoul(text, NULL, 10) : FLIPS_DEFAULT;
}

static void test_random_bits(void **state)
{
    struct setting *setting = *state;
    const size_t wanted = flips_wanted();
    struct test_random random = {.state = wanted};
    size_t found = 0;
    restore(setting);
    for (size_t i = 0; i < wanted; i++) {
        found += is_found(setting, test_random_below(&random, setting->file_size * 8)) ? 1 : 0;
    }
    print_message("%zu of %zu flipped bits are found, the others change nothing\n", found, wanted);
    assert_true(found > wanted / 20);
}

/* Every bit of the heads of all pages, and of the first pointers behind them. */
static void test_bits_of_page_heads(void **state)
{
    struct setting *setting = *state;
    size_t found = 0;
    size_t tried = 0;
    restore(setting);
    for (size_t page = 0; page * 4096 < setting->file_size; page++) {
        for (size_t i = 0; i < 8; i++) {
            /* Other bits of the same bytes on every page, so that all of them have their turn. */
            const size_t bit = (page * 7 + i * 29) % (28 * 8);
            found += is_found(setting, page * 4096 * 8 + bit) ? 1 : 0;
            tried++;
        }
    }
    print_message("%zu of %zu bits of page heads are found\n", found, tried);
    assert_true(found > tried / 4);
}

/* --- forged records --------------------------------------------------------------------------------- */

struct forgery {
    enum store_table table;
    enum { FORGE_REMOVE, FORGE_FLIP, FORGE_ADD } how;
    uint64_t height; /* of tables with heights; else the record's place in its table */
    size_t byte;     /* FLIP: of the value */
    enum store_check_stage stage;
    const char *says;
};

/* The key and value of the record at `place` of a table, copied out. */
static void record_at(const struct setting *setting, const struct forgery *forgery,
                      uint8_t key_out[512], size_t *key_size, uint8_t *value_out,
                      size_t *value_size)
{
    struct store *store = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    assert_int_equal(store_open(&store, &setting->config), STORE_OK);
    assert_int_equal(mdb_cursor_open(store->reader.txn, store->tables[forgery->table], &cursor), 0);
    for (uint64_t i = 0; i <= forgery->height; i++) {
        assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), 0);
    }
    assert_true(key.mv_size <= 512 && value.mv_size <= 65536);
    memcpy(key_out, key.mv_data, key.mv_size);
    *key_size = key.mv_size;
    *value_size = value.mv_size - CHECKSUM_SIZE;
    memcpy(value_out, value.mv_data, *value_size);
    mdb_cursor_close(cursor);
    store_close(store);
}

static void test_forged_records(void **state)
{
    static const struct forgery forgeries[] = {
        {TABLE_BLOCKS, FORGE_FLIP, 3, 100, STORE_CHECK_CHAIN, "block 3"},
        {TABLE_BLOCKS, FORGE_REMOVE, 7, 0, STORE_CHECK_CHAIN, "block 7"},
        {TABLE_BLOCKS, FORGE_FLIP, 4, BLOCK_HEADER_SIZE + 70, STORE_CHECK_CHAIN, "block 4"},
        {TABLE_BODIES, FORGE_FLIP, 5, 200, STORE_CHECK_CHAIN, "block 5: its body"},
        {TABLE_BODIES, FORGE_REMOVE, 6, 0, STORE_CHECK_CHAIN, "block 6"},
        {TABLE_RECEIPTS, FORGE_FLIP, 5, 60, STORE_CHECK_CHAIN, "block 5: its receipts"},
        {TABLE_RECEIPTS, FORGE_REMOVE, 9, 0, STORE_CHECK_CHAIN, "block 9"},
        {TABLE_TRANSACTIONS, FORGE_FLIP, 11, 7, STORE_CHECK_CHAIN, "does not lead"},
        {TABLE_TRANSACTIONS, FORGE_REMOVE, 12, 0, STORE_CHECK_CHAIN, "absent"},
        {TABLE_TRANSACTIONS, FORGE_ADD, 1, 0, STORE_CHECK_CHAIN, "table transactions holds"},
        {TABLE_IDS, FORGE_REMOVE, 2, 0, STORE_CHECK_CHAIN, "id is not indexed"},
        {TABLE_IDS, FORGE_ADD, 2, 0, STORE_CHECK_CHAIN, "table ids holds"},
        {TABLE_STATE, FORGE_FLIP, 10, 0, STORE_CHECK_STATE, "do not make the state root"},
        {TABLE_STATE, FORGE_REMOVE, 11, 0, STORE_CHECK_STATE, "do not make the state root"},
        {TABLE_STATE, FORGE_ADD, 11, 0, STORE_CHECK_STATE, "do not make the state root"},
    };
    struct setting *setting = *state;
    static uint8_t value[65536];
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        const struct forgery *forgery = &forgeries[i];
        struct store_check_report report;
        uint8_t key[512];
        size_t key_size = 0;
        size_t value_size = 0;
        restore(setting);
        record_at(setting, forgery, key, &key_size, value, &value_size);
        if (forgery->how == FORGE_FLIP) {
            assert_true(forgery->byte < value_size);
            value[forgery->byte] ^= 1;
        } else if (forgery->how == FORGE_ADD) {
            key[key_size - 1] ^= 0x55;
        }
        forge(setting, forgery->table, bytes_view_of(key, key_size),
              forgery->how == FORGE_REMOVE ? bytes_view_of(NULL, 0)
                                           : bytes_view_of(value, value_size));
        assert_int_equal(check(setting, &report, false), STORE_OK);
        if (report.findings == 0 || strstr(report.finding[0], forgery->says) == NULL ||
            report.stage != forgery->stage) {
            print_error("forgery %zu: %llu findings, the first: %s\n", i,
                        (unsigned long long)report.findings, report.finding[0]);
        }
        assert_true(report.findings > 0);
        assert_non_null(strstr(report.finding[0], forgery->says));
        assert_int_equal(report.stage, forgery->stage);
    }
}

/* --- what a node that starts would say ------------------------------------------------------------- */

/* Every answer that the API can give, as one hash per question; a refusal is a hash of zeros. */
enum { ANSWERS_MAX = 512 };
struct answers {
    uint32_t count;
    struct hash hash[ANSWERS_MAX];
};

static void answer(struct answers *answers, enum store_result result, struct bytes_view a,
                   struct bytes_view b)
{
    MUST(answers->count < ANSWERS_MAX);
    struct hash *out = &answers->hash[answers->count++];
    memset(out, 0, sizeof *out);
    if (result == STORE_OK) {
        hash_pair(out, HASH_DOMAIN_READING, a, b);
    } else if (result == STORE_ABSENT) {
        memset(out, 1, sizeof *out);
    }
}

static void ask_blocks(const struct setting *setting, struct store_snapshot *snapshot,
                       struct answers *answers)
{
    for (uint64_t height = 0; height <= HEIGHTS + 1; height++) {
        struct store_block block;
        const enum store_result result = store_snapshot_block(snapshot, height, &block);
        answer(answers, result, block.header, block.certificate);
        answer(answers, result, block.body, block.receipts);
    }
    for (uint32_t i = 0; i < setting->tx_count; i++) {
        struct hash id = setting->tx_ids[i];
        for (int other = 0; other < 2; other++) {
            uint64_t height = 0;
            uint32_t index = 0;
            const enum store_result result =
                store_snapshot_transaction(snapshot, &id, &height, &index);
            answer(answers, result, bytes_view_of(&height, sizeof height),
                   bytes_view_of(&index, sizeof index));
            id.bytes[31] ^= 1; /* one that nobody ever sent */
        }
    }
}

static void ask_state(struct store_snapshot *snapshot, struct answers *answers)
{
    const struct state_base *base = store_snapshot_base(snapshot);
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t size = 0;
    struct bytes_view value;
    struct bytes_view after = {NULL, 0};
    const struct bytes_view all = {NULL, 0};
    bool found = true;
    while (found) {
        const bool good = base->next(base->context, all, after, &found, key, &size, &value);
        answer(answers,
               !good   ? STORE_CORRUPT
               : found ? STORE_OK
                       : STORE_ABSENT,
               bytes_view_of(key, size), value);
        if (!good) {
            return;
        }
        after = bytes_view_of(key, size);
    }
}

static void ask_everything(const struct setting *setting, struct answers *answers)
{
    struct store *store = NULL;
    answers->count = 0;
    if (store_open(&store, &setting->config) != STORE_OK) {
        return;
    }
    struct store_snapshot *snapshot = store_snapshot_begin(store);
    if (snapshot != NULL) {
        ask_blocks(setting, snapshot, answers);
        ask_state(snapshot, answers);
        store_snapshot_end(snapshot);
    }
    store_close(store);
}

struct comparison {
    const struct setting *setting;
    const struct answers *right;
};

/* 0: every answer is right or refused; 1: refused to open; 2: a wrong answer. */
static void child_asks(void *context)
{
    static const struct hash refusal;
    const struct comparison *comparison = context;
    static struct answers answers;
    ask_everything(comparison->setting, &answers);
    if (answers.count == 0) {
        _exit(1);
    }
    for (uint32_t i = 0; i < answers.count; i++) {
        if (!hash_equal(&answers.hash[i], &refusal) &&
            !hash_equal(&answers.hash[i], &comparison->right->hash[i])) {
            _exit(2);
        }
    }
    _exit(0);
}

static void test_never_a_wrong_answer(void **state)
{
    struct setting *setting = *state;
    static struct answers right;
    const struct comparison comparison = {.setting = setting, .right = &right};
    const size_t wanted = flips_wanted();
    size_t refused = 0;
    size_t crashed = 0;
    struct test_random random = {.state = wanted + 1};
    restore(setting);
    ask_everything(setting, &right);
    assert_true(right.count > 2 * HEIGHTS + setting->tx_count);
    for (size_t i = 0; i < wanted; i++) {
        struct store_check_report report;
        const size_t bit = test_random_below(&random, setting->file_size * 8);
        restore(setting);
        flip(setting, bit);
        assert_int_equal(check(setting, &report, true), STORE_OK);
        if (report.findings > 0) {
            refused++; /* flexd does not start */
            continue;
        }
        const int code = temp_fork(child_asks, (void *)(uintptr_t)&comparison);
        if (code == 2) {
            print_error("byte %zu bit %zu of data.mdb: a wrong answer\n", bit / 8, bit % 8);
        }
        assert_int_not_equal(code, 2);
        crashed += code < 0 ? 1 : 0;
    }
    print_message("%zu flips: %zu stop the start, %zu a reader\n", wanted, refused, crashed);
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sound_store_is_good), cmocka_unit_test(test_a_pruned_store_is_good),
        cmocka_unit_test(test_who_may_check),         cmocka_unit_test(test_random_bits),
        cmocka_unit_test(test_bits_of_page_heads),    cmocka_unit_test(test_forged_records),
        cmocka_unit_test(test_never_a_wrong_answer),
    };
    /* What the store says of the damage that is done to it here is no news. */
    FILE *nowhere = fopen("/dev/null", "w");
    log_open(nowhere, "test", LOG_BROKEN, false);
    return crypto_init() ? cmocka_run_group_tests(tests, setup, teardown) : 1;
}
