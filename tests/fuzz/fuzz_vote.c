/* Certificates and headers in the form that proofs and the chain database keep (consensus/vote.h,
 * header.h), and what decides whether votes make a quorum. The first byte chooses what, the second
 * the size of the validator set. */
#include <string.h>

#include "base/fatal.h"
#include "consensus/vote.h"
#include "tests/fuzz/lib/fuzz.h"

static void one_certificate(struct bytes_view bytes, uint32_t validators)
{
    static struct validator_set set; /* its keys do not matter to the form */
    static struct certificate certificate;
    if (!certificate_decode(&certificate, bytes))
        return;
    uint8_t again[CERTIFICATE_BYTES_MAX];
    const size_t size = certificate_encode(again, &certificate);
    MUST(bytes_view_equal(bytes_view_of(again, size), bytes));
    set.count = validators;
    if (!certificate_is_well_formed(&certificate, &set))
        return;
    MUST(certificate.count >= validators - (validators - 1) / 3 && certificate.count <= validators);
    MUST(certificate.kind < VOTE_KIND_COUNT);
    MUST((certificate.kind == VOTE_NULLIFY) == hash_is_zero(&certificate.block_id));
    for (uint32_t i = 0; i < certificate.count; i++) {
        MUST(certificate.entries[i].signer < validators);
        MUST(i == 0 || certificate.entries[i - 1].signer < certificate.entries[i].signer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const bool header = fuzz_take_u8(&source) % 2 == 1;
    const uint32_t span = LIMIT_VALIDATORS - LIMIT_VALIDATORS_MIN + 1;
    const uint32_t validators = LIMIT_VALIDATORS_MIN + fuzz_take_u8(&source) % span;
    const struct bytes_view rest = fuzz_take_rest(&source);
    struct block_header decoded;
    if (!header) {
        one_certificate(rest, validators);
    } else if (block_header_decode(&decoded, rest)) {
        uint8_t again[BLOCK_HEADER_SIZE];
        block_header_encode(again, &decoded);
        MUST(rest.size == sizeof again && memcmp(again, rest.data, sizeof again) == 0);
    }
    return 0;
}
