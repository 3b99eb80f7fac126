/* Checking a chain database at rest: the stages' order, the pages stage, and opening for reading alone
 * (store_check.h).
 *
 * Invariants:
 *  1. Nothing is written: the file is read, the environment is opened read-only and without LMDB's lock
 *     file, so a check works on a medium that cannot be written.
 *  2. While it runs, `in-use` is held with a shared lock: a node that has the database open keeps the
 *     check out, and a check keeps a node out; two checks do not mind each other.
 *  3. LMDB sees the file only after every page of it was found sound.
 *
 * Deliberately absent: repair (node/repair.c), and the vote journal (journal.h), which lies elsewhere
 * and is no part of what the chain agreed on. */
#include "storage/store_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "storage/checksum.h"
#include "storage/page_walk.h"
#include "storage/record_name.h"
#include "storage/store_check_internal.h"

enum { CHECK_PATH_MAX = 512 };

const char *store_check_stage_name(enum store_check_stage stage)
{
    switch (stage) {
    case STORE_CHECK_PAGES:
        return "pages";
    case STORE_CHECK_CHAIN:
        return "chain";
    case STORE_CHECK_STATE:
        return "state";
    }
    return "unknown";
}

void check_find(struct check *check, const char *format, ...)
{
    struct store_check_report *report = check->report;
    report->findings++;
    if (report->kept < STORE_FINDINGS_KEPT) {
        va_list list;
        va_start(list, format);
        (void)vsnprintf(report->finding[report->kept++], STORE_FINDING_SIZE, format, list);
        va_end(list);
    }
}

void check_find_record(struct check *check, const char *table, struct bytes_view key,
                       const char *what)
{
    char name[RECORD_NAME_SIZE];
    record_name(name, table, key);
    check_find(check, "%s: %s", name, what);
}

void check_progress(struct check *check, uint64_t done, uint64_t all)
{
    if (check->config->progress != NULL) {
        check->config->progress(check->config->context, check->report->stage, done, all);
    }
}

/* --- pages ----------------------------------------------------------------------------------- */

static void on_record(void *context, const char *table, struct bytes_view key,
                      struct bytes_view value)
{
    struct check *check = context;
    check->report->records++;
    const size_t size = value.size < CHECKSUM_SIZE ? 0 : value.size - CHECKSUM_SIZE;
    if (value.size < CHECKSUM_SIZE ||
        checksum_read(value.data + size) != checksum_record(key, bytes_view_of(value.data, size))) {
        check_find_record(check, table, key, "does not match its checksum");
    }
}

static void on_finding(void *context, const struct page_finding *finding)
{
    char name[RECORD_NAME_SIZE];
    struct check *check = context;
    if (finding->key.size == 0 || strcmp(finding->table, "free") == 0) {
        check_find(check, "page %llu of data.mdb%s%s: %s", (unsigned long long)finding->page,
                   finding->table[0] != '\0' ? ", table " : "", finding->table, finding->what);
        return;
    }
    record_name(name, finding->table, finding->key);
    check_find(check, "page %llu of data.mdb, at %s: %s", (unsigned long long)finding->page, name,
               finding->what);
}

static bool quick_wants(void *context, const char *table)
{
    (void)context;
    return strcmp(table, store_table_name(TABLE_META)) == 0 ||
           strcmp(table, store_table_name(TABLE_STATE)) == 0;
}

static void on_pages(void *context, uint64_t pages, uint64_t pages_all)
{
    check_progress(context, pages, pages_all);
}

