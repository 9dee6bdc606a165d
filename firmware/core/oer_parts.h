/* What oer.c and oer_values.c share, and nobody else uses. */
#ifndef FW_OER_PARTS_H
#define FW_OER_PARTS_H

#include "oer.h"
#include "schema_types.h"

/* Kinds of frames on the stack; those from IN_ENTRIES on are containers. */
enum { IN_PARTS, IN_EXTENDED_PARTS, IN_ELEMENTS, IN_ENTRIES, IN_CONTAINER };

enum {
    TO_DECIDE, /* nothing is being read: see what is on the stack */
    TO_VALUE,
    TO_TAG,
    TO_PREAMBLE,
    TO_COUNT,
    TO_LENGTH,
    TO_LONG_LENGTH,
    TO_BITMAP_LENGTH,
    TO_BITMAP,
    TO_HEAD,
    TO_LONG_HEAD,
    TO_STRING, /* from here on octets are not gathered */
    TO_NAME,
    TO_SKIP,
    TO_NOTHING /* the message is over, or nothing of it can be read */
};

static inline fw_oer_frame *fw_oer_top(fw_oer *reader)
{
    return &reader->frames[reader->depth - 1u];
}

bool fw_oer_push(fw_oer *reader, uint8_t kind, uint8_t node, uint8_t left);
/* `length` octets more, if the innermost container has as many. */
bool fw_oer_want(fw_oer *reader, uint8_t step, uint32_t length);
/* The rest of the innermost container is passed over. */
void fw_oer_skip(fw_oer *reader);
/* A SEQUENCE begins; of its preamble only the bits of optional parts and of an extension may be set. */
bool fw_oer_begin_parts(fw_oer *reader, uint8_t number, uint8_t preamble);
/* The octets of a string or container are next, `length` of them. */
bool fw_oer_begin_octets(fw_object *object, uint32_t length);
/* The value of a node is next. */
bool fw_oer_enter(fw_object *object, uint8_t number);
/* All of what was wanted has come. */
bool fw_oer_end_step(fw_object *object);

#endif
