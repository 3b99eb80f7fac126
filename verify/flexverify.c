/* The public face of libflexverify (verify/flexverify.h).
 *
 * Invariant: nothing is decided here. What is proven, verify/proof.c and verify/digest.c say, the very
 * code that the wallet and the auditor run; this file gives it a face without our own types.
 *
 * Absent on purpose: fetching. */
#include "verify/flexverify.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/digest.h"
#include "verify/proof.h"

_Static_assert((int)FLEXVERIFY_HASH_SIZE == (int)HASH_SIZE &&
                   (int)FLEXVERIFY_NAME_SIZE == NAME_SIZE + 1 &&
                   (int)FLEXVERIFY_DATE_SIZE == (int)DIGEST_DATE_SIZE &&
                   (int)FLEXVERIFY_PROBLEM_SIZE == (int)PROOF_PROBLEM_SIZE &&
                   (int)FLEXVERIFY_PROBLEM_SIZE == (int)DIGEST_PROBLEM_SIZE,
               "the public sizes are ours");

struct flexverify_trust {
    struct proof_trust trust;
};

struct flexverify_proof {
    struct proof proof;
    char *json;
};

static enum flexverify_result say(enum flexverify_result result, char *problem, const char *why)
{
    snprintf(problem, FLEXVERIFY_PROBLEM_SIZE, "%s", why);
    return result;
}

const char *flexverify_version(void)
{
    return "0.1.0";
}

enum flexverify_result flexverify_open(struct flexverify_trust **out, const char *genesis,
                                       size_t size, char problem[FLEXVERIFY_PROBLEM_SIZE])
{
    *out = NULL;
    if (!crypto_init()) {
        return say(FLEXVERIFY_NO_MEMORY, problem, "the cryptographic libraries won't start");
    }
    struct genesis *decoded = calloc(1, sizeof *decoded);
    struct flexverify_trust *trust = calloc(1, sizeof *trust);
    enum flexverify_result result = FLEXVERIFY_OK;
    problem[0] = '\0';
    if (decoded == NULL || trust == NULL) {
        result = say(FLEXVERIFY_NO_MEMORY, problem, "memory ran out");
    } else if (!genesis_from_json(decoded, genesis, size, problem)) {
        result = FLEXVERIFY_BAD_INPUT;
    } else if (!proof_trust_from_genesis(&trust->trust, decoded)) {
        const char *why = genesis_problem(decoded);
        result = say(FLEXVERIFY_BAD_INPUT, problem,
                     why != NULL ? why : "its validators are not a valid set");
    }
    free(decoded);
    if (result != FLEXVERIFY_OK) {
        free(trust);
        return result;
    }
    *out = trust;
    return FLEXVERIFY_OK;
}

void flexverify_close(struct flexverify_trust *trust)
{
    free(trust);
}

void flexverify_chain(const struct flexverify_trust *trust, uint8_t hash[FLEXVERIFY_HASH_SIZE],
                      char name[FLEXVERIFY_NAME_SIZE])
{
    memcpy(hash, trust->trust.genesis.bytes, HASH_SIZE);
    name_to_text(name, &trust->trust.chain);
}

/* --- proof files ----------------------------------------------------------------------------- */

enum flexverify_result flexverify_proof_read(struct flexverify_proof **out,
                                             const struct flexverify_trust *trust, const char *text,
                                             size_t size, char problem[FLEXVERIFY_PROBLEM_SIZE])
{
    struct flexverify_proof *proof = calloc(1, sizeof *proof);
    *out = NULL;
    problem[0] = '\0';
    if (proof == NULL) {
        return say(FLEXVERIFY_NO_MEMORY, problem, "memory ran out");
    }
    if (!proof_verify(&proof->proof, &trust->trust, text, size, problem)) {
        free(proof);
        return FLEXVERIFY_UNPROVEN;
    }
    struct cJSON *object = proof_to_json(&proof->proof);
    proof->json = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (proof->json == NULL) {
        flexverify_proof_close(proof);
        return say(FLEXVERIFY_UNPROVEN, problem,
                   "the record is proven, but this version does not know its form");
    }
    *out = proof;
    return FLEXVERIFY_OK;
}

