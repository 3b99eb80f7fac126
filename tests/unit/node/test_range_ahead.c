/* Ranges asked ahead: what is asked of whom by hand, then a slow model in which a core that knows only its
 * own rules syncs from peers that are fast, slow, silent, short of room, liars, or all of it by turns.
 *
 * The model keeps every question and every answer in lists and asks of each word of the module whether the
 * lists allow it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/range_ahead.h"

/* --- by hand --------------------------------------------------------------------------------------- */

static struct range_ahead ahead;
static struct range_ahead_kept kept;

static void begin(uint32_t peers, uint64_t claim)
{
    range_ahead_close(&ahead);
    range_ahead_init(&ahead);
    for (uint32_t peer = 0; peer < peers; peer++) {
        range_ahead_link(&ahead, peer, true);
        range_ahead_claim(&ahead, peer, claim);
    }
}

static enum range_ahead_word want(uint64_t height, int peer, uint64_t now_ms)
{
    uint32_t count = LIMIT_RANGE_BLOCKS;
    return range_ahead_want(&ahead, &kept, height, &count, peer, now_ms);
}

static void next_is(uint32_t peer, uint64_t height, uint32_t count, uint64_t now_ms)
{
    struct range_ahead_question question;
    assert_true(range_ahead_next(&ahead, &question, now_ms));
    assert_int_equal(question.peer, peer);
    assert_int_equal(question.height, height);
    assert_int_equal(question.count, count);
}

static void next_is_none(uint64_t now_ms)
{
    struct range_ahead_question question;
    assert_false(range_ahead_next(&ahead, &question, now_ms));
}

static enum range_ahead_fate answer(uint32_t peer, uint64_t height, uint32_t count, uint64_t now_ms)
{
    static const uint8_t bytes[100];
    return range_ahead_answer(&ahead, peer, height, count, bytes_view_of(bytes, sizeof bytes),
                              now_ms);
}

static void take(uint32_t peer)
{
    assert_int_equal(kept.peer, peer);
    assert_int_equal(kept.size, 100);
    free(kept.bytes);
}

static void others_are_asked_for_what_follows(void **state)
{
    (void)state;
    begin(3, 1000);
    assert_int_equal(want(1, 1, 5), RANGE_AHEAD_ASK);
    next_is(0, 65, 64, 5);
    next_is(2, 129, 64, 5);
    next_is_none(5);
    assert_int_equal(answer(2, 129, 64, 6), RANGE_AHEAD_KEPT);
    next_is(2, 193, 64, 6);
    assert_int_equal(answer(1, 1, 64, 7), RANGE_AHEAD_TO_CORE);
    range_ahead_passed(&ahead, 64, 7);
    assert_int_equal(want(65, 2, 7), RANGE_AHEAD_WAIT);
    assert_int_equal(answer(0, 65, 64, 8), RANGE_AHEAD_TO_CORE);
    range_ahead_passed(&ahead, 128, 8);
    assert_int_equal(want(129, 2, 8), RANGE_AHEAD_TAKE);
    take(2);
    assert_int_equal(range_ahead_bytes(&ahead), LIMIT_FRAME_BYTES);
}

static void nobody_else_means_nothing_ahead(void **state)
{
    (void)state;
    begin(1, 1000);
    assert_int_equal(want(1, 0, 5), RANGE_AHEAD_ASK);
    next_is_none(5);
    next_is_none(600); /* late, and still nobody else: the core's own timer asks again */
    assert_int_equal(range_ahead_deadline_ms(&ahead), UINT64_MAX);
    assert_int_equal(want(1, 0, 600), RANGE_AHEAD_ASK);
    assert_int_equal(answer(0, 1, 64, 700), RANGE_AHEAD_TO_CORE);
}

static void who_is_not_far_behind_asks_one_peer(void **state)
{
    (void)state;
    begin(3, 64);
    assert_int_equal(want(1, 0, 5), RANGE_AHEAD_ASK);
    next_is_none(5);
    begin(3, 128);
    assert_int_equal(want(1, 0, 5), RANGE_AHEAD_ASK);
    next_is(1, 65, 64, 5);
    next_is_none(5);
    /* A core that has asked for nothing gets nothing. */
    begin(3, 1000);
    next_is_none(5);
}

