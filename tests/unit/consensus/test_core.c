/* One core, driven by hand: what peers may throw at it, the rolled-back-disk rule, the time rule,
 * a contradicted notarization, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/consensus/cluster.h"

static struct bft_config config;
static struct secret_key seeds[LIMIT_VALIDATORS];
static struct bft *core;
static struct bft_effects effects;
static uint64_t now_ms;
static const int64_t wall_ms = 1700000100000;

enum { SELF = 0 };

static void create(void)
{
    struct validator_set set;
    cluster_keys(&set, seeds, 4);
    cluster_config_for(&config, 4, SELF);
    if (core == NULL)
        core = malloc(bft_size(4));
    assert_non_null(bft_create(core, &config));
    core->signing = *cluster_signing();
    now_ms = 1000;
}

static void step(struct bft_input input)
{
    input.now_ms = now_ms;
    input.wall = timestamp_of(wall_ms);
    bft_step(core, &input, &effects);
    /* Records first, whatever the input. */
    for (uint32_t i = 1; i < effects.count; i++)
        assert_false(effects.items[i].kind <= BFT_PERSIST_CERTIFIED &&
                     effects.items[i - 1].kind > BFT_PERSIST_CERTIFIED);
}

static const struct bft_effect *effect(enum bft_effect_kind kind)
{
    for (uint32_t i = 0; i < effects.count; i++)
        if (effects.items[i].kind == kind)
            return &effects.items[i];
    return NULL;
}

static struct vote vote_of(uint8_t kind, uint64_t view, const struct hash *id, uint8_t signer)
{
    static const struct hash none;
    struct vote vote = {.kind = kind, .view = view, .block_id = id ? *id : none, .signer = signer};
    struct hash message;
    vote_message(&message, &config.genesis, kind, 0, view, &vote.block_id);
    core->signing.sign(&vote.signature, &seeds[signer], &message);
    return vote;
}

static struct certificate certificate_of(uint8_t kind, uint64_t view, const struct hash *id)
{
    struct certificate certificate = {.kind = kind, .view = view, .count = 3};
    for (uint8_t i = 0; i < 3; i++) {
        struct vote vote = vote_of(kind, view, id, (uint8_t)(i + 1));
        certificate.block_id = vote.block_id;
        certificate.entries[i].signer = vote.signer;
        certificate.entries[i].signature = vote.signature;
    }
    return certificate;
}

static void hear_high_vote(int from, const struct vote *vote)
{
    step((struct bft_input){.kind = BFT_INPUT_HIGH_VOTE,
                            .from = from,
                            .reply_to = from,
                            .key = config.set.validators[SELF].key,
                            .question = config.jitter_seed,
                            .epoch = config.epoch,
                            .vote = vote});
}

static void start_trusted(void)
{
    create();
    step((struct bft_input){.kind = BFT_INPUT_START, .from = BFT_PEER_NONE});
    hear_high_vote(1, NULL);
    hear_high_vote(2, NULL);
}

static struct block_header header_of(uint64_t view, int64_t time_ms)
{
    return (struct block_header){.version = BLOCK_HEADER_VERSION,
                                 .genesis = config.genesis,
                                 .height = 1,
                                 .view = view,
                                 .parent_id = config.genesis,
                                 .time = timestamp_of(time_ms)};
}

static struct hash propose(const struct block_header *header)
{
    static struct message_proposal proposal;
    struct hash id;
    block_header_id(&id, header);
    memset(&proposal, 0, sizeof proposal);
    proposal.header = *header;
    const uint8_t leader = (uint8_t)validator_set_leader(&config.set, 0, header->view);
    proposal.vote = vote_of(VOTE_NOTARIZE, header->view, &id, leader);
    step((struct bft_input){
        .kind = BFT_INPUT_PROPOSAL, .from = leader, .reply_to = leader, .proposal = &proposal});
    return id;
}

static void executed(const struct hash *id, enum bft_verdict verdict)
{
    step((struct bft_input){
        .kind = BFT_INPUT_EXECUTED, .from = BFT_PEER_NONE, .block_id = *id, .verdict = verdict});
}

static void memory_is_bounded(void **state)
{
    (void)state;
    print_message("bytes: n=4 %zu, n=31 %zu\n", bft_size(4), bft_size(31));
    assert_true(bft_size(4) <= (size_t)20 << 20);
    assert_true(bft_size(31) <= (size_t)150 << 20);
}

