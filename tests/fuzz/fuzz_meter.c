/* What a meter operator and those who check it read from strangers: copies of readings, times without a
 * zone, requests. The first byte says which.
 *
 * A copy against a ledger that has one fingerprint, of the empty root: nothing that is read may be found
 * to be the ledger's, and the line that is named is one of the file. */
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/copy_verify.h"
#include "tools/meterd/access.h"
#include "tools/meterd/local_time.h"

static int find_batch(void *context, struct batch_record *out, bool *absent,
                      const struct name *meter_operator, const struct name *batch,
                      struct timestamp start, const uint32_t *revision)
{
    (void)context;
    (void)batch;
    MUST(name_is_valid(meter_operator) && (revision == NULL || *revision == 0));
    memset(out, 0, sizeof *out);
    *absent = timestamp_ms(start) % 2 != 0;
    out->count = (uint32_t)(timestamp_ms(start) & 3);
    out->revision = timestamp_ms(start) % 3 == 0;
    return CLI_DONE;
}

static int find_device(void *context, struct device_record *out, bool *absent,
                       const struct name *device)
{
    (void)context;
    MUST(name_is_valid(device));
    memset(out, 0, sizeof *out);
    *absent = device->text[0] == 'x';
    return CLI_DONE;
}

static void fuzz_copy(struct bytes_view text)
{
    static const struct copy_ledger ledger = {NULL, find_batch, find_device};
    struct copy_verdict verdict;
    uint64_t lines = 1;
    FILE *in = fopen(fuzz_file(text), "rb");
    MUST(in != NULL);
    MUST(copy_verify_batches(&verdict, &ledger, in) == CLI_DONE);
    MUST(fclose(in) == 0);
    for (size_t i = 0; i < text.size; i++) {
        lines += text.data[i] == '\n';
    }
    /* One behind the last, where a batch ends too soon. */
    MUST(verdict.readings == 0 && verdict.line <= lines + 1);
    MUST(verdict.code == NULL || (verdict.reason[0] != '\0' && verdict.line > 0));
}

static void fuzz_time(enum meter_zone zone, struct bytes_view bytes)
{
    char text[64];
    int64_t instants[2];
    bool skipped;
    const size_t size = bytes.size < sizeof text - 1 ? bytes.size : sizeof text - 1;
    memcpy(text, bytes.data != NULL ? bytes.data : (const uint8_t *)"", size);
    text[size] = '\0';
    const unsigned count = zone_parse(instants, &skipped, zone, text);
    MUST(count <= 2 && (!skipped || count == 0));
    if (count == 2) {
        MUST(zone != ZONE_UTC && instants[1] - instants[0] == MS_PER_HOUR);
        MUST(instants[0] + zone_offset_ms(zone, instants[0]) ==
             instants[1] + zone_offset_ms(zone, instants[1]));
    }
}

static void fuzz_request(struct bytes_view bytes)
{
    struct access_request request;
    struct hash message;
    fuzz_record_bytes(&access_request_record, bytes);
    if (codec_decode_all(&access_request_record, &request, bytes)) {
        access_request_message(&message, &request);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_source source = fuzz_source_of(data, size);
    const uint8_t which = fuzz_take_u8(&source);
    const struct bytes_view rest = fuzz_take_rest(&source);
    if (which % 8 < 4) {
        fuzz_copy(rest);
    } else if (which % 8 < 7) {
        fuzz_time((enum meter_zone)(which / 8 % ZONE_COUNT), rest);
    } else {
        fuzz_request(rest);
    }
    return 0;
}
