/* Daily digests as signed notes (verify/digest.h; docs/spec/digest.md).
 *
 * Invariants: the first four lines are compared with what the verified headers make of them, so they
 * never say anything else; every later line is canonical base64 of canonical records, in one order;
 * nothing is believed before a quorum of the epoch's validators has been checked; each signature line
 * is checked or, if the caller says so, counted as unknown.
 *
 * Absent on purpose: the digest's state record, which says the same and has a proof of its own; and
 * any use of the clock. */
#include "verify/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fatal.h"

enum { PART_BYTES_MAX = CERTIFICATE_BYTES_MAX + 3 };

_Static_assert((int)CERTIFICATE_BYTES_MAX >= (int)VALIDATOR_SET_BYTES_MAX &&
                   (int)CERTIFICATE_BYTES_MAX >= (int)BLOCK_HEADER_SIZE,
               "the largest part of a line is a certificate");

/* How a validator's key is told from its other uses (signed-note, signature type 0xff). */
static const uint8_t vote_type[] = "\xff"
                                   "flexledger/finalize/1";

/* --- days ------------------------------------------------------------------------------------ */

int64_t digest_day_of(struct timestamp time)
{
    return (int64_t)div_floor_i128(timestamp_ms(time), MS_PER_DAY);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t days_of_month(int64_t year, int month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month] + (month == 1 && is_leap(year));
}

void digest_date_text(char out[DIGEST_DATE_SIZE], int64_t day)
{
    int64_t year = 1970;
    int month = 0;
    MUST(day >= 0 && day <= DIGEST_DAY_MAX);
    for (; day >= 365 + is_leap(year); year++) {
        day -= 365 + is_leap(year);
    }
    for (; day >= days_of_month(year, month); month++) {
        day -= days_of_month(year, month);
    }
    int length =
        snprintf(out, DIGEST_DATE_SIZE, "%04d-%02d-%02d", (int)year, month + 1, (int)day + 1);
    MUST(length == 10);
}

/* `digits` decimal digits. */
static bool take_digits(unsigned *out, const char *text, int digits)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return true;
}

bool digest_day_of_text(int64_t *day, const char *text)
{
    char again[DIGEST_DATE_SIZE];
    unsigned year, month, date;
    if (strnlen(text, DIGEST_DATE_SIZE) != 10 || !take_digits(&year, text, 4) ||
        !take_digits(&month, text + 5, 2) || !take_digits(&date, text + 8, 2) || year < 1970 ||
        month < 1 || month > 12 || date < 1 || date > 31) {
        return false;
    }
    int64_t days = date - 1;
    for (unsigned y = 1970; y < year; y++) {
        days += 365 + is_leap(y);
    }
    for (unsigned m = 0; m + 1 < month; m++) {
        days += days_of_month(year, (int)m);
    }
    if (days > DIGEST_DAY_MAX) {
        return false;
    }
    digest_date_text(again, days);
    *day = days;
    return strcmp(again, text) == 0;
}

/* --- writing --------------------------------------------------------------------------------- */

void digest_write_head(struct byte_writer *writer, const struct proof_trust *trust,
                       const struct block_header *last, const struct block_header *next)
{
    char chain[NAME_SIZE + 1], hex[2 * HASH_SIZE + 1], date[DIGEST_DATE_SIZE], number[32];
    text_write(writer, "flexledger/");
    text_write(writer, name_to_text(chain, &trust->chain));
    hex_encode(hex, trust->genesis.bytes, HASH_SIZE);
    text_write(writer, "/");
    text_write(writer, hex);
    snprintf(number, sizeof number, "\n%" PRIu64 "\n", next->height);
    text_write(writer, number);
    base64_write(writer, next->log_root.bytes, HASH_SIZE);
    digest_date_text(date, digest_day_of(last->time));
    text_write(writer, "\nday ");
    text_write(writer, date);
    text_write(writer, "\n");
}

static void write_part(struct byte_writer *writer, const char *before, const void *data,
                       size_t size)
{
    text_write(writer, before);
    base64_write(writer, data, size);
}

