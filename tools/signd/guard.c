/* The signer's memory and judgement (guard.h; docs/spec/signer.md 4).
 *
 * A table of the last LIMIT_VIEW_WINDOW views says what was signed in each; a journal on disk says it
 * again. The rules are those of the protocol about one's own votes, and nothing else: the signer knows no
 * blocks, no certificates, no time.
 *
 * Invariants, for one key and chain
 *  G1 A signature leaves only after its vote is synced, and the state names its epoch.
 *  G2 One block per view for N, one for F; never N after U; never both U and F.
 *  G3 Nothing is signed in an epoch below the newest, nor LIMIT_VIEW_WINDOW or more below the highest
 *     view; what was forgotten there can so not be contradicted.
 *  G4 The same vote is signed again: Ed25519 gives the same signature, and a node that crashed asks anew.
 *
 * Deliberately absent: repair, and going on without a state. A key whose votes nobody remembers is
 * replaced by governance. */
#include "tools/signd/guard.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/json.h"
#include "storage/journal.h"

enum {
    STATE_BYTES_MAX = 1024,
    /* Some 8000 votes; two or three of them are kept. */
    SEGMENT_BYTES = 1 << 20,
    PRUNE_VOTES = 1024,
    /* A node's home has a few dozen names, and a journal for each epoch. */
    IMPORT_NAMES_MAX = 1 << 20
};

static const char what_to_do[] =
    "a key whose votes nobody remembers must not vote: replace it (docs/operator.md, \"Rotate a "
    "validator's key\")";

struct guard_view {
    uint64_t view; /* 0: unused */
    bool signed_kind[VOTE_KIND_COUNT];
    struct hash block[VOTE_KIND_COUNT];
};

struct guard {
    char home[NODE_PATH_MAX];
    struct public_key key;
    struct hash genesis;
    bool bound;     /* to that genesis */
    uint64_t epoch; /* of the journal */
    uint64_t top;   /* highest view of that epoch */
    uint32_t since_prune;
    bool importing; /* votes are taken as they were cast */
    int lock_fd;    /* of HOME/votes/lock */
    struct journal *journal;
    struct guard_view views[LIMIT_VIEW_WINDOW];
};

static bool path_of(char out[NODE_PATH_MAX], const char *home, const char *name)
{
    int size = snprintf(out, NODE_PATH_MAX, "%s/%s", home, name);
    return size > 0 && size < NODE_PATH_MAX;
}

static bool refuse(char problem[NODE_PROBLEM_SIZE], const char *what, const char *why)
{
    snprintf(problem, NODE_PROBLEM_SIZE, "%.60s: %.150s", what, why);
    return false;
}

/* --- the state file -------------------------------------------------------------------------- */

static bool write_state(const struct guard *guard, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX], key[2 * PUBLIC_KEY_SIZE + 1], chain[2 * HASH_SIZE + 1];
    char text[STATE_BYTES_MAX];
    hex_encode(key, guard->key.bytes, PUBLIC_KEY_SIZE);
    hex_encode(chain, guard->genesis.bytes, HASH_SIZE);
    int size = snprintf(text, sizeof text,
                        "{\"format\":\"flexsign/1\",\"key\":\"%s\",\"genesis\":\"%s\",\"epoch\":"
                        "\"%llu\"}\n",
                        key, chain, (unsigned long long)guard->epoch);
    MUST(size > 0 && size < (int)sizeof text);
    return path_of(path, guard->home, "votes/state")
               ? node_file_write(path, text, (size_t)size, 0600, problem)
               : refuse(problem, guard->home, "the name is too long");
}

static bool parse_state(struct guard *guard, const cJSON *root)
{
    static const char *const known[] = {"format", "key", "genesis", "epoch", NULL};
    struct public_key key;
    static const struct hash none;
    const char *format = json_string(root, "format");
    const char *key_text = json_string(root, "key");
    const char *chain = json_string(root, "genesis");
    if (json_unknown_key(root, known) != NULL || format == NULL || key_text == NULL ||
        chain == NULL || strcmp(format, "flexsign/1") != 0 ||
        !hex_decode(key.bytes, PUBLIC_KEY_SIZE, key_text) ||
        !hex_decode(guard->genesis.bytes, HASH_SIZE, chain) ||
        !json_u64(&guard->epoch, root, "epoch"))
        return false;
    guard->bound = !hash_equal(&guard->genesis, &none);
    return public_key_equal(&key, &guard->key);
}

