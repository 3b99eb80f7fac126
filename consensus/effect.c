/* The effects of one step: a bounded list, journal records first (consensus/bft.h).
 *
 * Invariants
 *   1. Every PERSIST stands before every other effect of the step [C-WRITE].
 *   2. The list never overflows: loops that emit ask bft_has_room, which keeps BFT_ROOM_MIN free
 * for what one pass must say. Absent on purpose: any decision about what to say. */
#include "consensus/bft_internal.h"

#include <string.h>

#include "base/fatal.h"

static bool effect_is_record(enum bft_effect_kind kind)
{
    return kind <= BFT_PERSIST_CERTIFIED;
}

struct bft_effect *bft_emit(struct bft *core, enum bft_effect_kind kind, int to)
{
    struct bft_effect *effect = &core->nowhere;
    if (core->effects != NULL) {
        struct bft_effects *list = core->effects;
        MUST(list->count < BFT_EFFECTS_MAX);
        uint32_t at = list->count;
        if (effect_is_record(kind)) { /* [C-WRITE] */
            at = core->persist_count++;
            memmove(&list->items[at + 1], &list->items[at],
                    (list->count - at) * sizeof list->items[0]);
        }
        list->count++;
        effect = &list->items[at];
    }
    memset(effect, 0, sizeof *effect);
    effect->kind = kind;
    effect->to = to;
    return effect;
}

bool bft_has_room(const struct bft *core)
{
    return core->effects == NULL || (core->effects->count + BFT_ROOM_MIN <= BFT_EFFECTS_MAX &&
                                     core->pool_used + LIMIT_VALIDATORS <= BFT_POOL);
}

void bft_alarm(struct bft *core, const char *text)
{
    if (core->refusal != NULL)
        return;
    core->refusal = text;
    bft_emit(core, BFT_ALARM, BFT_PEER_NONE)->text = text;
}

void bft_strike(struct bft *core, const struct bft_input *input, const char *text)
{
    struct bft_effect *effect = bft_emit(core, BFT_STRIKE, input->from);
    effect->reply_to = input->reply_to;
    effect->text = text;
}

struct certificate *bft_pool_take(struct bft *core)
{
    if (core->pool_used == BFT_POOL)
        return NULL;
    return &core->pool[core->pool_used++];
}
