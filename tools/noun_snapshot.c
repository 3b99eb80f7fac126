/* flex snapshot: the state of the chain at one height, as nodes hand it to new ones
 * (docs/spec/snapshot.md).
 *
 * fetch and verify believe the genesis file alone: the epochs lead from its validator set to the set
 * that signed the block, the block's state root binds every chunk. create is for the operator of a
 * node, on its machine.
 *
 * Absent on purpose: putting a snapshot into a node's database. A node that starts empty with "sync":
 * "snapshot" does that, and fetches from all its peers at once. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "node/snapshots.h"
#include "node/sync.h"
#include "tools/nouns.h"
#include "tools/wait.h"

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    struct session session;
    struct cJSON *answer = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_get(&session, &answer, "/v1/snapshots");
    }
    session_close(&session);
    if (status != CLI_DONE) {
        return status;
    }
    const struct cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_array(answer, "items"))
    {
        const char *height = json_string(item, "height");
        const char *id = json_string(item, "id");
        cli_say(cli, "%12s  %s\n", height != NULL ? height : "?", id != NULL ? id : "?");
    }
    if (cJSON_GetArraySize(json_array(answer, "items")) == 0) {
        cli_say(cli, "none yet\n");
    }
    noun_merge(cli->result, answer);
    return CLI_DONE;
}

/* --- fetching --------------------------------------------------------------------------------- */

struct fetch {
    const char *dir;
    uint64_t height; /* 0: the newest */
};

static const struct cli_option fetch_options[] = {
    {"dir", CLI_DIR, offsetof(struct fetch, dir), "where to; a fetch that was cut off goes on",
     CLI_REQUIRED, NULL, NULL, 0},
    {"height", CLI_U64, offsetof(struct fetch, height), "which one; the newest if absent",
     CLI_OPTIONAL, NULL, NULL, 0},
};

int noun_newest_snapshot(struct session *session, uint64_t *height)
{
    struct cJSON *answer = NULL;
    const struct cJSON *item = NULL;
    int status = session_get(session, &answer, "/v1/snapshots");
    if (status != CLI_DONE) {
        return status;
    }
    cJSON_ArrayForEach(item, json_array(answer, "items"))
    {
        uint64_t one = 0;
        if (json_u64(&one, item, "height") && one > *height) {
            *height = one;
        }
    }
    cJSON_Delete(answer);
    return *height != 0
               ? CLI_DONE
               : cli_fail(session->cli, CLI_REFUSED, "no_snapshot",
                          "%s has no snapshot yet; its operator makes one with flex snapshot "
                          "create",
                          session->cli->node);
}

/* Gets one part into the directory, unless it is there already. */
static int fetch_part(struct session *session, const struct fetch *wanted,
                      enum snapshot_part_kind kind, uint32_t index)
{
    struct cli *cli = session->cli;
    struct client_answer answer;
    struct bytes_view there;
    char name[SNAPSHOT_NAME_SIZE];
    char path[CLIENT_PATH_SIZE];
    char problem[SNAPSHOT_PROBLEM_SIZE];
    if (snapshot_part_read(wanted->dir, kind, index, &there) == SNAPSHOT_READ_OK) {
        snapshot_bytes_free(there);
        return CLI_DONE;
    }
    snapshot_part_name(name, kind, index);
    snprintf(path, sizeof path, "/v1/snapshots/%llu/%s", (unsigned long long)wanted->height, name);
    client_get(session->client, &answer, path);
    int status = answer.status == 200 ? CLI_DONE : session_refusal(session, &answer);
    if (status == CLI_DONE &&
        !snapshot_part_write(wanted->dir, kind, index, bytes_view_of(answer.body, answer.size),
                             true, problem)) {
        status = cli_fail(cli, CLI_USAGE, "unwritable", "%s", problem);
    }
    client_answer_release(&answer);
    return status;
}

