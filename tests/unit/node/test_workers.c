/* Workers and the cache of verified signatures: each signature once, bad ones found wherever they
 * stand in a block, nothing lost at a stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/message.h"
#include "contracts/actions.h"
#include "contracts/body.h"
#include "node/clock.h"
#include "node/workers.h"

enum { TRANSACTIONS = 120, ENVELOPE_MAX = 512, WAIT_MS = 10000 };

static struct inbox inbox;
static struct verify_cache cache;
static struct node_metrics metrics;
static struct secret_key secret;
static uint8_t envelopes[TRANSACTIONS][ENVELOPE_MAX];
static size_t envelope_sizes[TRANSACTIONS];
static uint8_t frame[256 * 1024];

static int make_transactions(void **state)
{
    (void)state;
    if (!crypto_init())
        return -1;
    memset(&secret, 7, sizeof secret);
    for (uint32_t i = 0; i < TRANSACTIONS; i++) {
        struct token_transfer transfer = {.amount = money_of(1 + (int64_t)i)};
        struct transaction_draft draft = {.nonce = i + 1,
                                          .valid_until = timestamp_of(1767571200000),
                                          .fee_limit = money_of(1000),
                                          .action_count = 1};
        struct byte_writer writer;
        if (!name_from_text(&transfer.to, "bob", 3))
            return -1;
        draft.actions[0].type = ACTION_TOKEN_TRANSFER;
        draft.actions[0].record = &transfer;
        byte_writer_init(&writer, envelopes[i], ENVELOPE_MAX);
        if (!transaction_sign(&writer, &draft, &secret) || writer.failed)
            return -1;
        envelope_sizes[i] = writer.size;
    }
    return 0;
}

static int open_all(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof metrics);
    inbox_open(&inbox);
    return verify_cache_open(&cache) ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    inbox_close(&inbox);
    verify_cache_close(&cache);
    return 0;
}

/* A BLOCK frame of `count` transactions; the signature of number `broken` is spoilt (-1: of none). */
static size_t block_frame(uint32_t count, int broken)
{
    static uint8_t body[200 * 1024];
    struct byte_writer writer;
    byte_writer_init(&writer, body, sizeof body);
    byte_write_u32(&writer, count);
    for (uint32_t i = 0; i < count; i++) {
        size_t at = writer.size + 4;
        byte_write_sized(&writer, envelopes[i], envelope_sizes[i]);
        if ((int)i == broken) /* the last byte of the signature; the empty witness is behind it */
            body[at + envelope_sizes[i] - 5] ^= 1;
    }
    struct message_block block;
    memset(&block, 0, sizeof block);
    block.header.version = BLOCK_HEADER_VERSION;
    block.header.height = 1;
    block.header.view = 1;
    block.body = bytes_view_of(body, writer.size);
    struct byte_writer out;
    byte_writer_init(&out, frame, sizeof frame);
    message_encode_block(&out, &block);
    assert_false(writer.failed || out.failed);
    return out.size;
}

static struct node_event *next_event(void)
{
    struct node_event *event = inbox_take(&inbox, node_clock_monotonic_ms() + WAIT_MS);
    assert_non_null(event);
    return event;
}

static bool check_block(struct workers *workers, uint32_t count, int broken)
{
    size_t size = block_frame(count, broken);
    struct node_event *event =
        inbox_admit_frame(&inbox, NODE_EVENT_BODIES, 0, bytes_view_of(frame, size));
    assert_non_null(event);
    workers_bodies(workers, event);
    event = next_event();
    assert_null(event->next);
    assert_int_equal(event->kind, NODE_EVENT_BODIES);
    assert_int_equal(event->parts, 0);
    bool good = !event->bad;
    (void)inbox_release(&inbox, event);
    return good;
}

static void submit(struct workers *workers, uint32_t index, int peer, struct node_call *call)
{
    struct node_event *event = inbox_admit_transaction(
        &inbox, peer, call, bytes_view_of(envelopes[index], envelope_sizes[index]));
    assert_non_null(event);
    workers_transactions(workers, event);
}

