/* The interface of library/sha256.c, of which the core uses three functions. */
#ifndef FW_SHIM_SHA256_H
#define FW_SHIM_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    unsigned char buffer[64];
    uint32_t total[2];
    uint32_t state[8];
} mbedtls_sha256_context;

int mbedtls_sha256_starts(mbedtls_sha256_context *context, int is224);
int mbedtls_sha256_update(mbedtls_sha256_context *context, const unsigned char *octets, size_t length);
int mbedtls_sha256_finish(mbedtls_sha256_context *context, unsigned char *digest);
int mbedtls_internal_sha256_process(mbedtls_sha256_context *context, const unsigned char block[64]);

#endif
