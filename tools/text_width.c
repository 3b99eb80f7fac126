/* Text on a terminal (tools/text_width.h).
 *
 * The ranges are the blocks of Unicode that terminals draw two columns wide, and those that join the character
 * before; whole blocks, not single characters: a name in a table has to line up, not to be typeset. They are
 * here because wcwidth(3) knows only what the caller's locale does. */
#include "tools/text_width.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/checked.h"

struct range {
    uint32_t first;
    uint32_t last;
};

/* The next character and how many bytes it has; 1 and U+FFFD where the bytes are no UTF-8. */
static size_t next_character(uint32_t *out, const char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *at = (const uint8_t *)text;
    const size_t size = at[0] < 0x80             ? 1
                        : (at[0] & 0xe0) == 0xc0 ? 2
                        : (at[0] & 0xf0) == 0xe0 ? 3
                        : (at[0] & 0xf8) == 0xf0 ? 4
                                                 : 0;
    uint32_t value = size == 1 ? at[0] : size > 1 ? at[0] & (0x7fu >> size) : 0;
    bool ok = size > 0;
    for (size_t i = 1; ok && i < size; i++) {
        ok = (at[i] & 0xc0) == 0x80; /* stops at the end, which is a zero byte */
        value = value << 6 | (at[i] & 0x3fu);
    }
    ok = ok && value >= least[size] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
    *out = ok ? value : 0xfffd;
    return ok ? size : 1;
}

static bool is_in(uint32_t value, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (value >= ranges[i].first && value <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

size_t text_width(const char *text)
{
    static const struct range joined[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},
                                          {0x610, 0x61a},   {0x64b, 0x65f},   {0x1ab0, 0x1aff},
                                          {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff},
                                          {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
    static const struct range wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},  {0x3041, 0xa4cf},
                                        {0xac00, 0xd7a3},   {0xf900, 0xfaff},  {0xfe30, 0xfe6f},
                                        {0xff00, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f},
                                        {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    size_t width = 0;
    for (uint32_t value; *text != '\0';) {
        text += next_character(&value, text);
        width += is_in(value, joined, sizeof joined / sizeof joined[0]) ? 0
                 : is_in(value, wide, sizeof wide / sizeof wide[0])     ? 2
                                                                        : 1;
    }
    return width;
}

void text_clean(char *text)
{
    static const struct range steering[] = {{0x01, 0x1f},     {0x7f, 0x9f},     {0x200b, 0x200f},
                                            {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},
                                            {0xfffd, 0xfffd}};
    char *to = text;
    for (uint32_t value; *text != '\0';) {
        const size_t size = next_character(&value, text);
        if (is_in(value, steering, sizeof steering / sizeof steering[0])) {
            *to++ = '?';
        } else {
            memmove(to, text, size);
            to += size;
        }
        text += size;
    }
    *to = '\0';
}

int text_columns(FILE *out)
{
    struct winsize size;
    uint64_t columns;
    const char *given = getenv("COLUMNS");
    if (given != NULL && uint64_from_text(&columns, given) && columns > 0 && columns < 10000) {
        return (int)columns;
    }
    const int descriptor = fileno(out);
    return descriptor >= 0 && isatty(descriptor) && ioctl(descriptor, TIOCGWINSZ, &size) == 0
               ? size.ws_col
               : 0;
}

bool text_may_steer(FILE *out)
{
    const char *terminal = getenv("TERM");
    const int descriptor = fileno(out);
    return terminal != NULL && terminal[0] != '\0' && strcmp(terminal, "dumb") != 0 &&
           descriptor >= 0 && isatty(descriptor);
}

bool text_may_colour(FILE *out)
{
    const char *none = getenv("NO_COLOR");
    return (none == NULL || none[0] == '\0') && text_may_steer(out);
}
