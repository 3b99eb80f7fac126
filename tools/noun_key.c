/* flex key: the wallet's own key.
 *
 * Invariants: a key is never overwritten, never printed, and stays unencrypted only if its owner
 * said so in as many words. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "base/files.h"
#include "contracts/module.h"
#include "tools/nouns.h"
#include "tools/wallet.h"

struct key_new {
    bool no_passphrase;
    int64_t passphrase_fd;
};

static const struct cli_option key_new_options[] = {
    {"no-passphrase", CLI_SWITCH, offsetof(struct key_new, no_passphrase),
     "keep the secret unencrypted: for demonstrations and unattended agents", CLI_OPTIONAL, NULL,
     NULL, 0},
    {"passphrase-fd", CLI_I64, offsetof(struct key_new, passphrase_fd),
     "read the passphrase from this file descriptor instead of the terminal", CLI_OPTIONAL, "-1",
     NULL, 0},
};

static void add_public_key(struct cli *cli, const struct public_key *key)
{
    char hex[2 * PUBLIC_KEY_SIZE + 1];
    hex_encode(hex, key->bytes, PUBLIC_KEY_SIZE);
    cJSON_AddStringToObject(cli->result, "public_key", hex);
}

static enum wallet_result create(const char *path, const char *passphrase)
{
    struct secret_key secret;
    struct public_key key;
    do {
        secret_key_random(&secret);
    } while (!schnorr_public_key(&key, &secret));
    enum wallet_result result = wallet_create(path, &secret, passphrase, wallet_cost_default());
    secret_key_wipe(&secret);
    return result;
}

static int run_new(struct cli *cli, void *arguments)
{
    const struct key_new *wanted = arguments;
    char path[FILES_PATH_SIZE];
    char problem[160];
    char passphrase[WALLET_PASSPHRASE_MAX + 1] = "";
    if (!session_key_path(cli, path, sizeof path) || !files_make_directory(cli->home)) {
        return cli_fail(cli, CLI_USAGE, "bad_path", "%s: %s", cli->home, strerror(errno));
    }
    if (files_exists(path)) {
        return cli_fail(cli, CLI_USAGE, "key_exists", "%s: %s", path,
                        wallet_result_text(WALLET_EXISTS));
    }
    if (!wanted->no_passphrase &&
        !wallet_read_passphrase(passphrase, (int)wanted->passphrase_fd, true, problem)) {
        return cli_fail(cli, CLI_USAGE, "passphrase_missing",
                        "%s (or say --no-passphrase and keep the file safe yourself)", problem);
    }
    enum wallet_result result = create(path, wanted->no_passphrase ? NULL : passphrase);
    wallet_wipe(passphrase, sizeof passphrase);
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
         "loses the key: a market operator can then only retire the participant.\n"
         "  flex --home ~/agg-a key new",
     .options = key_new_options,
     .option_count = sizeof key_new_options / sizeof key_new_options[0],
     .arguments_size = sizeof(struct key_new),
     .run = run_new},
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
