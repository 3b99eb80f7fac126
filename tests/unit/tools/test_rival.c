/* A rival who runs a validator keeps everything: every transaction with its witness, every state. Thirty days
 * of daily deals of six houses of one manager, the bundled loads and profile; then it takes one deal that it
 * happens to know the house of, joins to it whatever shares anything, and draws the curve of that house
 * (docs/spec/privacy.md 6; issue 6, item 1).
 *
 * The same rival attacks the same days twice, under fixed names and under aliases, made by the meter
 * operator's own code. Under fixed names it must succeed: else it would prove nothing that it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fatal.h"
#include "crypto/merkle.h"
#include "tests/lib/contracts/market_fixture.h"
#include "tools/alias.h"
#include "tools/meter_batch.h"

enum {
    HOUSES = 6,
    FIRST = 35, /* the first day of deals, a Monday; before it there is history to compare with */
    DAYS = 30,
    END = FIRST + DAYS,
    PER_DAY = 96,
    DEALS = HOUSES * DAYS,
    SOLD_WH = 240, /* per unit */
    WINDOW = 8,
    GAP = 4,
    CANDIDATES = 10
};
#define DAY_MS INT64_C(86400000)

static struct fixture fixture;
static struct delivery_witness witness;

/* --- the bundled data ------------------------------------------------------------------------- */

static int64_t load_w[HOUSES];
static int64_t profile[PER_DAY]; /* of 10,000 */

/* "0.0064" times 10^digits. */
static int64_t decimal(const char *text, int digits)
{
    int64_t value = strtol(text, NULL, 10);
    const char *point = strchr(text, '.');
    assert_non_null(point);
    for (int i = 0; i < digits; i++) {
        point += point[1] >= '0' && point[1] <= '9';
        value = value * 10 + (*point >= '0' && *point <= '9' ? *point - '0' : 0);
    }
    return value;
}

static void read_data(void)
{
    char line[128];
    FILE *file = fopen("examples/day/data/Load.csv", "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (int i = 0; i < HOUSES; i++) {
        char power[32];
        assert_non_null(fgets(line, sizeof line, file));
        assert_int_equal(sscanf(line, "%*[^;];%*[^;];%*[^;];%31[^;];", power), 1);
        load_w[i] = decimal(power, 6);
        assert_true(load_w[i] > 1000);
    }
    fclose(file);
    file = fopen("examples/day/data/LoadProfile.csv", "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (int i = 0; i < PER_DAY; i++) {
        char share[32];
        assert_non_null(fgets(line, sizeof line, file));
        assert_int_equal(sscanf(line, "%*[^;];%31[^;];", share), 1);
        profile[i] = decimal(share, 4);
        assert_true(profile[i] > 0 && profile[i] <= 10000);
    }
    fclose(file);
}

static uint64_t scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* --- one world of deals ----------------------------------------------------------------------- */

struct plan {
    bool aliased;
    bool baseline;
    bool alike; /* all houses of one size */
};

static struct plan plan;
static struct alias_list aliases;
static struct meter_batch_file batches[END][PER_DAY];
static uint8_t master[METER_SECRET_SIZE] = {0x4d};

static int64_t day_ms(int day)
{
    return FIXTURE_TIME_MS + day * DAY_MS;
}

static int deal_unit(int day)
{
    return 4 * (5 + 7 * day % 17);
}

/* What the house would have consumed: its share of the profile, up to 30 percent more or less. */
static int64_t wanted_wh(int house, int day, int unit)
{
    const uint64_t dice = scramble((uint64_t)((house * END + day) * PER_DAY + unit) + 77);
    const int64_t permille = 700 + (int64_t)(dice % 601);
    const int64_t watts = (plan.alike ? load_w[0] : load_w[house]) * profile[unit] / 10000;
    return 100 + watts * permille / 4000;
}

/* And what it did: it delivers what it sold, more or less. */
static int64_t consumed_wh(int house, int day, int unit)
{
    const int first = deal_unit(day);
    const bool sold = day >= FIRST && unit >= first && unit < first + MARKET_UNITS;
    return wanted_wh(house, day, unit) - (sold ? SOLD_WH + (house + day) % 3 : 0);
}

static struct name house_name(int house)
{
    char text[NAME_SIZE];
    snprintf(text, sizeof text, "house-%d", house);
    return fixture_name(text);
}

