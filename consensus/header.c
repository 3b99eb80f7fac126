/* Block headers and validator sets: their codec tables, identities and quorum arithmetic
 * (consensus.md 1, 2).
 *
 * Invariants
 *   1. A header has one encoding of BLOCK_HEADER_SIZE bytes; its id is the hash of those bytes.
 *   2. A quorum is n - f, never 2f+1: with n = 5 or 6 two sets of 2f+1 need not meet in an honest
 *      member.
 * Absent on purpose: bodies (opaque to consensus) and rules about parents (consensus/chain.c). */
#include "consensus/header.h"

#include <string.h>

#include "base/fatal.h"

static const struct codec_field block_header_fields[] = {
    {.name = "version", .type = CODEC_U32, .offset = offsetof(struct block_header, version)},
    {.name = "genesis",
     .type = CODEC_FIXED,
     .offset = offsetof(struct block_header, genesis),
     .limit = HASH_SIZE},
    {.name = "epoch", .type = CODEC_U64, .offset = offsetof(struct block_header, epoch)},
    {.name = "height", .type = CODEC_U64, .offset = offsetof(struct block_header, height)},
    {.name = "view", .type = CODEC_U64, .offset = offsetof(struct block_header, view)},
    {.name = "parent_view",
     .type = CODEC_U64,
     .offset = offsetof(struct block_header, parent_view)},
    {.name = "parent_id",
     .type = CODEC_FIXED,
     .offset = offsetof(struct block_header, parent_id),
     .limit = HASH_SIZE},
    {.name = "time_ms", .type = CODEC_I64, .offset = offsetof(struct block_header, time)},
    {.name = "tx_root",
     .type = CODEC_FIXED,
     .offset = offsetof(struct block_header, tx_root),
     .limit = HASH_SIZE},
    {.name = "receipt_root",
     .type = CODEC_FIXED,
     .offset = offsetof(struct block_header, receipt_root),
     .limit = HASH_SIZE},
    {.name = "state_root",
     .type = CODEC_FIXED,
     .offset = offsetof(struct block_header, state_root),
     .limit = HASH_SIZE},
    {.name = "log_root",
     .type = CODEC_FIXED,
     .offset = offsetof(struct block_header, log_root),
     .limit = HASH_SIZE},
    {.name = "next_set",
     .type = CODEC_FIXED,
     .offset = offsetof(struct block_header, next_set),
     .limit = HASH_SIZE},
};

const struct codec_record block_header_record = {
    .name = "block_header",
    .struct_size = sizeof(struct block_header),
    .fields = block_header_fields,
    .field_count = sizeof block_header_fields / sizeof block_header_fields[0],
};

void block_header_encode(uint8_t out[BLOCK_HEADER_SIZE], const struct block_header *header)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, BLOCK_HEADER_SIZE);
    codec_encode(&block_header_record, header, &writer);
    MUST(!writer.failed && writer.size == BLOCK_HEADER_SIZE);
}

bool block_header_decode(struct block_header *out, struct bytes_view bytes)
{
    return bytes.size == BLOCK_HEADER_SIZE && codec_decode_all(&block_header_record, out, bytes) &&
           out->version == BLOCK_HEADER_VERSION;
}

void block_header_id(struct hash *out, const struct block_header *header)
{
    uint8_t bytes[BLOCK_HEADER_SIZE];
    block_header_encode(bytes, header);
    hash_bytes(out, HASH_DOMAIN_BLOCK_ID, bytes, sizeof bytes);
}

static const struct codec_field validator_fields[] = {
    {.name = "key",
     .type = CODEC_FIXED,
     .offset = offsetof(struct validator, key),
     .limit = PUBLIC_KEY_SIZE},
    {.name = "operator_name",
     .type = CODEC_NAME,
     .offset = offsetof(struct validator, operator_name)},
};

static const struct codec_record validator_record = {
    .name = "validator",
    .struct_size = sizeof(struct validator),
    .fields = validator_fields,
    .field_count = sizeof validator_fields / sizeof validator_fields[0],
};

static const struct codec_field validator_set_fields[] = {
    {.name = "validators",
     .type = CODEC_ARRAY,
     .offset = offsetof(struct validator_set, validators),
     .limit = LIMIT_VALIDATORS,
     .count_offset = offsetof(struct validator_set, count),
     .record = &validator_record},
};

const struct codec_record validator_set_record = {
    .name = "validator_set",
    .struct_size = sizeof(struct validator_set),
    .fields = validator_set_fields,
    .field_count = sizeof validator_set_fields / sizeof validator_set_fields[0],
};

bool validator_set_is_valid(const struct validator_set *set)
{
    if (set->count < LIMIT_VALIDATORS_MIN || set->count > LIMIT_VALIDATORS)
        return false;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct validator *validator = &set->validators[i];
        if (!name_is_valid(&validator->operator_name))
            return false;
        if (i > 0 && public_key_compare(&set->validators[i - 1].key, &validator->key) >= 0)
            return false;
    }
    return true;
}

void validator_set_hash(struct hash *out, const struct validator_set *set)
{
    uint8_t bytes[VALIDATOR_SET_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&validator_set_record, set, &writer);
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_VALIDATOR_SET, bytes, writer.size);
}

uint32_t validator_set_faults(const struct validator_set *set)
{
    MUST(set->count > 0);
    return (set->count - 1) / 3;
}

uint32_t validator_set_quorum(const struct validator_set *set)
{
    return set->count - validator_set_faults(set);
}

uint32_t validator_set_leader(const struct validator_set *set, uint64_t epoch, uint64_t view)
{
    MUST(set->count > 0);
    /* Each term is reduced first, so that no sum of a peer's numbers can wrap. */
    return (uint32_t)((view % set->count + epoch % set->count) % set->count);
}

int validator_set_index(const struct validator_set *set, const struct public_key *key)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (public_key_equal(&set->validators[i].key, key))
            return (int)i;
    return -1;
}
