/* Virtual time: a heap of events by moment, then by the order in which they were made, so that two
 * runs of a seed never differ. Frames are shared by their deliveries. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void sim_at(struct sim *sim, uint64_t at_ms, const struct sim_event *event)
{
    MUST(sim->queue_count < SIM_QUEUE_MAX);
    if (sim->queue_count == sim->queue_capacity) {
        size_t capacity = sim->queue_capacity == 0 ? 1024 : sim->queue_capacity * 2;
        sim->queue = realloc(sim->queue, capacity * sizeof *sim->queue);
        MUST(sim->queue != NULL);
        sim->queue_capacity = capacity;
    }
    struct sim_event added = *event;
    added.at_ms = at_ms < sim->now_ms ? sim->now_ms : at_ms;
    added.order = sim->order++;
    size_t at = sim->queue_count++;
    for (; at > 0 && is_before(&added, &sim->queue[(at - 1) / 2]); at = (at - 1) / 2)
        sim->queue[at] = sim->queue[(at - 1) / 2];
    sim->queue[at] = added;
}

bool sim_next(struct sim *sim, struct sim_event *out)
{
    if (sim->queue_count == 0)
        return false;
    *out = sim->queue[0];
    struct sim_event last = sim->queue[--sim->queue_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= sim->queue_count)
            break;
        if (child + 1 < sim->queue_count && is_before(&sim->queue[child + 1], &sim->queue[child]))
            child++;
        if (!is_before(&sim->queue[child], &last))
            break;
        sim->queue[at] = sim->queue[child];
        at = child;
    }
    sim->queue[at] = last;
    return true;
}

void sim_node_at(struct sim *sim, const struct sim_node *node, enum sim_event_kind kind,
                 uint64_t delay_ms, uint64_t number)
{
    struct sim_event event = {.kind = kind,
                              .node = node->slot,
                              .peer = -1,
                              .generation = node->generation,
                              .number = number};
    sim_at(sim, sim->now_ms + delay_ms, &event);
}

void sim_queue_free(struct sim *sim)
{
    while (sim->queue_count > 0)
        sim_frame_release(sim->queue[--sim->queue_count].frame);
    free(sim->queue);
    sim->queue = NULL;
    sim->queue_capacity = 0;
}

struct sim_frame *sim_frame_new(struct bytes_view bytes)
{
    struct sim_frame *frame = malloc(sizeof *frame + bytes.size);
    MUST(frame != NULL && bytes.size <= LIMIT_FRAME_BYTES);
    frame->references = 1;
    frame->size = (uint32_t)bytes.size;
    if (bytes.size > 0)
        memcpy(frame->bytes, bytes.data, bytes.size);
    return frame;
}

void sim_frame_release(struct sim_frame *frame)
{
    if (frame != NULL && --frame->references == 0)
        free(frame);
}