/* The name that a deal of that day names. Random, and the same in every run. */
static struct name device_name(int house, int day)
{
    char text[NAME_SIZE];
    if (!plan.aliased)
        return house_name(house);
    snprintf(text, sizeof text, "a-%016llx",
             (unsigned long long)scramble((uint64_t)(day * HOUSES + house) * 7919 + 5));
    return fixture_name(text);
}

static void act(const char *sender, uint8_t type, const void *record)
{
    assert_error(CONTRACT_OK, fixture_act(&fixture, sender, type, record));
}

static void go_to(int64_t ms)
{
    fixture_next_block(&fixture, ms - timestamp_ms(fixture.context.time));
}

static void make_market(struct market_create *terms)
{
    market_terms(terms);
    terms->id = fixture_name("rival");
    terms->times.closes = timestamp_of(day_ms(END + 10));
    terms->times.proof_deadline = duration_of(3 * DAY_MS);
    if (plan.baseline) {
        terms->delivery.method = DELIVERY_BASELINE;
        terms->delivery.baseline_days = CANDIDATES;
        terms->delivery.baseline_highest = 5;
        terms->delivery.baseline_adjustment_permille = 200;
        terms->delivery.baseline_window = WINDOW;
        terms->delivery.baseline_gap = GAP;
    }
    act("operator", ACTION_MARKET_CREATE, terms);
}

/* Each of its own power, on its own node, as houses are. */
static void register_house(int house, const struct market_create *terms)
{
    char node[NAME_SIZE];
    char key[NAME_SIZE + 1];
    snprintf(node, sizeof node, "n%d", house);
    struct device_register device = {.id = house_name(house),
                                     .type = DEVICE_STORAGE,
                                     .max_power = power_of(4000 + 130 * house),
                                     .connection = power_of(17250),
                                     .node = fixture_name(node),
                                     .feeder = fixture_name("f1"),
                                     .zone = fixture_name("z1")};
    device.meter_key = fixture_key(name_to_text(key, &device.id));
    act("agg", ACTION_DEVICE_REGISTER, &device);
    if (!plan.aliased) {
        struct device_status status = {.device = device.id, .status = STATUS_ACTIVE};
        struct device_enrol enrol = {.device = device.id, .market = terms->id, .enrolled = 1};
        act("dso", ACTION_DEVICE_STATUS, &status);
        act("agg", ACTION_DEVICE_ENROL, &enrol);
    }
}

static struct timestamp unit_time(int day, int unit)
{
    return timestamp_of(day_ms(day) + unit * (int64_t)MARKET_MTU_MS);
}

static void issue_alias(int house, int day, const struct market_create *terms)
{
    char key[NAME_SIZE + 1];
    struct alias_opening opening = {.device = house_name(house)};
    struct alias_issue *issue = &opening.issue;
    *issue = (struct alias_issue){.id = device_name(house, day),
                                  .manager = fixture_name("agg"),
                                  .market = terms->id,
                                  .from = unit_time(day, deal_unit(day)),
                                  .until = unit_time(day, deal_unit(day) + MARKET_UNITS),
                                  .type = DEVICE_STORAGE,
                                  .max_power = power_of(2000),
                                  .connection = power_of(17250),
                                  .node = fixture_name("f1"),
                                  .feeder = fixture_name("f1"),
                                  .zone = fixture_name("z1")};
    issue->meter_key = fixture_key(name_to_text(key, &issue->id));
    memset(opening.nonce, (int)(scramble((uint64_t)house) & 0xff), sizeof opening.nonce);
    memcpy(opening.nonce, issue->id.text, NAME_SIZE);
    alias_commitment(&issue->commitment, opening.nonce, &opening.device, &issue->id);
    act("dso", ACTION_ALIAS_ISSUE, issue);
    alias_add(&aliases, &opening);
}

/* The salt of a schedule is the seller's, drawn anew for each offer. */
static uint32_t declare(int house, int day, struct energy units[MARKET_UNITS],
                        uint8_t salt[SCHEDULE_SALT_SIZE])
{
    for (int i = 0; i < MARKET_UNITS; i++)
        units[i] = energy_of(wanted_wh(house, day, deal_unit(day) + i));
    for (int i = 0; i < SCHEDULE_SALT_SIZE; i++)
        salt[i] = (uint8_t)scramble((uint64_t)(house * END + day) * 97 + (uint64_t)i);
    return plan.baseline ? 0 : MARKET_UNITS;
}

