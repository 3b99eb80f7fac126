/* The registry over a session with a node (registry.h).
 *
 * Invariant: an owner that this service sees for the first time is one since ever; a new owner is one
 * since the service has seen the change, so a buyer of a battery never gets its former owner's load. */
#include "tools/meterd/registry.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"

enum { SYNC_PER_TXN = 4096 };

static bool record_of(struct session *session, const char *kind, const char *id, void *out,
                      bool *absent)
{
    struct proof proof;
    if (session_record(session, kind, id, out, absent, &proof) != CLI_DONE) {
        return false;
    }
    proof_release(&proof);
    return true;
}

static bool find_participant(void *context, struct participant_record *out, bool *absent,
                             const struct name *name)
{
    char text[NAME_SIZE + 1];
    return record_of(context, "participant", name_to_text(text, name), out, absent);
}

static bool find_device(void *context, struct device_record *out, bool *absent,
                        const struct name *name)
{
    char text[NAME_SIZE + 1];
    return record_of(context, "asset", name_to_text(text, name), out, absent);
}

static bool find_deal(void *context, struct deal_record *out, struct market_create *terms,
                      bool *absent, uint64_t id)
{
    char text[NAME_SIZE + 1 + INT128_TEXT_SIZE], name[NAME_SIZE + 1];
    int128_to_text(text, (int128)id);
    if (!record_of(context, "deal", text, out, absent) || *absent) {
        return *absent;
    }
    snprintf(text, sizeof text, "%s/%u", name_to_text(name, &out->market), out->version);
    return record_of(context, "terms", text, terms, absent) && !*absent;
}

struct meter_registry registry_of_session(struct session *session)
{
    return (struct meter_registry){session, find_participant, find_device, find_deal};
}

static void take_meter(struct meter_txn *txn, const struct name *name, uint8_t meter,
                       const struct public_key *key, const struct device_record *device,
                       struct timestamp now, struct registry_report *report)
{
    static const struct public_key none;
    struct meter_device before;
    if (public_key_equal(key, &none)) {
        return;
    }
    struct meter_device next = {.index = DEVICE_UNNUMBERED,
                                .key = *key,
                                .connection = device->connection,
                                .owner = device->owner,
                                .owner_since = timestamp_of(0)};
    report->meters++;
    if (archive_device(txn, &before, name, meter)) {
        next.index = before.index;
        next.group = before.group;
        const bool same_owner = name_compare(&before.owner, &next.owner) == 0;
        next.owner_since = same_owner ? before.owner_since : now;
        if (same_owner && public_key_equal(&before.key, &next.key) &&
            power_w(before.connection) == power_w(next.connection)) {
            return;
        }
    }
    report->changed++;
    archive_put_device(txn, name, meter, &next);
}

void registry_take(struct meter_txn *txn, const struct name *name,
                   const struct device_record *device, bool derived, struct timestamp now,
                   struct registry_report *report)
{
    report->devices++;
    take_meter(txn, name, METER_CERTIFIED, &device->meter_key, device, now, report);
    take_meter(txn, name, METER_SUB, &device->submeter_key, device, now, report);
    if (derived) {
        take_meter(txn, name, METER_DELIVERED, &device->meter_key, device, now, report);
    }
}

/* Lists come in the order of names, so both are walked once. */
static bool is_alias(const struct cJSON **aliases, const char *id)
{
    while (*aliases != NULL) {
        const char *alias = json_string(*aliases, "id");
        const int order = alias != NULL ? strcmp(alias, id) : -1;
        if (order >= 0) {
            return order == 0;
        }
        *aliases = (*aliases)->next;
    }
    return false;
}

static int take_list(struct meter_archive *archive, struct session *session, struct cJSON *devices,
                     const struct cJSON *aliases, struct timestamp now,
                     struct registry_report *report)
{
    const struct codec_record *codec = state_kind_info(STATE_DEVICE)->codec;
    char problem[ARCHIVE_PROBLEM_SIZE] = "";
    struct meter_txn *txn = NULL;
    uint32_t held = 0;
    for (struct cJSON *item = devices->child; item != NULL; item = item->next) {
        struct device_record device;
        struct name name;
        uint8_t nothing[1];
        struct byte_writer scratch;
        const char *id = json_string(item, "id");
        const bool derived = id != NULL && is_alias(&aliases, id);
        bool ok = id != NULL && name_from_text(&name, id, strlen(id));
        cJSON_DeleteItemFromObjectCaseSensitive(item, "id");
        byte_writer_init(&scratch, nothing, sizeof nothing);
        ok = ok && codec_from_json(codec, &device, item, &scratch, problem, sizeof problem);
        txn = ok && txn == NULL ? meter_txn_begin(archive->db, true) : txn;
        if (!ok || txn == NULL) {
            if (txn != NULL) {
                meter_txn_abort(txn);
            }
            return cli_fail(session->cli, CLI_NO_NODE, "bad_answer", "the list of assets: %s",
                            problem);
        }
        registry_take(txn, &name, &device, derived, now, report);
        held++;
        if (held % SYNC_PER_TXN == 0 || item->next == NULL) {
            const bool done = meter_txn_commit(txn, problem);
            txn = NULL;
            if (!done) {
                return cli_fail(session->cli, CLI_USAGE, "database", "%s", problem);
            }
        }
    }
    return CLI_DONE;
}

int registry_sync(struct meter_archive *archive, struct session *session, struct timestamp now,
                  struct registry_report *report)
{
    struct cJSON *devices = NULL, *aliases = NULL;
    memset(report, 0, sizeof *report);
    int status = session_list(session, &devices, "assets");
    if (status == CLI_DONE) {
        status = session_list(session, &aliases, "aliases");
    }
    if (status == CLI_DONE) {
        status = take_list(archive, session, devices, aliases->child, now, report);
    }
    cJSON_Delete(devices);
    cJSON_Delete(aliases);
    return status;
}
