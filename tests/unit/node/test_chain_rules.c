/* An upgrade of the rules as the chain sees it: a program that lacks the version commits the block before
 * its height and stops there, whether the next block is final, executed or to be built; one that has it
 * goes on, and executes the whole history again to the same roots. Linked with a second version
 * (tests/lib/preview/rules_preview.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/module.h"
#include "contracts/rules.h"
#include "node/chain_internal.h"
#include "tests/lib/node/chain_world.h"

enum { HISTORY_MAX = 32 };

static struct genesis genesis;
static struct memory_backend memory[2];
static struct chain *chain;     /* has both versions */
static struct chain *old_chain; /* has the first */
static struct mempool *mempool;
static uint64_t view;
static struct block_header history[HISTORY_MAX];
static uint8_t kept[HISTORY_MAX][4096]; /* bodies */
static size_t sizes[HISTORY_MAX];
static uint64_t upgrade_height;

static struct chain *open_one(struct memory_backend *into)
{
    char problem[160];
    const struct chain_backend backend = memory_backend_face(into);
    struct chain *opened = chain_open(&genesis, &backend, problem);
    assert_non_null(opened);
    return opened;
}

static void submit(const char *sender, uint64_t nonce, uint8_t type, const void *record)
{
    struct world_tx tx;
    world_sign(&tx, sender, nonce, type, record);
    assert_int_equal(mempool_add(mempool, &tx.transaction), CONTRACT_OK);
}

static void pay(uint64_t nonce, int64_t ueur)
{
    const struct token_transfer transfer = {.to = world_name("bob"), .amount = money_of(ueur)};
    submit("alice", nonce, ACTION_TOKEN_TRANSFER, &transfer);
}

/* The body that `from` has cached goes to `to`. */
static void hand_over(struct chain *from, struct chain *to, const struct block_header *header)
{
    struct block_header found;
    struct bytes_view body;
    const struct hash id = world_id(header);
    assert_true(chain_body(from, &id, &found, &body));
    assert_true(chain_add_body(to, header, body, false));
}

/* One more block of both chains, as long as the old one can. */
static struct block_header grow(void)
{
    const struct block_header header = world_build(chain, mempool, NULL, ++view);
    const struct hash id = world_id(&header);
    if (chain_rules_missing(old_chain) == 0) {
        hand_over(chain, old_chain, &header);
        assert_int_equal(chain_execute(old_chain, &id), BFT_VERDICT_VALID);
        assert_int_equal(chain_commit(old_chain, &header, NULL), STORE_OK);
    }
    assert_int_equal(chain_commit(chain, &header, NULL), STORE_OK);
    chain_tell_mempool(chain, mempool);
    const struct bytes_view body = chain_last_commit(chain)->body;
    assert_true(header.height < HISTORY_MAX && body.size <= sizeof kept[0]);
    history[header.height] = header;
    memcpy(kept[header.height], body.data, body.size);
    sizes[header.height] = body.size;
    return header;
}

/* Money, then rules 2 voted in for a height. */
static int set_up(void **state)
{
    static const char *const funded[] = {"agg", "agg2", "dso", "alice"};
    const struct mempool_limits limits = {0, 0};
    (void)state;
    world_genesis(&genesis);
    memory_backend_init(&memory[0]);
    memory_backend_init(&memory[1]);
    view = 0;
    chain = open_one(&memory[0]);
    old_chain = open_one(&memory[1]);
    chain_limit_rules(old_chain, 1);
    mempool = mempool_create(&limits);
    for (uint64_t i = 0; i < sizeof funded / sizeof funded[0]; i++) {
        struct world_tx tx;
        world_mint(&tx, i + 1, funded[i], 1000000);
        assert_int_equal(mempool_add(mempool, &tx.transaction), CONTRACT_OK);
    }
    (void)grow();
    struct governance_propose action;
    const struct governance_vote vote = {.proposal = 1, .approve = 1};
    memset(&action, 0, sizeof action);
    action.kind = PROPOSAL_UPGRADE;
    action.rules = 2;
    action.height = upgrade_height = chain_tip(chain)->height + 18;
    submit("agg", 1, ACTION_GOVERNANCE_PROPOSE, &action);
    (void)grow();
    submit("dso", 1, ACTION_GOVERNANCE_VOTE, &vote);
    submit("agg2", 1, ACTION_GOVERNANCE_VOTE, &vote);
    (void)grow();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mempool_destroy(mempool);
    chain_close(chain);
    chain_close(old_chain);
    memory_backend_free(&memory[0]);
    memory_backend_free(&memory[1]);
    return 0;
}

static void assert_rules(struct chain *of, uint32_t in_force, uint32_t waiting, uint64_t height)
{
    uint32_t found = 0, next = 0;
    uint64_t at = 0;
    chain_next_rules(of, &found, &next, &at);
    assert_int_equal(found, in_force);
    assert_int_equal(next, waiting);
    assert_int_equal(at, height);
}

