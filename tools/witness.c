/* The regulator's witness (tools/witness.h; docs/spec/digest.md 3).
 *
 *   last.note, verified -> a newer digest, verified -> proof that the one's log is a prefix of the
 *   other's, verified -> signature -> last.note -> the signature is shown
 *
 * Invariants:
 *  1. Nothing is signed that is not proven to continue what was signed before (W1).
 *  2. The new state is on disk before anybody sees the signature (W3).
 *  3. A state that does not verify to the byte is not used: exit 4.
 *  4. A key that is on disk has signed: without the note that it signed last, it signs no more (W4).
 *  5. Two digests that can't both be of one history are both kept (W2).
 *
 * Absent on purpose: a service. The regulator runs it once a day, from cron if it likes. */
#include "tools/witness.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/digest.h"
#include "tools/nouns.h"

enum { KEY_TEXT_MAX = 512 };

const struct cli_option witness_options[WITNESS_OPTIONS] = {
    {"state", CLI_DIR, offsetof(struct witness_command, state),
     "where key and last digest are kept", CLI_REQUIRED, NULL, NULL, 0},
    {"NOTE", CLI_FILE, offsetof(struct witness_command, note),
     "the digest to sign; without it, the node's newest", CLI_WORD, NULL, NULL, 0},
    {"consistency", CLI_FILE, offsetof(struct witness_command, consistency),
     "a proof file of the log's two sizes (flex proof get log OLD/NEW), instead of asking the node",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"name", CLI_TEXT, offsetof(struct witness_command, name),
     "the first time: the witness's name, such as regulator.example/w1", CLI_OPTIONAL, NULL, NULL,
     0},
    {"out", CLI_FILE, offsetof(struct witness_command, out),
     "keep the signed note in this file, too", CLI_OPTIONAL, NULL, NULL, 0},
};

struct run {
    struct cli *cli;
    const struct witness_command *wanted;
    struct session session;
    struct note_witness witness;
    struct secret_key seed;
    bool key_is_new;         /* and not on disk yet */
    struct digest_rules own; /* a note with this witness's signature and no other's */
    char *last_text;         /* NULL: nothing has been signed yet */
    size_t last_size;
    struct digest last;
    char *text; /* what is to be signed */
    size_t size;
    struct digest digest;
};

static int bad_state(struct run *run, const char *file, const char *why)
{
    return cli_fail(run->cli, CLI_UNPROVEN, "bad_state", "%s/%s: %s", run->wanted->state, file,
                    why);
}

/* --- the key --------------------------------------------------------------------------------- */

static const char key_head[] = "{\"format\":\"flexwitness/1\",\"key\":\"";
static const char key_middle[] = "\",\"seed\":\"";

/* The one text that a key file can have. No library sees the seed, so wiping it here is enough. */
static void key_text(char out[KEY_TEXT_MAX], const struct note_witness *witness,
                     const struct secret_key *seed)
{
    char vkey[NOTE_VKEY_MAX], hex[2 * SECRET_KEY_SIZE + 1];
    note_witness_to_text(vkey, witness);
    hex_encode(hex, seed->bytes, SECRET_KEY_SIZE);
    int length = snprintf(out, KEY_TEXT_MAX, "%s%s%s%s\"}\n", key_head, vkey, key_middle, hex);
    MUST(length > 0 && length < KEY_TEXT_MAX);
    sodium_memzero(hex, sizeof hex);
}

static int make_key(struct run *run)
{
    const char *name = run->wanted->name;
    if (name == NULL || !note_name_is_valid(name)) {
        return cli_fail(run->cli, CLI_USAGE, "bad_value",
                        "the first run needs --name: printable ASCII without space and '+'");
    }
    snprintf(run->witness.name, sizeof run->witness.name, "%s", name);
    secret_key_random(&run->seed);
    ed25519_public_key(&run->witness.key, &run->seed);
    run->key_is_new = true;
    return CLI_DONE;
}

