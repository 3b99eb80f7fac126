/* What the two halves of the codec share; nobody else includes this. */
#ifndef FLEX_BASE_CODEC_INTERNAL_H
#define FLEX_BASE_CODEC_INTERNAL_H

#include "base/codec.h"
#include "base/name.h"

/* The member of a scalar field as an unsigned number; CODEC_I64 as its two's complement. */
uint64_t codec_scalar_get(enum codec_type type, const void *member);
/* The value must fit the type; it is cut to its width. */
void codec_scalar_set(enum codec_type type, void *member, uint64_t value);
/* UTF-8 in its shortest form, no surrogates, no C0 or C1 controls, no DEL. */
bool codec_text_is_legal(struct bytes_view text);
bool codec_name_is_legal(enum codec_type type, const struct name *name);
/* Where the struct `value` keeps the count of an array field. */
uint32_t *codec_array_count(const struct codec_field *field, const void *value);

#endif
