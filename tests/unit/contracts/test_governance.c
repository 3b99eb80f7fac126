/* Governance: every error of propose, vote and evidence, what takes effect and when, and a long
 * random run beside a slow model that keeps names instead of bits. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/contracts/dice.h"
#include "tests/lib/contracts/expect.h"
#include "tests/lib/contracts/fixture.h"

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    static const char *const funded[] = {"operator", "alice", "agg", "agg2", "dso", "regulator"};
    fixture_open(&fixture);
    for (size_t i = 0; i < sizeof funded / sizeof funded[0]; i++)
        fixture_fund(&fixture, funded[i], 1000000000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_end_block(&fixture);
    fixture_close(&fixture);
    return 0;
}

/* The genesis set's seeds are 1 to 4 (fixture.c), operated by dso, agg, agg2 and operator. */
static struct secret_key seed_of(unsigned number)
{
    struct secret_key seed;
    memset(seed.bytes, 0, sizeof seed.bytes);
    memset(seed.bytes, (int)(number & 0xff), number < 256 ? sizeof seed.bytes : 8);
    seed.bytes[31] = (uint8_t)(seed.bytes[31] + number / 256);
    return seed;
}

static struct public_key key_of(unsigned number)
{
    struct secret_key seed = seed_of(number);
    struct public_key key;
    ed25519_public_key(&key, &seed);
    return key;
}

static struct governance_propose terms_of(enum proposal_kind kind, unsigned old, unsigned fresh,
                                          const char *operator_name)
{
    struct governance_propose terms;
    memset(&terms, 0, sizeof terms);
    terms.kind = (uint8_t)kind;
    if (old != 0)
        terms.old_key = key_of(old);
    if (fresh != 0) {
        struct secret_key seed = seed_of(fresh);
        struct hash message;
        terms.new_key = key_of(fresh);
        terms.operator_name = fixture_name(operator_name);
        membership_key_proof_message(&message, &fixture.genesis_id, &terms.operator_name,
                                     &terms.new_key);
        ed25519_sign(&terms.proof, &seed, &message);
    }
    return terms;
}

static enum contract_error propose(const char *sender, const struct governance_propose *terms)
{
    return fixture_act(&fixture, sender, ACTION_GOVERNANCE_PROPOSE, terms);
}

static enum contract_error vote(const char *sender, uint64_t proposal, bool approve)
{
    struct governance_vote action = {.proposal = proposal, .approve = approve};
    return fixture_act(&fixture, sender, ACTION_GOVERNANCE_VOTE, &action);
}

static struct params_record params(void)
{
    struct state_key key = state_key_single(STATE_PARAMS);
    struct params_record record;
    assert_true(ledger_read(fixture.view, &key, &params_record_codec, &record));
    return record;
}

static struct governance_record governance(void)
{
    struct state_key key = state_key_single(STATE_GOVERNANCE);
    struct governance_record record;
    if (!ledger_read(fixture.view, &key, &governance_record_codec, &record))
        memset(&record, 0, sizeof record);
    return record;
}

static uint8_t status_of(uint64_t id)
{
    struct state_key key = state_key_u64(STATE_PROPOSAL, id);
    struct proposal_record record;
    assert_true(ledger_read(fixture.view, &key, &proposal_record_codec, &record));
    return record.status;
}

static bool in_set(unsigned number)
{
    struct params_record record = params();
    struct public_key key = key_of(number);
    for (uint32_t i = 0; i < record.validator_count; i++) {
        if (i > 0)
            assert_true(
                public_key_compare(&record.validators[i - 1].key, &record.validators[i].key) < 0);
        if (public_key_equal(&record.validators[i].key, &key))
            return true;
    }
    return false;
}

