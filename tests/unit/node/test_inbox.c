/* The loop's queue: order, lanes, shares of peers, bounds, links, and stopping. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/clock.h"
#include "node/inbox.h"

static struct inbox inbox;

static int open_inbox(void **state)
{
    (void)state;
    inbox_open(&inbox);
    return 0;
}

static int close_inbox(void **state)
{
    (void)state;
    inbox_close(&inbox);
    return 0;
}

static bool push_frame(int peer, const void *bytes, size_t size)
{
    struct node_event *event =
        inbox_admit_frame(&inbox, NODE_EVENT_FRAME, peer, bytes_view_of(bytes, size));
    if (event != NULL)
        inbox_push(&inbox, event);
    return event != NULL;
}

static bool push_transaction_of(int peer, struct node_call *call, size_t size)
{
    static const uint8_t zeros[LIMIT_TX_BYTES];
    struct node_event *event =
        inbox_admit_transaction(&inbox, peer, call, bytes_view_of(zeros, size));
    if (event != NULL)
        inbox_push(&inbox, event);
    return event != NULL;
}

static bool push_transaction(struct node_call *call, size_t size)
{
    return push_transaction_of(INBOX_NO_PEER, call, size);
}

static uint32_t release_all(struct node_event *event, uint32_t *resumes)
{
    uint32_t count = 0;
    while (event != NULL) {
        struct node_event *next = event->next;
        if (inbox_release(&inbox, event))
            (*resumes)++;
        event = next;
        count++;
    }
    return count;
}

static void consensus_goes_first_and_in_order(void **state)
{
    (void)state;
    assert_true(push_transaction(NULL, 10));
    assert_true(push_frame(3, "a", 1));
    assert_true(push_frame(1, "b", 1));
    struct node_event *batch = inbox_take(&inbox, 0);
    assert_non_null(batch);
    assert_int_equal(batch->bytes[0], 'a');
    assert_int_equal(batch->peer, 3);
    assert_int_equal(batch->next->bytes[0], 'b');
    assert_int_equal(batch->next->next->kind, NODE_EVENT_TRANSACTION);
    assert_int_equal(batch->next->next->size, 11);
    assert_null(batch->next->next->next);
    uint32_t resumes = 0;
    assert_int_equal(release_all(batch, &resumes), 3);
    assert_int_equal(resumes, 0);
    assert_null(inbox_take(&inbox, 0));
}

static void a_batch_leaves_room_for_transactions(void **state)
{
    (void)state;
    uint32_t resumes = 0;
    for (int i = 0; i < 2 * INBOX_BATCH_MAX; i++)
        assert_true(push_frame(0, "v", 1));
    for (int i = 0; i < INBOX_BATCH_MAX; i++)
        assert_true(push_transaction(NULL, 1));
    struct node_event *batch = inbox_take(&inbox, 0);
    uint32_t transactions = 0;
    for (const struct node_event *event = batch; event != NULL; event = event->next)
        transactions += event->kind == NODE_EVENT_TRANSACTION;
    assert_int_equal(transactions, INBOX_BATCH_MAX / 4);
    assert_int_equal(release_all(batch, &resumes), INBOX_BATCH_MAX);
    uint32_t rest = 0;
    for (batch = inbox_take(&inbox, 0); batch != NULL; batch = inbox_take(&inbox, 0))
        rest += release_all(batch, &resumes);
    assert_int_equal(rest, 2 * INBOX_BATCH_MAX);
}

static void a_flood_stalls_its_own_link_only(void **state)
{
    (void)state;
    uint32_t resumes = 0;
    uint32_t pushed = 0;
    while (push_frame(7, "x", 1))
        pushed++;
    assert_int_equal(pushed, INBOX_PEER_FRAMES_MAX);
    assert_true(push_frame(8, "y", 1));
    uint32_t released = 0;
    bool resumed = false;
    for (struct node_event *batch = inbox_take(&inbox, 0); batch != NULL;
         batch = inbox_take(&inbox, 0)) {
        released += release_all(batch, &resumes);
        if (resumes > 0 && !resumed) {
            resumed = true;
            /* Half of the share is free again by now, and not much more. */
            assert_true(released >= INBOX_PEER_FRAMES_MAX / 2);
            assert_true(released <= INBOX_PEER_FRAMES_MAX / 2 + INBOX_BATCH_MAX);
        }
    }
    assert_int_equal(released, INBOX_PEER_FRAMES_MAX + 1);
    assert_int_equal(resumes, 1);
    assert_true(push_frame(7, "x", 1));
    release_all(inbox_take(&inbox, 0), &resumes);
}

