/* Turns the death of a run into a verdict: failed assertions, faults of the environment, signals. */
#ifndef FLEX_TOOLS_SIM_GUARD_H
#define FLEX_TOOLS_SIM_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct sim_guard_report {
    bool safety;    /* the assertion guards safety (docs/simulator.md lists them) */
    char what[200]; /* place and condition */
};

/* Calls body(context). False if it died; what it had allocated is lost then. One at a time. */
bool sim_guard(void (*body)(void *context), void *context, struct sim_guard_report *report);

/* What base/fatal.h's two functions do in a simulator. */
_Noreturn void sim_guard_assertion(const char *condition, const char *file, int line,
                                   const char *function);
_Noreturn void sim_guard_environment(const char *what);

#endif
