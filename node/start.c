/* From a home directory to a running node and back (docs/spec/config.md; consensus.md 9).
 *
 * Order of a start: configuration, key, genesis -> store -> chain -> core -> journal replay into
 * the core -> workers -> API -> links -> loop. Nothing is sent before the replay is done. A stop
 * goes the other way: no new requests, the loop's last turn, links, workers, the calls that still
 * wait are answered, then API, journal, store.
 *
 * A store, journal or key that doesn't belong to this chain ends the start. A journal that is
 * damaged or older than the votes made from it doesn't: the node goes on as an observer that never
 * votes.
 *
 * Deliberately absent: running in the background, changing user. A service manager does both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/api.h"
#include "node/commands.h"
#include "node/shell.h"
#include "node/version.h"

static int refuse(int code, const char *what, const char *problem)
{
    fprintf(stderr, "flexd start: %s%s%s%s\n", what, what[0] != '\0' ? ": " : "", problem,
            code == FLEXD_BAD_USAGE ? "; flexd check says what is missing" : "");
    return code;
}

static int load_files(struct node *node, const char *home)
{
    char problem[NODE_PROBLEM_SIZE];
    char path[NODE_PATH_MAX];
    if (!node_config_load(&node->config, home, problem))
        return refuse(FLEXD_BAD_USAGE, "", problem);
    const struct node_config *config = &node->config;
    if (!node_config_path(path, config, "node.key") || !node_key_load(path, &node->seed, problem))
        return refuse(FLEXD_BAD_USAGE, "", problem);
    ed25519_public_key(&node->key, &node->seed);
    node->genesis = calloc(1, sizeof *node->genesis);
    if (node->genesis == NULL)
        return refuse(FLEXD_FAILED, "", "out of memory");
    if (!node_config_path(path, config, config->genesis) ||
        !node_genesis_load(node->genesis, &node->genesis_hash, &node->genesis_text,
                           &node->genesis_text_size, path, problem))
        return refuse(FLEXD_BAD_USAGE, "genesis", problem);
    node_genesis_set(&node->set, node->genesis);
    node->own_index = validator_set_index(&node->set, &node->key);
    bool member = node->own_index >= 0;
    if (!member)
        node->own_index = NODE_NO_VALIDATOR;
    if (member != (config->role == NODE_VALIDATOR))
        return refuse(FLEXD_BAD_USAGE, "flexd.json",
                      member ? "role is audit, but the genesis set has this node's key"
                             : "role is validator, but the genesis set lacks this node's key");
    if (config->clock_offset_file[0] != '\0' && node->genesis->simulated_time != 1)
        return refuse(FLEXD_BAD_USAGE, "flexd.json",
                      "clock_offset_file needs a genesis with simulated_time 1");
    return FLEXD_DONE;
}

static void fill_peer_tables(struct node *node)
{
    for (int v = 0; v < LIMIT_VALIDATORS; v++)
        node->validator_peer[v] = INBOX_NO_PEER;
    for (uint32_t peer = 0; peer < P2P_PEERS_MAX; peer++)
        node->peer_validator[peer] = NODE_NO_VALIDATOR;
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++) {
        int index = validator_set_index(&node->set, &node->config.peers[peer].key);
        if (index < 0)
            continue;
        node->peer_validator[peer] = index;
        node->validator_peer[index] = (int)peer;
    }
}

static int open_chain(struct node *node)
{
    char path[NODE_PATH_MAX];
    char problem[160] = "";
    if (!node_config_path(path, &node->config, "data"))
        return refuse(FLEXD_BAD_USAGE, "", "the home's name is too long");
    struct store_config store = {
        .directory = path, .map_bytes = node->config.map_bytes, .genesis = node->genesis_hash};
    enum store_result result = store_open(&node->store, &store);
    if (result == STORE_LOCKED)
        return refuse(FLEXD_ALREADY_RUNS, path, "another process runs this home");
    if (result != STORE_OK)
        return refuse(FLEXD_FAILED, path, store_result_text(result));
    struct chain_backend backend = chain_backend_of_store(node->store);
    node->chain = chain_open(node->genesis, &backend, problem);
    if (node->chain == NULL)
        return refuse(FLEXD_FAILED, "chain", problem);
    struct mempool_limits limits = {0, 0};
    node->mempool = mempool_create(&limits);
    if (node->mempool == NULL)
        return refuse(FLEXD_FAILED, "mempool", "out of memory");
    return FLEXD_DONE;
}

static int create_core(struct node *node)
{
    const struct genesis *genesis = node->genesis;
    const struct store_tip *tip = chain_tip(node->chain);
    struct bft_config config = {.genesis = node->genesis_hash,
                                .set = node->set,
                                .epoch = 0,
                                .seed = node->seed,
                                .observer = !node_is_validator(node),
                                .timing = {.delta_ms = genesis->delta_ms,
                                           .block_interval_ms = genesis->block_interval_ms,
                                           .max_idle_ms = genesis->max_idle_ms,
                                           .exec_budget_ms = genesis->exec_budget_ms,
                                           .timeout_cap_ms = genesis->timeout_cap_ms,
                                           .backoff_permille = genesis->backoff_permille},
                                .final_height = tip->height,
                                .final_view = tip->view,
                                .final_id = tip->block_id,
                                .final_time = tip->time};
    random_bytes(&config.jitter_seed, sizeof config.jitter_seed);
    node->core_memory = malloc(bft_size(node->set.count));
    node->core = node->core_memory != NULL ? bft_create(node->core_memory, &config) : NULL;
    secret_key_wipe(&config.seed);
    if (node->core == NULL)
        return refuse(FLEXD_FAILED, "consensus", "the genesis's set or timing is not legal");
    node->shell = shell_create(node);
    if (node->shell == NULL)
        return refuse(FLEXD_FAILED, "consensus", "out of memory");
    return FLEXD_DONE;
}

/* One journal record into the core. A record that contradicts another stops the voting, not the
 * node. */
