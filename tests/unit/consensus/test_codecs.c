/* Headers, votes, certificates and wire messages: quorums, forged proofs, round trips, and every
 * truncation of every message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/consensus/cluster.h"
#include "tests/lib/consensus/message_again.h"

static struct validator_set set;
static struct secret_key seeds[LIMIT_VALIDATORS];
static struct hash genesis;

static int prepare(void **state)
{
    (void)state;
    cluster_keys(&set, seeds, 4);
    memset(genesis.bytes, 7, sizeof genesis.bytes);
    return 0;
}

static struct block_header sample_header(void)
{
    struct block_header header = {.version = BLOCK_HEADER_VERSION,
                                  .genesis = genesis,
                                  .epoch = 3,
                                  .height = 5,
                                  .view = 9,
                                  .parent_view = 7,
                                  .time = timestamp_of(1700000000123)};
    memset(header.parent_id.bytes, 0x11, HASH_SIZE);
    memset(header.next_set.bytes, 0x22, HASH_SIZE);
    return header;
}

static struct vote sample_vote(uint8_t kind, uint8_t signer)
{
    struct vote vote = {.kind = kind, .epoch = 3, .view = 9, .signer = signer};
    struct hash message;
    if (kind != VOTE_NULLIFY)
        memset(vote.block_id.bytes, 0x33, HASH_SIZE);
    vote_message(&message, &genesis, kind, 3, 9, &vote.block_id);
    ed25519_sign(&vote.signature, &seeds[signer], &message);
    return vote;
}

static struct certificate sample_certificate(uint8_t kind, uint32_t count)
{
    struct certificate certificate = {.kind = kind, .epoch = 3, .view = 9, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct vote vote = sample_vote(kind, (uint8_t)i);
        certificate.block_id = vote.block_id;
        certificate.entries[i].signer = (uint8_t)i;
        certificate.entries[i].signature = vote.signature;
    }
    return certificate;
}

static void quorums(void **state)
{
    (void)state;
    static const uint32_t rows[][3] = {
        {4, 1, 3},  {5, 1, 4},   {6, 1, 5},   {7, 2, 5},   {8, 2, 6},   {9, 2, 7},   {10, 3, 7},
        {13, 4, 9}, {16, 5, 11}, {19, 6, 13}, {22, 7, 15}, {25, 8, 17}, {28, 9, 19}, {31, 10, 21}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct validator_set any = {.count = rows[i][0]};
        assert_int_equal(validator_set_faults(&any), rows[i][1]);
        assert_int_equal(validator_set_quorum(&any), rows[i][2]);
        assert_true(2 * rows[i][2] - rows[i][0] > rows[i][1]); /* two quorums meet honestly */
    }
    assert_int_equal(validator_set_leader(&set, 0, 5), 1);
    assert_int_equal(validator_set_leader(&set, 2, 5), 3);
    assert_int_equal(validator_set_leader(&set, UINT64_MAX, UINT64_MAX), (3 + 3) % 4);
}

static void sets(void **state)
{
    (void)state;
    struct validator_set changed = set;
    struct hash before, after;
    assert_true(validator_set_is_valid(&set));
    assert_int_equal(validator_set_index(&set, &set.validators[2].key), 2);
    validator_set_hash(&before, &set);
    changed.validators[0] = set.validators[1];
    assert_false(validator_set_is_valid(&changed)); /* a key twice */
    assert_int_equal(validator_set_index(&changed, &set.validators[0].key), -1);
    validator_set_hash(&after, &changed);
    assert_false(hash_equal(&before, &after));
    changed = set;
    changed.count = 3;
    assert_false(validator_set_is_valid(&changed));
    changed.count = LIMIT_VALIDATORS + 1;
    assert_false(validator_set_is_valid(&changed));
}

