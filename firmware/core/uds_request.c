/* UDS requests as octets, strict and bounded (twin of uptane/link/uds.py). */
#include "uds_request.h"

#define QUIET 0x80u

/* Behind the echo: P2 of 50 ms and P2* of 500 times 10 ms; a routine's 00, completed, is the first of them; and the
 * longest block we take. */
const uint8_t fw_answers[] = {0x00, 0x32, 0x01, 0xF4, 0x20, FW_BLOCK_MAX >> 8, FW_BLOCK_MAX & 0xFF};

static const fw_service services[] = {
    {FW_SESSION, 2, 2, 0x0E, true, 0, 4},
    {FW_RESET, 2, 2, 0x02, false, 0, 0},
    {FW_READ, 3, 3, 0, true, 0, 0},
    {FW_COMMUNICATION, 3, 2, 0x0F, true, 0, 0},
    {FW_ROUTINE, FW_ANY, 4, 0x02, false, 0, 1},
    {FW_DOWNLOAD, 11, 1, 0, false, 4, 3},
    {FW_TRANSFER, FW_ANY, 2, 0, false, 0, 0},
    {FW_EXIT, 1, 1, 0, false, 0, 0},
    {FW_PRESENT, 2, 2, 0x01, true, 0, 0},
    {FW_DTC, 2, 2, 0x06, true, 0, 0},
};

static fw_nrc read_routine(const fw_request *request)
{
    uint16_t length = 4;
    if (request->length < 4) {
        return FW_NRC_LENGTH;
    }
    switch (fw_u16(request->octets + 2)) {
    case FW_ROUTINE_CHECK:
        length = 5;
        break;
    case FW_ROUTINE_PRECONDITIONS:
    case FW_ROUTINE_ERASE:
    case FW_ROUTINE_DEPENDENCIES:
        break;
    default:
        return FW_NRC_RANGE;
    }
    return request->length == length ? FW_DONE : FW_NRC_LENGTH;
}

/* The services whose content has a format of its own. */
static fw_nrc read_content(const fw_request *request)
{
    const uint8_t *octets = request->octets;
    bool is_known = true;
    switch (octets[0]) {
    case FW_ROUTINE:
        return read_routine(request);
    case FW_TRANSFER:
        return request->length > 2 ? FW_DONE : FW_NRC_LENGTH;
    case FW_COMMUNICATION: /* normal messages, network management, both; our own network only */
        is_known = octets[2] >= 1 && octets[2] <= 3;
        break;
    case FW_DOWNLOAD: /* neither compressed nor encrypted; four octets each for address and size */
        is_known = octets[1] == 0x00 && octets[2] == 0x44 && fw_u32(octets + 7) != 0;
        break;
    default:
        break;
    }
    return is_known ? FW_DONE : FW_NRC_RANGE;
}

fw_nrc fw_read_request(fw_request *request, const uint8_t *octets, uint16_t length)
{
    const fw_service *service = services;
    request->octets = octets;
    request->length = length;
    request->quiet = false;
    while (service->service != octets[0]) {
        if (++service == services + sizeof services / sizeof services[0]) {
            return FW_NRC_SERVICE;
        }
    }
    request->service = service;
    if (service->functions != 0) {
        if (length < 2) {
            return FW_NRC_LENGTH;
        }
        request->function = (uint8_t)(octets[1] & ~QUIET);
        request->quiet = octets[1] & QUIET;
        if (request->function > 3 || !(service->functions >> request->function & 1)) {
            return FW_NRC_SUBFUNCTION;
        }
    }
    if (service->length != FW_ANY && length != service->length) {
        return FW_NRC_LENGTH;
    }
    return read_content(request);
}
