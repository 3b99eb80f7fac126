/* hostile HOME SECONDS SEED [liar]: a validator that has turned on its peers. It holds a real node's key,
 * certificate and links, speaks the real protocol, and says what no honest node says (fault scenarios
 * 36, 44, 45, 46, 49, 50):
 *
 *   proposals   as the leader of a view, on a true parent, signed well: wrong roots, impossible times
 *               and heights, bodies of another block, bodies larger than any may be, two different
 *               blocks for one view, parents that cannot be
 *   votes       both kinds that exclude each other, views far ahead, unknown blocks
 *   certificates  q - 1 signers, one signer twice, an index outside the set, its own signature in others'
 *               names
 *   sync        heights that nobody has, ranges and blocks that are junk or not the ones asked for
 *   floods      questions by the hundred, frames of random bytes under every type
 *
 * A liar does none of that: it claims to be far ahead, passes questions for blocks and for parts of
 * snapshots on to others, and hands their true answers back with a bit flipped, cut short, or not at
 * all. Of snapshots it offers the others' and one of a height that nobody has.
 *
 * Prints how much it said. It stops by itself. Deliberately absent: any judgement of the others; the
 * nemesis asks them how they fared. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fatal.h"
#include "base/log.h"
#include "consensus/message.h"
#include "node/config.h"
#include "node/keys.h"
#include "node/snapshot_message.h"

static struct {
    pthread_mutex_t lock;
    struct node_config config;
    struct genesis genesis;
    struct hash genesis_hash;
    struct validator_set set;
    struct secret_key seed;
    int own_index;
    struct p2p *p2p;
    uint64_t dice;
    uint64_t said;
    uint64_t asked; /* questions by others, which were answered with lies */
    bool liar;
    uint32_t asker[P2P_PEERS_MAX]; /* liar: whose question each peer was passed last, + 1 */
    uint64_t spoilt;               /* liar: true answers passed on with a flaw */
    struct snapshot_offers offers; /* liar: the others' last */
    /* What the others said last. */
    bool has_proposal;
    struct message_proposal proposal;
    uint8_t body[LIMIT_BLOCK_BODY_BYTES];
    size_t body_size;
    bool has_certificate;
    struct certificate certificate; /* N or F of the highest view */
} hostile = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint8_t frame_bytes[LIMIT_FRAME_BYTES];

static uint64_t roll(uint64_t below)
{
    hostile.dice ^= hostile.dice << 13;
    hostile.dice ^= hostile.dice >> 7;
    hostile.dice ^= hostile.dice << 17;
    return hostile.dice % below;
}

static void roll_bytes(uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)roll(256);
    }
}

static void say(uint32_t peer, struct bytes_view frame)
{
    if (p2p_send(hostile.p2p, peer, (enum p2p_class)roll(P2P_CLASS_COUNT), frame)) {
        hostile.said++;
    }
}

static struct byte_writer begin(void)
{
    struct byte_writer writer;
    byte_writer_init(&writer, frame_bytes, sizeof frame_bytes);
    return writer;
}

/* To each peer by chance, so that they don't all hear the same. */
static void scatter(const struct byte_writer *writer)
{
    MUST(!writer->failed);
    for (uint32_t peer = 0; peer < hostile.config.peer_count; peer++) {
        if (roll(4) != 0) {
            say(peer, bytes_view_of(writer->data, writer->size));
        }
    }
}

static void sign_vote(struct vote *vote)
{
    struct hash message;
    vote->signer = (uint8_t)hostile.own_index;
    if (vote->kind == VOTE_NULLIFY) {
        memset(&vote->block_id, 0, sizeof vote->block_id);
    }
    vote_message(&message, &hostile.genesis_hash, vote->kind, vote->epoch, vote->view,
                 &vote->block_id);
    ed25519_sign(&vote->signature, &hostile.seed, &message);
}

static uint64_t view_now(void)
{
    return hostile.has_certificate ? hostile.certificate.view + 1 : 1;
}

static struct vote any_vote(uint64_t ahead)
{
    struct vote vote = {.kind = (uint8_t)roll(VOTE_KIND_COUNT), .view = view_now() + roll(ahead)};
    roll_bytes(vote.block_id.bytes, HASH_SIZE);
    sign_vote(&vote);
    return vote;
}

static void say_vote(void)
{
    const struct vote vote = any_vote(roll(4) == 0 ? UINT64_MAX / 2 : 3);
    struct byte_writer writer = begin();
    message_encode_vote(&writer, &vote);
    scatter(&writer);
}

