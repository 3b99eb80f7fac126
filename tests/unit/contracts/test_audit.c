/* Thousands of random transactions, good and bad, run by the ledger and by the slow model: the same
 * status each time, and after each block the same balances, nonces, keys, devices and enrolments.
 *
 * The run is the same every time. At its end every status that these actions can have must have come
 * up, or the dice would prove nothing. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"
#include "tests/lib/contracts/slow_model.h"

enum { BLOCKS = 300, TRANSACTIONS_PER_BLOCK = 20, NAMES = 24, DEVICES = 16 };

static struct fixture fixture;
static struct slow_model model;
static struct dice dice;
static unsigned seen[CONTRACT_ERROR_COUNT];
static unsigned next_key;
static unsigned next_receipt;

static bool chance(int percent)
{
    return dice_between(&dice, 1, 100) <= percent;
}

static int64_t pick(int64_t most)
{
    return dice_between(&dice, 0, most);
}

/* --- names and keys ------------------------------------------------------------------------- */

/* Key numbers of the founders are their places in genesis; later keys have numbers of their own. */
static void key_text(char out[32], unsigned key)
{
    char name[NAME_SIZE + 1];
    if (key < fixture.genesis.participant_count)
        snprintf(out, 32, "%s", name_to_text(name, &fixture.genesis.participants[key].id));
    else
        snprintf(out, 32, "key-%u", key);
}

static struct public_key public_key_of(unsigned key)
{
    char text[32];
    key_text(text, key);
    return fixture_key(text);
}

static void some_person(char out[SLOW_NAME])
{
    if (chance(85))
        snprintf(out, SLOW_NAME, "%s", model.people[pick(model.people_count - 1)].id);
    else
        snprintf(out, SLOW_NAME, "p%d", (int)pick(NAMES));
}

static void some_device(char out[SLOW_NAME])
{
    snprintf(out, SLOW_NAME, "d%d", (int)pick(DEVICES));
}

static void some_market(char out[SLOW_NAME])
{
    static const char *const markets[] = {"local", "local", "far", "over", "nowhere"};
    snprintf(out, SLOW_NAME, "%s", markets[pick(4)]);
}

static int64_t some_amount(int64_t around)
{
    static const int64_t odd[] = {0, -1, INT64_MIN, INT64_MAX, 1};
    if (chance(15))
        return odd[pick(4)];
    return dice_between(&dice, 1, around);
}

/* --- what to try ---------------------------------------------------------------------------- */

static void random_person_action(struct slow_action *action)
{
    some_person(action->a);
    if (action->type == ACTION_PARTICIPANT_REGISTER) {
        snprintf(action->a, sizeof action->a, "p%d", (int)pick(NAMES));
        action->x = chance(10) ? 0 : dice_between(&dice, 1, (1 << ROLE_COUNT) - 1);
        action->n = chance(10) ? (unsigned)pick(next_key - 1) : next_key++;
    } else if (action->type == ACTION_PARTICIPANT_STATUS) {
        /* Mostly back to active, or soon nobody could do anything. */
        action->x = chance(70) ? STATUS_ACTIVE : chance(85) ? STATUS_SUSPENDED : pick(3);
    } else {
        action->x = chance(85);
        action->n = chance(15) ? (unsigned)pick(next_key - 1) : next_key++;
    }
}

static void random_device_action(struct slow_action *action)
{
    some_device(action->a);
    if (action->type == ACTION_DEVICE_REGISTER) {
        snprintf(action->b, sizeof action->b, "%s", chance(60) ? "west" : "east");
        action->x = some_amount(20000);
        action->y = chance(80) ? INT64_MAX : some_amount(10000);
        action->z = chance(10) ? -1 : pick(10000);
    } else if (action->type == ACTION_DEVICE_DELEGATE) {
        some_person(action->b);
        action->x = model.now + dice_between(&dice, -5000, 5000);
        action->y = model.now + dice_between(&dice, -1000, 60000);
    } else if (action->type == ACTION_DEVICE_TRANSFER) {
        some_person(action->b);
    } else if (action->type == ACTION_DEVICE_STATUS) {
        action->x = chance(80) ? STATUS_ACTIVE : chance(80) ? STATUS_SUSPENDED : pick(3);
    } else if (action->type == ACTION_DEVICE_ENROL) {
        some_market(action->b);
        action->x = chance(60);
    }
}