/* Deals of one day: all houses sell the same, in an order that means nothing. */
static void trade(int day, const struct market_create *terms)
{
    struct energy units[MARKET_UNITS];
    uint8_t salt[SCHEDULE_SALT_SIZE];
    for (int i = 0; i < HOUSES; i++) {
        const int house = (i + day) % HOUSES;
        if (plan.aliased)
            issue_alias(house, day, terms);
        struct offer_place offer = {.market = terms->id,
                                    .period_start = unit_time(day, deal_unit(day)),
                                    .quantity = energy_of(MARKET_UNITS * SOLD_WH),
                                    .price = energy_price_of(250000),
                                    .device = device_name(house, day)};
        struct request_place request = {.market = terms->id,
                                        .period_start = offer.period_start,
                                        .quantity = offer.quantity,
                                        .price = offer.price};
        const uint32_t count = declare(house, day, units, salt);
        if (count > 0)
            schedule_hash(&offer.schedule_hash, salt, &offer.device, offer.period_start, units,
                          count);
        act("agg", ACTION_OFFER_PLACE, &offer);
        act("dso", ACTION_REQUEST_PLACE, &request);
    }
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
}

/* --- the meter operator ------------------------------------------------------------------------ */

/* Signed once for all worlds in which the house is the same. */
static struct meter_reading reading_of(int house, int day, int unit)
{
    static struct meter_reading made[2][HOUSES][END][PER_DAY];
    struct meter_reading *reading = &made[plan.alike][house][day][unit];
    if (duration_ms(reading->interval) == 0) {
        *reading = (struct meter_reading){.device = house_name(house),
                                          .interval_start = unit_time(day, unit),
                                          .interval = duration_of(MARKET_MTU_MS),
                                          .net = energy_of(consumed_wh(house, day, unit))};
        market_sign_reading(reading);
    }
    return *reading;
}

static int by_device(const void *a, const void *b)
{
    const struct meter_batch_entry *left = a, *right = b;
    return name_compare(&left->reading.device, &right->reading.device);
}

/* Sorts, salts, posts: what flex meter batch does with the readings of one interval. */
static void post(struct meter_batch_file *batch, int day, int unit, struct transaction_draft *draft,
                 struct meter_batch *action)
{
    batch->meter_operator = fixture_name("meters");
    batch->id = fixture_name("all");
    batch->interval_start = unit_time(day, unit);
    batch->interval = duration_of(MARKET_MTU_MS);
    batch->count = HOUSES;
    qsort(batch->entries, HOUSES, sizeof *batch->entries, by_device);
    for (int i = 0; i < HOUSES; i++)
        meter_salt(batch->entries[i].salt, master, &batch->entries[i].reading.device,
                   batch->interval_start, 0);
    assert_true(reveal_batch_root(&batch->root, batch));
    *action = (struct meter_batch){.id = batch->id,
                                   .interval_start = batch->interval_start,
                                   .interval = batch->interval,
                                   .count = HOUSES,
                                   .root = batch->root};
    fixture_draft_add(draft, ACTION_METER_BATCH, action);
}

/* All intervals of a day that a proof may ever need. */
static void post_day(int day)
{
    static struct meter_batch actions[PER_DAY];
    static struct transaction_draft draft;
    const int first = plan.baseline ? 4 : deal_unit(day);
    const int end = plan.baseline ? PER_DAY - 2 : first + MARKET_UNITS;
    fixture_draft(&fixture, &draft, "meters");
    for (int unit = first; unit < end; unit++) {
        struct meter_batch_file *batch = &batches[day][unit];
        batch->entries = calloc(HOUSES, sizeof *batch->entries);
        assert_non_null(batch->entries);
        for (int house = 0; house < HOUSES; house++)
            batch->entries[house].reading = reading_of(house, day, unit);
        post(batch, day, unit, &draft, &actions[unit]);
    }
    assert_error(CONTRACT_OK, fixture_send(&fixture, "meters", &draft));
}

