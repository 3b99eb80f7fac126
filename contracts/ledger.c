/* The state machine's front door: which transaction may stand where, what it costs, what it does.
 *
 * 1. A transaction that fails a check of the TX_ group changes nothing.
 * 2. One that passes pays its fee and uses its nonce whatever becomes of its actions; then all of
 *    its actions take effect or none does.
 * 3. Events and touched books of a failed transaction are forgotten with its writes.
 * 4. Nothing is allocated after ledger_create; all memory is bounded by the limits.
 * 5. A block's result depends on its bytes and the state alone: what the ledger remembers from one
 *    call to the next begins afresh with each block.
 *
 * Deliberately absent: the rules of each action (the modules), the fee split and the check of
 * conservation (ledger_block.c), signatures (the caller verified them). */
#include "contracts/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/auction.h"
#include "contracts/book.h"
#include "contracts/capacity.h"
#include "contracts/coupled.h"
#include "contracts/deal.h"
#include "contracts/ledger_internal.h"
#include "contracts/rules.h"

/* The methods of each version that this program has, so that an action costs a look-up and no search. */
static void fill_methods(struct ledger *ledger)
{
    MUST(ledger_rules_count > 0 && ledger_rules_count <= LEDGER_RULES_KEPT_MAX);
    for (uint32_t v = 0; v < ledger_rules_count; v++) {
        const struct ledger_rules *rules = &ledger_rules_table[v];
        struct ledger_methods *methods = &ledger->methods[v];
        for (size_t m = 0; m < rules->module_count; m++) {
            for (size_t i = 0; i < rules->modules[m]->method_count; i++) {
                const struct contract_method_entry *entry = &rules->modules[m]->methods[i];
                MUST(action_codec(entry->type) != NULL);
                MUST(methods->of[entry->type] == NULL);
                methods->of[entry->type] = entry->apply;
            }
        }
        for (size_t i = 0; i < rules->change_count; i++) {
            MUST(action_codec(rules->changes[i].type) != NULL);
            methods->of[rules->changes[i].type] = rules->changes[i].apply;
        }
    }
}

struct ledger *ledger_create(void)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return NULL;
    fill_methods(ledger);
    ledger->book_scratch = book_scratch_create();
    ledger->grid = grid_create();
    ledger->auction_scratch = auction_scratch_create();
    ledger->capacity_scratch = capacity_scratch_create();
    ledger->coupled_scratch = coupled_scratch_create();
    if (ledger->book_scratch == NULL || ledger->grid == NULL || ledger->auction_scratch == NULL ||
        ledger->capacity_scratch == NULL || ledger->coupled_scratch == NULL) {
        ledger_destroy(ledger);
        return NULL;
    }
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    if (ledger != NULL) {
        book_scratch_destroy(ledger->book_scratch);
        grid_destroy(ledger->grid);
        auction_scratch_destroy(ledger->auction_scratch);
        capacity_scratch_destroy(ledger->capacity_scratch);
        coupled_scratch_destroy(ledger->coupled_scratch);
    }
    free(ledger);
}

struct capacity_scratch *ledger_capacity_scratch(struct ledger *ledger)
{
    return ledger->capacity_scratch;
}

struct coupled_scratch *ledger_coupled_scratch(struct ledger *ledger)
{
    return ledger->coupled_scratch;
}

struct grid *ledger_grid(struct ledger *ledger)
{
    return ledger->grid;
}

struct auction_scratch *ledger_auction_scratch(struct ledger *ledger)
{
    return ledger->auction_scratch;
}

struct book_scratch *ledger_book_scratch(struct ledger *ledger)
{
    return ledger->book_scratch;
}

/* --- state, as modules see it --------------------------------------------------------------- */

static struct bytes_view key_view(const struct state_key *key)
{
    return bytes_view_of(key->bytes, key->size);
}

bool ledger_read(struct state_view *view, const struct state_key *key,
                 const struct codec_record *codec, void *record)
{
    struct bytes_view value;
    if (!view->ops->get(view, key_view(key), &value))
        return false;
    MUST(codec_decode_all(codec, record, value));
    return true;
}

static struct bytes_view encoded(uint8_t bytes[LIMIT_STATE_VALUE_BYTES],
                                 const struct codec_record *codec, const void *record)
{
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, LIMIT_STATE_VALUE_BYTES);
    codec_encode(codec, record, &writer);
    MUST(!writer.failed);
    return bytes_view_of(bytes, writer.size);
}

void ledger_write(struct state_view *view, const struct state_key *key,
                  const struct codec_record *codec, const void *record)
{
    uint8_t bytes[LIMIT_STATE_VALUE_BYTES];
    view->ops->put(view, key_view(key), encoded(bytes, codec, record));
}

