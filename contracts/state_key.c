/* State keys: how each kind of record is found, named on the command line and listed by the API.
 *
 * 1. A key is its namespace byte and then the parts that the kind's key_codec lists, so equal parts
 *    give equal keys and no key is a prefix of another of its kind.
 * 2. Integers in keys are big-endian: listing a kind walks it in the order of time or of number.
 * 3. Text and key are one to one: what state_key_to_text writes, state_key_from_text reads back.
 *
 * A pot's id is a name or a number, depending on its kind, always POT_ID_SIZE bytes: that one has
 * code of its own. Deliberately absent: range scans; state_view.next does them. */
#include <string.h>

#include "base/fatal.h"
#include "contracts/records.h"

struct key_of_name {
    struct name name;
};
struct key_of_id {
    uint64_t id;
};
struct key_of_bytes {
    uint8_t bytes[32];
};
struct key_of_pot {
    uint8_t kind;
    uint8_t id[POT_ID_SIZE];
};
struct key_of_enrolment {
    struct name device;
    struct name market;
};
struct key_of_unit {
    struct name device;
    struct timestamp start;
    uint8_t direction;
};
struct key_of_book {
    struct name market;
    struct timestamp period_start;
    uint8_t direction;
    uint8_t side;
    uint64_t price;
    uint64_t height;
    uint64_t tie;
    uint64_t order;
};
struct key_of_book_itself {
    struct name market;
    struct timestamp period_start;
    uint8_t direction;
};
struct key_of_terms {
    struct name market;
    uint32_t version;
};
struct key_of_change {
    uint64_t height;
    struct name market;
};
struct key_of_immediate {
    struct name market;
    struct timestamp period_start;
    uint8_t direction;
    uint64_t id;
};
struct key_of_book_share {
    struct name market;
    struct timestamp period_start;
    uint8_t direction;
    struct name participant;
};
struct key_of_node {
    struct name network;
    struct name node;
};
struct key_of_capacity {
    struct name network;
    struct name node;
    struct timestamp start;
};
struct key_of_due {
    struct timestamp gate;
    struct name market;
    struct timestamp period_start;
    uint8_t direction;
};
struct key_of_deadline {
    struct timestamp time;
    uint8_t what;
    uint64_t group;
};
struct key_of_batch {
    struct name operator_name;
    struct name batch;
    struct timestamp interval_start;
};
struct key_of_fingerprint {
    struct name operator_name;
    struct name batch;
    struct timestamp interval_start;
    uint32_t revision;
};
struct key_of_evidence {
    uint8_t key[32];
    uint64_t epoch;
    uint64_t view;
};
struct key_of_day {
    int64_t day;
};

_Static_assert((int)POT_ID_SIZE == (int)NAME_SIZE, "a pot's id holds a participant's name");

static const struct codec_field key_of_name_codec_fields[] = {
    {.name = "name", .offset = offsetof(struct key_of_name, name), .type = CODEC_NAME},
};
static const struct codec_record key_of_name_codec = {
    .name = "name_key",
    .struct_size = sizeof(struct key_of_name),
    .fields = key_of_name_codec_fields,
    .field_count = sizeof key_of_name_codec_fields / sizeof key_of_name_codec_fields[0],
};

static const struct codec_field key_of_id_codec_fields[] = {
    {.name = "id", .offset = offsetof(struct key_of_id, id), .type = CODEC_U64},
};
static const struct codec_record key_of_id_codec = {
    .name = "id_key",
    .struct_size = sizeof(struct key_of_id),
    .fields = key_of_id_codec_fields,
    .field_count = sizeof key_of_id_codec_fields / sizeof key_of_id_codec_fields[0],
};

static const struct codec_field key_of_bytes_codec_fields[] = {
    {.name = "bytes",
     .offset = offsetof(struct key_of_bytes, bytes),
     .type = CODEC_FIXED,
     .limit = 32},
};
static const struct codec_record key_of_bytes_codec = {
    .name = "bytes_key",
    .struct_size = sizeof(struct key_of_bytes),
    .fields = key_of_bytes_codec_fields,
    .field_count = sizeof key_of_bytes_codec_fields / sizeof key_of_bytes_codec_fields[0],
};

