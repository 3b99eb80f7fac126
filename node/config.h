/* flexd.json, strict both ways (docs/spec/config.md). */
#ifndef FLEX_NODE_CONFIG_H
#define FLEX_NODE_CONFIG_H

#include "base/log.h"
#include "base/name.h"
#include "consensus/header.h"
#include "contracts/genesis.h"
#include "node/keys.h"
#include "p2p/p2p.h"

struct cJSON;

enum {
    NODE_PATH_MAX = 256,           /* p2p's own limit on file names */
    NODE_ADDRESS_MAX = 96,         /* likewise on addresses */
    NODE_CONFIG_BYTES_MAX = 65536, /* 64 peers of 200 bytes and much slack */
    NODE_WORKERS_MAX = 64,
    NODE_WORKERS_DEFAULT_MAX = 8,
    /* Nobody may be without the blocks that an open deadline is about: readings are corrected for up to
     * 60 days (limit_meter_batch_ms), deliveries proven for up to 45. */
    NODE_KEEP_DAYS_MIN = 61,
    NODE_KEEP_DAYS_MAX = 36500,
    /* So long after a deal is over its readings stay by default, for audit nodes that were down. */
    NODE_WITNESS_DAYS_DEFAULT = 1
};

/* Who is told what over HTTP (docs/adr/0038): everybody everything, or each role what is its own. */
enum node_read_access { NODE_READ_UNSAID, NODE_READ_OPEN, NODE_READ_ROLE };
enum { NODE_READ_ZONES_MAX = 64 };

enum {
    NODE_API_ORIGINS_MAX = 16,
    NODE_API_HOST_MAX = 128, /* of a host's or an origin's name, with its NUL */
    NODE_API_RATE_MAX = 1000000,
    NODE_API_ADDRESS_RATE_DEFAULT = 200,
    NODE_API_ADDRESS_BURST_DEFAULT = 2000,
    /* A key may have 64 transactions wait for a block, so more a second is of no use to it. */
    NODE_API_KEY_RATE_DEFAULT = 1000,
    NODE_API_KEY_BURST_DEFAULT = 10000,
    /* Of the node's 64: eight readers, each with as many, and none shuts the others out alone. */
    NODE_API_STREAMS_DEFAULT = 8,
    NODE_API_STREAMS_MAX = 64
};

/* Who may ask the API how often, over TLS or not, from which web pages (docs/adr/0055). */
struct node_config_api {
    char certificate[NODE_PATH_MAX]; /* empty: plain HTTP */
    char key[NODE_PATH_MAX];
    bool tls13_only;
    uint32_t origin_count; /* web pages that may read answers; none by default */
    char origins[NODE_API_ORIGINS_MAX][NODE_API_HOST_MAX];
    uint32_t host_count; /* names that the API answers to, beside addresses and localhost */
    char hosts[NODE_API_ORIGINS_MAX][NODE_API_HOST_MAX];
    uint32_t address_rate; /* requests a second; 0: unlimited */
    uint32_t address_burst;
    bool limit_loopback; /* this machine's addresses, too */
    uint32_t key_rate;
    uint32_t key_burst;
    uint32_t streams; /* of events at once: of one address, and of one key */
};

/* A solver of coupled auctions beside the node (docs/adr/0051). */
enum { NODE_SOLVER_MEMORY_MB_MAX = 1024 * 1024 };
struct node_config_solver {
    bool enabled;
    char key[NODE_PATH_MAX];     /* of the account that proposes and pays */
    char program[NODE_PATH_MAX]; /* empty: the flexsolve beside flexd */
    uint32_t memory_mb;          /* for each of its processes */
    uint32_t seconds;            /* that one auction is worked at, at most */
};

enum node_role { NODE_VALIDATOR, NODE_AUDIT };
const char *node_role_name(enum node_role role);

/* File names as written in the file; node_config_path resolves them. */
struct node_config {
    char home[NODE_PATH_MAX];
    enum node_role role;
    struct name name;
    char genesis[NODE_PATH_MAX];
    char listen_p2p[NODE_ADDRESS_MAX]; /* may be empty */
    char listen_api[NODE_ADDRESS_MAX];
    uint32_t peer_count;
    struct p2p_peer_config peers[P2P_PEERS_MAX];
    char tls_ca[NODE_PATH_MAX];
    char tls_certificate[NODE_PATH_MAX];
    char tls_key[NODE_PATH_MAX];
    enum log_level log_level;
    bool log_json;
    char log_file[NODE_PATH_MAX];          /* empty: standard error */
    char clock_offset_file[NODE_PATH_MAX]; /* empty: none */
    uint64_t map_bytes;
    uint64_t map_bytes_max;
    uint64_t map_bytes_step;  /* 0: a full map is doubled */
    uint32_t workers;         /* 0: by the number of processors */
    bool sync_snapshot;       /* an empty home begins with a snapshot; else it replays all blocks */
    uint64_t snapshot_blocks; /* a snapshot at each height that this divides; 0: none */
    uint32_t keep_days;       /* bodies younger than that stay; 0: all stay */
    uint64_t keep_blocks;     /* and so many of the last ones */
    enum node_read_access read_access; /* as written; node_config_reads_by_role says what holds */
    /* Which grid operator looks after which zone; one entry per pair. */
    uint32_t read_zone_count;
    struct node_read_zone {
        struct name participant;
        struct name zone;
    } read_zones[NODE_READ_ZONES_MAX];
    uint32_t witness_days; /* revealed readings go so long after their deal is over */
    struct node_config_api api;
    struct node_config_solver solver;
    /* The socket of the process that has the node's key (docs/spec/signer.md), and that key; empty: the
     * key is in HOME/node.key. */
    char signer_socket[NODE_PATH_MAX];
    struct public_key signer_key;
};
/* "127.…", "::1" or "localhost": nobody but this machine gets there. */
bool node_host_is_loopback(const char *host);
const char *node_read_access_name(enum node_read_access access);
/* Whether reads are given by role. Where nothing is said: unless the API listens on this machine alone. */
bool node_config_reads_by_role(const struct node_config *config);

