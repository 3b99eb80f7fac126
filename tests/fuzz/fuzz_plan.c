/* Files beside the chain (docs/spec/plans.md): forecasts and set-points hash as they say or are refused, a
 * data sheet has one hash whatever is left out of a copy, and a registry that is taken holds devices that an
 * action can carry, each once. The first byte says which kind of file it is. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/asset_import.h"
#include "tools/plan_file.h"
#include "tools/sheet.h"

static void check_plan(struct cli *cli, enum plan_kind kind, const char *path)
{
    struct plan plan;
    struct hash computed;
    if (plan_read(cli, &plan, kind, path) != CLI_DONE)
        return;
    char id[PLAN_ID_SIZE];
    plan_id(id, &plan, UINT32_MAX);
    if (kind == PLAN_FORECAST) {
        forecast_hash(&computed, plan.salt, &plan.who, &plan.forecast, plan.values);
        MUST(hash_equal(&computed, &plan.forecast.values));
    } else {
        dispatch_hash(&computed, plan.salt, &plan.who, &plan.dispatch, plan.values);
        MUST(hash_equal(&computed, &plan.dispatch.setpoints));
    }
    plan_release(&plan);
}

static void check_sheet(struct cli *cli, const char *path)
{
    static struct sheet sheet;
    struct hash whole, less;
    if (sheet_read(cli, &sheet, path) != CLI_DONE)
        return;
    MUST(sheet.count > 0 && sheet.count <= SHEET_FIELDS_MAX);
    sheet_hash(&whole, &sheet);
    MUST(sheet_hide(cli, &sheet, NULL) == CLI_DONE);
    sheet_hash(&less, &sheet);
    MUST(hash_equal(&whole, &less));
    for (uint32_t i = 0; i < sheet.count; i++) {
        MUST(i == 0 || strcmp(sheet.fields[i - 1].name, sheet.fields[i].name) < 0);
        MUST(sheet_hide(cli, &sheet, sheet.fields[i].name) == CLI_DONE);
    }
    sheet_hash(&less, &sheet);
    MUST(hash_equal(&whole, &less));
}

static void check_registry(struct cli *cli, const char *path)
{
    struct import_row *rows;
    uint32_t count;
    if (asset_import_read(cli, &rows, &count, path) != CLI_DONE) {
        MUST(rows == NULL);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[LIMIT_ACTION_BYTES];
        struct byte_writer writer;
        byte_writer_init(&writer, bytes, sizeof bytes);
        codec_encode(action_codec(ACTION_DEVICE_REGISTER), &rows[i].device, &writer);
        MUST(!writer.failed);
        for (uint32_t j = 0; j < i && j < 64; j++)
            MUST(name_compare(&rows[i].device.id, &rows[j].device.id) != 0);
    }
    free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    struct fuzz_source source = fuzz_source_of(data, size);
    struct cli cli;
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    MUST(nowhere != NULL);
    uint8_t kind = fuzz_take_u8(&source) % 4;
    const char *path = fuzz_file(fuzz_take_rest(&source));
    cli_init(&cli, nowhere, nowhere);
    cli.result = cJSON_CreateObject();
    if (kind < 2)
        check_plan(&cli, kind == 0 ? PLAN_FORECAST : PLAN_DISPATCH, path);
    else if (kind == 2)
        check_sheet(&cli, path);
    else
        check_registry(&cli, path);
    cJSON_Delete(cli.result);
    return 0;
}
