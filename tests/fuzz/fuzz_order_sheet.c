/* Tables of orders (tools/order_sheet.h): a table is taken whole or its faults are counted; what is told can be
 * printed; rows that were taken hold names and amounts within their types' bounds; the digest of all rows is
 * that of its parts only if the parts are all. The first byte chooses what amounts mean. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/records.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/order_sheet.h"

static void check_row(const struct order_row *row)
{
    const struct offer_place *offer = &row->offer;
    MUST(!name_is_empty(&offer->market) && offer->direction < 2);
    MUST(row->offers ? !name_is_empty(&offer->device) : row->schedule == NULL);
    MUST(row->offers || offer->reservation == 0);
    MUST(energy_wh(offer->quantity) >= 0 && energy_wh(offer->options.min_quantity) >= 0);
    MUST(energy_price_ueur_per_kwh(offer->price) >= 0);
    MUST(offer->options.kind < ORDER_KIND_COUNT && offer->options.indivisible <= 1);
    MUST(name_compare(&row->request.market, &offer->market) == 0 &&
         energy_compare(row->request.quantity, offer->quantity) == 0 &&
         hash_is_zero(&offer->schedule_hash));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct order_faults faults;
    struct fuzz_source source = fuzz_source_of(data, size);
    const bool ueur = fuzz_take_u8(&source) % 2 == 1;
    char problem[CSV_PROBLEM_SIZE] = "";
    struct order_sheet sheet;
    uint8_t whole[32], part[32];
    const bool ok =
        order_sheet_read(&sheet, fuzz_file(fuzz_take_rest(&source)), ueur, &faults, problem);
    MUST(ok == (faults.count == 0 && problem[0] == '\0'));
    for (uint32_t i = 0; i < faults.count && i < ORDER_FAULTS_MAX; i++)
        MUST(faults.first[i].line >= 2 && faults.first[i].text[0] != '\0');
    if (ok) {
        MUST(sheet.count > 0 && sheet.count <= ORDER_ROWS_MAX);
        for (uint32_t i = 0; i < sheet.count; i++)
            check_row(&sheet.rows[i]);
        order_sheet_digest(whole, &sheet, 0, sheet.count);
        order_sheet_digest(part, &sheet, 0, sheet.count - 1);
        MUST(memcmp(whole, part, sizeof whole) != 0);
    }
    order_sheet_release(&sheet);
    return 0;
}
