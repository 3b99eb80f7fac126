/* Aliases off the ledger: the files that hold their openings, the checks that whoever knows the device can
 * make, and what the meter operator writes in place of the device's readings (docs/spec/privacy.md).
 *
 *   flexalias/1   openings: what each alias is an alias of, with the nonce that its commitment hides
 *
 * Such a file is what links a household to its deals: manager, DSO and meter operator keep it like the
 * readings themselves, with mode 0600, and show it to a regulator alone. */
#ifndef FLEX_TOOLS_ALIAS_H
#define FLEX_TOOLS_ALIAS_H

#include "contracts/alias.h"
#include "contracts/delivery.h"
#include "tools/cli.h"

enum { ALIAS_LIST_MAX = 8192, ALIAS_MASTER_SIZE = 32 };

struct alias_list {
    uint32_t count;
    struct alias_opening *items; /* the owner releases */
};
void alias_list_release(struct alias_list *list);
/* Appends a file's openings to *list. A CLI_ code with a message said. */
int alias_read(struct cli *cli, struct alias_list *list, const char *path);
int alias_write(struct cli *cli, const char *path, const struct alias_list *list);
void alias_add(struct alias_list *list, const struct alias_opening *opening);
/* NULL if there is none of that name. */
const struct alias_opening *alias_find(const struct alias_list *list, const struct name *alias);

/* A request for an alias of `device`, with a name and a nonce drawn from the operating system; meter keys
 * and signature are still zero. `issue` gives all but name and commitment. */
void alias_draw(struct alias_opening *out, const struct alias_issue *issue,
                const struct name *device);
/* The secret of an alias's own meter key: a keyed function of the meter operator's master secret, so that
 * nothing more has to be kept, and no two aliases' keys have anything in common. */
void alias_meter_secret(struct secret_key *out, const uint8_t master[ALIAS_MASTER_SIZE],
                        const struct name *alias, enum meter_kind meter);

/* Why an opening is none, or is of what may not be; NULL if all is well. One of
 *   wrong_commitment  the commitment does not open to that device
 *   bad_signature     the manager has not asked for that
 *   wrong_place       zone, feeder or type are not the device's
 *   too_large         more power, capacity or connection than the device has
 *   not_managers      the manager neither owns nor manages the device for the whole validity */
const char *alias_problem(const struct alias_opening *opening, const struct hash *genesis,
                          const struct public_key *manager_key, const struct device_record *device);
/* Two aliases of one device that are valid at one time: its power could be sold, and its readings be paid
 * for, twice. */
bool alias_carves_twice(const struct alias_opening *a, const struct alias_opening *b);

/* What the meter operator puts in place of a device's readings for one deal of an alias. */
struct alias_task {
    const struct alias_opening *opening;
    const struct deal_record *deal;
    const struct market_create *terms;
    const struct device_record *device; /* of the device, whose keys signed the readings */
    const struct meter_reading *readings;
    uint32_t reading_count;
    /* Days since the epoch on which something of the device was sold, by whatever alias. */
    const int64_t *activated;
    uint32_t activated_count;
};
/* One reading per market time unit, under the alias's name and not signed yet: the device's own readings,
 * or under a baseline what was delivered by them. NULL if all is well, or
 *   not_its_deal         the deal is another alias's
 *   reading_missing      one of the readings that are needed is not there
 *   bad_meter_signature  one of them is not signed by the device's meter
 *   no_baseline          too few comparable days have all their readings
 *   bad_reading          arithmetic overflow */
const char *alias_derive(struct meter_reading out[LIMIT_INTERVALS_PER_PERIOD], uint32_t *count,
                         const struct alias_task *task);

#endif
