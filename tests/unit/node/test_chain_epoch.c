/* Epochs as the chain sees them: a boundary block, the empty blocks above it, what is stored with it,
 * and the first block of the next epoch (docs/spec/consensus.md, "Epochs"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/body.h"
#include "contracts/module.h"
#include "node/chain_internal.h"
#include "node/evidence.h"
#include "tests/lib/node/chain_world.h"

static struct genesis genesis;
static struct memory_backend memory;
static struct chain *chain;
static struct mempool *mempool;

static int set_up(void **state)
{
    const struct mempool_limits limits = {0, 0};
    char problem[160];
    (void)state;
    world_genesis(&genesis);
    memory_backend_init(&memory);
    const struct chain_backend backend = memory_backend_face(&memory);
    chain = chain_open(&genesis, &backend, problem);
    mempool = mempool_create(&limits);
    return chain == NULL || mempool == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    mempool_destroy(mempool);
    chain_close(chain);
    memory_backend_free(&memory);
    return 0;
}

static void submit(const struct world_tx *tx)
{
    assert_int_equal(mempool_add(mempool, &tx->transaction), CONTRACT_OK);
}

static void submit_vote(const char *sender)
{
    struct world_tx tx;
    const struct governance_vote action = {.proposal = 1, .approve = 1};
    world_sign(&tx, sender, 1, ACTION_GOVERNANCE_VOTE, &action);
    submit(&tx);
}

static void submit_proposal(void)
{
    struct world_tx tx;
    struct governance_propose action;
    struct secret_key seed;
    struct hash message;
    const struct hash id = world_genesis_id();
    memset(&action, 0, sizeof action);
    memset(seed.bytes, 9, sizeof seed.bytes);
    action.kind = PROPOSAL_ADD_VALIDATOR;
    ed25519_public_key(&action.new_key, &seed);
    action.operator_name = world_name("alice");
    membership_key_proof_message(&message, &id, &action.operator_name, &action.new_key);
    ed25519_sign(&action.proof, &seed, &message);
    world_sign(&tx, "agg", 1, ACTION_GOVERNANCE_PROPOSE, &action);
    submit(&tx);
}

static uint32_t body_count(const struct block_header *header)
{
    struct block_header found;
    struct bytes_view body;
    const struct hash id = world_id(header);
    assert_true(chain_body(chain, &id, &found, &body));
    return body.size == 4 ? 0 : 1;
}

/* Money for those who act, then a block in which their votes pass. */
static struct block_header make_boundary(void)
{
    static const char *const funded[] = {"agg", "agg2", "dso", "alice"};
    struct world_tx tx;
    for (uint64_t i = 0; i < sizeof funded / sizeof funded[0]; i++) {
        world_mint(&tx, i + 1, funded[i], 1000000);
        submit(&tx);
    }
    const struct block_header first = world_build(chain, mempool, NULL, 1);
    assert_int_equal(chain_commit(chain, &first, NULL), STORE_OK);
    chain_tell_mempool(chain, mempool);
    submit_proposal();
    const struct block_header proposed = world_build(chain, mempool, NULL, 2);
    assert_int_equal(chain_commit(chain, &proposed, NULL), STORE_OK);
    chain_tell_mempool(chain, mempool);
    assert_memory_equal(&proposed.next_set, &first.next_set, HASH_SIZE);
    submit_vote("dso");
    submit_vote("agg2");
    const struct block_header boundary = world_build(chain, mempool, NULL, 3);
    assert_memory_not_equal(&boundary.next_set, &first.next_set, HASH_SIZE);
    return boundary;
}

