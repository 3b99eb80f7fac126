/* What happened, for wallets, dashboards and auditors: the records in a receipt's `events`.
 *
 * Each stands as (u8 type, u16 size, record). The type numbers never change; the tables' names are
 * the events' names in the API. */
#ifndef FLEX_CONTRACTS_EVENTS_H
#define FLEX_CONTRACTS_EVENTS_H

#include "contracts/records.h"

/* A new one also goes into statement_event_moves (contracts/statement.c), which asks whether it says that
 * a balance changed. */
enum event_type {
    EVENT_ORDER_PLACED = 1,        /* event_order_placed */
    EVENT_ORDER_CANCELLED = 2,     /* event_order_ended */
    EVENT_ORDER_EXPIRED = 3,       /* event_order_ended */
    EVENT_DEAL_MATCHED = 4,        /* event_deal */
    EVENT_DEAL_ENDED = 5,          /* event_deal */
    EVENT_TOKEN_MOVED = 6,         /* event_token_moved: mint, burn, transfer, pay, refund */
    EVENT_FEES_SPLIT = 7,          /* event_fees_split: one per validator */
    EVENT_DIGEST = 8,              /* event_digest */
    EVENT_PROPOSAL = 9,            /* event_proposal: made, or its status changed */
    EVENT_EPOCH = 10,              /* event_epoch: this block is the last of an epoch */
    EVENT_MARKET = 11,             /* event_market: created, or state, terms or draft changed */
    EVENT_DEAL_PROVEN = 12,        /* event_deal: it ends so unless somebody disputes it */
    EVENT_DEAL_DISPUTED = 13,      /* event_dispute: opened, or decided */
    EVENT_CALLED = 14,             /* event_called: a reservation was called */
    EVENT_FORECAST = 20,           /* event_forecast: a version of a series was published */
    EVENT_DISPATCH = 21,           /* event_dispatch: an instruction was sent, or answered */
    EVENT_CAPACITY_PUBLISHED = 15, /* event_capacity */
    EVENT_ALLOCATED = 16,     /* event_allocated: a request for capacity, granted, cut or refused */
    EVENT_GRID_LIMITED = 17,  /* event_grid_limited: a call cut an offer, or passed it over */
    EVENT_ORDER_REDUCED = 18, /* event_order_reduced: replaced by less of itself */
    EVENT_AUCTION = 24,       /* event_auction: cleared, or void */
    EVENT_COUPLED = 25,  /* event_coupled: its problem is fixed, or it has cleared, or is void */
    EVENT_SOLUTION = 26, /* event_solution: a solution was judged */
    EVENT_COUPLED_SLOT = 27, /* event_coupled_slot: an interval of a carrier cleared, or forecast */
    EVENT_MEASURED = 28,     /* event_measured: what a proof found, before it is settled */
    EVENT_TYPE_LIMIT = 32
};

/* One pot: which kind, and whose. Unused parts are empty and zero. */
struct pot_id {
    uint8_t kind;            /* enum pot_kind, or POT_OUTSIDE in an event */
    struct name participant; /* POT_BALANCE; of POT_MARKET_RESERVE the market */
    uint64_t id;             /* escrows and deposits */
};
/* Where minted money comes from and burned money goes to: only ever in an event. */
enum { POT_OUTSIDE = POT_KIND_COUNT };
extern const struct codec_record pot_id_codec;