static void illegal_configurations(void **state)
{
    (void)state;
    create();
    struct bft_config bad = config;
    bad.seed.bytes[7] ^= 1; /* a key that is not in the set */
    assert_null(bft_create(core, &bad));
    bad = config;
    bad.timing.delta_ms = 0;
    assert_null(bft_create(core, &bad));
    bad = config;
    bad.set.count = 3;
    assert_null(bft_create(core, &bad));
}

static void votes_only_after_a_quorum_answered(void **state)
{
    (void)state;
    create();
    step((struct bft_input){.kind = BFT_INPUT_START, .from = BFT_PEER_NONE});
    assert_non_null(effect(BFT_SEND_GET_HIGH_VOTE));
    struct block_header header = header_of(1, wall_ms);
    struct hash id = propose(&header);
    hear_high_vote(1, NULL);
    hear_high_vote(1, NULL); /* one peer counts once */
    assert_null(effect(BFT_PERSIST_VOTE));
    assert_null(effect(BFT_EXECUTE));
    hear_high_vote(3, NULL);
    assert_non_null(effect(BFT_EXECUTE));
    executed(&id, BFT_VERDICT_VALID);
    assert_int_equal(effects.items[0].kind, BFT_PERSIST_BLOCK);
    assert_int_equal(effects.items[1].kind, BFT_PERSIST_VOTE);
    assert_non_null(effect(BFT_PERSIST_PEER_VOTE)); /* the leader's, beside an own vote */
    assert_non_null(effect(BFT_SEND_VOTE));
    assert_false(core->ring == NULL);
    const struct bft_slot *slot = bft_slot_find(core, 1);
    assert_int_equal(slot->seen[VOTE_NOTARIZE] >> SELF & 1, 0); /* not before the sync */
    step((struct bft_input){.kind = BFT_INPUT_PERSISTED, .from = BFT_PEER_NONE});
    assert_int_equal(slot->seen[VOTE_NOTARIZE] >> SELF & 1, 1);
}

/* Who is in a later epoch knows no votes of this one, whatever there were [C-ROLLBACK.LATER]. */
static void answers_of_other_times_do_not_count(void **state)
{
    (void)state;
    create();
    step((struct bft_input){.kind = BFT_INPUT_START, .from = BFT_PEER_NONE});
    for (int from = 1; from <= 3; from++)
        step((struct bft_input){.kind = BFT_INPUT_HIGH_VOTE,
                                .from = from,
                                .reply_to = from,
                                .key = config.set.validators[SELF].key,
                                .question = config.jitter_seed,
                                .epoch = config.epoch + 1});
    for (int from = 1; from <= 3; from++) /* nor an answer to an earlier life [C-ROLLBACK.STALE] */
        step((struct bft_input){.kind = BFT_INPUT_HIGH_VOTE,
                                .from = from,
                                .reply_to = from,
                                .key = config.set.validators[SELF].key,
                                .question = config.jitter_seed + 1,
                                .epoch = config.epoch});
    assert_false(view_may_vote(core));
    hear_high_vote(1, NULL);
    assert_false(view_may_vote(core));
    hear_high_vote(3, NULL);
    assert_true(view_may_vote(core));
}

static void rolled_back_disk_is_noticed(void **state)
{
    (void)state;
    struct vote lost, forged;
    create();
    step((struct bft_input){.kind = BFT_INPUT_START, .from = BFT_PEER_NONE});
    lost = vote_of(VOTE_NULLIFY, 5, NULL, SELF);
    forged = lost;
    forged.signature.bytes[0] ^= 1;
    hear_high_vote(1, &forged); /* nobody can silence a node by an invention */
    assert_non_null(effect(BFT_STRIKE));
    assert_null(effect(BFT_ALARM));
    hear_high_vote(2, &lost);
    assert_non_null(effect(BFT_ALARM));
    struct bft_view_status status;
    bft_status(core, &status);
    assert_non_null(status.refusal);
    hear_high_vote(1, NULL);
    hear_high_vote(3, NULL);
    now_ms += 100000;
    step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
    assert_null(effect(BFT_PERSIST_VOTE));
    assert_true(bft_deadline_ms(core) > now_ms); /* and it does not spin */
}

/* A restored home refuses before its journal is read; that says nothing about what the journal holds. */
static void a_refusal_does_not_taint_the_journal(void **state)
{
    (void)state;
    create();
    struct certificate skipped = certificate_of(VOTE_NULLIFY, 1, NULL);
    bft_refuse_to_vote(core, "restored from a backup");
    assert_true(bft_replay_certificate(core, &skipped));
    skipped.count = 0;
    assert_false(bft_replay_certificate(core, &skipped));
}

