/* Writes the first corpora: real encodings of every kind of input, made by the encoders themselves
 * (`make fuzz-seeds`; the results are in the tree). What fuzzing adds to them is merged by hand. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fatal.h"
#include "consensus/message.h"
#include "contracts/actions.h"
#include "contracts/body.h"
#include "contracts/delivery.h"
#include "p2p/handshake.h"
#include "solver/frame.h"
#include "storage/journal_internal.h"
#include "storage/key_order.h"
#include "storage/store_internal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/proof_world.h"
#include "tests/fuzz/lib/sample.h"
#include "tests/fuzz/lib/snapshot_sample.h"
#include "tests/lib/node/chain_world.h"
#include "tests/lib/verify/digest_world.h"
#include "tools/clear/coupled_text.h"
#include "tools/wallet.h"

enum { SEED_BYTES = 256 * 1024 };

static const char *folder;
static uint8_t bytes[SEED_BYTES];
static struct byte_writer out;

static void begin(void)
{
    byte_writer_init(&out, bytes, sizeof bytes);
}

static void save(const char *target, const char *name)
{
    char path[512];
    MUST(!out.failed);
    (void)snprintf(path, sizeof path, "%s/%s", folder, target);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "wb");
    MUST(file != NULL && fwrite(bytes, 1, out.size, file) == out.size && fclose(file) == 0);
}

static void text(const char *target, const char *name, const char *prefix, size_t prefix_size,
                 const char *content)
{
    begin();
    byte_write_raw(&out, prefix, prefix_size);
    byte_write_raw(&out, content, strlen(content));
    save(target, name);
}

static void sample(const struct codec_record *record, uint32_t seed)
{
    out.size += sample_encode(record, bytes + out.size, sizeof bytes - out.size, seed);
}

static void snapshot_part(uint8_t kind, const char *name, const void *data, size_t size)
{
    begin();
    byte_write_u8(&out, kind);
    byte_write_raw(&out, data, size);
    save("snapshot", name);
}

static void snapshots(void)
{
    static struct snapshot_sample made;
    uint8_t frame[SNAPSHOT_SAMPLE_BYTES];
    struct byte_writer writer;
    const struct snapshot_offers offers = {.count = 2, .offers = {{7, {{1}}}, {9, {{2}}}}};
    snapshot_sample_make(&made);
    snapshot_part(0, "chunk0", made.chunks[0], made.chunk_sizes[0]);
    snapshot_part(0, "chunk1", made.chunks[1], made.chunk_sizes[1]);
    snapshot_part(0, "chunk2", made.chunks[2], made.chunk_sizes[2]);
    snapshot_part(1, "manifest", made.manifest, made.manifest_size);
    snapshot_part(2, "epoch", made.epoch, made.epoch_size);
    byte_writer_init(&writer, frame, sizeof frame);
    snapshot_encode_offers(&writer, &offers);
    snapshot_part(3, "offers", frame + 1, writer.size - 1);
    const struct snapshot_part part = {.of = {made.root, SNAPSHOT_CHUNK, 1},
                                       .answer = SNAPSHOT_HERE,
                                       .bytes = bytes_view_of("bytes", 5)};
    byte_writer_init(&writer, frame, sizeof frame);
    snapshot_encode_part(&writer, &part);
    snapshot_part(3, "part", frame + 1, writer.size - 1);
    byte_writer_init(&writer, frame, sizeof frame);
    snapshot_encode_wanted(&writer, &part.of);
    snapshot_part(3, "wanted", frame + 1, writer.size - 1);
}

static void tables(void)
{
    static _Alignas(64) uint8_t value[FUZZ_RECORD_BYTES];
    for (size_t i = 0; i < fuzz_table_count(); i++) {
        const struct codec_record *record = fuzz_table(i);
        begin();
        byte_write_u8(&out, (uint8_t)i);
        sample(record, 1);
        save("codec", record->name);
        sample_fill(record, value, 2);
        cJSON *object = codec_to_json(record, value);
        char *json = cJSON_PrintUnformatted(object);
        MUST(json != NULL);
        const char prefix = (char)i;
        text("codec_json", record->name, &prefix, 1, json);
        if (i % 8 == 0)
            text("json", record->name, "", 0, json);
        cJSON_free(json);
        cJSON_Delete(object);
    }
    for (uint32_t seed = 0; seed < 4; seed++) {
        char name[16];
        (void)snprintf(name, sizeof name, "witness%u", seed);
        begin();
        sample(&delivery_witness_record, seed);
        save("witness", name);
    }
}

static void transactions(void)
{
    static _Alignas(64) uint8_t values[ACTION_TYPE_LIMIT][sizeof(union action_record)];
    static uint8_t envelope[LIMIT_TX_BYTES];
    struct transaction_draft draft = {
        .nonce = 1, .valid_until = timestamp_of(WORLD_TIME_MS), .fee_limit = money_of(1000000)};
    const struct secret_key secret = {.bytes = {3}};
    struct byte_writer writer;
    for (unsigned type = 0; type < ACTION_TYPE_LIMIT; type++) {
        if (action_codec((uint8_t)type) == NULL)
            continue;
        sample_fill(action_codec((uint8_t)type), values[type], type);
        draft.actions[draft.action_count].type = (uint8_t)type;
        draft.actions[draft.action_count++].record = values[type];
    }
    for (int half = 0; half < 3; half++) {
        char name[16];
        byte_writer_init(&writer, envelope, sizeof envelope);
        MUST(transaction_sign(&writer, &draft, &secret));
        (void)snprintf(name, sizeof name, "envelope%d", half);
        begin();
        byte_write_u8(&out, 0);
        byte_write_raw(&out, envelope, writer.size);
        save("transaction", name);
        begin();
        byte_write_u8(&out, 1);
        byte_write_u32(&out, 2);
        byte_write_sized(&out, envelope, writer.size);
        byte_write_sized(&out, envelope, writer.size);
        (void)snprintf(name, sizeof name, "body%d", half);
        save("transaction", name);
        draft.action_count = half == 0 ? 2 : 1;
        draft.witness = bytes_view_of("readings", half == 0 ? 8 : 0);
    }
}

/* A bundle of transactions (ADR 54), as a message and as frames on a link; an answer of one block, whose
 * headers are none, and one that is cut short in its last header, as frames (ADR 65). */