static void random_money_action(struct slow_action *action)
{
    some_person(action->a);
    action->x = some_amount(100000);
    if (action->type != ACTION_TOKEN_TRANSFER)
        action->n = chance(20) ? (unsigned)pick(next_receipt) : next_receipt++;
}

static void random_action(struct slow_action *action)
{
    static const int types[] = {
        ACTION_PARTICIPANT_REGISTER,
        ACTION_PARTICIPANT_STATUS,
        ACTION_PARTICIPANT_ROTATE_KEY,
        ACTION_DEVICE_REGISTER,
        ACTION_DEVICE_DELEGATE,
        ACTION_DEVICE_DELEGATE_ACCEPT,
        ACTION_DEVICE_TRANSFER,
        ACTION_DEVICE_TRANSFER_ACCEPT,
        ACTION_DEVICE_STATUS,
        ACTION_DEVICE_ENROL,
        ACTION_TOKEN_MINT,
        ACTION_TOKEN_BURN,
        ACTION_TOKEN_TRANSFER,
        ACTION_TOKEN_TRANSFER,
        ACTION_TOKEN_MINT,
    };
    memset(action, 0, sizeof *action);
    action->type = types[pick(sizeof types / sizeof types[0] - 1)];
    if (action->type < ACTION_DEVICE_REGISTER)
        random_person_action(action);
    else if (action->type < ACTION_TOKEN_MINT)
        random_device_action(action);
    else
        random_money_action(action);
}

/* Somebody for whom the action makes sense, so that not everything fails. */
static const struct slow_person *fitting_sender(const struct slow_action *action)
{
    const char *wanted = NULL;
    int device = slow_device_at(&model, action->a);
    if (action->type == ACTION_PARTICIPANT_REGISTER || action->type == ACTION_PARTICIPANT_STATUS)
        wanted = "operator";
    else if (action->type == ACTION_TOKEN_MINT || action->type == ACTION_TOKEN_BURN)
        wanted = "treasurer";
    else if (action->type == ACTION_DEVICE_STATUS && action->x != STATUS_RETIRED)
        wanted = "dso";
    else if (device >= 0 && action->type == ACTION_DEVICE_DELEGATE_ACCEPT)
        wanted = model.devices[device].asked_manager;
    else if (device >= 0 && action->type == ACTION_DEVICE_TRANSFER_ACCEPT)
        wanted = model.devices[device].asked_owner;
    else if (device >= 0 && action->type == ACTION_DEVICE_ENROL && chance(50))
        wanted = model.devices[device].manager;
    else if (device >= 0)
        wanted = model.devices[device].owner;
    int at = wanted == NULL || chance(15) ? -1 : slow_person_at(&model, wanted);
    return &model.people[at >= 0 ? at : (int)pick(model.people_count - 1)];
}

static void random_transaction(struct slow_transaction *transaction)
{
    memset(transaction, 0, sizeof *transaction);
    transaction->action_count = chance(70) ? 1 : (int)dice_between(&dice, 2, SLOW_ACTIONS);
    for (int i = 0; i < transaction->action_count; i++)
        random_action(&transaction->actions[i]);
    const struct slow_person *sender = fitting_sender(&transaction->actions[0]);
    transaction->key = chance(97) ? sender->key : (unsigned)pick(next_key);
    transaction->nonce = sender->nonce + 1;
    if (chance(4))
        transaction->nonce += (uint64_t)dice_between(&dice, -2, 2);
    transaction->valid_until =
        model.now +
        (chance(95) ? pick(model.lifetime) : dice_between(&dice, -2, 2) * model.lifetime);
    transaction->fee_limit = chance(97) ? 100000 : pick(2000);
}

/* --- the same as bytes ---------------------------------------------------------------------- */

static struct hash hash_of_number(unsigned n)
{
    struct hash hash;
    memset(&hash, 0, sizeof hash);
    memcpy(hash.bytes, &n, sizeof n);
    return hash;
}

static void rotate_record(struct participant_rotate_key *record, const char *sender,
                          const struct slow_action *action)
{
    char text[32];
    struct secret_key secret;
    struct hash message;
    struct name id = fixture_name(sender);
    key_text(text, action->n);
    fixture_secret(&secret, text);
    record->new_key = public_key_of(action->n);
    membership_key_proof_message(&message, &fixture.genesis_id, &id, &record->new_key);
    assert_true(schnorr_sign(&record->proof, &secret, &message));
    if (action->x != 1)
        record->proof.bytes[40] ^= 4;
}

