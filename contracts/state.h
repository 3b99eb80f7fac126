/* The state as contracts see it: an ordered map from byte keys to byte values, nothing else.
 *
 * Behind the face stands an overlay of the block builder, of the simulator, or of the auditor
 * (storage/overlay.h), or a sorted array in a test. A fault of what lies below is sticky: the view
 * then answers "absent" to everything, and whoever runs the block must look at state_fault() before
 * it believes a result. */
#ifndef FLEX_CONTRACTS_STATE_H
#define FLEX_CONTRACTS_STATE_H

#include "base/bytes.h"
#include "base/limits.h"

struct state_view;

struct state_ops {
    /* The value, valid until the next put, delete or rollback; false if absent. */
    bool (*get)(struct state_view *view, struct bytes_view key, struct bytes_view *value);
    /* Key and value are copied. Over the limits, or out of room: sticky fault. */
    void (*put)(struct state_view *view, struct bytes_view key, struct bytes_view value);
    void (*remove)(struct state_view *view, struct bytes_view key);
    /* The first entry whose key is above `after` (strictly) and starts with `prefix`; with an
     * empty `after`, the first with the prefix. key_out holds LIMIT_STATE_KEY_BYTES. */
    bool (*next)(struct state_view *view, struct bytes_view prefix, struct bytes_view after,
                 uint8_t *key_out, size_t *key_size, struct bytes_view *value);
    /* Savepoints do not nest: begin, then either keep or roll back. */
    void (*savepoint)(struct state_view *view);
    void (*keep)(struct state_view *view);
    void (*rollback)(struct state_view *view);
    /* Calls `visit` for each key with `prefix` that differs from the state before this block;
     * `before` and `after` have data NULL where absent. For the conservation check. */
    void (*changes)(struct state_view *view, struct bytes_view prefix, void *context,
                    void (*visit)(void *context, struct bytes_view key, struct bytes_view before,
                                  struct bytes_view after));
};

/* First member of every implementation. */
struct state_view {
    const struct state_ops *ops;
    bool fault;
};

#endif
