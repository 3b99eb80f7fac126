/* The headers of signed requests (node/read_request.h; docs/spec/api.md, "Signed requests"): what is
 * accepted is what is printed, byte for byte, as a request or as a challenge and never as both; nothing
 * that a fuzzer makes up verifies; and the guard takes nothing twice. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/read_guard.h"
#include "tests/fuzz/lib/fuzz.h"

static void check_request(const char *text, const struct read_request *request)
{
    static const struct hash genesis = {{1}};
    static const struct public_key node = {{2}};
    const struct read_target target = {&genesis, &node, "GET", "/v1/deals", {NULL, 0}};
    char again[READ_REQUEST_TEXT_SIZE];
    read_request_print(again, request);
    MUST(strcmp(text, again) == 0);
    MUST(!read_request_verify(request, &target));
    struct read_guard *guard = read_guard_create(request->time_ms);
    MUST(guard != NULL);
    MUST(read_guard_take(guard, request, request->time_ms) == READ_GUARD_NEW);
    MUST(read_guard_take(guard, request, request->time_ms) == READ_GUARD_REPLAYED);
    read_guard_destroy(guard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct read_request request;
    struct read_challenge challenge;
    char again[READ_REQUEST_TEXT_SIZE];
    char *text = malloc(size + 1);
    MUST(text != NULL && crypto_init());
    memcpy(text, data, size);
    text[size] = '\0';
    const bool is_request = read_request_parse(&request, text);
    const bool is_challenge = read_challenge_parse(&challenge, text);
    MUST(!is_request || !is_challenge);
    if (is_request)
        check_request(text, &request);
    if (is_challenge) {
        read_challenge_print(again, &challenge);
        MUST(strcmp(text, again) == 0);
    }
    free(text);
    return 0;
}
