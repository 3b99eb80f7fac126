/* flex audit: the regulator's part: export, offline re-execution, totals, daily digests.
 *
 * verify and report use no node and trust nothing but the genesis file. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/audit_export.h"
#include "tools/audit_verify.h"
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

static void add_outcome(struct cli *cli, const struct audit_outcome *outcome)
{
    char hex[2 * HASH_SIZE + 1];
    cJSON_AddBoolToObject(cli->result, "ok", outcome->ok);
    json_add_u64(cli->result, "height", outcome->height);
    if (!outcome->ok) {
        cJSON_AddStringToObject(cli->result, "reason", outcome->reason);
        return;
    }
    hex_encode(hex, outcome->state_root.bytes, HASH_SIZE);
    cJSON_AddStringToObject(cli->result, "state_root", hex);
    json_add_u64(cli->result, "transactions", outcome->transactions);
    cJSON_AddNumberToObject(cli->result, "seconds", (double)outcome->milliseconds / 1000.0);
}

/* Verifies and reports the outcome; *out is the audit to close, NULL if there is none. */
static int verify(struct cli *cli, struct audit **out, const char *directory)
{
    static struct genesis genesis;
    struct audit_outcome outcome;
    *out = NULL;
    int status = session_load_genesis(cli, &genesis);
    if (status != CLI_DONE) {
        return status;
    }
    if (!files_exists(directory)) {
        return cli_fail(cli, CLI_USAGE, "no_export", "there is no directory %s", directory);
    }
    *out = audit_verify(&outcome, directory, &genesis, isatty(STDERR_FILENO) ? cli->err : NULL);
    if (*out == NULL) {
        return cli_fail(cli, CLI_USAGE, "bad_genesis", "%s", outcome.reason);
    }
    add_outcome(cli, &outcome);
    return outcome.ok ? CLI_DONE
                      : cli_fail(cli, CLI_UNPROVEN, "audit_failed", "block %llu: %s",
                                 (unsigned long long)outcome.height, outcome.reason);
}

static int run_verify(struct cli *cli, void *arguments)
{
    const struct directory *wanted = arguments;
    struct audit *audit;
    int status = verify(cli, &audit, wanted->dir);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    if (audit != NULL) {
        audit_close(audit);
    }
    return status;
}

static void add_name(struct cJSON *object, const char *key, const struct name *name)
{
    char text[NAME_SIZE + 1];
    cJSON_AddStringToObject(object, key, name_to_text(text, name));
}

static bool add_deal(void *context, const char *id, struct bytes_view key, struct bytes_view value)
{
    struct deal_record deal;
    (void)key;
    if (!codec_decode_all(state_kind_info(STATE_DEAL)->codec, &deal, value)) {
        return false;
    }
    struct cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "id", id);
    cJSON_AddStringToObject(item, "state", deal_state_names[deal.state]);
    add_name(item, "buyer", &deal.buyer);
    add_name(item, "seller", &deal.seller);
    json_add_i64(item, "contracted_wh", energy_wh(deal.contracted));
    json_add_i64(item, "delivered_wh", energy_wh(deal.delivered));
    json_add_i64(item, "paid_ueur", money_ueur(deal.paid));
    json_add_i64(item, "refunded_ueur", money_ueur(deal.refunded));
    cJSON_AddItemToArray(context, item);
    return true;
}

static int run_report(struct cli *cli, void *arguments)
{
    const struct directory *wanted = arguments;
    struct audit *audit;
    struct audit_totals totals;
    char reason[AUDIT_PROBLEM_SIZE];
    int status = verify(cli, &audit, wanted->dir);
    if (status == CLI_DONE && !audit_totals(&totals, audit_state(audit), reason)) {
        status = cli_fail(cli, CLI_UNPROVEN, "audit_failed", "%s", reason);
    }
    if (status == CLI_DONE) {
        json_add_i64(cli->result, "minted_ueur", money_ueur(totals.minted));
        json_add_i64(cli->result, "burned_ueur", money_ueur(totals.burned));
        json_add_i64(cli->result, "balances_ueur", money_ueur(totals.balances));
        json_add_i64(cli->result, "escrow_ueur", money_ueur(totals.escrow));
        json_add_i64(cli->result, "fees_ueur", money_ueur(totals.fees));
        struct cJSON *deals = cJSON_AddArrayToObject(cli->result, "deals");
        if (!audit_each(audit_state(audit), STATE_DEAL, add_deal, deals)) {
            status = cli_fail(cli, CLI_UNPROVEN, "audit_failed", "a deal's record is malformed");
        }
    }
    if (status == CLI_DONE) {
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
     .summary = "re-execute an export from genesis, offline",
     .teach = "Checks every signature, certificate and root, and that value is conserved.\n"
              "  flex audit verify --dir export --genesis genesis.json",
     .options = directory_option,
     .option_count = 1,
     .arguments_size = sizeof(struct directory),
     .run = run_verify},
    {.verb = "report",
     .summary = "verify, then the ledger's totals and deals",
     .options = directory_option,
     .option_count = 1,
     .arguments_size = sizeof(struct directory),
     .run = run_report},
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

const struct cli_noun audit_noun = {"audit", "export, offline verification, totals, digests",
                                    commands, sizeof commands / sizeof commands[0]};
