/* Log lines (base/log.h).
 *
 *   2026-03-29T00:15:00.123Z dso 1200/1207 > proposal late -> nullify
 *   {"time":"...","node":"dso","height":1200,"view":1207,"level":"info","line":"..."}
 *
 * A line is put together in a buffer of its own and written by one call under one lock, so lines of
 * several threads never mix. Control characters, which may come from a peer's text, are replaced,
 * so nobody can forge a second line. Lines over LINE_SIZE are cut. Lines of level unusual and
 * broken carry that word after the '>' for an operator's eye and for grep. A stream that
 * would make us wait loses lines instead, and a later one says how many. Absent on purpose:
 * rotation, files, syslog; whoever starts the process owns the stream. */
#include "base/log.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { NODE_SIZE = 32, LINE_SIZE = 1024, TIME_SIZE = 40 };

static const char *const level_names[] = {
    [LOG_TRACE] = "trace",     [LOG_DEBUG] = "debug",   [LOG_INFO] = "info",
    [LOG_UNUSUAL] = "unusual", [LOG_BROKEN] = "broken",
};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *log_stream; /* NULL until opened: standard error */
static char log_node[NODE_SIZE] = "-";
static bool log_json;
static _Atomic int log_least = LOG_INFO;
static _Atomic uint64_t log_height;
static _Atomic uint64_t log_view;
static _Atomic uint64_t log_broken;
static uint64_t log_lost; /* lines, since one was written; under the lock */

static void replace_controls(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

void log_open(FILE *stream, const char *node, enum log_level least, bool json)
{
    pthread_mutex_lock(&log_lock);
    log_stream = stream;
    size_t length = strnlen(node, NODE_SIZE - 1);
    memcpy(log_node, node, length);
    log_node[length] = '\0';
    replace_controls(log_node);
    log_json = json;
    log_lost = 0;
    atomic_store(&log_least, (int)least);
    pthread_mutex_unlock(&log_lock);
}

void log_at(uint64_t height, uint64_t view)
{
    atomic_store(&log_height, height);
    atomic_store(&log_view, view);
}

/* RFC 3339, UTC, milliseconds. */
static void time_text(char out[TIME_SIZE])
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + length, TIME_SIZE - length, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Writes `text`, free of controls, as the inside of a JSON string. */
static void write_escaped(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', stream);
        }
        fputc(*text, stream);
    }
}

/* With the lock held. */
static void write_line(FILE *stream, enum log_level level, const char *time, const char *line)
{
    unsigned long long height = atomic_load(&log_height), view = atomic_load(&log_view);
    if (log_json) {
        fprintf(stream, "{\"time\":\"%s\",\"node\":\"", time);
        write_escaped(stream, log_node);
        fprintf(stream, "\",\"height\":%llu,\"view\":%llu,\"level\":\"%s\",\"line\":\"", height,
                view, level_names[level]);
        write_escaped(stream, line);
        fputs("\"}\n", stream);
    } else {
        bool marked = level >= LOG_UNUSUAL;
        fprintf(stream, "%s %s %llu/%llu > %s%s%s\n", time, log_node, height, view,
                marked ? level_names[level] : "", marked ? ": " : "", line);
    }
    fflush(stream);
}

/* False if writing would wait: a pipe that is full because its reader has stopped. Whoever holds the
 * lock, the consensus loop too, would wait with it. A pipe that polls as writable takes PIPE_BUF bytes,
 * which is more than a line with all its escapes and the one about lost lines before it. */
static bool takes_a_line(FILE *stream)
{
    struct pollfd output = {.fd = fileno(stream), .events = POLLOUT};
    return output.fd < 0 || poll(&output, 1, 0) != 0;
}
_Static_assert(PIPE_BUF >= 2 * (LINE_SIZE + NODE_SIZE) + TIME_SIZE + 512, "a line fits");

void log_line(enum log_level level, const char *format, ...)
{
    if (level == LOG_BROKEN) {
        atomic_fetch_add(&log_broken, 1);
    }
    if ((int)level < atomic_load(&log_least)) {
        return;
    }
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    replace_controls(line);
    char time[TIME_SIZE];
    time_text(time);

    pthread_mutex_lock(&log_lock);
    FILE *stream = log_stream != NULL ? log_stream : stderr;
    if (!takes_a_line(stream)) {
        log_lost++;
    } else {
        if (log_lost > 0) {
            char lost[LINE_SIZE];
            snprintf(lost, sizeof lost, "log: nobody read it for a while -> %llu lines lost",
                     (unsigned long long)log_lost);
            log_lost = 0;
            write_line(stream, LOG_UNUSUAL, time, lost);
        }
        write_line(stream, level, time, line);
    }
    pthread_mutex_unlock(&log_lock);
}

bool log_level_from_text(enum log_level *out, const char *text)
{
    for (int i = LOG_TRACE; i <= LOG_BROKEN; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

uint64_t log_broken_count(void)
{
    return atomic_load(&log_broken);
}
