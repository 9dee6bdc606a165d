/* ML-DSA-44 (FIPS 204), verification only, for profile H (twin of uptane/crypto.py, _mldsa).
 *
 * Polynomials, their transforms, sampling and Keccak are PQClean's. Its own verification holds the whole matrix, 34
 * KB of stack; here a row is made, used and hashed before the next one, which takes 9 KB. The library's snapshot is
 * of the draft, and verification in it differs from the standard only in what is signed: FIPS 204 puts 0 and the
 * length of the context, which is 0, before the message.
 */
#if defined(FW_PROFILE_H)

#include <string.h>

#include "crypto_schemes.h"

#include <fips202.h>
#include <params.h>
#include <poly.h>

#define RING(name) PQCLEAN_DILITHIUM2_CLEAN_poly_##name
#define UNPACK(name) PQCLEAN_DILITHIUM2_CLEAN_poly##name##_unpack
#define HINTS (CTILDEBYTES + L * POLYZ_PACKEDBYTES) /* where in a signature */
#define LENT 2u

/* shim/pqclean/stdlib.h */
void *fw_shake_lend(size_t length);
void fw_shake_return(void *context);

/* The library asks for its contexts on a heap. One verification runs at a time; this is its only memory between
 * calls. */
static struct {
    uint64_t context[LENT][PQC_SHAKEINCCTX_BYTES / sizeof(uint64_t)];
    bool used[LENT];
} lent;

void *fw_shake_lend(size_t length)
{
    for (unsigned i = 0; i < LENT; i++) {
        if (!lent.used[i] && length <= sizeof lent.context[i]) {
            lent.used[i] = true;
            return lent.context[i];
        }
    }
    return NULL;
}

void fw_shake_return(void *context)
{
    for (unsigned i = 0; i < LENT; i++) {
        if (context == lent.context[i]) {
            lent.used[i] = false;
        }
    }
}

typedef struct {
    poly z[L], challenge, row, part, hint;
    shake256incctx hash;
    uint8_t octets[POLYW1_PACKEDBYTES];
    uint8_t mu[CRHBYTES];
} work;

/* mu = H(H(key) || 0 || 0 || message) */
static void hash_message(work *now, const uint8_t *key, const uint8_t message[FW_MESSAGE_LENGTH])
{
    static const uint8_t no_context[2] = {0, 0};
    shake256(now->mu, TRBYTES, key, PQCLEAN_DILITHIUM2_CLEAN_CRYPTO_PUBLICKEYBYTES);
    shake256_inc_init(&now->hash);
    shake256_inc_absorb(&now->hash, now->mu, TRBYTES);
    shake256_inc_absorb(&now->hash, no_context, sizeof no_context);
    shake256_inc_absorb(&now->hash, message, FW_MESSAGE_LENGTH);
    shake256_inc_finalize(&now->hash);
    shake256_inc_squeeze(now->mu, CRHBYTES, &now->hash);
    shake256_inc_ctx_release(&now->hash);
}

/* Are the hints in their one encoding: within bounds, ascending in each row, and zeros behind the last? */
static bool are_hints(const uint8_t hints[OMEGA + K])
{
    unsigned at = 0;
    for (unsigned row = 0; row < K; row++) {
        unsigned stop = hints[OMEGA + row];
        if (stop < at || stop > OMEGA) {
            return false;
        }
        for (unsigned i = at + 1; i < stop; i++) {
            if (hints[i] <= hints[i - 1]) {
                return false;
            }
        }
        at = stop;
    }
    while (at < OMEGA) {
        if (hints[at++] != 0) {
            return false;
        }
    }
    return true;
}

/* z of a signature, ready to be multiplied; false if it is too large for one. */
static bool take_z(work *now, const uint8_t *signature)
{
    for (unsigned i = 0; i < L; i++) {
        UNPACK(z)(&now->z[i], signature + CTILDEBYTES + i * POLYZ_PACKEDBYTES);
        if (RING(chknorm)(&now->z[i], GAMMA1 - BETA) != 0) {
            return false;
        }
        RING(ntt)(&now->z[i]);
    }
    return true;
}

/* One row of Az - ct, with its hints, as octets. */
static void make_row(work *now, unsigned row, const uint8_t *key, const uint8_t *hints)
{
    memset(&now->row, 0, sizeof now->row);
    for (unsigned i = 0; i < L; i++) {
        RING(uniform)(&now->part, key, (uint16_t)(row << 8 | i));
        RING(pointwise_montgomery)(&now->part, &now->part, &now->z[i]);
        RING(add)(&now->row, &now->row, &now->part);
    }
    RING(reduce)(&now->row);
    UNPACK(t1)(&now->part, key + SEEDBYTES + row * POLYT1_PACKEDBYTES);
    RING(shiftl)(&now->part);
    RING(ntt)(&now->part);
    RING(pointwise_montgomery)(&now->part, &now->challenge, &now->part);
    RING(sub)(&now->row, &now->row, &now->part);
    RING(reduce)(&now->row);
    RING(invntt_tomont)(&now->row);
    RING(caddq)(&now->row);
    memset(&now->hint, 0, sizeof now->hint);
    for (unsigned i = row == 0 ? 0 : hints[OMEGA + row - 1]; i < hints[OMEGA + row]; i++) {
        now->hint.coeffs[hints[i]] = 1;
    }
    RING(use_hint)(&now->row, &now->row, &now->hint);
    PQCLEAN_DILITHIUM2_CLEAN_polyw1_pack(now->octets, &now->row);
}

bool fw_mldsa44_signed(
    const uint8_t key[1312], const uint8_t message[FW_MESSAGE_LENGTH], const uint8_t signature[FW_MLDSA44_SIGNATURE])
{
    work now;
    const uint8_t *hints = signature + HINTS;
    if (!are_hints(hints) || !take_z(&now, signature)) {
        return false;
    }
    hash_message(&now, key, message);
    RING(challenge)(&now.challenge, signature);
    RING(ntt)(&now.challenge);
    shake256_inc_init(&now.hash);
    shake256_inc_absorb(&now.hash, now.mu, CRHBYTES);
    for (unsigned row = 0; row < K; row++) {
        make_row(&now, row, key, hints);
        shake256_inc_absorb(&now.hash, now.octets, POLYW1_PACKEDBYTES);
    }
    shake256_inc_finalize(&now.hash);
    shake256_inc_squeeze(now.octets, CTILDEBYTES, &now.hash);
    shake256_inc_ctx_release(&now.hash);
    return memcmp(now.octets, signature, CTILDEBYTES) == 0;
}

#else
typedef int fw_without_mldsa; /* a file of C is not empty */
#endif
