/* Columns of linked sets and the linear program over them (solver/columns.h).
 *
 * The multipliers of a young mixture swing; points between them and the best ones so far give better
 * bounds and better columns (columns_point), and when those have nothing new, the mixture's own do.
 *
 * Deliberately absent: columns of bids without links, which the linear program has as they are, and
 * any forgetting of columns: their number is limited instead. */
#include "solver/columns.h"

#include <glpk.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"
#include "solver/model.h"

enum {
    COLUMNS_MOST = 40000,       /* of sets */
    COLUMNS_CELLS_MOST = 20000, /* more balances make the linear program slower than the rest */
    COLUMNS_NUMBERS_MOST = 2000000
};

struct column {
    uint32_t set;
    uint32_t first; /* its quantities, in the order of the set's bids */
};

struct columns {
    const struct coupled_problem *problem;
    const struct coupled_plan *plan;
    glp_prob *lp;
    int balance_first; /* rows */
    int limit_first;
    int set_first;
    int *sum_row;   /* per link that is a sum and not searched, or 0 */
    int *quantity;  /* per bid without a set: its column */
    int *on;        /* per such bid in lumps: its column of yes or no, or 0 */
    int flow_first; /* columns */
    int injection_first;
    int choice_first;
    struct column *list;
    uint32_t count;
    int64_t *numbers;
    uint32_t number_count;
    double *dual; /* per row */
    double *kept;
    double *point;
    bool has_kept;
    double *entry; /* per row: the column that is being made */
    int *touched;
    int touched_count;
    double *values;
    int64_t *choice; /* per bid */
    bool searched;
    bool (*better)(void *context);
    void *context;
    struct clear_arena arena;
};

static int bound_type(enum coupled_op op)
{
    switch (op) {
    case COUPLED_AT_MOST:
        return GLP_UP;
    case COUPLED_AT_LEAST:
        return GLP_LO;
    case COUPLED_EQUAL:
        return GLP_FX;
    }
    MUST(false);
    return GLP_FX;
}

static int add_rows(struct columns *columns, size_t count, int type, double right)
{
    int first = glp_get_num_rows(columns->lp) + 1;
    if (count > 0) {
        glp_add_rows(columns->lp, (int)count);
    }
    for (size_t i = 0; i < count; i++) {
        glp_set_row_bnds(columns->lp, first + (int)i, type, right, right);
    }
    return first;
}

static void touch(struct columns *columns, int row, double value)
{
    if (fabs(columns->entry[row]) < 0.5) {
        columns->touched[++columns->touched_count] = row;
    }
    columns->entry[row] += value;
}

/* A column of the rows that were touched. */
static int end_column(struct columns *columns, int type, double low, double high, double worth)
{
    int column = glp_add_cols(columns->lp, 1), count = 0;
    for (int i = 1; i <= columns->touched_count; i++) {
        int row = columns->touched[i];
        if (fabs(columns->entry[row]) > 0.5) {
            columns->touched[++count] = row;
            columns->values[count] = columns->entry[row];
        }
        columns->entry[row] = 0;
    }
    glp_set_mat_col(columns->lp, column, count, columns->touched, columns->values);
    glp_set_col_bnds(columns->lp, column, low < high ? type : GLP_FX, low, high);
    glp_set_obj_coef(columns->lp, column, worth);
    columns->touched_count = 0;
    return column;
}

/* What a quantity of a bid takes of the rows, and what it is worth. */
static double touch_bid(struct columns *columns, uint32_t bid, double quantity)
{
    const struct coupled_problem *problem = columns->problem;
    const struct coupled_bid *item = &problem->bids[bid];
    const struct coupled_lists *links = &columns->plan->links;
    double injected = item->buy ? -quantity : quantity;
    if (quantity > 0) {
        /* With rows of the network the first rows define injections, those after it balance them. */
        touch(columns, 1 + (int)coupled_cell(problem, item), injected);
    }
    for (uint32_t at = links->start[bid]; at < links->start[bid + 1] && quantity > 0; at++) {
        int row = columns->sum_row[links->list[at]];
        if (row != 0) {
            touch(columns, row, quantity);
        }
    }
    return -injected * (double)item->price;
}

static void make_rows(struct columns *columns)
{
    const struct coupled_problem *problem = columns->problem;
    columns->balance_first = add_rows(columns, columns->plan->cells, GLP_FX, 0);
    if (problem->row_count > 0) {
        columns->balance_first = add_rows(columns, columns->plan->cells, GLP_FX, 0);
    }
    columns->limit_first = glp_get_num_rows(columns->lp) + 1;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->row_count; i++) {
            (void)add_rows(columns, 1, bound_type(problem->rows[i].op),
                           (double)coupled_right(problem, slot, i));
        }
    }
    for (uint32_t i = 0; i < problem->link_count; i++) {
        const struct coupled_link *link = &problem->links[i];
        if (link->type == COUPLED_SUM && !columns->plan->sum_searched[i]) {
            columns->sum_row[i] =
                add_rows(columns, 1, bound_type(link->op), (double)link->quantity);
        }
    }
    columns->set_first = add_rows(columns, columns->plan->set_count, GLP_UP, 1);
}

