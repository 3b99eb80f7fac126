/* Names of records (record_name.h).
 *
 * An operator who reads that a record is damaged must be able to see what it was: a block's height,
 * or the kind and id under which the API serves a state record.
 *
 * Deliberately absent: values. What is damaged may be anything, and logs go far. */
#include "storage/record_name.h"

#include <stdio.h>
#include <string.h>

#include "contracts/records.h"

enum { HEX_BYTES_MAX = 40 };

static void hex_of(char out[2 * HEX_BYTES_MAX + 4], struct bytes_view key)
{
    const size_t shown = key.size < HEX_BYTES_MAX ? key.size : HEX_BYTES_MAX;
    out[0] = '\0';
    if (shown > 0) {
        hex_encode(out, key.data, shown);
    }
    if (shown < key.size) {
        (void)snprintf(out + 2 * shown, 4, "...");
    }
}

static bool name_height(char out[RECORD_NAME_SIZE], const char *table, struct bytes_view key)
{
    static const struct {
        const char *table;
        const char *what;
    } names[] = {{"blocks", "header and certificate of block"},
                 {"bodies", "body of block"},
                 {"receipts", "receipts of block"}};
    struct byte_reader reader;
    byte_reader_init(&reader, key.data, key.size);
    const uint64_t height = byte_read_u64(&reader);
    for (size_t i = 0; byte_reader_done(&reader) && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].table, table) == 0) {
            (void)snprintf(out, RECORD_NAME_SIZE, "%s %llu", names[i].what,
                           (unsigned long long)height);
            return true;
        }
    }
    return false;
}

static bool name_state(char out[RECORD_NAME_SIZE], struct bytes_view key)
{
    char text[RECORD_NAME_SIZE - 64];
    if (key.size == 0) {
        return false;
    }
    const struct state_kind_info *info = state_kind_info((enum state_kind)key.data[0]);
    if (info == NULL || !state_key_to_text(text, sizeof text, info->kind, key)) {
        return false;
    }
    (void)snprintf(out, RECORD_NAME_SIZE, "state record %s %s", info->name, text);
    return true;
}

static bool name_node(char out[RECORD_NAME_SIZE], struct bytes_view key)
{
    char hex[2 * HEX_BYTES_MAX + 4];
    if (key.size < 2) {
        return false;
    }
    hex_of(hex, bytes_view_of(key.data + 2, key.size - 2));
    (void)snprintf(out, RECORD_NAME_SIZE, "state tree node of depth %u at %s",
                   (unsigned)key.data[0] << 8 | key.data[1], hex[0] != '\0' ? hex : "the root");
    return true;
}

void record_name(char out[RECORD_NAME_SIZE], const char *table, struct bytes_view key)
{
    char hex[2 * HEX_BYTES_MAX + 4];
    if (name_height(out, table, key) || (strcmp(table, "state") == 0 && name_state(out, key)) ||
        (strcmp(table, "nodes") == 0 && name_node(out, key))) {
        return;
    }
    hex_of(hex, key);
    (void)snprintf(out, RECORD_NAME_SIZE, "record %s of table %s", hex,
                   table[0] != '\0' ? table : "of tables");
}
