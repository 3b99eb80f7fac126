/* Files beside the chain: forecasts and set-points with their salts (docs/spec/plans.md 1 and 2). The
 * ledger has their hash.
 *
 *   flexforecast/1   {"format","chain","publisher","forecast":{action},"salt","values_wh":["…"]}
 *   flexdispatch/1   {"format","chain","sender","dispatch":{action},"salt","setpoints_wh":["…"]}
 *
 * Functions that return int return an exit code, as those of session.h. */
#ifndef FLEX_TOOLS_PLAN_FILE_H
#define FLEX_TOOLS_PLAN_FILE_H

#include "contracts/dispatch.h"
#include "tools/session.h"

enum plan_kind { PLAN_FORECAST, PLAN_DISPATCH };

struct plan {
    enum plan_kind kind;
    struct hash chain; /* of the genesis record */
    struct name who;   /* publisher or sender */
    struct forecast_publish forecast;
    struct dispatch_send dispatch;
    uint8_t salt[PLAN_SALT_SIZE];
    struct energy *values; /* as many as the action counts; plan_release frees */
};

/* Makes and sends one: reads the values, takes the next version or revision, draws a salt, writes the file
 * `out`, and sends the action with its hash. `plan` has its kind and its action's other fields; the rest is
 * filled here, and released.
 * Values: whole numbers of Wh, separated by blanks, commas or line ends, '#' begins a comment; or, if
 * `column` is not NULL, that column of a CSV file. The file is never one that was there before (it may be
 * the only one with that salt), has mode 0600, and goes where the ledger refuses its hash. */
int plan_publish(struct cli *cli, struct plan *plan, const char *values, const char *column,
                 const char *out);
/* Refuses ("bad_file") a file that is of another kind, or whose hash is not that of its contents. */
int plan_read(struct cli *cli, struct plan *out, enum plan_kind kind, const char *path);
void plan_release(struct plan *plan);

/* The record's id: "agg/pv/1736935200000/0", "dev/1736935200000/0", of version or revision `number`. */
enum { PLAN_ID_SIZE = 3 * (NAME_SIZE + 1) + 48 };
void plan_id(char out[PLAN_ID_SIZE], const struct plan *plan, uint32_t number);
/* Reads the plan's record into `record` (forecast_record or dispatch_record) and compares it with the file:
 * CLI_REFUSED ("unknown_plan") where there is none, CLI_UNPROVEN ("not_the_plan") where it is another.
 * *superseded: there is a newer one. */
int plan_check(struct session *session, void *record, bool *superseded, const struct plan *plan);

#endif
