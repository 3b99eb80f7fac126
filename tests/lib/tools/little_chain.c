/* See little_chain.h. Nothing here checks what it makes: the tests do, through the code under test. */
#include "tests/lib/tools/little_chain.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "crypto/merkle.h"
#include "node/chain.h"
#include "tools/audit_digests.h"
#include "tools/audit_export.h"
#include "verify/digest.h"

static const int64_t START_MS = 1736899200000; /* 2025-01-15 00:00 UTC */

struct wallet_of {
    struct secret_key secret;
    uint64_t nonce;
};

struct little_chain {
    struct genesis genesis;
    struct hash genesis_id;
    struct secret_key seeds[4]; /* in the order of the set */
    struct validator_set set;
    struct wallet_of treasurer;
    struct wallet_of dso;
    struct memory_base *memory;
    struct store_tip tip;
    struct chain *chain;
    struct mempool *mempool;
    uint64_t height;
    int64_t pause_ms;
    struct little_block *blocks;
};

static enum store_result commit(void *context, const struct store_block *block)
{
    struct little_chain *self = context;
    MUST(memory_base_commit(self->memory, block->state));
    self->tip = block->tip;
    if (block->height > 0) {
        struct little_block *kept = &self->blocks[block->height];
        kept->body_size = block->body.size;
        kept->body = malloc(block->body.size);
        memcpy(kept->body, block->body.data, block->body.size);
        kept->receipts_size = block->receipts.size;
        kept->receipts = malloc(block->receipts.size);
        memcpy(kept->receipts, block->receipts.data, block->receipts.size);
        MUST(block->tx_count <= LITTLE_TX_PER_BLOCK_MAX);
        kept->tx_count = block->tx_count;
        for (uint32_t i = 0; i < block->tx_count; i++) {
            kept->tx_ids[i] = block->tx_ids[i];
        }
    }
    return STORE_OK;
}

static const struct store_tip *tip(void *context)
{
    return &((struct little_chain *)context)->tip;
}

static void secret_of(struct secret_key *out, uint8_t number)
{
    memset(out->bytes, 0, sizeof out->bytes);
    out->bytes[31] = number;
    out->bytes[0] = 1;
}

static void add_participant(struct genesis *genesis, const char *id, uint32_t roles, uint8_t number,
                            struct wallet_of *wallet)
{
    struct genesis_participant *participant = &genesis->participants[genesis->participant_count++];
    struct secret_key secret;
    secret_of(&secret, number);
    MUST(name_from_text(&participant->id, id, strlen(id)));
    MUST(schnorr_public_key(&participant->key, &secret));
    participant->roles = roles;
    if (wallet != NULL) {
        wallet->secret = secret;
    }
}

static void fill_genesis(struct little_chain *self)
{
    struct genesis *genesis = &self->genesis;
    memcpy(genesis->chain.text, "little", 6);
    genesis->time = timestamp_of(START_MS);
    genesis->delta_ms = genesis->block_interval_ms = genesis->exec_budget_ms = 100;
    genesis->max_idle_ms = 1000;
    genesis->timeout_cap_ms = 1000;
    genesis->backoff_permille = 1300;
    genesis->params.fee_per_tx = money_of(1000);
    genesis->params.fee_per_action = money_of(1000);
    genesis->params.fee_per_deal = money_of(1000);
    genesis->params.fee_period = duration_of(MS_PER_DAY);
    genesis->params.tx_lifetime = duration_of(MS_PER_DAY);
    add_participant(genesis, "dso", ROLE_DSO, 1, &self->dso);
    add_participant(genesis, "treasurer", ROLE_TREASURER, 2, &self->treasurer);
    add_participant(genesis, "operator", ROLE_MARKET_OPERATOR, 3, NULL);
    add_participant(genesis, "agg", ROLE_AGGREGATOR, 4, NULL);
    genesis->params.validator_count = 4;
    for (uint8_t i = 0; i < 4; i++) {
        struct secret_key seed;
        struct public_key key;
        secret_of(&seed, (uint8_t)(100 + i));
        ed25519_public_key(&key, &seed);
        uint32_t at = i;
        while (at > 0 && public_key_compare(&genesis->params.validators[at - 1].key, &key) > 0) {
            genesis->params.validators[at] = genesis->params.validators[at - 1];
            self->seeds[at] = self->seeds[at - 1];
            at--;
        }
        genesis->params.validators[at].key = key;
        genesis->params.validators[at].operator_name = genesis->participants[0].id;
        self->seeds[at] = seed;
    }
}

