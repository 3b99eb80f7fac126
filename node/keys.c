/* Key files (keys.h).
 *
 * A new file is synced before its key is used for anything: a validator whose key was lost with the
 * page cache is a validator that the others wait for. Permissions are checked on reading, as ssh
 * does it, since a copied home easily loses them.
 *
 * Deliberately absent: a passphrase. A node restarts by itself after a power cut; whoever can read
 * the file as its user can read the process too (operator guide). */
#include "node/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_TEXT_SIZE = 2 * SECRET_KEY_SIZE };

static void wipe(char *text, size_t size)
{
    explicit_bzero(text, size);
}

bool node_key_create(const char *path, struct secret_key *seed, char problem[NODE_PROBLEM_SIZE])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
        return false;
    }
    secret_key_random(seed);
    char text[KEY_TEXT_SIZE + 2];
    hex_encode(text, seed->bytes, SECRET_KEY_SIZE);
    text[KEY_TEXT_SIZE] = '\n';
    bool written = write(fd, text, KEY_TEXT_SIZE + 1) == KEY_TEXT_SIZE + 1 && fsync(fd) == 0;
    if (!written)
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
    wipe(text, sizeof text);
    if (close(fd) != 0 && written) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
        written = false;
    }
    if (!written) {
        (void)unlink(path);
        secret_key_wipe(seed);
    }
    return written;
}

bool node_key_load(const char *path, struct secret_key *seed, char problem[NODE_PROBLEM_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.180s: %s", path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    char text[KEY_TEXT_SIZE + 3];
    ssize_t size = read(fd, text, sizeof text - 1);
    (void)close(fd);
    bool good = false;
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        snprintf(problem, NODE_PROBLEM_SIZE,
                 "%.160s: others than its owner may use it; chmod 600 it", path);
    } else if (size != KEY_TEXT_SIZE + 1 || text[KEY_TEXT_SIZE] != '\n') {
        snprintf(problem, NODE_PROBLEM_SIZE, "%.160s: not 64 hex digits and a newline", path);
    } else {
        text[KEY_TEXT_SIZE] = '\0';
        good = hex_decode(seed->bytes, SECRET_KEY_SIZE, text);
        if (!good)
            snprintf(problem, NODE_PROBLEM_SIZE, "%.160s: not 64 lower-case hex digits", path);
    }
    wipe(text, sizeof text);
    return good;
}
