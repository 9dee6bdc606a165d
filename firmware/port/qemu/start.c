/* From reset to main, and the vectors: the same for the boot stub and for an image. */
#include <stdint.h>

#include "start.h"

#define VECTORS 60u
#define UART0_VECTOR (16u + 5u)
#define PAINT 0x5A5A5A5Au

extern uint32_t start_stack_top[], start_stack_limit[];
extern uint32_t start_data[], start_data_end[], start_bss[], start_bss_end[];
extern const uint32_t start_data_values[];

_Noreturn void start_reset(void);

typedef void (*handler)(void);

/* What nobody expects: the watchdog resets, so that the boot stub gets to count. */
static _Noreturn void start_stopped(void)
{
    for (;;) {
    }
}

static void start_unused(void)
{
}

__attribute__((weak)) void start_tick(void);
__attribute__((weak)) void start_uart0(void);

void start_tick(void)
{
}

void start_uart0(void)
{
}

__attribute__((section(".vectors"), used)) static const handler vectors[VECTORS] = {
    [0] = (handler)start_stack_top,
    [1] = (handler)start_reset,
    [2 ... 10] = (handler)start_stopped,
    [11 ... 14] = start_unused,
    [15] = start_tick,
    [16 ... UART0_VECTOR - 1] = start_unused,
    [UART0_VECTOR] = start_uart0,
    [UART0_VECTOR + 1 ... VECTORS - 1] = start_unused,
};

_Noreturn void start_reset(void)
{
    const uint32_t *value = start_data_values;
    for (uint32_t *word = start_data; word < start_data_end; word++) {
        *word = *value++;
    }
    for (uint32_t *word = start_bss; word < start_bss_end; word++) {
        *word = 0;
    }
    for (uint32_t *word = start_stack_limit; word < (uint32_t *)__builtin_frame_address(0) - 16; word++) {
        *word = PAINT;
    }
    main();
}

/* The deepest that the stack has been: what is no longer paint, from the deepest word on. */
uint32_t start_stack_used(void)
{
    const volatile uint32_t *word = start_stack_limit;
    while (word < start_stack_top && *word == PAINT) {
        word++;
    }
    return (uint32_t)(start_stack_top - (const uint32_t *)word) * 4u;
}
