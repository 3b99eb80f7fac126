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

/* Sorted by public key. A seed's first byte, from 1 on, leads to its number. */
static struct {
    bool ready;
    struct secret_key seeds[SIM_KEYS];
    struct public_key keys[SIM_KEYS];
    int number[SIM_KEYS + 1];
} ring;

enum { FEE_LIMIT_UEUR = 1000000 };
enum { PROOFS = SIM_DEALS_MAX * SIM_WALLETS * SIM_PERIODS };

/* Of the last number of validators that a run had, without changes of the set and with them. */
static struct world {
    uint32_t validators;
    struct genesis genesis;
    struct hash id;
    struct signed_transaction signed_once[SIM_WALLETS + 1][SIM_WALLET_NONCES];
    /* The DSO's, by deal, device and period; NULL until a run needs it. */
    struct signed_transaction *proofs[SIM_WALLET_NONCES][PROOFS];
} worlds[2], *world = worlds;

static void ring_prepare(void)
{
    if (ring.ready)
        return;
    MUST(crypto_init());
    for (int i = 0; i < SIM_KEYS; i++) {
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
    for (int i = 0; i < SIM_KEYS; i++)
        ring.number[ring.seeds[i].bytes[0]] = i;
    ring.ready = true;
}

const struct public_key *sim_key(int number)
{
    MUST(number >= 0 && number < SIM_KEYS);
    return &ring.keys[number];
}

int sim_key_number(const struct public_key *key)
{
    for (int i = 0; i < SIM_KEYS; i++)
        if (public_key_equal(&ring.keys[i], key))
            return i;
    return -1;
}

static struct name name_of(const char *text)
{
    struct name name;
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

void sim_person(uint32_t wallet, struct name *name, struct secret_key *secret)
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
    sim_person(wallet, &added->id, &secret);
    MUST(schnorr_public_key(&added->key, &secret));
    added->roles = roles;
}

/* Where sets change, genesis has every other key: newcomers' places are between the others', too. */
static int genesis_key(bool changes_set, uint32_t place)
{
    return (int)(changes_set ? 2 * place + 1 : place);
}

static void make_world(uint32_t validators, bool changes_set)
{
    static const uint32_t roles[SIM_WALLETS] = {ROLE_MARKET_OPERATOR | ROLE_METER_OPERATOR,
                                                ROLE_DSO, ROLE_AGGREGATOR | ROLE_DSO,
                                                ROLE_AGGREGATOR};
    struct genesis *genesis = &world->genesis;
    for (uint32_t nonce = 0; nonce < SIM_WALLET_NONCES; nonce++)
        for (uint32_t p = 0; p < PROOFS; p++)
            free(world->proofs[nonce][p]);
    memset(world, 0, sizeof *world);
    world->validators = validators;
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
    for (uint32_t g = 0; changes_set && g < SIM_GOVERNORS; g++)
        add_participant(genesis, SIM_WALLETS + 1 + g, ROLE_TSO);
    const uint32_t operators = changes_set ? SIM_WALLETS + 1 : 0;
    genesis->params.validator_count = validators;
    for (uint32_t i = 0; i < validators; i++) {
        genesis->params.validators[i].key = ring.keys[genesis_key(changes_set, i)];
        genesis->params.validators[i].operator_name =
            genesis->participants[operators + i % SIM_GOVERNORS].id;
    }
    MUST(genesis_problem(genesis) == NULL && genesis_hash(&world->id, genesis));
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
    MUST(seed->bytes[0] >= 1 && seed->bytes[0] <= SIM_KEYS);
    int number = ring.number[seed->bytes[0]];
    MUST(memcmp(ring.seeds[number].bytes, seed->bytes, SECRET_KEY_SIZE) == 0);
    keyed_hash(out, &ring.keys[number], message);
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
    world = &worlds[sim->changes_set ? 1 : 0];
    if (world->validators != n)
        make_world(n, sim->changes_set);
    sim->genesis = &world->genesis;
    sim->genesis_id = world->id;
    memcpy(sim->seeds, ring.seeds, sizeof sim->seeds);
    for (uint32_t i = 0; i < n; i++)
        sim->nodes[i].validator = genesis_key(sim->changes_set, i);
    sim->signing = sim->config.ed25519
                       ? (struct bft_signing){.sign = ed25519_sign, .verify = ed25519_verify}
                       : (struct bft_signing){.sign = cheap_sign, .verify = cheap_verify};
    if (sim_mutant(sim, SIM_MUTANT_NO_SIGNATURE_CHECK))
        sim->signing.verify = believe;
}

/* --- transactions ------------------------------------------------------------------------------ */

/* What the treasurer's transaction of that nonce brings into the world. */
int64_t sim_minted(const struct sim *sim, uint64_t nonce)
{
    return (5000000 + (int64_t)nonce) * (sim->changes_set ? 2 : 1);
}

static void mint(struct transaction_draft *draft, struct token_mint *record, uint32_t to,
                 uint64_t nonce, uint8_t mark)
{
    struct secret_key other;
    memset(record, 0, sizeof *record);
    sim_person(to, &record->to, &other);
    record->amount = money_of(5000000 + (int64_t)nonce);
    memset(record->receipt.bytes, 0x40, HASH_SIZE);
    record->receipt.bytes[0] = (uint8_t)nonce;
    record->receipt.bytes[1] = mark;
    draft->actions[draft->action_count].type = ACTION_TOKEN_MINT;
    draft->actions[draft->action_count].record = record;
    draft->action_count++;
}

void sim_sign(struct sim *sim, struct signed_transaction *out, struct transaction_draft *draft,
              uint32_t person, uint64_t nonce)
{
    struct byte_writer writer;
    struct transaction decoded;
    struct secret_key secret;
    struct name self;
    sim_person(person, &self, &secret);
    draft->genesis = sim->genesis_id;
    draft->nonce = nonce;
    draft->valid_until = timestamp_of(SIM_GENESIS_MS + MS_PER_HOUR);
    if (money_ueur(draft->fee_limit) == 0)
        draft->fee_limit = money_of(FEE_LIMIT_UEUR);
    byte_writer_init(&writer, out->bytes, sizeof out->bytes);
    MUST(transaction_sign(&writer, draft, &secret));
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
    struct signed_transaction **kept = &world->proofs[nonce - 1][at];
    if (*kept == NULL)
        *kept = calloc(1, sizeof **kept);
    MUST(*kept != NULL);
    return *kept;
}

static void sign_once(struct sim *sim, struct signed_transaction *out, uint32_t wallet,
                      uint64_t nonce, const struct sim_delivery *proof)
{
    struct transaction_draft draft;
    struct token_mint mints[2];
    static struct sim_actions actions;
    memset(&draft, 0, sizeof draft);
    if (wallet != SIM_WALLETS) {
        sim_market_actions(&draft, &actions, wallet, nonce, proof);
    } else {
        uint32_t turn = (uint32_t)(nonce - 1);
        mint(&draft, &mints[0], turn % SIM_WALLETS, nonce, 0x40);
        if (sim->changes_set) /* fees of votes */
            mint(&draft, &mints[1], SIM_WALLETS + 1 + turn % SIM_GOVERNORS, nonce, 0x41);
    }
    sim_sign(sim, out, &draft, wallet, nonce);
}

struct bytes_view sim_transaction(struct sim *sim, uint32_t wallet, uint64_t nonce)
{
    MUST(wallet <= SIM_WALLETS && nonce >= 1 && nonce <= SIM_WALLET_NONCES);
    MUST(sim->genesis == &world->genesis);
    static const struct sim_delivery nothing;
    const struct sim_delivery *proof = &nothing;
    if (sim_market_may_prove(wallet, nonce))
        proof = choose_proof(sim, nonce);
    struct signed_transaction *kept = &world->signed_once[wallet][nonce - 1];
    if (proof->deal != 0)
        kept = proof_of(nonce, proof);
    if (kept->size == 0)
        sign_once(sim, kept, wallet, nonce, proof);
    return bytes_view_of(kept->bytes, kept->size);
}

void sim_replacement(struct sim *sim, struct signed_transaction *out, uint32_t wallet,
                     uint64_t nonce, uint32_t step)
{
    static const struct sim_delivery nothing;
    static struct sim_actions actions;
    struct transaction_draft draft;
    MUST(wallet < SIM_WALLETS && !sim_market_may_prove(wallet, nonce) &&
         step <= SIM_REPLACEMENTS_MAX);
    memset(&draft, 0, sizeof draft);
    sim_market_actions(&draft, &actions, wallet, nonce, &nothing);
    int64_t limit_ueur = FEE_LIMIT_UEUR;
    for (uint32_t i = 0; i < step; i++)
        limit_ueur += limit_ueur / 4 + 1;
    draft.fee_limit = money_of(limit_ueur);
    sim_sign(sim, out, &draft, wallet, nonce);
}

bool sim_is_transaction(struct sim *sim, const struct transaction *seen, uint32_t wallet,
                        uint64_t nonce, bool *replaced)
{
    struct transaction known;
    const struct bytes_view envelope = sim_transaction(sim, wallet, nonce);
    *replaced = !bytes_view_equal(envelope, seen->envelope);
    if (!*replaced)
        return true;
    MUST(transaction_decode(&known, envelope) == CONTRACT_OK);
    return known.nonce == seen->nonce &&
           memcmp(&known.sender, &seen->sender, sizeof known.sender) == 0 &&
           bytes_view_equal(known.actions, seen->actions) && transaction_signature_is_valid(seen);
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
            if (is_signed(&world->signed_once[w][at], transaction->envelope))
                return true;
        for (uint32_t p = 0; p < PROOFS && transaction->witness.size > 0; p++)
            if (is_signed(world->proofs[at][p], transaction->envelope))
                return true;
    }
    return sim_governance_knows(transaction) || transaction_signature_is_valid(transaction);
}
