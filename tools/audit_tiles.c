/* The files of an export (tools/audit_tiles.h).
 *
 * Invariants: export.json is written last and names only blocks that were synced before; everything
 * that is not a block has one legal text, so a verifier can compare it to the byte. */
#include "tools/audit_tiles.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/json.h"

enum { TILES_PER_FOLDER = 1000, MANIFEST_TEXT_MAX = 4096, GENESIS_TEXT_MAX = 1024 * 1024 };

bool audit_block_read(struct audit_block *out, struct byte_reader *reader)
{
    if (reader->failed || reader->at == reader->size) {
        return false;
    }
    out->header = byte_read_sized(reader, BLOCK_HEADER_SIZE);
    out->body = byte_read_sized(reader, LIMIT_BLOCK_BODY_BYTES);
    out->certificate = byte_read_sized(reader, FINALITY_BYTES_MAX);
    return !reader->failed;
}

uint64_t audit_tile_of(uint64_t height)
{
    MUST(height > 0);
    return (height - 1) / AUDIT_TILE_BLOCKS;
}

bool audit_tile_path(char out[FILES_PATH_SIZE], const char *directory, uint64_t tile)
{
    int length = snprintf(out, FILES_PATH_SIZE, "%s/blocks/%03" PRIu64 "/%03" PRIu64 ".blk",
                          directory, tile / TILES_PER_FOLDER, tile % TILES_PER_FOLDER);
    return length > 0 && length < FILES_PATH_SIZE;
}