static bool read_state(struct guard *guard, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX], fault[JSON_PROBLEM_SIZE], why[NODE_PROBLEM_SIZE];
    size_t size = 0;
    if (!path_of(path, guard->home, "votes/state"))
        return refuse(problem, guard->home, "the name is too long");
    if (access(path, F_OK) != 0) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.60s is missing: %s", path, what_to_do);
        return false;
    }
    char *text = node_file_read(path, STATE_BYTES_MAX, &size, why);
    if (text == NULL)
        return refuse(problem, path, why);
    cJSON *root = json_parse_strict(text, size, fault);
    bool good = root != NULL && parse_state(guard, root);
    cJSON_Delete(root);
    free(text);
    if (!good)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.60s is damaged or another key's: %s", path,
                 what_to_do);
    return good;
}

/* --- the table ------------------------------------------------------------------------------- */

static uint64_t floor_view(const struct guard *guard)
{
    return guard->top >= LIMIT_VIEW_WINDOW ? guard->top - LIMIT_VIEW_WINDOW : 0;
}

static void remember(struct guard *guard, const struct vote *vote)
{
    struct guard_view *view = &guard->views[vote->view % LIMIT_VIEW_WINDOW];
    if (vote->view > guard->top)
        guard->top = vote->view;
    if (vote->view <= floor_view(guard))
        return;
    if (view->view != vote->view) {
        memset(view, 0, sizeof *view);
        view->view = vote->view;
    }
    view->signed_kind[vote->kind] = true;
    view->block[vote->kind] = vote->block_id;
}

static bool is_well_formed(const struct vote *vote)
{
    static const struct hash none;
    return vote->kind < VOTE_KIND_COUNT && vote->view > 0 && vote->view < UINT64_MAX / 2 &&
           vote->signer < LIMIT_VALIDATORS &&
           hash_equal(&vote->block_id, &none) == (vote->kind == VOTE_NULLIFY);
}

/* G2. */
static enum signer_result judge_view(const struct guard_view *view, const struct vote *vote,
                                     bool *known)
{
    if (view->signed_kind[vote->kind]) {
        *known = hash_equal(&view->block[vote->kind], &vote->block_id);
        return *known ? SIGNER_DONE : SIGNER_CONTRADICTS;
    }
    const bool after_u = vote->kind != VOTE_NULLIFY && view->signed_kind[VOTE_NULLIFY];
    const bool after_f = vote->kind == VOTE_NULLIFY && view->signed_kind[VOTE_FINALIZE];
    return after_u || after_f ? SIGNER_CONTRADICTS : SIGNER_DONE;
}

enum signer_result guard_judge(const struct guard *guard, const struct hash *genesis,
                               const struct vote *vote, bool *known)
{
    *known = false;
    if (!is_well_formed(vote))
        return SIGNER_MALFORMED;
    if (guard->bound && !hash_equal(&guard->genesis, genesis))
        return SIGNER_OTHER_CHAIN;
    if (vote->epoch < guard->epoch) /* G3 */
        return SIGNER_TOO_OLD;
    if (vote->epoch > guard->epoch)
        return SIGNER_DONE;
    if (vote->view <= floor_view(guard)) /* G3 */
        return SIGNER_TOO_OLD;
    const struct guard_view *view = &guard->views[vote->view % LIMIT_VIEW_WINDOW];
    return view->view == vote->view ? judge_view(view, vote, known) : SIGNER_DONE;
}

/* --- the journal ----------------------------------------------------------------------------- */

static bool replay(void *context, const struct journal_entry *entry)
{
    struct guard *guard = context;
    bool known = false;
    if (entry->type != JOURNAL_VOTE)
        return false; /* no signer writes anything else */
    if (entry->vote.epoch != guard->epoch || !is_well_formed(&entry->vote))
        return false;
    const enum signer_result result = guard_judge(guard, &guard->genesis, &entry->vote, &known);
    if (result != SIGNER_DONE && result != SIGNER_TOO_OLD)
        return false;
    remember(guard, &entry->vote);
    return true;
}

/* No room: nothing that is not on disk may be signed, so the process ends instead of waiting. */
static bool on_full(void *context, bool full)
{
    (void)context;
    return !full;
}

