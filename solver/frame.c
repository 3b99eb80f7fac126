/* Encodes and decodes the frames of solver/frame.h. A decoder checks every count against the limits
 * and against the bytes that are there before it allocates, and every index against its table.
 *
 * Deliberately absent: versions. Both ends are of one build; another build's magic is refused. */
#include "solver/frame.h"

#include <stdlib.h>

static const uint32_t frame_magic = 0x46584332; /* "FXC2" */

enum { HEAD_WORDS = 11 };
enum { BID_BYTES = 42, LINE_BYTES = 16, ROW_BYTES = 13, COEF_BYTES = 12, LINK_BYTES = 30 };

void frame_write_head(uint8_t head[FRAME_HEAD_BYTES], enum frame_type type, uint32_t size)
{
    struct byte_writer writer;
    byte_writer_init(&writer, head, FRAME_HEAD_BYTES);
    byte_write_u32(&writer, frame_magic);
    byte_write_u8(&writer, (uint8_t)type);
    byte_write_u32(&writer, size);
}

bool frame_read_head(const uint8_t head[FRAME_HEAD_BYTES], uint8_t *type, uint32_t *size)
{
    struct byte_reader reader;
    byte_reader_init(&reader, head, FRAME_HEAD_BYTES);
    uint32_t magic = byte_read_u32(&reader);
    *type = byte_read_u8(&reader);
    *size = byte_read_u32(&reader);
    return magic == frame_magic && *type >= FRAME_PROBLEM && *type <= FRAME_END &&
           *size <= FRAME_BODY_BYTES_MAX;
}

static size_t problem_bytes(const struct coupled_problem *problem, bool rights)
{
    const size_t right = rights ? 8 * (size_t)problem->slot_count * problem->row_count : 0;
    return HEAD_WORDS * 4 + (size_t)problem->slot_count * 4 + right +
           (size_t)problem->bid_count * BID_BYTES + (size_t)problem->line_count * LINE_BYTES +
           (size_t)problem->row_count * ROW_BYTES + (size_t)problem->coef_count * COEF_BYTES +
           (size_t)problem->link_count * LINK_BYTES + (size_t)problem->member_count * 4;
}

size_t frame_problem_bytes(const struct coupled_problem *problem)
{
    return problem_bytes(problem, problem->right != NULL);
}

static void write_bid(struct byte_writer *out, const struct coupled_bid *bid)
{
    byte_write_i64(out, bid->quantity);
    byte_write_i64(out, bid->price);
    byte_write_i64(out, bid->min_quantity);
    byte_write_u32(out, bid->agent);
    byte_write_u32(out, bid->slot);
    byte_write_u32(out, bid->place);
    byte_write_u32(out, bid->order);
    byte_write_u8(out, bid->buy ? 1 : 0);
    byte_write_u8(out, bid->indivisible ? 1 : 0);
}

void frame_write_problem(struct byte_writer *out, const struct coupled_problem *problem,
                         uint32_t window_ms)
{
    const uint32_t head[HEAD_WORDS] = {window_ms,
                                       problem->bid_count,
                                       problem->agent_count,
                                       problem->slot_count,
                                       problem->place_count,
                                       problem->line_count,
                                       problem->row_count,
                                       problem->coef_count,
                                       problem->link_count,
                                       problem->member_count,
                                       problem->right != NULL};
    for (int i = 0; i < HEAD_WORDS; i++) {
        byte_write_u32(out, head[i]);
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        write_bid(out, &problem->bids[i]);
    }
    for (uint32_t i = 0; i < problem->line_count; i++) {
        byte_write_u32(out, problem->lines[i].from);
        byte_write_u32(out, problem->lines[i].to);
        byte_write_i64(out, problem->lines[i].capacity);
    }
    for (uint32_t i = 0; i < problem->row_count; i++) {
        byte_write_u32(out, problem->rows[i].count);
        byte_write_u8(out, (uint8_t)problem->rows[i].op);
        byte_write_i64(out, problem->rows[i].rhs);
    }
    for (uint32_t i = 0; i < problem->coef_count; i++) {
        byte_write_u32(out, problem->coefs[i].place);
        byte_write_i64(out, problem->coefs[i].value);
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        byte_write_u8(out, (uint8_t)link->type);
        byte_write_u8(out, (uint8_t)link->op);
        byte_write_u32(out, link->count);
        byte_write_i64(out, link->quantity);
        byte_write_i64(out, link->num);
        byte_write_i64(out, link->den);
    }
    for (uint32_t i = 0; i < problem->member_count; i++) {
        byte_write_u32(out, problem->members[i]);
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        byte_write_u32(out, problem->auction == NULL ? 0 : problem->auction[slot]);
        for (uint32_t i = 0; i < problem->row_count && problem->right != NULL; i++) {
            byte_write_i64(out, coupled_right(problem, slot, i));
        }
    }
}

