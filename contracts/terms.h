/* The terms of a market: all that a market operator lays down when it creates one, and all that the
 * engine asks about it afterwards (MFX II and III; D2.3 3.4 and 4.2; D5.5 2.2.4; market-rules 1 to
 * 10; docs/spec/market.md 1).
 *
 * A term that the market's product, mechanism or method does not use is zero, so that terms that
 * read alike are alike. market_terms_check refuses every combination that contradicts itself, and
 * every one that the engine does not carry out yet, by an error that names the term: nothing that
 * stands in a market's terms is ever silently ignored. */
#ifndef FLEX_CONTRACTS_TERMS_H
#define FLEX_CONTRACTS_TERMS_H

#include "base/codec.h"
#include "base/limits.h"
#include "base/name.h"
#include "base/units.h"
#include "contracts/errors.h"

/* What is bought. All quantities of an order are energy over its whole delivery period: a power of
 * 1 kW, reserved or limited for an hour, is 1000 Wh, at a price per kWh. So device rooms and prices
 * are counted alike in every market, and products can be compared. */
enum market_product {
    PRODUCT_ENERGY = 0,         /* regulation, up and down */
    PRODUCT_RESERVATION = 1,    /* availability; activated in the markets that name it parent */
    PRODUCT_CAPACITY_CAP = 2,   /* import stays that much under the connection's capacity */
    PRODUCT_CAPACITY_FLOOR = 3, /* import is at least that much */
    PRODUCT_CAPACITY_ALLOCATION = 4, /* room in the grid, from its operator (market-rules 8) */
    PRODUCT_LOCAL_ENERGY = 5         /* energy between neighbours (market-rules 14) */
};
enum { PRODUCT_COUNT = 6 };
extern const char *const market_product_names[PRODUCT_COUNT];

/* Which directions its orders may have. */
enum market_directions { DIRECTIONS_BOTH = 0, DIRECTIONS_UP = 1, DIRECTIONS_DOWN = 2 };
enum { DIRECTIONS_COUNT = 3 };
extern const char *const market_directions_names[DIRECTIONS_COUNT];

/* How orders become deals (market-rules 4, 5, 7 and 8). */
enum market_mechanism {
    MECHANISM_BOOK_BATCH = 0,
    MECHANISM_BOOK_SEQUENTIAL = 1,
    MECHANISM_MERIT_ORDER = 2,
    MECHANISM_ORDERED_DEMAND = 3,
    MECHANISM_ONE_SIDED = 4,
    MECHANISM_CAPACITY = 5,
    MECHANISM_COUPLED = 6
};
enum { MECHANISM_COUNT = 7 };
extern const char *const market_mechanism_names[MECHANISM_COUNT];

/* Who comes first at the marginal price, where not all fit. */
enum market_tie { TIE_PRO_RATA = 0, TIE_TIME = 1 };
enum { TIE_COUNT = 2 };
extern const char *const market_tie_names[TIE_COUNT];

/* Of a sequential book; in a batch what is left after a self-trade sits out takes `resting`. */
enum market_trade_price {
    TRADE_PRICE_RESTING = 0,
    TRADE_PRICE_BID = 1,
    TRADE_PRICE_ASK = 2,
    TRADE_PRICE_MIDPOINT = 3 /* floored */
};
enum { TRADE_PRICE_COUNT = 4 };
extern const char *const market_trade_price_names[TRADE_PRICE_COUNT];

/* market-rules 6. */
enum market_payment {
    PAYMENT_UNIFORM = 0,
    PAYMENT_PAY_AS_BID = 1,
    PAYMENT_VCG = 2,
    PAYMENT_SELLER_VCG = 3,
    PAYMENT_SHAPLEY = 4
};
enum { PAYMENT_COUNT = 5 };
extern const char *const market_payment_names[PAYMENT_COUNT];

/* In which order a capacity market serves (market-rules 8); premium pays, the others don't. */
enum market_sharing { SHARING_PREMIUM = 0, SHARING_FIRST_COME = 1, SHARING_HIGHEST_DEMAND = 2 };
enum { SHARING_COUNT = 3 };
extern const char *const market_sharing_names[SHARING_COUNT];

/* How it is found out what was delivered (market-rules 9). */
enum delivery_method {
    DELIVERY_SCHEDULE,       /* against what was declared before gate closure */
    DELIVERY_BASELINE,       /* against contracts/baseline.h */
    DELIVERY_CAPACITY_CAP,   /* import at most the limit, in every interval; no reference */
    DELIVERY_CAPACITY_FLOOR, /* import at least the limit, in every interval; no reference */
    DELIVERY_SUBMETER        /* against a schedule, measured at the device itself */
};
enum { DELIVERY_METHOD_COUNT = 5 };
extern const char *const delivery_method_names[DELIVERY_METHOD_COUNT];

/* Whether bids are hidden until the gate closes (market-rules 10). Only open ones as yet. */
enum market_bids { BIDS_OPEN = 0, BIDS_SEALED = 1 };
enum { BIDS_COUNT = 2 };
extern const char *const market_bids_names[BIDS_COUNT];

/* Bids of later auctions stay for their own, or end with the forecast and their escrow is returned. */
enum market_later { LATER_KEPT = 0, LATER_RETURNED = 1 };
enum { LATER_COUNT = 2 };
extern const char *const market_later_names[LATER_COUNT];