static bool replay(void *context, const struct journal_entry *entry)
{
    struct node *node = context;
    bool good = true;
    switch (entry->type) {
    case JOURNAL_VOTE:
        good = bft_replay_vote(node->core, &entry->vote);
        break;
    case JOURNAL_PEER_VOTE:
        good = bft_replay_peer_vote(node->core, &entry->vote);
        break;
    case JOURNAL_CERTIFICATE:
        good = bft_replay_certificate(node->core, &entry->certificate);
        break;
    case JOURNAL_CERTIFIED:
        good = bft_replay_certified(node->core, entry->view, &entry->block_id);
        break;
    case JOURNAL_BLOCK:
        /* Checked before it was written, and the journal's checksum says that it is the same. */
        if (entry->header.height > chain_tip(node->chain)->height)
            good = chain_add_body(node->chain, &entry->header, entry->body, true) &&
                   bft_replay_block(node->core, &entry->header);
        break;
    }
    if (!good) {
        log_line(LOG_UNUSUAL, "journal: a record of type %d contradicts those before it",
                 (int)entry->type);
        bft_refuse_to_vote(node->core, "the vote journal contradicts itself");
    }
    return true;
}

static int open_journal(struct node *node)
{
    char path[NODE_PATH_MAX];
    char problem[160] = "";
    if (!node_config_path(path, &node->config, "journal"))
        return refuse(FLEXD_BAD_USAGE, "", "the home's name is too long");
    struct journal_config config = {.directory = path, .genesis = node->genesis_hash, .epoch = 0};
    enum journal_result result = journal_open(&node->journal, &config, replay, node, problem);
    switch (result) {
    case JOURNAL_OK:
        return FLEXD_DONE;
    case JOURNAL_DAMAGED:
        bft_refuse_to_vote(node->core, "the vote journal is damaged");
        break;
    case JOURNAL_ROLLED_BACK:
        bft_refuse_to_vote(node->core, "the vote journal is older than votes made from it");
        break;
    case JOURNAL_MISSING:
        bft_refuse_to_vote(node->core, "the vote journal is missing");
        break;
    case JOURNAL_MISMATCH:
    case JOURNAL_FAULT:
        return refuse(FLEXD_FAILED, path, problem);
    }
    log_line(LOG_UNUSUAL,
             "journal: %s -> this node follows the chain and never votes with this key again; "
             "rotate the validator key",
             problem);
    return FLEXD_DONE;
}

static int start_links(struct node *node)
{
    const struct node_config *config = &node->config;
    char problem[160] = "";
    struct p2p_config *links = calloc(1, sizeof *links);
    if (links == NULL)
        return refuse(FLEXD_FAILED, "", "out of memory");
    memcpy(links->listen, config->listen_p2p, sizeof links->listen);
    links->seed = node->seed;
    links->genesis = node->genesis_hash;
    links->peer_count = config->peer_count;
    memcpy(links->peers, config->peers, sizeof links->peers);
    bool paths = node_config_path(links->ca_file, config, config->tls_ca) &&
                 node_config_path(links->certificate_file, config, config->tls_certificate) &&
                 node_config_path(links->key_file, config, config->tls_key);
    if (paths)
        node->p2p = p2p_start(links, node_on_p2p, node, problem);
    secret_key_wipe(&links->seed);
    free(links);
    return node->p2p != NULL ? FLEXD_DONE : refuse(FLEXD_FAILED, "p2p", problem);
}