static void bundle_and_ranges(struct message_range *range)
{
    static const char *const envelopes[] = {"a transaction", "another", "x"};
    uint8_t message[4096];
    struct byte_writer writer;
    byte_writer_init(&writer, message, sizeof message);
    for (size_t i = 0; i < sizeof envelopes / sizeof envelopes[0]; i++)
        message_append_transaction(&writer, bytes_view_of(envelopes[i], strlen(envelopes[i])));
    MUST(!writer.failed);
    begin(), byte_write_raw(&out, message, writer.size), save("message", "transactions");
    begin(), byte_write_u8(&out, 1), byte_write_sized(&out, message, (uint32_t)writer.size);
    byte_write_sized(&out, message, (uint32_t)writer.size);
    save("frame", "bundles");
    range->block_count = 1;
    range->header_count = 0;
    range->headers = bytes_view_of(NULL, 0);
    byte_writer_init(&writer, message, sizeof message);
    message_encode_range(&writer, range);
    MUST(!writer.failed);
    begin(), byte_write_raw(&out, message, writer.size), save("message", "range_of_one");
    begin(), byte_write_u8(&out, 1), byte_write_sized(&out, message, (uint32_t)writer.size);
    byte_write_sized(&out, message, (uint32_t)writer.size - 1);
    save("frame", "ranges");
}

