/* Canonical bytes of a coupled auction's problem and of its solutions (contracts/coupled_problem.h;
 * docs/spec/coupled.md 11).
 *
 *   u16 agents, slots, slots of one auction, nodes, carriers, lines, rows, links; u16 bids;
 *   u32 coefs, members, rights
 *   nodes, carriers            name (24) each
 *   bids      u64 order | i64 quantity | i64 price | i64 minimum | u16 agent | u8 slot | u16 place |
 *             u16 step | u8 flags: 1 buy, 2 indivisible
 *   lines     u16 from | u16 to | i64 capacity
 *   rows      u16 coefficients | u8 op | i64 right side
 *   coefs     u16 place | i64 value
 *   rights    u16 row | u8 slot | i64 right side, there alone and other than the row's; by row, then slot
 *   links     u8 type | u8 op | u16 members | i64 quantity | i64 num | i64 den
 *   members   u16 bid
 *
 * 1. Encoding and decoding are each other's inverse on what the decoder takes.
 * 2. A decoder allocates for what stands there, never for what is only announced: counts are held against
 *    the limits first, and those against the arena.
 *
 * Deliberately absent: what a problem must be to make sense (clear_coupled.c). */
#include "contracts/coupled_problem.h"

#include "base/fatal.h"

enum { FLAG_BUY = 1, FLAG_INDIVISIBLE = 2, FLAGS = FLAG_BUY | FLAG_INDIVISIBLE };

_Static_assert(COUPLED_AUCTION_BIDS_MAX <= UINT16_MAX && COUPLED_AUCTION_PLACES_MAX <= UINT16_MAX &&
                   COUPLED_AUCTION_SLOTS_MAX <= UINT8_MAX &&
                   COUPLED_AUCTION_LINKS_MAX <= UINT16_MAX &&
                   COUPLED_AUCTION_ROWS_MAX <= UINT16_MAX,
               "what names a bid, place, interval or link fits its bytes");

/* --- the problem ---------------------------------------------------------------------------- */

static void write_names(struct byte_writer *writer, const struct name *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        byte_write_raw(writer, names[i].text, NAME_SIZE);
    }
}

static void write_bids(struct byte_writer *writer, const struct coupled_auction_problem *auction)
{
    for (uint32_t i = 0; i < auction->problem.bid_count; i++) {
        const struct coupled_bid *bid = &auction->problem.bids[i];
        MUST(bid->order <= UINT16_MAX);
        byte_write_u64(writer, auction->orders[i]);
        byte_write_i64(writer, bid->quantity);
        byte_write_i64(writer, bid->price);
        byte_write_i64(writer, bid->min_quantity);
        byte_write_u16(writer, (uint16_t)bid->agent);
        byte_write_u8(writer, (uint8_t)bid->slot);
        byte_write_u16(writer, (uint16_t)bid->place);
        byte_write_u16(writer, (uint16_t)bid->order);
        byte_write_u8(writer, (uint8_t)((bid->buy ? FLAG_BUY : 0) |
                                        (bid->indivisible ? FLAG_INDIVISIBLE : 0)));
    }
}

static void write_network(struct byte_writer *writer, const struct coupled_problem *problem)
{
    for (uint32_t i = 0; i < problem->line_count; i++) {
        byte_write_u16(writer, (uint16_t)problem->lines[i].from);
        byte_write_u16(writer, (uint16_t)problem->lines[i].to);
        byte_write_i64(writer, problem->lines[i].capacity);
    }
    uint32_t coefs = 0;
    for (uint32_t i = 0; i < problem->row_count; i++) {
        MUST(problem->rows[i].first == coefs);
        coefs += problem->rows[i].count;
        byte_write_u16(writer, (uint16_t)problem->rows[i].count);
        byte_write_u8(writer, (uint8_t)problem->rows[i].op);
        byte_write_i64(writer, problem->rows[i].rhs);
    }
    MUST(coefs == problem->coef_count);
    for (uint32_t i = 0; i < coefs; i++) {
        byte_write_u16(writer, (uint16_t)problem->coefs[i].place);
        byte_write_i64(writer, problem->coefs[i].value);
    }
}

