/* flexsolve MEMORY_MB CPU_SECONDS: the solver of coupled auctions as a process of its own
 * (solver/solver.h). Started by the programs that want a solution, with a socket as its standard
 * input and output; of no use by hand.
 *
 * It limits itself before it reads a byte: memory, processor time, no files, no core dumps; and it
 * ends with the program that started it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "solver/worker.h"

enum { EXIT_USAGE = 2, NICENESS = 15 };

static bool limit(int resource, uint64_t value)
{
    struct rlimit room = {(rlim_t)value, (rlim_t)value};
    return setrlimit((__rlimit_resource_t)resource, &room) == 0;
}

/* The sanitizers' own shadow needs terabytes of address space. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LIMITS_MEMORY = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { LIMITS_MEMORY = 0 };
#else
enum { LIMITS_MEMORY = 1 };
#endif
#else
enum { LIMITS_MEMORY = 1 };
#endif

int main(int argc, char **argv)
{
    uint64_t memory_mb, seconds;
    if (argc != 3 || !uint64_from_text(&memory_mb, argv[1]) || memory_mb > 1024 * 1024 ||
        !uint64_from_text(&seconds, argv[2]) || isatty(0) != 0) {
        fputs("flexsolve MEMORY_MB CPU_SECONDS: started by flexclear and flexd, not by hand\n",
              stderr);
        return EXIT_USAGE;
    }
    bool good = limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_CPU, seconds) &&
                (LIMITS_MEMORY == 0 || limit(RLIMIT_AS, memory_mb << 20)) &&
                prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR;
    /* Whatever else the machine does is more urgent; where that is refused, it runs all the same. */
    if (nice(NICENESS) == -1)
        errno = 0;
    return good ? worker_run(STDIN_FILENO, STDOUT_FILENO) : EXIT_FAILURE;
}
