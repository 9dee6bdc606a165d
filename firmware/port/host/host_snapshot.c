/* What tests set and see of the flash, outside its rules. */
#include "host.h"

void fw_host_seed(fw_port *port, uint64_t seed)
{
    port->dice = seed;
}

void fw_host_cut(fw_port *port, uint64_t after)
{
    port->cut_at = after == UINT64_MAX ? 0 : port->operations + 1 + after;
}

void fw_host_fail(fw_port *port, uint8_t area, bool erases, bool writes)
{
    port->flash[area].erases_fail = erases;
    port->flash[area].writes_fail = writes;
}

void fw_host_endure(fw_port *port, uint32_t erases)
{
    port->endurance = erases;
}

uint64_t fw_host_operations(const fw_port *port)
{
    return port->operations;
}

/* How often the core broke a rule of the flash: 0, or it is wrong. */
uint32_t fw_host_abuses(const fw_port *port)
{
    return port->abuses;
}

uint32_t fw_host_erases(const fw_port *port, uint8_t area, uint32_t page)
{
    return port->flash[area].erases[page];
}

void fw_host_read(const fw_port *port, uint8_t area, uint32_t offset, uint8_t *octets, uint32_t length)
{
    memcpy(octets, port->flash[area].octets + offset, length);
}

/* As a programmer does in the factory: from the area's begin, the rest blank. */
void fw_host_load(fw_port *port, uint8_t area, const uint8_t *octets, uint32_t length)
{
    fw_host_flash *flash = &port->flash[area];
    uint32_t unit = port->geometry.unit;
    memset(flash->octets, 0xFF, flash->size);
    memset(flash->programmed, 0, flash->size / unit);
    memcpy(flash->octets, octets, length);
    for (uint32_t i = 0; i < length; i++) {
        flash->programmed[i / unit] |= (uint8_t)(octets[i] != 0xFF);
    }
}

void fw_host_damage(fw_port *port, uint8_t area, uint32_t offset, uint8_t flip)
{
    port->flash[area].octets[offset] ^= flip;
}

/* Octets of a snapshot: of every area what it holds and which units are programmed. Wear is not part of it. */
uint32_t fw_host_size(const fw_port *port)
{
    uint32_t total = 0;
    for (uint32_t area = 0; area < FW_HOST_AREAS; area++) {
        total += port->flash[area].size + port->flash[area].size / port->geometry.unit;
    }
    return total;
}

void fw_host_save(const fw_port *port, uint8_t *snapshot)
{
    for (uint32_t area = 0; area < FW_HOST_AREAS; area++) {
        const fw_host_flash *flash = &port->flash[area];
        uint32_t units = flash->size / port->geometry.unit;
        memcpy(snapshot, flash->octets, flash->size);
        memcpy(snapshot + flash->size, flash->programmed, units);
        snapshot += flash->size + units;
    }
}

void fw_host_restore(fw_port *port, const uint8_t *snapshot)
{
    for (uint32_t area = 0; area < FW_HOST_AREAS; area++) {
        fw_host_flash *flash = &port->flash[area];
        uint32_t units = flash->size / port->geometry.unit;
        memcpy(flash->octets, snapshot, flash->size);
        memcpy(flash->programmed, snapshot + flash->size, units);
        snapshot += flash->size + units;
    }
}