/* A bid by itself; in lumps it has a yes or no as well. */
static void make_bid(struct columns *columns, uint32_t bid)
{
    const struct coupled_bid *item = &columns->problem->bids[bid];
    bool lump = coupled_least(item) > 1 && item->quantity > 0;
    int most = lump ? add_rows(columns, 1, GLP_UP, 0) : 0;
    int least = lump ? add_rows(columns, 1, GLP_LO, 0) : 0;
    double worth = touch_bid(columns, bid, 1);
    if (lump) {
        touch(columns, most, 1);
        touch(columns, least, 1);
    }
    columns->quantity[bid] = end_column(columns, GLP_DB, 0, (double)item->quantity, worth);
    if (lump) {
        touch(columns, most, -(double)item->quantity);
        touch(columns, least, -(double)coupled_least(item));
        columns->on[bid] = end_column(columns, GLP_DB, 0, 1, 0);
    }
}

static void make_network(struct columns *columns)
{
    const struct coupled_problem *problem = columns->problem;
    const struct coupled_lists *coefs = &columns->plan->row_coef;
    columns->flow_first = glp_get_num_cols(columns->lp) + 1;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        int balance = columns->balance_first + (int)(slot * problem->place_count);
        for (uint32_t i = 0; i < problem->line_count; i++) {
            double capacity = (double)problem->lines[i].capacity;
            touch(columns, balance + (int)problem->lines[i].from, -1);
            touch(columns, balance + (int)problem->lines[i].to, 1);
            (void)end_column(columns, GLP_DB, -capacity, capacity, 0);
        }
    }
    for (size_t cell = 0; cell < columns->plan->cells && problem->row_count > 0; cell++) {
        uint32_t place = (uint32_t)(cell % problem->place_count);
        size_t slot = cell / problem->place_count;
        touch(columns, 1 + (int)cell, -1);
        touch(columns, columns->balance_first + (int)cell, 1);
        for (uint32_t at = coefs->start[place]; at < coefs->start[place + 1]; at++) {
            uint32_t coef = coefs->list[at];
            touch(columns,
                  columns->limit_first +
                      (int)(slot * problem->row_count + columns->plan->coef_row[coef]),
                  (double)problem->coefs[coef].value);
        }
        int column = end_column(columns, GLP_DB, 0, 1, 0);
        glp_set_col_bnds(columns->lp, column, GLP_FR, 0, 0);
    }
}

static bool take_tables(struct columns *columns)
{
    const struct coupled_problem *problem = columns->problem;
    size_t bids = (size_t)problem->bid_count + 1;
    size_t rows = 2 * columns->plan->cells + (size_t)problem->slot_count * problem->row_count +
                  problem->link_count + columns->plan->set_count + 2 * bids + 2;
    columns->sum_row = calloc((size_t)problem->link_count + 1, sizeof *columns->sum_row);
    columns->quantity = calloc(bids, sizeof *columns->quantity);
    columns->on = calloc(bids, sizeof *columns->on);
    columns->choice = calloc(bids, sizeof *columns->choice);
    columns->list = calloc(COLUMNS_MOST, sizeof *columns->list);
    columns->numbers = calloc(COLUMNS_NUMBERS_MOST, sizeof *columns->numbers);
    columns->dual = calloc(rows, sizeof *columns->dual);
    columns->kept = calloc(rows, sizeof *columns->kept);
    columns->point = calloc(rows, sizeof *columns->point);
    columns->entry = calloc(rows, sizeof *columns->entry);
    columns->touched = calloc(rows, sizeof *columns->touched);
    columns->values = calloc(rows, sizeof *columns->values);
    columns->arena.size = coupled_arena_bytes(problem);
    columns->arena.bytes = malloc(columns->arena.size);
    return columns->sum_row != NULL && columns->quantity != NULL && columns->on != NULL &&
           columns->choice != NULL && columns->list != NULL && columns->numbers != NULL &&
           columns->dual != NULL && columns->kept != NULL && columns->point != NULL &&
           columns->entry != NULL && columns->touched != NULL && columns->values != NULL &&
           columns->arena.bytes != NULL;
}

