/* Declared schedules: what a seller commits to by a hash before gate closure and reveals in the proof
 * of delivery (market-rules 9). Kept under HOME/schedules/HASH.json with their salt: whoever loses
 * that file can't prove delivery any more. */
#ifndef FLEX_TOOLS_SCHEDULE_H
#define FLEX_TOOLS_SCHEDULE_H

#include "contracts/delivery.h"
#include "tools/cli.h"

struct schedule {
    struct name device;
    struct timestamp period_start;
    uint8_t salt[SCHEDULE_SALT_SIZE];
    uint32_t count;
    struct energy units[LIMIT_INTERVALS_PER_PERIOD];
};

/* One net consumption in Wh per market time unit, separated by blanks, commas or line ends; lines
 * that start with '#' are comments. 0 or a CLI_ exit code with a message said. */
int schedule_read_units(struct cli *cli, struct schedule *out, const char *path);
void schedule_compute_hash(struct hash *out, const struct schedule *schedule);
/* Writes HOME/schedules/HASH.json; the salt must have been drawn. */
int schedule_keep(struct cli *cli, const struct schedule *schedule);
/* By hash from HOME, or from `path` if it is not NULL; checks that it has that hash. */
int schedule_find(struct cli *cli, struct schedule *out, const struct hash *hash, const char *path);

#endif