static enum store_result check_pages(struct check *check, const char *path)
{
    struct page_totals totals;
    const struct page_visitor visitor = {.context = check,
                                         .record = on_record,
                                         .finding = on_finding,
                                         .wants = check->config->quick ? quick_wants : NULL,
                                         .progress = on_pages};
    check->report->stage = STORE_CHECK_PAGES;
    const enum page_walk_result result = page_walk(path, &visitor, &totals);
    check->report->pages = totals.pages;
    check->report->bytes = totals.bytes_read;
    switch (result) {
    case PAGE_WALK_DONE:
        return STORE_OK;
    case PAGE_WALK_NO_FILE:
        return STORE_ABSENT;
    case PAGE_WALK_FOREIGN:
        return STORE_MISMATCH;
    case PAGE_WALK_FAULT:
        return STORE_FAULT;
    }
    return STORE_FAULT;
}

/* --- opening for reading --------------------------------------------------------------------- */

static enum store_result open_tables(struct check *check)
{
    struct store *store = &check->store;
    for (int i = 0; i < STORE_TABLES; i++) {
        const int code = mdb_dbi_open(store->reader.txn, store_table_name((enum store_table)i), 0,
                                      &store->tables[i]);
        if (code == MDB_NOTFOUND) {
            check_find(check, "table %s is missing", store_table_name((enum store_table)i));
        } else if (code != MDB_SUCCESS) {
            return store_result_of(code);
        }
    }
    return STORE_OK;
}

static enum store_result open_reader(struct check *check)
{
    struct store *store = &check->store;
    /* Whatever the file says of its map, the file's own size is enough to read it. */
    const size_t map_bytes = (size_t)(check->report->pages + 1) * 65536;
    int code = mdb_env_create(&store->env);
    if (code == MDB_SUCCESS) {
        code = mdb_env_set_maxdbs(store->env, STORE_TABLES);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_set_mapsize(store->env, map_bytes);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_open(store->env, check->config->directory,
                            MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
    }
    if (code == MDB_SUCCESS) {
        code = store_reader_begin(&store->reader, store, NULL);
    }
    return code == MDB_SUCCESS ? open_tables(check) : store_result_of(code);
}

/* Nobody has the database open, and nobody opens it while *lock_fd is open. A directory that was never
 * a node's has no lock file; then there is nobody to keep out. */
static enum store_result take_lock(const char *directory, int *lock_fd)
{
    char path[CHECK_PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/in-use", directory) >= sizeof path) {
        return STORE_FAULT;
    }
    *lock_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*lock_fd < 0) {
        return errno == ENOENT || errno == ENOTDIR ? STORE_OK : STORE_FAULT;
    }
    if (flock(*lock_fd, LOCK_SH | LOCK_NB) == 0) {
        return STORE_OK;
    }
    return errno == EWOULDBLOCK ? STORE_LOCKED : STORE_FAULT;
}

static enum store_result check_all(struct check *check)
{
    char path[CHECK_PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/data.mdb", check->config->directory) >=
        sizeof path) {
        return STORE_FAULT;
    }
    enum store_result result = check_pages(check, path);
    if (result != STORE_OK || check->report->findings > 0 || check->config->quick) {
        return result;
    }
    result = open_reader(check);
    if (result == STORE_OK && check->report->findings == 0) {
        check->report->stage = STORE_CHECK_CHAIN;
        check_chain(check);
    }
    if (result == STORE_OK && check->report->findings == 0 && check->report->has_tip) {
        check->report->stage = STORE_CHECK_STATE;
        check_state(check);
    }
    return check->fault ? STORE_FAULT : result;
}

enum store_result store_check(struct store_check_report *report,
                              const struct store_check_config *config)
{
    struct check *check = calloc(1, sizeof *check);
    int lock_fd = -1;
    memset(report, 0, sizeof *report);
    if (check == NULL) {
        return STORE_FAULT;
    }
    check->config = config;
    check->report = report;
    check->store.genesis = config->genesis;
    enum store_result result = take_lock(config->directory, &lock_fd);
    if (result == STORE_OK) {
        result = check_all(check);
    }
    store_reader_end(&check->store.reader);
    if (check->store.env != NULL) {
        mdb_env_close(check->store.env);
    }
    if (lock_fd >= 0) {
        (void)close(lock_fd);
    }
    free(check);
    return result;
}
