/* What holds for every transaction and block, whatever its actions: all or nothing, events, books
 * touched, the fee split, conservation, and a state that fails under the ledger's feet. */
#include <string.h>

#include "contracts/ledger_internal.h"
#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

enum { FEE = FIXTURE_FEE_PER_TX + FIXTURE_FEE_PER_ACTION };

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    fixture_fund(&fixture, "alice", 1000000);
    fixture_fund(&fixture, "operator", 1000000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (fixture.block_open)
        fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

/* --- genesis -------------------------------------------------------------------------------- */

static void test_genesis_state(void **state)
{
    (void)state;
    struct state_key key = state_key_single(STATE_CLOCK);
    struct clock_record clock;
    assert_true(ledger_read(fixture.view, &key, &clock_record_codec, &clock));
    assert_int_equal(FIXTURE_TIME_MS, timestamp_ms(clock.time));
    assert_int_equal(FIXTURE_TIME_MS, timestamp_ms(clock.fees_split));
    for (uint32_t i = 0; i < fixture.genesis.participant_count; i++) {
        struct name id;
        struct participant_record record;
        assert_true(ledger_participant_by_key(fixture.view, &fixture.genesis.participants[i].key,
                                              &id, &record));
        assert_int_equal(0, name_compare(&id, &fixture.genesis.participants[i].id));
        assert_int_equal(STATUS_ACTIVE, record.status);
    }
    struct genesis bad = fixture.genesis;
    bad.params.validator_count = 3;
    struct memory_state *empty = memory_state_create();
    assert_false(ledger_genesis(memory_state_view(empty), &bad));
    assert_int_equal(0, memory_state_count(empty, bytes_view_of(NULL, 0)));
    memory_state_destroy(empty);
}

static void test_every_action_has_a_method(void **state)
{
    (void)state;
    for (unsigned type = 0; type < ACTION_TYPE_LIMIT; type++)
        assert_int_equal(action_codec((uint8_t)type) != NULL,
                         fixture.ledger->methods[0].of[type] != NULL);
}

/* --- all or nothing ------------------------------------------------------------------------- */

static void test_rollback_of_earlier_actions(void **state)
{
    (void)state;
    struct participant_register dora = {
        .id = fixture_name("dora"), .key = fixture_key("dora"), .roles = ROLE_PROSUMER};
    struct token_transfer gift = {.to = fixture_name("dora"), .amount = money_of(1000)};
    struct token_transfer too_much = {.to = fixture_name("bob"), .amount = money_of(INT64_MAX)};
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "operator");
    fixture_draft_add(&draft, ACTION_PARTICIPANT_REGISTER, &dora);
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &gift);
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &too_much);
    int64_t before = fixture_balance(&fixture, "operator");
    assert_status(CONTRACT_INSUFFICIENT_FUNDS, fixture_send(&fixture, "operator", &draft));
    int64_t fee = FIXTURE_FEE_PER_TX + 3 * FIXTURE_FEE_PER_ACTION;
    assert_int_equal(fee, money_ueur(fixture.receipt.fee));
    assert_int_equal(before - fee, fixture_balance(&fixture, "operator"));
    assert_int_equal(0, fixture.receipt.events.size);
    struct name id;
    struct participant_record record;
    assert_false(ledger_participant_by_key(fixture.view, &dora.key, &id, &record));
    /* Without the last action, the same goes through; the nonce has moved on. */
    fixture_draft(&fixture, &draft, "operator");
    fixture_draft_add(&draft, ACTION_PARTICIPANT_REGISTER, &dora);
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &gift);
    assert_int_equal(2, draft.nonce);
    assert_status(CONTRACT_OK, fixture_send(&fixture, "operator", &draft));
    assert_int_equal(1000, fixture_balance(&fixture, "dora"));
}

