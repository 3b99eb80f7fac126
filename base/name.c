/* Names of fixed width (base/name.h).
 *
 * The alphabet is small on purpose: no two names look alike because of case, accents or blanks, and
 * a name needs no escaping in a URL, a file name or a log line. */
#include "base/name.h"

#include <stdint.h>
#include <string.h>

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name_character(char c)
{
    static const bool is_one[UINT8_MAX + 1] = {
        ['a'] = true, ['b'] = true, ['c'] = true, ['d'] = true, ['e'] = true, ['f'] = true,
        ['g'] = true, ['h'] = true, ['i'] = true, ['j'] = true, ['k'] = true, ['l'] = true,
        ['m'] = true, ['n'] = true, ['o'] = true, ['p'] = true, ['q'] = true, ['r'] = true,
        ['s'] = true, ['t'] = true, ['u'] = true, ['v'] = true, ['w'] = true, ['x'] = true,
        ['y'] = true, ['z'] = true, ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true,
        ['4'] = true, ['5'] = true, ['6'] = true, ['7'] = true, ['8'] = true, ['9'] = true,
        ['-'] = true, ['_'] = true, ['.'] = true,
    };
    return is_one[(uint8_t)c];
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
    size_t length = 0;
    if (!is_letter_or_digit(name->text[0])) {
        return false;
    }
    while (length < NAME_SIZE && is_name_character(name->text[length])) {
        length++;
    }
    /* What does not belong to it is zeros. */
    while (length < NAME_SIZE && name->text[length] == '\0') {
        length++;
    }
    return length == NAME_SIZE;
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
