/* Reading what a solver needs (node/solver_scan.h).
 *
 * Auctions are found by the index of those that wait for the end of their window, which holds no others, so a
 * scan costs what is being solved and not what has ever been.
 *
 * Deliberately absent: writing, and any opinion on what is worth solving. */
#include "node/solver_scan.h"

#include <stdlib.h>
#include <string.h>

#include "contracts/coupled.h"

enum { DUE_WINDOW = 1, DUE_PREFIX = 2 };

/* *found says whether it is there. False: it can't be read or decoded. */
static bool read_record(bool *found, void *out, const struct state_key *key,
                        const struct codec_record *codec, const struct state_base *state)
{
    struct bytes_view value;
    return state->get(state->context, bytes_view_of(key->bytes, key->size), found, &value) &&
           (!*found || codec_decode_all(codec, out, value));
}

/* u8 kind | u8 what | i64 height | market | i64 start | u8 direction (contracts/records.h). */
static bool read_due(struct solver_auction *out, const uint8_t *key, size_t size)
{
    struct byte_reader reader;
    byte_reader_init(&reader, key, size);
    (void)byte_read_u16(&reader);
    (void)byte_read_i64(&reader);
    byte_read_raw(&reader, out->market.text, NAME_SIZE);
    out->start = timestamp_of(byte_read_i64(&reader));
    out->direction = byte_read_u8(&reader);
    return byte_reader_done(&reader);
}

bool solver_scan_auctions(struct solver_auction *out, uint32_t *count,
                          const struct state_base *state)
{
    static const uint8_t prefix[DUE_PREFIX] = {STATE_COUPLED_DUE, DUE_WINDOW};
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t size = 0;
    struct bytes_view value;
    *count = 0;
    while (*count < SOLVER_SCAN_AUCTIONS_MAX) {
        bool found;
        struct solver_auction *auction = &out[*count];
        if (!state->next(state->context, bytes_view_of(prefix, sizeof prefix),
                         bytes_view_of(key, size), &found, key, &size, &value))
            return false;
        if (!found)
            return true;
        memset(auction, 0, sizeof *auction);
        if (!read_due(auction, key, size))
            return false;
        struct state_key at =
            state_key_coupled(STATE_COUPLED, &auction->market, auction->start, auction->direction);
        if (!read_record(&found, &auction->record, &at, &coupled_record_codec, state) || !found)
            return false;
        if (auction->record.state == COUPLED_SOLVING)
            ++*count;
    }
    return true;
}

static bool read_page(void *context, const struct state_key *key, struct coupled_page_record *page)
{
    bool found;
    return read_record(&found, page, key, &coupled_page_record_codec, context) && found;
}

bool solver_scan_problem(struct coupled_problem *out, void **memory,
                         const struct solver_auction *auction, const struct state_base *state)
{
    const uint32_t size = auction->record.problem_bytes;
    struct coupled_auction_problem problem;
    struct hash digest;
    if (size > COUPLED_PROBLEM_BYTES_MAX)
        return false;
    uint8_t *bytes = malloc((size_t)size + 1);
    struct clear_arena arena = {malloc(COUPLED_AUCTION_ARENA_BYTES), COUPLED_AUCTION_ARENA_BYTES,
                                0};
    bool good =
        bytes != NULL && arena.bytes != NULL &&
        coupled_pages_read(bytes, size, &auction->market, auction->start, auction->direction,
                           COUPLED_PAGE_PROBLEM, read_page, (void *)(uintptr_t)state);
    if (good) {
        coupled_problem_digest(&digest, bytes_view_of(bytes, size));
        good = hash_equal(&digest, &auction->record.problem) &&
               coupled_problem_decode(&problem, bytes_view_of(bytes, size), &arena);
    }
    free(bytes);
    if (!good) {
        free(arena.bytes);
        return false;
    }
    *out = problem.problem;
    *memory = arena.bytes;
    return true;
}

bool solver_scan_account(struct solver_account *out, const struct public_key *key,
                         const struct state_base *state)
{
    struct state_key at = state_key_single(STATE_PARAMS);
    struct params_record params;
    struct key_record owner;
    struct participant_record participant;
    bool found;
    memset(out, 0, sizeof *out);
    if (!read_record(&found, &params, &at, &params_record_codec, state) || !found ||
        !money_add(&out->fee, params.fee_per_tx, params.fee_per_action))
        return false;
    out->lifetime = params.tx_lifetime;
    at = state_key_hash(STATE_KEY, key->bytes);
    if (!read_record(&found, &owner, &at, &key_record_codec, state))
        return false;
    if (!found || name_is_empty(&owner.participant))
        return true;
    at = state_key_name(STATE_PARTICIPANT, &owner.participant);
    if (!read_record(&found, &participant, &at, &participant_record_codec, state) || !found)
        return false;
    out->participant = owner.participant;
    out->nonce = participant.nonce;
    return true;
}

bool solver_scan_is_better(const struct coupled_record *record, const struct coupled_claim *claim)
{
    const struct coupled_best *best = &record->best;
    const int128 welfare = (int128)money_ueur(best->welfare) * 1000 + best->welfare_neur;
    if (claim->welfare != welfare)
        return claim->welfare > welfare;
    return claim->gap < best->gap_neur;
}
