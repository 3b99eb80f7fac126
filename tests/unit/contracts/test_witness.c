/* Deleted witnesses: what stands in for one leads to the very same receipt and state, whatever became of the
 * proof; holds at its own place only, and at no other byte; and before a block is final nothing passes for a
 * witness but itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "contracts/witness.h"
#include "crypto/merkle.h"
#include "tests/lib/contracts/deal_fixture.h"

enum { BODY_BYTES = 4 * (LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES), RECEIPT_BYTES = 64 * 1024 };

static struct fixture fixture;
static struct delivery_witness witness;
static struct hash leaves[LIMIT_TX_PER_BLOCK + 1];

static void no_change(struct market_create *terms)
{
    (void)terms;
}

static void with_window(struct market_create *terms)
{
    terms->times.dispute_window = duration_of(2 * (int64_t)MS_PER_HOUR);
}

/* What a deal is brought to before its last proof, the same in every run. */
struct course {
    void (*terms)(struct market_create *terms);
    int64_t first;
    int64_t second;
    bool spoilt;   /* the witness is not the one of the fingerprints */
    bool disputed; /* a first proof, disputed, then this one by newer readings */
};

static void prepare(const struct course *course)
{
    deal_open(&fixture, course->terms);
    deal_deliver(&fixture, 1);
    if (course->disputed) {
        assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 0, 500, 300, &witness));
        assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
        assert_error(CONTRACT_OK, deal_dispute(&fixture, "dso", 1));
        fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    }
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, course->disputed ? 1 : 0, course->first,
                                           course->second, &witness));
    if (course->spoilt)
        witness.readings[1].salt[0] ^= 1;
}

/* One block's worth of bytes, as a node stores them. */
struct stored {
    uint8_t *body;
    size_t body_size;
    uint8_t *receipts;
    size_t receipts_size;
    struct hash receipt_root;
    struct hash digest; /* of the state behind it */
    enum contract_error status;
};

static void store_release(struct stored *stored)
{
    free(stored->body);
    free(stored->receipts);
}

static void add_receipt(struct byte_writer *writer, const struct receipt *receipt)
{
    static uint8_t bytes[RECEIPT_BYTES];
    struct byte_writer one;
    byte_writer_init(&one, bytes, sizeof bytes);
    codec_encode(&receipt_record, receipt, &one);
    assert_false(one.failed);
    byte_write_sized(writer, bytes, one.size);
}

/* A transfer, then the proof, then the block's end. */
static void run_with_witness(struct stored *out, const struct course *course)
{
    struct byte_writer body, receipts;
    struct hash three[3];
    prepare(course);
    out->body = malloc(BODY_BYTES);
    out->receipts = malloc(4 * RECEIPT_BYTES);
    assert_true(out->body != NULL && out->receipts != NULL);
    byte_writer_init(&body, out->body, BODY_BYTES);
    byte_writer_init(&receipts, out->receipts, 4 * RECEIPT_BYTES);
    byte_write_u32(&body, 2);
    byte_write_u32(&receipts, 3);
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(5)};
    assert_error(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    byte_write_sized(&body, fixture.envelope, fixture.envelope_size);
    add_receipt(&receipts, &fixture.receipt);
    receipt_leaf(&three[0], &fixture.receipt);
    out->status = market_prove(&fixture, "alice", 1, &witness);
    byte_write_sized(&body, fixture.envelope, fixture.envelope_size);
    add_receipt(&receipts, &fixture.receipt);
    receipt_leaf(&three[1], &fixture.receipt);
    fixture_end_block(&fixture);
    add_receipt(&receipts, &fixture.end_receipt);
    receipt_leaf(&three[2], &fixture.end_receipt);
    merkle_root(&out->receipt_root, three, 3);
    memory_state_digest(fixture.state, &out->digest);
    assert_false(body.failed || receipts.failed);
    out->body_size = body.size;
    out->receipts_size = receipts.size;
    fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
    fixture_close(&fixture);
}

