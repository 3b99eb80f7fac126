/* One load from the first transaction to the last receipt (tools/bench/bench.h).
 *
 * A rate counts what became final between the end of the first tenth of the time and its end: the first
 * blocks fill empty pipelines, and after the end nothing new comes in. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/bench/bench.h"

enum { STEP_NS = 1000000, PATIENCE_S = 30, MEMORY_EVERY_NS = 500000000 };

static volatile sig_atomic_t interrupted;

void bench_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

struct progress {
    uint32_t final;
    uint64_t last_ns; /* when something last became final */
    uint64_t memory_ns;
    struct bench_series *series; /* NULL: nobody asks */
};

static void count(const struct bench_list *list, struct bench_run *out)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct bench_transaction *item = &list->items[i];
        if (item->final_ns == 0)
            out->unfinished += item->posted_ns != 0 && !item->refused;
        else if (item->status != CONTRACT_OK)
            out->final_failed++;
        else
            out->final_ok++;
    }
}

static void watch_memory(struct bench_world *world, struct bench_run *out, struct progress *at,
                         uint64_t now)
{
    int64_t anon = 0;
    int64_t mapped = 0;
    if (now < at->memory_ns + MEMORY_EVERY_NS)
        return;
    at->memory_ns = now;
    bench_sample_memory(world, &anon, &mapped);
    out->anon_kb_max = anon > out->anon_kb_max ? anon : out->anon_kb_max;
    out->mapped_kb_max = mapped > out->mapped_kb_max ? mapped : out->mapped_kb_max;
}

/* False: the end of the load, or a fault that `out->problem` tells. */
static bool step(struct bench_world *world, struct bench_list *list, struct bench_poster *poster,
                 struct bench_watch *watch, struct bench_run *out, struct progress *at)
{
    int found = bench_watch_step(watch, list, out->problem);
    const uint64_t now = bench_now_ns();
    if (found < 0)
        return false;
    if (found > 0) {
        at->final += (uint32_t)found;
        at->last_ns = now;
        bench_post_final(poster, at->final);
    }
    watch_memory(world, out, at, now);
    if (at->series != NULL)
        bench_series_step(at->series, now);
    if (interrupted != 0) {
        snprintf(out->problem, sizeof out->problem, "interrupted");
        return false;
    }
    if (bench_post_ended(poster)) {
        struct bench_run seen = {0};
        count(list, &seen);
        if (seen.unfinished == 0 || now > at->last_ns + PATIENCE_S * 1000000000ULL)
            return false;
    } else if (now > at->last_ns + PATIENCE_S * 1000000000ULL) {
        snprintf(out->problem, sizeof out->problem, "nothing became final for %d s", PATIENCE_S);
        return false;
    }
    if (found == 0) {
        const struct timespec pause = {.tv_nsec = STEP_NS};
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

int bench_run(struct bench_world *world, struct bench_list *list, uint32_t seconds, uint32_t rate,
              struct bench_run *out)
{
    struct progress at = {.last_ns = bench_now_ns()};
    const char *series = world->options->series;
    memset(out, 0, sizeof *out);
    if (series != NULL && seconds != 0) {
        at.series = bench_series_open(world, list, series);
        if (at.series == NULL)
            return cli_fail(world->cli, CLI_USAGE, "unwritable", "%s is not written", series);
    }
    struct bench_watch *watch = bench_watch_open(world);
    struct bench_poster *poster =
        watch != NULL ? bench_post_begin(world, list, seconds, rate) : NULL;
    if (poster == NULL) {
        if (watch != NULL)
            bench_watch_close(watch);
        if (at.series != NULL)
            bench_series_close(at.series);
        return cli_fail(world->cli, CLI_NO_NODE, "no_node", "a validator takes no connections");
    }
    while (step(world, list, poster, watch, out, &at))
        continue;
    bench_post_stop(poster);
    bench_post_end(poster, out);
    bench_watch_close(watch);
    if (at.series != NULL)
        bench_series_close(at.series);
    out->until_ns = seconds != 0 ? out->from_ns + seconds * 1000000000ULL : at.last_ns;
    out->count_from_ns = out->from_ns + (out->until_ns - out->from_ns) / 10;
    out->count_until_ns = out->until_ns;
    count(list, out);
    return out->problem[0] == '\0'
               ? CLI_DONE
               : cli_fail(world->cli, CLI_NO_NODE, "load_broken", "%s", out->problem);
}
