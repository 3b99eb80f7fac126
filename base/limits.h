/* Every limit of the system, with where it comes from. A decoder, queue or loop that is not bounded
 * by one of these is a defect (architecture.md, "Rules that hold everywhere"). */
#ifndef FLEX_BASE_LIMITS_H
#define FLEX_BASE_LIMITS_H

#include "base/assumptions.h"

enum {
    /* consensus.md: n = 4..31. One byte holds an index, one u32 a set of signers. */
    LIMIT_VALIDATORS = 31,
    LIMIT_VALIDATORS_MIN = 4,

    /* One signed transaction without its witness. An aggregator's portfolio is 100 orders in one
     * transaction (flexbench batch mode); actions stay under 512 bytes but for a few (action_bytes_max). */
    LIMIT_ACTIONS_PER_TX = 128,
    LIMIT_ACTION_BYTES = 512,
    LIMIT_TX_BYTES = 72 * 1024,
    /* Readings, salts and paths of one delivery proof: 96 intervals x (reading 128 + 24 siblings x
     * 32 bytes) = 86 KiB, rounded up. */
    LIMIT_WITNESS_BYTES = 128 * 1024,

    /* A block must reach a quorum well inside t_cert: 2 MiB over 100 Mbit/s take 170 ms. */
    LIMIT_BLOCK_BODY_BYTES = 2 * 1024 * 1024,
    LIMIT_TX_PER_BLOCK = 8192,
    /* Events of one block, also its receipts' size; a transaction's are cut off before. */
    LIMIT_EVENTS_BYTES_PER_TX = 256 * 1024,
    /* Receipts of all transactions of one block, without the block end's: 8192 of them with 4 KiB
     * of events each. A block whose receipts are larger is invalid, so that no mix of actions can
     * make one that nodes cannot store. */
    LIMIT_RECEIPTS_BYTES_PER_BLOCK = 32 * 1024 * 1024,
    /* Work: one unit for each write, removal or step of a walk over the state, also of what is rolled
     * back afterwards. Counted by the ledger, so it depends on the block's bytes and the state alone;
     * it bounds time and memory of a block where its bytes don't: one offer of 100 hours is 108 bytes
     * long and books 400 quarter hours.
     * A transaction: 128 such offers are 51,840 units.
     * A block's transactions: none may follow once they have done that much. Some 18,000 plain orders
     * at 7 units each.
     * The end of a block: the clearings of capacity markets come first, and one that would go over their
     * share waits for the next block; calls of books, at up to 16 units for a deal, stop between two
     * books; and the sweep of deadlines has its own share, so that busy books never keep an escrow
     * locked; so has the end of orders that do not rest, a little over what placing as many has taken. */
    LIMIT_WORK_PER_TX = 64 * 1024,
    LIMIT_WORK_PER_BLOCK = 128 * 1024,
    LIMIT_WORK_OF_CLEARINGS = 128 * 1024,
    LIMIT_WORK_OF_CALLS = 512 * 1024,
    LIMIT_WORK_OF_ENDS = 160 * 1024,
    LIMIT_WORK_OF_SWEEP = 64 * 1024,

    /* State records: keys stay under LMDB's 511 bytes, the largest record under 4 KiB. */
    LIMIT_STATE_KEY_BYTES = 128,
    LIMIT_STATE_VALUE_BYTES = 4096,

    /* Views between the last finalized one and the current one that a node keeps records of. At
     * the largest timeout (30 s) a partition may last 34 hours before a node has to wait. */
    LIMIT_VIEW_WINDOW = 4096,

    /* One frame between nodes: a block body, its header, its vote and slack. */
    LIMIT_FRAME_BYTES = 4 * 1024 * 1024,
    /* Blocks and bytes of one range answer; the header chain behind it is at most the window. */
    LIMIT_RANGE_BLOCKS = 64,

    /* Intervals of one delivery period: a day of quarter hours, with the long day's 100. */
    LIMIT_INTERVALS_PER_PERIOD = 100,
    /* Readings that one proof of delivery reveals: a day of quarter hours, or an hour of them on 15
     * days with the window of a baseline's adjustment. With paths of depth 9 they fill a witness. */
    LIMIT_READINGS_PER_PROOF = 256,
    /* Candidate days of a baseline that the ledger computes, and how far back it looks for them: as
     * long as fingerprints stay open to correction. */
    LIMIT_PROOF_DAYS = 60,
    /* Fingerprints that one batch may have one after the other: a correction is an exception, and a
     * proof walks back over them to the last that came in time. */
    LIMIT_BATCH_REVISIONS = 64,
    /* Activations of one reserved delivery period: one an hour, of a day of hours. */
    LIMIT_CALLS_PER_RESERVATION = 24,
    /* Days from which a baseline may be computed: a year of them. */
    LIMIT_BASELINE_DAYS = 366,
    /* Depth of a block's tree of receipts: LIMIT_TX_PER_BLOCK and the block end's. */
    LIMIT_RECEIPT_PATH = 14,
    /* Depth of a batch tree of readings: 2^24 meters. */
    LIMIT_MERKLE_PATH = 24,

