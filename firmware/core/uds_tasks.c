/* What the ECU is asked to carry out: checks, erasing, restarting, and transfers, whose block counters are judged here
 * (twin of uptane/link/uds_server.py, uds_objects.py). What a task means is the ECU's.
 */
#include "state.h"
#include "uds_parts.h"

#define OBJECTS 0xF0u   /* first octet of the lowest address that is not the image's */
#define DELEGATED 0xF8u /* 64 of them, told apart by the second octet */

/* The longest of each object, from OBJECTS on: 1 << n >> 1. Those this ECU has no use for too: they are refused by the
 * ECU, as any other is. */
static const uint8_t length_max_bits[] = {17, 15, 24, 19, 17, 15, 24, 27, 27, 0, 14, 14};

fw_nrc fw_answer_routine(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    fw_server *server = &ecu->server;
    uint8_t option = asked->octets[asked->length - 1]; /* of a check, which is longer than the others */
    fw_task_kind kind = FW_DEPENDENCIES;
    switch (fw_u16(asked->octets + 2)) {
    case FW_ROUTINE_PRECONDITIONS:
        return fw_safe(ecu);
    case FW_ROUTINE_CHECK:
        kind = FW_VERIFY;
        if (option != 0 && (option < OBJECTS || (0x4C19u >> (option - OBJECTS) & 1) == 0)) { /* F0 F3 F4 FA FB FE */
            return FW_NRC_RANGE;
        }
        break;
    case FW_ROUTINE_ERASE:
        kind = FW_ERASE;
        break;
    default:
        break;
    }
    fw_nrc no = fw_may(ecu, kind == FW_ERASE || (kind == FW_VERIFY && option == 0));
    if (no != FW_DONE) {
        return no;
    }
    if (kind == FW_VERIFY && server->transferring) {
        return fw_misuse(ecu, FW_NRC_SEQUENCE, FW_LINK_SEQUENCE);
    }
    server->transferring &= kind != FW_ERASE;
    return fw_carry_out(ecu, kind);
}

/* ------------------------------------------------------------------------------------------------------- transfers */

/* Whether an object of `size` octets may lie at `address`, known to this ECU or not. */
static bool is_object(uint32_t address, uint32_t size)
{
    uint32_t object = (address >> 24) - OBJECTS, others = object == DELEGATED - OBJECTS ? 0xC0FFFF : 0xFFFFFF;
    return object < sizeof length_max_bits && size <= 1u << length_max_bits[object] >> 1 && (address & others) == 0;
}

fw_nrc fw_answer_download(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    fw_server *server = &ecu->server;
    uint32_t address = fw_u32(asked->octets + 3), size = fw_u32(asked->octets + 7);
    bool is_image = address >> 24 < OBJECTS;
    server->transferring = false;
    fw_nrc no = fw_may(ecu, is_image);
    if (no != FW_DONE) {
        return no;
    }
    if (!is_image && !is_object(address, size)) {
        return fw_misuse(ecu, FW_NRC_RANGE, FW_LINK_RANGE);
    }
    no = fw_carry_out(ecu, is_image ? FW_BEGIN_IMAGE : FW_BEGIN_OBJECT);
    server->transferring = no == FW_DONE;
    server->left = size;
    server->next_counter = 1;
    server->last_counter = -1;
    return no;
}

fw_nrc fw_answer_block(fw *ecu)
{
    const fw_request *asked = &ecu->server.asked;
    fw_server *server = &ecu->server;
    uint8_t counter = asked->octets[1];
    uint16_t length = (uint16_t)(asked->length - 2);
    if (!server->transferring) {
        return fw_misuse(ecu, FW_NRC_SEQUENCE, FW_LINK_SEQUENCE);
    }
    if (counter == server->last_counter) {
        return FW_DONE; /* our acknowledgement was lost; the octets are written once */
    }
    if (counter != server->next_counter) {
        return fw_misuse(ecu, FW_NRC_BLOCK_COUNTER, FW_LINK_SEQUENCE);
    }
    if (length > server->left) {
        return fw_misuse(ecu, FW_NRC_RANGE, FW_LINK_RANGE);
    }
    server->left -= length;
    server->last_counter = counter;
    server->next_counter = (uint8_t)(counter + 1);
    return fw_carry_out(ecu, FW_WRITE_BLOCK); /* refused, it ends the transfer */
}

fw_nrc fw_answer_exit(fw *ecu, bool again)
{
    fw_server *server = &ecu->server;
    fw_nrc no = FW_DONE;
    if (!again) {
        if (!server->transferring || server->left != 0) {
            return fw_misuse(ecu, FW_NRC_SEQUENCE, FW_LINK_SEQUENCE);
        }
        no = fw_carry_out(ecu, FW_END_TRANSFER);
        server->transferring = false;
    }
    server->exited = no == FW_DONE;
    return no;
}
