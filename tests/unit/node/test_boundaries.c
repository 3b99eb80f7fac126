/* Which blocks ended epochs, by the proposals that passed: whatever else was voted on, before and
 * between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/boundaries.h"
#include "tests/lib/node/snapshot_world.h"
#include "tests/lib/temp_dir.h"

static void test_only_changes_of_the_set_end_epochs(void **state)
{
    (void)state;
    static struct snapshot_world world;
    static struct boundaries found;
    char directory[TEMP_PATH_SIZE];
    temp_dir_make(directory);
    snapshot_world_open(&world, directory, 1);
    world.motions = true;
    for (uint64_t height = 1; height <= 7; height++) {
        snapshot_world_block(&world, 2, 30, height == 3 || height == 6, true);
    }
    struct store_snapshot *snapshot = store_snapshot_begin(world.store);
    assert_non_null(snapshot);
    assert_true(boundaries_find(&found, snapshot));
    assert_int_equal(found.count, 2);
    assert_int_equal(found.heights[0], 3);
    assert_int_equal(found.heights[1], 6);
    store_snapshot_end(snapshot);
    snapshot_world_close(&world);
    temp_dir_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_changes_of_the_set_end_epochs),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
