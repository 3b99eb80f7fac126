/* Signed notes and cosignatures (verify/note.h; docs/spec/digest.md).
 *
 * Invariants: a note that is accepted is valid UTF-8 without control characters, its base64 has no
 * unused bits set, and printing what was read gives the same bytes; a key id is never taken for more
 * than a hint which key to try.
 *
 * Absent on purpose: plain Ed25519 signatures over the text (type 1). Validators sign blocks and
 * nothing else (ADR 0023), witnesses sign with a time. */
#include "verify/note.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/utf8.h"

enum { COSIGNATURE_TYPE = 4, EM_DASH_SIZE = 4 };

/* U+2014 and a space. */
static const uint8_t em_dash[EM_DASH_SIZE] = {0xe2, 0x80, 0x94, ' '};

/* --- base64 ---------------------------------------------------------------------------------- */

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(uint8_t *out, size_t *size, struct bytes_view text)
{
    *size = 0;
    if (text.size % 4 != 0) {
        return false;
    }
    for (size_t at = 0; at < text.size; at += 4) {
        uint32_t bits = 0;
        bool last = at + 4 == text.size;
        unsigned pads = 0;
        for (unsigned i = 0; i < 4; i++) {
            uint8_t c = text.data[at + i];
            bool pad = last && i >= 2 && c == '=';
            int value = pad ? 0 : base64_value(c);
            if (value < 0 || (pads > 0 && !pad)) {
                return false;
            }
            pads += pad;
            bits = bits << 6 | (uint32_t)value;
        }
        /* Bits that belong to no byte are zero, or two texts would mean the same. */
        if ((pads == 1 && (bits & 0xff) != 0) || (pads == 2 && (bits & 0xffff) != 0)) {
            return false;
        }
        for (unsigned i = 0; i + pads < 3; i++) {
            out[(*size)++] = (uint8_t)(bits >> (16 - 8 * i));
        }
    }
    return true;
}

void base64_write(struct byte_writer *writer, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = data;
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t bits = (uint32_t)bytes[at] << 16;
        bits |= left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0;
        bits |= left > 2 ? bytes[at + 2] : 0;
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], '=', '='};
        if (left > 1) {
            four[2] = digits[bits >> 6 & 63];
        }
        if (left > 2) {
            four[3] = digits[bits & 63];
        }
        byte_write_raw(writer, four, sizeof four);
    }
}

void text_write(struct byte_writer *writer, const char *text)
{
    byte_write_raw(writer, text, strlen(text));
}

/* --- reading --------------------------------------------------------------------------------- */

bool note_line(struct bytes_view *line, struct bytes_view *rest)
{
    const uint8_t *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    if (end == NULL) {
        return false;
    }
    *line = bytes_view_of(rest->data, (size_t)(end - rest->data));
    *rest = bytes_view_of(end + 1, rest->size - line->size - 1);
    return true;
}

static bool is_plain_text(struct bytes_view bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        uint32_t code;
        size_t size = utf8_decode(&code, bytes.data + at, bytes.size - at);
        if (size == 0 || (code < 0x20 && code != '\n')) {
            return false;
        }
        at += size;
    }
    return true;
}

static bool name_byte_is_valid(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '+';
}

bool note_name_is_valid(const char *name)
{
    size_t length = strnlen(name, NOTE_NAME_SIZE);
    for (size_t i = 0; i < length; i++) {
        if (!name_byte_is_valid((uint8_t)name[i])) {
            return false;
        }
    }
    return length > 0 && length < NOTE_NAME_SIZE;
}

static bool read_signature(struct note_signature *out, struct bytes_view line)
{
    static const size_t encoded_max = (size_t)(NOTE_KEY_ID_SIZE + NOTE_SIGNATURE_BYTES_MAX) / 3 * 4;
    uint8_t decoded[NOTE_KEY_ID_SIZE + NOTE_SIGNATURE_BYTES_MAX + 3];
    size_t size, name = 0;
    if (line.size < EM_DASH_SIZE || memcmp(line.data, em_dash, EM_DASH_SIZE) != 0) {
        return false;
    }
    line = bytes_view_of(line.data + EM_DASH_SIZE, line.size - EM_DASH_SIZE);
    while (name < line.size && name_byte_is_valid(line.data[name])) {
        name++;
    }
    if (name == 0 || name >= NOTE_NAME_SIZE || name == line.size || line.data[name] != ' ') {
        return false;
    }
    struct bytes_view encoded = bytes_view_of(line.data + name + 1, line.size - name - 1);
    if (encoded.size > encoded_max || !base64_decode(decoded, &size, encoded) ||
        size <= NOTE_KEY_ID_SIZE) {
        return false;
    }
    *out = (struct note_signature){.name = bytes_view_of(line.data, name),
                                   .size = size - NOTE_KEY_ID_SIZE};
    memcpy(out->key_id, decoded, NOTE_KEY_ID_SIZE);
    memcpy(out->bytes, decoded + NOTE_KEY_ID_SIZE,
           out->size < sizeof out->bytes ? out->size : sizeof out->bytes);
    return true;
}

