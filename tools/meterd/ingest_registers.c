/* Cumulative registers into intervals (ingest.h): each interval is what the register has advanced by
 * between its ends.
 *
 *   registers of a file -> sorted by meter, time, line -> neighbours one interval apart are a reading
 *
 * Invariants: energy that was consumed in a hole of the data is given to no interval; a register that
 * goes back is a roll-over only if the settings name the modulus and the step is one that the device's
 * connection can carry, since a meter that was swapped or reset also goes back. After a register that is
 * refused the next one begins anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "tools/meterd/ingest_internal.h"

enum { LASTS_FIRST = 1024, REGISTERS_FIRST = 1024 };

/* --- the last time of each meter ----------------------------------------------------------- */

static size_t slot_of(const struct ingest_last *lasts, size_t room, const struct name *device,
                      uint8_t meter)
{
    /* FNV-1a: file contents that collide cost time, not truth. */
    uint64_t hash = UINT64_C(14695981039346656037) ^ meter;
    for (size_t i = 0; i < NAME_SIZE; i++) {
        hash = (hash ^ (uint8_t)device->text[i]) * UINT64_C(1099511628211);
    }
    size_t slot = (size_t)(hash % room);
    while (lasts[slot].used &&
           (lasts[slot].meter != meter || name_compare(&lasts[slot].device, device) != 0)) {
        slot = (slot + 1) % room;
    }
    return slot;
}

static void grow_lasts(struct ingest_file *file)
{
    const size_t room = file->last_room == 0 ? LASTS_FIRST : 2 * file->last_room;
    struct ingest_last *lasts = calloc(room, sizeof *lasts);
    MUST(lasts != NULL);
    for (size_t i = 0; i < file->last_room; i++) {
        if (file->lasts[i].used) {
            lasts[slot_of(lasts, room, &file->lasts[i].device, file->lasts[i].meter)] =
                file->lasts[i];
        }
    }
    free(file->lasts);
    file->lasts = lasts;
    file->last_room = room;
}

/* Only meters that the registry knows come here, so their number bounds the table. */
struct ingest_last *ingest_last_of(struct ingest_file *file, const struct name *device,
                                   uint8_t meter)
{
    if (4 * (file->last_count + 1) > 3 * file->last_room) {
        grow_lasts(file);
    }
    struct ingest_last *last = &file->lasts[slot_of(file->lasts, file->last_room, device, meter)];
    if (!last->used) {
        *last = (struct ingest_last){.device = *device, .meter = meter, .used = true};
        file->last_count++;
    }
    return last;
}

/* --- registers ----------------------------------------------------------------------------- */

bool ingest_register_add(struct ingest_file *file, const struct ingest_line *line)
{
    const int64_t modulus = energy_wh(file->archive->settings.register_modulus);
    if (modulus > 0 && (line->import_wh >= modulus || line->export_wh >= modulus)) {
        ingest_count(file->report, line->row.line, INGEST_REGISTER_TOO_LARGE);
        return true;
    }
    if (file->register_count == file->register_room) {
        if (file->register_room >= INGEST_REGISTERS_MAX) {
            snprintf(file->problem, ARCHIVE_PROBLEM_SIZE, "%.60s: over %d registers; split it",
                     file->path, INGEST_REGISTERS_MAX);
            return false;
        }
        file->register_room = file->register_room == 0 ? REGISTERS_FIRST : 2 * file->register_room;
        file->registers_read = realloc(file->registers_read,
                                       (size_t)file->register_room * sizeof *file->registers_read);
        MUST(file->registers_read != NULL);
    }
    file->registers_read[file->register_count++] = *line;
    return true;
}

static int compare_lines(const void *a, const void *b)
{
    const struct ingest_line *left = a, *right = b;
    const struct meter_reading *l = &left->row.reading, *r = &right->row.reading;
    int order = name_compare(&l->device, &r->device);
    order = order != 0 ? order : (l->meter > r->meter) - (l->meter < r->meter);
    order = order != 0 ? order : timestamp_compare(l->interval_start, r->interval_start);
    return order != 0 ? order
                      : (left->row.line > right->row.line) - (left->row.line < right->row.line);
}

