/* A peer in league with a wallet (scenarios 11, 51): what that wallet has waiting, it sends over and over with
 * a higher limit of the fee, each enough to replace the one before, to some peers this one and to some
 * another, so that no two mempools hold the same; as a leader it builds empty blocks. Of each nonce one
 * becomes final, and others' transactions get in within f + 1 blocks of honest leaders (oracle.c,
 * credit_wallets and count_probe_slot). */
#include "base/fatal.h"
#include "tools/sim/persona.h"

enum { LEAGUE = 3, BURST = 6, REACH_PERMILLE = 400 };

static void replace(struct sim *sim, struct sim_node *node)
{
    const struct sim_wallet *wallet = &sim->wallets[LEAGUE];
    if (wallet->offered <= wallet->committed)
        return;
    uint8_t frame[1 + BURST * (4 + SIM_ENVELOPE_MAX)];
    struct byte_writer writer;
    byte_writer_init(&writer, frame, sizeof frame);
    byte_write_u8(&writer, MESSAGE_TRANSACTIONS);
    for (uint32_t i = 0; i < BURST; i++) {
        struct signed_transaction again;
        uint64_t nonce =
            wallet->committed + 1 + sim_below(sim, wallet->offered - wallet->committed);
        sim_replacement(sim, &again, LEAGUE, nonce,
                        (uint32_t)sim_below(sim, SIM_REPLACEMENTS_MAX + 1));
        byte_write_sized(&writer, again.bytes, again.size);
    }
    MUST(!writer.failed);
    sim_persona_scatter(sim, node, bytes_view_of(frame, writer.size), REACH_PERMILLE);
}

const struct sim_persona sim_persona_replacer = {
    .name = "replacer",
    .text = "replaces a wallet's transactions over and over, and proposes empty blocks only",
    .censors = true,
    .act = replace};
