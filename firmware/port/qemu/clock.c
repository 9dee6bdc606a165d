/* Milliseconds since power-up, by the controller's tick, and by its real-time clock where ticks were lost: an emulated
 * controller whose host is busy gets one interrupt for several of them. */
#include "chip.h"
#include "image.h"
#include "start.h"

#define TICK_ON_WITH_INTERRUPT 7u

static volatile uint64_t ticks;
static uint32_t seconds_before; /* a reset does not set them back */

void clock_start(void)
{
    SECONDS_MODE = SECONDS_MODE_REAL_TIME;
    SECONDS_MATCH = UINT32_MAX;
    SECONDS_CONTROL = 0;
    seconds_before = SECONDS_NOW;
    SECONDS_CONTROL = SECONDS_CONTROL_ON; /* its first second begins now */
    TICK_RELOAD = CLOCK_HZ / 1000u - 1u;
    TICK_NOW = 0;
    TICK_CONTROL = TICK_ON_WITH_INTERRUPT;
}

void start_tick(void)
{
    ticks = ticks + 1;
}

uint64_t clock_now(void)
{
    uint64_t seconds = SECONDS_NOW - seconds_before;
    __asm__ volatile("cpsid i" ::: "memory"); /* a tick between the two words of the count would be half of it */
    if (ticks < seconds * 1000u) {
        ticks = seconds * 1000u;
    }
    uint64_t now = ticks;
    __asm__ volatile("cpsie i" ::: "memory");
    return now;
}
