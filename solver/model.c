/* Builds and solves the model of solver/model.h with GLPK: columns for quantities, flows,
 * injections (where there are rows), and yes-or-no for what trades in lumps, stands in links of
 * and, or, xor, or opens a buyer's step.
 *
 * Signs: GLPK's multiplier of a row is what one unit more of its right side is worth. The balance of
 * a place is written as injection + inflow - outflow = 0, so a unit more of right side is a unit
 * that vanishes there: the multiplier of coupled_solution is the negated one.
 *
 * Deliberately absent: any claim. The search's bound is floating point and is thrown away. */
#include "solver/model.h"

#include <glpk.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "contracts/clear_coupled_internal.h"

enum { REFINE_SIZE_MAX = 2500, DENOMINATOR_DEPTH = 12 };

/* Entries of one row at a time. */
struct entries {
    int count;
    int *column;
    double *value;
};

struct model {
    glp_prob *lp;
    const struct coupled_problem *problem;
    const struct coupled_plan *plan;
    int flow_first;      /* column of flow 0 of slot 0 */
    int injection_first; /* 0 if there are no rows */
    int *on;             /* per bid: its column of yes or no, or 0 */
    int balance_first;   /* rows */
    int limit_first;
    int *sum_row; /* per link, or 0 */
    struct entries entries;
    bool (*better)(void *context);
    void *context;
    bool searched; /* quantities are read off the search, not the relaxation */
};

static void put(struct model *model, int column, double value)
{
    struct entries *entries = &model->entries;
    entries->count++;
    entries->column[entries->count] = column;
    entries->value[entries->count] = value;
}

static int end_row(struct model *model, int type, double low, double high)
{
    int row = glp_add_rows(model->lp, 1);
    glp_set_row_bnds(model->lp, row, type, low, high);
    glp_set_mat_row(model->lp, row, model->entries.count, model->entries.column,
                    model->entries.value);
    model->entries.count = 0;
    return row;
}

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

static int add_column(struct model *model, double low, double high)
{
    int column = glp_add_cols(model->lp, 1);
    glp_set_col_bnds(model->lp, column, low < high ? GLP_DB : GLP_FX, low, high);
    return column;
}

static int add_switch(struct model *model)
{
    int column = add_column(model, 0, 1);
    glp_set_col_kind(model->lp, column, GLP_BV);
    return column;
}

static bool needs_switch(const struct model *model, uint32_t bid)
{
    const struct coupled_lists *links = &model->plan->links;
    bool needs = coupled_least(&model->problem->bids[bid]) > 1;
    for (uint32_t at = links->start[bid]; at < links->start[bid + 1]; at++) {
        switch (model->problem->links[links->list[at]].type) {
        case COUPLED_AND:
        case COUPLED_OR:
        case COUPLED_XOR:
            needs = true;
            break;
        case COUPLED_SUM:
        case COUPLED_BLOCK:
        case COUPLED_CONVERT:
            break;
        }
    }
    return needs && model->problem->bids[bid].quantity > 0;
}

static void add_bids(struct model *model)
{
    const struct coupled_problem *problem = model->problem;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        int column = add_column(model, 0, (double)bid->quantity);
        glp_set_obj_coef(model->lp, column, bid->buy ? (double)bid->price : -(double)bid->price);
    }
    model->flow_first = glp_get_num_cols(model->lp) + 1;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->line_count; i++) {
            double capacity = (double)problem->lines[i].capacity;
            (void)add_column(model, -capacity, capacity);
        }
    }
    if (problem->row_count > 0) {
        model->injection_first = glp_get_num_cols(model->lp) + 1;
        for (size_t cell = 0; cell < model->plan->cells; cell++) {
            int column = glp_add_cols(model->lp, 1);
            glp_set_col_bnds(model->lp, column, GLP_FR, 0, 0);
        }
    }
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        if (!needs_switch(model, i)) {
            continue;
        }
        model->on[i] = add_switch(model);
        put(model, (int)i + 1, 1);
        put(model, model->on[i], -(double)bid->quantity);
        (void)end_row(model, bid->indivisible ? GLP_FX : GLP_UP, 0, 0);
        if (!bid->indivisible) {
            put(model, (int)i + 1, 1);
            put(model, model->on[i], -(double)coupled_least(bid));
            (void)end_row(model, GLP_LO, 0, 0);
        }
    }
}

