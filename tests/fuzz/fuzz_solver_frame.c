/* Frames between a program and its solver (solver/frame.h): up to the byte count in the first two
 * bytes a problem, then a solution of it. A problem that is read encodes to the same bytes; whatever
 * the solution says, the check comes back, and a floor passes it. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "solver/frame.h"
#include "tests/fuzz/lib/fuzz.h"

enum { ROOM = 65536 };

static void check_problem(const struct coupled_problem *problem, const uint8_t *rest, size_t size)
{
    struct coupled_fault refused;
    size_t bytes = coupled_arena_bytes(problem) + 2 * frame_solution_bytes(problem) + 1024;
    struct clear_arena arena = {malloc(bytes), bytes, 0};
    MUST(arena.bytes != NULL);
    const struct coupled_plan *plan = coupled_prepare(problem, &refused, &arena);
    if (plan != NULL) {
        struct coupled_draft draft, sent;
        struct coupled_claim claim;
        struct coupled_break broken;
        coupled_draft_take(&draft, problem, &arena);
        coupled_draft_take(&sent, problem, &arena);
        if (coupled_floor(&draft, &broken, plan, 0, &arena)) {
            struct coupled_solution floor = coupled_draft_view(&draft);
            MUST(coupled_check(&claim, &broken, plan, &floor, &arena) ||
                 broken.rule == COUPLED_OVERFLOW);
        }
        if (frame_read_solution(&sent, problem, rest, size)) {
            struct coupled_solution solution = coupled_draft_view(&sent);
            if (coupled_check(&claim, &broken, plan, &solution, &arena)) {
                struct coupled_settlement paid;
                MUST(claim.gap >= 0);
                (void)!coupled_settle(&paid, plan, &solution, &arena);
            }
        }
    }
    free(arena.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[ROOM];
    struct coupled_problem problem;
    struct byte_writer writer;
    void *tables = NULL;
    uint32_t window;
    size_t first = size < 2 ? 0 : (size_t)data[0] << 8 | data[1];
    if (size < 2 || first > size - 2 || first > ROOM) {
        return 0;
    }
    const uint8_t *rest = data + 2 + first;
    if (frame_read_problem(&problem, &tables, &window, data + 2, first)) {
        byte_writer_init(&writer, again, sizeof again);
        frame_write_problem(&writer, &problem, window);
        MUST(writer.size == first && memcmp(again, data + 2, first) == 0);
        check_problem(&problem, rest, size - 2 - first);
        free(tables);
    }
    return 0;
}