enum ingest_outcome ingest_register_step(int64_t *out_wh, bool *rolled, int64_t last_wh,
                                         int64_t next_wh, int64_t modulus_wh, int64_t most_wh)
{
    MUST(last_wh >= 0 && next_wh >= 0);
    *rolled = false;
    if (next_wh >= last_wh) {
        *out_wh = next_wh - last_wh;
        return INGEST_STORED;
    }
    if (modulus_wh <= last_wh || next_wh + (modulus_wh - last_wh) > most_wh) {
        return INGEST_REGISTER_BACKWARDS;
    }
    *out_wh = next_wh + (modulus_wh - last_wh);
    *rolled = true;
    return INGEST_STORED;
}

/* The interval between two registers that are one interval apart. */
static enum ingest_outcome subtract(struct ingest_file *file, struct ingest_row *out,
                                    const struct ingest_line *last, const struct ingest_line *next)
{
    const struct meter_settings *settings = &file->archive->settings;
    const int64_t modulus = energy_wh(settings->register_modulus);
    struct energy most;
    int64_t imported, exported;
    bool import_rolled, export_rolled;
    if (!power_times_duration_floor(&most, next->row.device.connection, settings->interval)) {
        most = energy_of(0);
    }
    *out = next->row;
    out->reading.interval_start = last->row.reading.interval_start;
    enum ingest_outcome outcome = ingest_register_step(&imported, &import_rolled, last->import_wh,
                                                       next->import_wh, modulus, energy_wh(most));
    if (outcome == INGEST_STORED) {
        outcome = ingest_register_step(&exported, &export_rolled, last->export_wh, next->export_wh,
                                       modulus, energy_wh(most));
    }
    if (outcome == INGEST_STORED) {
        out->reading.net = energy_of(imported - exported);
        file->report->rolled_over += import_rolled || export_rolled;
    }
    return outcome;
}

static bool same_meter(const struct ingest_line *a, const struct ingest_line *b)
{
    return a->row.reading.meter == b->row.reading.meter &&
           name_compare(&a->row.reading.device, &b->row.reading.device) == 0;
}

/* One register after the one before it, NULL if it begins. False: the disk fails. */
static bool step(struct ingest_file *file, const struct ingest_line **last,
                 const struct ingest_line *next)
{
    struct ingest_row row;
    const int64_t interval_ms = duration_ms(file->archive->settings.interval);
    enum ingest_outcome outcome = INGEST_FIRST_REGISTER;
    if (timestamp_ms(next->row.reading.interval_start) % interval_ms != 0) {
        ingest_count(file->report, next->row.line, INGEST_NOT_ALIGNED);
        return true;
    }
    if (*last != NULL && same_meter(*last, next)) {
        const int64_t apart = timestamp_ms(next->row.reading.interval_start) -
                              timestamp_ms((*last)->row.reading.interval_start);
        if (apart == 0) {
            const bool same =
                (*last)->import_wh == next->import_wh && (*last)->export_wh == next->export_wh;
            ingest_count(file->report, next->row.line,
                         same ? INGEST_DUPLICATE : INGEST_REGISTER_CONFLICT);
            return true;
        }
        outcome = apart == interval_ms ? subtract(file, &row, *last, next) : INGEST_GAP;
    }
    *last = next;
    if (outcome == INGEST_STORED) {
        return ingest_add(file, &row);
    }
    ingest_count(file->report, next->row.line, outcome);
    return true;
}

bool ingest_registers_done(struct ingest_file *file)
{
    const struct ingest_line *last = NULL;
    if (file->register_count > 0) {
        qsort(file->registers_read, file->register_count, sizeof *file->registers_read,
              compare_lines);
    }
    for (uint32_t i = 0; i < file->register_count; i++) {
        if (!step(file, &last, &file->registers_read[i])) {
            return false;
        }
    }
    return true;
}
