/* Overlays against the slow model: reads, ordered walks, savepoints, changes, roots; stacked, forked,
 * committed and detached; walks over what a block removed; limits and faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "storage/overlay.h"
#include "tests/lib/storage/slow_state.h"

enum { ROOM = 4 << 20 };

static struct bytes_view text(const char *bytes)
{
    return bytes_view_of(bytes, strlen(bytes));
}

static void put(struct overlay *overlay, const char *key, const char *value)
{
    struct state_view *view = overlay_view(overlay);
    view->ops->put(view, text(key), text(value));
}

static void drop(struct overlay *overlay, const char *key)
{
    struct state_view *view = overlay_view(overlay);
    view->ops->remove(view, text(key));
}

static void expect(struct overlay *overlay, const char *key, const char *value)
{
    struct state_view *view = overlay_view(overlay);
    struct bytes_view found;
    const bool there = view->ops->get(view, text(key), &found);
    assert_false(view->fault);
    assert_int_equal(there, value != NULL);
    if (value != NULL) {
        assert_true(bytes_view_equal(found, text(value)));
    }
}

/* --- the model ------------------------------------------------------------------------------- */

static struct bytes_view random_key(uint64_t *seed, uint8_t out[SLOW_KEY_MAX])
{
    /* Few letters, 0xff among them: prefixes of one another, and prefixes that cannot grow. */
    static const uint8_t letters[] = {0x00, 'a', 'b', 0xff};
    const size_t size = 1 + slow_random(seed, 4);
    for (size_t i = 0; i < size; i++) {
        out[i] = letters[slow_random(seed, sizeof letters)];
    }
    return bytes_view_of(out, size);
}

static void compare_walk(struct overlay *overlay, const struct slow_state *model,
                         struct bytes_view prefix)
{
    struct state_view *view = overlay_view(overlay);
    uint8_t after[LIMIT_STATE_KEY_BYTES];
    size_t after_size = 0;
    for (;;) {
        const struct bytes_view from = bytes_view_of(after, after_size);
        const struct slow_entry *expected = slow_next(model, prefix, from);
        uint8_t key[LIMIT_STATE_KEY_BYTES];
        size_t key_size = 0;
        struct bytes_view value;
        const bool found = view->ops->next(view, prefix, from, key, &key_size, &value);
        assert_false(view->fault);
        assert_int_equal(found, expected != NULL);
        if (!found) {
            return;
        }
        assert_true(bytes_view_equal(bytes_view_of(key, key_size),
                                     bytes_view_of(expected->key, expected->key_size)));
        assert_true(bytes_view_equal(value, bytes_view_of(expected->value, expected->value_size)));
        memcpy(after, key, key_size);
        after_size = key_size;
    }
}

static void compare_all(struct overlay *overlay, const struct slow_state *model, uint64_t *seed)
{
    uint8_t bytes[SLOW_KEY_MAX];
    compare_walk(overlay, model, bytes_view_of(NULL, 0));
    for (int i = 0; i < 4; i++) {
        compare_walk(overlay, model, random_key(seed, bytes));
    }
    for (int i = 0; i < 20; i++) {
        struct state_view *view = overlay_view(overlay);
        const struct bytes_view key = random_key(seed, bytes);
        const struct slow_entry *expected = slow_get(model, key);
        struct bytes_view value;
        assert_int_equal(view->ops->get(view, key, &value), expected != NULL);
        if (expected != NULL) {
            assert_true(
                bytes_view_equal(value, bytes_view_of(expected->value, expected->value_size)));
        }
    }
}

/* One random write to both; now and then a walk, so that gaps come and go between writes. */
static void random_write(struct overlay *overlay, struct slow_state *model, uint64_t *seed)
{
    struct state_view *view = overlay_view(overlay);
    uint8_t key_bytes[SLOW_KEY_MAX];
    const struct bytes_view key = random_key(seed, key_bytes);
    if (slow_random(seed, 2) == 0) {
        view->ops->remove(view, key);
        slow_remove(model, key);
        return;
    }
    uint8_t value_bytes[SLOW_VALUE_MAX];
    const size_t size = slow_random(seed, 3);
    for (size_t i = 0; i < size; i++) {
        value_bytes[i] = (uint8_t)slow_random(seed, 2);
    }
    view->ops->put(view, key, bytes_view_of(value_bytes, size));
    slow_put(model, key, bytes_view_of(value_bytes, size));
}

