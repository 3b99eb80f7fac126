/* The node's clocks (clock.h).
 *
 * The offset file is small and on a local disk, so reading it under the lock is cheap, and at most
 * fifty times a second. A writer that dies half-way has not replaced the file, so a malformed one
 * is an operator's mistake: the last good offset stays, and the log says so once.
 *
 * Deliberately absent: smoothing. A jump of the simulated clock is what it is for. */
#include "node/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"

void node_clock_open(struct node_clock *clock, const char *offset_file)
{
    memset(clock, 0, sizeof *clock);
    MUST(pthread_mutex_init(&clock->lock, NULL) == 0);
    if (offset_file != NULL) {
        MUST(strlen(offset_file) < sizeof clock->offset_file);
        snprintf(clock->offset_file, sizeof clock->offset_file, "%s", offset_file);
    }
}

void node_clock_close(struct node_clock *clock)
{
    MUST(pthread_mutex_destroy(&clock->lock) == 0);
}

uint64_t node_clock_monotonic_us(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t node_clock_monotonic_ms(void)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* False if the file is missing or holds anything but one decimal number and white space behind it.
 */
static bool offset_read(const char *file, int64_t *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char text[32];
    ssize_t size = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (size <= 0)
        return false;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' ' || text[size - 1] == '\r'))
        size--;
    text[size] = '\0';
    return int64_from_text(out, text);
}

struct timestamp node_clock_wall(struct node_clock *clock)
{
    struct timespec now;
    MUST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    int64_t wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (clock->offset_file[0] == '\0')
        return timestamp_of(wall_ms);

    uint64_t monotonic_ms = node_clock_monotonic_ms();
    MUST(pthread_mutex_lock(&clock->lock) == 0);
    if (clock->read_at_ms == 0 || monotonic_ms - clock->read_at_ms >= CLOCK_OFFSET_REREAD_MS) {
        clock->read_at_ms = monotonic_ms;
        if (!offset_read(clock->offset_file, &clock->offset_ms) && !clock->complained) {
            clock->complained = true;
            log_line(LOG_UNUSUAL, "clock offset file %s cannot be read -> last offset stays",
                     clock->offset_file);
        }
    }
    int64_t offset_ms = clock->offset_ms;
    MUST(pthread_mutex_unlock(&clock->lock) == 0);
    /* Times outside what any block may carry would only be refused later on. */
    int64_t sum_ms = 0;
    if (!checked_add_i64(&sum_ms, wall_ms, offset_ms) || sum_ms < 0)
        return timestamp_of(wall_ms);
    return timestamp_of(sum_ms);
}
