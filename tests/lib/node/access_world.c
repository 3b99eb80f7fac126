/* The state that the rules of read access are tested on (access_world.h). At least one record of every
 * kind that the ledger has; a test says who may see it. */
#include "tests/lib/node/access_world.h"

#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/dispatch.h"

const char *const access_readers[WORLD_READERS] = {"anna",      "bob",       "retailer", "agg",
                                                   "dso",       "dso2",      "operator", "meters",
                                                   "treasurer", "regulator", "suspended"};
static const uint32_t roles[WORLD_READERS] = {
    ROLE_PROSUMER,  ROLE_PROSUMER,  ROLE_RETAILER,         ROLE_AGGREGATOR,
    ROLE_DSO,       ROLE_DSO,       ROLE_MARKET_OPERATOR,  ROLE_METER_OPERATOR,
    ROLE_TREASURER, ROLE_REGULATOR, (1u << ROLE_COUNT) - 1};

struct name access_name(const char *text)
{
    struct name name;
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

struct public_key access_key(const char *reader)
{
    struct public_key key;
    memset(key.bytes, 0, sizeof key.bytes);
    memcpy(key.bytes, reader, strlen(reader));
    return key;
}

static bool base_get(void *context, struct bytes_view key, bool *found, struct bytes_view *value)
{
    const struct access_world *world = context;
    *found = false;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct state_key *has = &world->records[i].key;
        if (has->size == key.size && memcmp(has->bytes, key.data, key.size) == 0) {
            *found = true;
            *value = bytes_view_of(world->records[i].value, world->records[i].size);
        }
    }
    return true;
}

static int compare(struct bytes_view a, struct bytes_view b)
{
    const size_t shared = a.size < b.size ? a.size : b.size;
    const int order = shared > 0 ? memcmp(a.data, b.data, shared) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static bool base_next(void *context, struct bytes_view prefix, struct bytes_view after, bool *found,
                      uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    const struct access_world *world = context;
    uint32_t best = world->count;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct bytes_view key =
            bytes_view_of(world->records[i].key.bytes, world->records[i].key.size);
        if (key.size < prefix.size || memcmp(key.data, prefix.data, prefix.size) != 0 ||
            (after.size > 0 && compare(key, after) <= 0))
            continue;
        if (best == world->count || compare(key, bytes_view_of(world->records[best].key.bytes,
                                                               world->records[best].key.size)) < 0)
            best = i;
    }
    *found = best < world->count;
    if (!*found)
        return true;
    *key_size = world->records[best].key.size;
    memcpy(key_out, world->records[best].key.bytes, *key_size);
    *value = bytes_view_of(world->records[best].value, world->records[best].size);
    return true;
}

void access_world_fill(const struct codec_record *codec, void *record)
{
    for (size_t i = 0; i < codec->field_count; i++) {
        const struct codec_field *field = &codec->fields[i];
        uint8_t *at = (uint8_t *)record + field->offset;
        if (field->type == CODEC_RECORD) {
            access_world_fill(field->record, at);
        } else if (field->type == CODEC_NAME) {
            struct name name;
            memcpy(&name, at, sizeof name);
            if (name_is_empty(&name))
                name = access_name("somebody");
            memcpy(at, &name, sizeof name);
        } else if (field->type == CODEC_ENUM) {
            while (field->names[*at] == NULL)
                (*at)++;
        }
    }
}

void access_world_put_key(struct access_world *world, enum state_kind kind,
                          const struct state_key *key, const void *record)
{
    const struct codec_record *codec = state_kind_info(kind)->codec;
    struct byte_writer writer;
    MUST(world->count < WORLD_RECORDS_MAX);
    world->records[world->count].kind = kind;
    world->records[world->count].key = *key;
    byte_writer_init(&writer, world->records[world->count].value, WORLD_VALUE_BYTES);
    if (codec != NULL) {
        static _Alignas(16) uint8_t filled[16384];
        MUST(codec->struct_size <= sizeof filled);
        memcpy(filled, record, codec->struct_size);
        access_world_fill(codec, filled);
        codec_encode(codec, filled, &writer);
    }
    if (writer.failed)
        fprintf(stderr, "%s does not encode\n", state_kind_info(kind)->name);
    MUST(!writer.failed);
    world->records[world->count].size = writer.size;
    world->count++;
}

