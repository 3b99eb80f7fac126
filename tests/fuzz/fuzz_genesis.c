/* genesis.json: what is accepted is legal, has a hash, and is accepted again from its own JSON with
 * the same hash. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/genesis.h"
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct genesis genesis, again;
    struct hash id, id_again;
    char problem[160] = "";
    if (!genesis_from_json(&genesis, (const char *)data, size, problem)) {
        MUST(problem[0] != '\0');
        return 0;
    }
    (void)genesis_problem(&genesis);
    MUST(genesis_hash(&id, &genesis));
    cJSON *object = genesis_to_json(&genesis);
    MUST(object != NULL);
    char *text = cJSON_PrintUnformatted(object);
    MUST(text != NULL && genesis_from_json(&again, text, strlen(text), problem));
    MUST(genesis_hash(&id_again, &again) && hash_equal(&id, &id_again));
    cJSON_free(text);
    cJSON_Delete(object);
    return 0;
}
