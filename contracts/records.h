/* What the state holds: every record, its key, its encoding. One table (records.c) serves contracts,
 * API, proofs and audit. docs/spec/state.md prints it.
 *
 *   kind         key (after the one-byte namespace)              record
 *   params       -                                               params_record
 *   participant  name                                            participant_record
 *   key          public key (32)                                 key_record
 *   pot          u8 pot kind | id (24)                           pot_record     (all money)
 *   supply       -                                               supply_record
 *   receipt      receipt reference (32)                          receipt_reference
 *   device       name                                            device_record
 *   enrolment    device name | market name                       enrolment_record
 *   commitment   device name | i64 quarter hour | u8 direction   commitment_record
 *   market       name                                            market_record
 *   order        u64 id                                          order_record
 *   book         book key | u8 side | price key (8) | i64        (empty) index of open orders in
 *                height | tie (8) | u64 id                       price-time priority
 *   deal         u64 id                                          deal_record
 *   deadline     i64 time ms | u8 what | u64 group               deadline_record (deadlines of 64 ids)
 *   batch        operator name | batch id | i64 interval start   batch_record
 *   digest       i64 day (since the Unix epoch)                  digest_record
 *   counters     -                                               counters_record
 *   clock        -                                               clock_record (last block's time)
 *   used         device name | i64 interval start | u8 direction used_record (delivered Wh already
 *                                                                credited to a deal)
 *   book_size    market name | i64 period start | u8 direction   book_size_record
 *   book_late    market name | i64 period start | u8 direction   book_late_record
 *   governance   -                                               governance_record
 *   proposal     u64 id                                          proposal_record
 *   validator    validator key (32)                              validator_record
 *   evidence     validator key (32) | u64 epoch | u64 view       evidence_record
 *   terms        market name | u32 version                       market_create (terms that were or
 *                                                                are in force)
 *   draft        market name                                     draft_record
 *   change       u64 height | market name                        (empty) index of drafts that a
 *                                                                vote puts in force
 *   book_share   market name | i64 period start | u8 direction   book_share_record
 *                | participant name
 *   reservation  u64 deal                                        reservation_record
 *   dispute      u64 deal                                        dispute_record (of a proof that can
 *                                                                still be disputed, or was)
 *   reliability  participant name                                reliability_record
 *   fingerprint  operator name | batch id | i64 interval start   batch_record that a correction has
 *                | u32 revision                                  superseded
 *   alias        name (a device's, too)                          alias_record
 *   immediate    market name | i64 period start | u8 direction   (empty) index of open orders that do
 *                | u64 id                                        not outlive their book's next call
 *   book_gate    i64 gate ms | market name | i64 period start    (empty) index of books whose open
 *                | u8 direction                                  orders end at their gate
 *   forecast     publisher name | series name | i64 start        forecast_record
 *                | u32 version
 *   dispatch     device name | i64 start | u32 revision          dispatch_record
 *   capacity     network name | node name | i64 quarter hour     capacity_record
 *   network      name                                            network_record
 *   network_node network name | node name                        node_record
 *   allocation   u64 order                                       allocation_record
 *   holding      device name | i64 quarter hour | u8 direction   holding_record
 *   clearing     i64 gate ms | market name | i64 period start    (empty) index of books that are
 *                | u8 direction                                  cleared once, at their gate
 *   auction      market name | i64 period start | u8 direction   auction_record
 *   auction_due  i64 gate ms | market name | i64 period start    (empty) index of auctions that have
 *                | u8 direction                                  not cleared
 *   auction_     market name | i64 period start | u8 direction   auction_bidder_record
 *     bidder     | participant name
 *   auction_     market name                                     auction_total_record
 *     total
 *   coupled      market name | i64 start | u8 direction          coupled_record (start: of the first
 *                                                                interval)
 *   coupled_due  u8 what | i64 gate ms or height | market name   (empty) index of coupled auctions that
 *                | i64 start | u8 direction                      wait for their gate, the end of their
 *                                                                window, or who proposed to be let go
 *   coupled_page market name | i64 start | u8 direction          coupled_page_record: the problem, or
 *                | u8 what | u32 page                            the solution, in parts
 *   coupled_     market name | i64 start | u8 direction          coupled_solver_record
 *     solver     | participant name
 *   coupled_bid  u64 order                                       coupled_bid_record
 *   portfolio    u64 first order                                 portfolio_record
 *   coupled_side market name | i64 period start | u8 direction   coupled_side_record: on which side the
 *                | carrier name | participant name              participant's bids stand there
 *   network_line network name | line name                        network_line (as sent)
 *   network_row  network name | row name                         network_row (as sent)                */