static void messages(void)
{
    static struct message_proposal proposal;
    static struct message_range range;
    struct vote vote;
    struct certificate certificate;
    const struct public_key key = {.bytes = {1}};
    const struct hash id = {.bytes = {2}};
    uint8_t headers[2 * BLOCK_HEADER_SIZE];
    struct message_status status = {0, 5, 4, 3};
    sample_fill(&vote_record, &vote, 1);
    sample_fill(&certificate_record, &certificate, 2);
    sample_fill(&block_header_record, &proposal.header, 3);
    proposal.vote = vote;
    proposal.has_parent_certificate = true;
    proposal.parent_certificate = proposal.nullifications[0] = certificate;
    proposal.nullification_count = 1;
    proposal.body = bytes_view_of("body", 4);
    begin(), message_encode_proposal(&out, &proposal), save("message", "proposal");
    begin(), message_encode_vote(&out, &vote), save("message", "vote");
    begin(), message_encode_certificate(&out, &certificate), save("message", "certificate");
    begin(), message_encode_get_cert(&out, 7), save("message", "get_cert");
    begin(), message_encode_get_block(&out, &id), save("message", "get_block");
    const struct message_block block = {proposal.header, proposal.body};
    begin(), message_encode_block(&out, &block), save("message", "block");
    begin(), message_encode_get_range(&out, &(struct message_get_range){9, 12, 4}),
        save("message", "get_range");
    range.block_count = 2;
    range.blocks[0] = range.blocks[1] = block;
    block_header_encode(headers, &block.header);
    block_header_encode(headers + BLOCK_HEADER_SIZE, &block.header);
    range.header_count = 2;
    range.headers = bytes_view_of(headers, sizeof headers);
    range.finalization = certificate;
    begin(), message_encode_range(&out, &range), save("message", "range");
    begin(), message_encode_status(&out, &status), save("message", "status");
    begin(), message_encode_get_high_vote(&out, &key, 7), save("message", "get_high_vote");
    begin(), message_encode_high_vote(&out, &key, 7, 1, &vote), save("message", "high_vote");
    begin(), message_encode_high_vote(&out, &key, 7, 1, NULL), save("message", "high_vote_none");
    bundle_and_ranges(&range);
    begin(), byte_write_u16(&out, 0), sample(&certificate_record, 4), save("vote", "certificate");
    begin(), byte_write_u16(&out, 256), sample(&block_header_record, 4), save("vote", "header");
}

static void links(void)
{
    static const uint8_t zeros[1500];
    begin();
    byte_write_u8(&out, 1);
    byte_write_sized(&out, "a frame", 7);
    byte_write_u32(&out, 0);
    byte_write_sized(&out, zeros, 200);
    byte_write_u32(&out, UINT32_MAX);
    save("frame", "frames");
    begin();
    byte_write_u8(&out, 0);
    byte_write_sized(&out, zeros, sizeof zeros);
    save("frame", "too_long_for_a_stranger");
    /* Role, all parts completed; then the proof over that exchange is the fuzzer's to miss. */
    for (uint8_t role = 0; role < 2; role++) {
        begin();
        byte_write_u8(&out, role);
        byte_write_u8(&out, 0x7f);
        for (int i = 0; i < HANDSHAKE_HELLO_SIZE + HANDSHAKE_AUTH_SIZE; i++)
            byte_write_u8(&out, 0x11);
        save("handshake", role == 0 ? "dialler" : "listener");
    }
}

static void script_record(uint8_t type, uint8_t flags, const struct codec_record *record,
                          const char *tail, size_t tail_size)
{
    static uint8_t payload[4096];
    const size_t size = sample_encode(record, payload, sizeof payload, type);
    byte_write_u8(&out, type);
    byte_write_u8(&out, flags);
    byte_write_u16(&out, (uint16_t)(size + tail_size));
    byte_write_raw(&out, payload, size);
    byte_write_raw(&out, tail, tail_size);
}