static void test_actions_see_each_other(void **state)
{
    (void)state;
    /* Under the fee a transaction's money may go in a circle within it. */
    struct token_mint mint = {
        .to = fixture_name("treasurer"), .amount = money_of(77), .receipt = {{9}}};
    struct token_burn burn = {.amount = money_of(77), .receipt = {{8}}};
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "treasurer");
    fixture_draft_add(&draft, ACTION_TOKEN_MINT, &mint);
    fixture_draft_add(&draft, ACTION_TOKEN_BURN, &burn);
    assert_status(CONTRACT_OK, fixture_send(&fixture, "treasurer", &draft));
    /* In the other order there is nothing to burn yet. */
    mint.receipt.bytes[0] = 7;
    burn.receipt.bytes[0] = 6;
    fixture_draft(&fixture, &draft, "treasurer");
    fixture_draft_add(&draft, ACTION_TOKEN_BURN, &burn);
    fixture_draft_add(&draft, ACTION_TOKEN_MINT, &mint);
    assert_status(CONTRACT_INSUFFICIENT_FUNDS, fixture_send(&fixture, "treasurer", &draft));
}

/* --- events --------------------------------------------------------------------------------- */

static void test_events_tell_the_moves(void **state)
{
    (void)state;
    struct token_transfer a = {.to = fixture_name("bob"), .amount = money_of(5)};
    struct token_transfer b = {.to = fixture_name("carol"), .amount = money_of(6)};
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "alice");
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &a);
    fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &b);
    assert_status(CONTRACT_OK, fixture_send(&fixture, "alice", &draft));
    static const char *const to[] = {"bob", "carol"};
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view bytes;
    for (int i = 0; i < 2; i++) {
        struct event_token_moved moved;
        char text[NAME_SIZE + 1];
        assert_true(event_next(fixture.receipt.events, &cursor, &type, &bytes));
        assert_int_equal(EVENT_TOKEN_MOVED, type);
        assert_true(codec_decode_all(event_codec(type), &moved, bytes));
        assert_int_equal(5 + i, money_ueur(moved.amount));
        assert_string_equal("alice", name_to_text(text, &moved.from.participant));
        assert_string_equal(to[i], name_to_text(text, &moved.to.participant));
    }
    assert_false(event_next(fixture.receipt.events, &cursor, &type, &bytes));
    assert_int_equal(fixture.receipt.events.size, cursor);
}

static void test_receipt_leaf_is_over_its_encoding(void **state)
{
    (void)state;
    struct token_transfer a = {.to = fixture_name("bob"), .amount = money_of(5)};
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &a));
    uint8_t bytes[1024];
    struct byte_writer writer;
    struct hash expected;
    struct hash actual;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&receipt_record, &fixture.receipt, &writer);
    assert_false(writer.failed);
    hash_bytes(&expected, HASH_DOMAIN_RECEIPT, bytes, writer.size);
    receipt_leaf(&actual, &fixture.receipt);
    assert_true(hash_equal(&expected, &actual));
}

static void test_too_many_events(void **state)
{
    (void)state;
    /* No action of today has that many effects; the module face itself must still refuse. */
    struct transaction transaction = {.action_count = 1};
    struct contract_call call = {.ledger = fixture.ledger,
                                 .view = fixture.view,
                                 .context = &fixture.context,
                                 .transaction = &transaction};
    struct event_order_ended event = {.id = 1};
    byte_writer_init(&fixture.ledger->events, fixture.ledger->transaction_events,
                     sizeof fixture.ledger->transaction_events);
    size_t room = contract_event_room(&call);
    assert_int_equal(LIMIT_EVENTS_BYTES_PER_TX, room);
    for (size_t used = 0; used + 11 <= room; used += 11)
        contract_event(&call, EVENT_ORDER_CANCELLED, &event);
    assert_false(fixture.ledger->events.failed);
    contract_event(&call, EVENT_ORDER_CANCELLED, &event);
    assert_true(fixture.ledger->events.failed);
    assert_int_equal(0, contract_event_room(&call));
}

/* Methods for one test, in the place of a real one. */
static enum contract_error spam(struct contract_call *call, const void *record)
{
    struct event_order_ended event = {.id = 1};
    (void)record;
    for (unsigned i = 0; i <= LIMIT_EVENTS_BYTES_PER_TX / 11; i++)
        contract_event(call, EVENT_ORDER_CANCELLED, &event);
    return CONTRACT_OK;
}