struct columns *columns_create(const struct coupled_problem *problem,
                               const struct coupled_plan *plan)
{
    if (plan->set_count == 0 || plan->cells > COLUMNS_CELLS_MOST) {
        return NULL;
    }
    struct columns *columns = calloc(1, sizeof *columns);
    if (columns == NULL) {
        return NULL;
    }
    columns->problem = problem;
    columns->plan = plan;
    glp_term_out(GLP_OFF);
    columns->lp = glp_create_prob();
    if (!take_tables(columns)) {
        columns_free(columns);
        return NULL;
    }
    glp_set_obj_dir(columns->lp, GLP_MAX);
    make_rows(columns);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        if (plan->set_of[i] == COUPLED_NONE) {
            make_bid(columns, i);
        }
    }
    make_network(columns);
    columns->choice_first = glp_get_num_cols(columns->lp) + 1;
    return columns;
}

void columns_free(struct columns *columns)
{
    if (columns == NULL) {
        return;
    }
    glp_delete_prob(columns->lp);
    free(columns->sum_row);
    free(columns->quantity);
    free(columns->on);
    free(columns->choice);
    free(columns->list);
    free(columns->numbers);
    free(columns->dual);
    free(columns->kept);
    free(columns->point);
    free(columns->entry);
    free(columns->touched);
    free(columns->values);
    free(columns->arena.bytes);
    free(columns);
}

/* The set's part of `choice` as a column, if it may better the mixture (always before there is one).
 * False if it may not, or there is no room. */
static bool add_column(struct columns *columns, uint32_t id)
{
    const struct coupled_set *set = &columns->plan->sets[id];
    double worth = 0, gain;
    bool any = false;
    if (columns->count == COLUMNS_MOST ||
        columns->number_count + set->count > COLUMNS_NUMBERS_MOST) {
        return false;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t bid = columns->plan->set_bid[set->first + i];
        columns->numbers[columns->number_count + i] = columns->choice[bid];
        worth += touch_bid(columns, bid, (double)columns->choice[bid]);
        any = any || columns->choice[bid] > 0;
    }
    touch(columns, columns->set_first + (int)id, 1);
    gain = worth;
    for (int i = 1; i <= columns->touched_count; i++) {
        gain -= columns->dual[columns->touched[i]] * columns->entry[columns->touched[i]];
    }
    if (!any || gain <= 1e-9 * (fabs(worth) + 1)) {
        for (int i = 1; i <= columns->touched_count; i++) {
            columns->entry[columns->touched[i]] = 0;
        }
        columns->touched_count = 0;
        return false;
    }
    columns->list[columns->count++] = (struct column){id, columns->number_count};
    columns->number_count += set->count;
    int column = end_column(columns, GLP_DB, 0, 1, worth);
    glp_set_col_bnds(columns->lp, column, GLP_LO, 0, 0); /* the row of its set holds it under 1 */
    return true;
}

void columns_add_quantities(struct columns *columns, const struct coupled_draft *draft)
{
    memcpy(columns->choice, draft->accepted, columns->problem->bid_count * sizeof *columns->choice);
    for (uint32_t i = 0; i < columns->plan->set_count; i++) {
        (void)add_column(columns, i);
    }
}

bool columns_relax(struct columns *columns, int time_ms)
{
    glp_smcp options;
    glp_init_smcp(&options);
    options.msg_lev = GLP_MSG_OFF;
    options.tm_lim = time_ms > 1 ? time_ms : 1;
    columns->searched = false;
    if (glp_simplex(columns->lp, &options) != 0 || glp_get_status(columns->lp) != GLP_OPT) {
        return false;
    }
    for (int row = 1; row <= glp_get_num_rows(columns->lp); row++) {
        columns->dual[row] = glp_get_row_dual(columns->lp, row);
    }
    return true;
}

bool columns_point(struct columns *columns, struct coupled_draft *out, double weight, int64_t den)
{
    const struct coupled_problem *problem = columns->problem;
    size_t limits = (size_t)problem->slot_count * problem->row_count;
    bool good = true;
    weight = columns->has_kept ? weight : 0;
    for (int row = 1; row <= glp_get_num_rows(columns->lp); row++) {
        columns->point[row] = weight * columns->kept[row] + (1 - weight) * columns->dual[row];
    }
    out->den = den;
    for (size_t cell = 0; cell < columns->plan->cells && good; cell++) {
        good = model_multiple(&out->node[cell], -columns->point[columns->balance_first + (int)cell],
                              den, COUPLED_EQUAL);
    }
    for (size_t i = 0; i < limits && good; i++) {
        good = model_multiple(&out->row[i], columns->point[columns->limit_first + (int)i], den,
                              problem->rows[i % problem->row_count].op);
    }
    for (uint32_t i = 0; i < problem->link_count && good; i++) {
        out->sum[i] = 0;
        good = columns->sum_row[i] == 0 ||
               model_multiple(&out->sum[i], columns->point[columns->sum_row[i]], den,
                              problem->links[i].op);
    }
    return good;
}

