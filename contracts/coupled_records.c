/* The actions, records and events of coupled auctions (contracts/actions.h, records.h, events.h;
 * docs/spec/coupled.md 10).
 *
 * 1. As in records.c, a field's place in its table is its place in the stored value, for good.
 *
 * Deliberately absent: their rules (coupled_*.c), and the bytes of problems and solutions, which are no
 * records but tables whose sizes depend on each other (coupled_problem.c). */
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled.h"
#include "contracts/events.h"

const char *const link_type_names[LINK_TYPE_COUNT] = {"and", "or",    "xor",
                                                      "sum", "block", "convert"};
const char *const coupled_state_names[COUPLED_STATE_COUNT] = {"open", "solving", "cleared", "void",
                                                              "bound"};
const char *const coupled_reason_names[COUPLED_REASON_COUNT] = {
    "none", "market_not_open", "delivery_begun", "limits_exceeded", "no_problem"};
const char *const coupled_page_names[COUPLED_PAGE_OF_COUNT] = {"problem", "solution"};
const char *const solution_verdict_names[SOLUTION_VERDICT_COUNT] = {"best", "not_better",
                                                                    "unreadable", "broken"};
static const char *const rule_names[COUPLED_RULE_COUNT] = {
    "none",     "bounds",  "minimum", "indivisible", "order", "link",     "sum",
    "capacity", "balance", "row",     "denominator", "sign",  "overflow", "binding"};

_Static_assert((int)LINK_CONVERT == (int)COUPLED_CONVERT && (int)LINK_SUM == (int)COUPLED_SUM &&
                   (int)LINK_BLOCK == (int)COUPLED_BLOCK && (int)LINK_XOR == (int)COUPLED_XOR &&
                   (int)LINK_OR == (int)COUPLED_OR && (int)LINK_AND == (int)COUPLED_AND,
               "links are numbered as the problem numbers them");
_Static_assert((int)ROW_AT_MOST == (int)COUPLED_AT_MOST &&
                   (int)ROW_AT_LEAST == (int)COUPLED_AT_LEAST &&
                   (int)ROW_EQUAL == (int)COUPLED_EQUAL,
               "and so are the ways of a row");

/* --- actions -------------------------------------------------------------------------------- */

static const struct codec_field portfolio_member_fields[] = {
    {.name = "bid", .offset = offsetof(struct portfolio_member, bid), .type = CODEC_U8},
};
static const struct codec_record portfolio_member_codec = {
    .name = "portfolio_member",
    .struct_size = sizeof(struct portfolio_member),
    .fields = portfolio_member_fields,
    .field_count = sizeof portfolio_member_fields / sizeof portfolio_member_fields[0],
};

static const struct codec_field portfolio_link_fields[] = {
    {.name = "type",
     .offset = offsetof(struct portfolio_link, type),
     .type = CODEC_ENUM,
     .limit = LINK_TYPE_COUNT,
     .names = link_type_names},
    {.name = "op",
     .offset = offsetof(struct portfolio_link, op),
     .type = CODEC_ENUM,
     .limit = ROW_OP_COUNT,
     .names = row_op_names},
    {.name = "quantity_wh", .offset = offsetof(struct portfolio_link, quantity), .type = CODEC_I64},
    {.name = "num", .offset = offsetof(struct portfolio_link, num), .type = CODEC_I64},
    {.name = "den", .offset = offsetof(struct portfolio_link, den), .type = CODEC_I64},
    {.name = "members",
     .offset = offsetof(struct portfolio_link, members),
     .type = CODEC_ARRAY,
     .limit = LIMIT_PORTFOLIO_BIDS,
     .count_offset = offsetof(struct portfolio_link, member_count),
     .record = &portfolio_member_codec},
};
const struct codec_record portfolio_link_codec = {
    .name = "portfolio_link",
    .struct_size = sizeof(struct portfolio_link),
    .fields = portfolio_link_fields,
    .field_count = sizeof portfolio_link_fields / sizeof portfolio_link_fields[0],
};