void digest_write_epoch(struct byte_writer *writer, struct bytes_view header,
                        const struct finality *finality)
{
    uint8_t bytes[PART_BYTES_MAX];
    struct byte_writer set;
    MUST(finality->ends_epoch);
    byte_writer_init(&set, bytes, sizeof bytes);
    codec_encode(&validator_set_record, &finality->next_set, &set);
    MUST(!set.failed);
    write_part(writer, "epoch ", header.data, header.size);
    write_part(writer, " ", bytes, set.size);
    write_part(writer, " ", bytes, certificate_encode(bytes, &finality->certificate));
    for (size_t at = 0; at < finality->headers.size; at += BLOCK_HEADER_SIZE) {
        write_part(writer, " ", finality->headers.data + at, BLOCK_HEADER_SIZE);
    }
    text_write(writer, "\n");
}

static void write_header(struct byte_writer *writer, const char *word,
                         const uint8_t bytes[BLOCK_HEADER_SIZE])
{
    write_part(writer, word, bytes, BLOCK_HEADER_SIZE);
    text_write(writer, "\n");
}

void digest_write_blocks(struct byte_writer *writer, const struct block_header *last,
                         const struct block_header *next)
{
    uint8_t bytes[BLOCK_HEADER_SIZE];
    block_header_encode(bytes, last);
    write_header(writer, "last ", bytes);
    block_header_encode(bytes, next);
    write_header(writer, "next ", bytes);
}

void digest_write_descendants(struct byte_writer *writer, struct bytes_view headers)
{
    MUST(headers.size % BLOCK_HEADER_SIZE == 0);
    for (size_t at = 0; at < headers.size; at += BLOCK_HEADER_SIZE) {
        write_header(writer, "then ", headers.data + at);
    }
}

static void vote_key_id(uint8_t out[NOTE_KEY_ID_SIZE], char name[NAME_SIZE + 1],
                        const struct validator *validator)
{
    name_to_text(name, &validator->operator_name);
    note_key_id(out, name, bytes_view_of(vote_type, sizeof vote_type - 1), &validator->key);
}

void digest_write_votes(struct byte_writer *writer, const struct certificate *certificate,
                        const struct validator_set *set)
{
    text_write(writer, "\n");
    for (uint32_t i = 0; i < certificate->count; i++) {
        const struct certificate_entry *entry = &certificate->entries[i];
        uint8_t id[NOTE_KEY_ID_SIZE];
        char name[NAME_SIZE + 1];
        MUST(entry->signer < set->count);
        vote_key_id(id, name, &set->validators[entry->signer]);
        note_write_signature(writer, name, id, entry->signature.bytes, SIGNATURE_SIZE);
    }
}

/* --- reading --------------------------------------------------------------------------------- */

struct reading {
    struct trust_walk walk;
    struct bytes_view rest; /* lines that are still to be read */
    struct block_header certified;
    struct note note;
    struct digest *out;
    char *problem;
};

static bool refuse(struct reading *reading, const char *why)
{
    snprintf(reading->problem, DIGEST_PROBLEM_SIZE, "%s", why);
    return false;
}

/* What stands behind a word, on the next line if it begins with it. */
static bool take_line(struct reading *reading, struct bytes_view *out, const char *word)
{
    struct bytes_view rest = reading->rest, line;
    size_t length = strlen(word);
    if (!note_line(&line, &rest) || line.size < length || memcmp(line.data, word, length) != 0) {
        return false;
    }
    *out = bytes_view_of(line.data + length, line.size - length);
    reading->rest = rest;
    return true;
}

/* One part of a line, up to the next space or the end; the space is taken, too. */
static bool take_part(struct bytes_view *line, uint8_t out[PART_BYTES_MAX], struct bytes_view *part)
{
    const uint8_t *space = line->size > 0 ? memchr(line->data, ' ', line->size) : NULL;
    size_t length = space != NULL ? (size_t)(space - line->data) : line->size;
    size_t size;
    /* A space with nothing behind it would be a second way to write the line. */
    if (length == 0 || length / 4 * 3 > PART_BYTES_MAX ||
        (space != NULL && length + 1 == line->size) ||
        !base64_decode(out, &size, bytes_view_of(line->data, length))) {
        return false;
    }
    length += space != NULL;
    *line = bytes_view_of(line->data + length, line->size - length);
    *part = bytes_view_of(out, size);
    return true;
}

