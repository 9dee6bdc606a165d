/* The sending half of ISO-TP: one message at a time per peer, in order (twin of uptane/link/isotp_send.py).
 *
 * A frame is gone when the port has taken it. So the port's queue paces us, and the wait for flow control begins with
 * the last frame that the port took; a flow control in the middle of a block is not awaited, and ignored.
 */
#include <string.h>

#include "isotp_parts.h"
#include "state.h"

#define WAITS_MAX 16u /* wait frames in a row: at one N_Bs each 16 s, beyond anything that keeps a tester waiting */
#define QUEUED_MAX 4u /* behind the message going: an answer, its "pending", a tester present */
#define NO_FLOW UINT16_MAX /* block size 0: more frames than any message has */

/* ----------------------------------------------------------------------------------------------------------- queue */

static uint16_t length_of(const fw_peer *peer)
{
    return (uint16_t)(peer->queue[peer->out_start] + peer->tail_length);
}

/* Begin with the message at the start of the queue, if there is one. */
static void begin(fw_peer *peer, uint64_t now)
{
    peer->out_at = now;
    peer->out_until = now + FW_TIMER_MS;
    peer->out_done = 0;
    peer->out_block = 0;
    peer->out_number = 0;
    peer->out_gap = 0;
    peer->out_waits = 0;
    peer->out_waiting = false;
}

/* The message going has gone, or is lost. */
static void end(fw_peer *peer, uint64_t now)
{
    peer->out_start = (uint8_t)(peer->out_start + 1 + peer->queue[peer->out_start]);
    peer->tail_length = 0;
    if (--peer->out_count == 0) {
        fw_send_stop(peer);
    } else {
        begin(peer, now);
    }
}

void fw_send_stop(fw_peer *peer)
{
    peer->out_at = FW_NEVER;
    peer->out_start = peer->out_end = peer->out_count = 0;
    peer->tail_length = 0;
}