void flexverify_proof_close(struct flexverify_proof *proof)
{
    if (proof != NULL) {
        cJSON_free(proof->json);
        proof_release(&proof->proof);
        free(proof);
    }
}

const char *flexverify_proof_kind(const struct flexverify_proof *proof)
{
    return proof_kind_name(&proof->proof);
}

const char *flexverify_proof_id(const struct flexverify_proof *proof)
{
    return proof->proof.id;
}

uint64_t flexverify_proof_height(const struct flexverify_proof *proof)
{
    return proof->proof.header.height;
}

int64_t flexverify_proof_time_ms(const struct flexverify_proof *proof)
{
    return timestamp_ms(proof->proof.header.time);
}

void flexverify_proof_block(const struct flexverify_proof *proof, uint8_t id[FLEXVERIFY_HASH_SIZE])
{
    memcpy(id, proof->proof.block_id.bytes, HASH_SIZE);
}

bool flexverify_proof_present(const struct flexverify_proof *proof)
{
    return proof->proof.type != PROOF_STATE || proof->proof.present;
}

const uint8_t *flexverify_proof_value(const struct flexverify_proof *proof, size_t *size)
{
    *size = proof->proof.value.size;
    return proof->proof.value.data;
}

const char *flexverify_proof_json(const struct flexverify_proof *proof)
{
    return proof->json;
}

/* --- digests --------------------------------------------------------------------------------- */

static void fill_digest(struct flexverify_digest *out, const struct digest *digest)
{
    *out = (struct flexverify_digest){.day = digest->day,
                                      .height = digest->last.height,
                                      .size = digest->size,
                                      .validators = digest->validators,
                                      .cosignatures = digest->cosignatures,
                                      .unknown = digest->unknown,
                                      .cosigned_s = digest->time_s};
    memcpy(out->date, digest->date, sizeof out->date);
    memcpy(out->root, digest->root.bytes, sizeof out->root);
}

enum flexverify_result flexverify_digest_read(struct flexverify_digest *out,
                                              const struct flexverify_trust *trust,
                                              const char *text, size_t size,
                                              const char *const *witnesses, uint32_t witness_count,
                                              bool allow_unknown,
                                              char problem[FLEXVERIFY_PROBLEM_SIZE])
{
    struct note_witness known[FLEXVERIFY_WITNESSES_MAX];
    struct digest_rules rules = {known, witness_count, allow_unknown};
    struct digest digest;
    problem[0] = '\0';
    if (witness_count > FLEXVERIFY_WITNESSES_MAX) {
        return say(FLEXVERIFY_BAD_INPUT, problem, "there are too many witnesses");
    }
    for (uint32_t i = 0; i < witness_count; i++) {
        if (!note_witness_from_text(&known[i], witnesses[i], strlen(witnesses[i]))) {
            return say(FLEXVERIFY_BAD_INPUT, problem, "that is no witness's key");
        }
    }
    if (!digest_verify(&digest, &trust->trust, &rules, text, size, problem)) {
        return FLEXVERIFY_UNPROVEN;
    }
    fill_digest(out, &digest);
    return FLEXVERIFY_OK;
}

enum flexverify_result flexverify_digest_continues(const struct flexverify_digest *older,
                                                   const struct flexverify_digest *newer,
                                                   const struct flexverify_proof *proof,
                                                   char problem[FLEXVERIFY_PROBLEM_SIZE])
{
    problem[0] = '\0';
    if (older->size == newer->size) {
        return memcmp(older->root, newer->root, HASH_SIZE) == 0
                   ? FLEXVERIFY_OK
                   : say(FLEXVERIFY_TWO_HISTORIES, problem, "one size has two roots");
    }
    if (proof == NULL || proof->proof.type != PROOF_LOG || proof->proof.old_size != older->size ||
        proof->proof.header.height != newer->size) {
        return say(FLEXVERIFY_UNPROVEN, problem, "the proof is not that of these two sizes");
    }
    bool same = memcmp(proof->proof.old_root.bytes, older->root, HASH_SIZE) == 0 &&
                memcmp(proof->proof.header.log_root.bytes, newer->root, HASH_SIZE) == 0;
    return same ? FLEXVERIFY_OK
                : say(FLEXVERIFY_TWO_HISTORIES, problem,
                      "the smaller log is not a prefix of the larger");
}
