/* Offline verification of proofs (verify/proof.h; interfaces: `flex proof verify`).
 *
 * Invariants: nothing from the file is used before it has been bound, by a hash or a signature, to
 * the genesis that the caller trusts; kind and id in the file are what the proven key says, so a
 * true proof of one record can't be shown as one of another; the text is canonical to the byte, so
 * that no two files differ and yet say the same.
 *
 * The checksum that proof_seal adds protects copies against accidents. Whoever forges can make a
 * new one, and gains nothing by it. It matters for `count`, which RFC 6962 paths pin down only
 * roughly: the same path fits trees of several sizes. */
#include "verify/proof.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "crypto/merkle.h"

enum { CHECKSUM_SIZE = 16, DESCENDANTS_MAX = LIMIT_VIEW_WINDOW };
enum { STATE_PROOF_BYTES_MAX = 2 + STATE_TREE_DEPTH_MAX * HASH_SIZE + 1 + 2 * HASH_SIZE };

/* --- reading ------------------------------------------------------------------------------ */

struct reading {
    const struct proof_trust *trust;
    const struct cJSON *object;
    struct byte_writer storage; /* decoded hex */
    struct proof *out;
    char *problem;
    struct trust_walk walk;
};

static bool refuse(struct reading *reading, const char *why)
{
    snprintf(reading->problem, PROOF_PROBLEM_SIZE, "%s", why);
    return false;
}

/* Decodes a hex field into the storage, which is half as long as the whole text and so always
 * holds it. */
static bool take_hex_text(struct reading *reading, struct bytes_view *out, const char *text)
{
    size_t digits = text != NULL ? strlen(text) : 1;
    size_t size = digits / 2;
    struct byte_writer *storage = &reading->storage;
    if (digits % 2 != 0 || size > storage->capacity - storage->size ||
        !hex_decode(storage->data + storage->size, size, text)) {
        return false;
    }
    *out = bytes_view_of(storage->data + storage->size, size);
    storage->size += size;
    return true;
}

static bool take_hex_of(struct reading *reading, struct bytes_view *out, const struct cJSON *object,
                        const char *key)
{
    return take_hex_text(reading, out, json_string(object, key));
}

static bool take_hex(struct reading *reading, struct bytes_view *out, const char *key)
{
    return take_hex_of(reading, out, reading->object, key);
}

/* Follows parent links from the proven header to a later one that is certified: needed where the
 * block was finalized through a descendant. Ends with the last header in *last. */
static bool follow_descendants(struct reading *reading, const struct cJSON *object,
                               struct block_header *last)
{
    const struct cJSON *list = json_array(object, "descendants");
    const struct cJSON *item;
    size_t count = 0;
    cJSON_ArrayForEach(item, list)
    {
        struct bytes_view bytes;
        if (++count > DESCENDANTS_MAX || !cJSON_IsString(item) ||
            !take_hex_text(reading, &bytes, item->valuestring)) {
            return refuse(reading, "a header behind the proven one is malformed");
        }
        const char *problem = trust_walk_descend(last, bytes);
        if (problem != NULL) {
            return refuse(reading, problem);
        }
    }
    return true;
}

/* A header of the epoch that has been reached, finalized by its set. */
static bool check_final_header(struct reading *reading, const struct cJSON *object,
                               struct block_header *out)
{
    struct bytes_view bytes;
    if (!take_hex_of(reading, &bytes, object, "header")) {
        return refuse(reading, "the header is malformed");
    }
    const char *problem = trust_walk_header(&reading->walk, out, bytes);
    if (problem != NULL) {
        return refuse(reading, problem);
    }
    struct block_header last = *out;
    if (!follow_descendants(reading, object, &last)) {
        return false;
    }
    struct certificate certificate;
    if (!take_hex_of(reading, &bytes, object, "certificate") ||
        !certificate_decode(&certificate, bytes)) {
        return refuse(reading, "the certificate is malformed");
    }
    problem = trust_walk_final(&reading->walk, &last, &certificate);
    return problem == NULL || refuse(reading, problem);
}

