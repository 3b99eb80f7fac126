/* flexmeterd: a meter operator's data service. The commands are tools/meterd/commands.c; what they do is
 * docs/meter-operator.md, what they promise docs/spec/meter.md. */
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"
#include "tools/meterd/commands.h"

int main(int argc, char **argv)
{
    if (!crypto_init()) {
        fprintf(stderr, "flexmeterd: the cryptographic libraries do not start\n");
        return CLI_USAGE;
    }
    if (argc == 3 && strcmp(argv[1], "help") == 0 && strcmp(argv[2], "--man") == 0) {
        meterd_man_page(stdout);
        return fflush(stdout) == 0 ? CLI_DONE : CLI_NO_NODE;
    }
    return cli_program_main(&meterd_noun, argc, argv, stdout, stderr);
}
