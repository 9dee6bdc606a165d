/* The firmware's link alone, with an ECU behind it that does as a script says and writes down what is asked of it.
 *
 * Driven from tests/firmware/link_pair.py. An entry of the log is a kind, a length (two octets, big-endian) and as many
 * octets.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

enum { LOG_FRAME, LOG_TASK, LOG_OPENED, LOG_MISUSED, LOG_TRAFFIC, LOG_RESTART };

typedef struct {
    uint16_t did, length;
    uint8_t octets[FW_SMALL_MAX - 3];
} reading;

typedef struct {
    fw ecu;
    fw_facts facts;
    reading readings[8];
    fw_interlock interlock;
    fw_nrc nrc;           /* of every task */
    uint32_t breaths, ms; /* how often a task breathes, and how long it takes each time */
    uint32_t room;        /* frames that the port takes */
    uint32_t length;
    uint8_t log[1 << 20];
} bench;

static bench *bench_of(fw *ecu)
{
    return (bench *)(void *)ecu;
}

static void put(bench *to, uint8_t kind, const void *octets, size_t length)
{
    assert(to->length + 3 + length <= sizeof to->log);
    uint8_t head[] = {kind, (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(to->log + to->length, head, sizeof head);
    memcpy(to->log + to->length + sizeof head, octets, length);
    to->length += (uint32_t)(sizeof head + length);
}

/* ------------------------------------------------------------------------------------------------------------ port */

bool fw_port_send(fw_port *port, const fw_frame *frame)
{
    bench *to = (bench *)(void *)port;
    uint8_t octets[5 + 64] = {(uint8_t)(frame->id >> 24), (uint8_t)(frame->id >> 16), (uint8_t)(frame->id >> 8),
                              (uint8_t)frame->id, frame->fd};
    if (to->room == 0) {
        return false;
    }
    to->room -= to->room != UINT32_MAX;
    memcpy(octets + 5, frame->data, frame->length);
    put(to, LOG_FRAME, octets, 5u + frame->length);
    return true;
}

void fw_port_traffic(fw_port *port, bool messages, bool faults)
{
    uint8_t octets[] = {messages, faults};
    put((bench *)(void *)port, LOG_TRAFFIC, octets, sizeof octets);
}

fw_interlock fw_port_interlock(fw_port *port)
{
    return ((bench *)(void *)port)->interlock;
}

/* ------------------------------------------------------------------------------------------------------------- ECU */

fw_nrc fw_do(fw *ecu, const fw_task *task)
{
    bench *to = bench_of(ecu);
    uint8_t octets[10 + FW_BLOCK_MAX] = {(uint8_t)task->kind};
    uint32_t numbers[] = {task->offset, task->size};
    octets[1] = task->option;
    for (size_t at = 0; at < 8; at++) {
        octets[2 + at] = (uint8_t)(numbers[at / 4] >> (24 - 8 * (at % 4)));
    }
    if (task->length != 0) {
        memcpy(octets + 10, task->octets, task->length);
    }
    put(to, LOG_TASK, octets, 10u + task->length);
    for (uint32_t breath = 0; breath < to->breaths; breath++) {
        ecu->now += to->ms;
        fw_server_breathe(ecu);
    }
    return to->nrc;
}

int fw_read(fw *ecu, uint16_t did, uint8_t *octets, uint16_t length_max)
{
    bench *to = bench_of(ecu);
    for (size_t at = 0; at < sizeof to->readings / sizeof to->readings[0]; at++) {
        if (to->readings[at].did == did) {
            assert(to->readings[at].length <= length_max);
            memcpy(octets, to->readings[at].octets, to->readings[at].length);
            return to->readings[at].length;
        }
    }
    return -1;
}

void fw_opened(fw *ecu, fw_session session, uint8_t peer)
{
    uint8_t octets[] = {(uint8_t)session, peer};
    put(bench_of(ecu), LOG_OPENED, octets, sizeof octets);
}

void fw_misused(fw *ecu, fw_check check)
{
    uint8_t octets[] = {(uint8_t)(check >> 8), (uint8_t)check};
    put(bench_of(ecu), LOG_MISUSED, octets, sizeof octets);
}

void fw_power_cycle(fw *ecu)
{
    put(bench_of(ecu), LOG_RESTART, "", 0);
}

/* -------------------------------------------------------------------------------------------------------- for Python */

bench *bench_create(uint8_t address, bool fd)
{
    bench *made = calloc(1, sizeof *made);
    made->facts.address = address;
    made->facts.fd = fd;
    made->ecu.port = (fw_port *)(void *)made;
    made->ecu.facts = &made->facts;
    made->room = UINT32_MAX;
    fw_link_start(&made->ecu.link);
    fw_server_start(&made->ecu.server);
    return made;
}

void bench_destroy(bench *of)
{
    free(of);
}

void bench_script(bench *of, uint8_t interlock, uint8_t nrc, uint32_t breaths, uint32_t ms)
{
    of->interlock = (fw_interlock)interlock;
    of->nrc = (fw_nrc)nrc;
    of->breaths = breaths;
    of->ms = ms;
}

void bench_room(bench *of, uint32_t room)
{
    of->room = room;
}

void bench_reading(bench *of, uint8_t at, uint16_t did, const uint8_t *octets, uint16_t length)
{
    reading *to = &of->readings[at];
    to->did = did;
    to->length = length;
    memcpy(to->octets, octets, length);
}

void bench_report(bench *of, const uint8_t *octets, uint16_t length)
{
    fw_link_drop_long(&of->ecu);
    assert(length <= sizeof of->ecu.report.octets);
    memcpy(of->ecu.report.octets, octets, length);
    of->ecu.report.length = length;
}

/* What must hold of the link between any two frames, whatever came. */
static void check(const fw_link *link)
{
    size_t blocks = 0;
    for (const fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        assert(peer->in_length <= FW_BLOCK_MAX);
        assert(peer->in_length == 0 || (peer->in_count < peer->in_length && peer->in_block > 0));
        blocks += peer->in_length > FW_REQUEST_MAX;
        assert(peer->out_count == 0 || peer->out_start + 1u + peer->queue[peer->out_start] <= peer->out_end);
        assert(peer->out_end <= FW_QUEUE_MAX);
        assert(peer->out_count > 0 || (peer->out_end == 0 && peer->tail_length == 0));
    }
    assert(blocks <= 1);
}

uint64_t bench_heard(bench *of, uint32_t id, const uint8_t *octets, uint8_t length, uint64_t now)
{
    fw_frame frame = {.id = id, .length = length, .fd = length > 8};
    memset(frame.data, 0x20, sizeof frame.data);
    memcpy(frame.data, octets, length);
    of->ecu.now = now;
    fw_link_heard(&of->ecu, &frame);
    check(&of->ecu.link);
    return of->ecu.now;
}

uint64_t bench_tick(bench *of, uint64_t now)
{
    of->ecu.now = now;
    fw_link_tick(&of->ecu);
    fw_server_tick(&of->ecu);
    check(&of->ecu.link);
    return of->ecu.now;
}

uint64_t bench_deadline(const bench *of)
{
    uint64_t link = fw_link_deadline(&of->ecu), server = fw_server_deadline(&of->ecu);
    return link < server ? link : server;
}

uint32_t bench_log(bench *of, uint8_t *octets)
{
    uint32_t length = of->length;
    memcpy(octets, of->log, length);
    of->length = 0;
    return length;
}
