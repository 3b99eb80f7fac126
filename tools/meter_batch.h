/* The meter operator's work: batches out of signed readings, and what a party gets to see of them
 * (market-rules 9; tools/reveal.h has the files).
 *
 * HOME/meter-master.key is the root of every salt; HOME/batches/ID/START.REVISION.json is what was
 * posted. Neither ever leaves the meter operator. */
#ifndef FLEX_TOOLS_METER_BATCH_H
#define FLEX_TOOLS_METER_BATCH_H

#include "tools/cli.h"
#include "tools/reveal.h"

enum { METER_SECRET_SIZE = 32, METER_BATCHES_PER_TX = 96 };

struct meter_post {
    struct name id;
    const char *reason; /* NULL unless a correction is posted */
    const char *const *files;
    size_t file_count;
};

/* One batch per interval in the files, posted in as few transactions as they need. */
int meter_batch_post(struct cli *cli, const struct meter_post *post);

struct meter_reveal {
    struct name id;
    struct name device;
    int64_t from_ms;
    int64_t until_ms; /* not included */
    const char *out;
};
int meter_batch_reveal(struct cli *cli, const struct meter_reveal *reveal);

/* The salt of one reading: a keyed function of interval and revision, over a secret per device and
 * day, which is itself a keyed function of the master secret. Knowing some salts tells nothing about
 * others. */
void meter_salt(uint8_t out[READING_SALT_SIZE], const uint8_t master[METER_SECRET_SIZE],
                const struct name *device, struct timestamp interval_start, uint32_t revision);
/* Reads HOME/meter-master.key, or makes it. */
int meter_master(struct cli *cli, uint8_t out[METER_SECRET_SIZE]);

#endif
