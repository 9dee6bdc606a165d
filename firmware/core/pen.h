/* Octets of any number to flash that takes whole units, each once (twin of nothing: Python's files take any).
 *
 * What holds: octets wait until there are FW_PEN_MAX of them, so what waits never crosses a page, as long as a writing
 * begins at a multiple of that. Nothing is written behind what flash refused.
 */
#ifndef FW_PEN_H
#define FW_PEN_H

#include "fw_port.h"

#define FW_PEN_MAX 32u /* the largest unit there is */

typedef struct {
    uint32_t at; /* where the octets that wait go */
    uint8_t area, staged;
    bool failed;
    uint8_t octets[FW_PEN_MAX];
} fw_pen;

void fw_pen_write(fw_port *port, fw_pen *pen, const void *octets, uint32_t length);

/* Write what waits, and FF behind it to the end of its unit. False: this, or what came before, was refused. */
bool fw_pen_flush(fw_port *port, fw_pen *pen);

/* Whether flash reads as erased. */
bool fw_is_blank(fw_port *port, fw_area area, uint32_t from, uint32_t to);

#endif
