/* The life of a deal (docs/spec/deal.md): each transition by a row, with its deadlines to the
 * millisecond; and all reachable states of two small worlds, each of which must end with empty pots.
 *
 * The walk forks: a child process is a copy of the world in which one more thing happens. What was seen
 * is counted in memory that all of them share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/contracts/deal_fixture.h"

enum { WINDOW_MS = 3600000, FEES = FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION };

static struct fixture fixture;
static struct delivery_witness witness;

static void with_window(struct market_create *terms)
{
    terms->times.dispute_window = duration_of(WINDOW_MS);
}

static void with_cutoff(struct market_create *terms)
{
    terms->times.dispute_window = duration_of(WINDOW_MS);
    terms->times.correction_deadline = duration_of(1800000);
}

static void final_at_once(struct market_create *terms)
{
    (void)terms;
}

static uint8_t deal_state(void)
{
    return market_deal(&fixture, 1).state;
}

static int64_t pots_of_deal(void)
{
    return market_pot(&fixture, POT_DEAL_ESCROW, 1) + market_pot(&fixture, POT_DEAL_DEPOSIT, 1) +
           market_pot(&fixture, POT_DISPUTE_BOND, 1);
}

static void done(void)
{
    fixture_end_block(&fixture);
    market_audit(&fixture, true);
    fixture_close(&fixture);
}

/* Matched, delivered, measured and proven: 500 and 300 Wh, so 800 credited. */
static void prove_800(void (*change)(struct market_create *terms))
{
    deal_open(&fixture, change);
    deal_deliver(&fixture, 1);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 0, 500, 300, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
}

/* --- the window ----------------------------------------------------------------------------- */

static void test_money_waits_for_the_window(void **state)
{
    (void)state;
    prove_800(with_window);
    struct deal_record deal = market_deal(&fixture, 1);
    assert_int_equal(deal.state, DEAL_PROVEN);
    assert_int_equal(money_ueur(deal.paid), 200000);
    assert_int_equal(money_ueur(deal.refunded), 50000);
    assert_int_equal(money_ueur(deal.penalty), 8000);
    assert_int_equal(pots_of_deal(), DEAL_ESCROW + DEAL_DEPOSIT);
    assert_int_equal(timestamp_ms(deal.dispute_deadline),
                     timestamp_ms(fixture.context.time) + WINDOW_MS);
    int64_t seller = fixture_balance(&fixture, "alice");
    deal_wait(&fixture, WINDOW_MS - 1);
    assert_int_equal(deal_state(), DEAL_PROVEN);
    deal_wait(&fixture, 1);
    assert_error(CONTRACT_TOO_LATE, deal_dispute(&fixture, "dso", 1));
    assert_int_equal(deal_state(), DEAL_PROVEN);
    deal_wait(&fixture, 1);
    assert_int_equal(deal_state(), DEAL_PARTIAL);
    assert_int_equal(fixture_balance(&fixture, "alice"), seller + 200000 - 500 + 42000);
    assert_error(CONTRACT_DEAL_NOT_OPEN, deal_dispute(&fixture, "alice", 1));
    assert_error(CONTRACT_DEAL_NOT_OPEN, market_prove(&fixture, "alice", 1, &witness));
    done();
}

