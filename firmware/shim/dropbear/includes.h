/* What dropbear's curve25519.c includes first: what of it is wanted (Ed25519, and that it verifies), and SHA-512, which
 * crypto_small.c carries to the hash of the core. */
#ifndef FW_SHIM_DROPBEAR_INCLUDES_H
#define FW_SHIM_DROPBEAR_INCLUDES_H

#include "fw_crypto.h"

#define DROPBEAR_CURVE25519 0
#define DROPBEAR_ED25519 1
#define DROPBEAR_SIGNKEY_VERIFY 1

typedef fw_sha512 hash_state;

static inline void sha512_init(hash_state *hash)
{
    fw_sha512_start(hash);
}

static inline int sha512_process(hash_state *hash, const unsigned char *octets, unsigned long length)
{
    fw_sha512_add(hash, octets, length);
    return 0;
}

static inline int sha512_done(hash_state *hash, unsigned char *digest)
{
    fw_sha512_end(hash, digest);
    return 0;
}

#endif
