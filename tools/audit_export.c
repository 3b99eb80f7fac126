/* `flex audit export`: blocks from a node into tile files (tools/audit_export.h).
 *
 *   GET /v1/export -> buffer -> up to the last certified block -> tiles -> sync -> digests -> export.json
 *
 * Invariants: export.json never names a block that isn't on disk; the last block written carries a
 * certificate, so that an export is provable at its end; memory is bounded by BUFFER_BYTES_MAX.
 *
 * Absent on purpose: verification. Whoever needs to know runs `flex audit verify`, offline. */
#include "tools/audit_export.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "tools/audit_digests.h"
#include "tools/nouns.h"

enum { BUFFER_BYTES_MAX = 256 * 1024 * 1024, BLOCKS_PER_REQUEST = 1024 };

static bool fault(char problem[AUDIT_PROBLEM_SIZE], const char *what)
{
    snprintf(problem, AUDIT_PROBLEM_SIZE, "%.150s: %.80s", what, strerror(errno));
    return false;
}

/* --- writing ------------------------------------------------------------------------------ */

static int open_tile(const char *directory, uint64_t tile, int flags)
{
    char path[FILES_PATH_SIZE];
    if (!audit_tile_path(path, directory, tile)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (!files_make_directory(path)) {
        return -1;
    }
    *slash = '/';
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
}

/* Where the record behind `height` starts in its tile; false if the tile doesn't hold it. */
static bool end_of_block(size_t *end, const char *directory, uint64_t height)
{
    struct audit_tile tile;
    struct audit_block block;
    struct byte_reader reader;
    if (!audit_tile_open(&tile, directory, audit_tile_of(height))) {
        return false;
    }
    uint64_t wanted = (height - 1) % AUDIT_TILE_BLOCKS + 1;
    uint64_t found = 0;
    byte_reader_init(&reader, tile.data, tile.size);
    while (found < wanted && audit_block_read(&block, &reader)) {
        found++;
    }
    *end = reader.at;
    audit_tile_close(&tile);
    errno = EILSEQ;
    return found == wanted;
}

bool audit_writer_open(struct audit_writer *out, const char *directory,
                       const struct genesis *genesis, char problem[AUDIT_PROBLEM_SIZE])
{
    char path[FILES_PATH_SIZE];
    *out = (struct audit_writer){.directory = directory, .descriptor = -1};
    if (!files_make_directory(directory) || !files_join(path, directory, "export.json")) {
        return fault(problem, directory);
    }
    if (!files_exists(path)) {
        return true;
    }
    if (!audit_manifest_read(&out->height, directory, genesis, problem)) {
        return false;
    }
    if (out->height == 0 || out->height % AUDIT_TILE_BLOCKS == 0) {
        return true;
    }
    size_t end;
    if (!end_of_block(&end, directory, out->height)) {
        return fault(problem, "the last tile is damaged; export into an empty directory");
    }
    out->descriptor = open_tile(directory, audit_tile_of(out->height), 0);
    if (out->descriptor < 0 || ftruncate(out->descriptor, (off_t)end) != 0 ||
        lseek(out->descriptor, 0, SEEK_END) < 0) {
        return fault(problem, directory);
    }
    return true;
}

static bool write_sized(int descriptor, struct bytes_view bytes)
{
    uint8_t size[4];
    struct byte_writer writer;
    byte_writer_init(&writer, size, sizeof size);
    byte_write_u32(&writer, (uint32_t)bytes.size);
    return files_write_all(descriptor, size, sizeof size) &&
           files_write_all(descriptor, bytes.data, bytes.size);
}

static bool close_tile(struct audit_writer *writer)
{
    bool ok = writer->descriptor < 0 || fsync(writer->descriptor) == 0;
    if (writer->descriptor >= 0) {
        ok = close(writer->descriptor) == 0 && ok;
    }
    writer->descriptor = -1;
    return ok;
}

bool audit_writer_put(struct audit_writer *writer, const struct audit_block *block,
                      char problem[AUDIT_PROBLEM_SIZE])
{
    uint64_t height = writer->height + 1;
    if ((height - 1) % AUDIT_TILE_BLOCKS == 0) {
        if (!close_tile(writer)) {
            return fault(problem, writer->directory);
        }
        writer->descriptor = open_tile(writer->directory, audit_tile_of(height), O_TRUNC);
    }
    if (writer->descriptor < 0 || !write_sized(writer->descriptor, block->header) ||
        !write_sized(writer->descriptor, block->body) ||
        !write_sized(writer->descriptor, block->certificate)) {
        return fault(problem, writer->directory);
    }
    writer->height = height;
    return true;
}

bool audit_writer_finish(struct audit_writer *writer, const struct genesis *genesis,
                         char problem[AUDIT_PROBLEM_SIZE])
{
    if (!close_tile(writer)) {
        return fault(problem, writer->directory);
    }
    return audit_manifest_write(writer->directory, genesis, writer->height, problem);
}

void audit_writer_close(struct audit_writer *writer)
{
    if (writer->descriptor >= 0) {
        close(writer->descriptor);
        writer->descriptor = -1;
    }
}

/* --- fetching ----------------------------------------------------------------------------- */

/* What has been fetched and is not yet known to be covered by a certificate. */
struct pending {
    uint8_t *data;
    size_t size;
    uint64_t received; /* height of the last block in it */
};

/* Appends one answer; *count = its blocks. */
static int fetch(struct session *session, struct pending *pending, uint64_t *count)
{
    struct cli *cli = session->cli;
    char path[CLIENT_PATH_SIZE];
    struct client_answer answer;
    struct byte_reader reader;
    struct audit_block block;
    struct block_header header;
    snprintf(path, sizeof path, "/v1/export?from=%" PRIu64 "&count=%d", pending->received + 1,
             BLOCKS_PER_REQUEST);
    client_get(session->client, &answer, path);
    int status = answer.status == 200 ? CLI_DONE : session_refusal(session, &answer);
    *count = 0;
    byte_reader_init(&reader, (const uint8_t *)answer.body, answer.size);
    while (status == CLI_DONE && audit_block_read(&block, &reader)) {
        if (!block_header_decode(&header, block.header) || header.height != pending->received + 1) {
            status = cli_fail(cli, CLI_NO_NODE, "bad_answer",
                              "the node's block %" PRIu64 " is not one", pending->received + 1);
        }
        pending->received++;
        (*count)++;
    }
    if (status == CLI_DONE && reader.failed) {
        status = cli_fail(cli, CLI_NO_NODE, "bad_answer", "the node's export is cut off");
    }
    if (status == CLI_DONE && answer.size > BUFFER_BYTES_MAX - pending->size) {
        status = cli_fail(cli, CLI_NO_NODE, "bad_answer",
                          "the node sends blocks without end and no certificate");
    }
    if (status == CLI_DONE && answer.size > 0) {
        uint8_t *grown = realloc(pending->data, pending->size + answer.size);
        if (grown == NULL) {
            status = cli_fail(cli, CLI_USAGE, "no_memory", "memory ran out");
        } else {
            memcpy(grown + pending->size, answer.body, answer.size);
            pending->data = grown;
            pending->size += answer.size;
        }
    }
    client_answer_release(&answer);
    return status;
}

/* Writes everything up to the last certified block and keeps the rest. */
static bool flush(struct audit_writer *writer, struct pending *pending, char *problem)
{
    struct byte_reader reader;
    struct audit_block block;
    size_t certified_end = 0;
    byte_reader_init(&reader, pending->data, pending->size);
    while (audit_block_read(&block, &reader)) {
        certified_end = block.certificate.size > 0 ? reader.at : certified_end;
    }
    byte_reader_init(&reader, pending->data, certified_end);
    while (audit_block_read(&block, &reader)) {
        if (!audit_writer_put(writer, &block, problem)) {
            return false;
        }
    }
    if (certified_end > 0) {
        memmove(pending->data, pending->data + certified_end, pending->size - certified_end);
        pending->size -= certified_end;
    }
    return true;
}

static int fetch_all(struct session *session, struct audit_writer *writer,
                     const struct genesis *genesis)
{
    struct cli *cli = session->cli;
    struct pending pending = {.received = writer->height};
    char problem[AUDIT_PROBLEM_SIZE];
    uint64_t count;
    uint64_t before = writer->height;
    int status;
    do {
        status = fetch(session, &pending, &count);
        if (status == CLI_DONE && !flush(writer, &pending, problem)) {
            status = cli_fail(cli, CLI_USAGE, "unwritable", "%s", problem);
        }
        if (status == CLI_DONE && count > 0 && !cli->json) {
            fprintf(cli->err, "\rexported up to block %" PRIu64, writer->height);
        }
    } while (status == CLI_DONE && count > 0);
    if (!cli->json) {
        fprintf(cli->err, "\n");
    }
    free(pending.data);
    if (status == CLI_DONE) {
        status = audit_digests_fetch(session, writer->directory, writer->height);
    }
    if (status == CLI_DONE && !audit_writer_finish(writer, genesis, problem)) {
        status = cli_fail(cli, CLI_USAGE, "unwritable", "%s", problem);
    }
    json_add_u64(cli->result, "height", writer->height);
    json_add_u64(cli->result, "new_blocks", writer->height - before);
    return status;
}

/* The node's genesis; if this wallet trusts one, it must be that. */
static int fetch_genesis(struct session *session, struct genesis *out)
{
    struct cli *cli = session->cli;
    struct client_answer answer;
    char problem[160] = "nothing";
    char path[FILES_PATH_SIZE];
    client_get(session->client, &answer, "/v1/genesis");
    int status = answer.status == 200 ? CLI_DONE : session_refusal(session, &answer);
    if (status == CLI_DONE &&
        (answer.body == NULL || !genesis_from_json(out, answer.body, answer.size, problem))) {
        status = cli_fail(cli, CLI_NO_NODE, "bad_answer", "the node's genesis: %s", problem);
    }
    client_answer_release(&answer);
    bool trusts = cli->genesis_file != NULL ||
                  (files_join(path, cli->home, "genesis.json") && files_exists(path));
    if (status != CLI_DONE || !trusts) {
        return status;
    }
    struct hash chain;
    status = session_trust(session);
    if (status == CLI_DONE &&
        (!genesis_hash(&chain, out) || !hash_equal(&chain, &session->trust.genesis))) {
        status = cli_fail(cli, CLI_UNPROVEN, "wrong_chain",
                          "the node runs another chain than the genesis file says");
    }
    return status;
}

int audit_export_run(struct cli *cli, const char *directory)
{
    static struct genesis genesis;
    struct session session;
    struct audit_writer writer = {.descriptor = -1};
    char problem[AUDIT_PROBLEM_SIZE];
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = fetch_genesis(&session, &genesis);
    }
    if (status == CLI_DONE && !audit_writer_open(&writer, directory, &genesis, problem)) {
        status = cli_fail(cli, CLI_USAGE, "bad_export", "%s", problem);
    }
    if (status == CLI_DONE) {
        status = fetch_all(&session, &writer, &genesis);
    }
    audit_writer_close(&writer);
    session_close(&session);
    return status;
}
