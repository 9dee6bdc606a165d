/* The Secondary as one machine (twin of secondary/ecu.py): frames in; it verifies, installs, signs what it has to say.
 *
 * The board's main loop:
 *
 *     fw_power_up(&ecu, port, &facts, now);
 *     for (;;) {
 *         if (a frame has come) fw_heard(&ecu, &frame, now);
 *         if (now >= fw_deadline(&ecu)) fw_tick(&ecu, now); // also between frames: a flood stops no timer
 *         feed the watchdog; sleep until a frame or the deadline comes;
 *     }
 *
 * No heap, no clock, no globals: `struct fw` (fw_state.h) is all there is. Instants are milliseconds since power-up.
 */
#ifndef FW_H
#define FW_H

#include "fw_facts.h"
#include "fw_port.h"

#define FW_NEVER UINT64_MAX

typedef struct fw fw;

typedef enum { FW_UP, FW_NO_ROOT, FW_NO_INSTALLATION, FW_NO_STORAGE } fw_start;

typedef enum { FW_PASSED, FW_FAILED, FW_DEAD } fw_verdict;

/* Decide which slot boots, durably, before it does (twin of install.boot). For a boot stub, which then starts that
 * slot; or called by fw_power_up itself when `booted` there is negative. */
fw_start fw_choose_slot(fw_port *port, const fw_facts *facts, uint8_t *slot);

/* Begin with what is durable. `booted`: the slot that the boot stub chose and started, or -1 if there is no boot stub
 * and the choice is to be made here. Anything but FW_UP: nothing is to run; provision anew, or restart. */
fw_start fw_power_up(fw *ecu, fw_port *port, const fw_facts *facts, int booted, uint64_t now);

void fw_heard(fw *ecu, const fw_frame *frame, uint64_t now);
void fw_tick(fw *ecu, uint64_t now);
void fw_tested(fw *ecu, fw_verdict verdict, uint64_t now);
uint64_t fw_deadline(const fw *ecu);

#endif
