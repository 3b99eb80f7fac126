/* flex: wallet and operator of a Flexledger. The nouns are tools/noun_list.c; parsing, help and exit codes
 * are tools/cli.c, each noun is a file of its own (docs/wallet.md is the guide). */
#include <stdio.h>

#include "crypto/hash.h"
#include "tools/nouns.h"

int main(int argc, char **argv)
{
    if (!crypto_init()) {
        fprintf(stderr, "flex: the cryptographic libraries do not start\n");
        return CLI_USAGE;
    }
    return cli_main(flex_nouns, flex_noun_count, argc, argv, stdout, stderr);
}
