/* What is held of an object while it comes, and until it is verified. Nothing outside trusted.c's files reads it. */
#ifndef FW_OBJECT_SCRATCH_H
#define FW_OBJECT_SCRATCH_H

#include "oer.h"
#include "trusted.h"

typedef struct {
    uint8_t key_id[FW_KEY_ID_LENGTH];
    uint16_t length; /* longer than FW_SIGNATURE_MAX: of a scheme unknown here; its octets are not held */
    uint8_t octets[FW_SIGNATURE_MAX];
} fw_signature;

/* The longest string that is looked at; of a longer key in a Root, the SHA-256. */
#if FW_SIGNATURE_MAX > FW_FILENAME_MAX
#define FW_TEXT_MAX FW_SIGNATURE_MAX
#else
#define FW_TEXT_MAX FW_FILENAME_MAX
#endif

/* The scratch area of Targets: what would be held, and what its own entry says beyond that. */
typedef struct {
    fw_targets made;
    bool delegates, encrypted, fits; /* fits: made for this ECU's hardware */
    bool was_ours;                   /* the entry that was read last */
    fw_sha256 entries_hash, entry_hash;
    union {
        fw_filename name;    /* of the entry before */
        fw_name hardware[2]; /* within this ECU's entry, whose name is known: the first one, and the one before */
    } last;
} fw_targets_scratch;

typedef struct {
    fw_root made;
    bool unsound, too_many; /* a key or role is missing, doubled or unmet; more keys than there is room for */
    uint8_t role;           /* the one that is read now */
    fw_sha256 key_hash;     /* of a key that is longer than those this build knows */
} fw_root_scratch;

typedef struct {
    uint64_t time;
    uint8_t nonce[FW_NONCE_LENGTH];
} fw_attestation_scratch;

typedef struct {
    uint32_t targets_version;
    uint8_t bundle[FW_BUNDLE_LENGTH];
    uint8_t phase;
} fw_order_scratch;

typedef enum { FW_NOTHING, FW_COMING, FW_WHOLE } fw_delivery;

/* Kinds of payload, as the schema numbers them; those that no ECU takes have no name here. */
typedef enum {
    FW_PAYLOAD_ROOT,
    FW_PAYLOAD_SNAPSHOT = 2,
    FW_PAYLOAD_TARGETS,
    FW_PAYLOAD_ATTESTATION = 6,
    FW_PAYLOAD_ORDER,
    FW_PAYLOADS
} fw_payload;

typedef enum { FW_SPEAKS_FLEET, FW_SPEAKS_IMAGE, FW_SPEAKS_VEHICLE, FW_SPEAKS_DELEGATE } fw_speaker;

typedef struct {
    uint32_t start, length;
} fw_span;

struct fw_object {
    const fw_facts *facts;
    uint8_t kind, delivery;
    fw_oer reader;
    uint8_t text[FW_TEXT_MAX]; /* the string that is read now */

    fw_span payload, entries, entry; /* where they lie in the object; length 0: not there */
    union {
        fw_sha512 running;
        uint8_t digest[FW_SHA512_LENGTH]; /* once the object is whole */
    } sha512;                             /* of the payload */

    uint8_t tag; /* fw_payload */
    uint8_t level, speaker;
    uint8_t scheme, key_id[FW_KEY_ID_LENGTH]; /* of the key or signature that is read now */
    bool own_vehicle;
    uint32_t version;
    uint64_t expires, issued;
    union {
        fw_root_scratch root;
        fw_targets_scratch targets;
        fw_attestation_scratch attestation;
        fw_order_scratch order;
    } of;

    uint8_t signature_count; /* of the envelope; more than FW_SIGNATURES_MAX: only the first are held, none count */
    fw_signature signatures[FW_SIGNATURES_MAX];
};

#endif