static size_t strip(uint8_t *out, const struct stored *stored)
{
    struct byte_writer writer;
    byte_writer_init(&writer, out, BODY_BYTES);
    assert_true(body_strip(&writer, bytes_view_of(stored->body, stored->body_size),
                           bytes_view_of(stored->receipts, stored->receipts_size), leaves));
    return writer.size;
}

static bool holds(const uint8_t *body, size_t size, const struct stored *stored,
                  struct body_witnesses *witnesses)
{
    struct hash root, wanted;
    MUST(body_tx_root(&wanted, bytes_view_of(stored->body, stored->body_size), leaves));
    return body_kept_root(&root, witnesses, bytes_view_of(body, size), &stored->receipt_root,
                          leaves) &&
           hash_equal(&root, &wanted);
}

static const struct course courses[] = {
    {no_change, 500, 500, false, false},   {no_change, 580, 300, false, false},
    {no_change, 0, -80, false, false},     {no_change, 500, 500, true, false},
    {with_window, 500, 300, false, false}, {with_window, 400, 300, false, true},
};
enum { COURSES = sizeof courses / sizeof courses[0] };

/* The same block without its readings, on a ledger that never saw them. */
static void test_leads_to_the_same_state(void **state)
{
    (void)state;
    uint8_t *kept = malloc(BODY_BYTES);
    assert_non_null(kept);
    for (int i = 0; i < COURSES; i++) {
        struct stored stored;
        struct body_witnesses witnesses;
        struct body_reader reader;
        struct bytes_view envelope;
        struct hash three[3], root, digest;
        run_with_witness(&stored, &courses[i]);
        assert_int_equal(stored.status == CONTRACT_OK, !courses[i].spoilt);
        const size_t size = strip(kept, &stored);
        assert_true(holds(kept, size, &stored, &witnesses));
        assert_int_equal(witnesses.deleted, 1);
        assert_int_equal(witnesses.whole, 0);
        prepare(&courses[i]);
        const int64_t now = timestamp_ms(fixture.context.time);
        const bool waits = courses[i].terms == with_window && !courses[i].disputed;
        assert_int_equal(timestamp_ms(witnesses.last_final),
                         courses[i].spoilt ? 0 : now + (waits ? 2 * MS_PER_HOUR : 0));
        assert_true(body_open(&reader, bytes_view_of(kept, size)));
        for (int t = 0; body_next(&reader, &envelope); t++) {
            struct transaction transaction;
            struct receipt receipt;
            assert_error(CONTRACT_OK, transaction_decode_kept(&transaction, envelope));
            assert_true(transaction_signature_is_valid(&transaction));
            assert_error(CONTRACT_OK,
                         ledger_transaction_apply(fixture.ledger, &transaction, &receipt));
            receipt_leaf(&three[t], &receipt);
        }
        fixture_end_block(&fixture);
        receipt_leaf(&three[2], &fixture.end_receipt);
        merkle_root(&root, three, 3);
        assert_true(hash_equal(&root, &stored.receipt_root));
        memory_state_digest(fixture.state, &digest);
        assert_true(hash_equal(&digest, &stored.digest));
        fixture_begin_block(&fixture, FIXTURE_BLOCK_MS);
        fixture_close(&fixture);
        store_release(&stored);
    }
    free(kept);
}

/* Nothing of the readings is left, and stripping twice is stripping once. */
static void test_nothing_is_left(void **state)
{
    (void)state;
    struct stored stored;
    uint8_t *kept = malloc(BODY_BYTES), *again = malloc(BODY_BYTES);
    struct byte_writer writer;
    assert_true(kept != NULL && again != NULL);
    run_with_witness(&stored, &courses[0]);
    const struct bytes_view body = bytes_view_of(stored.body, stored.body_size);
    assert_true(body_has_witness(body) && !body_has_stand_in(body));
    const size_t size = strip(kept, &stored);
    assert_true(!body_has_witness(bytes_view_of(kept, size)));
    assert_true(body_has_stand_in(bytes_view_of(kept, size)));
    for (int i = 0; i < MARKET_UNITS; i++) {
        const struct signature *signature = &witness.readings[i].reading.signature;
        assert_non_null(memmem(stored.body, stored.body_size, signature, SIGNATURE_SIZE));
        assert_null(memmem(kept, size, signature, SIGNATURE_SIZE));
    }
    byte_writer_init(&writer, again, BODY_BYTES);
    assert_true(body_strip(&writer, bytes_view_of(kept, size),
                           bytes_view_of(stored.receipts, stored.receipts_size), leaves));
    assert_int_equal(writer.size, size);
    assert_memory_equal(again, kept, size);
    /* No room, or receipts of another block: nothing is said. */
    byte_writer_init(&writer, again, size - 1);
    assert_false(
        body_strip(&writer, body, bytes_view_of(stored.receipts, stored.receipts_size), leaves));
    byte_writer_init(&writer, again, BODY_BYTES);
    assert_false(body_strip(&writer, body, bytes_view_of(stored.receipts, stored.receipts_size - 1),
                            leaves));
    store_release(&stored);
    free(kept);
    free(again);
}

