/* Exports of the chain (tools/audit_tiles.h): the blocks of a tile, written again, are the tile's
 * bytes up to where reading ended. */
#include <stdlib.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tools/audit_tiles.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct byte_reader reader;
    struct audit_block block;
    struct byte_writer writer;
    uint8_t *memory = malloc(size + 1);
    MUST(memory != NULL);
    byte_writer_init(&writer, memory, size + 1);
    byte_reader_init(&reader, data, size);
    while (audit_block_read(&block, &reader)) {
        byte_write_sized(&writer, block.header.data, block.header.size);
        byte_write_sized(&writer, block.body.data, block.body.size);
        byte_write_sized(&writer, block.certificate.data, block.certificate.size);
        MUST(!writer.failed && writer.size == reader.at);
        MUST(bytes_view_equal(bytes_view_of(memory, writer.size), bytes_view_of(data, reader.at)));
    }
    MUST(reader.failed || reader.at == size);
    free(memory);
    return 0;
}
