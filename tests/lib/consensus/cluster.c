/* Virtual time, network and fault schedule of a cluster run; see cluster.h. */
#include "tests/lib/consensus/cluster_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

enum { CLUSTER_STEPS_MAX = 400000, CLUSTER_GOAL = 3, CLUSTER_DELTA_MS = 100 };

uint64_t cluster_random(struct cluster *cluster, uint64_t below)
{
    if (cluster->config.script != NULL)
        return 0;
    uint64_t x = cluster->random += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return (x ^ x >> 31) % below;
}

bool cluster_chance(struct cluster *cluster, uint32_t permille)
{
    return cluster->config.script == NULL && cluster_random(cluster, 1000) < permille;
}

void cluster_fail(struct cluster *cluster, bool safety, const char *format, ...)
{
    if (cluster->result->failure[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cluster->result->failure, CLUSTER_FAILURE, format, arguments);
    va_end(arguments);
    cluster->result->safety = safety;
}

/* --- keys and signatures ---------------------------------------------------------------------- */

static struct {
    bool ready;
    struct secret_key seeds[LIMIT_VALIDATORS];
    struct public_key keys[LIMIT_VALIDATORS];
} ring;

static void ring_prepare(void)
{
    if (ring.ready)
        return;
    MUST(crypto_init());
    for (int i = 0; i < LIMIT_VALIDATORS; i++) {
        struct secret_key seed = {{(uint8_t)(i + 1), 0x5a}};
        struct public_key key;
        ed25519_public_key(&key, &seed);
        int at = i;
        for (; at > 0 && public_key_compare(&ring.keys[at - 1], &key) > 0; at--) {
            ring.keys[at] = ring.keys[at - 1];
            ring.seeds[at] = ring.seeds[at - 1];
        }
        ring.keys[at] = key;
        ring.seeds[at] = seed;
    }
    ring.ready = true;
}

void cluster_keys(struct validator_set *set, struct secret_key *seeds, uint32_t validators)
{
    ring_prepare();
    memset(set, 0, sizeof *set);
    set->count = validators;
    for (uint32_t i = 0; i < validators; i++) {
        char text[8];
        int length = snprintf(text, sizeof text, "v%u", i);
        MUST(name_from_text(&set->validators[i].operator_name, text, (size_t)length));
        set->validators[i].key = ring.keys[i];
        seeds[i] = ring.seeds[i];
    }
}

static void fake_tag(struct signature *out, const struct public_key *key,
                     const struct hash *message)
{
    struct hash tag;
    hash_pair(&tag, HASH_DOMAIN_HANDSHAKE, bytes_view_of(key->bytes, PUBLIC_KEY_SIZE),
              hash_view(message));
    memcpy(out->bytes, tag.bytes, HASH_SIZE);
    memcpy(out->bytes + HASH_SIZE, key->bytes, PUBLIC_KEY_SIZE);
}

static void fake_sign(struct signature *out, const struct secret_key *seed,
                      const struct hash *message)
{
    for (int i = 0; i < LIMIT_VALIDATORS; i++) {
        if (memcmp(ring.seeds[i].bytes, seed->bytes, SECRET_KEY_SIZE) == 0) {
            fake_tag(out, &ring.keys[i], message);
            return;
        }
    }
    MUST(!"a key of the ring");
}

static bool fake_verify(const struct signature *signature, const struct public_key *key,
                        const struct hash *message)
{
    struct signature expected;
    fake_tag(&expected, key, message);
    return memcmp(expected.bytes, signature->bytes, SIGNATURE_SIZE) == 0;
}

const struct bft_signing *cluster_signing(void)
{
    static const struct bft_signing fake = {.sign = fake_sign, .verify = fake_verify};
    return &fake;
}

void cluster_config_for(struct bft_config *out, uint32_t validators, int self)
{
    struct secret_key seeds[LIMIT_VALIDATORS];
    memset(out, 0, sizeof *out);
    cluster_keys(&out->set, seeds, validators);
    hash_bytes(&out->genesis, HASH_DOMAIN_GENESIS, "cluster", 7);
    out->epoch = 0;
    out->observer = self < 0;
    if (self >= 0)
        out->seed = seeds[self];
    out->timing = (struct bft_timing){.delta_ms = CLUSTER_DELTA_MS,
                                      .block_interval_ms = 20,
                                      .max_idle_ms = 60,
                                      .exec_budget_ms = 50,
                                      .timeout_cap_ms = 30000,
                                      .backoff_permille = 1300};
    out->jitter_seed = (uint64_t)(self + 2) * 7919;
    out->final_id = out->genesis;
    out->final_time = timestamp_of(1700000000000);
}

/* --- blocks ----------------------------------------------------------------------------------- */

int cluster_block_find(const struct cluster *cluster, const struct hash *id)
{
    for (int i = cluster->block_count - 1; i >= 0; i--)
        if (hash_equal(&cluster->blocks[i].id, id))
            return i;
    return -1;
}

int cluster_block_of(struct cluster *cluster, const struct block_header *header)
{
    struct hash id;
    block_header_id(&id, header);
    int at = cluster_block_find(cluster, &id);
    if (at >= 0)
        return at;
    MUST(cluster->block_count < CLUSTER_BLOCKS);
    cluster->blocks[cluster->block_count] = (struct cluster_block){.id = id, .header = *header};
    return cluster->block_count++;
}

void cluster_state_root(struct hash *out, const struct hash *parent_state,
                        const struct hash *tx_root)
{
    hash_pair(out, HASH_DOMAIN_STATE_NODE, hash_view(parent_state), hash_view(tx_root));
}

bool cluster_parent_state(const struct cluster *cluster, const struct block_header *header,
                          struct hash *out)
{
    if (hash_equal(&header->parent_id, &cluster->genesis)) {
        *out = cluster->genesis;
        return true;
    }
    int parent = cluster_block_find(cluster, &header->parent_id);
    if (parent >= 0)
        *out = cluster->blocks[parent].header.state_root;
    return parent >= 0;
}

/* --- epochs ----------------------------------------------------------------------------------- */

uint32_t cluster_epoch_after(const struct cluster *cluster, uint64_t height)
{
    uint32_t epoch = 0;
    while (epoch + 1 < cluster->config.epoch_count &&
           cluster->config.epochs[epoch + 1].boundary <= height)
        epoch++;
    return epoch;
}

uint32_t cluster_epoch_of(const struct cluster *cluster, int node)
{
    return (uint32_t)cluster->node[node].core->config.epoch;
}

void cluster_set_of(const struct cluster *cluster, uint32_t epoch, struct validator_set *out)
{
    const struct cluster_epoch *plan = &cluster->config.epochs[epoch];
    memset(out, 0, sizeof *out);
    out->count = plan->count;
    for (uint32_t i = 0; i < plan->count; i++)
        out->validators[i] = cluster->set.validators[plan->first + i];
}

int cluster_index_of(const struct cluster *cluster, uint32_t epoch, int node)
{
    const struct cluster_epoch *plan = &cluster->config.epochs[epoch];
    int key = cluster->node[node].key;
    bool member = key >= (int)plan->first && key < (int)(plan->first + plan->count);
    return member ? key - (int)plan->first : BFT_PEER_NONE;
}

bool cluster_is_beyond(const struct cluster *cluster)
{
    uint32_t faulty = 0;
    for (uint32_t i = 0; i < cluster->config.validators; i++)
        faulty += cluster->node[i].persona != PERSONA_HONEST;
    return faulty > (cluster->config.validators - 1) / 3;
}

/* --- time ------------------------------------------------------------------------------------- */

static bool event_before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void cluster_at(struct cluster *cluster, const struct event *event, uint64_t delay_ms)
{
    if (cluster->heap_count == cluster->heap_capacity) {
        cluster->heap_capacity = cluster->heap_capacity == 0 ? 1024 : cluster->heap_capacity * 2;
        cluster->heap = realloc(cluster->heap, cluster->heap_capacity * sizeof *cluster->heap);
        MUST(cluster->heap != NULL);
    }
    struct event added = *event;
    added.at_ms = cluster->now_ms + delay_ms;
    added.order = cluster->order++;
    size_t at = cluster->heap_count++;
    for (; at > 0 && event_before(&added, &cluster->heap[(at - 1) / 2]); at = (at - 1) / 2)
        cluster->heap[at] = cluster->heap[(at - 1) / 2];
    cluster->heap[at] = added;
}

static struct event cluster_next(struct cluster *cluster)
{
    struct event top = cluster->heap[0], last = cluster->heap[--cluster->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= cluster->heap_count)
            break;
        if (child + 1 < cluster->heap_count &&
            event_before(&cluster->heap[child + 1], &cluster->heap[child]))
            child++;
        if (!event_before(&cluster->heap[child], &last))
            break;
        cluster->heap[at] = cluster->heap[child];
        at = child;
    }
    cluster->heap[at] = last;
    return top;
}

