/* The memory of a table of orders (tools/order_journal.h).
 *
 * Invariants: the file is replaced as a whole, so it is always one that was written; a file that is not wholly
 * understood is no memory, and the command stops rather than to place what it may have placed. */
#include "tools/order_journal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"

static bool read_hex(const struct cJSON *object, const char *key, uint8_t *out, size_t size)
{
    const char *text = json_string(object, key);
    return text != NULL && hex_decode(out, size, text);
}

/* The signed bytes of the last entry. */
static bool read_signed(struct order_journal *journal, const struct cJSON *item)
{
    const char *text = json_string(item, "envelope");
    const size_t size = text != NULL ? strlen(text) / 2 : 0;
    int64_t until;
    if (size == 0 || size > sizeof journal->envelope ||
        !hex_decode(journal->envelope, size, text) ||
        !json_u64(&journal->signed_as.nonce, item, "nonce") ||
        !json_i64(&until, item, "valid_until_ms")) {
        return false;
    }
    journal->signed_as.size = size;
    journal->signed_as.valid_until = timestamp_of(until);
    journal->signed_as.id = journal->entries[journal->count - 1].id;
    journal->open = true;
    return true;
}

static bool read_entry(struct order_journal *journal, const struct cJSON *item)
{
    static const char *const final_keys[] = {"rows", "digest", "id", NULL};
    static const char *const open_keys[] = {"rows",           "digest",   "id", "nonce",
                                            "valid_until_ms", "envelope", NULL};
    const bool open = cJSON_GetObjectItemCaseSensitive(item, "envelope") != NULL;
    uint64_t rows;
    if (!cJSON_IsObject(item) || json_unknown_key(item, open ? open_keys : final_keys) != NULL ||
        journal->open || journal->count == ORDER_ROWS_MAX || !json_u64(&rows, item, "rows") ||
        rows == 0 || rows > LIMIT_ACTIONS_PER_TX) {
        return false;
    }
    struct order_journal_entry *entry = &journal->entries[journal->count++];
    entry->rows = (uint32_t)rows;
    return read_hex(item, "digest", entry->digest, sizeof entry->digest) &&
           read_hex(item, "id", entry->id.bytes, HASH_SIZE) &&
           (!open || read_signed(journal, item));
}

static int read_entries(struct cli *cli, struct order_journal *journal, const struct cJSON *object)
{
    static const char *const keys[] = {"format", "genesis", "key", "transactions", NULL};
    const char *format = json_string(object, "format");
    const struct cJSON *items = json_array(object, "transactions");
    struct hash genesis;
    struct public_key key;
    bool ok = format != NULL && strcmp(format, "flexplaced/1") == 0 && items != NULL &&
              json_unknown_key(object, keys) == NULL &&
              read_hex(object, "genesis", genesis.bytes, HASH_SIZE) &&
              read_hex(object, "key", key.bytes, PUBLIC_KEY_SIZE);
    if (ok &&
        (!hash_equal(&genesis, &journal->genesis) || !public_key_equal(&key, &journal->key))) {
        return cli_fail(cli, CLI_USAGE, "other_wallet",
                        "%s remembers what another key placed, or on another chain", journal->path);
    }
    const struct cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        ok = ok && read_entry(journal, item);
    }
    return ok ? CLI_DONE
              : cli_fail(
                    cli, CLI_USAGE, "bad_journal",
                    "%s is damaged, so nobody knows here what has been placed: flex order list "
                    "does; take those rows out of the table, and the file away",
                    journal->path);
}

static int check_rows(struct cli *cli, const struct order_journal *journal,
                      const struct order_sheet *sheet)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i < journal->count; i++) {
        const struct order_journal_entry *entry = &journal->entries[i];
        uint8_t digest[32];
        bool same = entry->rows <= sheet->count - from;
        if (same) {
            order_sheet_digest(digest, sheet, from, entry->rows);
            same = memcmp(digest, entry->digest, sizeof digest) == 0;
        }
        if (!same) {
            return cli_fail(cli, CLI_USAGE, "placed_rows_changed",
                            "lines %u to %u were placed as %s remembers them, and are others now; "
                            "mend only what has not been placed, or take a new file",
                            from + 2, from + entry->rows + 1, journal->path);
        }
        from += entry->rows;
    }
    return CLI_DONE;
}

int order_journal_read(struct cli *cli, struct order_journal *out, const char *table,
                       const struct order_sheet *sheet)
{
    char problem[160];
    out->count = 0;
    out->open = false;
    int length = snprintf(out->path, sizeof out->path, "%s.placed", table);
    if (length < 0 || (size_t)length >= sizeof out->path) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "the table's path is too long");
    }
    if (!files_exists(out->path)) {
        return CLI_DONE;
    }
    struct cJSON *object = files_read_json(out->path, problem);
    int status = object == NULL
                     ? cli_fail(cli, CLI_USAGE, "bad_journal", "%s: %s", out->path, problem)
                     : read_entries(cli, out, object);
    cJSON_Delete(object);
    return status == CLI_DONE ? check_rows(cli, out, sheet) : status;
}

uint32_t order_journal_rows(const struct order_journal *journal)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < journal->count; i++) {
        rows += journal->entries[i].rows;
    }
    return rows;
}

static void add_hex(struct cJSON *object, const char *key, const uint8_t *data, size_t size)
{
    char *text = malloc(2 * size + 1);
    MUST(text != NULL);
    hex_encode(text, data, size);
    cJSON_AddStringToObject(object, key, text);
    free(text);
}

int order_journal_write(struct cli *cli, const struct order_journal *journal)
{
    struct cJSON *object = cJSON_CreateObject();
    MUST(object != NULL);
    cJSON_AddStringToObject(object, "format", "flexplaced/1");
    add_hex(object, "genesis", journal->genesis.bytes, HASH_SIZE);
    add_hex(object, "key", journal->key.bytes, PUBLIC_KEY_SIZE);
    struct cJSON *items = cJSON_AddArrayToObject(object, "transactions");
    for (uint32_t i = 0; i < journal->count; i++) {
        const struct order_journal_entry *entry = &journal->entries[i];
        struct cJSON *item = cJSON_CreateObject();
        MUST(item != NULL);
        json_add_u64(item, "rows", entry->rows);
        add_hex(item, "digest", entry->digest, sizeof entry->digest);
        add_hex(item, "id", entry->id.bytes, HASH_SIZE);
        if (journal->open && i + 1 == journal->count) {
            json_add_u64(item, "nonce", journal->signed_as.nonce);
            json_add_i64(item, "valid_until_ms", timestamp_ms(journal->signed_as.valid_until));
            add_hex(item, "envelope", journal->envelope, journal->signed_as.size);
        }
        cJSON_AddItemToArray(items, item);
    }
    bool ok = files_write_json(journal->path, object, 0600);
    int fault = errno;
    cJSON_Delete(object);
    return ok ? CLI_DONE
              : cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", journal->path, strerror(fault));
}
