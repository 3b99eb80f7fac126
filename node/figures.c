/* See figures.h.
 *
 * 1. Orders, deals and pots are counted once at the start and from then on by the changes of each
 *    committed block, which the overlay knows as pairs (before, after): the gauges are what a walk over
 *    the state would give, at the price of what changed.
 * 2. Nothing here decides anything: a record that does not decode is left out.
 *
 * Deliberately absent: figures of a market or a participant by name. Their number has no bound that a
 * Prometheus would like, and /metrics is open to whoever reaches it. */
#include "node/figures.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/ledger.h"

void figures_open(struct figures *figures)
{
    memset(figures, 0, sizeof *figures);
    MUST(pthread_mutex_init(&figures->lock, NULL) == 0);
}

void figures_close(struct figures *figures)
{
    MUST(pthread_mutex_destroy(&figures->lock) == 0);
}

static void enter(struct figures *figures)
{
    MUST(pthread_mutex_lock(&figures->lock) == 0);
}

static void leave(struct figures *figures)
{
    MUST(pthread_mutex_unlock(&figures->lock) == 0);
}

static void add(struct figures_sum *sum, uint64_t value)
{
    sum->total += value;
    sum->count++;
}

/* --- consensus ------------------------------------------------------------------------------- */

void figures_begin_epoch(struct figures *figures, const struct validator_set *set)
{
    enter(figures);
    figures->set = *set;
    memset(figures->last_vote_view, 0, sizeof figures->last_vote_view);
    memset(figures->missed, 0, sizeof figures->missed);
    leave(figures);
}

void figures_vote(struct figures *figures, uint32_t signer, uint64_t view)
{
    enter(figures);
    if (signer < figures->set.count && figures->last_vote_view[signer] < view)
        figures->last_vote_view[signer] = view;
    leave(figures);
}

static bool votes_late(const struct figures *figures, uint32_t signer, uint64_t view)
{
    return figures->last_vote_view[signer] + FIGURES_VOTE_LAG < view;
}

void figures_block(struct figures *figures, const struct figures_block *block)
{
    const int64_t time = timestamp_ms(block->time);
    const int64_t delay = timestamp_ms(block->now) - time;
    enter(figures);
    figures->rounds += block->view - block->parent_view;
    figures->size_bytes = block->body_size;
    figures->transactions = block->transactions;
    if (figures->last_time_ms != 0 && time > figures->last_time_ms)
        add(&figures->interval_ms, (uint64_t)(time - figures->last_time_ms));
    figures->last_time_ms = time;
    if (delay >= 0 && delay < FIGURES_FRESH_MS) {
        add(&figures->quorum_delay_ms, (uint64_t)delay);
        for (uint32_t i = 0; i < figures->set.count; i++)
            figures->missed[i] += votes_late(figures, i, block->view);
    }
    leave(figures);
}

void figures_processing(struct figures *figures, uint64_t us)
{
    enter(figures);
    add(&figures->processing_us, us);
    leave(figures);
}

/* --- the ledger ------------------------------------------------------------------------------ */

/* `by` is 1 or -1. */
static void count_order(struct figures *figures, struct bytes_view value, int by)
{
    struct order_record order;
    if (value.data != NULL && codec_decode_all(&order_record_codec, &order, value) &&
        order.status == ORDER_OPEN)
        figures->orders_open += (uint64_t)by;
}

static bool decode_deal(struct deal_record *deal, struct bytes_view value)
{
    return value.data != NULL && codec_decode_all(&deal_record_codec, deal, value) &&
           deal->state < DEAL_STATE_COUNT;
}

static void read_held(struct figures *figures, struct bytes_view value)
{
    struct supply_record supply;
    if (value.data == NULL || !codec_decode_all(&supply_record_codec, &supply, value))
        return;
    for (int kind = 0; kind < POT_KIND_COUNT; kind++)
        figures->held_ueur[kind] = money_ueur(supply.held[kind]);
}

static void visit_order(void *context, struct bytes_view key, struct bytes_view before,
                        struct bytes_view after)
{
    (void)key;
    count_order(context, before, -1);
    count_order(context, after, 1);
}

