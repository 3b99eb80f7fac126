/* What a validator's vote signs (consensus.md 2). It stands here and not in consensus/, because
 * contracts, which know nothing of consensus, judge evidence by it. */
#ifndef FLEX_CRYPTO_VOTE_MESSAGE_H
#define FLEX_CRYPTO_VOTE_MESSAGE_H

#include "crypto/sign.h"

enum vote_kind { VOTE_NOTARIZE = 0, VOTE_NULLIFY = 1, VOTE_FINALIZE = 2, VOTE_KIND_COUNT = 3 };
extern const char *const vote_kind_names[VOTE_KIND_COUNT];

/* What a vote's signature covers: H(VOTE, "simplex1/", kind, genesis, epoch, view, block id); the
 * id is zero for VOTE_NULLIFY. */
void vote_message(struct hash *out, const struct hash *genesis, uint8_t kind, uint64_t epoch,
                  uint64_t view, const struct hash *block_id);

#endif
