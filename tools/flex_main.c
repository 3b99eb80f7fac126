/* flex: wallet and operator of a Flexledger. The nouns, and nothing else: parsing, help and exit codes
 * are tools/cli.c, each noun is a file of its own (docs/wallet.md is the guide). */
#include <stdio.h>

#include "crypto/hash.h"
#include "tools/grid.h"
#include "tools/nouns.h"

static const struct cli_noun *const nouns[] = {
    &key_noun,   &account_noun, &participant_noun, &asset_noun, &token_noun,  &market_noun,
    &order_noun, &deal_noun,    &meter_noun,       &bill_noun,  &block_noun,  &tx_noun,
    &proof_noun, &audit_noun,   &node_noun,        &grid_noun,  &devnet_noun, &governance_noun,
};

int main(int argc, char **argv)
{
    if (!crypto_init()) {
        fprintf(stderr, "flex: the cryptographic libraries do not start\n");
        return CLI_USAGE;
    }
    return cli_main(nouns, sizeof nouns / sizeof nouns[0], argc, argv, stdout, stderr);
}
