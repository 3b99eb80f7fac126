/* The worker's side of a solver: one problem in, better and better solutions out, then an end
 * (solver/frame.h; docs/spec/coupled.md 7). */
#ifndef FLEX_SOLVER_WORKER_H
#define FLEX_SOLVER_WORKER_H

/* Reads a problem from one descriptor and writes to the other until its window is over or there is
 * nothing left to better. Blocks. 0, or 1 if what it read is no problem or nobody listens. */
int worker_run(int input, int output);

#endif