static void put_bids(struct model *model, size_t cell, double sign)
{
    for (uint32_t at = model->plan->cell_start[cell]; at < model->plan->cell_start[cell + 1];
         at++) {
        uint32_t bid = model->plan->rising[at];
        put(model, (int)bid + 1, model->problem->bids[bid].buy ? -sign : sign);
    }
}

static void add_network(struct model *model)
{
    const struct coupled_problem *problem = model->problem;
    const struct coupled_lists *arcs = &model->plan->arcs;
    for (size_t cell = 0; model->injection_first != 0 && cell < model->plan->cells; cell++) {
        put(model, model->injection_first + (int)cell, 1);
        put_bids(model, cell, -1);
        (void)end_row(model, GLP_FX, 0, 0);
    }
    model->balance_first = glp_get_num_rows(model->lp) + 1;
    for (size_t cell = 0; cell < model->plan->cells; cell++) {
        uint32_t place = (uint32_t)(cell % problem->place_count);
        int flows = model->flow_first + (int)(cell / problem->place_count * problem->line_count);
        if (model->injection_first != 0) {
            put(model, model->injection_first + (int)cell, 1);
        } else {
            put_bids(model, cell, 1);
        }
        for (uint32_t at = arcs->start[place]; at < arcs->start[place + 1]; at++) {
            put(model, flows + (int)(arcs->list[at] / 2), arcs->list[at] % 2 == 0 ? -1 : 1);
        }
        (void)end_row(model, GLP_FX, 0, 0);
    }
    model->limit_first = glp_get_num_rows(model->lp) + 1;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->row_count; i++) {
            const struct coupled_row *row = &problem->rows[i];
            for (uint32_t at = row->first; at < row->first + row->count; at++) {
                put(model,
                    model->injection_first +
                        (int)((size_t)slot * problem->place_count + problem->coefs[at].place),
                    (double)problem->coefs[at].value);
            }
            const double right = (double)coupled_right(problem, slot, i);
            (void)end_row(model, bound_type(row->op), right, right);
        }
    }
}

static void add_conversion(struct model *model, const struct coupled_link *link)
{
    const uint32_t *members = model->problem->members + link->first;
    for (int side = 0; side < 2; side++) {
        put(model, (int)members[0] + 1, (double)link->num);
        put(model, (int)members[1] + 1, -(double)link->den);
        (void)end_row(model, side == 0 ? GLP_LO : GLP_UP, 0, (double)link->den - 1);
        glp_set_col_kind(model->lp, (int)members[side] + 1, GLP_IV);
    }
}

static void add_link(struct model *model, uint32_t id)
{
    const struct coupled_link *link = &model->problem->links[id];
    const uint32_t *members = model->problem->members + link->first;
    switch (link->type) {
    case COUPLED_AND:
    case COUPLED_BLOCK:
        for (uint32_t i = 1; i < link->count; i++) {
            bool both = link->type == COUPLED_AND;
            put(model, both ? model->on[members[0]] : (int)members[0] + 1, 1);
            put(model, both ? model->on[members[i]] : (int)members[i] + 1, -1);
            (void)end_row(model, GLP_FX, 0, 0);
        }
        return;
    case COUPLED_OR:
        put(model, model->on[members[0]], -1);
        for (uint32_t i = 1; i < link->count; i++) {
            put(model, model->on[members[i]], 1);
        }
        (void)end_row(model, GLP_LO, 0, 0);
        return;
    case COUPLED_XOR:
        for (uint32_t i = 0; i < link->count; i++) {
            put(model, model->on[members[i]], 1);
        }
        (void)end_row(model, GLP_UP, 0, 1);
        return;
    case COUPLED_SUM:
        for (uint32_t i = 0; i < link->count; i++) {
            put(model, (int)members[i] + 1, 1);
        }
        model->sum_row[id] =
            end_row(model, bound_type(link->op), (double)link->quantity, (double)link->quantity);
        return;
    case COUPLED_CONVERT:
        add_conversion(model, link);
        return;
    }
    MUST(false);
}

