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

/* What there is to know of a service. */
typedef struct {
    uint8_t service;
    uint8_t length;    /* of a request; FW_ANY: judged by itself */
    uint8_t echo;      /* octets of the request that a positive answer begins with */
    uint8_t functions; /* a bit for each sub-function 0 to 3; none: it has no sub-functions */
    bool is_for_groups;
    uint8_t data, data_length; /* what follows the echo: where in `fw_answers` */
} fw_service;

#define FW_ANY 0u

typedef struct {
    const fw_service *service;
    const uint8_t *octets;
    uint16_t length;
    uint8_t peer;
    uint8_t function; /* of the services that have sub-functions, without the bit that asks for silence */
    bool quiet;       /* no positive answer is wanted */
} fw_request;

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