/* The text ends where the last empty line begins. */
static bool find_text(struct bytes_view *text, struct bytes_view bytes)
{
    for (size_t at = bytes.size; at >= 2; at--) {
        if (bytes.data[at - 1] == '\n' && bytes.data[at - 2] == '\n') {
            *text = bytes_view_of(bytes.data, at - 1);
            return text->size > 1;
        }
    }
    return false;
}

const char *note_parse(struct note *out, const char *bytes, size_t size)
{
    struct bytes_view all = bytes_view_of(bytes, size), line;
    out->count = 0;
    if (size > NOTE_BYTES_MAX) {
        return "the file is too large for a note";
    }
    if (!is_plain_text(all)) {
        return "a note is UTF-8 without control characters";
    }
    if (!find_text(&out->text, all)) {
        return "a note has a text, an empty line and signature lines";
    }
    struct bytes_view rest =
        bytes_view_of(out->text.data + out->text.size + 1, size - out->text.size - 1);
    while (note_line(&line, &rest)) {
        if (out->count == NOTE_SIGNATURES_MAX) {
            return "the note has too many signatures";
        }
        if (!read_signature(&out->signatures[out->count++], line)) {
            return "a signature line is malformed";
        }
    }
    if (rest.size > 0) {
        return "the last line of the note is cut off";
    }
    return out->count > 0 ? NULL : "the note has no signature";
}

/* --- keys and cosignatures ------------------------------------------------------------------- */

void note_key_id(uint8_t out[NOTE_KEY_ID_SIZE], const char *name, struct bytes_view type,
                 const struct public_key *key)
{
    crypto_hash_sha256_state state;
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
    crypto_hash_sha256_update(&state, (const uint8_t *)"\n", 1);
    crypto_hash_sha256_update(&state, type.data, type.size);
    crypto_hash_sha256_update(&state, key->bytes, sizeof key->bytes);
    crypto_hash_sha256_final(&state, digest);
    memcpy(out, digest, NOTE_KEY_ID_SIZE);
}

void note_write_signature(struct byte_writer *writer, const char *name,
                          const uint8_t key_id[NOTE_KEY_ID_SIZE], const void *signature,
                          size_t size)
{
    uint8_t bytes[NOTE_KEY_ID_SIZE + NOTE_COSIGNATURE_SIZE];
    MUST(size <= NOTE_COSIGNATURE_SIZE && note_name_is_valid(name));
    memcpy(bytes, key_id, NOTE_KEY_ID_SIZE);
    memcpy(bytes + NOTE_KEY_ID_SIZE, signature, size);
    byte_write_raw(writer, em_dash, EM_DASH_SIZE);
    text_write(writer, name);
    text_write(writer, " ");
    base64_write(writer, bytes, NOTE_KEY_ID_SIZE + size);
    text_write(writer, "\n");
}

static void witness_key_id(uint8_t out[NOTE_KEY_ID_SIZE], const struct note_witness *witness)
{
    static const uint8_t type = COSIGNATURE_TYPE;
    note_key_id(out, witness->name, bytes_view_of(&type, 1), &witness->key);
}

