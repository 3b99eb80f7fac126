/* What the chain's two files share: the cache's blocks, and one run of the state machine. */
#ifndef FLEX_NODE_CHAIN_INTERNAL_H
#define FLEX_NODE_CHAIN_INTERNAL_H

#include "node/chain.h"

/* Address space of one block's changes; its tree nodes get twice as much. What a block writes is
 * bounded by the limits of work, which its bytes and the state decide, so no legal block runs out:
 * at most 192 Ki writes by transactions, rolled back ones too, 640 Ki by clearings and calls (23,000
 * deals fit the events, 16 writes each; of the work on a network's figures half is reading), 160 Ki by
 * the end of orders that do not rest and 64 Ki by the sweep, of 250
 * bytes with bookkeeping on average and 500 at most, but for a called reservation's of up to 2 KB, one
 * write in eight of its transaction's: under 400 MiB. Of these at most 750,000 change different keys,
 * since what ends with its block was placed in it; each takes log2(keys of the state / keys changed)
 * + 2 tree nodes of 170 bytes: 1 GiB reaches to 2^26 keys. Pages are taken only as they fill. */
enum {
    CHAIN_OVERLAY_BYTES = 512 * 1024 * 1024,
    /* The committed state's view holds no changes. */
    CHAIN_COMMITTED_BYTES = 64 * 1024,
    CHAIN_FREE_OVERLAYS_MAX = 2, /* each keeps the pages of a block like the last ones */
    /* Count, all transactions' receipts, one more that went over, the block end's. */
    CHAIN_RECEIPTS_BYTES = LIMIT_RECEIPTS_BYTES_PER_BLOCK + LIMIT_EVENTS_BYTES_PER_TX +
                           LEDGER_BLOCK_EVENTS_BYTES_MAX + 1024
};

enum cached_state { CACHED_UNKNOWN, CACHED_VALID, CACHED_INVALID };

/* A block that is not final yet. */
struct cached_block {
    struct hash id;
    struct block_header header;
    uint8_t *body;
    size_t body_size;
    enum cached_state state;
    struct overlay *overlay;    /* sealed; NULL unless VALID */
    struct merkle_frontier log; /* over the ids up to and with this block; if VALID */
    struct hash *tx_ids;        /* if VALID */
    uint32_t tx_count;
    uint8_t *receipts; /* if VALID */
    size_t receipts_size;
};

struct chain {
    struct chain_backend backend;
    struct hash genesis;
    struct ledger *ledger;
    struct cached_block **blocks; /* room for CHAIN_BLOCKS_MAX */
    uint32_t block_count;
    size_t body_bytes;
    struct overlay *free_overlays[CHAIN_FREE_OVERLAYS_MAX];
    uint32_t free_overlay_count;
    struct overlay *committed;                             /* sealed and empty, on the base */
    void (*watch)(void *context, struct state_view *view); /* chain_watch */
    void *watch_context;
    uint32_t rules_last;    /* newest version of the rules that this program has */
    uint32_t rules;         /* of the next block */
    uint32_t rules_waiting; /* voted in for rules_height; 0: none */
    uint64_t rules_height;
    uint32_t rules_missing; /* chain_rules_missing */
    uint64_t rules_lacking; /* the last height that was said to be under rules that are not here */
    struct cached_block *last; /* the last one committed */
    struct store_block last_view;
    uint8_t last_header[BLOCK_HEADER_SIZE];
    uint8_t *last_finality; /* certificate, headers behind it (finality_decode) */
    size_t last_finality_capacity;
    /* Scratch of one run. */
    struct hash *leaves;    /* of receipts: LIMIT_TX_PER_BLOCK + 1 */
    struct hash *tx_leaves; /* LIMIT_TX_PER_BLOCK */
    struct hash *tx_ids;    /* LIMIT_TX_PER_BLOCK */
    struct hash *gone;      /* CHAIN_BLOCKS_MAX, of drop_obsolete */
    uint8_t *receipts;      /* CHAIN_RECEIPTS_BYTES */
    uint8_t *body;          /* LIMIT_BLOCK_BODY_BYTES, of the builder */
};

/* Where a block stands: the committed tip or an executed block of the cache. */
struct chain_parent {
    struct overlay *overlay; /* NULL: the committed state */
    struct hash id;
    uint64_t height;
    uint64_t view;
    uint64_t epoch; /* of its children */
    /* It ends its epoch, or stands above the block that does, and is not final: its children carry
     * no transactions [C-EPOCH.EMPTY]. */
    bool ends_epoch;
    struct timestamp time;
    struct merkle_frontier log;
};

struct cached_block *chain_find(const struct chain *chain, const struct hash *block_id);
/* False if there is no room. Takes a copy of the body. */
bool chain_cache(struct chain *chain, const struct block_header *header, struct bytes_view body,
                 struct cached_block **out);
struct overlay *chain_take_overlay(struct chain *chain);
void chain_give_overlay(struct chain *chain, struct overlay *overlay);
/* False if the parent is neither committed nor executed. */
bool chain_find_parent(const struct chain *chain, const struct hash *parent_id,
                       struct chain_parent *out);
/* The validator set that the state names, its hash, and the epoch that it is for. */
void chain_set_of(struct validator_set *out, struct state_view *view);
void chain_next_set(struct hash *out, struct state_view *view);
uint64_t chain_epoch_of(struct state_view *view);

#endif
