/* What validators say to each other, decoded and encoded once more: unit tests and the fuzzer hold every
 * decoder to giving back exactly the bytes that it took. */
#ifndef FLEX_TESTS_MESSAGE_AGAIN_H
#define FLEX_TESTS_MESSAGE_AGAIN_H

#include "base/bytes.h"

/* Decodes a payload of that type (enum message_type) and writes what came out. False: refused, and nothing
 * is written. Not for several threads at once. */
bool message_again(uint8_t type, struct bytes_view payload, struct byte_writer *writer);

#endif
