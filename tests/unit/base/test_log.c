/* Log lines: the form of both kinds, levels, cutting, no forged lines, and whole lines from many
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/json.h"
#include "base/log.h"

static char *written;
static size_t written_size;

static FILE *open_stream(const char *node, enum log_level least, bool json)
{
    FILE *stream = open_memstream(&written, &written_size);
    assert_non_null(stream);
    log_open(stream, node, least, json);
    return stream;
}

/* Back to standard error, so that nothing points at the closed stream. */
static void close_stream(FILE *stream)
{
    log_open(stderr, "-", LOG_BROKEN, false);
    fclose(stream);
    free(written);
    written = NULL;
}

static size_t line_count(void)
{
    size_t lines = 0;
    for (const char *at = written; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    return lines;
}

static void test_text_line(void **state)
{
    (void)state;
    FILE *stream = open_stream("dso", LOG_INFO, false);
    log_at(12, 15);
    log_line(LOG_INFO, "proposal late -> %s", "nullify");
    /* 2026-03-29T00:15:00.123Z dso 12/15 > ... */
    assert_true(written[4] == '-' && written[10] == 'T' && written[19] == '.');
    assert_string_equal(written + 23, "Z dso 12/15 > proposal late -> nullify\n");
    close_stream(stream);
}

static void test_levels(void **state)
{
    (void)state;
    FILE *stream = open_stream("dso", LOG_UNUSUAL, false);
    uint64_t broken = log_broken_count();
    log_line(LOG_TRACE, "t");
    log_line(LOG_DEBUG, "d");
    log_line(LOG_INFO, "i");
    log_line(LOG_UNUSUAL, "u");
    log_line(LOG_BROKEN, "b");
    assert_int_equal(line_count(), 2);
    assert_non_null(strstr(written, "> unusual: u\n"));
    assert_non_null(strstr(written, "> broken: b\n"));
    assert_int_equal(log_broken_count(), broken + 1);
    close_stream(stream);

    static const char *const names[] = {"trace", "debug", "info", "unusual", "broken"};
    for (int i = 0; i < 5; i++) {
        enum log_level level;
        assert_true(log_level_from_text(&level, names[i]));
        assert_int_equal(level, i);
    }
    enum log_level level = LOG_DEBUG;
    assert_false(log_level_from_text(&level, "Info"));
    assert_false(log_level_from_text(&level, ""));
    assert_int_equal(level, LOG_DEBUG);
}

static void test_json_line(void **state)
{
    (void)state;
    FILE *stream = open_stream("dso \"1\"", LOG_INFO, true);
    log_at(7, UINT32_MAX);
    log_line(LOG_UNUSUAL, "peer said \"hi\\\" -> strike");
    char problem[JSON_PROBLEM_SIZE];
    struct cJSON *object = json_parse_strict(written, written_size, problem);
    assert_non_null(object);
    assert_string_equal(json_string(object, "line"), "peer said \"hi\\\" -> strike");
    assert_string_equal(json_string(object, "node"), "dso \"1\"");
    assert_string_equal(json_string(object, "level"), "unusual");
    uint32_t view;
    assert_true(json_u32(&view, object, "view") && view == UINT32_MAX);
    cJSON_Delete(object);
    close_stream(stream);
}

static void test_nobody_forges_a_line(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        FILE *stream = open_stream("a\nb", LOG_INFO, json);
        log_line(LOG_INFO, "peer \"%s\"",
                 "x\n2026-01-01T00:00:00.000Z dso 1/1 > all is well\r\t\x1b");
        assert_int_equal(line_count(), 1);
        assert_null(strchr(written, '\x1b'));
        assert_null(strchr(written, '\r'));
        close_stream(stream);
    }
}

static void test_long_text_is_cut(void **state)
{
    (void)state;
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    FILE *stream = open_stream("a-node-name-that-is-longer-than-31-characters", LOG_INFO, false);
    log_line(LOG_INFO, "%s", text);
    assert_int_equal(line_count(), 1);
    assert_in_range(written_size, 1000, 1200);
    assert_non_null(strstr(written, " a-node-name-that-is-longer-than "));
    close_stream(stream);
}

enum { THREADS = 4, LINES = 300 };

static void *write_lines(void *context)
{
    for (int i = 0; i < LINES; i++) {
        log_line(LOG_INFO, "<%s>", (const char *)context);
    }
    return NULL;
}

static void test_lines_of_threads_stay_whole(void **state)
{
    (void)state;
    static const char *const texts[THREADS] = {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"};
    pthread_t threads[THREADS];
    FILE *stream = open_stream("n", LOG_INFO, false);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)texts[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(line_count(), THREADS * LINES);
    size_t found[THREADS] = {0};
    for (char *line = strtok(written, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *text = strstr(line, "> <");
        assert_non_null(text);
        assert_int_equal(strlen(text), 12);
        for (size_t i = 0; i < THREADS; i++) {
            found[i] += strncmp(text + 3, texts[i], 8) == 0;
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(found[i], LINES);
    }
    close_stream(stream);
}

/* A pipe that nobody reads: whoever logs goes on, and the first line that fits again is preceded by the
 * number of those that did not. */
static void test_a_reader_that_stops(void **state)
{
    (void)state;
    enum { SPOKEN = 3000 };
    static char text[1 << 20];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    FILE *stream = fdopen(ends[1], "w");
    assert_non_null(stream);
    log_open(stream, "dso", LOG_INFO, false);
    for (int i = 0; i < SPOKEN; i++) {
        log_line(LOG_INFO, "a line of a common length, as there are many: %d", i);
    }
    const ssize_t size = read(ends[0], text, sizeof text - 1);
    assert_true(size > 0);
    unsigned lines = 0;
    for (ssize_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    assert_true(lines > 100 && lines < SPOKEN && text[size - 1] == '\n');
    log_line(LOG_INFO, "afterwards");
    const ssize_t more = read(ends[0], text, sizeof text - 1);
    assert_true(more > 0);
    text[more] = '\0';
    char expected[64];
    snprintf(expected, sizeof expected, "-> %u lines lost\n", SPOKEN - lines);
    const char *lost = strstr(text, expected);
    assert_non_null(lost);
    assert_non_null(strstr(lost, "afterwards\n"));
    log_open(stderr, "-", LOG_BROKEN, false);
    fclose(stream);
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_line),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_nobody_forges_a_line),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_lines_of_threads_stay_whole),
        cmocka_unit_test(test_a_reader_that_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
