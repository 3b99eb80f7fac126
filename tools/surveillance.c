/* Concentration and conduct (tools/surveillance.h; docs/spec/surveillance.md 4 and 5).
 *
 * Invariants: quantities of one book add up far below 2^63 (base/limits.h), those of a market over a
 * report are added with checks; products are made in 128 bits; every division is a floor, which
 * lowers an index by less than one of its units.
 *
 * Deliberately absent: floating point, and any number that the history doesn't hold. */
#include "tools/surveillance.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

const char *const finding_names[FINDING_KINDS] = {"same_owner", "own_device", "circular",
                                                  "layering", "withheld"};

void surveillance_defaults(struct surveillance_terms *out)
{
    *out = (struct surveillance_terms){
        .to = timestamp_of(INT64_MAX),
        .cycle_window = duration_of(MS_PER_DAY),
        .spoof_window = duration_of(600000),
        .late = duration_of(300000),
        .spoof_count = 3,
        .spoof_permille = 2000,
        .withheld_permille = 200,
        .price_permille = 800,
    };
}

static int compare_owner(const void *key, const void *item)
{
    return name_compare(key, &((const struct surveillance_owner *)item)->participant);
}

struct name surveillance_owner_of(const struct surveillance_terms *terms,
                                  const struct name *participant)
{
    const struct surveillance_owner *found =
        terms->owner_count == 0 ? NULL
                                : bsearch(participant, terms->owners, terms->owner_count,
                                          sizeof *terms->owners, compare_owner);
    return found != NULL ? found->owner : *participant;
}

bool surveillance_covers(const struct surveillance_terms *terms, const struct history_book *book)
{
    return !book->sells_capacity && timestamp_compare(terms->from, book->start) <= 0 &&
           timestamp_compare(book->start, terms->to) < 0;
}

static void add(int64_t *sum, int64_t more)
{
    if (!checked_add_i64(sum, *sum, more)) {
        fatal_environment("the report covers more energy than can be counted");
    }
}

int64_t surveillance_hhi(const int64_t *quantities, size_t count)
{
    int64_t total = 0;
    uint128 squares = 0;
    for (size_t i = 0; i < count; i++) {
        MUST(quantities[i] >= 0);
        add(&total, quantities[i]);
    }
    if (total == 0) {
        return -1;
    }
    /* Halving all until the squares times 10000 fit 128 bits costs less than any index shows. */
    unsigned shift = 0;
    while (total >> shift >= (int64_t)1 << 56) {
        shift++;
    }
    for (size_t i = 0; i < count; i++) {
        uint128 share = (uint128)(quantities[i] >> shift);
        squares += share * share;
    }
    uint128 whole = (uint128)(total >> shift);
    return (int64_t)(squares * 10000 / (whole * whole));
}

int64_t surveillance_rsi(int64_t supply, int64_t without, int64_t demand)
{
    int64_t permille;
    if (demand == 0) {
        return -1;
    }
    MUST(demand > 0 && without >= 0 && without <= supply);
    return checked_narrow_i64(&permille,
                              div_floor_i128(product_i128(supply - without, 1000), demand))
               ? permille
               : INT64_MAX;
}

/* --- suppliers ----------------------------------------------------------------------------- */

struct supplier {
    struct name owner;
    int64_t offered;
    int64_t traded;
    int64_t available;
};

struct suppliers {
    struct supplier *items;
    size_t count, room;
};

