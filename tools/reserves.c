/* Sums over pots, those of orders and deals too, and receipts against the supply record (tools/reserves.h).
 *
 * Invariants: nothing is added up that is not bound to the genesis; a snapshot's chunks divide the key
 * space, so no pot is left out and none is counted twice; the sums are too wide to overflow.
 *
 * Deliberately absent: the euro on the treasurer's account. The receipts' references lead an auditor to
 * the bank's records, which no ledger can prove. */
#include "tools/reserves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/snapshot_files.h"

static bool wrong(char problem[RESERVES_PROBLEM_SIZE], const char *what)
{
    (void)snprintf(problem, RESERVES_PROBLEM_SIZE, "%s", what);
    return false;
}

static bool add_pot(struct reserves *reserves, enum pot_kind kind, struct money amount)
{
    reserves->held[kind] += money_ueur(amount);
    reserves->pots += money_ueur(amount) != 0;
    return money_ueur(amount) >= 0;
}

static bool take_pot(struct reserves *reserves, struct bytes_view key, struct bytes_view value,
                     char problem[RESERVES_PROBLEM_SIZE])
{
    struct pot_record pot;
    if (key.size < 2 || key.data[1] >= POT_KIND_COUNT ||
        !pot_kind_has_record((enum pot_kind)key.data[1]) ||
        !codec_decode_all(&pot_record_codec, &pot, value) || money_ueur(pot.amount) < 0)
        return wrong(problem, "a pot is malformed or negative");
    reserves->held[key.data[1]] += money_ueur(pot.amount);
    reserves->pots++;
    return true;
}

static bool take_order(struct reserves *reserves, struct bytes_view value,
                       char problem[RESERVES_PROBLEM_SIZE])
{
    struct order_record order;
    return (codec_decode_all(&order_record_codec, &order, value) &&
            add_pot(reserves, POT_ORDER_ESCROW, order.held)) ||
           wrong(problem, "an order is malformed or holds less than nothing");
}

static bool take_deal(struct reserves *reserves, struct bytes_view value,
                      char problem[RESERVES_PROBLEM_SIZE])
{
    struct deal_record deal;
    return (codec_decode_all(&deal_record_codec, &deal, value) &&
            add_pot(reserves, POT_DEAL_ESCROW, deal.held_escrow) &&
            add_pot(reserves, POT_DEAL_DEPOSIT, deal.held_deposit)) ||
           wrong(problem, "a deal is malformed or holds less than nothing");
}

bool reserves_take(struct reserves *reserves, struct bytes_view key, struct bytes_view value,
                   char problem[RESERVES_PROBLEM_SIZE])
{
    const uint8_t kind = key.size > 0 ? key.data[0] : 0;
    if (kind == STATE_SUPPLY) {
        reserves->has_supply = codec_decode_all(&supply_record_codec, &reserves->supply, value);
        return reserves->has_supply || wrong(problem, "the supply record is malformed");
    }
    if (kind == STATE_RECEIPT) {
        struct receipt_reference reference;
        if (!codec_decode_all(&receipt_reference_codec, &reference, value))
            return wrong(problem, "a receipt's reference is malformed");
        const int64_t amount = money_ueur(reference.amount);
        *(amount > 0 ? &reserves->minted : &reserves->burned) +=
            amount > 0 ? amount : -(int128)amount;
        reserves->references++;
        return true;
    }
    switch (kind) {
    case STATE_POT:
        return take_pot(reserves, key, value, problem);
    case STATE_ORDER:
        return take_order(reserves, value, problem);
    case STATE_DEAL:
        return take_deal(reserves, value, problem);
    }
    return true;
}

bool reserves_record_adds_up(const struct supply_record *supply)
{
    int128 held = 0;
    bool sound = money_ueur(supply->burned) >= 0;
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        sound = sound && money_ueur(supply->held[kind]) >= 0;
        held += money_ueur(supply->held[kind]);
    }
    return sound && held == (int128)money_ueur(supply->minted) - money_ueur(supply->burned);
}

bool reserves_check(const struct reserves *reserves, char problem[RESERVES_PROBLEM_SIZE])
{
    int128 held = 0;
    if (!reserves->has_supply)
        return wrong(problem, "there is no supply record");
    for (int kind = 0; kind < POT_KIND_COUNT; kind++)
        held += reserves->held[kind];
    if (held != (int128)money_ueur(reserves->supply.minted) - money_ueur(reserves->supply.burned))
        return wrong(problem,
                     "value is not conserved: the pots are not what was minted less burned");
    for (int kind = 0; kind < POT_KIND_COUNT; kind++) {
        if (reserves->held[kind] != money_ueur(reserves->supply.held[kind])) {
            (void)snprintf(problem, RESERVES_PROBLEM_SIZE,
                           "the supply record's total of %s pots is not what they hold",
                           pot_kind_names[kind]);
            return false;
        }
    }
    if (reserves->minted != money_ueur(reserves->supply.minted) ||
        reserves->burned != money_ueur(reserves->supply.burned))
        return wrong(problem,
                     "what was minted and burned is not what the receipts' references say");
    return true;
}

