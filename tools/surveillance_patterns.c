/* Patterns that call for an explanation (tools/surveillance.h; docs/spec/surveillance.md 6 to 9).
 *
 * Invariants: a pattern is looked for in one book at a time, since a book is one product; every
 * finding follows from the history, the regulator's list of owners and the thresholds alone; what is
 * at a threshold is reported.
 *
 * Deliberately absent: guesses at intent, scores, and anything learnt. */
#include "tools/surveillance.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

struct work {
    struct surveillance *out;
    const struct market_history *history;
    const struct surveillance_terms *terms;
    const struct surveillance_orders *orders;
    uint32_t *deals_by_book; /* deals' indices, in the order of their numbers */
    size_t *first_deal;
    uint8_t *near; /* by deal: bit s, it filled somebody on side s who then withdrew on the other */
};

static void *must_have(void *memory)
{
    if (memory == NULL) {
        fatal_environment("out of memory for the report");
    }
    return memory;
}

static struct finding *report(struct work *work, enum finding_kind kind, uint32_t book,
                              const struct name *owner)
{
    struct surveillance *out = work->out;
    out->findings =
        history_room(out->findings, &out->finding_room, out->finding_count, sizeof *out->findings);
    struct finding *finding = &out->findings[out->finding_count++];
    *finding = (struct finding){.kind = (uint8_t)kind, .book = book, .owner = *owner};
    return finding;
}

static struct name owner_of(const struct work *work, const struct name *participant)
{
    return surveillance_owner_of(work->terms, participant);
}

static bool same(const struct name *a, const struct name *b)
{
    return name_compare(a, b) == 0;
}

static struct finding *report_deal(struct work *work, enum finding_kind kind, size_t index)
{
    const struct history_deal *deal = &work->history->deals[index];
    struct name buyer = owner_of(work, &deal->deal.buyer);
    struct finding *finding = report(work, kind, deal->book, &buyer);
    finding->deal = index + 1;
    finding->quantity_wh = energy_wh(deal->deal.contracted);
    finding->price_ueur_per_kwh = energy_price_ueur_per_kwh(deal->deal.price);
    return finding;
}

/* --- 6: both sides of a deal ----------------------------------------------------------------- */

static void find_wash(struct work *work, enum finding_kind kind)
{
    for (size_t i = 0; i < work->history->deal_count; i++) {
        const struct history_deal *deal = &work->history->deals[i];
        if (!surveillance_covers(work->terms, &work->history->books[deal->book])) {
            continue;
        }
        struct name buyer = owner_of(work, &deal->deal.buyer);
        struct name seller = owner_of(work, &deal->deal.seller);
        struct name device = owner_of(work, &deal->device_owner);
        bool one = same(&buyer, &seller);
        bool own = !one && same(&buyer, &device);
        if (kind == FINDING_SAME_OWNER ? one : own) {
            (void)report_deal(work, kind, i);
        }
    }
}

/* --- 7: circles ------------------------------------------------------------------------------ */

/* Who paid whom in one book, and when last. */
struct payments {
    struct name *owners;
    size_t owner_count, owner_room;
    struct payment {
        uint32_t payer, payee;
        int64_t last_ms;
    } * items;
    size_t count, room;
};

static uint32_t number_of(struct payments *payments, const struct name *owner)
{
    for (size_t i = 0; i < payments->owner_count; i++) {
        if (same(&payments->owners[i], owner)) {
            return (uint32_t)i;
        }
    }
    payments->owners = history_room(payments->owners, &payments->owner_room, payments->owner_count,
                                    sizeof *payments->owners);
    payments->owners[payments->owner_count] = *owner;
    return (uint32_t)payments->owner_count++;
}

static void pay(struct payments *payments, uint32_t payer, uint32_t payee, int64_t at_ms)
{
    for (size_t i = 0; i < payments->count; i++) {
        if (payments->items[i].payer == payer && payments->items[i].payee == payee) {
            payments->items[i].last_ms = at_ms;
            return;
        }
    }
    payments->items =
        history_room(payments->items, &payments->room, payments->count, sizeof *payments->items);
    payments->items[payments->count++] = (struct payment){payer, payee, at_ms};
}

/* The shortest way of payments since `since_ms` from `from` to `to`, at most SURVEILLANCE_PATH_MAX
 * owners long, as their numbers; 0 if there is none. */
