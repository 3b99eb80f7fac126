/* What this wallet has verified last: HOME/verified-CHAIN.json, one small file per chain, with the
 * highest block that any proof has shown.
 *
 * A node that answers with an older state than that is behind, or hides what is newer. A proof cannot
 * tell; the memory can. Nothing is kept where there is no HOME directory. */
#ifndef FLEX_TOOLS_SEEN_H
#define FLEX_TOOLS_SEEN_H

#include "tools/cli.h"
#include "verify/proof.h"

enum seen_result {
    SEEN_FINE,   /* as new as what was seen, and kept if newer */
    SEEN_OLDER,  /* a state before the one that was seen */
    SEEN_OTHER,  /* another block of the height that was seen: two histories */
    SEEN_DAMAGED /* the file is not what this program wrote */
};

struct seen {
    uint64_t height; /* 0: nothing yet */
    struct hash block_id;
};

/* Compares a verified proof with the file and updates it; *out is what had been seen. What can't be
 * written is said on standard error and fails nothing. */
enum seen_result seen_check(struct cli *cli, const struct proof_trust *trust,
                            const struct proof *proof, struct seen *out);
/* The file's name, for messages. False if the path is too long. */
bool seen_path(char *out, size_t size, const struct cli *cli, const struct hash *chain);

#endif