bool audit_tile_open(struct audit_tile *out, const char *directory, uint64_t tile)
{
    char path[FILES_PATH_SIZE];
    struct stat info;
    memset(out, 0, sizeof *out);
    if (!audit_tile_path(path, directory, tile)) {
        errno = ENAMETOOLONG;
        return false;
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    bool ok = fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
    if (ok && info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        ok = data != MAP_FAILED;
        out->data = ok ? data : NULL;
        out->size = ok ? (size_t)info.st_size : 0;
    }
    int fault = errno;
    close(descriptor);
    errno = fault;
    return ok;
}

void audit_tile_close(struct audit_tile *tile)
{
    if (tile->data != NULL) {
        munmap((void *)(uintptr_t)tile->data, tile->size);
    }
    memset(tile, 0, sizeof *tile);
}

/* --- every block in order ------------------------------------------------------------------ */

void audit_reader_open(struct audit_reader *out, const char *directory, uint64_t height,
                       uint64_t wanted)
{
    memset(out, 0, sizeof *out);
    out->directory = directory;
    out->wanted = wanted;
    out->next = height + 1;
}

void audit_reader_close(struct audit_reader *reader)
{
    audit_tile_close(&reader->tiles[0]);
    audit_tile_close(&reader->tiles[1]);
}

/* Opens the tile of `next` in place of the one before the last, and stands at `next` in it. */
static bool enter_tile(struct audit_reader *reader)
{
    uint64_t number = audit_tile_of(reader->next);
    struct audit_tile *tile = &reader->tiles[number % 2];
    struct audit_block passed;
    audit_tile_close(tile);
    if (!audit_tile_open(tile, reader->directory, number)) {
        reader->fault = "the block's tile is missing or can't be read";
        return false;
    }
    byte_reader_init(&reader->reader, tile->data, tile->size);
    for (uint64_t i = (reader->next - 1) % AUDIT_TILE_BLOCKS; i > 0; i--) {
        if (!audit_block_read(&passed, &reader->reader)) {
            reader->fault = "a record before the block is cut off or too long";
            return false;
        }
    }
    return true;
}

/* A tile beyond the last block is no part of what export.json names. */
static void look_behind(struct audit_reader *reader)
{
    struct audit_tile extra;
    uint64_t number = reader->wanted == 0 ? 0 : audit_tile_of(reader->wanted) + 1;
    if (audit_tile_open(&extra, reader->directory, number)) {
        audit_tile_close(&extra);
        reader->fault = "there is a tile beyond the height of export.json";
    }
}

bool audit_reader_next(struct audit_reader *reader, struct audit_block *out)
{
    bool begins = reader->reader.data == NULL || (reader->next - 1) % AUDIT_TILE_BLOCKS == 0;
    if (reader->fault != NULL) {
        return false;
    }
    if (reader->next > reader->wanted) {
        look_behind(reader);
        return false;
    }
    if (begins && !enter_tile(reader)) {
        return false;
    }
    if (!audit_block_read(out, &reader->reader)) {
        reader->fault = "a record is cut off or too long";
        return false;
    }
    reader->next++;
    bool ends = reader->next > reader->wanted || (reader->next - 1) % AUDIT_TILE_BLOCKS == 0;
    if (ends && !byte_reader_done(&reader->reader)) {
        /* The block is whole: this is told when the next one is asked for. */
        reader->fault = "there are bytes behind the last block";
    }
    return true;
}

/* --- export.json --------------------------------------------------------------------------- */

/* The one text that a manifest of that chain and height can have; the caller frees. */
static char *manifest_text(const struct genesis *genesis, uint64_t height)
{
    struct hash chain;
    char hex[2 * HASH_SIZE + 1];
    char name[NAME_SIZE + 1];
    if (!genesis_hash(&chain, genesis)) {
        return NULL;
    }
    hex_encode(hex, chain.bytes, HASH_SIZE);
    struct cJSON *object = cJSON_CreateObject();
    MUST(object != NULL);
    cJSON_AddStringToObject(object, "format", "flexexport/1");
    cJSON_AddStringToObject(object, "chain", name_to_text(name, &genesis->chain));
    cJSON_AddStringToObject(object, "genesis", hex);
    json_add_u64(object, "height", height);
    cJSON_AddNumberToObject(object, "tile_blocks", AUDIT_TILE_BLOCKS);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

static char *genesis_text(const struct genesis *genesis)
{
    struct cJSON *object = genesis_to_json(genesis);
    char *text = object != NULL ? cJSON_Print(object) : NULL;
    cJSON_Delete(object);
    return text;
}

bool audit_manifest_write(const char *directory, const struct genesis *genesis, uint64_t height,
                          char problem[AUDIT_PROBLEM_SIZE])
{
    char path[FILES_PATH_SIZE];
    char *genesis_copy = genesis_text(genesis);
    char *manifest = manifest_text(genesis, height);
    bool ok = genesis_copy != NULL && manifest != NULL &&
              files_join(path, directory, "genesis.json") &&
              files_write(path, genesis_copy, strlen(genesis_copy), 0644) &&
              files_join(path, directory, "export.json") &&
              files_write(path, manifest, strlen(manifest), 0644);
    if (!ok) {
        snprintf(problem, AUDIT_PROBLEM_SIZE, "%.150s: %.80s", directory, strerror(errno));
    }
    cJSON_free(genesis_copy);
    cJSON_free(manifest);
    return ok;
}

bool audit_manifest_read(uint64_t *height, const char *directory, const struct genesis *genesis,
                         char problem[AUDIT_PROBLEM_SIZE])
{
    char path[FILES_PATH_SIZE];
    char reason[JSON_PROBLEM_SIZE];
    size_t size = 0;
    char *text = files_join(path, directory, "export.json")
                     ? files_read(path, MANIFEST_TEXT_MAX, &size)
                     : NULL;
    if (text == NULL) {
        snprintf(problem, AUDIT_PROBLEM_SIZE, "%.150s/export.json: %.80s", directory,
                 strerror(errno));
        return false;
    }
    struct cJSON *object = json_parse_strict(text, size, reason);
    bool ok = object != NULL && json_u64(height, object, "height");
    cJSON_Delete(object);
    char *wanted = ok ? manifest_text(genesis, *height) : NULL;
    ok = wanted != NULL && strlen(wanted) == size && memcmp(wanted, text, size) == 0;
    if (!ok) {
        snprintf(problem, AUDIT_PROBLEM_SIZE,
                 "export.json is damaged, or belongs to another chain than the genesis file");
    }
    cJSON_free(wanted);
    free(text);
    return ok;
}

bool audit_genesis_copy_is_whole(const char *directory, const struct genesis *genesis)
{
    char path[FILES_PATH_SIZE];
    size_t size = 0;
    if (!files_join(path, directory, "genesis.json") || !files_exists(path)) {
        return true;
    }
    char *text = files_read(path, GENESIS_TEXT_MAX, &size);
    char *wanted = genesis_text(genesis);
    bool same =
        text != NULL && wanted != NULL && strlen(wanted) == size && memcmp(wanted, text, size) == 0;
    cJSON_free(wanted);
    free(text);
    return same;
}
