/* flex key: the wallet's own key.
 *
 * Invariants: a key is never overwritten by another and never printed; the words that it is made from are shown once, by
 * the command that draws them, after the key file is on disk; a key stays unencrypted only if its owner
 * said so in as many words. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "base/files.h"
#include "contracts/module.h"
#include "tools/key_words.h"
#include "tools/mnemonic.h"
#include "tools/nouns.h"
#include "tools/wallet.h"

struct key_new {
    bool no_passphrase;
    int64_t passphrase_fd;
    bool mnemonic;       /* of new: draw words */
    uint16_t words;      /* how many */
    bool no_repeat;      /* none is asked back */
    int64_t mnemonic_fd; /* of restore: where the words come from */
};

/* What a command holds of the key while it makes one; wallet_secrets_new. */
struct key_secrets {
    char passphrase[WALLET_PASSPHRASE_MAX + 1];
    char typed[WALLET_PASSPHRASE_MAX + 1];
    char phrase[MNEMONIC_TEXT_SIZE];
    char problem[MNEMONIC_PROBLEM_SIZE]; /* a message about words may quote a wrong one */
    uint8_t entropy[MNEMONIC_ENTROPY_MAX];
    struct secret_key secret;
};

static const char no_passphrase_help[] =
    "keep the secret unencrypted: for demonstrations and unattended agents";
static const char passphrase_fd_help[] =
    "read the passphrase from this file descriptor instead of the terminal";

static const struct cli_option key_new_options[] = {
    {"no-passphrase", CLI_SWITCH, offsetof(struct key_new, no_passphrase), no_passphrase_help,
     CLI_OPTIONAL, NULL, NULL, 0},
    {"passphrase-fd", CLI_I64, offsetof(struct key_new, passphrase_fd), passphrase_fd_help,
     CLI_OPTIONAL, "-1", NULL, 0},
    {"mnemonic", CLI_SWITCH, offsetof(struct key_new, mnemonic),
     "make the key from words (BIP39) and show them, once: with them key restore makes it again",
     CLI_OPTIONAL, NULL, NULL, 0},
    {"words", CLI_U16, offsetof(struct key_new, words), "how many of them: 12, 15, 18, 21 or 24",
     CLI_OPTIONAL, "24", NULL, 0},
    {"no-repeat", CLI_SWITCH, offsetof(struct key_new, no_repeat),
     "ask none of them back, where they are shown on a terminal", CLI_OPTIONAL, NULL, NULL, 0},
};

static const struct cli_option key_restore_options[] = {
    {"no-passphrase", CLI_SWITCH, offsetof(struct key_new, no_passphrase), no_passphrase_help,
     CLI_OPTIONAL, NULL, NULL, 0},
    {"passphrase-fd", CLI_I64, offsetof(struct key_new, passphrase_fd), passphrase_fd_help,
     CLI_OPTIONAL, "-1", NULL, 0},
    {"mnemonic-fd", CLI_I64, offsetof(struct key_new, mnemonic_fd),
     "read the words, one line, from this file descriptor instead of the terminal", CLI_OPTIONAL,
     "-1", NULL, 0},
};

static void add_public_key(struct cli *cli, const struct public_key *key)
{
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    hex_encode(hex, key->bytes, PUBLIC_KEY_SIZE);
    cJSON_AddStringToObject(cli->result, "public_key", hex);
}

/* The file's path, and that nothing is there yet. */
static int prepare_file(struct cli *cli, char path[FILES_PATH_SIZE])
{
    if (!session_key_path(cli, path, FILES_PATH_SIZE) || !files_make_directory(cli->home)) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "%s: %s", cli->home, strerror(errno));
    }
    return !files_exists(path) ? CLI_DONE
                               : cli_fail(cli, CLI_USAGE, "key_exists", "%s: %s", path,
                                          wallet_result_text(WALLET_EXISTS));
}

/* Asks for the passphrase, writes the file, says what became of it. */
static int keep_secret(struct cli *cli, const char *path, const struct key_new *wanted,
                       struct key_secrets *secrets)
{
    if (!wanted->no_passphrase &&
        !wallet_read_passphrase(secrets->passphrase, (int)wanted->passphrase_fd, true,
                                secrets->problem)) {
        return cli_fail(cli, CLI_USAGE, "passphrase_missing",
                        "%s (or say --no-passphrase and keep the file safe yourself)",
                        secrets->problem);
    }
    enum wallet_result result =
        wallet_create(path, &secrets->secret, wanted->no_passphrase ? NULL : secrets->passphrase,
                      wallet_cost_default());
    if (result != WALLET_OK) {
        return cli_fail(cli, CLI_USAGE, "key_not_made", "%s: %s", path, wallet_result_text(result));
    }
    struct public_key key;
    int status = session_public_key(cli, &key);
    if (status == CLI_DONE) {
        add_public_key(cli, &key);
        cJSON_AddStringToObject(cli->result, "file", path);
        cJSON_AddBoolToObject(cli->result, "encrypted", !wanted->no_passphrase);
        noun_say_result(cli);
    }
    return status;
}

