/* `flex dispatch compare`: trade, schedule, set-point and meter of a deal side by side
 * (docs/spec/plans.md 2; feature 38). */
#ifndef FLEX_TOOLS_DISPATCH_COMPARE_H
#define FLEX_TOOLS_DISPATCH_COMPARE_H

#include "tools/cli.h"

struct dispatch_compare {
    uint64_t deal;
    const char *setpoints; /* a flexdispatch/1, or NULL */
    const char *schedule;  /* a flexschedule/1, or NULL: HOME/schedules */
    const char *csv;       /* a file to write, or NULL */
};
/* The command's further words are files of readings. An exit code. */
int dispatch_compare_run(struct cli *cli, void *arguments);

#endif
