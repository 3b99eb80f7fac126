/* flex token: euro-backed money (market-rules 3; D2.3 4.2.3).
 *
 * A mint or burn names the fiat receipt or redemption that it stands for: by its 32-byte hash, or by
 * its text, of which the BLAKE2b-256 hash goes to the ledger. Each reference works once. */
#include <sodium.h>
#include <string.h>

#include "tools/market_pages.h"
#include "tools/noun_reserves.h"
#include "tools/nouns.h"

struct issue {
    struct name to;
    struct money amount;
    struct hash receipt;
    const char *reference;
};

static const struct cli_option mint_options[] = {
    {"to", CLI_NAME, offsetof(struct issue, to), "who gets the money", CLI_REQUIRED, NULL, NULL, 0},
    {"amount", CLI_EUR, offsetof(struct issue, amount), "how much", CLI_REQUIRED, NULL, NULL, 0},
    {"receipt", CLI_HEX32, offsetof(struct issue, receipt), "hash of the fiat receipt",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"reference", CLI_TEXT, offsetof(struct issue, reference),
     "the fiat receipt's text, hashed here", CLI_OPTIONAL, NULL, NULL, 0},
};

static const struct cli_option burn_options[] = {
    {"amount", CLI_EUR, offsetof(struct issue, amount), "how much", CLI_REQUIRED, NULL, NULL, 0},
    {"receipt", CLI_HEX32, offsetof(struct issue, receipt), "hash of the redemption's record",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"reference", CLI_TEXT, offsetof(struct issue, reference), "the redemption's text, hashed here",
     CLI_OPTIONAL, NULL, NULL, 0},
};

static const struct cli_option transfer_options[] = {
    {"to", CLI_NAME, offsetof(struct token_transfer, to), "who gets it", CLI_REQUIRED, NULL, NULL,
     0},
    {"amount", CLI_EUR, offsetof(struct token_transfer, amount), "how much", CLI_REQUIRED, NULL,
     NULL, 0},
};

/* Exactly one of --receipt and --reference. */
static int read_reference(struct cli *cli, struct issue *issue)
{
    bool has_receipt = !hash_is_zero(&issue->receipt);
    if (has_receipt == (issue->reference != NULL)) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "give either --receipt or --reference");
    }
    if (!has_receipt) {
        crypto_generichash(issue->receipt.bytes, HASH_SIZE, (const uint8_t *)issue->reference,
                           strlen(issue->reference), NULL, 0);
    }
    return CLI_DONE;
}

static int run_mint(struct cli *cli, void *arguments)
{
    struct issue *issue = arguments;
    int status = read_reference(cli, issue);
    if (status != CLI_DONE) {
        return status;
    }
    struct token_mint action = {issue->to, issue->amount, issue->receipt};
    return submit_one(cli, ACTION_TOKEN_MINT, &action);
}

static int run_burn(struct cli *cli, void *arguments)
{
    struct issue *issue = arguments;
    int status = read_reference(cli, issue);
    if (status != CLI_DONE) {
        return status;
    }
    struct token_burn action = {issue->amount, issue->receipt};
    return submit_one(cli, ACTION_TOKEN_BURN, &action);
}

static int run_supply(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_show(cli, "supply", "supply", "no_supply");
}

static const struct cli_command commands[] = {
    {.verb = "mint",
     .summary = "issue tokens against a fiat receipt (a treasurer)",
     .teach = "  flex token mint --to dso --amount 1000.00 --reference \"SEPA 2025-01-10 4711\"",
     .options = mint_options,
     .option_count = sizeof mint_options / sizeof mint_options[0],
     .arguments_size = sizeof(struct issue),
     .sends = true,
     .run = run_mint},
    {.verb = "burn",
     .summary = "take tokens out on redemption (a treasurer)",
     .options = burn_options,
     .option_count = sizeof burn_options / sizeof burn_options[0],
     .arguments_size = sizeof(struct issue),
     .sends = true,
     .run = run_burn},
    {.verb = "transfer",
     .summary = "pay somebody",
     .options = transfer_options,
     .option_count = sizeof transfer_options / sizeof transfer_options[0],
     .arguments_size = sizeof(struct token_transfer),
     .action = ACTION_TOKEN_TRANSFER},
    {.verb = "supply", .summary = "what was minted and burned, proven", .run = run_supply},
    {.verb = "reserves",
     .summary = "minted less burned is all that exists: proven, by kind of pot",
     .teach =
         "The proof is that of the supply record, in which every validator checks at every block\n"
         "that its totals are those of the pots. --verify adds up the pots of the node's newest\n"
         "snapshot here, each bound to the genesis file, and the receipts' references too.\n"
         "  flex token reserves --verify",
     .options = noun_reserves_options,
     .option_count = NOUN_RESERVES_OPTIONS,
     .arguments_size = sizeof(struct noun_reserves),
     .run = noun_reserves_run},
    {.verb = "fees",
     .summary = "fees paid, taken from deals and split, by a node's word",
     .teach = "  flex token fees --participant agg-a --from-height 1200 --csv",
     .options = market_pages_options,
     .option_count = MARKET_PAGES_FEE_OPTIONS,
     .arguments_size = sizeof(struct market_pages),
     .run = market_pages_fees},
    {.verb = "movements",
     .summary = "every change of a balance, by a node's word; flex bill show proves one's own",
     .teach = "  flex token movements --participant agg-a --from-height 1200 --csv",
     .options = market_pages_options + 1,
     .option_count = MARKET_PAGES_FEE_OPTIONS - 1,
     .arguments_size = sizeof(struct market_pages),
     .run = market_pages_movements},
};

const struct cli_noun token_noun = {"token", "euro-backed money", commands,
                                    sizeof commands / sizeof commands[0]};