static void own_votes_of_the_journal_are_known(void **state)
{
    (void)state;
    create();
    struct vote u = vote_of(VOTE_NULLIFY, 1, NULL, SELF);
    struct hash id = config.genesis;
    struct vote f = vote_of(VOTE_FINALIZE, 1, &id, SELF), n = vote_of(VOTE_NOTARIZE, 1, &id, SELF);
    assert_true(bft_replay_vote(core, &u));
    assert_true(bft_replay_vote(core, &u));
    assert_false(bft_replay_vote(core, &f)); /* U and F of one view */
    assert_false(bft_replay_vote(core, &n)); /* N after U */
    step((struct bft_input){.kind = BFT_INPUT_START, .from = BFT_PEER_NONE});
    hear_high_vote(1, &u);
    assert_null(effect(BFT_ALARM));
    hear_high_vote(2, &u);
    assert_true(view_may_vote(core));
}

static void time_rule(void **state)
{
    (void)state;
    static const struct {
        int64_t offset_ms;
        bool good;
    } rows[] = {{500, true}, {501, false}, {-870, true}, {-871, false}, {0, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start_trusted(); /* t_cert = 3 * 100 + 20 + 50 */
        struct block_header header = header_of(1, wall_ms + rows[i].offset_ms);
        struct hash id = propose(&header);
        executed(&id, BFT_VERDICT_VALID);
        const struct bft_effect *vote = effect(BFT_PERSIST_VOTE);
        assert_non_null(vote);
        assert_int_equal(vote->vote.kind, rows[i].good ? VOTE_NOTARIZE : VOTE_NULLIFY);
    }
}

static void notarized_block_that_does_not_execute(void **state)
{
    (void)state;
    start_trusted();
    struct block_header header = header_of(1, wall_ms);
    struct hash id = propose(&header);
    struct certificate notarization = certificate_of(VOTE_NOTARIZE, 1, &id);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &notarization});
    assert_null(effect(BFT_ALARM));
    executed(&id, BFT_VERDICT_INVALID);
    assert_non_null(effect(BFT_ALARM));
    assert_false(view_may_vote(core));
}

/* The rules of a block are not in this program: it alarms over none of them, however many leaders propose
 * one, keeps its vote for what lies below, and gives each view up in its time. */
static void blocks_under_rules_that_are_not_here(void **state)
{
    (void)state;
    start_trusted();
    struct block_header last = header_of(1, wall_ms);
    struct hash last_id = propose(&last);
    executed(&last_id, BFT_VERDICT_VALID);
    struct certificate notarization = certificate_of(VOTE_NOTARIZE, 1, &last_id);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &notarization});
    assert_int_equal(core->view, 2);
    for (uint64_t view = 2; view < 2 + 3 * BFT_EXECUTIONS; view++) {
        if (validator_set_leader(&config.set, 0, view) != SELF) {
            struct block_header next = header_of(view, wall_ms + (int64_t)view);
            next.parent_id = last_id;
            next.parent_view = 1;
            next.height = 2;
            struct hash id = propose(&next);
            assert_non_null(effect(BFT_EXECUTE)); /* none takes another one's place */
            executed(&id, BFT_VERDICT_NOT_YET);
            assert_null(effect(BFT_PERSIST_VOTE));
            struct certificate said = certificate_of(VOTE_NOTARIZE, view, &id);
            step((struct bft_input){
                .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &said});
            assert_null(effect(BFT_ALARM));
        }
        struct certificate skipped = certificate_of(VOTE_NULLIFY, view, NULL);
        step((struct bft_input){
            .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &skipped});
        assert_int_equal(core->view, view + 1);
    }
    assert_true(view_may_vote(core));
    struct certificate final = certificate_of(VOTE_FINALIZE, 1, &last_id);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &final});
    assert_non_null(effect(BFT_DECIDE));
}

