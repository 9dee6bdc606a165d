/* A reader of canonical OER that takes its octets in slices of any size (twin of uptane/codec/oer_types.py,
 * oer_primitives.py and oer_lists.py).
 *
 * It holds no octets: what object.c wants to see is handed on as it comes. Strict, bounded, and linear in its input;
 * the stack's depth is the schema's.
 */
#ifndef FW_OER_H
#define FW_OER_H

#include "fw.h"
#include "fw_codes.h"

/* What nests deepest: Envelope, payload, Targets, delegations, Delegations, a list, Delegation, roles, DelegatedRole,
 * KeyIds; tests/firmware/test_codec.py holds the schema to it. */
#define FW_OER_DEPTH 10u

/* Where a fault may lie without touching what is around it: Python reads these one after another, and says so. */
typedef enum { FW_IN_ENVELOPE, FW_IN_PAYLOAD, FW_IN_LIST, FW_IN_ENTRY, FW_PARTS, FW_IN_ABOVE = FW_PARTS } fw_part;

typedef struct {
    uint8_t kind;     /* a part of a SEQUENCE is next, an element of a list, or the end of a container */
    uint8_t node;     /* the next part; the element; the part of the message that a container is (fw_part) */
    uint8_t left;     /* how many parts or elements are to come */
    uint8_t preamble; /* bits of the optional parts to come, the next one on top */
    uint32_t stop;    /* where what is around a container stops */
} fw_oer_frame;

typedef struct {
    uint32_t at, stop; /* octets read; where the innermost container stops */
    uint32_t left;     /* octets to come of what is read now */
    uint32_t done;     /* octets that came of it */
    uint64_t value;    /* of an integer, as far as it came */
    uint8_t step, node, depth;
    uint8_t before;           /* the octet before, in a name */
    fw_check fault[FW_PARTS]; /* the first fault of each part */
    fw_oer_frame frames[FW_OER_DEPTH];
} fw_oer;

typedef struct fw_object fw_object;

void fw_oer_start(fw_object *object, uint32_t size);
void fw_oer_read(fw_object *object, const uint8_t *octets, uint32_t length);
/* No more comes: what is not whole is malformed. */
void fw_oer_end(fw_object *object);

/* --------------------------------------------------------------------- asked and told by the reader (object_rows.c) */

/* An integer was read, a choice made, a part begun; of a container, `value` is the length. False: malformed. */
bool fw_seen_value(fw_object *object, uint8_t field, uint64_t value);
/* A string was read: object->text holds it, unless it is longer; then, if it is a Root's, its SHA-256. False:
 * malformed.
 */
bool fw_seen_text(fw_object *object, uint8_t field, uint32_t length);

/* A list begins; how long a name in it is at most, and how many octets stand at least behind it. */
void fw_seen_list(fw_object *object, uint8_t field, uint8_t *name_max, uint8_t *rest_min);
/* A name in a list was read, behind an entry's preamble: FW_OK, or why it may not stand here. `*mine`: it is this ECU's
 * entry. */
fw_check fw_seen_name(fw_object *object, uint8_t preamble, uint8_t length, bool *mine);

#endif
