/* What validators say to each other (consensus/message.h; fault scenario 65): the first byte is the
 * message's type, as in a frame; what decodes encodes to the same frame. */
#include <stdlib.h>

#include "base/fatal.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/lib/consensus/message_again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *frame = malloc(size);
    MUST(frame != NULL);
    struct byte_writer writer;
    byte_writer_init(&writer, frame, size);
    if (message_again(data[0], bytes_view_of(data + 1, size - 1), &writer))
        MUST(!writer.failed &&
             bytes_view_equal(bytes_view_of(frame, writer.size), bytes_view_of(data, size)));
    free(frame);
    return 0;
}