static void headers(void **state)
{
    (void)state;
    struct block_header header = sample_header(), back;
    uint8_t bytes[BLOCK_HEADER_SIZE];
    struct hash id, other;
    block_header_encode(bytes, &header);
    assert_true(block_header_decode(&back, bytes_view_of(bytes, sizeof bytes)));
    block_header_id(&id, &header);
    block_header_id(&other, &back);
    assert_true(hash_equal(&id, &other));
    back.parent_view++;
    block_header_id(&other, &back);
    assert_false(hash_equal(&id, &other));
    assert_false(block_header_decode(&back, bytes_view_of(bytes, sizeof bytes - 1)));
    bytes[3] = 2; /* version */
    assert_false(block_header_decode(&back, bytes_view_of(bytes, sizeof bytes)));
}

static void votes(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < VOTE_KIND_COUNT; kind++) {
        struct vote vote = sample_vote(kind, 2), forged;
        assert_true(vote_verify(&vote, &genesis, &set));
        forged = vote;
        forged.view++;
        assert_false(vote_verify(&forged, &genesis, &set));
        forged = vote;
        forged.epoch++;
        assert_false(vote_verify(&forged, &genesis, &set));
        forged = vote;
        forged.kind = (uint8_t)((kind + 1) % VOTE_KIND_COUNT);
        assert_false(vote_verify(&forged, &genesis, &set));
        forged = vote;
        forged.signer = 1;
        assert_false(vote_verify(&forged, &genesis, &set));
        forged.signer = 4; /* index >= n must not be looked up */
        assert_false(vote_verify(&forged, &genesis, &set));
        forged = vote;
        forged.block_id.bytes[0] ^= 1;
        assert_false(vote_verify(&forged, &genesis, &set));
        struct hash elsewhere = genesis;
        elsewhere.bytes[0] ^= 1;
        assert_false(vote_verify(&vote, &elsewhere, &set));
    }
}

static void certificates(void **state)
{
    (void)state;
    for (uint8_t kind = 0; kind < VOTE_KIND_COUNT; kind++) {
        struct certificate three = sample_certificate(kind, 3), forged;
        struct certificate four = sample_certificate(kind, 4);
        assert_true(certificate_verify(&three, &genesis, &set));
        assert_true(certificate_verify(&four, &genesis, &set));
        forged = three;
        forged.count = 2; /* q - 1 */
        assert_false(certificate_verify(&forged, &genesis, &set));
        forged = three;
        forged.entries[2] = forged.entries[1]; /* a signer twice */
        assert_false(certificate_verify(&forged, &genesis, &set));
        forged = three;
        forged.entries[0] = three.entries[1]; /* not ascending */
        forged.entries[1] = three.entries[0];
        assert_false(certificate_verify(&forged, &genesis, &set));
        forged = three;
        forged.entries[2].signer = 4; /* index >= n */
        assert_false(certificate_verify(&forged, &genesis, &set));
        forged = four;
        forged.count = 5;
        assert_false(certificate_verify(&forged, &genesis, &set));
        for (int i = 0; i < 3; i++) {
            forged = three;
            forged.entries[i].signature.bytes[5] ^= 1;
            assert_false(certificate_verify(&forged, &genesis, &set));
        }
        forged = three;
        forged.kind = VOTE_KIND_COUNT;
        assert_false(certificate_verify(&forged, &genesis, &set));
        uint8_t bytes[CERTIFICATE_BYTES_MAX];
        size_t size = certificate_encode(bytes, &three);
        assert_true(certificate_decode(&forged, bytes_view_of(bytes, size)));
        assert_memory_equal(&forged, &three, sizeof three);
        assert_false(certificate_decode(&forged, bytes_view_of(bytes, size - 1)));
    }
}

/* --- messages --------------------------------------------------------------------------------- */

static void round_trip(const struct byte_writer *frame)
{
    static uint8_t second[64 * 1024];
    assert_false(frame->failed);
    struct byte_writer writer;
    byte_writer_init(&writer, second, sizeof second);
    assert_true(
        message_again(frame->data[0], bytes_view_of(frame->data + 1, frame->size - 1), &writer));
    assert_int_equal(writer.size, frame->size);
    assert_memory_equal(writer.data, frame->data, frame->size);
    for (size_t size = 0; size + 1 < frame->size; size++) {
        byte_writer_init(&writer, second, sizeof second);
        assert_false(message_again(frame->data[0], bytes_view_of(frame->data + 1, size), &writer));
    }
    frame->data[frame->size] = 0; /* one byte too many */
    assert_false(
        message_again(frame->data[0], bytes_view_of(frame->data + 1, frame->size), &writer));
}