static bool open_journal(struct guard *guard, bool must_exist, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX], name[48], fault[160] = "";
    snprintf(name, sizeof name, "votes/epoch-%llu", (unsigned long long)guard->epoch);
    if (!path_of(path, guard->home, name))
        return refuse(problem, guard->home, "the name is too long");
    struct journal_config config = {.directory = path,
                                    .genesis = guard->genesis,
                                    .epoch = guard->epoch,
                                    .segment_bytes = SEGMENT_BYTES};
    struct journal_report report = {0};
    /* An emptied directory would else pass for a new one. */
    if (must_exist &&
        (access(path, F_OK) != 0 ||
         (journal_check(&report, &config, fault) == JOURNAL_OK && report.segments == 0))) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.60s is missing: %s", path, what_to_do);
        return false;
    }
    guard->top = 0;
    memset(guard->views, 0, sizeof guard->views);
    enum journal_result result = journal_open(&guard->journal, &config, replay, guard, fault);
    if (result == JOURNAL_OK) {
        journal_on_full(guard->journal, on_full, guard);
        return true;
    }
    if (guard->journal != NULL)
        journal_close(guard->journal);
    guard->journal = NULL;
    if (result == JOURNAL_FAULT)
        return refuse(problem, path, fault);
    snprintf(problem, NODE_PROBLEM_SIZE, "%.50s: %.50s: %s", path, fault, what_to_do);
    return false;
}

/* Directories of a handful of segments each; more names are left to the next time. */
enum { OLD_EPOCHS_MAX = 4096, SEGMENTS_MAX = 65536 };

/* The files of a journal's directory, then the directory. */
static void remove_journal(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry = NULL;
    if (directory == NULL)
        return;
    for (uint32_t i = 0; i < SEGMENTS_MAX && (entry = readdir(directory)) != NULL; i++)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    (void)closedir(directory);
    (void)rmdir(path);
}

/* Journals of epochs below the state's, in which nothing is ever signed again (G3): the state that says so
 * is on disk, so nobody will ask them. What can't be removed is in nobody's way. */
static void remove_old_epochs(const struct guard *guard)
{
    static const char head[] = "epoch-";
    char path[NODE_PATH_MAX], name[64];
    const struct dirent *entry = NULL;
    DIR *directory = path_of(path, guard->home, "votes") ? opendir(path) : NULL;
    if (directory == NULL)
        return;
    for (uint32_t i = 0; i < OLD_EPOCHS_MAX && (entry = readdir(directory)) != NULL; i++) {
        uint64_t epoch = 0;
        if (strncmp(entry->d_name, head, sizeof head - 1) != 0 ||
            !uint64_from_text(&epoch, entry->d_name + sizeof head - 1) || epoch >= guard->epoch)
            continue;
        snprintf(name, sizeof name, "votes/epoch-%llu", (unsigned long long)epoch);
        if (path_of(path, guard->home, name))
            remove_journal(path);
    }
    (void)closedir(directory);
}

void guard_discard(const char *home)
{
    char path[NODE_PATH_MAX], name[64];
    const struct dirent *entry = NULL;
    DIR *directory = path_of(path, home, "votes") ? opendir(path) : NULL;
    if (directory == NULL)
        return;
    for (uint32_t i = 0; i < OLD_EPOCHS_MAX && (entry = readdir(directory)) != NULL; i++) {
        snprintf(name, sizeof name, "votes/%.48s", entry->d_name);
        if (strncmp(entry->d_name, "epoch-", 6) == 0 && path_of(path, home, name))
            remove_journal(path);
    }
    (void)closedir(directory);
    if (path_of(path, home, "votes"))
        remove_journal(path);
}

/* The first vote of an epoch, or of all: its journal, then the state that says so (G1). */
static bool enter_epoch(struct guard *guard, const struct hash *genesis, uint64_t epoch,
                        char problem[NODE_PROBLEM_SIZE])
{
    if (guard->journal != NULL)
        journal_close(guard->journal);
    guard->journal = NULL;
    guard->genesis = *genesis;
    guard->bound = true;
    guard->epoch = epoch;
    if (!open_journal(guard, false, problem) || !write_state(guard, problem))
        return false;
    remove_old_epochs(guard);
    return true;
}

bool guard_note(struct guard *guard, const struct hash *genesis, const struct vote *vote,
                char problem[NODE_PROBLEM_SIZE])
{
    bool known = false;
    MUST(guard_judge(guard, genesis, vote, &known) == SIGNER_DONE && !known);
    if ((!guard->bound || guard->journal == NULL || vote->epoch > guard->epoch) &&
        !enter_epoch(guard, genesis, vote->epoch, problem))
        return false;
    /* The epoch's journal may be older than the state, and hold votes already. */
    if (guard_judge(guard, genesis, vote, &known) != SIGNER_DONE)
        return refuse(problem, "the new epoch's journal", "it holds votes that exclude this one");
    if (known)
        return true;
    remember(guard, vote);
    journal_append_vote(guard->journal, vote);
    if (!guard->importing && !journal_sync(guard->journal))
        return refuse(problem, guard->home, "there is no room on the disk for another vote");
    if (++guard->since_prune >= PRUNE_VOTES && !guard->importing) {
        guard->since_prune = 0;
        journal_prune(guard->journal, floor_view(guard));
    }
    return true;
}

