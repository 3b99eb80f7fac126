/* Every noun of flex, in the order in which help and the manual page tell them.
 *
 * One list for the program, its help, its manual page and the tests that go through all commands: a
 * noun that is missing here exists nowhere. */
#include "tools/grid.h"
#include "tools/nouns.h"

const struct cli_noun *const flex_nouns[] = {
    &key_noun,   &account_noun, &participant_noun, &asset_noun,      &alias_noun,
    &token_noun, &market_noun,  &network_noun,     &order_noun,      &coupled_noun,
    &deal_noun,  &meter_noun,   &forecast_noun,    &dispatch_noun,   &bill_noun,
    &block_noun, &tx_noun,      &proof_noun,       &audit_noun,      &snapshot_noun,
    &node_noun,  &grid_noun,    &devnet_noun,      &governance_noun,
};
const size_t flex_noun_count = sizeof flex_nouns / sizeof flex_nouns[0];
