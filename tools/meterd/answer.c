/* What a signed request is answered with (server.h).
 *
 * Invariants: nothing of a reading is told before access_check has granted it; a refusal says the same
 * whether there are readings or not, so it tells nobody which devices this service has; the purpose that
 * was signed is that of the path. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/json.h"
#include "tools/meterd/disclose.h"
#include "tools/meterd/server.h"
#include "tools/reveal.h"

static unsigned print(struct cJSON *object, char **body, unsigned status)
{
    *body = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    MUST(*body != NULL);
    return status;
}

static unsigned refuse(enum access_verdict verdict, char **body)
{
    struct cJSON *root = cJSON_CreateObject();
    struct cJSON *error = cJSON_AddObjectToObject(root, "error");
    cJSON_AddStringToObject(error, "code", access_verdict_names[verdict]);
    cJSON_AddStringToObject(error, "reason", access_verdict_reason(verdict));
    return print(root, body, access_verdict_http(verdict));
}

static unsigned answer_read(struct meter_service *service, const struct access_request *request,
                            char **body)
{
    const struct disclosure wanted = {.device = request->device,
                                      .meter = request->meter,
                                      .from = request->from,
                                      .until = request->until,
                                      .before = request->before};
    struct disclosed found = {.readings = calloc(DISCLOSE_READINGS_MAX, sizeof *found.readings)};
    char problem[ARCHIVE_PROBLEM_SIZE], name[NAME_SIZE + 1];
    const int64_t most = DISCLOSE_READINGS_MAX * duration_ms(service->archive->settings.interval);
    MUST(found.readings != NULL);
    if (timestamp_ms(request->until) - timestamp_ms(request->from) > most ||
        !disclose_readings(service->archive, &found, &wanted, problem)) {
        const bool ours = timestamp_ms(request->until) - timestamp_ms(request->from) <= most;
        free(found.readings);
        return refuse(ours ? ACCESS_FAULT : ACCESS_BAD_PERIOD, body);
    }
    struct cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "format", "flexreveal/1");
    cJSON_AddStringToObject(root, "device", name_to_text(name, &request->device));
    struct cJSON *list = cJSON_AddArrayToObject(root, "readings");
    for (uint32_t i = 0; i < found.count; i++) {
        struct cJSON *item = codec_to_json(reveal_reading_codec(), &found.readings[i]);
        MUST(item != NULL && list != NULL);
        cJSON_AddItemToArray(list, item);
    }
    json_add_u32(root, "erased", found.erased);
    json_add_u32(root, "pending", found.pending);
    free(found.readings);
    return print(root, body, 200);
}

static unsigned answer_erase(struct meter_service *service, const struct access_request *request,
                             char **body)
{
    char problem[ARCHIVE_PROBLEM_SIZE];
    uint64_t readings = 0;
    if (!archive_erase(service->archive, &request->device, request->meter,
                       timestamp_ms(request->from) / MS_PER_DAY,
                       timestamp_ms(request->until) / MS_PER_DAY, &readings, problem)) {
        return refuse(ACCESS_FAULT, body);
    }
    struct cJSON *root = cJSON_CreateObject();
    json_add_u64(root, "erased_readings", readings);
    return print(root, body, 200);
}

unsigned meter_service_answer(struct meter_service *service, enum access_purpose purpose,
                              struct bytes_view bytes, char **body)
{
    struct access_request request;
    enum access_verdict verdict = access_check(service->archive, &service->registry,
                                               &service->genesis, bytes, service->now(), &request);
    if (verdict == ACCESS_GRANTED && request.purpose != (uint8_t)purpose) {
        verdict = ACCESS_MALFORMED;
    }
    if (verdict != ACCESS_GRANTED) {
        return refuse(verdict, body);
    }
    switch (purpose) {
    case ACCESS_READ:
        return answer_read(service, &request, body);
    case ACCESS_ERASE:
        return answer_erase(service, &request, body);
    }
    return refuse(ACCESS_MALFORMED, body);
}
