/* Which movements of money add to the fee pool, and whose they are (contracts/market_events.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contracts/market_events.h"

static void every_pot_that_pays_the_pool_has_its_kind(void **state)
{
    (void)state;
    for (int from = 0; from <= POT_OUTSIDE; from++) {
        for (int to = 0; to <= POT_OUTSIDE; to++) {
            const struct event_token_moved moved = {.from = {.kind = (uint8_t)from, .id = 7},
                                                    .to = {.kind = (uint8_t)to, .id = 9}};
            bool of_deal = from == POT_DEAL_ESCROW || from == POT_DEAL_DEPOSIT;
            enum market_fee_kind kind = MARKET_FEE_SPLIT;
            uint64_t deal = 99;
            assert_int_equal(market_event_is_fee(&moved, &kind, &deal), to == POT_FEES);
            assert_int_equal(kind, of_deal ? MARKET_FEE_DEAL : MARKET_FEE_CLEARING);
            assert_int_equal(deal, of_deal ? 7 : 0);
        }
    }
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (int kind = 0; kind < MARKET_FEE_KINDS; kind++)
        assert_non_null(market_fee_names[kind]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pot_that_pays_the_pool_has_its_kind),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests_name("market events", tests, NULL, NULL);
}
