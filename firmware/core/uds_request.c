/* UDS requests as octets, strict and bounded (twin of uptane/link/uds.py). */
#include "uds_request.h"

#define QUIET 0x80u
#define GROUPS 0x80u /* in `functions`: may be asked of a group */
#define FUNCTIONS 0x0Fu
#define ANY 0u /* length: judged by itself */

static const struct {
    uint8_t service, length, echo;
    uint8_t functions; /* a bit for each sub-function 0 to 3; none: the service has no sub-functions */
} services[] = {
    {FW_SESSION, 2, 2, 0x0E | GROUPS}, {FW_RESET, 2, 2, 0x02},
    {FW_READ, 3, 3, GROUPS},           {FW_COMMUNICATION, 3, 2, 0x0F | GROUPS},
    {FW_ROUTINE, ANY, 4, 0x02},        {FW_DOWNLOAD, 11, 1, 0},
    {FW_TRANSFER, ANY, 2, 0},          {FW_EXIT, 1, 1, 0},
    {FW_PRESENT, 2, 2, 0x01 | GROUPS}, {FW_DTC, 2, 2, 0x06 | GROUPS},
};

static fw_nrc read_routine(fw_request *request)
{
    if (request->length < 4) {
        return FW_NRC_LENGTH;
    }
    uint16_t routine = fw_u16(request->octets + 2), length = 4;
    switch (routine) {
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
    request->routine = routine;
    return request->length == length ? FW_DONE : FW_NRC_LENGTH;
}

/* The services whose content has a format of its own. */
static fw_nrc read_content(fw_request *request)
{
    const uint8_t *octets = request->octets;
    bool is_known = true;
    switch (request->service) {
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
    size_t row = 0;
    request->octets = octets;
    request->length = length;
    request->service = octets[0];
    request->quiet = false;
    while (services[row].service != octets[0]) {
        if (++row == sizeof services / sizeof services[0]) {
            return FW_NRC_SERVICE;
        }
    }
    request->echo = services[row].echo;
    request->is_for_groups = services[row].functions & GROUPS;
    if (services[row].functions & FUNCTIONS) {
        if (length < 2) {
            return FW_NRC_LENGTH;
        }
        request->function = (uint8_t)(octets[1] & ~QUIET);
        request->quiet = octets[1] & QUIET;
        if (request->function > 3 || !(services[row].functions >> request->function & 1)) {
            return FW_NRC_SUBFUNCTION;
        }
    }
    if (services[row].length != ANY && length != services[row].length) {
        return FW_NRC_LENGTH;
    }
    return read_content(request);
}
