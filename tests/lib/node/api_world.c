/* An API in this process (tests/lib/node/api_world.h). */
#include "tests/lib/node/api_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fatal.h"
#include "node/snapshots.h"

static void certify(struct certificate *out, const struct block_header *header,
                    const struct genesis *genesis)
{
    const struct hash id = world_genesis_id();
    struct hash message;
    memset(out, 0, sizeof *out);
    out->kind = VOTE_FINALIZE;
    out->epoch = header->epoch;
    out->view = header->view;
    out->block_id = world_id(header);
    vote_message(&message, &id, VOTE_FINALIZE, out->epoch, out->view, &out->block_id);
    for (uint32_t signer = 0; signer < 3; signer++) {
        for (int number = 1; number <= 4; number++) {
            struct secret_key seed;
            struct public_key key;
            memset(seed.bytes, number, sizeof seed.bytes);
            ed25519_public_key(&key, &seed);
            if (!public_key_equal(&key, &genesis->params.validators[signer].key))
                continue;
            out->entries[out->count].signer = (uint8_t)signer;
            ed25519_sign(&out->entries[out->count++].signature, &seed, &message);
        }
    }
}

/* Block 1 gives alice money, each later one moves some of it. */
static void make_blocks(struct api_world *world, struct chain *chain, const struct genesis *genesis)
{
    for (uint64_t height = 1; height <= API_WORLD_HEIGHTS; height++) {
        const struct mempool_limits limits = {0, 0};
        struct mempool *mempool = mempool_create(&limits);
        struct certificate certificate;
        struct world_tx tx;
        if (height == 1)
            world_mint(&tx, 1, "alice", 1000000);
        else
            world_transfer(&tx, "alice", height - 1, "bob", 1000);
        MUST(mempool != NULL && mempool_add(mempool, &tx.transaction) == CONTRACT_OK);
        if (height == 2)
            world->tx_id = tx.transaction.id;
        const struct block_header header = world_build(chain, mempool, NULL, 2 * height);
        certify(&certificate, &header, genesis);
        MUST(chain_commit(chain, &header, &certificate) == STORE_OK);
        mempool_destroy(mempool);
    }
    world_transfer(&world->next, "alice", API_WORLD_HEIGHTS, "bob", 1000);
}

static void make_store(struct api_world *world)
{
    struct node *node = &world->node;
    const struct store_config config = {.directory = world->directory,
                                        .map_bytes = 16 << 20,
                                        .map_bytes_max = 64 << 20,
                                        .genesis = node->genesis_hash};
    char problem[160];
    MUST(store_open(&node->store, &config) == STORE_OK);
    const struct chain_backend backend = chain_backend_of_store(node->store);
    struct chain *chain = chain_open(node->genesis, &backend, problem);
    MUST(chain != NULL);
    make_blocks(world, chain, node->genesis);
    chain_close(chain);
}

/* What the node's loop does with calls of the API, its mempool taking whatever is well signed. */
static void *answer_calls(void *context)
{
    struct node *node = context;
    while (!inbox_is_stopping(&node->inbox)) {
        struct node_event *event =
            inbox_take(&node->inbox, node_clock_monotonic_ms() + NODE_HOUSEKEEPING_MS);
        while (event != NULL) {
            struct node_event *next = event->next;
            if (event->call != NULL) {
                event->call->error = event->error;
                event->call->tx_id =
                    event->kind == NODE_EVENT_LOOKUP ? event->call->tx_id : event->transaction.id;
                event->call->done(event->call);
                event->call = NULL;
            }
            (void)inbox_release(&node->inbox, event);
            event = next;
        }
    }
    return NULL;
}

static void say_on_board(struct node *node)
{
    const struct store_tip *tip = store_tip(node->store);
    struct node_status status;
    memset(&status, 0, sizeof status);
    status.height = tip->height;
    status.tip_id = tip->block_id;
    status.state_root = tip->state_root;
    status.transactions = API_WORLD_HEIGHTS;
    status.validators = 4;
    status.first_block = 1;
    status.voting = true;
    status.started = true;
    node_board_write(&node->board, &status);
}

void api_world_start(struct api_world *world, void (*config)(struct node_config *config))
{
    struct node *node = &world->node;
    char problem[NODE_PROBLEM_SIZE] = "";
    memset(world, 0, sizeof *world);
    temp_dir_make(world->directory);
    node_config_init(&node->config, world->directory);
    node->config.name = world_name("world");
    node->config.snapshot_blocks = 0;
    (void)snprintf(node->config.listen_api, sizeof node->config.listen_api, "127.0.0.1:0");
    if (config != NULL)
        config(&node->config);
    node->genesis = calloc(1, sizeof *node->genesis);
    node->genesis_text = strdup("{\"chain\":\"test\"}");
    MUST(node->genesis != NULL && node->genesis_text != NULL);
    node->genesis_text_size = strlen(node->genesis_text);
    world_genesis(node->genesis);
    node->genesis_hash = world_genesis_id();
    node->key = node->genesis->params.validators[0].key;
    node->own_index = 0;
    node->quorum = 3;
    node_clock_open(&node->clock, "");
    node_board_open(&node->board);
    node_evidence_open(&node->evidence);
    node_history_open(&node->history);
    inbox_open(&node->inbox);
    MUST(verify_cache_open(&node->cache));
    make_store(world);
    say_on_board(node);
    node->snapshots = snapshots_start(node, problem);
    node->workers = workers_start(1, &node->inbox, &node->cache, &node->metrics);
    MUST(node->snapshots != NULL && node->workers != NULL);
    MUST(pthread_create(&world->loop, NULL, answer_calls, node) == 0);
    node->api = api_start(node, problem);
    if (node->api == NULL)
        (void)fprintf(stderr, "api_world: %s\n", problem);
    MUST(node->api != NULL);
    world->port = api_port(node->api);
}