static const struct codec_field key_of_pot_codec_fields[] = {
    {.name = "kind",
     .offset = offsetof(struct key_of_pot, kind),
     .type = CODEC_ENUM,
     .limit = POT_KIND_COUNT,
     .names = pot_kind_names},
    {.name = "id",
     .offset = offsetof(struct key_of_pot, id),
     .type = CODEC_FIXED,
     .limit = POT_ID_SIZE},
};
static const struct codec_record key_of_pot_codec = {
    .name = "pot_key",
    .struct_size = sizeof(struct key_of_pot),
    .fields = key_of_pot_codec_fields,
    .field_count = sizeof key_of_pot_codec_fields / sizeof key_of_pot_codec_fields[0],
};

static const struct codec_field key_of_enrolment_codec_fields[] = {
    {.name = "device", .offset = offsetof(struct key_of_enrolment, device), .type = CODEC_NAME},
    {.name = "market", .offset = offsetof(struct key_of_enrolment, market), .type = CODEC_NAME},
};
static const struct codec_record key_of_enrolment_codec = {
    .name = "enrolment_key",
    .struct_size = sizeof(struct key_of_enrolment),
    .fields = key_of_enrolment_codec_fields,
    .field_count = sizeof key_of_enrolment_codec_fields / sizeof key_of_enrolment_codec_fields[0],
};

static const struct codec_field key_of_unit_codec_fields[] = {
    {.name = "device", .offset = offsetof(struct key_of_unit, device), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct key_of_unit, start), .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_unit, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
};
static const struct codec_record key_of_unit_codec = {
    .name = "unit_key",
    .struct_size = sizeof(struct key_of_unit),
    .fields = key_of_unit_codec_fields,
    .field_count = sizeof key_of_unit_codec_fields / sizeof key_of_unit_codec_fields[0],
};

static const struct codec_field key_of_book_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct key_of_book, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct key_of_book, period_start),
     .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_book, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "side",
     .offset = offsetof(struct key_of_book, side),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = order_side_names},
    {.name = "price", .offset = offsetof(struct key_of_book, price), .type = CODEC_U64},
    {.name = "height", .offset = offsetof(struct key_of_book, height), .type = CODEC_U64},
    {.name = "tie", .offset = offsetof(struct key_of_book, tie), .type = CODEC_U64},
    {.name = "order", .offset = offsetof(struct key_of_book, order), .type = CODEC_U64},
};
static const struct codec_record key_of_book_codec = {
    .name = "book_key",
    .struct_size = sizeof(struct key_of_book),
    .fields = key_of_book_codec_fields,
    .field_count = sizeof key_of_book_codec_fields / sizeof key_of_book_codec_fields[0],
};

static const struct codec_field key_of_book_itself_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct key_of_book_itself, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct key_of_book_itself, period_start),
     .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_book_itself, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
};
static const struct codec_record key_of_book_itself_codec = {
    .name = "book_itself_key",
    .struct_size = sizeof(struct key_of_book_itself),
    .fields = key_of_book_itself_codec_fields,
    .field_count =
        sizeof key_of_book_itself_codec_fields / sizeof key_of_book_itself_codec_fields[0],
};

static const struct codec_field key_of_terms_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct key_of_terms, market), .type = CODEC_NAME},
    {.name = "version", .offset = offsetof(struct key_of_terms, version), .type = CODEC_U32},
};
static const struct codec_record key_of_terms_codec = {
    .name = "terms_key",
    .struct_size = sizeof(struct key_of_terms),
    .fields = key_of_terms_codec_fields,
    .field_count = sizeof key_of_terms_codec_fields / sizeof key_of_terms_codec_fields[0],
};

static const struct codec_field key_of_change_codec_fields[] = {
    {.name = "height", .offset = offsetof(struct key_of_change, height), .type = CODEC_U64},
    {.name = "market", .offset = offsetof(struct key_of_change, market), .type = CODEC_NAME},
};
static const struct codec_record key_of_change_codec = {
    .name = "change_key",
    .struct_size = sizeof(struct key_of_change),
    .fields = key_of_change_codec_fields,
    .field_count = sizeof key_of_change_codec_fields / sizeof key_of_change_codec_fields[0],
};

