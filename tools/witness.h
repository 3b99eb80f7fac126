/* `flex audit witness`: whoever watches the ledger signs a day's digest once it is shown to continue
 * the last one it signed (docs/spec/digest.md 3; fault scenario 83).
 *
 *   DIR/witness.key            name, public key, seed; made by the first run, mode 0600
 *   DIR/last.note              the last digest that was signed, with the signature
 *   DIR/conflict-DATE-*.note   digests of two histories, kept as evidence
 *   DIR/lock                   one run at a time */
#ifndef FLEX_TOOLS_WITNESS_H
#define FLEX_TOOLS_WITNESS_H

#include "tools/cli.h"

struct witness_command {
    const char *state;
    const char *note;
    const char *consistency;
    const char *name;
    const char *out;
};
enum { WITNESS_OPTIONS = 5 };
extern const struct cli_option witness_options[WITNESS_OPTIONS];
int witness_run(struct cli *cli, void *arguments);

#endif
