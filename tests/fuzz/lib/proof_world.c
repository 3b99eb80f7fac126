/* A small finalized chain and its proofs (tests/fuzz/lib/proof_world.h). Made by the same steps as a
 * node makes them (node/api_proofs.c), from fixed keys, so every run has the same one. */
#include "tests/fuzz/lib/proof_world.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "crypto/merkle.h"
#include "tests/lib/crypto/node_store.h"
#include "tests/lib/node/chain_world.h"

enum { BYTES_MAX = 16384, RECEIPTS = 3 };

static struct proof_world made;
static struct node_store *tree;
static struct hash leaves[RECEIPTS];
static struct block_header descendant;

static void add_hex(cJSON *object, const char *key, const void *bytes, size_t size)
{
    static char text[2 * BYTES_MAX + 1];
    MUST(size <= BYTES_MAX);
    hex_encode(text, bytes, size);
    MUST(cJSON_AddStringToObject(object, key, text) != NULL);
}

static void certify(struct certificate *out, const struct block_header *header)
{
    memset(out, 0, sizeof *out);
    out->kind = VOTE_FINALIZE;
    out->epoch = header->epoch;
    out->view = header->view;
    block_header_id(&out->block_id, header);
    struct hash message;
    vote_message(&message, &made.trust.genesis, out->kind, out->epoch, out->view, &out->block_id);
    /* Validator i of the genesis is one of the seeds that world_genesis uses. */
    for (uint32_t i = 0; i < 3; i++) {
        for (int byte = 1; byte <= 4; byte++) {
            struct secret_key seed;
            struct public_key key;
            memset(seed.bytes, byte, sizeof seed.bytes);
            ed25519_public_key(&key, &seed);
            if (public_key_equal(&key, &made.trust.set.validators[i].key))
                ed25519_sign(&out->entries[i].signature, &seed, &message);
        }
        out->entries[i].signer = (uint8_t)i;
        out->count++;
    }
    MUST(certificate_verify(out, &made.trust.genesis, &made.trust.set));
}

static cJSON *begin(const char *kind, const char *id, const struct block_header *certified)
{
    static uint8_t bytes[CERTIFICATE_BYTES_MAX];
    uint8_t header[BLOCK_HEADER_SIZE];
    struct certificate certificate;
    cJSON *root = cJSON_CreateObject();
    MUST(root != NULL);
    cJSON_AddStringToObject(root, "format", "flexproof/1");
    cJSON_AddStringToObject(root, "kind", kind);
    cJSON_AddStringToObject(root, "id", id);
    json_add_u64(root, "height", made.header.height);
    block_header_encode(header, &made.header);
    add_hex(root, "header", header, sizeof header);
    certify(&certificate, certified);
    add_hex(root, "certificate", bytes, certificate_encode(bytes, &certificate));
    if (certified != &made.header) {
        char text[2 * BLOCK_HEADER_SIZE + 1];
        block_header_encode(header, certified);
        hex_encode(text, header, sizeof header);
        cJSON *list = cJSON_AddArrayToObject(root, "descendants");
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
    return root;
}

static char *finish(cJSON *root)
{
    char *text = cJSON_PrintUnformatted(root);
    MUST(text != NULL);
    char *sealed = proof_seal(text, strlen(text));
    MUST(sealed != NULL && strlen(sealed) < PROOF_WORLD_TEXT_MAX);
    cJSON_free(text);
    cJSON_Delete(root);
    return sealed;
}

static char *state_text(const char *id, bool present, const struct block_header *certified)
{
    static uint8_t bytes[BYTES_MAX];
    struct state_key key;
    struct hash key_hash;
    struct state_tree_proof proof;
    struct state_tree_store store = node_store_face(tree);
    struct byte_writer writer;
    MUST(state_key_from_text(&key, STATE_POT, id));
    hash_bytes(&key_hash, HASH_DOMAIN_STATE_KEY, key.bytes, key.size);
    MUST(state_tree_prove(&store, &proof, &key_hash));
    byte_writer_init(&writer, bytes, sizeof bytes);
    state_tree_proof_encode(&proof, &writer);
    MUST(!writer.failed);
    cJSON *root = begin("pot", id, certified);
    add_hex(root, "key", key.bytes, key.size);
    if (present)
        add_hex(root, "value", made.value.data, made.value.size);
    else
        cJSON_AddNullToObject(root, "value");
    add_hex(root, "proof", bytes, writer.size);
    return finish(root);
}

static char *receipt_text(void)
{
    uint8_t bytes[1024];
    char id[2 * HASH_SIZE + 1];
    struct merkle_proof proof;
    struct byte_writer writer;
    hex_encode(id, made.receipt.tx_id.bytes, HASH_SIZE);
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&receipt_record, &made.receipt, &writer);
    MUST(!writer.failed);
    merkle_prove(&proof, leaves, RECEIPTS, 1);
    cJSON *root = begin("transaction", id, &made.header);
    add_hex(root, "receipt", bytes, writer.size);
    json_add_u32(root, "index", 1);
    json_add_u32(root, "count", RECEIPTS);
    add_hex(root, "proof", proof.siblings[0].bytes, proof.count * sizeof proof.siblings[0]);
    return finish(root);
}

