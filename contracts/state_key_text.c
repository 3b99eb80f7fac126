/* State keys as people write them: parts joined with '/', "deal 7", "pot balance/dso".
 *
 * 1. Reading is strict: canonical numbers, canonical names, lower-case hex, exactly the kind's
 *    parts. So one key has one text.
 * 2. Parts are written and read from the kind's key_codec, so a new kind needs no code here. A pot
 *    is the exception: its id is a name, a number or nothing, as its kind says.
 *
 * Deliberately absent: text for the values; codec_to_json does that. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/records.h"

/* The longest part is a key in hex; the most parts are those of a book entry. */
enum { PART_TEXT_MAX = 2 * 32, KEY_PARTS_MAX = 8 };

struct part {
    char text[PART_TEXT_MAX + 1];
};

/* Splits at '/'; the number of parts, or 0 if there are too many or one is empty or too long. */
static size_t split(struct part parts[KEY_PARTS_MAX], const char *text)
{
    size_t count = 0;
    const char *at = text;
    while (count < KEY_PARTS_MAX) {
        size_t length = strcspn(at, "/");
        if (length == 0 || length > PART_TEXT_MAX)
            return 0;
        memcpy(parts[count].text, at, length);
        parts[count].text[length] = '\0';
        count++;
        if (at[length] == '\0')
            return count;
        at += length + 1;
    }
    return 0;
}

static bool name_part(struct byte_writer *writer, const char *text)
{
    struct name name;
    if (!name_from_text(&name, text, strlen(text)))
        return false;
    byte_write_raw(writer, name.text, NAME_SIZE);
    return true;
}

