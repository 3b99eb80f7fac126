/* Overlays: the changes of blocks that are not final yet, stacked on each other and on a base.
 *
 * A layer holds an ordered map, state key -> tag byte and value (a tombstone is a tag alone), and once
 * it is sealed a tree in the base's forest. Reads fall through the layers to the base; an ordered walk
 * merges them, the topmost layer that knows a key deciding about it.
 *
 * Invariants:
 *  1. Only the topmost layer of a stack changes; a parent is sealed before a child stands on it.
 *  2. After sealing, every entry differs from the state before the block: a put of what was there
 *     already, and a removal of what wasn't, are forgotten. So equal blocks leave equal changes.
 *  3. A rollback restores this layer byte for byte to where the savepoint was: the undo log holds
 *     what each write since replaced.
 *  4. A gap says "no live key between here and there". Gaps only make walks fast over what a block
 *     has removed (a book that is cleared from its top would else pass all its tombstones again for
 *     each order); a put inside a gap, a rollback and a reset end it.
 *
 * Deliberately absent: nested savepoints, threads, and any merging of two layers into one. */
#include "storage/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/ordered_map.h"
#include "storage/key_order.h"

enum { TAG_REMOVED = 0, TAG_PRESENT = 1 };
enum { VALUE_BYTES_MAX = 1 + LIMIT_STATE_VALUE_BYTES };
/* A clearing walks a buy and a sell side at once; two more leave room for an index beside them. */
enum { GAPS_MAX = 4 };
/* A walk that passes fewer tombstones than this is not worth remembering. */
enum { GAP_WORTH = 8 };

struct bound {
    uint8_t bytes[LIMIT_STATE_KEY_BYTES];
    size_t size;
    bool inclusive;
};

struct gap {
    bool used;
    struct bound from;
    struct bound to; /* always inclusive: the next walk starts here */
    bool to_end;     /* no live key above `from` at all */
};

/* Both views into the arena of the changes, whose bytes stay until a reset. */
struct undo_entry {
    struct bytes_view key;
    struct bytes_view before; /* tagged; data NULL: this layer said nothing */
};

struct overlay {
    struct state_view view; /* first: the view IS the overlay */
    struct overlay *parent;
    const struct state_base *base;
    struct ordered_map *changes;
    struct forest *forest; /* that the batch is in; shared */
    struct forest_batch batch;
    bool sealed;
    bool in_savepoint;
    struct undo_entry *undo;
    size_t undo_capacity; /* entries */
    size_t undo_count;
    struct gap gaps[GAPS_MAX];
    uint32_t gap_next;
};

static struct overlay *overlay_of(struct state_view *view)
{
    return (struct overlay *)view;
}

static struct bytes_view bound_view(const struct bound *bound)
{
    return bytes_view_of(bound->bytes, bound->size);
}

static void bound_set(struct bound *out, struct bytes_view bytes, bool inclusive)
{
    MUST(bytes.size <= sizeof out->bytes);
    if (bytes.size > 0) {
        memmove(out->bytes, bytes.data, bytes.size);
    }
    out->size = bytes.size;
    out->inclusive = inclusive;
}

/* --- the empty base ------------------------------------------------------------------------ */

static bool empty_get(void *context, struct bytes_view key, bool *found, struct bytes_view *value)
{
    (void)context;
    (void)key;
    *found = false;
    *value = (struct bytes_view){NULL, 0};
    return true;
}

static bool empty_next(void *context, struct bytes_view prefix, struct bytes_view after,
                       bool *found, uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    (void)context;
    (void)prefix;
    (void)after;
    (void)key_out;
    (void)key_size;
    (void)value;
    *found = false;
    return true;
}

static bool empty_node_get(void *context, struct state_tree_node *out,
                           const struct state_tree_path *path)
{
    (void)context;
    (void)path;
    memset(out, 0, sizeof *out);
    out->kind = STATE_TREE_EMPTY;
    return true;
}

const struct state_base *state_base_empty(void)
{
    static const struct state_base empty = {
        .context = NULL, .get = empty_get, .next = empty_next, .node_get = empty_node_get};
    return &empty;
}

/* --- reading --------------------------------------------------------------------------------- */