static void random_transaction(struct overlay *overlay, struct slow_state *model, uint64_t *seed)
{
    static struct slow_state before;
    struct state_view *view = overlay_view(overlay);
    const uint32_t writes = slow_random(seed, 12);
    const uint32_t fate = slow_random(seed, 3);
    before = *model;
    if (fate > 0) {
        view->ops->savepoint(view);
    }
    for (uint32_t i = 0; i < writes; i++) {
        random_write(overlay, model, seed);
        if (slow_random(seed, 4) == 0) {
            compare_walk(overlay, model, bytes_view_of(NULL, 0));
        }
    }
    if (fate == 1) {
        view->ops->keep(view);
    } else if (fate == 2) {
        view->ops->rollback(view);
        *model = before;
    }
}

struct change_check {
    const struct slow_state *before;
    const struct slow_state *after;
    size_t count;
};

static void check_change(void *context, struct bytes_view key, struct bytes_view before,
                         struct bytes_view after)
{
    struct change_check *check = context;
    const struct slow_entry *old = slow_get(check->before, key);
    const struct slow_entry *new = slow_get(check->after, key);
    assert_int_equal(before.data != NULL, old != NULL);
    assert_int_equal(after.data != NULL, new != NULL);
    if (old != NULL) {
        assert_true(bytes_view_equal(before, bytes_view_of(old->value, old->value_size)));
    }
    if (new != NULL) {
        assert_true(bytes_view_equal(after, bytes_view_of(new->value, new->value_size)));
    }
    check->count++;
}

static bool same_entry(const struct slow_entry *a, const struct slow_entry *b)
{
    return b != NULL && bytes_view_equal(bytes_view_of(a->value, a->value_size),
                                         bytes_view_of(b->value, b->value_size));
}

/* How many keys differ between two states, counted the slow way. */
static size_t count_differences(const struct slow_state *a, const struct slow_state *b)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++) {
        const struct slow_entry *entry = &a->entries[i];
        count += same_entry(entry, slow_get(b, bytes_view_of(entry->key, entry->key_size))) ? 0 : 1;
    }
    for (size_t i = 0; i < b->count; i++) {
        const struct slow_entry *entry = &b->entries[i];
        count += slow_get(a, bytes_view_of(entry->key, entry->key_size)) == NULL ? 1 : 0;
    }
    return count;
}

static bool count_entry(void *context, struct bytes_view key, struct bytes_view value)
{
    (void)key;
    (void)value;
    (*(size_t *)context)++;
    return true;
}

/* One block of random transactions on `overlay`; the model goes along. Seals and checks the root. */
static void random_block(struct overlay *overlay, struct slow_state *model, uint64_t *seed)
{
    static struct slow_state before;
    struct state_view *view = overlay_view(overlay);
    struct hash root;
    struct hash expected;
    size_t sealed_changes = 0;
    before = *model;
    for (int i = 0; i < 8; i++) {
        random_transaction(overlay, model, seed);
    }
    compare_all(overlay, model, seed);
    struct change_check check = {.before = &before, .after = model};
    view->ops->changes(view, bytes_view_of(NULL, 0), &check, check_change);
    assert_int_equal(check.count, count_differences(&before, model));
    assert_true(overlay_seal(overlay, &root));
    slow_root(&expected, model);
    assert_memory_equal(&root, &expected, sizeof root);
    assert_true(overlay_each_change(overlay, &sealed_changes, count_entry));
    assert_int_equal(sealed_changes, check.count);
    compare_all(overlay, model, seed);
}

/* Chains of blocks, a fork at each height, commits that lag by two blocks. */
static void test_overlays_agree_with_the_model(void **state)
{
    (void)state;
    static struct slow_state model;
    static struct slow_state fork_model;
    for (uint64_t run = 1; run <= 6; run++) {
        uint64_t seed = run;
        struct memory_base *memory = memory_base_create();
        struct overlay *chain[3];
        struct overlay *fork = overlay_create(ROOM);
        memset(&model, 0, sizeof model);
        for (int i = 0; i < 3; i++) {
            chain[i] = overlay_create(ROOM);
        }
        for (uint32_t height = 0; height < 24; height++) {
            struct overlay *mine = chain[height % 3];
            struct overlay *parent = height == 0 ? NULL : chain[(height - 1) % 3];
            overlay_reset(mine, parent, memory_base_face(memory));
            overlay_reset(fork, parent, memory_base_face(memory));
            fork_model = model;
            random_block(fork, &fork_model, &seed);
            random_block(mine, &model, &seed);
            if (height >= 1) {
                /* The lower of the two unfinal ones becomes final. */
                assert_true(memory_base_commit(memory, parent));
                overlay_detach(mine);
                compare_all(mine, &model, &seed);
            }
        }
        for (int i = 0; i < 3; i++) {
            overlay_destroy(chain[i]);
        }
        overlay_destroy(fork);
        memory_base_destroy(memory);
    }
}

/* --- particular things ------------------------------------------------------------------------ */

