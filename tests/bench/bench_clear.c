/* How clearing compares with sorting on the same machine: ratios, which mean the same everywhere.
 *
 * Prints one line per figure; fails only if a ratio is over its bound, never on an absolute time.
 * 1. Merit order of 100,000 bids against qsort of the same keys: at most 5.
 * 2. Exact Shapley of 16 agents with 10 bids each against 2^16 merit-order scans' worth of memory
 *    walks, given as nanoseconds per coalition and bid. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "contracts/clear_pay.h"
#include "tests/lib/random.h"

enum { BIDS = 100000, ROUNDS = 5, SHAPLEY_AGENTS = 16, SHAPLEY_BIDS = 160 };

struct key {
    int64_t price;
    uint32_t place;
};

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left;
    const struct key *b = right;
    if (a->price != b->price) {
        return a->price < b->price ? -1 : 1;
    }
    return (a->place > b->place) - (a->place < b->place);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct clear_bid *make_bids(uint32_t count, uint32_t agents)
{
    struct test_random random = {7};
    struct clear_bid *bids = calloc(count, sizeof *bids);
    for (uint32_t i = 0; bids != NULL && i < count; i++) {
        bids[i].quantity = 1 + (int64_t)test_random_below(&random, 1000000);
        bids[i].price = (int64_t)test_random_below(&random, 1000000);
        bids[i].agent = (uint32_t)test_random_below(&random, agents);
        bids[i].buy = test_random_below(&random, 2) == 0;
        bids[i].node = CLEAR_NODE_NONE;
    }
    return bids;
}

/* The best of some rounds: what the machine can do when nobody disturbs it. */
static double time_clear(const struct clear_problem *problem, struct clear_arena *arena,
                         bool shapley)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        struct clear_result result;
        struct clear_payment_result paid;
        arena->used = 0;
        double start = now();
        bool good =
            clear_run(&result, problem, arena) &&
            (!shapley || clear_pay(&paid, problem, &result, CLEAR_PAY_SHAPLEY, NULL, arena));
        double took = now() - start;
        best = good && took < best ? took : best;
    }
    return best;
}

static double time_sort(const struct clear_bid *bids, struct key *keys)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < BIDS; i++) {
            keys[i] = (struct key){bids[i].price, i};
        }
        double start = now();
        qsort(keys, BIDS, sizeof *keys, compare_keys);
        double took = now() - start;
        best = took < best ? took : best;
    }
    return best;
}

int main(void)
{
    struct clear_problem problem = {.mechanism = CLEAR_MERIT_ORDER, .slot_count = 1};
    problem.bid_count = BIDS;
    problem.agent_count = 1000;
    struct clear_bid *bids = make_bids(BIDS, problem.agent_count);
    struct clear_bid *few = make_bids(SHAPLEY_BIDS, SHAPLEY_AGENTS);
    struct key *keys = malloc(BIDS * sizeof *keys);
    struct clear_arena arena = {.size = clear_arena_bytes(&problem)};
    arena.bytes = malloc(arena.size);
    if (bids == NULL || few == NULL || keys == NULL || arena.bytes == NULL) {
        fprintf(stderr, "bench_clear: out of memory\n");
        return 1;
    }
    problem.bids = bids;
    double sort = time_sort(bids, keys);
    double clear = time_clear(&problem, &arena, false);
    printf("clear: merit order of %d bids / qsort of their keys = %.2f (at most 5)\n", BIDS,
           clear / sort);
    problem.bids = few;
    problem.bid_count = SHAPLEY_BIDS;
    problem.agent_count = SHAPLEY_AGENTS;
    double shapley = time_clear(&problem, &arena, true);
    printf("clear: exact Shapley, %d agents, %d bids / that merit order = %.2f (%.2f s)\n",
           SHAPLEY_AGENTS, SHAPLEY_BIDS, shapley / clear, shapley);
    free(bids);
    free(few);
    free(keys);
    free(arena.bytes);
    return clear <= 5 * sort ? 0 : 1;
}
