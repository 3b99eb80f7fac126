/* flex asset: the device registry, portfolios and prequalification (MFX III.A; D2.3 4.2.5).
 *
 * Ownership and management change hands in two steps, each signed by its own side. */
#include <string.h>

#include "tools/nouns.h"

static const struct cli_option register_options[] = {
    {"NAME", CLI_NAME, offsetof(struct device_register, id), "the device's name", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"type", CLI_CHOICE, offsetof(struct device_register, type), "what it is", CLI_REQUIRED, NULL,
     device_type_names, 5},
    {"max-power-w", CLI_I64, offsetof(struct device_register, max_power),
     "the most that it can be regulated by, either way", CLI_REQUIRED, NULL, NULL, 0},
    {"capacity-wh", CLI_I64, offsetof(struct device_register, capacity),
     "what it can store; 0 if it has no store", CLI_OPTIONAL, "0", NULL, 0},
    {"connection-w", CLI_I64, offsetof(struct device_register, connection),
     "capacity of its grid connection", CLI_REQUIRED, NULL, NULL, 0},
    {"grid-node", CLI_NAME, offsetof(struct device_register, node), "where it stands", CLI_REQUIRED,
     NULL, NULL, 0},
    {"feeder", CLI_NAME, offsetof(struct device_register, feeder), "the feeder above it",
     CLI_REQUIRED, NULL, NULL, 0},
    {"zone", CLI_NAME, offsetof(struct device_register, zone), "the market zone above that",
     CLI_REQUIRED, NULL, NULL, 0},
    {"meter-key", CLI_HEX32, offsetof(struct device_register, meter_key),
     "public key of the meter that signs its readings", CLI_REQUIRED, NULL, NULL, 0},
    {"submeter-key", CLI_HEX32, offsetof(struct device_register, submeter_key),
     "public key of a meter at the device itself, for markets that settle by sub-meter",
     CLI_OPTIONAL, "0000000000000000000000000000000000000000000000000000000000000000", NULL, 0},
    {"address-hash", CLI_HEX32, offsetof(struct device_register, address_hash),
     "salted hash of personal data that you keep", CLI_OPTIONAL,
     "0000000000000000000000000000000000000000000000000000000000000000", NULL, 0},
};

static const struct cli_option delegate_options[] = {
    {"NAME", CLI_NAME, offsetof(struct device_delegate, device), "the device", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"to", CLI_NAME, offsetof(struct device_delegate, manager), "who is to manage it", CLI_REQUIRED,
     NULL, NULL, 0},
    {"from", CLI_TIME, offsetof(struct device_delegate, from), "from when on", CLI_REQUIRED, NULL,
     NULL, 0},
    {"until", CLI_TIME, offsetof(struct device_delegate, until), "until when (not included)",
     CLI_REQUIRED, NULL, NULL, 0},
};

static const struct cli_option transfer_options[] = {
    {"NAME", CLI_NAME, offsetof(struct device_transfer, device), "the device", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"to", CLI_NAME, offsetof(struct device_transfer, new_owner), "who is to own it", CLI_REQUIRED,
     NULL, NULL, 0},
};

/* device_delegate_accept and device_transfer_accept are a device's name and nothing else. */
static const struct cli_option name_option[] = {
    {"NAME", CLI_NAME, 0, "the device", CLI_POSITIONAL, NULL, NULL, 0},
};

struct enrol {
    struct name device;
    struct name market;
    bool leave;
};

static const struct cli_option enrol_options[] = {
    {"NAME", CLI_NAME, offsetof(struct enrol, device), "the device", CLI_POSITIONAL, NULL, NULL, 0},
    {"market", CLI_NAME, offsetof(struct enrol, market), "which market", CLI_REQUIRED, NULL, NULL,
     0},
    {"leave", CLI_SWITCH, offsetof(struct enrol, leave), "take it out instead", CLI_OPTIONAL, NULL,
     NULL, 0},
};

static int send_status(struct cli *cli, const void *arguments, enum status wanted)
{
    struct device_status action = {.status = (uint8_t)wanted};
    memcpy(&action.device, arguments, sizeof action.device);
    return submit_one(cli, ACTION_DEVICE_STATUS, &action);
}

static int run_prequalify(struct cli *cli, void *arguments)
{
    return send_status(cli, arguments, STATUS_ACTIVE);
}

static int run_suspend(struct cli *cli, void *arguments)
{
    return send_status(cli, arguments, STATUS_SUSPENDED);
}

static int run_retire(struct cli *cli, void *arguments)
{
    return send_status(cli, arguments, STATUS_RETIRED);
}

static int run_enrol(struct cli *cli, void *arguments)
{
    const struct enrol *wanted = arguments;
    struct device_enrol action = {
        .device = wanted->device, .market = wanted->market, .enrolled = !wanted->leave};
    return submit_one(cli, ACTION_DEVICE_ENROL, &action);
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "assets", "id device_type owner manager max_power_w zone status");
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "asset", wanted->id, "unknown_device");
}

static const struct cli_command commands[] = {
    {.verb = "register",
     .summary = "enter a device of yours",
     .teach =
         "  flex asset register battery-7 --type storage --max-power-w 5000 --capacity-wh 10000\n"
         "       --connection-w 11000 --grid-node n7 --feeder f1 --zone west --meter-key HEX",
     .options = register_options,
     .option_count = sizeof register_options / sizeof register_options[0],
     .arguments_size = sizeof(struct device_register),
     .action = ACTION_DEVICE_REGISTER},
    {.verb = "delegate",
     .summary = "offer its management to an aggregator (the owner)",
     .options = delegate_options,
     .option_count = sizeof delegate_options / sizeof delegate_options[0],
     .arguments_size = sizeof(struct device_delegate),
     .action = ACTION_DEVICE_DELEGATE},
    {.verb = "accept-delegation",
     .summary = "take the management that was offered",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct device_delegate_accept),
     .action = ACTION_DEVICE_DELEGATE_ACCEPT},
    {.verb = "transfer",
     .summary = "offer its ownership (the owner)",
     .options = transfer_options,
     .option_count = sizeof transfer_options / sizeof transfer_options[0],
     .arguments_size = sizeof(struct device_transfer),
     .action = ACTION_DEVICE_TRANSFER},
    {.verb = "accept-transfer",
     .summary = "take the ownership that was offered",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct device_transfer_accept),
     .action = ACTION_DEVICE_TRANSFER_ACCEPT},
    {.verb = "prequalify",
     .summary = "admit a device to the markets (a DSO)",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct name),
     .sends = true,
     .run = run_prequalify},
    {.verb = "suspend",
     .summary = "shut a device out for a while (a DSO)",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct name),
     .sends = true,
     .run = run_suspend},
    {.verb = "retire",
     .summary = "take a device off the ledger for good (the owner)",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct name),
     .sends = true,
     .run = run_retire},
    {.verb = "enrol",
     .summary = "enrol a device in a market, or take it out",
     .options = enrol_options,
     .option_count = sizeof enrol_options / sizeof enrol_options[0],
     .arguments_size = sizeof(struct enrol),
     .sends = true,
     .run = run_enrol},
    {.verb = "show",
     .summary = "one device, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "list", .summary = "all devices", .run = run_list},
};

const struct cli_noun asset_noun = {"asset", "devices: registry, portfolios, prequalification",
                                    commands, sizeof commands / sizeof commands[0]};