struct little_chain *little_chain_create(void)
{
    char problem[160] = "";
    struct little_chain *self = calloc(1, sizeof *self);
    MUST(self != NULL);
    self->blocks = calloc(LITTLE_BLOCKS_MAX + 1, sizeof *self->blocks);
    self->memory = memory_base_create();
    MUST(self->blocks != NULL && self->memory != NULL);
    fill_genesis(self);
    MUST(genesis_hash(&self->genesis_id, &self->genesis));
    self->set.count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        self->set.validators[i].key = self->genesis.params.validators[i].key;
        self->set.validators[i].operator_name = self->genesis.params.validators[i].operator_name;
    }
    struct chain_backend backend = {
        .context = self, .base = memory_base_face(self->memory), .commit = commit, .tip = tip};
    self->chain = chain_open(&self->genesis, &backend, problem);
    if (self->chain == NULL) {
        fprintf(stderr, "little chain: %s\n", problem);
    }
    MUST(self->chain != NULL);
    struct mempool_limits limits = {0};
    self->mempool = mempool_create(&limits);
    MUST(self->mempool != NULL);
    return self;
}

void little_chain_destroy(struct little_chain *self)
{
    chain_close(self->chain);
    mempool_destroy(self->mempool);
    memory_base_destroy(self->memory);
    for (uint64_t i = 1; i <= self->height; i++) {
        free(self->blocks[i].body);
        free(self->blocks[i].receipts);
    }
    free(self->blocks);
    free(self);
}

const struct genesis *little_chain_genesis(const struct little_chain *self)
{
    return &self->genesis;
}

uint64_t little_chain_height(const struct little_chain *self)
{
    return self->height;
}

const struct little_block *little_chain_block(const struct little_chain *self, uint64_t height)
{
    MUST(height >= 1 && height <= self->height);
    return &self->blocks[height];
}

static void queue(struct little_chain *self, struct wallet_of *wallet, uint8_t type,
                  const void *record)
{
    static struct transaction_draft draft;
    static uint8_t bytes[LIMIT_TX_BYTES];
    struct byte_writer writer;
    struct transaction transaction;
    memset(&draft, 0, sizeof draft);
    draft.genesis = self->genesis_id;
    draft.nonce = ++wallet->nonce;
    draft.valid_until = timestamp_of(timestamp_ms(self->tip.time) + MS_PER_HOUR);
    draft.fee_limit = money_of(1000000);
    draft.action_count = 1;
    draft.actions[0].type = type;
    draft.actions[0].record = record;
    byte_writer_init(&writer, bytes, sizeof bytes);
    MUST(transaction_sign(&writer, &draft, &wallet->secret));
    MUST(transaction_decode(&transaction, bytes_view_of(bytes, writer.size)) == CONTRACT_OK);
    MUST(mempool_add(self->mempool, &transaction) == CONTRACT_OK);
}

void little_chain_mint(struct little_chain *self, int64_t ueur)
{
    struct token_mint mint = {.amount = money_of(ueur)};
    MUST(name_from_text(&mint.to, "dso", 3));
    memcpy(mint.receipt.bytes, &self->treasurer.nonce, sizeof self->treasurer.nonce);
    mint.receipt.bytes[31] = 1;
    queue(self, &self->treasurer, ACTION_TOKEN_MINT, &mint);
}