#ifndef FLEX_CONTRACTS_RECORDS_H
#define FLEX_CONTRACTS_RECORDS_H

#include "base/limits.h"
#include "contracts/actions.h"
#include "contracts/coupled_records.h"

enum state_kind {
    STATE_PARAMS = 1,
    STATE_PARTICIPANT = 2,
    STATE_KEY = 3,
    STATE_POT = 4,
    STATE_SUPPLY = 5,
    STATE_RECEIPT = 6,
    STATE_DEVICE = 7,
    STATE_ENROLMENT = 8,
    STATE_COMMITMENT = 9,
    STATE_MARKET = 10,
    STATE_ORDER = 11,
    STATE_BOOK = 12,
    STATE_DEAL = 13,
    STATE_DEADLINE = 14,
    STATE_BATCH = 15,
    STATE_DIGEST = 16,
    STATE_COUNTERS = 17,
    STATE_CLOCK = 18,
    STATE_USED = 19,
    STATE_BOOK_SIZE = 20,
    STATE_BOOK_LATE = 21,
    STATE_GOVERNANCE = 22,
    STATE_PROPOSAL = 23,
    STATE_VALIDATOR = 24,
    STATE_EVIDENCE = 25,
    STATE_TERMS = 26,
    STATE_DRAFT = 27,
    STATE_CHANGE = 28,
    STATE_BOOK_SHARE = 29,
    STATE_AUCTION = 30,
    STATE_CAPACITY = 31,
    STATE_RESERVATION = 32,
    STATE_DISPUTE = 33,
    STATE_RELIABILITY = 34,
    STATE_FINGERPRINT = 35,
    STATE_ALIAS = 36,
    STATE_IMMEDIATE = 37,
    STATE_BOOK_GATE = 38,
    STATE_FORECAST = 40,
    STATE_DISPATCH = 41,
    STATE_NETWORK = 45,
    STATE_NETWORK_NODE = 46,
    STATE_ALLOCATION = 47,
    STATE_HOLDING = 48,
    STATE_CLEARING = 49,
    STATE_AUCTION_DUE = 50,
    STATE_AUCTION_BIDDER = 51,
    STATE_AUCTION_TOTAL = 52,
    STATE_COUPLED = 53,
    STATE_COUPLED_DUE = 54,
    STATE_COUPLED_PAGE = 55,
    STATE_COUPLED_SOLVER = 56,
    STATE_COUPLED_BID = 57,
    STATE_PORTFOLIO = 58,
    STATE_NETWORK_LINE = 59,
    STATE_NETWORK_ROW = 60,
    STATE_COUPLED_SIDE = 61,
    STATE_KIND_LIMIT = 64
};

struct params_record {
    struct money fee_per_tx;
    struct money fee_per_action;
    struct money fee_per_deal;   /* from the seller's pay, at settlement */
    struct duration fee_period;  /* the fee pool is split between the validators at its end */
    struct duration tx_lifetime; /* valid_until may be that far ahead */
    uint32_t validator_count;
    struct params_validator {
        struct public_key key;
        struct name operator_name;
    } validators[LIMIT_VALIDATORS];
};

struct participant_record {
    struct public_key key;
    uint32_t roles;
    uint8_t status;
    uint64_t nonce; /* last one used */
};