/* From the genesis set over each boundary block to the set of the proven header's epoch. */
static bool walk_epochs(struct reading *reading)
{
    static const char *const keys[] = {"header", "set", "descendants", "certificate", NULL};
    const struct cJSON *list = json_array(reading->object, "epochs");
    const struct cJSON *entry;
    cJSON_ArrayForEach(entry, list)
    {
        struct block_header header;
        struct bytes_view set;
        if (!cJSON_IsObject(entry) || json_unknown_key(entry, keys) != NULL) {
            return refuse(reading, "an epoch's boundary is malformed");
        }
        if (!check_final_header(reading, entry, &header)) {
            return false;
        }
        const char *problem = take_hex_of(reading, &set, entry, "set")
                                  ? trust_walk_step(&reading->walk, &header, set)
                                  : "a validator set is malformed";
        if (problem != NULL) {
            return refuse(reading, problem);
        }
    }
    return true;
}

/* The block is on the chain, and not above a boundary block in its epoch. */
static bool check_on_chain(struct reading *reading, const struct block_header *header)
{
    struct bytes_view bytes;
    struct block_header parent;
    bool given = json_string(reading->object, "parent") != NULL;
    if (given && (!take_hex(reading, &bytes, "parent") || !block_header_decode(&parent, bytes))) {
        return refuse(reading, "the parent's header is malformed");
    }
    const char *problem = trust_walk_on_chain(&reading->walk, header, given ? &parent : NULL);
    return problem == NULL || refuse(reading, problem);
}

static bool check_header(struct reading *reading)
{
    struct proof *out = reading->out;
    uint64_t height;
    trust_walk_begin(&reading->walk, reading->trust);
    if (!walk_epochs(reading) || !check_final_header(reading, reading->object, &out->header)) {
        return false;
    }
    if (!json_u64(&height, reading->object, "height") || height != out->header.height) {
        return refuse(reading, "the height is not the header's");
    }
    block_header_id(&out->block_id, &out->header);
    return check_on_chain(reading, &out->header);
}

static bool take_siblings(struct merkle_proof *out, struct bytes_view bytes)
{
    if (bytes.size % HASH_SIZE != 0 || bytes.size / HASH_SIZE > MERKLE_DEPTH_MAX) {
        return false;
    }
    out->count = (uint32_t)(bytes.size / HASH_SIZE);
    for (uint32_t i = 0; i < out->count; i++) {
        memcpy(out->siblings[i].bytes, bytes.data + (size_t)i * HASH_SIZE, HASH_SIZE);
    }
    return true;
}

/* An index or count may come as a JSON number or, as all 64-bit integers, as a decimal string. */
static bool take_small(uint64_t *out, const struct cJSON *object, const char *key)
{
    uint32_t small;
    if (json_u32(&small, object, key)) {
        *out = small;
        return true;
    }
    return json_u64(out, object, key);
}

static bool text_is_u64(uint64_t *out, const char *text)
{
    *out = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        unsigned digit = (unsigned)(uint8_t)text[i] - '0';
        if (digit > 9 || (i == 1 && text[0] == '0') || *out > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *out = *out * 10 + digit;
    }
    return text[0] != '\0';
}

/* A transaction's receipt has its id, that of a block's end none. */
static bool check_receipt_id(struct reading *reading)
{
    struct proof *out = reading->out;
    uint64_t height;
    if (out->type == PROOF_RECEIPT) {
        return hex_decode(out->transaction.bytes, HASH_SIZE, out->id) ||
               refuse(reading, "the id is not a transaction's");
    }
    return (text_is_u64(&height, out->id) && height == out->header.height) ||
           refuse(reading, "the id is not the block's height");
}

