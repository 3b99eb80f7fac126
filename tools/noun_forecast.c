/* flex forecast: signed, versioned series whose hash the ledger keeps (docs/spec/plans.md 1; feature 36).
 *
 * `publish` writes the file before it sends the hash; whoever gets the file checks it with `verify`. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "base/json.h"
#include "tools/nouns.h"
#include "tools/plan_file.h"

struct publish {
    struct forecast_publish action;
    const char *values;
    const char *column;
    const char *out;
};

static const struct cli_option publish_options[] = {
    {"series", CLI_NAME, offsetof(struct publish, action.series), "your own name for it",
     CLI_REQUIRED, NULL, NULL, 0},
    {"place", CLI_NAME, offsetof(struct publish, action.place), "a device, feeder or zone",
     CLI_REQUIRED, NULL, NULL, 0},
    {"kind", CLI_CHOICE, offsetof(struct publish, action.kind), "of what", CLI_OPTIONAL, "net",
     forecast_kind_names, FORECAST_KIND_COUNT},
    {"start", CLI_TIME, offsetof(struct publish, action.start), "start of the first interval",
     CLI_REQUIRED, NULL, NULL, 0},
    {"interval", CLI_DURATION, offsetof(struct publish, action.interval), "length of each",
     CLI_OPTIONAL, "15m", NULL, 0},
    {"values", CLI_FILE, offsetof(struct publish, values), "whole Wh of the intervals in a row",
     CLI_REQUIRED, NULL, NULL, 0},
    {"column", CLI_TEXT, offsetof(struct publish, column),
     "the values are this column of a CSV file", CLI_OPTIONAL, NULL, NULL, 0},
    {"out", CLI_FILE, offsetof(struct publish, out), "the file to make, for those who may see it",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int run_publish(struct cli *cli, void *arguments)
{
    struct publish *wanted = arguments;
    struct plan plan = {.kind = PLAN_FORECAST, .forecast = wanted->action};
    return plan_publish(cli, &plan, wanted->values, wanted->column, wanted->out);
}

struct verify {
    const char *file;
};

static const struct cli_option verify_options[] = {
    {"FILE", CLI_FILE, offsetof(struct verify, file), "a forecast's file", CLI_POSITIONAL, NULL,
     NULL, 0},
};

static int run_verify(struct cli *cli, void *arguments)
{
    const struct verify *wanted = arguments;
    struct session session;
    struct plan plan;
    struct forecast_record record;
    bool superseded = false;
    char id[PLAN_ID_SIZE];
    int status = plan_read(cli, &plan, PLAN_FORECAST, wanted->file);
    if (status != CLI_DONE) {
        return status;
    }
    status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = plan_check(&session, &record, &superseded, &plan);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        plan_id(id, &plan, plan.forecast.version);
        cJSON_AddStringToObject(cli->result, "forecast", id);
        noun_add_record(cli, &forecast_record_codec, &record);
        cJSON_AddBoolToObject(cli->result, "superseded", superseded);
        cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
        noun_say_result(cli);
    }
    plan_release(&plan);
    return status;
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "forecast", wanted->id, "unknown_plan");
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "forecasts", "id place kind interval_ms count published_ms");
}

static const struct cli_command commands[] = {
    {.verb = "publish",
     .summary = "put the next version of a forecast's hash on the ledger, its values into a file",
     .teach = "  flex forecast publish --series pv-west --place west --kind generation \\\n"
              "       --start 2025-01-16 --values tomorrow.txt --out pv-west.json",
     .options = publish_options,
     .option_count = sizeof publish_options / sizeof publish_options[0],
     .arguments_size = sizeof(struct publish),
     .sends = true,
     .run = run_publish},
    {.verb = "verify",
     .summary = "is a file exactly what was forecast, when, and is there a newer version",
     .options = verify_options,
     .option_count = 1,
     .arguments_size = sizeof(struct verify),
     .run = run_verify},
    {.verb = "show",
     .summary = "one version, PUBLISHER/SERIES/START_MS/VERSION, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "list", .summary = "all versions of all forecasts", .run = run_list},
};

const struct cli_noun forecast_noun = {"forecast", "forecasts as signed, versioned series",
                                       commands, sizeof commands / sizeof commands[0]};