static void visit_deal(void *context, struct bytes_view key, struct bytes_view before,
                       struct bytes_view after)
{
    struct figures *figures = context;
    struct deal_record was, is;
    (void)key;
    const bool had = decode_deal(&was, before);
    const bool has = decode_deal(&is, after);
    if (had)
        figures->deals[was.state]--;
    if (!has)
        return;
    figures->deals[is.state]++;
    if (!had)
        figures->cleared_wh += (uint64_t)energy_wh(is.contracted);
    if (is.settled_height != 0 && (!had || was.settled_height == 0))
        figures->paid_ueur += (uint64_t)money_ueur(is.paid);
}

static void visit_supply(void *context, struct bytes_view key, struct bytes_view before,
                         struct bytes_view after)
{
    (void)key;
    (void)before;
    read_held(context, after);
}

void figures_state_changed(struct figures *figures, struct state_view *view)
{
    static const uint8_t orders[] = {STATE_ORDER}, deals[] = {STATE_DEAL},
                         supply[] = {STATE_SUPPLY};
    enter(figures);
    if (figures->counted) {
        view->ops->changes(view, bytes_view_of(orders, sizeof orders), figures, visit_order);
        view->ops->changes(view, bytes_view_of(deals, sizeof deals), figures, visit_deal);
    }
    view->ops->changes(view, bytes_view_of(supply, sizeof supply), figures, visit_supply);
    leave(figures);
}

/* False if there are too many. */
static bool walk(struct figures *figures, struct state_view *view, uint8_t kind)
{
    const uint8_t prefix[] = {kind};
    struct state_key after = {.size = 0};
    for (uint32_t i = 0; i < FIGURES_RECORDS_MAX; i++) {
        struct state_key key;
        struct bytes_view value;
        struct deal_record deal;
        if (!view->ops->next(view, bytes_view_of(prefix, sizeof prefix),
                             bytes_view_of(after.bytes, after.size), key.bytes, &key.size, &value))
            return !view->fault;
        if (kind == STATE_ORDER)
            count_order(figures, value, 1);
        else if (decode_deal(&deal, value))
            figures->deals[deal.state]++;
        after = key;
    }
    return false;
}

void figures_count(struct figures *figures, struct state_view *view)
{
    const struct state_key key = state_key_single(STATE_SUPPLY);
    struct bytes_view value;
    enter(figures);
    figures->counted = walk(figures, view, STATE_ORDER) && walk(figures, view, STATE_DEAL);
    if (view->ops->get(view, bytes_view_of(key.bytes, key.size), &value))
        read_held(figures, value);
    leave(figures);
}

/* --- text ------------------------------------------------------------------------------------ */

