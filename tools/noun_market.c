/* flex market: creating markets and opening and closing them (MFX III.B; market-rules 2, 4).
 *
 * The terms of a market are fixed at creation; `market show` prints them, proven. */
#include "tools/nouns.h"

static const struct cli_option create_options[] = {
    {"NAME", CLI_NAME, offsetof(struct market_create, id), "the market's name", CLI_POSITIONAL,
     NULL, NULL, 0},
    {"zone", CLI_NAME, offsetof(struct market_create, zone), "where its devices stand",
     CLI_REQUIRED, NULL, NULL, 0},
    {"mtu", CLI_DURATION, offsetof(struct market_create, mtu), "market time unit", CLI_OPTIONAL,
     "15m", NULL, 0},
    {"mtus-per-period", CLI_U16, offsetof(struct market_create, mtus_per_period),
     "time units in one delivery period", CLI_OPTIONAL, "4", NULL, 0},
    {"opens", CLI_TIME, offsetof(struct market_create, opens), "orders from then on", CLI_REQUIRED,
     NULL, NULL, 0},
    {"closes", CLI_TIME, offsetof(struct market_create, closes), "no orders at or after it",
     CLI_REQUIRED, NULL, NULL, 0},
    {"gate-closure", CLI_DURATION, offsetof(struct market_create, gate_closure),
     "how long before delivery the gate closes", CLI_OPTIONAL, "1h", NULL, 0},
    {"proof-deadline", CLI_DURATION, offsetof(struct market_create, proof_deadline),
     "how long after delivery it can be proven", CLI_OPTIONAL, "2d", NULL, 0},
    {"quantity-step-wh", CLI_I64, offsetof(struct market_create, quantity_step),
     "quantities are multiples of it; itself one of the time units per period", CLI_OPTIONAL,
     "1000", NULL, 0},
    {"quantity-min-wh", CLI_I64, offsetof(struct market_create, quantity_min), "the least",
     CLI_OPTIONAL, "1000", NULL, 0},
    {"quantity-max-wh", CLI_I64, offsetof(struct market_create, quantity_max), "the most",
     CLI_OPTIONAL, "10000000", NULL, 0},
    {"price-step", CLI_EUR, offsetof(struct market_create, price_step),
     "prices per kWh are multiples of it", CLI_OPTIONAL, NULL, NULL, 0},
    {"price-min", CLI_EUR, offsetof(struct market_create, price_min), "per kWh", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"price-max", CLI_EUR, offsetof(struct market_create, price_max), "per kWh", CLI_REQUIRED, NULL,
     NULL, 0},
    {"tolerance-permille", CLI_U16, offsetof(struct market_create, tolerance_permille),
     "delivered at least that much of an interval counts as all", CLI_OPTIONAL, "950", NULL, 0},
    {"floor-permille", CLI_U16, offsetof(struct market_create, floor_permille),
     "delivered less than that counts as nothing", CLI_OPTIONAL, "0", NULL, 0},
};

enum { PRICE_STEP_DEFAULT_UEUR = 100 };

static int run_create(struct cli *cli, void *arguments)
{
    struct market_create *terms = arguments;
    /* A fallback would be read as EUR or as ueur depending on --ueur, so it is set here. */
    if (energy_price_ueur_per_kwh(terms->price_step) == 0) {
        terms->price_step = energy_price_of(PRICE_STEP_DEFAULT_UEUR);
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
    return noun_list(cli, "markets", "id zone state mtu_ms mtus_per_period opens_ms closes_ms");
}

static const struct cli_command commands[] = {
    {.verb = "create",
     .summary = "create a market (a market operator)",
     .teach = "  flex market create west-1h --zone west --opens 2025-01-01 --closes 2026-01-01 \\\n"
              "       --price-max 2.00",
     .options = create_options,
     .option_count = sizeof create_options / sizeof create_options[0],
     .arguments_size = sizeof(struct market_create),
     .sends = true,
     .run = run_create},
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
};

const struct cli_noun market_noun = {"market", "markets and their terms", commands,
                                     sizeof commands / sizeof commands[0]};