static void the_share_of_a_silent_peer_goes_to_another(void **state)
{
    (void)state;
    begin(3, 200);
    assert_int_equal(want(1, 0, 0), RANGE_AHEAD_ASK);
    next_is(1, 65, 64, 0);
    next_is(2, 129, 64, 0);
    assert_int_equal(range_ahead_deadline_ms(&ahead), RANGE_AHEAD_WAIT_FIRST_MS);
    assert_int_equal(answer(2, 129, 64, 40), RANGE_AHEAD_KEPT);
    /* Measured now: three times the fastest's time. */
    assert_int_equal(range_ahead_deadline_ms(&ahead), 120);
    next_is_none(119);
    next_is(2, 1, 64, 120); /* what the core waits for comes first */
    assert_int_equal(answer(2, 1, 64, 130), RANGE_AHEAD_TO_CORE);
    range_ahead_passed(&ahead, 64, 130);
    next_is(2, 65, 64, 130);
    assert_int_equal(want(65, 1, 131), RANGE_AHEAD_WAIT);
    assert_int_equal(answer(2, 65, 64, 140), RANGE_AHEAD_TO_CORE);
    range_ahead_passed(&ahead, 128, 140);
    assert_int_equal(want(129, 1, 140), RANGE_AHEAD_TAKE);
    take(2);
    /* Late, and no fault: it is the core's to pass over, as ever. */
    assert_int_equal(answer(1, 65, 64, 3000), RANGE_AHEAD_TO_CORE);
}

static void short_answers_leave_a_gap_and_are_learnt(void **state)
{
    (void)state;
    begin(2, 1000);
    assert_int_equal(want(1, 0, 0), RANGE_AHEAD_ASK);
    next_is(1, 65, 64, 0);
    assert_int_equal(answer(1, 65, 10, 1), RANGE_AHEAD_KEPT);
    next_is(1, 75, 10, 1);
    uint32_t count = LIMIT_RANGE_BLOCKS;
    /* The core's own questions end where something is held or asked for. */
    assert_int_equal(range_ahead_want(&ahead, &kept, 40, &count, 0, 2), RANGE_AHEAD_ASK);
    assert_int_equal(count, 25);
    assert_int_equal(answer(1, 75, 10, 2), RANGE_AHEAD_KEPT);
    next_is(1, 85, 20, 2);
}

static void a_peer_that_goes_leaves_nothing(void **state)
{
    (void)state;
    begin(2, 1000);
    assert_int_equal(want(1, 0, 0), RANGE_AHEAD_ASK);
    next_is(1, 65, 64, 0);
    assert_int_equal(answer(1, 65, 64, 1), RANGE_AHEAD_KEPT);
    next_is(1, 129, 64, 1);
    range_ahead_link(&ahead, 1, false);
    assert_int_equal(range_ahead_bytes(&ahead), 0);
    next_is_none(2);
    range_ahead_link(&ahead, 1, true);
    next_is_none(3); /* it has claimed nothing as yet */
    range_ahead_claim(&ahead, 1, 1000);
    range_ahead_pruned(&ahead, 1, 500);
    next_is_none(4);
    range_ahead_pruned(&ahead, 1, 65);
    next_is(1, 65, 64, 5);
}

static void what_nobody_asks_for_any_more_is_forgotten(void **state)
{
    (void)state;
    begin(2, 1000);
    assert_int_equal(want(1, 0, 0), RANGE_AHEAD_ASK);
    next_is(1, 65, 64, 0);
    assert_int_equal(answer(1, 65, 64, 1), RANGE_AHEAD_KEPT);
    range_ahead_passed(&ahead, 0, RANGE_AHEAD_IDLE_MS - 1);
    assert_int_equal(range_ahead_bytes(&ahead), 100);
    range_ahead_passed(&ahead, 0, RANGE_AHEAD_IDLE_MS);
    assert_int_equal(range_ahead_bytes(&ahead), 0);
    next_is_none(RANGE_AHEAD_IDLE_MS);
}

/* --- the model -------------------------------------------------------------------------------------- */

enum { MODEL_PEERS = 6, MODEL_HEIGHT = 4000, MODEL_LETTERS = 64, MODEL_MS_MAX = 600000 };
enum model_kind { HONEST, SLOW, SILENT, LIAR, FICKLE, GONE };

struct letter { /* an answer under way, and what its bytes say */
    bool in_use;
    uint64_t due_ms;
    uint32_t peer;
    uint64_t height;
    uint32_t count;
    uint32_t is_true;
};

static struct {
    uint64_t dice;
    uint64_t now_ms;
    uint64_t decided;
    enum model_kind kinds[MODEL_PEERS];
    struct letter letters[MODEL_LETTERS];
    /* The core's own question: as consensus/fetch.c asks. */
    uint64_t wanted;
    uint64_t retry_ms;
    uint64_t wait_ms;
    uint64_t ahead_under_way[MODEL_PEERS]; /* height + 1; 0: none */
    uint64_t ahead_ms[MODEL_PEERS];
    uint32_t taken_from[MODEL_PEERS];
    uint32_t lies_taken;
} model;