void access_world_put(struct access_world *world, enum state_kind kind, const char *id,
                      const void *record)
{
    struct state_key key;
    if (!state_key_from_text(&key, kind, id)) {
        fprintf(stderr, "%s is no id of a %s\n", id, state_kind_info(kind)->name);
        MUST(false);
    }
    access_world_put_key(world, kind, &key, record);
}

static void put_people(struct access_world *world)
{
    for (int i = 0; i < WORLD_READERS; i++) {
        struct participant_record participant;
        struct key_record owner;
        memset(&participant, 0, sizeof participant);
        memset(&owner, 0, sizeof owner);
        participant.key = access_key(access_readers[i]);
        participant.roles = roles[i];
        participant.status = i == WORLD_SUSPENDED ? STATUS_SUSPENDED : STATUS_ACTIVE;
        owner.participant = access_name(access_readers[i]);
        access_world_put(world, STATE_PARTICIPANT, access_readers[i], &participant);
        const struct state_key key = state_key_hash(STATE_KEY, participant.key.bytes);
        access_world_put_key(world, STATE_KEY, &key, &owner);
    }
}

static void put_money(struct access_world *world)
{
    const struct pot_record pot = {.amount = money_of(5)};
    struct receipt_reference receipt;
    struct state_key key = state_key_hash(STATE_RECEIPT, access_key("receipt").bytes);
    memset(&receipt, 0, sizeof receipt);
    receipt.treasurer = access_name("treasurer");
    receipt.amount = money_of(5);
    access_world_put(world, STATE_POT, "balance/anna", &pot);
    access_world_put(world, STATE_POT, "dispute_bond/1", &pot);
    access_world_put(world, STATE_POT, "fees", &pot);
    access_world_put_key(world, STATE_RECEIPT, &key, &receipt);
}

static void put_markets(struct access_world *world)
{
    struct market_record market;
    struct network_record network;
    memset(&market, 0, sizeof market);
    memset(&network, 0, sizeof network);
    market.operator_name = access_name("operator");
    market.terms.id = access_name("west");
    market.terms.zone = access_name("west");
    access_world_put(world, STATE_MARKET, "west", &market);
    market.terms.id = access_name("north");
    market.terms.zone = access_name("north");
    market.terms.network = access_name("grid");
    access_world_put(world, STATE_MARKET, "north", &market);
    network.operator_name = access_name("dso2");
    access_world_put(world, STATE_NETWORK, "grid", &network);
}

static void put_trade(struct access_world *world)
{
    struct device_record device;
    struct order_record order;
    struct deal_record deal;
    memset(&device, 0, sizeof device);
    memset(&order, 0, sizeof order);
    memset(&deal, 0, sizeof deal);
    device.owner = access_name("anna");
    device.manager = access_name("retailer");
    device.managed_from = timestamp_of(1000);
    device.managed_until = timestamp_of(2000);
    device.node = device.feeder = device.zone = access_name("west");
    access_world_put(world, STATE_DEVICE, "battery", &device);
    order.market = access_name("west");
    order.participant = access_name("agg");
    order.device = access_name("battery");
    order.period_start = timestamp_of(1500);
    access_world_put(world, STATE_ORDER, "1", &order);
    deal.market = order.market;
    deal.buyer = access_name("dso");
    deal.seller = order.participant;
    deal.device = order.device;
    deal.period_start = order.period_start;
    access_world_put(world, STATE_DEAL, "1", &deal);
}

static void put_plans(struct access_world *world)
{
    struct alias_record alias;
    struct dispatch_record dispatch;
    struct allocation_record allocation;
    memset(&alias, 0, sizeof alias);
    memset(&dispatch, 0, sizeof dispatch);
    memset(&allocation, 0, sizeof allocation);
    alias.issuer = access_name("dso");
    alias.manager = access_name("agg");
    alias.market = access_name("west");
    access_world_put(world, STATE_ALIAS, "mask", &alias);
    dispatch.sender = access_name("dso2");
    access_world_put(world, STATE_DISPATCH, "battery/900000/0", &dispatch);
    allocation.market = access_name("north");
    allocation.participant = access_name("agg");
    allocation.device = access_name("battery");
    allocation.period_start = timestamp_of(1500);
    allocation.network = access_name("grid");
    allocation.node = access_name("root");
    allocation.payee = access_name("dso2");
    access_world_put(world, STATE_ALLOCATION, "1", &allocation);
}

