/* A small true snapshot. */
#include "tests/fuzz/lib/snapshot_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

struct sample_entry {
    struct state_tree_change leaf;
    char key[16];
    char value[16];
};

static int by_hash(const void *a, const void *b)
{
    return hash_compare(&((const struct sample_entry *)a)->leaf.key,
                        &((const struct sample_entry *)b)->leaf.key);
}

static void make_entries(struct sample_entry entries[SNAPSHOT_SAMPLE_ENTRIES])
{
    for (int i = 0; i < SNAPSHOT_SAMPLE_ENTRIES; i++) {
        struct sample_entry *entry = &entries[i];
        memset(entry, 0, sizeof *entry);
        (void)snprintf(entry->key, sizeof entry->key, "key %d", i);
        (void)snprintf(entry->value, sizeof entry->value, "value %d", i * i);
        hash_bytes(&entry->leaf.key, HASH_DOMAIN_STATE_KEY, entry->key, strlen(entry->key));
        hash_bytes(&entry->leaf.value, HASH_DOMAIN_STATE_VALUE, entry->value, strlen(entry->value));
    }
    qsort(entries, SNAPSHOT_SAMPLE_ENTRIES, sizeof entries[0], by_hash);
}

static void make_chunk(struct snapshot_sample *out, struct state_part_tree *tree, size_t index,
                       const struct sample_entry *entries, size_t *used)
{
    struct state_tree_change leaves[SNAPSHOT_SAMPLE_ENTRIES];
    struct state_tree_node node;
    struct byte_writer writer;
    size_t count = 0;
    while (*used + count < SNAPSHOT_SAMPLE_ENTRIES &&
           state_part_holds(&out->prefixes[index], &entries[*used + count].leaf.key)) {
        leaves[count] = entries[*used + count].leaf;
        count++;
    }
    byte_writer_init(&writer, out->chunks[index], SNAPSHOT_SAMPLE_BYTES);
    snapshot_chunk_encode_head(&writer, &out->prefixes[index], (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct sample_entry *entry = &entries[*used + i];
        snapshot_chunk_encode_entry(&writer, bytes_view_of(entry->key, strlen(entry->key)),
                                    bytes_view_of(entry->value, strlen(entry->value)));
    }
    MUST(!writer.failed);
    out->entry_sizes[index] = writer.size;
    state_part_node(&node, leaves, count, out->prefixes[index].depth);
    MUST(state_part_tree_add(tree, &out->prefixes[index], &node));
    *used += count;
}

static void make_chunks(struct snapshot_sample *out)
{
    struct sample_entry entries[SNAPSHOT_SAMPLE_ENTRIES];
    struct state_part_tree *tree = state_part_tree_create(SNAPSHOT_SAMPLE_CHUNKS);
    size_t used = 0;
    MUST(tree != NULL);
    make_entries(entries);
    out->prefixes[0] = (struct state_part_prefix){2, 0};
    out->prefixes[1] = (struct state_part_prefix){2, (uint64_t)1 << 62};
    out->prefixes[2] = (struct state_part_prefix){1, (uint64_t)1 << 63};
    for (size_t i = 0; i < SNAPSHOT_SAMPLE_CHUNKS; i++) {
        make_chunk(out, tree, i, entries, &used);
    }
    MUST(used == SNAPSHOT_SAMPLE_ENTRIES && state_part_tree_root(tree, &out->root));
    for (size_t i = 0; i < SNAPSHOT_SAMPLE_CHUNKS; i++) {
        struct state_part_path path;
        struct byte_writer writer;
        state_part_tree_path(tree, &path, i);
        byte_writer_init(&writer, out->chunks[i], SNAPSHOT_SAMPLE_BYTES);
        writer.size = out->entry_sizes[i];
        state_part_path_encode(&writer, &path);
        MUST(!writer.failed);
        out->chunk_sizes[i] = writer.size;
    }
    state_part_tree_destroy(tree);
}

static void make_manifest(struct snapshot_sample *out)
{
    struct snapshot_manifest manifest;
    struct byte_writer writer;
    uint8_t header[BLOCK_HEADER_SIZE];
    uint8_t layout[SNAPSHOT_SAMPLE_CHUNKS * SNAPSHOT_LAYOUT_BYTES];
    memset(&manifest, 0, sizeof manifest);
    merkle_frontier_init(&manifest.log);
    for (uint8_t i = 0; i < 5; i++) {
        const struct hash leaf = {{i}};
        merkle_frontier_append(&manifest.log, &leaf);
    }
    manifest.header.version = BLOCK_HEADER_VERSION;
    manifest.header.height = 5;
    manifest.header.view = 7;
    manifest.header.state_root = out->root;
    merkle_frontier_root(&manifest.header.log_root, &manifest.log);
    block_header_encode(header, &manifest.header);
    manifest.header_bytes = bytes_view_of(header, sizeof header);
    byte_writer_init(&writer, layout, sizeof layout);
    for (size_t i = 0; i < SNAPSHOT_SAMPLE_CHUNKS; i++) {
        byte_write_u8(&writer, out->prefixes[i].depth);
        byte_write_u32(&writer, (uint32_t)out->chunk_sizes[i]);
    }
    manifest.chunk_count = SNAPSHOT_SAMPLE_CHUNKS;
    manifest.layout = bytes_view_of(layout, sizeof layout);
    manifest.certificate.kind = VOTE_FINALIZE;
    manifest.certificate.count = 3;
    for (uint8_t i = 0; i < 3; i++) {
        manifest.certificate.entries[i].signer = i;
    }
    manifest.proof_headers = manifest.header_bytes;
    byte_writer_init(&writer, out->manifest, sizeof out->manifest);
    snapshot_manifest_encode(&writer, &manifest);
    MUST(!writer.failed);
    out->manifest_size = writer.size;
}

static void make_epoch(struct snapshot_sample *out)
{
    struct block_header header = {.version = BLOCK_HEADER_VERSION, .height = 1, .view = 1};
    struct certificate certificate = {.kind = VOTE_FINALIZE, .view = 1, .count = 3};
    struct validator_set set = {.count = 4};
    uint8_t header_bytes[BLOCK_HEADER_SIZE];
    uint8_t finality[SNAPSHOT_SAMPLE_BYTES];
    struct byte_writer writer;
    for (uint8_t i = 0; i < 4; i++) {
        const struct secret_key seed = {{(uint8_t)(i + 1)}};
        ed25519_public_key(&set.validators[i].key, &seed);
        MUST(name_from_text(&set.validators[i].operator_name, "dso", 3));
        certificate.entries[i % 3].signer = i % 3;
    }
    block_header_encode(header_bytes, &header);
    byte_writer_init(&writer, finality, sizeof finality);
    finality_encode(&writer, &certificate, &set, bytes_view_of(NULL, 0));
    MUST(!writer.failed);
    const struct snapshot_epoch epoch = {.header = bytes_view_of(header_bytes, sizeof header_bytes),
                                         .finality = bytes_view_of(finality, writer.size)};
    byte_writer_init(&writer, out->epoch, sizeof out->epoch);
    snapshot_epoch_encode(&writer, &epoch);
    MUST(!writer.failed);
    out->epoch_size = writer.size;
}

void snapshot_sample_make(struct snapshot_sample *out)
{
    memset(out, 0, sizeof *out);
    make_chunks(out);
    make_manifest(out);
    make_epoch(out);
}
