/* Ed25519 by Monocypher, which is fast (twin of uptane/crypto.py); crypto_small.c is the other choice. */
#include "crypto_schemes.h"

#if !defined(FW_CRYPTO_SMALL)

#include <monocypher.h>

typedef struct {
    crypto_sign_ctx_abstract context; /* first: the library hands its address to the functions below */
    fw_sha512 hash;
} ed25519_context;

static void sha512_of(uint8_t digest[64], const uint8_t *octets, size_t length)
{
    fw_sha512 hash;
    fw_sha512_start(&hash);
    fw_sha512_add(&hash, octets, length);
    fw_sha512_end(&hash, digest);
    crypto_wipe(&hash, sizeof hash);
}

static void context_start(void *context)
{
    fw_sha512_start(&((ed25519_context *)context)->hash);
}

static void context_add(void *context, const uint8_t *octets, size_t length)
{
    fw_sha512_add(&((ed25519_context *)context)->hash, octets, length);
}

static void context_end(void *context, uint8_t digest[64])
{
    fw_sha512_end(&((ed25519_context *)context)->hash, digest);
}

static const crypto_sign_vtable with_sha512 = {
    sha512_of, context_start, context_add, context_end, sizeof(ed25519_context)};

/* Not made part of their callers, so that theirs are not the larger frames under all that is called here. */
#define APART __attribute__((noinline))

APART bool
fw_ed25519_signed(const uint8_t key[32], const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t signature[64])
{
    if (!fw_is_ed25519_key(key)) {
        return false;
    }
    ed25519_context check;
    crypto_check_init_custom_hash(&check.context, signature, key, &with_sha512);
    crypto_check_update(&check.context, message, FW_MESSAGE_LENGTH);
    return crypto_check_final(&check.context) == 0;
}

APART void fw_sign(uint8_t signature[64], const fw_facts *facts, const uint8_t message[FW_MESSAGE_LENGTH])
{
    ed25519_context sign;
    crypto_sign_init_first_pass_custom_hash(&sign.context, facts->seed, facts->public_key, &with_sha512);
    crypto_sign_update(&sign.context, message, FW_MESSAGE_LENGTH);
    crypto_sign_init_second_pass(&sign.context);
    crypto_sign_update(&sign.context, message, FW_MESSAGE_LENGTH);
    crypto_sign_final(&sign.context, signature);
}

#else
typedef int fw_no_monocypher; /* a file has to hold something */
#endif