/* True if this one layer knows the key; *present says as what. */
static bool layer_get(const struct overlay *layer, struct bytes_view key, bool *present,
                      struct bytes_view *value)
{
    struct bytes_view tagged;
    if (!ordered_map_get(layer->changes, key, &tagged)) {
        return false;
    }
    MUST(tagged.size >= 1);
    *present = tagged.data[0] == TAG_PRESENT;
    *value =
        *present ? bytes_view_of(tagged.data + 1, tagged.size - 1) : (struct bytes_view){NULL, 0};
    return true;
}

/* Through all layers from `top` (may be NULL) to the base. False on a fault of the base. */
static bool stack_get(const struct overlay *top, const struct state_base *base,
                      struct bytes_view key, bool *found, struct bytes_view *value)
{
    for (const struct overlay *layer = top; layer != NULL; layer = layer->parent) {
        if (layer_get(layer, key, found, value)) {
            return true;
        }
    }
    if (!base->get(base->context, key, found, value)) {
        return false;
    }
    if (!*found) {
        *value = (struct bytes_view){NULL, 0};
    }
    return true;
}

static bool view_get(struct state_view *view, struct bytes_view key, struct bytes_view *value)
{
    const struct overlay *overlay = overlay_of(view);
    bool found = false;
    if (view->fault) {
        return false;
    }
    if (!stack_get(overlay, overlay->base, key, &found, value)) {
        view->fault = true;
        return false;
    }
    return found;
}

/* --- gaps ------------------------------------------------------------------------------------ */

static void gaps_clear(struct overlay *overlay)
{
    for (uint32_t i = 0; i < GAPS_MAX; i++) {
        overlay->gaps[i].used = false;
    }
}

/* Does a walk that starts at `start` start inside the gap? */
static bool gap_holds_start(const struct gap *gap, const struct bound *start)
{
    const int low = bytes_view_order(bound_view(&gap->from), bound_view(start));
    if (low > 0 || (low == 0 && start->inclusive && !gap->from.inclusive)) {
        return false;
    }
    return gap->to_end || bytes_view_order(bound_view(start), bound_view(&gap->to)) < 0;
}

static struct gap *gap_find(struct overlay *overlay, const struct bound *start)
{
    for (uint32_t i = 0; i < GAPS_MAX; i++) {
        if (overlay->gaps[i].used && gap_holds_start(&overlay->gaps[i], start)) {
            return &overlay->gaps[i];
        }
    }
    return NULL;
}

/* A key came to life: a gap that it lies in is none any more. */
static void gaps_put(struct overlay *overlay, struct bytes_view key)
{
    for (uint32_t i = 0; i < GAPS_MAX; i++) {
        struct gap *gap = &overlay->gaps[i];
        if (gap->used && bytes_view_order(bound_view(&gap->from), key) <= 0 &&
            (gap->to_end || bytes_view_order(key, bound_view(&gap->to)) < 0)) {
            gap->used = false;
        }
    }
}

/* Remembers that nothing lives between `start` and `to` (NULL: and the end of the prefix). */
static void gap_note(struct overlay *overlay, struct gap *extend, const struct bound *start,
                     struct bytes_view prefix, const struct bytes_view *to)
{
    struct gap *gap = extend;
    if (gap == NULL) {
        gap = &overlay->gaps[overlay->gap_next];
        overlay->gap_next = (overlay->gap_next + 1) % GAPS_MAX;
        gap->from = *start;
    }
    gap->used = true;
    gap->to_end = false;
    if (to != NULL) {
        bound_set(&gap->to, *to, true);
        return;
    }
    /* The smallest byte string above all that have the prefix: its last byte that can grow does. */
    bound_set(&gap->to, prefix, true);
    while (gap->to.size > 0 && gap->to.bytes[gap->to.size - 1] == 0xff) {
        gap->to.size--;
    }
    if (gap->to.size == 0) {
        gap->to_end = true;
    } else {
        gap->to.bytes[gap->to.size - 1]++;
    }
}

/* --- the ordered walk ------------------------------------------------------------------------ */

enum base_position { BASE_UNKNOWN, BASE_AT, BASE_END };