/* Counts them; writes them if there is a writer. */
static uint32_t write_rights(struct byte_writer *writer, const struct coupled_problem *problem)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < problem->row_count && problem->right != NULL; i++) {
        for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
            int64_t right = coupled_right(problem, slot, i);
            if (right == problem->rows[i].rhs) {
                continue;
            }
            count++;
            if (writer != NULL) {
                byte_write_u16(writer, (uint16_t)i);
                byte_write_u8(writer, (uint8_t)slot);
                byte_write_i64(writer, right);
            }
        }
    }
    return count;
}

static void write_links(struct byte_writer *writer, const struct coupled_problem *problem)
{
    uint32_t members = 0;
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        MUST(link->first == members);
        members += link->count;
        byte_write_u8(writer, (uint8_t)link->type);
        byte_write_u8(writer, (uint8_t)link->op);
        byte_write_u16(writer, (uint16_t)link->count);
        byte_write_i64(writer, link->quantity);
        byte_write_i64(writer, link->num);
        byte_write_i64(writer, link->den);
    }
    MUST(members == problem->member_count);
    for (uint32_t i = 0; i < members; i++) {
        byte_write_u16(writer, (uint16_t)problem->members[i]);
    }
}

void coupled_problem_encode(struct byte_writer *writer,
                            const struct coupled_auction_problem *auction)
{
    const struct coupled_problem *problem = &auction->problem;
    MUST(problem->bid_count <= COUPLED_AUCTION_BIDS_MAX &&
         problem->agent_count <= problem->bid_count);
    MUST(problem->place_count == auction->node_count * auction->carrier_count);
    byte_write_u16(writer, (uint16_t)problem->agent_count);
    byte_write_u16(writer, (uint16_t)problem->slot_count);
    byte_write_u16(writer, (uint16_t)auction->binding);
    byte_write_u16(writer, (uint16_t)auction->node_count);
    byte_write_u16(writer, (uint16_t)auction->carrier_count);
    byte_write_u16(writer, (uint16_t)problem->line_count);
    byte_write_u16(writer, (uint16_t)problem->row_count);
    byte_write_u16(writer, (uint16_t)problem->link_count);
    byte_write_u16(writer, (uint16_t)problem->bid_count);
    byte_write_u32(writer, problem->coef_count);
    byte_write_u32(writer, problem->member_count);
    byte_write_u32(writer, write_rights(NULL, problem));
    write_names(writer, auction->nodes, auction->node_count);
    write_names(writer, auction->carriers, auction->carrier_count);
    write_bids(writer, auction);
    write_network(writer, problem);
    (void)write_rights(writer, problem);
    write_links(writer, problem);
}

static bool counts_hold(const struct coupled_auction_problem *auction)
{
    const struct coupled_problem *problem = &auction->problem;
    uint64_t per_slot = (uint64_t)problem->place_count + problem->line_count + problem->row_count;
    return problem->bid_count <= COUPLED_AUCTION_BIDS_MAX &&
           problem->agent_count <= problem->bid_count && problem->slot_count >= 1 &&
           problem->slot_count <= COUPLED_AUCTION_SLOTS_MAX && auction->binding >= 1 &&
           auction->binding <= problem->slot_count && problem->slot_count % auction->binding == 0 &&
           auction->node_count <= LIMIT_NETWORK_NODES &&
           auction->carrier_count <= LIMIT_NETWORK_CARRIERS &&
           problem->line_count <= LIMIT_NETWORK_LINES &&
           problem->row_count <= COUPLED_AUCTION_ROWS_MAX &&
           problem->link_count <= COUPLED_AUCTION_LINKS_MAX &&
           problem->coef_count <= COUPLED_AUCTION_COEFS_MAX &&
           problem->member_count <= COUPLED_AUCTION_MEMBERS_MAX &&
           per_slot * problem->slot_count <= COUPLED_AUCTION_CELLS_MAX;
}

static bool read_names(struct byte_reader *reader, const struct name **out, uint32_t count,
                       struct clear_arena *arena)
{
    struct name *names = clear_take(arena, count, sizeof *names);
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        byte_read_raw(reader, names[i].text, NAME_SIZE);
        good = good && !reader->failed && name_is_valid(&names[i]) && !name_is_empty(&names[i]);
    }
    *out = names;
    return good;
}