static uint32_t shortest_way(uint32_t way[SURVEILLANCE_PATH_MAX], const struct payments *payments,
                             uint32_t from, uint32_t to, int64_t since_ms)
{
    uint32_t *before = must_have(calloc(payments->owner_count, sizeof *before)); /* plus one */
    uint32_t *depth = must_have(calloc(payments->owner_count, sizeof *depth)); /* 0: not reached */
    bool moved = true;
    depth[from] = 1;
    for (uint32_t level = 1; moved && depth[to] == 0 && level < SURVEILLANCE_PATH_MAX; level++) {
        moved = false;
        for (size_t i = 0; i < payments->count; i++) {
            const struct payment *payment = &payments->items[i];
            if (depth[payment->payer] == level && depth[payment->payee] == 0 &&
                payment->last_ms >= since_ms) {
                depth[payment->payee] = level + 1;
                before[payment->payee] = payment->payer + 1;
                moved = true;
            }
        }
    }
    uint32_t length = depth[to];
    for (uint32_t at = to, i = length; i > 0; i--) {
        way[i - 1] = at;
        at = before[at] - 1;
    }
    free(before);
    free(depth);
    return length;
}

static void take_deal(struct work *work, struct payments *payments, size_t index)
{
    const struct history_deal *deal = &work->history->deals[index];
    struct name buyer = owner_of(work, &deal->deal.buyer);
    struct name seller = owner_of(work, &deal->deal.seller);
    int64_t at_ms = timestamp_ms(deal->matched.time);
    uint32_t way[SURVEILLANCE_PATH_MAX];
    if (same(&buyer, &seller)) {
        return; /* section 6 */
    }
    uint32_t payer = number_of(payments, &buyer);
    uint32_t payee = number_of(payments, &seller);
    uint32_t length =
        shortest_way(way, payments, payee, payer, at_ms - duration_ms(work->terms->cycle_window));
    if (length > 0) {
        struct finding *finding = report_deal(work, FINDING_CIRCULAR, index);
        finding->count = length;
        finding->path_count = length;
        for (uint32_t i = 0; i < length; i++) {
            finding->path[i] = payments->owners[way[i]];
        }
    }
    pay(payments, payer, payee, at_ms);
}

static void find_circles(struct work *work, uint32_t book)
{
    struct payments payments = {0};
    for (size_t i = work->first_deal[book]; i < work->first_deal[book + 1]; i++) {
        take_deal(work, &payments, work->deals_by_book[i]);
    }
    free(payments.owners);
    free(payments.items);
}

/* --- 8: layering ----------------------------------------------------------------------------- */

/* What one owner withdrew from one side of a book behind fills on the other. */
struct layer {
    struct name owner;
    uint8_t side;
    uint32_t count;
    uint32_t late;
    int64_t withdrawn_wh;
    int64_t filled_wh;
};

struct layers {
    struct layer *items;
    size_t count, room;
};

static struct layer *layer_of(struct layers *layers, const struct name *owner, uint8_t side)
{
    for (size_t i = 0; i < layers->count; i++) {
        if (layers->items[i].side == side && same(&layers->items[i].owner, owner)) {
            return &layers->items[i];
        }
    }
    layers->items =
        history_room(layers->items, &layers->room, layers->count, sizeof *layers->items);
    layers->items[layers->count] = (struct layer){.owner = *owner, .side = side};
    return &layers->items[layers->count++];
}

/* A replacement withdraws what it takes off the book; all of it, if its price is worse. */
static int64_t withdrawn_wh(const struct market_history *history, const struct history_order *order)
{
    int64_t gone = energy_wh(order->withdrawn) - energy_wh(order->reduced);
    if (order->replaced_by == 0) {
        return gone;
    }
    const struct order_record *new = &history->orders[order->replaced_by - 1].placed;
    int worse = energy_price_compare(new->price, order->placed.price);
    worse = order->placed.side == SIDE_BUY ? -worse : worse;
    int64_t less = gone - energy_wh(new->quantity);
    return worse > 0 ? gone : less > 0 ? less : 0;
}

static struct name filled_owner(const struct work *work, const struct history_deal *deal,
                                uint8_t side)
{
    return owner_of(work, side == SIDE_BUY ? &deal->deal.buyer : &deal->deal.seller);
}

/* Marks the deals that filled `owner` on the other side while the order stood in the book, at most a
 * window before it was withdrawn. True if there is one. */