    /* A network's tree of transformers, feeders and nodes: as many as the events of the fullest book
     * leave room to name, each with an offer that it cut (contracts/book.h). A node's path to the root
     * is what every matched quantity is held against. */
    LIMIT_NETWORK_NODES = 512,
    LIMIT_NETWORK_DEPTH = 16,
    /* Intervals of one publication of capacity: a day of hours, in one action. */
    LIMIT_CAPACITY_INTERVALS = 24,
    /* What a network may have for coupled auctions beside its nodes: lines enough for a mesh, and rows for
     * both ends of a voltage band at a quarter of the nodes. A row's coefficients are one stored record. */
    LIMIT_NETWORK_LINES = 1024,
    LIMIT_NETWORK_ROWS = 256,
    LIMIT_ROW_COEFS = 100,
    LIMIT_NETWORK_CARRIERS = 8, /* electricity, gas, heat, cold, hydrogen, ... */
    /* Bids that one action places together, a quarter-hour's for each of a long day, and what links them:
     * as many links, each naming all bids, as one stored record holds. */
    LIMIT_PORTFOLIO_BIDS = 100,
    LIMIT_PORTFOLIO_LINKS = 24,
    /* The largest actions, alone in their transaction or nearly: a portfolio, a row, and a solution of a
     * coupled auction, at some five bytes for each of 10,000 bids. */
    LIMIT_PORTFOLIO_BYTES = 20 * 1024,
    LIMIT_ROW_BYTES = 3584,
    LIMIT_SOLUTION_BYTES = 56 * 1024,
    LIMIT_SOLUTION_ACTION_BYTES = LIMIT_SOLUTION_BYTES + 128,

    /* Feeders of one transformer that a market couples with its own zone, and the largest terms with them. */
    LIMIT_MARKET_ZONES = 16,
    LIMIT_TERMS_BYTES = 1024,

    LIMIT_MARKETS = 1024,
    LIMIT_OPEN_ORDERS_PER_BOOK = 20000
};

/* One order: a terawatt-hour at 1,000 euro per kWh costs 10^18 micro-euro, which still fits, and all
 * open orders of a book add up far under 2^63. */
static const int64_t limit_order_wh = 1000000000000;
static const int64_t limit_price_ueur_per_kwh = 1000000000;
/* Capacity of a node: a terawatt, so that what was sold of it never overflows beside it. */
static const int64_t limit_capacity_w = 1000000000000;
/* A row's coefficient and right side: their products with all bids of an auction stay far under 2^127. */
static const int64_t limit_row_coef = 1000000000000000;
static const int64_t limit_row_rhs = 1000000000000000000;
/* Gate closure at most a year before delivery; proofs at most 45 days after it, and the fingerprints
 * that they lead to stay open to correction a little longer than that. */
static const int64_t limit_gate_closure_ms = 366LL * 86400000;
/* Delivery starts at most four years after its order: a period after next year's gate, and no order that
 * outlives everybody, with what waits for it. */
static const int64_t limit_period_ahead_ms = 4 * 366LL * 86400000;
static const int64_t limit_proof_deadline_ms = 45LL * 86400000;
static const int64_t limit_meter_batch_ms = 60LL * 86400000;
/* The longest validity of a device's alias: one deal's delivery with its calls, and not a habit. */
static const int64_t limit_alias_ms = 7LL * 86400000;
/* A dispute that nobody decides in that time lapses: the validators' proposals live for seven days, so
 * there is time for several. */
static const int64_t limit_dispute_ms = 30LL * 86400000;

_Static_assert(LIMIT_FRAME_BYTES > LIMIT_BLOCK_BODY_BYTES + LIMIT_VIEW_WINDOW * 400,
               "a range answer holds one full body and a window of headers");
_Static_assert(LIMIT_TX_BYTES >= LIMIT_ACTIONS_PER_TX * LIMIT_ACTION_BYTES + 1024,
               "a transaction of the largest actions fits");
_Static_assert(LIMIT_TX_BYTES >= LIMIT_SOLUTION_ACTION_BYTES + 1024,
               "a transaction with the largest solution fits");
_Static_assert(LIMIT_TX_PER_BLOCK + 1 <= 1 << LIMIT_RECEIPT_PATH,
               "a receipt's path reaches the root of the fullest block");
_Static_assert(LIMIT_BLOCK_BODY_BYTES > LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES,
               "every legal transaction fits into a block");

#endif