/* --- opening --------------------------------------------------------------------------------- */

static struct guard *guard_new(const char *home, const struct public_key *key,
                               char problem[NODE_PROBLEM_SIZE])
{
    struct guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL || strlen(home) >= sizeof guard->home) {
        free(guard);
        (void)refuse(problem, home, "the name is too long, or memory ran out");
        return NULL;
    }
    snprintf(guard->home, sizeof guard->home, "%s", home);
    guard->key = *key;
    guard->lock_fd = -1;
    return guard;
}

/* The journal's own lock is one epoch's, and there is none before the first vote. */
static bool take_lock(struct guard *guard, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    if (!path_of(path, guard->home, "votes/lock"))
        return refuse(problem, guard->home, "the name is too long");
    guard->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (guard->lock_fd < 0)
        return refuse(problem, path, strerror(errno));
    return flock(guard->lock_fd, LOCK_EX | LOCK_NB) == 0 ||
           refuse(problem, path, "another signer has this home");
}

bool guard_may_create(const char *home, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    if (!path_of(path, home, "votes"))
        return refuse(problem, home, "the name is too long");
    if (access(path, F_OK) != 0)
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE,
             "%.90s is there, and no key.json: the votes of a key that is not here. Bring its "
             "key.json back, or take another --home",
             path);
    return false;
}

bool guard_create(const char *home, const struct public_key *key, char problem[NODE_PROBLEM_SIZE])
{
    char path[NODE_PATH_MAX];
    struct guard *guard = guard_new(home, key, problem);
    if (guard == NULL)
        return false;
    bool good = guard_may_create(home, problem) && path_of(path, home, "votes");
    if (good && mkdir(path, 0700) != 0)
        good = refuse(problem, path, strerror(errno));
    if (good && !write_state(guard, problem)) {
        guard_discard(home);
        good = false;
    }
    free(guard);
    return good;
}

struct guard *guard_open(const char *home, const struct public_key *key,
                         char problem[NODE_PROBLEM_SIZE])
{
    struct guard *guard = guard_new(home, key, problem);
    if (guard == NULL)
        return NULL;
    /* Looked at before the lock, which can be taken only where there is a directory for it; what counts
     * is read under it. */
    if (!read_state(guard, problem) || !take_lock(guard, problem) || !read_state(guard, problem) ||
        (guard->bound && !open_journal(guard, true, problem))) {
        guard_close(guard);
        return NULL;
    }
    remove_old_epochs(guard); /* of a process that ended between a state and this */
    return guard;
}

void guard_close(struct guard *guard)
{
    if (guard->journal != NULL)
        journal_close(guard->journal);
    if (guard->lock_fd >= 0)
        (void)close(guard->lock_fd);
    free(guard);
}

void guard_watermark(const struct guard *guard, uint64_t *epoch, uint64_t *view)
{
    *epoch = guard->epoch;
    *view = guard->top;
}

const struct hash *guard_genesis(const struct guard *guard)
{
    return &guard->genesis;
}

/* --- taking over a node's votes -------------------------------------------------------------- */

struct import {
    struct guard *guard;
    const struct hash *genesis;
    uint64_t votes;
    char *problem;
};

/* The node's journal holds what it has said; votes of the window alone are of use here. */
static bool import_entry(void *context, const struct journal_entry *entry)
{
    struct import *import = context;
    bool known = false;
    if (entry->type != JOURNAL_VOTE)
        return true;
    switch (guard_judge(import->guard, import->genesis, &entry->vote, &known)) {
    case SIGNER_DONE:
        import->votes++;
        return known || guard_note(import->guard, import->genesis, &entry->vote, import->problem);
    case SIGNER_TOO_OLD:
        return true;
    case SIGNER_CONTRADICTS:
    case SIGNER_OTHER_CHAIN:
    case SIGNER_MALFORMED:
    case SIGNER_RESULT_COUNT:
        break;
    }
    return false;
}

