/* bft_step itself (consensus/bft.h; fault scenarios 40-50): the bytes are a script of inputs to one
 * core, whose peers all lie as the script says, with valid signatures where it wants them.
 *
 * First byte: 4 or 31 validators; second: which one is ours, or an observer. Then steps, one opcode
 * byte and its operands each. Numbers are small and near to where the core stands, because that is
 * where the rules are; an opcode's flags turn single fields into anything.
 * tests/fuzz/lib/world.c checks what must hold. */
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/world.h"
#include "tests/lib/consensus/cluster.h"

static struct world world;

/* A view near the current one; with 0xff any at all. */
static uint64_t take_view(struct fuzz_source *source)
{
    const uint8_t byte = fuzz_take_u8(source);
    if (byte == UINT8_MAX)
        return fuzz_take_u64(source);
    const uint64_t up = world.last_view + byte % 16;
    return up > 6 ? up - 6 : up;
}

static int take_peer(struct fuzz_source *source)
{
    const int peer = fuzz_take_u8(source) % (int)(world.count + 1);
    return peer == (int)world.count || peer == world.self ? BFT_PEER_NONE : peer;
}

static uint8_t take_signer(struct fuzz_source *source)
{
    const uint32_t signer = fuzz_take_u8(source) % world.count;
    return (uint8_t)((int)signer == world.self ? (signer + 1) % world.count : signer);
}

/* One of the blocks that exist, or the genesis, or one that nobody has. */
static struct hash take_id(struct fuzz_source *source)
{
    const uint8_t byte = fuzz_take_u8(source);
    struct hash id;
    if (byte == UINT8_MAX || world.block_count == 0) {
        memset(id.bytes, byte, sizeof id.bytes);
        return byte == UINT8_MAX ? id : world.chain[world.decided];
    }
    /* Counted from the youngest. */
    return world.blocks[world.block_count - 1 - byte % world.block_count].id;
}

static void make_certificate(struct certificate *out, uint8_t kind, uint64_t view,
                             const struct hash *id, uint32_t leave_out)
{
    const uint32_t quorum = world.count - (world.count - 1) / 3;
    memset(out, 0, sizeof *out);
    out->kind = kind;
    out->epoch = world.config.epoch;
    out->view = view;
    if (kind != VOTE_NULLIFY)
        out->block_id = *id;
    uint32_t others = world.self < 0 ? world.count : world.count - 1;
    for (uint32_t signer = 0; signer < world.count && out->count < quorum; signer++) {
        if ((int)signer == world.self)
            continue;
        if (others-- > quorum - out->count && (leave_out >> signer & 1) != 0)
            continue;
        struct vote vote = {.kind = kind,
                            .epoch = out->epoch,
                            .view = view,
                            .block_id = out->block_id,
                            .signer = (uint8_t)signer};
        world_vote_sign(&world, &vote);
        out->entries[out->count].signer = vote.signer;
        out->entries[out->count].signature = vote.signature;
        out->count++;
    }
}

/* A certificate spoiled in one of the ways that a decoder lets pass. */
static void spoil(struct certificate *certificate, uint8_t how)
{
    switch (how % 8) {
    case 1:
        certificate->count--;
        break;
    case 2:
        certificate->entries[1].signer = certificate->entries[0].signer;
        break;
    case 3:
        certificate->entries[certificate->count - 1].signer = UINT8_MAX;
        break;
    case 4:
        certificate->entries[0].signature.bytes[3] ^= 1;
        break;
    case 5:
        certificate->kind = (uint8_t)((certificate->kind + 1) % VOTE_KIND_COUNT);
        break;
    case 6:
        certificate->epoch++;
        break;
    case 7:
        certificate->count = 0;
        break;
    }
}

static const struct certificate *take_certificate(struct fuzz_source *source,
                                                  struct certificate *out)
{
    const uint8_t flags = fuzz_take_u8(source);
    const uint64_t view = take_view(source);
    const struct hash id = take_id(source);
    const int block = world_block_find(&world, &id);
    const bool own_view = (flags & 4) == 0 && block >= 0;
    make_certificate(out, (uint8_t)(flags % VOTE_KIND_COUNT),
                     own_view ? world.blocks[block].header.view : view, &id, fuzz_take_u8(source));
    spoil(out, (flags & 0x80) != 0 ? flags >> 4 : 0);
    return out;
}

static void take_vote(struct fuzz_source *source, struct vote *out)
{
    const uint8_t flags = fuzz_take_u8(source);
    *out = (struct vote){.kind = (uint8_t)(flags % VOTE_KIND_COUNT), .signer = take_signer(source)};
    out->view = take_view(source);
    out->epoch = world.config.epoch + ((flags & 0x40) != 0);
    if (out->kind != VOTE_NULLIFY)
        out->block_id = take_id(source);
    world_vote_sign(&world, out);
    if ((flags & 0x80) != 0)
        out->signature.bytes[0] ^= 1;
    if ((flags & 0xa0) == 0xa0)
        out->signer = fuzz_take_u8(source);
}

