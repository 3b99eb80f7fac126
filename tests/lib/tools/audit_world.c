/* See audit_world.h. Nothing here checks what it makes beyond that every transaction went well: the
 * tests do, through the code under test. */
#include "tests/lib/tools/audit_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "node/chain.h"
#include "tools/audit_digests.h"
#include "tools/audit_export.h"
#include "verify/digest.h"

static const int64_t START_MS = 1736899200000; /* 2025-01-15 00:00 UTC */
enum { VALIDATORS = 4, QUORUM = 3 };

struct person {
    struct name id;
    struct secret_key secret;
    uint64_t nonce;
};

struct audit_world {
    struct genesis genesis;
    struct hash genesis_id;
    struct secret_key seeds[VALIDATORS]; /* in the order of the set */
    struct person people[AUDIT_WORLD_PEOPLE_MAX];
    uint32_t person_count;
    uint64_t references; /* fiat receipts used */
    struct memory_base *memory;
    struct store_tip tip;
    struct block_header last; /* of the tip */
    struct chain *chain;
    struct mempool *mempool;
    uint64_t queued;
    char directory[256];
    struct audit_writer writer;
};

struct name audit_world_name(const char *text)
{
    struct name name;
    MUST(name_from_text(&name, text, strlen(text)));
    return name;
}

static void check_receipts(const struct store_block *block)
{
    struct byte_reader reader;
    byte_reader_init(&reader, block->receipts.data, block->receipts.size);
    uint32_t count = byte_read_u32(&reader);
    for (uint32_t i = 0; i < count; i++) {
        struct receipt receipt;
        MUST(codec_decode_all(&receipt_record, &receipt,
                              byte_read_sized(&reader, block->receipts.size)));
        if (receipt.status != CONTRACT_OK) {
            fprintf(stderr, "audit world: block %llu, transaction %u: %s\n",
                    (unsigned long long)block->height, i,
                    contract_error_name((enum contract_error)receipt.status));
        }
        MUST(receipt.status == CONTRACT_OK);
    }
}

static enum store_result commit(void *context, const struct store_block *block)
{
    struct audit_world *world = context;
    char problem[AUDIT_PROBLEM_SIZE];
    MUST(memory_base_commit(world->memory, block->state));
    world->tip = block->tip;
    if (block->height > 0) {
        check_receipts(block);
        MUST(block->tx_count == world->queued);
        world->queued = 0;
        struct audit_block record = {block->header, block->body, block->certificate};
        MUST(audit_writer_put(&world->writer, &record, problem));
    }
    return STORE_OK;
}

static const struct store_tip *tip(void *context)
{
    return &((struct audit_world *)context)->tip;
}

/* Distinct for every (kind, number). */
static struct secret_key secret_of(uint8_t kind, uint32_t number)
{
    struct secret_key secret = {.bytes = {1}};
    secret.bytes[1] = kind;
    secret.bytes[30] = (uint8_t)(number >> 8);
    secret.bytes[31] = (uint8_t)number;
    return secret;
}

static struct person *new_person(struct audit_world *world, const char *id)
{
    MUST(world->person_count < AUDIT_WORLD_PEOPLE_MAX);
    struct person *person = &world->people[world->person_count];
    person->id = audit_world_name(id);
    person->secret = secret_of(2, ++world->person_count);
    return person;
}

static void add_founder(struct audit_world *world, const char *id, uint32_t roles)
{
    struct genesis *genesis = &world->genesis;
    struct genesis_participant *entry = &genesis->participants[genesis->participant_count++];
    const struct person *person = new_person(world, id);
    entry->id = person->id;
    MUST(schnorr_public_key(&entry->key, &person->secret));
    entry->roles = roles;
}

