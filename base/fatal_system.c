/* The way out when a system call failed (base/fatal.h): the reason goes into the sentence.
 *
 * A file of its own, so that a program which brings its own fatal_environment, as the simulator does,
 * gets these through it.
 *
 * Deliberately absent: a choice of what to do. Which failures are final is the caller's to know. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"

_Noreturn void fatal_system(const char *what, int code)
{
    char text[160];
    (void)snprintf(text, sizeof text, "%s: %s", what, strerror(code));
    fatal_environment(text);
}
