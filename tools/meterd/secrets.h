/* The secret of each device and day, from which its salts and the keys of its stored readings come
 * (market-rules 9, privacy: "a per-device-per-day secret that is never revealed").
 *
 *   DIR/YYYY..-EEEEE   the secrets of one day (number since 1970) for 4096 devices, 32 bytes each:
 *                      all 00 none yet, all ff erased for ever
 *
 * Kept beside the database, not in it: LMDB copies what it changes, and old copies stay in free pages.
 * Here a secret has one place for ever, and erasing overwrites it there. What an overwrite cannot reach
 * (copies that a file system, a flash disk or a backup made) is the operator's to rule out:
 * docs/meter-operator.md. NULL is never valid. */
#ifndef FLEX_TOOLS_METERD_SECRETS_H
#define FLEX_TOOLS_METERD_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

enum { METER_SECRET_BYTES = 32, METER_SECRETS_PER_FILE = 4096 };

enum secret_state { SECRET_ABSENT, SECRET_PRESENT, SECRET_ERASED, SECRET_FAULT };

struct meter_secrets;

/* The directory is made if it is not there. NULL with errno set. */
struct meter_secrets *meter_secrets_open(const char *directory);
void meter_secrets_close(struct meter_secrets *secrets);
/* SECRET_FAULT: errno says what the disk refused. Safe from several threads. */
enum secret_state meter_secret_read(struct meter_secrets *secrets, uint8_t out[METER_SECRET_BYTES],
                                    int64_t day, uint32_t device);
/* The same, and makes one where there is none. By one writer at a time. */
enum secret_state meter_secret_make(struct meter_secrets *secrets, uint8_t out[METER_SECRET_BYTES],
                                    int64_t day, uint32_t device);
/* What was made is on disk. Before anything that depends on it is committed. */
bool meter_secrets_sync(struct meter_secrets *secrets);
/* Overwritten in place and on disk; no secret is ever made for that device and day again. */
bool meter_secret_erase(struct meter_secrets *secrets, int64_t day, uint32_t device);

#endif