static int fetch_parts(struct session *session, const struct fetch *wanted,
                       const struct snapshot_manifest *manifest)
{
    struct cli *cli = session->cli;
    int status = CLI_DONE;
    for (uint32_t i = 0; status == CLI_DONE && i < manifest->header.epoch; i++) {
        status = fetch_part(session, wanted, SNAPSHOT_EPOCH, i);
    }
    for (uint32_t i = 0; status == CLI_DONE && i < manifest->chunk_count; i++) {
        status = fetch_part(session, wanted, SNAPSHOT_CHUNK, i);
        if (status == CLI_DONE && isatty(STDERR_FILENO)) {
            fprintf(cli->err, "\rchunk %u of %u", i + 1, manifest->chunk_count);
        }
    }
    if (isatty(STDERR_FILENO)) {
        fprintf(cli->err, "\n");
    }
    return status;
}

/* Verifies the directory and tells the result. */
static int verify(struct cli *cli, const char *dir)
{
    static struct genesis genesis;
    static struct snapshot_manifest manifest;
    struct bytes_view bytes = {NULL, 0};
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    char root[2 * HASH_SIZE + 1];
    char id[2 * HASH_SIZE + 1];
    uint64_t height = 0;
    uint64_t entries = 0;
    int status = session_load_genesis(cli, &genesis);
    if (status != CLI_DONE) {
        return status;
    }
    if (!files_exists(dir)) {
        return cli_fail(cli, CLI_USAGE, "no_snapshot", "there is no directory %s", dir);
    }
    if (!snapshot_verify_directory(dir, &genesis, &height, &entries, problem) ||
        !snapshot_manifest_load(&manifest, &bytes, dir, problem)) {
        return cli_fail(cli, CLI_UNPROVEN, "snapshot_failed", "%s", problem);
    }
    hex_encode(root, manifest.header.state_root.bytes, HASH_SIZE);
    hex_encode(id, manifest.id.bytes, HASH_SIZE);
    cJSON_AddBoolToObject(cli->result, "ok", true);
    json_add_u64(cli->result, "height", height);
    cJSON_AddStringToObject(cli->result, "id", id);
    cJSON_AddStringToObject(cli->result, "state_root", root);
    cJSON_AddNumberToObject(cli->result, "chunks", manifest.chunk_count);
    json_add_u64(cli->result, "entries", entries);
    json_add_u64(cli->result, "bytes", manifest.state_bytes);
    snapshot_bytes_free(bytes);
    noun_say_result(cli);
    return CLI_DONE;
}

static int run_fetch(struct cli *cli, void *arguments)
{
    struct fetch *wanted = arguments;
    static struct snapshot_manifest manifest;
    struct session session;
    struct bytes_view bytes = {NULL, 0};
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    int status = session_open(&session, cli);
    if (status == CLI_DONE && !files_make_directory(wanted->dir)) {
        status = cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", wanted->dir, strerror(errno));
    }
    /* What an earlier fetch has begun is what is fetched. */
    if (status == CLI_DONE && wanted->height == 0 &&
        snapshot_manifest_load(&manifest, &bytes, wanted->dir, problem)) {
        wanted->height = manifest.header.height;
        snapshot_bytes_free(bytes);
    }
    if (status == CLI_DONE && wanted->height == 0) {
        status = noun_newest_snapshot(&session, &wanted->height);
    }
    if (status == CLI_DONE) {
        status = fetch_part(&session, wanted, SNAPSHOT_MANIFEST, 0);
    }
    if (status == CLI_DONE && !snapshot_manifest_load(&manifest, &bytes, wanted->dir, problem)) {
        status = cli_fail(cli, CLI_UNPROVEN, "snapshot_failed", "%s", problem);
    } else if (status == CLI_DONE) {
        status =
            manifest.header.height == wanted->height
                ? fetch_parts(&session, wanted, &manifest)
                : cli_fail(cli, CLI_USAGE, "other_snapshot", "%s holds the snapshot of block %llu",
                           wanted->dir, (unsigned long long)manifest.header.height);
        snapshot_bytes_free(bytes);
    }
    session_close(&session);
    return status == CLI_DONE ? verify(cli, wanted->dir) : status;
}

