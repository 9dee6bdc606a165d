/* Nodes of the table that schema.c holds: how schema.h's numbers are meant (twin of uptane/codec/notation.py). */
#ifndef FW_SCHEMA_TYPES_H
#define FW_SCHEMA_TYPES_H

#include <stdint.h>

/* Kinds of nodes, and what may be said of one beside. */
enum {
    FW_NULL,
    FW_BOOLEAN,
    FW_UINT,
    FW_OCTETS,
    FW_CONTAINER,
    FW_ENTRIES,
    FW_ENTRY,
    FW_SEQUENCE_OF,
    FW_SEQUENCE,
    FW_CHOICE
};
#define FW_KIND_BITS 0x1Fu
#define FW_PREAMBLE 0x20u
#define FW_EXTENSIBLE 0x40u
#define FW_OPTIONAL 0x80u

enum { FW_ANY, FW_NAME, FW_PATTERN, FW_URL };

typedef struct {
    uint8_t kind, field;
    uint8_t a; /* octets of an integer, alphabet of a string, content of a container, first part, element */
    uint8_t b; /* number of a range; of a CHOICE the number of alternatives; of a SEQUENCE that of its optional parts
                * and, in the lower four bits, that of all */
} fw_node;

typedef struct {
    uint16_t low, high; /* 0: whatever fits into the message, or into the integer */
} fw_range;

extern const fw_node fw_nodes[];
extern const fw_range fw_ranges[];

#include "schema.h"

#endif
