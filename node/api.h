/* The HTTP API (docs/spec/api.md) on libmicrohttpd. Reads go through snapshots of the store; only a
 * posted transaction and the question whether one is pending go through the loop. */
#ifndef FLEX_NODE_API_H
#define FLEX_NODE_API_H

#include <stdbool.h>
#include <stdint.h>

#include "node/keys.h"

struct api;
struct node;

/* Listens at node->config.listen_api and serves. The node's store, board, workers and inbox must be
 * there. NULL with the reason in `problem`. */
struct api *api_start(struct node *node, char problem[NODE_PROBLEM_SIZE]);
/* The port that is listened on. */
uint16_t api_port(const struct api *api);
/* Reads the TLS files again, if there are any; the log says what came of it. Connections stay. */
void api_reload(struct api *api);
/* One transaction of that key, which is a participant's, may be taken now; else in *retry_seconds. True if
 * `api` is NULL. Any thread. */
bool api_key_may(struct api *api, const struct public_key *key, uint32_t *retry_seconds);
/* No new connections; those that wait for events are ended. Any thread. */
void api_quiesce(struct api *api);
/* After every call that the API has given out has been answered: closes and frees. */
void api_stop(struct api *api);
/* A block is committed: wakes the event streams. `api` may be NULL. Loop thread. */
void api_block_committed(struct api *api, uint64_t height);
/* Lets event streams say that they are alive; to be called every second or so. May be NULL. */
void api_housekeeping(struct api *api);

#endif
