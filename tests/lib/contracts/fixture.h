/* A small ledger for contract tests: genesis with four validators and one participant per role, keys
 * derived from names, blocks with or without transactions. Anything unexpected aborts the test. */
#ifndef FLEX_TESTS_FIXTURE_H
#define FLEX_TESTS_FIXTURE_H

#include "contracts/module.h"
#include "tests/lib/contracts/memory_state.h"

enum {
    FIXTURE_SIGNERS_MAX = 256,
    FIXTURE_ENVELOPE_BYTES = LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES,
    /* Genesis: 2026-01-05 00:00 UTC, a Monday. */
    FIXTURE_FEE_PER_TX = 1000,
    FIXTURE_FEE_PER_ACTION = 100,
    FIXTURE_FEE_PER_DEAL = 500,
    FIXTURE_BLOCK_MS = 1000
};
#define FIXTURE_TIME_MS INT64_C(1767571200000)

struct fixture {
    struct genesis genesis;
    struct hash genesis_id;
    struct memory_state *state;
    struct state_view *view;
    struct ledger *ledger;
    struct block_context context; /* of the open block, or of the last one */
    bool block_open;
    uint32_t signer_count;
    struct fixture_signer {
        struct name id;
        uint64_t nonce; /* last used */
        struct secret_key secret;
    } signers[FIXTURE_SIGNERS_MAX];
    struct receipt receipt;     /* of the last transaction that was included */
    struct receipt end_receipt; /* of the last block end */
    uint8_t *envelope;          /* FIXTURE_ENVELOPE_BYTES: the last one signed */
    size_t envelope_size;
};

/* Where it is not NULL: is shown every receipt, in the moment after it; `sender` is NULL at a block's end. */
extern void (*fixture_watch)(struct fixture *fixture, const struct name *sender,
                             const struct receipt *receipt);

/* Participants: operator (market operator), treasurer, dso, tso, agg and agg2 (aggregators), retail,
 * alice, bob and carol (prosumers), meters (meter operator), regulator. The validators' operators
 * are dso, agg, agg2 and operator. Nobody has money. A block is open. */
void fixture_open(struct fixture *fixture);
/* The same after `change` had its way with the genesis record; it must stay a legal one. */
void fixture_open_with(struct fixture *fixture, void (*change)(struct genesis *genesis));
void fixture_close(struct fixture *fixture);

struct name fixture_name(const char *text);
void fixture_secret(struct secret_key *out, const char *text);
struct public_key fixture_key(const char *text);

/* Closes the open block, checks conservation, opens the next one `ms` later. */
void fixture_next_block(struct fixture *fixture, int64_t ms);
/* The two halves of it. */
void fixture_end_block(struct fixture *fixture);
/* The open block is over without what the modules do at its end, so that a test can do some of it. */
void fixture_leave_block(struct fixture *fixture);
void fixture_begin_block(struct fixture *fixture, int64_t ms);

/* What the drafts below are made from: next nonce, an hour to live, a fee limit of 1 euro. */
struct fixture_signer *fixture_signer(struct fixture *fixture, const char *sender);
void fixture_draft(struct fixture *fixture, struct transaction_draft *draft, const char *sender);
void fixture_draft_add(struct transaction_draft *draft, uint8_t type, const void *record);
/* Signs and applies; counts the nonce if the transaction was included. The result is the TX_ error
 * or, if it was included, the receipt's status. */
enum contract_error fixture_send(struct fixture *fixture, const char *sender,
                                 const struct transaction_draft *draft);
/* One action in a transaction of its own. */
enum contract_error fixture_act(struct fixture *fixture, const char *sender, uint8_t type,
                                const void *record);
/* Bytes as they came. */
enum contract_error fixture_apply_bytes(struct fixture *fixture, struct bytes_view envelope);

/* Mints; each call uses a receipt reference of its own. */
void fixture_fund(struct fixture *fixture, const char *to, int64_t ueur);
/* By the market operator, who must have money for the fee; the key is fixture_key(id). */
void fixture_register(struct fixture *fixture, const char *id, uint32_t roles);
/* Registered by the owner, prequalified by dso; 10 kW, 13,500 Wh, connection 17,250 W. */
void fixture_device(struct fixture *fixture, const char *id, const char *owner, const char *zone);

int64_t fixture_balance(struct fixture *fixture, const char *id);
/* Sum over every pot of the state. */
int128 fixture_pots(struct fixture *fixture);
/* Sum over the pots of one kind. */
int128 fixture_pots_of(struct fixture *fixture, uint8_t kind);

#endif
