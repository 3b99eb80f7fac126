/* A meter operator in a directory of its own, with meters whose keys are known, and a ledger that is a
 * list of fingerprints: what the tests of the meter-data service share. */
#ifndef FLEX_TESTS_METER_WORLD_H
#define FLEX_TESTS_METER_WORLD_H

#include "tests/lib/temp_dir.h"
#include "tools/copy_verify.h"
#include "tools/meterd/commit.h"
#include "tools/meterd/disclose.h"
#include "tools/meterd/ingest.h"
#include "tools/meterd/registry.h"

enum { WORLD_FINGERPRINTS_MAX = 16384 };

struct meter_world {
    char home[TEMP_PATH_SIZE];
    char file[TEMP_PATH_SIZE * 2]; /* what meter_world_ingest reads; free to be written */
    struct meter_archive archive;
    struct timestamp now;
    struct cli cli; /* says nothing */
    FILE *silence;
    struct name meter_operator;
    uint32_t fingerprint_count;
    struct world_fingerprint {
        struct name batch;
        struct timestamp start;
        struct batch_record record;
    } fingerprints[WORLD_FINGERPRINTS_MAX];
};

/* Intervals of 15 minutes, groups of `group_size`, no grace, `now` as given. */
void meter_world_make(struct meter_world *world, uint32_t group_size, enum meter_zone zone,
                      int64_t modulus_wh, const char *now);
void meter_world_remove(struct meter_world *world);
struct timestamp world_time(const char *text);
struct name world_name(const char *text);

/* Registers a device with a certified meter, and a sub-meter if wished, of 11 kW. */
void meter_world_device(struct meter_world *world, const char *device, bool sub);
void meter_world_key(struct secret_key *secret, struct public_key *key, const char *device,
                     uint8_t meter);
/* "net_wh" rows: DEVICE,METER,START_MS,NET,SIGNATURE behind a header that meter_world_header writes. */
void meter_world_header(FILE *out);
void meter_world_row(FILE *out, const char *device, uint8_t meter, struct timestamp start,
                     int64_t net_wh);
/* Ingests world->file, after it was written and closed. */
void meter_world_ingest(struct meter_world *world, struct ingest_report *report,
                        const char *correction);
/* Commits all that is over, and lets the ledger take it: every queued batch is final. */
void meter_world_post(struct meter_world *world, struct commit_report *report);
struct copy_ledger meter_world_ledger(struct meter_world *world);
struct disclosed meter_world_disclose(struct meter_world *world, const char *device, uint8_t meter,
                                      const char *from, const char *until);

#endif