static enum contract_error touch_and_fail(struct contract_call *call, const void *record)
{
    const struct delivery_prove *action = record;
    struct state_key key = state_key_u64(STATE_BOOK, action->deal);
    assert_true(ledger_touch_book(call->ledger, &key));
    return action->deal == 13 ? CONTRACT_TOO_LATE : CONTRACT_OK;
}

static void test_a_transaction_with_too_many_events_fails(void **state)
{
    (void)state;
    struct delivery_prove action = {.deal = 1};
    fixture.ledger->methods[0].of[ACTION_DELIVERY_PROVE] = spam;
    int64_t before = fixture_balance(&fixture, "alice");
    assert_status(CONTRACT_TOO_MANY_EVENTS,
                  fixture_act(&fixture, "alice", ACTION_DELIVERY_PROVE, &action));
    assert_int_equal(0, fixture.receipt.events.size);
    assert_int_equal(before - FEE, fixture_balance(&fixture, "alice"));
    /* The next one starts with an empty page. */
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(1)};
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
}

/* As many units of work as the action's number says; what it writes is always the same key. */
static enum contract_error toil(struct contract_call *call, const void *record)
{
    const struct delivery_prove *action = record;
    struct state_key key = state_key_u64(STATE_BOOK, 77);
    struct state_key found;
    struct bytes_view value;
    for (uint64_t i = 0; i < action->deal; i++) {
        if (i % 3 == 0)
            contract_write_index(call, &key);
        else if (i % 3 == 1)
            (void)contract_next(call, bytes_view_of(key.bytes, key.size), bytes_view_of(NULL, 0),
                                &found, &value);
        else
            contract_remove(call, &key);
    }
    return CONTRACT_OK;
}

static void test_a_transaction_with_too_much_work_fails(void **state)
{
    (void)state;
    struct delivery_prove action = {.deal = LIMIT_WORK_PER_TX};
    struct state_key key = state_key_u64(STATE_BOOK, 77);
    fixture.ledger->methods[0].of[ACTION_DELIVERY_PROVE] = toil;
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DELIVERY_PROVE, &action));
    struct bytes_view value;
    assert_true(fixture.view->ops->get(fixture.view, bytes_view_of(key.bytes, key.size), &value));
    fixture.view->ops->remove(fixture.view, bytes_view_of(key.bytes, key.size));
    action.deal++;
    assert_status(CONTRACT_TOO_MANY_EVENTS,
                  fixture_act(&fixture, "alice", ACTION_DELIVERY_PROVE, &action));
    assert_false(fixture.view->ops->get(fixture.view, bytes_view_of(key.bytes, key.size), &value));
    /* What was rolled back has been done all the same: a third such one may not follow. */
    assert_true(ledger_block_is_full(fixture.ledger));
    fixture_next_block(&fixture, 1);
    assert_false(ledger_block_is_full(fixture.ledger));
}

static void test_a_failed_transaction_touches_no_book(void **state)
{
    (void)state;
    struct delivery_prove good = {.deal = 20};
    struct delivery_prove bad = {.deal = 13};
    struct transaction_draft draft;
    fixture.ledger->methods[0].of[ACTION_DELIVERY_PROVE] = touch_and_fail;
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_DELIVERY_PROVE, &good));
    good.deal = 4;
    fixture_draft(&fixture, &draft, "alice");
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &good);
    fixture_draft_add(&draft, ACTION_DELIVERY_PROVE, &bad);
    assert_status(CONTRACT_TOO_LATE, fixture_send(&fixture, "alice", &draft));
    assert_int_equal(1, ledger_touched_count(fixture.ledger));
    struct state_key kept = state_key_u64(STATE_BOOK, 20);
    assert_memory_equal(&kept, ledger_touched_book(fixture.ledger, 0), sizeof kept);
    ledger_untouch_books(fixture.ledger, 0); /* no market knows that book */
}