static const struct codec_field key_of_book_share_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct key_of_book_share, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct key_of_book_share, period_start),
     .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_book_share, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "participant",
     .offset = offsetof(struct key_of_book_share, participant),
     .type = CODEC_NAME},
};
static const struct codec_record key_of_book_share_codec = {
    .name = "book_share_key",
    .struct_size = sizeof(struct key_of_book_share),
    .fields = key_of_book_share_codec_fields,
    .field_count = sizeof key_of_book_share_codec_fields / sizeof key_of_book_share_codec_fields[0],
};

static const struct codec_field key_of_node_codec_fields[] = {
    {.name = "network", .offset = offsetof(struct key_of_node, network), .type = CODEC_NAME},
    {.name = "node", .offset = offsetof(struct key_of_node, node), .type = CODEC_NAME},
};
static const struct codec_record key_of_node_codec = {
    .name = "node_key",
    .struct_size = sizeof(struct key_of_node),
    .fields = key_of_node_codec_fields,
    .field_count = sizeof key_of_node_codec_fields / sizeof key_of_node_codec_fields[0],
};

static const struct codec_field key_of_capacity_codec_fields[] = {
    {.name = "network", .offset = offsetof(struct key_of_capacity, network), .type = CODEC_NAME},
    {.name = "node", .offset = offsetof(struct key_of_capacity, node), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct key_of_capacity, start), .type = CODEC_I64},
};
static const struct codec_record key_of_capacity_codec = {
    .name = "capacity_key",
    .struct_size = sizeof(struct key_of_capacity),
    .fields = key_of_capacity_codec_fields,
    .field_count = sizeof key_of_capacity_codec_fields / sizeof key_of_capacity_codec_fields[0],
};

static const struct codec_field key_of_due_codec_fields[] = {
    {.name = "gate_ms", .offset = offsetof(struct key_of_due, gate), .type = CODEC_I64},
    {.name = "market", .offset = offsetof(struct key_of_due, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct key_of_due, period_start),
     .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_due, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
};
static const struct codec_record key_of_due_codec = {
    .name = "due_key",
    .struct_size = sizeof(struct key_of_due),
    .fields = key_of_due_codec_fields,
    .field_count = sizeof key_of_due_codec_fields / sizeof key_of_due_codec_fields[0],
};

static const struct codec_field key_of_immediate_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct key_of_immediate, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct key_of_immediate, period_start),
     .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_immediate, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "id", .offset = offsetof(struct key_of_immediate, id), .type = CODEC_U64},
};
static const struct codec_record key_of_immediate_codec = {
    .name = "immediate_key",
    .struct_size = sizeof(struct key_of_immediate),
    .fields = key_of_immediate_codec_fields,
    .field_count = sizeof key_of_immediate_codec_fields / sizeof key_of_immediate_codec_fields[0],
};

static const struct codec_field key_of_deadline_codec_fields[] = {
    {.name = "time_ms", .offset = offsetof(struct key_of_deadline, time), .type = CODEC_I64},
    {.name = "what", .offset = offsetof(struct key_of_deadline, what), .type = CODEC_U8},
    {.name = "group", .offset = offsetof(struct key_of_deadline, group), .type = CODEC_U64},
};
static const struct codec_record key_of_deadline_codec = {
    .name = "deadline_key",
    .struct_size = sizeof(struct key_of_deadline),
    .fields = key_of_deadline_codec_fields,
    .field_count = sizeof key_of_deadline_codec_fields / sizeof key_of_deadline_codec_fields[0],
};

static const struct codec_field key_of_batch_codec_fields[] = {
    {.name = "operator",
     .offset = offsetof(struct key_of_batch, operator_name),
     .type = CODEC_NAME},
    {.name = "batch", .offset = offsetof(struct key_of_batch, batch), .type = CODEC_NAME},
    {.name = "interval_start_ms",
     .offset = offsetof(struct key_of_batch, interval_start),
     .type = CODEC_I64},
};
static const struct codec_record key_of_batch_codec = {
    .name = "batch_key",
    .struct_size = sizeof(struct key_of_batch),
    .fields = key_of_batch_codec_fields,
    .field_count = sizeof key_of_batch_codec_fields / sizeof key_of_batch_codec_fields[0],
};