void little_chain_transfer(struct little_chain *self, const char *to, int64_t ueur)
{
    struct token_transfer transfer = {.amount = money_of(ueur)};
    MUST(name_from_text(&transfer.to, to, strlen(to)));
    queue(self, &self->dso, ACTION_TOKEN_TRANSFER, &transfer);
}

void little_chain_certify(const struct little_chain *self, struct certificate *out,
                          const struct block_header *header, uint32_t signers)
{
    struct hash message;
    memset(out, 0, sizeof *out);
    out->kind = VOTE_FINALIZE;
    out->epoch = header->epoch;
    out->view = header->view;
    block_header_id(&out->block_id, header);
    vote_message(&message, &self->genesis_id, VOTE_FINALIZE, out->epoch, out->view, &out->block_id);
    out->count = signers;
    for (uint32_t i = 0; i < signers; i++) {
        out->entries[i].signer = (uint8_t)i;
        ed25519_sign(&out->entries[i].signature, &self->seeds[i], &message);
    }
}

void little_chain_pause(struct little_chain *self, int64_t ms)
{
    self->pause_ms = ms;
}

void little_chain_turn(struct little_chain *self, bool certified)
{
    MUST(self->height < LITTLE_BLOCKS_MAX);
    struct little_block *block = &self->blocks[self->height + 1];
    struct certificate certificate;
    uint64_t view = self->tip.view + 1;
    struct timestamp now = timestamp_of(timestamp_ms(self->tip.time) + 1000 + self->pause_ms);
    self->pause_ms = 0;
    MUST(chain_build(self->chain, self->mempool, &block->header, 0, view, self->tip.view,
                     &self->tip.block_id, now));
    block_header_id(&block->id, &block->header);
    MUST(chain_execute(self->chain, &block->id) == BFT_VERDICT_VALID);
    if (certified) {
        little_chain_certify(self, &certificate, &block->header, 3);
        block->certificate_size = certificate_encode(block->certificate, &certificate);
    }
    self->height++;
    MUST(chain_commit(self->chain, &block->header, certified ? &certificate : NULL) == STORE_OK);
    chain_tell_mempool(self->chain, self->mempool);
}

/* --- proof files --------------------------------------------------------------------------- */

static void add_hex(struct cJSON *object, const char *key, const uint8_t *data, size_t size)
{
    char *text = malloc(2 * size + 1);
    hex_encode(text, data, size);
    cJSON_AddStringToObject(object, key, text);
    free(text);
}

/* Kind, id, height, header, certificate, and the headers up to the certified one. */
static struct cJSON *proof_head(const struct little_chain *self, const char *kind, const char *id,
                                uint64_t height)
{
    uint8_t header[BLOCK_HEADER_SIZE];
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", "flexproof/1");
    cJSON_AddStringToObject(object, "kind", kind);
    cJSON_AddStringToObject(object, "id", id);
    json_add_u64(object, "height", height);
    block_header_encode(header, &self->blocks[height].header);
    add_hex(object, "header", header, sizeof header);
    struct cJSON *descendants = cJSON_CreateArray();
    while (self->blocks[height].certificate_size == 0) {
        char text[2 * BLOCK_HEADER_SIZE + 1];
        MUST(++height <= self->height);
        block_header_encode(header, &self->blocks[height].header);
        hex_encode(text, header, sizeof header);
        cJSON_AddItemToArray(descendants, cJSON_CreateString(text));
    }
    add_hex(object, "certificate", self->blocks[height].certificate,
            self->blocks[height].certificate_size);
    if (descendants->child != NULL) {
        cJSON_AddItemToObject(object, "descendants", descendants);
    } else {
        cJSON_Delete(descendants);
    }
    return object;
}

static char *print_and_delete(struct cJSON *object)
{
    char *printed = cJSON_PrintUnformatted(object);
    char *text = strdup(printed);
    cJSON_free(printed);
    cJSON_Delete(object);
    return text;
}

static bool node_get(void *context, struct state_tree_node *out, const struct state_tree_path *path)
{
    const struct state_base *base = memory_base_face(context);
    return base->node_get(base->context, out, path);
}