static const char *take_epoch(struct trust_walk *walk, struct bytes_view line)
{
    uint8_t header_bytes[PART_BYTES_MAX], set_bytes[PART_BYTES_MAX], bytes[PART_BYTES_MAX];
    struct bytes_view header_part, set, part;
    struct block_header header, last;
    struct certificate certificate;
    if (!take_part(&line, header_bytes, &header_part) || !take_part(&line, set_bytes, &set) ||
        !take_part(&line, bytes, &part) || !certificate_decode(&certificate, part)) {
        return "an epoch's line is malformed";
    }
    const char *problem = trust_walk_header(walk, &header, header_part);
    last = header;
    for (unsigned i = 0; problem == NULL && line.size > 0; i++) {
        problem = i < LIMIT_VIEW_WINDOW && take_part(&line, bytes, &part)
                      ? trust_walk_descend(&last, part)
                      : "an epoch's line is malformed";
    }
    if (problem == NULL) {
        problem = trust_walk_final(walk, &last, &certificate);
    }
    return problem != NULL ? problem : trust_walk_step(walk, &header, set);
}

static bool take_header(struct reading *reading, struct block_header *out, const char *word)
{
    uint8_t bytes[PART_BYTES_MAX];
    struct bytes_view line, part;
    return take_line(reading, &line, word) && take_part(&line, bytes, &part) && line.size == 0 &&
           block_header_decode(out, part);
}

/* Epochs, the two blocks, and those up to the one that was voted on. */
static bool take_blocks(struct reading *reading)
{
    struct digest *out = reading->out;
    struct bytes_view line, part;
    uint8_t bytes[PART_BYTES_MAX];
    const char *problem = NULL;
    while (problem == NULL && take_line(reading, &line, "epoch ")) {
        problem = take_epoch(&reading->walk, line);
    }
    if (problem != NULL) {
        return refuse(reading, problem);
    }
    if (!take_header(reading, &out->last, "last ") || !take_header(reading, &out->next, "next ")) {
        return refuse(reading,
                      "the header of the day's last block or of the next one is malformed");
    }
    block_header_encode(bytes, &out->next);
    problem =
        trust_walk_header(&reading->walk, &out->next, bytes_view_of(bytes, BLOCK_HEADER_SIZE));
    reading->certified = out->next;
    for (unsigned i = 0; problem == NULL && reading->rest.size > 0; i++) {
        bool good = i < LIMIT_VIEW_WINDOW && take_line(reading, &line, "then ") &&
                    take_part(&line, bytes, &part) && line.size == 0;
        problem = good ? trust_walk_descend(&reading->certified, part)
                       : "a line of the text is malformed or not where it belongs";
    }
    return problem == NULL || refuse(reading, problem);
}

/* The index of the validator that a signature line names, at or behind `from`; set->count if none. */
static uint32_t find_validator(const struct validator_set *set, uint32_t from,
                               const struct note_signature *signature)
{
    for (; from < set->count; from++) {
        uint8_t id[NOTE_KEY_ID_SIZE];
        char name[NAME_SIZE + 1];
        vote_key_id(id, name, &set->validators[from]);
        if (memcmp(id, signature->key_id, sizeof id) == 0 &&
            bytes_view_equal(signature->name, bytes_view_of(name, strlen(name)))) {
            break;
        }
    }
    return from;
}

