/* A small ledger for contract tests (fixture.h).
 *
 * Keys come from names by hashing, so every test signs the same bytes in every run. A block end
 * checks conservation twice: by the ledger's own check and by summing up all pots against the supply.
 *
 * Deliberately absent: storage, blocks as bytes, consensus. */
#include "tests/lib/contracts/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/ledger_internal.h"

struct name fixture_name(const char *text)
{
    struct name name;
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

void fixture_secret(struct secret_key *out, const char *text)
{
    struct hash hash;
    hash_bytes(&hash, HASH_DOMAIN_KEY_PROOF, text, strlen(text));
    memcpy(out->bytes, hash.bytes, SECRET_KEY_SIZE);
}

struct public_key fixture_key(const char *text)
{
    struct secret_key secret;
    struct public_key key;
    fixture_secret(&secret, text);
    MUST(schnorr_public_key(&key, &secret));
    return key;
}

/* --- genesis -------------------------------------------------------------------------------- */

static const struct {
    const char *id;
    uint32_t roles;
} founders[] = {
    {"operator", ROLE_MARKET_OPERATOR},
    {"treasurer", ROLE_TREASURER},
    {"dso", ROLE_DSO},
    {"tso", ROLE_TSO},
    {"agg", ROLE_AGGREGATOR},
    {"agg2", ROLE_AGGREGATOR},
    {"retail", ROLE_RETAILER},
    {"alice", ROLE_PROSUMER},
    {"bob", ROLE_PROSUMER},
    {"carol", ROLE_PROSUMER},
    {"meters", ROLE_METER_OPERATOR},
    {"regulator", ROLE_REGULATOR},
};

static int by_key(const void *a, const void *b)
{
    const struct params_validator *left = a;
    const struct params_validator *right = b;
    return public_key_compare(&left->key, &right->key);
}

static void fill_genesis(struct genesis *genesis)
{
    static const char *const operators[] = {"dso", "agg", "agg2", "operator"};
    memset(genesis, 0, sizeof *genesis);
    genesis->chain = fixture_name("test");
    genesis->time = timestamp_of(FIXTURE_TIME_MS);
    genesis->simulated_time = 1;
    genesis->delta_ms = 100;
    genesis->block_interval_ms = 50;
    genesis->max_idle_ms = 1000;
    genesis->exec_budget_ms = 200;
    genesis->timeout_cap_ms = 30000;
    genesis->backoff_permille = 1300;
    genesis->params.fee_per_tx = money_of(FIXTURE_FEE_PER_TX);
    genesis->params.fee_per_action = money_of(FIXTURE_FEE_PER_ACTION);
    genesis->params.fee_per_deal = money_of(FIXTURE_FEE_PER_DEAL);
    genesis->params.fee_period = duration_of(MS_PER_DAY);
    genesis->params.tx_lifetime = duration_of(MS_PER_DAY);
    genesis->params.validator_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        struct secret_key seed;
        memset(seed.bytes, (int)i + 1, sizeof seed.bytes);
        ed25519_public_key(&genesis->params.validators[i].key, &seed);
        genesis->params.validators[i].operator_name = fixture_name(operators[i]);
    }
    qsort(genesis->params.validators, 4, sizeof genesis->params.validators[0], by_key);
    genesis->participant_count = sizeof founders / sizeof founders[0];
    for (uint32_t i = 0; i < genesis->participant_count; i++) {
        genesis->participants[i].id = fixture_name(founders[i].id);
        genesis->participants[i].key = fixture_key(founders[i].id);
        genesis->participants[i].roles = founders[i].roles;
    }
}

void (*fixture_watch)(struct fixture *fixture, const struct name *sender,
                      const struct receipt *receipt);

void fixture_open_with(struct fixture *fixture, void (*change)(struct genesis *genesis))
{
    MUST(crypto_init());
    memset(fixture, 0, sizeof *fixture);
    fill_genesis(&fixture->genesis);
    if (change != NULL)
        change(&fixture->genesis);
    MUST(genesis_hash(&fixture->genesis_id, &fixture->genesis));
    fixture->state = memory_state_create();
    fixture->view = memory_state_view(fixture->state);
    fixture->ledger = ledger_create();
    fixture->envelope = malloc(FIXTURE_ENVELOPE_BYTES);
    MUST(fixture->ledger != NULL && fixture->envelope != NULL);
    MUST(ledger_genesis(fixture->view, &fixture->genesis));
    fixture->context.genesis = fixture->genesis_id;
    fixture->context.parent_id = fixture->genesis_id;
    fixture->context.time = fixture->genesis.time;
    fixture_begin_block(fixture, FIXTURE_BLOCK_MS);
}

void fixture_open(struct fixture *fixture)
{
    fixture_open_with(fixture, NULL);
}

void fixture_close(struct fixture *fixture)
{
    ledger_destroy(fixture->ledger);
    memory_state_destroy(fixture->state);
    free(fixture->envelope);
    memset(fixture, 0, sizeof *fixture);
}

/* --- blocks --------------------------------------------------------------------------------- */

