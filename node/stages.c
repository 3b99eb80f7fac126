/* Processor time by stage (node/stages.h).
 *
 * Invariant: stages do not lie in each other, so no time is counted twice; what is left of the process's
 * time is "other": HTTP, links, consensus messages, snapshots.
 *
 * Deliberately absent: wall time. What a thread waits for is not work, and is seen as idle processors. */
#include "node/stages.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/fatal.h"

static const char *const stage_names[STAGE_COUNT] = {
    [STAGE_VERIFY] = "verify",   [STAGE_ADMIT] = "admit",   [STAGE_PROPOSE] = "propose",
    [STAGE_EXECUTE] = "execute", [STAGE_COMMIT] = "commit", [STAGE_JOURNAL] = "journal",
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    MUST(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t stage_now_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void stage_add(struct node_stages *stages, enum stage stage, uint64_t from_ns)
{
    MUST(stage < STAGE_COUNT);
    atomic_fetch_add_explicit(&stages->ns[stage], stage_now_ns() - from_ns, memory_order_relaxed);
}

static void print_one(char out[STAGES_TEXT_BYTES], size_t *size, const char *name, uint64_t ns)
{
    const int written = snprintf(out + *size, STAGES_TEXT_BYTES - *size,
                                 "flexd_stage_us{stage=\"%s\"} %" PRIu64 "\n", name, ns / 1000);
    MUST(written > 0 && (size_t)written < STAGES_TEXT_BYTES - *size);
    *size += (size_t)written;
}

size_t stages_print(const struct node_stages *stages, char out[STAGES_TEXT_BYTES])
{
    uint64_t claimed = 0;
    int head = snprintf(out, STAGES_TEXT_BYTES,
                        "# HELP flexd_stage_us Processor time by stage, in microseconds\n"
                        "# TYPE flexd_stage_us counter\n");
    MUST(head > 0 && head < STAGES_TEXT_BYTES);
    size_t size = (size_t)head;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        const uint64_t ns = atomic_load_explicit(&stages->ns[stage], memory_order_relaxed);
        claimed += ns;
        print_one(out, &size, stage_names[stage], ns);
    }
    /* Read after the stages, so that it is never less than they are together. */
    print_one(out, &size, "other", clock_ns(CLOCK_PROCESS_CPUTIME_ID) - claimed);
    return size;
}