/* A step is open by a yes that all bids of the step before must be full for. */
static void add_steps(struct model *model, uint32_t sequence)
{
    const struct coupled_plan *plan = model->plan;
    const struct coupled_bid *bids = model->problem->bids;
    int open = 0;
    uint32_t before = plan->sequence_start[sequence];
    for (uint32_t first = before, next; first < plan->sequence_start[sequence + 1]; first = next) {
        int earlier = open;
        open = first > before ? add_switch(model) : 0;
        for (uint32_t at = before; at < first; at++) {
            put(model, (int)plan->sequence_bid[at] + 1, 1);
            put(model, open, -(double)bids[plan->sequence_bid[at]].quantity);
            (void)end_row(model, GLP_LO, 0, 0);
        }
        if (open != 0 && earlier != 0) {
            put(model, earlier, 1);
            put(model, open, -1);
            (void)end_row(model, GLP_LO, 0, 0);
        }
        for (next = first;
             next < plan->sequence_start[sequence + 1] &&
             bids[plan->sequence_bid[next]].order == bids[plan->sequence_bid[first]].order;
             next++) {
            if (open != 0) {
                put(model, (int)plan->sequence_bid[next] + 1, 1);
                put(model, open, -(double)bids[plan->sequence_bid[next]].quantity);
                (void)end_row(model, GLP_UP, 0, 0);
            }
        }
        before = first;
    }
}

static bool take_tables(struct model *model)
{
    const struct coupled_problem *problem = model->problem;
    size_t most = (size_t)problem->bid_count + problem->line_count * 2 + problem->coef_count +
                  problem->member_count + 8;
    model->on = calloc((size_t)problem->bid_count + 1, sizeof *model->on);
    model->sum_row = calloc((size_t)problem->link_count + 1, sizeof *model->sum_row);
    model->entries.column = calloc(most, sizeof *model->entries.column);
    model->entries.value = calloc(most, sizeof *model->entries.value);
    return model->on != NULL && model->sum_row != NULL && model->entries.column != NULL &&
           model->entries.value != NULL;
}

/* A quantity of 0 has no column of yes or no, but links may still name its bid. */
static void add_missing_switches(struct model *model)
{
    for (uint32_t i = 0; i < model->problem->link_count; i++) {
        const struct coupled_link *link = &model->problem->links[i];
        bool logic =
            link->type == COUPLED_AND || link->type == COUPLED_OR || link->type == COUPLED_XOR;
        for (uint32_t at = link->first; logic && at < link->first + link->count; at++) {
            int *on = &model->on[model->problem->members[at]];
            *on = *on != 0 ? *on : add_column(model, 0, 0);
        }
    }
}

struct model *model_create(const struct coupled_problem *problem, const struct coupled_plan *plan)
{
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return NULL;
    }
    model->problem = problem;
    model->plan = plan;
    glp_term_out(GLP_OFF);
    model->lp = glp_create_prob();
    if (!take_tables(model)) {
        model_free(model);
        return NULL;
    }
    glp_set_obj_dir(model->lp, GLP_MAX);
    add_bids(model);
    add_missing_switches(model);
    add_network(model);
    for (uint32_t i = 0; i < problem->link_count; i++) {
        add_link(model, i);
    }
    for (uint32_t i = 0; i < plan->sequence_count; i++) {
        add_steps(model, i);
    }
    return model;
}

void model_free(struct model *model)
{
    if (model == NULL) {
        return;
    }
    glp_delete_prob(model->lp);
    free(model->on);
    free(model->sum_row);
    free(model->entries.column);
    free(model->entries.value);
    free(model);
}

static enum model_result result_of(int status)
{
    if (status == GLP_OPT) {
        return MODEL_OPTIMAL;
    }
    if (status == GLP_NOFEAS || status == GLP_INFEAS) {
        return status == GLP_NOFEAS ? MODEL_INFEASIBLE : MODEL_NOTHING;
    }
    return status == GLP_FEAS ? MODEL_FEASIBLE : MODEL_NOTHING;
}

