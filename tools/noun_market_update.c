/* flex market update: other terms for a market (MFX III.B; docs/spec/market.md 1.1).
 *
 * Starts from the terms in force, proven, and changes those that are named: whoever updates one deadline
 * must not have to repeat forty other terms, and must not lose one by forgetting it. What is in force at
 * once and what needs the validators' vote is the ledger's rule; the command says beforehand which.
 *
 * Absent on purpose: the terms that never change; there are no options for them. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/noun_market_update.h"
#include "tools/nouns.h"

static const char *const no_yes[] = {"no", "yes"};

const struct cli_option market_update_options[MARKET_UPDATE_OPTIONS] = {
    {"NAME", CLI_NAME, offsetof(struct market_create, id), "the market", CLI_POSITIONAL, NULL, NULL,
     0},
    {"opens", CLI_TIME, offsetof(struct market_create, times.opens), "orders from then on",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"closes", CLI_TIME, offsetof(struct market_create, times.closes), "no orders at or after it",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"gate-opening", CLI_DURATION, offsetof(struct market_create, times.gate_opening),
     "how long before delivery its orders are taken; 0: since the market opens", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"proof-deadline", CLI_DURATION, offsetof(struct market_create, times.proof_deadline),
     "how long after delivery it can be proven", CLI_OPTIONAL, NULL, NULL, 0},
    {"correction-deadline", CLI_DURATION, offsetof(struct market_create, times.correction_deadline),
     "how long after delivery fingerprints count; 0: until the proof", CLI_OPTIONAL, NULL, NULL, 0},
    {"dispute-window", CLI_DURATION, offsetof(struct market_create, times.dispute_window),
     "how long after a proof it can be disputed; 0: it is final", CLI_OPTIONAL, NULL, NULL, 0},
    {"quantity-min-wh", CLI_I64, offsetof(struct market_create, limits.quantity_min), "the least",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"quantity-max-wh", CLI_I64, offsetof(struct market_create, limits.quantity_max), "the most",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"price-step", CLI_EUR, offsetof(struct market_create, limits.price_step),
     "prices per kWh are multiples of it", CLI_OPTIONAL, NULL, NULL, 0},
    {"price-min", CLI_EUR, offsetof(struct market_create, limits.price_min), "per kWh",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"price-max", CLI_EUR, offsetof(struct market_create, limits.price_max), "per kWh",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"orders-per-participant", CLI_U16,
     offsetof(struct market_create, limits.orders_per_participant), "open at a time in one book",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"budget", CLI_EUR, offsetof(struct market_create, limits.budget),
     "most that a participant locks in one book; 0: no limit", CLI_OPTIONAL, NULL, NULL, 0},
    {"tie", CLI_CHOICE, offsetof(struct market_create, clearing.tie),
     "who comes first at the marginal price", CLI_OPTIONAL, NULL, market_tie_names, TIE_COUNT},
    {"trade-price", CLI_CHOICE, offsetof(struct market_create, clearing.trade_price),
     "whose price a trade has in a sequential book", CLI_OPTIONAL, NULL, market_trade_price_names,
     TRADE_PRICE_COUNT},
    {"payment", CLI_CHOICE, offsetof(struct market_create, clearing.payment),
     "payment rule of an auction", CLI_OPTIONAL, NULL, market_payment_names, PAYMENT_COUNT},
    {"sharing", CLI_CHOICE, offsetof(struct market_create, clearing.sharing),
     "who is served first in a capacity market", CLI_OPTIONAL, NULL, market_sharing_names,
     SHARING_COUNT},
    {"reserve-account", CLI_NAME, offsetof(struct market_create, clearing.reserve_account),
     "who fills the deficit of a VCG market", CLI_OPTIONAL, NULL, NULL, 0},
    {"reserve", CLI_EUR, offsetof(struct market_create, clearing.reserve),
     "the most that it locks for that", CLI_OPTIONAL, NULL, NULL, 0},
    {"tolerance-permille", CLI_U16, offsetof(struct market_create, delivery.tolerance_permille),
     "delivered at least that much of an interval counts as all", CLI_OPTIONAL, NULL, NULL, 0},
    {"floor-permille", CLI_U16, offsetof(struct market_create, delivery.floor_permille),
     "delivered less than that counts as nothing", CLI_OPTIONAL, NULL, NULL, 0},
    {"penalty-price", CLI_EUR, offsetof(struct market_create, delivery.penalty_price),
     "per kWh not credited, from the deposit to the buyer", CLI_OPTIONAL, NULL, NULL, 0},
    {"deposit-price", CLI_EUR, offsetof(struct market_create, delivery.deposit_price),
     "per kWh offered, locked with the offer", CLI_OPTIONAL, NULL, NULL, 0},
    {"deposit-permille", CLI_U16, offsetof(struct market_create, delivery.deposit_permille),
     "the same as a share of the offer's own price", CLI_OPTIONAL, NULL, NULL, 0},
    {"baseline-days", CLI_U16, offsetof(struct market_create, delivery.baseline_days),
     "comparable days that are looked at (10 is common)", CLI_OPTIONAL, NULL, NULL, 0},
    {"baseline-highest", CLI_U16, offsetof(struct market_create, delivery.baseline_highest),
     "how many of them make the mean (5 is common)", CLI_OPTIONAL, NULL, NULL, 0},
    {"baseline-adjustment-permille", CLI_U16,
     offsetof(struct market_create, delivery.baseline_adjustment_permille),
     "how far the same day moves it (200 is common)", CLI_OPTIONAL, NULL, NULL, 0},
    {"baseline-window", CLI_U16, offsetof(struct market_create, delivery.baseline_window),
     "intervals that the adjustment looks at: 8, or 0 without one", CLI_OPTIONAL, NULL, NULL, 0},
    {"baseline-gap", CLI_U16, offsetof(struct market_create, delivery.baseline_gap),
     "intervals from there to delivery: 4, or 0 without one", CLI_OPTIONAL, NULL, NULL, 0},
    {"activation-lead", CLI_DURATION, offsetof(struct market_create, links.activation_lead),
     "of a reservation: from activation to delivery at least", CLI_OPTIONAL, NULL, NULL, 0},
    {"must-offer", CLI_CHOICE, offsetof(struct market_create, links.must_offer),
     "of a reservation: who is reserved must offer when asked", CLI_OPTIONAL, NULL, no_yes, 2},
};

/* Bytes of an option's value in the terms. */
static size_t size_of(enum cli_type type)
{
    switch (type) {
    case CLI_NAME:
        return sizeof(struct name);
    case CLI_EUR:
    case CLI_I64:
    case CLI_U64:
    case CLI_TIME:
    case CLI_DURATION:
        return sizeof(int64_t);
    case CLI_U32:
    case CLI_FLAGS:
        return sizeof(uint32_t);
    case CLI_U16:
        return sizeof(uint16_t);
    case CLI_CHOICE:
        return sizeof(uint8_t);
    case CLI_HEX32:
        return 32;
    case CLI_SWITCH:
        return sizeof(bool);
    case CLI_TEXT:
    case CLI_FILE:
    case CLI_DIR:
    case CLI_URL:
        break;
    }
    MUST(false);
    return 0;
}

