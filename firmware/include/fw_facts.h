/* What an ECU is, and by what it verifies and signs (twin of secondary/state.py, Facts). Never changes after
 * provisioning.
 *
 * Where the facts lie is the port's; their octets are read by fw_read_facts (port/facts.c) and written by
 * firmware/tools/facts.py.
 */
#ifndef FW_FACTS_H
#define FW_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fw_limits.h"

typedef struct {
    uint8_t length; /* 1 to 64 */
    char text[FW_NAME_MAX];
} fw_name;

typedef struct {
    uint8_t length; /* 1 to 128 */
    char text[FW_FILENAME_MAX];
} fw_filename;

/* An image as an ECU reports it (InstalledImage). */
typedef struct {
    fw_filename filename;
    uint32_t length;
    uint32_t release_counter;
    uint8_t sha256[FW_SHA256_LENGTH];
} fw_image;

/* PublicKey: `scheme` is the index of the schema's CHOICE (fw_scheme), FW_NO_KEY for none. */
typedef enum {
    FW_ED25519,
    FW_P256,
    FW_MLDSA44,
    FW_MLDSA65,
    FW_ED25519_MLDSA44,
    FW_ED25519_MLDSA65,
    FW_NO_KEY = 0xFF
} fw_scheme;

typedef struct {
    uint8_t scheme;
    uint8_t octets[FW_KEY_MAX];
} fw_key;

typedef struct {
    fw_name vehicle, ecu, hardware;
    fw_filename accepts;              /* pattern of the names it takes: `*`, `?`, or `**` for any */
    uint8_t address;                  /* 1 to 239 */
    bool fd;                          /* CAN FD with bit-rate switch */
    uint32_t slow_floor;              /* octets a second below which a delivery is slow retrieval; 0: never */
    uint64_t floor;                   /* UTC seconds of provisioning */
    uint8_t secret[FW_SECRET_LENGTH]; /* nobody else knows it; for nonces */
    uint8_t seed[32];                 /* this ECU's Ed25519 private key */
    uint8_t public_key[32];
    uint8_t key_id[FW_KEY_ID_LENGTH]; /* under which the Director knows it */
    fw_image factory;                 /* what slot 0 holds as it leaves the factory */
    const uint8_t *root;              /* envelope of the Director Root to start from, verified at the first boot */
    uint32_t root_length;
} fw_facts;

#endif
