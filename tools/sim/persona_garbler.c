/* Sends frames that are none: cut off, with a flipped byte, with bytes behind them, of unknown types,
 * empty (scenario 65, as far as the decoders of the core go). */
#include <string.h>

#include "tools/sim/persona.h"

static bool garble(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    uint8_t bytes[4096];
    size_t size = send->frame->size;
    size_t at = 0;
    if (!sim_chance(sim, 300) || size + 1 > sizeof bytes)
        return false;
    memcpy(bytes, send->frame->bytes, size);
    bytes[size] = 0;
    switch (sim_below(sim, 5)) {
    case 0:
        size = (size_t)sim_below(sim, size + 1);
        break;
    case 1:
        at = (size_t)sim_below(sim, size);
        bytes[at] ^= (uint8_t)(1 + sim_below(sim, 255));
        break;
    case 2:
        size++;
        break;
    case 3:
        bytes[0] = (uint8_t)sim_below(sim, 256);
        break;
    default:
        size = 0;
        break;
    }
    sim_persona_scatter(sim, node, bytes_view_of(bytes, size), 500);
    return sim_chance(sim, 500);
}

const struct sim_persona sim_persona_garbler = {
    .name = "garbler", .text = "sends frames that are none", .send = garble};