struct walk {
    struct overlay *overlay;
    struct bytes_view prefix;
    struct bound start;
    enum base_position position; /* where the base stands, so that it is asked once per live key */
    uint8_t base_key[LIMIT_STATE_KEY_BYTES];
    size_t base_key_size;
    struct bytes_view base_value;
    /* What the last step found. */
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size;
    struct bytes_view value;
    bool live;
};

static bool is_before_start(const struct bound *start, struct bytes_view key)
{
    const int order = bytes_view_order(key, bound_view(start));
    return order < 0 || (order == 0 && !start->inclusive);
}

/* Moves the base's position to its first key at or after the start. False on a fault. */
static bool walk_base(struct walk *walk)
{
    const struct state_base *base = walk->overlay->base;
    struct bytes_view after = bound_view(&walk->start);
    bool found = false;
    if (walk->position == BASE_END ||
        (walk->position == BASE_AT &&
         !is_before_start(&walk->start, bytes_view_of(walk->base_key, walk->base_key_size)))) {
        return true;
    }
    if (walk->start.inclusive) {
        /* The base's face only knows "strictly after", except at the prefix itself. */
        if (bytes_view_equal(after, walk->prefix)) {
            after.size = 0;
        } else {
            if (!base->get(base->context, after, &found, &walk->base_value)) {
                return false;
            }
            if (found) {
                memcpy(walk->base_key, after.data, after.size);
                walk->base_key_size = after.size;
                walk->position = BASE_AT;
                return true;
            }
        }
    }
    if (!base->next(base->context, walk->prefix, after, &found, walk->base_key,
                    &walk->base_key_size, &walk->base_value)) {
        return false;
    }
    walk->position = found ? BASE_AT : BASE_END;
    return true;
}

/* The first key of any layer at or after the start, dead or alive. *found tells; false on a fault.
 */
static bool walk_step(struct walk *walk, bool *found)
{
    struct bytes_view best = {NULL, 0};
    struct bytes_view best_value = {NULL, 0};
    *found = false;
    for (struct overlay *layer = walk->overlay; layer != NULL; layer = layer->parent) {
        struct bytes_view key;
        struct bytes_view tagged;
        if (!ordered_map_seek(layer->changes, bound_view(&walk->start), walk->start.inclusive, &key,
                              &tagged) ||
            !bytes_view_starts_with(key, walk->prefix)) {
            continue;
        }
        /* On a tie the higher layer, which came first, keeps its word. */
        if (!*found || bytes_view_order(key, best) < 0) {
            *found = true;
            best = key;
            walk->live = tagged.data[0] == TAG_PRESENT;
            best_value = bytes_view_of(tagged.data + 1, tagged.size - 1);
        }
    }
    if (!walk_base(walk)) {
        return false;
    }
    if (walk->position == BASE_AT) {
        const struct bytes_view key = bytes_view_of(walk->base_key, walk->base_key_size);
        if (!*found || bytes_view_order(key, best) < 0) {
            *found = true;
            best = key;
            walk->live = true;
            best_value = walk->base_value;
        }
    }
    if (*found) {
        MUST(best.size <= sizeof walk->key);
        memcpy(walk->key, best.data, best.size);
        walk->key_size = best.size;
        walk->value = best_value;
    }
    return true;
}

static bool view_next(struct state_view *view, struct bytes_view prefix, struct bytes_view after,
                      uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    struct overlay *overlay = overlay_of(view);
    struct walk walk = {.overlay = overlay, .prefix = prefix, .position = BASE_UNKNOWN};
    struct bound first;
    size_t passed = 0;
    bool found = false;
    if (view->fault) {
        return false;
    }
    if (after.size == 0 || bytes_view_order(after, prefix) < 0) {
        bound_set(&first, prefix, true);
    } else {
        bound_set(&first, after, false);
    }
    walk.start = first;
    struct gap *gap = gap_find(overlay, &first);
    if (gap != NULL) {
        /* A gap that ends outside the prefix ends above it, and leaves nothing of it. */
        if (gap->to_end || !bytes_view_starts_with(bound_view(&gap->to), prefix)) {
            return false;
        }
        walk.start = gap->to;
    }
    /* Ends: each step's start lies above the one before, and keys are finitely many. */
    for (;;) {
        if (!walk_step(&walk, &found)) {
            view->fault = true;
            return false;
        }
        if (!found || walk.live) {
            break;
        }
        passed++;
        bound_set(&walk.start, bytes_view_of(walk.key, walk.key_size), false);
    }
    if (gap != NULL || passed >= GAP_WORTH) {
        const struct bytes_view key = bytes_view_of(walk.key, walk.key_size);
        gap_note(overlay, gap, &first, prefix, found ? &key : NULL);
    }
    if (found) {
        memcpy(key_out, walk.key, walk.key_size);
        *key_size = walk.key_size;
        *value = walk.value;
    }
    return found;
}

