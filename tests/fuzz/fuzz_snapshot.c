/* Parts of snapshots and the frames about them (node/snapshot.h, node/snapshot_message.h): what any peer
 * may send to a node that joins. The first byte says what it is.
 *
 * A chunk that opens under the sample's root holds the sample's very entries; a manifest or frame that
 * decodes encodes to its own bytes again; an epoch record, which nobody has signed, moves no trust. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/snapshot_sample.h"
#include "tests/lib/node/chain_world.h"

static struct snapshot_sample sample;
static struct snapshot_trust trust;
static uint8_t again[SNAPSHOT_PART_BYTES_MAX + SNAPSHOT_FRAME_SMALL];

static void begin(void)
{
    static bool begun;
    static struct genesis genesis;
    if (!begun) {
        begun = true;
        MUST(crypto_init());
        snapshot_sample_make(&sample);
        world_genesis(&genesis);
        MUST(snapshot_trust_begin(&trust, &genesis));
    }
}

static void check_chunk(struct bytes_view bytes)
{
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    for (size_t i = 0; i < SNAPSHOT_SAMPLE_CHUNKS; i++) {
        struct snapshot_chunk chunk;
        if (!snapshot_chunk_open(&chunk, bytes, &sample.prefixes[i], &sample.root, problem)) {
            MUST(problem[0] != '\0');
            continue;
        }
        MUST(bytes.size >= sample.entry_sizes[i] &&
             memcmp(bytes.data, sample.chunks[i], sample.entry_sizes[i]) == 0);
        snapshot_chunk_close(&chunk);
    }
}

static void check_manifest(struct bytes_view bytes)
{
    static struct snapshot_manifest manifest;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    struct byte_writer writer;
    if (!snapshot_manifest_decode(&manifest, bytes, problem)) {
        MUST(problem[0] != '\0');
        return;
    }
    struct snapshot_place *places = calloc(manifest.chunk_count, sizeof *places);
    if (places != NULL) {
        snapshot_manifest_places(&manifest, places);
    }
    free(places);
    byte_writer_init(&writer, again, sizeof again);
    snapshot_manifest_encode(&writer, &manifest);
    MUST(!writer.failed && bytes_view_equal(bytes_view_of(again, writer.size), bytes));
    MUST(!snapshot_trust_manifest(&trust, &manifest, problem));
}

static void check_epoch(struct bytes_view bytes)
{
    const struct snapshot_trust before = trust;
    struct snapshot_epoch epoch;
    char problem[SNAPSHOT_PROBLEM_SIZE] = "";
    MUST(!snapshot_trust_epoch(&trust, &epoch, bytes, problem) && problem[0] != '\0');
    MUST(memcmp(&before, &trust, sizeof trust) == 0);
}

static void check_frames(struct bytes_view bytes)
{
    struct snapshot_offers offers;
    struct snapshot_wanted wanted;
    struct snapshot_part part;
    struct byte_writer writer;
    uint64_t height = 0;
    byte_writer_init(&writer, again, sizeof again);
    if (snapshot_decode_offers(&offers, bytes)) {
        snapshot_encode_offers(&writer, &offers);
        MUST(bytes_view_equal(bytes_view_of(again + 1, writer.size - 1), bytes));
    }
    byte_writer_init(&writer, again, sizeof again);
    if (snapshot_decode_wanted(&wanted, bytes)) {
        snapshot_encode_wanted(&writer, &wanted);
        MUST(bytes_view_equal(bytes_view_of(again + 1, writer.size - 1), bytes));
    }
    byte_writer_init(&writer, again, sizeof again);
    if (snapshot_decode_part(&part, bytes)) {
        snapshot_encode_part(&writer, &part);
        MUST(bytes_view_equal(bytes_view_of(again + 1, writer.size - 1), bytes));
    }
    byte_writer_init(&writer, again, sizeof again);
    if (snapshot_decode_pruned(&height, bytes)) {
        snapshot_encode_pruned(&writer, height);
        MUST(bytes_view_equal(bytes_view_of(again + 1, writer.size - 1), bytes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin();
    if (size == 0) {
        return 0;
    }
    const struct bytes_view bytes = bytes_view_of(data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        check_chunk(bytes);
        break;
    case 1:
        check_manifest(bytes);
        break;
    case 2:
        check_epoch(bytes);
        break;
    default:
        check_frames(bytes);
        break;
    }
    return 0;
}
