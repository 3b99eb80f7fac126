/* A peer that sends transactions that no honest peer sends (scenarios 11, 51): cut short, with a byte bent,
 * and old ones by the dozen, in others' names; as a leader it builds empty blocks, so that what it keeps
 * out has to get in by the honest ones within f + 1 of their blocks (oracle.c, count_probe_slot). Nothing
 * that it bends may become final: the oracle knows every transaction that a wallet has made. */
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/persona.h"

enum { BURST = 12, REACH_PERMILLE = 700 };

static size_t spoil(struct sim *sim, uint8_t *envelope, size_t size)
{
    switch (sim_below(sim, 3)) {
    case 0:
        return (size_t)sim_below(sim, size);
    case 1:
        envelope[sim_below(sim, size)] ^= (uint8_t)(1 + sim_below(sim, 255));
        return size;
    default:
        return size; /* as it was: one that waits, or is used up long since */
    }
}

/* One bundle for all, so that good ones travel with bad. */
static void spam(struct sim *sim, struct sim_node *node)
{
    uint8_t frame[1 + BURST * (4 + SIM_ENVELOPE_MAX)];
    struct byte_writer writer;
    byte_writer_init(&writer, frame, sizeof frame);
    byte_write_u8(&writer, MESSAGE_TRANSACTIONS);
    for (int i = 0; i < BURST; i++) {
        uint8_t envelope[SIM_ENVELOPE_MAX];
        const uint32_t wallet = (uint32_t)sim_below(sim, SIM_WALLETS);
        const uint64_t offered = sim->wallets[wallet].offered;
        if (offered == 0)
            continue;
        struct bytes_view good = sim_transaction(sim, wallet, 1 + sim_below(sim, offered));
        MUST(good.size <= sizeof envelope);
        memcpy(envelope, good.data, good.size);
        byte_write_sized(&writer, envelope, spoil(sim, envelope, good.size));
    }
    MUST(!writer.failed);
    sim_persona_scatter(sim, node, bytes_view_of(frame, writer.size), REACH_PERMILLE);
}

const struct sim_persona sim_persona_spammer = {
    .name = "spammer",
    .text = "sends invalid and old transactions, and proposes empty blocks only",
    .censors = true,
    .act = spam};