/* Who signs with this key; empty for ever once the key was rotated away or its owner retired. Keys
 * are never given out again: nonces belong to participants, so under a new owner's lower nonce the
 * old owner's transactions could be played once more. */
struct key_record {
    struct name participant;
    struct name former; /* who signed with it, once nobody does: whose fees it paid */
};

/* Every micro-euro stands in exactly one pot. An order's and a deal's stand in their own records, which
 * begin with what they hold; each other pot has a record. */
enum pot_kind {
    POT_BALANCE = 0,        /* id: participant */
    POT_ORDER_ESCROW = 1,   /* id: u64 order; order_record.held */
    POT_DEAL_ESCROW = 2,    /* id: u64 deal; deal_record.held_escrow */
    POT_FEES = 3,           /* id: zero */
    POT_DEAL_DEPOSIT = 4,   /* id: u64 deal; the provider's; deal_record.held_deposit */
    POT_MARKET_RESERVE = 5, /* id: market; fills the deficit of a payment rule */
    POT_DISPUTE_BOND = 6    /* id: u64 deal, zero-padded to 24 bytes; of whoever disputes it */
};
enum { POT_KIND_COUNT = 7 };
extern const char *const pot_kind_names[POT_KIND_COUNT];
/* Whether pots of that kind have records of their own. */
bool pot_kind_has_record(enum pot_kind kind);

struct pot_record {
    struct money amount; /* never negative; an empty pot has no record, but a participant's has */
};

/* The proof of reserves: what all pots of each kind hold together, beside what was issued. The sum of
 * `held` is minted less burned, at the end of every block (docs/spec/state.md). */
struct supply_record {
    struct money minted;
    struct money burned;
    struct money held[POT_KIND_COUNT]; /* by enum pot_kind, as of the last block's end */
};

/* Mints and burns share the references: one fiat receipt moves money once. */
struct receipt_reference {
    struct name treasurer;
    struct money amount; /* minted, or negative: burned */
};

struct device_record {
    struct name owner;
    struct name manager; /* empty if none */
    struct timestamp managed_from;
    struct timestamp managed_until;
    struct name pending_manager; /* offered, not yet accepted; empty if none */
    struct timestamp pending_from;
    struct timestamp pending_until;
    struct name pending_owner; /* empty if none */
    uint8_t type;
    struct power max_power;
    struct energy capacity;
    struct power connection;
    struct name node;
    struct name feeder;
    struct name zone;
    struct public_key meter_key;
    struct public_key submeter_key; /* zero if there is none */
    struct hash address_hash;
    uint8_t status;
};

/* That a device's name is an alias: nobody may delegate or transfer it, and what it is an alias of only
 * the commitment says, to those who have its opening. */
struct alias_record {
    struct name issuer; /* the DSO; on the ledger the alias is its own */
    struct name manager;
    struct name market;
    struct timestamp from;
    struct timestamp until;
    struct hash commitment;
};

struct enrolment_record {
    struct name participant; /* who enrolled it; the enrolment itself stays with the device */
};

/* What a device has open or sold in one quarter hour and direction, over all markets (right to
 * offer). A market time unit of 15, 30 or 60 minutes that sells E Wh holds E x 4, E x 2 or E W in
 * each of its quarter hours: exact both ways, so markets of different units can't sell twice and
 * releases take back what was booked to the last watt. */
struct commitment_record {
    struct power power;
    struct power reserved; /* of that, held by reservations and not called */
    struct power limited;  /* of that, sold as caps (up) or floors (down) */
    struct duration mtu;   /* of all that is booked here: one length per device and quarter hour */
};
enum { COMMITMENT_SLOT_MS = 900000 };

struct market_record {
    struct market_create terms; /* in force for orders and deals that are made now */
    uint8_t state;
    struct name operator_name;
    uint32_t version;       /* of the terms; 1 at first */
    uint64_t change_height; /* from that block on the draft is in force; 0: no vote has said so */
};

