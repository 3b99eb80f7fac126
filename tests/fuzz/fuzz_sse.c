/* Server-sent events (tools/watch.h): cutting the bytes elsewhere changes nothing that is read, and every event
 * is a text of the length that is told. The first byte says where to cut. */
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/watch.h"

/* What was read, in short. */
struct seen {
    uint64_t count;
    uint64_t sum;
};

static bool see(void *context, uint64_t id, const char *data, size_t size)
{
    struct seen *seen = context;
    MUST(strlen(data) == size);
    seen->count++;
    seen->sum = seen->sum * 31 + id;
    for (size_t i = 0; i < size; i++)
        seen->sum = seen->sum * 31 + (uint8_t)data[i];
    return seen->count < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const size_t step = (size_t)fuzz_take_u8(&source) + 1;
    const struct bytes_view rest = fuzz_take_rest(&source);
    const char *text = rest.size > 0 ? (const char *)rest.data : "";
    struct sse_reader whole = {0}, cut = {0};
    struct seen of_whole = {0}, of_cut = {0};
    const bool ok = sse_feed(&whole, text, rest.size, see, &of_whole);
    bool also = true;
    for (size_t at = 0; at < rest.size && also; at += step)
        also =
            sse_feed(&cut, text + at, rest.size - at < step ? rest.size - at : step, see, &of_cut);
    MUST(ok == also && of_whole.count == of_cut.count && of_whole.sum == of_cut.sum);
    sse_release(&whole);
    sse_release(&cut);
    return 0;
}
