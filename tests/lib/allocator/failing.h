/* An allocator that fails on demand: for programs that let the n-th allocation of some of their threads
 * fail. Linked into the tests that name it in tests/targets.mk, and into no other program: its malloc,
 * calloc and realloc stand in front of the C library's, or a sanitizer's, so that libraries below use
 * them as well. */
#ifndef FLEX_TESTS_LIB_ALLOCATOR_FAILING_H
#define FLEX_TESTS_LIB_ALLOCATOR_FAILING_H

#include <stdbool.h>
#include <stddef.h>

enum { FAILING_SPARED_MAX = 8 };

/* Whose allocations count and fail: of threads whose name begins so, or, with NULL, of all that have a name of
 * their own. To be called by main(), before the first failing_arm; the text must live on. */
void failing_threads(const char *name_or_null);
/* Allocations of `from_size` bytes and more that this shared library makes itself don't count: for one that is
 * known to take the process along. By the beginning of the file's name, at most FAILING_SPARED_MAX parts of
 * code in all. False if it is not loaded. */
bool failing_spare(const char *library, size_t from_size);
/* The calling thread's allocations don't count until failing_resume. */
void failing_pause(void);
void failing_resume(void);
/* From here on the `at`-th allocation of those threads fails, and no other. */
void failing_arm(long at);
void failing_disarm(void);
/* Whether that allocation was reached since failing_arm. */
bool failing_reached(void);
/* Under a sanitizer that finds leaks: true if there are any, which it has then written to stderr. */
bool failing_leaks(void);
/* Bytes of the heap that are in use, as far as a sanitizer counts them; without one, 0. */
size_t failing_bytes_in_use(void);

#endif