static void bytes_count_too(void **state)
{
    (void)state;
    uint32_t resumes = 0;
    uint8_t *large = calloc(1, LIMIT_FRAME_BYTES);
    assert_non_null(large);
    for (int i = 0; i < INBOX_PEER_BYTES_MAX / LIMIT_FRAME_BYTES; i++)
        assert_true(push_frame(2, large, LIMIT_FRAME_BYTES));
    assert_false(push_frame(2, large, 1));
    free(large);
    release_all(inbox_take(&inbox, 0), &resumes);
    assert_int_equal(resumes, 1);
}

static void transactions_have_one_bound(void **state)
{
    (void)state;
    uint32_t resumes = 0;
    uint32_t count = 0;
    while (push_transaction(NULL, LIMIT_TX_BYTES))
        count++;
    assert_int_equal(count, INBOX_TRANSACTION_BYTES_MAX / (LIMIT_TX_BYTES + 1));
    assert_true(push_frame(0, "v", 1)); /* votes don't mind */
    for (struct node_event *batch = inbox_take(&inbox, 0); batch != NULL;
         batch = inbox_take(&inbox, 0))
        release_all(batch, &resumes);
    count = 0;
    while (push_transaction(NULL, 1))
        count++;
    assert_int_equal(count, INBOX_TRANSACTIONS_MAX);
    for (struct node_event *batch = inbox_take(&inbox, 0); batch != NULL;
         batch = inbox_take(&inbox, 0))
        release_all(batch, &resumes);
}

static uint32_t fill_with(int peer, size_t size)
{
    uint32_t count = 0;
    while (push_transaction_of(peer, NULL, size))
        count++;
    return count;
}

/* One validator that floods must not keep out what traders post here, nor what others pass on. */
static void a_flood_of_transactions_takes_its_share_only(void **state)
{
    (void)state;
    uint32_t resumes = 0;
    uint32_t gossip = fill_with(0, 1);
    assert_int_equal(gossip, INBOX_PEER_TRANSACTIONS_MAX);
    assert_true(push_transaction_of(1, NULL, 1));
    gossip++;
    for (int peer = 1; peer < P2P_PEERS_MAX; peer++)
        gossip += fill_with(peer, 1);
    assert_int_equal(gossip, INBOX_GOSSIP_TRANSACTIONS_MAX);
    assert_int_equal(fill_with(INBOX_NO_PEER, 1), INBOX_TRANSACTIONS_MAX - gossip);
    while (release_all(inbox_take(&inbox, 0), &resumes) > 0) {
    }
    /* By bytes too, and all of it has been given back. */
    const uint32_t fit = INBOX_PEER_TRANSACTION_BYTES_MAX / (LIMIT_TX_BYTES + 1);
    assert_int_equal(fill_with(0, LIMIT_TX_BYTES), fit);
    assert_true(push_transaction_of(1, NULL, LIMIT_TX_BYTES));
    assert_true(push_transaction(NULL, LIMIT_TX_BYTES));
}

static void a_flapping_link_queues_one_event(void **state)
{
    (void)state;
    bool up = false;
    uint32_t changes = 0;
    uint32_t resumes = 0;
    for (int i = 0; i < 100; i++)
        inbox_push_link(&inbox, 5, i % 2 == 0);
    inbox_push_link(&inbox, 5, true);
    struct node_event *batch = inbox_take(&inbox, 0);
    assert_int_equal(batch->kind, NODE_EVENT_LINK);
    assert_null(batch->next);
    inbox_link(&inbox, 5, &up, &changes);
    assert_true(up);
    assert_int_equal(changes, 101);
    release_all(batch, &resumes);
    inbox_push_link(&inbox, 5, false);
    batch = inbox_take(&inbox, 0);
    assert_non_null(batch);
    inbox_link(&inbox, 5, &up, &changes);
    assert_false(up);
    release_all(batch, &resumes);
}

static void count_done(struct node_call *call)
{
    (*(int *)call->context)++;
}

static void what_is_left_over_is_answered(void **state)
{
    (void)state;
    static int done;
    static struct node_call calls[2];
    done = 0;
    for (int i = 0; i < 2; i++)
        calls[i] = (struct node_call){.done = count_done, .context = &done};
    assert_true(push_transaction(&calls[0], 5));
    inbox_push_lookup(&inbox, &calls[1]);
    inbox_close(&inbox);
    assert_int_equal(done, 2);
    assert_true(calls[0].unavailable && calls[1].unavailable);
    inbox_open(&inbox);
}

