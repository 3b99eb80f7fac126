/* A solver at work beside a node: it helps, it dies in the middle, it hangs, it talks nonsense, it lies, it
 * isn't there. What the run gives has always passed the check, each misfortune is counted, and each run ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "node/clock.h"
#include "node/solver_run.h"
#include "solver/frame.h"

enum { BIDS = 60, TURNS_MAX = 20000, WINDOW_MS = 20000 };
static const int64_t lump = INT64_C(1) << 40;

static char program[4096];
static char liar[96];
static struct node_metrics metrics;

static int begin(void **state)
{
    (void)state;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 64);
    if (length <= 0) {
        return 1;
    }
    program[length] = '\0';
    char *tests = strstr(program, "/tests/unit/");
    if (tests == NULL) {
        return 1;
    }
    (void)snprintf(tests, 32, "/bin/flexsolve");
    return 0;
}

/* Indivisible bids at one place: something to do for a solver, and a floor that it betters or keeps. */
static struct coupled_problem make(void **memory)
{
    struct coupled_bid *bids = calloc(BIDS, sizeof *bids);
    assert_non_null(bids);
    for (uint32_t i = 0; i < BIDS; i++) {
        bids[i] = (struct coupled_bid){.quantity = 100 + (i * 37) % 91,
                                       .price = 1000 + (i * 53) % 211,
                                       .agent = i,
                                       .buy = i % 3 == 0,
                                       .indivisible = i % 3 != 0};
    }
    *memory = bids;
    return (struct coupled_problem){
        .bid_count = BIDS, .agent_count = BIDS, .slot_count = 1, .place_count = 1, .bids = bids};
}

static struct solver_run *create(const char *path, uint32_t window_ms)
{
    void *memory;
    struct coupled_problem problem = make(&memory);
    memset(&metrics, 0, sizeof metrics);
    struct solver_run_options options = {{path, window_ms, 256}, "test", &metrics};
    struct solver_run *run = solver_run_create(&problem, memory, &options);
    assert_non_null(run);
    return run;
}

/* Steps until it is over, or has a solution, or has been killed often enough to be over. */
static void run_on(struct solver_run *run, bool until_best, bool kill_each)
{
    struct coupled_solution solution;
    struct coupled_claim claim;
    for (int turn = 0; turn < TURNS_MAX && !solver_run_is_over(run); turn++) {
        if (kill_each && solver_run_process(run) != 0) {
            assert_int_equal(kill(solver_run_process(run), SIGKILL), 0);
        }
        (void)solver_run_step(run, node_clock_monotonic_ms());
        if (until_best && solver_run_best(run, &solution, &claim)) {
            return;
        }
        struct timespec pause = {0, 5000000};
        (void)nanosleep(&pause, NULL);
    }
    assert_true(solver_run_is_over(run));
}

static void test_helps(void **state)
{
    (void)state;
    struct solver_run *run = create(program, WINDOW_MS);
    struct coupled_solution solution;
    struct coupled_claim claim, first;
    assert_false(solver_run_best(run, &solution, &claim));
    run_on(run, true, false);
    assert_true(solver_run_best(run, &solution, &first));
    run_on(run, false, false);
    assert_true(solver_run_best(run, &solution, &claim));
    assert_true(claim.welfare >= first.welfare && claim.welfare > 0 && claim.gap >= 0);
    assert_int_equal(solver_run_process(run), 0);
    assert_int_equal(metric_read(&metrics.solver_starts), 1);
    assert_int_equal(metric_read(&metrics.solver_failures), 0);
    solver_run_free(run);
}

/* Killed in the middle it is started again and gets there all the same. */
static void test_killed_once(void **state)
{
    (void)state;
    struct solver_run *run = create(program, WINDOW_MS);
    struct coupled_solution solution;
    struct coupled_claim claim;
    (void)solver_run_step(run, node_clock_monotonic_ms());
    assert_int_not_equal(solver_run_process(run), 0);
    assert_int_equal(kill(solver_run_process(run), SIGKILL), 0);
    run_on(run, false, false);
    assert_true(solver_run_best(run, &solution, &claim));
    assert_int_equal(metric_read(&metrics.solver_starts), 2);
    assert_int_equal(metric_read(&metrics.solver_failures), 1);
    solver_run_free(run);
}

static void test_killed_each_time(void **state)
{
    (void)state;
    struct solver_run *run = create("/bin/sleep", WINDOW_MS);
    run_on(run, false, true);
    assert_int_equal(metric_read(&metrics.solver_starts), SOLVER_RUN_STARTS_MAX);
    assert_int_equal(metric_read(&metrics.solver_failures), SOLVER_RUN_STARTS_MAX);
    solver_run_free(run);
}

static void test_hangs_and_babbles(void **state)
{
    (void)state;
    struct solver_run *run = create("/bin/sleep", 100);
    struct coupled_solution solution;
    struct coupled_claim claim;
    run_on(run, false, false);
    assert_false(solver_run_best(run, &solution, &claim));
    assert_int_equal(metric_read(&metrics.solver_timeouts), 1);
    solver_run_free(run);

    run = create("/usr/bin/yes", WINDOW_MS);
    run_on(run, false, false);
    assert_false(solver_run_best(run, &solution, &claim));
    assert_int_equal(metric_read(&metrics.solver_failures), SOLVER_RUN_STARTS_MAX);
    solver_run_free(run);

    run = create("/nowhere/flexsolve", WINDOW_MS);
    run_on(run, false, false);
    assert_int_equal(metric_read(&metrics.solver_starts), 0);
    assert_int_equal(metric_read(&metrics.solver_failures), SOLVER_RUN_STARTS_MAX);
    solver_run_free(run);
}

