/* The interface of library/sha512.c, of which the core uses three functions. */
#ifndef FW_SHIM_SHA512_H
#define FW_SHIM_SHA512_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    unsigned char buffer[128];
    uint64_t total[2];
    uint64_t state[8];
} mbedtls_sha512_context;

int mbedtls_sha512_starts(mbedtls_sha512_context *context, int is384);
int mbedtls_sha512_update(mbedtls_sha512_context *context, const unsigned char *octets, size_t length);
int mbedtls_sha512_finish(mbedtls_sha512_context *context, unsigned char *digest);
int mbedtls_internal_sha512_process(mbedtls_sha512_context *context, const unsigned char block[128]);

#endif
