/* Wallets: they hand signed transactions to nodes of their choice, out of order, twice, again after
 * they are final, and now and then ones that no node may take. What a node refuses or loses with its
 * mempool is handed in again.
 *
 * After GST a probe is given to every honest node: censored or not, it must stand in the final chain
 * within f + 1 blocks of honest leaders (scenario 51). */
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

enum { AHEAD_MAX = 4, PAUSE_MS_MAX = 700, TREASURER = SIM_WALLETS };

void sim_client_plan(struct sim *sim)
{
    for (uint32_t w = 0; w <= TREASURER; w++) {
        struct sim_event event = {.kind = SIM_EVENT_WALLET, .node = -1, .peer = -1, .number = w};
        sim_at(sim, sim->now_ms + (w == TREASURER ? 20 : 100 + sim_below(sim, 400)), &event);
    }
}

static struct sim_node *some_node(struct sim *sim)
{
    struct sim_node *node = &sim->nodes[sim_below(sim, sim->keyed)];
    return node->up && node->busy_until_ms <= sim->now_ms ? node : NULL;
}

static void hand_in(struct sim *sim, struct sim_node *node, uint32_t wallet, uint64_t nonce)
{
    (void)sim_take_transaction(sim, node, -1, sim_transaction(sim, wallet, nonce));
    if (nonce > sim->wallets[wallet].offered)
        sim->wallets[wallet].offered = nonce;
    sim_feed_pending(sim, node);
}

/* Must be refused at any door: a bad signature, another chain's, or one that is final already. */
static void hand_in_bad(struct sim *sim, struct sim_node *node, uint32_t wallet)
{
    uint8_t bytes[SIM_ENVELOPE_MAX];
    struct sim_wallet *state = &sim->wallets[wallet];
    uint64_t height = chain_tip(node->chain)->height;
    bool replay = state->committed > 0 && height == sim->final_count && sim_chance(sim, 500);
    if (!replay && state->committed == SIM_WALLET_NONCES)
        return;
    struct bytes_view good =
        sim_transaction(sim, wallet, replay ? state->committed : state->committed + 1);
    MUST(good.size <= sizeof bytes);
    memcpy(bytes, good.data, good.size);
    if (!replay) {
        size_t at = (size_t)sim_below(sim, good.size);
        bytes[at] ^= (uint8_t)(1 + sim_below(sim, 255));
    }
    if (sim_take_transaction(sim, node, -1, bytes_view_of(bytes, good.size)) == CONTRACT_OK)
        sim_fail(sim, SIM_SAFETY, "node %d takes a %s transaction at its door", node->slot,
                 replay ? "used" : "forged");
}

void sim_client_act(struct sim *sim, uint32_t wallet)
{
    struct sim_wallet *state = &sim->wallets[wallet];
    struct sim_node *node = some_node(sim);
    uint64_t nonce = state->committed + 1 + sim_below(sim, AHEAD_MAX);
    if (nonce > SIM_WALLET_NONCES)
        nonce = SIM_WALLET_NONCES;
    if (wallet == TREASURER && nonce > SIM_WALLET_NONCES / 2)
        nonce = SIM_WALLET_NONCES / 2; /* the rest is for probes */
    if (node != NULL) {
        if (sim_chance(sim, 30))
            hand_in_bad(sim, node, wallet);
        /* Those before it too, or else it might wait for ever. */
        for (uint64_t n = state->committed + 1; n <= nonce && node->up && !sim_failed(sim); n++)
            if (n == nonce || sim_chance(sim, 500))
                hand_in(sim, node, wallet, n);
    }
    struct sim_event event = {.kind = SIM_EVENT_WALLET, .node = -1, .peer = -1, .number = wallet};
    sim_at(sim, sim->now_ms + 50 + sim_below(sim, PAUSE_MS_MAX), &event);
}

void sim_client_probe(struct sim *sim)
{
    struct sim_wallet *state = &sim->wallets[TREASURER];
    uint64_t retry = SIM_STORE_RETRY_MS;
    uint64_t pause = sim_campaign_is_on(sim) ? 0 : 2 * retry; /* no store is full */
    if (sim->probe_nonce != 0 || sim->now_ms < sim->gst_ms + pause)
        return;
    sim->probe_nonce =
        state->offered + 1 > state->committed + 1 ? state->offered + 1 : state->committed + 1;
    MUST(sim->probe_nonce <= SIM_WALLET_NONCES);
    sim->probe_ms = sim->now_ms;
    for (uint32_t i = 0; i < sim->keyed; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (!node->up)
            continue;
        for (uint64_t n = state->committed + 1; n <= sim->probe_nonce; n++) {
            hand_in(sim, node, TREASURER, n);
            if (!node->up || sim_failed(sim))
                break;
        }
    }
}
