/* The slow model (slow_model.h): every rule as a sentence would put it.
 *
 * Deliberately absent: bytes, signatures, records, keys of the state. Key number k stands for a key;
 * whether a signature or a proof of possession is good, the test says. */
#include "tests/lib/contracts/slow_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contracts/actions.h"
#include "contracts/errors.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void set_text(char out[SLOW_NAME], const char *text)
{
    snprintf(out, SLOW_NAME, "%s", text);
}

int slow_person_at(const struct slow_model *model, const char *id)
{
    for (int i = 0; i < model->people_count; i++)
        if (same(model->people[i].id, id))
            return i;
    return -1;
}

int slow_device_at(const struct slow_model *model, const char *id)
{
    for (int i = 0; i < model->device_count; i++)
        if (same(model->devices[i].id, id))
            return i;
    return -1;
}

static int pair_at(const struct slow_model *model, const char *device, const char *market)
{
    for (int i = 0; i < model->pair_count; i++)
        if (same(model->pairs[i].device, device) && same(model->pairs[i].market, market))
            return i;
    return -1;
}

bool slow_is_enrolled(const struct slow_model *model, const char *device, const char *market)
{
    return pair_at(model, device, market) >= 0;
}

static bool key_used(const struct slow_model *model, unsigned key)
{
    for (int i = 0; i < model->key_count; i++)
        if (model->keys[i] == key)
            return true;
    return false;
}

static bool receipt_used(const struct slow_model *model, unsigned receipt)
{
    for (int i = 0; i < model->receipt_count; i++)
        if (model->receipts[i] == receipt)
            return true;
    return false;
}

static void check_room(int count, int most)
{
    if (count >= most)
        abort();
}

void slow_add_person(struct slow_model *model, const char *id, unsigned key, unsigned roles)
{
    check_room(model->people_count, SLOW_PEOPLE);
    check_room(model->key_count, SLOW_USED);
    struct slow_person *person = &model->people[model->people_count++];
    memset(person, 0, sizeof *person);
    set_text(person->id, id);
    person->key = key;
    person->roles = roles;
    person->status = STATUS_ACTIVE;
    model->keys[model->key_count++] = key;
}

/* Can this person receive something or be asked for something? */
static int check_person(const struct slow_model *model, const char *id)
{
    int at = slow_person_at(model, id);
    if (at < 0)
        return CONTRACT_UNKNOWN_PARTICIPANT;
    if (model->people[at].status != STATUS_ACTIVE)
        return CONTRACT_SUSPENDED;
    return CONTRACT_OK;
}

/* --- participants --------------------------------------------------------------------------- */

/* a: id, n: key, x: roles */
static int do_register(struct slow_model *model, const struct slow_person *me,
                       const struct slow_action *action)
{
    if ((me->roles & ROLE_MARKET_OPERATOR) == 0)
        return CONTRACT_NOT_PERMITTED;
    if (action->x == 0)
        return CONTRACT_BAD_PARAMETER;
    if (slow_person_at(model, action->a) >= 0)
        return CONTRACT_EXISTS_ALREADY;
    if (key_used(model, action->n))
        return CONTRACT_EXISTS_ALREADY;
    slow_add_person(model, action->a, action->n, (unsigned)action->x);
    return CONTRACT_OK;
}

