/* Strict readers of single values, shared by what reads problems and results of clearing. All return
 * false (NULL) with the fault set; `where` names the object, empty for the top one. */
#ifndef FLEX_TOOLS_CLEAR_READ_H
#define FLEX_TOOLS_CLEAR_READ_H

#include "tools/clear/clear_problem.h"

/* A text under `key` that is a name: 1 to CLEAR_ID_BYTES_MAX bytes without control characters. */
const char *clear_read_id(const struct cJSON *object, const char *key, const char *where,
                          struct clear_text_fault *fault);
/* The place of the text under `key` in `names`. Absent: `otherwise`, or a fault if that is -1. */
bool clear_read_choice(int *out, const struct cJSON *object, const char *key,
                       const char *const *names, int count, int otherwise, const char *where,
                       struct clear_text_fault *fault);
/* An amount in decimal text; absent and not required: 0. */
bool clear_read_amount(int64_t *out, const struct cJSON *object, const char *key, bool required,
                       const char *where, struct clear_text_fault *fault);
/* A whole number of 32 bits; absent: 0. */
bool clear_read_number(uint32_t *out, const struct cJSON *object, const char *key,
                       const char *where, struct clear_text_fault *fault);
/* Absent: false. */
bool clear_read_flag(bool *out, const struct cJSON *object, const char *key, const char *where,
                     struct clear_text_fault *fault);
/* Is it an object with keys of the NULL-terminated list only? */
bool clear_read_known(const struct cJSON *object, const char *const *known, const char *where,
                      struct clear_text_fault *fault);

/* The value under `key`, NULL if there is none. Mostly it is `*at`, the one after the last that was
 * found, as results keep the order of the problem; all keys are searched only where it isn't. */
const struct cJSON *clear_read_next(const struct cJSON *object, const struct cJSON **at,
                                    const char *key);

/* Names by text, for qsort with clear_named_compare and for finding. */
struct clear_named {
    const char *name;
    uint32_t at;
};
int clear_named_compare(const void *left, const void *right);
const struct clear_named *clear_named_find(const char *name, const struct clear_named *sorted,
                                           size_t count);

#endif