static void draw_secret(struct key_secrets *secrets, bool mnemonic, size_t entropy_size)
{
    struct public_key key;
    if (mnemonic) {
        random_bytes(secrets->entropy, entropy_size);
        mnemonic_from_entropy(secrets->phrase, secrets->entropy, entropy_size);
        mnemonic_secret(&secrets->secret, secrets->phrase);
        return;
    }
    do {
        secret_key_random(&secrets->secret);
    } while (!schnorr_public_key(&key, &secrets->secret));
}

static int run_new(struct cli *cli, void *arguments)
{
    const struct key_new *wanted = arguments;
    const size_t entropy_size = mnemonic_entropy_size(wanted->words);
    char path[FILES_PATH_SIZE];
    if (entropy_size == 0) {
        return cli_fail(cli, CLI_USAGE, "bad_value", "--words: 12, 15, 18, 21 or 24");
    }
    int status = prepare_file(cli, path);
    if (status != CLI_DONE) {
        return status;
    }
    struct key_secrets *secrets = wallet_secrets_new(sizeof *secrets);
    draw_secret(secrets, wanted->mnemonic, entropy_size);
    status = keep_secret(cli, path, wanted, secrets);
    if (status == CLI_DONE && wanted->mnemonic) {
        key_words_say(cli, secrets->phrase);
        status = wanted->no_repeat ? CLI_DONE : key_words_ask(cli, secrets->phrase);
    }
    wallet_secrets_free(secrets);
    return status;
}

static int run_restore(struct cli *cli, void *arguments)
{
    const struct key_new *wanted = arguments;
    char path[FILES_PATH_SIZE];
    int status = prepare_file(cli, path);
    if (status != CLI_DONE) {
        return status;
    }
    struct key_secrets *secrets = wallet_secrets_new(sizeof *secrets);
    if (!wallet_read_words(secrets->typed, (int)wanted->mnemonic_fd, secrets->problem)) {
        status = cli_fail(cli, CLI_USAGE, "mnemonic_missing", "%s", secrets->problem);
    } else if (!mnemonic_parse(secrets->phrase, secrets->typed, secrets->problem)) {
        status = cli_fail(cli, CLI_USAGE, "bad_mnemonic", "%s", secrets->problem);
    } else {
        mnemonic_secret(&secrets->secret, secrets->phrase);
        status = keep_secret(cli, path, wanted, secrets);
    }
    wallet_secrets_free(secrets);
    return status;
}

/* --- another passphrase ---------------------------------------------------------------------- */

struct key_passphrase {
    bool no_passphrase;
    int64_t old_fd;
    int64_t new_fd;
};

static const struct cli_option key_passphrase_options[] = {
    {"passphrase-fd", CLI_I64, offsetof(struct key_passphrase, old_fd),
     "read the old passphrase from this file descriptor instead of the terminal", CLI_OPTIONAL,
     "-1", NULL, 0},
    {"new-passphrase-fd", CLI_I64, offsetof(struct key_passphrase, new_fd),
     "read the new one from this; if it is the same, the new one is the next line", CLI_OPTIONAL,
     "-1", NULL, 0},
    {"no-passphrase", CLI_SWITCH, offsetof(struct key_passphrase, no_passphrase),
     no_passphrase_help, CLI_OPTIONAL, NULL, NULL, 0},
};

