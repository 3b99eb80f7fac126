/* flexd backup and restore (docs/spec/config.md, "Backup and restore"; ADR 60).
 *
 * A backup is a directory laid out as a home, with `backup.json` beside it all, and no journal:
 *
 *   backup    OUT.partial: keys of an earlier attempt out -> small files -> database -> checked ->
 *             backup.json -> renamed to OUT
 *   restore   HOME: mark `restored` -> database -> small files -> flexd.json, without which nothing starts
 *
 * 1. What is called OUT is whole: kill -9 leaves OUT.partial, which the next backup writes over.
 * 2. Keys are copied only where --keys says so; votes (journal/, sign-state) never, for an old copy of them
 *    would let a validator contradict itself.
 * 3. A home is marked before it has a key and a configuration, so no restore that was broken off votes.
 * 4. A start refuses a directory that has backup.json: a copy made by hand is no restore.
 *
 * Deliberately absent: incremental backups (the others send the blocks that came since), encryption
 * (whoever stores the files has better), and the merging of a backup into a home that is there. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "node/check.h"
#include "node/clock.h"
#include "node/commands.h"
#include "node/options.h"
#include "node/restored.h"
#include "node/version.h"
#include "storage/store_backup.h"

enum { SMALL_FILE_BYTES_MAX = GENESIS_JSON_BYTES_MAX, COPY_BYTES = 1 << 20, PARTS_MAX = 8 };

static const char backup_name[] = "backup.json";
static const char backup_format[] = "flexledger-backup-1";

/* The small files by their names in a home; those of the configuration may have other ones there. */
struct part {
    const char *name;
    bool secret;
    bool required;
};

struct work {
    const struct flexd_options *options;
    const char *command;
    struct node_config config; /* of the home that is copied from; of a restore: of the backup */
    struct node_config target;
    struct genesis *genesis;
    struct hash genesis_hash;
    struct node_check check;
    struct store_tip tip;
    bool has_keys;
    char problem[NODE_PROBLEM_SIZE];
};

static int fail(struct work *work, int code)
{
    flexd_say_fault(work->command, work->options->json,
                    code == FLEXD_BAD_USAGE ? "bad_input" : "failed", work->problem);
    return code;
}

static bool complain(struct work *work, const char *what, const char *why)
{
    snprintf(work->problem, sizeof work->problem, "%.150s: %.90s", what, why);
    return false;
}

static uint32_t list_parts(struct part out[PARTS_MAX], const struct node_config *config)
{
    const struct part parts[] = {
        {config->genesis, false, true},
        {config->tls_ca, false, false},
        {config->tls_certificate, false, false},
        {config->tls_key, true, false},
        {"tls/ca.key", true, false},
        {"node.key", true, false},
    };
    _Static_assert(sizeof parts / sizeof parts[0] <= PARTS_MAX, "room for all parts");
    memcpy(out, parts, sizeof parts);
    return sizeof parts / sizeof parts[0];
}

/* A name of the configuration that stays below the home; others are the operator's own to keep. */
static bool is_inside(const char *name)
{
    return name[0] != '/' && name[0] != '\0' && strstr(name, "..") == NULL;
}

/* Says each file that stays behind: a backup that lacks something unsaid is found out on the worst day. */
static cJSON *say_outside(const struct work *work)
{
    struct part parts[PARTS_MAX];
    cJSON *list = cJSON_CreateArray();
    const uint32_t count = list_parts(parts, &work->config);
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].name[0] == '\0' || is_inside(parts[i].name))
            continue;
        cJSON_AddItemToArray(list, cJSON_CreateString(parts[i].name));
        if (!work->options->json)
            fprintf(stderr,
                    "flexd %s: %s is outside the home and not in the backup: keep it yourself\n",
                    work->command, parts[i].name);
    }
    return list;
}