static bool mark_fills(struct work *work, const struct history_order *order,
                       const struct name *owner, struct timestamp withdrawn)
{
    uint8_t other = order->placed.side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    int64_t until_ms = timestamp_ms(withdrawn);
    int64_t since_ms = until_ms - duration_ms(work->terms->spoof_window);
    int64_t placed_ms = timestamp_ms(order->time);
    bool any = false;
    since_ms = since_ms < placed_ms ? placed_ms : since_ms;
    size_t low = work->first_deal[order->book], high = work->first_deal[order->book + 1];
    size_t end = high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct history_deal *deal = &work->history->deals[work->deals_by_book[middle]];
        if (timestamp_ms(deal->matched.time) < since_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low; i < end; i++) {
        const struct history_deal *deal = &work->history->deals[work->deals_by_book[i]];
        if (timestamp_ms(deal->matched.time) > until_ms) {
            break;
        }
        struct name filled = filled_owner(work, deal, other);
        if (same(&filled, owner)) {
            work->near[work->deals_by_book[i]] |= (uint8_t)(1u << other);
            any = true;
        }
    }
    return any;
}

static void take_withdrawal(struct work *work, struct layers *layers,
                            const struct history_order *order, int64_t gone, struct timestamp when)
{
    struct name owner = owner_of(work, &order->placed.participant);
    struct duration left;
    if (gone == 0 || !mark_fills(work, order, &owner, when)) {
        return;
    }
    struct layer *layer = layer_of(layers, &owner, order->placed.side);
    layer->count++;
    layer->withdrawn_wh += gone;
    layer->late += timestamp_until(&left, when, work->history->books[order->book].gate) &&
                   duration_ms(left) <= duration_ms(work->terms->late);
}

/* What was cancelled or replaced of an order; and before that, what replacing it by less of itself took
 * off the book, all at the last time. What ends with its arrival has stood for nobody. */
static void take_withdrawals(struct work *work, struct layers *layers,
                             const struct history_order *order)
{
    if (!order_may_rest(&order->placed)) {
        return;
    }
    take_withdrawal(work, layers, order, energy_wh(order->reduced), order->last_reduced);
    if (order->status == ORDER_CANCELLED) {
        take_withdrawal(work, layers, order, withdrawn_wh(work->history, order), order->ended);
    }
}

static void find_layers(struct work *work, uint32_t book)
{
    struct layers layers = {0};
    for (size_t i = work->orders->first[book]; i < work->orders->first[book + 1]; i++) {
        take_withdrawals(work, &layers, &work->history->orders[work->orders->by_book[i]]);
    }
    for (size_t i = work->first_deal[book]; layers.count > 0 && i < work->first_deal[book + 1];
         i++) {
        const struct history_deal *deal = &work->history->deals[work->deals_by_book[i]];
        for (uint8_t side = SIDE_BUY; side <= SIDE_SELL; side++) {
            if ((work->near[work->deals_by_book[i]] & (1u << side)) != 0) {
                struct name owner = filled_owner(work, deal, side);
                layer_of(&layers, &owner, side == SIDE_BUY ? SIDE_SELL : SIDE_BUY)->filled_wh +=
                    energy_wh(deal->deal.contracted);
            }
        }
    }
    for (size_t i = 0; i < layers.count; i++) {
        const struct layer *layer = &layers.items[i];
        MUST(layer->filled_wh > 0);
        int64_t permille = surveillance_rsi(layer->withdrawn_wh, 0, layer->filled_wh);
        if (permille >= work->terms->spoof_permille &&
            (layer->count >= work->terms->spoof_count || layer->late > 0)) {
            struct finding *finding = report(work, FINDING_LAYERING, book, &layer->owner);
            finding->side = layer->side;
            finding->count = layer->count;
            finding->late = layer->late;
            finding->quantity_wh = layer->withdrawn_wh;
            finding->against_wh = layer->filled_wh;
            finding->permille = permille;
        }
    }
    free(layers.items);
}

/* --- 9: withheld capacity -------------------------------------------------------------------- */

