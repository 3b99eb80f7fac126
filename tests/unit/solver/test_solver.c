/* The solver as its callers meet it: a process that helps or doesn't. Small problems against brute
 * force; the worker killed at random moments, missing, silent, talking nonsense, out of memory; and
 * its frames against every cut and many flipped bits. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "solver/frame.h"
#include "solver/solver.h"
#include "tests/lib/contracts/coupled_model.h"

enum { ARENA_BYTES = 8 * 1024 * 1024, PATIENCE_MS = 60000, FRAME_ROOM = 65536 };

static uint8_t *memory;
static struct clear_arena arena;
static char program[4096];

static int begin(void **state)
{
    (void)state;
    memory = malloc(ARENA_BYTES);
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 64);
    if (memory == NULL || length <= 0) {
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

static int end(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

static const struct coupled_plan *prepare(const struct coupled_problem *problem)
{
    struct coupled_fault fault;
    arena = (struct clear_arena){memory, ARENA_BYTES, 0};
    return coupled_prepare(problem, &fault, &arena);
}

static struct solver *start(const struct coupled_problem *problem, const char *path,
                            uint32_t window_ms, uint32_t memory_mb)
{
    struct solver_options options = {path, window_ms, memory_mb};
    const char *why = NULL;
    struct solver *solver = solver_start(problem, &options, &why);
    if (solver == NULL) {
        fail_msg("%s: %s", path, why);
    }
    return solver;
}

/* Waits to the end; every solution on the way must pass the check and be no worse than the last. */
static enum solver_event run_to_end(struct solver *solver, const struct coupled_plan *plan,
                                    struct coupled_draft *draft, struct coupled_claim *best,
                                    bool *found)
{
    *found = false;
    for (;;) {
        enum solver_event event = solver_wait(solver, draft, PATIENCE_MS);
        if (event != SOLVER_SOLUTION) {
            return event;
        }
        struct coupled_claim claim;
        struct coupled_break broken;
        struct coupled_solution solution = coupled_draft_view(draft);
        assert_true(coupled_check(&claim, &broken, plan, &solution, &arena));
        assert_true(!*found || claim.welfare > best->welfare || claim.bound < best->bound);
        assert_true(!*found || claim.welfare >= best->welfare);
        *best = claim;
        *found = true;
    }
}

static const struct small_kinds everything = {.lines = true,
                                              .meshed = true,
                                              .rows = true,
                                              .links = true,
                                              .sums = true,
                                              .converts = true,
                                              .lumps = true,
                                              .steps = true};

static void test_reaches_brute_force(void **state)
{
    (void)state;
    struct test_random random = {21};
    int solved = 0, infeasible = 0;
    for (int turn = 0; turn < 250; turn++) {
        struct small_problem small;
        struct small_kinds kinds = everything;
        kinds.rows = turn % 3 == 0;
        kinds.converts = turn % 2 == 0;
        small_problem_draw(&small, &random, &kinds);
        const struct coupled_plan *plan = prepare(&small.problem);
        if (plan == NULL) {
            continue;
        }
        int128 best = 0;
        int64_t accepted[MODEL_BIDS], flow[MODEL_SLOTS * MODEL_LINES];
        bool any = model_solve(&small.problem, &best, accepted, flow);
        struct coupled_draft draft;
        struct coupled_claim claim;
        bool found;
        coupled_draft_take(&draft, &small.problem, &arena);
        struct solver *solver = start(&small.problem, program, 20000, 0);
        enum solver_event event = run_to_end(solver, plan, &draft, &claim, &found);
        assert_int_equal(solver_wait(solver, &draft, 0), event); /* and it stays so */
        assert_int_equal(solver_process(solver), 0);
        solver_stop(solver);
        assert_int_equal(found, any);
        assert_int_equal(event, any ? SOLVER_DONE : SOLVER_INFEASIBLE);
        if (any) {
            assert_true(claim.welfare == best && claim.bound >= best);
            solved++;
        } else {
            infeasible++;
        }
    }
    assert_true(solved > 100 && infeasible > 10);
}

/* Enough to keep a worker busy for a while: lumps of many sizes at one place. */
static struct coupled_problem make_lumps(struct coupled_bid *bids, uint32_t count)
{
    struct test_random random = {4};
    for (uint32_t i = 0; i < count; i++) {
        bids[i] = (struct coupled_bid){
            .quantity = 1000 + (int64_t)test_random_below(&random, 9000),
            .price = 1000 + (int64_t)test_random_below(&random, 1000),
            .agent = i,
            .buy = i % 2 == 0,
            .indivisible = i % 5 != 0,
        };
    }
    return (struct coupled_problem){
        .bid_count = count, .agent_count = count, .slot_count = 1, .place_count = 1, .bids = bids};
}

