/* Names of fixed width (base/name.h).
 *
 * The alphabet is small on purpose: no two names look alike because of case, accents or blanks, and
 * a name needs no escaping in a URL, a file name or a log line. */
#include "base/name.h"

#include <string.h>

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name_character(char c)
{
    return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
}

bool name_from_text(struct name *out, const char *text, size_t length)
{
    if (length == 0 || length > NAME_SIZE || !is_letter_or_digit(text[0])) {
        return false;
    }
    for (size_t i = 1; i < length; i++) {
        if (!is_name_character(text[i])) {
            return false;
        }
    }
    struct name result = {0};
    memcpy(result.text, text, length);
    *out = result;
    return true;
}

const char *name_to_text(char out[NAME_SIZE + 1], const struct name *name)
{
    memcpy(out, name->text, NAME_SIZE);
    out[NAME_SIZE] = '\0';
    return out;
}

bool name_is_valid(const struct name *name)
{
    size_t length = strnlen(name->text, NAME_SIZE);
    struct name canonical;
    return name_from_text(&canonical, name->text, length) && name_compare(&canonical, name) == 0;
}

bool name_is_empty(const struct name *name)
{
    static const struct name empty;
    return name_compare(name, &empty) == 0;
}

int name_compare(const struct name *a, const struct name *b)
{
    int order = memcmp(a->text, b->text, NAME_SIZE);
    return (order > 0) - (order < 0);
}
