/* Manifest and chain of trust of a snapshot (node/snapshot.h).
 *
 * Invariants:
 *  1. What is decoded is canonical: the same content has one encoding of its core.
 *  2. Nothing of a record is believed before a quorum of the set that was proven before it has signed
 *     for it. The first set is the genesis's.
 *
 * Deliberately absent: files and peers. */
#include "node/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

static bool refuse(char problem[SNAPSHOT_PROBLEM_SIZE], const char *why)
{
    (void)snprintf(problem, SNAPSHOT_PROBLEM_SIZE, "%s", why);
    return false;
}

/* --- the manifest ----------------------------------------------------------------------------- */

static uint32_t peak_count(uint64_t count)
{
    return (uint32_t)__builtin_popcountll(count);
}

static struct snapshot_place place_at(struct bytes_view layout, uint32_t index)
{
    struct byte_reader reader;
    struct snapshot_place place = {{0, 0}, 0};
    byte_reader_init(&reader, layout.data + (size_t)index * SNAPSHOT_LAYOUT_BYTES,
                     SNAPSHOT_LAYOUT_BYTES);
    place.prefix.depth = byte_read_u8(&reader);
    place.size = byte_read_u32(&reader);
    MUST(!reader.failed);
    return place;
}

/* The prefixes follow from the depths alone: each begins where the one before ends. */
static bool layout_divides(struct snapshot_manifest *manifest)
{
    struct state_part_prefix last = {0, 0};
    bool end = false;
    for (uint32_t i = 0; i < manifest->chunk_count; i++) {
        struct snapshot_place place = place_at(manifest->layout, i);
        if (end || place.prefix.depth > STATE_PART_DEPTH_MAX ||
            place.size > SNAPSHOT_PART_BYTES_MAX || place.size < SNAPSHOT_CHUNK_HEAD)
            return false;
        if (i > 0 && !state_part_next(&place.prefix, &end, &last, place.prefix.depth))
            return false;
        last = place.prefix;
        manifest->state_bytes += place.size;
    }
    struct state_part_prefix none;
    (void)state_part_next(&none, &end, &last, last.depth);
    return manifest->chunk_count > 0 && end;
}

void snapshot_manifest_places(const struct snapshot_manifest *manifest, struct snapshot_place *out)
{
    bool end = false;
    for (uint32_t i = 0; i < manifest->chunk_count; i++) {
        out[i] = place_at(manifest->layout, i);
        if (i > 0)
            MUST(state_part_next(&out[i].prefix, &end, &out[i - 1].prefix, out[i].prefix.depth));
    }
}

static bool log_is_the_headers(const struct snapshot_manifest *manifest)
{
    struct hash root;
    merkle_frontier_root(&root, &manifest->log);
    return hash_equal(&root, &manifest->header.log_root);
}

static bool decode_core(struct snapshot_manifest *out, struct byte_reader *reader,
                        char problem[SNAPSHOT_PROBLEM_SIZE])
{
    if (byte_read_u32(reader) != SNAPSHOT_VERSION)
        return refuse(problem, "the manifest is of another version");
    byte_read_raw(reader, out->genesis.bytes, HASH_SIZE);
    out->header_bytes = byte_read_view(reader, BLOCK_HEADER_SIZE);
    if (reader->failed || !block_header_decode(&out->header, out->header_bytes) ||
        out->header.height == 0 || out->header.epoch > SNAPSHOT_EPOCHS_MAX)
        return refuse(problem, "the manifest's header is malformed");
    merkle_frontier_init(&out->log);
    out->log.count = out->header.height;
    for (uint32_t i = 0; i < peak_count(out->log.count); i++)
        byte_read_raw(reader, out->log.peaks[i].bytes, HASH_SIZE);
    out->chunk_count = byte_read_u32(reader);
    if (reader->failed || out->chunk_count > SNAPSHOT_CHUNKS_MAX)
        return refuse(problem, "the manifest is cut off, or has too many chunks");
    out->layout = byte_read_view(reader, (size_t)out->chunk_count * SNAPSHOT_LAYOUT_BYTES);
    if (reader->failed || !layout_divides(out))
        return refuse(problem, "the chunks do not divide the state");
    if (!log_is_the_headers(out))
        return refuse(problem, "the history log is not the header's");
    return true;
}