/* Terms that a market operator proposes and the validators vote on. */
struct draft_record {
    struct market_create terms;
    uint32_t version; /* of the terms that it was drawn up against */
    struct name operator_name;
};

enum order_side { SIDE_BUY = 0, SIDE_SELL = 1 };
extern const char *const order_side_names[2];
enum order_status { ORDER_OPEN = 0, ORDER_FILLED = 1, ORDER_CANCELLED = 2, ORDER_EXPIRED = 3 };
extern const char *const order_status_names[4];

struct order_record {
    struct money held; /* its pot */
    struct name market;
    struct name participant;
    uint8_t side;
    uint8_t direction;
    uint8_t status;
    struct timestamp period_start;
    struct energy quantity; /* as placed */
    struct energy open;     /* not yet traded */
    struct energy_price price;
    struct name device;        /* empty for a request */
    struct hash schedule_hash; /* zero for a request */
    uint64_t height;           /* of the block that took it: its time */
    uint64_t tie;              /* order of equals, from the previous block and the participant */
    struct order_options options;
    struct energy_price deposit_price; /* of an offer: its pot holds that x open, rounded up */
    uint64_t reservation;              /* deal in the parent market; 0: none */
};

enum deal_state {
    DEAL_MATCHED = 0,
    DEAL_SETTLED = 1,
    DEAL_PARTIAL = 2,
    DEAL_REFUNDED = 3,
    DEAL_PROVEN = 4,
    DEAL_DISPUTED = 5
};
enum { DEAL_STATE_COUNT = 6 };
/* matched: escrow held; settled: credited in full; partial: in part; refunded: nothing credited, by
 * proof or for want of one. proven, disputed: escrow held through the market's dispute window, or until
 * the dispute is decided (docs/spec/deal.md). */
extern const char *const deal_state_names[DEAL_STATE_COUNT];

/* What a deal is worth: its price for each kWh credited, or, made by an auction whose payments are no
 * prices, a share of one amount. */
enum deal_basis { DEAL_BY_PRICE = 0, DEAL_BY_AMOUNT = 1 };
enum { DEAL_BASIS_COUNT = 2 };
extern const char *const deal_basis_names[DEAL_BASIS_COUNT];

struct deal_record {
    struct money held_escrow;  /* its pot: the buyer's money, until the deal ends */
    struct money held_deposit; /* and the provider's */
    struct name market;
    uint8_t direction;
    uint8_t state;
    struct name buyer;
    struct name seller;
    struct name device;
    uint64_t buy_order;
    uint64_t sell_order;
    struct timestamp period_start;
    struct energy contracted;
    struct energy_price price;
    struct money escrow;
    struct hash schedule_hash;
    uint64_t matched_height;
    struct timestamp proof_deadline;
    uint32_t version;     /* of the market's terms that it settles by */
    struct money deposit; /* the provider's, in the deal's deposit pot until it ends */
    uint64_t reservation; /* deal in the parent market; 0: none */
    /* Zero until it is proven, in a market with a dispute window: when the proof becomes final, or of a
     * disputed deal, when the dispute lapses. */
    struct timestamp dispute_deadline;
    /* Zero until the deal ends; of a proven or disputed one, how it would end as things stand. */
    struct energy delivered;
    struct energy credited;
    struct money paid;
    struct money refunded;
    struct money fee;
    struct money penalty; /* from the deposit to the buyer */
    uint64_t settled_height;
    uint8_t basis;         /* enum deal_basis; by price the next three are zero */
    struct money payment;  /* what the provider gets for all of it */
    struct money added;    /* of the escrow, what the buyer did not pay */
    struct money returned; /* of that, given back to the reserve's account or the fee pool */
};

/* What a DSO has asked for under one reservation, and what was offered for it. */
struct reservation_record {
    uint32_t call_count;
    struct reservation_call {
        uint64_t request;   /* the DSO's order in the market below: the activation fee's escrow */
        struct name market; /* a market that names the reservation's market its parent */
        struct timestamp period_start;
        struct energy quantity;
        struct energy offered; /* in answer, and not cancelled */
        struct energy_price price;
    } calls[LIMIT_CALLS_PER_RESERVATION];
};

