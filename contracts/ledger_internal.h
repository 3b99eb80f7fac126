/* What the files of the ledger share and modules never see. */
#ifndef FLEX_CONTRACTS_LEDGER_INTERNAL_H
#define FLEX_CONTRACTS_LEDGER_INTERNAL_H

#include "contracts/module.h"
#include "contracts/rules.h"

/* contracts/ledger_recall.c: records of this block that were read or written before. */
enum { RECALL_ENTRIES = 2048, RECALL_ORDERS = 4096 };
struct recall {
    uint64_t era; /* entries of another one are forgotten */
    bool written; /* since the transaction began, one of a kind that is remembered */
    struct recall_entry {
        uint64_t era;
        struct state_key key;
        union {
            struct market_record market;
            struct device_record device;
            struct enrolment_record enrolment;
            struct participant_record participant;
            struct commitment_record commitment;
            struct pot_record pot;
            struct counters_record counters;
            struct deadline_record deadline;
            struct book_size_record size;
            struct book_share_record share;
        } record;
    } entries[RECALL_ENTRIES];
    /* Orders, by the last bits of their numbers: those of one block never drive out each other. */
    struct recall_order {
        uint64_t era;
        struct state_key key;
        struct order_record order;
    } orders[RECALL_ORDERS];
};
bool recall_read(struct recall *recall, struct state_view *view, const struct state_key *key,
                 const struct codec_record *codec, void *record);
/* The record was written. */
void recall_wrote(struct recall *recall, const struct state_key *key,
                  const struct codec_record *codec, const void *record);
void recall_removed(struct recall *recall, const struct state_key *key);
void recall_forget_all(struct recall *recall);
void recall_begin_transaction(struct recall *recall);
void recall_rolled_back(struct recall *recall);

/* What a version of the rules does for each action. */
struct ledger_methods {
    contract_method of[ACTION_TYPE_LIMIT];
};

struct ledger {
    struct ledger_methods methods[LEDGER_RULES_KEPT_MAX]; /* by version, from the first */
    uint32_t rules;                                       /* of the running block */
    struct state_view *view;
    struct block_context context;
    struct params_record params; /* as the block found them */
    uint64_t transactions;       /* of this block */
    uint64_t work;               /* units so far, of the transactions or of the block's end */
    uint64_t work_before;        /* the running transaction's actions */
    struct recall recall;
    struct book_scratch *book_scratch;
    struct grid *grid;
    struct auction_scratch *auction_scratch;
    struct capacity_scratch *capacity_scratch;
    struct coupled_scratch *coupled_scratch;
    /* By how much the pots of each kind changed in this block, micro-euro. */
    int64_t held_change[POT_KIND_COUNT];
    /* Writes into one of the two buffers below: the running transaction's, or the block end's. */
    struct byte_writer events;
    /* Books in the order in which they were first touched; `touched_order` sorts them by key. */
    uint32_t touched_count;
    uint16_t touched_order[LEDGER_BOOKS_PER_BLOCK_MAX];
    struct state_key touched[LEDGER_BOOKS_PER_BLOCK_MAX];
    uint8_t transaction_events[LIMIT_EVENTS_BYTES_PER_TX];
    uint8_t block_events[LEDGER_BLOCK_EVENTS_BYTES_MAX];
};

/* ledger.c */
void ledger_write(struct state_view *view, const struct state_key *key,
                  const struct codec_record *codec, const void *record);

/* ledger_block.c */
/* Forgets the books touched since there were `count` of them. */
void ledger_untouch_books(struct ledger *ledger, uint32_t count);
void ledger_count_transactions(const struct contract_call *call, uint64_t transactions);
/* Writes this block's changes of what the pots hold into the supply record. */
void ledger_write_held(const struct contract_call *call);
/* Splits the fee pool at the end of a fee period, and writes the clock record. */
void ledger_split_fees(const struct contract_call *call);

#endif