static void messages(void **state)
{
    (void)state;
    static uint8_t bytes[64 * 1024], chain[2 * BLOCK_HEADER_SIZE];
    static struct message_proposal p;
    static struct message_range r;
    struct byte_writer w;
    struct message_block b = {.header = sample_header(), .body = bytes_view_of("body", 4)};
    struct message_status s = {1, 2, UINT64_MAX, 4};
    struct vote v = sample_vote(VOTE_FINALIZE, 1);
    struct certificate c = sample_certificate(VOTE_NULLIFY, 3);
    p = (struct message_proposal){.header = b.header, .vote = v, .body = b.body};
    for (int step = 0; step < 14; step++) {
        byte_writer_init(&w, bytes, sizeof bytes);
        if (step == 1) {
            p.has_parent_certificate = true;
            p.parent_certificate = c;
            p.nullification_count = 2;
            p.nullifications[0] = p.nullifications[1] = c;
        }
        if (step < 2)
            message_encode_proposal(&w, &p);
        else if (step == 2)
            message_encode_vote(&w, &v);
        else if (step == 3)
            message_encode_certificate(&w, &c);
        else if (step == 4)
            message_encode_get_cert(&w, UINT64_MAX);
        else if (step == 5)
            message_encode_get_block(&w, &genesis);
        else if (step == 6)
            message_encode_block(&w, &b);
        else if (step == 7)
            message_encode_get_range(&w, &(struct message_get_range){9, LIMIT_RANGE_BLOCKS, 7});
        else if (step == 8 || step == 9) {
            block_header_encode(chain, &b.header);
            block_header_encode(chain + BLOCK_HEADER_SIZE, &b.header);
            r.block_count = 2;
            r.blocks[0] = r.blocks[1] = b;
            r.header_count = step == 8 ? 0 : 2;
            r.headers = bytes_view_of(chain, r.header_count * (size_t)BLOCK_HEADER_SIZE);
            r.finalization = c;
            message_encode_range(&w, &r);
        } else if (step == 10)
            message_encode_status(&w, &s);
        else if (step == 11)
            message_encode_get_high_vote(&w, &set.validators[0].key, 7);
        else
            message_encode_high_vote(&w, &set.validators[0].key, 7, 3, step == 12 ? NULL : &v);
        round_trip(&w);
    }
}

static void bundles_of_transactions(void **state)
{
    (void)state;
    static const uint8_t zeros[200];
    static uint8_t frame[64 * 1024];
    struct bytes_view out[MESSAGE_TRANSACTIONS_MAX];
    uint32_t count = 7;
    struct byte_writer w;
    byte_writer_init(&w, frame, sizeof frame);
    message_append_transaction(&w, bytes_view_of(zeros, 190));
    round_trip(&w);
    for (uint32_t i = 1; i < MESSAGE_TRANSACTIONS_MAX; i++)
        message_append_transaction(&w, bytes_view_of(zeros, 1 + i));
    assert_true(message_decode_transactions(out, &count, bytes_view_of(frame + 1, w.size - 1)));
    assert_int_equal(count, MESSAGE_TRANSACTIONS_MAX);
    assert_int_equal(out[0].size, 190);
    assert_int_equal(out[count - 1].size, MESSAGE_TRANSACTIONS_MAX);
    message_append_transaction(&w, bytes_view_of(zeros, 1)); /* one too many */
    assert_false(message_decode_transactions(out, &count, bytes_view_of(frame + 1, w.size - 1)));
    assert_false(message_decode_transactions(out, &count, bytes_view_of(frame, 0)));
    assert_false(message_decode_transactions(out, &count, bytes_view_of(zeros, 4))); /* empty one */
}

