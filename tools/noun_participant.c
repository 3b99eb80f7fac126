/* flex participant: onboarding, roles, suspension, rotation of keys (D2.3 4.2.4; MFX III.A).
 *
 * Registering and suspending is a market operator's; rotating is the participant's own, with a proof
 * that it holds the new key. */
#include "tools/nouns.h"

static const struct cli_option register_options[] = {
    {"NAME", CLI_NAME, offsetof(struct participant_register, id), "its name on the ledger",
     CLI_POSITIONAL, NULL, NULL, 0},
    {"key", CLI_HEX32, offsetof(struct participant_register, key),
     "its public key, as flex key show prints it", CLI_REQUIRED, NULL, NULL, 0},
    {"roles", CLI_FLAGS, offsetof(struct participant_register, roles),
     "what it may do, separated by commas", CLI_REQUIRED, NULL, role_names, ROLE_COUNT},
};

static const struct cli_option status_options[] = {
    {"NAME", CLI_NAME, offsetof(struct participant_status, id), "who", CLI_POSITIONAL, NULL, NULL,
     0},
    {"STATUS", CLI_CHOICE, offsetof(struct participant_status, status), "retired is for good",
     CLI_POSITIONAL, NULL, status_names, 4},
};

struct rotate_key {
    struct public_key new_key;
    const char *proof;
};

static const struct cli_option rotate_options[] = {
    {"new-key", CLI_HEX32, offsetof(struct rotate_key, new_key), "the public key to change to",
     CLI_REQUIRED, NULL, NULL, 0},
    {"proof", CLI_TEXT, offsetof(struct rotate_key, proof),
     "what flex key sign-proof printed in the new key's home", CLI_REQUIRED, NULL, NULL, 0},
};

static int run_rotate_key(struct cli *cli, void *arguments)
{
    const struct rotate_key *wanted = arguments;
    struct participant_rotate_key action = {.new_key = wanted->new_key};
    if (!hex_decode(action.proof.bytes, SIGNATURE_SIZE, wanted->proof)) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--proof wants 128 lower-case hex digits");
    }
    return submit_one(cli, ACTION_PARTICIPANT_ROTATE_KEY, &action);
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "participants", "id roles status nonce");
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "participant", wanted->id, "unknown_participant");
}

static int run_reliability(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "reliability", wanted->id, "no_deals_yet");
}

static const struct cli_command commands[] = {
    {.verb = "register",
     .summary = "take a participant on (a market operator)",
     .teach = "  flex participant register agg-c --key HEX --roles aggregator",
     .options = register_options,
     .option_count = sizeof register_options / sizeof register_options[0],
     .arguments_size = sizeof(struct participant_register),
     .action = ACTION_PARTICIPANT_REGISTER},
    {.verb = "status",
     .summary = "activate, suspend or retire one (a market operator)",
     .options = status_options,
     .option_count = sizeof status_options / sizeof status_options[0],
     .arguments_size = sizeof(struct participant_status),
     .action = ACTION_PARTICIPANT_STATUS},
    {.verb = "rotate-key",
     .summary = "change your own key",
     .teach = "Sign with the old key's home; move the new key.json into place afterwards.",
     .options = rotate_options,
     .option_count = sizeof rotate_options / sizeof rotate_options[0],
     .arguments_size = sizeof(struct rotate_key),
     .sends = true,
     .run = run_rotate_key},
    {.verb = "list", .summary = "everybody on the ledger", .run = run_list},
    {.verb = "show",
     .summary = "one participant, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "reliability",
     .summary = "a provider's record of deals, failures and disputes, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_reliability},
};

const struct cli_noun participant_noun = {"participant", "who takes part, in which roles", commands,
                                          sizeof commands / sizeof commands[0]};
