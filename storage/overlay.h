/* Changes on top of a state, in memory: what a block does before it is final.
 *
 * Overlays stack: each stands on a parent overlay or on a base (the committed state in LMDB, or
 * nothing). Contracts see one as a state_view. Sealing computes the state root: all changes of the
 * block go into the state tree as one batch, a new tree in the base's forest. Committing writes the
 * changes down to the base and puts that tree in the place of the one before (storage/store.h). */
#ifndef FLEX_STORAGE_OVERLAY_H
#define FLEX_STORAGE_OVERLAY_H

#include "contracts/state.h"
#include "storage/forest.h"

struct overlay;

/* What an overlay falls back on at the bottom. A false return of any call is a fault of the store.
 */
struct state_base {
    void *context;
    /* *found tells; `value` valid until the base changes. */
    bool (*get)(void *context, struct bytes_view key, bool *found, struct bytes_view *value);
    bool (*next)(void *context, struct bytes_view prefix, struct bytes_view after, bool *found,
                 uint8_t *key_out, size_t *key_size, struct bytes_view *value);
    bool (*node_get)(void *context, struct state_tree_node *out,
                     const struct state_tree_path *path);
    /* Where overlays on this base make their trees, and the tree of what it holds. NULL: nothing may be
     * sealed on it, unless it is empty. */
    struct forest *forest;
    struct forest_tree tree;
};

/* A base that holds nothing: genesis, tests. */
const struct state_base *state_base_empty(void);

/* Room for `bytes_max` bytes of changes. NULL if memory ran out. */
struct overlay *overlay_create(size_t bytes_max);
void overlay_destroy(struct overlay *overlay);
/* Starts afresh on `parent` (not NULL: it is sealed and its base is used) or on `base`. Both must
 * outlive its use. */
void overlay_reset(struct overlay *overlay, struct overlay *parent, const struct state_base *base);
/* The parent has been committed into the base: stand on the base from now on. */
void overlay_detach(struct overlay *overlay);
struct state_view *overlay_view(struct overlay *overlay);
/* Bytes of changes held so far, so that a block builder can stop in time; writes that go over the
 * room given at creation are a sticky fault of the view. */
size_t overlay_bytes(const struct overlay *overlay);
/* Computes the root over parent and changes. After it no more writes until the next reset. False
 * on a fault (view->fault is set too). */
bool overlay_seal(struct overlay *overlay, struct hash *state_root);
bool overlay_is_sealed(const struct overlay *overlay);
/* The root that sealing computed. */
const struct hash *overlay_root(const struct overlay *overlay);

/* Everything that changed, in key order; value.data NULL: removed. Return false to stop. */
typedef bool (*overlay_entry_fn)(void *context, struct bytes_view key, struct bytes_view value);
bool overlay_each_change(const struct overlay *overlay, void *context, overlay_entry_fn entry);
/* The tree that sealing made; its changes have been committed into `base`, whose tree it becomes. A base
 * with another tree than the one that the overlay was sealed on takes the changes into its own. False if
 * memory ran out. The overlay and its children stay as they are. */
bool overlay_commit_tree(struct overlay *overlay, struct state_base *base);
/* Is the overlay's tree made of the base's? */
bool overlay_stands_on(const struct overlay *overlay, const struct state_base *base);
const struct forest_tree *overlay_tree(const struct overlay *overlay);

/* An in-memory base that overlays can be committed into: tests, simulator, offline audit. */
struct memory_base;
struct memory_base *memory_base_create(void);
void memory_base_destroy(struct memory_base *memory);
const struct state_base *memory_base_face(struct memory_base *memory);
/* Takes over a sealed overlay's changes and tree. False if memory ran out. */
bool memory_base_commit(struct memory_base *memory, struct overlay *overlay);

#endif
