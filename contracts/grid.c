/* The grid check: what is left of a network's nodes, and who is admitted to it (contracts/grid.h;
 * market-rules 8; docs/spec/capacity.md 3).
 *
 * A delivery period covers one or many quarter hours, and what is sold in it takes the same power in each
 * of them. So a node's figure for the period is the least that any of its quarter hours leaves, and one
 * figure per node is exact.
 *
 *   room       what the records leave, when the node is first looked at
 *   held       admitted to the call that is going on, and not traded yet
 *   sold       traded since the grid was opened; goes into the records when it is closed
 *
 * Invariants:
 * 1. held + sold <= room at every node, so nothing that is admitted can break a published limit, whatever
 *    part of it trades.
 * 2. Import and export do not set each other off: neither may rely on the other's being delivered.
 * 3. The work counts: a unit for each quarter hour that is looked at or written.
 *
 * Deliberately absent: who comes before whom, which is the priority of whoever matches. */
#include "contracts/grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/book.h"

/* More than all books of a quarter hour can sell, and far from overflow. */
static const int64_t unlimited_w = INT64_C(1) << 61;

struct grid_node {
    struct name name;
    int32_t parent;
    bool known; /* room has been looked up */
    int64_t room_w;
    int64_t held_w;
    int64_t sold_w;
};

struct grid {
    struct name network;
    struct timestamp start;
    uint32_t slots;
    int64_t per_hour; /* market time units in an hour */
    int64_t units;    /* of a period */
    int64_t step_wh;
    bool import;
    enum grid_unpublished unpublished;
    uint32_t count;
    struct grid_node nodes[LIMIT_NETWORK_NODES]; /* in the order of their names */
};

struct grid *grid_create(void)
{
    return calloc(1, sizeof(struct grid));
}

void grid_destroy(struct grid *grid)
{
    free(grid);
}

/* --- the tree ------------------------------------------------------------------------------- */