/* --- books ---------------------------------------------------------------------------------- */

static void test_touched_books_come_in_key_order_once(void **state)
{
    (void)state;
    static const uint64_t ids[] = {7, 3, 9, 3, 7, 1, 300, 8};
    static const uint64_t sorted[] = {1, 3, 7, 8, 9, 300};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct state_key key = state_key_u64(STATE_BOOK, ids[i]);
        assert_true(ledger_touch_book(fixture.ledger, &key));
    }
    assert_int_equal(6, ledger_touched_count(fixture.ledger));
    for (uint32_t i = 0; i < 6; i++) {
        struct state_key key = state_key_u64(STATE_BOOK, sorted[i]);
        assert_memory_equal(&key, ledger_touched_book(fixture.ledger, i), sizeof key);
    }
    /* A failed transaction's books go; the three touched first were 7, 3 and 9. */
    ledger_untouch_books(fixture.ledger, 3);
    assert_int_equal(3, ledger_touched_count(fixture.ledger));
    static const uint64_t kept[] = {3, 7, 9};
    for (uint32_t i = 0; i < 3; i++) {
        struct state_key key = state_key_u64(STATE_BOOK, kept[i]);
        assert_memory_equal(&key, ledger_touched_book(fixture.ledger, i), sizeof key);
    }
    ledger_untouch_books(fixture.ledger, 0);
    for (uint64_t id = 0; id < LEDGER_BOOKS_PER_BLOCK_MAX; id++) {
        struct state_key key = state_key_u64(STATE_BOOK, (id * 7919) % LEDGER_BOOKS_PER_BLOCK_MAX);
        assert_true(ledger_touch_book(fixture.ledger, &key));
    }
    struct state_key one_more = state_key_u64(STATE_BOOK, LEDGER_BOOKS_PER_BLOCK_MAX);
    assert_false(ledger_touch_book(fixture.ledger, &one_more));
    ledger_untouch_books(fixture.ledger, 0);
}

/* --- fees ----------------------------------------------------------------------------------- */

static int64_t pool(void)
{
    struct state_key key = state_key_pot(POT_FEES, NULL, 0);
    struct pot_record pot;
    if (!ledger_read(fixture.view, &key, &pot_record_codec, &pot))
        return 0;
    return money_ueur(pot.amount);
}

static void pay_fees(int64_t count)
{
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(1)};
    for (int64_t i = 0; i < count; i++)
        assert_status(CONTRACT_OK,
                      fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
}

static unsigned events_of_type(struct bytes_view events, uint8_t wanted)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view bytes;
    unsigned count = 0;
    while (event_next(events, &cursor, &type, &bytes))
        count += type == wanted;
    assert_int_equal(events.size, cursor);
    return count;
}

static void test_fees_are_split_when_the_period_ends(void **state)
{
    (void)state;
    static const char *const operators[] = {"dso", "agg", "agg2", "operator"};
    int64_t before[4];
    pay_fees(3);
    assert_int_equal(3 * FEE, pool());
    for (int i = 0; i < 4; i++)
        before[i] = fixture_balance(&fixture, operators[i]);
    /* The open block stands one block after genesis; the period ends a day after genesis. */
    fixture_next_block(&fixture, MS_PER_DAY - FIXTURE_BLOCK_MS - 1);
    fixture_next_block(&fixture, 1);
    assert_int_equal(3 * FEE, pool());
    fixture_end_block(&fixture);
    assert_int_equal(4, events_of_type(fixture.end_receipt.events, EVENT_FEES_SPLIT));
    assert_int_equal(0, pool()); /* 3300 / 4 = 825 */
    for (int i = 0; i < 4; i++)
        assert_int_equal(before[i] + 825, fixture_balance(&fixture, operators[i]));
    /* Less than one each stays for the next period; a gap of days shifts no later end. */
    fixture_begin_block(&fixture, 1);
    pay_fees(1);
    struct token_transfer odd = {.to = fixture_name("bob"), .amount = money_of(1)};
    struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "alice");
    for (int i = 0; i < 2; i++)
        fixture_draft_add(&draft, ACTION_TOKEN_TRANSFER, &odd);
    assert_status(CONTRACT_OK, fixture_send(&fixture, "alice", &draft));
    int64_t in_pool = pool();
    assert_int_equal(2 * FEE + FIXTURE_FEE_PER_ACTION, in_pool);
    fixture_next_block(&fixture, 3 * (int64_t)MS_PER_DAY + 5);
    fixture_end_block(&fixture);
    assert_int_equal(in_pool % 4, pool());
    struct state_key key = state_key_single(STATE_CLOCK);
    struct clock_record clock;
    assert_true(ledger_read(fixture.view, &key, &clock_record_codec, &clock));
    assert_int_equal(FIXTURE_TIME_MS + 4 * (int64_t)MS_PER_DAY, timestamp_ms(clock.fees_split));
}

