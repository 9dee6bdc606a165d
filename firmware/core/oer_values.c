/* What the reader does when all octets of a value, a length, a tag or a name have come (twin of
 * uptane/codec/oer_primitives.py and oer_lists.py).
 */
#include "object.h"
#include "oer_parts.h"

#define FIRST_TAG 0x80u
#define SHORT_MAX 0x7Fu

/* Whether a value, a length or a count is in the range of the node that is read. */
static bool is_within(const fw_oer *reader, uint32_t value)
{
    const fw_range *range = &fw_ranges[fw_nodes[reader->node].b];
    return range->low <= value && (range->high == 0 || value <= range->high);
}

/* A length is known: is it one that the string may have? */
static bool sized(fw_object *object, uint32_t length)
{
    return is_within(&object->reader, length) && fw_oer_begin_octets(object, length);
}

static bool begin_name(fw_oer *reader, uint32_t length)
{
    const fw_oer_frame *list = &reader->frames[reader->depth - 2u];
    uint32_t rest = reader->stop - reader->at;
    return 0 < length && length <= list->left && length <= rest && rest - length >= list->preamble &&
           fw_oer_want(reader, TO_NAME, length);
}

/* The name of an entry was read; of ours, all is read, of another only where it ends. */
static bool end_name(fw_object *object)
{
    fw_oer *reader = &object->reader;
    bool mine = false;
    fw_check check = fw_seen_name(object, fw_oer_top(reader)->preamble, (uint8_t)reader->done, &mine);
    if (check != FW_OK) {
        reader->fault[FW_IN_LIST] = check; /* the first one: what follows is passed over */
        return false;
    }
    if (!mine) {
        fw_oer_skip(reader);
        return true;
    }
    fw_oer_top(reader)->node = FW_IN_ENTRY;
    if (!fw_oer_begin_parts(reader, FW_NODE_ASSIGNMENT, fw_oer_top(reader)->preamble)) {
        return false;
    }
    fw_oer_top(reader)->node++;
    fw_oer_top(reader)->left--;
    return true;
}

static bool end_value(fw_object *object)
{
    fw_oer *reader = &object->reader;
    const fw_node *node = &fw_nodes[reader->node];
    uint32_t value = (uint32_t)reader->value; /* of 8 octets none are bounded */
    reader->step = TO_DECIDE;
    bool is_well = (node->kind & FW_KIND_BITS) == FW_BOOLEAN ? value == 0 || value == 0xFF : is_within(reader, value);
    return is_well && (node->field == FW_UNSEEN || fw_seen_value(object, node->field, reader->value));
}

static bool end_string(fw_object *object)
{
    fw_oer *reader = &object->reader;
    uint8_t field = fw_nodes[reader->node].field;
    reader->step = TO_DECIDE;
    return field == FW_UNSEEN || fw_seen_text(object, field, reader->done);
}

static bool end_tag(fw_object *object)
{
    const fw_node *node = &fw_nodes[object->reader.node];
    uint32_t tag = (uint32_t)object->reader.value - FIRST_TAG;
    if (tag >= node->b || (node->field != FW_UNSEEN && !fw_seen_value(object, node->field, tag))) {
        return false;
    }
    return fw_oer_enter(object, (uint8_t)(node->a + tag));
}

static bool end_count(fw_oer *reader)
{
    uint32_t value = (uint32_t)reader->value;
    uint8_t count = (uint8_t)value;
    reader->step = TO_DECIDE;
    return value >> 8 == 1 && is_within(reader, count) &&
           fw_oer_push(reader, IN_ELEMENTS, fw_nodes[reader->node].a, count);
}

/* Additions of a newer schema are strings, as many as there are bits in the bitmap; what they mean is not known here.
 */
static bool end_bitmap(fw_oer *reader)
{
    uint32_t bits = 8u * (reader->done - 1u);
    uint32_t unused = (uint32_t)reader->value >> bits;
    uint32_t bitmap = (uint32_t)reader->value & ((1u << bits) - 1u);
    if (unused > 7 || bitmap == 0 || (bitmap & ((1u << unused) - 1u)) != 0) {
        return false;
    }
    uint8_t count = 0;
    for (; bitmap != 0; bitmap &= bitmap - 1u) {
        count++;
    }
    fw_oer_top(reader)->kind = IN_ELEMENTS;
    fw_oer_top(reader)->node = FW_NODE_ADDITION;
    fw_oer_top(reader)->left = count;
    reader->step = TO_DECIDE;
    return true;
}

/* A length of more than 127, in as few octets as it takes. */
static bool end_long_length(fw_object *object)
{
    uint32_t length = (uint32_t)object->reader.value;
    return length > SHORT_MAX && length >> 8u * (object->reader.done - 1u) != 0 && sized(object, length);
}

/* Before the name of an entry stand a preamble and its length. */
static bool end_head(fw_oer *reader)
{
    uint32_t value = (uint32_t)reader->value;
    uint8_t length = (uint8_t)value;
    fw_oer_top(reader)->preamble = (uint8_t)(value >> 8);
    if (length <= SHORT_MAX) {
        return begin_name(reader, length);
    }
    return length == SHORT_MAX + 2u && fw_oer_want(reader, TO_LONG_HEAD, 1); /* no name takes two octets of length */
}

/* All of what was wanted has come. */
bool fw_oer_end_step(fw_object *object)
{
    fw_oer *reader = &object->reader;
    uint32_t value = (uint32_t)reader->value;
    switch (reader->step) {
    case TO_VALUE:
        return end_value(object);
    case TO_TAG:
        return end_tag(object);
    case TO_PREAMBLE:
        return fw_oer_begin_parts(reader, reader->node, (uint8_t)value);
    case TO_COUNT:
        return end_count(reader);
    case TO_LENGTH:
        if (value <= SHORT_MAX) {
            return sized(object, value);
        }
        value &= SHORT_MAX;
        return 1 <= value && value <= 4 && fw_oer_want(reader, TO_LONG_LENGTH, value);
    case TO_LONG_LENGTH:
        return end_long_length(object);
    case TO_BITMAP_LENGTH:
        return 2 <= value && value <= 3 && fw_oer_want(reader, TO_BITMAP, value);
    case TO_BITMAP:
        return end_bitmap(reader);
    case TO_HEAD:
        return end_head(reader);
    case TO_LONG_HEAD:
        return value > SHORT_MAX && begin_name(reader, value);
    case TO_NAME:
        return end_name(object);
    case TO_STRING:
        return end_string(object);
    default:
        reader->step = TO_DECIDE;
        return true;
    }
}
