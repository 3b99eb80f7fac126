/* Openings held against the ledger: by a DSO before it issues, by a regulator afterwards (docs/spec/privacy.md
 * 5). Every record that a check rests on is proven; the two lists that none can prove whole are named. */
#ifndef FLEX_TOOLS_ALIAS_LEDGER_H
#define FLEX_TOOLS_ALIAS_LEDGER_H

#include "tools/alias.h"
#include "tools/session.h"

enum { ALIAS_CROWD_DEFAULT = 5, ALIAS_POWER_STEP_W = 500 };

/* What is wrong with one opening, as the ledger stands; *problem stays NULL if nothing is. The words of
 * alias_problem, and
 *   unknown_device   the device is not on the ledger, or is an alias itself
 *   unknown_manager  the manager is not on the ledger
 *   not_usable       (unless `issued`) the device is suspended or retired
 *   sold_twice       the device sells under its own name within the validity
 *   carved_twice     another of these openings is of the same device and time
 *   not_issued       (if `issued`) the ledger has no such alias
 *   differs          (if `issued`) the ledger has another one of that name
 * Returns a CLI_ code: anything but CLI_DONE means that it could not be found out. */
int alias_check(struct session *session, const struct alias_list *all,
                const struct alias_opening *opening, bool issued, const char **problem);

/* How many of the registry's devices, by a node's word, the alias could be one of: of the manager, in that
 * zone, on that feeder, of that type, with that much power. */
int alias_crowd(struct session *session, const struct cJSON *assets,
                const struct alias_opening *opening, uint32_t *out);

/* The days on which anything of the device was sold, under its own name or one of these aliases, by a
 * node's list of commitments; the caller frees. */
int alias_activated_days(struct session *session, const struct alias_list *all,
                         const struct name *device, int64_t **days, uint32_t *count);

#endif
