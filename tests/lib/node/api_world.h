/* An API in this process, over a chain of a few blocks in LMDB: real sockets, real threads of
 * libmicrohttpd, real workers, and in the loop's place a thread that answers their calls. For tests of the
 * API alone; consensus and links are not there. Anything unexpected aborts the test. */
#ifndef FLEX_TESTS_LIB_NODE_API_WORLD_H
#define FLEX_TESTS_LIB_NODE_API_WORLD_H

#include "node/api.h"
#include "node/node.h"
#include "node/read_request.h"
#include "tests/lib/node/chain_world.h"
#include "tests/lib/temp_dir.h"

enum { API_WORLD_HEIGHTS = 6, API_WORLD_ANSWER_MAX = 1 << 20 };

struct api_world {
    char directory[TEMP_PATH_SIZE];
    struct node node;
    struct hash tx_id;    /* of a transfer in block 2 */
    struct world_tx next; /* one that would be taken */
    uint16_t port;
    pthread_t loop;
};

/* `config` may change the configuration before the API starts; NULL: all defaults, reads open. */
void api_world_start(struct api_world *world, void (*config)(struct node_config *config));
void api_world_stop(struct api_world *world);

/* Sends the bytes on a connection of their own and reads until the node closes it, or `want` bytes are there
 * (0: all). Returns how many; `out` ends in NUL. */
size_t api_world_talk(const struct api_world *world, const void *sent, size_t size, char *out,
                      size_t max, size_t want);
/* The same, until `enough` (NULL: nothing) stands in the answer, the node closes, or says nothing for some
 * milliseconds. */
size_t api_world_talk_until(const struct api_world *world, const void *sent, size_t size, char *out,
                            size_t max, const char *enough);
/* A signed Authorization of one of the world's people for a GET, with a nonce of its own. */
void api_world_sign(const struct api_world *world, const char *person, const char *target,
                    char header[READ_REQUEST_TEXT_SIZE]);

#endif