/* The device's readings of its deal and of all days that the baseline may look at. */
static uint32_t gather(struct meter_reading *out, int house, int day)
{
    uint32_t count = 0;
    for (int d = plan.baseline ? 0 : day; d <= day; d++) {
        const int first = deal_unit(day) - (plan.baseline ? WINDOW + GAP : 0);
        for (int unit = first; unit < deal_unit(day) + MARKET_UNITS; unit++)
            out[count++] = reading_of(house, d, unit);
    }
    return count;
}

static const struct deal_record *deal_of(uint64_t id)
{
    static struct deal_record deal;
    deal = market_deal(&fixture, id);
    return &deal;
}

static void derive(struct meter_reading *out, int house, int day, uint64_t deal,
                   const struct market_create *terms)
{
    static struct meter_reading readings[END * (WINDOW + GAP + MARKET_UNITS)];
    int64_t activated[END];
    struct device_record device;
    struct name name = house_name(house);
    struct state_key key = state_key_name(STATE_DEVICE, &name);
    uint32_t count;
    assert_true(ledger_read(fixture.view, &key, &device_record_codec, &device));
    for (int d = FIRST; d < day; d++)
        activated[d - FIRST] = day_ms(d) / DAY_MS;
    const struct name alias = device_name(house, day);
    const struct alias_task task = {.opening = alias_find(&aliases, &alias),
                                    .deal = deal_of(deal),
                                    .terms = terms,
                                    .device = &device,
                                    .readings = readings,
                                    .reading_count = gather(readings, house, day),
                                    .activated = activated,
                                    .activated_count = (uint32_t)(day - FIRST)};
    const char *problem = alias_derive(out, &count, &task);
    if (problem != NULL)
        fail_msg("day %d: %s", day, problem);
    assert_int_equal(count, MARKET_UNITS);
    for (uint32_t i = 0; i < count; i++)
        market_sign_reading(&out[i]);
}

/* One batch per unit, with that unit's readings of all aliases of the day. */
static void post_aliases(int day, uint64_t first_deal, const int houses[HOUSES],
                         const struct market_create *terms)
{
    static struct meter_batch actions[MARKET_UNITS];
    static struct transaction_draft draft;
    fixture_draft(&fixture, &draft, "meters");
    for (int unit = 0; unit < MARKET_UNITS; unit++) {
        struct meter_batch_file *batch = &batches[day][deal_unit(day) + unit];
        batch->entries = calloc(HOUSES, sizeof *batch->entries);
        assert_non_null(batch->entries);
    }
    for (int i = 0; i < HOUSES; i++) {
        struct meter_reading units[LIMIT_INTERVALS_PER_PERIOD];
        derive(units, houses[i], day, first_deal + (uint64_t)i, terms);
        for (int unit = 0; unit < MARKET_UNITS; unit++)
            batches[day][deal_unit(day) + unit].entries[i].reading = units[unit];
    }
    for (int unit = 0; unit < MARKET_UNITS; unit++)
        post(&batches[day][deal_unit(day) + unit], day, deal_unit(day) + unit, &draft,
             &actions[unit]);
    assert_error(CONTRACT_OK, fixture_send(&fixture, "meters", &draft));
}

/* --- the proofs ------------------------------------------------------------------------------- */

static void reveal(const struct name *device, int day, int unit)
{
    const struct meter_batch_file *batch = &batches[day][unit];
    for (uint32_t i = 0; i < batch->count; i++) {
        if (name_compare(&batch->entries[i].reading.device, device) == 0) {
            assert_true(reveal_entry(&witness.readings[witness.reading_count++], batch, i));
            return;
        }
    }
    fail();
}

static bool is_weekend(int day)
{
    return day % 7 >= 5; /* day 0 is a Monday */
}

static void reveal_days(const struct name *device, int day)
{
    int back[CANDIDATES];
    int count = 0;
    const int first = deal_unit(day);
    for (int unit = first - GAP - WINDOW; unit < first - GAP; unit++)
        reveal(device, day, unit);
    for (int d = FIRST - 1; d >= 0 && count < CANDIDATES; d--)
        if (is_weekend(d) == is_weekend(day))
            back[count++] = d;
    while (count-- > 0) {
        for (int unit = first; unit < first + MARKET_UNITS; unit++)
            reveal(device, back[count], unit);
        for (int unit = first - GAP - WINDOW; unit < first - GAP; unit++)
            reveal(device, back[count], unit);
    }
}

static void rival_sees(int house);

