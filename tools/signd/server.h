/* The signer's socket (docs/spec/signer.md 1, 2). */
#ifndef FLEX_TOOLS_SIGND_SERVER_H
#define FLEX_TOOLS_SIGND_SERVER_H

#include <sys/types.h>

#include "tools/signd/guard.h"

enum {
    SIGND_CLIENTS_MAX = 8 /* the node, one that takes its place, and those who ask for the state */
};

struct signd {
    const char *socket;
    uid_t node_user; /* who may ask, besides the signer's own user */
    struct secret_key seed;
    struct public_key key;
    struct guard *guard;
};

/* Serves until SIGTERM or SIGINT (true), or until something fails that a restart may mend (false, with
 * the reason). Blocks these signals in the calling thread. */
bool signd_serve(struct signd *signd, char problem[NODE_PROBLEM_SIZE]);

/* The answer to one packet, as if it had come over the socket. False: the process must end. */
bool signd_answer(struct signd *signd, struct signer_answer *answer, struct bytes_view packet,
                  char problem[NODE_PROBLEM_SIZE]);

#endif
