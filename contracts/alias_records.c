/* What an alias looks like in a transaction, in the state and in the file of whoever may open it, and what
 * is hashed of it (contracts/alias.h; docs/spec/privacy.md).
 *
 * 1. A commitment covers the alias's own name, so that an opening of one is none of another.
 * 2. The manager's signature covers the chain, so that a request for one chain is none for another.
 *
 * Deliberately absent: what an alias may be issued for (alias.c). */
#include "base/fatal.h"
#include "contracts/alias.h"

static const struct codec_field alias_issue_record_fields[] = {
    {.name = "id", .offset = offsetof(struct alias_issue, id), .type = CODEC_NAME},
    {.name = "manager", .offset = offsetof(struct alias_issue, manager), .type = CODEC_NAME},
    {.name = "market", .offset = offsetof(struct alias_issue, market), .type = CODEC_NAME},
    {.name = "from_ms", .offset = offsetof(struct alias_issue, from), .type = CODEC_I64},
    {.name = "until_ms", .offset = offsetof(struct alias_issue, until), .type = CODEC_I64},
    {.name = "device_type",
     .offset = offsetof(struct alias_issue, type),
     .type = CODEC_ENUM,
     .limit = 5,
     .names = device_type_names},
    {.name = "max_power_w", .offset = offsetof(struct alias_issue, max_power), .type = CODEC_I64},
    {.name = "capacity_wh", .offset = offsetof(struct alias_issue, capacity), .type = CODEC_I64},
    {.name = "connection_w", .offset = offsetof(struct alias_issue, connection), .type = CODEC_I64},
    {.name = "node", .offset = offsetof(struct alias_issue, node), .type = CODEC_NAME},
    {.name = "feeder", .offset = offsetof(struct alias_issue, feeder), .type = CODEC_NAME},
    {.name = "zone", .offset = offsetof(struct alias_issue, zone), .type = CODEC_NAME},
    {.name = "meter_key",
     .offset = offsetof(struct alias_issue, meter_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "submeter_key",
     .offset = offsetof(struct alias_issue, submeter_key),
     .type = CODEC_FIXED,
     .limit = PUBLIC_KEY_SIZE},
    {.name = "commitment",
     .offset = offsetof(struct alias_issue, commitment),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
const struct codec_record alias_issue_record = {
    .name = "alias_issue",
    .struct_size = sizeof(struct alias_issue),
    .fields = alias_issue_record_fields,
    .field_count = sizeof alias_issue_record_fields / sizeof alias_issue_record_fields[0],
};

static const struct codec_field alias_record_codec_fields[] = {
    {.name = "issuer", .offset = offsetof(struct alias_record, issuer), .type = CODEC_NAME},
    {.name = "manager", .offset = offsetof(struct alias_record, manager), .type = CODEC_NAME},
    {.name = "market", .offset = offsetof(struct alias_record, market), .type = CODEC_NAME},
    {.name = "from_ms", .offset = offsetof(struct alias_record, from), .type = CODEC_I64},
    {.name = "until_ms", .offset = offsetof(struct alias_record, until), .type = CODEC_I64},
    {.name = "commitment",
     .offset = offsetof(struct alias_record, commitment),
     .type = CODEC_FIXED,
     .limit = HASH_SIZE},
};
const struct codec_record alias_record_codec = {
    .name = "alias",
    .struct_size = sizeof(struct alias_record),
    .fields = alias_record_codec_fields,
    .field_count = sizeof alias_record_codec_fields / sizeof alias_record_codec_fields[0],
};

static const struct codec_field alias_opening_record_fields[] = {
    {.name = "issue",
     .offset = offsetof(struct alias_opening, issue),
     .type = CODEC_RECORD,
     .record = &alias_issue_record},
    {.name = "device", .offset = offsetof(struct alias_opening, device), .type = CODEC_NAME},
    {.name = "nonce",
     .offset = offsetof(struct alias_opening, nonce),
     .type = CODEC_FIXED,
     .limit = ALIAS_NONCE_SIZE},
    {.name = "signature",
     .offset = offsetof(struct alias_opening, signature),
     .type = CODEC_FIXED,
     .limit = SIGNATURE_SIZE},
};
const struct codec_record alias_opening_record = {
    .name = "alias_opening",
    .struct_size = sizeof(struct alias_opening),
    .fields = alias_opening_record_fields,
    .field_count = sizeof alias_opening_record_fields / sizeof alias_opening_record_fields[0],
};

void alias_commitment(struct hash *out, const uint8_t nonce[ALIAS_NONCE_SIZE],
                      const struct name *device, const struct name *alias)
{
    uint8_t bytes[ALIAS_NONCE_SIZE + 2 * NAME_SIZE];
    struct byte_writer writer;
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, nonce, ALIAS_NONCE_SIZE);
    byte_write_raw(&writer, device->text, NAME_SIZE);
    byte_write_raw(&writer, alias->text, NAME_SIZE);
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_ALIAS, bytes, writer.size);
}

void alias_request_message(struct hash *out, const struct hash *genesis,
                           const struct alias_opening *opening)
{
    uint8_t bytes[HASH_SIZE + NAME_SIZE + ALIAS_NONCE_SIZE + LIMIT_ACTION_BYTES];
    struct byte_writer writer;
    struct alias_issue issue = opening->issue;
    issue.meter_key = (struct public_key){{0}};
    issue.submeter_key = (struct public_key){{0}};
    byte_writer_init(&writer, bytes, sizeof bytes);
    byte_write_raw(&writer, genesis->bytes, HASH_SIZE);
    byte_write_raw(&writer, opening->device.text, NAME_SIZE);
    byte_write_raw(&writer, opening->nonce, ALIAS_NONCE_SIZE);
    codec_encode(&alias_issue_record, &issue, &writer);
    MUST(!writer.failed);
    hash_bytes(out, HASH_DOMAIN_ALIAS_REQUEST, bytes, writer.size);
}
