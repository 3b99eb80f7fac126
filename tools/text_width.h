/* Text on a terminal: how wide it is, what must not go there, and whether colours may. */
#ifndef FLEX_TOOLS_TEXT_WIDTH_H
#define FLEX_TOOLS_TEXT_WIDTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Columns that UTF-8 text takes: two of a wide character, none of one that joins the last; a byte that is no
 * UTF-8 is one. */
size_t text_width(const char *text);
/* Puts '?' for what would steer a terminal or hide text: control characters, escapes, marks of direction. In
 * place; what came from a node is shown through this. */
void text_clean(char *text);
/* Columns of the terminal behind `out`: what COLUMNS says, else the terminal; 0 if it is neither. */
int text_columns(FILE *out);
/* A terminal that is not dumb: it understands escapes. */
bool text_may_steer(FILE *out);
/* Such a one, and NO_COLOR (no-color.org) is unset or empty. */
bool text_may_colour(FILE *out);

#endif