static bool counts_fit(const struct coupled_problem *problem, size_t size, bool rights)
{
    return problem->bid_count <= COUPLED_BIDS_MAX && problem->slot_count <= COUPLED_SLOTS_MAX &&
           problem->agent_count <= COUPLED_BIDS_MAX && problem->line_count <= COUPLED_LINES_MAX &&
           problem->place_count <= COUPLED_PLACES_MAX && problem->row_count <= COUPLED_ROWS_MAX &&
           problem->coef_count <= COUPLED_COEFS_MAX && problem->link_count <= COUPLED_LINKS_MAX &&
           problem->member_count <= COUPLED_MEMBERS_MAX && problem_bytes(problem, rights) == size;
}

/* Tables behind each other in one allocation, the widest alignment first. */
static bool take_tables(struct coupled_problem *problem, void **tables, bool rights)
{
    size_t right =
        rights ? (size_t)problem->slot_count * problem->row_count * sizeof *problem->right : 0;
    size_t auctions = problem->slot_count * sizeof *problem->auction;
    size_t bids = problem->bid_count * sizeof *problem->bids;
    size_t lines = problem->line_count * sizeof *problem->lines;
    size_t rows = problem->row_count * sizeof *problem->rows;
    size_t coefs = problem->coef_count * sizeof *problem->coefs;
    size_t links = problem->link_count * sizeof *problem->links;
    size_t members = problem->member_count * sizeof *problem->members;
    uint8_t *room = calloc(1, right + bids + lines + rows + coefs + links + members + auctions + 1);
    if (room == NULL) {
        return false;
    }
    *tables = room;
    problem->right = rights ? (const int64_t *)(const void *)room : NULL;
    room += right;
    problem->bids = (const struct coupled_bid *)(const void *)room;
    problem->lines = (const struct coupled_line *)(const void *)(room + bids);
    problem->rows = (const struct coupled_row *)(const void *)(room + bids + lines);
    problem->coefs = (const struct coupled_coef *)(const void *)(room + bids + lines + rows);
    problem->links =
        (const struct coupled_link *)(const void *)(room + bids + lines + rows + coefs);
    room += bids + lines + rows + coefs + links;
    problem->members = (const uint32_t *)(const void *)room;
    problem->auction = (const uint32_t *)(const void *)(room + members);
    return true;
}

static bool read_bids(struct byte_reader *reader, const struct coupled_problem *problem,
                      struct coupled_bid *bids)
{
    bool good = true;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        struct coupled_bid *bid = &bids[i];
        bid->quantity = byte_read_i64(reader);
        bid->price = byte_read_i64(reader);
        bid->min_quantity = byte_read_i64(reader);
        bid->agent = byte_read_u32(reader);
        bid->slot = byte_read_u32(reader);
        bid->place = byte_read_u32(reader);
        bid->order = byte_read_u32(reader);
        uint8_t buy = byte_read_u8(reader), indivisible = byte_read_u8(reader);
        bid->buy = buy == 1;
        bid->indivisible = indivisible == 1;
        good = good && buy < 2 && indivisible < 2 && bid->agent < problem->agent_count &&
               bid->slot < problem->slot_count && bid->place < problem->place_count;
    }
    return good;
}

static bool read_network(struct byte_reader *reader, const struct coupled_problem *problem,
                         struct coupled_line *lines, struct coupled_row *rows,
                         struct coupled_coef *coefs)
{
    bool good = true;
    uint32_t used = 0;
    for (uint32_t i = 0; i < problem->line_count; i++) {
        lines[i].from = byte_read_u32(reader);
        lines[i].to = byte_read_u32(reader);
        lines[i].capacity = byte_read_i64(reader);
        good = good && lines[i].from < problem->place_count && lines[i].to < problem->place_count;
    }
    for (uint32_t i = 0; i < problem->row_count; i++) {
        rows[i].first = used;
        rows[i].count = byte_read_u32(reader);
        uint8_t op = byte_read_u8(reader);
        rows[i].op = op <= COUPLED_EQUAL ? (enum coupled_op)op : COUPLED_EQUAL;
        rows[i].rhs = byte_read_i64(reader);
        good = good && op <= COUPLED_EQUAL && rows[i].count <= problem->coef_count - used;
        used += good ? rows[i].count : 0;
    }
    good = good && used == problem->coef_count;
    for (uint32_t i = 0; i < problem->coef_count; i++) {
        coefs[i].place = byte_read_u32(reader);
        coefs[i].value = byte_read_i64(reader);
        good = good && coefs[i].place < problem->place_count;
    }
    for (uint32_t i = 0; i < problem->row_count && good; i++) {
        for (uint32_t at = rows[i].first + 1; at < rows[i].first + rows[i].count; at++) {
            good = good && coefs[at - 1].place < coefs[at].place;
        }
    }
    return good;
}

