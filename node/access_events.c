/* The rules of read access for events (node/access.h): one row per type, as for records.
 *
 * An event is its parties': of an order or deal whoever may read the record, of a move of money the
 * owners of the two pots. What the market does as such is everybody's.
 *
 * Invariants: a type without a row is the regulators' alone; an event that does not decode is nobody's.
 * Deliberately absent: parts of events. One is told whole or not at all. */
#include <string.h>

#include "contracts/dispatch.h"
#include "node/access.h"

union event_record {
    struct event_order_placed placed;
    struct event_order_ended ended;
    struct event_order_reduced reduced;
    struct event_deal deal;
    struct event_dispute dispute;
    struct event_called called;
    struct event_allocated allocated;
    struct event_grid_limited limited;
    struct event_token_moved moved;
    struct event_fees_split split;
    struct event_digest digest;
    struct event_proposal proposal;
    struct event_epoch epoch;
    struct event_market market;
    struct event_auction auction;
    struct event_coupled coupled;
    struct event_solution solution;
    struct event_coupled_slot slot;
    struct event_capacity capacity;
    struct event_forecast forecast;
    struct event_dispatch dispatch;
    struct event_measured measured;
    _Alignas(16) uint8_t room[1024];
};

typedef bool (*sees_fn)(const struct access *access, const struct state_base *base,
                        const union event_record *event);

static bool everybody(const struct access *access, const struct state_base *base,
                      const union event_record *event)
{
    (void)access;
    (void)base;
    (void)event;
    return true;
}

static bool of_placed(const struct access *access, const struct state_base *base,
                      const union event_record *event)
{
    return access_order(access, base, &event->placed.order);
}

static bool of_order(const struct access *access, const struct state_base *base,
                     const union event_record *event)
{
    /* The id is what all events about an order begin with. */
    return access_order_id(access, base, event->ended.id);
}

static bool of_deal(const struct access *access, const struct state_base *base,
                    const union event_record *event)
{
    return access_deal(access, base, &event->deal.deal);
}

static bool of_deal_id(const struct access *access, const struct state_base *base,
                       const union event_record *event)
{
    return access_deal_id(access, base, event->dispute.id);
}

_Static_assert(offsetof(struct event_order_ended, id) == 0 &&
                   offsetof(struct event_order_reduced, id) == 0 &&
                   offsetof(struct event_grid_limited, id) == 0 &&
                   offsetof(struct event_dispute, id) == 0 &&
                   offsetof(struct event_called, id) == 0 &&
                   offsetof(struct event_measured, id) == 0,
               "the id is read through any of them");

/* The fee pool, a market's reserve and the outside are nobody's purse: the other side decides. */
static bool of_purse(const struct access *access, const struct state_base *base,
                     const struct pot_id *pot)
{
    return pot->kind < POT_KIND_COUNT && pot->kind != POT_FEES && pot->kind != POT_MARKET_RESERVE &&
           access_pot(access, base, (enum pot_kind)pot->kind, &pot->participant, pot->id);
}

static bool of_moved(const struct access *access, const struct state_base *base,
                     const union event_record *event)
{
    return of_purse(access, base, &event->moved.from) || of_purse(access, base, &event->moved.to);
}

static bool of_split(const struct access *access, const struct state_base *base,
                     const union event_record *event)
{
    (void)base;
    return access_is(access, &event->split.operator_name);
}

/* By the record that it tells of, as it stands now. */
static bool of_record(const struct access *access, const struct state_base *base,
                      enum state_kind kind, const struct state_key *key)
{
    const struct bytes_view view = bytes_view_of(key->bytes, key->size);
    struct bytes_view value = {NULL, 0};
    bool found = false;
    if (!base->get(base->context, view, &found, &value) || !found)
        return false;
    return access_record(access, base, kind, view, value);
}

static bool of_allocated(const struct access *access, const struct state_base *base,
                         const union event_record *event)
{
    struct state_key key = state_key_u64(STATE_ALLOCATION, event->allocated.id);
    return of_record(access, base, STATE_ALLOCATION, &key);
}

static bool of_forecast(const struct access *access, const struct state_base *base,
                        const union event_record *event)
{
    struct state_key key = state_key_forecast(&event->forecast.publisher, &event->forecast.series,
                                              event->forecast.start, event->forecast.version);
    return of_record(access, base, STATE_FORECAST, &key);
}

static bool of_dispatch(const struct access *access, const struct state_base *base,
                        const union event_record *event)
{
    struct state_key key = state_key_dispatch(&event->dispatch.device, event->dispatch.start,
                                              event->dispatch.revision);
    return of_record(access, base, STATE_DISPATCH, &key);
}

static bool of_auction(const struct access *access, const struct state_base *base,
                       const union event_record *event)
{
    return event->auction.auction.height != 0 || (access->roles & ROLE_MARKET_OPERATOR) != 0 ||
           access_market_zone(access, base, &event->auction.market);
}

static const sees_fn rows[EVENT_TYPE_LIMIT] = {
    [EVENT_ORDER_PLACED] = of_placed,   [EVENT_ORDER_CANCELLED] = of_order,
    [EVENT_ORDER_EXPIRED] = of_order,   [EVENT_ORDER_REDUCED] = of_order,
    [EVENT_GRID_LIMITED] = of_order,    [EVENT_DEAL_MATCHED] = of_deal,
    [EVENT_DEAL_ENDED] = of_deal,       [EVENT_DEAL_PROVEN] = of_deal,
    [EVENT_DEAL_DISPUTED] = of_deal_id, [EVENT_CALLED] = of_deal_id,
    [EVENT_MEASURED] = of_deal_id,      [EVENT_TOKEN_MOVED] = of_moved,
    [EVENT_FEES_SPLIT] = of_split,      [EVENT_DIGEST] = everybody,
    [EVENT_PROPOSAL] = everybody,       [EVENT_EPOCH] = everybody,
    [EVENT_MARKET] = everybody,         [EVENT_CAPACITY_PUBLISHED] = everybody,
    [EVENT_AUCTION] = of_auction,       [EVENT_ALLOCATED] = of_allocated,
    [EVENT_FORECAST] = of_forecast,     [EVENT_DISPATCH] = of_dispatch,
    [EVENT_COUPLED] = everybody,        [EVENT_SOLUTION] = everybody,
    [EVENT_COUPLED_SLOT] = everybody,
};

bool access_has_event_rule(uint8_t type)
{
    return type < EVENT_TYPE_LIMIT && rows[type] != NULL;
}

bool access_event(const struct access *access, const struct state_base *base, uint8_t type,
                  struct bytes_view record)
{
    union event_record event;
    const struct codec_record *codec = event_codec(type);
    if (access->all)
        return true;
    if (!access_has_event_rule(type) || codec == NULL || codec->struct_size > sizeof event ||
        !codec_decode_all(codec, &event, record))
        return false;
    return rows[type](access, base, &event);
}
