/* Paths of HTTP requests and the ids in them (node/api_routes.c, contracts/state_key_text.c; fault
 * scenario 71). The first byte chooses: a path; an id of some kind as text; a key as bytes. An id has
 * one text and a key one id. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/records.h"
#include "node/api_internal.h"
#include "tests/fuzz/lib/fuzz.h"

enum { ID_TEXT_SIZE = 512 };

static char *text_of(struct bytes_view bytes)
{
    char *text = malloc(bytes.size + 1);
    MUST(text != NULL);
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

static enum state_kind kind_of(uint8_t byte)
{
    return (enum state_kind)(byte % (STATE_KIND_LIMIT + 1));
}

static void one_key(enum state_kind kind, struct bytes_view bytes)
{
    char text[ID_TEXT_SIZE];
    struct state_key key;
    if (!state_key_to_text(text, sizeof text, kind, bytes))
        return;
    MUST(state_key_from_text(&key, kind, text));
    MUST(bytes_view_equal(bytes_view_of(key.bytes, key.size), bytes));
}

static void one_id(enum state_kind kind, const char *id)
{
    char text[ID_TEXT_SIZE];
    struct state_key key;
    if (!state_key_from_text(&key, kind, id))
        return;
    const struct state_kind_info *info = state_kind_info(kind);
    MUST(info != NULL && key.size > 0 && key.size <= sizeof key.bytes &&
         key.bytes[0] == (uint8_t)kind);
    const struct bytes_view bytes = bytes_view_of(key.bytes, key.size);
    MUST(state_key_to_text(text, sizeof text, kind, bytes));
    /* A kind of one record may be named or left unsaid. */
    MUST(info->key_codec == NULL || strcmp(text, id) == 0);
    one_key(kind, bytes);
}

static void one_path(const char *method, char *path)
{
    const char *arguments[API_ARGUMENTS_MAX];
    const char *allow = NULL;
    const size_t size = strlen(path);
    const struct api_route *route = api_route_find(method, path, arguments, &allow);
    if (route == NULL)
        return;
    MUST(allow == NULL && route >= api_routes && route < api_routes + api_route_count);
    for (int i = 0; i < API_ARGUMENTS_MAX; i++)
        MUST(arguments[i] == NULL || (arguments[i] > path && arguments[i][0] != '\0' &&
                                      arguments[i] + strlen(arguments[i]) <= path + size));
    if (arguments[0] != NULL)
        one_id(route->kind, arguments[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "DELETE"};
    struct fuzz_source source = fuzz_source_of(data, size);
    const uint8_t what = fuzz_take_u8(&source) % 3;
    const uint8_t choice = fuzz_take_u8(&source);
    const struct bytes_view rest = fuzz_take_rest(&source);
    char *text = text_of(rest);
    if (what == 0)
        one_path(methods[choice % 4], text);
    else if (what == 1)
        one_id(kind_of(choice), text);
    else
        one_key(kind_of(choice), rest);
    free(text);
    return 0;
}
