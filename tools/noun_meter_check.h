/* Commands of flex meter and flex deal that hold readings and trades against the ledger. */
#ifndef FLEX_TOOLS_NOUN_METER_CHECK_H
#define FLEX_TOOLS_NOUN_METER_CHECK_H

#include "tools/cli.h"

enum {
    METER_FETCH_OPTIONS = 9,
    METER_ERASE_OPTIONS = 6,
    METER_VERIFY_OPTIONS = 1,
    METER_SETTLE_OPTIONS = 2,
    METER_ASK_SIZE = 256 /* of the arguments of each */
};
extern const struct cli_option meter_fetch_options[METER_FETCH_OPTIONS];
extern const struct cli_option meter_erase_options[METER_ERASE_OPTIONS];
extern const struct cli_option meter_verify_options[METER_VERIFY_OPTIONS];
extern const struct cli_option meter_settle_options[METER_SETTLE_OPTIONS];
int meter_fetch_run(struct cli *cli, void *arguments);
int meter_erase_run(struct cli *cli, void *arguments);
int meter_verify_run(struct cli *cli, void *arguments);
int meter_settle_run(struct cli *cli, void *arguments);
int deal_verify_run(struct cli *cli, void *arguments);

#endif
