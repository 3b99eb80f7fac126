/* flexbench's parts: a cluster with a market on it, signed transactions, a poster, a watcher, a report
 * (docs/performance.md, "Load").
 *
 * What is measured is what a consortium would see: real flexd processes with their default durability
 * and TLS between them, transactions over HTTP, and a client that believes nothing: a transaction counts
 * when the certificate of its block and the hash of its receipt have been checked, and the receipt says
 * that it was carried out. Everything that posts and watches runs on the same machine and is counted.
 * Signing is not: wallets sign before the load begins. */
#ifndef FLEX_TOOLS_BENCH_BENCH_H
#define FLEX_TOOLS_BENCH_BENCH_H

#include "contracts/transaction.h"
#include "tools/devnet.h"
#include "verify/trust.h"

enum bench_mode { BENCH_SINGLE = 0, BENCH_BATCH = 1, BENCH_METER = 2, BENCH_MODE_COUNT = 3 };
extern const char *const bench_mode_names[BENCH_MODE_COUNT];

enum {
    BENCH_ANSWER_BYTES_MAX = 64 * 1024 * 1024, /* a block's receipts */
    BENCH_BATCH_ORDERS = 100,                  /* in one transaction of batch mode */
    BENCH_WALLETS_MAX = 20000,
    BENCH_SECONDS_MAX = 24 * 3600,
    BENCH_TRANSACTIONS_MAX = 8 * 1000 * 1000,
    BENCH_METERS_MAX = 4 * 1000 * 1000,
    BENCH_QUARTERS_MAX = 96,
    BENCH_QUARTER_MS = 15 * 60 * 1000
};

struct bench_options {
    uint32_t validators;
    uint32_t seconds;
    enum bench_mode mode;
    uint32_t rate;      /* transactions a second; 0: as many as go in */
    uint32_t accounts;  /* of the state before the load */
    uint32_t orders;    /* open ones, of the state before the load */
    uint32_t wallets;   /* that sign the load */
    uint32_t meters;    /* of meter mode: whose readings are fingerprinted */
    uint32_t devices;   /* of these, how many are on the ledger; samples are taken from them */
    uint32_t quarters;  /* quarter hours that are played */
    uint32_t samples;   /* proofs made and checked for each of them */
    const char *series; /* file for what happened over time; NULL: none */
    const char *keep;   /* where the cluster's files stay; NULL: nowhere */
    bool json;
};

struct bench_wallet {
    struct name id;
    struct name device; /* of those that sell */
    struct secret_key secret;
    struct public_key key;
    uint64_t nonce; /* of the last transaction signed */
    bool sells;
};

/* One transaction on its way. Times are of the monotonic clock, in ns. */
struct bench_transaction {
    const uint8_t *request; /* the whole HTTP request, in the list's arena */
    uint32_t size;
    uint16_t validator; /* that it is posted to */
    uint16_t actions;
    struct hash id;
    uint64_t posted_ns; /* when it was, or should have been, handed over */
    uint64_t final_ns;  /* when its receipt was verified; 0: not yet */
    uint16_t status;    /* enum contract_error */
    bool refused;       /* at the door */
};

/* Transactions in the order in which they are posted, with an index by id. */
struct bench_list {
    struct bench_transaction *items;
    uint32_t count;
    uint32_t room;
    uint32_t window; /* most that are on their way at once; 0: the poster's own */
    uint8_t *arena;
    size_t arena_used;
    size_t arena_room;
    uint32_t *index; /* open addressing; 0: empty, else place + 1 */
    uint32_t index_mask;
};

struct bench_world {
    const struct bench_options *options;
    struct cli *cli;
    struct devnet devnet;
    struct genesis genesis;
    struct hash genesis_id;
    struct proof_trust trust;
    struct bench_wallet market_operator;
    struct bench_wallet treasurer;
    struct bench_wallet dso;
    struct bench_wallet *wallets;
    struct timestamp day; /* the delivery periods' first day */
    uint64_t height;      /* watched up to here */
};

