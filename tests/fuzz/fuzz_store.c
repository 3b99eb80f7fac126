/* What the chain database reads back: the tip, and proofs of the state tree. The first byte
 * chooses. A damaged record may be refused or, where its checksum is not part of this
 * layer, taken; never may it be read beyond its end or come out as other bytes than went in. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "storage/store_internal.h"
#include "tests/fuzz/lib/fuzz.h"

static void one_tip(struct bytes_view bytes)
{
    struct store_tip tip;
    uint8_t again[STORE_TIP_BYTES_MAX];
    if (store_tip_decode(&tip, bytes)) {
        const size_t size = store_tip_encode(again, &tip);
        MUST(bytes_view_equal(bytes_view_of(again, size), bytes));
    }
}

static void one_proof(struct bytes_view bytes)
{
    struct state_tree_proof proof;
    struct byte_reader reader;
    byte_reader_init(&reader, bytes.data, bytes.size);
    state_tree_proof_decode(&proof, &reader);
    if (!byte_reader_done(&reader))
        return;
    uint8_t *memory = malloc(bytes.size);
    MUST(memory != NULL);
    struct byte_writer writer;
    byte_writer_init(&writer, memory, bytes.size);
    state_tree_proof_encode(&proof, &writer);
    MUST(!writer.failed && bytes_view_equal(bytes_view_of(memory, writer.size), bytes));
    free(memory);
    /* Nothing leads to a root that no hash makes. */
    struct hash root, key;
    memset(&root, 0xa5, sizeof root);
    memset(&key, 0x5a, sizeof key);
    MUST(!state_tree_verify(&proof, &root, &key, NULL));
    MUST(!state_tree_verify(&proof, &root, &key, &root));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const uint8_t what = fuzz_take_u8(&source) % 2;
    const struct bytes_view rest = fuzz_take_rest(&source);
    if (what == 0)
        one_tip(rest);
    else
        one_proof(rest);
    return 0;
}
