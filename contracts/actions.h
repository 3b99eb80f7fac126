/* Every action that a transaction can carry, and its record. One table (actions.c) declares their
 * encodings; decode, print, wallet input and fuzzing follow from it. Types never change number. */
#ifndef FLEX_CONTRACTS_ACTIONS_H
#define FLEX_CONTRACTS_ACTIONS_H

#include "base/codec.h"
#include "base/limits.h"
#include "base/name.h"
#include "base/units.h"
#include "contracts/dispatch.h"
#include "contracts/terms.h"
#include "crypto/sign.h"
#include "crypto/vote_message.h"

enum action_type {
    ACTION_PARTICIPANT_REGISTER = 1,
    ACTION_PARTICIPANT_STATUS = 2,
    ACTION_PARTICIPANT_ROTATE_KEY = 3,
    ACTION_DEVICE_REGISTER = 10,
    ACTION_DEVICE_DELEGATE = 11,
    ACTION_DEVICE_DELEGATE_ACCEPT = 12,
    ACTION_DEVICE_TRANSFER = 13,
    ACTION_DEVICE_TRANSFER_ACCEPT = 14,
    ACTION_DEVICE_STATUS = 15,
    ACTION_DEVICE_ENROL = 16,
    ACTION_ALIAS_ISSUE = 17,
    ACTION_DEVICE_SHEET = 18,
    ACTION_TOKEN_MINT = 20,
    ACTION_TOKEN_BURN = 21,
    ACTION_TOKEN_TRANSFER = 22,
    ACTION_MARKET_CREATE = 30,
    ACTION_MARKET_STATE = 31,
    ACTION_MARKET_UPDATE = 32,
    ACTION_NETWORK_CREATE = 33,
    ACTION_NETWORK_NODE = 34,
    ACTION_CAPACITY_PUBLISH = 35,
    ACTION_NETWORK_LINE = 36,
    ACTION_NETWORK_ROW = 37,
    ACTION_MARKET_RESERVE = 38,
    ACTION_REQUEST_PLACE = 40,
    ACTION_OFFER_PLACE = 41,
    ACTION_ORDER_CANCEL = 42,
    ACTION_ORDER_REPLACE = 43,
    ACTION_PORTFOLIO_PLACE = 44,
    ACTION_SOLUTION_PROPOSE = 45,
    ACTION_METER_BATCH = 50,
    ACTION_DELIVERY_PROVE = 51,
    ACTION_DEAL_DISPUTE = 52,
    ACTION_RESERVATION_CALL = 53,
    ACTION_FORECAST_PUBLISH = 56,
    ACTION_DISPATCH_SEND = 57,
    ACTION_DISPATCH_ACK = 58,
    ACTION_GOVERNANCE_PROPOSE = 60,
    ACTION_GOVERNANCE_VOTE = 61,
    ACTION_GOVERNANCE_EVIDENCE = 62,
    ACTION_TYPE_LIMIT = 64
};

/* D5.5 3.2.6, MFX III.A: bits of participant.roles. */
enum role {
    ROLE_DSO = 1u << 0,
    ROLE_TSO = 1u << 1,
    ROLE_AGGREGATOR = 1u << 2,
    ROLE_RETAILER = 1u << 3,
    ROLE_PROSUMER = 1u << 4,
    ROLE_METER_OPERATOR = 1u << 5,
    ROLE_MARKET_OPERATOR = 1u << 6,
    ROLE_REGULATOR = 1u << 7,
    ROLE_TREASURER = 1u << 8
};
enum { ROLE_COUNT = 9 };
extern const char *const role_names[ROLE_COUNT];

enum status { STATUS_REGISTERED = 0, STATUS_ACTIVE = 1, STATUS_SUSPENDED = 2, STATUS_RETIRED = 3 };
/* registered, active (for a device: prequalified), suspended, retired (for a participant: revoked) */
extern const char *const status_names[4];

enum device_type {
    DEVICE_STORAGE = 0,
    DEVICE_GENERATION = 1,
    DEVICE_LOAD = 2,
    DEVICE_EV = 3,
    DEVICE_HEAT_PUMP = 4
};
extern const char *const device_type_names[5];

