/* The rest of what a board supplies: the bus, the vehicle, the clock. */
#include "host.h"

bool fw_port_send(fw_port *port, const fw_frame *frame)
{
    if (port->room == 0) {
        return false;
    }
    if (port->room != UINT32_MAX) {
        port->room--;
    }
    fw_host_note(port, FW_NOTE_FRAME, frame->id, frame->fd, frame->data, frame->length);
    return true;
}

void fw_port_traffic(fw_port *port, bool messages, bool faults)
{
    fw_host_note(port, FW_NOTE_TRAFFIC, messages, faults, NULL, 0);
}

fw_interlock fw_port_interlock(fw_port *port)
{
    return port->interlock;
}

uint64_t fw_port_breathe(fw_port *port)
{
    port->now += port->breath;
    return port->now;
}

void fw_port_self_test(fw_port *port, uint8_t slot)
{
    fw_host_note(port, FW_NOTE_SELF_TEST, slot, 0, NULL, 0);
}

void fw_port_restart(fw_port *port)
{
    fw_host_note(port, FW_NOTE_RESTART, 0, 0, NULL, 0);
}

void fw_host_interlock(fw_port *port, int interlock)
{
    port->interlock = (fw_interlock)interlock;
}

void fw_host_breath(fw_port *port, uint64_t milliseconds)
{
    port->breath = milliseconds;
}

/* How many more frames the bus takes; UINT32_MAX for any number. */
void fw_host_room(fw_port *port, uint32_t frames)
{
    port->room = frames;
}