/* A header on top of some block, most often right; the index of its block. */
static int take_header(struct fuzz_source *source)
{
    const uint8_t flags = fuzz_take_u8(source);
    const struct hash parent = take_id(source);
    const int below = world_block_find(&world, &parent);
    const uint32_t at = below >= 0 ? 0 : world.decided;
    struct block_header header = {.version = BLOCK_HEADER_VERSION,
                                  .genesis = world.config.genesis,
                                  .epoch = world.config.epoch,
                                  .height = at + 1,
                                  .view = take_view(source),
                                  .parent_view = world.chain_view[at],
                                  .parent_id = parent};
    int64_t time = timestamp_ms(world.chain_time[at]);
    if (below >= 0) {
        header.height = world.blocks[below].header.height + 1;
        header.parent_view = world.blocks[below].header.view;
        time = timestamp_ms(world.blocks[below].header.time);
    }
    const int64_t now = INT64_C(1700000000000) + (int64_t)world.now_ms;
    header.time = timestamp_of((now > time ? now : time + 1) + (flags & 3));
    header.tx_root.bytes[0] = fuzz_take_u8(source);
    if ((flags & 0x80) != 0)
        header.parent_view = take_view(source);
    if ((flags & 0x40) != 0)
        header.height = fuzz_take_u64(source);
    if ((flags & 0x20) != 0)
        header.time = timestamp_of((int64_t)fuzz_take_u64(source));
    header.next_set = world.set_hash;
    if ((flags & 0x0c) == 0x0c) /* ends the epoch */
        header.next_set.bytes[0] ^= 1;
    if ((flags & 0xf0) == 0xf0)
        header.genesis.bytes[0] ^= 1;
    return world_block_add(&world, &header, (flags & 0x10) == 0);
}

static bool step_proposal(struct fuzz_source *source, struct bft_input *input)
{
    static struct message_proposal proposal;
    const uint8_t flags = fuzz_take_u8(source);
    const int block = take_header(source);
    if (block < 0)
        return true;
    const struct block_header *header = &world.blocks[block].header;
    memset(&proposal, 0, sizeof proposal);
    proposal.header = *header;
    proposal.vote = (struct vote){.kind = VOTE_NOTARIZE,
                                  .epoch = header->epoch,
                                  .view = header->view,
                                  .block_id = world.blocks[block].id};
    const uint32_t leader = (uint32_t)((header->view + header->epoch) % world.count);
    if ((int)leader == world.self && (flags & 1) == 0)
        return true; /* only the core itself could sign that */
    proposal.vote.signer = (int)leader == world.self ? take_signer(source) : (uint8_t)leader;
    if ((flags & 0x80) != 0)
        proposal.vote.signer = take_signer(source);
    world_vote_sign(&world, &proposal.vote);
    if ((flags & 0x40) != 0)
        proposal.vote.signature.bytes[9] ^= 1;
    proposal.has_parent_certificate = (flags & 2) == 0 && header->parent_view > 0;
    if (proposal.has_parent_certificate) {
        make_certificate(&proposal.parent_certificate,
                         (flags & 4) != 0 ? VOTE_FINALIZE : VOTE_NOTARIZE, header->parent_view,
                         &header->parent_id, flags);
        spoil(&proposal.parent_certificate, (flags & 0x20) != 0 ? fuzz_take_u8(source) : 0);
    }
    for (uint64_t view = header->parent_view + 1;
         (flags & 8) == 0 && view < header->view &&
         proposal.nullification_count < MESSAGE_NULLIFICATIONS_MAX;
         view++)
        make_certificate(&proposal.nullifications[proposal.nullification_count++], VOTE_NULLIFY,
                         view, &header->parent_id, flags);
    input->kind = BFT_INPUT_PROPOSAL;
    input->from = (flags & 0x10) != 0 ? take_peer(source) : (int)proposal.vote.signer;
    input->proposal = &proposal;
    return world_step(&world, input);
}

