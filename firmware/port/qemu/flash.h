/* What the two programs of the emulated board, boot stub and image, have in common: the flash, and what else is
 * the port's. */
#ifndef FW_QEMU_FLASH_H
#define FW_QEMU_FLASH_H

#include "fw_port.h"

struct fw_port {
    int flash;     /* a file of the host */
    bool restarts; /* told to, once what was sent has left */
    int to_test;   /* the slot whose self-test is to run; -1: none */
};

bool flash_open(fw_port *port);
void flash_close(fw_port *port);

#endif
