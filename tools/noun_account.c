/* flex account: the trust anchor, and a participant's balance.
 *
 * Invariant: a genesis file that is trusted already is never replaced by a different one. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "tools/nouns.h"

enum { GENESIS_TEXT_MAX = 1024 * 1024 };

struct trust {
    const char *file;
};

static const struct cli_option trust_options[] = {
    {"FILE", CLI_FILE, offsetof(struct trust, file), "a genesis file from somebody you believe",
     CLI_POSITIONAL, NULL, NULL, 0},
};

static int keep_genesis(struct cli *cli, const char *path, const char *text, size_t size)
{
    size_t old_size;
    char *old = files_read(path, GENESIS_TEXT_MAX, &old_size);
    bool same = old != NULL && old_size == size && memcmp(old, text, size) == 0;
    bool other = old != NULL && !same;
    free(old);
    if (other) {
        return cli_fail(cli, CLI_USAGE, "trusts_another",
                        "%s is there and differs; use another --home for another ledger", path);
    }
    if (!same && (!files_make_directory(cli->home) || !files_write(path, text, size, 0644))) {
        return cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", path, strerror(errno));
    }
    return CLI_DONE;
}

static int run_trust(struct cli *cli, void *arguments)
{
    const struct trust *wanted = arguments;
    static struct genesis genesis;
    char path[FILES_PATH_SIZE];
    char problem[160];
    char hex[2 * HASH_SIZE + 1];
    char name[NAME_SIZE + 1];
    struct proof_trust trust;
    size_t size;
    char *text = files_read(wanted->file, GENESIS_TEXT_MAX, &size);
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", wanted->file, strerror(errno));
    }
    int status = CLI_DONE;
    if (!genesis_from_json(&genesis, text, size, problem)) {
        status = cli_fail(cli, CLI_USAGE, "bad_genesis", "%s: %s", wanted->file, problem);
    } else if (!proof_trust_from_genesis(&trust, &genesis)) {
        const char *why = genesis_problem(&genesis);
        status = cli_fail(cli, CLI_USAGE, "bad_genesis", "%s: %s", wanted->file,
                          why != NULL ? why : "its validators are not a valid set");
    } else if (!files_join(path, cli->home, "genesis.json")) {
        status = cli_fail(cli, CLI_USAGE, "bad_path", "the home directory's path is too long");
    } else {
        status = keep_genesis(cli, path, text, size);
    }
    free(text);
    if (status == CLI_DONE) {
        hex_encode(hex, trust.genesis.bytes, HASH_SIZE);
        cJSON_AddStringToObject(cli->result, "chain", name_to_text(name, &genesis.chain));
        cJSON_AddStringToObject(cli->result, "genesis", hex);
        cJSON_AddNumberToObject(cli->result, "validators", trust.set.count);
        noun_say_result(cli);
    }
    return status;
}

struct show {
    struct name who;
};

static const struct cli_option show_options[] = {
    {"NAME", CLI_NAME, offsetof(struct show, who), "whose; without it, this wallet's", CLI_WORD,
     NULL, NULL, 0},
};

/* Balance and participant record, each by its own proof. */
static int show_proven(struct session *session, const char *name)
{
    struct cli *cli = session->cli;
    struct participant_record participant;
    struct pot_record pot = {.amount = money_of(0)};
    struct proof proof = {0}, pot_proof = {0};
    bool absent = false, no_pot = false;
    char pot_id[NAME_SIZE + 16];
    snprintf(pot_id, sizeof pot_id, "balance/%s", name);
    int status = session_record(session, "participant", name, &participant, &absent, &proof);
    if (status == CLI_DONE && absent) {
        status =
            cli_fail(cli, CLI_REFUSED, "unknown_participant", "there is no participant %s", name);
    }
    if (status == CLI_DONE) {
        status = session_record(session, "pot", pot_id, &pot, &no_pot, &pot_proof);
    }
    if (status == CLI_DONE) {
        cJSON_AddStringToObject(cli->result, "id", name);
        json_add_i64(cli->result, "balance_ueur", no_pot ? 0 : money_ueur(pot.amount));
        noun_add_record(cli, state_kind_by_name("participant")->codec, &participant);
        json_add_u64(cli->result, "height", pot_proof.header.height);
        cJSON_AddBoolToObject(cli->result, "proof_verified", true);
    }
    proof_release(&proof);
    proof_release(&pot_proof);
    return status;
}

static int show_told(struct session *session, const char *name)
{
    struct cJSON *account;
    int status = session_get(session, &account, "/v1/accounts/%s", name);
    if (status == CLI_DONE) {
        noun_merge(session->cli->result, account);
        cJSON_AddBoolToObject(session->cli->result, "proof_verified", false);
    }
    return status;
}

static int run_show(struct cli *cli, void *arguments)
{
    const struct show *wanted = arguments;
    struct session session;
    struct name who;
    char name[NAME_SIZE + 1];
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_participant(&session, &who, &wanted->who);
    }
    if (status == CLI_DONE) {
        name_to_text(name, &who);
        status = cli->no_verify ? show_told(&session, name) : show_proven(&session, name);
    }
    session_close(&session);
    if (status == CLI_DONE) {
        noun_say_result(cli);
    }
    return status;
}

static int run_list(struct cli *cli, void *arguments)
{
    (void)arguments;
    return noun_list(cli, "accounts", "id balance_ueur roles status");
}

static const struct cli_command commands[] = {
    {.verb = "trust",
     .summary = "keep a genesis file as the anchor of every proof",
     .teach = "Compare the printed hash with one that reached you on another way.\n"
              "  flex account trust genesis.json",
     .options = trust_options,
     .option_count = 1,
     .arguments_size = sizeof(struct trust),
     .run = run_trust},
    {.verb = "show",
     .summary = "a balance, proven",
     .options = show_options,
     .option_count = 1,
     .arguments_size = sizeof(struct show),
     .run = run_show},
    {.verb = "list", .summary = "all balances", .run = run_list},
};

const struct cli_noun account_noun = {"account", "the trust anchor, and balances", commands,
                                      sizeof commands / sizeof commands[0]};
