/* See digest_world.h. Anything unexpected aborts the test.
 *
 *   height  1  2 | 3  4  5 | 6  7  8        | is midnight
 *   epoch   0  0   0  0* 1   1  1  1        * ends epoch 0 */
#include "tests/lib/verify/digest_world.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "crypto/merkle.h"
#include "verify/proof.h"

static struct digest_world world;
static bool made;

static const int64_t START_MS = 1736899200000; /* 2025-01-15 00:00 UTC */

static void secret_of(struct secret_key *out, uint8_t number)
{
    memset(out->bytes, 0, sizeof out->bytes);
    out->bytes[0] = 1;
    out->bytes[31] = number;
}

/* Validators by the numbers of their seeds, sorted by key. */
static void make_set(struct validator_set *set, struct secret_key seeds[4],
                     const uint8_t numbers[4])
{
    static const char *const names[4] = {"dso", "agg-a", "agg-b", "operator"};
    set->count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        struct validator validator;
        struct secret_key seed;
        secret_of(&seed, numbers[i]);
        memset(&validator, 0, sizeof validator);
        ed25519_public_key(&validator.key, &seed);
        MUST(name_from_text(&validator.operator_name, names[i], strlen(names[i])));
        uint32_t at = i;
        for (; at > 0 && public_key_compare(&set->validators[at - 1].key, &validator.key) > 0;
             at--) {
            set->validators[at] = set->validators[at - 1];
            seeds[at] = seeds[at - 1];
        }
        set->validators[at] = validator;
        seeds[at] = seed;
    }
    MUST(validator_set_is_valid(set));
}

static void add_participant(struct genesis *genesis, const char *id, uint32_t roles, uint8_t number)
{
    struct genesis_participant *participant = &genesis->participants[genesis->participant_count++];
    struct secret_key secret;
    secret_of(&secret, number);
    MUST(name_from_text(&participant->id, id, strlen(id)));
    MUST(schnorr_public_key(&participant->key, &secret));
    participant->roles = roles;
}

static void make_genesis(void)
{
    struct genesis *genesis = &world.genesis;
    MUST(name_from_text(&genesis->chain, "digest-world", 12));
    genesis->time = timestamp_of(START_MS);
    genesis->delta_ms = genesis->block_interval_ms = genesis->exec_budget_ms = 100;
    genesis->max_idle_ms = genesis->timeout_cap_ms = 1000;
    genesis->backoff_permille = 1300;
    genesis->params.fee_per_tx = money_of(1000);
    genesis->params.fee_period = duration_of(MS_PER_DAY);
    genesis->params.tx_lifetime = duration_of(MS_PER_DAY);
    add_participant(genesis, "dso", ROLE_DSO, 1);
    add_participant(genesis, "treasurer", ROLE_TREASURER, 2);
    add_participant(genesis, "operator", ROLE_MARKET_OPERATOR, 3);
    add_participant(genesis, "agg-a", ROLE_AGGREGATOR, 4);
    add_participant(genesis, "agg-b", ROLE_AGGREGATOR, 5);
    make_set(&world.sets[0], world.seeds[0], (const uint8_t[4]){100, 101, 102, 103});
    make_set(&world.sets[1], world.seeds[1], (const uint8_t[4]){100, 101, 102, 104});
    genesis->params.validator_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        genesis->params.validators[i].key = world.sets[0].validators[i].key;
        genesis->params.validators[i].operator_name = world.sets[0].validators[i].operator_name;
    }
    MUST(genesis_problem(genesis) == NULL);
    MUST(proof_trust_from_genesis(&world.trust, genesis));
}

/* The state of the last block holds one record, so its leaf is the root. */
static struct hash leaf_key, leaf_value;
static uint8_t pot_bytes[64];
static size_t pot_size;

static void make_state(struct hash *root)
{
    const struct pot_record pot = {.amount = money_of(1250000)};
    struct state_key key;
    struct byte_writer writer;
    MUST(state_key_from_text(&key, STATE_POT, "balance/dso"));
    byte_writer_init(&writer, pot_bytes, sizeof pot_bytes);
    codec_encode(&pot_record_codec, &pot, &writer);
    MUST(!writer.failed);
    pot_size = writer.size;
    hash_bytes(&leaf_key, HASH_DOMAIN_STATE_KEY, key.bytes, key.size);
    hash_bytes(&leaf_value, HASH_DOMAIN_STATE_VALUE, pot_bytes, pot_size);
    hash_pair(root, HASH_DOMAIN_STATE_LEAF, hash_view(&leaf_key), hash_view(&leaf_value));
}

