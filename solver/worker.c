/* The worker (solver/worker.h). In this order, each as far as the window lets it: the floor; the
 * relaxation, for multipliers and a first rounding; branch and bound over what is yes or no; prices
 * around its result; branch and bound in whole numbers, where rounding lost something. Before the
 * branching, where bids are linked, columns: the multipliers with the least bound, and a search.
 *
 * Quantities and multipliers are bettered apart, since any multipliers bound all quantities: what is
 * sent is always the best of both so far, and it has passed coupled_check here already. */
#include "solver/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fatal.h"
#include "solver/columns.h"
#include "solver/frame.h"
#include "solver/model.h"
#include "solver/relax.h"
#include "solver/rounding.h"

enum {
    WORKER_TIGHTENINGS = 3,
    WORKER_RELAXATIONS = 12, /* around what the last one found */
    WORKER_FRUITLESS = 3,    /* so many in a row that better nothing are enough */
    WORKER_POINTS = 2000,    /* at which sets are asked for columns */
    WORKER_POINT_DEN = 1000,
    WORKER_COLUMN_SHARE = 3 /* of the time left, for the mixture; as much of the rest searches it */
};

struct worker {
    int output;
    bool deaf; /* nobody reads any more */
    int64_t end_ms;
    const struct coupled_problem *problem;
    const struct coupled_plan *plan;
    struct clear_arena arena;
    struct coupled_draft best; /* quantities and multipliers, each the best so far */
    struct coupled_draft trial;
    bool has_quantities;
    bool has_bound;
    int128 welfare;
    int128 bound;
    struct model *model;
    struct relax *relax;
    struct columns *columns;
    uint8_t *frame;
    size_t frame_size;
};

static int64_t now_ms(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0) {
        fatal_system("clock_gettime", errno);
    }
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int time_left(const struct worker *worker)
{
    int64_t left = worker->end_ms - now_ms();
    return left > 0 ? (int)left : 0;
}

