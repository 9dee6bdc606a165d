/* Writing flash in whole units (pen.h): what the files of uptane/shell/files.py and secondary/shell/slots.py do by
 * themselves, for those take octets as they come. */
#include "pen.h"

#include <string.h>

static void put(fw_port *port, fw_pen *pen, const uint8_t *octets, uint32_t length)
{
    if (length > 0 && !pen->failed) {
        pen->failed = !fw_port_write(port, (fw_area)pen->area, pen->at, octets, length);
    }
    pen->at += length;
}

bool fw_pen_flush(fw_port *port, fw_pen *pen)
{
    uint32_t unit = fw_port_geometry(port)->unit;
    uint32_t length = (pen->staged + unit - 1) & ~(unit - 1);
    memset(pen->octets + pen->staged, 0xFF, length - pen->staged);
    put(port, pen, pen->octets, length);
    pen->staged = 0;
    return !pen->failed;
}

void fw_pen_write(fw_port *port, fw_pen *pen, const void *octets, uint32_t length)
{
    const uint8_t *from = octets;
    while (length > 0) {
        uint32_t part = FW_PEN_MAX - pen->staged < length ? FW_PEN_MAX - pen->staged : length;
        if (part == FW_PEN_MAX) { /* nothing waits: as many as there are, from where they are */
            part = length & ~(FW_PEN_MAX - 1);
            put(port, pen, from, part);
        } else {
            memcpy(pen->octets + pen->staged, from, part);
            pen->staged = (uint8_t)(pen->staged + part);
            if (pen->staged == FW_PEN_MAX) {
                (void)fw_pen_flush(port, pen);
            }
        }
        from += part;
        length -= part;
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
