/* Snapshots over HTTP: what there is, and its parts (docs/spec/api.md, docs/spec/snapshot.md).
 *
 * The parts are the bytes that peers get, so whoever fetches them verifies them from the genesis on,
 * and has to trust neither this node nor the line.
 *
 * Deliberately absent: asking for one to be made, which is an operator's business (flex snapshot
 * create), and a listing of the parts, which the manifest is. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "node/api_internal.h"
#include "node/snapshots.h"

void api_read_snapshots(const struct api_request *request, struct api_reply *reply)
{
    struct snapshot_offers offers;
    cJSON *root = cJSON_CreateObject();
    cJSON *items = cJSON_AddArrayToObject(root, "items");
    snapshots_offers(request->node->snapshots, &offers);
    for (uint32_t i = 0; i < offers.count; i++) {
        cJSON *item = cJSON_CreateObject();
        json_add_u64(item, "height", offers.offers[i].height);
        api_add_hash(item, "id", &offers.offers[i].id);
        (void)api_add_item(items, item);
    }
    api_reply_json(reply, MHD_HTTP_OK, root);
}

void api_read_snapshot_part(const struct api_request *request, struct api_reply *reply)
{
    uint64_t height = 0;
    enum snapshot_part_kind kind = SNAPSHOT_MANIFEST;
    uint32_t index = 0;
    char path[SNAPSHOT_PATH_SIZE];
    struct bytes_view bytes = {NULL, 0};
    if (!uint64_from_text(&height, request->arguments[0]) ||
        !snapshot_part_of_name(request->arguments[1], &kind, &index) ||
        !snapshots_path(request->node->snapshots, height, path)) {
        api_reply_not_found(reply, "no such snapshot here; /v1/snapshots lists them");
        return;
    }
    switch (snapshot_part_read(path, kind, index, &bytes)) {
    case SNAPSHOT_READ_OK:
        api_reply_bytes(reply, "application/octet-stream", (char *)(uintptr_t)bytes.data,
                        bytes.size);
        return;
    case SNAPSHOT_READ_ABSENT:
        api_reply_not_found(reply, "the snapshot has no such part");
        return;
    case SNAPSHOT_READ_DAMAGED:
        api_reply_error(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "store_fault",
                        "the part is damaged on disk; fetch from another node");
        return;
    }
}