static bool sync_directory(struct work *work, const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool good = fd >= 0 && fsync(fd) == 0;
    if (!good)
        (void)complain(work, path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return good;
}

/* `name`, with the directories above it, in the home of `config`. */
static bool make_place(struct work *work, char path[NODE_PATH_MAX],
                       const struct node_config *config, const char *name)
{
    char above[NODE_PATH_MAX];
    if (!node_config_path(path, config, name))
        return complain(work, name, "the name is too long");
    snprintf(above, sizeof above, "%s", path);
    char *slash = strrchr(above, '/');
    if (slash == NULL)
        return true;
    *slash = '\0';
    return files_make_directory(above) || complain(work, above, strerror(errno));
}

static bool copy_small(struct work *work, const struct part *part)
{
    char from[NODE_PATH_MAX];
    char to[NODE_PATH_MAX];
    size_t size = 0;
    if (!node_config_path(from, &work->config, part->name) ||
        !make_place(work, to, &work->target, part->name))
        return false;
    if (!part->required && access(from, F_OK) != 0 && errno == ENOENT)
        return true;
    char *text = node_file_read(from, SMALL_FILE_BYTES_MAX, &size, work->problem);
    const bool good =
        text != NULL && node_file_write(to, text, size, part->secret ? 0600 : 0644, work->problem);
    free(text);
    work->has_keys = work->has_keys || (good && strcmp(part->name, "node.key") == 0);
    return good;
}

static bool copy_parts(struct work *work, bool keys)
{
    struct part parts[PARTS_MAX];
    const uint32_t count = list_parts(parts, &work->config);
    for (uint32_t i = 0; i < count; i++) {
        if ((parts[i].secret && !keys) || !is_inside(parts[i].name))
            continue;
        if (!copy_small(work, &parts[i]))
            return false;
    }
    return true;
}

/* Configuration and genesis of the home in work->config. */
static int load_home(struct work *work, const char *home)
{
    char path[NODE_PATH_MAX];
    work->genesis = malloc(sizeof *work->genesis);
    if (work->genesis == NULL) {
        (void)complain(work, "genesis", "out of memory");
        return FLEXD_FAILED;
    }
    if (!node_config_load(&work->config, home, work->problem))
        return FLEXD_BAD_USAGE;
    if (!node_config_path(path, &work->config, work->config.genesis) ||
        !node_genesis_load(work->genesis, &work->genesis_hash, NULL, NULL, path, work->problem))
        return FLEXD_BAD_USAGE;
    return FLEXD_DONE;
}

/* The newest block of the copy, which the opening checks; the files of the opening go away again. */
static bool read_tip(struct work *work)
{
    static const char *const traces[] = {"data/in-use", "data/lock.mdb"};
    char path[NODE_PATH_MAX];
    struct store *store = NULL;
    if (!node_config_path(path, &work->target, "data"))
        return complain(work, "data", "the name is too long");
    const struct store_config config = {.directory = path,
                                        .map_bytes = work->config.map_bytes,
                                        .map_bytes_max = work->config.map_bytes_max,
                                        .genesis = work->genesis_hash};
    const enum store_result result = store_open(&store, &config);
    const bool good = result == STORE_OK && store_tip(store)->has_genesis;
    if (good)
        work->tip = *store_tip(store);
    if (store != NULL)
        store_close(store);
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++)
        if (node_config_path(path, &work->target, traces[i]))
            (void)unlink(path);
    return good ||
           complain(work, "the copy",
                    result == STORE_OK ? "there are no blocks in it" : store_result_text(result));
}

/* What stands in the target's data/, by the check that each start makes. */
static int check_copy(struct work *work)
{
    work->check.config = &work->target;
    work->check.genesis = work->genesis;
    work->check.genesis_hash = work->genesis_hash;
    int code = node_check_data(&work->check, NULL, true, false);
    if (code != FLEXD_DONE)
        snprintf(work->problem, sizeof work->problem, "%.250s", work->check.problem);
    return code == FLEXD_DONE && !read_tip(work) ? FLEXD_FAILED : code;
}

static void say(const struct work *work, const char *from, const char *to, const char *next)
{
    const struct store_tip *tip = &work->tip;
    cJSON *outside = say_outside(work);
    if (!work->options->json) {
        printf("%s\n  from    %s\n  to      %s\n  block   %" PRIu64
               "\n  key     %s\n  next    %s\n",
               work->command, from, to, tip->height,
               work->has_keys ? "with it: whoever reads this can sign as the node" : "not in it",
               next);
        cJSON_Delete(outside);
        return;
    }
    cJSON *root = cJSON_CreateObject();
    char hex[2 * HASH_SIZE + 1];
    cJSON_AddStringToObject(root, "from", from);
    cJSON_AddStringToObject(root, "to", to);
    json_add_u64(root, "height", tip->height);
    hex_encode(hex, tip->block_id.bytes, HASH_SIZE);
    cJSON_AddStringToObject(root, "block_id", hex);
    cJSON_AddBoolToObject(root, "keys", work->has_keys);
    cJSON_AddItemToObject(root, "outside", outside);
    cJSON_AddStringToObject(root, "next", next);
    char *text = cJSON_PrintUnformatted(root);
    if (text != NULL)
        printf("%s\n", text);
    free(text);
    cJSON_Delete(root);
}

