/* Proof files (verify/proof.h; fault scenario 82). The trusted chain has one finalized block (and a
 * descendant), so whatever is accepted must say what is true in it: accepting anything else is a
 * forgery, and aborts.
 *
 * The checksum of a mutated file never fits, and whoever forges can make a new one; so the text is
 * verified as it is and sealed afresh. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/proof_world.h"

static bool is_true(const struct proof_world *world, const struct proof *proof)
{
    static const char *const present[] = {"balance/alice", "balance/bob", "fees"};
    if (proof->type == PROOF_RECEIPT)
        return proof->receipt.status == world->receipt.status &&
               money_compare(proof->receipt.fee, world->receipt.fee) == 0 &&
               proof->receipt.events.size == 0 &&
               memcmp(&proof->receipt.tx_id, &proof->transaction, HASH_SIZE) == 0;
    if (proof->type == PROOF_BLOCK_END)
        return false; /* the world's receipt is a transaction's */
    bool known = false;
    for (size_t i = 0; i < sizeof present / sizeof present[0]; i++)
        known = known || (proof->kind->kind == STATE_POT && strcmp(proof->id, present[i]) == 0);
    return proof->present == known &&
           (!proof->present || bytes_view_equal(proof->value, world->value));
}

static void verify(const char *text, size_t size)
{
    const struct proof_world *world = proof_world();
    struct proof proof;
    char problem[PROOF_PROBLEM_SIZE] = "";
    if (!proof_verify(&proof, &world->trust, text, size, problem)) {
        MUST(problem[0] != '\0');
        return;
    }
    /* The descendant proves its parent; nobody has a proof of the descendant's own records, whose
     * roots are the same. */
    MUST(hash_equal(&proof.header.state_root, &world->header.state_root) &&
         hash_equal(&proof.header.receipt_root, &world->header.receipt_root));
    MUST(is_true(world, &proof));
    proof_release(&proof);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    verify((const char *)data, size);
    char *sealed = proof_seal((const char *)data, size);
    if (sealed != NULL)
        verify(sealed, strlen(sealed));
    free(sealed);
    return 0;
}
