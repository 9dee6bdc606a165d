/* A board from power-up to power-down, one event at a time. */
#include "host.h"

#include <stdlib.h>

#include "facts.h"

#define GARBAGE 0xA5 /* RAM after power-up: a core that reads what it never wrote shows itself */

fw_port *fw_host_create(
    const uint8_t *facts, uint32_t length, uint32_t page, uint32_t unit, uint32_t slot_size, uint32_t state_size)
{
    fw_port *port = calloc(1, sizeof *port);
    if (port == NULL) {
        return NULL;
    }
    port->geometry = (fw_geometry){page, unit, slot_size, state_size};
    port->interlock = FW_UNSAFE;
    port->room = UINT32_MAX;
    memset(&port->ecu, GARBAGE, sizeof port->ecu);
    port->facts_octets = malloc(length == 0 ? 1 : length); /* exactly as long: a sanitizer sees reads behind it */
    if (!fw_host_flash_make(port) || port->facts_octets == NULL) {
        fw_host_destroy(port);
        return NULL;
    }
    memcpy(port->facts_octets, facts, length);
    if (!fw_read_facts(&port->facts, port->facts_octets, length)) {
        fw_host_destroy(port);
        return NULL;
    }
    return port;
}

void fw_host_destroy(fw_port *port)
{
    if (port != NULL) {
        fw_host_flash_free(port);
        free(port->log);
        free(port->facts_octets);
        free(port);
    }
}

int fw_host_choose(fw_port *port)
{
    uint8_t slot = 0;
    if (setjmp(port->power) != 0) {
        return -1;
    }
    port->running = true;
    fw_start start = fw_choose_slot(port, &port->facts, &slot);
    port->running = false;
    return start == FW_UP ? (int)slot : -2 - (int)start;
}

int fw_host_power_up_as(fw_port *port, int booted, uint64_t now)
{
    if (setjmp(port->power) != 0) {
        return -1;
    }
    memset(&port->ecu, GARBAGE, sizeof port->ecu);
    port->now = now;
    port->running = true;
    fw_start start = fw_power_up(&port->ecu, port, &port->facts, booted, now);
    port->running = false;
    return (int)start;
}

int fw_host_power_up(fw_port *port, uint64_t now)
{
    return fw_host_power_up_as(port, -1, now);
}

bool fw_host_heard(fw_port *port, uint32_t id, const uint8_t *data, uint8_t length, bool fd, uint64_t now)
{
    fw_frame frame = {.id = id, .length = length, .fd = fd};
    if (length > sizeof frame.data) {
        return true; /* no controller hears such a frame */
    }
    if (length > 0) {
        memcpy(frame.data, data, length);
    }
    if (setjmp(port->power) != 0) {
        return false;
    }
    port->now = now;
    port->running = true;
    fw_heard(&port->ecu, &frame, now);
    port->running = false;
    return true;
}

bool fw_host_tick(fw_port *port, uint64_t now)
{
    if (setjmp(port->power) != 0) {
        return false;
    }
    port->now = now;
    port->running = true;
    fw_tick(&port->ecu, now);
    port->running = false;
    return true;
}

bool fw_host_tested(fw_port *port, int verdict, uint64_t now)
{
    if (setjmp(port->power) != 0) {
        return false;
    }
    port->now = now;
    port->running = true;
    fw_tested(&port->ecu, (fw_verdict)verdict, now);
    port->running = false;
    return true;
}

uint64_t fw_host_deadline(const fw_port *port)
{
    return fw_deadline(&port->ecu);
}

fw *fw_host_ecu(fw_port *port)
{
    return &port->ecu;
}

fw_facts *fw_host_facts(fw_port *port)
{
    return &port->facts;
}

int fw_host_try_erase(fw_port *port, uint8_t area, uint32_t offset)
{
    if (setjmp(port->power) != 0) {
        return -1;
    }
    port->running = true;
    bool done = fw_port_erase(port, (fw_area)area, offset);
    port->running = false;
    return done;
}

int fw_host_try_write(fw_port *port, uint8_t area, uint32_t offset, const uint8_t *octets, uint32_t length)
{
    if (setjmp(port->power) != 0) {
        return -1;
    }
    port->running = true;
    bool done = fw_port_write(port, (fw_area)area, offset, octets, length);
    port->running = false;
    return done;
}

/* The size of a struct by its name, 0 for one that is not listed. */
uint32_t fw_host_sizeof(const char *what)
{
    static const struct {
        const char *name;
        size_t size;
    } sizes[] = {
        {"fw", sizeof(fw)},
        {"fw_link", sizeof(fw_link)},
        {"fw_server", sizeof(fw_server)},
        {"fw_object", sizeof(fw_object)},
        {"fw_held", sizeof(fw_held)},
        {"fw_installation", sizeof(fw_installation)},
        {"fw_store", sizeof(fw_store)},
        {"fw_report", sizeof(fw_report)},
        {"fw_facts", sizeof(fw_facts)},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (strcmp(sizes[i].name, what) == 0) {
            return (uint32_t)sizes[i].size;
        }
    }
    return 0;
}