static void device_record(union action_record *record, const struct slow_action *action)
{
    struct name id = fixture_name(action->a);
    if (action->type == ACTION_DEVICE_REGISTER) {
        struct device_register *device = &record->device_register;
        device->id = id;
        device->zone = fixture_name(action->b);
        device->node = device->feeder = device->zone;
        device->max_power = power_of(action->x);
        device->connection = power_of(action->y);
        device->capacity = energy_of(action->z);
        device->meter_key = fixture_key("meter");
    } else if (action->type == ACTION_DEVICE_DELEGATE) {
        record->device_delegate.device = id;
        record->device_delegate.manager = fixture_name(action->b);
        record->device_delegate.from = timestamp_of(action->x);
        record->device_delegate.until = timestamp_of(action->y);
    } else if (action->type == ACTION_DEVICE_DELEGATE_ACCEPT) {
        record->device_delegate_accept.device = id;
    } else if (action->type == ACTION_DEVICE_TRANSFER) {
        record->device_transfer.device = id;
        record->device_transfer.new_owner = fixture_name(action->b);
    } else if (action->type == ACTION_DEVICE_TRANSFER_ACCEPT) {
        record->device_transfer_accept.device = id;
    } else if (action->type == ACTION_DEVICE_STATUS) {
        record->device_status.device = id;
        record->device_status.status = (uint8_t)action->x;
    } else {
        record->device_enrol.device = id;
        record->device_enrol.market = fixture_name(action->b);
        record->device_enrol.enrolled = (uint8_t)action->x;
    }
}

static void make_record(union action_record *record, const char *sender,
                        const struct slow_action *action)
{
    memset(record, 0, sizeof *record);
    if (action->type == ACTION_PARTICIPANT_REGISTER) {
        record->participant_register.id = fixture_name(action->a);
        record->participant_register.key = public_key_of(action->n);
        record->participant_register.roles = (uint32_t)action->x;
    } else if (action->type == ACTION_PARTICIPANT_STATUS) {
        record->participant_status.id = fixture_name(action->a);
        record->participant_status.status = (uint8_t)action->x;
    } else if (action->type == ACTION_PARTICIPANT_ROTATE_KEY) {
        rotate_record(&record->participant_rotate_key, sender, action);
    } else if (action->type == ACTION_TOKEN_MINT) {
        record->token_mint.to = fixture_name(action->a);
        record->token_mint.amount = money_of(action->x);
        record->token_mint.receipt = hash_of_number(action->n);
    } else if (action->type == ACTION_TOKEN_BURN) {
        record->token_burn.amount = money_of(action->x);
        record->token_burn.receipt = hash_of_number(action->n);
    } else if (action->type == ACTION_TOKEN_TRANSFER) {
        record->token_transfer.to = fixture_name(action->a);
        record->token_transfer.amount = money_of(action->x);
    } else {
        device_record(record, action);
    }
}

/* Who the ledger will take the sender to be: a proof of possession names it. */
static const char *owner_of_key(unsigned key)
{
    for (int i = 0; i < model.people_count; i++)
        if (model.people[i].key == key)
            return model.people[i].id;
    return "nobody";
}

static enum contract_error run_on_ledger(const struct slow_transaction *transaction)
{
    union action_record records[SLOW_ACTIONS];
    struct transaction_draft draft;
    struct secret_key secret;
    struct byte_writer writer;
    char text[32];
    memset(&draft, 0, sizeof draft);
    draft.genesis = fixture.genesis_id;
    draft.nonce = transaction->nonce;
    draft.valid_until = timestamp_of(transaction->valid_until);
    draft.fee_limit = money_of(transaction->fee_limit);
    for (int i = 0; i < transaction->action_count; i++) {
        make_record(&records[i], owner_of_key(transaction->key), &transaction->actions[i]);
        fixture_draft_add(&draft, (uint8_t)transaction->actions[i].type, &records[i]);
    }
    key_text(text, transaction->key);
    fixture_secret(&secret, text);
    byte_writer_init(&writer, fixture.envelope, FIXTURE_ENVELOPE_BYTES);
    assert_true(transaction_sign(&writer, &draft, &secret));
    return fixture_apply_bytes(&fixture, bytes_view_of(fixture.envelope, writer.size));
}

/* --- the audit ------------------------------------------------------------------------------ */

static size_t count_of(uint8_t kind)
{
    return memory_state_count(fixture.state, bytes_view_of(&kind, 1));
}

static void assert_name(const char *expected, const struct name *actual)
{
    char text[NAME_SIZE + 1];
    assert_string_equal(expected, name_to_text(text, actual));
}

