/* CAN frames as lines of text, in the dialect that python-can speaks (twin of firmware/tools/slcan.py). */
#ifndef FW_QEMU_SLCAN_H
#define FW_QEMU_SLCAN_H

#include "fw_port.h"

#define SLCAN_LINE_MAX 139u /* B, identifier, length, 64 octets, and the end of the line */

/* The frame that a line without its end tells; false for any other line, frames with 11-bit identifiers among them. */
bool slcan_read(fw_frame *frame, const char *line, uint32_t length);
/* The line of a frame, with its end: its length. */
uint32_t slcan_write(char line[SLCAN_LINE_MAX], const fw_frame *frame);

#endif
