/* From a home directory to a running node and back (docs/spec/config.md; consensus.md 9).
 *
 * Order of a start: configuration, key, genesis -> store -> (empty, and to begin with a snapshot:
 * links, sync) -> chain -> core -> journal replay into the core -> workers -> snapshots -> links ->
 * API -> loop. Nothing is sent before the replay is done. A stop
 * goes the other way: no new requests, the loop's last turn, links, workers, the calls that still
 * wait are answered, then API, journal, store.
 *
 * The core and its journal are those of the epoch that the committed state says (epoch.c). A store,
 * journal or key that doesn't belong to this chain ends the start. A journal that is
 * damaged or older than the votes made from it doesn't: the node goes on as an observer that never
 * votes.
 *
 * Deliberately absent: running in the background, changing user. A service manager does both. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/log.h"
#include "contracts/rules.h"
#include "node/api.h"
#include "node/check.h"
#include "node/commands.h"
#include "node/shell.h"
#include "node/snapshots.h"
#include "node/solver_worker.h"
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
    if (node_config_path(path, config, "backup.json") && access(path, F_OK) == 0)
        return refuse(
            FLEXD_FAILED, home,
            "this is a backup, which has no memory of its votes: flexd restore makes a home of it");
    if (!node_config_key(&node->key, &node->seed, config, problem))
        return refuse(FLEXD_BAD_USAGE, "", problem);
    node->genesis = calloc(1, sizeof *node->genesis);
    if (node->genesis == NULL)
        return refuse(FLEXD_FAILED, "", "out of memory");
    if (!node_config_path(path, config, config->genesis) ||
        !node_genesis_load(node->genesis, &node->genesis_hash, &node->genesis_text,
                           &node->genesis_text_size, path, problem))
        return refuse(FLEXD_BAD_USAGE, "genesis", problem);
    if (config->clock_offset_file[0] != '\0' && node->genesis->simulated_time != 1)
        return refuse(FLEXD_BAD_USAGE, "flexd.json",
                      "clock_offset_file needs a genesis with simulated_time 1");
    return FLEXD_DONE;
}

static int refuse_damaged(const struct node *node, const char *what)
{
    fprintf(stderr,
            "flexd start: the database is damaged: %s\n"
            "Nothing was changed. Look at the disk; flexd check --home %s names everything that "
            "is damaged, and docs/operator.md, \"A damaged database\", says what to do.\n",
            what, node->config.home);
    return FLEXD_DAMAGED;
}

/* What every decision stands on, before anything is decided (adr/0031). */
static int check_data(struct node *node)
{
    struct node_check *check = calloc(1, sizeof *check);
    if (check == NULL)
        return refuse(FLEXD_FAILED, "", "out of memory");
    check->config = &node->config;
    check->genesis = node->genesis;
    check->genesis_hash = node->genesis_hash;
    int code = node_check_data(check, NULL, true, false);
    if (code == FLEXD_DAMAGED) {
        log_line(LOG_BROKEN, "%s (%llu findings) -> not started", check->problem,
                 (unsigned long long)check->store.findings);
        (void)refuse_damaged(node, check->problem);
    } else if (code == FLEXD_DONE && check->result == STORE_OK) {
        log_line(LOG_INFO, "database checked: %llu records of the state and its tree in %llu ms",
                 (unsigned long long)check->store.records, (unsigned long long)check->milliseconds);
    } else if (check->result == STORE_MISMATCH) {
        code = FLEXD_DONE; /* the store says it better, or it is a machine on which nothing can */
    } else if (code == FLEXD_ALREADY_RUNS) {
        refuse(code, "data", "another process runs this home");
    } else if (code != FLEXD_DONE) {
        refuse(code, "", check->problem);
    }
    free(check);
    return code;
}

static int open_store(struct node *node)
{
    char path[NODE_PATH_MAX];
    if (!node_config_path(path, &node->config, "data"))
        return refuse(FLEXD_BAD_USAGE, "", "the home's name is too long");
    struct store_config store = {.directory = path,
                                 .map_bytes = node->config.map_bytes,
                                 .map_bytes_max = node->config.map_bytes_max,
                                 .map_bytes_step = node->config.map_bytes_step,
                                 .genesis = node->genesis_hash};
    enum store_result result = store_open(&node->store, &store);
    if (result == STORE_LOCKED)
        return refuse(FLEXD_ALREADY_RUNS, path, "another process runs this home");
    if (result == STORE_CORRUPT)
        return refuse_damaged(node, "the newest block or the tip; the log says which record");
    if (result != STORE_OK)
        return refuse(FLEXD_FAILED, path, store_result_text(result));
    return FLEXD_DONE;
}

