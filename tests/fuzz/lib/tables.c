/* The tables under fuzzing, and the two properties of each (tests/fuzz/lib/fuzz.h; fault scenarios
 * 65, 66). Tables that another one nests need no entry of their own, but those that stand alone on
 * the wire or in a file do. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "consensus/vote.h"
#include "contracts/actions.h"
#include "contracts/alias.h"
#include "contracts/delivery.h"
#include "contracts/events.h"
#include "contracts/genesis.h"
#include "contracts/ledger.h"
#include "contracts/witness.h"
#include "p2p/handshake.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/reveal.h"

enum { TABLES_MAX = 256 };

struct table_list {
    size_t count;
    const struct codec_record *tables[TABLES_MAX];
};

static void add(struct table_list *list, const struct codec_record *record)
{
    if (record == NULL)
        return;
    MUST(list->count < TABLES_MAX && record->struct_size <= FUZZ_RECORD_BYTES);
    list->tables[list->count++] = record;
}

static const struct table_list *all(void)
{
    static struct table_list list;
    if (list.count > 0)
        return &list;
    const struct codec_record *const single[] = {
        &block_header_record,     &vote_record,     &certificate_record,   &validator_set_record,
        &handshake_hello_record,  &genesis_record,  &receipt_record,       &meter_reading_record,
        &delivery_witness_record, &stand_in_record, &alias_opening_record, reveal_reading_codec()};
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        add(&list, single[i]);
    for (unsigned type = 0; type < ACTION_TYPE_LIMIT; type++)
        add(&list, action_codec((uint8_t)type));
    for (unsigned type = 0; type < EVENT_TYPE_LIMIT; type++)
        add(&list, event_codec((uint8_t)type));
    for (unsigned kind = 0; kind < STATE_KIND_LIMIT; kind++) {
        const struct state_kind_info *info = state_kind_info((enum state_kind)kind);
        add(&list, info != NULL ? info->codec : NULL);
        add(&list, info != NULL ? info->key_codec : NULL);
    }
    return &list;
}

const struct codec_record *fuzz_table(size_t index)
{
    return index < all()->count ? all()->tables[index] : NULL;
}

size_t fuzz_table_count(void)
{
    return all()->count;
}

int fuzz_table_index(const struct codec_record *record)
{
    for (size_t i = 0; i < all()->count; i++)
        if (all()->tables[i] == record)
            return (int)i;
    return -1;
}

/* A buffer of exactly that size, so that the sanitizer sees the first byte beyond it. */
static void *fresh(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    MUST(memory != NULL);
    return memory;
}

/* The record's bytes; the caller frees. */
static uint8_t *encode(const struct codec_record *record, const void *value, size_t *size)
{
    const size_t capacity = codec_size_max(record);
    uint8_t *bytes = fresh(capacity);
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, capacity);
    codec_encode(record, value, &writer);
    MUST(!writer.failed);
    *size = writer.size;
    return bytes;
}

static void must_encode_to(const struct codec_record *record, const void *value,
                           struct bytes_view expected)
{
    size_t size;
    uint8_t *bytes = encode(record, value, &size);
    MUST(bytes_view_equal(bytes_view_of(bytes, size), expected));
    free(bytes);
}

/* Record -> JSON -> text -> JSON -> record: the same bytes come out. */
static void through_text(const struct codec_record *record, const void *value,
                         struct bytes_view bytes)
{
    char problem[JSON_PROBLEM_SIZE] = "";
    cJSON *object = codec_to_json(record, value);
    MUST(object != NULL);
    char *text = cJSON_PrintUnformatted(object);
    MUST(text != NULL);
    cJSON *again = json_parse_strict(text, strlen(text), problem);
    MUST(again != NULL);
    void *other = fresh(record->struct_size);
    uint8_t *memory = fresh(bytes.size + 1);
    struct byte_writer scratch;
    byte_writer_init(&scratch, memory, bytes.size + 1);
    MUST(codec_from_json(record, other, again, &scratch, problem, sizeof problem));
    must_encode_to(record, other, bytes);
    free(memory);
    free(other);
    cJSON_Delete(again);
    cJSON_free(text);
    cJSON_Delete(object);
}

void fuzz_record_bytes(const struct codec_record *record, struct bytes_view bytes)
{
    void *value = fresh(record->struct_size);
    if (codec_decode_all(record, value, bytes)) {
        MUST(bytes.size <= codec_size_max(record));
        must_encode_to(record, value, bytes);
        through_text(record, value, bytes);
    }
    free(value);
}

void fuzz_record_json(const struct codec_record *record, struct bytes_view text)
{
    char problem[JSON_PROBLEM_SIZE] = "";
    cJSON *object = json_parse_strict((const char *)text.data, text.size, problem);
    if (object == NULL) {
        MUST(problem[0] != '\0');
        return;
    }
    void *value = fresh(record->struct_size);
    uint8_t *memory = fresh(text.size);
    struct byte_writer scratch;
    byte_writer_init(&scratch, memory, text.size);
    problem[0] = '\0';
    if (codec_from_json(record, value, object, &scratch, problem, sizeof problem)) {
        cJSON *again = codec_to_json(record, value);
        MUST(again != NULL && cJSON_Compare(object, again, 1));
        cJSON_Delete(again);
        size_t size;
        uint8_t *bytes = encode(record, value, &size);
        fuzz_record_bytes(record, bytes_view_of(bytes, size));
        void *other = fresh(record->struct_size);
        MUST(codec_decode_all(record, other, bytes_view_of(bytes, size)));
        free(other);
        free(bytes);
    } else {
        MUST(problem[0] != '\0');
    }
    free(memory);
    free(value);
    cJSON_Delete(object);
}