static bool read_bids(struct byte_reader *reader, struct coupled_auction_problem *out,
                      struct clear_arena *arena)
{
    struct coupled_problem *problem = &out->problem;
    struct coupled_bid *bids = clear_take(arena, problem->bid_count, sizeof *bids);
    uint64_t *orders = clear_take(arena, problem->bid_count, sizeof *orders);
    bool good = true;
    for (uint32_t i = 0; i < problem->bid_count && good; i++) {
        orders[i] = byte_read_u64(reader);
        bids[i].quantity = byte_read_i64(reader);
        bids[i].price = byte_read_i64(reader);
        bids[i].min_quantity = byte_read_i64(reader);
        bids[i].agent = byte_read_u16(reader);
        bids[i].slot = byte_read_u8(reader);
        bids[i].place = byte_read_u16(reader);
        bids[i].order = byte_read_u16(reader);
        uint8_t flags = byte_read_u8(reader);
        bids[i].buy = (flags & FLAG_BUY) != 0;
        bids[i].indivisible = (flags & FLAG_INDIVISIBLE) != 0;
        good = !reader->failed && (flags & ~FLAGS) == 0 && bids[i].agent < problem->agent_count &&
               bids[i].slot < problem->slot_count && bids[i].place < problem->place_count;
    }
    problem->bids = bids;
    out->orders = orders;
    return good;
}

static bool read_lines(struct byte_reader *reader, struct coupled_problem *problem,
                       struct clear_arena *arena)
{
    struct coupled_line *lines = clear_take(arena, problem->line_count, sizeof *lines);
    bool good = true;
    for (uint32_t i = 0; i < problem->line_count && good; i++) {
        lines[i].from = byte_read_u16(reader);
        lines[i].to = byte_read_u16(reader);
        lines[i].capacity = byte_read_i64(reader);
        good = !reader->failed && lines[i].from < problem->place_count &&
               lines[i].to < problem->place_count;
    }
    problem->lines = lines;
    return good;
}

static bool read_rows(struct byte_reader *reader, struct coupled_problem *problem,
                      struct clear_arena *arena)
{
    struct coupled_row *rows = clear_take(arena, problem->row_count, sizeof *rows);
    struct coupled_coef *coefs = clear_take(arena, problem->coef_count, sizeof *coefs);
    uint32_t first = 0;
    bool good = true;
    for (uint32_t i = 0; i < problem->row_count && good; i++) {
        rows[i].first = first;
        rows[i].count = byte_read_u16(reader);
        uint8_t op = byte_read_u8(reader);
        rows[i].rhs = byte_read_i64(reader);
        good =
            !reader->failed && op <= COUPLED_EQUAL && rows[i].count <= problem->coef_count - first;
        rows[i].op = good ? (enum coupled_op)op : COUPLED_AT_MOST;
        first += good ? rows[i].count : 0;
    }
    good = good && first == problem->coef_count;
    uint32_t row = 0;
    for (uint32_t i = 0; i < problem->coef_count && good; i++) {
        coefs[i].place = byte_read_u16(reader);
        coefs[i].value = byte_read_i64(reader);
        while (rows[row].first + rows[row].count <= i) {
            row++;
        }
        good = !reader->failed && coefs[i].place < problem->place_count &&
               (i == rows[row].first || coefs[i - 1].place < coefs[i].place);
    }
    problem->rows = rows;
    problem->coefs = coefs;
    return good;
}

/* Sparse in the bytes, dense in the problem. */
static bool read_rights(struct byte_reader *reader, struct coupled_problem *problem, uint32_t count,
                        struct clear_arena *arena)
{
    bool good = count <= COUPLED_AUCTION_RIGHTS_MAX;
    if (!good || count == 0) {
        return good;
    }
    const size_t cells = (size_t)problem->slot_count * problem->row_count;
    int64_t *right = clear_take(arena, cells, sizeof *right);
    for (size_t i = 0; i < cells; i++) {
        right[i] = problem->rows[i % problem->row_count].rhs;
    }
    uint32_t next = 0; /* rows x slots + slot: they only rise */
    for (uint32_t i = 0; i < count && good; i++) {
        uint32_t row = byte_read_u16(reader);
        uint32_t slot = byte_read_u8(reader);
        int64_t value = byte_read_i64(reader);
        uint32_t at = row * problem->slot_count + slot;
        good = !reader->failed && row < problem->row_count && slot < problem->slot_count &&
               at >= next && value != problem->rows[row].rhs;
        if (good) {
            right[(size_t)slot * problem->row_count + row] = value;
            next = at + 1;
        }
    }
    problem->right = right;
    return good;
}

