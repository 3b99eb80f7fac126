/* What the ledger's registry says about devices and participants, as a meter operator needs it.
 *
 * Who may read is decided on proven records, asked for at each request. The keys of meters, by the
 * hundred thousand, are taken from a node's list: a wrong one there can only make the service refuse a
 * reading or commit one that the ledger then refuses. */
#ifndef FLEX_TOOLS_METERD_REGISTRY_H
#define FLEX_TOOLS_METERD_REGISTRY_H

#include "contracts/records.h"
#include "tools/meterd/archive.h"
#include "tools/session.h"

/* Look-ups that may wait for a node. False: nobody answered, or the answer's proof failed. *absent: proven
 * that there is none. By one thread at a time. */
struct meter_registry {
    void *context;
    bool (*participant)(void *context, struct participant_record *out, bool *absent,
                        const struct name *name);
    bool (*device)(void *context, struct device_record *out, bool *absent, const struct name *name);
    bool (*deal)(void *context, struct deal_record *out, struct market_create *terms, bool *absent,
                 uint64_t id);
};
/* Over a session that is open and has its trust. */
struct meter_registry registry_of_session(struct session *session);

struct registry_report {
    uint64_t devices;
    uint64_t meters; /* with a key, certified, sub and derived */
    uint64_t changed;
};
/* Takes keys, connections and owners of all devices over into the archive. CLI_DONE or an exit code with
 * the reason said. */
int registry_sync(struct meter_archive *archive, struct session *session, struct timestamp now,
                  struct registry_report *report);
/* Takes over one device; `derived`: it is an alias, and has derived readings too. */
void registry_take(struct meter_txn *txn, const struct name *name,
                   const struct device_record *device, bool derived, struct timestamp now,
                   struct registry_report *report);

#endif
