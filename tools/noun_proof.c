/* flex proof: statements about the ledger that verify with nothing but the genesis file.
 *
 * `get` verifies before it writes, so a file that it made is good; `verify` needs no node. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/files.h"
#include "base/json.h"
#include "tools/nouns.h"

struct get {
    const char *kind;
    const char *id;
    const char *out;
};

static const struct cli_option get_options[] = {
    {"KIND", CLI_TEXT, offsetof(struct get, kind),
     "account, deal, order, asset, market, participant, batch, digest, supply, transaction, block, "
     "block_end, log ...",
     CLI_POSITIONAL, NULL, NULL, 0},
    {"ID", CLI_TEXT, offsetof(struct get, id),
     "a name, number, hash or height; parts joined by '/', as in log OLD/NEW", CLI_POSITIONAL, NULL,
     NULL, 0},
    {"out", CLI_FILE, offsetof(struct get, out), "the file to write", CLI_REQUIRED, NULL, NULL, 0},
};

/* Adds what a verified proof states to the result. */
static int state_proof(struct cli *cli, const struct proof *proof)
{
    struct cJSON *said = proof_to_json(proof);
    if (said == NULL) {
        return cli_fail(cli, CLI_UNPROVEN, "proof_failed",
                        "the record is proven, but this version does not know its form");
    }
    cJSON_AddBoolToObject(cli->result, "ok", true);
    noun_merge(cli->result, said);
    return CLI_DONE;
}

static int run_get(struct cli *cli, void *arguments)
{
    const struct get *wanted = arguments;
    struct session session;
    struct proof proof;
    char *sealed = NULL;
    char id[PROOF_ID_SIZE];
    bool account = strcmp(wanted->kind, "account") == 0;
    const char *kind = account ? "pot" : wanted->kind;
    const struct state_kind_info *info = state_kind_by_name(kind);
    bool other = strcmp(kind, "transaction") == 0 || strcmp(kind, "block") == 0 ||
                 strcmp(kind, "block_end") == 0 || strcmp(kind, "log") == 0;
    if (info == NULL && !other) {
        return cli_fail(cli, CLI_USAGE, "unknown_kind", "there is no kind '%s'", kind);
    }
    kind = info != NULL ? info->name : kind;
    snprintf(id, sizeof id, "%s%.120s", account ? "balance/" : "", wanted->id);
    int status = session_open(&session, cli);
    if (status == CLI_DONE) {
        status = session_proof(&session, kind, id, &proof, &sealed);
    }
    session_close(&session);
    if (status != CLI_DONE) {
        return status;
    }
    if (!files_write(wanted->out, sealed, strlen(sealed), 0644)) {
        status = cli_fail(cli, CLI_USAGE, "unwritable", "%s: %s", wanted->out, strerror(errno));
    } else {
        status = state_proof(cli, &proof);
        cJSON_AddStringToObject(cli->result, "file", wanted->out);
        noun_say_result(cli);
    }
    proof_release(&proof);
    free(sealed);
    return status;
}

struct verify {
    const char *file;
};

static const struct cli_option verify_options[] = {
    {"FILE", CLI_FILE, offsetof(struct verify, file), "a proof file", CLI_POSITIONAL, NULL, NULL,
     0},
};

static int run_verify(struct cli *cli, void *arguments)
{
    const struct verify *wanted = arguments;
    static struct genesis genesis;
    struct proof_trust trust;
    struct proof proof;
    char problem[PROOF_PROBLEM_SIZE];
    int status = session_load_genesis(cli, &genesis);
    if (status != CLI_DONE) {
        return status;
    }
    if (!proof_trust_from_genesis(&trust, &genesis)) {
        return cli_fail(cli, CLI_USAGE, "bad_genesis", "the genesis file is not valid");
    }
    size_t size;
    char *text = files_read(wanted->file, PROOF_FILE_BYTES_MAX, &size);
    if (text == NULL && errno == EFBIG) {
        return cli_fail(cli, CLI_UNPROVEN, "proof_failed", "%s: the file is too large for a proof",
                        wanted->file);
    }
    if (text == NULL) {
        return cli_fail(cli, CLI_USAGE, "unreadable", "%s: %s", wanted->file, strerror(errno));
    }
    if (proof_verify(&proof, &trust, text, size, problem)) {
        status = state_proof(cli, &proof);
        proof_release(&proof);
        if (status == CLI_DONE) {
            noun_say_result(cli);
        }
    } else {
        cJSON_AddBoolToObject(cli->result, "ok", false);
        status = cli_fail(cli, CLI_UNPROVEN, "proof_failed", "%s: %s", wanted->file, problem);
    }
    free(text);
    return status;
}

static const struct cli_command commands[] = {
    {.verb = "get",
     .summary = "fetch a proof, verify it, keep it as a file",
     .teach = "A proof of absence is a proof too: `present` says which.\n"
              "  flex proof get deal 7 --out deal7.proof",
     .options = get_options,
     .option_count = sizeof get_options / sizeof get_options[0],
     .arguments_size = sizeof(struct get),
     .run = run_get},
    {.verb = "verify",
     .summary = "check a proof file offline",
     .teach = "  flex proof verify deal7.proof --genesis genesis.json",
     .options = verify_options,
     .option_count = 1,
     .arguments_size = sizeof(struct verify),
     .run = run_verify},
};

const struct cli_noun proof_noun = {"proof", "proofs that verify offline", commands,
                                    sizeof commands / sizeof commands[0]};
