/* The node's small files, with a sentence for the operator when one can't be read or written, and the
 * genesis file among them (config.h).
 *
 * Deliberately absent: how a file is replaced (base/files.h), and anything that grows. Chain and
 * journal have their own modules. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "node/config.h"

char *node_file_read(const char *path, size_t limit, size_t *size, char problem[NODE_PROBLEM_SIZE])
{
    char *text = files_read(path, limit, size);
    if (text == NULL)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.160s: %s", path,
                 errno == EFBIG ? "larger than such a file can be" : strerror(errno));
    return text;
}

bool node_file_write(const char *path, const void *data, size_t size, unsigned mode,
                     char problem[NODE_PROBLEM_SIZE])
{
    bool good = files_write(path, data, size, mode);
    if (!good)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
    return good;
}

bool node_genesis_load(struct genesis *genesis, struct hash *hash, char **text, size_t *size,
                       const char *path, char problem[NODE_PROBLEM_SIZE])
{
    size_t bytes = 0;
    char *content = node_file_read(path, GENESIS_JSON_BYTES_MAX, &bytes, problem);
    if (content == NULL)
        return false;
    char fault[160] = "";
    const char *why = NULL;
    if (!genesis_from_json(genesis, content, bytes, fault))
        why = fault;
    else
        why = genesis_problem(genesis);
    if (why == NULL && !genesis_hash(hash, genesis))
        why = "cannot be encoded";
    if (why != NULL) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.90s: %s", path, why);
        free(content);
        return false;
    }
    if (text != NULL) {
        *text = content;
        *size = bytes;
    } else {
        free(content);
    }
    return true;
}