enum model_result model_relax(struct model *model, int time_ms)
{
    glp_smcp options;
    glp_init_smcp(&options);
    options.msg_lev = GLP_MSG_OFF;
    options.tm_lim = time_ms > 1 ? time_ms : 1;
    model->searched = false;
    int failed = glp_simplex(model->lp, &options);
    if (failed != 0 && failed != GLP_ETMLIM) {
        glp_std_basis(model->lp); /* from a sound start, with slower and safer steps */
        options.meth = GLP_DUALP;
        options.r_test = GLP_RT_STD;
        failed = glp_simplex(model->lp, &options);
    }
    return failed != 0 && failed != GLP_ETMLIM ? MODEL_NOTHING
                                               : result_of(glp_get_status(model->lp));
}

void model_refine(struct model *model)
{
    glp_smcp options;
    glp_init_smcp(&options);
    options.msg_lev = GLP_MSG_OFF;
    if (glp_get_num_rows(model->lp) + glp_get_num_cols(model->lp) <= REFINE_SIZE_MAX &&
        glp_get_status(model->lp) == GLP_OPT) {
        (void)glp_exact(model->lp, &options);
    }
}

static void on_search(glp_tree *tree, void *info)
{
    struct model *model = info;
    if (glp_ios_reason(tree) == GLP_IBINGO && model->better(model->context)) {
        glp_ios_terminate(tree);
    }
}

enum model_result model_search(struct model *model, bool all_whole, int time_ms,
                               bool (*better)(void *context), void *context)
{
    glp_iocp options;
    glp_init_iocp(&options);
    options.msg_lev = GLP_MSG_OFF;
    options.tm_lim = time_ms > 1 ? time_ms : 1;
    options.cb_func = on_search;
    options.cb_info = model;
    options.mir_cuts = GLP_ON;
    model->better = better;
    model->context = context;
    for (uint32_t i = 0; i < model->problem->bid_count && all_whole; i++) {
        glp_set_col_kind(model->lp, (int)i + 1, GLP_IV);
    }
    model->searched = true;
    int failed = glp_intopt(model->lp, &options);
    int status = glp_mip_status(model->lp);
    if (failed == 0) {
        return result_of(status == GLP_UNDEF ? GLP_NOFEAS : status);
    }
    return status == GLP_OPT || status == GLP_FEAS ? MODEL_FEASIBLE : MODEL_NOTHING;
}

void model_hold(struct model *model, bool hold)
{
    for (int column = 1; column <= glp_get_num_cols(model->lp); column++) {
        if (glp_get_col_kind(model->lp, column) == GLP_BV ||
            (column > (int)model->problem->bid_count &&
             glp_get_col_type(model->lp, column) == GLP_FX &&
             glp_get_col_kind(model->lp, column) == GLP_IV)) {
            double at = floor(glp_mip_col_val(model->lp, column) + 0.5);
            glp_set_col_bnds(model->lp, column, hold ? GLP_FX : GLP_DB, hold ? at : 0,
                             hold ? at : 1);
        }
    }
}

void model_tighten(struct model *model, int units)
{
    const struct coupled_problem *problem = model->problem;
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->row_count; i++) {
            const struct coupled_row *row = &problem->rows[i];
            double margin = 0;
            for (uint32_t at = row->first; at < row->first + row->count; at++) {
                margin += fabs((double)problem->coefs[at].value) * units;
            }
            double right = (double)coupled_right(problem, slot, i);
            int number = model->limit_first + (int)((size_t)slot * problem->row_count + i);
            if (row->op == COUPLED_AT_MOST) {
                glp_set_row_bnds(model->lp, number, GLP_UP, 0, right - margin);
            } else if (row->op == COUPLED_AT_LEAST) {
                glp_set_row_bnds(model->lp, number, GLP_LO, right + margin, 0);
            }
        }
    }
}

static double column_value(const struct model *model, int column)
{
    return model->searched ? glp_mip_col_val(model->lp, column)
                           : glp_get_col_prim(model->lp, column);
}

