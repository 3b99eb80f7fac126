/* A load over time: a line of CSV every five seconds (tools/bench/bench.h). What a soak looks at
 * (bench/soak.py).
 *
 *   second, transactions a second, p50 and p99 in ms of what became final since the line before, anonymous
 *   and mapped memory in KiB and open descriptors of the validator that has most of each, bytes on disk
 *   and height of the first
 *
 * A transaction is looked at until it is final: those before `settled` are, and what is
 * on its way lies within the SPANS_MAX behind it, so a line costs the same however long the load is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/bench.h"

enum { SPANS_MAX = 1 << 20 };
static const uint64_t EVERY_NS = 5000000000U;

struct bench_series {
    FILE *file;
    struct bench_world *world;
    const struct bench_list *list;
    uint64_t began_ns;
    uint64_t last_ns;
    uint32_t settled; /* all before are final, and counted */
    uint64_t *spans;
};

struct bench_series *bench_series_open(struct bench_world *world, const struct bench_list *list,
                                       const char *path)
{
    struct bench_series *series = calloc(1, sizeof *series);
    if (series == NULL)
        return NULL;
    *series = (struct bench_series){.file = fopen(path, "we"),
                                    .world = world,
                                    .list = list,
                                    .began_ns = bench_now_ns(),
                                    .last_ns = bench_now_ns(),
                                    .spans = calloc(SPANS_MAX, sizeof series->spans[0])};
    if (series->file == NULL || series->spans == NULL) {
        bench_series_close(series);
        return NULL;
    }
    fputs("second,tx_per_s,p50_ms,p99_ms,anon_kb,mapped_kb,descriptors,disk_bytes,height\n",
          series->file);
    return series;
}

void bench_series_close(struct bench_series *series)
{
    if (series->file != NULL)
        (void)fclose(series->file);
    free(series->spans);
    free(series);
}

static int compare_u64(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Latencies of what became final after `from` and until `until`, in order. */
static uint32_t take_spans(struct bench_series *series, uint64_t from, uint64_t until)
{
    const struct bench_list *list = series->list;
    uint32_t count = 0;
    while (series->settled < list->count && list->items[series->settled].final_ns != 0 &&
           list->items[series->settled].final_ns <= from)
        series->settled++;
    for (uint32_t i = series->settled; i < list->count && count < SPANS_MAX; i++) {
        const struct bench_transaction *item = &list->items[i];
        if (i - series->settled == SPANS_MAX)
            break; /* lanes do not run that far apart */
        if (item->final_ns > from && item->final_ns <= until)
            series->spans[count++] = item->final_ns - item->posted_ns;
    }
    qsort(series->spans, count, sizeof series->spans[0], compare_u64);
    return count;
}

void bench_series_step(struct bench_series *series, uint64_t now)
{
    int64_t anon = 0;
    int64_t mapped = 0;
    if (now < series->last_ns + EVERY_NS)
        return;
    const uint32_t count = take_spans(series, series->last_ns, now);
    bench_sample_memory(series->world, &anon, &mapped);
    const uint32_t at99 = count > 0 ? count - 1 - count / 100 : 0;
    fprintf(series->file, "%.1f,%.1f,%.2f,%.2f,%lld,%lld,%u,%lld,%llu\n",
            (double)(now - series->began_ns) * 1e-9,
            count / ((double)(now - series->last_ns) * 1e-9),
            count > 0 ? (double)series->spans[count / 2] * 1e-6 : 0,
            count > 0 ? (double)series->spans[at99] * 1e-6 : 0, (long long)anon, (long long)mapped,
            bench_sample_descriptors(series->world), (long long)bench_sample_disk(series->world),
            (unsigned long long)series->world->height);
    fflush(series->file);
    series->last_ns = now;
}