static bool enum_part(uint8_t *out, const struct codec_field *field, const char *text)
{
    for (size_t i = 0; i < field->limit; i++) {
        if (field->names[i] != NULL && strcmp(field->names[i], text) == 0) {
            *out = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool part_from_text(struct byte_writer *writer, const struct codec_field *field,
                           const char *text)
{
    uint64_t unsigned_value;
    int64_t signed_value;
    uint8_t bytes[32];
    switch (field->type) {
    case CODEC_NAME:
        return name_part(writer, text);
    case CODEC_U64:
        if (!uint64_from_text(&unsigned_value, text))
            return false;
        byte_write_u64(writer, unsigned_value);
        return true;
    case CODEC_I64:
        if (!int64_from_text(&signed_value, text))
            return false;
        byte_write_i64(writer, signed_value);
        return true;
    case CODEC_U8:
        if (!uint64_from_text(&unsigned_value, text) || unsigned_value > UINT8_MAX)
            return false;
        byte_write_u8(writer, (uint8_t)unsigned_value);
        return true;
    case CODEC_U32:
        if (!uint64_from_text(&unsigned_value, text) || unsigned_value > UINT32_MAX)
            return false;
        byte_write_u32(writer, (uint32_t)unsigned_value);
        return true;
    case CODEC_ENUM:
        if (!enum_part(bytes, field, text))
            return false;
        byte_write_u8(writer, bytes[0]);
        return true;
    case CODEC_FIXED:
        MUST(field->limit == sizeof bytes);
        if (!hex_decode(bytes, sizeof bytes, text))
            return false;
        byte_write_raw(writer, bytes, sizeof bytes);
        return true;
    case CODEC_U16:
    case CODEC_BOOL:
    case CODEC_FLAGS:
    case CODEC_NAME_EMPTY:
    case CODEC_BYTES:
    case CODEC_TEXT:
    case CODEC_RECORD:
    case CODEC_ARRAY:
        break;
    }
    return false;
}

static bool pot_from_text(struct state_key *out, const struct part *parts, size_t count)
{
    struct name name;
    uint64_t id;
    if (count == 1 && strcmp(parts[0].text, pot_kind_names[POT_FEES]) == 0) {
        *out = state_key_pot(POT_FEES, NULL, 0);
        return true;
    }
    if (count != 2)
        return false;
    bool balance = strcmp(parts[0].text, pot_kind_names[POT_BALANCE]) == 0;
    if (balance || strcmp(parts[0].text, pot_kind_names[POT_MARKET_RESERVE]) == 0) {
        if (!name_from_text(&name, parts[1].text, strlen(parts[1].text)))
            return false;
        *out = state_key_pot(balance ? POT_BALANCE : POT_MARKET_RESERVE, &name, 0);
        return true;
    }
    if (!uint64_from_text(&id, parts[1].text))
        return false;
    if (strcmp(parts[0].text, pot_kind_names[POT_DISPUTE_BOND]) != 0)
        return false;
    *out = state_key_pot(POT_DISPUTE_BOND, NULL, id);
    return true;
}

bool state_key_from_text(struct state_key *out, enum state_kind kind, const char *text)
{
    const struct state_kind_info *info = state_kind_info(kind);
    if (info == NULL)
        return false;
    if (info->key_codec == NULL) {
        /* There is one record of this kind; a path may say so with nothing or with its name. */
        if (text[0] != '\0' && strcmp(text, info->name) != 0)
            return false;
        *out = state_key_single(kind);
        return true;
    }
    struct part parts[KEY_PARTS_MAX];
    size_t count = split(parts, text);
    if (kind == STATE_POT)
        return pot_from_text(out, parts, count);
    if (count != info->key_codec->field_count)
        return false;
    struct state_key key;
    struct byte_writer writer;
    memset(&key, 0, sizeof key);
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u8(&writer, (uint8_t)kind);
    for (size_t i = 0; i < count; i++)
        if (!part_from_text(&writer, &info->key_codec->fields[i], parts[i].text))
            return false;
    MUST(!writer.failed);
    key.size = writer.size;
    *out = key;
    return true;
}

static bool part_to_text(struct part *out, const struct codec_field *field,
                         struct byte_reader *reader)
{
    char name_text[NAME_SIZE + 1];
    char number_text[INT128_TEXT_SIZE];
    uint8_t bytes[32];
    struct name name;
    switch (field->type) {
    case CODEC_NAME:
        byte_read_raw(reader, name.text, NAME_SIZE);
        if (reader->failed || !name_is_valid(&name) || name_is_empty(&name))
            return false;
        snprintf(out->text, sizeof out->text, "%s", name_to_text(name_text, &name));
        return true;
    case CODEC_U64:
        int128_to_text(number_text, (int128)byte_read_u64(reader));
        snprintf(out->text, sizeof out->text, "%s", number_text);
        return !reader->failed;
    case CODEC_I64:
        int128_to_text(number_text, byte_read_i64(reader));
        snprintf(out->text, sizeof out->text, "%s", number_text);
        return !reader->failed;
    case CODEC_U8:
        snprintf(out->text, sizeof out->text, "%u", (unsigned)byte_read_u8(reader));
        return !reader->failed;
    case CODEC_U32:
        snprintf(out->text, sizeof out->text, "%u", (unsigned)byte_read_u32(reader));
        return !reader->failed;
    case CODEC_ENUM:
        bytes[0] = byte_read_u8(reader);
        if (reader->failed || bytes[0] >= field->limit || field->names[bytes[0]] == NULL)
            return false;
        snprintf(out->text, sizeof out->text, "%s", field->names[bytes[0]]);
        return true;
    case CODEC_FIXED:
        MUST(field->limit == sizeof bytes);
        byte_read_raw(reader, bytes, sizeof bytes);
        hex_encode(out->text, bytes, sizeof bytes);
        return !reader->failed;
    case CODEC_U16:
    case CODEC_BOOL:
    case CODEC_FLAGS:
    case CODEC_NAME_EMPTY:
    case CODEC_BYTES:
    case CODEC_TEXT:
    case CODEC_RECORD:
    case CODEC_ARRAY:
        break;
    }
    return false;
}

static bool append(char *text, size_t text_size, const char *separator, const char *part)
{
    size_t used = strlen(text);
    int written = snprintf(text + used, text_size - used, "%s%s", separator, part);
    return written >= 0 && (size_t)written < text_size - used;
}

static bool pot_to_text(char *text, size_t text_size, struct byte_reader *reader)
{
    static const struct codec_field kind_field = {
        .name = "kind", .type = CODEC_ENUM, .limit = POT_KIND_COUNT, .names = pot_kind_names};
    static const struct codec_field name_field = {.name = "participant", .type = CODEC_NAME};
    static const struct codec_field id_field = {.name = "id", .type = CODEC_U64};
    static const uint8_t zeros[POT_ID_SIZE];
    struct part part;
    uint8_t kind = reader->at < reader->size ? reader->data[reader->at] : 0;
    if (!part_to_text(&part, &kind_field, reader) || !pot_kind_has_record((enum pot_kind)kind) ||
        !append(text, text_size, "", part.text))
        return false;
    if (kind == POT_BALANCE || kind == POT_MARKET_RESERVE)
        return part_to_text(&part, &name_field, reader) && append(text, text_size, "/", part.text);
    if (kind != POT_FEES &&
        (!part_to_text(&part, &id_field, reader) || !append(text, text_size, "/", part.text)))
        return false;
    struct bytes_view rest = byte_read_view(reader, reader->size - reader->at);
    return rest.size == (kind == POT_FEES ? POT_ID_SIZE : POT_ID_SIZE - sizeof(uint64_t)) &&
           memcmp(rest.data, zeros, rest.size) == 0;
}

bool state_key_to_text(char *text, size_t text_size, enum state_kind kind, struct bytes_view key)
{
    const struct state_kind_info *info = state_kind_info(kind);
    if (info == NULL || text_size == 0)
        return false;
    text[0] = '\0';
    struct byte_reader reader;
    byte_reader_init(&reader, key.data, key.size);
    if (byte_read_u8(&reader) != kind || reader.failed)
        return false;
    if (info->key_codec == NULL)
        return byte_reader_done(&reader) && append(text, text_size, "", info->name);
    if (kind == STATE_POT)
        return pot_to_text(text, text_size, &reader) && byte_reader_done(&reader);
    for (size_t i = 0; i < info->key_codec->field_count; i++) {
        struct part part;
        if (!part_to_text(&part, &info->key_codec->fields[i], &reader) ||
            !append(text, text_size, i == 0 ? "" : "/", part.text))
            return false;
    }
    return byte_reader_done(&reader);
}
