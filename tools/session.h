/* What commands share when they talk to a node: the connection, the trusted genesis, the wallet's
 * key, and fetching things with every failure turned into the right exit code.
 *
 * Functions that return int return an exit code, CLI_DONE when all is well; on any other they have
 * said why (cli_fail). */
#ifndef FLEX_TOOLS_SESSION_H
#define FLEX_TOOLS_SESSION_H

#include "contracts/genesis.h"
#include "tools/cli.h"
#include "tools/client.h"
#include "verify/proof.h"

struct session {
    struct cli *cli;
    struct client *client;
    bool filtered; /* the last list held only what this wallet may see */
    bool has_trust;
    struct proof_trust trust;
    struct genesis genesis;
};

/* Opens the connection (nothing is sent yet). Close it in any case. */
int session_open(struct session *session, struct cli *cli);
void session_close(struct session *session);
/* Loads the genesis file of --genesis or HOME/genesis.json; CLI_USAGE if there is none. */
int session_trust(struct session *session);
/* Without a session. */
int session_load_genesis(struct cli *cli, struct genesis *out);

/* GET, the answer as JSON; the caller deletes it. 404 and other refusals are CLI_REFUSED. */
int session_get(struct session *session, struct cJSON **out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The whole list behind GET /v1/PLURAL, page by page, as an array the caller deletes; every record at
 * most once. */
int session_list(struct session *session, struct cJSON **out, const char *plural);
enum { SESSION_LIST_MAX = 1000000 };
/* Turns an answer that is not 200 or 202 into an exit code and a message. */
int session_refusal(struct session *session, const struct client_answer *answer);

/* The record at KIND/ID as proven by the node against the trusted genesis; with --no-verify as the
 * node tells it. *absent if there is none. `record` has info->codec->struct_size bytes. Views in it
 * point into *proof, which the caller releases (it is zero under --no-verify: such records must not
 * hold views, and none of the state's does). */
int session_record(struct session *session, const char *kind, const char *id, void *record,
                   bool *absent, struct proof *proof);
/* Fetches and verifies a proof. 503 (no certificate yet) is tried again until the timeout. `sealed`
 * may be NULL; else it receives the file's text, which the caller frees. */
int session_proof(struct session *session, const char *kind, const char *id, struct proof *out,
                  char **sealed);

/* Where the wallet's key is. */
bool session_key_path(const struct cli *cli, char *out, size_t size);
/* Reads the public key without a passphrase. */
int session_public_key(struct cli *cli, struct public_key *out);
/* Asks for a passphrase if one is needed. The caller wipes the secret. */
int session_secret_key(struct cli *cli, struct secret_key *secret, struct public_key *key);
/* How long ago `time` was; 0 if the chain's time is simulated, so that nobody here can tell. */
int64_t session_age_ms(const struct genesis *genesis, struct timestamp time, int64_t now_ms);
/* Is a node's clock close enough to ours to compute an expiry from? Always, if the chain's time is
 * simulated. */
bool session_time_is_plausible(const struct genesis *genesis, int64_t node_ms, int64_t now_ms);
/* CLI_NO_NODE with "node_clock" if it isn't. After session_trust. */
int session_check_node_time(struct session *session, int64_t node_ms);
/* Who has that key on the ledger, by the node's word. */
int session_participant_of(struct session *session, const struct public_key *key, struct name *out);
/* `given` if it is not empty, else the participant that has this wallet's key, proven unless the
 * command line says not to verify. CLI_UNPROVEN if the node named another. */
int session_participant(struct session *session, struct name *out, const struct name *given);

#endif
