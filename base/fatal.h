/* Our own bugs stop the process, in release builds too (house rule 21): a ledger node that goes on
 * after a broken invariant is worse than one that is down. */
#ifndef FLEX_BASE_FATAL_H
#define FLEX_BASE_FATAL_H

#define MUST(condition)                                                                            \
    ((condition) ? (void)0 : fatal_assertion(#condition, __FILE__, __LINE__, __func__))

/* Prints where and what, then aborts. */
_Noreturn void fatal_assertion(const char *condition, const char *file, int line,
                               const char *function);
/* For faults of the environment that must stop the node (a failed sync): prints and aborts. */
_Noreturn void fatal_environment(const char *what) __attribute__((cold));
/* The same with the reason that the system gave, an errno. */
_Noreturn void fatal_system(const char *what, int code) __attribute__((cold));

#endif