/* --- backup ---------------------------------------------------------------------------------- */

/* What an earlier attempt may have left in OUT.partial and this one would not write over. */
static bool clear_partial(struct work *work)
{
    static const char *const others[] = {"data/data.mdb", "data/lock.mdb", "data/in-use",
                                         "backup.json", "flexd.json"};
    struct part parts[PARTS_MAX];
    char path[NODE_PATH_MAX];
    const uint32_t count = list_parts(parts, &work->config);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_inside(parts[i].name))
            continue;
        if (!node_config_path(path, &work->target, parts[i].name) ||
            (unlink(path) != 0 && errno != ENOENT))
            return complain(work, parts[i].name, strerror(errno));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (!node_config_path(path, &work->target, others[i]) ||
            (unlink(path) != 0 && errno != ENOENT))
            return complain(work, others[i], strerror(errno));
    }
    return true;
}

static bool write_backup_json(struct work *work)
{
    char path[NODE_PATH_MAX];
    char hex[2 * HASH_SIZE + 1];
    const struct store_tip *tip = &work->tip;
    if (!node_config_path(path, &work->target, backup_name))
        return complain(work, backup_name, "the name is too long");
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "format", backup_format);
    cJSON_AddStringToObject(root, "program", FLEX_VERSION);
    hex_encode(hex, work->genesis_hash.bytes, HASH_SIZE);
    cJSON_AddStringToObject(root, "genesis", hex);
    json_add_u64(root, "height", tip->height);
    hex_encode(hex, tip->block_id.bytes, HASH_SIZE);
    cJSON_AddStringToObject(root, "block_id", hex);
    json_add_i64(root, "block_time_ms", timestamp_ms(tip->time));
    cJSON_AddBoolToObject(root, "keys", work->has_keys);
    const bool good = files_write_json(path, root, 0600);
    cJSON_Delete(root);
    return good || complain(work, path, strerror(errno));
}

static int copy_database(struct work *work, const char *source_home)
{
    char from[NODE_PATH_MAX];
    char to[NODE_PATH_MAX];
    char why[160] = "";
    if (snprintf(from, sizeof from, "%s/data", source_home) >= (int)sizeof from ||
        !make_place(work, to, &work->target, "data/data.mdb")) {
        if (work->problem[0] == '\0')
            (void)complain(work, source_home, "the name is too long");
        return FLEXD_FAILED;
    }
    const enum store_result result = store_backup(from, to, why);
    if (result == STORE_OK)
        return FLEXD_DONE;
    (void)complain(work, why[0] != '\0' ? why : from, store_result_text(result));
    return result == STORE_CORRUPT ? FLEXD_DAMAGED : FLEXD_FAILED;
}

static int make_backup(struct work *work, const char *partial)
{
    static const struct part config_part = {"flexd.json", false, true};
    int code = load_home(work, work->options->home);
    if (code != FLEXD_DONE)
        return code;
    if (!files_make_directory(partial)) {
        (void)complain(work, partial, strerror(errno));
        return FLEXD_FAILED;
    }
    node_config_init(&work->target, partial);
    if (chmod(partial, 0700) != 0 || !clear_partial(work) || !copy_small(work, &config_part) ||
        !copy_parts(work, work->options->keys))
        return FLEXD_FAILED;
    code = copy_database(work, work->options->home);
    if (code == FLEXD_DONE)
        code = check_copy(work);
    if (code == FLEXD_DONE && (!write_backup_json(work) || !sync_directory(work, partial)))
        code = FLEXD_FAILED;
    return code;
}