static void storage(void)
{
    for (uint8_t variant = 0; variant < 3; variant++) {
        const char *const names[] = {"whole", "torn", "damaged"};
        begin();
        byte_write_u8(&out, 3); /* a script, in the last segment */
        script_record(JOURNAL_VOTE, 1, &vote_record, "", 0);
        script_record(JOURNAL_CERTIFICATE, variant == 2 ? 3 : 1, &certificate_record, "", 0);
        script_record(JOURNAL_PEER_VOTE, 0, &vote_record, "", 0);
        script_record(JOURNAL_BLOCK, variant == 1 ? 2 : 1, &block_header_record, "\0\0\0\2hi", 6);
        save("journal", names[variant]);
    }
    struct store_tip tip;
    uint8_t tip_bytes[STORE_TIP_BYTES_MAX];
    memset(&tip, 0, sizeof tip);
    const struct hash leaf = {.bytes = {4}};
    merkle_frontier_append(&tip.log, &leaf);
    begin();
    byte_write_u8(&out, 0);
    byte_write_raw(&out, tip_bytes, store_tip_encode(tip_bytes, &tip));
    save("store", "tip");
    static struct state_tree_proof proof;
    proof.count = 3;
    proof.end = STATE_TREE_LEAF;
    begin(), byte_write_u8(&out, 1), state_tree_proof_encode(&proof, &out);
    save("store", "proof");
    begin();
    for (int i = 0; i < 2; i++) {
        byte_write_sized(&out, tip_bytes, 40);
        byte_write_sized(&out, "body", 4);
        byte_write_sized(&out, "", 0);
    }
    save("audit", "tile");
}

/* The frozen history's notes and proof files, for the note parser and for the library. */
static void verified(void)
{
    static const char genesis_kind = 0, proof_kind = 1, note_kind = 2;
    const struct digest_world *world = digest_world();
    const char *notes[] = {world->plain, world->walked, world->cosigned};
    const char *proofs[] = {world->balance, world->absent, world->block, world->log};
    char name[16], vkey[NOTE_VKEY_MAX];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "note%d", i);
        text("note", name, "", 0, notes[i]);
        text("flexverify", name, &note_kind, 1, notes[i]);
    }
    for (int i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "proof%d", i);
        text("flexverify", name, &proof_kind, 1, proofs[i]);
    }
    note_witness_to_text(vkey, &world->witness);
    text("note", "witness", "", 0, vkey);
    cJSON *object = genesis_to_json(&world->genesis);
    char *json = cJSON_PrintUnformatted(object);
    MUST(json != NULL);
    text("flexverify", "genesis", &genesis_kind, 1, json);
    cJSON_free(json);
    cJSON_Delete(object);
}