static void make_headers(void)
{
    static const int64_t hours[DIGEST_WORLD_BLOCKS + 1] = {0, 8, 23, 25, 30, 40, 49, 50, 51};
    struct merkle_frontier log;
    struct hash leaf, id = world.trust.genesis;
    merkle_frontier_init(&log);
    for (uint64_t height = 1; height <= DIGEST_WORLD_BLOCKS; height++) {
        struct block_header *header = &world.headers[height];
        hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, id.bytes, HASH_SIZE);
        merkle_frontier_append(&log, &leaf);
        *header =
            (struct block_header){.version = BLOCK_HEADER_VERSION,
                                  .genesis = world.trust.genesis,
                                  .epoch = height > 4,
                                  .height = height,
                                  .view = height + 1,
                                  .parent_view = height == 1 ? 0 : height,
                                  .parent_id = id,
                                  .time = timestamp_of(START_MS + hours[height] * MS_PER_HOUR)};
        merkle_frontier_root(&header->log_root, &log);
        hash_bytes(&header->state_root, HASH_DOMAIN_STATE_NODE, &height, sizeof height);
        if (height == DIGEST_WORLD_BLOCKS) {
            make_state(&header->state_root);
        }
        validator_set_hash(&header->next_set, &world.sets[height >= 4]);
        block_header_id(&id, header);
    }
}

void digest_world_certify(struct certificate *out, const struct block_header *header,
                          uint32_t signers)
{
    struct hash message;
    *out = (struct certificate){
        .kind = VOTE_FINALIZE, .epoch = header->epoch, .view = header->view, .count = signers};
    block_header_id(&out->block_id, header);
    vote_message(&message, &world.trust.genesis, out->kind, out->epoch, out->view, &out->block_id);
    for (uint32_t i = 0; i < signers; i++) {
        out->entries[i].signer = (uint8_t)i;
        ed25519_sign(&out->entries[i].signature, &world.seeds[header->epoch % 2][i], &message);
    }
}

/* The note whose day ends with block `last`, voted on at block `certified`. */
static size_t make_note(char out[DIGEST_WORLD_NOTE_MAX], uint64_t last, uint64_t certified)
{
    struct byte_writer writer;
    struct certificate certificate;
    uint8_t bytes[BLOCK_HEADER_SIZE];
    byte_writer_init(&writer, (uint8_t *)out, DIGEST_WORLD_NOTE_MAX - 1);
    digest_write_head(&writer, &world.trust, &world.headers[last], &world.headers[last + 1]);
    if (world.headers[last + 1].epoch == 1) {
        struct finality finality = {.ends_epoch = true, .next_set = world.sets[1]};
        digest_world_certify(&finality.certificate, &world.headers[4], 3);
        block_header_encode(bytes, &world.headers[4]);
        digest_write_epoch(&writer, bytes_view_of(bytes, sizeof bytes), &finality);
    }
    digest_write_blocks(&writer, &world.headers[last], &world.headers[last + 1]);
    for (uint64_t height = last + 2; height <= certified; height++) {
        block_header_encode(bytes, &world.headers[height]);
        digest_write_descendants(&writer, bytes_view_of(bytes, sizeof bytes));
    }
    digest_world_certify(&certificate, &world.headers[certified], 3);
    digest_write_votes(&writer, &certificate, &world.sets[world.headers[certified].epoch]);
    MUST(!writer.failed);
    out[writer.size] = '\0';
    return writer.size;
}

static void cosign(void)
{
    struct byte_writer writer;
    struct digest digest;
    const struct digest_rules rules = {0};
    char problem[DIGEST_PROBLEM_SIZE];
    size_t size = strlen(world.walked);
    memcpy(world.witness.name, "regulator.example/w1", 21);
    secret_of(&world.witness_seed, 200);
    ed25519_public_key(&world.witness.key, &world.witness_seed);
    MUST(digest_verify(&digest, &world.trust, &rules, world.walked, size, problem));
    byte_writer_init(&writer, (uint8_t *)world.cosigned, DIGEST_WORLD_NOTE_MAX - 1);
    text_write(&writer, world.walked);
    MUST(note_cosign(&writer, &world.witness, &world.witness_seed, DIGEST_WORLD_TIME_S,
                     digest.text));
    MUST(!writer.failed);
}

static void add_hex(struct cJSON *object, const char *key, const void *bytes, size_t size)
{
    static char text[DIGEST_WORLD_NOTE_MAX];
    hex_encode(text, bytes, size);
    MUST(cJSON_AddStringToObject(object, key, text) != NULL);
}

static void add_final(struct cJSON *object, uint64_t height)
{
    uint8_t bytes[CERTIFICATE_BYTES_MAX];
    struct certificate certificate;
    block_header_encode(bytes, &world.headers[height]);
    add_hex(object, "header", bytes, BLOCK_HEADER_SIZE);
    digest_world_certify(&certificate, &world.headers[height], 3);
    add_hex(object, "certificate", bytes, certificate_encode(bytes, &certificate));
}

static struct cJSON *begin_proof(const char *kind, const char *id)
{
    uint8_t bytes[VALIDATOR_SET_BYTES_MAX];
    struct byte_writer writer;
    struct cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", "flexproof/1");
    cJSON_AddStringToObject(object, "kind", kind);
    cJSON_AddStringToObject(object, "id", id);
    json_add_u64(object, "height", DIGEST_WORLD_BLOCKS);
    add_final(object, DIGEST_WORLD_BLOCKS);
    struct cJSON *epoch = cJSON_CreateObject();
    add_final(epoch, 4);
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&validator_set_record, &world.sets[1], &writer);
    MUST(!writer.failed);
    add_hex(epoch, "set", bytes, writer.size);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(object, "epochs"), epoch);
    return object;
}

