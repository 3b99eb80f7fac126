/* Forgets its journal at every restart, and restarts often (scenario 48): it votes again in views in
 * which it has voted, and does not ask the others whether it has. */
#include "tools/sim/persona.h"

static void forget(struct sim *sim, struct sim_node *node)
{
    (void)sim;
    node->core->trusted = true;
    node->core->refusal = NULL;
}

static void restart(struct sim *sim, struct sim_node *node)
{
    if (!sim_chance(sim, 150))
        return;
    sim_node_stop(sim, node, 1 + sim_below(sim, 100));
    sim_disk_free(node->disk);
    node->disk = sim_disk_new();
}

const struct sim_persona sim_persona_amnesiac = {.name = "amnesiac",
                                                 .text = "restarts often, without its journal",
                                                 .act = restart,
                                                 .restarted = forget};