static void files(void)
{
    struct genesis genesis;
    char name[16];
    world_genesis(&genesis);
    cJSON *object = genesis_to_json(&genesis);
    char *json = cJSON_PrintUnformatted(object);
    MUST(json != NULL);
    text("genesis", "four", "", 0, json);
    cJSON_free(json);
    cJSON_Delete(object);
    for (int i = 0; i < PROOF_WORLD_PROOFS; i++) {
        (void)snprintf(name, sizeof name, "proof%d", i);
        text("proof", name, "", 0, proof_world()->texts[i]);
    }
    text("config", "full", "", 0,
         "{\"role\":\"validator\",\"name\":\"dso\",\"genesis\":\"g.json\",\"listen_p2p\":\"[::1]:"
         "7000\","
         "\"listen_api\":\"127.0.0.1:8000\",\"peers\":[{\"key\":\"00112233445566778899aabbccddeeff"
         "00112233445566778899aabbccddeeff\",\"address\":\"h:1\"}],\"tls\":{\"ca\":\"a\","
         "\"certificate\":\"b\",\"key\":\"c\"},\"log\":{\"level\":\"debug\",\"json\":true},"
         "\"clock_offset_file\":\"o\",\"map_bytes\":\"16777216\",\"workers\":2}");
    text("read_request", "request", "", 0,
         "Flexledger key=\"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f8179"
         "8\", time=\"1735689600000\", nonce=\"00112233445566778899aabbccddeeff\", signatu"
         "re=\"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f8179879be667ef9d"
         "cbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"");
    text("read_request", "challenge", "", 0,
         "Flexledger genesis=\"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f"
         "81798\", node=\"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
         "\", time=\"1735689600000\"");
    text("csv", "registers", "\3", 1, "time;Wh\n2025;1.5\r\n2026;-0.001\n");
    text("csv", "plain", "\0", 1, "a,b\n1,2\n");
    text("meter", "copy", "\0", 1,
         "meter_operator,batch,index,device,meter,interval_start_ms,interval_ms,net_wh,signature,"
         "salt,leaf\nmeters,w-c-00000,0,,,1736928000000,900000,,,,"
         "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\n"
         "meters,w-c-00000,1,a,certified,1736928000000,900000,5,"
         "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f8179879be667ef9dcbbac55a06295"
         "ce870b07029bfcdb2dce28d959f2815b16f81798,00112233445566778899aabbccddeeff\n");
    text("meter", "double_hour", "\x14", 1, "2025-10-26 02:30");
    text("meter", "offset", "\x14", 1, "2025-10-26T02:30:00+02:00");
    text("json", "escapes", "", 0, "{\"a\\u00e9\\ud83d\\ude00\":[1,-2,null,true,\"x\\n\",{}]}");
    text("json", "hostile", "", 0, "[[[[[[[[9007199254740993,1e400,\"\\u0000\"]]]]]]]]");
    text("wallet", "plain", "", 0,
         "{\"format\":\"flexkey/"
         "1\",\"public_key\":\"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d9"
         "59f2815b16f81798\",\"secret\":"
         "\"000000000000000000000000000000000000000000000000000000000000"
         "0001\"}\n");
    text("wallet", "sealed", "", 0,
         "{\"format\":\"flexkey/"
         "1\",\"public_key\":\"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d9"
         "59f2815b16f81798\",\"kdf\":\"argon2id13\",\"operations\":\"3\",\"memory_bytes\":\"8192\","
         "\"salt\":\"00112233445566778899aabbccddeeff\",\"check\":\"00\",\"nonce\":\"00\",\"box\":"
         "\"00\"}\n");
}

static void words(void)
{
    static const char *const paths[] = {
        "/v1/status",
        "/v1/blocks/7",
        "/v1/deals/7",
        "/v1/pots/balance/dso",
        "/v1/proofs/pot/balance/dso",
        "/v1/participants/alice/account",
        "/v1/batches/m/b/1000",
        "/v1/transactions/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"};
    static const struct {
        char kind;
        const char *id;
    } ids[] = {{STATE_POT, "balance/dso"}, {STATE_POT, "dispute_bond/7"},
               {STATE_DEAL, "12"},         {STATE_BATCH, "m/b/1735689600000"},
               {STATE_PARAMS, "params"},   {STATE_COMMITMENT, "dev/-5/up"},
               {STATE_DIGEST, "-3"}};
    static const char *const values[] = {"1.25", "-125", "2025-01-15T10:00:30.250Z", "36h"};
    char name[16];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        (void)snprintf(name, sizeof name, "path%zu", i);
        text("path", name, "\0\0", 2, paths[i]);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const char prefix[2] = {1, ids[i].kind};
        struct state_key key;
        (void)snprintf(name, sizeof name, "id%zu", i);
        text("path", name, prefix, 2, ids[i].id);
        if (!state_key_from_text(&key, (enum state_kind)ids[i].kind, ids[i].id))
            continue;
        begin();
        byte_write_u8(&out, 2);
        byte_write_u8(&out, (uint8_t)ids[i].kind);
        byte_write_raw(&out, key.bytes, key.size);
        (void)snprintf(name, sizeof name, "key%zu", i);
        save("path", name);
    }
    for (size_t i = 0; i < 4; i++) {
        const char prefix = (char)i;
        (void)snprintf(name, sizeof name, "value%zu", i);
        text("value", name, &prefix, 1, values[i]);
    }
    static const char *const phrases[] = {
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "ABAN aban aban aban aban aban aban aban aban aban aban abou",
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo "
        "zoo vote"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "phrase%zu", i);
        text("mnemonic", name, "", 0, phrases[i]);
    }
}

/* Scripts of fuzz_bft that reach its rules: answers to the roll-back question, a proposal, its
 * execution, votes, certificates, decisions, restarts. */