static void odd_fees(struct genesis *genesis)
{
    genesis->params.fee_per_tx = money_of(3);
    genesis->params.fee_per_action = money_of(0);
}

static void test_remainder_stays_in_the_pool(void **state)
{
    (void)state;
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(1)};
    fixture_open_with(&fixture, odd_fees);
    fixture_fund(&fixture, "alice", 1000);
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    fixture_next_block(&fixture, MS_PER_DAY);
    fixture_next_block(&fixture, 1);
    assert_int_equal(0, events_of_type(fixture.end_receipt.events, EVENT_FEES_SPLIT));
    assert_int_equal(3, pool());
    assert_status(CONTRACT_OK, fixture_act(&fixture, "alice", ACTION_TOKEN_TRANSFER, &transfer));
    fixture_next_block(&fixture, MS_PER_DAY);
    fixture_end_block(&fixture);
    assert_int_equal(2, pool());
    assert_int_equal(1, fixture_balance(&fixture, "agg2"));
    fixture_close(&fixture);
}

/* --- conservation --------------------------------------------------------------------------- */

static void put_amount(const struct state_key *key, int64_t amount)
{
    uint8_t bytes[8];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_i64(&writer, amount);
    fixture.view->ops->put(fixture.view, bytes_view_of(key->bytes, key->size),
                           bytes_view_of(bytes, sizeof bytes));
}

/* What the supply record says, with `kind` changed by `amount` from what it is. */
static void put_held(const struct supply_record *supply, enum pot_kind kind, int64_t amount)
{
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record changed = *supply;
    changed.held[kind] = money_of(money_ueur(changed.held[kind]) + amount);
    ledger_write(fixture.view, &key, &supply_record_codec, &changed);
}

