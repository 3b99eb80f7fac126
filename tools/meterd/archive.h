/* What a meter operator keeps: settings, devices, readings, batches (docs/spec/meter.md).
 *
 * Readings are stored sealed (XChaCha20-Poly1305) under a key that comes from the device's secret of
 * that day, and so do their salts: whoever destroys the secret (secrets.h) has destroyed both, whatever
 * old pages, copies of the database or backups without the secrets still hold. NULL is valid only where a
 * comment says so. Functions that return bool return false when there is no such thing. */
#ifndef FLEX_TOOLS_METERD_ARCHIVE_H
#define FLEX_TOOLS_METERD_ARCHIVE_H

#include "base/units.h"
#include "contracts/actions.h"
#include "contracts/delivery.h"
#include "tools/meterd/database.h"
#include "tools/meterd/local_time.h"
#include "tools/meterd/secrets.h"

enum {
    ARCHIVE_PROBLEM_SIZE = 160,
    /* A batch's id is PREFIX-c-00012; a name has 24 characters. */
    ARCHIVE_PREFIX_MAX = NAME_SIZE - 8,
    ARCHIVE_GROUPS_MAX = 100000,
    /* Depth 10: with it even the largest proof of a baseline, 256 readings, fits into a witness. */
    ARCHIVE_GROUP_SIZE_DEFAULT = 1024,
    ARCHIVE_LEAF_BYTES = 4 + 2 + HASH_SIZE
};

struct meter_settings {
    struct name meter_operator; /* the participant that posts */
    struct name prefix;         /* of batch ids */
    struct duration interval;
    uint32_t group_size;            /* meters per batch */
    enum meter_zone zone;           /* of times in files that name none */
    struct energy register_modulus; /* at which registers begin again; zero: they never do */
    struct duration grace;          /* after an interval's end, for those that are still missing */
};

struct meter_archive {
    struct meter_db *db;
    struct meter_secrets *secrets;
    struct meter_settings settings;
};

/* HOME/meterd: made if `settings` is not NULL, and refused if it is there already; else opened. */
bool archive_open(struct meter_archive *out, const char *home,
                  const struct meter_settings *settings, char problem[ARCHIVE_PROBLEM_SIZE]);
void archive_close(struct meter_archive *archive);

/* --- devices ------------------------------------------------------------------------------- */

enum { DEVICE_UNNUMBERED = INT32_MAX };

/* One meter: what the registry says of it, and its place here once it has a reading. */
struct meter_device {
    uint32_t index; /* DEVICE_UNNUMBERED before its first reading */
    uint32_t group;
    struct public_key key;
    struct power connection;
    struct name owner;
    struct timestamp
        owner_since; /* since when this service has known that owner; 0: from the first */
};

bool archive_device(struct meter_txn *txn, struct meter_device *out, const struct name *device,
                    uint8_t meter);
void archive_put_device(struct meter_txn *txn, const struct name *device, uint8_t meter,
                        const struct meter_device *record);
/* Gives the device an index and a place in the newest group of its kind, or in a new one if that is full
 * or `new_group`. False if there is no group left. */
bool archive_number_device(const struct meter_archive *archive, struct meter_txn *txn,
                           const struct name *device, uint8_t meter, struct meter_device *record,
                           bool new_group);

struct meter_place {
    struct name device;
    uint8_t meter;
    uint32_t group;
};
bool archive_place(struct meter_txn *txn, struct meter_place *out, uint32_t index);

struct meter_group {
    uint8_t meter;
    uint32_t members;
};
bool archive_group(struct meter_txn *txn, struct meter_group *out, uint32_t group);
/* The name under which the ledger knows the group. */
struct name archive_batch_name(const struct meter_archive *archive, uint32_t group, uint8_t meter);

/* --- readings ------------------------------------------------------------------------------ */

/* Which reading: group and index of its device, and when it starts. */
struct reading_place {
    uint32_t group;
    uint32_t index;
    struct timestamp start;
};

struct stored_reading {
    struct energy net;
    struct signature signature;
    uint16_t version; /* 0 the first; a correction adds one */
};

enum archive_result {
    ARCHIVE_OK,
    ARCHIVE_ABSENT,
    ARCHIVE_ERASED, /* its secret is destroyed */
    ARCHIVE_FAULT   /* the disk, or bytes that are not what was stored */
};