enum dispute_outcome {
    DISPUTE_NONE = 0, /* proven, and nobody has disputed it */
    DISPUTE_OPEN = 1,
    DISPUTE_CORRECTED = 2, /* decided by the meter operator's correction */
    DISPUTE_VOTED = 3,     /* by the validators */
    DISPUTE_LAPSED = 4     /* by nobody in time: the proof stands */
};
enum { DISPUTE_OUTCOME_COUNT = 5 };
extern const char *const dispute_outcome_names[DISPUTE_OUTCOME_COUNT];

/* What a proof that is not final rests on, and who disputes it. */
struct dispute_record {
    uint8_t outcome;
    struct name opener;   /* empty if nobody has */
    struct hash evidence; /* of a document that the parties hold */
    struct money bond;
    struct money paid_before; /* what the provider would have got when it was opened */
    struct timestamp opened;
    struct timestamp fingerprints; /* when the newest that the proof led to was posted */
    uint32_t unit_count;
    struct dispute_unit {
        struct energy taken; /* of the device's energy; a later proof gives it back first */
    } units[LIMIT_INTERVALS_PER_PERIOD];
};

/* A provider's record over all its deals that have ended; sums stay at their largest value rather than
 * overflow. */
struct reliability_record {
    uint64_t deals;
    uint64_t settled;
    uint64_t partial;
    uint64_t refunded;
    uint64_t unproven;      /* of those refunded, for want of a proof in time */
    uint64_t calls_missed;  /* of those refunded, reservations that were called in vain */
    uint64_t disputes_lost; /* opened against it and won, or opened by it and lost */
    struct energy contracted;
    struct energy credited;
    struct money penalties;
};

struct batch_record {
    struct duration interval;
    uint32_t count;
    struct hash root;
    uint32_t revision;
    struct timestamp posted;
};

/* A DSO's tree of transformers, feeders and nodes (MFX II.A; docs/spec/capacity.md). */
struct network_record {
    struct name operator_name; /* who publishes, and whom capacity is bought from */
    uint32_t nodes;
    /* For coupled auctions (docs/spec/coupled.md 10). */
    uint32_t lines;
    uint32_t rows;
    uint32_t carrier_count;
    struct network_carrier {
        struct name name;
    } carriers[LIMIT_NETWORK_CARRIERS]; /* "el", then as lines and rows brought them in */
};
struct node_record {
    struct name parent; /* empty: a root */
    uint8_t depth;      /* nodes from here to the root, this one too */
};
/* What a node can carry in one quarter hour beyond what its operator expects, and how much of that is
 * spoken for, over all markets. */
struct capacity_record {
    struct power import_limit;
    struct power export_limit;
    struct power import_sold; /* more than the limit only after a publication that enforced less */
    struct power export_sold;
    uint32_t revision; /* publications so far; 0: only sold, and not limited */
};
/* How a request for capacity ended at its market's gate. */
struct allocation_record {
    struct name market;
    struct name participant;
    struct name device;
    struct name network;
    struct name node;       /* where its path begins */
    struct name limited_by; /* the first node on the path that refused or cut it; empty: none did */
    struct name payee;
    uint8_t direction; /* down: import, up: export */
    struct timestamp period_start;
    struct energy asked;
    struct energy granted;
    struct energy_price price; /* that it pays, at most its own */
    struct money paid;
    uint32_t version; /* of the market's terms */
    uint64_t height;
};
/* Grid capacity that a device has, or has asked for, in one quarter hour and direction. */
struct holding_record {
    struct power power;
};

/* D5.5 3.2.6 daily digest: the whole history up to the last block of a day is one hash. */
struct digest_record {
    uint64_t height;       /* of the last block of the day */
    struct hash log_root;  /* history log over the blocks up to and with it */
    uint64_t transactions; /* since the chain began */
};

