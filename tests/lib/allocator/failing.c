/* Allocations that fail on demand (failing.h).
 *
 * Nothing here allocates, and nothing is instrumented: these functions run before a sanitizer has its
 * shadow memory. Of an allocation that a thread makes while it is counted one fails at a time; what the
 * library then tries instead succeeds.
 *
 * Deliberately absent: aligned allocations, which none of the libraries here makes for a connection. */
#include "tests/lib/allocator/failing.h"

#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *memory, size_t size) __attribute__((weak));
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);

static const char *threads;
static char own_name[16]; /* of the thread that main() runs in, and of those that have just begun */
static _Atomic long countdown; /* of the allocations of those threads; 0: none fails */
static _Atomic bool armed;
static _Atomic bool reached;

/* Code of libraries that are spared. */
static struct {
    uintptr_t from, to;
    size_t from_size;
} spared[FAILING_SPARED_MAX];
static unsigned spared_count;
static _Thread_local bool paused;

#define UNWATCHED __attribute__((no_sanitize("address", "undefined", "thread")))

UNWATCHED static bool is_counted(void)
{
    static _Thread_local bool known;
    char name[16] = "";
    if (known)
        return true;
    if (prctl(PR_GET_NAME, name) == 0)
        known = threads == NULL ? strcmp(name, own_name) != 0
                                : strncmp(name, threads, strlen(threads)) == 0;
    return known;
}

UNWATCHED static bool is_spared(const void *caller, size_t size)
{
    const uintptr_t address = (uintptr_t)caller;
    for (unsigned i = 0; i < spared_count; i++) {
        if (address >= spared[i].from && address < spared[i].to && size >= spared[i].from_size)
            return true;
    }
    return false;
}

UNWATCHED static bool fails(const void *caller, size_t size)
{
    if (!atomic_load(&armed) || paused || !is_counted() || is_spared(caller, size) ||
        atomic_fetch_sub(&countdown, 1) != 1)
        return false;
    atomic_store(&reached, true);
    return true;
}

UNWATCHED void *malloc(size_t size)
{
    if (fails(__builtin_return_address(0), size))
        return NULL;
    return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

UNWATCHED void *calloc(size_t count, size_t size)
{
    if (fails(__builtin_return_address(0), count * size))
        return NULL;
    return __interceptor_calloc != NULL ? __interceptor_calloc(count, size)
                                        : __libc_calloc(count, size);
}

UNWATCHED void *realloc(void *memory, size_t size)
{
    if (fails(__builtin_return_address(0), size))
        return NULL;
    return __interceptor_realloc != NULL ? __interceptor_realloc(memory, size)
                                         : __libc_realloc(memory, size);
}

void failing_threads(const char *name_or_null)
{
    threads = name_or_null;
    (void)prctl(PR_GET_NAME, own_name);
}

struct wanted {
    const char *name;
    size_t from_size;
    bool found;
};

static int note_code(struct dl_phdr_info *library, size_t size, void *context)
{
    struct wanted *wanted = context;
    const char *slash = strrchr(library->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : library->dlpi_name;
    (void)size;
    if (strncmp(name, wanted->name, strlen(wanted->name)) != 0)
        return 0;
    for (unsigned i = 0; i < library->dlpi_phnum; i++) {
        const uintptr_t from = library->dlpi_addr + library->dlpi_phdr[i].p_vaddr;
        if (library->dlpi_phdr[i].p_type != PT_LOAD ||
            (library->dlpi_phdr[i].p_flags & PF_X) == 0 || spared_count == FAILING_SPARED_MAX)
            continue;
        spared[spared_count].from = from;
        spared[spared_count].from_size = wanted->from_size;
        spared[spared_count++].to = from + library->dlpi_phdr[i].p_memsz;
        wanted->found = true;
    }
    return 0;
}

bool failing_spare(const char *library, size_t from_size)
{
    struct wanted wanted = {library, from_size, false};
    (void)dl_iterate_phdr(note_code, &wanted);
    return wanted.found;
}

void failing_pause(void)
{
    paused = true;
}

void failing_resume(void)
{
    paused = false;
}

void failing_arm(long at)
{
    atomic_store(&reached, false);
    atomic_store(&countdown, at);
    atomic_store(&armed, true);
}

void failing_disarm(void)
{
    atomic_store(&armed, false);
}

bool failing_reached(void)
{
    return atomic_load(&reached);
}

bool failing_leaks(void)
{
    return __lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check() != 0;
}

size_t failing_bytes_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes != NULL
               ? __sanitizer_get_current_allocated_bytes()
               : 0;
}
