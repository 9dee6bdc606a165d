/* The board's flash: a file of the host under the rules of NOR, which hold over a power cut because they are kept in
 * the file.
 *
 * A unit that reads anything but FF was programmed and is refused. Erasing and programming are done in parts, so that
 * QEMU ended at any moment leaves what power does: a page half erased, a row half written.
 */
#include "flash.h"

#include <string.h>

#include "chip.h"
#include "layout.h"

#define PART 128u /* octets written at once: a fifth of a block */

static const fw_geometry geometry = {BOARD_FLASH_PAGE, BOARD_FLASH_UNIT, BOARD_SLOT_SIZE, BOARD_STATE_SIZE};
static const uint32_t begins[] = {BOARD_SLOT_0, BOARD_SLOT_1, BOARD_STATE};
static const uint32_t sizes[] = {BOARD_SLOT_SIZE, BOARD_SLOT_SIZE, BOARD_STATE_SIZE};

bool flash_open(fw_port *port)
{
    port->flash = semihost_open(BOARD_FLASH_FILE, sizeof BOARD_FLASH_FILE - 1, SEMIHOST_UPDATE_BINARY);
    return port->flash != -1;
}

void flash_close(fw_port *port)
{
    semihost_close(port->flash);
}

const fw_geometry *fw_port_geometry(fw_port *port)
{
    (void)port;
    return &geometry;
}

static bool is_within(fw_area area, uint32_t offset, uint32_t length)
{
    return length <= sizes[area] && offset <= sizes[area] - length;
}

bool fw_port_erase(fw_port *port, fw_area area, uint32_t offset)
{
    uint8_t blank[PART];
    if (offset % BOARD_FLASH_PAGE != 0 || !is_within(area, offset, BOARD_FLASH_PAGE)) {
        return false;
    }
    memset(blank, 0xFF, sizeof blank);
    for (uint32_t done = 0; done < BOARD_FLASH_PAGE; done += PART) {
        if (!semihost_write(port->flash, begins[area] + offset + done, blank, PART)) {
            return false;
        }
    }
    return true;
}

static bool write_part(const fw_port *port, uint32_t at, const uint8_t *octets, uint32_t length)
{
    uint8_t seen[PART];
    if (!semihost_read(port->flash, at, seen, length)) {
        return false;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (seen[i] != 0xFF) {
            return false;
        }
    }
    return semihost_write(port->flash, at, octets, length) && semihost_read(port->flash, at, seen, length) &&
           memcmp(seen, octets, length) == 0;
}

bool fw_port_write(fw_port *port, fw_area area, uint32_t offset, const uint8_t *octets, uint32_t length)
{
    if (offset % BOARD_FLASH_UNIT != 0 || length % BOARD_FLASH_UNIT != 0 || !is_within(area, offset, length)) {
        return false;
    }
    for (uint32_t done = 0; done < length; done += PART) {
        uint32_t part = length - done < PART ? length - done : PART;
        if (!write_part(port, begins[area] + offset + done, octets + done, part)) {
            return false;
        }
    }
    return true;
}

void fw_port_read(fw_port *port, fw_area area, uint32_t offset, uint8_t *octets, uint32_t length)
{
    if (!is_within(area, offset, length) || !semihost_read(port->flash, begins[area] + offset, octets, length)) {
        memset(octets, 0, length);
    }
}
