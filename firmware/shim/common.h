/* What the hashes of Mbed TLS expect of the rest of it, when they are taken alone: which of them are wanted, small
 * rather than fast, and how numbers lie in octets.
 */
#ifndef FW_SHIM_COMMON_H
#define FW_SHIM_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_SHA512_C
#define MBEDTLS_SHA512_SMALLER

#define MBEDTLS_ERR_ERROR_CORRUPTION_DETECTED (-1)
#define MBEDTLS_ERR_ERROR_GENERIC_ERROR (-1)
#define MBEDTLS_ERR_SHA256_BAD_INPUT_DATA (-1)
#define MBEDTLS_ERR_SHA512_BAD_INPUT_DATA (-1)

static inline uint32_t fw_shim_get32(const uint8_t *octets)
{
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

static inline void fw_shim_put32(uint8_t *octets, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        octets[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

static inline void fw_shim_put64(uint8_t *octets, uint64_t number)
{
    fw_shim_put32(octets, (uint32_t)(number >> 32));
    fw_shim_put32(octets + 4, (uint32_t)number);
}

#define MBEDTLS_GET_UINT32_BE(octets, at) fw_shim_get32((octets) + (at))
#define MBEDTLS_GET_UINT64_BE(octets, at)                                                                              \
    ((uint64_t)fw_shim_get32((octets) + (at)) << 32 | fw_shim_get32((octets) + (at) + 4))
#define MBEDTLS_PUT_UINT32_BE(number, octets, at) fw_shim_put32((octets) + (at), (number))
#define MBEDTLS_PUT_UINT64_BE(number, octets, at) fw_shim_put64((octets) + (at), (number))

#endif
