/* The CAN line: octets come by interrupt into a ring, lines are taken from it when the core is ready for them.
 *
 * A full ring leaves octets in the line's own buffer, and so at their sender, whom a serial line can make wait.
 */
#include "chip.h"
#include "image.h"
#include "slcan.h"
#include "start.h"

#define RING 2048u /* a power of two; fifteen of the longest lines */

static volatile uint8_t ring[RING];
static volatile uint32_t ring_in, ring_out; /* how many octets, ever */
static char line[SLCAN_LINE_MAX];
static uint32_t line_length; /* SLCAN_LINE_MAX + 1: longer than any line, its rest is passed over */

void can_start(void)
{
    UART_MASK(UART0) = UART_RECEIVE_INTERRUPTS;
    INTERRUPTS_ENABLE = 1u << UART0_INTERRUPT;
}

void start_uart0(void)
{
    UART_CLEAR(UART0) = UART_RECEIVE_INTERRUPTS;
    while ((UART_FLAGS(UART0) & UART_NOTHING_RECEIVED) == 0) {
        if (ring_in - ring_out == RING) {
            UART_MASK(UART0) = 0; /* until there is room again */
            return;
        }
        ring[ring_in % RING] = (uint8_t)UART_DATA(UART0);
        ring_in = ring_in + 1;
    }
}

bool can_is_idle(void)
{
    return ring_in == ring_out;
}

static void send(const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        while ((UART_FLAGS(UART0) & UART_SEND_FULL) != 0) {
        }
        UART_DATA(UART0) = (uint8_t)text[i];
    }
}

/* One octet of a line; whether it completed a frame. */
static bool take_octet(fw_frame *frame, char octet)
{
    if (octet != '\r') {
        if (line_length < SLCAN_LINE_MAX) {
            line[line_length] = octet;
        }
        line_length += line_length <= SLCAN_LINE_MAX;
        return false;
    }
    uint32_t length = line_length;
    line_length = 0;
    if (length == 1 && line[0] == 'V') {
        send("V0101\r", 6);
        return false;
    }
    return length <= SLCAN_LINE_MAX && slcan_read(frame, line, length);
}

bool can_take(fw_frame *frame)
{
    while (!can_is_idle()) {
        char octet = (char)ring[ring_out % RING];
        ring_out = ring_out + 1;
        UART_MASK(UART0) = UART_RECEIVE_INTERRUPTS;
        if (take_octet(frame, octet)) {
            return true;
        }
    }
    return false;
}

bool fw_port_send(fw_port *port, const fw_frame *frame)
{
    char text[SLCAN_LINE_MAX];
    (void)port;
    send(text, slcan_write(text, frame));
    return true;
}