static void test_killed_at_any_moment(void **state)
{
    (void)state;
    struct test_random random = {9};
    struct coupled_bid bids[60];
    struct coupled_problem problem = make_lumps(bids, 60);
    const struct coupled_plan *plan = prepare(&problem);
    struct coupled_draft draft;
    coupled_draft_take(&draft, &problem, &arena);
    for (int turn = 0; turn < 40; turn++) {
        struct solver *solver = start(&problem, program, 20000, 0);
        struct timespec pause = {0, (long)test_random_below(&random, 20000000)};
        struct coupled_claim claim;
        bool found;
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(solver_process(solver), SIGKILL), 0);
        enum solver_event event = run_to_end(solver, plan, &draft, &claim, &found);
        assert_true(event == SOLVER_DIED || event == SOLVER_DONE);
        solver_stop(solver);
    }
}

static void test_window_ends(void **state)
{
    (void)state;
    struct coupled_bid bids[60];
    struct coupled_problem problem = make_lumps(bids, 60);
    const struct coupled_plan *plan = prepare(&problem);
    struct coupled_draft draft;
    struct coupled_claim claim;
    bool found;
    coupled_draft_take(&draft, &problem, &arena);
    struct solver *solver = start(&problem, program, 300, 0);
    enum solver_event event = run_to_end(solver, plan, &draft, &claim, &found);
    assert_true(event == SOLVER_DONE || event == SOLVER_TIMED_OUT);
    assert_true(found && claim.welfare > 0);
    solver_stop(solver);
}

static void test_workers_that_are_none(void **state)
{
    (void)state;
    struct coupled_bid bids[4];
    struct coupled_problem problem = make_lumps(bids, 4);
    struct coupled_draft draft;
    assert_non_null(prepare(&problem));
    coupled_draft_take(&draft, &problem, &arena);
    const struct {
        const char *path;
        enum solver_event event;
    } rows[] = {
        {"/bin/true", SOLVER_DIED},      /* ends without a word */
        {"/bin/cat", SOLVER_BROKEN},     /* sends the problem back, once it finds no such file */
        {"/usr/bin/yes", SOLVER_BROKEN}, /* no frame */
        {"/bin/sleep", SOLVER_TIMED_OUT} /* reads nothing, says nothing */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct solver *solver = start(&problem, rows[i].path, 100, 64);
        enum solver_event event = solver_wait(solver, &draft, PATIENCE_MS);
        /* cat takes its arguments for files, and may end before it has echoed anything. */
        bool good = event == rows[i].event || (i == 1 && event == SOLVER_DIED);
        assert_true(good);
        assert_int_equal(solver_process(solver), 0);
        solver_stop(solver);
    }
    struct solver_options options = {"/nowhere/flexsolve", 100, 64};
    const char *why = NULL;
    assert_null(solver_start(&problem, &options, &why));
    assert_non_null(why);
    options.program = NULL; /* there is none beside this test */
    assert_null(solver_start(&problem, &options, &why));
    solver_stop(NULL);
}

static void write_file(const char *path, const void *bytes, size_t size, mode_t mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    assert_int_equal(close(file), 0);
}

/* A worker that sends what reads as solutions faster than they are judged, so that there is always one
 * more: its window ends all the same. With its grace it is over long before FLOOD_MOST pauses of a ms. */