int flexd_backup(int count, char **arguments)
{
    static const char *const allowed[] = {"home", "out", "keys", "json", NULL};
    struct flexd_options options;
    char partial[NODE_PATH_MAX];
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL || !flexd_options_parse(&options, "backup", allowed, count, arguments)) {
        free(work);
        return FLEXD_BAD_USAGE;
    }
    work->options = &options;
    work->command = "backup";
    int code = FLEXD_BAD_USAGE;
    if (options.out == NULL || options.out[0] == '\0') {
        (void)complain(work, "--out DIR is required", "where the backup goes");
    } else if (snprintf(partial, sizeof partial, "%s.partial", options.out) >=
               (int)sizeof partial - 32) {
        (void)complain(work, "--out", "too long");
    } else if (files_exists(options.out)) {
        (void)complain(work, options.out, "is there already; each backup gets a name of its own");
        code = FLEXD_FAILED;
    } else {
        code = make_backup(work, partial);
    }
    if (code == FLEXD_DONE && rename(partial, options.out) != 0) {
        (void)complain(work, options.out, strerror(errno));
        code = FLEXD_FAILED;
    }
    if (code == FLEXD_DONE)
        say(work, options.home, options.out,
            work->has_keys ? "keep it where nobody reads it"
                           : "keep node.key where nobody reads it, apart from this");
    else
        (void)fail(work, code);
    free(work->genesis);
    free(work);
    return code;
}

/* --- restore --------------------------------------------------------------------------------- */

static bool is_backup(struct work *work, const char *directory)
{
    char path[FILES_PATH_SIZE];
    char why[160] = "";
    if (!files_join(path, directory, backup_name))
        return complain(work, directory, "the name is too long");
    cJSON *root = files_read_json(path, why);
    const char *format = root != NULL ? json_string(root, "format") : NULL;
    const bool good = format != NULL && strcmp(format, backup_format) == 0;
    if (!good && access(path, F_OK) != 0 && errno == ENOENT)
        (void)complain(work, directory, "there is no backup.json in it: not a whole backup");
    else if (!good)
        (void)complain(work, path, root == NULL ? why : "not a backup that this flexd knows");
    cJSON_Delete(root);
    return good;
}

/* Plain bytes: nobody writes to a backup. */
static bool copy_file(struct work *work, const char *from, const char *to)
{
    uint8_t *buffer = malloc(COPY_BYTES);
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = buffer != NULL && in >= 0 && out >= 0;
    ssize_t got = good ? 1 : 0;
    while (good && got > 0) { /* ends: the file does */
        got = read(in, buffer, COPY_BYTES);
        good = got >= 0 && files_write_all(out, buffer, (size_t)got);
    }
    good = good && fsync(out) == 0;
    if (!good)
        (void)complain(work, in < 0 ? from : to, strerror(errno));
    if (in >= 0)
        (void)close(in);
    if (out >= 0)
        (void)close(out);
    free(buffer);
    return good;
}

/* The database beside its place first: an unfinished copy is never `data`. */
static int put_database(struct work *work)
{
    char from[NODE_PATH_MAX];
    char to[NODE_PATH_MAX];
    char last[NODE_PATH_MAX];
    if (!node_config_path(from, &work->config, "data/data.mdb") ||
        !make_place(work, to, &work->target, "data/data.mdb.restoring") ||
        !node_config_path(last, &work->target, "data/data.mdb"))
        return FLEXD_FAILED;
    if (!copy_file(work, from, to))
        return FLEXD_FAILED;
    if (rename(to, last) != 0) {
        (void)complain(work, last, strerror(errno));
        return FLEXD_FAILED;
    }
    return check_copy(work);
}

/* No vote before the chain has passed what the home's former life can have voted for. */
static bool mark_target(struct work *work, const struct node_config *clocked)
{
    struct node_clock clock;
    char path[NODE_PATH_MAX];
    if (!node_config_path(path, clocked, clocked->clock_offset_file))
        path[0] = '\0';
    node_clock_open(&clock, clocked->clock_offset_file[0] != '\0' ? path : NULL);
    const bool marked = restored_mark(&work->target, node_clock_wall(&clock), work->problem);
    node_clock_close(&clock);
    return marked;
}