/* Ten that alice has no more, into an order or a deal, or into a bond: the totals by kind must say so. */
static void check_held_by_records(const struct supply_record *supply)
{
    static const enum pot_kind kinds[] = {POT_ORDER_ESCROW, POT_DEAL_ESCROW, POT_DEAL_DEPOSIT,
                                          POT_DISPUTE_BOND};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct state_key key;
        uint8_t bytes[3 * 8];
        struct byte_writer writer;
        byte_writer_init(&writer, bytes, sizeof bytes);
        if (kinds[i] == POT_DISPUTE_BOND) {
            key = state_key_pot(POT_DISPUTE_BOND, NULL, 12);
            byte_write_i64(&writer, 10);
        } else {
            key = state_key_u64(kinds[i] == POT_ORDER_ESCROW ? STATE_ORDER : STATE_DEAL, 12);
            byte_write_i64(&writer, kinds[i] == POT_DEAL_DEPOSIT ? 0 : 10);
            byte_write_i64(&writer, kinds[i] == POT_DEAL_DEPOSIT ? 10 : 0);
        }
        fixture.view->ops->put(fixture.view, bytes_view_of(key.bytes, key.size),
                               bytes_view_of(bytes, writer.size));
        assert_false(ledger_conserves_value(fixture.view));
        struct supply_record moved = *supply;
        moved.held[POT_BALANCE] = money_of(money_ueur(supply->held[POT_BALANCE]) - 10);
        put_held(&moved, kinds[i], 10);
        assert_true(ledger_conserves_value(fixture.view));
        /* Less than nothing beside more than there is, and a record that is cut off. */
        if (kinds[i] == POT_DEAL_DEPOSIT) {
            byte_writer_init(&writer, bytes, sizeof bytes);
            byte_write_i64(&writer, -1);
            byte_write_i64(&writer, 11);
            fixture.view->ops->put(fixture.view, bytes_view_of(key.bytes, key.size),
                                   bytes_view_of(bytes, writer.size));
            moved.held[POT_DEAL_ESCROW] = money_of(-1);
            put_held(&moved, kinds[i], 11);
            assert_false(ledger_conserves_value(fixture.view));
            fixture.view->ops->put(fixture.view, bytes_view_of(key.bytes, key.size),
                                   bytes_view_of(bytes, 8));
            assert_false(ledger_conserves_value(fixture.view));
        }
        fixture.view->ops->remove(fixture.view, bytes_view_of(key.bytes, key.size));
        assert_false(ledger_conserves_value(fixture.view));
    }
    /* A record of a pot that stands in an order is none. */
    const struct state_key supply_key = state_key_single(STATE_SUPPLY);
    uint8_t stray[26] = {STATE_POT, POT_ORDER_ESCROW};
    const uint8_t nothing[8] = {0};
    ledger_write(fixture.view, &supply_key, &supply_record_codec, supply);
    fixture.view->ops->put(fixture.view, bytes_view_of(stray, sizeof stray),
                           bytes_view_of(nothing, sizeof nothing));
    assert_false(ledger_conserves_value(fixture.view));
    fixture.view->ops->remove(fixture.view, bytes_view_of(stray, sizeof stray));
}

static void test_conservation_check_can_fail(void **state)
{
    (void)state;
    fixture_next_block(&fixture, 1);
    assert_true(ledger_conserves_value(fixture.view));
    struct name alice = fixture_name("alice");
    struct name bob = fixture_name("bob");
    struct state_key of_alice = state_key_pot(POT_BALANCE, &alice, 0);
    struct state_key of_bob = state_key_pot(POT_BALANCE, &bob, 0);
    struct state_key supply_key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    assert_true(ledger_read(fixture.view, &supply_key, &supply_record_codec, &supply));
    put_amount(&of_alice, 1000001);
    assert_false(ledger_conserves_value(fixture.view));
    put_amount(&of_alice, 999990);
    assert_false(ledger_conserves_value(fixture.view));
    put_amount(&of_bob, 10);
    assert_true(ledger_conserves_value(fixture.view));
    /* The sum is right, but a pot is below zero. */
    put_amount(&of_alice, 1000010);
    put_amount(&of_bob, -10);
    assert_false(ledger_conserves_value(fixture.view));
    put_amount(&of_alice, 999990);
    put_amount(&of_bob, 0);
    check_held_by_records(&supply);
    assert_false(ledger_conserves_value(fixture.view));
    put_amount(&of_alice, 1000000);
    assert_true(ledger_conserves_value(fixture.view));
}

/* The mutants of the proof of reserves: a total that says a micro-euro more or less than its pots, with
 * and without another that makes up for it, and with the issue changed to fit. */
