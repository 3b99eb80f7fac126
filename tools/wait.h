/* Waiting for something that a node will do soon: short steps first, longer ones later, and an end.
 */
#ifndef FLEX_TOOLS_WAIT_H
#define FLEX_TOOLS_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct wait {
    int64_t deadline_ms; /* of the monotonic clock */
    int64_t step_ms;
};

int64_t wait_now_ms(void);
void wait_begin(struct wait *wait, int64_t timeout_ms);
/* Sleeps one step (20 ms at first, up to 500 ms). False once the time is over. */
bool wait_more(struct wait *wait);

#endif
