/* Log lines: `time node height/view > event -> decision`, one per line, on a stream of the
 * process's choosing. Levels: trace, debug, info, unusual (an operator should look), broken (our
 * own bug or a lost invariant; a test that sees one fails). Thread-safe. Text or JSON lines. */
#ifndef FLEX_BASE_LOG_H
#define FLEX_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_UNUSUAL, LOG_BROKEN };

/* `node` (at most 31 characters are kept) names this process in every line. */
void log_open(FILE *stream, const char *node, enum log_level least, bool json);
/* What the lines that follow stand at. */
void log_at(uint64_t height, uint64_t view);
/* Never waits for the stream: a line that a full pipe has no room for is lost, and the next that is
 * written is preceded by one that says how many were. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* False if `text` names no level. */
bool log_level_from_text(enum log_level *out, const char *text);
/* Lines of level broken since the start. */
uint64_t log_broken_count(void);

#endif