static void test_the_old_program_stops_before_the_height(void **state)
{
    (void)state;
    assert_rules(chain, 1, 2, upgrade_height);
    uint64_t nonce = 1;
    while (chain_tip(chain)->height + 1 < upgrade_height) {
        assert_int_equal(chain_rules_missing(old_chain), 0);
        pay(nonce++, 5);
        (void)grow();
    }
    const int64_t before = world_balance(chain, "bob");
    assert_int_equal(before, 5 * (int64_t)(nonce - 1));
    /* It has committed the last block of the old rules, and lacks those of the next. */
    assert_int_equal(chain_tip(old_chain)->height, upgrade_height - 1);
    assert_int_equal(chain_rules_missing(old_chain), 2);
    assert_int_equal(chain_rules_missing(chain), 0);
    assert_rules(chain, 2, 0, 0);
    pay(nonce, 5);
    const struct block_header first = grow();
    assert_int_equal(first.height, upgrade_height);
    assert_int_equal(world_balance(chain, "bob"), before); /* the new rule: refused */
    struct block_header none;
    const struct hash id = chain_tip(old_chain)->block_id;
    assert_false(chain_build(old_chain, mempool, &none, 0, view, chain_tip(old_chain)->view, &id,
                             first.time));
    pay(nonce + 1, 1000);
    (void)grow();
    assert_int_equal(world_balance(chain, "bob"), before + 1000);
}

static void test_a_block_that_is_not_final_is_no_verdict(void **state)
{
    (void)state;
    while (chain_tip(chain)->height + 2 < upgrade_height)
        (void)grow();
    const struct block_header last = world_build(chain, mempool, NULL, ++view);
    const struct block_header first = world_build(chain, mempool, &last, ++view);
    hand_over(chain, old_chain, &last);
    hand_over(chain, old_chain, &first);
    const struct hash last_id = world_id(&last), first_id = world_id(&first);
    assert_int_equal(chain_execute(old_chain, &last_id), BFT_VERDICT_VALID);
    assert_int_equal(chain_rules_missing(old_chain), 0);
    assert_int_equal(chain_execute(old_chain, &first_id), BFT_VERDICT_NOT_YET);
    assert_int_equal(chain_find(old_chain, &first_id)->state, CACHED_UNKNOWN);
    /* The others may need this node's vote for the last block of the old rules: it goes on until that
     * one is final, though it builds nothing on it. */
    assert_int_equal(chain_rules_missing(old_chain), 0);
    struct block_header none;
    assert_false(
        chain_build(old_chain, mempool, &none, 0, view + 1, last.view, &last_id, first.time));
    assert_int_equal(chain_rules_missing(old_chain), 0);
    assert_int_equal(chain_commit(old_chain, &last, NULL), STORE_OK);
    assert_int_equal(chain_rules_missing(old_chain), 2);
    assert_int_equal(chain_execute(old_chain, &first_id), BFT_VERDICT_NOT_YET);
    /* With a newer program the same home goes on. */
    chain_close(old_chain);
    old_chain = open_one(&memory[1]);
    assert_int_equal(chain_rules_missing(old_chain), 0);
    hand_over(chain, old_chain, &first);
    assert_int_equal(chain_execute(old_chain, &first_id), BFT_VERDICT_VALID);
}

/* The blocks up to the tip once more, on whatever `again` has. */
static void replay(struct chain *again)
{
    for (uint64_t height = chain_tip(again)->height + 1; height <= chain_tip(chain)->height;
         height++) {
        const struct hash id = world_id(&history[height]);
        assert_true(chain_add_body(again, &history[height],
                                   bytes_view_of(kept[height], sizes[height]), false));
        assert_int_equal(chain_execute(again, &id), BFT_VERDICT_VALID);
        assert_int_equal(chain_commit(again, &history[height], NULL), STORE_OK);
    }
    assert_memory_equal(&chain_tip(again)->state_root, &chain_tip(chain)->state_root, HASH_SIZE);
}

static void test_history_again(void **state)
{
    struct memory_backend fresh;
    (void)state;
    for (uint64_t nonce = 1; chain_tip(chain)->height < upgrade_height + 4; nonce++) {
        pay(nonce, nonce % 2 == 0 ? 5 : 2000);
        (void)grow();
    }
    /* The old program's home, with the new program. */
    chain_close(old_chain);
    old_chain = open_one(&memory[1]);
    assert_int_equal(chain_tip(old_chain)->height + 1, upgrade_height);
    replay(old_chain);
    /* All of it, from genesis. */
    memory_backend_init(&fresh);
    struct chain *again = open_one(&fresh);
    replay(again);
    chain_close(again);
    memory_backend_free(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_old_program_stops_before_the_height, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_block_that_is_not_final_is_no_verdict, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_history_again, set_up, tear_down),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
