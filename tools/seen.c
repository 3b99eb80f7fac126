/* The wallet's memory of the highest verified block (tools/seen.h).
 *
 * Invariants: the height in the file only rises, also when several wallets of one home run at once;
 * the file is replaced whole or not at all; a file with a changed byte is noticed.
 *
 * Absent on purpose: secrecy and signatures. Who can write to HOME can also replace the genesis. */
#include "tools/seen.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"

enum { SEEN_TEXT_MAX = 1024, CHAIN_DIGITS = 16 };

bool seen_path(char *out, size_t size, const struct cli *cli, const struct hash *chain)
{
    char hex[2 * HASH_SIZE + 1];
    hex_encode(hex, chain->bytes, HASH_SIZE);
    int length = snprintf(out, size, "%s/verified-%.*s.json", cli->home, CHAIN_DIGITS, hex);
    return length > 0 && (size_t)length < size;
}

/* The one text for what was seen, sealed as proof files are; the caller frees. */
static char *seen_text(const struct hash *chain, const struct seen *seen)
{
    char hex[2 * HASH_SIZE + 1];
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", "flexverified/1");
    hex_encode(hex, chain->bytes, HASH_SIZE);
    cJSON_AddStringToObject(object, "genesis", hex);
    json_add_u64(object, "height", seen->height);
    hex_encode(hex, seen->block_id.bytes, HASH_SIZE);
    cJSON_AddStringToObject(object, "block", hex);
    char *plain = cJSON_PrintUnformatted(object);
    char *sealed = plain != NULL ? proof_seal(plain, strlen(plain)) : NULL;
    cJSON_free(plain);
    cJSON_Delete(object);
    return sealed;
}

/* True if the file is absent (height 0) or whole. */
static bool load(struct seen *out, const char *path, const struct hash *chain)
{
    size_t size;
    char problem[JSON_PROBLEM_SIZE];
    *out = (struct seen){.height = 0};
    char *text = files_read(path, SEEN_TEXT_MAX, &size);
    if (text == NULL) {
        return errno == ENOENT;
    }
    struct cJSON *object = json_parse_strict(text, size, problem);
    const char *block = json_string(object, "block");
    bool good = block != NULL && json_u64(&out->height, object, "height") &&
                hex_decode(out->block_id.bytes, HASH_SIZE, block);
    cJSON_Delete(object);
    char *again = good ? seen_text(chain, out) : NULL;
    good = again != NULL && strlen(again) == size && memcmp(again, text, size) == 0;
    free(again);
    free(text);
    return good;
}

static enum seen_result compare(const struct seen *seen, const struct proof *proof)
{
    if (proof->header.height == seen->height && !hash_equal(&proof->block_id, &seen->block_id)) {
        return SEEN_OTHER;
    }
    /* Receipts and the log are of their own heights; only the state is as of now. */
    return proof->type == PROOF_STATE && proof->header.height < seen->height ? SEEN_OLDER
                                                                             : SEEN_FINE;
}

static void keep(struct cli *cli, const char *path, const struct hash *chain,
                 const struct proof *proof)
{
    const struct seen now = {proof->header.height, proof->block_id};
    char *text = seen_text(chain, &now);
    if (text == NULL || !files_write(path, text, strlen(text), 0644)) {
        fprintf(cli->err, "flex: warning: what was verified can't be remembered: %s: %s\n", path,
                strerror(errno));
    }
    free(text);
}

enum seen_result seen_check(struct cli *cli, const struct proof_trust *trust,
                            const struct proof *proof, struct seen *out)
{
    char path[FILES_PATH_SIZE];
    *out = (struct seen){.height = 0};
    if (!files_exists(cli->home) || !seen_path(path, sizeof path, cli, &trust->genesis)) {
        return SEEN_FINE;
    }
    /* The directory itself is the lock: other wallets of this home wait for a moment. */
    int lock = open(cli->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0) {
        (void)flock(lock, LOCK_EX);
    }
    enum seen_result result = load(out, path, &trust->genesis) ? compare(out, proof) : SEEN_DAMAGED;
    if (result == SEEN_FINE && proof->header.height > out->height) {
        keep(cli, path, &trust->genesis, proof);
    }
    if (lock >= 0) {
        close(lock);
    }
    return result;
}