/* By baseline: what the ledger computed from readings, and what the meter operator did without them. */
static int64_t delivered_wh[2][HOUSES][END];

static void prove(int house, int day, uint64_t deal)
{
    struct energy units[MARKET_UNITS];
    const struct name device = device_name(house, day);
    memset(&witness, 0, sizeof witness);
    witness.unit_count = declare(house, day, units, witness.schedule_salt);
    if (witness.unit_count == 0)
        memset(witness.schedule_salt, 0, sizeof witness.schedule_salt);
    for (uint32_t i = 0; i < witness.unit_count; i++)
        witness.units[i].net = units[i];
    for (int i = 0; i < MARKET_UNITS; i++)
        reveal(&device, day, deal_unit(day) + i);
    if (plan.baseline && !plan.aliased)
        reveal_days(&device, day);
    assert_error(CONTRACT_OK, market_prove(&fixture, "agg", deal, &witness));
    rival_sees(house);
    if (plan.baseline)
        delivered_wh[plan.aliased][house][day] = energy_wh(deal_of(deal)->delivered);
}

static int house_of_deal(uint64_t deal, int day)
{
    for (int house = 0; house < HOUSES; house++) {
        const struct name device = device_name(house, day);
        if (name_compare(&deal_of(deal)->device, &device) == 0)
            return house;
    }
    fail();
    return 0;
}

static void play_day(int day, const struct market_create *terms)
{
    const uint64_t first_deal = 1 + (uint64_t)(day - FIRST) * HOUSES;
    int houses[HOUSES];
    go_to(day_ms(day) + 1000);
    trade(day, terms);
    for (int i = 0; i < HOUSES; i++)
        houses[i] = house_of_deal(first_deal + (uint64_t)i, day);
    go_to(day_ms(day + 1));
    if (plan.aliased)
        post_aliases(day, first_deal, houses, terms);
    else
        post_day(day);
    for (int i = 0; i < HOUSES; i++)
        prove(houses[i], day, first_deal + (uint64_t)i);
}

/* --- the rival --------------------------------------------------------------------------------- */

/* What two deals may have in common. */
enum join {
    JOIN_DEVICE,
    JOIN_METER_KEY,
    JOIN_NODE,
    JOIN_POWER,
    JOIN_QUANTITY,
    JOIN_SALT,
    JOIN_LEAF,
    JOIN_ROOT_AND_INDEX,
    JOIN_INDEX,
    JOIN_PATH,
    JOIN_SCHEDULE_SALT,
    JOIN_READINGS, /* equal values of the same intervals, more than by chance */
    JOIN_COUNT
};
static const char *const join_names[JOIN_COUNT] = {
    "device", "meter key",      "node",  "power", "quantity",      "salt",
    "leaf",   "root and index", "index", "path",  "schedule salt", "readings"};
enum { EQUAL_READINGS = 5 };
enum { TOKENS_MAX = 4 * LIMIT_READINGS_PER_PROOF + 16 };

struct seen {
    int house; /* the truth, which the rival knows of one deal alone */
    int64_t period;
    uint32_t token_count;
    struct token {
        enum join join;
        uint64_t value;
    } tokens[TOKENS_MAX];
    uint32_t reading_count;
    struct shown {
        int64_t start;
        int64_t value;
    } readings[LIMIT_READINGS_PER_PROOF];
};
static struct seen seen[DEALS];
static uint32_t seen_count;

static void note(struct seen *deal, enum join join, const void *bytes, size_t size)
{
    struct hash hash;
    struct token *token = &deal->tokens[deal->token_count++];
    assert_true(deal->token_count <= TOKENS_MAX);
    hash_bytes(&hash, HASH_DOMAIN_RECEIPT, bytes, size);
    token->join = join;
    memcpy(&token->value, hash.bytes, sizeof token->value);
}

