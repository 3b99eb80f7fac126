/* The face that every contract module shows (house rule 5): a table of methods, an end-of-block
 * hook, and nothing else. State only through these calls; results only as writes and events.
 *
 * A method that returns an error is rolled back by the ledger with the whole transaction, so it may
 * return in the middle. It never allocates, loops without a limit, or looks at anything but its
 * arguments and the state. */
#ifndef FLEX_CONTRACTS_MODULE_H
#define FLEX_CONTRACTS_MODULE_H

#include "contracts/ledger.h"

struct contract_call {
    struct ledger *ledger;
    struct state_view *view;
    const struct block_context *context;
    /* Of the running transaction; NULL and empty at the end of a block. */
    const struct transaction *transaction;
    uint32_t action_index;
    struct name sender;
    uint32_t sender_roles;
};

typedef enum contract_error (*contract_method)(struct contract_call *call, const void *record);

struct contract_method_entry {
    uint8_t type; /* enum action_type */
    contract_method apply;
};

struct contract_module {
    const char *name;
    const struct contract_method_entry *methods;
    size_t method_count;
    void (*block_end)(struct contract_call *call); /* or NULL; in the order of the module table */
};

/* In the order in which block_end runs: membership, assets, token, market (with book), delivery (with
 * settlement), digest. The ledger's own fee split comes after them, and last of all the clock record:
 * until then it holds the time of the block before. counters.transactions counts this block's too. */
extern const struct contract_module membership_module;
extern const struct contract_module assets_module;
extern const struct contract_module token_module;
extern const struct contract_module market_module;
extern const struct contract_module delivery_module;
extern const struct contract_module digest_module;
/* Nothing at the end of a block; its place in the order does not matter. */
extern const struct contract_module governance_module;
extern const struct contract_module auction_module;
extern const struct contract_module coupled_module;
extern const struct contract_module alias_module;
extern const struct contract_module forecast_module;
extern const struct contract_module dispatch_module;

/* --- state ------------------------------------------------------------------------------- */

/* False if absent. A record that doesn't decode is our own bug and asserts. */
bool contract_read(const struct contract_call *call, const struct state_key *key,
                   const struct codec_record *codec, void *record);
void contract_write(const struct contract_call *call, const struct state_key *key,
                    const struct codec_record *codec, const void *record);
/* For index entries: a key with an empty value. */
void contract_write_index(const struct contract_call *call, const struct state_key *key);
bool contract_exists(const struct contract_call *call, const struct state_key *key);
void contract_remove(const struct contract_call *call, const struct state_key *key);
/* The next key above `after` with `prefix`; see state_ops.next. */
bool contract_next(const struct contract_call *call, struct bytes_view prefix,
                   struct bytes_view after, struct state_key *key, struct bytes_view *value);

/* Appends an event; CONTRACT_TOO_MANY_EVENTS is remembered and fails the transaction. At the end of
 * a block nothing can fail any more: there a hook asks for the room first, and running out asserts. */
void contract_event(const struct contract_call *call, uint8_t type, const void *record);
/* Bytes of events that still fit. */
size_t contract_event_room(const struct contract_call *call);
enum { CONTRACT_EVENT_BYTES_MAX = 1024 }; /* the largest event with its head */
/* Units of work (limits.h) since the block, or its end, began. A transaction over its limit fails
 * with TOO_MANY_EVENTS after the action that went over; at the end of a block a hook looks here and
 * leaves the rest to the next block. */
uint64_t contract_work(const struct contract_call *call);
/* Counts work that the state does not see, done over what was read from it. */
void contract_spend(const struct contract_call *call, uint64_t units);
/* Whether the running transaction is over its limit of work or of events: a method that may take long
 * asks, and gives up with TOO_MANY_EVENTS. */
bool contract_is_spent(const struct contract_call *call);
/* Whether the sender operates a validator of the set that makes this block. */
bool contract_operates_validator(const struct contract_call *call);
bool contract_has_role(const struct contract_call *call, uint32_t roles);

/* --- shared between modules -------------------------------------------------------------- */

/* token.c: the only code that changes pots. AMOUNT_NOT_POSITIVE, INSUFFICIENT_FUNDS or OVERFLOW.
 * Emits EVENT_TOKEN_MOVED. Emptied pots are removed, but balances. */
struct pot_id pot_balance(const struct name *participant);
struct pot_id pot_dispute_bond(uint64_t deal);
struct pot_id pot_market_reserve(const struct name *market);
struct pot_id pot_fees(void);
MUST_USE enum contract_error token_move(const struct contract_call *call, struct pot_id from,
                                        struct pot_id to, struct money amount);
/* The same without an event: fees, which the receipt names, and their split, which has its own. */
MUST_USE enum contract_error token_move_quiet(const struct contract_call *call, struct pot_id from,
                                              struct pot_id to, struct money amount);
struct money token_amount(const struct contract_call *call, struct pot_id pot);

/* Where money stands: in a pot's own record, or in that of an order or a deal, which whoever moves it has
 * read, and stores afterwards in the same action. */
