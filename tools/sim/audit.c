/* A node apart that trusts nobody: it executes every final block again, by the same ledger on a state
 * of its own, and at the end counts all money. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/deal.h"
#include "contracts/module.h"
#include "contracts/witness.h"
#include "tools/sim/sim_internal.h"

void sim_audit_open(struct sim *sim)
{
    char problem[160];
    sim_store_open(sim, &sim->audit_store, -1);
    struct chain_backend backend = sim_store_face(&sim->audit_store);
    sim->audit = chain_open(sim->genesis, &backend, problem);
    MUST(sim->audit != NULL);
}

/* What nodes that delete witnesses have of the block. */
static void keep_stripped(struct sim_final *final, struct bytes_view receipts)
{
    static struct hash leaves[LIMIT_TX_PER_BLOCK + 1];
    const struct bytes_view body = bytes_view_of(final->body, final->body_size);
    struct byte_writer writer;
    if (!body_has_witness(body))
        return;
    final->kept = malloc(LIMIT_BLOCK_BODY_BYTES);
    MUST(final->kept != NULL);
    byte_writer_init(&writer, final->kept, LIMIT_BLOCK_BODY_BYTES);
    MUST(body_strip(&writer, body, receipts, leaves));
    final->kept_size = writer.size;
}

void sim_audit_block(struct sim *sim, struct sim_final *final, const struct finality *finality)
{
    struct bytes_view body = bytes_view_of(final->body, final->body_size);
    unsigned long long height = final->header.height;
    if (!chain_add_body(sim->audit, &final->header, body, true) ||
        (finality != NULL && finality->headers.size > 0
             ? chain_commit_boundary(sim->audit, &final->header, &finality->certificate,
                                     finality->headers)
             : chain_commit(sim->audit, &final->header,
                            finality != NULL ? &finality->certificate : NULL)) != STORE_OK) {
        sim_fail(sim, SIM_SAFETY, "the audit node refuses the final block of height %llu", height);
        return;
    }
    const struct store_block *block = chain_last_commit(sim->audit);
    MUST(block != NULL && block->height == final->header.height);
    hash_bytes(&final->receipts, HASH_DOMAIN_RECEIPT, block->receipts.data, block->receipts.size);
    keep_stripped(final, block->receipts);
}

/* What an order or a deal holds: nothing once it is over. */
static int64_t checked_held(struct sim *sim, int64_t ueur, bool open)
{
    if (ueur < 0 || (ueur != 0 && !open))
        sim_fail(sim, SIM_SAFETY, "an order or a deal that is over, or has less than nothing: %lld",
                 (long long)ueur);
    return ueur;
}

/* Counts what became of all orders, or deals; returns what they hold. */
static int64_t count_market(struct sim *sim, struct state_view *view, enum state_kind kind)
{
    int64_t sum = 0;
    const uint8_t prefix[] = {(uint8_t)kind};
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size = 0;
    struct bytes_view value;
    while (view->ops->next(view, bytes_view_of(prefix, sizeof prefix), bytes_view_of(key, key_size),
                           key, &key_size, &value)) {
        int64_t held;
        if (kind == STATE_DEAL) {
            struct deal_record deal;
            MUST(codec_decode_all(&deal_record_codec, &deal, value));
            sim->result->deals++;
            sim->result->refunds += deal.state == DEAL_REFUNDED;
            sim->result->settled += deal.state == DEAL_SETTLED;
            sim->result->partial += deal.state == DEAL_PARTIAL;
            held = checked_held(sim, money_ueur(deal.held_escrow), deal_is_open(&deal)) +
                   checked_held(sim, money_ueur(deal.held_deposit), deal_is_open(&deal));
        } else {
            struct order_record order;
            MUST(codec_decode_all(&order_record_codec, &order, value));
            sim->result->cancelled += order.status == ORDER_CANCELLED;
            sim->result->expired += order.status == ORDER_EXPIRED;
            held = checked_held(sim, money_ueur(order.held), order.status == ORDER_OPEN);
        }
        sum += held;
    }
    return sum;
}

/* A bond outlives no dispute's deal. */
static void check_bond(struct sim *sim, struct state_view *view, struct bytes_view key)
{
    struct byte_reader reader;
    byte_reader_init(&reader, key.data + 1, key.size - 1);
    if (byte_read_u8(&reader) != POT_DISPUTE_BOND)
        return;
    uint64_t id = byte_read_u64(&reader);
    struct deal_record deal;
    struct state_key of = state_key_u64(STATE_DEAL, id);
    if (!ledger_read(view, &of, &deal_record_codec, &deal) || !deal_is_open(&deal))
        sim_fail(sim, SIM_SAFETY, "a bond of deal %llu, which is over", (unsigned long long)id);
}

/* A node that begins when all deals are over, and is shown what the others have kept: the same blocks without
 * a reading lead to the same state. */
static void replay_kept(struct sim *sim)
{
    char problem[160];
    struct sim_store *store = calloc(1, sizeof *store);
    MUST(store != NULL);
    sim_store_open(sim, store, -1);
    struct chain_backend backend = sim_store_face(store);
    struct chain *chain = chain_open(sim->genesis, &backend, problem);
    MUST(chain != NULL);
    for (uint64_t height = 1; height <= sim->final_count && !sim_failed(sim); height++) {
        const struct sim_final *final = &sim->finals[height];
        const bool gone = final->kept != NULL;
        const struct bytes_view body = gone ? bytes_view_of(final->kept, final->kept_size)
                                            : bytes_view_of(final->body, final->body_size);
        sim->result->stripped += gone;
        if ((gone && chain_add_body(chain, &final->header, body, true)) ||
            !chain_add_final_body(chain, &final->header, body, true, final->header.time) ||
            chain_commit(chain, &final->header, NULL) != STORE_OK)
            sim_fail(sim, SIM_SAFETY, "height %llu does not execute without its witnesses",
                     (unsigned long long)height);
    }
    chain_close(chain);
    sim_store_free(store);
    free(store);
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
        check_bond(sim, view, bytes_view_of(key, key_size));
    }
    sum += count_market(sim, view, STATE_DEAL);
    sum += count_market(sim, view, STATE_ORDER);
    bool any_kept = false;
    for (uint64_t height = 1; height <= sim->final_count; height++)
        any_kept = any_kept || sim->finals[height].kept != NULL;
    if (any_kept)
        replay_kept(sim);
    for (uint64_t nonce = 1; nonce <= sim->wallets[SIM_WALLETS].committed; nonce++)
        minted += sim_minted(sim, nonce);
    if (sum != minted)
        sim_fail(sim, SIM_SAFETY, "value is not conserved: %lld in all pots, %lld minted",
                 (long long)sum, (long long)minted);
}

void sim_audit_free(struct sim *sim)
{
    chain_close(sim->audit);
    sim_store_free(&sim->audit_store);
}
