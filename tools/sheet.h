/* Data sheets of devices: fields, the personal ones hashed (docs/spec/plans.md 3; feature 40; D2.3 4.2.5).
 *
 * A device's `address_hash` on the ledger is the hash of its sheet. A field can be taken out of a copy of the
 * sheet, which keeps the field's hash, so the copy has the same hash and says less.
 *
 *   flexsheet/1  {"format","device","fields":[{"name","personal","salt","value"} or
 *                                             {"name","personal","hash"}]}
 *
 * Functions that return int return an exit code, as those of session.h. */
#ifndef FLEX_TOOLS_SHEET_H
#define FLEX_TOOLS_SHEET_H

#include "crypto/hash.h"
#include "tools/cli.h"

enum {
    SHEET_FIELDS_MAX = 64,
    SHEET_FIELD_NAME_MAX = 64,
    SHEET_VALUE_MAX = 1024,
    SHEET_SALT_SIZE = 16
};

struct sheet_field {
    char name[SHEET_FIELD_NAME_MAX + 1]; /* lower-case letters, digits, '_' */
    bool personal;
    bool hidden; /* there is only its hash */
    char value[SHEET_VALUE_MAX + 1];
    uint8_t salt[SHEET_SALT_SIZE];
    struct hash hash;
};

/* Fields are in the order of their names, no two alike. */
struct sheet {
    struct name device;
    uint32_t count;
    struct sheet_field fields[SHEET_FIELDS_MAX];
};

/* Out of a CSV file with the columns name, personal (yes or no) and value; draws the salts. "bad_sheet" with
 * file and line. */
int sheet_from_csv(struct cli *cli, struct sheet *out, const struct name *device, const char *path);
/* "bad_sheet": not a sheet, or a field's hash is not that of its value. */
int sheet_read(struct cli *cli, struct sheet *out, const char *path);
/* Mode 0600; never replaces a file. */
int sheet_write(struct cli *cli, const struct sheet *sheet, const char *path);
void sheet_hash(struct hash *out, const struct sheet *sheet);
/* Of one field: what stands in a copy that leaves it out. */
void sheet_field_hash(struct hash *out, const struct sheet_field *field);
/* Takes out the fields that the comma-separated list names, or every personal one if it is NULL.
 * "bad_sheet" where it names one that is not there. */
int sheet_hide(struct cli *cli, struct sheet *sheet, const char *names_or_null);

/* `flex asset sheet` (tools/asset_sheet.c). */
struct asset_sheet {
    uint8_t what; /* index into asset_sheet_verbs */
    struct name device;
    const char *in;
    const char *out;
    const char *fields;
};
enum { ASSET_SHEET_VERBS = 4 };
extern const char *const asset_sheet_verbs[ASSET_SHEET_VERBS];
int asset_sheet_run(struct cli *cli, void *arguments);

#endif
