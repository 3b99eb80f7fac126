/* flex market: creating markets and opening and closing them (MFX III.B; market-rules 2, 4).
 *
 * `market show` prints a market's terms, proven; `market update` offers others, and says whether they
 * are in force or wait for the validators' vote (flex governance set-market). */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/noun_market_update.h"
#include "tools/nouns.h"

static const char *const no_yes[] = {"no", "yes"};

/* The terms of a market. Those that can change stand first, NAME before them: `update` takes just that
 * part of the table, `create` all of it. */
const struct cli_option market_terms_options[] = {
    {"NAME", CLI_NAME, offsetof(struct market_create, id), "the market's name", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"opens", CLI_TIME, offsetof(struct market_create, times.opens), "orders from then on",
     CLI_REQUIRED, NULL, NULL, 0},
    {"closes", CLI_TIME, offsetof(struct market_create, times.closes), "no orders at or after it",
     CLI_REQUIRED, NULL, NULL, 0},
    {"gate-opening", CLI_DURATION, offsetof(struct market_create, times.gate_opening),
     "how long before delivery its orders are taken; 0: since the market opens", CLI_OPTIONAL, "0s",
     NULL, 0},
    {"proof-deadline", CLI_DURATION, offsetof(struct market_create, times.proof_deadline),
     "how long after delivery it can be proven", CLI_OPTIONAL, "2d", NULL, 0},
    {"correction-deadline", CLI_DURATION, offsetof(struct market_create, times.correction_deadline),
     "how long after delivery fingerprints count; 0: until the proof", CLI_OPTIONAL, "0s", NULL, 0},
    {"dispute-window", CLI_DURATION, offsetof(struct market_create, times.dispute_window),
     "how long after a proof it can be disputed; 0: it is final", CLI_OPTIONAL, "0s", NULL, 0},
    {"quantity-min-wh", CLI_I64, offsetof(struct market_create, limits.quantity_min), "the least",
     CLI_OPTIONAL, "1000", NULL, 0},
    {"quantity-max-wh", CLI_I64, offsetof(struct market_create, limits.quantity_max), "the most",
     CLI_OPTIONAL, "10000000", NULL, 0},
    {"price-step", CLI_EUR, offsetof(struct market_create, limits.price_step),
     "prices per kWh are multiples of it; of a new market 0.0001", CLI_OPTIONAL, NULL, NULL, 0},
    {"price-min", CLI_EUR, offsetof(struct market_create, limits.price_min),
     "per kWh; of a new market 0", CLI_OPTIONAL, NULL, NULL, 0},
    {"price-max", CLI_EUR, offsetof(struct market_create, limits.price_max), "per kWh",
     CLI_REQUIRED, NULL, NULL, 0},
    {"orders-per-participant", CLI_U16,
     offsetof(struct market_create, limits.orders_per_participant), "open at a time in one book",
     CLI_OPTIONAL, "500", NULL, 0},
    {"budget", CLI_EUR, offsetof(struct market_create, limits.budget),
     "most that a participant locks in one book; 0: no limit", CLI_OPTIONAL, NULL, NULL, 0},
    {"tie", CLI_CHOICE, offsetof(struct market_create, clearing.tie),
     "who comes first at the marginal price", CLI_OPTIONAL, "pro_rata", market_tie_names,
     TIE_COUNT},
    {"trade-price", CLI_CHOICE, offsetof(struct market_create, clearing.trade_price),
     "whose price a trade has in a sequential book", CLI_OPTIONAL, "resting",
     market_trade_price_names, TRADE_PRICE_COUNT},
    {"payment", CLI_CHOICE, offsetof(struct market_create, clearing.payment),
     "payment rule of an auction", CLI_OPTIONAL, "uniform", market_payment_names, PAYMENT_COUNT},
    {"sharing", CLI_CHOICE, offsetof(struct market_create, clearing.sharing),
     "who is served first in a capacity market", CLI_OPTIONAL, "premium", market_sharing_names,
     SHARING_COUNT},
    {"reserve-account", CLI_NAME, offsetof(struct market_create, clearing.reserve_account),
     "who fills the deficit of a VCG market, or gets the surplus of a coupled one", CLI_OPTIONAL,
     NULL, NULL, 0},
    {"reserve", CLI_EUR, offsetof(struct market_create, clearing.reserve),
     "the most that it locks for that", CLI_OPTIONAL, NULL, NULL, 0},
    {"tolerance-permille", CLI_U16, offsetof(struct market_create, delivery.tolerance_permille),
     "delivered at least that much of an interval counts as all", CLI_OPTIONAL, "950", NULL, 0},
    {"floor-permille", CLI_U16, offsetof(struct market_create, delivery.floor_permille),
     "delivered less than that counts as nothing", CLI_OPTIONAL, "0", NULL, 0},
    {"penalty-price", CLI_EUR, offsetof(struct market_create, delivery.penalty_price),
     "per kWh not credited, from the deposit to the buyer", CLI_OPTIONAL, NULL, NULL, 0},
    {"deposit-price", CLI_EUR, offsetof(struct market_create, delivery.deposit_price),
     "per kWh offered, locked with the offer", CLI_OPTIONAL, NULL, NULL, 0},
    {"deposit-permille", CLI_U16, offsetof(struct market_create, delivery.deposit_permille),
     "the same as a share of the offer's own price", CLI_OPTIONAL, "0", NULL, 0},
    {"baseline-days", CLI_U16, offsetof(struct market_create, delivery.baseline_days),
     "comparable days that are looked at (10 is common)", CLI_OPTIONAL, "0", NULL, 0},
    {"baseline-highest", CLI_U16, offsetof(struct market_create, delivery.baseline_highest),
     "how many of them make the mean (5 is common)", CLI_OPTIONAL, "0", NULL, 0},
    {"baseline-adjustment-permille", CLI_U16,
     offsetof(struct market_create, delivery.baseline_adjustment_permille),
     "how far the same day moves it (200 is common)", CLI_OPTIONAL, "0", NULL, 0},
    {"baseline-window", CLI_U16, offsetof(struct market_create, delivery.baseline_window),
     "intervals that the adjustment looks at: 8, or 0 without one", CLI_OPTIONAL, "0", NULL, 0},
    {"baseline-gap", CLI_U16, offsetof(struct market_create, delivery.baseline_gap),
     "intervals from there to delivery: 4, or 0 without one", CLI_OPTIONAL, "0", NULL, 0},
    {"activation-lead", CLI_DURATION, offsetof(struct market_create, links.activation_lead),
     "of a reservation: from activation to delivery at least", CLI_OPTIONAL, "0s", NULL, 0},
    {"must-offer", CLI_CHOICE, offsetof(struct market_create, links.must_offer),
     "of a reservation: who is reserved must offer when asked", CLI_OPTIONAL, "no", no_yes, 2},
    {"window-blocks", CLI_U16, offsetof(struct market_create, coupling.window),
     "of a coupled market: blocks in which solutions are taken", CLI_OPTIONAL, "0", NULL, 0},
    {"forecast", CLI_U16, offsetof(struct market_create, coupling.forecast),
     "of a coupled market: later auctions cleared with each one, as a forecast", CLI_OPTIONAL, "0",
     NULL, 0},
    {"later", CLI_CHOICE, offsetof(struct market_create, coupling.later),
     "of a coupled market: what becomes of bids that took part and do not bind", CLI_OPTIONAL,
     "kept", market_later_names, LATER_COUNT},
    {"solution-fee", CLI_EUR, offsetof(struct market_create, coupling.fee),
     "of a coupled market: for a solution that is not the best so far", CLI_OPTIONAL, NULL, NULL,
     0},
    /* Fixed for the life of a market. */
    {"intervals", CLI_U16, offsetof(struct market_create, coupling.intervals),
     "of a coupled market: delivery periods in one auction", CLI_OPTIONAL, "0", NULL, 0},
    {"zones", CLI_CHOICE, offsetof(struct market_create, coupling.zones),
     "of a coupled market: whether lines between zones carry anything", CLI_OPTIONAL, "coupled",
     market_zones_names, ZONES_COUNT},
    {"zone", CLI_NAME, offsetof(struct market_create, zone), "where its devices stand",
     CLI_REQUIRED, NULL, NULL, 0},
    {"network", CLI_NAME, offsetof(struct market_create, network),
     "whose published limits matched sets keep", CLI_OPTIONAL, NULL, NULL, 0},
    {"product", CLI_CHOICE, offsetof(struct market_create, product), "what is bought", CLI_OPTIONAL,
     "energy", market_product_names, PRODUCT_COUNT},
    {"directions", CLI_CHOICE, offsetof(struct market_create, directions), "of its orders",
     CLI_OPTIONAL, "both", market_directions_names, DIRECTIONS_COUNT},
    {"mtu", CLI_DURATION, offsetof(struct market_create, times.mtu), "market time unit",
     CLI_OPTIONAL, "15m", NULL, 0},
    {"mtus-per-period", CLI_U16, offsetof(struct market_create, times.mtus_per_period),
     "time units in one delivery period", CLI_OPTIONAL, "4", NULL, 0},
    {"gate-closure", CLI_DURATION, offsetof(struct market_create, times.gate_closure),
     "how long before delivery the gate closes", CLI_OPTIONAL, "1h", NULL, 0},
    {"quantity-step-wh", CLI_I64, offsetof(struct market_create, limits.quantity_step),
     "quantities are multiples of it; itself one of the time units per period", CLI_OPTIONAL,
     "1000", NULL, 0},
    {"mechanism", CLI_CHOICE, offsetof(struct market_create, clearing.mechanism),
     "how orders become deals", CLI_OPTIONAL, "book_batch", market_mechanism_names,
     MECHANISM_COUNT},
    {"method", CLI_CHOICE, offsetof(struct market_create, delivery.method),
     "how delivery is measured", CLI_OPTIONAL, "schedule", delivery_method_names,
     DELIVERY_METHOD_COUNT},
    {"parent", CLI_NAME, offsetof(struct market_create, links.parent),
     "the reservation market that this one activates", CLI_OPTIONAL, NULL, NULL, 0},
    {"bids", CLI_CHOICE, offsetof(struct market_create, sealing.bids), "open or sealed",
     CLI_OPTIONAL, "open", market_bids_names, BIDS_COUNT},
    {"sealing-gate", CLI_DURATION, offsetof(struct market_create, sealing.gate),
     "of sealed bids: how long before gate closure they open", CLI_OPTIONAL, "0s", NULL, 0},
    {"coupled-zones", CLI_TEXT, sizeof(struct market_create),
     "with a network: further zones of it, coupled with the market's own; by name, comma-separated",
     CLI_OPTIONAL, NULL, NULL, 0},
};

