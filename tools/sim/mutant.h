/* Rules that can be switched off on purpose, to show that the oracles are awake. */
#ifndef FLEX_TOOLS_SIM_MUTANT_H
#define FLEX_TOOLS_SIM_MUTANT_H

enum sim_mutant_kind {
    SIM_MUTANT_NONE,
    /* In the core, by consensus/bft_internal.h. */
    SIM_MUTANT_NO_VOTE_JOURNAL,
    SIM_MUTANT_FINALIZE_AFTER_NULLIFY,
    SIM_MUTANT_SKIP_ANCESTRY,
    SIM_MUTANT_NO_REFEED,
    SIM_MUTANT_NO_FETCH_NO_STANDSTILL,
    /* By what the core is given. */
    SIM_MUTANT_SMALL_QUORUM,
    SIM_MUTANT_NO_SIGNATURE_CHECK,
    SIM_MUTANT_NO_CLOCK_CHECK,
    SIM_MUTANT_IGNORE_VERDICT,
    /* In the shell. */
    SIM_MUTANT_SEND_BEFORE_SYNC,
    SIM_MUTANT_REPLAY_NEWEST_SEGMENT,
    SIM_MUTANT_PRUNE_TOO_FAR,
    SIM_MUTANT_NO_BLOCK_JOURNAL,
    SIM_MUTANT_NO_SIGN_STATE,
    SIM_MUTANT_LEADER_IGNORES_MEMPOOL,
    SIM_MUTANT_TRUST_OLD_DISK,
    /* Where sets change. */
    SIM_MUTANT_PAST_BOUNDARY,
    /* Where rules change: only a program that has two versions has these. */
    SIM_MUTANT_HALT_EARLY,
    SIM_MUTANT_JUDGE_UNKNOWN,
    SIM_MUTANT_COUNT
};

#endif
