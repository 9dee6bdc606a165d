/* Any octets delivered as an object, in any pieces, and verified; many objects one after the other, the clock going on.
 *
 * An input is: the kind (1 octet), the length of its pieces (1), how many octets follow (2, big-endian), and these.
 */
#include "fuzz.h"

static const uint8_t KINDS[] = {FW_OBJECT_ROOT, FW_OBJECT_TARGETS, FW_OBJECT_ATTESTATION, FW_OBJECT_ORDER};

static void do_task(fw_port *port, const fw_task *task)
{
    (void)fw_do(fw_host_ecu(port), task);
}

static void deliver(fw_port *port, fuzz_input *input)
{
    uint8_t kind = KINDS[fuzz_octet(input) % sizeof KINDS], piece = fuzz_octet(input);
    uint32_t length = (uint32_t)fuzz_octet(input) << 8;
    length |= fuzz_octet(input);
    const uint8_t *octets = fuzz_octets(input, length, &length);
    if (length == 0) {
        return;
    }
    do_task(port, &(fw_task){.kind = FW_BEGIN_OBJECT, .option = kind, .size = length});
    for (uint32_t at = 0; at < length;) {
        uint32_t part = length - at < piece + 1u ? length - at : piece + 1u;
        do_task(port, &(fw_task){.kind = FW_WRITE_BLOCK, .octets = octets + at, .length = (uint16_t)part});
        at += part;
    }
    do_task(port, &(fw_task){.kind = FW_END_TRANSFER});
    do_task(port, &(fw_task){.kind = FW_VERIFY, .option = kind});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    fw_port *port = fuzz_board();
    if (fw_host_power_up(port, 0) != FW_UP) {
        fuzz_found("a new ECU does not boot");
    }
    while (input.left > 0) {
        deliver(port, &input);
    }
    if (fw_host_abuses(port) != 0) {
        fuzz_found("the rules of the flash are broken");
    }
    if (fw_host_power_up(port, 0) != FW_UP) {
        fuzz_found("what was stored does not boot");
    }
    return 0;
}
