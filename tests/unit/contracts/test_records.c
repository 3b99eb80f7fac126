/* Every table of actions, records, events, receipts and genesis: sizes within the limits, one
 * encoding per value, nothing cut or padded accepted, JSON there and back, and frozen bytes.
 *
 * Values come from the tables themselves: each field is filled with bytes that its type allows. The
 * digests of their encodings stand in tests/vectors/contract_records.txt; a change there is a change
 * of what networks have stored and signed, and needs an ADR (then REWRITE=1 writes it anew). The
 * tables of docs/spec/state.md and docs/spec/errors.md are held to the code. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contracts/genesis.h"
#include "contracts/ledger_internal.h"
#include "contracts/witness.h"
#include "tests/lib/contracts/expect.h"

enum { TABLES_MAX = 256, VALUE_BYTES_MAX = 65536, JSON_SCRATCH = 4096 };
static const char vectors_path[] = "tests/vectors/contract_records.txt";

struct table {
    const char *group;
    const struct codec_record *codec;
    size_t limit;
};

static struct table tables[TABLES_MAX];
static size_t table_count;
static _Alignas(16) uint8_t value[VALUE_BYTES_MAX];
static _Alignas(16) uint8_t decoded[VALUE_BYTES_MAX];
static uint8_t bytes[VALUE_BYTES_MAX];
static uint8_t again[VALUE_BYTES_MAX];
static uint8_t scratch[JSON_SCRATCH];

static void add_table(const char *group, const struct codec_record *codec, size_t limit)
{
    assert_true(table_count < TABLES_MAX);
    assert_true(codec->struct_size <= VALUE_BYTES_MAX);
    tables[table_count].group = group;
    tables[table_count].codec = codec;
    tables[table_count].limit = limit;
    table_count++;
}

static int collect(void **state)
{
    (void)state;
    if (!crypto_init())
        return 1;
    for (unsigned i = 0; i <= UINT8_MAX; i++)
        if (action_codec((uint8_t)i) != NULL)
            add_table("action", action_codec((uint8_t)i), action_bytes_max((uint8_t)i));
    for (unsigned i = 0; i < STATE_KIND_LIMIT; i++) {
        const struct state_kind_info *info = state_kind_info((enum state_kind)i);
        if (info != NULL && info->codec != NULL)
            add_table("state", info->codec, LIMIT_STATE_VALUE_BYTES);
        if (info != NULL && info->key_codec != NULL)
            add_table("key", info->key_codec, LIMIT_STATE_KEY_BYTES - 1);
    }
    for (unsigned i = 0; i <= UINT8_MAX; i++)
        if (event_codec((uint8_t)i) != NULL)
            add_table("event", event_codec((uint8_t)i), CONTRACT_EVENT_BYTES_MAX - 3);
    add_table("genesis", &genesis_record, GENESIS_BYTES_MAX);
    add_table("receipt", &receipt_record, LEDGER_BLOCK_EVENTS_BYTES_MAX + 64);
    add_table("kept", &stand_in_record, LIMIT_WITNESS_BYTES);
    return 0;
}

/* --- values from tables --------------------------------------------------------------------- */

static void put(uint8_t *at, const void *data, size_t size)
{
    memcpy(at, data, size);
}

static void fill(uint8_t *at, const struct codec_record *codec, unsigned seed);

static void fill_text(uint8_t *at, const struct codec_field *field)
{
    static const char text[] = "meter exchanged";
    size_t size = sizeof text - 1 < field->limit ? sizeof text - 1 : field->limit;
    struct bytes_view view = bytes_view_of(text, size);
    put(at, &view, sizeof view);
}

static void fill_array(uint8_t *base, const struct codec_field *field, unsigned seed)
{
    uint32_t count = field->limit < 4 ? (uint32_t)field->limit : 4;
    put(base + field->count_offset, &count, sizeof count);
    for (uint32_t i = 0; i < count; i++)
        fill(base + field->offset + i * field->record->struct_size, field->record, seed + i);
}

static void fill_field(uint8_t *base, const struct codec_field *field, unsigned seed)
{
    uint8_t *at = base + field->offset;
    uint64_t wide = UINT64_C(0x8102030405060700) + seed;
    uint32_t flags = field->limit != 0 && field->limit < 32 ? (1u << field->limit) - 1 : 1;
    struct name name;
    char text[16];
    snprintf(text, sizeof text, "name-%u", seed);
    assert_true(name_from_text(&name, text, strlen(text)));
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
    case CODEC_U64:
    case CODEC_I64: {
        static const size_t widths[] = {1, 2, 4, 8, 8};
        put(at, &wide, widths[field->type]);
        break;
    }
    case CODEC_BOOL:
        *at = 1;
        break;
    case CODEC_ENUM:
        *at = (uint8_t)(field->limit - 1);
        break;
    case CODEC_FLAGS:
        put(at, &flags, sizeof flags);
        break;
    case CODEC_NAME:
    case CODEC_NAME_EMPTY:
        put(at, &name, sizeof name);
        break;
    case CODEC_FIXED:
        for (size_t i = 0; i < field->limit; i++)
            at[i] = (uint8_t)(seed + i);
        break;
    case CODEC_BYTES:
    case CODEC_TEXT:
        fill_text(at, field);
        break;
    case CODEC_RECORD:
        fill(at, field->record, seed);
        break;
    case CODEC_ARRAY:
        fill_array(base, field, seed);
        break;
    }
}