static void test_disputes_that_are_refused(void **state)
{
    (void)state;
    struct deal_dispute blank = {.deal = 1};
    deal_open(&fixture, with_window);
    assert_error(CONTRACT_DEAL_NOT_OPEN, deal_dispute(&fixture, "dso", 1));
    assert_error(CONTRACT_UNKNOWN_DEAL, deal_dispute(&fixture, "dso", 2));
    deal_deliver(&fixture, 1);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 0, 500, 300, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "dso", 1, &witness));
    assert_error(CONTRACT_NOT_PERMITTED, deal_dispute(&fixture, "bob", 1));
    assert_error(CONTRACT_BAD_PARAMETER, fixture_act(&fixture, "dso", ACTION_DEAL_DISPUTE, &blank));
    assert_error(CONTRACT_DEAL_NOT_OPEN, deal_vote(&fixture, 1, 0));
    assert_error(CONTRACT_NO_NEWER_READINGS, market_prove(&fixture, "alice", 1, &witness));
    assert_error(CONTRACT_OK, deal_dispute(&fixture, "dso", 1));
    assert_error(CONTRACT_DEAL_NOT_OPEN, deal_dispute(&fixture, "alice", 1));
    assert_error(CONTRACT_OUT_OF_RANGE, deal_vote(&fixture, 1, DEAL_WH + 1));
    assert_error(CONTRACT_OUT_OF_RANGE, deal_vote(&fixture, 1, -1));
    assert_error(CONTRACT_UNKNOWN_DEAL, deal_vote(&fixture, 2, 0));
    assert_error(CONTRACT_BAD_PARAMETER, deal_vote(&fixture, 0, 0));
    assert_error(CONTRACT_NO_NEWER_READINGS, market_prove(&fixture, "alice", 1, &witness));
    done();
}

/* --- outcomes ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *opener;
    int64_t credited; /* by vote */
    uint8_t state;
    int64_t paid, refunded, penalty;
    int lost; /* disputes that the provider has lost */
    bool bond_back;
} votes[] = {
    {"the buyer is right", "dso", 0, DEAL_REFUNDED, 0, 250000, 40000, 1, true},
    {"the buyer is half right", "dso", 400, DEAL_PARTIAL, 100000, 150000, 24000, 1, true},
    {"the buyer is wrong", "dso", 800, DEAL_PARTIAL, 200000, 50000, 8000, 0, false},
    {"the buyer is very wrong", "dso", 1000, DEAL_SETTLED, 250000, 0, 0, 0, false},
    {"the seller is right", "alice", 1000, DEAL_SETTLED, 250000, 0, 0, 0, true},
    {"the seller is wrong", "alice", 800, DEAL_PARTIAL, 200000, 50000, 8000, 1, false},
    {"the seller did worse", "alice", 100, DEAL_PARTIAL, 25000, 225000, 36000, 1, false},
};

static void test_the_validators_decide(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof votes / sizeof votes[0]; i++) {
        print_message("          %s\n", votes[i].name);
        prove_800(with_window);
        bool by_buyer = strcmp(votes[i].opener, "dso") == 0;
        int64_t buyer = fixture_balance(&fixture, "dso");
        int64_t seller = fixture_balance(&fixture, "alice");
        assert_error(CONTRACT_OK, deal_dispute(&fixture, votes[i].opener, 1));
        assert_int_equal(market_pot(&fixture, POT_DISPUTE_BOND, 1), DEAL_BOND);
        assert_error(CONTRACT_OK, deal_vote(&fixture, 1, votes[i].credited));
        struct deal_record deal = market_deal(&fixture, 1);
        assert_int_equal(deal.state, votes[i].state);
        assert_int_equal(money_ueur(deal.paid), votes[i].paid);
        assert_int_equal(money_ueur(deal.refunded), votes[i].refunded);
        assert_int_equal(money_ueur(deal.penalty), votes[i].penalty);
        assert_int_equal(pots_of_deal(), 0);
        int64_t won = votes[i].bond_back ? 0 : DEAL_BOND;
        assert_int_equal(fixture_balance(&fixture, "dso"), buyer + votes[i].refunded +
                                                               votes[i].penalty +
                                                               (by_buyer ? -won - FEES : won));
        assert_int_equal(fixture_balance(&fixture, "alice"),
                         seller + votes[i].paid - money_ueur(deal.fee) + DEAL_DEPOSIT -
                             votes[i].penalty + (by_buyer ? won : -won - FEES));
        struct reliability_record record = deal_reliability(&fixture, "alice");
        assert_int_equal(record.deals, 1);
        assert_int_equal(record.disputes_lost, votes[i].lost);
        assert_int_equal(energy_wh(record.contracted), DEAL_WH);
        assert_int_equal(energy_wh(record.credited), votes[i].credited);
        assert_int_equal(deal_dispute_record(&fixture, 1).outcome, DISPUTE_VOTED);
        done();
    }
}

