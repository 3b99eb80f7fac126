/* flex governance: who validates, what transactions cost, and evidence (docs/spec/state.md,
 * "Governance"; docs/adr/0014-epochs.md).
 *
 * The operators of the current validators propose and vote with their own wallets. A newcomer proves
 * its node's key once, beside the node: `prove-key` is the only command that reads that key. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/json.h"
#include "contracts/market.h"
#include "contracts/rules.h"
#include "node/keys.h"
#include "tools/nouns.h"

/* --- a newcomer's proof --------------------------------------------------------------------- */

struct prove_key {
    struct name operator_name;
    const char *file;
};

static const struct cli_option prove_options[] = {
    {"OPERATOR", CLI_NAME, offsetof(struct prove_key, operator_name),
     "the participant that is going to operate the validator", CLI_POSITIONAL, NULL, NULL, 0},
    {"node-key", CLI_TEXT, offsetof(struct prove_key, file), "the node's key file, HOME/node.key",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int run_prove_key(struct cli *cli, void *arguments)
{
    const struct prove_key *wanted = arguments;
    static struct genesis genesis;
    char problem[NODE_PROBLEM_SIZE];
    struct hash chain, message;
    struct secret_key seed;
    struct public_key key;
    struct signature proof;
    int status = session_load_genesis(cli, &genesis);
    if (status != CLI_DONE) {
        return status;
    }
    if (!genesis_hash(&chain, &genesis)) {
        return cli_fail(cli, CLI_USAGE, "bad_genesis", "the genesis file can't be encoded");
    }
    if (!node_key_load(wanted->file, &seed, problem)) {
        return cli_fail(cli, CLI_USAGE, "bad_key", "%s", problem);
    }
    ed25519_public_key(&key, &seed);
    membership_key_proof_message(&message, &chain, &wanted->operator_name, &key);
    ed25519_sign(&proof, &seed, &message);
    secret_key_wipe(&seed);
    char hex[2 * SIGNATURE_SIZE + 1];
    hex_encode(hex, key.bytes, PUBLIC_KEY_SIZE);
    cJSON_AddStringToObject(cli->result, "key", hex);
    hex_encode(hex, proof.bytes, SIGNATURE_SIZE);
    cJSON_AddStringToObject(cli->result, "proof", hex);
    noun_say_result(cli);
    return CLI_DONE;
}

/* --- proposals ------------------------------------------------------------------------------ */

struct set_change {
    struct public_key old_key;
    struct public_key new_key;
    struct name operator_name;
    const char *proof;
};

static const struct cli_option add_options[] = {
    {"key", CLI_HEX32, offsetof(struct set_change, new_key), "the new validator's key",
     CLI_REQUIRED, NULL, NULL, 0},
    {"operator", CLI_NAME, offsetof(struct set_change, operator_name), "who operates it",
     CLI_REQUIRED, NULL, NULL, 0},
    {"proof", CLI_TEXT, offsetof(struct set_change, proof), "what governance prove-key printed",
     CLI_REQUIRED, NULL, NULL, 0},
};

static const struct cli_option remove_options[] = {
    {"key", CLI_HEX32, offsetof(struct set_change, old_key), "the validator's key", CLI_REQUIRED,
     NULL, NULL, 0},
};

static const struct cli_option replace_options[] = {
    {"old-key", CLI_HEX32, offsetof(struct set_change, old_key), "the validator's key",
     CLI_REQUIRED, NULL, NULL, 0},
    {"key", CLI_HEX32, offsetof(struct set_change, new_key), "the key that takes its place",
     CLI_REQUIRED, NULL, NULL, 0},
    {"operator", CLI_NAME, offsetof(struct set_change, operator_name), "who operates the new one",
     CLI_REQUIRED, NULL, NULL, 0},
    {"proof", CLI_TEXT, offsetof(struct set_change, proof), "what governance prove-key printed",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int propose_change(struct cli *cli, enum proposal_kind kind, const struct set_change *change)
{
    struct governance_propose action;
    memset(&action, 0, sizeof action);
    action.kind = (uint8_t)kind;
    action.old_key = change->old_key;
    action.new_key = change->new_key;
    action.operator_name = change->operator_name;
    if (change->proof != NULL && !hex_decode(action.proof.bytes, SIGNATURE_SIZE, change->proof)) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--proof wants 128 lower-case hex digits");
    }
    return submit_one(cli, ACTION_GOVERNANCE_PROPOSE, &action);
}

static int run_add(struct cli *cli, void *arguments)
{
    return propose_change(cli, PROPOSAL_ADD_VALIDATOR, arguments);
}

static int run_remove(struct cli *cli, void *arguments)
{
    return propose_change(cli, PROPOSAL_REMOVE_VALIDATOR, arguments);
}

static int run_replace(struct cli *cli, void *arguments)
{
    return propose_change(cli, PROPOSAL_REPLACE_VALIDATOR, arguments);
}

struct set_fees {
    struct money per_tx;
    struct money per_action;
    struct money per_deal;
};

static const struct cli_option fees_options[] = {
    {"per-tx", CLI_EUR, offsetof(struct set_fees, per_tx), "of each transaction", CLI_REQUIRED,
     NULL, NULL, 0},
    {"per-action", CLI_EUR, offsetof(struct set_fees, per_action), "of each action in it",
     CLI_REQUIRED, NULL, NULL, 0},
    {"per-deal", CLI_EUR, offsetof(struct set_fees, per_deal), "from the seller's pay",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int run_fees(struct cli *cli, void *arguments)
{
    const struct set_fees *fees = arguments;
    struct governance_propose action;
    memset(&action, 0, sizeof action);
    action.kind = PROPOSAL_SET_FEES;
    action.fee_per_tx = fees->per_tx;
    action.fee_per_action = fees->per_action;
    action.fee_per_deal = fees->per_deal;
    return submit_one(cli, ACTION_GOVERNANCE_PROPOSE, &action);
}

/* --- markets and disputes ------------------------------------------------------------------- */

struct set_market {
    struct name market;
    uint64_t height;
};

static const struct cli_option set_market_options[] = {
    {"MARKET", CLI_NAME, offsetof(struct set_market, market), "whose draft", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"height", CLI_U64, offsetof(struct set_market, height), "in force from that block on",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int run_set_market(struct cli *cli, void *arguments)
{
    const struct set_market *wanted = arguments;
    struct governance_propose action;
    struct draft_record draft;
    char hex[2 * HASH_SIZE + 1];
    char name[NAME_SIZE + 1];
    /* As proven: what exactly the vote is about. */
    int status = noun_fetch(cli, "draft", name_to_text(name, &wanted->market), &draft, "bad_draft",
                            "that market has no draft (flex market update makes one)");
    if (status != CLI_DONE) {
        return status;
    }
    memset(&action, 0, sizeof action);
    action.kind = PROPOSAL_SET_MARKET;
    action.market = wanted->market;
    action.height = wanted->height;
    market_draft_hash(&action.draft, &draft);
    hex_encode(hex, action.draft.bytes, HASH_SIZE);
    cJSON_AddStringToObject(cli->result, "draft", hex);
    cli_say(cli, "draft %s\n", hex);
    return submit_one(cli, ACTION_GOVERNANCE_PROPOSE, &action);
}

struct upgrade {
    uint64_t rules;
    uint64_t height;
    bool cancel;
};

static const struct cli_option upgrade_options[] = {
    {"rules", CLI_U64, offsetof(struct upgrade, rules),
     "the version (flexd --version shows a program's)", CLI_REQUIRED, NULL, NULL, 0},
    {"height", CLI_U64, offsetof(struct upgrade, height), "in force from that block on",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"cancel", CLI_SWITCH, offsetof(struct upgrade, cancel),
     "take back the upgrade that waits; --rules is then the version in force", CLI_OPTIONAL, NULL,
     NULL, 0},
};

static int run_upgrade(struct cli *cli, void *arguments)
{
    const struct upgrade *wanted = arguments;
    struct governance_propose action;
    if (wanted->cancel == (wanted->height != 0) || wanted->rules == 0 ||
        wanted->rules > LEDGER_RULES_LIMIT) {
        return cli_fail(cli, CLI_USAGE, "bad_usage",
                        "either --height H, or --cancel; --rules from 1 on");
    }
    memset(&action, 0, sizeof action);
    action.kind = PROPOSAL_UPGRADE;
    action.rules = (uint32_t)wanted->rules;
    action.height = wanted->height;
    return submit_one(cli, ACTION_GOVERNANCE_PROPOSE, &action);
}

struct decide {
    uint64_t deal;
    int64_t credited_wh;
};

static const struct cli_option decide_options[] = {
    {"DEAL", CLI_U64, offsetof(struct decide, deal), "a disputed one", CLI_POSITIONAL, NULL, NULL,
     0},
    {"credited-wh", CLI_I64, offsetof(struct decide, credited_wh),
     "what is credited of all of it, 0 to what was contracted", CLI_REQUIRED, NULL, NULL, 0},
};

static int run_decide(struct cli *cli, void *arguments)
{
    const struct decide *wanted = arguments;
    struct governance_propose action;
    memset(&action, 0, sizeof action);
    action.kind = PROPOSAL_DECIDE_DISPUTE;
    action.deal = wanted->deal;
    action.credited = energy_of(wanted->credited_wh);
    return submit_one(cli, ACTION_GOVERNANCE_PROPOSE, &action);
}

static const char *const answers[] = {"no", "yes"};

static const struct cli_option vote_options[] = {
    {"PROPOSAL", CLI_U64, offsetof(struct governance_vote, proposal), "its number", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"ANSWER", CLI_CHOICE, offsetof(struct governance_vote, approve), "yes or no", CLI_POSITIONAL,
     NULL, answers, 2},
};

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "proposals", "id status proposer height decided_height");
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "proposal", wanted->id, "unknown_proposal");
}

/* --- evidence ------------------------------------------------------------------------------- */

static int fetch_evidence(struct cli *cli, struct cJSON **items)
{
    struct session session;
    struct cJSON *answer = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_get(&session, &answer, "/v1/evidence");
    }
    session_close(&session);
    if (status == CLI_DONE) {
        *items = cJSON_DetachItemFromObjectCaseSensitive(answer, "items");
    }
    cJSON_Delete(answer);
    return status;
}

static int run_evidence(struct cli *cli, void *arguments)
{
    (void)arguments;
    struct cJSON *items = NULL;
    int status = fetch_evidence(cli, &items);
    if (status == CLI_DONE && items != NULL) {
        cJSON_AddItemToObject(cli->result, "items", items);
        if (!cli->json) {
            cli_say_table(cli, items, "key epoch view");
        }
    }
    return status;
}

struct report {
    uint32_t index;
};

static const struct cli_option report_options[] = {
    {"INDEX", CLI_U32, offsetof(struct report, index),
     "which of the list of governance evidence, from 0", CLI_POSITIONAL, NULL, NULL, 0},
};

static int run_report(struct cli *cli, void *arguments)
{
    const struct report *wanted = arguments;
    struct governance_evidence action;
    struct cJSON *items = NULL;
    struct byte_writer scratch;
    uint8_t room[16];
    char problem[160];
    int status = fetch_evidence(cli, &items);
    if (status != CLI_DONE) {
        return status;
    }
    const struct cJSON *item = cJSON_GetArrayItem(items, (int)(wanted->index & INT16_MAX));
    byte_writer_init(&scratch, room, sizeof room);
    if (item == NULL) {
        status = cli_fail(cli, CLI_USAGE, "unknown_evidence", "this node has no evidence %u",
                          wanted->index);
    } else if (!codec_from_json(action_codec(ACTION_GOVERNANCE_EVIDENCE), &action, item, &scratch,
                                problem, sizeof problem)) {
        status = cli_fail(cli, CLI_UNPROVEN, "bad_answer", "the node's evidence: %s", problem);
    }
    cJSON_Delete(items);
    return status == CLI_DONE ? submit_one(cli, ACTION_GOVERNANCE_EVIDENCE, &action) : status;
}

static const struct cli_command commands[] = {
    {.verb = "prove-key",
     .summary = "prove possession of a node's key",
     .teach = "Run it beside the new node; operators of validators propose what it prints:\n"
              "  flex governance prove-key agg-c --node-key n5/node.key --genesis genesis.json\n"
              "  flex governance add --key HEX --operator agg-c --proof HEX",
     .options = prove_options,
     .option_count = sizeof prove_options / sizeof prove_options[0],
     .arguments_size = sizeof(struct prove_key),
     .sends = true,
     .run = run_prove_key},
    {.verb = "add",
     .summary = "propose one more validator (an operator of a validator)",
     .options = add_options,
     .option_count = sizeof add_options / sizeof add_options[0],
     .arguments_size = sizeof(struct set_change),
     .sends = true,
     .run = run_add},
    {.verb = "remove",
     .summary = "propose to remove a validator (an operator of a validator)",
     .options = remove_options,
     .option_count = sizeof remove_options / sizeof remove_options[0],
     .arguments_size = sizeof(struct set_change),
     .sends = true,
     .run = run_remove},
    {.verb = "replace",
     .summary = "propose a new key or operator for a validator (an operator of a validator)",
     .options = replace_options,
     .option_count = sizeof replace_options / sizeof replace_options[0],
     .arguments_size = sizeof(struct set_change),
     .sends = true,
     .run = run_replace},
    {.verb = "fees",
     .summary = "propose other fees (an operator of a validator)",
     .options = fees_options,
     .option_count = sizeof fees_options / sizeof fees_options[0],
     .arguments_size = sizeof(struct set_fees),
     .sends = true,
     .run = run_fees},
    {.verb = "set-market",
     .summary = "propose a market's draft, from a height on (an operator of a validator)",
     .teach = "  flex market show west-1h; flex proof get draft west-1h\n"
              "  flex governance set-market west-1h --height 120000",
     .options = set_market_options,
     .option_count = sizeof set_market_options / sizeof set_market_options[0],
     .arguments_size = sizeof(struct set_market),
     .sends = true,
     .run = run_set_market},
    {.verb = "upgrade",
     .summary = "propose another version of the ledger's rules (an operator of a validator)",
     .teach = "  flex governance upgrade --rules 2 --height 120000\n"
              "  flex governance upgrade --rules 1 --cancel",
     .options = upgrade_options,
     .option_count = sizeof upgrade_options / sizeof upgrade_options[0],
     .arguments_size = sizeof(struct upgrade),
     .sends = true,
     .run = run_upgrade},
    {.verb = "decide",
     .summary = "propose how a dispute ends (an operator of a validator)",
     .teach = "  flex deal show 7; flex proof get dispute 7\n"
              "  flex governance decide 7 --credited-wh 400",
     .options = decide_options,
     .option_count = sizeof decide_options / sizeof decide_options[0],
     .arguments_size = sizeof(struct decide),
     .sends = true,
     .run = run_decide},
    {.verb = "vote",
     .summary = "vote on a proposal, or change the vote (an operator of a validator)",
     .options = vote_options,
     .option_count = sizeof vote_options / sizeof vote_options[0],
     .arguments_size = sizeof(struct governance_vote),
     .action = ACTION_GOVERNANCE_VOTE},
    {.verb = "list", .summary = "every proposal", .run = run_list},
    {.verb = "show",
     .summary = "one proposal, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "evidence", .summary = "double votes that the node has seen", .run = run_evidence},
    {.verb = "report",
     .summary = "put one of them on the chain (an operator or a regulator)",
     .options = report_options,
     .option_count = sizeof report_options / sizeof report_options[0],
     .arguments_size = sizeof(struct report),
     .sends = true,
     .run = run_report},
};

const struct cli_noun governance_noun = {"governance", "validators, fees and evidence, by vote",
                                         commands, sizeof commands / sizeof commands[0]};