void fixture_begin_block(struct fixture *fixture, int64_t ms)
{
    MUST(!fixture->block_open);
    MUST(timestamp_add(&fixture->context.time, fixture->context.time, duration_of(ms)));
    fixture->context.height++;
    /* Any two hashes that differ from block to block will do. */
    hash_bytes(&fixture->context.log_root, HASH_DOMAIN_MERKLE_NODE, &fixture->context.height,
               sizeof fixture->context.height);
    hash_bytes(&fixture->context.parent_id, HASH_DOMAIN_BLOCK_ID, &fixture->context.height,
               sizeof fixture->context.height);
    memory_state_begin_block(fixture->state);
    ledger_block_begin(fixture->ledger, fixture->view, &fixture->context);
    fixture->block_open = true;
}

void fixture_end_block(struct fixture *fixture)
{
    MUST(fixture->block_open);
    ledger_block_end(fixture->ledger, &fixture->end_receipt);
    fixture->block_open = false;
    MUST(!fixture->view->fault);
    MUST(ledger_conserves_value(fixture->view));
    if (fixture_watch != NULL)
        fixture_watch(fixture, NULL, &fixture->end_receipt);
    struct state_key key = state_key_single(STATE_SUPPLY);
    struct supply_record supply;
    MUST(ledger_read(fixture->view, &key, &supply_record_codec, &supply));
    int128 held = 0;
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        held += money_ueur(supply.held[kind]);
        MUST(fixture_pots_of(fixture, (uint8_t)kind) == money_ueur(supply.held[kind]));
    }
    MUST(held == (int128)money_ueur(supply.minted) - money_ueur(supply.burned));
    MUST(held == fixture_pots(fixture));
}

void fixture_leave_block(struct fixture *fixture)
{
    const struct contract_call call = {
        .ledger = fixture->ledger, .view = fixture->view, .context = &fixture->context};
    MUST(fixture->block_open);
    ledger_write_held(&call);
    fixture->block_open = false;
}

void fixture_next_block(struct fixture *fixture, int64_t ms)
{
    fixture_end_block(fixture);
    fixture_begin_block(fixture, ms);
}

/* --- transactions --------------------------------------------------------------------------- */

struct fixture_signer *fixture_signer(struct fixture *fixture, const char *sender)
{
    struct name id = fixture_name(sender);
    for (uint32_t i = 0; i < fixture->signer_count; i++)
        if (name_compare(&fixture->signers[i].id, &id) == 0)
            return &fixture->signers[i];
    MUST(fixture->signer_count < FIXTURE_SIGNERS_MAX);
    struct fixture_signer *signer = &fixture->signers[fixture->signer_count++];
    signer->id = id;
    fixture_secret(&signer->secret, sender);
    return signer;
}

void fixture_draft(struct fixture *fixture, struct transaction_draft *draft, const char *sender)
{
    memset(draft, 0, sizeof *draft);
    draft->genesis = fixture->genesis_id;
    draft->nonce = fixture_signer(fixture, sender)->nonce + 1;
    MUST(timestamp_add(&draft->valid_until, fixture->context.time, duration_of(MS_PER_HOUR)));
    draft->fee_limit = money_of(1000000);
}

void fixture_draft_add(struct transaction_draft *draft, uint8_t type, const void *record)
{
    MUST(draft->action_count < LIMIT_ACTIONS_PER_TX);
    draft->actions[draft->action_count].type = type;
    draft->actions[draft->action_count].record = record;
    draft->action_count++;
}

enum contract_error fixture_apply_bytes(struct fixture *fixture, struct bytes_view envelope)
{
    struct transaction transaction;
    enum contract_error error = transaction_decode(&transaction, envelope);
    if (error != CONTRACT_OK)
        return error;
    if (!transaction_signature_is_valid(&transaction))
        return CONTRACT_TX_BAD_SIGNATURE;
    /* The check alone must say what the application will. */
    enum contract_error checked =
        ledger_transaction_check(fixture->view, &fixture->context, &transaction);
    struct money fee = ledger_transaction_fee(fixture->view, &transaction);
    struct participant_record sender;
    struct name sender_id = {0};
    (void)ledger_participant_by_key(fixture->view, &transaction.sender, &sender_id, &sender);
    error = ledger_transaction_apply(fixture->ledger, &transaction, &fixture->receipt);
    MUST(checked == error);
    if (error != CONTRACT_OK)
        return error;
    MUST(hash_equal(&fixture->receipt.tx_id, &transaction.id));
    MUST(money_compare(fixture->receipt.fee, fee) == 0);
    if (fixture_watch != NULL)
        fixture_watch(fixture, &sender_id, &fixture->receipt);
    return (enum contract_error)fixture->receipt.status;
}

enum contract_error fixture_send(struct fixture *fixture, const char *sender,
                                 const struct transaction_draft *draft)
{
    struct fixture_signer *signer = fixture_signer(fixture, sender);
    struct byte_writer writer;
    byte_writer_init(&writer, fixture->envelope, FIXTURE_ENVELOPE_BYTES);
    MUST(transaction_sign(&writer, draft, &signer->secret));
    fixture->envelope_size = writer.size;
    enum contract_error error =
        fixture_apply_bytes(fixture, bytes_view_of(fixture->envelope, fixture->envelope_size));
    if (error == CONTRACT_OK || error >= CONTRACT_NOT_PERMITTED)
        signer->nonce = draft->nonce;
    return error;
}

