/* What passes between a program and its solver: frames of a type, a length and a body
 * (docs/spec/coupled.md 7). Big-endian, strict: a wrong magic, type, length or count is no frame.
 *
 *   to the worker    PROBLEM   u32 window in ms, the problem's counts, then its tables
 *   from the worker  SOLUTION  den, accepted, flow, node, row, sum: as long as the problem says
 *                    END       u8: 0 done, 1 infeasible */
#ifndef FLEX_SOLVER_FRAME_H
#define FLEX_SOLVER_FRAME_H

#include "base/bytes.h"
#include "contracts/clear_coupled.h"

enum {
    FRAME_HEAD_BYTES = 9, /* u32 magic, u8 type, u32 length */
    /* The largest problem of the limits: 10^5 bids of 42 bytes, 10^6 coefficients of 12, 4 x 10^5
     * members of 4, lines, rows, links; solutions: 4 tables of 10^6 numbers. */
    FRAME_BODY_BYTES_MAX = 64 * 1024 * 1024
};
enum frame_type { FRAME_PROBLEM = 1, FRAME_SOLUTION = 2, FRAME_END = 3 };
enum frame_end { FRAME_END_DONE, FRAME_END_INFEASIBLE, FRAME_END_COUNT };

void frame_write_head(uint8_t head[FRAME_HEAD_BYTES], enum frame_type type, uint32_t size);
/* False if it is no head of a frame of `type` with at most FRAME_BODY_BYTES_MAX bytes. */
bool frame_read_head(const uint8_t head[FRAME_HEAD_BYTES], uint8_t *type, uint32_t *size);

size_t frame_problem_bytes(const struct coupled_problem *problem);
void frame_write_problem(struct byte_writer *out, const struct coupled_problem *problem,
                         uint32_t window_ms);
/* A problem with its tables in one allocation at `*tables`, the caller's to free. False on bytes
 * that are none: then nothing is allocated. What coupled_prepare asserts of indexes has been
 * checked; what it refuses has not. */
bool frame_read_problem(struct coupled_problem *out, void **tables, uint32_t *window_ms,
                        const uint8_t *body, size_t size);

size_t frame_solution_bytes(const struct coupled_problem *problem);
void frame_write_solution(struct byte_writer *out, const struct coupled_problem *problem,
                          const struct coupled_draft *draft);
/* Into room as coupled_draft_take gives it. False unless it is exactly as long as it must be. */
bool frame_read_solution(struct coupled_draft *out, const struct coupled_problem *problem,
                         const uint8_t *body, size_t size);

#endif
