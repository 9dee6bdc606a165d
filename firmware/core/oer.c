/* The reader of canonical OER (twin of uptane/codec/oer_types.py, oer_primitives.py and oer_lists.py).
 *
 * A machine with a stack over the table in schema.h. Whatever it reads next has a length that is known and lies within
 * the innermost container, or the message is malformed: so nothing is read behind an end, and nothing is read twice.
 */
#include <string.h>

#include "object.h"
#include "oer_parts.h"

#define NOTHING 0xFFu /* no node; the schema has fewer */

bool fw_oer_push(fw_oer *reader, uint8_t kind, uint8_t node, uint8_t left)
{
    if (reader->depth >= FW_OER_DEPTH) {
        return false;
    }
    reader->depth++;
    *fw_oer_top(reader) = (fw_oer_frame){.kind = kind, .node = node, .left = left, .stop = reader->stop};
    return true;
}

/* `length` octets more, if the innermost container has as many. */
bool fw_oer_want(fw_oer *reader, uint8_t step, uint32_t length)
{
    if (length > reader->stop - reader->at) {
        return false;
    }
    reader->step = step;
    reader->left = length;
    reader->done = 0;
    reader->value = 0;
    reader->before = 0;
    return true;
}

/* The rest of the innermost container is passed over. */
void fw_oer_skip(fw_oer *reader)
{
    (void)fw_oer_want(reader, TO_SKIP, reader->stop - reader->at);
    if (reader->left == 0) {
        reader->step = TO_DECIDE;
    }
}

/* What is read is malformed: so is the part of the message around it, whose rest is passed over. */
static void fail(fw_oer *reader)
{
    for (; reader->depth > 0; reader->depth--) {
        fw_oer_frame *frame = fw_oer_top(reader);
        bool is_container = frame->kind >= IN_ENTRIES;
        if (is_container && frame->node != FW_IN_ABOVE) {
            if (frame->kind == IN_CONTAINER) {
                frame->left = 0; /* its content, if that was still to come */
            }
            if (reader->fault[frame->node] == FW_OK) {
                reader->fault[frame->node] = FW_ENCODING;
            }
            fw_oer_skip(reader);
            return;
        }
        if (is_container) {
            reader->stop = frame->stop;
        }
    }
    reader->fault[FW_IN_ENVELOPE] = FW_ENCODING;
    reader->step = TO_NOTHING;
}

/* A SEQUENCE begins; of its preamble only the bits of optional parts and of an extension may be set. */
bool fw_oer_begin_parts(fw_oer *reader, uint8_t number, uint8_t preamble)
{
    const fw_node *node = &fw_nodes[number];
    bool is_extensible = (node->kind & FW_EXTENSIBLE) != 0;
    uint8_t bits = (uint8_t)((node->b >> 4) + is_extensible);
    if ((preamble & 0xFFu >> bits) != 0) {
        return false;
    }
    bool is_extended = is_extensible && (preamble & 0x80u) != 0;
    if (!fw_oer_push(reader, is_extended ? IN_EXTENDED_PARTS : IN_PARTS, node->a, node->b & 0xFu)) {
        return false;
    }
    fw_oer_top(reader)->preamble = is_extensible ? (uint8_t)(preamble << 1) : preamble;
    reader->step = TO_DECIDE;
    return true;
}

