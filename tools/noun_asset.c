/* flex asset: the device registry, portfolios and prequalification (MFX III.A; D2.3 4.2.5).
 *
 * Ownership and management change hands in two steps, each signed by its own side. */
#include <string.h>

#include "tools/asset_import.h"
#include "tools/nouns.h"
#include "tools/sheet.h"

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

static const struct cli_option sheet_options[] = {
    {"WHAT", CLI_CHOICE, offsetof(struct asset_sheet, what),
     "make one, hide fields of a copy, verify one, or set it on the ledger", CLI_POSITIONAL, NULL,
     asset_sheet_verbs, ASSET_SHEET_VERBS},
    {"FILE", CLI_FILE, offsetof(struct asset_sheet, in),
     "the sheet; to make one, a CSV file: name,personal,value", CLI_POSITIONAL, NULL, NULL, 0},
    {"device", CLI_NAME, offsetof(struct asset_sheet, device), "whose (make)", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"out", CLI_FILE, offsetof(struct asset_sheet, out), "the sheet to write (make, hide)",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"fields", CLI_TEXT, offsetof(struct asset_sheet, fields),
     "which to hide, separated by commas; without it, the personal ones", CLI_OPTIONAL, NULL, NULL,
     0},
};

static const struct cli_option import_options[] = {
    {"FILE", CLI_FILE, offsetof(struct asset_import, file),
     "CSV: id,type,max_power_w,connection_w,node,feeder,zone,meter_key and, if wanted, "
     "capacity_wh,submeter_key,address_hash",
     CLI_POSITIONAL, NULL, NULL, 0},
    {"signature", CLI_FILE, offsetof(struct asset_import, signature),
     "the registry's signature of the file", CLI_OPTIONAL, NULL, NULL, 0},
    {"signer", CLI_NAME, offsetof(struct asset_import, signer), "whose it must be", CLI_OPTIONAL,
     NULL, NULL, 0},
};

static const struct cli_option sign_options[] = {
    {"FILE", CLI_FILE, offsetof(struct asset_sign, file), "the registry", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"out", CLI_FILE, offsetof(struct asset_sign, out), "the signature to write", CLI_REQUIRED,
     NULL, NULL, 0},
};

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
    {.verb = "sheet",
     .summary = "a device's data sheet, whose personal fields are hashed one by one",
     .teach =
         "The sheet's hash is the device's address hash. A copy that hides fields has the same.\n"
         "  flex asset sheet make battery-7.csv --device battery-7 --out battery-7.sheet\n"
         "  flex asset sheet set battery-7.sheet\n"
         "  flex asset sheet hide battery-7.sheet --out public.sheet\n"
         "  flex asset sheet verify public.sheet",
     .options = sheet_options,
     .option_count = sizeof sheet_options / sizeof sheet_options[0],
     .arguments_size = sizeof(struct asset_sheet),
     .sends = true,
     .run = asset_sheet_run},
    {.verb = "import",
     .summary = "register the devices of another registry as yours",
     .teach = "Nothing is sent unless every row is good. What is there already is skipped, so the\n"
              "same command goes on after an interruption.\n"
              "  flex asset import fleet.csv --signature fleet.sig --signer dso --dry-run",
     .options = import_options,
     .option_count = sizeof import_options / sizeof import_options[0],
     .arguments_size = sizeof(struct asset_import),
     .sends = true,
     .run = asset_import_run},
    {.verb = "sign",
     .summary = "sign a registry for others to import",
     .options = sign_options,
     .option_count = sizeof sign_options / sizeof sign_options[0],
     .arguments_size = sizeof(struct asset_sign),
     .sends = true,
     .run = asset_sign_run},
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
