/* A chain for tests of snapshots. */
#include "tests/lib/node/snapshot_world.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/records.h"

static const uint8_t no_records[4];

static struct secret_key seed_of(uint32_t number)
{
    struct secret_key seed;
    memset(seed.bytes, (int)number + 1, sizeof seed.bytes);
    return seed;
}

static int by_key(const void *a, const void *b)
{
    return public_key_compare(&((const struct validator *)a)->key,
                              &((const struct validator *)b)->key);
}

static void add_validator(struct validator_set *set, uint32_t number)
{
    const struct secret_key seed = seed_of(number);
    struct validator *added = &set->validators[set->count++];
    ed25519_public_key(&added->key, &seed);
    MUST(name_from_text(&added->operator_name, "dso", 3));
    qsort(set->validators, set->count, sizeof set->validators[0], by_key);
}

struct secret_key snapshot_world_seed(const struct public_key *key)
{
    for (uint32_t number = 0; number < SNAPSHOT_WORLD_VALIDATORS; number++) {
        const struct secret_key seed = seed_of(number);
        struct public_key own;
        ed25519_public_key(&own, &seed);
        if (public_key_equal(&own, key)) {
            return seed;
        }
    }
    MUST(!"nobody has that key");
    return seed_of(0);
}

static void make_genesis(struct genesis *out, const struct validator_set *set)
{
    static const struct {
        const char *id;
        uint32_t roles;
    } founders[] = {
        {"operator", ROLE_MARKET_OPERATOR}, {"treasurer", ROLE_TREASURER}, {"dso", ROLE_DSO}};
    memset(out, 0, sizeof *out);
    MUST(name_from_text(&out->chain, "snap", 4));
    out->time = timestamp_of(INT64_C(1767571200000));
    out->simulated_time = 1;
    out->delta_ms = 100;
    out->block_interval_ms = 50;
    out->max_idle_ms = 1000;
    out->exec_budget_ms = 200;
    out->timeout_cap_ms = 30000;
    out->backoff_permille = 1300;
    out->params.fee_period = duration_of(MS_PER_DAY);
    out->params.tx_lifetime = duration_of(MS_PER_DAY);
    out->params.validator_count = set->count;
    for (uint32_t i = 0; i < set->count; i++) {
        out->params.validators[i].key = set->validators[i].key;
        out->params.validators[i].operator_name = set->validators[i].operator_name;
    }
    out->participant_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        struct secret_key seed;
        memset(seed.bytes, 100 + (int)i, sizeof seed.bytes);
        MUST(name_from_text(&out->participants[i].id, founders[i].id, strlen(founders[i].id)));
        MUST(schnorr_public_key(&out->participants[i].key, &seed));
        out->participants[i].roles = founders[i].roles;
    }
}

/* --- state --------------------------------------------------------------------------------------- */

static void put(struct overlay *overlay, struct bytes_view key, struct bytes_view value)
{
    struct state_view *view = overlay_view(overlay);
    view->ops->put(view, key, value);
    MUST(!view->fault);
}

static void put_record(struct overlay *overlay, enum state_kind kind, const struct state_key *key,
                       const void *record)
{
    uint8_t bytes[LIMIT_STATE_VALUE_BYTES];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(state_kind_info(kind)->codec, record, &writer);
    MUST(!writer.failed);
    put(overlay, bytes_view_of(key->bytes, key->size), bytes_view_of(bytes, writer.size));
}

