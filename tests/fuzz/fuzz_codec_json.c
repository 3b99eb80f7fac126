/* Every table's reader of JSON: the first byte chooses the table, the rest is the text. */
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const size_t table = fuzz_take_u8(&source) % fuzz_table_count();
    fuzz_record_json(fuzz_table(table), fuzz_take_rest(&source));
    return 0;
}