static void test_a_correction_decides(void **state)
{
    (void)state;
    prove_800(with_window);
    assert_error(CONTRACT_OK, deal_dispute(&fixture, "dso", 1));
    deal_wait(&fixture, FIXTURE_BLOCK_MS);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 1, 100, 0, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "dso", 1, &witness));
    struct deal_record deal = market_deal(&fixture, 1);
    assert_int_equal(deal.state, DEAL_PARTIAL);
    assert_int_equal(energy_wh(deal.credited), 100);
    assert_int_equal(deal_dispute_record(&fixture, 1).outcome, DISPUTE_CORRECTED);
    assert_int_equal(deal_reliability(&fixture, "alice").disputes_lost, 1);
    assert_int_equal(pots_of_deal(), 0);
    done();
}

/* A batch is corrected for any reading in it. Whose own has not changed has not been heard on the dispute,
 * and can't end it that way, with the other side's bond for a reward. */
static void test_a_correction_of_something_else(void **state)
{
    static const char *const openers[] = {"dso", "alice"};
    (void)state;
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) {
        prove_800(with_window);
        assert_error(CONTRACT_OK, deal_dispute(&fixture, openers[i], 1));
        deal_wait(&fixture, FIXTURE_BLOCK_MS);
        assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 1, 500, 300, &witness));
        assert_error(CONTRACT_NO_NEWER_READINGS, market_prove(&fixture, "alice", 1, &witness));
        assert_error(CONTRACT_NO_NEWER_READINGS, market_prove(&fixture, "dso", 1, &witness));
        assert_int_equal(deal_state(), DEAL_DISPUTED);
        assert_int_equal(market_pot(&fixture, POT_DISPUTE_BOND, 1), DEAL_BOND);
        deal_wait(&fixture, FIXTURE_BLOCK_MS);
        assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 2, 500, 299, &witness));
        assert_error(CONTRACT_OK, market_prove(&fixture, "dso", 1, &witness));
        assert_int_equal(deal_dispute_record(&fixture, 1).outcome, DISPUTE_CORRECTED);
        assert_int_equal(pots_of_deal(), 0);
        done();
    }
}

static void test_a_dispute_lapses(void **state)
{
    (void)state;
    prove_800(with_window);
    assert_error(CONTRACT_OK, deal_dispute(&fixture, "dso", 1));
    int64_t left = limit_dispute_ms;
    deal_wait(&fixture, left);
    assert_error(CONTRACT_TOO_LATE, deal_vote(&fixture, 1, 0));
    assert_int_equal(deal_state(), DEAL_DISPUTED);
    deal_wait(&fixture, 1);
    assert_int_equal(deal_state(), DEAL_PARTIAL);
    assert_int_equal(money_ueur(market_deal(&fixture, 1).paid), 200000);
    assert_int_equal(deal_dispute_record(&fixture, 1).outcome, DISPUTE_LAPSED);
    assert_int_equal(deal_reliability(&fixture, "alice").disputes_lost, 0);
    done();
}

/* Without a dispute a correction settles anew, and the other side has a whole window again. */
static void test_a_correction_settles_anew(void **state)
{
    (void)state;
    prove_800(with_window);
    deal_wait(&fixture, WINDOW_MS - 1);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 1, 500, 500, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    assert_int_equal(deal_state(), DEAL_PROVEN);
    assert_int_equal(money_ueur(market_deal(&fixture, 1).paid), 250000);
    deal_wait(&fixture, WINDOW_MS - 1);
    assert_int_equal(deal_state(), DEAL_PROVEN);
    deal_wait(&fixture, 2);
    assert_int_equal(deal_state(), DEAL_PROVEN);
    deal_wait(&fixture, 1);
    assert_int_equal(deal_state(), DEAL_SETTLED);
    done();
}