static bool read_whole(int input, uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = read(input, bytes + at, size - at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

static bool write_whole(int output, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t put = write(output, bytes + at, size - at);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        at += (size_t)put;
    }
    return true;
}

static void send_frame(struct worker *worker, enum frame_type type, size_t body)
{
    frame_write_head(worker->frame, type, (uint32_t)body);
    worker->deaf =
        worker->deaf || !write_whole(worker->output, worker->frame, FRAME_HEAD_BYTES + body);
}

/* No gap, no reader or no time: nothing is left to do. */
static bool finished(const struct worker *worker)
{
    bool closed = worker->has_quantities && worker->has_bound && worker->bound == worker->welfare;
    return closed || worker->deaf || time_left(worker) == 0;
}

static void send_best(struct worker *worker)
{
    if (!worker->has_quantities || !worker->has_bound) {
        return;
    }
    struct byte_writer writer;
    byte_writer_init(&writer, worker->frame + FRAME_HEAD_BYTES,
                     worker->frame_size - FRAME_HEAD_BYTES);
    frame_write_solution(&writer, worker->problem, &worker->best);
    MUST(!writer.failed);
    send_frame(worker, FRAME_SOLUTION, writer.size);
}

static void copy(int64_t *to, const int64_t *from, size_t count)
{
    memcpy(to, from, count * sizeof *to);
}

static void copy_multipliers(struct coupled_draft *to, const struct coupled_draft *from,
                             const struct coupled_problem *problem)
{
    to->den = from->den;
    copy(to->node, from->node, (size_t)problem->slot_count * problem->place_count);
    copy(to->row, from->row, (size_t)problem->slot_count * problem->row_count);
    copy(to->sum, from->sum, problem->link_count);
}

/* Takes the trial's quantities if they keep all rules and are worth more. */
static bool offer_quantities(struct worker *worker)
{
    struct coupled_claim claim;
    struct coupled_break broken;
    struct coupled_solution solution = coupled_draft_view(&worker->trial);
    if (!coupled_check_quantities(&claim, &broken, worker->plan, &solution, &worker->arena)) {
        return false;
    }
    if (!worker->has_quantities || claim.welfare > worker->welfare) {
        copy(worker->best.accepted, worker->trial.accepted, worker->problem->bid_count);
        copy(worker->best.flow, worker->trial.flow,
             (size_t)worker->problem->slot_count * worker->problem->line_count);
        worker->welfare = claim.welfare;
        worker->has_quantities = true;
        send_best(worker);
    }
    return true;
}

static void offer_multipliers(struct worker *worker)
{
    struct coupled_claim claim;
    struct coupled_break broken;
    struct coupled_solution solution = coupled_draft_view(&worker->trial);
    const struct coupled_problem *problem = worker->problem;
    if (coupled_check_bound(&claim, &broken, worker->plan, &solution, &worker->arena) &&
        (!worker->has_bound || claim.bound < worker->bound)) {
        copy_multipliers(&worker->best, &worker->trial, problem);
        worker->bound = claim.bound;
        worker->has_bound = true;
        send_best(worker);
    }
}

/* Multipliers of the last relaxation, over some denominators. */
static void offer_prices(struct worker *worker)
{
    int64_t shown = model_denominator(worker->model, 1000000);
    const int64_t dens[] = {1, shown, 2, 1000, 1000000};
    for (size_t i = 0; i < sizeof dens / sizeof dens[0] && !finished(worker); i++) {
        if (model_multipliers(worker->model, &worker->trial, dens[i])) {
            offer_multipliers(worker);
        }
    }
}

/* Makes the trial's quantities keep the rules, betters and offers them. False if nothing came of
 * it. */
static bool offer_mended(struct worker *worker)
{
    bool good = offer_quantities(worker);
    if (!good) {
        rounding_keep_links(&worker->trial, worker->plan);
    }
    if (!good && coupled_repair(&worker->trial, worker->plan, &worker->arena)) {
        good = offer_quantities(worker);
    }
    if (good) {
        coupled_polish(&worker->trial, worker->plan, &worker->arena);
        MUST(offer_quantities(worker));
    }
    return good;
}

/* Rounds what the model has at hand to whole numbers. False if nothing came of it. */
static bool offer_rounded(struct worker *worker)
{
    bool any = false;
    for (int down = 0; down < 2; down++) {
        model_quantities(worker->model, &worker->trial, down == 1);
        any = offer_mended(worker) || any;
    }
    return any;
}

/* Relaxations by the network method, each around the multipliers that the one before it found. */
static void relax_around(struct worker *worker)
{
    const struct coupled_problem *problem = worker->problem;
    copy_multipliers(&worker->trial, &worker->best, problem);
    int fruitless = 0;
    for (int round = 0; round < WORKER_RELAXATIONS && fruitless < WORKER_FRUITLESS; round++) {
        int128 welfare = worker->welfare, bound = worker->bound;
        if (finished(worker) || !relax_solve(worker->relax, &worker->trial)) {
            return;
        }
        offer_multipliers(worker);
        rounding_drop_fractions(&worker->trial, problem);
        (void)offer_mended(worker);
        bool better = worker->welfare > welfare || worker->bound < bound;
        fruitless = better ? 0 : fruitless + 1;
    }
}

static bool on_better_columns(void *context)
{
    struct worker *worker = context;
    columns_quantities(worker->columns, &worker->trial);
    (void)offer_mended(worker);
    return finished(worker);
}

/* Multipliers with the least bound that they can prove for linked sets, or near to it. */
static void mix_columns(struct worker *worker, int64_t end_ms)
{
    double weight = 0.5;
    for (int point = 0; point < WORKER_POINTS && !finished(worker) && now_ms() < end_ms; point++) {
        int128 bound = worker->bound;
        if (!columns_relax(worker->columns, (int)(end_ms - now_ms())) ||
            !columns_point(worker->columns, &worker->trial, weight, WORKER_POINT_DEN)) {
            return;
        }
        offer_multipliers(worker);
        if (worker->bound < bound) {
            columns_keep(worker->columns);
        }
        if (columns_add_best(worker->columns, &worker->trial) > 0) {
            weight = 0.5;
        } else if (weight > 0) {
            weight = 0; /* nothing new between; is there at the mixture's own? */
        } else {
            return;
        }
    }
}

/* Columns of linked sets: multipliers from their mixture, quantities from a search over them. */
static void work_with_columns(struct worker *worker)
{
    if (finished(worker) || !worker->has_quantities || !worker->has_bound) {
        return;
    }
    worker->columns = columns_create(worker->problem, worker->plan);
    if (worker->columns == NULL) {
        return;
    }
    columns_add_quantities(worker->columns, &worker->best);
    mix_columns(worker, now_ms() + time_left(worker) / WORKER_COLUMN_SHARE);
    int time_ms = time_left(worker) / WORKER_COLUMN_SHARE;
    if (!finished(worker) && columns_relax(worker->columns, time_ms)) {
        (void)on_better_columns(worker);
        if (columns_search(worker->columns, time_ms, on_better_columns, worker)) {
            (void)on_better_columns(worker);
        }
    }
}

static bool on_better(void *context)
{
    struct worker *worker = context;
    (void)offer_rounded(worker);
    return finished(worker);
}

/* Rows may be broken by rounding: once more with a margin, a little larger each time. */
static void relax_with_margin(struct worker *worker)
{
    bool good = offer_rounded(worker);
    for (int units = 1; units <= WORKER_TIGHTENINGS && !good && worker->problem->row_count > 0;
         units++) {
        model_tighten(worker->model, units);
        if (model_relax(worker->model, time_left(worker)) != MODEL_OPTIMAL) {
            break;
        }
        good = offer_rounded(worker);
    }
    model_tighten(worker->model, 0);
}

static void hold_and_price(struct worker *worker)
{
    model_hold(worker->model, true);
    if (model_relax(worker->model, time_left(worker)) == MODEL_OPTIMAL) {
        offer_prices(worker);
        relax_with_margin(worker);
    }
    model_hold(worker->model, false);
}

/* Is the best that we have as good as what the last search says, but for rounding? */
static bool search_reached(const struct worker *worker)
{
    double best = (double)worker->welfare;
    double margin = (best < 0 ? -best : best) * 1e-12 + 0.5;
    return worker->has_quantities && model_objective(worker->model) <= best + margin;
}

static enum frame_end solve(struct worker *worker)
{
    enum model_result result = model_relax(worker->model, time_left(worker));
    if (result == MODEL_INFEASIBLE) {
        return worker->has_quantities ? FRAME_END_DONE : FRAME_END_INFEASIBLE;
    }
    if (result != MODEL_OPTIMAL) {
        return FRAME_END_DONE;
    }
    offer_prices(worker);
    relax_with_margin(worker);
    if (finished(worker)) {
        return FRAME_END_DONE;
    }
    if (model_relax(worker->model, time_left(worker)) != MODEL_OPTIMAL) {
        return FRAME_END_DONE;
    }
    model_refine(worker->model);
    offer_prices(worker);
    if (worker->relax != NULL && worker->has_bound) {
        relax_around(worker);
    }
    work_with_columns(worker);
    for (int whole = 0; whole < 2 && !finished(worker); whole++) {
        if (model_relax(worker->model, time_left(worker)) != MODEL_OPTIMAL) {
            break;
        }
        result = model_search(worker->model, whole == 1, time_left(worker), on_better, worker);
        if (result == MODEL_INFEASIBLE && !worker->has_quantities) {
            return FRAME_END_INFEASIBLE;
        }
        if (result != MODEL_OPTIMAL && result != MODEL_FEASIBLE) {
            continue;
        }
        (void)offer_rounded(worker);
        bool reached = result == MODEL_OPTIMAL && search_reached(worker);
        if (whole == 0 && !finished(worker)) {
            hold_and_price(worker);
        }
        if (reached) {
            break;
        }
    }
    return FRAME_END_DONE;
}

static bool take_room(struct worker *worker, size_t frame)
{
    worker->arena.size = coupled_arena_bytes(worker->problem) + 2 * frame;
    worker->arena.bytes = malloc(worker->arena.size);
    worker->frame_size = FRAME_HEAD_BYTES + frame;
    worker->frame = malloc(worker->frame_size);
    return worker->arena.bytes != NULL && worker->frame != NULL;
}

static void work(struct worker *worker)
{
    struct coupled_fault fault;
    struct coupled_break broken;
    worker->plan = coupled_prepare(worker->problem, &fault, &worker->arena);
    enum frame_end end = FRAME_END_DONE;
    if (worker->plan != NULL) {
        coupled_draft_take(&worker->best, worker->problem, &worker->arena);
        coupled_draft_take(&worker->trial, worker->problem, &worker->arena);
        if (coupled_floor(&worker->trial, &broken, worker->plan, 0, &worker->arena)) {
            offer_multipliers(worker);
            MUST(offer_quantities(worker));
        }
        worker->relax = finished(worker) ? NULL : relax_create(worker->problem, worker->plan);
        if (worker->relax != NULL && worker->has_bound) {
            relax_around(worker);
        }
        worker->model = finished(worker) ? NULL : model_create(worker->problem, worker->plan);
        if (worker->model != NULL) {
            end = solve(worker);
        }
    }
    worker->frame[FRAME_HEAD_BYTES] = (uint8_t)end;
    send_frame(worker, FRAME_END, 1);
}

int worker_run(int input, int output)
{
    uint8_t head[FRAME_HEAD_BYTES];
    uint8_t type;
    uint32_t size, window_ms;
    if (!read_whole(input, head, sizeof head) || !frame_read_head(head, &type, &size) ||
        type != FRAME_PROBLEM) {
        return 1;
    }
    int64_t start = now_ms();
    uint8_t *body = malloc((size_t)size + 1);
    struct coupled_problem problem;
    void *tables = NULL;
    bool good = body != NULL && read_whole(input, body, size) &&
                frame_read_problem(&problem, &tables, &window_ms, body, size);
    free(body);
    if (!good) {
        return 1;
    }
    struct worker worker = {.output = output, .problem = &problem, .end_ms = start + window_ms};
    if (take_room(&worker, frame_solution_bytes(&problem) + 1)) {
        work(&worker);
    }
    bool deaf = worker.deaf;
    model_free(worker.model);
    relax_free(worker.relax);
    columns_free(worker.columns);
    free(worker.arena.bytes);
    free(worker.frame);
    free(tables);
    return deaf ? 1 : 0;
}
