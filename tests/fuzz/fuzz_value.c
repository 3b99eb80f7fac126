/* What people write on a command line (tools/value.h): what is printed is read back as the same
 * number. The first byte chooses the form. */
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const uint8_t what = fuzz_take_u8(&source) % 4;
    char text[128], printed[VALUE_TEXT_SIZE];
    const struct bytes_view rest = fuzz_take_rest(&source);
    const size_t length = rest.size < sizeof text ? rest.size : sizeof text - 1;
    memset(text, 0, sizeof text);
    memcpy(text, rest.data, length);
    int64_t value, again;
    if (what < 2 && value_eur(&value, text, what == 1))
        MUST(value_eur(&again, value_eur_text(printed, value), false) && again == value);
    else if (what == 2 && value_time(&value, text))
        MUST(value_time(&again, value_time_text(printed, value)) && again == value);
    else if (what == 3 && value_duration(&value, text))
        MUST(value >= 0 && value_duration(&again, value_duration_text(printed, value)) &&
             again == value);
    return 0;
}