/* --- a snapshot ------------------------------------------------------------------------------- */

struct walk {
    struct reserves *out;
    const struct reserves_parts *parts;
    struct snapshot_trust trust;
    struct snapshot_manifest manifest;
    char *problem;
};

static enum reserves_walk take_epochs(struct walk *walk)
{
    char fault[SNAPSHOT_PROBLEM_SIZE];
    for (uint32_t i = 0; i < walk->manifest.header.epoch; i++) {
        struct snapshot_epoch epoch;
        struct bytes_view bytes;
        if (!walk->parts->read(walk->parts->context, SNAPSHOT_EPOCH, i, &bytes))
            return RESERVES_UNREAD;
        bool good = snapshot_trust_epoch(&walk->trust, &epoch, bytes, fault);
        snapshot_bytes_free(bytes);
        if (!good) {
            (void)wrong(walk->problem, fault);
            return RESERVES_UNPROVEN;
        }
    }
    return RESERVES_WALKED;
}

static enum reserves_walk take_chunk(struct walk *walk, const struct snapshot_place *place,
                                     uint32_t index)
{
    char fault[SNAPSHOT_PROBLEM_SIZE];
    struct snapshot_chunk chunk;
    struct bytes_view bytes;
    enum reserves_walk result = RESERVES_WALKED;
    if (!walk->parts->read(walk->parts->context, SNAPSHOT_CHUNK, index, &bytes))
        return RESERVES_UNREAD;
    if (!snapshot_chunk_open(&chunk, bytes, &place->prefix, &walk->manifest.header.state_root,
                             fault)) {
        snapshot_bytes_free(bytes);
        (void)wrong(walk->problem, fault);
        return RESERVES_UNPROVEN;
    }
    for (uint32_t i = 0; result == RESERVES_WALKED && i < chunk.count; i++) {
        if (!reserves_take(walk->out, chunk.entries[i].key, chunk.entries[i].value, walk->problem))
            result = RESERVES_WRONG;
    }
    snapshot_chunk_close(&chunk);
    snapshot_bytes_free(bytes);
    return result;
}

static enum reserves_walk take_chunks(struct walk *walk)
{
    struct snapshot_place *places = calloc(walk->manifest.chunk_count, sizeof *places);
    enum reserves_walk result = RESERVES_WALKED;
    if (places == NULL) {
        (void)wrong(walk->problem, "memory ran out");
        return RESERVES_UNREAD;
    }
    snapshot_manifest_places(&walk->manifest, places);
    for (uint32_t i = 0; result == RESERVES_WALKED && i < walk->manifest.chunk_count; i++)
        result = take_chunk(walk, &places[i], i);
    free(places);
    if (result == RESERVES_WALKED && !reserves_check(walk->out, walk->problem))
        result = RESERVES_WRONG;
    return result;
}

enum reserves_walk reserves_walk(struct reserves *out, uint64_t *height, struct hash *state_root,
                                 const struct genesis *genesis, const struct reserves_parts *parts,
                                 char problem[RESERVES_PROBLEM_SIZE])
{
    static struct walk walk;
    char fault[SNAPSHOT_PROBLEM_SIZE] = "the genesis file is not sound";
    struct bytes_view bytes;
    memset(out, 0, sizeof *out);
    memset(&walk, 0, sizeof walk);
    walk.out = out;
    walk.parts = parts;
    walk.problem = problem;
    if (!parts->read(parts->context, SNAPSHOT_MANIFEST, 0, &bytes))
        return RESERVES_UNREAD;
    enum reserves_walk result = RESERVES_UNPROVEN;
    if (snapshot_trust_begin(&walk.trust, genesis) &&
        snapshot_manifest_decode(&walk.manifest, bytes, fault)) {
        (void)snprintf(fault, sizeof fault, "the snapshot is of another chain");
        if (hash_equal(&walk.manifest.genesis, &walk.trust.genesis))
            result = take_epochs(&walk);
    }
    if (result == RESERVES_WALKED && !snapshot_trust_manifest(&walk.trust, &walk.manifest, fault))
        result = RESERVES_UNPROVEN;
    if (result == RESERVES_UNPROVEN && problem[0] == '\0')
        (void)wrong(problem, fault);
    if (result == RESERVES_WALKED)
        result = take_chunks(&walk);
    *height = walk.manifest.header.height;
    *state_root = walk.manifest.header.state_root;
    snapshot_bytes_free(bytes);
    return result;
}
