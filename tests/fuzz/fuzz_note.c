/* Signed notes and digests (verify/note.h, verify/digest.h; fault scenario 82). The trusted history has
 * three midnights, and only what its validators voted for is a digest of it: accepting anything else is
 * a forgery, and aborts. */
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/lib/verify/digest_world.h"

/* What the parser accepts, printed again, is what it read. */
static void print_again(const struct note *note, const uint8_t *data, size_t size)
{
    const struct note_signature *last = &note->signatures[note->count - 1];
    MUST(note->count > 0 && note->text.size < size && note->text.data == data);
    MUST(data[note->text.size - 1] == '\n' && data[note->text.size] == '\n');
    MUST(last->name.data > data + note->text.size && last->name.data < data + size);
    MUST(last->size > 0);
}

static void verify(const uint8_t *data, size_t size, bool allow_unknown)
{
    const struct digest_world *world = digest_world();
    const struct digest_rules rules = {&world->witness, 1, allow_unknown};
    struct digest digest;
    char problem[DIGEST_PROBLEM_SIZE] = "";
    if (!digest_verify(&digest, &world->trust, &rules, (const char *)data, size, problem)) {
        MUST(problem[0] != '\0');
        return;
    }
    MUST(digest.size == 3 || digest.size == 6);
    MUST(hash_equal(&digest.root, &world->headers[digest.size].log_root));
    MUST(strcmp(digest.date, digest.size == 3 ? "2025-01-15" : "2025-01-16") == 0);
    MUST(digest.validators >= 3 && digest.cosignatures <= 97);
    MUST(digest.cosignatures == 0 || digest.time_s == DIGEST_WORLD_TIME_S);
    MUST(allow_unknown || digest.unknown == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct note note;
    struct note_witness witness;
    (void)digest_world();
    if (note_parse(&note, (const char *)data, size) == NULL) {
        print_again(&note, data, size);
    }
    verify(data, size, false);
    verify(data, size, true);
    if (note_witness_from_text(&witness, (const char *)data, size)) {
        char text[NOTE_VKEY_MAX];
        note_witness_to_text(text, &witness);
        MUST(strlen(text) == size && memcmp(text, data, size) == 0);
    }
    return 0;
}