/* Where the key alone decides. */
static void put_others(struct access_world *world)
{
    static const struct {
        enum state_kind kind;
        const char *id;
    } others[] = {
        {STATE_PARAMS, "params"},
        {STATE_SUPPLY, "supply"},
        {STATE_ENROLMENT, "battery/west"},
        {STATE_COMMITMENT, "battery/900000/up"},
        {STATE_BOOK, "west/900000/up/sell/1/1/1/1"},
        {STATE_DEADLINE, "900000/1/1"},
        {STATE_BATCH, "meters/b/900000"},
        {STATE_DIGEST, "1"},
        {STATE_COUNTERS, "counters"},
        {STATE_CLOCK, "clock"},
        {STATE_USED, "battery/900000/up"},
        {STATE_BOOK_SIZE, "west/900000/up"},
        {STATE_BOOK_LATE, "west/900000/up"},
        {STATE_GOVERNANCE, "governance"},
        {STATE_PROPOSAL, "1"},
        {STATE_TERMS, "west/1"},
        {STATE_DRAFT, "west"},
        {STATE_CHANGE, "1/west"},
        {STATE_BOOK_SHARE, "west/900000/up/agg"},
        {STATE_CAPACITY, "grid/root/900000"},
        {STATE_RESERVATION, "1"},
        {STATE_DISPUTE, "1"},
        {STATE_RELIABILITY, "agg"},
        {STATE_FINGERPRINT, "meters/b/900000/1"},
        {STATE_IMMEDIATE, "west/900000/up/1"},
        {STATE_FORECAST, "anna/load/900000/1"},
        {STATE_NETWORK_NODE, "grid/root"},
        {STATE_HOLDING, "battery/900000/up"},
        {STATE_BOOK_GATE, "900000/west/900000/up"},
        {STATE_CLEARING, "900000/west/900000/up"},
        {STATE_AUCTION, "west/900000/up"},
        {STATE_AUCTION_DUE, "900000/west/900000/up"},
        {STATE_AUCTION_BIDDER, "west/900000/up/agg"},
        {STATE_AUCTION_TOTAL, "west"},
        {STATE_COUPLED, "west/900000/up"},
        {STATE_COUPLED_DUE, "gate/900000/west/900000/up"},
        {STATE_COUPLED_PAGE, "west/900000/up/problem/0"},
        {STATE_COUPLED_SOLVER, "west/900000/up/agg"},
        {STATE_COUPLED_BID, "1"},
        {STATE_PORTFOLIO, "1"},
        {STATE_COUPLED_SIDE, "west/900000/up/el/agg"},
        {STATE_NETWORK_LINE, "grid/l1"},
        {STATE_NETWORK_ROW, "grid/v1"},
    };
    static _Alignas(16) uint8_t zero[16384];
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        access_world_put(world, others[i].kind, others[i].id, zero);
    struct state_key key = state_key_hash(STATE_VALIDATOR, access_key("v").bytes);
    access_world_put_key(world, STATE_VALIDATOR, &key, zero);
    const struct public_key accused = access_key("v");
    key = state_key_evidence(&accused, 1, 1);
    access_world_put_key(world, STATE_EVIDENCE, &key, zero);
}

void access_world_make(struct access_world *world)
{
    memset(world, 0, sizeof *world);
    node_config_init(&world->config, "/nowhere");
    world->config.read_access = NODE_READ_ROLE;
    world->config.read_zone_count = 2;
    world->config.read_zones[0].participant = access_name("dso");
    world->config.read_zones[0].zone = access_name("west");
    world->config.read_zones[1].participant = access_name("dso2");
    world->config.read_zones[1].zone = access_name("east");
    world->base = (struct state_base){.context = world, .get = base_get, .next = base_next};
    put_people(world);
    put_money(world);
    put_markets(world);
    put_trade(world);
    put_plans(world);
    put_others(world);
}

struct access access_world_reader(const struct access_world *world, int reader)
{
    struct access access;
    const struct public_key key = access_key(access_readers[reader]);
    MUST(access_resolve(&access, &world->config, &world->base, timestamp_of(1500), &key));
    return access;
}

const struct state_key *access_world_find(const struct access_world *world, enum state_kind kind,
                                          struct bytes_view *value)
{
    for (uint32_t i = 0; i < world->count; i++) {
        if (world->records[i].kind == kind) {
            *value = bytes_view_of(world->records[i].value, world->records[i].size);
            return &world->records[i].key;
        }
    }
    return NULL;
}
