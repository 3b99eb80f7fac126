/* Every table's decoder: the first byte chooses the table, the rest is its encoding. */
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const size_t table = fuzz_take_u8(&source) % fuzz_table_count();
    fuzz_record_bytes(fuzz_table(table), fuzz_take_rest(&source));
    return 0;
}