/* What the first proof took is free again after a correction, for another deal of the same device. */
static void test_a_correction_gives_energy_back(void **state)
{
    (void)state;
    static struct delivery_witness other;
    deal_open(&fixture, with_window);
    deal_trade(&fixture, "deals", 4, DEAL_WH, 0);
    deal_wait(&fixture, FIXTURE_BLOCK_MS);
    deal_deliver(&fixture, 1);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 0, 600, 600, &witness));
    assert_error(CONTRACT_OK, deal_measure(&fixture, 2, 0, 600, 600, &other));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 2, &other));
    assert_int_equal(energy_wh(market_deal(&fixture, 2).credited), 200);
    deal_wait(&fixture, FIXTURE_BLOCK_MS);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 1, 300, 300, &witness));
    assert_error(CONTRACT_OK, deal_measure(&fixture, 2, 1, 300, 300, &other));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    /* The second deal's 200 Wh are still taken: 600 less those are left for the first. */
    assert_int_equal(energy_wh(market_deal(&fixture, 1).credited), 400);
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 2, &other));
    assert_int_equal(energy_wh(market_deal(&fixture, 2).credited), 200);
    done();
}

/* A revision after the correction deadline neither counts nor takes the good one away; in a dispute the
 * meter operator is heard whenever it speaks. */
static void test_late_corrections(void **state)
{
    (void)state;
    static struct delivery_witness late;
    deal_open(&fixture, with_cutoff);
    deal_deliver(&fixture, 1);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 0, 500, 300, &witness));
    deal_wait(&fixture, 1800000);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 1, 0, 0, &late));
    assert_error(CONTRACT_BAD_PROOF, market_prove(&fixture, "dso", 1, &late));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    assert_error(CONTRACT_BAD_PROOF, market_prove(&fixture, "dso", 1, &late));
    assert_error(CONTRACT_OK, deal_dispute(&fixture, "dso", 1));
    assert_error(CONTRACT_OK, market_prove(&fixture, "dso", 1, &late));
    assert_int_equal(deal_state(), DEAL_REFUNDED);
    done();
    deal_open(&fixture, with_cutoff);
    deal_deliver(&fixture, 1);
    deal_wait(&fixture, 1800000);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 0, 500, 500, &witness));
    assert_error(CONTRACT_UNKNOWN_BATCH, market_prove(&fixture, "alice", 1, &witness));
    done();
}

static void test_the_record_of_a_provider(void **state)
{
    (void)state;
    deal_open(&fixture, final_at_once);
    deal_deliver(&fixture, 1);
    assert_error(CONTRACT_OK, deal_measure(&fixture, 1, 0, 500, 250, &witness));
    assert_error(CONTRACT_OK, market_prove(&fixture, "alice", 1, &witness));
    deal_trade(&fixture, "deals", 8, 400, 0);
    deal_wait(&fixture, 2 * (int64_t)MS_PER_DAY);
    deal_wait(&fixture, FIXTURE_BLOCK_MS);
    struct reliability_record record = deal_reliability(&fixture, "alice");
    assert_int_equal(record.deals, 2);
    assert_int_equal(record.settled, 0);
    assert_int_equal(record.partial, 1);
    assert_int_equal(record.refunded, 1);
    assert_int_equal(record.unproven, 1);
    assert_int_equal(energy_wh(record.contracted), 1400);
    assert_int_equal(energy_wh(record.credited), 750);
    assert_int_equal(money_ueur(record.penalties), 10000 + 16000);
    done();
}

/* --- all reachable states ------------------------------------------------------------------- */

enum { SEEN_MAX = 4096, REVISIONS_MAX = 1 };

/* What tells two states of the world apart: everything that decides what can happen next, with times
 * only as "before" and "after". */
struct point {
    uint8_t state;
    uint8_t outcome;
    uint8_t opener;
    bool delivered;
    uint8_t revision; /* next one to be posted */
    uint8_t reading;  /* the last one that was posted */
    bool fresh;       /* it has not been proven by */
    int64_t paid;
};

