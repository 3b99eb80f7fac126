/* An ordered map from byte strings to byte strings in a fixed arena: what overlays are made of.
 *
 * Keys and values are copied into the arena. Order is memcmp order, shorter first on a tie. The
 * shape depends only on the keys, never on addresses, so that no result can. */
#ifndef FLEX_BASE_ORDERED_MAP_H
#define FLEX_BASE_ORDERED_MAP_H

#include "base/bytes.h"

struct ordered_map;

/* Room for `bytes_max` bytes of nodes, keys and values together, taken now (reserved address space;
 * pages are touched as they fill). NULL if memory ran out. */
struct ordered_map *ordered_map_create(size_t bytes_max);
void ordered_map_destroy(struct ordered_map *map);
/* Empties it and keeps the arena, but for memory that no fill has needed for some clears. */
void ordered_map_clear(struct ordered_map *map);
/* Inserts or replaces. False if the arena is full (the map is unchanged). */
bool ordered_map_put(struct ordered_map *map, struct bytes_view key, struct bytes_view value);
/* The same, and says what the map holds as the key and held as its value before (data NULL: nothing); both
 * stay as they are until the map is cleared, whatever else changes. */
bool ordered_map_exchange(struct ordered_map *map, struct bytes_view key, struct bytes_view value,
                          struct bytes_view *kept_key, struct bytes_view *before);
/* The value, valid until the map is cleared; false if absent. */
bool ordered_map_get(const struct ordered_map *map, struct bytes_view key,
                     struct bytes_view *value);
/* Forgets the key; false if it was absent. Its room comes back at the next clear. */
bool ordered_map_remove(struct ordered_map *map, struct bytes_view key);
/* The first entry at or after `from` (inclusive) or strictly after it. False if there is none. */
bool ordered_map_seek(const struct ordered_map *map, struct bytes_view from, bool inclusive,
                      struct bytes_view *key, struct bytes_view *value);
/* Every entry in the order of keys, while `visit` says true; whether it always did. The map must not change
 * meanwhile. */
bool ordered_map_each(const struct ordered_map *map, void *context,
                      bool (*visit)(void *context, struct bytes_view key, struct bytes_view value));
size_t ordered_map_count(const struct ordered_map *map);
size_t ordered_map_bytes(const struct ordered_map *map);

#endif
