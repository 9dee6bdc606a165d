/* Any octets where the facts of an ECU should be: taken or refused, never believed further than they go. */
#include "fuzz.h"

#include <stdlib.h>

#include "facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fw_facts facts;
    uint8_t *octets = malloc(size == 0 ? 1 : size); /* exactly as long, so that reads behind it are seen */
    if (octets == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(octets, data, size);
    }
    if (fw_read_facts(&facts, octets, (uint32_t)size)) {
        if (facts.root < octets || facts.root + facts.root_length > octets + size) {
            fuzz_found("the Root of these facts lies outside of them");
        }
        if (facts.vehicle.length == 0 || facts.vehicle.length > FW_NAME_MAX || facts.accepts.length > FW_FILENAME_MAX) {
            fuzz_found("a name that is longer than its room");
        }
    }
    free(octets);
    return 0;
}