enum contract_error fixture_act(struct fixture *fixture, const char *sender, uint8_t type,
                                const void *record)
{
    struct transaction_draft draft;
    fixture_draft(fixture, &draft, sender);
    fixture_draft_add(&draft, type, record);
    return fixture_send(fixture, sender, &draft);
}

/* --- short cuts ----------------------------------------------------------------------------- */

void fixture_fund(struct fixture *fixture, const char *to, int64_t ueur)
{
    struct token_mint mint;
    memset(&mint, 0, sizeof mint);
    mint.to = fixture_name(to);
    mint.amount = money_of(ueur);
    uint64_t nonce = fixture_signer(fixture, "treasurer")->nonce;
    hash_bytes(&mint.receipt, HASH_DOMAIN_RECEIPT, &nonce, sizeof nonce);
    MUST(fixture_act(fixture, "treasurer", ACTION_TOKEN_MINT, &mint) == CONTRACT_OK);
}

void fixture_register(struct fixture *fixture, const char *id, uint32_t roles)
{
    struct participant_register action;
    memset(&action, 0, sizeof action);
    action.id = fixture_name(id);
    action.key = fixture_key(id);
    action.roles = roles;
    MUST(fixture_act(fixture, "operator", ACTION_PARTICIPANT_REGISTER, &action) == CONTRACT_OK);
}

void fixture_device(struct fixture *fixture, const char *id, const char *owner, const char *zone)
{
    struct device_register device;
    memset(&device, 0, sizeof device);
    device.id = fixture_name(id);
    device.type = DEVICE_STORAGE;
    device.max_power = power_of(10000);
    device.capacity = energy_of(13500);
    device.connection = power_of(17250);
    device.node = fixture_name("n1");
    device.feeder = fixture_name("f1");
    device.zone = fixture_name(zone);
    device.meter_key = fixture_key(id);
    char sub[2 * NAME_SIZE];
    snprintf(sub, sizeof sub, "%s-sub", id);
    device.submeter_key = fixture_key(sub);
    MUST(fixture_act(fixture, owner, ACTION_DEVICE_REGISTER, &device) == CONTRACT_OK);
    struct device_status status = {.device = device.id, .status = STATUS_ACTIVE};
    MUST(fixture_act(fixture, "dso", ACTION_DEVICE_STATUS, &status) == CONTRACT_OK);
}

int64_t fixture_balance(struct fixture *fixture, const char *id)
{
    struct name name = fixture_name(id);
    return money_ueur(ledger_balance(fixture->view, &name));
}

/* All pots whose key begins so. */
static int128 pots_under(struct fixture *fixture, struct bytes_view prefix)
{
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size = 0;
    struct bytes_view value;
    int128 sum = 0;
    while (fixture->view->ops->next(fixture->view, prefix, bytes_view_of(key, key_size), key,
                                    &key_size, &value)) {
        struct pot_record pot;
        MUST(codec_decode_all(&pot_record_codec, &pot, value));
        MUST(money_ueur(pot.amount) >= 0);
        sum += money_ueur(pot.amount);
    }
    return sum;
}

/* What all orders hold, or all deals: `at` is which of the amounts that their records begin with. */
static int128 held_by(struct fixture *fixture, uint8_t record_kind, size_t at)
{
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size = 0;
    struct bytes_view value;
    int128 sum = 0;
    while (fixture->view->ops->next(fixture->view, bytes_view_of(&record_kind, 1),
                                    bytes_view_of(key, key_size), key, &key_size, &value)) {
        struct byte_reader reader;
        MUST(value.size > (at + 1) * sizeof(int64_t));
        byte_reader_init(&reader, value.data + at * sizeof(int64_t), sizeof(int64_t));
        int64_t amount = byte_read_i64(&reader);
        MUST(amount >= 0);
        sum += amount;
    }
    return sum;
}

int128 fixture_pots(struct fixture *fixture)
{
    static const uint8_t prefix[] = {STATE_POT};
    return pots_under(fixture, bytes_view_of(prefix, sizeof prefix)) +
           held_by(fixture, STATE_ORDER, 0) + held_by(fixture, STATE_DEAL, 0) +
           held_by(fixture, STATE_DEAL, 1);
}

int128 fixture_pots_of(struct fixture *fixture, uint8_t kind)
{
    const uint8_t prefix[] = {STATE_POT, kind};
    if (kind == POT_ORDER_ESCROW)
        return held_by(fixture, STATE_ORDER, 0);
    if (kind == POT_DEAL_ESCROW || kind == POT_DEAL_DEPOSIT)
        return held_by(fixture, STATE_DEAL, kind == POT_DEAL_DEPOSIT);
    return pots_under(fixture, bytes_view_of(prefix, sizeof prefix));
}
