/* Votes and quorum certificates: codec tables and verification (consensus.md 2, 8).
 *
 * Invariants
 *   1. A signature covers kind, chain, epoch, view and block, so that no vote can be replayed as
 *      another.
 *   2. Nothing in a vote or certificate is believed before every one of its parts is checked: an
 *      index is compared with the set before it is used, a quorum is counted over distinct signers,
 *      each signature is verified by itself.
 * Absent on purpose: who voted what (consensus/tally.c). */
#include "consensus/vote.h"

#include <string.h>

#include "base/fatal.h"

static const struct codec_field vote_fields[] = {
    {.name = "kind",
     .type = CODEC_ENUM,
     .offset = offsetof(struct vote, kind),
     .limit = VOTE_KIND_COUNT,
     .names = vote_kind_names},
    {.name = "epoch", .type = CODEC_U64, .offset = offsetof(struct vote, epoch)},
    {.name = "view", .type = CODEC_U64, .offset = offsetof(struct vote, view)},
    {.name = "block_id",
     .type = CODEC_FIXED,
     .offset = offsetof(struct vote, block_id),
     .limit = HASH_SIZE},
    {.name = "signer", .type = CODEC_U8, .offset = offsetof(struct vote, signer)},
    {.name = "signature",
     .type = CODEC_FIXED,
     .offset = offsetof(struct vote, signature),
     .limit = SIGNATURE_SIZE},
};

const struct codec_record vote_record = {
    .name = "vote",
    .struct_size = sizeof(struct vote),
    .fields = vote_fields,
    .field_count = sizeof vote_fields / sizeof vote_fields[0],
};

static const struct codec_field certificate_entry_fields[] = {
    {.name = "signer", .type = CODEC_U8, .offset = offsetof(struct certificate_entry, signer)},
    {.name = "signature",
     .type = CODEC_FIXED,
     .offset = offsetof(struct certificate_entry, signature),
     .limit = SIGNATURE_SIZE},
};

static const struct codec_record certificate_entry_record = {
    .name = "certificate_entry",
    .struct_size = sizeof(struct certificate_entry),
    .fields = certificate_entry_fields,
    .field_count = sizeof certificate_entry_fields / sizeof certificate_entry_fields[0],
};

static const struct codec_field certificate_fields[] = {
    {.name = "kind",
     .type = CODEC_ENUM,
     .offset = offsetof(struct certificate, kind),
     .limit = VOTE_KIND_COUNT,
     .names = vote_kind_names},
    {.name = "epoch", .type = CODEC_U64, .offset = offsetof(struct certificate, epoch)},
    {.name = "view", .type = CODEC_U64, .offset = offsetof(struct certificate, view)},
    {.name = "block_id",
     .type = CODEC_FIXED,
     .offset = offsetof(struct certificate, block_id),
     .limit = HASH_SIZE},
    {.name = "entries",
     .type = CODEC_ARRAY,
     .offset = offsetof(struct certificate, entries),
     .limit = LIMIT_VALIDATORS,
     .count_offset = offsetof(struct certificate, count),
     .record = &certificate_entry_record},
};

const struct codec_record certificate_record = {
    .name = "certificate",
    .struct_size = sizeof(struct certificate),
    .fields = certificate_fields,
    .field_count = sizeof certificate_fields / sizeof certificate_fields[0],
};

/* A nullification is about a view, not about a block; any other vote names one. */
static bool vote_block_is_canonical(uint8_t kind, const struct hash *block_id)
{
    return kind < VOTE_KIND_COUNT && (kind == VOTE_NULLIFY) == hash_is_zero(block_id);
}

bool vote_verify(const struct vote *vote, const struct hash *genesis,
                 const struct validator_set *set)
{
    if (vote->signer >= set->count || !vote_block_is_canonical(vote->kind, &vote->block_id))
        return false;
    struct hash message;
    vote_message(&message, genesis, vote->kind, vote->epoch, vote->view, &vote->block_id);
    return ed25519_verify(&vote->signature, &set->validators[vote->signer].key, &message);
}

bool certificate_is_well_formed(const struct certificate *certificate,
                                const struct validator_set *set)
{
    if (certificate->count < validator_set_quorum(set) || certificate->count > set->count ||
        !vote_block_is_canonical(certificate->kind, &certificate->block_id))
        return false;
    for (uint32_t i = 0; i < certificate->count; i++) {
        uint8_t signer = certificate->entries[i].signer;
        if (signer >= set->count || (i > 0 && certificate->entries[i - 1].signer >= signer))
            return false;
    }
    return true;
}

bool certificate_verify(const struct certificate *certificate, const struct hash *genesis,
                        const struct validator_set *set)
{
    if (!certificate_is_well_formed(certificate, set))
        return false;
    struct hash message;
    vote_message(&message, genesis, certificate->kind, certificate->epoch, certificate->view,
                 &certificate->block_id);
    for (uint32_t i = 0; i < certificate->count; i++) {
        const struct certificate_entry *entry = &certificate->entries[i];
        if (!ed25519_verify(&entry->signature, &set->validators[entry->signer].key, &message))
            return false;
    }
    return true;
}

size_t certificate_encode(uint8_t *out, const struct certificate *certificate)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, CERTIFICATE_BYTES_MAX);
    codec_encode(&certificate_record, certificate, &writer);
    MUST(!writer.failed);
    return writer.size;
}

bool certificate_decode(struct certificate *out, struct bytes_view bytes)
{
    return codec_decode_all(&certificate_record, out, bytes);
}

bool finality_decode(struct finality *out, struct bytes_view bytes)
{
    struct byte_reader reader;
    memset(out, 0, sizeof *out);
    byte_reader_init(&reader, bytes.data, bytes.size);
    codec_decode(&certificate_record, &out->certificate, &reader);
    if (reader.failed || reader.at == bytes.size)
        return byte_reader_done(&reader);
    out->ends_epoch = true;
    codec_decode(&validator_set_record, &out->next_set, &reader);
    if (reader.failed || !validator_set_is_valid(&out->next_set))
        return false;
    out->headers = byte_read_view(&reader, bytes.size - reader.at);
    return byte_reader_done(&reader) && out->headers.size % BLOCK_HEADER_SIZE == 0 &&
           out->headers.size <= (size_t)LIMIT_VIEW_WINDOW * BLOCK_HEADER_SIZE;
}

void finality_encode(struct byte_writer *writer, const struct certificate *certificate,
                     const struct validator_set *next_set, struct bytes_view headers)
{
    MUST(next_set != NULL || headers.size == 0);
    codec_encode(&certificate_record, certificate, writer);
    if (next_set != NULL)
        codec_encode(&validator_set_record, next_set, writer);
    if (headers.size > 0)
        byte_write_raw(writer, headers.data, headers.size);
}

bool finality_follow(struct block_header *header, struct bytes_view headers)
{
    if (headers.size % BLOCK_HEADER_SIZE != 0)
        return false;
    for (size_t at = 0; at < headers.size; at += BLOCK_HEADER_SIZE) {
        struct block_header next;
        struct hash id;
        block_header_id(&id, header);
        if (!block_header_decode(&next, bytes_view_of(headers.data + at, BLOCK_HEADER_SIZE)) ||
            !hash_equal(&next.parent_id, &id) || next.height != header->height + 1 ||
            !hash_equal(&next.genesis, &header->genesis) || next.epoch != header->epoch)
            return false;
        *header = next;
    }
    return true;
}
