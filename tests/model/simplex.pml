/* The voting rules of consensus (docs/spec/consensus.md, R1-R8) for spin: four validators of which
 * one lies. docs/spec/consensus-model.md says what is proven, what is left out and why that is sound,
 * and what the last run gave. tests/model/run.sh runs it.
 *
 *   -DVIEWS=n                  views 1..n, at most 5
 *   -DFINALIZE_AFTER_NULLIFY   mutant: R7 forgets "not votedU"
 *   -DSKIP_ANCESTRY            mutant: R4 forgets the nullifications of skipped views
 *   -DAMNESIA                  mutant: votes to notarize are not durable
 *
 * Abstractions, each of which only adds behaviours:
 *   1. Every leader may lie: in every view there may be two blocks, with any notarized parents.
 *   2. The liar signs everything, so a certificate exists once two honest validators have voted.
 *   3. What is signed is a shared set that only grows. A validator may act on what is in it or not;
 *      since no rule asks that something was NOT seen, this covers loss, delay and reordering.
 *   4. Votes are durable (R8, write rule), so a crash is a pause.
 *   5. Honest validators are interchangeable: their states are kept sorted. */
#ifndef VIEWS
#define VIEWS 4
#endif

#define NONE 255

/* A block is a number: 0 the genesis, 2(v-1)+1 and 2(v-1)+2 the two of view v. */
#define BLOCK(v, b) (2 * ((v) - 1) + (b))
#define VIEW_OF(k) (((k) + 1) / 2)
#define CHOICE_OF(k) (2 - ((k) % 2))

/* parent[k]: the parent of block k, NONE while nobody has proposed k. */
byte parent[2 * VIEWS + 1];

/* An honest validator: per view four bits, from the lowest: whether it signed N for block 1, N for
 * block 2, U, F. Above them its current view. */
int node[3];

#define NOTED(i, v) ((node[i] >> (4 * ((v) - 1))) & 3)
#define NULLED(i, v) ((node[i] >> (4 * ((v) - 1) + 2)) & 1)
#define FINALED(i, v) ((node[i] >> (4 * ((v) - 1) + 3)) & 1)
#define CURRENT(i) (node[i] >> (4 * VIEWS))
#define NOTE(b, v) ((b) << (4 * ((v) - 1)))
#define NULL_BIT(v) (4 << (4 * ((v) - 1)))
#define FINAL_BIT(v) (8 << (4 * ((v) - 1)))

/* R8: a quorum of three is two honest votes and the liar's. */
#define HAS_NOTED(i, v, b) ((NOTED(i, v) & (b)) != 0)
#define NOTARIZED(v, b) (HAS_NOTED(0, v, b) + HAS_NOTED(1, v, b) + HAS_NOTED(2, v, b) >= 2)
#define NULLIFIED(v) (NULLED(0, v) + NULLED(1, v) + NULLED(2, v) >= 2)
#define FINALIZED(v) (FINALED(0, v) + FINALED(1, v) + FINALED(2, v) >= 2)
#define ANY_NOTARIZED(v) (NOTARIZED(v, 1) || NOTARIZED(v, 2))
/* The block that a validator can certify (R5), and so finalize; agreement of two is asserted. */
#define THE_NOTARIZED(v) (NOTARIZED(v, 1) -> BLOCK(v, 1) : BLOCK(v, 2))

/* R4, ancestry: the parent is certified and every view between is nullified. */
#define PARENT_STANDS(p) ((p) == 0 || NOTARIZED(VIEW_OF(p), CHOICE_OF(p)))
#ifdef SKIP_ANCESTRY
#define SKIPPED(p, v) true
#else
#define PASSED(u, p, v) (VIEW_OF(p) >= (u) || (v) <= (u) || NULLIFIED(u))
#if VIEWS == 2
#define SKIPPED(p, v) PASSED(1, p, v)
#elif VIEWS == 3
#define SKIPPED(p, v) (PASSED(1, p, v) && PASSED(2, p, v))
#elif VIEWS == 4
#define SKIPPED(p, v) (PASSED(1, p, v) && PASSED(2, p, v) && PASSED(3, p, v))
#else
#define SKIPPED(p, v) (PASSED(1, p, v) && PASSED(2, p, v) && PASSED(3, p, v) && PASSED(4, p, v))
#endif
#endif

#ifdef AMNESIA
#define UNNOTED(i, v) true
#else
#define UNNOTED(i, v) (NOTED(i, v) == 0)
#endif

/* R4 but for the block itself. */
#define MAY_NOTARIZE(i, v, p) \
    (CURRENT(i) == (v) && UNNOTED(i, v) && !NULLED(i, v) && PARENT_STANDS(p) && SKIPPED(p, v))

#ifdef FINALIZE_AFTER_NULLIFY
#define MAY_FINALIZE(i, v) (!FINALED(i, v) && ANY_NOTARIZED(v))
#else
#define MAY_FINALIZE(i, v) (!FINALED(i, v) && !NULLED(i, v) && ANY_NOTARIZED(v))
#endif

hidden int swap;
hidden byte at;
hidden byte upper;

#define ORDER(a, b)                     \
    if                                  \
    :: node[a] > node[b] ->             \
        swap = node[a];                 \
        node[a] = node[b];              \
        node[b] = swap                  \
    :: else -> skip                     \
    fi

inline settle()
{
    ORDER(0, 1);
    ORDER(1, 2);
    ORDER(0, 1);
    swap = 0
}

