/* Milliseconds since power-up, by the controller's tick. */
#include "chip.h"
#include "image.h"
#include "start.h"

#define TICK_ON_WITH_INTERRUPT 7u

static volatile uint64_t ticks;

void clock_start(void)
{
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
    uint64_t before = ticks;
    for (;;) {
        uint64_t after = ticks; /* two words: read until nothing came between */
        if (before == after) {
            return after;
        }
        before = after;
    }
}