/* --- network ---------------------------------------------------------------------------------- */

struct wire *wire_new(int from, enum message_type type)
{
    struct wire *wire = calloc(1, sizeof *wire);
    MUST(wire != NULL);
    wire->references = 1;
    wire->from = from;
    wire->type = type;
    wire->block = -1;
    return wire;
}

void wire_release(struct wire *wire)
{
    if (wire == NULL || --wire->references > 0)
        return;
    free(wire->proposal);
    free(wire->range);
    free(wire->range_headers);
    free(wire);
}

void cluster_send(struct cluster *cluster, struct wire *wire, int to)
{
    uint64_t delay;
    if (wire->from == to)
        return;
    if (cluster->config.script != NULL) {
        delay = SCRIPT_DELAY_MS;
        if (!script_passes(cluster, wire, to))
            return;
    } else if (cluster->now_ms < cluster->gst_ms) {
        if (cluster->split && cluster->side[wire->from] != cluster->side[to])
            return;
        if (cluster_random(cluster, 100) < cluster->loss_percent)
            return;
        delay = 1 + cluster_random(cluster, 120);
        if (cluster_chance(cluster, 50))
            delay += cluster_random(cluster, 1500);
    } else {
        delay = 1 + cluster_random(cluster, CLUSTER_DELTA_MS);
    }
    struct event event = {.kind = EVENT_DELIVER, .node = to, .wire = wire};
    wire->references++;
    cluster_at(cluster, &event, delay);
    if (cluster_chance(cluster, 20)) {
        wire->references++;
        cluster_at(cluster, &event, delay + cluster_random(cluster, 500));
    }
}

