/* An object of metadata as it comes over the link: read in one pass, held in a scratch area, believed by nobody until
 * trusted.c has verified it (twin of secondary/objects.py and of uptane/codec).
 *
 * Signatures come before the payload and are kept; the payload is hashed and picked apart as it arrives. One object at
 * a time: beginning another forgets the one before. What is wrong with it is remembered, and said only when the object
 * is verified, in the order in which the Python core says it.
 */
#ifndef FW_OBJECT_H
#define FW_OBJECT_H

#include "fw.h"
#include "fw_codes.h"
#include "fw_crypto.h"

#define FW_OBJECT_ROOT 0xF0u
#define FW_OBJECT_TARGETS 0xF3u
#define FW_OBJECT_ATTESTATION 0xFAu
#define FW_OBJECT_ORDER 0xFBu

typedef struct fw_object fw_object; /* defined in object_scratch.h, owned by object.c */

/* Whether this ECU takes an object at this address octet, and at most how long (0: it does not). */
uint32_t fw_object_length_max(uint8_t object);

void fw_object_begin(fw_object *object, const fw_facts *facts, uint8_t kind, uint32_t size);
bool fw_object_is_coming(const fw_object *object);
void fw_object_add(fw_object *object, const uint8_t *octets, uint32_t length);
void fw_object_end(fw_object *object);
void fw_object_clear(fw_object *object);

#include "object_scratch.h"

#endif