/* The first signature lines are votes; *next is the first that is none. */
static bool check_votes(struct reading *reading, uint32_t *next)
{
    const struct validator_set *set = &reading->walk.current.set;
    struct certificate certificate = {
        .kind = VOTE_FINALIZE, .epoch = reading->certified.epoch, .view = reading->certified.view};
    block_header_id(&certificate.block_id, &reading->certified);
    uint32_t from = 0;
    for (*next = 0; *next < reading->note.count; (*next)++) {
        const struct note_signature *signature = &reading->note.signatures[*next];
        uint32_t index = find_validator(set, from, signature);
        if (index == set->count) {
            break;
        }
        if (signature->size != SIGNATURE_SIZE) {
            return refuse(reading, "a validator's signature has the wrong size");
        }
        struct certificate_entry *entry = &certificate.entries[certificate.count++];
        entry->signer = (uint8_t)index;
        memcpy(entry->signature.bytes, signature->bytes, SIGNATURE_SIZE);
        from = index + 1;
    }
    const char *problem = trust_walk_final(&reading->walk, &reading->certified, &certificate);
    reading->out->validators = certificate.count;
    return problem == NULL ||
           refuse(reading, "the note is not signed by a quorum of the validators of its epoch");
}

static bool check_cosignatures(struct reading *reading, const struct digest_rules *rules,
                               uint32_t next)
{
    struct digest *out = reading->out;
    for (; next < reading->note.count; next++) {
        const struct note_signature *signature = &reading->note.signatures[next];
        uint32_t i = 0;
        while (i < rules->witness_count && !note_is_by(signature, &rules->witnesses[i])) {
            i++;
        }
        if (i == rules->witness_count) {
            out->unknown++;
            if (!rules->allow_unknown) {
                return refuse(reading, "a signature is by a key that is not known here");
            }
            continue;
        }
        uint64_t time_s;
        if (!note_cosignature_verify(signature, &time_s, &rules->witnesses[i],
                                     reading->note.text)) {
            return refuse(reading, "a witness's signature is not valid");
        }
        out->cosignatures++;
        out->time_s = time_s > out->time_s ? time_s : out->time_s;
    }
    return true;
}

/* Two blocks on the chain, one after the other, with midnight between them. */
static bool check_day(struct reading *reading)
{
    struct digest *out = reading->out;
    block_header_id(&out->last_id, &out->last);
    out->day = digest_day_of(out->last.time);
    if (!hash_equal(&out->last_id, &out->next.parent_id) ||
        out->last.height + 1 != out->next.height) {
        return refuse(reading, "the day's last block is not the parent of the next one");
    }
    if (out->day < 0 || out->day > DIGEST_DAY_MAX || digest_day_of(out->next.time) <= out->day) {
        return refuse(reading, "there is no midnight between the two blocks");
    }
    const char *problem = trust_walk_on_chain(&reading->walk, &out->next, &out->last);
    return problem == NULL || refuse(reading, problem);
}

static bool check_head(struct reading *reading, const struct proof_trust *trust)
{
    struct digest *out = reading->out;
    uint8_t bytes[DIGEST_ORIGIN_SIZE + 128];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    digest_write_head(&writer, trust, &out->last, &out->next);
    MUST(!writer.failed);
    if (reading->note.text.size < writer.size ||
        memcmp(reading->note.text.data, bytes, writer.size) != 0) {
        return refuse(reading, "origin, size, root or day is not that of the signed blocks");
    }
    out->size = out->next.height;
    out->root = out->next.log_root;
    out->text = reading->note.text;
    digest_date_text(out->date, out->day);
    return true;
}

bool digest_verify(struct digest *out, const struct proof_trust *trust,
                   const struct digest_rules *rules, const char *text, size_t size,
                   char problem[DIGEST_PROBLEM_SIZE])
{
    struct reading reading = {.out = out, .problem = problem};
    struct bytes_view line;
    uint32_t next;
    memset(out, 0, sizeof *out);
    const char *why = note_parse(&reading.note, text, size);
    if (why != NULL) {
        return refuse(&reading, why);
    }
    trust_walk_begin(&reading.walk, trust);
    reading.rest = reading.note.text;
    for (int i = 0; i < 4; i++) {
        if (!note_line(&line, &reading.rest)) {
            return refuse(&reading, "origin, size, root and day are not there");
        }
    }
    return take_blocks(&reading) && check_votes(&reading, &next) && check_day(&reading) &&
           check_head(&reading, trust) && check_cosignatures(&reading, rules, next);
}