struct printer {
    char *out;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void print(struct printer *printer, const char *format,
                                                        ...)
{
    va_list list;
    va_start(list, format);
    const size_t room = FIGURES_TEXT_BYTES - printer->size;
    const int size = vsnprintf(printer->out + printer->size, room, format, list);
    va_end(list);
    MUST(size >= 0 && (size_t)size < room);
    printer->size += (size_t)size;
}

static const struct {
    const char *name;
    const char *type;
    const char *help;
} heads[] = {
    {"consensus_validators", "gauge", "Validators of this epoch"},
    {"consensus_missing_validators", "gauge", "Validators whose votes lag behind"},
    {"consensus_validator_last_vote_view", "gauge", "Highest view that its votes here are of"},
    {"consensus_validator_missed_blocks", "counter",
     "Blocks that became final without its vote here"},
    {"consensus_rounds", "counter", "Views that the committed blocks took"},
    {"consensus_block_size_bytes", "gauge", "Bytes of the last block's transactions"},
    {"consensus_num_txs", "gauge", "Transactions of the last block"},
    {"consensus_block_interval_seconds", "summary", "Time between blocks, by their own times"},
    {"consensus_quorum_delay_seconds", "summary", "From a block's time to its finality here"},
    {"state_block_processing_seconds", "summary", "Execution of a block, before its vote"},
    {"market_orders_open", "gauge", "Orders that are open"},
    {"market_deals", "gauge", "Deals by state"},
    {"market_held_micro_eur", "gauge", "Money by kind of pot: escrow, deposits, balances"},
    {"market_cleared_wh", "counter", "Energy of deals made since this process started"},
    {"market_paid_micro_eur", "counter", "Paid to sellers since this process started"},
};

/* HELP and TYPE of a metric, which the table names: scripts/check_metrics.sh reads it. */
static void head(struct printer *printer, const char *name)
{
    size_t i = 0;
    while (i < sizeof heads / sizeof heads[0] && strcmp(heads[i].name, name) != 0)
        i++;
    MUST(i < sizeof heads / sizeof heads[0]);
    print(printer, "# HELP flexd_%s %s\n# TYPE flexd_%s %s\n", name, heads[i].help, name,
          heads[i].type);
}

static void print_one(struct printer *printer, const char *name, uint64_t value)
{
    head(printer, name);
    print(printer, "flexd_%s %" PRIu64 "\n", name, value);
}

/* `per_second` units of the sum are a second. */
static void print_summary(struct printer *printer, const char *name, const struct figures_sum *sum,
                          uint32_t per_second, int digits)
{
    head(printer, name);
    print(printer, "flexd_%s_sum %" PRIu64 ".%0*" PRIu64 "\nflexd_%s_count %" PRIu64 "\n", name,
          sum->total / per_second, digits, sum->total % per_second, name, sum->count);
}

static void print_validators(struct printer *printer, const struct figures *figures,
                             const char *name, const uint64_t values[LIMIT_VALIDATORS])
{
    head(printer, name);
    for (uint32_t i = 0; i < figures->set.count; i++) {
        char key[2 * PUBLIC_KEY_SIZE + 1];
        char text[NAME_SIZE + 1];
        hex_encode(key, figures->set.validators[i].key.bytes, PUBLIC_KEY_SIZE);
        print(printer, "flexd_%s{validator=\"%s\",key=\"%.8s\"} %" PRIu64 "\n", name,
              name_to_text(text, &figures->set.validators[i].operator_name), key, values[i]);
    }
}

static void print_market(struct printer *printer, const struct figures *figures)
{
    if (figures->counted) {
        print_one(printer, "market_orders_open", figures->orders_open);
        head(printer, "market_deals");
        for (int state = 0; state < DEAL_STATE_COUNT; state++)
            print(printer, "flexd_market_deals{state=\"%s\"} %" PRIu64 "\n",
                  deal_state_names[state], figures->deals[state]);
    }
    head(printer, "market_held_micro_eur");
    for (int kind = 0; kind < POT_KIND_COUNT; kind++)
        print(printer, "flexd_market_held_micro_eur{pot=\"%s\"} %" PRId64 "\n",
              pot_kind_names[kind], figures->held_ueur[kind]);
    print_one(printer, "market_cleared_wh", figures->cleared_wh);
    print_one(printer, "market_paid_micro_eur", figures->paid_ueur);
}

size_t figures_print(struct figures *figures, char out[FIGURES_TEXT_BYTES])
{
    struct printer printer = {.out = out};
    uint64_t newest = 0;
    uint64_t missing = 0;
    enter(figures);
    for (uint32_t i = 0; i < figures->set.count; i++)
        newest = figures->last_vote_view[i] > newest ? figures->last_vote_view[i] : newest;
    for (uint32_t i = 0; i < figures->set.count; i++)
        missing += votes_late(figures, i, newest);
    print_one(&printer, "consensus_validators", figures->set.count);
    print_one(&printer, "consensus_missing_validators", missing);
    print_validators(&printer, figures, "consensus_validator_last_vote_view",
                     figures->last_vote_view);
    print_validators(&printer, figures, "consensus_validator_missed_blocks", figures->missed);
    print_one(&printer, "consensus_rounds", figures->rounds);
    print_one(&printer, "consensus_block_size_bytes", figures->size_bytes);
    print_one(&printer, "consensus_num_txs", figures->transactions);
    print_summary(&printer, "consensus_block_interval_seconds", &figures->interval_ms, 1000, 3);
    print_summary(&printer, "consensus_quorum_delay_seconds", &figures->quorum_delay_ms, 1000, 3);
    print_summary(&printer, "state_block_processing_seconds", &figures->processing_us, 1000000, 6);
    print_market(&printer, figures);
    leave(figures);
    return printer.size;
}
