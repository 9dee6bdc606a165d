/* What a board supplies: a handful of functions. docs/porting.md tells how to write them for a new board.
 *
 * Everything is synchronous. Whatever a function here has returned for is done: flash is written, frames are queued.
 * The core calls no other function of the outside, allocates nothing, and reads no clock but `fw_port_breathe`.
 */
#ifndef FW_PORT_H
#define FW_PORT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fw_port fw_port; /* the port's own; opaque to the core */

/* ------------------------------------------------------------------------------------------------------- flash */

typedef enum { FW_AREA_SLOT_0, FW_AREA_SLOT_1, FW_AREA_STATE } fw_area;

typedef struct {
    uint32_t page;       /* octets erased at once, a power of two; a slot and half the state area are whole pages */
    uint32_t unit;       /* octets programmed at once (1 to 32, a power of two), each at most once after an erase */
    uint32_t slot_size;  /* octets of each slot */
    uint32_t state_size; /* octets of the state area: two halves, each at least 8 KiB */
} fw_geometry;

const fw_geometry *fw_port_geometry(fw_port *port);

/* Erase one page; `offset` is its first octet. Erased octets read 0xFF. False: the page could not be erased. */
bool fw_port_erase(fw_port *port, fw_area area, uint32_t offset);

/* Program `length` octets; `offset` and `length` are multiples of the unit. False: it failed, or reads back otherwise.
 */
bool fw_port_write(fw_port *port, fw_area area, uint32_t offset, const uint8_t *octets, uint32_t length);

/* Read; any offset and length within the area. Cannot fail. */
void fw_port_read(fw_port *port, fw_area area, uint32_t offset, uint8_t *octets, uint32_t length);

/* --------------------------------------------------------------------------------------------------------- CAN */

typedef struct {
    uint32_t id;    /* 29 bits */
    uint8_t length; /* 0 to 8, or with fd one of 12, 16, 20, 24, 32, 48, 64 */
    bool fd;        /* CAN FD, and then with bit-rate switch */
    uint8_t data[64];
} fw_frame;

/* Queue a frame for the bus. False: no room; the core offers it again at its next tick. */
bool fw_port_send(fw_port *port, const fw_frame *frame);

/* Whether the ECU's normal messages flow and whether it records faults (services 28 and 85). */
void fw_port_traffic(fw_port *port, bool messages, bool faults);

/* -------------------------------------------------------------------------------------------------- the vehicle */

typedef enum { FW_SAFE, FW_UNSAFE, FW_MOVING } fw_interlock;

/* Is reprogramming safe now? Anything the port cannot find out is FW_UNSAFE. */
fw_interlock fw_port_interlock(fw_port *port);

/* ------------------------------------------------------------------------------------------------------ the ECU */

/* Called between the parts of anything long (a page, a signature, a kilobyte hashed): feed the watchdog here and only
 * here and in the main loop, and return the present instant, in milliseconds since power-up. */
uint64_t fw_port_breathe(fw_port *port);

/* Begin the self-test of the image in `slot`, which runs now; its verdict comes back by fw_tested. */
void fw_port_self_test(fw_port *port, uint8_t slot);

/* Restart once every queued frame has left; the core does nothing any more until then. */
void fw_port_restart(fw_port *port);

#endif