/* All defaults; role, name and addresses are the caller's to fill. */
void node_config_init(struct node_config *config, const char *home);
/* From the bytes of flexd.json; false with the first fault in `problem`. */
bool node_config_parse(struct node_config *config, const char *home, const char *text, size_t size,
                       char problem[NODE_PROBLEM_SIZE]);
/* Reads HOME/flexd.json. */
bool node_config_load(struct node_config *config, const char *home,
                      char problem[NODE_PROBLEM_SIZE]);
/* Writes HOME/flexd.json beside itself, syncs, renames. */
/* What the file says of a setting that it leaves at its default. */
struct node_config_note {
    const char *key;
    const char *value; /* the default as JSON; NULL if nothing that could be written says it */
    const char *text;
};
extern const struct node_config_note node_config_notes[];
extern const size_t node_config_note_count;
/* Adds the notes of all keys that `root` does not have. */
void node_config_add_notes(struct cJSON *root);
bool node_config_save(const struct node_config *config, char problem[NODE_PROBLEM_SIZE]);
/* The node's public key: of the signer if there is one, else of HOME/node.key, whose seed is the caller's
 * to wipe (zero with a signer). */
bool node_config_key(struct public_key *key, struct secret_key *seed,
                     const struct node_config *config, char problem[NODE_PROBLEM_SIZE]);
/* `name` under HOME, or itself if absolute. False if it does not fit. */
bool node_config_path(char out[NODE_PATH_MAX], const struct node_config *config, const char *name);
/* "HOST:PORT" in its parts; the host may be in [brackets]. */
bool node_address_split(const char *address, char host[NODE_ADDRESS_MAX], uint16_t *port);
/* config_api.c: the "api" object, all of it or what is there; defaults beforehand. Adds nothing if all is
 * as by default. */
void node_config_api_init(struct node_config_api *api);
bool node_config_api_parse(struct node_config_api *api, const struct cJSON *root,
                           char problem[NODE_PROBLEM_SIZE]);
void node_config_api_add(struct cJSON *root, const struct node_config_api *api);
/* config_solver.c: the "solver" object, likewise. */
void node_config_solver_init(struct node_config_solver *solver);
bool node_config_solver_parse(struct node_config_solver *solver, const struct cJSON *root,
                              bool is_validator, char problem[NODE_PROBLEM_SIZE]);
void node_config_solver_add(struct cJSON *root, const struct node_config_solver *solver);
/* A name, for logs and C strings. */
const char *node_config_name(char out[NAME_SIZE + 1], const struct node_config *config);

/* Takes the home for this process until the descriptor that it returns is closed, however the process ends: by a
 * lock on the home's own directory, which stays whatever becomes of data/ and journal/. -1 with the reason; *runs
 * says that it is because another process has it, or its database. */
int node_home_take(const struct node_config *config, bool *runs, char problem[NODE_PROBLEM_SIZE]);
/* Does another process have this home, or its database? By locks, which end with the process; flexd.pid is for
 * whoever sends signals. */
bool node_home_runs(const struct node_config *config);
/* Reads a whole file of at most `limit` bytes into malloc'ed memory with a NUL behind it; NULL with
 * the reason. */
char *node_file_read(const char *path, size_t limit, size_t *size, char problem[NODE_PROBLEM_SIZE]);
/* Writes beside, syncs, renames. */
bool node_file_write(const char *path, const void *data, size_t size, unsigned mode,
                     char problem[NODE_PROBLEM_SIZE]);

/* Whether home, data/ and journal/ with their files may be read and written, as far as they are there;
 * false with the first that may not, why, and what to do. Changes nothing. */
bool node_home_check(const struct node_config *config, char problem[NODE_PROBLEM_SIZE]);

enum { GENESIS_JSON_BYTES_MAX = 256 * 1024 };
/* Reads, parses and checks the genesis; *text (may be NULL) gets the file's bytes, malloc'ed. */
bool node_genesis_load(struct genesis *genesis, struct hash *hash, char **text, size_t *size,
                       const char *path, char problem[NODE_PROBLEM_SIZE]);

#endif