struct event_order_placed {
    uint64_t id;
    struct order_record order;
};
struct event_order_ended {
    uint64_t id;
};
struct event_order_reduced {
    uint64_t id;
    struct energy withdrawn;
    struct energy open; /* what is left */
};
struct event_deal {
    uint64_t id;
    struct deal_record deal;
};
/* The dispute without what each unit took. */
struct event_dispute {
    uint64_t id; /* of the deal */
    uint8_t outcome;
    struct name opener;
    struct hash evidence;
    struct money bond;
    struct timestamp deadline;
};
struct event_called {
    uint64_t id; /* of the reservation's deal */
    struct reservation_call call;
};
/* The publication without its figures, which the transaction has. */
struct event_capacity {
    struct name network;
    struct name node;
    struct timestamp start;
    struct duration interval;
    uint32_t intervals;
    uint32_t oversold; /* quarter hours in which more is sold than it leaves */
};
struct event_allocated {
    uint64_t id; /* of the order */
    struct allocation_record allocation;
};
struct event_grid_limited {
    uint64_t id; /* of the order */
    struct name network;
    struct name node; /* the first on its path, from the device on, that left less than it wanted */
    struct energy open;
    struct energy admitted; /* to this call */
};
struct event_token_moved {
    struct pot_id from;
    struct pot_id to;
    struct money amount;
};
struct event_fees_split {
    struct name operator_name;
    struct money amount;
};
struct event_digest {
    int64_t day;
    struct digest_record digest;
};

struct event_proposal {
    uint64_t id;
    uint8_t kind;
    uint8_t status;
};
struct event_epoch {
    uint64_t epoch; /* of the next block */
    uint32_t validators;
};

struct event_market {
    struct name market;
    uint8_t state;
    uint32_t version;       /* of the terms in force */
    uint8_t drafted;        /* a draft waits for a vote or a height */
    uint64_t change_height; /* 0: no vote has named one */
};

struct event_auction {
    struct name market;
    struct timestamp period_start;
    uint8_t direction;
    struct auction_record auction;
};

struct event_coupled {
    struct name market;
    struct timestamp start;
    uint8_t direction;
    struct coupled_record auction;
};
enum solution_verdict {
    SOLUTION_BEST = 0,
    SOLUTION_NOT_BETTER = 1,
    SOLUTION_UNREADABLE = 2, /* its bytes are no solution of that problem's size: a strike */
    SOLUTION_BROKEN = 3      /* it breaks a rule: a strike */
};
enum { SOLUTION_VERDICT_COUNT = 4 };
extern const char *const solution_verdict_names[SOLUTION_VERDICT_COUNT];
struct event_solution {
    struct name market;
    struct timestamp start;
    uint8_t direction;
    struct name proposer;
    uint8_t verdict;
    uint8_t rule;  /* enum coupled_rule, of a broken one */
    uint32_t item; /* bid, link, line, place or row of the problem */
    uint32_t slot;
    struct money welfare; /* of one that keeps all rules, rounded down */
    struct money bound;   /* rounded up */
    struct hash solution; /* as coupled_best */
};
/* What a carrier comes to in one interval. A forecast binds nobody: it is what the floor makes of the bids
 * that stand for a later auction. */
struct event_coupled_slot {
    struct name market;
    struct timestamp start; /* of the auction */
    uint8_t direction;
    struct name carrier;
    struct timestamp period_start;
    uint8_t forecast;
    struct energy quantity;
    struct energy_price price_least; /* of its nodes, floored */
    struct energy_price price_most;
};

/* What a proof's readings lead to, unit by unit: all of them that the deal's outcome depends on. When the
 * readings are deleted, this is left (contracts/witness.h). */
struct event_measured {
    uint64_t id;                   /* of the deal */
    struct timestamp final;        /* from then on nobody can dispute it */
    struct timestamp fingerprints; /* when the newest that the proof led to was posted */
    uint32_t unit_count;
    struct measured_unit {
        struct energy delivered; /* and not credited to an earlier deal */
    } units[LIMIT_INTERVALS_PER_PERIOD];
};

/* contracts/coupled_records.c */
extern const struct codec_record event_coupled_codec;
extern const struct codec_record event_solution_codec;
extern const struct codec_record event_coupled_slot_codec;

/* NULL if there is none. */
const struct codec_record *event_codec(uint8_t type);

/* Walks a receipt's events: *cursor starts at 0. False at the end, or at the first fault: then
 * *cursor is not events.size. */
bool event_next(struct bytes_view events, size_t *cursor, uint8_t *type, struct bytes_view *record);

#endif
