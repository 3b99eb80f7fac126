/* The rules of read access by role (node/access.h), one row per kind of state record.
 *
 *   regulator         all
 *   market operator   all of trading and of who and what takes part in it; nobody's balance
 *   grid operator     its own; devices in its zones; of what others trade there, only sums
 *   retailer          its own, and what is traded with the devices that its customers have it manage
 *   everybody         what is the market's own (terms, fingerprints, governance), and what it is party to
 *
 * Invariants: a kind without a row is the regulators' alone; a record that can't be read to find its
 * parties has none; nothing is answered about an absent record that does not follow from its key.
 *
 * Deliberately absent: rights that a participant grants to others. It can give them what it reads. */
#include "node/access.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/dispatch.h"

const char *const access_route_names[ACCESS_ROUTE_KINDS] = {"unsaid",  "public", "envelope",
                                                            "members", "scoped", "regulator"};

/* --- readers ---------------------------------------------------------------------------------- */

struct access access_open(void)
{
    struct access access;
    memset(&access, 0, sizeof access);
    access.all = true;
    return access;
}

bool access_read(const struct state_base *base, const struct state_key *key,
                 const struct codec_record *codec, void *record)
{
    struct bytes_view value;
    bool found = false;
    return base->get(base->context, bytes_view_of(key->bytes, key->size), &found, &value) &&
           found && codec_decode_all(codec, record, value);
}

bool access_resolve(struct access *out, const struct node_config *config,
                    const struct state_base *base, struct timestamp now,
                    const struct public_key *key)
{
    struct key_record owner;
    struct participant_record participant;
    struct state_key of = state_key_hash(STATE_KEY, key->bytes);
    memset(out, 0, sizeof *out);
    if (!access_read(base, &of, &key_record_codec, &owner) || name_is_empty(&owner.participant))
        return false;
    of = state_key_name(STATE_PARTICIPANT, &owner.participant);
    if (!access_read(base, &of, &participant_record_codec, &participant) ||
        participant.status == STATUS_RETIRED)
        return false;
    out->key = *key;
    out->who = owner.participant;
    out->roles = participant.status == STATUS_ACTIVE ? participant.roles : 0;
    out->all = (out->roles & ROLE_REGULATOR) != 0;
    out->now = now;
    out->config = config;
    return true;
}

bool access_may_use(const struct access *access, enum access_route route)
{
    switch (route) {
    case ACCESS_PUBLIC:
    case ACCESS_ENVELOPE:
    case ACCESS_MEMBERS:
    case ACCESS_SCOPED:
        return true;
    case ACCESS_UNSAID:
    case ACCESS_REGULATOR:
        return access->all;
    }
    return false;
}

bool access_is(const struct access *access, const struct name *who)
{
    return access->all || (!name_is_empty(who) && name_compare(&access->who, who) == 0);
}

bool access_zone(const struct access *access, const struct name *zone)
{
    if (access->all)
        return true;
    if ((access->roles & (ROLE_DSO | ROLE_TSO)) == 0)
        return false;
    for (uint32_t i = 0; i < access->config->read_zone_count; i++) {
        const struct node_read_zone *entry = &access->config->read_zones[i];
        if (name_compare(&entry->participant, &access->who) == 0 &&
            name_compare(&entry->zone, zone) == 0)
            return true;
    }
    return false;
}

bool access_market_zone(const struct access *access, const struct state_base *base,
                        const struct name *market)
{
    struct market_record record;
    struct network_record network;
    struct state_key key = state_key_name(STATE_MARKET, market);
    if (access->all)
        return true;
    if ((access->roles & (ROLE_DSO | ROLE_TSO)) == 0 ||
        !access_read(base, &key, &market_record_codec, &record))
        return false;
    if (access_zone(access, &record.terms.zone))
        return true;
    for (uint32_t i = 0; i < record.terms.zone_count; i++) {
        if (access_zone(access, &record.terms.zones[i].name))
            return true;
    }
    if (name_is_empty(&record.terms.network))
        return false;
    key = state_key_name(STATE_NETWORK, &record.terms.network);
    return access_read(base, &key, &network_record_codec, &network) &&
           access_is(access, &network.operator_name);
}

