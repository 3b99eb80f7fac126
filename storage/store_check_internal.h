/* What the stages of a check share (store_check.h). Not for anyone outside storage/. */
#ifndef FLEX_STORAGE_STORE_CHECK_INTERNAL_H
#define FLEX_STORAGE_STORE_CHECK_INTERNAL_H

#include "storage/store_check.h"
#include "storage/store_internal.h"

struct check {
    const struct store_check_config *config;
    struct store_check_report *report;
    struct store store; /* a reader's: environment, tables, and nothing to commit with */
    bool fault;         /* memory ran out */
};

/* Counts a finding, and keeps its sentence while there is room. */
__attribute__((format(printf, 2, 3))) void check_find(struct check *check, const char *format, ...);
/* The same of one record. */
void check_find_record(struct check *check, const char *table, struct bytes_view key,
                       const char *what);
void check_progress(struct check *check, uint64_t done, uint64_t all);

/* store_check_chain.c, store_check_state.c: one stage each, over check->store's reader. */
void check_chain(struct check *check);
void check_state(struct check *check);

#endif
