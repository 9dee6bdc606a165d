/* Any frames at any time, with everything that surrounds an ECU: nobody on the bus makes it break, or stop booting.
 *
 * An input is a sequence of: what happens (1 octet), and what it needs.
 */
#include "fuzz.h"

#define TESTERS 4u

typedef struct {
    fw_port *port;
    uint64_t now;
} play;

static void up(play *it)
{
    if (fw_host_power_up(it->port, it->now) != FW_UP) {
        fuzz_found("it does not boot");
    }
}

static void hear(play *it, fuzz_input *input)
{
    uint8_t who = fuzz_octet(input), length = fuzz_octet(input) % 65u, octets[64] = {0};
    uint32_t there;
    const uint8_t *data = fuzz_octets(input, length, &there);
    memcpy(octets, data, there);
    uint32_t target = (who & 0x40u) != 0 ? 0x1CDB3300u : 0x1CDA0000u | (uint32_t)fw_host_facts(it->port)->address << 8;
    (void)fw_host_heard(it->port, target | (0xF0u + who % TESTERS), octets, length, (who & 0x80u) != 0, it->now);
}

/* A whole message of a tester, as ISO-TP carries it: fuzzers find no sequence numbers. */
static void ask(play *it, fuzz_input *input)
{
    uint8_t octets[8] = {0}, who = fuzz_octet(input) % TESTERS, length = fuzz_octet(input);
    uint32_t there, id = 0x1CDA0000u | (uint32_t)fw_host_facts(it->port)->address << 8 | (0xF0u + who);
    const uint8_t *data = fuzz_octets(input, length, &there);
    if (there <= 7) {
        octets[0] = (uint8_t)there;
        memcpy(octets + 1, data, there);
        (void)fw_host_heard(it->port, id, octets, 8, false, it->now);
        return;
    }
    octets[0] = 0x10;
    octets[1] = (uint8_t)there;
    memcpy(octets + 2, data, 6);
    (void)fw_host_heard(it->port, id, octets, 8, false, it->now);
    for (uint32_t at = 6, number = 1; at < there; at += 7, number++) {
        uint32_t part = there - at < 7 ? there - at : 7;
        memset(octets, 0, sizeof octets);
        octets[0] = (uint8_t)(0x20u | (number & 0xFu));
        memcpy(octets + 1, data + at, part);
        (void)fw_host_heard(it->port, id, octets, 8, false, it->now);
    }
}

static void step(play *it, fuzz_input *input)
{
    uint8_t what = fuzz_octet(input);
    switch (what & 15u) {
    case 0:
        hear(it, input);
        break;
    case 1:
        it->now += fuzz_octet(input);
        break;
    case 2:
        it->now += (uint64_t)fuzz_octet(input) * 100u;
        (void)fw_host_tick(it->port, it->now);
        break;
    case 3:
        fw_host_interlock(it->port, fuzz_octet(input) % 3);
        break;
    case 4:
        fw_host_room(it->port, (what & 16u) != 0 ? UINT32_MAX : fuzz_octet(input));
        break;
    case 5:
        up(it);
        break;
    case 7:
        (void)fw_host_tested(it->port, fuzz_octet(input) % 3, it->now);
        break;
    default:
        ask(it, input);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    play it = {fuzz_board(), 1000};
    fw_host_room(it.port, UINT32_MAX);
    up(&it);
    while (input.left > 0) {
        step(&it, &input);
        fw_host_clear(it.port);
    }
    if (fw_host_abuses(it.port) != 0) {
        fuzz_found("the rules of the flash are broken");
    }
    up(&it);
    return 0;
}