static bool check_receipt(struct reading *reading)
{
    static const char *const keys[] = {"format",      "kind",        "id",      "height", "header",
                                       "certificate", "descendants", "receipt", "index",  "count",
                                       "proof",       "checksum",    "epochs",  "parent", NULL};
    struct proof *out = reading->out;
    struct bytes_view receipt, path;
    struct merkle_proof proof;
    uint64_t index, count;
    if (json_unknown_key(reading->object, keys) != NULL) {
        return refuse(reading, "the proof has a key that none has");
    }
    if (!check_receipt_id(reading)) {
        return false;
    }
    if (!take_hex(reading, &receipt, "receipt") ||
        !codec_decode_all(&receipt_record, &out->receipt, receipt)) {
        return refuse(reading, "the receipt is malformed");
    }
    if (!hash_equal(&out->receipt.tx_id, &out->transaction)) {
        return refuse(reading, "the receipt is another transaction's");
    }
    if (!take_small(&index, reading->object, "index") ||
        !take_small(&count, reading->object, "count") || count > LIMIT_TX_PER_BLOCK + 1 ||
        index >= count || (out->type == PROOF_BLOCK_END && index + 1 != count) ||
        !take_hex(reading, &path, "proof") || !take_siblings(&proof, path)) {
        return refuse(reading, "the path to the receipt root is malformed");
    }
    struct hash leaf;
    receipt_leaf(&leaf, &out->receipt);
    if (!merkle_verify(&proof, &leaf, index, count, &out->header.receipt_root)) {
        return refuse(reading, "the path does not lead to the header's receipt root");
    }
    return true;
}

/* The header's log covers the blocks before it: leaf i is block i, and there are `height` of them. */
static bool check_block(struct reading *reading)
{
    static const char *const keys[] = {"format",      "kind",        "id",    "height", "header",
                                       "certificate", "descendants", "block", "proof",  "checksum",
                                       "epochs",      "parent",      NULL};
    struct proof *out = reading->out;
    struct bytes_view bytes, path;
    struct merkle_proof proof;
    struct hash leaf;
    uint64_t height;
    if (json_unknown_key(reading->object, keys) != NULL) {
        return refuse(reading, "the proof has a key that none has");
    }
    if (!take_hex(reading, &bytes, "block") || !block_header_decode(&out->earlier, bytes)) {
        return refuse(reading, "the earlier block's header is malformed");
    }
    if (!text_is_u64(&height, out->id) || height != out->earlier.height) {
        return refuse(reading, "the id is not the earlier block's height");
    }
    if (!take_hex(reading, &path, "proof") || !take_siblings(&proof, path)) {
        return refuse(reading, "the path to the log root is malformed");
    }
    block_header_id(&out->earlier_id, &out->earlier);
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, out->earlier_id.bytes, HASH_SIZE);
    if (!merkle_verify(&proof, &leaf, height, out->header.height, &out->header.log_root)) {
        return refuse(reading, "the path does not lead to the header's log root");
    }
    return true;
}

static bool check_log(struct reading *reading)
{
    static const char *const keys[] = {
        "format",   "kind",  "id",       "height", "header", "certificate", "descendants",
        "old_root", "proof", "checksum", "epochs", "parent", NULL};
    struct proof *out = reading->out;
    struct bytes_view root, path;
    struct merkle_proof proof;
    char wanted[PROOF_ID_SIZE];
    if (json_unknown_key(reading->object, keys) != NULL) {
        return refuse(reading, "the proof has a key that none has");
    }
    char old[PROOF_ID_SIZE];
    size_t length = strcspn(out->id, "/");
    memcpy(old, out->id, length);
    old[length] = '\0';
    snprintf(wanted, sizeof wanted, "%.20s/%" PRIu64, old, out->header.height);
    if (!text_is_u64(&out->old_size, old) || out->old_size == 0 || strcmp(wanted, out->id) != 0) {
        return refuse(reading, "the id does not name two sizes of the log, this header's last");
    }
    if (!take_hex(reading, &root, "old_root") || root.size != HASH_SIZE ||
        !take_hex(reading, &path, "proof") || !take_siblings(&proof, path)) {
        return refuse(reading, "the proof of consistency is malformed");
    }
    memcpy(out->old_root.bytes, root.data, HASH_SIZE);
    if (!merkle_verify_consistency(&proof, out->old_size, &out->old_root, out->header.height,
                                   &out->header.log_root)) {
        return refuse(reading, "the proof of consistency does not lead to the header's log root");
    }
    return true;
}

