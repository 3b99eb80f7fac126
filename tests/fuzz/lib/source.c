/* Bytes as choices, and bytes as a file (tests/fuzz/lib/fuzz.h). No choice fails: an input that is
 * used up goes on with zeros, so that every input means something. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fatal.h"
#include "crypto/hash.h"
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    MUST(crypto_init());
    return 0;
}

struct fuzz_source fuzz_source_of(const uint8_t *data, size_t size)
{
    return (struct fuzz_source){.data = data, .size = size};
}

bool fuzz_source_is_empty(const struct fuzz_source *source)
{
    return source->at == source->size;
}

uint8_t fuzz_take_u8(struct fuzz_source *source)
{
    return source->at < source->size ? source->data[source->at++] : 0;
}

uint64_t fuzz_take_u64(struct fuzz_source *source)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | fuzz_take_u8(source);
    return value;
}

void fuzz_take_bytes(struct fuzz_source *source, void *out, size_t size)
{
    const size_t left = source->size - source->at;
    const size_t taken = size < left ? size : left;
    memset(out, 0, size);
    if (taken > 0)
        memcpy(out, source->data + source->at, taken);
    source->at += taken;
}

struct bytes_view fuzz_take_rest(struct fuzz_source *source)
{
    const struct bytes_view rest =
        bytes_view_of(source->data + source->at, source->size - source->at);
    source->at = source->size;
    return rest;
}

const char *fuzz_file(struct bytes_view bytes)
{
    static int descriptor = -1;
    static char path[32];
    if (descriptor < 0) {
        descriptor = memfd_create("fuzz", MFD_CLOEXEC);
        MUST(descriptor >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    MUST(ftruncate(descriptor, 0) == 0);
    MUST(pwrite(descriptor, bytes.data, bytes.size, 0) == (ssize_t)bytes.size);
    return path;
}
