/* From reset to main. */
#ifndef FW_QEMU_START_H
#define FW_QEMU_START_H

#include <stdint.h>

_Noreturn void main(void);
uint32_t start_stack_used(void);

/* Interrupts; nothing happens in a program that does not define them. */
void start_tick(void);
void start_uart0(void);

#endif