struct purse {
    struct pot_id pot;
    struct money *held; /* in the order or deal; NULL: the pot has a record */
};
struct purse purse_of_pot(struct pot_id pot);
struct purse purse_of_balance(const struct name *participant);
struct purse purse_of_order(uint64_t id, struct order_record *order);
struct purse purse_of_deal(uint64_t id, struct deal_record *deal);
struct purse purse_of_deposit(uint64_t id, struct deal_record *deal);
/* token_move between purses. */
MUST_USE enum contract_error token_move_purse(const struct contract_call *call, struct purse from,
                                              struct purse to, struct money amount);

/* ledger_block.c: counts a change of a pot for the totals in the supply record. token.c's alone. */
void ledger_pot_changed(const struct contract_call *call, uint8_t kind, struct money before,
                        struct money after);

/* membership.c: UNKNOWN_PARTICIPANT or SUSPENDED, else fills *out. */
enum contract_error membership_require_active(const struct contract_call *call,
                                              const struct name *id,
                                              struct participant_record *out);

/* What the proof in participant_rotate_key signs: H(KEY_PROOF, genesis, id, new key). */
void membership_key_proof_message(struct hash *out, const struct hash *genesis,
                                  const struct name *id, const struct public_key *new_key);

/* assets.c: the right to offer (MFX III.A; market-rules 2), all but what is sold already: device
 * exists and is prequalified, sender owns or manages it for all of [from, until), it is enrolled in
 * the market of these terms and stands in its zone, or in one that it couples with that. */
enum contract_error assets_right_to_offer(const struct contract_call *call,
                                          const struct name *device,
                                          const struct market_create *terms, struct timestamp from,
                                          struct timestamp until, struct device_record *out);
/* The same of any participant. */
enum contract_error assets_right_of(const struct contract_call *call,
                                    const struct name *participant, const struct name *device,
                                    const struct market_create *terms, struct timestamp from,
                                    struct timestamp until, struct device_record *out);
/* Commitments are exact for market time units of 15, 30 and 60 minutes (records.h); a market of any
 * other is a BAD_PARAMETER. */
bool assets_mtu_is_supported(struct duration mtu);
/* Whether the sender owns the device or manages it over all of [from, until): UNKNOWN_DEVICE,
 * NOT_YOURS_TO_OFFER. */
enum contract_error assets_may_use_device(const struct contract_call *call,
                                          const struct name *device, struct timestamp from,
                                          struct timestamp until);
/* Whether the sender is the one who runs it then: its manager over all of that time, or where there is
 * none, its owner. The same errors. */
enum contract_error assets_runs_device(const struct contract_call *call, const struct name *device,
                                       struct timestamp from, struct timestamp until);
/* Books `per_unit` more (or less, if negative) per market time unit against the device's power, for
 * `count` units from `from`. OVER_DEVICE_POWER if it does not fit in one of them, or the device has
 * promised something there already in units of another length (then nothing is changed). `from` is a multiple of `mtu`, count 1 to LIMIT_INTERVALS_PER_PERIOD; releasing more
 * than was booked is our bug. */
enum contract_error assets_commit(const struct contract_call *call, const struct name *device,
                                  const struct device_record *record, enum direction direction,
                                  struct timestamp from, struct duration mtu, uint32_t count,
                                  struct energy per_unit);

/* Whom a device's power is booked for. */
enum commitment_for {
    COMMITMENT_SALE,        /* what is sold, or open to be */
    COMMITMENT_RESERVATION, /* the same, held until it is called */
    COMMITMENT_CALL,  /* what was reserved already: the power stays, and is reserved no longer */
    COMMITMENT_LIMIT, /* as a sale, a cap or a floor */
    COMMITMENT_LIMIT_CALL /* as a call, for a cap or a floor */
};
/* assets_commit for a purpose; a call is OVER_RESERVATION where less was reserved. Regulation and limits
 * do not go together in one quarter hour (OVER_DEVICE_POWER), and all limits of one, with what import the
 * device has asked for in capacity markets, lie within its connection (OVER_CONNECTION). */
enum contract_error assets_commit_for(const struct contract_call *call, enum commitment_for purpose,
                                      const struct name *device, const struct device_record *record,
                                      enum direction direction, struct timestamp from,
                                      struct duration mtu, uint32_t count, struct energy per_unit);
/* Whether anything of the device was sold, or called of what is reserved, in [from, until): such a day
 * says nothing about what it would have consumed (market-rules 9). At most a week. */
bool assets_was_activated(const struct contract_call *call, const struct name *device,
                          struct timestamp from, struct timestamp until);

/* book.c: remembers that a book must be called at the end of this block. False if too many. */
MUST_USE bool ledger_touch_book(struct ledger *ledger, const struct state_key *book_prefix);
/* The books touched so far, in key order, each once. */
uint32_t ledger_touched_count(const struct ledger *ledger);
const struct state_key *ledger_touched_book(const struct ledger *ledger, uint32_t index);
enum { LEDGER_BOOKS_PER_BLOCK_MAX = 16384 };

#endif