static void test_above_a_boundary(void **state)
{
    (void)state;
    struct world_tx tx;
    struct block_header next;
    const struct block_header boundary = make_boundary();
    const struct hash id = world_id(&boundary);
    world_transfer(&tx, "alice", 1, "bob", 5);
    submit(&tx);
    /* The next epoch does not begin before the boundary is committed. */
    assert_int_equal(chain_next_epoch(chain), 0);
    assert_false(chain_build(chain, mempool, &next, 1, 4, 3, &id, boundary.time));
    const struct block_header above = world_build(chain, mempool, &boundary, 4);
    assert_int_equal(above.epoch, 0);
    assert_int_equal(body_count(&above), 0);
    assert_memory_equal(&above.next_set, &boundary.next_set, HASH_SIZE);
    /* The same with a transaction in it, from somebody who does not keep the rule. */
    struct block_header full = above;
    uint8_t body[8 + WORLD_ENVELOPE_BYTES];
    struct byte_writer writer;
    struct hash scratch[4];
    byte_writer_init(&writer, body, sizeof body);
    byte_write_u32(&writer, 1);
    byte_write_sized(&writer, tx.transaction.envelope.data, tx.transaction.envelope.size);
    assert_true(body_tx_root(&full.tx_root, bytes_view_of(body, writer.size), scratch));
    assert_true(chain_add_body(chain, &full, bytes_view_of(body, writer.size), false));
    const struct hash full_id = world_id(&full);
    assert_int_equal(chain_execute(chain, &full_id), BFT_VERDICT_INVALID);
    /* Final through the block above it: both are stored with the boundary, and the set behind it. */
    uint8_t header[BLOCK_HEADER_SIZE];
    struct certificate certificate = {.kind = VOTE_FINALIZE, .view = 4, .count = 3};
    certificate.block_id = world_id(&above);
    certificate.entries[1].signer = 1;
    certificate.entries[2].signer = 2;
    block_header_encode(header, &above);
    assert_int_equal(
        chain_commit_boundary(chain, &boundary, &certificate, bytes_view_of(header, sizeof header)),
        STORE_OK);
    chain_tell_mempool(chain, mempool);
    struct finality finality;
    struct validator_set set;
    chain_next_validators(chain, &set);
    assert_int_equal(set.count, 5);
    assert_true(finality_decode(&finality, chain_last_commit(chain)->certificate));
    assert_true(finality.ends_epoch);
    assert_memory_equal(&finality.next_set, &set, sizeof set);
    assert_int_equal(finality.headers.size, BLOCK_HEADER_SIZE);
    assert_memory_equal(finality.headers.data, header, sizeof header);
    /* Now the next epoch, with what waited; and nothing more of the old one. */
    assert_int_equal(chain_next_epoch(chain), 1);
    assert_false(chain_build(chain, mempool, &next, 0, 5, 3, &id, boundary.time));
    assert_true(chain_build(chain, mempool, &next, 1, 5, 3, &id, boundary.time));
    assert_int_equal(body_count(&next), 1);
    assert_int_equal(chain_commit(chain, &next, NULL), STORE_OK);
    assert_int_equal(world_balance(chain, "bob"), 5);
}

static void test_evidence_is_bounded_and_in_order(void **state)
{
    (void)state;
    static struct node_evidence evidence;
    struct governance_evidence held[NODE_EVIDENCE_MAX];
    struct validator_set set;
    chain_next_validators(chain, &set);
    node_evidence_open(&evidence);
    struct vote low = {.kind = VOTE_NOTARIZE, .view = 7, .signer = 2};
    struct vote high = low;
    memset(low.block_id.bytes, 1, HASH_SIZE);
    memset(high.block_id.bytes, 2, HASH_SIZE);
    node_evidence_add(&evidence, &set, &high, &low);
    node_evidence_add(&evidence, &set, &low, &high);
    assert_int_equal(node_evidence_read(&evidence, held), 1);
    assert_memory_equal(&held[0].first.block_id, &low.block_id, HASH_SIZE);
    assert_memory_equal(&held[0].key, &set.validators[2].key, PUBLIC_KEY_SIZE);
    struct vote nullify = {.kind = VOTE_NULLIFY, .view = 8, .signer = 1};
    struct vote finalize = high;
    finalize.kind = VOTE_FINALIZE;
    finalize.view = 8;
    finalize.signer = 1;
    node_evidence_add(&evidence, &set, &finalize, &nullify);
    assert_int_equal(node_evidence_read(&evidence, held), 2);
    assert_int_equal(held[1].first.kind, VOTE_NULLIFY);
    for (uint64_t view = 100; view < 300; view++) {
        low.view = high.view = view;
        node_evidence_add(&evidence, &set, &low, &high);
    }
    /* However much one liar says, its first and its latest lie are kept, and there is room for others. */
    assert_int_equal(node_evidence_read(&evidence, held), 3);
    assert_int_equal(held[0].view, 7);
    assert_int_equal(held[2].view, 299);
    low.signer = high.signer = 3;
    node_evidence_add(&evidence, &set, &low, &high);
    assert_int_equal(node_evidence_read(&evidence, held), 4);
    assert_memory_equal(&held[3].key, &set.validators[3].key, PUBLIC_KEY_SIZE);
    /* Keys without number, epoch by epoch, fill the list and no more. */
    for (uint32_t key = 0; key < 2 * NODE_EVIDENCE_MAX; key++) {
        memcpy(set.validators[3].key.bytes, &key, sizeof key);
        node_evidence_add(&evidence, &set, &low, &high);
    }
    assert_int_equal(node_evidence_read(&evidence, held), NODE_EVIDENCE_MAX);
    assert_int_equal(held[0].view, 7);
    node_evidence_close(&evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_above_a_boundary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evidence_is_bounded_and_in_order, set_up, tear_down),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