static bool check_state(struct reading *reading)
{
    static const char *const keys[] = {"format",      "kind",        "id",     "height", "header",
                                       "certificate", "descendants", "key",    "value",  "proof",
                                       "checksum",    "epochs",      "parent", NULL};
    struct proof *out = reading->out;
    struct bytes_view key, path;
    struct state_key wanted;
    if (json_unknown_key(reading->object, keys) != NULL) {
        return refuse(reading, "the proof has a key that none has");
    }
    if (!state_key_from_text(&wanted, out->kind->kind, out->id) ||
        !take_hex(reading, &key, "key") ||
        !bytes_view_equal(key, bytes_view_of(wanted.bytes, wanted.size))) {
        return refuse(reading, "the key is not that of the kind and id");
    }
    const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(reading->object, "value");
    out->present = !cJSON_IsNull(value);
    if (out->present &&
        (!take_hex(reading, &out->value, "value") || out->value.size > LIMIT_STATE_VALUE_BYTES)) {
        return refuse(reading, "the value is malformed");
    }
    struct state_tree_proof proof;
    if (!take_hex(reading, &path, "proof") || path.size > STATE_PROOF_BYTES_MAX) {
        return refuse(reading, "the path to the state root is malformed");
    }
    struct byte_reader reader;
    byte_reader_init(&reader, path.data, path.size);
    state_tree_proof_decode(&proof, &reader);
    if (!byte_reader_done(&reader)) {
        return refuse(reading, "the path to the state root is malformed");
    }
    struct hash key_hash, value_hash;
    hash_bytes(&key_hash, HASH_DOMAIN_STATE_KEY, key.data, key.size);
    if (out->present) {
        hash_bytes(&value_hash, HASH_DOMAIN_STATE_VALUE, out->value.data, out->value.size);
    }
    if (!state_tree_verify(&proof, &out->header.state_root, &key_hash,
                           out->present ? &value_hash : NULL)) {
        return refuse(reading, "the path does not lead to the header's state root");
    }
    return true;
}

/* --- the file ----------------------------------------------------------------------------- */

static void checksum_text(char out[2 * CHECKSUM_SIZE + 1], const char *text, size_t size)
{
    uint8_t bytes[CHECKSUM_SIZE];
    crypto_generichash(bytes, sizeof bytes, (const uint8_t *)text, size, NULL, 0);
    hex_encode(out, bytes, sizeof bytes);
}

/* The object printed again without its checksum; the caller frees with cJSON_free. */
static char *print_without_checksum(struct cJSON *object)
{
    struct cJSON *checksum = cJSON_DetachItemFromObjectCaseSensitive(object, "checksum");
    char *text = cJSON_PrintUnformatted(object);
    if (checksum != NULL) {
        cJSON_AddItemToObject(object, "checksum", checksum);
    }
    return text;
}

/* Every byte of the text must be the one that printing its meaning gives. */
static bool text_is_canonical(struct cJSON *object, const char *text, size_t size)
{
    char *printed = cJSON_PrintUnformatted(object);
    bool same = printed != NULL && strlen(printed) == size && memcmp(printed, text, size) == 0;
    cJSON_free(printed);
    const struct cJSON *checksum = cJSON_GetObjectItemCaseSensitive(object, "checksum");
    if (!same || checksum == NULL) {
        return same;
    }
    char *rest = print_without_checksum(object);
    char wanted[2 * CHECKSUM_SIZE + 1];
    checksum_text(wanted, rest != NULL ? rest : "", rest != NULL ? strlen(rest) : 0);
    same = rest != NULL && cJSON_IsString(checksum) &&
           strcmp(((const struct cJSON *)checksum)->valuestring, wanted) == 0;
    cJSON_free(rest);
    return same;
}