void coupled_problem_auctions(struct coupled_auction_problem *auction, struct clear_arena *arena)
{
    struct coupled_problem *problem = &auction->problem;
    problem->auction = NULL;
    if (auction->binding == problem->slot_count) {
        return;
    }
    uint32_t *of = clear_take(arena, problem->slot_count, sizeof *of);
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        of[slot] = slot / auction->binding;
    }
    problem->auction = of;
}

static bool read_links(struct byte_reader *reader, struct coupled_problem *problem,
                       struct clear_arena *arena)
{
    struct coupled_link *links = clear_take(arena, problem->link_count, sizeof *links);
    uint32_t *members = clear_take(arena, problem->member_count, sizeof *members);
    uint32_t first = 0;
    bool good = true;
    for (uint32_t i = 0; i < problem->link_count && good; i++) {
        uint8_t type = byte_read_u8(reader);
        uint8_t op = byte_read_u8(reader);
        links[i].first = first;
        links[i].count = byte_read_u16(reader);
        links[i].quantity = byte_read_i64(reader);
        links[i].num = byte_read_i64(reader);
        links[i].den = byte_read_i64(reader);
        good = !reader->failed && type <= COUPLED_CONVERT && op <= COUPLED_EQUAL &&
               links[i].count <= problem->member_count - first;
        links[i].type = good ? (enum coupled_link_type)type : COUPLED_AND;
        links[i].op = good ? (enum coupled_op)op : COUPLED_AT_MOST;
        first += good ? links[i].count : 0;
    }
    good = good && first == problem->member_count;
    for (uint32_t i = 0; i < problem->member_count && good; i++) {
        members[i] = byte_read_u16(reader);
        good = !reader->failed && members[i] < problem->bid_count;
    }
    problem->links = links;
    problem->members = members;
    return good;
}

bool coupled_problem_decode(struct coupled_auction_problem *out, struct bytes_view bytes,
                            struct clear_arena *arena)
{
    struct byte_reader reader;
    byte_reader_init(&reader, bytes.data, bytes.size);
    *out = (struct coupled_auction_problem){0};
    struct coupled_problem *problem = &out->problem;
    problem->agent_count = byte_read_u16(&reader);
    problem->slot_count = byte_read_u16(&reader);
    out->binding = byte_read_u16(&reader);
    out->node_count = byte_read_u16(&reader);
    out->carrier_count = byte_read_u16(&reader);
    problem->line_count = byte_read_u16(&reader);
    problem->row_count = byte_read_u16(&reader);
    problem->link_count = byte_read_u16(&reader);
    problem->bid_count = byte_read_u16(&reader);
    problem->coef_count = byte_read_u32(&reader);
    problem->member_count = byte_read_u32(&reader);
    const uint32_t rights = byte_read_u32(&reader);
    problem->place_count = out->node_count * out->carrier_count;
    if (reader.failed || !counts_hold(out)) {
        return false;
    }
    coupled_problem_auctions(out, arena);
    return read_names(&reader, &out->nodes, out->node_count, arena) &&
           read_names(&reader, &out->carriers, out->carrier_count, arena) &&
           read_bids(&reader, out, arena) && read_lines(&reader, problem, arena) &&
           read_rows(&reader, problem, arena) && read_rights(&reader, problem, rights, arena) &&
           read_links(&reader, problem, arena) && byte_reader_done(&reader);
}

void coupled_problem_digest(struct hash *out, struct bytes_view bytes)
{
    hash_bytes(out, HASH_DOMAIN_COUPLED_PROBLEM, bytes.data, bytes.size);
}

/* --- numbers of seven bits a byte ----------------------------------------------------------- */

enum { NUMBER_BITS = 7, NUMBER_MORE = 0x80, NUMBER_BYTES_MAX = 10 };

