/* The walk over LMDB's pages: what LMDB wrote is found whole after every commit, and whatever the walk
 * lets pass after a flipped bit, LMDB reads as if nothing had happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "storage/page_walk.h"
#include "storage/store_internal.h"
#include "tests/lib/storage/blocks.h"
#include "tests/lib/temp_dir.h"

struct seen {
    uint64_t records;
    uint64_t findings;
    char first[256];
};

static void see_record(void *context, const char *table, struct bytes_view key,
                       struct bytes_view value)
{
    struct seen *seen = context;
    (void)table;
    assert_true(key.size > 0 && value.size >= 8);
    seen->records++;
}

static void see_finding(void *context, const struct page_finding *finding)
{
    struct seen *seen = context;
    if (seen->findings++ == 0) {
        (void)snprintf(seen->first, sizeof seen->first, "page %llu, table %s: %s",
                       (unsigned long long)finding->page, finding->table, finding->what);
    }
}

static void walk(struct seen *seen, struct page_totals *totals, const char *directory)
{
    char path[TEMP_PATH_SIZE + 16];
    memset(seen, 0, sizeof *seen);
    (void)snprintf(path, sizeof path, "%s/data.mdb", directory);
    const struct page_visitor visitor = {
        .context = seen, .record = see_record, .finding = see_finding};
    assert_int_equal(page_walk(path, &visitor, totals), PAGE_WALK_DONE);
}

static uint64_t entries(struct store *store)
{
    uint64_t sum = 0;
    for (int i = 0; i < STORE_TABLES; i++) {
        MDB_stat stat;
        assert_int_equal(mdb_stat(store->reader.txn, store->tables[i], &stat), 0);
        sum += stat.ms_entries;
    }
    return sum;
}

static void test_every_commit_is_found_whole(void **state)
{
    (void)state;
    char directory[TEMP_PATH_SIZE];
    struct blocks blocks;
    struct store *store = NULL;
    struct seen seen;
    struct page_totals totals;
    temp_dir_make(directory);
    blocks_init(&blocks);
    const struct store_config config = {.directory = directory,
                                        .map_bytes = (size_t)64 << 20,
                                        .genesis = blocks_genesis(),
                                        .disk_reserve = 1 << 20};
    assert_int_equal(store_open(&store, &config), STORE_OK);
    for (int i = 0; i < 200; i++) {
        /* Now and then a snapshot stays open for a while, so that free pages pile up. */
        struct store_snapshot *held = i % 5 == 0 ? store_snapshot_begin(store) : NULL;
        assert_int_equal(
            store_commit(store, blocks_next(&blocks, store_tip(store), store_state_base(store),
                                            i % 3 == 0 ? 3000 : 90)),
            STORE_OK);
        if (held != NULL) {
            store_snapshot_end(held);
        }
        walk(&seen, &totals, directory);
        assert_string_equal(seen.first, "");
        assert_int_equal(seen.records, entries(store));
        assert_int_equal(totals.records, seen.records);
        assert_int_equal(totals.pages_lost, 0);
    }
    assert_true(totals.pages > 500 && totals.pages_free > 0);
    store_close(store);
    blocks_free(&blocks);
    temp_dir_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_commit_is_found_whole),
    };
    log_open(stderr, "test", LOG_BROKEN, false);
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