static bool read_links(struct byte_reader *reader, const struct coupled_problem *problem,
                       struct coupled_link *links, uint32_t *members)
{
    bool good = true;
    uint32_t used = 0;
    for (uint32_t i = 0; i < problem->link_count; i++) {
        struct coupled_link *link = &links[i];
        uint8_t type = byte_read_u8(reader), op = byte_read_u8(reader);
        link->type = type <= COUPLED_CONVERT ? (enum coupled_link_type)type : COUPLED_AND;
        link->op = op <= COUPLED_EQUAL ? (enum coupled_op)op : COUPLED_EQUAL;
        link->first = used;
        link->count = byte_read_u32(reader);
        link->quantity = byte_read_i64(reader);
        link->num = byte_read_i64(reader);
        link->den = byte_read_i64(reader);
        good = good && type <= COUPLED_CONVERT && op <= COUPLED_EQUAL &&
               link->count <= problem->member_count - used &&
               (link->type != COUPLED_CONVERT || link->count == 2);
        used += good ? link->count : 0;
    }
    for (uint32_t i = 0; i < problem->member_count; i++) {
        members[i] = byte_read_u32(reader);
        good = good && members[i] < problem->bid_count;
    }
    return good && used == problem->member_count;
}

static bool read_horizon(struct byte_reader *reader, const struct coupled_problem *problem,
                         uint32_t *auctions, int64_t *right)
{
    bool good = true;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        auctions[slot] = byte_read_u32(reader);
        good = good && auctions[slot] < COUPLED_SLOTS_MAX;
        for (uint32_t i = 0; i < problem->row_count && right != NULL; i++) {
            right[(size_t)slot * problem->row_count + i] = byte_read_i64(reader);
        }
    }
    return good;
}

bool frame_read_problem(struct coupled_problem *out, void **tables, uint32_t *window_ms,
                        const uint8_t *body, size_t size)
{
    struct byte_reader reader;
    byte_reader_init(&reader, body, size);
    *out = (struct coupled_problem){0};
    *window_ms = byte_read_u32(&reader);
    out->bid_count = byte_read_u32(&reader);
    out->agent_count = byte_read_u32(&reader);
    out->slot_count = byte_read_u32(&reader);
    out->place_count = byte_read_u32(&reader);
    out->line_count = byte_read_u32(&reader);
    out->row_count = byte_read_u32(&reader);
    out->coef_count = byte_read_u32(&reader);
    out->link_count = byte_read_u32(&reader);
    out->member_count = byte_read_u32(&reader);
    const uint32_t rights = byte_read_u32(&reader);
    if (reader.failed || rights > 1 || !counts_fit(out, size, rights == 1) ||
        !take_tables(out, tables, rights == 1)) {
        return false;
    }
    /* The tables are ours until they are handed over. */
    bool good = read_bids(&reader, out, (struct coupled_bid *)(uintptr_t)out->bids) &&
                read_network(&reader, out, (struct coupled_line *)(uintptr_t)out->lines,
                             (struct coupled_row *)(uintptr_t)out->rows,
                             (struct coupled_coef *)(uintptr_t)out->coefs) &&
                read_links(&reader, out, (struct coupled_link *)(uintptr_t)out->links,
                           (uint32_t *)(uintptr_t)out->members) &&
                read_horizon(&reader, out, (uint32_t *)(uintptr_t)out->auction,
                             (int64_t *)(uintptr_t)out->right) &&
                byte_reader_done(&reader);
    if (!good) {
        free(*tables);
        *tables = NULL;
    }
    return good;
}

size_t frame_solution_bytes(const struct coupled_problem *problem)
{
    size_t slots = problem->slot_count;
    return 8 * (1 + (size_t)problem->bid_count + problem->link_count +
                slots * ((size_t)problem->line_count + problem->place_count + problem->row_count));
}

static void write_table(struct byte_writer *out, const int64_t *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        byte_write_i64(out, table[i]);
    }
}

static void read_table(struct byte_reader *reader, int64_t *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        table[i] = byte_read_i64(reader);
    }
}

void frame_write_solution(struct byte_writer *out, const struct coupled_problem *problem,
                          const struct coupled_draft *draft)
{
    size_t slots = problem->slot_count;
    byte_write_i64(out, draft->den);
    write_table(out, draft->accepted, problem->bid_count);
    write_table(out, draft->flow, slots * problem->line_count);
    write_table(out, draft->node, slots * problem->place_count);
    write_table(out, draft->row, slots * problem->row_count);
    write_table(out, draft->sum, problem->link_count);
}

bool frame_read_solution(struct coupled_draft *out, const struct coupled_problem *problem,
                         const uint8_t *body, size_t size)
{
    struct byte_reader reader;
    size_t slots = problem->slot_count;
    if (size != frame_solution_bytes(problem)) {
        return false;
    }
    byte_reader_init(&reader, body, size);
    out->den = byte_read_i64(&reader);
    read_table(&reader, out->accepted, problem->bid_count);
    read_table(&reader, out->flow, slots * problem->line_count);
    read_table(&reader, out->node, slots * problem->place_count);
    read_table(&reader, out->row, slots * problem->row_count);
    read_table(&reader, out->sum, problem->link_count);
    return byte_reader_done(&reader);
}
