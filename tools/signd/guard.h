/* What a signer has signed, and whether the next vote may be signed beside it (docs/spec/signer.md 4).
 *
 * HOME/votes/state      which key, chain and epoch the votes are of; made by `flexsignd init` and by
 *                       nothing else, so that its absence shows
 * HOME/votes/epoch-N/   a vote journal (storage/journal.h) that holds the own votes of epoch N
 *
 * One process holds a home at a time. Not safe for threads. */
#ifndef FLEX_TOOLS_SIGND_GUARD_H
#define FLEX_TOOLS_SIGND_GUARD_H

#include "node/config.h"
#include "node/signer_protocol.h"

struct guard;

/* Whether there are no votes in this home, of whomever; false with a sentence that says what to do. */
bool guard_may_create(const char *home, char problem[NODE_PROBLEM_SIZE]);
/* Makes HOME/votes for a key that has never voted. False with the reason; also if it is there. */
bool guard_create(const char *home, const struct public_key *key, char problem[NODE_PROBLEM_SIZE]);
/* Takes away what guard_create has made in a home whose key was never written: nothing was signed with it. */
void guard_discard(const char *home);
/* Opens it and reads every vote of the newest epoch. NULL with a sentence that says what to do if it is
 * missing, damaged, older than itself, or another key's. */
struct guard *guard_open(const char *home, const struct public_key *key,
                         char problem[NODE_PROBLEM_SIZE]);
void guard_close(struct guard *guard);

/* May this vote be signed? Changes nothing. *known: it was signed before, and may be again without
 * guard_note. */
enum signer_result guard_judge(const struct guard *guard, const struct hash *genesis,
                               const struct vote *vote, bool *known);
/* Writes and syncs a vote that guard_judge has let pass; its signature may be given away only after
 * that. False with the reason if it could not be written: then the process must end. Aborts it if a
 * write or sync fails half-way. */
bool guard_note(struct guard *guard, const struct hash *genesis, const struct vote *vote,
                char problem[NODE_PROBLEM_SIZE]);
/* The watermark. */
void guard_watermark(const struct guard *guard, uint64_t *epoch, uint64_t *view);
/* Zero before the first vote: the first one binds the key to its chain. */
const struct hash *guard_genesis(const struct guard *guard);

/* Takes over what a node has voted with its own key, from the journals of its home; the node must be
 * down. *votes: how many. */
bool guard_import(struct guard *guard, uint64_t *votes, const char *node_home,
                  const struct hash *genesis, char problem[NODE_PROBLEM_SIZE]);

#endif
