/* Aliases: names of devices that lead nobody to the device (market-rules 9, "a deal names the device by a
 * pseudonym fresh for that deal"; docs/spec/privacy.md; docs/adr/0041).
 *
 * A DSO issues them in batches. What an alias is an alias of only its opening says, which the manager, the
 * DSO and the meter operator keep, and can show a regulator. Pointers are never NULL. */
#ifndef FLEX_CONTRACTS_ALIAS_H
#define FLEX_CONTRACTS_ALIAS_H

#include "contracts/module.h"

enum { ALIAS_NONCE_SIZE = 32 };

/* What a manager asks for, and what the commitment on the ledger opens to. The manager signs all of it but
 * the meter keys, which the meter operator fills in. */
struct alias_opening {
    struct alias_issue issue;
    struct name device;
    uint8_t nonce[ALIAS_NONCE_SIZE];
    struct signature signature; /* BIP340 by the manager's key; see alias_request_message */
};
extern const struct codec_record alias_opening_record;

/* H(ALIAS, nonce, device, alias): whoever lacks the 256 bits of the nonce can't try devices. */
void alias_commitment(struct hash *out, const uint8_t nonce[ALIAS_NONCE_SIZE],
                      const struct name *device, const struct name *alias);
/* H(ALIAS_REQUEST, genesis, device, nonce, issue record with both meter keys zero). */
void alias_request_message(struct hash *out, const struct hash *genesis,
                           const struct alias_opening *opening);

/* Whether a device's name is an alias. */
bool alias_is(const struct contract_call *call, const struct name *device);

#endif
