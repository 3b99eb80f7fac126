/* flex market update: other terms for a market (MFX III.B; docs/spec/market.md 1.1).
 *
 * Starts from the terms in force, proven, and changes those that are named: whoever updates one deadline
 * must not have to repeat forty other terms, and must not lose one by forgetting it. What is in force at
 * once and what needs the validators' vote is the ledger's rule; the command says beforehand which.
 *
 * Absent on purpose: the terms that never change; there are no options for them. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/noun_market_update.h"
#include "tools/nouns.h"

/* Bytes of an option's value in the terms. */
static size_t size_of(enum cli_type type)
{
    switch (type) {
    case CLI_NAME:
        return sizeof(struct name);
    case CLI_EUR:
    case CLI_I64:
    case CLI_U64:
    case CLI_TIME:
    case CLI_DURATION:
        return sizeof(int64_t);
    case CLI_U32:
    case CLI_FLAGS:
        return sizeof(uint32_t);
    case CLI_U16:
        return sizeof(uint16_t);
    case CLI_CHOICE:
        return sizeof(uint8_t);
    case CLI_HEX32:
        return 32;
    case CLI_SWITCH:
        return sizeof(bool);
    case CLI_TEXT:
    case CLI_FILE:
    case CLI_DIR:
    case CLI_URL:
        break;
    }
    MUST(false);
    return 0;
}

static void change_given(struct market_create *terms, const struct cli *cli,
                         const struct market_create *wanted)
{
    for (size_t i = 0; i < MARKET_TERMS_THAT_CHANGE; i++) {
        const struct cli_option *option = &market_terms_options[i];
        if ((cli->given >> i & 1) != 0) {
            memcpy((uint8_t *)terms + option->offset, (const uint8_t *)wanted + option->offset,
                   size_of(option->type));
        }
    }
}

int market_update_run(struct cli *cli, void *arguments)
{
    const struct market_create *wanted = arguments;
    struct market_record market;
    struct market_update action;
    char name[NAME_SIZE + 1];
    int status = noun_fetch(cli, "market", name_to_text(name, &wanted->id), &market,
                            "unknown_market", "there is no such market");
    if (status != CLI_DONE) {
        return status;
    }
    action.terms = market.terms;
    change_given(&action.terms, cli, wanted);
    const char *takes = NULL;
    switch (market_terms_change(&market.terms, &action.terms)) {
    case MARKET_CHANGE_NONE:
        takes = "withdraws_draft";
        cli_say(cli, "These are the terms in force: a draft, if there is one, is withdrawn.\n");
        break;
    case MARKET_CHANGE_OPERATOR:
        takes = "at_once";
        cli_say(cli, "In force at once.\n");
        break;
    case MARKET_CHANGE_VOTE:
        takes = "vote";
        cli_say(cli, "A draft: the validators put it in force (flex governance set-market).\n");
        break;
    case MARKET_CHANGE_NEVER:
        takes = "never";
        break;
    }
    cJSON_AddStringToObject(cli->result, "change", takes);
    return submit_one(cli, ACTION_MARKET_UPDATE, &action);
}
