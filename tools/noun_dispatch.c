/* flex dispatch: instructions to devices, their acknowledgement, and what came of them
 * (docs/spec/plans.md 2; feature 38).
 *
 * `send` writes the file of set-points before it sends their hash; the device's side checks the file as it
 * acknowledges it. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/json.h"
#include "tools/dispatch_compare.h"
#include "tools/nouns.h"
#include "tools/plan_file.h"

struct send {
    struct dispatch_send action;
    const char *setpoints;
    const char *out;
};

static const struct cli_option send_options[] = {
    {"device", CLI_NAME, offsetof(struct send, action.device), "which one", CLI_REQUIRED, NULL,
     NULL, 0},
    {"deal", CLI_U64, offsetof(struct send, action.deal), "the deal that it is for; 0: none",
     CLI_OPTIONAL, "0", NULL, 0},
    {"start", CLI_TIME, offsetof(struct send, action.start), "start of the first interval",
     CLI_REQUIRED, NULL, NULL, 0},
    {"interval", CLI_DURATION, offsetof(struct send, action.interval), "length of each",
     CLI_OPTIONAL, "15m", NULL, 0},
    {"deadline", CLI_TIME, offsetof(struct send, action.deadline),
     "until when it is to be acknowledged; without it, the start", CLI_OPTIONAL, NULL, NULL, 0},
    {"setpoints", CLI_FILE, offsetof(struct send, setpoints),
     "whole Wh that the device is to take in each interval; import is positive", CLI_REQUIRED, NULL,
     NULL, 0},
    {"out", CLI_FILE, offsetof(struct send, out), "the file to make, for the device's side",
     CLI_REQUIRED, NULL, NULL, 0},
};

static int run_send(struct cli *cli, void *arguments)
{
    struct send *wanted = arguments;
    struct plan plan = {.kind = PLAN_DISPATCH, .dispatch = wanted->action};
    if (timestamp_ms(plan.dispatch.deadline) == 0) {
        plan.dispatch.deadline = plan.dispatch.start;
    }
    return plan_publish(cli, &plan, wanted->setpoints, NULL, wanted->out);
}

struct ack {
    const char *file;
    bool refuse;
};

static const struct cli_option ack_options[] = {
    {"FILE", CLI_FILE, offsetof(struct ack, file), "the set-points that the sender handed over",
     CLI_POSITIONAL, NULL, NULL, 0},
    {"refuse", CLI_SWITCH, offsetof(struct ack, refuse), "say that the device can't or won't",
     CLI_OPTIONAL, NULL, NULL, 0},
};

/* Acknowledged is what was read and is on the ledger, not a number. */
static int run_ack(struct cli *cli, void *arguments)
{
    const struct ack *wanted = arguments;
    struct session session;
    struct plan plan;
    struct dispatch_record sent;
    bool superseded = false;
    int status = plan_read(cli, &plan, PLAN_DISPATCH, wanted->file);
    if (status != CLI_DONE) {
        return status;
    }
    status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = plan_check(&session, &sent, &superseded, &plan);
    }
    session_close(&session);
    if (status == CLI_DONE && superseded) {
        status = cli_fail(cli, CLI_REFUSED, "superseded",
                          "the sender has sent a newer instruction for this time: that one holds");
    }
    struct dispatch_ack action = {.device = plan.dispatch.device,
                                  .start = plan.dispatch.start,
                                  .revision = plan.dispatch.revision,
                                  .accepted = !wanted->refuse};
    plan_release(&plan);
    return status == CLI_DONE ? submit_one(cli, ACTION_DISPATCH_ACK, &action) : status;
}

static const struct cli_option compare_options[] = {
    {"DEAL", CLI_U64, offsetof(struct dispatch_compare, deal), "which one", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"setpoints", CLI_FILE, offsetof(struct dispatch_compare, setpoints), "the instruction's file",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"schedule", CLI_FILE, offsetof(struct dispatch_compare, schedule),
     "the seller's schedule file, if it is not in HOME/schedules", CLI_OPTIONAL, NULL, NULL, 0},
    {"csv", CLI_FILE, offsetof(struct dispatch_compare, csv), "also write the table into this file",
     CLI_OPTIONAL, NULL, NULL, 0},
};

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "dispatch", wanted->id, "unknown_plan");
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "dispatches",
                     "id sender deal count sent_ms deadline_ms answer answered_ms");
}

static const struct cli_command commands[] = {
    {.verb = "send",
     .summary = "instruct a device: the set-points' hash on the ledger, they themselves in a file",
     .teach = "  flex dispatch send --device battery-7 --deal 1 --start 2025-01-15T17:00Z \\\n"
              "       --setpoints plan.txt --out battery-7.dispatch",
     .options = send_options,
     .option_count = sizeof send_options / sizeof send_options[0],
     .arguments_size = sizeof(struct send),
     .sends = true,
     .run = run_send},
    {.verb = "ack",
     .summary = "acknowledge an instruction, or refuse it (who runs the device)",
     .options = ack_options,
     .option_count = sizeof ack_options / sizeof ack_options[0],
     .arguments_size = sizeof(struct ack),
     .sends = true,
     .run = run_ack},
    {.verb = "compare",
     .summary = "a deal's trade, schedule, set-point and meter side by side",
     .teach = "Files hold readings of the device's meter.\n"
              "  flex dispatch compare 1 --setpoints battery-7.dispatch readings.json",
     .options = compare_options,
     .option_count = sizeof compare_options / sizeof compare_options[0],
     .arguments_size = sizeof(struct dispatch_compare),
     .more_words = "FILE...",
     .run = dispatch_compare_run},
    {.verb = "show",
     .summary = "one instruction, DEVICE/START_MS/REVISION, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "list", .summary = "all instructions and their answers", .run = run_list},
};

const struct cli_noun dispatch_noun = {"dispatch", "instructions to devices, and their answers",
                                       commands, sizeof commands / sizeof commands[0]};