static bool put(fw_peer *peer, const uint8_t *octets, uint8_t length)
{
    if (peer->out_count > QUEUED_MAX || peer->out_end + 1u + length > FW_QUEUE_MAX) {
        return false;
    }
    peer->queue[peer->out_end] = length;
    memcpy(peer->queue + peer->out_end + 1, octets, length);
    peer->out_end = (uint8_t)(peer->out_end + 1 + length);
    peer->out_count++;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- frames */

/* Write what is in front of the octets of the next frame. */
static void write_head(const fw *ecu, const fw_peer *peer, fw_frame *frame)
{
    uint16_t length = length_of(peer);
    uint8_t *data = frame->data;
    frame->length = 2;
    if (peer->out_done != 0) {
        data[0] = 0x20 | (peer->out_number & 0x0F);
        frame->length = 1;
    } else if (length > (ecu->facts->fd ? 62 : 7)) {
        data[0] = (uint8_t)(0x10 | length >> 8);
        data[1] = (uint8_t)length;
    } else if (length > 7) {
        data[0] = 0;
        data[1] = (uint8_t)length;
    } else {
        data[0] = (uint8_t)length;
        frame->length = 1;
    }
}

/* Offer the next frame of the message going; how many of its octets the port took with it. */
static uint8_t offer(fw *ecu, const fw_peer *peer)
{
    uint16_t done = peer->out_done, length = length_of(peer);
    uint8_t here = peer->queue[peer->out_start], size = ecu->facts->fd ? 64 : 8;
    const uint8_t *octets = peer->queue + peer->out_start + 1;
    fw_frame frame;
    write_head(ecu, peer, &frame);
    uint8_t taken = 0;
    for (; frame.length < size && done < length; done++, taken++) {
        frame.data[frame.length++] = done < here ? octets[done] : peer->tail[done - here];
    }
    return fw_link_offer(ecu, peer->address, &frame) ? taken : 0;
}

void fw_send_push(fw *ecu, fw_peer *peer)
{
    while (ecu->now >= peer->out_at && !peer->out_waiting) {
        uint8_t taken = offer(ecu, peer);
        if (taken == 0) {
            peer->out_at = ecu->now + 1;
            return;
        }
        bool was_first = peer->out_done == 0;
        peer->out_done = (uint16_t)(peer->out_done + taken);
        peer->out_number++;
        if (peer->out_done == length_of(peer)) {
            end(peer, ecu->now);
        } else if (was_first || --peer->out_block == 0) {
            peer->out_waiting = true;
            peer->out_at = ecu->now + FW_TIMER_MS;
        } else {
            peer->out_at = ecu->now + peer->out_gap;
            peer->out_until = peer->out_at + FW_TIMER_MS;
        }
    }
}

/* -------------------------------------------------------------------------------------------------- flow and timers */

static void lose(fw *ecu, fw_peer *peer)
{
    end(peer, ecu->now);
    fw_send_push(ecu, peer);
}

void fw_send_tick(fw *ecu, fw_peer *peer)
{
    if (peer->out_at != FW_NEVER && ecu->now >= (peer->out_waiting ? peer->out_at : peer->out_until)) {
        lose(ecu, peer);
    }
}

/* STmin in whole milliseconds, and one more, since ours may have just begun; reserved values mean the longest. */
static uint8_t gap_of(uint8_t separation)
{
    if (separation == 0) {
        return 0;
    }
    if (separation >= 0xF1 && separation <= 0xF9) {
        return 2;
    }
    return (uint8_t)((separation <= 0x7F ? separation : 0x7F) + 1);
}

void fw_send_flow(fw *ecu, fw_peer *peer, const uint8_t flow[3])
{
    uint8_t status = flow[0] & 0x0F;
    if (peer->out_at == FW_NEVER || !peer->out_waiting) {
        return;
    }
    if (status == FW_CONTINUE) {
        peer->out_waiting = false;
        peer->out_waits = 0;
        peer->out_block = flow[1] != 0 ? flow[1] : NO_FLOW;
        peer->out_gap = gap_of(flow[2]);
        peer->out_at = ecu->now;
        peer->out_until = ecu->now + FW_TIMER_MS;
        fw_send_push(ecu, peer);
    } else if (status == FW_WAIT && ++peer->out_waits <= WAITS_MAX) {
        peer->out_at = ecu->now + FW_TIMER_MS;
    } else {
        lose(ecu, peer);
    }
}

/* -------------------------------------------------------------------------------------------------------- messages */

void fw_link_send(fw *ecu, uint8_t address, const uint8_t *octets, uint8_t length)
{
    fw_peer *peer = fw_link_place(ecu, address);
    if (peer == NULL) {
        if (length <= 7) { /* everybody has a place; what fits one frame needs none */
            fw_frame frame = {.length = (uint8_t)(length + 1), .data = {length}};
            memcpy(frame.data + 1, octets, length);
            (void)fw_link_offer(ecu, address, &frame);
        }
        return;
    }
    if (put(peer, octets, length) && peer->out_count == 1) {
        begin(peer, ecu->now);
        fw_send_push(ecu, peer);
    }
}

bool fw_link_send_long(
    fw *ecu, uint8_t address, const uint8_t *head, uint8_t head_length, const uint8_t *octets, uint16_t length)
{
    fw_peer *peer = fw_link_place(ecu, address);
    if (peer == NULL || peer->out_count != 0 || !put(peer, head, head_length)) {
        return false;
    }
    peer->tail = octets;
    peer->tail_length = length;
    begin(peer, ecu->now);
    fw_send_push(ecu, peer);
    return true;
}

void fw_link_drop_long(fw *ecu)
{
    fw_link *link = &ecu->link;
    for (fw_peer *peer = link->peers; peer < link->peers + FW_PEERS_MAX; peer++) {
        if (peer->tail_length != 0) {
            lose(ecu, peer);
        }
    }
}