/* a: id, x: status */
static int do_status(struct slow_model *model, const struct slow_person *me,
                     const struct slow_action *action)
{
    if ((me->roles & ROLE_MARKET_OPERATOR) == 0)
        return CONTRACT_NOT_PERMITTED;
    if (same(me->id, action->a))
        return CONTRACT_NOT_PERMITTED;
    int at = slow_person_at(model, action->a);
    if (at < 0)
        return CONTRACT_UNKNOWN_PARTICIPANT;
    struct slow_person *person = &model->people[at];
    if (person->status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (action->x == STATUS_REGISTERED)
        return CONTRACT_BAD_PARAMETER;
    if (action->x == person->status)
        return CONTRACT_BAD_PARAMETER;
    person->status = (int)action->x;
    return CONTRACT_OK;
}

/* n: the new key, x: 1 if its possession is proven */
static int do_rotate(struct slow_model *model, struct slow_person *me,
                     const struct slow_action *action)
{
    if (key_used(model, action->n))
        return CONTRACT_EXISTS_ALREADY;
    if (action->x != 1)
        return CONTRACT_BAD_KEY;
    check_room(model->key_count, SLOW_USED);
    model->keys[model->key_count++] = action->n;
    me->key = action->n;
    return CONTRACT_OK;
}

/* --- money ---------------------------------------------------------------------------------- */

/* a: to, x: amount, n: receipt, 0 being none */
static int do_mint(struct slow_model *model, const struct slow_person *me,
                   const struct slow_action *action)
{
    if ((me->roles & ROLE_TREASURER) == 0)
        return CONTRACT_NOT_PERMITTED;
    if (action->x <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    int error = check_person(model, action->a);
    if (error != CONTRACT_OK)
        return error;
    if (action->n == 0)
        return CONTRACT_BAD_PARAMETER;
    if (receipt_used(model, action->n))
        return CONTRACT_EXISTS_ALREADY;
    if (INT64_MAX - model->minted < action->x)
        return CONTRACT_OVERFLOW;
    check_room(model->receipt_count, SLOW_USED);
    model->receipts[model->receipt_count++] = action->n;
    model->minted += action->x;
    model->people[slow_person_at(model, action->a)].balance += action->x;
    return CONTRACT_OK;
}

/* x: amount, n: receipt */
static int do_burn(struct slow_model *model, struct slow_person *me,
                   const struct slow_action *action)
{
    if ((me->roles & ROLE_TREASURER) == 0)
        return CONTRACT_NOT_PERMITTED;
    if (action->x <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    if (action->x > me->balance)
        return CONTRACT_INSUFFICIENT_FUNDS;
    if (action->n == 0)
        return CONTRACT_BAD_PARAMETER;
    if (receipt_used(model, action->n))
        return CONTRACT_EXISTS_ALREADY;
    check_room(model->receipt_count, SLOW_USED);
    model->receipts[model->receipt_count++] = action->n;
    model->burned += action->x;
    me->balance -= action->x;
    return CONTRACT_OK;
}

/* a: to, x: amount */
static int do_transfer(struct slow_model *model, struct slow_person *me,
                       const struct slow_action *action)
{
    if (action->x <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    if (same(action->a, me->id))
        return CONTRACT_BAD_PARAMETER;
    int error = check_person(model, action->a);
    if (error != CONTRACT_OK)
        return error;
    if (action->x > me->balance)
        return CONTRACT_INSUFFICIENT_FUNDS;
    me->balance -= action->x;
    model->people[slow_person_at(model, action->a)].balance += action->x;
    return CONTRACT_OK;
}

/* --- devices -------------------------------------------------------------------------------- */

/* a: id, b: zone, x: most power, y: connection, z: capacity */
static int do_device(struct slow_model *model, const struct slow_person *me,
                     const struct slow_action *action)
{
    if (action->x <= 0 || action->y <= 0)
        return CONTRACT_AMOUNT_NOT_POSITIVE;
    if (action->z < 0 || action->x / 2 + action->x % 2 > action->y)
        return CONTRACT_BAD_PARAMETER;
    if (slow_device_at(model, action->a) >= 0)
        return CONTRACT_EXISTS_ALREADY;
    check_room(model->device_count, SLOW_DEVICES);
    struct slow_device *device = &model->devices[model->device_count++];
    memset(device, 0, sizeof *device);
    set_text(device->id, action->a);
    set_text(device->zone, action->b);
    set_text(device->owner, me->id);
    device->status = STATUS_REGISTERED;
    return CONTRACT_OK;
}

static int own_device(const struct slow_model *model, const struct slow_person *me, const char *id)
{
    int at = slow_device_at(model, id);
    if (at < 0)
        return CONTRACT_UNKNOWN_DEVICE;
    if (!same(model->devices[at].owner, me->id))
        return CONTRACT_NOT_OWNER;
    if (model->devices[at].status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    return CONTRACT_OK;
}

/* a: device, x: status */
static int do_device_status(struct slow_model *model, const struct slow_person *me,
                            const struct slow_action *action)
{
    if (action->x == STATUS_REGISTERED)
        return CONTRACT_BAD_PARAMETER;
    if (action->x == STATUS_RETIRED) {
        int error = own_device(model, me, action->a);
        if (error != CONTRACT_OK)
            return error;
    } else if ((me->roles & ROLE_DSO) == 0) {
        return CONTRACT_NOT_PERMITTED;
    }
    int at = slow_device_at(model, action->a);
    if (at < 0)
        return CONTRACT_UNKNOWN_DEVICE;
    struct slow_device *device = &model->devices[at];
    if (device->status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (device->status == action->x)
        return CONTRACT_BAD_PARAMETER;
    device->status = (int)action->x;
    return CONTRACT_OK;
}

/* a: device, b: manager, x: from, y: until */
static int do_delegate(struct slow_model *model, const struct slow_person *me,
                       const struct slow_action *action)
{
    int error = own_device(model, me, action->a);
    if (error != CONTRACT_OK)
        return error;
    if (action->x >= action->y || same(action->b, me->id))
        return CONTRACT_BAD_PARAMETER;
    if (action->y <= model->now)
        return CONTRACT_TOO_LATE;
    error = check_person(model, action->b);
    if (error != CONTRACT_OK)
        return error;
    struct slow_device *device = &model->devices[slow_device_at(model, action->a)];
    set_text(device->asked_manager, action->b);
    device->asked_from = action->x;
    device->asked_until = action->y;
    return CONTRACT_OK;
}

/* a: device */
static int do_delegate_accept(struct slow_model *model, const struct slow_person *me,
                              const struct slow_action *action)
{
    int at = slow_device_at(model, action->a);
    if (at < 0)
        return CONTRACT_UNKNOWN_DEVICE;
    struct slow_device *device = &model->devices[at];
    if (device->status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (!same(device->asked_manager, me->id))
        return CONTRACT_NO_PENDING_REQUEST;
    if (device->asked_until <= model->now)
        return CONTRACT_TOO_LATE;
    bool somebody_else = device->manager[0] != '\0' && !same(device->manager, me->id);
    if (somebody_else && device->until > model->now)
        return CONTRACT_EXISTS_ALREADY;
    set_text(device->manager, me->id);
    device->from = device->asked_from;
    device->until = device->asked_until;
    device->asked_manager[0] = '\0';
    device->asked_from = device->asked_until = 0;
    return CONTRACT_OK;
}

/* a: device, b: new owner */
static int do_device_transfer(struct slow_model *model, const struct slow_person *me,
                              const struct slow_action *action)
{
    int error = own_device(model, me, action->a);
    if (error != CONTRACT_OK)
        return error;
    if (same(action->b, me->id))
        return CONTRACT_BAD_PARAMETER;
    error = check_person(model, action->b);
    if (error != CONTRACT_OK)
        return error;
    set_text(model->devices[slow_device_at(model, action->a)].asked_owner, action->b);
    return CONTRACT_OK;
}

/* a: device */
static int do_device_transfer_accept(struct slow_model *model, const struct slow_person *me,
                                     const struct slow_action *action)
{
    int at = slow_device_at(model, action->a);
    if (at < 0)
        return CONTRACT_UNKNOWN_DEVICE;
    struct slow_device *device = &model->devices[at];
    if (device->status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (!same(device->asked_owner, me->id))
        return CONTRACT_NO_PENDING_REQUEST;
    set_text(device->owner, me->id);
    device->manager[0] = device->asked_manager[0] = device->asked_owner[0] = '\0';
    device->from = device->until = device->asked_from = device->asked_until = 0;
    return CONTRACT_OK;
}

/* a: device, b: market, x: 1 in, 0 out */
static int do_enrol(struct slow_model *model, const struct slow_person *me,
                    const struct slow_action *action)
{
    int at = slow_device_at(model, action->a);
    if (at < 0)
        return CONTRACT_UNKNOWN_DEVICE;
    const struct slow_device *device = &model->devices[at];
    bool manages =
        same(device->manager, me->id) && device->from <= model->now && model->now < device->until;
    if (!same(device->owner, me->id) && !manages)
        return CONTRACT_NOT_YOURS_TO_OFFER;
    int market = -1;
    for (int i = 0; i < model->market_count; i++)
        if (same(model->markets[i].id, action->b))
            market = i;
    if (market < 0)
        return CONTRACT_UNKNOWN_MARKET;
    int pair = pair_at(model, action->a, action->b);
    if (action->x == 0) {
        if (pair < 0)
            return CONTRACT_NOT_ENROLLED;
        model->pairs[pair] = model->pairs[--model->pair_count];
        return CONTRACT_OK;
    }
    if (device->status == STATUS_SUSPENDED || device->status == STATUS_RETIRED)
        return CONTRACT_SUSPENDED;
    if (model->markets[market].closed)
        return CONTRACT_MARKET_NOT_OPEN;
    if (!same(model->markets[market].zone, device->zone))
        return CONTRACT_WRONG_ZONE;
    if (pair >= 0)
        return CONTRACT_EXISTS_ALREADY;
    check_room(model->pair_count, SLOW_PAIRS);
    set_text(model->pairs[model->pair_count].device, action->a);
    set_text(model->pairs[model->pair_count].market, action->b);
    model->pair_count++;
    return CONTRACT_OK;
}

/* --- transactions and blocks ---------------------------------------------------------------- */

static int do_action(struct slow_model *model, struct slow_person *me,
                     const struct slow_action *action)
{
    if (action->type == ACTION_PARTICIPANT_REGISTER)
        return do_register(model, me, action);
    if (action->type == ACTION_PARTICIPANT_STATUS)
        return do_status(model, me, action);
    if (action->type == ACTION_PARTICIPANT_ROTATE_KEY)
        return do_rotate(model, me, action);
    if (action->type == ACTION_TOKEN_MINT)
        return do_mint(model, me, action);
    if (action->type == ACTION_TOKEN_BURN)
        return do_burn(model, me, action);
    if (action->type == ACTION_TOKEN_TRANSFER)
        return do_transfer(model, me, action);
    if (action->type == ACTION_DEVICE_REGISTER)
        return do_device(model, me, action);
    if (action->type == ACTION_DEVICE_STATUS)
        return do_device_status(model, me, action);
    if (action->type == ACTION_DEVICE_DELEGATE)
        return do_delegate(model, me, action);
    if (action->type == ACTION_DEVICE_DELEGATE_ACCEPT)
        return do_delegate_accept(model, me, action);
    if (action->type == ACTION_DEVICE_TRANSFER)
        return do_device_transfer(model, me, action);
    if (action->type == ACTION_DEVICE_TRANSFER_ACCEPT)
        return do_device_transfer_accept(model, me, action);
    if (action->type == ACTION_DEVICE_ENROL)
        return do_enrol(model, me, action);
    abort();
}

int slow_transaction(struct slow_model *model, const struct slow_transaction *transaction)
{
    struct slow_person *me = NULL;
    bool only_treasury = true;
    for (int i = 0; i < model->people_count; i++)
        if (model->people[i].key == transaction->key && model->people[i].status != STATUS_RETIRED)
            me = &model->people[i];
    if (me == NULL)
        return CONTRACT_TX_UNKNOWN_KEY;
    if (transaction->nonce <= me->nonce)
        return CONTRACT_TX_NONCE_USED;
    if (model->now > transaction->valid_until)
        return CONTRACT_TX_EXPIRED;
    if (transaction->nonce > me->nonce + 1)
        return CONTRACT_TX_NONCE_GAP;
    for (int i = 0; i < transaction->action_count; i++)
        if (transaction->actions[i].type != ACTION_TOKEN_MINT &&
            transaction->actions[i].type != ACTION_TOKEN_BURN)
            only_treasury = false;
    int64_t fee = model->fee_per_tx + transaction->action_count * model->fee_per_action;
    if (only_treasury && (me->roles & ROLE_TREASURER) != 0 && me->status == STATUS_ACTIVE)
        fee = 0;
    if (me->balance < fee)
        return CONTRACT_TX_FEE_UNAFFORDABLE;
    if (fee > transaction->fee_limit)
        return CONTRACT_TX_FEE_LIMIT;
    if (transaction->valid_until > model->now + model->lifetime)
        return CONTRACT_TX_EXPIRY_TOO_FAR;
    me->balance -= fee;
    model->pool += fee;
    me->nonce++;
    model->transactions++;
    if (me->status != STATUS_ACTIVE)
        return CONTRACT_SUSPENDED;
    struct slow_model *world = malloc(sizeof *world);
    if (world == NULL)
        abort();
    *world = *model;
    int error = CONTRACT_OK;
    for (int i = 0; i < transaction->action_count && error == CONTRACT_OK; i++)
        error = do_action(model, me, &transaction->actions[i]);
    if (error != CONTRACT_OK)
        *model = *world;
    free(world);
    return error;
}

void slow_end_block(struct slow_model *model)
{
    if (model->now < model->last_split + model->fee_period)
        return;
    int64_t each = model->pool / SLOW_VALIDATORS;
    for (int i = 0; i < SLOW_VALIDATORS; i++) {
        model->people[slow_person_at(model, model->operators[i])].balance += each;
        model->pool -= each;
    }
    while (model->last_split + model->fee_period <= model->now)
        model->last_split += model->fee_period;
}
