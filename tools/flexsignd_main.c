/* flexsignd: the process that holds a validator's key. The commands are tools/signd/commands.c; what they
 * promise is docs/spec/signer.md. */
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"
#include "tools/signd/commands.h"

int main(int argc, char **argv)
{
    if (!crypto_init()) {
        fprintf(stderr, "flexsignd: the cryptographic libraries do not start\n");
        return CLI_USAGE;
    }
    if (argc == 3 && strcmp(argv[1], "help") == 0 && strcmp(argv[2], "--man") == 0) {
        signd_man_page(stdout);
        return fflush(stdout) == 0 ? CLI_DONE : CLI_NO_NODE;
    }
    return cli_program_main(&signd_noun, argc, argv, stdout, stderr);
}