static void add_validator(struct audit_world *world, uint32_t number)
{
    struct params_record *params = &world->genesis.params;
    struct secret_key seed = secret_of(3, number);
    struct public_key key;
    ed25519_public_key(&key, &seed);
    uint32_t at = params->validator_count++;
    while (at > 0 && public_key_compare(&params->validators[at - 1].key, &key) > 0) {
        params->validators[at] = params->validators[at - 1];
        world->seeds[at] = world->seeds[at - 1];
        at--;
    }
    params->validators[at].key = key;
    params->validators[at].operator_name = audit_world_name("operator");
    world->seeds[at] = seed;
}

static void fill_genesis(struct audit_world *world)
{
    struct genesis *genesis = &world->genesis;
    genesis->chain = audit_world_name("audited");
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
    add_founder(world, "treasurer", ROLE_TREASURER);
    add_founder(world, "operator", ROLE_MARKET_OPERATOR);
    add_founder(world, "dso", ROLE_DSO);
    for (uint32_t i = 0; i < VALIDATORS; i++) {
        add_validator(world, i);
    }
}

struct audit_world *audit_world_create(const char *directory)
{
    char problem[AUDIT_PROBLEM_SIZE] = "";
    struct audit_world *world = calloc(1, sizeof *world);
    struct mempool_limits limits = {0};
    MUST(world != NULL);
    snprintf(world->directory, sizeof world->directory, "%s", directory);
    world->memory = memory_base_create();
    world->mempool = mempool_create(&limits);
    MUST(world->memory != NULL && world->mempool != NULL);
    fill_genesis(world);
    MUST(genesis_hash(&world->genesis_id, &world->genesis));
    MUST(audit_writer_open(&world->writer, world->directory, &world->genesis, problem));
    MUST(world->writer.height == 0);
    struct chain_backend backend = {
        .context = world, .base = memory_base_face(world->memory), .commit = commit, .tip = tip};
    world->chain = chain_open(&world->genesis, &backend, problem);
    MUST(world->chain != NULL);
    return world;
}

void audit_world_destroy(struct audit_world *world)
{
    audit_writer_close(&world->writer);
    chain_close(world->chain);
    mempool_destroy(world->mempool);
    memory_base_destroy(world->memory);
    free(world);
}

const struct genesis *audit_world_genesis(const struct audit_world *world)
{
    return &world->genesis;
}

const struct store_tip *audit_world_tip(const struct audit_world *world)
{
    return &world->tip;
}

struct state_view *audit_world_view(struct audit_world *world)
{
    return chain_committed_view(world->chain);
}

static struct person *person_of(struct audit_world *world, const char *who)
{
    struct name id = audit_world_name(who);
    for (uint32_t i = 0; i < world->person_count; i++) {
        if (name_compare(&world->people[i].id, &id) == 0) {
            return &world->people[i];
        }
    }
    fprintf(stderr, "audit world: who is %s?\n", who);
    MUST(false);
    return NULL;
}

void audit_world_send_all(struct audit_world *world, const char *who,
                          const struct transaction_draft_action *actions, uint32_t count)
{
    static struct transaction_draft draft;
    static uint8_t bytes[LIMIT_TX_BYTES];
    struct byte_writer writer;
    struct transaction transaction;
    struct person *person = person_of(world, who);
    MUST(count > 0 && count <= LIMIT_ACTIONS_PER_TX);
    memset(&draft, 0, sizeof draft);
    draft.genesis = world->genesis_id;
    draft.nonce = ++person->nonce;
    draft.valid_until = timestamp_of(timestamp_ms(world->tip.time) + MS_PER_DAY);
    draft.fee_limit = money_of(1000000);
    draft.action_count = count;
    memcpy(draft.actions, actions, count * sizeof *actions);
    byte_writer_init(&writer, bytes, sizeof bytes);
    MUST(transaction_sign(&writer, &draft, &person->secret));
    MUST(transaction_decode(&transaction, bytes_view_of(bytes, writer.size)) == CONTRACT_OK);
    MUST(mempool_add(world->mempool, &transaction) == CONTRACT_OK);
    world->queued++;
}