/* The octets of a string or container are next, `length` of them. */
bool fw_oer_begin_octets(fw_object *object, uint32_t length)
{
    fw_oer *reader = &object->reader;
    const fw_node *node = &fw_nodes[reader->node];
    uint8_t kind = node->kind & FW_KIND_BITS;
    uint8_t part = kind == FW_ENTRIES ? FW_IN_LIST : node->a == FW_NODE_PAYLOAD ? FW_IN_PAYLOAD : FW_IN_ABOVE;
    bool is_there = fw_oer_want(reader, TO_STRING, length);
    if (!is_there || kind == FW_OCTETS) {
        return is_there;
    }
    if ((node->field != FW_UNSEEN && !fw_seen_value(object, node->field, length)) ||
        !fw_oer_push(reader, kind == FW_ENTRIES ? IN_ENTRIES : IN_CONTAINER, part, 0)) {
        return false;
    }
    reader->stop = reader->at + length;
    reader->step = TO_DECIDE;
    if (kind == FW_ENTRIES) {
        fw_seen_list(object, node->field, &fw_oer_top(reader)->left, &fw_oer_top(reader)->preamble);
        return true;
    }
    if (kind == FW_ENTRY) {
        return fw_oer_want(reader, TO_HEAD, 2);
    }
    fw_oer_top(reader)->left = 1;
    fw_oer_top(reader)->preamble = node->a;
    return true;
}

/* The value of a node is next. */
bool fw_oer_enter(fw_object *object, uint8_t number)
{
    fw_oer *reader = &object->reader;
    const fw_node *node = &fw_nodes[number];
    const fw_range *range = &fw_ranges[node->b];
    reader->node = number;
    switch (node->kind & FW_KIND_BITS) {
    case FW_NULL:
        reader->step = TO_DECIDE;
        return true;
    case FW_BOOLEAN:
    case FW_UINT:
        return fw_oer_want(reader, TO_VALUE, node->a);
    case FW_CHOICE:
        return fw_oer_want(reader, TO_TAG, 1);
    case FW_SEQUENCE_OF:
        return fw_oer_want(reader, TO_COUNT, 2);
    case FW_SEQUENCE:
        if (node->field != FW_UNSEEN && !fw_seen_value(object, node->field, 0)) {
            return false;
        }
        return (node->kind & FW_PREAMBLE) != 0 ? fw_oer_want(reader, TO_PREAMBLE, 1)
                                               : fw_oer_begin_parts(reader, number, 0);
    default:
        return range->high != 0 && range->low == range->high ? fw_oer_begin_octets(object, range->high)
                                                             : fw_oer_want(reader, TO_LENGTH, 1);
    }
}

/* The next part of a SEQUENCE that is there. */
static uint8_t next_part(fw_oer_frame *frame)
{
    while (frame->left > 0) {
        frame->left--;
        uint8_t number = frame->node++;
        bool is_optional = (fw_nodes[number].kind & FW_OPTIONAL) != 0;
        bool is_there = !is_optional || (frame->preamble & 0x80u) != 0;
        frame->preamble = is_optional ? (uint8_t)(frame->preamble << 1) : frame->preamble;
        if (is_there) {
            return number;
        }
    }
    return NOTHING;
}

/* The end of a container that is full: what is around it goes on. */
static bool end_container(fw_oer *reader, const fw_oer_frame *frame)
{
    bool is_full = reader->at == reader->stop;
    reader->stop = is_full ? frame->stop : reader->stop;
    return is_full;
}

/* What the stack says comes next; true when nothing is malformed so far. */
static bool decide(fw_object *object)
{
    fw_oer *reader = &object->reader;
    if (reader->depth == 0) {
        reader->step = TO_NOTHING;
        return reader->at == reader->stop;
    }
    fw_oer_frame *frame = fw_oer_top(reader);
    uint8_t number = NOTHING;
    if (frame->kind == IN_CONTAINER) {
        if (frame->left == 0 && !end_container(reader, frame)) {
            return false;
        }
        number = frame->left != 0 ? frame->preamble : NOTHING;
        frame->left = 0;
    } else if (frame->kind == IN_ENTRIES) {
        number = end_container(reader, frame) ? NOTHING : FW_NODE_ENTRY;
    } else if (frame->kind == IN_ELEMENTS) {
        number = frame->left > 0 ? frame->node : NOTHING;
        frame->left--;
    } else {
        number = next_part(frame);
        if (number == NOTHING && frame->kind == IN_EXTENDED_PARTS) {
            return fw_oer_want(reader, TO_BITMAP_LENGTH, 1);
        }
    }
    if (number != NOTHING) {
        return fw_oer_enter(object, number);
    }
    reader->depth--;
    return true;
}