bool snapshot_manifest_decode(struct snapshot_manifest *out, struct bytes_view bytes,
                              char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct byte_reader reader;
    memset(out, 0, sizeof *out);
    byte_reader_init(&reader, bytes.data, bytes.size);
    if (bytes.size > SNAPSHOT_PART_BYTES_MAX)
        return refuse(problem, "the manifest is too large");
    if (!decode_core(out, &reader, problem))
        return false;
    hash_bytes(&out->id, HASH_DOMAIN_SNAPSHOT, bytes.data, reader.at);
    const struct bytes_view certificate = byte_read_sized(&reader, CERTIFICATE_BYTES_MAX);
    const uint32_t headers = byte_read_u32(&reader);
    if (reader.failed || headers > LIMIT_VIEW_WINDOW ||
        !certificate_decode(&out->certificate, certificate))
        return refuse(problem, "the manifest's certificate is malformed");
    out->proof_headers = byte_read_view(&reader, (size_t)headers * BLOCK_HEADER_SIZE);
    if (!byte_reader_done(&reader))
        return refuse(problem, "the manifest is cut off, or goes on behind its end");
    return true;
}

void snapshot_manifest_encode(struct byte_writer *writer, const struct snapshot_manifest *manifest)
{
    uint8_t bytes[CERTIFICATE_BYTES_MAX];
    MUST(manifest->log.count == manifest->header.height);
    byte_write_u32(writer, SNAPSHOT_VERSION);
    byte_write_raw(writer, manifest->genesis.bytes, HASH_SIZE);
    byte_write_raw(writer, manifest->header_bytes.data, BLOCK_HEADER_SIZE);
    for (uint32_t i = 0; i < peak_count(manifest->log.count); i++)
        byte_write_raw(writer, manifest->log.peaks[i].bytes, HASH_SIZE);
    byte_write_u32(writer, manifest->chunk_count);
    byte_write_raw(writer, manifest->layout.data, manifest->layout.size);
    byte_write_sized(writer, bytes, certificate_encode(bytes, &manifest->certificate));
    byte_write_u32(writer, (uint32_t)(manifest->proof_headers.size / BLOCK_HEADER_SIZE));
    byte_write_raw(writer, manifest->proof_headers.data, manifest->proof_headers.size);
}

/* --- the chain of trust ----------------------------------------------------------------------- */

bool snapshot_trust_begin(struct snapshot_trust *out, const struct genesis *genesis)
{
    memset(out, 0, sizeof *out);
    if (genesis_problem(genesis) != NULL || !genesis_hash(&out->genesis, genesis))
        return false;
    out->set.count = genesis->params.validator_count;
    for (uint32_t i = 0; i < out->set.count; i++) {
        out->set.validators[i].key = genesis->params.validators[i].key;
        out->set.validators[i].operator_name = genesis->params.validators[i].operator_name;
    }
    return validator_set_is_valid(&out->set);
}

/* Is `header`, or the last of the headers that lead on from it, finalized by the trusted set? */
static bool is_final(const struct snapshot_trust *trust, const struct block_header *header,
                     const struct certificate *certificate, struct bytes_view headers,
                     char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct block_header last = *header;
    struct hash id;
    if (!hash_equal(&header->genesis, &trust->genesis))
        return refuse(problem, "the header belongs to another chain");
    if (header->epoch != trust->epoch)
        return refuse(problem, "the header is of another epoch than the one that was reached");
    if (header->height <= trust->height)
        return refuse(problem, "the header lies below the beginning of its epoch");
    if (!finality_follow(&last, headers))
        return refuse(problem, "a header behind the proven one is not its successor");
    block_header_id(&id, &last);
    if (certificate->kind != VOTE_FINALIZE || certificate->epoch != last.epoch ||
        certificate->view != last.view || !hash_equal(&certificate->block_id, &id))
        return refuse(problem, "the certificate is not a finalization of this block");
    if (!certificate_verify(certificate, &trust->genesis, &trust->set))
        return refuse(problem, "the certificate is not signed by a quorum of the epoch's set");
    return true;
}

