/* A port that counts: the core is given a script of CAN frames, and the instructions it takes for each part are told.
 *
 * For QEMU with -icount shift=0, where an instruction takes a nanosecond and SysTick follows. Flash is in RAM and never
 * fails; nothing is sent anywhere. The script and the facts are made by bench/firmware_script.py, which also reads what
 * is printed: "loop TICKS INSTRUCTIONS" to know the tick, "part NUMBER TICKS", "size OCTETS", "stack OCTETS".
 */
#include <string.h>

#include "facts.h"
#include "fw.h"
#include "script.h"
#include "state.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define UART0_DATA REGISTER(0x4000C000u)
#define UART0_FLAGS REGISTER(0x4000C018u)
#define UART_FULL 0x20u
#define SYST_CONTROL REGISTER(0xE000E010u)
#define SYST_RELOAD REGISTER(0xE000E014u)
#define SYST_VALUE REGISTER(0xE000E018u)
#define SYST_MAX 0xFFFFFFu

#define PAGE 1024u
#define UNIT 4u
#define STATE_SIZE 16384u /* as small as a state area may be */
#define SLOT_SIZE 524288u /* holds nothing; reads as zeros */
#define LOOPS 100000u
#define PAINT 0xA5A5A5A5u
#define MARGIN 64u /* octets of the stack that main itself may be using when it is painted */

struct fw_port {
    uint64_t now;
    uint8_t state[STATE_SIZE];
};

typedef struct {
    fw ecu;
    fw_facts facts;
    fw_port port;
} world;

static world all;
extern uint32_t stack_bottom, stack_top;

/* ------------------------------------------------------------------------------------------------------- port */

const fw_geometry *fw_port_geometry(fw_port *port)
{
    static const fw_geometry geometry = {PAGE, UNIT, SLOT_SIZE, STATE_SIZE};
    (void)port;
    return &geometry;
}

bool fw_port_erase(fw_port *port, fw_area area, uint32_t offset)
{
    if (area == FW_AREA_STATE) {
        memset(port->state + offset, 0xFF, PAGE);
    }
    return true;
}

bool fw_port_write(fw_port *port, fw_area area, uint32_t offset, const uint8_t *octets, uint32_t length)
{
    if (area == FW_AREA_STATE) {
        memcpy(port->state + offset, octets, length);
    }
    return true;
}

void fw_port_read(fw_port *port, fw_area area, uint32_t offset, uint8_t *octets, uint32_t length)
{
    if (area == FW_AREA_STATE) {
        memcpy(octets, port->state + offset, length);
    } else {
        memset(octets, 0, length);
    }
}

bool fw_port_send(fw_port *port, const fw_frame *frame)
{
    (void)port;
    (void)frame;
    return true;
}

void fw_port_traffic(fw_port *port, bool messages, bool faults)
{
    (void)port;
    (void)messages;
    (void)faults;
}

fw_interlock fw_port_interlock(fw_port *port)
{
    (void)port;
    return FW_SAFE;
}

uint64_t fw_port_breathe(fw_port *port)
{
    return port->now;
}

void fw_port_self_test(fw_port *port, uint8_t slot)
{
    (void)port;
    (void)slot;
}

void fw_port_restart(fw_port *port)
{
    (void)port;
}

/* ---------------------------------------------------------------------------------------------------- telling */

static void put(char octet)
{
    while ((UART0_FLAGS & UART_FULL) != 0) {
    }
    UART0_DATA = (uint32_t)octet;
}

static void tell(const char *word, uint32_t first, uint32_t second)
{
    const uint32_t numbers[2] = {first, second};
    while (*word != '\0') {
        put(*word++);
    }
    for (unsigned i = 0; i < 2; i++) {
        put(' ');
        for (unsigned shift = 32; shift > 0; shift -= 4) {
            put("0123456789abcdef"[numbers[i] >> (shift - 4) & 0xFu]);
        }
    }
    put('\n');
}

static uint32_t ticks_since(uint32_t before)
{
    return (before - SYST_VALUE) & SYST_MAX;
}

/* A loop of two instructions, so that the host knows how long a tick is. */
static void calibrate(void)
{
    uint32_t count = LOOPS;
    uint32_t before = SYST_VALUE;
    __asm volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(count) : : "cc");
    tell("loop", ticks_since(before), 2 * LOOPS);
}

/* ------------------------------------------------------------------------------------------------------ script */

static void paint(void)
{
    for (volatile uint32_t *word = &stack_bottom; (uint32_t)word < (uint32_t)__builtin_frame_address(0) - MARGIN;
         word++) {
        *word = PAINT;
    }
}

static uint32_t stack_used(void)
{
    const uint32_t *word = &stack_bottom;
    while (*word == PAINT) {
        word++;
    }
    return (uint32_t)&stack_top - (uint32_t)word;
}

static void hear(const uint8_t data[8])
{
    fw_frame frame = {.id = SCRIPT_ID, .length = 8};
    memcpy(frame.data, data, 8);
    all.port.now++;
    fw_heard(&all.ecu, &frame, all.port.now);
    if (fw_deadline(&all.ecu) <= all.port.now) {
        fw_tick(&all.ecu, all.port.now);
    }
}

static void play(void)
{
    uint32_t part = 0;
    uint32_t before = SYST_VALUE;
    for (const uint8_t *at = script; *at != SCRIPT_END;) {
        if (*at == SCRIPT_FRAME) {
            hear(at + 1);
            at += 9;
            continue;
        }
        uint32_t ticks = ticks_since(before);
        tell("part", part++, ticks);
        before = SYST_VALUE;
        at++;
    }
}

static void run(void)
{
    memset(all.port.state, 0xFF, sizeof all.port.state);
    bool read = fw_read_facts(&all.facts, facts_octets, facts_length);
    uint32_t before = SYST_VALUE;
    fw_start start = fw_power_up(&all.ecu, &all.port, &all.facts, 0, 0);
    tell("up", read ? (uint32_t)start : 0xFFFFFFFFu, ticks_since(before));
    play();
}

void measure(void)
{
    SYST_RELOAD = SYST_MAX;
    SYST_VALUE = 0;
    SYST_CONTROL = 5; /* the processor's clock, running, no interrupt */
    calibrate();
    paint();
    run();
    tell("size", sizeof all.ecu, stack_used());
    tell("end", all.ecu.held.targets.version, all.ecu.held.targets.has_entry);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {&stack_top, (const void *)measure};