/* Requests that nobody served, and the dearest deal (-1: none). */
static int64_t unserved_in(const struct work *work, uint32_t book, int64_t *dearest)
{
    int64_t unserved = 0;
    *dearest = -1;
    for (size_t i = work->orders->first[book]; i < work->orders->first[book + 1]; i++) {
        const struct history_order *order = &work->history->orders[work->orders->by_book[i]];
        if (order->placed.side == SIDE_BUY) {
            /* Behind its gate an order that no sweep has ended yet is as good as expired. */
            unserved += energy_wh(order->expired) + energy_wh(order->open);
        }
    }
    for (size_t i = work->first_deal[book]; i < work->first_deal[book + 1]; i++) {
        const struct history_deal *deal = &work->history->deals[work->deals_by_book[i]];
        int64_t price = energy_price_ueur_per_kwh(deal->deal.price);
        *dearest = price > *dearest ? price : *dearest;
    }
    return unserved;
}

/* An owner's devices in one book, all participants of the owner together. */
struct holding {
    struct name owner;
    uint32_t devices;
    int64_t potential_wh;
    int64_t free_wh;
};

static size_t gather(const struct work *work, const struct history_book *book,
                     struct holding *holdings)
{
    size_t count = 0;
    for (uint32_t i = 0; i < book->share_count; i++) {
        const struct history_share *share = &work->history->shares[book->first_share + i];
        struct name owner = owner_of(work, &share->who);
        size_t at = 0;
        while (at < count && !same(&holdings[at].owner, &owner)) {
            at++;
        }
        if (at == count) {
            holdings[count++] = (struct holding){.owner = owner};
        }
        holdings[at].devices += share->devices;
        holdings[at].potential_wh += energy_wh(share->potential);
        holdings[at].free_wh += energy_wh(share->free);
    }
    return count;
}

static void find_withheld(struct work *work, uint32_t number)
{
    const struct history_book *book = &work->history->books[number];
    int64_t dearest;
    int64_t unserved = unserved_in(work, number, &dearest);
    int64_t cap = energy_price_ueur_per_kwh(book->price_max);
    bool high = dearest >= 0 &&
                product_i128(dearest, 1000) >= product_i128(cap, work->terms->price_permille);
    if (!book->closed || (unserved == 0 && !high)) {
        return;
    }
    struct holding *holdings = must_have(calloc(book->share_count + 1, sizeof *holdings));
    size_t count = gather(work, book, holdings);
    for (size_t i = 0; i < count; i++) {
        const struct holding *holding = &holdings[i];
        int64_t permille = surveillance_rsi(holding->free_wh, 0, holding->potential_wh);
        if (holding->free_wh > 0 && permille >= work->terms->withheld_permille) {
            struct finding *finding = report(work, FINDING_WITHHELD, number, &holding->owner);
            finding->count = holding->devices;
            finding->quantity_wh = holding->free_wh;
            finding->against_wh = unserved;
            finding->permille = permille;
            finding->price_ueur_per_kwh = dearest;
        }
    }
    free(holdings);
}

/* --- all of them ----------------------------------------------------------------------------- */

static void index_deals(struct work *work)
{
    const struct market_history *history = work->history;
    size_t *first = must_have(calloc(history->book_count + 3, sizeof *first));
    work->deals_by_book = must_have(calloc(history->deal_count + 1, sizeof *work->deals_by_book));
    work->near = must_have(calloc(history->deal_count + 1, sizeof *work->near));
    /* As index_orders does: first[b + 1] starts where book b does and ends where it ends. */
    for (size_t i = 0; i < history->deal_count; i++) {
        first[history->deals[i].book + 2]++;
    }
    for (size_t b = 1; b < history->book_count + 3; b++) {
        first[b] += first[b - 1];
    }
    for (size_t i = 0; i < history->deal_count; i++) {
        work->deals_by_book[first[history->deals[i].book + 1]++] = (uint32_t)i;
    }
    work->first_deal = first;
}

void surveillance_find(struct surveillance *out, const struct market_history *history,
                       const struct surveillance_terms *terms,
                       const struct surveillance_orders *orders)
{
    static void (*const in_book[])(struct work *, uint32_t) = {find_circles, find_layers,
                                                               find_withheld};
    struct work work = {.out = out, .history = history, .terms = terms, .orders = orders};
    index_deals(&work);
    find_wash(&work, FINDING_SAME_OWNER);
    find_wash(&work, FINDING_OWN_DEVICE);
    for (size_t i = 0; i < sizeof in_book / sizeof in_book[0]; i++) {
        for (size_t book = 0; book < history->book_count; book++) {
            if (surveillance_covers(terms, &history->books[book])) {
                in_book[i](&work, (uint32_t)book);
            }
        }
    }
    free(work.deals_by_book);
    free(work.first_deal);
    free(work.near);
}
