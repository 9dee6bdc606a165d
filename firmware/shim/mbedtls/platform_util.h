/* What Mbed TLS wipes: hashes' contexts, which is not needed for what is public. Where a secret was hashed,
 * crypto.c wipes. */
#define mbedtls_platform_zeroize(octets, length) ((void)(octets), (void)(length))