static void audit_people(void)
{
    int64_t sum = model.pool;
    for (int i = 0; i < model.people_count; i++) {
        const struct slow_person *person = &model.people[i];
        struct name id = fixture_name(person->id);
        struct state_key key = state_key_name(STATE_PARTICIPANT, &id);
        struct participant_record record;
        struct key_record owner;
        assert_true(ledger_read(fixture.view, &key, &participant_record_codec, &record));
        assert_int_equal(person->balance, fixture_balance(&fixture, person->id));
        assert_int_equal(person->nonce, record.nonce);
        assert_int_equal(person->status, record.status);
        assert_int_equal(person->roles, record.roles);
        struct public_key public_key = public_key_of(person->key);
        assert_memory_equal(public_key.bytes, record.key.bytes, PUBLIC_KEY_SIZE);
        key = state_key_hash(STATE_KEY, public_key.bytes);
        assert_true(ledger_read(fixture.view, &key, &key_record_codec, &owner));
        assert_name(person->status == STATUS_RETIRED ? "" : person->id, &owner.participant);
        sum += person->balance;
    }
    assert_int_equal(model.people_count, count_of(STATE_PARTICIPANT));
    assert_int_equal(model.key_count, count_of(STATE_KEY));
    assert_int_equal(model.minted - model.burned, sum);
}

static void audit_devices(void)
{
    for (int i = 0; i < model.device_count; i++) {
        const struct slow_device *device = &model.devices[i];
        struct name id = fixture_name(device->id);
        struct state_key key = state_key_name(STATE_DEVICE, &id);
        struct device_record record;
        assert_true(ledger_read(fixture.view, &key, &device_record_codec, &record));
        assert_name(device->owner, &record.owner);
        assert_name(device->manager, &record.manager);
        assert_name(device->asked_manager, &record.pending_manager);
        assert_name(device->asked_owner, &record.pending_owner);
        assert_int_equal(device->from, timestamp_ms(record.managed_from));
        assert_int_equal(device->until, timestamp_ms(record.managed_until));
        assert_int_equal(device->asked_from, timestamp_ms(record.pending_from));
        assert_int_equal(device->asked_until, timestamp_ms(record.pending_until));
        assert_int_equal(device->status, record.status);
    }
    assert_int_equal(model.device_count, count_of(STATE_DEVICE));
    for (int i = 0; i < model.pair_count; i++) {
        struct name device = fixture_name(model.pairs[i].device);
        struct name market = fixture_name(model.pairs[i].market);
        struct state_key key = state_key_pair(STATE_ENROLMENT, &device, &market);
        struct enrolment_record record;
        assert_true(ledger_read(fixture.view, &key, &enrolment_record_codec, &record));
    }
    assert_int_equal(model.pair_count, count_of(STATE_ENROLMENT));
}

static void audit_totals(void)
{
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    struct clock_record clock;
    struct counters_record counters;
    struct pot_record pot = {.amount = money_of(0)};
    assert_true(ledger_read(fixture.view, &key, &supply_record_codec, &supply));
    assert_int_equal(model.minted, money_ueur(supply.minted));
    assert_int_equal(model.burned, money_ueur(supply.burned));
    key = state_key_single(STATE_CLOCK);
    assert_true(ledger_read(fixture.view, &key, &clock_record_codec, &clock));
    assert_int_equal(model.now, timestamp_ms(clock.time));
    assert_int_equal(model.last_split, timestamp_ms(clock.fees_split));
    key = state_key_single(STATE_COUNTERS);
    assert_true(ledger_read(fixture.view, &key, &counters_record_codec, &counters));
    assert_int_equal(model.transactions, counters.transactions);
    key = state_key_pot(POT_FEES, NULL, 0);
    assert_int_equal(model.pool > 0, ledger_read(fixture.view, &key, &pot_record_codec, &pot));
    assert_int_equal(model.pool, money_ueur(pot.amount));
    assert_int_equal(model.receipt_count, count_of(STATE_RECEIPT));
}