static void fill(uint8_t *at, const struct codec_record *codec, unsigned seed)
{
    memset(at, 0, codec->struct_size);
    for (size_t i = 0; i < codec->field_count; i++)
        fill_field(at, &codec->fields[i], seed + (unsigned)i);
}

static struct bytes_view encode(const struct codec_record *codec, const void *record, uint8_t *out)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, VALUE_BYTES_MAX);
    codec_encode(codec, record, &writer);
    assert_false(writer.failed);
    return bytes_view_of(out, writer.size);
}

/* --- the tests ------------------------------------------------------------------------------ */

static void test_sizes(void **state)
{
    (void)state;
    assert_true(table_count >= 48);
    for (size_t i = 0; i < table_count; i++)
        if (codec_size_max(tables[i].codec) > tables[i].limit)
            fail_msg("%s %s may take %zu bytes", tables[i].group, tables[i].codec->name,
                     codec_size_max(tables[i].codec));
    for (unsigned i = 0; i <= UINT8_MAX; i++)
        if (action_codec((uint8_t)i) != NULL)
            assert_true(action_codec((uint8_t)i)->struct_size <= sizeof(union action_record));
}

static void test_tables_name_what_they_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        const struct codec_record *codec = tables[i].codec;
        for (size_t a = 0; a < codec->field_count; a++) {
            assert_true(codec->fields[a].offset < codec->struct_size);
            assert_int_equal(
                strlen(codec->fields[a].name),
                strspn(codec->fields[a].name, "abcdefghijklmnopqrstuvwxyz_0123456789"));
            for (size_t b = 0; b < a; b++) {
                assert_string_not_equal(codec->fields[a].name, codec->fields[b].name);
                assert_int_not_equal(codec->fields[a].offset, codec->fields[b].offset);
            }
        }
    }
    for (unsigned i = 1; i <= UINT8_MAX; i++)
        if (action_codec((uint8_t)i) != NULL)
            assert_int_equal(i, action_from_name(action_codec((uint8_t)i)->name));
    assert_int_equal(0, action_from_name("token"));
    assert_int_equal(0, action_from_name(""));
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        const struct codec_record *codec = tables[i].codec;
        fill(value, codec, (unsigned)i + 1);
        struct bytes_view first = encode(codec, value, bytes);
        assert_true(codec_decode_all(codec, decoded, first));
        assert_true(bytes_view_equal(first, encode(codec, decoded, again)));
        for (size_t size = 0; size < first.size; size++)
            if (codec_decode_all(codec, decoded, bytes_view_of(bytes, size)))
                fail_msg("%s %s: %zu of %zu bytes were accepted", tables[i].group, codec->name,
                         size, first.size);
        bytes[first.size] = 0;
        assert_false(codec_decode_all(codec, decoded, bytes_view_of(bytes, first.size + 1)));
    }
}

/* What a decoder accepts of damaged bytes, the encoder gives back byte for byte. */
static void test_canonical(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        const struct codec_record *codec = tables[i].codec;
        fill(value, codec, (unsigned)i + 1);
        struct bytes_view first = encode(codec, value, bytes);
        for (size_t at = 0; at < first.size; at++) {
            uint8_t kept = bytes[at];
            for (unsigned bit = 0; bit < 8; bit++) {
                bytes[at] = (uint8_t)(kept ^ (1u << bit));
                if (codec_decode_all(codec, decoded, first))
                    assert_true(bytes_view_equal(first, encode(codec, decoded, again)));
            }
            bytes[at] = kept;
        }
    }
}

static void test_json_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        const struct codec_record *codec = tables[i].codec;
        char problem[160];
        struct byte_writer writer;
        fill(value, codec, (unsigned)i + 1);
        struct bytes_view first = encode(codec, value, bytes);
        cJSON *object = codec_to_json(codec, value);
        assert_non_null(object);
        byte_writer_init(&writer, scratch, sizeof scratch);
        if (!codec_from_json(codec, decoded, object, &writer, problem, sizeof problem))
            fail_msg("%s %s: %s", tables[i].group, codec->name, problem);
        assert_true(bytes_view_equal(first, encode(codec, decoded, again)));
        cJSON_Delete(object);
    }
}