void columns_keep(struct columns *columns)
{
    size_t rows = (size_t)glp_get_num_rows(columns->lp) + 1;
    memcpy(columns->kept, columns->point, rows * sizeof *columns->kept);
    columns->has_kept = true;
}

uint32_t columns_add_best(struct columns *columns, const struct coupled_draft *draft)
{
    const struct coupled_plan *plan = columns->plan;
    struct coupled_solution at = coupled_draft_view(draft);
    uint64_t steps = coupled_check_steps_max;
    uint32_t added = 0;
    columns->arena.used = 0;
    int128 *price = clear_take(&columns->arena, plan->cells, sizeof *price);
    int128 *reduced = clear_take(&columns->arena, columns->problem->bid_count, sizeof *reduced);
    if (!coupled_prices(price, plan, &at) || !coupled_reduced(reduced, plan, &at, price)) {
        return 0;
    }
    struct coupled_search *search = coupled_search_create(plan, &columns->arena);
    for (uint32_t i = 0; i < plan->set_count; i++) {
        int128 best;
        bool relaxed;
        if (!coupled_set_choose(&best, &relaxed, columns->choice, search, &plan->sets[i], reduced,
                                &steps)) {
            return added;
        }
        added += add_column(columns, i);
    }
    return added;
}

static void on_search(glp_tree *tree, void *info)
{
    struct columns *columns = info;
    if (glp_ios_reason(tree) == GLP_IBINGO && columns->better(columns->context)) {
        glp_ios_terminate(tree);
    }
}

bool columns_search(struct columns *columns, int time_ms, bool (*better)(void *context),
                    void *context)
{
    glp_iocp options;
    glp_init_iocp(&options);
    options.msg_lev = GLP_MSG_OFF;
    options.tm_lim = time_ms > 1 ? time_ms : 1;
    options.mip_gap = 1e-6;
    options.cb_func = on_search;
    options.cb_info = columns;
    columns->better = better;
    columns->context = context;
    for (uint32_t i = 0; i < columns->problem->bid_count; i++) {
        if (columns->on[i] != 0) {
            glp_set_col_kind(columns->lp, columns->on[i], GLP_BV);
        }
    }
    for (uint32_t i = 0; i < columns->count; i++) {
        glp_set_col_kind(columns->lp, columns->choice_first + (int)i, GLP_BV);
    }
    columns->searched = true;
    (void)glp_intopt(columns->lp, &options);
    int status = glp_mip_status(columns->lp);
    return status == GLP_OPT || status == GLP_FEAS;
}

static double value_of(const struct columns *columns, int column)
{
    return columns->searched ? glp_mip_col_val(columns->lp, column)
                             : glp_get_col_prim(columns->lp, column);
}

/* The column of a set that has the largest part, if it is more than what rests. */
static void choose_columns(struct columns *columns, int64_t *accepted)
{
    double *part = columns->values; /* per set: as many as rows at most */
    for (uint32_t i = 0; i < columns->plan->set_count; i++) {
        part[i] = 0.3;
    }
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct column *column = &columns->list[i];
        const struct coupled_set *set = &columns->plan->sets[column->set];
        double here = value_of(columns, columns->choice_first + (int)i);
        for (uint32_t at = 0; at < set->count && here > part[column->set]; at++) {
            accepted[columns->plan->set_bid[set->first + at]] =
                columns->numbers[column->first + at];
        }
        part[column->set] = here > part[column->set] ? here : part[column->set];
    }
}

void columns_quantities(struct columns *columns, struct coupled_draft *out)
{
    const struct coupled_problem *problem = columns->problem;
    memset(out->accepted, 0, problem->bid_count * sizeof *out->accepted);
    choose_columns(columns, out->accepted);
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        if (columns->quantity[i] != 0) {
            double value = floor(value_of(columns, columns->quantity[i]) + 0.5);
            int64_t near = value > 0 ? (int64_t)value : 0;
            near = near > bid->quantity ? bid->quantity : near;
            out->accepted[i] = near < coupled_least(bid) ? 0 : near;
        }
    }
    for (size_t i = 0; i < (size_t)problem->slot_count * problem->line_count; i++) {
        int64_t capacity = problem->lines[i % problem->line_count].capacity;
        double value = floor(value_of(columns, columns->flow_first + (int)i) + 0.5);
        out->flow[i] = value >= (double)capacity    ? capacity
                       : value <= -(double)capacity ? -capacity
                                                    : (int64_t)value;
    }
}
