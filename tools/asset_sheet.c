/* flex asset sheet: make a device's data sheet, leave fields out of a copy, check one against the ledger, put
 * its hash there (tools/sheet.h; docs/spec/plans.md 3).
 *
 * Invariant: `verify` says yes only to a sheet whose hash is the device's on the ledger, proven.
 *
 * Deliberately absent: sending sheets to anybody. */
#include <cjson/cJSON.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/nouns.h"
#include "tools/sheet.h"

const char *const asset_sheet_verbs[ASSET_SHEET_VERBS] = {"make", "hide", "verify", "set"};
enum { SHEET_MAKE, SHEET_HIDE, SHEET_VERIFY, SHEET_SET };

static void add_sheet(struct cli *cli, const struct sheet *sheet)
{
    char hex[2 * HASH_SIZE + 1];
    char name[NAME_SIZE + 1];
    struct hash hash;
    uint32_t hidden = 0;
    for (uint32_t i = 0; i < sheet->count; i++) {
        hidden += sheet->fields[i].hidden;
    }
    sheet_hash(&hash, sheet);
    hex_encode(hex, hash.bytes, HASH_SIZE);
    cJSON_AddStringToObject(cli->result, "device", name_to_text(name, &sheet->device));
    cJSON_AddStringToObject(cli->result, "address_hash", hex);
    json_add_u32(cli->result, "fields", sheet->count);
    json_add_u32(cli->result, "hidden", hidden);
}

static int verify(struct cli *cli, const struct sheet *sheet)
{
    struct session session;
    struct device_record device;
    struct proof proof = {0};
    struct hash hash;
    bool absent = false;
    char name[NAME_SIZE + 1];
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_record(&session, "asset", name_to_text(name, &sheet->device), &device,
                                &absent, &proof);
        proof_release(&proof);
    }
    session_close(&session);
    if (status != CLI_DONE) {
        return status;
    }
    if (absent) {
        return cli_fail(cli, CLI_REFUSED, "unknown_device", "there is no device %s", name);
    }
    sheet_hash(&hash, sheet);
    if (!hash_equal(&hash, &device.address_hash)) {
        return cli_fail(cli, CLI_UNPROVEN, "not_the_sheet",
                        "%s has another data sheet on the ledger", name);
    }
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
    return CLI_DONE;
}

static int make(struct cli *cli, const struct asset_sheet *wanted, struct sheet *sheet)
{
    if (wanted->out == NULL || (wanted->what == SHEET_MAKE && name_is_empty(&wanted->device))) {
        return cli_fail(cli, CLI_USAGE, "bad_usage", "this takes --out%s",
                        wanted->what == SHEET_MAKE ? " and --device" : "");
    }
    int status = wanted->what == SHEET_MAKE
                     ? sheet_from_csv(cli, sheet, &wanted->device, wanted->in)
                     : sheet_read(cli, sheet, wanted->in);
    if (status == CLI_DONE && wanted->what == SHEET_HIDE) {
        status = sheet_hide(cli, sheet, wanted->fields);
    }
    return status == CLI_DONE ? sheet_write(cli, sheet, wanted->out) : status;
}

int asset_sheet_run(struct cli *cli, void *arguments)
{
    const struct asset_sheet *wanted = arguments;
    static struct sheet sheet;
    struct device_sheet action;
    bool makes = wanted->what == SHEET_MAKE || wanted->what == SHEET_HIDE;
    int status = makes ? make(cli, wanted, &sheet) : sheet_read(cli, &sheet, wanted->in);
    if (status == CLI_DONE && wanted->what == SHEET_VERIFY) {
        status = verify(cli, &sheet);
    }
    if (status != CLI_DONE) {
        return status;
    }
    add_sheet(cli, &sheet);
    if (wanted->what == SHEET_SET) {
        action.device = sheet.device;
        sheet_hash(&action.address_hash, &sheet);
        return submit_one(cli, ACTION_DEVICE_SHEET, &action);
    }
    noun_say_result(cli);
    return CLI_DONE;
}