bool contract_read(const struct contract_call *call, const struct state_key *key,
                   const struct codec_record *codec, void *record)
{
    /* Tests look at a state from outside of its ledger's block. */
    struct ledger *ledger = call->ledger;
    return ledger != NULL && ledger->view == call->view
               ? recall_read(&ledger->recall, call->view, key, codec, record)
               : ledger_read(call->view, key, codec, record);
}

void contract_write(const struct contract_call *call, const struct state_key *key,
                    const struct codec_record *codec, const void *record)
{
    call->ledger->work++;
    uint8_t bytes[LIMIT_STATE_VALUE_BYTES];
    const struct bytes_view value = encoded(bytes, codec, record);
    call->view->ops->put(call->view, key_view(key), value);
    if (!call->view->fault) {
        recall_wrote(&call->ledger->recall, key, codec, record);
    }
}

void contract_write_index(const struct contract_call *call, const struct state_key *key)
{
    call->ledger->work++;
    call->view->ops->put(call->view, key_view(key), bytes_view_of(NULL, 0));
}

bool contract_exists(const struct contract_call *call, const struct state_key *key)
{
    struct bytes_view value;
    return call->view->ops->get(call->view, key_view(key), &value);
}

void contract_remove(const struct contract_call *call, const struct state_key *key)
{
    call->ledger->work++;
    recall_removed(&call->ledger->recall, key);
    call->view->ops->remove(call->view, key_view(key));
}

bool contract_next(const struct contract_call *call, struct bytes_view prefix,
                   struct bytes_view after, struct state_key *key, struct bytes_view *value)
{
    /* `after` may be the very key that is overwritten. */
    struct state_key found;
    memset(&found, 0, sizeof found);
    call->ledger->work++;
    if (!call->view->ops->next(call->view, prefix, after, found.bytes, &found.size, value))
        return false;
    *key = found;
    return true;
}

uint64_t contract_work(const struct contract_call *call)
{
    return call->ledger->work;
}

void contract_spend(const struct contract_call *call, uint64_t units)
{
    call->ledger->work += units;
}

bool contract_is_spent(const struct contract_call *call)
{
    const struct ledger *ledger = call->ledger;
    return ledger->events.failed || ledger->work - ledger->work_before > LIMIT_WORK_PER_TX;
}

bool contract_operates_validator(const struct contract_call *call)
{
    const struct params_record *params = &call->ledger->params;
    for (uint32_t i = 0; i < params->validator_count; i++) {
        if (name_compare(&params->validators[i].operator_name, &call->sender) == 0) {
            return true;
        }
    }
    return false;
}

bool contract_has_role(const struct contract_call *call, uint32_t roles)
{
    return (call->sender_roles & roles) != 0;
}

/* --- events --------------------------------------------------------------------------------- */

size_t contract_event_room(const struct contract_call *call)
{
    const struct byte_writer *events = &call->ledger->events;
    return events->failed ? 0 : events->capacity - events->size;
}

