/* Keys, genesis and signatures of a run.
 *
 * Validators' votes are signed with a keyed hash (nobody in a run forges, because nobody is handed
 * another's key), or with Ed25519 on demand. Transactions carry real signatures; each is made once per
 * process, because it depends on the wallet and the nonce alone, and verified once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/sim/sim_internal.h"

static struct {
    bool ready;
    struct secret_key seeds[LIMIT_VALIDATORS];
    struct public_key keys[LIMIT_VALIDATORS];
} ring;

enum { PROOFS = SIM_DEALS_MAX * SIM_WALLETS * SIM_PERIODS };

struct signed_transaction {
    size_t size;
    struct hash id;
    uint8_t bytes[SIM_ENVELOPE_MAX];
};

/* Of the last number of validators that a run had. */
static struct {
    uint32_t validators;
    struct genesis genesis;
    struct hash id;
    struct signed_transaction signed_once[SIM_WALLETS + 1][SIM_WALLET_NONCES];
    /* The DSO's, by deal, device and period; NULL until a run needs it. */
    struct signed_transaction *proofs[SIM_WALLET_NONCES][PROOFS];
} world;

static void ring_prepare(void)
{
    if (ring.ready)
        return;
    MUST(crypto_init());
    for (int i = 0; i < LIMIT_VALIDATORS; i++) {
        struct secret_key seed = {{(uint8_t)(i + 1), 0x5a}};
        struct public_key key;
        ed25519_public_key(&key, &seed);
        int at = i;
        for (; at > 0 && public_key_compare(&ring.keys[at - 1], &key) > 0; at--) {
            ring.keys[at] = ring.keys[at - 1];
            ring.seeds[at] = ring.seeds[at - 1];
        }
        ring.keys[at] = key;
        ring.seeds[at] = seed;
    }
    ring.ready = true;
}