static void make_state(struct hash *root)
{
    static uint8_t value[64];
    static const char *const ids[] = {"balance/alice", "balance/bob", "fees"};
    const struct pot_record record = {.amount = money_of(1250000)};
    struct state_tree_change changes[3];
    struct byte_writer writer;
    byte_writer_init(&writer, value, sizeof value);
    codec_encode(&pot_record_codec, &record, &writer);
    MUST(!writer.failed);
    made.value = bytes_view_of(value, writer.size);
    made.present_kind = "pot";
    made.present_id = ids[0];
    for (int i = 0; i < 3; i++) {
        struct state_key key;
        MUST(state_key_from_text(&key, STATE_POT, ids[i]));
        hash_bytes(&changes[i].key, HASH_DOMAIN_STATE_KEY, key.bytes, key.size);
        hash_bytes(&changes[i].value, HASH_DOMAIN_STATE_VALUE, made.value.data, made.value.size);
        changes[i].absent = false;
    }
    tree = node_store_create();
    struct state_tree_store store = node_store_face(tree);
    MUST(state_tree_update(&store, root, changes, 3));
}

static void make_chain(void)
{
    struct genesis genesis;
    world_genesis(&genesis);
    MUST(proof_trust_from_genesis(&made.trust, &genesis));
    made.header = (struct block_header){.version = BLOCK_HEADER_VERSION,
                                        .genesis = made.trust.genesis,
                                        .height = 1,
                                        .view = 2,
                                        .parent_id = made.trust.genesis,
                                        .time = timestamp_of(WORLD_TIME_MS + 1)};
    make_state(&made.header.state_root);
    made.receipt = (struct receipt){.tx_id = {{0xab, 3}}, .fee = money_of(1100)};
    for (int i = 0; i < RECEIPTS; i++) {
        struct receipt other = made.receipt;
        other.tx_id.bytes[1] = (uint8_t)(2 + i);
        receipt_leaf(&leaves[i], &other);
    }
    merkle_root(&made.header.receipt_root, leaves, RECEIPTS);
    block_header_id(&made.block_id, &made.header);
    descendant = made.header;
    descendant.height = 2;
    descendant.view = 3;
    descendant.parent_view = 2;
    descendant.parent_id = made.block_id;
    descendant.time = timestamp_of(WORLD_TIME_MS + 2);
}

const struct proof_world *proof_world(void)
{
    if (tree != NULL)
        return &made;
    make_chain();
    made.texts[0] = state_text(made.present_id, true, &made.header);
    made.texts[1] = state_text("balance/carol", false, &made.header);
    made.texts[2] = receipt_text();
    made.texts[3] = state_text(made.present_id, true, &descendant);
    return &made;
}