static void test_flood_ends_with_the_window(void **state)
{
    (void)state;
    enum { FRAMES = 500, FLOOD_MOST = 5000, PAUSE_NS = 1000000 };
    const struct timespec pause = {0, PAUSE_NS};
    char directory[] = "/tmp/test_solver_XXXXXX";
    char frames[64], script[64], text[160];
    struct coupled_bid bids[4];
    struct coupled_problem problem = make_lumps(bids, 4);
    struct coupled_draft draft;
    static uint8_t flood[FRAME_ROOM];
    size_t size = 0;
    assert_non_null(prepare(&problem));
    coupled_draft_take(&draft, &problem, &arena);
    draft.den = 1;
    for (int i = 0; i < FRAMES; i++) {
        struct byte_writer writer;
        frame_write_head(flood + size, FRAME_SOLUTION, (uint32_t)frame_solution_bytes(&problem));
        byte_writer_init(&writer, flood + size + FRAME_HEAD_BYTES,
                         sizeof flood - size - FRAME_HEAD_BYTES);
        frame_write_solution(&writer, &problem, &draft);
        assert_false(writer.failed);
        size += FRAME_HEAD_BYTES + writer.size;
    }
    assert_non_null(mkdtemp(directory));
    (void)snprintf(frames, sizeof frames, "%s/frames", directory);
    (void)snprintf(script, sizeof script, "%s/flood", directory);
    (void)snprintf(text, sizeof text, "#!/bin/sh\nwhile cat %s; do :; done\n", frames);
    write_file(frames, flood, size, 0600);
    write_file(script, text, strlen(text), 0700);
    struct solver *solver = start(&problem, script, 100, 64);
    enum solver_event event = SOLVER_SOLUTION;
    int heard = 0;
    for (; event == SOLVER_SOLUTION && heard < FLOOD_MOST; heard++) {
        event = solver_wait(solver, &draft, PATIENCE_MS);
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(event, SOLVER_TIMED_OUT);
    assert_true(heard > 1);
    assert_int_equal(solver_process(solver), 0);
    solver_stop(solver);
    assert_int_equal(unlink(frames) + unlink(script) + rmdir(directory), 0);
}

/* GLPK aborts when its memory ends; that is its own affair. */
static void test_out_of_memory_stays_in_the_worker(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    struct coupled_bid *bids = calloc(COUNT, sizeof *bids);
    assert_non_null(bids);
    struct coupled_problem problem = make_lumps(bids, COUNT);
    uint8_t *room = malloc(coupled_arena_bytes(&problem));
    assert_non_null(room);
    struct clear_arena own = {room, coupled_arena_bytes(&problem), 0};
    struct coupled_draft draft;
    coupled_draft_take(&draft, &problem, &own);
    struct solver *solver = start(&problem, program, 2000, SOLVER_MEMORY_MB_MIN);
    enum solver_event event;
    do {
        event = solver_wait(solver, &draft, PATIENCE_MS);
    } while (event == SOLVER_SOLUTION);
    /* With room enough for a sanitizer, which lifts the limit, it ends as any other does. */
    assert_true(event == SOLVER_DIED || event == SOLVER_DONE || event == SOLVER_TIMED_OUT);
    solver_stop(solver);
    free(room);
    free(bids);
}

static void test_frames(void **state)
{
    (void)state;
    struct test_random random = {13};
    static uint8_t body[FRAME_ROOM], again[FRAME_ROOM];
    uint32_t read = 0, window;
    for (int turn = 0; turn < 300; turn++) {
        struct small_problem small;
        struct coupled_problem problem;
        struct byte_writer writer;
        void *tables = NULL;
        small_problem_draw(&small, &random, &everything);
        byte_writer_init(&writer, body, sizeof body);
        frame_write_problem(&writer, &small.problem, 77);
        size_t size = writer.size;
        assert_true(!writer.failed && size == frame_problem_bytes(&small.problem));
        assert_true(frame_read_problem(&problem, &tables, &window, body, size));
        assert_int_equal(window, 77);
        byte_writer_init(&writer, again, sizeof again);
        frame_write_problem(&writer, &problem, 77);
        assert_true(writer.size == size && memcmp(body, again, size) == 0);
        free(tables);
        for (size_t cut = 0; cut < size; cut++) {
            assert_false(frame_read_problem(&problem, &tables, &window, body, cut));
        }
        for (int flip = 0; flip < 200; flip++) {
            size_t at = (size_t)test_random_below(&random, size);
            uint8_t bit = (uint8_t)(1u << test_random_below(&random, 8));
            body[at] ^= bit;
            if (frame_read_problem(&problem, &tables, &window, body, size)) {
                (void)prepare(&problem); /* asserts its indexes */
                free(tables);
                read++;
            }
            body[at] ^= bit;
        }
    }
    assert_true(read > 100);
}

static void test_solution_frames(void **state)
{
    (void)state;
    struct test_random random = {14};
    static uint8_t body[FRAME_ROOM];
    struct small_problem small;
    small_problem_draw(&small, &random, &everything);
    assert_non_null(prepare(&small.problem));
    struct coupled_draft draft, copy;
    struct byte_writer writer;
    coupled_draft_take(&draft, &small.problem, &arena);
    coupled_draft_take(&copy, &small.problem, &arena);
    test_random_bytes(&random, draft.accepted, small.problem.bid_count * sizeof *draft.accepted);
    draft.den = -7;
    byte_writer_init(&writer, body, sizeof body);
    frame_write_solution(&writer, &small.problem, &draft);
    assert_true(writer.size == frame_solution_bytes(&small.problem));
    assert_false(frame_read_solution(&copy, &small.problem, body, writer.size - 1));
    assert_false(frame_read_solution(&copy, &small.problem, body, writer.size + 1));
    assert_true(frame_read_solution(&copy, &small.problem, body, writer.size));
    assert_int_equal(copy.den, -7);
    assert_memory_equal(copy.accepted, draft.accepted,
                        small.problem.bid_count * sizeof *draft.accepted);
    uint8_t head[FRAME_HEAD_BYTES], type;
    uint32_t size;
    frame_write_head(head, FRAME_SOLUTION, FRAME_BODY_BYTES_MAX);
    assert_true(frame_read_head(head, &type, &size) && size == FRAME_BODY_BYTES_MAX);
    for (int i = 0; i < 5; i++) {
        head[i] ^= 0x80;
        assert_false(frame_read_head(head, &type, &size));
        head[i] ^= 0x80;
    }
    frame_write_head(head, FRAME_SOLUTION, FRAME_BODY_BYTES_MAX + 1);
    assert_false(frame_read_head(head, &type, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reaches_brute_force),
        cmocka_unit_test(test_killed_at_any_moment),
        cmocka_unit_test(test_window_ends),
        cmocka_unit_test(test_workers_that_are_none),
        cmocka_unit_test(test_flood_ends_with_the_window),
        cmocka_unit_test(test_out_of_memory_stays_in_the_worker),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_solution_frames),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