/* Blocks from some tip downwards, as a range answer: some with bodies, the rest as headers. */
static bool step_range(struct fuzz_source *source, struct bft_input *input)
{
    static struct message_range range;
    static uint8_t headers[WORLD_BLOCKS * BLOCK_HEADER_SIZE];
    int way[LIMIT_RANGE_BLOCKS];
    int length = 0;
    const uint8_t flags = fuzz_take_u8(source);
    struct hash id = take_id(source);
    const struct hash tip = id;
    for (int at = world_block_find(&world, &id); at >= 0 && length < LIMIT_RANGE_BLOCKS;
         at = world_block_find(&world, &id)) {
        way[length++] = at;
        id = world.blocks[at].header.parent_id;
        if (hash_equal(&id, &world.chain[world.decided]))
            break;
    }
    memset(&range, 0, sizeof range);
    const int bodies = length - (length > 0 ? fuzz_take_u8(source) % length : 0);
    for (int i = 0; i < length; i++) {
        const struct block_header *header = &world.blocks[way[length - 1 - i]].header;
        if (i < bodies)
            range.blocks[range.block_count++].header = *header;
        else
            block_header_encode(headers + BLOCK_HEADER_SIZE * (size_t)range.header_count++, header);
    }
    range.headers = bytes_view_of(headers, (size_t)range.header_count * BLOCK_HEADER_SIZE);
    if ((flags & 0x40) != 0 && range.headers.size > 0)
        headers[fuzz_take_u8(source) % range.headers.size] ^= 4;
    make_certificate(&range.finalization, VOTE_FINALIZE,
                     length > 0 ? world.blocks[way[0]].header.view : take_view(source), &tip,
                     flags);
    spoil(&range.finalization, (flags & 0x80) != 0 ? fuzz_take_u8(source) : 0);
    input->kind = BFT_INPUT_RANGE;
    input->range = &range;
    return world_step(&world, input);
}

/* --- the own shell ------------------------------------------------------------------------------ */

static bool step_built(struct fuzz_source *source, struct bft_input *input)
{
    if (world.build_count == 0)
        return true;
    const struct bft_effect build = world.builds[--world.build_count];
    const uint8_t flags = fuzz_take_u8(source);
    const int parent = world_block_find(&world, &build.block_id);
    int64_t time = INT64_C(1700000000000) + (int64_t)world.now_ms;
    const int64_t before = timestamp_ms(parent >= 0 ? world.blocks[parent].header.time
                                                    : world.chain_time[world.decided]);
    const struct block_header header = {.version = BLOCK_HEADER_VERSION,
                                        .genesis = world.config.genesis,
                                        .epoch = world.config.epoch,
                                        .height = build.height,
                                        .view = build.view,
                                        .parent_view = build.parent_view,
                                        .parent_id = build.block_id,
                                        .time = timestamp_of(time > before ? time : before + 1),
                                        .tx_root = {{fuzz_take_u8(source)}},
                                        .next_set = world.set_hash};
    const int block = (flags & 1) != 0 ? -1 : world_block_add(&world, &header, true);
    input->kind = BFT_INPUT_BUILT;
    input->from = BFT_PEER_NONE;
    input->view = build.view;
    input->failed = block < 0;
    if (block >= 0) {
        world.blocks[block].executed = true;
        input->header = &world.blocks[block].header;
    }
    return world_step(&world, input);
}

static bool step_executed(struct fuzz_source *source, struct bft_input *input)
{
    if (world.execute_count == 0)
        return true;
    const uint32_t which = fuzz_take_u8(source) % world.execute_count;
    const struct hash id = world.executes[which];
    world.executes[which] = world.executes[--world.execute_count];
    struct world_block *block = &world.blocks[world_block_find(&world, &id)];
    block->executed = block->valid;
    input->kind = BFT_INPUT_EXECUTED;
    input->from = BFT_PEER_NONE;
    input->block_id = id;
    input->verdict = block->valid ? BFT_VERDICT_VALID : BFT_VERDICT_INVALID;
    return world_step(&world, input);
}

static bool step_shell(struct fuzz_source *source, struct bft_input *input, uint8_t what)
{
    input->from = BFT_PEER_NONE;
    if (what == 0)
        return step_built(source, input);
    if (what == 1)
        return step_executed(source, input);
    if (what == 2) {
        if (world.committed == world.decided)
            return true;
        input->kind = BFT_INPUT_COMMITTED;
        input->height = ++world.committed;
        return world_step(&world, input);
    }
    if (!world.owes_persisted)
        return true;
    world.owes_persisted = false;
    input->kind = BFT_INPUT_PERSISTED;
    return world_step(&world, input);
}

/* --- the script --------------------------------------------------------------------------------- */