/* --- list.c */
bool bench_list_open(struct bench_list *list, uint32_t room, size_t arena_room);
void bench_list_close(struct bench_list *list);
/* Signs and appends; the list must have room. The records are read at once. */
void bench_list_add(struct bench_list *list, const struct bench_world *world,
                    struct bench_wallet *sender, uint32_t validator,
                    const struct transaction_draft_action *actions, uint32_t count);
/* NULL: not of this list. */
struct bench_transaction *bench_list_find(struct bench_list *list, const struct hash *id);

/* --- world.c: functions return an exit code and have said what is wrong. */
int bench_world_open(struct bench_world *world, const struct bench_options *options,
                     struct cli *cli, const char *directory);
/* Accounts, devices, the market, open orders. */
int bench_world_fill(struct bench_world *world);
/* The load: `count` transactions of the options' mode, signed. */
int bench_world_sign(struct bench_world *world, struct bench_list *out, uint32_t count);
void bench_world_close(struct bench_world *world);

/* Puts devices of the first seller on the ledger; `name` says what the n-th is called, `keys` has
 * their meters' keys. */
int bench_world_devices(struct bench_world *world, uint32_t count, struct name (*name)(uint32_t),
                        const struct public_key *keys);

/* --- meter.c: a meter operator's quarter hours, with the code of flexmeterd. */
struct bench_meter {
    uint64_t readings;
    uint64_t fingerprints; /* proven to be on the ledger */
    uint64_t transactions;
    uint64_t transaction_bytes;
    uint64_t proofs;      /* sampled readings that were found to be the ledger's */
    uint64_t proof_bytes; /* of all of them */
    /* CPU seconds of all quarter hours together; making and signing the files is not among them. */
    double ingest_s;
    double fingerprint_s;
    double post_s;
    double prove_s;
    double validators_s; /* all of them, meanwhile */
    double idle_share;   /* of one processor, all validators together, when nothing happens */
    double quarter_s;    /* the longest of them, by the clock */
    double posting_s;    /* all posting, by the clock */
    double p50_ms;       /* of a transaction: from its signed bytes to its proven receipt */
    double p99_ms;
    double share; /* of the machine over the quarter hours, idling included */
    int64_t anon_kb_max;
    int64_t mapped_kb_max;
    int64_t disk_bytes; /* that a validator's files grew by */
};
int bench_meter_run(struct bench_world *world, struct bench_meter *out);

/* --- run.c */
struct bench_run {
    uint64_t from_ns;       /* first transaction handed over */
    uint64_t until_ns;      /* no more were after it */
    uint64_t count_from_ns; /* what was final between these two counts */
    uint64_t count_until_ns;
    uint32_t posted;
    uint32_t final_ok;
    uint32_t final_failed;
    uint32_t refused;
    uint32_t unfinished;
    int64_t anon_kb_max; /* of the largest validator */
    int64_t mapped_kb_max;
    char refusal[160]; /* the first refusal at the door, as answered; empty: none */
    char problem[160];
};
/* Posts the list, in its order, and watches until all is final or nothing has been for half a minute.
 * `seconds` 0: as long as it takes. */
int bench_run(struct bench_world *world, struct bench_list *list, uint32_t seconds, uint32_t rate,
              struct bench_run *out);

uint64_t bench_now_ns(void);
/* Ends a run soon; for signal handlers. */
void bench_interrupt(int signal);

/* --- series.c: NULL if the file cannot be written. */
struct bench_series;
struct bench_series *bench_series_open(struct bench_world *world, const struct bench_list *list,
                                       const char *path);
/* Writes a line if it is time for one. */
void bench_series_step(struct bench_series *series, uint64_t now);
void bench_series_close(struct bench_series *series);

/* --- post.c: a thread that hands over. */
struct bench_poster;
struct bench_poster *bench_post_begin(struct bench_world *world, struct bench_list *list,
                                      uint32_t seconds, uint32_t rate);
/* How many are final, so that it keeps no more than a window on the way. */
void bench_post_final(struct bench_poster *poster, uint32_t final);
/* True once all are handed over, or the time is up. */
bool bench_post_ended(struct bench_poster *poster);
/* Hands over no more; what is on its way gets its answer. */
void bench_post_stop(struct bench_poster *poster);
/* Waits for the thread, fills its part of *out, frees. */
void bench_post_end(struct bench_poster *poster, struct bench_run *out);