static void counts_are_bounded(void **state)
{
    (void)state;
    static struct message_range range;
    uint8_t bytes[64];
    static const struct {
        uint64_t height, lacks;
        uint32_t count;
        bool good;
    } questions[] = {{5, 5, LIMIT_RANGE_BLOCKS, true},
                     {5, 1, 1, true},
                     {5, 5, LIMIT_RANGE_BLOCKS + 1, false},
                     {5, 6, 1, false}}; /* asks for what it has */
    struct byte_writer w;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        struct message_get_range question;
        byte_writer_init(&w, bytes, sizeof bytes);
        byte_write_u64(&w, questions[i].height);
        byte_write_u32(&w, questions[i].count);
        byte_write_u64(&w, questions[i].lacks);
        assert_int_equal(message_decode_get_range(&question, bytes_view_of(bytes, w.size)),
                         questions[i].good);
    }
    byte_writer_init(&w, bytes, sizeof bytes);
    byte_write_u32(&w, UINT32_MAX);
    assert_false(message_decode_range(&range, bytes_view_of(bytes, w.size)));
    byte_writer_init(&w, bytes, sizeof bytes);
    byte_write_u32(&w, 0);
    byte_write_u32(&w, LIMIT_VIEW_WINDOW + 1);
    assert_false(message_decode_range(&range, bytes_view_of(bytes, w.size)));
}

/* A stored certificate, alone and with what a boundary block needs; cut, padded or with a broken link
 * it is neither. */
static void finality_round_trip(void **state)
{
    (void)state;
    static uint8_t bytes[FINALITY_BYTES_MAX + 1];
    struct certificate stored = {.kind = VOTE_FINALIZE, .epoch = 3, .view = 9, .count = 2};
    struct validator_set five;
    struct secret_key keys[LIMIT_VALIDATORS];
    struct block_header headers[3];
    uint8_t behind[2 * BLOCK_HEADER_SIZE];
    memset(stored.block_id.bytes, 7, HASH_SIZE);
    stored.entries[1].signer = 4;
    cluster_keys(&five, keys, 5);
    memset(headers, 0, sizeof headers);
    for (int i = 0; i < 3; i++) {
        headers[i].version = BLOCK_HEADER_VERSION;
        headers[i].epoch = 3;
        headers[i].height = (uint64_t)i + 5;
        if (i > 0)
            block_header_id(&headers[i].parent_id, &headers[i - 1]);
        if (i > 0)
            block_header_encode(behind + (size_t)(i - 1) * BLOCK_HEADER_SIZE, &headers[i]);
    }
    for (int with = 0; with < 3; with++) {
        struct finality read;
        struct byte_writer writer;
        struct bytes_view tail = bytes_view_of(behind, with == 2 ? sizeof behind : 0);
        byte_writer_init(&writer, bytes, sizeof bytes);
        finality_encode(&writer, &stored, with > 0 ? &five : NULL, tail);
        assert_false(writer.failed);
        assert_true(finality_decode(&read, bytes_view_of(bytes, writer.size)));
        assert_int_equal(read.ends_epoch, with > 0);
        assert_int_equal(read.headers.size, tail.size);
        assert_int_equal(read.certificate.view, 9);
        if (with > 0)
            assert_memory_equal(&read.next_set, &five, sizeof five);
        assert_false(finality_decode(&read, bytes_view_of(bytes, writer.size - 1)));
        assert_false(finality_decode(&read, bytes_view_of(bytes, writer.size + 1)));
    }
    struct block_header last = headers[0];
    assert_true(finality_follow(&last, bytes_view_of(behind, sizeof behind)));
    assert_memory_equal(&last, &headers[2], sizeof last);
    last = headers[1];
    assert_false(finality_follow(&last, bytes_view_of(behind, sizeof behind)));
    last = headers[0];
    last.epoch = 2;
    assert_false(finality_follow(&last, bytes_view_of(behind, sizeof behind)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finality_round_trip),
        cmocka_unit_test(quorums),
        cmocka_unit_test(sets),
        cmocka_unit_test(headers),
        cmocka_unit_test(votes),
        cmocka_unit_test(certificates),
        cmocka_unit_test(messages),
        cmocka_unit_test(bundles_of_transactions),
        cmocka_unit_test(counts_are_bounded),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