/* Two finalized blocks lie on one chain: from the upper one the way down meets the lower one. */
inline on_one_chain(low, high)
{
    at = THE_NOTARIZED(high);
    do
    :: VIEW_OF(at) > low -> at = parent[at]
    :: else -> break
    od;
    assert(at == THE_NOTARIZED(low)); /* agreement (L4) */
    at = 0
}

inline check(v)
{
    assert(!(NOTARIZED(v, 1) && NOTARIZED(v, 2))); /* one notarized block per view (L1) */
    assert(!(NULLIFIED(v) && FINALIZED(v)));       /* never both (L2) */
    if
    :: FINALIZED(v) ->
        assert(ANY_NOTARIZED(v)); /* L3 */
        upper = 1;
        do
        :: upper > VIEWS -> break
        :: upper <= VIEWS && upper < v && FINALIZED(upper) ->
            on_one_chain(upper, v);
            upper++
        :: upper <= VIEWS && upper > v && FINALIZED(upper) ->
            on_one_chain(v, upper);
            upper++
        :: else -> upper++
        od;
        upper = 0
    :: else -> skip
    fi
}

/* R1: by nullification, or by notarization once certified. */
#define ENTER(i, v)                                                                      \
    :: d_step { CURRENT(i) < (v) && (NULLIFIED((v) - 1) || ANY_NOTARIZED((v) - 1)) -> \
        node[i] = node[i] + (((v) - CURRENT(i)) << (4 * VIEWS));                         \
        settle() }

/* R6. */
#define NULLIFY(i, v)                                                                    \
    :: d_step { CURRENT(i) == (v) && !FINALED(i, v) && !NULLED(i, v) ->                  \
        node[i] = node[i] | NULL_BIT(v);                                                 \
        settle();                                                                        \
        check(v) }

/* R7: also for a view left behind, also without an own vote to notarize. */
#define FINALIZE(i, v)                                                                   \
    :: d_step { MAY_FINALIZE(i, v) ->                                                    \
        node[i] = node[i] | FINAL_BIT(v);                                                \
        settle();                                                                        \
        check(v) }

/* R4 for a block that somebody has voted for before. */
#define NOTARIZE(i, v, b)                                                                \
    :: d_step { parent[BLOCK(v, b)] != NONE && MAY_NOTARIZE(i, v, parent[BLOCK(v, b)]) -> \
        node[i] = node[i] | NOTE(b, v);                                                  \
        settle();                                                                        \
        check(v) }

/* A leader's block shows when the first honest validator votes for it; the second block of a view
 * after the first. */
#define PROPOSE(i, v, b, p)                                                              \
    :: d_step { VIEW_OF(p) < (v) && parent[BLOCK(v, b)] == NONE &&                       \
                ((b) == 1 || parent[BLOCK(v, 1)] != NONE) &&                             \
                ((p) == 0 || parent[p] != NONE) && MAY_NOTARIZE(i, v, p) ->              \
        parent[BLOCK(v, b)] = (p);                                                       \
        node[i] = node[i] | NOTE(b, v);                                                  \
        settle();                                                                        \
        check(v) }

#define PROPOSE_ON(i, v, p) PROPOSE(i, v, 1, p) PROPOSE(i, v, 2, p)
#define ACT(i, v) NULLIFY(i, v) FINALIZE(i, v) NOTARIZE(i, v, 1) NOTARIZE(i, v, 2)
#define EVERY(i, v) ACT(i, v) PROPOSE_ON(i, v, 0)

#define VIEW1(i) EVERY(i, 1)
#define ABOVE1(i, v) ENTER(i, v) PROPOSE_ON(i, v, 1) PROPOSE_ON(i, v, 2)
#define ABOVE2(i, v) ABOVE1(i, v) PROPOSE_ON(i, v, 3) PROPOSE_ON(i, v, 4)
#define ABOVE3(i, v) ABOVE2(i, v) PROPOSE_ON(i, v, 5) PROPOSE_ON(i, v, 6)
#define ABOVE4(i, v) ABOVE3(i, v) PROPOSE_ON(i, v, 7) PROPOSE_ON(i, v, 8)
#define VIEW2(i) EVERY(i, 2) ABOVE1(i, 2)
#define VIEW3(i) EVERY(i, 3) ABOVE2(i, 3)
#define VIEW4(i) EVERY(i, 4) ABOVE3(i, 4)
#define VIEW5(i) EVERY(i, 5) ABOVE4(i, 5)
#if VIEWS == 2
#define VALIDATOR(i) VIEW1(i) VIEW2(i)
#elif VIEWS == 3
#define VALIDATOR(i) VIEW1(i) VIEW2(i) VIEW3(i)
#elif VIEWS == 4
#define VALIDATOR(i) VIEW1(i) VIEW2(i) VIEW3(i) VIEW4(i)
#else
#define VALIDATOR(i) VIEW1(i) VIEW2(i) VIEW3(i) VIEW4(i) VIEW5(i)
#endif

init {
    d_step {
        at = 1;
        do
        :: at <= 2 * VIEWS -> parent[at] = NONE; at++
        :: else -> break
        od;
        at = 0;
        node[0] = 1 << (4 * VIEWS);
        node[1] = node[0];
        node[2] = node[0]
    }
end:
    do
    VALIDATOR(0)
    VALIDATOR(1)
    VALIDATOR(2)
    od
}