static void change_given(struct market_create *terms, const struct cli *cli,
                         const struct market_create *wanted)
{
    for (size_t i = 0; i < MARKET_UPDATE_OPTIONS; i++) {
        const struct cli_option *option = &market_update_options[i];
        if ((cli->given >> i & 1) != 0) {
            memcpy((uint8_t *)terms + option->offset, (const uint8_t *)wanted + option->offset,
                   size_of(option->type));
        }
    }
}

static int terms_in_force(struct cli *cli, const struct name *market, struct market_record *out)
{
    struct session session;
    struct proof proof = {0};
    bool absent = false;
    char name[NAME_SIZE + 1];
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status =
            session_record(&session, "market", name_to_text(name, market), out, &absent, &proof);
    }
    session_close(&session);
    proof_release(&proof);
    if (status == CLI_DONE && absent) {
        status = cli_fail(cli, CLI_REFUSED, "unknown_market", "there is no market %s", name);
    }
    return status;
}

int market_update_run(struct cli *cli, void *arguments)
{
    const struct market_create *wanted = arguments;
    struct market_record market;
    struct market_update action;
    int status = terms_in_force(cli, &wanted->id, &market);
    if (status != CLI_DONE) {
        return status;
    }
    action.terms = market.terms;
    change_given(&action.terms, cli, wanted);
    const char *takes = NULL;
    switch (market_terms_change(&market.terms, &action.terms)) {
    case MARKET_CHANGE_NONE:
        takes = "withdraws_draft";
        cli_say(cli, "These are the terms in force: a draft is withdrawn.");
        break;
    case MARKET_CHANGE_OPERATOR:
        takes = "at_once";
        cli_say(cli, "In force at once.");
        break;
    case MARKET_CHANGE_VOTE:
        takes = "vote";
        cli_say(cli, "A draft: the validators put it in force (flex governance set-market).");
        break;
    case MARKET_CHANGE_NEVER:
        takes = "never";
        break;
    }
    cJSON_AddStringToObject(cli->result, "change", takes);
    return submit_one(cli, ACTION_MARKET_UPDATE, &action);
}
