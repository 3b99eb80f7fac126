/* The state machine's front door: genesis, transactions, end of block. A block's result is a
 * function of its bytes and the state before it; nothing here reads a clock or keeps memory. */
#ifndef FLEX_CONTRACTS_LEDGER_H
#define FLEX_CONTRACTS_LEDGER_H

#include "contracts/errors.h"
#include "contracts/events.h"
#include "contracts/genesis.h"
#include "contracts/state.h"
#include "contracts/transaction.h"

/* What a contract may know of the block. */
struct block_context {
    struct hash genesis;
    uint64_t height;
    struct timestamp time;
    struct hash parent_id;
    struct hash log_root; /* history log over all blocks before this one */
};

struct receipt {
    struct hash tx_id; /* zero for the receipt of the end of the block */
    uint16_t status;   /* enum contract_error */
    struct money fee;
    struct bytes_view events; /* events.h; at most LIMIT_EVENTS_BYTES_PER_TX in a transaction's,
                                 LEDGER_BLOCK_EVENTS_BYTES_MAX in the block end's */
};
/* A block body holds at most some 36,000 orders (2 MiB / 58 bytes); 16 MiB leave 460 bytes of
 * events to each. What ends orders and deals at the end of a block stops before they run out
 * (contract_event_room) and goes on in the next block. */
enum { LEDGER_BLOCK_EVENTS_BYTES_MAX = 16 * 1024 * 1024 };
extern const struct codec_record receipt_record;
void receipt_leaf(struct hash *out, const struct receipt *receipt);

/* Working memory of one block: events, books touched, scratch for clearing. Created once by the
 * node and used again for each block, so that no contract call allocates. */
struct ledger;
struct ledger *ledger_create(void);
void ledger_destroy(struct ledger *ledger);

/* Writes the genesis state. False on a fault of the view or a genesis with a problem. */
bool ledger_genesis(struct state_view *view, const struct genesis *genesis);

/* May this transaction stand at this place of a block? All checks but the signature, which the
 * caller has verified. CONTRACT_OK or one of the TX_ errors; changes nothing. */
enum contract_error ledger_transaction_check(struct state_view *view,
                                             const struct block_context *context,
                                             const struct transaction *transaction);
/* What a transaction costs: fee_per_tx, and fee_per_action for each action. Mints and burns alone, by
 * an active treasurer, are free, or the first token could never be made. */
struct money ledger_transaction_fee(struct state_view *view, const struct transaction *transaction);

void ledger_block_begin(struct ledger *ledger, struct state_view *view,
                        const struct block_context *context);
/* Runs one transaction. An error of the TX_ group: not includable, nothing changed, the block is
 * invalid if it holds it. Otherwise *receipt is filled (its events live until the next call). */
enum contract_error ledger_transaction_apply(struct ledger *ledger,
                                             const struct transaction *transaction,
                                             struct receipt *receipt);
/* True once the transactions applied since ledger_block_begin have done LIMIT_WORK_PER_BLOCK: a block
 * that holds another one after that is invalid. A function of the block's bytes and the state. */
bool ledger_block_is_full(const struct ledger *ledger);
/* Clears the books that the block touched, ends what is due, splits fees, writes the daily digest.
 * *receipt is the block end's (tx_id zero), events valid until the next block. */
void ledger_block_end(struct ledger *ledger, struct receipt *receipt);
/* After block_end: the pots of each kind changed exactly as the supply record says, and what it says is
 * held is what was minted less what was burned. Computed from the view's changes alone, not by the code
 * that moved the money. */
bool ledger_conserves_value(struct state_view *view);

/* Look-ups for wallets, API and mempool. False if absent. */
bool ledger_participant_by_key(struct state_view *view, const struct public_key *key,
                               struct name *id, struct participant_record *record);
struct money ledger_balance(struct state_view *view, const struct name *participant);
/* Decodes the record at `key`. */
bool ledger_read(struct state_view *view, const struct state_key *key,
                 const struct codec_record *codec, void *record);

#endif