static const struct codec_field key_of_fingerprint_codec_fields[] = {
    {.name = "operator",
     .offset = offsetof(struct key_of_fingerprint, operator_name),
     .type = CODEC_NAME},
    {.name = "batch", .offset = offsetof(struct key_of_fingerprint, batch), .type = CODEC_NAME},
    {.name = "interval_start_ms",
     .offset = offsetof(struct key_of_fingerprint, interval_start),
     .type = CODEC_I64},
    {.name = "revision",
     .offset = offsetof(struct key_of_fingerprint, revision),
     .type = CODEC_U32},
};
static const struct codec_record key_of_fingerprint_codec = {
    .name = "fingerprint_key",
    .struct_size = sizeof(struct key_of_fingerprint),
    .fields = key_of_fingerprint_codec_fields,
    .field_count =
        sizeof key_of_fingerprint_codec_fields / sizeof key_of_fingerprint_codec_fields[0],
};

static const struct codec_field key_of_day_codec_fields[] = {
    {.name = "day", .offset = offsetof(struct key_of_day, day), .type = CODEC_I64},
};
static const struct codec_record key_of_day_codec = {
    .name = "day_key",
    .struct_size = sizeof(struct key_of_day),
    .fields = key_of_day_codec_fields,
    .field_count = sizeof key_of_day_codec_fields / sizeof key_of_day_codec_fields[0],
};

static const struct codec_field key_of_evidence_codec_fields[] = {
    {.name = "key",
     .offset = offsetof(struct key_of_evidence, key),
     .type = CODEC_FIXED,
     .limit = 32},
    {.name = "epoch", .offset = offsetof(struct key_of_evidence, epoch), .type = CODEC_U64},
    {.name = "view", .offset = offsetof(struct key_of_evidence, view), .type = CODEC_U64},
};
static const struct codec_record key_of_evidence_codec = {
    .name = "evidence_key",
    .struct_size = sizeof(struct key_of_evidence),
    .fields = key_of_evidence_codec_fields,
    .field_count = sizeof key_of_evidence_codec_fields / sizeof key_of_evidence_codec_fields[0],
};

