/* A network's lines and rows out of a file: as the ledger takes them, or as flexclear and `flex grid rows`
 * write them (docs/spec/grid-rows.md, coupled.md 12). */
#ifndef FLEX_TOOLS_NETWORK_FILE_H
#define FLEX_TOOLS_NETWORK_FILE_H

#include "contracts/actions.h"

enum { NETWORK_FILE_PROBLEM_SIZE = 320 };

struct network_file {
    uint32_t node_count;
    uint32_t line_count;
    uint32_t row_count;
    struct network_add_node nodes[LIMIT_ACTIONS_PER_TX];
    struct network_line lines[LIMIT_ACTIONS_PER_TX];
    struct network_row rows[LIMIT_ACTIONS_PER_TX];
};

/* The rows of `{"rows":[...]}`, each either {id, carrier, op, rhs, coefs: [{node, value}]} or flexclear's {coef:
 * {node: value}, op, rhs, carrier}, which is named row-1, row-2 and so on by its place. What the ledger would
 * refuse without naming the row is said here. False with the problem, the row's place in it. */
bool network_file_rows(struct network_file *out, const struct name *network, const char *path,
                       char problem[NETWORK_FILE_PROBLEM_SIZE]);
/* Flexclear's whole {slack, lines, rows}: nodes too, each below the one that its first line comes from; lines are
 * named line-1, line-2 and so on. Rows may be missing. */
bool network_file_all(struct network_file *out, const struct name *network, const char *path,
                      char problem[NETWORK_FILE_PROBLEM_SIZE]);

#endif