/* --- schedule --------------------------------------------------------------------------------- */

static void cluster_split(struct cluster *cluster)
{
    cluster->split = cluster_chance(cluster, 600);
    for (uint32_t i = 0; i < cluster->nodes; i++)
        cluster->side[i] = (int)cluster_random(cluster, 2);
    struct event event = {.kind = EVENT_SPLIT};
    cluster_at(cluster, &event, 100 + cluster_random(cluster, 1400));
}

/* Every vote durable, none delivered, then power is lost everywhere (scenario 16). */
static void cluster_power_cut(struct cluster *cluster, bool isolate)
{
    if (isolate) {
        cluster->split = true;
        for (uint32_t i = 0; i < cluster->nodes; i++)
            cluster->side[i] = (int)i;
        return;
    }
    for (uint32_t i = 0; i < cluster->nodes; i++)
        if (cluster->node[i].up && cluster->node[i].persona == PERSONA_HONEST)
            shell_stop(cluster, (int)i);
}

static void cluster_schedule(struct cluster *cluster)
{
    uint32_t faults = (cluster->config.validators - 1) / 3;
    for (uint32_t i = 0; i < cluster->config.epoch_count; i++)
        if ((cluster->config.epochs[i].count - 1) / 3 < faults)
            faults = (cluster->config.epochs[i].count - 1) / 3;
    uint64_t faulty = cluster_random(cluster, faults + 1);
    if (cluster->config.persona >= 0)
        faulty = cluster->config.persona == PERSONA_HONEST ? 0 : faults;
    for (uint64_t i = 0; i < faulty; i++) {
        uint64_t at = cluster_random(cluster, cluster->config.validators);
        int persona = cluster->config.persona >= 0
                          ? cluster->config.persona
                          : 1 + (int)cluster_random(cluster, PERSONA_COUNT - 1);
        cluster->node[at].persona = (enum cluster_persona)persona;
    }
    static const uint32_t losses[] = {0, 10, 40}, crashes[] = {0, 2, 10};
    cluster->loss_percent = losses[cluster_random(cluster, 3)];
    cluster->crash_permille = crashes[cluster_random(cluster, 3)];
    cluster->gst_ms = 2000 + cluster_random(cluster, 7000);
    bool power_cut = cluster_chance(cluster, 300);
    struct event event = {.kind = EVENT_SPLIT};
    if (cluster->config.calm_ms != 0) {
        cluster->gst_ms = cluster->config.calm_ms;
        cluster->loss_percent = cluster->crash_permille = 0;
        power_cut = false;
    } else {
        cluster_at(cluster, &event, 100 + cluster_random(cluster, 1400));
    }
    if (power_cut) {
        for (uint64_t before = 2500; before > 0; before -= 100) {
            event = (struct event){.kind = EVENT_POWER_CUT, .number = 1};
            if (cluster->gst_ms > before)
                cluster_at(cluster, &event, cluster->gst_ms - before);
        }
        event = (struct event){.kind = EVENT_POWER_CUT, .number = 0};
        cluster_at(cluster, &event, cluster->gst_ms - 1);
    }
    event = (struct event){.kind = EVENT_HEAL};
    cluster_at(cluster, &event, cluster->gst_ms);
    for (uint32_t i = 0; i < cluster->nodes; i++) {
        event = (struct event){.kind = EVENT_PENDING, .node = (int)i};
        cluster_at(cluster, &event, cluster_random(cluster, 2000));
        cluster->node[i].skew_ms = (int64_t)cluster_random(cluster, 301) - 150;
    }
}