static void note_reading(struct seen *out, const struct revealed_reading *revealed)
{
    struct batch_record batch;
    struct hash leaf;
    uint8_t place[HASH_SIZE + sizeof revealed->index];
    const struct meter_reading *reading = &revealed->reading;
    struct state_key key =
        state_key_batch(&revealed->meter_operator, &revealed->batch, reading->interval_start);
    assert_true(ledger_read(fixture.view, &key, &batch_record_codec, &batch));
    memcpy(place, batch.root.bytes, HASH_SIZE);
    memcpy(place + HASH_SIZE, &revealed->index, sizeof revealed->index);
    meter_reading_leaf(&leaf, revealed->salt, reading);
    note(out, JOIN_SALT, revealed->salt, READING_SALT_SIZE);
    note(out, JOIN_LEAF, leaf.bytes, HASH_SIZE);
    note(out, JOIN_ROOT_AND_INDEX, place, sizeof place);
    note(out, JOIN_PATH, revealed->path, revealed->path_count * sizeof revealed->path[0]);
    out->readings[out->reading_count++] =
        (struct shown){timestamp_ms(reading->interval_start), energy_wh(reading->net)};
}

static int by_token(const void *a, const void *b)
{
    const struct token *left = a, *right = b;
    if (left->join != right->join)
        return left->join < right->join ? -1 : 1;
    return (left->value > right->value) - (left->value < right->value);
}

static int by_reading(const void *a, const void *b)
{
    const struct shown *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return (left->value > right->value) - (left->value < right->value);
}

/* Everything that the transaction which was sent last says about its deal, and the state about its
 * device. */
static void rival_sees(int house)
{
    static struct delivery_witness shown;
    struct transaction transaction;
    struct device_record device;
    struct delivery_prove action;
    struct seen *out = &seen[seen_count++];
    size_t cursor = 0;
    uint8_t type;
    struct bytes_view record;
    assert_true(seen_count <= DEALS);
    assert_error(
        CONTRACT_OK,
        transaction_decode(&transaction, bytes_view_of(fixture.envelope, fixture.envelope_size)));
    assert_true(transaction_next_action(&transaction, &cursor, &type, &record));
    assert_true(type == ACTION_DELIVERY_PROVE &&
                codec_decode_all(action_codec(type), &action, record));
    assert_true(codec_decode_all(&delivery_witness_record, &shown, transaction.witness));
    const struct deal_record deal = market_deal(&fixture, action.deal);
    struct state_key key = state_key_name(STATE_DEVICE, &deal.device);
    assert_true(ledger_read(fixture.view, &key, &device_record_codec, &device));
    *out = (struct seen){.house = house, .period = timestamp_ms(deal.period_start)};
    const int64_t power = power_w(device.max_power), quantity = energy_wh(deal.contracted);
    note(out, JOIN_DEVICE, deal.device.text, NAME_SIZE);
    note(out, JOIN_METER_KEY, device.meter_key.bytes, PUBLIC_KEY_SIZE);
    note(out, JOIN_NODE, device.node.text, NAME_SIZE);
    note(out, JOIN_POWER, &power, sizeof power);
    note(out, JOIN_QUANTITY, &quantity, sizeof quantity);
    note(out, JOIN_INDEX, &shown.readings[0].index, sizeof shown.readings[0].index);
    if (shown.unit_count > 0)
        note(out, JOIN_SCHEDULE_SALT, shown.schedule_salt, SCHEDULE_SALT_SIZE);
    for (uint32_t i = 0; i < shown.reading_count; i++)
        note_reading(out, &shown.readings[i]);
    qsort(out->tokens, out->token_count, sizeof *out->tokens, by_token);
    qsort(out->readings, out->reading_count, sizeof *out->readings, by_reading);
}

/* Both lists are sorted. */
static bool share_token(const struct seen *a, const struct seen *b, enum join join)
{
    uint32_t i = 0, j = 0;
    while (i < a->token_count && j < b->token_count) {
        const int order = by_token(&a->tokens[i], &b->tokens[j]);
        if (order == 0 && a->tokens[i].join == join)
            return true;
        i += order <= 0;
        j += order >= 0;
    }
    return false;
}