struct counters_record {
    uint64_t orders;
    uint64_t deals;
    uint64_t transactions;
};

struct clock_record {
    struct timestamp time;       /* of the last block */
    struct timestamp fees_split; /* end of the last fee period */
};

struct used_record {
    struct energy quantity;
};

/* Absent, all zero, until the first proposal. */
struct governance_record {
    uint64_t epoch;        /* of the next block */
    uint64_t epoch_height; /* the boundary block that began it; 0: genesis */
    uint64_t proposals;    /* ever made; ids count from 1 */
    uint32_t open_count;
    struct governance_open {
        uint64_t id;
    } open[LIMIT_VALIDATORS]; /* one per operator */
    /* Versions of the rules (rules.h, which reads them). Zero: the first, and none. */
    uint32_t rules;      /* in force below rules_height */
    uint32_t next_rules; /* in force from rules_height on */
    uint64_t rules_height;
};

enum proposal_status {
    PROPOSAL_OPEN = 0,
    PROPOSAL_PASSED = 1,
    PROPOSAL_REJECTED = 2,  /* so many against it that it can't pass */
    PROPOSAL_WITHDRAWN = 3, /* its proposer made another one, or operates no validator any more */
    PROPOSAL_EXPIRED = 4
};
enum { PROPOSAL_STATUS_COUNT = 5 };
extern const char *const proposal_status_names[PROPOSAL_STATUS_COUNT];

struct proposal_record {
    struct governance_propose terms;
    struct name proposer;
    uint8_t status;
    uint64_t height; /* of the block that took it */
    struct timestamp expires;
    /* Validators, bit i for the i-th of the current set, or of the set that decided. */
    uint32_t approvals;
    uint32_t rejections;
    uint64_t decided_height; /* 0 while open */
};

/* A key that is or was in the set; none for one of the genesis set that never changed. Keys do not
 * come back: what one signed long ago could be used against it. */
struct validator_record {
    struct name operator_name;
    uint64_t from_epoch;
    uint64_t until_epoch; /* the first one without it; 0: it is in the set */
    uint32_t evidence;    /* records against it */
};

struct evidence_record {
    struct name operator_name;
    struct name reporter;
    struct evidence_vote first;
    struct evidence_vote second;
    uint64_t height;
};

enum auction_state {
    AUCTION_OPEN = 0,
    AUCTION_CLEARED = 1,
    AUCTION_VOID = 2 /* its market was not open at the gate, or delivery had begun: no deals */
};
enum { AUCTION_STATE_COUNT = 3 };
extern const char *const auction_state_names[AUCTION_STATE_COUNT];

/* Why an auction was settled by another payment rule than its market's. */
enum auction_fallback {
    AUCTION_FALLBACK_NONE = 0,
    AUCTION_FALLBACK_RESERVE = 1,  /* the deficit is over what the reserve holds */
    AUCTION_FALLBACK_UTILITY = 2,  /* the sellers' payments are over the buyers' utility */
    AUCTION_FALLBACK_RATIONAL = 3, /* it would charge somebody more than the bid, or pay less */
    AUCTION_FALLBACK_LIMITS = 4 /* too many bids or too long a search for what others could reach */
};
enum { AUCTION_FALLBACK_COUNT = 5 };
extern const char *const auction_fallback_names[AUCTION_FALLBACK_COUNT];

/* One auction: an auction market's book. While it is open, how many bids stand; once it has cleared,
 * what came of it, for good (market-rules 5 and 6; docs/spec/auctions.md). */