static void test_propose(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        enum proposal_kind kind;
        unsigned old;
        unsigned fresh;
        const char *operator_name;
        enum contract_error expected;
    } rows[] = {
        {"alice", PROPOSAL_ADD_VALIDATOR, 0, 5, "alice", CONTRACT_NOT_PERMITTED},
        {"regulator", PROPOSAL_ADD_VALIDATOR, 0, 5, "alice", CONTRACT_NOT_PERMITTED},
        {"dso", PROPOSAL_ADD_VALIDATOR, 0, 5, "nobody", CONTRACT_UNKNOWN_PARTICIPANT},
        {"dso", PROPOSAL_ADD_VALIDATOR, 0, 4, "alice", CONTRACT_EXISTS_ALREADY},
        {"dso", PROPOSAL_ADD_VALIDATOR, 1, 5, "alice", CONTRACT_BAD_PARAMETER},
        {"dso", PROPOSAL_ADD_VALIDATOR, 0, 0, "alice", CONTRACT_BAD_PARAMETER},
        {"dso", PROPOSAL_REMOVE_VALIDATOR, 1, 0, NULL, CONTRACT_BAD_PARAMETER}, /* four stay */
        {"dso", PROPOSAL_REMOVE_VALIDATOR, 9, 0, NULL, CONTRACT_UNKNOWN_VALIDATOR},
        {"dso", PROPOSAL_REMOVE_VALIDATOR, 0, 0, NULL, CONTRACT_BAD_PARAMETER},
        {"dso", PROPOSAL_REPLACE_VALIDATOR, 9, 5, "alice", CONTRACT_UNKNOWN_VALIDATOR},
        {"dso", PROPOSAL_REPLACE_VALIDATOR, 1, 1, "dso", CONTRACT_EXISTS_ALREADY},
        {"dso", PROPOSAL_REPLACE_VALIDATOR, 0, 5, "dso", CONTRACT_BAD_PARAMETER},
        {"dso", PROPOSAL_SET_FEES, 1, 0, NULL, CONTRACT_BAD_PARAMETER},
        {"dso", PROPOSAL_SET_FEES, 0, 0, NULL, CONTRACT_OK},
        {"dso", PROPOSAL_ADD_VALIDATOR, 0, 5, "alice", CONTRACT_OK},
        {"agg", PROPOSAL_REPLACE_VALIDATOR, 2, 6, "agg", CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct governance_propose terms =
            terms_of(rows[i].kind, rows[i].old, rows[i].fresh, rows[i].operator_name);
        assert_status(rows[i].expected, propose(rows[i].sender, &terms));
    }
    struct governance_propose terms = terms_of(PROPOSAL_ADD_VALIDATOR, 0, 5, "alice");
    terms.proof.bytes[3] ^= 1;
    assert_status(CONTRACT_BAD_KEY, propose("dso", &terms));
    terms = terms_of(PROPOSAL_ADD_VALIDATOR, 0, 5, "alice");
    terms.operator_name = fixture_name("bob"); /* the proof names alice */
    assert_status(CONTRACT_BAD_KEY, propose("dso", &terms));
    terms = terms_of(PROPOSAL_SET_FEES, 0, 0, NULL);
    terms.fee_per_tx = money_of(-1);
    assert_status(CONTRACT_BAD_PARAMETER, propose("dso", &terms));
    /* The second proposal of the same operator withdrew the first. */
    assert_int_equal(PROPOSAL_WITHDRAWN, status_of(1));
    assert_int_equal(PROPOSAL_OPEN, status_of(2));
    assert_int_equal(2, governance().open_count);
}