/* A leader that cannot build gives its view up at once; a late answer is no answer. */
static void failed_build(void **state)
{
    (void)state;
    static const struct block_header nothing;
    start_trusted();
    for (uint64_t view = 1; view < 4; view++) {
        struct certificate skipped = certificate_of(VOTE_NULLIFY, view, NULL);
        step((struct bft_input){
            .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &skipped});
    }
    now_ms += config.timing.max_idle_ms; /* view 4 is ours */
    step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
    const struct bft_effect *build = effect(BFT_BUILD);
    assert_non_null(build);
    assert_int_equal(build->view, 4);
    assert_int_equal(build->height, 1);
    step((struct bft_input){.kind = BFT_INPUT_BUILT,
                            .from = BFT_PEER_NONE,
                            .header = &nothing,
                            .view = 3,
                            .failed = true});
    assert_null(effect(BFT_PERSIST_VOTE));
    step((struct bft_input){.kind = BFT_INPUT_BUILT,
                            .from = BFT_PEER_NONE,
                            .header = &nothing,
                            .view = 4,
                            .failed = true});
    now_ms += 2 * config.timing.delta_ms; /* [C-NULLIFY.PACE] three views have passed already */
    step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
    assert_non_null(effect(BFT_PERSIST_VOTE));
    assert_int_equal(effect(BFT_PERSIST_VOTE)->vote.kind, VOTE_NULLIFY);
}

static void evidence_comes_once(void **state)
{
    (void)state;
    start_trusted();
    struct hash a = config.genesis, b = config.genesis;
    b.bytes[0] ^= 1;
    struct vote votes[3] = {vote_of(VOTE_FINALIZE, 1, &a, 3), vote_of(VOTE_FINALIZE, 1, &b, 3),
                            vote_of(VOTE_NULLIFY, 1, NULL, 3)};
    static const uint32_t expected[] = {0, 1, 1, 0, 0, 0};
    for (uint32_t i = 0; i < 6; i++) {
        step((struct bft_input){
            .kind = BFT_INPUT_VOTE, .from = 3, .reply_to = 3, .vote = &votes[i % 3]});
        uint32_t found = 0;
        for (uint32_t k = 0; k < effects.count; k++)
            found += effects.items[k].kind == BFT_EVIDENCE;
        assert_int_equal(found, expected[i]);
    }
}

/* After a long outage the timeouts are long too: those who come back follow the f + 1 who have
 * waited already, at least one of them honest, and don't wait once more. */
static void nullify_with_f_plus_one(void **state)
{
    (void)state;
    start_trusted();
    uint32_t leader = validator_set_leader(&config.set, 0, 1);
    uint32_t said = 0;
    for (uint32_t signer = 0; signer < 4; signer++) {
        if (signer == SELF || signer == leader)
            continue;
        struct vote vote = vote_of(VOTE_NULLIFY, 1, NULL, (uint8_t)signer);
        step((struct bft_input){
            .kind = BFT_INPUT_VOTE, .from = (int)signer, .reply_to = (int)signer, .vote = &vote});
        said++;
        const struct bft_effect *own = effect(BFT_PERSIST_VOTE);
        if (said < 2) {
            assert_null(own);
        } else {
            assert_non_null(own);
            assert_int_equal(own->vote.kind, VOTE_NULLIFY);
            assert_int_equal(own->vote.view, 1);
        }
    }
    assert_int_equal(said, 2);
}

/* Into `view` at once: the others have nullified the one before it. */
static void enter(uint64_t view)
{
    struct certificate certificate = certificate_of(VOTE_NULLIFY, view - 1, NULL);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &certificate});
    assert_int_equal(core->view, view);
}

/* The current view, just entered and led by another, is given up at that time and no earlier. */
static void gives_up_after(uint64_t wait_ms, bool leader_refuses)
{
    const uint64_t view = core->view;
    const uint8_t leader = (uint8_t)validator_set_leader(&config.set, config.epoch, view);
    const struct bft_slot *slot = bft_slot_find(core, view);
    assert_int_not_equal(leader, SELF);
    assert_int_equal(core->entry_ms, now_ms);
    if (leader_refuses) {
        struct vote vote = vote_of(VOTE_NULLIFY, view, NULL, leader);
        step((struct bft_input){
            .kind = BFT_INPUT_VOTE, .from = leader, .reply_to = leader, .vote = &vote});
    }
    if (wait_ms > 0) {
        now_ms += wait_ms - 1;
        step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
        assert_int_equal(slot->own[VOTE_NULLIFY], BFT_OWN_NONE);
        now_ms++;
        step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
    }
    assert_int_not_equal(slot->own[VOTE_NULLIFY], BFT_OWN_NONE);
}

static uint64_t pause_ms(int views_since_final)
{
    uint64_t scaled_ms = config.timing.delta_ms;
    for (int k = 0; k < views_since_final; k++)
        scaled_ms = scaled_ms * config.timing.backoff_permille / 1000;
    return scaled_ms - config.timing.delta_ms;
}