static uint64_t roll(uint64_t below)
{
    model.dice ^= model.dice << 13;
    model.dice ^= model.dice >> 7;
    model.dice ^= model.dice << 17;
    return model.dice % below;
}

static void model_post(uint32_t peer, uint64_t height, uint32_t count)
{
    enum model_kind kind = model.kinds[peer];
    if (kind == FICKLE)
        kind = (enum model_kind)roll(FICKLE);
    if (kind == SILENT || kind == GONE || height > MODEL_HEIGHT)
        return;
    if (roll(4) == 0)
        count = 1 + (uint32_t)roll(count);
    if (height + count > MODEL_HEIGHT + 1)
        count = (uint32_t)(MODEL_HEIGHT + 1 - height);
    for (uint64_t copies = kind == LIAR ? 1 + roll(2) : 1; copies > 0; copies--) {
        for (int i = 0; i < MODEL_LETTERS; i++) {
            if (model.letters[i].in_use)
                continue;
            const uint64_t wrong = kind == LIAR && roll(3) == 0 ? roll(70) : 0;
            model.letters[i] = (struct letter){
                .in_use = true,
                .due_ms = model.now_ms + (kind == SLOW ? 1500 + roll(4000) : 5 + roll(30)),
                .peer = peer,
                .height = height + wrong,
                .count = count,
                .is_true = kind != LIAR || roll(2) == 0};
            break;
        }
    }
}

/* What reaches the core: true if it leads on. A liar's lie ends its link, and everything it left. */
static void model_core(const struct letter *letter)
{
    const uint64_t end = letter->height + letter->count - 1;
    if (letter->is_true != 0 && letter->height <= model.decided + 1 && end > model.decided) {
        model.decided = end;
        model.taken_from[letter->peer]++;
    } else if (letter->is_true == 0) {
        model.lies_taken++;
        assert_true(model.kinds[letter->peer] == LIAR || model.kinds[letter->peer] == FICKLE);
        range_ahead_link(&ahead, letter->peer, false);
        range_ahead_link(&ahead, letter->peer, true);
        range_ahead_claim(&ahead, letter->peer, MODEL_HEIGHT);
        model.ahead_under_way[letter->peer] = 0;
    }
}

static void model_want(void)
{
    uint32_t count = LIMIT_RANGE_BLOCKS;
    struct letter letter;
    const uint64_t height = model.decided + 1;
    if (model.wanted != height) {
        model.wanted = height;
        model.wait_ms = 500;
    } else if (model.now_ms < model.retry_ms) {
        return;
    }
    model.retry_ms = model.now_ms + model.wait_ms;
    model.wait_ms += model.wait_ms / 2;
    if (model.wait_ms > 30000)
        model.wait_ms = 30000;
    const int peer = (int)roll(MODEL_PEERS);
    switch (range_ahead_want(&ahead, &kept, height, &count, peer, model.now_ms)) {
    case RANGE_AHEAD_WAIT:
        assert_int_equal(model.wait_ms, 750); /* never for the core's second question */
        break;
    case RANGE_AHEAD_TAKE:
        assert_int_equal(kept.size, sizeof letter);
        memcpy(&letter, kept.bytes, sizeof letter);
        free(kept.bytes);
        /* As it came, from whom it came, and of the height that was asked for. */
        assert_int_equal(letter.peer, kept.peer);
        assert_int_equal(letter.height, height);
        model_core(&letter);
        if (model.decided >= height)
            break;
        range_ahead_asked(&ahead, height, count, peer, model.now_ms);
        model_post((uint32_t)peer, height, count);
        break;
    case RANGE_AHEAD_ASK:
        model_post((uint32_t)peer, height, count);
        break;
    }
    assert_in_range(count, 1, LIMIT_RANGE_BLOCKS);
}

static void model_arrive(void)
{
    for (int i = 0; i < MODEL_LETTERS; i++) {
        struct letter letter = model.letters[i];
        if (!letter.in_use || letter.due_ms > model.now_ms)
            continue;
        model.letters[i].in_use = false;
        if (model.ahead_under_way[letter.peer] == letter.height + 1)
            model.ahead_under_way[letter.peer] = 0;
        const enum range_ahead_fate fate = range_ahead_answer(
            &ahead, letter.peer, letter.height, letter.count,
            bytes_view_of((const uint8_t *)&letter, sizeof letter), model.now_ms);
        /* What the core waits for, and what it is past, is never kept from it by an answer that is due. */
        if (letter.height <= model.decided)
            assert_int_equal(fate, RANGE_AHEAD_TO_CORE);
        if (fate == RANGE_AHEAD_TO_CORE)
            model_core(&letter);
        range_ahead_passed(&ahead, model.decided, model.now_ms);
    }
}