/* A whole home: the mark before anything that could vote, the configuration after all that it needs. */
static int restore_home(struct work *work)
{
    static const struct part config_part = {"flexd.json", false, true};
    if (!files_make_directory(work->target.home)) {
        (void)complain(work, work->target.home, strerror(errno));
        return FLEXD_FAILED;
    }
    if (!mark_target(work, &work->config))
        return FLEXD_FAILED;
    int code = put_database(work);
    if (code == FLEXD_DONE && (!copy_parts(work, true) || !copy_small(work, &config_part) ||
                               !sync_directory(work, work->target.home)))
        code = FLEXD_FAILED;
    return code;
}

/* Nothing of a former life may be there; what a restore that was broken off left may: its mark comes first,
 * the configuration last, and between them it opens the database. */
static bool home_is_free(struct work *work)
{
    static const char *const signs[] = {"flexd.json", "journal", "data/in-use"};
    char path[NODE_PATH_MAX];
    const bool broken_off = node_config_path(path, &work->target, "restored") && files_exists(path);
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (!node_config_path(path, &work->target, signs[i]))
            return complain(work, work->target.home, "the name is too long");
        if (broken_off && strcmp(signs[i], "data/in-use") == 0)
            continue;
        if (files_exists(path))
            return complain(work, path, "is there: a restore makes a new home and changes none");
    }
    return true;
}

/* The database alone, into a home whose own is gone. Its journals are as they were, but the database is older
 * than what they were pruned for: so this home waits for the chain like any that is restored. */
static int restore_data(struct work *work)
{
    char path[NODE_PATH_MAX];
    struct hash own;
    struct genesis *genesis = malloc(sizeof *genesis);
    bool good = genesis != NULL &&
                node_config_load(&work->target, work->options->home, work->problem) &&
                node_config_path(path, &work->target, work->target.genesis) &&
                node_genesis_load(genesis, &own, NULL, NULL, path, work->problem);
    free(genesis);
    if (!good)
        return FLEXD_BAD_USAGE;
    if (!hash_equal(&own, &work->genesis_hash)) {
        (void)complain(work, work->options->from, "a backup of another chain");
        return FLEXD_BAD_USAGE;
    }
    if (!node_config_path(path, &work->target, "data/data.mdb") || files_exists(path)) {
        (void)complain(work, "data", "there is a database; move data/ away first");
        return FLEXD_FAILED;
    }
    return mark_target(work, &work->target) ? put_database(work) : FLEXD_FAILED;
}

static const char *next_step(const struct work *work)
{
    char path[NODE_PATH_MAX];
    if (work->options->data)
        return work->target.role == NODE_AUDIT
                   ? "flexd start: the others send what came since"
                   : "flexd start: the others send what came since, and it follows without a vote; "
                     "start it again two minutes later, and it votes";
    if (work->config.signer_socket[0] != '\0')
        return "put tls/node.key and what else flexd check misses into the home, and start "
               "flexsignd "
               "with its own home; then flexd start: it follows without a vote, and votes when it "
               "is "
               "started again two minutes later";
    if (!node_config_path(path, &work->target, "node.key") || !files_exists(path))
        return "put node.key, tls/node.key and what else flexd check misses into the home, then "
               "flexd start";
    return work->config.role == NODE_AUDIT ? "flexd start"
                                           : "flexd start: it follows without a vote; start it "
                                             "again two minutes later, and it votes";
}

int flexd_restore(int count, char **arguments)
{
    static const char *const allowed[] = {"home", "from", "data", "json", NULL};
    struct flexd_options options;
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL || !flexd_options_parse(&options, "restore", allowed, count, arguments)) {
        free(work);
        return FLEXD_BAD_USAGE;
    }
    work->options = &options;
    work->command = "restore";
    int code = FLEXD_BAD_USAGE;
    if (options.from == NULL || options.from[0] == '\0')
        (void)complain(work, "--from DIR is required", "the backup");
    else if (options.home[0] == '\0' || strlen(options.home) >= NODE_PATH_MAX - 32)
        (void)complain(work, "--home", "empty or too long");
    else if (is_backup(work, options.from))
        code = load_home(work, options.from);
    node_config_init(&work->target, options.home);
    if (code == FLEXD_DONE && options.data)
        code = restore_data(work);
    else if (code == FLEXD_DONE)
        code = home_is_free(work) ? restore_home(work) : FLEXD_FAILED;
    if (code == FLEXD_DONE)
        say(work, options.from, options.home, next_step(work));
    else
        (void)fail(work, code);
    free(work->genesis);
    free(work);
    return code;
}
