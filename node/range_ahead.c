/* See range_ahead.h.
 *
 * What is held or asked for stands in slots that never overlap when they are made. Questions fill the
 * lowest gap above what is decided, as far as peers claim to have whole ranges. An answer may hold fewer
 * blocks than asked: its slot shrinks, and what it leaves is a gap.
 *
 * Invariants
 *   1. One question ahead per peer at a time; RANGE_AHEAD_SLOTS ranges and RANGE_AHEAD_BYTES at most.
 *   2. What the core wants now is not kept but goes to it; what it may want later never does before.
 *   3. Everybody's share goes to another once it is late, and who is late rests.
 *   4. What a peer claims, and how fast it is, only chooses whom to ask.
 * Absent on purpose: any look into an answer beyond its first height and its count. */
#include "node/range_ahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

_Static_assert((int)P2P_PEERS_MAX <= 64, "a bit for each peer");

static uint64_t bit_of(uint32_t peer)
{
    return UINT64_C(1) << peer;
}

static void slot_drop(struct range_ahead_slot *slot)
{
    free(slot->bytes);
    memset(slot, 0, sizeof *slot);
}

static void drop_all(struct range_ahead *ahead)
{
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++)
        slot_drop(&ahead->slots[i]);
}

void range_ahead_init(struct range_ahead *ahead)
{
    memset(ahead, 0, sizeof *ahead);
    for (int i = 0; i < P2P_PEERS_MAX; i++)
        ahead->peers[i].stride = LIMIT_RANGE_BLOCKS;
}

void range_ahead_close(struct range_ahead *ahead)
{
    drop_all(ahead);
    ahead->active = false;
}

void range_ahead_link(struct range_ahead *ahead, uint32_t index, bool up)
{
    MUST(index < P2P_PEERS_MAX);
    struct range_ahead_peer *peer = &ahead->peers[index];
    peer->up = up;
    peer->claims = 0;
    peer->first = 0;
    peer->owes = 0;
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++) {
        struct range_ahead_slot *slot = &ahead->slots[i];
        if (!slot->in_use)
            continue;
        slot->asked &= ~bit_of(index);
        if (slot->bytes != NULL ? slot->peer == index : slot->asked == 0)
            slot_drop(slot);
        else if (slot->bytes == NULL && slot->peer == index)
            slot->late = true; /* what another still owes may come or not */
    }
}

void range_ahead_claim(struct range_ahead *ahead, uint32_t peer, uint64_t height)
{
    MUST(peer < P2P_PEERS_MAX);
    ahead->peers[peer].claims = height;
}

void range_ahead_pruned(struct range_ahead *ahead, uint32_t index, uint64_t first)
{
    MUST(index < P2P_PEERS_MAX);
    struct range_ahead_peer *peer = &ahead->peers[index];
    peer->first = first;
    if (peer->owes > 0)
        peer->owes--;
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++) {
        struct range_ahead_slot *slot = &ahead->slots[i];
        if (slot->in_use && slot->bytes == NULL && slot->peer == index && slot->from < first)
            slot->late = true;
    }
}

static struct range_ahead_slot *slot_at(struct range_ahead *ahead, uint64_t from)
{
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++)
        if (ahead->slots[i].in_use && ahead->slots[i].from == from)
            return &ahead->slots[i];
    return NULL;
}

static struct range_ahead_slot *slot_free(struct range_ahead *ahead)
{
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++)
        if (!ahead->slots[i].in_use)
            return &ahead->slots[i];
    return NULL;
}

/* The lowest begin of a slot above `height`. */
static uint64_t next_from(const struct range_ahead *ahead, uint64_t height)
{
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++) {
        const struct range_ahead_slot *slot = &ahead->slots[i];
        if (slot->in_use && slot->from > height && slot->from < next)
            next = slot->from;
    }
    return next;
}

static void slot_ask(struct range_ahead *ahead, struct range_ahead_slot *slot, uint32_t index,
                     uint64_t now_ms)
{
    struct range_ahead_peer *peer = &ahead->peers[index];
    slot->asked |= bit_of(index);
    slot->asked_ms = now_ms;
    slot->peer = index;
    slot->late = false;
    /* Older questions of a peer that is asked anew count as refused. */
    if (peer->owes > 0 && now_ms - peer->asked_ms >= RANGE_AHEAD_REST_MS)
        peer->owes = 0;
    peer->owes++;
    peer->asked_ms = now_ms;
}

void range_ahead_asked(struct range_ahead *ahead, uint64_t height, uint32_t count, int peer,
                       uint64_t now_ms)
{
    if (peer < 0)
        return;
    MUST(peer < P2P_PEERS_MAX);
    struct range_ahead_slot *slot = slot_at(ahead, height);
    if (slot == NULL && (slot = slot_free(ahead)) == NULL) {
        /* The core's own is worth more than the farthest. */
        slot = &ahead->slots[0];
        for (int i = 1; i < RANGE_AHEAD_SLOTS; i++)
            if (ahead->slots[i].from > slot->from)
                slot = &ahead->slots[i];
        slot_drop(slot);
    }
    slot->in_use = true;
    slot->from = height;
    slot->until = height + count;
    slot_ask(ahead, slot, (uint32_t)peer, now_ms);
}

