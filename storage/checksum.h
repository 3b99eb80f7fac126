/* The 64-bit checksum of everything on disk: CRC-64/XZ (ECMA-182 polynomial, reflected, all ones
 * before and after). It finds what disks do (any flipped bits within 64 in a row, any odd number
 * elsewhere in practice); it is no defence against a person, who is met by hashes and signatures.
 */
#ifndef FLEX_STORAGE_CHECKSUM_H
#define FLEX_STORAGE_CHECKSUM_H

#include "base/bytes.h"

enum { CHECKSUM_SIZE = 8 };

/* Running form: checksum_begin, feed the parts, close with checksum_end. */
uint64_t checksum_begin(void);
uint64_t checksum_update(uint64_t state, const void *data, size_t size);
uint64_t checksum_end(uint64_t state);
/* Of a key's size and bytes, then the value: a record that landed in another's place fails too. */
uint64_t checksum_record(struct bytes_view key, struct bytes_view value);
void checksum_write(uint8_t out[CHECKSUM_SIZE], uint64_t checksum);
uint64_t checksum_read(const uint8_t in[CHECKSUM_SIZE]);

#endif
