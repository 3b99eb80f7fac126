/* The files that meter data travel in, off the chain (market-rules 9; D5.5 IOTA verification):
 *
 *   flexreadings/1  what meters hand to the meter operator: signed readings
 *   flexbatch/1     what the meter operator keeps of one batch: readings, salts, revision, root
 *   flexreveal/1    what it gives to a party of a deal: one device's readings of one period with
 *                   salts and Merkle paths, and nothing about anybody else
 *
 * All readings in them are codec records as JSON, so they are as strict as the wire. */
#ifndef FLEX_TOOLS_REVEAL_H
#define FLEX_TOOLS_REVEAL_H

#include "contracts/delivery.h"
#include "tools/cli.h"

enum { REVEAL_BATCH_READINGS_MAX = 65536 };

struct meter_batch_entry {
    struct meter_reading reading;
    uint8_t salt[READING_SALT_SIZE];
};

/* One batch as its operator keeps it. Entries are sorted by device, no two equal. */
struct meter_batch_file {
    struct name meter_operator;
    struct name id;
    struct timestamp interval_start;
    struct duration interval;
    uint32_t revision;
    struct hash root;
    uint32_t count;
    struct meter_batch_entry *entries; /* the owner frees */
};

/* The tables of single records in those files. */
const struct codec_record *reveal_reading_codec(void); /* struct revealed_reading */

/* Reads the readings of a flexreadings/1 file and appends them to *readings (realloc'd). */
int reveal_read_readings(struct cli *cli, struct meter_reading **readings, uint32_t *count,
                         const char *path);
/* Adds readings to such a file, or makes it. */
int reveal_append_readings(struct cli *cli, const char *path, const struct meter_reading *readings,
                           uint32_t count);

/* Root over the entries' leaves. False if memory ran out. */
bool reveal_batch_root(struct hash *out, const struct meter_batch_file *batch);
int reveal_write_batch(struct cli *cli, const char *path, const struct meter_batch_file *batch);
/* Refuses a file whose root is not that of its entries. */
int reveal_read_batch(struct cli *cli, struct meter_batch_file *out, const char *path);
void reveal_batch_release(struct meter_batch_file *batch);
/* Entry `index` with its way to the root. False if memory ran out or the path is too long. */
bool reveal_entry(struct revealed_reading *out, const struct meter_batch_file *batch,
                  uint32_t index);

/* Whether the file says of itself that it is a flexreveal/1. */
bool reveal_is_reveal(const char *path);
int reveal_write(struct cli *cli, const char *path, const struct name *device,
                 const struct revealed_reading *readings, uint32_t count);
/* At most LIMIT_INTERVALS_PER_PERIOD x 32 readings; the caller frees. */
int reveal_read(struct cli *cli, struct revealed_reading **out, uint32_t *count, const char *path);

#endif