/* --- watch.c: the chain, block by block, verified. */
struct bench_watch;
struct bench_watch *bench_watch_open(struct bench_world *world);
/* Takes the next blocks if there are any; their transactions in `list` get their times and status. How
 * many became final, or -1 with the reason. */
int bench_watch_step(struct bench_watch *watch, struct bench_list *list, char problem[160]);
void bench_watch_close(struct bench_watch *watch);

/* --- sample.c */
/* Memory of the validators: the largest of each. */
void bench_sample_memory(const struct bench_world *world, int64_t *anon_kb, int64_t *mapped_kb);
/* Open descriptors of the validator that has most. */
uint32_t bench_sample_descriptors(const struct bench_world *world);
/* Bytes that the first validator's files take on disk. */
int64_t bench_sample_disk(const struct bench_world *world);
/* CPU time. */
enum { BENCH_STAGES_MAX = 48, BENCH_STAGE_NAME = 24 };
struct bench_stages {
    uint32_t count;
    struct bench_stage {
        char name[BENCH_STAGE_NAME];
        double seconds;
    } stages[BENCH_STAGES_MAX];
};
struct bench_sample {
    uint64_t taken_ns;           /* bench_now_ns */
    struct bench_stages threads; /* of the validators, by name, and flexbench */
    struct bench_stages stages;  /* that the validators count: flexd_stage_us{stage=} */
    double processes_s;          /* the same processes as a whole */
    double busy_s;               /* all processors of the machine, by the kernel's count */
    double idle_s;
    double
        sent_bytes; /* by the validators over their links (flexd_frame_bytes_sent); 0: not counted */
};
/* 0: there is none. */
double bench_stage_s(const struct bench_stages *stages, const char *name);
void bench_sample_take(const struct bench_world *world, struct bench_sample *out);
/* CPU time of the validators' processes, whatever their threads. */
double bench_sample_validators_s(const struct bench_world *world);
/* Thread CPU time per signature, over distinct ones, in us. */
double bench_verify_us(const struct bench_list *list, uint32_t count);

/* --- report.c */
struct bench_figures {
    double verify_us;
    double transactions_s;
    double actions_s;
    double p50_ms;
    double p99_ms;
    double bytes_per_transaction;
    double validator_cpu;        /* of one validator, as share of a processor */
    double validator_us;         /* of its CPU time, for each transaction */
    double sent_per_transaction; /* bytes that one validator sends to others */
    uint32_t proofs;
};
/* Rates and latencies of what became final within the counted time. False: no memory. */
bool bench_report_rates(struct bench_figures *out, const struct bench_list *list,
                        const struct bench_run *run);
/* What the machine could do if it did nothing but verify each signature on each validator. */
double bench_bound_s(const struct bench_options *options, double verify_us);
void bench_report_load(const struct bench_options *options, const struct bench_figures *figures,
                       const struct bench_run *run);
void bench_report_meter(const struct bench_options *options, const struct bench_meter *meter,
                        double verify_us);
/* Seconds between two samples: what processor time between them is a share of. */
double bench_sample_seconds(const struct bench_sample *before, const struct bench_sample *after);
void bench_report_stages(FILE *out, const struct bench_sample *before,
                         const struct bench_sample *after);

/* --- http.c: one connection, kept alive; blocking unless said otherwise. */
struct bench_http {
    int descriptor;
    size_t filled;
    size_t room;
    uint8_t *bytes; /* the answer, headers and all */
    size_t body;    /* offset; 0 while the headers are not whole */
    size_t length;  /* of the body */
};
bool bench_http_open(struct bench_http *http, uint16_t port, size_t room, bool blocking);
void bench_http_close(struct bench_http *http);
/* Reads what is there: 1 an answer is whole, 0 not yet, -1 the connection or the answer is broken. */
int bench_http_read(struct bench_http *http, int *status);
/* For the next answer. */
void bench_http_next(struct bench_http *http);
/* GET and its answer; the status, -1 if broken. Blocking connections only. */
int bench_http_get(struct bench_http *http, const char *path);

#endif