/* Refusals without end, by leaders or of their blocks, may not use up the window [C-NULLIFY.PACE]. */
static void refused_views_slow_down(void **state)
{
    (void)state;
    start_trusted();
    gives_up_after(0, true); /* view 1 */
    enter(2);
    gives_up_after(0, true); /* f liars may lead in a row */
    enter(3);
    gives_up_after(pause_ms(2), true);
    enter(101);
    gives_up_after(config.timing.timeout_cap_ms - config.timing.delta_ms, true);
}

/* [C-TIMEOUT.WINDOW] The window is not used up by waiting either. */
static void the_last_views_last_longest(void **state)
{
    (void)state;
    start_trusted();
    const uint64_t cap_ms = config.timing.timeout_cap_ms;
    enter(BFT_VIEWS_PLENTY + 1);
    gives_up_after(cap_ms, false);
    enter(BFT_VIEWS_PLENTY + BFT_VIEWS_DOUBLING + 1);
    gives_up_after(2 * cap_ms, false);
    enter(LIMIT_VIEW_WINDOW - 1);
    gives_up_after(cap_ms << (LIMIT_VIEW_WINDOW - 2 - BFT_VIEWS_PLENTY) / BFT_VIEWS_DOUBLING,
                   false);
    /* One finalization, and views are short again. */
    struct hash id = config.genesis;
    struct certificate final = certificate_of(VOTE_FINALIZE, LIMIT_VIEW_WINDOW - 3, &id);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &final});
    enter(LIMIT_VIEW_WINDOW + 1);
    gives_up_after(pause_ms(3), true);
}

static void contradicting_certificates_stop_the_vote(void **state)
{
    (void)state;
    start_trusted();
    struct hash a = config.genesis;
    struct certificate n = certificate_of(VOTE_NULLIFY, 1, NULL);
    struct certificate f = certificate_of(VOTE_FINALIZE, 1, &a);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &n});
    assert_non_null(effect(BFT_PERSIST_CERTIFICATE));
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &n});
    assert_null(effect(BFT_PERSIST_CERTIFICATE)); /* once */
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &f});
    assert_non_null(effect(BFT_PERSIST_CERTIFICATE)); /* both are kept */
    assert_non_null(effect(BFT_ALARM));
}

/* Bodies are kept of an answer only if hashes and signatures lead to a finalization. */
static void only_a_finalized_range_is_taken(void **state)
{
    (void)state;
    static struct message_range range;
    start_trusted();
    struct block_header header = header_of(1, wall_ms);
    struct hash id;
    block_header_id(&id, &header);
    memset(&range, 0, sizeof range);
    range.block_count = 1;
    range.blocks[0].header = header;
    range.finalization = certificate_of(VOTE_FINALIZE, 1, &id);
    assert_true(bft_takes_range(core, &range));
    range.blocks[0].header.height = UINT64_MAX; /* another block than the certificate's */
    assert_false(bft_takes_range(core, &range));
    range.blocks[0].header = header;
    range.finalization.entries[2].signature.bytes[7] ^= 1;
    assert_false(bft_takes_range(core, &range));
    range.finalization = certificate_of(VOTE_NOTARIZE, 1, &id);
    assert_false(bft_takes_range(core, &range));
    range.finalization = certificate_of(VOTE_FINALIZE, 1, &id);
    range.finalization.epoch = 1;
    assert_false(bft_takes_range(core, &range));
    range.finalization = certificate_of(VOTE_FINALIZE, 2, &id);
    assert_false(bft_takes_range(core, &range));
    range.finalization = certificate_of(VOTE_FINALIZE, 1, &id);
    range.finalization.view = 0; /* what the core passes over in silence is not kept either */
    assert_false(bft_takes_range(core, &range));
    range.finalization = certificate_of(VOTE_FINALIZE, 1, &id);
    range.block_count = 0;
    assert_false(bft_takes_range(core, &range));
}

/* The id of a finalization that is known, with signatures of the answering peer's own making: what is
 * decided, kept and shown to others is the finalization that was verified. */
