/* Coupled problems as text, and results of them (docs/spec/coupled.md 1 and 8): up to the first 0xff
 * the problem, after it a result. What is refused is refused in one line; what is cleared, by the
 * floor, passes its own verification; a result that passes says the same as one of ours. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/clear/coupled_text.h"

static void check_fault(const struct clear_text_fault *fault)
{
    MUST(fault->where[0] != '\0' && fault->what[0] != '\0');
    MUST(strchr(fault->what, '\n') == NULL);
}

static void clear_and_verify(const struct clear_text *text, const char *result, size_t size)
{
    struct clear_text_fault fault;
    size_t length = 0;
    char *json = coupled_text_run(text, 0, &length, &fault);
    if (json == NULL) {
        check_fault(&fault);
    } else {
        MUST(length > 0 && json[length - 1] == '\n');
        MUST(coupled_text_verify(text, json, length, &fault));
    }
    if (!coupled_text_verify(text, result, size, &fault)) {
        check_fault(&fault);
    }
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clear_text text;
    struct clear_text_fault fault;
    const uint8_t *cut = size == 0 ? NULL : memchr(data, 0xff, size);
    size_t first = cut == NULL ? size : (size_t)(cut - data);
    const char *rest = cut == NULL ? "" : (const char *)cut + 1;
    bool good = clear_text_read(&text, (const char *)data, first, &fault);
    if (!good) {
        check_fault(&fault);
    } else if (text.coupled != NULL) {
        clear_and_verify(&text, rest, cut == NULL ? 0 : size - first - 1);
    }
    clear_text_free(&text);
    return 0;
}