static const struct state_kind_info kinds[STATE_KIND_LIMIT] = {
    [STATE_PARAMS] = {STATE_PARAMS, "params", "params", &params_record_codec, NULL},
    [STATE_PARTICIPANT] = {STATE_PARTICIPANT, "participant", "participants",
                           &participant_record_codec, &key_of_name_codec},
    [STATE_KEY] = {STATE_KEY, "key", "keys", &key_record_codec, &key_of_bytes_codec},
    [STATE_POT] = {STATE_POT, "pot", "pots", &pot_record_codec, &key_of_pot_codec},
    [STATE_SUPPLY] = {STATE_SUPPLY, "supply", "supply", &supply_record_codec, NULL},
    [STATE_RECEIPT] = {STATE_RECEIPT, "receipt", "receipts", &receipt_reference_codec,
                       &key_of_bytes_codec},
    [STATE_DEVICE] = {STATE_DEVICE, "asset", "assets", &device_record_codec, &key_of_name_codec},
    [STATE_ENROLMENT] = {STATE_ENROLMENT, "enrolment", "enrolments", &enrolment_record_codec,
                         &key_of_enrolment_codec},
    [STATE_COMMITMENT] = {STATE_COMMITMENT, "commitment", "commitments", &commitment_record_codec,
                          &key_of_unit_codec},
    [STATE_MARKET] = {STATE_MARKET, "market", "markets", &market_record_codec, &key_of_name_codec},
    [STATE_ORDER] = {STATE_ORDER, "order", "orders", &order_record_codec, &key_of_id_codec},
    [STATE_BOOK] = {STATE_BOOK, "book", "books", NULL, &key_of_book_codec},
    [STATE_DEAL] = {STATE_DEAL, "deal", "deals", &deal_record_codec, &key_of_id_codec},
    [STATE_DEADLINE] = {STATE_DEADLINE, "deadline", "deadlines", &deadline_record_codec,
                        &key_of_deadline_codec},
    [STATE_BATCH] = {STATE_BATCH, "batch", "batches", &batch_record_codec, &key_of_batch_codec},
    [STATE_DIGEST] = {STATE_DIGEST, "digest", "digests", &digest_record_codec, &key_of_day_codec},
    [STATE_COUNTERS] = {STATE_COUNTERS, "counters", "counters", &counters_record_codec, NULL},
    [STATE_CLOCK] = {STATE_CLOCK, "clock", "clock", &clock_record_codec, NULL},
    [STATE_USED] = {STATE_USED, "used", "used", &used_record_codec, &key_of_unit_codec},
    [STATE_BOOK_SIZE] = {STATE_BOOK_SIZE, "book_size", "book_sizes", &book_size_record_codec,
                         &key_of_book_itself_codec},
    [STATE_BOOK_LATE] = {STATE_BOOK_LATE, "book_late", "books_late", &book_late_record_codec,
                         &key_of_book_itself_codec},
    [STATE_GOVERNANCE] = {STATE_GOVERNANCE, "governance", "governance", &governance_record_codec,
                          NULL},
    [STATE_PROPOSAL] = {STATE_PROPOSAL, "proposal", "proposals", &proposal_record_codec,
                        &key_of_id_codec},
    [STATE_VALIDATOR] = {STATE_VALIDATOR, "validator", "validators", &validator_record_codec,
                         &key_of_bytes_codec},
    [STATE_EVIDENCE] = {STATE_EVIDENCE, "evidence", "evidence_records", &evidence_record_codec,
                        &key_of_evidence_codec},
    [STATE_TERMS] = {STATE_TERMS, "terms", "terms", &market_create_record, &key_of_terms_codec},
    [STATE_DRAFT] = {STATE_DRAFT, "draft", "drafts", &draft_record_codec, &key_of_name_codec},
    [STATE_CHANGE] = {STATE_CHANGE, "change", "changes", NULL, &key_of_change_codec},
    [STATE_BOOK_SHARE] = {STATE_BOOK_SHARE, "book_share", "book_shares", &book_share_record_codec,
                          &key_of_book_share_codec},
    [STATE_RESERVATION] = {STATE_RESERVATION, "reservation", "reservations",
                           &reservation_record_codec, &key_of_id_codec},
    [STATE_DISPUTE] = {STATE_DISPUTE, "dispute", "disputes", &dispute_record_codec,
                       &key_of_id_codec},
    [STATE_RELIABILITY] = {STATE_RELIABILITY, "reliability", "reliabilities",
                           &reliability_record_codec, &key_of_name_codec},
    [STATE_FINGERPRINT] = {STATE_FINGERPRINT, "fingerprint", "fingerprints", &batch_record_codec,
                           &key_of_fingerprint_codec},
    [STATE_AUCTION] = {STATE_AUCTION, "auction", "auctions", &auction_record_codec,
                       &key_of_book_itself_codec},
    [STATE_AUCTION_DUE] = {STATE_AUCTION_DUE, "auction_due", "auctions_due", NULL,
                           &key_of_due_codec},
    [STATE_AUCTION_BIDDER] = {STATE_AUCTION_BIDDER, "auction_bidder", "auction_bidders",
                              &auction_bidder_record_codec, &key_of_book_share_codec},
    [STATE_AUCTION_TOTAL] = {STATE_AUCTION_TOTAL, "auction_total", "auction_totals",
                             &auction_total_record_codec, &key_of_name_codec},
    [STATE_COUPLED] = {STATE_COUPLED, "coupled", "coupled_auctions", &coupled_record_codec,
                       &key_of_book_itself_codec},
    [STATE_COUPLED_DUE] = {STATE_COUPLED_DUE, "coupled_due", "coupled_dues", NULL,
                           &coupled_due_key_codec},
    [STATE_COUPLED_PAGE] = {STATE_COUPLED_PAGE, "coupled_page", "coupled_pages",
                            &coupled_page_record_codec, &coupled_page_key_codec},
    [STATE_COUPLED_SOLVER] = {STATE_COUPLED_SOLVER, "coupled_solver", "coupled_solvers",
                              &coupled_solver_record_codec, &key_of_book_share_codec},
    [STATE_COUPLED_BID] = {STATE_COUPLED_BID, "coupled_bid", "coupled_bids",
                           &coupled_bid_record_codec, &key_of_id_codec},
    [STATE_PORTFOLIO] = {STATE_PORTFOLIO, "portfolio", "portfolios", &portfolio_record_codec,
                         &key_of_id_codec},
    [STATE_COUPLED_SIDE] = {STATE_COUPLED_SIDE, "coupled_side", "coupled_sides",
                            &coupled_side_record_codec, &coupled_side_key_codec},
    [STATE_NETWORK_LINE] = {STATE_NETWORK_LINE, "network_line", "network_lines",
                            &network_line_codec, &network_line_key_codec},
    [STATE_NETWORK_ROW] = {STATE_NETWORK_ROW, "network_row", "network_rows", &network_row_codec,
                           &network_line_key_codec},
    [STATE_ALIAS] = {STATE_ALIAS, "alias", "aliases", &alias_record_codec, &key_of_name_codec},
    [STATE_IMMEDIATE] = {STATE_IMMEDIATE, "immediate", "immediates", NULL, &key_of_immediate_codec},
    [STATE_FORECAST] = {STATE_FORECAST, "forecast", "forecasts", &forecast_record_codec,
                        &forecast_key_codec},
    [STATE_DISPATCH] = {STATE_DISPATCH, "dispatch", "dispatches", &dispatch_record_codec,
                        &dispatch_key_codec},
    [STATE_CAPACITY] = {STATE_CAPACITY, "capacity", "capacities", &capacity_record_codec,
                        &key_of_capacity_codec},
    [STATE_NETWORK] = {STATE_NETWORK, "network", "networks", &network_record_codec,
                       &key_of_name_codec},
    [STATE_NETWORK_NODE] = {STATE_NETWORK_NODE, "network_node", "network_nodes", &node_record_codec,
                            &key_of_node_codec},
    [STATE_ALLOCATION] = {STATE_ALLOCATION, "allocation", "allocations", &allocation_record_codec,
                          &key_of_id_codec},
    [STATE_HOLDING] = {STATE_HOLDING, "holding", "holdings", &holding_record_codec,
                       &key_of_unit_codec},
    [STATE_BOOK_GATE] = {STATE_BOOK_GATE, "book_gate", "book_gates", NULL, &key_of_due_codec},
    [STATE_CLEARING] = {STATE_CLEARING, "clearing", "clearings", NULL, &key_of_due_codec},
};