static void end_proof(char out[DIGEST_WORLD_NOTE_MAX], struct cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    char *sealed = proof_seal(text, strlen(text));
    MUST(sealed != NULL && strlen(sealed) < DIGEST_WORLD_NOTE_MAX);
    strcpy(out, sealed);
    free(sealed);
    cJSON_free(text);
    cJSON_Delete(object);
}

/* The tree is one leaf: the path to any key is empty and ends in it. */
static void make_state_proof(char out[DIGEST_WORLD_NOTE_MAX], const char *id, bool present)
{
    const struct state_tree_proof path = {
        .end = STATE_TREE_LEAF, .end_key = leaf_key, .end_value = leaf_value};
    uint8_t bytes[256];
    struct state_key key;
    struct byte_writer writer;
    struct cJSON *object = begin_proof("pot", id);
    MUST(state_key_from_text(&key, STATE_POT, id));
    add_hex(object, "key", key.bytes, key.size);
    if (present) {
        add_hex(object, "value", pot_bytes, pot_size);
    } else {
        cJSON_AddNullToObject(object, "value");
    }
    byte_writer_init(&writer, bytes, sizeof bytes);
    state_tree_proof_encode(&path, &writer);
    MUST(!writer.failed);
    add_hex(object, "proof", bytes, writer.size);
    end_proof(out, object);
}

static void make_log_proofs(void)
{
    struct hash leaves[DIGEST_WORLD_BLOCKS], root, id = world.trust.genesis;
    struct merkle_proof proof;
    uint8_t header[BLOCK_HEADER_SIZE];
    for (int i = 0; i < DIGEST_WORLD_BLOCKS; i++) {
        hash_bytes(&leaves[i], HASH_DOMAIN_LOG_LEAF, id.bytes, HASH_SIZE);
        block_header_id(&id, &world.headers[i + 1]);
    }
    struct cJSON *object = begin_proof("block", "2");
    block_header_encode(header, &world.headers[2]);
    add_hex(object, "block", header, sizeof header);
    merkle_prove(&proof, leaves, DIGEST_WORLD_BLOCKS, 2);
    add_hex(object, "proof", proof.siblings[0].bytes, proof.count * HASH_SIZE);
    end_proof(world.block, object);
    object = begin_proof("log", "3/8");
    merkle_root(&root, leaves, 3);
    add_hex(object, "old_root", root.bytes, HASH_SIZE);
    merkle_prove_consistency(&proof, leaves, DIGEST_WORLD_BLOCKS, 3);
    add_hex(object, "proof", proof.siblings[0].bytes, proof.count * HASH_SIZE);
    end_proof(world.log, object);
}

const struct digest_world *digest_world(void)
{
    if (!made) {
        made = true;
        make_genesis();
        make_headers();
        (void)make_note(world.plain, 2, 3);
        (void)make_note(world.walked, 5, 8);
        cosign();
        make_state_proof(world.balance, "balance/dso", true);
        make_state_proof(world.absent, "balance/agg-a", false);
        make_log_proofs();
    }
    return &world;
}

char *digest_world_long_note(uint32_t epochs)
{
    enum { BYTES_PER_EPOCH = 2048 };
    size_t capacity = (size_t)(epochs + 8) * BYTES_PER_EPOCH;
    char *text = malloc(capacity);
    uint8_t bytes[BLOCK_HEADER_SIZE];
    struct byte_writer writer;
    struct certificate certificate;
    (void)digest_world();
    struct block_header last = world.headers[2], next = world.headers[3];
    MUST(text != NULL);
    last.height = 1000000;
    last.epoch = next.epoch = epochs;
    next.height = last.height + 1;
    validator_set_hash(&last.next_set, &world.sets[epochs % 2]);
    next.next_set = last.next_set;
    block_header_id(&next.parent_id, &last);
    byte_writer_init(&writer, (uint8_t *)text, capacity - 1);
    digest_write_head(&writer, &world.trust, &last, &next);
    for (uint32_t epoch = 0; epoch < epochs; epoch++) {
        struct finality finality = {.ends_epoch = true, .next_set = world.sets[(epoch + 1) % 2]};
        struct block_header boundary = world.headers[4];
        boundary.epoch = epoch;
        boundary.height = 10 * ((uint64_t)epoch + 1);
        validator_set_hash(&boundary.next_set, &finality.next_set);
        digest_world_certify(&finality.certificate, &boundary, 3);
        block_header_encode(bytes, &boundary);
        digest_write_epoch(&writer, bytes_view_of(bytes, sizeof bytes), &finality);
    }
    digest_write_blocks(&writer, &last, &next);
    digest_world_certify(&certificate, &next, 4);
    digest_write_votes(&writer, &certificate, &world.sets[epochs % 2]);
    MUST(!writer.failed);
    text[writer.size] = '\0';
    return text;
}