static void waiting_ends_at_the_deadline_or_the_stop(void **state)
{
    (void)state;
    uint64_t begin = node_clock_monotonic_ms();
    assert_null(inbox_take(&inbox, begin + 60));
    assert_true(node_clock_monotonic_ms() >= begin + 60);
    assert_false(inbox_is_stopping(&inbox));
    inbox_stop(&inbox);
    assert_null(inbox_take(&inbox, begin + 3600000));
    assert_true(inbox_is_stopping(&inbox));
}

enum { PAUSED_TRANSACTIONS = 500 };

/* Each one is pushed when the one before is taken, so most of them come into the loop's pause. */
static void *push_one_after_another(void *context)
{
    _Atomic uint32_t *taken = context;
    for (uint32_t i = 0; i < PAUSED_TRANSACTIONS; i++) {
        while (atomic_load(taken) < i)
            sched_yield();
        assert_true(push_transaction(NULL, 1));
    }
    return NULL;
}

static void a_transaction_of_the_pause_is_not_forgotten(void **state)
{
    (void)state;
    _Atomic uint32_t taken = 0;
    uint32_t resumes = 0;
    pthread_t pusher;
    assert_int_equal(pthread_create(&pusher, NULL, push_one_after_another, (void *)&taken), 0);
    while (atomic_load(&taken) < PAUSED_TRANSACTIONS) {
        /* NULL would be a wake-up that never came. */
        struct node_event *batch = inbox_take(&inbox, node_clock_monotonic_ms() + 60000);
        assert_non_null(batch);
        atomic_fetch_add(&taken, release_all(batch, &resumes));
    }
    assert_int_equal(pthread_join(pusher, NULL), 0);
    assert_null(inbox_take(&inbox, 0));
}

static void a_vote_takes_waiting_transactions_along(void **state)
{
    (void)state;
    uint32_t resumes = 0;
    assert_true(push_transaction(NULL, 1));
    assert_int_equal(release_all(inbox_take(&inbox, UINT64_MAX), &resumes), 1);
    assert_true(push_transaction(NULL, 1));
    assert_true(push_frame(0, "v", 1));
    struct node_event *batch = inbox_take(&inbox, UINT64_MAX);
    assert_int_equal(batch->kind, NODE_EVENT_FRAME);
    assert_int_equal(release_all(batch, &resumes), 2);
    /* A list that the workers hand back in one go stays in order and whole. */
    struct inbox_lane list = {NULL, NULL};
    for (size_t i = 0; i < 3; i++) {
        static const uint8_t zeros[3];
        struct node_event *event =
            inbox_admit_transaction(&inbox, 2, NULL, bytes_view_of(zeros, i + 1));
        assert_non_null(event);
        if (list.tail != NULL)
            list.tail->next = event;
        else
            list.head = event;
        list.tail = event;
    }
    assert_true(push_transaction(NULL, 9));
    inbox_push_transactions(&inbox, &list);
    batch = inbox_take(&inbox, UINT64_MAX);
    assert_int_equal(batch->size, 10);
    assert_int_equal(batch->next->size, 2);
    assert_int_equal(batch->next->next->size, 3);
    assert_int_equal(batch->next->next->next->size, 4);
    assert_int_equal(release_all(batch, &resumes), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(consensus_goes_first_and_in_order, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(a_batch_leaves_room_for_transactions, open_inbox,
                                        close_inbox),
        cmocka_unit_test_setup_teardown(a_flood_stalls_its_own_link_only, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(bytes_count_too, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(transactions_have_one_bound, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(a_flood_of_transactions_takes_its_share_only, open_inbox,
                                        close_inbox),
        cmocka_unit_test_setup_teardown(a_flapping_link_queues_one_event, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(a_transaction_of_the_pause_is_not_forgotten, open_inbox,
                                        close_inbox),
        cmocka_unit_test_setup_teardown(a_vote_takes_waiting_transactions_along, open_inbox,
                                        close_inbox),
        cmocka_unit_test_setup_teardown(what_is_left_over_is_answered, open_inbox, close_inbox),
        cmocka_unit_test_setup_teardown(waiting_ends_at_the_deadline_or_the_stop, open_inbox,
                                        close_inbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
