/* CAN frames as lines of text, in the dialect that python-can speaks (twin of firmware/tools/slcan.py).
 *
 * What holds: a line is a frame only if every character of it is right. Noise on a serial line costs what it hits, no
 * more.
 */
#include "slcan.h"

#define IDENTIFIER_DIGITS 8u
#define IDENTIFIER_MAX 0x1FFFFFFFu
#define HEAD (1u + IDENTIFIER_DIGITS + 1u)

static const uint8_t lengths[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64};
static const char digits[] = "0123456789ABCDEF";

/* The value of a hexadecimal digit; 16 for anything else. */
static uint32_t value_of(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (uint32_t)(digit - '0');
    }
    if (digit >= 'A' && digit <= 'F') {
        return (uint32_t)(digit - 'A') + 10u;
    }
    return digit >= 'a' && digit <= 'f' ? (uint32_t)(digit - 'a') + 10u : 16u;
}

bool slcan_read(fw_frame *frame, const char *line, uint32_t length)
{
    if (length < HEAD || (line[0] != 'T' && line[0] != 'D' && line[0] != 'B')) {
        return false;
    }
    uint32_t wrong = 0;
    uint32_t id = 0;
    for (uint32_t i = 1; i <= IDENTIFIER_DIGITS; i++) {
        uint32_t value = value_of(line[i]);
        wrong |= value & 16u;
        id = id << 4 | value;
    }
    uint32_t code = value_of(line[HEAD - 1]);
    frame->fd = line[0] != 'T';
    if (wrong != 0 || id > IDENTIFIER_MAX || code > (frame->fd ? 15u : 8u) || length != HEAD + 2u * lengths[code]) {
        return false;
    }
    frame->id = id;
    frame->length = lengths[code];
    for (uint32_t i = 0; i < frame->length; i++) {
        uint32_t high = value_of(line[HEAD + 2 * i]);
        uint32_t low = value_of(line[HEAD + 2 * i + 1]);
        wrong |= (high | low) & 16u;
        frame->data[i] = (uint8_t)(high << 4 | low);
    }
    return wrong == 0;
}

uint32_t slcan_write(char line[SLCAN_LINE_MAX], const fw_frame *frame)
{
    uint32_t at = 0;
    uint32_t code = 0;
    while (lengths[code] < frame->length) {
        code++;
    }
    line[at++] = frame->fd ? 'B' : 'T';
    for (uint32_t shift = 32; shift > 0; shift -= 4) {
        line[at++] = digits[frame->id >> (shift - 4) & 0xFu];
    }
    line[at++] = digits[code];
    for (uint32_t i = 0; i < frame->length; i++) {
        line[at++] = digits[frame->data[i] >> 4];
        line[at++] = digits[frame->data[i] & 0xFu];
    }
    line[at++] = '\r';
    return at;
}