/* A list is no field of the terms that an option could be. */
struct create_arguments {
    struct market_create terms;
    const char *zones;
};

_Static_assert(sizeof market_terms_options / sizeof market_terms_options[0] <= 64,
               "cli.given has 64 bits");

/* Under which headings help tells them. */
static const struct cli_group terms_groups[] = {
    {"what and where", "zone network coupled-zones product directions parent"},
    {"times", "opens closes mtu mtus-per-period gate-opening gate-closure"},
    {"quantities and prices",
     "price-min price-max price-step quantity-min-wh quantity-max-wh quantity-step-wh "
     "orders-per-participant budget"},
    {"how orders become deals",
     "mechanism tie trade-price payment sharing reserve-account reserve bids sealing-gate"},
    {"delivery and settlement",
     "method proof-deadline correction-deadline dispute-window tolerance-permille floor-permille "
     "penalty-price deposit-price deposit-permille"},
    {"baselines", "baseline-days baseline-highest baseline-adjustment-permille baseline-window "
                  "baseline-gap"},
    {"reservations", "activation-lead must-offer"},
};
enum { TERMS_GROUPS = sizeof terms_groups / sizeof terms_groups[0] };

enum { PRICE_STEP_DEFAULT_UEUR = 100 };

_Static_assert(offsetof(struct create_arguments, zones) == sizeof(struct market_create),
               "as the option says");