void audit_world_send(struct audit_world *world, const char *who, uint8_t type, const void *record)
{
    struct transaction_draft_action action = {type, record};
    audit_world_send_all(world, who, &action, 1);
}

void audit_world_add(struct audit_world *world, const char *id, uint32_t roles)
{
    const struct person *person = new_person(world, id);
    struct participant_register entry = {.id = person->id, .roles = roles};
    MUST(schnorr_public_key(&entry.key, &person->secret));
    audit_world_send(world, "operator", ACTION_PARTICIPANT_REGISTER, &entry);
}

void audit_world_mint(struct audit_world *world, const char *to, int64_t ueur)
{
    struct token_mint mint = {.to = audit_world_name(to), .amount = money_of(ueur)};
    world->references++;
    memcpy(mint.receipt.bytes, &world->references, sizeof world->references);
    audit_world_send(world, "treasurer", ACTION_TOKEN_MINT, &mint);
}

static void certify(const struct audit_world *world, struct certificate *out,
                    const struct block_header *header)
{
    struct hash message;
    memset(out, 0, sizeof *out);
    out->kind = VOTE_FINALIZE;
    out->epoch = header->epoch;
    out->view = header->view;
    block_header_id(&out->block_id, header);
    vote_message(&message, &world->genesis_id, VOTE_FINALIZE, out->epoch, out->view,
                 &out->block_id);
    out->count = QUORUM;
    for (uint32_t i = 0; i < QUORUM; i++) {
        out->entries[i].signer = (uint8_t)i;
        ed25519_sign(&out->entries[i].signature, &world->seeds[i], &message);
    }
}

/* A day is over: its note goes into the export. */
static void write_note(const struct audit_world *world, const struct block_header *next,
                       const struct certificate *certificate)
{
    static uint8_t note[65536];
    char folder[FILES_PATH_SIZE], path[FILES_PATH_SIZE], date[DIGEST_DATE_SIZE];
    struct proof_trust trust;
    struct byte_writer writer;
    MUST(proof_trust_from_genesis(&trust, &world->genesis));
    byte_writer_init(&writer, note, sizeof note);
    digest_write_head(&writer, &trust, &world->last, next);
    digest_write_blocks(&writer, &world->last, next);
    digest_write_votes(&writer, certificate, &trust.set);
    MUST(!writer.failed);
    digest_date_text(date, digest_day_of(world->last.time));
    MUST(files_join(folder, world->directory, "digests") && files_make_directory(folder) &&
         audit_digests_path(path, world->directory, date) &&
         files_write(path, note, writer.size, 0644));
}

void audit_world_turn_at(struct audit_world *world, int64_t time_ms)
{
    static struct certificate certificate;
    struct block_header header;
    struct hash id;
    MUST(time_ms > timestamp_ms(world->tip.time));
    MUST(chain_build(world->chain, world->mempool, &header, 0, world->tip.view + 1, world->tip.view,
                     &world->tip.block_id, timestamp_of(time_ms)));
    block_header_id(&id, &header);
    MUST(chain_execute(world->chain, &id) == BFT_VERDICT_VALID);
    certify(world, &certificate, &header);
    MUST(chain_commit(world->chain, &header, &certificate) == STORE_OK);
    if (header.height > 1 && digest_day_of(world->last.time) != digest_day_of(header.time)) {
        write_note(world, &header, &certificate);
    }
    world->last = header;
    chain_tell_mempool(world->chain, world->mempool);
}

void audit_world_turn(struct audit_world *world, int64_t ms)
{
    audit_world_turn_at(world, timestamp_ms(world->tip.time) + ms);
}

void audit_world_finish(struct audit_world *world)
{
    char problem[AUDIT_PROBLEM_SIZE];
    MUST(audit_writer_finish(&world->writer, &world->genesis, problem));
    MUST(audit_writer_open(&world->writer, world->directory, &world->genesis, problem));
}