static bool import_epoch(struct import *import, const char *path, uint64_t epoch,
                         char problem[NODE_PROBLEM_SIZE])
{
    char fault[160] = "";
    struct journal *journal = NULL;
    struct journal_config config = {.directory = path, .genesis = *import->genesis, .epoch = epoch};
    enum journal_result result = journal_open(&journal, &config, import_entry, import, fault);
    if (journal != NULL)
        journal_close(journal);
    if (result == JOURNAL_OK)
        return true;
    snprintf(problem, NODE_PROBLEM_SIZE, "%.80s: %.150s", path, fault);
    return false;
}

/* The number of "journal" or "journal-N"; false for any other name. */
static bool journal_epoch(uint64_t *epoch, const char *name)
{
    static const char first[] = "journal";
    const size_t size = sizeof first - 1;
    *epoch = 0;
    if (strncmp(name, first, size) != 0)
        return false;
    return name[size] == '\0' ||
           (name[size] == '-' && uint64_from_text(epoch, name + size + 1) && *epoch > 0);
}

/* *found: there is a journal at all. False if the home can't be read. */
static bool newest_journal(uint64_t *newest, bool *found, const char *node_home,
                           char problem[NODE_PROBLEM_SIZE])
{
    DIR *directory = opendir(node_home);
    const struct dirent *entry = NULL;
    *found = false;
    *newest = 0;
    if (directory == NULL)
        return refuse(problem, node_home, strerror(errno));
    uint32_t names = 0;
    for (; names < IMPORT_NAMES_MAX; names++) {
        uint64_t epoch = 0;
        errno = 0;
        entry = readdir(directory);
        if (entry == NULL)
            break;
        if (!journal_epoch(&epoch, entry->d_name))
            continue;
        *newest = epoch > *newest ? epoch : *newest;
        *found = true;
    }
    const bool whole = entry == NULL && errno == 0;
    (void)closedir(directory);
    return whole || refuse(problem, node_home, "its files can't be listed");
}

/* Whether the note of lost votes is of an epoch before `newest`, in which nobody votes any more. */
static bool is_of_the_past(const char *path, uint64_t newest)
{
    static const char head[] = "epoch ";
    char fault[NODE_PROBLEM_SIZE];
    uint64_t lost = 0;
    size_t size = 0;
    char *text = node_file_read(path, STATE_BYTES_MAX, &size, fault);
    if (text == NULL)
        return false;
    bool past =
        size > sizeof head && strncmp(text, head, sizeof head - 1) == 0 && text[size - 1] == '\n';
    if (past) {
        text[size - 1] = '\0';
        past = uint64_from_text(&lost, text + sizeof head - 1) && lost < newest;
    }
    free(text);
    return past;
}

/* A node that has lost its memory says so in its home, and casts no vote; a journal that it has made since
 * knows nothing of the votes before (node/epoch.c, node/restored.h). */
static bool remembers(const char *node_home, uint64_t newest, char problem[NODE_PROBLEM_SIZE])
{
    char lost[NODE_PATH_MAX], restored[NODE_PATH_MAX];
    if (!path_of(lost, node_home, "votes-lost") || !path_of(restored, node_home, "restored"))
        return refuse(problem, node_home, "the name is too long");
    const char *mark = NULL;
    if (access(lost, F_OK) == 0 && !is_of_the_past(lost, newest))
        mark = lost;
    else if (access(restored, F_OK) == 0)
        mark = restored;
    if (mark != NULL)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.60s says that votes are forgotten: %s", mark,
                 what_to_do);
    return mark == NULL;
}

bool guard_import(struct guard *guard, uint64_t *votes, const char *node_home,
                  const struct hash *genesis, char problem[NODE_PROBLEM_SIZE])
{
    struct import import = {.guard = guard, .genesis = genesis, .problem = problem};
    uint64_t newest = 0;
    bool found = false;
    char path[NODE_PATH_MAX], name[40];
    *votes = 0;
    if (!newest_journal(&newest, &found, node_home, problem) ||
        !remembers(node_home, newest, problem))
        return false;
    if (!found && path_of(path, node_home, "data") && access(path, F_OK) != 0)
        return true; /* a home that was never started */
    if (!found)
        return refuse(problem, node_home, "no vote journal; what the node has signed is not known");
    snprintf(name, sizeof name, newest == 0 ? "journal" : "journal-%llu",
             (unsigned long long)newest);
    if (!path_of(path, node_home, name))
        return refuse(problem, node_home, "the name is too long");
    if (!enter_epoch(guard, genesis, newest, problem))
        return false;
    guard->importing = true;
    bool good = import_epoch(&import, path, newest, problem);
    guard->importing = false;
    if (good && !journal_sync(guard->journal))
        good = refuse(problem, guard->home, "there is no room on the disk");
    *votes = import.votes;
    return good;
}