static void test_a_put_of_the_same_is_no_change(void **state)
{
    (void)state;
    struct memory_base *memory = memory_base_create();
    struct overlay *first = overlay_create(ROOM);
    struct overlay *second = overlay_create(ROOM);
    struct hash root;
    struct hash same;
    size_t changes = 0;
    overlay_reset(first, NULL, memory_base_face(memory));
    put(first, "a", "1");
    put(first, "b", "");
    assert_true(overlay_seal(first, &root));
    overlay_reset(second, first, NULL);
    put(second, "a", "2");
    put(second, "a", "1");
    put(second, "c", "3");
    drop(second, "c");
    drop(second, "d");
    put(second, "b", "");
    assert_true(overlay_seal(second, &same));
    assert_memory_equal(&root, &same, sizeof root);
    assert_true(overlay_each_change(second, &changes, count_entry));
    assert_int_equal(changes, 0);
    overlay_destroy(second);
    overlay_destroy(first);
    memory_base_destroy(memory);
}

static void test_the_root_forgets_the_order(void **state)
{
    (void)state;
    struct overlay *one = overlay_create(ROOM);
    struct overlay *other = overlay_create(ROOM);
    struct hash root_one;
    struct hash root_other;
    char key[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        put(one, key, key);
        (void)snprintf(key, sizeof key, "k%d", 99 - i);
        put(other, key, key);
    }
    assert_true(overlay_seal(one, &root_one));
    assert_true(overlay_seal(other, &root_other));
    assert_memory_equal(&root_one, &root_other, sizeof root_one);
    assert_memory_equal(overlay_root(one), &root_one, sizeof root_one);
    assert_false(hash_is_zero(&root_one));
    overlay_destroy(one);
    overlay_destroy(other);
}

static void test_an_empty_state_has_the_zero_root(void **state)
{
    (void)state;
    struct overlay *overlay = overlay_create(ROOM);
    struct hash root;
    memset(&root, 0xaa, sizeof root);
    assert_true(overlay_seal(overlay, &root));
    assert_true(hash_is_zero(&root));
    overlay_destroy(overlay);
}

static void test_a_rollback_brings_back_what_was_overwritten(void **state)
{
    (void)state;
    struct overlay *overlay = overlay_create(ROOM);
    struct state_view *view = overlay_view(overlay);
    put(overlay, "kept", "old");
    put(overlay, "gone", "old");
    drop(overlay, "tomb");
    view->ops->savepoint(view);
    put(overlay, "kept", "new");
    put(overlay, "kept", "newer");
    drop(overlay, "gone");
    put(overlay, "tomb", "alive");
    put(overlay, "fresh", "x");
    view->ops->rollback(view);
    expect(overlay, "kept", "old");
    expect(overlay, "gone", "old");
    expect(overlay, "tomb", NULL);
    expect(overlay, "fresh", NULL);
    view->ops->savepoint(view);
    put(overlay, "kept", "new");
    view->ops->keep(view);
    expect(overlay, "kept", "new");
    overlay_destroy(overlay);
}

/* The way a book is cleared: take the first, remove it, take the first again. With 20,000 orders a
 * walk that passed every tombstone again would look at 200 million of them. */
static void test_clearing_from_the_top_is_not_quadratic(void **state)
{
    (void)state;
    enum { ORDERS = LIMIT_OPEN_ORDERS_PER_BOOK };
    struct memory_base *memory = memory_base_create();
    struct overlay *base = overlay_create((size_t)64 << 20);
    struct overlay *overlay = overlay_create((size_t)64 << 20);
    struct state_view *view = overlay_view(overlay);
    struct hash root;
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t size;
    struct bytes_view value;
    char name[24];
    overlay_reset(base, NULL, memory_base_face(memory));
    for (int i = 0; i < ORDERS; i++) {
        (void)snprintf(name, sizeof name, "buy/%08d", i);
        put(base, name, "");
        (void)snprintf(name, sizeof name, "sell/%08d", i);
        put(base, name, "");
    }
    assert_true(overlay_seal(base, &root));
    assert_true(memory_base_commit(memory, base));
    overlay_reset(overlay, NULL, memory_base_face(memory));
    const clock_t start = clock();
    for (int i = 0; i < ORDERS; i++) {
        const char *const sides[] = {"buy/", "sell/"};
        for (int side = 0; side < 2; side++) {
            assert_true(view->ops->next(view, text(sides[side]), bytes_view_of(NULL, 0), key, &size,
                                        &value));
            (void)snprintf(name, sizeof name, "%s%08d", sides[side], i);
            assert_int_equal(size, strlen(name));
            assert_memory_equal(key, name, size);
            view->ops->remove(view, bytes_view_of(key, size));
        }
    }
    assert_false(view->ops->next(view, text("buy/"), bytes_view_of(NULL, 0), key, &size, &value));
    /* 40,000 steps: some 50 ms plainly built; quadratic, it takes minutes. */
    assert_true(clock() - start < 10 * CLOCKS_PER_SEC);
    put(overlay, "buy/00000005", "back");
    assert_true(view->ops->next(view, text("buy/"), bytes_view_of(NULL, 0), key, &size, &value));
    assert_memory_equal(key, "buy/00000005", size);
    overlay_destroy(overlay);
    overlay_destroy(base);
    memory_base_destroy(memory);
}