/* Has a program say `answer` and nothing more, and returns how many wrong solutions the run then counted.
 * What it took is in `claim`; welfare below 0: nothing. Takes over `memory`. */
static uint64_t hear(const struct coupled_problem *problem, void *memory,
                     const struct coupled_draft *draft, struct coupled_claim *claim)
{
    uint8_t bytes[4096];
    char answer[64];
    struct byte_writer writer;
    struct coupled_solution solution;
    frame_write_head(bytes, FRAME_SOLUTION, (uint32_t)frame_solution_bytes(problem));
    byte_writer_init(&writer, bytes + FRAME_HEAD_BYTES, sizeof bytes - FRAME_HEAD_BYTES);
    frame_write_solution(&writer, problem, draft);
    size_t size = FRAME_HEAD_BYTES + writer.size;
    frame_write_head(bytes + size, FRAME_END, 1);
    bytes[size + FRAME_HEAD_BYTES] = FRAME_END_DONE;
    size += FRAME_HEAD_BYTES + 1;

    (void)snprintf(answer, sizeof answer, "/tmp/flex-liar-XXXXXX");
    int file = mkstemp(answer);
    assert_true(file >= 0 && write(file, bytes, size) == (ssize_t)size && close(file) == 0);
    (void)snprintf(liar, sizeof liar, "%s.sh", answer);
    FILE *script = fopen(liar, "w");
    assert_non_null(script);
    assert_true(fprintf(script, "#!/bin/sh\ncat %s; exec sleep 60\n", answer) > 0);
    assert_int_equal(fclose(script), 0);
    assert_int_equal(chmod(liar, 0700), 0);

    memset(&metrics, 0, sizeof metrics);
    struct solver_run_options options = {{liar, WINDOW_MS, 256}, "test", &metrics};
    struct solver_run *run = solver_run_create(problem, memory, &options);
    assert_non_null(run);
    run_on(run, false, false);
    assert_int_equal(metric_read(&metrics.solver_failures), 0);
    if (!solver_run_best(run, &solution, claim)) {
        claim->welfare = -1;
    }
    solver_run_free(run);
    assert_int_equal(unlink(liar) + unlink(answer), 0);
    return metric_read(&metrics.solver_wrong);
}

/* A well-formed answer whose quantities balance nothing: refused by the check, and the run goes on. */
static void test_lies(void **state)
{
    (void)state;
    void *memory;
    struct coupled_problem problem = make(&memory);
    struct coupled_claim claim;
    int64_t table[BIDS] = {0}, zero = 0;
    struct coupled_draft draft = {table, &zero, 1, &zero, &zero, &zero};
    table[0] = 1;
    assert_int_equal(hear(&problem, memory, &draft, &claim), 1);
    assert_true(claim.welfare < 0);
}

/* One buy and one sell at a place whose row always holds, so that its multiplier costs nothing: prices as
 * large as one likes keep all rules and prove gap 0. */
static struct coupled_problem make_with_row(void **memory, int64_t coefficient)
{
    struct {
        struct coupled_bid bids[2];
        struct coupled_row row;
        struct coupled_coef coef;
    } *room = calloc(1, sizeof *room);
    assert_non_null(room);
    room->bids[0] = (struct coupled_bid){
        .quantity = lump, .price = (INT64_C(1) << 40) + 1, .agent = 0, .buy = true};
    room->bids[1] = (struct coupled_bid){.quantity = lump, .price = INT64_C(1) << 40, .agent = 1};
    room->row = (struct coupled_row){.count = 1, .op = COUPLED_EQUAL};
    room->coef.value = coefficient;
    *memory = room;
    return (struct coupled_problem){.bid_count = 2,
                                    .agent_count = 2,
                                    .slot_count = 1,
                                    .place_count = 1,
                                    .row_count = 1,
                                    .coef_count = 1,
                                    .bids = room->bids,
                                    .rows = &room->row,
                                    .coefs = &room->coef};
}

/* The ledger counts a solution as wrong if what it pays leaves 128 bits, though it keeps all rules: the
 * sender would have a strike for it. Here it never leaves the node; the same at prices that can be paid
 * does. */
static void test_unpayable(void **state)
{
    (void)state;
    int64_t taken[2] = {lump, lump}, zero = 0;
    for (int tame = 0; tame < 2; tame++) {
        void *memory;
        /* price x den of the sell, exactly: nobody gains but the buyer, 1 per unit */
        int64_t half = tame ? 20 : 51;
        struct coupled_problem problem = make_with_row(&memory, -(INT64_C(1) << half));
        int64_t row = INT64_C(1) << half;
        struct coupled_draft draft = {taken, &zero, INT64_C(1) << (2 * half - 40),
                                      &zero, &row,  &zero};
        struct coupled_claim claim;
        assert_int_equal(hear(&problem, memory, &draft, &claim), 1 - tame);
        assert_int_equal((int64_t)claim.welfare, tame ? lump : -1);
        assert_true(!tame || claim.gap == 0);
    }
}

static void test_no_problem(void **state)
{
    (void)state;
    void *memory;
    struct coupled_problem problem = make(&memory);
    ((struct coupled_bid *)memory)[3].min_quantity = 100000; /* over its quantity */
    struct solver_run_options options = {{program, WINDOW_MS, 256}, "test", &metrics};
    assert_null(solver_run_create(&problem, memory, &options));
    solver_run_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_helps),
        cmocka_unit_test(test_killed_once),
        cmocka_unit_test(test_killed_each_time),
        cmocka_unit_test(test_hangs_and_babbles),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_unpayable),
        cmocka_unit_test(test_no_problem),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
