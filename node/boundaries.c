/* Ends of epochs and proofs of finality out of the store (boundaries.h).
 *
 * Invariant: every change of the validator set is a governance proposal that passed and is of one of
 * three kinds, so the state itself says at which heights epochs ended.
 *
 * Deliberately absent: any check of signatures. What the store holds was checked before it was
 * committed, and those who get it check it again. */
#include "node/boundaries.h"

#include <stdlib.h>
#include <string.h>

#include "contracts/records.h"

static bool changes_the_set(enum proposal_kind kind)
{
    switch (kind) {
    case PROPOSAL_ADD_VALIDATOR:
    case PROPOSAL_REMOVE_VALIDATOR:
    case PROPOSAL_REPLACE_VALIDATOR:
        return true;
    case PROPOSAL_SET_FEES:
    case PROPOSAL_SET_MARKET:
    case PROPOSAL_DECIDE_DISPUTE:
    case PROPOSAL_UPGRADE:
        return false;
    }
    return false;
}

bool boundaries_find(struct boundaries *out, struct store_snapshot *snapshot)
{
    const struct state_base *base = store_snapshot_base(snapshot);
    const uint8_t prefix[] = {STATE_PROPOSAL};
    struct state_key after = {.size = 0};
    out->count = 0;
    for (;;) {
        struct state_key key;
        struct bytes_view value;
        struct proposal_record proposal;
        bool found = false;
        if (!base->next(base->context, bytes_view_of(prefix, sizeof prefix),
                        bytes_view_of(after.bytes, after.size), &found, key.bytes, &key.size,
                        &value))
            return false;
        if (!found)
            break;
        if (!codec_decode_all(&proposal_record_codec, &proposal, value))
            return false;
        after = key;
        if (proposal.status != PROPOSAL_PASSED ||
            !changes_the_set((enum proposal_kind)proposal.terms.kind))
            continue;
        if (out->count == BOUNDARIES_MAX)
            return false;
        uint32_t at = out->count++;
        for (; at > 0 && out->heights[at - 1] > proposal.decided_height; at--)
            out->heights[at] = out->heights[at - 1];
        out->heights[at] = proposal.decided_height;
    }
    return true;
}

static bool append(uint8_t *headers, uint32_t *count, struct bytes_view more)
{
    if (*count + more.size / BLOCK_HEADER_SIZE > LIMIT_VIEW_WINDOW)
        return false;
    if (more.size > 0)
        memcpy(headers + (size_t)*count * BLOCK_HEADER_SIZE, more.data, more.size);
    *count += (uint32_t)(more.size / BLOCK_HEADER_SIZE);
    return true;
}

enum finality_found finality_find(struct store_snapshot *snapshot, uint64_t height,
                                  struct certificate *certificate, uint8_t *headers,
                                  uint32_t *header_count)
{
    const uint64_t tip = store_snapshot_tip(snapshot)->height;
    struct store_block block;
    *header_count = 0;
    for (uint64_t at = height; at <= tip && at - height < LIMIT_VIEW_WINDOW; at++) {
        if (store_snapshot_header(snapshot, at, &block) != STORE_OK)
            return FINALITY_FAULT;
        if (at > height && !append(headers, header_count, block.header))
            return FINALITY_FAULT;
        if (block.certificate.size == 0)
            continue;
        struct finality *finality = malloc(sizeof *finality);
        const bool good = finality != NULL && finality_decode(finality, block.certificate) &&
                          append(headers, header_count, finality->headers);
        if (good)
            *certificate = finality->certificate;
        free(finality);
        return good ? FINALITY_FOUND : FINALITY_FAULT;
    }
    return FINALITY_NOT_YET;
}
