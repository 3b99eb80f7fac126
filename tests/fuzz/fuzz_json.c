/* The strict JSON reader (docs/adr/0006; fault scenario 66): what it takes, it takes again when it is
 * printed, and means the same; nothing that it takes holds a number with a fraction. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[JSON_PROBLEM_SIZE] = "";
    cJSON *value = json_parse_strict((const char *)data, size, problem);
    MUST((value == NULL) == (problem[0] != '\0'));
    if (value == NULL)
        return 0;
    char *text = cJSON_PrintUnformatted(value);
    MUST(text != NULL);
    cJSON *again = json_parse_strict(text, strlen(text), problem);
    MUST(again != NULL && cJSON_Compare(value, again, 1));
    char *text_again = cJSON_PrintUnformatted(again);
    MUST(text_again != NULL && strcmp(text, text_again) == 0);
    cJSON_free(text_again);
    cJSON_Delete(again);
    cJSON_free(text);
    cJSON_Delete(value);
    return 0;
}