static void a_bad_signature_is_found_anywhere(void **state)
{
    (void)state;
    struct workers *workers = workers_start(3, &inbox, &cache, &metrics);
    assert_non_null(workers);
    assert_true(block_frame(TRANSACTIONS, -1) > 16 * 1024); /* more than one part */
    static const int places[] = {0, 1, 2, 59, TRANSACTIONS - 2, TRANSACTIONS - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        assert_false(check_block(workers, TRANSACTIONS, places[i]));
    assert_true(check_block(workers, TRANSACTIONS, -1));
    assert_true(check_block(workers, 0, -1));
    workers_stop(workers);
}

static void a_known_signature_is_not_verified_again(void **state)
{
    (void)state;
    struct workers *workers = workers_start(2, &inbox, &cache, &metrics);
    assert_true(check_block(workers, 40, -1));
    assert_int_equal(metric_read(&metrics.signatures_verified), 40);
    assert_true(check_block(workers, 40, -1));
    assert_int_equal(metric_read(&metrics.signatures_verified), 40);
    assert_int_equal(metric_read(&metrics.signatures_cached), 40);
    /* The same body under a spoilt signature is another thing. */
    assert_false(check_block(workers, 40, 5));
    workers_stop(workers);
}

static void a_malformed_frame_is_bad(void **state)
{
    (void)state;
    struct workers *workers = workers_start(2, &inbox, &cache, &metrics);
    size_t size = block_frame(3, -1);
    for (size_t cut = 1; cut < size; cut += 37) {
        struct node_event *event =
            inbox_admit_frame(&inbox, NODE_EVENT_BODIES, 0, bytes_view_of(frame, cut));
        workers_bodies(workers, event);
        event = next_event();
        assert_true(event->bad);
        (void)inbox_release(&inbox, event);
    }
    workers_stop(workers);
}

static void copies_of_a_transaction_end_at_the_workers(void **state)
{
    (void)state;
    static struct node_call call;
    struct workers *workers = workers_start(1, &inbox, &cache, &metrics);
    submit(workers, 0, 1, NULL);
    struct node_event *first = next_event();
    assert_int_equal(first->error, CONTRACT_OK);
    assert_int_equal(first->transaction.nonce, 1);
    submit(workers, 0, 2, NULL);   /* dropped */
    submit(workers, 0, -1, &call); /* who posts gets an answer all the same */
    struct node_event *second = next_event();
    assert_ptr_equal(second->call, &call);
    assert_null(second->next);
    assert_int_equal(metric_read(&metrics.signatures_verified), 1);
    /* The mempool refused it: the next copy is welcome. */
    verify_cache_unsubmit(&cache, &first->leaf);
    submit(workers, 0, 2, NULL);
    struct node_event *third = next_event();
    assert_int_equal(third->peer, 2);
    (void)inbox_release(&inbox, first);
    (void)inbox_release(&inbox, second);
    (void)inbox_release(&inbox, third);
    workers_stop(workers);
}

/* A peer's bundle with one bad signature in it: each comes back once, with a verdict of its own. */
static void a_bundle_is_verified_one_by_one(void **state)
{
    (void)state;
    struct workers *workers = workers_start(3, &inbox, &cache, &metrics);
    struct node_event *bundle = NULL;
    struct node_event **end = &bundle;
    for (uint32_t i = 0; i < TRANSACTIONS; i++) {
        struct node_event *event = inbox_admit_transaction(
            &inbox, 4, NULL, bytes_view_of(envelopes[i], envelope_sizes[i]));
        assert_non_null(event);
        if (i == 17)
            event->bytes[1 + envelope_sizes[i] - 5] ^= 0x80;
        *end = event;
        end = &event->next;
    }
    workers_transactions(workers, bundle);
    static uint32_t seen[TRANSACTIONS + 1];
    memset(seen, 0, sizeof seen);
    uint32_t bad = 0;
    for (uint32_t count = 0; count < TRANSACTIONS;) {
        for (struct node_event *event = next_event(); event != NULL; count++) {
            struct node_event *next = event->next;
            assert_true(event->transaction.nonce <= TRANSACTIONS);
            seen[event->transaction.nonce]++;
            bad += event->error == CONTRACT_TX_BAD_SIGNATURE;
            (void)inbox_release(&inbox, event);
            event = next;
        }
    }
    for (uint32_t nonce = 1; nonce <= TRANSACTIONS; nonce++)
        assert_int_equal(seen[nonce], 1);
    assert_int_equal(bad, 1);
    workers_stop(workers);
}

static void refusals_carry_their_reason(void **state)
{
    (void)state;
    struct workers *workers = workers_start(1, &inbox, &cache, &metrics);
    static const uint8_t nonsense[] = {1, 2, 3};
    struct node_event *event =
        inbox_admit_transaction(&inbox, 0, NULL, bytes_view_of(nonsense, sizeof nonsense));
    workers_transactions(workers, event);
    event = next_event();
    assert_int_equal(event->error, CONTRACT_TX_MALFORMED);
    (void)inbox_release(&inbox, event);
    uint8_t forged[ENVELOPE_MAX];
    memcpy(forged, envelopes[3], envelope_sizes[3]);
    forged[envelope_sizes[3] - 5] ^= 0x80;
    event = inbox_admit_transaction(&inbox, 0, NULL, bytes_view_of(forged, envelope_sizes[3]));
    workers_transactions(workers, event);
    event = next_event();
    assert_int_equal(event->error, CONTRACT_TX_BAD_SIGNATURE);
    (void)inbox_release(&inbox, event);
    workers_stop(workers);
}

static void count_done(struct node_call *call)
{
    atomic_fetch_add((_Atomic int *)call->context, 1);
}

static void a_stop_answers_every_call_once(void **state)
{
    (void)state;
    static struct node_call calls[TRANSACTIONS];
    _Atomic int done = 0;
    struct workers *workers = workers_start(2, &inbox, &cache, &metrics);
    for (uint32_t i = 0; i < TRANSACTIONS; i++) {
        calls[i] = (struct node_call){.done = count_done, .context = (void *)&done};
        submit(workers, i, INBOX_NO_PEER, &calls[i]);
    }
    workers_stop(workers);
    int verified = 0;
    for (struct node_event *batch = inbox_take(&inbox, 0); batch != NULL;
         batch = inbox_take(&inbox, 0)) {
        while (batch != NULL) {
            struct node_event *next = batch->next;
            batch->call->done(batch->call);
            verified++;
            (void)inbox_release(&inbox, batch);
            batch = next;
        }
    }
    assert_int_equal(atomic_load(&done), TRANSACTIONS);
    int unavailable = 0;
    for (uint32_t i = 0; i < TRANSACTIONS; i++)
        unavailable += calls[i].unavailable;
    assert_int_equal(unavailable + verified, TRANSACTIONS);
}

static void the_cache_forgets_but_never_lies(void **state)
{
    (void)state;
    struct hash a;
    struct hash b;
    memset(&a, 1, sizeof a);
    b = a;
    b.bytes[31] = 9; /* the same slot, another leaf */
    assert_false(verify_cache_has(&cache, &a));
    verify_cache_add(&cache, &a);
    assert_true(verify_cache_has(&cache, &a));
    assert_true(verify_cache_submit(&cache, &a));
    assert_false(verify_cache_submit(&cache, &a));
    verify_cache_add(&cache, &a); /* adding again doesn't reset the mark */
    assert_false(verify_cache_submit(&cache, &a));
    assert_false(verify_cache_has(&cache, &b));
    verify_cache_add(&cache, &b);
    assert_true(verify_cache_has(&cache, &b));
    assert_false(verify_cache_has(&cache, &a));
    assert_true(verify_cache_submit(&cache, &a)); /* pushed out: counts as new */
    assert_true(verify_cache_submit(&cache, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bad_signature_is_found_anywhere, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_known_signature_is_not_verified_again, open_all,
                                        close_all),
        cmocka_unit_test_setup_teardown(a_malformed_frame_is_bad, open_all, close_all),
        cmocka_unit_test_setup_teardown(copies_of_a_transaction_end_at_the_workers, open_all,
                                        close_all),
        cmocka_unit_test_setup_teardown(a_bundle_is_verified_one_by_one, open_all, close_all),
        cmocka_unit_test_setup_teardown(refusals_carry_their_reason, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_stop_answers_every_call_once, open_all, close_all),
        cmocka_unit_test_setup_teardown(the_cache_forgets_but_never_lies, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, make_transactions, NULL);
}