static void cluster_handle(struct cluster *cluster, const struct event *event)
{
    switch (event->kind) {
    case EVENT_SPLIT:
        if (cluster->now_ms < cluster->gst_ms)
            cluster_split(cluster);
        break;
    case EVENT_HEAL:
        cluster->split = false;
        break;
    case EVENT_POWER_CUT:
        cluster_power_cut(cluster, event->number == 1);
        break;
    case EVENT_RESTART:
        if (!cluster->node[event->node].up)
            shell_start(cluster, event->node);
        break;
    case EVENT_SCRIPT:
        script_line(cluster, event->number);
        break;
    case EVENT_DELIVER:
    case EVENT_TICK:
    case EVENT_EXECUTED:
    case EVENT_BUILT:
    case EVENT_COMMITTED:
    case EVENT_PERSISTED:
    case EVENT_PEER_UP:
    case EVENT_PENDING:
        shell_event(cluster, event);
        break;
    }
    wire_release(event->wire);
}

static bool cluster_reached(const struct cluster *cluster, uint64_t goal)
{
    for (uint32_t i = 0; i < cluster->nodes; i++) {
        const struct node *node = &cluster->node[i];
        if (node->persona == PERSONA_HONEST && (!node->up || node->height < goal))
            return false;
    }
    return true;
}

/* Three more heights, and every planned boundary behind them. */
static uint64_t cluster_goal(const struct cluster *cluster)
{
    uint64_t last = cluster->config.epochs[cluster->config.epoch_count - 1].boundary;
    return (cluster->result->heights > last ? cluster->result->heights : last) + CLUSTER_GOAL;
}

/* The script says when it is over. */
static void script_loop(struct cluster *cluster)
{
    while (cluster->heap_count > 0 && cluster->result->failure[0] == '\0' &&
           !script_is_over(cluster)) {
        struct event event = cluster_next(cluster);
        cluster->now_ms = event.at_ms;
        if (++cluster->result->steps > CLUSTER_STEPS_MAX)
            cluster_fail(cluster, false, "the script spins");
        cluster_handle(cluster, &event);
    }
}

