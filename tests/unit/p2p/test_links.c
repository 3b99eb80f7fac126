/* Links between honest nodes over real loopback TLS: frames of every size, order, four nodes at
 * once, restarts, and stopping in the middle of things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "tests/lib/p2p/consortium.h"

static struct consortium consortium;

static void two_nodes_exchange_frames_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        1,     2,      3,       4,     5,     7,      8,       100,     4096,
        16379, 16380,  16381,   16384, 16385, 65531,  65532,   65533,   65536,
        65537, 131072, 1000003, 1,     8,     524288, 2097152, 4194303, LIMIT_FRAME_BYTES,
        9};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    consortium_make(&consortium, 2);
    consortium_start(&consortium, 0, NULL);
    consortium_start(&consortium, 1, NULL);
    assert_true(wait_up(&consortium, 0, 1, 5000));
    assert_true(wait_up(&consortium, 1, 0, 5000));
    for (uint32_t i = 0; i < COUNT; i++) {
        /* The budget is smaller than the sum of them all. */
        for (int tries = 0; tries < 5000; tries++) {
            if (send_pattern(&consortium, 0, 1, P2P_SYNC, 1000 + i, sizes[i])) {
                break;
            }
            sleep_ms(1);
        }
        assert_true(wait_frames(&consortium.nodes[1], i > 4 ? i - 4 : 0, 5000));
    }
    assert_true(wait_frames(&consortium.nodes[1], COUNT, 5000));
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(heard_pattern(&consortium.nodes[1].frames[i], 1000 + i, sizes[i]));
    }
    assert_int_equal(consortium.nodes[1].frame_count, COUNT);
    assert_int_equal(p2p_up_count(consortium.nodes[0].p2p), 1);
    consortium_remove(&consortium);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_exchange_frames_of_every_size),
    };
    log_open(stdout, "test", LOG_DEBUG, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
