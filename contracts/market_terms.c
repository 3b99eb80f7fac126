/* Creating markets, opening and closing them, and changing their terms (MFX III.A and III.B;
 * docs/spec/market.md 1 and 10; docs/adr/0034-terms-of-a-market.md).
 *
 *   create ---> open <--- state ---> suspended            update that only bears on which orders are
 *                 |                      |                let in: in force at once, one version on
 *                 +------- state --------+                any other update: the market's draft
 *                            |                            vote on the draft, for a height: in force
 *                            v                            from that block on, one version on
 *                          closed (for good)
 *
 * Invariants:
 * 1. Every version that was ever in force stands under STATE_TERMS, and never changes there.
 * 2. Terms in force have passed market_terms_check, as they are and not as they were drafted.
 * 3. A market has at most one draft; change_height is not 0 if and only if a vote has scheduled it, and
 *    then the index of changes has its one entry, and nobody can touch draft or terms.
 * 4. Step, gate, period and method never change, so open orders stay as valid as they were.
 *
 * Deliberately absent: the votes themselves (governance.c), and orders (market.c). */
#include "contracts/market.h"

#include "base/fatal.h"
#include "contracts/book.h"

enum { DRAFT_BYTES_MAX = 512 };

static bool read_market(const struct contract_call *call, const struct name *id,
                        struct market_record *out)
{
    struct state_key key = state_key_name(STATE_MARKET, id);
    return contract_read(call, &key, &market_record_codec, out);
}

static bool read_draft(const struct contract_call *call, const struct name *id,
                       struct draft_record *out)
{
    struct state_key key = state_key_name(STATE_DRAFT, id);
    return contract_read(call, &key, &draft_record_codec, out);
}

static void remove_draft(const struct contract_call *call, const struct name *id)
{
    struct state_key key = state_key_name(STATE_DRAFT, id);
    contract_remove(call, &key);
}

/* Stores the market and tells about it. */
static void write_market(const struct contract_call *call, const struct market_record *market)
{
    struct state_key key = state_key_name(STATE_MARKET, &market->terms.id);
    struct state_key draft = state_key_name(STATE_DRAFT, &market->terms.id);
    contract_write(call, &key, &market_record_codec, market);
    struct event_market event = {.market = market->terms.id,
                                 .state = market->state,
                                 .version = market->version,
                                 .drafted = contract_exists(call, &draft),
                                 .change_height = market->change_height};
    contract_event(call, EVENT_MARKET, &event);
}

/* Puts `terms` in force as the market's next version. */
static void put_in_force(const struct contract_call *call, struct market_record *market,
                         const struct market_create *terms)
{
    MUST(market->version < UINT32_MAX);
    market->terms = *terms;
    market->version++;
    struct state_key key = state_key_terms(&terms->id, market->version);
    contract_write(call, &key, &market_create_record, terms);
}

bool market_terms_read(const struct contract_call *call, const struct name *market,
                       uint32_t version, struct market_create *out)
{
    struct state_key key = state_key_terms(market, version);
    return book_read(call, &key, &market_create_record, out);
}

/* --- creation and state --------------------------------------------------------------------- */

static bool too_many_markets(const struct contract_call *call)
{
    struct state_key prefix = state_key_single(STATE_MARKET);
    struct state_key at = {.size = 0};
    struct bytes_view value;
    for (uint32_t count = 0; count < LIMIT_MARKETS; count++) {
        if (!contract_next(call, bytes_view_of(prefix.bytes, prefix.size),
                           bytes_view_of(at.bytes, at.size), &at, &value)) {
            return false;
        }
    }
    return true;
}

static bool zones_equal(const struct market_create *a, const struct market_create *b)
{
    bool equal = name_compare(&a->zone, &b->zone) == 0 && a->zone_count == b->zone_count;
    for (uint32_t i = 0; equal && i < a->zone_count; i++) {
        equal = name_compare(&a->zones[i].name, &b->zones[i].name) == 0;
    }
    return equal;
}

