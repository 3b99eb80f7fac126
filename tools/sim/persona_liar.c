/* Lies to those who catch up (scenarios 36, 49): claims heights that nobody has, then low ones, answers
 * with ranges that are cut, spoilt, of another place, or without end. */
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/persona.h"

static void claim(struct sim *sim, struct sim_node *node)
{
    struct message_status status = {.epoch = node->epoch, .final_height = node->store.tip.height};
    uint8_t bytes[64];
    struct byte_writer writer;
    /* One draw of chance per statement: C does not say in which order an initializer makes them. */
    status.view = node->core->view + sim_below(sim, 100);
    status.final_view = node->core->final_view + sim_below(sim, 100);
    if (sim_chance(sim, 500))
        status.final_height += sim_chance(sim, 500) ? sim_below(sim, 100) : UINT64_MAX / 3;
    else
        status.final_height = sim_below(sim, status.final_height + 1);
    byte_writer_init(&writer, bytes, sizeof bytes);
    message_encode_status(&writer, &status);
    MUST(!writer.failed);
    sim_persona_scatter(sim, node, bytes_view_of(bytes, writer.size), 700);
}

/* An answer to a range with a spoilt byte, or a range from elsewhere. */
static bool answer(struct sim *sim, struct sim_node *node, int from, struct bytes_view frame)
{
    struct message_get_range question;
    if (frame.size == 0 || frame.data[0] != MESSAGE_GET_RANGE ||
        !message_decode_get_range(&question, bytes_view_of(frame.data + 1, frame.size - 1)))
        return false;
    uint64_t way = sim_below(sim, 4);
    if (way == 0)
        return true;
    if (way == 1) {
        sim_serve_range(sim, node, from, 1 + sim_below(sim, node->store.tip.height + 1), 3);
        return true;
    }
    sim_serve_range(sim, node, from, question.height, question.count);
    if (way == 2 || sim->queue_count == 0)
        return true;
    /* The last frame that was queued is the answer: a copy of it, spoilt, comes first. */
    uint8_t junk[2048];
    size_t size = 1 + sim_below(sim, sizeof junk - 1);
    junk[0] = MESSAGE_RANGE;
    for (size_t i = 1; i < size; i++)
        junk[i] = (uint8_t)sim_below(sim, i < 8 ? 2 : 256);
    sim_send_now(sim, node, from, bytes_view_of(junk, size));
    return true;
}

static bool spoil(struct sim *sim, struct sim_node *node, const struct sim_send *send)
{
    (void)node;
    return sim_send_type(send) == MESSAGE_STATUS && sim_chance(sim, 500);
}

const struct sim_persona sim_persona_liar = {.name = "liar",
                                             .text =
                                                 "claims false heights, answers with false ranges",
                                             .send = spoil,
                                             .hear = answer,
                                             .act = claim};