static void say_certificate(void)
{
    static struct certificate forged;
    const struct vote vote = any_vote(3);
    const uint32_t q = validator_set_quorum(&hostile.set);
    memset(&forged, 0, sizeof forged);
    forged.kind = vote.kind;
    forged.view = vote.view;
    forged.block_id = vote.block_id;
    forged.count = q;
    for (uint32_t i = 0; i < q; i++) {
        forged.entries[i].signer = (uint8_t)i;
        forged.entries[i].signature = vote.signature;
    }
    switch (roll(4)) {
    case 0:
        forged.count = q - 1;
        break;
    case 1:
        for (uint32_t i = 0; i < q; i++) {
            forged.entries[i].signer = vote.signer;
        }
        break;
    case 2:
        forged.entries[q - 1].signer = (uint8_t)(hostile.set.count + roll(200));
        break;
    default:
        break;
    }
    struct byte_writer writer = begin();
    message_encode_certificate(&writer, &forged);
    scatter(&writer);
}

/* A body of junk that no limit allows, in the place of a true one. */
static struct bytes_view oversized_body(void)
{
    static uint8_t body[LIMIT_BLOCK_BODY_BYTES + 65536];
    return bytes_view_of(body, LIMIT_BLOCK_BODY_BYTES + 1 + roll(65535));
}

/* On the block that was notarized last, if that is the one whose header was seen. */
static void say_proposal(void)
{
    static struct message_proposal lie;
    struct hash parent;
    lie = hostile.proposal;
    struct block_header *header = &lie.header;
    block_header_id(&parent, header);
    if (!hostile.has_proposal || !hostile.has_certificate ||
        !hash_equal(&parent, &hostile.certificate.block_id)) {
        return;
    }
    header->height += 1 + (roll(6) == 0 ? roll(3) : 0);
    header->parent_view = hostile.certificate.view;
    header->parent_id = parent;
    do {
        header->view++;
    } while ((int)validator_set_leader(&hostile.set, header->epoch, header->view) !=
             hostile.own_index);
    header->time = timestamp_of(timestamp_ms(header->time) +
                                (roll(3) == 0 ? (int64_t)roll(1000000000) - 500000000 : 50));
    if (roll(5) == 0) { /* no view builds on itself, on a later one, or on one that is not there */
        header->parent_view = roll(2) == 0 ? header->view + roll(3) : UINT64_MAX - roll(2);
    }
    header->state_root.bytes[roll(HASH_SIZE)] ^= (uint8_t)(1 + roll(255));
    lie.has_parent_certificate = true;
    lie.parent_certificate = hostile.certificate;
    lie.nullification_count = 0;
    lie.body = roll(4) == 0 ? oversized_body() : bytes_view_of(hostile.body, hostile.body_size);
    lie.vote = (struct vote){.kind = VOTE_NOTARIZE, .view = header->view};
    block_header_id(&lie.vote.block_id, header);
    sign_vote(&lie.vote);
    struct byte_writer writer = begin();
    message_encode_proposal(&writer, &lie);
    scatter(&writer);
}

static void say_status(void)
{
    const struct message_status status = {.view = view_now() + roll(100),
                                          .final_view = roll(1000),
                                          .final_height =
                                              roll(2) == 0 ? UINT64_MAX / 3 : roll(100)};
    struct byte_writer writer = begin();
    message_encode_status(&writer, &status);
    scatter(&writer);
}

static void flood(void)
{
    const uint32_t victim = (uint32_t)roll(hostile.config.peer_count);
    for (int i = 0; i < 200; i++) {
        struct hash id;
        struct byte_writer writer = begin();
        roll_bytes(id.bytes, sizeof id.bytes);
        switch (roll(4)) {
        case 0:
            message_encode_get_block(&writer, &id);
            break;
        case 1:
            message_encode_get_range(&writer, &(struct message_get_range){1 + roll(20), 64, 1});
            break;
        case 2:
            message_encode_get_cert(&writer, roll(view_now() + 100));
            break;
        default:
            message_encode_get_high_vote(&writer, &hostile.set.validators[0].key, 0);
            break;
        }
        say(victim, bytes_view_of(writer.data, writer.size));
    }
}

static void say_junk(void)
{
    const size_t size = 1 + roll(roll(10) == 0 ? 100000 : 600);
    roll_bytes(frame_bytes, size);
    frame_bytes[0] = (uint8_t)roll(MESSAGE_TRANSACTIONS + 2);
    say((uint32_t)roll(hostile.config.peer_count), bytes_view_of(frame_bytes, size));
}