static void a_range_is_decided_with_the_verified_finalization(void **state)
{
    (void)state;
    static struct message_range range;
    start_trusted();
    struct block_header header = header_of(1, wall_ms);
    struct hash id;
    block_header_id(&id, &header);
    struct certificate known = certificate_of(VOTE_FINALIZE, 1, &id);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &known});
    assert_null(effect(BFT_DECIDE)); /* the block is not here */
    memset(&range, 0, sizeof range);
    range.block_count = 1;
    range.blocks[0].header = header;
    range.finalization = known;
    range.finalization.entries[1].signature.bytes[7] ^= 1;
    step((struct bft_input){.kind = BFT_INPUT_RANGE, .from = 1, .reply_to = 1, .range = &range});
    const struct bft_effect *decided = effect(BFT_DECIDE);
    assert_non_null(decided);
    assert_non_null(decided->certificate);
    for (uint32_t i = 0; i < known.count; i++)
        assert_memory_equal(decided->certificate->entries[i].signature.bytes,
                            known.entries[i].signature.bytes, SIGNATURE_SIZE);
}

/* More than f lie: a final block stands on another block of view 1 than the notarized one, and this
 * node has the header of both. It says so, and decides nothing through that view. */
static void a_path_through_another_notarized_block_decides_nothing(void **state)
{
    (void)state;
    static struct message_proposal proposal;
    enum { NEXT_LEADER = 2 };
    start_trusted();
    struct block_header below = header_of(1, wall_ms);
    struct hash below_id = propose(&below), other = below_id, id;
    other.bytes[0] ^= 1;
    struct certificate notarized = certificate_of(VOTE_NOTARIZE, 1, &other);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &notarized});
    struct block_header header = header_of(2, wall_ms + 1);
    header.height = 2;
    header.parent_view = 1;
    header.parent_id = below_id;
    block_header_id(&id, &header);
    memset(&proposal, 0, sizeof proposal);
    proposal.header = header;
    proposal.vote = vote_of(VOTE_NOTARIZE, 2, &id, NEXT_LEADER);
    step((struct bft_input){.kind = BFT_INPUT_PROPOSAL,
                            .from = NEXT_LEADER,
                            .reply_to = NEXT_LEADER,
                            .proposal = &proposal});
    assert_null(effect(BFT_ALARM));
    struct certificate final = certificate_of(VOTE_FINALIZE, 2, &id);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &final});
    assert_non_null(effect(BFT_ALARM));
    assert_null(effect(BFT_DECIDE));
}

/* Any numbers, any flags, from anybody: no crash, no own vote that excludes another. */
static void hostile_inputs(void **state)
{
    (void)state;
    static struct message_proposal proposal;
    static struct message_range range;
    static uint8_t headers[BLOCK_HEADER_SIZE];
    uint64_t x = 88172645463325252ULL;
    static const uint64_t views[] = {0, 1, 2, 3, 64, 4095, 4096, 4097, UINT64_MAX / 2, UINT64_MAX};
    start_trusted();
    for (int i = 0; i < 60000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t view = views[x % 10];
        struct hash id = config.genesis;
        id.bytes[0] = (uint8_t)(x >> 8 & 3);
        struct vote vote = vote_of((uint8_t)((x >> 10) % 3), view, &id, (uint8_t)(x >> 12 & 3));
        vote.kind = (uint8_t)(x >> 14 & 3);
        vote.signer = (uint8_t)((x >> 16 & 7) == 0 ? x >> 20 : vote.signer);
        struct certificate certificate = certificate_of(VOTE_NULLIFY, view, NULL);
        certificate.kind = (uint8_t)(x >> 24 & 3);
        certificate.count = (uint32_t)((x >> 26 & 3) == 0 ? x >> 40 : 3);
        certificate.entries[1].signer = (uint8_t)((x >> 28 & 3) == 0 ? x >> 30 : 2);
        struct block_header header = header_of(view, wall_ms);
        header.parent_view = views[(x >> 32) % 10];
        header.height = views[(x >> 36) % 10];
        proposal.header = range.blocks[0].header = header;
        proposal.vote = vote;
        proposal.parent_certificate = certificate;
        proposal.has_parent_certificate = (x >> 40 & 1) != 0;
        range.block_count = (uint32_t)(x >> 41 & 1);
        range.header_count = (uint32_t)(x >> 42 & 1);
        range.headers = bytes_view_of(headers, range.header_count * sizeof headers);
        range.finalization = certificate;
        struct message_status status = {0, view, header.height, header.parent_view};
        struct bft_input input = {.kind = (enum bft_input_kind)(x >> 44 & 15),
                                  .from = (int)(x >> 48 & 7) - 2,
                                  .reply_to = 1,
                                  .header = &header,
                                  .vote = &vote,
                                  .certificate = &certificate,
                                  .proposal = &proposal,
                                  .range = &range,
                                  .status = &status,
                                  .key = config.set.validators[x >> 52 & 3].key,
                                  .block_id = id,
                                  .view = view};
        bool from_peer = input.kind >= BFT_INPUT_PROPOSAL && input.kind <= BFT_INPUT_HIGH_VOTE;
        if (!from_peer)
            input.kind = BFT_INPUT_TICK;
        now_ms += x >> 60;
        step(input);
    }
    assert_true(core->view < LIMIT_VIEW_WINDOW + 1);
    assert_int_equal(core->decided_height, 0);
}