static void test_tampered_totals_are_caught(void **state)
{
    (void)state;
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    fixture_next_block(&fixture, 1);
    assert_true(ledger_read(fixture.view, &key, &supply_record_codec, &supply));
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        for (int64_t amount = -1; amount <= 1; amount += 2) {
            struct supply_record other = supply;
            put_held(&supply, (enum pot_kind)kind, amount);
            assert_false(ledger_conserves_value(fixture.view));
            /* The sum fits, its parts don't. */
            int next = (kind + 1) % POT_KIND_COUNT;
            other.held[next] = money_of(money_ueur(other.held[next]) - amount);
            put_held(&other, (enum pot_kind)kind, amount);
            assert_false(ledger_conserves_value(fixture.view));
            /* So much more issued as it claims to hold. */
            other = supply;
            other.minted = money_of(money_ueur(other.minted) + amount);
            put_held(&other, (enum pot_kind)kind, amount);
            assert_false(ledger_conserves_value(fixture.view));
        }
    }
    /* Money that the supply says exists, and no pot holds. */
    struct supply_record more = supply;
    more.minted = money_of(money_ueur(supply.minted) + 1);
    ledger_write(fixture.view, &key, &supply_record_codec, &more);
    assert_false(ledger_conserves_value(fixture.view));
    ledger_write(fixture.view, &key, &supply_record_codec, &supply);
    assert_true(ledger_conserves_value(fixture.view));
}

/* --- a state that fails --------------------------------------------------------------------- */

static void run_a_block(void)
{
    struct token_transfer transfer = {.to = fixture_name("bob"), .amount = money_of(1)};
    struct token_mint mint = {.to = fixture_name("bob"), .amount = money_of(1), .receipt = {{99}}};
    struct participant_status status = {.id = fixture_name("carol"), .status = STATUS_SUSPENDED};
    struct device_register device = {.id = fixture_name("pv"),
                                     .max_power = power_of(1),
                                     .connection = power_of(1),
                                     .node = fixture_name("n"),
                                     .feeder = fixture_name("f"),
                                     .zone = fixture_name("z"),
                                     .meter_key = fixture_key("pv")};
    const struct {
        const char *sender;
        uint8_t type;
        const void *record;
    } steps[] = {
        {"alice", ACTION_TOKEN_TRANSFER, &transfer},
        {"treasurer", ACTION_TOKEN_MINT, &mint},
        {"operator", ACTION_PARTICIPANT_STATUS, &status},
        {"alice", ACTION_DEVICE_REGISTER, &device},
    };
    struct receipt receipt;
    ledger_block_begin(fixture.ledger, fixture.view, &fixture.context);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct transaction_draft draft;
        struct transaction transaction;
        struct byte_writer writer;
        fixture_draft(&fixture, &draft, steps[i].sender);
        fixture_draft_add(&draft, steps[i].type, steps[i].record);
        byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
        assert_true(
            transaction_sign(&writer, &draft, &fixture_signer(&fixture, steps[i].sender)->secret));
        assert_status(CONTRACT_OK, transaction_decode(
                                       &transaction, bytes_view_of(fixture.envelope, writer.size)));
        (void)ledger_transaction_apply(fixture.ledger, &transaction, &receipt);
        fixture_signer(&fixture, steps[i].sender)->nonce++;
    }
    ledger_block_end(fixture.ledger, &receipt);
}

static void test_a_fault_at_every_call_is_seen_and_survived(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint64_t at = 1; last == 0; at++) {
        fixture_open(&fixture);
        fixture_fund(&fixture, "alice", 1000000);
        fixture_fund(&fixture, "operator", 1000000);
        fixture_next_block(&fixture, MS_PER_DAY);
        memory_state_fail_at(fixture.state, at);
        run_a_block();
        if (!fixture.view->fault)
            last = at;
        else
            assert_false(ledger_conserves_value(fixture.view));
        fixture_close(&fixture);
    }
    /* It went through at the first count that the block did not reach. */
    assert_true(last > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_genesis_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_action_has_a_method, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rollback_of_earlier_actions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_actions_see_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events_tell_the_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_receipt_leaf_is_over_its_encoding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_transaction_with_too_many_events_fails, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_transaction_with_too_much_work_fails, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_failed_transaction_touches_no_book, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_touched_books_come_in_key_order_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_fees_are_split_when_the_period_ends, set_up,
                                        tear_down),
        cmocka_unit_test(test_remainder_stays_in_the_pool),
        cmocka_unit_test_setup_teardown(test_conservation_check_can_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tampered_totals_are_caught, set_up, tear_down),
        cmocka_unit_test(test_a_fault_at_every_call_is_seen_and_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