enum range_ahead_word range_ahead_want(struct range_ahead *ahead, struct range_ahead_kept *out,
                                       uint64_t height, uint32_t *count, int peer, uint64_t now_ms)
{
    MUST(height > 0 && *count > 0 && *count <= LIMIT_RANGE_BLOCKS);
    range_ahead_passed(ahead, height - 1, now_ms);
    const bool again = ahead->active && ahead->wanted == height;
    ahead->active = true;
    ahead->wanted_ms = now_ms;
    ahead->wanted = height;
    const uint64_t next = next_from(ahead, height);
    if (next - height < *count)
        *count = (uint32_t)(next - height);
    struct range_ahead_slot *slot = slot_at(ahead, height);
    if (slot != NULL && slot->bytes != NULL) {
        *out = (struct range_ahead_kept){slot->bytes, slot->size, slot->peer};
        slot->bytes = NULL;
        slot_drop(slot);
        return RANGE_AHEAD_TAKE;
    }
    if (slot != NULL && !slot->late && !again)
        return RANGE_AHEAD_WAIT;
    range_ahead_asked(ahead, height, *count, peer, now_ms);
    return RANGE_AHEAD_ASK;
}

static void measure(struct range_ahead_peer *peer, uint64_t now_ms)
{
    const uint64_t took = now_ms - peer->asked_ms;
    peer->takes_ms = peer->measured ? (3 * peer->takes_ms + took) / 4 : took;
    peer->measured = true;
    if (peer->owes > 0)
        peer->owes--;
}

/* How many blocks this peer is asked for next: as many as fit its answers, and more if they all came. */
static void learn_stride(struct range_ahead_peer *peer, uint32_t asked, uint32_t came)
{
    uint32_t stride = came < asked ? came : 2 * peer->stride;
    peer->stride = stride > LIMIT_RANGE_BLOCKS ? LIMIT_RANGE_BLOCKS : stride;
}

enum range_ahead_fate range_ahead_answer(struct range_ahead *ahead, uint32_t index, uint64_t height,
                                         uint32_t count, struct bytes_view payload, uint64_t now_ms)
{
    MUST(index < P2P_PEERS_MAX);
    measure(&ahead->peers[index], now_ms);
    struct range_ahead_slot *slot = slot_at(ahead, height);
    if (slot == NULL || (slot->asked & bit_of(index)) == 0 || count == 0)
        return RANGE_AHEAD_TO_CORE;
    const uint32_t asked = (uint32_t)(slot->until - slot->from);
    if (slot->bytes != NULL)
        return RANGE_AHEAD_DROPPED; /* somebody was faster */
    learn_stride(&ahead->peers[index], asked, count);
    if (height == ahead->wanted) {
        slot_drop(slot);
        return RANGE_AHEAD_TO_CORE;
    }
    slot->bytes = malloc(payload.size + 1);
    if (slot->bytes == NULL) {
        slot_drop(slot);
        return RANGE_AHEAD_DROPPED;
    }
    memcpy(slot->bytes, payload.data, payload.size);
    slot->size = payload.size;
    slot->peer = index;
    slot->late = false;
    if (count < asked)
        slot->until = slot->from + count;
    return RANGE_AHEAD_KEPT;
}

void range_ahead_passed(struct range_ahead *ahead, uint64_t height, uint64_t now_ms)
{
    ahead->next = height + 1;
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++)
        if (ahead->slots[i].in_use && ahead->slots[i].from <= height)
            slot_drop(&ahead->slots[i]);
    if (ahead->active && now_ms - ahead->wanted_ms >= RANGE_AHEAD_IDLE_MS)
        range_ahead_close(ahead);
}

/* How long that peer gets: measured by what the fastest of the others manages. */
static uint64_t wait_of(const struct range_ahead *ahead, uint32_t index)
{
    uint64_t fastest = UINT64_MAX;
    for (uint32_t i = 0; i < P2P_PEERS_MAX; i++) {
        const struct range_ahead_peer *peer = &ahead->peers[i];
        if (i != index && peer->up && peer->measured && peer->takes_ms < fastest)
            fastest = peer->takes_ms;
    }
    if (fastest == UINT64_MAX)
        return RANGE_AHEAD_WAIT_FIRST_MS;
    if (fastest > RANGE_AHEAD_WAIT_MAX_MS / 3)
        return RANGE_AHEAD_WAIT_MAX_MS;
    return 3 * fastest < RANGE_AHEAD_WAIT_MIN_MS ? RANGE_AHEAD_WAIT_MIN_MS : 3 * fastest;
}

static bool is_waited_for(const struct range_ahead_slot *slot)
{
    return slot->in_use && slot->bytes == NULL && !slot->late;
}