/* A signer that answers as it is told to, with the seed of the core that asks. */
static enum bft_sign_result signer_says[VOTE_KIND_COUNT];
static uint32_t signer_asked[VOTE_KIND_COUNT];

static enum bft_sign_result sign_outside(void *context, struct vote *vote)
{
    assert_ptr_equal(context, &config);
    signer_asked[vote->kind]++;
    if (signer_says[vote->kind] == BFT_SIGNED)
        *vote = vote_of(vote->kind, vote->view, &vote->block_id, vote->signer);
    return signer_says[vote->kind];
}

static void signer_is(bool available)
{
    step((struct bft_input){
        .kind = BFT_INPUT_SIGNER, .from = BFT_PEER_NONE, .available = available});
}

/* A trusted core with a signer in the place of its seed, and a proposal for view 1 that is executed. */
static struct hash proposal_with_signer(bool available)
{
    struct validator_set set;
    cluster_keys(&set, seeds, 4);
    cluster_config_for(&config, 4, SELF);
    config.key = config.set.validators[SELF].key;
    memset(&config.seed, 0, sizeof config.seed);
    config.sign = sign_outside;
    config.sign_context = &config;
    if (core == NULL)
        core = malloc(bft_size(4));
    assert_non_null(bft_create(core, &config));
    core->signing = *cluster_signing();
    now_ms = 1000;
    step((struct bft_input){.kind = BFT_INPUT_START, .from = BFT_PEER_NONE});
    hear_high_vote(1, NULL);
    hear_high_vote(2, NULL);
    if (available)
        signer_is(true);
    struct block_header header = header_of(1, wall_ms);
    struct hash id = propose(&header);
    executed(&id, BFT_VERDICT_VALID);
    return id;
}

static void a_signer_signs_and_is_waited_for(void **state)
{
    (void)state;
    memset(signer_says, 0, sizeof signer_says); /* BFT_SIGNED */
    memset(signer_asked, 0, sizeof signer_asked);
    struct hash id = proposal_with_signer(false);
    assert_null(effect(BFT_PERSIST_VOTE)); /* nobody has said that it answers */
    assert_int_equal(signer_asked[VOTE_NOTARIZE], 0);
    signer_is(true);
    assert_non_null(effect(BFT_EXECUTE)); /* nobody needed it before */
    executed(&id, BFT_VERDICT_VALID);
    assert_non_null(effect(BFT_PERSIST_VOTE));
    assert_memory_equal(&effect(BFT_PERSIST_VOTE)->vote.block_id, &id, HASH_SIZE);
    signer_is(false);
    struct bft_view_status status;
    bft_status(core, &status);
    assert_false(status.voting);
    struct certificate notarization = certificate_of(VOTE_NOTARIZE, 1, &id);
    step((struct bft_input){
        .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &notarization});
    assert_int_equal(core->view, 2); /* it follows */
    assert_null(effect(BFT_PERSIST_VOTE));
    signer_is(true);
    assert_non_null(effect(BFT_PERSIST_VOTE));
    assert_int_equal(effect(BFT_PERSIST_VOTE)->vote.kind, VOTE_FINALIZE);
}

static void a_signer_that_falls_silent_stops_the_votes(void **state)
{
    (void)state;
    memset(signer_asked, 0, sizeof signer_asked);
    signer_says[VOTE_NOTARIZE] = BFT_SIGN_AWAY;
    (void)proposal_with_signer(true);
    assert_int_equal(signer_asked[VOTE_NOTARIZE], 1);
    assert_null(effect(BFT_PERSIST_VOTE));
    for (int i = 0; i < 50; i++) {
        now_ms += 100;
        step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
        assert_null(effect(BFT_PERSIST_VOTE));
    }
    assert_int_equal(signer_asked[VOTE_NOTARIZE] + signer_asked[VOTE_NULLIFY], 1);
    signer_says[VOTE_NOTARIZE] = BFT_SIGNED;
    signer_is(true);
    assert_non_null(effect(BFT_PERSIST_VOTE)); /* one of the two, once it may */
}

