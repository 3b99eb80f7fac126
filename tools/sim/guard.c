/* The simulator's own way out (guard.h). flexsim_main.c puts it in the place of base/fatal.c, so an
 * assertion of the core ends the run of one seed and not the process. Outside a guarded run it does
 * what base/fatal.c does.
 *
 * Deliberately absent: freeing what a dead run had allocated. There are few of them. */
#include "tools/sim/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

static sigjmp_buf way_out;
static struct sim_guard_report *report_now; /* NULL outside a guarded run */

/* Where an assertion is about safety and not about a slip of the program. */
static bool is_about_safety(const char *file, const char *function, const char *condition)
{
    return (strstr(file, "consensus/view.c") != NULL && strcmp(function, "view_cast") == 0) ||
           strstr(condition, "conserved") != NULL;
}

static _Noreturn void leave(void)
{
    report_now = NULL;
    siglongjmp(way_out, 1);
}

_Noreturn void sim_guard_assertion(const char *condition, const char *file, int line,
                                   const char *function)
{
    if (report_now != NULL) {
        report_now->safety = is_about_safety(file, function, condition);
        (void)snprintf(report_now->what, sizeof report_now->what, "%s:%d: %s: does not hold: %s",
                       file, line, function, condition);
        leave();
    }
    fprintf(stderr, "broken: %s:%d: %s: does not hold: %s\n", file, line, function, condition);
    fflush(stderr);
    abort();
}

_Noreturn void sim_guard_environment(const char *what)
{
    if (report_now != NULL) {
        report_now->safety = false;
        (void)snprintf(report_now->what, sizeof report_now->what, "environment: %s", what);
        leave();
    }
    fprintf(stderr, "broken: the environment failed, stopping: %s\n", what);
    fflush(stderr);
    abort();
}

static void on_signal(int number)
{
    if (report_now == NULL) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        return;
    }
    report_now->safety = false;
    (void)snprintf(report_now->what, sizeof report_now->what, "signal %d", number);
    leave();
}

bool sim_guard(void (*body)(void *context), void *context, struct sim_guard_report *report)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        (void)signal(deadly[i], on_signal);
    memset(report, 0, sizeof *report);
    if (sigsetjmp(way_out, 1) != 0)
        return false;
    report_now = report;
    body(context);
    report_now = NULL;
    return true;
}