static bool read_zones(struct market_create *terms, const char *text)
{
    while (text != NULL) {
        const char *comma = strchr(text, ',');
        size_t size = comma != NULL ? (size_t)(comma - text) : strlen(text);
        if (terms->zone_count == LIMIT_MARKET_ZONES ||
            !name_from_text(&terms->zones[terms->zone_count].name, text, size)) {
            return false;
        }
        terms->zone_count++;
        text = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

static int run_create(struct cli *cli, void *arguments)
{
    struct create_arguments *given = arguments;
    struct market_create *terms = &given->terms;
    if (!read_zones(terms, given->zones)) {
        return cli_fail(cli, CLI_USAGE, "bad_value",
                        "--coupled-zones: at most 16 names of zones with commas between them");
    }
    /* A fallback would be read as EUR or as ueur depending on --ueur, so it is set here. */
    if (energy_price_ueur_per_kwh(terms->limits.price_step) == 0) {
        terms->limits.price_step = energy_price_of(PRICE_STEP_DEFAULT_UEUR);
    }
    return submit_one(cli, ACTION_MARKET_CREATE, terms);
}

static const struct cli_option name_option[] = {
    {"NAME", CLI_NAME, 0, "the market", CLI_POSITIONAL, NULL, NULL, 0},
};

static int send_state(struct cli *cli, const struct name *market, enum market_state state)
{
    struct market_set_state action = {.id = *market, .state = (uint8_t)state};
    return submit_one(cli, ACTION_MARKET_STATE, &action);
}

static int run_open(struct cli *cli, void *arguments)
{
    return send_state(cli, arguments, MARKET_OPEN);
}

static int run_suspend(struct cli *cli, void *arguments)
{
    return send_state(cli, arguments, MARKET_SUSPENDED);
}

static int run_close(struct cli *cli, void *arguments)
{
    return send_state(cli, arguments, MARKET_CLOSED);
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct noun_id *wanted = arguments;
    return noun_show(cli, "market", wanted->id, "unknown_market");
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "markets", "id zone state version operator");
}

/* One auction: its market, delivery period and direction. */
struct which_auction {
    struct name market;
    struct timestamp start;
    uint8_t direction;
};

static const struct cli_option result_options[] = {
    {"NAME", CLI_NAME, offsetof(struct which_auction, market), "the market", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"start", CLI_TIME, offsetof(struct which_auction, start), "start of delivery", CLI_REQUIRED,
     NULL, NULL, 0},
    {"direction", CLI_CHOICE, offsetof(struct which_auction, direction), "up or down", CLI_OPTIONAL,
     "up", direction_names, 2},
};

static int run_result(struct cli *cli, void *arguments)
{
    const struct which_auction *wanted = arguments;
    char id[2 * NAME_SIZE + 64];
    char market[NAME_SIZE + 1];
    (void)snprintf(id, sizeof id, "%s/%lld/%s", name_to_text(market, &wanted->market),
                   (long long)timestamp_ms(wanted->start), direction_names[wanted->direction]);
    return noun_show(cli, "auction", id, "unknown_auction");
}

static int run_results(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "auctions",
                     "id state quantity_wh price_ueur_per_kwh payment fallback deals");
}