/* --- listening ----------------------------------------------------------------------------------- */

static void learn(enum message_type type, struct bytes_view payload)
{
    static struct message_proposal proposal;
    static struct certificate certificate;
    if (type == MESSAGE_PROPOSAL && message_decode_proposal(&proposal, payload) &&
        proposal.body.size <= sizeof hostile.body) {
        memcpy(hostile.body, proposal.body.data, proposal.body.size);
        hostile.body_size = proposal.body.size;
        hostile.proposal = proposal;
        hostile.has_proposal = true;
    }
    if (type == MESSAGE_CERTIFICATE && message_decode_certificate(&certificate, payload) &&
        certificate.kind != VOTE_NULLIFY &&
        (!hostile.has_certificate || certificate.view > hostile.certificate.view)) {
        hostile.certificate = certificate;
        hostile.has_certificate = true;
    }
}

/* To whom asks for a block or a range: the last block that was heard of, whatever was asked, or junk. */
static void lie_to(uint32_t peer)
{
    static struct message_range range;
    const struct message_block block = {.header = hostile.proposal.header,
                                        .body = bytes_view_of(hostile.body, hostile.body_size)};
    struct byte_writer writer = begin();
    hostile.asked++;
    if (roll(2) == 0) {
        message_encode_block(&writer, &block);
    } else {
        memset(&range, 0, sizeof range);
        range.block_count = 1 + (uint32_t)roll(4);
        for (uint32_t i = 0; i < range.block_count; i++) {
            range.blocks[i] = block;
            range.blocks[i].header.height = 1 + i;
        }
        range.finalization = hostile.certificate;
        message_encode_range(&writer, &range);
    }
    if (!writer.failed) {
        say(peer, bytes_view_of(writer.data, writer.size));
    }
}

/* A true answer to a question of ours goes to who asked us, with a bit flipped or its end missing. */
static void pass_on_spoilt(uint32_t to, struct bytes_view frame)
{
    memcpy(frame_bytes, frame.data, frame.size);
    size_t size = frame.size;
    if (roll(3) == 0) {
        size -= roll(size);
    } else {
        frame_bytes[1 + roll(size - 1)] ^= (uint8_t)(1u << roll(8));
    }
    say(to, bytes_view_of(frame_bytes, size));
    hostile.spoilt++;
}

static void offer_snapshots(uint32_t peer)
{
    struct snapshot_offers offers = hostile.offers;
    if (offers.count == SNAPSHOT_KEPT_MAX) {
        offers.count--;
    }
    offers.offers[offers.count].height = UINT64_MAX / 3;
    roll_bytes(offers.offers[offers.count++].id.bytes, HASH_SIZE);
    struct byte_writer writer = begin();
    snapshot_encode_offers(&writer, &offers);
    say(peer, bytes_view_of(writer.data, writer.size));
}

static bool is_question(uint8_t type)
{
    return type == MESSAGE_GET_RANGE || type == MESSAGE_GET_BLOCK ||
           type == MESSAGE_GET_SNAPSHOT_PART;
}

/* Asks somebody else what `peer` asks us; now and then it stays silent instead. */
static void hear_as_liar(uint32_t peer, struct bytes_view frame)
{
    const uint8_t type = frame.data[0];
    if (type == MESSAGE_GET_SNAPSHOTS) {
        offer_snapshots(peer);
    } else if (type == MESSAGE_SNAPSHOTS) {
        (void)snapshot_decode_offers(&hostile.offers,
                                     bytes_view_of(frame.data + 1, frame.size - 1));
    } else if (is_question(type)) {
        hostile.asked++;
        const uint32_t others = hostile.config.peer_count - 1;
        const uint32_t other = (peer + 1 + (uint32_t)roll(others)) % hostile.config.peer_count;
        if (roll(4) != 0) {
            hostile.asker[other] = peer + 1;
            say(other, frame);
        }
    } else if ((type == MESSAGE_RANGE || type == MESSAGE_BLOCK || type == MESSAGE_SNAPSHOT_PART) &&
               frame.size > 1 && hostile.asker[peer] != 0) {
        pass_on_spoilt(hostile.asker[peer] - 1, frame);
        hostile.asker[peer] = 0;
    }
}

