/* Transformer loading of one feeder and the need that follows from it (feeder.h).
 *
 * All in integers: powers in W and var, profiles in billionths, sums before divisions. A share of a
 * load below 1 W is dropped once per interval and not once per load. */
#include "tools/feeder.h"

#include "base/fatal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MILLION = 1000000, BILLION = 1000000000, PROFILE_DECIMALS = 9 };

/* A terawatt: no feeder carries it, and its square still leaves room in 128 bits. */
static const int64_t FEEDER_POWER_MAX = (int64_t)1000000 * 1000000;

uint64_t integer_sqrt(uint128 value)
{
    uint64_t root = 0;
    for (int bit = 63; bit >= 0; bit--) {
        uint64_t trial = root | ((uint64_t)1 << bit);
        if ((uint128)trial * trial <= value) {
            root = trial;
        }
    }
    return root;
}

bool feeder_node_name(struct name *out, const char *text)
{
    char lower[NAME_SIZE];
    size_t length = 0;
    for (; text[length] != '\0'; length++) {
        if (length == sizeof(lower)) {
            return false;
        }
        char c = text[length];
        if (c == ' ') {
            c = '-';
        } else if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        lower[length] = c;
    }
    return name_from_text(out, lower, length);
}

bool feeder_quarter_of(uint32_t *out, const char *text)
{
    if (strlen(text) != 5 || text[2] != ':') {
        return false;
    }
    for (int at = 0; at < 5; at++) {
        if (at != 2 && (text[at] < '0' || text[at] > '9')) {
            return false;
        }
    }
    uint32_t hours = (uint32_t)(text[0] - '0') * 10 + (uint32_t)(text[1] - '0');
    uint32_t minutes = (uint32_t)(text[3] - '0') * 10 + (uint32_t)(text[4] - '0');
    uint32_t quarters = hours * 4 + minutes / 15;
    if (minutes % 15 != 0 || minutes > 45 || quarters > FEEDER_INTERVALS) {
        return false;
    }
    *out = quarters;
    return true;
}

/* Sum of a column in MW (or Mvar) with six decimals, so in W (or var). */
static bool sum_column(int64_t *out, const struct csv_table *table, const char *name,
                       char problem[CSV_PROBLEM_SIZE])
{
    uint32_t column;
    if (!csv_column(&column, table, name, problem)) {
        return false;
    }
    *out = 0;
    for (uint32_t row = 0; row < table->rows; row++) {
        int64_t value;
        if (!csv_scaled(&value, table, row, column, 6, problem)) {
            return false;
        }
        if (!checked_add_i64(out, *out, value)) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: column %.60s is too large", table->name,
                     name);
            return false;
        }
    }
    return true;
}

/* One day of a profile column, in billionths. The file may be longer; its first day is taken. */
static bool read_profile(int64_t out[FEEDER_INTERVALS], const char *path, const char *column_name,
                         char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    uint32_t column;
    if (!csv_read(&table, path, problem)) {
        return false;
    }
    bool ok = csv_column(&column, &table, column_name, problem);
    if (ok && table.rows < FEEDER_INTERVALS) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: %u rows, a day has %d", path, table.rows,
                 FEEDER_INTERVALS);
        ok = false;
    }
    for (uint32_t row = 0; ok && row < FEEDER_INTERVALS; row++) {
        ok = csv_scaled(&out[row], &table, row, column, PROFILE_DECIMALS, problem);
    }
    csv_free(&table);
    return ok;
}

/* out[t] += sign x total x profile[t], the product floored to whole units. */
static bool add_profile(int64_t out[FEEDER_INTERVALS], int64_t total, int sign, const char *path,
                        const char *column, char problem[CSV_PROBLEM_SIZE])
{
    int64_t profile[FEEDER_INTERVALS];
    if (!read_profile(profile, path, column, problem)) {
        return false;
    }
    for (uint32_t at = 0; at < FEEDER_INTERVALS; at++) {
        int128 part = div_floor_i128(product_i128(total, profile[at]) * sign, BILLION);
        int64_t narrow;
        if (!checked_narrow_i64(&narrow, part) || !checked_add_i64(&out[at], out[at], narrow) ||
            out[at] > FEEDER_POWER_MAX || out[at] < -FEEDER_POWER_MAX) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: row %u is too large", path, at + 2);
            return false;
        }
    }
    return true;
}

