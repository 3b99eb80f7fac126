/* From an action to a proven receipt: nonce, fee, signature, POST, wait, proof.
 *
 * A transaction is reported as done only once the node's proof of its receipt has been checked
 * against the genesis file, unless --no-verify says otherwise (and then the output says so). */
#ifndef FLEX_TOOLS_SUBMIT_H
#define FLEX_TOOLS_SUBMIT_H

#include "contracts/transaction.h"
#include "tools/cli.h"

struct submit {
    uint32_t count;
    struct transaction_draft_action actions[LIMIT_ACTIONS_PER_TX];
    struct bytes_view witness; /* empty if none */
};

/* All actions in one transaction: all of them happen or none. The result gets id, height, status,
 * fee_ueur, events, proof_verified; with --dry-run only `actions`. Returns the exit code. */
int submit_run(struct cli *cli, const struct submit *submit);
/* The same for one action whose record is `record`. */
int submit_one(struct cli *cli, uint8_t action, const void *record);
/* Signs one and sends nothing: who has to survive a crash keeps it, then calls submit_envelope. `out` has
 * room for SUBMIT_ENVELOPE_BYTES_MAX; `nonce` and `valid_until` are what was signed. */
enum { SUBMIT_ENVELOPE_BYTES_MAX = LIMIT_TX_BYTES + LIMIT_WITNESS_BYTES };
struct submit_signed {
    size_t size;
    uint64_t nonce;
    struct timestamp valid_until;
    struct hash id;
};
int submit_sign(struct cli *cli, struct submit_signed *out, uint8_t *bytes,
                const struct submit *submit, const struct secret_key *secret,
                const struct public_key *key);
/* What can become of a signed transaction yet. */
enum submit_fate {
    SUBMIT_KNOWN, /* the node has it, or has its receipt */
    SUBMIT_OPEN, /* it may still be executed: a proven state shows its nonce unused and its time not over */
    SUBMIT_EXPIRED, /* it never was and never will be: nonce unused, time over, as a proven state shows */
    SUBMIT_SPENT /* its nonce is used, as a proven state shows, and the node does not know it: another
                       transaction took it, or the node has forgotten this one */
};
int submit_fate_of(struct cli *cli, enum submit_fate *out, const struct submit_signed *what,
                   const struct name *sender);
/* Posts a finished envelope and waits for its receipt like submit_run; `tx send`. */
int submit_envelope(struct cli *cli, struct bytes_view envelope);
/* Waits for a transaction that somebody sent; `tx wait`. `id` is hex. */
int submit_wait(struct cli *cli, const char *id);

/* The same without waiting: a final one with its receipt, proven; else that it is pending. */
int submit_show(struct cli *cli, const char *id);

#endif
