/* What the files that read flexd.json share, and nobody else sees. */
#ifndef FLEX_NODE_CONFIG_INTERNAL_H
#define FLEX_NODE_CONFIG_INTERNAL_H

#include "node/config.h"

struct cJSON;

/* Writes the reason, cut to its room; false, to be returned. */
bool node_config_refuse(char problem[NODE_PROBLEM_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A file's name at `key` of the object `section`; `out` stays as it is where there is none. */
bool node_config_take_file(const struct cJSON *object, const char *section, const char *key,
                           char out[NODE_PATH_MAX], char problem[NODE_PROBLEM_SIZE]);

#endif
