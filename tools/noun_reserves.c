/* flex token reserves: the proof that minted less burned is all that exists (docs/spec/state.md, "Proof
 * of reserves"; ADR 0037; D2.3 4.2.3).
 *
 * Invariants: nothing is printed as true that does not end in the genesis file; a record that is proven
 * and does not add up is exit 4 as a proof that fails is, because it is the quorum's word against its
 * own.
 *
 * Absent on purpose: the bank. That the euro are there is what an auditor compares the receipts'
 * references for. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "node/snapshot_files.h"
#include "tools/noun_reserves.h"
#include "tools/nouns.h"
#include "tools/reserves.h"
#include "tools/value.h"

const struct cli_option noun_reserves_options[NOUN_RESERVES_OPTIONS] = {
    {"verify", CLI_SWITCH, offsetof(struct noun_reserves, verify),
     "also add up every pot and receipt of the node's newest snapshot", CLI_OPTIONAL, NULL, NULL,
     0},
    {"snapshot", CLI_DIR, offsetof(struct noun_reserves, directory),
     "also those of a fetched snapshot; asks no node", CLI_OPTIONAL, NULL, NULL, 0},
};

/* --- the record ------------------------------------------------------------------------------- */

static void say_euro(struct cli *cli, const char *label, int64_t ueur)
{
    char text[VALUE_TEXT_SIZE];
    cli_say(cli, "%-16s%s EUR\n", label, value_eur_text(text, ueur));
}

static void add_record(struct cli *cli, const struct supply_record *supply, uint64_t height)
{
    const int64_t minted = money_ueur(supply->minted);
    const int64_t burned = money_ueur(supply->burned);
    json_add_i64(cli->result, "minted_ueur", minted);
    json_add_i64(cli->result, "burned_ueur", burned);
    json_add_i64(cli->result, "exists_ueur", minted - burned);
    struct cJSON *held = cJSON_AddObjectToObject(cli->result, "held_ueur");
    MUST(held != NULL);
    say_euro(cli, "minted", minted);
    say_euro(cli, "burned", burned);
    say_euro(cli, "exists", minted - burned);
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        json_add_i64(held, pot_kind_names[kind], money_ueur(supply->held[kind]));
        say_euro(cli, pot_kind_names[kind], money_ueur(supply->held[kind]));
    }
    if (!cli->no_verify) {
        json_add_u64(cli->result, "height", height);
        cli_say(cli, "proven          from genesis, at block %" PRIu64 "\n", height);
    }
    cJSON_AddBoolToObject(cli->result, "proof_verified", !cli->no_verify);
}

static int prove(struct session *session)
{
    struct cli *cli = session->cli;
    struct supply_record supply;
    struct proof proof = {0};
    bool absent = false;
    int status = session_record(session, "supply", "supply", &supply, &absent, &proof);
    if (status == CLI_DONE && absent) {
        status = cli_fail(cli, CLI_UNPROVEN, "reserves_wrong", "there is no supply record");
    }
    if (status == CLI_DONE && !reserves_record_adds_up(&supply)) {
        status = cli_fail(cli, CLI_UNPROVEN, "reserves_wrong",
                          "what the pots hold is not what was minted less what was burned");
    }
    if (status == CLI_DONE) {
        add_record(cli, &supply, proof.header.height);
    }
    proof_release(&proof);
    return status;
}

/* --- the walk --------------------------------------------------------------------------------- */

struct source {
    struct session *session;
    const char *directory; /* NULL: the node's */
    uint64_t height;
    int status; /* of the part that could not be had */
};

static bool read_file(struct source *source, enum snapshot_part_kind kind, uint32_t index,
                      struct bytes_view *bytes)
{
    struct cli *cli = source->session->cli;
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_part_name(name, kind, index);
    switch (snapshot_part_read(source->directory, kind, index, bytes)) {
    case SNAPSHOT_READ_OK:
        return true;
    case SNAPSHOT_READ_ABSENT:
        source->status = cli_fail(cli, CLI_USAGE, "no_snapshot",
                                  "%s has no %s: flex snapshot fetch", source->directory, name);
        return false;
    case SNAPSHOT_READ_DAMAGED:
        source->status = cli_fail(cli, CLI_UNPROVEN, "snapshot_failed", "%s/%s is damaged",
                                  source->directory, name);
        return false;
    }
    MUST(false);
    return false;
}