/* up = more generation or less consumption; down the reverse (market-rules 1). */
enum direction { DIRECTION_UP = 0, DIRECTION_DOWN = 1 };
extern const char *const direction_names[2];

enum market_state { MARKET_OPEN = 0, MARKET_SUSPENDED = 1, MARKET_CLOSED = 2 };
extern const char *const market_state_names[3];

/* By a market operator. */
struct participant_register {
    struct name id;
    struct public_key key;
    uint32_t roles;
};
/* By a market operator: active, suspended or retired (for good). */
struct participant_status {
    struct name id;
    uint8_t status;
};
/* By the participant; proof = signature of the new key over H(KEY_PROOF, genesis, id, new key). */
struct participant_rotate_key {
    struct public_key new_key;
    struct signature proof;
};
/* By the owner. */
struct device_register {
    struct name id;
    uint8_t type;
    struct power max_power;  /* most that it can be regulated by, either way; above 0 */
    struct energy capacity;  /* 0 where it has none */
    struct power connection; /* capacity of its grid connection */
    struct name node;
    struct name feeder;
    struct name zone;
    struct public_key meter_key;    /* BIP340 key that signs its certified readings */
    struct public_key submeter_key; /* of a meter at the device itself; zero: there is none */
    struct hash address_hash;       /* salted hash of personal data, kept off the chain */
};
/* By the owner: offers management for [from, until); binds once the manager accepts. */
struct device_delegate {
    struct name device;
    struct name manager;
    struct timestamp from;
    struct timestamp until;
};
/* By the manager that the owner named. */
struct device_delegate_accept {
    struct name device;
};
/* By the owner; binds once the new owner accepts, and ends every delegation. */
struct device_transfer {
    struct name device;
    struct name new_owner;
};
struct device_transfer_accept {
    struct name device;
};
/* active (prequalified) or suspended: by a DSO. retired: by the owner. */
struct device_status {
    struct name device;
    uint8_t status;
};
/* By owner or manager: enrols the device in a market, or takes it out. */
struct device_enrol {
    struct name device;
    struct name market;
    uint8_t enrolled;
};
/* By a DSO, who prequalifies thereby: a name under which `manager` can offer a part of some device's power
 * in [from, until), and that leads nobody to the device but those who know the opening of `commitment`
 * (contracts/alias.h; market-rules 9). Enrolled in `market` at once. */
struct alias_issue {
    struct name id; /* random; no device has it */
    struct name manager;
    struct name market;
    struct timestamp from;
    struct timestamp until;
    uint8_t type;
    struct power max_power;
    struct energy capacity;
    struct power connection;
    struct name node; /* as coarse as the grid check allows: the feeder's name serves */
    struct name feeder;
    struct name zone;
    struct public_key meter_key;    /* of this alias alone */
    struct public_key submeter_key; /* the same; zero: none */
    struct hash commitment;         /* H(ALIAS, nonce, device, id); not zero */
};
extern const struct codec_record alias_issue_record;

/* By the owner: another data sheet, whose personal fields are hashed (docs/spec/plans.md 3). */
struct device_sheet {
    struct name device;
    struct hash address_hash;
};
/* By a treasurer; the reference names the fiat receipt and is used once. */
struct token_mint {
    struct name to;
    struct money amount;
    struct hash receipt;
};
/* By a treasurer, from its own balance, against a redemption reference. */
struct token_burn {
    struct money amount;
    struct hash receipt;
};
struct token_transfer {
    struct name to;
    struct money amount;
};
/* By a market operator: other terms for a market (contracts/terms.h, enum market_change). What only
 * decides which orders are let in takes effect at once; the rest becomes the market's draft, which the
 * validators put in force at a height (PROPOSAL_SET_MARKET). The terms that stand take a draft back. */
struct market_update {
    struct market_create terms;
};
/* By a market operator. Open and suspended follow each other; closed is for good. */
struct market_set_state {
    struct name id;
    uint8_t state;
};
/* By a DSO, who operates the network from then on (MFX II.A). */
struct network_create {
    struct name id;
};
/* By its operator: a transformer, feeder or node below one that is there already, for good. */
struct network_add_node {
    struct name network;
    struct name id;     /* what a device calls its node or its feeder */
    struct name parent; /* empty: a root */
};
/* By its operator: what the node can carry on top of what is expected, in each interval from `start`, in
 * place of what was published before. */