/* --- writing --------------------------------------------------------------------------------- */

static void write_tagged(struct overlay *overlay, struct bytes_view key, struct bytes_view tagged)
{
    MUST(!overlay->sealed);
    struct undo_entry undo;
    if (overlay->view.fault) {
        return;
    }
    if (key.size == 0 || key.size > LIMIT_STATE_KEY_BYTES ||
        (overlay->in_savepoint && overlay->undo_count == overlay->undo_capacity) ||
        !ordered_map_exchange(overlay->changes, key, tagged, &undo.key, &undo.before)) {
        overlay->view.fault = true;
        return;
    }
    if (overlay->in_savepoint) {
        overlay->undo[overlay->undo_count++] = undo;
    }
}

static void view_put(struct state_view *view, struct bytes_view key, struct bytes_view value)
{
    struct overlay *overlay = overlay_of(view);
    /* A copy, because the value may stand in this very layer's arena. */
    uint8_t tagged[VALUE_BYTES_MAX];
    if (value.size > LIMIT_STATE_VALUE_BYTES) {
        view->fault = true;
        return;
    }
    tagged[0] = TAG_PRESENT;
    if (value.size > 0) {
        memcpy(tagged + 1, value.data, value.size);
    }
    gaps_put(overlay, key);
    write_tagged(overlay, key, bytes_view_of(tagged, 1 + value.size));
}

static void view_remove(struct state_view *view, struct bytes_view key)
{
    static const uint8_t tombstone[1] = {TAG_REMOVED};
    write_tagged(overlay_of(view), key, bytes_view_of(tombstone, sizeof tombstone));
}

static void undo_forget(struct overlay *overlay)
{
    overlay->undo_count = 0;
    overlay->in_savepoint = false;
}

static void view_savepoint(struct state_view *view)
{
    struct overlay *overlay = overlay_of(view);
    MUST(!overlay->in_savepoint && !overlay->sealed);
    undo_forget(overlay);
    overlay->in_savepoint = true;
}

static void view_keep(struct state_view *view)
{
    MUST(overlay_of(view)->in_savepoint);
    undo_forget(overlay_of(view));
}

static void view_rollback(struct state_view *view)
{
    struct overlay *overlay = overlay_of(view);
    MUST(overlay->in_savepoint && !overlay->sealed);
    for (size_t i = overlay->undo_count; i-- > 0;) {
        const struct undo_entry *entry = &overlay->undo[i];
        if (entry->before.data == NULL) {
            (void)ordered_map_remove(overlay->changes, entry->key);
        } else if (!ordered_map_put(overlay->changes, entry->key, entry->before)) {
            view->fault = true;
        }
    }
    gaps_clear(overlay);
    undo_forget(overlay);
}

/* --- what changed ---------------------------------------------------------------------------- */

static bool is_same(bool a_found, struct bytes_view a, bool b_found, struct bytes_view b)
{
    return a_found == b_found && (!a_found || bytes_view_equal(a, b));
}

static void view_changes(struct state_view *view, struct bytes_view prefix, void *context,
                         void (*visit)(void *context, struct bytes_view key,
                                       struct bytes_view before, struct bytes_view after))
{
    static const uint8_t nothing[1];
    struct overlay *overlay = overlay_of(view);
    struct bytes_view from = prefix;
    struct bytes_view key;
    struct bytes_view tagged;
    bool inclusive = true;
    while (!view->fault && ordered_map_seek(overlay->changes, from, inclusive, &key, &tagged) &&
           bytes_view_starts_with(key, prefix)) {
        const bool present = tagged.data[0] == TAG_PRESENT;
        struct bytes_view after = bytes_view_of(tagged.data + 1, tagged.size - 1);
        struct bytes_view before;
        bool existed = false;
        if (!stack_get(overlay->parent, overlay->base, key, &existed, &before)) {
            view->fault = true;
            return;
        }
        if (!is_same(existed, before, present, after)) {
            /* An empty value is not an absent one: only the latter has no data. */
            before.data = !existed ? NULL : before.data == NULL ? nothing : before.data;
            after.data = present ? after.data : NULL;
            visit(context, key, before, after);
        }
        from = key;
        inclusive = false;
    }
}