static struct name name_of(const char *text)
{
    struct name name;
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

static void person(uint32_t wallet, struct name *name, struct secret_key *secret)
{
    char text[16];
    struct hash hash;
    (void)snprintf(text, sizeof text, "wallet%u", wallet);
    hash_bytes(&hash, HASH_DOMAIN_KEY_PROOF, text, strlen(text));
    memcpy(secret->bytes, hash.bytes, SECRET_KEY_SIZE);
    *name = name_of(text);
}

static void add_participant(struct genesis *genesis, uint32_t wallet, uint32_t roles)
{
    struct secret_key secret;
    struct genesis_participant *added = &genesis->participants[genesis->participant_count++];
    person(wallet, &added->id, &secret);
    MUST(schnorr_public_key(&added->key, &secret));
    added->roles = roles;
}

static void make_world(uint32_t validators)
{
    static const uint32_t roles[SIM_WALLETS] = {ROLE_MARKET_OPERATOR | ROLE_METER_OPERATOR,
                                                ROLE_DSO, ROLE_AGGREGATOR | ROLE_DSO,
                                                ROLE_AGGREGATOR};
    struct genesis *genesis = &world.genesis;
    for (uint32_t nonce = 0; nonce < SIM_WALLET_NONCES; nonce++)
        for (uint32_t p = 0; p < PROOFS; p++)
            free(world.proofs[nonce][p]);
    memset(&world, 0, sizeof world);
    world.validators = validators;
    genesis->chain = name_of("flexsim");
    genesis->time = timestamp_of(SIM_GENESIS_MS);
    genesis->simulated_time = 1;
    genesis->delta_ms = SIM_DELTA_MS;
    genesis->block_interval_ms = 20;
    genesis->max_idle_ms = 80;
    genesis->exec_budget_ms = 50;
    genesis->timeout_cap_ms = SIM_CAP_MS;
    genesis->backoff_permille = 1300;
    genesis->params.fee_per_tx = money_of(1000);
    genesis->params.fee_per_action = money_of(100);
    genesis->params.fee_per_deal = money_of(500);
    genesis->params.fee_period = duration_of(MS_PER_DAY);
    genesis->params.tx_lifetime = duration_of(MS_PER_DAY);
    for (uint32_t w = 0; w < SIM_WALLETS; w++)
        add_participant(genesis, w, roles[w]);
    add_participant(genesis, SIM_WALLETS, ROLE_TREASURER);
    genesis->params.validator_count = validators;
    for (uint32_t i = 0; i < validators; i++) {
        genesis->params.validators[i].key = ring.keys[i];
        genesis->params.validators[i].operator_name = genesis->participants[i % SIM_WALLETS].id;
    }
    MUST(genesis_problem(genesis) == NULL && genesis_hash(&world.id, genesis));
}

/* --- votes ------------------------------------------------------------------------------------ */

static void keyed_hash(struct signature *out, const struct public_key *key,
                       const struct hash *message)
{
    struct hash tag;
    hash_pair(&tag, HASH_DOMAIN_HANDSHAKE, bytes_view_of(key->bytes, PUBLIC_KEY_SIZE),
              hash_view(message));
    memcpy(out->bytes, tag.bytes, HASH_SIZE);
    memcpy(out->bytes + HASH_SIZE, key->bytes, PUBLIC_KEY_SIZE);
}

static void cheap_sign(struct signature *out, const struct secret_key *seed,
                       const struct hash *message)
{
    for (int i = 0; i < LIMIT_VALIDATORS; i++) {
        if (memcmp(ring.seeds[i].bytes, seed->bytes, SECRET_KEY_SIZE) == 0) {
            keyed_hash(out, &ring.keys[i], message);
            return;
        }
    }
    MUST(!"a key of the ring");
}

static bool cheap_verify(const struct signature *signature, const struct public_key *key,
                         const struct hash *message)
{
    struct signature expected;
    keyed_hash(&expected, key, message);
    return memcmp(expected.bytes, signature->bytes, SIGNATURE_SIZE) == 0;
}

static bool believe(const struct signature *signature, const struct public_key *key,
                    const struct hash *message)
{
    (void)signature;
    (void)key;
    (void)message;
    return true;
}

void sim_keys_prepare(struct sim *sim)
{
    uint32_t n = sim->config.validators;
    ring_prepare();
    if (world.validators != n)
        make_world(n);
    sim->genesis = &world.genesis;
    sim->genesis_id = world.id;
    sim->set.count = n;
    for (uint32_t i = 0; i < n; i++) {
        sim->set.validators[i].key = ring.keys[i];
        sim->set.validators[i].operator_name = world.genesis.params.validators[i].operator_name;
        sim->seeds[i] = ring.seeds[i];
    }
    sim->signing = sim->config.ed25519
                       ? (struct bft_signing){.sign = ed25519_sign, .verify = ed25519_verify}
                       : (struct bft_signing){.sign = cheap_sign, .verify = cheap_verify};
    if (sim_mutant(sim, SIM_MUTANT_NO_SIGNATURE_CHECK))
        sim->signing.verify = believe;
}

/* --- transactions ------------------------------------------------------------------------------ */

/* What the treasurer's transaction of that nonce brings into the world. */
int64_t sim_minted(uint64_t nonce)
{
    return 5000000 + (int64_t)nonce;
}

static void sign_once(struct signed_transaction *out, uint32_t wallet, uint64_t nonce,
                      const struct sim_delivery *proof)
{
    struct transaction_draft draft;
    struct byte_writer writer;
    struct transaction decoded;
    struct secret_key secret, other;
    struct name self;
    struct token_mint mint;
    static struct sim_actions actions;
    person(wallet, &self, &secret);
    memset(&draft, 0, sizeof draft);
    memset(&mint, 0, sizeof mint);
    draft.genesis = world.id;
    draft.nonce = nonce;
    draft.valid_until = timestamp_of(SIM_GENESIS_MS + MS_PER_HOUR);
    draft.fee_limit = money_of(1000000);
    if (wallet == SIM_WALLETS) {
        person((uint32_t)(nonce - 1) % SIM_WALLETS, &mint.to, &other);
        mint.amount = money_of(sim_minted(nonce));
        memset(mint.receipt.bytes, 0x40, HASH_SIZE);
        mint.receipt.bytes[0] = (uint8_t)nonce;
        draft.action_count = 1;
        draft.actions[0].type = ACTION_TOKEN_MINT;
        draft.actions[0].record = &mint;
    } else {
        sim_market_actions(&draft, &actions, wallet, nonce, proof);
    }
    byte_writer_init(&writer, out->bytes, sizeof out->bytes);
    MUST(transaction_sign(&writer, &draft, &secret));
    out->size = writer.size;
    MUST(transaction_decode(&decoded, bytes_view_of(out->bytes, out->size)) == CONTRACT_OK);
    MUST(transaction_signature_is_valid(&decoded));
    out->id = decoded.id;
}

/* Once said, it stays: a wallet signs one transaction per nonce. */
static const struct sim_delivery *choose_proof(struct sim *sim, uint64_t nonce)
{
    if (!sim->proofs[nonce - 1].chosen) {
        sim->proofs[nonce - 1].chosen = true;
        if (!sim_meter_find(sim, nonce / 2, &sim->proofs[nonce - 1].of))
            sim->proofs[nonce - 1].of.deal = 0;
    }
    return &sim->proofs[nonce - 1].of;
}

static struct signed_transaction *proof_of(uint64_t nonce, const struct sim_delivery *proof)
{
    MUST(proof->deal <= SIM_DEALS_MAX && proof->device < SIM_WALLETS &&
         proof->period <= SIM_PERIODS);
    uint32_t at =
        ((proof->deal - 1) * SIM_WALLETS + proof->device) * SIM_PERIODS + proof->period - 1;
    struct signed_transaction **kept = &world.proofs[nonce - 1][at];
    if (*kept == NULL)
        *kept = calloc(1, sizeof **kept);
    MUST(*kept != NULL);
    return *kept;
}

struct bytes_view sim_transaction(struct sim *sim, uint32_t wallet, uint64_t nonce)
{
    MUST(wallet <= SIM_WALLETS && nonce >= 1 && nonce <= SIM_WALLET_NONCES);
    MUST(sim->genesis == &world.genesis);
    static const struct sim_delivery nothing;
    const struct sim_delivery *proof = &nothing;
    if (sim_market_may_prove(wallet, nonce))
        proof = choose_proof(sim, nonce);
    struct signed_transaction *kept = &world.signed_once[wallet][nonce - 1];
    if (proof->deal != 0)
        kept = proof_of(nonce, proof);
    if (kept->size == 0)
        sign_once(kept, wallet, nonce, proof);
    return bytes_view_of(kept->bytes, kept->size);
}

static bool is_signed(const struct signed_transaction *kept, struct bytes_view envelope)
{
    return kept != NULL && kept->size > 0 &&
           bytes_view_equal(bytes_view_of(kept->bytes, kept->size), envelope);
}

bool sim_signature_is_good(const struct transaction *transaction)
{
    if (transaction->nonce >= 1 && transaction->nonce <= SIM_WALLET_NONCES) {
        uint64_t at = transaction->nonce - 1;
        for (uint32_t w = 0; w <= SIM_WALLETS; w++)
            if (is_signed(&world.signed_once[w][at], transaction->envelope))
                return true;
        for (uint32_t p = 0; p < PROOFS && transaction->witness.size > 0; p++)
            if (is_signed(world.proofs[at][p], transaction->envelope))
                return true;
    }
    return transaction_signature_is_valid(transaction);
}