struct capacity_publish {
    struct name network;
    struct name node;
    struct timestamp start;
    struct duration interval; /* 15, 30 or 60 minutes */
    uint8_t
        enforce; /* publish less than is sold already: what is sold stays, nothing more is sold */
    uint32_t limit_count;
    struct capacity_limit {
        struct power import;
        struct power export;
    } limits[LIMIT_CAPACITY_INTERVALS];
};
/* By its operator: what carries energy between two nodes of its network in coupled auctions. Again, for a
 * line that is there: another capacity, everything else the same. */
struct network_line {
    struct name network;
    struct name id;
    struct name from;
    struct name to;
    struct name carrier;   /* "el" is electricity */
    struct power capacity; /* in both directions, at all times; 0: nothing */
    uint8_t tie;           /* between zones: carries only in markets whose zones are coupled */
};
/* By its operator: a limit on the sum of coefficient x injection of nodes, in W, in coupled auctions, that
 * taking nothing keeps. Again: the row as it is to be from then on; without coefficients it goes. */
struct network_row {
    struct name network;
    struct name id;
    struct name carrier;
    uint8_t op;  /* enum row_op */
    int64_t rhs; /* coefficient x W */
    uint32_t coef_count;
    struct row_coef {
        struct name node;
        int64_t value;
    } coefs[LIMIT_ROW_COEFS];
};
/* In the order of enum coupled_op (contracts/clear_coupled.h). */
enum row_op { ROW_AT_MOST = 0, ROW_AT_LEAST = 1, ROW_EQUAL = 2 };
enum { ROW_OP_COUNT = 3 };
extern const char *const row_op_names[ROW_OP_COUNT];
/* By the account that the market's terms name: locks money for the deficits of its auctions, or, with an
 * amount below zero, takes it back. */
struct market_reserve {
    struct name market;
    struct money amount;
};
/* Market-rules 4 and 5. all_or_none: whole at once on arrival, else cancelled; fill_and_kill: what
 * fits on arrival, the rest cancelled. */
enum order_kind { ORDER_LIMIT = 0, ORDER_ALL_OR_NONE = 1, ORDER_FILL_AND_KILL = 2 };
enum { ORDER_KIND_COUNT = 3 };
extern const char *const order_kind_names[ORDER_KIND_COUNT];
/* What an order asks for beyond quantity and price; all zero: a limit order, divisible in steps. A
 * market refuses what its mechanism does not carry out (UNSUPPORTED_ORDER). */
struct order_options {
    uint8_t kind;
    uint8_t indivisible;        /* trades whole or is passed over */
    uint16_t rank;              /* ordered demand: its place among its agent's bids */
    struct energy min_quantity; /* the least that its first fill must be; 0: a step */
};
extern const struct codec_record order_options_record;
/* By a DSO: buys regulation in the market's zone. Locks price x quantity, rounded up. */
struct request_place {
    struct name market;
    uint8_t direction;
    struct timestamp period_start;
    struct energy quantity;
    struct energy_price price; /* the most that it pays */
    struct name device;        /* for which it buys grid capacity or local energy; else empty */
    struct order_options options;
};
/* By a device's owner or manager. The declared schedule stays off the chain until the proof: hash =
 * H(SCHEDULE, salt, device, period start, net consumption in Wh of each unit). */
struct offer_place {
    struct name market;
    uint8_t direction;
    struct timestamp period_start;
    struct energy quantity;
    struct energy_price price; /* the least that it takes */
    struct name device;
    struct hash schedule_hash; /* zero where the market's method needs none */
    uint64_t reservation;      /* the deal that it answers for in the parent market; 0: none */
    struct order_options options;
};
/* By the order's participant. */
struct order_cancel {
    uint64_t order;
};
/* By the order's participant: the order as it is to be from now on. One that only lowers the quantity
 * keeps its time; any other takes it back and places a new one. */