/* Sorted by owner, so that a thousand of them in ten thousand orders stay quick. */
static struct supplier *supplier_of(struct suppliers *suppliers, const struct name *owner)
{
    size_t low = 0, high = suppliers->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = name_compare(&suppliers->items[middle].owner, owner);
        if (order == 0) {
            return &suppliers->items[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    suppliers->items = history_room(suppliers->items, &suppliers->room, suppliers->count,
                                    sizeof *suppliers->items);
    struct supplier *at = &suppliers->items[low];
    memmove(at + 1, at, (suppliers->count - low) * sizeof *at);
    suppliers->count++;
    *at = (struct supplier){.owner = *owner};
    return at;
}

static int by_quantity_falling(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a < b) - (a > b);
}

/* Sections 4 and 5 over what the suppliers have offered, traded and had available. */
static void judge(struct concentration *out, const struct suppliers *suppliers)
{
    int64_t *quantities = calloc(suppliers->count + 3, sizeof *quantities);
    int64_t top = 0;
    if (quantities == NULL) {
        fatal_environment("out of memory for the report");
    }
    for (size_t i = 0; i < suppliers->count; i++) {
        quantities[i] = suppliers->items[i].traded;
    }
    out->hhi_traded = surveillance_hhi(quantities, suppliers->count);
    for (size_t i = 0; i < suppliers->count; i++) {
        quantities[i] = suppliers->items[i].available;
        top = quantities[i] > top ? quantities[i] : top;
        add(&out->available_wh, quantities[i]);
    }
    out->rsi_available_permille =
        out->closed ? surveillance_rsi(out->available_wh, top, out->requested_wh) : -1;
    for (size_t i = 0; i < suppliers->count; i++) {
        const struct supplier *supplier = &suppliers->items[i];
        quantities[i] = supplier->offered;
        out->suppliers += supplier->offered > 0 || supplier->traded > 0;
        out->pivotal += supplier->offered > 0 && out->requested_wh > 0 &&
                        out->offered_wh - supplier->offered < out->requested_wh;
    }
    out->hhi_offered = surveillance_hhi(quantities, suppliers->count);
    top = 0;
    for (size_t i = 0; i < suppliers->count; i++) {
        if (quantities[i] > top) {
            top = quantities[i];
            out->largest = suppliers->items[i].owner;
        }
    }
    qsort(quantities, suppliers->count, sizeof *quantities, by_quantity_falling);
    out->rsi_permille = surveillance_rsi(out->offered_wh, quantities[0], out->requested_wh);
    out->rsi3_permille = surveillance_rsi(
        out->offered_wh, quantities[0] + quantities[1] + quantities[2], out->requested_wh);
    free(quantities);
}

/* --- books --------------------------------------------------------------------------------- */

struct work {
    struct surveillance *out;
    const struct market_history *history;
    const struct surveillance_terms *terms;
    const struct surveillance_orders *orders;
};

static void add_order(const struct work *work, const struct history_order *order,
                      struct concentration *sums, struct suppliers *suppliers)
{
    int64_t firm = energy_wh(order->placed.quantity) - energy_wh(order->withdrawn);
    if (order->placed.side == SIDE_BUY) {
        add(&sums->requested_wh, firm);
        return;
    }
    struct name owner = surveillance_owner_of(work->terms, &order->placed.participant);
    struct supplier *supplier = supplier_of(suppliers, &owner);
    add(&supplier->offered, firm);
    add(&supplier->available, firm);
    add(&supplier->traded, energy_wh(order->traded));
    add(&sums->offered_wh, firm);
    add(&sums->traded_wh, energy_wh(order->traded));
}

static void add_book(const struct work *work, uint32_t number, struct concentration *sums,
                     struct suppliers *suppliers)
{
    const struct history_book *book = &work->history->books[number];
    sums->closed = sums->closed && book->closed;
    for (size_t i = work->orders->first[number]; i < work->orders->first[number + 1]; i++) {
        add_order(work, &work->history->orders[work->orders->by_book[i]], sums, suppliers);
    }
    for (uint32_t i = 0; i < book->share_count; i++) {
        const struct history_share *share = &work->history->shares[book->first_share + i];
        struct name owner = surveillance_owner_of(work->terms, &share->who);
        add(&supplier_of(suppliers, &owner)->available, energy_wh(share->free));
    }
}

static struct concentration *add_row(struct surveillance *out, const struct name *market)
{
    out->concentrations = history_room(out->concentrations, &out->concentration_room,
                                       out->concentration_count, sizeof *out->concentrations);
    struct concentration *row = &out->concentrations[out->concentration_count++];
    *row = (struct concentration){.market = *market, .closed = true};
    return row;
}

/* The books `from` to `to` of one market, each alone and then all of them. */
static void concentrate(const struct work *work, const uint32_t *books, size_t count)
{
    struct suppliers all = {0};
    const struct name market = work->history->books[books[0]].market;
    struct concentration sums = {.market = market, .closed = true, .all = true};
    for (size_t i = 0; i < count; i++) {
        struct suppliers suppliers = {0};
        const struct history_book *book = &work->history->books[books[i]];
        struct concentration *row = add_row(work->out, &market);
        row->direction = book->direction;
        row->start = book->start;
        add_book(work, books[i], row, &suppliers);
        judge(row, &suppliers);
        free(suppliers.items);
        add_book(work, books[i], &sums, &all);
    }
    judge(&sums, &all);
    *add_row(work->out, &market) = sums;
    free(all.items);
}

/* --- conduct ------------------------------------------------------------------------------- */

static int compare_conduct(const void *left, const void *right)
{
    const struct conduct *a = left;
    const struct conduct *b = right;
    int order = name_compare(&a->market, &b->market);
    order = order != 0 ? order : name_compare(&a->owner, &b->owner);
    return order != 0 ? order : (int)a->side - (int)b->side;
}

static bool is_late(const struct work *work, struct timestamp when, const struct history_book *book)
{
    struct duration left;
    return timestamp_until(&left, when, book->gate) &&
           duration_ms(left) <= duration_ms(work->terms->late);
}

static struct conduct conduct_of(const struct work *work, const struct history_order *order)
{
    const struct history_book *book = &work->history->books[order->book];
    struct conduct one = {.market = book->market,
                          .owner = surveillance_owner_of(work->terms, &order->placed.participant),
                          .side = order->placed.side,
                          .orders = 1,
                          .placed_wh = energy_wh(order->placed.quantity),
                          .traded_wh = energy_wh(order->traded),
                          .withdrawn_wh = energy_wh(order->withdrawn),
                          .expired_wh = energy_wh(order->expired)};
    if (order_may_rest(&order->placed)) {
        bool cancelled = order->status == ORDER_CANCELLED;
        bool reduced = energy_wh(order->reduced) > 0;
        one.withdrawals = cancelled + reduced;
        one.late = (cancelled && is_late(work, order->ended, book)) +
                   (reduced && is_late(work, order->last_reduced, book));
    }
    return one;
}

/* One entry per order, sorted, then those of one owner, market and side added up. */
static void take_conducts(const struct work *work)
{
    struct surveillance *out = work->out;
    for (size_t i = 0; i < work->history->order_count; i++) {
        const struct history_order *order = &work->history->orders[i];
        if (surveillance_covers(work->terms, &work->history->books[order->book])) {
            out->conducts = history_room(out->conducts, &out->conduct_room, out->conduct_count,
                                         sizeof *out->conducts);
            out->conducts[out->conduct_count++] = conduct_of(work, order);
        }
    }
    if (out->conduct_count == 0) {
        return;
    }
    qsort(out->conducts, out->conduct_count, sizeof *out->conducts, compare_conduct);
    size_t kept = 0;
    for (size_t i = 1; i < out->conduct_count; i++) {
        struct conduct *into = &out->conducts[kept];
        const struct conduct *one = &out->conducts[i];
        if (compare_conduct(into, one) != 0) {
            out->conducts[++kept] = *one;
            continue;
        }
        into->orders += one->orders;
        into->withdrawals += one->withdrawals;
        into->late += one->late;
        add(&into->placed_wh, one->placed_wh);
        add(&into->traded_wh, one->traded_wh);
        add(&into->withdrawn_wh, one->withdrawn_wh);
        add(&into->expired_wh, one->expired_wh);
    }
    out->conduct_count = kept + 1;
}

/* --- the whole ----------------------------------------------------------------------------- */

static int compare_books(const void *left, const void *right, void *context)
{
    const struct market_history *history = context;
    const struct history_book *a = &history->books[*(const uint32_t *)left];
    const struct history_book *b = &history->books[*(const uint32_t *)right];
    int order = name_compare(&a->market, &b->market);
    order = order != 0 ? order : timestamp_compare(a->start, b->start);
    return order != 0 ? order : (int)a->direction - (int)b->direction;
}

/* Orders by book, in the order of their numbers. */
static void index_orders(struct surveillance_orders *out, const struct market_history *history)
{
    out->by_book = calloc(history->order_count + 1, sizeof *out->by_book);
    out->first = calloc(history->book_count + 3, sizeof *out->first);
    if (out->by_book == NULL || out->first == NULL) {
        fatal_environment("out of memory for the report");
    }
    /* Counting sort: first[b + 2] counts book b, then first[b + 1] walks to where it ends. */
    for (size_t i = 0; i < history->order_count; i++) {
        out->first[history->orders[i].book + 2]++;
    }
    for (size_t b = 1; b < history->book_count + 3; b++) {
        out->first[b] += out->first[b - 1];
    }
    for (size_t i = 0; i < history->order_count; i++) {
        out->by_book[out->first[history->orders[i].book + 1]++] = (uint32_t)i;
    }
}

void surveillance_run(struct surveillance *out, const struct market_history *history,
                      const struct surveillance_terms *terms)
{
    struct surveillance_orders orders;
    struct work work = {out, history, terms, &orders};
    uint32_t *books = calloc(history->book_count + 1, sizeof *books);
    size_t count = 0;
    memset(out, 0, sizeof *out);
    if (books == NULL) {
        fatal_environment("out of memory for the report");
    }
    index_orders(&orders, history);
    for (size_t i = 0; i < history->book_count; i++) {
        if (surveillance_covers(terms, &history->books[i])) {
            books[count++] = (uint32_t)i;
        }
    }
    qsort_r(books, count, sizeof *books, compare_books, (void *)(uintptr_t)history);
    for (size_t from = 0, to; from < count; from = to) {
        to = from + 1;
        while (to < count && name_compare(&history->books[books[to]].market,
                                          &history->books[books[from]].market) == 0) {
            to++;
        }
        concentrate(&work, books + from, to - from);
    }
    take_conducts(&work);
    surveillance_find(out, history, terms, &orders);
    free(books);
    free(orders.by_book);
    free(orders.first);
}

void surveillance_free(struct surveillance *surveillance)
{
    free(surveillance->concentrations);
    free(surveillance->findings);
    free(surveillance->conducts);
    memset(surveillance, 0, sizeof *surveillance);
}
