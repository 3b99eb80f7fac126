/* The way out when going on would be worse (base/fatal.h).
 *
 * Writes to standard error directly and not through the log: the failed invariant may be the log's
 * own, or be found while its lock is held. */
#include "base/fatal.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void fatal_assertion(const char *condition, const char *file, int line,
                               const char *function)
{
    fprintf(stderr, "broken: %s:%d: %s: does not hold: %s\n", file, line, function, condition);
    fflush(stderr);
    abort();
}

_Noreturn void fatal_environment(const char *what)
{
    fprintf(stderr, "broken: the environment failed, stopping: %s\n", what);
    fflush(stderr);
    abort();
}