static bool read_loads(struct feeder_outlook *out, const struct feeder_paths *paths,
                       char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    uint32_t node;
    int64_t active = 0;
    int64_t reactive = 0;
    if (!csv_read(&table, paths->loads, problem)) {
        return false;
    }
    bool ok = csv_column(&node, &table, "node", problem) &&
              sum_column(&active, &table, "pLoad", problem) &&
              sum_column(&reactive, &table, "qLoad", problem);
    if (ok && table.rows > FEEDER_NODES_MAX) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: over %d loads", paths->loads,
                 FEEDER_NODES_MAX);
        ok = false;
    }
    for (uint32_t row = 0; ok && row < table.rows; row++) {
        if (!feeder_node_name(&out->nodes[row], csv_field(&table, row, node))) {
            snprintf(problem, CSV_PROBLEM_SIZE, "%.200s:%u: no node name", paths->loads, row + 2);
            ok = false;
        }
    }
    out->node_count = ok ? table.rows : 0;
    csv_free(&table);
    char column[CSV_FIELD_MAX];
    snprintf(column, sizeof(column), "%s_pload", paths->load_profile_name);
    ok = ok && add_profile(out->active_w, active, 1, paths->load_profile, column, problem);
    snprintf(column, sizeof(column), "%s_qload", paths->load_profile_name);
    return ok && add_profile(out->reactive_var, reactive, 1, paths->load_profile, column, problem);
}

static bool read_generation(struct feeder_outlook *out, const struct feeder_paths *paths,
                            char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    int64_t installed = 0;
    if (!csv_read(&table, paths->res, problem)) {
        return false;
    }
    bool ok = sum_column(&installed, &table, "pRES", problem);
    csv_free(&table);
    return ok && add_profile(out->active_w, installed, -1, paths->res_profile,
                             paths->res_profile_name, problem);
}

static bool find_transformer_type(int64_t *rating_va, const char *type, const char *path,
                                  char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    uint32_t id;
    uint32_t rating;
    if (!csv_read(&table, path, problem)) {
        return false;
    }
    bool ok = csv_column(&id, &table, "id", problem) && csv_column(&rating, &table, "sR", problem);
    bool found = false;
    for (uint32_t row = 0; ok && !found && row < table.rows; row++) {
        if (strcmp(csv_field(&table, row, id), type) == 0) {
            found = true;
            ok = csv_scaled(rating_va, &table, row, rating, 6, problem);
        }
    }
    if (ok && !found) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.160s: no transformer type '%.60s'", path, type);
    }
    csv_free(&table);
    return ok && found;
}

static bool read_rating(struct feeder_outlook *out, const struct feeder_paths *paths,
                        char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    uint32_t type;
    uint32_t loading;
    int64_t percent = 0;
    if (!csv_read(&table, paths->transformers, problem)) {
        return false;
    }
    bool ok = csv_column(&type, &table, "type", problem) &&
              csv_column(&loading, &table, "loadingMax", problem);
    if (ok && table.rows != 1) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: %u transformers, a feeder has one",
                 paths->transformers, table.rows);
        ok = false;
    }
    ok = ok && csv_scaled(&percent, &table, 0, loading, 0, problem) &&
         find_transformer_type(&out->rating_va, csv_field(&table, 0, type),
                               paths->transformer_types, problem);
    csv_free(&table);
    if (ok &&
        (out->rating_va <= 0 || out->rating_va > INT32_MAX || percent <= 0 || percent > 1000)) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: rating or loadingMax out of range",
                 paths->transformers);
        ok = false;
    }
    out->rating_va = ok ? out->rating_va * percent / 100 : 0;
    return ok;
}

static bool read_stress(struct feeder_outlook *out, const struct feeder_paths *paths,
                        char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    uint32_t column[4];
    static const char *const names[4] = {"kind", "power_w", "from", "until"};
    if (!csv_read(&table, paths->stress, problem)) {
        return false;
    }
    bool ok = true;
    for (int at = 0; ok && at < 4; at++) {
        ok = csv_column(&column[at], &table, names[at], problem);
    }
    if (ok && table.rows > FEEDER_STRESS_MAX) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: over %d rows", paths->stress,
                 FEEDER_STRESS_MAX);
        ok = false;
    }
    for (uint32_t row = 0; ok && row < table.rows; row++) {
        struct feeder_stress *stress = &out->stress[row];
        int64_t watts = 0;
        ok = csv_scaled(&watts, &table, row, column[1], 0, problem);
        if (ok && (!feeder_node_name(&stress->kind, csv_field(&table, row, column[0])) ||
                   !feeder_quarter_of(&stress->from, csv_field(&table, row, column[2])) ||
                   !feeder_quarter_of(&stress->until, csv_field(&table, row, column[3])) ||
                   watts < 0 || watts > MILLION)) {
            snprintf(problem, CSV_PROBLEM_SIZE,
                     "%.200s:%u: want a name, 0 to 1000000 W, and two times HH:MM", paths->stress,
                     row + 2);
            ok = false;
        }
        stress->power = power_of(watts);
    }
    out->stress_count = ok ? table.rows : 0;
    csv_free(&table);
    return ok;
}

