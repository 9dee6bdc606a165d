/* The registers of the LM3S6965 that are used here (its data sheet; QEMU's hw/arm/stellaris.c has the same), and
 * semihosting. */
#ifndef FW_QEMU_CHIP_H
#define FW_QEMU_CHIP_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define UART0 0x4000C000u
#define UART1 0x4000D000u
#define UART_DATA(uart) REGISTER((uart) + 0x00u)
#define UART_FLAGS(uart) REGISTER((uart) + 0x18u)
#define UART_BAUD_INTEGER(uart) REGISTER((uart) + 0x24u)
#define UART_BAUD_FRACTION(uart) REGISTER((uart) + 0x28u)
#define UART_LINE(uart) REGISTER((uart) + 0x2Cu)
#define UART_CONTROL(uart) REGISTER((uart) + 0x30u)
#define UART_MASK(uart) REGISTER((uart) + 0x38u)
#define UART_CLEAR(uart) REGISTER((uart) + 0x44u)
#define UART_BUSY 0x08u
#define UART_NOTHING_RECEIVED 0x10u
#define UART_SEND_FULL 0x20u
#define UART_RECEIVE_INTERRUPTS 0x50u /* octets there; some there and the line silent */
#define UART0_INTERRUPT 5u

#define WATCHDOG_LOAD REGISTER(0x40000000u)
#define WATCHDOG_CONTROL REGISTER(0x40000008u)
#define WATCHDOG_CLEAR REGISTER(0x4000000Cu)

#define SYSTEM_RAW_INTERRUPTS REGISTER(0x400FE050u)
#define SYSTEM_CLOCK REGISTER(0x400FE060u)
#define SYSTEM_CLOCK_GATES_0 REGISTER(0x400FE100u)
#define SYSTEM_CLOCK_GATES_1 REGISTER(0x400FE104u)

#define TICK_CONTROL REGISTER(0xE000E010u)
#define TICK_RELOAD REGISTER(0xE000E014u)
#define TICK_NOW REGISTER(0xE000E018u)
#define INTERRUPTS_ENABLE REGISTER(0xE000E100u)
#define VECTORS_AT REGISTER(0xE000ED08u)
#define RESET_CONTROL REGISTER(0xE000ED0Cu)
#define RESET_NOW 0x05FA0004u

#define CLOCK_HZ 50000000u /* the fastest that this controller runs at */

/* chip.c */
void chip_start_clock(void);
void chip_start_lines(void);
void chip_console(const char *text);
void chip_console_number(uint32_t number);
void chip_watch(void);
void chip_feed(void);
_Noreturn void chip_reset(void);
_Noreturn void chip_halt(void);

/* Semihosting: files of the host in QEMU's working directory. -1: it failed. */
#define SEMIHOST_READ_BINARY 1u
#define SEMIHOST_UPDATE_BINARY 3u
int semihost_open(const char *name, uint32_t name_length, uint32_t mode);
void semihost_close(int file);
bool semihost_read(int file, uint32_t offset, void *octets, uint32_t length);
bool semihost_write(int file, uint32_t offset, const void *octets, uint32_t length);

#endif
