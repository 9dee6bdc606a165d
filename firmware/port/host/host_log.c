/* What the core did, in order, for whoever compares it with its Python twin. */
#include "host.h"

#include <stdlib.h>

static void append(fw_port *port, const void *octets, size_t length)
{
    if (port->log_length + length > port->log_max) {
        port->log_max = (port->log_length + length) * 2 + 4096;
        port->log = realloc(port->log, port->log_max);
        if (port->log == NULL) {
            abort();
        }
    }
    if (length > 0) {
        memcpy(port->log + port->log_length, octets, length);
    }
    port->log_length += length;
}

void fw_host_note(fw_port *port, uint32_t kind, uint32_t a, uint32_t b, const void *octets, uint32_t length)
{
    uint32_t head[4] = {kind, a, b, length};
    append(port, head, sizeof head);
    append(port, octets, length);
    port->log_read = 0;
}

void fw_host_note_read(fw_port *port, uint32_t area, uint32_t offset, uint32_t length)
{
    if (port->log_read != 0) {
        uint8_t *entry = port->log + port->log_read - 1;
        uint32_t last[5]; /* kind, a, b, length of what follows, and that: how many octets were read */
        memcpy(last, entry, sizeof last);
        if (last[1] == area && last[2] + last[4] == offset) {
            last[4] += length;
            memcpy(entry, last, sizeof last);
            return;
        }
    }
    size_t begins = port->log_length;
    fw_host_note(port, FW_NOTE_READ, area, offset, &length, sizeof length);
    port->log_read = begins + 1;
}

uint32_t fw_host_log(const fw_port *port, const uint8_t **octets)
{
    *octets = port->log;
    return (uint32_t)port->log_length;
}

void fw_host_clear(fw_port *port)
{
    port->log_length = 0;
    port->log_read = 0;
}