/* What is called lies within what was reserved: the parent is a reservation market of the same zones and
 * market time unit, its periods hold whole ones of this market, and a call still leaves time to answer
 * before the gate. */
static bool parent_fits(const struct contract_call *call, const struct market_create *terms)
{
    struct market_record parent;
    if (name_is_empty(&terms->links.parent)) {
        return true;
    }
    return read_market(call, &terms->links.parent, &parent) &&
           parent.terms.product == PRODUCT_RESERVATION && zones_equal(&parent.terms, terms) &&
           duration_ms(parent.terms.times.mtu) == duration_ms(terms->times.mtu) &&
           parent.terms.times.mtus_per_period % terms->times.mtus_per_period == 0 &&
           duration_ms(parent.terms.links.activation_lead) > duration_ms(terms->times.gate_closure);
}

/* What is called was booked with the reservation, so both are of one network, or of none. */
static enum contract_error network_fits(const struct contract_call *call,
                                        const struct market_create *terms)
{
    struct market_record parent;
    struct state_key key = state_key_name(STATE_NETWORK, &terms->network);
    if (!name_is_empty(&terms->network) && !contract_exists(call, &key)) {
        return CONTRACT_UNKNOWN_NETWORK;
    }
    bool fits = name_is_empty(&terms->links.parent) ||
                (read_market(call, &terms->links.parent, &parent) &&
                 name_compare(&parent.terms.network, &terms->network) == 0);
    return fits ? CONTRACT_OK : CONTRACT_BAD_TERM_NETWORK;
}

