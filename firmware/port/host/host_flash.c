/* Flash in memory: NOR's rules, wear, and power that fails in the middle of an operation. */
#include "host.h"

#include <stdlib.h>
#include <string.h>

/* SplitMix64: small, seeded, and good enough to tear by. */
static uint64_t roll(fw_port *port)
{
    uint64_t z = (port->dice += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

bool fw_host_flash_make(fw_port *port)
{
    const fw_geometry *geometry = &port->geometry;
    for (uint32_t area = 0; area < FW_HOST_AREAS; area++) {
        fw_host_flash *flash = &port->flash[area];
        flash->size = area == FW_AREA_STATE ? geometry->state_size : geometry->slot_size;
        flash->octets = malloc(flash->size);
        flash->programmed = calloc(flash->size / geometry->unit, 1);
        flash->erases = calloc(flash->size / geometry->page, sizeof *flash->erases);
        if (flash->octets == NULL || flash->programmed == NULL || flash->erases == NULL) {
            return false;
        }
        memset(flash->octets, 0xFF, flash->size);
    }
    return true;
}

void fw_host_flash_free(fw_port *port)
{
    for (uint32_t area = 0; area < FW_HOST_AREAS; area++) {
        free(port->flash[area].octets);
        free(port->flash[area].programmed);
        free(port->flash[area].erases);
    }
}

static bool abused(fw_port *port)
{
    port->abuses++;
    return false;
}

/* Count an operation; whether power fails during it. */
static bool is_cut(fw_port *port)
{
    port->operations++;
    return port->running && port->operations == port->cut_at;
}

static _Noreturn void lose_power(fw_port *port)
{
    port->running = false;
    port->cut_at = 0;
    longjmp(port->power, 1);
}

const fw_geometry *fw_port_geometry(fw_port *port)
{
    return &port->geometry;
}

/* Half erased: some octets old, some blank, some with only a few of their bits. What was programmed counts as that
 * still. */
static void tear_erase(fw_port *port, fw_host_flash *flash, uint32_t offset)
{
    uint32_t page = port->geometry.page;
    uint64_t how = roll(port) % 4; /* nothing happened yet; all did, unnoticed; a mixture, twice as likely */
    for (uint32_t i = 0; i < page; i++) {
        uint8_t *octet = &flash->octets[offset + i];
        if (how == 1) {
            *octet = 0xFF;
        } else if (how >= 2) {
            *octet |= (uint8_t)roll(port);
        }
    }
    if (how != 0) {
        memset(flash->programmed + offset / port->geometry.unit, 1, page / port->geometry.unit);
    }
}

bool fw_port_erase(fw_port *port, fw_area area, uint32_t offset)
{
    fw_host_flash *flash = &port->flash[area];
    uint32_t page = port->geometry.page;
    if (offset % page != 0 || offset >= flash->size) {
        return abused(port);
    }
    bool cut = is_cut(port);
    uint32_t erases = ++flash->erases[offset / page];
    bool worn = port->endurance != 0 && erases > port->endurance;
    if (worn || flash->erases_fail) {
        if (worn) {
            tear_erase(port, flash, offset);
        }
        fw_host_note(port, FW_NOTE_FAILED, (uint32_t)area, offset, NULL, 0);
        return false;
    }
    if (cut) {
        tear_erase(port, flash, offset);
        lose_power(port);
    }
    memset(flash->octets + offset, 0xFF, page);
    memset(flash->programmed + offset / port->geometry.unit, 0, page / port->geometry.unit);
    fw_host_note(port, FW_NOTE_ERASE, (uint32_t)area, offset, NULL, 0);
    return true;
}

/* Some whole units, then one of which some bits are cleared; a unit that none of them reached can still be
 * programmed. */
static void tear_write(fw_port *port, fw_host_flash *flash, uint32_t offset, const uint8_t *octets, uint32_t length)
{
    uint32_t unit = port->geometry.unit;
    uint32_t whole = (uint32_t)(roll(port) % (length / unit + 1));
    memcpy(flash->octets + offset, octets, (size_t)whole * unit);
    memset(flash->programmed + offset / unit, 1, whole);
    if (whole * unit == length) {
        return;
    }
    uint32_t at = offset + whole * unit;
    for (uint32_t i = 0; i < unit; i++) {
        uint8_t cleared = (uint8_t)(~octets[whole * unit + i] & (uint8_t)roll(port));
        flash->octets[at + i] &= (uint8_t)~cleared;
        flash->programmed[at / unit] |= (uint8_t)(cleared != 0);
    }
}

static bool is_allowed(const fw_port *port, const fw_host_flash *flash, uint32_t offset, uint32_t length)
{
    uint32_t unit = port->geometry.unit;
    if (offset % unit != 0 || length % unit != 0 || length > flash->size || offset > flash->size - length) {
        return false;
    }
    for (uint32_t i = offset / unit; i < (offset + length) / unit; i++) {
        if (flash->programmed[i] != 0) {
            return false;
        }
    }
    return true;
}

bool fw_port_write(fw_port *port, fw_area area, uint32_t offset, const uint8_t *octets, uint32_t length)
{
    fw_host_flash *flash = &port->flash[area];
    if (!is_allowed(port, flash, offset, length)) {
        return abused(port);
    }
    if (length == 0) {
        return true;
    }
    bool cut = is_cut(port);
    if (flash->writes_fail) {
        fw_host_note(port, FW_NOTE_FAILED, (uint32_t)area, offset, NULL, 0);
        return false;
    }
    if (cut) {
        tear_write(port, flash, offset, octets, length);
        lose_power(port);
    }
    memcpy(flash->octets + offset, octets, length);
    memset(flash->programmed + offset / port->geometry.unit, 1, length / port->geometry.unit);
    fw_host_note(port, FW_NOTE_WRITE, (uint32_t)area, offset, octets, length);
    return true;
}

void fw_port_read(fw_port *port, fw_area area, uint32_t offset, uint8_t *octets, uint32_t length)
{
    const fw_host_flash *flash = &port->flash[area];
    if (length > flash->size || offset > flash->size - length) {
        (void)abused(port);
        memset(octets, 0, length);
        return;
    }
    if (length > 0) {
        memcpy(octets, flash->octets + offset, length);
    }
    if (area != FW_AREA_STATE) {
        fw_host_note_read(port, (uint32_t)area, offset, length);
    }
}
