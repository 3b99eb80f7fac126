/* The mutants' names, and those of them that are made in the core. */
#include "tools/sim/mutant.h"

#include <string.h>

#include "base/fatal.h"
#include "contracts/rules.h"
#include "tools/sim/sim_internal.h"

static const struct {
    const char *name;
    const char *text;
    uint32_t core; /* enum bft_mutant */
} mutants[SIM_MUTANT_COUNT] = {
    [SIM_MUTANT_NONE] = {"none", "nothing is switched off", 0},
    [SIM_MUTANT_NO_VOTE_JOURNAL] = {"no-vote-journal", "half of the own votes are not journaled",
                                    0},
    [SIM_MUTANT_FINALIZE_AFTER_NULLIFY] = {"finalize-after-nullify",
                                           "F is voted in views that U was voted in",
                                           BFT_MUTANT_FINALIZE_AFTER_NULLIFY},
    [SIM_MUTANT_SKIP_ANCESTRY] = {"skip-ancestry",
                                  "N is voted without the nullifications of skipped views",
                                  BFT_MUTANT_SKIP_ANCESTRY},
    [SIM_MUTANT_NO_REFEED] = {"no-refeed", "own votes do not count again after a restart",
                              BFT_MUTANT_NO_REFEED},
    [SIM_MUTANT_NO_FETCH_NO_STANDSTILL] = {"no-fetch-no-standstill",
                                           "nothing is asked for, nothing is said twice",
                                           BFT_MUTANT_NO_FETCH_NO_STANDSTILL},
    [SIM_MUTANT_SMALL_QUORUM] = {"small-quorum", "n - f - 1 votes make a certificate", 0},
    [SIM_MUTANT_NO_SIGNATURE_CHECK] = {"no-signature-check", "every signature of a vote is good",
                                       0},
    [SIM_MUTANT_NO_CLOCK_CHECK] = {"no-clock-check", "every block bears the right time", 0},
    [SIM_MUTANT_IGNORE_VERDICT] = {"ignore-verdict", "every block executes well", 0},
    [SIM_MUTANT_SEND_BEFORE_SYNC] = {"send-before-sync", "messages leave before the journal's sync",
                                     0},
    [SIM_MUTANT_REPLAY_NEWEST_SEGMENT] = {"replay-newest-segment",
                                          "a restart reads the newest journal segment only", 0},
    [SIM_MUTANT_PRUNE_TOO_FAR] = {"prune-too-far", "the journal is pruned up to the current view",
                                  0},
    [SIM_MUTANT_NO_BLOCK_JOURNAL] = {"no-block-journal", "bodies are not journaled", 0},
    [SIM_MUTANT_NO_SIGN_STATE] = {"no-sign-state", "the highest own vote is not kept apart", 0},
    [SIM_MUTANT_LEADER_IGNORES_MEMPOOL] = {"leader-ignores-mempool", "leaders propose empty blocks",
                                           0},
    [SIM_MUTANT_TRUST_OLD_DISK] = {"trust-old-disk", "a start asks nobody for the own highest vote",
                                   0},
    [SIM_MUTANT_PAST_BOUNDARY] = {"past-boundary", "blocks above an epoch's last one are decided",
                                  BFT_MUTANT_PAST_BOUNDARY},
    [SIM_MUTANT_HALT_EARLY] = {"halt-early",
                               "an old program stops before the block below the new rules is final",
                               0},
    [SIM_MUTANT_JUDGE_UNKNOWN] = {"judge-unknown",
                                  "an old program calls blocks under new rules invalid", 0},
};

static uint32_t mutant_count(void)
{
    return ledger_rules_count > 1 ? SIM_MUTANT_COUNT : SIM_MUTANT_HALT_EARLY;
}

bool sim_mutant(const struct sim *sim, enum sim_mutant_kind mutant)
{
    return sim->config.mutant == (uint32_t)mutant;
}

void sim_mutate_core(const struct sim *sim, struct sim_node *node)
{
    MUST(sim->config.mutant < SIM_MUTANT_COUNT);
    node->core->mutants = mutants[sim->config.mutant].core;
    if (sim_mutant(sim, SIM_MUTANT_SMALL_QUORUM))
        node->core->quorum--;
    if (sim_mutant(sim, SIM_MUTANT_TRUST_OLD_DISK))
        node->core->trusted = true;
}

uint32_t sim_mutant_by_name(const char *name)
{
    for (uint32_t i = 1; i < mutant_count(); i++)
        if (strcmp(mutants[i].name, name) == 0)
            return i;
    return SIM_MUTANT_NONE;
}

const char *sim_mutant_name(uint32_t mutant)
{
    return mutant < mutant_count() ? mutants[mutant].name : NULL;
}

const char *sim_mutant_text(uint32_t mutant)
{
    return mutant < mutant_count() ? mutants[mutant].text : NULL;
}