static void cluster_loop(struct cluster *cluster)
{
    uint64_t goal = 0;
    if (cluster->config.script != NULL) {
        script_loop(cluster);
        return;
    }
    uint64_t end = cluster->gst_ms + 60 * CLUSTER_DELTA_MS * cluster->config.validators + 20000;
    while (cluster->heap_count > 0 && cluster->result->failure[0] == '\0') {
        struct event event = cluster_next(cluster);
        cluster->now_ms = event.at_ms;
        cluster->result->steps++;
        cluster_handle(cluster, &event);
        if (goal == 0 && cluster->now_ms > cluster->gst_ms)
            goal = cluster_goal(cluster);
        if (goal != 0 && cluster_reached(cluster, goal)) {
            cluster->result->healed_ms = cluster->now_ms - cluster->gst_ms;
            return;
        }
        if (cluster->now_ms > end || cluster->result->steps > CLUSTER_STEPS_MAX)
            cluster_fail(cluster, false, "no progress: best height %llu, goal %llu, %llu steps",
                         (unsigned long long)cluster->result->heights, (unsigned long long)goal,
                         (unsigned long long)cluster->result->steps);
    }
}

static void cluster_clear(struct cluster *cluster)
{
    while (cluster->heap_count > 0)
        wire_release(cluster->heap[--cluster->heap_count].wire);
    free(cluster->heap);
    for (uint32_t i = 0; i < cluster->nodes; i++) {
        struct node *node = &cluster->node[i];
        shell_free(node);
        for (uint64_t h = 0; h <= node->height; h++)
            free(node->chain_certificate[h]);
        for (uint32_t e = 0; e < CLUSTER_EPOCHS; e++)
            free(node->proof_headers[e]);
    }
    free(cluster);
}

/* Kept from run to run: a core touches little of its memory, and fresh pages are what would cost. */
static struct bft *cluster_memory(int node, uint32_t validators)
{
    static void *memory[CLUSTER_NODES];
    static uint32_t sized[CLUSTER_NODES];
    if (sized[node] < validators) {
        free(memory[node]);
        memory[node] = malloc(bft_size(validators));
        sized[node] = validators;
        MUST(memory[node] != NULL);
    }
    return memory[node];
}

void cluster_run(const struct cluster_config *config, struct cluster_result *result)
{
    memset(result, 0, sizeof *result);
    struct cluster *cluster = calloc(1, sizeof *cluster);
    MUST(cluster != NULL);
    cluster->config = *config;
    if (config->epoch_count == 0) {
        cluster->config.epoch_count = 1;
        cluster->config.epochs[0] = (struct cluster_epoch){.count = config->validators};
    }
    cluster->result = result;
    cluster->random = config->seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
    cluster->nodes = config->validators + (config->observer ? 1 : 0);
    for (int i = 0; i < CLUSTER_NODES; i++)
        cluster->node[i].key = i;
    for (uint32_t i = 0; config->script != NULL && i < config->script->twin_count; i++) {
        MUST(cluster->nodes < CLUSTER_NODES);
        cluster->node[cluster->nodes++].key = config->script->twin_of[i];
    }
    cluster_keys(&cluster->set, cluster->seeds, config->validators);
    hash_bytes(&cluster->genesis, HASH_DOMAIN_GENESIS, "cluster", 7);
    cluster->signing = config->real_signatures
                           ? (struct bft_signing){.sign = ed25519_sign, .verify = ed25519_verify}
                           : *cluster_signing();
    hash_begin(&cluster->trace, HASH_DOMAIN_LOG_LEAF);
    if (config->observer)
        cluster->node[config->validators].observer = true;
    if (config->script != NULL)
        script_begin(cluster);
    else
        cluster_schedule(cluster);
    for (uint32_t i = 0; i < cluster->nodes; i++) {
        cluster->node[i].core = cluster_memory((int)i, config->validators);
        if (config->late && i + 1 == cluster->nodes) {
            struct event event = {.kind = EVENT_RESTART, .node = (int)i};
            cluster_at(cluster, &event, cluster->gst_ms);
        } else {
            shell_start(cluster, (int)i);
        }
    }
    cluster_loop(cluster);
    oracle_end(cluster);
    hash_end(&cluster->trace, &result->trace);
    cluster_clear(cluster);
}
