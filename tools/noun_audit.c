/* flex audit: the regulator's part: export, offline re-execution, queries, surveillance, daily
 * digests. All but export and digest get use no node and trust nothing but the genesis file. */
#include <cjson/cJSON.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/audit_command.h"
#include "tools/audit_export.h"
#include "tools/digest.h"
#include "tools/nouns.h"
#include "tools/witness.h"

struct directory {
    const char *dir;
};

static const struct cli_option directory_option[] = {
    {"dir", CLI_DIR, offsetof(struct directory, dir), "the export's directory", CLI_REQUIRED, NULL,
     NULL, 0},
};

static int run_export(struct cli *cli, void *arguments)
{
    const struct directory *wanted = arguments;
    int status = audit_export_run(cli, wanted->dir);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}

struct verification {
    const char *dir;
    const char *checkpoint;
    uint64_t height;
    struct hash root;
};

static const struct cli_option verify_options[] = {
    {"dir", CLI_DIR, offsetof(struct verification, dir), "the export's directory", CLI_REQUIRED,
     NULL, NULL, 0},
    {"checkpoint", CLI_FILE, offsetof(struct verification, checkpoint),
     "start from this file if it is there, and write it anew", CLI_OPTIONAL, NULL, NULL, 0},
    {"expect-height", CLI_U64, offsetof(struct verification, height),
     "the export must reach that height", CLI_OPTIONAL, NULL, NULL, 0},
    {"expect-digest", CLI_HEX32, offsetof(struct verification, root),
     "the history must pass through that log root", CLI_OPTIONAL, NULL, NULL, 0},
};

enum { EXPECT_DIGEST_OPTION = 3 };

/* Also the zero hash is something to expect, and never found. */
static bool expects_root(const struct cli *cli)
{
    return (cli->given >> EXPECT_DIGEST_OPTION & 1) != 0;
}

/* An export that is good as far as it goes, but not what it was expected to be. */
static int compare_expected(struct cli *cli, const struct verification *wanted,
                            const struct audit_outcome *outcome)
{
    if (outcome->height < wanted->height) {
        return cli_fail(cli, CLI_UNPROVEN, "too_short",
                        "the export is good and ends at block %llu, before the expected %llu",
                        (unsigned long long)outcome->height, (unsigned long long)wanted->height);
    }
    if (!expects_root(cli)) {
        return CLI_DONE;
    }
    if (outcome->expected_found == 0) {
        return cli_fail(cli, CLI_UNPROVEN, "another_history",
                        "the export is good, but its history%s never had the expected log root",
                        outcome->from > 0 ? " since the checkpoint" : "");
    }
    json_add_u64(cli->result, "digest_height", outcome->expected_found);
    return CLI_DONE;
}

/* What the export could not show again, one by one. */
static void list_gone(struct cli *cli, const struct audit *audit)
{
    uint64_t count;
    const struct audit_gone *gone = audit_gone(audit, &count);
    json_add_u64(cli->result, "not_reexecuted", count);
    struct cJSON *list =
        cli->json ? cJSON_AddArrayToObject(cli->result, "not_reexecuted_deals") : NULL;
    for (uint64_t i = 0; i < count && list != NULL; i++) {
        struct cJSON *item = cJSON_CreateObject();
        MUST(item != NULL);
        json_add_u64(item, "deal", gone[i].deal);
        json_add_u64(item, "height", gone[i].height);
        cJSON_AddItemToArray(list, item);
    }
}

static int run_verify(struct cli *cli, void *arguments)
{
    const struct verification *wanted = arguments;
    struct audit_options options = {.checkpoint = wanted->checkpoint,
                                    .expected_root = expects_root(cli) ? &wanted->root : NULL};
    struct audit_outcome outcome;
    struct audit *audit;
    int status = audit_command_outcome(cli, &audit, &outcome, wanted->dir, &options);
    if (status == CLI_DONE) {
        status = compare_expected(cli, wanted, &outcome);
    }
    if (status == CLI_DONE) {
        list_gone(cli, audit);
        noun_say_result(cli);
    }
    if (audit != NULL) {
        audit_close(audit);
    }
    return status;
}

