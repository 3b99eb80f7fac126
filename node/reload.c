/* What a running node takes anew from its home on SIGHUP: TLS files, peers' addresses, new peers.
 *
 *   main thread: flexd.json -> peers as they stand, with those that are new behind them -> p2p_reload,
 *                which checks all of it -> struct node_reload, an event
 *   loop: node_take_peers, before it hears of a link to one of them or soon after
 *
 * Invariants:
 *  1. All or nothing: a file that does not parse, or certificates that don't belong together, change
 *     nothing, and the log says so.
 *  2. Peers keep their indices as long as the process lives. One that is no longer in the file stays until
 *     the next start.
 *
 * Deliberately absent: everything else in flexd.json. Roles, addresses to listen on, the signer and what is
 * kept are decided at a start. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/log.h"
#include "node/shell.h"

void node_reload_open(struct node *node)
{
    MUST(pthread_mutex_init(&node->reload.lock, NULL) == 0);
}

static int find_peer(const struct node_config *config, const struct public_key *key)
{
    for (uint32_t i = 0; i < config->peer_count; i++) {
        if (public_key_equal(&config->peers[i].key, key))
            return (int)i;
    }
    return -1;
}

/* The peers that are known, at their indices, then the new ones of the file. False: too many. */
static bool merge_peers(struct node_config *fresh, const struct p2p_peer_config *known,
                        uint32_t known_count, const struct public_key *own)
{
    struct p2p_peer_config merged[P2P_PEERS_MAX];
    uint32_t count = known_count;
    memcpy(merged, known, known_count * sizeof known[0]);
    for (uint32_t i = 0; i < known_count; i++) {
        const int at = find_peer(fresh, &known[i].key);
        if (at >= 0)
            merged[i] = fresh->peers[at];
        else
            log_line(LOG_UNUSUAL,
                     "reload: peer %u is not in flexd.json any more -> stays until the "
                     "next start",
                     (unsigned)i);
    }
    for (uint32_t i = 0; i < fresh->peer_count; i++) {
        bool is_new = !public_key_equal(&fresh->peers[i].key, own);
        for (uint32_t at = 0; at < known_count; at++)
            is_new = is_new && !public_key_equal(&known[at].key, &fresh->peers[i].key);
        if (!is_new)
            continue;
        if (count == P2P_PEERS_MAX)
            return false;
        merged[count++] = fresh->peers[i];
    }
    memcpy(fresh->peers, merged, sizeof merged);
    fresh->peer_count = count;
    return true;
}

/* False with the reason. */
static bool reload(struct node *node, struct node_config *fresh, struct p2p_config *links,
                   char problem[NODE_PROBLEM_SIZE])
{
    struct node_reload *last = &node->reload;
    if (!node_config_load(fresh, node->config.home, problem))
        return false;
    const bool first = last->peer_count == 0; /* the loop has changed nothing as yet */
    if (!merge_peers(fresh, first ? node->config.peers : last->peers,
                     first ? node->config.peer_count : last->peer_count, &node->key)) {
        snprintf(problem, NODE_PROBLEM_SIZE, "more than %d peers, with those that were removed",
                 P2P_PEERS_MAX);
        return false;
    }
    if (!node_links_config(links, node, fresh)) {
        snprintf(problem, NODE_PROBLEM_SIZE, "the name of a TLS file is too long");
        return false;
    }
    char fault[160] = "";
    if (!p2p_reload(node->p2p, links, fault)) {
        snprintf(problem, NODE_PROBLEM_SIZE, "%s", fault);
        return false;
    }
    MUST(pthread_mutex_lock(&last->lock) == 0);
    last->peer_count = fresh->peer_count;
    memcpy(last->peers, fresh->peers, sizeof last->peers);
    MUST(pthread_mutex_unlock(&last->lock) == 0);
    inbox_push_news(&node->inbox);
    return true;
}

void node_reload(struct node *node)
{
    char problem[NODE_PROBLEM_SIZE] = "out of memory";
    struct node_config *fresh = malloc(sizeof *fresh);
    struct p2p_config *links = malloc(sizeof *links);
    if (fresh == NULL || links == NULL || !reload(node, fresh, links, problem))
        log_line(LOG_UNUSUAL, "reload: %s -> nothing has changed", problem);
    if (links != NULL)
        secret_key_wipe(&links->seed);
    free(links);
    free(fresh);
}

void node_take_peers(struct node *node)
{
    struct node_reload *last = &node->reload;
    MUST(pthread_mutex_lock(&last->lock) == 0);
    const uint32_t before = node->config.peer_count;
    if (last->peer_count > before) {
        memcpy(&node->config.peers[before], &last->peers[before],
               (last->peer_count - before) * sizeof last->peers[0]);
        node->config.peer_count = last->peer_count;
    }
    MUST(pthread_mutex_unlock(&last->lock) == 0);
    if (node->config.peer_count > before)
        node_fill_peer_tables(node);
}