char *little_chain_state_proof(struct little_chain *self, const char *kind, const char *id)
{
    const struct state_kind_info *info = state_kind_by_name(kind);
    const struct state_base *base = memory_base_face(self->memory);
    struct state_tree_store store = {.context = self->memory, .get = node_get};
    static struct state_tree_proof proof;
    static uint8_t bytes[16384];
    struct state_key key;
    struct hash key_hash;
    struct bytes_view value;
    struct byte_writer writer;
    bool found;
    MUST(info != NULL && state_key_from_text(&key, info->kind, id));
    struct cJSON *object = proof_head(self, info->name, id, self->height);
    MUST(base->get(base->context, bytes_view_of(key.bytes, key.size), &found, &value));
    add_hex(object, "key", key.bytes, key.size);
    if (found) {
        add_hex(object, "value", value.data, value.size);
    } else {
        cJSON_AddNullToObject(object, "value");
    }
    hash_bytes(&key_hash, HASH_DOMAIN_STATE_KEY, key.bytes, key.size);
    MUST(state_tree_prove(&store, &proof, &key_hash));
    byte_writer_init(&writer, bytes, sizeof bytes);
    state_tree_proof_encode(&proof, &writer);
    MUST(!writer.failed);
    add_hex(object, "proof", bytes, writer.size);
    return print_and_delete(object);
}

char *little_chain_receipt_proof(struct little_chain *self, uint64_t height, uint32_t index)
{
    const struct little_block *block = little_chain_block(self, height);
    struct hash leaves[LITTLE_TX_PER_BLOCK_MAX + 1];
    struct bytes_view wanted = {0};
    struct byte_reader reader;
    struct merkle_proof proof;
    char id[2 * HASH_SIZE + 1];
    byte_reader_init(&reader, block->receipts, block->receipts_size);
    uint32_t count = byte_read_u32(&reader);
    MUST(count == block->tx_count + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct receipt receipt;
        struct bytes_view bytes = byte_read_sized(&reader, block->receipts_size);
        MUST(codec_decode_all(&receipt_record, &receipt, bytes));
        receipt_leaf(&leaves[i], &receipt);
        wanted = i == index ? bytes : wanted;
    }
    merkle_prove(&proof, leaves, count, index);
    bool of_end = index == block->tx_count;
    if (of_end)
        snprintf(id, sizeof id, "%llu", (unsigned long long)height);
    else
        hex_encode(id, block->tx_ids[index].bytes, HASH_SIZE);
    struct cJSON *object = proof_head(self, of_end ? "block_end" : "transaction", id, height);
    add_hex(object, "receipt", wanted.data, wanted.size);
    cJSON_AddNumberToObject(object, "index", index);
    cJSON_AddNumberToObject(object, "count", count);
    add_hex(object, "proof", proof.siblings[0].bytes, proof.count * HASH_SIZE);
    return print_and_delete(object);
}

/* Leaves of the log: blocks 0 to count - 1. */
static struct hash *log_leaves(const struct little_chain *self, uint64_t count)
{
    struct hash *leaves = calloc(count, sizeof *leaves);
    MUST(leaves != NULL && count <= self->height);
    for (uint64_t i = 0; i < count; i++) {
        const struct hash *id = i == 0 ? &self->genesis_id : &self->blocks[i].id;
        hash_bytes(&leaves[i], HASH_DOMAIN_LOG_LEAF, id->bytes, HASH_SIZE);
    }
    return leaves;
}

char *little_chain_block_proof(struct little_chain *self, uint64_t height, uint64_t at)
{
    char id[32];
    uint8_t header[BLOCK_HEADER_SIZE];
    struct merkle_proof proof;
    struct hash *leaves = log_leaves(self, at);
    snprintf(id, sizeof id, "%llu", (unsigned long long)height);
    struct cJSON *object = proof_head(self, "block", id, at);
    block_header_encode(header, &self->blocks[height].header);
    add_hex(object, "block", header, sizeof header);
    merkle_prove(&proof, leaves, at, height);
    add_hex(object, "proof", proof.siblings[0].bytes, proof.count * HASH_SIZE);
    free(leaves);
    return print_and_delete(object);
}