static void test_frozen(void **state)
{
    (void)state;
    char line[256];
    size_t i = 0;
    bool print = getenv("REWRITE") != NULL;
    FILE *file = fopen(vectors_path, print ? "w" : "r");
    assert_non_null(file);
    for (; i < table_count; i++) {
        char expected[256];
        char hex[2 * HASH_SIZE + 1];
        struct hash hash;
        fill(value, tables[i].codec, 1);
        struct bytes_view first = encode(tables[i].codec, value, bytes);
        hash_bytes(&hash, HASH_DOMAIN_STATE_VALUE, first.data, first.size);
        hex_encode(hex, hash.bytes, HASH_SIZE);
        snprintf(expected, sizeof expected, "%s %s %zu %s\n", tables[i].group,
                 tables[i].codec->name, first.size, hex);
        if (print) {
            fputs(expected, file);
            continue;
        }
        assert_non_null(fgets(line, sizeof line, file));
        assert_string_equal(expected, line);
    }
    if (!print)
        assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

static void test_event_walk_stops_at_faults(void **state)
{
    (void)state;
    uint8_t one[16];
    struct byte_writer writer;
    struct bytes_view record;
    uint8_t type;
    byte_writer_init(&writer, one, sizeof one);
    byte_write_u8(&writer, EVENT_ORDER_EXPIRED);
    byte_write_u16(&writer, 8);
    byte_write_u64(&writer, 5);
    for (size_t size = 0; size < writer.size; size++) {
        size_t cursor = 0;
        assert_false(event_next(bytes_view_of(one, size), &cursor, &type, &record));
        assert_int_equal(0, cursor);
    }
    size_t cursor = 0;
    assert_true(event_next(bytes_view_of(one, writer.size), &cursor, &type, &record));
    assert_int_equal(writer.size, cursor);
    one[0] = 200;
    cursor = 0;
    assert_false(event_next(bytes_view_of(one, writer.size), &cursor, &type, &record));
}

static void test_error_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CONTRACT_ERROR_COUNT; i++) {
        const char *name = contract_error_name((enum contract_error)i);
        const char *reason = contract_error_reason((enum contract_error)i);
        assert_non_null(name);
        assert_int_equal(strlen(name), strspn(name, "abcdefghijklmnopqrstuvwxyz_"));
        assert_int_equal(i, contract_error_from_name(name));
        assert_true(strlen(reason) > 4 && reason[strlen(reason) - 1] == '.');
    }
    assert_int_equal(CONTRACT_ERROR_COUNT, contract_error_from_name("no_such_error"));
}

/* --- the documents -------------------------------------------------------------------------- */

static char *document(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    assert_true(size > 0 && size < sizeof text - 1);
    fclose(file);
    text[size] = '\0';
    return text;
}

static void assert_documented(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("the document lacks: %s", line);
}

/* "| `deal` | market name, direction enum, ... |" */
static void table_line(char out[2048], const char *name, const struct codec_record *codec)
{
    static const char *const types[] = {"u8",    "u16",         "u32",   "u64",    "i64",
                                        "bool",  "enum",        "flags", "name",   "name or none",
                                        "bytes", "sized bytes", "text",  "record", "array"};
    size_t size = (size_t)snprintf(out, 2048, "| `%s` | ", name);
    for (size_t i = 0; i < codec->field_count; i++) {
        const struct codec_field *field = &codec->fields[i];
        size += (size_t)snprintf(out + size, 2048 - size, "%s%s %s", i == 0 ? "" : ", ",
                                 field->name, types[field->type]);
        if (field->type == CODEC_FIXED)
            size += (size_t)snprintf(out + size, 2048 - size, " %zu", field->limit);
        if (field->type == CODEC_ARRAY)
            size += (size_t)snprintf(out + size, 2048 - size, " up to %zu", field->limit);
    }
    snprintf(out + size, 2048 - size, " |");
}

static void test_state_is_documented(void **state)
{
    (void)state;
    char line[2048];
    char numbered[2100];
    const char *text = document("docs/spec/state.md");
    for (unsigned i = 0; i < STATE_KIND_LIMIT; i++) {
        const struct state_kind_info *info = state_kind_info((enum state_kind)i);
        if (info == NULL)
            continue;
        if (info->codec != NULL) {
            table_line(line, info->name, info->codec);
            assert_documented(text, line);
        }
        if (info->key_codec != NULL)
            table_line(line, info->name, info->key_codec);
        else
            snprintf(line, sizeof line, "| `%s` | - |", info->name);
        snprintf(numbered, sizeof numbered, "| %u %s", i, line);
        assert_documented(text, numbered);
    }
    for (unsigned i = 0; i < EVENT_TYPE_LIMIT; i++) {
        if (event_codec((uint8_t)i) == NULL)
            continue;
        table_line(line, event_codec((uint8_t)i)->name, event_codec((uint8_t)i));
        snprintf(numbered, sizeof numbered, "| %u %s", i, line);
        assert_documented(text, numbered);
    }
}

static void test_errors_are_documented(void **state)
{
    (void)state;
    char line[512];
    const char *text = document("docs/spec/errors.md");
    for (unsigned i = 0; i < CONTRACT_ERROR_COUNT; i++) {
        snprintf(line, sizeof line, "| %u | `%s` | %s |", i,
                 contract_error_name((enum contract_error)i),
                 contract_error_reason((enum contract_error)i));
        assert_documented(text, line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_tables_name_what_they_hold),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_event_walk_stops_at_faults),
        cmocka_unit_test(test_error_names),
        cmocka_unit_test(test_state_is_documented),
        cmocka_unit_test(test_errors_are_documented),
    };
    return cmocka_run_group_tests(tests, collect, NULL);
}
