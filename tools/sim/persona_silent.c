/* Hears everything, says nothing: a validator that is down for good. */
#include "tools/sim/persona.h"

static bool swallow(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    (void)sim;
    (void)node;
    (void)send;
    return true;
}

const struct sim_persona sim_persona_silent = {
    .name = "silent", .text = "says nothing, ever", .send = swallow};
