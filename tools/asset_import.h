/* Import of an external device registry, signed (docs/spec/plans.md 4; feature 39; MFX III.A). */
#ifndef FLEX_TOOLS_ASSET_IMPORT_H
#define FLEX_TOOLS_ASSET_IMPORT_H

#include "contracts/actions.h"
#include "tools/cli.h"

enum { IMPORT_ROWS_MAX = 100000, IMPORT_FAULTS_SHOWN = 100 };

/* One row of the file. */
struct import_row {
    struct device_register device;
    uint32_t line;
};

/* Reads and checks the file. Every fault goes to standard error and into the result's `faults`, with file,
 * line and column: CLI_USAGE ("bad_registry") if there is any. The caller frees *rows. */
int asset_import_read(struct cli *cli, struct import_row **rows, uint32_t *count, const char *path);

/* `flex asset import` and `flex asset sign`. */
struct asset_import {
    const char *file;
    const char *signature; /* a flexsignature/1, or NULL */
    struct name signer;
};
int asset_import_run(struct cli *cli, void *arguments);
struct asset_sign {
    const char *file;
    const char *out;
};
int asset_sign_run(struct cli *cli, void *arguments);

#endif