enum contract_error market_create_apply(struct contract_call *call, const void *record)
{
    const struct market_create *terms = record;
    if (!contract_has_role(call, ROLE_MARKET_OPERATOR)) {
        return CONTRACT_NOT_PERMITTED;
    }
    struct state_key key = state_key_name(STATE_MARKET, &terms->id);
    if (contract_exists(call, &key)) {
        return CONTRACT_EXISTS_ALREADY;
    }
    enum contract_error error = market_terms_check(terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (!parent_fits(call, terms)) {
        return CONTRACT_BAD_TERM_LINKS;
    }
    error = network_fits(call, terms);
    if (error != CONTRACT_OK) {
        return error;
    }
    if (too_many_markets(call)) {
        return CONTRACT_BAD_PARAMETER;
    }
    struct market_record market = {.state = MARKET_OPEN, .operator_name = call->sender};
    put_in_force(call, &market, terms);
    write_market(call, &market);
    return CONTRACT_OK;
}

/* Orders stay in their books and can be cancelled, and deals go on to settlement, whatever the
 * state. */
enum contract_error market_state_apply(struct contract_call *call, const void *record)
{
    const struct market_set_state *wanted = record;
    if (!contract_has_role(call, ROLE_MARKET_OPERATOR)) {
        return CONTRACT_NOT_PERMITTED;
    }
    struct market_record market;
    if (!read_market(call, &wanted->id, &market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    if (market.state == MARKET_CLOSED) {
        return CONTRACT_MARKET_NOT_OPEN;
    }
    if (market.state == wanted->state) {
        return CONTRACT_NOTHING_TO_CHANGE;
    }
    market.state = wanted->state;
    write_market(call, &market);
    return CONTRACT_OK;
}

/* --- changes -------------------------------------------------------------------------------- */

static enum contract_error change_terms(struct contract_call *call, struct market_record *market,
                                        const struct market_create *terms)
{
    struct draft_record draft = {
        .terms = *terms, .version = market->version, .operator_name = call->sender};
    struct draft_record before;
    struct state_key key = state_key_name(STATE_DRAFT, &terms->id);
    switch (market_terms_change(&market->terms, terms)) {
    case MARKET_CHANGE_NONE:
        if (!read_draft(call, &terms->id, &before)) {
            return CONTRACT_NOTHING_TO_CHANGE;
        }
        remove_draft(call, &terms->id);
        break;
    case MARKET_CHANGE_OPERATOR:
        put_in_force(call, market, terms);
        break;
    case MARKET_CHANGE_VOTE:
        contract_write(call, &key, &draft_record_codec, &draft);
        break;
    case MARKET_CHANGE_NEVER:
        return CONTRACT_TERM_IS_FIXED;
    }
    write_market(call, market);
    return CONTRACT_OK;
}

enum contract_error market_update_apply(struct contract_call *call, const void *record)
{
    const struct market_update *update = record;
    if (!contract_has_role(call, ROLE_MARKET_OPERATOR)) {
        return CONTRACT_NOT_PERMITTED;
    }
    struct market_record market;
    if (!read_market(call, &update->terms.id, &market)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    if (market.state == MARKET_CLOSED) {
        return CONTRACT_MARKET_NOT_OPEN;
    }
    if (market.change_height != 0) {
        return CONTRACT_CHANGE_PENDING;
    }
    enum contract_error error = market_terms_check(&update->terms);
    return error == CONTRACT_OK ? change_terms(call, &market, &update->terms) : error;
}

void market_draft_hash(struct hash *out, const struct draft_record *draft)
{
    uint8_t bytes[DRAFT_BYTES_MAX];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    codec_encode(&draft_record_codec, draft, &writer);
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_STATE_VALUE, bytes, writer.size);
}

enum contract_error market_draft_check(const struct contract_call *call, const struct name *market,
                                       const struct hash *draft, uint64_t height)
{
    struct market_record found;
    struct draft_record drawn;
    struct hash hash;
    if (!read_market(call, market, &found)) {
        return CONTRACT_UNKNOWN_MARKET;
    }
    if (found.change_height != 0) {
        return CONTRACT_CHANGE_PENDING;
    }
    if (!read_draft(call, market, &drawn) || drawn.version != found.version) {
        return CONTRACT_BAD_DRAFT;
    }
    market_draft_hash(&hash, &drawn);
    if (!hash_equal(&hash, draft)) {
        return CONTRACT_BAD_DRAFT;
    }
    return height > call->context->height ? CONTRACT_OK : CONTRACT_BAD_PARAMETER;
}

void market_draft_schedule(const struct contract_call *call, const struct name *market,
                           uint64_t height)
{
    struct market_record found;
    if (!read_market(call, market, &found)) {
        MUST(call->view->fault);
        return;
    }
    MUST(found.change_height == 0 && height > call->context->height);
    found.change_height = height;
    struct state_key key = state_key_change(height, market);
    contract_write_index(call, &key);
    write_market(call, &found);
}

/* Bounded by the number of markets, each of which is in the index once at most; an event of each fits
 * what the calls of books leave (BOOK_EVENTS_RESERVE). */
void market_apply_changes(struct contract_call *call)
{
    enum { EVENT_BYTES = 48 };
    _Static_assert((int)LIMIT_MARKETS * (int)EVENT_BYTES <= (int)BOOK_EVENTS_RESERVE * 3 / 4,
                   "every market may change in one block");
    struct state_key prefix = state_key_single(STATE_CHANGE);
    for (uint32_t i = 0; i < LIMIT_MARKETS; i++) {
        struct state_key key;
        struct bytes_view value;
        if (!contract_next(call, bytes_view_of(prefix.bytes, prefix.size), bytes_view_of(NULL, 0),
                           &key, &value)) {
            return;
        }
        struct byte_reader reader;
        struct name id;
        byte_reader_init(&reader, key.bytes + prefix.size, key.size - prefix.size);
        uint64_t height = byte_read_u64(&reader);
        byte_read_raw(&reader, id.text, NAME_SIZE);
        MUST(byte_reader_done(&reader));
        if (height > call->context->height + 1) {
            return;
        }
        struct market_record market;
        struct draft_record draft;
        bool found = read_market(call, &id, &market) && read_draft(call, &id, &draft);
        MUST((found && market.change_height == height) || call->view->fault);
        if (!found) {
            return;
        }
        contract_remove(call, &key);
        remove_draft(call, &id);
        market.change_height = 0;
        put_in_force(call, &market, &draft.terms);
        write_market(call, &market);
    }
}