void api_world_stop(struct api_world *world)
{
    struct node *node = &world->node;
    api_quiesce(node->api);
    inbox_stop(&node->inbox);
    MUST(pthread_join(world->loop, NULL) == 0);
    snapshots_stop(node->snapshots);
    workers_stop(node->workers);
    inbox_close(&node->inbox);
    api_stop(node->api);
    snapshots_close(node->snapshots);
    store_close(node->store);
    verify_cache_close(&node->cache);
    node_history_close(&node->history);
    node_evidence_close(&node->evidence);
    node_board_close(&node->board);
    free(node->genesis);
    free(node->genesis_text);
    char snapshots[TEMP_PATH_SIZE + 16];
    (void)snprintf(snapshots, sizeof snapshots, "%s/snapshots", world->directory);
    (void)rmdir(snapshots);
    temp_dir_remove(world->directory);
}

/* A fuzzer's clock ticks by a signal, which may come in the midst of a connect: the kernel goes on with it,
 * and says by the socket's readiness how it ended. */
static void finish_connect(int fd, int result)
{
    enum { PATIENCE_MS = 20000 };
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int error = result == 0 ? 0 : errno;
    if (error == EINTR || error == EALREADY || error == EINPROGRESS) {
        socklen_t size = sizeof error;
        while (poll(&ready, 1, PATIENCE_MS) < 0 && errno == EINTR)
            continue;
        MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    }
    if (error != 0 && error != EISCONN)
        (void)fprintf(stderr, "api_world: connect: %s\n", strerror(error));
    MUST(error == 0 || error == EISCONN);
}

static int dial(const struct api_world *world, const void *sent, size_t size)
{
    /* A port that was left is not free again for a minute, and a fuzzer dials a thousand times a second:
     * from one address its ports run out, so each dial comes from the next of 127.0.0.0/8. */
    static _Atomic uint32_t dials;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(world->port)};
    struct sockaddr_in own = {.sin_family = AF_INET};
    const struct timeval patience = {.tv_sec = 20};
    const int yes = 1;
    ssize_t count = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + atomic_fetch_add(&dials, 1) % 4096);
    MUST(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) == 0 &&
         bind(fd, (const struct sockaddr *)&own, sizeof own) == 0);
    finish_connect(fd, connect(fd, (const struct sockaddr *)&address, sizeof address));
    for (size_t done = 0; done < size && count > 0; done += count > 0 ? (size_t)count : 0)
        count = send(fd, (const char *)sent + done, size - done, MSG_NOSIGNAL);
    return fd;
}

size_t api_world_talk(const struct api_world *world, const void *sent, size_t size, char *out,
                      size_t max, size_t want)
{
    size_t got = 0;
    int fd = dial(world, sent, size);
    /* A request that is cut short ends here, and not at the node's patience. */
    if (want == 0)
        (void)shutdown(fd, SHUT_WR);
    while (got + 1 < max && (want == 0 || got < want)) {
        const ssize_t count = recv(fd, out + got, max - 1 - got, 0);
        if (count <= 0)
            break;
        got += (size_t)count;
    }
    out[got] = '\0';
    (void)close(fd);
    return got;
}

size_t api_world_talk_until(const struct api_world *world, const void *sent, size_t size, char *out,
                            size_t max, const char *enough)
{
    size_t got = 0;
    const struct timeval silence = {.tv_usec = 5000};
    int fd = dial(world, sent, size);
    (void)shutdown(fd, SHUT_WR);
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) == 0);
    out[0] = '\0';
    while (got + 1 < max && (enough == NULL || strstr(out, enough) == NULL)) {
        const ssize_t count = recv(fd, out + got, max - 1 - got, 0);
        if (count <= 0)
            break;
        got += (size_t)count;
        out[got] = '\0';
    }
    (void)close(fd);
    return got;
}

void api_world_sign(const struct api_world *world, const char *person, const char *target,
                    char header[READ_REQUEST_TEXT_SIZE])
{
    const struct secret_key secret = world_secret(person);
    const struct read_target what = {
        &world->node.genesis_hash, &world->node.key, "GET", target, {NULL, 0}};
    struct read_request request;
    memset(&request, 0, sizeof request);
    request.key = world_key(person);
    request.time_ms = timestamp_ms(node_clock_wall((struct node_clock *)&world->node.clock));
    random_bytes(request.nonce, sizeof request.nonce);
    MUST(read_request_sign(&request, &secret, &what));
    read_request_print(header, &request);
}
