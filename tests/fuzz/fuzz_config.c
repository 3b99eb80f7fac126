/* flexd.json (docs/spec/config.md; fault scenario 75): what is accepted, written and read again is
 * the same configuration. The written form goes through node_config_save, into memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "node/config.h"
#include "tests/fuzz/lib/fuzz.h"

static const char *home(void)
{
    static char path[] = "/dev/shm/flex-fuzz-XXXXXX";
    static bool made;
    if (!made) {
        MUST(mkdtemp(path) != NULL);
        made = true;
    }
    return path;
}

static void forget(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/flexd.json", home());
    (void)unlink(path);
    (void)rmdir(home());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct node_config config, again;
    static bool registered;
    char problem[NODE_PROBLEM_SIZE] = "";
    memset(&config, 0, sizeof config);
    memset(&again, 0, sizeof again);
    if (!registered)
        registered = atexit(forget) == 0;
    if (!node_config_parse(&config, home(), (const char *)data, size, problem)) {
        MUST(problem[0] != '\0');
        return 0;
    }
    MUST(config.peer_count <= P2P_PEERS_MAX && config.workers <= NODE_WORKERS_MAX);
    MUST(node_config_save(&config, problem));
    MUST(node_config_load(&again, home(), problem));
    MUST(memcmp(&config, &again, sizeof config) == 0);
    return 0;
}