static int64_t whole(double value, int64_t low, int64_t high)
{
    double near = floor(value + 0.5);
    if (!(near > (double)low)) { /* a NaN as well */
        return low;
    }
    return near >= (double)high ? high : (int64_t)near;
}

void model_quantities(struct model *model, struct coupled_draft *out, bool down)
{
    const struct coupled_problem *problem = model->problem;
    for (uint32_t i = 0; i < problem->bid_count; i++) {
        const struct coupled_bid *bid = &problem->bids[i];
        double value = column_value(model, (int)i + 1);
        int64_t quantity = whole(down ? floor(value + 1e-6) : value, 0, bid->quantity);
        if (model->on[i] != 0 && (column_value(model, model->on[i]) < (down ? 0.999 : 0.5) ||
                                  quantity < coupled_least(bid))) {
            quantity = 0;
        }
        out->accepted[i] = bid->indivisible && quantity < bid->quantity ? 0 : quantity;
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->line_count; i++) {
            size_t at = (size_t)slot * problem->line_count + i;
            int64_t capacity = problem->lines[i].capacity;
            out->flow[at] =
                whole(column_value(model, model->flow_first + (int)at), -capacity, capacity);
        }
    }
}

bool model_multiple(int64_t *out, double value, int64_t den, enum coupled_op op)
{
    double scaled = floor(value * (double)den + 0.5);
    if (!(fabs(scaled) < 0x1p62)) {
        return false;
    }
    *out = (int64_t)scaled;
    if ((op == COUPLED_AT_MOST && *out < 0) || (op == COUPLED_AT_LEAST && *out > 0)) {
        *out = 0;
    }
    return true;
}

bool model_multipliers(struct model *model, struct coupled_draft *out, int64_t den)
{
    const struct coupled_problem *problem = model->problem;
    bool good = true;
    out->den = den;
    for (size_t cell = 0; cell < model->plan->cells && good; cell++) {
        good = model_multiple(&out->node[cell],
                              -glp_get_row_dual(model->lp, model->balance_first + (int)cell), den,
                              COUPLED_EQUAL);
    }
    for (uint32_t slot = 0; slot < problem->slot_count; slot++) {
        for (uint32_t i = 0; i < problem->row_count && good; i++) {
            size_t at = (size_t)slot * problem->row_count + i;
            good = model_multiple(&out->row[at],
                                  glp_get_row_dual(model->lp, model->limit_first + (int)at), den,
                                  problem->rows[i].op);
        }
    }
    for (uint32_t i = 0; i < problem->link_count && good; i++) {
        out->sum[i] = 0;
        good = model->sum_row[i] == 0 ||
               model_multiple(&out->sum[i], glp_get_row_dual(model->lp, model->sum_row[i]), den,
                              problem->links[i].op);
    }
    return good;
}

/* The denominator of the first fraction close to the value (continued fractions). */
static int64_t fraction_of(double value, int64_t most)
{
    double rest = fabs(value) - floor(fabs(value));
    int64_t before = 0, den = 1;
    for (int depth = 0; depth < DENOMINATOR_DEPTH; depth++) {
        double error = fabs(rest);
        if (error < 1e-7 * (double)den) {
            return den;
        }
        double turned = 1 / rest;
        double whole_part = floor(turned + 1e-9);
        if (!(whole_part * (double)den + (double)before <= (double)most)) {
            return 1;
        }
        int64_t next = (int64_t)whole_part * den + before;
        before = den;
        den = next;
        rest = turned - whole_part;
    }
    return 1;
}

int64_t model_denominator(struct model *model, int64_t most)
{
    int64_t den = 1;
    int rows = glp_get_num_rows(model->lp);
    for (int row = model->balance_first; row <= rows; row++) {
        double scaled = glp_get_row_dual(model->lp, row) * (double)den;
        int64_t more = fraction_of(scaled, most / den);
        den *= more;
    }
    return den;
}

double model_objective(struct model *model)
{
    return model->searched ? glp_mip_obj_val(model->lp) : glp_get_obj_val(model->lp);
}
