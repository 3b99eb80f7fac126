/* An export of the chain on disk (docs/auditor.md):
 *
 *   DIR/export.json              {"format":"flexexport/1","chain","genesis","height","tile_blocks":256}
 *   DIR/genesis.json             the node's genesis: information, the verifier brings its own
 *   DIR/blocks/TTT/TTT.blk       blocks 1-256, 257-512, ...: sized header, sized body, sized
 *                                certificate (empty where a later block's covers it)
 *
 * Tiles only ever grow, so that an export can be copied, mirrored and continued. Each ends at a whole
 * record; the last block of the export is certified. */
#ifndef FLEX_TOOLS_AUDIT_TILES_H
#define FLEX_TOOLS_AUDIT_TILES_H

#include "base/files.h"
#include "consensus/vote.h"
#include "contracts/genesis.h"

enum { AUDIT_TILE_BLOCKS = 256, AUDIT_PROBLEM_SIZE = 256 };

struct audit_block {
    struct bytes_view header;
    struct bytes_view body;
    struct bytes_view certificate; /* may be empty */
};

/* The next record; false at the end and on a fault, which reader->failed tells apart. */
bool audit_block_read(struct audit_block *out, struct byte_reader *reader);

/* Number of the tile that holds a height (from 1). */
uint64_t audit_tile_of(uint64_t height);
bool audit_tile_path(char out[FILES_PATH_SIZE], const char *directory, uint64_t tile);

/* A tile mapped into memory, read-only. An absent file is false with errno ENOENT. */
struct audit_tile {
    const uint8_t *data;
    size_t size;
};
bool audit_tile_open(struct audit_tile *out, const char *directory, uint64_t tile);
void audit_tile_close(struct audit_tile *tile);

/* Every block of an export in order. What is read stays mapped until a block two tiles later has been
 * read: AUDIT_TILE_BLOCKS blocks at least. */
struct audit_reader {
    const char *directory;
    uint64_t wanted; /* height that export.json names */
    uint64_t next;   /* height of the next block */
    struct audit_tile tiles[2];
    struct byte_reader reader; /* over the tile that holds `next`, once it is open */
    const char *fault;         /* why there is no next block, though there should be */
};
/* Starts with the block behind `height`. */
void audit_reader_open(struct audit_reader *out, const char *directory, uint64_t height,
                       uint64_t wanted);
/* False at the end, and on a fault (then `fault` says what is wrong at height `next`). Faults are also
 * bytes behind a tile's last block, and a tile beyond the last block. */
bool audit_reader_next(struct audit_reader *reader, struct audit_block *out);
void audit_reader_close(struct audit_reader *reader);

/* export.json. Reading checks that the text is exactly what writing makes, so no byte of it can
 * change unseen. `problem` says why on false. */
bool audit_manifest_write(const char *directory, const struct genesis *genesis, uint64_t height,
                          char problem[AUDIT_PROBLEM_SIZE]);
bool audit_manifest_read(uint64_t *height, const char *directory, const struct genesis *genesis,
                         char problem[AUDIT_PROBLEM_SIZE]);
/* True if DIR/genesis.json is absent or exactly what audit_manifest_write puts there. */
bool audit_genesis_copy_is_whole(const char *directory, const struct genesis *genesis);

#endif