/* Every byte of the stand-in counts, and so does every length. */
static void test_nobody_can_make_another(void **state)
{
    (void)state;
    struct stored stored;
    struct body_witnesses witnesses;
    uint8_t *kept = malloc(BODY_BYTES);
    assert_non_null(kept);
    run_with_witness(&stored, &courses[1]);
    const size_t size = strip(kept, &stored);
    assert_true(holds(kept, size, &stored, &witnesses));
    for (size_t at = 0; at < size; at++) {
        for (int bit = 0; bit < 8; bit += 7) {
            kept[at] ^= (uint8_t)(1 << bit);
            if (holds(kept, size, &stored, &witnesses))
                fail_msg("byte %zu of %zu, bit %d", at, size, bit);
            kept[at] ^= (uint8_t)(1 << bit);
        }
    }
    for (size_t cut = 0; cut < size; cut++)
        assert_false(holds(kept, cut, &stored, &witnesses));
    /* Under another block's receipts it says nothing. */
    stored.receipt_root.bytes[0] ^= 1;
    assert_false(holds(kept, size, &stored, &witnesses));
    store_release(&stored);
    free(kept);
}

/* Before a block is final the door is as narrow as ever: neither a stand-in nor nothing is a witness. */
static void test_only_kept_blocks_may_lack_it(void **state)
{
    (void)state;
    struct stored stored;
    struct hash root;
    struct body_reader reader;
    struct bytes_view envelope;
    struct transaction transaction;
    uint8_t *kept = malloc(BODY_BYTES);
    assert_non_null(kept);
    run_with_witness(&stored, &courses[0]);
    const size_t size = strip(kept, &stored);
    assert_false(body_tx_root(&root, bytes_view_of(kept, size), leaves));
    assert_true(body_open(&reader, bytes_view_of(kept, size)));
    assert_true(body_next(&reader, &envelope));
    assert_error(CONTRACT_OK, transaction_decode(&transaction, envelope));
    assert_true(body_next(&reader, &envelope));
    assert_error(CONTRACT_TX_OVERSIZED, transaction_decode(&transaction, envelope));
    assert_error(CONTRACT_OK, transaction_decode_kept(&transaction, envelope));
    /* A stand-in of no bytes, and one for a transaction that never had a witness. */
    uint8_t bytes[4096];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    transaction_write_stripped(&writer, &transaction, bytes_view_of("x", 1));
    bytes[writer.size - 2] = 0;
    assert_error(CONTRACT_TX_MALFORMED,
                 transaction_decode_kept(&transaction, bytes_view_of(bytes, writer.size - 1)));
    assert_true(body_open(&reader, bytes_view_of(kept, size)));
    assert_true(body_next(&reader, &envelope));
    assert_error(CONTRACT_OK, transaction_decode(&transaction, envelope));
    byte_writer_init(&writer, bytes, sizeof bytes);
    transaction_write_stripped(&writer, &transaction, bytes_view_of("x", 1));
    assert_error(CONTRACT_TX_BAD_WITNESS,
                 transaction_decode_kept(&transaction, bytes_view_of(bytes, writer.size)));
    store_release(&stored);
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leads_to_the_same_state),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_nobody_can_make_another),
        cmocka_unit_test(test_only_kept_blocks_may_lack_it),
    };
    return crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
