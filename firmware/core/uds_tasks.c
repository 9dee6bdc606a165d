/* What the ECU is asked to carry out: checks, erasing, restarting, and transfers, whose block counters are judged here
 * (twin of uptane/link/uds_server.py, uds_objects.py). What a task means is the ECU's.
 */
#include "state.h"
#include "uds_parts.h"

#define OBJECTS 0xF0u /* first octet of the lowest address that is not the image's */
#define DELEGATED 0xF8u
#define DELEGATED_MAX 64u /* delegated Targets in one verification */

/* The longest of each object, from OBJECTS on, as a power of two; 0: there is none. Those this ECU has no use for too:
 * they are refused by the ECU, as any other is. */
static const uint8_t length_max_bits[] = {16, 14, 23, 18, 16, 14, 23, 26, 26, 0, 13, 13};

/* ----------------------------------------------------------------------------------------------------------- tasks */

static fw_nrc answer_check(fw *ecu, const fw_request *asked)
{
    uint8_t option = asked->octets[4];
    switch (option) {
    case 0x00:
    case 0xF0:
    case 0xF3:
    case 0xF4:
    case 0xFA:
    case 0xFB:
    case 0xFE:
        break;
    default:
        return FW_NRC_RANGE;
    }
    fw_nrc no = option == 0x00 ? fw_programming(ecu) : fw_delivering(ecu);
    if (no != FW_DONE) {
        return no;
    }
    if (ecu->server.transferring) {
        return fw_misuse(ecu, FW_NRC_SEQUENCE, FW_LINK_SEQUENCE);
    }
    return fw_carry_out(ecu, asked, &(fw_task){.kind = FW_VERIFY, .option = option});
}

fw_nrc fw_answer_routine(fw *ecu, const fw_request *asked)
{
    bool is_erase = asked->routine == FW_ROUTINE_ERASE;
    if (asked->routine == FW_ROUTINE_PRECONDITIONS) {
        return fw_safe(ecu);
    }
    if (asked->routine == FW_ROUTINE_CHECK) {
        return answer_check(ecu, asked);
    }
    fw_nrc no = is_erase ? fw_programming(ecu) : fw_delivering(ecu);
    if (no != FW_DONE) {
        return no;
    }
    if (is_erase) {
        ecu->server.transferring = false;
    }
    return fw_carry_out(ecu, asked, &(fw_task){.kind = is_erase ? FW_ERASE : FW_DEPENDENCIES});
}

/* ------------------------------------------------------------------------------------------------------- transfers */

/* Whether an object of `size` octets may lie at `address`, known to this ECU or not. */
static bool is_object(uint32_t address, uint32_t size)
{
    uint32_t object = (address >> 24) - OBJECTS, number = address >> 16 & 0xFF;
    if (object >= sizeof length_max_bits || (address & 0xFFFF) != 0 || size > 1u << length_max_bits[object]) {
        return false;
    }
    return length_max_bits[object] != 0 && number < (object == DELEGATED - OBJECTS ? DELEGATED_MAX : 1);
}

fw_nrc fw_answer_download(fw *ecu, const fw_request *asked)
{
    fw_server *server = &ecu->server;
    uint32_t address = fw_u32(asked->octets + 3), size = fw_u32(asked->octets + 7);
    bool is_image = address >> 24 < OBJECTS;
    fw_task task = {
        .kind = is_image ? FW_BEGIN_IMAGE : FW_BEGIN_OBJECT, .option = (uint8_t)(address >> 24), .size = size};
    task.offset = is_image ? address : 0;
    server->transferring = false;
    fw_nrc no = is_image ? fw_programming(ecu) : fw_delivering(ecu);
    if (no != FW_DONE) {
        return no;
    }
    if (!is_image && !is_object(address, size)) {
        return fw_misuse(ecu, FW_NRC_RANGE, FW_LINK_RANGE);
    }
    no = fw_carry_out(ecu, asked, &task);
    if (no == FW_DONE) {
        server->transferring = true;
        server->left = size;
        server->next_counter = 1;
        server->last_counter = -1;
    }
    return no;
}

fw_nrc fw_answer_block(fw *ecu, const fw_request *asked)
{
    fw_server *server = &ecu->server;
    uint8_t counter = asked->octets[1];
    fw_task task = {.kind = FW_WRITE_BLOCK, .octets = asked->octets + 2, .length = (uint16_t)(asked->length - 2)};
    if (!server->transferring) {
        return fw_misuse(ecu, FW_NRC_SEQUENCE, FW_LINK_SEQUENCE);
    }
    if (counter != server->last_counter) { /* else our acknowledgement was lost; the octets are written once */
        if (counter != server->next_counter) {
            return fw_misuse(ecu, FW_NRC_BLOCK_COUNTER, FW_LINK_SEQUENCE);
        }
        if (task.length > server->left) {
            return fw_misuse(ecu, FW_NRC_RANGE, FW_LINK_RANGE);
        }
        fw_nrc no = fw_carry_out(ecu, asked, &task);
        if (no != FW_DONE) {
            return no;
        }
        server->left -= task.length;
        server->last_counter = counter;
        server->next_counter = (uint8_t)(counter + 1);
    }
    return FW_DONE;
}

fw_nrc fw_answer_exit(fw *ecu, const fw_request *asked, bool again)
{
    fw_server *server = &ecu->server;
    if (!again) {
        if (!server->transferring || server->left != 0) {
            return fw_misuse(ecu, FW_NRC_SEQUENCE, FW_LINK_SEQUENCE);
        }
        fw_nrc no = fw_carry_out(ecu, asked, &(fw_task){.kind = FW_END_TRANSFER});
        if (no != FW_DONE) {
            return no;
        }
        server->transferring = false;
    }
    server->exited = true;
    return FW_DONE;
}
