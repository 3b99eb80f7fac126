/* A clearing problem as text: "format":"flexclear/1" (docs/spec/clearing.md), read strictly into what
 * contracts/clear.h takes. */
#ifndef FLEX_TOOLS_CLEAR_PROBLEM_H
#define FLEX_TOOLS_CLEAR_PROBLEM_H

#include <stddef.h>

#include "contracts/clear_pay.h"

struct cJSON;
struct coupled_text;

enum { CLEAR_ID_BYTES_MAX = 128, CLEAR_WHERE_SIZE = 192, CLEAR_WHAT_SIZE = 192 };

/* CLEAR_BIDS_MAX bids of 160 bytes, with room to spare. What flexclear reads comes from its own user, who
 * may wait and has the memory, so the limit of what peers send (JSON_SIZE_MAX) does not hold for it. */
static const size_t clear_text_size_max = (size_t)256 * 1024 * 1024;

/* Where in the problem something is wrong, and what: "flexclear: WHERE: WHAT". */
struct clear_text_fault {
    char where[CLEAR_WHERE_SIZE];
    char what[CLEAR_WHAT_SIZE];
};

/* The problem with its names. Texts live in `tree`. */
struct clear_text {
    struct clear_problem problem;
    struct cJSON *tree;
    struct clear_bid *bids;
    struct clear_node *nodes;
    const char **bid_id;     /* per bid */
    const char **agent_name; /* per agent, in order of first appearance */
    const char **node_name;  /* per node, in the order of the tree */
    uint32_t *interval;      /* per slot, rising */
    uint32_t payment_count;
    enum clear_payment payments[CLEAR_PAYMENT_COUNT]; /* as asked for */
    bool excess;
    bool seeded;
    uint8_t seed[CLEAR_SEED_BYTES];
    /* The mechanism `coupled`, whose problem is in here (tools/clear/coupled_text.h); `problem` has
     * its bids, agents and intervals then, and no mechanism of its own. NULL for all others. */
    struct coupled_text *coupled;
};

extern const char *const clear_payment_names[CLEAR_PAYMENT_COUNT];

/* False with the fault; release with clear_text_free either way. */
bool clear_text_read(struct clear_text *out, const char *text, size_t size,
                     struct clear_text_fault *fault);
void clear_text_free(struct clear_text *text);

/* Clears the problem and all that it asks for, and returns the result as one line of JSON that the
 * caller frees; NULL with the fault. */
char *clear_text_run(const struct clear_text *text, size_t *size, struct clear_text_fault *fault);

/* Is `result` what `right` says, which clear_text_run has just made? False with the first rule
 * broken. */
bool clear_text_verify(const char *right, size_t right_size, const char *result, size_t size,
                       struct clear_text_fault *fault);

/* The same for a result that has been read already, against one of ours in text. `left_out` is a key
 * that the result may lack, or NULL. */
bool clear_text_compare(const struct cJSON *given, const char *right, size_t size,
                        const char *left_out, struct clear_text_fault *fault);

/* Sets the fault and returns false. */
bool clear_text_fail(struct clear_text_fault *fault, const char *what, const char *where_format,
                     ...) __attribute__((format(printf, 3, 4)));

#endif