static void put_entries(struct snapshot_world *world, uint64_t height, uint32_t entries,
                        uint32_t value_max)
{
    const struct state_key key = state_key_single(STATE_COUNTERS);
    const struct counters_record counters = {.orders = 1, .deals = 2, .transactions = height * 3};
    put_record(world->overlay, STATE_COUNTERS, &key, &counters);
    for (uint32_t i = 0; i < entries; i++) {
        uint8_t name[LIMIT_STATE_KEY_BYTES];
        static uint8_t value[LIMIT_STATE_VALUE_BYTES];
        const size_t size = 9 + test_random_below(&world->random, 40);
        const size_t value_size = test_random_below(&world->random, value_max + 1);
        test_random_bytes(&world->random, name, size);
        test_random_bytes(&world->random, value, value_size);
        name[0] = 200; /* no kind of record */
        put(world->overlay, bytes_view_of(name, size), bytes_view_of(value, value_size));
    }
}

static void put_passed(struct snapshot_world *world, uint8_t kind, uint64_t height)
{
    struct proposal_record proposal;
    memset(&proposal, 0, sizeof proposal);
    const struct state_key key = state_key_u64(STATE_PROPOSAL, ++world->proposals);
    proposal.status = PROPOSAL_PASSED;
    proposal.terms.kind = kind;
    proposal.terms.operator_name = world->set.validators[0].operator_name;
    proposal.proposer = world->set.validators[0].operator_name;
    proposal.height = height;
    proposal.decided_height = height;
    put_record(world->overlay, STATE_PROPOSAL, &key, &proposal);
}

/* --- blocks ------------------------------------------------------------------------------------- */

void snapshot_world_sign(struct certificate *out, const struct block_header *header,
                         const struct validator_set *set, const struct hash *genesis,
                         uint32_t count)
{
    memset(out, 0, sizeof *out);
    out->kind = VOTE_FINALIZE;
    out->epoch = header->epoch;
    out->view = header->view;
    block_header_id(&out->block_id, header);
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct secret_key seed = snapshot_world_seed(&set->validators[i].key);
        struct hash message;
        vote_message(&message, genesis, VOTE_FINALIZE, header->epoch, header->view, &out->block_id);
        out->entries[i].signer = (uint8_t)i;
        ed25519_sign(&out->entries[i].signature, &seed, &message);
    }
}

static void append_log(struct merkle_frontier *log, const struct hash *id)
{
    struct hash leaf;
    hash_bytes(&leaf, HASH_DOMAIN_LOG_LEAF, id->bytes, HASH_SIZE);
    merkle_frontier_append(log, &leaf);
}

static void fill_header(struct snapshot_world *world, struct block_header *header,
                        const struct hash *state_root, const struct validator_set *next)
{
    const struct store_tip *tip = store_tip(world->store);
    memset(header, 0, sizeof *header);
    header->version = BLOCK_HEADER_VERSION;
    header->genesis = world->genesis_hash;
    header->epoch = world->epoch;
    header->height = tip->height + 1;
    header->view = tip->view + 2;
    header->parent_view = tip->view;
    header->parent_id = tip->block_id;
    header->time = timestamp_of(timestamp_ms(tip->time) + 1000);
    header->state_root = *state_root;
    merkle_frontier_root(&header->log_root, &tip->log);
    validator_set_hash(&header->next_set, next);
}