static void test_vote(void **state)
{
    (void)state;
    struct governance_propose add = terms_of(PROPOSAL_ADD_VALIDATOR, 0, 5, "alice");
    assert_status(CONTRACT_OK, propose("dso", &add));
    assert_status(CONTRACT_UNKNOWN_PROPOSAL, vote("agg", 2, true));
    assert_status(CONTRACT_UNKNOWN_PROPOSAL, vote("agg", 0, true));
    assert_status(CONTRACT_NOT_PERMITTED, vote("alice", 1, true));
    assert_status(CONTRACT_OK, vote("agg", 1, true));
    assert_status(CONTRACT_OK, vote("agg", 1, true)); /* again: still one vote */
    assert_int_equal(PROPOSAL_OPEN, status_of(1));
    assert_false(in_set(5));
    struct governance_propose other = terms_of(PROPOSAL_REPLACE_VALIDATOR, 2, 6, "agg");
    assert_status(CONTRACT_OK, propose("agg", &other));
    assert_status(CONTRACT_OK, vote("agg2", 1, true));
    assert_int_equal(PROPOSAL_PASSED, status_of(1));
    assert_true(in_set(5));
    assert_int_equal(1, governance().epoch);
    assert_int_equal(fixture.context.height, governance().epoch_height);
    /* Nothing more in this block: it is a boundary. */
    assert_status(CONTRACT_TOO_EARLY, vote("agg2", 2, true));
    assert_status(CONTRACT_TOO_EARLY, propose("dso", &other));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    assert_status(CONTRACT_PROPOSAL_NOT_OPEN, vote("operator", 1, true));
    /* The open one stays open, agg's vote with agg's validator; five validators, four votes. */
    assert_status(CONTRACT_OK, vote("agg2", 2, true));
    assert_status(CONTRACT_OK, vote("alice", 2, true));
    assert_int_equal(PROPOSAL_OPEN, status_of(2));
    assert_status(CONTRACT_OK, vote("operator", 2, true));
    assert_int_equal(PROPOSAL_PASSED, status_of(2));
    assert_true(in_set(6) && !in_set(2) && in_set(5));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    /* A key that has left does not come back. */
    struct governance_propose back = terms_of(PROPOSAL_ADD_VALIDATOR, 0, 2, "agg");
    assert_status(CONTRACT_EXISTS_ALREADY, propose("agg", &back));
    struct governance_propose gone = terms_of(PROPOSAL_REMOVE_VALIDATOR, 5, 0, NULL);
    struct governance_propose hers = terms_of(PROPOSAL_ADD_VALIDATOR, 0, 7, "bob");
    assert_status(CONTRACT_OK, propose("alice", &hers));
    assert_status(CONTRACT_OK, propose("dso", &gone));
    assert_status(CONTRACT_OK, vote("agg", 4, true));
    assert_status(CONTRACT_OK, vote("agg2", 4, true));
    assert_status(CONTRACT_OK, vote("operator", 4, true));
    assert_false(in_set(5));
    assert_int_equal(4, params().validator_count);
    assert_int_equal(PROPOSAL_WITHDRAWN, status_of(3)); /* alice operates nothing any more */
    assert_int_equal(0, governance().open_count);
    assert_int_equal(3, governance().epoch);
}

static void test_rejection_and_expiry(void **state)
{
    (void)state;
    struct governance_propose fees = terms_of(PROPOSAL_SET_FEES, 0, 0, NULL);
    fees.fee_per_tx = money_of(7);
    assert_status(CONTRACT_OK, propose("dso", &fees));
    assert_status(CONTRACT_OK, vote("agg", 1, false));
    assert_int_equal(PROPOSAL_OPEN, status_of(1));
    assert_status(CONTRACT_OK, vote("agg", 1, true)); /* a later vote replaces the earlier one */
    assert_status(CONTRACT_OK, vote("agg2", 1, false));
    assert_status(CONTRACT_OK, vote("agg", 1, false));
    assert_int_equal(PROPOSAL_REJECTED, status_of(1)); /* three can't come together any more */
    assert_status(CONTRACT_OK, propose("dso", &fees));
    fixture_next_block(&fixture, 7 * MS_PER_DAY);
    assert_status(CONTRACT_OK, vote("agg", 2, true));
    fixture_next_block(&fixture, 1);
    assert_status(CONTRACT_PROPOSAL_NOT_OPEN, vote("agg2", 2, true));
    assert_status(CONTRACT_OK, propose("agg", &fees));
    assert_int_equal(PROPOSAL_EXPIRED, status_of(2));
    assert_status(CONTRACT_OK, vote("dso", 3, true));
    assert_int_equal(FIXTURE_FEE_PER_TX, money_ueur(params().fee_per_tx));
    assert_status(CONTRACT_OK, vote("operator", 3, true));
    assert_int_equal(7, money_ueur(params().fee_per_tx));
    assert_int_equal(0, governance().epoch); /* fees are no boundary */
}

/* --- evidence ------------------------------------------------------------------------------- */

static struct evidence_vote signed_vote(unsigned number, uint8_t kind, uint64_t epoch,
                                        uint64_t view, uint8_t block)
{
    struct evidence_vote out;
    struct secret_key seed = seed_of(number);
    struct hash message;
    memset(&out, 0, sizeof out);
    out.kind = kind;
    if (kind != VOTE_NULLIFY)
        memset(out.block_id.bytes, block, HASH_SIZE);
    vote_message(&message, &fixture.genesis_id, kind, epoch, view, &out.block_id);
    ed25519_sign(&out.signature, &seed, &message);
    return out;
}

static struct governance_evidence evidence_of(unsigned number, uint64_t epoch, uint64_t view,
                                              uint8_t first, uint8_t second)
{
    return (struct governance_evidence){.key = key_of(number),
                                        .epoch = epoch,
                                        .view = view,
                                        .first = signed_vote(number, first, epoch, view, 1),
                                        .second = signed_vote(number, second, epoch, view, 2)};
}