int node_refuse_rules(const struct node *node, uint32_t version)
{
    const unsigned long long height = store_tip(node->store)->height;
    log_line(LOG_UNUSUAL,
             "block %llu is under rules %u, this program has those up to %u -> stopped", height + 1,
             version, ledger_rules_count);
    fprintf(stderr,
            "flexd: the chain goes on under rules %u from block %llu, as its validators have "
            "voted, and this "
            "program (flexd %s) has those up to %u.\n"
            "Nothing is lost: the home is at block %llu. Install a flexd that has rules %u and "
            "start it; "
            "docs/operator.md, \"Upgrading\".\n",
            version, height + 1, FLEX_VERSION, ledger_rules_count, height, version);
    return FLEXD_NEW_RULES;
}

static void watch_commit(void *context, struct state_view *view)
{
    struct node *node = context;
    figures_state_changed(&node->figures, view);
}

static int open_chain(struct node *node)
{
    char problem[160] = "";
    struct chain_backend backend = chain_backend_of_store(node->store);
    node->chain = chain_open(node->genesis, &backend, problem);
    struct store_damage damage;
    store_damage(node->store, &damage);
    if (node->chain == NULL && damage.count > 0)
        return refuse_damaged(node, damage.first);
    if (node->chain == NULL)
        return refuse(FLEXD_FAILED, "chain", problem);
    figures_count(&node->figures, chain_committed_view(node->chain));
    chain_watch(node->chain, watch_commit, node);
    if (chain_rules_missing(node->chain) != 0)
        return node_refuse_rules(node, chain_rules_missing(node->chain));
    /* An audit node takes no transaction from anybody, so it has nowhere to put one. */
    if (node->config.role == NODE_AUDIT)
        return FLEXD_DONE;
    struct mempool_limits limits = {0, 0};
    node->mempool = mempool_create(&limits);
    node->gossip.bytes = malloc(NODE_GOSSIP_BYTES);
    if (node->mempool == NULL || node->gossip.bytes == NULL)
        return refuse(FLEXD_FAILED, "mempool", "out of memory");
    return FLEXD_DONE;
}

static int open_epoch(struct node *node)
{
    char problem[NODE_PROBLEM_SIZE];
    if (!node_epoch_open(node, problem))
        return refuse(FLEXD_FAILED, "consensus", problem);
    if (node->config.role == NODE_AUDIT && validator_set_index(&node->set, &node->key) >= 0)
        return refuse(FLEXD_BAD_USAGE, "flexd.json",
                      "role is audit, but the validator set has this node's key");
    range_ahead_init(&node->ranges.ahead);
    node->shell = shell_create(node);
    return node->shell != NULL ? FLEXD_DONE : refuse(FLEXD_FAILED, "consensus", "out of memory");
}

/* False if a name is too long. The seed is the caller's to wipe. */
bool node_links_config(struct p2p_config *links, const struct node *node,
                       const struct node_config *config)
{
    memset(links, 0, sizeof *links);
    memcpy(links->listen, config->listen_p2p, sizeof links->listen);
    links->seed = node->seed;
    links->key = node->key;
    links->sign = node->signer != NULL ? signer_sign_link : NULL;
    links->sign_context = node->signer;
    links->genesis = node->genesis_hash;
    links->peer_count = config->peer_count;
    memcpy(links->peers, config->peers, sizeof links->peers);
    return node_config_path(links->ca_file, config, config->tls_ca) &&
           node_config_path(links->certificate_file, config, config->tls_certificate) &&
           node_config_path(links->key_file, config, config->tls_key);
}

