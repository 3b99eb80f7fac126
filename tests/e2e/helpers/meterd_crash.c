/* Posts as flexmeterd does and dies by SIGKILL at a named point: signed (before it is kept), kept (before
 * it is sent), sent (before what became of it is noted), settled.
 * Usage: meterd_crash HOME NODE POINT; exit 0 if the point was never reached. */
#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "tools/meterd/post.h"

static const char *wanted;

static void crash_at(const char *where)
{
    if (strcmp(where, wanted) == 0) {
        (void)kill(getpid(), SIGKILL);
    }
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct meter_archive archive;
    char problem[ARCHIVE_PROBLEM_SIZE];
    if (argc != 4 || !crypto_init()) {
        return 2;
    }
    cli_init(&cli, stdout, stderr);
    cli.home = argv[1];
    cli.node = argv[2];
    cli.result = cJSON_CreateObject();
    wanted = argv[3];
    if (!archive_open(&archive, cli.home, NULL, problem)) {
        fprintf(stderr, "%s\n", problem);
        return 2;
    }
    struct poster poster = {.cli = &cli, .archive = &archive, .crash_point = crash_at};
    int status = session_secret_key(&cli, &poster.secret, &poster.key);
    return status == CLI_DONE ? post_all(&poster) : status;
}