/* What a transaction cleared and then failed is there again for the next walk. */
static void test_a_rollback_ends_what_walks_remember(void **state)
{
    (void)state;
    struct overlay *overlay = overlay_create(ROOM);
    struct state_view *view = overlay_view(overlay);
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t size = 0;
    struct bytes_view value;
    char name[24];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "book/%02d", i);
        put(overlay, name, "");
    }
    view->ops->savepoint(view);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "book/%02d", i);
        assert_true(
            view->ops->next(view, text("book/"), bytes_view_of(NULL, 0), key, &size, &value));
        assert_memory_equal(key, name, size);
        drop(overlay, name);
    }
    assert_false(view->ops->next(view, text("book/"), bytes_view_of(NULL, 0), key, &size, &value));
    view->ops->rollback(view);
    assert_true(view->ops->next(view, text("book/"), bytes_view_of(NULL, 0), key, &size, &value));
    assert_memory_equal(key, "book/00", size);
    overlay_destroy(overlay);
}

static void test_limits_are_sticky_faults(void **state)
{
    (void)state;
    struct overlay *overlay = overlay_create(64 << 10);
    struct state_view *view = overlay_view(overlay);
    static uint8_t large[LIMIT_STATE_VALUE_BYTES + 1];
    struct hash root;
    struct bytes_view value;
    view->ops->put(view, text("a"), bytes_view_of(large, LIMIT_STATE_VALUE_BYTES));
    assert_false(view->fault);
    view->ops->put(view, text("b"), bytes_view_of(large, sizeof large));
    assert_true(view->fault);
    assert_false(view->ops->get(view, text("a"), &value));
    assert_false(overlay_seal(overlay, &root));

    overlay_reset(overlay, NULL, state_base_empty());
    assert_false(view->fault);
    view->ops->put(view, bytes_view_of(large, LIMIT_STATE_KEY_BYTES), text("x"));
    assert_false(view->fault);
    view->ops->put(view, bytes_view_of(large, LIMIT_STATE_KEY_BYTES + 1), text("x"));
    assert_true(view->fault);

    overlay_reset(overlay, NULL, state_base_empty());
    view->ops->put(view, bytes_view_of(NULL, 0), text("x"));
    assert_true(view->fault);

    overlay_reset(overlay, NULL, state_base_empty());
    for (int i = 0; i < 100 && !view->fault; i++) {
        large[0] = (uint8_t)i;
        view->ops->put(view, bytes_view_of(large, 2), bytes_view_of(large, 4000));
        assert_true(overlay_bytes(overlay) <= 64 << 10);
    }
    assert_true(view->fault);
    overlay_destroy(overlay);
}

static bool faulty_get(void *context, struct bytes_view key, bool *found, struct bytes_view *value)
{
    (void)context;
    (void)key;
    (void)found;
    (void)value;
    return false;
}

static void test_a_fault_of_the_base_sticks(void **state)
{
    (void)state;
    struct state_base faulty = *state_base_empty();
    struct overlay *overlay = overlay_create(ROOM);
    struct state_view *view = overlay_view(overlay);
    struct bytes_view value;
    struct hash root;
    faulty.get = faulty_get;
    overlay_reset(overlay, NULL, &faulty);
    put(overlay, "a", "1");
    expect(overlay, "a", "1");
    assert_false(view->ops->get(view, text("b"), &value));
    assert_true(view->fault);
    assert_false(view->ops->get(view, text("a"), &value));
    assert_false(overlay_seal(overlay, &root));
    overlay_destroy(overlay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlays_agree_with_the_model),
        cmocka_unit_test(test_a_put_of_the_same_is_no_change),
        cmocka_unit_test(test_the_root_forgets_the_order),
        cmocka_unit_test(test_an_empty_state_has_the_zero_root),
        cmocka_unit_test(test_a_rollback_brings_back_what_was_overwritten),
        cmocka_unit_test(test_clearing_from_the_top_is_not_quadratic),
        cmocka_unit_test(test_a_rollback_ends_what_walks_remember),
        cmocka_unit_test(test_limits_are_sticky_faults),
        cmocka_unit_test(test_a_fault_of_the_base_sticks),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
