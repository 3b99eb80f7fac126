/* The sums of the proof of reserves (tools/reserves.h), against a state of a few records, and against
 * every mutant of it that is one micro-euro off.
 *
 * Deliberately absent: snapshots and proofs; tests/e2e/test_snapshot.sh walks those of real nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs the above. */
#include <cmocka.h>
#include <string.h>

#include "tools/reserves.h"

enum { POTS = POT_KIND_COUNT + 2, RECEIPTS = 3, ENTRIES = POTS + RECEIPTS + 2, VALUE_BYTES = 1024 };

/* Minted 1000 and 500, burned 200; one pot of each kind, three of balances. */
struct world {
    struct state_key keys[ENTRIES];
    int64_t amounts[ENTRIES]; /* of a pot or receipt */
    struct supply_record supply;
};

static struct name name_of(const char *text)
{
    struct name name;
    assert_true(name_from_text(&name, text, strlen(text)));
    return name;
}

static void make(struct world *world)
{
    static const int64_t balances[3] = {700, 0, 480};
    static const char *const names[3] = {"dso", "empty", "agg"};
    static const int64_t receipts[RECEIPTS] = {1000, 500, -200};
    uint32_t at = 0;
    memset(world, 0, sizeof *world);
    for (uint32_t i = 0; i < 3; i++, at++) {
        struct name name = name_of(names[i]);
        world->keys[at] = state_key_pot(POT_BALANCE, &name, 0);
        world->amounts[at] = balances[i];
    }
    for (int kind = POT_BALANCE + 1; kind < POT_KIND_COUNT; kind++, at++) {
        struct name market = name_of("west");
        world->keys[at] = pot_kind_has_record((enum pot_kind)kind)
                              ? state_key_pot((enum pot_kind)kind, &market, 7)
                              : state_key_u64(kind == POT_ORDER_ESCROW ? STATE_ORDER : STATE_DEAL,
                                              (uint64_t)kind);
        world->amounts[at] = 20;
        world->supply.held[kind] = money_of(20);
    }
    for (uint32_t i = 0; i < RECEIPTS; i++, at++) {
        uint8_t reference[32] = {(uint8_t)(i + 1)};
        world->keys[at] = state_key_hash(STATE_RECEIPT, reference);
        world->amounts[at] = receipts[i];
    }
    world->keys[at++] = state_key_single(STATE_SUPPLY);
    world->keys[at++] = state_key_single(STATE_COUNTERS);
    assert_int_equal(at, ENTRIES);
    world->supply.minted = money_of(1500);
    world->supply.burned = money_of(200);
    world->supply.held[POT_BALANCE] = money_of(1180);
}

static size_t value_of(uint8_t out[VALUE_BYTES], const struct world *world, uint32_t at)
{
    struct byte_writer writer;
    struct pot_record pot = {.amount = money_of(world->amounts[at])};
    struct receipt_reference receipt = {.treasurer = name_of("treasury"),
                                        .amount = money_of(world->amounts[at])};
    byte_writer_init(&writer, out, VALUE_BYTES);
    const struct name west = name_of("west");
    struct order_record order = {
        .held = money_of(world->amounts[at]), .market = west, .participant = west};
    struct deal_record deal = {.market = west, .buyer = west, .seller = west, .device = west};
    bool escrow = world->keys[at].bytes[8] == POT_DEAL_ESCROW;
    *(escrow ? &deal.held_escrow : &deal.held_deposit) = money_of(world->amounts[at]);
    switch (world->keys[at].bytes[0]) {
    case STATE_ORDER:
        codec_encode(&order_record_codec, &order, &writer);
        break;
    case STATE_DEAL:
        codec_encode(&deal_record_codec, &deal, &writer);
        break;
    case STATE_POT:
        codec_encode(&pot_record_codec, &pot, &writer);
        break;
    case STATE_RECEIPT:
        codec_encode(&receipt_reference_codec, &receipt, &writer);
        break;
    case STATE_SUPPLY:
        codec_encode(&supply_record_codec, &world->supply, &writer);
        break;
    default:
        byte_write_u8(&writer, 1); /* none of its business, however malformed */
        break;
    }
    assert_false(writer.failed);
    return writer.size;
}

