/* The controller: clock, serial lines, watchdog, reset, and files of the host by semihosting. */
#include "chip.h"

/* ---------------------------------------------------------------------------------------------------------- clock */

#define RCC_BYPASS (1u << 11)
#define RCC_POWER_DOWN (1u << 13)
#define RCC_USE_DIVIDER (1u << 22)
#define RCC_DIVIDER(divider) (((divider) - 1u) << 23)
#define RCC_DIVIDER_BITS (0xFu << 23)
#define RCC_CRYSTAL_BITS (0xFu << 6)
#define RCC_CRYSTAL_8_MHZ (0xEu << 6)
#define RCC_SOURCE_BITS (0x3u << 4)
#define RCC_MAIN_OFF 1u
#define PLL_LOCKED (1u << 6)

/* 50 MHz from the board's crystal of 8 MHz: 200 MHz of the PLL, divided by four. */
void chip_start_clock(void)
{
    uint32_t rcc = (SYSTEM_CLOCK | RCC_BYPASS) & ~RCC_USE_DIVIDER;
    SYSTEM_CLOCK = rcc;
    rcc &= ~(RCC_CRYSTAL_BITS | RCC_SOURCE_BITS | RCC_MAIN_OFF | RCC_POWER_DOWN | RCC_DIVIDER_BITS);
    rcc |= RCC_CRYSTAL_8_MHZ;
    SYSTEM_CLOCK = rcc;
    rcc |= RCC_DIVIDER(4u) | RCC_USE_DIVIDER;
    SYSTEM_CLOCK = rcc;
    while ((SYSTEM_RAW_INTERRUPTS & PLL_LOCKED) == 0) {
    }
    SYSTEM_CLOCK = rcc & ~RCC_BYPASS;
}

/* ----------------------------------------------------------------------------------------------------------- lines */

#define GATES_UARTS 0x3u
#define LINE_8_BITS_FIFO 0x70u
#define CONTROL_BOTH_WAYS 0x301u
#define BAUD_INTEGER 27u /* 115,200: 50 MHz / 16 / 27.13; QEMU transfers as fast as it can */
#define BAUD_FRACTION 8u

static void start_line(uint32_t uart)
{
    UART_CONTROL(uart) = 0;
    UART_BAUD_INTEGER(uart) = BAUD_INTEGER;
    UART_BAUD_FRACTION(uart) = BAUD_FRACTION;
    UART_LINE(uart) = LINE_8_BITS_FIFO;
    UART_CONTROL(uart) = CONTROL_BOTH_WAYS;
}

void chip_start_lines(void)
{
    SYSTEM_CLOCK_GATES_1 |= GATES_UARTS;
    start_line(UART0);
    start_line(UART1);
}

void chip_console(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((UART_FLAGS(UART1) & UART_SEND_FULL) != 0) {
        }
        UART_DATA(UART1) = (uint8_t)*text;
    }
}

void chip_console_number(uint32_t number)
{
    char digits[11];
    unsigned at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    chip_console(&digits[at]);
}

/* -------------------------------------------------------------------------------------------------- watchdog, reset */

#define GATE_WATCHDOG (1u << 3)
#define WATCHDOG_INTERRUPT_AND_RESET 3u
/* It resets when it has run down twice: 3 s. Longer than the longest breath, which is a signature on P-256, and shorter
 * than the 5 s that a tester waits for an answer. */
#define WATCHDOG_TICKS (CLOCK_HZ + CLOCK_HZ / 2u)

void chip_watch(void)
{
    SYSTEM_CLOCK_GATES_0 |= GATE_WATCHDOG;
    WATCHDOG_LOAD = WATCHDOG_TICKS;
    WATCHDOG_CONTROL = WATCHDOG_INTERRUPT_AND_RESET;
}

void chip_feed(void)
{
    WATCHDOG_CLEAR = 1;
    WATCHDOG_LOAD = WATCHDOG_TICKS;
}

_Noreturn void chip_reset(void)
{
    while ((UART_FLAGS(UART0) & UART_BUSY) != 0 || (UART_FLAGS(UART1) & UART_BUSY) != 0) {
    }
    RESET_CONTROL = RESET_NOW;
    for (;;) {
    }
}

/* Nothing is to run any more; whoever reads the console knows why. */
_Noreturn void chip_halt(void)
{
    WATCHDOG_CONTROL = 0;
    for (;;) {
        __asm__ volatile("wfi");
    }
}

/* ----------------------------------------------------------------------------------------------------- semihosting */

#define SYS_OPEN 0x01u
#define SYS_CLOSE 0x02u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_SEEK 0x0Au

static int semihost(uint32_t operation, const uint32_t *words)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const uint32_t *r1 __asm__("r1") = words;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int)r0;
}

int semihost_open(const char *name, uint32_t name_length, uint32_t mode)
{
    const uint32_t words[3] = {(uint32_t)name, mode, name_length};
    return semihost(SYS_OPEN, words);
}

void semihost_close(int file)
{
    const uint32_t words[1] = {(uint32_t)file};
    (void)semihost(SYS_CLOSE, words);
}

/* Read and write answer how many octets they left over. */
static bool transfer(uint32_t operation, int file, uint32_t offset, const void *octets, uint32_t length)
{
    const uint32_t place[2] = {(uint32_t)file, offset};
    const uint32_t words[3] = {(uint32_t)file, (uint32_t)octets, length};
    return semihost(SYS_SEEK, place) == 0 && semihost(operation, words) == 0;
}

bool semihost_read(int file, uint32_t offset, void *octets, uint32_t length)
{
    return transfer(SYS_READ, file, offset, octets, length);
}

bool semihost_write(int file, uint32_t offset, const void *octets, uint32_t length)
{
    return transfer(SYS_WRITE, file, offset, octets, length);
}
