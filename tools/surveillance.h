/* Market surveillance over a collected history: concentration, and patterns that call for an
 * explanation (docs/spec/surveillance.md, whose sections the functions cite). Pure: history in,
 * findings out; integers only. A finding is no verdict.
 *
 * What is looked at are the books whose delivery starts in [from, to). Participants of one
 * beneficial owner count as one: the regulator's list says who belongs to whom; who isn't in it is
 * its own owner. Arrays of findings are the caller's to free by surveillance_free. */
#ifndef FLEX_TOOLS_SURVEILLANCE_H
#define FLEX_TOOLS_SURVEILLANCE_H

#include "tools/market_history.h"

enum {
    /* Herfindahl-Hirschman index, 0 to 10000: above these, concentrated and highly so. */
    SURVEILLANCE_HHI_MODERATE = 1000,
    SURVEILLANCE_HHI_HIGH = 1800,
    /* Residual supply index, permille: below the first somebody is pivotal. */
    SURVEILLANCE_RSI_PIVOTAL = 1000,
    SURVEILLANCE_RSI_WATCH = 1100,
    SURVEILLANCE_OWNERS_MAX = 100000,
    SURVEILLANCE_PATH_MAX = 8 /* owners on the longest cycle of trades that is looked for */
};

struct surveillance_owner {
    struct name participant;
    struct name owner;
};

struct surveillance_terms {
    struct timestamp from; /* delivery starts */
    struct timestamp to;
    const struct surveillance_owner
        *owners; /* sorted by participant; may be NULL if there are none */
    uint32_t owner_count;
    /* Thresholds, with the defaults of surveillance_defaults. */
    struct duration cycle_window; /* between the first and the last trade of a cycle: a day */
    struct duration spoof_window; /* from a fill to the withdrawal behind it: 10 minutes */
    struct duration late;         /* before gate closure: 5 minutes */
    uint32_t spoof_count;         /* withdrawals that make a repetition: 3 */
    uint32_t spoof_permille;      /* withdrawn : filled, at least: 2000 */
    uint32_t withheld_permille;   /* free : potential, at least: 200 */
    uint32_t price_permille;      /* dearest deal : the market's cap, at least: 800 */
};
void surveillance_defaults(struct surveillance_terms *out);

/* One book, or one market over all its books in the report (`all` is set). */
struct concentration {
    struct name market;
    bool all;
    uint8_t direction;      /* of a book */
    struct timestamp start; /* of a book */
    bool closed;            /* every book in it has passed its gate */
    uint32_t suppliers;     /* with something traded or firmly offered */
    int64_t requested_wh;   /* firm: less what was withdrawn */
    int64_t offered_wh;
    int64_t traded_wh;
    int64_t available_wh;  /* offered, and what could have been */
    int64_t hhi_traded;    /* -1: nothing traded */
    int64_t hhi_offered;   /* -1: nothing offered */
    int64_t rsi_permille;  /* the lowest of all suppliers, over offers; -1: nothing requested */
    int64_t rsi3_permille; /* without the three largest; -1 likewise */
    int64_t rsi_available_permille; /* over what was available; -1 also if not closed */
    uint32_t pivotal;    /* suppliers without whom the offers fall short of the requests */
    struct name largest; /* supplier by offers; empty if nothing was offered */
};

enum finding_kind {
    FINDING_SAME_OWNER, /* both sides of a deal belong together */
    FINDING_OWN_DEVICE, /* the buyer owns the device that delivers to it */
    FINDING_CIRCULAR,   /* the deal closes a cycle of trades in one product */
    FINDING_LAYERING,   /* withdrawals behind fills on the other side, repeatedly or late */
    FINDING_WITHHELD    /* free capacity while requests went unserved or the price was high */
};
enum { FINDING_KINDS = 5 };
extern const char *const finding_names[FINDING_KINDS];

struct finding {
    uint8_t kind;
    uint32_t book;
    struct name owner;          /* who is asked; the buyer's for deals */
    uint64_t deal;              /* 0 unless the finding is a deal */
    uint8_t side;               /* layering: of the withdrawn orders */
    uint32_t count;             /* layering: withdrawals; withheld: devices; circular: owners */
    uint32_t late;              /* layering: of them shortly before the gate */
    int64_t quantity_wh;        /* deal: traded; layering: withdrawn; withheld: free */
    int64_t against_wh;         /* layering: filled; withheld: unserved requests */
    int64_t permille;           /* layering: withdrawn : filled; withheld: free : potential */
    int64_t price_ueur_per_kwh; /* the deal's; withheld: the book's dearest deal, -1 without one */
    uint32_t path_count;        /* circular: buyer, seller, ..., and back to the buyer */
    struct name path[SURVEILLANCE_PATH_MAX];
};

/* One owner's behaviour in one market over the report. */
struct conduct {
    struct name market;
    struct name owner;
    uint8_t side;
    uint32_t orders;
    uint32_t withdrawals;
    uint32_t late; /* of them shortly before the gate */
    int64_t placed_wh;
    int64_t traded_wh;
    int64_t withdrawn_wh;
    int64_t expired_wh;
};

struct surveillance {
    struct concentration *concentrations; /* books by market, start, direction; then the market */
    size_t concentration_count, concentration_room;
    struct finding *findings; /* by kind, then in the order of deals or books */
    size_t finding_count, finding_room;
    struct conduct *conducts; /* by market, owner, side */
    size_t conduct_count, conduct_room;
};

void surveillance_run(struct surveillance *out, const struct market_history *history,
                      const struct surveillance_terms *terms);
void surveillance_free(struct surveillance *surveillance);

/* Parts of the above, for the files that share the work. */
struct name surveillance_owner_of(const struct surveillance_terms *terms,
                                  const struct name *participant);
bool surveillance_covers(const struct surveillance_terms *terms, const struct history_book *book);
/* Section 4: floor(10000 x the sum of squared shares); -1 if the sum of quantities is zero. */
int64_t surveillance_hhi(const int64_t *quantities, size_t count);
/* Section 5: floor(1000 x (supply - without) / demand); -1 if demand is zero. */
int64_t surveillance_rsi(int64_t supply, int64_t without, int64_t demand);
/* tools/surveillance_patterns.c: sections 6 to 9. `by_book` lists order indices, those of book b at
 * first[b] to first[b + 1]. */
struct surveillance_orders {
    uint32_t *by_book;
    size_t *first;
};
void surveillance_find(struct surveillance *out, const struct market_history *history,
                       const struct surveillance_terms *terms,
                       const struct surveillance_orders *orders);

#endif
