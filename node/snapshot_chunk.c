/* Chunks of a snapshot: their bytes, and their proof (node/snapshot.h).
 *
 * Invariant: a chunk that opens holds exactly the entries that the state with that root has under
 * the prefix, in the order of their key hashes. The path binds every entry; a missing, added or
 * changed one gives another root.
 *
 * Deliberately absent: what the entries mean. The root vouches for them as it does for a block's
 * result. */
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

bool snapshot_entry_fits(struct bytes_view key, struct bytes_view value)
{
    return key.size > 0 && key.size <= LIMIT_STATE_KEY_BYTES &&
           value.size <= LIMIT_STATE_VALUE_BYTES;
}

void snapshot_chunk_encode_head(struct byte_writer *writer, const struct state_part_prefix *prefix,
                                uint32_t count)
{
    byte_write_u8(writer, prefix->depth);
    byte_write_u64(writer, prefix->bits);
    byte_write_u32(writer, count);
}

void snapshot_chunk_encode_entry(struct byte_writer *writer, struct bytes_view key,
                                 struct bytes_view value)
{
    MUST(snapshot_entry_fits(key, value));
    byte_write_u16(writer, (uint16_t)key.size);
    byte_write_raw(writer, key.data, key.size);
    byte_write_u16(writer, (uint16_t)value.size);
    byte_write_raw(writer, value.data, value.size);
}

static bool read_entries(struct snapshot_chunk *chunk, struct state_tree_change *leaves,
                         struct byte_reader *reader, char problem[SNAPSHOT_PROBLEM_SIZE])
{
    for (uint32_t i = 0; i < chunk->count; i++) {
        struct store_entry *entry = &chunk->entries[i];
        entry->key = byte_read_view(reader, byte_read_u16(reader));
        entry->value = byte_read_view(reader, byte_read_u16(reader));
        if (reader->failed || !snapshot_entry_fits(entry->key, entry->value))
            return refuse(problem, "an entry of the chunk is cut off or out of bounds");
        hash_bytes(&leaves[i].key, HASH_DOMAIN_STATE_KEY, entry->key.data, entry->key.size);
        hash_bytes(&leaves[i].value, HASH_DOMAIN_STATE_VALUE, entry->value.data, entry->value.size);
        if (!state_part_holds(&chunk->prefix, &leaves[i].key))
            return refuse(problem, "an entry does not belong under the chunk's prefix");
        if (i > 0 && hash_compare(&leaves[i - 1].key, &leaves[i].key) >= 0)
            return refuse(problem, "the entries are not in the order of their hashes");
    }
    return true;
}

static bool read_rest(struct snapshot_chunk *chunk, struct state_tree_change *leaves,
                      struct byte_reader *reader, const struct hash *state_root,
                      char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct state_tree_node node;
    if (!read_entries(chunk, leaves, reader, problem))
        return false;
    state_part_path_decode(&chunk->path, chunk->prefix.depth, reader);
    if (!byte_reader_done(reader))
        return refuse(problem, "the chunk's path is malformed, cut off, or goes on behind its end");
    state_part_node(&node, leaves, chunk->count, chunk->prefix.depth);
    if (!state_part_leads_to(state_root, &chunk->prefix, &node, &chunk->path))
        return refuse(problem, "the chunk does not lead to the state root");
    return true;
}

bool snapshot_chunk_open(struct snapshot_chunk *out, struct bytes_view bytes,
                         const struct state_part_prefix *expected, const struct hash *state_root,
                         char problem[SNAPSHOT_PROBLEM_SIZE])
{
    struct byte_reader reader;
    memset(out, 0, sizeof *out);
    byte_reader_init(&reader, bytes.data, bytes.size);
    if (bytes.size > SNAPSHOT_PART_BYTES_MAX)
        return refuse(problem, "the chunk is too large");
    out->prefix.depth = byte_read_u8(&reader);
    out->prefix.bits = byte_read_u64(&reader);
    out->count = byte_read_u32(&reader);
    if (reader.failed || !state_part_prefix_is_valid(&out->prefix) ||
        out->count > (reader.size - reader.at) / (SNAPSHOT_ENTRY_HEAD + 1))
        return refuse(problem, "the chunk's head is malformed");
    if (out->prefix.depth != expected->depth || out->prefix.bits != expected->bits)
        return refuse(problem, "the chunk is another than the one that was asked for");
    struct state_tree_change *leaves = calloc((size_t)out->count + 1, sizeof *leaves);
    out->entries = calloc((size_t)out->count + 1, sizeof *out->entries);
    const bool good = leaves != NULL && out->entries != NULL
                          ? read_rest(out, leaves, &reader, state_root, problem)
                          : refuse(problem, "out of memory");
    free(leaves);
    if (!good)
        snapshot_chunk_close(out);
    return good;
}

void snapshot_chunk_close(struct snapshot_chunk *chunk)
{
    free(chunk->entries);
    chunk->entries = NULL;
}
