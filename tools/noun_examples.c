/* Examples for the help of every noun: what people type most of it, first what changes nothing.
 *
 * Invariant: each line parses as it stands (tests/unit/tools/test_cli_help.c types them all). */
#include <string.h>

#include "tools/cli.h"

static const struct {
    const char *noun;
    const char *lines;
} examples[] = {
    {"account", "  flex account trust genesis.json\n"
                "  flex account show\n"
                "  flex account list"},
    {"alias", "  flex alias request house-1 --market west --from 2025-01-15T11:00Z --until "
              "2025-01-15T12:00Z --max-power-w 2000 --out asked.json\n"
              "  flex alias issue asked.keyed.json"},
    {"asset", "  flex asset list\n"
              "  flex asset prequalify battery-7\n"
              "  flex asset enrol battery-7 --market west-1h"},
    {"audit", "  flex audit export --dir export\n"
              "  flex audit verify --dir export --genesis genesis.json\n"
              "  flex audit report --dir export --genesis genesis.json --json"},
    {"bill", "  flex bill show --from 2025-01-01 --to 2025-02-01 --csv january.csv"},
    {"block", "  flex block show 12"},
    {"coupled", "  flex coupled list\n"
                "  flex coupled result west 2025-01-15T18:00Z\n"
                "  flex coupled place west 2025-01-15T18:00Z evening.json"},
    {"deal", "  flex deal list --state matched --side sell\n"
             "  flex deal watch --market west-1h\n"
             "  flex deal show 7"},
    {"devnet", "  flex devnet start --dir /tmp/dev\n"
               "  flex devnet status --dir /tmp/dev\n"
               "  flex devnet stop --dir /tmp/dev"},
    {"dispatch", "  flex dispatch list"},
    {"forecast", "  flex forecast list"},
    {"governance", "  flex governance list\n"
                   "  flex governance vote 3 yes"},
    {"grid",
     "  flex grid rows --branches branches.csv --nodes nodes.csv --slack n0 --out rows.json"},
    {"key", "  flex key new --mnemonic\n"
            "  flex key restore\n"
            "  flex key watch agg-a"},
    {"market", "  flex market list\n"
               "  flex market show west-1h\n"
               "  flex market create west-1h --zone west --opens 2025-01-01 --closes 2026-01-01 "
               "--price-max 2.00"},
    {"meter", "  flex meter new-key --out battery-7.meter\n"
              "  flex meter batch --id west readings.json"},
    {"network", "  flex network list\n"
                "  flex network publish lv1 --csv day.csv"},
    {"node", "  flex node status"},
    {"order", "  flex order request --market west-1h --direction up --start 2025-01-15T17:00Z "
              "--quantity-wh 4000 --price 0.30\n"
              "  flex order place --csv day.csv --dry-run\n"
              "  flex order list --state open --market west-1h\n"
              "  flex order watch --until-closed"},
    {"participant", "  flex participant list\n"
                    "  flex participant show agg-a"},
    {"proof", "  flex proof get deal 7 --out deal.proof\n"
              "  flex proof verify deal.proof --genesis genesis.json"},
    {"snapshot", "  flex snapshot list"},
    {"token", "  flex token transfer --to agg-a --amount 12.50\n"
              "  flex token fees --from-height 1200 --csv"},
    {"tx", "  flex tx show 9f2c\n"
           "  flex tx wait 9f2c\n"
           "  flex tx batch actions.json"},
};

const char *noun_examples(const char *noun)
{
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        if (strcmp(examples[i].noun, noun) == 0) {
            return examples[i].lines;
        }
    }
    return NULL;
}