static void a_vote_that_is_refused_is_not_asked_for_again(void **state)
{
    (void)state;
    memset(signer_asked, 0, sizeof signer_asked);
    signer_says[VOTE_NOTARIZE] = BFT_SIGN_REFUSED;
    signer_says[VOTE_NULLIFY] = BFT_SIGNED;
    (void)proposal_with_signer(true);
    assert_null(effect(BFT_PERSIST_VOTE));
    assert_null(effect(BFT_ALARM));
    bool nullified = false;
    for (int i = 0; i < 100 && !nullified; i++) {
        now_ms += 10;
        step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
        nullified = effect(BFT_PERSIST_VOTE) != NULL;
    }
    assert_true(nullified); /* the view is given up at its own time */
    assert_int_equal(effect(BFT_PERSIST_VOTE)->vote.kind, VOTE_NULLIFY);
    assert_int_equal(signer_asked[VOTE_NOTARIZE], 1);
    /* And one that may not even nullify waits for the others. */
    signer_says[VOTE_NULLIFY] = BFT_SIGN_REFUSED;
    memset(signer_asked, 0, sizeof signer_asked);
    (void)proposal_with_signer(true);
    for (int i = 0; i < 100; i++) {
        now_ms += 100;
        step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
        assert_null(effect(BFT_PERSIST_VOTE));
    }
    assert_int_equal(signer_asked[VOTE_NULLIFY], 1);
}

/* Its own block that it must not sign for is never sent: the leader gives its view up. */
static void a_leader_without_a_signature_sends_no_proposal(void **state)
{
    (void)state;
    signer_says[VOTE_NOTARIZE] = BFT_SIGN_REFUSED;
    signer_says[VOTE_NULLIFY] = BFT_SIGNED;
    (void)proposal_with_signer(true);
    for (uint64_t view = 1; view < 4; view++) {
        struct certificate skipped = certificate_of(VOTE_NULLIFY, view, NULL);
        step((struct bft_input){
            .kind = BFT_INPUT_CERTIFICATE, .from = 1, .reply_to = 1, .certificate = &skipped});
    }
    now_ms += config.timing.max_idle_ms;
    step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
    assert_non_null(effect(BFT_BUILD));
    struct block_header header = header_of(4, wall_ms);
    validator_set_hash(&header.next_set, &config.set);
    step((struct bft_input){
        .kind = BFT_INPUT_BUILT, .from = BFT_PEER_NONE, .header = &header, .view = 4});
    assert_null(effect(BFT_SEND_PROPOSAL));
    now_ms += 2 * config.timing.delta_ms;
    step((struct bft_input){.kind = BFT_INPUT_TICK, .from = BFT_PEER_NONE});
    assert_non_null(effect(BFT_PERSIST_VOTE));
    assert_int_equal(effect(BFT_PERSIST_VOTE)->vote.kind, VOTE_NULLIFY);
}

static int finish(void **state)
{
    (void)state;
    free(core);
    core = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(illegal_configurations),
        cmocka_unit_test(votes_only_after_a_quorum_answered),
        cmocka_unit_test(answers_of_other_times_do_not_count),
        cmocka_unit_test(rolled_back_disk_is_noticed),
        cmocka_unit_test(a_refusal_does_not_taint_the_journal),
        cmocka_unit_test(own_votes_of_the_journal_are_known),
        cmocka_unit_test(time_rule),
        cmocka_unit_test(notarized_block_that_does_not_execute),
        cmocka_unit_test(blocks_under_rules_that_are_not_here),
        cmocka_unit_test(failed_build),
        cmocka_unit_test(evidence_comes_once),
        cmocka_unit_test(nullify_with_f_plus_one),
        cmocka_unit_test(refused_views_slow_down),
        cmocka_unit_test(the_last_views_last_longest),
        cmocka_unit_test(contradicting_certificates_stop_the_vote),
        cmocka_unit_test(only_a_finalized_range_is_taken),
        cmocka_unit_test(a_range_is_decided_with_the_verified_finalization),
        cmocka_unit_test(a_path_through_another_notarized_block_decides_nothing),
        cmocka_unit_test(a_signer_signs_and_is_waited_for),
        cmocka_unit_test(a_signer_that_falls_silent_stops_the_votes),
        cmocka_unit_test(a_vote_that_is_refused_is_not_asked_for_again),
        cmocka_unit_test(a_leader_without_a_signature_sends_no_proposal),
        cmocka_unit_test(hostile_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