struct auction_record {
    uint8_t state;
    uint32_t requests; /* open, or that took part */
    uint32_t offers;
    struct name buyer; /* the one buyer of a mechanism that takes one; else empty */
    uint64_t height;   /* of the block that cleared it; the rest is zero before that */
    uint32_t version;  /* of the market's terms that it was cleared by */
    uint32_t agents;
    struct energy quantity;
    uint8_t priced; /* there is a uniform price, and the interval of all that support the result */
    struct energy_price price;
    struct energy_price price_lower;
    struct energy_price price_upper;
    struct money welfare;      /* rounded down, and the neur above that */
    uint16_t welfare_neur;     /* 0 to 999 */
    uint8_t payment;           /* enum market_payment: what was paid by */
    uint8_t fallback;          /* enum auction_fallback */
    struct money bought;       /* what the buyers pay */
    struct money sold;         /* what the sellers get for full delivery */
    struct money given;        /* to agents who sell nothing, at once (Shapley) */
    struct money reserve_used; /* sold + given - bought where that is a deficit */
    struct money pool;         /* to the fee pool at once: what no deal's escrow needs */
    uint64_t first_deal;
    uint32_t deals;
    uint8_t proven; /* one-sided: no choice is better; else the bounds say how far off it may be */
    struct energy bound_quantity;
    struct money bound_welfare; /* rounded up */
    uint8_t estimated;          /* Shapley values are a mean over drawn orders of arrival */
    struct money error;         /* of each of them, rounded up */
    struct hash seed;           /* of the draw: the id of the block before */
};

/* What one participant has open in one auction; no record if that is nothing. */
struct auction_bidder_record {
    uint32_t requests;
    uint32_t offers;
    uint16_t rank;               /* highest of its ordered offers */
    struct energy_price before;  /* dearest offer of a lower rank */
    struct energy_price dearest; /* dearest offer */
};

/* What a market's auctions have in common. */
struct auction_total_record {
    uint32_t pending; /* with bids, not cleared */
    uint64_t cleared;
    struct money reserve_used;
    struct name reserve_owner; /* whose money the market's reserve is; empty if it has none */
};

extern const struct codec_record auction_record_codec;
extern const struct codec_record auction_bidder_record_codec;
extern const struct codec_record auction_total_record_codec;
extern const struct codec_record governance_record_codec;
extern const struct codec_record proposal_record_codec;
extern const struct codec_record validator_record_codec;
extern const struct codec_record evidence_record_codec;
extern const struct codec_record params_record_codec;
extern const struct codec_record participant_record_codec;
extern const struct codec_record key_record_codec;
extern const struct codec_record pot_record_codec;
extern const struct codec_record supply_record_codec;
extern const struct codec_record receipt_reference_codec;
extern const struct codec_record device_record_codec;
extern const struct codec_record enrolment_record_codec;
extern const struct codec_record alias_record_codec;
extern const struct codec_record commitment_record_codec;
extern const struct codec_record market_record_codec;
extern const struct codec_record order_record_codec;
extern const struct codec_record deal_record_codec;
extern const struct codec_record batch_record_codec;
extern const struct codec_record digest_record_codec;
extern const struct codec_record counters_record_codec;
extern const struct codec_record clock_record_codec;
extern const struct codec_record used_record_codec;
extern const struct codec_record deadline_record_codec;
extern const struct codec_record book_size_record_codec;
extern const struct codec_record book_late_record_codec;
extern const struct codec_record book_share_record_codec;
extern const struct codec_record draft_record_codec;
extern const struct codec_record reservation_record_codec;
extern const struct codec_record reservation_call_codec;
extern const struct codec_record dispute_record_codec;
extern const struct codec_record reliability_record_codec;
extern const struct codec_record network_record_codec;
extern const struct codec_record node_record_codec;
extern const struct codec_record capacity_record_codec;
extern const struct codec_record allocation_record_codec;
extern const struct codec_record holding_record_codec;

/* Deadlines of one time and kind, of up to 64 numbers in a row; no record if there are none. */
struct deadline_record {
    uint64_t ids; /* bit i: of number 64 x group + i */
};

/* Open orders of one book; no record if there are none. */
struct book_size_record {
    uint32_t open;
};

/* What one participant has open in one book; no record if that is nothing. */
struct book_share_record {
    uint32_t open;
    struct money locked; /* in the pots of those orders */
};