static int start_links(struct node *node)
{
    char problem[160] = "";
    struct p2p_config *links = malloc(sizeof *links);
    if (links == NULL)
        return refuse(FLEXD_FAILED, "", "out of memory");
    if (node_links_config(links, node, &node->config))
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

/* An empty home that is to begin with a snapshot: the links come up first. */
static int fetch_state(struct node *node)
{
    char problem[NODE_PROBLEM_SIZE] = "";
    if (!node_sync_is_due(node))
        return FLEXD_DONE;
    node->sync_inbox.open = true;
    int code = start_links(node);
    if (code != FLEXD_DONE)
        return code;
    switch (node_sync(node, problem)) {
    case SYNC_DONE:
        return FLEXD_DONE;
    case SYNC_STOPPED:
        log_line(LOG_INFO, "stopped while fetching a snapshot; the next start goes on with it");
        return NODE_STOPPED;
    case SYNC_FAILED:
        break;
    }
    return refuse(FLEXD_FAILED, "sync", problem);
}

/* What a store that began with a snapshot has of the history log below it. */
static int open_history(struct node *node)
{
    struct merkle_frontier below;
    struct store_snapshot *snapshot = store_snapshot_begin(node->store);
    enum store_result result =
        snapshot != NULL ? store_snapshot_frontier(snapshot, &below) : STORE_FAULT;
    if (snapshot != NULL)
        store_snapshot_end(snapshot);
    if (result != STORE_OK)
        return refuse(FLEXD_FAILED, "history log below the floor", store_result_text(result));
    node_history_set_floor(&node->history, &below);
    return FLEXD_DONE;
}

static void note_signer(void *context)
{
    struct node *node = context;
    inbox_push_news(&node->inbox);
}

static int open_signer(struct node *node)
{
    struct signer_config config = {.socket = node->config.signer_socket,
                                   .genesis = node->genesis_hash,
                                   .key = node->key,
                                   .metrics = &node->metrics,
                                   .changed = note_signer,
                                   .context = node};
    if (config.socket[0] == '\0')
        return FLEXD_DONE;
    node->signer = signer_open(&config);
    return node->signer != NULL ? FLEXD_DONE
                                : refuse(FLEXD_FAILED, "signer", "out of memory or threads");
}

/* From here on frames are the loop's. */
static void end_sync(struct node *node)
{
    MUST(pthread_mutex_lock(&node->sync_inbox.lock) == 0);
    node->sync_inbox.open = false;
    MUST(pthread_mutex_unlock(&node->sync_inbox.lock) == 0);
    for (uint32_t peer = 0; peer < node->config.peer_count; peer++)
        p2p_resume(node->p2p, peer); /* who was told to wait meanwhile */
}

static int start_threads(struct node *node)
{
    char problem[NODE_PROBLEM_SIZE] = "";
    node->workers =
        workers_start(worker_count(&node->config), &node->inbox, &node->cache, &node->metrics);
    if (node->workers == NULL)
        return refuse(FLEXD_FAILED, "workers", "out of memory or threads");
    node->snapshots = snapshots_start(node, problem);
    if (node->snapshots == NULL)
        return refuse(FLEXD_FAILED, "snapshots", problem);
    int code = node->p2p == NULL ? start_links(node) : FLEXD_DONE;
    if (code != FLEXD_DONE)
        return code;
    end_sync(node);
    /* Readers see the board from their first request on; the loop writes it from then on. */
    node->api = api_start(node, problem);
    if (node->api == NULL)
        return refuse(FLEXD_FAILED, "api", problem);
    if (pthread_create(&node->loop, NULL, node_loop_main, node) != 0)
        return refuse(FLEXD_FAILED, "loop", "cannot start a thread");
    node->loop_runs = true;
    if (!solver_worker_start(&node->solver, node, problem))
        return refuse(FLEXD_BAD_USAGE, "solver", problem);
    return FLEXD_DONE;
}

bool node_log_open(struct node *node)
{
    char path[NODE_PATH_MAX];
    char name[NAME_SIZE + 1];
    if (node->config.log_file[0] == '\0')
        return true;
    FILE *file = NULL;
    if (!node_config_path(path, &node->config, node->config.log_file) ||
        (file = fopen(path, "ae")) == NULL) {
        log_line(LOG_UNUSUAL, "log file %s: %s", node->config.log_file, strerror(errno));
        return false;
    }
    log_open(file, node_config_name(name, &node->config), node->config.log_level,
             node->config.log_json);
    /* Nobody writes to the old one any more: log_open has changed it under the lock of the lines. */
    if (node->log != NULL)
        (void)fclose(node->log);
    node->log = file;
    return true;
}

int node_start(struct node *node, const char *home)
{
    memset(node, 0, sizeof *node);
    node->home_lock = -1;
    int code = load_files(node, home);
    char name[NAME_SIZE + 1];
    node_clock_open(&node->clock, node->config.clock_offset_file);
    node_board_open(&node->board);
    node_evidence_open(&node->evidence);
    node_history_open(&node->history);
    figures_open(&node->figures);
    inbox_open(&node->inbox);
    node_reload_open(node);
    sync_inbox_open(&node->sync_inbox);
    if (code != FLEXD_DONE)
        return code;
    log_open(stderr, node_config_name(name, &node->config), node->config.log_level,
             node->config.log_json);
    char problem[NODE_PROBLEM_SIZE] = "";
    if (!node_log_open(node))
        return FLEXD_FAILED;
    if (!node_home_check(&node->config, problem))
        return refuse(FLEXD_FAILED, "", problem);
    bool runs = false;
    node->home_lock = node_home_take(&node->config, &runs, problem);
    if (node->home_lock < 0)
        return refuse(runs ? FLEXD_ALREADY_RUNS : FLEXD_FAILED, "", problem);
    if (!verify_cache_open(&node->cache))
        return refuse(FLEXD_FAILED, "", "out of memory");
    code = check_data(node);
    if (code == FLEXD_DONE)
        code = open_store(node);
    if (code == FLEXD_DONE && !write_pid(node))
        code = FLEXD_FAILED;
    if (code == FLEXD_DONE)
        code = open_signer(node); /* links are its to sign for */
    if (code == FLEXD_DONE)
        code = fetch_state(node);
    if (code == FLEXD_DONE)
        code = open_history(node);
    if (code == FLEXD_DONE)
        code = open_chain(node);
    if (code == FLEXD_DONE)
        code = open_epoch(node);
    /* Said below; once the loop runs the tip is its own. */
    const uint64_t height = code == FLEXD_DONE ? store_tip(node->store)->height : 0;
    if (code == FLEXD_DONE)
        code = start_threads(node);
    if (code != FLEXD_DONE)
        return code;
    char hash[2 * HASH_SIZE + 1];
    hex_encode(hash, node->genesis_hash.bytes, HASH_SIZE);
    log_line(LOG_INFO, "flexd %s %s of chain %.16s at height %llu, api on %s, p2p on port %u",
             FLEX_VERSION, node_role_name(node->config.role), hash, (unsigned long long)height,
             node->config.listen_api, (unsigned)p2p_port(node->p2p));
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
    solver_worker_stop(node->solver);
    inbox_stop(&node->inbox);
    if (node->loop_runs)
        MUST(pthread_join(node->loop, NULL) == 0);
    /* Its server sends by way of the links. */
    if (node->snapshots != NULL)
        snapshots_stop(node->snapshots);
    if (node->p2p != NULL)
        p2p_stop(node->p2p);
    if (node->signer != NULL)
        signer_close(node->signer);
    sync_inbox_close(&node->sync_inbox);
    if (node->workers != NULL)
        workers_stop(node->workers);
    inbox_close(&node->inbox);
    solver_worker_free(node->solver);
    if (node->api != NULL)
        api_stop(node->api);
    if (node->snapshots != NULL)
        snapshots_close(node->snapshots);
    if (node->shell != NULL)
        shell_destroy(node->shell);
    range_ahead_close(&node->ranges.ahead);
    node_epoch_close(node);
    if (node->mempool != NULL)
        mempool_destroy(node->mempool);
    free(node->gossip.bytes);
    node->gossip.bytes = NULL;
    if (node->chain != NULL)
        chain_close(node->chain);
    remove_pid(node);
    if (node->store != NULL)
        store_close(node->store);
    if (node->cache.entries != NULL)
        verify_cache_close(&node->cache);
    figures_close(&node->figures);
    node_board_close(&node->board);
    node_evidence_close(&node->evidence);
    node_history_close(&node->history);
    node_clock_close(&node->clock);
    secret_key_wipe(&node->seed);
    free(node->genesis);
    free(node->genesis_text);
    if (node->home_lock >= 0)
        (void)close(node->home_lock);
}
