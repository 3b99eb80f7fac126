/* A node apart that trusts nobody: it executes every final block again, by the same ledger on a state
 * of its own, and at the end counts all money. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/module.h"
#include "tools/sim/sim_internal.h"

void sim_audit_open(struct sim *sim)
{
    char problem[160];
    sim_store_open(sim, &sim->audit_store, -1);
    struct chain_backend backend = sim_store_face(&sim->audit_store);
    sim->audit = chain_open(sim->genesis, &backend, problem);
    MUST(sim->audit != NULL);
}

void sim_audit_block(struct sim *sim, struct sim_final *final,
                     const struct certificate *certificate)
{
    struct bytes_view body = bytes_view_of(final->body, final->body_size);
    unsigned long long height = final->header.height;
    if (!chain_add_body(sim->audit, &final->header, body, true) ||
        chain_commit(sim->audit, &final->header, certificate) != STORE_OK) {
        sim_fail(sim, SIM_SAFETY, "the audit node refuses the final block of height %llu", height);
        return;
    }
    const struct store_block *block = chain_last_commit(sim->audit);
    MUST(block != NULL && block->height == final->header.height);
    hash_bytes(&final->receipts, HASH_DOMAIN_RECEIPT, block->receipts.data, block->receipts.size);
}

/* O7: all pots together hold what was minted. */
void sim_audit_end(struct sim *sim)
{
    static const uint8_t prefix[] = {STATE_POT};
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size = 0;
    struct bytes_view value;
    int64_t sum = 0, minted = 0;
    struct state_view *view = chain_committed_view(sim->audit);
    while (view->ops->next(view, bytes_view_of(prefix, sizeof prefix), bytes_view_of(key, key_size),
                           key, &key_size, &value)) {
        struct pot_record pot;
        MUST(codec_decode_all(&pot_record_codec, &pot, value));
        if (money_ueur(pot.amount) < 0)
            sim_fail(sim, SIM_SAFETY, "a pot holds less than nothing");
        sum += money_ueur(pot.amount);
    }
    for (uint64_t nonce = 1; nonce <= sim->wallets[SIM_WALLETS].committed; nonce++)
        minted += sim_minted(nonce);
    if (sum != minted)
        sim_fail(sim, SIM_SAFETY, "value is not conserved: %lld in all pots, %lld minted",
                 (long long)sum, (long long)minted);
}

void sim_audit_free(struct sim *sim)
{
    chain_close(sim->audit);
    sim_store_free(&sim->audit_store);
}