/* The newest version, or the one wanted if `version` is not NULL. */
enum archive_result archive_reading(const struct meter_archive *archive, struct meter_txn *txn,
                                    struct stored_reading *out, const struct reading_place *place,
                                    const uint16_t *version);
enum archive_result archive_put_reading(const struct meter_archive *archive, struct meter_txn *txn,
                                        const struct reading_place *place,
                                        const struct stored_reading *reading);
/* The newest version of every reading of one group and interval, in the order of indices; false ends
 * the walk. The sealed bytes are opened by archive_open_sealed. */
typedef bool (*archive_reading_fn)(void *context, uint32_t index, uint16_t version,
                                   struct bytes_view sealed);
void archive_walk_interval(struct meter_txn *txn, uint32_t group, struct timestamp start,
                           archive_reading_fn visit, void *context);
enum archive_result archive_open_sealed(const struct meter_archive *archive,
                                        struct stored_reading *out,
                                        const struct reading_place *place, uint16_t version,
                                        struct bytes_view sealed);
/* Of a batch's revision; ARCHIVE_OK or why not. */
enum archive_result archive_salt(const struct meter_archive *archive,
                                 uint8_t out[READING_SALT_SIZE], uint32_t index,
                                 struct timestamp start, uint32_t revision);
/* Whether the registry has, or had, that meter. */
bool archive_has_meter(struct meter_archive *archive, const struct name *device, uint8_t meter);
/* Destroys the secrets of [from_day, until_day) and removes the readings. Counts the readings. False if
 * a secret could not be overwritten. */
bool archive_erase(struct meter_archive *archive, const struct name *device, uint8_t meter,
                   int64_t from_day, int64_t until_day, uint64_t *readings,
                   char problem[ARCHIVE_PROBLEM_SIZE]);

/* --- batches ------------------------------------------------------------------------------- */

enum batch_state {
    BATCH_SEALED = 0,  /* committed here; in the queue */
    BATCH_SENT = 1,    /* in an envelope of the outbox */
    BATCH_FINAL = 2,   /* on the ledger, proven */
    BATCH_REFUSED = 3, /* the ledger will never take it: `error` says why */
    BATCH_STATE_COUNT = 4
};
extern const char *const batch_state_names[BATCH_STATE_COUNT];

struct batch_place {
    uint32_t group;
    struct timestamp start;
    uint32_t revision;
};

struct sealed_batch {
    uint8_t state;
    uint16_t error; /* enum contract_error of BATCH_REFUSED */
    uint32_t count;
    struct hash root;
    struct timestamp posted; /* of BATCH_FINAL: its block's time */
    uint32_t reason_size;
    char reason[METER_BATCH_REASON_MAX + 1];
};

bool archive_batch(struct meter_txn *txn, struct sealed_batch *out,
                   const struct batch_place *place);
void archive_put_batch(struct meter_txn *txn, const struct batch_place *place,
                       const struct sealed_batch *batch);
/* The newest revision: place->revision is set. */
bool archive_newest_batch(struct meter_txn *txn, struct sealed_batch *out,
                          struct batch_place *place);
/* Leaves in the tree's order, ARCHIVE_LEAF_BYTES each. */
bool archive_leaves(struct meter_txn *txn, struct bytes_view *out, const struct batch_place *place);

struct batch_leaf {
    uint32_t index;
    uint16_t version;
    struct hash leaf;
};
struct batch_leaf archive_leaf_at(struct bytes_view leaves, uint32_t position);

/* --- keys ---------------------------------------------------------------------------------- */

struct meter_key {
    uint8_t bytes[METER_KEY_MAX];
    size_t size;
};
struct meter_key archive_key_interval(uint32_t group, struct timestamp start);
struct meter_key archive_key_batch(const struct batch_place *place);
struct meter_key archive_key_u64(uint64_t number);
struct bytes_view archive_key_view(const struct meter_key *key);
/* Counts up a number of the meta table; the value before. */
uint64_t archive_next(struct meter_txn *txn, const char *counter);

/* Why an interval has readings that no batch holds. */
enum dirty_why { DIRTY_FRESH = 0, DIRTY_LATE = 1, DIRTY_CORRECTED = 2 };
void archive_mark_dirty(struct meter_txn *txn, uint32_t group, struct timestamp start,
                        enum dirty_why why, const char *reason);

#endif
