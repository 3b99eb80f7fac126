/* A small strict reader for tables with a header line: meter registers, load profiles, grids.
 *
 * Fields are separated by ';' if the header holds one, else by ','. Quotes are not special: none of
 * the tables that the field exchanges in this form needs them, so a quote is an ordinary character.
 * Lines end in LF or CR LF. Every row has as many fields as the header. */
#ifndef FLEX_TOOLS_CSV_H
#define FLEX_TOOLS_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CSV_COLUMNS_MAX = 64,
    CSV_FIELD_MAX = 256,
    CSV_BYTES_MAX = 64 * 1024 * 1024,
    CSV_PROBLEM_SIZE = 320 /* at least NODE_PROBLEM_SIZE */
};

struct csv_table {
    char *text;          /* the whole file, cut into NUL-terminated fields */
    const char **fields; /* rows x columns */
    uint32_t columns;
    uint32_t rows; /* without the header */
    const char *header[CSV_COLUMNS_MAX];
    char name[CSV_FIELD_MAX]; /* of the file, for messages */
};

/* False with place and reason in `problem`; the table is then empty. Free with csv_free. */
bool csv_read(struct csv_table *out, const char *path, char problem[CSV_PROBLEM_SIZE]);
void csv_free(struct csv_table *table);
/* Index of the column with exactly that name; false, with what there is in `problem`. */
bool csv_column(uint32_t *out, const struct csv_table *table, const char *name,
                char problem[CSV_PROBLEM_SIZE]);
const char *csv_field(const struct csv_table *table, uint32_t row, uint32_t column);

/* A plain decimal ("-12.5", no exponent) times 10^decimals, exactly: more digits behind the point
 * than `decimals` are an error unless they are zeros. Scientific notation, blanks, signs of plus
 * and overflow are errors. */
bool decimal_to_scaled(int64_t *out, const char *text, unsigned decimals);
/* The field at (row, column), scaled; false with file, line and column in `problem`. */
bool csv_scaled(int64_t *out, const struct csv_table *table, uint32_t row, uint32_t column,
                unsigned decimals, char problem[CSV_PROBLEM_SIZE]);

#endif