static const struct cli_command commands[] = {
    {.verb = "export",
     .summary = "fetch the chain from a node, or what is new of it",
     .teach = "  flex --node http://127.0.0.1:8400 audit export --dir export",
     .options = directory_option,
     .option_count = 1,
     .arguments_size = sizeof(struct directory),
     .run = run_export},
    {.verb = "verify",
     .summary = "re-execute an export from genesis or a checkpoint, offline",
     .teach =
         "Checks every signature, certificate and root, and that value is conserved. An export\n"
         "that somebody cut at a certified block is good at its smaller height: expect more.\n"
         "Proofs whose readings the export lacks are counted, and under --json listed.\n"
         "  flex audit verify --dir export --genesis genesis.json\n"
         "  flex audit verify --dir export --checkpoint verified.ckpt --expect-height 5000",
     .options = verify_options,
     .option_count = sizeof verify_options / sizeof verify_options[0],
     .arguments_size = sizeof(struct verification),
     .run = run_verify},
    {.verb = "orders",
     .summary = "verify, then every order event: new, trade, cancel, replace, expire, grant",
     .teach = "Who offered what, when, and where in the block it stood. Page by page:\n"
              "  flex audit orders --dir export --market west --limit 1000 --after 1000\n"
              "  flex audit orders --dir export --from 2025-01-15 --to 2025-01-16 --csv",
     .options = market_query_options,
     .option_count = MARKET_QUERY_OPTIONS,
     .arguments_size = sizeof(struct market_query),
     .run = market_query_orders},
    {.verb = "trades",
     .summary = "verify, then every deal as it was matched",
     .teach = "  flex audit trades --dir export --participant agg-a --csv",
     .options = market_query_options,
     .option_count = MARKET_QUERY_OPTIONS,
     .arguments_size = sizeof(struct market_query),
     .run = market_query_trades},
    {.verb = "deliveries",
     .summary = "verify, then every deal's delivery, pay and refund",
     .teach = "--from and --to are of the delivery's start.\n"
              "  flex audit deliveries --dir export --market west",
     .options = market_query_options,
     .option_count = MARKET_QUERY_OPTIONS,
     .arguments_size = sizeof(struct market_query),
     .run = market_query_deliveries},
    {.verb = "fees",
     .summary = "verify, then every fee: of transactions, of deals, and how they were split",
     .teach = "  flex audit fees --dir export --csv",
     .options = market_query_options,
     .option_count = MARKET_QUERY_OPTIONS,
     .arguments_size = sizeof(struct market_query),
     .run = market_query_fees},
    {.verb = "capacity",
     .summary = "verify, then what each participant could have offered at each gate closure",
     .teach = "Prequalified and enrolled devices: what they can do, what was free, what was\n"
              "offered, sold and credited.\n"
              "  flex audit capacity --dir export --market west",
     .options = market_query_options,
     .option_count = MARKET_QUERY_OPTIONS,
     .arguments_size = sizeof(struct market_query),
     .run = market_query_capacity},
    {.verb = "coupled",
     .summary = "verify, then check each coupled auction anew, with no solver",
     .teach = "Problem and solution out of the re-executed state, every rule, the welfare and the "
              "bound\n"
              "in exact integers. --out writes them for flexclear, which needs no ledger:\n"
              "  flex audit coupled --dir export --out auctions\n"
              "  flexclear --verify auctions/NAME.problem.json auctions/NAME.result.json",
     .options = coupled_query_options,
     .option_count = COUPLED_QUERY_OPTIONS,
     .arguments_size = sizeof(struct coupled_query),
     .run = coupled_query_run},
    {.verb = "report",
     .summary = "verify, then totals, deals, market concentration and suspicious patterns",
     .teach =
         "Concentration (HHI), pivotal suppliers (RSI), wash trades, circles, layering and\n"
         "withheld capacity, as docs/spec/surveillance.md defines them. A finding calls for an\n"
         "explanation; it is no verdict.\n"
         "  flex audit report --dir export --from 2025-01-15 --to 2025-01-16\n"
         "  flex audit report --dir export --owners owners.csv --csv report",
     .options = surveillance_query_options,
     .option_count = SURVEILLANCE_QUERY_OPTIONS,
     .arguments_size = sizeof(struct surveillance_query),
     .run = surveillance_query_run},
    {.verb = "digest",
     .summary = "the digest of a day's end: get and verify the signed note",
     .teach =
         "One hash stands for the whole history up to that day (D5.5 3.2.6). The note verifies\n"
         "offline, and can be kept by anybody who is to say later what the history was.\n"
         "  flex audit digest get 2025-01-15 --out 2025-01-15.note\n"
         "  flex audit digest verify 2025-01-15.note --genesis genesis.json",
     .options = digest_options,
     .option_count = DIGEST_OPTIONS,
     .arguments_size = sizeof(struct digest_command),
     .run = digest_run},
    {.verb = "witness",
     .summary = "sign the newest digest, if it continues the last one signed here",
     .teach = "Exit 4 if there are two histories; both notes are then kept in the directory.\n"
              "  flex audit witness --state witness --name regulator.example/w1",
     .options = witness_options,
     .option_count = WITNESS_OPTIONS,
     .arguments_size = sizeof(struct witness_command),
     .run = witness_run},
};

const struct cli_noun audit_noun = {"audit",
                                    "export, offline verification, market surveillance, digests",
                                    commands, sizeof commands / sizeof commands[0]};
