/* What the Director has proved to this ECU, and the time (twin of uptane/verify/trusted.py, attested.py, stored.py).
 *
 * Root's keys stay in flash (record FW_RECORD_ROOT) and are read one by one; of Targets only what this ECU acts on is
 * held. Their signatures lie in the record beside it, so that a rotation is judged by the very signatures.
 */
#ifndef FW_TRUSTED_H
#define FW_TRUSTED_H

#include "fw.h"
#include "fw_codes.h"

/* Role of the schema. */
typedef enum { FW_ROLE_ROOT, FW_ROLE_TIMESTAMP, FW_ROLE_SNAPSHOT, FW_ROLE_TARGETS, FW_ROLE_TIME } fw_role;

#define FW_ROLES 7u          /* the schema's, two of them reserved */
#define FW_ROLES_REQUIRED 4u /* the first four of them must be named */

typedef struct {
    uint8_t key_id[FW_KEY_ID_LENGTH];
    fw_key key; /* one longer than this build holds: its SHA-256, which verifies nothing */
} fw_root_key;

/* A Root as it is held, in the scratch area and in its record, which ends behind the last key. */
typedef struct {
    uint64_t expires, issued;
    uint32_t version;
    uint8_t format, key_count;
    uint16_t time_keys; /* bit per key: those that attested the time, when this Root was stored */
    bool resets_time;   /* one of those was removed, and the record of the time does not know of it */
    struct {
        uint16_t keys; /* bit per key; 0: this role is not named */
        uint16_t threshold;
    } roles[FW_ROLES];
    fw_root_key keys[FW_ROOT_KEYS_MAX];
} fw_root;

typedef struct {
    fw_image image; /* filename, length, sha256, release counter */
    bool has_sha512;
    uint8_t sha512[FW_SHA512_LENGTH];
    uint8_t digest[FW_SHA256_LENGTH]; /* SHA-256 over the encoded Assignment: what a download is bound to */
} fw_entry;

typedef struct {
    uint8_t format, signature_count; /* its record is this, then the signatures as they stood in the envelope */
    bool present, has_entry;
    uint32_t version;
    uint64_t expires;
    uint8_t payload[FW_SHA512_LENGTH]; /* SHA-512 of the payload: the same version must be the same octets */
    uint8_t bundle[FW_BUNDLE_LENGTH];
    fw_key coordinator; /* scheme FW_NO_KEY: none */
    fw_entry entry;
} fw_targets;

/* What fw_drop_stale has to do; the files of trusted.c use it alone. */
enum { FW_STALE_PREVIOUS = 1, FW_STALE_TARGETS = 2, FW_STALE_TIME = 4 };

typedef struct {
    uint32_t root_version;
    uint64_t root_expires;
    uint8_t stale; /* FW_STALE_* */
    fw_targets targets;
    bool has_previous;            /* record FW_RECORD_PREVIOUS: the latest Targets with an entry for this ECU */
    uint32_t previous_counter;    /* its release counter */
    uint64_t time, previous_time; /* latest proven time, UTC seconds, and the one before */
    uint16_t time_keys;           /* those of the Root's keys under which it was attested */
    uint64_t clock_set;           /* instant at which `time` was right */
    bool attested;                /* an attestation was accepted since power-up */
} fw_held;

/* UTC seconds now: the latest proven time and what has passed since. */
uint64_t fw_utc(const fw *ecu);

/* Load what is durable, at power-up (state.load); provision FW_RECORD_ROOT from the facts if this ECU never had one.
 * False: no Root to start from. Files that no longer hold are deleted when `fw_drop_stale` is called, after boot; it is
 * false when the flash does not do as it is told, and is then asked again at the next power-up. */
bool fw_load_held(fw *ecu);
bool fw_drop_stale(fw *ecu);

/* Verify what ecu->object holds, store what is to be durable, then hold it (twins: secondary/delivered.py, verify/).
 * FW_OK, a check, or FW_STORAGE. LINK_SEQUENCE when no such object was delivered whole. */
fw_check fw_take_root(fw *ecu);        /* the caller follows (installation) */
fw_check fw_take_attestation(fw *ecu); /* the caller draws the next nonce */
fw_check fw_take_targets(fw *ecu);     /* the caller follows (installation) */

/* Verify an order for the present transaction (twin of verify/orders.py). */
fw_check fw_check_order(fw *ecu, uint8_t *phase);

/* Do the stored Targets still stand at fw_utc (twin of verify/recheck.py)? */
fw_check fw_recheck(const fw *ecu);

/* report.c. Encode and sign a report with `counter` into ecu->report.octets; its length (twin of codec/report_rows.py
 * and verify/signing.py). `said` gets a digest of what it says (see fw_report.said). */
uint16_t fw_sign_report(fw *ecu, uint32_t counter, uint8_t said[32]);
/* The same digest, without signing: has anything changed that is worth a report? */
void fw_digest_report(const fw *ecu, uint8_t said[32]);

#endif