static bool hear(void *context, const struct p2p_event *event)
{
    (void)context;
    if (event->kind != P2P_FRAME) {
        return true;
    }
    MUST(pthread_mutex_lock(&hostile.lock) == 0);
    const uint8_t type = event->frame.data[0];
    learn((enum message_type)type, bytes_view_of(event->frame.data + 1, event->frame.size - 1));
    if (hostile.liar && hostile.p2p != NULL) {
        hear_as_liar(event->peer, event->frame);
    } else if ((type == MESSAGE_GET_RANGE || type == MESSAGE_GET_BLOCK) && hostile.p2p != NULL) {
        lie_to(event->peer);
    }
    MUST(pthread_mutex_unlock(&hostile.lock) == 0);
    return true;
}

/* --- life ---------------------------------------------------------------------------------------- */

static bool start(const char *home)
{
    static struct p2p_config links;
    char path[NODE_PATH_MAX];
    char problem[NODE_PROBLEM_SIZE];
    struct public_key key;
    struct node_config *config = &hostile.config;
    if (!node_config_load(config, home, problem) || !node_config_path(path, config, "node.key") ||
        !node_key_load(path, &hostile.seed, problem) ||
        !node_config_path(path, config, config->genesis) ||
        !node_genesis_load(&hostile.genesis, &hostile.genesis_hash, NULL, NULL, path, problem)) {
        fprintf(stderr, "hostile: %s\n", problem);
        return false;
    }
    const struct params_record *params = &hostile.genesis.params;
    hostile.set.count = params->validator_count;
    for (uint32_t i = 0; i < params->validator_count; i++) {
        hostile.set.validators[i].key = params->validators[i].key;
    }
    ed25519_public_key(&key, &hostile.seed);
    hostile.own_index = validator_set_index(&hostile.set, &key);
    memcpy(links.listen, config->listen_p2p, sizeof links.listen);
    links.seed = hostile.seed;
    links.genesis = hostile.genesis_hash;
    links.peer_count = config->peer_count;
    memcpy(links.peers, config->peers, sizeof links.peers);
    if (hostile.own_index < 0 || !node_config_path(links.ca_file, config, config->tls_ca) ||
        !node_config_path(links.certificate_file, config, config->tls_certificate) ||
        !node_config_path(links.key_file, config, config->tls_key)) {
        return false;
    }
    struct p2p *p2p = p2p_start(&links, hear, NULL, problem);
    MUST(pthread_mutex_lock(&hostile.lock) == 0);
    hostile.p2p = p2p;
    MUST(pthread_mutex_unlock(&hostile.lock) == 0);
    return p2p != NULL;
}

static void claim(void)
{
    const struct message_status status = {
        .view = view_now(), .final_view = view_now() - 1, .final_height = UINT64_MAX / 3};
    struct byte_writer writer = begin();
    message_encode_status(&writer, &status);
    scatter(&writer);
    writer = begin();
    snapshot_encode_get(&writer);
    scatter(&writer);
}

/* The first moments belong to double votes: later it is often shut out. */
enum { OPENING_ACTS = 100 };

static void act(long turn)
{
    MUST(pthread_mutex_lock(&hostile.lock) == 0);
    if (hostile.liar) {
        if (roll(10) == 0) {
            claim();
        }
        MUST(pthread_mutex_unlock(&hostile.lock) == 0);
        return;
    }
    switch (turn < OPENING_ACTS ? 0 : roll(8)) {
    case 0:
    case 1:
        say_vote();
        break;
    case 2:
        say_certificate();
        break;
    case 3:
    case 4:
        say_proposal();
        break;
    case 5:
        say_status();
        break;
    case 6:
        flood();
        break;
    default:
        if (roll(5) == 0) { /* a struck peer is shut out: not with every breath */
            say_junk();
        }
        break;
    }
    MUST(pthread_mutex_unlock(&hostile.lock) == 0);
}

int main(int argc, char **argv)
{
    if ((argc != 4 && argc != 5) || !crypto_init()) {
        return 2;
    }
    hostile.liar = argc == 5 && strcmp(argv[4], "liar") == 0;
    const long seconds = strtol(argv[2], NULL, 10);
    hostile.dice = strtoull(argv[3], NULL, 10) * 2654435761u + 88172645463325252u;
    log_open(stderr, "hostile", LOG_UNUSUAL, false);
    if (!start(argv[1])) {
        return 1;
    }
    const struct timespec breath = {.tv_nsec = 20000000};
    for (long i = 0; i < seconds * 50; i++) {
        act(i);
        (void)nanosleep(&breath, NULL);
    }
    p2p_stop(hostile.p2p);
    printf("%llu %llu %llu\n", (unsigned long long)hostile.said, (unsigned long long)hostile.asked,
           (unsigned long long)hostile.spoilt);
    return 0;
}