bool note_witness_from_text(struct note_witness *out, const char *text, size_t size)
{
    struct note_witness witness = {.name = ""};
    char wanted[NOTE_VKEY_MAX];
    uint8_t bytes[48];
    size_t decoded;
    const char *plus = size > 0 ? memchr(text, '+', size) : NULL;
    /* Eight digits of the id, a plus, and 44 characters for 33 bytes. */
    if (plus == NULL || plus == text || plus - text >= NOTE_NAME_SIZE ||
        size - (size_t)(plus - text) != 1 + 8 + 1 + 44) {
        return false;
    }
    memcpy(witness.name, text, (size_t)(plus - text));
    if (!note_name_is_valid(witness.name) ||
        !base64_decode(bytes, &decoded, bytes_view_of(plus + 10, 44)) ||
        decoded != 1 + PUBLIC_KEY_SIZE || bytes[0] != COSIGNATURE_TYPE) {
        return false;
    }
    memcpy(witness.key.bytes, bytes + 1, PUBLIC_KEY_SIZE);
    note_witness_to_text(wanted, &witness);
    if (strlen(wanted) != size || memcmp(wanted, text, size) != 0) {
        return false;
    }
    *out = witness;
    return true;
}

void note_witness_to_text(char out[NOTE_VKEY_MAX], const struct note_witness *witness)
{
    uint8_t id[NOTE_KEY_ID_SIZE], bytes[1 + PUBLIC_KEY_SIZE] = {COSIGNATURE_TYPE};
    char hex[2 * NOTE_KEY_ID_SIZE + 1];
    struct byte_writer writer;
    MUST(note_name_is_valid(witness->name));
    witness_key_id(id, witness);
    hex_encode(hex, id, sizeof id);
    memcpy(bytes + 1, witness->key.bytes, PUBLIC_KEY_SIZE);
    byte_writer_init(&writer, (uint8_t *)out, NOTE_VKEY_MAX);
    text_write(&writer, witness->name);
    text_write(&writer, "+");
    text_write(&writer, hex);
    text_write(&writer, "+");
    base64_write(&writer, bytes, sizeof bytes);
    byte_write_u8(&writer, 0);
    MUST(!writer.failed);
}

bool note_is_by(const struct note_signature *signature, const struct note_witness *witness)
{
    uint8_t id[NOTE_KEY_ID_SIZE];
    witness_key_id(id, witness);
    return memcmp(signature->key_id, id, sizeof id) == 0 &&
           bytes_view_equal(signature->name, bytes_view_of(witness->name, strlen(witness->name)));
}

/* What a witness signs; the caller frees. NULL if memory ran out. */
static char *cosigned_message(size_t *size, uint64_t time_s, struct bytes_view text)
{
    char head[64];
    int length = snprintf(head, sizeof head, "cosignature/v1\ntime %" PRIu64 "\n", time_s);
    MUST(length > 0 && (size_t)length < sizeof head && text.size <= NOTE_BYTES_MAX);
    *size = (size_t)length + text.size;
    char *message = malloc(*size);
    if (message != NULL) {
        memcpy(message, head, (size_t)length);
        memcpy(message + length, text.data, text.size);
    }
    return message;
}

bool note_cosignature_verify(const struct note_signature *signature, uint64_t *time_s,
                             const struct note_witness *witness, struct bytes_view text)
{
    struct byte_reader reader;
    struct signature ed25519;
    size_t size;
    if (!note_is_by(signature, witness) || signature->size != NOTE_COSIGNATURE_SIZE) {
        return false;
    }
    byte_reader_init(&reader, signature->bytes, sizeof signature->bytes);
    *time_s = byte_read_u64(&reader);
    byte_read_raw(&reader, ed25519.bytes, sizeof ed25519.bytes);
    MUST(byte_reader_done(&reader));
    char *message = cosigned_message(&size, *time_s, text);
    bool good = *time_s <= INT64_MAX && message != NULL &&
                ed25519_verify_raw(&ed25519, &witness->key, message, size);
    free(message);
    return good;
}

bool note_cosign(struct byte_writer *writer, const struct note_witness *witness,
                 const struct secret_key *seed, uint64_t time_s, struct bytes_view text)
{
    uint8_t id[NOTE_KEY_ID_SIZE], bytes[NOTE_COSIGNATURE_SIZE];
    struct signature ed25519;
    struct byte_writer signature;
    size_t size;
    char *message = cosigned_message(&size, time_s, text);
    if (message == NULL) {
        return false;
    }
    ed25519_sign_raw(&ed25519, seed, message, size);
    free(message);
    byte_writer_init(&signature, bytes, sizeof bytes);
    byte_write_u64(&signature, time_s);
    byte_write_raw(&signature, ed25519.bytes, sizeof ed25519.bytes);
    MUST(!signature.failed);
    witness_key_id(id, witness);
    note_write_signature(writer, witness->name, id, bytes, sizeof bytes);
    return true;
}