void snapshot_world_block(struct snapshot_world *world, uint32_t entries, uint32_t value_max,
                          bool boundary, bool certified)
{
    const uint64_t height = store_tip(world->store)->height + 1;
    struct validator_set next = world->set;
    struct certificate certificate;
    static uint8_t finality[FINALITY_BYTES_MAX];
    uint8_t header_bytes[BLOCK_HEADER_SIZE];
    struct byte_writer writer;
    struct store_block block;
    memset(&block, 0, sizeof block);
    overlay_reset(world->overlay, NULL, store_state_base(world->store));
    put_entries(world, height, entries, value_max);
    if (world->motions) {
        put_passed(world, PROPOSAL_SET_FEES, height);
        put_passed(world, PROPOSAL_SET_MARKET, height);
        put_passed(world, PROPOSAL_DECIDE_DISPUTE, height);
    }
    if (boundary) {
        put_passed(world, PROPOSAL_ADD_VALIDATOR, height);
        add_validator(&next, next.count);
    }
    MUST(overlay_seal(world->overlay, &block.tip.state_root));
    fill_header(world, &world->last, &block.tip.state_root, &next);
    block_header_encode(header_bytes, &world->last);
    byte_writer_init(&writer, finality, sizeof finality);
    if (certified || boundary) {
        snapshot_world_sign(&certificate, &world->last, &world->set, &world->genesis_hash,
                            validator_set_quorum(&world->set));
        finality_encode(&writer, &certificate, boundary ? &next : NULL, bytes_view_of(NULL, 0));
    }
    world->log_before_tip = store_tip(world->store)->log;
    block.height = height;
    block.header = bytes_view_of(header_bytes, sizeof header_bytes);
    block.body = bytes_view_of(no_records, sizeof no_records);
    block.receipts = bytes_view_of(no_records, sizeof no_records);
    block.certificate = bytes_view_of(finality, writer.size);
    block.state = world->overlay;
    block.tip.height = height;
    block.tip.view = world->last.view;
    block_header_id(&block.tip.block_id, &world->last);
    block.tip.time = world->last.time;
    block.tip.transactions = height * 3;
    block.tip.log = world->log_before_tip;
    block.tip.has_genesis = true;
    append_log(&block.tip.log, &block.tip.block_id);
    MUST(store_commit(world->store, &block) == STORE_OK);
    world->set = next;
    world->epoch += boundary ? 1 : 0;
}

static void commit_genesis(struct snapshot_world *world)
{
    struct store_block block;
    memset(&block, 0, sizeof block);
    overlay_reset(world->overlay, NULL, store_state_base(world->store));
    put_entries(world, 0, 3, 30);
    MUST(overlay_seal(world->overlay, &block.tip.state_root));
    block.body = bytes_view_of(no_records, sizeof no_records);
    block.receipts = bytes_view_of(no_records, sizeof no_records);
    block.state = world->overlay;
    block.tip.block_id = world->genesis_hash;
    block.tip.time = world->genesis.time;
    block.tip.has_genesis = true;
    merkle_frontier_init(&block.tip.log);
    append_log(&block.tip.log, &world->genesis_hash);
    MUST(store_commit(world->store, &block) == STORE_OK);
}

struct store *snapshot_world_empty_store(const struct snapshot_world *world, const char *directory)
{
    const struct store_config config = {.directory = directory,
                                        .map_bytes = (size_t)64 << 20,
                                        .genesis = world->genesis_hash,
                                        .disk_reserve = 1 << 20};
    struct store *store = NULL;
    MUST(store_open(&store, &config) == STORE_OK);
    return store;
}

void snapshot_world_open(struct snapshot_world *world, const char *store_directory, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->random.state = seed;
    for (uint32_t i = 0; i < 4; i++) {
        add_validator(&world->set, i);
    }
    make_genesis(&world->genesis, &world->set);
    world->genesis.max_idle_ms += (uint32_t)seed; /* each seed's world is a chain of its own */
    MUST(genesis_problem(&world->genesis) == NULL);
    MUST(genesis_hash(&world->genesis_hash, &world->genesis));
    world->overlay = overlay_create((size_t)64 << 20);
    MUST(world->overlay != NULL);
    world->store = snapshot_world_empty_store(world, store_directory);
    commit_genesis(world);
}

void snapshot_world_close(struct snapshot_world *world)
{
    overlay_destroy(world->overlay);
    store_close(world->store);
}

bool snapshot_world_make(struct snapshot_world *world, const char *directory, uint64_t *height,
                         char problem[SNAPSHOT_PROBLEM_SIZE])
{
    const struct snapshot_making making = {.directory = directory,
                                           .store = world->store,
                                           .genesis = world->genesis_hash,
                                           .log = world->log_before_tip,
                                           .stop = &world->stop};
    return snapshot_make(&making, store_snapshot_begin(world->store), height, problem);
}
