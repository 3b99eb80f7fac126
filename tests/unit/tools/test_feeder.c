/* The feeder outlook and the tables that it reads: a grid small enough to check by hand, and every
 * kind of bad table with the message that it must give. */
#include "tools/feeder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static const char *write_file(char path[128], const char *name, const char *text)
{
    snprintf(path, 128, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

/* 96 rows of one pair of values. */
static const char *write_profile(char path[128], const char *name, const char *header,
                                 const char *row, uint32_t rows)
{
    static char text[96 * 32 + 64];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s\n", header);
    for (uint32_t i = 0; i < rows; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\n", row);
    }
    return write_file(path, name, text);
}

struct grid {
    char loads[128], profile[128], res[128], res_profile[128], trafo[128], type[128], stress[128];
    struct feeder_paths paths;
};

/* Two loads of 10 kW and 4 kvar together at half load: 10 kW, 4 kvar. PV 2 kW at half: 1 kW. */
static void make_grid(struct grid *grid, const char *stress)
{
    write_file(grid->loads, "load.csv",
               "id;node;pLoad;qLoad\n1;Bus 1;0.012;0.005\n2;bus-2;0.008;0.003\n");
    write_profile(grid->profile, "profile.csv", "time;X_pload;X_qload", "t;0.5;0.5", 96);
    write_file(grid->res, "res.csv", "id;node;pRES\n1;Bus 1;0.002\n");
    write_profile(grid->res_profile, "resp.csv", "time;PV", "t;0.5", 96);
    write_file(grid->trafo, "trafo.csv", "id;type;loadingMax\n1;T;100\n");
    write_file(grid->type, "type.csv", "id;sR\nother;9\nT;0.02\n");
    write_file(grid->stress, "stress.csv", stress);
    grid->paths = (struct feeder_paths){.loads = grid->loads,
                                        .load_profile = grid->profile,
                                        .load_profile_name = "X",
                                        .res = grid->res,
                                        .res_profile = grid->res_profile,
                                        .res_profile_name = "PV",
                                        .transformers = grid->trafo,
                                        .transformer_types = grid->type,
                                        .stress = grid->stress};
}

static void test_outlook_by_hand(void **state)
{
    (void)state;
    struct grid grid;
    make_grid(&grid, "kind;power_w;from;until\nev;1500;17:00;18:00\n");
    struct feeder_outlook *outlook = calloc(1, sizeof(*outlook));
    char problem[CSV_PROBLEM_SIZE];
    assert_true(feeder_outlook(outlook, &grid.paths, problem));
    assert_int_equal(outlook->rating_va, 20000);
    assert_int_equal(outlook->node_count, 2);
    assert_memory_equal(outlook->nodes[0].text, "bus-1", 6);
    /* 9 kW + f x 2 x 1.5 kW against sqrt(20^2 - 4^2) = 19.595 kW: f = 4 gives 21 kW. */
    assert_int_equal(outlook->factor, 4);
    assert_int_equal(outlook->active_w[67], 9000);
    assert_int_equal(outlook->active_w[68], 21000);
    assert_int_equal(outlook->active_w[71], 21000);
    assert_int_equal(outlook->active_w[72], 9000);
    assert_int_equal(outlook->excess_w[67], 0);
    assert_int_equal(outlook->excess_w[68], 21000 - 19595);
    /* sqrt(21^2 + 4^2) = 21.378 kVA: 1068.9 permille, rounded up. */
    assert_int_equal(outlook->loading_permille[68], 1069);
    free(outlook);
}

static void test_outlook_of_export(void **state)
{
    (void)state;
    struct grid grid;
    make_grid(&grid, "kind;power_w;from;until\n");
    write_file(grid.res, "res.csv", "id;node;pRES\n1;Bus 1;0.080\n");
    struct feeder_outlook *outlook = calloc(1, sizeof(*outlook));
    char problem[CSV_PROBLEM_SIZE];
    assert_true(feeder_outlook(outlook, &grid.paths, problem));
    assert_int_equal(outlook->factor, 0);
    assert_int_equal(outlook->active_w[0], 10000 - 40000);
    assert_int_equal(outlook->excess_w[0], -30000 + 19595);
    free(outlook);
}

static void test_outlook_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *message;
    } rows[] = {
        {"load.csv", "", "empty"},
        {"load.csv", "id;node;pLoad\n1;b;0.1\n", "no column 'qLoad'"},
        {"load.csv", "id;node;pLoad;qLoad\n1;b;0.1\n", "not 4 fields"},
        {"load.csv", "id;node;pLoad;qLoad\n1;b;1e3;0\n", "is not a decimal"},
        {"load.csv", "id;node;pLoad;qLoad\n1;b;0.0000001;0\n", "is not a decimal"},
        {"load.csv", "id;node;pLoad;qLoad\n1;b;99999999999999;0\n", "is not a decimal"},
        {"load.csv", "id;node;pLoad;qLoad\n1;b;999999999999;0\n", "too large"},
        {"load.csv", "id;node;pLoad;qLoad\n1;B\xc3\xbcs;0.1;0\n", "no node name"},
        {"profile.csv", "time;X_pload;X_qload\nt;1;1\n", "1 rows"},
        {"trafo.csv", "id;type;loadingMax\n", "0 transformers"},
        {"trafo.csv", "id;type;loadingMax\n1;U;100\n", "no transformer type 'U'"},
        {"trafo.csv", "id;type;loadingMax\n1;T;0\n", "out of range"},
        {"stress.csv", "kind;power_w;from;until\nev;1500;17:07;18:00\n", "two times HH:MM"},
        {"stress.csv", "kind;power_w;from;until\nev;-1;17:00;18:00\n", "0 to 1000000 W"},
        {"stress.csv", "kind;power_w;from;until\nev;0;17:00;18:00\n", "does not overload"},
    };
    struct feeder_outlook *outlook = calloc(1, sizeof(*outlook));
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        struct grid grid;
        char path[128];
        char problem[CSV_PROBLEM_SIZE] = "";
        make_grid(&grid, "kind;power_w;from;until\nev;1500;17:00;18:00\n");
        write_file(path, rows[row].file, rows[row].text);
        assert_false(feeder_outlook(outlook, &grid.paths, problem));
        if (strstr(problem, rows[row].message) == NULL) {
            fail_msg("row %zu: '%s' lacks '%s'", row, problem, rows[row].message);
        }
    }
    free(outlook);
}

