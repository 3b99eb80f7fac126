/* Signed requests (node/read_request.h).
 *
 * Invariants: one request has one header text, and one header text one request, so nothing can be
 * changed in it that the signature does not cover; every length is written before its bytes, so method,
 * target and body can't be shifted against each other.
 *
 * Deliberately absent: other schemes, optional fields, upper case. Who writes a client has one form to
 * get right. */
#include "node/read_request.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fatal.h"

static const char scheme[] = "Flexledger ";

/* Takes `word` off the text. */
static bool take_word(const char **text, const char *word)
{
    const size_t size = strlen(word);
    if (strncmp(*text, word, size) != 0)
        return false;
    *text += size;
    return true;
}

/* Takes name="hex" off the text. */
static bool take_hex(const char **text, const char *name, void *out, size_t size)
{
    char digits[2 * SIGNATURE_SIZE + 1];
    MUST(size <= SIGNATURE_SIZE);
    if (!take_word(text, name) || !take_word(text, "=\"") || strlen(*text) < 2 * size)
        return false;
    memcpy(digits, *text, 2 * size);
    digits[2 * size] = '\0';
    *text += 2 * size;
    return hex_decode(out, size, digits) && take_word(text, "\"");
}

/* Takes time="ms" off the text: canonical decimal, not below zero. */
static bool take_time(const char **text, int64_t *out)
{
    char digits[24];
    uint64_t value;
    if (!take_word(text, "time=\""))
        return false;
    const size_t size = strspn(*text, "0123456789");
    if (size == 0 || size >= sizeof digits || ((*text)[0] == '0' && size > 1))
        return false;
    memcpy(digits, *text, size);
    digits[size] = '\0';
    *text += size;
    if (!uint64_from_text(&value, digits) || value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return take_word(text, "\"");
}

bool read_request_parse(struct read_request *out, const char *text)
{
    memset(out, 0, sizeof *out);
    return take_word(&text, scheme) && take_hex(&text, "key", out->key.bytes, PUBLIC_KEY_SIZE) &&
           take_word(&text, ", ") && take_time(&text, &out->time_ms) && take_word(&text, ", ") &&
           take_hex(&text, "nonce", out->nonce, sizeof out->nonce) && take_word(&text, ", ") &&
           take_hex(&text, "signature", out->signature.bytes, SIGNATURE_SIZE) && *text == '\0';
}

void read_request_print(char out[READ_REQUEST_TEXT_SIZE], const struct read_request *request)
{
    char key[2 * PUBLIC_KEY_SIZE + 1];
    char nonce[2 * READ_REQUEST_NONCE_SIZE + 1];
    char signature[2 * SIGNATURE_SIZE + 1];
    hex_encode(key, request->key.bytes, PUBLIC_KEY_SIZE);
    hex_encode(nonce, request->nonce, READ_REQUEST_NONCE_SIZE);
    hex_encode(signature, request->signature.bytes, SIGNATURE_SIZE);
    int size = snprintf(out, READ_REQUEST_TEXT_SIZE,
                        "%skey=\"%s\", time=\"%lld\", nonce=\"%s\", signature=\"%s\"", scheme, key,
                        (long long)request->time_ms, nonce, signature);
    MUST(size > 0 && size < READ_REQUEST_TEXT_SIZE);
}

bool read_request_message(struct hash *out, const struct read_request *request,
                          const struct read_target *target)
{
    uint8_t numbers[8 + 2];
    struct byte_writer writer;
    struct hash_state state;
    const size_t method = strlen(target->method);
    const size_t path = strlen(target->target);
    if (method > READ_REQUEST_METHOD_MAX || path > READ_REQUEST_TARGET_MAX ||
        target->body.size > UINT32_MAX)
        return false;
    hash_begin(&state, HASH_DOMAIN_READ_REQUEST);
    hash_update(&state, target->genesis->bytes, HASH_SIZE);
    hash_update(&state, target->node->bytes, PUBLIC_KEY_SIZE);
    byte_writer_init(&writer, numbers, sizeof numbers);
    byte_write_i64(&writer, request->time_ms);
    hash_update(&state, numbers, writer.size);
    hash_update(&state, request->nonce, READ_REQUEST_NONCE_SIZE);
    byte_writer_init(&writer, numbers, sizeof numbers);
    byte_write_u16(&writer, (uint16_t)method);
    hash_update(&state, numbers, writer.size);
    hash_update(&state, target->method, method);
    byte_writer_init(&writer, numbers, sizeof numbers);
    byte_write_u16(&writer, (uint16_t)path);
    hash_update(&state, numbers, writer.size);
    hash_update(&state, target->target, path);
    byte_writer_init(&writer, numbers, sizeof numbers);
    byte_write_u32(&writer, (uint32_t)target->body.size);
    hash_update(&state, numbers, writer.size);
    hash_update(&state, target->body.data, target->body.size);
    hash_end(&state, out);
    return true;
}

bool read_request_sign(struct read_request *request, const struct secret_key *secret,
                       const struct read_target *target)
{
    struct hash message;
    return read_request_message(&message, request, target) &&
           schnorr_sign(&request->signature, secret, &message);
}

bool read_request_verify(const struct read_request *request, const struct read_target *target)
{
    struct hash message;
    return read_request_message(&message, request, target) &&
           schnorr_verify(&request->signature, &request->key, &message);
}

/* --- the challenge ---------------------------------------------------------------------------- */

bool read_challenge_parse(struct read_challenge *out, const char *text)
{
    memset(out, 0, sizeof *out);
    return take_word(&text, scheme) && take_hex(&text, "genesis", out->genesis.bytes, HASH_SIZE) &&
           take_word(&text, ", ") && take_hex(&text, "node", out->node.bytes, PUBLIC_KEY_SIZE) &&
           take_word(&text, ", ") && take_time(&text, &out->time_ms) && *text == '\0';
}

void read_challenge_print(char out[READ_REQUEST_TEXT_SIZE], const struct read_challenge *challenge)
{
    char genesis[2 * HASH_SIZE + 1];
    char node[2 * PUBLIC_KEY_SIZE + 1];
    hex_encode(genesis, challenge->genesis.bytes, HASH_SIZE);
    hex_encode(node, challenge->node.bytes, PUBLIC_KEY_SIZE);
    int size = snprintf(out, READ_REQUEST_TEXT_SIZE, "%sgenesis=\"%s\", node=\"%s\", time=\"%lld\"",
                        scheme, genesis, node,
                        (long long)(challenge->time_ms > 0 ? challenge->time_ms : 0));
    MUST(size > 0 && size < READ_REQUEST_TEXT_SIZE);
}
