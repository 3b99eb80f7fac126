/* The steps of the service, as its commands take them one by one and `serve` takes them in turn. Each
 * returns CLI_DONE or an exit code with the reason said, and adds to the result what it did. */
#ifndef FLEX_TOOLS_METERD_SERVICE_H
#define FLEX_TOOLS_METERD_SERVICE_H

#include "tools/meterd/commit.h"
#include "tools/meterd/ingest.h"
#include "tools/meterd/post.h"
#include "tools/meterd/server.h"

struct service_options {
    const char *address;
    uint16_t port;
    int64_t every_ms;
    const char *keys;
    uint32_t threads;
};

/* The node's time, which may be simulated. */
int service_ledger_time(struct cli *cli, struct timestamp *out);
int service_registry(struct cli *cli, struct meter_archive *archive);
struct ingest_sum {
    uint64_t refused;   /* rows of all files so far */
    bool archive_fault; /* the last file failed for the archive's or the disk's sake */
};

/* Tells each refused row, and counts them up. */
int service_ingest(struct cli *cli, struct meter_archive *archive, const char *path,
                   const struct ingest_options *options, struct ingest_sum *sum);
int service_commit(struct cli *cli, struct meter_archive *archive, struct timestamp now, bool all);
/* With the wallet's key, opened for this once, or with `secret` where that is not NULL. One process at a
 * time; another that posts is CLI_DONE with "posting_elsewhere" in the result. */
int service_post(struct cli *cli, struct meter_archive *archive, const struct secret_key *secret);
int service_status(struct cli *cli, struct meter_archive *archive);
/* `device` NULL: of all. `day` is counted in the zone of the settings. */
int service_gaps(struct cli *cli, struct meter_archive *archive, int64_t day,
                 const struct name *device, uint8_t meter);
/* Until SIGTERM or SIGINT. */
int service_run(struct cli *cli, struct meter_archive *archive,
                const struct service_options *options);

#endif
