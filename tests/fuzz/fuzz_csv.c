/* Tables of fields (tools/csv.h): every row has the header's columns, every field lies inside the
 * text, and a number that is taken prints as a number of the same value. The first byte says how many
 * decimals are asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/csv.h"

/* `value` with the point put back. */
static void print_scaled(char out[64], int64_t value, unsigned decimals)
{
    char digits[INT128_TEXT_SIZE], padded[64];
    int128_to_text(digits, value < 0 ? -(int128)value : (int128)value);
    (void)snprintf(padded, sizeof padded, "%0*d%s", (int)decimals, 0, digits);
    const size_t whole = strlen(padded) - decimals;
    (void)snprintf(out, 64, "%s%.*s%s%s", value < 0 ? "-" : "", (int)whole, padded,
                   decimals > 0 ? "." : "", padded + whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const unsigned decimals = fuzz_take_u8(&source) % 10;
    char problem[CSV_PROBLEM_SIZE] = "";
    struct csv_table table;
    if (!csv_read(&table, fuzz_file(fuzz_take_rest(&source)), problem)) {
        MUST(problem[0] != '\0' && table.text == NULL);
        return 0;
    }
    MUST(table.columns > 0 && table.columns <= CSV_COLUMNS_MAX);
    uint32_t column;
    MUST(csv_column(&column, &table, table.header[0], problem) && column == 0);
    for (uint32_t row = 0; row < table.rows; row++) {
        for (column = 0; column < table.columns; column++) {
            const char *field = csv_field(&table, row, column);
            int64_t value, again;
            char text[64];
            MUST(field >= table.text && field + strlen(field) < table.text + size + 1);
            if (!csv_scaled(&value, &table, row, column, decimals, problem))
                continue;
            print_scaled(text, value, decimals);
            MUST(decimal_to_scaled(&again, text, decimals) && again == value);
        }
    }
    csv_free(&table);
    return 0;
}