struct reserve_change {
    struct market_reserve action;
    uint8_t take_back;
};

static const struct cli_option reserve_options[] = {
    {"NAME", CLI_NAME, offsetof(struct reserve_change, action.market), "the market", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"AMOUNT", CLI_EUR, offsetof(struct reserve_change, action.amount), "how much", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"take-back", CLI_SWITCH, offsetof(struct reserve_change, take_back),
     "take it out, while no auction is pending", CLI_OPTIONAL, NULL, NULL, 0},
};

static int run_reserve(struct cli *cli, void *arguments)
{
    struct reserve_change *wanted = arguments;
    if (money_compare(wanted->action.amount, money_of(0)) <= 0) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "AMOUNT is more than zero");
    }
    if (wanted->take_back) {
        MUST(money_sub(&wanted->action.amount, money_of(0), wanted->action.amount));
    }
    return submit_one(cli, ACTION_MARKET_RESERVE, &wanted->action);
}

/* --- depth ------------------------------------------------------------------------------------ */

struct depth {
    struct name market;
    struct timestamp from;
};

static const struct cli_option depth_options[] = {
    {"NAME", CLI_NAME, offsetof(struct depth, market), "which market", CLI_POSITIONAL, NULL, NULL,
     0},
    {"from", CLI_TIME, offsetof(struct depth, from), "no delivery period before", CLI_OPTIONAL,
     NULL, NULL, 0},
};