/* Answers to the question for the own highest vote: nobody knows of any beyond the journal. */
static bool step_high_votes(struct fuzz_source *source, struct bft_input *input)
{
    const uint8_t flags = fuzz_take_u8(source);
    struct vote vote;
    if (world.self < 0)
        return true;
    input->kind = BFT_INPUT_HIGH_VOTE;
    input->key = world.config.set.validators[world.self].key;
    input->question = world.config.jitter_seed + ((flags & 8) != 0 ? 1 : 0);
    input->epoch = world.config.epoch + ((flags & 4) != 0 ? 1 : 0);
    if ((flags & 1) != 0 && world.own_count > 0) {
        input->vote = &world.own[fuzz_take_u8(source) % world.own_count];
    } else if ((flags & 2) != 0) {
        take_vote(source, &vote); /* somebody else's, shown as ours */
        input->vote = &vote;
    }
    for (uint32_t peer = 0; peer < world.count; peer++) {
        input->from = (int)peer;
        if ((int)peer != world.self && !world_step(&world, input))
            return false;
    }
    return true;
}

static bool step_time(struct fuzz_source *source, struct bft_input *input, bool to_deadline)
{
    const uint8_t byte = fuzz_take_u8(source);
    const uint64_t deadline = bft_deadline_ms(world.core);
    if (to_deadline && deadline != UINT64_MAX && deadline > world.now_ms)
        world.now_ms = deadline;
    else
        world.now_ms += (uint64_t)byte << (byte % 8);
    if (world.now_ms > UINT64_C(1) << 40)
        return false;
    if (byte == UINT8_MAX)
        world.skew_ms = (int8_t)fuzz_take_u8(source) * INT64_C(100);
    input->kind = BFT_INPUT_TICK;
    input->from = BFT_PEER_NONE;
    return world_step(&world, input);
}

static bool step_message(struct fuzz_source *source, struct bft_input *input, uint8_t what)
{
    static struct vote vote;
    static struct certificate certificate;
    static struct message_status status;
    if (what == 0) {
        take_vote(source, &vote);
        input->kind = BFT_INPUT_VOTE;
        input->vote = &vote;
        if (vote.signer < world.count && (int)vote.signer != world.self && input->from % 4 != 3)
            input->from = vote.signer;
    } else if (what == 1) {
        input->kind = BFT_INPUT_CERTIFICATE;
        input->certificate = take_certificate(source, &certificate);
    } else if (what == 2) {
        input->kind = BFT_INPUT_GET_CERT;
        input->view = take_view(source);
    } else if (what == 3) {
        const int block = take_header(source);
        if (block < 0)
            return true;
        input->kind = BFT_INPUT_BLOCK;
        input->header = &world.blocks[block].header;
    } else if (what == 4) {
        status = (struct message_status){.epoch = world.config.epoch, .view = take_view(source)};
        status.final_view = take_view(source);
        status.final_height = take_view(source);
        input->kind = BFT_INPUT_STATUS;
        input->status = &status;
    } else if (what == 5) {
        input->kind = BFT_INPUT_PEER_UP;
    } else if (what == 6) {
        input->kind = BFT_INPUT_GET_HIGH_VOTE;
        input->key = world.config.set.validators[take_signer(source)].key;
    } else {
        input->kind = BFT_INPUT_PENDING;
        input->from = BFT_PEER_NONE;
        input->pending = fuzz_take_u8(source) % 2 == 1;
    }
    return world_step(&world, input);
}

/* A known block once more: an answer to a request for it. */
static bool step_known_block(struct fuzz_source *source, struct bft_input *input)
{
    const struct hash id = take_id(source);
    const int block = world_block_find(&world, &id);
    if (block < 0)
        return true;
    input->kind = BFT_INPUT_BLOCK;
    input->header = &world.blocks[block].header;
    return world_step(&world, input);
}

static bool one_step(struct fuzz_source *source)
{
    const uint8_t code = fuzz_take_u8(source);
    struct bft_input input = {.from = BFT_PEER_NONE};
    if (code % 20 < 12)
        input.from = take_peer(source);
    input.reply_to = input.from;
    switch (code % 20) {
    case 8:
    case 9:
        return step_proposal(source, &input);
    case 10:
        return step_range(source, &input);
    case 11:
        return step_known_block(source, &input);
    case 12:
    case 13:
    case 14:
    case 15:
        return step_shell(source, &input, (uint8_t)(code % 20 - 12));
    case 16:
        return step_time(source, &input, false);
    case 17:
        return step_time(source, &input, true);
    case 18:
        return step_high_votes(source, &input);
    case 19:
        return world_restart(&world);
    }
    return step_message(source, &input, (uint8_t)(code % 20));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const uint32_t validators =
        fuzz_take_u8(&source) % 8 == 7 ? LIMIT_VALIDATORS : LIMIT_VALIDATORS_MIN;
    const uint32_t self = fuzz_take_u8(&source) % (validators + 1);
    world_open(&world, validators, self == validators ? -1 : (int)self);
    for (int i = 0; i < WORLD_STEPS_MAX && !fuzz_source_is_empty(&source); i++)
        if (!one_step(&source))
            break;
    world_close(&world);
    return 0;
}