const struct state_kind_info *state_kind_info(enum state_kind kind)
{
    if ((unsigned)kind >= STATE_KIND_LIMIT || kinds[kind].name == NULL)
        return NULL;
    return &kinds[kind];
}

const struct state_kind_info *state_kind_by_name(const char *name_or_plural)
{
    for (unsigned i = 0; i < STATE_KIND_LIMIT; i++)
        if (kinds[i].name != NULL && (strcmp(kinds[i].name, name_or_plural) == 0 ||
                                      strcmp(kinds[i].plural, name_or_plural) == 0))
            return &kinds[i];
    return NULL;
}

static struct byte_writer key_begin(struct state_key *key, enum state_kind kind)
{
    struct byte_writer writer;
    memset(key, 0, sizeof *key);
    byte_writer_init(&writer, key->bytes, sizeof key->bytes);
    byte_write_u8(&writer, (uint8_t)kind);
    return writer;
}

static void key_end(struct state_key *key, const struct byte_writer *writer)
{
    MUST(!writer->failed);
    key->size = writer->size;
}

int state_key_compare(const struct state_key *a, const struct state_key *b)
{
    const size_t shorter = a->size < b->size ? a->size : b->size;
    const int order = memcmp(a->bytes, b->bytes, shorter);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

struct state_key state_key_single(enum state_kind kind)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, kind);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_name(enum state_kind kind, const struct name *name)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, kind);
    byte_write_raw(&writer, name->text, NAME_SIZE);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_u64(enum state_kind kind, uint64_t id)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, kind);
    byte_write_u64(&writer, id);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_hash(enum state_kind kind, const uint8_t bytes[32])
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, kind);
    byte_write_raw(&writer, bytes, 32);
    key_end(&key, &writer);
    return key;
}