char *proof_seal(const char *text, size_t size)
{
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *object = json_parse_strict(text, size, problem);
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return NULL;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(object, "checksum");
    char *rest = print_without_checksum(object);
    char *sealed = NULL;
    if (rest != NULL) {
        char checksum[2 * CHECKSUM_SIZE + 1];
        checksum_text(checksum, rest, strlen(rest));
        cJSON_AddStringToObject(object, "checksum", checksum);
        char *printed = cJSON_PrintUnformatted(object);
        sealed = printed != NULL ? strdup(printed) : NULL;
        cJSON_free(printed);
    }
    cJSON_free(rest);
    cJSON_Delete(object);
    return sealed;
}

static const char *const type_names[] = {[PROOF_RECEIPT] = "transaction",
                                         [PROOF_BLOCK] = "block",
                                         [PROOF_LOG] = "log",
                                         [PROOF_BLOCK_END] = "block_end"};

/* Any other word is a kind of record, or none. */
static enum proof_type type_of(const char *kind)
{
    for (int type = PROOF_RECEIPT; type <= PROOF_BLOCK_END; type++) {
        if (strcmp(kind, type_names[type]) == 0) {
            return (enum proof_type)type;
        }
    }
    return PROOF_STATE;
}

const char *proof_kind_name(const struct proof *proof)
{
    return proof->type == PROOF_STATE ? proof->kind->name : type_names[proof->type];
}

static bool verify_object(struct reading *reading)
{
    const char *format = json_string(reading->object, "format");
    const char *kind = json_string(reading->object, "kind");
    const char *id = json_string(reading->object, "id");
    struct proof *out = reading->out;
    if (format == NULL || strcmp(format, "flexproof/1") != 0) {
        return refuse(reading, "this is not a proof file");
    }
    if (kind == NULL || id == NULL || strlen(id) >= sizeof out->id) {
        return refuse(reading, "kind or id is missing or too long");
    }
    memcpy(out->id, id, strlen(id) + 1);
    out->type = type_of(kind);
    out->kind = out->type == PROOF_STATE ? state_kind_by_name(kind) : NULL;
    if (out->type == PROOF_STATE && (out->kind == NULL || strcmp(out->kind->name, kind) != 0)) {
        return refuse(reading, "there is no such kind of record");
    }
    if (!check_header(reading)) {
        return false;
    }
    switch (out->type) {
    case PROOF_STATE:
        return check_state(reading);
    case PROOF_RECEIPT:
        return check_receipt(reading);
    case PROOF_BLOCK:
        return check_block(reading);
    case PROOF_LOG:
        return check_log(reading);
    case PROOF_BLOCK_END:
        return check_receipt(reading);
    }
    MUST(false);
}

bool proof_verify(struct proof *out, const struct proof_trust *trust, const char *text, size_t size,
                  char problem[PROOF_PROBLEM_SIZE])
{
    memset(out, 0, sizeof *out);
    struct reading reading = {.trust = trust, .out = out, .problem = problem};
    if (size > PROOF_FILE_BYTES_MAX) {
        return refuse(&reading, "the file is too large for a proof");
    }
    char reason[JSON_PROBLEM_SIZE];
    struct cJSON *object = json_parse_strict(text, size, reason);
    reading.object = object;
    bool ok = false;
    out->storage = malloc(size / 2 + 1);
    if (object == NULL || !cJSON_IsObject(object)) {
        snprintf(problem, PROOF_PROBLEM_SIZE, "not a JSON object: %.120s",
                 object == NULL ? reason : "another value");
    } else if (out->storage == NULL) {
        refuse(&reading, "memory ran out");
    } else if (!text_is_canonical(object, text, size)) {
        refuse(&reading, "the file is damaged or not in canonical form");
    } else {
        byte_writer_init(&reading.storage, out->storage, size / 2 + 1);
        ok = verify_object(&reading);
    }
    cJSON_Delete(object);
    if (!ok) {
        proof_release(out);
    }
    return ok;
}

void proof_release(struct proof *proof)
{
    free(proof->storage);
    memset(proof, 0, sizeof *proof);
}
