/* Numbers as they stand in records and messages: big-endian. */
#ifndef FW_OCTETS_H
#define FW_OCTETS_H

#include <stdint.h>

static inline void fw_put_u32(uint8_t octets[4], uint32_t number)
{
    octets[0] = (uint8_t)(number >> 24);
    octets[1] = (uint8_t)(number >> 16);
    octets[2] = (uint8_t)(number >> 8);
    octets[3] = (uint8_t)number;
}

static inline uint32_t fw_get_u32(const uint8_t octets[4])
{
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

#endif
