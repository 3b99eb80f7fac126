/* What the regulator's commands share: verifying an export first, and tables that go out as text,
 * JSON or CSV. Functions that return int return an exit code, as those of session.h. */
#ifndef FLEX_TOOLS_AUDIT_COMMAND_H
#define FLEX_TOOLS_AUDIT_COMMAND_H

#include "tools/audit_verify.h"
#include "tools/cli.h"
#include "tools/surveillance.h"

struct cJSON;

/* Verifies the export against the trusted genesis and puts the outcome into the result. *out is the
 * audit to close, NULL if there is none. The options' progress is this function's to set. */
int audit_command_verify(struct cli *cli, struct audit **out, const char *directory,
                         struct audit_options *options);
/* The same for who wants to know more of the outcome. */
int audit_command_outcome(struct cli *cli, struct audit **out, struct audit_outcome *outcome,
                          const char *directory, struct audit_options *options);

/* A table, row by row. */
struct audit_table {
    struct cli *cli;
    const char *name;    /* of the array in the result, and of the CSV file */
    const char *columns; /* the CSV's, separated by blanks */
    const char *shown;   /* people's */
    FILE *csv;           /* NULL: text or JSON */
    bool owns_csv;
    struct cJSON *items; /* unless CSV */
};
/* Where it goes: `csv` true: standard output; else, with a directory, DIR/NAME.csv; else into the
 * result, and as text to people. */
int audit_table_begin(struct audit_table *table, bool csv, const char *directory_or_null);
/* Takes the row over. */
void audit_table_row(struct audit_table *table, struct cJSON *row);
int audit_table_end(struct audit_table *table);

void audit_add_name(struct cJSON *object, const char *key, const struct name *name);

/* `flex audit orders | trades | deliveries | fees | capacity` (tools/audit_market.c). */
struct market_query {
    const char *dir;
    int64_t from_ms;
    int64_t to_ms; /* 0: no end */
    struct name market;
    struct name participant;
    uint64_t after;
    uint64_t limit; /* 0: none */
    bool csv;
};
enum { MARKET_QUERY_OPTIONS = 8 };
extern const struct cli_option market_query_options[MARKET_QUERY_OPTIONS];
int market_query_orders(struct cli *cli, void *arguments);
int market_query_trades(struct cli *cli, void *arguments);
int market_query_deliveries(struct cli *cli, void *arguments);
int market_query_fees(struct cli *cli, void *arguments);
int market_query_capacity(struct cli *cli, void *arguments);

/* `flex audit coupled` (tools/audit_coupled.c). */
struct coupled_query {
    const char *dir;
    const char *out; /* NULL: no files */
};
enum { COUPLED_QUERY_OPTIONS = 2 };
extern const struct cli_option coupled_query_options[COUPLED_QUERY_OPTIONS];
int coupled_query_run(struct cli *cli, void *arguments);

/* `flex audit report` (tools/audit_surveil.c). */
struct surveillance_query {
    const char *dir;
    int64_t from_ms;
    int64_t to_ms; /* 0: no end */
    const char *owners;
    const char *csv;
    int64_t cycle_window_ms;
    int64_t spoof_window_ms;
    int64_t late_ms;
    uint32_t spoof_count;
    uint32_t spoof_permille;
    uint32_t withheld_permille;
    uint32_t price_permille;
};
enum { SURVEILLANCE_QUERY_OPTIONS = 12 };
extern const struct cli_option surveillance_query_options[SURVEILLANCE_QUERY_OPTIONS];
int surveillance_query_run(struct cli *cli, void *arguments);

#endif