static void put_market(const char *id, const char *zone, bool closed)
{
    struct market_record market;
    uint8_t bytes[LIMIT_STATE_VALUE_BYTES];
    struct byte_writer writer;
    memset(&market, 0, sizeof market);
    market.terms.id = fixture_name(id);
    market.terms.zone = fixture_name(zone);
    market.state = closed ? MARKET_CLOSED : MARKET_OPEN;
    market.operator_name = fixture_name("operator");
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&market_record_codec, &market, &writer);
    struct state_key key = state_key_name(STATE_MARKET, &market.terms.id);
    fixture.view->ops->put(fixture.view, bytes_view_of(key.bytes, key.size),
                           bytes_view_of(bytes, writer.size));
    snprintf(model.markets[model.market_count].id, SLOW_NAME, "%s", id);
    snprintf(model.markets[model.market_count].zone, SLOW_NAME, "%s", zone);
    model.markets[model.market_count].closed = closed;
    model.market_count++;
}

static void short_fee_period(struct genesis *genesis)
{
    genesis->params.fee_period = duration_of(7777);
}

static void start(void)
{
    char text[NAME_SIZE + 1];
    fixture_open_with(&fixture, short_fee_period);
    const struct params_record *params = &fixture.genesis.params;
    memset(&model, 0, sizeof model);
    model.fee_per_tx = money_ueur(params->fee_per_tx);
    model.fee_per_action = money_ueur(params->fee_per_action);
    model.fee_period = duration_ms(params->fee_period);
    model.lifetime = duration_ms(params->tx_lifetime);
    model.last_split = timestamp_ms(fixture.genesis.time);
    for (uint32_t i = 0; i < fixture.genesis.participant_count; i++)
        slow_add_person(&model, name_to_text(text, &fixture.genesis.participants[i].id), i,
                        fixture.genesis.participants[i].roles);
    for (int i = 0; i < SLOW_VALIDATORS; i++)
        name_to_text(model.operators[i], &params->validators[i].operator_name);
    next_key = fixture.genesis.participant_count;
    next_receipt = 1;
    put_market("local", "west", false);
    put_market("far", "east", false);
    put_market("over", "west", true);
}

static void assert_all_seen(void)
{
    static const enum contract_error wanted[] = {
        CONTRACT_OK,
        CONTRACT_TX_UNKNOWN_KEY,
        CONTRACT_TX_NONCE_USED,
        CONTRACT_TX_EXPIRED,
        CONTRACT_TX_NONCE_GAP,
        CONTRACT_TX_FEE_UNAFFORDABLE,
        CONTRACT_TX_FEE_LIMIT,
        CONTRACT_TX_EXPIRY_TOO_FAR,
        CONTRACT_NOT_PERMITTED,
        CONTRACT_SUSPENDED,
        CONTRACT_AMOUNT_NOT_POSITIVE,
        CONTRACT_OVERFLOW,
        CONTRACT_INSUFFICIENT_FUNDS,
        CONTRACT_UNKNOWN_PARTICIPANT,
        CONTRACT_UNKNOWN_DEVICE,
        CONTRACT_UNKNOWN_MARKET,
        CONTRACT_EXISTS_ALREADY,
        CONTRACT_NOT_OWNER,
        CONTRACT_NOT_YOURS_TO_OFFER,
        CONTRACT_NO_PENDING_REQUEST,
        CONTRACT_NOT_ENROLLED,
        CONTRACT_WRONG_ZONE,
        CONTRACT_MARKET_NOT_OPEN,
        CONTRACT_TOO_LATE,
        CONTRACT_BAD_KEY,
        CONTRACT_BAD_PARAMETER,
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (seen[wanted[i]] == 0)
            fail_msg("%s never came up", contract_error_name(wanted[i]));
    assert_true(seen[CONTRACT_OK] > BLOCKS * TRANSACTIONS_PER_BLOCK / 5);
}

static void test_ledger_and_model_agree(void **state)
{
    (void)state;
    dice.state = 20260105;
    start();
    for (int block = 0; block < BLOCKS; block++) {
        model.now = timestamp_ms(fixture.context.time);
        for (int i = 0; i < TRANSACTIONS_PER_BLOCK; i++) {
            struct slow_transaction transaction;
            random_transaction(&transaction);
            enum contract_error actual = run_on_ledger(&transaction);
            int expected = slow_transaction(&model, &transaction);
            if (expected != (int)actual)
                print_message("block %d, transaction %d, first action %d\n", block, i,
                              transaction.actions[0].type);
            assert_status((enum contract_error)expected, actual);
            seen[actual]++;
        }
        fixture_end_block(&fixture);
        slow_end_block(&model);
        audit_people();
        audit_devices();
        audit_totals();
        fixture_begin_block(&fixture, dice_between(&dice, 1, 9000));
    }
    assert_all_seen();
    fixture_end_block(&fixture);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_and_model_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