/* `skip`: an entry that is left out; ENTRIES: none. */
static bool good(const struct world *world, uint32_t skip, char problem[RESERVES_PROBLEM_SIZE])
{
    struct reserves reserves;
    memset(&reserves, 0, sizeof reserves);
    problem[0] = '\0';
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint8_t value[VALUE_BYTES];
        size_t size = value_of(value, world, i);
        if (i != skip &&
            !reserves_take(&reserves, bytes_view_of(world->keys[i].bytes, world->keys[i].size),
                           bytes_view_of(value, size), problem))
            return false;
    }
    return reserves_check(&reserves, problem);
}

static void test_sums_that_are_right(void **state)
{
    struct world world;
    char problem[RESERVES_PROBLEM_SIZE];
    (void)state;
    make(&world);
    assert_true(good(&world, ENTRIES, problem));
    assert_true(reserves_record_adds_up(&world.supply));
    /* The empty balance and what is no money are nothing to it. */
    assert_true(good(&world, 1, problem));
    assert_true(good(&world, ENTRIES - 1, problem));
}

static void test_every_record_counts(void **state)
{
    struct world world;
    char problem[RESERVES_PROBLEM_SIZE];
    (void)state;
    for (uint32_t i = 0; i < ENTRIES - 1; i++) {
        make(&world);
        if (i != 1) {
            assert_false(good(&world, i, problem));
            assert_true(problem[0] != '\0');
        }
        for (int64_t by = -1; by <= 1 && i < ENTRIES - 2; by += 2) {
            make(&world);
            world.amounts[i] += by;
            assert_false(good(&world, ENTRIES, problem));
            assert_true(problem[0] != '\0');
        }
    }
}

static void test_every_total_counts(void **state)
{
    struct world world;
    char problem[RESERVES_PROBLEM_SIZE];
    (void)state;
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        make(&world);
        world.supply.held[kind] = money_of(money_ueur(world.supply.held[kind]) + 1);
        assert_false(reserves_record_adds_up(&world.supply));
        assert_false(good(&world, ENTRIES, problem));
        assert_non_null(strstr(problem, pot_kind_names[kind]));
        /* The record adds up again, at another kind's cost or with more issued: the walk still sees it. */
        const int other = (kind + 1) % POT_KIND_COUNT;
        world.supply.held[other] = money_of(money_ueur(world.supply.held[other]) - 1);
        assert_true(reserves_record_adds_up(&world.supply));
        assert_false(good(&world, ENTRIES, problem));
        make(&world);
        world.supply.held[kind] = money_of(money_ueur(world.supply.held[kind]) + 1);
        world.supply.minted = money_of(1501);
        assert_true(reserves_record_adds_up(&world.supply));
        assert_false(good(&world, ENTRIES, problem));
    }
    /* As much more minted as burned: the pots are right, the receipts say otherwise. */
    make(&world);
    world.supply.minted = money_of(1501);
    world.supply.burned = money_of(201);
    assert_true(reserves_record_adds_up(&world.supply));
    assert_false(good(&world, ENTRIES, problem));
    /* No total may hide another below zero. */
    make(&world);
    world.supply.held[POT_FEES] = money_of(-20);
    world.supply.held[POT_BALANCE] = money_of(1220);
    assert_false(reserves_record_adds_up(&world.supply));
}

static void test_malformed_records(void **state)
{
    static const uint8_t kinds[] = {STATE_POT, STATE_SUPPLY, STATE_RECEIPT, STATE_ORDER,
                                    STATE_DEAL};
    struct reserves reserves;
    char problem[RESERVES_PROBLEM_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof kinds; i++) {
        const uint8_t key[26] = {kinds[i], POT_FEES};
        const uint8_t value[3] = {1, 2, 3};
        memset(&reserves, 0, sizeof reserves);
        assert_false(reserves_take(&reserves, bytes_view_of(key, sizeof key),
                                   bytes_view_of(value, sizeof value), problem));
    }
    /* Nor is there a pot of a kind that nobody knows, or that stands in an order. */
    const uint8_t unknown[] = {POT_KIND_COUNT, POT_ORDER_ESCROW, POT_DEAL_ESCROW, POT_DEAL_DEPOSIT};
    for (size_t i = 0; i < sizeof unknown; i++) {
        const uint8_t key[26] = {STATE_POT, unknown[i]};
        const uint8_t zero[8] = {0};
        memset(&reserves, 0, sizeof reserves);
        assert_false(reserves_take(&reserves, bytes_view_of(key, sizeof key),
                                   bytes_view_of(zero, sizeof zero), problem));
    }
    assert_false(reserves_check(&reserves, problem));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_that_are_right),
        cmocka_unit_test(test_every_record_counts),
        cmocka_unit_test(test_every_total_counts),
        cmocka_unit_test(test_malformed_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