static void pot_id_bytes(uint8_t out[POT_ID_SIZE], enum pot_kind pot,
                         const struct name *participant, uint64_t id)
{
    struct byte_writer writer;
    memset(out, 0, POT_ID_SIZE);
    byte_writer_init(&writer, out, POT_ID_SIZE);
    switch (pot) {
    case POT_BALANCE:
    case POT_MARKET_RESERVE:
        MUST(participant != NULL);
        byte_write_raw(&writer, participant->text, NAME_SIZE);
        break;
    case POT_DISPUTE_BOND:
        byte_write_u64(&writer, id);
        break;
    case POT_FEES:
        break;
    case POT_ORDER_ESCROW:
    case POT_DEAL_ESCROW:
    case POT_DEAL_DEPOSIT:
        MUST(false); /* they stand in their order or deal */
    }
    MUST(!writer.failed);
}

struct state_key state_key_pot(enum pot_kind pot, const struct name *participant, uint64_t id)
{
    struct state_key key;
    uint8_t bytes[POT_ID_SIZE];
    pot_id_bytes(bytes, pot, participant, id);
    struct byte_writer writer = key_begin(&key, STATE_POT);
    byte_write_u8(&writer, (uint8_t)pot);
    byte_write_raw(&writer, bytes, sizeof bytes);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_pair(enum state_kind kind, const struct name *a, const struct name *b)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, kind);
    byte_write_raw(&writer, a->text, NAME_SIZE);
    byte_write_raw(&writer, b->text, NAME_SIZE);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_unit(enum state_kind kind, const struct name *device,
                                struct timestamp unit_start, uint8_t direction)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, kind);
    byte_write_raw(&writer, device->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(unit_start));
    byte_write_u8(&writer, direction);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_batch(const struct name *operator_name, const struct name *batch,
                                 struct timestamp interval_start)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_BATCH);
    byte_write_raw(&writer, operator_name->text, NAME_SIZE);
    byte_write_raw(&writer, batch->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(interval_start));
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_fingerprint(const struct name *operator_name, const struct name *batch,
                                       struct timestamp interval_start, uint32_t revision)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_FINGERPRINT);
    byte_write_raw(&writer, operator_name->text, NAME_SIZE);
    byte_write_raw(&writer, batch->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(interval_start));
    byte_write_u32(&writer, revision);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_day(int64_t day)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_DIGEST);
    byte_write_i64(&writer, day);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_evidence(const struct public_key *validator, uint64_t epoch,
                                    uint64_t view)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_EVIDENCE);
    byte_write_raw(&writer, validator->bytes, PUBLIC_KEY_SIZE);
    byte_write_u64(&writer, epoch);
    byte_write_u64(&writer, view);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_terms(const struct name *market, uint32_t version)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_TERMS);
    byte_write_raw(&writer, market->text, NAME_SIZE);
    byte_write_u32(&writer, version);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_change(uint64_t height, const struct name *market)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_CHANGE);
    byte_write_u64(&writer, height);
    byte_write_raw(&writer, market->text, NAME_SIZE);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_capacity(const struct name *network, const struct name *node,
                                    struct timestamp slot)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_CAPACITY);
    byte_write_raw(&writer, network->text, NAME_SIZE);
    byte_write_raw(&writer, node->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(slot));
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_due(enum state_kind kind, struct timestamp gate,
                               const struct name *market, struct timestamp period_start,
                               uint8_t direction)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, kind);
    byte_write_i64(&writer, timestamp_ms(gate));
    byte_write_raw(&writer, market->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(period_start));
    byte_write_u8(&writer, direction);
    key_end(&key, &writer);
    return key;
}

struct state_key state_key_deadline(struct timestamp time, uint8_t what, uint64_t group)
{
    struct state_key key;
    struct byte_writer writer = key_begin(&key, STATE_DEADLINE);
    byte_write_i64(&writer, timestamp_ms(time));
    byte_write_u8(&writer, what);
    byte_write_u64(&writer, group);
    key_end(&key, &writer);
    return key;
}