/* --- devices ---------------------------------------------------------------------------------- */

static bool manages(const struct access *access, const struct device_record *device)
{
    return access_is(access, &device->manager) &&
           timestamp_compare(device->managed_from, access->now) <= 0 &&
           timestamp_compare(access->now, device->managed_until) < 0;
}

/* Whoever has to do with the device itself: owner, manager, those to whom either is offered. */
static bool device_party(const struct access *access, const struct device_record *device)
{
    return access_is(access, &device->owner) || access_is(access, &device->manager) ||
           access_is(access, &device->pending_manager) ||
           access_is(access, &device->pending_owner) || access_zone(access, &device->zone);
}

static bool read_device(const struct state_base *base, const struct name *name,
                        struct device_record *out)
{
    struct state_key key = state_key_name(STATE_DEVICE, name);
    return !name_is_empty(name) && access_read(base, &key, &device_record_codec, out);
}

/* What is traded with a device is its owner's, and a retailer's whose customer has it manage it, of the time
 * for which it does: what was traded under another manager was that one's business. An alias is no device,
 * so nobody is told whose it is. */
static bool trades_with(const struct access *access, const struct state_base *base,
                        const struct name *name, struct timestamp period_start)
{
    struct device_record device;
    return read_device(base, name, &device) &&
           (access_is(access, &device.owner) ||
            ((access->roles & ROLE_RETAILER) != 0 && manages(access, &device) &&
             timestamp_compare(device.managed_from, period_start) <= 0 &&
             timestamp_compare(period_start, device.managed_until) < 0));
}

/* --- orders, deals, pots ---------------------------------------------------------------------- */

bool access_order(const struct access *access, const struct state_base *base,
                  const struct order_record *order)
{
    return access->all || (access->roles & ROLE_MARKET_OPERATOR) != 0 ||
           access_is(access, &order->participant) ||
           trades_with(access, base, &order->device, order->period_start);
}

bool access_deal(const struct access *access, const struct state_base *base,
                 const struct deal_record *deal)
{
    return access->all || (access->roles & ROLE_MARKET_OPERATOR) != 0 ||
           access_is(access, &deal->buyer) || access_is(access, &deal->seller) ||
           trades_with(access, base, &deal->device, deal->period_start);
}

bool access_order_id(const struct access *access, const struct state_base *base, uint64_t id)
{
    struct state_key key = state_key_u64(STATE_ORDER, id);
    struct order_record order;
    return access->all || (access_read(base, &key, &order_record_codec, &order) &&
                           access_order(access, base, &order));
}

bool access_deal_id(const struct access *access, const struct state_base *base, uint64_t id)
{
    struct state_key key = state_key_u64(STATE_DEAL, id);
    struct deal_record deal;
    return access->all ||
           (access_read(base, &key, &deal_record_codec, &deal) && access_deal(access, base, &deal));
}