/* Only when there is something to sign, so that a key without a last note means that the note is lost. */
static int keep_key(struct run *run)
{
    char path[FILES_PATH_SIZE], text[KEY_TEXT_MAX];
    MUST(files_join(path, run->wanted->state, "witness.key"));
    key_text(text, &run->witness, &run->seed);
    bool kept = files_create(path, text, strlen(text), 0600);
    sodium_memzero(text, sizeof text);
    return kept ? CLI_DONE
                : cli_fail(run->cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
}

static bool read_key(struct run *run, const char *text, size_t size)
{
    const char *key = text + sizeof key_head - 1;
    const char *end = size > sizeof key_head ? strstr(key, key_middle) : NULL;
    char hex[2 * SECRET_KEY_SIZE + 1] = "", again[KEY_TEXT_MAX];
    struct public_key own;
    bool good = end != NULL && note_witness_from_text(&run->witness, key, (size_t)(end - key));
    if (good) {
        snprintf(hex, sizeof hex, "%s", end + sizeof key_middle - 1);
        good = hex_decode(run->seed.bytes, SECRET_KEY_SIZE, hex);
    }
    if (good) {
        ed25519_public_key(&own, &run->seed);
        key_text(again, &run->witness, &run->seed);
        good = public_key_equal(&own, &run->witness.key) && strlen(again) == size &&
               memcmp(again, text, size) == 0;
        sodium_memzero(again, sizeof again);
    }
    sodium_memzero(hex, sizeof hex);
    return good;
}

static int load_key(struct run *run)
{
    char path[FILES_PATH_SIZE];
    size_t size;
    if (!files_join(path, run->wanted->state, "witness.key")) {
        return cli_fail(run->cli, CLI_USAGE, "bad_path", "the directory's path is too long");
    }
    char *text = files_read(path, KEY_TEXT_MAX, &size);
    if (text == NULL) {
        return errno == ENOENT
                   ? make_key(run)
                   : cli_fail(run->cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    bool good = read_key(run, text, size);
    sodium_memzero(text, size);
    free(text);
    if (!good) {
        return bad_state(run, "witness.key", "the file is damaged");
    }
    return run->wanted->name == NULL || strcmp(run->wanted->name, run->witness.name) == 0
               ? CLI_DONE
               : cli_fail(run->cli, CLI_USAGE, "bad_value", "this witness is called %s",
                          run->witness.name);
}

/* --- the last digest, and the one to sign ---------------------------------------------------- */

static int load_last(struct run *run)
{
    char path[FILES_PATH_SIZE], problem[DIGEST_PROBLEM_SIZE];
    MUST(files_join(path, run->wanted->state, "last.note"));
    run->last_text = files_read(path, NOTE_BYTES_MAX, &run->last_size);
    if (run->last_text == NULL && errno != ENOENT) {
        return cli_fail(run->cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    if (run->last_text == NULL) {
        return run->key_is_new ? CLI_DONE
                               : bad_state(run, "last.note",
                                           "it is gone, and with it what this key has signed; put "
                                           "it back, or begin anew with another key");
    }
    if (!digest_verify(&run->last, &run->session.trust, &run->own, run->last_text, run->last_size,
                       problem)) {
        return bad_state(run, "last.note", problem);
    }
    return run->last.cosignatures == 1 ? CLI_DONE
                                       : bad_state(run, "last.note", "it has not our signature");
}

static int load_new(struct run *run)
{
    struct cli *cli = run->cli;
    const struct digest_rules rules = {0};
    char date[DIGEST_DATE_SIZE];
    const char *what = run->wanted->note;
    if (what != NULL) {
        run->text = files_read(what, NOTE_BYTES_MAX, &run->size);
        if (run->text == NULL) {
            return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", what, strerror(errno));
        }
    } else {
        int status = digest_newest(&run->session, date);
        status =
            status == CLI_DONE ? digest_fetch(&run->session, date, &run->text, &run->size) : status;
        if (status != CLI_DONE) {
            return status;
        }
        what = "the node's newest note";
    }
    return digest_check(cli, &run->digest, &run->session.trust, &rules, run->text, run->size, what);
}

/* --- two histories --------------------------------------------------------------------------- */

static void add_side(struct cJSON *result, const char *key, const struct digest *digest)
{
    struct cJSON *side = cJSON_AddObjectToObject(result, key);
    digest_add(side, digest);
}

static bool keep_evidence(struct run *run, const struct digest *digest, const char *text,
                          size_t size)
{
    char path[FILES_PATH_SIZE], root[2 * 4 + 1];
    hex_encode(root, digest->root.bytes, 4);
    int length = snprintf(path, sizeof path, "%s/conflict-%s-%s.note", run->wanted->state,
                          digest->date, root);
    return length > 0 && (size_t)length < sizeof path && files_write(path, text, size, 0644);
}

static int conflict(struct run *run, const char *how)
{
    struct cli *cli = run->cli;
    char seen[2 * HASH_SIZE + 1], shown[2 * HASH_SIZE + 1];
    hex_encode(seen, run->last.root.bytes, HASH_SIZE);
    hex_encode(shown, run->digest.root.bytes, HASH_SIZE);
    cJSON_AddBoolToObject(cli->result, "ok", false);
    add_side(cli->result, "signed", &run->last);
    add_side(cli->result, "shown", &run->digest);
    bool kept = keep_evidence(run, &run->last, run->last_text, run->last_size) &&
                keep_evidence(run, &run->digest, run->text, run->size);
    return cli_fail(cli, CLI_UNPROVEN, "two_histories",
                    "a quorum has signed two histories, %s: %s with %" PRIu64
                    " blocks and root %s, and %s with %" PRIu64
                    " blocks and root %s; both notes %s "
                    "in %s",
                    how, run->last.date, run->last.size, seen, run->digest.date, run->digest.size,
                    shown, kept ? "are kept" : "could NOT be kept", run->wanted->state);
}

/* The proof of consistency between the two sizes, smaller first. */
static int load_consistency(struct run *run, struct proof *out, uint64_t old_size, uint64_t size)
{
    struct cli *cli = run->cli;
    char id[PROOF_ID_SIZE], problem[PROOF_PROBLEM_SIZE];
    const char *path = run->wanted->consistency;
    snprintf(id, sizeof id, "%" PRIu64 "/%" PRIu64, old_size, size);
    if (path == NULL) {
        return session_proof(&run->session, "log", id, out, NULL);
    }
    size_t bytes;
    char *text = files_read(path, PROOF_FILE_BYTES_MAX, &bytes);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", path, strerror(errno));
    }
    bool good = proof_verify(out, &run->session.trust, text, bytes, problem);
    free(text);
    if (!good) {
        return cli_fail(cli, CLI_UNPROVEN, "proof_failed", "%s: %s", path, problem);
    }
    if (out->type != PROOF_LOG || strcmp(out->id, id) != 0) {
        proof_release(out);
        return cli_fail(cli, CLI_UNPROVEN, "proof_failed", "%s: not the proof of log %s", path, id);
    }
    return CLI_DONE;
}

/* CLI_DONE if the new digest continues the last one, or is it. */
static int check_consistency(struct run *run)
{
    const struct digest *last = &run->last, *digest = &run->digest;
    bool newer = digest->size > last->size;
    const struct digest *small = newer ? last : digest, *large = newer ? digest : last;
    struct proof proof;
    if (digest->size == last->size) {
        return hash_equal(&digest->root, &last->root) ? CLI_DONE
                                                      : conflict(run, "of one size with two roots");
    }
    int status = load_consistency(run, &proof, small->size, large->size);
    if (status != CLI_DONE) {
        return status;
    }
    bool same_end = hash_equal(&proof.header.log_root, &large->root);
    bool same_start = hash_equal(&proof.old_root, &small->root);
    proof_release(&proof);
    if (!same_end || !same_start) {
        return conflict(run, "and the smaller is not a prefix of the larger");
    }
    return newer ? CLI_DONE
                 : cli_fail(run->cli, CLI_REFUSED, "older_digest",
                            "that of %s has been signed already, and %s is before it", last->date,
                            digest->date);
}

/* --- signing --------------------------------------------------------------------------------- */

static int sign(struct run *run, char **out, size_t *size)
{
    struct cli *cli = run->cli;
    struct timespec now;
    MUST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    uint64_t time_s = (uint64_t)now.tv_sec;
    if (run->last_text != NULL && time_s < run->last.time_s) {
        return cli_fail(cli, CLI_USAGE, "clock_went_back",
                        "this computer's clock is before the last signature's");
    }
    size_t capacity = run->size + NOTE_LINE_MAX;
    struct byte_writer writer;
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL) {
        return cli_fail(cli, CLI_USAGE, "no_memory", "memory ran out");
    }
    byte_writer_init(&writer, bytes, capacity);
    byte_write_raw(&writer, run->text, run->size);
    bool good =
        note_cosign(&writer, &run->witness, &run->seed, time_s, run->digest.text) && !writer.failed;
    *out = (char *)bytes;
    *size = writer.size;
    int status = good ? digest_check(cli, &run->digest, &run->session.trust, &run->own, *out, *size,
                                     "the signed note")
                      : cli_fail(cli, CLI_USAGE, "no_memory", "memory ran out");
    char path[FILES_PATH_SIZE];
    if (status == CLI_DONE && run->key_is_new) {
        status = keep_key(run);
    }
    MUST(files_join(path, run->wanted->state, "last.note"));
    if (status == CLI_DONE && !files_write(path, *out, *size, 0644)) {
        status = cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
    }
    return status;
}

static int finish(struct run *run, const char *note, size_t size, bool again)
{
    struct cli *cli = run->cli;
    char vkey[NOTE_VKEY_MAX];
    note_witness_to_text(vkey, &run->witness);
    cJSON_AddBoolToObject(cli->result, "ok", true);
    cJSON_AddStringToObject(cli->result, "witness", vkey);
    cJSON_AddBoolToObject(cli->result, "first", run->last_text == NULL);
    cJSON_AddBoolToObject(cli->result, "again", again);
    if (run->last_text != NULL && !again) {
        cJSON_AddStringToObject(cli->result, "continues", run->last.date);
    }
    digest_add(cli->result, again ? &run->last : &run->digest);
    if (run->wanted->out != NULL && !files_write(run->wanted->out, note, size, 0644)) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", run->wanted->out, strerror(errno));
    }
    noun_say_result(cli);
    return CLI_DONE;
}

static int witness(struct run *run)
{
    char *note = NULL;
    size_t size = 0;
    int status = session_open(&run->session, run->cli);
    status = status == CLI_DONE ? session_trust(&run->session) : status;
    status = status == CLI_DONE ? load_key(run) : status;
    run->own = (struct digest_rules){.witnesses = &run->witness, .witness_count = 1};
    status = status == CLI_DONE ? load_last(run) : status;
    status = status == CLI_DONE ? load_new(run) : status;
    if (status == CLI_DONE && run->last_text != NULL) {
        status = check_consistency(run);
    }
    bool again = run->last_text != NULL && run->digest.size == run->last.size;
    if (status == CLI_DONE && !again) {
        status = sign(run, &note, &size);
    }
    if (status == CLI_DONE) {
        status = finish(run, again ? run->last_text : note, again ? run->last_size : size, again);
    }
    free(note);
    return status;
}

int witness_run(struct cli *cli, void *arguments)
{
    struct run *run = calloc(1, sizeof *run);
    char path[FILES_PATH_SIZE];
    MUST(run != NULL);
    run->cli = cli;
    run->wanted = arguments;
    int lock = -1;
    if (files_make_directory(run->wanted->state) && files_join(path, run->wanted->state, "lock")) {
        lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    int status = lock < 0 ? cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", run->wanted->state,
                                     strerror(errno))
                 : flock(lock, LOCK_EX | LOCK_NB) != 0
                     ? cli_fail(cli, CLI_USAGE, "locked", "another run uses %s", run->wanted->state)
                     : witness(run);
    session_close(&run->session);
    secret_key_wipe(&run->seed);
    free(run->last_text);
    free(run->text);
    free(run);
    if (lock >= 0) {
        close(lock);
    }
    return status;
}
