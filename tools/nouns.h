/* The nouns of flex, one file each (tools/noun_*.c), and what several of them share. */
#ifndef FLEX_TOOLS_NOUNS_H
#define FLEX_TOOLS_NOUNS_H

#include "contracts/actions.h"
#include "tools/cli.h"
#include "tools/session.h"
#include "tools/submit.h"

/* All of them (tools/noun_list.c). */
extern const struct cli_noun *const flex_nouns[];
extern const size_t flex_noun_count;
extern const struct cli_noun account_noun;
extern const struct cli_noun alias_noun;
extern const struct cli_noun asset_noun;
extern const struct cli_noun audit_noun;
extern const struct cli_noun bill_noun;
extern const struct cli_noun block_noun;
extern const struct cli_noun coupled_noun;
extern const struct cli_noun deal_noun;
extern const struct cli_noun devnet_noun;
extern const struct cli_noun dispatch_noun;
extern const struct cli_noun forecast_noun;
extern const struct cli_noun governance_noun;
extern const struct cli_noun key_noun;
extern const struct cli_noun market_noun;
extern const struct cli_noun meter_noun;
extern const struct cli_noun network_noun;
extern const struct cli_noun node_noun;
extern const struct cli_noun order_noun;
extern const struct cli_noun participant_noun;
extern const struct cli_noun proof_noun;
extern const struct cli_noun snapshot_noun;
extern const struct cli_noun token_noun;
extern const struct cli_noun tx_noun;

/* Lists every record of a kind: the result gets `items`, people a table of `columns`. Each record is
 * proven, unless there are more than NOUN_LIST_PROVEN_MAX; `proof_verified` says so. */
enum { NOUN_LIST_PROVEN_MAX = 1000 };
int noun_list(struct cli *cli, const char *plural, const char *columns);
/* Only those that `keep` says yes to, as the node tells them and again as they are proven. `self` is set to
 * the wallet's own participant first, if it is not NULL. */
/* A filter by a market that there is not would find nothing, and say so as if all were well. */
int noun_check_market(struct cli *cli, const struct name *market);
typedef bool (*noun_keep_fn)(const struct cJSON *record, const void *context);
int noun_list_some(struct cli *cli, const char *plural, const char *columns, noun_keep_fn keep,
                   const void *context, struct name *self);
/* Shows one record, proven against the genesis file: the result gets the record's fields, `height`
 * and `proof_verified`; an absent record is CLI_REFUSED with the code `absent_code`. */
int noun_show(struct cli *cli, const char *kind, const char *id, const char *absent_code);
/* Fetches one record for a command that builds on it, proven unless --no-verify. Absent: CLI_REFUSED
 * with `absent_code`, and "ID: `absent_reason`". */
int noun_fetch(struct cli *cli, const char *kind, const char *id, void *record,
               const char *absent_code, const char *absent_reason);
/* Adds the members of `record` to the result. */
void noun_add_record(struct cli *cli, const struct codec_record *codec, const void *record);
/* Prints the result for people (nothing under --json). */
void noun_say_result(struct cli *cli);
/* Moves the members of `from` to the end of `to` and deletes it; NULL is fine. */
void noun_merge(struct cJSON *to, struct cJSON *from);
/* The height of the newest snapshot that the node has; CLI_REFUSED if there is none. */
int noun_newest_snapshot(struct session *session, uint64_t *height);
/* A one-word option for commands that take just an id. */
struct noun_id {
    const char *id;
};
extern const struct cli_option noun_id_option[1];

#endif