static int run_passphrase(struct cli *cli, void *arguments)
{
    const struct key_passphrase *wanted = arguments;
    char path[FILES_PATH_SIZE];
    struct public_key key;
    if (wanted->no_passphrase && wanted->new_fd >= 0) {
        return cli_fail(cli, CLI_USAGE, "bad_option",
                        "--no-passphrase and --new-passphrase-fd are two wishes");
    }
    if (!session_key_path(cli, path, sizeof path)) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "the path of the home directory is too long");
    }
    struct key_secrets *secrets = wallet_secrets_new(sizeof *secrets);
    cli->passphrase_fd = wanted->old_fd;
    int status = session_secret_key(cli, &secrets->secret, &key);
    if (status == CLI_DONE && !wanted->no_passphrase &&
        !wallet_read_passphrase(secrets->passphrase, (int)wanted->new_fd, true, secrets->problem)) {
        status = cli_fail(cli, CLI_USAGE, "passphrase_missing",
                          "the new one: %s (--new-passphrase-fd; --no-passphrase takes it off)",
                          secrets->problem);
    }
    if (status == CLI_DONE) {
        enum wallet_result result = wallet_seal_again(
            path, &secrets->secret, wanted->no_passphrase ? NULL : secrets->passphrase,
            wallet_cost_default());
        if (result != WALLET_OK) {
            status =
                cli_fail(cli, CLI_USAGE, "key_not_changed", "%s: %s", path,
                         result == WALLET_FAULT ? strerror(errno) : wallet_result_text(result));
        }
    }
    wallet_secrets_free(secrets);
    if (status == CLI_DONE) {
        add_public_key(cli, &key);
        cJSON_AddStringToObject(cli->result, "file", path);
        cJSON_AddBoolToObject(cli->result, "encrypted", !wanted->no_passphrase);
        noun_say_result(cli);
    }
    return status;
}

/* --- watching ------------------------------------------------------------------------------- */

struct key_watch {
    const char *whom;
};

static const struct cli_option key_watch_options[] = {
    {"KEY|PARTICIPANT", CLI_TEXT, offsetof(struct key_watch, whom),
     "a public key, 64 hex digits, or the name of a participant, whose key the ledger then proves",
     CLI_POSITIONAL, NULL, NULL, 0},
};

/* The key of a participant, as the ledger has it now. */
static int key_of_participant(struct cli *cli, struct public_key *out, const char *text)
{
    static const struct public_key none;
    struct participant_record record;
    struct name name;
    if (!name_from_text(&name, text, strlen(text))) {
        return cli_fail(cli, CLI_USAGE, "bad_value",
                        "'%s' is neither a public key of 64 lower-case hex digits nor a name",
                        text);
    }
    int status = noun_fetch(cli, "participant", text, &record, "unknown_participant",
                            "there is no such participant");
    if (status == CLI_DONE && public_key_equal(&record.key, &none)) {
        status = cli_fail(cli, CLI_REFUSED, "unknown_participant", "%s has no key any more", text);
    }
    *out = record.key;
    return status;
}

static int run_watch(struct cli *cli, void *arguments)
{
    const struct key_watch *wanted = arguments;
    char path[FILES_PATH_SIZE];
    struct public_key key;
    if (!session_key_path(cli, path, sizeof path) || !files_make_directory(cli->home)) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "%s: %s", cli->home, strerror(errno));
    }
    if (!hex_decode(key.bytes, PUBLIC_KEY_SIZE, wanted->whom)) {
        int status = key_of_participant(cli, &key, wanted->whom);
        if (status != CLI_DONE) {
            return status;
        }
    }
    switch (wallet_watch(path, &key)) {
    case WALLET_OK:
        break;
    case WALLET_MALFORMED:
        return cli_fail(cli, CLI_USAGE, "bad_key", "that is no public key of the curve");
    case WALLET_EXISTS:
        return cli_fail(cli, CLI_USAGE, "key_exists", "%s: %s", path,
                        wallet_result_text(WALLET_EXISTS));
    case WALLET_ABSENT:
    case WALLET_NEEDS_PASSPHRASE:
    case WALLET_WRONG_PASSPHRASE:
    case WALLET_WATCHES:
    case WALLET_FAULT:
        return cli_fail(cli, CLI_USAGE, "key_not_made", "%s: %s", path, strerror(errno));
    }
    add_public_key(cli, &key);
    cJSON_AddStringToObject(cli->result, "file", path);
    cJSON_AddBoolToObject(cli->result, "watch_only", true);
    noun_say_result(cli);
    return CLI_DONE;
}

static int run_show(struct cli *cli, void *arguments)
{
    (void)arguments;
    struct public_key key;
    int status = session_public_key(cli, &key);
    if (status == CLI_DONE) {
        add_public_key(cli, &key);
        noun_say_result(cli);
    }
    return status;
}

struct key_sign_proof {
    struct name participant;
};

static const struct cli_option key_sign_proof_options[] = {
    {"PARTICIPANT", CLI_NAME, offsetof(struct key_sign_proof, participant),
     "who the key is going to belong to", CLI_POSITIONAL, NULL, NULL, 0},
};