struct seen {
    uint32_t count;
    struct point points[SEEN_MAX];
    uint32_t steps[DEAL_STATE_COUNT][DEAL_STATE_COUNT]; /* [before][after] */
    uint32_t outcomes[DISPUTE_OUTCOME_COUNT];
    uint32_t stuck;
};

struct world {
    struct seen *seen;
    struct point at;
};

static const int64_t readings[][2] = {{500, 500}, {500, 300}, {0, 0}};

static struct point look(const struct world *world)
{
    struct point point = world->at;
    struct deal_record deal = market_deal(&fixture, 1);
    struct dispute_record dispute;
    struct state_key key = state_key_u64(STATE_DISPUTE, 1);
    point.state = deal.state;
    point.paid = money_ueur(deal.paid);
    if (ledger_read(fixture.view, &key, &dispute_record_codec, &dispute)) {
        struct name seller = fixture_name("alice");
        point.outcome = dispute.outcome;
        point.opener = name_is_empty(&dispute.opener)                ? 0
                       : name_compare(&dispute.opener, &seller) == 0 ? 1
                                                                     : 2;
    }
    return point;
}

static bool is_over(uint8_t state)
{
    return state == DEAL_SETTLED || state == DEAL_PARTIAL || state == DEAL_REFUNDED;
}

static bool same_point(const struct point *a, const struct point *b)
{
    return a->state == b->state && a->outcome == b->outcome && a->opener == b->opener &&
           a->delivered == b->delivered && a->revision == b->revision && a->reading == b->reading &&
           a->fresh == b->fresh && a->paid == b->paid;
}

/* False if it was there already. */
static bool remember(struct seen *seen, const struct point *point)
{
    for (uint32_t i = 0; i < seen->count; i++)
        if (same_point(&seen->points[i], point))
            return false;
    assert_true(seen->count < SEEN_MAX);
    seen->points[seen->count++] = *point;
    return true;
}

enum { MOVES = 14 };

/* Does one thing, or lets time pass; what is refused leaves the world as it is. */
static void make_move(struct world *world, int move)
{
    static const int64_t waits[] = {FIXTURE_BLOCK_MS, WINDOW_MS + 1, MARKET_PROOF_MS + 1};
    static const int64_t credits[] = {0, 600, DEAL_WH};
    if (move < 4) {
        /* The sweep comes at the end of the block. */
        deal_wait(&fixture, move < 3 ? waits[move] : limit_dispute_ms + 1);
        deal_wait(&fixture, 1);
    } else if (move == 4 && !world->at.delivered) {
        deal_deliver(&fixture, 1);
        world->at.delivered = true;
    } else if (move >= 5 && move < 8 && world->at.revision <= REVISIONS_MAX) {
        /* A block of its own, so that it is newer than what stands. */
        deal_wait(&fixture, 1);
        const int64_t *values = readings[move - 5];
        if (deal_measure(&fixture, 1, world->at.revision, values[0], values[1], &witness) ==
            CONTRACT_OK) {
            world->at.revision++;
            world->at.reading = (uint8_t)(move - 4);
            world->at.fresh = true;
        }
    } else if (move == 8 && world->at.reading != 0) {
        if (market_prove(&fixture, "alice", 1, &witness) == CONTRACT_OK)
            world->at.fresh = false;
    } else if (move == 9 || move == 10) {
        (void)deal_dispute(&fixture, move == 9 ? "alice" : "dso", 1);
    } else if (move > 10) {
        (void)deal_vote(&fixture, 1, credits[move - 11]);
    }
    world->at.delivered =
        world->at.delivered ||
        timestamp_ms(fixture.context.time) >= timestamp_ms(market_period(4)) + MARKET_PERIOD_MS;
}

/* Whatever the state: if everybody goes home, the money does too. */
static void let_time_pass(struct world *world)
{
    for (int i = 0; i < 3 && !is_over(deal_state()); i++)
        deal_wait(&fixture, limit_dispute_ms + 1);
    deal_wait(&fixture, FIXTURE_BLOCK_MS);
    if (!is_over(deal_state()) || pots_of_deal() != 0)
        world->seen->stuck++;
}