static const struct state_ops overlay_ops = {
    .get = view_get,
    .put = view_put,
    .remove = view_remove,
    .next = view_next,
    .savepoint = view_savepoint,
    .keep = view_keep,
    .rollback = view_rollback,
    .changes = view_changes,
};

/* --- sealing --------------------------------------------------------------------------------- */

/* The tree below this layer, and the forest that it is in. A base that holds nothing needs no forest
 * before something is sealed on it. */
static bool seal_on(struct overlay *overlay, struct forest_tree *before)
{
    const struct overlay *parent = overlay->parent;
    struct forest *forest = parent != NULL ? parent->forest : overlay->base->forest;
    *before = parent != NULL ? parent->batch.tree : overlay->base->tree;
    if (forest != NULL) {
        forest_share(forest);
    } else {
        MUST(overlay->base == state_base_empty());
        forest = forest_create(-1);
    }
    overlay->forest = forest;
    return forest != NULL;
}

static void change_set(struct state_tree_change *change, struct bytes_view key, bool present,
                       struct bytes_view value)
{
    memset(change, 0, sizeof *change);
    hash_bytes(&change->key, HASH_DOMAIN_STATE_KEY, key.data, key.size);
    change->absent = !present;
    if (present) {
        hash_bytes(&change->value, HASH_DOMAIN_STATE_VALUE, value.data, value.size);
    }
}

struct change_list {
    struct state_tree_change *changes;
    struct bytes_view *keys; /* by tag; NULL: nobody asks for them */
    uint32_t count;
};

static bool list_change(void *context, struct bytes_view key, struct bytes_view value)
{
    struct change_list *list = context;
    if (list->keys != NULL) {
        list->keys[list->count] = key;
    }
    change_set(&list->changes[list->count], key, value.data != NULL, value);
    list->changes[list->count].tag = list->count;
    list->count++;
    return true;
}

/* Forgets the entries that change nothing. The tree knows them by the hashes of their values, so that
 * nobody has to read what was there before. */
static void forget_idle(struct overlay *overlay, const struct change_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->changes[i].idle) {
            MUST(ordered_map_remove(overlay->changes, list->keys[list->changes[i].tag]));
        }
    }
}

bool overlay_seal(struct overlay *overlay, struct hash *state_root)
{
    MUST(!overlay->sealed && !overlay->in_savepoint);
    if (overlay->view.fault) {
        return false;
    }
    const size_t capacity = ordered_map_count(overlay->changes) + 1;
    struct change_list list = {.changes = malloc(capacity * sizeof *list.changes),
                               .keys = malloc(capacity * sizeof *list.keys)};
    struct forest_tree before;
    const bool good =
        list.changes != NULL && list.keys != NULL && capacity <= UINT32_MAX &&
        overlay_each_change(overlay, &list, list_change) && seal_on(overlay, &before) &&
        forest_update(overlay->forest, &overlay->batch, &before, list.changes, list.count);
    if (good) {
        forget_idle(overlay, &list);
        *state_root = overlay->batch.tree.hash;
    }
    free(list.changes);
    free(list.keys);
    overlay->view.fault = !good;
    overlay->sealed = good;
    return good;
}

bool overlay_is_sealed(const struct overlay *overlay)
{
    return overlay->sealed;
}

const struct hash *overlay_root(const struct overlay *overlay)
{
    MUST(overlay->sealed);
    return &overlay->batch.tree.hash;
}

struct each_change {
    void *context;
    overlay_entry_fn entry;
};