struct order_replace {
    uint64_t order;
    struct energy quantity; /* the whole order's, with what it has traded already */
    struct energy_price price;
    struct hash schedule_hash; /* of an offer, as offer_place */
    struct order_options options;
};
/* In the order of enum coupled_link_type (contracts/clear_coupled.h). */
enum portfolio_link_type {
    LINK_AND = 0,
    LINK_OR = 1,
    LINK_XOR = 2,
    LINK_SUM = 3,
    LINK_BLOCK = 4,
    LINK_CONVERT = 5
};
enum { LINK_TYPE_COUNT = 6 };
extern const char *const link_type_names[LINK_TYPE_COUNT];
/* What ties bids of one portfolio together (market-rules 7). What the type does not use is zero. */
struct portfolio_link {
    uint8_t type;
    uint8_t op;             /* sum: enum row_op */
    struct energy quantity; /* sum */
    int64_t num;            /* convert: the second member is floor(the first x num / den) */
    int64_t den;
    uint32_t member_count;
    struct portfolio_member {
        uint8_t bid; /* its place in the portfolio */
    } members[LIMIT_PORTFOLIO_BIDS];
};
/* By anybody who may trade: bids for one coupled auction, that become orders of their own, and the links
 * between them. They enter together or not at all. */
struct portfolio_place {
    struct name market;
    uint8_t direction;
    struct timestamp start; /* of the auction's first interval */
    uint32_t bid_count;
    struct portfolio_bid {
        uint8_t side;
        uint16_t interval; /* of the auction, from 0 */
        struct energy quantity;
        struct energy min_quantity;
        struct energy_price price;
        uint8_t indivisible;
        uint16_t rank;    /* of a buy: its step; a later one trades only if all earlier are full */
        struct name node; /* where a buy without a device is; else empty: where the device is */
        struct name carrier;
        struct name device;        /* of an offer, and of a buy by anybody but a DSO */
        struct hash schedule_hash; /* of an offer, as offer_place */
    } bids[LIMIT_PORTFOLIO_BIDS];
    uint32_t link_count;
    struct portfolio_link links[LIMIT_PORTFOLIO_LINKS];
};
/* By anybody, in the window of a coupled auction: a solution of its problem (contracts/coupled_problem.h
 * for its bytes). What is wrong with it is no error but the event solution_judged, and a strike. */
struct solution_propose {
    struct name market;
    uint8_t direction;
    struct timestamp start;
    struct hash problem; /* the one that it solves: the auction's record has it */
    struct bytes_view solution;
};
enum { METER_BATCH_REASON_MAX = 128 };
/* By a meter operator: the fingerprint of one interval's readings (D5.5, IOTA verification). A
 * correction names the next revision and a reason. */
struct meter_batch {
    struct name id; /* the operator's own name for this group of meters */
    struct timestamp interval_start;
    struct duration interval;
    uint32_t count; /* readings under the root */
    struct hash root;
    uint32_t revision;        /* 0 the first time */
    struct bytes_view reason; /* text, empty at revision 0 */
};
/* By buyer or seller of the deal; the witness holds a delivery_witness (delivery.h). */
struct delivery_prove {
    uint64_t deal;
};

/* By buyer or seller of a proven deal: holds its money until the meter operator's correction or the
 * validators decide. Locks a bond. */
struct deal_dispute {
    uint64_t deal;
    struct hash evidence; /* of a document that the parties hold; not zero */
};
/* By the buyer of a reservation, its lead time ahead: asks for what was reserved, by a request in a
 * market that names the reservation's its parent. Locks price x quantity, rounded up. */
struct reservation_call_place {
    uint64_t deal; /* the reservation */
    struct name market;
    struct timestamp period_start;
    struct energy quantity;
    struct energy_price price; /* the most that it pays */
};