static enum contract_error accuse(const char *sender, const struct governance_evidence *action)
{
    return fixture_act(&fixture, sender, ACTION_GOVERNANCE_EVIDENCE, action);
}

static void test_evidence(void **state)
{
    (void)state;
    static const struct {
        const char *sender;
        unsigned number;
        uint64_t epoch;
        uint64_t view;
        uint8_t first;
        uint8_t second;
        enum contract_error expected;
    } rows[] = {
        {"alice", 1, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE, CONTRACT_NOT_PERMITTED},
        {"dso", 9, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE, CONTRACT_UNKNOWN_VALIDATOR},
        {"dso", 1, 1, 5, VOTE_NOTARIZE, VOTE_NOTARIZE, CONTRACT_UNKNOWN_VALIDATOR},
        {"dso", 1, 0, 5, VOTE_NOTARIZE, VOTE_FINALIZE, CONTRACT_BAD_EVIDENCE},
        {"dso", 1, 0, 5, VOTE_NOTARIZE, VOTE_NULLIFY, CONTRACT_BAD_EVIDENCE}, /* legal */
        {"dso", 1, 0, 5, VOTE_FINALIZE, VOTE_NULLIFY, CONTRACT_BAD_EVIDENCE}, /* wrong order */
        {"dso", 1, 0, 0, VOTE_NOTARIZE, VOTE_NOTARIZE, CONTRACT_BAD_EVIDENCE},
        {"dso", 1, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE, CONTRACT_OK},
        {"agg", 1, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE, CONTRACT_EXISTS_ALREADY},
        {"agg", 1, 0, 5, VOTE_FINALIZE, VOTE_FINALIZE, CONTRACT_EXISTS_ALREADY},
        {"regulator", 1, 0, 6, VOTE_FINALIZE, VOTE_FINALIZE, CONTRACT_OK},
        {"agg", 2, 0, 6, VOTE_NULLIFY, VOTE_FINALIZE, CONTRACT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct governance_evidence action =
            evidence_of(rows[i].number, rows[i].epoch, rows[i].view, rows[i].first, rows[i].second);
        assert_status(rows[i].expected, accuse(rows[i].sender, &action));
    }
    struct governance_evidence action = evidence_of(3, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE);
    struct evidence_vote first = action.first;
    action.first = action.second;
    action.second = first; /* the higher id first: the same pair twice would be two records */
    assert_status(CONTRACT_BAD_EVIDENCE, accuse("dso", &action));
    action.first = action.second;
    assert_status(CONTRACT_BAD_EVIDENCE, accuse("dso", &action));
    for (int which = 0; which < 2; which++) {
        action = evidence_of(3, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE);
        (which == 0 ? &action.first : &action.second)->signature.bytes[1] ^= 1;
        assert_status(CONTRACT_BAD_EVIDENCE, accuse("dso", &action));
    }
    /* Somebody else's votes are nobody's evidence against this key. */
    action = evidence_of(3, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE);
    action.key = key_of(4);
    assert_status(CONTRACT_BAD_EVIDENCE, accuse("dso", &action));
    struct public_key key = key_of(1);
    struct state_key at = state_key_hash(STATE_VALIDATOR, key.bytes);
    struct validator_record record;
    assert_true(ledger_read(fixture.view, &at, &validator_record_codec, &record));
    assert_int_equal(2, record.evidence);
    assert_true(in_set(1)); /* evidence alone removes nobody */
}

/* After the removal too, for the epochs in which the key was in the set; and no more than 64. */
static void test_evidence_after_removal(void **state)
{
    (void)state;
    struct governance_propose replace = terms_of(PROPOSAL_REPLACE_VALIDATOR, 1, 5, "dso");
    assert_status(CONTRACT_OK, propose("dso", &replace));
    assert_status(CONTRACT_OK, vote("agg", 1, true));
    assert_status(CONTRACT_OK, vote("agg2", 1, true));
    fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
    struct governance_evidence action = evidence_of(1, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE);
    assert_status(CONTRACT_OK, accuse("agg", &action));
    action = evidence_of(1, 1, 5, VOTE_NOTARIZE, VOTE_NOTARIZE);
    assert_status(CONTRACT_UNKNOWN_VALIDATOR, accuse("agg", &action));
    action = evidence_of(5, 0, 5, VOTE_NOTARIZE, VOTE_NOTARIZE);
    assert_status(CONTRACT_UNKNOWN_VALIDATOR, accuse("agg", &action));
    action = evidence_of(5, 1, 5, VOTE_NOTARIZE, VOTE_NOTARIZE);
    assert_status(CONTRACT_OK, accuse("agg", &action));
    for (uint64_t view = 100; view < 163; view++) {
        action = evidence_of(5, 1, view, VOTE_NOTARIZE, VOTE_NOTARIZE);
        assert_status(CONTRACT_OK, accuse("agg", &action));
    }
    action = evidence_of(5, 1, 163, VOTE_NOTARIZE, VOTE_NOTARIZE);
    assert_status(CONTRACT_EXISTS_ALREADY, accuse("agg", &action));
}

/* --- a random run beside a slow model --------------------------------------------------------- */

enum { MODEL_OPERATORS = 6, MODEL_KEYS = 120 };
static const char *const people[MODEL_OPERATORS] = {"dso",      "agg",   "agg2",
                                                    "operator", "alice", "regulator"};

/* Who runs which key (0: nobody), and what each operator last said about each proposal. */
static struct {
    int owner[MODEL_KEYS]; /* by key number; -1: not in the set */
    bool used[MODEL_KEYS];
    unsigned size;
    uint64_t epoch;
    bool boundary;
    unsigned count;
    struct {
        bool open;
        int proposer;
        enum proposal_kind kind;
        unsigned old;
        unsigned fresh;
        int newcomer;
        int said[MODEL_KEYS]; /* by key: 1 for, -1 against */
    } proposals[64];
} model;

static bool model_runs(int who)
{
    for (unsigned k = 1; k < MODEL_KEYS; k++)
        if (model.owner[k] == who)
            return true;
    return false;
}

static enum contract_error model_possible(unsigned p)
{
    bool comes = model.proposals[p].kind != PROPOSAL_REMOVE_VALIDATOR;
    bool leaves = model.proposals[p].kind != PROPOSAL_ADD_VALIDATOR;
    if (leaves && model.owner[model.proposals[p].old] < 0)
        return CONTRACT_UNKNOWN_VALIDATOR;
    if (comes && model.used[model.proposals[p].fresh])
        return CONTRACT_EXISTS_ALREADY;
    if (leaves && !comes && model.size == LIMIT_VALIDATORS_MIN)
        return CONTRACT_BAD_PARAMETER;
    return CONTRACT_OK;
}

/* What deciding gives; on an error the caller forgets the whole action. */
static enum contract_error model_decide(unsigned p)
{
    unsigned yes = 0, no = 0, faults = (model.size - 1) / 3;
    for (unsigned k = 1; k < MODEL_KEYS; k++) {
        yes += model.owner[k] >= 0 && model.proposals[p].said[k] > 0;
        no += model.owner[k] >= 0 && model.proposals[p].said[k] < 0;
    }
    if (no > faults) {
        model.proposals[p].open = false;
        return CONTRACT_OK;
    }
    if (yes < model.size - faults)
        return CONTRACT_OK;
    enum contract_error error = model_possible(p);
    if (error != CONTRACT_OK)
        return error;
    model.proposals[p].open = false;
    if (model.proposals[p].kind != PROPOSAL_ADD_VALIDATOR) {
        model.owner[model.proposals[p].old] = -1;
        model.size--;
    }
    if (model.proposals[p].kind != PROPOSAL_REMOVE_VALIDATOR) {
        model.owner[model.proposals[p].fresh] = model.proposals[p].newcomer;
        model.used[model.proposals[p].fresh] = true;
        model.size++;
    }
    model.epoch++;
    model.boundary = true;
    for (unsigned i = 1; i <= model.count; i++)
        if (model.proposals[i].open && !model_runs(model.proposals[i].proposer))
            model.proposals[i].open = false;
    return CONTRACT_OK;
}

static enum contract_error model_propose(int who, enum proposal_kind kind, unsigned old,
                                         unsigned fresh, int newcomer)
{
    if (model.boundary)
        return CONTRACT_TOO_EARLY;
    if (!model_runs(who))
        return CONTRACT_NOT_PERMITTED;
    unsigned p = model.count + 1;
    memset(&model.proposals[p], 0, sizeof model.proposals[p]);
    model.proposals[p].kind = kind;
    model.proposals[p].old = old;
    model.proposals[p].fresh = fresh;
    model.proposals[p].newcomer = newcomer;
    model.proposals[p].proposer = who;
    enum contract_error error = model_possible(p);
    if (error != CONTRACT_OK)
        return error;
    for (unsigned i = 1; i <= model.count; i++)
        if (model.proposals[i].proposer == who)
            model.proposals[i].open = false;
    model.count = p;
    model.proposals[p].open = true;
    for (unsigned k = 1; k < MODEL_KEYS; k++)
        if (model.owner[k] == who)
            model.proposals[p].said[k] = 1;
    return model_decide(p);
}

static enum contract_error model_vote(int who, unsigned p, bool approve)
{
    if (model.boundary)
        return CONTRACT_TOO_EARLY;
    if (!model_runs(who))
        return CONTRACT_NOT_PERMITTED;
    if (p == 0 || p > model.count)
        return CONTRACT_UNKNOWN_PROPOSAL;
    if (!model.proposals[p].open)
        return CONTRACT_PROPOSAL_NOT_OPEN;
    int before[MODEL_KEYS];
    memcpy(before, model.proposals[p].said, sizeof before);
    for (unsigned k = 1; k < MODEL_KEYS; k++)
        if (model.owner[k] == who)
            model.proposals[p].said[k] = approve ? 1 : -1;
    enum contract_error error = model_decide(p);
    if (error != CONTRACT_OK)
        memcpy(model.proposals[p].said, before, sizeof before);
    return error;
}

static void model_compare(void)
{
    struct params_record record = params();
    assert_int_equal(model.size, record.validator_count);
    for (unsigned k = 1; k < MODEL_KEYS; k++)
        assert_int_equal(model.owner[k] >= 0, in_set(k));
    struct governance_record current = governance();
    unsigned open = 0;
    for (unsigned i = 1; i <= model.count; i++) {
        open += model.proposals[i].open;
        assert_int_equal(model.proposals[i].open, status_of(i) == PROPOSAL_OPEN);
    }
    assert_int_equal(open, current.open_count);
    assert_int_equal(model.epoch, current.epoch);
    assert_int_equal(model.count, current.proposals);
}

static void test_random_run(void **state)
{
    (void)state;
    struct dice dice = {.state = 20261123};
    unsigned statuses[CONTRACT_ERROR_COUNT] = {0};
    memset(&model, 0, sizeof model);
    for (unsigned k = 0; k < MODEL_KEYS; k++)
        model.owner[k] = k >= 1 && k <= 4 ? (int)k - 1 : -1;
    for (unsigned k = 1; k <= 4; k++)
        model.used[k] = true;
    model.size = 4;
    for (int step = 0; step < 600 && model.count < 60; step++) {
        int who = (int)dice_between(&dice, 0, MODEL_OPERATORS - 1);
        enum contract_error expected, actual;
        if (dice_between(&dice, 0, 9) < 2) {
            enum proposal_kind kind = (enum proposal_kind)dice_between(&dice, 0, 2);
            unsigned old =
                kind == PROPOSAL_ADD_VALIDATOR ? 0 : (unsigned)dice_between(&dice, 1, 20);
            unsigned fresh =
                kind == PROPOSAL_REMOVE_VALIDATOR ? 0 : (unsigned)dice_between(&dice, 3, 40);
            int newcomer = (int)dice_between(&dice, 0, MODEL_OPERATORS - 1);
            struct governance_propose terms = terms_of(kind, old, fresh, people[newcomer]);
            expected = model_propose(who, kind, old, fresh, newcomer);
            actual = propose(people[who], &terms);
        } else {
            unsigned p = (unsigned)dice_between(&dice, model.count > 4 ? model.count - 4 : 0,
                                                model.count + 1);
            bool approve = dice_between(&dice, 0, 9) < 8;
            expected = model_vote(who, p, approve);
            actual = vote(people[who], p, approve);
        }
        assert_status(expected, actual);
        statuses[actual]++;
        model_compare();
        if (dice_between(&dice, 0, 3) == 0) {
            fixture_next_block(&fixture, FIXTURE_BLOCK_MS);
            model.boundary = false;
        }
    }
    assert_true(model.epoch > 5);
    assert_true(statuses[CONTRACT_OK] > 50 && statuses[CONTRACT_TOO_EARLY] > 0 &&
                statuses[CONTRACT_PROPOSAL_NOT_OPEN] > 0 &&
                statuses[CONTRACT_UNKNOWN_VALIDATOR] > 0 && statuses[CONTRACT_NOT_PERMITTED] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_propose, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vote, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rejection_and_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evidence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evidence_after_removal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_run, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
