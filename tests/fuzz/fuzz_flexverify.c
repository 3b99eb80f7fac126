/* The library's entry points (verify/flexverify.h): a genesis, a proof file or a note, whichever the
 * first byte says. On the trusted history only what is true in it is accepted. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/lib/verify/digest_world.h"
#include "verify/flexverify.h"
#include "verify/proof.h"

static struct flexverify_trust *trust;
static char problem[FLEXVERIFY_PROBLEM_SIZE];

static void open_trust(void)
{
    struct cJSON *object = genesis_to_json(&digest_world()->genesis);
    char *text = cJSON_PrintUnformatted(object);
    MUST(flexverify_open(&trust, text, strlen(text), problem) == FLEXVERIFY_OK);
    cJSON_free(text);
    cJSON_Delete(object);
}

/* Block ids and roots of the log as they are, to compare what the proof says with. */
static bool names_block(const struct flexverify_proof *proof)
{
    for (int height = 1; height < DIGEST_WORLD_BLOCKS; height++) {
        char hex[2 * HASH_SIZE + 1], number[8];
        struct hash id;
        block_header_id(&id, &digest_world()->headers[height]);
        hex_encode(hex, id.bytes, HASH_SIZE);
        (void)snprintf(number, sizeof number, "%d", height);
        if (strcmp(flexverify_proof_id(proof), number) == 0) {
            return strstr(flexverify_proof_json(proof), hex) != NULL;
        }
    }
    return false;
}

static bool names_root(const struct flexverify_proof *proof)
{
    for (int size = 1; size <= DIGEST_WORLD_BLOCKS; size++) {
        char hex[2 * HASH_SIZE + 1], sizes[16];
        hex_encode(hex, digest_world()->headers[size].log_root.bytes, HASH_SIZE);
        (void)snprintf(sizes, sizeof sizes, "%d/%d", size, DIGEST_WORLD_BLOCKS);
        if (strcmp(flexverify_proof_id(proof), sizes) == 0) {
            return strstr(flexverify_proof_json(proof), hex) != NULL;
        }
    }
    return false;
}

static bool is_true(const struct flexverify_proof *proof)
{
    const char *kind = flexverify_proof_kind(proof), *id = flexverify_proof_id(proof);
    bool dso = strcmp(kind, "pot") == 0 && strcmp(id, "balance/dso") == 0;
    if (strcmp(kind, "block") == 0) {
        return names_block(proof);
    }
    if (strcmp(kind, "log") == 0) {
        return names_root(proof);
    }
    return strcmp(kind, "transaction") != 0 && flexverify_proof_present(proof) == dso;
}

static void read_proof(const char *text, size_t size)
{
    struct flexverify_proof *proof;
    enum flexverify_result result = flexverify_proof_read(&proof, trust, text, size, problem);
    if (result == FLEXVERIFY_OK) {
        MUST(flexverify_proof_height(proof) == DIGEST_WORLD_BLOCKS && is_true(proof));
        flexverify_proof_close(proof);
    } else {
        MUST(result == FLEXVERIFY_UNPROVEN && proof == NULL && problem[0] != '\0');
    }
}

static void read_genesis(const char *text, size_t size)
{
    struct flexverify_trust *other;
    uint8_t hash[FLEXVERIFY_HASH_SIZE];
    char name[FLEXVERIFY_NAME_SIZE];
    if (flexverify_open(&other, text, size, problem) == FLEXVERIFY_OK) {
        flexverify_chain(other, hash, name);
        MUST(name[0] != '\0');
    } else {
        MUST(other == NULL && problem[0] != '\0');
    }
    flexverify_close(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flexverify_digest digest;
    if (trust == NULL) {
        MUST(crypto_init());
        open_trust();
    }
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    if (data[0] % 3 == 0) {
        read_genesis(text, size - 1);
    } else if (data[0] % 3 == 1) {
        /* Whoever forges makes a new checksum, so the text is tried sealed afresh as well. */
        read_proof(text, size - 1);
        char *sealed = proof_seal(text, size - 1);
        if (sealed != NULL) {
            read_proof(sealed, strlen(sealed));
        }
        free(sealed);
    } else if (flexverify_digest_read(&digest, trust, text, size - 1, NULL, 0, false, problem) ==
               FLEXVERIFY_OK) {
        MUST(flexverify_digest_continues(&digest, &digest, NULL, problem) == FLEXVERIFY_OK);
    } else {
        MUST(problem[0] != '\0');
    }
    return 0;
}