static const char *registers_text(uint32_t rows, uint32_t jump_at, bool fall)
{
    static char text[98 * 48];
    size_t at =
        (size_t)snprintf(text, sizeof(text), "utc_timestamp,grid_export_kwh,grid_import_kwh\n");
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t quarter = (68 + i + (i >= jump_at)) % 96;
        uint32_t import_wh = fall && i == 5 ? 0 : 1000 + i * 100;
        at += (size_t)snprintf(
            text + at, sizeof(text) - at, "2026-11-19T%02u:%02u:00Z,%u.%03u,%u.%03u\n", quarter / 4,
            quarter % 4 * 15, 7 + i / 1000, i % 1000, import_wh / 1000, import_wh % 1000);
    }
    return text;
}

static void test_registers(void **state)
{
    (void)state;
    char path[128];
    char problem[CSV_PROBLEM_SIZE];
    int64_t net[FEEDER_INTERVALS];
    write_file(path, "registers.csv", registers_text(97, 1000, false));
    assert_true(feeder_registers(net, path, problem));
    for (int quarter = 0; quarter < FEEDER_INTERVALS; quarter++) {
        assert_int_equal(net[quarter], 100 - 1);
    }
    write_file(path, "registers.csv", registers_text(96, 1000, false));
    assert_false(feeder_registers(net, path, problem));
    assert_non_null(strstr(problem, "96 registers"));
    write_file(path, "registers.csv", registers_text(97, 40, false));
    assert_false(feeder_registers(net, path, problem));
    assert_non_null(strstr(problem, "quarter hour apart"));
    write_file(path, "registers.csv", registers_text(97, 1000, true));
    assert_false(feeder_registers(net, path, problem));
    assert_non_null(strstr(problem, "never fall"));
}

static void test_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned decimals;
        bool ok;
        int64_t value;
    } rows[] = {
        {"0", 3, true, 0},
        {"-0.5", 3, true, -500},
        {"12.345", 3, true, 12345},
        {"12.3450", 3, true, 12345},
        {"12.3451", 3, false, 0},
        {"9223372036854775807", 0, true, INT64_MAX},
        {"9223372036854775808", 0, false, 0},
        {"9223372036854775.807", 3, true, INT64_MAX},
        {"9223372036854775.808", 3, false, 0},
        {"", 0, false, 0},
        {"-", 0, false, 0},
        {".5", 1, false, 0},
        {"5.", 1, false, 0},
        {"1.2.3", 3, false, 0},
        {"+1", 0, false, 0},
        {" 1", 0, false, 0},
        {"1e3", 3, false, 0},
        {"0x10", 0, false, 0},
    };
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        int64_t value = 0;
        assert_int_equal(decimal_to_scaled(&value, rows[row].text, rows[row].decimals),
                         rows[row].ok);
        assert_int_equal(value, rows[row].value);
    }
}

static void test_integer_sqrt(void **state)
{
    (void)state;
    uint128 edge = (uint128)UINT64_MAX * UINT64_MAX;
    assert_true(integer_sqrt(edge) == UINT64_MAX);
    assert_true(integer_sqrt(edge - 1) == UINT64_MAX - 1);
    assert_true(integer_sqrt(~(uint128)0) == UINT64_MAX);
    for (uint64_t root = 0; root < 3000; root++) {
        uint128 square = (uint128)root * root;
        assert_true(integer_sqrt(square) == root);
        assert_true(root == 0 || integer_sqrt(square - 1) == root - 1);
    }
}

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/flex-feeder-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const names[] = {"load.csv",  "profile.csv", "res.csv",    "resp.csv",
                                        "trafo.csv", "type.csv",    "stress.csv", "registers.csv"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outlook_by_hand), cmocka_unit_test(test_outlook_of_export),
        cmocka_unit_test(test_outlook_refuses), cmocka_unit_test(test_registers),
        cmocka_unit_test(test_decimals),        cmocka_unit_test(test_integer_sqrt),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
