/* Meter data on a bill: what went over the meters beside what was traded (tools/bill.h; D5.5 3.2.6).
 *
 * Invariants: a reading counts only with its meter's signature under the key that the ledger has for the
 * device, once, in one length of interval per device, and inside the period; what two files say twice is
 * one reading, what they say differently is refused.
 *
 * Deliberately absent: fingerprints. Whoever wants to know whether the meter operator committed to these
 * readings asks flex meter verify; a bill's money does not depend on them. */
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/bill.h"
#include "tools/market_history.h"
#include "tools/reveal.h"

static int by_device_and_time(const void *a, const void *b)
{
    const struct meter_reading *left = a;
    const struct meter_reading *right = b;
    int order = name_compare(&left->device, &right->device);
    if (order == 0) {
        order = (left->meter > right->meter) - (left->meter < right->meter);
    }
    return order != 0 ? order : timestamp_compare(left->interval_start, right->interval_start);
}

static bool same_series(const struct meter_reading *a, const struct meter_reading *b)
{
    return name_compare(&a->device, &b->device) == 0 && a->meter == b->meter;
}

static int bad_reading(struct bill *bill, const struct meter_reading *reading, const char *why)
{
    char device[NAME_SIZE + 1];
    return cli_fail(bill->cli, CLI_UNPROVEN, "bad_reading", "%s, interval %lld: %s",
                    name_to_text(device, &reading->device),
                    (long long)timestamp_ms(reading->interval_start), why);
}

static int append_revealed(struct bill *bill, const char *path)
{
    struct revealed_reading *revealed;
    uint32_t count;
    int status = reveal_read(bill->cli, &revealed, &count, path);
    if (status != CLI_DONE) {
        return status;
    }
    bill->readings = realloc(bill->readings,
                             ((size_t)bill->reading_count + count + 1) * sizeof bill->readings[0]);
    MUST(bill->readings != NULL);
    for (uint32_t i = 0; i < count; i++) {
        bill->readings[bill->reading_count++] = revealed[i].reading;
    }
    free(revealed);
    return CLI_DONE;
}

/* Sorted, without what lies outside the period and what is there twice. */
static int tidy(struct bill *bill)
{
    uint32_t kept = 0;
    qsort(bill->readings, bill->reading_count, sizeof bill->readings[0], by_device_and_time);
    for (uint32_t i = 0; i < bill->reading_count; i++) {
        const struct meter_reading *reading = &bill->readings[i];
        struct meter_reading *last = kept > 0 ? &bill->readings[kept - 1] : NULL;
        struct timestamp end;
        if (duration_ms(reading->interval) <= 0 ||
            !timestamp_add(&end, reading->interval_start, reading->interval)) {
            return bad_reading(bill, reading, "no such interval");
        }
        if (timestamp_ms(reading->interval_start) < bill->from_ms ||
            timestamp_ms(end) > bill->until_ms) {
            continue;
        }
        if (last == NULL || by_device_and_time(last, reading) != 0) {
            if (last != NULL && same_series(last, reading) &&
                (duration_ms(last->interval) != duration_ms(reading->interval) ||
                 timestamp_ms(last->interval_start) + duration_ms(last->interval) >
                     timestamp_ms(reading->interval_start))) {
                return bad_reading(bill, reading, "it overlaps another, or is of another length");
            }
            bill->readings[kept++] = *reading;
        } else if (duration_ms(last->interval) != duration_ms(reading->interval) ||
                   energy_wh(last->net) != energy_wh(reading->net)) {
            return bad_reading(bill, reading, "two files say two things");
        }
    }
    bill->reading_count = kept;
    return CLI_DONE;
}

int bill_read_readings(struct bill *bill, const char *const *files, size_t count)
{
    int status = CLI_DONE;
    for (size_t i = 0; i < count && status == CLI_DONE; i++) {
        status = reveal_is_reveal(files[i]) ? append_revealed(bill, files[i])
                                            : reveal_read_readings(bill->cli, &bill->readings,
                                                                   &bill->reading_count, files[i]);
    }
    return status == CLI_DONE && bill->reading_count > 0 ? tidy(bill) : status;
}

int bill_check_readings(struct bill *bill, const struct name *device,
                        const struct device_record *record)
{
    for (uint32_t i = 0; i < bill->reading_count; i++) {
        const struct meter_reading *reading = &bill->readings[i];
        struct hash message;
        if (name_compare(&reading->device, device) != 0) {
            continue;
        }
        const struct public_key *key =
            reading->meter == METER_SUB ? &record->submeter_key : &record->meter_key;
        meter_reading_message(&message, reading);
        if (!schnorr_verify(&reading->signature, key, &message)) {
            return bad_reading(bill, reading, "it is not signed by the device's meter");
        }
    }
    return CLI_DONE;
}

int bill_sum_readings(struct bill *bill)
{
    for (uint32_t i = 0; i < bill->reading_count; i++) {
        const struct meter_reading *reading = &bill->readings[i];
        struct bill_meter *meter =
            bill->meter_count > 0 ? &bill->meters[bill->meter_count - 1] : NULL;
        int64_t net = energy_wh(reading->net);
        if (reading->meter != METER_CERTIFIED) {
            continue;
        }
        if (meter == NULL || name_compare(&meter->device, &reading->device) != 0) {
            bill->meters = history_room(bill->meters, &bill->meter_room, bill->meter_count,
                                        sizeof *bill->meters);
            meter = &bill->meters[bill->meter_count++];
            *meter = (struct bill_meter){.device = reading->device, .interval = reading->interval};
        }
        meter->readings++;
        bool good = net >= 0 ? checked_add_i64(&meter->imported_wh, meter->imported_wh, net)
                             : checked_sub_i64(&meter->exported_wh, meter->exported_wh, net);
        if (!good) {
            return bad_reading(bill, reading, "the sums are more than can be counted");
        }
    }
    return CLI_DONE;
}