static int run_sign_proof(struct cli *cli, void *arguments)
{
    const struct key_sign_proof *wanted = arguments;
    static struct genesis genesis;
    struct hash chain, message;
    struct secret_key secret;
    struct public_key key;
    struct signature signature;
    int status = session_load_genesis(cli, &genesis);
    if (status == CLI_DONE && !genesis_hash(&chain, &genesis)) {
        status = cli_fail(cli, CLI_USAGE, "bad_genesis", "the genesis file can't be encoded");
    }
    if (status == CLI_DONE) {
        status = session_secret_key(cli, &secret, &key);
    }
    if (status != CLI_DONE) {
        return status;
    }
    membership_key_proof_message(&message, &chain, &wanted->participant, &key);
    bool ok = schnorr_sign(&signature, &secret, &message);
    secret_key_wipe(&secret);
    if (!ok) {
        return cli_fail(cli, CLI_USAGE, "key_malformed", "the key can't sign");
    }
    char hex[2 * SIGNATURE_SIZE + 1];
    hex_encode(hex, signature.bytes, SIGNATURE_SIZE);
    add_public_key(cli, &key);
    cJSON_AddStringToObject(cli->result, "proof", hex);
    noun_say_result(cli);
    return CLI_DONE;
}

static const struct cli_command key_commands[] = {
    {.verb = "new",
     .summary = "make a key in HOME/key.json",
     .teach =
         "The passphrase is asked for on the terminal, or read from --passphrase-fd. Losing it\n"
         "and the words loses the key: a market operator can then only retire the participant.\n"
         "  flex --home ~/agg-a key new --mnemonic\n"
         "  flex --home ~/agent key new --no-passphrase",
     .options = key_new_options,
     .option_count = sizeof key_new_options / sizeof key_new_options[0],
     .arguments_size = sizeof(struct key_new),
     .run = run_new},
    {.verb = "restore",
     .summary = "make the key again from its words",
     .teach = "A word may be shortened to its first four letters. Nothing is written unless the\n"
              "checksum in the last word fits.\n"
              "  flex --home ~/agg-a key restore\n"
              "  flex --home ~/agg-a key restore --mnemonic-fd 3 3< words",
     .options = key_restore_options,
     .option_count = sizeof key_restore_options / sizeof key_restore_options[0],
     .arguments_size = sizeof(struct key_new),
     .run = run_restore},
    {.verb = "passphrase",
     .summary = "change the passphrase of the key's file",
     .teach =
         "The file is replaced as a whole, so whatever happens either the old passphrase opens it\n"
         "or the new one does. Copies that were made of it keep the old one.\n"
         "  flex --home ~/agg-a key passphrase\n"
         "  flex --home ~/agg-a key passphrase --passphrase-fd 3 --new-passphrase-fd 4 3< old 4< "
         "new",
     .options = key_passphrase_options,
     .option_count = sizeof key_passphrase_options / sizeof key_passphrase_options[0],
     .arguments_size = sizeof(struct key_passphrase),
     .run = run_passphrase},
    {.verb = "watch",
     .summary = "keep a public key only: the wallet reads everything and signs nothing",
     .teach = "For a screen in a control room, or an accountant. What has to be signed is refused\n"
              "(watch_only). After the owner's key has changed, watch again.\n"
              "  flex --home ~/screen account trust genesis.json\n"
              "  flex --home ~/screen key watch agg-a\n"
              "  flex --home ~/screen account show",
     .options = key_watch_options,
     .option_count = sizeof key_watch_options / sizeof key_watch_options[0],
     .arguments_size = sizeof(struct key_watch),
     .run = run_watch},
    {.verb = "show", .summary = "print the public key", .run = run_show},
    {.verb = "sign-proof",
     .summary = "prove possession of this key, for participant rotate-key",
     .teach = "Run it in the home of the NEW key; it prints what the old key's owner needs:\n"
              "  flex --home new key sign-proof agg-a --genesis genesis.json\n"
              "  flex --home old participant rotate-key --new-key HEX --proof HEX",
     .options = key_sign_proof_options,
     .option_count = 1,
     .arguments_size = sizeof(struct key_sign_proof),
     .sends = true,
     .run = run_sign_proof},
};

const struct cli_noun key_noun = {"key", "the wallet's own key", key_commands,
                                  sizeof key_commands / sizeof key_commands[0]};