void snapshot_epoch_encode(struct byte_writer *writer, const struct snapshot_epoch *epoch)
{
    MUST(epoch->parent.size == 0 || epoch->parent.size == BLOCK_HEADER_SIZE);
    byte_write_u8(writer, epoch->parent.size > 0 ? 1 : 0);
    byte_write_raw(writer, epoch->parent.data, epoch->parent.size);
    byte_write_raw(writer, epoch->header.data, epoch->header.size);
    byte_write_raw(writer, epoch->finality.data, epoch->finality.size);
}

/* The parent shows that no block before this one ended the epoch: it is of an earlier one, or its
 * state still named the epoch's own set. */
static bool parent_fits(const struct snapshot_trust *trust, const struct snapshot_epoch *epoch,
                        const struct block_header *header, const struct hash *own_set)
{
    struct block_header parent;
    struct hash id;
    if (header->height == 1)
        return epoch->parent.size == 0 && hash_equal(&header->parent_id, &trust->genesis);
    if (epoch->parent.size == 0 || !block_header_decode(&parent, epoch->parent))
        return false;
    block_header_id(&id, &parent);
    if (!hash_equal(&id, &header->parent_id) || parent.height + 1 != header->height)
        return false;
    return parent.height == trust->height ||
           (parent.epoch == trust->epoch && hash_equal(&parent.next_set, own_set));
}

bool snapshot_trust_epoch(struct snapshot_trust *trust, struct snapshot_epoch *out,
                          struct bytes_view bytes, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct byte_reader reader;
    struct block_header header;
    struct hash own_set;
    struct hash next_set;
    memset(out, 0, sizeof *out);
    byte_reader_init(&reader, bytes.data, bytes.size);
    const uint8_t has_parent = byte_read_u8(&reader);
    if (has_parent == 1)
        out->parent = byte_read_view(&reader, BLOCK_HEADER_SIZE);
    out->header = byte_read_view(&reader, BLOCK_HEADER_SIZE);
    if (reader.failed || has_parent > 1 || !block_header_decode(&header, out->header))
        return refuse(problem, "the epoch record is malformed");
    out->finality = byte_read_view(&reader, reader.size - reader.at);
    struct finality *finality = malloc(sizeof *finality);
    if (finality == NULL)
        return refuse(problem, "out of memory");
    bool good = finality_decode(finality, out->finality) && finality->ends_epoch;
    if (!good)
        (void)refuse(problem, "the epoch record holds no end of an epoch");
    validator_set_hash(&own_set, &trust->set);
    if (good) {
        validator_set_hash(&next_set, &finality->next_set);
        good = is_final(trust, &header, &finality->certificate, finality->headers, problem);
    }
    if (good && (!hash_equal(&next_set, &header.next_set) || hash_equal(&next_set, &own_set) ||
                 !validator_set_is_valid(&finality->next_set)))
        good = refuse(problem, "the next set is not the one that the header names");
    if (good && !parent_fits(trust, out, &header, &own_set))
        good = refuse(problem, "the block is not the first that ends its epoch");
    if (good) {
        trust->set = finality->next_set;
        trust->epoch++;
        trust->height = header.height;
    }
    free(finality);
    return good;
}

bool snapshot_trust_manifest(const struct snapshot_trust *trust,
                             const struct snapshot_manifest *manifest,
                             char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct hash own_set;
    if (!hash_equal(&manifest->genesis, &trust->genesis))
        return refuse(problem, "the manifest belongs to another chain");
    if (!is_final(trust, &manifest->header, &manifest->certificate, manifest->proof_headers,
                  problem))
        return false;
    /* Final headers above an epoch's last block are not of the chain; they name the next set, too. */
    validator_set_hash(&own_set, &trust->set);
    if (!hash_equal(&manifest->header.next_set, &own_set))
        return refuse(problem, "the header ends its epoch, or stands above the block that does");
    return true;
}