/* Whether octets may stand where they do in a name, a pattern or a URL (twin of uptane/codec/alphabet.py). */
static bool is_spelled(fw_oer *reader, uint8_t alphabet, const uint8_t *octets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t octet = octets[i];
        uint8_t letter = octet | 0x20u;
        bool is_plain = (letter >= 'a' && letter <= 'z') || (octet >= '-' && octet <= ':') || octet == '_' ||
                        octet == '+' || octet == '@';
        bool is_wild = alphabet == FW_PATTERN && (octet == '*' || octet == '?');
        bool is_url = alphabet == FW_URL && octet >= '!' && octet <= '~';
        bool is_misplaced =
            alphabet != FW_URL && ((octet == '/' && reader->before == 0) || (octet == '.' && reader->before == '.'));
        if (is_misplaced || !(is_plain || is_wild || is_url)) {
            return false;
        }
        reader->before = octet; /* 0: none yet */
    }
    return true;
}

/* Octets that are hashed as they come; none of them reach over an end of what is hashed. */
static void hash(fw_object *object, const uint8_t *octets, uint32_t count)
{
    uint32_t at = object->reader.at;
    if (at - object->payload.start < object->payload.length) {
        fw_sha512_add(&object->sha512.running, octets, count);
    }
    if (at - object->entries.start < object->entries.length) {
        fw_sha256_add(&object->of.targets.entries_hash, octets, count);
    }
    if (at - object->entry.start < object->entry.length) {
        fw_sha256_add(&object->of.targets.entry_hash, octets, count);
    }
}

/* Some octets of what is wanted: gather or hash those that somebody wants to see. */
static bool take(fw_object *object, const uint8_t *octets, uint32_t count)
{
    fw_oer *reader = &object->reader;
    const fw_node *node = &fw_nodes[reader->node];
    bool is_string = reader->step == TO_STRING;
    if (is_string && node->a != FW_ANY && !is_spelled(reader, node->a, octets, count)) {
        return false;
    }
    if (reader->step == TO_NAME || (is_string && node->field != FW_UNSEEN)) {
        if (reader->done + reader->left <= FW_TEXT_MAX) {
            memcpy(object->text + reader->done, octets, count);
        } else if (object->tag == FW_PAYLOAD_ROOT) {
            fw_sha256_add(&object->of.root.key_hash, octets, count);
        }
    }
    return true;
}

static void settle(fw_object *object, bool is_well)
{
    if (!is_well) {
        fail(&object->reader);
    }
    while (object->reader.step == TO_DECIDE) {
        if (!decide(object)) {
            fail(&object->reader);
        }
    }
}

void fw_oer_start(fw_object *object, uint32_t size)
{
    memset(&object->reader, 0, sizeof object->reader);
    object->reader.stop = size;
    settle(object, fw_oer_enter(object, FW_NODE_ENVELOPE));
}

void fw_oer_read(fw_object *object, const uint8_t *octets, uint32_t length)
{
    fw_oer *reader = &object->reader;
    while (length > 0 && reader->step != TO_NOTHING) {
        uint32_t count = length < reader->left ? length : reader->left;
        if (reader->step < TO_STRING) {
            count = 1;
            reader->value = reader->value << 8 | *octets;
        }
        hash(object, octets, count);
        bool is_well = take(object, octets, count);
        reader->at += count;
        reader->done += count;
        reader->left -= count;
        octets += count;
        length -= count;
        if (!is_well || reader->left == 0) {
            settle(object, is_well && fw_oer_end_step(object));
        }
    }
    if (length > 0) {
        reader->fault[FW_IN_ENVELOPE] = FW_ENCODING; /* octets behind the end */
    }
}

void fw_oer_end(fw_object *object)
{
    if (object->reader.step != TO_NOTHING) {
        object->reader.fault[FW_IN_ENVELOPE] = FW_ENCODING;
    }
}