/* Whose money it is; a market operator sees trades, and no purse. */
bool access_pot(const struct access *access, const struct state_base *base, enum pot_kind kind,
                const struct name *participant, uint64_t id)
{
    struct state_key key;
    struct order_record order;
    struct deal_record deal;
    switch (kind) {
    case POT_BALANCE:
        return access_is(access, participant);
    case POT_ORDER_ESCROW:
        key = state_key_u64(STATE_ORDER, id);
        return access->all || (access_read(base, &key, &order_record_codec, &order) &&
                               access_is(access, &order.participant));
    case POT_DEAL_ESCROW:
    case POT_DEAL_DEPOSIT:
    case POT_DISPUTE_BOND:
        key = state_key_u64(STATE_DEAL, id);
        return access->all || (access_read(base, &key, &deal_record_codec, &deal) &&
                               (access_is(access, &deal.buyer) || access_is(access, &deal.seller)));
    case POT_FEES:
    case POT_MARKET_RESERVE:
        /* Nobody's; the supply record tells their sums to all. */
        return true;
    }
    return access->all;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* One question. `value.data` is NULL if the record is absent. */
struct question {
    const struct access *access;
    const struct state_base *base;
    struct bytes_view key;
    struct bytes_view value;
};

/* Offsets of the parts of keys (state_key.c): the namespace byte, names of NAME_SIZE, u64. */
enum {
    AT_FIRST = 1,
    AT_POT_ID = 2,
    AT_AFTER_BOOK = AT_FIRST + NAME_SIZE + 8 + 1,
    AT_BOOK_ORDER = AT_AFTER_BOOK + 1 + 8 + 8 + 8
};

static struct name name_in_key(const struct question *question, size_t at)
{
    struct name name;
    memset(&name, 0, sizeof name);
    if (question->key.size >= at + NAME_SIZE)
        memcpy(name.text, question->key.data + at, NAME_SIZE);
    return name;
}

static uint64_t id_in_key(const struct question *question, size_t at)
{
    struct byte_reader reader;
    if (question->key.size < at + 8)
        return 0;
    byte_reader_init(&reader, question->key.data + at, 8);
    return byte_read_u64(&reader);
}

/* False of an absent record. */
static bool decode(const struct question *question, const struct codec_record *codec, void *record)
{
    return question->value.data != NULL && codec_decode_all(codec, record, question->value);
}

static bool of_own_name(const struct question *question)
{
    struct name name = name_in_key(question, AT_FIRST);
    return access_is(question->access, &name);
}

static bool of_key(const struct question *question)
{
    struct key_record record;
    return (question->key.size == AT_FIRST + PUBLIC_KEY_SIZE &&
            memcmp(question->key.data + AT_FIRST, question->access->key.bytes, PUBLIC_KEY_SIZE) ==
                0) ||
           (decode(question, &key_record_codec, &record) &&
            (access_is(question->access, &record.participant) ||
             access_is(question->access, &record.former)));
}

static bool of_pot(const struct question *question)
{
    const struct name name = name_in_key(question, AT_POT_ID);
    const uint8_t kind = question->key.size > 1 ? question->key.data[1] : POT_KIND_COUNT;
    return kind < POT_KIND_COUNT &&
           access_pot(question->access, question->base, (enum pot_kind)kind, &name,
                      id_in_key(question, AT_POT_ID));
}

static bool of_receipt(const struct question *question)
{
    struct receipt_reference record;
    return decode(question, &receipt_reference_codec, &record) &&
           access_is(question->access, &record.treasurer);
}

static bool of_device(const struct question *question)
{
    struct device_record device;
    return decode(question, &device_record_codec, &device) &&
           device_party(question->access, &device);
}

/* What is kept for a device whose name the key begins with. */
static bool of_its_device(const struct question *question)
{
    struct device_record device;
    struct name name = name_in_key(question, AT_FIRST);
    return read_device(question->base, &name, &device) && device_party(question->access, &device);
}

static bool of_order(const struct question *question)
{
    struct order_record order;
    return decode(question, &order_record_codec, &order) &&
           access_order(question->access, question->base, &order);
}

static bool of_deal(const struct question *question)
{
    struct deal_record deal;
    return decode(question, &deal_record_codec, &deal) &&
           access_deal(question->access, question->base, &deal);
}

static bool of_its_deal(const struct question *question)
{
    return access_deal_id(question->access, question->base, id_in_key(question, AT_FIRST));
}

static bool of_book_entry(const struct question *question)
{
    return access_order_id(question->access, question->base, id_in_key(question, AT_BOOK_ORDER));
}

static bool of_immediate(const struct question *question)
{
    return access_order_id(question->access, question->base, id_in_key(question, AT_AFTER_BOOK));
}

static bool of_book_size(const struct question *question)
{
    struct name market = name_in_key(question, AT_FIRST);
    return access_market_zone(question->access, question->base, &market);
}

static bool of_book_share(const struct question *question)
{
    struct name name = name_in_key(question, AT_AFTER_BOOK);
    return access_is(question->access, &name);
}

static bool of_alias(const struct question *question)
{
    struct alias_record alias;
    return decode(question, &alias_record_codec, &alias) &&
           (access_is(question->access, &alias.issuer) ||
            access_is(question->access, &alias.manager));
}

/* A grid or market operator publishes for all; a participant's own series is its own. */
static bool of_forecast(const struct question *question)
{
    struct participant_record publisher;
    struct name name = name_in_key(question, AT_FIRST);
    struct state_key key = state_key_name(STATE_PARTICIPANT, &name);
    return access_is(question->access, &name) ||
           (access_read(question->base, &key, &participant_record_codec, &publisher) &&
            (publisher.roles & (ROLE_DSO | ROLE_TSO | ROLE_MARKET_OPERATOR)) != 0);
}

static bool of_dispatch(const struct question *question)
{
    struct dispatch_record record;
    return of_its_device(question) || (decode(question, &dispatch_record_codec, &record) &&
                                       (access_is(question->access, &record.sender) ||
                                        access_is(question->access, &record.answered_by)));
}

static bool of_allocation(const struct question *question)
{
    struct allocation_record record;
    return decode(question, &allocation_record_codec, &record) &&
           (access_is(question->access, &record.participant) ||
            access_is(question->access, &record.payee) ||
            trades_with(question->access, question->base, &record.device, record.period_start));
}

/* What came of an auction is the market's to know; how many bids wait for it is not. */
static bool of_auction(const struct question *question)
{
    struct auction_record record;
    return (decode(question, &auction_record_codec, &record) && record.height != 0) ||
           of_book_size(question);
}

/* The same of a coupled auction; its problem, in pages, is everybody's, or not everybody could solve it: it
 * names orders and places, and nobody. */
static bool of_coupled(const struct question *question)
{
    struct coupled_record record;
    return (decode(question, &coupled_record_codec, &record) && record.fixed_height != 0) ||
           of_book_size(question);
}

/* What an order has beside its record, and a portfolio, which is named by its first order. */
static bool of_its_order(const struct question *question)
{
    return access_order_id(question->access, question->base, id_in_key(question, AT_FIRST));
}

static bool of_coupled_side(const struct question *question)
{
    struct name name = name_in_key(question, AT_AFTER_BOOK + NAME_SIZE);
    return access_is(question->access, &name);
}

struct row {
    bool members;                                  /* everybody who takes part */
    uint32_t roles;                                /* these see all of the kind */
    bool (*sees)(const struct question *question); /* others: whether this one; NULL: none */
};

enum { OPERATOR = ROLE_MARKET_OPERATOR };

static const struct row rows[STATE_KIND_LIMIT] = {
    [STATE_PARAMS] = {true, 0, NULL},
    [STATE_PARTICIPANT] = {false, OPERATOR, of_own_name},
    [STATE_KEY] = {false, OPERATOR, of_key},
    [STATE_POT] = {false, 0, of_pot},
    [STATE_SUPPLY] = {true, 0, NULL},
    [STATE_RECEIPT] = {false, ROLE_TREASURER, of_receipt},
    /* The meter operator reads their meters, by keys that stand here. */
    [STATE_DEVICE] = {false, OPERATOR | ROLE_METER_OPERATOR, of_device},
    [STATE_ENROLMENT] = {false, OPERATOR, of_its_device},
    [STATE_COMMITMENT] = {false, OPERATOR, of_its_device},
    [STATE_MARKET] = {true, 0, NULL},
    [STATE_ORDER] = {false, OPERATOR, of_order},
    [STATE_BOOK] = {false, OPERATOR, of_book_entry},
    [STATE_DEAL] = {false, OPERATOR, of_deal},
    [STATE_DEADLINE] = {false, OPERATOR, NULL},
    [STATE_BATCH] = {true, 0, NULL},
    [STATE_DIGEST] = {true, 0, NULL},
    [STATE_COUNTERS] = {false, OPERATOR, NULL},
    [STATE_CLOCK] = {true, 0, NULL},
    [STATE_USED] = {false, OPERATOR, of_its_device},
    [STATE_BOOK_SIZE] = {false, OPERATOR, of_book_size},
    [STATE_BOOK_LATE] = {false, OPERATOR, of_book_size},
    [STATE_GOVERNANCE] = {true, 0, NULL},
    [STATE_PROPOSAL] = {true, 0, NULL},
    [STATE_VALIDATOR] = {true, 0, NULL},
    [STATE_EVIDENCE] = {true, 0, NULL},
    [STATE_TERMS] = {true, 0, NULL},
    [STATE_DRAFT] = {true, 0, NULL},
    [STATE_CHANGE] = {true, 0, NULL},
    [STATE_BOOK_SHARE] = {false, OPERATOR, of_book_share},
    [STATE_AUCTION] = {false, OPERATOR, of_auction},
    [STATE_AUCTION_DUE] = {false, OPERATOR, NULL},
    [STATE_AUCTION_BIDDER] = {false, OPERATOR, of_book_share},
    [STATE_AUCTION_TOTAL] = {false, OPERATOR, of_book_size},
    [STATE_COUPLED] = {false, OPERATOR, of_coupled},
    [STATE_COUPLED_DUE] = {false, OPERATOR, NULL},
    [STATE_COUPLED_PAGE] = {true, 0, NULL},
    [STATE_COUPLED_SOLVER] = {false, OPERATOR, of_book_share},
    [STATE_COUPLED_BID] = {false, OPERATOR, of_its_order},
    [STATE_PORTFOLIO] = {false, OPERATOR, of_its_order},
    [STATE_COUPLED_SIDE] = {false, OPERATOR, of_coupled_side},
    [STATE_NETWORK_LINE] = {true, 0, NULL},
    [STATE_NETWORK_ROW] = {true, 0, NULL},
    [STATE_CAPACITY] = {true, 0, NULL},
    [STATE_RESERVATION] = {false, OPERATOR, of_its_deal},
    [STATE_DISPUTE] = {false, OPERATOR, of_its_deal},
    /* Whom to buy from is what it is kept for. */
    [STATE_RELIABILITY] = {false, OPERATOR | ROLE_DSO | ROLE_TSO, of_own_name},
    [STATE_FINGERPRINT] = {true, 0, NULL},
    [STATE_ALIAS] = {false, OPERATOR, of_alias},
    [STATE_IMMEDIATE] = {false, OPERATOR, of_immediate},
    [STATE_FORECAST] = {false, OPERATOR | ROLE_DSO | ROLE_TSO, of_forecast},
    [STATE_DISPATCH] = {false, OPERATOR, of_dispatch},
    [STATE_NETWORK] = {true, 0, NULL},
    [STATE_NETWORK_NODE] = {true, 0, NULL},
    [STATE_ALLOCATION] = {false, OPERATOR, of_allocation},
    [STATE_HOLDING] = {false, OPERATOR, of_its_device},
    /* Its key begins with a time. */
    [STATE_BOOK_GATE] = {false, OPERATOR, NULL},
    [STATE_CLEARING] = {false, OPERATOR, NULL},
};

bool access_has_rule(enum state_kind kind)
{
    return rows[kind].members || rows[kind].roles != 0 || rows[kind].sees != NULL;
}

bool access_record(const struct access *access, const struct state_base *base, enum state_kind kind,
                   struct bytes_view key, struct bytes_view value)
{
    const struct question question = {access, base, key, value};
    if (access->all)
        return true;
    const struct row *row = &rows[kind];
    return row->members || (access->roles & row->roles) != 0 ||
           (row->sees != NULL && row->sees(&question));
}