static bool read_part(void *context, int kind, uint32_t index, struct bytes_view *bytes)
{
    struct source *source = context;
    struct client_answer answer;
    char name[SNAPSHOT_NAME_SIZE];
    char path[CLIENT_PATH_SIZE];
    if (source->directory != NULL) {
        return read_file(source, (enum snapshot_part_kind)kind, index, bytes);
    }
    snapshot_part_name(name, (enum snapshot_part_kind)kind, index);
    snprintf(path, sizeof path, "/v1/snapshots/%" PRIu64 "/%s", source->height, name);
    client_get(source->session->client, &answer, path);
    if (answer.status != 200) {
        source->status = session_refusal(source->session, &answer);
        client_answer_release(&answer);
        return false;
    }
    *bytes = bytes_view_of(answer.body, answer.size);
    return true;
}

static void add_walk(struct cli *cli, const struct reserves *reserves, uint64_t height,
                     const struct hash *state_root)
{
    char root[2 * HASH_SIZE + 1];
    struct cJSON *walk = cJSON_AddObjectToObject(cli->result, "walk");
    MUST(walk != NULL);
    hex_encode(root, state_root->bytes, HASH_SIZE);
    json_add_u64(walk, "height", height);
    cJSON_AddStringToObject(walk, "state_root", root);
    json_add_u64(walk, "pots", reserves->pots);
    json_add_u64(walk, "receipts", reserves->references);
    json_add_i64(walk, "minted_ueur", (int64_t)reserves->minted);
    json_add_i64(walk, "burned_ueur", (int64_t)reserves->burned);
    json_add_i64(walk, "exists_ueur", (int64_t)(reserves->minted - reserves->burned));
    cli_say(cli,
            "snapshot        block %" PRIu64 ": %" PRIu64 " pots and %" PRIu64
            " receipts add up to it\n",
            height, reserves->pots, reserves->references);
}

static int walk(struct session *session, const char *directory)
{
    static struct reserves reserves;
    struct cli *cli = session->cli;
    struct source source = {.session = session, .directory = directory, .status = CLI_NO_NODE};
    const struct reserves_parts parts = {read_part, &source};
    struct hash root;
    uint64_t height = 0;
    char problem[RESERVES_PROBLEM_SIZE] = "";
    int status = session_trust(session);
    if (status == CLI_DONE && directory == NULL) {
        status = noun_newest_snapshot(session, &source.height);
    }
    if (status != CLI_DONE) {
        return status;
    }
    switch (reserves_walk(&reserves, &height, &root, &session->genesis, &parts, problem)) {
    case RESERVES_WALKED:
        if (directory != NULL) {
            add_record(cli, &reserves.supply, height);
        }
        add_walk(cli, &reserves, height, &root);
        return CLI_DONE;
    case RESERVES_UNREAD:
        return problem[0] != '\0' ? cli_fail(cli, CLI_NO_NODE, "failed", "%s", problem)
                                  : source.status;
    case RESERVES_UNPROVEN:
        return cli_fail(cli, CLI_UNPROVEN, "snapshot_failed", "%s", problem);
    case RESERVES_WRONG:
        return cli_fail(cli, CLI_UNPROVEN, "reserves_wrong", "%s", problem);
    }
    MUST(false);
    return CLI_NO_NODE;
}

int noun_reserves_run(struct cli *cli, void *arguments)
{
    const struct noun_reserves *wanted = arguments;
    struct session session;
    if (wanted->verify && (wanted->directory != NULL || cli->no_verify)) {
        return cli_fail(cli, CLI_USAGE, "bad_usage",
                        "--verify asks the node for its snapshot, and is nothing with --snapshot "
                        "or --no-verify");
    }
    int status = session_open(&session, cli);
    if (status == CLI_DONE && wanted->directory == NULL) {
        status = prove(&session);
    }
    if (status == CLI_DONE && (wanted->verify || wanted->directory != NULL)) {
        status = walk(&session, wanted->directory);
    }
    session_close(&session);
    return status;
}
