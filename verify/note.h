/* Signed notes: text with signature lines, as c2sp.org/signed-note and Go's note package have it, and
 * the timestamped cosignatures of c2sp.org/tlog-cosignature (docs/spec/digest.md).
 *
 *   text, ending in a newline; an empty line; then per signature: U+2014, space, key name, space,
 *   base64 of (4 bytes of key id, signature), newline
 *
 * Reading is strict: what note_parse accepts has one form only, so that every byte of a note counts.
 * Only the two cosignature functions allocate: a copy of the text, freed before they return. */
#ifndef FLEX_VERIFY_NOTE_H
#define FLEX_VERIFY_NOTE_H

#include "crypto/sign.h"

enum {
    NOTE_BYTES_MAX = 8 * 1024 * 1024,
    /* 31 validators, and as many witnesses again and some. */
    NOTE_SIGNATURES_MAX = 100,
    NOTE_NAME_SIZE = 128, /* with its NUL */
    NOTE_KEY_ID_SIZE = 4,
    /* Longer ones exist (post-quantum); none that is verified here. */
    NOTE_SIGNATURE_BYTES_MAX = 8 * 1024,
    NOTE_COSIGNATURE_SIZE = 8 + SIGNATURE_SIZE,
    NOTE_LINE_MAX = NOTE_NAME_SIZE + 2 * NOTE_COSIGNATURE_SIZE + 16,
    NOTE_VKEY_MAX = NOTE_NAME_SIZE + 1 + 8 + 1 + 48
};

struct note_signature {
    struct bytes_view name;
    uint8_t key_id[NOTE_KEY_ID_SIZE];
    size_t size;                          /* of the signature, whatever it is */
    uint8_t bytes[NOTE_COSIGNATURE_SIZE]; /* its head */
};

struct note {
    struct bytes_view text; /* with its last newline; into the input, as all views here */
    uint32_t count;
    struct note_signature signatures[NOTE_SIGNATURES_MAX];
};
/* NULL, or what is wrong. Nothing in it has been verified. */
const char *note_parse(struct note *out, const char *bytes, size_t size);

/* One line of text without its newline, from the front of *rest; false if there is none. */
bool note_line(struct bytes_view *line, struct bytes_view *rest);

/* Standard base64 with padding, canonical: exactly one text for any bytes. `out` has room for
 * 3 * (text.size / 4) bytes. */
bool base64_decode(uint8_t *out, size_t *size, struct bytes_view text);
void base64_write(struct byte_writer *writer, const void *data, size_t size);
void text_write(struct byte_writer *writer, const char *text);

/* First four bytes of SHA-256(name, newline, type, key). */
void note_key_id(uint8_t out[NOTE_KEY_ID_SIZE], const char *name, struct bytes_view type,
                 const struct public_key *key);
void note_write_signature(struct byte_writer *writer, const char *name,
                          const uint8_t key_id[NOTE_KEY_ID_SIZE], const void *signature,
                          size_t size);

/* Somebody who saw a text and says when: an Ed25519 key of its own. */
struct note_witness {
    char name[NOTE_NAME_SIZE];
    struct public_key key;
};
/* A name that can stand in a signature line: 1 to 127 printable ASCII bytes, no space, no '+'. */
bool note_name_is_valid(const char *name);
/* "name+keyid+base64(4, key)", as witnesses publish themselves. The id must be the key's. */
bool note_witness_from_text(struct note_witness *out, const char *text, size_t size);
/* Ends in NUL. */
void note_witness_to_text(char out[NOTE_VKEY_MAX], const struct note_witness *witness);
bool note_is_by(const struct note_signature *signature, const struct note_witness *witness);
/* The signature is that witness's, over this text, at *time_s (since the epoch). */
bool note_cosignature_verify(const struct note_signature *signature, uint64_t *time_s,
                             const struct note_witness *witness, struct bytes_view text);
/* Appends a signature line to a note. The text is at most NOTE_BYTES_MAX. False if memory ran out. */
bool note_cosign(struct byte_writer *writer, const struct note_witness *witness,
                 const struct secret_key *seed, uint64_t time_s, struct bytes_view text);

#endif