bool feeder_registers(int64_t net_wh[FEEDER_INTERVALS], const char *path,
                      char problem[CSV_PROBLEM_SIZE])
{
    struct csv_table table;
    uint32_t column[3];
    if (!csv_read(&table, path, problem)) {
        return false;
    }
    bool ok = csv_column(&column[0], &table, "utc_timestamp", problem) &&
              csv_column(&column[1], &table, "grid_import_kwh", problem) &&
              csv_column(&column[2], &table, "grid_export_kwh", problem);
    if (ok && table.rows != FEEDER_INTERVALS + 1) {
        snprintf(problem, CSV_PROBLEM_SIZE, "%.200s: %u registers, a day's differences need %d",
                 path, table.rows, FEEDER_INTERVALS + 1);
        ok = false;
    }
    int64_t before[2] = {0, 0};
    uint32_t quarter = 0;
    for (uint32_t row = 0; ok && row < table.rows; row++) {
        int64_t now[2];
        char clock[6] = "";
        const char *stamp = csv_field(&table, row, column[0]);
        if (strlen(stamp) >= 16) {
            memcpy(clock, stamp + 11, 5);
        }
        uint32_t here = 0;
        ok = csv_scaled(&now[0], &table, row, column[1], 3, problem) &&
             csv_scaled(&now[1], &table, row, column[2], 3, problem);
        if (ok && (!feeder_quarter_of(&here, clock) ||
                   (row > 0 && (here != (quarter + 1) % FEEDER_INTERVALS || now[0] < before[0] ||
                                now[1] < before[1])))) {
            snprintf(problem, CSV_PROBLEM_SIZE,
                     "%.200s:%u: registers must be a quarter hour apart and never fall", path,
                     row + 2);
            ok = false;
        }
        if (ok && row > 0) {
            /* The difference belongs to the quarter hour in which it built up. */
            net_wh[quarter] = (now[0] - before[0]) - (now[1] - before[1]);
        }
        quarter = here;
        memcpy(before, now, sizeof(before));
    }
    csv_free(&table);
    return ok;
}

/* Loading and excess with `factor` times the stress; true if any quarter hour is overloaded. */
static bool judge(struct feeder_outlook *out, const int64_t base_w[FEEDER_INTERVALS],
                  uint32_t factor)
{
    bool overloaded = false;
    for (uint32_t at = 0; at < FEEDER_INTERVALS; at++) {
        int64_t active = base_w[at];
        for (uint32_t kind = 0; kind < out->stress_count; kind++) {
            const struct feeder_stress *stress = &out->stress[kind];
            if (at >= stress->from && at < stress->until) {
                active += power_w(stress->power) * out->node_count * factor;
            }
        }
        int64_t reactive = out->reactive_var[at];
        uint128 square =
            (uint128)product_i128(active, active) + (uint128)product_i128(reactive, reactive);
        uint64_t apparent = integer_sqrt(square);
        apparent += (uint128)apparent * apparent < square;
        out->active_w[at] = active;
        out->loading_permille[at] = (int64_t)div_ceil_i128((int128)apparent * 1000, out->rating_va);
        out->excess_w[at] = 0;
        int128 room =
            product_i128(out->rating_va, out->rating_va) - product_i128(reactive, reactive);
        int64_t allowed = room > 0 ? (int64_t)integer_sqrt((uint128)room) : 0;
        if (active > allowed) {
            out->excess_w[at] = active - allowed;
        } else if (active < -allowed) {
            out->excess_w[at] = active + allowed;
        }
        overloaded = overloaded || out->excess_w[at] != 0;
    }
    return overloaded;
}

bool feeder_outlook(struct feeder_outlook *out, const struct feeder_paths *paths,
                    char problem[CSV_PROBLEM_SIZE])
{
    memset(out, 0, sizeof(*out));
    if (!read_loads(out, paths, problem) || !read_generation(out, paths, problem) ||
        !read_rating(out, paths, problem) || !read_stress(out, paths, problem)) {
        return false;
    }
    int64_t base_w[FEEDER_INTERVALS];
    memcpy(base_w, out->active_w, sizeof(base_w));
    if (paths->registers != NULL) {
        if (!feeder_registers(out->household_wh, paths->registers, problem)) {
            return false;
        }
        out->has_household = true;
        for (uint32_t at = 0; at < FEEDER_INTERVALS; at++) {
            base_w[at] += out->household_wh[at] * 4; /* Wh in a quarter hour to W */
        }
    }
    for (out->factor = 0; !judge(out, base_w, out->factor); out->factor++) {
        if (out->factor == FEEDER_FACTOR_MAX) {
            snprintf(problem, CSV_PROBLEM_SIZE,
                     "%.200s: even %d times this stress does not overload the transformer",
                     paths->stress, FEEDER_FACTOR_MAX);
            return false;
        }
    }
    return true;
}
