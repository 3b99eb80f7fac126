/* The genesis record: everything that a verifier needs to trust nothing else. Its JSON form
 * (genesis.json) is for people; the hash is over the canonical encoding. */
#ifndef FLEX_CONTRACTS_GENESIS_H
#define FLEX_CONTRACTS_GENESIS_H

#include "contracts/records.h"

enum { GENESIS_PARTICIPANTS_MAX = 64 };

struct genesis {
    struct name chain;
    struct timestamp time;
    uint8_t simulated_time; /* 1: nodes may follow a simulated clock (demonstrations, tests) */
    uint32_t delta_ms;      /* consensus timing, see consensus/bft.h */
    uint32_t block_interval_ms;
    uint32_t max_idle_ms;
    uint32_t exec_budget_ms;
    uint32_t timeout_cap_ms;
    uint32_t backoff_permille;
    struct params_record params; /* with the first validator set */
    uint32_t participant_count;
    struct genesis_participant {
        struct name id;
        struct public_key key;
        uint32_t roles;
    } participants[GENESIS_PARTICIPANTS_MAX];
};

extern const struct codec_record genesis_record;
enum { GENESIS_BYTES_MAX = 16384 };

/* The chain's identity: H(GENESIS, canonical record). False if the record is not encodable. */
bool genesis_hash(struct hash *out, const struct genesis *genesis);
/* Semantic checks: enough validators, sorted keys, operators known, sane timing, at least one market
 * operator and one treasurer. NULL if all is well, else what is wrong. */
const char *genesis_problem(const struct genesis *genesis);
/* The same for parameters alone, as governance may change them too. */
const char *genesis_params_problem(const struct params_record *params);
/* From the bytes of genesis.json; false with the reason in `problem` (160 bytes). */
bool genesis_from_json(struct genesis *out, const char *text, size_t size, char problem[160]);
struct cJSON;
struct cJSON *genesis_to_json(const struct genesis *genesis);

#endif
