/* A whole ledger on one machine, for trying out and for tests: validators and audit nodes as real
 * processes on loopback, and an unencrypted wallet per participant (docs/operator.md).
 *
 *   DIR/devnet.json            the nodes: name, role, key, addresses
 *   DIR/genesis.json           the trust anchor; every wallet has a copy
 *   DIR/wallets/NAME/          a wallet home per genesis participant
 *   DIR/nodes/NAME/            a flexd home per node, with flexd.log and devnet.pid
 *   DIR/clock_offset           milliseconds that the nodes' clocks are off, if time is simulated */
#ifndef FLEX_TOOLS_DEVNET_H
#define FLEX_TOOLS_DEVNET_H

#include <sys/types.h>

#include "base/files.h"
#include "contracts/genesis.h"
#include "tools/cli.h"

enum {
    DEVNET_NODES_MAX = LIMIT_VALIDATORS + 8,
    DEVNET_ADDRESS_SIZE = 32,
    DEVNET_STOP_MS = 20000 /* for all to end after SIGTERM */
};

struct devnet_node {
    struct name name;
    bool audit;
    struct public_key key;
    uint16_t p2p_port;
    uint16_t api_port;
    pid_t child; /* if this process has started it; else 0 */
};

struct devnet {
    char directory[FILES_PATH_SIZE / 2]; /* absolute, so that a node's command line names it */
    bool simulated;
    uint32_t count;
    struct devnet_node nodes[DEVNET_NODES_MAX];
};

struct devnet_plan {
    uint32_t validators;
    uint32_t audits;
    const char *spec;     /* may be NULL */
    int64_t simulated_ms; /* when the simulated clock starts; 0: the real clock */
};

/* Functions that return int return an exit code and have said what is wrong. */

/* Makes everything that a new devnet needs, up to starting it (tools/devnet_make.c). */
int devnet_make(struct cli *cli, struct devnet *out, const struct devnet_plan *plan);
/* Gives every node new ports, in its own configuration and in that of its peers. */
int devnet_assign_ports(struct cli *cli, struct devnet *devnet);
/* The absolute path of a directory that exists. */
int devnet_set_directory(struct cli *cli, struct devnet *out, const char *directory);
int devnet_load(struct cli *cli, struct devnet *out, const char *directory);
int devnet_save(struct cli *cli, const struct devnet *devnet);
void devnet_node_home(char out[FILES_PATH_SIZE], const struct devnet *devnet,
                      const struct devnet_node *node);
void devnet_node_api(char out[DEVNET_ADDRESS_SIZE], const struct devnet_node *node);
struct devnet_node *devnet_find(struct devnet *devnet, const struct name *name);
bool devnet_offset_write(const char *directory, int64_t offset_ms);
bool devnet_offset_read(int64_t *offset_ms, const char *directory);
int64_t devnet_real_ms(void);

/* The genesis of the demonstration consortium, without validators' keys and participants' keys
 * (tools/devnet_genesis.c). `spec` names a JSON file that changes it; may be NULL. */
int devnet_genesis_draft(struct cli *cli, struct genesis *out, uint32_t validators,
                         const char *spec);
/* The participant that runs validator `index`, also the node's name. */
void devnet_operator_name(struct name *out, uint32_t index);

/* Processes (tools/devnet_process.c). */

/* Runs flexd with these arguments (NULL at the end) and waits. Its standard output goes to `output`
 * (of `size` bytes), ends in NUL. */
int devnet_flexd(struct cli *cli, char *output, size_t size, const char *const *arguments);
int devnet_spawn(struct cli *cli, const struct devnet *devnet, struct devnet_node *node);
/* The node's process id; 0 if it isn't running. Only ever a process that is this node's flexd. */
pid_t devnet_pid(const struct devnet *devnet, const struct devnet_node *node);
/* Starts what isn't running and waits until all are ready. One that was `made` just now gets new ports
 * and another try if a node ends at once. Where it fails nothing runs. */
int devnet_start(struct cli *cli, struct devnet *devnet, int64_t ready_ms, bool made);
/* SIGTERM to all, then waits; false if one is still there afterwards. */
bool devnet_stop(struct devnet *devnet, int64_t timeout_ms);
void devnet_kill(const struct devnet *devnet, struct devnet_node *node);
/* Waits until every node's /ready is 200. *failed is a node that has ended, or NULL if it was time
 * that ran out. */
bool devnet_wait_ready(struct devnet *devnet, int64_t timeout_ms, struct devnet_node **failed);
/* The last lines of a node's log on `stream`. */
void devnet_log_tail(const struct devnet *devnet, const struct devnet_node *node, FILE *stream);

#endif