static bool share_readings(const struct seen *a, const struct seen *b)
{
    uint32_t i = 0, j = 0;
    int equal = 0;
    while (i < a->reading_count && j < b->reading_count) {
        const int order = by_reading(&a->readings[i], &b->readings[j]);
        equal += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return equal >= EQUAL_READINGS;
}

static bool is_joined(const struct seen *a, const struct seen *b, enum join join)
{
    return join == JOIN_READINGS ? share_readings(a, b) : share_token(a, b, join);
}

/* No device has two deals in one period: what joins such two tells nothing of devices. */
static bool tells_something(enum join join)
{
    for (uint32_t i = 0; i < seen_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (seen[i].period == seen[j].period && is_joined(&seen[i], &seen[j], join))
                return false;
    return true;
}

struct loot {
    int right;    /* intervals of the curve that it has got right */
    int wrong;    /* and those that it says of the house and that are not its */
    int quarters; /* of the 96 of a day that it has got right at least once */
    int deals;    /* joined to the one it knew, that one included */
};

/* What all marked deals say about the house, against what it did consume. */
static struct loot draw_curve(const bool marked[DEALS], int house)
{
    static bool right[END][PER_DAY];
    struct loot loot = {0};
    bool quarter[PER_DAY] = {false};
    memset(right, 0, sizeof right);
    for (uint32_t d = 0; d < seen_count; d++) {
        loot.deals += marked[d];
        for (uint32_t i = 0; i < seen[d].reading_count && marked[d]; i++) {
            const int64_t slot = (seen[d].readings[i].start - FIXTURE_TIME_MS) / MARKET_MTU_MS;
            const int day = (int)(slot / PER_DAY), unit = (int)(slot % PER_DAY);
            if (consumed_wh(house, day, unit) != seen[d].readings[i].value) {
                loot.wrong++;
            } else if (!right[day][unit]) {
                right[day][unit] = quarter[unit] = true;
                loot.right++;
            }
        }
    }
    for (int i = 0; i < PER_DAY; i++)
        loot.quarters += quarter[i];
    return loot;
}

/* Joins whatever can be joined to the deal that the rival knows, by any of `joins`. */
static struct loot attack(uint32_t known, uint32_t joins)
{
    static bool marked[DEALS];
    static uint32_t queue[DEALS];
    uint32_t at = 0, end = 1;
    memset(marked, 0, sizeof marked);
    marked[known] = true;
    queue[0] = known;
    for (; at < end; at++)
        for (uint32_t other = 0; other < seen_count; other++)
            for (int join = 0; join < JOIN_COUNT && !marked[other]; join++)
                if ((joins >> join & 1) != 0 &&
                    is_joined(&seen[queue[at]], &seen[other], (enum join)join)) {
                    marked[other] = true;
                    queue[end++] = other;
                }
    return draw_curve(marked, seen[known].house);
}

/* Nothing is left but to guess: of each other day the deal whose readings, held against the profile that
 * everybody knows, look most like the known one's. How many of the other 29 days it gets right. */
static int guess(uint32_t known)
{
    int hits = 0;
    double wanted = 0;
    for (int i = 0; i < MARKET_UNITS; i++)
        wanted += (double)(seen[known].readings[i].value + SOLD_WH) /
                  (double)profile[seen[known].readings[i].start / MARKET_MTU_MS % PER_DAY];
    for (int day = 0; day < DAYS; day++) {
        double best = -1;
        int house = -1;
        for (int i = 0; i < HOUSES && (int)known / HOUSES != day; i++) {
            const struct seen *deal = &seen[day * HOUSES + i];
            double found = 0;
            for (int j = 0; j < MARKET_UNITS; j++)
                found += (double)(deal->readings[j].value + SOLD_WH) /
                         (double)profile[deal->readings[j].start / MARKET_MTU_MS % PER_DAY];
            const double apart = found > wanted ? found - wanted : wanted - found;
            if (best < 0 || apart < best) {
                best = apart;
                house = deal->house;
            }
        }
        hits += house == seen[known].house;
    }
    return hits;
}

static void play(bool aliased, bool baseline, bool alike)
{
    struct market_create terms;
    plan = (struct plan){aliased, baseline, alike};
    seen_count = 0;
    memset(batches, 0, sizeof batches);
    market_open(&fixture);
    make_market(&terms);
    for (int house = 0; house < HOUSES; house++)
        register_house(house, &terms);
    for (int day = 0; day < FIRST; day++) {
        go_to(day_ms(day + 1));
        if (baseline && !aliased)
            post_day(day);
    }
    for (int day = FIRST; day < END; day++)
        play_day(day, &terms);
    assert_int_equal(seen_count, DEALS);
    fixture_close(&fixture);
    for (int day = 0; day < END; day++)
        for (int unit = 0; unit < PER_DAY; unit++)
            free(batches[day][unit].entries);
    alias_list_release(&aliases);
}

/* The best that the rival can do, over all that tells it something, alone and together. */
static struct loot best_attack(uint32_t known, bool told)
{
    struct loot best = {0};
    uint32_t all = 0;
    for (int join = 0; join < JOIN_COUNT; join++) {
        if (!tells_something((enum join)join))
            continue;
        all |= 1u << join;
        const struct loot loot = attack(known, 1u << join);
        if (told)
            print_message("    %-15s %3d deals, %4d right, %4d wrong\n", join_names[join],
                          loot.deals, loot.right, loot.wrong);
        best = loot.right - loot.wrong > best.right - best.wrong ? loot : best;
    }
    const struct loot loot = attack(known, all);
    best = loot.right - loot.wrong > best.right - best.wrong ? loot : best;
    if (told)
        print_message("    best: %d of %d intervals, %d of %d quarter hours of a day\n", best.right,
                      END * PER_DAY, best.quarters, PER_DAY);
    return best;
}

enum { KNOWN = DEALS / 2 + 1 };

static void test_fixed_names_by_baseline(void **state)
{
    (void)state;
    play(false, true, false);
    const struct loot loot = best_attack(KNOWN, true);
    /* The whole waking day of the house, and a third of all its intervals. */
    assert_int_equal(loot.deals, DAYS);
    assert_int_equal(loot.wrong, 0);
    assert_true(loot.quarters >= 70);
    assert_true(loot.right * 4 >= END * PER_DAY);
    /* Without the name, too: its meter's key, its node, its power, the same days again and again. */
    assert_int_equal(attack(KNOWN, 1u << JOIN_METER_KEY).deals, DAYS);
    assert_int_equal(attack(KNOWN, 1u << JOIN_NODE).deals, DAYS);
    assert_int_equal(attack(KNOWN, 1u << JOIN_POWER).deals, DAYS);
    assert_true(attack(KNOWN, 1u << JOIN_READINGS).right * 8 >= END * PER_DAY);
    assert_true(attack(KNOWN, 1u << JOIN_SALT).right * 8 >= END * PER_DAY);
}

static void test_aliases_by_baseline(void **state)
{
    (void)state;
    play(true, true, false);
    for (uint32_t known = 0; known < DEALS; known += 31) {
        const struct loot loot = best_attack(known, known == 0);
        /* Not one interval: what a deal shows is what was delivered. */
        assert_true(loot.right <= 2);
    }
    for (int house = 0; house < HOUSES; house++)
        for (int day = FIRST; day < END; day++) {
            assert_int_equal(delivered_wh[1][house][day], delivered_wh[0][house][day]);
            assert_int_not_equal(delivered_wh[1][house][day], 0);
        }
}

static void test_fixed_names_by_schedule(void **state)
{
    (void)state;
    play(false, false, false);
    const struct loot loot = best_attack(KNOWN, true);
    assert_int_equal(loot.right, DAYS * MARKET_UNITS);
    assert_int_equal(loot.wrong, 0);
}

static void test_aliases_by_schedule(void **state)
{
    (void)state;
    play(true, false, false);
    for (uint32_t known = 0; known < DEALS; known += 31) {
        const struct loot loot = best_attack(known, known == 0);
        /* The deal that it knew before. */
        assert_true(loot.right - loot.wrong <= MARKET_UNITS);
        assert_true(loot.right <= 2 * MARKET_UNITS);
    }
    int hits = 0;
    for (uint32_t known = 0; known < DEALS; known++)
        hits += guess(known);
    print_message("    guessing by size among houses unlike each other: %d of 1000 right\n",
                  hits * 1000 / (DEALS * (DAYS - 1)));
}

static void test_a_crowd_of_equals(void **state)
{
    (void)state;
    play(true, false, true);
    int hits = 0;
    for (uint32_t known = 0; known < DEALS; known++)
        hits += guess(known);
    const int permille = hits * 1000 / (DEALS * (DAYS - 1));
    print_message("    guessing by size in a crowd of equals: %d of 1000 right\n", permille);
    /* One in six, give or take. */
    assert_true(permille >= 1000 / HOUSES - 60 && permille <= 1000 / HOUSES + 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_names_by_baseline), cmocka_unit_test(test_aliases_by_baseline),
        cmocka_unit_test(test_fixed_names_by_schedule), cmocka_unit_test(test_aliases_by_schedule),
        cmocka_unit_test(test_a_crowd_of_equals),
    };
    if (!crypto_init())
        return 1;
    read_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