enum proposal_kind {
    PROPOSAL_ADD_VALIDATOR = 0,     /* new_key, operator, proof */
    PROPOSAL_REMOVE_VALIDATOR = 1,  /* old_key */
    PROPOSAL_REPLACE_VALIDATOR = 2, /* old_key, new_key, operator, proof; also a key's rotation */
    PROPOSAL_SET_FEES = 3,          /* the three fees */
    PROPOSAL_SET_MARKET = 4,        /* market, draft, height */
    PROPOSAL_DECIDE_DISPUTE = 5,    /* deal, credited */
    PROPOSAL_UPGRADE = 6            /* rules, height (contracts/rules.h) */
};
enum { PROPOSAL_KIND_COUNT = 7 };
extern const char *const proposal_kind_names[PROPOSAL_KIND_COUNT];
/* By an operator of a validator, who thereby votes for it. What the kind does not use is zero. */
struct governance_propose {
    uint8_t kind;
    struct public_key old_key; /* Ed25519, as all keys here */
    struct public_key new_key;
    struct name operator_name;
    /* Signature of the new key over H(KEY_PROOF, genesis, operator, new key). */
    struct signature proof;
    struct money fee_per_tx;
    struct money fee_per_action;
    struct money fee_per_deal;
    struct name market;
    struct hash draft; /* H(STATE_VALUE, draft_record as it stands): what exactly is voted on */
    uint64_t height;   /* from that block on */
    uint64_t deal;     /* a disputed one */
    struct energy credited; /* what is credited of all of it */
    uint32_t rules;         /* a version of the ledger's rules */
};
/* By an operator, for all validators that it operates; a later vote replaces the earlier one. */
struct governance_vote {
    uint64_t proposal;
    uint8_t approve;
};
/* Two votes of one validator in one view that exclude each other (docs/spec/consensus.md). Either
 * both N or both F, of different blocks, the lower id first; or U, then F. */
struct evidence_vote {
    uint8_t kind; /* enum vote_kind */
    struct hash block_id;
    struct signature signature;
};
/* By an operator of a validator, or a regulator. */
struct governance_evidence {
    struct public_key key;
    uint64_t epoch;
    uint64_t view;
    struct evidence_vote first;
    struct evidence_vote second;
};

/* The widest action record in memory. */
union action_record {
    struct participant_register participant_register;
    struct participant_status participant_status;
    struct participant_rotate_key participant_rotate_key;
    struct device_register device_register;
    struct device_delegate device_delegate;
    struct device_delegate_accept device_delegate_accept;
    struct device_transfer device_transfer;
    struct device_transfer_accept device_transfer_accept;
    struct device_status device_status;
    struct device_enrol device_enrol;
    struct alias_issue alias_issue;
    struct device_sheet device_sheet;
    struct token_mint token_mint;
    struct token_burn token_burn;
    struct token_transfer token_transfer;
    struct market_create market_create;
    struct market_update market_update;
    struct market_set_state market_set_state;
    struct market_reserve market_reserve;
    struct network_create network_create;
    struct network_add_node network_add_node;
    struct capacity_publish capacity_publish;
    struct network_line network_line;
    struct network_row network_row;
    struct portfolio_place portfolio_place;
    struct solution_propose solution_propose;
    struct request_place request_place;
    struct offer_place offer_place;
    struct order_cancel order_cancel;
    struct order_replace order_replace;
    struct meter_batch meter_batch;
    struct delivery_prove delivery_prove;
    struct deal_dispute deal_dispute;
    struct reservation_call_place reservation_call_place;
    struct forecast_publish forecast_publish;
    struct dispatch_send dispatch_send;
    struct dispatch_ack dispatch_ack;
    struct governance_propose governance_propose;
    struct governance_vote governance_vote;
    struct governance_evidence governance_evidence;
};

/* A proposal's content, which its record nests; and the votes of evidence, likewise. */
extern const struct codec_record governance_propose_record;
extern const struct codec_record evidence_vote_record;
/* contracts/network_records.c */
extern const struct codec_record network_create_record;
extern const struct codec_record network_node_record;
extern const struct codec_record capacity_publish_record;
extern const struct codec_record network_line_codec;
extern const struct codec_record network_row_codec;
/* contracts/coupled_records.c */
extern const struct codec_record portfolio_place_codec;
extern const struct codec_record portfolio_link_codec;
extern const struct codec_record solution_propose_codec;

/* The action's record table, with its name ("token_transfer"); NULL if no action has that type. */
const struct codec_record *action_codec(uint8_t type);
/* The most bytes that its record may have: LIMIT_ACTION_BYTES but for a few. */
size_t action_bytes_max(uint8_t type);
/* 0 if no action has that name. */
uint8_t action_from_name(const char *name);

#endif