void contract_event(const struct contract_call *call, uint8_t type, const void *record)
{
    const struct codec_record *codec = event_codec(type);
    struct byte_writer *events = &call->ledger->events;
    MUST(codec != NULL);
    uint8_t bytes[CONTRACT_EVENT_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(codec, record, &writer);
    MUST(!writer.failed);
    /* Nobody pays for the end of a block, so nobody could be made to fail there. */
    MUST(call->transaction != NULL || contract_event_room(call) >= writer.size + 3);
    byte_write_u8(events, type);
    byte_write_u16(events, (uint16_t)writer.size);
    byte_write_raw(events, bytes, writer.size);
}

/* --- checks of a transaction as such -------------------------------------------------------- */

bool ledger_participant_by_key(struct state_view *view, const struct public_key *key,
                               struct name *id, struct participant_record *record)
{
    struct state_key index = state_key_hash(STATE_KEY, key->bytes);
    struct key_record owner;
    if (!ledger_read(view, &index, &key_record_codec, &owner) || name_is_empty(&owner.participant))
        return false;
    struct state_key at = state_key_name(STATE_PARTICIPANT, &owner.participant);
    if (!ledger_read(view, &at, &participant_record_codec, record)) {
        MUST(view->fault);
        return false;
    }
    *id = owner.participant;
    return true;
}

struct money ledger_balance(struct state_view *view, const struct name *participant)
{
    struct state_key key = state_key_pot(POT_BALANCE, participant, 0);
    struct pot_record pot;
    if (!ledger_read(view, &key, &pot_record_codec, &pot))
        return money_of(0);
    return pot.amount;
}

/* Mints and burns alone, by an active treasurer: free, or the first token could never be made. */
static bool is_treasury(const struct transaction *transaction,
                        const struct participant_record *sender)
{
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    if ((sender->roles & ROLE_TREASURER) == 0 || sender->status != STATUS_ACTIVE)
        return false;
    while (transaction_next_action(transaction, &cursor, &type, &record))
        if (type != ACTION_TOKEN_MINT && type != ACTION_TOKEN_BURN)
            return false;
    return true;
}

static struct money fee_of(const struct params_record *params,
                           const struct transaction *transaction,
                           const struct participant_record *sender)
{
    if (is_treasury(transaction, sender))
        return money_of(0);
    int128 fee = money_ueur(params->fee_per_tx) +
                 product_i128(money_ueur(params->fee_per_action), transaction->action_count);
    int64_t narrow;
    MUST(checked_narrow_i64(&narrow, fee)); /* genesis_problem bounds the rates */
    return money_of(narrow);
}

static bool read_params(struct state_view *view, struct params_record *params)
{
    struct state_key key = state_key_single(STATE_PARAMS);
    return ledger_read(view, &key, &params_record_codec, params);
}

struct money ledger_transaction_fee(struct state_view *view, const struct transaction *transaction)
{
    struct params_record params;
    struct participant_record sender;
    struct name id;
    if (!read_params(view, &params)) {
        MUST(view->fault);
        return money_of(0);
    }
    if (!ledger_participant_by_key(view, &transaction->sender, &id, &sender))
        memset(&sender, 0, sizeof sender);
    return fee_of(&params, transaction, &sender);
}

/* Who sends it and what it pays, found on the way. */
struct admission {
    struct name sender;
    struct participant_record participant;
    struct money fee;
};

/* The order of the checks is part of the rules: it decides which error a sender sees. */
static enum contract_error check(struct state_view *view, const struct block_context *context,
                                 const struct params_record *params, uint32_t rules,
                                 const struct transaction *transaction, struct admission *out)
{
    /* The newest version has all actions that decode. */
    if (rules < ledger_rules_count && !ledger_rules_have_actions(rules, transaction))
        return CONTRACT_TX_MALFORMED;
    if (!hash_equal(&transaction->genesis, &context->genesis))
        return CONTRACT_TX_WRONG_CHAIN;
    if (!ledger_participant_by_key(view, &transaction->sender, &out->sender, &out->participant))
        return CONTRACT_TX_UNKNOWN_KEY;
    if (transaction->nonce <= out->participant.nonce)
        return CONTRACT_TX_NONCE_USED;
    if (timestamp_compare(context->time, transaction->valid_until) > 0)
        return CONTRACT_TX_EXPIRED;
    if (transaction->nonce - out->participant.nonce != 1)
        return CONTRACT_TX_NONCE_GAP;
    out->fee = fee_of(params, transaction, &out->participant);
    if (money_compare(ledger_balance(view, &out->sender), out->fee) < 0)
        return CONTRACT_TX_FEE_UNAFFORDABLE;
    if (money_compare(out->fee, transaction->fee_limit) > 0)
        return CONTRACT_TX_FEE_LIMIT;
    struct timestamp latest;
    if (timestamp_add(&latest, context->time, params->tx_lifetime) &&
        timestamp_compare(transaction->valid_until, latest) > 0)
        return CONTRACT_TX_EXPIRY_TOO_FAR;
    return CONTRACT_OK;
}

enum contract_error ledger_transaction_check(struct state_view *view,
                                             const struct block_context *context,
                                             const struct transaction *transaction)
{
    struct params_record params;
    struct admission admission;
    if (!read_params(view, &params)) {
        MUST(view->fault);
        return CONTRACT_TX_UNKNOWN_KEY;
    }
    const uint32_t rules =
        ledger_rules_count == 1 ? LEDGER_RULES_FIRST : ledger_rules_at(view, context->height);
    return check(view, context, &params, rules, transaction, &admission);
}

/* --- running a block ------------------------------------------------------------------------ */

void ledger_block_begin(struct ledger *ledger, struct state_view *view,
                        const struct block_context *context)
{
    ledger->view = view;
    ledger->context = *context;
    ledger->transactions = 0;
    ledger->work = 0;
    ledger->work_before = 0;
    recall_forget_all(&ledger->recall);
    ledger->touched_count = 0;
    memset(ledger->held_change, 0, sizeof ledger->held_change);
    MUST(read_params(view, &ledger->params) || view->fault);
    ledger->rules = ledger_rules_at(view, context->height);
    MUST(ledger_rules_is_known(ledger->rules)); /* the caller asked first (rules.h) */
}

/* Before the savepoint: this stays when the actions fail. */
static void take_fee(struct contract_call *call, struct admission *admission)
{
    struct state_key key = state_key_name(STATE_PARTICIPANT, &admission->sender);
    admission->participant.nonce++;
    contract_write(call, &key, &participant_record_codec, &admission->participant);
    if (money_compare(admission->fee, money_of(0)) > 0) {
        enum contract_error error =
            token_move_quiet(call, pot_balance(&admission->sender), pot_fees(), admission->fee);
        MUST(error == CONTRACT_OK || call->view->fault);
    }
}

static enum contract_error run_actions(struct contract_call *call)
{
    const struct ledger *ledger = call->ledger;
    union action_record record;
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view bytes;
    while (transaction_next_action(call->transaction, &cursor, &type, &bytes)) {
        MUST(codec_decode_all(action_codec(type), &record, bytes));
        contract_method method = ledger->methods[ledger->rules - 1].of[type];
        MUST(method != NULL);
        enum contract_error error = method(call, &record);
        if (error != CONTRACT_OK) {
            MUST(error >= CONTRACT_NOT_PERMITTED && error < CONTRACT_ERROR_COUNT);
            return error;
        }
        if (contract_is_spent(call))
            return CONTRACT_TOO_MANY_EVENTS;
        call->action_index++;
    }
    MUST(call->action_index == call->transaction->action_count);
    return CONTRACT_OK;
}

bool ledger_block_is_full(const struct ledger *ledger)
{
    return ledger->work > LIMIT_WORK_PER_BLOCK;
}

enum contract_error ledger_transaction_apply(struct ledger *ledger,
                                             const struct transaction *transaction,
                                             struct receipt *receipt)
{
    struct state_view *view = ledger->view;
    struct admission admission;
    enum contract_error error =
        check(view, &ledger->context, &ledger->params, ledger->rules, transaction, &admission);
    if (error != CONTRACT_OK)
        return error;
    struct contract_call call = {
        .ledger = ledger,
        .view = view,
        .context = &ledger->context,
        .transaction = transaction,
        .sender = admission.sender,
        .sender_roles = admission.participant.roles,
    };
    byte_writer_init(&ledger->events, ledger->transaction_events,
                     sizeof ledger->transaction_events);
    take_fee(&call, &admission);
    ledger->transactions++;
    error = CONTRACT_SUSPENDED;
    if (admission.participant.status == STATUS_ACTIVE) {
        uint32_t touched_before = ledger->touched_count;
        int64_t held_before[POT_KIND_COUNT];
        memcpy(held_before, ledger->held_change, sizeof held_before);
        view->ops->savepoint(view);
        recall_begin_transaction(&ledger->recall);
        ledger->work_before = ledger->work;
        error = run_actions(&call);
        if (error == CONTRACT_OK) {
            view->ops->keep(view);
        } else {
            view->ops->rollback(view);
            recall_rolled_back(&ledger->recall);
            ledger_untouch_books(ledger, touched_before);
            memcpy(ledger->held_change, held_before, sizeof held_before);
            byte_writer_init(&ledger->events, ledger->transaction_events,
                             sizeof ledger->transaction_events);
        }
    }
    receipt->tx_id = transaction->id;
    receipt->status = (uint16_t)error;
    receipt->fee = admission.fee;
    receipt->events = bytes_view_of(ledger->events.data, ledger->events.size);
    return CONTRACT_OK;
}

void ledger_block_end(struct ledger *ledger, struct receipt *receipt)
{
    struct contract_call call = {
        .ledger = ledger,
        .view = ledger->view,
        .context = &ledger->context,
    };
    byte_writer_init(&ledger->events, ledger->block_events, sizeof ledger->block_events);
    ledger->work = 0;
    if (!ledger->view->fault) {
        ledger_count_transactions(&call, ledger->transactions);
        const struct ledger_rules *rules = &ledger_rules_table[ledger->rules - 1];
        for (size_t m = 0; m < rules->module_count; m++)
            if (rules->modules[m]->block_end != NULL)
                rules->modules[m]->block_end(&call);
        ledger_split_fees(&call);
        ledger_write_held(&call);
    }
    MUST(!ledger->events.failed);
    memset(&receipt->tx_id, 0, sizeof receipt->tx_id);
    receipt->status = CONTRACT_OK;
    receipt->fee = money_of(0);
    receipt->events = bytes_view_of(ledger->events.data, ledger->events.size);
}
