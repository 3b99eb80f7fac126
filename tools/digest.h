/* Daily digests in the tools: fetching, checking and telling of signed notes (docs/spec/digest.md).
 *
 * Functions that return int return an exit code, as those of session.h. */
#ifndef FLEX_TOOLS_DIGEST_H
#define FLEX_TOOLS_DIGEST_H

#include "tools/session.h"
#include "verify/digest.h"

enum { DIGEST_WITNESSES_MAX = 64 };

/* The note of a day ("2025-01-15") from the node; the caller frees. Not verified. */
int digest_fetch(struct session *session, const char *date, char **text, size_t *size);
/* The newest day of which the node has a digest; CLI_REFUSED with "no_digest" if there is none. */
int digest_newest(struct session *session, char date[DIGEST_DATE_SIZE]);
/* CLI_UNPROVEN with "digest_failed" if it does not verify; `what` names it. */
int digest_check(struct cli *cli, struct digest *out, const struct proof_trust *trust,
                 const struct digest_rules *rules, const char *text, size_t size, const char *what);
/* Adds what a verified digest says to an object. */
void digest_add(struct cJSON *object, const struct digest *digest);

/* `flex audit digest get DAY | verify FILE`. */
struct digest_command {
    uint8_t action;
    const char *what;
    const char *out;
    const char *witnesses;
    bool allow_unknown;
};
enum { DIGEST_OPTIONS = 5 };
extern const struct cli_option digest_options[DIGEST_OPTIONS];
int digest_run(struct cli *cli, void *arguments);

#endif
