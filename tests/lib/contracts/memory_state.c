/* A state_view over a sorted array of entries (memory_state.h).
 *
 * An entry remembers its value and the value that it had when the block began; one that was removed
 * stays as a tombstone until the next block begins. The undo log serves the one open savepoint.
 *
 * Deliberately absent: speed beyond what thousands of test transactions need. */
#include "tests/lib/contracts/memory_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"

struct value {
    uint8_t *data; /* NULL: absent */
    size_t size;
};

struct entry {
    uint8_t key[LIMIT_STATE_KEY_BYTES];
    size_t key_size;
    struct value now;
    struct value before;
};

struct undo {
    struct entry *entry;
    struct value old;
};

struct memory_state {
    struct state_view view;
    struct entry **entries;
    size_t count;
    size_t capacity;
    bool in_savepoint;
    struct undo *undo;
    size_t undo_count;
    size_t undo_capacity;
    uint8_t **lent;
    size_t lent_count;
    size_t lent_capacity;
    uint64_t calls;
    uint64_t fail_at;
};

static struct value value_copy(struct bytes_view bytes)
{
    struct value value = {.data = malloc(bytes.size + 1), .size = bytes.size};
    MUST(value.data != NULL);
    if (bytes.size != 0)
        memcpy(value.data, bytes.data, bytes.size);
    return value;
}