char *little_chain_log_proof(struct little_chain *self, uint64_t old_size, uint64_t at)
{
    char id[64];
    struct hash root;
    struct merkle_proof proof;
    struct hash *leaves = log_leaves(self, at);
    snprintf(id, sizeof id, "%llu/%llu", (unsigned long long)old_size, (unsigned long long)at);
    struct cJSON *object = proof_head(self, "log", id, at);
    merkle_root(&root, leaves, old_size);
    add_hex(object, "old_root", root.bytes, HASH_SIZE);
    merkle_prove_consistency(&proof, leaves, at, old_size);
    add_hex(object, "proof", proof.siblings[0].bytes, proof.count * HASH_SIZE);
    free(leaves);
    return print_and_delete(object);
}

char *little_chain_note(struct little_chain *self, uint64_t last)
{
    enum { NOTE_MAX = 65536 };
    struct proof_trust trust;
    struct byte_writer writer;
    struct certificate certificate;
    char *text = calloc(1, NOTE_MAX);
    MUST(text != NULL && last < self->height && proof_trust_from_genesis(&trust, &self->genesis));
    byte_writer_init(&writer, (uint8_t *)text, NOTE_MAX - 1);
    digest_write_head(&writer, &trust, &self->blocks[last].header, &self->blocks[last + 1].header);
    digest_write_blocks(&writer, &self->blocks[last].header, &self->blocks[last + 1].header);
    uint64_t certified = last + 1;
    while (self->blocks[certified].certificate_size == 0) {
        uint8_t header[BLOCK_HEADER_SIZE];
        MUST(++certified <= self->height);
        block_header_encode(header, &self->blocks[certified].header);
        digest_write_descendants(&writer, bytes_view_of(header, sizeof header));
    }
    MUST(certificate_decode(&certificate, bytes_view_of(self->blocks[certified].certificate,
                                                        self->blocks[certified].certificate_size)));
    digest_write_votes(&writer, &certificate, &self->set);
    MUST(!writer.failed);
    return text;
}

static void export_digests(struct little_chain *self, const char *directory)
{
    for (uint64_t height = 1; height < self->height; height++) {
        char folder[FILES_PATH_SIZE], path[FILES_PATH_SIZE], date[DIGEST_DATE_SIZE];
        int64_t day = digest_day_of(self->blocks[height].header.time);
        if (digest_day_of(self->blocks[height + 1].header.time) == day) {
            continue;
        }
        char *note = little_chain_note(self, height);
        digest_date_text(date, day);
        MUST(files_join(folder, directory, "digests") && files_make_directory(folder) &&
             audit_digests_path(path, directory, date) &&
             files_write(path, note, strlen(note), 0644));
        free(note);
    }
}

void little_chain_export(struct little_chain *self, const char *directory)
{
    struct audit_writer writer;
    char problem[AUDIT_PROBLEM_SIZE] = "";
    bool ok = audit_writer_open(&writer, directory, &self->genesis, problem);
    while (ok && writer.height < self->height) {
        const struct little_block *block = &self->blocks[writer.height + 1];
        uint8_t header[BLOCK_HEADER_SIZE];
        block_header_encode(header, &block->header);
        struct audit_block record = {bytes_view_of(header, sizeof header),
                                     bytes_view_of(block->body, block->body_size),
                                     bytes_view_of(block->certificate, block->certificate_size)};
        ok = audit_writer_put(&writer, &record, problem);
    }
    ok = ok && audit_writer_finish(&writer, &self->genesis, problem);
    if (!ok) {
        fprintf(stderr, "little chain: %s\n", problem);
    }
    MUST(ok);
    export_digests(self, directory);
}