static bool write_pid(const struct node *node)
{
    char path[NODE_PATH_MAX];
    char text[32];
    char problem[NODE_PROBLEM_SIZE];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (node_config_path(path, &node->config, "flexd.pid") &&
        node_file_write(path, text, (size_t)size, 0644, problem))
        return true;
    fprintf(stderr, "flexd start: %s\n", problem);
    return false;
}

static uint32_t worker_count(const struct node_config *config)
{
    if (config->workers > 0)
        return config->workers;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online < 1)
        return 1;
    return online > NODE_WORKERS_DEFAULT_MAX ? NODE_WORKERS_DEFAULT_MAX : (uint32_t)online;
}

static int start_threads(struct node *node)
{
    char problem[NODE_PROBLEM_SIZE] = "";
    node->workers =
        workers_start(worker_count(&node->config), &node->inbox, &node->cache, &node->metrics);
    if (node->workers == NULL)
        return refuse(FLEXD_FAILED, "workers", "out of memory or threads");
    int code = start_links(node);
    if (code != FLEXD_DONE)
        return code;
    /* Readers see the board from their first request on; the loop writes it from then on. */
    node->api = api_start(node, problem);
    if (node->api == NULL)
        return refuse(FLEXD_FAILED, "api", problem);
    if (pthread_create(&node->loop, NULL, node_loop_main, node) != 0)
        return refuse(FLEXD_FAILED, "loop", "cannot start a thread");
    node->loop_runs = true;
    return FLEXD_DONE;
}

int node_start(struct node *node, const char *home)
{
    memset(node, 0, sizeof *node);
    int code = load_files(node, home);
    char name[NAME_SIZE + 1];
    node_clock_open(&node->clock, node->config.clock_offset_file);
    node_board_open(&node->board);
    inbox_open(&node->inbox);
    if (code != FLEXD_DONE)
        return code;
    log_open(stderr, node_config_name(name, &node->config), node->config.log_level,
             node->config.log_json);
    fill_peer_tables(node);
    if (!verify_cache_open(&node->cache))
        return refuse(FLEXD_FAILED, "", "out of memory");
    code = open_chain(node);
    if (code == FLEXD_DONE && !write_pid(node))
        code = FLEXD_FAILED;
    if (code == FLEXD_DONE)
        code = create_core(node);
    if (code == FLEXD_DONE)
        code = open_journal(node);
    if (code == FLEXD_DONE)
        code = start_threads(node);
    if (code != FLEXD_DONE)
        return code;
    char hash[2 * HASH_SIZE + 1];
    hex_encode(hash, node->genesis_hash.bytes, HASH_SIZE);
    log_line(LOG_INFO, "flexd %s %s of chain %.16s at height %llu, api on %s, p2p on port %u",
             FLEX_VERSION, node_role_name(node->config.role), hash,
             (unsigned long long)store_tip(node->store)->height, node->config.listen_api,
             (unsigned)p2p_port(node->p2p));
    return FLEXD_DONE;
}

static void remove_pid(const struct node *node)
{
    char path[NODE_PATH_MAX];
    if (node->store != NULL && node_config_path(path, &node->config, "flexd.pid"))
        (void)unlink(path);
}

void node_stop(struct node *node)
{
    if (node->api != NULL)
        api_quiesce(node->api);
    inbox_stop(&node->inbox);
    if (node->loop_runs)
        MUST(pthread_join(node->loop, NULL) == 0);
    if (node->p2p != NULL)
        p2p_stop(node->p2p);
    if (node->workers != NULL)
        workers_stop(node->workers);
    inbox_close(&node->inbox);
    if (node->api != NULL)
        api_stop(node->api);
    if (node->shell != NULL)
        shell_destroy(node->shell);
    if (node->core != NULL)
        bft_destroy(node->core);
    free(node->core_memory);
    if (node->journal != NULL)
        journal_close(node->journal);
    if (node->mempool != NULL)
        mempool_destroy(node->mempool);
    if (node->chain != NULL)
        chain_close(node->chain);
    remove_pid(node);
    if (node->store != NULL)
        store_close(node->store);
    if (node->cache.entries != NULL)
        verify_cache_close(&node->cache);
    node_board_close(&node->board);
    node_clock_close(&node->clock);
    secret_key_wipe(&node->seed);
    free(node->genesis);
    free(node->genesis_text);
}
