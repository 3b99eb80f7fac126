/* flex bill: one participant's period, from a node with proofs or from an export (tools/bill.h;
 * docs/billing.md; D5.5 3.2.6; market-rules 9).
 *
 * Deals and orders belong to the period that their delivery starts in, movements of money to the one that
 * their block's time lies in. */
#include "tools/bill.h"
#include "tools/nouns.h"

/* The last one is that of `audit` alone. */
static const struct cli_option options[] = {
    {"NAME", CLI_NAME, offsetof(struct bill_query, who),
     "whose; without it, this wallet's (give it before files)", CLI_WORD, NULL, NULL, 0},
    {"from", CLI_TIME, offsetof(struct bill_query, from_ms), "start of the period", CLI_REQUIRED,
     NULL, NULL, 0},
    {"to", CLI_TIME, offsetof(struct bill_query, until_ms), "its end (not included)", CLI_REQUIRED,
     NULL, NULL, 0},
    {"csv", CLI_FILE, offsetof(struct bill_query, csv), "also write the deals into this file",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"export", CLI_DIR, offsetof(struct bill_query, directory),
     "also write bill, deals, orders, lines and meters as CSV into this directory", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"dir", CLI_DIR, offsetof(struct bill_query, dir), "directory of the chain's export",
     CLI_REQUIRED, NULL, NULL, 0},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static int check_period(struct cli *cli, const struct bill_query *query)
{
    return query->until_ms > query->from_ms
               ? CLI_DONE
               : cli_fail(cli, CLI_USAGE, "bad_value", "--to must be after --from");
}

static int run_show(struct cli *cli, void *arguments)
{
    int status = check_period(cli, arguments);
    return status == CLI_DONE ? bill_from_node(cli, arguments) : status;
}

static int run_audit(struct cli *cli, void *arguments)
{
    const struct bill_query *query = arguments;
    int status = check_period(cli, query);
    if (status == CLI_DONE && name_is_empty(&query->who)) {
        status = cli_fail(cli, CLI_USAGE, "bad_usage", "whose bill? Give a NAME");
    }
    return status == CLI_DONE ? bill_from_export(cli, query) : status;
}

static const struct cli_command commands[] = {
    {.verb = "show",
     .summary = "bids, trades, delivery, meters and every movement of money, proven",
     .teach = "Files hold readings of one's own meters, as flex meter read and reveal write them.\n"
              "  flex bill show agg-a --from 2025-01-01 --to 2025-02-01 --export january "
              "readings.json",
     .options = options,
     .option_count = OPTION_COUNT - 1,
     .arguments_size = sizeof(struct bill_query),
     .more_words = "FILE...",
     .run = run_show},
    {.verb = "audit",
     .summary = "the same from an export, re-executed: nothing is a node's word",
     .teach = "  flex bill audit agg-a --dir export --from 2025-01-01 --to 2025-02-01",
     .options = options,
     .option_count = OPTION_COUNT,
     .arguments_size = sizeof(struct bill_query),
     .more_words = "FILE...",
     .run = run_audit},
};

const struct cli_noun bill_noun = {"bill", "bills, reconciled to the token ledger", commands,
                                   sizeof commands / sizeof commands[0]};