struct directory {
    const char *dir;
};

static const struct cli_option verify_options[] = {
    {"dir", CLI_DIR, offsetof(struct directory, dir), "the snapshot's directory", CLI_REQUIRED,
     NULL, NULL, 0},
};

static int run_verify(struct cli *cli, void *arguments)
{
    const struct directory *wanted = arguments;
    return verify(cli, wanted->dir);
}

/* --- creating --------------------------------------------------------------------------------- */

static const struct cli_option create_options[] = {
    {"dir", CLI_DIR, offsetof(struct directory, dir), "the home of a node that runs here",
     CLI_REQUIRED, NULL, NULL, 0},
};

static uint64_t newest_in(const char *directory)
{
    uint64_t heights[SNAPSHOT_KEPT_MAX];
    const uint32_t count = snapshot_heights(directory, heights);
    return count > 0 ? heights[count - 1] : 0;
}

static int run_create(struct cli *cli, void *arguments)
{
    const struct directory *wanted = arguments;
    char pid[FILES_PATH_SIZE];
    char directory[FILES_PATH_SIZE];
    char request[FILES_PATH_SIZE];
    struct wait wait;
    if (!files_join(pid, wanted->dir, "flexd.pid") ||
        !files_join(directory, wanted->dir, snapshots_directory) ||
        !files_join(request, directory, snapshots_wanted)) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "the directory's name is too long");
    }
    if (!files_exists(pid)) {
        return cli_fail(cli, CLI_USAGE, "no_node",
                        "no node runs in %s: a snapshot is made by a node that runs", wanted->dir);
    }
    const uint64_t before = newest_in(directory);
    if (!files_write(request, "", 0, 0644)) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", request, strerror(errno));
    }
    wait_begin(&wait, cli->timeout_ms);
    uint64_t height = newest_in(directory);
    while (height <= before && wait_more(&wait)) {
        height = newest_in(directory);
    }
    if (height <= before) {
        return cli_fail(cli, CLI_NO_NODE, "not_yet",
                        "no snapshot yet; the node goes on with it (its log says how it went, "
                        "--timeout waits longer)");
    }
    json_add_u64(cli->result, "height", height);
    noun_say_result(cli);
    return CLI_DONE;
}

static const struct cli_command commands[] = {
    {.verb = "create",
     .summary = "have a node on this machine make one now",
     .teach =
         "Nodes make snapshots by themselves (snapshot_blocks in flexd.json); this is for the\n"
         "one before a change. Waits for it; --timeout says how long.\n"
         "  flex snapshot create --dir /var/lib/flexd --timeout 10m",
     .options = create_options,
     .option_count = 1,
     .arguments_size = sizeof(struct directory),
     .run = run_create},
    {.verb = "list", .summary = "what the node that --node names has", .run = run_list},
    {.verb = "verify",
     .summary = "check every part of one, offline, from the genesis file",
     .teach = "  flex snapshot verify --dir snapshot --genesis genesis.json",
     .options = verify_options,
     .option_count = 1,
     .arguments_size = sizeof(struct directory),
     .run = run_verify},
    {.verb = "fetch",
     .summary = "download one from a node, and verify it",
     .teach = "  flex --node http://127.0.0.1:8400 snapshot fetch --dir snapshot",
     .options = fetch_options,
     .option_count = sizeof fetch_options / sizeof fetch_options[0],
     .arguments_size = sizeof(struct fetch),
     .run = run_fetch},
};

const struct cli_noun snapshot_noun = {"snapshot",
                                       "the whole state at one height, verifiable alone", commands,
                                       sizeof commands / sizeof commands[0]};
