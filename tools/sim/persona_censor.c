/* As a leader passes over every transaction, and passes none on (scenario 51). */
#include "tools/sim/persona.h"

static bool hide(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    (void)sim;
    (void)node;
    return sim_send_type(send) == MESSAGE_TRANSACTIONS;
}

const struct sim_persona sim_persona_censor = {.name = "censor",
                                               .text = "as a leader proposes empty blocks only",
                                               .censors = true,
                                               .send = hide};
