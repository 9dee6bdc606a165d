/* Whose signatures count (twin of uptane/verify/threshold.py): distinct keys over the very octets, then the payload. */
#ifndef FW_THRESHOLD_H
#define FW_THRESHOLD_H

#include "object.h"
#include "store.h"
#include "trusted.h"

/* The keys of one role. `keys` lie in a scratch area, or, if it is NULL, in the record of the trusted Root. */
typedef struct {
    const fw_root_key *keys;
    uint16_t mask, threshold; /* mask 0: the Root does not name the role */
} fw_authority;

fw_authority fw_authority_of(const fw_root *root, fw_role role); /* of a Root in a scratch area */
fw_authority fw_trusted_authority(const fw *ecu, fw_role role);  /* of the trusted Root */
void fw_authority_key(const fw *ecu, const fw_authority *authority, uint8_t number, fw_root_key *key);

/* Signatures, in the object's scratch area or, if `signatures` is NULL, in a record from `offset` on. */
typedef struct {
    const fw_signature *signatures;
    fw_record record;
    uint16_t offset;
    uint8_t count;
} fw_signatures;

bool fw_signed_enough(
    fw *ecu, const fw_authority *authority, const fw_signatures *from, const uint8_t payload_sha512[FW_SHA512_LENGTH]);

/* Whether `key` made one of the object's signatures: for keys that are named without an id. */
bool fw_object_signed_by(fw *ecu, const fw_key *key);

/* Take an object for verification: it is not held any more then. LINK_SEQUENCE when it was not delivered. */
fw_check fw_object_take(fw *ecu, uint8_t kind);

/* Envelope, signatures, encoding, kind and level of the object, in that order; `unsigned_check` when too few signed.
 * Without `authority` the signatures are the caller's to check. */
fw_check fw_accept_object(fw *ecu, const fw_authority *authority, fw_payload payload, fw_check unsigned_check);

/* Feed the watchdog, let time move on and say "pending" when it is due. */
void fw_breathe(fw *ecu);

#endif
