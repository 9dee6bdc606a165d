/* Whose signatures count (twin of uptane/verify/threshold.py): distinct keys over the very octets, then the payload. */
#ifndef FW_THRESHOLD_H
#define FW_THRESHOLD_H

#include "object.h"
#include "store.h"
#include "trusted.h"

/* The keys of one role. `keys` lie in a scratch area, or, if it is NULL, in the record of the trusted Root. `only`, if
 * it is there, is the one key that may speak, whatever id it goes by: for keys that are named without one. */
typedef struct {
    const fw_root_key *keys;
    uint16_t mask, threshold; /* mask 0: the Root does not name the role */
    const fw_key *only;
} fw_authority;

fw_authority fw_authority_of(const fw_root *root, fw_role role); /* of a Root in a scratch area */
fw_authority fw_trusted_authority(const fw *ecu, fw_role role);  /* of the trusted Root */
void fw_authority_key(const fw *ecu, const fw_authority *authority, uint8_t number, fw_root_key *key);

/* The signatures of a record, as they stood in the envelope: behind the Targets they are of. */
bool fw_read_signature(const fw *ecu, fw_record record, uint8_t number, fw_signature *signature);

/* Whether enough keys signed a payload; the signatures are the object's, or, with a record's name, `count` of that. */
#define FW_OF_OBJECT FW_RECORDS
bool fw_signed_enough(
    fw *ecu, const fw_authority *authority, fw_record record, uint8_t count, const uint8_t sha512[FW_SHA512_LENGTH]);
bool fw_object_signed(fw *ecu, const fw_authority *authority);

/* Take an object for verification: it is not held any more then. LINK_SEQUENCE when it was not delivered. */
fw_check fw_object_take(fw *ecu, uint8_t kind);

/* The envelope alone: ENCODING, or LENGTH when it has more signatures than there is room for. */
fw_check fw_check_envelope(const fw_object *object);

/* Envelope, signatures, encoding, kind and level of the object, in that order; `unsigned_check` when too few signed.
 * Without `authority` the signatures are the caller's to check. */
fw_check fw_accept_object(fw *ecu, const fw_authority *authority, fw_payload payload, fw_check unsigned_check);

/* Feed the watchdog, let time move on and say "pending" when it is due. */
void fw_breathe(fw *ecu);

#endif