static void model_ask(void)
{
    struct range_ahead_question question;
    int asked = 0;
    while (range_ahead_next(&ahead, &question, model.now_ms)) {
        assert_true(++asked <= RANGE_AHEAD_SLOTS);
        assert_true(question.peer < MODEL_PEERS && model.kinds[question.peer] != GONE);
        assert_in_range(question.count, 1, LIMIT_RANGE_BLOCKS);
        assert_true(question.height > model.decided &&
                    question.height + question.count - 1 <= MODEL_HEIGHT);
        /* One at a time, but for one that was never answered. */
        if (model.ahead_under_way[question.peer] != 0)
            assert_true(model.now_ms - model.ahead_ms[question.peer] >= RANGE_AHEAD_REST_MS ||
                        model.kinds[question.peer] == LIAR ||
                        model.kinds[question.peer] == FICKLE ||
                        model.ahead_under_way[question.peer] <= model.decided + 1);
        model.ahead_under_way[question.peer] = question.height + 1;
        model.ahead_ms[question.peer] = model.now_ms;
        model_post(question.peer, question.height, question.count);
    }
    assert_true(range_ahead_bytes(&ahead) <= RANGE_AHEAD_BYTES);
}

/* Milliseconds until the core has everything. */
static uint64_t model_run(uint64_t seed, const enum model_kind kinds[MODEL_PEERS], bool use_ahead)
{
    memset(&model, 0, sizeof model);
    model.dice = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    memcpy(model.kinds, kinds, sizeof model.kinds);
    range_ahead_close(&ahead);
    range_ahead_init(&ahead);
    for (uint32_t peer = 0; peer < MODEL_PEERS; peer++) {
        range_ahead_link(&ahead, peer, kinds[peer] != GONE);
        range_ahead_claim(&ahead, peer, kinds[peer] != GONE ? MODEL_HEIGHT : 0);
    }
    for (model.now_ms = 1; model.decided < MODEL_HEIGHT; model.now_ms++) {
        assert_true(model.now_ms < MODEL_MS_MAX);
        model_arrive();
        if (model.decided < MODEL_HEIGHT)
            model_want();
        range_ahead_passed(&ahead, model.decided, model.now_ms);
        if (use_ahead)
            model_ask();
    }
    range_ahead_close(&ahead);
    return model.now_ms;
}

static void whatever_peers_do_the_core_gets_everything(void **state)
{
    (void)state;
    uint32_t lies = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        enum model_kind kinds[MODEL_PEERS] = {HONEST};
        model.dice = seed;
        for (int i = 0; i < 10; i++)
            (void)roll(2);
        for (int peer = 1; peer < MODEL_PEERS; peer++)
            kinds[peer] = (enum model_kind)roll(GONE + 1);
        (void)model_run(seed, kinds, true);
        lies += model.lies_taken;
    }
    assert_true(lies > 100);
}

static void several_are_faster_than_one_at_a_time(void **state)
{
    (void)state;
    static const enum model_kind tables[][MODEL_PEERS] = {
        {HONEST, HONEST, HONEST, GONE, GONE, GONE},
        {HONEST, HONEST, SLOW, SLOW, SILENT, SILENT},
        {HONEST, HONEST, LIAR, LIAR, SLOW, SILENT},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (uint64_t seed = 1; seed <= 10; seed++) {
            const uint64_t alone_ms = model_run(seed, tables[i], false);
            const uint64_t together_ms = model_run(seed, tables[i], true);
            assert_true(together_ms < alone_ms);
            assert_true(model.taken_from[0] > 0 && model.taken_from[1] > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_asked_for_what_follows),
        cmocka_unit_test(nobody_else_means_nothing_ahead),
        cmocka_unit_test(who_is_not_far_behind_asks_one_peer),
        cmocka_unit_test(the_share_of_a_silent_peer_goes_to_another),
        cmocka_unit_test(short_answers_leave_a_gap_and_are_learnt),
        cmocka_unit_test(a_peer_that_goes_leaves_nothing),
        cmocka_unit_test(what_nobody_asks_for_any_more_is_forgotten),
        cmocka_unit_test(whatever_peers_do_the_core_gets_everything),
        cmocka_unit_test(several_are_faster_than_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