static void scripts(void)
{
    static const uint8_t certain[] = {18, 0}; /* nobody knows a later vote of ours */
    static const uint8_t life[] = {
        15,                                    /* what was journaled is synced */
        8,  0,  0,  2,  0,  6, 1,              /* a proposal for the current view */
        13, 0,  15,                            /* executed, synced */
        1,  0,  0,  6,  0,  0,                 /* its notarization */
        15, 1,  0,  2,  6,  0, 0,              /* its finalization */
        15, 14, 16, 60, 17, 0, 12,             /* committed, time passes, a block of our own */
        0,  7,  0,  15, 17, 0, 15, 17, 0,  15, /* time outs: nullify */
        1,  0,  1,  6,  0,  0, 15, 19, 18, 0}; /* a nullification, a restart */
    for (uint8_t self = 0; self < 5; self++) {
        char name[16];
        (void)snprintf(name, sizeof name, "life%u", self);
        begin();
        byte_write_u8(&out, 0);
        byte_write_u8(&out, self);
        byte_write_raw(&out, certain, sizeof certain);
        for (int turn = 0; turn < 4; turn++)
            byte_write_raw(&out, life, sizeof life);
        save("bft", name);
    }
    begin();
    byte_write_u8(&out, 7);
    byte_write_u8(&out, 5);
    byte_write_raw(&out, certain, sizeof certain);
    for (int turn = 0; turn < 3; turn++)
        byte_write_raw(&out, life, sizeof life);
    save("bft", "many");
}

/* A problem with something of everything, and what the floor makes of it. */
static void save_coupled(void)
{
    static const char problem[] =
        "{\"format\":\"flexclear/1\",\"mechanism\":\"coupled\",\"payments\":[\"node\"],\"bids\":["
        "{\"id\":\"a\",\"agent\":\"d\",\"side\":\"buy\",\"quantity\":\"9\",\"price\":\"30\","
        "\"node\":\"R\"},"
        "{\"id\":\"b\",\"agent\":\"d\",\"side\":\"buy\",\"quantity\":\"5\",\"price\":\"20\","
        "\"node\":\"S\","
        "\"order\":1,\"min_quantity\":\"2\"},"
        "{\"id\":\"c\",\"agent\":\"e\",\"side\":\"sell\",\"quantity\":\"8\",\"price\":\"10\","
        "\"node\":\"S\"},"
        "{\"id\":\"f\",\"agent\":\"e\",\"side\":\"sell\",\"quantity\":\"7\",\"price\":\"11\","
        "\"node\":\"R\","
        "\"indivisible\":true,\"carrier\":\"heat\"}],"
        "\"links\":[{\"type\":\"xor\",\"bids\":[\"a\",\"b\"]},"
        "{\"type\":\"sum\",\"bids\":[\"c\",\"f\"],\"op\":\"<=\",\"quantity\":\"12\"},"
        "{\"type\":\"convert\",\"in\":\"c\",\"out\":\"f\",\"num\":\"7\",\"den\":\"2\"}],"
        "\"network\":{\"slack\":\"R\",\"lines\":[{\"from\":\"R\",\"to\":\"S\",\"capacity\":\"6\"}],"
        "\"rows\":[{\"coef\":{\"R\":\"-3\",\"S\":\"2\"},\"op\":\"<=\",\"rhs\":\"40\"}]}}";
    struct clear_text parsed;
    struct clear_text_fault fault;
    size_t length = 0;
    text("coupled", "problem", "", 0, problem);
    MUST(clear_text_read(&parsed, problem, strlen(problem), &fault));
    char *result = coupled_text_run(&parsed, 0, &length, &fault);
    MUST(result != NULL);
    begin();
    byte_write_raw(&out, problem, strlen(problem));
    byte_write_u8(&out, 0xff);
    byte_write_raw(&out, result, length);
    save("coupled", "result");
    const struct coupled_problem *inner = &parsed.coupled->problem;
    begin();
    byte_write_u16(&out, (uint16_t)frame_problem_bytes(inner));
    frame_write_problem(&out, inner, 1000);
    for (size_t i = 0; i < frame_solution_bytes(inner) / 8; i++) {
        byte_write_i64(&out, i == 0 ? 1 : 0);
    }
    save("solver_frame", "problem");
    free(result);
    clear_text_free(&parsed);
}

int main(int argc, char **argv)
{
    MUST(argc == 2 && crypto_init());
    folder = argv[1];
    snapshots();
    tables();
    transactions();
    messages();
    links();
    storage();
    files();
    verified();
    words();
    scripts();
    save_coupled();
    return 0;
}
