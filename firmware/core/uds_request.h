/* A request as it was asked (twin of uptane/link/uds_values.py). */
#ifndef FW_UDS_REQUEST_H
#define FW_UDS_REQUEST_H

#include "uds.h"

enum { /* services */
       FW_SESSION = 0x10,
       FW_RESET = 0x11,
       FW_READ = 0x22,
       FW_COMMUNICATION = 0x28,
       FW_ROUTINE = 0x31,
       FW_DOWNLOAD = 0x34,
       FW_TRANSFER = 0x36,
       FW_EXIT = 0x37,
       FW_PRESENT = 0x3E,
       FW_DTC = 0x85
};

enum {
    FW_ROUTINE_CHECK = 0x0202,
    FW_ROUTINE_PRECONDITIONS = 0x0203,
    FW_ROUTINE_ERASE = 0xFF00,
    FW_ROUTINE_DEPENDENCIES = 0xFF01
};

#define FW_DID_REPORT 0xFD01u

extern const uint8_t fw_answers[];

static inline uint16_t fw_u16(const uint8_t *octets)
{
    return (uint16_t)(octets[0] << 8 | octets[1]);
}

static inline uint32_t fw_u32(const uint8_t *octets)
{
    return (uint32_t)fw_u16(octets) << 16 | fw_u16(octets + 2);
}

/* Read a request. FW_DONE, or the code that the standard demands: 11, 12, 13 or 31, in this order. */
fw_nrc fw_read_request(fw_request *request, const uint8_t *octets, uint16_t length);

#endif