static const struct codec_field portfolio_bid_fields[] = {
    {.name = "side",
     .offset = offsetof(struct portfolio_bid, side),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = order_side_names},
    {.name = "interval", .offset = offsetof(struct portfolio_bid, interval), .type = CODEC_U16},
    {.name = "quantity_wh", .offset = offsetof(struct portfolio_bid, quantity), .type = CODEC_I64},
    {.name = "min_quantity_wh",
     .offset = offsetof(struct portfolio_bid, min_quantity),
     .type = CODEC_I64},
    {.name = "price_ueur_per_kwh",
     .offset = offsetof(struct portfolio_bid, price),
     .type = CODEC_I64},
    {.name = "indivisible",
     .offset = offsetof(struct portfolio_bid, indivisible),
     .type = CODEC_BOOL},
    {.name = "rank", .offset = offsetof(struct portfolio_bid, rank), .type = CODEC_U16},
    {.name = "node", .offset = offsetof(struct portfolio_bid, node), .type = CODEC_NAME_EMPTY},
    {.name = "carrier", .offset = offsetof(struct portfolio_bid, carrier), .type = CODEC_NAME},
    {.name = "device", .offset = offsetof(struct portfolio_bid, device), .type = CODEC_NAME_EMPTY},
    {.name = "schedule_hash",
     .offset = offsetof(struct portfolio_bid, schedule_hash),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
static const struct codec_record portfolio_bid_codec = {
    .name = "portfolio_bid",
    .struct_size = sizeof(struct portfolio_bid),
    .fields = portfolio_bid_fields,
    .field_count = sizeof portfolio_bid_fields / sizeof portfolio_bid_fields[0],
};

static const struct codec_field portfolio_place_fields[] = {
    {.name = "market", .offset = offsetof(struct portfolio_place, market), .type = CODEC_NAME},
    {.name = "direction",
     .offset = offsetof(struct portfolio_place, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "start_ms", .offset = offsetof(struct portfolio_place, start), .type = CODEC_I64},
    {.name = "bids",
     .offset = offsetof(struct portfolio_place, bids),
     .type = CODEC_ARRAY,
     .limit = LIMIT_PORTFOLIO_BIDS,
     .count_offset = offsetof(struct portfolio_place, bid_count),
     .record = &portfolio_bid_codec},
    {.name = "links",
     .offset = offsetof(struct portfolio_place, links),
     .type = CODEC_ARRAY,
     .limit = LIMIT_PORTFOLIO_LINKS,
     .count_offset = offsetof(struct portfolio_place, link_count),
     .record = &portfolio_link_codec},
};
const struct codec_record portfolio_place_codec = {
    .name = "portfolio_place",
    .struct_size = sizeof(struct portfolio_place),
    .fields = portfolio_place_fields,
    .field_count = sizeof portfolio_place_fields / sizeof portfolio_place_fields[0],
};

static const struct codec_field solution_propose_fields[] = {
    {.name = "market", .offset = offsetof(struct solution_propose, market), .type = CODEC_NAME},
    {.name = "direction",
     .offset = offsetof(struct solution_propose, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "start_ms", .offset = offsetof(struct solution_propose, start), .type = CODEC_I64},
    {.name = "problem",
     .offset = offsetof(struct solution_propose, problem),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "solution",
     .offset = offsetof(struct solution_propose, solution),
     .type = CODEC_BYTES,
     .limit = LIMIT_SOLUTION_BYTES},
};
const struct codec_record solution_propose_codec = {
    .name = "solution_propose",
    .struct_size = sizeof(struct solution_propose),
    .fields = solution_propose_fields,
    .field_count = sizeof solution_propose_fields / sizeof solution_propose_fields[0],
};

/* --- records -------------------------------------------------------------------------------- */

static const struct codec_field coupled_best_fields[] = {
    {.name = "proposer",
     .offset = offsetof(struct coupled_best, proposer),
     .type = CODEC_NAME_EMPTY},
    {.name = "height", .offset = offsetof(struct coupled_best, height), .type = CODEC_U64},
    {.name = "solution",
     .offset = offsetof(struct coupled_best, solution),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "bytes", .offset = offsetof(struct coupled_best, bytes), .type = CODEC_U32},
    {.name = "quantity_wh", .offset = offsetof(struct coupled_best, quantity), .type = CODEC_I64},
    {.name = "welfare_ueur", .offset = offsetof(struct coupled_best, welfare), .type = CODEC_I64},
    {.name = "welfare_neur",
     .offset = offsetof(struct coupled_best, welfare_neur),
     .type = CODEC_U16},
    {.name = "bound_ueur", .offset = offsetof(struct coupled_best, bound), .type = CODEC_I64},
    {.name = "gap_neur", .offset = offsetof(struct coupled_best, gap_neur), .type = CODEC_I64},
    {.name = "relaxed_sets",
     .offset = offsetof(struct coupled_best, relaxed_sets),
     .type = CODEC_U32},
};
static const struct codec_record coupled_best_codec = {
    .name = "coupled_best",
    .struct_size = sizeof(struct coupled_best),
    .fields = coupled_best_fields,
    .field_count = sizeof coupled_best_fields / sizeof coupled_best_fields[0],
};

static const struct codec_field coupled_record_fields[] = {
    {.name = "state",
     .offset = offsetof(struct coupled_record, state),
     .type = CODEC_ENUM,
     .limit = COUPLED_STATE_COUNT,
     .names = coupled_state_names},
    {.name = "reason",
     .offset = offsetof(struct coupled_record, reason),
     .type = CODEC_ENUM,
     .limit = COUPLED_REASON_COUNT,
     .names = coupled_reason_names},
    {.name = "bids", .offset = offsetof(struct coupled_record, bids), .type = CODEC_U32},
    {.name = "links", .offset = offsetof(struct coupled_record, links), .type = CODEC_U32},
    {.name = "members", .offset = offsetof(struct coupled_record, members), .type = CODEC_U32},
    {.name = "fixed_height",
     .offset = offsetof(struct coupled_record, fixed_height),
     .type = CODEC_U64},
    {.name = "closes_height",
     .offset = offsetof(struct coupled_record, closes_height),
     .type = CODEC_U64},
    {.name = "version", .offset = offsetof(struct coupled_record, version), .type = CODEC_U32},
    {.name = "problem",
     .offset = offsetof(struct coupled_record, problem),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "problem_bytes",
     .offset = offsetof(struct coupled_record, problem_bytes),
     .type = CODEC_U32},
    {.name = "agents", .offset = offsetof(struct coupled_record, agents), .type = CODEC_U32},
    {.name = "places", .offset = offsetof(struct coupled_record, places), .type = CODEC_U32},
    {.name = "lines", .offset = offsetof(struct coupled_record, lines), .type = CODEC_U32},
    {.name = "rows", .offset = offsetof(struct coupled_record, rows), .type = CODEC_U32},
    {.name = "seed",
     .offset = offsetof(struct coupled_record, seed),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
    {.name = "floor_welfare_ueur",
     .offset = offsetof(struct coupled_record, floor_welfare),
     .type = CODEC_I64},
    {.name = "solutions", .offset = offsetof(struct coupled_record, solutions), .type = CODEC_U32},
    {.name = "wrong", .offset = offsetof(struct coupled_record, wrong), .type = CODEC_U32},
    {.name = "best",
     .offset = offsetof(struct coupled_record, best),
     .type = CODEC_RECORD,
     .record = &coupled_best_codec},
    {.name = "height", .offset = offsetof(struct coupled_record, height), .type = CODEC_U64},
    {.name = "bought_ueur", .offset = offsetof(struct coupled_record, bought), .type = CODEC_I64},
    {.name = "sold_ueur", .offset = offsetof(struct coupled_record, sold), .type = CODEC_I64},
    {.name = "given_ueur", .offset = offsetof(struct coupled_record, given), .type = CODEC_I64},
    {.name = "surplus_ueur", .offset = offsetof(struct coupled_record, surplus), .type = CODEC_I64},
    {.name = "first_deal",
     .offset = offsetof(struct coupled_record, first_deal),
     .type = CODEC_U64},
    {.name = "deals", .offset = offsetof(struct coupled_record, deals), .type = CODEC_U32},
    {.name = "bound_by_ms", .offset = offsetof(struct coupled_record, bound_by), .type = CODEC_I64},
};
const struct codec_record coupled_record_codec = {
    .name = "coupled",
    .struct_size = sizeof(struct coupled_record),
    .fields = coupled_record_fields,
    .field_count = sizeof coupled_record_fields / sizeof coupled_record_fields[0],
};

static const struct codec_field coupled_page_fields[] = {
    {.name = "bytes",
     .offset = offsetof(struct coupled_page_record, bytes),
     .type = CODEC_BYTES,
     .limit = COUPLED_PAGE_BYTES},
};
const struct codec_record coupled_page_record_codec = {
    .name = "coupled_page",
    .struct_size = sizeof(struct coupled_page_record),
    .fields = coupled_page_fields,
    .field_count = sizeof coupled_page_fields / sizeof coupled_page_fields[0],
};

static const struct codec_field coupled_solver_fields[] = {
    {.name = "solutions",
     .offset = offsetof(struct coupled_solver_record, solutions),
     .type = CODEC_U32},
    {.name = "strikes",
     .offset = offsetof(struct coupled_solver_record, strikes),
     .type = CODEC_U32},
    {.name = "fees_ueur",
     .offset = offsetof(struct coupled_solver_record, fees),
     .type = CODEC_I64},
};
const struct codec_record coupled_solver_record_codec = {
    .name = "coupled_solver",
    .struct_size = sizeof(struct coupled_solver_record),
    .fields = coupled_solver_fields,
    .field_count = sizeof coupled_solver_fields / sizeof coupled_solver_fields[0],
};

static const struct codec_field coupled_bid_fields[] = {
    {.name = "portfolio",
     .offset = offsetof(struct coupled_bid_record, portfolio),
     .type = CODEC_U64},
    {.name = "start_ms", .offset = offsetof(struct coupled_bid_record, start), .type = CODEC_I64},
    {.name = "last_ms", .offset = offsetof(struct coupled_bid_record, last), .type = CODEC_I64},
    {.name = "node", .offset = offsetof(struct coupled_bid_record, node), .type = CODEC_NAME},
    {.name = "carrier", .offset = offsetof(struct coupled_bid_record, carrier), .type = CODEC_NAME},
};
const struct codec_record coupled_bid_record_codec = {
    .name = "coupled_bid",
    .struct_size = sizeof(struct coupled_bid_record),
    .fields = coupled_bid_fields,
    .field_count = sizeof coupled_bid_fields / sizeof coupled_bid_fields[0],
};

static const struct codec_field coupled_side_fields[] = {
    {.name = "side",
     .offset = offsetof(struct coupled_side_record, side),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = order_side_names},
    {.name = "bids", .offset = offsetof(struct coupled_side_record, bids), .type = CODEC_U32},
};
const struct codec_record coupled_side_record_codec = {
    .name = "coupled_side",
    .struct_size = sizeof(struct coupled_side_record),
    .fields = coupled_side_fields,
    .field_count = sizeof coupled_side_fields / sizeof coupled_side_fields[0],
};

static const struct codec_field portfolio_record_fields[] = {
    {.name = "market", .offset = offsetof(struct portfolio_record, market), .type = CODEC_NAME},
    {.name = "participant",
     .offset = offsetof(struct portfolio_record, participant),
     .type = CODEC_NAME},
    {.name = "direction",
     .offset = offsetof(struct portfolio_record, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "start_ms", .offset = offsetof(struct portfolio_record, start), .type = CODEC_I64},
    {.name = "bids", .offset = offsetof(struct portfolio_record, bids), .type = CODEC_U32},
    {.name = "links",
     .offset = offsetof(struct portfolio_record, links),
     .type = CODEC_ARRAY,
     .limit = LIMIT_PORTFOLIO_LINKS,
     .count_offset = offsetof(struct portfolio_record, link_count),
     .record = &portfolio_link_codec},
};
const struct codec_record portfolio_record_codec = {
    .name = "portfolio",
    .struct_size = sizeof(struct portfolio_record),
    .fields = portfolio_record_fields,
    .field_count = sizeof portfolio_record_fields / sizeof portfolio_record_fields[0],
};

/* --- events --------------------------------------------------------------------------------- */

static const struct codec_field event_coupled_fields[] = {
    {.name = "market", .offset = offsetof(struct event_coupled, market), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct event_coupled, start), .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct event_coupled, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "auction",
     .offset = offsetof(struct event_coupled, auction),
     .type = CODEC_RECORD,
     .record = &coupled_record_codec},
};
const struct codec_record event_coupled_codec = {
    .name = "coupled_auction",
    .struct_size = sizeof(struct event_coupled),
    .fields = event_coupled_fields,
    .field_count = sizeof event_coupled_fields / sizeof event_coupled_fields[0],
};

static const struct codec_field event_solution_fields[] = {
    {.name = "market", .offset = offsetof(struct event_solution, market), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct event_solution, start), .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct event_solution, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "proposer", .offset = offsetof(struct event_solution, proposer), .type = CODEC_NAME},
    {.name = "verdict",
     .offset = offsetof(struct event_solution, verdict),
     .type = CODEC_ENUM,
     .limit = SOLUTION_VERDICT_COUNT,
     .names = solution_verdict_names},
    {.name = "rule",
     .offset = offsetof(struct event_solution, rule),
     .type = CODEC_ENUM,
     .limit = COUPLED_RULE_COUNT,
     .names = rule_names},
    {.name = "item", .offset = offsetof(struct event_solution, item), .type = CODEC_U32},
    {.name = "slot", .offset = offsetof(struct event_solution, slot), .type = CODEC_U32},
    {.name = "welfare_ueur", .offset = offsetof(struct event_solution, welfare), .type = CODEC_I64},
    {.name = "bound_ueur", .offset = offsetof(struct event_solution, bound), .type = CODEC_I64},
    {.name = "solution",
     .offset = offsetof(struct event_solution, solution),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
const struct codec_record event_solution_codec = {
    .name = "solution_judged",
    .struct_size = sizeof(struct event_solution),
    .fields = event_solution_fields,
    .field_count = sizeof event_solution_fields / sizeof event_solution_fields[0],
};

static const struct codec_field event_coupled_slot_fields[] = {
    {.name = "market", .offset = offsetof(struct event_coupled_slot, market), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct event_coupled_slot, start), .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct event_coupled_slot, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "carrier", .offset = offsetof(struct event_coupled_slot, carrier), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct event_coupled_slot, period_start),
     .type = CODEC_I64},
    {.name = "forecast",
     .offset = offsetof(struct event_coupled_slot, forecast),
     .type = CODEC_BOOL},
    {.name = "quantity_wh",
     .offset = offsetof(struct event_coupled_slot, quantity),
     .type = CODEC_I64},
    {.name = "price_least_ueur_per_kwh",
     .offset = offsetof(struct event_coupled_slot, price_least),
     .type = CODEC_I64},
    {.name = "price_most_ueur_per_kwh",
     .offset = offsetof(struct event_coupled_slot, price_most),
     .type = CODEC_I64},
};
const struct codec_record event_coupled_slot_codec = {
    .name = "coupled_slot",
    .struct_size = sizeof(struct event_coupled_slot),
    .fields = event_coupled_slot_fields,
    .field_count = sizeof event_coupled_slot_fields / sizeof event_coupled_slot_fields[0],
};

/* --- keys ----------------------------------------------------------------------------------- */

struct key_of_coupled_due {
    uint8_t what;
    int64_t at;
    struct name market;
    struct timestamp start;
    uint8_t direction;
};
struct key_of_coupled_page {
    struct name market;
    struct timestamp start;
    uint8_t direction;
    uint8_t what;
    uint32_t page;
};
struct key_of_coupled_side {
    struct name market;
    struct timestamp period_start;
    uint8_t direction;
    struct name carrier;
    struct name participant;
};
struct key_of_line {
    struct name network;
    struct name line;
};

static const char *const coupled_due_names[3] = {"gate", "window", "release"};
static const struct codec_field key_of_coupled_due_codec_fields[] = {
    {.name = "what",
     .offset = offsetof(struct key_of_coupled_due, what),
     .type = CODEC_ENUM,
     .limit = 3,
     .names = coupled_due_names},
    {.name = "at", .offset = offsetof(struct key_of_coupled_due, at), .type = CODEC_I64},
    {.name = "market", .offset = offsetof(struct key_of_coupled_due, market), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct key_of_coupled_due, start), .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_coupled_due, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
};
const struct codec_record coupled_due_key_codec = {
    .name = "coupled_due_key",
    .struct_size = sizeof(struct key_of_coupled_due),
    .fields = key_of_coupled_due_codec_fields,
    .field_count =
        sizeof key_of_coupled_due_codec_fields / sizeof key_of_coupled_due_codec_fields[0],
};

static const struct codec_field key_of_coupled_page_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct key_of_coupled_page, market), .type = CODEC_NAME},
    {.name = "start_ms", .offset = offsetof(struct key_of_coupled_page, start), .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_coupled_page, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "what",
     .offset = offsetof(struct key_of_coupled_page, what),
     .type = CODEC_ENUM,
     .limit = COUPLED_PAGE_OF_COUNT,
     .names = coupled_page_names},
    {.name = "page", .offset = offsetof(struct key_of_coupled_page, page), .type = CODEC_U32},
};
const struct codec_record coupled_page_key_codec = {
    .name = "coupled_page_key",
    .struct_size = sizeof(struct key_of_coupled_page),
    .fields = key_of_coupled_page_codec_fields,
    .field_count =
        sizeof key_of_coupled_page_codec_fields / sizeof key_of_coupled_page_codec_fields[0],
};

static const struct codec_field key_of_coupled_side_codec_fields[] = {
    {.name = "market", .offset = offsetof(struct key_of_coupled_side, market), .type = CODEC_NAME},
    {.name = "period_start_ms",
     .offset = offsetof(struct key_of_coupled_side, period_start),
     .type = CODEC_I64},
    {.name = "direction",
     .offset = offsetof(struct key_of_coupled_side, direction),
     .type = CODEC_ENUM,
     .limit = 2,
     .names = direction_names},
    {.name = "carrier",
     .offset = offsetof(struct key_of_coupled_side, carrier),
     .type = CODEC_NAME},
    {.name = "participant",
     .offset = offsetof(struct key_of_coupled_side, participant),
     .type = CODEC_NAME},
};
const struct codec_record coupled_side_key_codec = {
    .name = "coupled_side_key",
    .struct_size = sizeof(struct key_of_coupled_side),
    .fields = key_of_coupled_side_codec_fields,
    .field_count =
        sizeof key_of_coupled_side_codec_fields / sizeof key_of_coupled_side_codec_fields[0],
};

static const struct codec_field key_of_line_codec_fields[] = {
    {.name = "network", .offset = offsetof(struct key_of_line, network), .type = CODEC_NAME},
    {.name = "id", .offset = offsetof(struct key_of_line, line), .type = CODEC_NAME},
};
const struct codec_record network_line_key_codec = {
    .name = "network_line_key",
    .struct_size = sizeof(struct key_of_line),
    .fields = key_of_line_codec_fields,
    .field_count = sizeof key_of_line_codec_fields / sizeof key_of_line_codec_fields[0],
};

struct state_key state_key_coupled(enum state_kind kind, const struct name *market,
                                   struct timestamp start, uint8_t direction)
{
    struct state_key key;
    struct byte_writer writer;
    memset(&key, 0, sizeof key);
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    byte_write_u8(&writer, (uint8_t)kind);
    byte_write_raw(&writer, market->text, NAME_SIZE);
    byte_write_i64(&writer, timestamp_ms(start));
    byte_write_u8(&writer, direction);
    MUST(!writer.failed);
    key.size = writer.size;
    return key;
}

struct state_key state_key_coupled_page(const struct name *market, struct timestamp start,
                                        uint8_t direction, enum coupled_page_of what, uint32_t page)
{
    struct state_key key = state_key_coupled(STATE_COUPLED_PAGE, market, start, direction);
    struct byte_writer writer;
    byte_writer_init(&writer, key.bytes, sizeof key.bytes);
    writer.size = key.size;
    byte_write_u8(&writer, (uint8_t)what);
    byte_write_u32(&writer, page);
    MUST(!writer.failed);
    key.size = writer.size;
    return key;
}