static void find_late(struct range_ahead *ahead, uint64_t now_ms)
{
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++) {
        struct range_ahead_slot *slot = &ahead->slots[i];
        if (!is_waited_for(slot) || now_ms - slot->asked_ms < wait_of(ahead, slot->peer))
            continue;
        slot->late = true;
        ahead->peers[slot->peer].rest_until_ms = now_ms + RANGE_AHEAD_REST_MS;
    }
}

/* The fastest peer that may be asked for `from`, and was not; -1 if there is none. */
static int pick(const struct range_ahead *ahead, uint64_t from, uint64_t not_asked, uint64_t now_ms)
{
    int best = RANGE_AHEAD_NO_PEER;
    for (uint32_t i = 0; i < P2P_PEERS_MAX; i++) {
        const struct range_ahead_peer *peer = &ahead->peers[i];
        const bool busy = peer->owes > 0 && now_ms - peer->asked_ms < RANGE_AHEAD_REST_MS;
        if (!peer->up || busy || now_ms < peer->rest_until_ms || from < peer->first ||
            peer->claims < from || peer->claims - from + 1 < peer->stride ||
            (not_asked & bit_of(i)) != 0)
            continue;
        if (best < 0 || peer->takes_ms < ahead->peers[best].takes_ms)
            best = (int)i;
    }
    return best;
}

size_t range_ahead_bytes(const struct range_ahead *ahead)
{
    size_t bytes = 0;
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++) {
        const struct range_ahead_slot *slot = &ahead->slots[i];
        if (slot->in_use && (slot->bytes != NULL || slot->from != ahead->wanted))
            bytes += slot->bytes != NULL ? slot->size : LIMIT_FRAME_BYTES;
    }
    return bytes;
}

static bool is_far_behind(const struct range_ahead *ahead)
{
    for (uint32_t i = 0; i < P2P_PEERS_MAX; i++)
        if (ahead->peers[i].up && ahead->peers[i].claims >= ahead->next &&
            ahead->peers[i].claims - ahead->next >= LIMIT_RANGE_BLOCKS)
            return true;
    return false;
}

/* Another peer for what is late, the lowest first. */
static bool ask_again(struct range_ahead *ahead, struct range_ahead_question *out, uint64_t now_ms)
{
    struct range_ahead_slot *slot = NULL;
    int peer = RANGE_AHEAD_NO_PEER;
    for (int i = 0; i < RANGE_AHEAD_SLOTS; i++) {
        struct range_ahead_slot *other = &ahead->slots[i];
        if (!other->in_use || !other->late || (slot != NULL && other->from > slot->from))
            continue;
        const int found = pick(ahead, other->from, other->asked, now_ms);
        if (found >= 0) {
            slot = other;
            peer = found;
        }
    }
    if (slot == NULL)
        return false;
    *out = (struct range_ahead_question){(uint32_t)peer, slot->from,
                                         (uint32_t)(slot->until - slot->from)};
    slot_ask(ahead, slot, out->peer, now_ms);
    return true;
}

/* A question for the lowest gap. */
static bool ask_ahead(struct range_ahead *ahead, struct range_ahead_question *out, uint64_t now_ms)
{
    struct range_ahead_slot *slot = NULL;
    uint64_t from = ahead->next;
    while ((slot = slot_at(ahead, from)) != NULL)
        from = slot->until;
    const int peer = pick(ahead, from, 0, now_ms);
    slot = slot_free(ahead);
    if (peer < 0 || slot == NULL ||
        (from != ahead->wanted && range_ahead_bytes(ahead) + LIMIT_FRAME_BYTES > RANGE_AHEAD_BYTES))
        return false;
    const uint64_t gap = next_from(ahead, from) - from;
    uint32_t count = ahead->peers[peer].stride;
    if (gap < count)
        count = (uint32_t)gap;
    *slot = (struct range_ahead_slot){.in_use = true, .from = from, .until = from + count};
    *out = (struct range_ahead_question){(uint32_t)peer, from, count};
    slot_ask(ahead, slot, out->peer, now_ms);
    return true;
}

bool range_ahead_next(struct range_ahead *ahead, struct range_ahead_question *out, uint64_t now_ms)
{
    if (!ahead->active)
        return false;
    find_late(ahead, now_ms);
    return is_far_behind(ahead) && (ask_again(ahead, out, now_ms) || ask_ahead(ahead, out, now_ms));
}

uint64_t range_ahead_deadline_ms(const struct range_ahead *ahead)
{
    uint64_t deadline = UINT64_MAX;
    for (int i = 0; i < RANGE_AHEAD_SLOTS && ahead->active; i++) {
        const struct range_ahead_slot *slot = &ahead->slots[i];
        if (!is_waited_for(slot))
            continue;
        const uint64_t due = slot->asked_ms + wait_of(ahead, slot->peer);
        deadline = due < deadline ? due : deadline;
    }
    return deadline;
}
