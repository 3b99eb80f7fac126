/* A world for tests of the chain. */
#include "tests/lib/node/chain_world.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

/* --- the backend in memory --------------------------------------------------------------------- */

static enum store_result backend_commit(void *context, const struct store_block *block)
{
    struct memory_backend *memory = context;
    if (memory->answer != STORE_OK) {
        return memory->answer;
    }
    MUST(block->height == (memory->tip.has_genesis ? memory->tip.height + 1 : 0));
    MUST(hash_equal(overlay_root(block->state), &block->tip.state_root));
    MUST(memory_base_commit(memory->base, block->state));
    memory->tip = block->tip;
    memory->commits++;
    return STORE_OK;
}

static const struct store_tip *backend_tip(void *context)
{
    return &((struct memory_backend *)context)->tip;
}

void memory_backend_init(struct memory_backend *memory)
{
    memset(memory, 0, sizeof *memory);
    memory->base = memory_base_create();
    memory->answer = STORE_OK;
    MUST(memory->base != NULL);
}

void memory_backend_free(struct memory_backend *memory)
{
    memory_base_destroy(memory->base);
}

struct chain_backend memory_backend_face(struct memory_backend *memory)
{
    return (struct chain_backend){.context = memory,
                                  .base = memory_base_face(memory->base),
                                  .commit = backend_commit,
                                  .tip = backend_tip};
}

/* --- people ------------------------------------------------------------------------------------- */

struct name world_name(const char *text)
{
    struct name name;
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

struct secret_key world_secret(const char *person)
{
    struct secret_key secret;
    struct hash hash;
    hash_bytes(&hash, HASH_DOMAIN_KEY_PROOF, person, strlen(person));
    memcpy(secret.bytes, hash.bytes, SECRET_KEY_SIZE);
    return secret;
}

struct public_key world_key(const char *person)
{
    const struct secret_key secret = world_secret(person);
    struct public_key key;
    MUST(schnorr_public_key(&key, &secret));
    return key;
}

static int by_key(const void *a, const void *b)
{
    const struct params_validator *left = a;
    const struct params_validator *right = b;
    return public_key_compare(&left->key, &right->key);
}

void world_genesis(struct genesis *out)
{
    static const struct {
        const char *id;
        uint32_t roles;
    } founders[] = {{"operator", ROLE_MARKET_OPERATOR},
                    {"treasurer", ROLE_TREASURER},
                    {"dso", ROLE_DSO},
                    {"agg", ROLE_AGGREGATOR},
                    {"agg2", ROLE_AGGREGATOR},
                    {"alice", ROLE_PROSUMER},
                    {"bob", ROLE_PROSUMER}};
    static const char *const operators[] = {"dso", "agg", "agg2", "operator"};
    memset(out, 0, sizeof *out);
    out->chain = world_name("test");
    out->time = timestamp_of(WORLD_TIME_MS);
    out->simulated_time = 1;
    out->delta_ms = 100;
    out->block_interval_ms = 50;
    out->max_idle_ms = 1000;
    out->exec_budget_ms = 200;
    out->timeout_cap_ms = 30000;
    out->backoff_permille = 1300;
    out->params.fee_per_tx = money_of(1000);
    out->params.fee_per_action = money_of(100);
    out->params.fee_per_deal = money_of(500);
    out->params.fee_period = duration_of(MS_PER_DAY);
    out->params.tx_lifetime = duration_of(MS_PER_DAY);
    out->params.validator_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        struct secret_key seed;
        memset(seed.bytes, (int)i + 1, sizeof seed.bytes);
        ed25519_public_key(&out->params.validators[i].key, &seed);
        out->params.validators[i].operator_name = world_name(operators[i]);
    }
    qsort(out->params.validators, 4, sizeof out->params.validators[0], by_key);
    out->participant_count = sizeof founders / sizeof founders[0];
    for (uint32_t i = 0; i < out->participant_count; i++) {
        out->participants[i].id = world_name(founders[i].id);
        out->participants[i].key = world_key(founders[i].id);
        out->participants[i].roles = founders[i].roles;
    }
}

struct hash world_genesis_id(void)
{
    struct genesis genesis;
    struct hash id;
    world_genesis(&genesis);
    MUST(genesis_hash(&id, &genesis));
    return id;
}

/* --- transactions -------------------------------------------------------------------------------- */

void world_sign(struct world_tx *out, const char *sender, uint64_t nonce, uint8_t type,
                const void *record)
{
    struct transaction_draft draft;
    struct byte_writer writer;
    const struct secret_key secret = world_secret(sender);
    memset(&draft, 0, sizeof draft);
    draft.genesis = world_genesis_id();
    draft.nonce = nonce;
    draft.valid_until = timestamp_of(WORLD_TIME_MS + MS_PER_HOUR);
    draft.fee_limit = money_of(1000000);
    draft.action_count = 1;
    draft.actions[0].type = type;
    draft.actions[0].record = record;
    byte_writer_init(&writer, out->bytes, sizeof out->bytes);
    MUST(transaction_sign(&writer, &draft, &secret));
    MUST(transaction_decode(&out->transaction, bytes_view_of(out->bytes, writer.size)) ==
         CONTRACT_OK);
}

void world_mint(struct world_tx *out, uint64_t nonce, const char *to, int64_t ueur)
{
    struct token_mint mint = {.to = world_name(to), .amount = money_of(ueur)};
    memset(mint.receipt.bytes, 0x40, HASH_SIZE);
    mint.receipt.bytes[0] = (uint8_t)nonce;
    world_sign(out, "treasurer", nonce, ACTION_TOKEN_MINT, &mint);
}

void world_transfer(struct world_tx *out, const char *from, uint64_t nonce, const char *to,
                    int64_t ueur)
{
    const struct token_transfer transfer = {.to = world_name(to), .amount = money_of(ueur)};
    world_sign(out, from, nonce, ACTION_TOKEN_TRANSFER, &transfer);
}

/* --- blocks --------------------------------------------------------------------------------------- */

struct hash world_id(const struct block_header *header)
{
    struct hash id;
    block_header_id(&id, header);
    return id;
}

struct block_header world_build(struct chain *chain, struct mempool *mempool,
                                const struct block_header *parent, uint64_t view)
{
    const struct mempool_limits limits = {0, 0};
    struct mempool *empty = mempool == NULL ? mempool_create(&limits) : NULL;
    const struct store_tip *tip = chain_tip(chain);
    const struct hash id = parent == NULL ? tip->block_id : world_id(parent);
    const uint64_t parent_view = parent == NULL ? tip->view : parent->view;
    struct block_header header;
    MUST(chain_build(chain, mempool == NULL ? empty : mempool, &header, 0, view, parent_view, &id,
                     timestamp_of(WORLD_TIME_MS + (int64_t)view * 1000)));
    mempool_destroy(empty);
    return header;
}

int64_t world_balance(struct chain *chain, const char *person)
{
    const struct name name = world_name(person);
    return money_ueur(ledger_balance(chain_committed_view(chain), &name));
}
