/* Polling with a growing step (tools/wait.h). Finality takes some tens of milliseconds, so the first
 * steps are short; a node that is catching up may take seconds, so later ones spare it.
 * Only the monotonic clock is looked at: setting the date does not end or prolong a wait. */
#include "tools/wait.h"

#include <errno.h>
#include <time.h>

enum { STEP_FIRST_MS = 20, STEP_MAX_MS = 500 };

int64_t wait_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wait_begin(struct wait *wait, int64_t timeout_ms)
{
    wait->deadline_ms = wait_now_ms() + timeout_ms;
    wait->step_ms = STEP_FIRST_MS;
}

bool wait_more(struct wait *wait)
{
    int64_t left = wait->deadline_ms - wait_now_ms();
    if (left <= 0) {
        return false;
    }
    int64_t step = left < wait->step_ms ? left : wait->step_ms;
    struct timespec span = {.tv_sec = step / 1000, .tv_nsec = (step % 1000) * 1000000};
    while (nanosleep(&span, &span) != 0 && errno == EINTR) {
    }
    wait->step_ms = wait->step_ms * 5 / 4;
    if (wait->step_ms > STEP_MAX_MS) {
        wait->step_ms = STEP_MAX_MS;
    }
    return true;
}