static void write_number(struct byte_writer *writer, uint64_t value)
{
    for (; value >= NUMBER_MORE; value >>= NUMBER_BITS) {
        byte_write_u8(writer, (uint8_t)(value | NUMBER_MORE));
    }
    byte_write_u8(writer, (uint8_t)value);
}

static uint64_t read_number(struct byte_reader *reader)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < NUMBER_BYTES_MAX; i++) {
        uint8_t byte = byte_read_u8(reader);
        /* The tenth byte holds the last bit alone. */
        if (i == NUMBER_BYTES_MAX - 1 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & (NUMBER_MORE - 1)) << (NUMBER_BITS * i);
        if ((byte & NUMBER_MORE) == 0) {
            /* A last byte of zero would be a longer way to write the same. */
            reader->failed = reader->failed || (byte == 0 && i > 0);
            return value;
        }
    }
    reader->failed = true;
    return 0;
}

static void write_signed(struct byte_writer *writer, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    write_number(writer, bits << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static int64_t read_signed(struct byte_reader *reader)
{
    uint64_t folded = read_number(reader);
    return (int64_t)(folded >> 1 ^ ((folded & 1) != 0 ? UINT64_MAX : 0));
}

/* --- solutions ------------------------------------------------------------------------------ */

void coupled_solution_encode(struct byte_writer *writer, const struct coupled_problem *problem,
                             const struct coupled_solution *solution)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        int64_t accepted = solution->accepted[i];
        MUST(accepted >= 0);
        bool whole = accepted > 0 && accepted == problem->bids[i].quantity;
        write_number(writer, whole ? 1 : accepted == 0 ? 0 : (uint64_t)accepted + 1);
    }
    for (size_t i = 0; i < (size_t)problem->slot_count * problem->line_count; i++) {
        write_signed(writer, solution->flow[i]);
    }
    MUST(solution->den >= 0);
    write_number(writer, (uint64_t)solution->den);
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        uint64_t before = 0;
        for (uint32_t place = 0; place < problem->place_count; place++) {
            uint64_t value = (uint64_t)solution->node[(size_t)slot * problem->place_count + place];
            write_signed(writer, (int64_t)(value - before));
            before = value;
        }
    }
    for (size_t i = 0; i < (size_t)problem->slot_count * problem->row_count; i++) {
        write_signed(writer, solution->row[i]);
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        if (problem->links[i].type == COUPLED_SUM) {
            write_signed(writer, solution->sum[i]);
        }
    }
}

static bool read_accepted(struct byte_reader *reader, struct coupled_draft *out,
                          const struct coupled_problem *problem)
{
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        uint64_t value = read_number(reader);
        int64_t quantity = problem->bids[i].quantity;
        if (reader->failed || value > INT64_MAX || (value == 1 && quantity == 0)) {
            return false;
        }
        out->accepted[i] = value == 1 ? quantity : value == 0 ? 0 : (int64_t)value - 1;
        if (value > 1 && out->accepted[i] == quantity) {
            return false; /* all of it is 1 */
        }
    }
    return true;
}

bool coupled_solution_decode(struct coupled_draft *out, const struct coupled_problem *problem,
                             struct bytes_view bytes, struct clear_arena *arena)
{
    struct byte_reader reader;
    byte_reader_init(&reader, bytes.data, bytes.size);
    coupled_draft_take(out, problem, arena);
    if (!read_accepted(&reader, out, problem)) {
        return false;
    }
    for (size_t i = 0; i < (size_t)problem->slot_count * problem->line_count; i++) {
        out->flow[i] = read_signed(&reader);
    }
    uint64_t den = read_number(&reader);
    if (reader.failed || den > INT64_MAX) {
        return false;
    }
    out->den = (int64_t)den;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        uint64_t before = 0;
        for (uint32_t place = 0; place < problem->place_count; place++) {
            before += (uint64_t)read_signed(&reader);
            out->node[(size_t)slot * problem->place_count + place] = (int64_t)before;
        }
    }
    for (size_t i = 0; i < (size_t)problem->slot_count * problem->row_count; i++) {
        out->row[i] = read_signed(&reader);
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        out->sum[i] = problem->links[i].type == COUPLED_SUM ? read_signed(&reader) : 0;
    }
    return byte_reader_done(&reader);
}