static bool value_equal(const struct value *a, const struct value *b)
{
    if (a->data == NULL || b->data == NULL)
        return a->data == b->data;
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static void *grown(void *array, size_t *capacity, size_t count, size_t item_size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    void *larger = realloc(array, *capacity * item_size);
    MUST(larger != NULL);
    return larger;
}

/* --- looking up ----------------------------------------------------------------------------- */

static int key_order(const struct entry *entry, struct bytes_view key)
{
    size_t shorter = entry->key_size < key.size ? entry->key_size : key.size;
    int order = shorter == 0 ? 0 : memcmp(entry->key, key.data, shorter);
    if (order != 0)
        return order;
    return (entry->key_size > key.size) - (entry->key_size < key.size);
}

/* The first place whose key is not below `key`. */
static size_t place_of(const struct memory_state *state, struct bytes_view key)
{
    size_t low = 0;
    size_t high = state->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_order(state->entries[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *find(const struct memory_state *state, struct bytes_view key)
{
    size_t place = place_of(state, key);
    if (place == state->count || key_order(state->entries[place], key) != 0)
        return NULL;
    return state->entries[place];
}

static bool has_prefix(const struct entry *entry, struct bytes_view prefix)
{
    return entry->key_size >= prefix.size &&
           (prefix.size == 0 || memcmp(entry->key, prefix.data, prefix.size) == 0);
}

static struct entry *find_or_add(struct memory_state *state, struct bytes_view key)
{
    size_t place = place_of(state, key);
    if (place < state->count && key_order(state->entries[place], key) == 0)
        return state->entries[place];
    struct entry *entry = calloc(1, sizeof *entry);
    MUST(entry != NULL && key.size <= sizeof entry->key);
    memcpy(entry->key, key.data, key.size);
    entry->key_size = key.size;
    state->entries =
        grown(state->entries, &state->capacity, state->count, sizeof state->entries[0]);
    memmove(&state->entries[place + 1], &state->entries[place],
            (state->count - place) * sizeof state->entries[0]);
    state->entries[place] = entry;
    state->count++;
    return entry;
}

/* --- the view's operations ------------------------------------------------------------------ */

static bool is_down(struct memory_state *state)
{
    state->calls++;
    if (state->fail_at != 0 && state->calls >= state->fail_at)
        state->view.fault = true;
    return state->view.fault;
}

static void take_back_loans(struct memory_state *state)
{
    for (size_t i = 0; i < state->lent_count; i++)
        free(state->lent[i]);
    state->lent_count = 0;
}

static struct bytes_view lend(struct memory_state *state, const struct value *value)
{
    struct value copy = value_copy(bytes_view_of(value->data, value->size));
    state->lent = grown(state->lent, &state->lent_capacity, state->lent_count, sizeof(uint8_t *));
    state->lent[state->lent_count++] = copy.data;
    return bytes_view_of(copy.data, copy.size);
}

static bool op_get(struct state_view *view, struct bytes_view key, struct bytes_view *value)
{
    struct memory_state *state = (struct memory_state *)view;
    if (is_down(state))
        return false;
    const struct entry *entry = find(state, key);
    if (entry == NULL || entry->now.data == NULL)
        return false;
    *value = lend(state, &entry->now);
    return true;
}

static void set(struct memory_state *state, struct bytes_view key, struct value value)
{
    struct entry *entry = find_or_add(state, key);
    if (state->in_savepoint) {
        state->undo =
            grown(state->undo, &state->undo_capacity, state->undo_count, sizeof state->undo[0]);
        state->undo[state->undo_count].entry = entry;
        state->undo[state->undo_count].old = entry->now;
        state->undo_count++;
    } else {
        free(entry->now.data);
    }
    entry->now = value;
    take_back_loans(state);
}

static void op_put(struct state_view *view, struct bytes_view key, struct bytes_view value)
{
    struct memory_state *state = (struct memory_state *)view;
    if (is_down(state))
        return;
    MUST(key.size >= 1 && key.size <= LIMIT_STATE_KEY_BYTES);
    MUST(value.size <= LIMIT_STATE_VALUE_BYTES);
    set(state, key, value_copy(value));
}

static void op_remove(struct state_view *view, struct bytes_view key)
{
    struct memory_state *state = (struct memory_state *)view;
    struct value absent = {.data = NULL, .size = 0};
    if (is_down(state))
        return;
    set(state, key, absent);
}

static bool op_next(struct state_view *view, struct bytes_view prefix, struct bytes_view after,
                    uint8_t *key_out, size_t *key_size, struct bytes_view *value)
{
    struct memory_state *state = (struct memory_state *)view;
    if (is_down(state))
        return false;
    /* From whichever is further on; `after` itself is not wanted. */
    size_t place = place_of(state, prefix);
    if (after.size != 0) {
        size_t beyond = place_of(state, after);
        if (beyond < state->count && key_order(state->entries[beyond], after) == 0)
            beyond++;
        if (beyond > place)
            place = beyond;
    }
    while (place < state->count && has_prefix(state->entries[place], prefix)) {
        const struct entry *entry = state->entries[place];
        if (entry->now.data != NULL) {
            memcpy(key_out, entry->key, entry->key_size);
            *key_size = entry->key_size;
            *value = lend(state, &entry->now);
            return true;
        }
        place++;
    }
    return false;
}

static void op_savepoint(struct state_view *view)
{
    struct memory_state *state = (struct memory_state *)view;
    MUST(!state->in_savepoint);
    state->in_savepoint = true;
}

static void op_keep(struct state_view *view)
{
    struct memory_state *state = (struct memory_state *)view;
    MUST(state->in_savepoint);
    for (size_t i = 0; i < state->undo_count; i++)
        free(state->undo[i].old.data);
    state->undo_count = 0;
    state->in_savepoint = false;
}

static void op_rollback(struct state_view *view)
{
    struct memory_state *state = (struct memory_state *)view;
    MUST(state->in_savepoint);
    while (state->undo_count > 0) {
        struct undo *undo = &state->undo[--state->undo_count];
        free(undo->entry->now.data);
        undo->entry->now = undo->old;
    }
    state->in_savepoint = false;
    take_back_loans(state);
}

static void op_changes(struct state_view *view, struct bytes_view prefix, void *context,
                       void (*visit)(void *context, struct bytes_view key, struct bytes_view before,
                                     struct bytes_view after))
{
    struct memory_state *state = (struct memory_state *)view;
    for (size_t i = 0; i < state->count; i++) {
        const struct entry *entry = state->entries[i];
        if (has_prefix(entry, prefix) && !value_equal(&entry->now, &entry->before))
            visit(context, bytes_view_of(entry->key, entry->key_size),
                  bytes_view_of(entry->before.data, entry->before.size),
                  bytes_view_of(entry->now.data, entry->now.size));
    }
}

static const struct state_ops ops = {
    .get = op_get,
    .put = op_put,
    .remove = op_remove,
    .next = op_next,
    .savepoint = op_savepoint,
    .keep = op_keep,
    .rollback = op_rollback,
    .changes = op_changes,
};

/* --- for the tests -------------------------------------------------------------------------- */

struct memory_state *memory_state_create(void)
{
    struct memory_state *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->view.ops = &ops;
    return state;
}

void memory_state_destroy(struct memory_state *state)
{
    if (state == NULL)
        return;
    if (state->in_savepoint)
        op_keep(&state->view);
    take_back_loans(state);
    for (size_t i = 0; i < state->count; i++) {
        free(state->entries[i]->now.data);
        free(state->entries[i]->before.data);
        free(state->entries[i]);
    }
    free(state->entries);
    free(state->undo);
    free(state->lent);
    free(state);
}

struct state_view *memory_state_view(struct memory_state *state)
{
    return &state->view;
}

void memory_state_begin_block(struct memory_state *state)
{
    MUST(!state->in_savepoint);
    size_t kept = 0;
    for (size_t i = 0; i < state->count; i++) {
        struct entry *entry = state->entries[i];
        if (entry->now.data == NULL) {
            free(entry->before.data);
            free(entry);
            continue;
        }
        if (!value_equal(&entry->now, &entry->before)) {
            free(entry->before.data);
            entry->before = value_copy(bytes_view_of(entry->now.data, entry->now.size));
        }
        state->entries[kept++] = entry;
    }
    state->count = kept;
    take_back_loans(state);
}

size_t memory_state_count(const struct memory_state *state, struct bytes_view prefix)
{
    size_t count = 0;
    for (size_t i = 0; i < state->count; i++)
        if (state->entries[i]->now.data != NULL && has_prefix(state->entries[i], prefix))
            count++;
    return count;
}

void memory_state_digest(const struct memory_state *state, struct hash *out)
{
    struct hash_state hash;
    hash_begin(&hash, HASH_DOMAIN_STATE_VALUE);
    for (size_t i = 0; i < state->count; i++) {
        const struct entry *entry = state->entries[i];
        if (entry->now.data == NULL)
            continue;
        hash_update(&hash, &entry->key_size, sizeof entry->key_size);
        hash_update(&hash, entry->key, entry->key_size);
        hash_update(&hash, &entry->now.size, sizeof entry->now.size);
        hash_update(&hash, entry->now.data, entry->now.size);
    }
    hash_end(&hash, out);
}

void memory_state_fail_at(struct memory_state *state, uint64_t calls)
{
    state->fail_at = calls == 0 ? 0 : state->calls + calls;
}

uint64_t memory_state_calls(const struct memory_state *state)
{
    return state->calls;
}
