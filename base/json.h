/* The one strict JSON reader in front of cJSON (docs/adr/0006): RFC 8259 and nothing more.
 *
 * Refuses: a byte order mark, bad UTF-8, raw control characters, the escape of NUL, numbers that
 * are not canonical integers of at most fifteen digits (there is no floating point anywhere in
 * this project), equal keys in one object, depth over JSON_DEPTH_MAX, size over JSON_SIZE_MAX,
 * trailing bytes. */
#ifndef FLEX_BASE_JSON_H
#define FLEX_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

/* The largest text that anybody sends or keeps is a market's order file; 16 MiB is 20 times that.
 */
enum { JSON_DEPTH_MAX = 32, JSON_SIZE_MAX = 16 * 1024 * 1024, JSON_PROBLEM_SIZE = 160 };

/* NULL on any fault, with line, column and reason in `problem`. The result is the caller's to free
 * with cJSON_Delete. */
struct cJSON *json_parse_strict(const char *text, size_t size, char problem[JSON_PROBLEM_SIZE]);
/* The same for programs that read files of their own user's, not a peer's: texts up to `size_max`. */
struct cJSON *json_parse_strict_up_to(size_t size_max, const char *text, size_t size,
                                      char problem[JSON_PROBLEM_SIZE]);
/* Case-sensitive look-up; NULL if absent or not of that type. */
const char *json_string(const struct cJSON *object, const char *key);
const struct cJSON *json_array(const struct cJSON *object, const char *key);
const struct cJSON *json_object(const struct cJSON *object, const char *key);
bool json_bool(bool *out, const struct cJSON *object, const char *key);
/* A decimal string, canonical, in range. */
bool json_i64(int64_t *out, const struct cJSON *object, const char *key);
bool json_u64(uint64_t *out, const struct cJSON *object, const char *key);
/* A JSON number, 0 to 2^32-1. */
bool json_u32(uint32_t *out, const struct cJSON *object, const char *key);
/* The first key of `object` that is not in the NULL-terminated list; NULL if there is none. */
const char *json_unknown_key(const struct cJSON *object, const char *const *known);
/* The same for an item at hand, such as an array's element. */
bool json_number_value(uint32_t *out, const struct cJSON *item);
/* Adding to an object; if memory runs out, the key stays away. */
void json_add_i64(struct cJSON *object, const char *key, int64_t value);
void json_add_u64(struct cJSON *object, const char *key, uint64_t value);
void json_add_u32(struct cJSON *object, const char *key, uint32_t value);
/* A number item of the caller's, NULL if memory ran out. */
struct cJSON *json_number_create(uint32_t value);

#endif