static bool visit_change(void *context, struct bytes_view key, struct bytes_view tagged)
{
    const struct each_change *each = context;
    const bool present = tagged.data[0] == TAG_PRESENT;
    const struct bytes_view value = {present ? tagged.data + 1 : NULL, tagged.size - 1};
    return each->entry(each->context, key, value);
}

bool overlay_each_change(const struct overlay *overlay, void *context, overlay_entry_fn entry)
{
    struct each_change each = {.context = context, .entry = entry};
    return ordered_map_each(overlay->changes, &each, visit_change);
}

const struct forest_tree *overlay_tree(const struct overlay *overlay)
{
    MUST(overlay->sealed);
    return &overlay->batch.tree;
}

/* The changes once more, into the tree of a base that the overlay was not sealed on. */
static bool commit_anew(struct overlay *overlay, struct state_base *base)
{
    const size_t count = ordered_map_count(overlay->changes);
    struct state_tree_change *changes = malloc((count + 1) * sizeof *changes);
    struct forest_batch batch = {0};
    struct change_list list = {.changes = changes};
    bool good = changes != NULL && overlay_each_change(overlay, &list, list_change) &&
                forest_update(base->forest, &batch, &base->tree, changes, list.count);
    free(changes);
    if (good) {
        base->tree = batch.tree;
        forest_commit(base->forest, &batch);
    }
    forest_batch_free(&batch);
    return good;
}

bool overlay_stands_on(const struct overlay *overlay, const struct state_base *base)
{
    const struct forest_tree *before = &overlay->batch.before;
    return overlay->sealed && overlay->forest == base->forest && before->root == base->tree.root &&
           hash_equal(&before->hash, &base->tree.hash);
}

bool overlay_commit_tree(struct overlay *overlay, struct state_base *base)
{
    MUST(overlay->sealed && base->forest != NULL);
    if (!overlay_stands_on(overlay, base)) {
        return commit_anew(overlay, base);
    }
    base->tree = overlay->batch.tree;
    forest_commit(overlay->forest, &overlay->batch);
    return true;
}

/* --- life ------------------------------------------------------------------------------------ */

struct overlay *overlay_create(size_t bytes_max)
{
    struct overlay *overlay = calloc(1, sizeof *overlay);
    if (overlay == NULL) {
        return NULL;
    }
    overlay->view.ops = &overlay_ops;
    /* One transaction's rewrites of what its block had written before. */
    overlay->undo_capacity = bytes_max / 4 / sizeof overlay->undo[0];
    overlay->undo = malloc((overlay->undo_capacity + 1) * sizeof overlay->undo[0]);
    overlay->changes = ordered_map_create(bytes_max);
    if (overlay->undo == NULL || overlay->changes == NULL) {
        overlay_destroy(overlay);
        return NULL;
    }
    overlay_reset(overlay, NULL, state_base_empty());
    return overlay;
}

/* What was sealed and not committed came to nothing. */
static void drop_tree(struct overlay *overlay)
{
    if (overlay->forest != NULL) {
        forest_discard(overlay->forest, &overlay->batch);
        forest_release(overlay->forest);
        overlay->forest = NULL;
    }
}

void overlay_destroy(struct overlay *overlay)
{
    if (overlay == NULL) {
        return;
    }
    drop_tree(overlay);
    forest_batch_free(&overlay->batch);
    free(overlay->undo);
    if (overlay->changes != NULL) {
        ordered_map_destroy(overlay->changes);
    }
    free(overlay);
}

void overlay_reset(struct overlay *overlay, struct overlay *parent, const struct state_base *base)
{
    MUST(parent != NULL || base != NULL);
    MUST(parent != overlay && (parent == NULL || parent->sealed));
    ordered_map_clear(overlay->changes);
    drop_tree(overlay);
    overlay->parent = parent;
    overlay->base = parent != NULL ? parent->base : base;
    overlay->view.fault = false;
    overlay->sealed = false;
    gaps_clear(overlay);
    overlay->gap_next = 0;
    undo_forget(overlay);
}

void overlay_detach(struct overlay *overlay)
{
    overlay->parent = NULL;
}

struct state_view *overlay_view(struct overlay *overlay)
{
    return &overlay->view;
}

size_t overlay_bytes(const struct overlay *overlay)
{
    return ordered_map_bytes(overlay->changes);
}
