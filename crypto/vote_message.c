/* The bytes under a validator's vote: one fixed layout, hashed under a domain of its own.
 *
 * 1. Every field has a fixed width, so no two votes share their bytes.
 * 2. The layout never changes; another protocol version gets another text.
 *
 * Deliberately absent: votes and certificates themselves (consensus/vote.h). */
#include "crypto/vote_message.h"

#include "base/bytes.h"
#include "base/fatal.h"

const char *const vote_kind_names[VOTE_KIND_COUNT] = {"notarize", "nullify", "finalize"};

/* The text that the specification signs under; the hash domain already keeps votes apart from all
 * else, the text also keeps this version of the protocol apart from the next. */
static const char vote_protocol[] = "simplex1/";

void vote_message(struct hash *out, const struct hash *genesis, uint8_t kind, uint64_t epoch,
                  uint64_t view, const struct hash *block_id)
{
    uint8_t bytes[sizeof vote_protocol - 1 + 1 + HASH_SIZE + 8 + 8 + HASH_SIZE];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, vote_protocol, sizeof vote_protocol - 1);
    byte_write_u8(&writer, kind);
    byte_write_raw(&writer, genesis->bytes, HASH_SIZE);
    byte_write_u64(&writer, epoch);
    byte_write_u64(&writer, view);
    byte_write_raw(&writer, block_id->bytes, HASH_SIZE);
    MUST(!writer.failed && writer.size == sizeof bytes);
    hash_bytes(out, HASH_DOMAIN_VOTE, bytes, sizeof bytes);
}