static int32_t find(const struct grid *grid, const struct name *name)
{
    uint32_t low = 0;
    uint32_t high = grid->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = name_compare(&grid->nodes[middle].name, name);
        if (order == 0) {
            return (int32_t)middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return GRID_PLACE_NONE;
}

static void load_tree(struct contract_call *call, struct grid *grid)
{
    struct name parents[LIMIT_NETWORK_NODES];
    struct state_key prefix = state_key_name(STATE_NETWORK_NODE, &grid->network);
    struct state_key at = prefix;
    struct bytes_view value;
    while (contract_next(call, bytes_view_of(prefix.bytes, prefix.size),
                         bytes_view_of(at.bytes, at.size), &at, &value)) {
        struct node_record record;
        MUST(grid->count < LIMIT_NETWORK_NODES && at.size == prefix.size + NAME_SIZE);
        if (!book_read(call, &at, &node_record_codec, &record)) {
            return;
        }
        parents[grid->count] = record.parent;
        struct grid_node *node = &grid->nodes[grid->count++];
        *node = (struct grid_node){.parent = GRID_PLACE_NONE};
        memcpy(node->name.text, at.bytes + prefix.size, NAME_SIZE);
    }
    for (uint32_t i = 0; i < grid->count; i++) {
        if (!name_is_empty(&parents[i])) {
            grid->nodes[i].parent = find(grid, &parents[i]);
            MUST(grid->nodes[i].parent != GRID_PLACE_NONE || call->view->fault);
        }
    }
}

void grid_open(struct contract_call *call, struct grid *grid, const struct market_create *terms,
               struct timestamp start, enum direction direction, enum grid_unpublished unpublished)
{
    int64_t mtu_ms = duration_ms(terms->times.mtu);
    grid->network = terms->network;
    grid->start = start;
    grid->units = terms->times.mtus_per_period;
    grid->slots = (uint32_t)(grid->units * (mtu_ms / COMMITMENT_SLOT_MS));
    grid->per_hour = MS_PER_HOUR / mtu_ms;
    grid->step_wh = energy_wh(terms->limits.quantity_step);
    grid->import = direction == DIRECTION_DOWN;
    grid->unpublished = unpublished;
    grid->count = 0;
    if (!name_is_empty(&terms->network)) {
        MUST(grid->slots <= LIMIT_INTERVALS_PER_PERIOD);
        load_tree(call, grid);
    }
}

struct name grid_network(const struct grid *grid)
{
    return grid->network;
}

uint32_t grid_count(const struct grid *grid)
{
    return grid->count;
}

struct name grid_name(const struct grid *grid, int32_t place)
{
    MUST(place >= 0 && (uint32_t)place < grid->count);
    return grid->nodes[place].name;
}

int32_t grid_parent(const struct grid *grid, int32_t place)
{
    MUST(place >= 0 && (uint32_t)place < grid->count);
    return grid->nodes[place].parent;
}

int32_t grid_place(const struct grid *grid, const struct device_record *device)
{
    int32_t place = find(grid, &device->node);
    return place != GRID_PLACE_NONE ? place : find(grid, &device->feeder);
}

bool grid_node_of(const struct contract_call *call, const struct name *network,
                  const struct device_record *device, struct name *node)
{
    struct state_key own = state_key_pair(STATE_NETWORK_NODE, network, &device->node);
    struct state_key feeder = state_key_pair(STATE_NETWORK_NODE, network, &device->feeder);
    bool at_own = contract_exists(call, &own);
    *node = at_own ? device->node : device->feeder;
    return at_own || contract_exists(call, &feeder);
}

bool grid_has_device(const struct contract_call *call, const struct name *network,
                     const struct device_record *device)
{
    struct name node;
    return grid_node_of(call, network, device, &node);
}

bool grid_is_loaded_by(const struct market_create *terms, const struct order_record *order)
{
    return !name_is_empty(&terms->network) && terms->product != PRODUCT_CAPACITY_CAP &&
           order->reservation == 0;
}

/* --- figures -------------------------------------------------------------------------------- */

static struct state_key slot_key(const struct grid *grid, const struct grid_node *node,
                                 uint32_t slot)
{
    struct timestamp start;
    MUST(timestamp_add(&start, grid->start, duration_of((int64_t)slot * COMMITMENT_SLOT_MS)));
    return state_key_capacity(&grid->network, &node->name, start);
}

static void look_up(struct contract_call *call, struct grid *grid, struct grid_node *node)
{
    node->known = true;
    node->room_w = unlimited_w;
    contract_spend(call, grid->slots);
    for (uint32_t i = 0; i < grid->slots; i++) {
        struct capacity_record record;
        struct state_key key = slot_key(grid, node, i);
        int64_t left = unlimited_w;
        if (contract_read(call, &key, &capacity_record_codec, &record) && record.revision > 0) {
            int64_t limit = power_w(grid->import ? record.import_limit : record.export_limit);
            left = limit - power_w(grid->import ? record.import_sold : record.export_sold);
        } else if (grid->unpublished == GRID_UNPUBLISHED_IS_CLOSED) {
            left = 0;
        }
        left = left < 0 ? 0 : left; /* more was sold before less was published */
        node->room_w = left < node->room_w ? left : node->room_w;
    }
}

/* E Wh over a period are E / units in each unit, at so many units an hour. */
static int64_t watts_of(const struct grid *grid, struct energy quantity)
{
    MUST(energy_wh(quantity) >= 0 && energy_wh(quantity) % grid->units == 0);
    int64_t watts;
    MUST(checked_mul_i64(&watts, energy_wh(quantity) / grid->units, grid->per_hour));
    return watts;
}

struct energy grid_left(struct contract_call *call, struct grid *grid, int32_t place,
                        struct energy most)
{
    MUST(place >= 0 && (uint32_t)place < grid->count);
    struct grid_node *node = &grid->nodes[place];
    if (!node->known) {
        look_up(call, grid, node);
    }
    int64_t left = node->room_w - node->held_w - node->sold_w;
    MUST(left >= 0);
    int128 whole = product_i128(left / grid->per_hour, grid->units);
    int64_t wh = whole < energy_wh(most) ? (int64_t)whole : energy_wh(most);
    return energy_of(wh - wh % grid->step_wh);
}

struct energy grid_admit(struct contract_call *call, struct grid *grid, int32_t place,
                         struct energy wanted, struct energy least, int32_t *limiter)
{
    struct energy got = wanted;
    *limiter = GRID_PLACE_NONE;
    for (int32_t at = place; at != GRID_PLACE_NONE; at = grid->nodes[at].parent) {
        struct energy left = grid_left(call, grid, at, wanted);
        if (*limiter == GRID_PLACE_NONE && energy_compare(left, wanted) < 0) {
            *limiter = at;
        }
        got = energy_min(got, left);
    }
    if (energy_compare(got, least) < 0) {
        return energy_of(0);
    }
    for (int32_t at = place; at != GRID_PLACE_NONE; at = grid->nodes[at].parent) {
        grid->nodes[at].held_w += watts_of(grid, got);
        MUST(grid->nodes[at].held_w + grid->nodes[at].sold_w <= grid->nodes[at].room_w);
    }
    return got;
}

void grid_forget(struct grid *grid)
{
    for (uint32_t i = 0; i < grid->count; i++) {
        grid->nodes[i].held_w = 0;
    }
}

void grid_sell(struct grid *grid, int32_t place, struct energy traded)
{
    int64_t watts = place == GRID_PLACE_NONE ? 0 : watts_of(grid, traded);
    for (int32_t at = place; at != GRID_PLACE_NONE; at = grid->nodes[at].parent) {
        struct grid_node *node = &grid->nodes[at];
        node->held_w = node->held_w > watts ? node->held_w - watts : 0;
        node->sold_w += watts;
        MUST(node->known && node->held_w + node->sold_w <= node->room_w);
    }
}

void grid_close(struct contract_call *call, struct grid *grid)
{
    for (uint32_t i = 0; i < grid->count; i++) {
        const struct grid_node *node = &grid->nodes[i];
        for (uint32_t slot = 0; slot < grid->slots && node->sold_w > 0; slot++) {
            struct capacity_record record;
            struct state_key key = slot_key(grid, node, slot);
            if (!contract_read(call, &key, &capacity_record_codec, &record)) {
                record = (struct capacity_record){0};
            }
            struct power *sold = grid->import ? &record.import_sold : &record.export_sold;
            int64_t watts;
            MUST(checked_add_i64(&watts, power_w(*sold), node->sold_w));
            *sold = power_of(watts);
            contract_write(call, &key, &capacity_record_codec, &record);
        }
    }
    grid->count = 0;
}