/* A book whose call a block had no room for: the next one calls it, and what arrived since then is
 * still one batch. */
struct book_late_record {
    uint64_t since; /* the batch is what arrived at or after that height */
    uint64_t
        ended; /* not 0: orders that do not rest, and are from below that height, have had their
                       call and only end */
};

/* How one kind is named, keyed and encoded. */
struct state_kind_info {
    enum state_kind kind;
    const char *name;                 /* "deal": flex proof get deal 7 */
    const char *plural;               /* "deals": GET /v1/deals */
    const struct codec_record *codec; /* NULL for an index without a value */
    /* Parts of the key after the namespace byte. */
    const struct codec_record *key_codec; /* a record of the key's parts; NULL: no key */
};

enum { POT_ID_SIZE = 24 };

/* NULL if there is none. */
const struct state_kind_info *state_kind_info(enum state_kind kind);
const struct state_kind_info *state_kind_by_name(const char *name_or_plural);

/* A state key: namespace byte, then the parts. */
struct state_key {
    uint8_t bytes[LIMIT_STATE_KEY_BYTES];
    size_t size;
};
/* The order in which the state is walked. */
int state_key_compare(const struct state_key *a, const struct state_key *b);
struct state_key state_key_single(enum state_kind kind);
struct state_key state_key_name(enum state_kind kind, const struct name *name);
struct state_key state_key_u64(enum state_kind kind, uint64_t id);
struct state_key state_key_hash(enum state_kind kind, const uint8_t bytes[32]);
struct state_key state_key_pot(enum pot_kind pot, const struct name *participant, uint64_t id);
struct state_key state_key_pair(enum state_kind kind, const struct name *a, const struct name *b);
struct state_key state_key_unit(enum state_kind kind, const struct name *device,
                                struct timestamp unit_start, uint8_t direction);
struct state_key state_key_batch(const struct name *operator_name, const struct name *batch,
                                 struct timestamp interval_start);
struct state_key state_key_fingerprint(const struct name *operator_name, const struct name *batch,
                                       struct timestamp interval_start, uint32_t revision);
struct state_key state_key_day(int64_t day);
struct state_key state_key_evidence(const struct public_key *key, uint64_t epoch, uint64_t view);
struct state_key state_key_terms(const struct name *market, uint32_t version);
struct state_key state_key_change(uint64_t height, const struct name *market);
struct state_key state_key_capacity(const struct name *network, const struct name *node,
                                    struct timestamp slot);
/* contracts/coupled_records.c */
/* A coupled auction's record of `kind`: key of market, start, direction. */
struct state_key state_key_coupled(enum state_kind kind, const struct name *market,
                                   struct timestamp start, uint8_t direction);
struct state_key state_key_coupled_page(const struct name *market, struct timestamp start,
                                        uint8_t direction, enum coupled_page_of what,
                                        uint32_t page);
/* Of a book that waits for its gate, the first gate first: kinds clearing and auction_due. */
struct state_key state_key_due(enum state_kind kind, struct timestamp gate,
                               const struct name *market, struct timestamp period_start,
                               uint8_t direction);
struct state_key state_key_deadline(struct timestamp time, uint8_t what, uint64_t group);
/* contracts/plan_records.c */
struct state_key state_key_forecast(const struct name *publisher, const struct name *series,
                                    struct timestamp start, uint32_t version);
struct state_key state_key_dispatch(const struct name *device, struct timestamp start,
                                    uint32_t revision);
/* From text as people write it: parts joined with '/', e.g. "7", "dso", "meters/west/1735689600000",
 * "balance/dso" for a pot. False if it is not an id of that kind. */
bool state_key_from_text(struct state_key *out, enum state_kind kind, const char *text);
/* The reverse, for lists. False if the key is not one of that kind or text does not fit. */
bool state_key_to_text(char *text, size_t text_size, enum state_kind kind, struct bytes_view key);

#endif
