/* Writing flash in whole units (pen.h; twin of nothing: Python's files take octets as they come). */
#include "pen.h"

#include <string.h>

bool fw_pen_flush(fw_port *port, fw_pen *pen)
{
    uint32_t unit = fw_port_geometry(port)->unit;
    uint32_t length = (pen->staged + unit - 1) & ~(unit - 1);
    if (length > 0 && !pen->failed) {
        memset(pen->octets + pen->staged, 0xFF, length - pen->staged);
        pen->failed = !fw_port_write(port, (fw_area)pen->area, pen->at, pen->octets, length);
    }
    pen->at += length;
    pen->staged = 0;
    return !pen->failed;
}

void fw_pen_write(fw_port *port, fw_pen *pen, const void *octets, uint32_t length)
{
    const uint8_t *from = octets;
    while (length > 0) {
        uint32_t part = FW_PEN_MAX - pen->staged < length ? FW_PEN_MAX - pen->staged : length;
        memcpy(pen->octets + pen->staged, from, part);
        pen->staged = (uint8_t)(pen->staged + part);
        from += part;
        length -= part;
        if (pen->staged == FW_PEN_MAX) {
            (void)fw_pen_flush(port, pen);
        }
    }
}

bool fw_is_blank(fw_port *port, fw_area area, uint32_t from, uint32_t to)
{
    uint8_t octets[FW_PEN_MAX];
    while (from < to) {
        uint32_t part = to - from < sizeof octets ? to - from : (uint32_t)sizeof octets;
        fw_port_read(port, area, from, octets, part);
        from += part;
        while (part > 0) {
            if (octets[--part] != 0xFF) {
                return false;
            }
        }
    }
    return true;
}