/* One page, by the node's word: sums have no proof, and the orders that they are of are not for all. */
static int run_depth(struct cli *cli, void *arguments)
{
    const struct depth *wanted = arguments;
    char name[NAME_SIZE + 1];
    struct session session;
    struct cJSON *answer = NULL;
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_get(&session, &answer, "/v1/depth/%s?from_ms=%" PRId64,
                             name_to_text(name, &wanted->market), timestamp_ms(wanted->from));
    }
    session_close(&session);
    if (status != CLI_DONE) {
        return status;
    }
    if (!cli->json) {
        cli_say_table(cli, json_array(answer, "items"), "period_start_ms direction buy_wh sell_wh");
    }
    noun_merge(cli->result, answer);
    cJSON_AddBoolToObject(cli->result, "proof_verified", false);
    return CLI_DONE;
}

static const struct cli_command commands[] = {
    {.verb = "create",
     .summary = "create a market (a market operator)",
     .teach = "  flex market create west-1h --zone west --opens 2025-01-01 --closes 2026-01-01 \\\n"
              "       --price-max 2.00",
     .options = market_terms_options,
     .option_count = sizeof market_terms_options / sizeof market_terms_options[0],
     .groups = terms_groups,
     .group_count = TERMS_GROUPS,
     .arguments_size = sizeof(struct create_arguments),
     .sends = true,
     .run = run_create},
    {.verb = "update",
     .summary = "change some of its terms (a market operator)",
     .teach =
         "What is not named stays as it is. Which orders are let in changes at once; what deals\n"
         "to come are worth waits for the validators' vote (flex governance set-market). What is\n"
         "no option here is fixed for good. Terms as they are in force withdraw a draft.\n"
         "  flex market update west-1h --price-max 3.00\n"
         "  flex market update west-1h --dispute-window 2d",
     .options = market_terms_options,
     .option_count = MARKET_TERMS_THAT_CHANGE,
     .groups = terms_groups,
     .group_count = TERMS_GROUPS,
     .changes = true,
     .arguments_size = sizeof(struct market_create),
     .sends = true,
     .run = market_update_run},
    {.verb = "open",
     .summary = "take orders again",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct name),
     .sends = true,
     .run = run_open},
    {.verb = "suspend",
     .summary = "take no orders for a while",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct name),
     .sends = true,
     .run = run_suspend},
    {.verb = "close",
     .summary = "close it",
     .options = name_option,
     .option_count = 1,
     .arguments_size = sizeof(struct name),
     .sends = true,
     .run = run_close},
    {.verb = "show",
     .summary = "one market and its terms, proven",
     .options = noun_id_option,
     .option_count = 1,
     .arguments_size = sizeof(struct noun_id),
     .run = run_show},
    {.verb = "list", .summary = "all markets", .run = run_list},
    {.verb = "depth",
     .summary = "what is open on both sides of its books, as sums",
     .teach =
         "For market operators, and for the grid operator of its zone, which is told no sum that\n"
         "fewer than three others are behind. By the node's word.\n"
         "  flex market depth west --from 2025-06-01T12:00:00Z",
     .options = depth_options,
     .option_count = sizeof depth_options / sizeof depth_options[0],
     .arguments_size = sizeof(struct depth),
     .run = run_depth},
    {.verb = "result",
     .summary = "what an auction came to, proven",
     .teach = "  flex market result west-auction --start 2025-06-01T12:00:00Z",
     .options = result_options,
     .option_count = sizeof result_options / sizeof result_options[0],
     .arguments_size = sizeof(struct which_auction),
     .run = run_result},
    {.verb = "results", .summary = "all auctions, open and cleared", .run = run_results},
    {.verb = "reserve",
     .summary = "lock money for the deficits of a VCG market's auctions (its reserve account)",
     .teach = "  flex market reserve west-vcg 500.00\n"
              "  flex market reserve west-vcg 500.00 --take-back",
     .options = reserve_options,
     .option_count = sizeof reserve_options / sizeof reserve_options[0],
     .arguments_size = sizeof(struct reserve_change),
     .sends = true,
     .run = run_reserve},
};

const struct cli_noun market_noun = {"market", "markets and their terms", commands,
                                     sizeof commands / sizeof commands[0]};
