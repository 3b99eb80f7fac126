/* The node's two clocks: wall time for block times and the time rule, monotonic for every timer.
 *
 * Where the genesis allows simulated time, the wall clock is the real one plus the milliseconds in
 * a file that somebody else replaces atomically (docs/spec/config.md, "Simulated clock"). All calls
 * after node_clock_open are safe from any thread. */
#ifndef FLEX_NODE_CLOCK_H
#define FLEX_NODE_CLOCK_H

#include <pthread.h>

#include "base/units.h"

enum { CLOCK_OFFSET_REREAD_MS = 20, CLOCK_PATH_MAX = 512 };

struct node_clock {
    pthread_mutex_t lock;
    char offset_file[CLOCK_PATH_MAX]; /* empty: the real clock */
    int64_t offset_ms;
    uint64_t read_at_ms; /* monotonic; when the file was read last */
    bool complained;
};

/* `offset_file` NULL or empty: the real clock. */
void node_clock_open(struct node_clock *clock, const char *offset_file);
void node_clock_close(struct node_clock *clock);
/* Milliseconds since some moment in the past; never goes back. */
uint64_t node_clock_monotonic_ms(void);
uint64_t node_clock_monotonic_us(void);
struct timestamp node_clock_wall(struct node_clock *clock);

#endif