/* Whether lines between zones carry anything in this market (MFX II.B.1). */
enum market_zones { ZONES_COUPLED = 0, ZONES_SEPARATE = 1 };
enum { ZONES_COUNT = 2 };
extern const char *const market_zones_names[ZONES_COUNT];

struct market_times {
    struct duration mtu;      /* market time unit: 15, 30 or 60 minutes */
    uint16_t mtus_per_period; /* a delivery period is that many units; starts at multiples of its
                                 length since the Unix epoch */
    struct timestamp opens;
    struct timestamp closes;             /* no orders at or after it */
    struct duration gate_opening;        /* before delivery starts, orders are taken from then on;
                                            0: from the market's opening */
    struct duration gate_closure;        /* before delivery starts; orders are refused after it */
    struct duration proof_deadline;      /* after delivery ends; then the escrow goes back */
    struct duration correction_deadline; /* after delivery ends: later fingerprints do not count in
                                            its proofs; 0: up to the proof */
    struct duration dispute_window;      /* after a proof; 0: what is proven is final */
};
struct market_limits {
    struct energy quantity_step; /* a multiple of mtus_per_period Wh */
    struct energy quantity_min;
    struct energy quantity_max;
    struct energy_price price_step;
    struct energy_price price_min;
    struct energy_price price_max;
    uint16_t orders_per_participant; /* open at a time in one book, 1 to 20000 */
    struct money budget; /* most that one participant's open orders in one book lock; 0: no limit */
};
struct market_clearing {
    uint8_t mechanism;
    uint8_t tie;
    uint8_t trade_price;
    uint8_t payment;
    uint8_t sharing;
    struct name reserve_account; /* who fills a payment rule's deficit; empty: nobody. In a coupled
                                    market, whose what the network earns is */
    struct money reserve;        /* the most that it locks for that */
};
struct market_delivery {
    uint8_t method;
    uint16_t tolerance_permille; /* 1 to 1000, market-rules 9 */
    uint16_t floor_permille;     /* 0 to tolerance */
    struct energy_price penalty_price;
    /* The provider's deposit per kWh offered: that much, or a share of its own price, not both. */
    struct energy_price deposit_price;
    uint16_t deposit_permille;
    uint16_t baseline_days; /* contracts/baseline.h; all zero with other methods */
    uint16_t baseline_highest;
    uint16_t baseline_adjustment_permille;
    uint16_t baseline_window; /* intervals of the adjustment, 0 if that is 0 */
    uint16_t baseline_gap;    /* intervals from its end to delivery */
};
/* From a reservation to its activation. */
struct market_links {
    struct name parent;              /* of an activation market: where it was reserved; or empty */
    struct duration activation_lead; /* of a reservation: least time from activation to delivery */
    uint8_t must_offer;              /* of a reservation: who is reserved must offer when asked */
};
struct market_sealing {
    uint8_t bids;
    struct duration gate; /* before gate closure: from then on shares are released */
};

/* Of a coupled market (docs/spec/coupled.md 10); all zero in any other. */
struct market_coupling {
    uint16_t intervals; /* delivery periods of one auction, which bind together: 1 to 96 */
    uint16_t forecast;  /* auctions ahead that it clears with them, as a forecast */
    uint8_t later;      /* enum market_later: what becomes of bids that took part and do not bind */
    uint8_t zones;      /* enum market_zones */
    uint16_t window;    /* blocks in which solutions are taken; 0: the floor clears */
    struct money fee;   /* for judging a solution that turns out not to be the best so far */
};

/* By a market operator. */
struct market_create {
    struct name id;
    struct name zone;    /* where its devices stand */
    struct name network; /* whose published limits every matched set keeps; empty: none */
    uint8_t product;
    uint8_t directions;
    struct market_times times;
    struct market_limits limits;
    struct market_clearing clearing;
    struct market_delivery delivery;
    struct market_links links;
    struct market_sealing sealing;
    struct market_coupling coupling;
    /* Zones are independent (MFX II.B.1) unless a market of a network names others beside its own, whose
     * devices then trade in it as those of its own; by name, rising. */
    uint32_t zone_count;
    struct market_zone {
        struct name name;
    } zones[LIMIT_MARKET_ZONES];
};
extern const struct codec_record market_create_record;

/* Does the market take devices of that zone? */
bool market_covers(const struct market_create *terms, const struct name *zone);

/* CONTRACT_OK if the engine carries out exactly these terms; else the first term, in the order of
 * docs/spec/market.md 1, that is wrong (BAD_TERM_...) or not carried out yet (UNSUPPORTED_...). Looks
 * at nothing but the terms: names of other records are the caller's to check. */
enum contract_error market_terms_check(const struct market_create *terms);

/* Who may bring about the step from one market's terms to others. */
enum market_change {
    MARKET_CHANGE_NONE,     /* they are equal */
    MARKET_CHANGE_OPERATOR, /* which orders are let in from now on: the market operator */
    MARKET_CHANGE_VOTE,     /* also what deals to come are worth: the validators, at a height */
    MARKET_CHANGE_NEVER     /* what the market is; that takes a market of its own */
};
enum market_change market_terms_change(const struct market_create *before,
                                       const struct market_create *after);

/* The deposit that an offer at `price` locks per kWh: rounded up, so that it covers its share. */
struct energy_price market_deposit_rate(const struct market_create *terms,
                                        struct energy_price price);

#endif
