/* Processor time by stage: what is added shows under its name and nowhere else, and all lines together
 * are the process's time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "node/stages.h"

static uint64_t process_us(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

static uint64_t line_us(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 10);
}

static void test_stages_sum_to_the_whole(void **state)
{
    static const char *const others[] = {
        "flexd_stage_us{stage=\"verify\"} ", "flexd_stage_us{stage=\"admit\"} ",
        "flexd_stage_us{stage=\"propose\"} ", "flexd_stage_us{stage=\"execute\"} ",
        "flexd_stage_us{stage=\"journal\"} "};
    (void)state;
    struct node_stages stages;
    char text[STAGES_TEXT_BYTES];
    memset(&stages, 0, sizeof stages);
    const uint64_t from_ns = stage_now_ns();
    while (stage_now_ns() - from_ns < 3000000U) {
    }
    stage_add(&stages, STAGE_COMMIT, from_ns);
    const uint64_t before = process_us();
    const size_t size = stages_print(&stages, text);
    const uint64_t after = process_us();
    assert_int_equal(size, strlen(text));
    const uint64_t commit = line_us(text, "flexd_stage_us{stage=\"commit\"} ");
    assert_true(commit >= 3000);
    uint64_t sum = commit + line_us(text, "flexd_stage_us{stage=\"other\"} ");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(line_us(text, others[i]), 0);
    }
    /* Each line is rounded down to a microsecond. */
    assert_true(sum + 2 >= before && sum <= after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages_sum_to_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
