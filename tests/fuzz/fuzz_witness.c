/* The delivery witness (contracts/delivery.h): the one record of many levels that any participant
 * may send, so it has a target of its own. */
#include "contracts/delivery.h"
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_record_bytes(&delivery_witness_record, bytes_view_of(data, size));
    return 0;
}