static void in_a_copy(struct world *world, void (*what)(struct world *world, int move), int move)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        what(world, move);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void walk_on(struct world *world, int move);

static void explore(struct world *world)
{
    for (int move = 0; move < MOVES; move++)
        in_a_copy(world, walk_on, move);
}

static void go_home(struct world *world, int move)
{
    (void)move;
    let_time_pass(world);
}

static void walk_on(struct world *world, int move)
{
    struct point before = look(world);
    make_move(world, move);
    world->at = look(world);
    world->seen->steps[before.state][world->at.state]++;
    world->seen->outcomes[world->at.outcome]++;
    if (is_over(world->at.state)) {
        assert_int_equal(pots_of_deal(), 0);
        assert_true(!is_over(before.state) || before.state == world->at.state);
    }
    if (!remember(world->seen, &world->at))
        return;
    market_audit(&fixture, false);
    in_a_copy(world, go_home, 0);
    /* What has ended stays as it ended: nothing leads on but the same moves once more. */
    explore(world);
}

static struct seen *walk_world(void (*change)(struct market_create *terms))
{
    struct seen *seen =
        mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(seen != MAP_FAILED);
    deal_open(&fixture, change);
    struct world world = {.seen = seen};
    explore(&world);
    fixture_close(&fixture);
    print_message("          %u states\n", seen->count);
    return seen;
}

static void assert_steps(const struct seen *seen, const char *const expected[DEAL_STATE_COUNT])
{
    for (unsigned from = 0; from < DEAL_STATE_COUNT; from++)
        for (unsigned to = 0; to < DEAL_STATE_COUNT; to++) {
            bool drawn = from == to || expected[from][to] == 'x';
            if (from != to && (seen->steps[from][to] > 0) != drawn)
                fail_msg("%s to %s: %u times", deal_state_names[from], deal_state_names[to],
                         seen->steps[from][to]);
        }
}

static void test_reachable_states(void **state)
{
    (void)state;
    /* To: matched, settled, partial, refunded, proven, disputed. */
    static const char *const with[DEAL_STATE_COUNT] = {
        [DEAL_MATCHED] = "...xx.",  [DEAL_SETTLED] = "......", [DEAL_PARTIAL] = "......",
        [DEAL_REFUNDED] = "......", [DEAL_PROVEN] = ".xxx.x",  [DEAL_DISPUTED] = ".xxx.."};
    static const char *const without[DEAL_STATE_COUNT] = {
        [DEAL_MATCHED] = ".xxx..",  [DEAL_SETTLED] = "......", [DEAL_PARTIAL] = "......",
        [DEAL_REFUNDED] = "......", [DEAL_PROVEN] = "......",  [DEAL_DISPUTED] = "......"};
    struct seen *seen = walk_world(with_window);
    assert_steps(seen, with);
    for (int i = 0; i < DISPUTE_OUTCOME_COUNT; i++)
        assert_true(seen->outcomes[i] > 0);
    assert_int_equal(seen->stuck, 0);
    assert_true(seen->count > 100);
    munmap(seen, sizeof *seen);
    seen = walk_world(final_at_once);
    assert_steps(seen, without);
    assert_int_equal(seen->stuck, 0);
    munmap(seen, sizeof *seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_money_waits_for_the_window),
        cmocka_unit_test(test_disputes_that_are_refused),
        cmocka_unit_test(test_the_validators_decide),
        cmocka_unit_test(test_a_correction_decides),
        cmocka_unit_test(test_a_correction_of_something_else),
        cmocka_unit_test(test_a_dispute_lapses),
        cmocka_unit_test(test_a_correction_settles_anew),
        cmocka_unit_test(test_a_correction_gives_energy_back),
        cmocka_unit_test(test_late_corrections),
        cmocka_unit_test(test_the_record_of_a_provider),
        /* Last: a failure in one of its copies would run what follows. */
        cmocka_unit_test(test_reachable_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
